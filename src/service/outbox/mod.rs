//! The outbox: delivers what transactions left to be done, at least once, from this gateway or another on the
//! same database, and keeps at it with growing patience.

mod kinds;

pub use crate::store::outbox::{Depth, OutboxRow, Waiting};
pub use kinds::{Couriers, Delivery, Kind};

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::OutboxConfig;
use crate::model::audit::{AuditEvent, Outcome};
use crate::model::error::Error;
use crate::service::context::{Context, Subject};
use crate::service::database;
use crate::service::traces::Traces;
use crate::store::audit::{self, AuditRow};
use crate::store::db::{Db, DbError};
use crate::store::outbox::{self, Claimed};

const SECOND: i64 = 1_000_000;
/// The second attempt comes about so long after the first, each further one twice as long after the last.
const FIRST_DELAY: i64 = 2 * SECOND;
const LONGEST_DELAY: i64 = 600 * SECOND;

/// The present in microseconds since 1970.
pub type Now = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The outbox of a database. Clones share it.
#[derive(Clone)]
pub struct Outbox(Arc<Inner>);

struct Inner {
    db: Db,
    settings: OutboxConfig,
    /// Whom rows are leased to.
    name: String,
    woken: Notify,
    /// One run at a time, so that who asked for one knows at its end that all that was due was tried.
    turn: tokio::sync::Mutex<()>,
    delivered: AtomicU64,
    failed: AtomicU64,
    waiting: AtomicI64,
    parked: AtomicI64,
    /// Streams nobody answered for, already said in the log.
    silent: Mutex<Vec<String>>,
}

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    pub delivered: u64,
    pub postponed: u64,
    pub parked: u64,
}

/// For metrics: counted since the program began, and found at the last run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutboxStatus {
    pub delivered: u64,
    pub failed: u64,
    pub waiting: i64,
    pub parked: i64,
}

impl Outbox {
    pub fn new(db: Db, settings: &OutboxConfig) -> Self {
        Self(Arc::new(Inner {
            db,
            settings: settings.clone(),
            name: Uuid::new_v4().to_string(),
            woken: Notify::new(),
            turn: tokio::sync::Mutex::new(()),
            delivered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            waiting: AtomicI64::new(0),
            parked: AtomicI64::new(0),
            silent: Mutex::default(),
        }))
    }

    /// Adds a row that follows from nothing in the database.
    pub async fn enqueue(&self, row: OutboxRow) -> Result<(), Error> {
        let row = Arc::new(row);
        let added = self.0.db.write(move |tx| {
            let row = row.clone();
            Box::pin(async move { outbox::enqueue(tx, &row).await })
        });
        added.await.map_err(|e: DbError| database(e))?;
        self.wake();
        Ok(())
    }

    /// There is something new to deliver.
    pub fn wake(&self) {
        self.0.woken.notify_one();
    }

    /// Ends when there is, or when it is time to look.
    pub async fn idle(&self) {
        let pause = Duration::from_secs(self.0.settings.poll_seconds.max(1));
        let _ = timeout(pause, self.0.woken.notified()).await;
    }

    /// Tries everything that is due, each row once. After `stop` no further row is begun.
    pub async fn run(
        &self,
        couriers: &Couriers,
        now: &Now,
        stop: &CancellationToken,
    ) -> Result<Report, Error> {
        let _turn = self.0.turn.lock().await;
        let mut report = Report::default();
        // Tasks, not futures beside this one: what is not polled while a claim waits must hold no connection.
        let mut under_way = JoinSet::new();
        let mut trouble = None;
        loop {
            let room = self.0.settings.workers.max(1).saturating_sub(under_way.len());
            if room > 0 && trouble.is_none() && !stop.is_cancelled() {
                match self.claim(now(), room).await {
                    Ok(claimed) => {
                        for row in claimed {
                            let (outbox, couriers, now) = (self.clone(), couriers.clone(), now.clone());
                            under_way.spawn(async move { outbox.attempt(row, &couriers, &now).await });
                        }
                    }
                    // What is under way is seen to its end first.
                    Err(e) => trouble = Some(e),
                }
            }
            match under_way.join_next().await {
                None => break,
                Some(Ok(Settled::Delivered)) => report.delivered += 1,
                Some(Ok(Settled::Postponed)) => report.postponed += 1,
                Some(Ok(Settled::Parked)) => report.parked += 1,
                // It panicked; its lease runs out, and it is tried again.
                Some(Err(e)) => tracing::error!(cause = %e, "a delivery ended early"),
            }
        }
        self.0.delivered.fetch_add(report.delivered, Ordering::Relaxed);
        self.0.failed.fetch_add(report.postponed + report.parked, Ordering::Relaxed);
        match trouble {
            Some(e) => Err(database(e)),
            None => self.look().await.map(|()| report),
        }
    }

