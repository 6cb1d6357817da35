//! What a patient owns, for merges of patients.

use super::state;
use crate::model::ebrim::ObjectKind;
use crate::model::uuids::association_type;
use crate::store::db::{DbError, Tx, Val};

/// Everything: entries, SubmissionSets and Folders before what joins them.
pub async fn all(tx: &mut Tx<'_>, patient_key: i64) -> Result<Vec<(ObjectKind, String)>, DbError> {
    let mut found = vec![];
    for kept in state::all() {
        let sql = format!("SELECT id FROM {} WHERE patient_key = $1 ORDER BY id", kept.table);
        let ids = tx.fetch(sql, &[Val::I64(patient_key)], |row| row.get::<String>(0)).await?;
        found.extend(ids.into_iter().map(|id| (kept.kind, id)));
    }
    Ok(found)
}

/// What was registered for one patient and is another's now.
pub async fn first_of(
    tx: &mut Tx<'_>,
    origin: i64,
    holder: i64,
) -> Result<Vec<(ObjectKind, String)>, DbError> {
    tx.fetch(
        "SELECT kind, id FROM object_id WHERE origin_key = $1 AND patient_key = $2 AND removed_at IS NULL \
         ORDER BY kind, id",
        &[Val::I64(origin), Val::I64(holder)],
        |row| Ok((super::kind::from_i64(row.get(0)?), row.get(1)?)),
    )
    .await
}

/// Associations of other patients that are kept under `holder` and name something of `patient`.
pub async fn by_reference(tx: &mut Tx<'_>, holder: i64, patient: i64) -> Result<Vec<String>, DbError> {
    tx.fetch(
        "SELECT a.id FROM association a JOIN object_id o ON o.id = a.id JOIN object_id t ON t.id = a.target_id \
         WHERE a.patient_key = $1 AND o.patient_key <> $1 AND t.patient_key = $2 ORDER BY a.id",
        &[Val::I64(holder), Val::I64(patient)],
        |row| row.get(0),
    )
    .await
}

/// What an association kept under a patient points at.
pub async fn target(tx: &mut Tx<'_>, patient_key: i64, association: &str) -> Result<Option<String>, DbError> {
    let sql = "SELECT target_id FROM association WHERE patient_key = $1 AND id = $2";
    tx.fetch_opt(sql, &[Val::I64(patient_key), Val::Text(association)], |row| row.get(0)).await
}

/// Objects of one kind: entryUUID and body.
pub async fn bodies(
    tx: &mut Tx<'_>,
    of: ObjectKind,
    patient_key: i64,
) -> Result<Vec<(String, String)>, DbError> {
    let sql = format!("SELECT id, body FROM {} WHERE patient_key = $1 ORDER BY id", state::kept(of).table);
    tx.fetch(sql, &[Val::I64(patient_key)], |row| Ok((row.get(0)?, row.get(1)?))).await
}

/// An association's ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joins {
    pub id: String,
    pub source: String,
    pub target: String,
    /// HasMember.
    pub is_member: bool,
}

pub async fn associations(tx: &mut Tx<'_>, patient_key: i64) -> Result<Vec<Joins>, DbError> {
    tx.fetch(
        "SELECT id, source_id, target_id, assoc_type FROM association WHERE patient_key = $1 ORDER BY id",
        &[Val::I64(patient_key)],
        |row| {
            Ok(Joins {
                id: row.get(0)?,
                source: row.get(1)?,
                target: row.get(2)?,
                is_member: row.text(3)? == association_type::HAS_MEMBER,
            })
        },
    )
    .await
}
