//! `chiren simulate national`: the national record-sharing service (電子カルテ情報共有サービス) as national-service.md §7
//! decided it to be, for whoever builds or tests an adapter to it.
//!
//! A call goes [`door`] → [`engine`] → [`envelope`] (read) → [`validate`] and [`decide`] (pure) → [`journal`] (durable) →
//! [`world`] (true) → answer. Tests start it in their own process by [`Simulator::start`].

pub mod contract;
mod control;
pub mod decide;
pub mod directory;
mod door;
pub mod engine;
pub mod envelope;
pub mod fault;
mod folder;
mod journal;
pub mod json;
mod page;
pub mod pki;
pub mod show;
mod twice;
pub mod unit;
pub mod validate;
pub mod who;
pub mod world;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use tokio_rustls::TlsAcceptor;

use self::door::Door;
use self::engine::Engine;
use self::fault::{Fault, Faults};
use self::folder::Folder;
use self::pki::{Pair, Pki};
use self::who::Naming;
use self::world::{RuleSet, Settings};
use super::super::{print, serve::Signals};
use crate::config::tls::{anchors, identity};
use crate::config::{Language, TlsProfile};
use crate::server::clock::Clock;

pub const EXAMPLES: &str =
    "Everything is invented, and nothing is sent anywhere. The contract is in docs/national-simulator.md.

Examples:
  chiren simulate national --pki ./national --institution 1319900018 --institution 2719900026
  chiren simulate national --pki ./national --store ./national/journal --rule-set 2.0.0
  curl --cacert national/authority.pem --cert national/1319900018.pem --key national/1319900018.key \\
       --data-binary @request.json https://localhost:8443/v1/info/register
  curl http://127.0.0.1:9191/_state
  curl -d '{\"mode\": \"http-503\", \"times\": 3}' http://127.0.0.1:9191/_fault";

/// One transmission at most (national-service.md §6.1; that 10 MB are these octets is unverified).
pub const LIMIT: usize = 10_485_760;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Where the contract is served, over TLS with client certificates
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,

    /// Where the page, the state and the faults are, in the clear
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9191")]
    control: SocketAddr,

    /// Folder of certificates; what is missing in it is made. Without it, a temporary one is removed at the end
    #[arg(long, value_name = "DIR")]
    pki: Option<PathBuf>,

    /// Make a client certificate for this institution; may be repeated
    #[arg(long, value_name = "CODE")]
    institution: Vec<String>,

    /// Only make the certificates
    #[arg(long, requires = "pki")]
    certificates_only: bool,

    /// Where a client's certificate has the institution's code
    #[arg(long, value_name = "WHERE", value_enum, default_value_t = Naming::Any)]
    institution_in: Naming,

    /// Keep what is held in this file: durable before each answer, and read again at the start
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,

    /// Take request files from DIR/req and lay result files into DIR/res, too
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,

    /// Rule set of the service: 1.2.0 or 2.0.0
    #[arg(long, value_name = "VERSION", default_value = "1.2.0", value_parser = rule_set)]
    rule_set: RuleSet,

    /// How contradictions of the published rules are read: published or intended
    #[arg(long, value_name = "MODE", default_value = "intended", value_parser = mode)]
    validation: validate::Mode,

    /// A fault from the beginning on, as JSON; may be repeated
    #[arg(long, value_name = "JSON", value_parser = fault)]
    fault: Vec<Fault>,

    /// What is logged to standard error: error, warn, info, debug
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    pub log: String,
}

fn spelled<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|e| e.to_string())
}

fn rule_set(text: &str) -> Result<RuleSet, String> {
    spelled(text)
}

fn mode(text: &str) -> Result<validate::Mode, String> {
    spelled(text)
}

fn fault(text: &str) -> Result<Fault, String> {
    serde_json::from_str(text).map_err(|e| e.to_string())
}

/// The files TLS needs.
#[derive(Debug, Clone)]
pub struct Tls {
    pub server: Pair,
    /// For the fault `server-cert-expired`.
    pub expired: Option<Pair>,
    pub client_authorities: Vec<PathBuf>,
}

impl Tls {
    /// Everything out of one folder.
    pub fn of(pki: &Pki) -> Tls {
        Tls {
            server: pki.server(),
            expired: Some(pki.expired_server()),
            client_authorities: vec![pki.authority()],
        }
    }

    fn acceptor(&self, pair: &Pair) -> anyhow::Result<TlsAcceptor> {
        let identity = identity(&pair.certificate, &pair.key)?;
        let (profile, roots) = (TlsProfile::JpHigh12, Arc::new(anchors(&self.client_authorities)?));
        // Whoever comes without one is told so by HTTP 401.
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots, profile.provider()).allow_unauthenticated();
        let mut config = ServerConfig::builder_with_provider(profile.provider())
            .with_protocol_versions(profile.versions())?
            .with_client_cert_verifier(verifier.build()?)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Arc::new(config).into())
    }
}

/// What is simulated, and where.
#[derive(Debug, Clone)]
pub struct Options {
    pub listen: SocketAddr,
    /// A plain listener for page, state and faults; they are at [`Options::listen`], too.
    pub control: Option<SocketAddr>,
    /// Without it the contract is served in the clear, and MessageHeader is believed: for measurements.
    pub tls: Option<Tls>,
    pub naming: Naming,
    pub store: Option<PathBuf>,
    pub folder: Option<PathBuf>,
    pub clock: Clock,
    /// Octets of a Bundle at most.
    pub limit: usize,
    /// Where a store is read these hold until the store says otherwise.
    pub settings: Settings,
}

