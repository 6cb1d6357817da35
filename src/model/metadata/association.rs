use serde::{Deserialize, Serialize};

use super::{AvailabilityStatus, Code, EntryType, Extra};
use crate::model::ebrim::LocalizedString;
use crate::model::uuids;

/// associationType. ITI TF-3 4.2.2, Table 4.2.2-1 and -2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AssociationType {
    HasMember,
    #[serde(rename = "APND")]
    Append,
    #[serde(rename = "XFRM")]
    Transform,
    #[serde(rename = "RPLC")]
    Replace,
    #[serde(rename = "XFRM_RPLC")]
    TransformReplace,
    #[serde(rename = "signs")]
    Signs,
    IsSnapshotOf,
}

impl AssociationType {
    pub const ALL: [AssociationType; 7] = [
        Self::HasMember,
        Self::Append,
        Self::Transform,
        Self::Replace,
        Self::TransformReplace,
        Self::Signs,
        Self::IsSnapshotOf,
    ];

    pub fn urn(self) -> &'static str {
        match self {
            Self::HasMember => uuids::association_type::HAS_MEMBER,
            Self::Append => uuids::association_type::APND,
            Self::Transform => uuids::association_type::XFRM,
            Self::Replace => uuids::association_type::RPLC,
            Self::TransformReplace => uuids::association_type::XFRM_RPLC,
            Self::Signs => uuids::association_type::SIGNS,
            Self::IsSnapshotOf => uuids::association_type::IS_SNAPSHOT_OF,
        }
    }

    pub fn from_urn(urn: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.urn() == urn)
    }

    /// From a new DocumentEntry to an older one (ITI TF-3 4.2.2.2).
    pub fn is_relationship(self) -> bool {
        self != Self::HasMember
    }

    /// Whether such a relationship may lead from an entry of one type to one of another. A snapshot is a
    /// stable document of an on-demand one, and that is all a stable entry can be to it: what changes with
    /// each retrieval has no addendum, no transformation and no stable successor (ITI TF-3 4.2.2.2).
    pub fn joins(self, source: EntryType, target: EntryType) -> bool {
        let of_changing = source == EntryType::Stable && target == EntryType::OnDemand;
        of_changing == (self == Self::IsSnapshotOf)
    }

    /// The target is superseded by the source.
    pub fn replaces(self) -> bool {
        matches!(self, Self::Replace | Self::TransformReplace)
    }
}

/// Slot `SubmissionSetStatus` on SubmissionSet–DocumentEntry HasMember (ITI TF-3 4.2.2.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SubmissionSetStatus {
    Original,
    Reference,
}

/// A typed arrow between two objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Association {
    #[serde(rename = "entryUUID")]
    pub entry_uuid: String,
    pub association_type: AssociationType,
    pub source_object: String,
    pub target_object: String,
    #[serde(default)]
    pub availability_status: AvailabilityStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home_community_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submission_set_status: Option<SubmissionSetStatus>,
    /// associationPropagation, PreviousVersion and whatever else came.
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    pub extra: Extra,
    /// associationDocumentation code of an XFRM (ITI TF-3 4.2.2.2.6).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documentation: Vec<Code>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub title: Vec<LocalizedString>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<LocalizedString>,
}

impl Association {
    pub fn new(kind: AssociationType, id: String, source: &str, target: &str) -> Self {
        Self {
            entry_uuid: id,
            association_type: kind,
            source_object: source.to_owned(),
            target_object: target.to_owned(),
            availability_status: AvailabilityStatus::Approved,
            home_community_id: None,
            submission_set_status: None,
            extra: Extra::default(),
            documentation: vec![],
            title: vec![],
            comments: vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_snapshot_leads_from_what_stays_to_what_changes() {
        use EntryType::{OnDemand, Stable};
        for kind in AssociationType::ALL {
            let snapshot = kind == AssociationType::IsSnapshotOf;
            assert_eq!(kind.joins(Stable, OnDemand), snapshot);
            for (source, target) in [(Stable, Stable), (OnDemand, OnDemand), (OnDemand, Stable)] {
                assert_eq!(kind.joins(source, target), !snapshot);
            }
        }
    }
}
