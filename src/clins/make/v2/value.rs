//! The value of a result: OBX-2, 5, 6, 7, 8 (HL7 v2.5 7.4.2). The profile takes Quantity, CodeableConcept and string.

use super::source::{Source, coded, component, place};
use crate::clins::make::json::{Decimal, Object};
use crate::clins::make::parts::{self, concept};
use crate::clins::make::said::{Notes, UnmappedKey, WarningKey};
use crate::clins::make::systems::code;
use crate::clins::make::text::{line, narrow_number};
use crate::wire::hl7v2::{Segment, Value};

/// Comparators as laboratories write them, the longer first.
const COMPARATORS: &[(&str, &str)] = &[
    ("<=", "<="),
    (">=", ">="),
    ("=<", "<="),
    ("=>", ">="),
    ("≤", "<="),
    ("≥", ">="),
    ("<", "<"),
    (">", ">"),
];

/// HL7 table 0078 as far as v3-ObservationInterpretation has the same codes.
const INTERPRETATIONS: &[&str] =
    &["L", "H", "LL", "HH", "N", "A", "AA", "S", "I", "R", "U", "D", "B", "W", "<", ">", "POS", "NEG"];

/// Why a result has no value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    Unknown,
    NotAsked,
    Unsupported,
}

impl Absent {
    pub fn concept(self) -> Object {
        let (code, display) = match self {
            Absent::Unknown => ("unknown", "Unknown"),
            Absent::NotAsked => ("not-asked", "Not Asked"),
            Absent::Unsupported => ("unsupported", "Unsupported"),
        };
        parts::coded(code::ABSENT, code, Some(display))
    }
}

/// Adds value or dataAbsentReason. `absent`: the status says there is none.
pub fn add(
    of: Object,
    source: &Source<'_, '_>,
    obx: &Segment<'_>,
    absent: Option<Absent>,
    notes: &mut Notes,
) -> Object {
    if let Some(absent) = absent {
        if let Some(text) = obx.field(5).filled() {
            notes.unmapped(UnmappedKey::NotCarried, component(obx, 5, 1, 1), text);
        }
        return of.set("dataAbsentReason", absent.concept());
    }
    let kind = obx.field(2).text();
    let value = obx.field(5);
    let unit = obx.field(6);
    match kind.as_str() {
        _ if value.is_hollow() || value.is_null() => of.set("dataAbsentReason", Absent::Unknown.concept()),
        "NM" => match number(&value.component(1).text()) {
            Some((comparator, number)) => of.set("valueQuantity", quantity(source, number, comparator, unit)),
            None => {
                let text = joined(value);
                notes.warn(WarningKey::NotNumeric, place(obx, 5), text.as_str());
                of.set("valueString", text)
            }
        },
        "SN" => structured(of, source, value, unit),
        "CWE" | "CE" | "CNE" | "CF" => coded_value(of, obx, value, notes),
        "ED" | "RP" | "MA" | "NA" => {
            notes.unmapped(UnmappedKey::Medium, component(obx, 5, 1, 1), kind.as_str());
            of.set("dataAbsentReason", Absent::Unsupported.concept())
        }
        _ => of.set("valueString", joined(value)),
    }
}

/// A number with its comparator; digits are kept as written.
pub fn number(text: &str) -> Option<(Option<&'static str>, Decimal)> {
    let text = narrow_number(text);
    for (written, comparator) in COMPARATORS {
        if let Some(rest) = text.strip_prefix(written) {
            return Decimal::parse(rest.trim()).map(|n| (Some(*comparator), n));
        }
    }
    Decimal::parse(&text).map(|n| (None, n))
}

fn quantity(
    source: &Source<'_, '_>,
    number: Decimal,
    comparator: Option<&'static str>,
    unit: Value<'_>,
) -> Object {
    let written = unit_text(unit);
    let ucum = source.context.masters.ucum(&written);
    Object::new()
        .set("value", number)
        .opt("comparator", comparator)
        .set("unit", written.as_str())
        .opt("system", ucum.map(|_| code::UCUM))
        .opt("code", ucum)
}

/// OBX-6 as it is written: its name, else its code.
pub fn unit_text(unit: Value<'_>) -> String {
    let [first, _] = coded(unit);
    if first.text.is_empty() { first.code } else { first.text }
}

