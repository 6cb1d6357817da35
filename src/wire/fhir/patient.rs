//! The Patient resource both ways: what a feed says of a patient, and what an answer says of one (FHIR R4 Patient;
//! JP Core JP_Patient).

use serde_json::{Map, Value, json};

use super::outcome::{Issue, IssueCode};
use super::{authority_of, system_of};
use crate::model::error::clip;
use crate::model::identity::text::{is_time, joined, script_of};
use crate::model::identity::{
    Address, Demographics, DomainId, Field, Insurance, NameScript, NameUse, PersonName, Phone, PhoneUse,
    Place, Sent, SentId, Update,
};

const REPRESENTATION: &str = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation";
const MOTHERS_MAIDEN_NAME: &str = "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName";
const JP_PATIENT: &str = "http://jpfhir.jp/fhir/core/StructureDefinition/JP_Patient";
/// 被保険者個人識別子, `保険者番号:記号:番号:枝番`: evidence of who somebody is, not an id of a domain.
const INSURANCE: &str = "http://jpfhir.jp/fhir/clins/Idsystem/JP_Insurance_memberID";
/// HL7 table 0203, for `identifier.type`.
const TYPES: &str = "http://terminology.hl7.org/CodeSystem/v2-0203";

/// Repetitions of anything at most, and characters of one text.
const MOST: usize = 100;
const LONGEST: usize = 4096;
/// Longest identifier taken, as on the other wires.
const ID: usize = 64;

/// `Patient.link` of type `replaced-by`.
#[derive(Clone, PartialEq, Eq)]
pub struct Link {
    /// `other.identifier`, or the one a conditional reference (`Patient?identifier=…`) names.
    pub identifier: Option<(String, String)>,
    /// `Patient/[id]`: our id of a person.
    pub id: Option<String>,
}

/// A Patient as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Read {
    pub ids: Vec<SentId>,
    pub sent: Sent,
    pub active: Option<bool>,
    pub replaced_by: Vec<Link>,
}

impl std::fmt::Debug for Read {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Read({:?})", self.ids)
    }
}

struct Reader {
    issues: Vec<Issue>,
}

/// Problems told of one resource.
const MOST_ISSUES: usize = 20;

impl Reader {
    fn issue(&mut self, code: IssueCode, at: &str, text: impl Into<String>) {
        if self.issues.len() < MOST_ISSUES {
            self.issues.push(Issue::error(code, text).at(at));
        }
    }

    /// A text that is there and says something.
    fn text(&mut self, of: &Value, key: &str, at: &str) -> Option<String> {
        match of.get(key) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.chars().count() > LONGEST => {
                self.issue(IssueCode::TooLong, at, format!("{key} is longer than {LONGEST} characters"));
                None
            }
            Some(Value::String(text)) => Some(text.trim().to_owned()).filter(|t| !t.is_empty()),
            Some(_) => {
                self.issue(IssueCode::Structure, at, format!("{key} is not a string"));
                None
            }
        }
    }

    fn flag(&mut self, of: &Value, key: &str) -> Option<bool> {
        match of.get(key) {
            None | Some(Value::Null) => None,
            Some(Value::Bool(flag)) => Some(*flag),
            Some(_) => {
                self.issue(
                    IssueCode::Structure,
                    &format!("Patient.{key}"),
                    format!("{key} is not a boolean"),
                );
                None
            }
        }
    }

    /// The objects of a list.
    fn list<'v>(&mut self, of: &'v Value, key: &str, at: &str) -> Vec<&'v Value> {
        match of.get(key) {
            None | Some(Value::Null) => vec![],
            Some(Value::Array(list)) if list.len() > MOST => {
                self.issue(IssueCode::TooLong, at, format!("{key} holds more than {MOST} elements"));
                vec![]
            }
            Some(Value::Array(list)) => {
                if !list.iter().all(Value::is_object) {
                    self.issue(IssueCode::Structure, at, format!("{key} holds what is no object"));
                }
                list.iter().filter(|v| v.is_object()).collect()
            }
            Some(_) => {
                self.issue(IssueCode::Structure, at, format!("{key} is not a list"));
                vec![]
            }
        }
    }

    /// The texts of a list.
    fn texts(&mut self, of: &Value, key: &str, at: &str) -> Vec<String> {
        match of.get(key) {
            None | Some(Value::Null) => vec![],
            Some(Value::Array(list)) => {
                if list.len() > MOST || !list.iter().all(|v| v.is_string() || v.is_null()) {
                    self.issue(IssueCode::Structure, at, format!("{key} is not a list of a few strings"));
                }
                let texts = list.iter().take(MOST).filter_map(Value::as_str);
                texts.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()).collect()
            }
            Some(_) => {
                self.issue(IssueCode::Structure, at, format!("{key} is not a list"));
                vec![]
            }
        }
    }
}

