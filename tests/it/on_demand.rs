//! ITI-61 and what follows from it: on-demand entries, documents made when they are retrieved, snapshots.

mod life;
mod retrieval;
mod snapshots;

use std::collections::HashSet;

use chiren::config::Config;
use chiren::content::{About, Custodian, GENERATORS, make};
use chiren::model::audit::Outcome;
use chiren::model::caller::Caller;
use chiren::model::ebrim::Slot;
use chiren::model::metadata::AvailabilityStatus::{Approved, Deprecated};
use chiren::model::metadata::{
    Association, AssociationType, Author, DocumentEntry, EntryType, MetadataObject, Submission,
};
use chiren::model::patient::Patient;
use chiren::model::query::ReturnType;
use chiren::model::uuids::{document_availability, object_type, status};
use chiren::service::registry::Operation;
use chiren::service::verify::{Scope, Verify};
use chiren::store::blob::{BlobOptions, Blobs};
use chiren::store::db::DbError;
use chiren::store::patient;
use chiren::store::registry::change::{Cause, Change};
use chiren::wire::ebxml::query::AdhocQueryRequest;
use chiren::wire::ebxml::response::ResponseStatus;
use chiren::wire::ebxml::retrieve::DocumentResponse;
use tokio::task::JoinSet;

use crate::support::samples::*;
use crate::support::schema::validate_cda;
use crate::support::updates::*;
use crate::support::{Answer, Gateway};

const LOCAL: &str = "jp:formatcode";

/// An on-demand entry of the patient's document list as ITI-61 wants it.
pub fn on_demand() -> Submission {
    in_format("jp:chiren:document-list:cda", "text/xml")
}

fn in_format(format: &str, mime_type: &str) -> Submission {
    let mut s = submission();
    let e = &mut s.document_entries[0];
    e.object_type = EntryType::OnDemand;
    (e.creation_time, e.hash, e.size) = (None, None, None);
    e.title = text("文書一覧");
    e.mime_type = mime_type.into();
    e.format_code = Some(code(format, LOCAL, "文書一覧"));
    s
}

fn fhir() -> Submission {
    in_format("jp:chiren:document-list:fhir", "application/fhir+json")
}

/// The document of the submission relates to a registered one.
fn relating(mut s: Submission, kind: AssociationType, target: &str) -> Submission {
    s.associations.push(Association::new(kind, "A-REL".into(), "DE", target));
    s
}

/// Asks for entries of both types.
fn of_both_types(mut request: AdhocQueryRequest) -> AdhocQueryRequest {
    request.slots.push(list("$XDSDocumentEntryType", &[object_type::STABLE, object_type::ON_DEMAND]));
    request
}

fn persisting(config: &mut Config) {
    config.repository.on_demand.persist = true;
}

async fn everything_of(gateway: &Gateway, patient: &str) -> Vec<DocumentEntry> {
    gateway.soap().query(&of_both_types(get_all(patient))).await.entries()
}

/// The entries of one type, whatever their status.
async fn of_type(gateway: &Gateway, entry_type: EntryType) -> Vec<DocumentEntry> {
    let mut entries = everything_of(gateway, PATIENT).await;
    entries.retain(|e| e.object_type == entry_type);
    entries
}

/// The one on-demand entry that is Approved.
async fn in_force(gateway: &Gateway) -> DocumentEntry {
    let mut entries = of_type(gateway, EntryType::OnDemand).await;
    entries.retain(|e| e.availability_status == Approved);
    assert_eq!(entries.len(), 1, "{entries:#?}");
    entries.remove(0)
}

/// A gateway with an on-demand entry, and its uniqueId.
async fn with(s: Submission, change: impl FnOnce(&mut Config)) -> (Gateway, String) {
    let gateway = Gateway::start_with(change).await;
    gateway.soap().register_on_demand(&s).await.assert_success();
    (gateway, s.document_entries[0].unique_id.clone())
}

/// One document made, and its bytes.
async fn retrieved(gateway: &Gateway, unique_id: &str) -> (DocumentResponse, String) {
    let answer = gateway.soap().retrieve(REPOSITORY, &[unique_id]).await;
    answer.assert_success();
    let mut responses = answer.responses();
    let bytes = answer.documents().remove(0).1;
    assert_eq!(responses.len(), 1);
    (responses.remove(0), String::from_utf8(bytes.to_vec()).expect("UTF-8"))
}

