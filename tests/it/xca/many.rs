//! Fifty communities, of which one hangs, one resets and one drips: the answer has what the others gave, at the deadline,
//! whatever else is asked, and nothing is left behind.

use std::time::{Duration, Instant};

use chiren::model::error::ErrorCode;
use chiren::model::transaction::Transaction;
use chiren::wire::ebxml::response::ResponseStatus;
use futures_util::future::join_all;

use super::ours_with;
use crate::support::community::{Neighbour, Way, community, home};
use crate::support::raw::{connect, post};
use crate::support::samples::*;
use crate::support::soap::{SIMPLE, adhoc_query, envelope};

const MANY: usize = 50;
const DEADLINE: Duration = Duration::from_millis(4000);

/// Open files of this process: sockets, for the most part.
fn files() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_of_fifty_does_not_wait_for_three() {
    let mut neighbours = vec![];
    for n in 0..MANY {
        let way = match n {
            7 => Way::Hang,
            23 => Way::Reset,
            41 => Way::Drip,
            _ => Way::Good,
        };
        neighbours.push(Neighbour::start(n + 2, way).await);
    }
    let members = neighbours.iter().enumerate().map(|(n, neighbour)| {
        let mut member = community(n + 2, neighbour.address);
        member.budget_ms = 60_000;
        member.at_once = 200;
        // They are asked again and again.
        member.breaker_failures = 1_000_000;
        member
    });
    let first = ours_with(members.collect(), |c| {
        c.gateway.deadline_ms = u64::try_from(DEADLINE.as_millis()).expect("a time");
        c.limits.concurrent_requests = 400;
    })
    .await;
    let bad = [home(9), home(25), home(43)];
    let ask = async || {
        let action = Transaction::Iti18.row().request_action;
        let request =
            post("/xca/iti18", SIMPLE, envelope(action, &adhoc_query(&find_documents(PATIENT))).as_bytes());
        let mut connection = connect(first.address).await;
        let begun = Instant::now();
        let answer = connection.exchange(&request).await.expect("an answer");
        // Until it was here: what a test then makes of it is not the gateway's.
        let took = begun.elapsed();
        let answer = answer.soap();
        let (status, errors) = answer.registry();
        assert_eq!(status, ResponseStatus::PartialSuccess);
        assert_eq!(answer.entries().len(), MANY - 3);
        let located: Vec<&str> = errors.iter().map(|(_, location)| location.as_str()).collect();
        assert_eq!(located, bad);
        assert!(errors.iter().all(|(code, _)| code == ErrorCode::XDSUnavailableCommunity.as_str()));
        took
    };
    // Alone, with the odd measurement spoiled by what else this machine does.
    let mut over: Vec<Duration> = vec![];
    for _ in 0..5 {
        let took = ask().await;
        assert!(took >= DEADLINE, "{took:?}: three were still waited for");
        over.push(took - DEADLINE);
    }
    over.sort();
    // The fifty milliseconds that are promised are measured on a machine that does nothing else (`CROWD=100`).
    let allowed = if std::env::var_os("CROWD").is_some() { 50 } else { 2_000 };
    assert!(over[0] < Duration::from_millis(allowed), "{over:?}");
    // Many at a time, three times over. Each opens some fifty connections and their other ends, all in this process.
    let crowd = std::env::var("CROWD").map_or(8, |n| n.parse().expect("CROWD: a number"));
    let mut open = vec![];
    for _ in 0..3 {
        let took = join_all((0..crowd).map(|_| ask())).await;
        let longest = took.into_iter().max().unwrap_or_default();
        assert!(longest < DEADLINE * 5, "{longest:?}");
        open.push(files());
    }
    // Other tests of this process open files of their own: told only where this one runs alone.
    if std::env::var_os("CROWD").is_some() {
        assert!(open[2] <= open[0] + 50, "open files grow: {open:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_others_takes_no_turn_of_those_that_work() {
    let neighbour = Neighbour::start(2, Way::Hang).await;
    let first = ours_with(vec![community(2, neighbour.address)], |c| {
        c.gateway.deadline_ms = 1_500;
        c.limits.short_requests = 1;
        c.limits.queue_milliseconds = 50;
    })
    .await;
    let ask = async || {
        let action = Transaction::Iti18.row().request_action;
        let body = envelope(action, &adhoc_query(&find_documents(PATIENT)));
        let request = post("/xca/iti18", SIMPLE, body.as_bytes());
        let mut connection = connect(first.address).await;
        connection.exchange(&request).await.expect("an answer").soap().registry().0
    };
    let (one, other) = tokio::join!(ask(), ask());
    assert_eq!([one, other], [ResponseStatus::PartialSuccess; 2]);
}
