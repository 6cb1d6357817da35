//! What the guide's text asks beyond expressions, and what the service compares: mode `intended` alone.

use super::{Walk, plain, references::type_name};
use crate::clins::bundle::{self, Facts, Kind};
use crate::clins::finding::Rule;
use crate::clins::profile::Elem;
use crate::fhirpath::Json;

/// Systems of listed laboratory items (JP-CLINS, "JP_CLINS_ObsLabResult_…"), by what their names hold.
const LISTED: [&str; 2] = ["JP_CLINS_ObsLabResult_CoreLabo_CS", "JP_CLINS_ObsLabResult_InfectionLabo_CS"];

pub fn check<'a>(walk: &mut Walk<'_, 'a>, json: &'a Json) {
    // Nested documents keep their own promises.
    if !bundle::is_bundle(json) {
        if json.str("resourceType") == Some("Observation") {
            observation(walk, json, "Observation");
        }
        return;
    }
    let Some(facts) = bundle::facts(json) else { return };
    for (i, entry) in json.items("entry").iter().enumerate() {
        let path = format!("Bundle.entry[{i}]");
        if entry.str("fullUrl").is_some_and(|url| !url.starts_with("urn:uuid:")) {
            walk.say(
                Rule::FullUrlForm
                    .at(&format!("{path}.fullUrl"), "")
                    .with_value(entry.str("fullUrl").unwrap_or_default()),
            );
        }
        let Some(resource) = entry.get("resource") else { continue };
        let path = format!("{path}.resource");
        match resource.str("resourceType") {
            Some("Patient") => patient(walk, resource, &path),
            // Checkups have items and displays of their own.
            Some("Observation") if facts.kind != Kind::Checkup => observation(walk, resource, &path),
            _ => {}
        }
        if let (Some(number), Some(due)) = (bundle::institution(resource), &facts.institution)
            && facts.kind == Kind::Clins
            && number != due
        {
            walk.say(Rule::InstitutionMismatch.at(&format!("{path}.extension"), due).with_value(number));
        }
    }
    if facts.kind == Kind::Clins {
        unit(walk, json, &facts);
    } else {
        document(walk, json, &facts);
    }
}

/// One reporting unit of 5情報.
fn unit<'a>(walk: &mut Walk<'_, 'a>, json: &'a Json, facts: &Facts) {
    let informations = ["AllergyIntolerance", "Condition", "Observation", "MedicationRequest"];
    let mut types: Vec<&str> = vec![];
    for resource in bundle::resources(json) {
        let of = type_name(resource);
        if informations.contains(&of) && !types.contains(&of) {
            types.push(of);
        }
    }
    if types.len() > 1 {
        walk.say(Rule::MixedTypes.at("Bundle.entry", &types.join(", ")));
    }
    for (i, entry) in json.items("entry").iter().enumerate() {
        let Some(resource) = entry.get("resource") else { continue };
        logical(walk, resource, &format!("Bundle.entry[{i}].resource"));
    }
    if facts.resource_type.as_deref() == Some("Observation") && types == ["Observation"] {
        let is_listed = |r: &Json| {
            let codings = r.at(&["code", "coding"]).and_then(Json::as_list).unwrap_or_default();
            codings.iter().any(|c| c.str("system").is_some_and(|s| LISTED.iter().any(|l| s.ends_with(l))))
        };
        if !bundle::resources(json).any(is_listed) {
            walk.say(Rule::LabNone.at("Bundle.entry", ""));
        }
    }
}

fn document<'a>(walk: &mut Walk<'_, 'a>, json: &'a Json, facts: &Facts) {
    if let (Some(custodian), Some(due)) = (&facts.custodian, &facts.institution)
        && custodian != due
    {
        walk.say(
            Rule::InstitutionMismatch.at("Bundle.entry[0].resource.custodian", due).with_value(custodian),
        );
    }
    if facts.kind == Kind::Referral
        && let Some(destination) = bundle::destination(json)
        && bundle::organization_number(destination).is_none()
    {
        walk.say(Rule::DestinationMissing.at("Bundle.entry[0].resource.section", ""));
    }
}

/// 記号 and 番号 of one width, and the branch number.
fn patient<'a>(walk: &mut Walk<'_, 'a>, patient: &'a Json, path: &str) {
    for (i, identifier) in patient.items("identifier").iter().enumerate() {
        let (Some(bundle::INSURED_SYSTEM), Some(value)) = (identifier.str("system"), identifier.str("value"))
        else {
            continue;
        };
        let parts: Vec<&str> = value.split(':').collect();
        let [_, symbol, number, branch] = parts[..] else { continue };
        let path = format!("{path}.identifier[{i}].value");
        let widths: Vec<bool> = symbol
            .chars()
            .chain(number.chars())
            .map(|c| c.is_ascii() || ('\u{ff61}'..='\u{ff9f}').contains(&c))
            .collect();
        if widths.contains(&true) && widths.contains(&false) {
            walk.say(Rule::InsuredWidth.at(&path, "").with_value(value));
        }
        match branch {
            "" => walk.say(Rule::InsuredBranch.at(&path, "").with_value(value)),
            "00" => walk.say(Rule::InsuredBranchZero.at(&path, "").with_value(value)),
            _ => {}
        }
    }
}

