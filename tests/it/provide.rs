//! ITI-41: documents in, in every packing, registered here or elsewhere.

use chiren::config::PeerConfig;
use chiren::config::registry::UnknownPatients;
use chiren::model::audit::Outcome;
use chiren::model::metadata::{EntryType, Submission};
use chiren::model::transaction::Transaction;
use chiren::wire::ebxml::response::ResponseStatus;

use crate::support::samples::*;
use crate::support::soap::{SIMPLE, envelope, include, inline, mtom, provide_and_register};
use crate::support::{Answer, Gateway};

const SHA1_OF_TEST: &str = "a94a8fe5ccb19ba61c4c0873d391e987982fbbd3";
const SHA1_OF_NOTHING: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
const PATH: &str = "/xds/iti41";
const ACTION: &str = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b";

/// Without what only the repository knows.
fn provided() -> Submission {
    let mut s = submission();
    for e in &mut s.document_entries {
        (e.hash, e.size, e.repository_unique_id) = (None, None, None);
    }
    s
}

fn with_documents(count: usize) -> Submission {
    let mut s = provided();
    for n in 2..=count {
        let mut e = document_entry(&format!("DE{n}"));
        (e.hash, e.size) = (None, None);
        s.document_entries.push(e);
        s.associations.push(original(&format!("A{n}"), &format!("DE{n}")));
    }
    s
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect()
}

/// What the repository gives back under the uniqueId of document `n`.
async fn stored(gateway: &Gateway, s: &Submission, n: usize) -> Vec<u8> {
    let id = &s.document_entries[n].unique_id;
    let answer = gateway.soap().retrieve(REPOSITORY, &[id]).await;
    answer.assert_success();
    answer.documents()[0].1.to_vec()
}

async fn nothing_there(gateway: &Gateway, s: &Submission) {
    let id = &s.document_entries[0].unique_id;
    let answer = gateway.soap().retrieve(REPOSITORY, &[id]).await;
    answer.assert_failure(&["XDSDocumentUniqueIdError"]);
    assert_eq!(gateway.files().1, 0, "the spool is empty");
}

#[track_caller]
fn is_refused(answer: &Answer, code: &str, location: &str) {
    let (status, errors) = answer.registry();
    assert_eq!(status, ResponseStatus::Failure, "{}", answer.envelope);
    assert_eq!(errors, [(code.to_owned(), location.to_owned())], "{}", answer.envelope);
}

#[tokio::test]
async fn one_document_in_a_part() {
    let gateway = Gateway::start().await;
    let s = provided();
    let answer = gateway.soap().provide(&s, &[("DE", b"test")]).await;
    answer.assert_success();
    assert!(answer.mtom, "MTOM is answered by MTOM");
    assert_eq!(stored(&gateway, &s, 0).await, b"test");
    let entry = gateway.soap().query(&find_documents(PATIENT)).await.entries().remove(0);
    assert_eq!(entry.hash.as_deref(), Some(SHA1_OF_TEST));
    assert_eq!(entry.size.as_deref(), Some("4"));
    assert_eq!(entry.repository_unique_id.as_deref(), Some(REPOSITORY));
    assert_eq!(gateway.files(), (1, 0));
}

#[tokio::test]
async fn one_document_inline_in_mtom() {
    let gateway = Gateway::start().await;
    let s = provided();
    let body = provide_and_register(&s, &inline("DE", &bytes(1000)));
    let answer = gateway.soap().send(Transaction::Iti41, &body, &[]).await;
    answer.assert_success();
    assert_eq!(stored(&gateway, &s, 0).await, bytes(1000));
}

