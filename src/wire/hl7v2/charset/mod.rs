//! The character set of a message (MSH-18, MSH-20): what it is called, how its bytes become text before anything
//! is split, and how an answer is written in it.
//!
//! In ISO-2022-JP the second byte of 本 is a backslash, that of 美 a tilde, that of 日 a bar: a message split before
//! it is decoded falls apart at nearly every Japanese name.

mod decode;
mod encode;
mod jis;

pub use decode::{Decoded, Fault, FaultKind, Oddity, OddityKind, decode};
pub use encode::{Encoded, encode};
pub use jis::full_width;

/// How the bytes of a message are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CharacterSet {
    Ascii,
    /// ASCII and, by escapes, JIS X 0208, 0212 and 0201 (RFC 1468 and its kin).
    Iso2022Jp,
    Utf8,
    /// Shift_JIS as Windows has it; only where a sender is known to send it under another label.
    Cp932,
}

/// The character sets a message says it uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    pub set: CharacterSet,
    /// MSH-18 and MSH-20 of an answer: as the sender wrote them, typing errors put right.
    pub msh_18: String,
    pub msh_20: String,
    /// What is odd about it, for the operator.
    pub odd: Option<&'static str>,
}

impl Label {
    pub const ASCII: Label =
        Label { set: CharacterSet::Ascii, msh_18: String::new(), msh_20: String::new(), odd: None };

    /// What Japanese systems write today.
    pub fn japanese() -> Label {
        Label {
            set: CharacterSet::Iso2022Jp,
            msh_18: "~ISO IR87".into(),
            msh_20: "ISO 2022-1994".into(),
            odd: None,
        }
    }

    pub fn utf8() -> Label {
        Label { set: CharacterSet::Utf8, msh_18: "UNICODE UTF-8".into(), msh_20: String::new(), odd: None }
    }

    /// The sets named by MSH-18 (`repetitions`, each as its components) and MSH-20.
    pub fn read(repetitions: &[Vec<String>], msh_20: &str) -> Label {
        let tidy = |s: &String| -> String {
            s.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
        };
        let names: Vec<Vec<String>> =
            repetitions.iter().map(|components| components.iter().map(tidy).collect()).collect();
        let all = || names.iter().flatten().map(String::as_str);
        let has = |name: &str| all().any(|n| n == name);
        if all().any(|n| matches!(n, "UNICODE" | "UNICODEUTF8" | "UTF8")) {
            let written = repetitions.iter().map(|c| c.join("")).find(|c| !c.is_empty()).unwrap_or_default();
            return Label { msh_18: written, ..Label::utf8() };
        }
        if has("ISOIR87") || has("ISOIR159") || has("ISOIR13") || has("ISOIR14") {
            let first = names.first().filter(|c| c.len() == 1).and_then(|c| c.first()).map(String::as_str);
            let base = match first {
                Some("ASCII") => Some("ASCII"),
                Some("ISOIR6") => Some("ISO IR6"),
                Some("") => Some(""),
                _ => None,
            };
            let odd = match base {
                None => Some("MSH-18 is not written ~ISO IR87"),
                Some(_) if !repetitions.iter().flatten().any(|n| n.trim() == "ISO IR87") => {
                    Some("MSH-18 does not name ISO IR87 as it is written")
                }
                Some(_) => None,
            };
            let msh_20 = match msh_20.trim() {
                "" => "ISO 2022-1994".to_owned(),
                written => written.to_owned(),
            };
            let msh_18 = format!("{}~ISO IR87", base.unwrap_or_default());
            return Label { set: CharacterSet::Iso2022Jp, msh_18, msh_20, odd };
        }
        let known = |n: &str| matches!(n, "" | "ASCII" | "ISOIR6");
        let odd = (!all().all(known)).then_some("MSH-18 names a character set that is not read here");
        Label { odd, ..Label::ASCII }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(msh_18: &str) -> Label {
        let repetitions: Vec<Vec<String>> =
            msh_18.split('~').map(|r| r.split('^').map(str::to_owned).collect()).collect();
        Label::read(&repetitions, "")
    }

    #[test]
    fn labels_are_read_as_they_are_seen() {
        use CharacterSet::{Ascii, Iso2022Jp, Utf8};
        let cases = [
            ("", Ascii, "", false),
            ("ASCII", Ascii, "", false),
            ("8859/1", Ascii, "", true),
            ("~ISO IR87", Iso2022Jp, "~ISO IR87", false),
            ("ASCII~ISO IR87", Iso2022Jp, "ASCII~ISO IR87", false),
            ("ISO IR6~ISO IR87", Iso2022Jp, "ISO IR6~ISO IR87", false),
            ("ISO IR87", Iso2022Jp, "~ISO IR87", true),
            ("~ISOIR87", Iso2022Jp, "~ISO IR87", true),
            ("^ISO IR87", Iso2022Jp, "~ISO IR87", true),
            ("~ISO IR87~ISO IR159", Iso2022Jp, "~ISO IR87", false),
            ("~ISO IR87~ISO IR13", Iso2022Jp, "~ISO IR87", false),
            ("ISO IR14~ISO IR87", Iso2022Jp, "~ISO IR87", true),
            ("UNICODE UTF-8", Utf8, "UNICODE UTF-8", false),
            ("UNICODE", Utf8, "UNICODE", false),
        ];
        for (written, set, answer, odd) in cases {
            let label = label(written);
            assert_eq!(
                (label.set, label.msh_18.as_str(), label.odd.is_some()),
                (set, answer, odd),
                "{written}"
            );
        }
        assert_eq!(label("~ISO IR87").msh_20, "ISO 2022-1994");
        assert_eq!(
            Label::read(&[vec!["".into()], vec!["ISO IR87".into()]], "ISO2022-1994").msh_20,
            "ISO2022-1994"
        );
    }
}
