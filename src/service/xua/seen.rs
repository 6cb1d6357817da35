//! Assertions that were brought, and by whom.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

/// Kept at most. A network of a thousand doctors has some thousand valid at a time.
const MOST: usize = 200_000;

type Hash = [u8; 32];

/// Assertions, each with who brought it and until when that matters.
#[derive(Default)]
pub struct Seen(Mutex<HashMap<Hash, (Hash, Timestamp)>>);

impl Seen {
    /// Notes that `bearer` brings it; whether they may.
    pub fn note(
        &self,
        issuer: &str,
        id: &str,
        bearer: Hash,
        once: bool,
        until: Timestamp,
        // What ended before this is let go.
        since: Timestamp,
    ) -> bool {
        let mut hasher = Sha256::new();
        hasher.update(issuer);
        hasher.update([0]);
        hasher.update(id);
        let key: Hash = hasher.finalize().into();
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((first, _)) = seen.get(&key) {
            return !once && *first == bearer;
        }
        if seen.len() >= MOST {
            seen.retain(|_, (_, until)| *until > since);
            if seen.len() >= MOST {
                // Better to ask some to sign in again than to forget whom an assertion belongs to.
                return false;
            }
        }
        seen.insert(key, (bearer, until));
        true
    }
}
