//! Where asynchronous answers go: a real server that keeps what it is sent.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use chiren::config::PeerConfig;
use chiren::model::namespace::{NS_SOAP12, NS_WSA};
use chiren::wire::xml::tree;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::soap::Answer;

/// How long an answer is waited for before a test gives up; never a measure of success.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Sink {
    pub address: SocketAddr,
    status: Arc<AtomicU16>,
    received: UnboundedReceiver<(String, HeaderMap, bytes::Bytes)>,
    server: JoinHandle<()>,
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// An answer that came by itself.
#[derive(Debug)]
pub struct Arrived {
    pub path: String,
    /// Text of the addressing headers.
    pub action: String,
    pub message_id: String,
    pub relates_to: String,
    pub to: String,
    pub answer: Answer,
}

impl Sink {
    pub async fn start() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    pub async fn at(address: SocketAddr) -> Self {
        let listener = super::port::again(address);
        let address = listener.local_addr().expect("an address");
        let status = Arc::new(AtomicU16::new(202));
        let (send, received) = unbounded_channel();
        let server = tokio::spawn(serve(listener, status.clone(), send));
        Self { address, status, received, server }
    }

    /// An address where nobody is.
    pub fn nowhere() -> SocketAddr {
        super::port::lasting().local_addr().expect("an address")
    }

    /// What it answers from now on.
    pub fn answer_with(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    pub fn url(&self) -> String {
        url(self.address)
    }

    /// The next answer that comes, valid by the schemas.
    pub async fn next(&mut self) -> Arrived {
        let next = tokio::time::timeout(PATIENCE, self.received.recv()).await;
        let (path, headers, body) = next.expect("an answer in time").expect("the sink is up");
        let answer = Answer::read(StatusCode::OK, headers, body);
        let doc = tree::parse(&answer.envelope).expect("XML");
        let header = tree::child(doc.root_element(), NS_SOAP12, "Header").expect("a header");
        let text = |name: &str| {
            let node = tree::child(header, NS_WSA, name).unwrap_or_else(|| panic!("no {name}"));
            tree::text_of(node).into_owned()
        };
        Arrived {
            path,
            action: text("Action"),
            message_id: text("MessageID"),
            relates_to: text("RelatesTo"),
            to: text("To"),
            answer: answer.clone(),
        }
    }

    /// How many more have come.
    pub fn more(&mut self) -> usize {
        std::iter::from_fn(|| self.received.try_recv().ok()).count()
    }
}

pub fn url(address: SocketAddr) -> String {
    format!("http://{address}/replies")
}

/// Allows answers to a sink.
pub fn allowed(address: SocketAddr) -> PeerConfig {
    PeerConfig { url: url(address), connect_seconds: 5, answer_seconds: 5, ..PeerConfig::default() }
}

async fn serve(
    listener: TcpListener,
    status: Arc<AtomicU16>,
    send: UnboundedSender<(String, HeaderMap, bytes::Bytes)>,
) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (status, send) = (status.clone(), send.clone());
        connections.spawn(async move {
            let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
                let (status, send) = (status.clone(), send.clone());
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.expect("a whole message").to_bytes();
                    let _ = send.send((head.uri.path().to_owned(), head.headers, body));
                    let mut response = hyper::Response::new(Empty::<bytes::Bytes>::new());
                    *response.status_mut() =
                        StatusCode::from_u16(status.load(Ordering::Relaxed)).expect("a status");
                    Ok::<_, Infallible>(response)
                }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}
