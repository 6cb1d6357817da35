//! Primitive values in the form of their types (FHIR R4 2.24.0.1).

use crate::fhirpath::Json;
use crate::fhirpath::temporal::{Precision, Temporal};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Another JSON type.
    Type,
    /// The JSON type is right, the text is not.
    Format,
}

/// The longest string FHIR allows: 1 MB (FHIR R4 2.24.0.1, string). Base64 is bounded by the Bundle alone.
const LONGEST: usize = 1 << 20;

pub fn check(of: &str, json: &Json) -> Result<(), Wrong> {
    let good = match (of, json) {
        ("boolean", Json::Bool(_)) => true,
        ("integer", Json::Number(text)) => text.parse::<i32>().is_ok(),
        ("unsignedInt", Json::Number(text)) => text.parse::<i32>().is_ok_and(|n| n >= 0),
        ("positiveInt", Json::Number(text)) => text.parse::<i32>().is_ok_and(|n| n > 0),
        ("decimal", Json::Number(_)) => true,
        ("boolean" | "integer" | "unsignedInt" | "positiveInt" | "decimal", _) => return Err(Wrong::Type),
        (_, Json::Text(text)) => form(of, text),
        _ => return Err(Wrong::Type),
    };
    if good { Ok(()) } else { Err(Wrong::Format) }
}

fn form(of: &str, text: &str) -> bool {
    if text.is_empty() || (text.len() > LONGEST && !matches!(of, "base64Binary" | "xhtml")) {
        return false;
    }
    match of {
        "code" => {
            // `[^\s]+(\s[^\s]+)*`
            !text.starts_with(char::is_whitespace)
                && !text.ends_with(char::is_whitespace)
                && !text
                    .chars()
                    .zip(text.chars().skip(1))
                    .any(|(a, b)| a.is_whitespace() && b.is_whitespace())
        }
        "id" => {
            text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
        }
        "uri" | "url" | "canonical" => !text.contains(char::is_whitespace),
        "oid" => text.strip_prefix("urn:oid:").is_some_and(oid),
        "uuid" => text.strip_prefix("urn:uuid:").is_some_and(uuid),
        "date" => Temporal::date(text).is_some(),
        "dateTime" => date_time(text, false),
        "instant" => date_time(text, true),
        "time" => Temporal::time(text).is_some_and(|t| t.precision == Precision::Second),
        "base64Binary" => base64(text),
        // `[ \r\n\t\S]+`: no other control characters, and not white space alone.
        "string" | "markdown" => {
            text.chars().all(|c| !c.is_control() || matches!(c, '\r' | '\n' | '\t'))
                && !text.trim().is_empty()
        }
        _ => true,
    }
}

/// A time is whole to the second and has an offset; an instant has a time (FHIR R4 2.24.0.1).
fn date_time(text: &str, instant: bool) -> bool {
    match Temporal::date_time(text) {
        None => false,
        Some(t) if t.precision < Precision::Hour => !instant && !text.contains('T'),
        Some(t) => {
            let offset = text.ends_with('Z')
                || text.len() > 6 && matches!(text.as_bytes().get(text.len() - 6), Some(b'+' | b'-'));
            t.precision == Precision::Second && offset
        }
    }
}

fn oid(text: &str) -> bool {
    let arcs: Vec<&str> = text.split('.').collect();
    arcs.len() > 1
        && matches!(arcs.first(), Some(&("0" | "1" | "2")))
        && arcs.iter().all(|a| {
            !a.is_empty() && a.bytes().all(|b| b.is_ascii_digit()) && (a.len() == 1 || !a.starts_with('0'))
        })
}

fn uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_digit() || (b'a'..=b'f').contains(&b),
        })
}

fn base64(text: &str) -> bool {
    let mut count = 0_usize;
    let mut padding = 0;
    for byte in text.bytes().filter(|b| !b.is_ascii_whitespace()) {
        count += 1;
        match byte {
            b'=' => padding += 1,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => {}
            _ => return false,
        }
    }
    count > 0 && count.is_multiple_of(4) && padding <= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let text = |t: &str| Json::text(t);
        let number = |t: &str| Json::Number(t.into());
        let good = [
            ("instant", text("2025-10-01T09:00:05.120+09:00")),
            ("dateTime", text("2025-10")),
            ("dateTime", text("2025-10-01T09:00:05Z")),
            ("date", text("2025")),
            ("time", text("09:00:00")),
            ("code", text("a b")),
            ("decimal", number("1.00")),
            ("oid", text("urn:oid:1.2.392.100495.20.3.51.11319900018")),
            ("uuid", text("urn:uuid:e9bb9e92-aa64-53e4-a223-1d5e22dc5607")),
            ("base64Binary", text("AAECAw==")),
        ];
        for (of, json) in good {
            assert_eq!(check(of, &json), Ok(()), "{of} {json}");
        }
        let bad = [
            ("instant", text("2025-10-01")),
            ("instant", text("2025-10-01T09:00:05")),
            ("dateTime", text("2025-10-01T09:00+09:00")),
            ("dateTime", text("2025/10/01")),
            ("date", text("2025-02-30")),
            ("code", text(" a")),
            ("id", text("a_b")),
            ("uri", text("a b")),
            ("string", text("")),
            ("positiveInt", number("0")),
            ("integer", number("1.5")),
            ("oid", text("1.2.3")),
            ("base64Binary", text("AAE")),
        ];
        for (of, json) in bad {
            assert_eq!(check(of, &json), Err(Wrong::Format), "{of} {json}");
        }
        assert_eq!(check("decimal", &text("1.0")), Err(Wrong::Type));
        assert_eq!(check("string", &number("1")), Err(Wrong::Type));
        assert_eq!(check("boolean", &text("true")), Err(Wrong::Type));
    }
}
