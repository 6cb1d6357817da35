//! One statement text, two engines: statements run, put off, asked.

#[cfg(feature = "postgres")]
use futures_util::TryStreamExt as _;

use super::DbError;
#[cfg(feature = "postgres")]
use super::beside::Seat;
#[cfg(feature = "postgres")]
use super::later::Later;
#[cfg(feature = "postgres")]
use super::value::Ty;
use super::value::{Row, Sql, Val};
#[cfg(feature = "postgres")]
use std::time::Duration;

/// The connection under a [`Tx`]. `&mut` keeps futures over it `Send`.
pub(super) enum Conn<'c> {
    #[cfg(feature = "sqlite")]
    Lite(&'c mut rusqlite::Connection),
    /// With how long each answer of the server is waited for.
    #[cfg(feature = "postgres")]
    Pg(&'c mut sqlx::PgConnection, Option<Duration>),
    /// A place among several that share one connection and one transaction.
    #[cfg(feature = "postgres")]
    Beside(Seat),
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
            Conn::Pg(..) | Conn::Beside(_) => true,
        }
    }

    /// The condition that a column is one of what a SELECT with a LIMIT finds. PostgreSQL plans before it knows the limit,
    /// takes it for a tenth of the table, and would go through the other from its beginning to meet a few; an array it
    /// takes for ten.
    pub fn among(&self, found: &str) -> String {
        if self.is_postgres() { format!("= ANY(ARRAY({found}))") } else { format!("IN ({found})") }
    }

    /// Says that these numbers are this one's alone: ids, keys, rows that are decided on. Where several decide side
    /// by side in one transaction nobody waits for locks, and whoever comes second goes apart. Nothing otherwise.
    pub fn claim(&mut self, numbers: &[i64]) -> Result<(), DbError> {
        let done = match &self.conn {
            #[cfg(feature = "postgres")]
            Conn::Beside(seat) => seat.claim(numbers),
            _ => Ok(()),
        };
        let _ = numbers;
        self.note(done)
    }

    /// Serialises decisions that could see each other: whoever shares one of these numbers waits for the other's
    /// commit. Taken in one order, so that nobody waits in a circle. On SQLite one writes at a time anyway.
    pub async fn lock(&mut self, mut numbers: Vec<i64>) -> Result<(), DbError> {
        if !self.is_postgres() || numbers.is_empty() {
            return Ok(());
        }
        numbers.sort_unstable();
        numbers.dedup();
        #[cfg(feature = "postgres")]
        if let Conn::Beside(seat) = &self.conn {
            let done = seat.lock(&numbers).await;
            return self.note(done);
        }
        // The values are taken as they stand: sorted.
        let sql = "SELECT CAST(COUNT(pg_advisory_xact_lock(n)) AS BIGINT) FROM unnest($1) AS v(n)";
        self.fetch_one(sql, &[Val::I64s(&numbers)], |row| row.get::<i64>(0)).await.map(drop)
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

    /// The same of one row, in a form that others of its kind can join. `postgres` takes each value as a column of
    /// rows (`unnest($1, …)`), `lite` as it is.
    pub async fn later_row(
        &mut self,
        postgres: &'static str,
        lite: &'static str,
        row: &[Val<'_>],
    ) -> Result<(), DbError> {
        #[cfg(feature = "postgres")]
        if self.is_postgres() {
            if self.read_only {
                return Err(DbError::Misuse("a statement that changes rows inside a read"));
            }
            if !self.later.has_room(row.len()) {
                self.flush().await?;
            }
            return self.later.push_row(postgres, row);
        }
        let _ = postgres;
        self.run(lite.into(), row).await.map(drop)
    }

    /// Runs what was put off.
    #[cfg(feature = "postgres")]
    pub(super) async fn flush(&mut self) -> Result<(), DbError> {
        if self.later.is_empty() {
            return Ok(());
        }
        let done = match &mut self.conn {
            #[cfg(feature = "sqlite")]
            Conn::Lite(_) => Err(DbError::Misuse("changes put off on SQLite")),
            Conn::Pg(conn, patience) => {
                let later = std::mem::take(&mut self.later);
                within(*patience, later.query().execute(&mut **conn)).await.map(drop)
            }
            // What is put off is written when all are done.
            Conn::Beside(_) => Err(DbError::Apart),
        };
        self.note(done)
    }

    /// What was put off and is to be written by somebody else.
    #[cfg(feature = "postgres")]
    pub(super) fn take_later(&mut self) -> Later {
        std::mem::take(&mut self.later)
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
            #[cfg(feature = "postgres")]
            Conn::Beside(_) => Err(DbError::Apart),
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

    /// Runs a query whose values are arrays, and maps the rows that are ours. Several that ask the same side by side
    /// get one answer to all they ask, of which `map` keeps what it asked for.
    pub async fn fetch_ours<T, M>(
        &mut self,
        sql: impl Into<Sql> + Send,
        args: &[Val<'_>],
        map: M,
    ) -> Result<Vec<T>, DbError>
    where
        T: Send,
        M: FnMut(&Row<'_>) -> Result<Option<T>, DbError> + Send,
    {
        self.flush().await?;
        self.fetch_ours_past(sql, args, map).await
    }

    /// The same of a query each of whose rows begins with the number it is an answer to: ours are these.
    pub async fn fetch_of<T, M>(
        &mut self,
        sql: impl Into<Sql> + Send,
        args: &[Val<'_>],
        numbers: &[i64],
        map: M,
    ) -> Result<Vec<T>, DbError>
    where
        T: Send,
        M: FnMut(&Row<'_>) -> Result<T, DbError> + Send,
    {
        self.flush().await?;
        #[cfg(feature = "postgres")]
        if let Conn::Beside(seat) = &self.conn {
            let mut map = map;
            let rows = seat.ask(sql.into(), args).await;
            let done = rows.of(numbers).map(|row| map(&Row::Pg(row))).collect();
            return self.note(done);
        }
        let _ = numbers;
        self.fetch_past(sql, args, map).await
    }

    /// The same of rows that nothing put off touches.
    pub async fn fetch_ours_past<T, M>(
        &mut self,
        sql: impl Into<Sql> + Send,
        args: &[Val<'_>],
        mut map: M,
    ) -> Result<Vec<T>, DbError>
    where
        T: Send,
        M: FnMut(&Row<'_>) -> Result<Option<T>, DbError> + Send,
    {
        let mut ours = Vec::new();
        #[cfg(feature = "postgres")]
        if let Conn::Beside(seat) = &self.conn {
            let rows = seat.ask(sql.into(), args).await;
            let done = rows.iter().try_for_each(|row| {
                ours.extend(map(&Row::Pg(row))?);
                Ok(())
            });
            self.note(done)?;
            return Ok(ours);
        }
        let take = |row: &Row<'_>| {
            ours.extend(map(row)?);
            Ok(true)
        };
        self.ask(sql.into(), args, take).await?;
        Ok(ours)
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
            #[cfg(feature = "postgres")]
            Conn::Beside(_) => Err(DbError::Apart),
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
            #[cfg(feature = "postgres")]
            Conn::Beside(_) => Err(DbError::Apart),
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
pub(super) type PgQuery = sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments>;

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
pub(super) fn bind_null(query: PgQuery, ty: Ty) -> PgQuery {
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
