//! What each SubmissionSet brought, as it is now: for who takes a registry elsewhere.

use super::history::Named;
use super::row::{self, RowError};
use super::{change, kind, state};
use crate::model::consent::Permit;
use crate::model::ebrim::ObjectKind;
use crate::model::metadata::MetadataObject;
use crate::store::db::{DbError, Tx, Val};

/// A SubmissionSet, and one change it brought; one patient's registry each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    pub set: String,
    pub patient_key: i64,
    pub registered_at: i64,
    /// Patient and number of the change; none from before the history.
    pub change: Option<(i64, i64)>,
    pub transaction: Option<String>,
}

/// Hands over every SubmissionSet in order of registration, once for each of its changes; all of one follow
/// each other. Only those of `patient_key`, if it is given.
pub async fn in_order<F>(tx: &mut Tx<'_>, patient_key: Option<i64>, mut take: F) -> Result<(), DbError>
where
    F: FnMut(Brought) -> Result<(), DbError> + Send,
{
    let only = if patient_key.is_some() { "WHERE s.patient_key = $1" } else { "" };
    let sql = format!(
        "SELECT s.id, s.patient_key, s.registered_at, c.patient_key, c.seq, c.transaction_code FROM submission_set s \
         LEFT JOIN change c ON c.submission_set = s.id {only} \
         ORDER BY s.registered_at, s.patient_key, s.id, c.patient_key"
    );
    let args: Vec<Val<'_>> = patient_key.map(Val::I64).into_iter().collect();
    tx.each(sql, &args, |row| {
        let change: Option<i64> = row.get(3)?;
        take(Brought {
            set: row.get(0)?,
            patient_key: row.get(1)?,
            registered_at: row.get(2)?,
            change: match change {
                Some(key) => Some((key, row.get(4)?)),
                None => None,
            },
            transaction: row.get(5)?,
        })?;
        Ok(true)
    })
    .await
}

/// The objects a SubmissionSet brought by one of its changes, itself among them, removed ones too.
pub async fn objects(tx: &mut Tx<'_>, brought: &Brought) -> Result<Vec<Named>, DbError> {
    let Some((patient_key, seq)) = brought.change else { return from_before(tx, brought).await };
    let contents: Option<String> = tx
        .fetch_opt(
            "SELECT contents FROM change WHERE patient_key = $1 AND seq = $2",
            &[Val::I64(patient_key), Val::I64(seq)],
            |row| row.get(0),
        )
        .await?;
    let items: Vec<change::Item> = serde_json::from_str(&contents.unwrap_or_default())
        .map_err(|e| DbError::Decode { column: 0, message: e.to_string() })?;
    let mut found = vec![];
    for change::Item(kind, id, operation, _) in items {
        if operation != change::Operation::Registered || kind == change::DOCUMENT {
            continue;
        }
        // A membership by reference stands under two patients, and is the first one's.
        let owner = super::refs::object(tx, &id).await?;
        if owner.is_some_and(|known| known.patient_key == patient_key) {
            found.push(Named { patient_key, kind, id });
        }
    }
    Ok(found)
}

/// Before the history, whatever was registered at one instant came together.
async fn from_before(tx: &mut Tx<'_>, brought: &Brought) -> Result<Vec<Named>, DbError> {
    let (key, at) = (brought.patient_key, brought.registered_at);
    let mut found = vec![];
    for kept in state::all() {
        let of = kind::of(kept.kind);
        let sql = format!(
            "SELECT t.id FROM {} t JOIN object_id o ON o.id = t.id AND o.patient_key = t.patient_key \
             WHERE t.patient_key = $1 AND t.registered_at = $2 ORDER BY t.id",
            kept.table
        );
        let ids: Vec<String> = tx.fetch(sql, &[Val::I64(key), Val::I64(at)], |row| row.get(0)).await?;
        found.extend(ids.into_iter().map(|id| Named { patient_key: key, kind: of, id }));
    }
    Ok(found)
}

/// An object as it is now; none once it is removed, and none to those who may not see everything.
pub async fn current(
    tx: &mut Tx<'_>,
    named: &Named,
    permit: &Permit,
) -> Result<Option<MetadataObject>, RowError> {
    if permit.is_narrow() {
        return Ok(None);
    }
    let of: ObjectKind = kind::from_i64(named.kind);
    let t = row::table(of);
    let sql = format!(
        "SELECT {} FROM {} WHERE {a}.patient_key = $1 AND {a}.id = $2",
        t.object,
        t.from,
        a = t.alias
    );
    let args = [Val::I64(named.patient_key), Val::Text(&named.id)];
    let found = tx.fetch_opt(sql, &args, |row| Ok(row::object(of, row))).await?;
    Ok(match found {
        Some(at_rest) => Some(at_rest?.read()?),
        None => None,
    })
}

/// How many objects there are, of everybody or of one patient.
pub async fn count(tx: &mut Tx<'_>, patient_key: Option<i64>) -> Result<i64, DbError> {
    let only = if patient_key.is_some() { "AND patient_key = $1" } else { "" };
    let args: Vec<Val<'_>> = patient_key.map(Val::I64).into_iter().collect();
    tx.fetch_one(format!("SELECT COUNT(*) FROM object_id WHERE removed_at IS NULL {only}"), &args, |r| {
        r.get(0)
    })
    .await
}
