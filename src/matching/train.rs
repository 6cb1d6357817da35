//! A model from a network's own identities (patient-identity.md §6.3).
//!
//! How often levels agree by chance (u) is counted on random pairs. How often they agree within a person (m) is found
//! by expectation and maximisation among the pairs of loose blocks: those with one birth date tell of the names, those
//! with one given name of the rest; never a field of what the block is made by. Blocks by address, telephone or
//! insurance are not used: there EM finds the household.

use std::collections::{BTreeMap, HashMap};

use super::features::{Features, PLAIN, SOUND};
use super::keys::{Key, KeyKind};
use super::model::{FieldFrequencies, Frequencies, LevelRate, Model, ModelData};
use super::score::{Comparison, FIELDS, Field, LEVELS, Level};

/// Identities kept for each of the two kinds of block.
const KEPT: usize = 150_000;
/// Identities kept for random pairs, and how many pairs.
const RANDOM: usize = 20_000;
const RANDOM_PAIRS: u64 = 3_000_000;
/// Pairs the model started from counts as: levels that are hardly ever seen keep its rates.
const TRUST_M: f64 = 50.0;
const TRUST_U: f64 = 200_000.0;
/// Names listed by frequency, of each field.
const LISTED: usize = 30_000;
const ROUNDS: usize = 60;

/// Takes identities one by one, in any order, and keeps what it needs of them.
pub struct Trainer {
    start: Model,
    /// Of so many dates (names), one is kept.
    thinning: u64,
    seen: u64,
    by_birth: HashMap<i64, Vec<Features>>,
    by_name: HashMap<i64, Vec<Features>>,
    random: Vec<Features>,
    names: [HashMap<String, u32>; 4],
    state: u64,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Trained {
    pub model: Model,
    pub identities: u64,
    /// Pairs compared in blocks by birth date and by name.
    pub pairs: (u64, u64),
}

impl Trainer {
    /// `expected`: about how many identities will be given.
    pub fn new(start: &Model, expected: u64) -> Self {
        Self {
            start: start.clone(),
            thinning: expected.div_ceil(KEPT as u64).max(1),
            seen: 0,
            by_birth: HashMap::new(),
            by_name: HashMap::new(),
            random: vec![],
            names: Default::default(),
            state: 0x9E37_79B9_7F4A_7C15,
        }
    }

    pub fn add(&mut self, features: &Features) {
        self.seen += 1;
        self.count_names(features);
        if let Some(birth) = features.birth.filter(|b| b.is_whole()) {
            let value = format!("{:04}{:02}{:02}", birth.year, birth.month, birth.day);
            self.keep(true, Key { kind: KeyKind::BirthGiven, value }, features);
        }
        let name =
            features.names.first().map(|n| (features.get(n.given[SOUND]), features.get(n.family[SOUND])));
        if let Some((given, family)) = name
            && let Some(initial) = family.chars().next()
            && !given.is_empty()
        {
            self.keep(false, Key { kind: KeyKind::Kana, value: format!("{initial}{given}") }, features);
        }
        // Reservoir.
        if self.random.len() < RANDOM {
            self.random.push(features.clone());
        } else {
            let at = self.below(self.seen) as usize;
            if let Some(place) = self.random.get_mut(at) {
                *place = features.clone();
            }
        }
    }

    /// Whole blocks are kept or left out: pairs within stay complete.
    fn keep(&mut self, birth: bool, key: Key, features: &Features) {
        let hash = key.hash();
        let blocks = if birth { &mut self.by_birth } else { &mut self.by_name };
        if hash.cast_unsigned().is_multiple_of(self.thinning) {
            blocks.entry(hash).or_default().push(features.clone());
        }
    }

    fn count_names(&mut self, features: &Features) {
        let Some(name) = features.names.first() else { return };
        if name.newborn
            || (features.get(name.given[SOUND]).is_empty() && features.get(name.given[PLAIN]).is_empty())
        {
            return;
        }
        let values = [name.family[SOUND], name.given[SOUND], name.family[PLAIN], name.given[PLAIN]];
        for (counts, value) in self.names.iter_mut().zip(values) {
            let value = features.get(value);
            if !value.is_empty() {
                match counts.get_mut(value) {
                    Some(count) => *count += 1,
                    None => {
                        counts.insert(value.to_owned(), 1);
                    }
                }
            }
        }
    }

    fn below(&mut self, n: u64) -> u64 {
        // xorshift64*: only spread matters.
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let drawn = self.state.wrapping_mul(0x2545_F491_4F6C_DD1D);
        ((u128::from(drawn) * u128::from(n.max(1))) >> 64) as u64
    }

