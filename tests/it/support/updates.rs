//! Updates of what a gateway holds, and questions about what became of it.

use chiren::model::ebrim::Slot;
use chiren::model::metadata::{
    Association, AssociationType, AvailabilityStatus, DocumentEntry, Folder, MetadataObject, Submission,
    Trigger, TriggerAssociation, Update,
};
use chiren::model::uuids::slot;
use chiren::wire::ebxml::query::AdhocQueryRequest;

use super::Gateway;
use super::samples::*;

pub const GET_FOLDERS: &str = "urn:uuid:5737b14c-8a1a-4539-b659-e03a34a5e1e4";
pub const GET_ASSOCIATIONS: &str = "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155";

/// A SubmissionSet and nothing else: not an update yet.
pub fn update() -> Update {
    let submission = Submission { submission_set: submission_set(), ..Submission::default() };
    Update { submission, submission_sets: 1, ..Update::default() }
}

/// A slot of an association.
pub fn annotate(a: &mut Association, name: &str, value: &str) {
    a.extra.slots.retain(|s| s.name != name);
    a.extra.slots.push(Slot { name: name.into(), slot_type: None, values: vec![value.into()] });
}

/// The next version of an entry, as `id`, unchanged so far.
pub fn next_entry(mut u: Update, id: &str, entry: &DocumentEntry) -> Update {
    let member = format!("A-{id}");
    u.submission.associations.push(linked(original(&member, id), entry.version));
    u.submission.document_entries.push(DocumentEntry { entry_uuid: id.into(), ..entry.clone() });
    u
}

/// The next version of a Folder.
pub fn next_folder(mut u: Update, id: &str, folder: &Folder) -> Update {
    let member = format!("A-{id}");
    u.submission.associations.push(linked(has_member(&member, "SS", id), folder.version));
    u.submission.folders.push(Folder { entry_uuid: id.into(), ..folder.clone() });
    u
}

fn linked(mut member: Association, version: u32) -> Association {
    annotate(&mut member, slot::PREVIOUS_VERSION, &version.to_string());
    member
}

/// AssociationPropagation of the version `id`.
pub fn propagation(mut u: Update, id: &str, value: &str) -> Update {
    let member = u.submission.associations.iter_mut().find(|a| a.target_object == id).expect("a member");
    annotate(member, slot::ASSOCIATION_PROPAGATION, value);
    u
}

/// A change of status.
pub fn status_of(mut u: Update, target: &str, from: AvailabilityStatus, to: AvailabilityStatus) -> Update {
    u.triggers.push(TriggerAssociation {
        entry_uuid: format!("T{}", u.triggers.len() + 1),
        trigger: Trigger::UpdateAvailabilityStatus,
        source_object: "SS".into(),
        target_object: target.into(),
        original_status: vec![from.urn().into()],
        new_status: vec![to.urn().into()],
    });
    u
}

/// A new association.
pub fn submit(mut u: Update, kind: AssociationType, id: &str, source: &str, target: &str) -> Update {
    u.submission.associations.push(Association::new(kind, id.into(), source, target));
    u.triggers.push(TriggerAssociation {
        entry_uuid: format!("T{}", u.triggers.len() + 1),
        trigger: Trigger::SubmitAssociation,
        source_object: "SS".into(),
        target_object: id.into(),
        original_status: vec![],
        new_status: vec![],
    });
    u
}

/// The same query at `$MetadataLevel` 2.
pub fn everything(mut request: AdhocQueryRequest) -> AdhocQueryRequest {
    request.slots.push(Slot { name: "$MetadataLevel".into(), slot_type: None, values: vec!["2".into()] });
    request
}

impl Gateway {
    /// The latest version of each of a patient's entries, whatever its status.
    pub async fn entries(&self, patient: &str) -> Vec<DocumentEntry> {
        self.soap().query(&get_all(patient)).await.entries()
    }

    /// The only one, but for those in `except`.
    pub async fn entry(&self, patient: &str) -> DocumentEntry {
        let mut entries = self.entries(patient).await;
        assert_eq!(entries.len(), 1, "{entries:#?}");
        entries.remove(0)
    }

    pub async fn folder(&self, patient: &str) -> Folder {
        let mut folders = self.soap().query(&get_all(patient)).await.folders();
        assert_eq!(folders.len(), 1, "{folders:#?}");
        folders.remove(0)
    }

    /// All versions of an entry, by version.
    pub async fn versions(&self, entry: &DocumentEntry) -> Vec<DocumentEntry> {
        let lid = entry.logical_id.as_deref().expect("a logicalID");
        let request = everything(query(GET_DOCUMENTS, vec![list("$XDSDocumentEntryLogicalID", &[lid])]));
        let mut versions = self.soap().query(&request).await.entries();
        versions.sort_by_key(|e| e.version);
        versions
    }

    pub async fn folder_versions(&self, folder: &Folder) -> Vec<Folder> {
        let lid = folder.logical_id.as_deref().expect("a logicalID");
        let request = everything(query(GET_FOLDERS, vec![list("$XDSFolderLogicalID", &[lid])]));
        let mut versions = self.soap().query(&request).await.folders();
        versions.sort_by_key(|f| f.version);
        versions
    }

    /// Every association at an object, of any status.
    pub async fn associations(&self, id: &str) -> Vec<Association> {
        let request = everything(query(GET_ASSOCIATIONS, vec![list("$uuid", &[id])]));
        self.soap().query(&request).await.associations()
    }

    /// Everything a patient ever had that is not removed.
    pub async fn all(&self, patient: &str) -> Vec<MetadataObject> {
        self.soap().query(&everything(get_all(patient))).await.objects()
    }

    /// Chains, rows and past states agree.
    pub async fn assert_verified(&self) {
        let verify = chiren::service::verify::Verify::new(self.rooms().db.clone(), None);
        let moment = self.clock.now().as_microsecond();
        let scope = chiren::service::verify::Scope { moment, expect: None, documents: false, limit: 10 };
        let report = verify.run(&scope, &|_| {}).await.expect("the history is read");
        assert_eq!(report.faults, 0, "{:#?}", report.findings);
    }
}