/// Reads a Patient, or names everything that is wrong with it.
pub fn read(resource: &Value) -> Result<Read, Vec<Issue>> {
    let mut reader = Reader { issues: vec![] };
    match resource.get("resourceType").and_then(Value::as_str) {
        Some("Patient") => {}
        Some(other) => {
            let text = format!("resourceType is '{}', not Patient", clip(other));
            return Err(vec![Issue::error(IssueCode::Structure, text).at("resourceType")]);
        }
        None => {
            let text = "the content is no FHIR resource: resourceType is missing";
            return Err(vec![Issue::error(IssueCode::Structure, text).at("resourceType")]);
        }
    }
    let (ids, insurances) = identifiers(&mut reader, resource);
    let sent = Sent {
        names: all(names(&mut reader, resource)),
        birth_date: one(birth_date(&mut reader, resource)),
        sex: one(gender(&mut reader, resource)),
        addresses: all(addresses(&mut reader, resource)),
        phones: all(phones(&mut reader, resource)),
        insurances: if insurances.is_empty() { Update::Keep } else { Update::Set(insurances) },
        mother_maiden_name: one(mothers_maiden_name(&mut reader, resource)),
        multiple_birth: one(reader.flag(resource, "multipleBirthBoolean")),
        birth_order: one(birth_order(&mut reader, resource)),
        deceased: one(deceased(&mut reader, resource)),
        ..Sent::default()
    };
    let active = reader.flag(resource, "active");
    let replaced_by = links(&mut reader, resource);
    match reader.issues.is_empty() {
        true => Ok(Read { ids, sent, active, replaced_by }),
        false => Err(reader.issues),
    }
}

/// An update replaces the resource: what it does not hold is no more (FHIR R4 3.1.0.4).
fn one<T>(value: Option<T>) -> Update<T> {
    value.map_or(Update::Delete, Update::Set)
}

fn all<T>(values: Vec<T>) -> Update<Vec<T>> {
    if values.is_empty() { Update::Delete } else { Update::Set(values) }
}

fn identifiers(reader: &mut Reader, resource: &Value) -> (Vec<SentId>, Vec<Insurance>) {
    let (mut ids, mut insurances) = (vec![], vec![]);
    for (n, identifier) in reader.list(resource, "identifier", "Patient.identifier").into_iter().enumerate() {
        let at = format!("Patient.identifier[{n}]");
        let system = reader.text(identifier, "system", &at);
        // Exactly as it is sent: leading zeros count.
        let Some(value) = reader.text(identifier, "value", &at) else { continue };
        if system.as_deref() == Some(INSURANCE) {
            match insurance(&value) {
                Some(insurance) => insurances.push(insurance),
                None => reader.issue(
                    IssueCode::Value,
                    &at,
                    "the member id is not of the form 保険者番号:記号:番号:枝番",
                ),
            }
            continue;
        }
        if value.chars().count() > ID {
            reader.issue(IssueCode::TooLong, &at, format!("the identifier is longer than {ID} characters"));
            continue;
        }
        let type_code = identifier
            .pointer("/type/coding")
            .and_then(Value::as_array)
            .and_then(|codings| {
                codings.iter().find(|c| c.get("system").and_then(Value::as_str) == Some(TYPES))
            })
            .and_then(|coding| coding.get("code"))
            .and_then(Value::as_str)
            .map(str::to_owned);
        ids.push(SentId {
            value,
            authority: system.map(|s| authority_of(&s)).unwrap_or_default(),
            type_code,
            place: Place::nth(Field::Identifier, u32::try_from(n + 1).unwrap_or(u32::MAX)),
        });
    }
    (ids, insurances)
}

/// `00012345:あいう:１８７:05`; empty parts keep their colons.
fn insurance(value: &str) -> Option<Insurance> {
    let parts: Vec<&str> = value.split(':').map(str::trim).collect();
    let [insurer, symbol, number, branch] = parts.as_slice() else { return None };
    (!insurer.is_empty() && !number.is_empty()).then(|| Insurance {
        insurer: (*insurer).to_owned(),
        symbol: (*symbol).to_owned(),
        number: (*number).to_owned(),
        branch: Some((*branch).to_owned()).filter(|b| !b.is_empty()),
    })
}

