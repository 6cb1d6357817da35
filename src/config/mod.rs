//! Configuration: one documented struct per section; load, check, print the example.
//!
//! A TOML file first, the environment over it ([`env`]), defaults under both. Reading stops at
//! what TOML cannot mean; [`Config::check`] then collects every fault of what it does mean.

pub mod asynchronous;
pub mod audit;
pub mod community;
pub mod consent;
pub mod crl;
pub mod database;
pub mod discovery;
pub mod encryption;
pub mod env;
pub mod fault;
pub mod gateway;
pub mod hl7v2;
pub mod iua;
pub mod limits;
pub mod listener;
pub mod log;
pub mod mapping;
pub mod mpi;
pub mod national;
pub mod network;
pub mod nodes;
pub mod outbox;
pub mod peer;
pub mod registry;
pub mod relay;
pub mod repository;
pub mod s3;
mod secret;
pub mod section;
pub mod soap;
pub mod time;
pub mod tls;
pub mod x509;
pub mod xua;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::community::AssertionPolicy;
use crate::model::transaction::{Transaction, Wire};

pub use asynchronous::AsynchronousConfig;
pub use audit::{AuditConfig, AuditRepositoryConfig};
pub use community::{CommunityConfig, EndpointConfig, ForeignRepositoryConfig, plain_fingerprint};
pub use consent::ConsentConfig;
pub use database::DatabaseConfig;
pub use discovery::DiscoveryConfig;
pub use encryption::EncryptionConfig;
pub use fault::{Fault, Language, Weight};
pub use gateway::{CommunityFile, GatewayConfig};
pub use hl7v2::{Hl7v2Config, ProcessingId};
pub use iua::{IuaConfig, IuaIssuerConfig};
pub use limits::LimitsConfig;
pub use listener::{ListenerConfig, Role, TlsMode};
pub use log::{LogConfig, LogFormat};
pub use mpi::{DomainKind, MpiConfig, MpiConsumerConfig, MpiDomainConfig};
pub use national::{EgressConfig, KindConfig, NationalConfig};
pub use network::NetworkConfig;
pub use nodes::{NodeFile, NodesConfig};
pub use outbox::OutboxConfig;
pub use peer::PeerConfig;
pub use registry::{CodeCheck, Profile, RegistryConfig, UnknownPatientQuery, UnknownPatients};
pub use relay::RelayConfig;
pub use repository::{OnDemandConfig, RepositoryConfig};
pub use s3::S3Config;
pub use soap::{SecurityHeader, SoapConfig};
pub use time::TimeConfig;
pub use tls::TlsProfile;
pub use xua::{MessageIds, XuaConfig, XuaIssuerConfig, XuaMode, XuaOwnConfig};

/// The whole configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub network: NetworkConfig,
    pub listener: Vec<ListenerConfig>,
    pub nodes: NodesConfig,
    pub repository: RepositoryConfig,
    pub registry: RegistryConfig,
    pub mpi: MpiConfig,
    pub hl7v2: Hl7v2Config,
    pub gateway: GatewayConfig,
    pub discovery: DiscoveryConfig,
    pub community: Vec<CommunityConfig>,
    pub foreign_repository: Vec<ForeignRepositoryConfig>,
    pub database: DatabaseConfig,
    pub soap: SoapConfig,
    pub xua: XuaConfig,
    pub iua: IuaConfig,
    pub consent: ConsentConfig,
    pub asynchronous: AsynchronousConfig,
    pub outbox: OutboxConfig,
    pub national: NationalConfig,
    pub limits: LimitsConfig,
    pub audit: AuditConfig,
    pub time: TimeConfig,
    pub log: LogConfig,
}

/// Addresses of SOAP transactions that are no transaction's own in the catalogue.
const ALSO: [&str; 6] =
    ["/xds/registry", "/xds/repository", "/mpi/pixv3", "/mpi/pdqv3", "/xca/iti18", "/xca/iti43"];

