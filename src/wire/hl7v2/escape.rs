//! Escape sequences within text (HL7 v2.5 2.7): delimiters, and bytes in hexadecimal.

use super::message::Delimiters;

/// Text as it was before it was escaped. A sequence that is not known stays as it is written; `\H\` and `\N\`,
/// which only change how text is shown, go.
pub fn resolve(raw: &str, delimiters: Delimiters) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find(delimiters.escape) {
        let (before, escaped) = rest.split_at(at);
        out.push_str(before);
        // The escape character is ASCII.
        let inner = escaped.get(1..).unwrap_or_default();
        let Some(end) = inner.find(delimiters.escape) else {
            out.push_str(escaped);
            return out;
        };
        let (sequence, after) = inner.split_at(end);
        match meaning(sequence, delimiters) {
            Some(text) => {
                out.push_str(&text);
                rest = after.get(1..).unwrap_or_default();
            }
            None => {
                // Its second escape character may begin another sequence.
                out.push(delimiters.escape);
                out.push_str(sequence);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn meaning(sequence: &str, delimiters: Delimiters) -> Option<String> {
    let character = match sequence {
        "F" => delimiters.field,
        "S" => delimiters.component,
        "T" => delimiters.subcomponent,
        "R" => delimiters.repetition,
        "E" => delimiters.escape,
        ".br" => ' ',
        "H" | "N" => return Some(String::new()),
        hex => return bytes(hex.strip_prefix('X')?),
    };
    Some(character.to_string())
}

/// `\Xhh…\`: bytes of ASCII or UTF-8. Control characters, which no value of ours needs, become blanks.
fn bytes(hex: &str) -> Option<String> {
    if hex.is_empty() || !hex.bytes().all(|b| b.is_ascii_hexdigit()) || !hex.len().is_multiple_of(2) {
        return None;
    }
    let digits: Option<Vec<u8>> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect();
    let text = String::from_utf8(digits?).ok()?;
    Some(text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect())
}

/// Appends `text`, escaped.
pub fn write(out: &mut String, text: &str, delimiters: Delimiters) {
    let Delimiters { field, component, repetition, escape, subcomponent } = delimiters;
    for c in text.chars() {
        let code = match c {
            c if c == escape => 'E',
            c if c == field => 'F',
            c if c == component => 'S',
            c if c == subcomponent => 'T',
            c if c == repetition => 'R',
            c if c.is_control() => ' ',
            plain => {
                out.push(plain);
                continue;
            }
        };
        match code {
            ' ' => out.push(' '),
            code => out.extend([escape, code, escape]),
        }
    }
}

/// `text`, escaped.
pub fn escaped(text: &str, delimiters: Delimiters) -> String {
    let mut out = String::with_capacity(text.len());
    write(&mut out, text, delimiters);
    out
}

/// A field with all its parts in other delimiters.
pub fn transcode(raw: &str, from: Delimiters, to: Delimiters) -> String {
    if from == to {
        return raw.to_owned();
    }
    let mut out = String::with_capacity(raw.len());
    let mut plain = String::new();
    let flush = |plain: &mut String, out: &mut String| {
        write(out, &resolve(plain, from), to);
        plain.clear();
    };
    for c in raw.chars() {
        let delimiter = match c {
            c if c == from.component => to.component,
            c if c == from.repetition => to.repetition,
            c if c == from.subcomponent => to.subcomponent,
            c if c == from.field => to.field,
            other => {
                plain.push(other);
                continue;
            }
        };
        flush(&mut plain, &mut out);
        out.push(delimiter);
    }
    flush(&mut plain, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STANDARD: Delimiters = Delimiters::STANDARD;

    #[test]
    fn sequences_are_resolved_once() {
        let cases = [
            ("a\\F\\b\\S\\\\T\\\\R\\\\E\\", "a|b^&~\\"),
            ("\\E\\F\\E\\", "\\F\\"),
            ("\\X41e38182\\", "Aあ"),
            ("\\X0D\\", " "),
            ("\\X4\\", "\\X4\\"),
            ("\\Z9\\F\\", "\\Z9|"),
            ("a\\H\\b\\N\\c\\.br\\d", "abc d"),
            ("c:\\dir", "c:\\dir"),
            ("\\", "\\"),
        ];
        for (raw, text) in cases {
            assert_eq!(resolve(raw, STANDARD), text, "{raw}");
        }
    }

    #[test]
    fn a_field_keeps_its_parts_in_other_delimiters() {
        let from = Delimiters { field: '$', component: '%', repetition: '*', escape: '!', subcomponent: '+' };
        assert_eq!(transcode("a%b+c*d!T!^", from, STANDARD), "a^b&c~d+\\S\\");
    }

    proptest! {
        #[test]
        fn what_is_escaped_reads_back(text in "\\PC*") {
            let written = escaped(&text, STANDARD);
            for delimiter in ['|', '^', '~', '&'] {
                prop_assert!(!written.contains(delimiter));
            }
            prop_assert_eq!(resolve(&written, STANDARD), text);
        }
    }
}
