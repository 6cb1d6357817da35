//! ITI-62: objects leave together, and what stays hangs together.

use chiren::model::metadata::AvailabilityStatus::{Approved, Deprecated};
use chiren::model::metadata::{
    Association, AssociationType, DocumentEntry, MetadataObject, SubmissionSetStatus,
};
use chiren::model::transaction::Transaction;
use chiren::wire::ebxml::response::ResponseStatus;
use tokio::task::JoinSet;

use crate::support::Gateway;
use crate::support::samples::*;
use crate::support::updates::*;

const UNKNOWN: &str = "urn:uuid:00000000-0000-4000-8000-000000000000";

/// entryUUIDs of everything a patient has, by kind.
#[derive(Debug, Default)]
struct Ids {
    sets: Vec<String>,
    entries: Vec<String>,
    folders: Vec<String>,
    associations: Vec<Association>,
}

impl Ids {
    async fn of(gateway: &Gateway, patient: &str) -> Self {
        let mut ids = Self::default();
        for o in gateway.all(patient).await {
            match o {
                MetadataObject::SubmissionSet(s) => ids.sets.push(s.entry_uuid),
                MetadataObject::DocumentEntry(e) => ids.entries.push(e.entry_uuid),
                MetadataObject::Folder(f) => ids.folders.push(f.entry_uuid),
                MetadataObject::Association(a) => ids.associations.push(*a),
            }
        }
        ids
    }

    fn all(&self) -> Vec<&str> {
        let plain = self.sets.iter().chain(&self.entries).chain(&self.folders);
        plain.chain(self.associations.iter().map(|a| &a.entry_uuid)).map(String::as_str).collect()
    }

    fn but(&self, left: &[&str]) -> Vec<&str> {
        self.all().into_iter().filter(|id| !left.contains(id)).collect()
    }

    /// The association between two objects.
    fn joining(&self, source: &str, target: &str) -> &str {
        let found = self.associations.iter().find(|a| a.source_object == source && a.target_object == target);
        &found.expect("an association").entry_uuid
    }
}

async fn with_document() -> (Gateway, Ids) {
    let gateway = Gateway::start().await;
    gateway.soap().register(&submission()).await.assert_success();
    let ids = Ids::of(&gateway, PATIENT).await;
    (gateway, ids)
}

async fn with_folder() -> (Gateway, Ids) {
    let gateway = Gateway::start().await;
    gateway.soap().register(&submission_with_folder()).await.assert_success();
    let ids = Ids::of(&gateway, PATIENT).await;
    (gateway, ids)
}

#[tokio::test]
async fn a_whole_submission_goes() {
    let gateway = Gateway::start().await;
    let mut s = submission_with_folder();
    s.document_entries[0].entry_uuid = "urn:uuid:11111111-1111-4111-8111-111111111111".into();
    for a in &mut s.associations {
        for end in [&mut a.source_object, &mut a.target_object] {
            if end == "DE" {
                end.clone_from(&s.document_entries[0].entry_uuid);
            }
        }
    }
    gateway.soap().register(&s).await.assert_success();
    let ids = Ids::of(&gateway, PATIENT).await;
    gateway.soap().remove(&ids.all()).await.assert_success();
    assert_eq!(gateway.all(PATIENT).await, []);
    for id in ids.all() {
        assert_eq!(gateway.associations(id).await, []);
    }
    gateway.assert_verified().await;
    let records = gateway.audit().await;
    let record = records.iter().find(|r| r.transaction == "ITI-62").expect("a record");
    assert_eq!(record.patients, [PATIENT]);
    assert_eq!(record.documents, [s.document_entries[0].unique_id.clone()]);
    assert_eq!(record.objects.len(), ids.all().len());

    // The uniqueIds are free again; the entryUUID has a history.
    gateway.soap().register(&s).await.assert_failure(&["XDSRegistryMetadataError"]);
    let mut again = submission_with_folder();
    again.submission_set.unique_id = s.submission_set.unique_id.clone();
    again.folders[0].unique_id = s.folders[0].unique_id.clone();
    again.document_entries[0].unique_id = s.document_entries[0].unique_id.clone();
    again.document_entries[0].hash = Some("da39a3ee5e6b4b0d3255bfef95601890afd80709".into());
    gateway.soap().register(&again).await.assert_success();
    assert_eq!(gateway.all(PATIENT).await.len(), 7);
    gateway.assert_verified().await;
}