async fn made_id(gateway: &Gateway, unique_id: &str) -> String {
    retrieved(gateway, unique_id).await.0.new_document_unique_id.expect("NewDocumentUniqueId")
}

/// Chains, rows and the very bytes agree.
async fn everything_verified(gateway: &Gateway) {
    let blobs = Blobs::open(&gateway.config.repository.documents, BlobOptions::default()).unwrap();
    let verify = Verify::new(gateway.rooms().db.clone(), Some((blobs, REPOSITORY.to_owned())));
    let moment = gateway.clock.now().as_microsecond();
    let scope = Scope { moment, expect: None, documents: true, limit: 10 };
    let report = verify.run(&scope, &|_| {}).await.expect("the history is read");
    assert_eq!(report.faults, 0, "{:#?}", report.findings);
    assert!(report.counts.documents > 0);
}

// --- ITI-61 ---------------------------------------------------------------------------------------

#[tokio::test]
async fn an_entry_is_registered() {
    let s = on_demand();
    let (gateway, unique_id) = with(s.clone(), |_| {}).await;
    let entry = in_force(&gateway).await;
    assert_eq!((entry.unique_id.as_str(), entry.version), (unique_id.as_str(), 1));
    assert_eq!((&entry.creation_time, &entry.hash, &entry.size), (&None, &None, &None));
    assert_eq!(entry.title, text("文書一覧"));
    let audit = gateway.audit().await;
    let record = audit.iter().find(|r| r.transaction == "ITI-61").expect("a record");
    assert_eq!((record.outcome, &record.documents), (Outcome::Success, &vec![unique_id]));
    assert_eq!(record.submission_set.as_deref(), Some(s.submission_set.unique_id.as_str()));
    gateway.assert_verified().await;
}

#[tokio::test]
async fn the_action_of_the_answer_lacks_entry() {
    let gateway = Gateway::start().await;
    let answer = gateway.soap().register_on_demand(&on_demand()).await;
    let action = ">urn:ihe:iti:2010:RegisterOnDemandDocumentResponse<";
    assert!(answer.envelope.contains(action), "{}", answer.envelope);
}

type Spoil = fn(&mut Submission);

/// One thing spoiled, the code and the place.
const REFUSED: &[(&str, &str, Spoil)] = &[
    ("XDSRegistryMetadataError", "DE/DocumentEntry.creationTime", |s| {
        s.document_entries[0].creation_time = Some("20260401".into());
    }),
    ("XDSRegistryMetadataError", "DE/DocumentEntry.hash", |s| {
        s.document_entries[0].hash = Some("da39a3ee5e6b4b0d3255bfef95601890afd80709".into());
    }),
    ("XDSRegistryMetadataError", "DE/DocumentEntry.size", |s| {
        s.document_entries[0].size = Some("0".into());
    }),
    ("XDSRegistryMetadataError", "DE/DocumentEntry.objectType", |s| {
        s.document_entries[0].object_type = EntryType::Stable;
    }),
    ("XDSRegistryMetadataError", "DE/DocumentEntry.repositoryUniqueId", |s| {
        s.document_entries[0].repository_unique_id = None;
    }),
    ("XDSRegistryMetadataError", "DE/DocumentEntry.formatCode", |s| s.document_entries[0].format_code = None),
    ("XDSRegistryMetadataError", "DE/DocumentEntry.limitedMetadata", |s| {
        s.document_entries[0].limited_metadata = true;
    }),
    ("XDSRegistryMetadataError", "DE/DocumentEntry", |s| drop(s.associations.remove(0))),
    ("XDSPatientIdDoesNotMatch", "DE/DocumentEntry.patientId", |s| {
        s.document_entries[0].patient_id = OTHER_PATIENT.into();
    }),
    ("XDSUnknownPatientId", "SS/SubmissionSet.patientId", |s| *s = of_patient(s.clone(), OTHER_PATIENT)),
    ("XDSRegistryDuplicateUniqueIdInMessage", "DE/DocumentEntry.uniqueId", |s| {
        s.submission_set.unique_id = s.document_entries[0].unique_id.clone();
    }),
    ("UnresolvedReferenceException", "A-REL/Association.targetObject", |s| {
        let unknown = "urn:uuid:00000000-0000-4000-8000-000000000000";
        *s = relating(s.clone(), AssociationType::Replace, unknown);
    }),
];

