//! A question about a moment: the same statement, over tables as they were then.
//!
//! Each table a statement names is put before it again under its own name, as the states of then out of
//! the view `…_states` (current rows and past ones, migration 0002). A state was there at a moment if it
//! ended later, its object was registered no later, and no other state of the object ended in between.
//! What children there are is an entryUUID's for ever, so those tables are read as they are; so is
//! `object_id`, from which nothing is taken. A uniqueId was that of the objects not removed by then.

use std::fmt::Write as _;

use crate::store::registry::state;

/// The statement `sql` at the moment bound to `$n`.
pub(super) fn over(sql: &str, n: usize) -> String {
    let mut out = String::with_capacity(sql.len() + 2048);
    let mut word = "WITH ";
    let mut shadow = |out: &mut String, name: &str, select: &dyn Fn(&mut String)| {
        if names(sql, name) {
            out.push_str(word);
            word = ", ";
            // Inlined, so that conditions reach the indexes behind the view.
            let _ = write!(out, "{name} AS NOT MATERIALIZED (");
            select(out);
            out.push(')');
        }
    };
    for kept in state::all() {
        shadow(&mut out, kept.table, &|out| {
            out.push_str("SELECT ");
            for (i, (column, _)) in kept.columns.iter().enumerate() {
                let _ = write!(out, "{}r.{column}", if i == 0 { "" } else { ", " });
            }
            let table = kept.table;
            let _ = write!(
                out,
                " FROM {table}_states r WHERE r.registered_at <= ${n} AND r.valid_to > ${n} AND NOT EXISTS \
                 (SELECT 1 FROM {table}_past p WHERE p.patient_key = r.patient_key AND p.id = r.id \
                 AND p.valid_to > ${n} AND p.valid_to < r.valid_to)"
            );
        });
    }
    shadow(&mut out, "unique_id", &|out| {
        let _ = write!(
            out,
            "SELECT u.unique_id, u.kind, u.patient_key, u.id FROM unique_id_states u WHERE NOT EXISTS \
             (SELECT 1 FROM object_id o WHERE o.id = u.id AND o.removed_at <= ${n})"
        );
    });
    if !out.is_empty() {
        out.push(' ');
    }
    distinct(&mut out, sql);
    out
}

/// Appends `sql` with `SELECT DISTINCT a, b` as `SELECT nothing UNION SELECT a, b`: the same, but SQLite
/// does not inline a view of two halves under DISTINCT.
fn distinct(out: &mut String, sql: &str) {
    const DISTINCT: &str = "SELECT DISTINCT ";
    let mut rest = sql;
    while let Some((before, after)) = rest.split_once(DISTINCT) {
        out.push_str(before);
        let columns = after.split_once(" FROM ").map_or("", |(columns, _)| columns);
        for (i, column) in columns.split(", ").enumerate() {
            let name = column.rsplit([' ', '.']).next().unwrap_or(column);
            let _ = write!(out, "{}NULL AS {name}", if i == 0 { "SELECT " } else { ", " });
        }
        out.push_str(" WHERE 1 = 0 UNION SELECT ");
        rest = after;
    }
    out.push_str(rest);
}

/// Does `sql` read from this table?
fn names(sql: &str, table: &str) -> bool {
    ["FROM ", "JOIN "].iter().any(|word| sql.contains(&[word, table, " "].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tables_with_a_history_are_put_before_a_statement() {
        let children = "SELECT w.code FROM document_code w JOIN object_id o ON o.id = w.entry_id";
        assert_eq!(over(children, 1), children);
        let sql = over("SELECT f.id FROM folder f WHERE f.id = $1", 2);
        assert!(sql.starts_with("WITH folder AS NOT MATERIALIZED (SELECT r.patient_key, r.id,"), "{sql}");
        assert!(sql.contains("r.registered_at <= $2") && !sql.contains("association"), "{sql}");
        assert!(sql.ends_with(") SELECT f.id FROM folder f WHERE f.id = $1"), "{sql}");
    }
}
