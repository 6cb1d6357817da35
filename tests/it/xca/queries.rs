//! ITI-18 of our own consumers, asked of several communities.

use std::collections::BTreeSet;

use chiren::model::audit::Outcome;
use chiren::model::query::{AdhocQueryRequest, QueryResult, ReturnType};
use chiren::wire::ebxml::response::ResponseStatus;

use super::{at_home, get_documents, ours};
use crate::support::Answer;
use crate::support::community::{Neighbour, Way, community, entry, home, network};
use crate::support::samples::*;

fn homes(answer: &Answer) -> Vec<String> {
    let homes: BTreeSet<_> = answer.entries().into_iter().filter_map(|e| e.home_community_id).collect();
    homes.into_iter().collect()
}

#[tokio::test]
async fn three_networks_answer_as_one() {
    let (second, third) = (network(2, |_| {}).await, network(3, |_| {}).await);
    let first = ours(vec![community(2, second.address), community(3, third.address)]).await;
    for gateway in [&first, &second, &third] {
        gateway.soap().register(&submission()).await.assert_success();
    }
    let answer = first.ask_all(&find_documents(PATIENT)).await;
    answer.assert_success();
    assert_eq!(answer.entries().len(), 3);
    assert_eq!(homes(&answer), [home(1), home(2), home(3)]);
    // One alone, and ourselves alone.
    for n in 1..=3 {
        let answer = first.ask_all(&at_home(n, find_documents(PATIENT))).await;
        assert_eq!((answer.entries().len(), homes(&answer)), (1, vec![home(n)]), "network {n}");
    }
    // References come with their homes, and lead to the objects.
    let refs = AdhocQueryRequest { return_type: ReturnType::ObjectRef, ..find_documents(PATIENT) };
    let QueryResult::Refs(refs) = first.ask_all(&refs).await.found() else { panic!("references") };
    assert_eq!(refs.len(), 3);
    for r in refs {
        let ask = AdhocQueryRequest { home: r.home_community_id.clone(), ..get_documents(&[&r.id]) };
        let entries = first.ask_all(&ask).await.entries();
        assert_eq!((entries.len(), &entries[0].home_community_id), (1, &r.home_community_id));
    }
}

#[tokio::test]
async fn everything_of_an_object_comes_through() {
    let second = network(2, |_| {}).await;
    let first = ours(vec![community(2, second.address)]).await;
    let mut s = submission_with_folder();
    s.document_entries[0].extra.slots.push(single("urn:chiren:test", "kept"));
    second.soap().register(&s).await.assert_success();
    let there = second.ask_as_gateway(&at_home(2, get_all(PATIENT))).await.objects();
    let here = first.ask_all(&at_home(2, get_all(PATIENT))).await.objects();
    assert_eq!(here, there);
}

#[tokio::test]
async fn a_patient_of_another_domain_is_asked_for_by_his_own_id() {
    let neighbour = Neighbour::start(2, Way::Good).await;
    let mut unlinked = community(3, neighbour.address);
    unlinked.patient_id_authority = Some("2.999.392.3.2".into());
    let first = ours(vec![community(2, neighbour.address), unlinked]).await;
    let mut request = find_documents(PATIENT);
    request.slots.push(single("$XDSDocumentEntryUnknownToUs", "passed on"));
    first.ask_all(&request).await.assert_success();
    let asked = neighbour.asked();
    assert_eq!(asked.len(), 1, "the other one's ids are not shared");
    assert!(asked[0].contains("'1001^^^&amp;2.999.392.1.2&amp;ISO'"), "{}", asked[0]);
    assert!(asked[0].contains("$XDSDocumentEntryUnknownToUs"), "unknown parameters are passed on");
    // Nobody there knows him: nothing, and no error.
    let answer = first.ask_all(&at_home(3, find_documents(PATIENT))).await;
    answer.assert_success();
    assert_eq!((answer.entries().len(), neighbour.asked().len()), (0, 1));
}

