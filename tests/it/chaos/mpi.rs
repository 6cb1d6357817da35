//! Death without warning, under the index of patients. Hospitals feed over MLLP (ITI-8, ITI-30), SOAP (ITI-44) and FHIR
//! (ITI-104), and merge ids; at a moment chosen at random the gateway or its PostgreSQL is killed. After each death
//! every id says what was acknowledged last, or what was under way, whole; nobody else is there; persons, the
//! registry's patients and what finds identities agree; and at the end each change is recorded exactly once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chiren::app::Rooms;
use chiren::config::{Config, Role};
use chiren::model::audit::Outcome;
use chiren::model::identity::{DomainId, PersonName, Phone, PhoneUse};
use chiren::server::clock::Clock;
use chiren::store::db::{Db, DbError};
use chiren::store::mpi::identity::{self, Status};
use chiren::synthetic::SplitMix64;
use chiren::wire::hl7v2::mllp::frame;
use chiren::wire::hl7v3::{Ii, ack, feed};
use chiren::wire::soap::{SoapResponse, read_response};
use chiren::wire::xml::tree;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::model::Told;
use super::{Victim, number, rounds};
use crate::mpi_v3;
use crate::support::mllp::{HOSPA, HOSPB, Mllp};
use crate::support::postgres::Server;
use crate::support::process::{Process, run, write_config};
use crate::support::raw::{Raw, RawAnswer, connect, post};
use crate::support::soap::{SIMPLE, envelope};
use crate::support::{gateway, mllp};

/// How a hospital speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    V2,
    V3,
    Fhir,
}

const CLIENTS: [Line; 8] =
    [Line::V2, Line::V2, Line::V2, Line::V2, Line::V3, Line::V3, Line::Fhir, Line::Fhir];
/// Answers in a round after which death comes, at most.
const DEADLY: u64 = 50;
const REPORT: usize = 25;

/// What is known of an id: the telephone it was last fed with, how often, and whether it was merged away.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    mark: String,
    versions: i64,
    merged: bool,
}

/// What a message changes.
#[derive(Debug, Clone)]
enum Deed {
    Feed { id: DomainId, mark: String },
    Merge { into: DomainId, from: DomainId },
}

/// A hospital's patients, as its client knows them.
struct Desk {
    client: usize,
    line: Line,
    next: usize,
    known: BTreeMap<DomainId, Known>,
    open: Option<Deed>,
    /// By transaction: records that must be in the trail.
    records: BTreeMap<&'static str, usize>,
    acknowledged: usize,
}

/// The door to the gateway.
enum Door {
    Mllp(Mllp),
    Http(Raw<TcpStream>),
}

const FAMILIES: [(&str, &str); 12] = [
    ("佐藤", "サトウ"),
    ("鈴木", "スズキ"),
    ("髙橋", "タカハシ"),
    ("田中", "タナカ"),
    ("渡邊", "ワタナベ"),
    ("五十嵐", "イガラシ"),
    ("宮崎", "ミヤザキ"),
    ("山本", "ヤマモト"),
    ("日野", "ヒノ"),
    ("右田", "ミギタ"),
    ("須藤", "スドウ"),
    ("芹沢", "セリザワ"),
];
const GIVENS: [(&str, &str); 8] = [
    ("花子", "ハナコ"),
    ("優子", "ユウコ"),
    ("太郎", "タロウ"),
    ("健一", "ケンイチ"),
    ("美咲", "ミサキ"),
    ("遥香", "ハルカ"),
    ("勇", "イサム"),
    ("京子", "キョウコ"),
];

/// Who bears an id: two hospitals' `n` are often one person, so that clients meet at the same persons.
fn somebody(
    desk: usize,
    n: usize,
) -> ((&'static str, &'static str), (&'static str, &'static str), String, &'static str) {
    let who = n * 2 + desk / 2 % 2;
    let birth = format!("19{:02}{:02}{:02}", 30 + who % 60, 1 + who / 7 % 12, 1 + who / 3 % 28);
    (FAMILIES[who % 12], GIVENS[who / 12 % 8], birth, if (who / 12).is_multiple_of(2) { "F" } else { "M" })
}