#[tokio::test]
async fn parts_and_inline_mixed() {
    let gateway = Gateway::start().await;
    let s = with_documents(3);
    let documents =
        [inline("DE", &bytes(10)), include("DE2", "two@test"), inline("DE3", &bytes(200_000))].concat();
    let body = provide_and_register(&s, &documents);
    let answer = gateway.soap().send(Transaction::Iti41, &body, &[("two@test", &bytes(100_000))]).await;
    answer.assert_success();
    for (n, length) in [(0, 10), (1, 100_000), (2, 200_000)] {
        assert_eq!(stored(&gateway, &s, n).await, bytes(length), "document {n}");
    }
    assert_eq!(gateway.files(), (3, 0));
}

#[tokio::test]
async fn simple_soap_is_answered_by_simple_soap() {
    let gateway = Gateway::start().await;
    let s = provided();
    let body = provide_and_register(&s, &inline("DE", b"test"));
    let answer = gateway.soap().post(PATH, SIMPLE, envelope(ACTION, &body)).await;
    answer.assert_success();
    assert!(!answer.mtom);
    assert_eq!(stored(&gateway, &s, 0).await, b"test");
}

#[tokio::test]
async fn an_empty_document() {
    for documents in [inline("DE", b""), include("DE", "empty@test")] {
        let gateway = Gateway::start().await;
        let s = provided();
        let body = provide_and_register(&s, &documents);
        let answer = gateway.soap().send(Transaction::Iti41, &body, &[("empty@test", b"")]).await;
        answer.assert_success();
        assert_eq!(stored(&gateway, &s, 0).await, b"");
        let entry = gateway.soap().query(&find_documents(PATIENT)).await.entries().remove(0);
        assert_eq!(entry.hash.as_deref(), Some(SHA1_OF_NOTHING));
        assert_eq!(entry.size.as_deref(), Some("0"));
    }
}

#[tokio::test]
async fn several_documents_find_their_entries() {
    let gateway = Gateway::start().await;
    let s = with_documents(4);
    // In another order than their entries.
    let documents: [(&str, &[u8]); 4] =
        [("DE3", b"three"), ("DE", b"one"), ("DE4", b"four"), ("DE2", b"two")];
    gateway.soap().provide(&s, &documents).await.assert_success();
    for (n, text) in ["one", "two", "three", "four"].iter().enumerate() {
        assert_eq!(stored(&gateway, &s, n).await, text.as_bytes());
    }
}

#[tokio::test]
async fn equal_bytes_are_kept_once() {
    let gateway = Gateway::start().await;
    let s = with_documents(2);
    gateway.soap().provide(&s, &[("DE", b"same"), ("DE2", b"same")]).await.assert_success();
    assert_eq!(gateway.files(), (1, 0));
    assert_eq!(stored(&gateway, &s, 1).await, b"same");
}

#[tokio::test]
async fn a_part_nobody_asks_for_is_ignored() {
    let gateway = Gateway::start().await;
    let s = provided();
    let body = provide_and_register(&s, &include("DE", "one@test"));
    let parts: [(&str, &[u8]); 2] = [("one@test", b"test"), ("spare@test", &bytes(100_000))];
    gateway.soap().send(Transaction::Iti41, &body, &parts).await.assert_success();
    assert_eq!(gateway.files(), (1, 0));
}

#[tokio::test]
async fn a_folder_alone_needs_no_document() {
    let gateway = Gateway::start().await;
    let mut s = submission_with_folder();
    s.document_entries.clear();
    s.associations.retain(|a| a.entry_uuid == "A-FD");
    gateway.soap().provide(&s, &[]).await.assert_success();
}

#[tokio::test]
async fn a_document_is_missing() {
    let gateway = Gateway::start().await;
    let s = with_documents(2);
    let answer = gateway.soap().provide(&s, &[("DE", b"test")]).await;
    is_refused(&answer, "XDSMissingDocument", "DE2/DocumentEntry");
    nothing_there(&gateway, &s).await;
}

