//! The index and the registry together: patients that feeds make known, documents that follow merges, notices
//! to consumers, and the reviewers' worklist.

use chiren::config::MpiConsumerConfig;
use chiren::config::registry::UnknownPatients;
use chiren::model::error::ErrorCode;
use chiren::service::verify::{Scope, Verify};
use chiren::wire::ebxml::response::ResponseStatus;
use chiren::wire::hl7v2::mllp::{Event, Splitter, frame};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::mllp::{HOSPA, HOSPB, Mllp, PATIENCE, gateway_with};
use crate::support::samples::*;
use crate::support::{Gateway, raw};

const HANAKO: &str =
    "MIYAZAKI^HARUKA^^^^^L^A||19880302|F|||^^^^422-8033^JPN^H^Shizuoka 1-2-3||^PRN^PH^^^^^^^^^054-285-0000";
const TARO: &str =
    "IGARASHI^TAKUMA^^^^^L^A||19451107|M|||^^^^950-0911^JPN^H^Niigata 3-2-1||^PRN^PH^^^^^^^^^025-241-0000";

fn oid(hospital: &str) -> &'static str {
    if hospital == "HOSPA" { HOSPA } else { HOSPB }
}

fn feed(event: &str, id: &str, hospital: &str, rest: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|HIS|X|MPI|N|20250401101500||ADT^{event}|{event}{id}|P|2.5\rEVN||20250401101500\r\
         PID|1||{id}^^^{hospital}&{}&ISO^PI||{rest}\rPV1|1|N\r",
        oid(hospital)
    )
    .into_bytes()
}

fn merge(surviving: &str, subsumed: &str, hospital: &str) -> Vec<u8> {
    let cx = |id: &str| format!("{id}^^^{hospital}&{}&ISO", oid(hospital));
    format!(
        "MSH|^~\\&|HIS|X|MPI|N|20250401101500||ADT^A40^ADT_A39|M1|P|2.5\rEVN||20250401101500\r\
         PID|1||{}||X^Y\rMRG|{}\r",
        cx(surviving),
        cx(subsumed)
    )
    .into_bytes()
}

async fn accepted(mllp: &mut Mllp, message: Vec<u8>) {
    let answer = mllp.ask(message).await;
    assert_eq!(answer.code, "AA", "{}", answer.text);
}

/// The network's id of a patient, as CX text.
async fn person(mllp: &mut Mllp, id: &str, hospital: &str) -> Option<String> {
    let question = format!(
        "MSH|^~\\&|V|C|MPI|N|20250401||QBP^Q23^QBP_Q21|Q1|P|2.5\rQPD|IHE PIX Query|T1|{id}^^^&{}&ISO|^^^&{AUTHORITY}&ISO\r\
         RCP|I\r",
        oid(hospital)
    );
    let answer = mllp.ask(question.into_bytes()).await;
    let pid = answer.text.split('\r').find(|line| line.starts_with("PID|"))?.to_owned();
    let value = pid.split('|').nth(3)?.split('^').next()?.to_owned();
    Some(format!("{value}^^^&{AUTHORITY}&ISO"))
}