impl Desk {
    fn of(client: usize, line: Line) -> Self {
        let (known, records) = Default::default();
        Self { client, line, next: 0, known, open: None, records, acknowledged: 0 }
    }

    fn id(&self, n: usize) -> DomainId {
        let domain = if self.client.is_multiple_of(2) { HOSPA } else { HOSPB };
        DomainId { domain: domain.into(), value: format!("{}-{n:06}", self.client) }
    }

    /// Something to do: a new patient, something new of a known one, or a merge.
    fn next(&mut self, random: &mut SplitMix64) -> Deed {
        let active: Vec<&DomainId> = self.known.iter().filter(|(_, k)| !k.merged).map(|(id, _)| id).collect();
        let die = random.below(10);
        if active.len() > 3 && die == 0 {
            let from = (*random.pick(&active)).clone();
            let into = active.iter().find(|id| ***id != from).expect("another");
            return Deed::Merge { into: (*into).clone(), from };
        }
        let mark = format!("090{:08}", random.below(100_000_000));
        if active.len() > 3 && die < 5 {
            return Deed::Feed { id: (*random.pick(&active)).clone(), mark };
        }
        self.next += 1;
        Deed::Feed { id: self.id(self.next), mark }
    }

    /// Its transaction, and how many records it leaves.
    fn leaves(&self, deed: &Deed) -> (&'static str, usize) {
        match (self.line, deed) {
            (Line::V2, Deed::Feed { id, .. }) if self.known.contains_key(id) => ("ITI-8", 1),
            (Line::V2, Deed::Feed { .. }) => ("ITI-30", 1),
            (Line::V2, Deed::Merge { .. }) => ("ITI-30", 2),
            (Line::V3, Deed::Feed { .. }) => ("ITI-44", 1),
            (Line::V3, Deed::Merge { .. }) => ("ITI-44", 2),
            (Line::Fhir, Deed::Feed { .. }) => ("ITI-104", 1),
            (Line::Fhir, Deed::Merge { .. }) => ("ITI-104", 2),
        }
    }

    fn settle(&mut self, deed: Deed) {
        let (transaction, records) = self.leaves(&deed);
        *self.records.entry(transaction).or_default() += records;
        match deed {
            Deed::Feed { id, mark } => {
                let versions = self.known.get(&id).map_or(0, |k| k.versions);
                self.known.insert(id, Known { mark, versions: versions + 1, merged: false });
            }
            Deed::Merge { from, .. } => self.known.get_mut(&from).expect("known").merged = true,
        }
    }

    fn hear(&mut self, deed: Deed, told: Told) {
        match told {
            Told::Done => {
                self.acknowledged += 1;
                self.settle(deed);
            }
            Told::NotDone => {}
            Told::Nothing => self.open = Some(deed),
        }
    }

