//! The audit trail at rest: append-only rows, in the transaction of whatever they record; chained afterwards
//! ([`chain`]), beside what other systems sent ([`received`]).

pub mod chain;
pub mod received;

use self::chain::Chain;
use crate::model::audit::AuditEvent;
use crate::store::db::{DbError, Tx, Val};
use crate::store::seen::{self, Seen};

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

/// Most records in one statement.
pub const TOGETHER: usize = 32;

const INSERT: &str =
    "INSERT INTO audit_event (id, at, transaction_code, outcome, body) VALUES ($1, $2, $3, $4, $5)";

fn args(row: &AuditRow) -> [Val<'_>; 5] {
    let AuditRow { event, body } = row;
    [
        Val::Text(&event.id),
        Val::I64(event.at),
        Val::Text(&event.transaction),
        Val::I64(event.outcome as i64),
        body.into(),
    ]
}

pub async fn append(tx: &mut Tx<'_>, row: &AuditRow) -> Result<(), DbError> {
    let columns = "INSERT INTO audit_event (id, at, transaction_code, outcome, body) SELECT * FROM unnest($1, $2, $3, $4, $5)";
    tx.later_row(columns, INSERT, &args(row)).await?;
    tx.later_row(
        "INSERT INTO audit_waiting (chain, id) SELECT * FROM unnest($1, $2)",
        "INSERT INTO audit_waiting (chain, id) VALUES ($1, $2)",
        &[Val::Text(Chain::Own.as_str()), Val::Text(&row.event.id)],
    )
    .await
}

/// A record, and with it the note of the message it is about, where messages are noted.
#[derive(Debug)]
pub struct Noting {
    pub row: AuditRow,
    pub seen: Option<Seen>,
}

/// Appends records of messages that came for the first time; `false` of those whose message did not, which are not
/// written. May be run twice: what is there is there once, and waits for the chain once. SQLite is given one at a time.
pub async fn append_together(tx: &mut Tx<'_>, records: &[Noting]) -> Result<Vec<bool>, DbError> {
    if tx.is_postgres() {
        return append_arrays(tx, records).await;
    }
    let mut taken = Vec::with_capacity(records.len());
    for Noting { row, seen } in records {
        if let Some(seen) = seen {
            let first = seen::first(tx, seen).await?;
            if !first.new && !first.same {
                taken.push(false);
                continue;
            }
        }
        if tx.exec(format!("{INSERT} ON CONFLICT (id) DO NOTHING"), &args(row)).await? == 1 {
            chain::wait(tx, Chain::Own, &[&row.event.id]).await?;
        }
        taken.push(true);
    }
    Ok(taken)
}

/// One statement for however many there are. The row of a note tells by its bearer whose it is: of a message that was
/// noted before, another's; of a statement that is run again, its own.
async fn append_arrays(tx: &mut Tx<'_>, records: &[Noting]) -> Result<Vec<bool>, DbError> {
    let events = || records.iter().map(|record| &record.row.event);
    let ids: Vec<&str> = events().map(|event| event.id.as_str()).collect();
    let times: Vec<i64> = events().map(|event| event.at).collect();
    let codes: Vec<&str> = events().map(|event| event.transaction.as_str()).collect();
    let outcomes: Vec<i64> = events().map(|event| event.outcome as i64).collect();
    let bodies: Vec<&str> = records.iter().map(|record| record.row.body.as_str()).collect();
    let seen = || records.iter().map(|record| record.seen.as_ref());
    if seen().all(|seen| seen.is_none()) {
        // Two thirds of what the other costs.
        let sql = "WITH made AS (INSERT INTO audit_event (id, at, transaction_code, outcome, body) \
                   SELECT * FROM unnest($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING RETURNING id) \
                   INSERT INTO audit_waiting (chain, id) SELECT $6, id FROM made";
        let args = [
            Val::Texts(&ids),
            Val::I64s(&times),
            Val::Texts(&codes),
            Val::I64s(&outcomes),
            Val::Texts(&bodies),
            Val::Text(Chain::Own.as_str()),
        ];
        tx.exec(sql, &args).await?;
        return Ok(vec![true; records.len()]);
    }
    let sql = "WITH given AS (SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) \
               AS g(id, at, transaction_code, outcome, body, key, bearer, until)), \
               noted AS (INSERT INTO xua_seen (key, bearer, until) SELECT key, bearer, until FROM given \
               WHERE key <> '' ORDER BY key ON CONFLICT (key) DO NOTHING RETURNING key, bearer), \
               taken AS (SELECT * FROM given g WHERE key = '' \
               OR EXISTS (SELECT 1 FROM noted n WHERE n.key = g.key AND n.bearer = g.bearer) \
               OR EXISTS (SELECT 1 FROM xua_seen s WHERE s.key = g.key AND s.bearer = g.bearer)), \
               made AS (INSERT INTO audit_event (id, at, transaction_code, outcome, body) \
               SELECT id, at, transaction_code, outcome, body FROM taken ON CONFLICT (id) DO NOTHING RETURNING id), \
               waits AS (INSERT INTO audit_waiting (chain, id) SELECT $9, id FROM made) \
               SELECT id FROM taken";
    let keys: Vec<&str> = seen().map(|seen| seen.map_or("", |seen| &seen.key)).collect();
    let bearers: Vec<&str> = seen().map(|seen| seen.map_or("", |seen| &seen.bearer)).collect();
    let ends: Vec<i64> = seen().map(|seen| seen.map_or(0, |seen| seen.until)).collect();
    let args = [
        Val::Texts(&ids),
        Val::I64s(&times),
        Val::Texts(&codes),
        Val::I64s(&outcomes),
        Val::Texts(&bodies),
        Val::Texts(&keys),
        Val::Texts(&bearers),
        Val::I64s(&ends),
        Val::Text(Chain::Own.as_str()),
    ];
    let taken: Vec<String> = tx.fetch(sql, &args, |row| row.get(0)).await?;
    Ok(ids.iter().map(|id| taken.iter().any(|taken| taken == id)).collect())
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
