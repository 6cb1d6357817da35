//! Documents in a bucket: what goes in and out, what a faulty store does to answers, and that all is well when
//! the fault has passed.

use chiren::config::Config;
use chiren::model::metadata::Submission;

use crate::support::gateway::{config, s3_config};
use crate::support::process::{chiren, write_config};
use crate::support::s3::{Fault, Place, Server};
use crate::support::samples::{PATIENT, REPOSITORY, find_documents, submission};
use crate::support::{Answer, Gateway};

fn provided() -> Submission {
    let mut s = submission();
    for e in &mut s.document_entries {
        (e.hash, e.size, e.repository_unique_id) = (None, None, None);
    }
    s
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect()
}

/// A gateway that gives up on its store soon.
async fn impatient(place: &Place) -> Gateway {
    let dir = tempfile::tempdir().unwrap();
    let mut config: Config = config(&dir).await;
    let mut s3 = s3_config(place, dir.path());
    (s3.retries, s3.answer_seconds, s3.connect_seconds) = (0, 1, 1);
    config.repository.s3 = Some(s3);
    Gateway::start_in(dir, config).await
}

async fn retrieve(gateway: &Gateway, s: &Submission) -> Answer {
    gateway.soap().retrieve(REPOSITORY, &[&s.document_entries[0].unique_id]).await
}

