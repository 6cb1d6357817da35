//! Names as written, in kanji or whatever stands in their place: width, selectors, variants, unreadable characters.

use super::kana::katakana;
use super::variants::representative;
use super::{is_separator, nfkc};

/// Stands for one character nobody could read: GETA, NHO's ■, a question mark, a gaiji of somebody's own.
pub const WILDCARD: char = '〓';

/// NFKC without separators, capitals for Latin letters, katakana for kana, repetition marks written out. Also: whether
/// a character is a [`WILDCARD`].
pub fn kanji(text: &str) -> (String, bool) {
    let mut out = String::with_capacity(text.len());
    let mut wild = false;
    let mut last = None;
    for c in nfkc(text).chars() {
        let c = match c {
            c if is_separator(c) => continue,
            '々' | '仝' => last.unwrap_or(c),
            c if is_unreadable(c) => {
                wild = true;
                WILDCARD
            }
            'ヶ' | 'ヵ' => plain_ke(c),
            c => katakana(c),
        };
        last = Some(c);
        out.extend(c.to_uppercase());
    }
    (out, wild)
}

/// ヶ in 三ヶ島 is ケ elsewhere.
fn plain_ke(c: char) -> char {
    if c == 'ヶ' { 'ケ' } else { 'カ' }
}

fn is_unreadable(c: char) -> bool {
    matches!(c, '〓' | '■' | '□' | '●' | '◆' | '?' | '\u{FFFD}' | '\u{E000}'..='\u{F8FF}')
        || matches!(c as u32, 0xF0000..=0x10FFFD)
}

/// Every character by its representative. Takes the result of [`kanji`].
pub fn variants(plain: &str) -> String {
    plain.chars().map(representative).collect()
}

/// Whether a kanji (or an unreadable character) is in it.
pub fn is_han(text: &str) -> bool {
    text.chars().any(|c| {
        matches!(c, '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}' | '々' | '〆' | WILDCARD)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> String {
        variants(&kanji(text).0)
    }

    #[test]
    fn variants_of_the_reference_are_one() {
        // patient-identity.md §6.2, the row of kanji.
        for class in "髙高 﨑嵜崎 邊邉辺 齋齊斉斎 澤沢 濱濵浜 廣広 櫻桜 嶋嶌島 國国 惠恵 榮栄 龍竜 關関 眞真 壽寿 禮礼 靜静 澁澀渋 瀧滝 鹽塩 德徳 條条 豐豊 萬万 曾曽 藏蔵 圓円 瀨瀬 黑黒 增増 實実 峯峰 桒桑 栁柳 與与 淸清 學学 彌弥 亞亜 凜凛 遙遥 冨富 穗穂 恆恒 𠮷吉".split(' ') {
            let forms: Vec<String> = class.chars().map(|c| folded(&c.to_string())).collect();
            assert!(forms.windows(2).all(|w| w[0] == w[1]), "{class}: {forms:?}");
        }
        assert_eq!(folded("渡邉"), folded("渡辺"));
        assert_eq!(folded("佐々木"), "佐佐木");
    }

    #[test]
    fn compatibility_forms_and_selectors_go() {
        assert_eq!(kanji("神").0, "神");
        assert_eq!(kanji("葛\u{E0101}飾").0, "葛飾");
        assert_eq!(kanji("三ヶ島").0, kanji("三ケ島").0);
        assert_eq!(kanji("山田　花子"), ("山田花子".into(), false));
    }

    #[test]
    fn unreadable_characters_are_wildcards() {
        for sent in ["〓田", "■田", "？田", "\u{E123}田", "\u{FFFD}田"] {
            assert_eq!(kanji(sent), ("〓田".into(), true), "{sent}");
        }
        assert!(is_han("〓") && is_han("𠮷") && !is_han("サクラ"));
    }
}
