//! SELECT statements put together from our own words; whatever came from outside is bound.
//!
//! The text depends on which parameters a query has and hardly on how many values they carry: lists
//! grow to the next power of two by repeating their last value, so a handful of texts serves all
//! callers and the engines' caches of prepared statements hit.

use std::fmt::Write as _;

use crate::model::ebrim::ObjectKind;
use crate::model::metadata::AvailabilityStatus;
use crate::model::query::{Ids, TimeRange};
use crate::store::db::Val;
use crate::store::registry::kind;

/// Longest list bound to one statement: both engines take four times as many values.
pub(super) const LIST_MAX: usize = 8192;

const VERSIONS_BY_UNIQUE_ID: &str = "folder x WHERE x.lid IN (SELECT y.lid FROM unique_id u CROSS JOIN folder y \
                                     WHERE y.patient_key = u.patient_key AND y.id = u.id AND u.kind = 3 \
                                     AND u.unique_id IN ";

#[derive(Default)]
pub(super) struct Statement<'q> {
    pub sql: String,
    pub args: Vec<Val<'q>>,
}

impl<'q> Statement<'q> {
    pub fn new(head: &str) -> Self {
        let mut sql = String::with_capacity(768);
        sql.push_str(head);
        Self { sql, args: Vec::with_capacity(16) }
    }

    pub fn push(&mut self, text: &str) {
        self.sql.push_str(text);
    }

    /// Appends text and a bound value.
    pub fn bind(&mut self, text: &str, value: impl Into<Val<'q>>) {
        self.args.push(value.into());
        let _ = write!(self.sql, "{text}${}", self.args.len());
    }

    /// Appends text and `($1, $2 …)`; for no values `(NULL)`, in which nothing is.
    pub fn bind_list(&mut self, text: &str, values: impl IntoIterator<Item = Val<'q>>) {
        let first = self.args.len();
        self.args.extend(values);
        let count = self.args.len() - first;
        if count == 0 {
            self.sql.push_str(text);
            self.sql.push_str("(NULL)");
            return;
        }
        let last = self.args[self.args.len() - 1];
        self.args.resize(first + count.next_power_of_two(), last);
        self.sql.push_str(text);
        for n in first + 1..=self.args.len() {
            let _ = write!(self.sql, "{}${n}", if n == first + 1 { "(" } else { "," });
        }
        self.sql.push(')');
    }

    pub fn bind_texts(&mut self, text: &str, values: &'q [String]) {
        self.bind_list(text, values.iter().map(Val::from));
    }

    /// Text made by `write`, taken out again to be used elsewhere and as often as needed; the values
    /// it binds stay.
    pub fn apart(&mut self, write: impl FnOnce(&mut Self)) -> String {
        let start = self.sql.len();
        write(self);
        self.sql.split_off(start)
    }

    /// ` AND {column} IN (…)`, or nothing if the parameter was not given.
    pub fn and_one_of(&mut self, column: &str, values: &'q [String]) {
        if !values.is_empty() {
            self.push(" AND ");
            self.bind_texts(&[column, " IN "].concat(), values);
        }
    }

    /// ` AND {column} IN (…)` over statuses, which are never absent: none selects nothing.
    pub fn and_status(&mut self, column: &str, values: &[AvailabilityStatus]) {
        self.bind_list(&[" AND ", column, " IN "].concat(), values.iter().map(|s| Val::I64(s.to_i64())));
    }

    /// ` AND from <= column AND column < to`, each half if given.
    pub fn and_within(&mut self, column: &str, range: &'q TimeRange) {
        if let Some(from) = &range.from {
            self.bind(&[" AND ", column, " >= "].concat(), from);
        }
        if let Some(to) = &range.to {
            self.bind(&[" AND ", column, " < "].concat(), to);
        }
    }

    /// The same for rows where `exempt` does not hold; the others stay.
    pub fn and_within_unless(&mut self, exempt: &str, column: &str, range: &'q TimeRange) {
        for (sign, bound) in [(">=", &range.from), ("<", &range.to)] {
            if let Some(bound) = bound {
                self.bind(&format!(" AND ({exempt} OR {column} {sign} "), bound);
                self.push(")");
            }
        }
    }

    /// A row of a child table for every group: ` AND EXISTS (SELECT 1 FROM {child} … IN (…))`.
    pub fn and_each_group(&mut self, child: &str, groups: &'q [Vec<String>]) {
        for group in groups {
            self.push(" AND EXISTS (SELECT 1 FROM ");
            self.bind_texts(&[child, " IN "].concat(), group);
            self.push(")");
        }
    }

