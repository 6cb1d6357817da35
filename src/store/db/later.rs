//! Changes of PostgreSQL that wait for one round trip.

use super::DbError;
use super::tx::{PgQuery, bind_null};
use super::value::{Sql, Ty, Val};

/// Changes put off: statements, and their values. Rows for the same statement share it.
#[derive(Default)]
pub(super) struct Later {
    statements: Vec<(String, Vec<Kept>)>,
    values: usize,
}

/// A value that outlives who said it.
#[derive(Clone)]
pub(super) enum Kept {
    Null(Ty),
    I64(i64),
    Text(String),
    Blob(Vec<u8>),
    I64s(Vec<i64>),
    Texts(Vec<String>),
    /// Columns of rows, which `unnest` takes apart again.
    I64Column(Vec<Option<i64>>),
    TextColumn(Vec<Option<String>>),
    BlobColumn(Vec<Option<Vec<u8>>>),
}

impl Kept {
    pub(super) fn of(value: Val<'_>) -> Self {
        match value {
            Val::Null(ty) => Kept::Null(ty),
            Val::I64(v) => Kept::I64(v),
            Val::Text(v) => Kept::Text(v.to_owned()),
            Val::Blob(v) => Kept::Blob(v.to_owned()),
            Val::I64s(v) => Kept::I64s(v.to_owned()),
            Val::Texts(v) => Kept::Texts(v.iter().map(|t| (*t).to_owned()).collect()),
        }
    }

    /// A column of one row.
    fn column(value: Val<'_>) -> Result<Self, DbError> {
        Ok(match value {
            Val::Null(Ty::I64) => Kept::I64Column(vec![None]),
            Val::Null(Ty::Text) => Kept::TextColumn(vec![None]),
            Val::Null(Ty::Blob) => Kept::BlobColumn(vec![None]),
            Val::I64(v) => Kept::I64Column(vec![Some(v)]),
            Val::Text(v) => Kept::TextColumn(vec![Some(v.to_owned())]),
            Val::Blob(v) => Kept::BlobColumn(vec![Some(v.to_owned())]),
            Val::I64s(_) | Val::Texts(_) => return Err(DbError::Misuse("an array in a row")),
        })
    }

    pub(super) fn bind(self, query: PgQuery) -> PgQuery {
        match self {
            Kept::Null(ty) => bind_null(query, ty),
            Kept::I64(v) => query.bind(v),
            Kept::Text(v) => query.bind(v),
            Kept::Blob(v) => query.bind(v),
            Kept::I64s(v) => query.bind(v),
            Kept::Texts(v) => query.bind(v),
            Kept::I64Column(v) => query.bind(v),
            Kept::TextColumn(v) => query.bind(v),
            Kept::BlobColumn(v) => query.bind(v),
        }
    }
}

/// Whether the values of two of one statement can be its values together: arrays, all of them.
pub(super) fn can_join(these: &[Kept], those: &[Kept]) -> bool {
    let alike = |pair: (&Kept, &Kept)| {
        matches!(
            pair,
            (Kept::I64s(_), Kept::I64s(_))
                | (Kept::Texts(_), Kept::Texts(_))
                | (Kept::I64Column(_), Kept::I64Column(_))
                | (Kept::TextColumn(_), Kept::TextColumn(_))
                | (Kept::BlobColumn(_), Kept::BlobColumn(_))
        )
    };
    these.len() == those.len() && !these.is_empty() && these.iter().zip(those).all(alike)
}

pub(super) fn join(these: &mut [Kept], those: Vec<Kept>) {
    for pair in these.iter_mut().zip(those) {
        match pair {
            (Kept::I64s(a), Kept::I64s(b)) => a.extend(b),
            (Kept::Texts(a), Kept::Texts(b)) => a.extend(b),
            (Kept::I64Column(a), Kept::I64Column(b)) => a.extend(b),
            (Kept::TextColumn(a), Kept::TextColumn(b)) => a.extend(b),
            (Kept::BlobColumn(a), Kept::BlobColumn(b)) => a.extend(b),
            _ => {}
        }
    }
}

