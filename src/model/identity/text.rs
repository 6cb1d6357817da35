//! What every wire asks of the text it brings: which script a name is written in, how the parts of an address are
//! put together, whether digits are a time.

use super::demographics::{NameScript, PersonName};

/// The script that the characters of a name tell.
pub fn script_of(name: &PersonName) -> Option<NameScript> {
    let (mut kanji, mut kana, mut latin, mut other) = (false, false, false, false);
    for c in [&name.family, &name.given, &name.middle].into_iter().flat_map(|part| part.chars()) {
        match c {
            ' ' | '　' | '・' | '･' | '-' | '.' | '\'' | ',' | '‐' | '－' | '−' => {}
            'ぁ'..='ゟ' | '゠'..='ヿ' | 'ㇰ'..='ㇿ' | '\u{ff66}'..='\u{ff9f}' => kana = true,
            '々' | '〆' | '〇' | '〓' | '〻' => kanji = true,
            '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' => kanji = true,
            '\u{20000}'..='\u{3ffff}' | '\u{e000}'..='\u{f8ff}' => kanji = true,
            'Ａ'..='Ｚ' | 'ａ'..='ｚ' => latin = true,
            '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => {}
            c if c.is_alphabetic() && u32::from(c) < 0x250 || matches!(c, '\u{1e00}'..='\u{1eff}') => {
                latin = true;
            }
            _ => other = true,
        }
    }
    match (kanji, kana, latin, other) {
        (true, ..) => Some(NameScript::Ideographic),
        (false, true, false, false) => Some(NameScript::Phonetic),
        (false, false, true, false) => Some(NameScript::Alphabetic),
        _ => None,
    }
}

/// Parts of an address, largest first, with a blank between, but for those that Japanese writes without one.
pub fn joined<'t>(parts: impl IntoIterator<Item = &'t str>) -> String {
    let mut out = String::new();
    for part in parts.into_iter().map(str::trim).filter(|part| !part.is_empty()) {
        let beside_ascii = out.chars().last().is_some_and(|c| c.is_ascii())
            || part.chars().next().is_some_and(|c| c.is_ascii());
        if !out.is_empty() && beside_ascii {
            out.push(' ');
        }
        out.push_str(part);
    }
    out
}

/// Whether `text` is a time HL7 can write (`YYYY[MM[DD[HH[MM[SS[.S…]]]]]][±ZZZZ]`) and the calendar has. A month or
/// day of 00, with which Japanese systems say 不詳, is legal for births.
pub fn is_time(text: &str, unknown_parts: bool) -> bool {
    let (local, zone) = match text.find(['+', '-']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let zone_is_one = match zone.get(1..) {
        None => true,
        Some(offset) => {
            offset.len() == 4
                && digits(offset)
                && offset.get(..2).is_some_and(|hours| hours <= "14")
                && offset.get(2..).is_some_and(|minutes| minutes < "60")
        }
    };
    let (local, fraction) = local.split_once('.').map_or((local, None), |(l, f)| (l, Some(f)));
    let fraction_is_one =
        fraction.is_none_or(|f| local.len() == 14 && (1..=4).contains(&f.len()) && digits(f));
    if !zone_is_one || !fraction_is_one || !digits(local) || !matches!(local.len(), 4 | 6 | 8 | 10 | 12 | 14)
    {
        return false;
    }
    let number = |from: usize, absent: i16| {
        local.get(from..from + 2).and_then(|two| two.parse::<i16>().ok()).unwrap_or(absent)
    };
    let year = local.get(..4).and_then(|y| y.parse::<i16>().ok()).unwrap_or(0);
    let (month, day) = match (unknown_parts, number(4, 1), number(6, 1)) {
        (true, 0, 0 | 1) => (1, 1),
        (true, month, 0) => (month, 1),
        (_, month, day) => (month, day),
    };
    let small = |n: i16| i8::try_from(n).unwrap_or(-1);
    year >= 1800
        && jiff::civil::DateTime::new(
            year,
            small(month),
            small(day),
            small(number(8, 0)),
            small(number(10, 0)),
            small(number(12, 0)),
            0,
        )
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_tell_the_script() {
        let of = |family: &str| script_of(&PersonName { family: family.into(), ..PersonName::default() });
        assert_eq!(of("髙橋 みなみ"), Some(NameScript::Ideographic));
        assert_eq!(of("タカハシ・ﾐﾅﾐ"), Some(NameScript::Phonetic));
        assert_eq!(of("O'Brien"), Some(NameScript::Alphabetic));
        assert_eq!(of("カトウ A"), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn parts_are_joined_as_they_are_written() {
        assert_eq!(joined(["静岡県", "静岡市", "", "葵区1-2"]), "静岡県静岡市葵区1-2");
        assert_eq!(joined(["IL", "CHICAGO", "100 JORIE BLVD"]), "IL CHICAGO 100 JORIE BLVD");
    }

    #[test]
    fn only_times_of_the_calendar_are_times() {
        for good in [
            "1983",
            "198306",
            "19830608",
            "202503310215",
            "20111220224447.3399",
            "20250401101500+0900",
            "20250331021500.1234+0900",
        ] {
            assert!(is_time(good, false), "{good}");
        }
        for bad in [
            "",
            "83",
            "19830",
            "19830230",
            "19831301",
            "1983063024",
            "1983-06-30",
            "00010101",
            "20250401+15",
            "20250331021500+2500",
            "1700",
            "２０２５",
            "昭和58",
            "2025é331",
        ] {
            assert!(!is_time(bad, false) && !is_time(bad, true), "{bad}");
        }
        assert!(is_time("19480000", true) && is_time("19480700", true) && !is_time("19480000", false));
    }
}
