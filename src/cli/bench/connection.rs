//! One keep-alive connection of one client, straight on hyper: the driver shares the machine with
//! what it measures, so nothing between it and the socket may cost much.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::cli::send::endpoint::Endpoint;
use crate::model::transaction::{Transaction, Wire};
use crate::peer::mllp::{self, MllpClient};
use crate::peer::tls::client_config;
use crate::server::fhir::BASE;

/// Bytes to send, in slices, with a length known in advance.
#[derive(Debug, Default)]
pub struct Pieces {
    left: u64,
    queue: VecDeque<Bytes>,
}

impl Pieces {
    pub fn new(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        let queue: VecDeque<Bytes> = pieces.into_iter().filter(|p| !p.is_empty()).collect();
        Self { left: queue.iter().map(|p| p.len() as u64).sum(), queue }
    }

    pub fn len(&self) -> u64 {
        self.left
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.queue.pop_front();
        self.left -= piece.as_ref().map_or(0, |p| p.len() as u64);
        Poll::Ready(piece.map(|p| Ok(Frame::data(p))))
    }

    fn is_end_stream(&self) -> bool {
        self.queue.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// An endpoint ready to be connected to.
pub struct Target {
    pub url: String,
    speaks: Speaks,
    timeout: Duration,
}

enum Speaks {
    Http(Http),
    Mllp(MllpClient),
}

struct Http {
    host: String,
    port: u16,
    path: Uri,
    authority: HeaderValue,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Target {
    /// The error is a sentence about the command line.
    pub fn new(endpoint: &Endpoint, transaction: Transaction) -> Result<Self, String> {
        let peer = endpoint.peer(transaction);
        let timeout = Duration::from_secs(endpoint.timeout.max(1));
        if transaction.row().wire == Wire::Hl7v2 {
            let client = MllpClient::new(&peer).map_err(|e| format!("--url: {e}"))?;
            return Ok(Self { url: peer.url, speaks: Speaks::Mllp(client), timeout });
        }
        let bad = || format!("--url: {:?} is not an http or https address", peer.url);
        let uri: Uri = peer.url.parse().map_err(|_| bad())?;
        let (scheme, authority) = uri.scheme_str().zip(uri.authority()).ok_or_else(bad)?;
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let tls = match scheme {
            "http" => None,
            "https" => {
                let config = client_config(&peer).map_err(|e| e.to_string())?;
                let name = ServerName::try_from(host.clone()).map_err(|_| bad())?;
                Some((TlsConnector::from(Arc::new(config)), name))
            }
            _ => return Err(bad()),
        };
        let http = Http {
            port: authority.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 }),
            path: match (uri.path_and_query().map_or("/", |p| p.as_str()), transaction.row().wire) {
                ("/", Wire::Fhir) => BASE.parse().map_err(|_| bad())?,
                (path, _) => path.parse().map_err(|_| bad())?,
            },
            authority: HeaderValue::from_str(authority.as_str()).map_err(|_| bad())?,
            host,
            tls,
        };
        Ok(Self { url: peer.url, speaks: Speaks::Http(http), timeout })
    }

    pub fn is_tls(&self) -> bool {
        ["https:", "mllps:"].iter().any(|scheme| self.url.starts_with(scheme))
    }

    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    async fn connect(&self) -> Result<Line, String> {
        let connect = async {
            match &self.speaks {
                Speaks::Http(http) => http.connect().await.map(Line::Http),
                Speaks::Mllp(client) => client.open().await.map(Line::Mllp).map_err(|e| e.to_string()),
            }
        };
        timeout(self.timeout, connect).await.map_err(|_| "the connection timed out".to_owned())?
    }
}

impl Http {
    async fn connect(&self) -> Result<SendRequest<Pieces>, String> {
        let doing = |what: &str, e: &dyn std::fmt::Display| format!("{what}: {e}");
        let socket = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|e| doing("the connection failed", &e))?;
        socket.set_nodelay(true).map_err(|e| doing("the connection failed", &e))?;
        let Some((connector, name)) = &self.tls else { return spoken(TokioIo::new(socket)).await };
        let stream = connector
            .connect(name.clone(), socket)
            .await
            .map_err(|e| doing("the TLS handshake failed", &e))?;
        spoken(TokioIo::new(stream)).await
    }
}

/// An open connection.
enum Line {
    Http(SendRequest<Pieces>),
    Mllp(mllp::Connection),
}

async fn spoken<S>(io: S) -> Result<SendRequest<Pieces>, String>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(io).await.map_err(|e| e.to_string())?;
    // Its errors reach whoever waits for the answer.
    tokio::spawn(connection);
    Ok(sender)
}

/// A client's connection, opened anew when the server has closed it between two requests.
pub struct Connection {
    target: Arc<Target>,
    line: Option<Line>,
}

impl Connection {
    pub fn new(target: Arc<Target>) -> Self {
        Self { target, line: None }
    }

    /// Opens the connection unless it is open.
    pub async fn open(&mut self) -> Result<(), String> {
        let is_open = match &mut self.line {
            Some(Line::Http(sender)) => sender.ready().await.is_ok(),
            Some(Line::Mllp(_)) => true,
            None => false,
        };
        if is_open {
            return Ok(());
        }
        self.line = None;
        self.line = Some(self.target.connect().await?);
        Ok(())
    }

    /// Posts to the endpoint; the answer's body is yet to come. After an error the connection is new.
    pub async fn post(
        &mut self,
        content_type: &HeaderValue,
        body: Pieces,
    ) -> Result<Response<Incoming>, String> {
        let request =
            |http: &Http| Request::post(http.path.clone()).header(header::CONTENT_TYPE, content_type.clone());
        self.send(request, body).await
    }

    /// Gets what is below the endpoint.
    pub async fn get(&mut self, below: &str) -> Result<Response<Incoming>, String> {
        let request = |http: &Http| {
            let base = http.path.path().trim_end_matches('/');
            Request::get(format!("{base}/{below}")).header(header::ACCEPT, "application/fhir+json")
        };
        self.send(request, Pieces::default()).await
    }

    async fn send(
        &mut self,
        request: impl FnOnce(&Http) -> http::request::Builder,
        body: Pieces,
    ) -> Result<Response<Incoming>, String> {
        self.open().await?;
        let (Some(Line::Http(sender)), Speaks::Http(http)) = (&mut self.line, &self.target.speaks) else {
            return Err("the connection speaks no HTTP".into());
        };
        let request =
            request(http).header(header::HOST, &http.authority).body(body).map_err(|e| e.to_string())?;
        sender.send_request(request).await.map_err(|e| {
            self.line = None;
            format!("the exchange failed: {e}")
        })
    }

    /// Sends one message and awaits its answer. After an error the connection is new.
    pub async fn exchange(&mut self, message: &[u8]) -> Result<Bytes, String> {
        self.open().await?;
        let Some(Line::Mllp(line)) = &mut self.line else {
            return Err("the connection speaks no MLLP".into());
        };
        line.exchange(message).await.map(Bytes::from).map_err(|e| {
            self.line = None;
            format!("the exchange failed: {e}")
        })
    }

    /// Gives the connection up, for its state is not known.
    pub fn abandon(&mut self) {
        self.line = None;
    }
}
