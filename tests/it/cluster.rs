//! Several gateways over one database and one document folder behave as one. On PostgreSQL that is how a network runs
//! more than one machine. The same holds of processes on one machine that share a SQLite file, as a gateway and the
//! commands beside it do.

use std::net::SocketAddr;

use chiren::app::Running;
use chiren::config::{Config, Role, UnknownPatients};
use chiren::model::metadata::{AssociationType, AvailabilityStatus, Submission, Update};
use chiren::model::patient::Patient;
use chiren::server::clock::Clock;
use chiren::wire::ebxml::response::ResponseStatus;
use tokio::task::JoinSet;

use crate::support::process::{chiren, write_config};
use crate::support::raw::connect;
use crate::support::samples::*;
use crate::support::updates::{everything, next_entry, update};
use crate::support::{Answer, Gateway, Soap, gateway};

/// One gateway, and others beside it.
struct Cluster {
    first: Gateway,
    others: Vec<Running>,
}

impl Cluster {
    async fn of(count: usize) -> Self {
        Self::with(count, |_| {}).await
    }

    async fn with(count: usize, change: impl FnOnce(&mut Config)) -> Self {
        let first = Gateway::start_with(|c| {
            c.registry.as_of = true;
            change(c);
        })
        .await;
        let mut others = vec![];
        for n in 1..count {
            // Machines whose clocks do not agree: a minute apart each.
            let clock = Clock::at("2026-11-22T03:00:00Z".parse().expect("a time"));
            let apart = i64::try_from(n).expect("few") * if n % 2 == 0 { 60 } else { -60 };
            clock.advance(jiff::SignedDuration::from_secs(apart));
            others.push(Running::start(&first.config, clock, None).await.expect("another starts"));
        }
        Self { first, others }
    }

    fn addresses(&self, role: Role) -> Vec<SocketAddr> {
        let listening = [self.first.running.as_ref().expect("running")].into_iter().chain(&self.others);
        listening.map(|r| r.listening.address(role).expect("a listener")).collect()
    }

    /// The gateway whose turn it is.
    fn soap(&self, turn: usize) -> Soap {
        let addresses = self.addresses(Role::Soap);
        Soap::new(addresses[turn % addresses.len()])
    }

    /// Every gateway's answer to a query, which must be one.
    async fn query(&self, request: &chiren::wire::ebxml::query::AdhocQueryRequest) -> Answer {
        let first = self.soap(0).query(request).await;
        for turn in 1..=self.others.len() {
            let other = self.soap(turn).query(request).await;
            assert_eq!(other.objects(), first.objects());
        }
        first
    }

    /// Chains and rows agree, and every gateway says the same of a moment.
    async fn end(self) {
        let mut said = vec![];
        for ops in self.addresses(Role::Ops) {
            let mut connection = connect(ops).await;
            let question = "GET /registry/as-of?time=2026-11-22T03:00:00Z&patient=1001%5E%5E%5E%262.999.392.1.2%26ISO\
                            &query=GetAll&%24XDSDocumentEntryStatus=Approved&%24XDSSubmissionSetStatus=Approved\
                            &%24XDSFolderStatus=Approved HTTP/1.1\r\nHost: localhost\r\n\r\n";
            let answer = connection.exchange(question.as_bytes()).await.expect("an answer");
            assert_eq!(answer.status, 200, "{}", answer.text());
            said.push(answer.text());
        }
        said.dedup();
        assert_eq!(said.len(), 1, "{said:#?}");
        // A history grows whatever the clocks say: an hour from now all of it is past.
        self.first.clock.advance(jiff::SignedDuration::from_hours(1));
        self.first.assert_verified().await;
        for running in self.others {
            assert_eq!(running.drain().await, 0);
        }
        self.first.stop().await;
    }
}

/// Sends all at once, the gateways in turn; how many were accepted, and the codes the others got.
async fn all_at_once<T: Send + 'static, F>(
    cluster: &Cluster,
    messages: Vec<T>,
    send: fn(Soap, T) -> F,
) -> (usize, Vec<String>)
where
    F: Future<Output = Answer> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for (turn, message) in messages.into_iter().enumerate() {
        let soap = cluster.soap(turn);
        tasks.spawn(async move { send(soap, message).await.registry() });
    }
    let (mut accepted, mut codes) = (0, vec![]);
    while let Some(done) = tasks.join_next().await {
        match done.expect("an answer") {
            (ResponseStatus::Success, _) => accepted += 1,
            (_, errors) => codes.extend(errors.into_iter().map(|(code, _)| code)),
        }
    }
    codes.sort_unstable();
    codes.dedup();
    (accepted, codes)
}

