//! ITI-61 and what follows from it: on-demand entries, documents made when they are retrieved, snapshots.

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

// --- retrieval ------------------------------------------------------------------------------------

#[tokio::test]
async fn a_document_is_made_when_it_is_retrieved() {
    let (gateway, unique_id) = with(on_demand(), |_| {}).await;
    let stable = submission();
    gateway.soap().register(&stable).await.assert_success();
    let files = gateway.files();
    let (response, document) = retrieved(&gateway, &unique_id).await;
    assert_eq!(response.repository_unique_id, REPOSITORY);
    assert_eq!(response.document_unique_id, unique_id);
    assert_eq!(response.new_repository_unique_id, None);
    assert_eq!(response.mime_type, "text/xml");
    let made = response.new_document_unique_id.expect("NewDocumentUniqueId");
    assert_ne!(made, unique_id);
    validate_cda(&document).unwrap_or_else(|e| panic!("{e:#?}\n{document}"));
    for word in
        [&made, &stable.document_entries[0].unique_id, "診療情報提供書", "登呂病院", "試験", "2025年04月01日"]
    {
        assert!(document.contains(word), "{word} in {document}");
    }
    let audit = gateway.audit().await;
    let record = audit.iter().find(|r| r.transaction == "ITI-43").expect("a record");
    assert_eq!(
        (&record.patients, &record.documents),
        (&vec![PATIENT.to_owned()], &vec![unique_id, made.clone()])
    );
    // Nothing is kept.
    assert_eq!(gateway.files(), files);
    assert_eq!(of_type(&gateway, EntryType::Stable).await.len(), 1);
    gateway.soap().retrieve(REPOSITORY, &[&made]).await.assert_failure(&["XDSDocumentUniqueIdError"]);
}

#[tokio::test]
async fn the_id_is_the_contents() {
    let (gateway, unique_id) = with(on_demand(), |_| {}).await;
    let retrieved = async || {
        let (response, document) = retrieved(&gateway, &unique_id).await;
        (response.new_document_unique_id, document)
    };
    let (first, document) = retrieved().await;
    gateway.tick();
    assert_eq!(retrieved().await, (first.clone(), document.clone()));
    // Whatever changes what the registry has of the patient changes the document.
    gateway.soap().register(&submission()).await.assert_success();
    let (second, longer) = retrieved().await;
    assert_ne!(second, first);
    assert_ne!(longer, document);
    // Another patient's does not.
    gateway.tick();
    gateway.add_patient(OTHER_PATIENT).await;
    gateway.soap().register(&of_patient(submission(), OTHER_PATIENT)).await.assert_success();
    assert_eq!(retrieved().await, (second, longer));
}

#[tokio::test]
async fn a_simple_request_gets_the_document_inline() {
    use crate::support::soap::{SIMPLE, envelope};
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    let body = format!(
        "<xds:RetrieveDocumentSetRequest xmlns:xds=\"urn:ihe:iti:xds-b:2007\"><xds:DocumentRequest>\
         <xds:HomeCommunityId>{HOME}</xds:HomeCommunityId><xds:RepositoryUniqueId>{REPOSITORY}\
         </xds:RepositoryUniqueId><xds:DocumentUniqueId>{unique_id}</xds:DocumentUniqueId>\
         </xds:DocumentRequest></xds:RetrieveDocumentSetRequest>"
    );
    let request = envelope("urn:ihe:iti:2007:RetrieveDocumentSet", &body);
    let answer = gateway.soap().post("/xds/iti43", SIMPLE, request).await;
    answer.assert_success();
    let response = answer.responses().remove(0);
    assert_eq!(response.home_community_id.as_deref(), Some(HOME));
    assert_eq!(response.new_repository_unique_id.as_deref(), Some(REPOSITORY));
    assert!(String::from_utf8_lossy(&answer.documents()[0].1).contains("ClinicalDocument"));
}

#[tokio::test]
async fn made_and_kept_documents_come_together() {
    let (gateway, unique_id) = with(on_demand(), |_| {}).await;
    let mut kept = submission();
    (kept.document_entries[0].hash, kept.document_entries[0].size) = (None, None);
    gateway.soap().provide(&kept, &[("DE", b"test")]).await.assert_success();
    let kept = kept.document_entries[0].unique_id.clone();
    let answer = gateway.soap().retrieve(REPOSITORY, &[&unique_id, &kept, "2.999.404"]).await;
    let missing = ("XDSDocumentUniqueIdError".to_owned(), "2.999.404".to_owned());
    assert_eq!(answer.registry(), (ResponseStatus::PartialSuccess, vec![missing]));
    let new: Vec<bool> = answer.responses().iter().map(|d| d.new_document_unique_id.is_some()).collect();
    assert_eq!(new, [true, false]);
    assert_eq!(answer.documents()[1].1, "test");
}

