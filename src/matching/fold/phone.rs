//! Phone numbers in national form.

use super::nfkc;

/// Digits from the leading zero on; none where too few or too many are left, or all are one digit (a filled field).
pub fn phone(text: &str) -> Option<String> {
    let text = nfkc(text);
    // An extension follows.
    let text = text.split(['x', 'X', '内', '#']).next().unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let national = match digits.strip_prefix("81") {
        // +81 (0)3…: some keep the zero.
        Some(rest)
            if text.trim_start().starts_with('+')
                || matches!(digits.len(), 11..=13)
                    && digits.starts_with("81")
                    && !digits.starts_with('0') =>
        {
            format!("0{}", rest.trim_start_matches('0'))
        }
        _ => digits,
    };
    let first = national.chars().nth(1)?;
    let filled = national.chars().skip(1).all(|c| c == first);
    ((9..=11).contains(&national.len()) && !filled).then_some(national)
}

/// A number of one person rather than of a household.
pub fn is_mobile(national: &str) -> bool {
    national.len() == 11 && ["070", "080", "090", "060"].iter().any(|p| national.starts_with(p))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_one() {
        for sent in [
            "054-000-1234",
            "０５４（０００）１２３４",
            "+81-54-000-1234",
            "+81 (0)54 000 1234",
            "81540001234",
            "0540001234",
            "054-000-1234 内線 5",
        ] {
            assert_eq!(phone(sent).as_deref(), Some("0540001234"), "{sent}");
        }
        assert_eq!(phone("+81 90-1234-5678").as_deref(), Some("09012345678"));
    }

    #[test]
    fn what_is_no_number() {
        for sent in ["", "なし", "000-0000-0000", "110", "090-12345-6789012", "99999999999"] {
            assert_eq!(phone(sent), None, "{sent}");
        }
        assert!(is_mobile("09012345678") && is_mobile("07012345678") && !is_mobile("0540001234"));
    }
}
