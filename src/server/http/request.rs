//! What handlers are given and what they give back.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, Version, header};
use jiff::Timestamp;

use super::body::{GuardedBody, RespBody, full};
use crate::model::audit::Exchange;
use crate::model::caller::Caller;
use crate::model::node::Entry;
use crate::server::metrics::Outcome;
use crate::service::nodes::Seat;

/// The client's certificate, already verified by TLS.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsPeer {
    /// The leaf, DER.
    pub certificate: Vec<u8>,
    /// SHA-256 of the leaf, lower-case hex.
    pub fingerprint: String,
    /// commonName (else organizationName) of its subject: for people, not for decisions.
    pub subject: String,
}

impl fmt::Debug for TlsPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsPeer({:?} {})", self.subject, self.fingerprint)
    }
}

/// The connection a request came over. Nothing in it is taken from headers.
#[derive(Debug, Clone)]
pub struct ConnInfo {
    pub listener: Arc<str>,
    pub peer_addr: SocketAddr,
    pub local_addr: SocketAddr,
    /// Whether the connection is encrypted.
    pub encrypted: bool,
    /// The client's certificate, if it presented one.
    pub tls: Option<TlsPeer>,
    /// The place of a certificate that was let in.
    pub seat: Option<Arc<Seat>>,
}

/// A request whose head has passed every check; its body is yet to come.
pub struct Request {
    /// UUIDv7, made here; the answer carries it in `X-Request-Id`.
    pub id: String,
    pub received_at: Timestamp,
    pub conn: Arc<ConnInfo>,
    pub method: Method,
    pub uri: Uri,
    pub version: Version,
    pub headers: HeaderMap,
    pub body: GuardedBody,
}

impl ConnInfo {
    /// Who asks over it.
    pub fn caller(&self) -> Caller {
        Caller {
            address: self.peer_addr.ip().to_string(),
            listener: self.listener.to_string(),
            certificate: self.tls.as_ref().map(|t| t.fingerprint.clone()),
            node: self.entry().map(|entry| Box::new(entry.node.clone())),
            ..Caller::default()
        }
    }

    /// The node behind it, as the directory has it now; `None` where no directory is kept, or no certificate was
    /// shown.
    pub fn entry(&self) -> Option<Arc<Entry>> {
        self.seat.as_ref()?.entry()
    }
}

impl Request {
    /// Where it was asked, as audit records tell it: the address without its query.
    pub fn exchange(&self) -> Exchange {
        let scheme = if self.conn.encrypted { "https" } else { "http" };
        let local = self.conn.local_addr;
        let host = self.header(header::HOST).map_or_else(|| local.to_string(), str::to_owned);
        Exchange {
            endpoint: Some(format!("{scheme}://{host}{}", self.uri.path())),
            local: Some(local.ip().to_string()),
            ..Exchange::default()
        }
    }

    /// A header's value as text; `None` if absent, repeated or not visible ASCII.
    pub fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    }
}

/// Why the server refuses a request without asking its handler, or in its handler's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The head breaks HTTP (RFC 9112); the text says how.
    Malformed(&'static str),
    MethodNotAllowed,
    /// Longer than `limits.request_mib`.
    TooLarge,
    ContentEncoding,
    TransferCoding,
    Expectation,
    /// Not on `listener.hosts`.
    UnknownHost,
    /// The body came too slowly, or not in `limits.request_seconds`.
    TooSlow,
    /// No turn within `limits.queue_milliseconds`.
    Busy,
    /// More than the node's rate class allows; after so many seconds it may ask again.
    Limited(u32),
    /// The whole request came, and we did not answer in time.
    Late,
    /// We failed; the log has the cause under the request id.
    Failed,
}

impl Refusal {
    pub fn status(self) -> StatusCode {
        match self {
            Refusal::Malformed(_) | Refusal::UnknownHost => StatusCode::BAD_REQUEST,
            Refusal::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::ContentEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refusal::TransferCoding => StatusCode::NOT_IMPLEMENTED,
            Refusal::Expectation => StatusCode::EXPECTATION_FAILED,
            Refusal::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Refusal::Busy | Refusal::Limited(_) | Refusal::Late => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// One sentence for the sender.
    pub fn reason(self) -> &'static str {
        match self {
            Refusal::Malformed(reason) => reason,
            Refusal::MethodNotAllowed => "this method is not served",
            Refusal::TooLarge => "the request is larger than this server accepts",
            Refusal::ContentEncoding => "Content-Encoding is not accepted; send the body as it is",
            Refusal::TransferCoding => "no transfer coding but chunked is accepted",
            Refusal::Expectation => "no expectation but 100-continue can be met",
            Refusal::UnknownHost => "this Host is not served here",
            Refusal::TooSlow => "the request came in too slowly",
            Refusal::Busy => "the server is busy; send the request again later",
            Refusal::Limited(_) => {
                "this node asks more than its rate class allows; send the request again after Retry-After"
            }
            Refusal::Late => {
                "the server could not answer in time; look up whether anything was stored before you send it again"
            }
            Refusal::Failed => "the server failed; its log has the cause under the request id",
        }
    }

    pub fn outcome(self) -> Outcome {
        match self {
            Refusal::Busy | Refusal::Limited(_) | Refusal::Late => Outcome::Busy,
            Refusal::Failed => Outcome::Internal,
            _ => Outcome::Refused,
        }
    }

    /// The refusal as plain text.
    pub fn plain(self, request_id: &str) -> Response<RespBody> {
        text(self.status(), format!("{}\nrequest id {request_id}\n", self.reason()))
    }
}

/// A refusal, and the request it is about.
#[derive(Debug, Clone, Copy)]
pub struct Refused<'r> {
    pub refusal: Refusal,
    pub path: &'r str,
    pub request_id: &'r str,
    pub received_at: Timestamp,
    pub conn: &'r ConnInfo,
}

/// An answer of plain text.
pub fn text(status: StatusCode, body: impl Into<String>) -> Response<RespBody> {
    let mut response = Response::new(full(body.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

/// What an answer was, for log and metrics. Handlers put it among the extensions of their answer;
/// without it the path is unknown to both and counts as `http`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transacted {
    /// A name of the catalogue, such as `iti18`: few and fixed, for it labels metrics.
    pub transaction: &'static str,
    pub outcome: Outcome,
}

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. The future is dropped when the deadline of the request passes or the
    /// connection is cut at the end of a drain.
    fn handle(&self, request: Request) -> impl Future<Output = Response<RespBody>> + Send;

    /// Words a refusal in the language of this face; plain text unless overridden.
    fn refuse(&self, refused: Refused<'_>) -> impl Future<Output = Response<RespBody>> + Send {
        std::future::ready(refused.refusal.plain(refused.request_id))
    }

    /// Whether requests at a path wait for others rather than work: they take no turn of those that work.
    fn waits(&self, _path: &str) -> bool {
        false
    }

    /// What of a path may stand in a log: all of it, unless paths of this face hold ids of patients.
    fn shown<'p>(&self, path: &'p str) -> Cow<'p, str> {
        Cow::Borrowed(path)
    }
}
