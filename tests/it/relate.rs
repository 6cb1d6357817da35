//! Relationships and memberships across submissions, and what they do to what is there already.

use chiren::config::registry::UnknownPatients;
use chiren::model::metadata::{
    Association, AssociationType, AvailabilityStatus, DocumentEntry, MetadataObject, Submission,
    SubmissionSetStatus,
};

use crate::support::Gateway;
use crate::support::samples::*;

const GET_RELATED: &str = "urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6";
const GET_FOLDER_AND_CONTENTS: &str = "urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7";
const GET_FOLDERS: &str = "urn:uuid:5737b14c-8a1a-4539-b659-e03a34a5e1e4";
const GET_ASSOCIATIONS: &str = "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155";
const GET_SUBMISSION_SETS: &str = "urn:uuid:51224314-5390-4169-9b91-b1980040715a";
const UNKNOWN: &str = "urn:uuid:08a15a6f-5b4a-42de-8f95-89474f83abdf";

/// A patient's entries by uniqueId, whatever their status.
async fn entry(gateway: &Gateway, unique_id: &str) -> DocumentEntry {
    let found = query(GET_DOCUMENTS, vec![list("$XDSDocumentEntryUniqueId", &[unique_id])]);
    let mut entries = gateway.soap().query(&found).await.entries();
    assert_eq!(entries.len(), 1, "{unique_id}");
    entries.remove(0)
}

/// Registers, and gives the new entry back.
async fn register(gateway: &Gateway, s: &Submission) -> DocumentEntry {
    gateway.soap().register(s).await.assert_success();
    entry(gateway, &s.document_entries[0].unique_id).await
}

async fn status(gateway: &Gateway, e: &DocumentEntry) -> AvailabilityStatus {
    entry(gateway, &e.unique_id).await.availability_status
}

async fn associations(gateway: &Gateway, patient: &str) -> Vec<Association> {
    gateway
        .soap()
        .query(&get_all(patient))
        .await
        .objects()
        .into_iter()
        .filter_map(|o| match o {
            MetadataObject::Association(a) => Some(*a),
            _ => None,
        })
        .collect()
}

use AvailabilityStatus::{Approved, Deprecated};

#[tokio::test]
async fn each_kind_of_relationship() {
    for (kind, expected) in [
        (AssociationType::Append, Approved),
        (AssociationType::Transform, Approved),
        (AssociationType::Signs, Approved),
        (AssociationType::Replace, Deprecated),
        (AssociationType::TransformReplace, Deprecated),
    ] {
        let gateway = Gateway::start().await;
        let old = register(&gateway, &submission()).await;
        let new = register(&gateway, &related(kind, &old.entry_uuid)).await;
        assert_eq!(status(&gateway, &old).await, expected, "{kind:?}");
        assert_eq!(status(&gateway, &new).await, Approved, "{kind:?}");
        let found = query(
            GET_RELATED,
            vec![
                single("$XDSDocumentEntryEntryUUID", &old.entry_uuid),
                list("$AssociationTypes", &[kind.urn()]),
            ],
        );
        assert_eq!(gateway.soap().query(&found).await.objects().len(), 3, "{kind:?}");
    }
}

#[tokio::test]
async fn a_relationship_inside_one_submission() {
    for (kind, works) in [
        (AssociationType::Append, true),
        (AssociationType::Transform, true),
        (AssociationType::Signs, true),
        (AssociationType::Replace, false),
        (AssociationType::TransformReplace, false),
        (AssociationType::IsSnapshotOf, false),
    ] {
        let gateway = Gateway::start().await;
        let mut s = submission();
        s.document_entries.push(document_entry("DE2"));
        s.associations.push(original("A-DE2", "DE2"));
        s.associations.push(Association::new(kind, "A-REL".into(), "DE2", "DE"));
        let answer = gateway.soap().register(&s).await;
        match works {
            true => answer.assert_success(),
            false => answer.assert_failure(&["UnresolvedReferenceException"]),
        }
    }
}

