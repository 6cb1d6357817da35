//! Every way a community can fail, for each transaction: what the consumer reads, and which step the scoreboard
//! names.

use std::time::Duration;

use chiren::config::CommunityConfig;
use chiren::model::community::Step;
use chiren::wire::ebxml::response::ResponseStatus::{self, Failure, PartialSuccess, Success};

use super::{at_home, of, ours, ours_with};
use crate::support::Gateway;
use crate::support::community::{Neighbour, Way, community, content, home};
use crate::support::samples::*;
use crate::support::sink::Sink;

const UNAVAILABLE: &str = "XDSUnavailableCommunity";

/// How the neighbour is there.
enum There {
    Does(Way),
    /// Nobody listens.
    Refused,
    /// It speaks no TLS, and is asked to.
    Plain,
}

struct Cell {
    name: &'static str,
    there: There,
    status: ResponseStatus,
    /// Of the errors, all located by its homeCommunityId.
    codes: &'static [&'static str],
    /// What comes of it all the same.
    things: usize,
    step: Option<Step>,
}

fn cell(
    name: &'static str,
    there: There,
    status: ResponseStatus,
    codes: &'static [&'static str],
    things: usize,
    step: Option<Step>,
) -> Cell {
    Cell { name, there, status, codes, things, step }
}

fn fails(name: &'static str, there: There, step: Step) -> Cell {
    cell(name, there, Failure, &[UNAVAILABLE], 0, Some(step))
}

/// What both transactions have in common.
fn common() -> Vec<Cell> {
    use There::*;
    vec![
        cell("ok", Does(Way::Good), Success, &[], 1, None),
        cell("slow", Does(Way::Slow(Duration::from_millis(100))), Success, &[], 1, None),
        fails("hang", Does(Way::Hang), Step::Timeout),
        fails("drip", Does(Way::Drip), Step::Timeout),
        fails("reset", Does(Way::Reset), Step::BadAnswer),
        fails("refused", Refused, Step::Connect),
        fails("TLS", Plain, Step::Tls),
        fails("fault", Does(Way::Fault), Step::Fault),
        fails("malformed", Does(Way::Malformed), Step::BadAnswer),
        fails("a page", Does(Way::Page(200)), Step::BadAnswer),
        fails("a proxy's page", Does(Way::Page(502)), Step::BadAnswer),
        fails("wrong home", Does(Way::WrongHome(home(9))), Step::BadAnswer),
        fails("our home", Does(Way::WrongHome(home(1))), Step::BadAnswer),
        fails("wordless", Does(Way::Wordless), Step::BadAnswer),
    ]
}

/// The neighbours of these cells, networks 2 and following, and the gateway that knows them.
async fn table(cells: &[Cell]) -> (Gateway, Vec<Option<Neighbour>>) {
    let (mut neighbours, mut rows) = (vec![], vec![]);
    for (n, cell) in (2..).zip(cells) {
        let neighbour = match &cell.there {
            There::Does(way) => Some(Neighbour::start(n, way.clone()).await),
            There::Plain => Some(Neighbour::start(n, Way::Good).await),
            There::Refused => None,
        };
        let address = neighbour.as_ref().map_or_else(Sink::nowhere, |n| n.address);
        let mut row = CommunityConfig { budget_ms: 1_000, results: 10, ..community(n, address) };
        if matches!(cell.there, There::Plain) {
            for url in [&mut row.endpoint.iti38, &mut row.endpoint.iti39] {
                *url = url.as_ref().map(|u| u.replace("http:", "https:"));
            }
            row.server_ca = vec![ca()];
        }
        // A machine with much to do may be late for others; who hangs is late for sure.
        if !matches!(cell.there, There::Does(Way::Hang | Way::Drip)) {
            row.budget_ms = 30_000;
        }
        rows.push(row);
        neighbours.push(neighbour);
    }
    let gateway = ours_with(rows, |c| c.gateway.deadline_ms = 50_000).await;
    (gateway, neighbours)
}

