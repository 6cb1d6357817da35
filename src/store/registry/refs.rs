//! What a submission needs to know about objects already registered: who has an id, what a
//! reference points at, what hangs on a document that is replaced.

use super::kind;
use crate::model::ebrim::ObjectKind;
use crate::model::metadata::{AvailabilityStatus, EntryType};
use crate::model::uuids::association_type;
use crate::store::db::{DbError, Tx, Val};

/// The owner of an entryUUID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub kind: ObjectKind,
    pub patient_key: i64,
}

/// An object in the registry; not one that was removed.
pub async fn object(tx: &mut Tx<'_>, id: &str) -> Result<Option<Known>, DbError> {
    tx.fetch_opt(
        "SELECT kind, patient_key FROM object_id WHERE id = $1 AND removed_at IS NULL",
        &[Val::Text(id)],
        |row| Ok(Known { kind: kind::from_i64(row.get(0)?), patient_key: row.get(1)? }),
    )
    .await
}

/// Whether an object has or had this entryUUID.
pub async fn is_taken(tx: &mut Tx<'_>, id: &str) -> Result<bool, DbError> {
    let sql = "SELECT kind FROM object_id WHERE id = $1";
    Ok(tx.fetch_opt(sql, &[Val::Text(id)], |row| row.get::<i64>(0)).await?.is_some())
}

/// The patients an association is kept under: where it was registered, and where its target is, if a
/// SubmissionSet holds another patient's document by reference.
pub async fn keepers(tx: &mut Tx<'_>, association: &str) -> Result<Vec<i64>, DbError> {
    let Some(Known { patient_key, .. }) = object(tx, association).await? else { return Ok(vec![]) };
    let target: Option<i64> = tx
        .fetch_opt(
            "SELECT o.patient_key FROM association a JOIN object_id o ON o.id = a.target_id \
             WHERE a.patient_key = $1 AND a.id = $2",
            &[Val::I64(patient_key), Val::Text(association)],
            |row| row.get(0),
        )
        .await?;
    let mut keys = vec![patient_key];
    keys.extend(target.filter(|key| *key != patient_key));
    Ok(keys)
}

/// The first object that used a uniqueId.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstUse {
    pub kind: ObjectKind,
    pub hash: Option<String>,
    pub size: Option<i64>,
}

pub async fn unique_id(tx: &mut Tx<'_>, unique_id: &str) -> Result<Option<FirstUse>, DbError> {
    tx.fetch_opt(
        "SELECT kind, hash, size FROM unique_id WHERE unique_id = $1",
        &[Val::Text(unique_id)],
        |row| Ok(FirstUse { kind: kind::from_i64(row.get(0)?), hash: row.get(1)?, size: row.get(2)? }),
    )
    .await
}

/// `document_entry.entry_type`, whether Online or Offline.
fn entry_type(column: i64) -> EntryType {
    if matches!(column, 2 | 4) { EntryType::OnDemand } else { EntryType::Stable }
}

/// The type of the DocumentEntries with this uniqueId: they are all of one.
pub async fn type_of(tx: &mut Tx<'_>, unique_id: &str) -> Result<Option<EntryType>, DbError> {
    tx.fetch_opt(
        "SELECT entry_type FROM document_entry WHERE unique_id = $1 LIMIT 1",
        &[Val::Text(unique_id)],
        |row| Ok(entry_type(row.get(0)?)),
    )
    .await
}

pub async fn entry_state(
    tx: &mut Tx<'_>,
    patient_key: i64,
    id: &str,
) -> Result<Option<(AvailabilityStatus, EntryType)>, DbError> {
    tx.fetch_opt(
        "SELECT status, entry_type FROM document_entry WHERE patient_key = $1 AND id = $2",
        &[Val::I64(patient_key), Val::Text(id)],
        |row| Ok((AvailabilityStatus::from_i64(row.get(0)?), entry_type(row.get(1)?))),
    )
    .await
}

pub async fn folder_state(
    tx: &mut Tx<'_>,
    patient_key: i64,
    id: &str,
) -> Result<Option<AvailabilityStatus>, DbError> {
    tx.fetch_opt(
        "SELECT status FROM folder WHERE patient_key = $1 AND id = $2",
        &[Val::I64(patient_key), Val::Text(id)],
        |row| Ok(AvailabilityStatus::from_i64(row.get(0)?)),
    )
    .await
}

/// Transformations and addenda of a document, their latest versions: they fall with it when it is replaced.
pub async fn dependants(tx: &mut Tx<'_>, patient_key: i64, id: &str) -> Result<Vec<String>, DbError> {
    tx.fetch(
        "SELECT a.source_id FROM association a WHERE a.patient_key = $1 AND a.target_id = $2 \
         AND a.assoc_type IN ($3, $4) AND a.status = 1 AND NOT EXISTS (SELECT 1 FROM document_entry d \
         WHERE d.patient_key = a.patient_key AND d.id = a.source_id AND d.status = 3) ORDER BY a.id",
        &[
            Val::I64(patient_key),
            Val::Text(id),
            Val::Text(association_type::APND),
            Val::Text(association_type::XFRM),
        ],
        |row| row.get(0),
    )
    .await
}

/// Whether a document is itself the transformation of another.
pub async fn is_transformation(tx: &mut Tx<'_>, patient_key: i64, id: &str) -> Result<bool, DbError> {
    let found = tx
        .fetch_opt(
            "SELECT id FROM association WHERE patient_key = $1 AND source_id = $2 AND assoc_type = $3 \
             AND status = 1 LIMIT 1",
            &[Val::I64(patient_key), Val::Text(id), Val::Text(association_type::XFRM)],
            |row| row.get::<String>(0),
        )
        .await?;
    Ok(found.is_some())
}

/// Approved folders that hold a document.
pub async fn folders_of(tx: &mut Tx<'_>, patient_key: i64, id: &str) -> Result<Vec<String>, DbError> {
    tx.fetch(
        "SELECT f.id FROM association a JOIN folder f ON f.patient_key = a.patient_key AND f.id = a.source_id \
         WHERE a.patient_key = $1 AND a.target_id = $2 AND a.assoc_type = $3 AND a.status = 1 AND f.status = 1 \
         ORDER BY f.id",
        &[Val::I64(patient_key), Val::Text(id), Val::Text(association_type::HAS_MEMBER)],
        |row| row.get(0),
    )
    .await
}
