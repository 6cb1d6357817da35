//! The audit trail: a change records itself in its own transaction, everything else is recorded
//! here, durably, before the answer leaves.

use std::sync::Arc;

use crate::model::audit::AuditEvent;
use crate::model::error::Error;
use crate::service::database;
use crate::store::audit::{self, AuditRow};
use crate::store::db::{Db, DbError};

/// The state of a request's audit record. A handler cannot answer without one.
#[derive(Debug)]
pub enum Audited {
    /// Written with the change it records.
    Written,
    /// A query, and `audit.queries` is off.
    NotKept,
    /// To be written before the answer leaves.
    Due(Box<AuditEvent>),
}

#[derive(Clone)]
pub struct Audit {
    db: Db,
    /// `audit.queries`: whether queries leave a record.
    queries: bool,
}

impl Audit {
    pub fn new(db: Db, queries: bool) -> Self {
        Self { db, queries }
    }

    /// The record of a query, unless the configuration wants none.
    pub fn of_query(&self, event: AuditEvent) -> Audited {
        if self.queries { Audited::Due(Box::new(event)) } else { Audited::NotKept }
    }

    /// Writes a record that is due; it is on disk when this returns.
    pub async fn settle(&self, audited: Audited) -> Result<(), Error> {
        let Audited::Due(event) = audited else { return Ok(()) };
        let row = Arc::new(AuditRow::new(*event).map_err(database)?);
        self.db
            .write(move |tx| {
                let row = row.clone();
                Box::pin(async move { audit::append(tx, &row).await })
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
