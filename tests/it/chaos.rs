//! Death without warning. Clients publish, replace, update, deprecate and remove, documents too; at a moment chosen at random the
//! program is killed, again and again on the same data. After each death everything acknowledged is there in the
//! state that was acknowledged, everything else is whole or absent, and at the end each change is audited exactly
//! once, the chains of the history verify, and a sweep leaves no orphans. Where a PostgreSQL of our own can be
//! started, it too is killed, under a gateway that must go on by itself.
//!
//!     CHAOS_ROUNDS=1000 cargo test --test it chaos -- --nocapture
//!
//! `CHAOS_SEED` repeats a run's choices; `CHAOS_LOG=FILE` keeps a line of figures every fifty rounds;
//! `CHAOS_MINUTES` ends a run early, its last checks included in what it says;
//! `CHAOS_POSTGRES_DIR` is where a PostgreSQL of our own lies, if not in /tmp.

mod acts;
mod import;
mod model;
mod mpi;

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chiren::app::Rooms;
use chiren::config::{Config, UnknownPatients};
use chiren::model::audit::{AuditEvent, Outcome};
use chiren::model::metadata::MetadataObject;
use chiren::model::transaction::Transaction;
use chiren::server::clock::Clock;
use chiren::synthetic::SplitMix64;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::support::gateway;
use crate::support::postgres::Server;
use crate::support::process::{Process, run, write_config};
use crate::support::raw::{Raw, RawAnswer, connect, post};
use crate::support::samples::{REPOSITORY, get_all};
use crate::support::soap::{Answer, SIMPLE, adhoc_query, envelope, mtom, retrieve_documents};
use crate::support::updates::everything;
use model::{Desk, Told};

/// Clients at once, each with a patient of its own.
const CLIENTS: usize = 8;
/// Rounds after which clients turn to new patients, so that each stays small enough to be looked at whole.
const EPOCH: usize = 10;
/// Answers in a round after which the program is killed, at most.
const DEADLY: u64 = 50;
/// Rounds between figures.
const REPORT: usize = 50;

/// Who dies in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Gateway,
    Database,
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Where a run's choices begin.
fn seed() -> u64 {
    number("CHAOS_SEED").unwrap_or_else(|| {
        u64::from_le_bytes(uuid::Uuid::new_v4().into_bytes()[..8].try_into().expect("eight bytes"))
    })
}

/// Keeps a line of figures in `CHAOS_LOG`.
fn keep(line: &str) {
    if let Some(path) = std::env::var_os("CHAOS_LOG") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        writeln!(file.expect("CHAOS_LOG"), "{line}").expect("CHAOS_LOG");
    }
}

/// What was done, in figures.
#[derive(Default)]
struct Tally {
    acknowledged: usize,
    refused: usize,
    open: usize,
    /// Of the open ones, those that were done all the same.
    done_unheard: usize,
    database_deaths: usize,
    by_transaction: BTreeMap<&'static str, usize>,
}

/// A gateway's data and everything its clients know.
struct World {
    name: &'static str,
    file: std::path::PathBuf,
    config: Config,
    server: Option<Server>,
    process: Process,
    desks: Vec<Desk>,
    /// Those of earlier epochs.
    past: Vec<Desk>,
    random: SplitMix64,
    tally: Tally,
    begun: Instant,
}

impl World {
    fn new(name: &'static str, dir: &Path, mut config: Config, server: Option<Server>, seed: u64) -> Self {
        config.registry.unknown_patients = UnknownPatients::Accept;
        config.repository.sweep_interval_minutes = 1;
        config.audit.queries = false;
        config.database.max_connections = 8;
        let file = write_config(dir, &config);
        let process = Process::start(&file, &[]);
        println!("{name}: CHAOS_SEED={seed} repeats this run's choices");
        let (random, begun) = (SplitMix64::new(seed), Instant::now());
        let (desks, past, tally) = (vec![], vec![], Tally::default());
        Self { name, file, config, server, process, desks, past, random, tally, begun }
    }