    /// `{column} = the patient`, or one of several. No patient known by these ids: no row.
    pub fn patients(&mut self, column: &str, pids: &'q [String]) {
        match pids {
            [pid] => {
                self.push(column);
                self.bind(" = (SELECT p.patient_key FROM patient p WHERE p.pid = ", pid);
            }
            pids => {
                self.push(column);
                self.bind_texts(" IN (SELECT p.patient_key FROM patient p WHERE p.pid IN ", pids);
            }
        }
        self.push(")");
    }

    /// Binds the objects a query starts from; the answer is the text of a sub-select of their
    /// `patient_key` and `id`.
    ///
    /// The way leads through the tables that know the patient of every id, because everything else
    /// is kept by patient.
    pub fn roots(&mut self, of: Option<ObjectKind>, ids: &'q Roots) -> String {
        let entries = of == Some(ObjectKind::DocumentEntry);
        let (table, values) = match ids {
            Roots::Uuid(values) => ("object_id x WHERE x.id IN ", values),
            Roots::UniqueId(values) if entries => ("document_entry x WHERE x.unique_id IN ", values),
            Roots::LogicalId(values) if entries => ("document_entry x WHERE x.lid IN ", values),
            Roots::LogicalId(values) => ("folder x WHERE x.lid IN ", values),
            // All versions of a Folder share its uniqueId; the table of those knows one of them.
            Roots::UniqueId(values) if of == Some(ObjectKind::Folder) => (VERSIONS_BY_UNIQUE_ID, values),
            Roots::UniqueId(values) => ("unique_id x WHERE x.unique_id IN ", values),
        };
        self.apart(|s| {
            s.push("(SELECT x.patient_key, x.id FROM ");
            s.bind_texts(table, values);
            match (of, ids) {
                // The table of entries holds nothing else.
                (None, _) | (_, Roots::LogicalId(_)) => {}
                (Some(ObjectKind::DocumentEntry), Roots::UniqueId(_)) => {}
                (Some(ObjectKind::Folder), Roots::UniqueId(_)) => s.push(")"),
                (Some(of), _) => s.push(&format!(" AND x.kind = {}", kind::of(of))),
            }
            s.push(")");
        })
    }
}

/// Objects named by a query. UUIDs are kept in lower case and compared so (ITI TF-3 4.2.3.1.5).
pub(super) enum Roots {
    Uuid(Vec<String>),
    UniqueId(Vec<String>),
    LogicalId(Vec<String>),
}

impl Roots {
    pub fn uuids(ids: &[String]) -> Self {
        Self::Uuid(distinct(ids.iter().map(|id| id.trim().to_ascii_lowercase())))
    }
}

impl From<&Ids> for Roots {
    fn from(ids: &Ids) -> Self {
        match ids {
            Ids::EntryUuid(ids) => Self::uuids(ids),
            Ids::UniqueId(ids) => Self::UniqueId(distinct(ids.iter().cloned())),
            Ids::LogicalId(ids) => {
                Self::LogicalId(distinct(ids.iter().map(|id| id.trim().to_ascii_lowercase())))
            }
        }
    }
}

fn distinct(ids: impl Iterator<Item = String>) -> Vec<String> {
    let mut ids: Vec<String> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(n: usize) -> Vec<String> {
        (0..n).map(|i| i.to_string()).collect()
    }

    fn list_of(n: usize) -> (String, usize) {
        let values = texts(n);
        let mut s = Statement::new("x IN ");
        s.bind_texts("", &values);
        let bound = s.args.len();
        (s.sql, bound)
    }

    #[test]
    fn lists_are_padded_to_powers_of_two() {
        assert_eq!(list_of(1), ("x IN ($1)".into(), 1));
        assert_eq!(list_of(3), ("x IN ($1,$2,$3,$4)".into(), 4));
        assert_eq!(list_of(3).0, list_of(4).0);
        assert_eq!(list_of(5).1, 8);
    }

    #[test]
    fn nothing_is_in_an_empty_list() {
        assert_eq!(list_of(0), ("x IN (NULL)".into(), 0));
    }

    #[test]
    fn roots_leave_the_statement_and_keep_their_values() {
        let ids = Roots::uuids(&["urn:uuid:AB".into(), "urn:uuid:ab".into()]);
        let mut s = Statement::new("y");
        let text = s.roots(Some(ObjectKind::Folder), &ids);
        assert_eq!(text, "(SELECT x.patient_key, x.id FROM object_id x WHERE x.id IN ($1) AND x.kind = 3)");
        assert_eq!(s.sql, "y");
        assert_eq!(s.args.len(), 1);
    }
}