#[tokio::test]
async fn a_list_of_nothing() {
    let (gateway, unique_id) = with(on_demand(), |_| {}).await;
    let (_, document) = retrieved(&gateway, &unique_id).await;
    validate_cda(&document).unwrap_or_else(|e| panic!("{e:#?}\n{document}"));
    assert!(document.contains("登録されている文書はありません"));
}

/// What a FHIR document must be: Composition first, each resource named once, each reference resolved.
#[tokio::test]
async fn a_list_as_a_fhir_document() {
    let (gateway, unique_id) = with(fhir(), |_| {}).await;
    let stable = submission();
    gateway.soap().register(&stable).await.assert_success();
    let (response, document) = retrieved(&gateway, &unique_id).await;
    assert_eq!(response.mime_type, "application/fhir+json");
    let made = response.new_document_unique_id.expect("NewDocumentUniqueId");
    let bundle: serde_json::Value = serde_json::from_str(&document).expect("JSON");
    assert_eq!((&bundle["resourceType"], &bundle["type"]), (&"Bundle".into(), &"document".into()));
    assert_eq!(bundle["identifier"]["value"], format!("urn:oid:{made}"));
    let entries = bundle["entry"].as_array().expect("entries");
    let resources: Vec<&str> =
        entries.iter().map(|e| e["resource"]["resourceType"].as_str().expect("a type")).collect();
    assert_eq!(
        resources,
        ["Composition", "Patient", "Device", "Organization", "Organization", "DocumentReference"]
    );
    let urls: HashSet<&str> = entries.iter().map(|e| e["fullUrl"].as_str().expect("a fullUrl")).collect();
    assert_eq!(urls.len(), entries.len());
    let mut references = vec![];
    collect(&bundle, &mut references);
    assert!(references.len() >= 5, "{references:?}");
    for reference in references {
        assert!(urls.contains(reference.as_str()), "{reference} names nothing of the document");
    }
    let composition = &entries[0]["resource"];
    for (name, value) in [("status", "final"), ("title", "文書一覧"), ("date", "2026-11-22T12:00:00+09:00")]
    {
        assert_eq!(composition[name], value, "{name}");
    }
    let listed = &entries[5]["resource"];
    let e = &stable.document_entries[0];
    assert_eq!(listed["masterIdentifier"]["value"], format!("urn:oid:{}", e.unique_id));
    assert_eq!(listed["content"][0]["attachment"]["title"], "診療情報提供書");
    assert_eq!(listed["content"][0]["attachment"]["creation"], "2025-04-01");
    assert_eq!(listed["author"][0]["display"], "登呂病院");
    let div = composition["section"][0]["text"]["div"].as_str().expect("a div");
    roxmltree::Document::parse(div).expect("XHTML");
}

fn collect(value: &serde_json::Value, into: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => {
            into.extend(map.get("reference").and_then(|r| r.as_str()).map(str::to_owned));
            map.values().for_each(|v| collect(v, into));
        }
        serde_json::Value::Array(list) => list.iter().for_each(|v| collect(v, into)),
        _ => {}
    }
}

/// Only Approved stable documents are listed.
#[tokio::test]
async fn what_is_not_in_force_is_not_listed() {
    let (gateway, unique_id) = with(on_demand(), |_| {}).await;
    let (old, kept) = (submission(), submission());
    gateway.soap().register(&old).await.assert_success();
    let entry = gateway.entry(PATIENT).await;
    gateway.soap().register(&kept).await.assert_success();
    let new = related(AssociationType::Replace, &entry.entry_uuid);
    gateway.soap().register(&new).await.assert_success();
    let (_, document) = retrieved(&gateway, &unique_id).await;
    for (s, listed) in [(&old, false), (&kept, true), (&new, true)] {
        assert_eq!(document.contains(&format!("<td>{}</td>", s.document_entries[0].unique_id)), listed);
    }
    assert!(!document.contains(&format!("<td>{unique_id}</td>")));
}

/// Deprecated, offline, removed, another repository's.
#[tokio::test]
async fn an_entry_that_is_not_in_force() {
    let (gateway, unique_id) = with(on_demand(), |_| {}).await;
    let entry = in_force(&gateway).await;
    let refused = async || {
        let answer = gateway.soap().retrieve(REPOSITORY, &[&unique_id]).await;
        answer.assert_failure(&["XDSDocumentUniqueIdError"]);
    };
    let id = &entry.entry_uuid;
    gateway.soap().update(&status_of(update(), id, Approved, Deprecated)).await.assert_success();
    refused().await;
    gateway.soap().update(&status_of(update(), id, Deprecated, Approved)).await.assert_success();
    made_id(&gateway, &unique_id).await;

    let mut offline = next_entry(update(), "DE", &entry);
    offline.submission.document_entries[0].document_availability =
        Some(document_availability::OFFLINE.into());
    gateway.soap().update(&offline).await.assert_success();
    refused().await;

    let elsewhere = gateway.soap().retrieve("2.999.404", &[&unique_id]).await;
    elsewhere.assert_failure(&["XDSUnknownRepositoryId"]);
}

