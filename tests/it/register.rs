//! ITI-42: what the registry takes, what it keeps of it, and what it refuses.

use chiren::config::registry::UnknownPatients;
use chiren::config::{CodeCheck, Profile};
use chiren::model::ebrim::{LocalizedString, Slot};
use chiren::model::metadata::{
    Association, AssociationType, Author, AvailabilityStatus, Code, DocumentEntry, EntryType, Extra,
    MetadataObject, Submission, SubmissionSetStatus,
};
use chiren::model::transaction::Transaction;
use chiren::wire::ebxml::response::ResponseStatus;

use crate::support::samples::*;
use crate::support::soap::submit_objects;
use crate::support::{Answer, Gateway};

const UUID: &str = "urn:uuid:08a15a6f-5b4a-42de-8f95-89474f83abdf";

/// The one refused: exactly these codes, and nothing in the registry.
#[track_caller]
fn is_refused(answer: &Answer, code: &str, location: &str) {
    let (status, errors) = answer.registry();
    assert_eq!(status, ResponseStatus::Failure, "{}", answer.envelope);
    assert_eq!(errors, [(code.to_owned(), location.to_owned())], "{}", answer.envelope);
}

/// One good submission with one thing spoiled: the one error it earns, and that nothing is kept.
async fn spoiled(spoil: impl FnOnce(&mut Submission), code: &str, location: &str) {
    let gateway = Gateway::start().await;
    let mut s = submission_with_folder();
    spoil(&mut s);
    is_refused(&gateway.soap().register(&s).await, code, location);
    assert_eq!(gateway.soap().query(&get_all(PATIENT)).await.objects(), []);
}

async fn everything(gateway: &Gateway) -> Vec<MetadataObject> {
    gateway.soap().query(&get_all(PATIENT)).await.objects()
}

#[tokio::test]
async fn one_document() {
    let gateway = Gateway::start().await;
    gateway.soap().register(&submission()).await.assert_success();
    assert_eq!(everything(&gateway).await.len(), 3);
}

#[tokio::test]
async fn a_document_in_a_folder() {
    let gateway = Gateway::start().await;
    gateway.soap().register(&submission_with_folder()).await.assert_success();
    assert_eq!(everything(&gateway).await.len(), 7);
}

/// Several languages, charsets included.
fn texts() -> Vec<LocalizedString> {
    vec![
        LocalizedString {
            value: "紹介状 <№1> & “髙﨑”".into(),
            lang: Some("ja-JP".into()),
            charset: Some("UTF-8".into()),
        },
        LocalizedString { value: "Referral".into(), lang: Some("en".into()), charset: None },
        LocalizedString { value: "𠮷野家".into(), lang: None, charset: None },
    ]
}

fn extra_slot(name: &str) -> Slot {
    Slot {
        name: name.into(),
        slot_type: Some("urn:example:type".into()),
        values: vec!["一".into(), "'two'".into(), "&<3>".into()],
    }
}

fn rich_code(value: &str) -> Code {
    Code {
        display: texts(),
        extra_slots: vec![extra_slot("urn:example:code")],
        ..code(value, "1.2.392.9.3", "")
    }
}

fn rich_author() -> Author {
    Author {
        author_role: vec!["医師".into(), "主治医".into()],
        author_specialty: vec!["01^^^&1.2.392.200250.2.2.2&ISO".into()],
        author_telecommunication: vec!["^^Internet^ishi@example.jp".into()],
        extra_slots: vec![extra_slot("urn:example:author")],
        ..author()
    }
}

