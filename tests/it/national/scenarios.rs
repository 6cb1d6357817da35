//! The step lists of the corpus through the adapter port: our own adapter, by its mapping, over mutual TLS with the
//! institutions' certificates. (tests/it/national_sim has the same with requests made by hand.)
//!
//! | step | who takes it | |
//! | --- | --- | --- |
//! | `availability`, `info.*`, `checkup.*`, `referral.{register,change,cancel,undo,status}`, `result` | the port | |
//! | `referral.list`, `referral.fetch` | the destination, by hand | a destination's own system reads letters; the port's answer has no place for a list or a letter |
//! | `consent` | the patient | |
//! | `fault.set`, `directory.set`, `clock.advance`, `mode` | the simulator's operator | they are no operations of the service |
//! | `state` | the simulator's operator | the port asks for what is held by its inventory; the counts are the simulator's |

use chiren::config::NationalConfig;
use chiren::model::national::{Class, Op};
use chiren::peer::national::{Answer, Call, Port, Said};
use serde_json::json;

use super::*;
use crate::national_sim::scenarios::{control, padded, scenarios, stands};
use crate::support::national::{SYSTEM, case, envelope, identifiers, text};

/// Who takes a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Port,
    Destination,
    Patient,
    Operator,
}

/// Every kind of step there is.
const STEPS: &[(&str, Side)] = &[
    ("availability", Side::Port),
    ("checkup.register", Side::Port),
    ("info.register", Side::Port),
    ("info.change", Side::Port),
    ("info.cancel", Side::Port),
    ("info.undo", Side::Port),
    ("referral.register", Side::Port),
    ("referral.cancel", Side::Port),
    ("referral.status", Side::Port),
    ("result", Side::Port),
    ("referral.list", Side::Destination),
    ("referral.fetch", Side::Destination),
    ("consent", Side::Patient),
    ("fault.set", Side::Operator),
    ("directory.set", Side::Operator),
    ("clock.advance", Side::Operator),
    ("mode", Side::Operator),
    ("state", Side::Operator),
];

struct Driven {
    service: simulated::National,
    after: Vec<(String, Value)>,
    /// Steps that went through the port.
    ported: usize,
}

impl Driven {
    fn port(&self, institution: &str) -> Port {
        let egress = EgressConfig {
            via: Via::Direct,
            peer: Some(peer(&self.service.pki(), self.service.address().port(), institution)),
            ..EgressConfig::default()
        };
        let mappings = NationalConfig::default().load_mappings().expect("the built-in mapping");
        Port::open(&egress, &mappings).expect("a way")
    }

    async fn step(&mut self, step: &Value, place: &str) {
        let op = step["op"].as_str().unwrap();
        let side = STEPS.iter().find(|(name, _)| *name == op);
        let side = side.unwrap_or_else(|| panic!("{place}: say in STEPS who takes {op}")).1;
        let expect = &step["expect"];
        match (side, op) {
            (Side::Port, _) => self.call(Op::parse(op).expect("an operation"), step, place).await,
            (Side::Destination, _) => self.destination(op, step, place).await,
            (_, "state") => stands(&self.service.running.state(), &self.after, expect, place),
            _ => control(&self.service, step, place).await,
        }
    }

    async fn destination(&self, op: &str, step: &Value, place: &str) {
        let institution = step["as_institution"].as_str().unwrap();
        let mut body = json!({});
        if let Some(file) = step["identifier_of"].as_str() {
            let (insured, value) = identifiers(&case(file));
            body = json!({
                "InsuredIdentifier": insured, "BundleIdentifierSystem": SYSTEM, "BundleIdentifierValue": value
            });
        }
        let caller = self.service.caller(institution);
        let heard = caller.send(op, envelope(institution, "step", body, None)).await.expect("an answer");
        assert_eq!(heard.code(), "OK", "{place}");
        if let Some(count) = step["expect"].get("count") {
            assert_eq!(heard.body["MessageBody"]["Count"], *count, "{place}");
        }
    }