    /// Estimates. `origin` is kept in the model, for people.
    pub fn finish(mut self, origin: &str) -> Trained {
        let frequencies = self.frequencies();
        let u = self.by_chance(&frequencies);
        let births = Estimate::of(&self.start, &u, self.seen, self.by_birth.values(), Field::BirthDate);
        let names = Estimate::of(&self.start, &u, self.seen, self.by_name.values(), Field::GivenKana);
        let mut rates: BTreeMap<Field, BTreeMap<Level, LevelRate>> = BTreeMap::new();
        for field in Field::ALL {
            let is_name = field <= Field::GivenKanji;
            for level in field.levels() {
                let at = (field as usize, *level as usize);
                let m = match field {
                    Field::BirthDate => names.m(at),
                    _ if is_name => births.m(at),
                    _ => f64::midpoint(births.m(at), names.m(at)),
                };
                rates.entry(field).or_default().insert(*level, LevelRate { m, u: u[at.0][at.1] });
            }
        }
        let equal = rates.get(&Field::BirthDate).and_then(|r| r.get(&Level::Equal)).map_or(0.97, |r| r.m);
        let start = self.start.data();
        let pairs_per_identity = match births.records {
            0 => start.pairs_per_identity,
            records => (births.matches / records as f64 / equal.max(0.5)).clamp(0.01, 20.0),
        };
        let data = ModelData {
            origin: origin.to_owned(),
            thresholds: start.thresholds,
            pairs_per_identity,
            birth_dates: start.birth_dates,
            rates,
            frequencies,
        };
        Trained { model: data.into(), identities: self.seen, pairs: (births.pairs, names.pairs) }
    }

    fn frequencies(&mut self) -> Frequencies {
        let [family_kana, given_kana, family_kanji, given_kanji] =
            std::mem::take(&mut self.names).map(|counts| {
                let total: u64 = counts.values().map(|c| u64::from(*c)).sum();
                let mut listed: Vec<(String, u32)> = counts.into_iter().collect();
                listed.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
                let common = listed.partition_point(|(_, count)| *count > 2).min(LISTED);
                let rest = listed.split_off(common);
                let left: u64 = rest.iter().map(|(_, count)| u64::from(*count)).sum();
                let total = total.max(1) as f64;
                let rare =
                    if rest.is_empty() { 1.0 / total } else { left as f64 / rest.len() as f64 / total };
                let shares =
                    listed.into_iter().map(|(name, count)| (name, f64::from(count) / total)).collect();
                FieldFrequencies::new((rare * 1e9).round() / 1e9, shares)
            });
        Frequencies { family_kana, given_kana, family_kanji, given_kanji }
    }

    /// How often levels are seen among strangers.
    fn by_chance(&mut self, frequencies: &Frequencies) -> [[f64; LEVELS]; FIELDS] {
        let mut counts = [[0.0; LEVELS]; FIELDS];
        let n = self.random.len() as u64;
        let pairs = RANDOM_PAIRS.min(n * 30);
        for _ in 0..pairs {
            let (i, j) = (self.below(n) as usize, self.below(n) as usize);
            let (Some(a), Some(b)) = (self.random.get(i), self.random.get(j)) else { continue };
            if i == j {
                continue;
            }
            let c = self.start.compare(self.seen, a, b);
            for (field, level) in c.levels.iter().enumerate() {
                counts[field][*level as usize] += 1.0;
            }
        }
        let mut u = self.smoothed(&counts, TRUST_U, |rate| rate.u);
        // What two strangers have in common is known better from the shares of the names.
        for field in [Field::FamilyKana, Field::GivenKana, Field::FamilyKanji, Field::GivenKanji] {
            let Some(shares) = frequencies.of(field).map(|f| &f.shares).filter(|s| s.len() > 50) else {
                continue;
            };
            let mean: f64 = shares.values().map(|s| s * s).sum();
            let at = field as usize;
            let old = u[at][Level::Equal as usize];
            u[at][Level::Equal as usize] = mean.max(1e-7);
            u[at][Level::Differs as usize] = (u[at][Level::Differs as usize] + old - mean).clamp(0.5, 1.0);
        }
        u
    }

