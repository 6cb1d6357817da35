//! Discovery of patients between communities (ITI-55): whom another community describes, and what it is told.

use std::fmt;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::{Demographics, SentId};

/// Somebody as another community describes them.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Discovery {
    /// Names are alternatives, and so are addresses and telephones (ITI TF-2 3.55.4.1.2.2).
    pub described: Demographics,
    /// Ids it knows them by, in whatever domains.
    pub ids: Vec<SentId>,
    /// `minimumDegreeMatch`, 0 to 100.
    pub least: u8,
}

impl Discovery {
    /// Whether enough is said to look for them by what they are like: name and birth date (ITI TF-2 3.55.4.1.2.2).
    pub fn describes(&self) -> bool {
        let d = &self.described;
        d.birth_date.is_some() && d.names.as_ref().is_some_and(|names| !names.is_empty())
    }
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Discovery(…)")
    }
}

/// What else would tell a patient from others (code system 1.3.6.1.4.1.19376.1.2.27.1, ITI TF-2 Table
/// 3.55.4.2.2.6-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    Address,
    Telecom,
    Gender,
    BirthPlaceName,
    BirthPlaceAddress,
    MothersMaidenName,
}

impl Wanted {
    pub const ALL: [Wanted; 6] = [
        Wanted::Address,
        Wanted::Telecom,
        Wanted::Gender,
        Wanted::BirthPlaceName,
        Wanted::BirthPlaceAddress,
        Wanted::MothersMaidenName,
    ];
    pub const SYSTEM: &str = "1.3.6.1.4.1.19376.1.2.27.1";

    pub fn code(self) -> &'static str {
        match self {
            Wanted::Address => "PatientAddressRequested",
            Wanted::Telecom => "PatientTelecomRequested",
            Wanted::Gender => "LivingSubjectAdministrativeGenderRequested",
            Wanted::BirthPlaceName => "LivingSubjectBirthPlaceNameRequested",
            Wanted::BirthPlaceAddress => "LivingSubjectBirthPlaceAddressRequested",
            Wanted::MothersMaidenName => "MothersMaidenNameRequested",
        }
    }

    pub fn of(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|w| w.code() == code)
    }
}

/// Why a community cannot answer (code system 1.3.6.1.4.1.19376.1.2.27.3, ITI TF-2 3.55.4.2.2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unable {
    /// Later, perhaps.
    Busy,
    /// Not by what was asked.
    NotAvailable,
    Internal,
}

impl Unable {
    pub const ALL: [Unable; 3] = [Unable::Busy, Unable::NotAvailable, Unable::Internal];
    pub const SYSTEM: &str = "1.3.6.1.4.1.19376.1.2.27.3";

    pub fn code(self) -> &'static str {
        match self {
            Unable::Busy => "ResponderBusy",
            Unable::NotAvailable => "AnswerNotAvailable",
            Unable::Internal => "InternalError",
        }
    }

    pub fn of(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|u| u.code() == code)
    }
}

/// How long a correlation may be kept: `CorrelationTimeToLive`, an `xs:duration` (ITI TF-2 3.55.4.1.2.5).
#[derive(Debug, Clone)]
pub struct TimeToLive {
    /// As sent.
    text: String,
    span: Span,
}

/// Longest time a correlation is kept on another's word, whatever they say.
const LONGEST_DAYS: i64 = 366;

impl TimeToLive {
    /// `None`: it is no duration, or one of no length.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        // What jiff reads beside ISO 8601 is no xs:duration.
        let iso = text.len() <= 64
            && text.starts_with('P')
            && text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase() || b == b'.');
        let span: Span = text.parse().ok().filter(|_| iso)?;
        (!span.is_zero() && !span.is_negative()).then(|| Self { text: text.to_owned(), span })
    }

    pub fn hours(hours: u64) -> Option<Self> {
        match hours.is_multiple_of(24) {
            true => Self::parse(&format!("P{}D", hours / 24)),
            false => Self::parse(&format!("PT{hours}H")),
        }
    }

    /// Until when, from `now` on.
    pub fn until(&self, now: Timestamp) -> Timestamp {
        let longest = now.saturating_add(jiff::SignedDuration::from_hours(LONGEST_DAYS * 24)).unwrap_or(now);
        let said = now.to_zoned(TimeZone::UTC).checked_add(self.span).map(|z| z.timestamp());
        said.map_or(longest, |said| said.min(longest))
    }
}

impl fmt::Display for TimeToLive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_xml_schema() {
        let now: Timestamp = "2026-11-22T03:00:00Z".parse().unwrap();
        let until = |text: &str| TimeToLive::parse(text).map(|t| t.until(now).to_string());
        assert_eq!(until("P7D").as_deref(), Some("2026-11-29T03:00:00Z"));
        assert_eq!(until(" PT12H30M ").as_deref(), Some("2026-11-22T15:30:00Z"));
        assert_eq!(until("P1M").as_deref(), Some("2026-12-22T03:00:00Z"), "months are the calendar's");
        assert_eq!(until("P100Y").as_deref(), Some("2027-11-23T03:00:00Z"), "no longer than a year");
        for bad in ["", "7 days", "P", "-P7D", "P0D", "PT0S", "7", "1h", "P7d"] {
            assert!(until(bad).is_none(), "{bad}");
        }
        assert_eq!(TimeToLive::hours(168).unwrap().to_string(), "P7D");
        assert_eq!(TimeToLive::hours(5).unwrap().to_string(), "PT5H");
        assert!(TimeToLive::hours(0).is_none());
    }

    #[test]
    fn codes_read_as_they_are_written() {
        assert!(Wanted::ALL.into_iter().all(|w| Wanted::of(w.code()) == Some(w)));
        assert!(Unable::ALL.into_iter().all(|u| Unable::of(u.code()) == Some(u)));
    }
}
