//! The sending side of ITI-20: syslog over TLS (RFC 5425), over plain TCP with the same frames, or as datagrams
//! (RFC 5426) to a relay on the same machine.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::tls::{TlsError, client_config};
use crate::config::{AuditRepositoryConfig, PeerConfig};
use crate::model::audit::message::AuditMessage;
use crate::wire::atna::{self, frames, syslog};

/// Registered for syslog over TLS; for datagrams.
pub const PORT: u16 = 6514;
const DATAGRAM_PORT: u16 = 514;
/// What the system holds for us of what the other side has not taken: little, for it is lost with the connection.
const SEND_BUFFER: u32 = 64 * 1024;
/// Octets written at once.
const CHUNK: usize = 64 * 1024;
/// The longest datagram that can be sent at all; relays cut at less (RFC 5426 3.2).
const DATAGRAM: usize = 65_507;

#[derive(Debug, thiserror::Error)]
pub enum SyslogError {
    #[error("{0:?} is not tls://host:port, tcp://host:port or udp://host:port")]
    Address(String),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("{host}:{port} cannot be reached: {cause}")]
    Unreached { host: String, port: u16, cause: io::Error },
    #[error("no connection to {host}:{port} within {seconds} s")]
    Connecting { host: String, port: u16, seconds: u64 },
    #[error("nothing is taken any more")]
    Stuck,
    #[error("the other side closed the connection")]
    Closed,
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Tls,
    Tcp,
    Udp,
}

/// A repository spoken to by syslog.
pub struct SyslogClient {
    way: Way,
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    connect: Duration,
    patience: Duration,
    /// Our name in HOSTNAME.
    ours: Arc<str>,
}

impl SyslogClient {
    pub fn new(config: &AuditRepositoryConfig, ours: &str) -> Result<Self, SyslogError> {
        let bad = || SyslogError::Address(config.url.clone());
        let (scheme, rest) = config.url.split_once("://").ok_or_else(bad)?;
        let (way, standard) = match scheme {
            "tls" => (Way::Tls, PORT),
            "tcp" => (Way::Tcp, PORT),
            "udp" => (Way::Udp, DATAGRAM_PORT),
            _ => return Err(bad()),
        };
        let authority = rest.trim_end_matches('/').parse::<http::uri::Authority>().map_err(|_| bad())?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let bare = authority.as_str() == authority.host();
        if host.is_empty() || authority.port_u16().is_none() && !bare {
            return Err(bad());
        }
        let tls = match way {
            Way::Tls => {
                let peer = PeerConfig {
                    url: config.url.clone(),
                    server_ca: config.server_ca.clone(),
                    certificate: config.certificate.clone(),
                    private_key: config.private_key.clone(),
                    tls_profile: config.tls_profile,
                    ..PeerConfig::default()
                };
                let mut client = client_config(&peer)?;
                client.alpn_protocols.clear();
                let name = ServerName::try_from(host.clone()).map_err(|_| bad())?;
                Some((TlsConnector::from(Arc::new(client)), name))
            }
            Way::Tcp | Way::Udp => None,
        };
        Ok(Self {
            way,
            port: authority.port_u16().unwrap_or(standard),
            host,
            tls,
            connect: Duration::from_secs(config.connect_seconds),
            patience: Duration::from_secs(config.write_seconds),
            ours: ours.into(),
        })
    }

    /// Whether nothing can be known of what arrives.
    pub fn is_datagram(&self) -> bool {
        self.way == Way::Udp
    }

    pub async fn open(&self) -> Result<Line, SyslogError> {
        let (host, port) = (self.host.clone(), self.port);
        let opened = async {
            if self.way == Way::Udp {
                let socket = UdpSocket::bind(("::", 0)).await;
                let socket = match socket {
                    Ok(socket) if self.host.parse::<std::net::Ipv4Addr>().is_err() => socket,
                    _ => UdpSocket::bind(("0.0.0.0", 0)).await?,
                };
                socket.connect((self.host.as_str(), self.port)).await?;
                return Ok(Wire::Datagrams(socket));
            }
            let socket = self.connected().await?;
            let stream: Box<dyn Stream> = match &self.tls {
                None => Box::new(socket),
                Some((connector, name)) => Box::new(connector.connect(name.clone(), socket).await?),
            };
            Ok::<_, io::Error>(Wire::Stream(stream))
        };
        let seconds = self.connect.as_secs();
        let wire = timeout(self.connect, opened)
            .await
            .map_err(|_| SyslogError::Connecting { host: host.clone(), port, seconds })?
            .map_err(|cause| SyslogError::Unreached { host, port, cause })?;
        Ok(Line { wire, patience: self.patience, ours: self.ours.clone() })
    }