#[tokio::test]
async fn a_snapshot_of_a_stable_entry() {
    let gateway = Gateway::start().await;
    let old = register(&gateway, &submission()).await;
    let answer = gateway.soap().register(&related(AssociationType::IsSnapshotOf, &old.entry_uuid)).await;
    answer.assert_failure(&["XDSRegistryMetadataError"]);
    assert_eq!(answer.registry().1[0].1, "A-REL/Association.targetObject");
}

#[tokio::test]
async fn an_addendum_to_a_transformation() {
    let gateway = Gateway::start().await;
    let old = register(&gateway, &submission()).await;
    let pdf = register(&gateway, &related(AssociationType::Transform, &old.entry_uuid)).await;
    let answer = gateway.soap().register(&related(AssociationType::Append, &pdf.entry_uuid)).await;
    answer.assert_failure(&["XDSRegistryMetadataError"]);
    assert_eq!(answer.registry().1[0].1, "A-REL/Association.targetObject");
}

#[tokio::test]
async fn replacing_takes_transformations_and_addenda_along() {
    let gateway = Gateway::start().await;
    let old = register(&gateway, &submission()).await;
    let addendum = register(&gateway, &related(AssociationType::Append, &old.entry_uuid)).await;
    let pdf = register(&gateway, &related(AssociationType::Transform, &old.entry_uuid)).await;
    let addendum_pdf = register(&gateway, &related(AssociationType::Transform, &addendum.entry_uuid)).await;
    let signature = register(&gateway, &related(AssociationType::Signs, &old.entry_uuid)).await;
    let bystander = register(&gateway, &submission()).await;
    let new = register(&gateway, &related(AssociationType::Replace, &old.entry_uuid)).await;
    for gone in [&old, &addendum, &pdf, &addendum_pdf] {
        assert_eq!(status(&gateway, gone).await, Deprecated);
    }
    for kept in [&signature, &bystander, &new] {
        assert_eq!(status(&gateway, kept).await, Approved);
    }
    assert_eq!(gateway.soap().query(&find_documents(PATIENT)).await.entries().len(), 3);
}

#[tokio::test]
async fn a_deprecated_document_is_related_to_no_more() {
    let gateway = Gateway::start().await;
    let old = register(&gateway, &submission()).await;
    register(&gateway, &related(AssociationType::Replace, &old.entry_uuid)).await;
    for kind in [
        AssociationType::Replace,
        AssociationType::TransformReplace,
        AssociationType::Append,
        AssociationType::Transform,
        AssociationType::Signs,
    ] {
        let answer = gateway.soap().register(&related(kind, &old.entry_uuid)).await;
        answer.assert_failure(&["XDSRegistryDeprecatedDocumentError"]);
        assert_eq!(answer.registry().1[0].1, "A-REL/Association.targetObject");
    }
}

#[tokio::test]
async fn one_document_replaced_twice_in_one_submission() {
    let gateway = Gateway::start().await;
    let old = register(&gateway, &submission()).await;
    let mut s = related(AssociationType::Replace, &old.entry_uuid);
    s.document_entries.push(document_entry("DE2"));
    s.associations.push(original("A-DE2", "DE2"));
    s.associations.push(Association::new(AssociationType::Replace, "A-2".into(), "DE2", &old.entry_uuid));
    let answer = gateway.soap().register(&s).await;
    answer.assert_failure(&["XDSRegistryDeprecatedDocumentError"]);
    assert_eq!(status(&gateway, &old).await, Approved);
}

#[tokio::test]
async fn a_document_and_its_addendum_replaced_together() {
    let gateway = Gateway::start().await;
    let old = register(&gateway, &submission()).await;
    let addendum = register(&gateway, &related(AssociationType::Append, &old.entry_uuid)).await;
    let mut s = related(AssociationType::Replace, &old.entry_uuid);
    s.document_entries.push(document_entry("DE2"));
    s.associations.push(original("A-DE2", "DE2"));
    s.associations.push(Association::new(
        AssociationType::Replace,
        "A-2".into(),
        "DE2",
        &addendum.entry_uuid,
    ));
    s.associations.push(Association::new(AssociationType::Append, "A-3".into(), "DE2", "DE"));
    gateway.soap().register(&s).await.assert_success();
    assert_eq!(status(&gateway, &old).await, Deprecated);
    assert_eq!(status(&gateway, &addendum).await, Deprecated);
}