#[tokio::test]
async fn what_is_refused() {
    let gateway = Gateway::start_with(|c| c.registry.limited_metadata = true).await;
    for (code, place, spoil) in REFUSED {
        let mut s = on_demand();
        spoil(&mut s);
        let answer = gateway.soap().register_on_demand(&s).await;
        answer.assert_failure(&[code]);
        assert!(answer.registry().1.iter().any(|(_, at)| at == place), "{place}: {}", answer.envelope);
        assert_eq!(everything_of(&gateway, PATIENT).await, [], "{place}");
    }
    let audit = gateway.audit().await;
    let refused = audit.iter().filter(|r| r.transaction == "ITI-61" && r.outcome == Outcome::SeriousFailure);
    assert_eq!(refused.count(), REFUSED.len());
}

#[tokio::test]
async fn a_unique_id_of_a_stable_entry() {
    let gateway = Gateway::start().await;
    let stable = submission();
    gateway.soap().register(&stable).await.assert_success();
    let mut s = on_demand();
    s.document_entries[0].unique_id = stable.document_entries[0].unique_id.clone();
    let answer = gateway.soap().register_on_demand(&s).await;
    answer.assert_failure(&["XDSDuplicateUniqueIdInRegistry"]);
    assert_eq!(answer.registry().1[0].1, "DE/DocumentEntry.uniqueId");
    assert_eq!(of_type(&gateway, EntryType::OnDemand).await, []);
}

#[tokio::test]
async fn a_unique_id_of_an_on_demand_entry() {
    let first = on_demand();
    let (gateway, unique_id) = with(first, |_| {}).await;
    let mut again = on_demand();
    again.document_entries[0].unique_id = unique_id.clone();
    gateway.soap().register_on_demand(&again).await.assert_success();
    assert_eq!(of_type(&gateway, EntryType::OnDemand).await.len(), 2);
    // Nor can a stable document be what is made anew each time.
    let mut stable = submission();
    stable.document_entries[0].unique_id = unique_id.clone();
    let answer = gateway.soap().register(&stable).await;
    answer.assert_failure(&["XDSDuplicateUniqueIdInRegistry"]);
    // Either entry is answered with one document.
    made_id(&gateway, &unique_id).await;
}

#[tokio::test]
async fn what_relates_to_what() {
    use AssociationType as T;
    use EntryType::{OnDemand, Stable};
    let refused = Err("XDSRegistryMetadataError");
    let cases: &[(EntryType, T, EntryType, Result<(), &str>)] = &[
        (OnDemand, T::Replace, Stable, Ok(())),
        (OnDemand, T::Replace, OnDemand, Ok(())),
        (OnDemand, T::TransformReplace, OnDemand, Ok(())),
        (OnDemand, T::Transform, OnDemand, Ok(())),
        (OnDemand, T::Append, Stable, Ok(())),
        (OnDemand, T::IsSnapshotOf, OnDemand, refused),
        (OnDemand, T::IsSnapshotOf, Stable, refused),
        (Stable, T::Replace, OnDemand, refused),
        (Stable, T::TransformReplace, OnDemand, refused),
        (Stable, T::Append, OnDemand, refused),
        (Stable, T::Signs, OnDemand, refused),
        (Stable, T::IsSnapshotOf, OnDemand, Ok(())),
    ];
    for (source, kind, target, expected) in cases {
        let gateway = Gateway::start().await;
        let send = async |entry_type: EntryType, s: Submission| match entry_type {
            OnDemand => gateway.soap().register_on_demand(&s).await,
            Stable => gateway.soap().register(&s).await,
        };
        let plain = |entry_type| if entry_type == OnDemand { on_demand() } else { submission() };
        send(*target, plain(*target)).await.assert_success();
        let old = everything_of(&gateway, PATIENT).await.remove(0);
        let answer = send(*source, relating(plain(*source), *kind, &old.entry_uuid)).await;
        let what = format!("{source:?} {kind:?} {target:?}");
        match expected {
            Ok(()) => assert_eq!(answer.registry().0, ResponseStatus::Success, "{what}: {}", answer.envelope),
            Err(code) => {
                answer.assert_failure(&[code]);
                assert_eq!(answer.registry().1[0].1, "A-REL/Association.targetObject", "{what}");
            }
        }
        let entries = everything_of(&gateway, PATIENT).await;
        let status = entries.iter().find(|e| e.entry_uuid == old.entry_uuid).map(|e| e.availability_status);
        let replaced = expected.is_ok() && kind.replaces();
        assert_eq!(status, Some(if replaced { Deprecated } else { Approved }), "{what}");
        gateway.assert_verified().await;
    }
}

