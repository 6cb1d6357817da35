//! What every Bundle must hold, written by hand from rules.json and the profiles, so that the maker is not its own
//! judge.

use std::collections::HashSet;

use chiren::clins::make::{Kind, Made};
use serde_json::Value;

use super::{codes, json, resources};

const C: &str = "http://jpfhir.jp/fhir/clins/";

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

pub fn check(made: &Made) {
    let bundle = json(made);
    let entries = list(&bundle["entry"]);
    // R02151, R2152.
    assert_eq!(bundle["identifier"]["system"], format!("{C}bundle-identifier"));
    let id = bundle["identifier"]["value"].as_str().unwrap();
    let parts: Vec<&str> = id.split('^').collect();
    assert_eq!((parts.len(), parts[0], parts[1].len()), (3, super::INSTITUTION, 4), "{id}");
    assert!(
        (1..=36).contains(&parts[2].len())
            && parts[2].bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    );
    assert_eq!(id, made.bundle_id);
    // Entries are unique and every reference is to one of them, or to a contained resource of its own (bdl-7).
    let urls: HashSet<&str> = entries.iter().map(|e| e["fullUrl"].as_str().unwrap()).collect();
    assert_eq!(urls.len(), entries.len());
    for url in &urls {
        assert!(uuid(url).is_some(), "{url}");
    }
    for entry in entries {
        let contained: HashSet<String> = list(&entry["resource"]["contained"])
            .iter()
            .map(|c| format!("#{}", c["id"].as_str().unwrap()))
            .collect();
        let mut used = HashSet::new();
        walk(&entry["resource"], &mut |name, value| {
            if name == "reference" {
                let to = value.as_str().unwrap();
                assert!(urls.contains(to) || contained.contains(to), "{to} is nowhere");
                used.insert(to.to_owned());
            }
        });
        // dom-3: what is contained is referred to.
        assert!(contained.iter().all(|c| used.contains(c)), "something contained is referred to by nothing");
    }
    texts(&bundle);
    // The institution number is with every entry but document's own people and papers (R9011, R9012).
    let patient = &resources(&bundle, "Patient")[0];
    let insured: Vec<&Value> = list(&patient["identifier"])
        .iter()
        .filter(|i| i["system"] == format!("{C}Idsystem/JP_Insurance_memberID"))
        .collect();
    assert_eq!(insured.len(), 1, "R1012");
    let facility = format!("urn:oid:1.2.392.100495.20.3.51.1{}", super::INSTITUTION);
    assert_eq!(list(&patient["identifier"]).iter().filter(|i| i["system"] == facility).count(), 1, "R1010");
    for name in list(&patient["name"]) {
        assert!(!name["text"].as_str().unwrap().contains('\u{3000}'), "R1113");
        assert!(name["family"].is_string() && list(&name["given"]).len() == 1);
    }
    assert!(patient["gender"].is_string() && patient["birthDate"].is_string());
    assert!(patient["address"][0]["text"].is_string());
    match made.kind {
        Kind::Conditions | Kind::Allergies | Kind::Laboratory => unit(&bundle, made.kind),
        Kind::Referral | Kind::Discharge => document(&bundle, made.kind),
    }
    for condition in resources(&bundle, "Condition") {
        self::condition(condition);
    }
    for allergy in resources(&bundle, "AllergyIntolerance") {
        assert_eq!(
            allergy["meta"]["profile"][0],
            "http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_AllergyIntolerance_eCS"
        );
        let coding = &allergy["code"]["coding"][0];
        assert!(
            ["system", "code", "display"].iter().all(|n| coding[*n].is_string())
                && allergy["code"]["text"].is_string()
        );
        assert!(tags(allergy).iter().all(|t| *t == "LTS"));
        resource_identifier(allergy);
    }
    for observation in resources(&bundle, "Observation") {
        self::observation(observation);
    }
    for request in resources(&bundle, "MedicationRequest") {
        self::request(request);
    }
}

fn uuid(url: &str) -> Option<&str> {
    let text = url.strip_prefix("urn:uuid:")?;
    let form = text.len() == 36
        && text.bytes().all(|b| b == b'-' || b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    form.then_some(text)
}

fn walk<'v>(value: &'v Value, each: &mut impl FnMut(&'v str, &'v Value)) {
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| {
            each(name, value);
            walk(value, each);
        }),
        Value::Array(list) => list.iter().for_each(|value| walk(value, each)),
        _ => {}
    }
}

/// Nothing is empty; no half-width kana, full-width space or control character in names and texts.
fn texts(bundle: &Value) {
    walk(bundle, &mut |name, value| {
        let empty = match value {
            Value::String(text) => text.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::Null => true,
            _ => false,
        };
        assert!(!empty, "{name} is empty");
        if let (
            Value::String(text),
            "display" | "text" | "valueString" | "div" | "unit" | "name" | "family",
        ) = (value, name)
        {
            let bad = |c: char| c.is_control() || matches!(u32::from(c), 0xff61..=0xff9f);
            assert!(!text.chars().any(bad), "{name}: {text}");
            assert!(
                name != "display" || !text.contains('\u{3000}') || text.ends_with("服用"),
                "{name}: {text}"
            );
        }
    });
}

