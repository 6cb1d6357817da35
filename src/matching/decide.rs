//! The decision: a new identity joins one person, or somebody looks at it, or it is a new person.

use serde::{Deserialize, Serialize};

use super::features::Features;
use super::model::Model;
use super::score::{Score, Veto};

/// The identity that looks for its person.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The assigning authority (OID).
    pub domain: &'a str,
    pub features: &'a Features,
}

/// An identity that is there already.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Its row.
    pub key: i64,
    pub domain: &'a str,
    pub features: &'a Features,
    /// Somebody said that it is not the subject.
    pub do_not_link: bool,
}

/// A person with all its active identities, of which at least one shares a key with the subject.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    pub person: i64,
    pub identities: Vec<Known<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    Link(i64),
    Review,
    New,
}

/// Why the outcome is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// Nobody shares a key.
    NoCandidate,
    /// Nobody reaches the threshold of review.
    Below,
    /// Weight, corroboration, nothing against it.
    Certain,
    /// 保険者番号, 記号, 番号, 枝番 and birth date are the same.
    StrongIdentifier,
    /// Between the thresholds.
    Between,
    Vetoed(Veto),
    /// Heavy enough, but name and birth date alone may be a namesake's.
    Uncorroborated,
    /// Another person is as near.
    TwoPersons,
}

/// A person as it was weighed: by its best identity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    pub person: i64,
    pub identity: i64,
    pub score: Score,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    pub outcome: Outcome,
    pub reason: Reason,
    /// Persons that reach the threshold of review, best first; at least the best.
    pub ranked: Vec<Ranked>,
}

impl Model {
    /// Decides about `subject` (patient-identity.md §6.5). Candidates are those who share a key with it.
    pub fn decide(&self, population: u64, subject: &Subject<'_>, candidates: &[Candidate<'_>]) -> Judgement {
        let _ = (population, subject, candidates);
        Judgement { outcome: Outcome::New, reason: Reason::NoCandidate, ranked: vec![] }
    }
}
