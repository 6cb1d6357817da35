//! Demographics queries whose rest may still be asked for.

use crate::store::db::{DbError, Tx};

/// A row of `mpi_query`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// Results given so far.
    pub place: i64,
    /// JSON.
    pub body: String,
}

/// Keeps a question, in place of one of the same name; forgets those whose time is over.
pub async fn put(
    tx: &mut Tx<'_>,
    asker: &str,
    query_id: &str,
    open: &Open,
    now: i64,
    expires_at: i64,
) -> Result<(), DbError> {
    tx.exec("DELETE FROM mpi_query WHERE expires_at < $1", &[now.into()]).await?;
    tx.exec(
        "INSERT INTO mpi_query (asker, query_id, expires_at, place, body) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (asker, query_id) DO UPDATE SET expires_at = excluded.expires_at, place = excluded.place, \
         body = excluded.body",
        &[asker.into(), query_id.into(), expires_at.into(), open.place.into(), (&open.body).into()],
    )
    .await?;
    Ok(())
}

pub async fn get(tx: &mut Tx<'_>, asker: &str, query_id: &str, now: i64) -> Result<Option<Open>, DbError> {
    tx.fetch_opt(
        "SELECT place, body FROM mpi_query WHERE asker = $1 AND query_id = $2 AND expires_at >= $3",
        &[asker.into(), query_id.into(), now.into()],
        |row| Ok(Open { place: row.get(0)?, body: row.get(1)? }),
    )
    .await
}

pub async fn set_place(tx: &mut Tx<'_>, asker: &str, query_id: &str, place: i64) -> Result<(), DbError> {
    tx.exec(
        "UPDATE mpi_query SET place = $3 WHERE asker = $1 AND query_id = $2",
        &[asker.into(), query_id.into(), place.into()],
    )
    .await?;
    Ok(())
}

/// Forgets a question; false if there was none.
pub async fn drop(tx: &mut Tx<'_>, asker: &str, query_id: &str) -> Result<bool, DbError> {
    let sql = "DELETE FROM mpi_query WHERE asker = $1 AND query_id = $2";
    Ok(tx.exec(sql, &[asker.into(), query_id.into()]).await? > 0)
}
