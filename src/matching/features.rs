//! What of demographics is compared: normalised once, when an identity is fed, and stored beside it.

mod names;
mod read;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::fold::{self, Birth};
use crate::model::identity::Demographics;
use names::NameEntry;

/// Older versions whose names and addresses are compared too.
const VERSIONS: usize = 4;
/// Names, addresses, phones, insurances that are compared, of each: more are somebody's mistake.
const MOST: usize = 6;

/// A piece of the line.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

/// One name an identity goes by, as spans of the line.
#[derive(Clone, Copy, Default)]
pub(super) struct NameSpans {
    /// Family and given name: kana L1, kana L2, as written, as written by representatives.
    pub family: [Span; 4],
    pub given: [Span; 4],
    /// The given name is a newborn's placeholder: it is not known.
    pub newborn: bool,
}

/// The four forms of [`NameSpans`].
pub(super) const KANA: usize = 0;
pub(super) const SOUND: usize = 1;
pub(super) const WRITTEN: usize = 2;
pub(super) const PLAIN: usize = 3;

#[derive(Clone, Copy, Default)]
pub(super) struct AddressSpans {
    pub town: Span,
    pub numbers: Span,
    pub postal: Span,
}

#[derive(Clone, Copy, Default)]
pub(super) struct InsuranceSpans {
    pub key: Span,
    pub branch: Span,
}

/// Normalised demographics of one identity.
///
/// Stored as one line of text ([`Features::store`], [`Features::read`]), which is read several times faster than
/// JSON: a feed compares up to 600 of them. Serde writes the same line as a string.
#[derive(Clone, Default)]
pub struct Features {
    line: Box<str>,
    pub(super) names: Vec<NameSpans>,
    pub(super) birth: Option<Birth>,
    /// `M`, `F`; anything else sent is not compared.
    pub(super) sex: Option<u8>,
    pub(super) addresses: Vec<AddressSpans>,
    pub(super) phones: Vec<Span>,
    pub(super) insurances: Vec<InsuranceSpans>,
    /// PID-25.
    pub(super) order: u8,
    /// The day of death (PID-29), as far as known.
    pub(super) died: Option<Birth>,
    /// The last day the sender knew them (PID-33).
    pub(super) seen: Option<Birth>,
    /// PID-31.
    pub(super) unknown: bool,
}

/// A stored line that is none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stored features are not of this program's form")]
pub struct BadFeatures;

impl Features {
    /// What is compared of `demographics`.
    pub fn of(demographics: &Demographics) -> Self {
        Self::of_versions(demographics, &[])
    }

    /// As [`Features::of`], with what was said before as alternatives: former names, addresses, phones and insurances.
    /// `older`: newest first.
    pub fn of_versions(newest: &Demographics, older: &[Demographics]) -> Self {
        let versions: Vec<&Demographics> =
            std::iter::once(newest).chain(older.iter().take(VERSIONS)).collect();
        let mut line = Line::begin();
        let mut entries: Vec<NameEntry> = vec![];
        for version in &versions {
            for entry in names::entries(version.names.as_deref().unwrap_or_default()) {
                if entries.len() < MOST && !entries.contains(&entry) {
                    entries.push(entry);
                }
            }
        }
        for entry in &entries {
            line.repetition(&entry.parts());
        }
        line.section();
        if let Some(b) = newest.birth_date.as_deref().and_then(fold::birth) {
            line.text(&format!("{:04}{:02}{:02}", b.year, b.month, b.day));
        }
        line.section();
        line.text(match newest.sex.as_deref().map(str::trim) {
            Some("M" | "m") => "M",
            Some("F" | "f") => "F",
            _ => "",
        });
        line.section();
        line.all(versions.iter().flat_map(|v| v.addresses.iter().flatten()).filter_map(|a| {
            let folded = fold::address(&a.text, &a.postal_code);
            (folded != fold::FoldedAddress::default())
                .then(|| vec![folded.town, folded.numbers, folded.postal])
        }));
        line.section();
        line.all(
            versions
                .iter()
                .flat_map(|v| v.phones.iter().flatten())
                .filter_map(|p| fold::phone(&p.number).map(|p| vec![p])),
        );
        line.section();
        line.all(versions.iter().flat_map(|v| v.insurances.iter().flatten()).filter_map(|i| {
            fold::insurance(&i.insurer, &i.symbol, &i.number, i.branch.as_deref())
                .map(|i| vec![i.key, i.branch])
        }));
        line.section();
        let day = |text: Option<&str>| {
            let day = text.and_then(fold::birth).filter(|d| d.is_whole());
            day.map(|b| format!("{:04}{:02}{:02}", b.year, b.month, b.day)).unwrap_or_default()
        };
        let order =
            newest.birth_order.filter(|o| (1..=9).contains(o)).map(|o| o.to_string()).unwrap_or_default();
        line.repetition(&[
            &order,
            &day(newest.deceased.as_deref()),
            &day(newest.updated.as_deref()),
            if newest.unknown == Some(true) { "?" } else { "" },
        ]);
        // What was just written is of our form.
        Self::read(&line.text).unwrap_or_default()
    }

    /// The line that is stored.
    pub fn store(&self) -> &str {
        &self.line
    }

    pub(super) fn get(&self, span: Span) -> &str {
        self.line.get(span.start as usize..span.end as usize).unwrap_or_default()
    }
}

/// The line while it is written: sections end in a tab, repetitions in `;`, parts in `|`.
struct Line {
    text: String,
}

impl Line {
    fn begin() -> Self {
        Self { text: format!("{}\t", read::FORM) }
    }

    fn section(&mut self) {
        self.text.push('\t');
    }

    /// A value, without what separates values.
    fn text(&mut self, value: &str) {
        self.text.extend(value.chars().filter(|c| !matches!(c, '\t' | ';' | '|')));
    }

    fn repetition(&mut self, parts: &[&str]) {
        for part in parts {
            self.text(part);
            self.text.push('|');
        }
        self.text.push(';');
    }

    /// Repetitions, each once.
    fn all(&mut self, repetitions: impl Iterator<Item = Vec<String>>) {
        let mut seen: Vec<Vec<String>> = vec![];
        for parts in repetitions {
            if seen.len() < MOST && !seen.contains(&parts) {
                let borrowed: Vec<&str> = parts.iter().map(String::as_str).collect();
                self.repetition(&borrowed);
                seen.push(parts);
            }
        }
    }
}

impl PartialEq for Features {
    fn eq(&self, other: &Self) -> bool {
        self.line == other.line
    }
}

impl Eq for Features {}

/// Prints nothing of the patient.
impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Features(…)")
    }
}

impl Serialize for Features {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.store())
    }
}

impl<'de> Deserialize<'de> for Features {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let line = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::read(&line).map_err(serde::de::Error::custom)
    }
}
