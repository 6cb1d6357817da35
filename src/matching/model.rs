//! Weights, thresholds and frequencies of names.

mod compare;
mod frequencies;
mod shipped;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::score::{FIELDS, Field, LEVELS, Level};
pub use frequencies::{FieldFrequencies, Frequencies};

/// Where the zones begin, in bits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// From here on a pair may be linked by itself.
    pub link: f64,
    /// From here on somebody looks at it.
    pub review: f64,
    /// Two persons closer together than this are both looked at.
    pub margin: f64,
    /// Name and birth date alone link two identities if fewer namesakes with that birth date are expected than this,
    /// and neither address nor phone nor insurance is known of both.
    pub namesakes: f64,
    /// The same where one of the three is known to differ.
    pub namesakes_elsewhere: f64,
    /// The same where two or three do: so people look who only share the name.
    pub namesakes_all_else: f64,
}

/// How often a level is seen: among pairs that are one person (m), and among others (u).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LevelRate {
    pub m: f64,
    pub u: f64,
}

/// What a model is made of; its JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelData {
    /// Where it comes from, for people.
    pub origin: String,
    pub thresholds: Thresholds,
    /// Pairs that are one person, per identity: with the number of identities, the prior.
    pub pairs_per_identity: f64,
    /// How many birth dates there are, each as frequent as another.
    pub birth_dates: f64,
    pub rates: BTreeMap<Field, BTreeMap<Level, LevelRate>>,
    pub frequencies: Frequencies,
}

/// What a decision is made with. Its JSON is what `chiren mpi train` writes and an operator accepts.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "ModelData", into = "ModelData")]
pub struct Model {
    data: ModelData,
    /// Bits, by field and level; missing is 0.
    weights: [[f32; LEVELS]; FIELDS],
    /// How often two strangers share a name, by its field.
    means: [f64; FIELDS],
    id: String,
}

/// Thousands of names are nobody's reading.
impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Model({}, {})", self.id, self.data.origin)
    }
}

/// No field weighs more, for or against: what is estimated from few pairs is not trusted further.
const LEAST: f64 = -8.0;
const MOST: f64 = 16.0;

impl Model {
    /// The one that comes with the program.
    pub fn shipped() -> Self {
        shipped::data().into()
    }

    /// A hash of everything in it; every decision names it.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn data(&self) -> &ModelData {
        &self.data
    }

    pub fn thresholds(&self) -> Thresholds {
        self.data.thresholds
    }

    /// The same with other thresholds.
    #[must_use]
    pub fn with_thresholds(&self, thresholds: Thresholds) -> Self {
        ModelData { thresholds, ..self.data.clone() }.into()
    }

    /// Bits of a level.
    pub fn weight(&self, field: Field, level: Level) -> f64 {
        f64::from(self.weights[field as usize][level as usize])
    }

    /// What a pair of an index of so many identities begins with: the larger it is, the more strangers a new identity
    /// is compared with.
    pub fn prior(&self, population: u64) -> f64 {
        let odds = self.data.pairs_per_identity / (population.max(2) as f64);
        odds.log2().min(-1.0)
    }
}

impl From<ModelData> for Model {
    fn from(mut data: ModelData) -> Self {
        data.frequencies.finish();
        let mut weights = [[0.0; LEVELS]; FIELDS];
        let mut means = [0.002; FIELDS];
        for (field, levels) in &data.rates {
            for (level, rate) in levels.iter().filter(|(l, _)| **l != Level::Missing) {
                let bits = (rate.m.max(1e-9) / rate.u.max(1e-9)).log2();
                weights[*field as usize][*level as usize] = bits.clamp(LEAST, MOST) as f32;
                if *level == Level::Equal {
                    means[*field as usize] = rate.u.max(1e-9);
                }
            }
        }
        let json = serde_json::to_vec(&data).unwrap_or_default();
        let id = Sha256::digest(&json).iter().take(8).map(|b| format!("{b:02x}")).collect();
        Self { data, weights, means, id }
    }
}

impl From<Model> for ModelData {
    fn from(model: Model) -> Self {
        model.data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_model_has_a_rate_for_every_level() {
        let model = Model::shipped();
        for field in Field::ALL {
            let rates = &model.data.rates[&field];
            let levels: Vec<Level> = rates.keys().copied().collect();
            let mut expected = field.levels().to_vec();
            expected.sort_unstable();
            assert_eq!(levels, expected, "{field:?}");
            for sum in [rates.values().map(|r| r.m).sum::<f64>(), rates.values().map(|r| r.u).sum()] {
                assert!((0.98..=1.02).contains(&sum), "{field:?}: {sum}");
            }
        }
    }

    #[test]
    fn json_gives_the_same_model() {
        let model = Model::shipped();
        let json = serde_json::to_string(&model).unwrap();
        let read: Model = serde_json::from_str(&json).unwrap();
        assert_eq!(read, model);
        assert_eq!(read.id().len(), 16);
        let other = model.with_thresholds(Thresholds { link: 13.0, ..model.thresholds() });
        assert_ne!(other.id(), model.id());
    }

    #[test]
    fn the_prior_falls_as_the_index_grows() {
        let model = Model::shipped();
        // patient-identity.md §6.3: -13.5 bits at 17 k records, -17.8 at 349 k.
        assert!((model.prior(17_000) + 13.5).abs() < 0.2, "{}", model.prior(17_000));
        assert!((model.prior(349_000) + 17.8).abs() < 0.2, "{}", model.prior(349_000));
        assert_eq!(model.prior(0), -1.0, "an empty index is no reason to believe");
    }
}
