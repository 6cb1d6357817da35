//! SQLite: a stack of readers, one writer thread, one checkpoint thread.

use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::lite_writer::{WriteJob, Writer};
use super::tx::Conn;
use super::{DbError, DbStatus, Lock, Tx, TxFuture};
use crate::config::database::DatabaseConfig;
use crate::store::in_place::in_place;

/// How long SQLite itself waits for a lock held by another process (a backup, `chiren migrate`).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements kept per connection.
const STATEMENTS: usize = 128;
/// 8 KiB holds two or three DocumentEntry bodies; migrations/sqlite/0001_registry.sql has the measurement.
const PAGE_SIZE: u32 = 8192;

#[derive(Clone)]
pub(super) struct Lite(Arc<Shared>);

struct Shared {
    writer: Writer,
    readers: Mutex<Vec<Connection>>,
    /// How many there are, idle or not.
    count: usize,
    /// One permit for each connection on the stack.
    permits: Arc<Semaphore>,
    acquire_timeout: Duration,
}

impl Lite {
    pub(super) fn open(path: &Path, config: &DatabaseConfig) -> Result<Self, DbError> {
        let options = LiteOptions::of(path, config);
        let writer = Writer::start(&options, config.write_queue.max(1))?;
        let count = config.connections().max(1) as usize;
        let readers = (0..count).map(|_| options.reader()).collect::<Result<Vec<_>, _>>()?;
        Ok(Self(Arc::new(Shared {
            writer,
            readers: Mutex::new(readers),
            count,
            permits: Arc::new(Semaphore::new(count)),
            acquire_timeout: Duration::from_secs(config.acquire_timeout_s.max(1)),
        })))
    }

    pub(super) async fn read<T, E, F>(&self, f: F, snapshot: bool) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, T, E> + Send + Sync,
    {
        let mut reader = self.reader().await?;
        in_place(|| {
            let conn = reader.conn().ok_or(DbError::Unavailable(CLOSED.into()))?;
            if !snapshot {
                return poll_once(&f, conn, true).0;
            }
            conn.execute_batch("BEGIN").map_err(DbError::from)?;
            let (done, _) = poll_once(&f, conn, true);
            // Nothing was changed; a failure to end shows itself at the next use.
            let _ = conn.execute_batch("ROLLBACK");
            done
        })
    }

    pub(super) async fn write<T, E, F>(&self, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, T, E> + Send + Sync + 'static,
    {
        let (job, answer) = WriteJob::new(f);
        self.0.writer.submit(job)?;
        match answer.await {
            Ok(done) => done,
            // The thread ended without answering.
            Err(_) => Err(DbError::OutcomeUnknown(CLOSED.into()).into()),
        }
    }

    async fn reader(&self) -> Result<Reader<'_>, DbError> {
        let permit = tokio::time::timeout(self.0.acquire_timeout, self.0.permits.clone().acquire_owned())
            .await
            .map_err(|_| DbError::Busy("no free reader in time"))?
            .map_err(|_| DbError::Unavailable(CLOSED.into()))?;
        let conn = self.readers().pop();
        Ok(Reader { conn, home: &self.0, _permit: permit })
    }

    fn readers(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.0.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn status(&self) -> DbStatus {
        let (queued, commits, writes) = self.0.writer.counters();
        let idle = self.0.permits.available_permits() as u64;
        DbStatus { queued, commits, writes, connections: self.0.count as u64, idle }
    }

    pub(super) async fn close(&self) {
        self.0.permits.close();
        self.0.writer.close().await;
        self.readers().clear();
    }
}

pub(super) const CLOSED: &str = "the database is closed";

/// A reader connection that goes home by itself, also when a closure panics. The permit is released
/// after the connection is back (fields drop in order, `Drop` first).
struct Reader<'a> {
    conn: Option<Connection>,
    home: &'a Shared,
    _permit: OwnedSemaphorePermit,
}

impl Reader<'_> {
    fn conn(&mut self) -> Option<&mut Connection> {
        self.conn.as_mut()
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take()
            && !self.home.permits.is_closed()
        {
            if !conn.is_autocommit() {
                let _ = conn.execute_batch("ROLLBACK");
            }
            self.home.readers.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
        }
    }
}

/// Runs a closure over `conn`; beside its answer, the first statement error. Every await inside is a
/// call on [`Tx`], ready at once here. Of a write whose statement failed nothing may be kept.
pub(super) fn poll_once<T, E, F>(
    f: &F,
    conn: &mut Connection,
    read_only: bool,
) -> (Result<T, E>, Option<DbError>)
where
    E: From<DbError>,
    F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, T, E>,
{
    let mut tx = Tx::new(Conn::Lite(conn), read_only);
    let done = catch_unwind(AssertUnwindSafe(|| f(&mut tx).now_or_never()));
    let failed = tx.failed().cloned();
    let done = match (done, &failed) {
        (Ok(Some(Ok(_))), Some(e)) if !read_only => Err(e.clone().into()),
        (Ok(Some(done)), _) => done,
        (Ok(None), _) => Err(DbError::Misuse("it awaited something other than the database").into()),
        (Err(_), _) => Err(DbError::Panicked.into()),
    };
    (done, failed)
}

