//! A prepared Bundle as the gates look at it, and the places where its text may be changed: its identifier, and where
//! another Bundle is put into it. All other octets stay as they were written, decimals included.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::decide::BundleFacts;
use super::{Kind, insured};

const CLINS: &str = "http://jpfhir.jp/fhir/clins/StructureDefinition/";
const RESOURCE_TYPE: &str = "http://jpfhir.jp/fhir/clins/CodeSystem/BundleResourceType_CS";
const INDICATION: &str = "http://jpfhir.jp/fhir/clins/CodeSystem/JP_ehrshrs_indication";
const INSTITUTION: &str = "http://jpfhir.jp/fhir/core/IdSystem/insurance-medical-institution-no";
const FLAGS: [&str; 3] = ["LTS", "UNINFORMED", "UNDELIVERED"];
/// The section of the destination (national-service, 2.5).
const DESTINATION: &str = "910";
const SECTION: &str = "http://jpfhir.jp/fhir/clins/CodeSystem/document-section";
/// The section of what is attached.
const ATTACHED: &str = "210";

/// Reads what the gates ask of a Bundle; `None` if it is no JSON object of type Bundle.
pub fn read(bytes: &[u8]) -> Option<BundleFacts> {
    let bundle: Value = serde_json::from_slice(bytes).ok()?;
    if bundle.get("resourceType")? != "Bundle" {
        return None;
    }
    let resources: Vec<(&str, &Value)> = entries(&bundle);
    let mut facts = BundleFacts {
        kind: texts(&bundle, "/meta/profile").find_map(kind_of),
        resource_type: coded(&bundle, "/meta/tag", RESOURCE_TYPE).next(),
        identifier_system: text(&bundle, "/identifier/system"),
        identifier_value: text(&bundle, "/identifier/value"),
        signed: bundle.get("signature").is_some(),
        bytes: bytes.len() as u64,
        ..BundleFacts::default()
    };
    let patient = resources.iter().find(|(_, r)| kind(r) == "Patient");
    facts.insured_id = patient.and_then(|(_, patient)| {
        let ids = || patient.get("identifier").and_then(Value::as_array).into_iter().flatten();
        let of = |system: &str| ids().find(|id| id.get("system").is_some_and(|s| s == system));
        text(of(insured::MEMBER).or_else(|| of(insured::PUBLIC_PAYER))?, "/value")
    });
    if let Some((_, composition)) = resources.first().filter(|(_, r)| kind(r) == "Composition") {
        facts.destination = destination(composition, &resources);
    }
    for (_, resource) in &resources {
        if kind(resource) == "Bundle" {
            let first = entries(resource).first().map(|(_, r)| *r);
            facts.attachments.extend(first.and_then(|c| text(c, "/type/coding/0/code")));
        }
    }
    let mut flags: Vec<String> = vec![];
    flagged(&bundle, &mut flags);
    facts.flags = FLAGS.iter().filter(|f| flags.iter().any(|g| g == *f)).map(|f| (*f).to_owned()).collect();
    Some(facts)
}

fn kind_of(profile: &str) -> Option<Kind> {
    let profile = profile.split('|').next().unwrap_or(profile);
    match profile.strip_prefix(CLINS)? {
        "JP_Bundle_CLINS" => Some(Kind::Info),
        "JP_Bundle_eReferral" => Some(Kind::Referral),
        "JP_Bundle_eDischargeSummary" => Some(Kind::Discharge),
        "JP_Bundle_ePCS" => Some(Kind::Summary),
        "JP_Bundle_eCheckupGeneral" => Some(Kind::Checkup),
        _ => None,
    }
}

fn entries(bundle: &Value) -> Vec<(&str, &Value)> {
    let entries = bundle.get("entry").and_then(Value::as_array).into_iter().flatten();
    entries
        .filter_map(|entry| {
            let url = entry.get("fullUrl").and_then(Value::as_str).unwrap_or_default();
            Some((url, entry.get("resource")?))
        })
        .collect()
}

fn kind(resource: &Value) -> &str {
    resource.get("resourceType").and_then(Value::as_str).unwrap_or_default()
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer)?.as_str().map(str::to_owned)
}

fn texts<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = &'v str> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Codes of one system among Codings.
fn coded(value: &Value, pointer: &str, system: &'static str) -> impl Iterator<Item = String> {
    let codings = value.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    codings.filter(move |c| c.get("system").is_some_and(|s| s == system)).filter_map(|c| text(c, "/code"))
}

/// The number of the Organization that section 910 names.
fn destination(composition: &Value, resources: &[(&str, &Value)]) -> Option<String> {
    let section = section(composition, DESTINATION)?;
    let references = section.get("entry").and_then(Value::as_array)?;
    references.iter().filter_map(|r| r.get("reference")?.as_str()).find_map(|reference| {
        let (_, organization) =
            resources.iter().find(|(url, r)| *url == reference && kind(r) == "Organization")?;
        number(organization)
    })
}

