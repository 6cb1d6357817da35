//! The repository's own index: which bytes stand behind a uniqueId.

use crate::model::metadata::EntryType;
use crate::store::consent::Gate;
use crate::store::db::{DbError, Row, Tx, Val};
use crate::store::registry::put::entry_type_column;
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

/// What adding a document came to.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    New,
    /// Its uniqueId is there already.
    Taken,
    /// Its octets are being swept away: nothing may stand on them before they are stored again.
    Condemned,
}

/// Adds a document. Its octets are safe from the sweeper from then on: see `condemn`.
pub async fn put(tx: &mut Tx<'_>, d: &StoredDocument, at: i64) -> Result<Put, DbError> {
    let new = tx
        .exec(
            "INSERT INTO blob (key, size, sha1, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            &[Val::Text(&d.blob_key), Val::I64(d.size), Val::Text(&d.hash), Val::I64(at)],
        )
        .await?;
    if new == 0 && is_condemned(tx, &d.blob_key).await? {
        return Ok(Put::Condemned);
    }
    for _ in 0..ROUNDS {
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
        // What is there must still be there when this commits: a removal under way would take it.
        if done == 1 || hold(tx, &d.unique_id, Hold::Keep).await? {
            return Ok(if done == 1 { Put::New } else { Put::Taken });
        }
    }
    Err(DbError::Conflict)
}

/// Holds the row of known octets against the sweeper; registrations do not wait for each other.
async fn is_condemned(tx: &mut Tx<'_>, key: &str) -> Result<bool, DbError> {
    let sql = match tx.is_postgres() {
        true => "SELECT condemned_at FROM blob WHERE key = $1 FOR SHARE",
        false => "SELECT condemned_at FROM blob WHERE key = $1",
    };
    let found = tx.fetch_opt(sql, &[Val::Text(key)], |row| row.get::<Option<i64>>(0)).await?;
    // A row that fell meanwhile is the sweeper's forgetting; the next attempt makes it anew.
    Ok(found.ok_or(DbError::Conflict)?.is_some())
}

/// How often a removal may come between finding a document and holding it.
const ROUNDS: usize = 4;

/// What a document's row is held for, to the end of the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Nobody removes it; others may keep it too.
    Keep,
    /// Nobody else keeps or removes it.
    Remove,
}

/// Holds a document's row; false if there is none.
pub async fn hold(tx: &mut Tx<'_>, unique_id: &str, how: Hold) -> Result<bool, DbError> {
    // On SQLite, where one writes at a time, the lock is there already.
    let sql = match (tx.is_postgres(), how) {
        (true, Hold::Keep) => "SELECT unique_id FROM repository_document WHERE unique_id = $1 FOR KEY SHARE",
        (true, Hold::Remove) => "SELECT unique_id FROM repository_document WHERE unique_id = $1 FOR UPDATE",
        (false, _) => "SELECT unique_id FROM repository_document WHERE unique_id = $1",
    };
    let found = tx.fetch_opt(sql, &[Val::Text(unique_id)], |row| row.get::<String>(0)).await?;
    Ok(found.is_some())
}

