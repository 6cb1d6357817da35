//! What another model would do: outcome counts of two over the same pairs, nothing changed.

use serde::{Deserialize, Serialize};

use super::features::Features;
use super::model::Model;
use super::score::Comparison;

/// What becomes of a pair on its own: without other persons in view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Zone {
    Linked,
    Review,
    New,
}

impl Zone {
    pub const ALL: [Zone; 3] = [Zone::Linked, Zone::Review, Zone::New];
}

impl Model {
    /// The zone of a pair.
    pub fn zone(&self, c: &Comparison) -> Zone {
        let limits = self.thresholds();
        match () {
            () if c.total >= limits.link && c.vetoes.is_empty() && self.corroborated(c) => Zone::Linked,
            () if c.total >= limits.review => Zone::Review,
            () => Zone::New,
        }
    }
}

/// Pairs by zone: under the model in force (first index) and under the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Trial {
    pub counts: [[u64; 3]; 3],
}

impl Trial {
    /// Adds a pair of an index with `population` identities.
    pub fn add(&mut self, force: &Model, other: &Model, population: u64, left: &Features, right: &Features) {
        let zone = |model: &Model| model.zone(&model.compare(population, left, right)) as usize;
        self.counts[zone(force)][zone(other)] += 1;
    }

    pub fn count(&self, force: Zone, other: Zone) -> u64 {
        self.counts[force as usize][other as usize]
    }

    pub fn pairs(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::Thresholds;
    use crate::model::identity::{Address, Demographics, PersonName};

    #[test]
    fn a_higher_threshold_sends_a_pair_to_review() {
        let features = Features::of(&Demographics {
            names: Some(vec![PersonName {
                family: "高橋".into(),
                given: "健一".into(),
                ..PersonName::default()
            }]),
            birth_date: Some("19800302".into()),
            addresses: Some(vec![Address { text: "東川市本町1-2-3".into(), ..Address::default() }]),
            ..Demographics::default()
        });
        let force = Model::shipped();
        let strict = force.with_thresholds(Thresholds { link: 60.0, ..force.thresholds() });
        let mut trial = Trial::default();
        trial.add(&force, &strict, 1000, &features, &features);
        trial.add(&force, &force, 1000, &features, &Features::default());
        assert_eq!(trial.count(Zone::Linked, Zone::Review), 1);
        assert_eq!(trial.count(Zone::New, Zone::New), 1);
        assert_eq!(trial.pairs(), 2);
    }
}
