//! The ebRIM 3.0 shape every metadata object travels in: slots, classifications, external
//! identifiers. A neutral view between XML and the model people think in; the rule tables of
//! [`crate::model::rules`] count and check it, `wire/ebxml` reads and writes it.
//! ITI TF-3 4.2.3.1 and 4.2.3.2 say which attribute lives in which place.

use serde::{Deserialize, Serialize};

/// Which kind of registry object an ebRIM element carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    DocumentEntry,
    SubmissionSet,
    Folder,
    Association,
}

impl ObjectKind {
    pub fn as_str(self) -> &'static str {
        match self {
            ObjectKind::DocumentEntry => "DocumentEntry",
            ObjectKind::SubmissionSet => "SubmissionSet",
            ObjectKind::Folder => "Folder",
            ObjectKind::Association => "Association",
        }
    }
}

/// A named list of values. Kept in the order sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Slot {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot_type: Option<String>,
    #[serde(default)]
    pub values: Vec<String>,
}

/// One `LocalizedString` of a `Name` or `Description`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LocalizedString {
    pub value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charset: Option<String>,
}

/// A `Classification`: a code (scheme + node representation), an author, or a marker (node).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Classification {
    pub id: String,
    /// `classificationScheme`, e.g. `urn:uuid:41a5887f-…` for classCode.
    pub scheme: Option<String>,
    /// `classificationNode`, for markers.
    pub node: Option<String>,
    pub classified_object: String,
    pub node_representation: Option<String>,
    pub slots: Vec<Slot>,
    pub name: Vec<LocalizedString>,
}

/// An `ExternalIdentifier`: patientId, uniqueId or sourceId.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ExternalIdentifier {
    pub id: String,
    pub scheme: String,
    pub registry_object: String,
    pub value: String,
    pub name: Vec<LocalizedString>,
}

/// Any submitted object before it is known to be well formed as metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryObject {
    pub kind: ObjectKind,
    pub id: String,
    pub home: Option<String>,
    pub lid: Option<String>,
    pub object_type: Option<String>,
    pub status: Option<String>,
    pub mime_type: Option<String>,
    pub version_name: Option<String>,
    pub slots: Vec<Slot>,
    pub name: Vec<LocalizedString>,
    pub description: Vec<LocalizedString>,
    pub classifications: Vec<Classification>,
    pub external_identifiers: Vec<ExternalIdentifier>,
    /// Associations only.
    pub association_type: Option<String>,
    pub source_object: Option<String>,
    pub target_object: Option<String>,
}

impl RegistryObject {
    pub fn new(kind: ObjectKind, id: impl Into<String>) -> Self {
        Self {
            kind,
            id: id.into(),
            home: None,
            lid: None,
            object_type: None,
            status: None,
            mime_type: None,
            version_name: None,
            slots: vec![],
            name: vec![],
            description: vec![],
            classifications: vec![],
            external_identifiers: vec![],
            association_type: None,
            source_object: None,
            target_object: None,
        }
    }

    pub fn slot(&self, name: &str) -> Option<&Slot> {
        self.slots.iter().find(|s| s.name == name)
    }

    /// First value of the slot, if the slot is there and has one.
    pub fn slot_value(&self, name: &str) -> Option<&str> {
        self.slot(name)?.values.first().map(String::as_str)
    }

    pub fn classified_by<'s>(&'s self, scheme: &'s str) -> impl Iterator<Item = &'s Classification> {
        self.classifications.iter().filter(move |c| c.scheme.as_deref() == Some(scheme))
    }

    pub fn external_identifier(&self, scheme: &str) -> Option<&ExternalIdentifier> {
        self.external_identifiers.iter().find(|e| e.scheme == scheme)
    }
}

/// The text of a `Name` or `Description` in the first language given.
pub fn first_text(strings: &[LocalizedString]) -> Option<&str> {
    strings.first().map(|s| s.value.as_str())
}
