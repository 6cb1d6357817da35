//! The index of patients: identities, persons, the events that linked them, and what finds them.

pub mod correlation;
pub mod domain;
pub mod events;
pub mod identity;
pub mod near;
pub mod person;
pub mod question;
pub mod review;
pub mod search;

use std::fmt::Write as _;

use crate::store::db::{DbError, Tx, Val};

/// Serialises decisions that could see each other: whoever shares one of these numbers (blocking keys, an id)
/// waits for the other's commit. Taken in one order, so that nobody waits in a circle. On SQLite one writes at a
/// time anyway.
pub async fn lock(tx: &mut Tx<'_>, mut numbers: Vec<i64>) -> Result<(), DbError> {
    if !tx.is_postgres() || numbers.is_empty() {
        return Ok(());
    }
    numbers.sort_unstable();
    numbers.dedup();
    // The values are taken as they stand: sorted.
    let sql = "SELECT CAST(COUNT(pg_advisory_xact_lock(n)) AS BIGINT) FROM unnest($1) AS v(n)";
    tx.fetch_one(sql, &[Val::I64s(&numbers)], |row| row.get::<i64>(0)).await?;
    Ok(())
}

/// That a column is one of these numbers, bound from `$first` on. To PostgreSQL they are one value, so that the
/// statement is the same however many they are.
fn among<'k>(tx: &Tx<'_>, column: &str, first: usize, keys: &'k [i64]) -> (String, Vec<Val<'k>>) {
    match tx.is_postgres() {
        true => (format!("{column} = ANY(${first})"), vec![Val::I64s(keys)]),
        false => (
            format!("{column} IN ({})", list(first, keys.len())),
            keys.iter().map(|key| Val::I64(*key)).collect(),
        ),
    }
}

/// `$first, …` for `count` values.
fn list(first: usize, count: usize) -> String {
    let mut out = String::new();
    for i in 0..count {
        let _ = write!(out, "{}${}", if i == 0 { "" } else { "," }, first + i);
    }
    out
}

/// Rows of `width` values each, as `VALUES` takes them.
fn rows(count: usize, width: usize) -> String {
    let mut out = String::new();
    for i in 0..count {
        let _ = write!(out, "{}({})", if i == 0 { "" } else { "," }, list(i * width + 1, width));
    }
    out
}

/// Parameters in one statement at most: SQLite takes 32,766, PostgreSQL 65,535.
const PARAMETERS: usize = 2000;
