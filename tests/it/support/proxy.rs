//! What stands between a gateway and its PostgreSQL and goes wrong on demand: refuses, stalls, delays, cuts, and cuts
//! exactly at a COMMIT.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// Everything is swallowed for now, as by a network without a route; it goes on with the next mode.
    Stall,
    /// The server's answers come so much later.
    Delay(Duration),
    /// Both sides lose the connection over which the next COMMIT comes; the server never sees it.
    CutBeforeCommit,
    /// The same when the server has answered it; nobody hears the answer.
    CutAfterCommit,
}

/// A proxy in front of one server. Connections end when it goes.
pub struct Proxy {
    pub address: SocketAddr,
    server: SocketAddr,
    mode: watch::Sender<Mode>,
    /// Changes when everything open is to be cut.
    cuts: watch::Sender<u64>,
    at_commit: Arc<AtomicUsize>,
    accepting: Option<JoinHandle<()>>,
}

impl Proxy {
    pub async fn start(server: SocketAddr) -> Self {
        let listener = super::port::lasting();
        listener.set_nonblocking(true).expect("a socket");
        let listener = TcpListener::from_std(listener).expect("a socket");
        let mut proxy = Self {
            address: listener.local_addr().expect("an address"),
            server,
            mode: watch::Sender::new(Mode::Pass),
            cuts: watch::Sender::new(0),
            at_commit: Arc::default(),
            accepting: None,
        };
        proxy.listen(listener);
        proxy
    }

    /// In front of the server a `postgres://` URL names; the URL that leads through the proxy.
    pub async fn before(url: &str) -> (Self, String) {
        let rest = url.split_once("://").expect("a URL").1;
        let authority = rest.split(['/', '?']).next().expect("a host");
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let server = tokio::net::lookup_host(host).await.expect("HOST:PORT").next().expect("an address");
        let proxy = Self::start(server).await;
        let url = url.replacen(host, &proxy.address.to_string(), 1);
        let join = if url.contains('?') { '&' } else { '?' };
        // What is encrypted cannot be cut at a COMMIT.
        let url = if url.contains("sslmode=") { url } else { format!("{url}{join}sslmode=disable") };
        (proxy, url)
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Ends every connection now.
    pub fn cut(&self) {
        self.cuts.send_modify(|n| *n += 1);
    }

    /// How many connections were cut at a COMMIT.
    pub fn cuts_at_commit(&self) -> usize {
        self.at_commit.load(Ordering::Acquire)
    }

    /// From now on nobody listens, and what was open is cut: a server that is away.
    pub async fn close(&mut self) {
        if let Some(task) = self.accepting.take() {
            task.abort();
            let _ = task.await;
        }
        self.cut();
    }

    /// Back again at the same address.
    pub async fn open(&mut self) {
        let listener = super::port::again(self.address);
        self.listen(listener);
    }

    fn listen(&mut self, listener: TcpListener) {
        let (server, mode, cuts) = (self.server, self.mode.clone(), self.cuts.clone());
        let at_commit = self.at_commit.clone();
        self.accepting = Some(tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let line = Line {
                    mode: mode.clone(),
                    watched: mode.subscribe(),
                    at_commit: at_commit.clone(),
                    cut: watch::Sender::new(false),
                };
                tokio::spawn(line.run(client, server, cuts.subscribe()));
            }
        }));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        if let Some(task) = self.accepting.take() {
            task.abort();
        }
    }
}

/// One connection through the proxy.
#[derive(Clone)]
struct Line {
    mode: watch::Sender<Mode>,
    watched: watch::Receiver<Mode>,
    at_commit: Arc<AtomicUsize>,
    /// Set when the server's next answer ends it.
    cut: watch::Sender<bool>,
}

impl Line {
    async fn run(self, client: TcpStream, server: SocketAddr, mut cuts: watch::Receiver<u64>) {
        let Ok(server) = TcpStream::connect(server).await else { return };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::select! {
            () = self.clone().questions(from_client, to_server) => {}
            () = self.answers(from_server, to_client) => {}
            _ = cuts.changed() => {}
        }
    }

    async fn passable(&mut self) -> Mode {
        let passable = self.watched.wait_for(|mode| *mode != Mode::Stall).await;
        passable.map_or(Mode::Pass, |mode| *mode)
    }

    /// A frontend's messages: the first without a type, then type, length and contents.
    async fn questions(mut self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let (mut held, mut started) = (Vec::new(), false);
        loop {
            while let Some(length) = message(&held, started) {
                let bytes: Vec<u8> = held.drain(..length).collect();
                let mode = self.passable().await;
                if started && bytes.ends_with(b"COMMIT\0") {
                    match mode {
                        Mode::CutBeforeCommit if self.take() => return,
                        Mode::CutAfterCommit if self.take() => drop(self.cut.send_replace(true)),
                        _ => {}
                    }
                }
                started = true;
                if to.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            if !matches!(from.read_buf(&mut held).await, Ok(1..)) {
                return;
            }
        }
    }

    /// Only the first COMMIT of several at once.
    fn take(&self) -> bool {
        let mut taken = false;
        self.mode.send_if_modified(|mode| {
            taken = matches!(mode, Mode::CutBeforeCommit | Mode::CutAfterCommit);
            if taken {
                *mode = Mode::Pass;
            }
            taken
        });
        if taken {
            self.at_commit.fetch_add(1, Ordering::AcqRel);
        }
        taken
    }

    async fn answers(mut self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            let mode = self.passable().await;
            if *self.cut.borrow() {
                return;
            }
            if let Mode::Delay(time) = mode {
                tokio::time::sleep(time).await;
            }
            if to.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
    }
}

/// Octets of the message that `held` begins with, once it is whole.
fn message(held: &[u8], started: bool) -> Option<usize> {
    let before = usize::from(started);
    let length = held.get(before..before + 4)?;
    let length = before + u32::from_be_bytes(length.try_into().ok()?) as usize;
    (held.len() >= length).then_some(length)
}