fn observation<'a>(walk: &mut Walk<'_, 'a>, observation: &'a Json, path: &str) {
    let Some(code) = observation.get("code") else { return };
    let path = format!("{path}.code");
    if let Some(text) = code.str("text") {
        displayed(walk, text, &format!("{path}.text"));
    }
    let slices = lab_slices(walk);
    for (i, coding) in code.items("coding").iter().enumerate() {
        let path = format!("{path}.coding[{i}]");
        let (Some(system), Some(display)) = (coding.str("system"), coding.str("display")) else { continue };
        displayed(walk, display, &format!("{path}.display"));
        if !LISTED.iter().any(|listed| system.ends_with(listed)) || slices.is_empty() {
            continue;
        }
        let fixed = |slice: &Elem, name: &str| {
            let child = slice.children.iter().find(|c| &*c.name == name)?;
            child.fixed.as_ref().or(child.pattern.as_ref()).map(plain)
        };
        let known = slices.iter().any(|s| {
            fixed(s, "system").as_deref() == Some(system) && fixed(s, "display").as_deref() == Some(display)
        });
        if !known {
            walk.say(Rule::LabUnlisted.at(&format!("{path}.display"), "").with_value(display));
        } else if coding
            .str("code")
            .is_some_and(|code| walk.around.checker.terminology().has_code(system, code) == Some(false))
        {
            let code = coding.str("code").unwrap_or_default();
            if !any_method(code) {
                walk.say(Rule::LabCode.at(&format!("{path}.code"), "").with_value(code));
            }
        }
    }
    for name in ["valueString", "valueCodeableConcept"] {
        match observation.get(name) {
            Some(Json::Text(text)) => {
                displayed(walk, text, &format!("{}.value", path.trim_end_matches(".code")))
            }
            Some(concept) => {
                if let Some(text) = concept.str("text") {
                    displayed(walk, text, &format!("{}.value.text", path.trim_end_matches(".code")));
                }
            }
            None => {}
        }
    }
}

/// The slices of listed items, from the profile loaded.
fn lab_slices<'a>(walk: &Walk<'_, 'a>) -> &'a [Elem] {
    let profile = walk.profile("http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_Observation_LabResult_eCS");
    profile
        .and_then(|p| p.content("Observation.code.coding"))
        .map(|e| e.slices.as_slice())
        .unwrap_or_default()
}

/// Method 998 (other) and 999 (unknown) of a JLAC10 code count as listed (JP-CLINS, laboratory items).
pub fn any_method(code: &str) -> bool {
    code.len() == 17 && matches!(code.get(12..15), Some("998" | "999"))
}

fn displayed(walk: &mut Walk<'_, '_>, text: &str, path: &str) {
    if text.chars().any(|c| ('\u{ff61}'..='\u{ff9f}').contains(&c)) {
        walk.say(Rule::TextKana.at(path, "").with_value(text));
    }
    if text.contains('\u{3000}') {
        walk.say(Rule::TextSpace.at(path, "").with_value(text));
    }
    if text.chars().any(char::is_control) {
        walk.say(Rule::TextControl.at(path, "").with_value(text.escape_debug().to_string()));
    }
}

/// References of 5情報 lead to the Patient or into `contained`.
fn logical(walk: &mut Walk<'_, '_>, json: &Json, path: &str) {
    match json {
        Json::Object(object) => {
            let is_reference = ["identifier", "display", "type"].iter().any(|k| object.contains(k))
                && object
                    .iter()
                    .all(|(k, _)| matches!(k, "identifier" | "display" | "type" | "extension" | "id"));
            let place = path.rsplit('.').next().unwrap_or_default();
            let place = place.split('[').next().unwrap_or_default();
            if is_reference && REFERENCES.contains(&place) {
                walk.say(Rule::LogicalReference.at(path, ""));
                return;
            }
            for (key, value) in object.iter() {
                logical(walk, value, &format!("{path}.{key}"));
            }
        }
        Json::List(list) => {
            for (i, item) in list.iter().enumerate() {
                logical(walk, item, &format!("{path}[{i}]"));
            }
        }
        _ => {}
    }
}

/// Elements of the five informations and what they contain that are References.
const REFERENCES: &[&str] = &[
    "subject",
    "patient",
    "encounter",
    "performer",
    "specimen",
    "recorder",
    "asserter",
    "requester",
    "basedOn",
    "partOf",
    "hasMember",
    "derivedFrom",
    "device",
    "focus",
    "serviceProvider",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods() {
        assert!(any_method("3A015000002399801"));
        assert!(!any_method("3A015000002329101"));
        assert!(!any_method("3A01500000239980"));
    }
}
