use serde::{Deserialize, Serialize};

use super::{AvailabilityStatus, Code, Extra};
use crate::model::ebrim::LocalizedString;

/// Documents grouped for one purpose. ITI TF-3 4.2.3.4, Table 4.2.3.4-1.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Folder {
    #[serde(rename = "entryUUID")]
    pub entry_uuid: String,
    #[serde(rename = "logicalID", skip_serializing_if = "Option::is_none")]
    pub logical_id: Option<String>,
    pub version: u32,
    pub availability_status: AvailabilityStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home_community_id: Option<String>,
    pub unique_id: String,
    pub patient_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub code_list: Vec<Code>,
    /// Set by the registry at each change of membership, to the second (ITI TF-3 4.2.3.4.6).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub title: Vec<LocalizedString>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<LocalizedString>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub limited_metadata: bool,
    #[serde(skip_serializing_if = "Extra::is_empty")]
    pub extra: Extra,
}
