//! The words rules are written in: whom one speaks of ([`Audience`]) and which documents ([`Data`]). Each has one text
//! form, the same in the policy file, in CSV, in JSON and on the command line.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Whom a rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Audience {
    /// `*`
    #[default]
    All,
    /// `members`: facilities of this network, those listed in the policy file where it lists any.
    Members,
    /// `facility:OID`
    Facility(String),
    /// `group:NAME`, of the policy file.
    Group(String),
    /// `community:urn:oid:…`, another network.
    Community(String),
    /// `person:ID`: `user@issuer`, or the user's NameID alone.
    Person(String),
    /// `role:SYSTEM|CODE`; CODE may be `*`.
    Role { system: String, code: String },
    /// `patient`: the patient, by whatever shows documents to patients.
    Patient,
    /// `service:NAME`: a service documents are handed to, such as `national`.
    Service(String),
}

/// An attribute of a DocumentEntry that tells the kind of data (ITI TF-3 4.2.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attribute {
    ClassCode,
    TypeCode,
    FormatCode,
    EventCode,
    PracticeSettingCode,
    FacilityTypeCode,
    ConfidentialityCode,
}

impl Attribute {
    pub const ALL: [Attribute; 7] = [
        Self::ClassCode,
        Self::TypeCode,
        Self::FormatCode,
        Self::EventCode,
        Self::PracticeSettingCode,
        Self::FacilityTypeCode,
        Self::ConfidentialityCode,
    ];

    /// The framework's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClassCode => "classCode",
            Self::TypeCode => "typeCode",
            Self::FormatCode => "formatCode",
            Self::EventCode => "eventCodeList",
            Self::PracticeSettingCode => "practiceSettingCode",
            Self::FacilityTypeCode => "healthcareFacilityTypeCode",
            Self::ConfidentialityCode => "confidentialityCode",
        }
    }

    /// As `urn:ihe:iti:appc:2016:document-entry:…` calls it (IHE APPC).
    pub fn appc(self) -> &'static str {
        match self {
            Self::ClassCode => "class-code",
            Self::TypeCode => "type-code",
            Self::FormatCode => "format-code",
            Self::EventCode => "event-code",
            Self::PracticeSettingCode => "practice-setting-code",
            Self::FacilityTypeCode => "healthcare-facility-type-code",
            Self::ConfidentialityCode => "confidentiality-code",
        }
    }
}

/// Which documents a rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Data {
    /// `*`
    #[default]
    All,
    /// `@NAME`: a kind named in the policy file.
    Kind(String),
    /// `typeCode=CODE|SCHEME`, and so on.
    Code { attribute: Attribute, code: String, scheme: String },
}

/// A text that is no such word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is {wanted}")]
pub struct Unreadable {
    pub text: String,
    pub wanted: &'static str,
}

const AUDIENCE: &str = "no audience: *, members, facility:OID, group:NAME, community:urn:oid:…, person:ID, \
                        role:SYSTEM|CODE, patient or service:NAME";
const DATA: &str = "no kind of data: *, @NAME of the policy file, or ATTRIBUTE=CODE|SCHEME with classCode, typeCode, \
                    formatCode, eventCodeList, practiceSettingCode, healthcareFacilityTypeCode or confidentialityCode";

/// `urn:oid:1.2` and `1.2` are one facility.
pub fn plain_oid(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix("urn:oid:").unwrap_or(text)
}

