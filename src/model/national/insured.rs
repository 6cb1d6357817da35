//! 被保険者個人識別子: `保険者番号(8):記号:番号:枝番` (national-service, 2.2).

use crate::model::identity::Insurance;

/// `Patient.identifier.system`.
pub const MEMBER: &str = "http://jpfhir.jp/fhir/clins/Idsystem/JP_Insurance_memberID";
/// The same of 生活保護.
pub const PUBLIC_PAYER: &str = "http://jpfhir.jp/fhir/clins/Idsystem/JP_PublicPayer_memberID";

/// What an identifier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Well formed, with 枝番.
    Whole,
    /// Well formed without 枝番: allowed, and often refused later.
    NoBranch,
    /// 公費負担者番号::受給者番号: — no insurance.
    PublicPayer,
    /// R1013.
    Wrong,
}

/// Looks at an identifier's form.
pub fn form(id: &str) -> Form {
    let parts: Vec<&str> = id.split(':').collect();
    let [insurer, symbol, number, branch] = parts[..] else { return Form::Wrong };
    let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(insurer, 8) || number.is_empty() || id.chars().any(char::is_whitespace) {
        return Form::Wrong;
    }
    // All of one width (R1013); what has no width, a hyphen written wide or a kanji, goes with either.
    let written: String = format!("{symbol}{number}");
    let half = written.chars().any(|c| c.is_ascii());
    let full = !written.is_ascii();
    if half && full {
        return Form::Wrong;
    }
    match branch {
        "" if symbol.is_empty() && insurer.starts_with("12") && digits(number, 7) => Form::PublicPayer,
        "" => Form::NoBranch,
        b if digits(b, 2) => Form::Whole,
        _ => Form::Wrong,
    }
}

/// The identifier of what the index of patients knows: insurer padded to eight digits, 記号 and 番号 of one width,
/// no 枝番 left empty.
pub fn of(insurance: &Insurance) -> String {
    let insurer: String = insurance.insurer.chars().map(half).filter(|c| !c.is_whitespace()).collect();
    let written = format!("{}{}", insurance.symbol, insurance.number);
    let wide = written.chars().any(|c| !c.is_ascii() && half(c) == c && !c.is_whitespace())
        || written.chars().any(|c| half(c) != c);
    let part = |text: &str| -> String {
        text.chars().filter(|c| !c.is_whitespace()).map(|c| if wide { full(c) } else { c }).collect()
    };
    let branch: String = insurance.branch.as_deref().unwrap_or_default().chars().map(half).collect();
    format!("{insurer:0>8}:{}:{}:{branch}", part(&insurance.symbol), part(&insurance.number))
}

/// A full-width ASCII character as its half-width one.
fn half(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        '\u{3000}' => ' ',
        c => c,
    }
}

fn full(c: char) -> char {
    match c {
        '!'..='~' => char::from_u32(c as u32 + 0xfee0).unwrap_or(c),
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_told_apart() {
        for (id, expected) in [
            ("06990011:１２３:４５６７:01", Form::Whole),
            ("06990011:123:4567:01", Form::Whole),
            ("06990011:１２３:４５６７:", Form::NoBranch),
            ("06990011::4567:00", Form::Whole),
            ("12990011::1234567:", Form::PublicPayer),
            ("6990011:１２３:４５６７:01", Form::Wrong),
            ("06990011:123:４５６７:01", Form::Wrong),
            ("06990011:1 23:4567:01", Form::Wrong),
            ("06990011:123:4567", Form::Wrong),
            ("06990011:123:4567:1", Form::Wrong),
            ("06990011:123::01", Form::Wrong),
        ] {
            assert_eq!(form(id), expected, "{id}");
        }
    }

    #[test]
    fn an_insurance_becomes_one_of_one_width() {
        let insurance = Insurance {
            insurer: "６990011".into(),
            symbol: "123".into(),
            number: "４５ ６７".into(),
            branch: Some("０１".into()),
        };
        assert_eq!(of(&insurance), "06990011:１２３:４５６７:01");
        let insurance = Insurance {
            insurer: "06990011".into(),
            symbol: "123".into(),
            number: "4567".into(),
            branch: None,
        };
        assert_eq!(of(&insurance), "06990011:123:4567:");
    }
}
