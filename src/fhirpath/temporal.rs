//! Dates, times and instants with the precision they were written with (FHIRPath 2.0 4.1.5-4.1.7): two of them may be
//! neither equal nor unequal.

use super::decimal::Decimal;
use std::cmp::Ordering;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemporalKind {
    Date,
    DateTime,
    Time,
}

/// How much was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// A DateTime of which only the `T` is written has none.
    Year,
    Month,
    Day,
    Hour,
    Minute,
    /// Seconds with any fraction: one precision (FHIRPath 2.0 6.2.1).
    Second,
}

#[derive(Clone, Copy, Debug)]
pub struct Temporal {
    pub kind: TemporalKind,
    pub precision: Precision,
    year: i32,
    month: u32,
    day: u32,
    hour: u32,
    minute: u32,
    /// Thousandths; what is finer is cut.
    millis: u32,
    /// Digits of the fraction as written.
    fraction: u8,
    /// Minutes east of UTC.
    offset: Option<i32>,
}

/// A step of time, as quantities name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
}

struct Cursor<'a>(&'a str);

impl Cursor<'_> {
    fn digits(&mut self, count: usize) -> Option<u32> {
        let head = self.0.get(..count)?;
        if !head.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        self.0 = &self.0[count..];
        head.parse().ok()
    }

    fn take(&mut self, c: char) -> bool {
        match self.0.strip_prefix(c) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }
}

impl Temporal {
    /// `2014`, `2014-01`, `2014-01-25`.
    pub fn date(text: &str) -> Option<Self> {
        let mut cursor = Cursor(text);
        let me = Self::day_part(&mut cursor, TemporalKind::Date)?;
        cursor.0.is_empty().then_some(me)
    }

    /// `2014-01-25T14:30:14.559+09:00`; also a date alone, and FHIRPath's `2014T`.
    pub fn date_time(text: &str) -> Option<Self> {
        let mut cursor = Cursor(text);
        let mut me = Self::day_part(&mut cursor, TemporalKind::DateTime)?;
        if cursor.take('T') && !cursor.0.is_empty() {
            if me.precision != Precision::Day {
                return None;
            }
            me.time_part(&mut cursor)?;
            me.offset_part(&mut cursor)?;
        }
        cursor.0.is_empty().then_some(me)
    }

    /// `14:30:14.559`, without the `T`.
    pub fn time(text: &str) -> Option<Self> {
        let mut cursor = Cursor(text);
        let mut me = Self::blank(TemporalKind::Time);
        me.time_part(&mut cursor)?;
        cursor.0.is_empty().then_some(me)
    }

    /// A moment in milliseconds since 1970 at an offset.
    pub fn at(unix_millis: i64, offset: i32) -> Self {
        let local = unix_millis + i64::from(offset) * 60_000;
        let mut me = Self {
            precision: Precision::Second,
            fraction: 3,
            offset: Some(offset),
            ..Self::blank(TemporalKind::DateTime)
        };
        me.set_day(local.div_euclid(86_400_000));
        me.set_clock(local.rem_euclid(86_400_000));
        me
    }

    pub fn to_date(self) -> Self {
        let precision = self.precision.min(Precision::Day);
        Self {
            kind: TemporalKind::Date,
            precision,
            hour: 0,
            minute: 0,
            millis: 0,
            fraction: 0,
            offset: None,
            ..self
        }
    }

    pub fn to_date_time(self) -> Self {
        Self { kind: TemporalKind::DateTime, ..self }
    }

    pub fn to_time(self) -> Self {
        Self { kind: TemporalKind::Time, year: 0, month: 1, day: 1, offset: None, ..self }
    }

    const fn blank(kind: TemporalKind) -> Self {
        Self {
            kind,
            precision: Precision::Year,
            year: 0,
            month: 1,
            day: 1,
            hour: 0,
            minute: 0,
            millis: 0,
            fraction: 0,
            offset: None,
        }
    }