fn names(reader: &mut Reader, resource: &Value) -> Vec<PersonName> {
    let mut names = vec![];
    for (n, name) in reader.list(resource, "name", "Patient.name").into_iter().enumerate() {
        let at = format!("Patient.name[{n}]");
        let mut family = reader.text(name, "family", &at).unwrap_or_default();
        let given = reader.texts(name, "given", &at);
        if family.is_empty() && given.is_empty() {
            family = reader.text(name, "text", &at).unwrap_or_default();
        }
        if family.is_empty() && given.is_empty() {
            continue;
        }
        let usage = match name.get("use").and_then(Value::as_str) {
            None | Some("official" | "usual" | "temp") => NameUse::Legal,
            Some("maiden") => NameUse::Maiden,
            Some("old") => NameUse::Birth,
            Some("nickname") => NameUse::Alias,
            Some("anonymous") => NameUse::Pseudonym,
            Some(other) => {
                let text = format!("use '{}' is not in name-use", clip(other));
                reader.issue(IssueCode::CodeInvalid, &at, text);
                NameUse::Legal
            }
        };
        let said = reader.list(name, "extension", &at).into_iter().find_map(|extension| {
            let of = extension.get("url").and_then(Value::as_str) == Some(REPRESENTATION);
            extension.get("valueCode").and_then(Value::as_str).filter(|_| of).map(str::to_owned)
        });
        let mut given = given.into_iter();
        let mut name = PersonName {
            family,
            given: given.next().unwrap_or_default(),
            middle: given.collect::<Vec<_>>().join(" "),
            script: None,
            usage,
        };
        name.script = match said.as_deref() {
            Some("IDE") => Some(NameScript::Ideographic),
            Some("SYL") => Some(NameScript::Phonetic),
            Some("ABC") => Some(NameScript::Alphabetic),
            None => script_of(&name),
            Some(other) => {
                let text =
                    format!("iso21090-EN-representation '{}' is none of IDE, SYL and ABC", clip(other));
                reader.issue(IssueCode::CodeInvalid, &at, text);
                None
            }
        };
        names.push(name);
    }
    names
}

fn gender(reader: &mut Reader, resource: &Value) -> Option<String> {
    let said = reader.text(resource, "gender", "Patient.gender")?;
    let code = sex_of(&said);
    if code.is_none() {
        let text = format!("gender '{}' is not in administrative-gender", clip(&said));
        reader.issue(IssueCode::CodeInvalid, "Patient.gender", text);
    }
    code.map(str::to_owned)
}

/// Table 0001 of `administrative-gender`.
pub(super) fn sex_of(gender: &str) -> Option<&'static str> {
    match gender {
        "male" => Some("M"),
        "female" => Some("F"),
        "other" => Some("O"),
        "unknown" => Some("U"),
        _ => None,
    }
}

fn birth_date(reader: &mut Reader, resource: &Value) -> Option<String> {
    let said = reader.text(resource, "birthDate", "Patient.birthDate")?;
    let digits = date_digits(&said);
    if digits.is_none() {
        let text = format!("'{}' is no date of the calendar (YYYY, YYYY-MM or YYYY-MM-DD)", clip(&said));
        reader.issue(IssueCode::Value, "Patient.birthDate", text);
    }
    digits
}

/// `YYYY[-MM[-DD]]` without its hyphens.
pub(super) fn date_digits(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|p| p.len()).collect();
    let digits = parts.concat();
    (matches!(lengths.as_slice(), [4] | [4, 2] | [4, 2, 2]) && is_time(&digits, false)).then_some(digits)
}

/// A dateTime as HL7 v2 writes it.
fn time_digits(text: &str) -> Option<String> {
    let Some((date, time)) = text.split_once('T') else { return date_digits(text) };
    let (time, zone) = match time.find(['+', '-', 'Z']) {
        Some(at) => time.split_at(at),
        None => (time, ""),
    };
    let seconds = time.split('.').next().unwrap_or_default().replace(':', "");
    let zone = if zone == "Z" { "+0000".to_owned() } else { zone.replace(':', "") };
    let whole = format!("{}{seconds}{zone}", date_digits(date)?);
    is_time(&whole, false).then_some(whole)
}

fn deceased(reader: &mut Reader, resource: &Value) -> Option<String> {
    if let Some(said) = reader.text(resource, "deceasedDateTime", "Patient.deceased") {
        let digits = time_digits(&said);
        if digits.is_none() {
            let text = format!("'{}' is no time of the calendar", clip(&said));
            reader.issue(IssueCode::Value, "Patient.deceased", text);
        }
        return digits;
    }
    reader.flag(resource, "deceasedBoolean").filter(|dead| *dead).map(|_| String::new())
}

