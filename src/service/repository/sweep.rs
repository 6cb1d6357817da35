//! Removes what a crash or a cut upload left behind: spool files, and bytes no document stands on.
//!
//! Several gateways may have one database and one document store: only the one that holds the lease
//! `sweep` sweeps. What it removes it has condemned before (`store::documents::condemn`), and a
//! submission that meets a condemned key stores its bytes again, here.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;

use crate::model::error::Error;
use crate::service::registry::swept;
use crate::service::repository::Repository;
use crate::service::{database, storage};
use crate::store::blob::{BlobError, BlobKey, Condemned, Ledger, Spooled, Stored, SweepAges, Swept};
use crate::store::db::{Db, DbError};
use crate::store::documents::{self, Found, Verdict};
use crate::store::lease;

/// What a sweep came to; all zero but `spool_files` where another gateway sweeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Whether it was ours to sweep the store.
    pub led: bool,
    pub spool_files: u64,
    pub objects: u64,
    pub object_bytes: u64,
    /// Old objects looked at, referenced ones included.
    pub examined: u64,
}

/// The lease of the sweeper.
pub const LEASE: &str = "sweep";
/// How long a sweeper that says nothing more keeps it.
const TERM: Duration = Duration::from_secs(600);
/// How long after it was last renewed a removal may begin. The rest of the term is for that removal
/// to end, with all its repetitions, and for clocks that differ.
const REMOVALS: Duration = Duration::from_secs(240);
/// How long a sweeper that finds nothing to remove goes on without renewing it.
const RENEWAL: Duration = Duration::from_secs(60);
/// Keys left by another sweeper that are taken up at a time.
const LEFT: i64 = 100;

/// How long what has gone is remembered, at least: longer than any request that saw it there may take.
const MEMORY: Duration = Duration::from_secs(3600);

enum Stop {
    Blob(BlobError),
    Database(DbError),
    /// The lease went to another.
    Lost,
}

impl From<BlobError> for Stop {
    fn from(e: BlobError) -> Self {
        Stop::Blob(e)
    }
}

impl From<DbError> for Stop {
    fn from(e: DbError) -> Self {
        Stop::Database(e)
    }
}

impl Stop {
    fn error(self) -> Error {
        match self {
            Stop::Blob(e) => storage(e),
            Stop::Database(e) => database(e),
            Stop::Lost => Error::Busy("another gateway sweeps now"),
        }
    }
}

/// The database for the sweeper that holds the lease.
struct Leader {
    db: Db,
    holder: Arc<str>,
    /// What the sweep takes for now, and when it began.
    now: i64,
    begun: Instant,
    led: Instant,
}

impl Leader {
    fn at(&self) -> i64 {
        self.now.saturating_add(micros(self.begun.elapsed()))
    }

    /// Takes or renews the lease; until when removals may begin.
    async fn lead(&mut self) -> Result<Option<Instant>, DbError> {
        let (holder, now) = (self.holder.clone(), self.at());
        self.led = Instant::now();
        let until = self.led + REMOVALS;
        let held = self
            .db
            .write(move |tx| {
                let holder = holder.clone();
                Box::pin(async move { lease::take(tx, LEASE, &holder, now, now + micros(TERM)).await })
            })
            .await?;
        Ok(held.then_some(until))
    }

