//! `AuditEvent` of FHIR R4 from an audit message, and the search for it: ITI-81 (ITI TF-2 3.81, RESTful ATNA).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::outcome::{Issue, IssueCode};
use crate::model::audit::message::{AuditMessage, Coded, Object, Participant};
use crate::model::error::clip;

/// Code systems by the names that audit messages have for them.
const SYSTEMS: &[(&str, &str)] = &[
    ("DCM", "http://dicom.nema.org/resources/ontology/DCM"),
    ("IHE Transactions", "urn:ihe:event-type-code"),
    ("RFC-3881", "http://terminology.hl7.org/CodeSystem/audit-entity-type"),
    ("IHE XDS Metadata", "https://profiles.ihe.net/ITI/XDS"),
];
const SOURCE_TYPE: &str = "http://terminology.hl7.org/CodeSystem/security-source-type";
const ENTITY_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const ENTITY_ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const LIFECYCLE: &str = "http://terminology.hl7.org/CodeSystem/dicom-audit-lifecycle";

fn coding(code: &Coded) -> Value {
    let system = SYSTEMS.iter().find(|(name, _)| *name == code.system).map(|(_, uri)| (*uri).to_owned());
    let oid = || {
        let dotted = !code.system.is_empty() && code.system.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if dotted { format!("urn:oid:{}", code.system) } else { code.system.clone() }
    };
    json!({ "system": system.unwrap_or_else(oid), "code": code.code, "display": code.text })
}

fn concept(code: &Coded) -> Value {
    json!({ "coding": [coding(code)] })
}

fn simple(system: &str, code: impl ToString) -> Value {
    json!({ "system": system, "code": code.to_string() })
}

/// A patient's id as an identifier: CX becomes system and value.
fn identifier(id: &str) -> Value {
    match cx(id) {
        Some((value, oid)) => json!({ "system": format!("urn:oid:{oid}"), "value": value }),
        None => json!({ "value": id }),
    }
}

/// Value and OID of `id^^^&oid&ISO`.
fn cx(text: &str) -> Option<(&str, &str)> {
    let (value, rest) = text.split_once("^^^")?;
    let mut parts = rest.split('^').next()?.split('&');
    let (_, oid, kind) = (parts.next()?, parts.next()?, parts.next()?);
    (kind == "ISO").then_some((value, oid))
}

fn instant(micros: i64) -> String {
    Timestamp::from_microsecond(micros).map(|t| format!("{t:.3}")).unwrap_or_default()
}

/// The resource. `recorded` is when we got it, where that is not when it happened.
pub fn write(id: &str, message: &AuditMessage) -> Value {
    let mut out = Map::new();
    out.insert("resourceType".into(), "AuditEvent".into());
    out.insert("id".into(), id.into());
    out.insert("type".into(), coding(&message.id));
    if !message.types.is_empty() {
        out.insert("subtype".into(), message.types.iter().map(coding).collect());
    }
    if let Some(action) = &message.action {
        out.insert("action".into(), action.as_str().into());
    }
    out.insert("recorded".into(), instant(message.at).into());
    out.insert("outcome".into(), message.outcome.to_string().into());
    if let Some(text) = &message.description {
        out.insert("outcomeDesc".into(), text.as_str().into());
    }
    if !message.purposes.is_empty() {
        out.insert("purposeOfEvent".into(), message.purposes.iter().map(concept).collect());
    }
    out.insert("agent".into(), message.participants.iter().map(agent).collect());
    let mut source = json!({ "observer": { "identifier": { "value": message.source.id } } });
    if let (Some(site), Some(source)) = (&message.source.site, source.as_object_mut()) {
        source.insert("site".into(), site.as_str().into());
    }
    if let (false, Some(source)) = (message.source.types.is_empty(), source.as_object_mut()) {
        let types = message.source.types.iter().map(|code| simple(SOURCE_TYPE, code)).collect();
        source.insert("type".into(), types);
    }
    out.insert("source".into(), source);
    if !message.objects.is_empty() {
        out.insert("entity".into(), message.objects.iter().map(entity).collect());
    }
    Value::Object(out)
}

