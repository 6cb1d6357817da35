//! ITI-57: every operation, what it refuses, what a query shows of it.

mod races;
mod refused;

use chiren::model::caller::Caller;
use chiren::model::metadata::AvailabilityStatus::{Approved, Deprecated};
use chiren::model::metadata::{
    Association, AssociationType, DocumentEntry, EntryType, Folder, MetadataObject, SubmissionSetStatus,
    Update,
};
use chiren::model::query::{Ids, MetadataLevel, QueryRequest, QueryResult, ReturnType, StoredQuery, View};
use chiren::model::transaction::Transaction;
use chiren::model::uuids::{document_availability, slot, status};
use chiren::service::context::Context;
use chiren::wire::ebxml::response::ResponseStatus;
use tokio::task::JoinSet;

use crate::support::samples::*;
use crate::support::updates::*;
use crate::support::{Answer, Gateway};

const UNKNOWN: &str = "urn:uuid:00000000-0000-4000-8000-000000000000";

/// One document, registered.
async fn with_document() -> (Gateway, DocumentEntry) {
    let gateway = Gateway::start().await;
    gateway.soap().register(&submission()).await.assert_success();
    let entry = gateway.entry(PATIENT).await;
    gateway.tick();
    (gateway, entry)
}

/// One document in one Folder.
async fn with_folder() -> (Gateway, DocumentEntry, Folder) {
    let gateway = Gateway::start().await;
    gateway.soap().register(&submission_with_folder()).await.assert_success();
    let (entry, folder) = (gateway.entry(PATIENT).await, gateway.folder(PATIENT).await);
    gateway.tick();
    (gateway, entry, folder)
}

/// A document and its addendum.
async fn with_addendum() -> (Gateway, DocumentEntry, DocumentEntry) {
    let (gateway, first) = with_document().await;
    gateway.soap().register(&related(AssociationType::Append, &first.entry_uuid)).await.assert_success();
    let addendum = other_than(gateway.entries(PATIENT).await, &first);
    gateway.tick();
    (gateway, first, addendum)
}

fn other_than(entries: Vec<DocumentEntry>, one: &DocumentEntry) -> DocumentEntry {
    let mut others = entries.into_iter().filter(|e| e.logical_id != one.logical_id);
    others.next().expect("another entry")
}

/// Associations between two objects, of a type, Approved.
fn between(all: &[Association], kind: AssociationType, source: &str, target: &str) -> usize {
    let same = |a: &&Association| {
        a.association_type == kind && a.source_object == source && a.target_object == target
    };
    all.iter().filter(same).filter(|a| a.availability_status == Approved).count()
}

fn titled(mut u: Update, title: &str) -> Update {
    u.submission.document_entries[0].title = text(title);
    u
}

#[tokio::test]
async fn a_new_version_takes_the_place_of_the_old() {
    let (gateway, v1) = with_document().await;
    let u = titled(next_entry(update(), "DE", &v1), "訂正");
    gateway.soap().update(&u).await.assert_success();

    let v2 = gateway.entry(PATIENT).await;
    assert_eq!((v2.version, v2.availability_status), (2, Approved));
    assert_eq!((&v2.title, &v2.logical_id), (&text("訂正"), &v1.logical_id));
    assert_ne!(v2.entry_uuid, v1.entry_uuid);
    let found = gateway.soap().query(&find_documents(PATIENT)).await.entries();
    assert_eq!(found, std::slice::from_ref(&v2));

    let versions = gateway.versions(&v1).await;
    assert_eq!(versions, [DocumentEntry { availability_status: Deprecated, ..v1.clone() }, v2.clone()]);
    // The SubmissionSet holds the new version, and says what it followed.
    let members = gateway.associations(&v2.entry_uuid).await;
    assert_eq!(members.len(), 1);
    assert!(members[0].extra.slots.iter().any(|s| s.name == slot::PREVIOUS_VERSION && s.values == ["1"]));
    assert_eq!(members[0].submission_set_status, Some(SubmissionSetStatus::Original));
    gateway.assert_verified().await;
    let records = gateway.audit().await;
    let record = records.iter().find(|r| r.transaction == "ITI-57").expect("a record");
    assert_eq!(record.patients, [PATIENT]);
    assert_eq!(record.submission_set.as_ref(), Some(&u.submission.submission_set.unique_id));
}

