//! `chiren bench gateway`: what the gateway itself costs. Everything is in one process: communities that answer at once,
//! or after a time, and a real gateway with a database of its own in front of them.

mod community;
mod crowd;
mod passing;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use futures_util::future::join_all;
use serde_json::json;

use self::community::{Community, Way};
use super::histogram::Histogram;
use crate::app::Running;
use crate::config::{
    CodeCheck, CommunityConfig, Config, EndpointConfig, ListenerConfig, PeerConfig, Profile, Role, TlsMode,
};
use crate::model::community::CorrelateBy;
use crate::model::ebrim::Slot;
use crate::model::identity;
use crate::model::patient::Patient;
use crate::model::query::{AdhocQueryRequest, QUERIES, QueryId, ReturnType, values};
use crate::model::transaction::Transaction;
use crate::peer::http::Client;
use crate::peer::soap::{Call, Discard};
use crate::server::clock::Clock;
use crate::service::context::time_uuid;
use crate::store::db::DbError;
use crate::store::mpi::correlation::{self, Link};
use crate::store::mpi::person::Secret;
use crate::store::mpi::review::State;
use crate::store::patient;
use crate::wire::ebxml::query;

const HOME: &str = "urn:oid:2.999.392.100";
const AUTHORITY: &str = "2.999.392.100.2";
const PATIENT: &str = "1001^^^&2.999.392.100.2&ISO";
/// A deadline that nobody meets.
const PATIENT_MS: u64 = 60_000;
const REPOSITORY: &str = "2.999.392.100.3";

/// What is measured, and how much of it.
#[derive(Debug, Args)]
pub struct Measured {
    /// How many communities, a measurement each
    #[arg(long, value_delimiter = ',', default_value = "1,10,50")]
    communities: Vec<usize>,

    /// Milliseconds that each community thinks; the gateway's own part is what an answer takes beyond them
    #[arg(long, default_value_t = 50)]
    think: u64,

    /// Queries, one after another, of each measurement
    #[arg(long, default_value_t = 200)]
    queries: u64,

    /// Clients at a time, for the throughput
    #[arg(long, default_value_t = 16)]
    clients: usize,

    /// Seconds of the throughput
    #[arg(long, default_value_t = 5)]
    duration: u64,

    /// Size of the document that passes through; 0: none
    #[arg(long, default_value = "1GB", value_parser = super::size)]
    document: u64,

    /// Instead: of each number of communities one hangs, one resets and one drips, and so many queries are under way at
    /// any time for `--duration`: how long after the deadline answers come, what of memory and sockets is held
    #[arg(long, value_name = "QUERIES")]
    crowd: Option<usize>,

    /// Milliseconds after which an answer is made of what came, with `--crowd`
    #[arg(long, default_value_t = 4000)]
    deadline: u64,

    /// Words that say what is measured
    #[arg(long)]
    label: Option<String>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A gateway before its communities.
struct Stage {
    running: Running,
    communities: Vec<Community>,
    at: SocketAddr,
    _dir: tempfolder::Folder,
}

/// A folder that goes with the measurement.
mod tempfolder {
    use std::path::{Path, PathBuf};

    pub struct Folder(PathBuf);

    impl Folder {
        pub fn new() -> std::io::Result<Self> {
            let path = std::env::temp_dir().join(format!("chiren-bench-{}", uuid::Uuid::new_v4().simple()));
            std::fs::create_dir_all(&path)?;
            Ok(Self(path))
        }

        pub fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            // What cannot be removed now the system removes some day.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

fn home(n: usize) -> String {
    format!("urn:oid:2.999.392.{}", 200 + n)
}

impl Stage {
    async fn set(ways: &[Way], think: Duration, deadline: u64) -> anyhow::Result<Self> {
        let mut communities = vec![];
        for (n, way) in ways.iter().enumerate() {
            communities.push(Community::open(&home(n), *way, think).await?);
        }
        let addresses: Vec<_> = communities.iter().map(|c| c.address).collect();
        let (running, at, dir) = network(HOME, AUTHORITY, REPOSITORY, |config| {
            config.gateway.deadline_ms = deadline;
            config.community = addresses.iter().enumerate().map(|(n, at)| neighbour(n, *at)).collect();
        })
        .await?;
        correlated(&running, communities.len()).await.context("the correlations")?;
        Ok(Self { running, communities, at, _dir: dir })
    }