#[tokio::test]
async fn an_entry_of_another_repository_is_not_ours_to_make() {
    let mut s = on_demand();
    s.document_entries[0].repository_unique_id = Some("2.999.404".into());
    let (gateway, unique_id) = with(s, |_| {}).await;
    let answer = gateway.soap().retrieve(REPOSITORY, &[&unique_id]).await;
    answer.assert_failure(&["XDSDocumentUniqueIdError"]);
}

#[tokio::test]
async fn a_format_that_nothing_here_makes() {
    let (gateway, unique_id) = with(in_format("jp:cda:hs008", "text/xml"), |_| {}).await;
    let answer = gateway.soap().retrieve(REPOSITORY, &[&unique_id]).await;
    answer.assert_failure(&["XDSRepositoryError"]);
    assert_eq!(answer.registry().1[0].1, unique_id);
}

/// A uniqueId that two patients share tells nobody whose list is meant.
#[tokio::test]
async fn an_id_of_two_patients() {
    let s = on_demand();
    let (gateway, unique_id) = with(s.clone(), |_| {}).await;
    gateway.add_patient(OTHER_PATIENT).await;
    let mut other = of_patient(on_demand(), OTHER_PATIENT);
    other.document_entries[0].unique_id = unique_id.clone();
    gateway.soap().register_on_demand(&other).await.assert_success();
    let answer = gateway.soap().retrieve(REPOSITORY, &[&unique_id]).await;
    answer.assert_failure(&["XDSDocumentUniqueIdError"]);
}

#[tokio::test]
async fn more_documents_than_a_query_may_give() {
    let (gateway, unique_id) = with(on_demand(), |c| c.limits.query_results = 1).await;
    gateway.soap().register(&submission()).await.assert_success();
    made_id(&gateway, &unique_id).await;
    gateway.soap().register(&submission()).await.assert_success();
    let answer = gateway.soap().retrieve(REPOSITORY, &[&unique_id]).await;
    answer.assert_failure(&["XDSRepositoryError"]);
}

/// Whatever metadata a registry may hold, a CDA document of it is valid.
#[test]
fn odd_metadata_makes_a_valid_document() {
    let mut odd = document_entry("urn:uuid:00000000-0000-4000-8000-000000000001");
    odd.title = text("<&>\"'\u{0}\r\n𠮷野家 㐂");
    odd.author = vec![Author { author_institution: vec!["^^^".into()], ..Author::default() }];
    odd.type_code = Some(code("ADT-00", "jp:ssmix2:datakind", ""));
    let mut bare = DocumentEntry { entry_uuid: "urn:uuid:2".into(), ..DocumentEntry::default() };
    bare.creation_time = Some("not a time".into());
    let unique_ids = [
        "129.6.58.92.1",
        "2.999.1^00-1",
        "urn:uuid:08a15a6f-5b4a-42de-8f95-89474f83abdf",
        "urn:uuid:not-one",
        "https://example.jp/documents/1?a=b&c=d",
        "",
    ];
    let mut documents = vec![];
    for unique_id in unique_ids {
        for entry in [&odd, &bare] {
            documents.push(DocumentEntry { unique_id: unique_id.into(), ..entry.clone() });
        }
    }
    let nobody = Patient {
        patient_id: "not a CX".into(),
        name_kanji: Some("　".into()),
        name_kana: None,
        name_romaji: Some("A  B C".into()),
        birth_date: Some("1960-01-01".into()),
        sex: Some("O".into()),
    };
    let mut entry = DocumentEntry { language_code: Some("ja-JP".into()), ..bare.clone() };
    entry.author =
        vec![Author { author_institution: vec!["病院^^^^^&129.6&ISO^^^^1".into()], ..Author::default() }];
    entry.confidentiality_code = vec![code("R", "2.16.840.1.113883.5.25", "制限")];
    for generator in GENERATORS {
        let about = About {
            id: "",
            entry: &entry,
            patient: &nobody,
            documents: &documents,
            at: "2026-04-02T03:04:05Z".parse().unwrap(),
            custodian: Custodian { name: "試験", oid: "2.999.4" },
        };
        let made = String::from_utf8(make(*generator, &about).bytes).expect("UTF-8");
        match generator.format().mime_type {
            "text/xml" => validate_cda(&made).unwrap_or_else(|e| panic!("{e:#?}\n{made}")),
            _ => drop(serde_json::from_str::<serde_json::Value>(&made).expect("JSON")),
        }
    }
    assert!(validate_cda("<ClinicalDocument xmlns=\"urn:hl7-org:v3\"/>").is_err(), "the judge judges");
}

