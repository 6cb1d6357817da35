//! ITI-86: documents leave the repository; each by itself, and none that is still registered.

use std::time::Duration;

use chiren::config::PeerConfig;
use chiren::model::audit::Outcome;
use chiren::model::metadata::MetadataObject;
use chiren::model::transaction::Transaction;
use chiren::service::context::Context;
use chiren::service::registry::Operation;
use chiren::wire::ebxml::remove_documents;
use chiren::wire::ebxml::response::ResponseStatus;
use chiren::wire::xml::XmlWriter;
use http::header::CONTENT_TYPE;
use tokio::task::JoinSet;

use crate::support::Gateway;
use crate::support::gateway::count;
use crate::support::samples::*;
use crate::support::soap::{SIMPLE, documents, envelope};

/// A document with this content, provided; its uniqueId.
async fn provided(gateway: &Gateway, content: &[u8]) -> String {
    let mut s = submission();
    let entry = &mut s.document_entries[0];
    (entry.hash, entry.size) = (None, None);
    gateway.soap().provide(&s, &[("DE", content)]).await.assert_success();
    s.document_entries[0].unique_id.clone()
}

/// The same, and its metadata removed again (ITI-62).
async fn unregistered(gateway: &Gateway, content: &[u8]) -> String {
    let unique_id = provided(gateway, content).await;
    remove_metadata(gateway).await;
    unique_id
}

async fn remove_metadata(gateway: &Gateway) {
    let all = gateway.all(PATIENT).await;
    let ids: Vec<&str> = all.iter().map(MetadataObject::id).collect();
    gateway.soap().remove(&ids).await.assert_success();
}

#[tokio::test]
async fn a_document_goes_and_its_history_stays() {
    let gateway = Gateway::start().await;
    let unique_id = unregistered(&gateway, b"a document").await;
    gateway.tick();
    let answer = gateway.soap().remove_documents(REPOSITORY, &[&unique_id]).await;
    answer.assert_success();
    // The framework wants the action in Content-Type, both ways (3.86.4.2.2).
    let content_type = answer.headers[CONTENT_TYPE].to_str().expect("text");
    assert!(
        content_type.ends_with("; action=\"urn:ihe:iti:2017:RemoveDocumentsResponse\""),
        "{content_type}"
    );
    gateway.tick();
    gateway.soap().retrieve(REPOSITORY, &[&unique_id]).await.assert_failure(&["XDSDocumentUniqueIdError"]);
    gateway
        .soap()
        .remove_documents(REPOSITORY, &[&unique_id])
        .await
        .assert_failure(&["XDSDocumentUniqueIdError"]);

    let records = gateway.audit().await;
    let ours: Vec<_> = records.iter().filter(|r| r.transaction == "ITI-86").collect();
    assert_eq!(ours.len(), 2);
    assert_eq!((ours[0].outcome, &ours[0].patients[..]), (Outcome::Success, &[PATIENT.to_owned()][..]));
    assert_eq!(ours[0].documents, std::slice::from_ref(&unique_id));
    assert_eq!(ours[1].outcome, Outcome::SeriousFailure);

    let context = Context::of_operator("history", None, gateway.clock.now());
    let registry = gateway.rooms().registry.as_ref().expect("a registry");
    let histories = registry.history(&context, &unique_id).await.expect("a history");
    let document = histories.iter().find(|h| h.kind == "Document").expect("the document's");
    let steps: Vec<_> =
        document.steps.iter().map(|s| (s.operation, s.transaction.as_deref().unwrap_or_default())).collect();
    assert_eq!(steps, [(Operation::Registered, "ITI-41"), (Operation::Removed, "ITI-86")]);
    gateway.assert_verified().await;
}

/// The bytes go with the sweeper, and only if nothing else stands on them.
#[tokio::test]
async fn bytes_go_with_the_last_document_that_stands_on_them() {
    let gateway = Gateway::start().await;
    let first = provided(&gateway, b"twice the same").await;
    let second = provided(&gateway, b"twice the same").await;
    remove_metadata(&gateway).await;
    let objects = || count(&gateway.config.repository.documents.join("objects"));
    let repository = gateway.rooms().repository.as_ref().expect("a repository");
    let later = std::time::SystemTime::now() + Duration::from_secs(25 * 3600);
    let sweep = async || {
        repository.sweep(later, Duration::from_secs(24 * 3600)).await.expect("a sweep");
    };
    gateway.soap().remove_documents(REPOSITORY, &[&first]).await.assert_success();
    sweep().await;
    assert_eq!(objects(), 1);
    let kept = gateway.soap().retrieve(REPOSITORY, &[&second]).await.documents();
    assert_eq!(&kept[0].1[..], b"twice the same");
    gateway.soap().remove_documents(REPOSITORY, &[&second]).await.assert_success();
    assert_eq!(objects(), 1);
    sweep().await;
    assert_eq!(objects(), 0);
    gateway.assert_verified().await;
}

