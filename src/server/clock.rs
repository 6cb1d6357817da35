//! The clock that is passed in: the system's, or one that tests move.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// Tells the time. Clones of a test clock move together.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    #[default]
    System,
    /// Stands still at these microseconds since 1970 until moved.
    Set(Arc<AtomicI64>),
}

impl Clock {
    /// A clock standing at `at`.
    pub fn at(at: Timestamp) -> Self {
        Clock::Set(Arc::new(AtomicI64::new(at.as_microsecond())))
    }

    pub fn now(&self) -> Timestamp {
        match self {
            Clock::System => Timestamp::now(),
            Clock::Set(micros) => {
                Timestamp::from_microsecond(micros.load(Ordering::Relaxed)).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// Moves a set clock; the system's stays as it is.
    pub fn advance(&self, by: SignedDuration) {
        if let Clock::Set(micros) = self {
            let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
            micros.fetch_add(by, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_move_together() {
        let clock = Clock::at("2026-11-22T00:00:00Z".parse().unwrap());
        clock.clone().advance(SignedDuration::from_mins(5));
        assert_eq!(clock.now().to_string(), "2026-11-22T00:05:00Z");
    }
}