impl Default for Options {
    fn default() -> Self {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen: anywhere,
            control: Some(anywhere),
            tls: None,
            naming: Naming::Any,
            store: None,
            folder: None,
            clock: Clock::System,
            limit: LIMIT,
            settings: Settings::default(),
        }
    }
}

pub struct Simulator;

impl Simulator {
    /// Serves until the result is dropped.
    pub async fn start(options: Options) -> anyhow::Result<Running> {
        let Options { listen, control, tls, naming, store, folder, clock, limit, settings } = options;
        let engine = Engine::open(clock, limit, settings, store.as_deref()).context("the store")?;
        let engine = Arc::new(engine);
        let secured = match &tls {
            None => None,
            Some(tls) => {
                let expired = tls.expired.as_ref().map(|pair| tls.acceptor(pair)).transpose()?;
                Some(door::Tls { acceptor: tls.acceptor(&tls.server)?, expired, naming })
            }
        };
        let door =
            Door::open(listen, engine.clone(), secured).await.with_context(|| format!("listen {listen}"))?;
        let control = match control {
            None => None,
            Some(at) => {
                Some(Door::control(at, engine.clone()).await.with_context(|| format!("control {at}"))?)
            }
        };
        let folder =
            folder.map(|dir| Folder::watch(&dir, engine.clone())).transpose().context("the folder")?;
        Ok(Running {
            address: door.address,
            control: control.as_ref().map(|door| door.address),
            engine,
            _open: (door, control, folder),
        })
    }
}

/// A service that serves.
pub struct Running {
    /// Of the contract.
    pub address: SocketAddr,
    /// Of page, state and faults.
    pub control: Option<SocketAddr>,
    pub engine: Arc<Engine>,
    _open: (Door, Option<Door>, Option<Folder>),
}

impl Running {
    pub fn faults(&self) -> &Faults {
        &self.engine.faults
    }

    pub fn fault(&self, fault: Fault) {
        self.engine.faults.add(fault, self.engine.now());
    }

    /// `GET /_state`.
    pub fn state(&self) -> serde_json::Value {
        show::state(&self.engine, &show::Query::default())
    }

    /// Moves the service's clock.
    pub fn advance(&self, by: jiff::SignedDuration) -> std::io::Result<()> {
        self.engine.advance(i64::try_from(by.as_micros()).unwrap_or(i64::MAX))
    }
}

pub async fn run(arguments: Arguments, language: Language) -> anyhow::Result<()> {
    let temporary = match arguments.pki {
        Some(_) => None,
        None => Some(Temporary::make()?),
    };
    let dir = arguments.pki.clone().or_else(|| temporary.as_ref().map(|t| t.0.clone())).unwrap_or_default();
    let institutions = match &arguments.institution[..] {
        [] => vec!["1319900018".to_owned(), "2719900026".to_owned()],
        named => named.to_vec(),
    };
    let pki = Pki::prepare(&dir, &institutions, Timestamp::now()).context("the certificates")?;
    if arguments.certificates_only {
        print(&format!("{}\n", dir.display()));
        return Ok(());
    }
    let mut signals = Signals::new()?;
    let running = Simulator::start(Options {
        listen: arguments.listen,
        control: Some(arguments.control),
        tls: Some(Tls::of(&pki)),
        naming: arguments.institution_in,
        store: arguments.store,
        folder: arguments.folder.clone(),
        settings: Settings { validation: arguments.validation, rule_set: arguments.rule_set },
        ..Options::default()
    })
    .await?;
    arguments.fault.into_iter().for_each(|fault| running.fault(fault));
    print(&guide(&running, &pki, &institutions, language));
    signals.end().await;
    Ok(())
}

/// A folder that goes with the process.
struct Temporary(PathBuf);

impl Temporary {
    fn make() -> std::io::Result<Temporary> {
        let dir = std::env::temp_dir().join(format!("chiren-national-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&dir)?;
        Ok(Temporary(dir))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Whatever stays behind is the machine's to clean up.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What to try.
fn guide(running: &Running, pki: &Pki, institutions: &[String], language: Language) -> String {
    let (port, at) = (running.address.port(), running.control.map(|a| a.to_string()).unwrap_or_default());
    let pair = pki.pair(institutions.first().map(String::as_str).unwrap_or_default());
    let curl = format!(
        "  curl --cacert {} --cert {} --key {} --data-binary @request.json https://localhost:{port}/v1/info/register",
        pki.authority().display(),
        pair.certificate.display(),
        pair.key.display()
    );
    let others = format!(
        "  curl http://{at}/_state\n  curl -d '{{\"mode\": \"http-503\", \"times\": 1}}' http://{at}/_fault\n  \
         curl -d '{{\"days\": 8}}' http://{at}/_clock"
    );
    match language {
        Language::En => format!(
            "The national service is simulated at https://localhost:{port} for {}.\n{curl}\nWhat it holds: http://{at}/\n\
             {others}\nCtrl-C ends it.\n",
            institutions.join(", ")
        ),
        Language::Ja => format!(
            "電子カルテ情報共有サービスの模擬サーバーが https://localhost:{port} で応答します（{}）。\n{curl}\n\
             登録内容: http://{at}/?lang=ja\n{others}\nCtrl-C で終了します。\n",
            institutions.join("、")
        ),
    }
}
