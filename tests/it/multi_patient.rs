//! ITI-51: queries over several patients.

use chiren::model::audit::Outcome;
use chiren::model::query::QUERIES;
use chiren::model::uuids::{document_availability, status};
use chiren::wire::ebxml::query::AdhocQueryRequest;

use crate::stored_query::World;
use crate::support::Gateway;
use crate::support::samples::*;
use crate::support::updates::*;

pub const FIND_DOCUMENTS_FOR_MANY: &str = "urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f";
const FIND_FOLDERS_FOR_MANY: &str = "urn:uuid:50d3f5ac-39a2-11de-a1ca-b366239e58df";
const CODE: &str = "57133-1^^2.16.840.1.113883.6.1";

/// Two patients with a document in a folder each.
async fn two_patients() -> Gateway {
    let gateway = Gateway::start().await;
    gateway.add_patient(OTHER_PATIENT).await;
    gateway.soap().register(&submission_with_folder()).await.assert_success();
    gateway.soap().register(&of_patient(submission_with_folder(), OTHER_PATIENT)).await.assert_success();
    gateway
}

fn documents(slots: Vec<chiren::model::ebrim::Slot>) -> AdhocQueryRequest {
    let mut request = query(FIND_DOCUMENTS_FOR_MANY, slots);
    request.slots.push(list("$XDSDocumentEntryStatus", &[status::APPROVED]));
    request
}

fn folders(slots: Vec<chiren::model::ebrim::Slot>) -> AdhocQueryRequest {
    let mut request = query(FIND_FOLDERS_FOR_MANY, slots);
    request.slots.push(list("$XDSFolderStatus", &[status::APPROVED]));
    request
}

#[tokio::test]
async fn each_parameter_of_each_query() {
    let world = World::new().await;
    let mut asked = 0;
    for row in QUERIES.iter().filter(|row| row.multi_patient) {
        world.check_each_parameter(row).await;
        asked += 1;
    }
    assert_eq!(asked, 2);
}

#[tokio::test]
async fn several_patients_in_one_answer() {
    let gateway = two_patients().await;
    let soap = gateway.soap();
    let both = [PATIENT, OTHER_PATIENT];
    let found = soap.query_multi_patient(&documents(vec![list("$XDSDocumentEntryPatientId", &both)])).await;
    found.assert_success();
    let mut patients: Vec<String> = found.entries().into_iter().map(|e| e.patient_id).collect();
    patients.sort_unstable();
    assert_eq!(patients, both);
    let found = soap.query_multi_patient(&folders(vec![list("$XDSFolderPatientId", &both)])).await;
    assert_eq!(found.folders().len(), 2);
}

#[tokio::test]
async fn every_patient_by_a_code() {
    let gateway = two_patients().await;
    let soap = gateway.soap();
    for slot in [
        list("$XDSDocumentEntryClassCode", &[CODE]),
        list("$XDSDocumentEntryHealthcareFacilityTypeCode", &["1^^1.2.392.100495.20.3.22"]),
    ] {
        assert_eq!(soap.query_multi_patient(&documents(vec![slot])).await.entries().len(), 2);
    }
    let event = documents(vec![list("$XDSDocumentEntryEventCodeList", &["e1^^S"])]);
    assert_eq!(soap.query_multi_patient(&event).await.entries().len(), 0);
    let found = soap.query_multi_patient(&folders(vec![list("$XDSFolderCodeList", &[CODE])])).await;
    assert_eq!(found.folders().len(), 2);
}

#[tokio::test]
async fn every_document_of_everybody_is_not_to_be_had() {
    let gateway = two_patients().await;
    let soap = gateway.soap();
    for request in
        [documents(vec![]), documents(vec![list("$XDSDocumentEntryTypeCode", &[CODE])]), folders(vec![])]
    {
        soap.query_multi_patient(&request).await.assert_failure(&["XDSStoredQueryMissingParam"]);
    }
    let mut without_status = documents(vec![list("$XDSDocumentEntryPatientId", &[PATIENT])]);
    without_status.slots.pop();
    soap.query_multi_patient(&without_status).await.assert_failure(&["XDSStoredQueryMissingParam"]);
}

#[tokio::test]
async fn queries_of_iti_18_are_not_known_here() {
    let gateway = two_patients().await;
    let answer = gateway.soap().query_multi_patient(&find_documents(PATIENT)).await;
    answer.assert_failure(&["XDSUnknownStoredQuery"]);
}