/// An authority that vouches for nobody here.
fn ca() -> std::path::PathBuf {
    static PKI: std::sync::OnceLock<crate::support::tls::Pki> = std::sync::OnceLock::new();
    PKI.get_or_init(crate::support::tls::Pki::new).path("ca")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries() {
    let mut cells = common();
    cells.push(cell("none", There::Does(Way::Nothing), Success, &[], 0, None));
    cells.push(cell("partial", There::Does(Way::Partial), PartialSuccess, &["XDSRegistryError"], 1, None));
    cells.push(cell(
        "no home",
        There::Does(Way::NoHome),
        PartialSuccess,
        &["XDSMissingHomeCommunityId"],
        1,
        None,
    ));
    cells.push(fails("too many", There::Does(Way::Many(11)), Step::BadAnswer));
    let (gateway, _neighbours) = table(&cells).await;
    for (n, cell) in (2..).zip(&cells) {
        let answer = gateway.ask_all(&at_home(n, find_documents(PATIENT))).await;
        let (status, errors) = answer.registry();
        let wanted: Vec<_> = cell.codes.iter().map(|code| ((*code).to_owned(), home(n))).collect();
        assert_eq!((status, errors), (cell.status, wanted), "{}", cell.name);
        assert_eq!(answer.entries().len(), cell.things, "{}", cell.name);
        assert!(
            !answer.envelope.contains("山本"),
            "{}: what the other side wrote is not passed on",
            cell.name
        );
        assert_eq!(gateway.failed_at(n), cell.step, "{}", cell.name);
    }
    // All of them at once, and our own registry.
    gateway.soap().register(&submission()).await.assert_success();
    let answer = gateway.ask_all(&find_documents(PATIENT)).await;
    let (status, errors) = answer.registry();
    assert_eq!(status, PartialSuccess);
    let wanted: Vec<_> = (2..)
        .zip(&cells)
        .flat_map(|(n, cell)| cell.codes.iter().map(move |code| ((*code).to_owned(), home(n))))
        .collect();
    assert_eq!(errors, wanted, "one for each community that failed");
    assert_eq!(answer.entries().len(), 1 + cells.iter().map(|c| c.things).sum::<usize>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retrievals() {
    let mut cells = common();
    cells.push(fails("no home", There::Does(Way::NoHome), Step::BadAnswer));
    cells.push(fails("unasked", There::Does(Way::Unasked), Step::BadAnswer));
    cells.push(cell("inline", There::Does(Way::Inline), Success, &[], 1, None));
    let (gateway, _neighbours) = table(&cells).await;
    for (n, cell) in (2..).zip(&cells) {
        let id = new_oid();
        let answer = gateway.fetch(&[of(n, "2.999.392.77.3", &id)]).await;
        let (status, errors) = answer.registry();
        let wanted: Vec<_> = cell.codes.iter().map(|code| ((*code).to_owned(), home(n))).collect();
        assert_eq!((status, errors), (cell.status, wanted), "{}", cell.name);
        let documents = match cell.things {
            0 => vec![],
            _ => vec![(id.clone(), content(&id).into())],
        };
        assert_eq!(answer.documents(), documents, "{}", cell.name);
        assert_eq!(gateway.failed_at(n), cell.step, "{}", cell.name);
    }
}

/// "none" and "partial" of a retrieval are about documents, not about the community.
#[tokio::test]
async fn documents_that_are_not_there() {
    let neighbour = Neighbour::start(2, Way::Nothing).await;
    let gateway = ours(vec![community(2, neighbour.address)]).await;
    let ids = [new_oid(), new_oid()];
    let both: Vec<_> = ids.iter().map(|id| of(2, "2.999.392.77.3", id)).collect();
    let missing = |id: &String| ("XDSDocumentUniqueIdError".to_owned(), id.clone());
    let (status, errors) = gateway.fetch(&both).await.registry();
    assert_eq!((status, errors), (Failure, ids.iter().map(missing).collect()));
    neighbour.answer(Way::Partial);
    let answer = gateway.fetch(&both).await;
    assert_eq!(answer.registry(), (PartialSuccess, vec![missing(&ids[1])]));
    assert_eq!(answer.documents(), [(ids[0].clone(), content(&ids[0]).into())]);
    assert_eq!(gateway.failed_at(2), None);
}

/// One of fifty hangs, another resets, a third drips: the others' results are there at the deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_of_fifty() {
    let ways = |n| match n {
        10 => Way::Hang,
        20 => Way::Reset,
        30 => Way::Drip,
        _ => Way::Good,
    };
    let (mut neighbours, mut rows) = (vec![], vec![]);
    for n in 2..52 {
        let neighbour = Neighbour::start(n, ways(n)).await;
        rows.push(CommunityConfig {
            budget_ms: 45_000,
            breaker_failures: 1000,
            ..community(n, neighbour.address)
        });
        neighbours.push(neighbour);
    }
    let deadline = Duration::from_millis(5_000);
    let gateway = ours_with(rows, |c| c.gateway.deadline_ms = 5_000).await;
    let ask = find_documents(PATIENT);
    let mut latest = Duration::ZERO;
    for _ in 0..2 {
        let begun = std::time::Instant::now();
        let answer = gateway.ask_all(&ask).await;
        let took = begun.elapsed();
        let (status, errors) = answer.registry();
        let away = |n| (UNAVAILABLE.to_owned(), home(n));
        assert_eq!((status, errors), (PartialSuccess, vec![away(10), away(20), away(30)]));
        assert_eq!(answer.entries().len(), 47);
        assert!(took >= deadline, "{took:?}");
        latest = latest.max(took - deadline);
    }
    println!("the answer came {latest:?} after the deadline");
    // Nothing stays behind.
    for n in [10, 20, 30] {
        assert_eq!(gateway.standing(n).under_way, 0);
    }
}
