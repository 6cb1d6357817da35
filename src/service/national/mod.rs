//! The adapter to the national record-sharing service: decides of each change of the registry whether it goes there,
//! delivers what goes, follows it, and says of everything why.
//!
//! A change leaves an outbox row in its own transaction (`store::national::changed`); nothing else happens inside the
//! request. `decide` turns the row into decisions and deliveries, by the state the registry is in then, so rows that come
//! twice, late or in another order do no harm. `lanes` delivers. Both may run in several gateways on one database:
//! a lineage's revision decides which of two decisions counts, a lease which gateway makes a call, and the key of a
//! delivery that the service does a thing once.

mod attached;
mod board;
mod coverage;
mod deciding;
mod follow;
mod gather;
mod lanes;
mod making;
mod nesting;
pub mod operator;
mod preflight;
mod reconcile;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::config::national::{Facts as FactsFile, Via};
use crate::config::{EgressConfig, NationalConfig};
use crate::model::audit::{AuditEvent, Outcome};
use crate::model::caller::Caller;
use crate::model::error::Error;
use crate::model::national::decide::Policy;
use crate::peer::national::Port;
use crate::service::access::Access;
use crate::service::context::time_uuid;
use crate::service::database;
use crate::service::repository::Repository;
use crate::store::audit::{self, AuditRow};
use crate::store::db::{Db, DbError, Tx};
use crate::store::national as store;

pub use board::{LaneStanding, LaneState};
pub use coverage::{Month, Tally};
pub use gather::{FACTS, slots};
pub use lanes::LaneReport;
use making::Making;
pub use preflight::{Finding, Preflight};
pub use reconcile::{Difference, Reconciled};

/// `outbox.kind` of a change.
pub const CHANGE: &str = store::CHANGE;

/// The present in microseconds since 1970.
pub type Now = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What the adapter was configured to.
pub struct Settings {
    pub config: NationalConfig,
    /// `network.home_community_id`.
    pub home: String,
    pub now: Now,
    /// What patients and the network permit: asked before anything leaves.
    pub access: Access,
}

/// The service. Clones share it.
#[derive(Clone)]
pub struct National(Arc<Inner>);

struct Inner {
    db: Db,
    repository: Option<Repository>,
    settings: Settings,
    policy: Policy,
    ports: BTreeMap<String, Port>,
    preflight: Preflight,
    making: Making,
    /// Whom deliveries are leased to: new at each start.
    name: String,
    woken: Notify,
    /// The file of facts as last read.
    facts: RwLock<Arc<FactsFile>>,
    /// How the lanes stood when somebody looked.
    board: RwLock<Vec<LaneStanding>>,
    tallies: board::Tallies,
}

impl National {
    /// Opens the ways of all institutions. Says nothing to anybody yet.
    pub fn open(db: Db, repository: Option<Repository>, settings: Settings) -> anyhow::Result<Self> {
        let config = &settings.config;
        let mappings = config.load_mappings().map_err(|fault| anyhow::anyhow!("{fault}"))?;
        let mut ports = BTreeMap::new();
        for (institution, egress) in &config.egress {
            let port = Port::open(egress, &mappings)
                .map_err(|e| anyhow::anyhow!("national.egress.{institution}: {e}"))?;
            ports.insert(institution.clone(), port);
        }
        let policy = Policy {
            rule_set: config.rule_set,
            size_limit_bytes: config.size_limit_bytes,
            confidentiality: config.confidentiality.clone(),
        };
        let preflight = Preflight::load(config)?;
        let making = Making::load(config)?;
        let tallies = config.egress.keys().map(|i| (i.clone(), board::Tally::default())).collect();
        let national = Self(Arc::new(Inner {
            db,
            repository,
            policy,
            ports,
            preflight,
            making,
            name: uuid::Uuid::new_v4().to_string(),
            woken: Notify::new(),
            facts: RwLock::default(),
            board: RwLock::default(),
            tallies,
            settings,
        }));
        national.reload();
        Ok(national)
    }

    /// Says in the database whether changes of the registry leave a row for us.
    pub async fn switch(db: &Db, on: bool, now: i64) -> Result<(), Error> {
        // A start that changes nothing writes nothing.
        let is_on = db.read(|tx| Box::pin(store::is_on(tx))).await.map_err(|e: DbError| database(e))?;
        if is_on == on {
            return Ok(());
        }
        let done = db.write(move |tx| Box::pin(async move { store::switch(tx, on, now).await }));
        done.await.map_err(|e: DbError| database(e))
    }

