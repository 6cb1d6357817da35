use serde::{Deserialize, Serialize};

use super::{Author, AvailabilityStatus, Code, Extra};
use crate::model::ebrim::LocalizedString;

/// What was sent together, by whom and when. ITI TF-3 4.2.3.3, Table 4.2.3.3-1.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubmissionSet {
    #[serde(rename = "entryUUID")]
    pub entry_uuid: String,
    /// Always Approved (ITI TF-3 4.2.3.3.2).
    pub availability_status: AvailabilityStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home_community_id: Option<String>,
    pub unique_id: String,
    pub patient_id: String,
    pub source_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type_code: Option<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submission_time: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub intended_recipient: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub author: Vec<Author>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub title: Vec<LocalizedString>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<LocalizedString>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub limited_metadata: bool,
    #[serde(skip_serializing_if = "Extra::is_empty")]
    pub extra: Extra,
}
