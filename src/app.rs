//! Builds stores, services and listeners from the configuration; sweeps while running; drains on
//! stop. `chiren serve`, `chiren demo` and the tests all start the same way.

pub mod trust;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::database::{DatabaseConfig, Engine};
use crate::config::{Config, ConsentConfig, Fault, RegistryConfig};
use crate::model::audit::compose::Reporter;
use crate::model::audit::kinds;
use crate::model::codes::Vocabulary;
use crate::model::community::CorrelateBy;
use crate::model::identity::TimeToLive;
use crate::model::ids::HomeCommunityId;
use crate::peer::http::Client;
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
use crate::service::answers::Answers;
use crate::service::audit::forward::Forwarder;
use crate::service::audit::trail::{self, Key, Trail};
use crate::service::audit::{Audit, clock};
use crate::service::consent::Consents;
use crate::service::gateway::{self, Correlations, Directory, Feeds, Gateway, People, Responder, correlate};
use crate::service::mpi::{self, Domains, Mpi, Neighbours, Notices};
use crate::service::national::{self, National};
use crate::service::nodes::Nodes;
use crate::service::outbox::{Couriers, Now, Outbox};
use crate::service::patients::Patients;
use crate::service::registry::{Registry, Settings};
use crate::service::repository::{self, RegisterAt, Repository};
use crate::service::xua::{Iua, Memory, Xua};
use crate::store::blob::Blobs;
use crate::store::db::{Db, DbError, DbStatus};
use crate::store::documents;
use crate::store::migrate;
use trust::Trust;

/// Everything below the listeners.
#[derive(Clone)]
pub struct Rooms {
    pub db: Db,
    pub audit: Audit,
    /// The audit records at rest.
    pub trail: Trail,
    pub patients: Patients,
    pub registry: Option<Registry>,
    pub repository: Option<Repository>,
    /// The index of patients.
    pub mpi: Option<Mpi>,
    /// Towards other communities.
    pub gateway: Option<Gateway>,
    /// Who patients are in other communities.
    pub correlations: Option<Correlations>,
    /// Who may see what.
    pub access: Access,
    pub consents: Consents,
    /// Towards the national record-sharing service.
    pub national: Option<National>,
    pub outbox: Outbox,
    pub couriers: Couriers,
}

impl Rooms {
    /// Opens the stores, migrating the database first, and puts the services over them.
    pub async fn open(config: &Config, clock: &Clock) -> anyhow::Result<Self> {
        wait_for_database(&config.database).await;
        let report = migrate::apply(&config.database, clock.now().as_microsecond())
            .await
            .context("the database cannot be migrated")?;
        if report.applied_now > 0 {
            info!(migrations = report.applied_now, "database migrated");
        }
        let db = Db::open(&config.database).await.context("the database cannot be opened")?;
        let access = access(config)?;
        let registry = match config.registry.enabled {
            true => Some(registry(config, &db, &access, clock)?),
            false => None,
        };
        let repository = match config.repository.enabled {
            true => {
                documents_are_there(config, &db).await?;
                Some(repository(config, &db, registry.clone(), &access, clock)?)
            }
            false => None,
        };
        let answers = Answers::new(&config.asynchronous.reply_to, repository.clone());
        let audit = Audit::new(db.clone(), config.audit.queries).with_alarm(config.audit.alarm_failures);
        let trail = trail_of(config, &db)?;
        let directory = match config.gateway.enabled {
            true => Some(directory(config)?),
            false => None,
        };
        let mpi = match config.mpi.enabled {
            true => {
                let listed = directory.clone();
                let neighbours: Neighbours =
                    Arc::new(move || listed.as_ref().map(told_of_patients).unwrap_or_default());
                Some(index_telling(config, &db, &audit, &access, clock, neighbours).await?)
            }
            false => None,
        };
        let notices = match &mpi {
            Some(mpi) => Notices::new(&config.mpi, mpi.domains()).context("mpi.consumer")?,
            None => None,
        };
        let (gateway, correlations) = match directory.clone() {
            Some(directory) => {
                let correlations = correlations(config, &db, &audit, mpi.as_ref(), &directory)?;
                let gateway = communities(
                    config,
                    directory,
                    correlations.clone(),
                    registry.clone(),
                    repository.clone(),
                );
                (Some(gateway), Some(correlations))
            }
            None => (None, None),
        };
        let feeds = match (&mpi, directory, &correlations) {
            (Some(mpi), Some(directory), Some(correlations)) => {
                Some(Feeds::new(mpi.clone(), directory, correlations.clone()))
            }
            _ => None,
        };
        let national = national(config, &db, repository.clone(), clock).await?;
        let couriers = Couriers {
            answers: answers.context("asynchronous.reply_to")?,
            notices,
            feeds,
            national: national.clone(),
        };
        Ok(Self {
            mpi,
            gateway,
            correlations,
            consents: Consents::new(db.clone(), audit.clone(), access.clone()),
            access,
            national,
            outbox: Outbox::new(db.clone(), &config.outbox),
            couriers,
            audit,
            trail,
            patients: Patients::new(db.clone()),
            registry,
            repository,
            db,
        })
    }
}

