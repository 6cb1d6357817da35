//! Feeds: ADT of ITI-8 and ITI-30 (ITI TF-2 3.8, 3.30) to what they tell the MPI to do.

use super::error::{Condition, ErrorSegment, Exchange, Location, of, said};
use super::header::{Header, Kind};
use super::message::{Message, Segment};
use super::pid;
use super::request::Settings;
use super::types::Findings;
use crate::model::identity::text::is_time;
use crate::model::identity::{Feed, Field, Place, Sent, SentId, Trouble, Update};

/// What a feed says, or every reason it is refused for.
pub fn read(
    message: &Message<'_>,
    header: &Header,
    kind: Kind,
    settings: &Settings,
    findings: &mut Findings,
) -> Result<Feed, Vec<ErrorSegment>> {
    let mut refused = vec![];
    event(message, header, findings, &mut refused);
    let exchange = match kind {
        Kind::Link | Kind::Unlink => Exchange::Linking,
        _ => Exchange::Feed,
    };
    let pids: Vec<Segment<'_>> = message.all("PID").collect();
    let wanted = if exchange == Exchange::Linking { 2 } else { 1 };
    let Some(first) = pids.first().copied().filter(|_| pids.len() >= wanted) else {
        refused.push(missing(match pids.len() {
            0 => Location::segment("PID"),
            _ => Location::line("PID", 2),
        }));
        return Err(refused);
    };
    if pids.len() > wanted && kind != Kind::Nothing {
        let text = "more patients than one message may be about";
        let at = Location::line("PID", u32::try_from(wanted + 1).unwrap_or(u32::MAX));
        refused.push(ErrorSegment::new(at, Condition::SegmentSequence, text));
    }
    let feed = match kind {
        Kind::Merge | Kind::Rename => pair_of_merge(message, first, kind, findings, &mut refused),
        Kind::Link | Kind::Unlink => {
            pids.get(1).and_then(|second| pair(message, first, *second, kind, findings))
        }
        Kind::Nothing => Some(Feed::Nothing { ids: pid::ids(first.field(3), Field::Identifier, findings) }),
        _ => upsert(message, header, first, settings, findings),
    };
    refused.extend(findings.errors.drain(..).map(|error| of(&error, exchange)));
    match feed {
        Some(feed) if refused.is_empty() => Ok(feed),
        _ => Err(refused),
    }
}

fn missing(location: Location) -> ErrorSegment {
    let text = format!("segment {} is missing", location.segment);
    ErrorSegment::new(location, Condition::SegmentSequence, text)
}

/// EVN: required by every feed. EVN-1, where it still stands, repeats MSH-9.2; EVN-2 is required.
fn event(message: &Message<'_>, header: &Header, findings: &mut Findings, refused: &mut Vec<ErrorSegment>) {
    let Some(evn) = message.segment("EVN") else {
        refused.push(missing(Location::segment("EVN")));
        return;
    };
    let code = evn.field(1).text();
    if !code.is_empty() && code != header.event {
        let text = format!("EVN-1 says {}, MSH-9 {}", said(&code), said(&header.event));
        refused.push(ErrorSegment::new(Location::field("EVN", 1, 1), Condition::TableValue, text));
    }
    for (field, required) in [(2, true), (6, false)] {
        let at = Location::field("EVN", 1, field);
        match evn.field(field as usize).component(1).filled() {
            None if required => {
                refused.push(ErrorSegment::new(at, Condition::Required, "EVN-2 does not say when"));
            }
            Some(text) if !is_time(&text, false) => {
                let text = format!("{} is no time of the calendar", said(&text));
                refused.push(ErrorSegment::new(at, Condition::DataType, text));
            }
            _ => {}
        }
    }
    if message.segment("PV1").is_none()
        && matches!(header.event.as_str(), "A01" | "A04" | "A05" | "A08" | "A28" | "A31")
    {
        findings.warn(Place::default(), "segment PV1 is missing");
    }
}

fn identifiers(pid: Segment<'_>, field: Field, findings: &mut Findings) -> Vec<SentId> {
    let before = findings.errors.len();
    let ids = pid::ids(pid.field(3), field, findings);
    if ids.is_empty() && findings.errors.len() == before {
        findings.error(Trouble::Missing, Place::of(field), "PID-3 holds no identifier");
    }
    ids
}

fn upsert(
    message: &Message<'_>,
    header: &Header,
    pid: Segment<'_>,
    settings: &Settings,
    findings: &mut Findings,
) -> Option<Feed> {
    let ids = identifiers(pid, Field::Identifier, findings);
    let sent = pid::sent(message, pid, settings.insurance_branch, findings);
    let named = matches!(sent.names, Update::Set(_));
    if !named {
        // A newborn has none yet; ITI-10 passed on has a blank.
        match settings.require_name && header.event != "A31" {
            true => findings.error(Trouble::Missing, Place::of(Field::Name), "PID-5 holds no name"),
            false => findings.warn(Place::of(Field::Name), "PID-5 holds no name"),
        }
    }
    (!ids.is_empty()).then(|| Feed::Upsert { ids, sent: Box::new(sent) })
}

/// A40 and A47: PID-3 and MRG-1. One message names one pair (ITI TF-2 3.8.4.2.2).
fn pair_of_merge(
    message: &Message<'_>,
    pid: Segment<'_>,
    kind: Kind,
    findings: &mut Findings,
    refused: &mut Vec<ErrorSegment>,
) -> Option<Feed> {
    let mergers: Vec<Segment<'_>> = message.all("MRG").collect();
    let Some(mrg) = mergers.first() else {
        refused.push(missing(Location::segment("MRG")));
        return None;
    };
    if mergers.len() > 1 {
        let text = "one message merges one pair; MRG stands twice";
        refused.push(ErrorSegment::new(Location::line("MRG", 2), Condition::SegmentSequence, text));
    }
    let surviving = identifiers(pid, Field::Identifier, findings);
    let before = findings.errors.len();
    let prior = pid::ids(mrg.field(1), Field::PriorIdentifier, findings);
    if mrg.field(1).repetitions().count() > 1 {
        let place = Place::nth(Field::PriorIdentifier, 2);
        findings.error(Trouble::TooMany, place, "MRG-1 names more than one identifier");
    } else if prior.is_empty() && findings.errors.len() == before {
        findings.error(Trouble::Missing, Place::of(Field::PriorIdentifier), "MRG-1 holds no identifier");
    }
    let from = prior.first()?.clone();
    if kind == Kind::Merge {
        return (!surviving.is_empty()).then_some(Feed::Merge { surviving, subsumed: prior });
    }
    // Of several ids, the one of the same authority is the new one.
    let same = surviving.iter().find(|id| id.authority == from.authority).or(surviving.first());
    same.cloned().map(|to| Feed::Rename { from, to })
}

/// A24 and A37: two PIDs.
fn pair(
    message: &Message<'_>,
    first: Segment<'_>,
    second: Segment<'_>,
    kind: Kind,
    findings: &mut Findings,
) -> Option<Feed> {
    let one = identifiers(first, Field::Identifier, findings).into_iter().next();
    let other = identifiers(second, Field::PriorIdentifier, findings).into_iter().next();
    let (one, other) = (one?, other?);
    Some(match kind {
        Kind::Link => {
            // IN1 would not say whose it is.
            let mut sent = |pid| Sent { insurances: Update::Keep, ..pid::sent(message, pid, 0, findings) };
            Feed::Link { one, other, sent: Box::new([sent(first), sent(second)]) }
        }
        _ => Feed::Unlink { one, other },
    })
}