async fn is_sound(gateway: &Gateway) {
    let scope = Scope { moment: i64::MAX, expect: None, documents: false, limit: 10 };
    let report = Verify::new(gateway.rooms().db.clone(), None).run(&scope, &|_| {}).await.unwrap();
    assert_eq!(report.faults, 0, "{:?}", report.findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_moves_documents_and_the_subsumed_id_is_no_more() {
    let (gateway, address) = gateway_with(|config| {
        // Not even who accepts anybody accepts a subsumed id.
        config.registry.unknown_patients = UnknownPatients::Accept;
    })
    .await;
    let mut mllp = Mllp::connect(address).await;
    accepted(&mut mllp, feed("A28", "1", "HOSPA", HANAKO)).await;
    accepted(&mut mllp, feed("A28", "2", "HOSPA", TARO)).await;
    let one = person(&mut mllp, "1", "HOSPA").await.unwrap();
    let two = person(&mut mllp, "2", "HOSPA").await.unwrap();
    assert_ne!(one, two);
    let soap = gateway.soap();
    soap.register(&of_patient(submission_with_folder(), &one)).await.assert_success();
    soap.register(&of_patient(submission_with_folder(), &two)).await.assert_success();
    let each = soap.query(&get_all(&one)).await.objects().len();
    is_sound(&gateway).await;

    accepted(&mut mllp, merge("1", "2", "HOSPA")).await;
    assert_eq!(person(&mut mllp, "1", "HOSPA").await.unwrap(), one);
    assert_eq!(person(&mut mllp, "2", "HOSPA").await, None);
    // ITI-18 with the subsumed id is empty, with the surviving id the whole chain under that id.
    let nothing = soap.query(&get_all(&two)).await;
    nothing.assert_success();
    assert_eq!(nothing.objects(), []);
    let found = soap.query(&get_all(&one)).await;
    assert_eq!(found.objects().len(), 2 * each);
    assert!(found.entries().iter().all(|e| e.patient_id == one));
    is_sound(&gateway).await;
    // Nothing is registered for the subsumed id; for the survivor it goes on.
    let refused = soap.register(&of_patient(submission(), &two)).await;
    let (status, errors) = refused.registry();
    assert_eq!(status, ResponseStatus::Failure);
    assert!(errors.iter().all(|(code, _)| code == ErrorCode::XDSUnknownPatientId.as_str()), "{errors:?}");
    soap.register(&of_patient(submission(), &one)).await.assert_success();
    is_sound(&gateway).await;
}

/// A consumer of ITI-10: what it was sent, each acknowledged.
async fn consumer(listener: tokio::net::TcpListener, told: tokio::sync::mpsc::UnboundedSender<String>) {
    while let Ok((mut socket, _)) = listener.accept().await {
        let (mut splitter, mut events, mut buffer) = (Splitter::new(1 << 20), vec![], [0; 4096]);
        while let Ok(count) = socket.read(&mut buffer).await {
            if count == 0 {
                break;
            }
            splitter.push(&buffer[..count], &mut events);
            for event in events.drain(..) {
                let Event::Message(message) = event else { continue };
                let text = String::from_utf8(message).unwrap();
                let control = text.split('|').nth(9).unwrap().to_owned();
                let answer =
                    format!("MSH|^~\\&|EMR|A|CHIREN||20250401||ACK^A31^ACK|1|P|2.5\rMSA|AA|{control}\r");
                socket.write_all(&frame(answer.as_bytes())).await.unwrap();
                let _ = told.send(text);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_hear_of_changed_ids_in_their_domains() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(consumer(listener, told));
    let (_gateway, address) = gateway_with(|config| {
        config.mpi.consumer = vec![MpiConsumerConfig {
            name: "emr".into(),
            url: format!("mllp://127.0.0.1:{port}"),
            domains: vec!["HOSPA".into(), "HOSPB".into()],
            application: "EMR".into(),
            ..MpiConsumerConfig::default()
        }];
    })
    .await;
    let mut mllp = Mllp::connect(address).await;
    // One id alone is nothing cross-referenced.
    accepted(&mut mllp, feed("A28", "1", "HOSPA", HANAKO)).await;
    accepted(&mut mllp, feed("A28", "9", "HOSPB", HANAKO)).await;
    let text = tokio::time::timeout(PATIENCE, heard.recv()).await.unwrap().unwrap();
    assert!(text.contains("ADT^A31^ADT_A05") && text.contains("|EMR|"), "{text}");
    let pid = text.split('\r').find(|line| line.starts_with("PID|")).unwrap();
    assert!(pid.contains(&format!("1^^^HOSPA&{HOSPA}&ISO")), "{pid}");
    assert!(pid.contains(&format!("9^^^HOSPB&{HOSPB}&ISO")), "{pid}");
    assert_eq!(pid.split('|').nth(5), Some(" "), "PID-5 is one blank");
}

#[tokio::test(flavor = "multi_thread")]
async fn reviewers_work_over_http() {
    let (gateway, address) = gateway_with(|config| config.mpi.reviews = true).await;
    let mut mllp = Mllp::connect(address).await;
    accepted(&mut mllp, feed("A28", "1", "HOSPA", HANAKO)).await;
    let far = String::from_utf8(feed("A28", "f1", "CHIIKI", HANAKO)).unwrap();
    accepted(&mut mllp, far.replace(&format!("CHIIKI&{HOSPB}&ISO"), "CHIIKI").into_bytes()).await;
    let at = gateway.ops;
    // A refusal may end the connection.
    let ask = async |bytes: Vec<u8>| raw::connect(at).await.exchange(&bytes).await.unwrap();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes();
    let answer = ask(get("/mpi/reviews")).await;
    let page: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(page["counts"]["候補"], 1, "{page}");
    let task = page["tasks"][0]["id"].as_str().unwrap().to_owned();
    let shown = ask(get(&format!("/mpi/reviews/{task}"))).await;
    let shown: Value = serde_json::from_slice(&shown.body).unwrap();
    assert_eq!(shown["acrossNetworks"], true);
    assert!(shown["candidates"][0]["pair"]["score"]["fields"].as_array().is_some_and(|f| !f.is_empty()));
    let post = |what: &str, body: &str| {
        raw::post(&format!("/mpi/reviews/{task}/{what}"), "application/json", body.as_bytes())
    };
    assert_eq!(ask(post("assign", "{\"to\": \"yamada\"}")).await.status, 200);
    assert_eq!(ask(post("decide", "{\"verdict\": \"same\"}")).await.status, 400);
    let decided = post("decide", "{\"verdict\": \"same\", \"by\": \"yamada\", \"reason\": \"card\"}");
    assert_eq!(ask(decided.clone()).await.status, 200);
    assert_eq!(ask(decided.clone()).await.status, 409, "decided already");
    let waiting = ask(get("/mpi/reviews?state=confirmed")).await;
    let page: Value = serde_json::from_slice(&waiting.body).unwrap();
    assert_eq!(page["tasks"][0]["stateName"], "確定");
    assert_eq!(ask(get("/mpi/reviews?state=odd")).await.status, 400);
    // Where it is not switched on, there is no such page.
    let (gateway, _) = gateway_with(|_| {}).await;
    let answer = raw::connect(gateway.ops).await.exchange(&get("/mpi/reviews")).await.unwrap();
    assert_eq!(answer.status, 404);
}
