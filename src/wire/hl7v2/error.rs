//! Acknowledgement codes, error segments, and how what is wrong with a feed or a question is said in them: ERR-2
//! and HL7 table 0357 (HL7 v2.5 2.15.5; ITI TF-2 C.2.3).

use std::fmt;

pub use crate::model::hl7tables::{Ack, Condition};
use crate::model::identity::{Field, IdentityError, Place, Trouble};

/// ERR-2 (type ERL): `segment^sequence^field^repetition^component^subcomponent`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    pub segment: String,
    /// Absent where the whole segment is missing.
    pub sequence: Option<u32>,
    pub field: Option<u32>,
    pub repetition: Option<u32>,
    pub component: Option<u32>,
}

impl Location {
    pub fn segment(name: impl Into<String>) -> Self {
        Self { segment: name.into(), sequence: None, field: None, repetition: None, component: None }
    }

    pub fn line(name: impl Into<String>, sequence: u32) -> Self {
        Self { sequence: Some(sequence), ..Self::segment(name) }
    }

    pub fn field(name: impl Into<String>, sequence: u32, field: u32) -> Self {
        Self { field: Some(field), ..Self::line(name, sequence) }
    }

    #[must_use]
    pub fn repetition(self, repetition: u32) -> Self {
        Self { repetition: Some(repetition), ..self }
    }

    #[must_use]
    pub fn component(self, component: u32) -> Self {
        Self { component: Some(component), ..self }
    }

    /// Its parts from the segment on, as far as they are said.
    pub fn parts(&self) -> Vec<String> {
        let numbers = [self.sequence, self.field, self.repetition, self.component];
        let mut parts = vec![self.segment.clone()];
        parts.extend(numbers.iter().map_while(|n| n.map(|n| n.to_string())));
        parts
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts().join("^"))
    }
}

/// ERR-4, table 0516.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
    Information,
}

impl Severity {
    pub fn code(self) -> &'static str {
        match self {
            Severity::Error => "E",
            Severity::Warning => "W",
            Severity::Information => "I",
        }
    }
}

/// One ERR. The text is for its sender and may name what they sent; `Debug`, which may reach a log, leaves it out.
#[derive(Clone, PartialEq, Eq)]
pub struct ErrorSegment {
    pub location: Option<Location>,
    /// Further places of the same trouble: repetitions of ERR-2.
    pub also: Vec<Location>,
    pub condition: Condition,
    pub severity: Severity,
    pub text: String,
}

impl fmt::Debug for ErrorSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.location.as_ref().map(ToString::to_string).unwrap_or_default();
        write!(f, "ErrorSegment({} {at})", self.condition.code())
    }
}

impl ErrorSegment {
    pub fn new(location: Location, condition: Condition, text: impl Into<String>) -> Self {
        Self { location: Some(location), ..Self::whole(condition, text) }
    }

    /// About the message as a whole.
    pub fn whole(condition: Condition, text: impl Into<String>) -> Self {
        Self { location: None, also: vec![], condition, severity: Severity::Error, text: text.into() }
    }
}

/// Errors of several domains asked for in one ERR, as ITI-9 wants it (ITI TF-2 3.9.4.2.2.6 case 5); ITI-21 wants one
/// each.
pub fn joined(errors: Vec<ErrorSegment>) -> Vec<ErrorSegment> {
    let mut out: Vec<ErrorSegment> = vec![];
    for error in errors {
        let field = |e: &ErrorSegment| e.location.as_ref().map(|l| (l.segment.clone(), l.field));
        let kin = out.iter_mut().find(|kept| {
            kept.condition == error.condition
                && field(kept) == field(&error)
                && field(&error) == Some(("QPD".to_owned(), Some(4)))
        });
        match kin {
            Some(kept) => kept.also.extend(error.location),
            None => out.push(error),
        }
    }
    out
}

/// A value as an error names it to its sender: in quotes and short, but never a run of digits that could be a 個人番号.
pub fn said(value: &str) -> String {
    let digits = value.chars().filter(char::is_ascii_digit).count();
    match digits {
        12 => "the value".to_owned(),
        _ => format!("'{}'", value.chars().take(60).collect::<String>()),
    }
}

/// What was being done: the same field stands in other places of other messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchange {
    Feed,
    /// A24, A37: the second patient is a second PID, where other feeds have MRG.
    Linking,
    Pix,
    Demographics,
}

