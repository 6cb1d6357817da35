//! A call as a mapping writes it, and an answer as a mapping reads it. Pure: no socket, no file.

use serde_json::{Map, Value};

use super::{Answer, Call, Held, Problem, Said};
use crate::config::mapping::{Inventory, Mapping, Reading, Shape, Test};
use crate::model::national::{Class, Op};

/// A request ready to be sent; the same call gives the same octets.
#[derive(Clone, PartialEq, Eq)]
pub struct Prepared {
    pub method: String,
    /// Below the peer's address.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub content_type: String,
    pub body: Vec<u8>,
}

/// Why a call cannot be written: the mapping lacks something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRequest {
    #[error("the mapping has no operation {0}")]
    NoOperation(Op),
    #[error("the mapping's envelope puts {0:?} below a member that is no object")]
    Envelope(String),
}

/// Stands for the Bundle until its octets take its place.
const PLACE: &str = "\u{1}bundle\u{1}";

/// The variables of a template: `None` where one has no value.
fn variable(name: &str, call: &Call, mapping: &Mapping) -> Option<String> {
    match name {
        "op" => Some(call.op.to_string()),
        "institution" => Some(call.institution.clone()),
        "key" => Some(call.key.clone()),
        "insured_id" => call.insured_id.clone(),
        "bundle_system" => call.bundle_system.clone(),
        "bundle_value" => call.bundle_value.clone(),
        "destination" => call.destination.clone(),
        "consent" => {
            let word = call.consent?.as_str();
            Some(mapping.consent.get(word).cloned().unwrap_or_else(|| word.to_owned()))
        }
        "letter" => call.letter.clone(),
        "bundle" => call.bundle.as_ref().map(|_| PLACE.to_owned()),
        _ => None,
    }
}

