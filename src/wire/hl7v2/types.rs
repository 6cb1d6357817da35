//! Data types of PID and its neighbours, both ways: CX, XPN, XAD and XTN (HL7 v2.5 2.A), as Japan fills them
//! (SS-MIX2, JAHIS) and as the rest of the world does.

use super::escape;
use super::message::{Delimiters, Value};
use crate::model::identity::text::{joined, script_of};
use crate::model::identity::{
    Address, Authority, IdentityError, NameScript, NameUse, PersonName, Phone, PhoneUse, Place, SentId,
    Trouble, Warning,
};
use crate::model::ids::is_oid;

/// What is found wrong and what is found odd while a message is read.
#[derive(Debug, Default)]
pub struct Findings {
    pub errors: Vec<IdentityError>,
    pub warnings: Vec<Warning>,
}

impl Findings {
    pub fn error(&mut self, trouble: Trouble, place: Place, text: impl Into<String>) {
        self.errors.push(IdentityError { trouble, place, text: text.into() });
    }

    pub fn warn(&mut self, place: Place, text: impl Into<String>) {
        self.warnings.push(Warning { place, text: text.into() });
    }
}

/// Longest CX.1 taken: 15 by the standard, more where UUIDs are ids.
const ID: usize = 64;
/// HD.1 (HL7 v2.5 2.A.33) and HD.2.
const NAMESPACE: usize = 20;
const UNIVERSAL_ID: usize = 199;

/// An HD in a component, `ns&oid&ISO`. `None`: nothing at all is said.
pub fn authority(hd: Value<'_>, place: Place, findings: &mut Findings) -> Option<Authority> {
    if hd.is_empty() {
        return None;
    }
    let authority = Authority {
        namespace: hd.subcomponent(1).filled(),
        universal_id: hd.subcomponent(2).filled(),
        universal_id_type: hd.subcomponent(3).filled(),
    };
    if authority.namespace.is_none() && authority.universal_id.is_none() {
        findings.error(
            Trouble::NoAuthority,
            place.component(4),
            "the assigning authority is there, but empty",
        );
        return Some(authority);
    }
    let length = |part: &Option<String>| part.as_ref().map_or(0, |text| text.chars().count());
    if length(&authority.namespace) > NAMESPACE {
        let text = format!("the namespace of the assigning authority is longer than {NAMESPACE} characters");
        findings.error(Trouble::TooLong, place.component(4), text);
    }
    if length(&authority.universal_id) > UNIVERSAL_ID {
        let text =
            format!("the universal id of the assigning authority is longer than {UNIVERSAL_ID} characters");
        findings.error(Trouble::TooLong, place.component(4), text);
    }
    Some(authority)
}

/// A CX. `None`: no id, or one that is `""`, which is never an id.
pub fn cx(value: Value<'_>, place: Place, findings: &mut Findings) -> Option<SentId> {
    if value.is_hollow() {
        return None;
    }
    let id = value.component(1);
    if value.is_null() || id.is_null() {
        findings.warn(place, "an identifier that is \"\" was left out");
        return None;
    }
    let before = findings.errors.len();
    let authority = authority(value.component(4), place, findings).unwrap_or_default();
    let Some(text) = id.filled() else {
        findings.error(Trouble::Missing, place.component(1), "the repetition holds no identifier");
        return None;
    };
    if text.chars().count() > ID {
        let text = format!("the identifier is longer than {ID} characters");
        findings.error(Trouble::TooLong, place.component(1), text);
    }
    (findings.errors.len() == before).then(|| SentId {
        value: text,
        authority,
        type_code: value.component(5).filled(),
        place,
    })
}

/// A CX as text in the standard's delimiters, as the contract carries account numbers and mothers' ids.
pub fn cx_text(value: Value<'_>) -> Option<String> {
    if value.is_hollow() || value.is_null() || value.component(1).filled().is_none() {
        return None;
    }
    let text = escape::transcode(value.raw.trim_matches(' '), value.delimiters, Delimiters::STANDARD);
    Some(text.trim_end_matches(['^', ' ']).to_owned())
}

