//! What may enter: ids of known authorities, demographics of their types, no 個人番号.

use crate::config::DomainKind;
use crate::model::error::clip;
use crate::model::identity::{DomainId, Field, IdentityError, Place, Sent, SentId, Source, Trouble, Update};

use super::domains::Domains;
use super::number;

/// An id longer than this is none: CX.1 has 15 characters, Japanese systems use up to 30.
const ID: usize = 64;
/// Characters of a name, an address, a number.
const TEXT: usize = 300;
/// Repetitions of a field.
const REPETITIONS: usize = 30;

/// HL7 table 0203: 個人番号 by its type, NN and the country.
const NATIONAL: &str = "NNJPN";

pub(super) fn error(trouble: Trouble, place: Place, text: impl Into<String>) -> IdentityError {
    IdentityError { trouble, place, text: text.into() }
}

fn individual(place: Place) -> IdentityError {
    error(
        Trouble::IndividualNumber,
        place,
        "this looks like an individual number (個人番号), which may be neither sent nor stored here",
    )
}

/// An id that is admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resolved {
    pub id: DomainId,
    pub kind: DomainKind,
    /// Its domain takes no more ids.
    pub retired: bool,
    pub place: Place,
}

/// Why an id may not be fed: its domain was retired.
pub(super) fn retired(resolved: &Resolved) -> Option<IdentityError> {
    let text = "the assigning authority was retired here: its ids are known, and no more are taken";
    let place = Place { component: Some(4), ..resolved.place };
    resolved.retired.then(|| error(Trouble::UnknownAuthority, place, text))
}

/// Brings ids to known domains. Empty ones and HL7's `""` are no ids, and ids said twice count once.
pub(super) fn ids(
    domains: &Domains,
    source: &Source,
    sent: &[SentId],
    field: Field,
) -> Result<Vec<Resolved>, Vec<IdentityError>> {
    let mut found: Vec<Resolved> = vec![];
    let mut errors = vec![];
    for id in sent.iter().filter(|id| !id.value.trim().is_empty() && id.value != "\"\"") {
        match resolve(domains, source, id) {
            Ok(resolved) if found.iter().any(|f| f.id == resolved.id) => {}
            Ok(resolved) => found.push(resolved),
            Err(e) => errors.push(e),
        }
    }
    if found.is_empty() && errors.is_empty() {
        errors.push(error(Trouble::Missing, Place::of(field), "no patient id is there, and one must be"));
    }
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}

/// One id.
pub(super) fn resolve(domains: &Domains, source: &Source, sent: &SentId) -> Result<Resolved, IdentityError> {
    let place = sent.place;
    let value = sent.value.trim();
    let national = sent.type_code.as_deref().is_some_and(|t| t.trim().eq_ignore_ascii_case(NATIONAL));
    if national || domains.is_forbidden(&sent.authority) {
        return Err(individual(place));
    }
    let looks = number::is_individual(value);
    let domain = match sent.authority.is_empty() {
        false => domains.resolve(&sent.authority),
        true => domains.of_sender(source),
    };
    let Some(domain) = domain else {
        // Before anything quotes the value.
        if looks {
            return Err(individual(place));
        }
        return Err(match sent.authority.is_empty() {
            true => error(
                Trouble::NoAuthority,
                place.component(4),
                "the id has no assigning authority, and none is configured for this sender",
            ),
            false => {
                let Place { field, repetition, .. } = place;
                let name = sent.authority.universal_id.as_deref().or(sent.authority.namespace.as_deref());
                error(
                    Trouble::UnknownAuthority,
                    Place { field, repetition, component: Some(4) },
                    format!("the assigning authority '{}' is not known here", clip(name.unwrap_or_default())),
                )
            }
        });
    };
    if looks && domain.kind != DomainKind::Facility {
        return Err(individual(place));
    }
    if value.chars().count() > ID {
        return Err(error(
            Trouble::TooLong,
            place.component(1),
            format!("the id '{}' is longer than {ID} characters", clip(value)),
        ));
    }
    if value.contains(|c: char| c.is_control()) {
        return Err(error(Trouble::BadValue, place.component(1), "the id holds control characters"));
    }
    Ok(Resolved {
        id: DomainId { domain: domain.oid.clone(), value: domain.canonical(value) },
        kind: domain.kind,
        retired: domain.retired,
        place,
    })
}

