//! Two engines, one SQL text.
//!
//! `Db::write` runs a closure inside a transaction, `Db::read` and `Db::snapshot` outside one that
//! changes anything. The closure gets a [`Tx`] and may await nothing but its methods: on SQLite it
//! is polled once, on one thread, together with other closures (group commit); on PostgreSQL it is
//! run again after a serialization failure or deadlock. It must therefore be an `Fn` without side
//! effects outside the database.
//!
//! - SQLite (`lite`): one writer thread gathers waiting closures, runs each in its own savepoint and
//!   commits them together; another syncs the log and then answers. Readers are a stack of connections used in
//!   place on the caller's thread.
//! - PostgreSQL (`pg`): a pool; the server groups commits by itself, and writes made for it share a transaction
//!   (`beside`).

#[cfg(feature = "postgres")]
mod beside;
mod error;
#[cfg(feature = "postgres")]
mod later;
#[cfg(feature = "sqlite")]
mod lite;
#[cfg(feature = "sqlite")]
mod lite_sync;
#[cfg(feature = "sqlite")]
mod lite_writer;
#[cfg(feature = "postgres")]
mod pg;
mod tx;
mod value;

use futures_util::future::BoxFuture;

use crate::config::database::{DatabaseConfig, Engine};
use crate::store::migrate;

pub use error::DbError;
pub use tx::Tx;
pub use value::{Col, Row, Sql, Ty, Val};

#[cfg(not(any(feature = "sqlite", feature = "postgres")))]
compile_error!("enable the feature `sqlite`, `postgres` or both");

/// What a transaction closure returns.
pub type TxFuture<'t, T, E = DbError> = BoxFuture<'t, Result<T, E>>;

/// An open database. Clones share it.
#[derive(Clone)]
pub struct Db(Inner);

#[derive(Clone)]
enum Inner {
    #[cfg(feature = "sqlite")]
    Lite(lite::Lite),
    #[cfg(feature = "postgres")]
    Pg(pg::Pg),
}

/// What goes on in the database, counted since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DbStatus {
    /// Writes waiting for the writer thread; SQLite only, 0 on PostgreSQL.
    pub queued: u64,
    /// Commits made by the writer thread, and the writes inside them; SQLite only.
    pub commits: u64,
    pub writes: u64,
    /// Connections open and idle: readers on SQLite, the pool on PostgreSQL.
    pub connections: u64,
    pub idle: u64,
}

impl Db {
    /// Opens an existing, fully migrated database: run [`migrate::apply`] before. A database made by
    /// a newer program, or one with migrations pending, is refused ([`DbError::Schema`]).
    pub async fn open(config: &DatabaseConfig) -> Result<Db, DbError> {
        migrate::check(config).await?;
        Self::open_unchecked(config).await
    }

    pub(super) async fn open_unchecked(config: &DatabaseConfig) -> Result<Db, DbError> {
        Ok(Db(match config.engine().map_err(DbError::Config)? {
            #[cfg(feature = "sqlite")]
            Engine::Sqlite(path) => Inner::Lite(lite::Lite::open(&path, config)?),
            #[cfg(feature = "postgres")]
            Engine::Postgres(url) => Inner::Pg(pg::Pg::open(&url, config).await?),
            #[cfg(not(all(feature = "sqlite", feature = "postgres")))]
            _ => return Err(not_built()),
        }))
    }

    /// Runs `f` for its answer. Each statement sees the latest committed state; for several
    /// statements that must agree use [`snapshot`](Self::snapshot). May be run twice on PostgreSQL
    /// when a pooled connection turns out to be dead.
    pub async fn read<T, E, F>(&self, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, T, E> + Send + Sync,
    {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Inner::Lite(db) => db.read(f, false).await,
            #[cfg(feature = "postgres")]
            Inner::Pg(db) => db.read(f, pg::Reading::Plain).await,
        }
    }

    /// Like [`read`](Self::read), with all statements seeing one state of the database. Costs two
    /// more round trips on PostgreSQL.
    pub async fn snapshot<T, E, F>(&self, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, T, E> + Send + Sync,
    {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Inner::Lite(db) => db.read(f, true).await,
            #[cfg(feature = "postgres")]
            Inner::Pg(db) => db.read(f, pg::Reading::Snapshot).await,
        }
    }

    /// Runs `f` in a transaction. `Ok` comes back only after the changes are durable; an `Err` from
    /// `f` undoes all it did and reaches the caller. If the caller stops waiting, the write may
    /// still happen.
    pub async fn write<T, E, F>(&self, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, T, E> + Send + Sync + 'static,
    {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Inner::Lite(db) => db.write(f).await,
            #[cfg(feature = "postgres")]
            Inner::Pg(db) => db.write(f, &[]).await,
        }
    }