fn agent(participant: &Participant) -> Value {
    let mut out = Map::new();
    if let Some((first, more)) = participant.roles.split_first() {
        out.insert("type".into(), concept(first));
        if !more.is_empty() {
            out.insert("role".into(), more.iter().map(concept).collect());
        }
    }
    out.insert("who".into(), json!({ "identifier": { "value": participant.user_id } }));
    for (name, value) in [("altId", &participant.alternative_user_id), ("name", &participant.user_name)] {
        if let Some(value) = value {
            out.insert(name.into(), value.as_str().into());
        }
    }
    out.insert("requestor".into(), participant.requestor.into());
    if let Some((point, kind)) = &participant.network {
        out.insert("network".into(), json!({ "address": point, "type": kind.to_string() }));
    }
    Value::Object(out)
}

fn entity(object: &Object) -> Value {
    let mut out = Map::new();
    let patient = object.kind == Some(1) && object.role == Some(1);
    let what = if patient { identifier(&object.id) } else { json!({ "value": object.id }) };
    out.insert("what".into(), json!({ "identifier": what }));
    if let Some(kind) = object.kind {
        out.insert("type".into(), simple(ENTITY_TYPE, kind));
    }
    if let Some(role) = object.role {
        out.insert("role".into(), simple(ENTITY_ROLE, role));
    }
    if let Some(lifecycle) = object.lifecycle {
        out.insert("lifecycle".into(), simple(LIFECYCLE, lifecycle));
    }
    if let Some(label) = &object.sensitivity {
        out.insert("securityLabel".into(), json!([{ "code": label }]));
    }
    // sev-1: a name or a query, not both (FHIR R4 AuditEvent).
    match (&object.query, &object.name) {
        (Some(query), _) => out.insert("query".into(), STANDARD.encode(query).into()),
        (None, Some(name)) => out.insert("name".into(), name.as_str().into()),
        (None, None) => None,
    };
    if !object.details.is_empty() {
        let detail = |(name, value): &(String, Vec<u8>)| json!({ "type": name, "valueBase64Binary": STANDARD.encode(value) });
        out.insert("detail".into(), object.details.iter().map(detail).collect());
    }
    Value::Object(out)
}

/// One value of a search parameter: `system|code`, either part empty for any.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    system: Option<String>,
    value: String,
}

impl Token {
    fn read(text: &str) -> Self {
        match text.split_once('|') {
            Some((system, value)) => Self { system: Some(system.to_owned()), value: value.to_owned() },
            None => Self { system: None, value: text.to_owned() },
        }
    }

    fn meets(&self, coding: &Value) -> bool {
        let of = |name: &str| coding.get(name).and_then(Value::as_str).unwrap_or_default();
        let value = if coding.get("code").is_some() { of("code") } else { of("value") };
        let by_value = self.value.is_empty() || self.value == value;
        by_value && self.system.as_deref().is_none_or(|system| system == of("system"))
    }
}

/// What can be asked by, beside `date` (ITI TF-2 3.81.4.1.2.2).
const PARAMETERS: &[&str] = &[
    "address",
    "agent.identifier",
    "patient.identifier",
    "entity.identifier",
    "entity-type",
    "entity-role",
    "source.identifier",
    "type",
    "subtype",
    "outcome",
];

/// Results of one page, and of a page that says nothing of it (security.md 2.7).
pub const MOST: usize = 500;
const USUAL: usize = 100;

/// A search as read: AND between parameters, OR within one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSearch {
    /// Microseconds since 1970, both within.
    pub from: i64,
    pub until: i64,
    asked: Vec<(&'static str, Vec<Token>)>,
    pub count: usize,
    /// Where a page goes on, in words of ours.
    pub page: Option<String>,
    /// The patients asked for, where all values have an authority: as CX.
    pub patients: Vec<String>,
    /// What was understood, for the links.
    pub said: String,
}