    async fn round(&mut self, round: usize) {
        if round.is_multiple_of(EPOCH) {
            self.past.append(&mut self.desks);
            let epoch = round / EPOCH;
            let patient = |client| format!("K{epoch}.{client}^^^&2.999.392.1.2&ISO");
            self.desks = (0..CLIENTS).map(|client| Desk::of(patient(client))).collect();
        }
        let victim = match &self.server {
            Some(_) if round % 5 == 1 => Victim::Database,
            _ => Victim::Gateway,
        };
        self.tally.database_deaths += usize::from(victim == Victim::Database);
        self.work_until(victim).await;
        if victim == Victim::Gateway {
            self.process = Process::start(&self.file, &[]);
        }
        self.look(round).await;
    }

    /// Lets the clients work until one has died.
    async fn work_until(&mut self, victim: Victim) {
        let address = self.process.address;
        let deadly = self.random.below(DEADLY) as usize;
        // Not always in the instant after an answer: a commit takes about so long.
        let later = Duration::from_micros(self.random.below(20_000));
        let (answered, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let kill = Arc::new(Notify::new());
        // All are connected before the first of them may bring death about.
        let mut connections = vec![];
        for _ in &self.desks {
            connections.push(connect(address).await);
        }
        let mut clients = vec![];
        for (mut desk, mut connection) in self.desks.drain(..).zip(connections) {
            let (answered, stop, kill) = (answered.clone(), stop.clone(), kill.clone());
            let mut random = SplitMix64::new(self.random.next_u64());
            clients.push(tokio::spawn(async move {
                let mut refused = 0;
                while !stop.load(Ordering::Acquire) {
                    let deed = acts::next(&desk, &mut random);
                    if deadly == 0 {
                        kill.notify_one();
                    }
                    let told = match connection.exchange(&deed.request).await {
                        None => Told::Nothing,
                        Some(answer) => understood(&answer, deed.transaction, victim),
                    };
                    refused += usize::from(told == Told::NotDone);
                    desk.hear(deed, told);
                    if answered.fetch_add(1, Ordering::AcqRel) + 1 == deadly {
                        kill.notify_one();
                    }
                    // What became of an open deed is looked up before another.
                    if told == Told::Nothing {
                        break;
                    }
                }
                (desk, refused)
            }));
        }
        kill.notified().await;
        tokio::time::sleep(later).await;
        match victim {
            Victim::Gateway => self.process.kill_now(),
            Victim::Database => {
                if let Some(server) = &self.server {
                    server.kill();
                }
            }
        }
        stop.store(true, Ordering::Release);
        if let (Victim::Database, Some(server)) = (victim, &self.server) {
            server.up();
        }
        for client in clients {
            let (desk, refused) = client.await.expect("a client");
            self.tally.refused += refused;
            self.desks.push(desk);
        }
    }

    /// Everything of the present patients, as a client finds it.
    async fn look(&mut self, round: usize) {
        let mut looker = Looker::at(&self.process).await;
        for desk in &mut self.desks {
            let open = desk.open.as_ref().map(|deed| deed.mark.clone());
            let kept = looker.keeps_what_is_open(desk).await;
            desk.compare(looker.everything_of(&desk.patient).await, kept, round);
            self.tally.acknowledged += std::mem::take(&mut desk.acknowledged);
            if let Some(mark) = open {
                self.tally.open += 1;
                self.tally.done_unheard += usize::from(desk.done.contains_key(&mark));
            }
            let fresh = std::mem::take(&mut desk.fresh);
            looker.documents(desk, fresh, round).await;
        }
    }

    fn figures(&self, rounds: usize) -> String {
        let Tally { acknowledged, refused, open, done_unheard, database_deaths, by_transaction } =
            &self.tally;
        let done: Vec<String> = by_transaction.iter().map(|(code, n)| format!("{code} {n}")).collect();
        format!(
            "{}: {rounds} deaths ({database_deaths} of the database) in {} s; {acknowledged} acknowledged, lost 0; \
             {refused} refused as busy; {open} unanswered, of them {done_unheard} done whole; {}",
            self.name,
            self.begun.elapsed().as_secs(),
            done.join(", ")
        )
    }

    fn report(&self, rounds: usize) {
        let line = self.figures(rounds);
        println!("{line}");
        keep(&line);
    }

    /// Every patient once more, then the audit trail, the chains, the documents and the leftovers.
    async fn end(mut self, rounds: usize) {
        self.past.append(&mut self.desks);
        let mut looker = Looker::at(&self.process).await;
        for desk in &mut self.past {
            desk.compare(looker.everything_of(&desk.patient).await, true, rounds);
            looker.no_documents(&desk.gone).await;
            let all = desk.documents.keys().cloned().collect();
            looker.documents(desk, all, rounds).await;
        }
        self.process.signal("TERM");
        let (status, log) = self.process.ended();
        assert!(status.success(), "{log:#?}");

        let rooms = Rooms::open(&self.config, &Clock::System).await.unwrap();
        let mut recorded: HashMap<String, usize> = HashMap::new();
        for event in rooms.audit.since(0, i64::MAX).await.unwrap() {
            if event.outcome == Outcome::Success
                && let Some(mark) = mark_of(event)
            {
                *recorded.entry(mark).or_default() += 1;
            }
        }
        let mut done = 0;
        for (mark, transaction) in self.past.iter().flat_map(|desk| &desk.done) {
            assert_eq!(recorded.get(mark), Some(&1), "audit records of {} {mark}", transaction.code());
            *self.tally.by_transaction.entry(transaction.code()).or_default() += 1;
            done += 1;
        }
        assert_eq!(recorded.len(), done, "a change is recorded that nobody can see");

        let files = |name: &str| gateway::count(&self.config.repository.documents.join(name));
        println!("before the sweep: {} objects, {} spool files", files("objects"), files("spool"));
        let later = std::time::SystemTime::now() + Duration::from_secs(3600);
        rooms.repository.as_ref().unwrap().sweep(later, Duration::ZERO).await.unwrap();
        let kept: usize = self.past.iter().map(|desk| desk.documents.len()).sum();
        assert_eq!((files("objects"), files("spool")), (kept, 0), "orphans outlive the sweep");
        rooms.db.close().await;

        let verified = run(&["verify", "--config", self.file.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&verified.stdout).into_owned();
        assert_eq!(verified.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&verified.stderr));
        print!("{said}");
        assert!(self.tally.acknowledged > 0);
        self.report(rounds);
    }
}

/// What a change is known by; a retrieval is none.
fn mark_of(event: AuditEvent) -> Option<String> {
    let removed = event.documents.into_iter().next().filter(|_| event.transaction == "ITI-86");
    event.submission_set.or(event.objects.into_iter().next()).or(removed)
}

/// What an answer promises. A gateway that dies says yes or nothing; one whose database dies may also say that
/// nothing was changed, or that it does not know.
fn understood(answer: &RawAnswer, transaction: Transaction, victim: Victim) -> Told {
    let text = answer.text();
    if answer.status == 200 && text.contains("ResponseStatusType:Success") {
        return Told::Done;
    }
    let what = transaction.code();
    assert_eq!(victim, Victim::Database, "{what}: {} {text}", answer.status);
    if text.contains("must be looked up") {
        assert!(text.contains("XDSRegistryError") || text.contains("XDSRepositoryError"), "{what}: {text}");
        return Told::Nothing;
    }
    let busy = text.contains("XDSRegistryBusy") || text.contains("XDSRepositoryBusy");
    assert!(busy && text.contains("nothing was changed"), "{what}: {} {text}", answer.status);
    assert!(answer.headers.contains_key(http::header::RETRY_AFTER), "{what}: {:?}", answer.headers);
    Told::NotDone
}

/// One client that looks at what is there.
struct Looker<'p> {
    process: &'p Process,
    connection: Raw<TcpStream>,
}