/// Where a field stands: segment, its sequence, number, and whether answers name its repetition.
fn stands(field: Field, exchange: Exchange) -> Option<(&'static str, u32, u32, bool)> {
    let at = match (field, exchange) {
        (Field::Message, _) => return None,
        (Field::Identifier, Exchange::Pix | Exchange::Demographics) => ("QPD", 1, 3, true),
        (Field::Identifier, _) => ("PID", 1, 3, true),
        (Field::PriorIdentifier, Exchange::Linking) => ("PID", 2, 3, true),
        (Field::PriorIdentifier, _) => ("MRG", 1, 1, true),
        (Field::Name, _) => ("PID", 1, 5, false),
        (Field::MotherName, _) => ("PID", 1, 6, false),
        (Field::BirthDate, _) => ("PID", 1, 7, false),
        (Field::Sex, _) => ("PID", 1, 8, false),
        (Field::Address, _) => ("PID", 1, 11, false),
        (Field::Phone, _) => ("PID", 1, 13, false),
        (Field::Account, _) => ("PID", 1, 18, false),
        (Field::MotherId, _) => ("PID", 1, 21, false),
        (Field::BirthOrder, _) => ("PID", 1, 25, false),
        (Field::Death, _) => ("PID", 1, 29, false),
        (Field::Insurance, _) => ("IN1", 1, 3, false),
        (Field::EventTime, _) => ("EVN", 1, 6, false),
        (Field::QueriedIdentifier, _) => ("QPD", 1, 3, true),
        (Field::WantedDomain, _) => ("QPD", 1, 4, true),
        (Field::QueryParameter, _) => ("QPD", 1, 3, true),
        (Field::ReturnedDomain, _) => ("QPD", 1, 8, true),
        (Field::Continuation, _) => ("DSC", 1, 1, false),
    };
    Some(at)
}

/// The component of an identifier that a trouble is about.
fn component_of(trouble: Trouble) -> Option<u32> {
    match trouble {
        Trouble::UnknownAuthority | Trouble::NoAuthority | Trouble::OtherAuthority => Some(4),
        Trouble::UnknownId | Trouble::Subsumed | Trouble::Taken | Trouble::SameId => Some(1),
        _ => None,
    }
}

/// Whether a field is an identifier, of whose components answers speak. Domains asked for leave them empty
/// (ITI TF-2 3.9.4.2.2.6 case 5, 3.21.4.2.2.8 case 3).
fn has_components(field: Field) -> bool {
    matches!(field, Field::Identifier | Field::PriorIdentifier | Field::QueriedIdentifier)
}

/// Where a place is in a message.
pub fn locate(place: Place, trouble: Trouble, exchange: Exchange) -> Option<Location> {
    let (segment, sequence, field, repeats) = stands(place.field, exchange)?;
    let location = Location::field(segment, sequence, field);
    let nothing = trouble == Trouble::Missing && place.component.is_none() && has_components(place.field);
    if !repeats || nothing {
        return Some(location);
    }
    let location = location.repetition(place.repetition.max(1));
    let component = place.component.or(component_of(trouble)).filter(|_| has_components(place.field));
    Some(component.map_or(location.clone(), |component| location.component(component)))
}

