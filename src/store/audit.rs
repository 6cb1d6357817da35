//! The audit trail at rest: append-only rows, in the transaction of whatever they record.

use crate::model::audit::AuditEvent;
use crate::store::db::{DbError, Tx, Val};

/// An audit record as its row, made before the transaction begins.
#[derive(Debug)]
pub struct AuditRow {
    pub event: AuditEvent,
    body: String,
}

impl AuditRow {
    pub fn new(event: AuditEvent) -> Result<Self, DbError> {
        let body = serde_json::to_string(&event)
            .map_err(|e| DbError::Sql(format!("an audit record cannot be written as JSON: {e}")))?;
        Ok(Self { event, body })
    }
}

pub async fn append(tx: &mut Tx<'_>, row: &AuditRow) -> Result<(), DbError> {
    tx.exec(
        "INSERT INTO audit_event (id, at, transaction_code, outcome, body) VALUES ($1, $2, $3, $4, $5)",
        &[
            Val::Text(&row.event.id),
            Val::I64(row.event.at),
            Val::Text(&row.event.transaction),
            Val::I64(row.event.outcome as i64),
            (&row.body).into(),
        ],
    )
    .await?;
    Ok(())
}

/// Records from `from` (microseconds since 1970) on, oldest first. Ids are UUIDv7, so their order is
/// time's and no further index is kept.
pub async fn since(tx: &mut Tx<'_>, from: i64, limit: i64) -> Result<Vec<AuditEvent>, DbError> {
    let millis = from.max(0) / 1000;
    let first = format!("{:08x}-{:04x}-7000-8000-000000000000", millis >> 16, millis & 0xffff);
    tx.fetch(
        "SELECT body FROM audit_event WHERE id >= $1 ORDER BY id LIMIT $2",
        &[Val::Text(&first), Val::I64(limit)],
        |row| {
            serde_json::from_str(row.text(0)?)
                .map_err(|e| DbError::Decode { column: 0, message: e.to_string() })
        },
    )
    .await
}
