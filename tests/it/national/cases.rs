//! The cases of decision-cases.json: the facts of each, and the decision it must come to.

use chiren::config::NationalConfig;
use chiren::model::national::ConsentStatus;
use chiren::model::national::bundle;
use chiren::model::national::decide::{BundleFacts, Decision, Facts, Policy, decide};
use serde_json::Value;

use crate::support::national::{CORPUS, case};

/// What a case's Bundle is found to break, by the corpus' own list.
fn findings(index: &Value, name: &str) -> Vec<String> {
    let cases = index["cases"].as_array().unwrap();
    let found =
        cases.iter().find(|c| c["file"].as_str().is_some_and(|f| f.ends_with(&format!("/{name}.json"))));
    let rejected = found.filter(|c| c["expect"] == "reject");
    rejected
        .and_then(|c| c["label"].as_str().or_else(|| c["rule"].as_str()))
        .map(str::to_owned)
        .into_iter()
        .collect()
}

fn facts(input: &Value, index: &Value) -> Facts {
    let text = |key: &str| input[key].as_str().map(str::to_owned);
    let (format_code, mime_type, type_code) =
        (text("formatCode").unwrap(), text("mime").unwrap(), text("typeCode").unwrap());
    let kind = NationalConfig::default().kind_of(&format_code, &mime_type, &type_code);
    let mut found = vec![];
    let bundle = match input["bundle"].as_str() {
        Some(name) => {
            found = findings(index, name);
            let path = ["good", "bad"]
                .map(|folder| format!("{CORPUS}/cases/{folder}/{name}.json"))
                .into_iter()
                .find(|path| std::path::Path::new(path).exists())
                .expect("a case");
            let read = bundle::read(&std::fs::read(path).unwrap()).expect("a Bundle");
            Some(BundleFacts { bytes: input["bytes"].as_u64().unwrap(), ..read })
        }
        // What a conversion makes of it is its own test; here it has been made.
        None if format_code == "jp:cda:hs008" => {
            Some(BundleFacts { kind, converted_from: text("formatCode"), ..BundleFacts::default() })
        }
        None => None,
    };
    let confidentiality = input["confidentiality"].as_array().unwrap();
    Facts {
        event: serde_json::from_value(input["event"].clone()).unwrap(),
        institution: text("author"),
        enabled: input["egress"].as_bool().unwrap(),
        ours: input["home"] == "ours",
        mime_type,
        format_code,
        type_code,
        kind,
        is_reply: input["is_reply"].as_bool().unwrap(),
        regional_deny: input["regional_sharing"] == "deny",
        objection: input["national_objection"].as_bool().unwrap(),
        confidentiality: confidentiality.iter().map(|c| c.as_str().unwrap().to_owned()).collect(),
        insured_id: input["patient"]["insured_id"].as_str().map(str::to_owned),
        qualified: input["patient"]["qualified"].as_bool(),
        send_agreed: input["send_agreed"].as_bool(),
        view_consent: match input["view_consent"] == "now" {
            true => ConsentStatus::Viewable,
            false => ConsentStatus::Pending,
        },
        recipient: text("recipient"),
        recipient_participates: input["recipient_participates"].as_bool(),
        predecessor: serde_json::from_value(input["predecessor"].clone()).unwrap(),
        own: None,
        letter_sent: false,
        bundle,
        findings: found,
    }
}

/// What a case expects and the decision does not have.
fn wrong(expect: &Value, facts: &Facts, decision: &Decision) -> Vec<String> {
    let said = serde_json::to_value(decision).unwrap();
    let names = [
        ("decision", "decision"),
        ("operation", "operation"),
        ("reason", "reason"),
        ("consent_status", "consentStatus"),
        ("rules", "rules"),
    ];
    let mut wrong: Vec<String> = names
        .iter()
        .filter(|(theirs, ours)| expect[theirs] != said[ours])
        .map(|(n, _)| (*n).to_owned())
        .collect();
    for (theirs, ours) in
        [("keeps_identifier", "keepsIdentifier"), ("supersedes_pending", "supersedesPending")]
    {
        if expect[theirs] == true && said[ours] != true {
            wrong.push(theirs.into());
        }
    }
    let none = BundleFacts::default();
    let bundle = facts.bundle.as_ref().unwrap_or(&none);
    let list = |key: &str| -> Vec<String> {
        expect[key].as_array().into_iter().flatten().map(|v| v.as_str().unwrap().to_owned()).collect()
    };
    for (key, have) in
        [("warnings", &decision.warnings), ("flags", &bundle.flags), ("attachments", &bundle.attachments)]
    {
        if !list(key).iter().all(|w| have.contains(w)) {
            wrong.push(key.into());
        }
    }
    if expect["resource_type"].is_string()
        && expect["resource_type"].as_str() != bundle.resource_type.as_deref()
    {
        wrong.push("resource_type".into());
    }
    if expect["converted_from"].is_string()
        && expect["converted_from"].as_str() != bundle.converted_from.as_deref()
    {
        wrong.push("converted_from".into());
    }
    wrong
}

#[test]
fn every_case_is_decided_as_it_says() {
    let (all, index) = (case("decision-cases.json"), case("index.json"));
    let mut failed = vec![];
    for one in all["cases"].as_array().unwrap() {
        let facts = facts(&one["input"], &index);
        let decision = decide(&facts, &Policy::default());
        let wrong = wrong(&one["expect"], &facts, &decision);
        if !wrong.is_empty() {
            failed.push(format!("{}: {wrong:?} of {decision:?}", one["id"]));
        }
    }
    assert_eq!(all["cases"].as_array().unwrap().len(), 40);
    assert!(failed.is_empty(), "{failed:#?}");
}
