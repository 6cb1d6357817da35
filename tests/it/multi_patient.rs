//! ITI-51: queries over several patients.

use chiren::model::audit::Outcome;
use chiren::model::query::QUERIES;
use chiren::model::uuids::status;
use chiren::wire::ebxml::query::AdhocQueryRequest;

use crate::stored_query::World;
use crate::support::Gateway;
use crate::support::samples::*;

const FIND_DOCUMENTS_FOR_MANY: &str = "urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f";
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