fn birth_order(reader: &mut Reader, resource: &Value) -> Option<i64> {
    let said = resource.get("multipleBirthInteger").filter(|v| !v.is_null())?;
    let order = said.as_i64().filter(|n| (1..=99).contains(n));
    if order.is_none() {
        reader.issue(IssueCode::Value, "Patient.multipleBirth", "multipleBirthInteger is no order of birth");
    }
    order
}

fn addresses(reader: &mut Reader, resource: &Value) -> Vec<Address> {
    let mut addresses = vec![];
    for (n, address) in reader.list(resource, "address", "Patient.address").into_iter().enumerate() {
        let at = format!("Patient.address[{n}]");
        let text = match reader.text(address, "text", &at) {
            Some(text) => text,
            None => {
                let mut parts: Vec<String> = ["state", "district", "city"]
                    .into_iter()
                    .filter_map(|key| reader.text(address, key, &at))
                    .collect();
                parts.extend(reader.texts(address, "line", &at));
                joined(parts.iter().map(String::as_str))
            }
        };
        let usage = match address.get("use").and_then(Value::as_str) {
            Some("home") => "H",
            Some("work") => "B",
            _ => "",
        };
        let address = Address {
            text,
            postal_code: reader.text(address, "postalCode", &at).unwrap_or_default(),
            country: reader.text(address, "country", &at).unwrap_or_default(),
            usage: usage.to_owned(),
        };
        if !address.text.is_empty() || !address.postal_code.is_empty() {
            addresses.push(address);
        }
    }
    addresses
}

fn phones(reader: &mut Reader, resource: &Value) -> Vec<Phone> {
    let mut phones = vec![];
    for (n, point) in reader.list(resource, "telecom", "Patient.telecom").into_iter().enumerate() {
        let at = format!("Patient.telecom[{n}]");
        if !matches!(point.get("system").and_then(Value::as_str), None | Some("phone" | "sms")) {
            continue;
        }
        let Some(number) = reader.text(point, "value", &at) else { continue };
        let usage = match point.get("use").and_then(Value::as_str) {
            Some("home") => PhoneUse::Home,
            Some("work") => PhoneUse::Work,
            Some("mobile") => PhoneUse::Mobile,
            _ => PhoneUse::Other,
        };
        phones.push(Phone { number, usage });
    }
    phones
}

fn mothers_maiden_name(reader: &mut Reader, resource: &Value) -> Option<PersonName> {
    let extension = reader
        .list(resource, "extension", "Patient.extension")
        .into_iter()
        .find(|e| e.get("url").and_then(Value::as_str) == Some(MOTHERS_MAIDEN_NAME))?;
    let family = reader.text(extension, "valueString", "Patient.extension")?;
    let mut name = PersonName { family, ..PersonName::default() };
    name.script = script_of(&name);
    Some(name)
}

fn links(reader: &mut Reader, resource: &Value) -> Vec<Link> {
    let mut links = vec![];
    for (n, link) in reader.list(resource, "link", "Patient.link").into_iter().enumerate() {
        if link.get("type").and_then(Value::as_str) != Some("replaced-by") {
            continue;
        }
        let at = format!("Patient.link[{n}].other");
        let identifier = link.pointer("/other/identifier").and_then(|i| {
            let text = |key: &str| i.get(key).and_then(Value::as_str).map(|t| t.trim().to_owned());
            Some((text("system")?, text("value")?))
        });
        let reference = link.pointer("/other/reference").and_then(Value::as_str).unwrap_or_default();
        let conditional = reference.rsplit_once("Patient?").and_then(|(_, query)| {
            let pairs = super::search::pairs(query).ok()?;
            let [(name, value)] = pairs.as_slice() else { return None };
            (name == "identifier").then(|| super::search::identifier_of(value))?
        });
        let id = reference.rsplit_once("Patient/").map(|(_, id)| id.to_owned()).filter(|id| is_id(id));
        let link = Link { identifier: identifier.or(conditional), id };
        if link.identifier.is_none() && link.id.is_none() {
            let text = "replaced-by names no Patient: other.identifier, 'Patient?identifier=system|value' or \
                        'Patient/[id]'";
            reader.issue(IssueCode::Value, &at, text);
        }
        links.push(link);
    }
    links
}

/// The `id` data type.
pub(super) fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

