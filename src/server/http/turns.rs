//! Turns: how many requests are worked on at the same time, and how long one waits for its own.
//!
//! A burst may wait its time. But once there has been no free turn for [`STANDING`], the queue no longer drains: then
//! waiting only makes everybody slow, and what does not get a turn almost at once is refused at once. So those that
//! are let in are answered as fast as at full work, whatever comes on top.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::config::LimitsConfig;

/// A queue that was never empty for so long stands.
const STANDING: Duration = Duration::from_millis(100);

/// Clones share the turns.
#[derive(Clone)]
pub struct Turns(Arc<Inner>);

struct Inner {
    free: Arc<Semaphore>,
    /// Most that wait.
    places: usize,
    waiting: AtomicUsize,
    /// How long one waits where the queue drains, and where it stands.
    patience: Duration,
    standing: Duration,
    /// When a turn was last to be had without waiting.
    drained: Mutex<Instant>,
}

/// A turn, given back when dropped.
#[derive(Debug)]
pub struct Turn {
    _held: OwnedSemaphorePermit,
}

/// Counts among those waiting until dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Turns {
    /// So many turns, with the patience of the limits.
    pub fn new(count: usize, limits: &LimitsConfig) -> Self {
        Self(Arc::new(Inner {
            free: Arc::new(Semaphore::new(count)),
            places: count.max(16),
            waiting: AtomicUsize::new(0),
            patience: Duration::from_millis(limits.queue_milliseconds),
            standing: Duration::from_millis(limits.overload_milliseconds),
            drained: Mutex::new(Instant::now()),
        }))
    }

    /// Takes a turn; `None`: there is none in time.
    pub async fn take(&self) -> Option<Turn> {
        let inner = &self.0;
        if let Ok(held) = inner.free.clone().try_acquire_owned() {
            *inner.drained.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            return Some(Turn { _held: held });
        }
        let ahead = inner.waiting.fetch_add(1, Ordering::AcqRel);
        let _waiting = Waiting(&inner.waiting);
        if ahead >= inner.places && self.stands() {
            return None;
        }
        let begun = Instant::now();
        let mut turn = std::pin::pin!(inner.free.clone().acquire_owned());
        loop {
            // In slices, because the queue may come to stand while one waits.
            let left = inner.patience.saturating_sub(begun.elapsed());
            let slice = left.min(inner.standing.max(Duration::from_millis(1)));
            match timeout(slice, &mut turn).await {
                Ok(held) => return Some(Turn { _held: held.ok()? }),
                Err(_) if left <= slice || (self.stands() && begun.elapsed() >= inner.standing) => {
                    return None;
                }
                Err(_) => {}
            }
        }
    }

    fn stands(&self) -> bool {
        let drained = *self.0.drained.lock().unwrap_or_else(PoisonError::into_inner);
        drained.elapsed() > STANDING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(count: usize) -> Turns {
        Turns::new(count, &LimitsConfig::default())
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_waits_its_time() {
        let turns = turns(1);
        let held = turns.take().await.unwrap();
        let (second, ()) = tokio::join!(turns.take(), async {
            tokio::time::sleep(Duration::from_millis(90)).await;
            drop(held);
        });
        assert!(second.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn where_the_queue_stands_nobody_waits_long() {
        let turns = turns(1);
        let held = turns.take().await.unwrap();
        let begun = Instant::now();
        assert!(turns.take().await.is_none());
        // It began to wait before the queue stood.
        assert!(begun.elapsed() < Duration::from_millis(120), "{:?}", begun.elapsed());
        let begun = Instant::now();
        assert!(turns.take().await.is_none());
        assert!(begun.elapsed() <= Duration::from_millis(6), "{:?}", begun.elapsed());
        drop(held);
        assert!(turns.take().await.is_some());
        // It drains again: patience is back.
        let held = turns.take().await.unwrap();
        let begun = Instant::now();
        assert!(turns.take().await.is_none());
        assert!(begun.elapsed() > Duration::from_millis(90));
        drop(held);
    }
}
