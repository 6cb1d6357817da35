//! An invented population of a region and how its facilities have registered it: what the MPI's matching is measured
//! with (docs/matching.md).
//!
//! Households with families, twins, children named after a parent; marriages, moves, new employers; and registrations
//! at facilities each with its own way of writing, at the time of its last update, with errors people make. Who is who
//! is known. Family and given names have their real frequencies (`src/matching/names`), the many rare ones are put
//! together from common parts; places, telephone numbers and insurers do not exist.
//!
//! Made for the measure, not for training: nothing in `src/matching` is taken from what this room knows.

mod errors;
mod names;
mod people;
mod places;
mod registrations;
#[cfg(test)]
mod tests;

use std::fmt;

use super::rng::SplitMix64;
use crate::model::identity::{Demographics, NameScript, NameUse};
pub use people::Person;

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    pub seed: u64,
    pub persons: u64,
    /// Persons of 1,000 who are given another's name, sex and birth date (or nearly that date) on purpose.
    pub planted: u64,
    /// Errors as many times as usual.
    pub errors: f64,
}

impl Settings {
    pub fn of(seed: u64, persons: u64) -> Self {
        Self { seed, persons, planted: 0, errors: 1.0 }
    }
}

/// What befell a registration on its way, or sets two of one person apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// Long vowels, small kana, ヅ for ズ, voice marks.
    KanaWriting,
    KanaTypo,
    HalfWidth,
    MissingKana,
    MissingKanji,
    /// 髙 for 高 and the like.
    VariantKanji,
    /// 〓 for what a system cannot write.
    Gaiji,
    KanjiTypo,
    /// A foreign name in Latin letters where the kanji go.
    Roman,
    /// Family and given name in one piece.
    Undivided,
    Swapped,
    /// 通称名.
    Alias,
    /// A name given at the ward until there is one.
    Newborn,
    BirthDigit,
    BirthExchanged,
    /// Day and month turned.
    BirthTurned,
    EraSlip,
    /// 1 January for an unknown day.
    BirthPlaceholder,
    BirthPartial,
    BirthMissing,
    WrongSex,
    SexMissing,
    AddressMissing,
    /// The name a municipality had before it was merged.
    OldMunicipality,
    PhoneMissing,
    PhoneTypo,
    InsuranceMissing,
    /// Of pairs: what changed between them.
    Moved,
    Married,
    NewInsurance,
    NewPhone,
    /// Of pairs: registered twice by one facility.
    SameFacility,
}

impl Kind {
    pub const ALL: [Kind; 32] = [
        Kind::KanaWriting,
        Kind::KanaTypo,
        Kind::HalfWidth,
        Kind::MissingKana,
        Kind::MissingKanji,
        Kind::VariantKanji,
        Kind::Gaiji,
        Kind::KanjiTypo,
        Kind::Roman,
        Kind::Undivided,
        Kind::Swapped,
        Kind::Alias,
        Kind::Newborn,
        Kind::BirthDigit,
        Kind::BirthExchanged,
        Kind::BirthTurned,
        Kind::EraSlip,
        Kind::BirthPlaceholder,
        Kind::BirthPartial,
        Kind::BirthMissing,
        Kind::WrongSex,
        Kind::SexMissing,
        Kind::AddressMissing,
        Kind::OldMunicipality,
        Kind::PhoneMissing,
        Kind::PhoneTypo,
        Kind::InsuranceMissing,
        Kind::Moved,
        Kind::Married,
        Kind::NewInsurance,
        Kind::NewPhone,
        Kind::SameFacility,
    ];
}

/// A set of kinds.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds(u32);

impl Kinds {
    pub fn add(&mut self, kind: Kind) {
        self.0 |= 1 << kind as u32;
    }

    #[must_use]
    pub fn all(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn has(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u32) != 0
    }

    pub fn list(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(move |k| self.has(*k))
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list()).finish()
    }
}

/// What a registration is of, for the comparison of two: small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truth {
    /// Who it is.
    pub person: u32,
    pub facility: u16,
    pub kinds: Kinds,
    /// Which of their addresses, family names, insurances and mobile numbers it has.
    pub address: u8,
    pub family: u8,
    pub insurance: u8,
    pub phone: u8,
}

impl Truth {
    /// What befell either of two registrations of one person, or changed between them.
    pub fn between(&self, other: &Self) -> Kinds {
        let mut kinds = self.kinds.all(other.kinds);
        for (changed, kind) in [
            (self.address != other.address, Kind::Moved),
            (self.family != other.family, Kind::Married),
            (self.insurance != other.insurance, Kind::NewInsurance),
            (self.phone != other.phone, Kind::NewPhone),
            (self.facility == other.facility, Kind::SameFacility),
        ] {
            if changed {
                kinds.add(kind);
            }
        }
        kinds
    }
}

/// A registration as a facility has it.
#[derive(Clone, PartialEq)]
pub struct Registration {
    /// The patient's id at the facility.
    pub id: String,
    pub demographics: Demographics,
    pub truth: Truth,
}

impl Registration {
    /// Family and given name of a kind; empty if it has none.
    pub fn name(&self, script: NameScript, usage: NameUse) -> (String, String) {
        let names = self.demographics.names.iter().flatten();
        let mut fitting = names.filter(|n| n.script == Some(script) && n.usage == usage);
        fitting.next().map(|n| (n.family.clone(), n.given.clone())).unwrap_or_default()
    }
}

/// The region.
pub struct Population {
    settings: Settings,
    people: Vec<Person>,
    places: places::Region,
    names: names::Names,
    /// Person and which of their registrations, in the order they are fed.
    order: Vec<(u32, u8)>,
}

impl Population {
    pub fn generate(settings: Settings) -> Self {
        let names = names::Names::load();
        let places = places::Region::invent(settings.seed);
        let people = people::invent(settings, &names, &places);
        let mut order: Vec<(u32, u8)> = vec![];
        for (at, person) in people.iter().enumerate() {
            order.extend((0..person.registrations).map(|n| (at as u32, n)));
        }
        // Fisher and Yates.
        let mut rng = SplitMix64::derived(settings.seed, 77, 0);
        for at in (1..order.len()).rev() {
            order.swap(at, rng.below(at as u64 + 1) as usize);
        }
        Self { settings, people, places, names, order }
    }

    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// How many registrations there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Registrations in the order they are fed; each is made when it is asked for, and always the same.
    pub fn registrations(&self) -> impl Iterator<Item = Registration> + '_ {
        self.order.iter().filter_map(|(person, n)| self.registration(*person, *n))
    }

    /// The assigning authority of a facility (JP Core: the arc of 医療機関 and ten digits).
    pub fn domain(facility: u16) -> String {
        format!("1.2.392.100495.20.3.51.11399{facility:06}")
    }
}