fn tags(resource: &Value) -> Vec<&str> {
    let all = list(&resource["meta"]["tag"]);
    assert!(all.iter().all(|t| t["system"] == format!("{C}CodeSystem/JP_ehrshrs_indication")));
    all.iter().map(|t| t["code"].as_str().unwrap()).collect()
}

fn extension<'v>(resource: &'v Value, end: &str) -> Option<&'v Value> {
    list(&resource["extension"]).iter().find(|e| e["url"].as_str().unwrap().ends_with(end))
}

fn contained<'v>(resource: &'v Value, profile: &str) -> Option<&'v Value> {
    let url = format!("http://jpfhir.jp/fhir/core/StructureDefinition/{profile}");
    list(&resource["contained"]).iter().find(|c| c["meta"]["profile"][0] == url)
}

fn resource_identifier(resource: &Value) {
    let url = "http://jpfhir.jp/fhir/core/IdSystem/resourceInstance-identifier";
    let own: Vec<_> = list(&resource["identifier"]).iter().filter(|i| i["system"] == url).collect();
    assert_eq!(own.len(), 1);
    assert!(own[0]["value"].as_str().unwrap().starts_with(super::INSTITUTION));
}

fn unit(bundle: &Value, kind: Kind) {
    let entries = list(&bundle["entry"]);
    assert_eq!(bundle["meta"]["profile"][0], format!("{C}StructureDefinition/JP_Bundle_CLINS|1"), "R0213");
    assert_eq!(bundle["type"], "collection");
    let tag = &list(&bundle["meta"]["tag"])[0];
    assert_eq!(tag["system"], format!("{C}CodeSystem/BundleResourceType_CS"), "R02141");
    assert_eq!(tag["code"].as_str(), kind.resource_type(), "R02142");
    assert_eq!(entries[0]["resource"]["resourceType"], "Patient", "R0211");
    assert_eq!(
        entries[0]["resource"]["meta"]["profile"][0],
        "http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_Patient_eCS",
        "R0212"
    );
    assert!(entries.len() > 1, "R02143");
    for entry in &entries[1..] {
        let resource = &entry["resource"];
        assert_eq!(resource["resourceType"].as_str(), kind.resource_type(), "only one type");
        let number = extension(resource, "/JP_eCS_InstitutionNumber").expect("R9011");
        assert_eq!(number["valueIdentifier"]["value"], super::INSTITUTION, "R9012");
        if kind != Kind::Allergies {
            assert!(contained(resource, "JP_Encounter").is_some(), "R9013");
            assert!(extension(resource, "/JP_eCS_Department").is_some(), "R9014");
            assert_eq!(resource["encounter"]["reference"], "#enc1", "R9016");
        }
        if kind == Kind::Conditions {
            assert!(resource["onsetDateTime"].is_string(), "R9015C");
        }
    }
}

fn condition(condition: &Value) {
    assert_eq!(
        condition["meta"]["profile"][0],
        "http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_Condition_eCS"
    );
    let key = "http://medis.or.jp/CodeSystem/master-disease-keyNumber";
    let keys: Vec<_> = list(&condition["code"]["coding"]).iter().filter(|c| c["system"] == key).collect();
    assert!(keys.len() == 1 && keys[0]["display"].is_string() && condition["code"]["text"].is_string());
    assert_eq!(codes(&condition["category"][0])[0].1, "encounter-diagnosis");
    assert!(condition["verificationStatus"].is_object() && condition["clinicalStatus"].is_object());
    for extension in list(&condition["code"]["extension"]) {
        let codings = list(&extension["valueCodeableConcept"]["coding"]);
        let numbers = codings
            .iter()
            .filter(|c| c["system"] == "http://medis.or.jp/CodeSystem/master-disease-modKeyNumber");
        assert_eq!(numbers.count(), 1);
        assert!(codings.iter().all(|c| c["display"].is_string()));
    }
    tags(condition);
    resource_identifier(condition);
}

