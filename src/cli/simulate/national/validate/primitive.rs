//! Spellings of FHIR's primitive types.

use serde_json::Value;

/// Whether this is a value of the primitive type; `None` for a type that is none.
pub fn is(kind: &str, value: &Value) -> Option<bool> {
    let text = value.as_str();
    Some(match kind {
        "boolean" => value.is_boolean(),
        "integer" => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
        "unsignedInt" => value.as_i64().is_some_and(|n| (0..=i64::from(i32::MAX)).contains(&n)),
        "positiveInt" => value.as_i64().is_some_and(|n| (1..=i64::from(i32::MAX)).contains(&n)),
        "decimal" => value.is_number(),
        "string" | "markdown" => text.is_some_and(|s| !s.trim().is_empty()),
        "xhtml" => text.is_some_and(|s| s.trim_start().starts_with("<div") && s.trim_end().ends_with('>')),
        "uri" | "url" | "canonical" => {
            text.is_some_and(|s| !s.is_empty() && !s.contains(char::is_whitespace))
        }
        "oid" => text.and_then(|s| s.strip_prefix("urn:oid:")).is_some_and(oid),
        "uuid" => {
            text.and_then(|s| s.strip_prefix("urn:uuid:")).is_some_and(|s| uuid::Uuid::try_parse(s).is_ok())
        }
        "id" => text.is_some_and(|s| {
            (1..=64).contains(&s.len())
                && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
        }),
        "code" => text.is_some_and(code),
        "date" => text.is_some_and(date),
        "dateTime" => text.is_some_and(date_time),
        "instant" => text.is_some_and(instant),
        "time" => text.is_some_and(time),
        "base64Binary" => text.is_some_and(base64),
        _ => return None,
    })
}

fn oid(text: &str) -> bool {
    let arcs: Vec<&str> = text.split('.').collect();
    let digits = |arc: &str| {
        !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()) && (arc == "0" || !arc.starts_with('0'))
    };
    arcs.len() >= 2 && arcs.iter().all(|arc| digits(arc)) && matches!(arcs.first(), Some(&"0" | &"1" | &"2"))
}

/// No blank at either end, and one at a time within.
fn code(text: &str) -> bool {
    !text.is_empty() && text.split(' ').all(|word| !word.is_empty() && !word.contains(char::is_whitespace))
}

fn digits(text: &str, length: usize) -> Option<(i16, &str)> {
    let (head, rest) = text.split_at_checked(length)?;
    if !head.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((head.parse().ok()?, rest))
}

/// `YYYY`, `YYYY-MM`, `YYYY-MM-DD`.
pub fn date(text: &str) -> bool {
    let read = || {
        let (year, rest) = digits(text, 4)?;
        if year == 0 {
            return None;
        }
        if rest.is_empty() {
            return Some(());
        }
        let (month, rest) = digits(rest.strip_prefix('-')?, 2)?;
        let day = match rest.is_empty() {
            true => 1,
            false => {
                let (day, rest) = digits(rest.strip_prefix('-')?, 2)?;
                rest.is_empty().then_some(day)?
            }
        };
        jiff::civil::Date::new(year, month.try_into().ok()?, day.try_into().ok()?).ok().map(|_| ())
    };
    read().is_some()
}

/// A date, or with `T`, seconds and a zone.
pub fn date_time(text: &str) -> bool {
    if text.contains('T') { instant(text) } else { date(text) }
}

/// A date and time to the second at least, with its zone.
pub fn instant(text: &str) -> bool {
    let read = || {
        let (day, rest) = text.split_once('T')?;
        if day.len() != 10 || !date(day) {
            return None;
        }
        let zone = rest.find(['Z', '+', '-'])?;
        let (clock, zone) = rest.split_at_checked(zone)?;
        if !time(clock) {
            return None;
        }
        if zone == "Z" {
            return Some(());
        }
        let (hours, rest) = digits(zone.get(1..)?, 2)?;
        let (minutes, rest) = digits(rest.strip_prefix(':')?, 2)?;
        (rest.is_empty() && minutes < 60 && (hours < 14 || (hours == 14 && minutes == 0))).then_some(())
    };
    read().is_some()
}

fn time(text: &str) -> bool {
    let read = || {
        let (hours, rest) = digits(text, 2)?;
        let (minutes, rest) = digits(rest.strip_prefix(':')?, 2)?;
        let (seconds, rest) = digits(rest.strip_prefix(':')?, 2)?;
        let fraction = match rest.strip_prefix('.') {
            None => rest.is_empty(),
            Some(fraction) => !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit()),
        };
        (hours < 24 && minutes < 60 && seconds < 61 && fraction).then_some(())
    };
    read().is_some()
}

fn base64(text: &str) -> bool {
    let text: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let body = text.iter().rposition(|b| *b != b'=').map_or(0, |last| last + 1);
    let letter = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    text.len().is_multiple_of(4) && text.len() - body <= 2 && text.iter().take(body).all(letter)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn primitives_are_told_from_what_only_looks_like_them() {
        for (kind, good, bad) in [
            ("instant", json!("2025-10-01T09:00:05.120+09:00"), json!("2025-10-01")),
            ("instant", json!("2025-10-01T09:00:05Z"), json!("2025-10-01T09:00:05")),
            ("dateTime", json!("2025-10"), json!("2025-13")),
            ("dateTime", json!("2025-10-01T09:00:05+09:00"), json!("2025-10-01T09:00+09:00")),
            ("date", json!("2024-02-29"), json!("2025-02-29")),
            ("date", json!("1958"), json!("19581103")),
            ("code", json!("in progress"), json!("in  progress")),
            ("uri", json!("urn:oid:1.2.3"), json!("a b")),
            ("id", json!("pt-1.x"), json!("pt_1")),
            ("decimal", json!(1.5), json!("1.5")),
            ("positiveInt", json!(1), json!(0)),
            ("boolean", json!(true), json!("true")),
            ("base64Binary", json!("JVBE"), json!("JVB")),
            ("base64Binary", json!("JV=="), json!("J===")),
            ("string", json!("x"), json!(" ")),
            ("oid", json!("urn:oid:1.2.392"), json!("urn:oid:1.02")),
        ] {
            assert_eq!(is(kind, &good), Some(true), "{kind} {good}");
            assert_eq!(is(kind, &bad), Some(false), "{kind} {bad}");
        }
        assert_eq!(is("Coding", &json!({})), None);
    }
}