/// An XPN. `None`: it holds no name.
pub fn xpn(value: Value<'_>, place: Place, findings: &mut Findings) -> Option<PersonName> {
    let text = |n: usize| value.component(n).text();
    // XPN.1 is FN, whose first part is the surname.
    let family = value.component(1).subcomponent(1).text();
    let (given, middle) = (text(2), text(3));
    if family.is_empty() && given.is_empty() {
        return None;
    }
    let usage = match text(7).as_str() {
        "" | "L" | "C" | "U" => NameUse::Legal,
        "M" => NameUse::Maiden,
        "B" => NameUse::Birth,
        "A" | "N" => NameUse::Alias,
        "D" => NameUse::Display,
        "S" => NameUse::Pseudonym,
        _ => {
            findings.warn(place, "a name type (XPN.7) that is not known was read as legal");
            NameUse::Legal
        }
    };
    let mut name = PersonName { family, given, middle, script: None, usage };
    name.script = match text(8).as_str() {
        "I" => Some(NameScript::Ideographic),
        "P" => Some(NameScript::Phonetic),
        "A" => Some(NameScript::Alphabetic),
        _ => script_of(&name),
    };
    Some(name)
}

/// An XAD. `None`: it holds no address. Japan has the whole in XAD.8; elsewhere the parts are joined, largest first.
pub fn xad(value: Value<'_>) -> Option<Address> {
    let text = |n: usize| value.component(n).text();
    // XAD.1 is SAD, whose first part is the line a person writes.
    let street = value.component(1).subcomponent(1).text();
    let parts = [text(4), text(3), street, text(2)];
    let whole = text(8);
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    let japanese = !whole.is_ascii();
    let text_of = if parts.is_empty() || japanese { whole } else { joined(parts) };
    let address = Address { text: text_of, postal_code: text(5), country: text(6), usage: text(7) };
    (!address.text.is_empty() || !address.postal_code.is_empty()).then_some(address)
}

/// An XTN. `None`: it holds no telephone number (an e-mail address is none).
pub fn xtn(value: Value<'_>, field: PhoneUse) -> Option<Phone> {
    let text = |n: usize| value.component(n).text();
    let equipment = text(3);
    if matches!(equipment.as_str(), "Internet" | "X.400") || text(2) == "NET" {
        return None;
    }
    let by_parts = [text(5), text(6), text(7)].concat();
    let number = [text(12), text(1), by_parts].into_iter().find(|number| !number.is_empty())?;
    if number.contains('@') {
        return None;
    }
    let usage = match (text(2).as_str(), equipment.as_str()) {
        (_, "CP") => PhoneUse::Mobile,
        (_, "FX") => PhoneUse::Other,
        ("PRN" | "VHN", _) => PhoneUse::Home,
        ("WPN", _) => PhoneUse::Work,
        ("", _) => field,
        _ => PhoneUse::Other,
    };
    Some(Phone { number, usage })
}

/// A CX with all three parts of its authority, as answers have it (ITI TF-2 3.9.4.2.2.6).
#[derive(Clone, PartialEq, Eq)]
pub struct Identifier {
    pub value: String,
    pub namespace: String,
    pub oid: String,
}

impl std::fmt::Debug for Identifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identifier(…, {})", self.oid)
    }
}

/// Components, empty ones at the end left out.
pub fn components(parts: &[&str], delimiters: Delimiters) -> String {
    let used = parts.iter().rposition(|part| !part.is_empty()).map_or(0, |last| last + 1);
    let escaped: Vec<String> =
        parts.iter().take(used).map(|part| escape::escaped(part, delimiters)).collect();
    escaped.join(&delimiters.component.to_string())
}

