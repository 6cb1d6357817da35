//! What stands before every listener that speaks TLS: room for handshakes, who was let in, and the record of who was
//! not (ITI-19; DICOM PS3.15 A.5.3.11 "Security Alert", type 110126 "Node Authentication").

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tracing::info;

use super::accept::Addresses;
use super::clock::Clock;
use super::http::TlsPeer;
use super::metrics;
use super::tls::{self, Acceptor};
use crate::config::{LimitsConfig, x509};
use crate::model::audit::Outcome;
use crate::model::caller::Caller;
use crate::model::node::alert;
use crate::service::audit::{Audit, Faulted};
use crate::service::nodes::{Nodes, Seat};

/// Shared by all listeners.
#[derive(Clone)]
pub struct Gate {
    pub nodes: Nodes,
    audit: Option<Audit>,
    clock: Clock,
    limits: Arc<LimitsConfig>,
    half_open: Arc<Semaphore>,
    addresses: Addresses,
}

/// A connection that is open, and whose it is.
pub struct Admitted {
    pub stream: TlsStream<TcpStream>,
    pub tls: Option<TlsPeer>,
    /// `None` without a certificate.
    pub seat: Option<Arc<Seat>>,
}

impl Gate {
    pub fn new(nodes: Nodes, audit: Option<Audit>, limits: Arc<LimitsConfig>, clock: Clock) -> Self {
        let half_open = Arc::new(Semaphore::new(limits.handshakes));
        Self { nodes, audit, clock, limits, half_open, addresses: Addresses::default() }
    }

    /// Comes to an end of the handshake in the time it may take; `None`: the connection is refused, and that has
    /// been said where it has to be.
    pub async fn enter(
        &self,
        listener: &Arc<str>,
        acceptor: &Acceptor,
        socket: TcpStream,
        peer: SocketAddr,
    ) -> Option<Admitted> {
        let Ok(place) = self.half_open.clone().try_acquire_owned() else {
            metrics::connection_refused(listener, "handshakes");
            return None;
        };
        let Some(address) = self.addresses.enter(peer.ip(), self.limits.handshakes_per_address) else {
            metrics::connection_refused(listener, "handshakes of an address");
            return None;
        };
        let patience = Duration::from_secs(self.limits.handshake_seconds);
        let handshake = async {
            timeout(patience, acceptor.accept(socket)).await.unwrap_or_else(|_| {
                let late = "the handshake was not completed in time";
                Err(std::io::Error::new(std::io::ErrorKind::TimedOut, late))
            })
        };
        let (done, seen) = tls::watched(handshake).await;
        drop((place, address));
        let stream = match done {
            Ok(stream) => stream,
            Err(cause) => {
                metrics::handshake_failed(listener);
                let label = tls::label(&cause, &seen);
                let certificate = seen.certificate.as_ref().map(|(_, subject)| subject.as_str());
                info!(%listener, %peer, certificate, why = label, %cause, "TLS handshake failed");
                if let Some(label) = label {
                    self.alert(listener, peer, seen.certificate.map(|c| c.0), label).await;
                }
                return None;
            }
        };
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let chain: Vec<Vec<u8>> = chain.iter().map(|c| c.to_vec()).collect();
        let Some(leaf) = chain.first() else { return Some(Admitted { stream, tls: None, seat: None }) };
        let tls = TlsPeer {
            certificate: leaf.clone(),
            fingerprint: x509::fingerprint(leaf),
            subject: x509::subject(leaf).unwrap_or_default(),
        };
        // The clock of the handshake: certificates know no other.
        match self.nodes.enter(listener, chain, jiff::Timestamp::now()) {
            Ok(seat) => Some(Admitted { stream, tls: Some(tls), seat: Some(seat) }),
            Err(refused) => {
                metrics::connection_refused(listener, "node");
                info!(%listener, %peer, certificate = tls.subject, why = refused.label(), "connection refused");
                self.alert(listener, peer, Some(tls.fingerprint), refused.label()).await;
                None
            }
        }
    }

    /// Leaves a security alert about a node; those of one kind by one peer share records.
    async fn alert(
        &self,
        listener: &Arc<str>,
        peer: SocketAddr,
        certificate: Option<String>,
        label: &'static str,
    ) {
        let Some(audit) = &self.audit else { return };
        let caller = Caller {
            address: peer.ip().to_string(),
            listener: listener.to_string(),
            certificate,
            ..Caller::default()
        };
        audit
            .fault(Faulted {
                transaction: None,
                labels: [alert::NODE_AUTHENTICATION, label],
                outcome: Outcome::SeriousFailure,
                caller,
                request_id: uuid::Uuid::now_v7().to_string(),
                at: self.clock.now(),
            })
            .await;
    }

    /// Leaves a security alert about certificates, revocation lists or the directory themselves.
    pub async fn configuration(&self, what: &str, label: &'static str, outcome: Outcome) {
        let Some(audit) = &self.audit else { return };
        let caller = Caller { address: "local".into(), listener: what.to_owned(), ..Caller::default() };
        audit
            .fault(Faulted {
                transaction: None,
                labels: [alert::SECURITY_CONFIGURATION, label],
                outcome,
                caller,
                request_id: uuid::Uuid::now_v7().to_string(),
                at: self.clock.now(),
            })
            .await;
    }
}
