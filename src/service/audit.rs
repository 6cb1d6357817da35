//! The audit trail: a change records itself in its own transaction, everything else is recorded
//! here, durably, before the answer leaves.

mod faults;
mod together;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use crate::model::audit::AuditEvent;
use crate::model::error::Error;
use crate::service::database;
use crate::service::traces::Traces;
use crate::store::audit::{self, AuditRow};
use crate::store::db::{Db, DbError};
use crate::store::outbox::OutboxRow;
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
}

impl Audit {
    pub fn new(db: Db, queries: bool) -> Self {
        Self { together: Together::new(db.clone()), db, queries, faults: Arc::default() }
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
            (Audited::Due(event), None) => {
                let row = AuditRow::new(*event).map_err(database)?;
                self.together.write(row).await.map_err(database)
            }
            (Audited::Due(event), answer) => self.append(vec![*event], answer).await,
            (Audited::AllDue(events), answer) => self.append(events, answer).await,
            (Audited::Written | Audited::Apart | Audited::NotKept, None) => Ok(()),
            (Audited::Written | Audited::Apart | Audited::NotKept, answer) => {
                self.append(vec![], answer).await
            }
        }
    }

    /// Records that a request ended as a SOAP fault, or counts it for a later record. A record that
    /// is written is on disk when this returns, if the database answers in time; if not, the fault
    /// counts in the next.
    pub async fn fault(&self, fault: Faulted) {
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
