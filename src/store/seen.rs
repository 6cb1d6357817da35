//! What was brought, by whom, and until when that matters: hashes alone. Times are microseconds since 1970.

use crate::store::db::{DbError, Tx, Val};

/// How a note stands to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct First {
    /// Nobody brought it before.
    pub new: bool,
    /// Who brings it is who brought it first.
    pub same: bool,
}

/// A note as its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub key: String,
    pub bearer: String,
    pub until: i64,
}

impl Seen {
    pub fn new(key: &[u8; 32], bearer: &[u8; 32], until: i64) -> Self {
        let hex = |hash: &[u8; 32]| hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { key: hex(key), bearer: hex(bearer), until }
    }
}

/// Notes that somebody brings something, if nobody did before; of two at once one is first.
pub async fn first(tx: &mut Tx<'_>, seen: &Seen) -> Result<First, DbError> {
    let Seen { key, bearer, until } = seen;
    let done = tx
        .exec(
            "INSERT INTO xua_seen (key, bearer, until) VALUES ($1, $2, $3) ON CONFLICT (key) DO NOTHING",
            &[Val::Text(key), Val::Text(bearer), Val::I64(*until)],
        )
        .await?;
    if done == 1 {
        return Ok(First { new: true, same: true });
    }
    let sql = "SELECT bearer FROM xua_seen WHERE key = $1";
    let known: Vec<String> = tx.fetch(sql, &[Val::Text(key)], |r| r.get(0)).await?;
    Ok(First { new: false, same: known.first() == Some(bearer) })
}

/// Removes at most `limit` notes that were over by `now`; how many.
pub async fn forget(tx: &mut Tx<'_>, now: i64, limit: i64) -> Result<u64, DbError> {
    let these = tx.among("SELECT key FROM xua_seen WHERE until <= $1 LIMIT $2");
    let sql = format!("DELETE FROM xua_seen WHERE key {these}");
    tx.exec(sql, &[Val::I64(now), Val::I64(limit)]).await
}