#[tokio::test]
async fn levels_show_and_hide_versions() {
    let (gateway, v1) = with_document().await;
    gateway.soap().update(&next_entry(update(), "DE", &v1)).await.assert_success();
    let soap = gateway.soap();
    let both = list("$XDSDocumentEntryStatus", &[status::APPROVED, status::DEPRECATED]);
    let mut find = find_documents(PATIENT);
    find.slots[1] = both;
    let by_unique_id = query(GET_DOCUMENTS, vec![list("$XDSDocumentEntryUniqueId", &[&v1.unique_id])]);
    let by_uuid = query(GET_DOCUMENTS, vec![list("$XDSDocumentEntryEntryUUID", &[&v1.entry_uuid])]);
    let by_lid = query(GET_DOCUMENTS, vec![list("$XDSDocumentEntryLogicalID", &[&v1.entry_uuid])]);
    for (request, one, two) in
        [(find, 1, 2), (by_unique_id, 1, 2), (by_uuid, 0, 1), (by_lid, 1, 2), (get_all(PATIENT), 1, 2)]
    {
        assert_eq!(soap.query(&request).await.entries().len(), one, "{}", request.id);
        assert_eq!(soap.query(&everything(request)).await.entries().len(), two);
    }
}

#[tokio::test]
async fn a_status_goes_and_comes_back() {
    let (gateway, entry) = with_document().await;
    let soap = gateway.soap();
    let id = &entry.entry_uuid;
    soap.update(&status_of(update(), id, Approved, Deprecated)).await.assert_success();
    assert_eq!(
        gateway.entry(PATIENT).await,
        DocumentEntry { availability_status: Deprecated, ..entry.clone() }
    );
    assert_eq!(soap.query(&find_documents(PATIENT)).await.entries(), []);
    soap.update(&status_of(update(), id, Approved, Deprecated))
        .await
        .assert_failure(&["XDSMetadataUpdateError"]);
    soap.update(&status_of(update(), id, Deprecated, Approved)).await.assert_success();
    assert_eq!(soap.query(&find_documents(PATIENT)).await.entries(), [entry]);
    gateway.assert_verified().await;
}

#[tokio::test]
async fn a_version_and_its_status_in_one() {
    // Named by the version in the message, or by the one in the registry: the new one gets the status.
    for by_new in [true, false] {
        let (gateway, v1) = with_document().await;
        let target = if by_new { "DE" } else { v1.entry_uuid.as_str() };
        let u = status_of(next_entry(update(), "DE", &v1), target, Approved, Deprecated);
        gateway.soap().update(&u).await.assert_success();
        let statuses: Vec<_> = gateway.versions(&v1).await.iter().map(|e| e.availability_status).collect();
        assert_eq!(statuses, [Deprecated, Deprecated]);
        // An update of a Deprecated entry leaves it Deprecated, and hides the old versions at level 1.
        let v2 = gateway.entry(PATIENT).await;
        assert_eq!(v2.version, 2);
        gateway.soap().update(&next_entry(update(), "DE", &v2)).await.assert_success();
        let v3 = gateway.entry(PATIENT).await;
        assert_eq!((v3.version, v3.availability_status), (3, Deprecated));
        gateway
            .soap()
            .update(&status_of(update(), &v3.entry_uuid, Deprecated, Approved))
            .await
            .assert_success();
        assert_eq!(gateway.entry(PATIENT).await.availability_status, Approved);
    }
}

