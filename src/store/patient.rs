//! Patients known to the registry.

use crate::model::patient::{Knowledge, Patient};
use crate::store::consent::Gate;
use crate::store::db::{DbError, Row, Tx, Val};

/// `patient.status`.
fn knowledge(value: Knowledge) -> i64 {
    match value {
        Knowledge::Fed => 1,
        Knowledge::Implied => 2,
    }
}

/// The key of a patient by id; none if not known, or if the id was merged into another.
pub async fn key(tx: &mut Tx<'_>, pid: &str) -> Result<Option<i64>, DbError> {
    let sql = "SELECT patient_key FROM patient WHERE pid = $1 AND merged_into IS NULL";
    tx.fetch_opt(sql, &[Val::Text(pid)], |row| row.get(0)).await
}

/// The key of a patient by id, merged into another or not.
pub async fn any_key(tx: &mut Tx<'_>, pid: &str) -> Result<Option<i64>, DbError> {
    tx.fetch_opt("SELECT patient_key FROM patient WHERE pid = $1", &[Val::Text(pid)], |row| row.get(0)).await
}

/// Whether an id was merged into another: nothing is registered for it any more, whoever is accepted else.
pub async fn is_subsumed(tx: &mut Tx<'_>, pid: &str) -> Result<bool, DbError> {
    let sql = "SELECT merged_into FROM patient WHERE pid = $1";
    let found = tx.fetch_opt(sql, &[Val::Text(pid)], |row| row.get::<Option<i64>>(0)).await?;
    Ok(found.flatten().is_some())
}

/// Whether a patient is known, or was at a moment (microseconds since 1970).
pub async fn is_known(tx: &mut Tx<'_>, pid: &str, as_of: Option<i64>) -> Result<bool, DbError> {
    let created: Option<i64> = tx
        .fetch_opt("SELECT created_at FROM patient WHERE pid = $1", &[Val::Text(pid)], |row| row.get(0))
        .await?;
    Ok(created.is_some_and(|created| as_of.is_none_or(|moment| created <= moment)))
}

/// A patient whose registry nobody else changes until the transaction ends. Whoever changes it holds the
/// patient first, before any other lock, so that writers of one patient wait for each other and never meet
/// halfway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held(i64);

impl Held {
    pub fn key(self) -> i64 {
        self.0
    }
}

/// Holds a patient by id (CX); none if not known, or if the id was merged into another.
pub async fn hold(tx: &mut Tx<'_>, pid: &str) -> Result<Option<Held>, DbError> {
    // On SQLite, where one writes at a time, the lock is there already.
    let sql = match tx.is_postgres() {
        true => "SELECT patient_key FROM patient WHERE pid = $1 AND merged_into IS NULL FOR NO KEY UPDATE",
        false => "SELECT patient_key FROM patient WHERE pid = $1 AND merged_into IS NULL",
    };
    tx.fetch_opt(sql, &[Val::Text(pid)], |row| Ok(Held(row.get(0)?))).await
}

/// Holds the patient of a row.
pub async fn hold_key(tx: &mut Tx<'_>, patient_key: i64) -> Result<Option<Held>, DbError> {
    let sql = match tx.is_postgres() {
        true => "SELECT patient_key FROM patient WHERE patient_key = $1 FOR NO KEY UPDATE",
        false => "SELECT patient_key FROM patient WHERE patient_key = $1",
    };
    tx.fetch_opt(sql, &[Val::I64(patient_key)], |row| Ok(Held(row.get(0)?))).await
}

fn written(patient: &Patient) -> Result<String, DbError> {
    serde_json::to_string(patient)
        .map_err(|e| DbError::Sql(format!("a patient cannot be written as JSON: {e}")))
}

/// Adds a patient; false, and nothing done, if the id is known already.
pub async fn add(
    tx: &mut Tx<'_>,
    patient: &Patient,
    authority: &str,
    how: Knowledge,
    new_key: i64,
    at: i64,
) -> Result<bool, DbError> {
    let body = written(patient)?;
    let row = row(patient, authority, how, new_key, &body, at);
    Ok(tx.exec(format!("{INSERT} ON CONFLICT (pid) DO NOTHING"), &row).await? == 1)
}

const INSERT: &str = "INSERT INTO patient (patient_key, pid, authority, status, body, created_at) \
                      VALUES ($1, $2, $3, $4, $5, $6)";

fn row<'v>(
    patient: &'v Patient,
    authority: &'v str,
    how: Knowledge,
    key: i64,
    body: &'v str,
    at: i64,
) -> [Val<'v>; 6] {
    [
        key.into(),
        Val::Text(&patient.patient_id),
        authority.into(),
        knowledge(how).into(),
        body.into(),
        at.into(),
    ]
}