/// The audit records of an open database.
pub fn trail_of(config: &Config, db: &Db) -> anyhow::Result<Trail> {
    let keys = config.audit.keys().context("audit.key_file")?;
    let community = config.network.home_community_id.trim_start_matches("urn:oid:");
    let source_id = match config.audit.source_id.as_str() {
        "" => community,
        name => name,
    };
    let settings = trail::Settings {
        reporter: Reporter {
            source_id: source_id.to_owned(),
            site: Some(community.to_owned()).filter(|c| !c.is_empty()),
            host: config.audit.host(),
        },
        key: Key::new(keys.iter().map(|key| key.0.as_slice())),
        checkpoints: config.audit.checkpoints.clone(),
        repositories: config.audit.repository.iter().map(|r| r.name.clone()).collect(),
    };
    Ok(Trail::new(db.clone(), settings))
}

/// The adapter to the national service; says in the database whether changes are looked at.
async fn national(
    config: &Config,
    db: &Db,
    repository: Option<Repository>,
    clock: &Clock,
) -> anyhow::Result<Option<National>> {
    let on = config.national.enabled;
    let switched = National::switch(db, on, clock.now().as_microsecond()).await;
    switched.map_err(|e| anyhow!("the national adapter cannot be switched: {e:?}"))?;
    match on {
        true => national_service(config, db, repository, clock).map(Some),
        false => Ok(None),
    }
}

/// The adapter over an open database.
pub fn national_service(
    config: &Config,
    db: &Db,
    repository: Option<Repository>,
    clock: &Clock,
) -> anyhow::Result<National> {
    let clock = clock.clone();
    let settings = national::Settings {
        config: config.national.clone(),
        home: config.network.home_community_id.clone(),
        now: Arc::new(move || clock.now().as_microsecond()),
    };
    National::open(db.clone(), repository, settings)
}

/// The directory of a configuration.
pub fn directory(config: &Config) -> anyhow::Result<Directory> {
    Directory::open(config).map_err(|faults| {
        let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
        anyhow!("{}", said.join("; "))
    })
}

/// Who patients are in the communities of a directory.
pub fn correlations(
    config: &Config,
    db: &Db,
    audit: &Audit,
    mpi: Option<&Mpi>,
    directory: &Directory,
) -> anyhow::Result<Correlations> {
    let home = HomeCommunityId::parse(&config.network.home_community_id);
    let settings = correlate::Settings {
        authority: config.network.patient_id_authority.clone(),
        home: home.ok_or_else(|| anyhow!("network.home_community_id is not of the form urn:oid:…"))?,
        time_to_live: TimeToLive::hours(config.discovery.time_to_live_hours),
        pix_valid: i64::try_from(config.discovery.pix_hours).unwrap_or(24).saturating_mul(3_600_000_000),
        by_hand: config.discovery.confirm_by_hand,
    };
    let people = People::open(&config.xua.own, &config.network.home_community_id)?;
    Ok(Correlations::new(db.clone(), audit.clone(), mpi.cloned(), directory.clone(), people, settings))
}

fn octets(kib: u64) -> usize {
    usize::try_from(kib.saturating_mul(1024)).unwrap_or(usize::MAX)
}