#[tokio::test]
async fn memberships_and_relationships_follow_a_document() {
    let (gateway, v1, folder) = with_folder().await;
    gateway.soap().register(&related(AssociationType::Append, &v1.entry_uuid)).await.assert_success();
    let addendum = other_than(gateway.entries(PATIENT).await, &v1);
    gateway.tick();
    gateway.soap().update(&next_entry(update(), "DE", &v1)).await.assert_success();
    let v2 = gateway.versions(&v1).await.remove(1);

    let around = gateway.associations(&v2.entry_uuid).await;
    assert_eq!(between(&around, AssociationType::HasMember, &folder.entry_uuid, &v2.entry_uuid), 1);
    assert_eq!(between(&around, AssociationType::Append, &addendum.entry_uuid, &v2.entry_uuid), 1);
    assert_eq!(around.len(), 3);
    // The new SubmissionSet holds the new membership.
    let member = around.iter().find(|a| a.source_object == folder.entry_uuid).expect("a member");
    assert_eq!(gateway.associations(&member.entry_uuid).await.len(), 1);
    let now = gateway.folder(PATIENT).await;
    assert_eq!((now.version, now.last_update_time.as_deref()), (1, Some("20261122030002")));
    gateway.assert_verified().await;

    // A third version carries over what is the second's, and not what still points at the first.
    gateway.soap().update(&next_entry(update(), "DE", &v2)).await.assert_success();
    let v3 = gateway.versions(&v1).await.remove(2);
    assert_eq!(gateway.associations(&v3.entry_uuid).await.len(), 3);
    // And the addendum's next version is one of the third.
    gateway.soap().update(&next_entry(update(), "DE", &addendum)).await.assert_success();
    let a2 = gateway.versions(&addendum).await.remove(1);
    let around = gateway.associations(&a2.entry_uuid).await;
    assert_eq!(between(&around, AssociationType::Append, &a2.entry_uuid, &v3.entry_uuid), 1);
    assert_eq!(around.len(), 2);
}

#[tokio::test]
async fn nothing_follows_where_propagation_is_off() {
    let (gateway, v1, _) = with_folder().await;
    let u = propagation(next_entry(update(), "DE", &v1), "DE", "no");
    gateway.soap().update(&u).await.assert_success();
    let v2 = gateway.entry(PATIENT).await;
    assert_eq!(gateway.associations(&v2.entry_uuid).await.len(), 1);
}

#[tokio::test]
async fn a_folder_keeps_its_members_in_force() {
    let (gateway, entry, f1) = with_folder().await;
    let soap = gateway.soap();
    // A second member, which will be Deprecated.
    let mut more = submission();
    more.associations.push(has_member("A-FD-DE", &f1.entry_uuid, "DE"));
    more.associations.push(has_member("A-SS-HM", "SS", "A-FD-DE"));
    soap.register(&more).await.assert_success();
    let second = other_than(gateway.entries(PATIENT).await, &entry);
    soap.update(&status_of(update(), &second.entry_uuid, Approved, Deprecated)).await.assert_success();
    gateway.tick();

    let mut u = next_folder(update(), "FD", &f1);
    u.submission.folders[0].title = text("改題");
    soap.update(&u).await.assert_success();
    let f2 = gateway.folder(PATIENT).await;
    assert_eq!((f2.version, f2.availability_status, &f2.title), (2, Approved, &text("改題")));
    assert_eq!(f2.last_update_time.as_deref(), Some("20261122030002"));
    let versions = gateway.folder_versions(&f1).await;
    assert_eq!(versions.iter().map(|f| f.availability_status).collect::<Vec<_>>(), [Deprecated, Approved]);
    let around = gateway.associations(&f2.entry_uuid).await;
    assert_eq!(between(&around, AssociationType::HasMember, &f2.entry_uuid, &entry.entry_uuid), 1);
    assert_eq!(around.len(), 2);
    // All versions by one uniqueId.
    let by_unique_id = query(GET_FOLDERS, vec![list("$XDSFolderUniqueId", &[&f1.unique_id])]);
    assert_eq!(soap.query(&by_unique_id).await.folders(), std::slice::from_ref(&f2));
    assert_eq!(soap.query(&everything(by_unique_id)).await.folders().len(), 2);

    // A Folder's status.
    soap.update(&status_of(update(), &f2.entry_uuid, Approved, Deprecated)).await.assert_success();
    soap.update(&next_folder(update(), "FD", &f2)).await.assert_failure(&["XDSMetadataUpdateError"]);
    gateway.assert_verified().await;
}

#[tokio::test]
async fn related_updates_meet_in_their_new_versions() {
    let (gateway, v1, f1) = with_folder().await;
    let both = || next_folder(next_entry(update(), "DE", &v1), "FD", &f1);
    let disagree = propagation(both(), "DE", "no");
    gateway.soap().update(&disagree).await.assert_failure(&["XDSMetadataUpdateError"]);
    gateway.soap().update(&both()).await.assert_success();
    let (v2, f2) = (gateway.entry(PATIENT).await, gateway.folder(PATIENT).await);
    let around = gateway.associations(&v2.entry_uuid).await;
    assert_eq!(between(&around, AssociationType::HasMember, &f2.entry_uuid, &v2.entry_uuid), 1);
    assert_eq!(around.len(), 2);
    assert_eq!(gateway.associations(&f2.entry_uuid).await.len(), 2);
    // The old membership joins the old versions.
    let old = gateway.associations(&v1.entry_uuid).await;
    assert_eq!(between(&old, AssociationType::HasMember, &f1.entry_uuid, &v1.entry_uuid), 1);
}

