//! Schema versions: the lists under `migrations/`, and how they are applied.
//!
//! Each step runs in its own transaction, which first takes a lock and then looks what is still
//! missing; several instances may start at once. Steps run on a connection of their own before any
//! pool opens, because SQLite connections that are already open hold on to the old schema.

use crate::config::database::{DatabaseConfig, Engine};
use crate::store::db::{self, DbError, Lock, Tx, Val};

struct Step {
    id: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! steps {
    ($($id:literal $name:literal),+ $(,)?) => {
        &[$(Step {
            id: $id,
            name: $name,
            sqlite: include_str!(concat!("../../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../../migrations/postgres/", $name, ".sql")),
        }),+]
    };
}

/// Every step, oldest first. A published step is never edited: add another.
const STEPS: &[Step] = steps! {
    1 "0001_registry",
    2 "0002_history",
    3 "0003_documents",
    4 "0004_outbox",
    5 "0005_mpi",
    6 "0006_subsumed",
    7 "0007_domains",
    8 "0008_correlation",
    9 "0009_consent",
    10 "0010_audit",
    11 "0011_national",
    12 "0012_xua",
    13 "0013_room",
};

const MAKE_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_version (
    id BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)";

/// One step, as `chiren migrate` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    pub id: i64,
    pub name: String,
    /// Microseconds since 1970; `None` while pending.
    pub applied_at: Option<i64>,
}

/// Steps in order, applied ones first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    pub migrations: Vec<Migration>,
    /// How many of them this call applied.
    pub applied_now: usize,
}

impl Report {
    pub fn pending(&self) -> impl Iterator<Item = &Migration> {
        self.migrations.iter().filter(|m| m.applied_at.is_none())
    }
}

/// What is applied and what is missing; changes nothing.
///
/// [`DbError::Schema`] if the database was made by a newer program.
pub async fn pending(config: &DatabaseConfig) -> Result<Report, DbError> {
    let engine = config.engine().map_err(DbError::Config)?;
    let postgres = matches!(engine, Engine::Postgres(_));
    let applied = db::alone(config, Lock::Read, move |tx| {
        Box::pin(async move {
            let exists = match postgres {
                true => {
                    "SELECT CAST(COUNT(*) AS BIGINT) FROM pg_catalog.pg_class
                         WHERE oid = to_regclass('schema_version')"
                }
                false => "SELECT COUNT(*) FROM sqlite_schema WHERE name = 'schema_version'",
            };
            match tx.fetch_one(exists, &[], |r| r.get::<i64>(0)).await? {
                0 => Ok(vec![]),
                _ => applied(tx).await,
            }
        })
    })
    .await?;
    report(applied, 0)
}

/// Applies every pending step, oldest first. `now` in microseconds since 1970.
///
/// [`DbError::Schema`] if the database was made by a newer program.
pub async fn apply(config: &DatabaseConfig, now: i64) -> Result<Report, DbError> {
    apply_those(config, now, STEPS).await
}

/// Applies the oldest `count` steps, so that a backup made before the others is restored into the tables it
/// was made from.
pub(super) async fn apply_oldest(config: &DatabaseConfig, now: i64, count: usize) -> Result<Report, DbError> {
    apply_those(config, now, STEPS.get(..count).unwrap_or(STEPS)).await
}

async fn apply_those(config: &DatabaseConfig, now: i64, steps: &'static [Step]) -> Result<Report, DbError> {
    let engine = config.engine().map_err(DbError::Config)?;
    let postgres = matches!(engine, Engine::Postgres(_));
    make_table(config).await?;
    let mut applied_now = 0;
    loop {
        let (applied, done) = db::alone(config, Lock::Schema, move |tx| {
            Box::pin(async move {
                if postgres {
                    // Readers of the table wait too: a second instance then sees what we did.
                    tx.exec("LOCK TABLE schema_version IN ACCESS EXCLUSIVE MODE", &[]).await?;
                }
                let mut applied = applied(tx).await?;
                report(applied.clone(), 0)?;
                let Some(step) = steps.iter().find(|s| applied.iter().all(|a| a.id != s.id)) else {
                    return Ok((applied, true));
                };
                tx.script(if postgres { step.postgres } else { step.sqlite }).await?;
                tx.exec(
                    "INSERT INTO schema_version (id, name, applied_at) VALUES ($1, $2, $3)",
                    &[step.id.into(), step.name.into(), now.into()],
                )
                .await?;
                applied.push(Migration { id: step.id, name: step.name.into(), applied_at: Some(now) });
                Ok((applied, false))
            })
        })
        .await?;
        if done {
            return report(applied, applied_now);
        }
        applied_now += 1;
    }
}

/// How many steps, oldest first, a database of `migrations` has; `None` if it has one this program does not
/// know, or lacks one before its latest.
pub(super) fn count_of<'a>(migrations: impl Iterator<Item = (i64, &'a str)>) -> Option<usize> {
    let mut count = 0;
    for (id, name) in migrations {
        let step = STEPS.get(count)?;
        if step.id != id || step.name != name {
            return None;
        }
        count += 1;
    }
    Some(count)
}

/// Refuses a database that is not exactly at this program's version.
pub(super) async fn check(config: &DatabaseConfig) -> Result<(), DbError> {
    let report = pending(config).await?;
    match report.pending().map(|m| m.name.as_str()).collect::<Vec<_>>() {
        missing if missing.is_empty() => Ok(()),
        missing => {
            Err(DbError::Schema(format!("the database lacks {}; run `chiren migrate`", missing.join(", "))))
        }
    }
}

/// `IF NOT EXISTS` is not atomic in PostgreSQL: of two instances one may be told that the table's
/// name is taken. It then exists.
async fn make_table(config: &DatabaseConfig) -> Result<(), DbError> {
    let make = || db::alone(config, Lock::Schema, |tx| Box::pin(async move { tx.script(MAKE_TABLE).await }));
    match make().await {
        Err(DbError::Unique(_) | DbError::Sql(_)) => make().await,
        done => done,
    }
}

async fn applied(tx: &mut Tx<'_>) -> Result<Vec<Migration>, DbError> {
    const NONE: &[Val<'_>] = &[];
    tx.fetch("SELECT id, name, applied_at FROM schema_version ORDER BY id", NONE, |r| {
        Ok(Migration { id: r.get(0)?, name: r.get(1)?, applied_at: Some(r.get(2)?) })
    })
    .await
}

fn report(applied: Vec<Migration>, applied_now: usize) -> Result<Report, DbError> {
    if let Some(newer) = applied.iter().find(|a| !STEPS.iter().any(|s| s.id == a.id && s.name == a.name)) {
        return Err(DbError::Schema(format!(
            "the database has {}, which this program does not know: it was made by a newer version",
            newer.name
        )));
    }
    let pending = STEPS.iter().filter(|s| applied.iter().all(|a| a.id != s.id));
    let pending: Vec<_> =
        pending.map(|s| Migration { id: s.id, name: s.name.into(), applied_at: None }).collect();
    Ok(Report { migrations: applied.into_iter().chain(pending).collect(), applied_now })
}

#[cfg(test)]
mod tests;
