//! `chiren demo`: a regional network of three invented hospitals, served from this machine alone.
//! Needs no configuration and leaves nothing behind unless asked to.

mod certificates;
mod folder;
mod guide;
mod seed;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use jiff::tz;
use tokio::sync::Notify;

use self::certificates::Certificates;
use self::folder::{Folder, State};
use self::guide::{Example, Guide};
use self::seed::Seed;
use super::serve::Signals;
use super::{failed, log, print, runtime};
use crate::app::Running;
use crate::config::{
    CodeCheck, Config, DatabaseConfig, Language, ListenerConfig, LogConfig, MpiConfig, MpiDomainConfig,
    NetworkConfig, OnDemandConfig, Profile, RegistryConfig, RepositoryConfig, Role, TlsMode,
};
use crate::server::clock::Clock;
use crate::server::metrics::Metrics;
use crate::synthetic::{Hospital, NETWORK_OID, Network, PATIENT_AUTHORITY, REPOSITORY_OID};

pub const EXAMPLES: &str = "Everything is invented: hospitals, patients, documents, and OIDs of the example arc 2.999. Only this machine
can reach it. Ctrl-C or SIGTERM ends it.

Examples:
  chiren demo
  chiren demo --data ./network --tls        keep it, and serve TLS too
  chiren demo --documents 50000 --lang ja";

#[derive(Debug, Args)]
pub struct Arguments {
    /// Keep the network in this folder; without it, a temporary one is removed at the end
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Port of the SOAP listener; a free one is taken if it is in use
    #[arg(long, default_value_t = 8080)]
    port: u16,

    /// Documents to invent
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    documents: u64,

    /// Patients to invent
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    patients: u32,

    /// Serve TLS 1.3 too, with certificates made on the spot
    #[arg(long)]
    tls: bool,

    /// What is logged to standard error: error, warn, info, debug
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    log: String,
}

/// Seed of the invented network: the same people every time.
const SEED: u64 = 20_260_401;
const TLS_PORT: u16 = 8443;
const OPS_PORT: u16 = 9090;
const MLLP_PORT: u16 = crate::peer::mllp::PORT;
const FHIR_PORT: u16 = 8444;

pub fn run(arguments: Arguments, lang: Option<Language>) -> ExitCode {
    log::init(&LogConfig { level: arguments.log.clone(), ..LogConfig::default() });
    let options = Options {
        data: arguments.data,
        ports: Ports { soap: arguments.port, tls: TLS_PORT, ops: OPS_PORT, mllp: MLLP_PORT, fhir: FHIR_PORT },
        documents: arguments.documents,
        patients: arguments.patients as usize,
        tls: arguments.tls,
        language: lang.unwrap_or_default(),
    };
    let shown = lang.map_or(vec![Language::En, Language::Ja], |lang| vec![lang]);
    let ended = Folder::open(options.data.as_deref()).and_then(|(folder, found)| {
        let runtime = runtime().context("the runtime cannot start")?;
        let ended = runtime.block_on(show(&options, &folder, found, &shown));
        // Waits for what still writes into the folder, which may be removed next.
        drop(runtime);
        ended.map(|()| guide::ended(&folder, &shown))
    });
    match ended {
        Ok(text) => print(&text),
        Err(error) => failed(&error),
    }
}

/// Serves, says what to try as soon as it can be tried, and waits for the signal to end. Most
/// documents arrive after that.
async fn show(
    options: &Options,
    folder: &Folder,
    found: Option<State>,
    languages: &[Language],
) -> anyhow::Result<()> {
    let began = Instant::now();
    let metrics = Metrics::install();
    let mut signals = Signals::new()?;
    let demo = Demo::start(options, folder, found, Clock::System, metrics).await?;
    for (wanted, got) in &demo.moved {
        print(&guide::moved(*wanted, *got, languages));
    }
    {
        let ready = Arc::new(Notify::new());
        let mut seeding = pin!(demo.seed(Clock::System, ready.clone()));
        let mut stopping = pin!(signals.stop(&demo.running));
        let (mut said, mut whole) = (false, false);
        loop {
            tokio::select! {
                _ = &mut stopping => break,
                () = ready.notified(), if !said => {}
                seeded = &mut seeding, if !whole => {
                    seeded?;
                    demo.seeded()?;
                    whole = true;
                }
            }
            if !said {
                print(&demo.guide()?.text(languages, began.elapsed(), whole));
                said = true;
            } else if whole {
                print(&guide::whole(demo.state.documents, began.elapsed(), languages));
            }
        }
    }
    demo.running.drain().await;
    Ok(())
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    soap: u16,
    tls: u16,
    ops: u16,
    mllp: u16,
    fhir: u16,
}

struct Options {
    data: Option<PathBuf>,
    /// 0 for any.
    ports: Ports,
    documents: u64,
    patients: usize,
    tls: bool,
    language: Language,
}

/// A demonstration serving.
struct Demo<'f> {
    running: Running,
    folder: &'f Folder,
    config: Config,
    certificates: Option<Certificates>,
    state: State,
    network: Arc<Network>,
    /// Ports that were taken, and what is used instead.
    moved: Vec<(u16, SocketAddr)>,
}