    async fn claim(&self, now: i64, most: usize) -> Result<Vec<Claimed>, DbError> {
        let by: Arc<str> = self.0.name.as_str().into();
        // Twice what a delivery may take: who still holds a row is done with it before another takes it.
        let lease = now.saturating_add(2 * SECOND * seconds(self.0.settings.delivery_seconds));
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        // Most looks find nothing, and need not write to say so.
        if !self.0.db.read(move |tx| Box::pin(outbox::is_due(tx, now))).await? {
            return Ok(vec![]);
        }
        self.0
            .db
            .write(move |tx| {
                let by = by.clone();
                Box::pin(async move { outbox::claim(tx, &by, now, lease, most).await })
            })
            .await
    }

    /// Delivers a row in hand and writes down how that went.
    async fn attempt(&self, row: Claimed, couriers: &Couriers, now: &Now) -> Settled {
        let patience = Duration::from_secs(self.0.settings.delivery_seconds);
        let delivery = match timeout(patience, couriers.deliver(&row)).await {
            Ok(delivery) => delivery,
            Err(_) => Delivery::later(format!("not done within {} s", patience.as_secs())),
        };
        let at = now();
        let record = couriers.record(&row, &delivery, at);
        let late = at.saturating_sub(row.created_at) >= 3600 * SECOND * seconds(self.0.settings.park_hours);
        let verdict = match delivery {
            Delivery::Done => Verdict::Done,
            Delivery::Later { why, away } if !late => Verdict::Later {
                why,
                not_before: at.saturating_add(delay(row.attempts)),
                stream: away.then(|| at.saturating_add(FIRST_DELAY)),
            },
            Delivery::Later { why, .. } | Delivery::Never(why) => Verdict::Never { why, at },
        };
        let (row, verdict) = (Arc::new(row), Arc::new(verdict));
        if let Err(e) = self.write_down(row.clone(), verdict.clone(), record).await {
            // Its lease runs out, and it is delivered again: at least once is the promise.
            tracing::warn!(row = row.id, cause = %e, "the end of a delivery could not be written down");
        }
        self.tell(&row, &verdict)
    }

    /// With the audit record of what was sent.
    async fn write_down(
        &self,
        row: Arc<Claimed>,
        verdict: Arc<Verdict>,
        record: Option<AuditEvent>,
    ) -> Result<(), DbError> {
        let record = Arc::new(record.map(AuditRow::new).transpose()?);
        let by: Arc<str> = self.0.name.as_str().into();
        self.0
            .db
            .write(move |tx| {
                let (row, by, verdict, record) = (row.clone(), by.clone(), verdict.clone(), record.clone());
                Box::pin(async move {
                    if let Some(record) = &*record {
                        audit::append(tx, record).await?;
                    }
                    match &*verdict {
                        Verdict::Done => outbox::done(tx, &row.id, &by).await?,
                        Verdict::Later { why, not_before, stream } => {
                            if let Some(until) = stream {
                                outbox::postpone_stream(tx, &row.stream, *until).await?;
                            }
                            outbox::postpone(tx, &row.id, &by, *not_before, why).await?
                        }
                        Verdict::Never { why, at } => {
                            outbox::park(tx, &row.id, &by, *at, why, Kind::keeps_place(&row.kind)).await?
                        }
                    };
                    Ok(())
                })
            })
            .await
    }

    /// One line when a server stops answering, one when it answers again; the rest at `debug`.
    fn tell(&self, row: &Claimed, verdict: &Verdict) -> Settled {
        let Claimed { id, kind, stream, attempts, .. } = row;
        let mut silent = self.0.silent.lock().unwrap_or_else(PoisonError::into_inner);
        let known = silent.iter().position(|s| s == stream);
        match (verdict, known) {
            (Verdict::Done, None) => Settled::Delivered,
            (Verdict::Done, Some(at)) => {
                silent.swap_remove(at);
                tracing::info!(to = stream, "delivered again");
                Settled::Delivered
            }
            (Verdict::Later { why, .. }, None) => {
                silent.push(stream.clone());
                tracing::warn!(to = stream, kind, cause = why, "not delivered yet; it will be tried again");
                Settled::Postponed
            }
            (Verdict::Later { why, .. }, Some(_)) => {
                tracing::debug!(row = id, attempts, cause = why, "not delivered yet");
                Settled::Postponed
            }
            (Verdict::Never { why, .. }, _) => {
                let cause = why.as_str();
                tracing::error!(
                    row = id,
                    kind,
                    to = stream,
                    attempts,
                    cause,
                    "given up; see `chiren outbox list`"
                );
                Settled::Parked
            }
        }
    }

