//! Objects as an update or a removal needs to see them: whole, with their place in the lineage and with
//! what hangs on them.

use super::row::{self, RowError};
use super::{State, kind};
use crate::model::ebrim::ObjectKind;
use crate::model::metadata::{Association, CorruptBody, MetadataObject};
use crate::store::db::{DbError, Row, Tx, Val};

/// An object in the registry.
#[derive(Debug, Clone)]
pub struct Stored {
    pub kind: ObjectKind,
    pub patient_key: i64,
    pub state: State,
    pub object: MetadataObject,
}

impl Stored {
    pub fn id(&self) -> &str {
        self.object.id()
    }

    /// 1 for what has no versions.
    pub fn version(&self) -> u32 {
        match &self.object {
            MetadataObject::DocumentEntry(e) => e.version,
            MetadataObject::Folder(f) => f.version,
            MetadataObject::SubmissionSet(_) | MetadataObject::Association(_) => 1,
        }
    }

    /// The logicalID; its own id for what has no versions.
    pub fn logical_id(&self) -> &str {
        let lid = match &self.object {
            MetadataObject::DocumentEntry(e) => e.logical_id.as_deref(),
            MetadataObject::Folder(f) => f.logical_id.as_deref(),
            MetadataObject::SubmissionSet(_) | MetadataObject::Association(_) => None,
        };
        lid.unwrap_or_else(|| self.id())
    }
}

/// The object under an association's other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    pub association: Association,
    pub id: String,
    pub kind: ObjectKind,
    pub patient_key: i64,
    pub state: State,
}

fn stored(kind: ObjectKind, row: &Row<'_>) -> Result<Stored, DbError> {
    let (patient_key, state) = (row.get(0)?, State::from_i64(row.get(4)?));
    Ok(Stored { kind, patient_key, state, object: object(kind, row)? })
}

fn object(kind: ObjectKind, row: &Row<'_>) -> Result<MetadataObject, DbError> {
    let unreadable = |e: CorruptBody| DbError::Decode { column: 3, message: e.to_string() };
    match row::object(kind, row) {
        Ok(at_rest) => at_rest.read().map_err(unreadable),
        Err(RowError::Db(e)) => Err(e),
        Err(RowError::Corrupt(e)) => Err(unreadable(e)),
    }
}

/// The object with this entryUUID, whatever its kind.
pub async fn by_id(tx: &mut Tx<'_>, id: &str) -> Result<Option<Stored>, DbError> {
    let Some(known) = super::refs::object(tx, id).await? else { return Ok(None) };
    let t = row::table(known.kind);
    let sql = format!(
        "SELECT {} FROM {} WHERE {a}.patient_key = $1 AND {a}.id = $2",
        t.object,
        t.from,
        a = t.alias
    );
    tx.fetch_opt(sql, &[Val::I64(known.patient_key), Val::Text(id)], |row| stored(known.kind, row)).await
}

/// The latest version of a DocumentEntry or Folder.
pub async fn latest(tx: &mut Tx<'_>, kind: ObjectKind, lid: &str) -> Result<Option<Stored>, DbError> {
    let t = row::table(kind);
    let sql = format!(
        "SELECT {} FROM {} WHERE {a}.lid = $1 ORDER BY {a}.version DESC LIMIT 1",
        t.object,
        t.from,
        a = t.alias
    );
    tx.fetch_opt(sql, &[Val::Text(lid)], |row| stored(kind, row)).await
}

/// Every association with the object at one end, whatever its status, and what is at the other.
pub async fn around(tx: &mut Tx<'_>, patient_key: i64, id: &str) -> Result<Vec<Neighbour>, DbError> {
    let half = |near: &str, far: &str| {
        format!(
            "SELECT a.patient_key, a.id, a.registered_at, a.body, a.status, o.id, o.kind, o.patient_key, \
             COALESCE(d.status, f.status, 1) FROM association a JOIN object_id o ON o.id = a.{far} \
             LEFT JOIN document_entry d ON d.patient_key = o.patient_key AND d.id = o.id \
             LEFT JOIN folder f ON f.patient_key = o.patient_key AND f.id = o.id \
             WHERE a.patient_key = $1 AND a.{near} = $2"
        )
    };
    let args = [Val::I64(patient_key), Val::Text(id)];
    let mut found = tx.fetch(half("source_id", "target_id"), &args, neighbour).await?;
    found.extend(tx.fetch(half("target_id", "source_id"), &args, neighbour).await?);
    found.sort_by(|a, b| a.association.entry_uuid.cmp(&b.association.entry_uuid));
    Ok(found)
}

fn neighbour(row: &Row<'_>) -> Result<Neighbour, DbError> {
    let MetadataObject::Association(association) = object(ObjectKind::Association, row)? else {
        return Err(DbError::NoRow);
    };
    Ok(Neighbour {
        association: *association,
        id: row.get(5)?,
        kind: kind::from_i64(row.get(6)?),
        patient_key: row.get(7)?,
        state: State::from_i64(row.get(8)?),
    })
}

/// One version of a logical object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    pub id: String,
    pub patient_key: i64,
    pub state: State,
}

/// All versions of a DocumentEntry or Folder, latest first.
pub async fn lineage(tx: &mut Tx<'_>, kind: ObjectKind, lid: &str) -> Result<Vec<Lineage>, DbError> {
    let t = row::table(kind);
    let sql = format!(
        "SELECT {a}.id, {a}.patient_key, {a}.status FROM {} WHERE {a}.lid = $1 ORDER BY {a}.version DESC",
        t.from,
        a = t.alias
    );
    tx.fetch(sql, &[Val::Text(lid)], |row| {
        Ok(Lineage { id: row.get(0)?, patient_key: row.get(1)?, state: State::from_i64(row.get(2)?) })
    })
    .await
}
