//! Data types, both ways: II, EN, AD, TEL, TS and codes (HL7 v3 Data Types R1, ITS UV), and `xsi:type` where it is
//! said.

use std::fmt;

use roxmltree::Node;

use super::problem::code;
use super::{Findings, attr, children};
use crate::model::error::clip;
use crate::model::identity::text::{is_time, joined, script_of};
use crate::model::identity::{Address, Authority, NameScript, NameUse, PersonName, Phone, PhoneUse};
use crate::model::namespace::NS_HL7V3;
use crate::wire::xml::{XmlWriter, tree};

pub const NS_XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// What `xsi:type` may say of an element of a data type: the type and those the schemas derive from it. Of `ANY`,
/// the one the framework asks for.
pub const II: &[&str] = &["II"];
pub const TS: &[&str] = &["TS"];
pub const IVL_TS: &[&str] = &["IVL_TS"];
pub const EN: &[&str] = &["EN", "PN", "ON", "TN"];
pub const AD: &[&str] = &["AD"];
pub const TEL: &[&str] = &["TEL"];
pub const CE: &[&str] = &["CE", "CV", "CS", "CO"];
pub const CS: &[&str] = &["CS"];
pub const BL: &[&str] = &["BL"];
pub const INT: &[&str] = &["INT"];

/// Longest identifier taken, as on the other wires.
pub const ID: usize = 64;

/// An II. `Debug` leaves the extension out, which may be a patient's id.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Ii {
    pub root: Option<String>,
    pub extension: Option<String>,
    pub authority_name: Option<String>,
}

impl fmt::Debug for Ii {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ii({}, …)", self.root.as_deref().unwrap_or("-"))
    }
}

impl Ii {
    pub fn of(root: impl Into<String>) -> Self {
        Self { root: Some(root.into()), ..Self::default() }
    }

    pub fn with(root: impl Into<String>, extension: impl Into<String>) -> Self {
        Self { extension: Some(extension.into()), ..Self::of(root) }
    }

    pub fn is_empty(&self) -> bool {
        self.root.is_none() && self.extension.is_none()
    }

    /// Root and extension in one word.
    pub fn key(&self) -> String {
        let root = self.root.as_deref().unwrap_or_default();
        match &self.extension {
            Some(extension) => format!("{root}^{extension}"),
            None => root.to_owned(),
        }
    }

    pub fn read(node: Node<'_, '_>) -> Self {
        let said = |name| attr(node, name).map(str::to_owned);
        Self {
            root: said("root"),
            extension: said("extension"),
            authority_name: said("assigningAuthorityName"),
        }
    }

    /// The authority it is of: root, else the authority's name.
    pub fn authority(&self) -> Authority {
        match &self.root {
            Some(root) => Authority { namespace: self.authority_name.clone(), ..Authority::oid(root) },
            None => Authority { namespace: self.authority_name.clone(), ..Authority::default() },
        }
    }

    pub fn write(&self, w: &mut XmlWriter<'static>, name: &'static str) {
        w.open(name);
        if self.is_empty() {
            w.attr("nullFlavor", "NI");
        }
        w.attr_opt("root", self.root.as_deref())
            .attr_opt("extension", self.extension.as_deref())
            .attr_opt("assigningAuthorityName", self.authority_name.as_deref())
            .close();
    }
}

/// A code and nothing else.
pub fn write_code(w: &mut XmlWriter<'static>, name: &'static str, code: &str) {
    w.empty(name, &[("code", code)]);
}

impl<'a, 'i> Findings<'a, 'i> {
    /// Holds `xsi:type`, where it is said, against the types that fit. A prefix is resolved, as the value is a QName.
    pub(super) fn typed(&mut self, node: Node<'a, 'i>, fits: &[&str]) {
        let Some(said) = tree::attr_ns(node, NS_XSI, "type") else { return };
        let (prefix, local) = match said.trim().split_once(':') {
            Some((prefix, local)) => (Some(prefix), local),
            None => (None, said.trim()),
        };
        let ns = node.lookup_namespace_uri(prefix);
        if ns != Some(NS_HL7V3) || !fits.contains(&local) {
            let text = format!(
                "xsi:type '{}' does not fit {}, which is {}",
                clip(said),
                node.tag_name().name(),
                fits.first().copied().unwrap_or_default()
            );
            self.problem(code::DATA_TYPE, node, text);
        }
    }