/// What is kept decides: a kept association refers to its ends, and a SubmissionSet must hold the rest.
#[tokio::test]
async fn nothing_is_left_dangling_or_alone() {
    let (gateway, ids) = with_folder().await;
    let (set, entry, folder) = (&ids.sets[0], &ids.entries[0], &ids.folders[0]);
    let member = ids.joining(folder, entry);
    let held = ids.joining(set, member);
    let references = "ReferencesExistException";
    let orphan = "XDSUnreferencedObjectException";
    for (removed, codes) in [
        (vec![set.as_str()], vec![references]),
        (vec![entry], vec![references]),
        (vec![folder], vec![references]),
        (vec![member], vec![references]),
        (vec![held], vec![orphan]),
        (vec![ids.joining(set, entry)], vec![orphan]),
        (vec![ids.joining(set, folder)], vec![orphan]),
        (vec![entry, ids.joining(set, entry)], vec![references]),
        // The Folder stays, its membership goes, and the SubmissionSet's hold of that does not.
        (vec![entry, ids.joining(set, entry), member], vec![references]),
        (ids.but(&[set]), vec![orphan]),
        (ids.but(&[entry]), vec![orphan]),
        (ids.but(&[member]), vec![orphan, references]),
        (ids.but(&[held]), vec![references]),
        (vec![UNKNOWN], vec!["UnresolvedReferenceException"]),
        ([ids.all(), vec![UNKNOWN]].concat(), vec!["UnresolvedReferenceException"]),
    ] {
        let answer = gateway.soap().remove(&removed).await;
        answer.assert_failure(&codes);
        assert!(answer.registry().1.iter().all(|(_, location)| location.starts_with("urn:uuid:")));
    }
    assert_eq!(Ids::of(&gateway, PATIENT).await.all(), ids.all());
    // The membership and what holds it.
    gateway.soap().remove(&[member, held]).await.assert_success();
    assert_eq!(gateway.associations(folder).await.len(), 1);
    let left = Ids::of(&gateway, PATIENT).await;
    let reversed: Vec<&str> = left.all().into_iter().rev().collect();
    gateway.soap().remove(&reversed).await.assert_success();
    gateway.assert_verified().await;
}

#[tokio::test]
async fn a_document_with_an_addendum() {
    let (gateway, first) = with_document().await;
    let s = related(AssociationType::Append, &first.entries[0]);
    gateway.soap().register(&s).await.assert_success();
    gateway.soap().remove(&first.all()).await.assert_failure(&["ReferencesExistException"]);
    // The relationship alone may go; both documents stay in their SubmissionSets.
    let all = Ids::of(&gateway, PATIENT).await;
    let addendum = all.entries.iter().find(|e| **e != first.entries[0]).expect("an addendum");
    gateway.soap().remove(&[all.joining(addendum, &first.entries[0])]).await.assert_success();
    gateway.soap().remove(&first.all()).await.assert_success();
    assert_eq!(gateway.entries(PATIENT).await.len(), 1);
    gateway.assert_verified().await;
}

/// A SubmissionSet may hold another patient's document by reference; both sides know.
#[tokio::test]
async fn across_patients() {
    let (gateway, mother) = with_document().await;
    gateway.add_patient(OTHER_PATIENT).await;
    let mut child = of_patient(submission(), OTHER_PATIENT);
    let mut reference = has_member("A-REF", "SS", &mother.entries[0]);
    reference.submission_set_status = Some(SubmissionSetStatus::Reference);
    child.associations.push(reference);
    gateway.soap().register(&child).await.assert_success();
    gateway.soap().remove(&mother.all()).await.assert_failure(&["ReferencesExistException"]);
    let theirs = Ids::of(&gateway, OTHER_PATIENT).await;
    let reference = theirs.joining(&theirs.sets[0], &mother.entries[0]);
    // Both patients' objects in one request.
    let mut all = mother.all();
    all.push(reference);
    gateway.soap().remove(&all).await.assert_success();
    assert_eq!(gateway.all(PATIENT).await, []);
    assert_eq!(gateway.all(OTHER_PATIENT).await.len(), 3);
    gateway.assert_verified().await;
}

