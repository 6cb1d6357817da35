//! Full: no room on the documents' disk, no place in the queue of writes. What is refused leaves nothing, and what
//! was there stays.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chiren::model::audit::Outcome;
use chiren::model::metadata::Submission;
use chiren::store::db::DbError;
use chiren::wire::ebxml::response::ResponseStatus;

use crate::support::process::{Process, write_config};
use crate::support::samples::{PATIENT, REPOSITORY, document_entry, find_documents, original, submission};
use crate::support::{Gateway, Soap};

/// A submission of documents `DE`, `DE2` …, whose bytes only the repository knows.
fn of_documents(count: usize) -> Submission {
    let mut s = submission();
    for n in 2..=count {
        s.document_entries.push(document_entry(&format!("DE{n}")));
        s.associations.push(original(&format!("A-DE{n}"), &format!("DE{n}")));
    }
    for e in &mut s.document_entries {
        (e.hash, e.size) = (None, None);
    }
    s
}

/// What is registered and stored of submissions that were refused: nothing.
async fn nothing_of(gateway: &Gateway, refused: &[&Submission]) {
    let found = gateway.soap().query(&find_documents(PATIENT)).await.entries();
    for entry in refused.iter().flat_map(|s| &s.document_entries) {
        assert!(found.iter().all(|e| e.unique_id != entry.unique_id), "{} is registered", entry.unique_id);
        let answer = gateway.soap().retrieve(REPOSITORY, &[&entry.unique_id]).await;
        answer.assert_failure(&["XDSDocumentUniqueIdError"]);
    }
}

/// No file may grow beyond 62 KiB: enough for SQLite to open its database and to record a refusal, too little for
/// the documents. PostgreSQL has its files elsewhere.
const BLOCKS: u32 = 124;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_room_for_documents() {
    let first = Gateway::start().await;
    first.soap().provide(&of_documents(1), &[("DE", b"before")]).await.assert_success();
    let (dir, config) = first.stop().await;

    let process = Process::start_limited(&write_config(dir.path(), &config), BLOCKS);
    let soap = Soap::new(process.address);
    // Up to 64 KiB documents wait in memory and meet the disk when all have come; one of these two fits.
    let (short, long, longer) = (vec![1; 1000], vec![2; 65_000], vec![3; 200_000]);
    let at_commit = of_documents(2);
    let answer = soap.provide(&at_commit, &[("DE", &short), ("DE2", &long)]).await;
    answer.assert_failure(&["XDSRepositoryOutOfResources"]);
    // Longer ones meet it while they come, before it is known what for.
    let in_spool = of_documents(1);
    let answer = soap.provide(&in_spool, &[("DE", &longer)]).await;
    assert_eq!((answer.status.as_u16(), &*answer.fault().0), (503, "soap:Receiver"), "{}", answer.envelope);
    process.wait_for("no room left");
    process.kill();

    let gateway = Gateway::start_in(dir, config).await;
    nothing_of(&gateway, &[&at_commit, &in_spool]).await;
    let refusals: Vec<_> = gateway
        .audit()
        .await
        .into_iter()
        .filter(|r| r.transaction == "ITI-41" && r.errors == ["no room"])
        .collect();
    assert_eq!(refusals.len(), 1);
    assert_eq!(refusals[0].outcome, Outcome::SeriousFailure);
    // The one that fitted is nobody's.
    let repository = gateway.rooms().repository.clone().unwrap();
    let later = std::time::SystemTime::now() + Duration::from_secs(3600);
    repository.sweep(later, Duration::ZERO).await.unwrap();
    assert_eq!(gateway.files(), (1, 0));

    // With room, the same messages go through.
    gateway.soap().provide(&at_commit, &[("DE", &short), ("DE2", &long)]).await.assert_success();
    gateway.soap().provide(&in_spool, &[("DE", &longer)]).await.assert_success();
    assert_eq!(gateway.files(), (4, 0));
}

/// Holds the writer of SQLite until told to go on.
struct Held {
    go: std::sync::mpsc::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Held {
    async fn hold(gateway: &Gateway) -> Self {
        let (go, gate) = std::sync::mpsc::channel();
        let (reached, is_held) = tokio::sync::oneshot::channel();
        let gate = Arc::new((Mutex::new(gate), Mutex::new(Some(reached))));
        let db = gateway.rooms().db.clone();
        let task = tokio::spawn(async move {
            loop {
                let gate = gate.clone();
                let held = db.write(move |_| {
                    if let Some(reached) = gate.1.lock().unwrap().take() {
                        reached.send(()).unwrap();
                    }
                    let _ = gate.0.lock().unwrap().recv();
                    Box::pin(async { Ok::<(), DbError>(()) })
                });
                match held.await {
                    // The gateway's upkeep was quicker.
                    Err(DbError::Busy(_)) => tokio::task::yield_now().await,
                    done => return done.unwrap(),
                }
            }
        });
        is_held.await.expect("the writer is reached");
        Self { go, task }
    }

    async fn let_go(self) {
        self.go.send(()).unwrap();
        self.task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_place_in_the_queue_of_writes() {
    let gateway = Gateway::start_with(|c| c.database.write_queue = 1).await;
    if gateway.config.database.url.starts_with("postgres") {
        // Nothing queues here on PostgreSQL; waiting for one of its connections is in `errors`.
        eprintln!("skipped: the queue of writes is SQLite's");
        return;
    }
    // The first sweep writes too: its lease taken and looked after, the lease given back; and the patient.
    while gateway.rooms().db.status().writes < 4 {
        tokio::task::yield_now().await;
    }
    // The gateway's own upkeep writes now and then. When the one place is just taken by that, the submission which is
    // to wait in it is told so like the others, and it all begins again.
    while !filled(&gateway).await {}
}

/// Whether a submission waited in the queue of writes, which was full for everybody else.
async fn filled(gateway: &Gateway) -> bool {
    let held = Held::hold(gateway).await;
    let waiting = {
        let (soap, s) = (gateway.soap(), of_documents(1));
        tokio::spawn(async move { (soap.provide(&s, &[("DE", b"waits")]).await, s) })
    };
    while gateway.rooms().db.status().queued < 1 {
        assert!(!waiting.is_finished());
        tokio::task::yield_now().await;
    }
    let refused = submission();
    gateway.soap().register(&refused).await.assert_failure(&["XDSRegistryBusy"]);
    let not_stored = of_documents(1);
    gateway
        .soap()
        .provide(&not_stored, &[("DE", b"comes in vain")])
        .await
        .assert_failure(&["XDSRepositoryBusy"]);
    // Nothing is shown without a record of it, and that would have to wait too.
    let answer = gateway.soap().query(&find_documents(PATIENT)).await;
    assert_eq!((answer.status.as_u16(), &*answer.fault().0), (503, "soap:Receiver"));
    held.let_go().await;

    let (answer, waited) = waiting.await.unwrap();
    nothing_of(gateway, &[&refused, &not_stored]).await;
    if answer.registry().0 == ResponseStatus::Failure {
        answer.assert_failure(&["XDSRepositoryBusy"]);
        nothing_of(gateway, &[&waited]).await;
        return false;
    }
    answer.assert_success();
    let found = gateway.soap().query(&find_documents(PATIENT)).await.entries();
    let ids: Vec<&str> = found.iter().map(|e| &*e.unique_id).collect();
    assert_eq!(ids, [&*waited.document_entries[0].unique_id]);
    // The same messages, later.
    gateway.soap().register(&refused).await.assert_success();
    gateway.soap().provide(&not_stored, &[("DE", b"comes in vain")]).await.assert_success();
    true
}
