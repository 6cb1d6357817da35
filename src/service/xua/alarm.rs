//! Refused assertions counted: in metrics each, and by node, so that many of one node are a security alert of their own.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use metrics::counter;

/// Assertions and tokens looked at, by kind of token and how that ended: `held`, or the code of the refusal.
pub const EXAMINED: &str = "chiren_assertions_total";
/// Alarms, by kind of token.
pub const ALARMS: &str = "chiren_assertion_alarms_total";

/// Nodes told apart; beyond them all count as one.
const PLACES: usize = 4096;

pub fn examined(token: &'static str, outcome: &'static str) {
    counter!(EXAMINED, "token" => token, "outcome" => outcome).increment(1);
}

pub fn alarmed(token: &'static str) {
    counter!(ALARMS, "token" => token).increment(1);
}

/// Counts by node. Time is passed in, microseconds since 1970.
pub struct Alarm {
    failures: u64,
    window: i64,
    places: Mutex<HashMap<Option<String>, Place>>,
}

struct Place {
    since: i64,
    failures: u64,
}

impl Alarm {
    pub fn new(failures: u64, minutes: u64) -> Self {
        let window = i64::try_from(minutes).unwrap_or(10).saturating_mul(60_000_000);
        Self { failures, window, places: Mutex::default() }
    }

    /// Counts a failure of `node`; says how many, when they have become enough, once in a window.
    pub fn failed(&self, node: &str, now: i64) -> Option<u64> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock set back opens no window for longer than one.
        let over = |place: &Place| now.saturating_sub(place.since).saturating_abs() >= self.window;
        let mut key = Some(node.to_owned());
        if places.len() >= PLACES && !places.contains_key(&key) {
            places.retain(|_, place| !over(place));
            if places.len() >= PLACES {
                key = None;
            }
        }
        let place = places.entry(key).or_insert(Place { since: now, failures: 0 });
        if over(place) {
            *place = Place { since: now, failures: 0 };
        }
        place.failures += 1;
        (place.failures == self.failures).then_some(place.failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    #[test]
    fn enough_of_one_node_in_a_window_is_an_alarm_once() {
        let alarm = Alarm::new(3, 10);
        assert_eq!([0, 1, 2, 3].map(|at| alarm.failed("a", at)), [None, None, Some(3), None]);
        assert_eq!([4, 5].map(|at| alarm.failed("b", at)), [None, None]);
        // The window of a is over, that of b not.
        assert_eq!(alarm.failed("b", 9 * MINUTE), Some(3));
        let later = 10 * MINUTE;
        assert_eq!([0, 1, 2].map(|at| alarm.failed("a", later + at)), [None, None, Some(3)]);
    }

    #[test]
    fn too_many_nodes_count_as_one() {
        let alarm = Alarm::new(2, 10);
        for n in 0..PLACES {
            assert_eq!(alarm.failed(&n.to_string(), 0), None);
        }
        assert_eq!((alarm.failed("x", 0), alarm.failed("y", 0)), (None, Some(2)));
        assert_eq!(alarm.failed("x", 10 * MINUTE), None, "others have gone quiet and made room");
    }
}
