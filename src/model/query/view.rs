use crate::model::metadata::AvailabilityStatus;
use crate::model::uuids::document_availability;

/// `$MetadataLevel`: how much of what Metadata Update brought a consumer can take
/// (ITI Metadata Update 3.18.4.1.2.3.5.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MetadataLevel {
    /// The latest versions of documents that are Online, Approved Folders, Approved Associations.
    #[default]
    One,
    /// Everything.
    Two,
}

/// Which states of things a query shows, beside what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct View {
    pub level: MetadataLevel,
    /// `$XDSAssociationStatus`: Approved, Deprecated. Not given: as the level has it.
    pub association_status: Option<(bool, bool)>,
}

impl View {
    pub fn everything(&self) -> bool {
        self.level == MetadataLevel::Two
    }

    /// Whether Associations of a status are shown, and followed.
    pub fn shows_association(&self, status: AvailabilityStatus) -> bool {
        let (approved, deprecated) = self.association_status.unwrap_or((true, true));
        match status {
            AvailabilityStatus::Approved => approved,
            AvailabilityStatus::Deprecated => deprecated && self.everything(),
        }
    }
}

/// DocumentEntry.documentAvailability (ITI Metadata Update 4.2.3.2.30).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentAvailability {
    Online,
    Offline,
}

impl DocumentAvailability {
    pub fn from_urn(urn: &str) -> Option<Self> {
        match urn {
            document_availability::ONLINE => Some(Self::Online),
            document_availability::OFFLINE => Some(Self::Offline),
            _ => None,
        }
    }
}
