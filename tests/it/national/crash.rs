//! Death on the way: a hundred hospitals publish by ITI-41, one gateway with two lanes and the published rules delivers
//! to the service over lines that misbehave, and either side is killed again and again. Afterwards service, ledger and
//! registry agree exactly.
//!
//! `NATIONAL_HOSPITALS` (100) is how many hospitals publish, `NATIONAL_KILLS` (50) how often somebody dies,
//! `NATIONAL_DOCUMENTS` (60) how many documents the two that send have beside the first, `NATIONAL_SEED` the chances.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chiren::cli::simulate::national::pki::Pki;
use chiren::clins::normalise::{EntryProfiles, normalised};
use chiren::config::{Config, UnknownPatients};
use chiren::model::metadata::AvailabilityStatus::{Approved, Deprecated};
use chiren::model::transaction::Transaction;
use chiren::synthetic::SplitMix64;

use super::*;
use crate::preflight::packages;
use crate::support::national::text;
use crate::support::port::lasting;
use crate::support::process::{Process, run, write_config};
use crate::support::soap::{envelope, include, mtom, provide_and_register};
use crate::support::updates::{status_of, update};
use crate::support::{Soap, gateway};

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn plain() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().expect("a client")
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

    async fn state(&self) -> Option<Value> {
        let answer = plain().get(format!("http://{}/_state", self.control)).send().await.ok()?;
        serde_json::from_str(&answer.text().await.ok()?).ok()
    }

    /// How many keys it knows: grows with every call that arrives.
    async fn keys(&self) -> Option<u64> {
        self.state().await?["Counts"]["Keys"].as_u64()
    }
}

/// Waits until something is so; gives up after a time that is no measure of success.
async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    assert!(within(Duration::from_secs(300), &mut so).await, "never: {what}");
}

