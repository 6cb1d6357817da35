//! LIKE as stored queries mean it: `%` is any text, `_` is one character, nothing escapes, and the whole
//! value must match. ITI TF-2 3.18.4.1.2.3.5.
//!
//! In Rust because the engines disagree (SQLite ignores ASCII case, PostgreSQL has `\` as an escape) and
//! because this one cannot be made slow: for a value of n characters it takes at most n² steps.

use std::str::Chars;

/// Does the pattern hold a wildcard? One that holds none is compared for equality.
pub(super) fn is_pattern(pattern: &str) -> bool {
    pattern.contains(['%', '_'])
}

/// Does the whole of `value` match?
pub(super) fn matches(pattern: &str, value: &str) -> bool {
    let (mut pattern, mut value) = (pattern.chars(), value.chars());
    // What follows the last `%`, and where in the value it was last tried.
    let mut retry: Option<(Chars<'_>, Chars<'_>)> = None;
    loop {
        let here = value.clone();
        match (pattern.next(), value.next()) {
            (None, None) => return true,
            (Some('%'), _) => {
                value = here.clone();
                retry = Some((pattern.clone(), here));
            }
            (Some('_'), Some(_)) => {}
            (Some(p), Some(v)) if p == v => {}
            // The value is used up; another try would only leave less of it.
            (Some(_), None) => return false,
            _ => {
                let Some((after, from)) = &mut retry else { return false };
                from.next();
                pattern = after.clone();
                value = from.clone();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        for (pattern, value, expected) in [
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
            ("%", "", true),
            ("%", "abc", true),
            ("a%", "abc", true),
            ("a%", "bac", false),
            ("%c", "abc", true),
            ("%c", "abcd", false),
            ("%b%", "abc", true),
            ("a_c", "abc", true),
            ("a_c", "ac", false),
            ("_", "山", true),
            ("_", "", false),
            ("%山田%太郎%", "^山田^太郎^^^Dr", true),
            ("%ab%abc", "ababxabc", true),
            ("%aab", "aaab", true),
            ("a%b%c", "a1b2c3", false),
            ("abc", "ABC", false),
            ("%%", "x", true),
            (r"\%", r"\x", true),
            (r"\%", "%", false),
        ] {
            assert_eq!(matches(pattern, value), expected, "{pattern:?} over {value:?}");
        }
    }

    #[test]
    fn a_hostile_pattern_ends() {
        let value = "a".repeat(4096);
        let pattern = format!("{}b", "%a".repeat(2000));
        assert!(!matches(&pattern, &value));
    }

    proptest::proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab%_]{0,8}", value in "[abc]{0,8}") {
            fn slow(p: &[u8], v: &[u8]) -> bool {
                match (p.first(), v.first()) {
                    (None, None) => true,
                    (Some(b'%'), _) => slow(&p[1..], v) || (!v.is_empty() && slow(p, &v[1..])),
                    (Some(b'_'), Some(_)) => slow(&p[1..], &v[1..]),
                    (Some(a), Some(b)) if a == b => slow(&p[1..], &v[1..]),
                    _ => false,
                }
            }
            proptest::prop_assert_eq!(matches(&pattern, &value), slow(pattern.as_bytes(), value.as_bytes()));
        }
    }
}
