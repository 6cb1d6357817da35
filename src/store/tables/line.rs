//! A row as a line, and back.

use std::io::{self, BufRead, Write};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Kind, Table, TableError};
use crate::store::db::{DbError, Row, Sql, Tx, Ty, Val};
use crate::store::registry::state::Digest;

/// Values bound in one statement; rows are inserted as many at a time as that allows.
const BOUND: usize = 500;

/// Counts and hashes what is written through it.
pub struct Tally<W> {
    inner: W,
    octets: u64,
    hasher: Sha256,
}

/// What went through a [`Tally`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tallied {
    pub octets: u64,
    pub sha256: Digest,
}

impl<W> Tally<W> {
    pub fn new(inner: W) -> Self {
        Self { inner, octets: 0, hasher: Sha256::new() }
    }

    /// What was written so far, and where.
    pub fn finish(self) -> (Tallied, W) {
        let sha256 = Digest(self.hasher.finalize().into());
        (Tallied { octets: self.octets, sha256 }, self.inner)
    }
}

impl<W: Write> Write for Tally<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.hasher.update(bytes.get(..n).unwrap_or_default());
        self.octets += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Table {
    /// Writes every row as a line; how many.
    pub async fn dump(&self, tx: &mut Tx<'_>, out: &mut (dyn Write + Send)) -> Result<u64, TableError> {
        let select = self.select(tx.is_postgres());
        lines(tx, select, self.columns.iter().map(|c| c.kind).collect(), &self.file(), out).await
    }

    /// Adds the rows of a file of lines; how many. `file` is for messages.
    pub async fn load(
        &self,
        tx: &mut Tx<'_>,
        file: &str,
        lines: &mut (dyn BufRead + Send),
    ) -> Result<u64, TableError> {
        let at_once = (BOUND / self.columns.len().max(1)).max(1);
        let (many, one) = (self.insert(at_once), self.insert(1));
        let (mut waiting, mut count, mut text) = (vec![], 0, String::new());
        loop {
            text.clear();
            let read = lines.read_line(&mut text);
            if read.map_err(|source| TableError::Io { file: file.to_owned(), source })? == 0 {
                break;
            }
            count += 1;
            let row = self.row(&text).map_err(|message| TableError::Line {
                file: file.to_owned(),
                line: count,
                message,
            })?;
            waiting.extend(row);
            if waiting.len() == at_once * self.columns.len() {
                insert(tx, &many, &waiting).await?;
                waiting.clear();
            }
        }
        for row in waiting.chunks(self.columns.len().max(1)) {
            insert(tx, &one, row).await?;
        }
        Ok(count)
    }

    fn row(&self, line: &str) -> Result<Vec<Cell>, String> {
        let values: Vec<Value> = serde_json::from_str(line).map_err(|_| "is no JSON array".to_owned())?;
        if values.len() != self.columns.len() {
            return Err(format!("has {} values, {} columns", values.len(), self.columns.len()));
        }
        self.columns
            .iter()
            .zip(values)
            // The value is a patient's: it is not repeated.
            .map(|(c, value)| cell(c.kind, value).ok_or_else(|| format!("{} is no {:?}", c.name, c.kind)))
            .collect()
    }
}

async fn insert(tx: &mut Tx<'_>, sql: &str, cells: &[Cell]) -> Result<(), DbError> {
    let values: Vec<Val<'_>> = cells.iter().map(Cell::val).collect();
    tx.exec(sql.to_owned(), &values).await.map(drop)
}

/// Writes the rows of a query, whose columns are of these kinds, as lines; how many. `file` is for messages.
pub async fn lines(
    tx: &mut Tx<'_>,
    sql: impl Into<Sql> + Send,
    kinds: Vec<Kind>,
    file: &str,
    out: &mut (dyn Write + Send),
) -> Result<u64, TableError> {
    let (mut count, mut line, mut failed) = (0, vec![], None);
    tx.each(sql, &[], |row| {
        line.clear();
        write_row(&kinds, row, &mut line)?;
        match out.write_all(&line) {
            Ok(()) => count += 1,
            Err(e) => failed = Some(e),
        }
        Ok(failed.is_none())
    })
    .await?;
    match failed {
        Some(source) => Err(TableError::Io { file: file.to_owned(), source }),
        None => Ok(count),
    }
}

fn write_row(kinds: &[Kind], row: &Row<'_>, line: &mut Vec<u8>) -> Result<(), DbError> {
    for (i, kind) in kinds.iter().enumerate() {
        line.push(if i == 0 { b'[' } else { b',' });
        match kind {
            Kind::Integer => match row.get::<Option<i64>>(i)? {
                Some(number) => line.extend_from_slice(number.to_string().as_bytes()),
                None => line.extend_from_slice(b"null"),
            },
            Kind::Text => json(line, &row.get::<Option<String>>(i)?)?,
            Kind::Octets => {
                let octets: Option<Vec<u8>> = row.get(i)?;
                json(line, &octets.map(|o| o.iter().map(|b| format!("{b:02x}")).collect::<String>()))?;
            }
        }
    }
    line.extend_from_slice(b"]\n");
    Ok(())
}

fn json(line: &mut Vec<u8>, text: &Option<String>) -> Result<(), DbError> {
    serde_json::to_writer(line, text)
        .map_err(|e| DbError::Sql(format!("a row cannot be written as JSON: {e}")))
}

enum Cell {
    Null(Ty),
    Integer(i64),
    Text(String),
    Octets(Vec<u8>),
}

impl Cell {
    fn val(&self) -> Val<'_> {
        match self {
            Cell::Null(ty) => Val::Null(*ty),
            Cell::Integer(number) => Val::I64(*number),
            Cell::Text(text) => Val::Text(text),
            Cell::Octets(octets) => Val::Blob(octets),
        }
    }
}

fn cell(kind: Kind, value: Value) -> Option<Cell> {
    Some(match (kind, value) {
        (Kind::Integer, Value::Null) => Cell::Null(Ty::I64),
        (Kind::Text, Value::Null) => Cell::Null(Ty::Text),
        (Kind::Octets, Value::Null) => Cell::Null(Ty::Blob),
        (Kind::Integer, Value::Number(number)) => Cell::Integer(number.as_i64()?),
        (Kind::Text, Value::String(text)) => Cell::Text(text),
        (Kind::Octets, Value::String(digits)) => {
            let pairs = digits.as_bytes().chunks(2);
            let octet = |p: &[u8]| u8::from_str_radix(std::str::from_utf8(p).ok()?, 16).ok();
            Cell::Octets(pairs.map(octet).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}
