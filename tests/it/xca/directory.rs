//! The directory read anew, breakers, and what operators are shown.

use chiren::config::{CommunityConfig, CommunityFile};
use chiren::model::community::Step;
use chiren::service::gateway::{BreakerState, Scoreboard};
use chiren::wire::ebxml::response::ResponseStatus;

use super::{at_home, ours, ours_with};
use crate::support::community::{Neighbour, Way, community, home};
use crate::support::process::{run, write_config};
use crate::support::raw::connect;
use crate::support::samples::*;
use crate::support::sink::Sink;

fn written(path: &std::path::Path, rows: Vec<CommunityConfig>) {
    let file = CommunityFile { community: rows, foreign_repository: vec![] };
    std::fs::write(path, toml::to_string(&file).expect("TOML")).expect("written");
}

#[tokio::test]
async fn communities_come_and_go_without_a_restart() {
    let neighbour = Neighbour::start(2, Way::Good).await;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("communities.toml");
    written(&path, vec![]);
    let first = ours_with(vec![], |c| c.gateway.communities = Some(path.clone())).await;
    let ask = at_home(2, find_documents(PATIENT));
    first.ask_all(&ask).await.assert_failure(&["XDSUnknownCommunity"]);
    let directory = first.rooms().gateway.as_ref().expect("a gateway").directory().clone();
    assert!(directory.look().is_none(), "nothing changed");

    written(&path, vec![community(2, neighbour.address)]);
    assert!(matches!(directory.look(), None | Some(Ok(1))), "its own look may have been first");
    first.ask_all(&ask).await.assert_success();

    // A bad file keeps the directory as it was, and is reported.
    std::fs::write(&path, "[[community]]\nid = 'broken'\n").expect("written");
    first.running.as_ref().expect("running").reload().await;
    first.ask_all(&ask).await.assert_success();
    assert!(directory.faults().iter().any(|f| f.key == "community[0].home_community_id"));
    let raw = connect(first.ops).await.exchange(b"GET /communities HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let board: Scoreboard = serde_json::from_str(&raw.expect("an answer").text()).expect("JSON");
    assert!(!board.faults.is_empty());
    assert_eq!(board.communities[0].answered, 2);

    // What did not change goes on being counted; what is gone is gone.
    written(&path, vec![CommunityConfig { name: "renamed".into(), ..community(2, neighbour.address) }]);
    first.running.as_ref().expect("running").reload().await;
    assert_eq!((directory.faults().len(), first.standing(2).answered), (0, 2));
    written(&path, vec![]);
    first.running.as_ref().expect("running").reload().await;
    first.ask_all(&ask).await.assert_failure(&["XDSUnknownCommunity"]);
}

#[tokio::test]
async fn who_is_away_is_not_asked_for_a_while() {
    let address = Sink::nowhere();
    let row = CommunityConfig { breaker_failures: 2, breaker_pause_ms: 3_600_000, ..community(2, address) };
    let first = ours(vec![row]).await;
    let ask = at_home(2, find_documents(PATIENT));
    for (step, state) in [
        (Step::Connect, BreakerState::Closed),
        (Step::Connect, BreakerState::Open),
        (Step::Breaker, BreakerState::Open),
    ] {
        first.ask_all(&ask).await.assert_failure(&["XDSUnavailableCommunity"]);
        let standing = first.standing(2);
        assert_eq!(standing.breaker, state);
        assert!(standing.failed.iter().any(|(s, _)| *s == step), "{standing:?}");
    }
}

#[tokio::test]
async fn it_is_asked_again_after_the_pause() {
    let address = crate::support::port::lasting().local_addr().expect("an address");
    let row = CommunityConfig { breaker_failures: 1, breaker_pause_ms: 10, ..community(2, address) };
    let first = ours(vec![row]).await;
    let ask = at_home(2, find_documents(PATIENT));
    first.ask_all(&ask).await.assert_failure(&["XDSUnavailableCommunity"]);
    let _neighbour = Neighbour::at(address, 2, Way::Good).await;
    while first.ask_all(&ask).await.registry().0 != ResponseStatus::Success {
        assert_ne!(first.standing(2).breaker, BreakerState::Closed);
    }
    assert_eq!(first.standing(2).breaker, BreakerState::Closed);
}

#[tokio::test]
async fn one_that_hangs_costs_the_others_nothing() {
    let (good, hangs) = (Neighbour::start(2, Way::Good).await, Neighbour::start(3, Way::Hang).await);
    let late =
        CommunityConfig { budget_ms: 400, at_once: 1, breaker_failures: 99, ..community(3, hangs.address) };
    let first = ours(vec![community(2, good.address), late]).await;
    let ask = find_documents(PATIENT);
    let asking = (0..8).map(|_| first.ask_all(&ask));
    for answer in futures_util::future::join_all(asking).await {
        let (status, errors) = answer.registry();
        assert_eq!(
            (status, errors),
            (ResponseStatus::PartialSuccess, vec![("XDSUnavailableCommunity".into(), home(3))])
        );
        assert_eq!(answer.entries().len(), 1);
    }
    // One at a time: the others found no place, or had next to no time left when they did.
    let standing = first.standing(3);
    let late: u64 = standing.failed.iter().map(|(_, count)| count).sum();
    let steps = standing.failed.iter().map(|(step, _)| *step);
    assert!(late == 8 && steps.into_iter().all(|s| matches!(s, Step::Queue | Step::Timeout)), "{standing:?}");
    assert_eq!((standing.under_way, first.standing(2).answered), (0, 8));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_show_and_try() {
    let good = Neighbour::start(2, Way::Nothing).await;
    let mut gone = community(3, Sink::nowhere());
    gone.endpoint.iti45 = Some(format!("http://{}/mpi/iti45", good.address));
    let first = ours(vec![community(2, good.address), gone]).await;
    first.ask_all(&find_documents(PATIENT)).await;
    let config = write_config(first.dir.path(), &first.config);
    let config = config.to_str().expect("a path").to_owned();
    let url = format!("http://{}", first.ops);
    let command = async |arguments: &[&str]| {
        let mut all = vec!["community".to_owned(), "--config".to_owned(), config.clone()];
        all.extend(arguments.iter().map(|a| (*a).to_owned()));
        let output =
            tokio::task::spawn_blocking(move || run(&all.iter().map(String::as_str).collect::<Vec<_>>()));
        let output = output.await.expect("it ran");
        (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
    };
    let (code, text) = command(&["status", "--url", &url, "--json"]).await;
    let board: Scoreboard = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, board.communities.len()), (Some(0), 2));
    assert_eq!((board.communities[0].answered, board.communities[1].answered), (1, 0));
    let (code, text) = command(&["status", "--url", &url]).await;
    assert!(code == Some(0) && text.contains("n2") && text.contains(&home(3)), "{text}");

    let verdicts = |text: &str| -> Vec<(String, String)> {
        let json: serde_json::Value = serde_json::from_str(text).expect("JSON");
        let rows = json["probes"].as_array().expect("a list").iter();
        rows.map(|p| (p["transaction"].as_str().unwrap().into(), p["verdict"].as_str().unwrap().into()))
            .collect()
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let (code, text) = command(&["test", "n2", "--json"]).await;
    assert_eq!((code, verdicts(&text)), (Some(0), vec![pair("iti38", "works"), pair("iti39", "works")]));
    let (code, text) = command(&["test", "n3", "--json"]).await;
    assert_eq!(code, Some(1));
    assert_eq!(verdicts(&text)[..2], [pair("iti38", "fails"), pair("iti39", "fails")]);
    assert!(text.contains("\"connect\""), "{text}");
    assert_eq!(command(&["test", "nobody"]).await.0, Some(2));
}