// --- snapshots ------------------------------------------------------------------------------------

#[tokio::test]
async fn a_snapshot_is_kept_and_registered_before_the_answer() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    let (response, document) = retrieved(&gateway, &unique_id).await;
    let made = response.new_document_unique_id.expect("NewDocumentUniqueId");
    assert_eq!(response.new_repository_unique_id.as_deref(), Some(REPOSITORY));
    // What was given out can be had again, by any ITI-43.
    let answer = gateway.soap().retrieve(REPOSITORY, &[&made]).await;
    answer.assert_success();
    assert_eq!(answer.documents(), [(made.clone(), document.clone().into())]);
    assert_eq!(answer.responses()[0].new_document_unique_id, None);

    let changing = in_force(&gateway).await;
    let snapshot = of_type(&gateway, EntryType::Stable).await.remove(0);
    assert_eq!((&snapshot.unique_id, snapshot.availability_status), (&made, Approved));
    assert_eq!(snapshot.size.as_deref(), Some(document.len().to_string().as_str()));
    assert_eq!(snapshot.creation_time.as_deref(), Some("20261122030000"));
    assert_eq!((&snapshot.title, &snapshot.mime_type), (&changing.title, &changing.mime_type));
    let relations = gateway.associations(&snapshot.entry_uuid).await;
    let of = relations.iter().find(|a| a.association_type == AssociationType::IsSnapshotOf);
    assert_eq!(of.map(|a| a.target_object.as_str()), Some(changing.entry_uuid.as_str()));
    assert_eq!(relations.len(), 2, "the SubmissionSet's, and that one");

    // One request, two records: the registration committed with its own, before the retrieval's.
    let audit = gateway.audit().await;
    let (registered, retrievals): (Vec<_>, Vec<_>) =
        audit.iter().filter(|r| r.transaction == "ITI-43").partition(|r| r.submission_set.is_some());
    assert_eq!((registered.len(), retrievals.len()), (1, 2));
    let record = registered[0];
    assert_eq!((&record.documents, record.outcome), (&vec![made.clone()], Outcome::Success));
    let same = retrievals.iter().filter(|r| r.request_id == record.request_id);
    assert_eq!(same.map(|r| &r.documents).collect::<Vec<_>>(), [&vec![unique_id, made]]);
}

#[tokio::test]
async fn identical_content_is_registered_once_and_other_content_replaces_it() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    let first = made_id(&gateway, &unique_id).await;
    for _ in 0..3 {
        gateway.tick();
        assert_eq!(made_id(&gateway, &unique_id).await, first);
    }
    assert_eq!(of_type(&gateway, EntryType::Stable).await.len(), 1);
    assert_eq!(gateway.files().0, 1);

    let other = submission();
    gateway.soap().register(&other).await.assert_success();
    let second = made_id(&gateway, &unique_id).await;
    assert_ne!(second, first);
    assert_eq!(made_id(&gateway, &unique_id).await, second);
    let entries = of_type(&gateway, EntryType::Stable).await;
    assert_eq!(entries.len(), 3);
    let of = |id: &str| entries.iter().find(|e| e.unique_id == id).expect("an entry");
    assert_eq!(of(&first).availability_status, Deprecated);
    assert_eq!(of(&second).availability_status, Approved);
    let relations = gateway.associations(&of(&second).entry_uuid).await;
    let replaced = relations.iter().find(|a| a.association_type == AssociationType::Replace);
    assert_eq!(replaced.map(|a| &a.target_object), Some(&of(&first).entry_uuid));
    // Both can still be had; neither lists itself or the other.
    for id in [&first, &second] {
        let bytes = gateway.soap().retrieve(REPOSITORY, &[id]).await.documents().remove(0).1;
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(text.matches("<tr>").count(), if id == &first { 0 } else { 2 }, "{text}");
    }
    everything_verified(&gateway).await;
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

#[tokio::test]
async fn two_lists_of_one_patient_do_not_list_each_other() {
    let (gateway, cda) = with(on_demand(), persisting).await;
    let s = fhir();
    gateway.soap().register_on_demand(&s).await.assert_success();
    let fhir = s.document_entries[0].unique_id.clone();
    let first = [made_id(&gateway, &cda).await, made_id(&gateway, &fhir).await];
    assert_ne!(first[0], first[1]);
    assert_eq!([made_id(&gateway, &cda).await, made_id(&gateway, &fhir).await], first);
    assert_eq!(of_type(&gateway, EntryType::Stable).await.len(), 2);
    // Their snapshots do not replace each other.
    assert!(of_type(&gateway, EntryType::Stable).await.iter().all(|e| e.availability_status == Approved));
}

