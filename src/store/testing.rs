//! Databases for unit tests: SQLite in a temporary directory, and a schema of its own in the
//! PostgreSQL named by `TEST_DATABASE_URL` when that is set.

use crate::config::database::DatabaseConfig;
use crate::store::db::{self, Db, Lock};
use crate::store::migrate;

/// An empty, migrated database that lives as long as this.
pub(crate) struct TestDb {
    pub db: Db,
    pub config: DatabaseConfig,
    _dir: tempfile::TempDir,
}

/// A database of each engine at hand: write tests as `for t in databases().await`.
pub(crate) async fn databases() -> Vec<TestDb> {
    let mut all = vec![];
    for (config, dir) in places().await {
        migrate::apply(&config, 1).await.unwrap();
        all.push(TestDb { db: Db::open(&config).await.unwrap(), config, _dir: dir });
    }
    all
}

/// The same, still without tables.
pub(crate) async fn places() -> Vec<(DatabaseConfig, tempfile::TempDir)> {
    let mut all = vec![];
    if cfg!(feature = "sqlite") {
        all.push(sqlite());
    }
    if let Some(config) = postgres().await {
        all.push((config, tempfile::tempdir().unwrap()));
    }
    all
}

pub(crate) fn sqlite() -> (DatabaseConfig, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("test.db").display());
    (DatabaseConfig { max_connections: 4, ..DatabaseConfig::at(url) }, dir)
}

/// A new schema; it is left behind in the test database.
pub(crate) async fn postgres() -> Option<DatabaseConfig> {
    let url = std::env::var("TEST_DATABASE_URL").ok().filter(|_| cfg!(feature = "postgres"))?;
    let schema = format!("t{}", uuid::Uuid::new_v4().simple());
    let create: &'static str = format!("CREATE SCHEMA {schema}").leak();
    let config = DatabaseConfig::at(&url);
    db::alone(&config, Lock::Schema, move |tx| Box::pin(tx.script(create))).await.unwrap();
    let join = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{join}options[search_path]={schema}");
    Some(DatabaseConfig { max_connections: 8, ..DatabaseConfig::at(url) })
}
