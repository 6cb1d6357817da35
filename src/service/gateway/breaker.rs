//! Whether somebody who keeps failing is asked again. Pure: the time is passed in.

use std::time::Duration;

use tokio::time::Instant;

/// The pause grows up to so many times the one configured.
const LONGEST: u32 = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Asked. So many failures in a row.
    Closed { failures: u64 },
    /// Not asked until then; so many times the pause.
    Open { until: Instant, times: u32 },
    /// One request is trying.
    HalfOpen { times: u32 },
}

#[derive(Debug)]
pub struct Breaker {
    /// Failures in a row that open it.
    limit: u64,
    pause: Duration,
    state: State,
}

/// Leave to ask. `trial`: the one that decides whether others may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leave {
    pub trial: bool,
}

/// As operators see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    Closed { failures: u64 },
    Open { left: Duration },
    HalfOpen,
}

impl Breaker {
    pub fn new(limit: u64, pause: Duration) -> Self {
        Self { limit, pause, state: State::Closed { failures: 0 } }
    }

    /// Leave to ask now, or how long there will be none.
    pub fn admit(&mut self, now: Instant) -> Result<Leave, Duration> {
        match self.state {
            State::Closed { .. } => Ok(Leave { trial: false }),
            State::Open { until, times } if until <= now => {
                self.state = State::HalfOpen { times };
                Ok(Leave { trial: true })
            }
            State::Open { until, .. } => Err(until - now),
            State::HalfOpen { .. } => Err(Duration::ZERO),
        }
    }

    /// The one asked has answered. Whether that closed it.
    pub fn succeeded(&mut self) -> bool {
        let closed = matches!(self.state, State::Closed { .. });
        self.state = State::Closed { failures: 0 };
        !closed
    }

    /// It has not. Whether that opened it. A request that began before it opened changes nothing.
    pub fn failed(&mut self, leave: Leave, now: Instant) -> bool {
        let times = match self.state {
            State::Closed { failures } if failures + 1 < self.limit => {
                self.state = State::Closed { failures: failures + 1 };
                return false;
            }
            State::Closed { .. } => 1,
            State::HalfOpen { times } if leave.trial => (times * 2).min(LONGEST),
            State::HalfOpen { .. } | State::Open { .. } => return false,
        };
        self.state = State::Open { until: now + self.pause * times, times };
        true
    }

    /// The asker went away before it was known.
    pub fn abandoned(&mut self, leave: Leave, now: Instant) {
        if let (State::HalfOpen { times }, true) = (self.state, leave.trial) {
            self.state = State::Open { until: now, times };
        }
    }

    pub fn seen(&self, now: Instant) -> Seen {
        match self.state {
            State::Closed { failures } => Seen::Closed { failures },
            State::Open { until, .. } if until <= now => Seen::HalfOpen,
            State::Open { until, .. } => Seen::Open { left: until - now },
            State::HalfOpen { .. } => Seen::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(10);

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(2, PAUSE);
        let leave = breaker.admit(now).unwrap();
        assert!(!breaker.failed(leave, now));
        assert!(breaker.failed(leave, now));
        breaker
    }

    #[test]
    fn it_opens_after_so_many_failures_in_a_row() {
        let now = Instant::now();
        let mut breaker = Breaker::new(2, PAUSE);
        let leave = breaker.admit(now).unwrap();
        assert!(!breaker.failed(leave, now));
        assert!(!breaker.succeeded());
        assert!(!breaker.failed(leave, now), "a success in between begins the count anew");
        assert!(breaker.failed(leave, now));
        assert_eq!(breaker.admit(now), Err(PAUSE));
    }

    #[test]
    fn one_request_tries_after_the_pause() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let later = now + PAUSE;
        assert_eq!(breaker.seen(later), Seen::HalfOpen);
        assert_eq!(breaker.admit(later), Ok(Leave { trial: true }));
        assert_eq!(breaker.admit(later), Err(Duration::ZERO), "one alone");
        assert!(breaker.succeeded());
        assert_eq!(breaker.admit(later), Ok(Leave { trial: false }));
    }

    #[test]
    fn the_pause_doubles_to_a_limit() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        for times in [2, 4, 8, 16, 16] {
            let Seen::Open { left } = breaker.seen(now) else { panic!("it is open") };
            now += left;
            let leave = breaker.admit(now).unwrap();
            assert!(breaker.failed(leave, now));
            assert_eq!(breaker.seen(now), Seen::Open { left: PAUSE * times });
        }
    }

    #[test]
    fn stragglers_and_the_abandoned_change_little() {
        let now = Instant::now();
        let mut breaker = opened(now);
        assert!(!breaker.failed(Leave { trial: false }, now), "it began before");
        let later = now + PAUSE;
        let leave = breaker.admit(later).unwrap();
        breaker.abandoned(leave, later);
        assert_eq!(breaker.admit(later), Ok(Leave { trial: true }), "the next one tries");
    }
}
