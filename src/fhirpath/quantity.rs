//! Quantities: a decimal and a unit, UCUM or a calendar word (FHIRPath 2.0 4.1.8).

use super::decimal::Decimal;
use super::temporal::Step;
use std::cmp::Ordering;
use std::fmt;

#[derive(Clone, Debug)]
pub struct Quantity {
    pub value: Decimal,
    /// A UCUM code; `year` … `millisecond` for calendar durations; `1` for none.
    pub unit: Box<str>,
}

/// UCUM units that are counted into one another: code, dimension, factor to the dimension's unit.
/// Others compare where their codes are the same.
const UNITS: &[(&str, &str, &str)] = &[
    ("kg", "mass", "1000"),
    ("g", "mass", "1"),
    ("mg", "mass", "0.001"),
    ("ug", "mass", "0.000001"),
    ("ng", "mass", "0.000000001"),
    ("pg", "mass", "0.000000000001"),
    ("t", "mass", "1000000"),
    ("[lb_av]", "mass", "453.59237"),
    ("[oz_av]", "mass", "28.349523125"),
    ("km", "length", "1000"),
    ("m", "length", "1"),
    ("dm", "length", "0.1"),
    ("cm", "length", "0.01"),
    ("mm", "length", "0.001"),
    ("um", "length", "0.000001"),
    ("nm", "length", "0.000000001"),
    ("[in_i]", "length", "0.0254"),
    ("[ft_i]", "length", "0.3048"),
    ("L", "volume", "1"),
    ("l", "volume", "1"),
    ("dL", "volume", "0.1"),
    ("dl", "volume", "0.1"),
    ("cL", "volume", "0.01"),
    ("mL", "volume", "0.001"),
    ("ml", "volume", "0.001"),
    ("uL", "volume", "0.000001"),
    ("ul", "volume", "0.000001"),
    ("fL", "volume", "0.000000000000001"),
    ("mol", "amount", "1"),
    ("mmol", "amount", "0.001"),
    ("umol", "amount", "0.000001"),
    ("nmol", "amount", "0.000000001"),
    ("pmol", "amount", "0.000000000001"),
    ("wk", "time", "604800"),
    ("d", "time", "86400"),
    ("h", "time", "3600"),
    ("min", "time", "60"),
    ("s", "time", "1"),
    ("ms", "time", "0.001"),
    ("a", "time", "31557600"),
    ("mo", "time", "2629800"),
    ("1", "number", "1"),
    ("%", "number", "0.01"),
    ("10*3", "number", "1000"),
    ("10*6", "number", "1000000"),
    ("Pa", "pressure", "1"),
    ("kPa", "pressure", "1000"),
    ("mm[Hg]", "pressure", "133.322387415"),
];

/// Calendar words and their UCUM relatives. Years and months are no fixed span: as calendar words they are equal to
/// their relatives only in the sense of `~`.
const CALENDAR: &[(&str, Step, &str)] = &[
    ("year", Step::Year, "a"),
    ("month", Step::Month, "mo"),
    ("week", Step::Week, "wk"),
    ("day", Step::Day, "d"),
    ("hour", Step::Hour, "h"),
    ("minute", Step::Minute, "min"),
    ("second", Step::Second, "s"),
    ("millisecond", Step::Millisecond, "ms"),
];

/// The calendar word, singular, that `word` is.
pub fn calendar_word(word: &str) -> Option<&'static str> {
    let singular = word.strip_suffix('s').unwrap_or(word);
    CALENDAR.iter().find(|(name, _, _)| *name == singular).map(|(name, _, _)| *name)
}

impl Quantity {
    pub fn new(value: Decimal, unit: &str) -> Self {
        Self { value, unit: unit.into() }
    }

