//! The sending side of MLLP: connect, TLS where the address says `mllps`, send, and await the answer of each message
//! (HL7 v2 Transport Specification; ITI TF-2 C.2.1). For ITI-10 to consumers, and for `chiren send`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::tls::{TlsError, client_config};
use crate::config::{MpiConsumerConfig, PeerConfig};
use crate::wire::hl7v2::answer::{self, Answer, NoAnswer};
use crate::wire::hl7v2::mllp::{Event, Splitter, frame};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum MllpError {
    #[error("{0:?} is not mllp://host:port or mllps://host:port")]
    Address(String),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("{host}:{port} cannot be reached: {cause}")]
    Unreached { host: String, port: u16, cause: io::Error },
    #[error("no connection to {host}:{port} within {seconds} s")]
    Connecting { host: String, port: u16, seconds: u64 },
    /// The message may have been acted upon.
    #[error("no answer within {0} s")]
    Unanswered(u64),
    /// Likewise.
    #[error("the connection was closed before the answer")]
    Closed,
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    #[error("the answer is longer than {0} bytes, or no frame at all")]
    TooLong(usize),
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    #[error("the answer is for another message (MSA-2)")]
    OtherMessage,
}

/// Longest answer taken.
const LONGEST: usize = 16 << 20;
/// Registered for HL7 at IANA.
pub const PORT: u16 = 2575;

/// A system spoken to over MLLP.
#[derive(Clone)]
pub struct MllpClient {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    connect: Duration,
    answer: Duration,
}

impl MllpClient {
    /// From `url`, TLS files and times of a peer; the rest of it is HTTP's.
    pub fn new(peer: &PeerConfig) -> Result<Self, MllpError> {
        let bad = || MllpError::Address(peer.url.clone());
        let (scheme, rest) = peer.url.split_once("://").ok_or_else(bad)?;
        let authority = rest.trim_end_matches('/').parse::<http::uri::Authority>().map_err(|_| bad())?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let bare = authority.as_str() == authority.host();
        if host.is_empty() || authority.port_u16().is_none() && !bare {
            return Err(bad());
        }
        let tls = match scheme {
            "mllp" => None,
            "mllps" => {
                let mut config = client_config(peer)?;
                // MLLP has no name among application protocols.
                config.alpn_protocols.clear();
                let name = ServerName::try_from(host.clone()).map_err(|_| bad())?;
                Some((TlsConnector::from(Arc::new(config)), name))
            }
            _ => return Err(bad()),
        };
        Ok(Self {
            port: authority.port_u16().unwrap_or(PORT),
            host,
            tls,
            connect: Duration::from_secs(peer.connect_seconds),
            answer: Duration::from_secs(peer.answer_seconds),
        })
    }

    /// A consumer of ITI-10.
    pub fn of_consumer(consumer: &MpiConsumerConfig) -> Result<Self, MllpError> {
        Self::new(&PeerConfig {
            url: consumer.url.clone(),
            server_ca: consumer.server_ca.clone(),
            certificate: consumer.certificate.clone(),
            private_key: consumer.private_key.clone(),
            tls_profile: consumer.tls_profile,
            connect_seconds: consumer.connect_seconds,
            answer_seconds: consumer.answer_seconds,
            ..PeerConfig::default()
        })
    }

    /// A connection for as many messages as are to be sent.
    pub async fn open(&self) -> Result<Connection, MllpError> {
        let (host, port) = (self.host.clone(), self.port);
        let unreached = |cause| MllpError::Unreached { host: host.clone(), port, cause };
        let opened = async {
            let socket = TcpStream::connect((self.host.as_str(), port)).await?;
            let _ = socket.set_nodelay(true);
            let stream: Box<dyn Stream> = match &self.tls {
                None => Box::new(socket),
                Some((connector, name)) => Box::new(connector.connect(name.clone(), socket).await?),
            };
            Ok::<_, io::Error>(stream)
        };
        let seconds = self.connect.as_secs();
        let stream = timeout(self.connect, opened)
            .await
            .map_err(|_| MllpError::Connecting { host: host.clone(), port, seconds })?
            .map_err(unreached)?;
        Ok(Connection { stream, splitter: Splitter::new(LONGEST), waiting: vec![], patience: self.answer })
    }

