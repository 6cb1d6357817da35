//! PID and IN1 (national-service.md §10, last table).

use super::source::{Source, coded, place};
use crate::clins::make::parts::script_of;
use crate::clins::make::patient::{Address, Facts, Name, Patient, complete, gender};
use crate::clins::make::said::{NotMade, NotMadeKey, Notes, Step, UnmappedKey};
use crate::clins::make::text::line;
use crate::clins::make::time::Stamp;
use crate::model::identity::Insurance;
use crate::wire::hl7v2::{Segment, Value};

pub fn id(pid: &Segment<'_>) -> String {
    // The first that is an id; SS-MIX2 has one, with or without type and never with an authority.
    pid.field(3).repetitions().map(|v| v.component(1).text()).find(|id| !id.is_empty()).unwrap_or_default()
}

pub fn read(source: &Source<'_, '_>, notes: &mut Notes) -> Step<Patient> {
    let Some(pid) = source.message.segment("PID") else {
        return Err(NotMade::new(NotMadeKey::NoPatientId, "PID", ""));
    };
    for other in source.message.all("PID") {
        if id(&other) != id(&pid) {
            return Err(NotMade::new(NotMadeKey::SeveralPatients, place(&other, 3), id(&other)));
        }
    }
    let birth = pid.field(7).component(1).text();
    let sex = pid.field(8).component(1).text();
    let facts = Facts {
        id: id(&pid),
        names: pid.field(5).repetitions().filter_map(name).collect(),
        birth: Stamp::hl7(&birth),
        gender: gender(&sex),
        address: pid.field(11).repetitions().find_map(address),
        insurance: insurance(source),
    };
    if facts.birth.is_none() && !birth.is_empty() {
        notes.unmapped(UnmappedKey::BadForm, place(&pid, 7), birth);
    }
    if facts.gender.is_none() && !sex.is_empty() {
        notes.unmapped(UnmappedKey::UnknownCode, place(&pid, 8), sex);
    }
    complete(facts, source.context, "PID[1]", notes)
}

fn name(value: Value<'_>) -> Option<Name> {
    let part = |n: usize| value.component(n).subcomponent(1).text();
    let (family, given) = (part(1), part(2));
    // Legal names, and what says nothing of its kind.
    let legal = matches!(part(7).as_str(), "" | "L" | "C" | "U" | "D");
    let script = match part(8).as_str() {
        "I" => Some("IDE"),
        "P" => Some("SYL"),
        "A" => Some("ABC"),
        _ => script_of(&format!("{family}{given}")),
    };
    (legal && !family.is_empty()).then_some(Name { family, given, script })
}

/// XAD: in Japan whole in XAD.8; elsewhere in parts, largest first.
fn address(value: Value<'_>) -> Option<Address> {
    let text = |n: usize| value.component(n).subcomponent(1).text();
    let (street, other, city, state) = (text(1), text(2), text(3), text(4));
    let whole = text(8);
    let text_of = match whole.is_empty() {
        false => whole,
        true => [state.as_str(), &city, &street, &other].concat(),
    };
    let found = Address { text: line(&text_of), postal_code: text(5), city, state };
    (!found.text.is_empty()).then_some(found)
}

/// The first IN1 that says who somebody is: 公費 rows carry payers' numbers.
fn insurance(source: &Source<'_, '_>) -> Option<Insurance> {
    let branch = source.context.options.insurance_branch_component;
    source.message.all("IN1").find_map(|row| {
        let [plan, _] = coded(row.field(2));
        if plan.system.eq_ignore_ascii_case("JHSD0001") && !is_insurance(&plan.code) {
            return None;
        }
        let insurer = row.field(3).component(1).filled()?;
        let insurer = insurer.trim().to_owned();
        let bare = |text: String| {
            text.chars().filter(|c| !c.is_whitespace() && *c != '\u{3000}').collect::<String>()
        };
        Some(Insurance {
            insurer,
            symbol: bare(row.field(10).component(1).text()),
            number: bare(row.field(11).component(1).filled()?),
            branch: row.field(10).component(branch).filled().filter(|_| branch > 1),
        })
    })
}

/// JHSD0001: the kinds that insure a person, as `wire/hl7v2/pid` reads them for the MPI.
fn is_insurance(plan: &str) -> bool {
    crate::wire::hl7v2::INSURANCES.contains(&plan)
}