/// Reads the parameters; those not known are left out (ITI TF-2 3.81.4.1.3).
pub fn read_search(pairs: &[(String, String)]) -> Result<AuditSearch, Vec<Issue>> {
    let mut search = AuditSearch {
        from: i64::MIN,
        until: i64::MAX,
        asked: vec![],
        count: USUAL,
        page: None,
        patients: vec![],
        said: String::new(),
    };
    let mut issues = vec![];
    let mut dates = 0;
    for (name, value) in pairs {
        let wrong = |text: String| Issue::error(IssueCode::Value, text).at(name);
        let mut understood = true;
        match name.as_str() {
            "date" => match period(value) {
                Some((from, until)) => {
                    dates += 1;
                    search.from = search.from.max(from);
                    search.until = search.until.min(until);
                }
                None => issues.push(wrong(format!("'{}' is no date with an optional prefix", clip(value)))),
            },
            "_count" => match value.parse::<usize>() {
                Ok(count) => search.count = count.clamp(1, MOST),
                Err(_) => issues.push(wrong("the count is no number".into())),
            },
            "_page" => {
                search.page = Some(value.clone());
                understood = false;
            }
            name => match PARAMETERS.iter().find(|p| **p == name) {
                Some(parameter) => {
                    let tokens: Vec<Token> = value.split(',').map(Token::read).collect();
                    if *parameter == "patient.identifier" {
                        search.patients = in_cx(&tokens);
                    }
                    search.asked.push((parameter, tokens));
                }
                None => understood = false,
            },
        }
        if understood {
            let and = if search.said.is_empty() { "" } else { "&" };
            search.said += &format!("{and}{}={}", super::encoded(name), super::encoded(value));
        }
    }
    if dates == 0 && issues.is_empty() {
        let text = "a date is required: date=ge… and best date=le…, too (ITI TF-2 3.81.4.1.2.1)";
        issues.push(Issue::error(IssueCode::Required, text).at("date"));
    }
    if issues.is_empty() { Ok(search) } else { Err(issues) }
}

/// The ids with their authorities, if all have one.
fn in_cx(tokens: &[Token]) -> Vec<String> {
    let one = |t: &Token| {
        let oid = t.system.as_deref()?.strip_prefix("urn:oid:")?;
        Some(format!("{}^^^&{oid}&ISO", t.value))
    };
    tokens.iter().map(one).collect::<Option<_>>().unwrap_or_default()
}

/// The instants that a date with its prefix takes in (FHIR R4 3.1.1.5.9).
fn period(text: &str) -> Option<(i64, i64)> {
    let (prefix, date) = match text.get(..2) {
        Some(prefix @ ("ge" | "le" | "gt" | "lt" | "eq" | "sa" | "eb")) => (prefix, text.get(2..)?),
        _ => ("eq", text),
    };
    let (first, last) = extent(date)?;
    Some(match prefix {
        "ge" => (first, i64::MAX),
        "gt" | "sa" => (last.saturating_add(1), i64::MAX),
        "le" => (i64::MIN, last),
        "lt" | "eb" => (i64::MIN, first.saturating_sub(1)),
        _ => (first, last),
    })
}

