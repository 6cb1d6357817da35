//! 被保険者証: 保険者番号 in eight digits, 記号 and 番号 in one width, 枝番 apart (patient-identity.md §2.7).

use super::nfkc;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FoldedInsurance {
    /// `insurer:symbol:number`.
    pub key: String,
    /// Two digits; empty where nobody said. Empty is not `00`.
    pub branch: String,
}

/// None where insurer or number is missing, and for 公費 (a payer with a 受給者番号): not what a person is known by.
pub fn insurance(insurer: &str, symbol: &str, number: &str, branch: Option<&str>) -> Option<FoldedInsurance> {
    let insurer = part(insurer);
    let (symbol, number) = (part(symbol), part(number));
    if insurer.is_empty() || number.is_empty() || number.chars().all(|c| c == '0') {
        return None;
    }
    // 国保 has six digits.
    let insurer = if insurer.len() < 8 && insurer.bytes().all(|b| b.is_ascii_digit()) {
        format!("{insurer:0>8}")
    } else {
        insurer
    };
    if is_public_payer(&insurer) && symbol.is_empty() && number.len() == 7 {
        return None;
    }
    let number = match number.trim_start_matches('0') {
        "" => number.as_str(),
        digits => digits,
    };
    let branch = branch.map(part).filter(|b| !b.is_empty()).map(|b| format!("{b:0>2}")).unwrap_or_default();
    Some(FoldedInsurance { key: format!("{insurer}:{symbol}:{number}"), branch })
}

/// One part: width, kana, case; separators are noise.
fn part(text: &str) -> String {
    let kept = |c: &char| !super::is_separator(*c) && !matches!(c, ':' | 'ー' | '(' | ')');
    nfkc(text).chars().filter(kept).map(super::kana::katakana).flat_map(char::to_uppercase).collect()
}

/// 公費負担者番号: by its first two digits (法別番号).
fn is_public_payer(insurer: &str) -> bool {
    const PAYERS: [&str; 22] = [
        "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20", "21", "22", "23", "24", "25", "28",
        "29", "30", "51", "54", "66",
    ];
    PAYERS.iter().any(|p| insurer.starts_with(p))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_one() {
        let expected = Some(FoldedInsurance { key: "00012345:アイウ:187".into(), branch: "05".into() });
        for (insurer, symbol, number, branch) in [
            ("00012345", "あいう", "１８７", "05"),
            ("012345", "ｱｲｳ", "187", "５"),
            ("12345", "ア・イ・ウ", "0187", "05"),
        ] {
            assert_eq!(
                insurance(insurer, symbol, number, Some(branch)),
                expected,
                "{insurer} {symbol} {number}"
            );
        }
        let unknown = insurance("39131234", "", "12345678", None);
        assert_eq!(
            unknown,
            Some(FoldedInsurance { key: "39131234::12345678".into(), branch: String::new() })
        );
        assert_ne!(insurance("06131234", "1", "2", Some("00")), insurance("06131234", "1", "2", None));
    }

    #[test]
    fn what_a_person_is_not_known_by() {
        assert_eq!(insurance("", "1", "2", None), None);
        assert_eq!(insurance("06131234", "1", "", None), None);
        assert_eq!(insurance("06131234", "1", "000", None), None);
        // 生活保護: a payer and a 受給者番号.
        assert_eq!(insurance("12131234", "", "1234567", None), None);
    }
}
