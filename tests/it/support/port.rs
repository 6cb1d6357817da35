//! Ports that stay one's own while nobody listens on them.
//!
//! What the system gives out by itself (port zero, the near end of a connection) lies at 32768 and above on Linux;
//! an address that must be free again later is therefore taken from below. This file names nothing beside it: unit
//! tests include it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// A listener on a port that nobody is given by chance once it is closed.
pub fn lasting() -> TcpListener {
    loop {
        let n = u16::from_le_bytes(uuid::Uuid::new_v4().into_bytes()[..2].try_into().expect("two bytes"));
        if let Ok(listener) = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 20_000 + n % 12_000)))
        {
            return listener;
        }
    }
}

/// Listens where somebody listened before. A port that was given up lives on for a moment while its last connection is
/// torn down, and in a process that another test is starting, between its fork and its exec.
pub fn bound(address: SocketAddr) -> TcpListener {
    let listener = loop {
        match TcpListener::bind(address) {
            Ok(listener) => break listener,
            Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => std::thread::yield_now(),
            Err(e) => panic!("{address}: {e}"),
        }
    };
    listener.set_nonblocking(true).expect("a socket");
    listener
}

/// The same, for tokio.
pub fn again(address: SocketAddr) -> tokio::net::TcpListener {
    tokio::net::TcpListener::from_std(bound(address)).expect("within a runtime")
}