#[tokio::test]
async fn a_new_document_takes_the_old_ones_place_in_its_folders() {
    let gateway = Gateway::start().await;
    let s = submission_with_folder();
    let old = register(&gateway, &s).await;
    let folder = gateway.soap().query(&get_all(PATIENT)).await.folders().remove(0);
    assert_eq!(folder.last_update_time.as_deref(), Some("20261122030000"));
    gateway.clock.advance(jiff::SignedDuration::from_secs(90));
    let replacement = related(AssociationType::Replace, &old.entry_uuid);
    let new = register(&gateway, &replacement).await;
    let contents = query(GET_FOLDER_AND_CONTENTS, vec![single("$XDSFolderEntryUUID", &folder.entry_uuid)]);
    let answer = gateway.soap().query(&contents).await;
    let mut held: Vec<String> = answer.entries().into_iter().map(|e| e.entry_uuid).collect();
    held.sort_unstable();
    let mut both = vec![old.entry_uuid.clone(), new.entry_uuid.clone()];
    both.sort_unstable();
    assert_eq!(held, both);
    assert_eq!(answer.folders()[0].last_update_time.as_deref(), Some("20261122030130"));
    // The new set holds the new membership.
    let all = associations(&gateway, PATIENT).await;
    let member = all
        .iter()
        .find(|a| a.source_object == folder.entry_uuid && a.target_object == new.entry_uuid)
        .expect("a membership");
    let holder = all.iter().find(|a| a.target_object == member.entry_uuid).expect("an SS-HM");
    let in_set =
        all.iter().find(|a| a.target_object == new.entry_uuid && a.source_object == holder.source_object);
    assert!(in_set.is_some(), "the SS-HM starts at the new SubmissionSet");
}

#[tokio::test]
async fn a_membership_that_came_with_the_replacement_is_not_doubled() {
    let gateway = Gateway::start().await;
    let old = register(&gateway, &submission_with_folder()).await;
    let folder = gateway.soap().query(&get_all(PATIENT)).await.folders().remove(0).entry_uuid;
    let mut s = related(AssociationType::Replace, &old.entry_uuid);
    s.associations.push(has_member("A-FD", &folder, "DE"));
    s.associations.push(has_member("A-HM", "SS", "A-FD"));
    let new = register(&gateway, &s).await;
    let all = associations(&gateway, PATIENT).await;
    let count = all.iter().filter(|a| a.source_object == folder && a.target_object == new.entry_uuid).count();
    assert_eq!(count, 1);
}

#[tokio::test]
async fn a_document_is_added_to_a_folder() {
    let gateway = Gateway::start().await;
    register(&gateway, &submission_with_folder()).await;
    let folder = gateway.soap().query(&get_all(PATIENT)).await.folders().remove(0).entry_uuid;
    gateway.clock.advance(jiff::SignedDuration::from_secs(1));
    let mut s = submission();
    s.associations.push(has_member("A-FD", &folder, "DE"));
    s.associations.push(has_member("A-HM", "SS", "A-FD"));
    register(&gateway, &s).await;
    let found = query(GET_FOLDERS, vec![list("$XDSFolderEntryUUID", &[&folder])]);
    let found = gateway.soap().query(&found).await.folders();
    assert_eq!(found[0].last_update_time.as_deref(), Some("20261122030001"));
}

/// A set that brings nothing but the membership of two objects already there.
fn membership_only(folder: &str, entry: &str) -> Submission {
    let mut s = submission();
    s.document_entries.clear();
    s.associations = vec![has_member("A-FD", folder, entry), has_member("A-HM", "SS", "A-FD")];
    s
}

