//! ITI-20, the repository's side, and ITI-81: what others send is kept as it came; who may, finds it.

use std::net::SocketAddr;

use chiren::config::{Role, TlsMode, TlsProfile};
use chiren::model::audit::{Outcome, SECURITY_ALERT, kinds};
use chiren::service::audit::reading::{Kept, Period, Place};
use chiren::wire::atna::frames::frame;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::Gateway;
use crate::support::gateway::listener;
use crate::support::raw::connect;
use crate::support::samples::*;
use crate::support::tls::{Client, Pki};

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/security/syslog");

fn corpus(name: &str) -> Vec<u8> {
    std::fs::read(format!("{CORPUS}/{name}.bin")).expect(name)
}

async fn gateway(pki: &Pki) -> Gateway {
    Gateway::start_with(|c| {
        let mut syslog = listener("syslog", Role::Audit);
        pki.secure(&mut syslog, TlsMode::Mutual, TlsProfile::JpHigh);
        c.listener.push(syslog);
        c.listener.push(listener("fhir", Role::Fhir));
        c.audit.udp = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        c.audit.search_listeners = vec!["fhir".into()];
    })
    .await
}

fn address(gateway: &Gateway, name: &str) -> SocketAddr {
    let listeners = &gateway.running.as_ref().expect("running").listening.listeners;
    listeners.iter().find(|(n, ..)| n == name).expect(name).2
}

/// Sends octets over mutual TLS and goes, or is sent away: whether the other side closed first.
async fn send(gateway: &Gateway, pki: &Pki, octets: &[u8], goodbye: bool) -> bool {
    let client = Client { alpn: &[], ..pki.client(Some("node")) };
    let mut stream = client.stream(address(gateway, "syslog")).await.expect("a connection");
    stream.write_all(octets).await.expect("written");
    stream.flush().await.expect("flushed");
    if goodbye {
        stream.shutdown().await.expect("goodbye");
    }
    let mut rest = [0; 16];
    let ended = tokio::time::timeout(std::time::Duration::from_secs(20), stream.read(&mut rest)).await;
    matches!(ended, Ok(Ok(0) | Err(_)))
}

async fn received(gateway: &Gateway) -> Vec<Vec<u8>> {
    let place = Place::Received(0, String::new());
    let (kept, _) = gateway.rooms().trail.read(Period::ALL, place, 1000).await.expect("the trail");
    let original = |k| match k {
        Kept::Received { original, .. } => original,
        Kept::Own(_) => unreachable!("received ones were asked for"),
    };
    kept.into_iter().map(original).collect()
}

async fn until_received(gateway: &Gateway, count: usize) -> Vec<Vec<u8>> {
    for _ in 0..400 {
        let found = received(gateway).await;
        if found.len() >= count {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("{count} records did not come");
}

#[tokio::test]
async fn the_corpus_is_kept_or_sent_away_as_its_index_says() {
    let pki = Pki::new();
    let gateway = gateway(&pki).await;
    assert!(send(&gateway, &pki, &corpus("syslog-valid"), true).await);
    let kept = until_received(&gateway, 2).await;
    let valid = corpus("syslog-valid");
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|m| valid.windows(m.len()).any(|w| w == m)), "octet by octet");
    assert_eq!(kept.iter().filter(|m| m.windows(3).any(|w| w == b"\xef\xbb\xbf")).count(), 1);

    for bad in ["syslog-count-too-big", "syslog-lf-framed"] {
        assert!(send(&gateway, &pki, &corpus(bad), false).await, "{bad}: closed");
        assert_eq!(received(&gateway).await.len(), 2, "{bad}");
    }
    assert!(send(&gateway, &pki, &corpus("syslog-count-mismatch"), false).await);
    let kept = until_received(&gateway, 3).await;
    assert!(kept.iter().any(|m| m.len() == 50), "the fragment is kept, and nothing after it");

    assert!(send(&gateway, &pki, &corpus("syslog-xxe"), true).await);
    let kept = until_received(&gateway, 4).await;
    assert!(kept.iter().any(|m| m.windows(8).any(|w| w == b"<!DOCTYP")), "the octets are kept");
    let found = search(&gateway, "date=ge2000-01-01&source.identifier=gw.test.invalid").await;
    assert_eq!(found.1.len(), 2, "what has a DTD is not read");
    // Three connections broke the framing; the first is told, the others count with it.
    let alerts = gateway.audit().await;
    assert!(alerts.iter().any(|e| e.transaction == SECURITY_ALERT && e.errors == ["syslog", "framing"]));
    // They are chained like our own.
    gateway.rooms().trail.chain(1).await.expect("chained");
    let verified = gateway.rooms().trail.verify().await.expect("verified");
    assert_eq!((verified.broken.len(), verified.chains[1].records), (0, 4));
    let spoil: Result<u64, chiren::store::db::DbError> = gateway
        .rooms()
        .db
        .write(|tx| Box::pin(async move { tx.exec("UPDATE audit_received SET sender = 'x'", &[]).await }))
        .await;
    assert_eq!(spoil.expect("spoiled"), 4);
    assert_eq!(gateway.rooms().trail.verify().await.expect("verified").broken.len(), 4);
}