#[tokio::test]
async fn each_document_has_its_own_fate() {
    let gateway = Gateway::start().await;
    let gone = unregistered(&gateway, b"gone").await;
    let registered = provided(&gateway, b"registered").await;
    let answer = gateway.soap().remove_documents(REPOSITORY, &[&registered, &gone, "2.999.404", &gone]).await;
    let (status, mut errors) = answer.registry();
    assert_eq!(status, ResponseStatus::PartialSuccess);
    errors.sort();
    let wanted = [
        ("XDSDocumentUniqueIdError".to_owned(), "2.999.404".to_owned()),
        ("XDSRemoveDocumentsError".to_owned(), registered.clone()),
    ];
    assert_eq!(errors, wanted);
    // What was removed and what was not: a record each (3.86.5.1).
    let records = gateway.audit().await;
    let ours: Vec<_> = records.iter().filter(|r| r.transaction == "ITI-86").collect();
    let mut told: Vec<_> = ours.iter().map(|r| (r.outcome, r.documents.clone())).collect();
    told.sort_by_key(|(outcome, _)| *outcome as i64);
    let mut left = vec!["2.999.404".to_owned(), registered.clone()];
    left.sort();
    assert_eq!(told, [(Outcome::Success, vec![gone]), (Outcome::SeriousFailure, left)]);
    let kept = gateway.soap().retrieve(REPOSITORY, &[&registered]).await.documents();
    assert_eq!(&kept[0].1[..], b"registered");
    gateway.assert_verified().await;
}

#[tokio::test]
async fn a_network_may_let_registered_documents_go() {
    let gateway = Gateway::start_with(|c| c.repository.remove_registered = true).await;
    let unique_id = provided(&gateway, b"registered").await;
    gateway.soap().remove_documents(REPOSITORY, &[&unique_id]).await.assert_success();
    gateway.soap().retrieve(REPOSITORY, &[&unique_id]).await.assert_failure(&["XDSDocumentUniqueIdError"]);
    assert_eq!(gateway.soap().query(&find_documents(PATIENT)).await.entries().len(), 1);
    // The chain knows that it was removed; that it is not there is no fault.
    gateway.assert_verified().await;
}

#[tokio::test]
async fn what_is_no_removal() {
    let gateway = Gateway::start().await;
    let unique_id = unregistered(&gateway, b"stays").await;
    let soap = gateway.soap();
    soap.remove_documents("2.999.404", &[&unique_id]).await.assert_failure(&["XDSUnknownRepositoryId"]);
    soap.remove_documents(REPOSITORY, &[]).await.assert_failure(&["XDSRepositoryError"]);
    soap.remove_documents(REPOSITORY, &[""]).await.assert_failure(&["XDSRepositoryError"]);
    let mut elsewhere = documents(REPOSITORY, &[&unique_id]);
    elsewhere[0].home_community_id = Some("urn:oid:2.999.404".into());
    let mut w = XmlWriter::new();
    remove_documents::write(&mut w, &elsewhere);
    soap.send(Transaction::Iti86, &w.finish(), &[]).await.assert_failure(&["XDSUnknownCommunity"]);
    // Without the action in Content-Type it is taken: wsa:Action says the same.
    let mut w = XmlWriter::new();
    remove_documents::write(&mut w, &documents(REPOSITORY, &[&unique_id]));
    let row = Transaction::Iti86.row();
    soap.post(row.path, SIMPLE, envelope(row.request_action, &w.finish())).await.assert_success();
}

/// A repository whose registry is elsewhere knows no patients; its documents can be removed all the same.
#[tokio::test]
async fn registered_elsewhere() {
    let registry = Gateway::start().await;
    let url = format!("http://{}/xds/iti42", registry.address);
    let gateway = Gateway::start_with(|c| {
        c.registry.enabled = false;
        c.repository.remote_registry = Some(PeerConfig { url, ..PeerConfig::default() });
    })
    .await;
    let unique_id = provided(&gateway, b"elsewhere").await;
    gateway.soap().remove_documents(REPOSITORY, &[&unique_id]).await.assert_success();
    gateway.soap().retrieve(REPOSITORY, &[&unique_id]).await.assert_failure(&["XDSDocumentUniqueIdError"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_remove_the_same() {
    let gateway = Gateway::start().await;
    let unique_id = unregistered(&gateway, b"once").await;
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let (soap, unique_id) = (gateway.soap(), unique_id.clone());
        tasks.spawn(async move { soap.remove_documents(REPOSITORY, &[&unique_id]).await.registry() });
    }
    let mut removed = 0;
    while let Some(done) = tasks.join_next().await {
        match done.expect("an answer") {
            (ResponseStatus::Success, _) => removed += 1,
            (_, errors) => assert!(errors.iter().all(|(c, _)| c == "XDSDocumentUniqueIdError")),
        }
    }
    assert_eq!(removed, 1);
    gateway.assert_verified().await;
}

/// The same document submitted again while it is removed: whoever comes first, an entry that is registered
/// has its document.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn submitted_again_while_it_is_removed() {
    for round in 0..4 {
        let gateway = Gateway::start().await;
        gateway.add_patient(OTHER_PATIENT).await;
        let content = format!("round {round}");
        let unique_id = unregistered(&gateway, content.as_bytes()).await;
        let patient = if round % 2 == 0 { PATIENT } else { OTHER_PATIENT };
        let mut s = of_patient(submission(), patient);
        let entry = &mut s.document_entries[0];
        (entry.hash, entry.size) = (None, None);
        entry.unique_id.clone_from(&unique_id);
        let soap = gateway.soap();
        let parts = [("DE", content.as_bytes())];
        let ids = [unique_id.as_str()];
        let (submitted, removed) =
            tokio::join!(soap.provide(&s, &parts), soap.remove_documents(REPOSITORY, &ids));
        submitted.assert_success();
        let (status, errors) = removed.registry();
        assert!(
            status == ResponseStatus::Success || errors[0].0 == "XDSRemoveDocumentsError",
            "{status:?} {errors:?}"
        );
        let kept = soap.retrieve(REPOSITORY, &[&unique_id]).await.documents();
        assert_eq!(&kept[0].1[..], content.as_bytes());
        gateway.assert_verified().await;
    }
}