/// Everything that is wrong with demographics. The place tells the field and the repetition.
pub(super) fn sent(sent: &Sent) -> Vec<IdentityError> {
    let mut errors = vec![];
    let mut text = |place: Place, value: &str| {
        if number::holds_individual(value) {
            errors.push(individual(place));
        } else if value.chars().count() > TEXT {
            errors.push(error(
                Trouble::TooLong,
                place,
                format!("'{}' is longer than {TEXT} characters", clip(value)),
            ));
        }
    };
    if let Update::Set(names) = &sent.names {
        for (n, name) in (1..).zip(names) {
            for part in [&name.family, &name.given, &name.middle] {
                text(Place::nth(Field::Name, n), part);
            }
        }
    }
    if let Update::Set(addresses) = &sent.addresses {
        for (n, address) in (1..).zip(addresses) {
            for part in [&address.text, &address.postal_code, &address.country] {
                text(Place::nth(Field::Address, n), part);
            }
        }
    }
    if let Update::Set(insurances) = &sent.insurances {
        for (n, insurance) in (1..).zip(insurances) {
            let branch = insurance.branch.as_deref().unwrap_or_default();
            for part in [&insurance.insurer, &insurance.symbol, &insurance.number] {
                text(Place::nth(Field::Insurance, n), part);
            }
            text(Place::nth(Field::Insurance, n), branch);
        }
    }
    if let Update::Set(name) = &sent.mother_maiden_name {
        for part in [&name.family, &name.given] {
            text(Place::of(Field::MotherName), part);
        }
    }
    for (field, value) in [(Field::MotherId, &sent.mother_id), (Field::Account, &sent.account)] {
        if let Update::Set(cx) = value {
            let mut parts = cx.split('^');
            let id = parts.next().unwrap_or_default();
            let national = cx.split('^').nth(4).is_some_and(|t| t.eq_ignore_ascii_case(NATIONAL));
            if national {
                errors.push(individual(Place::of(field)));
            } else {
                // A visit's number often begins with its day; it is no such number then.
                let dated = id.get(..8).is_some_and(is_day);
                if number::is_individual(id) && !dated {
                    errors.push(individual(Place::of(field)));
                } else if cx.chars().count() > TEXT {
                    errors.push(error(Trouble::TooLong, Place::of(field), "the id is too long"));
                }
            }
        }
    }
    if let Update::Set(phones) = &sent.phones {
        for (n, phone) in (1..).zip(phones) {
            let place = Place::nth(Field::Phone, n);
            // Of twelve digits, a number with the country's code begins with it.
            let abroad = phone.number.trim_start_matches('+').starts_with("81");
            if !abroad && number::is_individual(&phone.number) {
                errors.push(individual(place));
            } else if phone.number.chars().count() > TEXT {
                errors.push(error(Trouble::TooLong, place, "the telephone number is too long"));
            }
        }
    }
    for (field, value) in [
        (Field::BirthDate, &sent.birth_date),
        (Field::Death, &sent.deceased),
        (Field::EventTime, &sent.updated),
    ] {
        if let Update::Set(date) = value
            && !(date.is_empty() && field == Field::Death)
            && !is_date(date)
        {
            errors.push(error(
                Trouble::BadValue,
                Place::of(field),
                match number::is_individual(date) {
                    true => "this is no date".to_owned(),
                    false => format!("'{}' is no date (YYYY[MM[DD[hhmm[ss]]]])", clip(date)),
                },
            ));
        }
    }
    if let Update::Set(sex) = &sent.sex
        && !["M", "F", "O", "U", "A", "N"].contains(&sex.as_str())
    {
        errors.push(error(
            Trouble::BadCode,
            Place::of(Field::Sex),
            format!("'{}' is none of M, F, O, U, A, N (HL7 table 0001)", clip(sex)),
        ));
    }
    if let Update::Set(order) = &sent.birth_order
        && !(1..=20).contains(order)
    {
        errors.push(error(
            Trouble::BadValue,
            Place::of(Field::BirthOrder),
            "the birth order is not from 1 to 20",
        ));
    }
    fn count<T>(value: &Update<Vec<T>>) -> usize {
        if let Update::Set(list) = value { list.len() } else { 0 }
    }
    for (field, n) in [
        (Field::Name, count(&sent.names)),
        (Field::Address, count(&sent.addresses)),
        (Field::Phone, count(&sent.phones)),
        (Field::Insurance, count(&sent.insurances)),
    ] {
        if n > REPETITIONS {
            errors.push(error(
                Trouble::TooMany,
                Place::of(field),
                format!("more than {REPETITIONS} repetitions"),
            ));
        }
    }
    errors
}

