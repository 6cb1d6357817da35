//! Assertions whose signature was verified already: a doctor's comes with every request of an hour, and to canonicalize
//! it, compare its digest and verify its signature costs more than all else that is asked of it.
//!
//! Known is a text, by its SHA-256: with one octet changed, or with another namespace in scope, it is another. What
//! depends on when and by whom it is brought is asked each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use crate::model::assertion::Assertion;

/// Remembered at least, and twice as many at most; of some KB each.
const MOST: usize = 1024;

pub type Text = [u8; 32];

/// An assertion that somebody trusted signed: whose it is, and which of their keys it was, by place.
#[derive(Debug)]
pub struct Verified {
    pub assertion: Assertion,
    pub issuer: usize,
    pub key: usize,
}

/// Two generations: what is not asked for while one fills up is forgotten.
#[derive(Debug, Default)]
pub struct Known(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Text, Arc<Verified>>,
    old: HashMap<Text, Arc<Verified>>,
}

pub fn digest(text: &str) -> Text {
    Sha256::digest(text.as_bytes()).into()
}

impl Known {
    pub fn get(&self, text: &Text) -> Option<Arc<Verified>> {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = generations.young.get(text) {
            return Some(found.clone());
        }
        let found = generations.old.remove(text)?;
        generations.put(*text, found.clone());
        Some(found)
    }

    pub fn put(&self, text: Text, verified: Arc<Verified>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(text, verified);
    }
}

impl Generations {
    fn put(&mut self, text: Text, verified: Arc<Verified>) {
        if self.young.len() >= MOST {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(text, verified);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(n: usize) -> Text {
        digest(&n.to_string())
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes() {
        let known = Known::default();
        let verified = Arc::new(Verified { assertion: super::super::tests::good(), issuer: 0, key: 0 });
        for n in 0..10 * MOST {
            known.put(text(n), verified.clone());
            assert!(known.get(&text(0)).is_some(), "{n}");
        }
        assert!(known.get(&text(1)).is_none());
        let generations = known.0.lock().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 2 * MOST);
    }
}