/// Every attribute there is, and what the framework does not name.
fn rich() -> Submission {
    let extra = || Extra { slots: vec![extra_slot("urn:example:slot")], ..Extra::default() };
    let mut s = submission_with_folder();
    let e = &mut s.document_entries[0];
    e.title = texts();
    e.comments = texts();
    e.author = vec![rich_author(), author()];
    e.event_code_list = vec![rich_code("e1"), rich_code("e2")];
    e.confidentiality_code.push(rich_code("R"));
    e.class_code = Some(rich_code("class"));
    e.service_start_time = Some("2025040112".into());
    e.service_stop_time = Some("20250402".into());
    e.legal_authenticator = Some("110^医師^一郎^^^^^^&1.2.392.100495.20.3.41.11312345670&ISO".into());
    e.source_patient_info.push("PID-5|試験^太郎^^^^^L^I".into());
    e.uri = vec!["urn.pdf".into()];
    e.reference_id_list = vec![
        "12^^^&1.2.3&ISO^urn:ihe:iti:xds:2013:accession".into(),
        "13^^^&1.2.3&ISO^urn:ihe:iti:xds:2013:order".into(),
    ];
    e.extra = extra();
    let set = &mut s.submission_set;
    set.title = texts();
    set.comments = texts();
    set.author = vec![rich_author(), author()];
    set.intended_recipient = vec!["登呂病院^^^^^^^^^1.2.392.9.1|^医師^一郎^^^Dr".into()];
    set.content_type_code = Some(rich_code("content"));
    set.extra = extra();
    let f = &mut s.folders[0];
    f.title = texts();
    f.comments = texts();
    f.code_list = vec![rich_code("f1"), rich_code("f2")];
    f.extra = extra();
    for a in &mut s.associations {
        a.title = texts();
        a.comments = texts();
        a.extra = extra();
    }
    s
}

#[tokio::test]
async fn nothing_is_lost() {
    let gateway = Gateway::start().await;
    let submitted = rich();
    gateway.soap().register(&submitted).await.assert_success();
    let found = everything(&gateway).await;
    let id_of = |unique_id: &str| {
        found
            .iter()
            .find(|o| match o {
                MetadataObject::DocumentEntry(e) => e.unique_id == unique_id,
                MetadataObject::SubmissionSet(s) => s.unique_id == unique_id,
                MetadataObject::Folder(f) => f.unique_id == unique_id,
                MetadataObject::Association(_) => false,
            })
            .expect("the object is found")
            .id()
            .to_owned()
    };
    let set = id_of(&submitted.submission_set.unique_id);
    let entry = id_of(&submitted.document_entries[0].unique_id);
    let folder = id_of(&submitted.folders[0].unique_id);
    let membership = found
        .iter()
        .find_map(|o| match o {
            MetadataObject::Association(a) if a.source_object == folder => Some(a.entry_uuid.clone()),
            _ => None,
        })
        .expect("the folder holds the document");
    let assigned = |id: &str| match id {
        "SS" => set.clone(),
        "DE" => entry.clone(),
        "FD" => folder.clone(),
        "A-FD-DE" => membership.clone(),
        other => other.to_owned(),
    };
    let mut compared = 0;
    for object in &found {
        assert!(object.id().starts_with("urn:uuid:"), "{}", object.id());
        match object {
            MetadataObject::DocumentEntry(e) => {
                let mut wanted = submitted.document_entries[0].clone();
                wanted.entry_uuid = entry.clone();
                wanted.logical_id = Some(entry.clone());
                wanted.version = 1;
                assert_eq!(**e, wanted);
            }
            MetadataObject::SubmissionSet(s) => {
                let mut wanted = submitted.submission_set.clone();
                wanted.entry_uuid = set.clone();
                assert_eq!(**s, wanted);
            }
            MetadataObject::Folder(f) => {
                let mut wanted = submitted.folders[0].clone();
                wanted.entry_uuid = folder.clone();
                wanted.logical_id = Some(folder.clone());
                wanted.version = 1;
                wanted.last_update_time = Some("20261122030000".into());
                assert_eq!(**f, wanted);
            }
            MetadataObject::Association(a) => {
                let (source, target) = (&a.source_object, &a.target_object);
                let wanted = submitted
                    .associations
                    .iter()
                    .find(|w| assigned(&w.source_object) == *source && assigned(&w.target_object) == *target)
                    .expect("an association of the submission");
                let wanted = Association {
                    entry_uuid: a.entry_uuid.clone(),
                    source_object: source.clone(),
                    target_object: target.clone(),
                    ..wanted.clone()
                };
                assert_eq!(**a, wanted);
            }
        }
        compared += 1;
    }
    assert_eq!(compared, 7);
}

