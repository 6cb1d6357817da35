//! Death on the way: hospitals publish by ITI-41, one gateway with two lanes delivers to the service over lines that
//! misbehave, and either side is killed again and again. Afterwards service and registry agree exactly.
//!
//! `NATIONAL_KILLS` is how often somebody dies (4), `NATIONAL_DOCUMENTS` how many documents there are (24).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chiren::cli::simulate::national::pki::Pki;
use chiren::config::Config;
use chiren::synthetic::SplitMix64;

use super::*;
use crate::support::port::lasting;
use crate::support::process::{Process, run, write_config};
use crate::support::{Soap, gateway};

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// The service as a process, on addresses that stay.
struct Service {
    dir: PathBuf,
    address: SocketAddr,
    control: SocketAddr,
    process: Option<Process>,
}

impl Service {
    fn start(&mut self) {
        let (dir, journal) = (self.dir.join("pki"), self.dir.join("journal"));
        let fault = |mode: &str| format!("{{\"mode\": \"{mode}\", \"probability\": 0.08}}");
        let faults = ["drop-response", "drop-request", "http-503", "corrupt-json", "processing"].map(fault);
        let (listen, control) = (self.address.to_string(), self.control.to_string());
        let mut arguments = vec!["simulate", "national", "--listen", &listen, "--control", &control, "--pki"];
        arguments.extend([dir.to_str().unwrap(), "--store", journal.to_str().unwrap()]);
        for fault in &faults {
            arguments.extend(["--fault", fault.as_str()]);
        }
        self.process = Some(Process::command(&arguments));
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill_now();
        }
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
        let answer = client.get(format!("http://{}{path}", self.control)).send().await.ok()?;
        serde_json::from_str(&answer.text().await.ok()?).ok()
    }
}

