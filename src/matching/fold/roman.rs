//! Names in Latin letters: upper case without marks, and as the kana they spell, by Hepburn or Kunrei.

use unicode_normalization::UnicodeNormalization as _;

use super::kana::sound;
use super::{is_separator, nfkc};

/// Upper case, without marks, blanks, hyphens and apostrophes.
pub fn roman(text: &str) -> String {
    nfkc(text)
        .nfd()
        .filter(|c| !is_separator(*c) && !matches!(*c, '\u{300}'..='\u{36F}' | '’' | '`'))
        .flat_map(char::to_uppercase)
        .collect()
}

/// Whether it is Latin letters only (and something). Takes the result of [`roman`].
pub fn is_roman(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphabetic())
}

/// What it sounds like (L2 of kana): SI = SHI, TU = TSU, OH = OU = O. None where it is no Japanese. Takes the result
/// of [`roman`].
pub fn roman_sound(roman: &str) -> Option<String> {
    let mut kana = String::with_capacity(roman.len() * 2);
    let mut rest = roman.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let next = after.first().copied().unwrap_or(0);
        // A doubled consonant, and TCH.
        if (first == next && !is_vowel(first) && first != b'N') || (first == b'T' && after.starts_with(b"CH"))
        {
            kana.push('ッ');
            rest = after;
            continue;
        }
        let nasal = first == b'N' && !is_vowel(next) && next != b'Y';
        let labial = first == b'M' && matches!(next, b'B' | b'P' | b'M');
        if nasal || labial {
            kana.push('ン');
            rest = after;
            continue;
        }
        // H after O marks a long vowel, unless a syllable begins with it.
        if first == b'H' && kana.ends_with(long_o) && !is_vowel(next) && next != b'Y' {
            rest = after;
            continue;
        }
        let (length, syllable) = (1..=3.min(rest.len()))
            .rev()
            .find_map(|n| SYLLABLES.iter().find(|(s, _)| s.as_bytes() == &rest[..n]).map(|(_, k)| (n, *k)))?;
        kana.push_str(syllable);
        rest = &rest[length..];
    }
    Some(sound(&kana))
}

/// ン before a vowel as Latin letters without an apostrophe read it: KENICHI is ケンイチ and ケニチ. Takes L2 of kana.
pub fn without_apostrophe(sound: &str) -> String {
    let mut out = String::with_capacity(sound.len());
    let mut chars = sound.chars().peekable();
    while let Some(c) = chars.next() {
        let read = match (c, chars.peek()) {
            ('ン', Some('ア')) => 'ナ',
            ('ン', Some('イ')) => 'ニ',
            ('ン', Some('ウ')) => 'ヌ',
            ('ン', Some('エ')) => 'ネ',
            ('ン', Some('オ')) => 'ノ',
            ('ン', Some('ヤ' | 'ユ' | 'ヨ')) => {
                out.push('ニ');
                continue;
            }
            _ => {
                out.push(c);
                continue;
            }
        };
        chars.next();
        out.push(read);
    }
    out
}

fn is_vowel(c: u8) -> bool {
    matches!(c, b'A' | b'I' | b'U' | b'E' | b'O')
}

fn long_o(c: char) -> bool {
    matches!(
        c,
        'オ' | 'コ'
            | 'ゴ'
            | 'ソ'
            | 'ゾ'
            | 'ト'
            | 'ド'
            | 'ノ'
            | 'ホ'
            | 'ボ'
            | 'ポ'
            | 'モ'
            | 'ヨ'
            | 'ョ'
            | 'ロ'
    )
}