#[tokio::test]
async fn more_than_the_registry_returns() {
    let gateway = Gateway::start_with(|c| c.limits.query_results = 1).await;
    gateway.add_patient(OTHER_PATIENT).await;
    gateway.soap().register(&submission()).await.assert_success();
    let both = documents(vec![list("$XDSDocumentEntryPatientId", &[PATIENT, OTHER_PATIENT])]);
    gateway.soap().query_multi_patient(&both).await.assert_success();
    gateway.soap().register(&of_patient(submission(), OTHER_PATIENT)).await.assert_success();
    gateway.soap().query_multi_patient(&both).await.assert_failure(&["XDSTooManyResults"]);
}

#[tokio::test]
async fn every_patient_shown_is_in_the_audit_record() {
    let gateway = two_patients().await;
    gateway.tick();
    let by_code = documents(vec![list("$XDSDocumentEntryClassCode", &[CODE])]);
    gateway.soap().query_multi_patient(&by_code).await.assert_success();
    let records = gateway.audit().await;
    assert_eq!(records.len(), 3);
    assert_eq!((&*records[2].transaction, records[2].outcome), ("ITI-51", Outcome::Success));
    assert_eq!(records[2].patients, [PATIENT, OTHER_PATIENT]);
}

/// These queries know no `$MetadataLevel`: they show current information only (ITI Metadata Update 3.51.4.1.2).
#[tokio::test]
async fn only_what_is_current() {
    let gateway = two_patients().await;
    let soap = gateway.soap();
    let v1 = gateway.entry(PATIENT).await;
    let mut offline = next_entry(update(), "DE", &v1);
    offline.submission.document_entries[0].document_availability =
        Some(document_availability::OFFLINE.into());
    soap.update(&offline).await.assert_success();
    let theirs = gateway.entry(OTHER_PATIENT).await;
    let mut next = next_entry(update(), "DE", &theirs);
    next.submission.submission_set.patient_id = OTHER_PATIENT.into();
    next.submission.document_entries[0].title = text("第2版");
    soap.update(&next).await.assert_success();
    let mut request = documents(vec![list("$XDSDocumentEntryClassCode", &[CODE])]);
    let all = list("$XDSDocumentEntryStatus", &[status::APPROVED, status::DEPRECATED]);
    request.slots.retain(|s| s.name != all.name);
    request.slots.push(all);
    for request in [request.clone(), everything(request)] {
        let found = soap.query_multi_patient(&request).await.entries();
        let shown: Vec<_> = found.iter().map(|e| (e.patient_id.as_str(), e.version)).collect();
        assert_eq!(shown, [(OTHER_PATIENT, 2)]);
    }
}

/// Folders as a catalogue of the domain: classified by codeList, found by it for one patient and for all, and
/// what they hold found by them.
#[tokio::test]
async fn folders_as_a_catalogue() {
    let gateway = Gateway::start().await;
    gateway.add_patient(OTHER_PATIENT).await;
    let soap = gateway.soap();
    let stroke = code("I63", "1.2.392.200119.4.101.6", "脳梗塞");
    let path = code("path", "2.999.392.1.7", "地域連携パス");
    for (patient, codes) in [
        (PATIENT, vec![stroke.clone(), path.clone()]),
        (PATIENT, vec![path.clone()]),
        (OTHER_PATIENT, vec![stroke.clone()]),
    ] {
        let mut s = of_patient(submission_with_folder(), patient);
        s.folders[0].code_list = codes;
        soap.register(&s).await.assert_success();
    }
    let by = |codes: &[&str]| codes.iter().map(|c| list("$XDSFolderCodeList", &[*c])).collect::<Vec<_>>();
    let (stroke, path) = ("I63^^1.2.392.200119.4.101.6", "path^^2.999.392.1.7");
    // Repeated, codes are ANDed; in one list, ORed.
    for (codes, count) in [(vec![stroke], 2), (vec![path], 2), (vec![stroke, path], 1)] {
        let found = soap.query_multi_patient(&folders(by(&codes))).await;
        assert_eq!(found.folders().len(), count, "{codes:?}");
    }
    let either = folders(vec![list("$XDSFolderCodeList", &[stroke, path])]);
    assert_eq!(soap.query_multi_patient(&either).await.folders().len(), 3);
    let mut of_one = query(
        "urn:uuid:958f3006-baad-4929-a4de-ff1114824431",
        vec![single("$XDSFolderPatientId", PATIENT), list("$XDSFolderStatus", &[status::APPROVED])],
    );
    of_one.slots.extend(by(&[stroke]));
    let found = soap.query(&of_one).await.folders();
    assert_eq!(found.len(), 1);
    let contents = query(
        "urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7",
        vec![single("$XDSFolderEntryUUID", &found[0].entry_uuid)],
    );
    assert_eq!(soap.query(&contents).await.entries().len(), 1);
}
