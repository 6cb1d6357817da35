//! The registry on SQLite, below its services and over a socket. Plain HTTP, no TLS.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, anyhow, ensure};
use bytes::Bytes;
use chiren::app::{Rooms, Running};
use chiren::config::registry::UnknownPatients;
use chiren::config::{Config, ListenerConfig, Role, TlsMode};
use chiren::model::caller::Caller;
use chiren::model::consent::{Action, Network, Permit, admit};
use chiren::model::ebrim::ObjectKind;
use chiren::model::metadata::{AvailabilityStatus, EntryType, Submission};
use chiren::model::query::{FindDocuments, Found, ReturnType, StoredQuery, View};
use chiren::model::transaction::Transaction;
use chiren::peer::soap::SOAP_TYPE;
use chiren::server::clock::Clock;
use chiren::service::context::Context;
use chiren::store::registry::find::{self, FindError, FindOptions};
use chiren::store::registry::row;
use chiren::wire::ebxml::query;
use chiren::wire::soap;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rusqlite::{Connection, params};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use super::wire::MESSAGE_ID;
use super::{compare, each, samples, submission};

const PATIENTS: usize = 160;
const PER_PATIENT: usize = 25;

pub fn run(runtime: &Runtime, registry: bool, socket: bool) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut config = config(dir.path());
    let start = |config: &Config| runtime.block_on(Running::start(config, Clock::System, None));
    let running = start(&config)?;
    for n in 0..PATIENTS {
        runtime.block_on(register(&running.rooms, submission(&patient(n), PER_PATIENT)))?;
    }
    if registry {
        find_documents(runtime, &running.rooms, dir.path())?;
        registration(runtime, &running.rooms, dir.path())?;
    }
    if !socket {
        return Ok(());
    }
    over_a_socket(runtime, &running, "audit on: one durable record an answer")?;
    runtime.block_on(running.drain());
    config.audit.queries = false;
    over_a_socket(runtime, &start(&config)?, "audit of queries off, nothing durable")
}

/// The defaults (rules, codes, audit, synced commits), one plain listener.
fn config(dir: &Path) -> Config {
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
    config.database.url = format!("sqlite:{}", dir.join("chiren.db").display());
    config
}

/// CX of a patient; all of one length.
fn patient(n: usize) -> String {
    format!("{:06}^^^&{}&ISO", n, samples::AUTHORITY)
}

async fn register(rooms: &Rooms, submission: Submission) -> anyhow::Result<()> {
    let context = Context {
        transaction: Transaction::Iti42,
        caller: Caller::default(),
        request_id: "bench".into(),
        received_at: Timestamp::now(),
        elsewhere: None,
        exchange: std::sync::Arc::default(),
    };
    let registry = rooms.registry.as_ref().context("a registry")?;
    let done = registry.register(&context, submission, vec![], vec![]).await;
    done.map(drop).map_err(|e| anyhow!("{e:?}"))
}

type Question = Arc<(StoredQuery, FindOptions, Permit)>;

fn question(patient: String) -> Question {
    let query = FindDocuments {
        patient_ids: vec![patient],
        status: vec![AvailabilityStatus::Approved],
        entry_types: vec![EntryType::Stable],
        ..FindDocuments::default()
    };
    let options =
        FindOptions { return_type: ReturnType::LeafClass, limit: 1000, as_of: None, view: View::default() };
    let permit = admit(&Arc::new(Network::default()), &Caller::default(), Action::Query, 0);
    Arc::new((StoredQuery::FindDocuments(query), options, permit))
}

fn find_documents(runtime: &Runtime, rooms: &Rooms, dir: &Path) -> anyhow::Result<()> {
    let questions: Vec<Question> = (0..PATIENTS).map(|n| question(patient(n))).collect();
    let mut turn = questions.iter().cycle().cloned();
    let find = || {
        let question = turn.next().expect("questions");
        let outcome = runtime.block_on(rooms.db.read::<_, FindError, _>(move |tx| {
            let question = question.clone();
            Box::pin(async move {
                let (query, options, permit) = &*question;
                find::run(tx, query, options, permit).await
            })
        }));
        match outcome.expect("an answer").found {
            Found::Objects(objects) => assert_eq!(objects.len(), PER_PATIENT),
            Found::Refs(_) => unreachable!("LeafClass was asked for"),
        }
    };

    let plain = Connection::open(dir.join("chiren.db"))?;
    plain.execute_batch("PRAGMA cache_size = -16384; PRAGMA query_only = 1")?;
    let row::Table { from, object, .. } = row::table(ObjectKind::DocumentEntry);
    let sql = format!(
        "SELECT {object} FROM {from} WHERE d.patient_key = (SELECT p.patient_key FROM patient p \
         WHERE p.pid = ?1) AND d.status IN (?2) AND d.entry_type IN (?3) LIMIT ?4"
    );
    let mut statement = plain.prepare(&sql)?;
    let patients: Vec<String> = (0..PATIENTS).map(patient).collect();
    let mut turn = patients.iter().cycle();
    let select = || {
        type Columns = (i64, String, Option<String>, String, i64, i64);
        let read = |r: &rusqlite::Row<'_>| -> rusqlite::Result<Columns> {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?))
        };
        let rows = statement.query_map(params![turn.next(), 1, 1, 1001], read).expect("rows");
        let rows: Vec<Columns> = rows.collect::<Result<_, _>>().expect("rows");
        assert_eq!(rows.len(), PER_PATIENT);
        rows
    };
    let path = format!(
        "FindDocuments in the store, {PER_PATIENT} hits of {} entries, SQLite, no audit",
        PATIENTS * PER_PATIENT
    );
    compare(&path, each(find), "the same SELECT by rusqlite", each(select), 0);
    Ok(())
}

