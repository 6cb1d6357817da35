//! Records of consent as rows: put, replaced, ended; ties between patients; documents on hold; the history of all that.

use crate::model::consent::record::Kind;
use crate::model::consent::{Decision, Facts, Known, Permit};
use crate::model::metadata::DocumentEntry;
use crate::store::consent::Gate;
use crate::store::db::{DbError, Row, Tx, Val};
use crate::store::national;

/// A record as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub patient_key: i64,
    pub known: Known,
    pub evidence: Option<String>,
    /// Microseconds since 1970, as all times here.
    pub until: Option<i64>,
    pub reviewed_at: Option<i64>,
    pub created_at: i64,
    pub ended_at: Option<i64>,
}

const COLUMNS: &str = "patient_key, body, evidence, until, reviewed_at, created_at, ended_at";

fn kept(row: &Row<'_>) -> Result<Kept, DbError> {
    let known = serde_json::from_str(row.text(1)?);
    Ok(Kept {
        patient_key: row.get(0)?,
        known: known.map_err(|e| DbError::Decode { column: 1, message: e.to_string() })?,
        evidence: row.get(2)?,
        until: row.get(3)?,
        reviewed_at: row.get(4)?,
        created_at: row.get(5)?,
        ended_at: row.get(6)?,
    })
}

pub fn written(known: &Known) -> Result<String, DbError> {
    serde_json::to_string(known)
        .map_err(|e| DbError::Sql(format!("a consent cannot be written as JSON: {e}")))
}

/// When a record ends by itself.
fn until(known: &Known) -> Option<i64> {
    match known {
        Known::Attestation(a) => Some(a.until),
        Known::BreakGlass(b) => Some(b.until),
        Known::Consent(_) | Known::Reservation(_) | Known::Vip { .. } => None,
    }
}

/// Adds a record, or says anew what one says.
pub async fn put(
    tx: &mut Tx<'_>,
    patient_key: i64,
    known: &Known,
    evidence: Option<&str>,
    at: i64,
) -> Result<(), DbError> {
    let body = written(known)?;
    tx.exec(
        "INSERT INTO consent_record (patient_key, id, kind, evidence, until, body, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (patient_key, id) DO UPDATE SET until = excluded.until, body = excluded.body",
        &[
            Val::I64(patient_key),
            known.id().into(),
            Val::I64(known.kind() as i64),
            evidence.into(),
            until(known).into(),
            (&body).into(),
            Val::I64(at),
        ],
    )
    .await?;
    Ok(())
}

/// Takes a record out of force; false if it was already.
pub async fn end(tx: &mut Tx<'_>, patient_key: i64, id: &str, at: i64) -> Result<bool, DbError> {
    let sql =
        "UPDATE consent_record SET ended_at = $3 WHERE patient_key = $1 AND id = $2 AND ended_at IS NULL";
    Ok(tx.exec(sql, &[Val::I64(patient_key), id.into(), Val::I64(at)]).await? == 1)
}

/// Notes that an emergency access was looked into; false if it was before.
pub async fn reviewed(tx: &mut Tx<'_>, patient_key: i64, id: &str, at: i64) -> Result<bool, DbError> {
    let sql = "UPDATE consent_record SET reviewed_at = $3 WHERE patient_key = $1 AND id = $2 AND reviewed_at IS NULL";
    Ok(tx.exec(sql, &[Val::I64(patient_key), id.into(), Val::I64(at)]).await? == 1)
}

pub async fn get(tx: &mut Tx<'_>, id: &str) -> Result<Option<Kept>, DbError> {
    tx.fetch_opt(format!("SELECT {COLUMNS} FROM consent_record WHERE id = $1"), &[id.into()], kept).await
}

/// A patient's records, oldest first: those in force, or all.
pub async fn of_patient(tx: &mut Tx<'_>, patient_key: i64, all: bool) -> Result<Vec<Kept>, DbError> {
    let in_force = if all { "" } else { " AND ended_at IS NULL" };
    let sql = format!("SELECT {COLUMNS} FROM consent_record WHERE patient_key = $1{in_force} ORDER BY id");
    tx.fetch(sql, &[Val::I64(patient_key)], kept).await
}

/// Everybody's records of a kind, after `after`, with their patients (CX).
pub async fn of_kind(
    tx: &mut Tx<'_>,
    kind: Kind,
    after: &str,
    limit: i64,
) -> Result<Vec<(String, Kept)>, DbError> {
    let columns: Vec<String> = COLUMNS.split(", ").map(|c| format!("r.{c}")).collect();
    let sql = format!(
        "SELECT {}, p.pid FROM consent_record r JOIN patient p ON p.patient_key = r.patient_key \
         WHERE r.kind = $1 AND r.id > $2 AND r.ended_at IS NULL ORDER BY r.id LIMIT $3",
        columns.join(", ")
    );
    tx.fetch(sql, &[Val::I64(kind as i64), after.into(), Val::I64(limit)], |row| {
        Ok((row.get(7)?, kept(row)?))
    })
    .await
}

/// A line of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRow {
    pub patient_key: i64,
    /// UUIDv7.
    pub id: String,
    pub record_id: String,
    pub operation: String,
    pub at: i64,
    pub who: String,
    pub reason: String,
    pub request_id: String,
    pub body: Option<String>,
}

/// Writes a line of the history. Whatever else was decided by what is permitted is decided anew.
pub async fn note(tx: &mut Tx<'_>, change: &ChangeRow) -> Result<(), DbError> {
    national::reconsider(tx, change.patient_key, change.at).await?;
    tx.exec(
        "INSERT INTO consent_change (patient_key, id, record_id, operation, at, who, reason, request_id, body) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            Val::I64(change.patient_key),
            (&change.id).into(),
            (&change.record_id).into(),
            (&change.operation).into(),
            Val::I64(change.at),
            (&change.who).into(),
            (&change.reason).into(),
            (&change.request_id).into(),
            (&change.body).into(),
        ],
    )
    .await?;
    Ok(())
}

