//! ITI-43: documents out.

use chiren::model::audit::Outcome;
use chiren::model::metadata::Submission;
use chiren::model::transaction::Transaction;
use chiren::model::uuids::document_availability;
use chiren::wire::ebxml::response::ResponseStatus;
use chiren::wire::ebxml::retrieve::{self, DocumentRequest};
use chiren::wire::xml::XmlWriter;

use crate::support::samples::*;
use crate::support::soap::{SIMPLE, envelope};
use crate::support::updates::*;
use crate::support::{Answer, Gateway};

const ACTION: &str = "urn:ihe:iti:2007:RetrieveDocumentSet";

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| u8::try_from(n * 31 % 253).unwrap()).collect()
}

/// A gateway that holds these documents; their uniqueIds.
async fn holding(documents: &[&[u8]]) -> (Gateway, Vec<String>) {
    let gateway = Gateway::start().await;
    let mut s: Submission = submission();
    s.document_entries.clear();
    s.associations.clear();
    let ids: Vec<String> = (0..documents.len()).map(|n| format!("DE{n}")).collect();
    for id in &ids {
        let mut e = document_entry(id);
        (e.hash, e.size) = (None, None);
        s.document_entries.push(e);
        s.associations.push(original(&format!("A-{id}"), id));
    }
    let parts: Vec<(&str, &[u8])> = ids.iter().map(String::as_str).zip(documents.iter().copied()).collect();
    gateway.soap().provide(&s, &parts).await.assert_success();
    let unique_ids = s.document_entries.iter().map(|e| e.unique_id.clone()).collect();
    (gateway, unique_ids)
}

fn request(home: Option<&str>, repository: &str, unique_id: &str) -> DocumentRequest {
    DocumentRequest {
        home_community_id: home.map(str::to_owned),
        repository_unique_id: repository.into(),
        document_unique_id: unique_id.into(),
    }
}

fn body(requests: &[DocumentRequest]) -> String {
    let mut w = XmlWriter::new();
    retrieve::write_request(&mut w, requests);
    w.finish()
}

async fn ask(gateway: &Gateway, requests: &[DocumentRequest]) -> Answer {
    gateway.soap().send(Transaction::Iti43, &body(requests), &[]).await
}

#[tokio::test]
async fn one() {
    let (gateway, ids) = holding(&[b"test"]).await;
    let answer = gateway.soap().retrieve(REPOSITORY, &[&ids[0]]).await;
    answer.assert_success();
    assert!(answer.mtom);
    assert_eq!(answer.parts.len(), 1);
    assert_eq!(answer.documents(), [(ids[0].clone(), "test".into())]);
    assert!(answer.envelope.contains("<xds:mimeType>application/pdf</xds:mimeType>"), "{}", answer.envelope);
    assert!(answer.envelope.contains(&format!("<xds:RepositoryUniqueId>{REPOSITORY}<")));
    assert!(!answer.envelope.contains("HomeCommunityId"), "home only where it was asked for");
}

#[tokio::test]
async fn many() {
    let large = bytes(100_000);
    let (gateway, ids) = holding(&[b"one", b"", &large, b"one"]).await;
    let answer = gateway.soap().retrieve(REPOSITORY, &[&ids[2], &ids[0], &ids[1], &ids[3]]).await;
    answer.assert_success();
    let found = answer.documents();
    assert_eq!(found.len(), 4);
    for (n, content) in [(2, &large[..]), (0, b"one"), (1, b""), (3, b"one")] {
        let (_, bytes) = found.iter().find(|(id, _)| *id == ids[n]).expect("the document");
        assert_eq!(bytes, content, "document {n}");
    }
}

#[tokio::test]
async fn some() {
    let (gateway, ids) = holding(&[b"test"]).await;
    let answer = gateway.soap().retrieve(REPOSITORY, &[&ids[0], "2.999.1.404"]).await;
    let missing = ("XDSDocumentUniqueIdError".to_owned(), "2.999.1.404".to_owned());
    assert_eq!(answer.registry(), (ResponseStatus::PartialSuccess, vec![missing]));
    assert_eq!(answer.documents(), [(ids[0].clone(), "test".into())]);
}

#[tokio::test]
async fn none() {
    let (gateway, _) = holding(&[b"test"]).await;
    let answer = gateway.soap().retrieve(REPOSITORY, &["2.999.1.404", "2.999.1.405"]).await;
    answer.assert_failure(&["XDSDocumentUniqueIdError"]);
    assert_eq!(answer.registry().1.len(), 2);
    assert!(answer.parts.is_empty());
}

#[tokio::test]
async fn another_repository() {
    let (gateway, ids) = holding(&[b"test"]).await;
    let answer = gateway.soap().retrieve("2.999.392.1.4", &[&ids[0]]).await;
    let wrong = ("XDSUnknownRepositoryId".to_owned(), ids[0].clone());
    assert_eq!(answer.registry(), (ResponseStatus::Failure, vec![wrong]));
}

#[tokio::test]
async fn home_is_echoed_where_it_was_asked_for() {
    let (gateway, ids) = holding(&[b"one", b"two"]).await;
    let requests = [request(Some(HOME), REPOSITORY, &ids[0]), request(None, REPOSITORY, &ids[1])];
    let answer = ask(&gateway, &requests).await;
    answer.assert_success();
    assert_eq!(answer.envelope.matches(&format!("<xds:HomeCommunityId>{HOME}<")).count(), 1);
}