    async fn end(self) {
        self.running.drain().await;
    }
}

/// The authority of the patient ids of the community `n`.
fn authority(n: usize) -> String {
    format!("2.999.392.{}", 10_000 + n)
}

/// Keeps who the patient is in each community, as XCPD would have told. Whoever asked again would learn nothing: they
/// answer no ITI-55.
async fn correlated(running: &Running, communities: usize) -> anyhow::Result<()> {
    let now = Clock::System.now().as_microsecond();
    let done = running.rooms.db.write::<_, DbError, _>(move |tx| {
        Box::pin(async move {
            let patient = patient::key(tx, PATIENT).await?.unwrap_or_default();
            for n in 0..communities {
                let link = Link {
                    id: time_uuid(Clock::System.now()).to_string(),
                    patient,
                    home: home(n),
                    domain: authority(n),
                    value: Secret(n.to_string()),
                    way: identity::Way::Xcpd,
                    state: State::Confirmed,
                    manual: false,
                    valid_until: Some(now + 86_400_000_000),
                    score: None,
                    created_at: now,
                    updated_at: now,
                };
                correlation::put(tx, &link).await?;
            }
            Ok(())
        })
    });
    Ok(done.await?)
}

/// What the directory says of the community `n`.
fn neighbour(n: usize, at: SocketAddr) -> CommunityConfig {
    CommunityConfig {
        id: format!("n{n}"),
        name: format!("network {n}"),
        home_community_id: home(n),
        patient_id_authority: Some(authority(n)),
        correlate: CorrelateBy::Xcpd,
        endpoint: EndpointConfig {
            iti38: Some(format!("http://{at}/xca/iti38")),
            iti39: Some(format!("http://{at}/xca/iti39")),
            iti55: Some(format!("http://{at}/xcpd/iti55")),
            ..EndpointConfig::default()
        },
        budget_ms: 60_000,
        at_once: 1000,
        // Those that fail are asked again and again.
        breaker_failures: 1_000_000,
        ..CommunityConfig::default()
    }
}

/// A network with one patient and a database of its own, serving; both gateways on.
async fn network(
    home: &str,
    authority: &str,
    repository: &str,
    change: impl FnOnce(&mut Config),
) -> anyhow::Result<(Running, SocketAddr, tempfolder::Folder)> {
    let dir = tempfolder::Folder::new()?;
    let mut config = Config::default();
    config.network.home_community_id = home.into();
    config.network.patient_id_authority = authority.into();
    config.network.allow_example_oids = true;
    config.listener = vec![ListenerConfig {
        name: "soap".into(),
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        role: Role::Soap,
        tls: TlsMode::None,
        max_connections_per_address: 10_000,
        ..ListenerConfig::default()
    }];
    config.repository.unique_id = repository.into();
    config.repository.documents = dir.path().join("documents");
    config.registry.rules = Profile::Ihe;
    config.registry.codes = CodeCheck::Off;
    config.database.url = format!("sqlite:{}", dir.path().join("chiren.db").display());
    config.gateway.enabled = true;
    config.limits.concurrent_requests = 1000;
    change(&mut config);
    let running = Running::start(&config, Clock::System, None).await?;
    let at = running.listening.address(Role::Soap).context("there is no listener")?;
    let patient = Patient {
        patient_id: format!("1001^^^&{authority}&ISO"),
        name_kanji: None,
        name_kana: None,
        name_romaji: None,
        birth_date: None,
        sex: None,
    };
    running.rooms.patients.add(vec![patient], Clock::System.now()).await.context("the patient")?;
    Ok((running, at, dir))
}

fn client(at: SocketAddr, path: &str) -> anyhow::Result<Client> {
    let peer = PeerConfig {
        url: format!("http://{at}{path}"),
        answer_mib: 1 << 20,
        answer_seconds: 600,
        ..PeerConfig::default()
    };
    Ok(Client::new(&peer)?)
}

/// FindDocuments of the patient.
fn find() -> AdhocQueryRequest {
    let urn = QUERIES.iter().find(|q| q.id == QueryId::FindDocuments).map_or("", |q| q.urn);
    let slot = |name: &str, value: String| Slot { name: name.into(), slot_type: None, values: vec![value] };
    let approved = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved";
    AdhocQueryRequest {
        return_type: ReturnType::LeafClass,
        id: urn.to_owned(),
        home: None,
        slots: vec![
            slot("$XDSDocumentEntryPatientId", values::quote(PATIENT)),
            slot("$XDSDocumentEntryStatus", values::quote_list(&[approved])),
        ],
    }
}

/// Asks the gateway, and holds the answer against what all communities gave.
async fn ask(client: &Client, expected: usize) -> anyhow::Result<()> {
    let call = Call::new(client, Transaction::Iti18, vec![], |w| query::write_request(w, &find()));
    let answer = call.send(client, &mut Discard).await?;
    let (_, result, errors) = answer.body(query::read_response)?;
    if !errors.is_empty() || result.len() != expected {
        bail!("{} objects and {} errors, not {expected} objects", result.len(), errors.len());
    }
    Ok(())
}

/// One after another, and many at a time.
struct Figures {
    communities: usize,
    own: Histogram,
    per_second: f64,
}

async fn measured(measured: &Measured, count: usize) -> anyhow::Result<Figures> {
    let think = Duration::from_millis(measured.think);
    let stage = Stage::set(&vec![Way::Well; count], think, PATIENT_MS).await?;
    let asker = client(stage.at, "/xca/iti18")?;
    for _ in 0..5 {
        ask(&asker, count).await?;
    }
    let mut own = Histogram::default();
    for _ in 0..measured.queries {
        stage.communities.iter().for_each(Community::begin);
        let begun = Instant::now();
        ask(&asker, count).await?;
        let took = begun.elapsed();
        // The slowest of them decides; what it took it says itself.
        let slowest = stage.communities.iter().map(Community::slowest).max().unwrap_or_default();
        own.record(took.saturating_sub(slowest));
    }
    stage.communities.iter().for_each(|c| c.think(Duration::ZERO));
    let until = Instant::now() + Duration::from_secs(measured.duration);
    let begun = Instant::now();
    let clients = (0..measured.clients.max(1)).map(|_| async {
        let asker = client(stage.at, "/xca/iti18")?;
        let mut done = 0_u64;
        while Instant::now() < until {
            ask(&asker, count).await?;
            done += 1;
        }
        anyhow::Ok(done)
    });
    let mut done = 0;
    for result in join_all(clients).await {
        done += result?;
    }
    let per_second = done as f64 / begun.elapsed().as_secs_f64();
    stage.end().await;
    Ok(Figures { communities: count, own, per_second })
}

/// Runs, and prints.
pub async fn run(what: &Measured) -> anyhow::Result<String> {
    if let Some(clients) = what.crowd {
        return crowd::run(what, clients).await;
    }
    let mut figures = vec![];
    for count in &what.communities {
        figures.push(measured(what, *count).await.with_context(|| format!("{count} communities"))?);
    }
    let passed = match what.document {
        0 => None,
        size => Some(passing::passed(size).await.context("the document")?),
    };
    let ms = |d: Duration| d.as_secs_f64() * 1e3;
    if what.json {
        let rows: Vec<_> = figures
            .iter()
            .map(|f| {
                json!({
                    "communities": f.communities,
                    "ownP50Ms": ms(f.own.quantile(0.5)),
                    "ownP99Ms": ms(f.own.quantile(0.99)),
                    "queriesPerSecond": f.per_second,
                })
            })
            .collect();
        let document = passed.map(|p| {
            json!({
                "octets": what.document,
                "directPerSecond": p.direct,
                "throughPerSecond": p.through,
                "ratio": p.ratio,
                "peakGrownKib": p.grown,
            })
        });
        let out =
            json!({ "label": what.label, "thinkMs": what.think, "queries": rows, "document": document });
        return Ok(format!("{out:#}\n"));
    }
    let mut out = format!("gateway, communities that think {} ms\n", what.think);
    if let Some(label) = &what.label {
        out.push_str(&format!("  label        {label}\n"));
    }
    for f in &figures {
        out.push_str(&format!(
            "  {:4} communities  own part p50 {:.3} ms, p99 {:.3} ms; {:.1} queries/s by {} clients\n",
            f.communities,
            ms(f.own.quantile(0.5)),
            ms(f.own.quantile(0.99)),
            f.per_second,
            what.clients
        ));
    }
    if let Some(p) = passed {
        out.push_str(&format!(
            "  ITI-39 of {} octets  direct {:.1} MB/s, through {:.1} MB/s ({:.2}), peak of memory + {} KiB\n",
            what.document,
            p.direct / 1e6,
            p.through / 1e6,
            p.ratio,
            p.grown
        ));
    }
    Ok(out)
}
