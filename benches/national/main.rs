//! The adapter to the national service, with the simulated service beside it in the same process: how many documents a
//! lane delivers, and what the adapter costs whoever publishes by ITI-41, with the line up, down, and the adapter off in
//! turns. `cargo bench --bench national`; what reaches the disk goes to `TMPDIR`.
//!
//! With the published definitions (`CHIREN_JP_CLINS`, otherwise beside the repository) each Bundle is checked before it
//! leaves; without them that is said.

#[allow(dead_code)]
#[path = "../../tests/it/support/samples.rs"]
mod samples;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use chiren::app::Running;
use chiren::cli::simulate::national::pki::Pki;
use chiren::cli::simulate::national::{Options, Running as Service, Simulator, Tls};
use chiren::config::national::{InsuredSource, Validation, Via};
use chiren::config::registry::UnknownPatients;
use chiren::config::{
    CodeCheck, Config, EgressConfig, ListenerConfig, PeerConfig, Profile, Role, TlsMode, TlsProfile,
};
use chiren::model::transaction::Transaction;
use chiren::server::clock::Clock;
use chiren::service::context::Context;
use chiren::service::national::operator::DeliveryState;
use chiren::wire::ebxml::submit;
use chiren::wire::mtom::write::Multipart;
use chiren::wire::xml::XmlWriter;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// As in the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const INSTITUTION: &str = "1319900018";
const LAB: &str = include_str!("../../tests/corpus/jp-clins/cases/good/g03-lab.json");
/// Documents of the rate.
const DOCUMENTS: usize = 600;
/// Turns, and documents of a turn.
const ROUNDS: usize = 20;
const TURN: usize = 25;

fn main() -> anyhow::Result<()> {
    if !std::env::args().any(|a| a == "--bench") {
        return Ok(());
    }
    chiren::config::tls::install_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime")?;
    runtime.block_on(async {
        rate().await?;
        latency().await
    })
}

/// The service, and where its certificates are.
async fn service(dir: &Path) -> anyhow::Result<Service> {
    let named = [INSTITUTION.to_owned()];
    let pki = Pki::prepare(&dir.join("pki"), &named, jiff::Timestamp::now())?;
    Simulator::start(Options { tls: Some(Tls::of(&pki)), ..Options::default() }).await
}

/// The folder of definitions, if it is at hand.
fn packages() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpus/jp-clins");
    let corpus = std::env::var_os("CHIREN_JP_CLINS").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    Some(corpus.join("definitions")).filter(|folder| folder.is_dir())
}

/// A gateway that sends to a port of the service; none: the adapter is off.
async fn gateway(dir: &Path, pki: &Path, port: Option<u16>) -> anyhow::Result<Gateway> {
    std::fs::create_dir_all(dir)?;
    let mut config = Config::default();
    config.network.home_community_id = samples::HOME.into();
    config.network.patient_id_authority = samples::AUTHORITY.into();
    config.network.allow_example_oids = true;
    config.listener = vec![ListenerConfig {
        name: "soap".into(),
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        role: Role::Soap,
        tls: TlsMode::None,
        ..ListenerConfig::default()
    }];
    config.repository.unique_id = samples::REPOSITORY.into();
    config.repository.documents = dir.join("documents");
    config.registry.unknown_patients = UnknownPatients::Accept;
    config.registry.rules = Profile::Ihe;
    config.registry.codes = CodeCheck::Off;
    config.database.url = format!("sqlite:{}", dir.join("chiren.db").display());
    let national = &mut config.national;
    national.enabled = port.is_some();
    national.insured_id = InsuredSource::Bundle;
    match packages() {
        Some(folder) => national.packages = vec![folder],
        None => national.validation = Validation::Off,
    }
    let peer = PeerConfig {
        url: format!("https://localhost:{}/", port.unwrap_or(1)),
        server_ca: vec![pki.join("authority.pem")],
        certificate: Some(pki.join(format!("{INSTITUTION}.pem"))),
        private_key: Some(pki.join(format!("{INSTITUTION}.key"))),
        tls_profile: TlsProfile::JpHigh12,
        ..PeerConfig::default()
    };
    let egress = EgressConfig { via: Via::Direct, peer: Some(peer), ..EgressConfig::default() };
    national.egress.insert(INSTITUTION.into(), egress);
    let running = Running::start(&config, Clock::System, None).await?;
    let address = running.listening.address(Role::Soap).context("a listener")?;
    Ok(Gateway { client: connect(address).await?, running, address })
}