fn section<'v>(parent: &'v Value, code: &str) -> Option<&'v Value> {
    let sections = parent.get("section").and_then(Value::as_array)?;
    sections.iter().find_map(|s| {
        match s.pointer("/code/coding/0/code").and_then(Value::as_str) == Some(code) {
            true => Some(s),
            false => section(s, code),
        }
    })
}

/// An institution's ten digits: its identifier, or the extension of it.
fn number(organization: &Value) -> Option<String> {
    let ids = organization.get("identifier").and_then(Value::as_array).into_iter().flatten();
    let extensions = organization.get("extension").and_then(Value::as_array).into_iter().flatten();
    ids.chain(extensions.filter_map(|e| e.get("valueIdentifier")))
        .find(|id| id.get("system").is_some_and(|s| s == INSTITUTION))
        .and_then(|id| text(id, "/value"))
}

fn flagged(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if let Some(tags) = object.get("meta") {
                found.extend(coded(tags, "/tag", INDICATION));
            }
            object.values().for_each(|v| flagged(v, found));
        }
        Value::Array(items) => items.iter().for_each(|v| flagged(v, found)),
        _ => {}
    }
}

/// The Bundle under another `identifier.value`, every other octet as it was. `None` if it has none.
pub fn with_identifier(bytes: &[u8], value: &str) -> Option<Vec<u8>> {
    let mut at = Scan { bytes, at: 0 };
    let span = at.member("identifier")?.and_then(|()| at.member("value"))?.and_then(|()| at.value())?;
    let mut out = bytes.get(..span.0)?.to_vec();
    out.extend_from_slice(serde_json::to_string(value).ok()?.as_bytes());
    out.extend_from_slice(bytes.get(span.1..)?);
    Some(out)
}

/// A letter with a discharge summary inside, named by a section 210 of its own. `None`: it is no letter with sections,
/// or this summary is in it already.
pub fn with_nested(letter: &[u8], summary: &[u8]) -> Option<Vec<u8>> {
    let (outer, inner): (Value, Value) =
        (serde_json::from_slice(letter).ok()?, serde_json::from_slice(summary).ok()?);
    let id = inner.get("identifier").filter(|_| kind(&inner) == "Bundle")?;
    if entries(&outer).iter().any(|(_, r)| kind(r) == "Bundle" && r.get("identifier") == Some(id)) {
        return None;
    }
    // The same each time, so that the letter is.
    let hash = Sha256::digest(summary);
    let url =
        uuid::Builder::from_custom_bytes(hash.get(..16)?.try_into().ok()?).into_uuid().urn().to_string();
    let section = json!({
        "title": "添付情報",
        "code": { "coding": [{ "system": SECTION, "code": ATTACHED, "display": "添付情報セクション" }] },
        "text": {
            "status": "additional",
            "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">退院時サマリー</div>",
        },
        "entry": [{ "reference": url }],
    });
    let mut list = Scan { bytes: letter, at: 0 };
    list.member("entry")??;
    let mut first = Scan { bytes: letter, at: list.at };
    first.eat(b'[').then_some(())?;
    first.member("resource")??;
    first.member("section")??;
    // Before the brackets that end the sections and the entries; neither is empty in a letter.
    let (sections, entries) = (first.end_of_list()?, list.end_of_list()?);
    let mut out = Vec::with_capacity(letter.len() + summary.len() + 1024);
    out.extend_from_slice(letter.get(..sections)?);
    out.extend_from_slice(format!(",{section}").as_bytes());
    out.extend_from_slice(letter.get(sections..entries)?);
    out.extend_from_slice(format!(",{{\"fullUrl\":\"{url}\",\"resource\":").as_bytes());
    out.extend_from_slice(summary.trim_ascii());
    out.push(b'}');
    out.extend_from_slice(letter.get(entries..)?);
    Some(out)
}