impl FromStr for Audience {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let text = text.trim();
        let unreadable = || Unreadable { text: text.to_owned(), wanted: AUDIENCE };
        let read = match text {
            "*" | "" => return Ok(Self::All),
            "members" => return Ok(Self::Members),
            "patient" => return Ok(Self::Patient),
            _ => text.split_once(':'),
        };
        let (kind, value) = read.ok_or_else(unreadable)?;
        let value = value.trim();
        if value.is_empty() {
            return Err(unreadable());
        }
        Ok(match kind {
            "facility" => Self::Facility(plain_oid(value).to_owned()),
            "group" => Self::Group(value.to_owned()),
            "community" => Self::Community(format!("urn:oid:{}", plain_oid(value))),
            "person" => Self::Person(value.to_owned()),
            "service" => Self::Service(value.to_owned()),
            "role" => {
                let (system, code) = value.split_once('|').ok_or_else(unreadable)?;
                Self::Role { system: system.to_owned(), code: code.to_owned() }
            }
            _ => return Err(unreadable()),
        })
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Members => f.write_str("members"),
            Self::Facility(oid) => write!(f, "facility:{oid}"),
            Self::Group(name) => write!(f, "group:{name}"),
            Self::Community(home) => write!(f, "community:{home}"),
            Self::Person(id) => write!(f, "person:{id}"),
            Self::Role { system, code } => write!(f, "role:{system}|{code}"),
            Self::Patient => f.write_str("patient"),
            Self::Service(name) => write!(f, "service:{name}"),
        }
    }
}

impl FromStr for Data {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let text = text.trim();
        let unreadable = || Unreadable { text: text.to_owned(), wanted: DATA };
        if matches!(text, "*" | "") {
            return Ok(Self::All);
        }
        if let Some(name) = text.strip_prefix('@').filter(|name| !name.is_empty()) {
            return Ok(Self::Kind(name.to_owned()));
        }
        let (attribute, value) = text.split_once('=').ok_or_else(unreadable)?;
        let attribute =
            Attribute::ALL.into_iter().find(|a| a.as_str() == attribute.trim()).ok_or_else(unreadable)?;
        // As stored queries write codes, too (ITI TF-2 3.18.4.1.2.3.4).
        let (code, scheme) =
            value.split_once("^^").or_else(|| value.split_once('|')).ok_or_else(unreadable)?;
        if code.is_empty() || scheme.is_empty() {
            return Err(unreadable());
        }
        Ok(Self::Code { attribute, code: code.to_owned(), scheme: plain_oid(scheme).to_owned() })
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Kind(name) => write!(f, "@{name}"),
            Self::Code { attribute, code, scheme } => write!(f, "{}={code}|{scheme}", attribute.as_str()),
        }
    }
}

macro_rules! as_text {
    ($($Type:ty),*) => {
        $(
            impl Serialize for $Type {
                fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                    s.collect_str(self)
                }
            }

            impl<'de> Deserialize<'de> for $Type {
                fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                    String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
                }
            }
        )*
    };
}

as_text!(Audience, Data);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audiences_round_trip() {
        for text in [
            "*",
            "members",
            "facility:1.2.392.1",
            "group:薬局",
            "community:urn:oid:2.999.1",
            "person:yamada@https://idp.example.jp",
            "role:1.2.392.100495.1.6.1.1|Medical Doctor",
            "patient",
            "service:national",
        ] {
            assert_eq!(text.parse::<Audience>().map(|a| a.to_string()).as_deref(), Ok(text));
        }
        assert_eq!("facility:urn:oid:1.2".parse(), Ok(Audience::Facility("1.2".into())));
        for text in ["facility", "facility:", "role:x", "somebody:1", "members:1"] {
            assert!(text.parse::<Audience>().is_err(), "{text}");
        }
    }

    #[test]
    fn kinds_of_data_round_trip() {
        for text in ["*", "@精神科", "typeCode=18842-5|2.16.840.1.113883.6.1"] {
            assert_eq!(text.parse::<Data>().map(|a| a.to_string()).as_deref(), Ok(text));
        }
        assert_eq!("typeCode=1^^1.2".parse::<Data>().unwrap().to_string(), "typeCode=1|1.2");
        for text in ["@", "typeCode", "typeCode=1", "typeCode=|1.2", "title=x|y"] {
            assert!(text.parse::<Data>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_attribute_is_named_once() {
        for name in [Attribute::as_str as fn(Attribute) -> &'static str, Attribute::appc] {
            let names: std::collections::BTreeSet<_> = Attribute::ALL.into_iter().map(name).collect();
            assert_eq!(names.len(), Attribute::ALL.len());
        }
    }
}
