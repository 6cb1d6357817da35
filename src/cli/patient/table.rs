//! Patients as an aligned table; a full-width character takes two columns of a terminal.

use crate::config::Language;
use crate::model::patient::Patient;

const GAP: &str = "  ";

pub fn of(patients: &[Patient], language: Language) -> String {
    let header = match language {
        Language::En => ["ID", "KANJI", "KANA", "ROMAJI", "BIRTH", "SEX"],
        Language::Ja => ["ID", "漢字氏名", "カナ氏名", "ローマ字氏名", "生年月日", "性別"],
    };
    let mut rows = vec![header.map(str::to_owned)];
    rows.extend(patients.iter().map(|p| {
        let [kanji, kana, romaji, birth, sex] =
            [&p.name_kanji, &p.name_kana, &p.name_romaji, &p.birth_date, &p.sex]
                .map(|v| v.as_deref().unwrap_or("-"));
        [&p.patient_id, kanji, kana, romaji, birth, sex].map(visible)
    }));
    let mut widths = [0; 6];
    for row in &rows {
        for (most, value) in widths.iter_mut().zip(row) {
            *most = (*most).max(width(value));
        }
    }
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (value, most) in row.iter().zip(widths) {
            line.push_str(value);
            line.push_str(&" ".repeat(most - width(value)));
            line.push_str(GAP);
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// No value may steer the terminal, whoever fed it.
fn visible(value: &str) -> String {
    value.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Columns on a terminal.
pub fn width(text: &str) -> usize {
    text.chars().map(|c| if is_wide(c) { 2 } else { 1 }).sum()
}

/// The Wide and Fullwidth blocks of Unicode's East Asian Width that names are written in. Half-width
/// katakana (U+FF61 to U+FFDC) are narrow.
fn is_wide(c: char) -> bool {
    matches!(u32::from(c),
        0x1100..=0x115f | 0x2e80..=0x303e | 0x3041..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f | 0xff01..=0xff60 | 0xffe0..=0xffe6 | 0x1b000..=0x1b2ff | 0x20000..=0x3fffd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_width_counts_twice() {
        for (text, columns) in [("山田 太郎", 9), ("ﾔﾏﾀﾞ", 4), ("YAMADA", 6), ("髙𠮷", 4), ("ー", 2)] {
            assert_eq!(width(text), columns, "{text}");
        }
    }

    #[test]
    fn columns_begin_under_each_other() {
        let patient = |kanji: Option<&str>| Patient {
            patient_id: "1^^^&1.2&ISO".into(),
            name_kanji: kanji.map(str::to_owned),
            name_kana: Some("ヤマダ".into()),
            name_romaji: None,
            birth_date: Some("19500401".into()),
            sex: Some("M\u{7}".into()),
        };
        let text = of(&[patient(Some("山田 太郎")), patient(None)], Language::Ja);
        let begins: Vec<_> =
            text.lines().skip(1).map(|l| l.find("ヤマダ").map(|at| width(&l[..at]))).collect();
        assert_eq!(begins, [Some(25), Some(25)]);
        assert!(!text.contains('\u{7}'));
    }
}
