//! The record of who did what (ITI-20). A handler cannot answer without one: `Reply` in
//! `server/soap` carries both.

use serde::{Deserialize, Serialize};

use super::caller::Caller;

/// `EventOutcomeIndicator` (DICOM PS3.15 A.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    Success = 0,
    /// PartialSuccess.
    MinorFailure = 4,
    /// Refused or failed.
    SeriousFailure = 8,
    /// The function is not available.
    MajorFailure = 12,
}

/// One audit record, before it becomes the XML of ITI-20.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// UUIDv7: sorts by time.
    pub id: String,
    /// Microseconds since 1970, UTC.
    pub at: i64,
    /// `ITI-41`.
    pub transaction: String,
    pub outcome: Outcome,
    pub request_id: String,
    pub caller: Caller,
    /// Patients named by the request or touched by it, as CX text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patients: Vec<String>,
    /// SubmissionSet.uniqueId of a submission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submission_set: Option<String>,
    /// DocumentEntry.uniqueId of documents that left or entered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<String>,
    /// The query as asked; results are never recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// IHE codes of what was refused; never their contexts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}