/// The gateway over what this program is.
fn communities(
    config: &Config,
    directory: Directory,
    correlations: Correlations,
    registry: Option<Registry>,
    repository: Option<Repository>,
) -> Gateway {
    let settings = gateway::Settings {
        home: config.network.home_community_id.as_str().into(),
        deadline: Duration::from_millis(config.gateway.deadline_ms),
        retrieve_deadline: Duration::from_millis(config.gateway.retrieve_deadline_ms),
        hold: gateway::HoldSettings {
            octets: octets(config.gateway.hold_kib),
            time: Duration::from_millis(config.gateway.hold_ms),
            in_all: octets(config.gateway.hold_all_mib.saturating_mul(1024)),
        },
    };
    Gateway::new(settings, directory, correlations, registry, repository)
}

/// How often a database that is away at the start is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Waits until PostgreSQL answers, or `database.start_timeout_s` have passed: after a power cut machines come
/// up in any order. What does not pass by itself, such as a wrong password, is not waited for.
async fn wait_for_database(config: &DatabaseConfig) {
    if !matches!(config.engine(), Ok(Engine::Postgres(_))) {
        return;
    }
    let limit = Duration::from_secs(config.start_timeout_s);
    let begun = tokio::time::Instant::now();
    let mut said = None;
    while let Err(cause) = migrate::pending(config).await
        && cause.is_away()
        && begun.elapsed() < limit
    {
        // Once a cause, then silence: the operator reads it at the end of the log.
        if said.as_ref() != Some(&cause) {
            warn!(%cause, database = config.public_url(), seconds = limit.as_secs(), "waiting for the database");
            said = Some(cause);
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
    if said.is_some() {
        info!(seconds = begun.elapsed().as_secs(), "waited for the database");
    }
}

/// Refuses to begin an empty folder beside a database that knows documents: their disk is not mounted, or
/// the path is wrong, and what comes in now would lie where nobody looks for it.
pub async fn documents_are_there(config: &Config, db: &Db) -> anyhow::Result<()> {
    let folder = &config.repository.documents;
    // Where documents are in a bucket, the folder holds only what is arriving.
    if config.repository.s3.is_some() || Blobs::is_there(folder) {
        return Ok(());
    }
    let known: Result<_, DbError> = db.read(|tx| Box::pin(documents::list(tx, "", 1))).await;
    if known.context("the database cannot be read")?.is_empty() {
        return Ok(());
    }
    Err(anyhow!(
        "repository.documents: {} holds nothing, but the database knows documents; is the disk mounted, and the \
         path right?",
        folder.display()
    ))
}

/// Who may see what, by the rules of a configuration.
pub fn access(config: &Config) -> anyhow::Result<Access> {
    let network = config.consent.network(&config.network.home_community_id).map_err(|faults| {
        let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
        anyhow!("{}", said.join("; "))
    })?;
    Ok(Access::new(network, config.consent.patients.clone()))
}

/// The registry over an open database.
pub fn registry(config: &Config, db: &Db, access: &Access, clock: &Clock) -> anyhow::Result<Registry> {
    let clock = clock.clone();
    let settings = Settings {
        vocabulary: vocabulary(&config.registry)?,
        config: config.registry.clone(),
        patient_id_authority: config.network.patient_id_authority.clone(),
        home_community_id: config.network.home_community_id.clone(),
        query_results: config.limits.query_results,
        access: access.clone(),
        coverage_slot: config.national.enabled && config.national.coverage_slot,
        now: Arc::new(move || clock.now().as_microsecond()),
    };
    Ok(Registry::new(db.clone(), settings))
}

/// Communities of a directory that are told of our patients: those correlated by PIX that have an address for it.
fn told_of_patients(directory: &Directory) -> Vec<String> {
    let listed = directory.now();
    let told = listed
        .members
        .iter()
        .filter(|m| m.community.correlate == CorrelateBy::Pix && m.client("iti44").is_some());
    told.map(|m| m.community.id.clone()).collect()
}

/// The index of patients over an open database. It tells the neighbours that the directory lists now.
pub async fn index(config: &Config, db: &Db, audit: &Audit, clock: &Clock) -> anyhow::Result<Mpi> {
    let access = access(config)?;
    let neighbours = if config.gateway.enabled { told_of_patients(&directory(config)?) } else { vec![] };
    index_telling(config, db, audit, &access, clock, Arc::new(move || neighbours.clone())).await
}

async fn index_telling(
    config: &Config,
    db: &Db,
    audit: &Audit,
    access: &Access,
    clock: &Clock,
    neighbours: Neighbours,
) -> anyhow::Result<Mpi> {
    let clock = clock.clone();
    let settings = mpi::Settings {
        config: config.mpi.clone(),
        domains: Domains::new(&config.mpi, &config.network.patient_id_authority),
        neighbours,
        access: access.clone(),
        now: Arc::new(move || clock.now().as_microsecond()),
    };
    Mpi::open(db.clone(), audit.clone(), settings).await
}

/// The affinity domain's codes: the configured files, or the built-in Japanese set.
pub fn vocabulary(config: &RegistryConfig) -> anyhow::Result<Vocabulary> {
    if config.vocabularies.is_empty() {
        return Vocabulary::japan(config.codes).context("the built-in vocabulary");
    }
    let mut files = vec![];
    for path in &config.vocabularies {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("vocabulary file {} cannot be read", path.display()))?;
        files.push((path.display().to_string(), text));
    }
    let named = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    Vocabulary::parse(config.codes, named).context("registry.vocabularies")
}

pub fn repository(
    config: &Config,
    db: &Db,
    registry: Option<Registry>,
    access: &Access,
    clock: &Clock,
) -> anyhow::Result<Repository> {
    let settings = &config.repository;
    let blobs = Blobs::of(settings)
        .with_context(|| format!("the document store of {} cannot be used", settings.documents.display()))?;
    let register_at = match (&settings.remote_registry, registry) {
        (Some(peer), _) => {
            RegisterAt::There(Arc::new(Client::new(peer).context("repository.remote_registry")?))
        }
        (None, Some(registry)) => RegisterAt::Here(registry),
        (None, None) => {
            return Err(anyhow!("repository.remote_registry is needed where our own registry is disabled"));
        }
    };
    let settings = repository::Settings {
        unique_id: settings.unique_id.clone(),
        home_community_id: config.network.home_community_id.clone(),
        network: config.network.name.clone(),
        on_demand: settings.on_demand.clone(),
        remove_registered: settings.remove_registered,
        access: access.clone(),
    };
    let clock = clock.clone();
    let now = Arc::new(move || clock.now().as_microsecond());
    Ok(Repository::new(db.clone(), blobs, register_at, settings, now))
}

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
    consent: ConsentConfig,
    home: String,
}

