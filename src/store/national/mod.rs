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
    /// Not the documents changed, but what is permitted with them: what was never decided on stays so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
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

/// Has everything decided anew that is Approved of a patient: what is permitted, or known, has changed.
pub async fn reconsider(tx: &mut Tx<'_>, patient_key: i64, at: i64) -> Result<(), DbError> {
    if !is_on(tx).await? {
        return Ok(());
    }
    let sql = "SELECT id FROM document_entry WHERE patient_key = $1 AND status = 1 ORDER BY id";
    let entries: Vec<String> = tx.fetch(sql, &[patient_key.into()], |row| row.get(0)).await?;
    match entries.is_empty() {
        true => Ok(()),
        false => changed(tx, &Changed { patient_key, entries, again: true }, at).await,
    }
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
