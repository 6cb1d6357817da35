//! The model that comes with the program.

use std::collections::BTreeMap;

use super::frequencies::{FieldFrequencies, Frequencies};
use super::{LevelRate, ModelData, Thresholds};
use crate::matching::fold;
use crate::matching::score::{Field, Level};

/// Level, m, u.
type Rates = &'static [(Level, f64, f64)];

/// patient-identity.md §6.3: EM on synthetic registrations, rounded; levels it does not name by their plain meaning.
/// A network that has data estimates its own (`chiren mpi train`).
const RATES: &[(Field, Rates)] = &[
    (
        Field::FamilyKana,
        &[
            (Level::Equal, 0.922, 0.0021),
            (Level::Sound, 0.007, 0.000_063),
            (Level::Swapped, 0.001, 0.000_01),
            (Level::Near, 0.035, 0.0038),
            (Level::Differs, 0.035, 0.994),
        ],
    ),
    (
        Field::GivenKana,
        &[
            (Level::Equal, 0.94, 0.0023),
            (Level::Sound, 0.009, 0.000_08),
            (Level::Swapped, 0.001, 0.000_01),
            (Level::Near, 0.02, 0.02),
            (Level::Differs, 0.03, 0.9776),
        ],
    ),
    (
        Field::FamilyKanji,
        &[
            (Level::Equal, 0.93, 0.0021),
            (Level::Variant, 0.022, 0.000_56),
            (Level::Swapped, 0.001, 0.000_01),
            (Level::Partly, 0.012, 0.045),
            (Level::Differs, 0.035, 0.952),
        ],
    ),
    (
        Field::GivenKanji,
        &[
            (Level::Equal, 0.945, 0.0014),
            (Level::Variant, 0.015, 0.000_2),
            (Level::Swapped, 0.001, 0.000_01),
            (Level::Partly, 0.01, 0.065),
            (Level::Differs, 0.029, 0.9334),
        ],
    ),
    (
        Field::BirthDate,
        &[
            (Level::Equal, 0.969, 0.000_05),
            (Level::Near, 0.02, 0.0011),
            (Level::Known, 0.004, 0.0002),
            (Level::Partly, 0.006, 0.0023),
            (Level::Differs, 0.001, 0.9964),
        ],
    ),
    (Field::Sex, &[(Level::Equal, 0.99, 0.5), (Level::Differs, 0.01, 0.5)]),
    (
        Field::Address,
        &[
            (Level::Equal, 0.83, 0.000_06),
            (Level::Known, 0.01, 0.000_04),
            (Level::Partly, 0.015, 0.02),
            (Level::Differs, 0.145, 0.98),
        ],
    ),
    (
        Field::Phone,
        &[(Level::Equal, 0.58, 0.000_03), (Level::Near, 0.01, 0.000_1), (Level::Differs, 0.41, 0.9998)],
    ),
    (
        Field::Insurance,
        &[
            (Level::Equal, 0.05, 0.000_001),
            (Level::Known, 0.63, 0.000_05),
            (Level::Partly, 0.0001, 0.0004),
            (Level::Differs, 0.32, 0.9995),
        ],
    ),
];

/// Shares of family names per 10,000 and of given names by birth decade; where from: docs/matching.md.
const FAMILY_NAMES: &str = include_str!("../names/family.tsv");
const GIVEN_NAMES: &str = include_str!("../names/given.tsv");

pub(super) fn data() -> ModelData {
    let rates = RATES.iter().map(|(field, levels)| {
        (*field, levels.iter().map(|(level, m, u)| (*level, LevelRate { m: *m, u: *u })).collect())
    });
    ModelData {
        origin: "shipped with the program".into(),
        // patient-identity.md §6.5, its start values. That a name is rare corroborates nothing until a network has
        // looked at what such links are worth there: docs/matching.md tells what each limit gives.
        thresholds: Thresholds {
            link: 12.0,
            review: 0.0,
            margin: 4.0,
            namesakes: 0.0,
            namesakes_elsewhere: 0.0,
            namesakes_all_else: 0.0,
        },
        pairs_per_identity: 1.5,
        birth_dates: 25_000.0,
        rates: rates.collect(),
        frequencies: frequencies(),
    }
}

fn frequencies() -> Frequencies {
    let (mut family_kanji, mut family_kana) = (BTreeMap::new(), BTreeMap::new());
    let (mut given_kanji, mut given_kana) = (BTreeMap::new(), BTreeMap::new());
    let add = |kanji: &mut BTreeMap<String, f64>,
               kana: &mut BTreeMap<String, f64>,
               names: (&str, &str),
               share: f64| {
        let written = fold::variants(&fold::kanji(names.0).0);
        *kanji.entry(written).or_default() += share;
        *kana.entry(fold::sound(&fold::kana(names.1))).or_default() += share;
    };
    for line in FAMILY_NAMES.lines().filter(|l| !l.starts_with('#')) {
        if let [kanji, kana, share] = line.split('\t').collect::<Vec<_>>()[..] {
            add(&mut family_kanji, &mut family_kana, (kanji, kana), share.parse().unwrap_or(0.0) / 1e4);
        }
    }
    // The 1920s to the 2020s, as many of each as live: the eldest and the youngest are fewer.
    const LIVING: [f64; 11] = [0.005, 0.05, 0.11, 0.13, 0.13, 0.14, 0.11, 0.10, 0.09, 0.08, 0.055];
    for line in GIVEN_NAMES.lines().filter(|l| !l.starts_with('#')) {
        if let [kanji, kana, _, decades] = line.split('\t').collect::<Vec<_>>()[..] {
            let shares = decades.split(' ').map(|d| d.parse().unwrap_or(0.0));
            // Per 10,000 of one sex.
            let share: f64 =
                shares.zip(LIVING).map(|(share, living): (f64, f64)| share * living).sum::<f64>() / 2e4;
            add(&mut given_kanji, &mut given_kana, (kanji, kana), share);
        }
    }
    Frequencies {
        family_kana: FieldFrequencies::new(5e-6, family_kana),
        given_kana: FieldFrequencies::new(3e-5, given_kana),
        family_kanji: FieldFrequencies::new(5e-6, family_kanji),
        given_kanji: FieldFrequencies::new(2e-5, given_kanji),
    }
}