impl<'f> Demo<'f> {
    /// Opens stores and doors; nothing is seeded yet. `found` is what an earlier one left in the folder.
    async fn start(
        options: &Options,
        folder: &'f Folder,
        found: Option<State>,
        clock: Clock,
        metrics: Option<Metrics>,
    ) -> anyhow::Result<Self> {
        let state = match found {
            Some(state) => state,
            None => {
                let japan = tz::offset(9).to_time_zone();
                let state = State {
                    seed: SEED,
                    until: clock.now().to_zoned(japan).date(),
                    patients: options.patients,
                    documents: options.documents,
                    complete: false,
                };
                folder.remember(&state)?;
                state
            }
        };
        let certificates = match options.tls {
            true => Some(Certificates::prepare(&folder.file("tls"), clock.now())?),
            false => None,
        };
        let (ports, taken) = free(options.ports);
        let network = Arc::new(Network::generate(state.seed, state.patients, state.until));
        let mut config = config(folder, certificates.as_ref(), ports, options.language, &network)?;
        let running = Running::start(&config, clock, metrics).await?;
        for (listener, (.., address)) in config.listener.iter_mut().zip(&running.listening.listeners) {
            listener.address = *address;
        }
        let at = |name: &str| config.listener.iter().find(|l| l.name == name).map(|l| l.address);
        let moved = taken.into_iter().filter_map(|(name, port)| Some((port, at(name)?))).collect();
        Ok(Self { running, folder, config, certificates, state, network, moved })
    }

    /// Registers everybody and everything, unless the folder came with it. `ready` is told once
    /// the document that the guide names can be retrieved.
    async fn seed(&self, clock: Clock, ready: Arc<Notify>) -> anyhow::Result<()> {
        if self.state.complete {
            return Ok(());
        }
        let shown = seed::example(&self.network, self.state.documents);
        let seed = Seed { network: self.network.clone(), count: self.state.documents, clock, shown, ready };
        seed.run(&self.running.rooms).await
    }

    /// Everything is registered.
    fn seeded(&self) -> anyhow::Result<()> {
        self.folder.remember(&State { complete: true, ..self.state.clone() })
    }

    /// What there is to say; writes the files it names.
    fn guide(&self) -> anyhow::Result<Guide<'_>> {
        let example = Example::prepare(&self.network, self.state.documents, self.folder)?;
        let config = toml::to_string(&self.config).context("the configuration cannot be written")?;
        self.folder.write("chiren.toml", config)?;
        let listeners = self.running.listening.listeners.clone();
        Ok(Guide {
            listeners,
            folder: self.folder,
            certificates: self.certificates.as_ref(),
            network: &self.network,
            documents: self.state.documents,
            example,
        })
    }
}

/// A port of 0 stays; one that is taken becomes 0, and is named with its listener.
fn free(mut ports: Ports) -> (Ports, Vec<(&'static str, u16)>) {
    let mut taken = vec![];
    for (name, port) in [
        (SOAP, &mut ports.soap),
        (TLS, &mut ports.tls),
        (OPS, &mut ports.ops),
        (MLLP, &mut ports.mllp),
        (FHIR, &mut ports.fhir),
    ] {
        if *port != 0 && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_err() {
            taken.push((name, *port));
            *port = 0;
        }
    }
    (ports, taken)
}

const SOAP: &str = "soap";
const TLS: &str = "soap-tls";
const OPS: &str = "ops";
const MLLP: &str = "mllp";
const FHIR: &str = "fhir";

/// The configuration of a demonstration; written into its folder as one to begin from.
fn config(
    folder: &Folder,
    certificates: Option<&Certificates>,
    ports: Ports,
    language: Language,
    network: &Network,
) -> anyhow::Result<Config> {
    let listener = |name: &str, role, port| ListenerConfig {
        name: name.to_owned(),
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        role,
        tls: TlsMode::None,
        // Every client is this machine.
        max_connections_per_address: ListenerConfig::default().max_connections,
        ..ListenerConfig::default()
    };
    let mut listeners = vec![listener(SOAP, Role::Soap, ports.soap)];
    if let Some(certificates) = certificates {
        listeners.push(ListenerConfig {
            tls: TlsMode::Optional,
            certificate: Some(certificates.server.clone()),
            private_key: Some(certificates.server_key.clone()),
            client_ca: vec![certificates.authority.clone()],
            ..listener(TLS, Role::Soap, ports.tls)
        });
    }
    listeners.push(listener(MLLP, Role::Mllp, ports.mllp));
    listeners.push(listener(FHIR, Role::Fhir, ports.fhir));
    listeners.push(listener(OPS, Role::Ops, ports.ops));
    let database = folder.file("chiren.db");
    Ok(Config {
        network: NetworkConfig {
            name: "demo".to_owned(),
            home_community_id: format!("urn:oid:{NETWORK_OID}"),
            patient_id_authority: PATIENT_AUTHORITY.to_owned(),
            allow_example_oids: true,
        },
        listener: listeners,
        repository: RepositoryConfig {
            unique_id: REPOSITORY_OID.to_owned(),
            documents: folder.file("documents"),
            on_demand: OnDemandConfig { persist: true },
            ..RepositoryConfig::default()
        },
        mpi: MpiConfig {
            enabled: true,
            domain: network.hospitals.iter().zip(NAMESPACES).map(domain).collect(),
            ..MpiConfig::default()
        },
        registry: RegistryConfig {
            rules: Profile::Jahis,
            codes: CodeCheck::Strict,
            ..RegistryConfig::default()
        },
        database: DatabaseConfig::at(format!("sqlite:{}", text(&database)?)),
        log: LogConfig { language, ..LogConfig::default() },
        ..Config::default()
    })
}

/// What the hospitals' systems call themselves: MSH-4, and the namespace of their ids.
pub const NAMESPACES: [&str; 3] = ["CHUO", "DAIGAKU", "NAIKA"];

fn domain((hospital, namespace): (&Hospital, &str)) -> MpiDomainConfig {
    MpiDomainConfig {
        name: hospital.name.to_owned(),
        facility: Some(hospital.facility_code.to_owned()),
        namespace: namespace.to_owned(),
        senders: vec![format!("*|{namespace}")],
        ..MpiDomainConfig::default()
    }
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}

#[cfg(test)]
mod tests;
