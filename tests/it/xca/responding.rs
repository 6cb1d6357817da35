//! ITI-38 and ITI-39 answered.

use chiren::model::audit::Outcome;
use chiren::model::query::{QueryResult, ReturnType};
use chiren::model::transaction::Transaction;
use chiren::wire::ebxml::query::AdhocQueryRequest;
use chiren::wire::ebxml::response::ResponseStatus;

use super::{at_home, get_documents, of, retrieval};
use crate::on_demand::on_demand;
use crate::support::Gateway;
use crate::support::community::{home, network, repository};
use crate::support::samples::*;
use crate::support::sink::{Sink, allowed};
use crate::support::soap::adhoc_query;

#[tokio::test]
async fn every_object_and_every_reference_bears_our_home() {
    let gateway = network(1, |_| {}).await;
    gateway.soap().register(&submission_with_folder()).await.assert_success();
    let answer = gateway.ask_as_gateway(&get_all(PATIENT)).await;
    answer.assert_success();
    let objects = answer.objects();
    assert_eq!(objects.len(), 7, "a set, an entry, a folder and four associations");
    assert!(objects.iter().all(|o| o.home_community_id() == Some(home(1).as_str())));
    let refs = AdhocQueryRequest { return_type: ReturnType::ObjectRef, ..find_documents(PATIENT) };
    let QueryResult::Refs(refs) = gateway.ask_as_gateway(&refs).await.found() else { panic!("references") };
    assert_eq!(refs.len(), 1);
    assert!(refs.iter().all(|r| r.home_community_id == Some(home(1))));
    // The registry's own address goes on without.
    let plain = gateway.soap().query(&get_all(PATIENT)).await;
    assert!(plain.objects().iter().all(|o| o.home_community_id().is_none()));
}

#[tokio::test]
async fn a_query_without_patient_names_us() {
    let gateway = network(1, |_| {}).await;
    gateway.soap().register(&submission()).await.assert_success();
    let id = gateway.soap().query(&find_documents(PATIENT)).await.entries()[0].entry_uuid.clone();
    let ask = get_documents(&[&id]);
    assert_eq!(gateway.ask_as_gateway(&at_home(1, ask.clone())).await.entries().len(), 1);
    for (home_asked, code) in [(None, "XDSMissingHomeCommunityId"), (Some(home(2)), "XDSUnknownCommunity")] {
        let ask = AdhocQueryRequest { home: home_asked, ..ask.clone() };
        let (status, errors) = gateway.ask_as_gateway(&ask).await.registry();
        assert_eq!((status, errors), (ResponseStatus::Failure, vec![(code.to_owned(), home(1))]));
    }
    // By a patient, home may be left out; another's is not ours all the same.
    gateway.ask_as_gateway(&find_documents(PATIENT)).await.assert_success();
    gateway
        .ask_as_gateway(&at_home(2, find_documents(PATIENT)))
        .await
        .assert_failure(&["XDSUnknownCommunity"]);
}

#[tokio::test]
async fn every_error_is_located_by_our_home() {
    let gateway = network(1, |_| {}).await;
    let mut two = find_documents(PATIENT);
    two.slots.clear();
    let (status, errors) = gateway.ask_as_gateway(&two).await.registry();
    assert_eq!(status, ResponseStatus::Failure);
    assert!(errors.len() >= 2 && errors.iter().all(|(_, location)| *location == home(1)), "{errors:?}");
    let multi = query("urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f", vec![]);
    gateway.ask_as_gateway(&at_home(1, multi)).await.assert_failure(&["XDSUnknownStoredQuery"]);
}

