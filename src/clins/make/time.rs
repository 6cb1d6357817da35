//! Times: HL7's `YYYY[MM[DD[hh[mm[ss[.f]]]]]][±zzzz]` to FHIR's. SS-MIX2 writes Japan's time without offset, so a
//! time without one is Japan's; dates stay dates.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

/// Japan Standard Time.
pub const JST: Offset = Offset::constant(9);

/// A time as precise as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    year: i16,
    month: Option<i8>,
    day: Option<i8>,
    clock: Option<Clock>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Clock {
    hour: u8,
    minute: u8,
    /// With its fraction as written. `None`: not said.
    second: Option<String>,
    /// `+09:00`.
    offset: String,
}

impl Stamp {
    /// `None`: no time. Unknown parts written as zeros (`20190500`) end the time before them.
    pub fn hl7(text: &str) -> Option<Stamp> {
        let text = text.trim();
        let (digits, offset) = match text.find(['+', '-']) {
            Some(at) => (text.get(..at)?, Some(text.get(at..)?)),
            None => (text, None),
        };
        let (digits, fraction) = match digits.split_once('.') {
            Some((digits, fraction)) => (digits, Some(fraction)),
            None => (digits, None),
        };
        let offset = match offset {
            None => "+09:00".to_owned(),
            Some(offset) => written_offset(offset)?,
        };
        let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if !plain(digits)
            || !matches!(digits.len(), 4 | 6 | 8 | 10 | 12 | 14)
            || !plain(fraction.unwrap_or_default())
        {
            return None;
        }
        let part = |from: usize| digits.get(from..from + 2);
        let year: i16 = digits.get(..4)?.parse().ok()?;
        let mut stamp = Stamp { year, month: None, day: None, clock: None };
        if !(1850..=2200).contains(&year) {
            return None;
        }
        let Some(month) = part(4).filter(|p| *p != "00") else { return Some(stamp) };
        let month: i8 = month.parse().ok()?;
        stamp.month = Some(month);
        Date::new(year, month, 1).ok()?;
        let Some(day) = part(6).filter(|p| *p != "00") else { return Some(stamp) };
        let day: i8 = day.parse().ok()?;
        Date::new(year, month, day).ok()?;
        stamp.day = Some(day);
        // Hours without minutes are no FHIR time: the day is what is sure.
        let (Some(hour), Some(minute)) = (part(8), part(10)) else { return Some(stamp) };
        let (hour, minute): (u8, u8) = (hour.parse().ok()?, minute.parse().ok()?);
        let second = part(12).map(|s| match fraction {
            Some(fraction) if !fraction.is_empty() => {
                let fraction: String = fraction.chars().take(9).collect();
                format!("{s}.{fraction}")
            }
            _ => s.to_owned(),
        });
        let whole: u8 = part(12).unwrap_or("00").parse().ok()?;
        if hour > 23 || minute > 59 || whole > 59 {
            return None;
        }
        stamp.clock = Some(Clock { hour, minute, second, offset });
        Some(stamp)
    }

    /// FHIR `dateTime`: as precise as it was, seconds filled with zero where only minutes are known.
    pub fn date_time(&self) -> String {
        match &self.clock {
            None => self.date(),
            Some(clock) => {
                let Clock { hour, minute, offset, .. } = clock;
                let second = clock.second.as_deref().unwrap_or("00");
                format!("{}T{hour:02}:{minute:02}:{second}{offset}", self.date())
            }
        }
    }

    /// FHIR `date`.
    pub fn date(&self) -> String {
        let Stamp { year, month, day, .. } = self;
        match (month, day) {
            (Some(month), Some(day)) => format!("{year:04}-{month:02}-{day:02}"),
            (Some(month), None) => format!("{year:04}-{month:02}"),
            _ => format!("{year:04}"),
        }
    }

    /// FHIR `instant`, where it is known to the minute.
    pub fn instant(&self) -> Option<String> {
        self.clock.as_ref().map(|_| self.date_time())
    }

    pub fn lacks_seconds(&self) -> bool {
        self.clock.as_ref().is_some_and(|c| c.second.is_none())
    }

    /// The last day it may mean.
    fn last_day(&self) -> Option<Date> {
        let month = self.month.unwrap_or(12);
        match self.day {
            Some(day) => Date::new(self.year, month, day).ok(),
            None => Date::new(self.year, month, 1).ok().map(Date::last_of_month),
        }
    }

    /// Whether all days it may mean lie more than `years` before `now`, in Japan.
    pub fn older_than(&self, years: i16, now: Timestamp) -> bool {
        let today = today(now);
        let before = today.year().checked_sub(years).and_then(|year| {
            Date::new(year, today.month(), today.day()).or_else(|_| Date::new(year, 2, 28)).ok()
        });
        match (self.last_day(), before) {
            (Some(last), Some(before)) => last < before,
            _ => false,
        }
    }
}

/// `+0900` as `+09:00`.
fn written_offset(offset: &str) -> Option<String> {
    let digits = offset.get(1..)?;
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = (digits.get(..2)?, digits.get(2..)?);
    let (h, m): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
    (h <= 14 && m <= 59).then(|| format!("{}{hours}:{minutes}", offset.get(..1).unwrap_or("+")))
}

/// The day it is in Japan.
pub fn today(now: Timestamp) -> Date {
    JST.to_datetime(now).date()
}

/// The year of a Bundle-ID.
pub fn year(now: Timestamp) -> i16 {
    today(now).year()
}

/// `2025-10-01T09:00:05.120+09:00`, as the guide wants `Bundle.timestamp`.
pub fn instant(now: Timestamp) -> String {
    let t = JST.to_datetime(now);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}+09:00",
        t.year(),
        t.month(),
        t.day(),
        t.hour(),
        t.minute(),
        t.second(),
        t.millisecond()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fhir(text: &str) -> Option<String> {
        Stamp::hl7(text).map(|s| s.date_time())
    }

    #[test]
    fn times_are_as_precise_as_written() {
        for (hl7, expected) in [
            ("2019", "2019"),
            ("201905", "2019-05"),
            ("20190500", "2019-05"),
            ("20190000", "2019"),
            ("20190501", "2019-05-01"),
            ("2019050108", "2019-05-01"),
            ("201905010830", "2019-05-01T08:30:00+09:00"),
            ("20190501083007", "2019-05-01T08:30:07+09:00"),
            ("20190501083007.1234+0000", "2019-05-01T08:30:07.1234+00:00"),
        ] {
            assert_eq!(fhir(hl7).as_deref(), Some(expected), "{hl7}");
        }
        for bad in
            ["", "19", "20191301", "20190230", "20190501250000", "2019-05-01", "0000", "20190501083060", "x"]
        {
            assert_eq!(fhir(bad), None, "{bad}");
        }
    }

    #[test]
    fn five_years_are_counted_in_japan() {
        // 2026-02-28 in UTC is the first of March in Japan.
        let now: Timestamp = "2026-02-28T15:30:00Z".parse().unwrap();
        let old = |text: &str| Stamp::hl7(text).unwrap().older_than(5, now);
        assert!(old("20210228") && old("2020") && old("202102"));
        assert!(!old("20210301") && !old("2021") && !old("202103"));
        assert_eq!((year(now), instant(now)), (2026, "2026-03-01T00:30:00.000+09:00".to_owned()));
    }
}
