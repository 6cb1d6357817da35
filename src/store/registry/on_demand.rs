//! On-demand entries as a repository looks them up to make their documents, and the snapshots there are.

use super::row::{self, RowError};
use crate::model::ebrim::ObjectKind;
use crate::model::metadata::{AssociationType, AtRest};
use crate::store::consent::Gate;
use crate::store::db::{DbError, Tx, Val};

/// Approved on-demand entries with a uniqueId at a repository, the latest first, with their patients. A uniqueId
/// may stand on several (ITI TF-2 3.61.4.1.3). Those that the gate does not let pass are not among them.
pub async fn entries(
    tx: &mut Tx<'_>,
    repository: &str,
    unique_id: &str,
    gate: &mut Gate<'_>,
) -> Result<Vec<(i64, AtRest)>, RowError> {
    let kind = ObjectKind::DocumentEntry;
    let sql = format!(
        "SELECT {} FROM document_entry d WHERE d.unique_id = $1 AND d.repository_unique_id = $2 \
         AND d.entry_type = 2 AND d.status = 1 ORDER BY d.registered_at DESC, d.id DESC",
        row::table(kind).object
    );
    let found = tx
        .fetch(sql, &[Val::Text(unique_id), Val::Text(repository)], |row| {
            // The inner failure is the row's and not the database's.
            Ok(row::object(kind, row).and_then(|object| Ok((row.get(0).map_err(RowError::Db)?, object))))
        })
        .await?;
    let found = found.into_iter().collect::<Result<Vec<(i64, AtRest)>, RowError>>()?;
    let keys: Vec<i64> = found.iter().map(|(key, _)| *key).collect();
    gate.meet(tx, &keys).await?;
    Ok(found.into_iter().filter(|(key, entry)| gate.shows_entry(*key, &entry.body)).collect())
}

/// The present version of a snapshot: a stable entry that was registered with IsSnapshotOf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// logicalID of the on-demand entry.
    pub of: String,
    pub logical_id: String,
    pub entry_uuid: String,
    pub unique_id: String,
    pub approved: bool,
    /// Its document is in our repository.
    pub kept: bool,
}

/// A repository's own snapshots of a patient's on-demand entries there, whatever version of either end the
/// association names. What others register as a snapshot is their document.
pub async fn snapshots(
    tx: &mut Tx<'_>,
    patient_key: i64,
    repository: &str,
) -> Result<Vec<Snapshot>, DbError> {
    tx.fetch(
        "SELECT DISTINCT t.lid, d.lid, d.id, d.unique_id, d.status, \
         (SELECT COUNT(*) FROM repository_document r WHERE r.unique_id = d.unique_id) FROM association a \
         CROSS JOIN document_entry t CROSS JOIN document_entry s CROSS JOIN document_entry d \
         WHERE a.patient_key = $1 AND a.assoc_type = $2 \
         AND t.patient_key = a.patient_key AND t.id = a.target_id AND t.repository_unique_id = $3 \
         AND s.patient_key = a.patient_key AND s.id = a.source_id \
         AND d.lid = s.lid AND d.patient_key = a.patient_key AND d.status <> 3 \
         AND d.repository_unique_id = $3 ORDER BY d.id",
        &[Val::I64(patient_key), Val::Text(AssociationType::IsSnapshotOf.urn()), Val::Text(repository)],
        |row| {
            Ok(Snapshot {
                of: row.get(0)?,
                logical_id: row.get(1)?,
                entry_uuid: row.get(2)?,
                unique_id: row.get(3)?,
                approved: row.get::<i64>(4)? == 1,
                kept: row.get::<i64>(5)? == 1,
            })
        },
    )
    .await
}

/// When the patient's registry last changed by anything but `transaction`; none if its history is empty.
pub async fn last_change(
    tx: &mut Tx<'_>,
    patient_key: i64,
    transaction: &str,
) -> Result<Option<i64>, DbError> {
    tx.fetch_opt(
        "SELECT at FROM change WHERE patient_key = $1 AND transaction_code <> $2 ORDER BY seq DESC LIMIT 1",
        &[Val::I64(patient_key), Val::Text(transaction)],
        |row| row.get(0),
    )
    .await
}
