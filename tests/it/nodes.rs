//! The directory of nodes: who is let in, what each may ask and say, and how much.

use std::time::Duration;

use chiren::config::{CommunityConfig, Role, TlsMode, TlsProfile};
use chiren::model::audit::Outcome;
use chiren::model::metadata::Submission;
use chiren::model::transaction::Transaction;
use chiren::wire::hl7v2::mllp::frame;
use chiren::wire::hl7v3::{Ii, feed};
use rcgen::ExtendedKeyUsagePurpose;

use crate::mpi_v3::{gateway_with, message, person};
use crate::support::Gateway;
use crate::support::community::community;
use crate::support::mllp::{HOSPA, HOSPB, Mllp, said};
use crate::support::nodes::{DirectoryFile, alert, node};
use crate::support::raw::{RawAnswer, connect, post};
use crate::support::samples::{HOME, PATIENT, REPOSITORY, find_documents, submission};
use crate::support::soap::{
    SIMPLE, adhoc_query, envelope, include, mtom, provide_and_register, retrieve_documents,
};
use crate::support::tls::{Client, Pki, Secured, fingerprint};

/// A gateway with every face under mutual TLS, and its nodes.
struct World {
    pki: Pki,
    directory: DirectoryFile,
    gateway: Gateway,
}

impl World {
    /// `a` is the node of certificate `node`; `b` of `other`.
    async fn new(a: &str, more: &str) -> Self {
        let pki = Pki::new();
        pki.issue("other", ExtendedKeyUsagePurpose::ClientAuth);
        let text = format!(
            "{more}{}{}",
            node("a", &fingerprint(&pki.path("node")), a),
            node("b", &fingerprint(&pki.path("other")), "transactions = ['*']\nmsh = ['*|*']"),
        );
        let directory = DirectoryFile::new(&text);
        let gateway = gateway_with(|c| {
            directory.configure(c);
            for listener in c.listener.iter_mut().filter(|l| l.role != Role::Ops) {
                pki.secure(listener, TlsMode::Mutual, TlsProfile::JpHigh);
            }
        })
        .await;
        Self { pki, directory, gateway }
    }

    fn at(&self, role: Role) -> std::net::SocketAddr {
        self.gateway.running.as_ref().unwrap().listening.address(role).unwrap()
    }

    async fn connected(&self, name: &str) -> Secured {
        self.pki.client(Some(name)).connect(self.at(Role::Soap)).await.expect("TLS")
    }

    async fn asked(&self, name: &str, request: &[u8]) -> Option<RawAnswer> {
        self.connected(name).await.exchange(request).await
    }

    async fn fhir(&self, name: &str, request: &str) -> RawAnswer {
        let client = self.pki.client(Some(name));
        let mut connection = client.connect(self.at(Role::Fhir)).await.expect("TLS");
        connection.exchange(request.as_bytes()).await.expect("an answer")
    }

    async fn mllp(&self, name: &str) -> Mllp<tokio_rustls::client::TlsStream<tokio::net::TcpStream>> {
        let client = Client { alpn: &[], ..self.pki.client(Some(name)) };
        Mllp::over(client.stream(self.at(Role::Mllp)).await.expect("TLS"))
    }

    async fn look(&self) {
        self.gateway.running.as_ref().unwrap().trust().look().await;
    }
}

fn question() -> Vec<u8> {
    let row = Transaction::Iti18.row();
    post(row.path, SIMPLE, envelope(row.request_action, &adhoc_query(&find_documents(PATIENT))).as_bytes())
}

/// ITI-41 of one document.
fn provided(submission: &Submission, document: &[u8]) -> Vec<u8> {
    let row = Transaction::Iti41.row();
    let body = provide_and_register(submission, &include("DE", "doc0@test"));
    let (content_type, message) = mtom(&envelope(row.request_action, &body), &[("doc0@test", document)]);
    post(row.path, &content_type, &message)
}

