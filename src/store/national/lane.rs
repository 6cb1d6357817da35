//! Lanes: one for each institution, shared by all gateways of the database.

use crate::store::db::{DbError, Row, Tx};

/// A row of `national_lane`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lane {
    pub institution: String,
    pub paused_at: Option<i64>,
    pub paused_by: Option<String>,
    /// In a row.
    pub failures: i64,
    pub rest_until: i64,
    pub window_at: i64,
    pub window_calls: i64,
    pub last_done_at: Option<i64>,
    pub last_failure_at: Option<i64>,
    pub last_failure: Option<String>,
}

const COLUMNS: &str = "institution, paused_at, paused_by, failures, rest_until, window_at, window_calls, last_done_at, \
                       last_failure_at, last_failure";

fn read(row: &Row<'_>) -> Result<Lane, DbError> {
    Ok(Lane {
        institution: row.get(0)?,
        paused_at: row.get(1)?,
        paused_by: row.get(2)?,
        failures: row.get(3)?,
        rest_until: row.get(4)?,
        window_at: row.get(5)?,
        window_calls: row.get(6)?,
        last_done_at: row.get(7)?,
        last_failure_at: row.get(8)?,
        last_failure: row.get(9)?,
    })
}

/// Adds a lane; nothing happens if it is there.
pub async fn add(tx: &mut Tx<'_>, institution: &str) -> Result<(), DbError> {
    tx.exec(
        "INSERT INTO national_lane (institution, failures, rest_until, window_at, window_calls) \
         VALUES ($1, 0, 0, 0, 0) ON CONFLICT DO NOTHING",
        &[institution.into()],
    )
    .await?;
    Ok(())
}

/// A lane, held until the transaction ends: whoever claims from it waits for whoever else does.
pub async fn hold(tx: &mut Tx<'_>, institution: &str) -> Result<Option<Lane>, DbError> {
    let held = if tx.is_postgres() { " FOR UPDATE" } else { "" };
    let sql = format!("SELECT {COLUMNS} FROM national_lane WHERE institution = $1{held}");
    tx.fetch_opt(sql, &[institution.into()], read).await
}

pub async fn get(tx: &mut Tx<'_>, institution: &str) -> Result<Option<Lane>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM national_lane WHERE institution = $1");
    tx.fetch_opt(sql, &[institution.into()], read).await
}

pub async fn all(tx: &mut Tx<'_>) -> Result<Vec<Lane>, DbError> {
    tx.fetch(format!("SELECT {COLUMNS} FROM national_lane ORDER BY institution"), &[], read).await
}

/// Writes a lane that is held.
pub async fn put(tx: &mut Tx<'_>, l: &Lane) -> Result<(), DbError> {
    tx.exec(
        "UPDATE national_lane SET failures = $2, rest_until = $3, window_at = $4, window_calls = $5, \
         last_done_at = $6, last_failure_at = $7, last_failure = $8 WHERE institution = $1",
        &[
            (&l.institution).into(),
            l.failures.into(),
            l.rest_until.into(),
            l.window_at.into(),
            l.window_calls.into(),
            l.last_done_at.into(),
            l.last_failure_at.into(),
            (&l.last_failure).into(),
        ],
    )
    .await?;
    Ok(())
}

/// An operator's word: nothing is sent for the institution until it is taken back.
pub async fn pause(tx: &mut Tx<'_>, institution: &str, by: Option<(&str, i64)>) -> Result<bool, DbError> {
    add(tx, institution).await?;
    let done = match by {
        Some((by, at)) => {
            let sql = "UPDATE national_lane SET paused_at = $2, paused_by = $3 WHERE institution = $1 \
                       AND paused_at IS NULL";
            tx.exec(sql, &[institution.into(), at.into(), by.into()]).await?
        }
        // Whoever resumes it wants to see it go.
        None => {
            let sql = "UPDATE national_lane SET paused_at = NULL, paused_by = NULL, failures = 0, rest_until = 0 \
                       WHERE institution = $1 AND (paused_at IS NOT NULL OR rest_until > 0)";
            tx.exec(sql, &[institution.into()]).await?
        }
    };
    Ok(done == 1)
}