#[tokio::test]
async fn versions_go_from_the_latest() {
    let (gateway, first) = with_document().await;
    let v1 = gateway.entry(PATIENT).await;
    gateway.soap().update(&next_entry(update(), "DE", &v1)).await.assert_success();
    let v2 = gateway.entry(PATIENT).await;
    // A logicalID is a reference to the first version.
    gateway.soap().remove(&first.all()).await.assert_failure(&["ReferencesExistException"]);
    let all = Ids::of(&gateway, PATIENT).await;
    let second: Vec<&str> = all.but(&first.all());
    gateway.soap().remove(&second).await.assert_success();
    let left = gateway.entry(PATIENT).await;
    assert_eq!(left, DocumentEntry { availability_status: Deprecated, ..v1.clone() });
    // It is the latest again.
    gateway.soap().update(&status_of(update(), &v1.entry_uuid, Deprecated, Approved)).await.assert_success();
    gateway.soap().update(&next_entry(update(), "DE", &v1)).await.assert_success();
    let again = gateway.entry(PATIENT).await;
    assert_eq!((again.version, again.availability_status), (2, Approved));
    assert_ne!(again.entry_uuid, v2.entry_uuid);
    gateway.assert_verified().await;
}

#[tokio::test]
async fn what_is_no_removal() {
    let (gateway, ids) = with_document().await;
    let open = r#"<lcm:RemoveObjectsRequest xmlns:lcm="urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0" xmlns:rim="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0""#;
    let refs = format!(r#"<rim:ObjectRefList><rim:ObjectRef id="{}"/></rim:ObjectRefList>"#, ids.entries[0]);
    for (attributes, content) in [
        ("", String::new()),
        ("", "<rim:ObjectRefList/>".to_owned()),
        ("", format!(r#"<rim:AdhocQuery id="x"/>{refs}"#)),
        ("", format!("{refs}{refs}")),
        (
            r#" deletionScope="urn:oasis:names:tc:ebxml-regrep:DeletionScopeType:DeleteRepositoryItemOnly""#,
            refs.clone(),
        ),
    ] {
        let body = format!("{open}{attributes}>{content}</lcm:RemoveObjectsRequest>");
        let answer = gateway.soap().send(Transaction::Iti62, &body, &[]).await;
        answer.assert_failure(&["XDSRegistryError"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_remove_the_same() {
    let (gateway, ids) = with_folder().await;
    let ids: Vec<String> = ids.all().into_iter().map(str::to_owned).collect();
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let (soap, ids) = (gateway.soap(), ids.clone());
        tasks.spawn(async move {
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            soap.remove(&ids).await.registry()
        });
    }
    let mut removed = 0;
    while let Some(done) = tasks.join_next().await {
        match done.expect("an answer") {
            (ResponseStatus::Success, _) => removed += 1,
            (_, errors) => assert!(errors.iter().all(|(c, _)| c == "UnresolvedReferenceException")),
        }
    }
    assert_eq!(removed, 1);
    assert_eq!(gateway.all(PATIENT).await, []);
    gateway.assert_verified().await;
}

/// Whoever comes first: an addendum keeps its document, or finds none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addenda_while_their_document_is_removed() {
    for _ in 0..4 {
        let (gateway, ids) = with_document().await;
        let all: Vec<String> = ids.all().into_iter().map(str::to_owned).collect();
        let mut tasks = JoinSet::new();
        for n in 0..5 {
            let (soap, all, entry) = (gateway.soap(), all.clone(), ids.entries[0].clone());
            tasks.spawn(async move {
                if n == 2 {
                    let ids: Vec<&str> = all.iter().map(String::as_str).collect();
                    return (true, soap.remove(&ids).await.registry());
                }
                (false, soap.register(&related(AssociationType::Append, &entry)).await.registry())
            });
        }
        let (mut removed, mut appended) = (false, 0);
        while let Some(done) = tasks.join_next().await {
            match done.expect("an answer") {
                (true, (ResponseStatus::Success, _)) => removed = true,
                (true, (_, errors)) => assert!(errors.iter().all(|(c, _)| c == "ReferencesExistException")),
                (false, (ResponseStatus::Success, _)) => appended += 1,
                (false, (_, errors)) => {
                    assert!(errors.iter().all(|(c, _)| c == "UnresolvedReferenceException"));
                }
            }
        }
        assert_eq!(removed, appended == 0);
        gateway.assert_verified().await;
    }
}
