//! What is wrong with a configuration, in the two languages operators read.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The language of sentences meant for operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    #[default]
    En,
    Ja,
}

/// Whether the program can start in spite of the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Start is refused.
    Refuse,
    /// Allowed, and said once at start.
    Warn,
}

/// One fault: the key as one would look for it in the file, and one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `listener[0].certificate`
    pub key: String,
    pub weight: Weight,
    pub en: String,
    pub ja: String,
}

impl Fault {
    pub fn new(key: impl Into<String>, en: impl Into<String>, ja: impl Into<String>) -> Self {
        Self { key: key.into(), weight: Weight::Refuse, en: en.into(), ja: ja.into() }
    }

    pub fn warning(key: impl Into<String>, en: impl Into<String>, ja: impl Into<String>) -> Self {
        Self { weight: Weight::Warn, ..Self::new(key, en, ja) }
    }

    pub fn refuses(&self) -> bool {
        self.weight == Weight::Refuse
    }

    /// `key: sentence` in the language asked for.
    pub fn in_language(&self, language: Language) -> String {
        match language {
            Language::En => format!("{}: {}", self.key, self.en),
            Language::Ja => format!("{}: {}", self.key, self.ja),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.en)
    }
}

// === the sentences several sections share ===

pub fn missing(key: &str) -> Fault {
    Fault::new(key, "a value is required", "値が必要です")
}

pub fn out_of_range(key: &str, least: u64, most: u64) -> Fault {
    Fault::new(
        key,
        format!("must be from {least} to {most}"),
        format!("{least} から {most} までの値にしてください"),
    )
}

pub fn unreadable(key: &str, path: &std::path::Path, cause: impl fmt::Display) -> Fault {
    let path = path.display();
    Fault::new(
        key,
        format!("file {path} cannot be read: {cause}"),
        format!("ファイル {path} を読み込めません: {cause}"),
    )
}

/// Collects faults of one section under its key.
pub struct Faults<'a> {
    section: String,
    list: &'a mut Vec<Fault>,
}

impl<'a> Faults<'a> {
    pub fn of(section: impl Into<String>, list: &'a mut Vec<Fault>) -> Self {
        Self { section: section.into(), list }
    }

    pub fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.section)
    }

    pub fn add(&mut self, key: &str, en: impl Into<String>, ja: impl Into<String>) {
        let fault = Fault::new(self.key(key), en, ja);
        self.list.push(fault);
    }

    pub fn warn(&mut self, key: &str, en: impl Into<String>, ja: impl Into<String>) {
        let fault = Fault::warning(self.key(key), en, ja);
        self.list.push(fault);
    }

    pub fn push(&mut self, fault: Fault) {
        self.list.push(fault);
    }

    pub fn missing(&mut self, key: &str) {
        let fault = missing(&self.key(key));
        self.list.push(fault);
    }

    pub fn range(&mut self, key: &str, value: u64, least: u64, most: u64) {
        if !(least..=most).contains(&value) {
            let fault = out_of_range(&self.key(key), least, most);
            self.list.push(fault);
        }
    }

    /// An OID (ITU-T X.660: first arc 0 to 2, no leading zeros, at most 64 characters as in ITI
    /// TF-3 Table 4.2.3.1.7-2), and not one of the example arc 2.999 unless that is allowed.
    pub fn oid(&mut self, key: &str, value: &str, examples_allowed: bool) {
        if value.is_empty() {
            self.missing(key);
        } else if !is_oid(value) {
            self.add(
                key,
                format!("{value:?} is not an OID (digits and dots, at most 64 characters)"),
                format!("{value:?} は OID ではありません（数字とピリオド、64 文字以内）"),
            );
        } else if !examples_allowed && (value == "2.999" || value.starts_with("2.999.")) {
            self.add(
                key,
                format!("{value} is an example OID, replace it by one of your own arc"),
                format!("{value} は例示用の OID です。自組織の OID に置き換えてください"),
            );
        }
    }
}

/// Whether `text` is a dotted-decimal OID of at least two arcs.
pub fn is_oid(text: &str) -> bool {
    let mut arcs = text.split('.');
    let first = arcs.next().unwrap_or_default();
    let rest: Vec<&str> = arcs.collect();
    let well_formed = |arc: &&str| {
        !arc.is_empty()
            && arc.bytes().all(|b| b.is_ascii_digit())
            && (arc.len() == 1 || !arc.starts_with('0'))
    };
    let second_fits = match (first, rest.first()) {
        ("2", Some(_)) => true,
        ("0" | "1", Some(second)) => second.parse::<u8>().is_ok_and(|arc| arc < 40),
        _ => false,
    };
    text.len() <= 64 && second_fits && rest.iter().all(well_formed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oids_are_recognised() {
        for good in ["1.2.392.100495.20.3.51.11312345670", "2.999.1", "0.0", "2.16.840.1.113883.3"] {
            assert!(is_oid(good), "{good}");
        }
        for bad in ["", "1", "3.1", "1.40", "1.2.", "1..2", "1.02", "1.2.a", "urn:oid:1.2", "1.2.３"] {
            assert!(!is_oid(bad), "{bad}");
        }
    }

    #[test]
    fn example_arc_is_refused_unless_allowed() {
        let mut list = vec![];
        Faults::of("network", &mut list).oid("patient_id_authority", "2.999.1", false);
        assert_eq!(list[0].key, "network.patient_id_authority");
        assert!(list[0].in_language(Language::Ja).contains("置き換え"));
        Faults::of("network", &mut list).oid("patient_id_authority", "2.999.1", true);
        assert_eq!(list.len(), 1);
    }
}
