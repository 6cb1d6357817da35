//! The audit repository's doors: syslog over TLS on listeners of role audit (RFC 5425), datagrams at `audit.udp`
//! (RFC 5426). Messages are stored as they came, before more is read: a sender that is faster than the disk waits.
//!
//! A connection ends at the first thing that is no frame. What came whole before it is kept.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::config::LimitsConfig;
use crate::model::audit::Outcome;
use crate::model::caller::Caller;
use crate::server::accept::{Doorway, accept};
use crate::server::clock::Clock;
use crate::server::gate::{Admitted, Gate};
use crate::server::http::ConnInfo;
use crate::server::metrics;
use crate::server::tls::Acceptor;
use crate::service::audit::reading::ReceivedMessage;
use crate::service::audit::trail::Trail;
use crate::service::audit::{Audit, Faulted};
use crate::wire::atna::frames::Splitter;
use crate::wire::atna::{self, syslog};

/// What messages are handed to.
pub struct SyslogFace {
    pub trail: Trail,
    pub audit: Audit,
}

/// What a listener needs besides its socket and face.
#[derive(Clone)]
pub struct Settings {
    pub name: Arc<str>,
    /// `None`: plain TCP, for loopback.
    pub tls: Option<Acceptor>,
    pub max_connections: usize,
    pub max_connections_per_address: usize,
    pub limits: Arc<LimitsConfig>,
    pub gate: Gate,
    pub clock: Clock,
}

const READ_BUFFER: usize = 64 * 1024;
/// Silence between messages, and within one.
const REST: Duration = Duration::from_secs(3600);
const SILENCE: Duration = Duration::from_secs(60);
const GOODBYE: Duration = Duration::from_secs(2);
/// While records cannot be stored.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// The longest datagram taken (security.md 2.5).
const DATAGRAM: usize = 65_536;

/// Serves `listener` until `stop`. Returns how many connections were cut off.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    face: Arc<SyslogFace>,
    stop: CancellationToken,
) -> usize {
    let doorway = Doorway {
        name: settings.name.clone(),
        max_connections: settings.max_connections,
        max_connections_per_address: settings.max_connections_per_address,
        drain: settings.limits.drain(),
    };
    let served = stop.clone();
    accept(listener, doorway, stop, move |socket, peer_addr| {
        connection(socket, peer_addr, settings.clone(), face.clone(), served.clone())
    })
    .await
}

async fn connection(
    socket: TcpStream,
    peer_addr: SocketAddr,
    settings: Settings,
    face: Arc<SyslogFace>,
    stop: CancellationToken,
) {
    let Ok(local_addr) = socket.local_addr() else { return };
    let mut conn = ConnInfo {
        listener: settings.name.clone(),
        peer_addr,
        local_addr,
        encrypted: settings.tls.is_some(),
        tls: None,
        seat: None,
    };
    let Some(acceptor) = settings.tls.clone() else {
        return Reading { settings, face, caller: conn.caller(), transport: "tcp" }.all(socket, stop).await;
    };
    let Some(Admitted { stream, tls, seat }) =
        settings.gate.enter(&settings.name, &acceptor, socket, peer_addr).await
    else {
        return;
    };
    (conn.tls, conn.seat) = (tls, seat.clone());
    let reading = Reading { settings, face, caller: conn.caller(), transport: "tls" }.all(stream, stop);
    match seat {
        None => reading.await,
        Some(seat) => tokio::select! {
            () = reading => {}
            // Whose certificate was revoked is not heard to the end.
            () = seat.closed() => info!(peer = %peer_addr, "connection closed: its node is no longer let in"),
        },
    }
}

struct Reading {
    settings: Settings,
    face: Arc<SyslogFace>,
    caller: Caller,
    transport: &'static str,
}