#[tokio::test]
async fn a_stranger_gets_nothing_but_the_alert() {
    let pki = Pki::new();
    let gateway = gateway(&pki).await;
    let stranger = Pki::new();
    let theirs = Client { ca: pki.path("ca"), alpn: &[], ..stranger.client(Some("node")) };
    for client in [theirs, Client { alpn: &[], ..pki.client(None) }] {
        if let Ok(mut stream) = client.stream(address(&gateway, "syslog")).await {
            let _ = stream.write_all(&corpus("syslog-valid")).await;
            let mut rest = [0; 16];
            assert!(!matches!(stream.read(&mut rest).await, Ok(1..)));
        }
    }
    assert!(received(&gateway).await.is_empty());
}

#[tokio::test]
async fn datagrams_are_kept_too() {
    let pki = Pki::new();
    let gateway = gateway(&pki).await;
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let original = b"<85>1 - h a - IHE+RFC-3881 - <AuditMessage/>";
    for message in [&original[..], b"\x00 not syslog \xff"] {
        socket.send_to(message, address(&gateway, "audit.udp")).await.expect("sent");
    }
    let kept = until_received(&gateway, 2).await;
    assert!(kept.contains(&original.to_vec()) && kept.contains(&b"\x00 not syslog \xff".to_vec()));
}

/// Status, resources, and the next page.
async fn search(gateway: &Gateway, query: &str) -> (u16, Vec<Value>, Option<String>) {
    let query = query.replace('^', "%5E").replace('|', "%7C");
    let request = format!("GET /fhir/AuditEvent?{query} HTTP/1.1\r\nHost: gw.example\r\n\r\n");
    let answer =
        connect(address(gateway, "fhir")).await.exchange(request.as_bytes()).await.expect("an answer");
    let bundle: Value = serde_json::from_str(&answer.text()).expect("JSON");
    let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
    let links = bundle["link"].as_array().cloned().unwrap_or_default();
    let next = links.iter().find(|l| l["relation"] == "next").and_then(|l| l["url"].as_str());
    let next = next.and_then(|url| url.split_once('?')).map(|(_, query)| query.to_owned());
    (answer.status.as_u16(), entries.into_iter().map(|e| e["resource"].clone()).collect(), next)
}

