//! Listeners: our own accept loop on hyper's HTTP/1.1. TLS, limits, and the checks of a request's
//! head that hyper leaves to us; then the handler.
//!
//! What is refused and how: RFC 9112 and 9110, and the limits of the configuration. HTTP/2 is not
//! offered (ALPN names `http/1.1` only) and upgrades are ignored; `X-Forwarded-*` and an incoming
//! `X-Request-Id` mean nothing; request trailers are dropped.

mod admit;
mod body;
mod pace;
mod rate;
mod request;
mod tap;
#[cfg(test)]
mod tests;
mod turns;
mod workshop;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Response, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{Level, debug, error, info};

pub use body::{BodyError, BoxError, GuardedBody, RespBody, Seen, empty, full, stream};
use body::{CountedBody, Sent};
use pace::Paced;
pub use request::{ConnInfo, Handler, Refusal, Refused, Request, TlsPeer, Transacted, text};
use tap::{Shared, Tap, Times, Wire};
pub use turns::{Turn, Turns};
pub use workshop::Workshop;

use crate::config::LimitsConfig;
use crate::server::accept::{Doorway, accept};
use crate::server::clock::Clock;
use crate::server::gate::{Admitted, Gate};
use crate::server::metrics::{self, InFlight, Outcome};
use crate::server::tls::Acceptor;

/// Most bytes of a body read at once.
const READ_BUFFER: usize = 128 * 1024;

/// The header every answer carries the request id in.
pub const REQUEST_ID: &str = "x-request-id";

/// What a listener needs besides its socket and handler.
#[derive(Clone)]
pub struct Settings {
    pub name: Arc<str>,
    /// `None`: plain HTTP.
    pub tls: Option<Acceptor>,
    /// Hosts answered to; none means any.
    pub hosts: Arc<[String]>,
    pub max_connections: usize,
    pub max_connections_per_address: usize,
    pub limits: Arc<LimitsConfig>,
    /// Turns of all listeners that share them; `None`: no waiting (ops).
    pub turns: Option<Queues>,
    pub gate: Gate,
    pub clock: Clock,
}

/// The turns of requests: those with documents, which come slowly, and those that wait for others do not stand in the way
/// of the rest.
#[derive(Clone)]
pub struct Queues {
    pub long: Turns,
    pub short: Turns,
    /// Where those of `short` are worked on; the others mostly move octets, which is best done where they come.
    pub workshop: Workshop,
}

/// Serves `listener` until `stop`, then lets requests under way finish for `limits.drain_seconds`.
/// Returns how many connections were cut off after that.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    settings: Settings,
    handler: Arc<H>,
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
        connection(socket, peer_addr, settings.clone(), handler.clone(), served.clone())
    })
    .await
}

