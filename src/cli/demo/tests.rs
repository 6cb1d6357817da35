use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use super::*;
use crate::config::{Fault, PeerConfig};
use crate::model::metadata::{AvailabilityStatus, MetadataObject};
use crate::model::query::QueryResult;
use crate::model::transaction::{Transaction, Wire};
use crate::peer::http::Client;
use crate::wire::ebxml::query::read_response;
use crate::wire::soap::{SoapResponse, read_response as read_soap};
use crate::wire::xml::tree;

const PATIENTS: usize = 20;
const DOCUMENTS: u64 = 60;

fn options(data: &Path) -> Options {
    Options {
        data: Some(data.to_owned()),
        ports: Ports { soap: 0, tls: 0, ops: 0, mllp: 0, fhir: 0 },
        documents: DOCUMENTS,
        patients: PATIENTS,
        tls: true,
        language: Language::En,
    }
}

fn clock() -> Clock {
    Clock::at("2026-11-22T00:00:00Z".parse().unwrap())
}

/// The prepared ITI-18 request, sent to the plain listener.
async fn found(demo: &Demo<'_>) -> Vec<MetadataObject> {
    let row = Transaction::Iti18.row();
    let url = format!("http://{}{}", demo.running.listening.address(Role::Soap).unwrap(), row.path);
    let client = Client::new(&PeerConfig { url, ..PeerConfig::default() }).unwrap();
    let mut headers = HeaderMap::new();
    let content_type = format!("application/soap+xml; charset=UTF-8; action=\"{}\"", row.request_action);
    headers.insert(http::header::CONTENT_TYPE, content_type.parse().unwrap());
    let body = std::fs::read(demo.folder.file("iti18.xml")).unwrap();
    let answer = client.post_bytes(headers, Bytes::from(body)).await.unwrap().whole().await.unwrap();
    let text = std::str::from_utf8(&answer).unwrap();
    let parsed = tree::parse(text).unwrap();
    let SoapResponse::Body { body, .. } = read_soap(&parsed).unwrap() else { panic!("{text}") };
    match read_response(body).unwrap().1 {
        QueryResult::Objects(objects) => objects,
        QueryResult::Refs(_) => panic!("{text}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_is_seeded_once_and_answers() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(&dir.path().join("network"));
    let (folder, earlier) = Folder::open(options.data.as_deref()).unwrap();
    let demo = Demo::start(&options, &folder, earlier, clock(), None).await.unwrap();
    let refused: Vec<Fault> = demo.config.check().into_iter().filter(Fault::refuses).collect();
    assert_eq!(refused, []);
    let ready = Arc::new(Notify::new());
    demo.seed(clock(), ready.clone()).await.unwrap();
    ready.notified().await;
    demo.seeded().unwrap();
    let guide = demo.guide().unwrap();
    let told: Vec<Transaction> = guide.sends().into_iter().map(|(t, _)| t).collect();
    for transaction in Transaction::ALL.into_iter().filter(|t| t.row().wire == Wire::Ebxml) {
        assert!(told.contains(&transaction), "no command for {transaction:?}");
    }
    let text = guide.text(&[Language::En, Language::Ja], Duration::ZERO, true);
    for word in [
        "SOAP/TLS https://",
        "60 documents",
        "文書 60 件",
        "curl -s",
        "chiren.toml",
        "/fhir/Patient?",
        "$ihe-pix?sourceIdentifier=urn:oid:",
    ] {
        assert!(text.contains(word), "{word} in {text}");
    }
    let written = Config::load_with(&demo.folder.file("chiren.toml"), []).unwrap();
    assert_eq!(written, demo.config);

    let numbers = seed::by_patient(&demo.network, DOCUMENTS).remove(0);
    let current = numbers.iter().filter(|n| !seed::is_replaced(**n, DOCUMENTS)).count();
    let objects = found(&demo).await;
    assert_eq!(objects.len(), current);
    assert!(objects.iter().all(|o| matches!(o, MetadataObject::DocumentEntry(e)
        if e.availability_status == AvailabilityStatus::Approved && e.patient_id == guide.example.patient(0))));
    drop(guide);
    let events = demo.running.rooms.audit.since(0, 1000).await.unwrap();
    assert_eq!(events.iter().filter(|e| e.transaction == "ITI-41").count() as u64, DOCUMENTS);
    demo.running.drain().await;

    let (folder, earlier) = Folder::open(options.data.as_deref()).unwrap();
    let again = Demo::start(&options, &folder, earlier, clock(), None).await.unwrap();
    again.seed(clock(), Arc::new(Notify::new())).await.unwrap();
    assert!(again.state.complete);
    assert_eq!(found(&again).await.len(), current);
    again.running.drain().await;
}

#[test]
fn a_taken_port_gives_way() {
    let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = holder.local_addr().unwrap().port();
    let (ports, taken) = free(Ports { soap: port, tls: 0, ops: 0, mllp: 0, fhir: 0 });
    assert_eq!((ports.soap, taken), (0, vec![(SOAP, port)]));
}
