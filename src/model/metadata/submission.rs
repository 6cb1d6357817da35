use super::{Association, DocumentEntry, Folder, SubmissionSet};
use crate::model::ebrim::ObjectKind;

/// Everything one ITI-41, ITI-42 or ITI-61 message asks to register.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Submission {
    pub submission_set: SubmissionSet,
    pub document_entries: Vec<DocumentEntry>,
    pub folders: Vec<Folder>,
    pub associations: Vec<Association>,
}

impl Submission {
    /// Which kind of object of this submission carries `id`, if one does.
    pub fn kind_of(&self, id: &str) -> Option<ObjectKind> {
        if self.submission_set.entry_uuid == id {
            Some(ObjectKind::SubmissionSet)
        } else if self.document_entries.iter().any(|d| d.entry_uuid == id) {
            Some(ObjectKind::DocumentEntry)
        } else if self.folders.iter().any(|f| f.entry_uuid == id) {
            Some(ObjectKind::Folder)
        } else if self.associations.iter().any(|a| a.entry_uuid == id) {
            Some(ObjectKind::Association)
        } else {
            None
        }
    }

    pub fn document_entry(&self, id: &str) -> Option<&DocumentEntry> {
        self.document_entries.iter().find(|d| d.entry_uuid == id)
    }

    pub fn folder(&self, id: &str) -> Option<&Folder> {
        self.folders.iter().find(|f| f.entry_uuid == id)
    }

    /// Every id in the message that names an object, with a way to change it.
    pub fn ids_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let documents = self.document_entries.iter_mut().map(|d| &mut d.entry_uuid);
        let folders = self.folders.iter_mut().map(|f| &mut f.entry_uuid);
        let associations = self.associations.iter_mut().map(|a| &mut a.entry_uuid);
        std::iter::once(&mut self.submission_set.entry_uuid)
            .chain(documents)
            .chain(folders)
            .chain(associations)
    }
}