/// Another system's snapshot of our entry is its document: listed, and left alone.
#[tokio::test]
async fn a_snapshot_that_another_system_made() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    let of = in_force(&gateway).await.entry_uuid;
    let mut theirs = relating(submission(), AssociationType::IsSnapshotOf, &of);
    theirs.document_entries[0].repository_unique_id = Some("2.999.404".into());
    gateway.soap().register(&theirs).await.assert_success();
    let (_, document) = retrieved(&gateway, &unique_id).await;
    assert!(document.contains(&format!("<td>{}</td>", theirs.document_entries[0].unique_id)));
    let entries = of_type(&gateway, EntryType::Stable).await;
    assert_eq!(entries.len(), 2);
    assert!(entries.iter().all(|e| e.availability_status == Approved));
}

/// A snapshot goes where the one before it lay, as every replacement does.
#[tokio::test]
async fn a_snapshot_inherits_the_folder() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    made_id(&gateway, &unique_id).await;
    let first = of_type(&gateway, EntryType::Stable).await.remove(0);
    let mut s = submission();
    s.folders.push(folder("FD"));
    s.associations.push(has_member("A-FD", "SS", "FD"));
    s.associations.push(has_member("A-FD-S", "FD", &first.entry_uuid));
    s.associations.push(has_member("A-SS-HM", "SS", "A-FD-S"));
    gateway.soap().register(&s).await.assert_success();
    let second = made_id(&gateway, &unique_id).await;
    let entries = of_type(&gateway, EntryType::Stable).await;
    let second = entries.iter().find(|e| e.unique_id == second).expect("a snapshot");
    let folder = gateway.folder(PATIENT).await;
    let filed = gateway.associations(&folder.entry_uuid).await;
    assert!(filed.iter().any(|a| a.target_object == second.entry_uuid), "{filed:#?}");
    everything_verified(&gateway).await;
}

/// Withdrawn snapshots come back as new entries of the same document.
#[tokio::test]
async fn a_snapshot_that_was_withdrawn() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    let first = made_id(&gateway, &unique_id).await;
    let entry = of_type(&gateway, EntryType::Stable).await.remove(0);
    let withdrawn = status_of(update(), &entry.entry_uuid, Approved, Deprecated);
    gateway.soap().update(&withdrawn).await.assert_success();
    let second = made_id(&gateway, &unique_id).await;
    let entries = of_type(&gateway, EntryType::Stable).await;
    let approved: Vec<_> = entries.iter().filter(|e| e.availability_status == Approved).collect();
    assert_eq!((entries.len(), approved.len()), (2, 1));
    // Within a second of the update the list is the same, and so is its id: now of two entries.
    assert_eq!((&approved[0].unique_id, &second), (&first, &first));
    assert_eq!(gateway.files().0, 1);
    everything_verified(&gateway).await;
}

/// Its document was removed and its entry not: the next retrieval keeps the document again.
#[tokio::test]
async fn a_snapshot_whose_document_is_gone() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    let made = made_id(&gateway, &unique_id).await;
    let (gone, at) = (made.clone(), gateway.clock.now().as_microsecond());
    let removed: Result<bool, DbError> = gateway
        .rooms()
        .db
        .write(move |tx| {
            let gone = gone.clone();
            Box::pin(async move {
                let held = patient::hold(tx, PATIENT).await?.expect("a patient");
                let mut change = Change::begin(tx, held, at).await?;
                let removed = change.remove_document(tx, &gone).await?;
                change.finish(tx, &Cause::new("ITI-43", "test", &Caller::default())?).await?;
                Ok(removed)
            })
        })
        .await;
    assert_eq!(removed, Ok(true));
    gateway.soap().retrieve(REPOSITORY, &[&made]).await.assert_failure(&["XDSDocumentUniqueIdError"]);
    assert_eq!(made_id(&gateway, &unique_id).await, made);
    gateway.soap().retrieve(REPOSITORY, &[&made]).await.assert_success();
    let entries = of_type(&gateway, EntryType::Stable).await;
    assert_eq!(entries.iter().filter(|e| e.availability_status == Approved).count(), 1);
    everything_verified(&gateway).await;
}