/// The ERR of an error of the MPI.
pub fn of(error: &IdentityError, exchange: Exchange) -> ErrorSegment {
    ErrorSegment {
        location: locate(error.place, error.trouble, exchange),
        also: vec![],
        condition: Condition::of(error.trouble),
        severity: Severity::Error,
        text: error.text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every field and trouble; a variant that is missing here does not compile in `numbered`.
    const FIELDS: [Field; 20] = [
        Field::Message,
        Field::Identifier,
        Field::PriorIdentifier,
        Field::Name,
        Field::BirthDate,
        Field::Sex,
        Field::Address,
        Field::Phone,
        Field::Insurance,
        Field::MotherId,
        Field::MotherName,
        Field::BirthOrder,
        Field::Account,
        Field::Death,
        Field::EventTime,
        Field::QueriedIdentifier,
        Field::WantedDomain,
        Field::QueryParameter,
        Field::ReturnedDomain,
        Field::Continuation,
    ];
    const TROUBLES: [Trouble; 15] = [
        Trouble::Missing,
        Trouble::BadValue,
        Trouble::TooLong,
        Trouble::BadCode,
        Trouble::UnknownAuthority,
        Trouble::NoAuthority,
        Trouble::UnknownId,
        Trouble::Taken,
        Trouble::SameId,
        Trouble::OtherAuthority,
        Trouble::TooMany,
        Trouble::Subsumed,
        Trouble::IndividualNumber,
        Trouble::NotSupported,
        Trouble::Expired,
    ];

    fn said(field: Field, trouble: Trouble, exchange: Exchange) -> (String, &'static str) {
        let error = IdentityError { trouble, place: Place::nth(field, 2), text: String::new() };
        let segment = of(&error, exchange);
        (segment.location.map(|l| l.to_string()).unwrap_or_default(), segment.condition.code())
    }

    #[test]
    fn every_trouble_with_every_field_has_a_place_and_a_code() {
        for (i, field) in FIELDS.into_iter().enumerate() {
            assert!(!FIELDS[..i].contains(&field));
            for trouble in TROUBLES {
                for exchange in [Exchange::Feed, Exchange::Linking, Exchange::Pix, Exchange::Demographics] {
                    let (location, code) = said(field, trouble, exchange);
                    assert_eq!(location.is_empty(), field == Field::Message, "{field:?}");
                    assert!((100..=299).contains(&code.parse::<u32>().unwrap()), "{trouble:?}");
                    let most = if exchange == Exchange::Linking { "^2^" } else { "^1^" };
                    assert!(location.is_empty() || location.contains(most) || location.contains("^1^"));
                }
            }
        }
        assert!(Condition::ALL.iter().all(|c| c.code().parse::<u32>().is_ok() && !c.meaning().is_empty()));
    }

    #[test]
    fn the_cases_of_the_framework_are_said_as_it_says_them() {
        use Exchange::{Demographics, Feed, Linking, Pix};
        let cases = [
            (Field::Identifier, Trouble::Missing, Feed, "PID^1^3", "101"),
            (Field::Identifier, Trouble::UnknownAuthority, Feed, "PID^1^3^2^4", "204"),
            (Field::Identifier, Trouble::IndividualNumber, Feed, "PID^1^3^2", "102"),
            (Field::PriorIdentifier, Trouble::OtherAuthority, Feed, "MRG^1^1^2^4", "204"),
            (Field::PriorIdentifier, Trouble::UnknownId, Linking, "PID^2^3^2^1", "204"),
            (Field::Name, Trouble::BadValue, Feed, "PID^1^5", "102"),
            (Field::QueriedIdentifier, Trouble::UnknownId, Pix, "QPD^1^3^2^1", "204"),
            (Field::QueriedIdentifier, Trouble::UnknownAuthority, Pix, "QPD^1^3^2^4", "204"),
            (Field::WantedDomain, Trouble::UnknownAuthority, Pix, "QPD^1^4^2", "204"),
            (Field::ReturnedDomain, Trouble::UnknownAuthority, Demographics, "QPD^1^8^2", "204"),
            (Field::QueryParameter, Trouble::NotSupported, Demographics, "QPD^1^3^2", "103"),
            (Field::Continuation, Trouble::Expired, Demographics, "DSC^1^1", "204"),
        ];
        for (field, trouble, exchange, location, code) in cases {
            assert_eq!(said(field, trouble, exchange), (location.to_owned(), code));
        }
    }

    #[test]
    fn what_may_be_an_individual_number_is_not_repeated() {
        assert_eq!(super::said("19990230"), "'19990230'");
        for number in ["123456789018", "1234-5678-9018", " 123456789018x"] {
            assert_eq!(super::said(number), "the value");
        }
        assert_eq!(super::said(&"x".repeat(99)).len(), 62);
    }

    #[test]
    fn domains_of_a_pix_query_share_an_error() {
        let at = |n: u32| {
            let place = Place::nth(Field::WantedDomain, n);
            of(
                &IdentityError { trouble: Trouble::UnknownAuthority, place, text: String::new() },
                Exchange::Pix,
            )
        };
        let all = joined(vec![at(1), at(3), ErrorSegment::whole(Condition::UnknownKey, "")]);
        assert_eq!((all.len(), all[0].also.len(), all[1].also.len()), (2, 1, 0));
    }

    #[test]
    fn a_location_is_written_as_far_as_it_is_said() {
        assert_eq!(Location::segment("PID").to_string(), "PID");
        assert_eq!(Location::field("QPD", 1, 3).repetition(1).component(4).to_string(), "QPD^1^3^1^4");
    }
}