/// First and last microsecond of a date, or a time; without a zone it is Japan's.
fn extent(text: &str) -> Option<(i64, i64)> {
    let japan = TimeZone::fixed(jiff::tz::offset(9));
    // A + in a query that was not encoded.
    let text = text.trim().replace(' ', "+");
    let at = |time: DateTime| Some(time.to_zoned(japan.clone()).ok()?.timestamp());
    if let Some((_, clock)) = text.split_once('T') {
        let begin = text.parse::<Timestamp>().ok().or_else(|| at(text.parse().ok()?))?;
        let fraction = clock.split_once('.').map_or("", |(_, f)| f);
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let seconds = clock.bytes().filter(|b| *b == b':').count() >= 2;
        let width = match (digits, seconds) {
            (0, true) => 1_000_000,
            (0, false) => 60_000_000,
            (digits, _) => 10_i64.pow(6_u32.saturating_sub(u32::try_from(digits).ok()?.min(6))),
        };
        let begin = begin.as_microsecond();
        return Some((begin, begin + width - 1));
    }
    let number = |part: Option<&str>| part.map(str::parse::<i16>).transpose().ok();
    let mut parts = text.split('-');
    let (year, month, day) = (number(parts.next())??, number(parts.next())?, number(parts.next())?);
    let first =
        Date::new(year, i8::try_from(month.unwrap_or(1)).ok()?, i8::try_from(day.unwrap_or(1)).ok()?).ok()?;
    let last = match (month, day) {
        (None, _) => first.last_of_year(),
        (_, None) => first.last_of_month(),
        _ => first,
    };
    let begin = at(first.at(0, 0, 0, 0))?;
    let end = at(last.at(0, 0, 0, 0))?.checked_add(SignedDuration::from_hours(24)).ok()?;
    Some((begin.as_microsecond(), end.as_microsecond() - 1))
}

