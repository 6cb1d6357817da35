//! Two identities weighed: patient-identity.md §6.3.

use super::Model;
use crate::matching::features::{Features, NameSpans, PLAIN, SOUND};
use crate::matching::levels;
use crate::matching::score::{Comparison, FIELDS, Field, Level, Score, Veto, Vetoes};

/// What one household shares counts once, and a little of the rest: address, phone, insurance, best first.
const HOUSEHOLD: [f32; 3] = [1.0, 0.2, 0.2];
/// Kana and kanji of one name tell nearly the same: the weaker of two that agree, or of two that differ, counts half.
const SECOND: f32 = 0.5;
/// How far the frequency of a name moves the weight of an agreement on it.
const FREQUENCY: f64 = 0.5;

impl Model {
    /// Weighs two identities of an index with `population` active identities.
    pub fn score(&self, population: u64, left: &Features, right: &Features) -> Score {
        let comparison = self.compare(population, left, right);
        comparison.explain(left, right, self.corroborated(&comparison))
    }

    /// As [`Model::score`], without the reasons.
    pub fn compare(&self, population: u64, left: &Features, right: &Features) -> Comparison {
        let mut c = Comparison { prior: self.prior(population), ..Comparison::default() };
        self.names(population, left, right, &mut c);
        c.levels[Field::BirthDate as usize] = levels::birth(left.birth, right.birth);
        c.levels[Field::Sex as usize] = match (left.sex, right.sex) {
            (Some(a), Some(b)) if a == b => Level::Equal,
            (Some(_), Some(_)) => Level::Differs,
            _ => Level::Missing,
        };
        let pair = |(level, i, j): (Level, usize, usize)| (level, (i as u8, j as u8));
        (c.levels[Field::Address as usize], c.addresses) = pair(levels::address(left, right));
        (c.levels[Field::Phone as usize], c.phones) = pair(levels::phone(left, right));
        (c.levels[Field::Insurance as usize], c.insurances) = pair(levels::insurance(left, right));
        for field in [Field::BirthDate, Field::Sex, Field::Address, Field::Phone, Field::Insurance] {
            c.weights[field as usize] = self.weights[field as usize][c.levels[field as usize] as usize];
        }
        self.household(&mut c);
        self.vetoes(left, right, &mut c);
        c.total = c.prior + c.weights.iter().map(|w| f64::from(*w)).sum::<f64>();
        c
    }

    /// The pair of names that speaks most for one person.
    fn names(&self, population: u64, left: &Features, right: &Features, c: &mut Comparison) {
        let mut best: Option<f32> = None;
        for (i, a) in left.names.iter().enumerate() {
            for (j, b) in right.names.iter().enumerate() {
                let (family_kana, given_kana) = levels::kana(left, a, right, b);
                let (family_kanji, given_kanji) = levels::written(left, a, right, b);
                let found = [family_kana, given_kana, family_kanji, given_kanji];
                let mut weights = [0.0; 4];
                for (at, level) in found.into_iter().enumerate() {
                    weights[at] = self.weights[at][level as usize];
                    if matches!(level, Level::Equal | Level::Sound | Level::Variant) {
                        weights[at] += self.rarity(population, Field::ALL[at], left, a, right, b);
                    }
                }
                for (kana, kanji) in [(0, 2), (1, 3)] {
                    let (x, y): (f32, f32) = (weights[kana], weights[kanji]);
                    if x * y > 0.0 {
                        let weaker = if x.abs() < y.abs() { kana } else { kanji };
                        weights[weaker] *= SECOND;
                    }
                }
                let sum = weights.iter().sum();
                if best.is_none_or(|b| sum > b) {
                    best = Some(sum);
                    c.levels[..4].copy_from_slice(&found);
                    c.weights[..4].copy_from_slice(&weights);
                    c.names = (i as u8, j as u8);
                    c.namesakes = self.namesakes(population, left, a, right, b);
                }
            }
        }
    }

