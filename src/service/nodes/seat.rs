//! A connection whose certificate was taken.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::listed::shown;
use super::{Meter, Nodes};
use crate::model::node::{Entry, Shown, Stranger};

/// A place at the table. Held as long as the connection is open.
pub struct Seat {
    nodes: Nodes,
    number: u64,
    pub listener: Arc<str>,
    /// The chain as shown, the leaf first, DER.
    pub chain: Vec<Vec<u8>>,
    shown: Shown,
    /// Whose it is now; `None` where no directory is kept.
    holder: Option<(RwLock<Arc<Entry>>, Arc<Meter>)>,
    closed: CancellationToken,
}

/// Why there is no seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    Stranger(Stranger),
    /// The node of this id has as many connections as its class allows.
    Full(String),
}

impl Refused {
    /// The second label of its audit record.
    pub fn label(&self) -> &'static str {
        match self {
            Refused::Stranger(stranger) => stranger.label(),
            Refused::Full(_) => "too-many-connections",
        }
    }
}

impl Nodes {
    /// Seats a connection whose chain was verified.
    pub fn enter(
        &self,
        listener: &Arc<str>,
        chain: Vec<Vec<u8>>,
        now: Timestamp,
    ) -> Result<Arc<Seat>, Refused> {
        let shown = chain.first().map(|leaf| shown(leaf)).unwrap_or_default();
        let holder = match self.kept() {
            false => None,
            true => {
                let entry = self.identify(&shown, now).map_err(Refused::Stranger)?;
                let meter = self.meter(&entry.node.id);
                if !meter.connect(&entry.class) {
                    return Err(Refused::Full(entry.node.id.clone()));
                }
                Some((RwLock::new(entry), meter))
            }
        };
        let seat = Arc::new(Seat {
            nodes: self.clone(),
            number: self.0.next_seat.fetch_add(1, Ordering::Relaxed),
            listener: listener.clone(),
            chain,
            shown,
            holder,
            closed: CancellationToken::new(),
        });
        self.0
            .seats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(seat.number, Arc::downgrade(&seat));
        Ok(seat)
    }

    fn seats(&self) -> Vec<Arc<Seat>> {
        let seats = self.0.seats.lock().unwrap_or_else(PoisonError::into_inner);
        seats.values().filter_map(std::sync::Weak::upgrade).collect()
    }

    /// Looks at every seat again: whose node may no longer connect, or whose certificate has become another's, is
    /// closed. How many.
    pub fn review(&self, now: Timestamp) -> usize {
        if !self.kept() {
            return 0;
        }
        let mut closed = 0;
        for seat in self.seats() {
            let Some((holder, _)) = &seat.holder else { continue };
            let mut held = holder.write().unwrap_or_else(PoisonError::into_inner);
            match self.identify(&seat.shown, now) {
                Ok(entry) if entry.node.id == held.node.id => *held = entry,
                Ok(_) | Err(_) => {
                    seat.close();
                    closed += 1;
                }
            }
        }
        closed
    }

    /// Closes the connections of a listener whose chains are not `good` any more. How many.
    pub fn close_unless(&self, listener: &str, good: impl Fn(&[Vec<u8>]) -> bool) -> usize {
        let bad =
            |seat: &Arc<Seat>| seat.listener.as_ref() == listener && !seat.is_closed() && !good(&seat.chain);
        self.seats().iter().filter(|seat| bad(seat)).map(|seat| seat.close()).count()
    }

    /// Connections and refusals for limits, by node.
    pub fn figures(&self) -> Vec<(String, u32, u64)> {
        let meters = self.0.meters.lock().unwrap_or_else(PoisonError::into_inner);
        let mut figures: Vec<_> =
            meters.iter().map(|(id, m)| (id.clone(), m.connections(), m.limited())).collect();
        figures.sort();
        figures
    }
}

impl Seat {
    /// The node as the directory has it now.
    pub fn entry(&self) -> Option<Arc<Entry>> {
        let (holder, _) = self.holder.as_ref()?;
        Some(holder.read().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Ends the connection, now.
    pub fn close(&self) {
        self.closed.cancel();
    }

    pub fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Ready once the connection has to end.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Counts a request of the node; or says after how long it may be sent.
    pub fn request(&self) -> Result<(), Duration> {
        match (&self.holder, self.entry()) {
            (Some((_, meter)), Some(entry)) => meter.request(&entry.class, Instant::now()),
            _ => Ok(()),
        }
    }

    /// Counts a request of a person of the node.
    pub fn person(&self, who: &str) -> Result<(), Duration> {
        match (&self.holder, self.entry()) {
            (Some((_, meter)), Some(entry)) => meter.person(&entry.class, who, Instant::now()),
            _ => Ok(()),
        }
    }

    /// Counts bytes of an answer; how long to rest before the next.
    pub fn sent(&self, bytes: u64) -> Duration {
        match (&self.holder, self.entry()) {
            (Some((_, meter)), Some(entry)) => meter.sent(&entry.class, bytes, Instant::now()),
            _ => Duration::ZERO,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.nodes.0.seats.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
        if let Some((_, meter)) = &self.holder {
            meter.disconnect();
        }
    }
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Seat({} {})", self.listener, self.shown.fingerprint)
    }
}