/// Repetitions.
pub fn repetitions(values: impl IntoIterator<Item = String>, delimiters: Delimiters) -> String {
    values.into_iter().collect::<Vec<_>>().join(&delimiters.repetition.to_string())
}

pub fn write_cx(id: &Identifier, delimiters: Delimiters) -> String {
    let text = |part: &str| escape::escaped(part, delimiters);
    let (c, s) = (delimiters.component, delimiters.subcomponent);
    let (value, namespace, oid) = (text(&id.value), text(&id.namespace), text(&id.oid));
    let kind = if is_oid(&id.oid) { "ISO" } else { "" };
    match (namespace.is_empty(), oid.is_empty()) {
        (true, true) => format!("{value}{c}{c}{c}{c}PI"),
        (false, true) => format!("{value}{c}{c}{c}{namespace}{c}PI"),
        _ => format!("{value}{c}{c}{c}{namespace}{s}{oid}{s}{kind}{c}PI"),
    }
}

pub fn write_xpn(name: &PersonName, delimiters: Delimiters) -> String {
    let usage = match name.usage {
        NameUse::Legal => "L",
        NameUse::Maiden => "M",
        NameUse::Birth => "B",
        NameUse::Alias => "A",
        NameUse::Display => "D",
        NameUse::Pseudonym => "S",
    };
    let script = match name.script {
        Some(NameScript::Ideographic) => "I",
        Some(NameScript::Phonetic) => "P",
        Some(NameScript::Alphabetic) => "A",
        None => "",
    };
    components(&[&name.family, &name.given, &name.middle, "", "", "", usage, script], delimiters)
}

pub fn write_xad(address: &Address, delimiters: Delimiters) -> String {
    let Address { text, postal_code, country, usage } = address;
    components(&["", "", "", "", postal_code, country, usage, text], delimiters)
}