/// How connections to one file are opened.
pub(super) struct LiteOptions {
    path: PathBuf,
    cache_kib: u32,
    mmap_bytes: u64,
}

impl LiteOptions {
    fn of(path: &Path, config: &DatabaseConfig) -> Self {
        Self {
            path: path.to_owned(),
            cache_kib: config.cache_mib.max(1).saturating_mul(1024),
            mmap_bytes: u64::from(config.mmap_mib) * 1024 * 1024,
        }
    }

    pub(super) fn writer(&self) -> Result<Connection, DbError> {
        let conn = connect(&self.path)?;
        self.tune(&conn, self.cache_kib)?;
        // Each savepoint keeps the pages it changes until its release; beyond 64 KiB, which is one
        // registration, they would go to a temporary file.
        conn.pragma_update(None, "temp_store", "MEMORY")?;
        // A commit writes the log; `lite_sync` syncs it before anybody is answered. SQLite itself goes on syncing
        // the log before pages are copied home, and the file before the log is begun anew.
        conn.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(conn)
    }

    fn reader(&self) -> Result<Connection, DbError> {
        let conn = connect(&self.path)?;
        self.tune(&conn, (self.cache_kib / 4).max(1024))?;
        conn.pragma_update(None, "query_only", true)?;
        Ok(conn)
    }

    /// The log (WAL). SQLite keeps the file as long as a connection is open.
    pub(super) fn log(&self) -> PathBuf {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        log.into()
    }

    /// Copies pages from the log to the file; needs no cache of its own.
    pub(super) fn checkpointer(&self) -> Result<Connection, DbError> {
        let conn = connect(&self.path)?;
        self.tune(&conn, 1024)?;
        Ok(conn)
    }

    fn tune(&self, conn: &Connection, cache_kib: u32) -> Result<(), DbError> {
        conn.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
        conn.pragma_update_and_check(None, "mmap_size", self.mmap_bytes as i64, |_| Ok(()))?;
        // The checkpoint thread decides when to checkpoint; a commit never pays for it.
        conn.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
        conn.pragma_update_and_check(None, "journal_size_limit", 128 * 1024 * 1024, |_| Ok(()))?;
        Ok(())
    }
}

/// Opens or makes the file in the one mode we use: WAL, synced at every commit (the writer's apart).
fn connect(path: &Path) -> Result<Connection, DbError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    if !path.exists() {
        // Patient data: for us alone. SQLite gives its log the same mode.
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .map_err(|e| DbError::Unavailable(format!("{}: {e}", path.display())))?;
    }
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    // Only a file without tables takes the page size.
    conn.pragma_update(None, "page_size", PAGE_SIZE)?;
    let mode: String = conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(DbError::Unavailable("SQLite cannot use WAL on this file system".into()));
    }
    // A plan does not depend on the values bound: else statements are planned again for other values
    // (6 % of a FindDocuments), and what a test says of plans would not hold.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    Ok(conn)
}

/// Leaving WAL is granted to the only connection there is.
pub(super) fn is_open_elsewhere(path: &Path) -> Result<bool, DbError> {
    if !path.exists() {
        return Ok(false);
    }
    let conn = connect(path)?;
    conn.busy_timeout(Duration::ZERO)?;
    match conn.pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get::<_, String>(0)) {
        Ok(mode) if mode.eq_ignore_ascii_case("wal") => Ok(true),
        Ok(_) => {
            conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
            Ok(false)
        }
        Err(e) => match DbError::from(e) {
            DbError::Busy(_) => Ok(true),
            e => Err(e),
        },
    }
}

/// One connection, one transaction; see [`super::alone`].
pub(super) fn alone<T, F>(path: &Path, lock: Lock, f: F) -> Result<T, DbError>
where
    F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, T>,
{
    let mut conn = match lock {
        Lock::Read if !path.exists() => Connection::open_in_memory()?,
        _ => connect(path)?,
    };
    conn.execute_batch(match lock {
        Lock::Read => "BEGIN",
        Lock::Schema => "BEGIN IMMEDIATE",
    })?;
    match poll_once(&f, &mut conn, lock == Lock::Read).0 {
        Ok(value) => {
            conn.execute_batch("COMMIT")?;
            Ok(value)
        }
        Err(e) => {
            if !conn.is_autocommit() {
                let _ = conn.execute_batch("ROLLBACK");
            }
            Err(e)
        }
    }
}
