//! DTM, a point in time as precise as its sender knew it: `YYYY[MM[DD[hh[mm[ss]]]]]`, always UTC.
//! ITI TF-3 Table 4.2.3.1.7-2.

use super::Hl7Error;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::fmt;

/// How far a [`Dtm`] is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Precision {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
}

/// A point in time, UTC, with its precision. Not ordered: `2006` and `200601` have no order; see
/// [`Dtm::is_after`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dtm {
    /// What is not known is the first month, the first day, zero.
    floor: DateTime,
    precision: Precision,
}

impl Dtm {
    pub fn parse(value: &str) -> Result<Self, Hl7Error> {
        if value.is_empty() {
            return Err(Hl7Error::Empty);
        }
        let precision = match value.len() {
            4 => Precision::Year,
            6 => Precision::Month,
            8 => Precision::Day,
            10 => Precision::Hour,
            12 => Precision::Minute,
            14 => Precision::Second,
            _ => return Err(Hl7Error::BadTimeForm),
        };
        if !value.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Hl7Error::BadTimeForm);
        }
        let number = |from: usize, to: usize, absent: i16| {
            value.get(from..to).map_or(Ok(absent), |digits| digits.parse().map_err(|_| Hl7Error::BadTimeForm))
        };
        // Two digits always fit.
        let pair =
            |from: usize, absent: i16| number(from, from + 2, absent).map(|n| i8::try_from(n).unwrap_or(-1));
        let year = number(0, 4, 0)?;
        if year == 0 {
            return Err(Hl7Error::BadCalendar);
        }
        let floor = DateTime::new(year, pair(4, 1)?, pair(6, 1)?, pair(8, 0)?, pair(10, 0)?, pair(12, 0)?, 0)
            .map_err(|_| Hl7Error::BadCalendar)?;
        Ok(Self { floor, precision })
    }

    /// The instant to the second.
    pub fn from_timestamp(at: Timestamp) -> Self {
        let at = TimeZone::UTC.to_datetime(at);
        let floor = at.with().subsec_nanosecond(0).build().unwrap_or(at);
        Self { floor, precision: Precision::Second }
    }

    /// The first instant the value can mean, in microseconds since 1970-01-01T00:00:00Z: missing parts are
    /// the first month, the first day, zero.
    pub fn to_micros_floor(self) -> i64 {
        // Parsed years are 1 to 9999, all of which an instant can hold.
        TimeZone::UTC.to_timestamp(self.floor).map_or(i64::MIN, |at| at.as_microsecond())
    }

    /// The first instant the value can mean as `YYYYMMDDhhmmss`: values padded so compare as text.
    pub fn to_padded(self) -> String {
        Self { precision: Precision::Second, ..self }.to_string()
    }

    pub fn precision(self) -> Precision {
        self.precision
    }

    /// Whether `self` is later than `other` for certain, judged on the parts both know: `2006` is not
    /// after `20060101`.
    pub fn is_after(self, other: Self) -> bool {
        let parts = |d: DateTime| {
            [
                d.year(),
                d.month().into(),
                d.day().into(),
                d.hour().into(),
                d.minute().into(),
                d.second().into(),
            ]
        };
        let common = self.precision.min(other.precision) as usize + 1;
        parts(self.floor).iter().take(common).gt(parts(other.floor).iter().take(common))
    }
}

impl fmt::Display for Dtm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let d = self.floor;
        write!(f, "{:04}", d.year())?;
        let parts = [
            (Precision::Month, d.month()),
            (Precision::Day, d.day()),
            (Precision::Hour, d.hour()),
            (Precision::Minute, d.minute()),
            (Precision::Second, d.second()),
        ];
        for (_, part) in parts.into_iter().filter(|(p, _)| *p <= self.precision) {
            write!(f, "{part:02}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_precision_round_trips() {
        for good in ["2005", "200501", "20050102", "2005010203", "200501020304", "20050102030405"] {
            assert_eq!(Dtm::parse(good).unwrap().to_string(), good);
        }
    }

    #[test]
    fn the_calendar_is_kept() {
        for (bad, why) in [
            ("", Hl7Error::Empty),
            ("20051", Hl7Error::BadTimeForm),
            ("2005-01-02", Hl7Error::BadTimeForm),
            ("20050102T030405Z", Hl7Error::BadTimeForm),
            ("20050102030405.1", Hl7Error::BadTimeForm),
            ("200501020304+0900", Hl7Error::BadTimeForm),
            ("２００５", Hl7Error::BadTimeForm),
            ("0000", Hl7Error::BadCalendar),
            ("200513", Hl7Error::BadCalendar),
            ("20050230", Hl7Error::BadCalendar),
            ("2005010224", Hl7Error::BadCalendar),
            ("20050102030460", Hl7Error::BadCalendar),
        ] {
            assert_eq!(Dtm::parse(bad), Err(why), "{bad}");
        }
        assert!(Dtm::parse("20240229").is_ok());
    }

    #[test]
    fn missing_parts_are_the_first() {
        let floor = |s| Dtm::parse(s).unwrap().to_micros_floor();
        assert_eq!(floor("1970"), 0);
        assert_eq!(floor("197001010000"), 0);
        assert_eq!(floor("19700102"), 86_400_000_000);
        assert!(floor("0001") < floor("9999"));
        assert!(floor("9999") > 0 && floor("0001") > i64::MIN);
    }

    #[test]
    fn order_is_judged_on_common_parts() {
        let after = |a, b| Dtm::parse(a).unwrap().is_after(Dtm::parse(b).unwrap());
        assert!(after("200612230900", "200612230800"));
        assert!(!after("20061223", "2006"));
        assert!(!after("2006", "20061223"));
        assert!(after("2007", "20061223"));
    }

    proptest! {
        #[test]
        fn timestamps_round_trip(seconds in -60_000_000_000i64..250_000_000_000) {
            let at = Timestamp::from_second(seconds).unwrap();
            let dtm = Dtm::from_timestamp(at);
            prop_assert_eq!(dtm.to_micros_floor(), at.as_microsecond());
            prop_assert_eq!(Dtm::parse(&dtm.to_string()).unwrap(), dtm);
        }
    }
}
