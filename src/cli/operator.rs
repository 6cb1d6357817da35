//! What commands share that read the configured stores themselves, beside a running gateway or without one.

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;

use crate::app;
use crate::config::Config;
use crate::model::error::Error;
use crate::model::transaction::Transaction;
use crate::server::clock::Clock;
use crate::service::audit::Audit;
use crate::service::context::Context;
use crate::service::outbox::Outbox;
use crate::service::registry::Registry;
use crate::store::db::Db;

/// The configured database, and who sits before it.
pub struct Desk {
    pub db: Db,
    pub audit: Audit,
    /// The user of the machine, as far as it says.
    user: Option<String>,
}

impl Desk {
    /// Opens the database as it is; one that must be migrated is refused.
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        let db = Db::open(&config.database).await.context("the database cannot be opened")?;
        let audit = Audit::new(db.clone(), config.audit.queries);
        let user = ["SUDO_USER", "USER"].iter().find_map(|name| std::env::var(name).ok());
        Ok(Self { db, audit, user })
    }

    pub fn context(&self, command: &str, transaction: Transaction) -> Context {
        let asked = Context::of_operator(command, self.user.as_deref(), Timestamp::now());
        Context { transaction, ..asked }
    }

    /// Who changes something, where nobody is named.
    pub fn by(&self) -> String {
        self.user.clone().unwrap_or_else(|| "operator".into())
    }
}

/// The registry of the configured database.
pub struct Operator {
    pub registry: Registry,
    pub audit: Audit,
    pub context: Context,
    db: Db,
}

impl Operator {
    /// Opens the database as it is; one that must be migrated is refused.
    pub async fn open(config: &Config, command: &str) -> anyhow::Result<Self> {
        let desk = Desk::open(config).await?;
        let access = app::access(config)?;
        let registry = app::registry(config, &desk.db, &access, &Clock::System)?;
        let context = desk.context(command, Transaction::Iti18);
        Ok(Self { registry, audit: desk.audit, context, db: desk.db })
    }

    /// The outbox of the same database.
    pub fn outbox(&self, config: &Config) -> Outbox {
        Outbox::new(self.db.clone(), &config.outbox)
    }

    pub async fn close(self) {
        self.db.close().await;
    }
}

/// A failure in the words of a terminal.
pub fn failure(error: Error) -> anyhow::Error {
    match error {
        Error::Rejected(errors) => {
            let lines: Vec<String> = errors.iter().map(|e| format!("{}: {}", e.code, e.context)).collect();
            anyhow!("{}", lines.join("\n"))
        }
        Error::Internal(cause) => cause,
        Error::Busy(why) => anyhow!("{why}"),
        Error::NoRoom(why) => anyhow!("no room left: {why}"),
        Error::Away { peer, cause } => anyhow!("{peer} is away: {cause}"),
        Error::Unavailable { peer, cause } => anyhow!("{peer} is unavailable: {cause}"),
        Error::Fault(fault) => anyhow!("{fault:?}"),
    }
}
