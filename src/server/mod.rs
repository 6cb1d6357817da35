//! Inbound faces. [`listen`] opens every configured door and hands requests to the face behind it.

pub mod accept;
pub mod as_of;
pub mod clock;
pub mod consents;
pub mod fhir;
pub mod gate;
pub mod http;
pub mod metrics;
pub mod mllp;
pub mod ops;
pub mod reviews;
pub mod soap;
pub mod syslog;
pub mod tls;
pub mod wsdl;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::{Config, ListenerConfig, Role};
use crate::service::audit::clock::Offsets;
use crate::service::gateway::Directory;
use as_of::AsOfFace;
use clock::Clock;
use consents::ConsentFace;
use gate::Gate;
use metrics::Metrics;
use ops::{Ops, Readiness, WithHealth};
use reviews::ReviewFace;

/// Why a listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("listener {name}: address {address} cannot be opened: {cause}")]
    Address { name: String, address: SocketAddr, cause: std::io::Error },
    #[error("listener {name}: its role needs mpi.enabled")]
    NoIndex { name: String },
    #[error("listener {name}: {cause}")]
    Tls { name: String, cause: tls::TlsError },
    #[error("the threads of requests cannot be started: {0}")]
    Threads(std::io::Error),
}

/// Doors open and serving.
pub struct Listening {
    /// Name, role and actual address of each listener, in the order of the configuration.
    pub listeners: Vec<(String, Role, SocketAddr)>,
    acceptors: Vec<tls::Acceptor>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<usize>>,
}

/// What answers behind the doors.
pub struct Faces<H> {
    pub soap: Arc<H>,
    /// Behind listeners of role mllp.
    pub index: Option<Arc<mllp::MllpFace>>,
    /// Behind listeners of role fhir.
    pub fhir: Option<Arc<fhir::FhirFace>>,
    /// Searches for audit records, there too.
    pub trail: Option<Arc<fhir::trail::TrailFace>>,
    /// Behind listeners of role audit.
    pub syslog: Arc<syslog::SyslogFace>,
    /// Questions as of a moment, on listeners of role ops.
    pub as_of: Option<AsOfFace>,
    /// The reviewers' worklist, there too.
    pub reviews: Option<ReviewFace>,
    /// What is said at visits and in emergencies, there too.
    pub consents: Option<ConsentFace>,
    /// The scoreboard of communities, there too.
    pub communities: Option<Directory>,
    /// How right our clock is, there too.
    pub offsets: Option<Offsets>,
}

