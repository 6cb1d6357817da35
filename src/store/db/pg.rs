//! PostgreSQL: a pool, one transaction per write, bounded retries, bounded waiting.
//!
//! Until COMMIT is sent nothing is kept, whatever happens to the connection: such a write is begun anew.
//! Once it is sent and no answer comes, nobody here can know: [`DbError::OutcomeUnknown`].

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, Postgres, Transaction};

use super::tx::{Conn, within};
use super::{DbError, DbStatus, Lock, Sql, Tx, TxFuture};
use crate::config::database::DatabaseConfig;

/// Attempts of a write that collides with others before it is given up as [`DbError::Conflict`].
const ATTEMPTS: u32 = 8;
/// How often a write whose connection was lost before its COMMIT is begun anew.
const LOSSES: u32 = 2;
/// Prepared statements kept per connection. PgBouncer in transaction mode must be told to follow
/// prepared statements (`max_prepared_statements`).
const STATEMENTS: usize = 256;
/// By so much we outwait the server's own limit on a statement: what comes later than that does not come.
const MARGIN: Duration = Duration::from_secs(2);
/// How long a connection outside the pool may take to come about.
const CONNECTING: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(super) struct Pg {
    pool: PgPool,
    max: u32,
    /// How long an answer of the server is waited for.
    pub(super) patience: Option<Duration>,
}

impl Pg {
    pub(super) async fn open(url: &str, config: &DatabaseConfig) -> Result<Self, DbError> {
        let max = config.connections();
        let limits = limits(config.statement_timeout_s);
        let pool = PgPoolOptions::new()
            .max_connections(max)
            .min_connections(1)
            .acquire_timeout(Duration::from_secs(config.acquire_timeout_s.max(1)))
            .idle_timeout(Duration::from_secs(600))
            .max_lifetime(Duration::from_secs(1800))
            // A ping before every use is a round trip; `begin` and `read` cope with dead connections.
            .test_before_acquire(false)
            .after_connect(move |conn, _| {
                let limits = limits.clone();
                Box::pin(
                    async move { sqlx::raw_sql(sqlx::AssertSqlSafe(limits)).execute(conn).await.map(drop) },
                )
            })
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
        let patience = Some(config.statement_timeout_s).filter(|s| *s > 0);
        Ok(Self { pool, max, patience: patience.map(|s| Duration::from_secs(s) + MARGIN) })
    }

    pub(super) async fn read<T, E, F>(&self, f: F, how: Reading) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, T, E> + Send + Sync,
    {
        let mut stale = 0;
        loop {
            let mut conn = self.acquire().await?;
            let (done, lost) = if how == Reading::Snapshot {
                match conn.begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", self.patience).await {
                    // Nothing was changed: dropping the transaction ends it without another wait.
                    Ok(mut txn) => attempt(&f, &mut txn, self.patience, true).await,
                    Err(e) => (Err(e.clone().into()), Some(e)),
                }
            } else {
                attempt(&f, conn.get()?, self.patience, how != Reading::Repeatable).await
            };
            if lost.as_ref().is_some_and(DbError::is_lost_connection) {
                conn.throw_away();
            }
            match (done, lost) {
                // A server restart leaves dead connections in the pool; each costs one round. One that was
                // waited for in vain belongs to a server that hangs: the next would hang as well.
                (Err(_), Some(DbError::Unavailable(_))) if stale <= self.max => stale += 1,
                (done, _) => return done,
            }
        }
    }

    /// `numbers`: advisory locks, sorted, that the transaction begins with; they cost no wait of their own.
    pub(super) async fn write<T, E, F>(&self, f: F, numbers: &[i64]) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, T, E> + Send + Sync + 'static,
    {
        let mut begin = String::from("BEGIN ISOLATION LEVEL READ COMMITTED");
        for number in numbers {
            begin.push_str(&format!("; SELECT pg_advisory_xact_lock({number})"));
        }
        let (mut stale, mut losses, mut round) = (0, 0, 0);
        while round < ATTEMPTS {
            backoff(round).await;
            let mut conn = self.acquire().await?;
            match self.write_once(&f, &mut conn, &begin).await {
                Ended::Done(done) => return done,
                Ended::Collided => {
                    tracing::debug!(round, "a write collided with another and is tried again");
                    round += 1;
                }
                Ended::Lost { begun, cause } => {
                    conn.throw_away();
                    match cause {
                        // Nothing was begun: one more dead connection of those a server restart leaves.
                        DbError::Unavailable(_) if !begun && stale <= self.max => stale += 1,
                        // No COMMIT was sent, so nothing is kept.
                        DbError::Unavailable(cause) if begun && losses < LOSSES => {
                            tracing::warn!(cause, "connection lost before COMMIT; the write is begun anew");
                            losses += 1;
                        }
                        e => return Err(e.into()),
                    }
                }
            }
        }
        Err(DbError::Conflict.into())
    }

    async fn write_once<T, E, F>(&self, f: &F, conn: &mut Lent, begin: &str) -> Ended<T, E>
    where
        E: From<DbError>,
        F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, T, E> + Sync,
    {
        let mut txn = match conn.begin(begin.to_owned(), self.patience).await {
            Ok(txn) => txn,
            Err(DbError::Conflict) => return Ended::Collided,
            Err(e) if e.is_lost_connection() => return Ended::Lost { begun: false, cause: e },
            Err(e) => return Ended::Done(Err(e.into())),
        };
        let (done, failed) = attempt(f, &mut txn, self.patience, false).await;
        match (done, failed) {
            (_, Some(e)) if e.is_lost_connection() => Ended::Lost { begun: true, cause: e },
            (_, Some(DbError::Conflict)) => self.undone(txn, Ended::Collided).await,
            (Err(e), _) => self.undone(txn, Ended::Done(Err(e))).await,
            (Ok(_), Some(e)) => self.undone(txn, Ended::Done(Err(e.into()))).await,
            (Ok(value), None) => match within(self.patience, txn.commit()).await.map_err(commit_error) {
                Ok(()) => Ended::Done(Ok(value)),
                Err(DbError::Conflict) => Ended::Collided,
                Err(e) if e.is_lost_connection() => Ended::Lost { begun: true, cause: e },
                Err(e) => Ended::Done(Err(e.into())),
            },
        }
    }

    /// Rolls back; if that fails the connection is lost, which undoes as well.
    async fn undone<T, E>(&self, txn: Transaction<'_, Postgres>, ended: Ended<T, E>) -> Ended<T, E> {
        let _ = within(self.patience, txn.rollback()).await;
        ended
    }

    pub(super) async fn acquire(&self) -> Result<Lent, DbError> {
        let conn = self.pool.acquire().await.map_err(|e| self.no_connection(e))?;
        Ok(Lent { conn: Some(conn), beginning: false })
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

/// What runs outside a writing transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Statements that each see a state of their own.
    Plain,
    /// Statements that see one state.
    Snapshot,
    /// One statement that changes something, and may be run again when nobody knows whether it was.
    Repeatable,
}

