//! Three gateways, a process each: what one of them finds at the two others, what it says when one of these dies, and
//! that it finds it again.

use chiren::config::{CommunityConfig, UnknownPatients};
use chiren::model::transaction::Transaction;
use chiren::wire::ebxml::response::ResponseStatus;

use super::{of, retrieval};
use crate::support::community::{community, home, repository};
use crate::support::gateway::config;
use crate::support::process::{Process, write_config};
use crate::support::samples::*;
use crate::support::soap::{SIMPLE, adhoc_query, envelope, mtom};
use crate::support::{Answer, Soap};

/// Network `n` in a process of its own, knowing these others.
async fn process(n: usize, others: Vec<CommunityConfig>) -> (tempfile::TempDir, Process) {
    let dir = tempfile::tempdir().unwrap();
    let mut c = config(&dir).await;
    c.network.home_community_id = home(n);
    c.repository.unique_id = repository(n);
    c.gateway.enabled = true;
    c.registry.unknown_patients = UnknownPatients::Accept;
    c.community = others;
    let path = write_config(dir.path(), &c);
    (dir, Process::start(&path, &[]))
}

async fn publish(at: &Process, bytes: &[u8]) -> String {
    let mut s = submission();
    (s.document_entries[0].hash, s.document_entries[0].size) = (None, None);
    Soap::new(at.address).provide(&s, &[("DE", bytes)]).await.assert_success();
    s.document_entries[0].unique_id.clone()
}

async fn ask_all(at: &Process) -> Answer {
    let action = Transaction::Iti18.row().request_action;
    Soap::new(at.address)
        .post("/xca/iti18", SIMPLE, envelope(action, &adhoc_query(&find_documents(PATIENT))))
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_answer_as_one_and_one_that_dies_is_named() {
    let (second_dir, second) = process(2, vec![]).await;
    let (_third_dir, third) = process(3, vec![]).await;
    let others = vec![community(2, second.address), community(3, third.address)];
    let (_first_dir, first) = process(1, others).await;
    let ids =
        [publish(&first, b"first").await, publish(&second, b"second").await, publish(&third, b"third").await];

    let answer = ask_all(&first).await;
    answer.assert_success();
    let mut found: Vec<_> =
        answer.entries().into_iter().map(|e| (e.home_community_id, e.unique_id)).collect();
    found.sort();
    let mut expected: Vec<_> = (1..=3).map(|n| (Some(home(n)), ids[n - 1].clone())).collect();
    expected.sort();
    assert_eq!(found, expected);

    let requests: Vec<_> = (1..=3).map(|n| of(n, &repository(n), &ids[n - 1])).collect();
    let request = envelope(Transaction::Iti43.row().request_action, &retrieval(&requests));
    let (content_type, body) = mtom(&request, &[]);
    let fetch = async || Soap::new(first.address).post("/xca/iti43", &content_type, body.clone()).await;
    let answer = fetch().await;
    answer.assert_success();
    let mut documents = answer.documents();
    documents.sort();
    let mut expected: Vec<_> = ids
        .iter()
        .cloned()
        .zip([&b"first"[..], b"second", b"third"].map(bytes::Bytes::from_static))
        .collect();
    expected.sort();
    assert_eq!(documents, expected);

    let address = second.address;
    second.kill();
    let answer = ask_all(&first).await;
    let dead = vec![("XDSUnavailableCommunity".to_owned(), home(2))];
    assert_eq!(answer.registry(), (ResponseStatus::PartialSuccess, dead.clone()));
    assert_eq!(answer.entries().len(), 2);
    let answer = fetch().await;
    assert_eq!(answer.registry(), (ResponseStatus::PartialSuccess, dead));
    assert_eq!(answer.documents().len(), 2);

    // The same place again, with what it had.
    let path = second_dir.path().join("chiren.toml");
    let text = std::fs::read_to_string(&path).unwrap().replacen("127.0.0.1:0", &address.to_string(), 1);
    std::fs::write(&path, text).unwrap();
    let _second = Process::start(&path, &[]);
    ask_all(&first).await.assert_success();
    fetch().await.assert_success();
}
