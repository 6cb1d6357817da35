//! Builds stores, services and listeners from the configuration; sweeps while running; drains on
//! stop. `chiren serve`, `chiren demo` and the tests all start the same way.

mod reload;
mod rooms;
pub mod trust;
mod upkeep;

pub use reload::Reload;
pub use rooms::{
    Rooms, access, correlations, directory, documents_are_there, index, national_service, registry,
    repository, trail_of, vocabulary,
};

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use trust::Trust;

use crate::config::Config;
use crate::model::audit::kinds;
use crate::server::as_of::AsOfFace;
use crate::server::clock::Clock;
use crate::server::consents::ConsentFace;
use crate::server::fhir::FhirFace;
use crate::server::fhir::trail::TrailFace;
use crate::server::gate::Gate;
use crate::server::metrics::{self, Metrics};
use crate::server::mllp::MllpFace;
use crate::server::ops::Readiness;
use crate::server::reviews::ReviewFace;
use crate::server::soap::{Asynchronous, SoapFace};
use crate::server::syslog::SyslogFace;
use crate::server::{Faces, Listening, listen};
use crate::service::access::Access;
use crate::service::audit::clock;
use crate::service::audit::forward::Forwarder;
use crate::service::gateway::Responder;
use crate::service::nodes::Nodes;
use crate::service::xua::{Iua, Memory, Xua};
use crate::store::db::{Db, DbError, DbStatus};
use upkeep::{chain, deliver, forget, micros, record_faults, sweep, told, watch};

/// A gateway serving.
pub struct Running {
    pub rooms: Rooms,
    pub listening: Listening,
    asynchronous: Option<Asynchronous>,
    sweeper: Option<JoinHandle<()>>,
    postman: JoinHandle<()>,
    fault_records: JoinHandle<()>,
    chaining: JoinHandle<()>,
    forwarding: Vec<JoinHandle<()>>,
    /// Ends both, after the record of the stop.
    recorded: CancellationToken,
    directory: Option<JoinHandle<()>>,
    reloads: Vec<Reload>,
    trust: Trust,
    trusting: JoinHandle<()>,
    national: Option<JoinHandle<()>>,
    clock: Clock,
    stop: CancellationToken,
    drain: Duration,
}

/// Who may connect.
fn directory_of_nodes(config: &Config) -> anyhow::Result<Nodes> {
    Nodes::open(&config.nodes, jiff::Timestamp::now()).map_err(|faults| rooms::said(&faults))
}

/// Rules of consent, read anew.
fn rules_of_consent(config: &Config, access: &Access) -> Reload {
    let (config, access) = (config.clone(), access.clone());
    Reload::new("rules of consent", move || {
        let network = rooms::network(&config)?;
        let version = network.version.clone();
        access.use_rules(network);
        Ok(version)
    })
}

/// Who examines users, where they are looked at; and what they bring is remembered.
struct Examiners {
    memory: Arc<Memory>,
    xua: Option<Xua>,
    iua: Option<Iua>,
}

impl Examiners {
    fn new(config: &Config, db: &Db) -> anyhow::Result<Self> {
        let memory = Arc::new(Memory::new(Some(db.clone())));
        let home = &config.network.home_community_id;
        // A community of a file read later may be asked for assertions.
        let xua = match config.xua.is_on() || config.gateway.enabled && !config.xua.issuer.is_empty() {
            true => Some(Xua::new(config.xua.clone(), home, memory.clone()).context("xua")?),
            false => None,
        };
        let iua = match config.iua.is_on() {
            true => Some(Iua::new(config.iua.clone(), &config.xua, home, memory.clone()).context("iua")?),
            false => None,
        };
        Ok(Self { memory, xua, iua })
    }

    /// What reads keys and certificates anew.
    fn reloads(&self) -> Vec<Reload> {
        let mut all: Vec<Reload> = vec![];
        if let Some(xua) = self.xua.clone() {
            all.push(Reload::new("issuers of assertions", move || xua.reload()));
        }
        if let Some(iua) = self.iua.clone() {
            all.push(Reload::new("issuers of tokens", move || iua.reload()));
        }
        all
    }
}

