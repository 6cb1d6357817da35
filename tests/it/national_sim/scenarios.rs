//! The step lists of the corpus, each against an empty service.

use serde_json::{Value, json};

use crate::support::national::{
    CORPUS, Caller, DESTINATION, Heard, National, SENDER, SYSTEM, case, envelope, identifiers, text,
};

const WITHOUT: &str = "cases/good/g03-lab.json";

/// The service, and what a later step looks back at.
struct Driven {
    national: National,
    /// Bytes of the units held after a key.
    after: Vec<(String, Value)>,
}

/// The step lists, sixteen of them.
pub fn scenarios() -> Vec<Value> {
    let all: Value =
        serde_json::from_str(&std::fs::read_to_string(format!("{CORPUS}/scenarios.json")).unwrap()).unwrap();
    let scenarios = all["scenarios"].as_array().unwrap().clone();
    assert_eq!(scenarios.len(), 16);
    scenarios
}

#[tokio::test]
async fn all_scenarios_of_the_corpus() {
    for scenario in scenarios() {
        let national = National::start().await;
        if let Some(rule_set) = scenario["config"].get("rule_set") {
            let rule_set = serde_json::from_value(rule_set.clone()).unwrap();
            national
                .running
                .engine
                .configure(|s| chiren::cli::simulate::national::world::Settings { rule_set, ..s })
                .unwrap();
        }
        let mut driven = Driven { national, after: vec![] };
        for (at, step) in scenario["steps"].as_array().unwrap().iter().enumerate() {
            driven.step(step, &format!("{} step {}", scenario["id"], at + 1)).await;
        }
    }
}

