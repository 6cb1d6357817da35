use serde::{Deserialize, Serialize};

use super::{Author, AvailabilityStatus, Code, Extra};
use crate::model::ebrim::LocalizedString;
use crate::model::uuids;

/// DocumentEntry.objectType: fixed bytes, or bytes made at each retrieval (ITI TF-3 4.2.3.2.17).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum EntryType {
    #[default]
    Stable,
    OnDemand,
}

impl EntryType {
    pub fn urn(self) -> &'static str {
        match self {
            Self::Stable => uuids::object_type::STABLE,
            Self::OnDemand => uuids::object_type::ON_DEMAND,
        }
    }

    pub fn from_urn(urn: &str) -> Option<Self> {
        match urn {
            uuids::object_type::STABLE => Some(Self::Stable),
            uuids::object_type::ON_DEMAND => Some(Self::OnDemand),
            _ => None,
        }
    }

    pub fn to_i64(self) -> i64 {
        match self {
            Self::Stable => 1,
            Self::OnDemand => 2,
        }
    }
}

/// Metadata of one document. ITI TF-3 4.2.3.2, Table 4.2.3.2-1.
///
/// What must be there depends on the transaction, so it is `model::rules` that says so and not
/// these types: an entry read from a submission that broke rules is still a `DocumentEntry`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DocumentEntry {
    /// `urn:uuid:…`, or symbolic until the registry assigns one.
    #[serde(rename = "entryUUID")]
    pub entry_uuid: String,
    #[serde(rename = "logicalID", skip_serializing_if = "Option::is_none")]
    pub logical_id: Option<String>,
    /// 1 for the first; ITI-57 adds more.
    pub version: u32,
    pub availability_status: AvailabilityStatus,
    pub object_type: EntryType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub home_community_id: Option<String>,
    pub unique_id: String,
    pub patient_id: String,
    pub mime_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository_unique_id: Option<String>,
    /// SHA-1 in hex, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Octets, decimal, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub title: Vec<LocalizedString>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<LocalizedString>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub author: Vec<Author>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_code: Option<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_code: Option<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format_code: Option<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcare_facility_type_code: Option<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub practice_setting_code: Option<Code>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub confidentiality_code: Vec<Code>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub event_code_list: Vec<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_start_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_stop_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legal_authenticator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_patient_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source_patient_info: Vec<String>,
    #[serde(rename = "URI", skip_serializing_if = "Vec::is_empty")]
    pub uri: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reference_id_list: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_availability: Option<String>,
    /// The limitedMetadata marker was there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub limited_metadata: bool,
    #[serde(skip_serializing_if = "Extra::is_empty")]
    pub extra: Extra,
}

impl DocumentEntry {
    /// documentAvailability is Offline; absent means Online (ITI Metadata Update 4.2.3.2.30).
    pub fn is_offline(&self) -> bool {
        self.document_availability.as_deref() == Some(uuids::document_availability::OFFLINE)
    }
}