#[tokio::test]
async fn a_registered_document_is_added_to_a_registered_folder() {
    let gateway = Gateway::start().await;
    register(&gateway, &submission_with_folder()).await;
    let folder = gateway.soap().query(&get_all(PATIENT)).await.folders().remove(0).entry_uuid;
    let late = register(&gateway, &submission()).await;
    gateway.soap().register(&membership_only(&folder, &late.entry_uuid)).await.assert_success();
    let contents = query(GET_FOLDER_AND_CONTENTS, vec![single("$XDSFolderEntryUUID", &folder)]);
    assert_eq!(gateway.soap().query(&contents).await.entries().len(), 2);
    // Deprecated ones are not added.
    register(&gateway, &related(AssociationType::Replace, &late.entry_uuid)).await;
    let answer = gateway.soap().register(&membership_only(&folder, &late.entry_uuid)).await;
    answer.assert_failure(&["XDSRegistryDeprecatedDocumentError"]);
}

#[tokio::test]
async fn a_reference_in_upper_case_is_the_same_uuid() {
    let gateway = Gateway::start().await;
    let old = register(&gateway, &submission()).await;
    let upper = format!("urn:uuid:{}", old.entry_uuid["urn:uuid:".len()..].to_uppercase());
    register(&gateway, &related(AssociationType::Replace, &upper)).await;
    assert_eq!(status(&gateway, &old).await, AvailabilityStatus::Deprecated);
    let kept = associations(&gateway, PATIENT).await;
    assert!(kept.iter().any(|a| a.target_object == old.entry_uuid && a.association_type.replaces()));
    assert!(kept.iter().all(|a| a.target_object != upper));
}

#[tokio::test]
async fn references_that_do_not_resolve() {
    let gateway = Gateway::start().await;
    for target in [UNKNOWN, "symbol"] {
        for kind in [AssociationType::Append, AssociationType::Replace, AssociationType::IsSnapshotOf] {
            let answer = gateway.soap().register(&related(kind, target)).await;
            answer.assert_failure(&["UnresolvedReferenceException"]);
        }
    }
    let mut s = submission();
    s.associations.push(has_member("A-FD", UNKNOWN, "DE"));
    s.associations.push(has_member("A-HM", "SS", "A-FD"));
    gateway.soap().register(&s).await.assert_failure(&["UnresolvedReferenceException"]);
    let mut s = submission();
    s.associations.push(Association {
        submission_set_status: Some(SubmissionSetStatus::Reference),
        ..has_member("A-REF", "SS", UNKNOWN)
    });
    gateway.soap().register(&s).await.assert_failure(&["UnresolvedReferenceException"]);
    // The source of a relationship is in the message.
    let old = register(&gateway, &submission()).await;
    let mut s = submission();
    s.associations.push(Association::new(AssociationType::Append, "A-REL".into(), &old.entry_uuid, "DE"));
    gateway.soap().register(&s).await.assert_failure(&["UnresolvedReferenceException"]);
}

#[tokio::test]
async fn relating_to_what_is_no_document() {
    let gateway = Gateway::start().await;
    register(&gateway, &submission_with_folder()).await;
    let folder = gateway.soap().query(&get_all(PATIENT)).await.folders().remove(0).entry_uuid;
    let answer = gateway.soap().register(&related(AssociationType::Replace, &folder)).await;
    answer.assert_failure(&["XDSRegistryMetadataError"]);
}

#[tokio::test]
async fn another_patients_objects() {
    let gateway = Gateway::start().await;
    gateway.add_patient(OTHER_PATIENT).await;
    let theirs = register(&gateway, &of_patient(submission_with_folder(), OTHER_PATIENT)).await;
    let folder = gateway.soap().query(&get_all(OTHER_PATIENT)).await.folders().remove(0).entry_uuid;
    for kind in [
        AssociationType::Replace,
        AssociationType::TransformReplace,
        AssociationType::Append,
        AssociationType::Transform,
        AssociationType::Signs,
    ] {
        let answer = gateway.soap().register(&related(kind, &theirs.entry_uuid)).await;
        answer.assert_failure(&["XDSPatientIdDoesNotMatch"]);
    }
    let mut s = submission();
    s.associations.push(has_member("A-FD", &folder, "DE"));
    s.associations.push(has_member("A-HM", "SS", "A-FD"));
    gateway.soap().register(&s).await.assert_failure(&["XDSPatientIdDoesNotMatch"]);
    assert_eq!(status(&gateway, &theirs).await, Approved);
}