/// Waits until something is so; gives up after a time that is no measure of success.
async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !so().await {
        assert!(begun.elapsed() < Duration::from_secs(300), "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What the gateway's ledger says, by a command beside it.
fn ledger(config: &Path) -> Vec<Value> {
    let out = run(&["national", "--config", config.to_str().unwrap(), "status", "--json"]);
    serde_json::from_slice(&out.stdout).unwrap_or_default()
}

fn open(lanes: &[Value]) -> i64 {
    let count = |lane: &Value, name: &str| lane["deliveries"][name].as_i64().unwrap_or_default();
    lanes.iter().map(|l| count(l, "waiting") + count(l, "processing") + count(l, "parked")).sum()
}

fn done(lanes: &[Value]) -> i64 {
    lanes.iter().map(|l| l["deliveries"]["done"].as_i64().unwrap_or_default()).sum()
}

fn configured(dir: &tempfile::TempDir, mut config: Config, service: &Service) -> PathBuf {
    let pki = service.dir.join("pki");
    direct(&mut config, &pki, service.address.port(), &[SENDER, DESTINATION]);
    config.national.poll_seconds = 1;
    config.national.retry_seconds = 1;
    config.national.retry_limit_minutes = 1;
    config.national.breaker_failures = 50;
    config.national.lease_seconds = 10;
    config.outbox.poll_seconds = 1;
    config.outbox.delivery_seconds = 5;
    config.log.level = "info".into();
    write_config(dir.path(), &config)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_dies_nothing_is_twice_and_nothing_is_missing() {
    let (kills, documents) = (number("NATIONAL_KILLS", 4), number("NATIONAL_DOCUMENTS", 24));
    let mut random = SplitMix64::new(number("NATIONAL_SEED", 7));
    chiren::config::tls::install_provider();
    let dir = tempfile::tempdir().unwrap();
    let mut service = Service {
        dir: dir.path().to_owned(),
        address: lasting().local_addr().unwrap(),
        control: lasting().local_addr().unwrap(),
        process: None,
    };
    let institutions = [SENDER.to_owned(), DESTINATION.to_owned()];
    Pki::prepare(&service.dir.join("pki"), &institutions, jiff::Timestamp::now()).unwrap();
    service.start();
    let mut config = gateway::config(&dir).await;
    config.registry.unknown_patients = chiren::config::UnknownPatients::Accept;
    let path = configured(&dir, config, &service);
    let mut process = Process::start(&path, &[]);

    // What should be there in the end: Bundle-ID → version of the text.
    let mut wanted: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut live: Vec<(usize, String, Submission)> = vec![];
    let every = (documents / (kills + 1)).max(1);
    for n in 0..documents {
        let at = usize::try_from(n).unwrap() % 2;
        let institution = [SENDER, DESTINATION][at];
        // Patients of many hospitals' documents.
        let patient = format!("{}^^^&{AUTHORITY}&ISO", 2000 + n % 10);
        let soap = Soap::new(process.address);
        if n % 5 == 4 && !live.is_empty() {
            // A correction of one that is there.
            let pick = usize::try_from(random.below(live.len() as u64)).unwrap();
            let (of, target, before) = live.remove(pick);
            let patient = before.submission_set.patient_id.clone();
            let institution = [SENDER, DESTINATION][of % 2];
            let next = of_patient(replacing(lab(institution), &target), &patient);
            let text =
                results(institution, &format!("LAB-{of}")).replace("\"valueQuantity\"", " \"valueQuantity\"");
            let entry = provided(&soap, &next, &text).await;
            wanted.insert(format!("{institution}^2025^LAB-{of}"), Some(text));
            live.push((of, entry, next));
        } else {
            let next = of_patient(lab(institution), &patient);
            let text = results(institution, &format!("LAB-{n}"));
            let entry = provided(&soap, &next, &text).await;
            wanted.insert(format!("{institution}^2025^LAB-{n}"), Some(text));
            live.push((usize::try_from(n).unwrap(), entry, next));
        }
        if n % every == every - 1 {
            match random.below(2) {
                0 => {
                    process.kill_now();
                    process = Process::start(&path, &[]);
                }
                _ => {
                    service.kill();
                    service.start();
                }
            }
        }
    }
    // Everybody lives on: everything arrives.
    until("everything has arrived", async || {
        let lanes = ledger(&path);
        open(&lanes) == 0 && done(&lanes) >= i64::try_from(wanted.len()).unwrap()
    })
    .await;
    until("nothing waits to be decided", async || {
        let out = run(&["outbox", "--config", path.to_str().unwrap(), "list", "--json"]);
        serde_json::from_slice::<Vec<Value>>(&out.stdout).is_ok_and(|rows| rows.is_empty())
    })
    .await;
    until("everything has arrived still", async || open(&ledger(&path)) == 0).await;
    let state = service.get("/_state?bundles=1").await.expect("a state");
    let there: BTreeMap<String, Option<String>> = state["Units"]
        .as_array()
        .unwrap()
        .iter()
        .map(|u| {
            (
                u["BundleIdentifierValue"].as_str().unwrap().to_owned(),
                u["BundleSha256"].as_str().map(str::to_owned),
            )
        })
        .collect();
    let hashes: BTreeMap<String, Option<String>> = wanted
        .into_iter()
        .map(|(id, text)| {
            use sha2::Digest as _;
            let hash = |t: String| {
                sha2::Sha256::digest(t.trim_end().as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
            };
            (id, text.map(hash))
        })
        .collect();
    assert_eq!(state["Units"].as_array().unwrap().len(), there.len(), "a unit stands twice");
    assert_eq!(there, hashes, "service and registry differ");
    let report = run(&["national", "--config", path.to_str().unwrap(), "reconcile", "--json"]);
    let report: Vec<Value> = serde_json::from_slice(&report.stdout).expect("a report");
    for one in &report {
        assert_eq!(one["differences"].as_array().map(Vec::len), Some(0), "{one:#}");
    }
    process.kill_now();
    service.kill();
}

async fn provided(soap: &Soap, submission: &Submission, text: &str) -> String {
    soap.provide(submission, &[("DE", text.as_bytes())]).await.assert_success();
    let unique = submission.document_entries[0].unique_id.clone();
    let found = soap.query(&find_documents(&submission.submission_set.patient_id)).await.entries();
    found.into_iter().find(|e| e.unique_id == unique).expect("registered").entry_uuid
}