#[tokio::test]
async fn metadata_is_missing() {
    let gateway = Gateway::start().await;
    let s = provided();
    let answer = gateway.soap().provide(&s, &[("DE", b"test"), ("DE2", b"two")]).await;
    is_refused(&answer, "XDSMissingDocumentMetadata", "DE2/Document/@id");
    nothing_there(&gateway, &s).await;
}

#[tokio::test]
async fn two_documents_of_one_id() {
    let gateway = Gateway::start().await;
    let s = provided();
    let answer = gateway.soap().provide(&s, &[("DE", b"test"), ("DE", b"two")]).await;
    is_refused(&answer, "XDSRepositoryMetadataError", "DE/Document/@id");
}

#[tokio::test]
async fn hash_and_size_as_claimed() {
    for (hash, size) in [(SHA1_OF_TEST, "4"), (&*SHA1_OF_TEST.to_uppercase(), "0004")] {
        let gateway = Gateway::start().await;
        let mut s = provided();
        s.document_entries[0].hash = Some(hash.into());
        s.document_entries[0].size = Some(size.into());
        gateway.soap().provide(&s, &[("DE", b"test")]).await.assert_success();
        let entry = gateway.soap().query(&find_documents(PATIENT)).await.entries().remove(0);
        assert_eq!(entry.size.as_deref(), Some("4"));
    }
}

#[tokio::test]
async fn another_hash_than_claimed() {
    let gateway = Gateway::start().await;
    let mut s = provided();
    s.document_entries[0].hash = Some(SHA1_OF_NOTHING.into());
    let answer = gateway.soap().provide(&s, &[("DE", b"test")]).await;
    is_refused(&answer, "XDSRepositoryMetadataError", "DE/DocumentEntry.hash");
    nothing_there(&gateway, &s).await;
}

#[tokio::test]
async fn another_size_than_claimed() {
    let gateway = Gateway::start().await;
    let mut s = provided();
    s.document_entries[0].size = Some("5".into());
    let answer = gateway.soap().provide(&s, &[("DE", b"test")]).await;
    is_refused(&answer, "XDSRepositoryMetadataError", "DE/DocumentEntry.size");
    nothing_there(&gateway, &s).await;
}

#[tokio::test]
async fn the_repository_names_itself() {
    let gateway = Gateway::start().await;
    let mut s = provided();
    s.document_entries[0].repository_unique_id = Some("2.999.392.1.4".into());
    gateway.soap().provide(&s, &[("DE", b"test")]).await.assert_success();
    let entry = gateway.soap().query(&find_documents(PATIENT)).await.entries().remove(0);
    assert_eq!(entry.repository_unique_id.as_deref(), Some(REPOSITORY));
}

#[tokio::test]
async fn one_unique_id_on_two_documents_of_the_message() {
    let gateway = Gateway::start().await;
    let mut s = with_documents(2);
    s.document_entries[1].unique_id = s.document_entries[0].unique_id.clone();
    let answer = gateway.soap().provide(&s, &[("DE", b"test"), ("DE2", b"test")]).await;
    is_refused(&answer, "XDSRepositoryDuplicateUniqueIdInMessage", "DE2/DocumentEntry.uniqueId");
}

#[tokio::test]
async fn the_same_unique_id_again() {
    let gateway = Gateway::start().await;
    let first = provided();
    gateway.soap().provide(&first, &[("DE", b"test")]).await.assert_success();
    let again = || {
        let mut s = provided();
        s.document_entries[0].unique_id = first.document_entries[0].unique_id.clone();
        s
    };
    gateway.soap().provide(&again(), &[("DE", b"test")]).await.assert_success();
    let answer = gateway.soap().provide(&again(), &[("DE", b"text")]).await;
    is_refused(&answer, "XDSNonIdenticalHash", "DE/DocumentEntry.uniqueId");
    gateway.soap().provide(&again(), &[("DE", b"longer")]).await.assert_failure(&["XDSNonIdenticalHash"]);
    assert_eq!(stored(&gateway, &first, 0).await, b"test");
}

