//! `[repository]`: documents, and the registry they are registered at.

use std::path::PathBuf;

use super::encryption::EncryptionConfig;
use super::fault::{Fault, Faults};
use super::peer::PeerConfig;
use super::s3::S3Config;
use super::section::section;

section! {
    /// The document repository (ITI-41, ITI-43, ITI-86).
    pub struct RepositoryConfig {
        /// Whether this program is a repository.
        enabled: bool = true,
        /// The repositoryUniqueId, an OID (ITI TF-3 4.2.3.2.18).
        unique_id: String = String::new(); example "\"2.999.392.1.3\"",
        /// The folder that holds the documents; it must be on one file system with its subfolders.
        /// Several gateways may share it.
        documents: PathBuf = "/var/lib/chiren/documents".into(),
        /// Hours after which a document that no entry refers to is removed: what a crash or a cut
        /// upload left behind.
        sweep_age_hours: u64 = 24,
        /// Minutes between two such sweeps.
        sweep_interval_minutes: u64 = 60,
        /// Whether a document that our own registry still lists may be removed (ITI-86). `false` answers
        /// XDSRemoveDocumentsError: its metadata is to be removed first (ITI-62).
        remove_registered: bool = false,
        /// Documents made at retrieval.
        on_demand: OnDemandConfig = OnDemandConfig::default(); table,
        /// The registry of another system to register at (ITI-42). Absent: our own.
        remote_registry: Option<PeerConfig> = None; table,
        /// Documents in a bucket. Absent: in the folder.
        s3: Option<S3Config> = None; table,
        /// Documents encrypted by this program. Absent: as they came.
        encryption: Option<EncryptionConfig> = None; table,
    }
}

section! {
    /// Documents made when they are retrieved, for on-demand entries (ITI-61) with our repositoryUniqueId.
    /// They need our own registry.
    pub struct OnDemandConfig {
        /// Whether what was made is kept: stored, and registered as a snapshot of the on-demand entry,
        /// before it is given out. A snapshot with other content replaces the one before it.
        persist: bool = false,
    }
}

impl RepositoryConfig {
    pub(super) fn check(&self, examples_allowed: bool, list: &mut Vec<Fault>) {
        if !self.enabled {
            return;
        }
        let mut faults = Faults::of("repository", list);
        faults.oid("unique_id", &self.unique_id, examples_allowed);
        if self.documents.as_os_str().is_empty() {
            faults.missing("documents");
        } else if self.documents.exists() && !self.documents.is_dir() {
            faults.add(
                "documents",
                format!("{} is not a folder", self.documents.display()),
                format!("{} はフォルダではありません", self.documents.display()),
            );
        }
        faults.range("sweep_age_hours", self.sweep_age_hours, 1, 24 * 365);
        faults.range("sweep_interval_minutes", self.sweep_interval_minutes, 1, 24 * 60 * 7);
        if self.on_demand.persist && self.remote_registry.is_some() {
            faults.warn(
                "on_demand.persist",
                "has no effect: documents are made at retrieval only for entries of our own registry",
                "効果がありません。オンデマンド文書は自身のレジストリに登録されたものだけを作成します",
            );
        }
        if let Some(peer) = &self.remote_registry {
            peer.check("repository.remote_registry", list);
        }
        if let Some(s3) = &self.s3 {
            s3.check(list);
        }
        if let Some(encryption) = &self.encryption {
            encryption.check(list);
        }
    }
}