#[tokio::test]
async fn results_carry_lid_version_and_status() {
    let gateway = Gateway::start().await;
    gateway.soap().register(&submission_with_folder()).await.assert_success();
    let answer = gateway.soap().query(&get_all(PATIENT)).await;
    assert_eq!(answer.envelope.matches("versionName=\"1\"").count(), 3, "{}", answer.envelope);
    assert_eq!(answer.envelope.matches(" lid=\"urn:uuid:").count(), 7, "{}", answer.envelope);
    let entry = &answer.entries()[0];
    assert_eq!(entry.logical_id.as_ref(), Some(&entry.entry_uuid));
    assert_eq!(answer.folders()[0].last_update_time.as_deref(), Some("20261122030000"));
}

#[tokio::test]
async fn submitted_uuids_are_kept() {
    let gateway = Gateway::start().await;
    let mut s = submission();
    s.document_entries[0].entry_uuid = UUID.into();
    s.associations[0].target_object = UUID.into();
    gateway.soap().register(&s).await.assert_success();
    assert_eq!(gateway.soap().query(&find_documents(PATIENT)).await.entries()[0].entry_uuid, UUID);
}

#[tokio::test]
async fn uuids_are_kept_in_lower_case() {
    let gateway = Gateway::start().await;
    let mut s = submission();
    let upper = "urn:uuid:08A15A6F-5B4A-42DE-8F95-89474F83ABDF";
    s.document_entries[0].entry_uuid = upper.into();
    s.associations[0].target_object = upper.into();
    gateway.soap().register(&s).await.assert_success();
    let found = everything(&gateway).await;
    assert!(found.iter().any(|o| o.id() == UUID));
    assert!(found.iter().any(|o| matches!(o, MetadataObject::Association(a) if a.target_object == UUID)));
}

#[tokio::test]
async fn the_registry_decides_the_status() {
    let gateway = Gateway::start().await;
    let body = submit_objects(&submission()).replacen(
        "<rim:ExtrinsicObject ",
        "<rim:ExtrinsicObject status=\"urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated\" ",
        1,
    );
    assert!(body.contains("Deprecated"));
    gateway.soap().send(Transaction::Iti42, &body, &[]).await.assert_success();
    let entries = gateway.soap().query(&find_documents(PATIENT)).await.entries();
    assert_eq!(entries[0].availability_status, AvailabilityStatus::Approved);
}

#[tokio::test]
async fn every_problem_is_in_one_answer() {
    let gateway = Gateway::start().await;
    gateway
        .soap()
        .register(&{
            let mut s = submission();
            s.submission_set.unique_id = "2.999.392.5.1".into();
            s
        })
        .await
        .assert_success();
    let mut s = submission_with_folder();
    s.submission_set.unique_id = "2.999.392.5.1".into();
    s.submission_set.source_id = "no oid".into();
    s.document_entries[0].creation_time = Some("20251399".into());
    s.document_entries[0].type_code = None;
    s.folders[0].title = vec![];
    s.folders[0].patient_id = OTHER_PATIENT.into();
    s.associations.push(Association::new(AssociationType::Append, "A-GONE".into(), "DE", UUID));
    let answer = gateway.soap().register(&s).await;
    let (status, errors) = answer.registry();
    assert_eq!(status, ResponseStatus::Failure);
    for (code, location) in [
        ("XDSDuplicateUniqueIdInRegistry", "SS/SubmissionSet.uniqueId"),
        ("XDSRegistryMetadataError", "SS/SubmissionSet.sourceId"),
        ("XDSRegistryMetadataError", "DE/DocumentEntry.creationTime"),
        ("XDSRegistryMetadataError", "DE/DocumentEntry.typeCode"),
        ("XDSRegistryMetadataError", "FD/Folder.title"),
        ("XDSPatientIdDoesNotMatch", "FD/Folder.patientId"),
        ("UnresolvedReferenceException", "A-GONE/Association.targetObject"),
    ] {
        assert!(errors.contains(&(code.into(), location.into())), "{code} {location}: {errors:?}");
    }
    assert_eq!(errors.len(), 7, "{errors:?}");
    // The value and the clause are in the context.
    for text in ["no oid", "20251399", "2.999.392.5.1", UUID, "ITI TF-3 4.2.3.2.6", "ITI TF-3 4.2.3.3.9"] {
        assert!(answer.envelope.contains(text), "{text}: {}", answer.envelope);
    }
    assert_eq!(answer.envelope.matches("(ITI TF-").count(), 7, "{}", answer.envelope);
    assert_eq!(everything(&gateway).await.len(), 3);
}