    /// `5 'mg'`, `5 days`, `5` (FHIRPath 2.0 5.5.6).
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let end =
            text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '-' | '+')).unwrap_or(text.len());
        let value = Decimal::parse(&text[..end])?;
        let rest = text[end..].trim_start();
        if rest.is_empty() {
            return Some(Self::new(value, "1"));
        }
        if let Some(quoted) = rest.strip_prefix('\'').and_then(|r| r.strip_suffix('\'')) {
            return (!quoted.is_empty() && !quoted.contains(char::is_whitespace))
                .then(|| Self::new(value, quoted));
        }
        calendar_word(rest).map(|word| Self::new(value, word))
    }

    /// As a step of dates: calendar words, and UCUM's seconds and below them (FHIRPath 2.0 6.6.7).
    pub fn step(&self) -> Option<Step> {
        CALENDAR
            .iter()
            .find(|(name, step, code)| {
                &*self.unit == *name
                    || (&*self.unit == *code && matches!(step, Step::Second | Step::Millisecond))
            })
            .map(|(_, step, _)| *step)
    }

    fn scaled(&self, equivalent: bool) -> Option<(&'static str, Decimal)> {
        let calendar = CALENDAR.iter().find(|(name, _, _)| &*self.unit == *name);
        let code = match calendar {
            // Year and month by the calendar have a dimension of their own, unless rough sameness is asked for.
            Some((_, Step::Year, _)) if !equivalent => {
                return Some(("calendar", self.value.mul(Decimal::from_int(12))?));
            }
            Some((_, Step::Month, _)) if !equivalent => return Some(("calendar", self.value)),
            Some((_, _, code)) => code,
            None => &*self.unit,
        };
        let (_, dimension, factor) = UNITS.iter().find(|(unit, _, _)| *unit == code)?;
        Some((dimension, self.value.mul(Decimal::parse(factor)?)?))
    }

    /// `None` where the units have nothing in common.
    pub fn compare(&self, other: &Self, equivalent: bool) -> Option<Ordering> {
        if self.unit == other.unit {
            return Some(self.value.cmp(&other.value));
        }
        let ((a_of, a), (b_of, b)) = (self.scaled(equivalent)?, other.scaled(equivalent)?);
        (a_of == b_of).then(|| a.cmp(&b))
    }

    /// In another unit.
    pub fn converted(&self, unit: &str) -> Option<Self> {
        let unit = calendar_word(unit).unwrap_or(unit);
        if &*self.unit == unit {
            return Some(self.clone());
        }
        let (of, value) = self.scaled(true)?;
        let (target, factor) = Self::new(Decimal::from_int(1), unit).scaled(true)?;
        (of == target).then(|| value.div(factor).map(|value| Self::new(value, unit)))?
    }

    /// Sum or difference in the unit of the finer one.
    pub fn plus(&self, other: &Self, negated: bool) -> Option<Self> {
        let sign = |value: Decimal| if negated { value.negated() } else { value };
        if self.unit == other.unit {
            return Some(Self::new(self.value.add(sign(other.value))?, &self.unit));
        }
        let other = other.converted(&self.unit)?;
        Some(Self::new(self.value.add(sign(other.value))?, &self.unit))
    }

    /// Product and quotient: of units only those that vanish.
    pub fn times(&self, other: &Self) -> Option<Self> {
        let value = self.value.mul(other.value)?;
        match (&*self.unit, &*other.unit) {
            (unit, "1") | ("1", unit) => Some(Self::new(value, unit)),
            (a, b) if a == b => Some(Self::new(value, &format!("{a}2"))),
            (a, b) => Some(Self::new(value, &format!("{a}.{b}"))),
        }
    }

    pub fn over(&self, other: &Self) -> Option<Self> {
        if &*other.unit == "1" {
            return Some(Self::new(self.value.div(other.value)?, &self.unit));
        }
        match other.converted(&self.unit) {
            Some(other) => Some(Self::new(self.value.div(other.value)?, "1")),
            None => Some(Self::new(self.value.div(other.value)?, &format!("{}/{}", self.unit, other.unit))),
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if calendar_word(&self.unit).is_some() {
            return write!(f, "{} {}", self.value, self.unit);
        }
        write!(f, "{} '{}'", self.value, self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn q(text: &str) -> Quantity {
        Quantity::parse(text).unwrap()
    }

    #[test]
    fn units_are_counted() {
        assert_eq!(q("1 'g'").compare(&q("1000 'mg'"), false), Some(Ordering::Equal));
        assert_eq!(q("1 'L'").compare(&q("1 'g'"), false), None);
        assert_eq!(q("7 days").compare(&q("1 week"), false), Some(Ordering::Equal));
        assert_eq!(q("1 year").compare(&q("1 'a'"), false), None);
        assert_eq!(q("1 year").compare(&q("1 'a'"), true), Some(Ordering::Equal));
        assert_eq!(q("5 days").step(), Some(Step::Day));
        assert_eq!(q("5 'mo'").step(), None);
        assert_eq!(q("4 'g'").plus(&q("4000 'mg'"), false).unwrap().to_string(), "8 'g'");
        assert!(Quantity::parse("5 mg").is_none());
        for (unit, _, factor) in UNITS {
            assert!(Decimal::parse(factor).is_some(), "{unit}");
        }
    }
}
