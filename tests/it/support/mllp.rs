//! A gateway with an MLLP door and the domains of the corpus, and a client that speaks raw bytes to it.

use std::net::SocketAddr;
use std::time::Duration;

use chiren::config::{Config, DomainKind, MpiDomainConfig, Role};
use chiren::wire::hl7v2::answer::{self, Answer};
use chiren::wire::hl7v2::mllp::{Event, Splitter, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Gateway;
use super::gateway::listener;

pub const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/identity");

/// Hospital A of the composed messages, and B.
pub const HOSPA: &str = "1.2.392.100495.20.3.51.12219999991";
pub const HOSPB: &str = "1.2.392.100495.20.3.51.12219999983";

fn domain(oid: &str, namespace: &str, aliases: &[&str], senders: &[&str]) -> MpiDomainConfig {
    let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
    MpiDomainConfig {
        name: namespace.into(),
        oid: Some(oid.into()),
        namespace: namespace.into(),
        aliases: owned(aliases),
        senders: owned(senders),
        ..MpiDomainConfig::default()
    }
}

/// What the corpus presumes to be known.
pub fn configure(config: &mut Config) {
    config.listener.push(listener("mllp", Role::Mllp));
    config.mpi.enabled = true;
    config.mpi.domain = vec![
        domain(HOSPA, "HOSPA", &[], &["HIS|FAC2219999991", "HIS123|SEND"]),
        domain(HOSPB, "HOSPB", &[], &[]),
        domain("2.999.392.22.1", "CHIIKI", &[], &[]),
        domain("2.16.840.1.113883.3.37.4.1.1.2.1.1", "MPI", &["130", "MPI-NS-P"], &[]),
        domain("2.16.840.1.113883.3.37.4.1.1.2.611.1", "KHKN", &["BBB"], &[]),
        domain("2.16.840.1.113883.3.37.4.1.1.2.711.1", "CCC", &[], &[]),
        domain("1.3.6.1.4.1.21367.2005.1.1", "HIMSS2005", &[], &[]),
        domain("1.3.6.1.4.1.21367.2005.1.2", "XREF2005", &[], &[]),
        domain("1.3.6.1.4.1.21367.2005.1.3", "HZLN", &["1.2.3.4"], &[]),
        domain("1.2.3.4.5.1000", "D1000", &[], &[]),
        domain("1.2.3.4.5", "D5", &[], &[]),
        domain("1.2.3.4.666", "domain1", &[], &[]),
        domain("2.999.7.2", "domain2", &[], &[]),
        domain("2.999.7.3", "HZL", &[], &["SAP-ISH|HZL"]),
        domain("2.16.840.1.113883.3.72.5.9.1", "TEST", &[], &[]),
        domain("2.999.7.4", "TEST_A", &[], &[]),
        domain("2.999.7.5", "NID", &[], &[]),
        domain("1.3.6.1.4.1.21367.2010.1.2.300", "IHENA", &[], &[]),
        domain("1.3.6.1.4.1.21367.2010.1.2.310", "IHELOCAL", &[], &[]),
    ];
    config.mpi.domain[2].kind = DomainKind::Neighbour;
}

/// A gateway with all that, its configuration changed by `change`.
pub async fn gateway_with(change: impl FnOnce(&mut Config)) -> (Gateway, SocketAddr) {
    let gateway = Gateway::start_with(|config| {
        configure(config);
        change(config);
    })
    .await;
    let running = gateway.running.as_ref().expect("running");
    let address = running.listening.address(Role::Mllp).expect("an MLLP listener");
    (gateway, address)
}

pub async fn gateway() -> (Gateway, SocketAddr) {
    gateway_with(|_| {}).await
}

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A connection over anything.
pub struct Mllp<S = TcpStream> {
    pub stream: S,
    splitter: Splitter,
    events: std::collections::VecDeque<Event>,
}

impl Mllp {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.expect("a connection"))
    }
}

impl<S: AsyncReadExt + AsyncWriteExt + Unpin> Mllp<S> {
    pub fn over(stream: S) -> Self {
        Self { stream, splitter: Splitter::new(1 << 24), events: Default::default() }
    }

    /// Sends bytes as they are.
    pub async fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("sent");
        self.stream.flush().await.expect("sent");
    }

    /// The next answer; `None` when the connection is closed instead.
    pub async fn next(&mut self) -> Option<Answer> {
        self.next_bytes().await.map(|bytes| answer::read(&bytes).expect("an answer"))
    }

    /// The next frame, whose first byte was read already.
    pub async fn next_bytes_after(&mut self, first: u8) -> Vec<u8> {
        let mut events = vec![];
        self.splitter.push(&[first], &mut events);
        self.events.extend(events);
        self.next_bytes().await.expect("the rest of a frame")
    }

    pub async fn next_bytes(&mut self) -> Option<Vec<u8>> {
        loop {
            match self.events.pop_front() {
                Some(Event::Message(message)) => return Some(message),
                Some(other) => panic!("{other:?}"),
                None => {}
            }
            let mut buffer = [0; 8192];
            let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer));
            let count = match read.await.expect("an answer in time") {
                Ok(count) => count,
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => 0,
                Err(e) => panic!("{e}"),
            };
            if count == 0 {
                return None;
            }
            let mut events = vec![];
            self.splitter.push(&buffer[..count], &mut events);
            self.events.extend(events);
        }
    }

    /// Whether the peer ends the connection without a frame.
    pub async fn closed(&mut self) -> bool {
        let mut all = vec![];
        let read = tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut all)).await;
        read.is_ok() && !all.contains(&0x0b)
    }

    /// Sends one message in a frame and awaits its answer.
    pub async fn ask(&mut self, message: impl AsRef<[u8]>) -> Answer {
        self.raw(&frame(message.as_ref())).await;
        self.next().await.expect("an answer")
    }
}

/// MSA-1, and code and location of the first error.
pub fn said(answer: &Answer) -> (String, String, String) {
    let first = answer.errors.first();
    let text = |of: fn(&answer::ErrorSaid) -> &String| first.map(of).cloned().unwrap_or_default();
    (answer.code.clone(), text(|e| &e.code), text(|e| &e.location))
}

/// A file of the corpus.
pub fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{CORPUS}/{name}")).expect(name)
}
