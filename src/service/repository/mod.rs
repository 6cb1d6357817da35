//! The Document Repository: takes documents in, gives them out.

mod provide;
mod retrieve;
mod sweep;

pub use crate::store::blob::{BlobError, BlobReader, Spool, Spooled, meter};
pub use provide::{Provided, ProvidedDocument};
pub use retrieve::{DocumentRequest, Retrieval, Retrieved};
pub use sweep::{LEASE as SWEEP_LEASE, SweepReport};

use std::sync::Arc;

use crate::peer::http::Client;
use crate::service::registry::Registry;
use crate::store::blob::Blobs;
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
    /// Who this gateway is among those of one database: new at each start.
    instance: Arc<str>,
}

impl Repository {
    pub fn new(
        db: Db,
        blobs: Blobs,
        register_at: RegisterAt,
        unique_id: &str,
        home_community_id: &str,
    ) -> Self {
        Self {
            db,
            blobs,
            register_at,
            unique_id: unique_id.into(),
            home_community_id: home_community_id.into(),
            instance: uuid::Uuid::now_v7().to_string().into(),
        }
    }

    /// A sink for one incoming document.
    pub fn spool(&self) -> Spool {
        self.blobs.spool()
    }

    /// Is the place of the documents there?
    pub async fn reach(&self) -> Result<(), BlobError> {
        self.blobs.reach().await
    }

    /// The registry in the same program, whose rules an incoming submission is read by.
    pub fn registry(&self) -> Option<&Registry> {
        match &self.register_at {
            RegisterAt::Here(registry) => Some(registry),
            RegisterAt::There(_) => None,
        }
    }
}