    fn day_part(cursor: &mut Cursor<'_>, kind: TemporalKind) -> Option<Self> {
        let mut me = Self::blank(kind);
        me.year = i32::try_from(cursor.digits(4)?).ok()?;
        if cursor.take('-') {
            me.month = cursor.digits(2)?;
            me.precision = Precision::Month;
            if cursor.take('-') {
                me.day = cursor.digits(2)?;
                me.precision = Precision::Day;
            }
        }
        let good = (1..=12).contains(&me.month) && (1..=days_in(me.year, me.month)).contains(&me.day);
        good.then_some(me)
    }

    fn time_part(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        self.hour = cursor.digits(2)?;
        self.precision = Precision::Hour;
        if cursor.take(':') {
            self.minute = cursor.digits(2)?;
            self.precision = Precision::Minute;
            if cursor.take(':') {
                self.millis = cursor.digits(2)? * 1000;
                self.precision = Precision::Second;
                if cursor.take('.') {
                    let length = cursor.0.bytes().take_while(u8::is_ascii_digit).count();
                    let digits = cursor.0.get(..length).filter(|d| !d.is_empty())?;
                    let thousandths = format!("{digits:0<3}");
                    self.millis += thousandths.get(..3)?.parse::<u32>().ok()?;
                    self.fraction = u8::try_from(length.min(9)).ok()?;
                    cursor.0 = &cursor.0[length..];
                }
            }
        }
        // A leap second is one (FHIR R4, regex of instant); it counts as the next minute's beginning.
        (self.hour < 24 && self.minute < 60 && self.millis < 61_000).then_some(())
    }