/// The entryUUID of a registered DocumentEntry, of any status or version, whose document this is.
pub async fn entry_of(
    tx: &mut Tx<'_>,
    unique_id: &str,
    repository_unique_id: &str,
) -> Result<Option<String>, DbError> {
    tx.fetch_opt(
        "SELECT id FROM document_entry WHERE unique_id = $1 AND repository_unique_id = $2 LIMIT 1",
        &[Val::Text(unique_id), Val::Text(repository_unique_id)],
        |row| row.get(0),
    )
    .await
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

/// Makes a document another patient's (CX); whose it was first is kept until it comes back to them.
pub async fn set_patient(tx: &mut Tx<'_>, unique_id: &str, patient_id: &str) -> Result<(), DbError> {
    tx.exec(
        "UPDATE repository_document SET origin_pid = CASE WHEN origin_pid = $2 THEN NULL \
         ELSE COALESCE(origin_pid, patient_pid) END, patient_pid = $2 WHERE unique_id = $1",
        &[Val::Text(unique_id), Val::Text(patient_id)],
    )
    .await?;
    Ok(())
}

/// Documents of a patient's current entries that the index has under `pid`.
pub async fn of_patient(tx: &mut Tx<'_>, patient_key: i64, pid: &str) -> Result<Vec<String>, DbError> {
    tx.fetch(
        "SELECT r.unique_id FROM repository_document r WHERE r.patient_pid = $2 AND r.unique_id IN \
         (SELECT d.unique_id FROM document_entry d WHERE d.patient_key = $1) ORDER BY r.unique_id",
        &[Val::I64(patient_key), Val::Text(pid)],
        |row| row.get(0),
    )
    .await
}

/// Documents that were a patient's first and are under `pid` now.
pub async fn first_of(tx: &mut Tx<'_>, origin: &str, pid: &str) -> Result<Vec<String>, DbError> {
    tx.fetch(
        "SELECT unique_id FROM repository_document WHERE origin_pid = $1 AND patient_pid = $2 ORDER BY unique_id",
        &[Val::Text(origin), Val::Text(pid)],
        |row| row.get(0),
    )
    .await
}

/// Takes a document out of the index again; false if there is none.
pub async fn forget(tx: &mut Tx<'_>, unique_id: &str) -> Result<bool, DbError> {
    let sql = "DELETE FROM repository_document WHERE unique_id = $1";
    Ok(tx.exec(sql, &[Val::Text(unique_id)]).await? == 1)
}

/// Whether our registry says that a document cannot be retrieved at present: documentAvailability is Offline
/// in the latest version of every entry that names it (ITI Metadata Update 4.2.3.2.30).
pub async fn is_offline(
    tx: &mut Tx<'_>,
    unique_id: &str,
    repository_unique_id: &str,
) -> Result<bool, DbError> {
    let least: Option<i64> = tx
        .fetch_one(
            "SELECT CAST(MIN(entry_type) AS BIGINT) FROM document_entry \
             WHERE unique_id = $1 AND repository_unique_id = $2 AND status <> 3",
            &[Val::Text(unique_id), Val::Text(repository_unique_id)],
            |row| row.get(0),
        )
        .await?;
    Ok(least.is_some_and(|least| least >= entry_type_column(EntryType::Stable, true)))
}

/// A document of the index that the gate lets pass: where it may leave something out, each entry in force that has the
/// uniqueId must be let pass, and there must be one. What is held back is not told from what is not there.
pub async fn get(
    tx: &mut Tx<'_>,
    unique_id: &str,
    gate: &mut Gate<'_>,
) -> Result<Option<StoredDocument>, DbError> {
    let Some(found) = find(tx, unique_id).await? else { return Ok(None) };
    if !gate.is_narrow() {
        return Ok(Some(found));
    }
    Ok(whose_if_shown(tx, unique_id, gate).await?.map(|_| found))
}

/// The patients (CX) a document is registered for, if it may be shown; none that is not registered may.
pub async fn whose_if_shown(
    tx: &mut Tx<'_>,
    unique_id: &str,
    gate: &mut Gate<'_>,
) -> Result<Option<Vec<String>>, DbError> {
    let entries = tx
        .fetch(
            "SELECT d.patient_key, d.body, p.pid FROM document_entry d JOIN patient p \
             ON p.patient_key = d.patient_key WHERE d.unique_id = $1 AND d.status <> 3",
            &[Val::Text(unique_id)],
            |row| Ok((row.get::<i64>(0)?, row.get::<String>(1)?, row.get::<String>(2)?)),
        )
        .await?;
    let keys: Vec<i64> = entries.iter().map(|(key, ..)| *key).collect();
    gate.meet(tx, &keys).await?;
    let shown = !entries.is_empty() && entries.iter().all(|(key, body, _)| gate.shows_entry(*key, body));
    Ok(shown.then(|| entries.into_iter().map(|(.., pid)| pid).collect()))
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

/// Octets that lie in the store, as the sweeper found them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub key: String,
    pub size: i64,
}

/// Condemns what nothing refers to; those condemned. The row is held first and references looked for
/// then, in a statement of its own: a registration has committed its reference by then, or waits at the
/// row and finds it condemned.
pub async fn condemn(tx: &mut Tx<'_>, found: &[Found], at: i64) -> Result<Vec<String>, DbError> {
    let mut condemned = vec![];
    for Found { key, size } in found {
        let held = tx
            .exec(
                "INSERT INTO blob (key, size, sha1, created_at, condemned_at) VALUES ($1, $2, '', $3, $3) \
                 ON CONFLICT (key) DO UPDATE SET condemned_at = excluded.condemned_at, gone_at = NULL \
                 WHERE blob.condemned_at IS NULL OR blob.gone_at IS NOT NULL",
                &[Val::Text(key), Val::I64(*size), Val::I64(at)],
            )
            .await?;
        if held == 0 {
            continue;
        }
        match referenced(tx, std::slice::from_ref(key)).await?.is_empty() {
            true => condemned.push(key.clone()),
            false => spare(tx, key).await?,
        }
    }
    Ok(condemned)
}

/// What was condemned at or before `until` and has not gone: a sweeper that did not come to it.
pub async fn unfinished(tx: &mut Tx<'_>, until: i64, limit: i64) -> Result<Vec<String>, DbError> {
    tx.fetch(
        "SELECT key FROM blob WHERE condemned_at IS NOT NULL AND condemned_at <= $1 AND gone_at IS NULL \
         ORDER BY condemned_at, key LIMIT $2",
        &[Val::I64(until), Val::I64(limit)],
        |row| row.get(0),
    )
    .await
}

/// Condemned octets have left the store. The row stays a while, for requests that saw them there.
pub async fn gone(tx: &mut Tx<'_>, key: &str, at: i64) -> Result<(), DbError> {
    let sql = "UPDATE blob SET gone_at = $2 WHERE key = $1 AND condemned_at IS NOT NULL AND gone_at IS NULL";
    tx.exec(sql, &[Val::Text(key), Val::I64(at)]).await.map(|_| ())
}

/// Condemned octets stay after all.
pub async fn spare(tx: &mut Tx<'_>, key: &str) -> Result<(), DbError> {
    let sql = "UPDATE blob SET condemned_at = NULL WHERE key = $1 AND gone_at IS NULL";
    tx.exec(sql, &[Val::Text(key)]).await.map(|_| ())
}

/// What the sweeper says of octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Condemned { at: i64 },
    Gone { at: i64 },
}