#[rustfmt::skip]
const SYLLABLES: &[(&str, &str)] = &[
    ("A", "ア"), ("I", "イ"), ("U", "ウ"), ("E", "エ"), ("O", "オ"),
    ("KA", "カ"), ("KI", "キ"), ("KU", "ク"), ("KE", "ケ"), ("KO", "コ"),
    ("KYA", "キャ"), ("KYU", "キュ"), ("KYO", "キョ"),
    ("GA", "ガ"), ("GI", "ギ"), ("GU", "グ"), ("GE", "ゲ"), ("GO", "ゴ"),
    ("GYA", "ギャ"), ("GYU", "ギュ"), ("GYO", "ギョ"),
    ("SA", "サ"), ("SI", "シ"), ("SHI", "シ"), ("SU", "ス"), ("SE", "セ"), ("SO", "ソ"),
    ("SYA", "シャ"), ("SYU", "シュ"), ("SYO", "ショ"), ("SHA", "シャ"), ("SHU", "シュ"), ("SHO", "ショ"),
    ("SHE", "シェ"),
    ("ZA", "ザ"), ("ZI", "ジ"), ("JI", "ジ"), ("ZU", "ズ"), ("ZE", "ゼ"), ("ZO", "ゾ"),
    ("ZYA", "ジャ"), ("ZYU", "ジュ"), ("ZYO", "ジョ"), ("JA", "ジャ"), ("JU", "ジュ"), ("JO", "ジョ"),
    ("JYA", "ジャ"), ("JYU", "ジュ"), ("JYO", "ジョ"), ("JE", "ジェ"),
    ("TA", "タ"), ("TI", "チ"), ("CHI", "チ"), ("TU", "ツ"), ("TSU", "ツ"), ("TE", "テ"), ("TO", "ト"),
    ("TYA", "チャ"), ("TYU", "チュ"), ("TYO", "チョ"), ("CHA", "チャ"), ("CHU", "チュ"), ("CHO", "チョ"),
    ("CHE", "チェ"),
    ("DA", "ダ"), ("DI", "ヂ"), ("DU", "ヅ"), ("DZU", "ヅ"), ("DE", "デ"), ("DO", "ド"),
    ("NA", "ナ"), ("NI", "ニ"), ("NU", "ヌ"), ("NE", "ネ"), ("NO", "ノ"),
    ("NYA", "ニャ"), ("NYU", "ニュ"), ("NYO", "ニョ"),
    ("HA", "ハ"), ("HI", "ヒ"), ("HU", "フ"), ("FU", "フ"), ("HE", "ヘ"), ("HO", "ホ"),
    ("HYA", "ヒャ"), ("HYU", "ヒュ"), ("HYO", "ヒョ"), ("FA", "ファ"), ("FI", "フィ"), ("FE", "フェ"), ("FO", "フォ"),
    ("BA", "バ"), ("BI", "ビ"), ("BU", "ブ"), ("BE", "ベ"), ("BO", "ボ"),
    ("BYA", "ビャ"), ("BYU", "ビュ"), ("BYO", "ビョ"),
    ("VA", "ヴァ"), ("VI", "ヴィ"), ("VU", "ヴ"), ("VE", "ヴェ"), ("VO", "ヴォ"),
    ("PA", "パ"), ("PI", "ピ"), ("PU", "プ"), ("PE", "ペ"), ("PO", "ポ"),
    ("PYA", "ピャ"), ("PYU", "ピュ"), ("PYO", "ピョ"),
    ("MA", "マ"), ("MI", "ミ"), ("MU", "ム"), ("ME", "メ"), ("MO", "モ"),
    ("MYA", "ミャ"), ("MYU", "ミュ"), ("MYO", "ミョ"),
    ("YA", "ヤ"), ("YU", "ユ"), ("YO", "ヨ"),
    ("RA", "ラ"), ("RI", "リ"), ("RU", "ル"), ("RE", "レ"), ("RO", "ロ"),
    ("RYA", "リャ"), ("RYU", "リュ"), ("RYO", "リョ"),
    ("WA", "ワ"), ("WO", "ヲ"),
];

#[cfg(test)]
mod tests {
    use super::super::kana;
    use super::*;

    #[test]
    fn both_spellings_sound_as_the_kana() {
        for (latin, written) in [
            ("Satou", "サトウ"),
            ("SATO", "サトウ"),
            ("Ōta", "オオタ"),
            ("OHTA", "オオタ"),
            ("ohno", "オオノ"),
            ("Shimizu", "シミズ"),
            ("SIMIZU", "シミズ"),
            ("Tsuji", "ツジ"),
            ("TUZI", "ツジ"),
            ("Hattori", "ハットリ"),
            ("Bocchi", "ボッチ"),
            ("Botchi", "ボッチ"),
            ("Shimbo", "シンボ"),
            ("Shin'ichi", "シンイチ"),
            ("Ryōko", "リョウコ"),
            ("Naohiro", "ナオヒロ"),
            ("Kyoko", "キョウコ"),
            ("Syouko", "ショウコ"),
            ("ENDO", "エンドウ"),
            ("Honda", "ホンダ"),
            ("Sannomiya", "サンノミヤ"),
        ] {
            // N before a vowel is read as its syllable: SHIN'ICHI loses its apostrophe.
            let expected = if latin == "Shin'ichi" { "シニチ".to_owned() } else { sound(&kana(written)) };
            assert_eq!(roman_sound(&roman(latin)), Some(expected), "{latin}");
        }
    }

    #[test]
    fn an_apostrophe_that_is_missing_is_no_difference() {
        for (latin, written) in
            [("Kenichi", "ケンイチ"), ("JUNYA", "ジュンヤ"), ("Shinobu", "シノブ"), ("Honami", "ホナミ")]
        {
            let read = roman_sound(&roman(latin)).map(|s| without_apostrophe(&s));
            assert_eq!(read, Some(without_apostrophe(&sound(&kana(written)))), "{latin}");
        }
    }

    #[test]
    fn what_is_no_japanese_is_told() {
        for latin in ["SMITH", "NGUYEN", "LI", "X"] {
            assert_eq!(roman_sound(&roman(latin)), None, "{latin}");
        }
        assert_eq!(roman("José Ñandú-O’Neil"), "JOSENANDUONEIL");
        assert!(is_roman("SMITH") && !is_roman("サトウ") && !is_roman(""));
    }
}