#[tokio::test]
async fn documents_by_community_and_repository() {
    let gateway = network(1, |_| {}).await;
    let id = gateway.publish(b"test").await;
    let answer = gateway.fetch_as_gateway(&[of(1, &repository(1), &id)]).await;
    answer.assert_success();
    assert_eq!(answer.documents(), [(id.clone(), "test".into())]);
    assert_eq!(answer.responses()[0].home_community_id, Some(home(1)));
    let homeless = chiren::wire::ebxml::retrieve::DocumentRequest {
        home_community_id: None,
        ..of(1, &repository(1), &id)
    };
    for (request, code) in [
        (homeless, "XDSMissingHomeCommunityId"),
        (of(2, &repository(1), &id), "XDSUnknownCommunity"),
        (of(1, &repository(2), &id), "XDSUnknownRepositoryId"),
        (of(1, &repository(1), "2.999.1.404"), "XDSDocumentUniqueIdError"),
    ] {
        let both = [of(1, &repository(1), &id), request.clone()];
        let (status, errors) = gateway.fetch_as_gateway(&both).await.registry();
        assert_eq!((status, errors), (ResponseStatus::PartialSuccess, vec![(code.to_owned(), home(1))]));
        gateway.fetch_as_gateway(&[request]).await.assert_failure(&[code]);
    }
}

#[tokio::test]
async fn on_demand_documents_have_their_own_name() {
    let gateway = network(1, |_| {}).await;
    let mut listed = on_demand();
    listed.document_entries[0].repository_unique_id = Some(repository(1));
    gateway.soap().register_on_demand(&listed).await.assert_success();
    let id = &listed.document_entries[0].unique_id;
    let answer = gateway.fetch_as_gateway(&[of(1, &repository(1), id)]).await;
    answer.assert_success();
    let made = answer.responses()[0].new_document_unique_id.clone().expect("a new uniqueId");
    assert_ne!(made, *id);
}

#[tokio::test]
async fn both_are_answered_elsewhere() {
    let mut sink = Sink::start().await;
    let gateway = network(1, |c| c.asynchronous.reply_to = vec![allowed(sink.address)]).await;
    let id = gateway.publish(b"test").await;
    let soap = gateway.soap();
    let query = adhoc_query(&find_documents(PATIENT));
    soap.send_to(Transaction::Iti38, &query, &[], &sink.url()).await;
    let arrived = sink.next().await;
    assert_eq!(arrived.action, Transaction::Iti38.row().response_action);
    assert_eq!(arrived.answer.entries()[0].home_community_id, Some(home(1)));
    let body = retrieval(&[of(1, &repository(1), &id)]);
    soap.send_to(Transaction::Iti39, &body, &[], &sink.url()).await;
    let arrived = sink.next().await;
    assert!(arrived.answer.mtom);
    assert_eq!(arrived.answer.documents(), [(id, "test".into())]);
}

#[tokio::test]
async fn what_was_asked_is_recorded() {
    let gateway = network(1, |_| {}).await;
    let id = gateway.publish(b"test").await;
    gateway.ask_as_gateway(&find_documents(PATIENT)).await;
    gateway.fetch_as_gateway(&[of(1, &repository(1), &id)]).await;
    let records = gateway.audit().await;
    let of = |code: &str| records.iter().filter(|r| r.transaction == code).collect::<Vec<_>>();
    let [asked] = of("ITI-38")[..] else { panic!("{records:?}") };
    assert_eq!((asked.outcome, &asked.patients[..]), (Outcome::Success, &[PATIENT.to_owned()][..]));
    assert!(asked.query.as_ref().is_some_and(|q| q.contains(FIND_DOCUMENTS)) && asked.sent_to.is_none());
    let [given] = of("ITI-39")[..] else { panic!("{records:?}") };
    assert_eq!(
        (given.documents.as_slice(), given.patients.as_slice()),
        (&[id][..], &[PATIENT.to_owned()][..])
    );
}

#[tokio::test]
async fn without_a_gateway_there_is_none() {
    let gateway = Gateway::start().await;
    let answer = gateway.ask_as_gateway(&find_documents(PATIENT)).await;
    assert_eq!(answer.fault().1.as_deref(), Some("wsa:ActionNotSupported"));
    let answer = gateway.ask_all(&find_documents(PATIENT)).await;
    assert_eq!(answer.fault().1.as_deref(), Some("wsa:ActionNotSupported"));
}
