//! JP-CLINS Bundles made where a hospital has no FHIR: from HL7 v2.5 of an SS-MIX2 storage and from CDA R2 letters,
//! by the tables of national-service.md §10 and §11. Pure: clock, ids, masters and what the site does differently are
//! passed in, so the same source gives the same bytes.
//!
//! What cannot be mapped is said and never invented: no code, date, doctor or flag stands in a Bundle that was not in
//! its source, in the context, or in a master by exactly one row.
//!
//! | file | part |
//! | --- | --- |
//! | `v2/` | PPR^ZD1, ADT^A60, OUL^R22, RDE^O11 |
//! | `cda/` | HS008 letters, HS032 discharge summaries; HL7 wrapped in CDA |
//! | `rows` | which field goes where, as a table |
//! | `frame`, `parts`, `patient` | the Bundle; pieces that every resource has; the patient |
//! | `options`, `masters`, `csv` | what differs per site; code tables |
//! | `said` | what is said of a conversion |
//! | `json`, `text`, `time`, `ids`, `systems`, `ssmix2` | how things are written; file names of the storage |

use jiff::Timestamp;

use crate::model::identity::Demographics;

pub mod cda;
mod csv;
mod frame;
pub mod ids;
mod json;
pub mod masters;
pub mod options;
mod parts;
mod patient;
pub mod rows;
pub mod said;
pub mod ssmix2;
mod systems;
mod text;
mod time;
pub mod v2;

pub use cda::from_cda;
pub use masters::Masters;
pub use options::Options;
pub use said::{LeftOut, NotMade, NotMadeKey, Unmapped, Warning};
pub use v2::from_v2;

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 傷病名: the patient's whole list.
    Conditions,
    /// 薬剤アレルギー等, その他アレルギー等: the patient's whole list.
    Allergies,
    /// 検査, 感染症: one report.
    Laboratory,
    /// 診療情報提供書.
    Referral,
    /// 退院時サマリー.
    Discharge,
}

impl Kind {
    pub const ALL: &[Kind] =
        &[Kind::Conditions, Kind::Allergies, Kind::Laboratory, Kind::Referral, Kind::Discharge];

    pub fn code(self) -> &'static str {
        match self {
            Kind::Conditions => "conditions",
            Kind::Allergies => "allergies",
            Kind::Laboratory => "laboratory",
            Kind::Referral => "referral",
            Kind::Discharge => "discharge",
        }
    }

    pub fn parse(code: &str) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|kind| kind.code() == code)
    }

    /// The letter its Bundle-IDs begin with.
    pub fn letter(self) -> char {
        match self {
            Kind::Conditions => 'C',
            Kind::Allergies => 'A',
            Kind::Laboratory => 'L',
            Kind::Referral => 'R',
            Kind::Discharge => 'D',
        }
    }

    /// `Bundle.meta.tag` of a 5情報 Bundle.
    pub fn resource_type(self) -> Option<&'static str> {
        match self {
            Kind::Conditions => Some("Condition"),
            Kind::Allergies => Some("AllergyIntolerance"),
            Kind::Laboratory => Some("Observation"),
            Kind::Referral | Kind::Discharge => None,
        }
    }
}

/// The institution that sends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Institution {
    /// 医療機関番号10桁.
    pub number: String,
    pub name: Option<String>,
    pub address: Option<String>,
    pub phone: Option<String>,
}

/// All that a conversion depends on besides its source.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub institution: &'a Institution,
    /// 被保険者個人識別子 from online qualification. Without one IN1 is read, and a warning said.
    pub insured_id: Option<&'a str>,
    /// What the MPI knows of the patient: fills what the source lacks, replaces nothing.
    pub patient: Option<&'a Demographics>,
    pub masters: &'a Masters,
    pub options: &'a Options,
    /// When the Bundle is made: kept by the caller, so that a retry gives the same bytes.
    pub now: Timestamp,
    /// What names the unit through its versions; without one it is told from the content ([`Made::lineage`]).
    pub lineage: Option<&'a str>,
    /// The 文書ID of the first sending; never computed again once it was sent.
    pub bundle_id: Option<&'a str>,
    /// Messages that travel inside a letter: prescriptions (RDE^O11), laboratory reports, diagnoses, allergies.
    pub enclosed: &'a [&'a [u8]],
}

/// A Bundle, and what is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    pub kind: Kind,
    pub lineage: String,
    /// 文書ID.
    pub bundle_id: String,
    pub insured_id: said::Value,
    /// The patient's id in the institution.
    pub patient_id: said::Value,
    /// Destination of a letter: its 医療機関番号10桁.
    pub destination: Option<String>,
    /// The source corrects an earlier version: the operation is `change`.
    pub corrects: bool,
    /// FHIR JSON.
    pub bundle: Vec<u8>,
    pub unmapped: Vec<Unmapped>,
    pub left_out: Vec<LeftOut>,
    pub warnings: Vec<Warning>,
}

/// From whatever `bytes` are: a message, a letter, or a message wrapped in a CDA document (jahis-profile.md §3.1).
pub fn from_any(bytes: &[u8], context: &Context<'_>) -> Result<Made, Box<NotMade>> {
    match v2::is_message(bytes) {
        true => from_v2(bytes, context),
        false => from_cda(bytes, context),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_apart() {
        for (i, kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(Kind::parse(kind.code()), Some(*kind));
            assert!(Kind::ALL[..i].iter().all(|k| k.letter() != kind.letter()));
        }
        assert_eq!(Kind::parse("prescriptions"), None);
    }
}