    /// Like [`write`](Self::write), in turn with whoever else holds one of these numbers: PostgreSQL's advisory locks,
    /// taken in order as the transaction begins. On SQLite one writes at a time anyway.
    pub async fn write_holding<T, E, F>(&self, mut numbers: Vec<i64>, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, T, E> + Send + Sync + 'static,
    {
        numbers.sort_unstable();
        numbers.dedup();
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Inner::Lite(db) => db.write(f).await,
            #[cfg(feature = "postgres")]
            Inner::Pg(db) => db.write(f, &numbers).await,
        }
    }

    /// Runs several like [`write_holding`](Self::write_holding) in one transaction, where what they ask and write by the
    /// means of [`Tx`] for that (`fetch_ours`, `lock`, `later`) is one question and one statement for all. Each ends by
    /// itself; none: it is to be written by itself, because it wants something that the others touch or that somebody
    /// else holds, because of what it does, or because the transaction failed. Nothing of it was kept then.
    pub async fn write_beside<T, E, F>(&self, writes: Vec<(Vec<i64>, F)>) -> Vec<Option<Result<T, E>>>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, T, E> + Send + Sync + 'static,
    {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Inner::Lite(_) => writes.iter().map(|_| None).collect(),
            #[cfg(feature = "postgres")]
            Inner::Pg(db) => db.write_beside(writes).await,
        }
    }

    /// Whether writes that wait share a commit without anybody's doing.
    pub fn groups_commits(&self) -> bool {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Inner::Lite(_) => true,
            #[cfg(feature = "postgres")]
            Inner::Pg(_) => false,
        }
    }

    /// Runs `f`, which is one statement that may be run twice without harm. `Ok` comes back only after its
    /// change is durable. On PostgreSQL it costs one round trip where [`write`](Self::write) takes three.
    pub async fn write_repeatable<T, E, F>(&self, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + Send + 'static,
        F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, T, E> + Send + Sync + 'static,
    {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Inner::Lite(db) => db.write(f).await,
            #[cfg(feature = "postgres")]
            Inner::Pg(db) => db.read(f, pg::Reading::Repeatable).await,
        }
    }

    /// For metrics.
    pub fn status(&self) -> DbStatus {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Inner::Lite(db) => db.status(),
            #[cfg(feature = "postgres")]
            Inner::Pg(db) => db.status(),
        }
    }

    /// Finishes queued writes and closes. Later calls on any clone get [`DbError::Unavailable`].
    pub async fn close(&self) {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Inner::Lite(db) => db.close().await,
            #[cfg(feature = "postgres")]
            Inner::Pg(db) => db.close().await,
        }
    }
}

/// One connection and one transaction before any pool exists: for migrations.
pub(super) async fn alone<T, F>(config: &DatabaseConfig, lock: Lock, f: F) -> Result<T, DbError>
where
    T: Send,
    F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, T> + Send + Sync,
{
    match config.engine().map_err(DbError::Config)? {
        #[cfg(feature = "sqlite")]
        Engine::Sqlite(path) => lite::alone(&path, lock, f),
        #[cfg(feature = "postgres")]
        Engine::Postgres(url) => pg::alone(&url, lock, f).await,
        #[cfg(not(all(feature = "sqlite", feature = "postgres")))]
        _ => Err(not_built()),
    }
}

/// Whether another connection of this program is open there, another process's above all. On PostgreSQL any
/// gateway on the same database counts, whatever schema it uses, and one of another role may go unseen.
pub async fn is_open_elsewhere(config: &DatabaseConfig) -> Result<bool, DbError> {
    match config.engine().map_err(DbError::Config)? {
        #[cfg(feature = "sqlite")]
        Engine::Sqlite(path) => lite::is_open_elsewhere(&path),
        #[cfg(feature = "postgres")]
        Engine::Postgres(_) => {
            let others: i64 = alone(config, Lock::Read, |tx| {
                Box::pin(async move {
                    let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() \
                               AND application_name = 'chiren' AND pid <> pg_backend_pid()";
                    tx.fetch_one(sql, &[], |row| row.get(0)).await
                })
            })
            .await?;
            Ok(others > 0)
        }
        #[cfg(not(all(feature = "sqlite", feature = "postgres")))]
        _ => Err(not_built()),
    }
}

/// What [`alone`] takes the connection for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lock {
    /// Looking only; a missing SQLite file is not made.
    Read,
    /// Changing tables, one instance at a time.
    Schema,
}

#[cfg(not(all(feature = "sqlite", feature = "postgres")))]
fn not_built() -> DbError {
    DbError::Config("database.url names an engine this program was built without".into())
}

#[cfg(test)]
mod tests;