/// Whether something becomes so in a while.
async fn within(while_: Duration, so: &mut impl AsyncFnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !so().await {
        if begun.elapsed() > while_ {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

/// What a command beside the gateway prints as JSON.
fn asked(config: &Path, arguments: &[&str]) -> Vec<Value> {
    let (group, rest) = arguments.split_first().expect("a command");
    let mut all = vec![*group, "--config", config.to_str().unwrap()];
    all.extend(rest);
    all.push("--json");
    serde_json::from_slice(&run(&all).stdout).unwrap_or_default()
}

fn sum(lanes: &[Value], part: &str, names: &[&str]) -> i64 {
    lanes.iter().flat_map(|l| names.iter().map(move |n| l[part][*n].as_i64().unwrap_or_default())).sum()
}

fn configured(dir: &tempfile::TempDir, mut config: Config, service: &Service) -> PathBuf {
    let pki = service.dir.join("pki");
    direct(&mut config, &pki, service.address.port(), &[SENDER, DESTINATION]);
    let national = &mut config.national;
    match packages() {
        Some(folder) => (national.validation, national.packages) = (Validation::Intended, vec![folder]),
        None => eprintln!("no definitions: Bundles leave unchecked"),
    }
    let facts = dir.path().join("facts.toml");
    std::fs::write(&facts, format!("[participates]\n{DESTINATION} = true\n")).expect("written");
    national.facts = Some(facts);
    national.poll_seconds = 1;
    national.retry_seconds = 1;
    national.retry_limit_minutes = 1;
    national.breaker_failures = 50;
    national.lease_seconds = 10;
    config.outbox.poll_seconds = 1;
    config.outbox.delivery_seconds = 5;
    config.registry.unknown_patients = UnknownPatients::Accept;
    config.log.level = "info".into();
    write_config(dir.path(), &config)
}

/// A document that one of the two published, and what became of it.
struct Published {
    institution: &'static str,
    bundle: String,
    is_letter: bool,
    patient: String,
    entry: String,
    versions: u64,
    /// What should be there in the end.
    text: Option<String>,
}

/// All that lives and dies.
struct World {
    service: Service,
    process: Process,
    path: PathBuf,
    random: SplitMix64,
    published: Vec<Published>,
    /// Registered, and not for the service: of hospitals without a lane, and those that break rules.
    regional: usize,
    deaths: u64,
}

impl World {
    fn gateway_dies(&mut self) {
        self.process.kill_now();
        self.process = Process::start(&self.path, &[]);
        self.deaths += 1;
    }

    fn service_dies(&mut self) {
        self.service.kill();
        self.service.start();
        self.deaths += 1;
    }

    /// One of them dies: at once, or when a call has just arrived.
    async fn somebody_dies(&mut self) {
        if self.random.below(2) == 0
            && let Some(before) = self.service.keys().await
        {
            let (service, patience) = (&self.service, Duration::from_millis(500));
            within(patience, &mut async || service.keys().await.is_some_and(|now| now > before)).await;
        }
        match self.random.below(5) {
            0 | 1 => self.gateway_dies(),
            _ => self.service_dies(),
        }
    }

    async fn registered(&self, s: &Submission) -> Option<String> {
        let soap = Soap::new(self.process.address);
        let found = soap.query(&find_documents(&s.submission_set.patient_id)).await.entries();
        let unique = &s.document_entries[0].unique_id;
        found.into_iter().find(|e| e.unique_id == *unique).map(|e| e.entry_uuid)
    }

    async fn provide(&mut self, s: &Submission, text: &str) -> String {
        let soap = Soap::new(self.process.address);
        soap.provide(s, &[("DE", text.as_bytes())]).await.assert_success();
        self.registered(s).await.expect("registered")
    }

    /// The gateway dies while it takes the document. Who had no answer asks whether it is there, and brings it again.
    async fn provide_to_the_dying(&mut self, s: &Submission, text: &str) -> String {
        let body = provide_and_register(s, &include("DE", "doc@test"));
        let action = Transaction::Iti41.row().request_action;
        let (kind, message) = mtom(&envelope(action, &body), &[("doc@test", text.as_bytes())]);
        let url = format!("http://{}{}", self.process.address, Transaction::Iti41.row().path);
        let sent = plain().post(url).header("content-type", kind).body(message).send();
        let sending = tokio::spawn(sent);
        for _ in 0..self.random.below(20_000) {
            tokio::task::yield_now().await;
        }
        self.gateway_dies();
        let _ = sending.await;
        match self.registered(s).await {
            Some(entry) => entry,
            None => self.provide(s, text).await,
        }
    }

    async fn publish(&mut self, s: &Submission, text: &str, dying: bool) -> String {
        match dying {
            true => self.provide_to_the_dying(s, text).await,
            false => self.provide(s, text).await,
        }
    }

    /// A document of one of the two that send.
    async fn send(&mut self, n: u64, institution: &'static str, patient: &str, dying: bool) {
        let is_letter = institution == SENDER && n.is_multiple_of(3);
        let (s, text, bundle) = match is_letter {
            true => (letter(), letter_text(n), format!("{SENDER}^2025^REF-{n}")),
            false => (lab(institution), results(institution, &format!("LAB-{n}")), lab_id(institution, n)),
        };
        let entry = self.publish(&of_patient(s, patient), &text, dying).await;
        let patient = patient.to_owned();
        let one = Published { institution, bundle, is_letter, patient, entry, versions: 1, text: Some(text) };
        self.published.push(one);
    }

    /// A correction of one that is there, or its end.
    async fn change(&mut self, dying: bool) {
        let live: Vec<usize> =
            (0..self.published.len()).filter(|i| self.published[*i].text.is_some()).collect();
        let Some(at) = live.get(usize::try_from(self.random.below(live.len() as u64)).unwrap()).copied()
        else {
            return;
        };
        let old = &self.published[at];
        let (entry, patient, institution) = (old.entry.clone(), old.patient.clone(), old.institution);
        if self.random.below(3) == 0 {
            let withdrawn = status_of(update(), &entry, Approved, Deprecated);
            Soap::new(self.process.address).update(&withdrawn).await.assert_success();
            self.published[at].text = None;
            return;
        }
        // One more space each time: other octets, the same content.
        let next = old.text.as_deref().unwrap().replacen("\"timestamp\"", " \"timestamp\"", 1);
        let s = if old.is_letter { letter() } else { lab(institution) };
        let s = of_patient(replacing(s, &entry), &patient);
        let entry = self.publish(&s, &next, dying).await;
        let one = &mut self.published[at];
        (one.entry, one.text, one.versions) = (entry, Some(next), one.versions + 1);
    }
}

fn lab_id(institution: &str, n: u64) -> String {
    format!("{institution}^2025^LAB-{n}")
}

fn letter_text(n: u64) -> String {
    text("cases/good/g05-ereferral-structured.json").replace("REF-0001", &format!("REF-{n}"))
}

/// As the service has it: SHA-256 of what leaves.
fn hash(text: &str) -> String {
    use sha2::Digest as _;
    let sent = normalised(text.as_bytes(), EntryProfiles::Unversioned);
    let sent = sent.unwrap_or_else(|| text.trim_end().as_bytes().to_vec());
    sha2::Sha256::digest(sent).iter().map(|b| format!("{b:02x}")).collect()
}

/// The nth hospital's number.
fn hospital(n: u64) -> String {
    match n {
        0 => SENDER.into(),
        1 => DESTINATION.into(),
        n => format!("{:02}1{:07}", 1 + n % 47, 9_000_000 + n),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_dies_nothing_is_twice_and_nothing_is_missing() {
    let (hospitals, kills) = (number("NATIONAL_HOSPITALS", 100), number("NATIONAL_KILLS", 50));
    let documents = number("NATIONAL_DOCUMENTS", 60);
    let random = SplitMix64::new(number("NATIONAL_SEED", 7));
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
    let path = configured(&dir, gateway::config(&dir).await, &service);
    let process = Process::start(&path, &[]);
    let mut world =
        World { service, process, path: path.clone(), random, published: vec![], regional: 0, deaths: 0 };

    // Every hospital publishes once, the two that send go on; every fifth act changes what is there.
    let acts = hospitals + documents + (hospitals + documents) / 5;
    let patients: Vec<String> = (0..20).map(|n| format!("{}^^^&{AUTHORITY}&ISO", 2000 + n)).collect();
    let mut next = 0;
    for act in 0..acts {
        let due = (act + 1) * kills / acts;
        // Of the deaths some come in the middle of ITI-41.
        let dying = world.deaths < due && world.random.below(4) == 0;
        if act % 6 == 5 {
            world.change(dying).await;
        } else if next < hospitals + documents {
            let n = next;
            next += 1;
            let patient = &patients[usize::try_from(n % 20).unwrap()];
            let at = if n < hospitals { n } else { n % 2 };
            match at {
                0 => world.send(n, SENDER, patient, dying).await,
                1 => world.send(n, DESTINATION, patient, dying).await,
                _ => {
                    let own = hospital(at);
                    let text = results(&own, &format!("LAB-{n}"));
                    world.publish(&of_patient(lab(&own), patient), &text, dying).await;
                    world.regional += 1;
                }
            }
        }
        // What breaks a published rule never leaves.
        if act % 50 == 49 && packages().is_some() {
            let text = text("cases/bad/b08.json");
            world.publish(&of_patient(lab(SENDER), &patients[0]), &text, false).await;
            world.regional += 1;
        }
        while world.deaths < due {
            world.somebody_dies().await;
        }
    }
    assert!(world.deaths >= kills, "{} deaths", world.deaths);

    // Everybody lives on: everything arrives.
    let idle = async || {
        let waits = asked(&path, &["outbox", "list"]);
        waits.is_empty()
            && sum(&asked(&path, &["national", "status"]), "deliveries", &["waiting", "processing"]) == 0
    };
    until("everything has arrived", idle).await;
    until("and still has", idle).await;
    agree(&world, &patients).await;
    world.process.kill_now();
    world.service.kill();
}

/// The service, the ledger and the registry say the same.
async fn agree(world: &World, patients: &[String]) {
    let state = world.service.state().await.expect("a state");
    let units = state["Units"].as_array().unwrap();
    let of = |u: &Value, name: &str| u[name].as_str().unwrap_or_default().to_owned();
    let there: BTreeMap<String, String> =
        units.iter().map(|u| (of(u, "BundleIdentifierValue"), of(u, "BundleSha256"))).collect();
    assert_eq!(units.len(), there.len(), "a unit stands twice");

    // What was published is there as it was published last; what was withdrawn is not, nor anything else.
    let wanted: BTreeMap<String, String> =
        world.published.iter().filter_map(|p| Some((p.bundle.clone(), hash(p.text.as_deref()?)))).collect();
    assert_eq!(there, wanted, "the service has not what was published");
    for unit in units {
        let published = world.published.iter().find(|p| p.bundle == unit["BundleIdentifierValue"]).unwrap();
        let version = unit["Version"].as_u64().unwrap();
        assert!(version <= published.versions, "{}: changed {version} times", published.bundle);
    }

    // The registry: what is Approved there of the two that send, by its own octets.
    let soap = Soap::new(world.process.address);
    let (mut registry, mut regional) = (BTreeMap::new(), 0);
    let of_the_two: BTreeSet<&str> = world.published.iter().map(|p| p.entry.as_str()).collect();
    for patient in patients {
        for entry in soap.query(&find_documents(patient)).await.entries() {
            if !of_the_two.contains(entry.entry_uuid.as_str()) {
                regional += 1;
                continue;
            }
            let documents = soap.retrieve(REPOSITORY, &[&entry.unique_id]).await.documents();
            let text = String::from_utf8(documents[0].1.to_vec()).unwrap();
            let bundle: Value = serde_json::from_str(&text).unwrap();
            registry.insert(of(&bundle["identifier"], "value"), hash(&text));
        }
    }
    assert_eq!(there, registry, "the registry has something else");
    assert_eq!(regional, world.regional, "what stays in the network is all there");

    // The ledger: as many units of each institution, nothing given up, one key for each thing done.
    let lanes = asked(&world.path, &["national", "status"]);
    assert_eq!(sum(&lanes, "lineages", &["accepted"]), i64::try_from(there.len()).unwrap());
    assert_eq!(sum(&lanes, "deliveries", &["waiting", "processing", "parked", "held"]), 0);
    let done = sum(&lanes, "deliveries", &["done"]);
    assert_eq!(state["Counts"]["Keys"].as_i64(), Some(done), "{lanes:#?}");
    for one in asked(&world.path, &["national", "reconcile"]) {
        assert_eq!(one["differences"].as_array().map(Vec::len), Some(0), "{one:#}");
        assert_eq!(one["believed"], one["listed"], "{one:#}");
    }
}