#[tokio::test]
async fn a_refused_submission_can_be_sent_again_mended() {
    let gateway = Gateway::start().await;
    let mut s = submission_with_folder();
    s.associations.push(Association::new(AssociationType::Append, "A-GONE".into(), "DE", UUID));
    gateway.soap().register(&s).await.assert_failure(&["UnresolvedReferenceException"]);
    assert_eq!(everything(&gateway).await, []);
    // None of its identifiers was taken.
    s.associations.pop();
    gateway.soap().register(&s).await.assert_success();
}

#[tokio::test]
async fn a_submission_set_unique_id_twice() {
    let gateway = Gateway::start().await;
    let first = submission();
    gateway.soap().register(&first).await.assert_success();
    let mut second = submission();
    second.submission_set.unique_id = first.submission_set.unique_id;
    let answer = gateway.soap().register(&second).await;
    is_refused(&answer, "XDSDuplicateUniqueIdInRegistry", "SS/SubmissionSet.uniqueId");
    assert_eq!(everything(&gateway).await.len(), 3);
}

#[tokio::test]
async fn a_submission_set_unique_id_that_is_a_documents() {
    let gateway = Gateway::start().await;
    let first = submission();
    gateway.soap().register(&first).await.assert_success();
    let mut second = submission();
    second.submission_set.unique_id = first.document_entries[0].unique_id.clone();
    let answer = gateway.soap().register(&second).await;
    is_refused(&answer, "XDSDuplicateUniqueIdInRegistry", "SS/SubmissionSet.uniqueId");
}

#[tokio::test]
async fn a_folder_unique_id_twice() {
    let gateway = Gateway::start().await;
    let first = submission_with_folder();
    gateway.soap().register(&first).await.assert_success();
    let mut second = submission_with_folder();
    second.folders[0].unique_id = first.folders[0].unique_id.clone();
    let answer = gateway.soap().register(&second).await;
    is_refused(&answer, "XDSDuplicateUniqueIdInRegistry", "FD/Folder.uniqueId");
}

/// A second entry with the uniqueId of the first, changed.
async fn same_unique_id(change: impl FnOnce(&mut DocumentEntry)) -> (Gateway, Answer) {
    let gateway = Gateway::start().await;
    let first = submission();
    gateway.soap().register(&first).await.assert_success();
    let mut second = submission();
    second.document_entries[0].unique_id = first.document_entries[0].unique_id.clone();
    change(&mut second.document_entries[0]);
    let answer = gateway.soap().register(&second).await;
    (gateway, answer)
}

#[tokio::test]
async fn a_document_unique_id_twice_with_the_same_content() {
    let (gateway, answer) = same_unique_id(|_| {}).await;
    answer.assert_success();
    let entries = gateway.soap().query(&find_documents(PATIENT)).await.entries();
    assert_eq!(entries.len(), 2);
    assert_ne!(entries[0].entry_uuid, entries[1].entry_uuid);
    let unique_id = entries[0].unique_id.clone();
    let by_id = query(GET_DOCUMENTS, vec![list("$XDSDocumentEntryUniqueId", &[&unique_id])]);
    assert_eq!(gateway.soap().query(&by_id).await.entries().len(), 2);
}

