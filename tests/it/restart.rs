//! Death without warning: the program is killed under load, again and again on the same data, and after each restart
//! every acknowledged submission is whole, every other is whole or absent, and nothing is left lying about.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chiren::app::Rooms;
use chiren::config::UnknownPatients;
use chiren::model::audit::Outcome;
use chiren::model::metadata::MetadataObject;
use chiren::model::transaction::Transaction;
use chiren::server::clock::Clock;
use chiren::synthetic::SplitMix64;
use tokio::sync::Notify;

use crate::support::process::{Process, write_config};
use crate::support::raw::{connect, post};
use crate::support::samples::{REPOSITORY, find_documents, get_all, of_patient, submission};
use crate::support::soap::{envelope, include, mtom, provide_and_register};
use crate::support::{Soap, gateway};

const ROUNDS: u64 = 20;
const SUBMISSIONS: usize = 200;
const CONNECTIONS: usize = 48;
const BYTES: usize = 20 * 1024;

/// One submission: what it said, and whether the gateway said it has it.
struct Sent {
    set: String,
    document: String,
    bytes: Vec<u8>,
    acknowledged: bool,
}

fn patient(round: u64) -> String {
    format!("K{round}^^^&2.999.392.1.2&ISO")
}

/// A submission with one document of random octets, and its request.
fn prepare(round: u64, random: &mut SplitMix64) -> (Sent, Vec<u8>) {
    let s = of_patient(
        {
            let mut s = submission();
            s.document_entries[0].hash = None;
            s.document_entries[0].size = None;
            s
        },
        &patient(round),
    );
    let bytes: Vec<u8> = (0..BYTES / 8).flat_map(|_| random.next_u64().to_le_bytes()).collect();
    let row = Transaction::Iti41.row();
    let body = provide_and_register(&s, &include("DE", "doc@test"));
    let (content_type, message) = mtom(&envelope(row.request_action, &body), &[("doc@test", &bytes)]);
    let sent = Sent {
        set: s.submission_set.unique_id.clone(),
        document: s.document_entries[0].unique_id.clone(),
        bytes,
        acknowledged: false,
    };
    (sent, post(row.path, &content_type, &message))
}

/// Sends everything over several connections; kills the process once `deadly` answers have come.
async fn submit_and_kill(process: Process, requests: Vec<(Sent, Vec<u8>)>, deadly: usize) -> Vec<Sent> {
    let address = process.address;
    let next = Arc::new(AtomicUsize::new(0));
    let answered = Arc::new(AtomicUsize::new(0));
    let kill = Arc::new(Notify::new());
    let (sent, requests): (Vec<Sent>, Vec<Vec<u8>>) = requests.into_iter().unzip();
    let requests = Arc::new(requests);
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (next, answered, kill) = (next.clone(), answered.clone(), kill.clone());
            let requests = requests.clone();
            tokio::spawn(async move {
                let mut acknowledged = vec![];
                let mut connection = connect(address).await;
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let Some(request) = requests.get(n) else { return acknowledged };
                    if deadly == 0 {
                        kill.notify_one();
                    }
                    let Some(answer) = connection.exchange(request).await else { return acknowledged };
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    assert!(answer.text().contains("ResponseStatusType:Success"), "{}", answer.text());
                    acknowledged.push(n);
                    if answered.fetch_add(1, Ordering::Relaxed) + 1 == deadly {
                        kill.notify_one();
                    }
                }
            })
        })
        .collect();
    kill.notified().await;
    process.kill();
    let mut sent = sent;
    for client in clients {
        for n in client.await.expect("a client") {
            sent[n].acknowledged = true;
        }
    }
    sent
}