    /// Sends one message on a connection of its own. The answer must name the message: `control_id` is its MSH-10.
    pub async fn send(&self, message: &[u8], control_id: &str) -> Result<Answer, MllpError> {
        let mut connection = self.open().await?;
        let bytes = connection.exchange(message).await?;
        connection.close().await;
        let answer = answer::read(&bytes)?;
        match answer.control_id.trim_matches(' ') == control_id.trim_matches(' ') {
            true => Ok(answer),
            false => Err(MllpError::OtherMessage),
        }
    }
}

/// What a connection runs over.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// An open connection. Answers come in the order of the messages.
pub struct Connection {
    stream: Box<dyn Stream>,
    splitter: Splitter,
    /// Frames that have come and were not asked for yet.
    waiting: Vec<Event>,
    patience: Duration,
}

impl Connection {
    /// Sends a message in a frame.
    pub async fn post(&mut self, message: &[u8]) -> Result<(), MllpError> {
        self.write(&frame(message)).await
    }

    /// Sends bytes as they are.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), MllpError> {
        let sent = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        timeout(self.patience, sent).await.map_err(|_| MllpError::Unanswered(self.patience.as_secs()))??;
        Ok(())
    }

    /// The next answer.
    pub async fn next(&mut self) -> Result<Vec<u8>, MllpError> {
        let patience = self.patience;
        timeout(patience, self.read()).await.map_err(|_| MllpError::Unanswered(patience.as_secs()))?
    }

    /// Sends a message and awaits its answer.
    pub async fn exchange(&mut self, message: &[u8]) -> Result<Vec<u8>, MllpError> {
        self.post(message).await?;
        self.next().await
    }

    async fn read(&mut self) -> Result<Vec<u8>, MllpError> {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            while !self.waiting.is_empty() {
                match self.waiting.remove(0) {
                    Event::Message(message) => return Ok(message),
                    Event::Restarted { .. } | Event::Noise { .. } => {}
                    Event::TooLong { .. } | Event::Endless => return Err(MllpError::TooLong(LONGEST)),
                }
            }
            let count = self.stream.read(&mut buffer).await?;
            if count == 0 {
                self.splitter.settle(&mut self.waiting);
                if self.waiting.is_empty() {
                    return Err(MllpError::Closed);
                }
                continue;
            }
            self.splitter.push(buffer.get(..count).unwrap_or_default(), &mut self.waiting);
        }
    }

    /// Says goodbye.
    pub async fn close(mut self) {
        let _ = timeout(Duration::from_secs(2), self.stream.shutdown()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let client = |url: &str| MllpClient::new(&PeerConfig { url: url.into(), ..PeerConfig::default() });
        let read = |url: &str| client(url).map(|c| (c.host, c.port)).ok();
        assert_eq!(read("mllp://emr.example.jp:6661"), Some(("emr.example.jp".into(), 6661)));
        assert_eq!(read("mllp://[::1]"), Some(("::1".into(), PORT)));
        for bad in ["", "emr:2575", "http://x", "mllp://", "mllp://x:y"] {
            assert!(client(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn an_answer_is_awaited_and_must_be_for_the_message() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("mllp://{}", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            for answer in ["MSH|^~\\&|\rMSA|AA|7\r", "MSH|^~\\&|\rMSA|AA|8\r", "", "no"] {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut buffer = [0; 64];
                let count = socket.read(&mut buffer).await.unwrap();
                assert_eq!(&buffer[..count], b"\x0bm\x1c\r");
                if !answer.is_empty() {
                    socket.write_all(&frame(answer.as_bytes())).await.unwrap();
                }
            }
        });
        let client = MllpClient::new(&PeerConfig { url, ..PeerConfig::default() }).unwrap();
        assert_eq!(client.send(b"m", "7").await.unwrap().code, "AA");
        assert!(matches!(client.send(b"m", "7").await, Err(MllpError::OtherMessage)));
        assert!(matches!(client.send(b"m", "7").await, Err(MllpError::Closed | MllpError::Broken(_))));
        assert!(matches!(client.send(b"m", "7").await, Err(MllpError::NoAnswer(NoAnswer::Header))));
        served.await.unwrap();
        assert!(matches!(client.send(b"m", "7").await, Err(MllpError::Unreached { .. })));
    }
}