/// A template with its variables put in; `None` if one has no value.
pub fn fill(template: &str, call: &Call, mapping: &Mapping) -> Option<String> {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        out.push_str(before);
        out.push_str(&variable(name, call, mapping)?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

/// Writes a call.
pub fn request(mapping: &Mapping, call: &Call) -> Result<Prepared, NoRequest> {
    let op = mapping.op.get(&call.op.to_string()).ok_or(NoRequest::NoOperation(call.op))?;
    let filled = |template: &String| fill(template, call, mapping);
    let headers =
        mapping.headers.iter().filter_map(|(name, value)| Some((name.clone(), filled(value)?))).collect();
    let mut content_type = mapping.content_type.clone();
    let envelope = || -> Result<Vec<u8>, NoRequest> {
        let mut root = Value::Object(Map::new());
        for (pointer, template) in op.envelope.as_ref().unwrap_or(&mapping.envelope) {
            if let Some(value) = filled(template) {
                put(&mut root, pointer, value).ok_or_else(|| NoRequest::Envelope(pointer.clone()))?;
            }
        }
        Ok(root.to_string().into_bytes())
    };
    let bundle = || call.bundle.clone().unwrap_or_default();
    let body = match op.body.unwrap_or(mapping.body) {
        Shape::Empty => vec![],
        Shape::Raw => bundle().to_vec(),
        Shape::Envelope => splice(envelope()?, &bundle()),
        Shape::Multipart => {
            // The key is nobody's data and stands in no Bundle.
            let boundary = format!("chiren-{}", call.key);
            let without = Call { bundle: None, ..call.clone() };
            let first = request_envelope(mapping, &without)?;
            content_type = format!("multipart/related; boundary=\"{boundary}\"");
            let mut body = vec![];
            for (kind, part) in [
                ("application/json; charset=utf-8", first.as_slice()),
                ("application/fhir+json", &bundle()[..]),
            ] {
                body.extend_from_slice(format!("--{boundary}\r\nContent-Type: {kind}\r\n\r\n").as_bytes());
                body.extend_from_slice(part);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
            body
        }
    };
    let path = filled(&op.path).unwrap_or_else(|| op.path.clone());
    Ok(Prepared { method: op.method.clone(), path, headers, content_type, body })
}

fn request_envelope(mapping: &Mapping, call: &Call) -> Result<Vec<u8>, NoRequest> {
    let op = mapping.op.get(&call.op.to_string()).ok_or(NoRequest::NoOperation(call.op))?;
    let mut root = Value::Object(Map::new());
    for (pointer, template) in op.envelope.as_ref().unwrap_or(&mapping.envelope) {
        if let Some(value) = fill(template, call, mapping) {
            put(&mut root, pointer, value).ok_or_else(|| NoRequest::Envelope(pointer.clone()))?;
        }
    }
    Ok(root.to_string().into_bytes())
}

/// Puts a text at a JSON pointer, making the objects above it.
fn put(root: &mut Value, pointer: &str, text: String) -> Option<()> {
    let mut at = root;
    for name in pointer.strip_prefix('/')?.split('/') {
        let name = name.replace("~1", "/").replace("~0", "~");
        at = at.as_object_mut()?.entry(name).or_insert_with(|| Value::Object(Map::new()));
    }
    *at = Value::String(text);
    Some(())
}

/// The envelope with the Bundle's octets, as they are, in its place.
fn splice(envelope: Vec<u8>, bundle: &[u8]) -> Vec<u8> {
    let place = Value::String(PLACE.to_owned()).to_string().into_bytes();
    match memchr::memmem::find(&envelope, &place) {
        None => envelope,
        Some(at) => {
            let mut out = Vec::with_capacity(envelope.len() + bundle.len());
            out.extend_from_slice(envelope.get(..at).unwrap_or_default());
            out.extend_from_slice(bundle);
            out.extend_from_slice(envelope.get(at + place.len()..).unwrap_or_default());
            out
        }
    }
}

/// A member as text, whatever its type.
fn said(answer: &Value, pointer: &str) -> Option<String> {
    match answer.pointer(pointer)? {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        Value::Array(_) | Value::Object(_) => None,
        plain => Some(plain.to_string()),
    }
}

fn holds(answer: &Value, test: Option<&Test>) -> bool {
    test.is_some_and(|t| said(answer, &t.pointer).as_deref() == Some(t.equals.as_str()))
}

/// Reads an answer. `retry_after`: the header's seconds.
pub fn answer(mapping: &Mapping, op: Op, status: u16, retry_after: Option<u64>, body: &[u8]) -> Answer {
    if !(200..300).contains(&status) {
        let class = mapping.http_class(status);
        let why = format!("HTTP {status}");
        return match class {
            Class::Hold(_) | Class::Permanent => {
                // The status decides; the code, where there is one, says more to people.
                let read = serde_json::from_slice::<Value>(body).unwrap_or_default();
                let reading = mapping.reading(op);
                let code = reading.as_ref().and_then(|r| said(&read, r.code.as_deref()?));
                let problems = reading.as_ref().map(|r| problems(&read, r)).unwrap_or_default();
                Answer::Refused { code: code.unwrap_or(why), class, problems }
            }
            Class::Done => Answer::Done(Said { code: Some(why), ..Said::default() }),
            // A service that answers so has not taken it; one that stands before it may not know.
            class => Answer::Failed { class, why, after: retry_after, unsure: status >= 500 },
        };
    }
    let Ok(read) = serde_json::from_slice::<Value>(body) else {
        return Answer::transient("the answer is no JSON", true);
    };
    read_answer(mapping, op, &read)
}

/// The same of a result that came without HTTP.
pub fn read_answer(mapping: &Mapping, op: Op, read: &Value) -> Answer {
    let Some(reading) = mapping.reading(op) else {
        return Answer::Failed {
            class: Class::Permanent,
            why: NoRequest::NoOperation(op).to_string(),
            after: None,
            unsure: false,
        };
    };
    let at = |pointer: &Option<String>| pointer.as_deref().and_then(|p| said(read, p));
    if holds(read, reading.processing.as_ref()) {
        let again_after = at(&reading.again_after).and_then(|text| text.parse().ok());
        return Answer::Processing { receipt: at(&reading.receipt), again_after };
    }
    let code = at(&reading.code);
    if holds(read, reading.done.as_ref()) {
        let participates = reading.participates.as_ref().filter(|_| op == Op::Availability);
        let state = at(&reading.state).and_then(|word| mapping.states.get(&word).cloned());
        return Answer::Done(Said {
            code,
            receipt: at(&reading.receipt),
            replayed: holds(read, reading.replayed.as_ref()),
            participates: participates.map(|test| holds(read, Some(test))),
            state,
        });
    }
    let Some(code) = code else {
        return Answer::transient("the answer says neither that it is done nor why not", true);
    };
    if op == Op::Result && mapping.unknown.contains(&code) {
        return Answer::Unknown;
    }
    match mapping.class(op, &code) {
        Class::Done => Answer::Done(Said { code: Some(code), ..Said::default() }),
        class @ (Class::Permanent | Class::Hold(_)) => {
            Answer::Refused { problems: problems(read, &reading), code, class }
        }
        class => Answer::Failed {
            class,
            why: code,
            after: at(&reading.again_after).and_then(|t| t.parse().ok()),
            unsure: false,
        },
    }
}

fn problems(read: &Value, reading: &Reading) -> Vec<Problem> {
    let list = reading.problems.as_deref().and_then(|p| read.pointer(p)).and_then(Value::as_array);
    let member = |item: &Value, pointer: &Option<String>| pointer.as_deref().and_then(|p| said(item, p));
    list.into_iter()
        .flatten()
        .map(|item| Problem {
            rule: member(item, &reading.problem_rule).unwrap_or_default(),
            location: member(item, &reading.problem_location).unwrap_or_default(),
            text: member(item, &reading.problem_text).unwrap_or_default(),
        })
        .collect()
}

/// What an inventory lists of an institution as held.
pub fn holdings(inventory: &Inventory, institution: &str, body: &[u8]) -> Option<Vec<Held>> {
    let read: Value = serde_json::from_slice(body).ok()?;
    let items = read.pointer(&inventory.items)?.as_array()?;
    let of = |item: &Value| -> Option<Held> {
        let state = said(item, &inventory.state)?;
        let held = said(item, &inventory.institution)? == institution && inventory.held.contains(&state);
        held.then_some(Held {
            value: said(item, &inventory.value)?,
            insured_id: said(item, &inventory.insured_id)?,
            state,
        })
    };
    Some(items.iter().filter_map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::mapping::{SIMULATOR, load};
    use crate::model::national::ConsentStatus;

    fn mapping() -> Mapping {
        load("x", &[]).unwrap().remove(SIMULATOR).unwrap()
    }

    fn call(op: &str) -> Call {
        Call {
            insured_id: Some("06990011:1:2:01".into()),
            bundle_system: Some("s".into()),
            bundle_value: Some("1319900018^2026^R1".into()),
            destination: Some("2719900026".into()),
            consent: Some(ConsentStatus::Pending),
            letter: None,
            bundle: Some(r#"{"resourceType":"Bundle","n":1.00}"#.into()),
            ..Call::new(Op::parse(op).unwrap(), "1319900018", "k1")
        }
    }

    #[test]
    fn a_call_is_the_contract_of_the_simulator() {
        let prepared = request(&mapping(), &call("referral.register")).unwrap();
        assert_eq!((prepared.method.as_str(), prepared.path.as_str()), ("POST", "v1/referral/register"));
        let text = String::from_utf8(prepared.body.clone()).unwrap();
        assert!(
            text.contains(r#""Bundle":{"resourceType":"Bundle","n":1.00}"#),
            "the octets as they were: {text}"
        );
        assert!(
            text.contains(r#""ConsentStatus":"2""#) && text.contains(r#""ArbitraryFileIdentifier":"k1""#)
        );
        assert!(prepared.headers.contains(&("X-Request-Id".into(), "k1".into())));
        assert!(request(&mapping(), &call("referral.register")).unwrap() == prepared);
        // What a call has not is left out.
        let cancel = Call { bundle: None, consent: None, destination: None, ..call("info.cancel") };
        let text = String::from_utf8(request(&mapping(), &cancel).unwrap().body).unwrap();
        assert!(
            !text.contains("Bundle\":{") && !text.contains("Consent") && !text.contains("Destination"),
            "{text}"
        );
    }

    #[test]
    fn other_shapes_are_data() {
        let mut mapping = mapping();
        mapping.body = Shape::Raw;
        assert_eq!(
            request(&mapping, &call("info.register")).unwrap().body,
            br#"{"resourceType":"Bundle","n":1.00}"#
        );
        mapping.body = Shape::Multipart;
        let prepared = request(&mapping, &call("info.register")).unwrap();
        let text = String::from_utf8(prepared.body).unwrap();
        assert!(
            prepared.content_type.contains("boundary=\"chiren-k1\"") && text.ends_with("--chiren-k1--\r\n")
        );
        assert!(text.contains("1.00}\r\n") && !text.contains("\"Bundle\":{"));
    }

    #[test]
    fn answers_read_as_the_mapping_says() {
        let mapping = mapping();
        let read =
            |op: &str, text: &str| answer(&mapping, Op::parse(op).unwrap(), 200, None, text.as_bytes());
        let done = read(
            "info.register",
            r#"{"MessageHeader":{"SegmentOfResult":"1"},"MessageBody":{"ProcessingResultStatus":"1","ProcessingResultCode":"OK","Replayed":true}}"#,
        );
        assert!(matches!(done, Answer::Done(said) if said.replayed && said.code.as_deref() == Some("OK")));
        let processing = read("info.register", r#"{"MessageHeader":{"SegmentOfResult":2}}"#);
        assert!(matches!(processing, Answer::Processing { .. }));
        let failed = |code: &str| {
            format!(
                r#"{{"MessageHeader":{{"SegmentOfResult":"1"}},"MessageBody":{{"ProcessingResultStatus":"2","ProcessingResultCode":"{code}","CheckResultList":[{{"ResultCode":"R1013","ResultMessage":"m","Location":"Bundle"}}]}}}}"#
            )
        };
        let refused = read("info.register", &failed("VALIDATION"));
        assert!(
            matches!(refused, Answer::Refused { class: Class::Permanent, problems, .. } if problems[0].rule == "R1013")
        );
        assert!(matches!(read("info.cancel", &failed("NOT_FOUND")), Answer::Done(_)));
        assert!(matches!(
            read("info.register", &failed("BUSY")),
            Answer::Failed { class: Class::Transient, unsure: false, .. }
        ));
        assert!(matches!(
            read("info.register", &failed("QUALIFICATION_INVALID")),
            Answer::Refused { class: Class::Hold(_), .. }
        ));
        assert!(matches!(read("info.register", "{"), Answer::Failed { unsure: true, .. }));
        let status = |code| answer(&mapping, Op::parse("info.register").unwrap(), code, Some(7), b"");
        assert!(matches!(
            status(429),
            Answer::Failed { class: Class::Throttled, after: Some(7), unsure: false, .. }
        ));
        assert!(matches!(status(503), Answer::Failed { class: Class::Transient, .. }));
        assert!(
            matches!(status(413), Answer::Refused { class: Class::Hold(reason), .. } if reason == "too-large")
        );
        let state =
            read("referral.status", r#"{"MessageBody":{"ProcessingResultStatus":"1","State":"received"}}"#);
        assert!(matches!(state, Answer::Done(said) if said.state.as_deref() == Some("received")));
    }

    #[test]
    fn answers_travel_as_text() {
        let refused =
            Answer::Refused { code: "X".into(), class: Class::Hold("too-large".into()), problems: vec![] };
        let text = serde_json::to_string(&refused).unwrap();
        assert_eq!(serde_json::from_str::<Answer>(&text).unwrap(), refused);
    }
}
