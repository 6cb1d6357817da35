//! MLLP listeners: frames in, one answer to each in order on the same connection (HL7 v2 Transport Specification;
//! ITI TF-2 C.2.1). A connection survives whatever stands in a message; it ends when it is silent too long, within
//! a message or between two, or when it never stops sending one.

mod answer;
pub mod rehearse;
mod strict;

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info};

use crate::config::{Hl7v2Config, LimitsConfig};
use crate::server::accept::{Doorway, accept};
use crate::server::clock::Clock;
use crate::server::gate::{Admitted, Gate};
use crate::server::http::{ConnInfo, Turn, Turns};
use crate::server::metrics::{self, InFlight};
use crate::server::tls::Acceptor;
use crate::service::audit::Audit;
use crate::service::mpi::Mpi;
use crate::wire::hl7v2::mllp::{Event, Position, Splitter, frame};
use crate::wire::hl7v2::{Sender, Settings as Reading};

pub use answer::Trouble;
use answer::{Arrived, Done};

/// What messages are handed to.
pub struct MllpFace {
    pub mpi: Mpi,
    pub audit: Audit,
    pub config: Hl7v2Config,
    reading: Reading,
    heard: strict::Heard,
}

impl MllpFace {
    pub fn new(mpi: Mpi, audit: Audit, config: &Hl7v2Config) -> Self {
        let named = |name: &str| Some(name).filter(|name| *name != "*").map(str::to_owned);
        let sender = |rule: &String| {
            let (application, facility) = rule.split_once('|')?;
            Some(Sender { application: named(application), facility: named(facility), shift_jis: true })
        };
        let reading = Reading {
            require_name: config.require_name,
            acknowledged_events: config.acknowledged_events.clone(),
            insurance_branch: config.insurance_branch,
            senders: config.shift_jis_senders.iter().filter_map(sender).collect(),
        };
        Self { mpi, audit, config: config.clone(), reading, heard: strict::Heard::default() }
    }
}

/// What a listener needs besides its socket and face.
#[derive(Clone)]
pub struct Settings {
    pub name: Arc<str>,
    /// `None`: plain MLLP.
    pub tls: Option<Acceptor>,
    pub max_connections: usize,
    pub max_connections_per_address: usize,
    pub limits: Arc<LimitsConfig>,
    /// Turns of all listeners that share them.
    pub turns: Turns,
    pub gate: Gate,
    pub clock: Clock,
}

/// Serves `listener` until `stop`: messages whose first byte has been read are still answered. Returns how many
/// connections were cut off.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    face: Arc<MllpFace>,
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
    face: Arc<MllpFace>,
    stop: CancellationToken,
) {
    let Ok(local_addr) = socket.local_addr() else { return };
    // Answers are small and written whole: waiting to fill packets only delays them.
    let _ = socket.set_nodelay(true);
    let mut conn = ConnInfo {
        listener: settings.name.clone(),
        peer_addr,
        local_addr,
        encrypted: settings.tls.is_some(),
        tls: None,
        seat: None,
    };
    let Some(acceptor) = settings.tls.clone() else {
        return Conversation { settings, face, conn }.hold(socket, stop).await;
    };
    let gate = settings.gate.clone();
    if let Some(Admitted { stream, tls, seat }) =
        gate.enter(&settings.name, &acceptor, socket, peer_addr).await
    {
        (conn.tls, conn.seat) = (tls, seat.clone());
        let conversation = Conversation { settings, face, conn }.hold(stream, stop);
        match seat {
            None => conversation.await,
            Some(seat) => tokio::select! {
                () = conversation => {}
                // Whose certificate was revoked is not heard to the end.
                () = seat.closed() => {
                    info!(peer = %peer_addr, "connection closed: its node is no longer let in");
                }
            },
        }
    }
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The peer closed it, or was silent between messages.
    Closed,
    /// The program stops.
    Stopped,
    /// A message that stopped coming.
    Silent,
    /// A message without end.
    Endless,
    /// The peer does not take its answers.
    Unread,
    Broken,
}

struct Conversation {
    settings: Settings,
    face: Arc<MllpFace>,
    conn: ConnInfo,
}

/// Bytes read at once.
const READ_BUFFER: usize = 16 * 1024;
/// How long the other side of a closed connection is still read, so that it sees our last answer and no reset.
const GOODBYE: Duration = Duration::from_secs(2);

impl Conversation {
    async fn hold<S: AsyncRead + AsyncWrite + Unpin>(self, mut stream: S, stop: CancellationToken) {
        let limit = self.face.config.message_bytes();
        let mut splitter = match self.strict() {
            true => Splitter::strict(limit),
            false => Splitter::new(limit),
        };
        let end = match self.converse(&mut stream, &mut splitter, &stop).await {
            Ok(end) => end,
            Err(cause) => {
                debug!(listener = %self.settings.name, peer = %self.conn.peer_addr, %cause, "connection broken");
                End::Broken
            }
        };
        match end {
            End::Closed | End::Stopped | End::Broken if splitter.position() == Position::Outside => {}
            _ => info!(
                listener = %self.settings.name,
                peer = %self.conn.peer_addr,
                why = ?end,
                "MLLP connection closed within a message"
            ),
        }
        if end != End::Broken {
            let goodbye = async {
                let _ = stream.shutdown().await;
                let mut rest = [0; 4096];
                for _ in 0..256 {
                    if !matches!(stream.read(&mut rest).await, Ok(read) if read > 0) {
                        break;
                    }
                }
            };
            let _ = timeout(GOODBYE, goodbye).await;
        }
    }