    /// The share of the name of `field` that the two have in common.
    fn share(
        &self,
        field: Field,
        left: &Features,
        a: &NameSpans,
        right: &Features,
        b: &NameSpans,
    ) -> Option<f64> {
        let frequencies = self.data.frequencies.of(field)?;
        let of = |features: &'_ Features, name: &NameSpans| -> Option<f64> {
            let (family, given) = match field {
                Field::FamilyKana | Field::GivenKana => (name.family[SOUND], name.given[SOUND]),
                _ => (name.family[PLAIN], name.given[PLAIN]),
            };
            let (family, given) = (features.get(family), features.get(given));
            // A name nobody divided is no family name.
            let divided = !family.is_empty() && (!given.is_empty() || name.newborn);
            let value = if matches!(field, Field::FamilyKana | Field::FamilyKanji) { family } else { given };
            (divided && !value.is_empty()).then(|| frequencies.share(value))
        };
        of(left, a).or_else(|| of(right, b))
    }

    /// Bits by which a rare name counts more than one as common as most, and a common one less.
    fn rarity(
        &self,
        population: u64,
        field: Field,
        left: &Features,
        a: &NameSpans,
        right: &Features,
        b: &NameSpans,
    ) -> f32 {
        let Some(share) = self.share(field, left, a, right, b) else { return 0.0 };
        let mean = self.means[field as usize];
        let floor = 2.0 / population.max(2) as f64;
        (FREQUENCY * (mean / share.max(floor)).log2()) as f32
    }

    /// Expected number of other persons with this name and birth date.
    fn namesakes(
        &self,
        population: u64,
        left: &Features,
        a: &NameSpans,
        right: &Features,
        b: &NameSpans,
    ) -> f64 {
        let share = |kana: Field, kanji: Field| {
            let share = self.share(kana, left, a, right, b).or_else(|| self.share(kanji, left, a, right, b));
            share.unwrap_or(0.002)
        };
        let family = share(Field::FamilyKana, Field::FamilyKanji);
        let given = share(Field::GivenKana, Field::GivenKanji);
        population as f64 * family * given / self.data.birth_dates
    }

    fn household(&self, c: &mut Comparison) {
        let mut fields = [Field::Address as usize, Field::Phone as usize, Field::Insurance as usize];
        // A branch is one person's.
        let shared = |c: &Comparison, at: usize| {
            c.weights[at] > 0.0 && !(at == Field::Insurance as usize && c.levels[at] == Level::Equal)
        };
        fields.sort_by(|a, b| c.weights[*b].total_cmp(&c.weights[*a]));
        let mut counted = HOUSEHOLD.iter();
        for at in fields {
            if shared(c, at) {
                c.weights[at] *= counted.next().copied().unwrap_or(0.0);
            }
        }
        c.agrees = matches!(c.levels[Field::Address as usize], Level::Equal | Level::Known)
            || matches!(c.levels[Field::Phone as usize], Level::Equal | Level::Near)
            || matches!(c.levels[Field::Insurance as usize], Level::Equal | Level::Known);
        c.differing = fields.iter().filter(|at| c.levels[**at] == Level::Differs).count() as u8;
    }

    fn vetoes(&self, left: &Features, right: &Features, c: &mut Comparison) {
        let mut vetoes = Vetoes::default();
        let level = |field: Field| c.levels[field as usize];
        let (kana, kanji) = (level(Field::GivenKana), level(Field::GivenKanji));
        if !levels::is_same(kana) && !levels::is_same(kanji) {
            let unknown = kana == Level::Missing && kanji == Level::Missing;
            vetoes.add(if unknown { Veto::NoGivenName } else { Veto::GivenName });
        }
        match level(Field::BirthDate) {
            Level::Missing => vetoes.add(Veto::NoBirthDate),
            Level::Partly | Level::Differs => vetoes.add(Veto::BirthDate),
            _ => {}
        }
        if level(Field::Sex) == Level::Differs {
            vetoes.add(Veto::Sex);
        }
        if level(Field::Insurance) == Level::Partly {
            vetoes.add(Veto::Branch);
        }
        if left.order != 0 && right.order != 0 && left.order != right.order {
            vetoes.add(Veto::BirthOrder);
        }
        let after = |one: &Features, other: &Features| match (one.died, other.seen, other.died) {
            (Some(died), Some(seen), None) => seen > died,
            _ => false,
        };
        if after(left, right) || after(right, left) {
            vetoes.add(Veto::Deceased);
        }
        if left.unknown || right.unknown {
            vetoes.add(Veto::Unknown);
        }
        c.vetoes = vetoes;
    }

    /// Whether something besides name, birth date and sex speaks for it, or need not: few enough bear the name.
    pub(in crate::matching) fn corroborated(&self, c: &Comparison) -> bool {
        c.agrees || self.is_rare(c, c.namesakes)
    }

    /// Whether a pair without anything else in common is one person, with so many namesakes expected.
    pub(in crate::matching) fn is_rare(&self, c: &Comparison, namesakes: f64) -> bool {
        let level = |field: Field| c.levels[field as usize];
        let family = levels::is_same(level(Field::FamilyKana)) || levels::is_same(level(Field::FamilyKanji));
        let given = levels::is_same(level(Field::GivenKana)) || levels::is_same(level(Field::GivenKanji));
        let swapped =
            level(Field::FamilyKana) == Level::Swapped || level(Field::FamilyKanji) == Level::Swapped;
        let limits = self.data.thresholds;
        let limit = match c.differing {
            0 => limits.namesakes,
            1 => limits.namesakes_elsewhere,
            _ => limits.namesakes_all_else,
        };
        family && given && !swapped && level(Field::BirthDate) == Level::Equal && namesakes < limit
    }
}

const _: () = assert!(FIELDS == Field::ALL.len());
