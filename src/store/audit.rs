//! The audit trail at rest: append-only rows, in the transaction of whatever they record; chained afterwards
//! ([`chain`]), beside what other systems sent ([`received`]).

pub mod chain;
pub mod received;

use std::fmt::Write as _;

use self::chain::Chain;
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

/// Most records in one statement; each number of them is a statement of its own to prepare.
pub const TOGETHER: usize = 16;

pub async fn append(tx: &mut Tx<'_>, row: &AuditRow) -> Result<(), DbError> {
    tx.later_row(
        "INSERT INTO audit_event (id, at, transaction_code, outcome, body) SELECT * FROM unnest($1, $2, $3, $4, $5)",
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
    tx.later_row(
        "INSERT INTO audit_waiting (chain, id) SELECT * FROM unnest($1, $2)",
        "INSERT INTO audit_waiting (chain, id) VALUES ($1, $2)",
        &[Val::Text(Chain::Own.as_str()), Val::Text(&row.event.id)],
    )
    .await
}

/// Appends up to [`TOGETHER`] records, and may be run twice: what is there is there once, and waits for the chain once.
pub async fn append_together(tx: &mut Tx<'_>, rows: &[AuditRow]) -> Result<(), DbError> {
    let (sql, args) = insert(rows);
    let sql = format!("{sql} ON CONFLICT (id) DO NOTHING");
    if tx.is_postgres() {
        let sql = format!(
            "WITH made AS ({sql} RETURNING id) INSERT INTO audit_waiting (chain, id) SELECT '{}', id FROM made",
            Chain::Own.as_str()
        );
        return tx.exec(sql, &args).await.map(drop);
    }
    let made = tx.exec(sql, &args).await?;
    match u64::try_from(rows.len()) {
        Ok(all) if made == all => {
            let ids: Vec<&str> = rows.iter().map(|row| row.event.id.as_str()).collect();
            chain::wait(tx, Chain::Own, &ids).await
        }
        _ if made == 0 => Ok(()),
        // SQLite takes a transaction back as a whole, and so writes all or none of the rows of one again.
        _ => Err(DbError::Misuse("audit records of which some were there")),
    }
}

/// The statement that puts records there, and its arguments.
fn insert(rows: &[AuditRow]) -> (String, Vec<Val<'_>>) {
    let mut sql = String::from("INSERT INTO audit_event (id, at, transaction_code, outcome, body) VALUES ");
    let mut args = Vec::with_capacity(rows.len() * 5);
    for row in rows {
        let n = args.len();
        let comma = if n == 0 { "" } else { ", " };
        let _ = write!(sql, "{comma}(${}, ${}, ${}, ${}, ${})", n + 1, n + 2, n + 3, n + 4, n + 5);
        args.extend([
            Val::Text(&row.event.id),
            Val::I64(row.event.at),
            Val::Text(&row.event.transaction),
            Val::I64(row.event.outcome as i64),
            (&row.body).into(),
        ]);
    }
    (sql, args)
}

/// The least UUIDv7 of an instant.
pub fn least_id(at: i64) -> String {
    let millis = at.max(0) / 1000;
    format!("{:08x}-{:04x}-7000-8000-000000000000", millis >> 16, millis & 0xffff)
}

/// Records from `from` (microseconds since 1970) on, oldest first. Ids are UUIDv7, so their order is
/// time's and no further index is kept.
pub async fn since(tx: &mut Tx<'_>, from: i64, limit: i64) -> Result<Vec<AuditEvent>, DbError> {
    after(tx, &least_id(from), i64::MAX, limit).await
}

/// Records whose id is at least `id`, to the instant `until`, oldest first.
pub async fn after(tx: &mut Tx<'_>, id: &str, until: i64, limit: i64) -> Result<Vec<AuditEvent>, DbError> {
    // The id has milliseconds, and the last of them is in.
    let end = if until == i64::MAX { "g".to_owned() } else { least_id(until.saturating_add(1000)) };
    let sql = "SELECT body FROM audit_event WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3";
    tx.fetch(sql, &[Val::Text(id), Val::Text(&end), Val::I64(limit)], |row| event(row.text(0)?)).await
}

fn event(body: &str) -> Result<AuditEvent, DbError> {
    serde_json::from_str(body).map_err(|e| DbError::Decode { column: 0, message: e.to_string() })
}

/// `$n, …` for as many values, from `first` on.
fn places(first: usize, count: usize) -> String {
    (first..first + count).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ")
}

/// Records by their ids, in no order.
pub async fn by_ids(tx: &mut Tx<'_>, ids: &[String]) -> Result<Vec<AuditEvent>, DbError> {
    let mut found = vec![];
    for ids in ids.chunks(chain::AT_ONCE) {
        let sql = format!("SELECT body FROM audit_event WHERE id IN ({})", places(1, ids.len()));
        let args: Vec<Val<'_>> = ids.iter().map(Val::from).collect();
        found.extend(tx.fetch(sql, &args, |row| event(row.text(0)?)).await?);
    }
    Ok(found)
}