    async fn look(&self) -> Result<(), Error> {
        let depth = self.0.db.read(|tx| Box::pin(outbox::depth(tx))).await;
        let Depth { waiting, parked } = depth.map_err(|e: DbError| database(e))?;
        self.0.waiting.store(waiting, Ordering::Relaxed);
        self.0.parked.store(parked, Ordering::Relaxed);
        Ok(())
    }

    pub fn status(&self) -> OutboxStatus {
        OutboxStatus {
            delivered: self.0.delivered.load(Ordering::Relaxed),
            failed: self.0.failed.load(Ordering::Relaxed),
            waiting: self.0.waiting.load(Ordering::Relaxed),
            parked: self.0.parked.load(Ordering::Relaxed),
        }
    }

    /// Whether at least so many rows wait in a stream.
    pub async fn is_full(&self, stream: &str, most: u64) -> Result<bool, Error> {
        let (stream, most): (Arc<str>, _) = (stream.into(), i64::try_from(most).unwrap_or(i64::MAX));
        self.0
            .db
            .read(move |tx| {
                let stream = stream.clone();
                Box::pin(async move { outbox::is_full(tx, &stream, most).await })
            })
            .await
            .map_err(|e: DbError| database(e))
    }

    /// All rows, in order of their ids.
    pub async fn list(&self) -> Result<Vec<Waiting>, Error> {
        const PAGE: i64 = 500;
        let mut all: Vec<Waiting> = vec![];
        loop {
            let after: Arc<str> = all.last().map_or("", |row| row.id.as_str()).into();
            let page = self.0.db.read(move |tx| {
                let after = after.clone();
                Box::pin(async move { outbox::list(tx, &after, PAGE).await })
            });
            let page = page.await.map_err(|e: DbError| database(e))?;
            let more = page.len() == PAGE as usize;
            all.extend(page);
            if !more {
                return Ok(all);
            }
        }
    }

    /// Makes a row due now, or every parked one; how many that are.
    pub async fn retry(&self, id: Option<&str>, now: i64) -> Result<u64, Error> {
        let id: Option<Arc<str>> = id.map(Into::into);
        let done = self.0.db.write(move |tx| {
            let id = id.clone();
            Box::pin(async move { outbox::retry(tx, id.as_deref(), now).await })
        });
        done.await.map_err(|e: DbError| database(e))
    }

    /// Takes a row out undelivered, at an operator's word, which is recorded with it; false if there is none, or
    /// it is in delivery.
    pub async fn discard(&self, context: &Context, id: &str) -> Result<bool, Error> {
        let subject = Subject { objects: vec![id.to_owned()], ..Subject::default() };
        let event = context.audit(Outcome::Success, subject);
        let event = AuditEvent { transaction: "outbox drop".into(), ..event };
        let traces = Arc::new(Traces::new(vec![event], None).map_err(database)?);
        let (row, now): (Arc<str>, _) = (id.into(), context.micros());
        let done = self.0.db.write(move |tx| {
            let (row, traces) = (row.clone(), traces.clone());
            Box::pin(async move {
                let gone = outbox::discard(tx, &row, now).await?;
                if gone {
                    traces.leave(tx).await?;
                }
                Ok(gone)
            })
        });
        done.await.map_err(|e: DbError| database(e))
    }
}

enum Settled {
    Delivered,
    Postponed,
    Parked,
}

enum Verdict {
    Done,
    /// `stream`: until when the rest of the stream waits too.
    Later {
        why: String,
        not_before: i64,
        stream: Option<i64>,
    },
    Never {
        why: String,
        at: i64,
    },
}

fn seconds(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX / (7200 * SECOND))
}

/// How long after the nth attempt the next one comes: doubling, three quarters to five quarters of it, so that
/// rows that failed together part.
fn delay(attempts: i64) -> i64 {
    let doublings = u32::try_from(attempts.clamp(1, 20) - 1).unwrap_or_default();
    let full = (FIRST_DELAY << doublings).min(LONGEST_DELAY);
    let spread = i64::from(Uuid::new_v4().as_bytes()[0]);
    full * 3 / 4 + full * spread / 510
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_grows_and_has_an_end() {
        for (attempts, full) in [(0, 2), (1, 2), (2, 4), (5, 32), (10, 600), (1000, 600)] {
            let (least, most) = (full * SECOND * 3 / 4, full * SECOND * 5 / 4);
            assert!((least..=most).contains(&delay(attempts)), "{attempts}");
        }
    }

    #[test]
    fn every_kind_has_its_name() {
        let mut names: Vec<_> = Kind::ALL.into_iter().map(Kind::as_str).collect();
        names.dedup();
        assert_eq!(names.len(), Kind::ALL.len());
    }
}