    async fn release(&self) -> Result<(), DbError> {
        let holder = self.holder.clone();
        self.db
            .write(move |tx| {
                let holder = holder.clone();
                Box::pin(async move { lease::release(tx, LEASE, &holder).await })
            })
            .await
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

fn keys(names: &[String]) -> Vec<BlobKey> {
    names.iter().filter_map(|name| BlobKey::parse(name)).collect()
}

impl Ledger for Leader {
    type Error = Stop;

    async fn condemn(&mut self, objects: Vec<Stored>) -> Result<Condemned, Stop> {
        let names: Arc<Vec<String>> = Arc::new(objects.iter().map(|o| o.key.to_string()).collect());
        let kept = self
            .db
            .read(move |tx| {
                let names = names.clone();
                Box::pin(async move { documents::referenced(tx, &names).await })
            })
            .await
            .map_err(|e: DbError| Stop::Database(e))?;
        let unreferenced = objects.iter().filter(|o| !kept.iter().any(|k| k == o.key.as_str()));
        let found: Vec<Found> = unreferenced
            .map(|o| Found { key: o.key.to_string(), size: i64::try_from(o.size).unwrap_or(i64::MAX) })
            .collect();
        if found.is_empty() && self.led.elapsed() < RENEWAL {
            return Ok(Condemned { keys: vec![], until: self.led });
        }
        let until = self.lead().await?.ok_or(Stop::Lost)?;
        let (found, at) = (Arc::new(found), self.at());
        let condemned = self
            .db
            .write(move |tx| {
                let found = found.clone();
                Box::pin(async move { documents::condemn(tx, &found, at).await })
            })
            .await
            .map_err(|e: DbError| Stop::Database(e))?;
        Ok(Condemned { keys: keys(&condemned), until })
    }

    async fn settle(&mut self, gone: Vec<BlobKey>, spared: Vec<BlobKey>) -> Result<(), Stop> {
        let (settled, at) = (Arc::new((gone, spared)), self.at());
        self.db
            .write(move |tx| {
                let settled = settled.clone();
                Box::pin(async move {
                    for key in &settled.0 {
                        documents::gone(tx, key.as_str(), at).await?;
                    }
                    for key in &settled.1 {
                        documents::spare(tx, key.as_str()).await?;
                    }
                    Ok(())
                })
            })
            .await
            .map_err(|e: DbError| Stop::Database(e))
    }
}

impl Repository {
    /// One sweep as of `now`; younger leftovers than `age` are left alone, they may be in use. Where
    /// another gateway sweeps the store, only our own spool is looked through.
    pub async fn sweep(&self, now: SystemTime, age: Duration) -> Result<SweepReport, Error> {
        self.sweep_older(now, SweepAges { spool: age, object: age }).await
    }

    /// The same with an age for each.
    pub async fn sweep_older(&self, now: SystemTime, ages: SweepAges) -> Result<SweepReport, Error> {
        let mut report = SweepReport::default();
        if let Some(cutoff) = now.checked_sub(ages.spool) {
            report.spool_files = self.blobs.sweep_spool(cutoff).await.map_err(storage)?;
        }
        let micros_now = Timestamp::try_from(now).map_or(i64::MAX, Timestamp::as_microsecond);
        let begun = Instant::now();
        let mut leader =
            Leader { db: self.db.clone(), holder: self.instance.clone(), now: micros_now, begun, led: begun };
        if leader.lead().await.map_err(database)?.is_none() {
            return Ok(report);
        }
        let done = self.lead_sweep(&mut leader, now, ages).await;
        let released = leader.release().await;
        let swept = done.map_err(Stop::error)?;
        released.map_err(database)?;
        Ok(SweepReport {
            led: true,
            spool_files: report.spool_files + swept.spool_files,
            objects: swept.objects,
            object_bytes: swept.object_bytes,
            examined: swept.examined,
        })
    }

    async fn lead_sweep(&self, leader: &mut Leader, now: SystemTime, ages: SweepAges) -> Result<Swept, Stop> {
        let age = ages.object;
        self.finish_condemned(leader, now, age).await?;
        let forgotten = leader.now.saturating_sub(micros(age.max(MEMORY)));
        self.db
            .write(move |tx| Box::pin(async move { documents::forget_gone(tx, forgotten).await }))
            .await
            .map_err(|e: DbError| Stop::Database(e))?;
        self.blobs.sweep(now, ages, leader).await
    }

    /// Removes what a sweeper condemned that then died or lost its lease. Those whose last removal may
    /// still be on its way are left.
    async fn finish_condemned(
        &self,
        leader: &mut Leader,
        now: SystemTime,
        age: Duration,
    ) -> Result<(), Stop> {
        let Some(cutoff) = now.checked_sub(age) else { return Ok(()) };
        let mut last = vec![];
        loop {
            let until = leader.lead().await?.ok_or(Stop::Lost)?;
            let before = leader.at().saturating_sub(micros(TERM));
            let left = self
                .db
                .read(move |tx| Box::pin(async move { documents::unfinished(tx, before, LEFT).await }))
                .await
                .map_err(|e: DbError| Stop::Database(e))?;
            if left.is_empty() || left == last {
                return Ok(());
            }
            self.blobs.remove_condemned(Condemned { keys: keys(&left), until }, cutoff, leader).await?;
            last = left;
        }
    }

    /// Stores documents again whose octets were swept away between being stored and being registered.
    /// Their keys are free for references when they are there.
    pub(super) async fn store_again(&self, documents: Vec<Spooled>) -> Result<Vec<Spooled>, Error> {
        let names: Arc<Vec<String>> = Arc::new(documents.iter().map(|d| d.sha256_hex.clone()).collect());
        let verdicts = self
            .db
            .read(move |tx| {
                let names = names.clone();
                Box::pin(async move { documents::verdicts(tx, &names).await })
            })
            .await
            .map_err(|e: DbError| database(e))?;
        // While a removal is under way, what is stored may be what it removes.
        if verdicts.iter().any(|(_, verdict)| matches!(verdict, Verdict::Condemned { .. })) {
            return Err(swept());
        }
        let documents = self.blobs.commit_all(documents).await.map_err(storage)?;
        let verdicts = Arc::new(verdicts);
        self.db
            .write(move |tx| {
                let verdicts = verdicts.clone();
                Box::pin(async move {
                    for (key, verdict) in verdicts.iter() {
                        if let Verdict::Gone { at } = verdict {
                            documents::revive(tx, key, *at).await?;
                        }
                    }
                    Ok(())
                })
            })
            .await
            .map_err(|e: DbError| database(e))?;
        Ok(documents)
    }
}