impl Running {
    /// Opens everything and begins to serve.
    pub async fn start(config: &Config, clock: Clock, metrics: Option<Metrics>) -> anyhow::Result<Self> {
        crate::config::tls::install_provider();
        let nodes = directory_of_nodes(config)?;
        let rooms = Rooms::open(config, &clock).await?;
        let examiners = Examiners::new(config, &rooms.db)?;
        let face = SoapFace {
            registry: rooms.registry.clone(),
            repository: rooms.repository.clone(),
            mpi: rooms.mpi.clone(),
            discovery: responder(&rooms),
            gateway: rooms.gateway.clone(),
            processing_id: config.hl7v2.processing_id.as_str(),
            audit: rooms.audit.clone(),
            limits: Arc::new(config.limits.clone()),
            soap: config.soap.clone(),
            xua: examiners.xua.clone(),
            asynchronous: rooms
                .couriers
                .answers
                .clone()
                .map(|answers| Asynchronous::new(&config.asynchronous, answers, rooms.outbox.clone())),
        };
        let asynchronous = face.asynchronous.clone();
        let stop = CancellationToken::new();
        let readiness = readiness(&rooms);
        let outbox = rooms.outbox.clone();
        let metrics =
            metrics.map(|m| m.with_database(figures(&rooms.db)).with_outbox(move || outbox.status()));
        let host = config.audit.host();
        let forwarders: Vec<Forwarder> = config
            .audit
            .repository
            .iter()
            .map(|repository| Forwarder::new(rooms.trail.clone(), repository, &host))
            .collect::<anyhow::Result<_>>()
            .context("audit.repository")?;
        let offset = clock::Offsets::new(&config.time);
        let metrics = {
            let (forwarders, audit, offset) = (forwarders.clone(), rooms.audit.clone(), offset.clone());
            let figures = move || metrics::Audited {
                repositories: forwarders.iter().map(Forwarder::standing).collect(),
                alarms: audit.alarms(),
                offset: offset.latest().map(|o| (o.micros, o.alarm)),
            };
            metrics.map(|m| m.with_audit(figures))
        };
        let as_of = rooms.registry.clone().filter(|_| config.registry.as_of);
        let as_of = as_of.map(|registry| AsOfFace { registry, audit: rooms.audit.clone() });
        let messages = rooms.mpi.clone().map(|mpi| MllpFace::new(mpi, rooms.audit.clone(), &config.hl7v2));
        let searched = config.audit.is_searched();
        let fhir = rooms.mpi.clone().map(|mpi| {
            let (audit, iua) = (rooms.audit.clone(), examiners.iua.clone());
            Arc::new(FhirFace { mpi, audit, iua, trail: searched })
        });
        let consents = config.consent.face.then(|| ConsentFace { consents: rooms.consents.clone() });
        let reviews = rooms.mpi.clone().filter(|_| config.mpi.reviews).map(|mpi| ReviewFace { mpi });
        let communities = rooms.gateway.as_ref().map(|gateway| gateway.directory().clone());
        let metrics = match (metrics, communities.clone()) {
            (Some(metrics), Some(directory)) => {
                Some(metrics.with_communities(move || directory.scoreboard()))
            }
            (metrics, _) => metrics,
        };
        let metrics = match (metrics, rooms.national.clone()) {
            (Some(metrics), Some(national)) => Some(metrics.with_national(move || national.standing())),
            (metrics, _) => metrics,
        };
        let (trail, audit) = (rooms.trail.clone(), rooms.audit.clone());
        let syslog = Arc::new(SyslogFace { trail: trail.clone(), audit: audit.clone() });
        let trail = searched.then(|| Arc::new(TrailFace { trail, audit, config: config.audit.clone() }));
        let index = messages.map(Arc::new);
        let offsets = (!config.time.servers.is_empty()).then(|| offset.clone());
        let faces = Faces {
            soap: Arc::new(face),
            index,
            fhir,
            trail,
            syslog,
            as_of,
            reviews,
            consents,
            communities,
            offsets,
        };
        let gate =
            Gate::new(nodes, Some(rooms.audit.clone()), Arc::new(config.limits.clone()), clock.clone());
        let listening =
            listen(config, faces, readiness, metrics, gate.clone(), clock.clone(), stop.clone()).await?;
        let trust = Trust {
            gate,
            acceptors: listening.acceptors(),
            outbound: trust::outbound(config),
            clock: clock.clone(),
        };
        let trusting = tokio::spawn(trust.clone().watch(stop.clone()));
        let sweeper = rooms.repository.clone().map(|repository| {
            let interval = Duration::from_secs(config.repository.sweep_interval_minutes.max(1) * 60);
            let age = Duration::from_secs(config.repository.sweep_age_hours.max(1) * 3600);
            tokio::spawn(sweep(repository, clock.clone(), interval, age, stop.clone()))
        });
        let postman = tokio::spawn(deliver(rooms.clone(), clock.clone(), stop.clone()));
        let fault_records = tokio::spawn(record_faults(rooms.audit.clone(), clock.clone(), stop.clone()));
        rooms.audit.live(&[kinds::APPLICATION_START, kinds::AUDIT_RECORDING_STARTED], clock.now()).await;
        let recorded = CancellationToken::new();
        let often = Duration::from_millis(config.audit.chain_milliseconds);
        let chaining = tokio::spawn(chain(rooms.trail.clone(), often, clock.clone(), recorded.clone()));
        let forwarding =
            forwarders.into_iter().map(|f| tokio::spawn(f.run(micros(&clock), recorded.clone())));
        let forwarding = forwarding.collect();
        tokio::spawn(offset.watch(stop.clone()));
        let directory =
            rooms.gateway.clone().map(|g| tokio::spawn(watch(g.directory().clone(), stop.clone())));
        tokio::spawn(forget(examiners.memory.clone(), clock.clone(), stop.clone()));
        let mut reloads = examiners.reloads();
        reloads.push(rules_of_consent(config, &rooms.access));
        if let Some(gateway) = &rooms.gateway {
            let people = gateway.people().clone();
            reloads.push(Reload::new("our own issuer of assertions", move || people.reload()));
        }
        let national = rooms.national.clone().map(|n| tokio::spawn(n.serve(stop.clone())));
        let drain = config.limits.drain();
        Ok(Self {
            rooms,
            listening,
            asynchronous,
            sweeper,
            postman,
            fault_records,
            chaining,
            forwarding,
            recorded,
            directory,
            reloads,
            trust,
            trusting,
            national,
            clock,
            stop,
            drain,
        })
    }

