//! The simulated national service: the scenarios of the corpus, its cases over the wire, certificates, faults, what it
//! remembers when it is killed, folder and page.

mod durable;
mod faults;
pub mod scenarios;
mod views;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::national::{Caller, DESTINATION, National, SENDER, case, client, envelope, named, text};

/// Kind of Bundle and the operation that takes it.
const OPERATIONS: [(&str, &str); 5] = [
    ("clins", "info.register"),
    ("ereferral", "referral.register"),
    ("edischarge", "referral.register"),
    ("epcs", "summary.register"),
    ("echeckup", "checkup.register"),
];

#[tokio::test]
async fn cases_of_the_corpus_are_taken_or_refused_over_the_wire_as_the_index_says() {
    let index = case("index.json");
    // A discharge summary alone is taken by rule set 2.0.0 only, after its letter.
    let national =
        National::with(|o| o.settings.rule_set = chiren::cli::simulate::national::world::RuleSet::V2_0_0)
            .await;
    let sender = national.caller(SENDER);
    let mut held = BTreeMap::new();
    let mut letters = 0;
    for one in index["cases"].as_array().unwrap() {
        let (file, kind) = (one["file"].as_str().unwrap(), one["bundle"].as_str().unwrap());
        let op = OPERATIONS.iter().find(|(k, _)| *k == kind).unwrap().1;
        let bundle = case(file);
        let op = if held.contains_key(&named(&bundle).to_string()) {
            op.replace("register", "change")
        } else {
            op.to_owned()
        };
        let before = national.running.state()["Counts"].clone();
        let mut body = named(&bundle);
        if kind == "edischarge" {
            body["DestinationInstitutionCode"] = json!(DESTINATION);
        }
        let heard = sender.call(&op, file, body, Some(&text(file))).await;
        let wanted = match one["expect"].as_str().unwrap() {
            "accept" => None,
            "reject" => one["rule"].as_str(),
            _ => one["project"].as_str().unwrap().strip_prefix("reject:"),
        };
        match wanted {
            None => {
                assert_eq!(heard.code(), "OK", "{file}: {}", heard.text);
                held.insert(named(&bundle).to_string(), file.to_owned());
                letters += usize::from(kind == "ereferral");
            }
            Some(rule) => {
                assert_eq!(heard.code(), "VALIDATION", "{file}: {}", heard.text);
                assert!(
                    heard.rules().iter().any(|r| r == rule),
                    "{file}: {rule} is not in {:?}",
                    heard.rules()
                );
                let after = national.running.state()["Counts"].clone();
                assert_eq!(before["Units"], after["Units"], "{file}: nothing is stored");
            }
        }
    }
    let counts = national.running.state()["Counts"].clone();
    assert_eq!((counts["Units"].as_u64(), letters), (Some(u64::try_from(held.len()).unwrap()), 4));
}

#[tokio::test]
async fn who_calls_is_proven_by_the_certificate() {
    let national = National::start().await;
    let body = envelope(
        SENDER,
        "k",
        named(&case("cases/good/g03-lab.json")),
        Some(&text("cases/good/g03-lab.json")),
    );
    let nobody = Caller { client: client(&national.pki(), None), ..national.caller(SENDER) };
    let heard = nobody.send("info.register", body.clone()).await.unwrap();
    assert_eq!((heard.status, heard.code()), (401, "NO_CERTIFICATE"));
    // One of the same authority, but of no institution.
    let server = Caller { client: client(&national.pki(), Some("server")), ..national.caller(SENDER) };
    assert!(
        server.send("info.register", body.clone()).await.is_err(),
        "a server's certificate is no client's"
    );
    let other = national.caller(DESTINATION).send("info.register", body.clone()).await.unwrap();
    assert_eq!((other.status, other.code()), (200, "INSTITUTION_MISMATCH"));
    // Another authority's certificate for the same institution.
    let foreign = tempfile::tempdir().unwrap();
    let named = [SENDER.to_owned()];
    chiren::cli::simulate::national::pki::Pki::prepare(foreign.path(), &named, jiff::Timestamp::now())
        .unwrap();
    std::fs::copy(national.pki().join("authority.pem"), foreign.path().join("authority.pem")).unwrap();
    let stranger = Caller { client: client(foreign.path(), Some(SENDER)), ..national.caller(SENDER) };
    assert!(stranger.send("info.register", body.clone()).await.is_err(), "the handshake fails");
    // An institution that is added later has its certificate of the same authority.
    let later = ["4719900034".to_owned()];
    chiren::cli::simulate::national::pki::Pki::prepare(&national.pki(), &later, jiff::Timestamp::now())
        .unwrap();
    let question = json!({ "DestinationInstitutionCode": SENDER });
    assert_eq!(national.caller("4719900034").call("availability", "q", question, None).await.code(), "OK");
    // Known to a closed directory or not.
    national.running.engine.enter(vec![serde_json::from_value(json!({ "open": false })).unwrap()]).unwrap();
    let heard = national.caller(SENDER).send("info.register", body).await.unwrap();
    assert_eq!((heard.status, heard.code()), (403, "CERTIFICATE_REFUSED"));
    assert_eq!(national.running.state()["Counts"]["Units"], 0);
}

