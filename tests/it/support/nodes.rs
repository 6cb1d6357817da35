//! Directories of nodes for tests, and the records they lead to.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use chiren::config::Config;
use chiren::model::audit::{AuditEvent, SECURITY_ALERT};

use super::Gateway;

/// A directory in a file, rewritten as the test goes on.
pub struct DirectoryFile {
    _dir: tempfile::TempDir,
    pub path: PathBuf,
}

impl DirectoryFile {
    pub fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("nodes.toml");
        std::fs::write(&path, text).expect("written");
        Self { _dir: dir, path }
    }

    pub fn rewrite(&self, text: &str) {
        std::fs::write(&self.path, text).expect("written");
    }

    pub fn configure(&self, config: &mut Config) {
        config.nodes.directory = Some(self.path.clone());
    }
}

/// A node known by the DNS name that `Pki` certifies for everybody, so that one is told by its hash.
pub fn node(id: &str, certificate: &str, more: &str) -> String {
    format!("[[node]]\nid = '{id}'\ncertificates = ['{certificate}']\n{more}\n")
}

/// Waits for a security alert with these labels: records are written beside the answer.
pub async fn alert(gateway: &Gateway, labels: [&str; 2]) -> AuditEvent {
    let begun = Instant::now();
    loop {
        let all = gateway.audit().await;
        if let Some(found) = all.iter().find(|e| e.errors == labels) {
            assert!(found.transaction == SECURITY_ALERT || labels[1] == "transaction", "{found:?}");
            return found.clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "no {labels:?} in {all:#?}");
        tokio::task::yield_now().await;
    }
}
