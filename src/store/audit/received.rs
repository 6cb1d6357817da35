//! Syslog messages of others (ITI-20), stored as they came.

use crate::store::audit::chain::{self, Chain};
use crate::store::db::{DbError, Tx, Val};

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// UUIDv7 of its arrival.
    pub id: String,
    /// EventDateTime; its arrival, where it cannot be read.
    pub at: i64,
    pub received_at: i64,
    pub sender: String,
    pub certificate: Option<String>,
    pub transport: &'static str,
    pub original: Vec<u8>,
    /// Patients it is about, as CX.
    pub patients: Vec<String>,
}

pub async fn put(tx: &mut Tx<'_>, message: &Received) -> Result<(), DbError> {
    tx.insert(
        "INSERT INTO audit_received (id, at, received_at, sender, certificate, transport, original) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            Val::Text(&message.id),
            Val::I64(message.at),
            Val::I64(message.received_at),
            Val::Text(&message.sender),
            (&message.certificate).into(),
            Val::Text(message.transport),
            Val::Blob(&message.original),
        ],
    )
    .await?;
    chain::wait(tx, Chain::Received, &[&message.id]).await?;
    let named: Vec<_> =
        message.patients.iter().map(|p| (p.as_str(), message.at, message.id.as_str())).collect();
    chain::name_patients(tx, Chain::Received, &named).await
}

/// Id, time and octets of messages between two instants, from `after` (time and id) on, oldest first.
pub async fn between(
    tx: &mut Tx<'_>,
    after: (i64, &str),
    until: i64,
    limit: i64,
) -> Result<Vec<(String, i64, Vec<u8>)>, DbError> {
    tx.fetch(
        "SELECT id, at, original FROM audit_received WHERE at >= $1 AND (at > $1 OR id >= $2) AND at <= $3 \
         ORDER BY at, id LIMIT $4",
        &[Val::I64(after.0), Val::Text(after.1), Val::I64(until), Val::I64(limit)],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )
    .await
}

/// The same by id, in no order.
pub async fn by_ids(tx: &mut Tx<'_>, ids: &[String]) -> Result<Vec<(String, i64, Vec<u8>)>, DbError> {
    let mut found = vec![];
    for ids in ids.chunks(chain::AT_ONCE) {
        let places = super::places(1, ids.len());
        let sql = format!("SELECT id, at, original FROM audit_received WHERE id IN ({places})");
        let args: Vec<Val<'_>> = ids.iter().map(Val::from).collect();
        found.extend(tx.fetch(sql, &args, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).await?);
    }
    Ok(found)
}