/// One connection from handshake to close.
async fn connection<H: Handler>(
    socket: TcpStream,
    peer_addr: SocketAddr,
    settings: Settings,
    handler: Arc<H>,
    stop: CancellationToken,
) {
    let Ok(local_addr) = socket.local_addr() else { return };
    // Answers are small and written whole: waiting to fill packets only delays them.
    let _ = socket.set_nodelay(true);
    let (wire, tls, seat) = match &settings.tls {
        None => (Wire::Plain(socket), None, None),
        Some(acceptor) => match settings.gate.enter(&settings.name, acceptor, socket, peer_addr).await {
            Some(Admitted { stream, tls, seat }) => (Wire::Tls(Box::new(stream)), tls, seat),
            None => return,
        },
    };
    let shared = Arc::new(Shared::default());
    let limits = &settings.limits;
    let times = Times {
        head: Duration::from_secs(limits.header_seconds),
        idle: limits.idle(),
        min_rate: limits.min_rate_bytes,
    };
    let tap = Tap::new(wire, shared.clone(), times);
    let info = ConnInfo {
        listener: settings.name.clone(),
        peer_addr,
        local_addr,
        encrypted: settings.tls.is_some(),
        tls,
        seat: seat.clone(),
    };
    let door = Arc::new(Door { handler, settings: settings.clone(), shared, conn: Arc::new(info) });
    let service = hyper::service::service_fn(move |request| {
        let door = door.clone();
        let answer: BoxFuture<'static, Result<_, Infallible>> =
            Box::pin(async move { Ok(door.answer(request).await) });
        answer
    });
    let mut connection = hyper::server::conn::http1::Builder::new()
        .max_headers(limits.headers)
        .max_header_size(limits.header_kib * 1024)
        // Otherwise the buffer grows to 400 KiB under a large document, and the allocator keeps such
        // blocks for each thread that ever had one.
        .max_buf_size(READ_BUFFER.max(limits.header_kib * 1024 + 8192))
        // The tap keeps the time of heads; hyper's timer would count the rest between requests too.
        .header_read_timeout(None)
        // A sender may close its side after the last byte and still read our answer.
        .half_close(true)
        .serve_connection(TokioIo::new(tap), service);
    // Whose certificate was revoked, or whose node was taken off the directory, is not heard to the end.
    let shut_out = async {
        match &seat {
            Some(seat) => seat.closed().await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(shut_out);
    let mut result = tokio::select! {
        result = &mut connection => Some(result),
        () = stop.cancelled() => None,
        () = &mut shut_out => return told_out(&settings, peer_addr),
    };
    if result.is_none() {
        std::pin::Pin::new(&mut connection).graceful_shutdown();
        result = tokio::select! {
            result = &mut connection => Some(result),
            () = &mut shut_out => return told_out(&settings, peer_addr),
        };
    }
    if let Some(Err(cause)) = result {
        if cause.is_parse() {
            metrics::record("http", Outcome::Refused, Duration::ZERO, 0, 0);
            info!(listener = %settings.name, peer = %peer_addr, cause = %describe(&cause), "malformed HTTP refused");
        } else {
            debug!(listener = %settings.name, peer = %peer_addr, cause = %describe(&cause), "connection ended early");
        }
    }
    connection.into_parts().io.into_inner().into_wire().close().await;
}

fn told_out(settings: &Settings, peer: SocketAddr) {
    metrics::connection_refused(&settings.name, "no longer let in");
    info!(listener = %settings.name, %peer, "connection closed: its node is no longer let in");
}

fn describe(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// What the requests of one connection share.
struct Door<H> {
    handler: Arc<H>,
    settings: Settings,
    shared: Arc<Shared>,
    conn: Arc<ConnInfo>,
}

impl<H: Handler> Door<H> {
    async fn answer(&self, request: hyper::Request<Incoming>) -> Response<CountedBody<Account>> {
        let started = Instant::now();
        let received_at = self.settings.clock.now();
        let id = uuid::Uuid::now_v7().to_string();
        let limits = &self.settings.limits;
        let head = self.shared.begin().map_err(admit::of_head).and_then(|()| {
            admit::check(request.method(), request.version(), request.headers(), &self.settings)
        });
        let path = request.uri().path().to_owned();
        let (parts, incoming) = request.into_parts();
        let mut body = GuardedBody::new(
            incoming,
            limits.request_bytes(),
            limits.min_rate_bytes,
            Duration::from_secs(limits.rate_window_seconds),
        );
        let seen = body.seen();
        let mut account = Account {
            shared: self.shared.clone(),
            seen: seen.clone(),
            conn: self.conn.clone(),
            id: id.clone(),
            method: parts.method.clone(),
            path: self.handler.shown(&path).into_owned(),
            status: 0,
            started,
            // Until an answer exists: what is logged if the connection is cut.
            transacted: Transacted { transaction: "http", outcome: Outcome::Aborted },
            told: false,
            _in_flight: InFlight::begin(),
        };
        let deadline = started + Duration::from_secs(seconds_for(&parts.headers, limits));
        let refuse = async |refusal: Refusal| {
            let (path, request_id, conn) = (path.as_str(), id.as_str(), &*self.conn);
            let refused = Refused { refusal, path, request_id, received_at, conn };
            let mut response = self.handler.refuse(refused).await;
            if let Refusal::Limited(seconds) = refusal {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            let transaction = response.extensions().get::<Transacted>().map_or("http", |t| t.transaction);
            response.extensions_mut().insert(Transacted { transaction, outcome: refusal.outcome() });
            response
        };
        let long = is_upload(&parts.headers) || self.handler.waits(&path);
        // A short message is here before it is judged by load: who sends slowly holds no turn, and who is refused one
        // keeps the connection.
        let expects = parts.headers.contains_key(header::EXPECT);
        if head.is_ok() && !long && !expects && self.settings.turns.is_some() {
            let _ = timeout_at(deadline, body.prefetch(PREFETCH)).await;
        }
        let head = match head {
            Ok(()) => self.allowance(&path),
            refused => refused,
        };
        let mut response = match head {
            Err(refusal) => refuse(refusal).await,
            Ok(()) => match self.turn(long).await {
                Err(refusal) => refuse(refusal).await,
                Ok(_turn) => {
                    let request = Request {
                        id: id.clone(),
                        received_at,
                        conn: self.conn.clone(),
                        method: parts.method,
                        uri: parts.uri,
                        version: parts.version,
                        headers: parts.headers,
                        body,
                    };
                    match timeout_at(deadline, self.handled(request, long)).await {
                        Ok(Some(response)) => match spoiled(&seen) {
                            Some(refusal) if response.status() != refusal.status() => refuse(refusal).await,
                            _ => response,
                        },
                        Ok(None) => {
                            // The panic hook has logged where; the payload may hold patient data.
                            error!(request_id = %id, "a request panicked");
                            refuse(Refusal::Failed).await
                        }
                        Err(_elapsed) if seen.complete() => refuse(Refusal::Late).await,
                        Err(_elapsed) => refuse(Refusal::TooSlow).await,
                    }
                }
            },
        };
        finish(&mut response, &id, &seen);
        account.status = response.status().as_u16();
        account.transacted = response.extensions().get::<Transacted>().copied().unwrap_or(Transacted {
            transaction: "http",
            outcome: if response.status().is_success() { Outcome::Success } else { Outcome::Refused },
        });
        let body = |body| match &self.conn.seat {
            Some(seat) => Paced::over(body, seat),
            None => body,
        };
        response.map(|inner| CountedBody::new(body(inner), account))
    }

    /// The handler's answer; `None`: it panicked.
    async fn handled(&self, request: Request, long: bool) -> Option<Response<RespBody>> {
        match &self.settings.turns {
            Some(queues) if !long => {
                let handler = self.handler.clone();
                queues.workshop.work(async move { handler.handle(request).await }).await
            }
            _ => AssertUnwindSafe(Box::pin(self.handler.handle(request))).catch_unwind().await.ok(),
        }
    }

    /// What the node's rate class leaves it. Whoever asks how we are has asked for nothing yet.
    fn allowance(&self, path: &str) -> Result<(), Refusal> {
        match &self.conn.seat {
            Some(seat) if !path.starts_with("/health/") => {
                seat.request().map_err(|wait| Refusal::Limited(seconds(wait)))
            }
            _ => Ok(()),
        }
    }

    /// Waits for a turn, but not for long.
    async fn turn(&self, long: bool) -> Result<Option<Turn>, Refusal> {
        let Some(queues) = &self.settings.turns else { return Ok(None) };
        let turns = if long { &queues.long } else { &queues.short };
        turns.take().await.map(Some).ok_or(Refusal::Busy)
    }
}

/// What the watched body calls for, whatever the handler made of it.
fn spoiled(seen: &Seen) -> Option<Refusal> {
    match seen.failure()? {
        BodyError::TooLarge { .. } => Some(Refusal::TooLarge),
        BodyError::TooSlow => Some(Refusal::TooSlow),
        BodyError::Cut(_) => None,
    }
}

/// Bytes of a request that are read before its turn.
const PREFETCH: usize = 64 * 1024;

/// Whole seconds, at least one: `Retry-After`.
fn seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_secs_f64().ceil() as u64).unwrap_or(u32::MAX).clamp(1, 3600)
}

fn seconds_for(headers: &HeaderMap, limits: &LimitsConfig) -> u64 {
    if is_upload(headers) { limits.upload_seconds } else { limits.request_seconds }
}

fn is_upload(headers: &HeaderMap) -> bool {
    const MULTIPART: &[u8] = b"multipart/";
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.as_bytes().get(..MULTIPART.len()))
        .is_some_and(|start| start.eq_ignore_ascii_case(MULTIPART))
}

/// Headers of every answer. The connection ends after a client error, and where the request was
/// not read to its end: what follows in the socket cannot be told from a new request.
fn finish(response: &mut Response<RespBody>, id: &str, seen: &Seen) {
    let close = response.status().is_client_error() || !seen.complete();
    // Whatever the status: a Failure of a transaction is a 200.
    let transacted = response.extensions().get::<Transacted>();
    let retry = match transacted.and_then(|t| t.outcome.retry_after()) {
        None if response.status() == http::StatusCode::SERVICE_UNAVAILABLE => Outcome::Busy.retry_after(),
        retry => retry,
    };
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = retry
        && !headers.contains_key(header::RETRY_AFTER)
    {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if close {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Follows one request to the last byte of its answer, then logs and counts it once.
struct Account {
    shared: Arc<Shared>,
    seen: Arc<Seen>,
    conn: Arc<ConnInfo>,
    id: String,
    method: http::Method,
    path: String,
    status: u16,
    started: Instant,
    transacted: Transacted,
    told: bool,
    _in_flight: InFlight,
}

impl Sent for Account {
    fn sent(&mut self, bytes_out: u64, complete: bool) {
        self.told = true;
        self.shared.end();
        let Transacted { transaction, mut outcome } = self.transacted;
        if !complete && self.method != http::Method::HEAD {
            outcome = Outcome::Aborted;
        }
        let duration = self.started.elapsed();
        let bytes_in = self.seen.bytes();
        metrics::record(transaction, outcome, duration, bytes_in, bytes_out);
        // Health probes and scrapes would drown the rest.
        let level =
            if transaction == "ops" && outcome == Outcome::Success { Level::DEBUG } else { Level::INFO };
        let path: String = self.path.chars().take(128).collect();
        let subject = self.conn.tls.as_ref().map(|tls| tls.subject.as_str());
        let node = self.conn.entry();
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    $level,
                    request_id = %self.id,
                    listener = %self.conn.listener,
                    peer = %self.conn.peer_addr,
                    certificate = subject,
                    node = node.as_ref().map(|node| node.node.id.as_str()),
                    method = %self.method,
                    path = %path,
                    transaction,
                    outcome = outcome.as_str(),
                    status = self.status,
                    duration_ms = duration.as_micros() as f64 / 1000.0,
                    bytes_in,
                    bytes_out,
                    "request answered"
                )
            };
        }
        if level == Level::DEBUG { line!(Level::DEBUG) } else { line!(Level::INFO) }
    }
}

impl Drop for Account {
    /// The connection was cut before there was an answer.
    fn drop(&mut self) {
        if !self.told {
            self.sent(0, false);
        }
    }
}
