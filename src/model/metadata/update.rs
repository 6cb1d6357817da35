use super::Submission;
use crate::model::uuids::association_type;

/// What an association from the SubmissionSet of an update sets off. It is not kept itself.
/// ITI Metadata Update 3.57.4.1.3.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    UpdateAvailabilityStatus,
    SubmitAssociation,
}

impl Trigger {
    pub fn urn(self) -> &'static str {
        match self {
            Self::UpdateAvailabilityStatus => association_type::UPDATE_AVAILABILITY_STATUS,
            Self::SubmitAssociation => association_type::SUBMIT_ASSOCIATION,
        }
    }

    pub fn from_urn(urn: &str) -> Option<Self> {
        [Self::UpdateAvailabilityStatus, Self::SubmitAssociation].into_iter().find(|t| t.urn() == urn)
    }
}

/// A trigger as submitted. Its slots hold text nobody has judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerAssociation {
    pub entry_uuid: String,
    pub trigger: Trigger,
    pub source_object: String,
    pub target_object: String,
    /// Values of slot `OriginalStatus`.
    pub original_status: Vec<String>,
    /// Values of slot `NewStatus`.
    pub new_status: Vec<String>,
}

/// Everything one ITI-57 or ITI-92 message asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Update {
    pub submission: Submission,
    /// How many SubmissionSets came; one is right.
    pub submission_sets: usize,
    pub triggers: Vec<TriggerAssociation>,
    /// Slot `homeCommunityId` of the request: whom a restricted update is for.
    pub home_community_id: Option<String>,
}

impl Update {
    /// Ids of all objects as submitted.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let s = &self.submission;
        std::iter::once(&s.submission_set.entry_uuid)
            .chain(s.document_entries.iter().map(|d| &d.entry_uuid))
            .chain(s.folders.iter().map(|f| &f.entry_uuid))
            .chain(s.associations.iter().map(|a| &a.entry_uuid))
            .chain(self.triggers.iter().map(|t| &t.entry_uuid))
            .map(String::as_str)
    }
}
