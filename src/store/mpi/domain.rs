//! Assigning authorities that operators added: a row each, as it would stand in the configuration.

use crate::store::db::{DbError, Tx};

/// A row of `mpi_domain`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub oid: String,
    /// JSON.
    pub body: String,
    /// Microseconds since 1970.
    pub added_at: i64,
    pub added_by: String,
    pub retired: Option<(i64, String)>,
}

/// All of them, in order of their OIDs.
pub async fn all(tx: &mut Tx<'_>) -> Result<Vec<Kept>, DbError> {
    let sql = "SELECT oid, body, added_at, added_by, retired_at, retired_by FROM mpi_domain ORDER BY oid";
    tx.fetch(sql, &[], |row| {
        let (at, by): (Option<i64>, Option<String>) = (row.get(4)?, row.get(5)?);
        Ok(Kept {
            oid: row.get(0)?,
            body: row.get(1)?,
            added_at: row.get(2)?,
            added_by: row.get(3)?,
            retired: at.zip(by),
        })
    })
    .await
}

/// How many there are, and when the last was changed: together they differ after every change.
pub async fn stamp(tx: &mut Tx<'_>) -> Result<(i64, i64), DbError> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT), CAST(COALESCE(MAX(changed_at), 0) AS BIGINT) FROM mpi_domain";
    tx.fetch_one(sql, &[], |row| Ok((row.get(0)?, row.get(1)?))).await
}

/// Adds one, or brings a retired one back with what is now said of it.
pub async fn put(tx: &mut Tx<'_>, oid: &str, body: &str, at: i64, by: &str) -> Result<(), DbError> {
    tx.exec(
        "INSERT INTO mpi_domain (oid, body, added_at, added_by, changed_at) VALUES ($1, $2, $3, $4, $3) \
         ON CONFLICT (oid) DO UPDATE SET body = $2, retired_at = NULL, retired_by = NULL, changed_at = $3",
        &[oid.into(), body.into(), at.into(), by.into()],
    )
    .await?;
    Ok(())
}

/// False if there is none, or it is retired.
pub async fn retire(tx: &mut Tx<'_>, oid: &str, at: i64, by: &str) -> Result<bool, DbError> {
    let sql = "UPDATE mpi_domain SET retired_at = $2, retired_by = $3, changed_at = $2 WHERE oid = $1 \
               AND retired_at IS NULL";
    Ok(tx.exec(sql, &[oid.into(), at.into(), by.into()]).await? == 1)
}
