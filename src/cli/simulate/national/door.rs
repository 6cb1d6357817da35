//! The way in: HTTPS with client certificates for the contract, and for whoever runs the simulator the paths that begin
//! with `/_` and the page, there and on a plain listener of their own.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::contract::{Code, Op};
use super::control;
use super::engine::{Call, Engine};
use super::envelope::Answer;
use super::fault::{Fault, Mode};
use super::who::Naming;

/// Beyond the largest Bundle: what its envelope may take.
const ENVELOPE: usize = 64 * 1024;
/// How much of a body that is too large is still read, so that its sender hears the answer.
const DRAINED: usize = 64 * 1024 * 1024;

/// How the door proves who it is, and learns who comes.
pub struct Tls {
    pub acceptor: TlsAcceptor,
    /// With a certificate that has expired, for the fault of that name.
    pub expired: Option<TlsAcceptor>,
    pub naming: Naming,
}

/// A listener. It closes when this is dropped.
pub struct Door {
    pub address: SocketAddr,
    stop: CancellationToken,
    _task: AbortOnDropHandle<()>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
enum Caller {
    /// Certified.
    Institution(String),
    /// No certificate, or one of no institution.
    Nobody { certificate: bool },
    /// A plain listener of the contract: whoever the header says.
    Anybody,
    /// The listener of the operator.
    Operator,
}

impl Door {
    /// The contract's listener; without TLS it believes the header.
    pub async fn open(listen: SocketAddr, engine: Arc<Engine>, tls: Option<Tls>) -> io::Result<Door> {
        Door::bind(listen, engine, tls.map(Arc::new), Caller::Anybody).await
    }

    /// The operator's listener.
    pub async fn control(listen: SocketAddr, engine: Arc<Engine>) -> io::Result<Door> {
        Door::bind(listen, engine, None, Caller::Operator).await
    }

    async fn bind(
        listen: SocketAddr,
        engine: Arc<Engine>,
        tls: Option<Arc<Tls>>,
        plain: Caller,
    ) -> io::Result<Door> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            loop {
                let Ok((socket, _)) = listener.accept().await else { continue };
                let (engine, tls, plain) = (engine.clone(), tls.clone(), plain.clone());
                let served = async move {
                    match tls {
                        None => serve(socket, engine, plain).await,
                        Some(tls) => secured(socket, engine, &tls).await,
                    }
                };
                let stopped = stopped.clone();
                tokio::spawn(async move { stopped.run_until_cancelled(served).await });
            }
        });
        Ok(Door { address, stop, _task: AbortOnDropHandle::new(task) })
    }
}