#[tokio::test]
async fn a_query_without_patient_needs_a_community() {
    let first = ours(vec![]).await;
    let ask = get_documents(&["urn:uuid:08a15a6f-5b4a-42de-8f95-89474f83abdf"]);
    first.ask_all(&ask).await.assert_failure(&["XDSMissingHomeCommunityId"]);
    let (status, errors) = first.ask_all(&at_home(9, ask.clone())).await.registry();
    assert_eq!((status, errors), (ResponseStatus::Failure, vec![("XDSUnknownCommunity".into(), home(9))]));
    first.ask_all(&at_home(1, ask)).await.assert_success();
}

#[tokio::test]
async fn target_communities_are_honoured() {
    let (second, third) = (Neighbour::start(2, Way::Good).await, Neighbour::start(3, Way::Good).await);
    let first = ours(vec![community(2, second.address), community(3, third.address)]).await;
    first.soap().register(&submission()).await.assert_success();
    let meant = |homes: &[&str]| {
        let mut request = find_documents(PATIENT);
        request.slots.push(list("$targetCommunityIdList", homes));
        request
    };
    let answer = first.ask_all(&meant(&[&home(1), &home(3)])).await;
    answer.assert_success();
    assert_eq!(homes(&answer), [home(1), home(3)]);
    assert!(second.asked().is_empty() && third.asked()[0].contains("$targetCommunityIdList"));
    let answer = first.ask_all(&meant(&[&home(2), &home(9)])).await;
    let unknown = ("XDSUnknownCommunity".to_owned(), home(9));
    assert_eq!(answer.registry(), (ResponseStatus::PartialSuccess, vec![unknown]));
    assert_eq!(homes(&answer), [home(2)]);
    // As one that is asked, we are who is meant or not.
    first.ask_as_gateway(&meant(&[&home(1), &home(2)])).await.assert_success();
    first.ask_as_gateway(&meant(&[&home(2)])).await.assert_failure(&["XDSUnknownCommunity"]);
}

#[tokio::test]
async fn what_is_reached_by_two_ways_is_shown_once() {
    let (shared, own, mine) = (entry(Some(&home(3))), entry(Some(&home(2))), entry(Some(&home(1))));
    let hub_says = vec![shared.clone(), own, mine, shared.clone()];
    let hub = Neighbour::start(2, Way::Entries(hub_says)).await;
    let member = Neighbour::start(3, Way::Entries(vec![shared.clone()])).await;
    let mut row = community(2, hub.address);
    row.stands_for = vec![home(3), home(4)];
    let first = ours(vec![row, community(3, member.address)]).await;
    let answer = first.ask_all(&find_documents(PATIENT)).await;
    answer.assert_success();
    let entries = answer.entries();
    assert_eq!(
        (entries.len(), homes(&answer)),
        (2, vec![home(2), home(3)]),
        "what is ours we have said ourselves"
    );
    // Whom only the hub speaks for is asked there; who is a community of its own is asked itself.
    let before = (hub.asked().len(), member.asked().len());
    first.ask_all(&at_home(4, find_documents(PATIENT))).await;
    first.ask_all(&at_home(3, find_documents(PATIENT))).await;
    assert_eq!((hub.asked().len(), member.asked().len()), (before.0 + 1, before.1 + 1));
}

#[tokio::test]
async fn what_we_asked_of_others_is_recorded_with_what_we_were_asked() {
    let neighbour = Neighbour::start(2, Way::Good).await;
    let nobody = crate::support::sink::Sink::nowhere();
    let first = ours(vec![community(2, neighbour.address), community(3, nobody)]).await;
    first.ask_all(&find_documents(PATIENT)).await;
    let records = first.audit().await;
    let asked: Vec<_> = records.iter().filter(|r| r.transaction == "ITI-18").collect();
    assert_eq!((asked.len(), asked[0].outcome, &asked[0].sent_to), (1, Outcome::MinorFailure, &None));
    let sent: Vec<_> = records.iter().filter(|r| r.transaction == "ITI-38").collect();
    assert_eq!(sent.len(), 2);
    for (address, outcome) in [(neighbour.address, Outcome::Success), (nobody, Outcome::SeriousFailure)] {
        let to = Some(format!("http://{address}/xca/iti38"));
        let record = sent.iter().find(|r| r.sent_to == to).expect("its record");
        assert_eq!((record.outcome, &record.request_id), (outcome, &asked[0].request_id));
        assert!(record.query.as_ref().is_some_and(|q| q.contains(FIND_DOCUMENTS)));
    }
}
