//! What a request leaves behind in one transaction with what it changed: audit records, and the answer if that
//! goes elsewhere.

use crate::model::audit::AuditEvent;
use crate::model::error::RegistryError;
use crate::service::answers;
use crate::service::context::Context;
use crate::store::audit::{self, AuditRow};
use crate::store::db::{DbError, Tx};
use crate::store::outbox::{self, OutboxRow};

/// Rows made before the transaction begins.
#[derive(Debug)]
pub struct Traces {
    audit: Vec<AuditRow>,
    answer: Option<OutboxRow>,
}

impl Traces {
    pub fn new(events: Vec<AuditEvent>, answer: Option<OutboxRow>) -> Result<Self, DbError> {
        Ok(Self { audit: events.into_iter().map(AuditRow::new).collect::<Result<_, _>>()?, answer })
    }

    /// Of a change that is made; `said` is what its answer says of it.
    pub fn of(context: &Context, events: Vec<AuditEvent>, said: &[RegistryError]) -> Result<Self, DbError> {
        Self::new(events, answers::of_change(context, said)?)
    }

    pub async fn leave(&self, tx: &mut Tx<'_>) -> Result<(), DbError> {
        for row in &self.audit {
            audit::append(tx, row).await?;
        }
        if let Some(answer) = &self.answer {
            outbox::enqueue(tx, answer).await?;
        }
        Ok(())
    }
}
