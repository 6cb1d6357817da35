//! PostgreSQL: a pool, one transaction per write, bounded retries.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection as _, PgConnection};

use super::tx::Conn;
use super::{DbError, DbStatus, Lock, Tx, TxFuture};
use crate::config::database::DatabaseConfig;

/// Attempts of a write that collides with others before it is given up as [`DbError::Conflict`].
const ATTEMPTS: u32 = 8;
/// Prepared statements kept per connection. PgBouncer in transaction mode must be told to follow
/// prepared statements (`max_prepared_statements`).
const STATEMENTS: usize = 256;

#[derive(Clone)]
pub(super) struct Pg {
    pool: PgPool,
    max: u32,
}

impl Pg {
    pub(super) async fn open(url: &str, config: &DatabaseConfig) -> Result<Self, DbError> {
        let max = config.connections();
        let pool = PgPoolOptions::new()
            .max_connections(max)
            .min_connections(1)
            .acquire_timeout(Duration::from_secs(config.acquire_timeout_s.max(1)))
            .idle_timeout(Duration::from_secs(600))
            .max_lifetime(Duration::from_secs(1800))
            // A ping before every use is a round trip; `begin` and `read` cope with dead connections.
            .test_before_acquire(false)
            .connect_with(options(url)?)
            .await
            .map_err(unreachable)?;
        let (sync, fsync): (String, String) =
            sqlx::query_as("SELECT current_setting('synchronous_commit'), current_setting('fsync')")
                .fetch_one(&pool)
                .await?;
        if sync == "off" || fsync == "off" {
            tracing::warn!(
                synchronous_commit = sync,
                fsync,
                "PostgreSQL does not make commits durable; acknowledged submissions can be lost"
            );
        }
        Ok(Self { pool, max })
    }

    pub(super) async fn read<T, E, F>(&self, f: F, snapshot: bool) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, T, E> + Send + Sync,
    {
        let mut stale = 0;
        loop {
            let (done, lost) = if snapshot {
                let mut txn = self.begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
                let outcome = attempt(&f, &mut txn, true).await;
                // Nothing was changed: dropping the transaction ends it without another wait.
                drop(txn);
                outcome
            } else {
                let mut conn = self.pool.acquire().await.map_err(|e| self.no_connection(e))?;
                let outcome = attempt(&f, &mut conn, true).await;
                if matches!(outcome.1, Some(DbError::Unavailable(_))) {
                    // Not back into the pool.
                    drop(conn.detach());
                }
                outcome
            };
            match (done, lost) {
                // A server restart leaves dead connections in the pool; each costs one round.
                (Err(_), Some(DbError::Unavailable(_))) if stale <= self.max => stale += 1,
                (done, _) => return done,
            }
        }
    }

    pub(super) async fn write<T, E, F>(&self, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, T, E> + Send + Sync + 'static,
    {
        for round in 0..ATTEMPTS {
            backoff(round).await;
            let mut txn = self.begin("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
            let (done, failed) = attempt(&f, &mut txn, false).await;
            match (done, failed) {
                (_, Some(DbError::Conflict)) => {
                    let _ = txn.rollback().await;
                }
                (Err(e), _) => {
                    // A failed ROLLBACK means a lost connection, which undoes as well.
                    let _ = txn.rollback().await;
                    return Err(e);
                }
                (Ok(_), Some(e)) => {
                    let _ = txn.rollback().await;
                    return Err(e.into());
                }
                (Ok(value), None) => match txn.commit().await.map_err(commit_error) {
                    Ok(()) => return Ok(value),
                    Err(DbError::Conflict) => {}
                    Err(e) => return Err(e.into()),
                },
            }
        }
        Err(DbError::Conflict.into())
    }

    /// Begins; a dead pooled connection is thrown away and another tried, for nothing was done yet.
    async fn begin(&self, sql: &'static str) -> Result<sqlx::PgTransaction<'static>, DbError> {
        let mut stale = 0;
        loop {
            match self.pool.begin_with(sql).await {
                Ok(txn) => return Ok(txn),
                Err(sqlx::Error::PoolTimedOut) => return Err(self.no_connection(sqlx::Error::PoolTimedOut)),
                Err(e) => match DbError::from(e) {
                    DbError::Unavailable(_) if stale <= self.max => stale += 1,
                    e => return Err(e),
                },
            }
        }
    }

    /// The pool keeps trying to connect until its time is up; with room left in it, the server is away.
    fn no_connection(&self, e: sqlx::Error) -> DbError {
        match e {
            sqlx::Error::PoolTimedOut if self.pool.size() < self.max => unreachable(e),
            e => e.into(),
        }
    }

    pub(super) fn status(&self) -> DbStatus {
        DbStatus {
            connections: self.pool.size().into(),
            idle: self.pool.num_idle() as u64,
            ..DbStatus::default()
        }
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Runs the closure; beside its answer, the first statement error.
async fn attempt<T, E, F>(f: &F, conn: &mut PgConnection, read_only: bool) -> (Result<T, E>, Option<DbError>)
where
    E: From<DbError>,
    F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, T, E> + Sync,
{
    let mut tx = Tx::new(Conn::Pg(conn), read_only);
    // Called inside the guarded future, so that a panic before the first await is caught as well.
    let done = AssertUnwindSafe(async { f(&mut tx).await }).catch_unwind().await;
    let failed = tx.failed().cloned();
    (done.unwrap_or_else(|_| Err(DbError::Panicked.into())), failed)
}

/// A refusal by the server is certain; anything else leaves the outcome unknown.
fn commit_error(e: sqlx::Error) -> DbError {
    let certain = match &e {
        sqlx::Error::Database(d) => d.code().is_some_and(|c| c.starts_with("40") || c.starts_with("23")),
        _ => false,
    };
    if certain { e.into() } else { DbError::Unavailable(format!("outcome of COMMIT unknown: {e}")) }
}

fn unreachable(e: sqlx::Error) -> DbError {
    match DbError::from(e) {
        DbError::Busy(_) => DbError::Unavailable("PostgreSQL does not answer".into()),
        e => e,
    }
}

/// 0, then about 2, 4, 8 … 256 ms, spread so that colliding writers part.
async fn backoff(round: u32) {
    if round > 0 {
        let spread = uuid::Uuid::new_v4().as_bytes()[0];
        let full = 2_000_u64 << round.min(7);
        tokio::time::sleep(Duration::from_micros(full / 2 + full * u64::from(spread) / 512)).await;
    }
}

fn options(url: &str) -> Result<PgConnectOptions, DbError> {
    let options: PgConnectOptions = url.parse().map_err(|e: sqlx::Error| {
        // The parser's message may quote the URL, password included.
        drop(e);
        DbError::Config("database.url is not a PostgreSQL URL".into())
    })?;
    Ok(options.application_name("chiren").statement_cache_capacity(STATEMENTS))
}

/// One connection, one transaction; see [`super::alone`].
pub(super) async fn alone<T, F>(url: &str, lock: Lock, f: F) -> Result<T, DbError>
where
    T: Send,
    F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, T> + Send + Sync,
{
    let mut conn = PgConnection::connect_with(&options(url)?).await?;
    let mut txn = conn.begin().await?;
    let (done, failed) = attempt(&f, &mut txn, lock == Lock::Read).await;
    match (done, failed) {
        (Ok(value), None) => {
            txn.commit().await.map_err(commit_error)?;
            conn.close().await?;
            Ok(value)
        }
        (Err(e), _) | (Ok(_), Some(e)) => {
            let _ = txn.rollback().await;
            let _ = conn.close().await;
            Err(e)
        }
    }
}