#[tokio::test]
async fn a_document_unique_id_twice_with_its_hash_in_upper_case_and_zeros_before_its_size() {
    let (_gateway, answer) = same_unique_id(|e| {
        e.hash = e.hash.as_ref().map(|h| h.to_uppercase());
        e.size = Some("0004".into());
    })
    .await;
    answer.assert_success();
}

#[tokio::test]
async fn a_document_unique_id_twice_with_another_hash() {
    let other = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
    let (_gateway, answer) = same_unique_id(|e| e.hash = Some(other.into())).await;
    is_refused(&answer, "XDSNonIdenticalHash", "DE/DocumentEntry.uniqueId");
}

#[tokio::test]
async fn a_document_unique_id_twice_with_another_size() {
    let (_gateway, answer) = same_unique_id(|e| e.size = Some("5".into())).await;
    is_refused(&answer, "XDSNonIdenticalSize", "DE/DocumentEntry.uniqueId");
}

#[tokio::test]
async fn an_entry_uuid_in_use() {
    let gateway = Gateway::start().await;
    gateway.soap().register(&submission()).await.assert_success();
    let taken = gateway.soap().query(&find_documents(PATIENT)).await.entries()[0].entry_uuid.clone();
    let mut s = submission();
    s.document_entries[0].entry_uuid = taken.clone();
    s.associations[0].target_object = taken.clone();
    let answer = gateway.soap().register(&s).await;
    is_refused(&answer, "XDSRegistryMetadataError", &format!("{taken}/entryUUID"));
}

#[tokio::test]
async fn an_unknown_patient_is_refused() {
    let gateway = Gateway::start().await;
    let s = of_patient(submission(), OTHER_PATIENT);
    let answer = gateway.soap().register(&s).await;
    is_refused(&answer, "XDSUnknownPatientId", "SS/SubmissionSet.patientId");
    assert!(answer.envelope.contains("1002^^^"), "{}", answer.envelope);
    gateway.add_patient(OTHER_PATIENT).await;
    gateway.soap().register(&s).await.assert_success();
}

#[tokio::test]
async fn an_unknown_patient_is_accepted_where_so_configured() {
    let gateway = Gateway::start_with(|c| c.registry.unknown_patients = UnknownPatients::Accept).await;
    gateway.soap().register(&of_patient(submission_with_folder(), OTHER_PATIENT)).await.assert_success();
    let found = gateway.soap().query(&get_all(OTHER_PATIENT)).await.objects();
    assert_eq!(found.len(), 7);
    // Objects can be reached by id too.
    let id = found[1].id().to_owned();
    assert_eq!(
        gateway
            .soap()
            .query(&query(GET_DOCUMENTS, vec![list("$XDSDocumentEntryEntryUUID", &[&id])]))
            .await
            .entries()
            .len(),
        1
    );
    // Of another authority nothing is taken on trust.
    let foreign = of_patient(submission(), "1^^^&2.999.1&ISO");
    gateway.soap().register(&foreign).await.assert_failure(&["XDSUnknownPatientId"]);
}

#[tokio::test]
async fn a_document_of_another_patient() {
    spoiled(
        |s| s.document_entries[0].patient_id = OTHER_PATIENT.into(),
        "XDSPatientIdDoesNotMatch",
        "DE/DocumentEntry.patientId",
    )
    .await;
}

#[tokio::test]
async fn a_folder_of_another_patient() {
    spoiled(
        |s| s.folders[0].patient_id = OTHER_PATIENT.into(),
        "XDSPatientIdDoesNotMatch",
        "FD/Folder.patientId",
    )
    .await;
}

#[tokio::test]
async fn one_unique_id_on_two_objects_of_the_message() {
    spoiled(
        |s| s.folders[0].unique_id = s.document_entries[0].unique_id.clone(),
        "XDSRegistryDuplicateUniqueIdInMessage",
        "FD/Folder.uniqueId",
    )
    .await;
}

#[tokio::test]
async fn no_has_member_to_the_document() {
    spoiled(|s| drop(s.associations.remove(0)), "XDSRegistryMetadataError", "DE/DocumentEntry").await;
}

