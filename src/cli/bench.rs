//! `chiren bench`: a load driver for any XDS server that checks what it is answered.

mod checks;
mod connection;
mod drive;
mod find;
mod gateway;
mod handshakes;
mod histogram;
mod overload;
mod patients;
mod people;
mod revise;
mod scenarios;
mod template;
mod user;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use uuid::Uuid;

use self::connection::Target;
use self::drive::{Outcome, Plan, Scenario, Until, drive};
use self::find::{Find, Query};
use self::patients::{Event, Patients};
use self::people::People;
use self::revise::Revise;
use self::scenarios::{DataSet, Load, Provide, Register, Retrieve, Run};
use self::template::Documents;
use self::user::User;
use super::failed;
use super::send::endpoint::Endpoint;
use super::send::table;
use crate::model::transaction::Transaction;
use crate::synthetic::{PATIENT_AUTHORITY, REPOSITORY_OID};

pub const EXAMPLES: &str = "\
A closed loop: each client sends its next request when the answer to the last has been checked. Status,
RelatesTo, number and ids of hits and every octet of documents are checked in every answer, and one
answer in a hundred is parsed whole; a wrong answer is an error, and its time does not count.

The server must accept the bench's patients (registry.unknown_patients = \"accept\") and the codes of the
built-in vocabulary. ITI-18 asks for what `chiren bench load` has put there.

Exit status: 0 all answers right, 1 some wrong, 2 usage, 3 not reached.

Examples:
  chiren bench load  --url http://127.0.0.1:8080 --entries 100000
  chiren bench iti18 --url http://127.0.0.1:8080 --entries 100000 --clients 8 --duration 20
  chiren bench iti18 --url http://127.0.0.1:8080 --entries 100000 --query GetAll
  chiren bench iti57 --url http://127.0.0.1:8080 --clients 8
  chiren bench iti42 --url http://127.0.0.1:8080 --clients 32 --label 'SQLite, durable, audit'
  chiren bench iti41 --url http://127.0.0.1:8080 --size 100MiB --clients 1 --requests 10
  chiren bench iti43 --url https://127.0.0.1:8443 --ca ca.pem --size 20KiB --json
  chiren bench overload --url https://127.0.0.1:8443 --ca ca.pem --cert n.pem --key n.key --entries 100000
  chiren bench handshakes --address 127.0.0.1:8443 --ca ca.pem --cert n.pem --key n.key

The gateway to other communities (nothing need run):
  chiren bench gateway --communities 1,10,50 --label 'release, 2 cores'

The index of patients, with an invented region's registrations:
  chiren bench population --persons 10000 --out people.csv > domains.toml
  chiren mpi --config chiren.toml import people.csv
  chiren bench iti8  --url mllp://127.0.0.1:2575 --people people.csv --event A08
  chiren bench iti47 --url http://127.0.0.1:8080 --people people.csv --clients 8";

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    scenario: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Register Document Set-b: metadata of one document each
    Iti42 {
        /// Fill the request up to about this size
        #[arg(long, default_value = "12KB", value_parser = size)]
        bytes: u64,
        #[command(flatten)]
        written: Written,
        #[command(flatten)]
        load: Common,
    },
    /// Provide and Register Document Set-b: one document each
    Iti41 {
        /// Size of each document
        #[arg(long, default_value = "20KiB", value_parser = size)]
        size: u64,
        #[command(flatten)]
        written: Written,
        #[command(flatten)]
        load: Common,
    },
    /// Registry Stored Query of a random patient, LeafClass
    Iti18 {
        /// Which query
        #[arg(long, value_enum, ignore_case = true, default_value_t = Query::FindDocuments)]
        query: Query,
        #[command(flatten)]
        set: Set,
        #[command(flatten)]
        load: Common,
    },
    /// Retrieve Document Set: one document each, provided by ITI-41 beforehand
    Iti43 {
        /// Size of each document
        #[arg(long, default_value = "20KiB", value_parser = size)]
        size: u64,
        /// How many documents to provide and then retrieve at random
        #[arg(long, default_value_t = 64)]
        documents: u64,
        /// Where to provide them; else --url with iti41 for iti43
        #[arg(long, value_name = "URL")]
        provide_url: Option<String>,
        #[command(flatten)]
        load: Common,
    },
    /// Update Document Set: the next version of one document each, registered by ITI-42 beforehand
    Iti57 {
        /// How many documents to register and then update in turn; many more than clients
        #[arg(long, default_value_t = 1000)]
        documents: u64,
        /// Where to register them; else --url with iti42 for iti57
        #[arg(long, value_name = "URL")]
        register_url: Option<String>,
        #[command(flatten)]
        written: Written,
        #[command(flatten)]
        load: Common,
    },
    /// Patient Identity Feed over MLLP: one message each
    Iti8 {
        /// What the messages say
        #[arg(long, value_enum, ignore_case = true, default_value_t = Event::A08)]
        event: Event,
        #[command(flatten)]
        asked: Asked,
    },
    /// PIX Query over MLLP: the network's id of a patient drawn from the table
    Iti9(Asked),
    /// Patient Demographics Query over MLLP: family and given name and date of birth of a patient drawn
    Iti21(Asked),
    /// The question of iti9 in HL7 v3
    Iti45(Asked),
    /// The question of iti21 in HL7 v3
    Iti47(Asked),
    /// The question of iti21 as a FHIR search
    Iti78(Asked),
    /// The question of iti9 as FHIR's $ihe-pix
    Iti83(Asked),
    /// Write an invented region's registrations as a table for `chiren mpi import`, and on standard output
    /// the domains to configure
    Population(people::Table),
    /// What the gateway to other communities costs: everything in one process, with communities that are simulated
    Gateway(gateway::Measured),
    /// Registry Stored Query at four times what saturates the server: who is let in, how fast, and recovery
    Overload {
        #[command(flatten)]
        shape: overload::Shape,
        #[command(flatten)]
        set: Set,
        #[command(flatten)]
        load: Common,
    },
    /// Full TLS handshakes a second, with certificates on both sides; against any server
    Handshakes(handshakes::Handshakes),
    /// Fill a registry by ITI-42 with what the iti18 scenario asks for, a patient a submission
    Load {
        #[command(flatten)]
        set: Set,
        /// The first patient, to go on where a load ended
        #[arg(long, default_value_t = 0)]
        from: u64,
        #[command(flatten)]
        load: Common,
    },
}