impl Reading {
    async fn all<S: AsyncRead + AsyncWrite + Unpin>(self, mut stream: S, stop: CancellationToken) {
        let (mut splitter, mut buffer) = (Splitter::default(), vec![0; READ_BUFFER]);
        loop {
            let inside = splitter.is_inside();
            let patience = if inside { SILENCE } else { REST };
            let read = tokio::select! {
                biased;
                () = stop.cancelled(), if !inside => break,
                read = timeout(patience, stream.read(&mut buffer)) => read,
            };
            let Ok(Ok(count @ 1..)) = read else {
                if inside {
                    let peer = &self.caller.address;
                    info!(listener = %self.settings.name, peer, "a connection ended within an audit record");
                }
                break;
            };
            let mut messages = vec![];
            let framed = splitter.push(buffer.get(..count).unwrap_or_default(), &mut messages);
            self.keep(messages, &stop).await;
            if let Err(broken) = framed {
                metrics::audit_received(&self.settings.name, "framing");
                warn!(listener = %self.settings.name, peer = %self.caller.address, %broken, "syslog connection closed");
                let (caller, at) = (self.caller.clone(), self.settings.clock.now());
                let (transaction, labels) = (None, ["syslog", "framing"]);
                let (outcome, request_id) = (Outcome::SeriousFailure, Uuid::now_v7().to_string());
                self.face.audit.fault(Faulted { transaction, labels, outcome, caller, request_id, at }).await;
                break;
            }
        }
        let _ = timeout(GOODBYE, stream.shutdown()).await;
    }

    /// Stores messages; waits for a database that is away, and so does the sender.
    async fn keep(&self, messages: Vec<Vec<u8>>, stop: &CancellationToken) {
        let now = self.settings.clock.now();
        let kept: Vec<ReceivedMessage> =
            messages.into_iter().map(|m| received(m, &self.caller, self.transport, now)).collect();
        let count = kept.len();
        loop {
            match self.face.trail.receive(kept.clone()).await {
                Ok(()) => break,
                Err(e) => {
                    warn!(cause = format!("{e:?}"), "received audit records cannot be stored yet");
                    if stop.run_until_cancelled(tokio::time::sleep(TRY_AGAIN)).await.is_none() {
                        metrics::audit_received(&self.settings.name, "lost");
                        return;
                    }
                }
            }
        }
        for _ in 0..count {
            metrics::audit_received(&self.settings.name, "stored");
        }
    }
}

/// A message with what finds it again. One that cannot be read is kept all the same.
fn received(
    original: Vec<u8>,
    caller: &Caller,
    transport: &'static str,
    now: jiff::Timestamp,
) -> ReceivedMessage {
    let read = syslog::read(&original).ok().and_then(|m| atna::read(m.body).ok());
    let mut patients: Vec<String> = read.iter().flat_map(|m| m.patients()).map(str::to_owned).collect();
    patients.sort_unstable();
    patients.dedup();
    let received_at = now.as_microsecond();
    ReceivedMessage {
        id: Uuid::now_v7().to_string(),
        at: read.map_or(received_at, |m| m.at),
        received_at,
        sender: caller.address.clone(),
        certificate: caller.certificate.clone(),
        transport,
        original,
        patients,
    }
}

/// Opens the socket for datagrams.
pub async fn bind(address: SocketAddr) -> std::io::Result<UdpSocket> {
    UdpSocket::bind(address).await
}

/// Takes datagrams until `stop`; each is a message.
pub async fn datagrams(socket: UdpSocket, face: Arc<SyslogFace>, clock: Clock, stop: CancellationToken) {
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let Some(read) = stop.run_until_cancelled(socket.recv_from(&mut buffer)).await else { return };
        let (count, from) = match read {
            Ok(read) => read,
            Err(cause) => {
                warn!(%cause, "a datagram could not be read");
                continue;
            }
        };
        let caller =
            Caller { address: from.ip().to_string(), listener: "audit.udp".into(), ..Caller::default() };
        let message = received(buffer.get(..count).unwrap_or_default().to_vec(), &caller, "udp", clock.now());
        let name: Arc<str> = "audit.udp".into();
        match face.trail.receive(vec![message]).await {
            Ok(()) => metrics::audit_received(&name, "stored"),
            Err(e) => {
                metrics::audit_received(&name, "lost");
                warn!(cause = format!("{e:?}"), "a datagram's audit record could not be stored");
            }
        }
    }
}
