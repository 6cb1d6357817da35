//! The audit trail: a change records itself in its own transaction, everything else is recorded
//! here, durably, before the answer leaves.

pub mod clock;
mod faults;
pub mod forward;
pub mod reading;
mod together;
pub mod trail;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use crate::model::audit::{AuditEvent, Outcome, SECURITY_ALERT};
use crate::model::error::Error;
use crate::service::context::time_uuid;
use crate::service::database;
use crate::service::traces::Traces;
use crate::store::audit::{self, AuditRow, Noting};
use crate::store::db::{Db, DbError};
use crate::store::outbox::OutboxRow;
use crate::store::seen::{self, Seen};
use faults::{Due, Faults};
use together::Together;

pub use faults::Faulted;

/// How long the answer of a fault waits for its record.
const PATIENCE: Duration = Duration::from_secs(1);

/// The state of a request's audit record. A handler cannot answer without one.
#[derive(Debug)]
pub enum Audited {
    /// Written with the change it records; so is the answer, where that goes elsewhere.
    Written,
    /// Written by the service that was asked, which knows nothing of answers.
    Apart,
    /// A query, and `audit.queries` is off.
    NotKept,
    /// To be written before the answer leaves.
    Due(Box<AuditEvent>),
    /// The same of several: what was asked, and what we asked of others for it.
    AllDue(Vec<AuditEvent>),
}

#[derive(Clone)]
pub struct Audit {
    db: Db,
    together: Together,
    /// `audit.queries`: whether queries leave a record.
    queries: bool,
    faults: Arc<Mutex<Faults>>,
    alarm: Arc<Mutex<Alarm>>,
}

/// Failures within a minute, counted to tell an attack from a mistake.
#[derive(Debug, Default)]
struct Alarm {
    /// How many are an alarm; 0: none ever.
    limit: u64,
    /// The minute, its failures, and whether they have been told.
    minute: i64,
    failures: u64,
    told: bool,
    raised: u64,
}

/// Microseconds of a minute.
const MINUTE: i64 = 60_000_000;

impl Alarm {
    /// Counts a failure; whether it is the one that is an alarm.
    fn count(&mut self, now: i64) -> bool {
        let minute = now.div_euclid(MINUTE);
        if self.minute != minute {
            (self.minute, self.failures, self.told) = (minute, 0, false);
        }
        self.failures = self.failures.saturating_add(1);
        let alarm = self.limit > 0 && self.failures >= self.limit && !self.told;
        self.told |= alarm;
        self.raised += u64::from(alarm);
        alarm
    }
}

impl Audit {
    pub fn new(db: Db, queries: bool) -> Self {
        Self {
            together: Together::new(db.clone()),
            db,
            queries,
            faults: Arc::default(),
            alarm: Arc::default(),
        }
    }

    /// So many failures within a minute are an alarm.
    pub fn with_alarm(self, failures: u64) -> Self {
        self.alarm().limit = failures;
        self
    }

    /// Alarms raised since the start.
    pub fn alarms(&self) -> u64 {
        self.alarm().raised
    }

    fn alarm(&self) -> MutexGuard<'_, Alarm> {
        self.alarm.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a failure, and records when there are too many.
    async fn count_failure(&self, at: Timestamp, request_id: &str) {
        let now = at.as_microsecond();
        if !self.alarm().count(now) {
            return;
        }
        let failures = self.alarm().failures;
        tracing::error!(failures, "security alarm: too many failures within a minute");
        let mut event = trail::of_life(SECURITY_ALERT, time_uuid(at).to_string(), now, request_id);
        event.outcome = Outcome::SeriousFailure;
        event.errors = vec!["alarm".into(), format!("{failures} failures within a minute")];
        if let Err(e) = self.append(vec![event], None).await {
            tracing::error!(cause = format!("{e:?}"), "the record of an alarm could not be written");
        }
    }

    /// Records the program's own life, as far as the database is there.
    pub async fn live(&self, kinds: &[&str], at: Timestamp) {
        let request_id = time_uuid(at).to_string();
        let events = kinds.iter().enumerate().map(|(n, kind)| {
            // One after the other, whatever the chance in their ids.
            let at = at.checked_add(jiff::SignedDuration::from_millis(i64::try_from(n).unwrap_or_default()));
            let at = at.unwrap_or_default();
            trail::of_life(kind, time_uuid(at).to_string(), at.as_microsecond(), &request_id)
        });
        if let Err(e) = self.append(events.collect(), None).await {
            tracing::warn!(cause = format!("{e:?}"), "start or stop could not be recorded");
        }
    }

