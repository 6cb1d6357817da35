//! The repository's own index: which bytes stand behind a uniqueId.

use crate::model::consent::Permit;
use crate::store::db::{DbError, Row, Tx, Val};
use crate::store::tables::{self, Kind, TableError};

/// One stored document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDocument {
    pub unique_id: String,
    /// SHA-256 in hex: the key of the bytes.
    pub blob_key: String,
    pub mime_type: String,
    pub size: i64,
    /// SHA-1 in hex.
    pub hash: String,
    /// The patient it was submitted for, as CX text.
    pub patient_id: String,
}

/// Adds a document; false if its uniqueId is taken.
pub async fn put(tx: &mut Tx<'_>, d: &StoredDocument, at: i64) -> Result<bool, DbError> {
    tx.exec(
        "INSERT INTO blob (key, size, sha1, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        &[Val::Text(&d.blob_key), Val::I64(d.size), Val::Text(&d.hash), Val::I64(at)],
    )
    .await?;
    let done = tx
        .exec(
            "INSERT INTO repository_document (unique_id, blob_key, mime_type, size, hash, patient_pid, stored_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
            &[
                Val::Text(&d.unique_id),
                Val::Text(&d.blob_key),
                Val::Text(&d.mime_type),
                Val::I64(d.size),
                Val::Text(&d.hash),
                Val::Text(&d.patient_id),
                Val::I64(at),
            ],
        )
        .await?;
    Ok(done == 1)
}

/// Hash and size behind a uniqueId: what a submission must agree with.
pub async fn content(tx: &mut Tx<'_>, unique_id: &str) -> Result<Option<(String, i64)>, DbError> {
    tx.fetch_opt(
        "SELECT hash, size FROM repository_document WHERE unique_id = $1",
        &[Val::Text(unique_id)],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
    .await
}

/// Takes a document out of the index again; false if there is none.
pub async fn forget(tx: &mut Tx<'_>, unique_id: &str) -> Result<bool, DbError> {
    let sql = "DELETE FROM repository_document WHERE unique_id = $1";
    Ok(tx.exec(sql, &[Val::Text(unique_id)]).await? == 1)
}

pub async fn get(
    tx: &mut Tx<'_>,
    unique_id: &str,
    _permit: &Permit,
) -> Result<Option<StoredDocument>, DbError> {
    find(tx, unique_id).await
}

/// The same for those who look after documents and give none out.
pub async fn find(tx: &mut Tx<'_>, unique_id: &str) -> Result<Option<StoredDocument>, DbError> {
    tx.fetch_opt(FIND, &[Val::Text(unique_id)], stored).await
}

const FIND: &str = "SELECT unique_id, blob_key, mime_type, size, hash, patient_pid FROM repository_document \
                    WHERE unique_id = $1";

fn stored(row: &Row<'_>) -> Result<StoredDocument, DbError> {
    Ok(StoredDocument {
        unique_id: row.get(0)?,
        blob_key: row.get(1)?,
        mime_type: row.get(2)?,
        size: row.get(3)?,
        hash: row.get(4)?,
        patient_id: row.get(5)?,
    })
}

/// A page of the index in order of uniqueId, after `after`: for those who look after documents and not into
/// them.
pub async fn list(tx: &mut Tx<'_>, after: &str, limit: i64) -> Result<Vec<StoredDocument>, DbError> {
    tx.fetch(
        "SELECT unique_id, blob_key, mime_type, size, hash, patient_pid FROM repository_document \
         WHERE unique_id > $1 ORDER BY unique_id LIMIT $2",
        &[Val::Text(after), Val::I64(limit)],
        stored,
    )
    .await
}

/// Writes the key and size of everything documents stand on, in order of key, a JSON array a line; how many.
pub async fn contents(
    tx: &mut Tx<'_>,
    file: &str,
    out: &mut (dyn std::io::Write + Send),
) -> Result<u64, TableError> {
    tables::lines(
        tx,
        "SELECT blob_key, MAX(size) FROM repository_document GROUP BY blob_key ORDER BY blob_key",
        vec![Kind::Text, Kind::Integer],
        file,
        out,
    )
    .await
}

/// Which of these keys a document still stands on.
pub async fn referenced(tx: &mut Tx<'_>, keys: &[String]) -> Result<Vec<String>, DbError> {
    let mut kept = vec![];
    for key in keys {
        let found = tx
            .fetch_opt(
                "SELECT blob_key FROM repository_document WHERE blob_key = $1 LIMIT 1",
                &[Val::Text(key)],
                |row| row.get::<String>(0),
            )
            .await?;
        kept.extend(found);
    }
    Ok(kept)
}
