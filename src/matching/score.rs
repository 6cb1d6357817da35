//! What two identities are worth to each other, and why.

use serde::{Deserialize, Serialize};

use super::features::{Features, NameSpans};
use super::levels;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Field {
    FamilyKana,
    GivenKana,
    FamilyKanji,
    GivenKanji,
    BirthDate,
    Sex,
    Address,
    Phone,
    Insurance,
}

/// How many there are.
pub(super) const FIELDS: usize = 9;

impl Field {
    pub const ALL: [Field; FIELDS] = [
        Field::FamilyKana,
        Field::GivenKana,
        Field::FamilyKanji,
        Field::GivenKanji,
        Field::BirthDate,
        Field::Sex,
        Field::Address,
        Field::Phone,
        Field::Insurance,
    ];

    /// The levels two known values may have.
    pub fn levels(self) -> &'static [Level] {
        match self {
            Self::FamilyKana | Self::GivenKana => {
                &[Level::Equal, Level::Sound, Level::Swapped, Level::Near, Level::Differs]
            }
            Self::FamilyKanji | Self::GivenKanji => {
                &[Level::Equal, Level::Variant, Level::Swapped, Level::Partly, Level::Differs]
            }
            Self::BirthDate => &[Level::Equal, Level::Near, Level::Known, Level::Partly, Level::Differs],
            Self::Sex => &[Level::Equal, Level::Differs],
            Self::Address => &[Level::Equal, Level::Known, Level::Partly, Level::Differs],
            Self::Phone => &[Level::Equal, Level::Near, Level::Differs],
            Self::Insurance => &[Level::Equal, Level::Known, Level::Partly, Level::Differs],
        }
    }
}

/// How two values of a field agree. Which levels a field has: [`Field::levels`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum Level {
    /// One side does not say.
    #[default]
    Missing,
    Equal,
    /// Names: same sound, other kana.
    Sound,
    /// Names in kanji: a variant of the character, or a character nobody can read.
    Variant,
    /// Family and given name exchanged.
    Swapped,
    /// Names: one kana other, more or less. Birth dates and phones: one digit, or two neighbours exchanged.
    Near,
    /// Names in kanji: one character in common. Birth dates: same month and day. Addresses: same town. Insurance:
    /// another branch under the same number.
    Partly,
    /// Birth dates: equal as far as both say. Addresses: the town's end and the numbers. Insurance: branch unknown.
    Known,
    Differs,
}

/// How many there are.
pub(super) const LEVELS: usize = 9;

/// Why a pair is not linked whatever its weight: patient-identity.md §6.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Veto {
    /// Given names that differ: twins, parents and children.
    GivenName,
    /// Nothing is known that could speak for the given name: names of newborns.
    NoGivenName,
    Sex,
    /// Other 枝番 under one 記号・番号.
    Branch,
    /// Further apart than a digit or an exchange.
    BirthDate,
    /// One side has none.
    NoBirthDate,
    /// PID-25 says another order of a multiple birth.
    BirthOrder,
    /// Somebody has said so.
    DoNotLink,
    /// Both are in one domain: only the facility merges its own ids.
    SameDomain,
    /// One had died before the other was seen.
    Deceased,
    /// PID-31: nobody knows who this is.
    Unknown,
}

impl Veto {
    pub const ALL: [Veto; 11] = [
        Veto::GivenName,
        Veto::NoGivenName,
        Veto::Sex,
        Veto::Branch,
        Veto::BirthDate,
        Veto::NoBirthDate,
        Veto::BirthOrder,
        Veto::DoNotLink,
        Veto::SameDomain,
        Veto::Deceased,
        Veto::Unknown,
    ];

    /// Something known speaks against it, rather than nothing for it: it holds for the person whichever identity of
    /// theirs says so.
    pub fn is_conflict(self) -> bool {
        !matches!(self, Self::NoGivenName | Self::NoBirthDate | Self::Unknown)
    }
}

/// A set of vetoes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Vetoes(u16);

impl Vetoes {
    pub fn add(&mut self, veto: Veto) {
        self.0 |= 1 << veto as u16;
    }

