//! Weights, thresholds and frequencies of names.

use serde::{Deserialize, Serialize};

use super::features::Features;
use super::score::{Comparison, Score};

/// Where the zones begin, in bits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// From here on a pair may be linked by itself.
    pub link: f64,
    /// From here on somebody looks at it.
    pub review: f64,
    /// Two persons closer together than this are both looked at.
    pub margin: f64,
}

/// What a decision is made with. Its JSON is what `chiren mpi train` writes and an operator accepts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    pub thresholds: Thresholds,
}

impl Model {
    /// The one that comes with the program.
    pub fn shipped() -> Self {
        Self { thresholds: Thresholds { link: 12.0, review: 0.0, margin: 4.0 } }
    }

    /// A hash of everything in it; every decision names it.
    pub fn id(&self) -> String {
        String::new()
    }

    /// Weighs two identities of an index with `population` active identities.
    pub fn score(&self, population: u64, left: &Features, right: &Features) -> Score {
        let _ = (population, left, right);
        Score { total: 0.0, prior: 0.0, fields: vec![], vetoes: vec![], corroborated: false }
    }

    /// As [`Model::score`], without the reasons.
    pub fn compare(&self, population: u64, left: &Features, right: &Features) -> Comparison {
        let _ = (population, left, right);
        Comparison { total: 0.0 }
    }
}