/// The same where nobody asks: a taken id or key lets the write be begun anew, under PostgreSQL.
pub async fn add_later(
    tx: &mut Tx<'_>,
    patient: &Patient,
    authority: &str,
    how: Knowledge,
    new_key: i64,
    at: i64,
) -> Result<(), DbError> {
    let body = written(patient)?;
    tx.later_row(
        "INSERT INTO patient (patient_key, pid, authority, status, body, created_at) \
         SELECT * FROM unnest($1, $2, $3, $4, $5, $6)",
        INSERT,
        &row(patient, authority, how, new_key, &body, at),
    )
    .await
}

/// Says anew who a patient is, who was there before the transaction began.
pub async fn describe(tx: &mut Tx<'_>, patient_key: i64, patient: &Patient) -> Result<(), DbError> {
    let body = written(patient)?;
    tx.later_row(
        "UPDATE patient SET body = r.body FROM unnest($1, $2) AS r(k, body) \
         WHERE patient_key = r.k AND patient.body <> r.body",
        "UPDATE patient SET body = $2 WHERE patient_key = $1 AND body <> $2",
        &[Val::I64(patient_key), (&body).into()],
    )
    .await
}

/// Adds a patient, or fills in one that so far was only implied. Returns its key and whether it
/// was new. `new_key` is used when it is.
pub async fn upsert(
    tx: &mut Tx<'_>,
    patient: &Patient,
    authority: &str,
    how: Knowledge,
    new_key: i64,
    at: i64,
) -> Result<(i64, bool), DbError> {
    if add(tx, patient, authority, how, new_key, at).await? {
        return Ok((new_key, true));
    }
    if how == Knowledge::Fed {
        let body = written(patient)?;
        tx.exec(
            "UPDATE patient SET status = $2, body = $3 WHERE pid = $1",
            &[Val::Text(&patient.patient_id), Val::I64(knowledge(how)), (&body).into()],
        )
        .await?;
    }
    let key = any_key(tx, &patient.patient_id).await?.ok_or(DbError::NoRow)?;
    Ok((key, false))
}

/// Whose a patient's objects are now: nobody else's, or the survivor's.
pub async fn set_merged(
    tx: &mut Tx<'_>,
    patient_key: i64,
    into: Option<i64>,
    at: i64,
) -> Result<(), DbError> {
    tx.exec(
        "UPDATE patient SET merged_into = $2, merged_at = $3 WHERE patient_key = $1",
        &[Val::I64(patient_key), into.into(), into.map(|_| at).into()],
    )
    .await?;
    Ok(())
}

/// Id (CX) of a patient, and the survivor it was merged into.
pub async fn merged(tx: &mut Tx<'_>, patient_key: i64) -> Result<Option<(String, Option<i64>)>, DbError> {
    let sql = "SELECT pid, merged_into FROM patient WHERE patient_key = $1";
    tx.fetch_opt(sql, &[Val::I64(patient_key)], |row| Ok((row.get(0)?, row.get(1)?))).await
}

/// Merges followed from one patient to the last survivor: more is a circle, which there is none of.
pub const MOST_MERGES: usize = 1000;

/// Who a patient is by now: the one that stays of all merges since.
pub async fn survivor(tx: &mut Tx<'_>, patient_key: i64) -> Result<i64, DbError> {
    let mut key = patient_key;
    for _ in 0..MOST_MERGES {
        match merged(tx, key).await? {
            Some((_, Some(into))) => key = into,
            _ => break,
        }
    }
    Ok(key)
}

/// The patients that were merged into one directly.
pub async fn subsumed_by(tx: &mut Tx<'_>, patient_key: i64) -> Result<Vec<i64>, DbError> {
    let sql = "SELECT patient_key FROM patient WHERE merged_into = $1 ORDER BY patient_key";
    tx.fetch(sql, &[Val::I64(patient_key)], |row| row.get(0)).await
}

/// A patient of the registry, and when they became known (microseconds since 1970); none whom the
/// gate has not met.
pub async fn get(
    tx: &mut Tx<'_>,
    patient_key: i64,
    gate: &Gate<'_>,
) -> Result<Option<(Patient, i64)>, DbError> {
    if gate.is_narrow() && gate.standing(patient_key).is_none() {
        return Ok(None);
    }
    tx.fetch_opt(
        "SELECT body, created_at FROM patient WHERE patient_key = $1",
        &[Val::I64(patient_key)],
        |row| Ok((body(row)?, row.get(1)?)),
    )
    .await
}

fn body(row: &Row<'_>) -> Result<Patient, DbError> {
    serde_json::from_str(row.text(0)?).map_err(|e| DbError::Decode { column: 0, message: e.to_string() })
}

/// Patients in order of id, after `after`.
pub async fn list(tx: &mut Tx<'_>, after: &str, limit: i64) -> Result<Vec<Patient>, DbError> {
    tx.fetch(
        "SELECT body FROM patient WHERE pid > $1 ORDER BY pid LIMIT $2",
        &[Val::Text(after), Val::I64(limit)],
        body,
    )
    .await
}
