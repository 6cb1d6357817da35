//! A real gateway: real sockets, real database, real files.

use std::net::SocketAddr;

use chiren::app::Running;
use chiren::config::{CodeCheck, Config, ListenerConfig, Profile, Role, TlsMode};
use chiren::model::patient::Patient;
use chiren::server::clock::Clock;
use tempfile::TempDir;

use super::samples::{AUTHORITY, HOME, PATIENT, REPOSITORY};
use super::soap::Soap;

pub struct Gateway {
    pub running: Option<Running>,
    pub address: SocketAddr,
    pub ops: SocketAddr,
    pub config: Config,
    pub clock: Clock,
    pub dir: TempDir,
}

/// The configuration tests start from: everything on, rules of the framework alone, codes
/// unrestricted, one plain listener and one for operators, both on free ports.
pub async fn config(dir: &TempDir) -> Config {
    let mut config = Config::default();
    config.network.name = "test".into();
    config.network.home_community_id = HOME.into();
    config.network.patient_id_authority = AUTHORITY.into();
    config.network.allow_example_oids = true;
    config.listener = vec![listener("soap", Role::Soap), listener("ops", Role::Ops)];
    config.repository.unique_id = REPOSITORY.into();
    config.repository.documents = dir.path().join("documents");
    config.registry.rules = Profile::Ihe;
    config.registry.codes = CodeCheck::Off;
    config.database.url = match std::env::var("TEST_DATABASE_URL") {
        Ok(url) => schema_of_its_own(&url).await,
        Err(_) => format!("sqlite:{}", dir.path().join("chiren.db").display()),
    };
    config.database.max_connections = 4;
    if let Ok(parts) = std::env::var("TEST_PARTITIONS") {
        partition(&config, &parts).await;
    }
    // Documents elsewhere than in clear in a folder: "s3", "encrypted", "s3,encrypted".
    let store = std::env::var("TEST_STORE").unwrap_or_default();
    #[cfg(feature = "s3")]
    if store.contains("s3") {
        config.repository.s3 = Some(s3_config(&super::s3::Place::fresh(), dir.path()));
    }
    if store.contains("encrypted") {
        config.repository.encryption = Some(encryption(dir.path(), &[1]));
    }
    config
}

/// Splits the tables by patient as `deploy/postgres/partition.sql` does it for an operator.
pub async fn partition(config: &Config, parts: &str) {
    use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
    chiren::store::migrate::apply(&config.database, 0).await.expect("migrated");
    let mut connection = sqlx::PgConnection::connect(&config.database.url).await.expect("PostgreSQL");
    let script = include_str!("../../../deploy/postgres/partition.sql");
    let sql = format!("SET chiren.parts = {parts}; {script}");
    connection.execute(AssertSqlSafe(sql)).await.expect("partitioned");
    connection.close().await.expect("close");
}

/// Documents at this place.
#[cfg(feature = "s3")]
pub fn s3_config(place: &super::s3::Place, dir: &std::path::Path) -> chiren::config::S3Config {
    chiren::config::S3Config {
        endpoint: Some(place.endpoint.clone()),
        region: "us-east-1".into(),
        bucket: place.bucket.clone(),
        prefix: place.prefix.clone(),
        credentials: Some(place.credentials(dir)),
        ..Default::default()
    }
}

/// Encryption under these keys, the first writes.
pub fn encryption(dir: &std::path::Path, keys: &[u8]) -> chiren::config::EncryptionConfig {
    use std::os::unix::fs::PermissionsExt as _;
    let key_file = dir.join("documents.keys");
    let lines: String = keys.iter().map(|k| format!("{k:02x}").repeat(32) + "\n").collect();
    std::fs::write(&key_file, lines).expect("a key file");
    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    chiren::config::EncryptionConfig { key_file }
}

pub fn listener(name: &str, role: Role) -> ListenerConfig {
    ListenerConfig {
        name: name.into(),
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        role,
        tls: TlsMode::None,
        max_connections_per_address: 1000,
        ..ListenerConfig::default()
    }
}