#[tokio::test]
async fn iti_81_finds_records_by_pages_and_is_itself_recorded() {
    let pki = Pki::new();
    let gateway = gateway(&pki).await;
    let other = format!("77^^^&{AUTHORITY}&ISO");
    gateway.add_patient(&other).await;
    for n in 0..7 {
        let patient = if n % 2 == 0 { PATIENT } else { &other };
        gateway.soap().query(&find_documents(patient)).await.assert_success();
        gateway.tick();
    }
    gateway.soap().retrieve(REPOSITORY, &["2.25.404"]).await;
    let (status, all, _) = search(&gateway, "date=ge2026-11-22&date=le2026-11-22&subtype=ITI-18").await;
    assert_eq!((status, all.len()), (200, 7));
    assert_eq!(all[0]["resourceType"], "AuditEvent");
    // Pages hold each once.
    let mut query = Some("date=ge2026-11-22&subtype=ITI-18&_count=3".to_owned());
    let mut ids = vec![];
    let mut pages = 0;
    while let Some(this) = query.take() {
        let (_, found, next) = search(&gateway, &this).await;
        assert!(found.len() <= 3);
        ids.extend(found.iter().map(|r| r["id"].as_str().expect("an id").to_owned()));
        (query, pages) = (next, pages + 1);
        assert!(pages < 10);
    }
    let mut once = ids.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!((ids.len(), once.len()), (7, 7));
    let of_patient = format!("date=ge2026-11-22&subtype=ITI-18&patient.identifier=urn:oid:{AUTHORITY}|77");
    assert_eq!(search(&gateway, &of_patient).await.1.len(), 3);
    let (_, first, next) = search(&gateway, &format!("{of_patient}&_count=2")).await;
    assert_eq!(first.len(), 2);
    assert_eq!(search(&gateway, &next.expect("a next page")).await.1.len(), 1);
    assert_eq!(search(&gateway, "date=ge2026-11-22&outcome=8&subtype=ITI-43").await.1.len(), 1);
    assert_eq!(search(&gateway, "date=le2026-11-21").await.1.len(), 0);
    assert_eq!(search(&gateway, "subtype=ITI-18").await.0, 400, "a date is required");
    let read: Vec<_> =
        gateway.audit().await.into_iter().filter(|e| e.transaction == kinds::AUDIT_READ).collect();
    assert!(read.len() >= 8);
    assert!(read.iter().all(|e| e.outcome == Outcome::Success && e.query.is_some()));
    let (_, records, _) = search(&gateway, "date=ge2026-11-22&type=110101").await;
    assert!(records.iter().any(|r| r["entity"][0]["name"] == "Security Audit Log"));
}

#[tokio::test]
async fn who_is_not_named_may_not_search() {
    let gateway = Gateway::start_with(|c| {
        c.listener.push(listener("fhir", Role::Fhir));
        c.audit.search_nodes = vec!["auditor".into()];
    })
    .await;
    gateway.soap().query(&find_documents(PATIENT)).await.assert_success();
    let (status, found, _) = search(&gateway, "date=ge2000").await;
    assert_eq!((status, found.len()), (403, 0));
    assert!(gateway.audit().await.iter().all(|e| e.transaction != kinds::AUDIT_READ));
}

#[tokio::test]
async fn many_failures_are_one_alarm() {
    let gateway = Gateway::start_with(|c| c.audit.alarm_failures = 10).await;
    for _ in 0..25 {
        gateway.soap().post("/xds/registry", "application/soap+xml", "<no/>").await;
    }
    assert_eq!(gateway.rooms().audit.alarms(), 1);
    let alarms = gateway.audit().await.into_iter().filter(|e| e.errors.first().is_some_and(|e| e == "alarm"));
    assert_eq!(alarms.count(), 1);
}

#[tokio::test]
async fn one_of_ours_takes_from_another_and_survives_its_death() {
    let pki = Pki::new();
    let repository = gateway(&pki).await;
    let port = address(&repository, "syslog").port();
    let sender = Gateway::start_with(|c| {
        c.audit.repository = vec![chiren::config::AuditRepositoryConfig {
            name: "ours".into(),
            url: format!("tls://localhost:{port}"),
            server_ca: vec![pki.path("ca")],
            certificate: Some(pki.path("node")),
            private_key: Some(pki.path("node-key")),
            confirm_seconds: 1,
            ..Default::default()
        }];
    })
    .await;
    sender.soap().query(&find_documents(PATIENT)).await.assert_success();
    let kept = until_received(&repository, 3).await;
    assert!(kept.iter().any(|m| m.windows(6).any(|w| w == b"ITI-18")));
    let found = search(&repository, "date=ge2000&subtype=ITI-18").await.1;
    assert_eq!(found.len(), 1, "it is found like one of its own");
    // A message far larger than a read.
    let big = [b"<85>1 - h a - IHE+RFC-3881 - ".to_vec(), vec![b'x'; 900_000]].concat();
    assert!(send(&repository, &pki, &frame(&big), true).await);
    assert!(until_received(&repository, 4).await.contains(&big));
}
