//! What of demographics is compared: normalised once, when an identity is fed, and stored beside it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::keys::Key;
use crate::model::identity::Demographics;

/// Normalised demographics of one identity.
///
/// Stored as one line of text ([`Features::store`], [`Features::read`]), which is read several times faster than
/// JSON: a feed compares up to 600 of them. Serde writes the same line as a string.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Features {
    line: String,
}

/// A stored line that is none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stored features are not of this program's form")]
pub struct BadFeatures;

impl Features {
    /// What is compared of `demographics`.
    pub fn of(demographics: &Demographics) -> Self {
        let _ = demographics;
        Self::default()
    }

    /// Blocking keys: two identities that share one are compared. Sorted, each once.
    pub fn keys(&self) -> Vec<Key> {
        vec![]
    }

    /// The line that is stored.
    pub fn store(&self) -> String {
        self.line.clone()
    }

    /// What was stored.
    pub fn read(line: &str) -> Result<Self, BadFeatures> {
        Ok(Self { line: line.to_owned() })
    }
}

/// Prints nothing of the patient.
impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Features(…)")
    }
}

impl Serialize for Features {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.store())
    }
}

impl<'de> Deserialize<'de> for Features {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let line = String::deserialize(deserializer)?;
        Self::read(&line).map_err(serde::de::Error::custom)
    }
}
