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