/// A new version of either end leaves the snapshot what it is.
#[tokio::test]
async fn a_snapshot_and_its_entry_have_new_versions() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    made_id(&gateway, &unique_id).await;
    let snapshot = of_type(&gateway, EntryType::Stable).await.remove(0);
    for entry in [snapshot, in_force(&gateway).await] {
        let mut u = next_entry(update(), "DE", &entry);
        u.submission.document_entries[0].title = text("訂正した一覧");
        gateway.soap().update(&u).await.assert_success();
    }
    let again = made_id(&gateway, &unique_id).await;
    let entries = of_type(&gateway, EntryType::Stable).await;
    let approved: Vec<_> = entries.iter().filter(|e| e.availability_status == Approved).collect();
    assert_eq!(approved.len(), 1, "{entries:#?}");
    assert_eq!((&approved[0].unique_id, &approved[0].title), (&again, &text("訂正した一覧")));
    let answer = gateway.soap().retrieve(REPOSITORY, &[&again]).await;
    let text = String::from_utf8(answer.documents()[0].1.to_vec()).unwrap();
    assert!(text.contains("登録されている文書はありません"), "snapshots are not listed: {text}");
    everything_verified(&gateway).await;
}

#[tokio::test]
async fn snapshots_survive_a_restart() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    let first = made_id(&gateway, &unique_id).await;
    let (dir, config) = gateway.stop().await;
    let gateway = Gateway::start_in(dir, config).await;
    assert_eq!(made_id(&gateway, &unique_id).await, first);
    assert_eq!(of_type(&gateway, EntryType::Stable).await.len(), 1);
}

/// Several at one instant: one snapshot, and the same answer to everybody.
async fn at_one_instant(gateways: &[&Gateway], unique_id: &str) {
    let ask_all = async || {
        let mut tasks = JoinSet::new();
        for n in 0..16 {
            let soap = gateways[n % gateways.len()].soap();
            let id = unique_id.to_owned();
            tasks.spawn(async move {
                let answer = soap.retrieve(REPOSITORY, &[&id]).await;
                answer.assert_success();
                let bytes = answer.documents().remove(0).1;
                (answer.responses().remove(0).new_document_unique_id.expect("an id"), bytes)
            });
        }
        tasks.join_all().await.into_iter().collect::<HashSet<_>>()
    };
    for round in 1..=3 {
        let made = ask_all().await;
        assert_eq!(made.len(), 1, "round {round}");
        let entries = of_type(gateways[0], EntryType::Stable).await;
        let snapshots: Vec<_> =
            entries.iter().filter(|e| e.mime_type == "text/xml").map(|e| e.availability_status).collect();
        assert_eq!(snapshots.len(), round, "{entries:#?}");
        assert_eq!(snapshots.iter().filter(|s| **s == Approved).count(), 1);
        gateways[0].soap().register(&submission()).await.assert_success();
    }
    everything_verified(gateways[0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_retrievals_at_one_instant() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    at_one_instant(&[&gateway], &unique_id).await;
}

/// Two gateways on one PostgreSQL and one document store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retrievals_from_two_gateways_at_one_instant() {
    if std::env::var("TEST_DATABASE_URL").is_err() {
        return;
    }
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    let other = Gateway::start_in(tempfile::tempdir().unwrap(), gateway.config.clone()).await;
    at_one_instant(&[&gateway, &other], &unique_id).await;
}

/// While others register, each answer is what the registry held at some moment, and every snapshot but the
/// last is replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retrievals_while_others_register() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    let mut tasks = JoinSet::new();
    for n in 0..24 {
        let (soap, id) = (gateway.soap(), unique_id.clone());
        tasks.spawn(async move {
            match n % 3 {
                0 => soap.register(&submission()).await.assert_success(),
                _ => soap.retrieve(REPOSITORY, &[&id]).await.assert_success(),
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("an answer");
    }
    let last = made_id(&gateway, &unique_id).await;
    let entries = of_type(&gateway, EntryType::Stable).await;
    let approved: Vec<_> = entries
        .iter()
        .filter(|e| e.mime_type == "text/xml" && e.availability_status == Approved)
        .map(|e| e.unique_id.clone())
        .collect();
    assert_eq!(approved, [last]);
    everything_verified(&gateway).await;
}

/// The documents' folder cannot be written: nothing is given out, nothing registered, and the next try works.
#[tokio::test]
async fn a_snapshot_that_cannot_be_stored_is_not_given_out() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    let objects = gateway.config.repository.documents.join("objects");
    let away = objects.with_file_name("away");
    std::fs::rename(&objects, &away).unwrap();
    std::fs::write(&objects, b"in the way").unwrap();
    let answer = gateway.soap().retrieve(REPOSITORY, &[&unique_id]).await;
    answer.assert_failure(&["XDSRepositoryBusy"]);
    assert!(answer.parts.is_empty());
    assert_eq!(of_type(&gateway, EntryType::Stable).await, []);
    std::fs::remove_file(&objects).unwrap();
    std::fs::rename(&away, &objects).unwrap();
    let made = made_id(&gateway, &unique_id).await;
    gateway.soap().retrieve(REPOSITORY, &[&made]).await.assert_success();
    everything_verified(&gateway).await;
}

/// The audit trail cannot be written: nothing is given out and nothing registered.
#[tokio::test]
async fn a_snapshot_that_cannot_be_recorded_is_not_given_out() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    let refuse = |sql: &'static str| {
        gateway.rooms().db.write::<_, DbError, _>(move |tx| Box::pin(async move { tx.exec(sql, &[]).await }))
    };
    refuse("ALTER TABLE audit_event RENAME TO audit_event_away").await.expect("renamed");
    let answer = gateway.soap().retrieve(REPOSITORY, &[&unique_id]).await;
    assert!(answer.parts.is_empty());
    refuse("ALTER TABLE audit_event_away RENAME TO audit_event").await.expect("renamed");
    assert_eq!(of_type(&gateway, EntryType::Stable).await, []);
    made_id(&gateway, &unique_id).await;
    assert_eq!(of_type(&gateway, EntryType::Stable).await.len(), 1);
}