impl AuditSearch {
    /// Whether a resource, as written here, is meant.
    pub fn meets(&self, resource: &Value) -> bool {
        self.asked.iter().all(|(name, tokens)| {
            let found = values(resource, name);
            tokens.iter().any(|token| found.iter().any(|value| token.meets(value)))
        })
    }
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// What a parameter looks at, as codings or identifiers.
fn values(resource: &Value, name: &str) -> Vec<Value> {
    let bare = |value: Option<&Value>| value.map(|v| json!({ "value": v }));
    let within = |items: &[Value], path: [&str; 2]| -> Vec<Value> {
        items.iter().filter_map(|i| i.get(path[0])?.get(path[1])).cloned().collect()
    };
    let entities = list(resource, "entity");
    match name {
        "address" => {
            let points = within(list(resource, "agent"), ["network", "address"]);
            points.iter().filter_map(|p| bare(Some(p))).collect()
        }
        "agent.identifier" => within(list(resource, "agent"), ["who", "identifier"]),
        "patient.identifier" => {
            let patient = |e: &&Value| {
                let role = e.get("role").and_then(|r| r.get("code"));
                role.and_then(Value::as_str) == Some("1")
            };
            let patients: Vec<Value> = entities.iter().filter(patient).cloned().collect();
            within(&patients, ["what", "identifier"])
        }
        "entity.identifier" => within(entities, ["what", "identifier"]),
        "entity-type" => entities.iter().filter_map(|e| e.get("type").cloned()).collect(),
        "entity-role" => entities.iter().filter_map(|e| e.get("role").cloned()).collect(),
        "source.identifier" => {
            let observer = resource.get("source").and_then(|s| s.get("observer")?.get("identifier"));
            observer.cloned().into_iter().collect()
        }
        "type" => resource.get("type").cloned().into_iter().collect(),
        "subtype" => list(resource, "subtype").to_vec(),
        "outcome" => bare(resource.get("outcome")).into_iter().collect(),
        _ => vec![],
    }
}

/// The Bundle of a page. How many there are in all is not counted.
pub fn bundle(links: &[(&str, String)], base: &str, found: Vec<Value>) -> Value {
    let links: Vec<Value> =
        links.iter().map(|(relation, url)| json!({ "relation": relation, "url": url })).collect();
    let entry = |resource: Value| {
        let id = resource.get("id").and_then(Value::as_str).unwrap_or_default();
        let url = format!("{base}/AuditEvent/{id}");
        json!({ "fullUrl": url, "resource": resource, "search": { "mode": "match" } })
    };
    let mut out = json!({ "resourceType": "Bundle", "type": "searchset", "link": links });
    if let (false, Some(out)) = (found.is_empty(), out.as_object_mut()) {
        out.insert("entry".into(), found.into_iter().map(entry).collect());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> AuditMessage {
        let code = |code: &str, system: &str| Coded::new(code, system, "x");
        AuditMessage {
            action: Some("E".into()),
            at: 1_700_000_000_000_000,
            id: code("110112", "DCM"),
            types: vec![code("ITI-18", "IHE Transactions")],
            participants: vec![Participant {
                user_id: "hospital-a".into(),
                requestor: true,
                network: Some(("10.0.0.1".into(), 2)),
                roles: vec![code("110153", "DCM")],
                ..Participant::default()
            }],
            objects: vec![Object {
                id: "1^^^&1.2.3&ISO".into(),
                kind: Some(1),
                role: Some(1),
                id_type: code("2", "RFC-3881"),
                details: vec![("MSH-10".into(), b"m".to_vec())],
                ..Object::default()
            }],
            ..AuditMessage::default()
        }
    }

    fn search(query: &str) -> Result<AuditSearch, Vec<Issue>> {
        read_search(&super::super::pairs(query).unwrap())
    }

    #[test]
    fn every_parameter_finds_and_leaves_out() {
        let resource = write("a", &message());
        assert_eq!(resource["entity"][0]["detail"][0]["valueBase64Binary"], "bQ==");
        for (found, not) in [
            ("address=10.0.0.1", "address=10.0.0.2"),
            ("agent.identifier=hospital-a", "agent.identifier=hospital"),
            ("patient.identifier=urn:oid:1.2.3%7C1", "patient.identifier=urn:oid:1.2.4%7C1"),
            ("patient.identifier=1", "patient.identifier=2"),
            ("entity.identifier=9,1", "entity.identifier=9"),
            ("entity-type=1", "entity-type=2"),
            ("entity-role=http://terminology.hl7.org/CodeSystem/object-role%7C1", "entity-role=24"),
            ("source.identifier=", "source.identifier=x"),
            ("type=http://dicom.nema.org/resources/ontology/DCM%7C110112", "type=DCM%7C110112"),
            ("subtype=urn:ihe:event-type-code%7CITI-18", "subtype=ITI-43"),
            ("outcome=0", "outcome=8"),
        ] {
            let of =
                |query: &str| search(&format!("date=ge2000&{query}&unknown=1")).unwrap().meets(&resource);
            assert!(of(found), "{found}");
            assert!(!of(not), "{not}");
            assert!(!of(&format!("{found}&{not}")), "and: {not}");
        }
        assert_eq!(PARAMETERS.len(), 10);
    }

    #[test]
    fn dates_take_in_what_they_say() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_microsecond();
        let of = |query: &str| search(query).map(|s| (s.from, s.until)).unwrap();
        assert_eq!(
            of("date=ge2026-06-15&date=le2026-06-15"),
            (at("2026-06-14T15:00:00Z"), at("2026-06-15T15:00:00Z") - 1)
        );
        assert_eq!(of("date=2026-06"), (at("2026-05-31T15:00:00Z"), at("2026-06-30T15:00:00Z") - 1));
        assert_eq!(of("date=gt2026-06-15T03:00:00Z").0, at("2026-06-15T03:00:01Z"));
        assert_eq!(of("date=lt2026-06-15T03:00:00.5Z").1, at("2026-06-15T03:00:00.5Z") - 1);
        assert_eq!(of("date=ge2026-06-15T12:00%2B09:00").0, at("2026-06-15T03:00:00Z"));
        for bad in ["date=", "date=x", "date=ge", "date=2026-13", "type=1", "date=2026&_count=x"] {
            assert!(search(bad).is_err(), "{bad}");
        }
        assert_eq!(search("date=2026&_count=9999").unwrap().count, MOST);
    }

    #[test]
    fn patients_with_authorities_are_named_for_the_index() {
        let of = |query: &str| search(&format!("date=2026&{query}")).unwrap().patients;
        assert_eq!(of("patient.identifier=urn:oid:1.2%7C7"), ["7^^^&1.2&ISO"]);
        assert!(of("patient.identifier=urn:oid:1.2%7C7,8").is_empty());
    }
}