    /// An II that may name a patient.
    pub(super) fn ii(&mut self, node: Node<'a, 'i>) -> Ii {
        self.typed(node, II);
        let ii = Ii::read(node);
        if ii.extension.as_ref().is_some_and(|e| e.chars().count() > ID) {
            let text = format!("the extension of {} is longer than {ID} characters", node.tag_name().name());
            self.problem(code::DATA_TYPE, node, text);
        }
        if ii.root.as_ref().is_some_and(|root| !is_uid(root)) {
            let text = format!("the root of {} is neither an OID nor a UUID", node.tag_name().name());
            self.problem(code::DATA_TYPE, node, text);
        }
        ii
    }

    /// The value of a TS, or of an IVL_TS that is one moment.
    pub(super) fn time(&mut self, node: Node<'a, 'i>, fits: &[&str], unknown_parts: bool) -> Option<String> {
        self.typed(node, fits);
        let value = attr(node, "value")?;
        if !is_time(value, unknown_parts) {
            let text = format!("'{}' is no time of the calendar", clip(value));
            self.problem(code::DATA_TYPE, node, text);
            return None;
        }
        Some(value.to_owned())
    }

    pub(super) fn boolean(&mut self, node: Node<'a, 'i>) -> Option<bool> {
        self.typed(node, BL);
        match attr(node, "value")? {
            "true" => Some(true),
            "false" => Some(false),
            other => {
                self.problem(code::DATA_TYPE, node, format!("'{}' is neither true nor false", clip(other)));
                None
            }
        }
    }

    /// A number that is not negative.
    pub(super) fn number(&mut self, node: Node<'a, 'i>) -> Option<u64> {
        self.typed(node, INT);
        let value = attr(node, "value")?;
        let number = value.parse::<u64>().ok().filter(|n| i64::try_from(*n).is_ok());
        if number.is_none() {
            self.problem(
                code::DATA_TYPE,
                node,
                format!("'{}' is no number that can be meant here", clip(value)),
            );
        }
        number
    }

    /// An EN. `None`: it holds no name.
    pub(super) fn name(&mut self, node: Node<'a, 'i>) -> Option<PersonName> {
        self.typed(node, EN);
        let parts = |of: &'static str| {
            children(node, of).map(|p| tree::text_of(p).trim().to_owned()).filter(|t| !t.is_empty())
        };
        let mut family: Vec<String> = parts("family").collect();
        let given: Vec<String> = parts("given").collect();
        let whole = tree::text_of(node).trim().to_owned();
        if family.is_empty() && given.is_empty() && !whole.is_empty() {
            family.push(whole);
        }
        if family.is_empty() && given.is_empty() {
            return None;
        }
        let uses: Vec<&str> = attr(node, "use").unwrap_or_default().split_ascii_whitespace().collect();
        let has = |code: &str| uses.contains(&code);
        let birth = children(node, "family")
            .any(|f| attr(f, "qualifier").unwrap_or_default().split_ascii_whitespace().any(|q| q == "BR"));
        let usage = match () {
            () if has("P") => NameUse::Pseudonym,
            () if has("A") => NameUse::Alias,
            () if birth => NameUse::Birth,
            () => NameUse::Legal,
        };
        let mut given = given.into_iter();
        let mut name = PersonName {
            family: family.join(" "),
            given: given.next().unwrap_or_default(),
            middle: given.collect::<Vec<_>>().join(" "),
            script: None,
            usage,
        };
        name.script = match () {
            () if has("IDE") => Some(NameScript::Ideographic),
            () if has("SYL") => Some(NameScript::Phonetic),
            () if has("ABC") => Some(NameScript::Alphabetic),
            () => script_of(&name),
        };
        Some(name)
    }

    /// An AD. `None`: it holds no address.
    pub(super) fn address(&mut self, node: Node<'a, 'i>) -> Option<Address> {
        self.typed(node, AD);
        let part = |of: &'static str| {
            let texts: Vec<String> = children(node, of).map(|p| tree::text_of(p).trim().to_owned()).collect();
            joined(texts.iter().map(String::as_str))
        };
        let parts: Vec<String> = ADDRESS_PARTS.iter().map(|of| part(of)).collect();
        let mut text = joined(parts.iter().map(String::as_str));
        if text.is_empty() {
            text = tree::text_of(node).trim().to_owned();
        }
        let usage =
            attr(node, "use").unwrap_or_default().split_ascii_whitespace().find_map(|code| match code {
                "H" | "HP" | "HV" => Some("H"),
                "WP" | "DIR" | "PUB" => Some("B"),
                _ => None,
            });
        let address = Address {
            text,
            postal_code: part("postalCode"),
            country: part("country"),
            usage: usage.unwrap_or_default().to_owned(),
        };
        (!address.text.is_empty() || !address.postal_code.is_empty()).then_some(address)
    }

    /// A TEL. `None`: it is no telephone (fax and mail are none).
    pub(super) fn phone(&mut self, node: Node<'a, 'i>) -> Option<Phone> {
        self.typed(node, TEL);
        let value = attr(node, "value")?;
        let number = match value.split_once(':') {
            Some(("tel" | "TEL", number)) => number.trim(),
            Some(_) => return None,
            None if value.contains('@') => return None,
            None => value,
        };
        let uses: Vec<&str> = attr(node, "use").unwrap_or_default().split_ascii_whitespace().collect();
        let usage = match () {
            () if uses.contains(&"MC") => PhoneUse::Mobile,
            () if uses.iter().any(|u| matches!(*u, "H" | "HP" | "HV")) => PhoneUse::Home,
            () if uses.iter().any(|u| matches!(*u, "WP" | "DIR" | "PUB")) => PhoneUse::Work,
            () => PhoneUse::Other,
        };
        (!number.is_empty()).then(|| Phone { number: unescaped(number), usage })
    }
}

