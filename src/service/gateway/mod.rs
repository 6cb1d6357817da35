//! Exchange with other communities: what our consumers ask of them (Initiating Gateway), and what they ask of us
//! (Responding Gateway). ITI TF-1 18.

mod admitted;
mod breaker;
pub mod correlate;
pub mod directory;
mod feeds;
pub mod line;
mod passing;
mod people;
mod probe;
mod query;
pub mod respond;
mod retrieve;
mod screen;
mod status;
pub mod trouble;

pub use correlate::{Correlated, Correlation, Correlations};
pub use directory::Directory;
pub use feeds::Feeds;
pub use passing::{Incoming, Piece};
pub use people::People;
pub use probe::{Oddity, Probe, Prober, Verdict, probe};
pub use query::Gathered;
pub use respond::Responder;
pub use retrieve::{Delivery, Promised};
pub use screen::Screen;
pub use status::{BreakerState, Scoreboard, Standing};

use std::sync::Arc;
use std::time::Duration;

use crate::model::error::{ErrorCode, RegistryError, clip};
use crate::model::query::{AdhocQueryRequest, QueryRequest};
use crate::service::registry::Registry;
use crate::service::repository::Repository;

/// What the gateway was configured to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `network.home_community_id`.
    pub home: Arc<str>,
    /// `gateway.deadline_ms`.
    pub deadline: Duration,
    /// `gateway.retrieve_deadline_ms`.
    pub retrieve_deadline: Duration,
    pub hold: HoldSettings,
}

/// How much of others' documents is read before our own answer begins: `gateway.hold_kib`, `hold_ms`, `hold_all_mib`.
#[derive(Debug, Clone, Copy)]
pub struct HoldSettings {
    /// Octets of one source.
    pub octets: usize,
    pub time: Duration,
    /// Octets of all sources of all requests.
    pub in_all: usize,
}

/// The gateway service. Clones share it.
#[derive(Clone)]
pub struct Gateway {
    settings: Settings,
    directory: Directory,
    correlations: Correlations,
    registry: Option<Registry>,
    repository: Option<Repository>,
    screen: Screen,
    hold: passing::Hold,
}

impl Gateway {
    pub fn new(
        settings: Settings,
        directory: Directory,
        correlations: Correlations,
        registry: Option<Registry>,
        repository: Option<Repository>,
        screen: Screen,
    ) -> Self {
        let hold = passing::Hold::new(&settings.hold);
        Self { settings, directory, correlations, registry, repository, screen, hold }
    }

    /// Our homeCommunityId.
    pub fn home(&self) -> &str {
        &self.settings.home
    }

    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Who gives assertions to go with requests.
    pub fn people(&self) -> &People {
        self.correlations.people()
    }

    /// Whether another community's query may be asked here: it names us, or, naming a patient, nobody
    /// (ITI TF-2 3.38.4.1.3).
    pub fn is_for_us(&self, raw: &AdhocQueryRequest, request: &QueryRequest) -> Result<(), RegistryError> {
        let clause = "ITI TF-2 3.38.4.1.3";
        let (code, why) = match &request.home {
            Some(home) if *home == *self.settings.home => return Ok(()),
            Some(home) => (
                ErrorCode::XDSUnknownCommunity,
                format!(
                    "AdhocQuery/@home '{}' is not this community, which is '{}' ({clause})",
                    clip(home),
                    self.settings.home
                ),
            ),
            None if !request.query.patient_ids().is_empty() => match raw.targets()? {
                Some(homes) if !homes.iter().any(|home| *home == *self.settings.home) => (
                    ErrorCode::XDSUnknownCommunity,
                    format!(
                        "$targetCommunityIdList does not name this community, which is '{}' (ITI TF-1 18.2.6)",
                        self.settings.home
                    ),
                ),
                _ => return Ok(()),
            },
            None => (
                ErrorCode::XDSMissingHomeCommunityId,
                format!("AdhocQuery/@home is absent; a query that names no patient needs it ({clause})"),
            ),
        };
        Err(RegistryError::new(code, why).at(self.settings.home.as_ref()))
    }
}