fn observation(observation: &Value) {
    assert_eq!(
        observation["meta"]["profile"][0],
        "http://jpfhir.jp/fhir/eCS/StructureDefinition/JP_Observation_LabResult_eCS"
    );
    let all = codes(&observation["code"]);
    let local = format!("{C}CodeSystem/JP_CLINS_ObsLabResult_LocalCode_CS");
    assert_eq!(all.iter().filter(|(s, _)| *s == local).count(), 1, "R6021");
    assert_eq!(all.len(), 2, "own code, and listed, general or none");
    assert!(list(&observation["code"]["coding"]).iter().all(|c| c["display"].is_string()));
    assert!(contained(observation, "JP_Practitioner").is_some(), "R9019O");
    assert_eq!(observation["performer"][0]["reference"], "#dr1", "R9017O");
    assert_eq!(observation["specimen"]["reference"], "#sp1");
    assert!(observation["effectiveDateTime"].is_string());
    let values = ["valueQuantity", "valueString", "valueCodeableConcept", "dataAbsentReason"];
    assert_eq!(values.iter().filter(|v| !observation[**v].is_null()).count(), 1, "obs-6");
    assert!(tags(observation).iter().all(|t| *t == "LTS"));
    resource_identifier(observation);
}

fn request(request: &Value) {
    let systems = [
        "http://capstandard.jp/iyaku.info/CodeSystem/YJ-code",
        "http://jpfhir.jp/fhir/eCS/CodeSystem/MedicationCodeNocoded_CS",
        "http://jpfhir.jp/fhir/core/mhlw/CodeSystem/MedicationGeneralOrderCode",
    ];
    let national =
        codes(&request["medicationCodeableConcept"]).into_iter().filter(|(s, _)| systems.contains(s));
    assert_eq!(national.count(), 1, "R3010");
    let dosage = &request["dosageInstruction"][0];
    let usage = codes(&dosage["timing"]["code"]);
    let coded = usage.iter().any(|(s, _)| s.ends_with("/MedicationUsage_ePrescription"));
    let dummy = usage.iter().any(|(_, c)| *c == "0X0XXXXXXXXX0000");
    assert!(coded ^ dummy, "R5020, R5021");
    assert!(dosage["text"].is_string() && dosage["timing"]["code"]["text"].is_string());
    assert!(dosage["extension"][0]["valuePeriod"]["start"].is_string());
    assert!(
        (request["status"] == "completed")
            && (request["intent"] == "order")
            && request["authoredOn"].is_string()
    );
    assert_eq!(list(&request["identifier"]).len(), 3);
    for quantity in [&dosage["doseAndRate"][0]["doseQuantity"], &request["dispenseRequest"]["quantity"]] {
        assert!(quantity.is_null() || quantity["code"].is_string());
    }
    resource_identifier(request);
}

fn document(bundle: &Value, kind: Kind) {
    let entries = list(&bundle["entry"]);
    let letter = kind == Kind::Referral;
    assert_eq!(bundle["type"], "document");
    let name = if letter { "JP_Bundle_eReferral" } else { "JP_Bundle_eDischargeSummary" };
    assert_eq!(bundle["meta"]["profile"][0], format!("{C}StructureDefinition/{name}|1"));
    let composition = &entries[0]["resource"];
    assert_eq!(composition["resourceType"], "Composition");
    let count = |kind: &str| resources(bundle, kind).len();
    assert!(count("Patient") == 1 && count("Practitioner") >= 1);
    assert!(entries.len() >= if letter { 5 } else { 6 });
    if letter {
        assert!((2..=4).contains(&count("Organization")));
    } else {
        assert!(count("Organization") >= 1 && count("Encounter") == 1 && count("Condition") >= 1);
    }
    let sections = list(&composition["section"]);
    let has = |code: &str| sections.iter().filter(|s| codes(&s["code"])[0].1 == code).count();
    assert_eq!(has("200") + has("300"), 1, "200 xor 300");
    if letter {
        assert_eq!((has("920"), has("910")), (1, 1));
        assert_eq!(composition["event"][0]["code"][0]["text"], "診療情報提供書発行");
    } else {
        assert!(
            composition["event"][0]["period"]["end"].is_string()
                && composition["event"][0].get("code").is_none()
        );
        assert_eq!(codes(&composition["category"][0])[0].1, "DISCHARGE");
    }
    assert!(composition["custodian"]["reference"].is_string());
    // cmp-1, and no two sections of one code inside 300.
    for section in sections {
        let inside = list(&section["section"]);
        let mut seen = HashSet::new();
        for section in inside.iter().chain([section]) {
            let something = ["text", "entry", "section"].iter().any(|n| !section[*n].is_null());
            assert!(something, "{} is empty", section["title"]);
            let div = section["text"]["div"].as_str().unwrap_or("<div/>");
            roxmltree::Document::parse(div).unwrap_or_else(|e| panic!("{div}: {e}"));
        }
        assert!(inside.iter().all(|s| seen.insert(codes(&s["code"])[0].1)));
        let needed: &[&str] = match (codes(&section["code"])[0].1, letter) {
            ("300", true) => &["950", "340", "360"],
            ("300", false) => &["322", "342", "352", "312", "362", "333", "324", "344", "444", "424"],
            _ => &[],
        };
        assert!(needed.iter().all(|c| seen.contains(c)));
    }
}