/// A new schema in the PostgreSQL named by `TEST_DATABASE_URL`; it goes when the cluster goes.
async fn schema_of_its_own(url: &str) -> String {
    use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
    let schema = format!("t{}", uuid::Uuid::new_v4().simple());
    let mut connection = sqlx::PgConnection::connect(url).await.expect("TEST_DATABASE_URL");
    connection.execute(AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).await.expect("a schema");
    connection.close().await.expect("close");
    let join = if url.contains('?') { '&' } else { '?' };
    format!("{url}{join}options[search_path]={schema}")
}

impl Gateway {
    /// With the usual configuration, and [`PATIENT`] known.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// With a configuration changed by `change`.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut config = config(&dir).await;
        change(&mut config);
        Self::start_in(dir, config).await
    }

    /// In a directory that may hold what an earlier gateway left.
    pub async fn start_in(dir: TempDir, config: Config) -> Self {
        let clock = Clock::at("2026-11-22T03:00:00Z".parse().expect("a time"));
        let running = Running::start(&config, clock.clone(), None).await.expect("the gateway starts");
        let address = running.listening.address(Role::Soap).expect("a SOAP listener");
        let ops = running.listening.address(Role::Ops).expect("a listener for operators");
        let gateway = Self { running: Some(running), address, ops, config, clock, dir };
        gateway.add_patient(PATIENT).await;
        gateway
    }

    /// Moves the clock a second on, so that what follows sorts after what was.
    pub fn tick(&self) {
        self.clock.advance(jiff::SignedDuration::from_secs(1));
    }

    /// What is below the listeners.
    pub fn rooms(&self) -> &chiren::app::Rooms {
        &self.running().rooms
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("running")
    }

    pub async fn add_patient(&self, id: &str) {
        let patient = Patient {
            patient_id: id.into(),
            name_kanji: Some("試験 太郎".into()),
            name_kana: Some("シケン タロウ".into()),
            name_romaji: None,
            birth_date: Some("19600101".into()),
            sex: Some("M".into()),
        };
        let now = self.clock.now();
        self.running().rooms.patients.add(vec![patient], now).await.expect("the patient is added");
    }

    /// A client of the plain SOAP listener.
    pub fn soap(&self) -> Soap {
        Soap::new(self.address)
    }

    /// Audit records so far, oldest first, but for the program's own start and stop.
    pub async fn audit(&self) -> Vec<chiren::model::audit::AuditEvent> {
        use chiren::model::audit::kinds;
        let all = self.running().rooms.audit.since(0, 10_000).await.expect("the audit trail");
        let own = [
            kinds::APPLICATION_START,
            kinds::APPLICATION_STOP,
            kinds::AUDIT_RECORDING_STARTED,
            kinds::AUDIT_RECORDING_STOPPED,
        ];
        all.into_iter().filter(|event| !own.contains(&event.transaction.as_str())).collect()
    }

    /// Stops gracefully and gives back what a restart needs.
    pub async fn stop(mut self) -> (TempDir, Config) {
        let running = self.running.take().expect("running");
        assert_eq!(running.drain().await, 0, "connections had to be cut off");
        (self.dir, self.config)
    }

    /// Removes every document from the store, which itself stays.
    pub fn lose_documents(&self) {
        let objects = self.config.repository.documents.join("objects");
        for part in std::fs::read_dir(objects).expect("the objects") {
            std::fs::remove_dir_all(part.expect("a folder").path()).expect("gone");
        }
    }

    /// Files in the document store: objects, and what is still in the spool.
    pub fn files(&self) -> (usize, usize) {
        let root = &self.config.repository.documents;
        let objects = match &self.config.repository.s3 {
            None => count(&root.join("objects")),
            Some(_) => in_bucket(self.config.repository.clone()),
        };
        (objects, count(&root.join("spool")))
    }
}

/// Objects in a bucket, asked for on a thread of its own.
fn in_bucket(config: chiren::config::RepositoryConfig) -> usize {
    let ask = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let blobs = chiren::store::blob::Blobs::of(&config).expect("the bucket");
            let mut count = 0;
            for prefix in 0..=u8::MAX {
                count += blobs.list(prefix).await.expect("a list").len();
            }
            count
        })
    };
    std::thread::spawn(ask).join().expect("a count")
}

/// Files under a directory.
pub fn count(dir: &std::path::Path) -> usize {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries.flatten().map(|e| if e.path().is_dir() { count(&e.path()) } else { 1 }).sum()
}
