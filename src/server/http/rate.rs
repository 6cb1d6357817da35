//! The minimum rate: a peer must move enough bytes in the time we wait for it. Time in which it
//! waits for us does not count.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Measures one direction of one peer.
pub struct Rate {
    window: Duration,
    least: u64,
    /// Bytes and waiting of the window under way.
    bytes: u64,
    waited: Duration,
    waiting: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Rate {
    /// At least `per_second` bytes a second, averaged over `window` of waiting.
    pub fn new(per_second: u64, window: Duration) -> Self {
        Self {
            window,
            least: per_second.saturating_mul(window.as_secs().max(1)),
            bytes: 0,
            waited: Duration::ZERO,
            waiting: None,
            alarm: None,
        }
    }

    /// `bytes` have moved.
    pub fn moved(&mut self, bytes: usize) {
        if let Some(since) = self.waiting.take() {
            self.waited += since.elapsed();
        }
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    /// Nothing can move: we wait. Ready when the peer has been too slow; else the task is woken
    /// when it would be.
    pub fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.waited >= self.window {
                if self.bytes < self.least {
                    return Poll::Ready(());
                }
                (self.bytes, self.waited) = (0, Duration::ZERO);
            }
            let since = *self.waiting.get_or_insert_with(Instant::now);
            let end = since + (self.window - self.waited);
            let alarm = match &mut self.alarm {
                Some(alarm) => {
                    if alarm.deadline() != end {
                        alarm.as_mut().reset(end);
                    }
                    alarm
                }
                none => none.insert(Box::pin(sleep_until(end))),
            };
            if alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.moved(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    /// How long a peer lasts that sends `bytes` every `pause`, looked at for a minute.
    async fn lasts(bytes: usize, pause: Duration) -> Option<Duration> {
        let mut rate = Rate::new(1024, WINDOW);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) {
            let slow = tokio::time::timeout(pause, poll_fn(|cx| rate.poll_too_slow(cx))).await;
            if slow.is_ok() {
                return Some(start.elapsed());
            }
            rate.moved(bytes);
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn slow_peers_end_after_the_window() {
        assert_eq!(lasts(1, Duration::from_secs(1)).await.map(|d| d.as_secs()), Some(10));
        assert_eq!(lasts(2048, Duration::from_secs(1)).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn our_own_slowness_does_not_count() {
        let mut rate = Rate::new(1024, WINDOW);
        for _ in 0..10 {
            let slow =
                tokio::time::timeout(Duration::from_millis(900), poll_fn(|cx| rate.poll_too_slow(cx))).await;
            assert!(slow.is_err());
            rate.moved(1);
            tokio::time::sleep(Duration::from_secs(30)).await;
        }
    }
}