    /// The deed as its line says it.
    fn message(&self, deed: &Deed, random: &mut SplitMix64) -> Vec<u8> {
        let (id, mark) = match deed {
            Deed::Feed { id, mark } => (id, mark.as_str()),
            Deed::Merge { into, .. } => (into, ""),
        };
        let n: usize = id.value.split_once('-').expect("ours").1.parse().expect("a number");
        let ((family, family_kana), (given, given_kana), birth, sex) = somebody(self.client, n);
        match self.line {
            Line::V2 => {
                let event = match deed {
                    Deed::Merge { .. } => "A40",
                    Deed::Feed { .. } if self.known.contains_key(id) => "A08",
                    Deed::Feed { .. } => "A28",
                };
                let cx = |id: &DomainId| format!("{}^^^&{}&ISO", id.value, id.domain);
                let rest = match deed {
                    Deed::Merge { from, .. } => format!("||A^B\rMRG|{}\r", cx(from)),
                    Deed::Feed { .. } => format!(
                        "||{family}^{given}^^^^^L^I~{family_kana}^{given_kana}^^^^^L^P||{birth}|{sex}|||||^PRN^PH^^^^^^^^^{mark}\rPV1|1|N\r"
                    ),
                };
                let text = format!(
                    "MSH|^~\\&|HIS|X|MPI|N|20250401||ADT^{event}|C{:016x}|P|2.5||||||UNICODE UTF-8\rEVN||20250401\r\
                     PID|1||{}{rest}",
                    random.next_u64(),
                    cx(id)
                );
                frame(text.as_bytes())
            }
            Line::V3 => {
                let name = |family: &str, given: &str| PersonName {
                    family: family.into(),
                    given: given.into(),
                    ..PersonName::default()
                };
                let of = chiren::model::identity::Demographics {
                    names: Some(vec![name(family, given), name(family_kana, given_kana)]),
                    birth_date: Some(birth),
                    sex: Some(sex.into()),
                    phones: (!mark.is_empty())
                        .then(|| vec![Phone { number: mark.into(), usage: PhoneUse::Home }]),
                    ..Default::default()
                };
                let prior = match deed {
                    Deed::Merge { from, .. } => Some(Ii::with(&from.domain, &from.value)),
                    Deed::Feed { .. } => None,
                };
                let interaction = match deed {
                    Deed::Merge { .. } => feed::RESOLVED,
                    Deed::Feed { .. } if self.known.contains_key(id) => feed::REVISED,
                    Deed::Feed { .. } => feed::ADDED,
                };
                let ids = [Ii::with(&id.domain, &id.value)];
                let message = mpi_v3::message(interaction, &ids, &of, prior.as_ref());
                let action = format!("urn:hl7-org:v3:{interaction}");
                post("/mpi/iti44", SIMPLE, envelope(&action, &message).as_bytes())
            }
            Line::Fhir => {
                let of = match deed {
                    Deed::Merge { from, .. } => from,
                    Deed::Feed { .. } => id,
                };
                let identifier =
                    |id: &DomainId| json!({ "system": format!("urn:oid:{}", id.domain), "value": id.value });
                let mut resource = json!({
                    "resourceType": "Patient",
                    "identifier": [identifier(of)],
                    "name": [{ "family": family, "given": [given] }, { "family": family_kana, "given": [given_kana] }],
                    "gender": if sex == "F" { "female" } else { "male" },
                    "birthDate": format!("{}-{}-{}", &birth[..4], &birth[4..6], &birth[6..]),
                    "telecom": [{ "system": "phone", "value": mark, "use": "home" }],
                });
                if let Deed::Merge { into, .. } = deed {
                    resource["active"] = json!(false);
                    resource["telecom"] = json!([]);
                    resource["link"] =
                        json!([{ "type": "replaced-by", "other": { "identifier": identifier(into) } }]);
                }
                let body = resource.to_string();
                format!(
                    "PUT /fhir/Patient?identifier=urn:oid:{}%7C{} HTTP/1.1\r\nHost: localhost\r\n\
                     Content-Type: application/fhir+json\r\nContent-Length: {}\r\n\r\n{body}",
                    of.domain,
                    of.value,
                    body.len()
                )
                .into_bytes()
            }
        }
    }
}

impl Door {
    async fn open(process: &Process, line: Line) -> Self {
        match line {
            Line::V2 => Door::Mllp(Mllp::connect(process.listening("Mllp")).await),
            Line::V3 => Door::Http(connect(process.address).await),
            Line::Fhir => Door::Http(connect(process.listening("Fhir")).await),
        }
    }