/// `YYYYMMDD`, a day there is, the day or month unknown (00) included.
fn is_day(text: &str) -> bool {
    text.len() == 8 && is_date(text)
}

/// A date as HL7 writes it, as far as it goes: `198306`, `19480000`, `202503310215`.
pub fn is_date(text: &str) -> bool {
    let digits: &str = text.split(['.', '+', '-']).next().unwrap_or_default();
    if !digits.bytes().all(|b| b.is_ascii_digit()) || !matches!(digits.len(), 4 | 6 | 8 | 10 | 12 | 14) {
        return false;
    }
    let part = |range: std::ops::Range<usize>| digits.get(range).and_then(|t| t.parse::<i16>().ok());
    let (year, month, day) = (part(0..4), part(4..6), part(6..8));
    let known_day = match (year, month, day) {
        (Some(year), Some(month), Some(day)) if month > 0 && day > 0 => {
            let (month, day) = (i8::try_from(month).unwrap_or(-1), i8::try_from(day).unwrap_or(-1));
            jiff::civil::Date::new(year, month, day).is_ok()
        }
        (Some(_), month, day) => {
            month.is_none_or(|m| (0..=12).contains(&m)) && day.is_none_or(|d| (0..=31).contains(&d))
        }
        _ => false,
    };
    known_day
        && part(8..10).is_none_or(|h| h < 24)
        && part(10..12).is_none_or(|m| m < 60)
        && part(12..14).is_none_or(|s| s < 61)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MpiConfig;
    use crate::model::identity::{Address, Authority, Insurance, PersonName, Phone, PhoneUse};

    fn domains() -> Domains {
        let config: MpiConfig = toml::from_str(
            "
            forbidden_authorities = ['1.2.12']
            [[domain]]
            oid = '1.2.3'
            namespace = 'CHUO'
            senders = ['HIS|CHUO']
            [[domain]]
            oid = '1.2.4'
            kind = 'neighbour'
            ",
        )
        .unwrap();
        Domains::new(&config, "1.2.1")
    }

    fn id(value: &str, authority: Authority) -> SentId {
        SentId { value: value.into(), authority, place: Place::of(Field::Identifier), ..SentId::default() }
    }

    #[test]
    fn unknown_authorities_are_refused_and_missing_ones_filled_in() {
        let d = domains();
        let his = Source { application: "HIS".into(), facility: "CHUO".into(), ..Source::default() };
        let refused = |source: &Source, id: SentId| resolve(&d, source, &id).unwrap_err().trouble;
        assert_eq!(refused(&his, id("1", Authority::oid("9.9"))), Trouble::UnknownAuthority);
        assert_eq!(refused(&Source::default(), id("1", Authority::default())), Trouble::NoAuthority);
        let found = resolve(&d, &his, &id("0001", Authority::default())).unwrap();
        assert_eq!((found.id.domain.as_str(), found.id.value.as_str()), ("1.2.3", "0001"));
        assert_eq!(refused(&his, id(&"9".repeat(65), Authority::default())), Trouble::TooLong);
        assert_eq!(refused(&his, id("1\r2", Authority::default())), Trouble::BadValue);
        let null = ids(&d, &his, &[id("\"\"", Authority::default())], Field::Identifier).unwrap_err();
        assert_eq!(null[0].trouble, Trouble::Missing);
        let twice = [id("1", Authority::default()), id("1", Authority::oid("1.2.3"))];
        assert_eq!(ids(&d, &his, &twice, Field::Identifier).unwrap().len(), 1);
    }

    #[test]
    fn individual_numbers_are_refused_wherever_they_could_enter() {
        let d = domains();
        let source = Source::default();
        let number = "123456789018";
        let trouble = |id: SentId| {
            let e = resolve(&d, &source, &id).unwrap_err();
            assert!(!e.text.contains(number), "the value is told nobody");
            e.trouble
        };
        assert_eq!(trouble(id(number, Authority::oid("1.2.4"))), Trouble::IndividualNumber);
        assert_eq!(trouble(id(number, Authority::oid("9.9"))), Trouble::IndividualNumber);
        assert_eq!(trouble(id(number, Authority::oid("1.2.1"))), Trouble::IndividualNumber);
        assert_eq!(trouble(id("1", Authority::oid("1.2.12"))), Trouble::IndividualNumber);
        let typed = SentId { type_code: Some("NNJPN".into()), ..id("1", Authority::oid("1.2.3")) };
        assert_eq!(trouble(typed), Trouble::IndividualNumber);
        // A facility may number its patients as it likes.
        assert!(resolve(&d, &source, &id(number, Authority::oid("1.2.3"))).is_ok());
        let name = |family: &str| PersonName { family: family.into(), ..PersonName::default() };
        let cases = [
            Sent { names: Update::Set(vec![name("山田123456789018")]), ..Sent::default() },
            Sent { mother_maiden_name: Update::Set(name(number)), ..Sent::default() },
            Sent { account: Update::Set(format!("{number}^^^X")), ..Sent::default() },
            Sent { account: Update::Set("1^^^X^NNJPN".into()), ..Sent::default() },
            Sent { mother_id: Update::Set(number.into()), ..Sent::default() },
            Sent {
                insurances: Update::Set(vec![Insurance {
                    number: "1234-5678-9018".into(),
                    ..Insurance::default()
                }]),
                ..Sent::default()
            },
            Sent {
                addresses: Update::Set(vec![Address { text: number.into(), ..Address::default() }]),
                ..Sent::default()
            },
            Sent {
                phones: Update::Set(vec![Phone { number: number.into(), usage: PhoneUse::Home }]),
                ..Sent::default()
            },
        ];
        for (i, case) in cases.iter().enumerate() {
            let errors = sent(case);
            assert_eq!(errors.len(), 1, "case {i}");
            assert_eq!(errors[0].trouble, Trouble::IndividualNumber, "case {i}");
            assert!(!errors[0].text.contains("5678"), "case {i}");
        }
    }

    #[test]
    fn dates_are_dates_as_far_as_they_go() {
        for good in ["1983", "198306", "19830600", "19480000", "202503310215", "20250331021500.123+0900"] {
            assert!(is_date(good), "{good}");
        }
        for bad in ["", "19849711", "20250230", "S50.1.1", "198", "2025033124", "昭和50年"] {
            assert!(!is_date(bad), "{bad}");
        }
        let wrong = Sent {
            birth_date: Update::Set("20250230".into()),
            sex: Update::Set("男".into()),
            birth_order: Update::Set(0),
            deceased: Update::Set(String::new()),
            ..Sent::default()
        };
        let troubles: Vec<Trouble> = sent(&wrong).into_iter().map(|e| e.trouble).collect();
        assert_eq!(troubles, [Trouble::BadValue, Trouble::BadCode, Trouble::BadValue]);
    }
}