#[tokio::test]
async fn an_association_goes_and_comes_back() {
    let (gateway, entry, folder) = with_folder().await;
    let soap = gateway.soap();
    let all = gateway.associations(&entry.entry_uuid).await;
    let member = all.iter().find(|a| a.source_object == folder.entry_uuid).expect("a member").clone();
    let in_set = all.iter().find(|a| a.source_object != folder.entry_uuid).expect("a member").clone();
    let id = &member.entry_uuid;
    soap.update(&status_of(update(), id, Approved, Deprecated)).await.assert_success();

    let at = |slots| query(GET_ASSOCIATIONS, [vec![list("$uuid", &[&entry.entry_uuid])], slots].concat());
    let of = |s: &str| vec![list("$XDSAssociationStatus", &[s])];
    assert_eq!(soap.query(&at(vec![])).await.associations(), std::slice::from_ref(&in_set));
    assert_eq!(soap.query(&at(of(status::DEPRECATED))).await.associations(), []);
    let deprecated = Association { availability_status: Deprecated, ..member.clone() };
    assert_eq!(soap.query(&everything(at(of(status::DEPRECATED)))).await.associations(), [deprecated]);
    assert_eq!(
        soap.query(&everything(at(of(status::APPROVED)))).await.associations(),
        std::slice::from_ref(&in_set)
    );
    assert_eq!(soap.query(&everything(at(vec![]))).await.associations().len(), 2);

    let contents = query(
        "urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7",
        vec![single("$XDSFolderEntryUUID", &folder.entry_uuid)],
    );
    assert_eq!(soap.query(&contents).await.entries(), []);
    assert_eq!(soap.query(&everything(contents)).await.entries().len(), 1);
    // A Deprecated membership is not carried over.
    soap.update(&next_entry(update(), "DE", &entry)).await.assert_success();
    let v2 = gateway.entry(PATIENT).await;
    assert_eq!(gateway.associations(&v2.entry_uuid).await.len(), 1);

    soap.update(&status_of(update(), id, Deprecated, Approved)).await.assert_success();
    let set_member = status_of(update(), &in_set.entry_uuid, Approved, Deprecated);
    soap.update(&set_member).await.assert_failure(&["XDSMetadataUpdateError"]);
    gateway.assert_verified().await;
}

#[tokio::test]
async fn associations_are_submitted() {
    let (gateway, first, folder) = with_folder().await;
    gateway.soap().register(&submission()).await.assert_success();
    let second = other_than(gateway.entries(PATIENT).await, &first);
    gateway.tick();
    let u = submit(update(), AssociationType::Append, "APND", &second.entry_uuid, &first.entry_uuid);
    let u = submit(u, AssociationType::HasMember, "HM", &folder.entry_uuid, &second.entry_uuid);
    gateway.soap().update(&u).await.assert_success();
    let around = gateway.associations(&second.entry_uuid).await;
    assert_eq!(between(&around, AssociationType::Append, &second.entry_uuid, &first.entry_uuid), 1);
    let member = around.iter().find(|a| a.source_object == folder.entry_uuid).expect("a member");
    assert_eq!(gateway.associations(&member.entry_uuid).await.len(), 1, "the SubmissionSet holds it");
    assert_eq!(gateway.folder(PATIENT).await.last_update_time.as_deref(), Some("20261122030002"));
    // With its status at once.
    let u = submit(update(), AssociationType::Append, "X", &first.entry_uuid, &second.entry_uuid);
    gateway.soap().update(&status_of(u, "X", Approved, Deprecated)).await.assert_success();
    let around = gateway.associations(&first.entry_uuid).await;
    let x = around
        .iter()
        .find(|a| a.association_type == AssociationType::Append && a.source_object == first.entry_uuid);
    assert_eq!(x.expect("kept").availability_status, Deprecated);
    gateway.assert_verified().await;
}