/// Who may connect.
fn directory_of_nodes(config: &Config) -> anyhow::Result<Nodes> {
    Nodes::open(&config.nodes, jiff::Timestamp::now()).map_err(|faults| {
        let said: Vec<String> = faults.iter().filter(|f| f.refuses()).map(ToString::to_string).collect();
        anyhow!("{}", said.join("; "))
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

/// Something that SIGHUP makes read its files anew. What is faulty stays as it was.
pub struct Reload {
    what: &'static str,
    read: Box<dyn Fn() -> anyhow::Result<usize> + Send + Sync>,
}

impl Reload {
    /// `read` gives how many things there are now.
    pub fn new(what: &'static str, read: impl Fn() -> anyhow::Result<usize> + Send + Sync + 'static) -> Self {
        Self { what, read: Box::new(read) }
    }

    fn run(&self) {
        match (self.read)() {
            Ok(count) => info!(what = self.what, count, "read anew"),
            Err(e) => {
                warn!(what = self.what, cause = format!("{e:#}"), "not read; what was before stays in force")
            }
        }
    }
}

/// How often notes of what was brought are looked through for those that are over.
const FORGET: Duration = Duration::from_secs(300);

async fn forget(memory: Arc<Memory>, clock: Clock, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(FORGET)).await.is_some() {
        if let Err(e) = memory.forget(clock.now().as_microsecond()).await {
            warn!(
                cause = format!("{e:?}"),
                "what was brought could not be forgotten; the next look will try again"
            );
        }
    }
}

/// How often it is looked whether repeated faults are due for a record.
const FAULT_RECORDS: Duration = Duration::from_secs(60);

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
        let fhir = rooms
            .mpi
            .clone()
            .map(|mpi| Arc::new(FhirFace { mpi, audit: rooms.audit.clone(), iua: examiners.iua.clone() }));
        let consents = config.consent.face.then(|| ConsentFace { consents: rooms.consents.clone() });
        let reviews = rooms.mpi.clone().filter(|_| config.mpi.reviews).map(|mpi| ReviewFace { mpi });
        let communities = rooms.gateway.as_ref().map(|gateway| gateway.directory().clone());
        let metrics = match (metrics, communities.clone()) {
            (Some(metrics), Some(directory)) => {
                Some(metrics.with_communities(move || directory.scoreboard()))
            }
            (metrics, _) => metrics,
        };
        let (trail, audit) = (rooms.trail.clone(), rooms.audit.clone());
        let syslog = Arc::new(SyslogFace { trail: trail.clone(), audit: audit.clone() });
        let searched = config.audit.is_searched();
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
            consent: config.consent.clone(),
            home: config.network.home_community_id.clone(),
        })
    }

    /// Reads certificates, revocation lists and the directories of nodes and of communities anew; what is faulty
    /// stays as it was.
    pub async fn reload(&self) {
        self.trust.reload().await;
        self.reload_rules();
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

    /// Reads the rules of consent anew; with a fault in them those before stay in force.
    fn reload_rules(&self) {
        match self.consent.network(&self.home) {
            Ok(network) => {
                info!(version = network.version, "rules of consent read");
                self.rooms.access.use_rules(network);
            }
            Err(faults) => {
                for fault in faults {
                    warn!(%fault, "rules of consent not read; those before stay in force");
                }
            }
        }
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

/// Looks whether the directory of communities has changed.
async fn watch(directory: Directory, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(directory.look_every())).await.is_some() {
        if let Some(read) = directory.look() {
            told(read);
        }
    }
}

fn told(read: Result<usize, Vec<Fault>>) {
    match read {
        Ok(communities) => info!(communities, "directory of communities read"),
        Err(faults) => {
            for fault in faults.iter().filter(|f| f.refuses()) {
                warn!(%fault, "directory of communities not read; the one before stays in force");
            }
        }
    }
}

async fn record_faults(audit: Audit, clock: Clock, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(FAULT_RECORDS)).await.is_some() {
        audit.write_due_faults(clock.now()).await;
    }
}

