//! Persons: who identities are of.

use super::{PARAMETERS, among};
use crate::store::db::{DbError, Row, Tx, Val};

/// A row of `person`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub key: i64,
    /// 地連患者ID.
    pub value: Secret,
    /// Into which person it was merged.
    pub replaced_by: Option<i64>,
    pub created_at: i64,
}

/// An id of a patient: not for logs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

fn read(row: &Row<'_>) -> Result<Person, DbError> {
    Ok(Person {
        key: row.get(0)?,
        value: Secret(row.get(1)?),
        replaced_by: row.get(2)?,
        created_at: row.get(3)?,
    })
}

const COLUMNS: &str = "person_key, value, replaced_by, created_at";

pub async fn get(tx: &mut Tx<'_>, key: i64) -> Result<Option<Person>, DbError> {
    Ok(several(tx, &[key]).await?.pop())
}

/// The person with an id of the network's domain, whether replaced or not.
pub async fn by_value(tx: &mut Tx<'_>, value: &str) -> Result<Option<Person>, DbError> {
    tx.fetch_opt(format!("SELECT {COLUMNS} FROM person WHERE value = $1"), &[value.into()], read).await
}

pub async fn several(tx: &mut Tx<'_>, keys: &[i64]) -> Result<Vec<Person>, DbError> {
    let mut found = vec![];
    for part in keys.chunks(PARAMETERS) {
        let (among, args) = among(tx, "person_key", 1, part);
        let sql = format!("SELECT {COLUMNS} FROM person WHERE {among}");
        found.extend(tx.fetch_of(sql, &args, part, read).await?);
    }
    Ok(found)
}

/// Adds a person; false if the id or the key is taken.
pub async fn insert(tx: &mut Tx<'_>, key: i64, value: &str, at: i64) -> Result<bool, DbError> {
    let sql = "INSERT INTO person (person_key, value, status, created_at) VALUES ($1, $2, 1, $3) \
               ON CONFLICT DO NOTHING";
    Ok(tx.exec(sql, &[key.into(), value.into(), at.into()]).await? == 1)
}

/// The same where nobody asks: a taken id or key lets the write be begun anew, under PostgreSQL.
pub async fn insert_later(tx: &mut Tx<'_>, key: i64, value: &str, at: i64) -> Result<(), DbError> {
    tx.later_row(
        "INSERT INTO person (person_key, value, status, created_at) SELECT k, v, 1, t FROM unnest($1, $2, $3) \
         AS r(k, v, t)",
        "INSERT INTO person (person_key, value, status, created_at) VALUES ($1, $2, 1, $3)",
        &[key.into(), value.into(), at.into()],
    )
    .await
}

/// Joins a person to another, or takes that back.
pub async fn replace(tx: &mut Tx<'_>, key: i64, by: Option<i64>) -> Result<(), DbError> {
    let status = if by.is_some() { 2 } else { 1 };
    tx.exec(
        "UPDATE person SET status = $2, replaced_by = $3 WHERE person_key = $1",
        &[key.into(), Val::I64(status), by.into()],
    )
    .await?;
    Ok(())
}

/// Persons that were joined to one directly.
pub async fn replaced(tx: &mut Tx<'_>, by: i64) -> Result<Vec<i64>, DbError> {
    let sql = "SELECT person_key FROM person WHERE replaced_by = $1 ORDER BY person_key";
    tx.fetch(sql, &[by.into()], |row| row.get(0)).await
}

/// Which of these persons own objects of the registry.
pub async fn owners(tx: &mut Tx<'_>, keys: &[i64]) -> Result<Vec<i64>, DbError> {
    let mut found = vec![];
    for part in keys.chunks(PARAMETERS) {
        let (among, args) = among(tx, "p.person_key", 1, part);
        let sql = format!(
            "SELECT p.person_key FROM person p WHERE {among} AND EXISTS \
             (SELECT 1 FROM submission_set s WHERE s.patient_key = p.person_key) ORDER BY p.person_key"
        );
        // Whoever is made or changed by what waits owned nothing, or owns the same.
        let ours = |row: &Row<'_>| {
            let key = row.get::<i64>(0)?;
            Ok(part.contains(&key).then_some(key))
        };
        found.extend(tx.fetch_ours_past(sql, &args, ours).await?);
    }
    Ok(found)
}

/// A page of active persons in order of their ids.
pub async fn page(tx: &mut Tx<'_>, after: &str, limit: i64) -> Result<Vec<Person>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM person WHERE value > $1 AND status = 1 ORDER BY value LIMIT $2");
    tx.fetch(sql, &[after.into(), limit.into()], read).await
}

/// How many active persons there are.
pub async fn count(tx: &mut Tx<'_>) -> Result<i64, DbError> {
    tx.fetch_one("SELECT COUNT(*) FROM person WHERE status = 1", &[], |row| row.get(0)).await
}