#[tokio::test]
async fn a_document_moves_to_another_patient() {
    let (gateway, v1) = with_document().await;
    gateway.add_patient(OTHER_PATIENT).await;
    let moved = |id: &str| of_other(next_entry(update(), id, &v1));
    let mut half = moved("DE");
    half.submission.submission_set.patient_id = PATIENT.into();
    gateway.soap().update(&half).await.assert_failure(&["XDSPatientIDReconciliationError"]);
    gateway.soap().update(&moved("DE")).await.assert_success();
    assert_eq!(gateway.soap().query(&find_documents(PATIENT)).await.entries(), []);
    let v2 = gateway.entry(OTHER_PATIENT).await;
    assert_eq!((v2.version, v2.logical_id.as_deref()), (2, Some(v1.entry_uuid.as_str())));
    let old = gateway.soap().query(&everything(get_all(PATIENT))).await.entries();
    assert_eq!(old, [DocumentEntry { availability_status: Deprecated, ..v1.clone() }]);
    // And back.
    gateway.soap().update(&next_entry(update(), "DE", &v2).with_patient(PATIENT)).await.assert_success();
    assert_eq!(gateway.entry(PATIENT).await.version, 3);
    gateway.assert_verified().await;
}

trait WithPatient {
    fn with_patient(self, patient: &str) -> Self;
}

impl WithPatient for Update {
    fn with_patient(mut self, patient: &str) -> Self {
        self.submission = of_patient(self.submission, patient);
        self
    }
}

fn of_other(u: Update) -> Update {
    u.with_patient(OTHER_PATIENT)
}

#[tokio::test]
async fn what_hangs_together_has_one_patient() {
    let (gateway, v1, folder) = with_folder().await;
    gateway.add_patient(OTHER_PATIENT).await;
    let soap = gateway.soap();
    let alone = of_other(next_entry(update(), "DE", &v1));
    soap.update(&alone).await.assert_failure(&["XDSPatientIDReconciliationError"]);
    // Both, not linked by the registry; then the membership.
    let both = of_other(next_folder(next_entry(update(), "DE", &v1), "FD", &folder));
    let both = propagation(propagation(both, "DE", "no"), "FD", "no");
    let both = submit(both, AssociationType::HasMember, "HM", "FD", "DE");
    soap.update(&both).await.assert_success();
    let (v2, f2) = (gateway.entry(OTHER_PATIENT).await, gateway.folder(OTHER_PATIENT).await);
    let around = gateway.associations(&v2.entry_uuid).await;
    assert_eq!(between(&around, AssociationType::HasMember, &f2.entry_uuid, &v2.entry_uuid), 1);

    // Nothing is joined across patients.
    soap.register(&submission()).await.assert_success();
    let here = gateway.entry(PATIENT).await;
    for patient in [PATIENT, OTHER_PATIENT] {
        let u = submit(update(), AssociationType::Append, "A", &here.entry_uuid, &v2.entry_uuid);
        soap.update(&u.with_patient(patient)).await.assert_failure(&["XDSPatientIDReconciliationError"]);
    }
    gateway.assert_verified().await;
}

/// A Deprecated entry may move and keep its folder; it cannot come back into force there.
#[tokio::test]
async fn who_comes_back_must_agree_on_the_patient() {
    let (gateway, v1, _) = with_folder().await;
    gateway.add_patient(OTHER_PATIENT).await;
    let soap = gateway.soap();
    soap.update(&status_of(update(), &v1.entry_uuid, Approved, Deprecated)).await.assert_success();
    soap.update(&of_other(next_entry(update(), "DE", &v1))).await.assert_success();
    let v2 = gateway.entry(OTHER_PATIENT).await;
    let back = status_of(update(), &v2.entry_uuid, Deprecated, Approved);
    soap.update(&of_other(back)).await.assert_failure(&["XDSPatientIDReconciliationError"]);
    gateway.assert_verified().await;
}

