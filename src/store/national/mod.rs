//! What goes to the national record-sharing service: lineages, decisions, deliveries, lanes, facts.

pub mod coverage;
pub mod decision;
pub mod delivery;
pub mod entry;
pub mod fact;
pub mod lane;
pub mod lineage;

use serde::{Deserialize, Serialize};

use crate::store::db::{DbError, Tx, Val};

/// `outbox.kind` of a change that is to be looked at.
pub const CHANGE: &str = "national-change";

/// Payload of an outbox row: entries of a patient to decide on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    pub patient_key: i64,
    /// entryUUIDs.
    pub entries: Vec<String>,
}

/// Says whether changes of the registry are to be looked at.
pub async fn switch(tx: &mut Tx<'_>, on: bool, now: i64) -> Result<(), DbError> {
    match on {
        true => {
            let sql = "INSERT INTO national_switch (name, since) VALUES ('feed', $1) ON CONFLICT DO NOTHING";
            tx.exec(sql, &[now.into()]).await?
        }
        false => tx.exec("DELETE FROM national_switch WHERE name = 'feed'", &[]).await?,
    };
    Ok(())
}

pub async fn is_on(tx: &mut Tx<'_>) -> Result<bool, DbError> {
    let sql = "SELECT name FROM national_switch WHERE name = 'feed'";
    Ok(tx.fetch_opt(sql, &[], |row| row.get::<String>(0)).await?.is_some())
}

/// Leaves a row for a change of these entries, in its transaction, if such changes are looked at. Nothing else of the
/// national side happens there.
pub async fn changed(tx: &mut Tx<'_>, changed: &Changed, at: i64) -> Result<(), DbError> {
    let payload = serde_json::to_string(changed)
        .map_err(|e| DbError::Sql(format!("changed entries cannot be written as JSON: {e}")))?;
    let id = uuid::Uuid::now_v7().to_string();
    let stream = format!("national:{}", changed.patient_key);
    tx.insert(
        "INSERT INTO outbox (id, kind, stream, payload, created_at, not_before, attempts, lease_until, ordinal) \
         SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS BIGINT), \
         CAST($5 AS BIGINT), 0, 0, 0 FROM national_switch WHERE name = 'feed'",
        &[(&id).into(), CHANGE.into(), (&stream).into(), (&payload).into(), Val::I64(at)],
    )
    .await
}
