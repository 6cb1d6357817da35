//! Patients as the registry knows them. The identity feeds of the MPI will fill the same rows.

use serde::{Deserialize, Serialize};

/// How the registry came to know a patient id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Knowledge {
    /// Told by an operator or an identity feed.
    Fed,
    /// Named by a submission while `registry.unknown_patients = "accept"`.
    Implied,
}

/// A patient id of the affinity domain and what helps people recognise it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Patient {
    /// `id^^^&oid&ISO`.
    pub patient_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_kanji: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_kana: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_romaji: Option<String>,
    /// `YYYYMMDD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth_date: Option<String>,
    /// HL7 table 0001: M, F, O, U.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sex: Option<String>,
}

/// Prints nothing of the patient: this type must be safe in any log line.
impl std::fmt::Debug for Patient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Patient(…)")
    }
}
