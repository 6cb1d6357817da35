//! Values folded for comparison and search; what is stored stays as sent (patient-identity.md §6.2).
//!
//! NFKC is the `unicode-normalization` crate's: its tables follow Unicode's releases, and sqlx brings it anyway.

mod address;
mod birth;
mod insurance;
mod kana;
mod kanji;
mod newborn;
mod phone;
mod roman;
mod variants;

pub use address::{FoldedAddress, address};
pub use birth::{Birth, birth};
pub use insurance::{FoldedInsurance, insurance};
pub use kana::{is_kana, kana, sound, voiceless};
pub use kanji::{WILDCARD, is_han, kanji, variants};
pub use newborn::newborn;
pub use phone::{is_mobile, phone};
pub use roman::{is_roman, roman, roman_sound, without_apostrophe};

use unicode_normalization::UnicodeNormalization as _;

/// NFKC, with the marks ゛ and ゜ joined to the kana before them, and without variation selectors and controls.
pub(super) fn nfkc(text: &str) -> String {
    // U+309B and U+309C are spacing marks: NFKC would make a blank of them and leave the kana unvoiced.
    let joined = text.chars().map(|c| match c {
        '\u{309B}' => '\u{3099}',
        '\u{309C}' => '\u{309A}',
        c => c,
    });
    joined.nfkc().filter(|c| !is_selector(*c) && (!c.is_control() || c.is_whitespace())).collect()
}

/// Variation selectors, those of ideographs (IVS) among them.
fn is_selector(c: char) -> bool {
    matches!(c, '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}')
}

/// Blanks of every width, middle dots and hyphens, as they stand between the parts of names.
pub(super) fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '・' | '･' | '·' | '•' | '-' | '\u{2010}'
                ..='\u{2015}' | '\u{2212}' | '\u{FF0D}' | '.' | ',' | '\''
        )
}

/// A name as demographic searches compare it: width, kana, case, blanks and variants of kanji do not count; and
/// small kana, long vowels and marks do (`fuzzy` searches compare [`sound`]).
pub fn search(name: &str) -> String {
    let (plain, _) = kanji(name);
    variants(&plain)
}

/// A name as searches compare what only sounds alike: [`sound`] of kana and Latin letters; kanji as [`search`].
pub fn search_sound(name: &str) -> String {
    let folded = search(name);
    match () {
        () if is_roman(&folded) => roman_sound(&folded).unwrap_or(folded),
        () if is_kana(&folded) => sound(&folded),
        () => folded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_fold_what_senders_write_differently() {
        for (one, other) in [
            ("髙橋", "高橋"),
            ("ﾀｶﾊｼ", "タカハシ"),
            ("たかはし", "タカハシ"),
            ("山田　太郎", "山田太郎"),
            ("Smith", "SMITH"),
            ("ｶﾞ", "ガ"),
            ("カ゛", "ガ"),
            ("葛\u{E0100}城", "葛城"),
            ("佐々木", "佐佐木"),
        ] {
            assert_eq!(search(one), search(other), "{one} {other}");
        }
        assert_ne!(search("シヨウコ"), search("ショウコ"));
        for (one, other) in
            [("ショウコ", "しようこ"), ("OHTA", "オオタ"), ("SHINJI", "シンヂ"), ("斉藤", "斎藤")]
        {
            assert_eq!(search_sound(one), search_sound(other), "{one} {other}");
        }
    }
}