#[tokio::test]
async fn a_replacement_takes_the_folder_over() {
    let gateway = Gateway::start().await;
    let mut s = on_demand();
    s.folders.push(folder("FD"));
    s.associations.push(has_member("A-FD", "SS", "FD"));
    s.associations.push(has_member("A-FD-DE", "FD", "DE"));
    s.associations.push(has_member("A-SS-HM", "SS", "A-FD-DE"));
    gateway.soap().register_on_demand(&s).await.assert_success();
    let old = in_force(&gateway).await;
    let new = relating(on_demand(), AssociationType::Replace, &old.entry_uuid);
    gateway.soap().register_on_demand(&new).await.assert_success();
    let new = in_force(&gateway).await;
    let folder = gateway.folder(PATIENT).await;
    let filed = gateway.associations(&folder.entry_uuid).await;
    assert!(filed.iter().any(|a| a.target_object == new.entry_uuid), "{filed:#?}");
}

#[tokio::test]
async fn what_is_deprecated_is_not_replaced() {
    let (gateway, _) = with(on_demand(), |_| {}).await;
    let old = in_force(&gateway).await.entry_uuid;
    let replacing = || relating(on_demand(), AssociationType::Replace, &old);
    gateway.soap().register_on_demand(&replacing()).await.assert_success();
    let answer = gateway.soap().register_on_demand(&replacing()).await;
    answer.assert_failure(&["XDSRegistryDeprecatedDocumentError"]);
}

// --- queries --------------------------------------------------------------------------------------