// --- update, removal, history ---------------------------------------------------------------------

#[tokio::test]
async fn an_update_keeps_the_type() {
    let (gateway, unique_id) = with(on_demand(), |_| {}).await;
    let v1 = in_force(&gateway).await;
    let mut u = next_entry(update(), "DE", &v1);
    u.submission.document_entries[0].title = text("訂正した一覧");
    gateway.soap().update(&u).await.assert_success();
    let v2 = in_force(&gateway).await;
    assert_eq!((v2.version, v2.object_type), (2, EntryType::OnDemand));
    let (_, document) = retrieved(&gateway, &unique_id).await;
    assert!(document.contains("<title>訂正した一覧</title>"));

    // The code of ITI-57, of ITI-92.
    type Spoil = fn(&mut DocumentEntry);
    let spoiled: [(&str, &str, Spoil); 3] = [
        ("XDSMetadataIdentifierError", "XDSObjectTypeError", |e| {
            e.object_type = EntryType::Stable;
            (e.creation_time, e.size) = (Some("20260401".into()), Some("4".into()));
            e.hash = Some("a94a8fe5ccb19ba61c4c0873d391e987982fbbd3".into());
        }),
        ("XDSRegistryMetadataError", "XDSRegistryMetadataError", |e| e.creation_time = Some("2026".into())),
        ("XDSRegistryMetadataError", "XDSRegistryMetadataError", |e| e.size = Some("4".into())),
    ];
    for (code, restricted, spoil) in spoiled {
        let mut u = next_entry(update(), "DE", &v2);
        spoil(&mut u.submission.document_entries[0]);
        gateway.soap().update(&u).await.assert_failure(&[code]);
        gateway.soap().update_restricted(&u).await.assert_failure(&[restricted]);
    }
    let mut u = next_entry(update(), "DE", &v2);
    u.submission.document_entries[0].confidentiality_code = vec![code("R", "2.16.840.1.113883.5.25", "制限")];
    gateway.soap().update_restricted(&u).await.assert_success();
    assert_eq!(in_force(&gateway).await.version, 3);
    gateway.assert_verified().await;
}

/// A relationship that an update adds is judged as one that is submitted.
#[tokio::test]
async fn an_update_joins_what_may_be_joined() {
    let (gateway, _) = with(on_demand(), |_| {}).await;
    gateway.soap().register(&submission()).await.assert_success();
    let changing = in_force(&gateway).await.entry_uuid;
    let stable = of_type(&gateway, EntryType::Stable).await.remove(0).entry_uuid;
    let joined = |kind, source: &str, target: &str| submit(update(), kind, "A", source, target);
    for refused in [
        joined(AssociationType::Append, &stable, &changing),
        joined(AssociationType::IsSnapshotOf, &changing, &stable),
    ] {
        gateway.soap().update(&refused).await.assert_failure(&["XDSMetadataUpdateError"]);
    }
    let snapshot = joined(AssociationType::IsSnapshotOf, &stable, &changing);
    gateway.soap().update(&snapshot).await.assert_success();
    gateway.assert_verified().await;
}

