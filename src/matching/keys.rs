//! Blocking keys: which identities are compared at all.

use std::fmt;

/// A block with more identities than this is skipped, and reported: its key tells too little.
pub const BLOCK_CAP: usize = 400;

/// From here on full-name keys are taken together with the decade of birth.
const LARGE: u64 = 2_000_000;

/// What a key is made of. The numbers are stored: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i64)]
pub enum KeyKind {
    /// Birth date and first kana of the given name.
    BirthGiven = 1,
    /// Birth date and first kana of the family name.
    BirthFamily = 2,
    /// Birth date, sex and the first three digits of the postcode.
    BirthSexArea = 3,
    /// Whole name by sound.
    Kana = 4,
    /// Whole name in kanji.
    Kanji = 5,
    /// Given name by sound, year and month of birth.
    GivenYearMonth = 6,
    /// Given name by sound, month and day of birth.
    GivenMonthDay = 7,
    /// 保険者番号, 記号, 番号.
    Insurance = 8,
    Phone = 9,
    /// Given name by sound and postcode.
    GivenPostal = 10,
    /// Whole name by sound and decade of birth: for large indexes, instead of [`KeyKind::Kana`].
    KanaDecade = 11,
    /// Whole name in kanji and decade of birth: for large indexes, instead of [`KeyKind::Kanji`].
    KanjiDecade = 12,
}

impl KeyKind {
    pub const ALL: [KeyKind; 12] = [
        KeyKind::BirthGiven,
        KeyKind::BirthFamily,
        KeyKind::BirthSexArea,
        KeyKind::Kana,
        KeyKind::Kanji,
        KeyKind::GivenYearMonth,
        KeyKind::GivenMonthDay,
        KeyKind::Insurance,
        KeyKind::Phone,
        KeyKind::GivenPostal,
        KeyKind::KanaDecade,
        KeyKind::KanjiDecade,
    ];

    /// As stored.
    pub fn code(self) -> i64 {
        self as i64
    }

    pub fn of_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.code() == code)
    }

    /// Whether candidates are looked up by it in an index of so many identities. All keys are stored, so that an
    /// index may grow.
    pub fn asked(self, population: u64) -> bool {
        match self {
            Self::Kana | Self::Kanji => population <= LARGE,
            Self::KanaDecade | Self::KanjiDecade => population > LARGE,
            _ => true,
        }
    }
}

/// A value two identities may share.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub kind: KeyKind,
    pub value: String,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?}, …)", self.kind)
    }
}

impl Key {
    /// Kind and value in 64 bits, for an index over integers: the same on every machine and in every release. Two
    /// keys that share it by accident cost a comparison, nothing else.
    pub fn hash(&self) -> i64 {
        // FNV-1a, then mixed: short values otherwise differ in few bits.
        let mut hash = 0xCBF2_9CE4_8422_2325_u64 ^ (self.kind as u64);
        for byte in self.value.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
        hash = (hash ^ (hash >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        (hash ^ (hash >> 32)).cast_signed()
    }
}
