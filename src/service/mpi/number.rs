//! 個人番号 (マイナンバー): kept out wherever it could enter (番号法: a network of hospitals may neither collect
//! nor store it). What looks like one is refused, and its value told to nobody.
//!
//! Twelve digits whose last one checks (one in eleven does by chance). Not taken for one: ids of a facility's own
//! domain, which may have twelve digits of their own; telephone numbers; what reads as a date with a time.

/// Whether a whole value is one, as printed in fours too, in half or full width.
pub fn is_individual(text: &str) -> bool {
    let mut digits = [0_u32; 12];
    let mut count = 0;
    for c in text.trim().chars() {
        let Some(digit) = digit(c) else {
            if is_between(c) {
                continue;
            }
            return false;
        };
        match digits.get_mut(count) {
            Some(place) => *place = digit,
            None => return false,
        }
        count += 1;
    }
    count == 12 && checks(&digits)
}

/// Whether one stands somewhere in a text.
pub fn holds_individual(text: &str) -> bool {
    text.split(|c: char| digit(c).is_none() && !is_between(c))
        .any(|run| is_individual(run.trim_matches(is_between)) && !is_moment(run))
}

fn digit(c: char) -> Option<u32> {
    match c {
        '0'..='9' => c.to_digit(10),
        '０'..='９' => Some(u32::from(c) - u32::from('０')),
        _ => None,
    }
}

fn is_between(c: char) -> bool {
    matches!(c, ' ' | '　' | '-' | '－' | '−' | '‐')
}

/// The check digit of 番号法施行令 and 総務省令: weights 2 to 7 from the right, and again.
fn checks(digits: &[u32; 12]) -> bool {
    let (body, last) = (&digits[..11], digits[11]);
    let sum: u32 = body.iter().rev().zip((2..=7).cycle()).map(|(digit, weight)| digit * weight).sum();
    let rest = sum % 11;
    last == if rest <= 1 { 0 } else { 11 - rest }
}

/// `YYYYMMDDhhmm`.
fn is_moment(text: &str) -> bool {
    let part = |range: std::ops::Range<usize>| text.get(range).and_then(|t| t.parse::<u32>().ok());
    text.len() == 12
        && part(0..4).is_some_and(|y| (1868..=2100).contains(&y))
        && part(4..6).is_some_and(|m| (1..=12).contains(&m))
        && part(6..8).is_some_and(|d| (1..=31).contains(&d))
        && part(8..10).is_some_and(|h| h < 24)
        && part(10..12).is_some_and(|m| m < 60)
}

/// A message as it is kept: where twelve digits look like one, they are struck out. `allowed` are the ids that
/// were taken from it.
pub fn struck(raw: &[u8], allowed: &[&str]) -> Vec<u8> {
    let mut out = raw.to_vec();
    let mut at = 0;
    while let Some(start) = out.iter().skip(at).position(u8::is_ascii_digit).map(|n| at + n) {
        let length = out.iter().skip(start).take_while(|b| b.is_ascii_digit()).count();
        at = start + length;
        if length != 12 {
            continue;
        }
        let Some(run) = out.get_mut(start..at) else { break };
        let hit = std::str::from_utf8(run)
            .is_ok_and(|text| is_individual(text) && !is_moment(text) && !allowed.contains(&text));
        if hit {
            run.fill(b'*');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_digit_tells() {
        for good in ["123456789018", "1234 5678 9018", "１２３４５６７８９０１８", "1234-5678-9018"]
        {
            assert!(is_individual(good), "{good}");
        }
        for bad in ["123456789012", "12345678901", "1234567890180", "A23456789018", ""] {
            assert!(!is_individual(bad), "{bad}");
        }
        assert!(holds_individual("番号は123456789018です") && holds_individual("患者 1234 5678 9018"));
        assert!(!holds_individual("1312345678901801") && !holds_individual("静岡市葵区1-2-3"));
    }

    #[test]
    fn messages_are_kept_without_it() {
        let raw = b"PID|||123456789018^^^A~000123456789018|||123456789018";
        assert_eq!(struck(raw, &[]), b"PID|||************^^^A~000123456789018|||************");
        assert_eq!(struck(raw, &["123456789018"]), raw, "a facility's own id");
        // 11:41 of a day, and checks all the same.
        let moment = (0..60).map(|m| format!("2026112911{m:02}")).find(|t| is_individual(t)).unwrap();
        assert_eq!(struck(moment.as_bytes(), &[]), moment.as_bytes());
        assert!(!holds_individual(&moment));
    }
}
