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

use crate::store::db::{Tx, Val};

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
