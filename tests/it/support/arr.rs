//! An audit repository to send to: takes frames over TLS or plain TCP, and can be killed and come back.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chiren::config::AuditRepositoryConfig;
use chiren::config::tls::{anchors, identity};
use chiren::model::audit::message::AuditMessage;
use chiren::wire::atna::frames::Splitter;
use chiren::wire::atna::{self, syslog};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::schema::validate_audit;
use super::tls::Pki;

/// A message as it came.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// Which connection, from 0.
    pub connection: usize,
    pub octets: Vec<u8>,
}

impl Arrived {
    pub fn xml(&self) -> String {
        let message = syslog::read(&self.octets).expect("RFC 5424");
        assert_eq!(message.message_id, syslog::MSGID);
        assert_eq!(message.app, "chiren");
        String::from_utf8(message.body.to_vec()).expect("UTF-8")
    }

    /// Valid by the schema, and read.
    pub fn message(&self) -> AuditMessage {
        let xml = self.xml();
        assert_eq!(validate_audit(&xml), Ok(()), "{xml}");
        atna::read(xml.as_bytes()).expect("an audit message")
    }
}

type Book = Arc<Mutex<(usize, Vec<Arrived>)>>;

pub struct Arr {
    pub address: SocketAddr,
    book: Book,
    tls: Option<tokio_rustls::TlsAcceptor>,
    server: Option<JoinHandle<()>>,
}

impl Arr {
    /// Plain TCP, on a port that stays its own.
    pub async fn start() -> Self {
        Self::with(None).await
    }

    /// Mutual TLS.
    pub async fn secure(pki: &Pki) -> Self {
        let roots = Arc::new(anchors(&[pki.path("ca")]).expect("the authority"));
        let provider = chiren::config::TlsProfile::JpHigh.provider();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build().expect("a verifier");
        let identity = identity(&pki.path("server"), &pki.path("server-key")).expect("a certificate");
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(identity)));
        Self::with(Some(Arc::new(config).into())).await
    }

    async fn with(tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let address = super::port::lasting().local_addr().expect("an address");
        let mut arr = Self { address, book: Book::default(), tls, server: None };
        arr.restart().await;
        arr
    }

    /// Ends it and every connection at once, as a machine that loses power: what was read is kept.
    pub async fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            let _ = server.await;
        }
    }

    pub async fn restart(&mut self) {
        self.kill().await;
        let listener = super::port::again(self.address);
        self.server = Some(tokio::spawn(serve(listener, self.tls.clone(), self.book.clone())));
    }

    pub fn config(&self, name: &str, pki: Option<&Pki>) -> AuditRepositoryConfig {
        let path = |name: &str| -> Option<PathBuf> { pki.map(|pki| pki.path(name)) };
        let scheme = if pki.is_some() { "tls" } else { "tcp" };
        AuditRepositoryConfig {
            name: name.into(),
            // The certificate is localhost's.
            url: format!("{scheme}://localhost:{}", self.address.port()),
            server_ca: path("ca").into_iter().collect(),
            certificate: path("node"),
            private_key: path("node-key"),
            connect_seconds: 5,
            confirm_seconds: 1,
            ..AuditRepositoryConfig::default()
        }
    }

    pub fn arrived(&self) -> Vec<Arrived> {
        self.book.lock().expect("the book").1.clone()
    }

    /// Waits until `done` of what arrived.
    pub async fn until(&self, what: &str, done: impl Fn(&[Arrived]) -> bool) -> Vec<Arrived> {
        for _ in 0..1200 {
            let arrived = self.arrived();
            if done(&arrived) {
                return arrived;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{what} did not come; {} did", self.arrived().len());
    }
}

async fn serve(listener: TcpListener, tls: Option<tokio_rustls::TlsAcceptor>, book: Book) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let (tls, book) = (tls.clone(), book.clone());
        connections.spawn(async move {
            match tls {
                None => read(socket, book).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(socket).await {
                        read(stream, book).await;
                    }
                }
            }
        });
    }
}

async fn read<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, book: Book) {
    let connection = {
        let mut book = book.lock().expect("the book");
        book.0 += 1;
        book.0 - 1
    };
    let (mut splitter, mut buffer) = (Splitter::default(), vec![0; 16 * 1024]);
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let mut messages = vec![];
        splitter.push(&buffer[..count], &mut messages).expect("frames");
        let arrived = messages.into_iter().map(|octets| Arrived { connection, octets });
        book.lock().expect("the book").1.extend(arrived);
    }
    let _ = stream.shutdown().await;
}
