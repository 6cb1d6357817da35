//! `[registry]`: which rules metadata must keep.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::fault::{Fault, Faults, unreadable};
use super::section::section;

use crate::model::codes::Vocabulary;
use crate::model::ebrim::ObjectKind;
use crate::model::rules::rules;

pub use crate::model::codes::CodeCheck;
pub use crate::model::rules::Profile;

/// What happens to a submission for a patient the registry does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownPatients {
    Reject,
    Accept,
}

/// What a query for a patient the registry does not know is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownPatientQuery {
    Empty,
    Error,
}

section! {
    /// The document registry (ITI-18, ITI-42, ITI-57, ITI-61, ITI-62, ITI-92).
    pub struct RegistryConfig {
        /// Whether this program is a registry.
        enabled: bool = true,
        /// The rules metadata must keep: `ihe` (the Technical Framework), or `jahis` (and the
        /// JAHIS guide's, where authorInstitution is required).
        rules: Profile = Profile::Jahis,
        /// Codes outside the vocabulary: `strict` refuses, `warn` accepts with a warning, `off`
        /// does not look.
        codes: CodeCheck = CodeCheck::Strict,
        /// Vocabulary files of the affinity domain. None: the built-in Japanese set.
        vocabularies: Vec<PathBuf> = vec![],
        /// A submission for an unknown patient: `reject` (XDSUnknownPatientId) or `accept`.
        unknown_patients: UnknownPatients = UnknownPatients::Reject,
        /// A query for an unknown patient: `empty` (no results) or `error` (XDSUnknownPatientId).
        unknown_patient_query: UnknownPatientQuery = UnknownPatientQuery::Empty,
        /// Whether listeners of role ops answer `GET /registry/as-of`: stored queries as of a moment.
        /// That is patients' data, so such a listener must be on loopback or its `tls` `mutual`.
        as_of: bool = false,
        /// Whether objects marked limitedMetadata are taken: they may leave out codes, times and authors.
        /// patientId, repositoryUniqueId, hash and size are owed all the same.
        limited_metadata: bool = false,
        /// Attributes of a DocumentEntry that a restricted update (ITI-92) must leave as they are in this
        /// network, beside those that the profile protects: `hash`, `size`, `typeCode` …
        /// (LocalPolicyRestrictionError).
        restricted_update_keeps: Vec<String> = vec![],
    }
}

impl RegistryConfig {
    pub(super) fn check(&self, list: &mut Vec<Fault>) {
        if !self.enabled {
            return;
        }
        let mut faults = Faults::of("registry", list);
        for name in &self.restricted_update_keeps {
            let attribute = format!("DocumentEntry.{name}");
            if !rules(ObjectKind::DocumentEntry).iter().any(|r| r.name == attribute) {
                faults.add(
                    "restricted_update_keeps",
                    format!("'{name}' is no attribute of a DocumentEntry; write it as in typeCode"),
                    format!(
                        "'{name}' は DocumentEntry の属性ではありません。typeCode のように書いてください"
                    ),
                );
            }
        }
        let mut texts = vec![];
        for (i, path) in self.vocabularies.iter().enumerate() {
            match std::fs::read_to_string(path) {
                Ok(text) => texts.push((path.display().to_string(), text)),
                Err(e) => {
                    let fault = unreadable(&faults.key(&format!("vocabularies[{i}]")), path, e);
                    faults.push(fault);
                }
            }
        }
        let named = texts.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        if let Err(e) = Vocabulary::parse(self.codes, named) {
            faults.add("vocabularies", e.to_string(), format!("語彙ファイルに誤りがあります: {e}"));
        }
    }
}