    fn smoothed(
        &self,
        counts: &[[f64; LEVELS]; FIELDS],
        trust: f64,
        rate: impl Fn(&LevelRate) -> f64,
    ) -> [[f64; LEVELS]; FIELDS] {
        let mut out = [[0.0; LEVELS]; FIELDS];
        for field in Field::ALL {
            let known: f64 = field.levels().iter().map(|l| counts[field as usize][*l as usize]).sum();
            for level in field.levels() {
                let start =
                    self.start.data().rates.get(&field).and_then(|r| r.get(level)).map_or(1e-4, &rate);
                let count = counts[field as usize][*level as usize];
                out[field as usize][*level as usize] = (count + trust * start) / (known + trust);
            }
        }
        out
    }
}

/// EM over the pairs of blocks.
struct Estimate {
    m: [[f64; LEVELS]; FIELDS],
    records: u64,
    pairs: u64,
    /// Expected number of pairs that are one person.
    matches: f64,
}

impl Estimate {
    fn of<'a>(
        start: &Model,
        u: &[[f64; LEVELS]; FIELDS],
        population: u64,
        blocks: impl Iterator<Item = &'a Vec<Features>>,
        key: Field,
    ) -> Self {
        let mut patterns: HashMap<[Level; FIELDS], u64> = HashMap::new();
        let (mut records, mut pairs) = (0, 0);
        for block in blocks {
            records += block.len() as u64;
            for (i, a) in block.iter().enumerate() {
                for b in &block[i + 1..] {
                    let Comparison { levels, .. } = start.compare(population, a, b);
                    *patterns.entry(levels).or_default() += 1;
                    pairs += 1;
                }
            }
        }
        // Fields of the key tell nothing here: given name and family name in either script, if names are the key.
        let told = |field: Field| match key {
            Field::BirthDate => field != Field::BirthDate,
            _ => field > Field::GivenKanji,
        };
        let begin = |field: Field, level: Level| {
            start.data().rates.get(&field).and_then(|r| r.get(&level)).map_or(1e-3, |r| r.m)
        };
        let mut m = [[0.0; LEVELS]; FIELDS];
        for field in Field::ALL {
            for level in field.levels() {
                m[field as usize][*level as usize] = begin(field, *level);
            }
        }
        let mut lambda = 0.3;
        let mut matches = 0.0;
        for _ in 0..ROUNDS {
            let mut counts = [[0.0; LEVELS]; FIELDS];
            matches = 0.0;
            for (levels, count) in &patterns {
                let mut odds = lambda / (1.0 - lambda);
                for field in Field::ALL.into_iter().filter(|f| told(*f)) {
                    let level = levels[field as usize];
                    if level != Level::Missing {
                        let at = (field as usize, level as usize);
                        odds *= m[at.0][at.1].max(1e-6) / u[at.0][at.1].max(1e-7);
                    }
                }
                let expected = *count as f64 * odds / (1.0 + odds);
                matches += expected;
                for (field, level) in levels.iter().enumerate() {
                    counts[field][*level as usize] += expected;
                }
            }
            lambda = (matches / pairs.max(1) as f64).clamp(1e-6, 0.95);
            for field in Field::ALL.into_iter().filter(|f| told(*f)) {
                let known: f64 = field.levels().iter().map(|l| counts[field as usize][*l as usize]).sum();
                for level in field.levels() {
                    let at = (field as usize, *level as usize);
                    m[at.0][at.1] = (counts[at.0][at.1] + TRUST_M * begin(field, *level)) / (known + TRUST_M);
                }
            }
        }
        Self { m, records, pairs, matches }
    }

    fn m(&self, at: (usize, usize)) -> f64 {
        self.m[at.0][at.1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::population::{Population, Settings};

    #[test]
    fn a_model_is_found_in_a_region() {
        let population = Population::generate(Settings::of(11, 6000));
        let start = Model::shipped();
        let mut trainer = Trainer::new(&start, population.len() as u64);
        for registration in population.registrations() {
            trainer.add(&Features::of(&registration.demographics));
        }
        let trained = trainer.finish("a test");
        assert_eq!(trained.identities, population.len() as u64);
        let rates = &trained.model.data().rates;
        let m = |field: Field, level: Level| rates[&field][&level].m;
        assert!((0.85..1.0).contains(&m(Field::FamilyKana, Level::Equal)), "{rates:?}");
        assert!((0.85..1.0).contains(&m(Field::GivenKana, Level::Equal)), "{rates:?}");
        assert!((0.9..1.0).contains(&m(Field::BirthDate, Level::Equal)), "{rates:?}");
        assert!(m(Field::GivenKana, Level::Differs) < 0.06, "the household was found: {rates:?}");
        assert!((0.5..0.95).contains(&m(Field::Address, Level::Equal)), "{rates:?}");
        // Pairs there really are.
        let mut each: HashMap<u32, u64> = HashMap::new();
        for registration in population.registrations() {
            *each.entry(registration.truth.person).or_default() += 1;
        }
        let pairs: u64 = each.values().map(|n| n * (n - 1) / 2).sum();
        let truth = pairs as f64 / population.len() as f64;
        let found = trained.model.data().pairs_per_identity;
        assert!((truth * 0.7..truth * 1.4).contains(&found), "{found} where there are {truth}");
    }

    #[test]
    fn nothing_to_learn_from_leaves_the_model_as_it_was() {
        let start = Model::shipped();
        let trained = Trainer::new(&start, 0).finish("nothing").model;
        for field in Field::ALL {
            for level in field.levels() {
                let (a, b) = (start.weight(field, *level), trained.weight(field, *level));
                assert!((a - b).abs() < 0.5, "{field:?} {level:?}: {a} {b}");
            }
        }
    }
}