#[tokio::test]
async fn another_community() {
    let (gateway, ids) = holding(&[b"test"]).await;
    let elsewhere = "urn:oid:2.999.392.2";
    let answer = ask(&gateway, &[request(Some(elsewhere), REPOSITORY, &ids[0])]).await;
    answer.assert_failure(&["XDSUnknownCommunity"]);
    let requests = [request(Some(elsewhere), REPOSITORY, &ids[0]), request(Some(HOME), REPOSITORY, &ids[0])];
    assert_eq!(ask(&gateway, &requests).await.registry().0, ResponseStatus::PartialSuccess);
}

#[tokio::test]
async fn a_simple_request_gets_documents_inline() {
    let large = bytes(1_000_001);
    let (gateway, ids) = holding(&[b"test", b"", &large]).await;
    let requests: Vec<DocumentRequest> = ids.iter().map(|id| request(None, REPOSITORY, id)).collect();
    let answer = gateway.soap().post("/xds/iti43", SIMPLE, envelope(ACTION, &body(&requests))).await;
    answer.assert_success();
    assert!(!answer.mtom);
    assert!(!answer.envelope.contains("Include"));
    let found = answer.documents();
    assert_eq!(found[0].1, "test");
    assert_eq!(found[1].1, "");
    assert!(found[2].1 == large, "a streamed document in base64");
}

#[tokio::test]
async fn a_streamed_document() {
    let large = bytes(1 << 20);
    let (gateway, ids) = holding(&[&large]).await;
    let answer = gateway.soap().retrieve(REPOSITORY, &[&ids[0]]).await;
    answer.assert_success();
    assert!(answer.documents()[0].1 == large);
    let length = answer.headers["content-length"].to_str().unwrap().parse::<usize>().unwrap();
    assert!(length > large.len());
}

#[tokio::test]
async fn the_same_document_twice() {
    let (gateway, ids) = holding(&[b"test"]).await;
    let answer = gateway.soap().retrieve(REPOSITORY, &[&ids[0], &ids[0]]).await;
    answer.assert_success();
    assert_eq!(answer.documents().len(), 2);
}

#[tokio::test]
async fn a_request_without_its_ids() {
    let (gateway, ids) = holding(&[b"test"]).await;
    for broken in [request(None, "", &ids[0]), request(None, REPOSITORY, "")] {
        ask(&gateway, &[broken]).await.assert_failure(&["XDSRepositoryError"]);
    }
    ask(&gateway, &[]).await.assert_failure(&["XDSRepositoryError"]);
}

#[tokio::test]
async fn more_documents_than_one_request_may_ask_for() {
    let gateway = Gateway::start_with(|c| c.limits.retrieve_documents = 2).await;
    let requests = |count| vec![request(None, REPOSITORY, "2.999.1.404"); count];
    ask(&gateway, &requests(3)).await.assert_failure(&["XDSRepositoryError"]);
    ask(&gateway, &requests(2)).await.assert_failure(&["XDSDocumentUniqueIdError"]);
}

#[tokio::test]
async fn documents_survive_a_restart() {
    let (gateway, ids) = holding(&[b"test"]).await;
    let (dir, config) = gateway.stop().await;
    let gateway = Gateway::start_in(dir, config).await;
    let answer = gateway.soap().retrieve(REPOSITORY, &[&ids[0]]).await;
    assert_eq!(answer.documents()[0].1, "test");
}

#[tokio::test]
async fn each_retrieval_is_audited_once() {
    let (gateway, ids) = holding(&[b"test"]).await;
    gateway.tick();
    gateway.soap().retrieve(REPOSITORY, &[&ids[0]]).await.assert_success();
    gateway.tick();
    gateway.soap().retrieve(REPOSITORY, &[&ids[0], "2.999.1.404"]).await;
    gateway.tick();
    gateway.soap().retrieve(REPOSITORY, &["2.999.1.404"]).await;
    let records = gateway.audit().await;
    assert_eq!(records.len(), 4, "one of ITI-41 and three of ITI-43");
    let none: [&str; 0] = [];
    let missing = ["XDSDocumentUniqueIdError"];
    for (record, outcome, patients, documents, errors) in [
        (&records[1], Outcome::Success, &[PATIENT][..], &[&*ids[0]][..], &none[..]),
        (&records[2], Outcome::MinorFailure, &[PATIENT][..], &[&*ids[0], "2.999.1.404"][..], &missing[..]),
        (&records[3], Outcome::SeriousFailure, &none[..], &["2.999.1.404"][..], &missing[..]),
    ] {
        assert_eq!((&*record.transaction, record.outcome), ("ITI-43", outcome));
        assert_eq!(record.patients, patients);
        assert_eq!(record.documents, documents);
        assert_eq!(record.errors, errors);
    }
}

/// documentAvailability Offline: the document is kept, hidden from level 1, and not given out.
#[tokio::test]
async fn an_offline_document_is_not_given_out() {
    let gateway = Gateway::start().await;
    let soap = gateway.soap();
    let s = submission();
    soap.provide(&s, &[("DE", b"test")]).await.assert_success();
    let id = s.document_entries[0].unique_id.as_str();
    let mut offline = next_entry(update(), "DE", &gateway.entry(PATIENT).await);
    offline.submission.document_entries[0].document_availability =
        Some(document_availability::OFFLINE.into());
    soap.update(&offline).await.assert_success();
    soap.retrieve(REPOSITORY, &[id]).await.assert_failure(&["XDSDocumentUniqueIdError"]);
    let shown = soap.query(&everything(find_documents(PATIENT))).await.entries();
    let latest = shown.iter().find(|e| e.is_offline()).expect("the latest version");
    let mut online = next_entry(update(), "DE", latest);
    online.submission.document_entries[0].document_availability = Some(document_availability::ONLINE.into());
    soap.update(&online).await.assert_success();
    assert_eq!(&soap.retrieve(REPOSITORY, &[id]).await.documents()[0].1[..], b"test");
}