fn registration(runtime: &Runtime, rooms: &Rooms, dir: &Path) -> anyhow::Result<()> {
    let one = || submission("900000^^^&2.999.392.1.2&ISO", 1);
    let write = |times: usize| {
        let submissions: Vec<Submission> = (0..times).map(|_| one()).collect();
        let begun = Instant::now();
        for submission in submissions {
            runtime.block_on(register(rooms, submission)).expect("registered");
        }
        begun.elapsed()
    };
    let plain = Connection::open(dir.join("plain.db"))?;
    plain.execute_batch(
        "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
         PRAGMA wal_autocheckpoint = 0; CREATE TABLE entry (body TEXT NOT NULL) STRICT",
    )?;
    let body = serde_json::to_string(&one().document_entries)?;
    let mut statement = plain.prepare("INSERT INTO entry (body) VALUES (?1)")?;
    compare(
        "one registration of 1 entry in the service: judged, 23 trees, audit record; SQLite, durable",
        write,
        "INSERT of its JSON and commit, synchronous=FULL; durable",
        each(|| statement.execute([&body]).expect("inserted")),
        0,
    );
    Ok(())
}

fn over_a_socket(runtime: &Runtime, running: &Running, audit: &str) -> anyhow::Result<()> {
    let address = running.listening.address(Role::Soap).context("a SOAP listener")?;
    let requests: Vec<Bytes> = (0..PATIENTS).map(|n| request(&patient(n))).collect();
    let mut ours = runtime.block_on(connect(address))?;
    let mut answers = vec![];
    for request in &requests {
        answers.push(runtime.block_on(ask(&mut ours, request.clone()))?);
    }
    let answer = answers.first().context("an answer")?.clone();
    let hits = memchr::memmem::find_iter(&answer, "<rim:ExtrinsicObject ").count();
    ensure!(hits == PER_PATIENT, "{hits} hits");
    let mut bare = runtime.block_on(async { connect(serve_bare(answer.clone()).await?).await })?;

    let mut turn = requests.iter().zip(&answers).cycle();
    let gateway = || {
        let (request, answer) = turn.next().expect("requests");
        let got = runtime.block_on(ask(&mut ours, request.clone())).expect("an answer");
        assert_eq!(got.len(), answer.len());
    };
    let plain = || {
        let got = runtime.block_on(ask(&mut bare, requests[0].clone())).expect("an answer");
        assert_eq!(got.len(), answer.len());
    };
    let path = format!("ITI-18 over a socket, 1 client, {PER_PATIENT} hits, plain HTTP, SQLite, {audit}");
    compare(&path, each(gateway), "bare hyper server, the same octets", each(plain), answer.len());
    Ok(())
}

fn request(patient: &str) -> Bytes {
    let action = Transaction::Iti18.row().request_action;
    let request = samples::find_documents(patient);
    let body = |w: &mut _| query::write_request(w, &request);
    soap::write_request(action, MESSAGE_ID, "http://localhost/", body).into()
}

type Client = client::SendRequest<Full<Bytes>>;

async fn connect(address: SocketAddr) -> anyhow::Result<Client> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = client::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn ask(client: &mut Client, body: Bytes) -> anyhow::Result<Bytes> {
    client.ready().await?;
    let request = Request::post(Transaction::Iti18.row().path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, SOAP_TYPE)
        .body(Full::new(body))?;
    let response = client.send_request(request).await?;
    ensure!(response.status() == StatusCode::OK, "{}", response.status());
    Ok(response.into_body().collect().await?.to_bytes())
}

/// Reads each request and answers the same octets.
async fn serve_bare(answer: Bytes) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = answer.clone();
                async move {
                    request.into_body().collect().await?;
                    Ok::<_, hyper::Error>(Response::new(Full::new(answer)))
                }
            });
            let _ = stream.set_nodelay(true);
            tokio::spawn(server::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(address)
}