struct Gateway {
    running: Running,
    address: SocketAddr,
    client: SendRequest<Full<bytes::Bytes>>,
}

async fn connect(address: SocketAddr) -> anyhow::Result<SendRequest<Full<bytes::Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (client, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// An ITI-41 of the nth laboratory report, each of another patient.
fn message(n: usize, address: SocketAddr) -> anyhow::Result<Request<Full<bytes::Bytes>>> {
    let mut s = samples::of_patient(samples::submission(), &format!("{n:06}^^^&{}&ISO", samples::AUTHORITY));
    let author = format!("試験病院^^^^^&1.2.392.200119.6.102&ISO^^^^{INSTITUTION}");
    let entry = &mut s.document_entries[0];
    for of in s.submission_set.author.iter_mut().chain(&mut entry.author) {
        of.author_institution = vec![author.clone()];
    }
    (entry.hash, entry.size, entry.repository_unique_id) = (None, None, None);
    entry.mime_type = "application/fhir+json".into();
    entry.format_code = Some(samples::code("jp:fhir:clins", "2.999.1", "CLINS"));
    let document = LAB.replace("ORDLAB-20250930-0001", &format!("LAB-{n}"));
    let mut w = XmlWriter::new();
    submit::write(&mut w, &s);
    let row = Transaction::Iti41.row();
    let envelope = format!(
        "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:a=\"http://www.w3.org/2005/08/addressing\"><s:Header><a:Action s:mustUnderstand=\"1\">{}</a:Action>\
         <a:MessageID>urn:uuid:{}</a:MessageID></s:Header><s:Body><xds:ProvideAndRegisterDocumentSetRequest \
         xmlns:xds=\"urn:ihe:iti:xds-b:2007\">{}<xds:Document id=\"DE\"><xop:Include \
         xmlns:xop=\"http://www.w3.org/2004/08/xop/include\" href=\"cid:doc@bench\"/></xds:Document>\
         </xds:ProvideAndRegisterDocumentSetRequest></s:Body></s:Envelope>",
        row.request_action,
        uuid::Uuid::new_v4(),
        w.finish()
    );
    let multipart = Multipart::fresh();
    let mut body = multipart.root_head().to_vec();
    body.extend_from_slice(envelope.as_bytes());
    body.extend_from_slice(&multipart.part_end());
    body.extend_from_slice(&multipart.part_head("doc@bench", "application/octet-stream"));
    body.extend_from_slice(document.as_bytes());
    body.extend_from_slice(&multipart.part_end());
    body.extend_from_slice(&multipart.closing());
    Ok(Request::post(row.path)
        .header(header::HOST, address.to_string())
        .header(header::CONTENT_TYPE, multipart.content_type(None))
        .body(Full::new(body.into()))?)
}

impl Gateway {
    /// Publishes, and how long the answer took.
    async fn publish(&mut self, n: usize) -> anyhow::Result<Duration> {
        let message = message(n, self.address)?;
        let begun = Instant::now();
        self.client.ready().await?;
        let answer = self.client.send_request(message).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        let took = begun.elapsed();
        let text = String::from_utf8_lossy(&body);
        ensure!(status.is_success() && text.contains("ResponseStatusType:Success"), "{status}: {text}");
        Ok(took)
    }

    /// Until so many deliveries are in a state. Counted, not read: the look is to cost little.
    async fn until(&self, state: DeliveryState, wanted: usize) -> anyhow::Result<()> {
        let Some(national) = &self.running.rooms.national else { return Ok(()) };
        let wanted = i64::try_from(wanted)?;
        let begun = Instant::now();
        loop {
            let lanes = national.lanes(Some(INSTITUTION)).await.map_err(|e| anyhow::anyhow!("{e:?}"))?;
            let counts = lanes.iter().flat_map(|l| &l.deliveries);
            let found: i64 = counts.filter(|(s, ..)| *s == state).map(|(_, n, _)| n).sum();
            if found >= wanted {
                return Ok(());
            }
            ensure!(begun.elapsed() < Duration::from_secs(300), "{found} of {wanted} {state:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// How many documents a second: decided and checked beside ITI-41, then delivered by one lane.
async fn rate() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let service = service(dir.path()).await?;
    let pki = dir.path().join("pki");
    let mut gateway = gateway(&dir.path().join("up"), &pki, Some(service.address.port())).await?;
    let national = gateway.running.rooms.national.clone().context("the adapter")?;
    let checked = if packages().is_some() { "checked" } else { "not checked: no definitions at hand" };
    println!("{DOCUMENTS} laboratory reports of {} octets, {checked}, four calls at a time\n", LAB.len());
    println!("| step | took | a second |\n| --- | --- | --- |");
    let said = |what: &str, took: Duration| {
        println!("| {what} | {took:.2?} | {:.0} |", DOCUMENTS as f64 / took.as_secs_f64());
    };
    let context = || Context::of_operator("bench", Some("bench"), jiff::Timestamp::now());
    let paused = national.pause(&context(), INSTITUTION, Some("bench")).await;
    ensure!(paused.is_ok_and(|done| done), "the lane is not paused");
    let begun = Instant::now();
    for n in 0..DOCUMENTS {
        gateway.publish(n).await?;
    }
    gateway.until(DeliveryState::Waiting, DOCUMENTS).await?;
    said("published and decided, the lane paused", begun.elapsed());
    let begun = Instant::now();
    let resumed = national.pause(&context(), INSTITUTION, None).await;
    ensure!(resumed.is_ok_and(|done| done), "the lane is not resumed");
    gateway.until(DeliveryState::Done, DOCUMENTS).await?;
    said("delivered, once resumed", begun.elapsed());
    let begun = Instant::now();
    for n in DOCUMENTS..2 * DOCUMENTS {
        gateway.publish(n).await?;
    }
    gateway.until(DeliveryState::Done, 2 * DOCUMENTS).await?;
    said("published, decided and delivered", begun.elapsed());
    ensure!(service.state()["Counts"]["Units"] == 2 * DOCUMENTS, "the service has something else");
    gateway.running.drain().await;
    println!();
    Ok(())
}

/// What ITI-41 takes, in turns.
async fn latency() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let service = service(dir.path()).await?;
    let pki = dir.path().join("pki");
    // Nobody listens there.
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let ways =
        [("adapter off", None), ("line up", Some(service.address.port())), ("line down", Some(closed))];
    let mut sides = vec![];
    for (name, port) in ways {
        let gateway = gateway(&dir.path().join(name.replace(' ', "-")), &pki, port).await?;
        sides.push((name, gateway, vec![]));
    }
    let states = [DeliveryState::Waiting, DeliveryState::Done, DeliveryState::Waiting];
    for round in 0..=ROUNDS {
        for ((_, gateway, took), state) in sides.iter_mut().zip(states) {
            for n in 0..TURN {
                let one = gateway.publish(round * TURN + n).await?;
                // The first round warms up.
                if round > 0 {
                    took.push(one);
                }
            }
            gateway.until(state, (round + 1) * TURN).await?;
        }
    }
    println!("ITI-41 of {TURN} documents in turns, {ROUNDS} turns each\n");
    println!("| adapter | p50 | p95 | p50 to off |\n| --- | --- | --- | --- |");
    let mut off = None;
    for (name, gateway, took) in &mut sides {
        took.sort();
        let at = |share: usize| took[took.len() * share / 100];
        let p50 = at(50).as_secs_f64();
        let base = *off.get_or_insert(p50);
        println!("| {name} | {:.2?} | {:.2?} | {:.2} |", at(50), at(95), p50 / base);
        let _ = gateway;
    }
    for (_, gateway, _) in sides {
        gateway.running.drain().await;
    }
    Ok(())
}