/// Opens the configured listeners: each of `faces` behind those of its role; health, metrics and questions as of a
/// moment behind those of role ops. All are bound before the first is served, so that none serves if one fails.
/// Cancelling `stop` makes them drain.
pub async fn listen<H: http::Handler>(
    config: &Config,
    faces: Faces<H>,
    readiness: Readiness,
    metrics: Option<Metrics>,
    gate: Gate,
    clock: Clock,
    stop: CancellationToken,
) -> Result<Listening, ListenError> {
    let Faces { soap, index, fhir, trail, syslog, as_of, reviews, consents, communities, offsets } = faces;
    let limits = Arc::new(config.limits.clone());
    let turns = http::Queues {
        long: http::Turns::new(limits.concurrency(), &limits),
        short: http::Turns::new(limits.short_concurrency(), &limits),
        workshop: http::Workshop::open().map_err(ListenError::Threads)?,
    };
    let mut bound = vec![];
    for listener in &config.listener {
        let (socket, address) = bind(listener).await?;
        let tls = tls::Acceptor::guarded(listener, gate.nodes.clone())
            .map_err(|cause| ListenError::Tls { name: listener.name.clone(), cause })?;
        bound.push((listener, socket, address, tls));
    }
    let datagrams = match config.audit.udp {
        None => None,
        Some(address) => {
            let failed = |cause| ListenError::Address { name: "audit.udp".into(), address, cause };
            let socket = syslog::bind(address).await.map_err(failed)?;
            let address = socket.local_addr().map_err(failed)?;
            Some((socket, address))
        }
    };
    let ops = Ops::new(readiness, stop.clone(), metrics.clone())
        .with_as_of(as_of)
        .with_reviews(reviews)
        .with_consents(consents)
        .with_communities(communities)
        .with_offsets(offsets);
    let soap = Arc::new(WithHealth { inner: soap, ops: ops.health_only() });
    let fhir = (fhir.is_some() || trail.is_some()).then(|| {
        let inner = Arc::new(fhir::trail::WithTrail { inner: fhir, trail, audit: syslog.audit.clone() });
        Arc::new(WithHealth { inner, ops: ops.health_only() })
    });
    let ops = Arc::new(ops);
    let mut listening = Listening { listeners: vec![], acceptors: vec![], stop: stop.clone(), tasks: vec![] };
    for (listener, socket, address, tls) in bound {
        listening.listeners.push((listener.name.clone(), listener.role, address));
        listening.acceptors.extend(tls.clone());
        let settings = http::Settings {
            name: listener.name.as_str().into(),
            tls,
            hosts: listener.hosts.clone().into(),
            max_connections: listener.max_connections,
            max_connections_per_address: listener.max_connections_per_address,
            limits: limits.clone(),
            turns: matches!(listener.role, Role::Soap | Role::Fhir).then(|| turns.clone()),
            gate: gate.clone(),
            clock: clock.clone(),
        };
        listening.tasks.push(match listener.role {
            Role::Soap => tokio::spawn(http::serve(socket, settings, soap.clone(), stop.clone())),
            Role::Ops => tokio::spawn(http::serve(socket, settings, ops.clone(), stop.clone())),
            Role::Fhir => {
                let face = fhir.clone().ok_or(ListenError::NoIndex { name: listener.name.clone() })?;
                tokio::spawn(http::serve(socket, settings, face, stop.clone()))
            }
            Role::Audit => {
                let settings = syslog::Settings {
                    name: settings.name,
                    tls: settings.tls,
                    max_connections: settings.max_connections,
                    max_connections_per_address: settings.max_connections_per_address,
                    limits: settings.limits,
                    gate: settings.gate,
                    clock: settings.clock,
                };
                tokio::spawn(syslog::serve(socket, settings, syslog.clone(), stop.clone()))
            }
            Role::Mllp => {
                let face = index.clone().ok_or(ListenError::NoIndex { name: listener.name.clone() })?;
                let settings = mllp::Settings {
                    name: settings.name,
                    tls: settings.tls,
                    max_connections: settings.max_connections,
                    max_connections_per_address: settings.max_connections_per_address,
                    limits: settings.limits,
                    turns: turns.short.clone(),
                    gate: settings.gate,
                    clock: settings.clock,
                };
                tokio::spawn(mllp::serve(socket, settings, face, stop.clone()))
            }
        });
    }
    if let Some((socket, address)) = datagrams {
        listening.listeners.push(("audit.udp".into(), Role::Audit, address));
        tokio::spawn(syslog::datagrams(socket, syslog, clock, stop.clone()));
    }
    if let Some(metrics) = metrics {
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_secs(5));
            while stop.run_until_cancelled(tick.tick()).await.is_some() {
                metrics.run_upkeep();
            }
        });
    }
    Ok(listening)
}

async fn bind(listener: &ListenerConfig) -> Result<(TcpListener, SocketAddr), ListenError> {
    let failed =
        |cause| ListenError::Address { name: listener.name.clone(), address: listener.address, cause };
    let socket = TcpListener::bind(listener.address).await.map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    Ok((socket, address))
}

impl Listening {
    /// The address of the first listener of this role.
    pub fn address(&self, role: Role) -> Option<SocketAddr> {
        self.listeners.iter().find(|(_, r, _)| *r == role).map(|(.., address)| *address)
    }

    /// Reads every listener's certificates anew; one that fails keeps what it has. Gives what came of each.
    pub fn reload_certificates(&self) -> Vec<(String, Result<usize, tls::TlsError>)> {
        self.acceptors.iter().map(|acceptor| told(acceptor, acceptor.reload())).collect()
    }

    /// What accepts TLS, by listener.
    pub fn acceptors(&self) -> Vec<tls::Acceptor> {
        self.acceptors.clone()
    }

    /// Stops accepting, waits for requests under way, and returns how many connections had to be
    /// cut off.
    pub async fn drain(self) -> usize {
        self.stop.cancel();
        let mut cut = 0;
        for task in self.tasks {
            cut += task.await.unwrap_or_default();
        }
        cut
    }
}

/// Says what came of reading a listener's certificates anew.
pub fn told(
    acceptor: &tls::Acceptor,
    read: Result<usize, tls::TlsError>,
) -> (String, Result<usize, tls::TlsError>) {
    match &read {
        Ok(closed) => info!(listener = acceptor.name(), closed, "certificates reloaded"),
        Err(cause) => {
            warn!(listener = acceptor.name(), %cause, "certificates not reloaded; the old ones stay in force");
        }
    }
    (acceptor.name().to_owned(), read)
}