    pub fn all(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn conflicts(self) -> Self {
        let mut only = Self::default();
        for veto in Veto::ALL.into_iter().filter(|v| v.is_conflict() && self.has(*v)) {
            only.add(veto);
        }
        only
    }

    pub fn has(self, veto: Veto) -> bool {
        self.0 & (1 << veto as u16) != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn list(self) -> Vec<Veto> {
        Veto::ALL.into_iter().filter(|v| self.has(*v)).collect()
    }
}

/// One field of a [`Score`].
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldScore {
    pub field: Field,
    /// As normalised; empty where nothing is known.
    pub left: String,
    pub right: String,
    pub level: Level,
    /// Bits for (or against) one person.
    pub weight: f64,
}

/// Prints no values: they are the patient's.
impl std::fmt::Debug for FieldScore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FieldScore({:?}, {:?}, {:.1})", self.field, self.level, self.weight)
    }
}

/// A pair weighed, with what makes up the weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// `prior` and the fields together, in bits.
    pub total: f64,
    /// What a pair of an index this large begins with.
    pub prior: f64,
    pub fields: Vec<FieldScore>,
    pub vetoes: Vec<Veto>,
    /// Address, phone or insurance agrees too, or the name is so rare that it need not.
    pub corroborated: bool,
}

/// The same without the values: cheap, for the many that come to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Comparison {
    pub total: f64,
    pub prior: f64,
    pub(super) levels: [Level; FIELDS],
    pub(super) weights: [f32; FIELDS],
    pub(super) vetoes: Vetoes,
    /// Address, phone or insurance agrees.
    pub(super) agrees: bool,
    /// How many of the three are known to differ.
    pub(super) differing: u8,
    /// Expected number of others with this name and birth date.
    pub(super) namesakes: f64,
    /// The names that were compared.
    pub(super) names: (u8, u8),
    pub(super) addresses: (u8, u8),
    pub(super) phones: (u8, u8),
    pub(super) insurances: (u8, u8),
}

impl Comparison {
    pub fn level(&self, field: Field) -> Level {
        self.levels.get(field as usize).copied().unwrap_or_default()
    }

    pub fn vetoes(&self) -> Vec<Veto> {
        self.vetoes.list()
    }

    /// With the values that were compared.
    pub fn explain(&self, left: &Features, right: &Features, corroborated: bool) -> Score {
        let name = |features: &Features, at: u8, given: bool, kana: bool| {
            let none = NameSpans::default();
            let name = features.names.get(at as usize).unwrap_or(&none);
            let forms = if given { name.given } else { name.family };
            levels::shown(features, &forms, kana).to_owned()
        };
        let day = |features: &Features| {
            features.birth.map(|b| format!("{:04}-{:02}-{:02}", b.year, b.month, b.day)).unwrap_or_default()
        };
        let sex = |features: &Features| features.sex.map(|s| char::from(s).to_string()).unwrap_or_default();
        let address = |features: &Features, at: u8| {
            let parts = features
                .addresses
                .get(at as usize)
                .map(|a| [features.get(a.postal), features.get(a.town), features.get(a.numbers)].join(" "));
            parts.unwrap_or_default().trim().to_owned()
        };
        let phone = |features: &Features, at: u8| {
            features.phones.get(at as usize).map(|p| features.get(*p).to_owned()).unwrap_or_default()
        };
        let insurance = |features: &Features, at: u8| {
            let parts = features.insurances.get(at as usize);
            parts.map(|i| format!("{}:{}", features.get(i.key), features.get(i.branch))).unwrap_or_default()
        };
        let values = |features: &Features, field: Field, right: bool| {
            let of = |pair: (u8, u8)| if right { pair.1 } else { pair.0 };
            match field {
                Field::FamilyKana => name(features, of(self.names), false, true),
                Field::GivenKana => name(features, of(self.names), true, true),
                Field::FamilyKanji => name(features, of(self.names), false, false),
                Field::GivenKanji => name(features, of(self.names), true, false),
                Field::BirthDate => day(features),
                Field::Sex => sex(features),
                Field::Address => address(features, of(self.addresses)),
                Field::Phone => phone(features, of(self.phones)),
                Field::Insurance => insurance(features, of(self.insurances)),
            }
        };
        let fields = Field::ALL.into_iter().map(|field| FieldScore {
            field,
            left: values(left, field, false),
            right: values(right, field, true),
            level: self.level(field),
            weight: f64::from(self.weights[field as usize]),
        });
        Score {
            total: self.total,
            prior: self.prior,
            fields: fields.collect(),
            vetoes: self.vetoes.list(),
            corroborated,
        }
    }
}