#[tokio::test]
async fn an_on_demand_entry() {
    let gateway = Gateway::start().await;
    let mut s = provided();
    s.document_entries[0].object_type = EntryType::OnDemand;
    let answer = gateway.soap().provide(&s, &[("DE", b"test")]).await;
    is_refused(&answer, "XDSRegistryMetadataError", "DE/DocumentEntry.objectType");
}

#[tokio::test]
async fn a_part_that_is_not_there() {
    let gateway = Gateway::start().await;
    let s = provided();
    let body = provide_and_register(&s, &include("DE", "gone@test"));
    let answer = gateway.soap().send(Transaction::Iti41, &body, &[("one@test", &bytes(100_000))]).await;
    assert_eq!(answer.status, 400);
    assert!(answer.fault().0.ends_with("Sender"));
    nothing_there(&gateway, &s).await;
}

#[tokio::test]
async fn a_part_included_twice() {
    let gateway = Gateway::start().await;
    let s = with_documents(2);
    let body = provide_and_register(&s, &[include("DE", "one@test"), include("DE2", "one@test")].concat());
    let answer = gateway.soap().send(Transaction::Iti41, &body, &[("one@test", b"test")]).await;
    assert_eq!(answer.status, 400);
    assert!(answer.fault().0.ends_with("Sender"));
    nothing_there(&gateway, &s).await;
}

#[tokio::test]
async fn only_parts_of_the_message_are_included() {
    let gateway = Gateway::start().await;
    let s = provided();
    let body = provide_and_register(&s, &include("DE", "x").replace("cid:x", "http://127.0.0.1/secret"));
    let answer = gateway.soap().send(Transaction::Iti41, &body, &[]).await;
    assert!(answer.fault().0.ends_with("Sender"));
}

/// A multipart message is refused before its end or after it; nothing stays in the spool.
#[tokio::test]
async fn a_refused_submission_leaves_no_files_but_bytes_to_sweep() {
    let gateway = Gateway::start().await;
    let s = of_patient(provided(), OTHER_PATIENT);
    let answer = gateway.soap().provide(&s, &[("DE", &bytes(300_000))]).await;
    is_refused(&answer, "XDSUnknownPatientId", "SS/SubmissionSet.patientId");
    nothing_there(&gateway, &s).await;
    let (content_type, message) = mtom(
        &envelope(ACTION, &provide_and_register(&s, &include("DE", "a@b"))),
        &[("a@b", &bytes(300_000))],
    );
    let cut = message[..message.len() - 100].to_vec();
    let answer = gateway.soap().post(PATH, &content_type, cut).await;
    assert!(answer.fault().0.ends_with("Sender"));
    nothing_there(&gateway, &s).await;
}

#[tokio::test]
async fn everything_wrong_is_in_one_answer() {
    let gateway = Gateway::start().await;
    let mut s = of_patient(with_documents(2), OTHER_PATIENT);
    s.document_entries[0].hash = Some(SHA1_OF_NOTHING.into());
    s.document_entries[0].class_code = None;
    let answer = gateway.soap().provide(&s, &[("DE", b"test"), ("DE9", b"nine")]).await;
    answer.assert_failure(&[
        "XDSMissingDocument",
        "XDSMissingDocumentMetadata",
        "XDSRegistryMetadataError",
        "XDSRepositoryMetadataError",
        "XDSUnknownPatientId",
    ]);
}

#[tokio::test]
async fn base64_that_is_none() {
    let gateway = Gateway::start().await;
    let s = provided();
    let body = provide_and_register(&s, "<xds:Document id=\"DE\">dGVz*A==</xds:Document>");
    let answer = gateway.soap().post(PATH, SIMPLE, envelope(ACTION, &body)).await;
    assert!(answer.fault().0.ends_with("Sender"));
    nothing_there(&gateway, &s).await;
}