/// Queries that have `$XDSDocumentEntryType` find stable entries unless both types are listed.
#[tokio::test]
async fn both_types_where_both_are_listed() {
    const BY_REFERENCE_ID: &str = "urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492";
    const FIND_MULTI: &str = "urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f";
    const SET_AND_CONTENTS: &str = "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83";
    const FOLDER_AND_CONTENTS: &str = "urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7";
    const RELATED: &str = "urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6";
    const REFERENCE: &str = "7^^^&1.2.3&ISO^urn:ihe:iti:xds:2013:order";
    let gateway = Gateway::start().await;
    // A stable entry in a folder; an on-demand one that is added to it; a snapshot.
    let mut stable = submission_with_folder();
    stable.document_entries[0].reference_id_list = vec![REFERENCE.into()];
    gateway.soap().register(&stable).await.assert_success();
    let stable = gateway.entry(PATIENT).await;
    let folder = gateway.folder(PATIENT).await;
    let mut s = on_demand();
    s.document_entries[0].reference_id_list = vec![REFERENCE.into()];
    s.associations.push(has_member("A-FD", &folder.entry_uuid, "DE"));
    s.associations.push(has_member("A-SS-HM", "SS", "A-FD"));
    let mut by_reference = original("A-REF", &stable.entry_uuid);
    by_reference.submission_set_status = Some(chiren::model::metadata::SubmissionSetStatus::Reference);
    s.associations.push(by_reference);
    gateway.soap().register_on_demand(&s).await.assert_success();
    let changing = in_force(&gateway).await;
    let snapshot = relating(submission(), AssociationType::IsSnapshotOf, &changing.entry_uuid);
    gateway.soap().register(&snapshot).await.assert_success();
    let entries = of_type(&gateway, EntryType::Stable).await;
    let snapshot = entries.into_iter().find(|e| e.entry_uuid != stable.entry_uuid).expect("a snapshot");

    let approved = |patient: &str| list(patient, &[status::APPROVED]);
    let patient = single("$XDSDocumentEntryPatientId", PATIENT);
    let status = approved("$XDSDocumentEntryStatus");
    let (a, b, c) = (&stable.entry_uuid, &changing.entry_uuid, &snapshot.entry_uuid);
    // The query; what it finds of stable entries, of on-demand entries.
    let cases: Vec<(&str, AdhocQueryRequest, Vec<&String>, Vec<&String>)> = vec![
        ("FindDocuments", find_documents(PATIENT), vec![a, c], vec![b]),
        (
            "FindDocumentsByReferenceId",
            query(
                BY_REFERENCE_ID,
                vec![patient.clone(), status.clone(), list("$XDSDocumentEntryReferenceIdList", &[REFERENCE])],
            ),
            vec![a],
            vec![b],
        ),
        ("GetAll", get_all(PATIENT), vec![a, c], vec![b]),
        (
            "GetSubmissionSetAndContents",
            query(SET_AND_CONTENTS, vec![single("$XDSSubmissionSetUniqueId", &s.submission_set.unique_id)]),
            vec![a],
            vec![b],
        ),
        (
            "GetFolderAndContents",
            query(FOLDER_AND_CONTENTS, vec![single("$XDSFolderEntryUUID", &folder.entry_uuid)]),
            vec![a],
            vec![b],
        ),
    ];
    let ids =
        |answer: Answer| -> HashSet<String> { answer.entries().into_iter().map(|e| e.entry_uuid).collect() };
    for (name, request, stables, changing) in cases {
        let typed = |types: &[&str]| {
            let mut request = request.clone();
            request.slots.push(list("$XDSDocumentEntryType", types));
            request
        };
        let all: HashSet<String> = stables.iter().chain(&changing).map(|id| (*id).clone()).collect();
        let stables: HashSet<String> = stables.into_iter().cloned().collect();
        let changing: HashSet<String> = changing.into_iter().cloned().collect();
        let soap = gateway.soap();
        assert_eq!(ids(soap.query(&request).await), stables, "{name}");
        assert_eq!(ids(soap.query(&typed(&[object_type::STABLE])).await), stables, "{name}");
        assert_eq!(ids(soap.query(&typed(&[object_type::ON_DEMAND])).await), changing, "{name}");
        let both = typed(&[object_type::STABLE, object_type::ON_DEMAND]);
        let found = soap.query(&both).await;
        for e in found.entries().iter().filter(|e| e.object_type == EntryType::OnDemand) {
            assert_eq!((&e.creation_time, &e.hash, &e.size), (&None, &None, &None), "{name}");
        }
        assert_eq!(ids(found), all, "{name}");
    }

    let related = |types: &[&str]| {
        let mut request = query(
            RELATED,
            vec![
                single("$XDSDocumentEntryEntryUUID", &snapshot.entry_uuid),
                list("$AssociationTypes", &[AssociationType::IsSnapshotOf.urn()]),
            ],
        );
        request.slots.extend((!types.is_empty()).then(|| list("$XDSDocumentEntryType", types)));
        request
    };
    assert_eq!(gateway.soap().query(&related(&[])).await.objects(), []);
    let both = related(&[object_type::STABLE, object_type::ON_DEMAND]);
    assert_eq!(gateway.soap().query(&both).await.objects().len(), 3);

    let facility = list("$XDSDocumentEntryHealthcareFacilityTypeCode", &["1^^1.2.392.100495.20.3.22"]);
    let multi = query(FIND_MULTI, vec![status, facility]);
    assert_eq!(gateway.soap().query_multi_patient(&multi).await.entries().len(), 2);
    assert_eq!(gateway.soap().query_multi_patient(&of_both_types(multi)).await.entries().len(), 3);

    // Named by id, an entry is given whatever its type.
    let named = query(GET_DOCUMENTS, vec![list("$XDSDocumentEntryEntryUUID", &[b])]);
    assert_eq!(gateway.soap().query(&named).await.entries().len(), 1);
}

#[tokio::test]
async fn a_time_of_creation_does_not_concern_what_has_none() {
    let (gateway, _) = with(on_demand(), |_| {}).await;
    gateway.soap().register(&submission()).await.assert_success();
    let time =
        |name: &str, value: &str| Slot { name: name.into(), slot_type: None, values: vec![value.into()] };
    for (bound, stable) in [
        (time("$XDSDocumentEntryCreationTimeFrom", "2099"), 0),
        (time("$XDSDocumentEntryCreationTimeTo", "1999"), 0),
        (time("$XDSDocumentEntryCreationTimeTo", "2099"), 1),
    ] {
        let mut request = of_both_types(find_documents(PATIENT));
        request.slots.push(bound.clone());
        let found = gateway.soap().query(&request).await.entries();
        assert_eq!(found.len(), 1 + stable, "{bound:?}");
        assert!(found.iter().any(|e| e.object_type == EntryType::OnDemand));
    }
}
