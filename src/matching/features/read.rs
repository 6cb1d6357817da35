//! The stored line: where its values stand.

use super::{AddressSpans, BadFeatures, Features, InsuranceSpans, NameSpans, Span};
use crate::matching::fold::{self, Birth};

/// First section: the form of the line. A program that folds otherwise writes another, and makes the features anew.
pub(super) const FORM: &str = "1";

impl Features {
    /// What was stored.
    pub fn read(line: &str) -> Result<Self, BadFeatures> {
        let mut features = Self { line: line.into(), ..Self::default() };
        let mut sections = Sections { line, at: 0 };
        if sections.next().and_then(|s| line.get(range(s))) != Some(FORM) {
            return Err(BadFeatures);
        }
        let mut section = || sections.next().ok_or(BadFeatures);
        let names = section()?;
        for repetition in repetitions(line, names) {
            features.names.push(name(line, repetition)?);
        }
        let birth = section()?;
        features.birth = day(line, birth);
        let sex = section()?;
        features.sex = line.as_bytes().get(sex.start as usize).copied().filter(|c| matches!(c, b'M' | b'F'));
        for repetition in repetitions(line, section()?) {
            let [town, numbers, postal] = parts(line, repetition)?;
            features.addresses.push(AddressSpans { town, numbers, postal });
        }
        for repetition in repetitions(line, section()?) {
            let [phone] = parts(line, repetition)?;
            features.phones.push(phone);
        }
        for repetition in repetitions(line, section()?) {
            let [key, branch] = parts(line, repetition)?;
            features.insurances.push(InsuranceSpans { key, branch });
        }
        for repetition in repetitions(line, section()?) {
            let [order, died, seen, unknown] = parts(line, repetition)?;
            features.order = line.get(range(order)).and_then(|o| o.parse().ok()).unwrap_or(0);
            features.died = day(line, died);
            features.seen = day(line, seen);
            features.unknown = unknown.end > unknown.start;
        }
        Ok(features)
    }
}

fn range(span: Span) -> std::ops::Range<usize> {
    span.start as usize..span.end as usize
}

/// Pieces up to a tab or the end.
struct Sections<'a> {
    line: &'a str,
    at: usize,
}

impl Iterator for Sections<'_> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        let rest = self.line.as_bytes().get(self.at..)?;
        let length = memchr::memchr(b'\t', rest).unwrap_or(rest.len());
        let span = Span { start: self.at as u32, end: (self.at + length) as u32 };
        self.at += length + 1;
        Some(span)
    }
}

/// Pieces of a section, each up to its `;`.
fn repetitions(line: &str, section: Span) -> impl Iterator<Item = Span> + '_ {
    let mut at = section.start as usize;
    let end = section.end as usize;
    std::iter::from_fn(move || {
        let length = memchr::memchr(b';', line.as_bytes().get(at..end)?)?;
        let span = Span { start: at as u32, end: (at + length) as u32 };
        at += length + 1;
        Some(span)
    })
}

/// Exactly so many parts, each up to its `|`.
fn parts<const N: usize>(line: &str, repetition: Span) -> Result<[Span; N], BadFeatures> {
    let mut found = [Span::default(); N];
    let mut at = repetition.start as usize;
    let end = repetition.end as usize;
    for part in &mut found {
        let rest = line.as_bytes().get(at..end).ok_or(BadFeatures)?;
        let length = memchr::memchr(b'|', rest).ok_or(BadFeatures)?;
        *part = Span { start: at as u32, end: (at + length) as u32 };
        at += length + 1;
    }
    (at == end).then_some(found).ok_or(BadFeatures)
}

/// A name. A form that is the same as the one before it is stored empty.
fn name(line: &str, repetition: Span) -> Result<NameSpans, BadFeatures> {
    let [newborn, f0, g0, f1, g1, f2, g2, f3, g3] = parts(line, repetition)?;
    let or = |span: Span, before: Span| if span.start == span.end { before } else { span };
    Ok(NameSpans {
        family: [f0, or(f1, f0), f2, or(f3, f2)],
        given: [g0, or(g1, g0), g2, or(g3, g2)],
        newborn: newborn.end > newborn.start,
    })
}

fn day(line: &str, span: Span) -> Option<Birth> {
    let text = line.get(range(span))?;
    let part = |from: usize, to: usize| text.get(from..to).and_then(|t| t.parse::<u16>().ok());
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    Some(fold::Birth { year, month: month as u8, day: day as u8 })
}