#[tokio::test]
async fn no_submission_set_status() {
    spoiled(
        |s| s.associations[0].submission_set_status = None,
        "XDSRegistryMetadataError",
        "A-DE/Association.SubmissionSetStatus",
    )
    .await;
}

#[tokio::test]
async fn reference_to_a_document_of_the_submission() {
    spoiled(
        |s| s.associations[0].submission_set_status = Some(SubmissionSetStatus::Reference),
        "XDSRegistryMetadataError",
        "A-DE/Association.SubmissionSetStatus",
    )
    .await;
}

#[tokio::test]
async fn service_times_in_the_wrong_order() {
    spoiled(
        |s| {
            s.document_entries[0].service_start_time = Some("20250402".into());
            s.document_entries[0].service_stop_time = Some("20250401".into());
        },
        "XDSRegistryMetadataError",
        "DE/DocumentEntry.serviceStartTime",
    )
    .await;
}

#[tokio::test]
async fn an_extra_slot_without_a_urn() {
    spoiled(
        |s| s.document_entries[0].extra.slots.push(extra_slot("memo")),
        "XDSRegistryMetadataError",
        "DE/DocumentEntry.memo",
    )
    .await;
}

#[tokio::test]
async fn no_hash() {
    spoiled(|s| s.document_entries[0].hash = None, "XDSRegistryMetadataError", "DE/DocumentEntry.hash").await;
}

/// ITI-41 and ITI-42 carry stable entries; ITI-61 would carry these.
#[tokio::test]
async fn an_on_demand_entry() {
    spoiled(
        |s| s.document_entries[0].object_type = EntryType::OnDemand,
        "XDSRegistryMetadataError",
        "DE/DocumentEntry.objectType",
    )
    .await;
}

#[tokio::test]
async fn two_submission_sets() {
    let gateway = Gateway::start().await;
    let one = submit_objects(&submission());
    let package =
        &one[one.find("<rim:RegistryPackage").unwrap()..one.find("</rim:RegistryPackage>").unwrap() + 22];
    let again = package.replace("\"SS\"", "\"SS2\"").replace("SS-", "SS2-");
    let body = one.replacen(package, &format!("{package}{again}"), 1);
    let answer = gateway.soap().send(Transaction::Iti42, &body, &[]).await;
    let (_, errors) = answer.registry();
    assert!(
        errors.contains(&("XDSRegistryMetadataError".into(), "SubmitObjectsRequest/SubmissionSet".into())),
        "{errors:?}"
    );
    assert_eq!(everything(&gateway).await, []);
}

#[tokio::test]
async fn jahis_wants_the_authors_institution() {
    let mut s = submission();
    s.document_entries[0].author[0].author_institution = vec![];
    let gateway = Gateway::start_with(|c| c.registry.rules = Profile::Jahis).await;
    is_refused(&gateway.soap().register(&s).await, "XDSRegistryMetadataError", "DE/DocumentEntry.author");
    gateway.soap().register(&submission()).await.assert_success();
    // The framework alone does not, but a word is said.
    let gateway = Gateway::start().await;
    let answer = gateway.soap().register(&s).await;
    let warning = ("XDSRegistryMetadataError".to_owned(), "DE/DocumentEntry.author".to_owned());
    assert_eq!(answer.registry(), (ResponseStatus::Success, vec![warning]));
    assert!(answer.envelope.contains("ErrorSeverityType:Warning"));
}

#[tokio::test]
async fn codes_outside_the_vocabulary() {
    let mut s = submission();
    s.document_entries[0].practice_setting_code = Some(code("01", "1.2.3.4", "内科"));
    let location = "DE/DocumentEntry.practiceSettingCode";
    let with = async |codes: CodeCheck| {
        let gateway = Gateway::start_with(move |c| c.registry.codes = codes).await;
        let answer = gateway.soap().register(&s).await;
        let kept = gateway.soap().query(&find_documents(PATIENT)).await.entries().len();
        (answer.registry(), kept)
    };
    let said = vec![("XDSRegistryMetadataError".to_owned(), location.to_owned())];
    assert_eq!(with(CodeCheck::Strict).await, ((ResponseStatus::Failure, said.clone()), 0));
    assert_eq!(with(CodeCheck::Warn).await, ((ResponseStatus::Success, said), 1));
    assert_eq!(with(CodeCheck::Off).await, ((ResponseStatus::Success, vec![]), 1));
}

