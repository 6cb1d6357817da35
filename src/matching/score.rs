//! What two identities are worth to each other, and why.

use serde::{Deserialize, Serialize};

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

impl Field {
    pub const ALL: [Field; 9] = [
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
}

/// How two values of a field agree. Which levels a field has: `levels` of [`Field`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// One side does not say.
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
    /// Names in kanji: one character in common. Birth dates: same month and day. Addresses: same town.
    Partly,
    /// Birth dates: equal as far as both say. Addresses: the town's end and the numbers. Insurance: branch unknown.
    Known,
    Differs,
}

/// Why a pair is not linked whatever its weight: patient-identity.md §6.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Veto {
    /// Nothing speaks for the same given name: twins, parents and children, names given to newborns.
    GivenName,
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
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    pub total: f64,
}