    /// A node of the directory keeps to the specification, unless it need not.
    fn strict(&self) -> bool {
        self.conn.entry().is_some_and(|entry| !entry.hl7_lenient)
    }

    async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        splitter: &mut Splitter,
        stop: &CancellationToken,
    ) -> std::io::Result<End> {
        let config = &self.face.config;
        let (mut buffer, mut events) = (vec![0; READ_BUFFER], vec![]);
        // Silence is measured from the last byte of whatever is being said.
        loop {
            let patience = match splitter.position() {
                Position::Outside => config.rest(),
                Position::Inside => config.message_silence(),
                Position::Ending => config.settle(),
            };
            let outside = splitter.position() == Position::Outside;
            let read = tokio::select! {
                biased;
                () = stop.cancelled(), if outside => return Ok(End::Stopped),
                read = timeout(patience, stream.read(&mut buffer)) => read,
            };
            let mut closed = false;
            match read {
                Ok(Ok(0)) => {
                    splitter.settle(&mut events);
                    closed = true;
                }
                Ok(Ok(count)) => splitter.push(buffer.get(..count).unwrap_or_default(), &mut events),
                Ok(Err(cause)) => return Err(cause),
                Err(_elapsed) => match splitter.position() {
                    Position::Ending => splitter.settle(&mut events),
                    Position::Inside => return Ok(End::Silent),
                    Position::Outside => return Ok(End::Closed),
                },
            }
            for event in events.drain(..) {
                if let Some(end) = self.happened(event, stream).await? {
                    return Ok(end);
                }
            }
            if closed {
                return Ok(End::Closed);
            }
        }
    }

    /// Answers what came. `Some`: the connection is to end.
    async fn happened<S: AsyncWrite + Unpin>(
        &self,
        event: Event,
        stream: &mut S,
    ) -> std::io::Result<Option<End>> {
        let (listener, peer) = (&self.settings.name, self.conn.peer_addr);
        let arrived = match event {
            Event::Message(message) => Arrived::Message(message),
            Event::TooLong { .. } if self.strict() => {
                metrics::mllp_framing(listener, "endless");
                return Ok(Some(End::Endless));
            }
            Event::TooLong { beginning, bytes } => Arrived::TooLong { beginning, bytes },
            Event::Restarted { bytes } => {
                metrics::mllp_framing(listener, "restarted");
                info!(%listener, %peer, bytes, "a frame began within another; the first was dropped");
                return Ok(None);
            }
            Event::Noise { bytes } => {
                metrics::mllp_framing(listener, "noise");
                info!(%listener, %peer, bytes, "bytes outside frames were skipped");
                return Ok(None);
            }
            Event::Endless => {
                metrics::mllp_framing(listener, "endless");
                return Ok(Some(End::Endless));
            }
        };
        let answer = frame(&self.answer(arrived).await);
        let patience = Duration::from_secs(self.settings.limits.request_seconds);
        let sent = async {
            stream.write_all(&answer).await?;
            stream.flush().await
        };
        match timeout(patience, sent).await {
            Ok(Ok(())) => Ok(None),
            Ok(Err(cause)) => Err(cause),
            Err(_elapsed) => Ok(Some(End::Unread)),
        }
    }

    /// The answer to one message, logged and counted.
    async fn answer(&self, arrived: Arrived) -> Vec<u8> {
        let _under_way = InFlight::begin();
        let (started, received_at) = (Instant::now(), self.settings.clock.now());
        let request_id = uuid::Uuid::now_v7().to_string();
        let bytes_in = arrived.bytes();
        let mut asking = answer::Asking::new(&self.face, &self.conn, &request_id, received_at);
        let done = match self.turn().await {
            None => asking.unable(arrived, Trouble::Busy),
            Some(_turn) => {
                let patience = Duration::from_secs(self.settings.limits.request_seconds);
                // What is needed for an answer if there is none from below.
                let spare = arrived.beginning();
                let work = AssertUnwindSafe(asking.answer(arrived)).catch_unwind();
                match timeout(patience, work).await {
                    Ok(Ok(done)) => done,
                    Ok(Err(_panic)) => {
                        // The panic hook has logged where; the payload may hold patient data.
                        error!(%request_id, "a message panicked");
                        asking.unable(spare, Trouble::Failed)
                    }
                    Err(_elapsed) => asking.unable(spare, Trouble::Late),
                }
            }
        };
        let Done { bytes, transaction, outcome, ack, code, event, control_id, source, warnings, substituted } =
            done;
        let duration = started.elapsed();
        metrics::record(transaction, outcome, duration, bytes_in, bytes.len() as u64);
        info!(
            request_id = %request_id,
            listener = %self.conn.listener,
            peer = %self.conn.peer_addr,
            certificate = self.conn.tls.as_ref().map(|tls| tls.subject.as_str()),
            transaction,
            event = event.as_str(),
            control_id = control_id.as_str(),
            source = source.as_str(),
            ack,
            code,
            outcome = outcome.as_str(),
            warnings,
            substituted,
            duration_ms = duration.as_micros() as f64 / 1000.0,
            bytes_in,
            bytes_out = bytes.len(),
            "message answered"
        );
        bytes
    }

    /// Waits for a turn, but not for long; and before it, what the node's rate class leaves it. Meanwhile nothing
    /// more is read.
    async fn turn(&self) -> Option<Turn> {
        if let Some(seat) = &self.conn.seat {
            let begun = Instant::now();
            let patience = Duration::from_millis(self.settings.limits.queue_milliseconds);
            while let Err(wait) = seat.request() {
                if begun.elapsed() + wait > patience {
                    return None;
                }
                tokio::time::sleep(wait).await;
            }
        }
        self.settings.turns.take().await
    }
}