async fn register(soap: Soap, s: Submission) -> Answer {
    soap.register(&s).await
}

async fn provide(soap: Soap, s: Submission) -> Answer {
    soap.provide(&s, &[("DE", b"the same octets")]).await
}

async fn revise(soap: Soap, u: Update) -> Answer {
    soap.update(&u).await
}

fn bare() -> Submission {
    let mut s = submission();
    (s.document_entries[0].hash, s.document_entries[0].size) = (None, None);
    s
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_unique_is_unique_everywhere() {
    let cluster = Cluster::of(4).await;
    let unique_id = new_oid();
    let same_set = (0..16)
        .map(|_| {
            let mut s = submission();
            s.submission_set.unique_id.clone_from(&unique_id);
            s
        })
        .collect();
    let outcome = all_at_once(&cluster, same_set, register).await;
    assert_eq!(outcome, (1, vec!["XDSDuplicateUniqueIdInRegistry".to_owned()]));

    let unique_id = new_oid();
    let other_hash = (0..16)
        .map(|n| {
            let mut s = submission();
            s.document_entries[0].unique_id.clone_from(&unique_id);
            s.document_entries[0].hash = Some(format!("{n:040x}"));
            s
        })
        .collect();
    let outcome = all_at_once(&cluster, other_hash, register).await;
    assert_eq!(outcome, (1, vec!["XDSNonIdenticalHash".to_owned()]));

    // The same document may be registered again (ITI TF-2 3.42.4.1.3.3), and stored again.
    let again = new_oid();
    let same_bytes = (0..16)
        .map(|_| {
            let mut s = bare();
            s.document_entries[0].unique_id.clone_from(&again);
            s
        })
        .collect();
    assert_eq!(all_at_once(&cluster, same_bytes, provide).await, (16, vec![]));
    assert_eq!(cluster.first.files(), (1, 0));
    let entries = cluster.query(&find_documents(PATIENT)).await.entries();
    assert_eq!(entries.iter().filter(|e| e.unique_id == again).count(), 16);
    assert_eq!(entries.len(), 18);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_writers_of_one_document_have_one_winner() {
    for count in [2, 4] {
        let cluster = Cluster::of(count).await;
        cluster.soap(0).register(&submission_with_folder()).await.assert_success();
        let old = cluster.query(&find_documents(PATIENT)).await.entries().remove(0);
        let versions = (0..16)
            .map(|n| {
                let mut entry = old.clone();
                entry.title = text(&format!("第{n}版"));
                next_entry(update(), "NEW", &entry)
            })
            .collect();
        let outcome = all_at_once(&cluster, versions, revise).await;
        assert_eq!(outcome, (1, vec!["XDSMetadataVersionError".to_owned()]));
        let current = cluster.query(&find_documents(PATIENT)).await.entries().remove(0);
        assert_eq!(current.version, 2);

        let replacements = (0..16).map(|_| related(AssociationType::Replace, &current.entry_uuid)).collect();
        let outcome = all_at_once(&cluster, replacements, register).await;
        assert_eq!(outcome, (1, vec!["XDSRegistryDeprecatedDocumentError".to_owned()]));
        let entries = cluster.query(&get_all(PATIENT)).await.entries();
        let count = |status| entries.iter().filter(|e| e.availability_status == status).count();
        assert_eq!((count(AvailabilityStatus::Approved), count(AvailabilityStatus::Deprecated)), (1, 1));
        cluster.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_has_acknowledged_the_other_shows() {
    let cluster = Cluster::of(2).await;
    for turn in 0..20 {
        let s = bare();
        let id = s.document_entries[0].unique_id.clone();
        let bytes = format!("document {turn}").into_bytes();
        cluster.soap(turn).provide(&s, &[("DE", &bytes)]).await.assert_success();
        let there = cluster.soap(turn + 1);
        let found = there
            .query(&query(GET_DOCUMENTS, vec![list("$XDSDocumentEntryUniqueId", &[&id])]))
            .await
            .entries();
        assert_eq!(found.len(), 1, "turn {turn}");
        assert_eq!(there.retrieve(REPOSITORY, &[&id]).await.documents(), [(id, bytes.into())]);
        let removed: Vec<String> = cluster
            .soap(turn)
            .query(&everything(get_all(PATIENT)))
            .await
            .objects()
            .iter()
            .map(|o| o.id().to_owned())
            .collect();
        let removed: Vec<&str> = removed.iter().map(String::as_str).collect();
        there.remove(&removed).await.assert_success();
        assert_eq!(cluster.soap(turn).query(&everything(get_all(PATIENT))).await.objects(), []);
    }
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_filled_from_all_sides_misses_nothing() {
    let cluster = Cluster::of(2).await;
    cluster.soap(0).register(&submission_with_folder()).await.assert_success();
    let folder = cluster.query(&get_all(PATIENT)).await.folders().remove(0);
    let additions = (0..16)
        .map(|_| {
            let mut s = submission();
            s.associations.push(has_member("A-FD", &folder.entry_uuid, "DE"));
            s.associations.push(has_member("A-SS-FD", "SS", "A-FD"));
            s
        })
        .collect();
    assert_eq!(all_at_once(&cluster, additions, register).await, (16, vec![]));
    let members = cluster.query(&get_all(PATIENT)).await.associations();
    assert_eq!(members.iter().filter(|a| a.source_object == folder.entry_uuid).count(), 17);
    cluster.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patients_become_known_once() {
    let cluster = Cluster::with(4, |c| c.registry.unknown_patients = UnknownPatients::Accept).await;
    // By submissions at one instant …
    let stranger = "3001^^^&2.999.392.1.2&ISO";
    let submissions = (0..16).map(|_| of_patient(submission(), stranger)).collect();
    assert_eq!(all_at_once(&cluster, submissions, register).await, (16, vec![]));
    assert_eq!(cluster.query(&find_documents(stranger)).await.entries().len(), 16);
    // … and by operators.
    let mut tasks = JoinSet::new();
    for turn in 0..8 {
        let patients = match turn % 4 {
            0 => cluster.first.rooms().patients.clone(),
            n => cluster.others[n - 1].rooms.patients.clone(),
        };
        let now = cluster.first.clock.now();
        tasks.spawn(async move {
            let row = |n: usize| Patient {
                patient_id: format!("400{n}^^^&2.999.392.1.2&ISO"),
                name_kanji: Some("試験 花子".into()),
                name_kana: None,
                name_romaji: None,
                birth_date: None,
                sex: None,
            };
            // In an order of its own.
            let rows = (0..10).map(|n| row((n * 3 + turn) % 10)).collect();
            patients.add(rows, now).await.expect("they are added")
        });
    }
    let mut new = 0;
    while let Some(added) = tasks.join_next().await {
        new += added.expect("added");
    }
    assert_eq!(new, 10);
    cluster.end().await;
}

/// Eight programs started at one instant on an empty database: one makes the tables, all serve.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_migrate_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let config = gateway::config(&dir).await;
    let file = write_config(dir.path(), &config);
    let spawn = |_| {
        let mut command = chiren();
        command.args(["migrate", "--config"]).arg(&file);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command.spawn().expect("it starts")
    };
    let running: Vec<_> = (0..8).map(spawn).collect();
    for child in running {
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    // The same by gateways that start.
    let config = Config { database: gateway::config(&dir).await.database, ..config };
    let config = match config.database.url.starts_with("sqlite:") {
        true => Config {
            database: chiren::config::DatabaseConfig {
                url: format!("sqlite:{}", dir.path().join("another.db").display()),
                ..config.database
            },
            ..config
        },
        false => config,
    };
    let starts = (0..8).map(|_| Running::start(&config, Clock::System, None));
    for running in futures_util::future::join_all(starts).await {
        let running = running.expect("it starts");
        let address = running.listening.address(Role::Soap).expect("a listener");
        assert_eq!(Soap::new(address).query(&find_documents(PATIENT)).await.objects(), []);
        assert_eq!(running.drain().await, 0);
    }
}