/// A person as JP Core has patients. `id` is the logical id.
pub fn write(id: &str, ids: &[DomainId], of: &Demographics) -> Value {
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| {
        let empty = value.as_array().is_some_and(Vec::is_empty);
        if !empty && !value.is_null() {
            out.insert(key.to_owned(), value);
        }
    };
    put("resourceType", json!("Patient"));
    put("id", json!(id));
    put("meta", json!({ "profile": [JP_PATIENT] }));
    if let Some(mother) = &of.mother_maiden_name {
        let name = joined([mother.family.as_str(), mother.given.as_str()]);
        put("extension", json!([{ "url": MOTHERS_MAIDEN_NAME, "valueString": name }]));
    }
    let identifiers: Vec<Value> =
        ids.iter().map(|id| json!({ "system": system_of(&id.domain), "value": id.value })).collect();
    put("identifier", identifiers.into());
    put("active", json!(true));
    put("name", of.names.iter().flatten().map(write_name).collect::<Vec<_>>().into());
    put("telecom", of.phones.iter().flatten().map(write_phone).collect::<Vec<_>>().into());
    let gender = of.sex.as_deref().map(|sex| match sex {
        "M" => "male",
        "F" => "female",
        "O" | "A" | "N" => "other",
        _ => "unknown",
    });
    put("gender", json!(gender));
    put("birthDate", json!(of.birth_date.as_deref().and_then(written_date)));
    if let Some(when) = of.deceased.as_deref() {
        match written_date(when) {
            Some(date) => put("deceasedDateTime", json!(date)),
            None => put("deceasedBoolean", json!(true)),
        }
    }
    put("address", of.addresses.iter().flatten().map(write_address).collect::<Vec<_>>().into());
    match (of.birth_order, of.multiple_birth) {
        (Some(order), _) => put("multipleBirthInteger", json!(order)),
        (None, multiple) => put("multipleBirthBoolean", json!(multiple)),
    }
    Value::Object(out)
}

/// Digits as a date, as far as they are known.
fn written_date(digits: &str) -> Option<String> {
    let part =
        |range: std::ops::Range<usize>| digits.get(range).filter(|p| p.bytes().all(|b| b.is_ascii_digit()));
    let year = part(0..4)?;
    let Some(month) = part(4..6).filter(|m| *m != "00") else { return Some(year.to_owned()) };
    match part(6..8).filter(|d| *d != "00") {
        Some(day) => Some(format!("{year}-{month}-{day}")),
        None => Some(format!("{year}-{month}")),
    }
}

fn write_name(name: &PersonName) -> Value {
    let usage = match name.usage {
        NameUse::Legal => "official",
        NameUse::Maiden => "maiden",
        NameUse::Birth => "old",
        NameUse::Alias => "nickname",
        NameUse::Display => "usual",
        NameUse::Pseudonym => "anonymous",
    };
    let mut out = Map::new();
    let script = name.script.map(|script| match script {
        NameScript::Ideographic => "IDE",
        NameScript::Phonetic => "SYL",
        NameScript::Alphabetic => "ABC",
    });
    if let Some(script) = script {
        out.insert("extension".into(), json!([{ "url": REPRESENTATION, "valueCode": script }]));
    }
    out.insert("use".into(), json!(usage));
    let parts = [&name.family, &name.given, &name.middle];
    let text: Vec<&str> = parts.iter().map(|p| p.as_str()).filter(|p| !p.is_empty()).collect();
    out.insert("text".into(), json!(text.join(" ")));
    if !name.family.is_empty() {
        out.insert("family".into(), json!(name.family));
    }
    let given: Vec<&String> = [&name.given, &name.middle].into_iter().filter(|g| !g.is_empty()).collect();
    if !given.is_empty() {
        out.insert("given".into(), json!(given));
    }
    Value::Object(out)
}

fn write_phone(phone: &Phone) -> Value {
    let usage = match phone.usage {
        PhoneUse::Home => Some("home"),
        PhoneUse::Work => Some("work"),
        PhoneUse::Mobile => Some("mobile"),
        PhoneUse::Other => None,
    };
    let mut out = json!({ "system": "phone", "value": phone.number });
    if let (Some(usage), Some(out)) = (usage, out.as_object_mut()) {
        out.insert("use".into(), json!(usage));
    }
    out
}

fn write_address(address: &Address) -> Value {
    let mut out = Map::new();
    let usage = match address.usage.as_str() {
        "H" => "home",
        "B" | "O" => "work",
        _ => "",
    };
    for (key, text) in [
        ("use", usage),
        ("text", address.text.as_str()),
        ("postalCode", address.postal_code.as_str()),
        ("country", address.country.as_str()),
    ] {
        if !text.is_empty() {
            out.insert(key.to_owned(), json!(text));
        }
    }
    Value::Object(out)
}