impl<'p> Looker<'p> {
    async fn at(process: &'p Process) -> Self {
        Self { process, connection: connect(process.address).await }
    }

    async fn ask(&mut self, request: &[u8]) -> Answer {
        if let Some(answer) = self.connection.exchange(request).await {
            return Answer::unjudged(answer.status, answer.headers, answer.body);
        }
        // A machine with too much to do may let a connection grow old; a program that is gone is not found again.
        let log = self.process.log();
        println!("a connection ended; {:#?}", log.iter().rev().take(4).collect::<Vec<_>>());
        self.connection = connect(self.process.address).await;
        let answer = self.connection.exchange(request).await;
        let answer = answer.unwrap_or_else(|| panic!("no answer: {:#?}", self.process.log()));
        Answer::unjudged(answer.status, answer.headers, answer.body)
    }

    /// Everything the registry has of a patient, old versions too.
    async fn everything_of(&mut self, patient: &str) -> Vec<MetadataObject> {
        let row = Transaction::Iti18.row();
        let message = envelope(row.request_action, &adhoc_query(&everything(get_all(patient))));
        self.ask(&post(row.path, SIMPLE, message.as_bytes())).await.objects()
    }

    async fn retrieve(&mut self, ids: &[String]) -> HashMap<String, Bytes> {
        let row = Transaction::Iti43.row();
        let message = envelope(row.request_action, &retrieve_documents(REPOSITORY, ids));
        let (content_type, message) = mtom(&message, &[]);
        let answer = self.ask(&post(row.path, &content_type, &message)).await;
        answer.documents().into_iter().collect()
    }