/// The history of a patient's records, oldest first.
pub async fn changes(tx: &mut Tx<'_>, patient_key: i64) -> Result<Vec<ChangeRow>, DbError> {
    tx.fetch(
        "SELECT patient_key, id, record_id, operation, at, who, reason, request_id, body FROM consent_change \
         WHERE patient_key = $1 ORDER BY id",
        &[Val::I64(patient_key)],
        |row| {
            Ok(ChangeRow {
                patient_key: row.get(0)?,
                id: row.get(1)?,
                record_id: row.get(2)?,
                operation: row.get(3)?,
                at: row.get(4)?,
                who: row.get(5)?,
                reason: row.get(6)?,
                request_id: row.get(7)?,
                body: row.get(8)?,
            })
        },
    )
    .await
}

/// `consent_tie.how`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    Joined = 1,
    Parted = 2,
}

/// Ties a patient to another, until somebody confirms.
pub async fn tie(tx: &mut Tx<'_>, patient_key: i64, other: i64, how: Tie, at: i64) -> Result<(), DbError> {
    tx.exec(
        "INSERT INTO consent_tie (patient_key, other_key, how, at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (patient_key, other_key) DO UPDATE SET how = excluded.how, at = excluded.at, \
         confirmed_at = NULL",
        &[Val::I64(patient_key), Val::I64(other), Val::I64(how as i64), Val::I64(at)],
    )
    .await?;
    Ok(())
}

/// Whoever was tied to `other` by joining is not any more: it was taken back.
pub async fn untie(tx: &mut Tx<'_>, other: i64) -> Result<(), DbError> {
    let sql = "DELETE FROM consent_tie WHERE other_key = $1 AND how = 1";
    tx.exec(sql, &[Val::I64(other)]).await?;
    Ok(())
}

/// What a patient is tied to and not confirmed, by id (CX).
pub async fn ties(tx: &mut Tx<'_>, patient_key: i64) -> Result<Vec<(String, bool)>, DbError> {
    tx.fetch(
        "SELECT p.pid, t.how FROM consent_tie t JOIN patient p ON p.patient_key = t.other_key \
         WHERE t.patient_key = $1 AND t.confirmed_at IS NULL ORDER BY t.at, t.other_key",
        &[Val::I64(patient_key)],
        |row| Ok((row.get(0)?, row.get::<i64>(1)? == Tie::Joined as i64)),
    )
    .await
}

/// Confirms that what the patient's own records say is what holds; how many ties that ended.
pub async fn confirm(tx: &mut Tx<'_>, patient_key: i64, at: i64) -> Result<u64, DbError> {
    let sql = "UPDATE consent_tie SET confirmed_at = $2 WHERE patient_key = $1 AND confirmed_at IS NULL";
    tx.exec(sql, &[Val::I64(patient_key), Val::I64(at)]).await
}

/// Puts a document on hold; false if it is already.
pub async fn hold(
    tx: &mut Tx<'_>,
    unique_id: &str,
    at: i64,
    who: &str,
    reason: &str,
) -> Result<bool, DbError> {
    let sql = "INSERT INTO consent_hold (unique_id, at, who, reason) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (unique_id) DO NOTHING";
    Ok(tx.exec(sql, &[unique_id.into(), Val::I64(at), who.into(), reason.into()]).await? == 1)
}

pub async fn unhold(tx: &mut Tx<'_>, unique_id: &str) -> Result<bool, DbError> {
    Ok(tx.exec("DELETE FROM consent_hold WHERE unique_id = $1", &[unique_id.into()]).await? == 1)
}

/// The patient whose entry has a uniqueId.
pub async fn patient_of(tx: &mut Tx<'_>, unique_id: &str) -> Result<Option<(i64, String)>, DbError> {
    tx.fetch_opt(
        "SELECT d.patient_key, p.pid FROM document_entry d JOIN patient p ON p.patient_key = d.patient_key \
         WHERE d.unique_id = $1 ORDER BY d.patient_key LIMIT 1",
        &[unique_id.into()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
    .await
}

/// What was decided on one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    pub facts: Facts,
    pub title: Option<String>,
    pub approved: bool,
    pub decision: Decision,
}

/// A patient's entries in force, by the time that matters, and how each is decided for the viewer of `gate`, who has met
/// the patient. For those who may see everything; others see what that viewer sees.
pub async fn judged(
    tx: &mut Tx<'_>,
    patient_key: i64,
    gate: &Gate<'_>,
    permit: &Permit,
) -> Result<Vec<Judged>, DbError> {
    let rows = tx
        .fetch(
            "SELECT d.body, d.status FROM document_entry d WHERE d.patient_key = $1 AND d.status <> 3 \
             ORDER BY d.creation_time, d.id",
            &[Val::I64(patient_key)],
            |row| Ok((row.get::<String>(0)?, row.get::<i64>(1)? == 1)),
        )
        .await?;
    let judged = rows.into_iter().filter_map(|(body, approved)| {
        let decision = gate.decision(patient_key, &body)?;
        let entry: Option<DocumentEntry> = serde_json::from_str(&body).ok();
        let title = entry.as_ref().and_then(|e| e.title.first()).map(|t| t.value.clone());
        let facts = Facts::at_rest(&body).unwrap_or_default();
        Some(Judged { facts, title, approved, decision })
    });
    Ok(judged.filter(|j| !permit.is_narrow() || j.decision.permits()).collect())
}
