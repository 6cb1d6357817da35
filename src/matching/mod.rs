//! Who is who: identities compared, and the decision whether a new one joins a person.
//!
//! Pure: demographics in, weights and reasons out. [`Features`] are what of demographics is compared, normalised
//! once and stored beside them; their [`Key`]s find candidates; a [`Model`] weighs two of them field by field
//! (Fellegi and Sunter 1969) and decides. docs/matching.md tells what the model is and how a decision is read.

mod decide;
mod features;
pub mod fold;
mod index;
mod keys;
pub mod levels;
mod model;
mod score;
mod train;
mod trial;

pub use decide::{Candidate, Judgement, Known, Outcome, Ranked, Reason, Subject};
pub use features::{BadFeatures, Features};
pub use index::Index;
pub use keys::{BLOCK_CAP, Key, KeyKind};
pub use model::{FieldFrequencies, Frequencies, LevelRate, Model, ModelData, Thresholds};
pub use score::{Comparison, Field, FieldScore, Level, Score, Veto};
pub use train::{Trained, Trainer};
pub use trial::{Trial, Zone};