#[derive(Debug, Args)]
struct Written {
    /// Patients to write to, in turn
    #[arg(long, default_value_t = 1000)]
    patients: u64,
}

/// Of whom.
#[derive(Debug, Args)]
struct Asked {
    /// The table that was imported, with columns id and domain, one patient a line
    #[arg(long, value_name = "FILE")]
    people: std::path::PathBuf,
    #[command(flatten)]
    load: Common,
}

/// A data set in a registry.
#[derive(Debug, Clone, Args)]
struct Set {
    /// DocumentEntries in all
    #[arg(long, default_value_t = 10_000)]
    entries: u64,
    /// DocumentEntries of each patient: the hits of a query
    #[arg(long, visible_alias = "hits", default_value_t = 25)]
    per_patient: u32,
    /// Number of the data set; those of different numbers share nothing
    #[arg(long, default_value_t = 1)]
    set: u32,
}

impl Set {
    fn data(&self) -> DataSet {
        let per_patient = self.per_patient.max(1);
        let patients = self.entries.div_ceil(u64::from(per_patient)).max(1);
        DataSet { number: self.set, patients, per_patient }
    }
}

#[derive(Debug, Clone, Args)]
struct Common {
    /// Clients, each with a connection of its own
    #[arg(long, short, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    clients: u32,

    /// Seconds to measure
    #[arg(long, short, default_value_t = 10)]
    duration: u64,

    /// Requests to measure, instead of seconds
    #[arg(long, short = 'n', conflicts_with = "duration")]
    requests: Option<u64>,

    /// Seconds before that, not measured
    #[arg(long, default_value_t = 2)]
    warm_up: u64,

    /// Threads of the driver
    #[arg(long, default_value_t = 1)]
    threads: usize,

    /// Which documents and patients are drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Assigning authority of the bench's patients
    #[arg(long, value_name = "OID", default_value = PATIENT_AUTHORITY)]
    authority: String,

    /// repositoryUniqueId named in metadata, and asked by ITI-43
    #[arg(long, value_name = "OID", default_value = REPOSITORY_OID)]
    repository: String,

    #[command(flatten)]
    user: User,

    /// Words that say what is measured, such as "SQLite, durable, audit"
    #[arg(long)]
    label: Option<String>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    endpoint: Endpoint,
}

impl Common {
    fn plan(&self) -> Plan {
        Plan {
            clients: self.clients as usize,
            warm_up: Duration::from_secs(self.warm_up),
            until: match self.requests {
                Some(n) => Until::Requests(n),
                None => Until::Elapsed(Duration::from_secs(self.duration)),
            },
        }
    }