    /// The record of a query, unless the configuration wants none.
    pub fn of_query(&self, event: AuditEvent) -> Audited {
        if self.queries { Audited::Due(Box::new(event)) } else { Audited::NotKept }
    }

    /// The same of a query with those it led to.
    pub fn of_queries(&self, events: Vec<AuditEvent>) -> Audited {
        if self.queries { Audited::AllDue(events) } else { Audited::NotKept }
    }

    /// Writes a record that is due; it is on disk when this returns.
    pub async fn settle(&self, audited: Audited) -> Result<(), Error> {
        self.settle_with(audited, None).await
    }

    /// The same, and with it the answer that it records.
    pub async fn settle_with(&self, audited: Audited, answer: Option<OutboxRow>) -> Result<(), Error> {
        match (audited, answer) {
            (Audited::Due(event), None) => self.together(*event, None).await.map(drop),
            (Audited::Due(event), answer) => self.append(vec![*event], answer).await,
            (Audited::AllDue(events), answer) => self.append(events, answer).await,
            (Audited::Written | Audited::Apart | Audited::NotKept, None) => Ok(()),
            (Audited::Written | Audited::Apart | Audited::NotKept, answer) => {
                self.append(vec![], answer).await
            }
        }
    }

    /// The same of a message that serves once: its note is made with its record. `false`: the message came before, and
    /// nothing is written.
    pub async fn settle_noting(&self, audited: Audited, seen: Option<Seen>) -> Result<bool, Error> {
        let Some(seen) = seen else { return self.settle(audited).await.map(|()| true) };
        let events = match audited {
            Audited::Due(event) => return self.together(*event, Some(seen)).await,
            Audited::AllDue(events) => events,
            Audited::Written | Audited::Apart | Audited::NotKept => vec![],
        };
        let traces = Arc::new((Traces::new(events, None).map_err(database)?, seen));
        let noted = self.db.write(move |tx| {
            let traces = traces.clone();
            Box::pin(async move {
                let (traces, seen) = &*traces;
                let first = seen::first(tx, seen).await?;
                if first.new || first.same {
                    traces.leave(tx).await?;
                }
                Ok(first.new || first.same)
            })
        });
        noted.await.map_err(|e: DbError| database(e))
    }

    async fn together(&self, event: AuditEvent, seen: Option<Seen>) -> Result<bool, Error> {
        let row = AuditRow::new(event).map_err(database)?;
        self.together.write(Noting { row, seen }).await.map_err(database)
    }

    /// Records that a request ended as a SOAP fault, or counts it for a later record. A record that
    /// is written is on disk when this returns, if the database answers in time; if not, the fault
    /// counts in the next.
    pub async fn fault(&self, fault: Faulted) {
        self.count_failure(fault.at, &fault.request_id).await;
        let Some(due) = self.faults().note(fault) else { return };
        // A task of its own: a sender that hangs up ends this future, but not the record.
        let writing = tokio::spawn(self.clone().write_faults(vec![due]));
        let _ = timeout(PATIENCE, writing).await;
    }

    /// Writes the records of faults whose time has come; to be called every minute or so.
    pub async fn write_due_faults(&self, now: Timestamp) {
        let due = self.faults().due(now.as_microsecond());
        self.clone().write_faults(due).await;
    }

    /// Writes what faults are still waiting for a record; before the end.
    pub async fn write_all_faults(&self, now: Timestamp) {
        let rest = self.faults().rest(now.as_microsecond());
        self.clone().write_faults(rest).await;
    }

    async fn write_faults(self, due: Vec<Due>) {
        if due.is_empty() {
            return;
        }
        if let Err(e) = self.append(due.iter().map(|d| d.event.clone()).collect(), None).await {
            let request_id = due.first().map(|d| d.event.request_id.as_str());
            tracing::warn!(request_id, cause = format!("{e:?}"), "a fault could not be recorded yet");
            due.into_iter().for_each(|d| self.faults().unwritten(d));
        }
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn append(&self, events: Vec<AuditEvent>, answer: Option<OutboxRow>) -> Result<(), Error> {
        let traces = Arc::new(Traces::new(events, answer).map_err(database)?);
        self.db
            .write(move |tx| {
                let traces = traces.clone();
                Box::pin(async move { traces.leave(tx).await })
            })
            .await
            .map_err(|e: DbError| database(e))
    }

    /// Records from `from` (microseconds since 1970) on, oldest first.
    pub async fn since(&self, from: i64, limit: i64) -> Result<Vec<AuditEvent>, Error> {
        self.db
            .read(move |tx| Box::pin(audit::since(tx, from, limit)))
            .await
            .map_err(|e: DbError| database(e))
    }
}