    /// Sends a message; what its answer promises.
    async fn tell(&mut self, message: &[u8], line: Line, victim: Victim) -> Told {
        match self {
            Door::Mllp(mllp) => {
                let _ = mllp.stream.write_all(message).await;
                let Some(answer) = mllp.next().await else { return Told::Nothing };
                if answer.code == "AA" {
                    return Told::Done;
                }
                promise(&answer.code, &answer.text, victim)
            }
            Door::Http(raw) => {
                let Some(answer) = raw.exchange(message).await else { return Told::Nothing };
                match line {
                    Line::V3 => soap(&answer, victim),
                    _ if answer.status.is_success() => Told::Done,
                    _ => promise(answer.status.as_str(), &answer.text(), victim),
                }
            }
        }
    }
}

fn soap(answer: &RawAnswer, victim: Victim) -> Told {
    let text = answer.text();
    let doc = tree::parse(&text).expect("XML");
    let SoapResponse::Body { body, .. } = read_response(&doc).expect("SOAP") else {
        return promise("fault", &text, victim);
    };
    let acknowledgement = ack::read(body).expect("an acknowledgement");
    match acknowledgement.code.as_str() {
        "AA" => Told::Done,
        code => promise(code, &text, victim),
    }
}

/// What a refusal promises: that nothing was changed, or that nobody knows. Only a gateway that lacks its database may
/// refuse at all.
fn promise(code: &str, text: &str, victim: Victim) -> Told {
    let temporary = matches!(code, "AR" | "503") || text.contains("too much to do");
    assert!(temporary && victim == Victim::Database, "{code}: {text}");
    match text.contains("nothing was changed") || text.contains("too much to do") {
        true => Told::NotDone,
        false => Told::Nothing,
    }
}

#[derive(Default)]
struct Tally {
    acknowledged: usize,
    open: usize,
    done_unheard: usize,
    refused: usize,
    database_deaths: usize,
}

struct World {
    name: &'static str,
    file: std::path::PathBuf,
    config: Config,
    server: Option<Server>,
    process: Process,
    desks: Vec<Desk>,
    random: SplitMix64,
    tally: Tally,
    begun: Instant,
}

impl World {
    fn new(name: &'static str, dir: &Path, mut config: Config, server: Option<Server>, seed: u64) -> Self {
        mllp::configure(&mut config);
        config.listener.push(gateway::listener("fhir", Role::Fhir));
        config.audit.queries = false;
        config.database.max_connections = 8;
        let file = write_config(dir, &config);
        let process = Process::start(&file, &[]);
        println!("{name}: CHAOS_SEED={seed} repeats this run's choices");
        let desks = CLIENTS.iter().enumerate().map(|(n, line)| Desk::of(n, *line)).collect();
        let (random, tally, begun) = (SplitMix64::new(seed), Tally::default(), Instant::now());
        Self { name, file, config, server, process, desks, random, tally, begun }
    }

    async fn round(&mut self, round: usize) {
        let victim = match &self.server {
            Some(_) if round % 5 == 1 => Victim::Database,
            _ => Victim::Gateway,
        };
        self.tally.database_deaths += usize::from(victim == Victim::Database);
        self.work_until(victim).await;
        if victim == Victim::Gateway {
            self.process = Process::start(&self.file, &[]);
        }
        self.look(round).await;
    }