pub fn write_xtn(phone: &Phone, delimiters: Delimiters) -> String {
    let (usage, equipment) = match phone.usage {
        PhoneUse::Home => ("PRN", "PH"),
        PhoneUse::Work => ("WPN", "PH"),
        PhoneUse::Mobile => ("PRN", "CP"),
        PhoneUse::Other => ("ORN", "PH"),
    };
    components(&["", usage, equipment, "", "", "", "", "", "", "", "", &phone.number], delimiters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::identity::Field;

    fn value(raw: &str) -> Value<'_> {
        Value { raw, delimiters: Delimiters::STANDARD }
    }

    fn read_cx(raw: &str) -> (Option<SentId>, Findings) {
        let mut findings = Findings::default();
        let id = cx(value(raw), Place::nth(Field::Identifier, 2), &mut findings);
        (id, findings)
    }

    #[test]
    fn identifiers_keep_what_is_said_of_their_authority() {
        let (id, _) = read_cx("00012345^^^HOSPA&1.2.392.1&ISO^PI");
        let id = id.unwrap();
        assert_eq!((id.value.as_str(), id.type_code.as_deref()), ("00012345", Some("PI")));
        assert_eq!(id.authority.universal_id.as_deref(), Some("1.2.392.1"));
        assert!(read_cx("0000012345^^^^PI").0.unwrap().authority.is_empty());
        assert_eq!(read_cx("a^^^TEST ").0.unwrap().authority.namespace.as_deref(), Some("TEST"));
        for nothing in ["", "^^^&&", "^^^^"] {
            assert!(read_cx(nothing).0.is_none() && read_cx(nothing).1.errors.is_empty());
        }
        let (none, findings) = read_cx("\"\"^^^&2.71&ISO");
        assert!(none.is_none() && findings.errors.is_empty() && findings.warnings.len() == 1);
    }

    #[test]
    fn identifiers_earn_their_errors() {
        let long = "x".repeat(65);
        let cases = [
            ("RJ-438^^^&&", Trouble::NoAuthority, Some(4)),
            ("RJ^^^\"\"", Trouble::NoAuthority, Some(4)),
            ("^^^HOSPA", Trouble::Missing, Some(1)),
            (long.as_str(), Trouble::TooLong, Some(1)),
            ("a^^^ABCDEFGHIJKLMNOPQRSTU", Trouble::TooLong, Some(4)),
        ];
        for (raw, trouble, component) in cases {
            let (id, findings) = read_cx(raw);
            assert!(id.is_none(), "{raw}");
            assert_eq!(
                (findings.errors[0].trouble, findings.errors[0].place.component),
                (trouble, component)
            );
        }
    }

    #[test]
    fn scripts_are_inferred_where_they_are_not_said() {
        let read = |raw: &str| xpn(value(raw), Place::default(), &mut Findings::default()).unwrap().script;
        assert_eq!(read("五十嵐^まゆみ"), Some(NameScript::Ideographic));
        assert_eq!(read("ｲｶﾞﾗｼ^ﾏﾕﾐ"), Some(NameScript::Phonetic));
        assert_eq!(read("NGUYỄN^THI"), Some(NameScript::Alphabetic));
        assert_eq!(read("イガラシ^M"), None);
        assert_eq!(read("イガラシ^マユミ^^^^^L^I"), Some(NameScript::Ideographic));
        assert_eq!(read("患者　花子"), Some(NameScript::Ideographic));
        assert!(xpn(value("^^^^^^S"), Place::default(), &mut Findings::default()).is_none());
    }

    #[test]
    fn addresses_and_phones_are_read_in_both_fashions() {
        let japan = xad(value("^^^^422-8033^JPN^H^静岡県静岡市登呂１−３−５")).unwrap();
        assert_eq!(
            (japan.text.as_str(), japan.postal_code.as_str()),
            ("静岡県静岡市登呂１−３−５", "422-8033")
        );
        let abroad = xad(value("1 ST&1&ST^apt^CHICAGO^IL^60523^US^H^03 X")).unwrap();
        assert_eq!(abroad.text, "IL CHICAGO 1 ST apt");
        assert_eq!(xad(value("登呂１−３^^静岡市^静岡県")).unwrap().text, "静岡県静岡市登呂１−３");
        assert!(xad(value("^^^^^^H")).is_none());
        let phone = |raw: &str| xtn(value(raw), PhoneUse::Home).map(|p| (p.number, p.usage));
        assert_eq!(phone("^PRN^CP^^^^^^^^^090-1"), Some(("090-1".into(), PhoneUse::Mobile)));
        assert_eq!(phone("012-0001"), Some(("012-0001".into(), PhoneUse::Home)));
        assert_eq!(phone("^PRN^PH^^^712^7670867"), Some(("7127670867".into(), PhoneUse::Home)));
        assert_eq!(phone("^PRN^Internet^a@b"), None);
        assert_eq!(phone("a@b"), None);
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let d = Delimiters::STANDARD;
        let name = PersonName {
            family: "山|本".into(),
            given: "美&咲".into(),
            middle: String::new(),
            script: Some(NameScript::Ideographic),
            usage: NameUse::Maiden,
        };
        let written = write_xpn(&name, d);
        assert_eq!(xpn(value(&written), Place::default(), &mut Findings::default()), Some(name));
        let id = Identifier { value: "1".into(), namespace: "N".into(), oid: "1.2".into() };
        assert_eq!(write_cx(&id, d), "1^^^N&1.2&ISO^PI");
        let phone = Phone { number: "054-000".into(), usage: PhoneUse::Work };
        assert_eq!(xtn(value(&write_xtn(&phone, d)), PhoneUse::Home), Some(phone));
        let address = Address {
            text: "静岡県".into(),
            postal_code: "1".into(),
            country: "JPN".into(),
            usage: "H".into(),
        };
        assert_eq!(xad(value(&write_xad(&address, d))), Some(address));
        assert_eq!(cx_text(value("100^^^&1.2.3&ISO^^")), Some("100^^^&1.2.3&ISO".into()));
    }
}