    fn offset_part(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        if cursor.take('Z') {
            self.offset = Some(0);
            return Some(());
        }
        let sign = match cursor.0.as_bytes().first() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Some(()),
        };
        cursor.0 = &cursor.0[1..];
        let hours = i32::try_from(cursor.digits(2)?).ok()?;
        let minutes = if cursor.take(':') { i32::try_from(cursor.digits(2)?).ok()? } else { return None };
        self.offset = Some(sign * (hours * 60 + minutes));
        (hours <= 14 && minutes < 60).then_some(())
    }

    fn days(&self) -> i64 {
        days_from_civil(self.year, self.month, self.day)
    }

    fn clock(&self) -> i64 {
        i64::from(self.hour) * 3_600_000 + i64::from(self.minute) * 60_000 + i64::from(self.millis)
    }

    fn set_day(&mut self, days: i64) {
        (self.year, self.month, self.day) = civil_from_days(days);
    }

    fn set_clock(&mut self, millis: i64) {
        self.hour = u32::try_from(millis / 3_600_000).unwrap_or(0);
        self.minute = u32::try_from(millis / 60_000 % 60).unwrap_or(0);
        self.millis = u32::try_from(millis % 60_000).unwrap_or(0);
    }

    /// In UTC, where an offset is known and there is a time to move.
    fn utc(mut self, default_offset: i32) -> Self {
        if self.kind == TemporalKind::DateTime && self.precision >= Precision::Hour {
            let offset = self.offset.unwrap_or(default_offset);
            let moved = self.days() * 86_400_000 + self.clock() - i64::from(offset) * 60_000;
            self.set_day(moved.div_euclid(86_400_000));
            self.set_clock(moved.rem_euclid(86_400_000));
            self.offset = Some(0);
        }
        self
    }

    /// FHIRPath 2.0 6.2: `None` where the precision of one ends before they differ. `default_offset`: minutes east of
    /// UTC of a DateTime that names none.
    pub fn compare(self, other: Self, default_offset: i32) -> Option<Ordering> {
        let both_clocked = self.precision >= Precision::Hour && other.precision >= Precision::Hour;
        let (a, b) =
            if both_clocked { (self.utc(default_offset), other.utc(default_offset)) } else { (self, other) };
        let parts = |t: &Self| {
            [i64::from(t.year), t.month.into(), t.day.into(), t.hour.into(), t.minute.into(), t.millis.into()]
        };
        let levels = [
            Precision::Year,
            Precision::Month,
            Precision::Day,
            Precision::Hour,
            Precision::Minute,
            Precision::Second,
        ];
        let clock_only = self.kind == TemporalKind::Time;
        for ((x, y), level) in parts(&a).into_iter().zip(parts(&b)).zip(levels) {
            if clock_only && level < Precision::Hour {
                continue;
            }
            match (a.precision >= level, b.precision >= level) {
                (true, true) => match x.cmp(&y) {
                    Ordering::Equal => {}
                    decided => return Some(decided),
                },
                (false, false) => return Some(Ordering::Equal),
                _ => return None,
            }
        }
        Some(Ordering::Equal)
    }

    /// `~`: the same value at the same precision.
    pub fn equivalent(self, other: Self, default_offset: i32) -> bool {
        self.precision == other.precision && self.compare(other, default_offset) == Some(Ordering::Equal)
    }

    /// FHIRPath 2.0 6.6.7: whole steps; what is finer than the precision is cut.
    pub fn plus(mut self, amount: Decimal, step: Step) -> Option<Self> {
        let precision_of = |step| match step {
            Step::Year => Precision::Year,
            Step::Month => Precision::Month,
            Step::Week | Step::Day => Precision::Day,
            Step::Hour => Precision::Hour,
            Step::Minute => Precision::Minute,
            Step::Second | Step::Millisecond => Precision::Second,
        };
        let millis = |step| match step {
            Step::Week => Some(604_800_000_i64),
            Step::Day => Some(86_400_000),
            Step::Hour => Some(3_600_000),
            Step::Minute => Some(60_000),
            Step::Second => Some(1000),
            Step::Millisecond => Some(1),
            Step::Year | Step::Month => None,
        };
        if self.kind == TemporalKind::Time {
            let moved = self.clock() + amount.mul(Decimal::from_int(millis(step)?))?.truncated().to_int()?;
            self.set_clock(moved.rem_euclid(86_400_000));
            return Some(self);
        }
        match step {
            Step::Year | Step::Month => {
                let count = amount.truncated().to_int()?;
                let mut months = if step == Step::Year { count.checked_mul(12)? } else { count };
                if self.precision < precision_of(step) {
                    // A year alone moves by whole years.
                    months = months / 12 * 12;
                }
                let total = (i64::from(self.year) * 12 + i64::from(self.month) - 1).checked_add(months)?;
                self.year = i32::try_from(total.div_euclid(12)).ok().filter(|y| (1..=9999).contains(y))?;
                self.month = u32::try_from(total.rem_euclid(12)).ok()? + 1;
                self.day = self.day.min(days_in(self.year, self.month));
                Some(self)
            }
            _ if self.precision < Precision::Day => {
                // By days into a month or year: as many whole ones (30 and 365 days, FHIRPath 2.0 6.6.7).
                let days = amount.mul(Decimal::from_int(millis(step)?))?.truncated().to_int()? / 86_400_000;
                match self.precision {
                    Precision::Year => self.plus(Decimal::from_int(days / 365), Step::Year),
                    _ => self.plus(Decimal::from_int(days / 30), Step::Month),
                }
            }
            _ => {
                let whole = if matches!(step, Step::Second) { amount } else { amount.truncated() };
                let moved = whole.mul(Decimal::from_int(millis(step)?))?.truncated().to_int()?;
                let unit: i64 = match self.precision {
                    Precision::Day => 86_400_000,
                    Precision::Hour => 3_600_000,
                    Precision::Minute => 60_000,
                    _ => 1,
                };
                let total = (self.days() * 86_400_000 + self.clock()).checked_add(moved / unit * unit)?;
                self.set_day(total.div_euclid(86_400_000));
                self.set_clock(total.rem_euclid(86_400_000));
                (1..=9999).contains(&self.year).then_some(self)
            }
        }
    }
}