#[tokio::test]
async fn the_built_in_vocabulary_takes_the_sample() {
    let gateway = Gateway::start_with(|c| {
        c.registry.codes = CodeCheck::Strict;
        c.registry.rules = Profile::Jahis;
    })
    .await;
    let answer = gateway.soap().register(&submission_with_folder()).await;
    assert_eq!(answer.registry(), (ResponseStatus::Success, vec![]));
}

#[tokio::test]
async fn display_names_are_not_compared() {
    let gateway = Gateway::start_with(|c| c.registry.codes = CodeCheck::Strict).await;
    let mut s = submission();
    s.document_entries[0].practice_setting_code = Some(code("01", "1.2.392.200250.2.2.2", "別名"));
    gateway.soap().register(&s).await.assert_success();
}

#[tokio::test]
async fn each_registration_is_audited_once() {
    let gateway = Gateway::start().await;
    let good = submission();
    gateway.soap().register(&good).await.assert_success();
    gateway.tick();
    let bad = of_patient(submission(), OTHER_PATIENT);
    gateway.soap().register(&bad).await.assert_failure(&["XDSUnknownPatientId"]);
    let records = gateway.audit().await;
    assert_eq!(records.len(), 2);
    use chiren::model::audit::Outcome;
    for (record, s, outcome, errors) in [
        (&records[0], &good, Outcome::Success, vec![]),
        (&records[1], &bad, Outcome::SeriousFailure, vec!["XDSUnknownPatientId".to_owned()]),
    ] {
        assert_eq!(record.transaction, "ITI-42");
        assert_eq!(record.outcome, outcome);
        assert_eq!(record.patients, std::slice::from_ref(&s.submission_set.patient_id));
        assert_eq!(record.submission_set.as_ref(), Some(&s.submission_set.unique_id));
        assert_eq!(record.documents, [s.document_entries[0].unique_id.clone()]);
        assert_eq!(record.errors, errors);
    }
    assert_ne!(records[0].request_id, records[1].request_id);
}

#[tokio::test]
async fn limited_metadata_is_taken_where_the_network_says_so() {
    let mut s = submission();
    let e = &mut s.document_entries[0];
    (e.class_code, e.type_code, e.format_code, e.creation_time) = (None, None, None, None);
    (e.healthcare_facility_type_code, e.practice_setting_code, e.language_code) = (None, None, None);
    (e.author, e.confidentiality_code, e.source_patient_id) = (vec![], vec![], None);
    e.limited_metadata = true;
    s.submission_set.limited_metadata = true;
    s.submission_set.content_type_code = None;
    let strict = Gateway::start().await;
    strict.soap().register(&s).await.assert_failure(&["XDSRegistryMetadataError"]);

    let lenient = Gateway::start_with(|c| {
        c.registry.limited_metadata = true;
        c.registry.rules = chiren::config::Profile::Jahis;
    })
    .await;
    lenient.soap().register(&s).await.assert_success();
    let found = lenient.soap().query(&find_documents(PATIENT)).await.entries();
    assert!(found[0].limited_metadata);
    // Unmarked, it owes everything; marked, it still owes a patient and a document.
    for spoil in [
        (|s| s.document_entries[0].limited_metadata = false) as fn(&mut Submission),
        |s| s.document_entries[0].patient_id.clear(),
        |s| s.document_entries[0].hash = None,
        |s| s.document_entries[0].repository_unique_id = None,
        |s| s.submission_set.patient_id.clear(),
    ] {
        let mut spoiled = s.clone();
        spoiled.submission_set.unique_id = new_oid();
        spoil(&mut spoiled);
        lenient.soap().register(&spoiled).await.assert_failure(&["XDSRegistryMetadataError"]);
    }
}