/// A patient made known by the very submission has no objects to relate to yet.
#[tokio::test]
async fn another_patients_objects_from_a_new_patient() {
    let gateway = Gateway::start_with(|c| c.registry.unknown_patients = UnknownPatients::Accept).await;
    let theirs = register(&gateway, &submission_with_folder()).await;
    let folder = gateway.soap().query(&get_all(PATIENT)).await.folders().remove(0).entry_uuid;
    for kind in [AssociationType::Replace, AssociationType::Append] {
        let s = of_patient(related(kind, &theirs.entry_uuid), OTHER_PATIENT);
        gateway.soap().register(&s).await.assert_failure(&["XDSPatientIdDoesNotMatch"]);
    }
    let mut s = of_patient(submission(), OTHER_PATIENT);
    s.associations.push(has_member("A-FD", &folder, "DE"));
    s.associations.push(has_member("A-HM", "SS", "A-FD"));
    gateway.soap().register(&s).await.assert_failure(&["XDSPatientIdDoesNotMatch"]);
}

/// ITI TF-3 4.2.2.1.1: a SubmissionSet may refer to any patient's document.
#[tokio::test]
async fn a_reference_to_another_patients_document() {
    let gateway = Gateway::start().await;
    gateway.add_patient(OTHER_PATIENT).await;
    let theirs = register(&gateway, &of_patient(submission(), OTHER_PATIENT)).await;
    let mut s = submission();
    s.associations.push(Association {
        submission_set_status: Some(SubmissionSetStatus::Reference),
        ..has_member("A-REF", "SS", &theirs.entry_uuid)
    });
    register(&gateway, &s).await;
    let refers = |all: &[Association]| {
        all.iter()
            .filter(|a| {
                a.target_object == theirs.entry_uuid
                    && a.submission_set_status == Some(SubmissionSetStatus::Reference)
            })
            .count()
    };
    assert_eq!(refers(&associations(&gateway, PATIENT).await), 1);
    // It is found from the document too.
    let answer =
        gateway.soap().query(&query(GET_ASSOCIATIONS, vec![list("$uuid", &[&theirs.entry_uuid])])).await;
    let found: Vec<Association> = answer
        .objects()
        .into_iter()
        .filter_map(|o| match o {
            MetadataObject::Association(a) => Some(*a),
            _ => None,
        })
        .collect();
    assert_eq!(refers(&found), 1, "{}", answer.envelope);
    assert_eq!(found.len(), 2);
    let mut sets = query(GET_SUBMISSION_SETS, vec![list("$uuid", &[&theirs.entry_uuid])]);
    gateway.soap().query(&sets).await.assert_failure(&["XDSResultNotSinglePatient"]);
    sets.return_type = chiren::model::query::ReturnType::ObjectRef;
    assert_eq!(gateway.soap().query(&sets).await.found().len(), 4);
}

#[tokio::test]
async fn a_reference_without_its_status() {
    let gateway = Gateway::start().await;
    let old = register(&gateway, &submission()).await;
    let mut s = submission();
    s.associations.push(original("A-REF", &old.entry_uuid));
    gateway.soap().register(&s).await.assert_failure(&["XDSRegistryMetadataError"]);
}

#[tokio::test]
async fn nothing_is_added_to_an_old_submission_set() {
    let gateway = Gateway::start().await;
    register(&gateway, &submission()).await;
    let set = gateway
        .soap()
        .query(&get_all(PATIENT))
        .await
        .objects()
        .into_iter()
        .find_map(|o| match o {
            MetadataObject::SubmissionSet(s) => Some(s.entry_uuid),
            _ => None,
        })
        .expect("a set");
    let mut s = submission();
    s.associations.push(has_member("A-OLD", &set, "DE"));
    s.associations.push(has_member("A-HM", "SS", "A-OLD"));
    let answer = gateway.soap().register(&s).await;
    answer.assert_failure(&["XDSRegistryMetadataError"]);
    assert_eq!(answer.registry().1[0].1, "A-OLD/Association.sourceObject");
}
