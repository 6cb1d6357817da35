//! What the service holds, as JSON.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::contract::Service;
use super::engine::Engine;
use super::envelope::receipt_number;
use super::unit::{Gone, Information, Unit};
use super::world::World;

/// Which part of it is asked for.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// `person` or `institution`; else everything, as the operator of the simulator sees it.
    pub view: Option<String>,
    pub insured: Option<String>,
    pub institution: Option<String>,
    /// With the Bundles themselves.
    pub bundles: bool,
}

impl Query {
    pub fn read(query: &str) -> Query {
        let mut read = Query::default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let value = percent_decoded(value);
            match name {
                "view" => read.view = Some(value),
                "insured" => read.insured = Some(value),
                "institution" => read.institution = Some(value),
                "bundles" => read.bundles = value == "1",
                _ => {}
            }
        }
        read
    }
}

/// `%E5…` and `+` of a query.
pub fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (vec![], 0);
    while let Some(byte) = bytes.get(at) {
        let hex = text.get(at + 1..at + 3).and_then(|h| u8::from_str_radix(h, 16).ok());
        match (byte, hex) {
            (b'%', Some(decoded)) => {
                out.push(decoded);
                at += 3;
                continue;
            }
            (b'+', _) => out.push(b' '),
            (other, _) => out.push(*other),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

pub fn state(engine: &Engine, query: &Query) -> Value {
    let faults = json!(engine.faults.all());
    engine.look(|world, now| match query.view.as_deref() {
        Some("person") => view(world, now, query, Viewer::Person),
        Some("institution") => view(world, now, query, Viewer::Institution),
        _ => everything(world, now, query, &faults),
    })
}

fn wanted(unit: &Unit, query: &Query) -> bool {
    query.insured.as_ref().is_none_or(|id| *id == unit.triple.insured)
        && query.institution.as_ref().is_none_or(|code| *code == unit.institution)
}

fn everything(world: &World, now: Timestamp, query: &Query, faults: &Value) -> Value {
    let (mut units, mut past) = (vec![], vec![]);
    let mut counts = [0_usize; 4];
    let mut prescriptions = 0;
    for unit in world.units().filter(|u| wanted(u, query)) {
        let state = world.state(unit, now);
        let retained = world.retained(unit, now);
        let of = |at: &&usize| {
            unit.resources.get(**at).is_some_and(|r| r.information == Information::Prescription)
        };
        prescriptions += retained.iter().filter(of).count();
        let mut shown = shown(world, unit, now);
        if query.bundles {
            shown["Bundle"] = serde_json::from_str(&unit.bundle).unwrap_or_default();
        }
        if state.live() {
            let place = match unit.service {
                Service::Referral => 0,
                Service::Checkup => 1,
                Service::Info => 2,
                _ => 3,
            };
            if let Some(count) = counts.get_mut(place) {
                *count += 1;
            }
            units.push(shown);
        } else {
            past.push(shown);
        }
    }
    let [referrals, checkups, infos, summaries] = counts;
    json!({
        "Now": now.to_string(),
        "Validation": world.settings.validation,
        "RuleSet": world.settings.rule_set,
        "Counts": {
            "Units": units.len(),
            "Referrals": referrals,
            "Checkups": checkups,
            "Infos": infos,
            "Summaries": summaries,
            "Prescriptions": prescriptions,
            "Past": past.len(),
            "Keys": world.keys(),
            "Waiting": world.waiting().len(),
        },
        "Units": units,
        "Past": past,
        "Directory": world.directory,
        "Faults": faults,
    })
}

/// A unit as the operator of the simulator sees it.
pub fn shown(world: &World, unit: &Unit, now: Timestamp) -> Value {
    let retained = world.retained(unit, now);
    let resources: Vec<Value> = unit
        .resources
        .iter()
        .enumerate()
        .map(|(at, r)| {
            json!({
                "Entry": r.entry,
                "Information": r.information,
                "Item": r.item,
                "When": r.when,
                "Text": r.text,
                "Value": r.value,
                "LTS": r.long_term,
                "UNINFORMED": r.uninformed,
                "UNDELIVERED": r.undelivered,
                "Retained": retained.contains(&at),
            })
        })
        .collect();
    let (gone_at, replaced_by) = match unit.gone {
        None => (None, None),
        Some((at, Gone::Cancelled)) => (Some(at.to_string()), None),
        Some((at, Gone::Replaced(by))) => (Some(at.to_string()), Some(receipt_number(by))),
    };
    json!({
        "ReceiptNumber": receipt_number(unit.receipt),
        "Service": unit.service,
        "Kind": unit.kind,
        "InstitutionCode": unit.institution,
        "InsuredIdentifier": unit.triple.insured,
        "BundleIdentifierSystem": unit.triple.system,
        "BundleIdentifierValue": unit.triple.value,
        "State": world.state(unit, now),
        "Version": unit.version,
        "Lineage": unit.lineage.iter().copied().map(receipt_number).collect::<Vec<_>>(),
        "DestinationInstitutionCode": unit.destination,
        "ConsentStatus": if unit.consented { "1" } else { "2" },
        "RegisteredAt": unit.registered.to_string(),
        "ReceivedAt": unit.received.map(|at| at.to_string()),
        "ExpiresAt": unit.ends().map(|at| at.to_string()),
        "GoneAt": gone_at,
        "ReplacedBy": replaced_by,
        "AttachedTo": unit.attached.map(receipt_number),
        "BundleSha256": unit.sha256,
        "BundleBytes": unit.bundle.len(),
        "Resources": resources,
    })
}

/// Who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Viewer {
    /// Without what the person was not told of, and what is for nobody (national-service.md §1.4).
    Person,
    /// Without what is for nobody; letters only those sent to it.
    Institution,
}

fn view(world: &World, now: Timestamp, query: &Query, viewer: Viewer) -> Value {
    let (mut resources, mut documents) = (vec![], vec![]);
    let person = |u: &&Unit| query.insured.as_ref().is_none_or(|id| *id == u.triple.insured);
    for unit in world.units().filter(person) {
        for at in world.retained(unit, now) {
            let Some(r) = unit.resources.get(at) else { continue };
            if r.undelivered || (viewer == Viewer::Person && r.uninformed) {
                continue;
            }
            resources.push(json!({
                "InsuredIdentifier": unit.triple.insured,
                "InstitutionCode": unit.institution,
                "Information": r.information,
                "When": r.when,
                "Text": r.text,
                "Value": r.value,
                "UNINFORMED": r.uninformed,
            }));
        }
        let state = world.state(unit, now);
        let seen = state.live()
            && match (unit.service, viewer) {
                (Service::Checkup, _) => true,
                (Service::Summary, Viewer::Person) => true,
                (Service::Referral, Viewer::Person) => false,
                (Service::Referral, Viewer::Institution) => {
                    unit.destination.is_some() && unit.destination == query.institution && unit.consented
                }
                _ => false,
            };
        if seen {
            documents.push(json!({
                "InsuredIdentifier": unit.triple.insured,
                "InstitutionCode": unit.institution,
                "Kind": unit.kind,
                "BundleIdentifierValue": unit.triple.value,
                "State": state,
            }));
        }
    }
    json!({ "Now": now.to_string(), "Resources": resources, "Documents": documents })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_with_its_escapes() {
        let query = Query::read("view=person&insured=06990011%3A%EF%BC%91:2:01&bundles=1&x");
        assert_eq!(query.insured.as_deref(), Some("06990011:１:2:01"));
        assert!(query.bundles && query.view.as_deref() == Some("person") && query.institution.is_none());
        assert_eq!(percent_decoded("a%2"), "a%2");
    }
}