fn fed_v3(authority: &str) -> Vec<u8> {
    let who = person(("山本", "ヤマモト"), ("花子", "ハナコ"), "19500101");
    let add = message(feed::ADDED, &[Ii::with(authority, "t2")], &who, None);
    let action = format!("urn:hl7-org:v3:{}", feed::ADDED);
    post("/mpi/iti44", SIMPLE, envelope(&action, &add).as_bytes())
}

fn fed_fhir(authority: &str) -> String {
    let body = format!(
        "{{\"resourceType\":\"Patient\",\"identifier\":[{{\"system\":\"urn:oid:{authority}\",\"value\":\"t3\"}}]}}"
    );
    format!(
        "PUT /fhir/Patient?identifier=urn:oid:{authority}%7Ct3 HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/fhir+json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn fed_v2(application: &str, facility: &str, authority: &str) -> String {
    format!(
        "MSH|^~\\&|{application}|{facility}|MPI|N|20250401||ADT^A28|T1|P|2.5\rEVN||20250401\r\
         PID|1||t1^^^&{authority}&ISO||A^B\rPV1||N\r"
    )
}

fn source_a() -> String {
    format!(
        "transactions = ['*']\npatient_id_authorities = ['{HOSPA}']\nmsh = ['FAC|HIS']\norganizations = ['urn:oid:2.999.1']"
    )
}

#[tokio::test]
async fn a_node_is_named_in_what_it_leaves_and_a_stranger_leaves_an_alert() {
    let world = World::new(&source_a(), "").await;
    world.asked("node", &question()).await.expect("an answer").soap().assert_success();
    let record = world.gateway.audit().await.pop().unwrap();
    let named = record.caller.node.expect("a node");
    assert_eq!((named.id.as_str(), named.organizations), ("a", vec!["urn:oid:2.999.1".to_owned()]));
    world.pki.issue("stranger", ExtendedKeyUsagePurpose::ClientAuth);
    assert!(world.asked("stranger", &question()).await.is_none());
    let record = alert(&world.gateway, ["110126", "unknown-node"]).await;
    let shown = fingerprint(&world.pki.path("stranger"));
    assert_eq!(record.caller.certificate.as_deref(), Some(shown.as_str()));
    // Nor by another door.
    let client = Client { alpn: &[], ..world.pki.client(Some("stranger")) };
    let stream = client.stream(world.at(Role::Mllp)).await;
    if let Ok(stream) = stream {
        assert!(Mllp::over(stream).closed_or_broken().await);
    }
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> Mllp<S> {
    async fn closed_or_broken(&mut self) -> bool {
        let mut byte = [0; 1];
        !matches!(tokio::io::AsyncReadExt::read(&mut self.stream, &mut byte).await, Ok(1))
    }
}

#[tokio::test]
async fn what_is_not_granted_is_refused_on_every_face() {
    let world = World::new("transactions = ['ITI-43']\nmsh = ['FAC|HIS']", "").await;
    let answer = world.asked("node", &question()).await.expect("an answer");
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains("soap:Sender"), "{}", answer.text());
    let record = alert(&world.gateway, ["110132", "transaction"]).await;
    assert_eq!((record.transaction.as_str(), record.outcome), ("ITI-18", Outcome::SeriousFailure));
    let answer = world.fhir("node", &fed_fhir(HOSPA)).await;
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains("\"forbidden\""), "{}", answer.text());
    let (ack, ..) = said(&world.mllp("node").await.ask(fed_v2("HIS", "FAC", HOSPA)).await);
    assert_eq!(ack, "AR");
    // The other is served meanwhile.
    world.asked("other", &question()).await.expect("an answer").soap().assert_success();
}