/// SN: `<^100`, `^1^:^128`, `^5^-^10`. One number is a quantity; titres and ranges have no place but text.
fn structured(of: Object, source: &Source<'_, '_>, value: Value<'_>, unit: Value<'_>) -> Object {
    let part = |n: usize| narrow_number(&value.component(n).text());
    let (sign, first, between, second) = (part(1), part(2), part(3), part(4));
    let single = between.is_empty() && second.is_empty();
    match number(&format!("{sign}{first}")) {
        Some((comparator, number)) if single => {
            of.set("valueQuantity", quantity(source, number, comparator, unit))
        }
        _ => of.set("valueString", line(&format!("{sign}{first}{between}{second}"))),
    }
}

/// A coded result: its code where its system has a URI, its text always.
fn coded_value(of: Object, obx: &Segment<'_>, value: Value<'_>, notes: &mut Notes) -> Object {
    let mut codings = vec![];
    let mut text = None;
    for (i, triplet) in coded(value).into_iter().enumerate() {
        if triplet.is_empty() {
            continue;
        }
        let shown = if triplet.text.is_empty() { triplet.code.clone() } else { triplet.text.clone() };
        text = text.or(Some(shown));
        let oid = triplet.system.strip_prefix("urn:oid:").unwrap_or(&triplet.system);
        if triplet.code.is_empty() {
            continue;
        }
        if crate::model::ids::is_oid(oid) {
            let name = Some(triplet.text.as_str()).filter(|t| !t.is_empty());
            codings.push(parts::coding(&format!("urn:oid:{oid}"), &triplet.code, name));
        } else if !triplet.text.is_empty() {
            notes.unmapped(UnmappedKey::UnknownSystem, component(obx, 5, 1, 1 + 3 * i), triplet.code);
        }
    }
    of.set("valueCodeableConcept", concept(codings, text.as_deref()))
}

fn joined(value: Value<'_>) -> String {
    let texts: Vec<String> = value.repetitions().map(|v| line(&v.text())).filter(|t| !t.is_empty()).collect();
    texts.join(" ")
}

/// OBX-8, as far as FHIR has the code.
pub fn interpretations(obx: &Segment<'_>, notes: &mut Notes) -> Vec<Object> {
    let mut all = vec![];
    for (i, value) in obx.field(8).repetitions().enumerate() {
        let text = value.component(1).text();
        match INTERPRETATIONS.iter().find(|c| **c == text) {
            Some(code) => all.push(parts::coded(code::INTERPRETATION, code, None)),
            None if text.is_empty() => {}
            None => notes.unmapped(UnmappedKey::UnknownCode, component(obx, 8, i + 1, 1), text),
        }
    }
    all
}

/// OBX-7: `3.6-4.8` as numbers, everything else as its text.
pub fn reference_range(obx: &Segment<'_>) -> Option<Object> {
    // A range of the form low~high arrives as two repetitions.
    let parts: Vec<String> = obx.field(7).repetitions().map(|v| narrow_number(&line(&v.text()))).collect();
    let text = parts.join("~");
    if text.trim_matches(['~', ' ']).is_empty() {
        return None;
    }
    let unit = unit_text(obx.field(6));
    let bound = |number: Decimal| Object::new().set("value", number).set("unit", unit.as_str());
    let ends = ["~", "～", "〜", "-"].iter().find_map(|between| {
        let (low, high) = text.split_once(between)?;
        Some((Decimal::parse(low.trim())?, Decimal::parse(high.trim())?))
    });
    Some(match ends {
        Some((low, high)) => Object::new().set("low", bound(low)).set("high", bound(high)).set("text", text),
        None => Object::new().set("text", text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_comparator_and_digits() {
        let read = |text: &str| number(text).map(|(c, n)| (c, n.as_str().to_owned()));
        assert_eq!(read("4.40"), Some((None, "4.40".into())));
        assert_eq!(read("<0.10"), Some((Some("<"), "0.10".into())));
        assert_eq!(read("＞＝１００"), Some((Some(">="), "100".into())));
        assert_eq!(read("≤5"), Some((Some("<="), "5".into())));
        for text in ["溶血", "<", "0.1未満", "1:128", "(-)", ""] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
