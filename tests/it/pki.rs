//! `chiren pki`: what it makes works with our own listeners, and what it revokes does not.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use chiren::config::{Role, TlsMode, TlsProfile};
use chiren::model::transaction::Transaction;

use crate::support::Gateway;
use crate::support::gateway::listener;
use crate::support::nodes::{DirectoryFile, alert};
use crate::support::process::run;
use crate::support::raw::post;
use crate::support::samples::{PATIENT, find_documents};
use crate::support::soap::{SIMPLE, adhoc_query, envelope};
use crate::support::tls::{Client, TLS13};

fn pki(arguments: &[&str]) -> String {
    let output = run(&[&["pki"], arguments].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn question() -> Vec<u8> {
    let row = Transaction::Iti18.row();
    post(row.path, SIMPLE, envelope(row.request_action, &adhoc_query(&find_documents(PATIENT))).as_bytes())
}

struct Made {
    dir: tempfile::TempDir,
}

impl Made {
    /// An authority, the gateway's certificate, and a hospital's by way of a request.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = Self { dir };
        let (authority, out) = (made.text("authority"), made.text("."));
        pki(&["authority", "--dir", &authority, "--name", "Nodes"]);
        pki(&["issue", "gateway", "--dir", &authority, "--dns", "localhost", "--out", &out]);
        pki(&["request", "hospital", "--uri", "urn:oid:2.999.1", "--out", &out]);
        let csr = made.text("hospital.csr");
        pki(&["sign", &csr, "--dir", &authority, "--out", &out, "--days", "30"]);
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn client(&self) -> Client {
        Client {
            ca: self.path("authority/authority.pem"),
            identity: Some((self.path("hospital.pem"), self.path("hospital.key"))),
            versions: TLS13,
            name: "localhost",
            alpn: &["http/1.1"],
        }
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

const NODES: &str = "[[node]]\nid = 'hospital'\nuris = ['urn:oid:2.999.1']\ntransactions = ['*']\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_certificates_are_let_in_until_they_are_revoked() {
    let made = Made::new();
    for key in ["authority/authority.key", "gateway.key", "hospital.key"] {
        assert_eq!(mode(&made.path(key)), 0o600, "{key}");
    }
    let directory = DirectoryFile::new(NODES);
    let gateway = Gateway::start_with(|c| {
        directory.configure(c);
        let mut secure = listener("tls", Role::Soap);
        secure.tls = TlsMode::Mutual;
        secure.tls_profile = TlsProfile::JpHigh;
        secure.certificate = Some(made.path("gateway.pem"));
        secure.private_key = Some(made.path("gateway.key"));
        secure.client_ca = vec![made.path("authority/authority.pem")];
        secure.crl = vec![made.path("authority/crl")];
        c.listener.push(secure);
    })
    .await;
    let running = gateway.running.as_ref().unwrap();
    let address = running.listening.listeners[2].2;
    let mut open = made.client().connect(address).await.unwrap();
    open.exchange(&question()).await.expect("an answer").soap().assert_success();

    let (hospital, authority) = (made.text("hospital.pem"), made.text("authority"));
    pki(&["revoke", &hospital, "--dir", &authority, "--reason", "key-compromise"]);
    running.trust().look().await;
    assert!(open.ended().await, "the connection of a revoked certificate is closed");
    let again = match made.client().connect(address).await {
        Ok(mut connection) => connection.exchange(&question()).await,
        Err(_) => None,
    };
    assert!(again.is_none());
    alert(&gateway, ["110126", "revoked"]).await;
    assert!(pki(&["list", "--dir", &authority]).contains("KeyCompromise"));

    // A list that cannot be read leaves the one before in force.
    std::fs::write(made.path("authority/crl/authority.crl"), "no list").unwrap();
    running.trust().look().await;
    alert(&gateway, ["110129", "certificates-not-read"]).await;
    let again = made.client().connect(address).await;
    let answered = match again {
        Ok(mut connection) => connection.exchange(&question()).await.is_some(),
        Err(_) => false,
    };
    assert!(!answered);
}

#[test]
fn nothing_is_overwritten_and_mistakes_are_said() {
    let made = Made::new();
    let (authority, out) = (made.text("authority"), made.text("."));
    for wrong in [
        vec!["authority", "--dir", &authority, "--name", "Again"],
        vec!["issue", "gateway", "--dir", &authority, "--dns", "localhost", "--out", &out],
        vec!["issue", "nameless", "--dir", &authority, "--out", &out],
        vec!["issue", "old", "--dir", &authority, "--dns", "x", "--days", "5000", "--out", &out],
        vec!["issue", "../out", "--dir", &authority, "--dns", "x", "--out", &out],
        vec!["revoke", "0abc", "--dir", &authority],
        vec!["crl", "--dir", &out],
    ] {
        let output = run(&[&["pki"], wrong.as_slice()].concat());
        assert!(!output.status.success() && !output.stderr.is_empty(), "{wrong:?}");
    }
    assert!(!made.path("nameless.key").exists());
}

#[test]
fn the_directory_says_whose_a_certificate_is() {
    let made = Made::new();
    let directory = DirectoryFile::new(NODES);
    let file = directory.path.display().to_string();
    let listed = run(&["node", "list", "--directory", &file]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("hospital"));
    let known = run(&["node", "check", "--directory", &file, &made.text("hospital.pem")]);
    assert!(known.status.success(), "{}", String::from_utf8_lossy(&known.stderr));
    assert!(String::from_utf8_lossy(&known.stdout).contains("hospital: admitted"));
    let unknown = run(&["node", "check", "--directory", &file, &made.text("gateway.pem")]);
    assert!(!unknown.status.success());
    directory.rewrite("[[node]]\nid = 'x y'\n");
    let faulty = run(&["node", "check", "--directory", &file, "--lang", "ja"]);
    assert!(!faulty.status.success() && String::from_utf8_lossy(&faulty.stderr).contains("node[0].id"));
}
