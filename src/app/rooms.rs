//! Everything below the listeners, built from the configuration.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tracing::{info, warn};

use crate::config::database::{DatabaseConfig, Engine};
use crate::config::{Config, Fault, RegistryConfig};
use crate::model::audit::compose::Reporter;
use crate::model::codes::Vocabulary;
use crate::model::community::CorrelateBy;
use crate::model::consent::Network;
use crate::model::identity::TimeToLive;
use crate::model::ids::HomeCommunityId;
use crate::peer::http::Client;
use crate::server::clock::Clock;
use crate::service::access::Access;
use crate::service::answers::Answers;
use crate::service::audit::Audit;
use crate::service::audit::trail::{self, Key, Trail};
use crate::service::consent::Consents;
use crate::service::gateway::{self, Correlations, Directory, Feeds, Gateway, People, Screen, correlate};
use crate::service::mpi::{self, Domains, Mpi, Neighbours, Notices};
use crate::service::national::{self, National};
use crate::service::outbox::{Couriers, Outbox};
use crate::service::patients::Patients;
use crate::service::registry::{Registry, Settings};
use crate::service::repository::{self, RegisterAt, Repository};
use crate::store::blob::Blobs;
use crate::store::db::{Db, DbError};
use crate::store::{documents, migrate};

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
                    Screen::new(
                        db.clone(),
                        access.clone(),
                        &config.network.patient_id_authority,
                        mpi.is_some(),
                    ),
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
        let national = national(config, &db, repository.clone(), &access, clock).await?;
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
    access: &Access,
    clock: &Clock,
) -> anyhow::Result<Option<National>> {
    let on = config.national.enabled;
    let switched = National::switch(db, on, clock.now().as_microsecond()).await;
    switched.map_err(|e| anyhow!("the national adapter cannot be switched: {e:?}"))?;
    match on {
        true => national_service(config, db, repository, access, clock).map(Some),
        false => Ok(None),
    }
}

/// The adapter over an open database.
pub fn national_service(
    config: &Config,
    db: &Db,
    repository: Option<Repository>,
    access: &Access,
    clock: &Clock,
) -> anyhow::Result<National> {
    let clock = clock.clone();
    let settings = national::Settings {
        config: config.national.clone(),
        home: config.network.home_community_id.clone(),
        now: Arc::new(move || clock.now().as_microsecond()),
        access: access.clone(),
    };
    National::open(db.clone(), repository, settings)
}

/// The directory of a configuration.
pub fn directory(config: &Config) -> anyhow::Result<Directory> {
    Directory::open(config).map_err(|faults| said(&faults))
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
    screen: Screen,
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
    Gateway::new(settings, directory, correlations, registry, repository, screen)
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
    Ok(Access::new(network(config)?, config.consent.patients.clone()))
}

/// The rules of consent, as their file has them now.
pub(super) fn network(config: &Config) -> anyhow::Result<Network> {
    config.consent.network(&config.network.home_community_id).map_err(|faults| said(&faults))
}

/// Why something is refused.
pub(super) fn said(faults: &[Fault]) -> anyhow::Error {
    let said: Vec<String> = faults.iter().filter(|f| f.refuses()).map(ToString::to_string).collect();
    anyhow!("{}", said.join("; "))
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
