//! Disks: a document folder that is gone, a document that is gone, a file system that is full in earnest. Each fault
//! is answered with its code, nothing half-done stays, and when it ends work goes on without a restart.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chiren::app::Running;
use chiren::model::ebrim::LocalizedString;
use chiren::model::metadata::Submission;
use chiren::server::clock::Clock;
use http::{StatusCode, header};
use sqlx::{Connection as _, Executor as _};

use crate::support::postgres::Server;
use crate::support::raw::connect;
use crate::support::samples::*;
use crate::support::{Answer, Gateway, gateway};

fn bare() -> Submission {
    let mut s = submission();
    (s.document_entries[0].hash, s.document_entries[0].size) = (None, None);
    s
}

/// Metadata of about 300 KB.
fn long() -> Submission {
    let mut s = submission();
    s.document_entries[0].comments = (0..100)
        .map(|n| LocalizedString { value: "長".repeat(1000), lang: Some(format!("x-{n}")), charset: None })
        .collect();
    s
}

async fn ready(gateway: &Gateway) -> (StatusCode, String) {
    let mut connection = connect(gateway.ops).await;
    let answer = connection.exchange(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let answer = answer.expect("an answer");
    (answer.status, answer.text())
}

#[track_caller]
fn assert_later(answer: &Answer, code: &str) {
    answer.assert_failure(&[code]);
    assert_eq!(answer.headers.get(header::RETRY_AFTER).map(|v| v.as_bytes()), Some(&b"30"[..]));
}

/// The folder is away, or an empty one is in its place, as where a disk is not mounted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_folder_that_is_away() {
    let gateway = Gateway::start().await;
    let soap = gateway.soap();
    let before = bare();
    let id = before.document_entries[0].unique_id.as_str();
    soap.provide(&before, &[("DE", b"before")]).await.assert_success();
    let folder = gateway.config.repository.documents.clone();
    let elsewhere = gateway.dir.path().join("elsewhere");
    let long = vec![7; 200_000];
    let mut refused = vec![];
    for empty in [false, true] {
        std::fs::rename(&folder, &elsewhere).expect("away");
        if empty {
            std::fs::create_dir(&folder).expect("an empty folder");
        }
        let (status, said) = ready(&gateway).await;
        assert_eq!(status, 503);
        assert!(said.contains("documents: "), "{said}");
        // Short documents meet it when all have come, long ones while they come.
        let (at_commit, in_spool) = (bare(), bare());
        assert_later(&soap.provide(&at_commit, &[("DE", b"in vain")]).await, "XDSRepositoryBusy");
        let answer = soap.provide(&in_spool, &[("DE", &long)]).await;
        assert_eq!((answer.status.as_u16(), &*answer.fault().0), (503, "soap:Receiver"));
        assert!(answer.headers.contains_key(header::RETRY_AFTER));
        assert_later(&soap.retrieve(REPOSITORY, &[id]).await, "XDSRepositoryBusy");
        // The registry needs no documents.
        soap.register(&submission()).await.assert_success();
        // Nothing was begun where the disk is not.
        match empty {
            true => assert_eq!(std::fs::read_dir(&folder).expect("the folder").count(), 0),
            false => assert!(!folder.exists()),
        }
        if empty {
            std::fs::remove_dir(&folder).expect("gone");
        }
        std::fs::rename(&elsewhere, &folder).expect("back");
        assert_eq!(ready(&gateway).await.0, 200);
        assert_eq!(soap.retrieve(REPOSITORY, &[id]).await.documents().len(), 1);
        refused.extend([(at_commit, b"in vain".to_vec()), (in_spool, long.clone())]);
    }
    assert_eq!(soap.query(&find_documents(PATIENT)).await.entries().len(), 3);
    assert_eq!(gateway.files(), (1, 0));
    for (s, bytes) in &refused {
        soap.provide(s, &[("DE", bytes)]).await.assert_success();
    }
    gateway.assert_verified().await;
}

