//! Blocking keys: which identities are compared at all.

use std::fmt;

use super::features::{Features, PLAIN, SOUND};
use super::fold::{self, WILDCARD};

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

impl Features {
    /// Blocking keys: two identities that share one are compared. Sorted, each once.
    pub fn keys(&self) -> Vec<Key> {
        let mut keys = vec![];
        let mut add = |kind: KeyKind, value: String| keys.push(Key { kind, value });
        let birth = self.birth.filter(|b| b.is_whole());
        let postal: Vec<&str> =
            self.addresses.iter().map(|a| self.get(a.postal)).filter(|p| !p.is_empty()).collect();
        for name in &self.names {
            let (family, given) = (self.get(name.family[SOUND]), self.get(name.given[SOUND]));
            if let (Some(b), Some(initial)) = (birth, initial(given)) {
                add(KeyKind::BirthGiven, format!("{:04}{:02}{:02}{initial}", b.year, b.month, b.day));
            }
            if let (Some(b), Some(initial)) = (birth, initial(family)) {
                add(KeyKind::BirthFamily, format!("{:04}{:02}{:02}{initial}", b.year, b.month, b.day));
            }
            if !given.is_empty() {
                if let Some(b) = self.birth.filter(|b| b.month != 0) {
                    add(KeyKind::GivenYearMonth, format!("{:04}{:02}{given}", b.year, b.month));
                }
                if let Some(b) = birth {
                    add(KeyKind::GivenMonthDay, format!("{:02}{:02}{given}", b.month, b.day));
                }
                for postal in &postal {
                    add(KeyKind::GivenPostal, format!("{postal}{given}"));
                }
            }
            // A family name alone is not a whole name, unless it is one that nobody divided.
            let whole = |family: &str, given: &str| {
                let long = !family.is_empty() && (!given.is_empty() || family.chars().nth(3).is_some());
                (long && !name.newborn).then(|| format!("{family}{given}"))
            };
            let kana = whole(family, given);
            let (family, given) = (self.get(name.family[PLAIN]), self.get(name.given[PLAIN]));
            let written = whole(family, given).filter(|w| !w.contains(WILDCARD));
            let decade = self.birth.map(|b| b.year / 10);
            for (plain, with_decade, whole) in
                [(KeyKind::Kana, KeyKind::KanaDecade, kana), (KeyKind::Kanji, KeyKind::KanjiDecade, written)]
            {
                let Some(whole) = whole else { continue };
                if let Some(decade) = decade {
                    add(with_decade, format!("{decade}{whole}"));
                }
                add(plain, whole);
            }
        }
        if let (Some(b), Some(sex)) = (birth, self.sex) {
            for area in postal.iter().filter_map(|p| p.get(..3)) {
                add(
                    KeyKind::BirthSexArea,
                    format!("{:04}{:02}{:02}{}{area}", b.year, b.month, b.day, char::from(sex)),
                );
            }
        }
        for insurance in &self.insurances {
            add(KeyKind::Insurance, self.get(insurance.key).to_owned());
        }
        for phone in &self.phones {
            add(KeyKind::Phone, self.get(*phone).to_owned());
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

/// The first kana without voicing: voice marks get lost.
fn initial(sound: &str) -> Option<String> {
    sound.chars().next().map(|c| fold::voiceless(c.encode_utf8(&mut [0; 4])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::identity::{Address, Demographics, PersonName};

    fn demographics(kanji: (&str, &str), kana: (&str, &str), birth: &str, postal: &str) -> Demographics {
        let name = |(family, given): (&str, &str)| PersonName {
            family: family.into(),
            given: given.into(),
            ..PersonName::default()
        };
        Demographics {
            names: Some(vec![name(kanji), name(kana)]),
            birth_date: Some(birth.into()),
            sex: Some("M".into()),
            addresses: Some(vec![Address { postal_code: postal.into(), ..Address::default() }]),
            ..Demographics::default()
        }
    }

    fn kinds(a: &Demographics, b: &Demographics) -> Vec<KeyKind> {
        let other = Features::of(b).keys();
        let mut kinds: Vec<KeyKind> =
            Features::of(a).keys().into_iter().filter(|k| other.contains(k)).map(|k| k.kind).collect();
        kinds.dedup();
        kinds
    }

    #[test]
    fn codes_are_each_ones_own() {
        for kind in KeyKind::ALL {
            assert_eq!(KeyKind::of_code(kind.code()), Some(kind));
        }
        assert_eq!(KeyKind::of_code(0), None);
        assert_eq!(KeyKind::of_code(13), None, "a kind without its row in ALL");
    }

    #[test]
    fn each_error_leaves_a_key() {
        let sample = demographics(("高橋", "健一"), ("タカハシ", "ケンイチ"), "19800302", "4228033");
        assert_eq!(kinds(&sample, &sample).len(), 10 - 2 + 2, "no phone, no insurance");
        let day = demographics(("高橋", "健一"), ("タカハシ", "ケンイチ"), "19800320", "4228033");
        assert!(kinds(&sample, &day).contains(&KeyKind::GivenYearMonth));
        let year = demographics(("高橋", "健一"), ("タカハシ", "ケンイチ"), "19700302", "4228033");
        assert!(kinds(&sample, &year).contains(&KeyKind::GivenMonthDay));
        let reading = demographics(("髙橋", "健一"), ("コウハシ", "タケカズ"), "19800302", "1000001");
        assert_eq!(kinds(&sample, &reading), [KeyKind::Kanji, KeyKind::KanjiDecade]);
        let voiced = demographics(("", ""), ("ダカハシ", "ゲンイチ"), "19800302", "");
        assert_eq!(kinds(&sample, &voiced), [KeyKind::BirthGiven, KeyKind::BirthFamily]);
        let married = demographics(("佐藤", "健一"), ("サトウ", "ケンイチ"), "19800302", "");
        assert!(kinds(&sample, &married).contains(&KeyKind::BirthGiven));
        let whole = demographics(("高橋健一", ""), ("", ""), "", "");
        assert_eq!(kinds(&sample, &whole), [KeyKind::Kanji]);
    }

    #[test]
    fn hashes_are_the_same_in_every_release() {
        let key = Key { kind: KeyKind::Phone, value: "0540001234".into() };
        assert_eq!(key.hash(), HASH);
        assert_ne!(key.hash(), Key { kind: KeyKind::Kana, ..key.clone() }.hash());
        assert_eq!(format!("{key:?}"), "Key(Phone, …)");
    }

    const HASH: i64 = 8_677_232_574_051_274_973;
}