/// Those of these keys that are condemned or gone.
pub async fn verdicts(tx: &mut Tx<'_>, keys: &[String]) -> Result<Vec<(String, Verdict)>, DbError> {
    let mut found = vec![];
    for key in keys {
        let row = tx
            .fetch_opt(
                "SELECT condemned_at, gone_at FROM blob WHERE key = $1 AND condemned_at IS NOT NULL",
                &[Val::Text(key)],
                |row| Ok((row.get::<i64>(0)?, row.get::<Option<i64>>(1)?)),
            )
            .await?;
        found.extend(row.map(|(at, gone)| {
            let verdict = gone.map_or(Verdict::Condemned { at }, |at| Verdict::Gone { at });
            (key.clone(), verdict)
        }));
    }
    Ok(found)
}

/// Octets that had gone at `gone_at` are in the store again; false if the sweeper has been there since.
pub async fn revive(tx: &mut Tx<'_>, key: &str, gone_at: i64) -> Result<bool, DbError> {
    let sql = "UPDATE blob SET condemned_at = NULL, gone_at = NULL WHERE key = $1 AND gone_at = $2";
    Ok(tx.exec(sql, &[Val::Text(key), Val::I64(gone_at)]).await? == 1)
}

/// Forgets octets that had gone before a moment: no request is under way that saw them.
pub async fn forget_gone(tx: &mut Tx<'_>, before: i64) -> Result<u64, DbError> {
    let sql = "DELETE FROM blob WHERE condemned_at IS NOT NULL AND condemned_at < $1 AND gone_at < $1";
    tx.exec(sql, &[Val::I64(before)]).await
}
