//! Reading what [`change`](super::change) wrote: a patient's chain, and an object's states.

use super::change::Link;
use super::row::{self, RowError};
use super::state::{self, Digest, Kept};
use super::{STILL, change, kind};
use crate::model::consent::Permit;
use crate::model::ebrim::ObjectKind;
use crate::model::metadata::MetadataObject;
use crate::store::db::{DbError, Row, Tx, Val};

/// A row of `change`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRow {
    pub patient_key: i64,
    pub seq: i64,
    pub at: i64,
    pub transaction: String,
    pub request_id: String,
    /// JSON, as stored; a hash goes over it.
    pub caller: String,
    pub submission_set: Option<String>,
    pub reason: Option<String>,
    /// JSON, as stored.
    pub contents: String,
    pub hash: String,
}

impl LinkRow {
    pub fn link(&self) -> Link<'_> {
        Link {
            patient_key: self.patient_key,
            seq: self.seq,
            at: self.at,
            transaction: &self.transaction,
            request_id: &self.request_id,
            caller: &self.caller,
            submission_set: self.submission_set.as_deref(),
            reason: self.reason.as_deref(),
            contents: &self.contents,
        }
    }

    /// What it changed; none if the text is no list of items.
    pub fn items(&self) -> Option<Vec<change::Item>> {
        serde_json::from_str(&self.contents).ok()
    }
}

/// A patient's chain from its beginning.
pub async fn chain(tx: &mut Tx<'_>, patient_key: i64) -> Result<Vec<LinkRow>, DbError> {
    tx.fetch(
        "SELECT patient_key, seq, at, transaction_code, request_id, caller, submission_set, reason, contents, hash \
         FROM change WHERE patient_key = $1 ORDER BY seq",
        &[Val::I64(patient_key)],
        |row| {
            Ok(LinkRow {
                patient_key: row.get(0)?,
                seq: row.get(1)?,
                at: row.get(2)?,
                transaction: row.get(3)?,
                request_id: row.get(4)?,
                caller: row.get(5)?,
                submission_set: row.get(6)?,
                reason: row.get(7)?,
                contents: row.get(8)?,
                hash: row.get(9)?,
            })
        },
    )
    .await
}

/// An object there is or was.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    pub patient_key: i64,
    pub kind: i64,
    pub id: String,
}

/// The objects that an operator names by entryUUID or uniqueId: with a DocumentEntry or Folder all
/// versions of it.
pub async fn named(tx: &mut Tx<'_>, name: &str) -> Result<Vec<Named>, DbError> {
    let uuid = name.to_ascii_lowercase();
    let mut found = tx
        .fetch("SELECT patient_key, kind, id FROM object_id WHERE id = $1", &[(&uuid).into()], object)
        .await?;
    for sql in [
        "SELECT patient_key, CAST(1 AS BIGINT), id FROM document_entry_states WHERE unique_id = $1",
        "SELECT patient_key, kind, id FROM unique_id_states WHERE unique_id = $1",
    ] {
        found.extend(tx.fetch(sql, &[Val::Text(name)], object).await?);
    }
    let mut versions = vec![];
    for Named { patient_key, kind, id } in &found {
        let table = match kind::from_i64(*kind) {
            ObjectKind::DocumentEntry => "document_entry_states",
            ObjectKind::Folder => "folder_states",
            _ => continue,
        };
        let sql = format!(
            "SELECT patient_key, CAST({kind} AS BIGINT), id FROM {table} WHERE patient_key = $1 AND lid IN \
             (SELECT lid FROM {table} WHERE patient_key = $1 AND id = $2)"
        );
        versions.extend(tx.fetch(sql, &[Val::I64(*patient_key), id.into()], object).await?);
    }
    found.extend(versions);
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn object(row: &Row<'_>) -> Result<Named, DbError> {
    Ok(Named { patient_key: row.get(0)?, kind: row.get(1)?, id: row.get(2)? })
}

/// One state of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub object: MetadataObject,
    pub registered_at: i64,
    /// When it ended; `None` while it lasts.
    pub until: Option<i64>,
}

/// The states of an object, oldest first; to those who may see everything.
pub async fn states(tx: &mut Tx<'_>, named: &Named, permit: &Permit) -> Result<Vec<State>, RowError> {
    if permit.is_narrow() {
        return Ok(vec![]);
    }
    let of = kind::from_i64(named.kind);
    let (kept, row::Table { alias, object, .. }) = (state::kept(of), row::table(of));
    let sql = format!(
        "SELECT {object}, {alias}.registered_at, {alias}.valid_to FROM {}_states {alias} \
         WHERE {alias}.patient_key = $1 AND {alias}.id = $2 ORDER BY {alias}.valid_to",
        kept.table
    );
    let last = object.split(", ").count();
    let rows = tx
        .fetch(sql, &[Val::I64(named.patient_key), (&named.id).into()], |row| {
            let (registered_at, until): (i64, i64) = (row.get(last)?, row.get(last + 1)?);
            Ok(row::object(of, row).map(|at_rest| (at_rest, registered_at, until)))
        })
        .await?;
    rows.into_iter()
        .map(|row| {
            let (at_rest, registered_at, until) = row?;
            let until = Some(until).filter(|until| *until != STILL);
            Ok(State { object: at_rest.read()?, registered_at, until })
        })
        .collect()
}

/// A row of an object's table as the proof sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    pub id: String,
    pub state: Digest,
    pub registered_at: i64,
    /// Of a past state: when it ended, and by which change.
    pub ended: Option<(i64, i64)>,
}

