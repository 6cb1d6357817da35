//! All tables as rows that belong to no engine: what a backup holds, and how a database moves to the other
//! engine.
//!
//! Which tables there are is asked of the database itself, so what a migration adds is in the next backup
//! without anybody thinking of it. A row is one line, a JSON array in the order of the columns; rows come in
//! the order of the primary key, texts by their octets, so that the same rows make the same file on both
//! engines.

mod fill;
mod line;
#[cfg(test)]
mod tests;

use std::io;

use serde::{Deserialize, Serialize};

use crate::store::db::{DbError, Sql, Tx};

pub use fill::{Applied, Filling, Refused, applied, fill, is_empty};
pub(super) use line::lines;
pub use line::{Tallied, Tally};

/// Tables whose rows are not kept, each with the reason. Everything else is.
pub const LEFT_OUT: &[(&str, &str)] = &[
    (SCHEMA_VERSION, "the migrations are named in the manifest, with when they were applied"),
    ("lease", "names gateways that run now"),
    ("mpi_query", "questions whose rest may be asked for within minutes"),
];

const SCHEMA_VERSION: &str = "schema_version";

/// A table of the schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    /// Columns of the primary key, in its order.
    pub key: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: Kind,
}

/// What a column holds. Null is allowed here everywhere; the tables know where it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Integer,
    Text,
    /// As hexadecimal digits in a line.
    Octets,
}

/// Why rows could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("{file}: {source}")]
    Io { file: String, source: io::Error },
    /// A line is no row of its table.
    #[error("{file} line {line}: {message}")]
    Line { file: String, line: u64, message: String },
    /// A table that must be empty has rows.
    #[error("table {0} is not empty")]
    NotEmpty(String),
}

/// The tables whose rows are kept, in order of name.
pub async fn catalogue(tx: &mut Tx<'_>) -> Result<Vec<Table>, DbError> {
    let all = every_table(tx).await?;
    Ok(all.into_iter().filter(|t| LEFT_OUT.iter().all(|(name, _)| *name != t.name)).collect())
}

async fn every_table(tx: &mut Tx<'_>) -> Result<Vec<Table>, DbError> {
    let sql = match tx.is_postgres() {
        false => {
            "SELECT m.name, c.name, c.type, c.pk FROM sqlite_schema m, pragma_table_info(m.name) c \
             WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY m.name, c.cid"
        }
        // A partition's rows are its parent's.
        true => {
            "SELECT CAST(c.relname AS TEXT), CAST(a.attname AS TEXT), CAST(format_type(a.atttypid, NULL) AS TEXT), \
             CAST(COALESCE((SELECT k.n FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k(attnum, n) \
             WHERE i.indrelid = c.oid AND i.indisprimary AND k.attnum = a.attnum), 0) AS BIGINT) \
             FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
             WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) \
             AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY c.relname COLLATE \"C\", a.attnum"
        }
    };
    let rows: Vec<(String, String, String, i64)> =
        tx.fetch(sql, &[], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?))).await?;
    let mut tables: Vec<(Table, Vec<(i64, String)>)> = vec![];
    for (table, column, kind, place) in rows {
        let kind = kind_of(&kind).ok_or_else(|| {
            DbError::Schema(format!("{table}.{column} is of type {kind}, which a backup cannot hold"))
        })?;
        if tables.last().is_none_or(|(t, _)| t.name != table) {
            tables.push((Table { name: table, columns: vec![], key: vec![] }, vec![]));
        }
        let Some((table, key)) = tables.last_mut() else { continue };
        if place > 0 {
            key.push((place, column.clone()));
        }
        table.columns.push(Column { name: column, kind });
    }
    Ok(tables
        .into_iter()
        .map(|(mut table, mut key)| {
            key.sort_unstable();
            table.key = key.into_iter().map(|(_, column)| column).collect();
            table
        })
        .collect())
}

fn kind_of(declared: &str) -> Option<Kind> {
    match declared.to_ascii_lowercase().as_str() {
        "integer" | "bigint" => Some(Kind::Integer),
        "text" => Some(Kind::Text),
        "blob" | "bytea" => Some(Kind::Octets),
        _ => None,
    }
}

/// Our own names, in quotes because one may be a word of SQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Table {
    /// Name of the file its rows are written into.
    pub fn file(&self) -> String {
        format!("{}.jsonl", self.name)
    }

    fn column_list(&self) -> String {
        self.columns.iter().map(|c| quoted(&c.name)).collect::<Vec<_>>().join(", ")
    }

    /// All rows in order.
    fn select(&self, postgres: bool) -> Sql {
        let by: Vec<&Column> = match self.key.is_empty() {
            true => self.columns.iter().collect(),
            false => self.key.iter().filter_map(|k| self.columns.iter().find(|c| c.name == *k)).collect(),
        };
        let by: Vec<String> = by
            .into_iter()
            .map(|c| match (postgres, c.kind) {
                (true, Kind::Text) => format!("{} COLLATE \"C\"", quoted(&c.name)),
                _ => quoted(&c.name),
            })
            .collect();
        let (columns, table) = (self.column_list(), quoted(&self.name));
        format!("SELECT {columns} FROM {table} ORDER BY {}", by.join(", ")).into()
    }

    /// A statement that adds `rows` rows.
    fn insert(&self, rows: usize) -> String {
        let width = self.columns.len();
        let row = |n: usize| {
            let values: Vec<String> = (1..=width).map(|i| format!("${}", n * width + i)).collect();
            format!("({})", values.join(", "))
        };
        let rows: Vec<String> = (0..rows).map(row).collect();
        let (columns, table) = (self.column_list(), quoted(&self.name));
        format!("INSERT INTO {table} ({columns}) VALUES {}", rows.join(", "))
    }
}
