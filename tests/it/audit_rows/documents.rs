//! Documents and what is said of them, within a network and between two.

use chiren::config::PeerConfig;
use chiren::model::metadata::MetadataObject;
use chiren::model::transaction::Transaction;
use chiren::model::uuids::status;

use super::*;
use crate::on_demand::on_demand;
use crate::support::Gateway;
use crate::support::community::{community, network, repository};
use crate::support::samples::*;
use crate::support::updates::*;
use crate::xca::{of, ours_with};

#[tokio::test]
async fn documents_are_on_the_wire_as_their_rows_say() {
    let arr = Arr::start().await;
    let told = arr.config("arr", None);
    let second = network(2, |c| c.audit.repository = vec![told.clone()]).await;
    let first = ours_with(vec![community(2, second.address)], |c| {
        c.audit.repository = vec![told.clone()];
    })
    .await;
    let url = format!("http://{}/xds/iti42", first.address);
    let source = Gateway::start_with(|c| {
        c.registry.enabled = false;
        c.repository.remote_registry = Some(PeerConfig { url, answer_seconds: 10, ..PeerConfig::default() });
        c.audit.repository = vec![told];
    })
    .await;
    // ITI-41, and ITI-42 between two systems.
    let there = second.publish(b"there").await;
    source.publish(b"elsewhere").await;
    // ITI-18 to ITI-38, ITI-43 to ITI-39, and the calls behind them.
    let found = first.ask_all(&find_documents(PATIENT)).await;
    found.assert_success();
    first.fetch(&[of(2, &repository(2), &there)]).await.assert_success();
    // What the other community has not, in part and at all.
    first.fetch(&[of(2, &repository(2), &there), of(2, &repository(2), "2.25.404")]).await;
    // The rest at home.
    let soap = first.soap();
    let of_many = vec![
        list("$XDSDocumentEntryPatientId", &[PATIENT]),
        list("$XDSDocumentEntryStatus", &[status::APPROVED]),
    ];
    soap.query_multi_patient(&query(crate::multi_patient::FIND_DOCUMENTS_FOR_MANY, of_many))
        .await
        .assert_success();
    soap.register_on_demand(&on_demand()).await.assert_success();
    let mine = first.publish(b"mine").await;
    soap.retrieve(&repository(1), &[&mine]).await.assert_success();
    let entries = first.entries(PATIENT).await;
    let entry = entries.iter().find(|e| e.unique_id == mine).expect("registered");
    first.tick();
    soap.update(&next_entry(update(), "DE", entry)).await.assert_success();
    let entries = first.entries(PATIENT).await;
    let in_force =
        entries.iter().filter(|e| e.unique_id == mine).max_by_key(|e| e.version).expect("a second version");
    first.tick();
    soap.update_restricted(&next_entry(update(), "DE", in_force)).await.assert_success();
    // What nothing follows is removed.
    let third = Gateway::start_with(|c| {
        c.repository.remove_registered = true;
        c.audit.repository = vec![arr.config("arr", None)];
    })
    .await;
    let gone = third.publish(b"gone").await;
    let all = third.all(PATIENT).await;
    let ids: Vec<&str> = all.iter().map(MetadataObject::id).collect();
    third.soap().remove(&ids).await.assert_success();
    third.soap().remove_documents(REPOSITORY, &[&gone]).await.assert_success();

    let messages = held_against(&arr, DOCUMENTS).await;
    assert!(details(&messages, "ITI-38", Receiver).contains("QueryEncoding"));
    let of_source = details(&messages, "ITI-39", Sender);
    assert!(of_source.contains("Repository Unique ID") && of_source.contains("ihe:homeCommunityID"));
    assert!(details(&messages, "ITI-43", Sender).contains("Repository Unique ID"));
    assert!(details(&messages, "ITI-86", Receiver).contains("urn:ihe:iti:xds:2007:repositoryUniqueId"));
    // The responding gateway's own calls go to its own actors.
    for (of_type, path) in
        [("ITI-18", Transaction::Iti18.row().path), ("ITI-43", Transaction::Iti43.row().path)]
    {
        let own = messages.iter().find(|m| event_type(m) == of_type && side(m) == Sender).expect(of_type);
        let asked = own.participants.iter().find(|p| p.alternative_user_id.is_none()).expect("who was asked");
        assert!(asked.user_id.ends_with(path), "{asked:?}");
    }
    // Half an answer is a success and a failure on every side, of one document each.
    for (of_type, side_of) in
        [("ITI-39", Receiver), ("ITI-39", Sender), ("ITI-43", Sender), ("ITI-43", Receiver)]
    {
        let failed = |m: &&AuditMessage| event_type(m) == of_type && side(m) == side_of && m.outcome == 8;
        let arrived = arr.until(of_type, |a| transactions(a).iter().any(|m| failed(&m))).await;
        let failed = transactions(&arrived).into_iter().find(|m| failed(&m)).expect("a failure");
        let documents: Vec<&str> =
            failed.objects.iter().filter(|o| kind(o) == "DOC").map(|o| o.id.as_str()).collect();
        assert_eq!(documents, ["2.25.404"], "{of_type} {side_of:?}");
    }
}