/// Why there is no configuration to check.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("configuration file {path} cannot be read: {cause}")]
    Unreadable { path: PathBuf, cause: std::io::Error },
    /// With line, column and caret, as `toml` draws them.
    #[error("configuration file {path}: {cause}")]
    File { path: PathBuf, cause: toml::de::Error },
    #[error("configuration file with the CHIREN__ variables of the environment: {0}")]
    Environment(toml::de::Error),
    #[error("{}", .0.iter().map(Fault::to_string).collect::<Vec<_>>().join("; "))]
    Variables(Vec<Fault>),
}

impl LoadError {
    pub fn in_language(&self, language: Language) -> String {
        match (language, self) {
            (Language::En, _) => self.to_string(),
            (Language::Ja, LoadError::Unreadable { path, cause }) => {
                format!("設定ファイル {} を読み込めません: {cause}", path.display())
            }
            (Language::Ja, LoadError::File { path, cause }) => {
                format!("設定ファイル {} に誤りがあります: {cause}", path.display())
            }
            (Language::Ja, LoadError::Environment(cause)) => {
                format!("設定ファイルと環境変数 CHIREN__ の組み合わせに誤りがあります: {cause}")
            }
            (Language::Ja, LoadError::Variables(faults)) => {
                faults.iter().map(|f| f.in_language(language)).collect::<Vec<_>>().join("、")
            }
        }
    }
}

impl Config {
    /// Reads the file and lays this process's environment over it.
    pub fn load(path: &Path) -> Result<Config, LoadError> {
        Self::load_with(
            path,
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))),
        )
    }

    /// The same with another environment.
    pub fn load_with(
        path: &Path,
        vars: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Config, LoadError> {
        let text = std::fs::read_to_string(path)
            .map_err(|cause| LoadError::Unreadable { path: path.to_owned(), cause })?;
        let in_file = |cause| LoadError::File { path: path.to_owned(), cause };
        // The file alone first: only its own text can be shown with line and caret.
        let config: Config = toml::from_str(&text).map_err(in_file)?;
        let mut table: toml::Table = toml::from_str(&text).map_err(in_file)?;
        if env::overlay(&mut table, vars).map_err(LoadError::Variables)? {
            return table.try_into().map_err(LoadError::Environment);
        }
        Ok(config)
    }

    /// Every fault, in the order of the file. Reads the files that keys name.
    pub fn check(&self) -> Vec<Fault> {
        let mut list = vec![];
        self.network.check(&mut list);
        listener::check_all(&self.listener, &mut list);
        self.nodes.check(&mut list);
        if self.nodes.directory.is_some() {
            listener::check_nodes(&self.listener, &mut list);
        }
        self.repository.check(self.network.allow_example_oids, &mut list);
        self.registry.check(&mut list);
        if self.registry.enabled && self.registry.as_of {
            listener::check_private(&self.listener, "registry.as_of", &mut list);
        }
        if !self.mpi.enabled {
            listener::check_index(&self.listener, self.audit.is_searched(), &mut list);
        }
        self.audit.check(&self.listener, &mut list);
        self.time.check(&mut list);
        self.hl7v2.check(&mut list);
        self.mpi.check(&self.network.patient_id_authority, self.network.allow_example_oids, &mut list);
        if self.mpi.enabled && self.mpi.reviews {
            listener::check_private(&self.listener, "mpi.reviews", &mut list);
        }
        self.gateway.check(
            &self.communities(),
            &self.network.home_community_id,
            &self.network.patient_id_authority,
            self.network.allow_example_oids,
            &mut list,
        );
        if self.gateway.enabled {
            self.gateway.check_time(self.limits.request_seconds, &mut list);
        }
        if !self.repository.enabled && !self.registry.enabled && !self.mpi.enabled && !self.gateway.enabled {
            list.push(Fault::new(
                "registry.enabled",
                "neither registry nor repository is enabled",
                "レジストリもリポジトリも有効になっていません",
            ));
        }
        if self.repository.enabled && !self.registry.enabled && self.repository.remote_registry.is_none() {
            list.push(Fault::new(
                "repository.remote_registry",
                "is needed where our own registry is disabled",
                "自身のレジストリが無効の場合は必要です",
            ));
        }
        self.discovery.check(&mut list);
        self.database.check(&mut list);
        let asked = self.community.iter().any(|c| c.incoming_assertion.is_some_and(|m| m != XuaMode::Off));
        self.xua.check(
            &|code| Transaction::ALL.iter().any(|t| t.code() == code && !t.row().path.is_empty()),
            &|path| {
                path.starts_with('/')
                    && (Transaction::ALL.iter().any(|t| t.row().path == path) || ALSO.contains(&path))
            },
            asked,
            &mut list,
        );
        for (i, community) in self.community.iter().enumerate() {
            if community.assertion == AssertionPolicy::Issue && self.xua.own.certificate.is_none() {
                list.push(Fault::new(
                    format!("community[{i}].assertion"),
                    "is \"issue\", but [xua.own] names no certificate to sign with",
                    "\"issue\" ですが、[xua.own] に署名用の証明書がありません",
                ));
            }
        }
        self.iua.check(
            &|code| Transaction::ALL.iter().any(|t| t.code() == code && t.row().wire == Wire::Fhir),
            &mut list,
        );
        let discovery = |code: &str| Transaction::ALL.iter().any(|t| t.code() == code);
        self.consent.check(&self.network.home_community_id, &discovery, self.registry.enabled, &mut list);
        if self.consent.face {
            listener::check_private(&self.listener, "consent.face", &mut list);
        }
        self.asynchronous.check(&mut list);
        self.outbox.check(&mut list);
        self.national.check(&mut list);
        self.limits.check(&mut list);
        self.log.check(&mut list);
        list
    }

    /// The communities written in the configuration itself.
    pub fn communities(&self) -> CommunityFile {
        CommunityFile {
            community: self.community.clone(),
            foreign_repository: self.foreign_repository.clone(),
        }
    }
}