#[tokio::test]
async fn what_cannot_be_read_is_told_by_its_status() {
    let national = National::start().await;
    let sender = national.caller(SENDER);
    let status = |op: &'static str, body: &str| {
        let (sender, body) = (sender.clone(), body.to_owned());
        async move { sender.send(op, body).await.unwrap() }
    };
    let heard = status("info.register", "{").await;
    assert_eq!((heard.status, heard.code()), (400, "UNREADABLE"));
    assert_eq!(heard.body["MessageHeader"]["SegmentOfResult"], "9");
    assert_eq!(status("info.forget", "{}").await.status, 404);
    let get =
        sender.client.get(format!("https://localhost:{}/v1/result", national.address().port())).send().await;
    assert_eq!(get.unwrap().status().as_u16(), 405);
    let heard =
        status("info.register", &envelope(SENDER, "k", json!({ "InsuredIdentifier": "x" }), None)).await;
    assert!(heard.text.contains("/MessageBody/BundleIdentifierSystem is missing"), "{}", heard.text);
}

#[tokio::test]
async fn each_code_has_a_call_that_earns_it() {
    let national = National::start().await;
    let (sender, destination) = (national.caller(SENDER), national.caller(DESTINATION));
    let letter = "cases/good/g06-ereferral-text.json";
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = named(&case(letter));
        change(&mut body);
        body
    };
    let bring = |key: &'static str, body: Value| {
        let sender = sender.clone();
        async move { sender.call("referral.register", key, body, Some(&text(letter))).await }
    };
    let enter =
        |entry: Value| national.running.engine.enter(vec![serde_json::from_value(entry).unwrap()]).unwrap();
    let heard = bring("a", with(&|b| b["DestinationInstitutionCode"] = json!("1319900026"))).await;
    assert_eq!(heard.code(), "DESTINATION_MISMATCH");
    let heard = bring("b", with(&|b| b["DestinationInstitutionCode"] = json!("9919900026"))).await;
    assert_eq!(heard.code(), "DESTINATION_UNKNOWN");
    enter(json!({ "institution": DESTINATION, "participates": false, "name": "仮想中央病院" }));
    assert_eq!(bring("c", with(&|_| {})).await.code(), "NOT_PARTICIPATING");
    let asked =
        sender.call("availability", "q", json!({ "DestinationInstitutionCode": DESTINATION }), None).await;
    assert_eq!(asked.body["MessageBody"]["Participates"], false);
    enter(json!({ "institution": DESTINATION, "participates": true }));
    let (insured, _) = crate::support::national::identifiers(&case(letter));
    enter(json!({ "insured_id": insured, "birth_date": "1900-01-01" }));
    assert_eq!(bring("d", with(&|_| {})).await.code(), "QUALIFICATION_INVALID");
    let birth = case(letter)["entry"]
        .as_array()
        .unwrap()
        .iter()
        .find_map(|e| e["resource"]["birthDate"].as_str().map(str::to_owned));
    enter(json!({ "insured_id": insured, "birth_date": birth }));
    let heard = bring("e", with(&|b| b["InsuredIdentifier"] = json!("00000000:1:2:"))).await;
    assert_eq!(
        (heard.code(), heard.rules().contains(&"insured-identifier-differs".to_owned())),
        ("VALIDATION", true)
    );
    assert_eq!(bring("f", with(&|_| {})).await.code(), "OK");
    assert_eq!(bring("g", with(&|_| {})).await.code(), "DUPLICATE");
    let again = bring("f", with(&|b| b["ConsentStatus"] = json!("1"))).await;
    assert_eq!(again.code(), "KEY_REUSED", "another request under the same key");
    let heard = sender.bring("info.register", "cases/good/g11-echeckup-tokutei.json", "h").await;
    assert_eq!(heard.code(), "KIND_NOT_ALLOWED");
    let asked = sender.call("result", "never", json!({}), None).await;
    assert_eq!(asked.code(), "NOT_FOUND");
    // Not to be read before the patient agrees, nor by anybody else.
    let body = with(&|_| {});
    assert_eq!(destination.call("referral.fetch", "x", body.clone(), None).await.code(), "NOT_FOUND");
    national.running.engine.consent(&insured, None).unwrap();
    assert_eq!(sender.call("referral.fetch", "x", body.clone(), None).await.code(), "NOT_FOUND");
    let fetched = destination.call("referral.fetch", "x", body.clone(), None).await;
    assert_eq!(fetched.code(), "OK");
    assert!(fetched.text.contains(text(letter).trim()), "byte for byte");
    for op in ["referral.change", "referral.cancel"] {
        let heard =
            sender.call(op, op, body.clone(), op.ends_with("change").then(|| text(letter)).as_deref()).await;
        assert_eq!(heard.code(), "ALREADY_RECEIVED", "{op}");
    }
}
