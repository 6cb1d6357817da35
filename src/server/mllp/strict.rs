//! What a node of the directory keeps to, unless the directory is lenient with it: segments end in CR, and a control
//! id (MSH-10) means one message.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

/// How long a control id is remembered. Senders count anew every day, some every thousand messages.
const WINDOW: SignedDuration = SignedDuration::from_hours(1);
/// Control ids remembered.
const PLACES: usize = 20_000;

/// Control ids of feeds that were taken, by node.
#[derive(Default)]
pub struct Heard(Mutex<HashMap<Message, Answered>>);

/// Sender and MSH-10.
type Message = (String, String);

/// SHA-256 of the message, and when it came.
type Answered = ([u8; 32], Timestamp);

impl Heard {
    /// Whether the node sent another message under this control id, and it was taken.
    pub fn altered(&self, node: &str, control_id: &str, message: &[u8], now: Timestamp) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.get(&(node.to_owned(), control_id.to_owned()));
        before.is_some_and(|(hash, at)| now.duration_since(*at) < WINDOW && *hash != digest(message))
    }

    /// It was taken.
    pub fn note(&self, node: &str, control_id: &str, message: &[u8], now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= PLACES {
            known.retain(|_, (_, at)| now.duration_since(*at) < WINDOW);
        }
        if known.len() < PLACES {
            known.insert((node.to_owned(), control_id.to_owned()), (digest(message), now));
        }
    }
}

fn digest(message: &[u8]) -> [u8; 32] {
    Sha256::digest(message).into()
}

/// Whether segments end in LF alone.
pub fn ends_in_lf(message: &[u8]) -> bool {
    let body = message.trim_ascii();
    body.contains(&b'\n') && !body.contains(&b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_id_means_one_message_for_an_hour() {
        let heard = Heard::default();
        let now: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        heard.note("a", "1", b"one", now);
        assert!(!heard.altered("a", "1", b"one", now) && heard.altered("a", "1", b"other", now));
        assert!(!heard.altered("b", "1", b"other", now) && !heard.altered("a", "2", b"other", now));
        assert!(!heard.altered("a", "1", b"other", now + WINDOW));
        assert!(ends_in_lf(b"MSH|\nPID|") && !ends_in_lf(b"MSH|\rPID|\r") && !ends_in_lf(b"MSH|\r\nPID"));
    }
}