/// Chains the audit records, as they come.
async fn chain(trail: Trail, often: Duration, clock: Clock, stop: CancellationToken) {
    let mut said = false;
    while stop.run_until_cancelled(tokio::time::sleep(often)).await.is_some() {
        match trail.chain(clock.now().as_microsecond()).await {
            Ok(_) => said = false,
            Err(e) if !said => {
                warn!(cause = format!("{e:?}"), "audit records cannot be chained yet");
                said = true;
            }
            Err(_) => {}
        }
    }
}

fn micros(clock: &Clock) -> Now {
    let clock = clock.clone();
    Arc::new(move || clock.now().as_microsecond())
}

/// Delivers what the outbox holds, until it is told to stop.
async fn deliver(rooms: Rooms, clock: Clock, stop: CancellationToken) {
    let now = micros(&clock);
    while !stop.is_cancelled() {
        if let Some(mpi) = &rooms.mpi {
            mpi.count_reviews(now()).await;
        }
        if let Err(e) = rooms.outbox.run(&rooms.couriers, &now, &stop).await {
            warn!(cause = format!("{e:?}"), "the outbox cannot be read; the next look will try again");
        }
        stop.run_until_cancelled(rooms.outbox.idle()).await;
    }
}

/// What a crash left can wait until the gateway has come up.
const FIRST_SWEEP: Duration = Duration::from_secs(60);

async fn sweep(
    repository: Repository,
    clock: Clock,
    interval: Duration,
    age: Duration,
    stop: CancellationToken,
) {
    let mut pause = FIRST_SWEEP;
    while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        match repository.sweep(clock.now().into(), age).await {
            Ok(swept) if swept.objects + swept.spool_files > 0 => info!(
                objects = swept.objects,
                bytes = swept.object_bytes,
                spool_files = swept.spool_files,
                "swept what nothing refers to"
            ),
            Ok(_) => {}
            Err(e) => warn!(cause = format!("{e:?}"), "the sweep failed; the next one will try again"),
        }
        pause = interval;
    }
}