fn retry_after(answer: &Answer) -> Option<&str> {
    answer.headers.get("retry-after").map(|v| v.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_go_in_and_out_and_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(&dir).await;
    config.repository.s3 = Some(s3_config(&Place::fresh(), dir.path()));
    let gateway = Gateway::start_in(dir, config).await;
    let mut kept = vec![];
    for size in [0, 5, 70_000, 1_000_000, 20 << 20] {
        let (s, bytes) = (provided(), bytes(size));
        gateway.soap().provide(&s, &[("DE", &bytes)]).await.assert_success();
        kept.push((s, bytes));
    }
    assert_eq!(gateway.files(), (5, 0));
    let (dir, config) = gateway.stop().await;
    let gateway = Gateway::start_in(dir, config).await;
    for (s, bytes) in &kept {
        let answer = retrieve(&gateway, s).await;
        answer.assert_success();
        assert!(answer.documents()[0].1 == *bytes, "{} octets", bytes.len());
    }
}

/// What a store that is asked does, and what is answered then.
const FAULTS: &[(Fault, &str, Option<&str>)] = &[
    (Fault::Status(503, "SlowDown"), "XDSRepositoryBusy", Some("2")),
    (Fault::Silence, "XDSRepositoryBusy", Some("2")),
    (Fault::Status(500, "InternalError"), "XDSRepositoryBusy", Some("30")),
    (Fault::Status(403, "AccessDenied"), "XDSRepositoryError", None),
    (Fault::Status(404, "NoSuchBucket"), "XDSRepositoryError", None),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_faulty_store_refuses_what_it_cannot_do_and_recovers_by_itself() {
    let server = Server::start();
    let gateway = impatient(&server.place()).await;
    let before = provided();
    gateway.soap().provide(&before, &[("DE", b"before")]).await.assert_success();
    for (fault, code, after) in FAULTS {
        server.set(*fault);
        let refused = provided();
        let answer = gateway.soap().provide(&refused, &[("DE", b"refused")]).await;
        answer.assert_failure(&[code]);
        assert_eq!(retry_after(&answer), *after, "{fault:?}");
        let answer = retrieve(&gateway, &before).await;
        answer.assert_failure(&[code]);
        assert_eq!(retry_after(&answer), *after, "{fault:?}");
        server.set(Fault::None);
        assert_eq!(gateway.soap().query(&find_documents(PATIENT)).await.entries().len(), 1, "{fault:?}");
        retrieve(&gateway, &refused).await.assert_failure(&["XDSDocumentUniqueIdError"]);
        assert_eq!(retrieve(&gateway, &before).await.documents()[0].1, "before");
    }
    let s = provided();
    gateway.soap().provide(&s, &[("DE", b"refused")]).await.assert_success();
    assert_eq!(retrieve(&gateway, &s).await.documents()[0].1, "refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_store_is_out_of_resources() {
    let server = Server::start();
    let gateway = impatient(&server.place()).await;
    let s = provided();
    for fault in [Fault::Status(507, "XMinioStorageFull"), Fault::Status(403, "QuotaExceeded")] {
        server.set(fault);
        let answer = gateway.soap().provide(&s, &[("DE", b"test")]).await;
        answer.assert_failure(&["XDSRepositoryOutOfResources"]);
    }
    server.set(Fault::None);
    gateway.soap().provide(&s, &[("DE", b"test")]).await.assert_success();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away_is_waited_for() {
    let server = Server::start();
    let gateway = impatient(&server.place()).await;
    let (before, s) = (provided(), provided());
    gateway.soap().provide(&before, &[("DE", b"before")]).await.assert_success();
    server.stop();
    for answer in [gateway.soap().provide(&s, &[("DE", b"test")]).await, retrieve(&gateway, &before).await] {
        answer.assert_failure(&["XDSRepositoryBusy"]);
        assert_eq!(retry_after(&answer), Some("30"));
    }
    server.restart();
    assert_eq!(retrieve(&gateway, &before).await.documents()[0].1, "before");
    gateway.soap().provide(&s, &[("DE", b"test")]).await.assert_success();

    server.set_bucket(false);
    let lost = provided();
    let answer = gateway.soap().provide(&lost, &[("DE", b"lost")]).await;
    answer.assert_failure(&["XDSRepositoryError"]);
    server.set_bucket(true);
    gateway.soap().provide(&lost, &[("DE", b"lost")]).await.assert_success();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_starts_before_its_store() {
    let server = Server::start();
    let place = server.place();
    server.stop();
    let gateway = impatient(&place).await;
    server.restart();
    gateway.soap().provide(&provided(), &[("DE", b"test")]).await.assert_success();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_altered_document_is_an_error_and_never_looks_whole() {
    let server = Server::start();
    let gateway = impatient(&server.place()).await;
    let (small, large) = (provided(), provided());
    gateway.soap().provide(&small, &[("DE", b"small")]).await.assert_success();
    gateway.soap().provide(&large, &[("DE", &bytes(3_000_000))]).await.assert_success();
    server.set(Fault::Alter(2));
    let answer = retrieve(&gateway, &small).await;
    answer.assert_failure(&["XDSRepositoryError"]);
    assert_eq!(retry_after(&answer), None);
    // A large one has begun by then: the answer breaks off.
    for fault in [Fault::Alter(2), Fault::Alter(2_999_999), Fault::Cut(1_000_000)] {
        server.set(fault);
        let soap = gateway.soap();
        let id = large.document_entries[0].unique_id.clone();
        let whole = tokio::spawn(async move { soap.retrieve(REPOSITORY, &[&id]).await }).await;
        assert!(whole.is_err(), "{fault:?}");
    }
    server.set(Fault::None);
    assert!(retrieve(&gateway, &large).await.documents()[0].1 == bytes(3_000_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_connects_and_names_what_is_wrong() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(&dir).await;
    let mut s3 = s3_config(&server.place(), dir.path());
    (s3.retries, s3.answer_seconds) = (0, 1);
    config.repository.s3 = Some(s3.clone());
    let check = |config: &Config| {
        let file = write_config(dir.path(), config);
        let output = chiren().args(["check", "--connect", "--config"]).arg(file).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let errors: Vec<String> = text
            .lines()
            .filter_map(|l| l.strip_prefix("error: ")?.split(": ").next())
            .map(str::to_owned)
            .collect();
        assert!(!text.contains(crate::support::s3::SECRET), "{text}");
        (output.status.code(), errors)
    };
    assert_eq!(check(&config), (Some(0), vec![]));
    let named = |key: &str| (Some(78), vec![format!("repository.s3.{key}")]);

    let change = |change: &dyn Fn(&mut chiren::config::S3Config)| {
        let mut changed = config.clone();
        let s3 = changed.repository.s3.as_mut().unwrap();
        change(s3);
        changed
    };
    assert_eq!(check(&change(&|s3| s3.bucket = "another".into())), named("bucket"));
    assert_eq!(check(&change(&|s3| s3.bucket.clear())), named("bucket"));
    assert_eq!(check(&change(&|s3| s3.endpoint = Some("http://127.0.0.1:1".into()))), named("endpoint"));
    assert_eq!(check(&change(&|s3| s3.endpoint = Some("ftp://x".into()))), named("endpoint"));
    assert_eq!(check(&change(&|s3| s3.credentials = None)), named("credentials"));
    let path = dir.path().join("s3-credentials");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(crate::support::s3::SECRET, "wrong")).unwrap();
    assert_eq!(check(&config), named("credentials"));
    server.set(Fault::Silence);
    assert_eq!(check(&config), named("endpoint"));
}