/// Over the operator's own listener.
async fn posted(national: &National, path: &str, body: Value) -> Value {
    let url = format!("http://{}{path}", national.running.control.unwrap());
    let answer = reqwest::Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(plain())
        .build()
        .unwrap()
        .post(url)
        .body(body.to_string())
        .send();
    let answer = answer.await.unwrap();
    assert!(answer.status().is_success(), "{path} {body}");
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

/// A step that is no call: of the simulator's operator, or of the patient.
pub async fn control(national: &National, step: &Value, place: &str) {
    let plain = || {
        let mut body = step.clone();
        body.as_object_mut().unwrap().remove("op");
        body
    };
    match step["op"].as_str().unwrap() {
        "fault.set" => posted(national, "/_fault", plain()).await,
        "directory.set" => posted(national, "/_directory", plain()).await,
        "clock.advance" => posted(national, "/_clock", json!({ "days": step["days"] })).await,
        "mode" => posted(national, "/_config", json!({ "validation": step["validation"] })).await,
        "consent" => {
            let (insured, value) = identifiers(&case(step["identifier_of"].as_str().unwrap()));
            let body = json!({ "InsuredIdentifier": insured, "BundleIdentifierValue": value });
            let said = posted(national, "/_consent", body).await;
            assert_eq!(said["letters"], 1, "{place}");
            said
        }
        other => panic!("{place}: {other}"),
    };
}

/// Whether a state is as a step expects it; `after`: the units that were held after each key.
pub fn stands(state: &Value, after: &[(String, Value)], expect: &Value, place: &str) {
    for (name, count) in [("units", "Units"), ("checkups", "Checkups")] {
        if let Some(wanted) = expect.get(name) {
            assert_eq!(state["Counts"][count], *wanted, "{place}: {name}");
        }
    }
    if let Some(wanted) = expect.get("value") {
        let held = state["Units"][0]["Resources"].as_array().unwrap().iter().any(|r| r["Value"] == *wanted);
        assert!(held, "{place}: {state}");
    }
    if let Some(key) = expect.get("unchanged_since") {
        let (_, before) = after.iter().find(|(k, _)| k == key).unwrap();
        assert_eq!(state["Units"], *before, "{place}");
    }
}

impl Driven {
    async fn step(&mut self, step: &Value, place: &str) {
        match step["op"].as_str().unwrap() {
            "fault.set" | "directory.set" | "clock.advance" | "mode" | "consent" => {
                control(&self.national, step, place).await;
            }
            "state" => stands(&self.national.running.state(), &self.after, &step["expect"], place),
            op => self.call(op, step, place).await,
        }
    }

    async fn call(&mut self, op: &str, step: &Value, place: &str) {
        let expect = &step["expect"];
        let institution = step["as_institution"].as_str().unwrap_or(SENDER);
        let key = step["key"].as_str().unwrap_or("step");
        let mut body = json!({});
        let file = step["file"].as_str();
        let mut bundle = file.map(text);
        if let Some(wanted) = step["generate"]["bytes"].as_u64() {
            bundle = Some(padded(usize::try_from(wanted).unwrap()));
        }
        let of = step["identifier_of"].as_str().or(file).or(step.get("generate").map(|_| WITHOUT));
        if let Some(file) = of {
            let (insured, value) = identifiers(&case(file));
            body = json!({ "InsuredIdentifier": insured, "BundleIdentifierSystem": SYSTEM, "BundleIdentifierValue": value });
        }
        match step["consent_status"].as_str() {
            Some("pending") => body["ConsentStatus"] = json!("2"),
            Some("viewable") => body["ConsentStatus"] = json!("1"),
            _ => {}
        }
        if let Some(code) = step["institution"].as_str() {
            body["DestinationInstitutionCode"] = json!(code);
        } else if op == "referral.register" {
            body["DestinationInstitutionCode"] = json!(DESTINATION);
        }
        let caller: Caller = self.national.caller(institution);
        let heard = caller.send(op, envelope(institution, key, body, bundle.as_deref())).await;
        if let Some(transport) = expect["transport"].as_str() {
            match (transport, heard) {
                ("timeout", heard) => assert!(heard.is_err(), "{place}: {heard:?}"),
                (http, heard) => {
                    let heard = heard.unwrap();
                    assert_eq!(format!("http-{}", heard.status), http, "{place}");
                    assert!(heard.retry_after.is_some(), "{place}");
                }
            }
            return;
        }
        expected(&heard.unwrap(), expect, place);
        self.after.push((key.to_owned(), self.national.running.state()["Units"].clone()));
    }
}

fn expected(heard: &Heard, expect: &Value, place: &str) {
    let body = &heard.body["MessageBody"];
    match expect["result"].as_str() {
        Some("ok") => assert_eq!(heard.code(), "OK", "{place}: {}", heard.text),
        Some("processing") => assert_eq!(heard.body["MessageHeader"]["SegmentOfResult"], "2", "{place}"),
        Some("error") => {
            assert_eq!(heard.code(), expect["code"].as_str().unwrap(), "{place}: {}", heard.text)
        }
        _ => assert_eq!(heard.code(), "OK", "{place}: {}", heard.text),
    }
    for rule in expect["rules"].as_array().into_iter().flatten() {
        assert!(heard.rules().iter().any(|r| r == rule), "{place}: {rule} in {:?}", heard.rules());
    }
    for (name, member) in
        [("replayed", "Replayed"), ("participates", "Participates"), ("count", "Count"), ("state", "State")]
    {
        if let Some(wanted) = expect.get(name) {
            assert_eq!(body[member], *wanted, "{place}: {name}");
        }
    }
}

/// A Bundle of so many bytes.
pub fn padded(bytes: usize) -> String {
    let mut bundle = case(WITHOUT);
    bundle["language"] = json!("");
    let short = bundle.to_string().len();
    bundle["language"] = json!("x".repeat(bytes - short));
    let text = bundle.to_string();
    assert_eq!(text.len(), bytes);
    text
}

/// No TLS is spoken with it.
fn plain() -> rustls::ClientConfig {
    let profile = chiren::config::TlsProfile::JpHigh12;
    rustls::ClientConfig::builder_with_provider(profile.provider())
        .with_protocol_versions(profile.versions())
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}