#[tokio::test]
async fn an_offline_document_is_hidden_at_level_1() {
    let (gateway, v1) = with_document().await;
    let soap = gateway.soap();
    let mut u = next_entry(update(), "DE", &v1);
    u.submission.document_entries[0].document_availability = Some(document_availability::OFFLINE.into());
    soap.update(&u).await.assert_success();
    let by_unique_id = query(GET_DOCUMENTS, vec![list("$XDSDocumentEntryUniqueId", &[&v1.unique_id])]);
    assert_eq!(soap.query(&find_documents(PATIENT)).await.entries(), []);
    assert_eq!(soap.query(&by_unique_id).await.entries(), []);
    let shown = soap.query(&everything(find_documents(PATIENT))).await.entries();
    assert_eq!(shown.len(), 1);
    assert!(shown[0].is_offline());
    for (availability, expected) in [(document_availability::ONLINE, 0), (document_availability::OFFLINE, 1)]
    {
        let mut request = everything(find_documents(PATIENT));
        request.slots.push(list("$XDSDocumentEntryDocumentAvailability", &[availability]));
        assert_eq!(soap.query(&request).await.entries().len(), expected);
    }
    let mut u = next_entry(update(), "DE", &shown[0]);
    u.submission.document_entries[0].document_availability = None;
    soap.update(&u).await.assert_success();
    assert_eq!(soap.query(&find_documents(PATIENT)).await.entries().len(), 1);
}

/// Delayed Document Assembly: hash and size become known later (ITI TF-3 4.1.3.3).
#[tokio::test]
async fn hash_and_size_may_follow() {
    let gateway = Gateway::start().await;
    let mut first = submission();
    first.document_entries[0].size = Some("0".into());
    first.document_entries[0].hash = Some("da39a3ee5e6b4b0d3255bfef95601890afd80709".into());
    gateway.soap().register(&first).await.assert_success();
    let v1 = gateway.entry(PATIENT).await;
    let mut u = next_entry(update(), "DE", &v1);
    let known = document_entry("x");
    u.submission.document_entries[0].hash = known.hash.clone();
    u.submission.document_entries[0].size = known.size.clone();
    gateway.soap().update(&u).await.assert_success();
    let mut again = submission();
    again.document_entries[0].unique_id = v1.unique_id.clone();
    gateway.soap().register(&again).await.assert_success();
}

/// What was asked before an update or a removal can be asked again, and is answered as then.
#[tokio::test]
async fn earlier_moments_keep_their_answers() {
    let (gateway, v1) = with_document().await;
    let registry = gateway.rooms().registry.clone().expect("a registry");
    let ask = async |level: MetadataLevel, moment: i64| {
        let query = StoredQuery::GetDocuments(Ids::UniqueId(vec![v1.unique_id.clone()]));
        let view = View { level, association_status: None };
        let request = QueryRequest { query, return_type: ReturnType::LeafClass, home: None, view };
        let context = Context {
            transaction: Transaction::Iti18,
            caller: Caller { listener: "test".into(), ..Caller::default() },
            request_id: "test".into(),
            received_at: gateway.clock.now(),
            elsewhere: None,
            exchange: std::sync::Arc::default(),
        };
        let answer = registry.query_as_of(&context, request, Some(moment)).await.expect("an answer");
        match answer.found.read().expect("objects") {
            QueryResult::Objects(objects) => objects,
            QueryResult::Refs(_) => panic!("references"),
        }
    };
    let now = || gateway.clock.now().as_microsecond();
    let versions = |objects: &[MetadataObject]| -> Vec<(u32, bool)> {
        let of = |o: &MetadataObject| match o {
            MetadataObject::DocumentEntry(e) => (e.version, e.availability_status == Approved),
            other => panic!("{other:?}"),
        };
        objects.iter().map(of).collect()
    };
    let before = now();
    gateway.tick();
    gateway.soap().update(&next_entry(update(), "DE", &v1)).await.assert_success();
    gateway.tick();
    let between = now();
    gateway.tick();
    let all: Vec<String> = gateway.all(PATIENT).await.iter().map(|o| o.id().to_owned()).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    gateway.soap().remove(&all).await.assert_success();
    gateway.tick();
    for (level, at_first, then) in [
        (MetadataLevel::One, vec![(1, true)], vec![(2, true)]),
        (MetadataLevel::Two, vec![(1, true)], vec![(1, false), (2, true)]),
    ] {
        assert_eq!(versions(&ask(level, before).await), at_first);
        let mut found = versions(&ask(level, between).await);
        found.sort_unstable();
        assert_eq!(found, then);
        assert_eq!(ask(level, now()).await, []);
    }
}