/// All of a patient's objects of one kind, current and past, each reduced to its hash.
pub async fn proven(tx: &mut Tx<'_>, kept: &'static Kept, patient_key: i64) -> Result<Vec<Proven>, DbError> {
    let children = kept.children_of_patient(tx, patient_key).await?;
    let at = kept.columns.iter().position(|(name, _)| *name == "registered_at").unwrap_or_default();
    let (columns, table, last) = (kept.column_list(), kept.table, kept.columns.len());
    let none = vec![];
    let mut all = vec![];
    for past in [false, true] {
        let sql = match past {
            false => format!("SELECT {columns} FROM {table} WHERE patient_key = $1"),
            true => format!("SELECT {columns}, valid_to, ended_by FROM {table}_past WHERE patient_key = $1"),
        };
        let rows = tx
            .fetch(sql, &[Val::I64(patient_key)], |row| {
                let id: String = row.get(1)?;
                let state =
                    state::finish(kept.hash_row(row)?, state::borrowed(children.get(&id).unwrap_or(&none)));
                let ended = if past { Some((row.get(last)?, row.get(last + 1)?)) } else { None };
                Ok(Proven { id, state, registered_at: row.get(at)?, ended })
            })
            .await?;
        all.extend(rows);
    }
    Ok(all)
}

/// A patient's current stable entries whose documents are in this repository, with what the index has:
/// uniqueId, the entry's hash and size, the index's.
pub async fn documents(
    tx: &mut Tx<'_>,
    patient_key: i64,
    repository_unique_id: &str,
) -> Result<Vec<Held>, DbError> {
    tx.fetch(
        "SELECT d.id, d.unique_id, d.hash, d.size, r.hash, r.size FROM document_entry d \
         LEFT JOIN repository_document r ON r.unique_id = d.unique_id \
         WHERE d.patient_key = $1 AND d.entry_type = 1 AND d.repository_unique_id = $2",
        &[Val::I64(patient_key), Val::Text(repository_unique_id)],
        |row| {
            let stored: Option<String> = row.get(4)?;
            Ok(Held {
                id: row.get(0)?,
                unique_id: row.get(1)?,
                entry: (row.get(2)?, row.get(3)?),
                stored: match stored {
                    Some(hash) => Some((hash, row.get(5)?)),
                    None => None,
                },
            })
        },
    )
    .await
}

/// See [`documents`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub id: String,
    pub unique_id: String,
    pub entry: (Option<String>, Option<i64>),
    pub stored: Option<(String, i64)>,
}

/// Keys of patients in order, after `after`.
pub async fn patients(tx: &mut Tx<'_>, after: i64, limit: i64) -> Result<Vec<i64>, DbError> {
    tx.fetch(
        "SELECT patient_key FROM patient WHERE patient_key > $1 ORDER BY patient_key LIMIT $2",
        &[Val::I64(after), Val::I64(limit)],
        |row| row.get(0),
    )
    .await
}

/// How many rows of each table are no known patient's.
pub async fn orphans(tx: &mut Tx<'_>) -> Result<Vec<(&'static str, i64)>, DbError> {
    let mut found = vec![];
    for table in [
        "document_entry",
        "submission_set",
        "folder",
        "association",
        "document_entry_past",
        "submission_set_past",
        "folder_past",
        "association_past",
        "change",
    ] {
        let sql = format!(
            "SELECT COUNT(*) FROM {table} t WHERE NOT EXISTS \
             (SELECT 1 FROM patient p WHERE p.patient_key = t.patient_key)"
        );
        let count: i64 = tx.fetch_one(sql, &[], |row| row.get(0)).await?;
        if count > 0 {
            found.push((table, count));
        }
    }
    Ok(found)
}

/// Hands over the last link of every patient's chain at a moment, in order of their keys: patient, seq, hash.
pub async fn heads<F>(tx: &mut Tx<'_>, moment: i64, mut take: F) -> Result<(), DbError>
where
    F: FnMut(i64, i64, &str) + Send,
{
    tx.each(
        "SELECT c.patient_key, c.seq, c.hash FROM change c JOIN patient p ON p.patient_key = c.patient_key \
         WHERE c.at <= $1 AND NOT EXISTS (SELECT 1 FROM change n WHERE n.patient_key = c.patient_key \
         AND n.seq = c.seq + 1 AND n.at <= $1) ORDER BY c.patient_key",
        &[Val::I64(moment)],
        |row| {
            take(row.get(0)?, row.get(1)?, row.text(2)?);
            Ok(true)
        },
    )
    .await
}

/// When this database began to keep a history: what was registered before has no change of its own.
pub async fn began(tx: &mut Tx<'_>) -> Result<i64, DbError> {
    let at = tx
        .fetch_opt("SELECT applied_at FROM schema_version WHERE id = 2", &[], |row| row.get::<i64>(0))
        .await?;
    Ok(at.unwrap_or_default())
}

/// Kind and patient of an entryUUID, removed or not.
pub async fn identity(tx: &mut Tx<'_>, id: &str) -> Result<Option<(i64, i64, bool)>, DbError> {
    tx.fetch_opt(
        "SELECT kind, patient_key, removed_at FROM object_id WHERE id = $1",
        &[Val::Text(id)],
        |row| Ok((row.get(0)?, row.get(1)?, row.get::<Option<i64>>(2)?.is_some())),
    )
    .await
}
