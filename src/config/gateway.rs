//! `[gateway]`: exchange with other networks (XCA), and the file that lists them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::community::{CommunityConfig, ForeignRepositoryConfig, check_all};
use super::fault::{Fault, Faults};
use super::section::section;

section! {
    /// Exchange with other networks: ITI-38 and ITI-39, answered (Responding Gateway) and sent for our own
    /// consumers' ITI-18 and ITI-43 (Initiating Gateway, with the option XDS Affinity Domain).
    pub struct GatewayConfig {
        /// Whether this program is the network's gateway. It answers other gateways at `/xca/iti38` and
        /// `/xca/iti39`, our own consumers at `/xca/iti18` and `/xca/iti43`.
        enabled: bool = false,
        /// A file of `[[community]]` and `[[foreign_repository]]` tables, beside those in this file. It is read
        /// again when it changes and on SIGHUP; with a fault in it the list before stays in force.
        communities: Option<PathBuf> = None; commented "\"/etc/chiren/communities.toml\"",
        /// Seconds between two looks at whether the file has changed.
        look_seconds: u64 = 5,
        /// Milliseconds within which a consumer's query is answered with what has come by then.
        deadline_ms: u64 = 10_000,
        /// Milliseconds within which a retrieval's answer begins. Documents may take longer, while they move.
        retrieve_deadline_ms: u64 = 30_000,
    }
}

/// The file of communities.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CommunityFile {
    pub community: Vec<CommunityConfig>,
    pub foreign_repository: Vec<ForeignRepositoryConfig>,
}

impl CommunityFile {
    /// Reads the file, without judging what stands in it.
    pub fn read(path: &Path) -> Result<Self, Fault> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|e| super::fault::unreadable("gateway.communities", path, e))?;
        toml::from_str(&text).map_err(|e| {
            Fault::new(
                "gateway.communities",
                format!("file {shown} cannot be understood: {e}"),
                format!("ファイル {shown} に誤りがあります: {e}"),
            )
        })
    }
}

impl GatewayConfig {
    pub(super) fn check(
        &self,
        written: &CommunityFile,
        home: &str,
        authority: &str,
        examples: bool,
        list: &mut Vec<Fault>,
    ) {
        if !self.enabled {
            return;
        }
        let mut faults = Faults::of("gateway", list);
        faults.range("look_seconds", self.look_seconds, 1, 3600);
        faults.range("deadline_ms", self.deadline_ms, 100, 600_000);
        faults.range("retrieve_deadline_ms", self.retrieve_deadline_ms, 100, 600_000);
        match self.directory(written, home, authority, examples) {
            Ok((_, warnings)) => list.extend(warnings),
            Err(found) => list.extend(found),
        }
    }

    /// All communities and repositories: those `written` in the configuration, then those of the file; with the
    /// warnings about them, or every fault.
    pub fn directory(
        &self,
        written: &CommunityFile,
        home: &str,
        authority: &str,
        examples: bool,
    ) -> Result<(CommunityFile, Vec<Fault>), Vec<Fault>> {
        let mut all = written.clone();
        if let Some(path) = &self.communities {
            let more = CommunityFile::read(path).map_err(|fault| vec![fault])?;
            all.community.extend(more.community);
            all.foreign_repository.extend(more.foreign_repository);
        }
        let mut list = vec![];
        check_all(&all, home, authority, examples, &mut list);
        if list.iter().any(Fault::refuses) { Err(list) } else { Ok((all, list)) }
    }
}
