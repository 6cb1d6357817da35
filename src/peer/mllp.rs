//! The sending side of MLLP: connect, TLS where the address says `mllps`, send, and await the answer of each message
//! (HL7 v2 Transport Specification; ITI TF-2 C.2.1). For ITI-10 to consumers, and for `chiren send`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::tls::{TlsError, client_config};
use crate::config::{MpiConsumerConfig, PeerConfig};
use crate::wire::hl7v2::Identifier;
use crate::wire::hl7v2::answer::{self, NoAnswer};
pub use crate::wire::hl7v2::answer::{Answer, ErrorSaid, Verdict};
use crate::wire::hl7v2::charset::Label;
use crate::wire::hl7v2::compose::{self, Envelope, Party};
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

/// ITI-10: what a consumer is told, by whom.
#[derive(Clone)]
pub struct Notification<'a> {
    /// MSH-3 and MSH-4, MSH-5 and MSH-6.
    pub from: (&'a str, &'a str),
    pub to: (&'a str, &'a str),
    /// All ids of one person: value, namespace and OID of the domain.
    pub ids: &'a [(String, String, String)],
    /// When they became so.
    pub at: Timestamp,
    /// MSH-10, the same in every attempt; at most 20 characters.
    pub control_id: &'a str,
}

impl MllpClient {
    /// Sends a PIX update notification (ITI TF-2 3.10) and awaits its acknowledgement.
    pub async fn notify(&self, notification: &Notification<'_>) -> Result<Answer, MllpError> {
        let Notification { from, to, ids, at, control_id } = notification;
        let party = |(application, facility): &(&str, &str)| Party {
            application: (*application).to_owned(),
            facility: (*facility).to_owned(),
        };
        let (from, to) = (party(from), party(to));
        let ids: Vec<Identifier> = ids
            .iter()
            .map(|(value, namespace, oid)| Identifier {
                value: value.clone(),
                namespace: namespace.clone(),
                oid: oid.clone(),
            })
            .collect();
        let time = hl7_time(*at);
        // Ids are ASCII; names of applications need not be.
        let ascii = [&from, &to].iter().all(|p| p.application.is_ascii() && p.facility.is_ascii());
        let label = if ascii { Label::ASCII } else { Label::japanese() };
        let envelope =
            Envelope { from: &from, to: &to, time: &time, control_id, processing: "P", label: &label };
        self.send(&compose::notification(&envelope, &ids).bytes, control_id).await
    }
}

/// An instant as HL7 v2 writes it, in Japan's time.
pub fn hl7_time(at: Timestamp) -> String {
    at.to_zoned(tz::offset(9).to_time_zone()).strftime("%Y%m%d%H%M%S%z").to_string()
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
    async fn a_consumer_is_notified() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("mllp://{}", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 512];
            let count = socket.read(&mut buffer).await.unwrap();
            let answer = "MSH|^~\\&|\rMSA|AE|N1\rERR||PID^1^3|204^Unknown key identifier^HL70357|E\r";
            socket.write_all(&frame(answer.as_bytes())).await.unwrap();
            String::from_utf8_lossy(&buffer[..count]).into_owned()
        });
        let consumer = MpiConsumerConfig { url, ..MpiConsumerConfig::default() };
        let client = MllpClient::of_consumer(&consumer).unwrap();
        let ids = [("1".to_owned(), "N".to_owned(), "1.2.3".to_owned())];
        let at = "2026-11-22T00:00:00Z".parse().unwrap();
        let notification =
            Notification { from: ("MPI", "CHIIKI"), to: ("EMR", "CHUO"), ids: &ids, at, control_id: "N1" };
        let answer = client.notify(&notification).await.unwrap();
        assert_eq!((answer.verdict, answer.errors[0].code.as_str()), (Verdict::Error, "204"));
        let sent = served.await.unwrap();
        assert!(sent.starts_with(
            "\u{b}MSH|^~\\&|MPI|CHIIKI|EMR|CHUO|20261122090000+0900||ADT^A31^ADT_A05|N1|P|2.5\r"
        ));
        assert!(sent.contains("PID|||1^^^N&1.2.3&ISO^PI|| \r"), "{sent}");
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