    fn run(&self, url: &str) -> Result<Run, Failure> {
        let assertion = self.user.assertion().map_err(|e| Failure::Usage(format!("{e:#}")))?;
        Ok(Run {
            id: (Uuid::new_v4().as_u128() >> 96) as u32,
            seed: self.seed,
            url: url.to_owned(),
            authority: self.authority.clone(),
            repository: self.repository.clone(),
            assertion,
        })
    }
}

/// Why there is nothing to report.
enum Failure {
    Usage(String),
    NotReached(String),
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let load = match &arguments.scenario {
        What::Iti42 { load, .. }
        | What::Iti41 { load, .. }
        | What::Iti18 { load, .. }
        | What::Iti43 { load, .. }
        | What::Iti57 { load, .. }
        | What::Overload { load, .. }
        | What::Load { load, .. } => load,
        What::Iti8 { asked, .. }
        | What::Iti9(asked)
        | What::Iti21(asked)
        | What::Iti45(asked)
        | What::Iti47(asked)
        | What::Iti78(asked)
        | What::Iti83(asked) => &asked.load,
        What::Gateway(measured) => return alone(measured),
        What::Handshakes(handshakes) => return shaken(handshakes),
        What::Population(table) => {
            return match table.write() {
                Ok(domains) => {
                    print!("{domains}");
                    ExitCode::SUCCESS
                }
                Err(error) => failed(&anyhow::Error::new(error)),
            };
        }
    };
    crate::config::tls::install_provider();
    // One thread by default: what the driver takes, the server beside it has not.
    let mut builder = match load.threads {
        0 | 1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.worker_threads(load.threads.max(1)).enable_all().build();
    let runtime = match runtime.context("the runtime cannot start") {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    match runtime.block_on(measure(&arguments.scenario, load)) {
        Ok(right) => ExitCode::from(u8::from(!right)),
        Err(Failure::Usage(sentence)) => {
            eprintln!("error: {sentence}");
            ExitCode::from(2)
        }
        Err(Failure::NotReached(sentence)) => {
            eprintln!("not reached: {sentence}");
            ExitCode::from(3)
        }
    }
}

/// A measurement that brings its own servers: the threads are theirs too.
fn alone(measured: &gateway::Measured) -> ExitCode {
    crate::config::tls::install_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = runtime
        .context("the runtime cannot start")
        .and_then(|runtime| runtime.block_on(gateway::run(measured)));
    match done {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

async fn measure(what: &What, load: &Common) -> Result<bool, Failure> {
    match what {
        What::Iti42 { bytes, written, .. } => {
            let target = target(&load.endpoint, Transaction::Iti42)?;
            let bytes = usize::try_from(*bytes).unwrap_or(usize::MAX).min(4 << 20);
            let scenario = Register::new(load.run(&target.url)?, written.patients, bytes);
            reported("ITI-42", scenario, target, load, load.plan()).await
        }
        What::Iti41 { size, written, .. } => {
            let target = target(&load.endpoint, Transaction::Iti41)?;
            let run = load.run(&target.url)?;
            let documents = Arc::new(Documents::new(run.id, *size));
            let scenario =
                Provide::new(run, written.patients, documents, u64::MAX).map_err(Failure::Usage)?;
            reported(&format!("ITI-41 of {size} octets"), scenario, target, load, load.plan()).await
        }
        What::Iti18 { query, set, .. } => {
            let target = target(&load.endpoint, Transaction::Iti18)?;
            let scenario = Find::new(load.run(&target.url)?, set.data(), *query);
            let (each, all) = (set.per_patient, set.entries);
            let name = format!("ITI-18 {query:?}, patients of {each} entries, {all} entries");
            reported(&name, scenario, target, load, load.plan()).await
        }
        What::Iti43 { size, documents: count, provide_url, .. } => {
            let at = match provide_url {
                Some(url) => Endpoint { url: url.clone(), ..load.endpoint.clone() },
                None => load.endpoint.beside(Transaction::Iti41),
            };
            let providing = target(&at, Transaction::Iti41)?;
            let run = load.run(&providing.url)?;
            let documents = Arc::new(Documents::new(run.id, *size));
            let provide = Provide::new(run.clone(), 10, documents.clone(), *count).map_err(Failure::Usage)?;
            if !prepared(provide, providing).await? {
                eprintln!("error: the documents to retrieve could not be provided");
                return Ok(false);
            }
            let target = target(&load.endpoint, Transaction::Iti43)?;
            let run = Run { url: target.url.clone(), ..run };
            let scenario = Retrieve::new(run, documents, *count).map_err(Failure::Usage)?;
            reported(&format!("ITI-43 of {size} octets"), scenario, target, load, load.plan()).await
        }
        What::Iti57 { documents, register_url, written, .. } => {
            let at = match register_url {
                Some(url) => Endpoint { url: url.clone(), ..load.endpoint.clone() },
                None => load.endpoint.beside(Transaction::Iti42),
            };
            let registering = target(&at, Transaction::Iti42)?;
            let target = target(&load.endpoint, Transaction::Iti57)?;
            let scenario = Revise::new(load.run(&target.url)?, written.patients, *documents);
            if !prepared(scenario.originals(), registering).await? {
                eprintln!("error: the documents to update could not be registered");
                return Ok(false);
            }
            reported("ITI-57, a new version", scenario, target, load, load.plan()).await
        }
        What::Iti8 { event, asked } => patients(Transaction::Iti8, *event, asked).await,
        What::Iti9(asked) => patients(Transaction::Iti9, Event::A08, asked).await,
        What::Iti21(asked) => patients(Transaction::Iti21, Event::A08, asked).await,
        What::Iti45(asked) => patients(Transaction::Iti45, Event::A08, asked).await,
        What::Iti47(asked) => patients(Transaction::Iti47, Event::A08, asked).await,
        What::Iti78(asked) => patients(Transaction::Iti78, Event::A08, asked).await,
        What::Iti83(asked) => patients(Transaction::Iti83, Event::A08, asked).await,
        // They ask nobody anything, or were done before.
        What::Population(_) | What::Gateway(_) | What::Handshakes(_) => Ok(true),
        What::Overload { shape, set, .. } => {
            let target = target(&load.endpoint, Transaction::Iti18)?;
            let scenario = Find::new(load.run(&target.url)?, set.data(), Query::FindDocuments);
            let name = format!("ITI-18 FindDocuments, patients of {} entries", set.per_patient);
            overload::run(&name, scenario, target, shape, load.label.as_deref(), load.json)
                .await
                .map_err(Failure::NotReached)
        }
        What::Load { set, from, .. } => {
            let target = target(&load.endpoint, Transaction::Iti42)?;
            let scenario = Load::new(load.run(&target.url)?, set.data(), *from);
            let plan = Plan { warm_up: Duration::ZERO, until: Until::Done, ..load.plan() };
            let name = format!("load by ITI-42, {} entries a submission", set.per_patient);
            reported(&name, scenario, target, load, plan).await
        }
    }
}

fn shaken(handshakes: &handshakes::Handshakes) -> ExitCode {
    crate::config::tls::install_provider();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(|e| e.to_string()).and_then(|runtime| runtime.block_on(handshakes.run())) {
        Ok(right) => ExitCode::from(u8::from(!right)),
        Err(sentence) => {
            eprintln!("error: {sentence}");
            ExitCode::from(3)
        }
    }
}

async fn patients(transaction: Transaction, event: Event, asked: &Asked) -> Result<bool, Failure> {
    let load = &asked.load;
    let target = target(&load.endpoint, transaction)?;
    let people = People::open(&asked.people).map_err(Failure::Usage)?;
    people::checked(&people).map_err(|why| Failure::Usage(format!("{}: {why}", asked.people.display())))?;
    let count = people.len();
    let what = match transaction {
        Transaction::Iti8 => format!(" {event:?}"),
        _ => String::new(),
    };
    let name = format!("{}{what}, patients of a table of {count}", transaction.row().code);
    let scenario = Patients { run: load.run(&target.url)?, transaction, event, people };
    reported(&name, scenario, target, load, load.plan()).await
}

/// Sends what must be there before; whether all of it was taken.
async fn prepared<S: Scenario>(scenario: S, target: Arc<Target>) -> Result<bool, Failure> {
    let plan = Plan { clients: 4, warm_up: Duration::ZERO, until: Until::Done };
    let done = drive(Arc::new(scenario), target, plan, None).await.map_err(Failure::NotReached)?;
    for (sentence, count) in &done.errors {
        eprintln!("error ({count}): {}", table::line(sentence));
    }
    Ok(done.error_count() == 0)
}

fn target(endpoint: &Endpoint, transaction: Transaction) -> Result<Arc<Target>, Failure> {
    Target::new(endpoint, transaction).map(Arc::new).map_err(Failure::Usage)
}

/// Runs, prints, and says whether all answers were right.
async fn reported<S: Scenario>(
    name: &str,
    scenario: S,
    target: Arc<Target>,
    load: &Common,
    plan: Plan,
) -> Result<bool, Failure> {
    let progress: Option<fn(u64)> = (!load.json).then_some(|done| eprintln!("  {done} requests answered"));
    let outcome = drive(Arc::new(scenario), target.clone(), plan.clone(), progress)
        .await
        .map_err(Failure::NotReached)?;
    let report = Report { name, target: &target, load, plan: &plan, outcome: &outcome };
    let text = if load.json { report.json() } else { report.text() };
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(outcome.error_count() == 0 && outcome.warm_up_errors == 0)
}

struct Report<'a> {
    name: &'a str,
    target: &'a Target,
    load: &'a Common,
    plan: &'a Plan,
    outcome: &'a Outcome,
}

impl Report<'_> {
    fn per_second(&self, count: u64) -> f64 {
        let seconds = self.outcome.elapsed.as_secs_f64();
        if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
    }

    fn quantiles(&self) -> [(&'static str, Duration); 6] {
        let latency = &self.outcome.latency;
        [
            ("mean", latency.mean()),
            ("p50", latency.quantile(0.5)),
            ("p90", latency.quantile(0.9)),
            ("p99", latency.quantile(0.99)),
            ("p99.9", latency.quantile(0.999)),
            ("max", latency.max()),
        ]
    }

    fn text(&self) -> String {
        let o = self.outcome;
        let transport = if self.target.is_tls() { "TLS" } else { "plain" };
        let mut out = format!(
            "{}\n  to         {}, {transport}\n  clients    {}, closed loop, driver threads {}\n",
            self.name,
            self.target.url,
            self.plan.clients,
            self.load.threads.max(1)
        );
        if let Some(label) = &self.load.label {
            out.push_str(&format!("  label      {label}\n"));
        }
        out.push_str(&format!(
            "  measured   {:.1} s after {} s of warm-up\n",
            o.elapsed.as_secs_f64(),
            self.plan.warm_up.as_secs()
        ));
        out.push_str(&format!(
            "  answers    {} right, {} wrong ({} more in warm-up)\n",
            o.latency.count(),
            o.error_count(),
            o.warm_up_errors
        ));
        out.push_str(&format!(
            "  throughput {:.1} /s, sent {:.2} MB/s, received {:.2} MB/s\n  latency  ",
            self.per_second(o.latency.count()),
            self.per_second(o.sent) / 1e6,
            self.per_second(o.received) / 1e6
        ));
        for (name, value) in self.quantiles() {
            out.push_str(&format!("  {name} {:.3} ms", value.as_secs_f64() * 1e3));
        }
        out.push('\n');
        if o.stopped_early {
            out.push_str("  stopped early: too many errors\n");
        }
        for (sentence, count) in &o.errors {
            out.push_str(&format!("  wrong      {count} × {}\n", table::line(sentence)));
        }
        out
    }

    fn json(&self) -> String {
        let o = self.outcome;
        let mut latency = serde_json::Map::new();
        for (name, value) in self.quantiles() {
            latency.insert(name.to_owned(), (value.as_micros() as u64).into());
        }
        let out = serde_json::json!({
            "scenario": self.name,
            "url": self.target.url,
            "tls": self.target.is_tls(),
            "label": self.load.label,
            "clients": self.plan.clients,
            "driverThreads": self.load.threads.max(1),
            "warmUpSeconds": self.plan.warm_up.as_secs(),
            "measuredSeconds": o.elapsed.as_secs_f64(),
            "right": o.latency.count(),
            "wrong": o.error_count(),
            "wrongInWarmUp": o.warm_up_errors,
            "errors": o.errors,
            "stoppedEarly": o.stopped_early,
            "perSecond": self.per_second(o.latency.count()),
            "sentBytesPerSecond": self.per_second(o.sent),
            "receivedBytesPerSecond": self.per_second(o.received),
            "latencyMicroseconds": latency,
        });
        format!("{out:#}\n")
    }
}

/// Reads `20KiB`, `100MB` or plain octets.
fn size(text: &str) -> Result<u64, String> {
    const UNITS: &[(&str, u64)] = &[
        ("", 1),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
    ];
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit =
        UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim())).map(|(_, factor)| *factor);
    number
        .parse::<u64>()
        .ok()
        .zip(unit)
        .and_then(|(number, unit)| number.checked_mul(unit))
        .ok_or_else(|| "write a size such as 20KiB, 100MB or 4096".to_owned())
}

#[cfg(test)]
mod tests;