    async fn connected(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in lookup_host((self.host.as_str(), self.port)).await? {
            let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.set_send_buffer_size(SEND_BUFFER)?;
            match socket.connect(address).await {
                Ok(stream) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(cause) => last = cause,
            }
        }
        Err(last)
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

enum Wire {
    Stream(Box<dyn Stream>),
    Datagrams(UdpSocket),
}

/// A way that stands.
pub struct Line {
    wire: Wire,
    patience: Duration,
    ours: Arc<str>,
}

impl Line {
    /// Writes messages, each of the process that made it. Whether they arrive shows later, or never.
    pub async fn send(&mut self, messages: &[(u32, AuditMessage)]) -> Result<(), SyslogError> {
        let mut chunk = vec![];
        for (process, message) in messages {
            let sender =
                syslog::Sender { host: self.ours.to_string(), app: "chiren".into(), process: *process };
            let octets = syslog::write(&sender, message, &atna::write(message));
            match &self.wire {
                Wire::Datagrams(socket) => {
                    let octets = octets.get(..DATAGRAM).unwrap_or(&octets);
                    timeout(self.patience, socket.send(octets)).await.map_err(|_| SyslogError::Stuck)??;
                }
                Wire::Stream(_) => chunk.extend(frames::frame(&octets)),
            }
            if chunk.len() >= CHUNK {
                self.write(&chunk).await?;
                chunk.clear();
            }
        }
        self.write(&chunk).await
    }

    async fn write(&mut self, octets: &[u8]) -> Result<(), SyslogError> {
        let Wire::Stream(stream) = &mut self.wire else { return Ok(()) };
        let written = async {
            stream.write_all(octets).await?;
            stream.flush().await
        };
        timeout(self.patience, written).await.map_err(|_| SyslogError::Stuck)??;
        Ok(())
    }

    /// Listens for an end or an alert as long as `patience`; what else is said means nothing.
    pub async fn stands(&mut self, patience: Duration) -> Result<(), SyslogError> {
        let Wire::Stream(stream) = &mut self.wire else {
            tokio::time::sleep(patience).await;
            return Ok(());
        };
        let mut said = [0; 512];
        match timeout(patience, stream.read(&mut said)).await {
            Err(_silence) => Ok(()),
            Ok(Ok(0)) => Err(SyslogError::Closed),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(cause)) => Err(cause.into()),
        }
    }

    /// Says goodbye; whether it was answered: then all that was written was read.
    pub async fn goodbye(self) -> bool {
        let Wire::Stream(mut stream) = self.wire else { return true };
        let answered = async {
            stream.shutdown().await?;
            let mut rest = [0; 512];
            while stream.read(&mut rest).await? > 0 {}
            Ok::<_, io::Error>(())
        };
        matches!(timeout(self.patience.min(Duration::from_secs(5)), answered).await, Ok(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let client = |url: &str| {
            let config = AuditRepositoryConfig { url: url.into(), ..AuditRepositoryConfig::default() };
            SyslogClient::new(&config, "gw").map(|c| (c.way, c.host, c.port)).ok()
        };
        assert_eq!(client("tls://arr.example.jp"), Some((Way::Tls, "arr.example.jp".into(), PORT)));
        assert_eq!(client("udp://127.0.0.1:5514"), Some((Way::Udp, "127.0.0.1".into(), 5514)));
        assert_eq!(client("tcp://[::1]"), Some((Way::Tcp, "::1".into(), PORT)));
        for bad in ["", "arr:6514", "http://x", "tls://", "tls://x:y"] {
            assert_eq!(client(bad), None, "{bad}");
        }
    }
}