/// Parts of an address in the order of [`Address::text`].
const ADDRESS_PARTS: [&str; 9] = [
    "state",
    "county",
    "city",
    "precinct",
    "streetName",
    "streetAddressLine",
    "houseNumber",
    "additionalLocator",
    "unitID",
];

/// Blanks of a number, as a URL has them.
fn unescaped(number: &str) -> String {
    number.replace("%20", " ")
}

/// An OID, a UUID, or one of HL7's reserved words (`uid` of the schemas).
pub fn is_uid(text: &str) -> bool {
    let mut arcs = text.split('.');
    let number = |arc: &str| {
        !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()) && (arc == "0" || !arc.starts_with('0'))
    };
    let oid = matches!(arcs.next(), Some("0" | "1" | "2")) && arcs.all(number);
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    let uuid = lengths == [8, 4, 4, 4, 12] && text.bytes().all(|b| b == b'-' || b.is_ascii_alphanumeric());
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b == b'-' || b.is_ascii_alphanumeric());
    text.len() <= 199 && (oid || uuid || word)
}

/// `name` of a person.
pub fn write_name(w: &mut XmlWriter<'static>, element: &'static str, name: &PersonName) {
    let script = match name.script {
        Some(NameScript::Ideographic) => "IDE",
        Some(NameScript::Phonetic) => "SYL",
        Some(NameScript::Alphabetic) => "ABC",
        None => "",
    };
    let usage = match name.usage {
        NameUse::Alias => "A",
        NameUse::Pseudonym => "P",
        NameUse::Legal if script.is_empty() => "L",
        _ => "",
    };
    let uses = format!("{usage} {script}");
    w.open(element).attr_opt("use", Some(uses.trim()).filter(|u| !u.is_empty()));
    if !name.family.is_empty() {
        w.open("family");
        if matches!(name.usage, NameUse::Birth | NameUse::Maiden) {
            w.attr("qualifier", "BR");
        }
        w.text(&name.family).close();
    }
    for given in [&name.given, &name.middle].into_iter().filter(|given| !given.is_empty()) {
        w.leaf("given", given);
    }
    w.close();
}

pub fn write_address(w: &mut XmlWriter<'static>, element: &'static str, address: &Address) {
    let usage = match address.usage.as_str() {
        "H" => Some("H"),
        "B" | "O" => Some("WP"),
        _ => None,
    };
    w.open(element).attr_opt("use", usage);
    for (name, text) in [
        ("streetAddressLine", &address.text),
        ("postalCode", &address.postal_code),
        ("country", &address.country),
    ] {
        if !text.is_empty() {
            w.leaf(name, text);
        }
    }
    w.close();
}

pub fn write_phone(w: &mut XmlWriter<'static>, element: &'static str, phone: &Phone) {
    let usage = match phone.usage {
        PhoneUse::Home => Some("HP"),
        PhoneUse::Work => Some("WP"),
        PhoneUse::Mobile => Some("MC"),
        PhoneUse::Other => None,
    };
    let value = format!("tel:{}", phone.number.replace(' ', "%20"));
    w.open(element).attr_opt("use", usage).attr("value", &value).close();
}

/// A TS; one that the type cannot hold is not known.
pub fn write_time(w: &mut XmlWriter<'static>, name: &'static str, value: &str) {
    match is_time(value, true) {
        true => w.empty(name, &[("value", value)]),
        false => w.empty(name, &[("nullFlavor", "UNK")]),
    };
}

pub fn write_flag(w: &mut XmlWriter<'static>, name: &'static str, value: bool) {
    w.empty(name, &[("value", if value { "true" } else { "false" })]);
}

pub fn write_number(w: &mut XmlWriter<'static>, name: &'static str, value: u64) {
    w.empty(name, &[("value", &value.to_string())]);
}
