//! An object as a registry keeps it.

use serde::de::DeserializeOwned;

use super::{Association, AvailabilityStatus, DocumentEntry, Folder, MetadataObject, SubmissionSet};
use crate::model::ebrim::ObjectKind;

/// The object's JSON, and what the registry may have changed since.
///
/// An answer of many objects carries them so and reads each when it is written: the typed form of one
/// is two hundred small pieces of memory, which are still at hand for the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtRest {
    pub kind: ObjectKind,
    pub id: String,
    pub body: String,
    pub availability_status: AvailabilityStatus,
    /// Of DocumentEntries and Folders.
    pub version: u32,
    /// Of Folders.
    pub last_update_time: Option<String>,
}

/// The JSON cannot be read: a defect or damage. Only the id is told, for the rest is patient data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stored body of {id} cannot be read")]
pub struct CorruptBody {
    pub id: String,
}

impl AtRest {
    pub fn read(&self) -> Result<MetadataObject, CorruptBody> {
        Ok(match self.kind {
            ObjectKind::DocumentEntry => {
                let mut entry: Box<DocumentEntry> = self.json()?;
                entry.availability_status = self.availability_status;
                entry.version = self.version;
                MetadataObject::DocumentEntry(entry)
            }
            ObjectKind::SubmissionSet => {
                let mut set: Box<SubmissionSet> = self.json()?;
                set.availability_status = self.availability_status;
                MetadataObject::SubmissionSet(set)
            }
            ObjectKind::Folder => {
                let mut folder: Box<Folder> = self.json()?;
                folder.availability_status = self.availability_status;
                folder.version = self.version;
                folder.last_update_time.clone_from(&self.last_update_time);
                MetadataObject::Folder(folder)
            }
            ObjectKind::Association => {
                let mut association: Box<Association> = self.json()?;
                association.availability_status = self.availability_status;
                MetadataObject::Association(association)
            }
        })
    }

    fn json<T: DeserializeOwned>(&self) -> Result<T, CorruptBody> {
        serde_json::from_str(&self.body).map_err(|_| CorruptBody { id: self.id.clone() })
    }
}
