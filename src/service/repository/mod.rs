//! The Document Repository: takes documents in, gives them out.

mod provide;
mod remove;
mod retrieve;
mod sweep;

pub use crate::store::blob::{BlobError, BlobReader, Spool, Spooled};
pub use provide::{Provided, ProvidedDocument};
pub use remove::Removed;
pub use retrieve::{DocumentRequest, Retrieval, Retrieved};
pub use sweep::SweepReport;

use std::sync::Arc;

use crate::config::RepositoryConfig;
use crate::peer::http::Client;
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
    /// `repository.unique_id`.
    unique_id: Arc<str>,
    /// `network.home_community_id`.
    home_community_id: Arc<str>,
    /// `repository.remove_registered`.
    remove_registered: bool,
    /// The present in microseconds since 1970, asked inside a transaction that changes something.
    now: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Repository {
    pub fn new(
        db: Db,
        blobs: Blobs,
        register_at: RegisterAt,
        config: &RepositoryConfig,
        home_community_id: &str,
        now: Arc<dyn Fn() -> i64 + Send + Sync>,
    ) -> Self {
        Self {
            db,
            blobs,
            register_at,
            unique_id: config.unique_id.as_str().into(),
            home_community_id: home_community_id.into(),
            remove_registered: config.remove_registered,
            now,
        }
    }

    /// A sink for one incoming document.
    pub fn spool(&self) -> Spool {
        self.blobs.spool()
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
