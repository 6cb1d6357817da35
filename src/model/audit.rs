//! The record of who did what (ITI-20). A handler cannot answer without one: `Reply` in
//! `server/soap` carries both.
//!
//! [`AuditEvent`] is what we keep; [`compose`] makes the messages of DICOM PS3.15 A.5 of it, by the tables in
//! [`rows`] and [`kinds`].

pub mod compose;
pub mod facts;
pub mod japanese;
pub mod kinds;
pub mod message;
pub mod rows;

use serde::{Deserialize, Serialize};

pub use facts::{Act, Exchange, Facts, Held};

use super::caller::Caller;

/// `EventOutcomeIndicator` (DICOM PS3.15 A.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Outcome {
    #[default]
    Success = 0,
    /// PartialSuccess.
    MinorFailure = 4,
    /// Refused or failed.
    SeriousFailure = 8,
    /// The function is not available.
    MajorFailure = 12,
}

/// `transaction` of a record about a request whose transaction nobody knows: EventID EV(110113, DCM,
/// "Security Alert"), of type EV(110132, DCM, "Use of Restricted Function"), the only one DICOM CID 403
/// has for a request that asks for what is not to be had.
pub const SECURITY_ALERT: &str = "110113";

/// One audit record, before it becomes the XML of ITI-20.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// UUIDv7: sorts by time.
    pub id: String,
    /// Microseconds since 1970, UTC.
    pub at: i64,
    /// `ITI-41`; [`SECURITY_ALERT`] for a SOAP fault before the transaction was known; the key of a row of
    /// [`kinds`] for what is no transaction.
    pub transaction: String,
    pub outcome: Outcome,
    /// The request, or the last of several.
    pub request_id: String,
    /// Without an address where the record stands for faults of too many to tell apart.
    pub caller: Caller,
    /// Patients named by the request or touched by it, as CX text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patients: Vec<String>,
    /// The other community: `ihe:homeCommunityID` of a question between communities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home_community_id: Option<String>,
    /// SubmissionSet.uniqueId of a submission.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submission_set: Option<String>,
    /// DocumentEntry.uniqueId of documents that left or entered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<String>,
    /// entryUUIDs of objects that were to be removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
    /// The query as asked; results are never recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// IHE codes of what was refused, or code and subcode of a SOAP fault; never their contexts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// SOAP faults of one kind by one peer are recorded together: how many, when there is more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeated: Option<Repeated>,
    /// The address it was sent to, of a transaction of ours on behalf of the caller; absent where we were asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_to: Option<String>,
    /// What the message tells beside: addresses, ids of messages, where documents are kept.
    #[serde(default, skip_serializing_if = "Facts::is_empty")]
    pub facts: Facts,
}

/// Requests that share a record. Every one counts in exactly one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Repeated {
    pub times: u64,
    /// When the first and the last came, in microseconds since 1970, UTC.
    pub first: i64,
    pub last: i64,
}
