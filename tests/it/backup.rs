//! Backups while serving, restored, verified, spoiled and cut short.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use chiren::config::Config;
use chiren::model::metadata::MetadataObject;
use chiren::service::verify::{Scope, Verify};
use chiren::store::blob::{BlobOptions, Blobs};
use chiren::store::db::{Db, DbError, Val};

use crate::support::process::{chiren, write_config};
use crate::support::samples::*;
use crate::support::updates::everything;
use crate::support::{Gateway, Soap, gateway};

/// Exit status, standard output and standard error of a command.
pub fn command(arguments: &[&str]) -> (i32, String, String) {
    let output = chiren().args(arguments).output().expect("the program runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().expect("a status"), text(output.stdout), text(output.stderr))
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A gateway's configuration as a file.
pub fn file_of(gateway: &Gateway) -> PathBuf {
    write_config(gateway.dir.path(), &gateway.config)
}

fn patient(n: usize) -> String {
    format!("B{n}^^^&{AUTHORITY}&ISO")
}

/// Publishes a document of random octets; its uniqueId.
async fn publish(soap: &Soap, patient: &str) -> String {
    let mut s = of_patient(submission(), patient);
    (s.document_entries[0].hash, s.document_entries[0].size) = (None, None);
    let bytes = uuid::Uuid::new_v4().to_string().repeat(100);
    soap.provide(&s, &[("DE", bytes.as_bytes())]).await.assert_success();
    s.document_entries[0].unique_id.clone()
}

/// Everything of a patient in order of id, and the bytes of every document.
async fn holdings(soap: &Soap, patient: &str) -> (Vec<MetadataObject>, BTreeMap<String, Vec<u8>>) {
    let mut objects = soap.query(&everything(get_all(patient))).await.objects();
    objects.sort_by(|a, b| a.id().cmp(b.id()));
    let mut documents = BTreeMap::new();
    for object in &objects {
        if let MetadataObject::DocumentEntry(e) = object {
            let answer = soap.retrieve(REPOSITORY, &[&e.unique_id]).await;
            answer.assert_success();
            documents.extend(answer.documents().into_iter().map(|(id, bytes)| (id, bytes.to_vec())));
        }
    }
    (objects, documents)
}

/// An empty place: SQLite, or a schema of its own on the PostgreSQL under test.
async fn empty(dir: &tempfile::TempDir, postgres: bool) -> Config {
    let mut config = gateway::config(dir).await;
    if !postgres {
        config.database.url = format!("sqlite:{}", dir.path().join("restored.db").display());
    }
    config
}

/// Both engines, where both are at hand.
fn engines() -> Vec<bool> {
    if std::env::var("TEST_DATABASE_URL").is_ok() { vec![false, true] } else { vec![false] }
}

fn generations(dir: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> =
        std::fs::read_dir(dir.join("metadata")).unwrap().map(|e| e.unwrap().path()).collect();
    all.sort();
    all
}

async fn assert_verified(config: &Config) {
    let db = Db::open(&config.database).await.unwrap();
    let blobs = Blobs::open(&config.repository.documents, BlobOptions::default()).unwrap();
    let scope = Scope { moment: i64::MAX / 2, expect: None, documents: true, limit: 10 };
    let verify = Verify::new(db.clone(), Some((blobs, REPOSITORY.into())));
    let report = verify.run(&scope, &|_| {}).await.unwrap();
    db.close().await;
    assert_eq!(report.faults, 0, "{:#?}", report.findings);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_backed_up_under_load_is_whole_and_restores_on_either_engine() {
    let gateway =
        Gateway::start_with(|c| c.registry.unknown_patients = chiren::config::UnknownPatients::Accept).await;
    let file = file_of(&gateway);
    let to = tempfile::tempdir().unwrap();
    let going = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let writers: Vec<_> = (0..8)
        .map(|n| {
            let (soap, going) = (gateway.soap(), going.clone());
            tokio::spawn(async move {
                let mut sent = 0;
                while going.load(std::sync::atomic::Ordering::Relaxed) || sent < 3 {
                    publish(&soap, &patient(n)).await;
                    sent += 1;
                }
                sent
            })
        })
        .collect();
    for _ in 0..3 {
        let (file, to) = (file.clone(), to.path().to_owned());
        let done = tokio::task::spawn_blocking(move || {
            command(&["backup", "--config", path(&file), "--to", path(&to)])
        });
        let (code, out, said) = done.await.unwrap();
        assert_eq!(code, 0, "{out}{said}");
    }
    going.store(false, std::sync::atomic::Ordering::Relaxed);
    let mut sent = 0;
    for writer in writers {
        sent += writer.await.unwrap();
    }
    let (code, out, _) = command(&["backup", "--config", path(&file), "--to", path(to.path()), "--json"]);
    assert_eq!(code, 0, "{out}");
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["documents"], sent);
    let seal = report["seal"].as_str().unwrap().to_owned();

    let (code, out, said) = command(&["verify-backup", "--from", path(to.path()), "--all"]);
    assert_eq!(code, 0, "{out}{said}");
    assert_eq!(out.matches("no faults").count(), 4, "{out}");
    assert_eq!(std::fs::read_dir(to.path()).unwrap().count(), 4, "the scratch is gone");

    let mut kept = vec![];
    for n in 0..8 {
        kept.push(holdings(&gateway.soap(), &patient(n)).await);
    }
    gateway.stop().await;
    for postgres in engines() {
        let dir = tempfile::tempdir().unwrap();
        let config = empty(&dir, postgres).await;
        let file = write_config(dir.path(), &config);
        let (code, out, said) = command(&["restore", "--config", path(&file), "--from", path(to.path())]);
        assert_eq!(code, 0, "{out}{said}");
        assert!(out.contains(&seal), "{out}");
        let (code, out, _) = command(&["verify", "--config", path(&file), "--expect", &seal]);
        assert_eq!(code, 0, "{out}");
        let restored = Gateway::start_in(dir, config).await;
        for (n, kept) in kept.iter().enumerate() {
            let found = holdings(&restored.soap(), &patient(n)).await;
            assert_eq!(&found, kept, "patient {n}, PostgreSQL {postgres}");
        }
        // It goes on from there.
        publish(&restored.soap(), PATIENT).await;
        restored.assert_verified().await;
    }
    // Each earlier generation restores as well, with every document its rows refer to.
    for generation in generations(to.path()) {
        let dir = tempfile::tempdir().unwrap();
        let config = empty(&dir, false).await;
        let file = write_config(dir.path(), &config);
        let name = generation.file_name().unwrap().to_str().unwrap().to_owned();
        let (code, out, said) =
            command(&["restore", "--config", path(&file), "--from", path(to.path()), "--generation", &name]);
        assert_eq!(code, 0, "{out}{said}");
        assert_verified(&config).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_killed_leaves_the_one_before() {
    let gateway = Gateway::start().await;
    for _ in 0..150 {
        publish(&gateway.soap(), PATIENT).await;
    }
    let file = file_of(&gateway);
    let to = tempfile::tempdir().unwrap();
    let dir = to.path();
    assert_eq!(command(&["backup", "--config", path(&file), "--to", path(dir)]).0, 0);
    let first = generations(dir);
    let (mut cut, mut complete) = (0, 1);
    for round in 0..6 {
        for _ in 0..20 {
            publish(&gateway.soap(), PATIENT).await;
        }
        let objects = gateway::count(&dir.join("objects"));
        let mut child = chiren()
            .args(["backup", "--config", path(&file), "--to", path(dir)])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // At another moment each time: its folder, rows written, so many documents copied.
        while child.try_wait().unwrap().is_none() {
            let begun = generations(dir).len() > complete;
            let rows = begun && generations(dir).last().unwrap().join("patient.jsonl").exists();
            let copied = gateway::count(&dir.join("objects")) - objects;
            if [begun, rows, copied > 0, copied > 5, copied > 15, rows][round] {
                child.kill().unwrap();
                break;
            }
            std::thread::yield_now();
        }
        child.wait().unwrap();
        match generations(dir).last().unwrap().join("manifest.json.sha256").exists() {
            true => complete += 1,
            false => cut += 1,
        }
        let (code, out, said) = command(&["verify-backup", "--from", path(dir), "--all"]);
        assert_eq!(code, 0, "{out}{said}");
        assert_eq!(out.matches("no faults").count(), complete, "{out}");
        assert_eq!(generations(dir)[0], first[0]);
        let last = generations(dir).pop().unwrap();
        if !last.join("manifest.json.sha256").exists() {
            let name = last.file_name().unwrap().to_str().unwrap();
            let (code, _, said) = command(&["verify-backup", "--from", path(dir), "--generation", name]);
            assert!(code == 1 && said.contains("cut short"), "{said}");
            // The next one clears it away.
            assert_eq!(command(&["backup", "--config", path(&file), "--to", path(dir)]).0, 0);
            complete += 1;
            assert!(!last.exists());
        }
    }
    assert!(cut > 0, "no backup was caught in the middle");
    assert_eq!(generations(dir).len(), complete);
    assert_eq!(command(&["verify-backup", "--from", path(dir), "--all"]).0, 0);
}

/// Changes one byte in the middle, and gives back what to write to undo it.
fn spoil(file: &Path) -> Vec<u8> {
    let whole = std::fs::read(file).unwrap();
    let mut spoiled = whole.clone();
    let middle = spoiled.len() / 2;
    spoiled[middle] ^= 1;
    std::fs::write(file, spoiled).unwrap();
    whole
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spoiled_byte_is_found_in_every_kind_of_file() {
    let gateway = Gateway::start().await;
    gateway.soap().register(&submission_with_folder()).await.assert_success();
    publish(&gateway.soap(), PATIENT).await;
    let file = file_of(&gateway);
    let to = tempfile::tempdir().unwrap();
    let backup = to.path();
    assert_eq!(command(&["backup", "--config", path(&file), "--to", path(backup)]).0, 0);
    let verify = || command(&["verify-backup", "--from", path(backup)]);
    assert_eq!(verify().0, 0);

    let mut files: Vec<PathBuf> =
        walk(backup).into_iter().filter(|f| f.metadata().unwrap().len() > 0).collect();
    files.retain(|f| f.starts_with(backup.join("metadata")) || f.starts_with(backup.join("objects")));
    assert!(files.len() > 12, "{files:?}");
    for spoiled in files {
        let whole = spoil(&spoiled);
        let name = spoiled.strip_prefix(backup).unwrap();
        let (code, out, said) = verify();
        assert_eq!(code, 4, "{name:?}: {out}{said}");
        let wanted = match name.ends_with("manifest.json.sha256") {
            // Which of the two was spoiled cannot be told.
            true => "manifest.json",
            false => path(name),
        };
        assert!(out.contains(wanted), "{name:?}: {out}");
        let dir = tempfile::tempdir().unwrap();
        let config = empty(&dir, false).await;
        let restore = write_config(dir.path(), &config);
        let (code, out, said) = command(&["restore", "--config", path(&restore), "--from", path(backup)]);
        match name.starts_with("objects") {
            // Everything else is restored, and the document is named.
            true => {
                assert!(code == 4 && out.contains(name.file_name().unwrap().to_str().unwrap()), "{out}{said}")
            }
            false => {
                assert_eq!(code, 1, "{name:?}: {out}{said}");
                assert!(!dir.path().join("restored.db").exists(), "{name:?}");
            }
        }
        std::fs::write(&spoiled, whole).unwrap();
    }
    assert_eq!(verify().0, 0);
    // And what is gone altogether.
    for gone in walk(backup)
        .into_iter()
        .filter(|f| f.to_str().unwrap().contains("objects/") || f.ends_with("patient.jsonl"))
    {
        let whole = std::fs::read(&gone).unwrap();
        std::fs::remove_file(&gone).unwrap();
        let (code, out, _) = verify();
        assert!(code == 4 && out.contains(path(gone.strip_prefix(backup).unwrap())), "{out}");
        std::fs::write(&gone, whole).unwrap();
    }
}

/// A row that hashes well and says what its chain does not: only the restored database shows it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_an_altered_database_is_found_out() {
    let gateway = Gateway::start().await;
    publish(&gateway.soap(), PATIENT).await;
    let altered: Result<u64, DbError> = gateway
        .rooms()
        .db
        .write(|tx| {
            Box::pin(async move { tx.exec("UPDATE document_entry SET status = $1", &[Val::I64(2)]).await })
        })
        .await;
    assert_eq!(altered, Ok(1));
    let file = file_of(&gateway);
    let to = tempfile::tempdir().unwrap();
    assert_eq!(command(&["backup", "--config", path(&file), "--to", path(to.path())]).0, 0);
    let (code, out, _) = command(&["verify-backup", "--from", path(to.path())]);
    assert!(code == 4 && out.contains("verify altered: DocumentEntry"), "{out}");
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_empty_is_not_restored_into() {
    let gateway = Gateway::start().await;
    publish(&gateway.soap(), PATIENT).await;
    let file = file_of(&gateway);
    let to = tempfile::tempdir().unwrap();
    let from = path(to.path()).to_owned();
    let restore = |file: &Path, more: &[&str]| {
        command(&[&["restore", "--config", path(file), "--from", &from], more].concat())
    };
    let (code, _, said) = restore(&file, &[]);
    assert!(code == 1 && said.contains("no complete backup"), "{said}");
    assert_eq!(command(&["backup", "--config", path(&file), "--to", &from]).0, 0);
    let before = holdings(&gateway.soap(), PATIENT).await;
    let (code, _, said) = restore(&file, &[]);
    assert!(code == 1 && said.contains("is not empty"), "{said}");
    let (code, _, said) = restore(&file, &["--lang", "ja"]);
    assert!(code == 1 && said.contains("空ではありません"), "{said}");
    let (code, _, said) = restore(&file, &["--generation", "20200101T000000Z"]);
    assert!(code == 1 && said.contains("no complete backup"), "{said}");
    assert_eq!(holdings(&gateway.soap(), PATIENT).await, before);

    // A store with somebody else's document.
    let dir = tempfile::tempdir().unwrap();
    let config = empty(&dir, false).await;
    let target = write_config(dir.path(), &config);
    let blobs = Blobs::open(&config.repository.documents, BlobOptions::default()).unwrap();
    let mut spool = blobs.spool();
    spool.write("strange".into()).await.unwrap();
    let key = blobs.commit(spool.finish().await.unwrap()).await.unwrap();
    let (code, _, said) = restore(&target, &[]);
    assert!(code == 1 && said.contains(key.as_str()), "{said}");
    assert!(!dir.path().join("restored.db").exists());
    blobs.delete(&key).await.unwrap();

    // Cut short after the documents, with the tables made: the same command ends it.
    chiren::store::migrate::apply(&config.database, 1).await.unwrap();
    let source = Blobs::open(&gateway.config.repository.documents, BlobOptions::default()).unwrap();
    let first = (0..=255).map(|n| source.list(n));
    let first = futures_util::future::join_all(first).await.into_iter().flat_map(Result::unwrap);
    let first = first.map(|stored| stored.key).next().unwrap();
    chiren::service::backup::bring(&source, &blobs, &first).await.unwrap().unwrap();
    let (code, out, said) = restore(&target, &[]);
    assert!(code == 0 && out.contains("0 of them copied now"), "{out}{said}");
    assert_verified(&config).await;
    // Twice is not.
    assert_eq!(restore(&target, &[]).0, 1);

    // The documents' own folder is no place for a backup, and a backup none for a restore.
    let own = path(&gateway.config.repository.documents).to_owned();
    let (code, _, said) = command(&["backup", "--config", path(&file), "--to", &own]);
    assert!(code == 1 && said.contains("documents themselves"), "{said}");
    let mut elsewhere = config.clone();
    elsewhere.repository.enabled = false;
    elsewhere.database.url = format!("sqlite:{}", dir.path().join("other.db").display());
    let other = write_config(dir.path(), &elsewhere);
    let (code, _, said) = restore(&other, &[]);
    assert!(code == 1 && said.contains("repository.enabled"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_document_is_named_and_the_rest_is_kept() {
    let gateway = Gateway::start().await;
    publish(&gateway.soap(), PATIENT).await;
    publish(&gateway.soap(), PATIENT).await;
    let lost = walk(&gateway.config.repository.documents.join("objects")).remove(0);
    let key = lost.file_name().unwrap().to_str().unwrap().to_owned();
    let bytes = std::fs::read(&lost).unwrap();
    std::fs::remove_file(&lost).unwrap();
    let file = file_of(&gateway);
    let to = tempfile::tempdir().unwrap();
    let backup = || command(&["backup", "--config", path(&file), "--to", path(to.path())]);
    let (code, out, _) = backup();
    assert!(code == 4 && out.contains(&format!("document {key}: missing")), "{out}");
    let (code, out, _) = command(&["verify-backup", "--from", path(to.path())]);
    assert!(code == 4 && out.contains("document-lost") && out.contains(&key), "{out}");
    let dir = tempfile::tempdir().unwrap();
    let config = empty(&dir, false).await;
    let target = write_config(dir.path(), &config);
    let (code, out, _) = command(&["restore", "--config", path(&target), "--from", path(to.path())]);
    assert!(code == 4 && out.contains(&key), "{out}");
    assert_eq!(walk(&config.repository.documents.join("objects")).len(), 1);
    // Altered is as bad as lost.
    std::fs::write(&lost, vec![0; bytes.len()]).unwrap();
    let (code, out, _) = backup();
    assert!(code == 4 && out.contains(&format!("document {key}: SHA-256 is")), "{out}");
    // Found again, it is in all backups whose rows refer to it.
    std::fs::write(&lost, bytes).unwrap();
    assert_eq!(backup().0, 0);
    assert_eq!(command(&["verify-backup", "--from", path(to.path()), "--all"]).0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_are_kept_once_and_go_with_the_last_backup_that_needs_them() {
    let gateway = Gateway::start().await;
    let gone = publish(&gateway.soap(), PATIENT).await;
    publish(&gateway.soap(), PATIENT).await;
    let file = file_of(&gateway);
    let to = tempfile::tempdir().unwrap();
    let backup = |keep: &str| {
        let (code, out, said) =
            command(&["backup", "--config", path(&file), "--to", path(to.path()), "--keep", keep, "--json"]);
        assert_eq!(code, 0, "{out}{said}");
        serde_json::from_str::<serde_json::Value>(&out).unwrap()
    };
    let objects = || gateway::count(&to.path().join("objects"));
    assert_eq!(backup("2")["newDocuments"], 2);
    publish(&gateway.soap(), PATIENT).await;
    let second = backup("2");
    assert_eq!((&second["documents"], &second["newDocuments"]), (&3.into(), &1.into()));
    let removed: Result<u64, DbError> = gateway
        .rooms()
        .db
        .write(move |tx| {
            let gone = gone.clone();
            Box::pin(async move {
                tx.exec("DELETE FROM repository_document WHERE unique_id = $1", &[Val::Text(&gone)]).await
            })
        })
        .await;
    assert_eq!(removed, Ok(1));
    let third = backup("2");
    assert_eq!(third["generationsRemoved"].as_array().unwrap().len(), 1);
    assert_eq!((objects(), generations(to.path()).len()), (3, 2), "the second backup still needs all three");
    let fourth = backup("2");
    assert_eq!(fourth["documentsRemoved"], 1);
    assert_eq!((objects(), generations(to.path()).len()), (2, 2));
    backup("1");
    assert_eq!(generations(to.path()).len(), 1);
    // The document that was taken out of the index is a fault of the database; the backup says so.
    let (code, out, _) = command(&["verify-backup", "--from", path(to.path())]);
    assert!(code == 4 && out.contains("verify missing: Document"), "{out}");

    // For us alone.
    for file in walk(to.path()) {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        let dir = file.parent().unwrap();
        if dir != to.path() {
            assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o777, 0o700, "{dir:?}");
        }
    }
}