#[tokio::test]
async fn a_node_feeds_its_own_patients_in_its_own_name() {
    let world = World::new(&source_a(), "").await;
    let answer = world.asked("node", &fed_v3(HOSPA)).await.unwrap();
    assert!(answer.text().contains("typeCode code=\"AA\""), "{}", answer.text());
    let answer = world.asked("node", &fed_v3(HOSPB)).await.unwrap();
    assert_eq!(answer.status, 403);
    assert_eq!(world.fhir("node", &fed_fhir(HOSPA)).await.status, 201);
    assert_eq!(world.fhir("node", &fed_fhir(HOSPB)).await.status, 403);
    let mut mllp = world.mllp("node").await;
    assert_eq!(said(&mllp.ask(fed_v2("HIS", "FAC", HOSPA)).await).0, "AA");
    let (ack, _, location) = said(&mllp.ask(fed_v2("HIS", "FAC", HOSPB)).await);
    assert_eq!((ack.as_str(), location.starts_with("PID^1^3")), ("AR", true), "{location}");
    let (ack, _, location) = said(&mllp.ask(fed_v2("LIS", "FAC", HOSPA)).await);
    assert_eq!((ack.as_str(), location.starts_with("MSH^1^4")), ("AR", true), "{location}");
    alert(&world.gateway, ["110132", "assigning-authority"]).await;
    alert(&world.gateway, ["110132", "msh-3-4"]).await;
}

#[tokio::test]
async fn a_node_submits_as_itself() {
    let own = submission().submission_set.source_id;
    let granted = format!("transactions = ['*']\nsource_ids = ['{own}']");
    for (grants, status) in [(granted.as_str(), 200), ("transactions = ['*']", 403)] {
        let world = World::new(grants, "").await;
        let request = provided(&submission(), b"test");
        let answer = world.asked("node", &request).await.expect("an answer");
        assert_eq!(answer.status, status, "{}", answer.text());
        if status == 403 {
            alert(&world.gateway, ["110132", "source-id"]).await;
            assert_eq!(world.gateway.files(), (0, 0));
        }
    }
}

#[tokio::test]
async fn the_directory_is_read_anew_under_open_connections() {
    let world = World::new(&source_a(), "").await;
    let mut open = world.connected("node").await;
    open.exchange(&question()).await.unwrap().soap().assert_success();
    let text = std::fs::read_to_string(&world.directory.path).unwrap();

    world.directory.rewrite("[[node]]\nid = 'nobody'\n");
    world.look().await;
    open.exchange(&question()).await.expect("a bad file leaves the old in force").soap().assert_success();
    alert(&world.gateway, ["110129", "directory-not-read"]).await;

    world.directory.rewrite(&text.replacen("['*']", "['ITI-43']", 1));
    world.look().await;
    let mut refused = world.connected("node").await;
    assert_eq!(refused.exchange(&question()).await.unwrap().status, 403);
    // The connection that was open asks by the new directory, too; a 403 ends it.
    assert_eq!(open.exchange(&question()).await.unwrap().status, 403);

    world.directory.rewrite(&text);
    world.look().await;
    let mut open = world.connected("node").await;
    let mut other = world.connected("other").await;
    let mut silent = world.mllp("node").await;
    assert_eq!(said(&silent.ask(fed_v2("HIS", "FAC", HOSPA)).await).0, "AA");
    open.exchange(&question()).await.unwrap().soap().assert_success();
    world.directory.rewrite(&text.replacen("id = 'a'", "id = 'a'\nsuspended = true", 1));
    world.look().await;
    assert!(open.ended().await && silent.closed_or_broken().await, "a suspended node is shut out at once");
    assert!(world.asked("node", &question()).await.is_none());
    alert(&world.gateway, ["110126", "suspended-node"]).await;
    other.exchange(&question()).await.expect("the others go on").soap().assert_success();
}

