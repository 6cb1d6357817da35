//! What people said of patients, documents and institutions, and what the service said of institutions.

use crate::store::db::{DbError, Tx, Val};

/// A row of `national_fact`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// `patient` (CX), `entry` (logicalID), `institution` (ten digits).
    pub subject_kind: String,
    pub subject: String,
    pub name: String,
    pub value: String,
    pub at: i64,
    pub said_by: String,
}

pub async fn put(tx: &mut Tx<'_>, f: &Fact) -> Result<(), DbError> {
    tx.exec(
        "INSERT INTO national_fact (subject_kind, subject, name, value, at, said_by) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (subject_kind, subject, name) DO UPDATE SET value = excluded.value, at = excluded.at, \
         said_by = excluded.said_by",
        &[
            (&f.subject_kind).into(),
            (&f.subject).into(),
            (&f.name).into(),
            (&f.value).into(),
            f.at.into(),
            (&f.said_by).into(),
        ],
    )
    .await?;
    Ok(())
}

pub async fn clear(tx: &mut Tx<'_>, kind: &str, subject: &str, name: &str) -> Result<bool, DbError> {
    let sql = "DELETE FROM national_fact WHERE subject_kind = $1 AND subject = $2 AND name = $3";
    Ok(tx.exec(sql, &[kind.into(), subject.into(), name.into()]).await? == 1)
}

/// What was said of one subject.
pub async fn of(tx: &mut Tx<'_>, kind: &str, subject: &str) -> Result<Vec<Fact>, DbError> {
    let sql = "SELECT subject_kind, subject, name, value, at, said_by FROM national_fact WHERE subject_kind = $1 \
               AND subject = $2 ORDER BY name";
    tx.fetch(sql, &[kind.into(), subject.into()], |row| {
        Ok(Fact {
            subject_kind: row.get(0)?,
            subject: row.get(1)?,
            name: row.get(2)?,
            value: row.get(3)?,
            at: row.get(4)?,
            said_by: row.get(5)?,
        })
    })
    .await
}

/// Whether the service said that an institution takes part: (participates, asked_at).
pub async fn destination(tx: &mut Tx<'_>, institution: &str) -> Result<Option<(Option<bool>, i64)>, DbError> {
    let sql = "SELECT participates, asked_at FROM national_destination WHERE institution = $1";
    tx.fetch_opt(sql, &[institution.into()], |row| {
        Ok((row.get::<Option<i64>>(0)?.map(|p| p != 0), row.get(1)?))
    })
    .await
}

pub async fn put_destination(
    tx: &mut Tx<'_>,
    institution: &str,
    participates: Option<bool>,
    at: i64,
) -> Result<(), DbError> {
    tx.exec(
        "INSERT INTO national_destination (institution, participates, asked_at) VALUES ($1, $2, $3) \
         ON CONFLICT (institution) DO UPDATE SET participates = excluded.participates, asked_at = excluded.asked_at",
        &[institution.into(), Val::from(participates.map(i64::from)), at.into()],
    )
    .await?;
    Ok(())
}