/// Walks over JSON that has been parsed before, without changing it.
struct Scan<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Scan<'_> {
    fn space(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.space();
        let there = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(there);
        there
    }

    /// Steps into the object here, to before the value of a member. `None`: no such object; `Some(None)`: no such
    /// member.
    fn member(&mut self, name: &str) -> Option<Option<()>> {
        if !self.eat(b'{') {
            return None;
        }
        loop {
            let key = self.value()?;
            let key: String = serde_json::from_slice(self.bytes.get(key.0..key.1)?).ok()?;
            if !self.eat(b':') {
                return None;
            }
            if key == name {
                return Some(Some(()));
            }
            self.value()?;
            if !self.eat(b',') {
                return Some(None);
            }
        }
    }

    /// Steps over the value here; where it began and ended.
    fn value(&mut self) -> Option<(usize, usize)> {
        self.space();
        let begin = self.at;
        let mut depth = 0usize;
        loop {
            match *self.bytes.get(self.at)? {
                b'"' => self.string()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' => self.at += 1,
                b if b.is_ascii_whitespace() => self.at += 1,
                _ => {
                    while self.bytes.get(self.at).is_some_and(|b| !b",]}: \t\r\n".contains(b)) {
                        self.at += 1;
                    }
                }
            }
            if depth == 0 {
                return Some((begin, self.at));
            }
        }
    }

    /// Steps over the list here, which has something in it; where its bracket stands.
    fn end_of_list(&mut self) -> Option<usize> {
        let (begin, end) = self.value()?;
        let inside = self.bytes.get(begin..end)?.strip_prefix(b"[")?.strip_suffix(b"]")?;
        (!inside.trim_ascii().is_empty()).then(|| end - 1)
    }

    fn string(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            match self.bytes.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_identifier_changes() {
        let text = r#"{ "resourceType":"Bundle", "note": "a \"}{", "n": [1.00, -2e5, {"identifier": {"value": "x"}}],
            "identifier" : { "system":"s", "value" : "old" }, "timestamp": "t" }"#;
        let changed = with_identifier(text.as_bytes(), "n\"ew").unwrap();
        assert_eq!(String::from_utf8(changed).unwrap(), text.replace("\"old\"", "\"n\\\"ew\""));
        assert_eq!(with_identifier(br#"{"resourceType":"Bundle","entry":[]}"#, "x"), None);
        assert_eq!(with_identifier(b"[]", "x"), None);
    }

    #[test]
    fn a_summary_is_put_into_a_letter_and_nothing_else_changes() {
        let letter = r#"{"resourceType":"Bundle","entry":[{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Composition",
            "section":[{"title":"構造情報","section":[{"n":1.00}]} ] }},{"resource":{"resourceType":"Patient"}} ],"total":2.50}"#;
        let summary = r#"{"resourceType":"Bundle","identifier":{"value":"S"},"entry":[{"resource":{"resourceType":"Composition",
            "type":{"coding":[{"code":"18842-5"}]}}}]} "#;
        let both = with_nested(letter.as_bytes(), summary.as_bytes()).unwrap();
        let (read, value) = (read(&both).unwrap(), serde_json::from_slice::<Value>(&both).unwrap());
        assert_eq!(read.attachments, ["18842-5"]);
        let (section, entry) = (&value["entry"][0]["resource"]["section"][1], &value["entry"][2]);
        assert_eq!(section["code"]["coding"][0]["code"], ATTACHED);
        assert_eq!(section["entry"][0]["reference"], entry["fullUrl"]);
        let text = String::from_utf8(both.clone()).unwrap();
        assert!(text.contains(summary.trim()) && text.contains(r#"[{"n":1.00}]} ,"#), "{text}");
        assert!(text.ends_with(r#"],"total":2.50}"#), "{text}");
        assert_eq!(with_nested(&both, summary.as_bytes()), None, "it is in it");
        let bare =
            r#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Composition","section":[]}}]}"#;
        for other in [bare, "{}", r#"{"entry":[]}"#, "x"] {
            assert_eq!(with_nested(other.as_bytes(), summary.as_bytes()), None, "{other}");
        }
        assert_eq!(with_nested(letter.as_bytes(), br#"{"resourceType":"Bundle"}"#), None, "it has no name");
    }

    #[test]
    fn a_bundle_is_read() {
        let text = r#"{"resourceType":"Bundle","meta":{"profile":["http://jpfhir.jp/fhir/clins/StructureDefinition/JP_Bundle_CLINS|1"],
            "tag":[{"system":"http://jpfhir.jp/fhir/clins/CodeSystem/BundleResourceType_CS","code":"Condition"}]},
            "identifier":{"system":"s","value":"1319900018^2025^A"},"entry":[{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient",
            "identifier":[{"system":"http://jpfhir.jp/fhir/clins/Idsystem/JP_Insurance_memberID","value":"06990011:1:2:01"}]}},
            {"resource":{"resourceType":"Condition","meta":{"tag":[{"system":"http://jpfhir.jp/fhir/clins/CodeSystem/JP_ehrshrs_indication","code":"LTS"}]}}}]}"#;
        let facts = read(text.as_bytes()).unwrap();
        assert_eq!((facts.kind, facts.resource_type.as_deref()), (Some(Kind::Info), Some("Condition")));
        assert_eq!(facts.insured_id.as_deref(), Some("06990011:1:2:01"));
        assert_eq!(facts.flags, ["LTS"]);
        assert_eq!(read(b"{}"), None);
        assert_eq!(read(b"<xml/>"), None);
    }
}
