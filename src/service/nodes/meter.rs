//! How much a node asks: token buckets of its rate class, and its open connections.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::node::Class;

/// A bucket that fills with time. What is taken beyond it is owed, so that bytes already sent count.
#[derive(Debug, Default)]
pub struct Bucket(Option<(f64, Instant)>);

impl Bucket {
    fn filled(&mut self, rate: f64, burst: f64, now: Instant) -> f64 {
        match self.0 {
            None => burst,
            Some((held, at)) => (held + now.saturating_duration_since(at).as_secs_f64() * rate).min(burst),
        }
    }

    /// Takes one, or says after how long there will be one.
    pub fn take(&mut self, rate: u32, burst: u32, now: Instant) -> Result<(), Duration> {
        let (rate, burst) = (f64::from(rate), f64::from(burst));
        let held = self.filled(rate, burst, now);
        if held < 1.0 {
            self.0 = Some((held, now));
            return Err(Duration::from_secs_f64((1.0 - held) / rate.max(f64::MIN_POSITIVE)));
        }
        self.0 = Some((held - 1.0, now));
        Ok(())
    }

    /// Takes `amount` whatever is there; how long to wait until nothing is owed.
    pub fn owe(&mut self, amount: u64, rate: u64, now: Instant) -> Duration {
        let rate = rate.max(1) as f64;
        // A second's worth may come at once.
        let held = self.filled(rate, rate, now) - amount as f64;
        self.0 = Some((held, now));
        if held >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-held / rate) }
    }

    fn is_full(&mut self, rate: u32, burst: u32, now: Instant) -> bool {
        self.filled(f64::from(rate), f64::from(burst), now) >= f64::from(burst)
    }
}

/// People told apart at a time; beyond, those who have been quiet are forgotten.
const PEOPLE: usize = 10_000;

/// What one node asks.
#[derive(Debug, Default)]
pub struct Meter {
    requests: Mutex<Bucket>,
    bytes: Mutex<Bucket>,
    people: Mutex<HashMap<String, Bucket>>,
    connections: AtomicU32,
    /// Refused for its limits since the program began.
    limited: AtomicU64,
}

impl Meter {
    /// Counts a request; or says after how long it may be sent.
    pub fn request(&self, class: &Class, now: Instant) -> Result<(), Duration> {
        if class.requests_per_second == 0 {
            return Ok(());
        }
        let mut bucket = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        bucket
            .take(class.requests_per_second, class.burst, now)
            .inspect_err(|_| _ = self.limited.fetch_add(1, Ordering::Relaxed))
    }

    /// Counts a request of a person.
    pub fn person(&self, class: &Class, who: &str, now: Instant) -> Result<(), Duration> {
        let (rate, burst) = (class.user_requests_per_second, class.user_burst);
        if rate == 0 {
            return Ok(());
        }
        let mut people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        if people.len() >= PEOPLE && !people.contains_key(who) {
            people.retain(|_, bucket| !bucket.is_full(rate, burst, now));
        }
        people
            .entry(who.to_owned())
            .or_default()
            .take(rate, burst, now)
            .inspect_err(|_| _ = self.limited.fetch_add(1, Ordering::Relaxed))
    }

    /// Counts bytes of an answer; how long to rest before the next.
    pub fn sent(&self, class: &Class, bytes: u64, now: Instant) -> Duration {
        if class.retrieve_bytes_per_second == 0 {
            return Duration::ZERO;
        }
        let mut bucket = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.owe(bytes, class.retrieve_bytes_per_second, now)
    }

    /// Takes a place for a connection, if there is one.
    pub(super) fn connect(&self, class: &Class) -> bool {
        let most = if class.connections == 0 { u32::MAX } else { class.connections };
        let taken = self
            .connections
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |open| (open < most).then(|| open + 1))
            .is_ok();
        if !taken {
            self.limited.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    pub(super) fn disconnect(&self) {
        self.connections.fetch_sub(1, Ordering::AcqRel);
    }

    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Acquire)
    }

    pub fn limited(&self) -> u64 {
        self.limited.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class() -> Class {
        Class {
            name: "test".into(),
            requests_per_second: 10,
            burst: 3,
            retrieve_bytes_per_second: 1000,
            connections: 1,
            user_requests_per_second: 1,
            user_burst: 1,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_then_the_rate() {
        let (meter, class) = (Meter::default(), class());
        for _ in 0..3 {
            assert_eq!(meter.request(&class, Instant::now()), Ok(()));
        }
        let wait = meter.request(&class, Instant::now()).unwrap_err();
        assert_eq!((wait.as_millis(), meter.limited()), (100, 1));
        tokio::time::advance(Duration::from_millis(101)).await;
        assert_eq!(meter.request(&class, Instant::now()), Ok(()));
        assert!(meter.request(&class, Instant::now()).is_err());
        tokio::time::advance(Duration::from_secs(60)).await;
        let passed = (0..10).filter(|_| meter.request(&class, Instant::now()).is_ok()).count();
        assert_eq!(passed, 3);
        let unlimited = Class { requests_per_second: 0, ..class };
        assert!((0..1000).all(|_| meter.request(&unlimited, Instant::now()).is_ok()));
    }

    #[tokio::test(start_paused = true)]
    async fn people_are_told_apart() {
        let (meter, class) = (Meter::default(), class());
        assert!(meter.person(&class, "a", Instant::now()).is_ok());
        assert!(meter.person(&class, "a", Instant::now()).is_err());
        assert!(meter.person(&class, "b", Instant::now()).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_beyond_the_rate_are_owed() {
        let (meter, class) = (Meter::default(), class());
        assert_eq!(meter.sent(&class, 1000, Instant::now()), Duration::ZERO);
        assert_eq!(meter.sent(&class, 500, Instant::now()).as_millis(), 500);
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(meter.sent(&class, 100, Instant::now()).as_millis(), 100);
    }

    #[test]
    fn connections_are_given_back() {
        let (meter, class) = (Meter::default(), class());
        assert!(meter.connect(&class) && !meter.connect(&class));
        meter.disconnect();
        assert!(meter.connect(&class));
        assert_eq!((meter.connections(), meter.limited()), (1, 1));
    }
}