    async fn work_until(&mut self, victim: Victim) {
        let deadly = self.random.below(DEADLY) as usize;
        let later = Duration::from_micros(self.random.below(20_000));
        let (answered, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let kill = Arc::new(Notify::new());
        let mut doors = vec![];
        for desk in &self.desks {
            doors.push(Door::open(&self.process, desk.line).await);
        }
        let mut clients = vec![];
        for (mut desk, mut door) in self.desks.drain(..).zip(doors) {
            let (answered, stop, kill) = (answered.clone(), stop.clone(), kill.clone());
            let mut random = SplitMix64::new(self.random.next_u64());
            clients.push(tokio::spawn(async move {
                let mut refused = 0;
                while !stop.load(Ordering::Acquire) {
                    let deed = desk.next(&mut random);
                    let message = desk.message(&deed, &mut random);
                    if deadly == 0 {
                        kill.notify_one();
                    }
                    let told = door.tell(&message, desk.line, victim).await;
                    refused += usize::from(told == Told::NotDone);
                    desk.hear(deed, told);
                    if answered.fetch_add(1, Ordering::AcqRel) + 1 == deadly {
                        kill.notify_one();
                    }
                    if told == Told::Nothing {
                        break;
                    }
                }
                (desk, refused)
            }));
        }
        kill.notified().await;
        tokio::time::sleep(later).await;
        match (victim, &self.server) {
            (Victim::Database, Some(server)) => server.kill(),
            _ => self.process.kill_now(),
        }
        stop.store(true, Ordering::Release);
        if let (Victim::Database, Some(server)) = (victim, &self.server) {
            server.up();
        }
        for client in clients {
            let (desk, refused) = client.await.expect("a client");
            self.tally.refused += refused;
            self.desks.push(desk);
        }
    }

    /// Every id against what its hospital was told, and all of them against each other.
    async fn look(&mut self, round: usize) {
        let db = Db::open(&self.config.database).await.expect("the database");
        let mut expected = 0;
        for desk in &mut self.desks {
            if let Some(deed) = desk.open.take() {
                self.tally.open += 1;
                if is_done(&db, desk, &deed).await {
                    self.tally.done_unheard += 1;
                    desk.settle(deed);
                }
            }
            for (id, known) in &desk.known {
                let found = found(&db, id).await;
                assert_eq!(found.as_ref(), Some(known), "round {round}: client {} {}", desk.client, id.value);
            }
            expected += desk.known.len() as i64;
            self.tally.acknowledged += std::mem::take(&mut desk.acknowledged);
        }
        let all = count(&db, "SELECT COUNT(*) FROM identity").await;
        assert_eq!(all, expected, "round {round}: somebody is there whom nobody fed");
        for sql in UNSOUND {
            assert_eq!(count(&db, sql).await, 0, "round {round}: {sql}");
        }
        db.close().await;
    }

    fn report(&self, rounds: usize) {
        let Tally { acknowledged, open, done_unheard, refused, database_deaths } = &self.tally;
        let mut by: BTreeMap<&str, usize> = BTreeMap::new();
        for (transaction, n) in self.desks.iter().flat_map(|desk| &desk.records) {
            *by.entry(transaction).or_default() += n;
        }
        let line = format!(
            "{}: {rounds} deaths ({database_deaths} of the database) in {} s; {acknowledged} acknowledged, lost 0; \
             {refused} refused as busy; {open} unanswered, of them {done_unheard} done whole; records {by:?}",
            self.name,
            self.begun.elapsed().as_secs(),
        );
        println!("{line}");
        super::keep(&line);
    }

    async fn end(mut self, rounds: usize) {
        self.process.signal("TERM");
        let (status, log) = self.process.ended();
        assert!(status.success(), "{log:#?}");
        let rooms = Rooms::open(&self.config, &Clock::System).await.unwrap();
        let mut recorded: BTreeMap<String, usize> = BTreeMap::new();
        for event in rooms.audit.since(0, i64::MAX).await.unwrap() {
            if event.outcome == Outcome::Success {
                *recorded.entry(event.transaction).or_default() += 1;
            }
        }
        let mut told: BTreeMap<String, usize> = BTreeMap::new();
        for (transaction, n) in self.desks.iter().flat_map(|desk| &desk.records) {
            *told.entry((*transaction).to_owned()).or_default() += n;
        }
        recorded.retain(|transaction, _| told.contains_key(transaction));
        assert_eq!(recorded, told, "each change is recorded, and none that nobody made");
        rooms.db.close().await;
        let verified = run(&["verify", "--config", self.file.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&verified.stdout).into_owned();
        assert_eq!(verified.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&verified.stderr));
        assert!(self.tally.acknowledged > 0);
        self.report(rounds);
    }
}

/// What no transaction leaves behind.
pub const UNSOUND: [&str; 6] = [
    "SELECT COUNT(*) FROM identity i WHERE i.status = 1 AND NOT EXISTS (SELECT 1 FROM person p WHERE \
     p.person_key = i.person_key AND p.status = 1)",
    "SELECT COUNT(*) FROM person p WHERE p.status = 1 AND NOT EXISTS (SELECT 1 FROM identity i WHERE \
     i.person_key = p.person_key AND i.status = 1)",
    "SELECT COUNT(*) FROM person p WHERE NOT EXISTS (SELECT 1 FROM patient q WHERE q.patient_key = p.person_key \
     AND (q.merged_into IS NULL) = (p.status = 1))",
    "SELECT COUNT(*) FROM identity i WHERE i.version > 0 AND (SELECT COUNT(*) FROM demographic_version v WHERE \
     v.identity_key = i.identity_key) <> i.version",
    "SELECT COUNT(*) FROM identity i WHERE (i.status = 1) <> EXISTS (SELECT 1 FROM mpi_key k WHERE \
     k.identity_key = i.identity_key)",
    "SELECT COUNT(*) FROM identity i WHERE (i.status = 1) <> EXISTS (SELECT 1 FROM mpi_name n WHERE \
     n.identity_key = i.identity_key)",
];

pub async fn count(db: &Db, sql: &'static str) -> i64 {
    let counted = db.read(move |tx| Box::pin(async move { tx.fetch_one(sql, &[], |row| row.get(0)).await }));
    counted.await.unwrap_or_else(|e: DbError| panic!("{e}"))
}

async fn found(db: &Db, id: &DomainId) -> Option<Known> {
    let id = id.clone();
    let found = db.read(move |tx| {
        let id = id.clone();
        Box::pin(async move {
            let Some(found) = identity::by_id(tx, &id).await? else { return Ok(None) };
            let now = identity::versions(tx, found.key).await?.pop();
            let phones = now.and_then(|v| v.demographics.phones).unwrap_or_default();
            let mark = phones.first().map(|p| p.number.clone()).unwrap_or_default();
            Ok(Some(Known { mark, versions: found.version, merged: found.status == Status::Subsumed }))
        })
    });
    found.await.unwrap_or_else(|e: DbError| panic!("{e}"))
}

async fn is_done(db: &Db, desk: &Desk, deed: &Deed) -> bool {
    match deed {
        Deed::Feed { id, .. } => {
            let before = desk.known.get(id).map_or(0, |k| k.versions);
            found(db, id).await.is_some_and(|now| now.versions > before)
        }
        Deed::Merge { from, .. } => found(db, from).await.is_some_and(|now| now.merged),
    }
}

async fn go(name: &'static str, server: Option<Server>, rounds: usize) {
    let seed = super::seed();
    let dir = tempfile::tempdir().unwrap();
    let mut config = gateway::config(&dir).await;
    if let Some(server) = &server {
        config.database.url = server.url();
    }
    let mut world = World::new(name, dir.path(), config, server, seed);
    let most = number("CHAOS_MINUTES").map_or(Duration::MAX, |minutes| Duration::from_secs(minutes * 60));
    let mut deaths = 0;
    while deaths < rounds && world.begun.elapsed() < most {
        world.round(deaths).await;
        deaths += 1;
        if deaths.is_multiple_of(REPORT) {
            world.report(deaths);
        }
    }
    world.end(deaths).await;
}

/// On SQLite, or on the PostgreSQL of `TEST_DATABASE_URL`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_index_is_killed() {
    let name =
        if std::env::var_os("TEST_DATABASE_URL").is_some() { "MPI, PostgreSQL" } else { "MPI, SQLite" };
    go(name, None, rounds(6)).await;
}

/// On a durable PostgreSQL of our own, which dies in one round of five.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_index_or_its_postgresql_is_killed() {
    let Some(server) = Server::start("fsync = on\nsynchronous_commit = on\n") else { return };
    go("MPI, PostgreSQL, killed too", Some(server), rounds(4)).await;
}
