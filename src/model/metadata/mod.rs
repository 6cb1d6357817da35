//! The objects people think in: DocumentEntry, SubmissionSet, Folder, Association, Submission.
//!
//! Field names are the attribute names of ITI TF-3 4.2.3.2 in Rust case; the JSON names are the
//! attribute names themselves, because these structs are also the rows at rest and an operator
//! reads them. Text is kept as sent (times stay DTM text, identifiers stay HL7 text), and what the
//! framework does not name is kept in `extra_*`, so an answer gives back what was submitted.

mod association;
mod at_rest;
mod document_entry;
mod folder;
mod submission;
mod submission_set;
mod update;

pub use association::{Association, AssociationType, SubmissionSetStatus};
pub use at_rest::{AtRest, CorruptBody};
pub use document_entry::{DocumentEntry, EntryType};
pub use folder::Folder;
pub use submission::Submission;
pub use submission_set::SubmissionSet;
pub use update::{Trigger, TriggerAssociation, Update};

use serde::{Deserialize, Serialize};

use super::ebrim::{Classification, ExternalIdentifier, LocalizedString, Slot};
use super::uuids;

/// A coded value: `Classification` with scheme and node representation. ITI TF-3 4.2.3.1.2.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Code {
    pub code: String,
    /// `codingScheme`: an OID or a URI.
    pub scheme: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub display: Vec<LocalizedString>,
    /// Slots beside `codingScheme`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_slots: Vec<Slot>,
}

impl Code {
    /// `code^^scheme`, the form stored queries compare (ITI TF-2 3.18.4.1.2.3.4).
    pub fn query_form(&self) -> String {
        format!("{}^^{}", self.code, self.scheme)
    }
}

/// ITI TF-3 4.2.3.2.1. Positions in the lists do not correspond to each other.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Author {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub author_person: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub author_institution: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub author_role: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub author_specialty: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub author_telecommunication: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_slots: Vec<Slot>,
}

/// availabilityStatus of a DocumentEntry, Folder or Association.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum AvailabilityStatus {
    #[default]
    Approved,
    Deprecated,
}

impl AvailabilityStatus {
    pub fn urn(self) -> &'static str {
        match self {
            Self::Approved => uuids::status::APPROVED,
            Self::Deprecated => uuids::status::DEPRECATED,
        }
    }

    pub fn from_urn(urn: &str) -> Option<Self> {
        match urn {
            uuids::status::APPROVED => Some(Self::Approved),
            uuids::status::DEPRECATED => Some(Self::Deprecated),
            _ => None,
        }
    }

    /// How the database keeps it.
    pub fn to_i64(self) -> i64 {
        match self {
            Self::Approved => 1,
            Self::Deprecated => 2,
        }
    }

    /// 3 is a Deprecated object that a newer version took the place of.
    pub fn from_i64(value: i64) -> Self {
        if matches!(value, 2 | 3) { Self::Deprecated } else { Self::Approved }
    }
}

/// What any registry object may carry that the framework does not name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Extra {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<Slot>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classifications: Vec<Classification>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub external_identifiers: Vec<ExternalIdentifier>,
}

impl Extra {
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.classifications.is_empty() && self.external_identifiers.is_empty()
    }
}

/// Any registry object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataObject {
    DocumentEntry(Box<DocumentEntry>),
    SubmissionSet(Box<SubmissionSet>),
    Folder(Box<Folder>),
    Association(Box<Association>),
}

impl MetadataObject {
    /// entryUUID.
    pub fn id(&self) -> &str {
        match self {
            Self::DocumentEntry(o) => &o.entry_uuid,
            Self::SubmissionSet(o) => &o.entry_uuid,
            Self::Folder(o) => &o.entry_uuid,
            Self::Association(o) => &o.entry_uuid,
        }
    }

    pub fn home_community_id(&self) -> Option<&str> {
        match self {
            Self::DocumentEntry(o) => o.home_community_id.as_deref(),
            Self::SubmissionSet(o) => o.home_community_id.as_deref(),
            Self::Folder(o) => o.home_community_id.as_deref(),
            Self::Association(o) => o.home_community_id.as_deref(),
        }
    }

    /// Says whose it is, to another community (ITI TF-3 4.2.3.2.12).
    pub fn set_home_community_id(&mut self, home: &str) {
        let own = match self {
            Self::DocumentEntry(o) => &mut o.home_community_id,
            Self::SubmissionSet(o) => &mut o.home_community_id,
            Self::Folder(o) => &mut o.home_community_id,
            Self::Association(o) => &mut o.home_community_id,
        };
        *own = Some(home.to_owned());
    }
}
