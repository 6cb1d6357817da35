//! Values in, rows out, whatever the engine.
//!
//! Statements use `$1`, `$2` … in any order and as often as needed. PostgreSQL reads the number;
//! SQLite numbers parameters by first appearance, so there they are bound by name.

#[cfg(feature = "postgres")]
use sqlx::Row as _;

use super::DbError;

/// Type of a NULL, which PostgreSQL wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ty {
    I64,
    Text,
    Blob,
}

/// A bound value. Booleans, enums and instants (microseconds since 1970) are `I64`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Val<'a> {
    Null(Ty),
    I64(i64),
    Text(&'a str),
    Blob(&'a [u8]),
    /// Arrays, which PostgreSQL alone knows: how many values there are is no part of a statement then, and it is
    /// planned once.
    I64s(&'a [i64]),
    Texts(&'a [&'a str]),
}

impl From<i64> for Val<'_> {
    fn from(v: i64) -> Self {
        Val::I64(v)
    }
}

impl<'a> From<&'a str> for Val<'a> {
    fn from(v: &'a str) -> Self {
        Val::Text(v)
    }
}

impl<'a> From<&'a String> for Val<'a> {
    fn from(v: &'a String) -> Self {
        Val::Text(v)
    }
}

impl<'a> From<&'a [u8]> for Val<'a> {
    fn from(v: &'a [u8]) -> Self {
        Val::Blob(v)
    }
}

impl From<Option<i64>> for Val<'_> {
    fn from(v: Option<i64>) -> Self {
        v.map_or(Val::Null(Ty::I64), Val::I64)
    }
}

impl<'a> From<Option<&'a str>> for Val<'a> {
    fn from(v: Option<&'a str>) -> Self {
        v.map_or(Val::Null(Ty::Text), Val::Text)
    }
}

impl<'a> From<&'a Option<String>> for Val<'a> {
    fn from(v: &'a Option<String>) -> Self {
        v.as_deref().into()
    }
}

/// A statement: a literal, or text a query builder put together. Built text may hold only our own
/// words and `$n`; whatever came from outside is a [`Val`].
pub enum Sql {
    Fixed(&'static str),
    Built(String),
}

impl Sql {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Sql::Fixed(s) => s,
            Sql::Built(s) => s,
        }
    }
}

impl From<&'static str> for Sql {
    fn from(s: &'static str) -> Self {
        Sql::Fixed(s)
    }
}

impl From<String> for Sql {
    fn from(s: String) -> Self {
        Sql::Built(s)
    }
}

#[cfg(feature = "postgres")]
impl sqlx::SqlSafeStr for Sql {
    fn into_sql_str(self) -> sqlx::SqlStr {
        match self {
            Sql::Fixed(s) => s.into_sql_str(),
            Sql::Built(s) => sqlx::AssertSqlSafe(s).into_sql_str(),
        }
    }
}

/// A result row; columns count from 0.
pub enum Row<'r> {
    #[cfg(feature = "sqlite")]
    Lite(&'r rusqlite::Row<'r>),
    #[cfg(feature = "postgres")]
    Pg(&'r sqlx::postgres::PgRow),
}

impl Row<'_> {
    /// Column `i` as an owned value.
    pub fn get<T: Col>(&self, i: usize) -> Result<T, DbError> {
        T::col(self, i)
    }

    /// The same of a column that may be NULL.
    pub fn text_opt(&self, i: usize) -> Result<Option<&str>, DbError> {
        match self {
            #[cfg(feature = "sqlite")]
            Row::Lite(row) => {
                let value = row.get_ref(i)?.as_str_or_null();
                value.map_err(|e| DbError::Decode { column: i, message: e.to_string() })
            }
            #[cfg(feature = "postgres")]
            Row::Pg(row) => Ok(row.try_get::<Option<&str>, _>(i)?),
        }
    }

    /// Column `i` as text in place: for bodies that are parsed at once.
    pub fn text(&self, i: usize) -> Result<&str, DbError> {
        match self {
            #[cfg(feature = "sqlite")]
            Row::Lite(row) => {
                row.get_ref(i)?.as_str().map_err(|e| DbError::Decode { column: i, message: e.to_string() })
            }
            #[cfg(feature = "postgres")]
            Row::Pg(row) => Ok(row.try_get::<&str, _>(i)?),
        }
    }
}

/// Types a column can be read as.
pub trait Col: Sized {
    fn col(row: &Row<'_>, i: usize) -> Result<Self, DbError>;
}

macro_rules! columns {
    ($($t:ty),+) => {$(
        impl Col for $t {
            fn col(row: &Row<'_>, i: usize) -> Result<Self, DbError> {
                match row {
                    #[cfg(feature = "sqlite")]
                    Row::Lite(row) => Ok(row.get(i)?),
                    #[cfg(feature = "postgres")]
                    Row::Pg(row) => Ok(row.try_get(i)?),
                }
            }
        }
    )+};
}

columns!(i64, Option<i64>, String, Option<String>, Vec<u8>, Option<Vec<u8>>);

impl Col for bool {
    fn col(row: &Row<'_>, i: usize) -> Result<Self, DbError> {
        Ok(i64::col(row, i)? != 0)
    }
}