#[tokio::test]
async fn a_content_id_in_percent_escapes() {
    let gateway = Gateway::start().await;
    let s = provided();
    let body = provide_and_register(&s, &include("DE", "a%2Bb%40test"));
    gateway.soap().send(Transaction::Iti41, &body, &[("a+b@test", b"test")]).await.assert_success();
    assert_eq!(stored(&gateway, &s, 0).await, b"test");
}

#[tokio::test]
async fn each_submission_is_audited_once() {
    let gateway = Gateway::start().await;
    let good = with_documents(2);
    gateway.soap().provide(&good, &[("DE", b"test"), ("DE2", b"two")]).await.assert_success();
    gateway.tick();
    let bad = provided();
    gateway.soap().provide(&bad, &[]).await.assert_failure(&["XDSMissingDocument"]);
    let records = gateway.audit().await;
    assert_eq!(records.len(), 2);
    for (record, s, outcome, errors) in [
        (&records[0], &good, Outcome::Success, vec![]),
        (&records[1], &bad, Outcome::SeriousFailure, vec!["XDSMissingDocument".to_owned()]),
    ] {
        let ids: Vec<String> = s.document_entries.iter().map(|e| e.unique_id.clone()).collect();
        assert_eq!((&*record.transaction, record.outcome), ("ITI-41", outcome));
        assert_eq!(record.patients, [PATIENT]);
        assert_eq!(record.submission_set.as_ref(), Some(&s.submission_set.unique_id));
        assert_eq!((&record.documents, &record.errors), (&ids, &errors));
    }
}

/// A registry, and a repository that registers there.
async fn pair() -> (Gateway, Gateway) {
    let registry = Gateway::start_with(|c| c.repository.enabled = false).await;
    let url = format!("http://{}/xds/iti42", registry.address);
    let repository = Gateway::start_with(|c| {
        c.registry.enabled = false;
        c.repository.remote_registry = Some(PeerConfig { url, answer_seconds: 10, ..PeerConfig::default() });
    })
    .await;
    (repository, registry)
}

#[tokio::test]
async fn registered_elsewhere() {
    let (repository, registry) = pair().await;
    let s = provided();
    repository.soap().provide(&s, &[("DE", b"test")]).await.assert_success();
    assert_eq!(stored(&repository, &s, 0).await, b"test");
    let entry = registry.soap().query(&find_documents(PATIENT)).await.entries().remove(0);
    assert_eq!(entry.unique_id, s.document_entries[0].unique_id);
    assert_eq!(entry.hash.as_deref(), Some(SHA1_OF_TEST));
    assert_eq!(entry.repository_unique_id.as_deref(), Some(REPOSITORY));
    let records = repository.audit().await;
    // ITI-41 from its source, ITI-42 to the registry, ITI-43 from its consumer.
    assert_eq!((records.len(), records[0].outcome), (3, Outcome::Success));
    assert!(registry.audit().await.iter().any(|r| r.transaction == "ITI-42"));
}

#[tokio::test]
async fn errors_and_warnings_from_elsewhere_are_relayed() {
    let (repository, registry) = pair().await;
    let s = of_patient(provided(), OTHER_PATIENT);
    let answer = repository.soap().provide(&s, &[("DE", b"test")]).await;
    is_refused(&answer, "XDSUnknownPatientId", "SS/SubmissionSet.patientId");
    nothing_there(&repository, &s).await;
    let mut s = provided();
    s.document_entries[0].author[0].author_institution.clear();
    let answer = repository.soap().provide(&s, &[("DE", b"test")]).await;
    let (status, said) = answer.registry();
    assert_eq!(status, ResponseStatus::Success);
    assert_eq!(said, [("XDSRegistryMetadataError".to_owned(), "DE/DocumentEntry.author".to_owned())]);
    assert!(answer.envelope.contains("ErrorSeverityType:Warning"));
    assert_eq!(registry.soap().query(&find_documents(PATIENT)).await.entries().len(), 1);
}