#[tokio::test]
async fn listeners_for_operators_are_for_those_who_are_granted_them() {
    let pki = Pki::new();
    pki.issue("operator", ExtendedKeyUsagePurpose::ClientAuth);
    let directory = DirectoryFile::new(&format!(
        "{}{}",
        node("a", &fingerprint(&pki.path("node")), "transactions = ['*']"),
        node("o", &fingerprint(&pki.path("operator")), "transactions = ['ops']"),
    ));
    let gateway = Gateway::start_with(|c| {
        directory.configure(c);
        pki.secure(&mut c.listener[1], TlsMode::Mutual, TlsProfile::JpHigh);
    })
    .await;
    let asked = async |name: &str| {
        let mut connection = pki.client(Some(name)).connect(gateway.ops).await.ok()?;
        connection.exchange(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n").await
    };
    assert_eq!(asked("operator").await.expect("an answer").status, 200);
    assert!(asked("node").await.is_none());
    alert(&gateway, ["110126", "not-ops"]).await;
}

const SMALL: &str = "
[[class]]
name = 'default'
requests_per_second = 1
burst = 3
connections = 2
";

/// Without its class `b` would have the small one, too.
const LARGE: &str = "[[class]]\nname = 'large'\n";

async fn limited() -> World {
    let world = World::new(&source_a(), &format!("{SMALL}{LARGE}")).await;
    let text = std::fs::read_to_string(&world.directory.path).unwrap();
    world.directory.rewrite(&text.replacen("id = 'b'", "id = 'b'\nclass = 'large'", 1));
    world.look().await;
    world
}

#[tokio::test]
async fn a_node_that_asks_too_much_is_told_when_to_ask_again_and_the_others_are_served() {
    let world = limited().await;
    let mut busy = world.connected("node").await;
    for _ in 0..3 {
        busy.exchange(&question()).await.unwrap().soap().assert_success();
    }
    let refused = busy.exchange(&question()).await.expect("an answer");
    assert_eq!(refused.status, 503);
    assert!(refused.headers.contains_key("retry-after") && refused.text().contains("soap:Receiver"));
    let mut other = world.connected("other").await;
    for _ in 0..20 {
        other.exchange(&question()).await.unwrap().soap().assert_success();
    }
    let figures = world.gateway.running.as_ref().unwrap().trust().gate.nodes.figures();
    assert!(figures.iter().any(|(id, _, limited)| id == "a" && *limited >= 1), "{figures:?}");
}

#[tokio::test]
async fn every_face_words_the_limit_its_own_way() {
    let world = limited().await;
    for _ in 0..3 {
        world.fhir("node", "GET /fhir/metadata HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    }
    let refused = world.fhir("node", &fed_fhir(HOSPA)).await;
    assert_eq!(refused.status, 429);
    assert!(refused.headers.contains_key("retry-after") && refused.text().contains("\"throttled\""));
    // HL7 v2 waits for a moment before it refuses: the bucket may have one by then.
    let mut mllp = world.mllp("node").await;
    let mut codes = vec![];
    for _ in 0..3 {
        mllp.raw(&frame(fed_v2("HIS", "FAC", HOSPA).as_bytes())).await;
    }
    for _ in 0..3 {
        codes.push(mllp.next().await.expect("an answer").code);
    }
    assert!(codes.iter().all(|code| code == "AA" || code == "AR"), "{codes:?}");
}

#[tokio::test]
async fn a_node_has_so_many_connections() {
    let world = limited().await;
    let mut one = world.connected("node").await;
    let mut two = world.connected("node").await;
    one.exchange(&question()).await.unwrap();
    two.exchange(&question()).await.unwrap();
    let mut three = world.connected("node").await;
    assert!(three.exchange(&question()).await.is_none());
    alert(&world.gateway, ["110126", "too-many-connections"]).await;
    world.asked("other", &question()).await.expect("an answer").soap().assert_success();
}

#[tokio::test]
async fn answers_to_a_node_keep_its_pace() {
    let pki = Pki::new();
    let class = "[[class]]\nname = 'default'\nretrieve_mib_per_second = 1\n";
    let grants = "transactions = ['*']\nsource_ids = ['*']";
    let directory =
        DirectoryFile::new(&format!("{class}{}", node("a", &fingerprint(&pki.path("node")), grants)));
    let gateway = Gateway::start_with(|c| {
        directory.configure(c);
        pki.secure(&mut c.listener[0], TlsMode::Mutual, TlsProfile::JpHigh);
    })
    .await;
    let mut connection = pki.client(Some("node")).connect(gateway.address).await.unwrap();
    let document = vec![b'x'; 3 << 20];
    let mut large = submission();
    (large.document_entries[0].hash, large.document_entries[0].size) = (None, None);
    let answer = connection.exchange(&provided(&large, &document)).await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let begun = std::time::Instant::now();
    let row = Transaction::Iti43.row();
    let body = retrieve_documents(REPOSITORY, &[&large.document_entries[0].unique_id]);
    let (content_type, asked) = mtom(&envelope(row.request_action, &body), &[]);
    connection.send(&post(row.path, &content_type, &asked)).await;
    let mut total = 0;
    let mut buffer = vec![0; 65536];
    while total < document.len() {
        let count = tokio::io::AsyncReadExt::read(&mut connection.stream, &mut buffer).await.expect("bytes");
        assert!(count > 0, "cut off after {total}");
        total += count;
    }
    // A second's worth comes at once.
    assert!(begun.elapsed() > Duration::from_millis(1500), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn half_open_handshakes_are_few() {
    let pki = Pki::new();
    let gateway = Gateway::start_with(|c| {
        c.limits.handshakes_per_address = 2;
        pki.secure(&mut c.listener[0], TlsMode::Mutual, TlsProfile::JpHigh);
    })
    .await;
    let (_one, _two) = (connect(gateway.address).await, connect(gateway.address).await);
    // Until both have been accepted, a third may still be let in: it is refused sooner or later.
    let begun = std::time::Instant::now();
    while pki.client(Some("node")).connect(gateway.address).await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(20), "never refused");
    }
}

#[tokio::test]
async fn the_gateway_of_no_listed_community_is_asked_nothing() {
    let pki = Pki::new();
    pki.issue("other", ExtendedKeyUsagePurpose::ClientAuth);
    let gateway_of = |id: &str, certificate: &str, home: &str| {
        let more = format!("transactions = ['*']\nhome_community_id = '{home}'");
        node(id, &fingerprint(&pki.path(certificate)), &more)
    };
    let listed = gateway_of("listed", "node", "urn:oid:2.999.7");
    let directory =
        DirectoryFile::new(&format!("{listed}{}", gateway_of("stranger", "other", "urn:oid:2.999.8")));
    let gateway = gateway_with(|c| {
        directory.configure(c);
        c.gateway.enabled = true;
        c.community = vec![CommunityConfig {
            id: "seven".into(),
            name: "seven".into(),
            home_community_id: "urn:oid:2.999.7".into(),
            ..community(7, std::net::SocketAddr::from(([127, 0, 0, 1], 9)))
        }];
        for listener in c.listener.iter_mut().filter(|l| l.role != Role::Ops) {
            pki.secure(listener, TlsMode::Mutual, TlsProfile::JpHigh);
        }
    })
    .await;
    let address = gateway.running.as_ref().unwrap().listening.address(Role::Soap).unwrap();
    let query = adhoc_query(&at_home(find_documents(PATIENT)));
    let retrieval = retrieve_documents(REPOSITORY, &["2.25.1"]);
    for (t, body) in [
        (Transaction::Iti38, query.as_str()),
        (Transaction::Iti39, retrieval.as_str()),
        (Transaction::Iti55, "<no/>"),
        (Transaction::Iti56, "<no/>"),
    ] {
        let row = t.row();
        let text = envelope(row.request_action, body);
        let request = match t {
            Transaction::Iti39 => {
                let (content_type, message) = mtom(&text, &[]);
                post(row.path, &content_type, &message)
            }
            _ => post(row.path, SIMPLE, text.as_bytes()),
        };
        for (certificate, refused) in [("node", false), ("other", true)] {
            let mut connection = pki.client(Some(certificate)).connect(address).await.expect("TLS");
            let answer = connection.exchange(&request).await.expect("an answer");
            assert_eq!(answer.status == 403, refused, "{t:?} {certificate}: {}", answer.text());
        }
    }
    let record = alert(&gateway, ["110132", "community"]).await;
    assert_eq!(record.caller.node.expect("a node").id, "stranger");
}

fn at_home(request: chiren::model::query::AdhocQueryRequest) -> chiren::model::query::AdhocQueryRequest {
    chiren::model::query::AdhocQueryRequest { home: Some(HOME.into()), ..request }
}