async fn secured(socket: TcpStream, engine: Arc<Engine>, tls: &Tls) {
    let struck = engine.faults.strike(&[Mode::ServerCertExpired], "", "", engine.now());
    let acceptor = struck.and(tls.expired.as_ref()).unwrap_or(&tls.acceptor);
    let Ok(stream) = acceptor.accept(socket).await else { return };
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let caller = match certificate.map(|c| tls.naming.institution(c)) {
        Some(Some(code)) => Caller::Institution(code),
        other => Caller::Nobody { certificate: other.is_some() },
    };
    serve(stream, engine, caller).await;
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    socket: S,
    engine: Arc<Engine>,
    caller: Caller,
) {
    let (socket, twice) = super::twice::Twice::new(socket);
    let service = service_fn(|request| answer(engine.clone(), caller.clone(), twice.clone(), request));
    // An error of the service is a connection that ends without an answer, which is what was asked for.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}

/// A connection that ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("hung up")]
struct HungUp;

type Said = Response<Full<Bytes>>;

async fn answer(
    engine: Arc<Engine>,
    caller: Caller,
    twice: Arc<AtomicBool>,
    request: Request<Incoming>,
) -> Result<Said, HungUp> {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let method = request.method().clone();
    let japanese = control::prefers_japanese(request.headers(), &query);
    if !path.starts_with("/v1/") {
        if matches!(caller, Caller::Nobody { .. }) {
            return Ok(said(
                StatusCode::UNAUTHORIZED,
                &json!({ "error": "a client certificate is required" }),
            ));
        }
        let body = collect(request.into_body(), engine.limit + ENVELOPE).await.unwrap_or_default();
        let worked = tokio::task::spawn_blocking(move || {
            control::answer(&engine, &method, &path, &query, &body, japanese)
        });
        return Ok(worked.await.unwrap_or_else(|_| said(StatusCode::INTERNAL_SERVER_ERROR, &Value::Null)));
    }
    let begun = Instant::now();
    let Some(op) = Op::at(&path) else {
        return Ok(envelope(&engine, &Answer::saying(Code::NoOperation, path), "", "", None));
    };
    if method != Method::POST {
        let mut response = said(StatusCode::METHOD_NOT_ALLOWED, &json!({ "error": "POST" }));
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return Ok(response);
    }
    let named = match &caller {
        Caller::Institution(code) => Some(code.clone()),
        Caller::Anybody => None,
        Caller::Nobody { certificate: false } | Caller::Operator => {
            return Ok(envelope(&engine, &Answer::of(Code::NoCertificate), "", "", None));
        }
        Caller::Nobody { certificate: true } => {
            let refused = Answer::saying(Code::CertificateRefused, "no institution code in it");
            return Ok(envelope(&engine, &refused, "", "", None));
        }
    };
    let body = match collect(request.into_body(), engine.limit + ENVELOPE).await {
        Ok(body) => body,
        Err(TooLarge) => {
            let what = format!("more than {} bytes", engine.limit);
            let mut response = envelope(&engine, &Answer::saying(Code::TooLarge, what), "", "", None);
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            return Ok(response);
        }
    };
    // Without certificates there is only the header to go by.
    let institution = named.unwrap_or_else(|| header_institution(&body));
    let before = strike(&engine, BEFORE, op, &institution);
    let mut call = Call {
        at: engine.now(),
        institution: institution.clone(),
        op: op.name.to_owned(),
        key: String::new(),
        unit: String::new(),
        code: String::new(),
        replayed: false,
        fault: before.as_ref().map(|f| f.mode),
        milliseconds: 0,
    };
    let remember = |code: &str, call: &mut Call| {
        call.code = code.to_owned();
        call.milliseconds = begun.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
        engine.remember(call.clone());
    };
    if let Some(fault) = &before {
        if fault.mode == Mode::DropRequest {
            remember("-", &mut call);
            return Err(HungUp);
        }
        if let Some(refused) = refusal(fault) {
            let wait = matches!(fault.mode, Mode::Http429 | Mode::Http503 | Mode::Maintenance | Mode::Busy);
            let mut response =
                envelope(&engine, &refused, &institution, "", wait.then(|| fault.retry_after(engine.now())));
            if fault.mode == Mode::Http429 {
                *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            }
            if fault.mode == Mode::CertExpired {
                *response.status_mut() = StatusCode::UNAUTHORIZED;
            }
            remember(response.status().as_str(), &mut call);
            return Ok(response);
        }
        if fault.mode == Mode::Delay {
            tokio::time::sleep(Duration::from_millis(fault.delay())).await;
        }
    }
    if !engine.look(|world, _| world.directory.may_call(&institution)) {
        let refused = Answer::saying(Code::CertificateRefused, "not in the directory of institutions");
        remember(refused.code.as_str(), &mut call);
        return Ok(envelope(&engine, &refused, &institution, "", None));
    }
    let worker = engine.clone();
    let caller = institution.clone();
    let worked = tokio::task::spawn_blocking(move || worker.call(op, &body, &caller)).await;
    let (read, answer) = worked.unwrap_or_else(|_| (None, Answer::of(Code::Internal)));
    if let Some(read) = &read {
        call.key = read.key.clone();
        call.unit = read.triple.as_ref().map(|t| t.value.clone()).unwrap_or_default();
    }
    call.replayed = answer.replayed;
    let after = strike(&engine, AFTER, op, &institution);
    call.fault = call.fault.or(after.as_ref().map(|f| f.mode));
    remember(answer.code.as_str(), &mut call);
    let response = envelope(&engine, &answer, &institution, &call.key, None);
    match after.map(|f| f.mode) {
        Some(Mode::DropResponse) => Err(HungUp),
        Some(Mode::CorruptJson) => Ok(halved(response).await),
        Some(Mode::Duplicate) => {
            twice.store(true, Ordering::Relaxed);
            Ok(response)
        }
        _ => Ok(response),
    }
}

const BEFORE: &[Mode] = &[
    Mode::CertExpired,
    Mode::DropRequest,
    Mode::Http429,
    Mode::Http503,
    Mode::Maintenance,
    Mode::Busy,
    Mode::Internal,
    Mode::Delay,
];
const AFTER: &[Mode] = &[Mode::DropResponse, Mode::CorruptJson, Mode::Duplicate];

fn strike(engine: &Engine, modes: &[Mode], op: Op, institution: &str) -> Option<Fault> {
    engine.faults.strike(modes, op.name, institution, engine.now())
}

fn refusal(fault: &Fault) -> Option<Answer> {
    Some(match fault.mode {
        Mode::CertExpired => Answer::saying(Code::CertificateRefused, "it has expired"),
        Mode::Http429 => Answer::saying(Code::Busy, "too many requests"),
        Mode::Http503 | Mode::Busy => Answer::of(Code::Busy),
        Mode::Maintenance => Answer::saying(Code::Busy, "maintenance"),
        Mode::Internal => Answer::of(Code::Internal),
        _ => return None,
    })
}

fn header_institution(body: &[u8]) -> String {
    let read: Option<Value> = serde_json::from_slice(body).ok();
    let code = read.as_ref().and_then(|v| v.pointer("/MessageHeader/MedicalInstitutionCode")?.as_str());
    code.unwrap_or_default().to_owned()
}

struct TooLarge;

/// The whole body, if it is no larger than this. What is larger is read on for a while and forgotten.
async fn collect(mut body: Incoming, limit: usize) -> Result<Vec<u8>, TooLarge> {
    let mut bytes = vec![];
    let mut total = 0_usize;
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        total = total.saturating_add(data.len());
        if total > DRAINED {
            break;
        }
        if total <= limit {
            bytes.extend_from_slice(&data);
        }
    }
    if total > limit { Err(TooLarge) } else { Ok(bytes) }
}

fn envelope(engine: &Engine, answer: &Answer, institution: &str, key: &str, wait: Option<u64>) -> Said {
    let mut response = Response::new(Full::new(Bytes::from(answer.write(institution, key, engine.now()))));
    *response.status_mut() =
        StatusCode::from_u16(answer.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    if let Some(seconds) = wait {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The first half of an answer, as if it were the whole.
async fn halved(response: Said) -> Said {
    let (parts, body) = response.into_parts();
    let whole = body.collect().await.map(|b| b.to_bytes()).unwrap_or_else(|never: Infallible| match never {});
    Response::from_parts(parts, Full::new(whole.slice(..whole.len() / 2)))
}

pub fn said(status: StatusCode, value: &Value) -> Said {
    let mut response = Response::new(Full::new(Bytes::from(format!("{value:#}\n"))));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}