    /// Reads the file of facts anew; one that cannot be read leaves the last in force.
    pub fn reload(&self) {
        let Some(path) = &self.config().facts else { return };
        match FactsFile::load(path) {
            Ok(facts) => *self.0.facts.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(facts),
            Err(fault) => tracing::warn!(%fault, "facts not read; those before stay in force"),
        }
    }

    fn facts(&self) -> Arc<FactsFile> {
        self.0.facts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn config(&self) -> &NationalConfig {
        &self.0.settings.config
    }

    fn now(&self) -> i64 {
        (self.0.settings.now)()
    }

    /// The institutions that send, and how.
    pub fn institutions(&self) -> impl Iterator<Item = (&String, &EgressConfig)> {
        self.config().egress.iter()
    }

    /// There is something new to deliver.
    pub fn wake(&self) {
        self.0.woken.notify_waiters();
    }

    /// Delivers, follows and reviews until it is told to stop.
    pub async fn serve(self, stop: CancellationToken) {
        let lanes: Vec<_> = self
            .0
            .ports
            .keys()
            .map(|institution| {
                let (national, institution, stop) = (self.clone(), institution.clone(), stop.clone());
                tokio::spawn(async move { national.lane(&institution, &stop).await })
            })
            .collect();
        let (mut looked, mut surveyed) = (i64::MIN, i64::MIN);
        while !stop.is_cancelled() {
            let pause = Duration::from_secs(self.config().poll_seconds.max(1));
            let now = self.now();
            if now.saturating_sub(surveyed) >= board::EVERY {
                surveyed = now;
                if let Err(e) = self.survey().await {
                    tracing::debug!(cause = format!("{e:?}"), "the lanes could not be counted");
                }
            }
            let every = i64::try_from(self.config().review_minutes.max(1)).unwrap_or(10) * 60_000_000;
            if now.saturating_sub(looked) >= every {
                looked = now;
                self.reload();
                if let Err(e) = self.review(&stop).await {
                    tracing::warn!(
                        cause = format!("{e:?}"),
                        "what waits for facts could not be looked at; the next look will try again"
                    );
                }
                if let Err(e) = self.follow(&stop).await {
                    tracing::warn!(
                        cause = format!("{e:?}"),
                        "letters could not be followed; the next look will try again"
                    );
                }
            }
            let _ = timeout(pause, stop.cancelled()).await;
        }
        for lane in lanes {
            let _ = lane.await;
        }
    }

    /// Does everything that is due, once: decisions are the outbox's. For commands and tests.
    pub async fn run(&self, stop: &CancellationToken) -> Result<LaneReport, Error> {
        let mut report = LaneReport::default();
        for institution in self.0.ports.keys() {
            report += self.drain_lane(institution, stop).await?;
        }
        Ok(report)
    }

    /// Looks at what waits for facts, and at letters: as [`serve`](Self::serve) does from time to time.
    pub async fn tend(&self, stop: &CancellationToken) -> Result<(), Error> {
        self.reload();
        self.review(stop).await?;
        self.follow(stop).await
    }

    /// An audit record of something done for an institution, by nobody's request.
    fn event(&self, what: &str, outcome: Outcome, now: i64) -> AuditEvent {
        let at = jiff::Timestamp::from_microsecond(now).unwrap_or_default();
        let id = time_uuid(at).to_string();
        AuditEvent {
            request_id: id.clone(),
            id,
            at: now,
            transaction: format!("national {what}"),
            outcome,
            caller: Caller { address: "local".into(), listener: "national".into(), ..Caller::default() },
            ..AuditEvent::default()
        }
    }

    async fn record(tx: &mut Tx<'_>, event: AuditEvent) -> Result<(), DbError> {
        audit::append(tx, &AuditRow::new(event)?).await
    }
}

/// How an institution is reached, for people.
pub fn way(egress: &EgressConfig) -> &'static str {
    match egress.via {
        Via::Relay => "relay",
        Via::Folder => "folder",
        Via::Direct => "direct",
    }
}
