//! One statement text, two engines: values in, rows out.
//!
//! Statements use `$1`, `$2` … in any order and as often as needed. PostgreSQL reads the number;
//! SQLite numbers parameters by first appearance, so there they are bound by name.

#[cfg(feature = "postgres")]
use futures_util::TryStreamExt as _;
#[cfg(feature = "postgres")]
use sqlx::Row as _;

use super::DbError;
#[cfg(feature = "postgres")]
use std::time::Duration;

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
    fn as_str(&self) -> &str {
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

/// The connection under a [`Tx`]. `&mut` keeps futures over it `Send`.
pub(super) enum Conn<'c> {
    #[cfg(feature = "sqlite")]
    Lite(&'c mut rusqlite::Connection),
    /// With how long each answer of the server is waited for.
    #[cfg(feature = "postgres")]
    Pg(&'c mut sqlx::PgConnection, Option<Duration>),
}

/// The inside of `Db::read`, `Db::snapshot` or `Db::write`.
///
/// A statement that fails spoils a write: even if the closure carries on and returns `Ok`, nothing
/// is kept (PostgreSQL would answer such a COMMIT with a silent ROLLBACK). To try an insert that may
/// collide, write `ON CONFLICT DO NOTHING` and look at the row count.
pub struct Tx<'c> {
    conn: Conn<'c>,
    read_only: bool,
    failed: Option<DbError>,
    /// Changes put off.
    #[cfg(feature = "postgres")]
    later: Later,
}

impl<'c> Tx<'c> {
    pub(super) fn new(conn: Conn<'c>, read_only: bool) -> Self {
        Self {
            conn,
            read_only,
            failed: None,
            #[cfg(feature = "postgres")]
            later: Later::default(),
        }
    }

    /// The first statement error of this transaction.
    pub(super) fn failed(&self) -> Option<&DbError> {
        self.failed.as_ref()
    }

    /// Several transactions write at once here, so rows that are decided on must be locked.
    pub fn is_postgres(&self) -> bool {
        match self.conn {
            #[cfg(feature = "sqlite")]
            Conn::Lite(_) => false,
            #[cfg(feature = "postgres")]
            Conn::Pg(..) => true,
        }
    }

    /// Runs a statement; how many rows it changed.
    pub async fn exec(&mut self, sql: impl Into<Sql> + Send, args: &[Val<'_>]) -> Result<u64, DbError> {
        self.flush().await?;
        self.run(sql.into(), args).await
    }

    /// An INSERT of which nobody asks how many rows it made. Under PostgreSQL it waits for its like until something
    /// is asked or the transaction ends, and all of them are one round trip; what is wrong with it is told then.
    pub async fn insert(&mut self, sql: impl Into<Sql> + Send, args: &[Val<'_>]) -> Result<(), DbError> {
        let sql = sql.into();
        debug_assert!(sql.as_str().starts_with("INSERT INTO "), "an insert: {}", sql.as_str());
        self.later(sql, args).await
    }

    /// The same for any change. What waits is one statement in the end, whose parts see nothing of each other: no two
    /// of them may touch one row, which a newly made one is for an UPDATE and a deleted one for an INSERT.
    pub async fn later(&mut self, sql: impl Into<Sql> + Send, args: &[Val<'_>]) -> Result<(), DbError> {
        let sql = sql.into();
        #[cfg(feature = "postgres")]
        if self.is_postgres() {
            if self.read_only {
                return Err(DbError::Misuse("a statement that changes rows inside a read"));
            }
            if !self.later.has_room(args.len()) {
                self.flush().await?;
            }
            self.later.push(sql.as_str(), args);
            return Ok(());
        }
        self.run(sql, args).await.map(drop)
    }

    /// Runs what was put off.
    #[cfg(feature = "postgres")]
    pub(super) async fn flush(&mut self) -> Result<(), DbError> {
        if self.later.is_empty() {
            return Ok(());
        }
        let later = std::mem::take(&mut self.later);
        let text = Sql::Built(later.text());
        let done = match &mut self.conn {
            #[cfg(feature = "sqlite")]
            Conn::Lite(_) => Err(DbError::Misuse("changes put off on SQLite")),
            Conn::Pg(conn, patience) => {
                within(*patience, later.bind(text).execute(&mut **conn)).await.map(drop)
            }
        };
        self.note(done)
    }

    #[cfg(not(feature = "postgres"))]
    async fn flush(&mut self) -> Result<(), DbError> {
        Ok(())
    }

    async fn run(&mut self, sql: Sql, args: &[Val<'_>]) -> Result<u64, DbError> {
        if self.read_only {
            return Err(DbError::Misuse("a statement that changes rows inside a read"));
        }
        let done = match &mut self.conn {
            #[cfg(feature = "sqlite")]
            Conn::Lite(conn) => lite_exec(conn, sql.as_str(), args),
            #[cfg(feature = "postgres")]
            Conn::Pg(conn, patience) => within(*patience, pg_bind(sql, args).execute(&mut **conn))
                .await
                .map(|done| done.rows_affected()),
        };
        self.note(done)
    }

    /// Runs a query and maps every row as it arrives.
    pub async fn fetch<T, M>(
        &mut self,
        sql: impl Into<Sql> + Send,
        args: &[Val<'_>],
        map: M,
    ) -> Result<Vec<T>, DbError>
    where
        T: Send,
        M: FnMut(&Row<'_>) -> Result<T, DbError> + Send,
    {
        self.flush().await?;
        self.fetch_past(sql, args, map).await
    }

    /// The same of rows that nothing put off touches ([`later`](Self::later)): it goes on waiting.
    pub async fn fetch_past<T, M>(
        &mut self,
        sql: impl Into<Sql> + Send,
        args: &[Val<'_>],
        mut map: M,
    ) -> Result<Vec<T>, DbError>
    where
        T: Send,
        M: FnMut(&Row<'_>) -> Result<T, DbError> + Send,
    {
        let mut rows = Vec::new();
        let take = |row: &Row<'_>| {
            rows.push(map(row)?);
            Ok(true)
        };
        self.ask(sql.into(), args, take).await?;
        Ok(rows)
    }

    /// The first row, if there is one.
    pub async fn fetch_opt<T, M>(
        &mut self,
        sql: impl Into<Sql> + Send,
        args: &[Val<'_>],
        mut map: M,
    ) -> Result<Option<T>, DbError>
    where
        T: Send,
        M: FnMut(&Row<'_>) -> Result<T, DbError> + Send,
    {
        let mut first = None;
        self.each(sql, args, |row| {
            first = Some(map(row)?);
            Ok(false)
        })
        .await?;
        Ok(first)
    }

    /// The one row of a query that always has one (`COUNT`, `RETURNING`); [`DbError::NoRow`] otherwise.
    pub async fn fetch_one<T, M>(
        &mut self,
        sql: impl Into<Sql> + Send,
        args: &[Val<'_>],
        map: M,
    ) -> Result<T, DbError>
    where
        T: Send,
        M: FnMut(&Row<'_>) -> Result<T, DbError> + Send,
    {
        self.fetch_opt(sql, args, map).await?.ok_or(DbError::NoRow)
    }

    /// Hands each row to `take` as it arrives, until it answers `false`: for more rows than memory holds.
    pub async fn each<F>(
        &mut self,
        sql: impl Into<Sql> + Send,
        args: &[Val<'_>],
        take: F,
    ) -> Result<(), DbError>
    where
        F: FnMut(&Row<'_>) -> Result<bool, DbError> + Send,
    {
        self.flush().await?;
        self.ask(sql.into(), args, take).await
    }

    async fn ask<F>(&mut self, sql: Sql, args: &[Val<'_>], take: F) -> Result<(), DbError>
    where
        F: FnMut(&Row<'_>) -> Result<bool, DbError> + Send,
    {
        let done = match &mut self.conn {
            #[cfg(feature = "sqlite")]
            Conn::Lite(conn) => lite_each(conn, sql.as_str(), args, take),
            #[cfg(feature = "postgres")]
            Conn::Pg(conn, patience) => pg_each(conn, *patience, sql, args, take).await,
        };
        self.note(done)
    }

    /// Runs several statements without values: migrations only.
    pub(crate) async fn script(&mut self, sql: &'static str) -> Result<(), DbError> {
        let done = match &mut self.conn {
            #[cfg(feature = "sqlite")]
            Conn::Lite(conn) => conn.execute_batch(sql).map_err(DbError::from),
            #[cfg(feature = "postgres")]
            Conn::Pg(conn, _) => match sqlx::raw_sql(sql).execute(&mut **conn).await {
                Ok(_) => Ok(()),
                Err(e) => Err(e.into()),
            },
        };
        self.note(done)
    }

    fn note<T>(&mut self, done: Result<T, DbError>) -> Result<T, DbError> {
        if let (Err(e), None) = (&done, &self.failed) {
            self.failed = Some(e.clone());
        }
        done
    }
}

/// Changes that wait for one round trip.
#[cfg(feature = "postgres")]
#[derive(Default)]
struct Later {
    statements: Vec<String>,
    args: Vec<Kept>,
}

/// A value that outlives who said it.
#[cfg(feature = "postgres")]
enum Kept {
    Null(Ty),
    I64(i64),
    Text(String),
    Blob(Vec<u8>),
    I64s(Vec<i64>),
    Texts(Vec<String>),
}

#[cfg(feature = "postgres")]
impl Later {
    /// Values of one statement; PostgreSQL takes no more than 65,535.
    const MOST: usize = 4096;

    fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    fn has_room(&self, values: usize) -> bool {
        self.is_empty() || self.args.len() + values <= Self::MOST
    }

    /// Takes a statement up, its parameters numbered after those already there.
    fn push(&mut self, sql: &str, args: &[Val<'_>]) {
        let mut pieces = sql.split('$');
        let mut text = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = piece.split_at(digits);
            let number = number.parse::<usize>().unwrap_or_default() + self.args.len();
            text.push_str(&format!("${number}{rest}"));
        }
        self.statements.push(text);
        self.args.extend(args.iter().map(|value| match *value {
            Val::Null(ty) => Kept::Null(ty),
            Val::I64(v) => Kept::I64(v),
            Val::Text(v) => Kept::Text(v.to_owned()),
            Val::Blob(v) => Kept::Blob(v.to_owned()),
            Val::I64s(v) => Kept::I64s(v.to_owned()),
            Val::Texts(v) => Kept::Texts(v.iter().map(|t| (*t).to_owned()).collect()),
        }));
    }

    fn bind(self, text: Sql) -> PgQuery {
        self.args.into_iter().fold(sqlx::query(text), |query, value| match value {
            Kept::Null(ty) => bind_null(query, ty),
            Kept::I64(v) => query.bind(v),
            Kept::Text(v) => query.bind(v),
            Kept::Blob(v) => query.bind(v),
            Kept::I64s(v) => query.bind(v),
            Kept::Texts(v) => query.bind(v),
        })
    }

    /// All of them as one. They see nothing of each other, which inserts need not.
    fn text(&self) -> String {
        let Some((last, rest)) = self.statements.split_last() else { return String::new() };
        if rest.is_empty() {
            return last.clone();
        }
        let named: Vec<String> = rest.iter().enumerate().map(|(n, sql)| format!("i{n} AS ({sql})")).collect();
        format!("WITH {} {last}", named.join(", "))
    }
}

#[cfg(feature = "sqlite")]
const UNBOUND: DbError = DbError::Misuse("a $n placeholder without a value");

#[cfg(feature = "sqlite")]
fn lite_bind(stmt: &mut rusqlite::Statement<'_>, args: &[Val<'_>]) -> Result<(), DbError> {
    use rusqlite::types::Null;
    for index in 1..=stmt.parameter_count() {
        let n: Option<usize> =
            stmt.parameter_name(index).and_then(|name| name.strip_prefix('$')?.parse().ok());
        let value = n.and_then(|n| args.get(n.checked_sub(1)?)).ok_or(UNBOUND)?;
        match *value {
            Val::Null(_) => stmt.raw_bind_parameter(index, Null)?,
            Val::I64(v) => stmt.raw_bind_parameter(index, v)?,
            Val::Text(v) => stmt.raw_bind_parameter(index, v)?,
            Val::Blob(v) => stmt.raw_bind_parameter(index, v)?,
            Val::I64s(_) | Val::Texts(_) => return Err(DbError::Misuse("an array on SQLite")),
        }
    }
    Ok(())
}

#[cfg(feature = "sqlite")]
fn lite_exec(conn: &rusqlite::Connection, sql: &str, args: &[Val<'_>]) -> Result<u64, DbError> {
    let mut stmt = conn.prepare_cached(sql)?;
    lite_bind(&mut stmt, args)?;
    Ok(stmt.raw_execute()? as u64)
}

#[cfg(feature = "sqlite")]
fn lite_each(
    conn: &rusqlite::Connection,
    sql: &str,
    args: &[Val<'_>],
    mut take: impl FnMut(&Row<'_>) -> Result<bool, DbError>,
) -> Result<(), DbError> {
    let mut stmt = conn.prepare_cached(sql)?;
    lite_bind(&mut stmt, args)?;
    let mut rows = stmt.raw_query();
    while let Some(row) = rows.next()? {
        if !take(&Row::Lite(row))? {
            break;
        }
    }
    Ok(())
}

#[cfg(feature = "postgres")]
type PgQuery = sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments>;

#[cfg(feature = "postgres")]
fn pg_bind(sql: Sql, args: &[Val<'_>]) -> PgQuery {
    args.iter().fold(sqlx::query(sql), |query, value| match *value {
        Val::Null(ty) => bind_null(query, ty),
        Val::I64(v) => query.bind(v),
        Val::Text(v) => query.bind(v),
        Val::Blob(v) => query.bind(v),
        Val::I64s(v) => query.bind(v),
        Val::Texts(v) => query.bind(v),
    })
}

#[cfg(feature = "postgres")]
fn bind_null(query: PgQuery, ty: Ty) -> PgQuery {
    match ty {
        Ty::I64 => query.bind(None::<i64>),
        Ty::Text => query.bind(None::<&str>),
        Ty::Blob => query.bind(None::<&[u8]>),
    }
}

#[cfg(feature = "postgres")]
async fn pg_each<F>(
    conn: &mut sqlx::PgConnection,
    patience: Option<Duration>,
    sql: Sql,
    args: &[Val<'_>],
    mut take: F,
) -> Result<(), DbError>
where
    F: FnMut(&Row<'_>) -> Result<bool, DbError> + Send,
{
    let mut rows = pg_bind(sql, args).fetch(conn);
    while let Some(row) = within(patience, rows.try_next()).await? {
        if !take(&Row::Pg(&row))? {
            break;
        }
    }
    Ok(())
}

/// Waits for the server, but not for ever: a network that swallows packets says nothing.
#[cfg(feature = "postgres")]
pub(super) async fn within<T>(
    patience: Option<Duration>,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, DbError> {
    let Some(patience) = patience else { return Ok(answer.await?) };
    match tokio::time::timeout(patience, answer).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(DbError::Silent(format!("no answer within {} s", patience.as_secs()))),
    }
}
