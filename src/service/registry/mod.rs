//! The Document Registry: what may enter, and what is found.

mod as_of;
mod changes;
mod export;
mod history;
mod import;
mod judge;
mod on_demand;
mod plan;
mod query;
mod register;
mod remove;
mod update;

pub use crate::store::registry::change::Operation;
pub use as_of::{AsOf, AsOfAnswer, moment};
pub use export::{ExportCounts, Exported, Take};
pub use history::{History, Step};
pub use import::{Arrival, Imported};
pub use on_demand::{OnDemand, Snapped};
pub use query::Answer;
pub use register::Registered;
pub(crate) use register::{StoreAgain, swept};
pub use update::subject_of as subject_of_update;

use crate::config::RegistryConfig;
use crate::model::codes::Vocabulary;
use crate::model::rules::{Column, Rules};
use crate::service::access::Access;
use crate::store::db::Db;
use std::sync::Arc;

/// The registry service. Clones share it.
#[derive(Clone)]
pub struct Registry {
    db: Db,
    settings: Arc<Settings>,
}

/// What the registry was configured to.
pub struct Settings {
    pub config: RegistryConfig,
    pub vocabulary: Vocabulary,
    /// `network.patient_id_authority`.
    pub patient_id_authority: String,
    /// `network.home_community_id`.
    pub home_community_id: String,
    /// `limits.query_results`.
    pub query_results: usize,
    /// `national.coverage_slot`: answers say of each document whether it is national too.
    pub coverage_slot: bool,
    /// The present in microseconds since 1970, asked inside a transaction that changes something: a
    /// document may take minutes to arrive, and its history begins when it can be found.
    pub now: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// Who may see what.
    pub access: Access,
}

impl Registry {
    pub fn new(db: Db, settings: Settings) -> Self {
        Self { db, settings: Arc::new(settings) }
    }

    /// The rules a submission's objects are held to.
    pub fn rules(&self, column: Column) -> Rules<'_> {
        Rules {
            column,
            profile: self.settings.config.rules,
            vocabulary: &self.settings.vocabulary,
            limited_metadata: self.settings.config.limited_metadata,
        }
    }
}
