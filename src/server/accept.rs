//! The accept loop of every listener: limits of connections in all and by address, and an end that lets work under way finish.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::model::caller::network;
use crate::server::metrics;

/// How many may come in, and how long they get at the end.
#[derive(Debug, Clone)]
pub struct Doorway {
    /// The listener's name.
    pub name: Arc<str>,
    pub max_connections: usize,
    pub max_connections_per_address: usize,
    pub drain: Duration,
}

/// Hands connections to `connection` until `stop`, then waits for those open. Returns how many were cut off.
pub async fn accept<F>(
    listener: TcpListener,
    doorway: Doorway,
    stop: CancellationToken,
    connection: impl Fn(TcpStream, SocketAddr) -> F,
) -> usize
where
    F: Future<Output = ()> + Send + 'static,
{
    let cut = CancellationToken::new();
    let tasks = TaskTracker::new();
    let room = Arc::new(Semaphore::new(doorway.max_connections));
    let addresses = Addresses::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (socket, peer_addr) = match accepted {
            Ok(accepted) => accepted,
            Err(cause) => {
                // Out of descriptors, or a peer gone before its turn: the listener itself lives on.
                warn!(listener = %doorway.name, %cause, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(place) = room.clone().try_acquire_owned() else {
            refuse_connection(&doorway, peer_addr, "listener");
            continue;
        };
        let Some(address) = addresses.enter(peer_addr.ip(), doorway.max_connections_per_address) else {
            refuse_connection(&doorway, peer_addr, "address");
            continue;
        };
        let held = (place, address, metrics::Connection::open(&doorway.name));
        let (work, cut) = (connection(socket, peer_addr), cut.clone());
        tasks.spawn(async move {
            let _held = held;
            tokio::select! {
                () = work => {}
                () = cut.cancelled() => {}
            }
        });
    }
    drop(listener);
    tasks.close();
    if timeout(doorway.drain, tasks.wait()).await.is_ok() {
        return 0;
    }
    let left = tasks.len();
    cut.cancel();
    tasks.wait().await;
    left
}

fn refuse_connection(doorway: &Doorway, peer: SocketAddr, limit: &'static str) {
    metrics::connection_refused(&doorway.name, limit);
    debug!(listener = %doorway.name, %peer, limit, "connection refused: too many are open");
}

/// Connections by [`network`].
#[derive(Clone, Default)]
pub struct Addresses(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A place taken in [`Addresses`], given back when dropped.
pub struct Entered(Addresses, IpAddr);

impl Addresses {
    pub fn enter(&self, address: IpAddr, most: usize) -> Option<Entered> {
        let address = network(address);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Entered(self.clone(), address))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_ipv6_network_is_one_address() {
        let addresses = Addresses::default();
        let held = addresses.enter("2001:db8::1".parse().unwrap(), 1);
        assert!(held.is_some() && addresses.enter("2001:db8::2".parse().unwrap(), 1).is_none());
        assert!(addresses.enter("2001:db8:0:1::1".parse().unwrap(), 1).is_some());
        drop(held);
        assert!(addresses.0.lock().unwrap().is_empty());
    }
}
