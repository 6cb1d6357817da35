//! What operators see of a running gateway: health, metrics, and a log that finds a request by its id and never
//! names a patient.

use chiren::config::UnknownPatients;
use chiren::model::transaction::Transaction;

use crate::support::process::{Process, write_config};
use crate::support::raw::{RawAnswer, connect, post};
use crate::support::samples::{find_documents, of_patient, submission, text};
use crate::support::soap::{SIMPLE, adhoc_query, envelope, include, mtom, provide_and_register};
use crate::support::{Gateway, Soap, gateway};

async fn get(address: std::net::SocketAddr, path: &str) -> RawAnswer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    connect(address).await.exchange(request.as_bytes()).await.expect("an answer")
}

#[tokio::test]
async fn health_is_everywhere_and_metrics_for_operators_only() {
    let gateway = Gateway::start().await;
    for address in [gateway.address, gateway.ops] {
        assert_eq!(get(address, "/health/live").await.status, 200);
        assert_eq!(get(address, "/health/ready").await.status, 200);
        assert_eq!(get(address, "/health/other").await.status, 404);
    }
    assert_eq!(get(gateway.address, "/metrics").await.status, 404);
    assert_eq!(get(gateway.ops, "/xds/iti18?wsdl").await.status, 404);
}

#[tokio::test]
async fn not_ready_without_a_database() {
    let gateway = Gateway::start().await;
    gateway.running.as_ref().unwrap().rooms.db.close().await;
    let answer = get(gateway.ops, "/health/ready").await;
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("database"), "{}", answer.text());
    assert_eq!(get(gateway.ops, "/health/live").await.status, 200);
}

/// Words that stand for a patient in every message of the test below; none may show in the log.
const MARKS: [&str; 4] = ["MARK-ID-7731", "印田", "MARK-TITLE", "MARK-DOC-CONTENT"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_follows_requests_and_never_names_patients() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = gateway::config(&dir).await;
    config.registry.unknown_patients = UnknownPatients::Accept;
    let file = write_config(dir.path(), &config);
    let process = Process::start(&file, &[("CHIREN__LOG__LEVEL", "trace")]);
    let soap = Soap::new(process.address);

    let patient = format!("{}^^^&2.999.392.1.2&ISO", MARKS[0]);
    let marked = || {
        let mut s = of_patient(submission(), &patient);
        let entry = &mut s.document_entries[0];
        (entry.hash, entry.size) = (None, None);
        entry.title = text(MARKS[2]);
        entry.source_patient_info = vec![format!("PID-5|{}^太郎^^^^^L^I", MARKS[1])];
        s
    };
    let row = Transaction::Iti41.row();
    let good = marked();
    let mut ids = vec![];
    let documents = [("DE", MARKS[3].as_bytes())];
    let answer = soap.provide(&good, &documents).await;
    answer.assert_success();
    ids.push(answer.headers["x-request-id"].to_str().unwrap().to_owned());

    // Refused by rule, by the parser, by SOAP, by the packaging, by HTTP; and not found.
    let mut wrong_hash = marked();
    wrong_hash.document_entries[0].hash = Some("00".repeat(20));
    let mut no_class = marked();
    no_class.document_entries[0].class_code = None;
    no_class.document_entries[0].source_patient_id = Some(format!("{}^^", MARKS[0]));
    for s in [wrong_hash, no_class, good.clone()] {
        let answer = soap.provide(&s, &documents).await;
        ids.push(answer.headers["x-request-id"].to_str().unwrap().to_owned());
    }
    let body = provide_and_register(&marked(), &include("DE", MARKS[0]));
    let message = envelope(row.request_action, &body);
    let (kind, multipart) = mtom(&message, &[("other@test", MARKS[3].as_bytes())]);
    let query = envelope(Transaction::Iti18.row().request_action, &adhoc_query(&find_documents(&patient)));
    for (path, kind, bytes) in [
        (row.path, kind.as_str(), multipart.clone()),
        (row.path, kind.as_str(), multipart[..multipart.len() / 2].to_vec()),
        (row.path, SIMPLE, message.as_bytes()[..message.len() - 9].to_vec()),
        (row.path, SIMPLE, message.replace("urn:ihe:iti:2007:Prov", MARKS[0]).into_bytes()),
        (
            "/xds/iti18",
            SIMPLE,
            query.replace("</a:MessageID>", &format!("{}</a:MessageID>", MARKS[0])).into_bytes(),
        ),
        ("/xds/iti18", SIMPLE, query.replace("('urn:oasis", &format!("('{}", MARKS[0])).into_bytes()),
        ("/xds/iti18", SIMPLE, query.replace("&amp;ISO", "&amp;ISO' OR 'x").into_bytes()),
        ("/xds/iti18", SIMPLE, query.replace("AdhocQueryRequest", MARKS[0]).into_bytes()),
        ("/xds/iti42", SIMPLE, message.clone().into_bytes()),
        ("/xds/iti18", "application/json", query.clone().into_bytes()),
    ] {
        let mut connection = connect(process.address).await;
        let answer = connection.exchange(&post(path, kind, &bytes)).await.expect("an answer");
        ids.push(answer.headers["x-request-id"].to_str().unwrap().to_owned());
    }
    soap.retrieve("2.999.392.1.3", &[&format!("1.2.{}", MARKS[0]), &good.document_entries[0].unique_id])
        .await;
    // Cut in the middle of an upload.
    let mut cut = connect(process.address).await;
    let request = post(row.path, &kind, &multipart);
    cut.send(&request[..request.len() - 40]).await;
    drop(cut);

    let metrics = get(process.ops, "/metrics").await;
    assert_eq!(metrics.status, 200);
    let metrics = metrics.text();
    for wanted in [
        "chiren_requests_total{transaction=\"ITI-41\",outcome=\"success\"} 1",
        "chiren_requests_total{transaction=\"ITI-41\",outcome=\"failure\"}",
        "chiren_requests_total{transaction=\"soap\",outcome=\"fault\"}",
        "chiren_request_duration_seconds_bucket{transaction=\"ITI-41\"",
        "chiren_request_bytes_total{transaction=\"ITI-41\"}",
        "chiren_requests_in_flight",
        "chiren_database_connections_idle",
        "chiren_database_writes_waiting",
    ] {
        assert!(metrics.contains(wanted), "{wanted} is not in\n{metrics}");
    }
    let figure = |name: &str| -> f64 {
        let line = metrics.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in\n{metrics}")).parse().unwrap()
    };
    assert!(figure("chiren_database_connections") >= 1.0);
    let (writes, commits) = (figure("chiren_database_writes_total"), figure("chiren_database_commits_total"));
    if config.database.url.starts_with("sqlite:") {
        assert!(writes >= commits && commits >= 1.0, "{writes} writes in {commits} commits");
    }
    let (status, log) = process.stop();
    assert!(status.success());
    for id in ids {
        let lines = log.iter().filter(|l| l.contains("request answered") && l.contains(&id)).count();
        assert_eq!(lines, 1, "request {id} in the log");
    }
    assert!(log.iter().any(|l| l.contains("TRACE") || l.contains("DEBUG")), "the level was not taken");
    let escaped: Vec<String> = MARKS.iter().map(|m| m.escape_unicode().to_string()).collect();
    for mark in MARKS.iter().copied().chain(escaped.iter().map(String::as_str)) {
        let told: Vec<_> = log.iter().filter(|l| l.contains(mark)).collect();
        assert!(told.is_empty(), "{mark} is in the log: {told:#?}");
    }
    for mark in MARKS {
        assert!(!metrics.contains(mark), "{mark} labels a metric");
    }
}
