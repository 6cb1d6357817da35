//! Documents encrypted at rest: through the gateway, when it starts without its keys, and when keys change.

use chiren::app::Running;
use chiren::server::clock::Clock;

use crate::support::Gateway;
use crate::support::gateway::encryption;
use crate::support::process::{chiren, write_config};
use crate::support::samples::{REPOSITORY, submission};

const OCTETS: &[u8] = b"a patient's letter, which nobody may read on the disk";

async fn encrypted() -> (Gateway, String) {
    let dir = tempfile::tempdir().unwrap();
    let mut config = crate::support::gateway::config(&dir).await;
    config.repository.s3 = None;
    config.repository.encryption = Some(encryption(dir.path(), &[1]));
    let gateway = Gateway::start_in(dir, config).await;
    let mut s = submission();
    for e in &mut s.document_entries {
        (e.hash, e.size) = (None, None);
    }
    gateway.soap().provide(&s, &[("DE", OCTETS)]).await.assert_success();
    (gateway, s.document_entries.remove(0).unique_id)
}

fn object(gateway: &Gateway) -> std::path::PathBuf {
    let mut folder = gateway.config.repository.documents.join("objects");
    while folder.is_dir() {
        folder = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    }
    folder
}

#[tokio::test]
async fn a_document_comes_back_and_does_not_lie_there_in_clear() {
    let (gateway, id) = encrypted().await;
    let answer = gateway.soap().retrieve(REPOSITORY, &[&id]).await;
    assert_eq!(&answer.documents()[0].1[..], OCTETS);
    let file = std::fs::read(object(&gateway)).unwrap();
    assert!(memchr::memmem::find(&file, OCTETS).is_none());
    // The size that the registry has is that of the document.
    assert_eq!(answer.documents()[0].1.len(), OCTETS.len());
}

#[tokio::test]
async fn an_altered_document_is_an_error() {
    let (gateway, id) = encrypted().await;
    let path = object(&gateway);
    let mut file = std::fs::read(&path).unwrap();
    *file.last_mut().unwrap() ^= 1;
    std::fs::write(&path, file).unwrap();
    let answer = gateway.soap().retrieve(REPOSITORY, &[&id]).await;
    answer.assert_failure(&["XDSRepositoryError"]);
    assert!(answer.headers.get("retry-after").is_none(), "it does not pass by itself");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_changed_by_command_and_every_document_is_verified() {
    let (gateway, id) = encrypted().await;
    let (dir, mut config) = gateway.stop().await;
    let run = |config: &chiren::config::Config, arguments: &[&str]| {
        let file = write_config(dir.path(), config);
        let output = chiren().args(arguments).arg("--config").arg(file).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), text)
    };
    let verify = |config: &_| run(config, &["verify", "--as-of", "2026-11-22T04:00:00Z"]);
    assert_eq!(verify(&config).0, Some(0), "{}", verify(&config).1);

    // Without its key, a document is neither shown nor thought altered.
    config.repository.encryption = Some(encryption(dir.path(), &[2]));
    let (code, text) = verify(&config);
    assert_eq!((code, text.contains("document-locked")), (Some(4), true), "{text}");
    assert_eq!(run(&config, &["documents", "rekey"]).0, Some(4));

    config.repository.encryption = Some(encryption(dir.path(), &[2, 1]));
    let (code, text) = run(&config, &["documents", "rekey"]);
    assert!(code == Some(0) && text.contains("1 documents brought under the first key"), "{text}");
    config.repository.encryption = Some(encryption(dir.path(), &[2]));
    assert_eq!(verify(&config).0, Some(0), "{}", verify(&config).1);
    let gateway = Gateway::start_in(dir, config).await;
    assert_eq!(&gateway.soap().retrieve(REPOSITORY, &[&id]).await.documents()[0].1[..], OCTETS);
}

#[tokio::test]
async fn without_its_key_file_a_gateway_does_not_start() {
    let (gateway, _) = encrypted().await;
    let (dir, mut config) = gateway.stop().await;
    let clock = Clock::at("2026-11-22T03:00:00Z".parse().unwrap());
    config.repository.encryption.as_mut().unwrap().key_file = dir.path().join("lost.keys");
    assert!(Running::start(&config, clock.clone(), None).await.is_err());
    let file = write_config(dir.path(), &config);
    let output = chiren().args(["check", "--config"]).arg(file).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(text.contains("error: repository.encryption.key_file:"), "{text}");
}
