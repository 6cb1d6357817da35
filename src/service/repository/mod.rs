//! The Document Repository: takes documents in, gives them out.

mod on_demand;
mod provide;
mod remove;
mod retrieve;
mod sweep;

pub use crate::store::blob::{BlobError, BlobReader, Spool, Spooled, meter};
pub use provide::{Provided, ProvidedDocument};
pub use remove::Removed;
pub use retrieve::{DocumentRequest, MadeAs, Retrieval, Retrieved};
pub use sweep::{LEASE as SWEEP_LEASE, SweepReport};

use std::sync::Arc;

use crate::config::OnDemandConfig;
use crate::peer::http::Client;
use crate::service::access::Access;
use crate::service::registry::Registry;
use crate::store::blob::{BlobKey, Blobs};
use crate::store::db::Db;

/// Where submissions are registered.
#[derive(Clone)]
pub enum RegisterAt {
    /// Our own registry, in the same transaction.
    Here(Registry),
    /// Another system's, by ITI-42.
    There(Arc<Client>),
}

/// The repository service. Clones share it.
#[derive(Clone)]
pub struct Repository {
    db: Db,
    blobs: Blobs,
    register_at: RegisterAt,
    settings: Arc<Settings>,
    /// Who this gateway is among those of one database: new at each start.
    instance: Arc<str>,
    now: Arc<dyn Fn() -> i64 + Send + Sync>,
}

/// What the repository was configured to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `repository.unique_id`.
    pub unique_id: String,
    /// `network.home_community_id`.
    pub home_community_id: String,
    /// `network.name`: who answers for documents made here.
    pub network: String,
    pub on_demand: OnDemandConfig,
    /// `repository.remove_registered`.
    pub remove_registered: bool,
    /// Who may see what.
    pub access: Access,
}

impl Repository {
    /// `now`: the present in microseconds since 1970, asked inside a transaction that changes something.
    pub fn new(
        db: Db,
        blobs: Blobs,
        register_at: RegisterAt,
        settings: Settings,
        now: Arc<dyn Fn() -> i64 + Send + Sync>,
    ) -> Self {
        let instance = uuid::Uuid::now_v7().to_string().into();
        Self { db, blobs, register_at, settings: Arc::new(settings), instance, now }
    }

    /// `repository.unique_id`.
    pub fn unique_id(&self) -> &str {
        &self.settings.unique_id
    }

    /// A sink for one incoming document.
    pub fn spool(&self) -> Spool {
        self.blobs.spool()
    }

    /// Is the place of the documents there?
    pub async fn reach(&self) -> Result<(), BlobError> {
        self.blobs.reach().await
    }

    /// Bytes by their key, for an answer that somebody was permitted to have.
    pub async fn open(&self, key: &str) -> Result<BlobReader, BlobError> {
        let key = BlobKey::parse(key).ok_or(BlobError::Io {
            what: "open a document",
            source: std::io::ErrorKind::InvalidInput.into(),
        })?;
        self.blobs.read(&key).await
    }

    /// The registry in the same program, whose rules an incoming submission is read by.
    pub fn registry(&self) -> Option<&Registry> {
        match &self.register_at {
            RegisterAt::Here(registry) => Some(registry),
            RegisterAt::There(_) => None,
        }
    }
}