fn leap(year: i32) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn days_in(year: i32, month: u32) -> u32 {
    match month {
        2 if leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
fn days_from_civil(year: i32, month: u32, day: u32) -> i64 {
    let y = i64::from(year) - i64::from(month <= 2);
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let month = i64::from(month);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil_from_days(days: i64) -> (i32, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (i32::try_from(year).unwrap_or(0), u32::try_from(month).unwrap_or(1), u32::try_from(day).unwrap_or(1))
}

impl fmt::Display for Temporal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind != TemporalKind::Time {
            write!(f, "{:04}", self.year)?;
            if self.precision >= Precision::Month {
                write!(f, "-{:02}", self.month)?;
            }
            if self.precision >= Precision::Day {
                write!(f, "-{:02}", self.day)?;
            }
            if self.precision >= Precision::Hour {
                f.write_str("T")?;
            }
        }
        if self.precision >= Precision::Hour {
            write!(f, "{:02}", self.hour)?;
        }
        if self.precision >= Precision::Minute {
            write!(f, ":{:02}", self.minute)?;
        }
        if self.precision >= Precision::Second {
            write!(f, ":{:02}", self.millis / 1000)?;
            if self.fraction > 0 || !self.millis.is_multiple_of(1000) {
                write!(f, ".{:03}", self.millis % 1000)?;
            }
        }
        match self.offset {
            Some(0) => f.write_str("Z"),
            Some(offset) => {
                let (sign, offset) = if offset < 0 { ('-', -offset) } else { ('+', offset) };
                write!(f, "{sign}{:02}:{:02}", offset / 60, offset % 60)
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dt(text: &str) -> Temporal {
        Temporal::date_time(text).unwrap()
    }

    #[test]
    fn precision_decides() {
        assert_eq!(dt("2012").compare(dt("2013-05"), 0), Some(Ordering::Less));
        assert_eq!(dt("2012").compare(dt("2012-05"), 0), None);
        assert_eq!(
            dt("2012-01-01T10:00:00Z").compare(dt("2012-01-01T19:00:00.000+09:00"), 0),
            Some(Ordering::Equal)
        );
        assert_eq!(dt("2012-01-01T10:00").compare(dt("2012-01-01T10:00:00"), 0), None);
        assert_eq!(dt("2012-01-01T10:00:00").compare(dt("2012-01-01T01:00:00Z"), 540), Some(Ordering::Equal));
    }

    #[test]
    fn reads_and_writes() {
        for text in ["2014", "2014-02", "2014-02-28", "2014-02-28T14:30:14.559+09:00", "2014-02-28T14:30:14Z"]
        {
            assert_eq!(dt(text).to_string(), text);
        }
        for text in
            ["2014-13", "2014-02-30", "2014-02-28T24:00", "14", "2014-02T10:00", "2014-02-28T10:00:00+0900"]
        {
            assert!(Temporal::date_time(text).is_none(), "{text}");
        }
        assert_eq!(Temporal::at(0, 540).to_string(), "1970-01-01T09:00:00.000+09:00");
    }

    #[test]
    fn moves_in_steps() {
        let plus = |text: &str, n: i64, step| dt(text).plus(Decimal::from_int(n), step).unwrap().to_string();
        assert_eq!(plus("2020-02-29", 1, Step::Year), "2021-02-28");
        assert_eq!(plus("2020-01-31", 1, Step::Month), "2020-02-29");
        assert_eq!(plus("2020-12-31T23:30:00Z", 1, Step::Hour), "2021-01-01T00:30:00Z");
        assert_eq!(plus("2020-03-01", -1, Step::Day), "2020-02-29");
        assert_eq!(plus("2014", 24, Step::Month), "2016");
        assert_eq!(plus("2019-03-01", 24, Step::Month), "2021-03-01");
    }
}