    async fn call(&mut self, op: Op, step: &Value, place: &str) {
        const SAMPLE: &str = "cases/good/g03-lab.json";
        let institution = step["as_institution"].as_str().unwrap_or(SENDER);
        let key = step["key"].as_str().unwrap_or("step");
        let mut call = Call::new(op, institution, key);
        let file = step["file"].as_str();
        let bundle = match step["generate"]["bytes"].as_u64() {
            Some(bytes) => Some(padded(usize::try_from(bytes).unwrap())),
            None => file.map(text),
        };
        call.bundle = bundle.map(Into::into);
        if let Some(file) = step["identifier_of"].as_str().or(file).or(step.get("generate").map(|_| SAMPLE)) {
            let (insured, value) = identifiers(&case(file));
            (call.insured_id, call.bundle_value) = (Some(insured), Some(value));
            call.bundle_system = Some(SYSTEM.into());
        }
        call.consent = step["consent_status"].as_str().and_then(ConsentStatus::parse);
        call.destination = match step["institution"].as_str() {
            Some(code) => Some(code.to_owned()),
            None if op.to_string() == "referral.register" => Some(DESTINATION.into()),
            None => None,
        };
        let answer = self.port(institution).call(&call, 0).await;
        self.ported += 1;
        expected(&answer, &step["expect"], place);
        if !step["expect"]["transport"].is_string() {
            self.after.push((key.to_owned(), self.service.running.state()["Units"].clone()));
        }
    }
}

fn expected(answer: &Answer, expect: &Value, place: &str) {
    let done = || match answer {
        Answer::Done(said) => said.clone(),
        other => panic!("{place}: {other:?}"),
    };
    match (expect["transport"].as_str(), expect["result"].as_str()) {
        (Some("timeout"), _) => {
            assert!(
                matches!(answer, Answer::Failed { class: Class::Transient, unsure: true, .. }),
                "{place}: {answer:?}"
            )
        }
        (Some("http-429"), _) => assert!(
            matches!(answer, Answer::Failed { class: Class::Throttled, after: Some(2), unsure: false, .. }),
            "{place}: {answer:?}"
        ),
        (Some(_), _) => {
            assert!(matches!(answer, Answer::Failed { class: Class::Transient, .. }), "{place}: {answer:?}")
        }
        (None, Some("processing")) => {
            assert!(matches!(answer, Answer::Processing { .. }), "{place}: {answer:?}")
        }
        (None, Some("error")) => refused(answer, expect, place),
        (None, _) => {
            assert_eq!(done().code.as_deref(), Some("OK"), "{place}");
        }
    }
    if let Some(replayed) = expect["replayed"].as_bool() {
        assert_eq!(done().replayed, replayed, "{place}");
    }
    if let Some(participates) = expect["participates"].as_bool() {
        assert_eq!(done().participates, Some(participates), "{place}");
    }
    if let Some(state) = expect["state"].as_str() {
        assert_eq!(done().state.as_deref(), Some(state), "{place}");
    }
}

fn refused(answer: &Answer, expect: &Value, place: &str) {
    let (code, problems) = match answer {
        Answer::Refused { code, problems, .. } => (code.clone(), problems.clone()),
        // A cancellation of what is not there is as good as done: the mapping says so.
        Answer::Done(Said { code: Some(code), .. }) => (code.clone(), vec![]),
        other => panic!("{place}: {other:?}"),
    };
    assert_eq!(code, expect["code"].as_str().unwrap(), "{place}");
    for rule in expect["rules"].as_array().into_iter().flatten() {
        assert!(problems.iter().any(|p| p.rule == *rule), "{place}: {rule} in {problems:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_scenarios_of_the_corpus_go_through_the_port() {
    chiren::config::tls::install_provider();
    let mut ported = 0;
    for scenario in scenarios() {
        let rule_set = scenario["config"].get("rule_set").cloned();
        let service = simulated::National::with(|o| {
            if let Some(rule_set) = rule_set {
                o.settings.rule_set = serde_json::from_value(rule_set).expect("a rule set");
            }
        })
        .await;
        let mut driven = Driven { service, after: vec![], ported: 0 };
        for (at, step) in scenario["steps"].as_array().unwrap().iter().enumerate() {
            driven.step(step, &format!("{} step {}", scenario["id"], at + 1)).await;
        }
        assert!(driven.ported > 0, "{}: nothing went through the port", scenario["id"]);
        ported += driven.ported;
    }
    assert!(ported >= 30, "{ported} steps");
}