impl Later {
    /// Values of one statement; PostgreSQL takes no more than 65,535.
    const MOST: usize = 4096;

    pub(super) fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    pub(super) fn has_room(&self, values: usize) -> bool {
        self.is_empty() || self.values + values <= Self::MOST
    }

    pub(super) fn push(&mut self, sql: &str, args: &[Val<'_>]) {
        self.put(sql.to_owned(), args.iter().map(|value| Kept::of(*value)).collect());
    }

    /// One row of those that a statement takes as columns.
    pub(super) fn push_row(&mut self, sql: &str, row: &[Val<'_>]) -> Result<(), DbError> {
        let columns = row.iter().map(|value| Kept::column(*value)).collect::<Result<_, _>>()?;
        self.put(sql.to_owned(), columns);
        Ok(())
    }

    fn put(&mut self, sql: String, args: Vec<Kept>) {
        let same = self.statements.iter_mut().find(|(text, there)| *text == sql && can_join(there, &args));
        match same {
            Some((_, there)) => join(there, args),
            None => {
                self.values += args.len();
                self.statements.push((sql, args));
            }
        }
    }

    /// Takes up what another waits with.
    pub(super) fn append(&mut self, other: Later) {
        for (sql, args) in other.statements {
            self.put(sql, args);
        }
    }

    /// Puts statements that see nothing of each other into one order, so that the same ones are the same text.
    pub(super) fn sort(&mut self) {
        self.statements.sort_by(|a, b| a.0.cmp(&b.0));
    }

    pub(super) fn query(self) -> PgQuery {
        let text = Sql::Built(self.text());
        let values = self.statements.into_iter().flat_map(|(_, args)| args);
        values.fold(sqlx::query(text), |query, value| value.bind(query))
    }

    /// All of them as one. They see nothing of each other, which inserts need not.
    pub(super) fn text(&self) -> String {
        let mut before = 0;
        let mut texts: Vec<String> = vec![];
        for (sql, args) in &self.statements {
            texts.push(numbered_after(sql, before));
            before += args.len();
        }
        let Some((last, rest)) = texts.split_last() else { return String::new() };
        if rest.is_empty() {
            return last.clone();
        }
        let named: Vec<String> = rest.iter().enumerate().map(|(n, sql)| format!("i{n} AS ({sql})")).collect();
        format!("WITH {} {last}", named.join(", "))
    }
}

/// A statement with its parameters numbered after those already there.
fn numbered_after(sql: &str, before: usize) -> String {
    if before == 0 {
        return sql.to_owned();
    }
    let mut pieces = sql.split('$');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = piece.split_at(digits);
        let number = number.parse::<usize>().unwrap_or_default() + before;
        text.push_str(&format!("${number}{rest}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_statement_share_it_and_others_do_not() {
        let mut one = Later::default();
        one.push_row("INSERT INTO b SELECT * FROM unnest($1, $2)", &[Val::I64(1), Val::Null(Ty::Text)])
            .unwrap();
        one.push("INSERT INTO a VALUES ($1)", &[Val::I64(1)]);
        let mut other = Later::default();
        other.push("INSERT INTO a VALUES ($1)", &[Val::I64(2)]);
        other.push_row("INSERT INTO b SELECT * FROM unnest($1, $2)", &[Val::I64(2), Val::Text("x")]).unwrap();
        one.append(other);
        one.sort();
        assert_eq!(
            one.text(),
            "WITH i0 AS (INSERT INTO a VALUES ($1)), i1 AS (INSERT INTO a VALUES ($2)) \
             INSERT INTO b SELECT * FROM unnest($3, $4)"
        );
        assert!(one.push_row("x", &[Val::I64s(&[1])]).is_err());
    }
}
