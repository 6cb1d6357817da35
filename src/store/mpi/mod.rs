//! The index of patients: identities, persons, the events that linked them, and what finds them.

pub mod domain;
pub mod events;
pub mod identity;
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
    let mut sql = String::from("SELECT CAST(COUNT(pg_advisory_xact_lock(n)) AS BIGINT) FROM (VALUES ");
    let mut args = vec![];
    for (i, number) in numbers.iter().enumerate() {
        let _ = write!(sql, "{}(CAST(${} AS BIGINT))", if i == 0 { "" } else { "," }, i + 1);
        args.push(Val::I64(*number));
    }
    // The values are taken as they stand: sorted.
    sql.push_str(") AS v(n)");
    tx.fetch_one(sql, &args, |row| row.get::<i64>(0)).await?;
    Ok(())
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

/// Repeats the last row, so that few statements are to be kept prepared: how many rows stand in one is part of its
/// text. For inserts that pass over what is there already.
fn pad<T: Clone>(tx: &Tx<'_>, rows: &mut Vec<T>) {
    if let (true, 3.., Some(last)) = (tx.is_postgres(), rows.len(), rows.last().cloned()) {
        rows.resize(rows.len().next_multiple_of(4), last);
    }
}
