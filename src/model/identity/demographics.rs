//! What a sender says of a patient, as sent: nothing here is normalised, folded or judged.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A field of a feed. An empty field leaves what is known, HL7's `""` deletes it.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Update<T> {
    #[default]
    Keep,
    Delete,
    Set(T),
}

impl<T: Clone> Update<T> {
    /// What is known after it.
    pub fn over(&self, known: &mut Option<T>) {
        match self {
            Update::Keep => {}
            Update::Delete => *known = None,
            Update::Set(value) => *known = Some(value.clone()),
        }
    }
}

/// How a name is written: XPN.8, `iso21090-EN-representation`, `name/@use`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NameScript {
    /// `I`, `IDE`: kanji.
    Ideographic,
    /// `P`, `SYL`: kana.
    Phonetic,
    /// `A`, `ABC`: Latin letters.
    Alphabetic,
}

/// What a name is used for: XPN.7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum NameUse {
    /// `L`, and whatever says nothing.
    #[default]
    Legal,
    /// `M`: maiden name.
    Maiden,
    /// `B`: name at birth.
    Birth,
    /// `A`: alias (通称名).
    Alias,
    /// `D`: display name.
    Display,
    /// `S`: pseudonym; takes no part in matching.
    Pseudonym,
}

/// One name in one script. A whole name in one piece is a family name with an empty given name, as sent.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PersonName {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub family: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub given: String,
    /// XPN.3.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub middle: String,
    /// As said, or told by the characters where nothing was said; none where they do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<NameScript>,
    #[serde(default)]
    pub usage: NameUse,
}

/// XAD, `addr`, FHIR `Address`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Address {
    /// The address in one piece (XAD.8 in Japan), or its parts joined, largest first.
    pub text: String,
    /// As sent, with or without hyphen.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub postal_code: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub country: String,
    /// XAD.7: `H`, `B`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub usage: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PhoneUse {
    Home,
    Work,
    Mobile,
    Other,
}

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Phone {
    /// As sent.
    pub number: String,
    pub usage: PhoneUse,
}

/// 被保険者証: what of it is known. An absent branch (枝番) is not `00`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Insurance {
    /// 保険者番号.
    pub insurer: String,
    /// 記号, may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub symbol: String,
    /// 番号.
    pub number: String,
    /// 枝番, two digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
}

/// All that is known of one Identity at one time. Serialised as it is kept (`demographic_version`).
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Demographics {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<PersonName>>,
    /// `YYYY[MM[DD[hhmm…]]]` as sent; partial dates are legal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birth_date: Option<String>,
    /// HL7 table 0001 as sent: M F O U A N.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<Address>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phones: Option<Vec<Phone>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insurances: Option<Vec<Insurance>>,
    /// PID-6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mother_maiden_name: Option<PersonName>,
    /// PID-21, the mother's id as CX text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mother_id: Option<String>,
    /// PID-24: part of a multiple birth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multiple_birth: Option<bool>,
    /// PID-25.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birth_order: Option<i64>,
    /// PID-18, account number as CX text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// PID-30 with PID-29: `Some("")` dead, nobody says when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deceased: Option<String>,
    /// PID-31: nobody knows who this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<bool>,
    /// PID-33 or EVN-6: when the sender last changed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated: Option<String>,
}

/// Prints nothing of the patient: these types must be safe in any log line.
macro_rules! silent {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )*};
}
silent!(PersonName, Address, Phone, Insurance, Demographics);

impl<T> fmt::Debug for Update<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Update::Keep => "Keep",
            Update::Delete => "Delete",
            Update::Set(_) => "Set(…)",
        })
    }
}