/// How one attempt of a write ended.
enum Ended<T, E> {
    Done(Result<T, E>),
    Collided,
    /// The connection is of no more use; whether the transaction had begun.
    Lost {
        begun: bool,
        cause: DbError,
    },
}

/// A connection of the pool. While a transaction is being begun it is not one to give back: should nobody wait for that
/// any longer, or the server refuse it, sqlx knows of no transaction to end, and the server may have begun one, with
/// its locks.
pub(super) struct Lent {
    conn: Option<PoolConnection<Postgres>>,
    beginning: bool,
}

impl Lent {
    fn get(&mut self) -> Result<&mut PgConnection, DbError> {
        self.conn.as_deref_mut().ok_or(DbError::Misuse("a connection that was thrown away"))
    }

    pub(super) async fn begin(
        &mut self,
        sql: impl Into<Sql>,
        patience: Option<Duration>,
    ) -> Result<Transaction<'_, Postgres>, DbError> {
        let Some(conn) = self.conn.as_deref_mut() else {
            return Err(DbError::Misuse("a connection that was thrown away"));
        };
        self.beginning = true;
        let txn = within(patience, conn.begin_with(sql.into())).await?;
        self.beginning = false;
        Ok(txn)
    }

    /// Closes it at once instead of giving it back: what is asked of it may never be answered.
    pub(super) fn throw_away(&mut self) {
        drop(self.conn.take().map(PoolConnection::detach));
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.beginning {
            self.throw_away();
        }
    }
}

/// What each connection asks of the server: statements and idle transactions end in time, so that a gateway
/// that died with its machine does not hold a patient for ever. And every statement has its index, also while
/// the server believes a table to be as small as when it last looked: plans are kept, and one made for a
/// table of a few rows reads it whole when it has a million. Plans by index alone are the same for all values, so none
/// is made anew for each.
fn limits(seconds: u64) -> String {
    format!(
        "SET statement_timeout = '{seconds}s'; SET idle_in_transaction_session_timeout = '{seconds}s'; \
         SET enable_seqscan = off; SET jit = off; SET plan_cache_mode = force_generic_plan; \
         SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3"
    )
}

/// Runs the closure; beside its answer, the first statement error.
async fn attempt<T, E, F>(
    f: &F,
    conn: &mut PgConnection,
    patience: Option<Duration>,
    read_only: bool,
) -> (Result<T, E>, Option<DbError>)
where
    E: From<DbError>,
    F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, T, E> + Sync,
{
    let mut tx = Tx::new(Conn::Pg(conn, patience), read_only);
    // Called inside the guarded future, so that a panic before the first await is caught as well.
    let done = AssertUnwindSafe(async {
        let done = f(&mut tx).await?;
        tx.flush().await?;
        Ok(done)
    })
    .catch_unwind()
    .await;
    let failed = tx.failed().cloned();
    (done.unwrap_or_else(|_| Err(DbError::Panicked.into())), failed)
}

/// A refusal by the server is certain; with anything else it may have been told and not heard.
pub(super) fn commit_error(e: DbError) -> DbError {
    match e {
        DbError::Unavailable(cause) | DbError::Silent(cause) => DbError::OutcomeUnknown(cause),
        e => e,
    }
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
    let options = options(url)?;
    let mut conn = within(Some(CONNECTING), PgConnection::connect_with(&options)).await?;
    let mut txn = conn.begin().await?;
    let (done, failed) = attempt(&f, &mut txn, None, lock == Lock::Read).await;
    match (done, failed) {
        (Ok(value), None) => {
            txn.commit().await.map_err(|e| commit_error(e.into()))?;
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
