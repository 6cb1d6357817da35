//! Several gateways over one database and one document store: one sweeps at a time, and no document that
//! a submission stands on is swept away. In a folder without lock files, and in a bucket.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chiren::config::Config;
use chiren::model::metadata::Submission;
use chiren::service::repository::{Repository, SWEEP_LEASE};
use chiren::store::blob::{BlobKey, Blobs, SweepAges};
use chiren::store::db::{Db, DbError};
use chiren::store::documents::{self, Found};
use chiren::store::lease;

use crate::support::Gateway;
use crate::support::gateway::config;
use crate::support::samples::{REPOSITORY, submission};

/// Long after everything that the tests do.
fn later() -> SystemTime {
    SystemTime::now() + Duration::from_secs(2 * 3600)
}

fn micros(at: SystemTime) -> i64 {
    i64::try_from(at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

/// Where documents can be, with the servers that must live as long.
async fn places() -> Vec<(&'static str, tempfile::TempDir, Config)> {
    let dir = tempfile::tempdir().unwrap();
    let folder = config(&dir).await;
    #[allow(unused_mut)]
    let mut all = vec![("folder", dir, folder)];
    #[cfg(feature = "s3")]
    {
        let dir = tempfile::tempdir().unwrap();
        let mut bucket = config(&dir).await;
        let place = crate::support::s3::Place::fresh();
        bucket.repository.s3 = Some(crate::support::gateway::s3_config(&place, dir.path()));
        all.push(("bucket", dir, bucket));
    }
    all
}

/// Two gateways that share all they have.
async fn two(dir: tempfile::TempDir, config: Config) -> (Gateway, Gateway) {
    let first = Gateway::start_in(dir, config.clone()).await;
    let second = Gateway::start_in(tempfile::tempdir().unwrap(), config).await;
    (first, second)
}

fn repository(gateway: &Gateway) -> Repository {
    gateway.rooms().repository.clone().unwrap()
}

fn provided() -> Submission {
    let mut s = submission();
    for e in &mut s.document_entries {
        (e.hash, e.size, e.repository_unique_id) = (None, None, None);
    }
    s
}

/// Octets in the store that nothing refers to.
async fn orphan(gateway: &Gateway, octets: &'static [u8]) -> BlobKey {
    let blobs = Blobs::of(&gateway.config.repository).unwrap();
    let mut spool = blobs.spool();
    spool.write(Bytes::from_static(octets)).await.unwrap();
    blobs.commit(spool.finish().await.unwrap()).await.unwrap()
}

async fn retrieved(gateway: &Gateway, s: &Submission) -> Bytes {
    let answer = gateway.soap().retrieve(REPOSITORY, &[&s.document_entries[0].unique_id]).await;
    answer.assert_success();
    answer.documents()[0].1.clone()
}

/// What a sweeper does first, and then dies.
async fn condemn(db: &Db, key: &BlobKey, at: i64) -> Vec<String> {
    let found = Found { key: key.to_string(), size: 1 };
    let condemned: Result<_, DbError> = db
        .write(move |tx| {
            let found = found.clone();
            Box::pin(async move { documents::condemn(tx, &[found], at).await })
        })
        .await;
    condemned.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn octets_that_were_swept_between_are_stored_again() {
    for (name, dir, config) in places().await {
        let (a, b) = two(dir, config).await;
        orphan(&a, b"swept").await;
        assert_eq!(a.files().0, 1);
        let report = repository(&b).sweep(later(), Duration::ZERO).await.unwrap();
        assert_eq!((report.led, report.objects), (true, 1), "{name}");
        assert_eq!(a.files(), (0, 0));
        // The database remembers that they have gone: whoever saw them before has to store them again.
        let s = provided();
        a.soap().provide(&s, &[("DE", b"swept")]).await.assert_success();
        assert_eq!(a.files(), (1, 0), "{name}");
        assert_eq!(&retrieved(&b, &s).await[..], b"swept");
        // And now they are referred to.
        let report = repository(&b).sweep(later(), Duration::ZERO).await.unwrap();
        assert_eq!((report.objects, report.examined), (0, 1), "{name}");
        let again = provided();
        b.soap().provide(&again, &[("DE", b"swept")]).await.assert_success();
        assert_eq!(a.files(), (1, 0), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_registered_on_octets_that_are_being_removed() {
    for (name, dir, config) in places().await {
        let (a, b) = two(dir, config).await;
        let key = orphan(&a, b"condemned").await;
        let now = SystemTime::now();
        assert_eq!(condemn(&a.rooms().db, &key, micros(now)).await, [key.to_string()]);
        let s = provided();
        let answer = a.soap().provide(&s, &[("DE", b"condemned")]).await;
        answer.assert_failure(&["XDSRepositoryBusy"]);
        assert_eq!(answer.headers.get("retry-after").unwrap(), "2", "{name}");
        // While the removal may still be on its way, nobody else takes it up.
        let soon = now + Duration::from_secs(300);
        repository(&b).sweep(soon, Duration::from_secs(7200)).await.unwrap();
        b.soap().provide(&s, &[("DE", b"condemned")]).await.assert_failure(&["XDSRepositoryBusy"]);
        // Then another sweeper does: here the octets are young, and stay.
        let after = now + Duration::from_secs(700);
        repository(&b).sweep(after, Duration::from_secs(7200)).await.unwrap();
        b.soap().provide(&s, &[("DE", b"condemned")]).await.assert_success();
        assert_eq!(&retrieved(&a, &s).await[..], b"condemned");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_referred_to_is_not_condemned() {
    for (_, dir, config) in places().await {
        let (a, b) = two(dir, config).await;
        let s = provided();
        a.soap().provide(&s, &[("DE", b"kept")]).await.assert_success();
        let key = orphan(&a, b"kept").await;
        assert!(condemn(&b.rooms().db, &key, 1).await.is_empty());
        let again = provided();
        b.soap().provide(&again, &[("DE", b"kept")]).await.assert_success();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_sweeps_at_a_time() {
    for (name, dir, config) in places().await {
        let (a, b) = two(dir, config).await;
        orphan(&a, b"x").await;
        let now = micros(later());
        let held: Result<bool, DbError> = a
            .rooms()
            .db
            .write(move |tx| Box::pin(lease::take(tx, SWEEP_LEASE, "a third", now, now + 600_000_000)))
            .await;
        assert!(held.unwrap());
        for gateway in [&a, &b] {
            let report = repository(gateway).sweep(later(), Duration::ZERO).await.unwrap();
            assert!(!report.led && report.objects == 0, "{name}");
        }
        assert_eq!(a.files().0, 1);
        // The third has died: its lease ends.
        let after = later() + Duration::from_secs(601);
        let report = repository(&b).sweep(after, Duration::ZERO).await.unwrap();
        assert!(report.led && report.objects == 1, "{name}");
    }
}

/// Submissions of the same few octets through one gateway, orphans of them between, and the other
/// sweeping without pause and without any grace: every document that was acknowledged is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_acknowledged_is_never_swept_away() {
    const OCTETS: [&[u8]; 4] = [b"first", b"second", b"third", b"fourth"];
    for (name, dir, config) in places().await {
        let (a, b) = two(dir, config).await;
        let (stop, sweeping) = (tokio_util::sync::CancellationToken::new(), repository(&b));
        let stopped = stop.clone();
        let sweeper = tokio::spawn(async move {
            let mut removed = 0;
            while !stopped.is_cancelled() {
                // What is still arriving is left to arrive.
                let ages = SweepAges { object: Duration::ZERO, ..SweepAges::default() };
                match sweeping.sweep_older(later(), ages).await {
                    Ok(report) => removed += report.objects,
                    // SQLite: two programs write to one file.
                    Err(chiren::model::error::Error::Busy(_)) => {}
                    Err(e) => panic!("{e:?}"),
                }
            }
            removed
        });
        let (mut kept, mut busy) = (vec![], 0);
        for n in 0..60 {
            let octets = OCTETS[n % OCTETS.len()];
            if n < 20 {
                orphan(&a, octets).await;
                tokio::task::yield_now().await;
            }
            let s = provided();
            // The last of them nothing refers to before: they come and go until one is registered.
            if n < 20 && n % OCTETS.len() == 3 {
                continue;
            }
            let answer = a.soap().provide(&s, &[("DE", octets)]).await;
            match answer.registry().1.first() {
                None => kept.push((s, octets)),
                Some((code, _)) if code == "XDSRepositoryBusy" => busy += 1,
                Some((code, _)) => panic!("{code}: {}", answer.envelope),
            }
        }
        stop.cancel();
        let removed = sweeper.await.unwrap();
        eprintln!("{name}: {} kept, {busy} busy, {removed} removed", kept.len());
        assert!(kept.len() > 10, "{name}");
        for (s, octets) in &kept {
            assert_eq!(&retrieved(&b, s).await[..], *octets, "{name}");
        }
    }
}