#[tokio::test]
async fn an_entry_is_removed_with_what_points_at_it() {
    let (gateway, unique_id) = with(on_demand(), persisting).await;
    made_id(&gateway, &unique_id).await;
    gateway.tick();
    let moment = gateway.clock.now().as_microsecond() - 1;
    let changing = in_force(&gateway).await.entry_uuid;
    let all = gateway.soap().query(&everything(of_both_types(get_all(PATIENT)))).await.objects();
    let announced: Vec<&str> = all
        .iter()
        .filter(|o| match o {
            MetadataObject::Association(a) => {
                a.target_object == changing && a.association_type == AssociationType::HasMember
            }
            o => o.id() == changing,
        })
        .map(MetadataObject::id)
        .collect();
    gateway
        .soap()
        .remove(&announced)
        .await
        .assert_failure(&["ReferencesExistException", "XDSUnreferencedObjectException"]);
    let ids: Vec<&str> = all.iter().map(MetadataObject::id).collect();
    gateway.soap().remove(&ids).await.assert_success();
    assert_eq!(everything_of(&gateway, PATIENT).await, []);
    let answer = gateway.soap().retrieve(REPOSITORY, &[&unique_id]).await;
    answer.assert_failure(&["XDSDocumentUniqueIdError"]);
    gateway.assert_verified().await;
    // Its uniqueId is free again, its past is not forgotten.
    assert_eq!(as_of(&gateway, moment).await, (1, 1));
    let mut again = on_demand();
    again.document_entries[0].unique_id = unique_id;
    gateway.soap().register_on_demand(&again).await.assert_success();
}

/// How many stable and on-demand entries FindDocuments gave at a moment.
async fn as_of(gateway: &Gateway, moment: i64) -> (usize, usize) {
    use chiren::model::query::{QueryRequest, QueryResult, StoredQuery, View};
    let request = of_both_types(find_documents(PATIENT));
    let query = StoredQuery::from_slots(&request.id, false, &request.slots).expect("a query");
    let asked = QueryRequest { query, return_type: ReturnType::LeafClass, home: None, view: View::default() };
    let context = chiren::service::context::Context::of_operator("test", None, gateway.clock.now());
    let registry = gateway.rooms().registry.as_ref().expect("a registry");
    let answer = registry.query_as_of(&context, asked, Some(moment)).await.expect("an answer");
    let QueryResult::Objects(objects) = answer.found.read().expect("objects") else { panic!("references") };
    let count = |wanted| {
        objects
            .iter()
            .filter(|o| matches!(o, MetadataObject::DocumentEntry(e) if e.object_type == wanted))
            .count()
    };
    (count(EntryType::Stable), count(EntryType::OnDemand))
}

#[tokio::test]
async fn the_past_has_entries_and_snapshots() {
    let gateway = Gateway::start_with(persisting).await;
    let mut moments = vec![(gateway.clock.now().as_microsecond() - 1, (0, 0))];
    let s = on_demand();
    let unique_id = s.document_entries[0].unique_id.clone();
    gateway.soap().register_on_demand(&s).await.assert_success();
    let mut remember = |gateway: &Gateway, counts| {
        gateway.tick();
        moments.push((gateway.clock.now().as_microsecond() - 1, counts));
    };
    remember(&gateway, (0, 1));
    made_id(&gateway, &unique_id).await;
    remember(&gateway, (1, 1));
    gateway.soap().register(&submission()).await.assert_success();
    remember(&gateway, (2, 1));
    // A snapshot replaces the one before it.
    made_id(&gateway, &unique_id).await;
    remember(&gateway, (2, 1));
    let entry = in_force(&gateway).await.entry_uuid;
    gateway.soap().update(&status_of(update(), &entry, Approved, Deprecated)).await.assert_success();
    remember(&gateway, (2, 0));
    for (moment, counts) in moments {
        assert_eq!(as_of(&gateway, moment).await, counts);
    }
    everything_verified(&gateway).await;
    // What happened to the entry, and by whom to its last snapshot.
    let steps = history(&gateway, &entry).await;
    assert_eq!(steps, [("ITI-61", Operation::Registered), ("ITI-57", Operation::Status)].map(step));
    let snapshots = of_type(&gateway, EntryType::Stable).await;
    let snapshot =
        snapshots.iter().find(|e| e.mime_type == "text/xml" && e.availability_status == Deprecated);
    let steps = history(&gateway, &snapshot.expect("the first snapshot").entry_uuid).await;
    assert_eq!(steps, [("ITI-43", Operation::Registered), ("ITI-43", Operation::Status)].map(step));
}

fn step((transaction, operation): (&str, Operation)) -> (String, Operation) {
    (transaction.to_owned(), operation)
}

/// Transaction and operation of each change of an object.
async fn history(gateway: &Gateway, id: &str) -> Vec<(String, Operation)> {
    let context = chiren::service::context::Context::of_operator("test", None, gateway.clock.now());
    let registry = gateway.rooms().registry.as_ref().expect("a registry");
    let mut found = registry.history(&context, id).await.expect("a history");
    // Beside a snapshot's entry stands the document itself.
    found.retain(|h| h.kind == "DocumentEntry");
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0).steps.into_iter().map(|s| (s.transaction.expect("a change"), s.operation)).collect()
}