/// The example file: every key with its documentation and default. `config/chiren.toml` is this
/// text, which a test compares.
pub fn example() -> String {
    let mut out = String::from(
        "# Chiren Gateway: example configuration.\n\
         #\n\
         # Printed by `chiren check --example`. Keys left out keep the values shown, but for names,\n\
         # addresses, OIDs and files. Any key can be set by the environment instead:\n\
         # CHIREN__SECTION__KEY, lists of tables by index, as in\n\
         # CHIREN__LISTENER__0__ADDRESS. The OIDs below 2.999 are examples and refused until replaced.\n\n",
    );
    section::print::<NetworkConfig>(&mut out, "[network]");
    section::print::<ListenerConfig>(&mut out, "[[listener]]");
    out.push_str(
        "[[listener]]\nname = \"ops\"\naddress = \"127.0.0.1:9090\"\nrole = \"ops\"\ntls = \"none\"\n\n",
    );
    section::print::<NodesConfig>(&mut out, "[nodes]");
    section::print::<RepositoryConfig>(&mut out, "[repository]");
    section::print::<OnDemandConfig>(&mut out, "[repository.on_demand]");
    section::print_commented::<PeerConfig>(&mut out, "[repository.remote_registry]");
    section::print_commented::<S3Config>(&mut out, "[repository.s3]");
    section::print_commented::<EncryptionConfig>(&mut out, "[repository.encryption]");
    section::print::<RegistryConfig>(&mut out, "[registry]");
    section::print::<MpiConfig>(&mut out, "[mpi]");
    section::print_commented::<MpiDomainConfig>(&mut out, "[[mpi.domain]]");
    section::print_commented::<MpiConsumerConfig>(&mut out, "[[mpi.consumer]]");
    section::print::<Hl7v2Config>(&mut out, "[hl7v2]");
    section::print::<GatewayConfig>(&mut out, "[gateway]");
    section::print::<DiscoveryConfig>(&mut out, "[discovery]");
    section::print_commented::<CommunityConfig>(&mut out, "[[community]]");
    section::print_commented::<EndpointConfig>(&mut out, "[community.endpoint]");
    section::print_commented::<ForeignRepositoryConfig>(&mut out, "[[foreign_repository]]");
    section::print_commented::<PeerConfig>(&mut out, "[foreign_repository.peer]");
    section::print::<DatabaseConfig>(&mut out, "[database]");
    section::print::<SoapConfig>(&mut out, "[soap]");
    section::print::<XuaConfig>(&mut out, "[xua]");
    section::print::<XuaOwnConfig>(&mut out, "[xua.own]");
    section::print_commented::<XuaIssuerConfig>(&mut out, "[[xua.issuer]]");
    section::print::<IuaConfig>(&mut out, "[iua]");
    section::print_commented::<IuaIssuerConfig>(&mut out, "[[iua.issuer]]");
    section::print::<ConsentConfig>(&mut out, "[consent]");
    section::print::<AsynchronousConfig>(&mut out, "[asynchronous]");
    section::print_commented::<PeerConfig>(&mut out, "[[asynchronous.reply_to]]");
    section::print::<OutboxConfig>(&mut out, "[outbox]");
    section::print::<NationalConfig>(&mut out, "[national]");
    section::print_commented::<KindConfig>(&mut out, "[[national.kind]]");
    section::print_commented::<EgressConfig>(&mut out, "[national.egress.1319900018]");
    section::print_commented::<PeerConfig>(&mut out, "[national.egress.1319900018.peer]");
    section::print::<LimitsConfig>(&mut out, "[limits]");
    section::print::<AuditConfig>(&mut out, "[audit]");
    section::print_commented::<AuditRepositoryConfig>(&mut out, "[[audit.repository]]");
    section::print::<TimeConfig>(&mut out, "[time]");
    section::print::<LogConfig>(&mut out, "[log]");
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
        [network]
        home_community_id = 'urn:oid:1.2.392.1'
        patient_id_authority = '1.2.392.2'
        [[listener]]
        name = 'soap'
        tls = 'none'
        [repository]
        unique_id = '1.2.392.3'
    ";

    fn loaded(text: &str, vars: &[(&str, &str)]) -> Result<Config, LoadError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("chiren.toml");
        std::fs::write(&path, text).unwrap();
        Config::load_with(&path, vars.iter().map(|(k, v)| (k.to_string(), v.to_string())))
    }

    fn faults(vars: &[(&str, &str)]) -> Vec<String> {
        loaded(GOOD, vars).unwrap().check().into_iter().map(|f| f.key).collect()
    }

    #[test]
    fn the_example_file_is_the_printed_one() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/chiren.toml");
        let file = std::fs::read_to_string(path).unwrap();
        assert!(
            file == example(),
            "config/chiren.toml is out of date: write it anew with `chiren check --example > config/chiren.toml`"
        );
    }

    #[test]
    fn the_example_shows_every_key_and_its_oids_are_refused() {
        let text = example();
        let config: Config = toml::from_str(&text).unwrap();
        let uncommented: String = text
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.contains(" = ") || rest.starts_with('[') => format!("{rest}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let all: Config = toml::from_str(&uncommented).unwrap();
        assert!(all.repository.remote_registry.is_some());
        assert!(all.repository.s3.is_some() && all.repository.encryption.is_some());
        assert_eq!((all.asynchronous.reply_to.len(), all.xua.issuer.len()), (1, 1));
        assert_eq!(all.iua.issuer.len(), 1);
        assert_eq!((all.mpi.domain.len(), all.mpi.consumer.len()), (1, 1));
        assert_eq!(all.audit.repository.len(), 1);
        assert_eq!((all.community.len(), all.foreign_repository.len()), (1, 1));
        let keys: Vec<String> = config.check().into_iter().map(|f| f.key).collect();
        for key in ["network.home_community_id", "network.patient_id_authority", "repository.unique_id"] {
            assert!(keys.contains(&key.to_string()), "{keys:?}");
        }
        for line in ["level = \"info\"", "drain_seconds = 30", "tls_profile = \"jp-high\""] {
            assert!(text.contains(line), "{line}");
        }
        assert!(!text.contains(" =\n"), "a key without default needs an example");
    }

    #[test]
    fn a_good_file_has_no_faults_and_each_spoiling_is_named() {
        assert_eq!(faults(&[]), Vec::<String>::new());
        let cases: &[(&str, &str, &str)] = &[
            ("CHIREN__NETWORK__HOME_COMMUNITY_ID", "1.2", "network.home_community_id"),
            ("CHIREN__NETWORK__PATIENT_ID_AUTHORITY", "2.999.1", "network.patient_id_authority"),
            ("CHIREN__LISTENER__0__ADDRESS", "0.0.0.0:80", "listener[0].tls"),
            ("CHIREN__LISTENER__0__ROLE", "ops", "listener"),
            ("CHIREN__REPOSITORY__UNIQUE_ID", "", "repository.unique_id"),
            ("CHIREN__REPOSITORY__REMOTE_REGISTRY__URL", "ftp://x", "repository.remote_registry.url"),
            ("CHIREN__REPOSITORY__ENCRYPTION__KEY_FILE", "/no/such", "repository.encryption.key_file"),
            ("CHIREN__REGISTRY__ENABLED", "false", "repository.remote_registry"),
            ("CHIREN__REGISTRY__VOCABULARIES", "[\"/no/such\"]", "registry.vocabularies[0]"),
            ("CHIREN__DATABASE__URL", "mysql://x", "database.url"),
            ("CHIREN__LIMITS__DOCUMENT_MIB", "4096", "limits.document_mib"),
            ("CHIREN__XUA__SKEW_SECONDS", "301", "xua.skew_seconds"),
            ("CHIREN__XUA__OWN__LIFETIME_SECONDS", "1", "xua.own.lifetime_seconds"),
            ("CHIREN__XUA__ALARM_FAILURES", "0", "xua.alarm_failures"),
            ("CHIREN__IUA__SKEW_SECONDS", "301", "iua.skew_seconds"),
            ("CHIREN__ASYNCHRONOUS__UNDER_WAY", "0", "asynchronous.under_way"),
            ("CHIREN__ASYNCHRONOUS__REPLY_TO__0__URL", "ftp://x", "asynchronous.reply_to[0].url"),
            ("CHIREN__OUTBOX__WORKERS", "0", "outbox.workers"),
            ("CHIREN__DISCOVERY__PIX_HOURS", "0", "discovery.pix_hours"),
            ("CHIREN__LIMITS__HEADER_SECONDS", "0", "limits.header_seconds"),
            ("CHIREN__AUDIT__KEEP_YEARS", "0", "audit.keep_years"),
            ("CHIREN__AUDIT__KEY_FILE", "/no/such", "audit.key_file"),
            ("CHIREN__AUDIT__SEARCH_LISTENERS", "[\"none\"]", "audit.search_listeners[0]"),
            ("CHIREN__TIME__LIMIT_MS", "0", "time.limit_ms"),
            ("CHIREN__LOG__LEVEL", "loud", "log.level"),
        ];
        for (name, value, key) in cases {
            assert_eq!(faults(&[(name, value)]), [*key], "{name}={value}");
        }
    }

    #[test]
    fn all_faults_are_collected() {
        let config: Config = toml::from_str("[[listener]]\nname='a'\n[[listener]]\nname='a'\n").unwrap();
        let keys: Vec<String> = config.check().into_iter().map(|f| f.key).collect();
        for key in [
            "network.home_community_id",
            "listener[0].certificate",
            "listener[0].private_key",
            "listener[0].client_ca",
            "listener[1].address",
            "listener[1].name",
            "repository.unique_id",
        ] {
            assert!(keys.contains(&key.to_string()), "{key} in {keys:?}");
        }
    }

    #[test]
    fn errors_of_the_file_show_the_line() {
        let error = loaded("[log]\nlevl = 'x'\n", &[]).unwrap_err();
        assert!(matches!(error, LoadError::File { .. }));
        let text = error.to_string();
        assert!(text.contains("2 | levl") && text.contains('^'), "{text}");
        assert!(matches!(loaded(GOOD, &[("CHIREN__LOG__LEVL", "x")]), Err(LoadError::Environment(_))));
        assert!(matches!(loaded(GOOD, &[("CHIREN__LOG", "x")]), Err(LoadError::Environment(_))));
    }
}