#[tokio::test]
async fn a_refusal_elsewhere_leaves_the_older_document_alone() {
    let (repository, _registry) = pair().await;
    let first = provided();
    repository.soap().provide(&first, &[("DE", b"test")]).await.assert_success();
    let mut again = of_patient(provided(), OTHER_PATIENT);
    again.document_entries[0].unique_id = first.document_entries[0].unique_id.clone();
    repository.soap().provide(&again, &[("DE", b"test")]).await.assert_failure(&["XDSUnknownPatientId"]);
    assert_eq!(stored(&repository, &first, 0).await, b"test");
    let answer = repository.soap().provide(&again, &[("DE", b"other")]).await;
    answer.assert_failure(&["XDSNonIdenticalHash"]);
    assert_eq!(stored(&repository, &first, 0).await, b"test");
}

#[tokio::test]
async fn the_registry_elsewhere_is_down() {
    let (repository, registry) = pair().await;
    let before = provided();
    repository.soap().provide(&before, &[("DE", b"test")]).await.assert_success();
    registry.stop().await;
    repository.tick();
    let s = provided();
    let answer = repository.soap().provide(&s, &[("DE", b"test")]).await;
    is_refused(&answer, "XDSRegistryNotAvailable", "");
    nothing_there(&repository, &s).await;
    assert_eq!(stored(&repository, &before, 0).await, b"test");
    let records = repository.audit().await;
    let failure = records.iter().rfind(|r| r.transaction == "ITI-41").unwrap();
    assert_eq!(failure.outcome, Outcome::SeriousFailure);
    assert_eq!(failure.errors, ["XDSRegistryNotAvailable"]);
}

#[tokio::test]
async fn an_unknown_patient_is_accepted_where_so_configured() {
    let gateway = Gateway::start_with(|c| c.registry.unknown_patients = UnknownPatients::Accept).await;
    let s = of_patient(provided(), OTHER_PATIENT);
    gateway.soap().provide(&s, &[("DE", b"test")]).await.assert_success();
    assert_eq!(stored(&gateway, &s, 0).await, b"test");
}

/// Metadata-Limited Document Source (ITI TF-3 4.3.1.1): the repository adds what a registry is owed of a document.
#[tokio::test]
async fn limited_metadata_is_taken_where_the_network_says_so() {
    let mut s = submission_with_folder();
    let e = &mut s.document_entries[0];
    (e.class_code, e.type_code, e.format_code, e.creation_time) = (None, None, None, None);
    (e.healthcare_facility_type_code, e.practice_setting_code, e.language_code) = (None, None, None);
    (e.author, e.confidentiality_code, e.source_patient_id) = (vec![], vec![], None);
    (e.hash, e.size, e.repository_unique_id) = (None, None, None);
    e.limited_metadata = true;
    s.submission_set.limited_metadata = true;
    s.submission_set.content_type_code = None;
    let f = &mut s.folders[0];
    (f.limited_metadata, f.code_list, f.title) = (true, vec![], vec![]);
    let strict = Gateway::start().await;
    let refused = strict.soap().provide(&s, &[("DE", b"test")]).await;
    assert_eq!(refused.registry().0, ResponseStatus::Failure);
    let lenient = Gateway::start_with(|c| c.registry.limited_metadata = true).await;
    lenient.soap().provide(&s, &[("DE", b"test")]).await.assert_success();
    let found = lenient.soap().query(&find_documents(PATIENT)).await.entries();
    assert!(found[0].limited_metadata && found[0].class_code.is_none());
    assert_eq!(found[0].size.as_deref(), Some("4"));
    let folders = lenient.soap().query(&get_all(PATIENT)).await.folders();
    assert!(folders[0].limited_metadata);
    let id = found[0].unique_id.as_str();
    assert_eq!(&lenient.soap().retrieve(REPOSITORY, &[id]).await.documents()[0].1[..], b"test");
}