/// Everything of one round, as a client finds it. Returns how many submissions are there.
async fn verify(soap: &Soap, round: u64, sent: &[Sent]) -> usize {
    let objects = soap.query(&get_all(&patient(round))).await.objects();
    let mut sets = BTreeMap::new();
    let mut documents = BTreeMap::new();
    let mut members = vec![];
    for object in objects {
        match object {
            MetadataObject::SubmissionSet(s) => {
                let twice = sets.insert(s.unique_id.clone(), s.entry_uuid.clone());
                assert_eq!(twice, None, "round {round}: submission set {} stands twice", s.unique_id);
            }
            MetadataObject::DocumentEntry(d) => {
                let size = d.size.clone().expect("a size");
                let twice = documents.insert(d.unique_id.clone(), (d.entry_uuid.clone(), size));
                assert_eq!(twice, None, "round {round}: document {} stands twice", d.unique_id);
            }
            MetadataObject::Association(a) => {
                members.push((a.source_object.clone(), a.target_object.clone()))
            }
            MetadataObject::Folder(f) => panic!("round {round}: nobody sent folder {}", f.unique_id),
        }
    }
    let approved: HashSet<String> = soap
        .query(&find_documents(&patient(round)))
        .await
        .entries()
        .into_iter()
        .map(|d| d.unique_id)
        .collect();
    let mut stored: Vec<&Sent> = vec![];
    for s in sent {
        let (set, document) = (sets.get(&s.set), documents.get(&s.document));
        match (set, document) {
            (None, None) => {
                assert!(!s.acknowledged, "round {round}: acknowledged submission {} is lost", s.set)
            }
            (Some(set), Some((entry, size))) => {
                let links = members.iter().filter(|(from, to)| from == set && to == entry).count();
                assert_eq!(links, 1, "round {round}: associations of {}", s.set);
                assert_eq!(size, &s.bytes.len().to_string());
                assert!(approved.contains(&s.document), "round {round}: FindDocuments misses {}", s.document);
                stored.push(s);
            }
            halves => panic!("round {round}: half of submission {} is there: {halves:?}", s.set),
        }
    }
    assert_eq!((sets.len(), documents.len(), members.len()), (stored.len(), stored.len(), stored.len()));
    for some in stored.chunks(100) {
        let ids: Vec<&str> = some.iter().map(|s| s.document.as_str()).collect();
        let found: BTreeMap<String, _> =
            soap.retrieve(REPOSITORY, &ids).await.documents().into_iter().collect();
        for s in some {
            let same = found.get(&s.document).is_some_and(|bytes| bytes[..] == s.bytes[..]);
            assert!(same, "round {round}: document {} is not the one sent", s.document);
        }
    }
    stored.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_is_half_there() {
    let seed = std::env::var("CHAOS_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| {
        u64::from_le_bytes(uuid::Uuid::new_v4().into_bytes()[..8].try_into().expect("eight bytes"))
    });
    println!("CHAOS_SEED={seed} repeats this run's choices");
    let mut random = SplitMix64::new(seed);
    let dir = tempfile::tempdir().unwrap();
    let mut config = gateway::config(&dir).await;
    config.registry.unknown_patients = UnknownPatients::Accept;
    config.repository.sweep_interval_minutes = 1;
    let file = write_config(dir.path(), &config);

    let mut rounds: Vec<Vec<Sent>> = vec![];
    let mut process = Process::start(&file, &[]);
    let (mut acknowledged, mut found) = (0, 0);
    for round in 0..ROUNDS {
        let requests = (0..SUBMISSIONS).map(|_| prepare(round, &mut random)).collect();
        // Anywhere from the first byte to almost the last answer.
        let deadly = usize::try_from(random.below(SUBMISSIONS as u64 - 1)).unwrap();
        let sent = submit_and_kill(process, requests, deadly).await;
        process = Process::start(&file, &[]);
        found += verify(&Soap::new(process.address), round, &sent).await;
        acknowledged += sent.iter().filter(|s| s.acknowledged).count();
        rounds.push(sent);
    }
    assert!(acknowledged > 0);
    // What an early round stored outlived every later death.
    let mut again = 0;
    for (round, sent) in (0..).zip(&rounds) {
        again += verify(&Soap::new(process.address), round, sent).await;
    }
    assert_eq!(again, found);
    let (status, log) = process.stop();
    assert!(status.success(), "{log:#?}");
    println!("{acknowledged} acknowledged, {found} stored of {}", ROUNDS as usize * SUBMISSIONS);

    let rooms = Rooms::open(&config, &Clock::System).await.unwrap();
    let recorded: Vec<String> = rooms
        .audit
        .since(0, 1_000_000)
        .await
        .unwrap()
        .into_iter()
        .filter(|e| e.transaction == "ITI-41" && e.outcome == Outcome::Success)
        .filter_map(|e| e.submission_set)
        .collect();
    let distinct: HashSet<&String> = recorded.iter().collect();
    assert_eq!(distinct.len(), recorded.len(), "a submission is recorded twice");
    for s in rounds.iter().flatten().filter(|s| s.acknowledged) {
        assert!(distinct.contains(&s.set), "acknowledged submission {} has no audit record", s.set);
    }
    // Stored and recorded is one commit.
    assert_eq!(recorded.len(), found);

    let files = |name: &str| gateway::count(&config.repository.documents.join(name));
    println!("before the sweep: {} objects, {} spool files", files("objects"), files("spool"));
    let later = std::time::SystemTime::now() + Duration::from_secs(3600);
    rooms.repository.as_ref().unwrap().sweep(later, Duration::ZERO).await.unwrap();
    assert_eq!((files("objects"), files("spool")), (found, 0), "orphans outlive the sweep");
    rooms.db.close().await;
}