    /// Whether the document is still there that the deed under way would remove.
    async fn keeps_what_is_open(&mut self, desk: &Desk) -> bool {
        match desk.open.as_ref().and_then(|deed| deed.removes.clone()) {
            Some(id) => self.retrieve(&[id]).await.len() == 1,
            None => true,
        }
    }

    /// Nothing brings these documents back.
    async fn no_documents(&mut self, ids: &[String]) {
        for some in ids.chunks(100) {
            assert!(self.retrieve(some).await.is_empty(), "a document is back");
        }
    }

    /// These documents can be retrieved, octet for octet.
    async fn documents(&mut self, desk: &Desk, ids: Vec<String>, round: usize) {
        for some in ids.chunks(100) {
            let found = self.retrieve(some).await;
            for id in some {
                let same = found.get(id).is_some_and(|bytes| bytes[..] == desk.documents[id].bytes()[..]);
                assert!(same, "round {round}: document {id} of {} is not the one sent", desk.patient);
            }
        }
    }
}

async fn go(name: &'static str, server: Option<Server>, rounds: usize) {
    let seed = seed();
    let dir = tempfile::tempdir().unwrap();
    let mut config = gateway::config(&dir).await;
    if let Some(server) = &server {
        config.database.url = server.url();
    }
    let mut world = World::new(name, dir.path(), config, server, seed);
    let most = number("CHAOS_MINUTES").map_or(Duration::MAX, |minutes| Duration::from_secs(minutes * 60));
    let mut deaths = 0;
    while deaths < rounds && world.begun.elapsed() < most {
        world.round(deaths).await;
        deaths += 1;
        if deaths.is_multiple_of(REPORT) {
            world.report(deaths);
        }
    }
    world.end(deaths).await;
}

fn rounds(few: usize) -> usize {
    number("CHAOS_ROUNDS").map_or(few, |n| n as usize)
}

/// On SQLite, or on the PostgreSQL of `TEST_DATABASE_URL`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_is_killed() {
    let name = if std::env::var_os("TEST_DATABASE_URL").is_some() { "PostgreSQL" } else { "SQLite" };
    go(name, None, rounds(12)).await;
}

/// On a durable PostgreSQL of our own, which dies in one round of five.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_or_its_postgresql_is_killed() {
    let Some(server) = Server::start("fsync = on\nsynchronous_commit = on\n") else { return };
    go("PostgreSQL, killed too", Some(server), rounds(7)).await;
}

/// Every transaction that changes the registry is among what clients do, and death finds it under way.
#[test]
fn everything_that_changes_is_done() {
    let mut done: Vec<&str> = acts::ACTS.iter().map(|a| a.name.split(' ').next().unwrap()).collect();
    done.dedup();
    assert_eq!(done, ["ITI-41", "ITI-42", "ITI-41", "ITI-42", "ITI-57", "ITI-62", "ITI-86"]);
}