/// A start on an empty folder beside a database that knows documents is a disk that is not mounted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_the_documents_is_refused() {
    let gateway = Gateway::start().await;
    gateway.soap().provide(&bare(), &[("DE", b"octets")]).await.assert_success();
    let (dir, config) = gateway.stop().await;
    let (folder, elsewhere) = (&config.repository.documents, dir.path().join("elsewhere"));
    std::fs::rename(folder, &elsewhere).expect("away");
    for empty in [false, true] {
        if empty {
            std::fs::create_dir(folder).expect("an empty folder");
        }
        let refused = Running::start(&config, Clock::System, None).await;
        let said = format!("{:#}", refused.err().expect("it does not start"));
        assert!(said.contains("is the disk mounted"), "{said}");
    }
    std::fs::remove_dir(folder).expect("nothing was begun there");
    std::fs::rename(&elsewhere, folder).expect("back");
    Gateway::start_in(dir, config).await.stop().await;
}

/// One document missing is not a matter of time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_is_gone() {
    let gateway = Gateway::start().await;
    let s = bare();
    gateway.soap().provide(&s, &[("DE", b"octets")]).await.assert_success();
    gateway.lose_documents();
    let answer = gateway.soap().retrieve(REPOSITORY, &[&s.document_entries[0].unique_id]).await;
    answer.assert_failure(&["XDSRepositoryError"]);
    assert!(!answer.headers.contains_key(header::RETRY_AFTER));
}