    /// Reads certificates, revocation lists and the directories of nodes and of communities anew; what is faulty
    /// stays as it was.
    pub async fn reload(&self) {
        self.trust.reload().await;
        if let Some(gateway) = &self.rooms.gateway {
            told(gateway.directory().reload(true));
        }
        self.reloads.iter().for_each(Reload::run);
    }

    /// Something more that is read anew when the gateway is told to.
    pub fn on_reload(&mut self, reload: Reload) {
        self.reloads.push(reload);
    }

    /// What is looked at again and again; tests do not wait for it.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Stops accepting, lets requests under way finish, closes the stores. Returns how many
    /// connections had to be cut off.
    pub async fn drain(self) -> usize {
        let mut cut = self.listening.drain().await;
        if let Some(asynchronous) = &self.asynchronous {
            cut += asynchronous.drain(self.drain).await;
        }
        self.stop.cancel();
        // A delivery cut off here is made again, after its lease, under the same MessageID.
        let postman = self.postman.abort_handle();
        if tokio::time::timeout(self.drain, self.postman).await.is_err() {
            postman.abort();
        } else if self.asynchronous.is_some()
            || (self.rooms.couriers.notices.is_some() || self.rooms.couriers.feeds.is_some())
        {
            // What the last requests left is tried once; the rest waits for the next start.
            let now = micros(&self.clock);
            let stop = CancellationToken::new();
            let last = self.rooms.outbox.run(&self.rooms.couriers, &now, &stop);
            let _ = tokio::time::timeout(self.drain, last).await;
        }
        if let Some(sweeper) = self.sweeper {
            let _ = sweeper.await;
        }
        let _ = self.fault_records.await;
        let _ = self.trusting.await;
        if let Some(directory) = self.directory {
            let _ = directory.await;
        }
        if let Some(national) = self.national {
            // A call cut off here is asked for by its key after its lease.
            let lanes = national.abort_handle();
            if tokio::time::timeout(self.drain, national).await.is_err() {
                lanes.abort();
            }
        }
        self.rooms.audit.write_all_faults(self.clock.now()).await;
        self.rooms
            .audit
            .live(&[kinds::AUDIT_RECORDING_STOPPED, kinds::APPLICATION_STOP], self.clock.now())
            .await;
        // What is not sent by then is sent after the next start.
        let _ = self.rooms.trail.chain(micros(&self.clock)()).await;
        self.recorded.cancel();
        let _ = self.chaining.await;
        for forwarding in self.forwarding {
            let sending = forwarding.abort_handle();
            if tokio::time::timeout(self.drain, forwarding).await.is_err() {
                sending.abort();
            }
        }
        self.rooms.db.close().await;
        cut
    }
}

/// What other communities ask, where this is a gateway with an index.
fn responder(rooms: &Rooms) -> Option<Responder> {
    Some(Responder::new(rooms.mpi.clone()?, rooms.audit.clone(), rooms.correlations.clone()?))
}

/// Ready means the database answers, and the documents are where they were.
fn readiness(rooms: &Rooms) -> Readiness {
    let (db, repository) = (rooms.db.clone(), rooms.repository.clone());
    Arc::new(move || {
        let (db, repository) = (db.clone(), repository.clone());
        Box::pin(async move {
            let answer: Result<_, DbError> = db
                .read(|tx| {
                    Box::pin(async move {
                        tx.fetch_opt("SELECT CAST(1 AS BIGINT)", &[], |row| row.get::<i64>(0)).await
                    })
                })
                .await;
            let mut missing: Vec<String> =
                answer.err().map(|e| format!("database: {e}")).into_iter().collect();
            if let Some(repository) = repository
                && let Err(e) = repository.reach().await
            {
                missing.push(format!("documents: {e}"));
            }
            missing
        })
    })
}

/// What the database tells the metrics.
fn figures(db: &Db) -> impl Fn() -> metrics::Database + Send + Sync + 'static {
    let db = db.clone();
    move || {
        let DbStatus { queued, commits, writes, connections, idle } = db.status();
        metrics::Database { writes_waiting: queued, writes, commits, connections, idle }
    }
}
