//! A document as the registry has it now, for the decision whether it goes: its row, and what points to and from it.

use crate::model::metadata::DocumentEntry;
use crate::model::uuids::association_type;
use crate::store::db::{DbError, Tx, Val};

/// A DocumentEntry with its place in the registry.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    pub entry: DocumentEntry,
    pub patient_key: i64,
    pub lid: String,
    pub version: i64,
    /// 1 Approved, 2 Deprecated, 3 superseded by a newer version.
    pub status: i64,
}

/// An entry by its entryUUID; none if it was removed.
pub async fn get(tx: &mut Tx<'_>, id: &str) -> Result<Option<Placed>, DbError> {
    let sql = "SELECT d.body, d.patient_key, d.lid, d.version, d.status FROM object_id o JOIN document_entry d \
               ON d.patient_key = o.patient_key AND d.id = o.id WHERE o.id = $1 AND o.removed_at IS NULL";
    tx.fetch_opt(sql, &[id.into()], |row| {
        Ok(Placed {
            entry: serde_json::from_str(row.text(0)?)
                .map_err(|e| DbError::Decode { column: 0, message: e.to_string() })?,
            patient_key: row.get(1)?,
            lid: row.get(2)?,
            version: row.get(3)?,
            status: row.get(4)?,
        })
    })
    .await
}

/// The logicalID an entry had when it was removed.
pub async fn removed_lid(tx: &mut Tx<'_>, id: &str) -> Result<Option<String>, DbError> {
    let sql = "SELECT lid FROM document_entry_past WHERE id = $1 ORDER BY valid_to DESC LIMIT 1";
    tx.fetch_opt(sql, &[id.into()], |row| row.get(0)).await
}

/// How an entry relates to others, by Approved associations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Related {
    /// entryUUIDs it takes the place of.
    pub replaces: Vec<String>,
    pub appends: bool,
    /// entryUUIDs it is a transformation of.
    pub transforms: Vec<String>,
    /// entryUUIDs that take its place.
    pub replaced_by: Vec<String>,
}

pub async fn related(tx: &mut Tx<'_>, patient_key: i64, id: &str) -> Result<Related, DbError> {
    let mut related = Related::default();
    let kinds =
        [association_type::RPLC, association_type::XFRM_RPLC, association_type::APND, association_type::XFRM];
    let args: Vec<Val<'_>> =
        [Val::I64(patient_key), Val::Text(id)].into_iter().chain(kinds.map(Val::Text)).collect();
    let out: Vec<(String, String)> = tx
        .fetch(
            "SELECT assoc_type, target_id FROM association WHERE patient_key = $1 AND source_id = $2 \
             AND assoc_type IN ($3, $4, $5, $6) AND status = 1 ORDER BY id",
            &args,
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .await?;
    for (kind, target) in out {
        match kind {
            k if k == association_type::APND => related.appends = true,
            k if k == association_type::XFRM => related.transforms.push(target),
            _ => related.replaces.push(target),
        }
    }
    related.replaced_by = tx
        .fetch(
            "SELECT source_id FROM association WHERE patient_key = $1 AND target_id = $2 \
             AND assoc_type IN ($3, $4) AND status = 1 ORDER BY id",
            &args[..4],
            |row| row.get(0),
        )
        .await?;
    Ok(related)
}

/// intendedRecipient of the SubmissionSet that brought an entry, with the set's sourceId.
pub async fn recipients(tx: &mut Tx<'_>, patient_key: i64, id: &str) -> Result<Vec<String>, DbError> {
    let sets: Vec<String> = tx
        .fetch(
            "SELECT s.body FROM association a JOIN submission_set s ON s.patient_key = a.patient_key \
             AND s.id = a.source_id WHERE a.patient_key = $1 AND a.target_id = $2 ORDER BY a.registered_at LIMIT 1",
            &[Val::I64(patient_key), Val::Text(id)],
            |row| row.get(0),
        )
        .await?;
    let mut found = vec![];
    for body in sets {
        let set: crate::model::metadata::SubmissionSet =
            serde_json::from_str(&body).map_err(|e| DbError::Decode { column: 0, message: e.to_string() })?;
        found.extend(set.intended_recipient);
    }
    Ok(found)
}

/// The other documents that came in the same SubmissionSet and are Approved.
pub async fn beside(tx: &mut Tx<'_>, patient_key: i64, id: &str) -> Result<Vec<DocumentEntry>, DbError> {
    let has_member = association_type::HAS_MEMBER;
    tx.fetch(
        "SELECT d.body FROM association a JOIN association b ON b.patient_key = a.patient_key \
         AND b.source_id = a.source_id AND b.assoc_type = $3 JOIN document_entry d ON d.patient_key = b.patient_key \
         AND d.id = b.target_id WHERE a.patient_key = $1 AND a.target_id = $2 AND a.assoc_type = $3 AND d.id <> $2 \
         AND d.status = 1 ORDER BY d.id",
        &[Val::I64(patient_key), Val::Text(id), Val::Text(has_member)],
        |row| {
            serde_json::from_str(row.text(0)?)
                .map_err(|e| DbError::Decode { column: 0, message: e.to_string() })
        },
    )
    .await
}

/// The key of a document's octets in our repository.
pub async fn blob(tx: &mut Tx<'_>, unique_id: &str) -> Result<Option<String>, DbError> {
    let sql = "SELECT blob_key FROM repository_document WHERE unique_id = $1";
    tx.fetch_opt(sql, &[unique_id.into()], |row| row.get(0)).await
}

/// Whether the latest version of a document, by logicalID, is Approved.
pub async fn is_approved(tx: &mut Tx<'_>, lid: &str) -> Result<bool, DbError> {
    let sql = "SELECT id FROM document_entry WHERE lid = $1 AND status = 1 LIMIT 1";
    Ok(tx.fetch_opt(sql, &[lid.into()], |row| row.get::<String>(0)).await?.is_some())
}

/// The latest version of a document: entryUUID and patient.
pub async fn latest(tx: &mut Tx<'_>, lid: &str) -> Result<Option<(String, i64)>, DbError> {
    let sql = "SELECT id, patient_key FROM document_entry WHERE lid = $1 ORDER BY version DESC LIMIT 1";
    tx.fetch_opt(sql, &[lid.into()], |row| Ok((row.get(0)?, row.get(1)?))).await
}

/// Entries with a uniqueId, the newest first.
pub async fn of_unique_id(tx: &mut Tx<'_>, unique_id: &str) -> Result<Vec<String>, DbError> {
    let sql = "SELECT id FROM document_entry WHERE unique_id = $1 ORDER BY registered_at DESC, version DESC";
    tx.fetch(sql, &[unique_id.into()], |row| row.get(0)).await
}