/// A file system of so many MiB; gone when dropped. None, which is said, where mounting is not allowed.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path, mib: u32, owner: Option<&str>) -> Option<Self> {
        std::fs::create_dir_all(at).expect("a directory");
        let size = format!("size={mib}m");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).stderr(Stdio::null());
        if !command.status().is_ok_and(|status| status.success()) {
            eprintln!("skipped: a small file system cannot be mounted here");
            return None;
        }
        if let Some(owner) = owner {
            let _ = Command::new("chown").arg(owner).arg(at).status();
        }
        Some(Self(at.to_owned()))
    }

    /// Takes all room but so many KiB; gives the file whose removal gives it back.
    fn fill_but(&self, kib: u64) -> PathBuf {
        let file = self.0.join("filler");
        let room = Command::new("df").args(["--output=avail", "-k"]).arg(&self.0).output().expect("df");
        let room: u64 =
            String::from_utf8_lossy(&room.stdout).split_whitespace().last().unwrap().parse().unwrap();
        std::fs::write(&file, vec![0; (room - kib) as usize * 1024]).expect("filled");
        file
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_under_the_documents() {
    let dir = tempfile::tempdir().expect("a directory");
    let Some(small) = Small::mount(&dir.path().join("documents"), 16, None) else { return };
    let config = gateway::config(&dir).await;
    let gateway = Gateway::start_in(dir, config).await;
    let soap = gateway.soap();
    let before = bare();
    soap.provide(&before, &[("DE", &[1; 50_000])]).await.assert_success();
    let filler = small.fill_but(20);
    let at_commit = bare();
    assert_later(&soap.provide(&at_commit, &[("DE", &[2; 60_000])]).await, "XDSRepositoryOutOfResources");
    let in_spool = bare();
    let answer = soap.provide(&in_spool, &[("DE", &[3; 900_000])]).await;
    assert_eq!((answer.status.as_u16(), &*answer.fault().0), (503, "soap:Receiver"));
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
    let id = before.document_entries[0].unique_id.as_str();
    assert_eq!(soap.retrieve(REPOSITORY, &[id]).await.documents().len(), 1);
    assert_eq!(soap.query(&find_documents(PATIENT)).await.entries().len(), 1);
    std::fs::remove_file(filler).expect("room");
    soap.provide(&at_commit, &[("DE", &[2; 60_000])]).await.assert_success();
    soap.provide(&in_spool, &[("DE", &[3; 900_000])]).await.assert_success();
    gateway.assert_verified().await;
    gateway.stop().await;
}

/// What both engines are asked while their disk is full: a submission is refused whole, and accepted when there is
/// room again.
async fn full(gateway: &Gateway, make_room: impl AsyncFnOnce()) {
    let soap = gateway.soap();
    let (mut provided, registered) = (long(), long());
    (provided.document_entries[0].hash, provided.document_entries[0].size) = (None, None);
    for answer in [soap.provide(&provided, &[("DE", b"octets")]).await, soap.register(&registered).await] {
        // Where there is no room for the record of an answer either, nothing but a fault is given.
        if answer.status == 503 {
            assert_eq!(answer.fault().0, "soap:Receiver");
        } else {
            let (_, errors) = answer.registry();
            assert!(errors.iter().all(|(code, _)| code.ends_with("OutOfResources")), "{errors:?}");
        }
        assert!(answer.headers.contains_key(header::RETRY_AFTER));
    }
    make_room().await;
    assert_eq!(soap.query(&find_documents(PATIENT)).await.entries().len(), 1);
    soap.provide(&provided, &[("DE", b"octets")]).await.assert_success();
    soap.register(&registered).await.assert_success();
    assert_eq!(soap.query(&find_documents(PATIENT)).await.entries().len(), 3);
    gateway.assert_verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_under_sqlite() {
    let dir = tempfile::tempdir().expect("a directory");
    let Some(small) = Small::mount(&dir.path().join("small"), 16, None) else { return };
    let mut config = gateway::config(&dir).await;
    config.database.url = format!("sqlite:{}", small.0.join("chiren.db").display());
    let gateway = Gateway::start_in(dir, config).await;
    gateway.soap().register(&submission()).await.assert_success();
    let filler = small.fill_but(64);
    full(&gateway, async || std::fs::remove_file(filler).expect("room")).await;
    gateway.stop().await;
}

/// The tables of a PostgreSQL on a small disk; its log is elsewhere, for without that the server stops altogether.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_under_postgresql() {
    let Some(server) = Server::start("fsync = off\n") else { return };
    let place = server.directory("small");
    let owner = if place.metadata().is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) != 0) {
        Some("postgres")
    } else {
        None
    };
    let Some(_small) = Small::mount(&place, 64, owner) else { return };
    let mut connection = sqlx::PgConnection::connect(&server.url()).await.expect("a connection");
    let space = format!("CREATE TABLESPACE small LOCATION '{}'", place.display());
    connection.execute(sqlx::AssertSqlSafe(space)).await.expect("a tablespace");
    connection.execute("CREATE DATABASE full_one TABLESPACE small").await.expect("a database");
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = gateway::config(&dir).await;
    config.database.url = server.url().replacen("/chiren?", "/full_one?", 1);
    let mut connection = sqlx::PgConnection::connect(&config.database.url).await.expect("a connection");
    let gateway = Gateway::start_in(dir, config).await;
    gateway.soap().register(&submission()).await.assert_success();
    connection.execute("CREATE TABLE filler (text TEXT)").await.expect("a table");
    // Ever less at a time, until the last page is taken.
    for rows in [2000, 100, 10, 1] {
        let more = format!(
            "INSERT INTO filler SELECT string_agg(md5((n * m)::text), '') FROM generate_series(1, {rows}) n, \
             generate_series(1, 60) m GROUP BY n"
        );
        loop {
            match connection.execute(sqlx::AssertSqlSafe(more.clone())).await {
                Ok(_) => {}
                Err(e) => {
                    let code = e.as_database_error().and_then(|e| e.code().map(|c| c.into_owned()));
                    assert_eq!(code.as_deref(), Some("53100"), "{e}");
                    break;
                }
            }
        }
    }
    full(&gateway, async || {
        connection.execute("DROP TABLE filler").await.expect("room");
    })
    .await;
    gateway.stop().await;
}
