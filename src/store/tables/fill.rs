//! An empty database filled with the rows of another: whole, or not at all.

use std::io::BufRead;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{SCHEMA_VERSION, Table, TableError, catalogue, every_table, quoted};
use crate::config::database::{DatabaseConfig, Engine};
use crate::store::db::{Db, DbError, Tx, Val};
use crate::store::migrate;

/// A migration of the database the rows come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    pub id: i64,
    pub name: String,
    /// Microseconds since 1970. The history of a database begins with one of these moments.
    pub applied_at: i64,
}

/// Opens the file of a table's rows; more than once, if the transaction is run again.
pub type Source = dyn Fn(&Table) -> Result<Box<dyn BufRead + Send>, TableError> + Send + Sync;

/// Hears of each table, with its rows, once they are in.
pub type Progress = dyn Fn(&str, u64) + Send + Sync;

/// The rows of another database.
pub struct Filling {
    pub migrations: Vec<Applied>,
    pub tables: Vec<Table>,
    pub source: Box<Source>,
    pub progress: Box<Progress>,
}

/// Why a database cannot be filled.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error(transparent)]
    Table(#[from] TableError),
    /// The rows are of a schema this program does not know.
    #[error("the rows were written by a newer version of this program ({0})")]
    Newer(String),
    /// The target has had migrations that the rows have not.
    #[error("the database has {0}, which came after the rows were written; give one without tables")]
    Ahead(String),
    /// Tables of the rows and of the migrations they name differ.
    #[error("table {0} is not as its migrations make it")]
    Shape(String),
}

impl From<DbError> for Refused {
    fn from(e: DbError) -> Self {
        Refused::Table(e.into())
    }
}

/// The migrations of an open database.
pub async fn applied(tx: &mut Tx<'_>) -> Result<Vec<Applied>, DbError> {
    tx.fetch("SELECT id, name, applied_at FROM schema_version ORDER BY id", &[], |r| {
        Ok(Applied { id: r.get(0)?, name: r.get(1)?, applied_at: r.get(2)? })
    })
    .await
}

/// Refuses a database that has rows already; one without tables is empty.
pub async fn is_empty(config: &DatabaseConfig) -> Result<(), Refused> {
    if let Ok(Engine::Sqlite(path)) = config.engine()
        && !path.exists()
    {
        return Ok(());
    }
    if migrate::pending(config).await?.migrations.iter().all(|m| m.applied_at.is_none()) {
        return Ok(());
    }
    let db = Db::open_unchecked(config).await?;
    let checked = db.read(|tx| Box::pin(async move { nothing_in(tx).await })).await;
    db.close().await;
    Ok(checked?)
}

async fn nothing_in(tx: &mut Tx<'_>) -> Result<(), TableError> {
    for table in every_table(tx).await?.into_iter().filter(|t| t.name != SCHEMA_VERSION) {
        let sql = format!("SELECT CAST(1 AS BIGINT) FROM {} LIMIT 1", quoted(&table.name));
        if tx.fetch_opt(sql, &[], |r| r.get::<i64>(0)).await?.is_some() {
            return Err(TableError::NotEmpty(table.name));
        }
    }
    Ok(())
}

/// Makes the tables as they were where the rows come from, adds the rows in one transaction, and then brings
/// the database to this program's schema. What is cut short leaves empty tables, and can be begun again.
pub async fn fill(config: &DatabaseConfig, filling: Filling, now: i64) -> Result<(), Refused> {
    let named = filling.migrations.iter().map(|m| (m.id, m.name.as_str()));
    let Some(count) = migrate::count_of(named) else {
        let last = filling.migrations.last().map(|m| m.name.clone());
        return Err(Refused::Newer(last.unwrap_or_default()));
    };
    let there = migrate::pending(config).await?;
    let ahead = there.migrations.iter().skip(count).find(|m| m.applied_at.is_some());
    if let Some(ahead) = ahead {
        return Err(Refused::Ahead(ahead.name.clone()));
    }
    migrate::apply_oldest(config, now, count).await?;
    let db = Db::open_unchecked(config).await?;
    let filling = Arc::new(filling);
    let done = db
        .write(move |tx| {
            let filling = filling.clone();
            Box::pin(async move { rows(tx, &filling).await })
        })
        .await;
    db.close().await;
    done?;
    migrate::apply(config, now).await?;
    Ok(())
}

async fn rows(tx: &mut Tx<'_>, filling: &Filling) -> Result<(), Refused> {
    nothing_in(tx).await?;
    let ours = catalogue(tx).await?;
    for table in &filling.tables {
        // Names go into statements: only those of our own schema do.
        if !ours.contains(table) {
            return Err(Refused::Shape(table.name.clone()));
        }
        let mut source = (filling.source)(table)?;
        let count = table.load(tx, &table.file(), &mut source).await?;
        if tx.is_postgres() {
            // A plan made before the server has counted by itself would read whole tables.
            tx.exec(format!("ANALYZE {}", quoted(&table.name)), &[]).await?;
        }
        (filling.progress)(&table.name, count);
    }
    for m in &filling.migrations {
        let args = [Val::I64(m.id), Val::I64(m.applied_at)];
        tx.exec("UPDATE schema_version SET applied_at = $2 WHERE id = $1", &args).await?;
    }
    Ok(())
}
