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
        /// KiB of one source's documents that are read before the answer begins, so that one which breaks off is an
        /// error in the answer and not its end. What is larger passes through while it comes.
        hold_kib: u64 = 4096,
        /// Milliseconds for which that is waited at most, once the source has answered.
        hold_ms: u64 = 2_000,
        /// MiB of documents held in all, of all requests; beyond them nothing is held.
        hold_all_mib: u64 = 64,
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
        faults.range("hold_kib", self.hold_kib, 0, 1 << 20);
        faults.range("hold_ms", self.hold_ms, 0, 600_000);
        faults.range("hold_all_mib", self.hold_all_mib, 0, 1 << 20);
        match self.directory(written, home, authority, examples) {
            Ok((_, warnings)) => list.extend(warnings),
            Err(found) => list.extend(found),
        }
    }

    /// A request that is given up after `seconds` must have its answer before.
    pub(super) fn check_time(&self, seconds: u64, list: &mut Vec<Fault>) {
        let mut faults = Faults::of("gateway", list);
        let deadlines =
            [("deadline_ms", self.deadline_ms), ("retrieve_deadline_ms", self.retrieve_deadline_ms)];
        for (key, deadline) in deadlines {
            if deadline >= seconds.saturating_mul(1000) {
                faults.add(
                    key,
                    "must be less than limits.request_seconds, after which the request itself is given up",
                    "limits.request_seconds（リクエスト自体の打ち切り時間）より短くしてください",
                );
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(spoil: impl FnOnce(&mut GatewayConfig)) -> Vec<String> {
        let mut config = GatewayConfig { enabled: true, ..GatewayConfig::default() };
        spoil(&mut config);
        let mut list = vec![];
        config.check(&CommunityFile::default(), "urn:oid:1.2.392.1", "1.2.392.2", false, &mut list);
        config.check_time(60, &mut list);
        list.into_iter().map(|f| f.key).collect()
    }

    #[test]
    fn a_good_section_has_no_faults_and_each_spoiling_is_named() {
        assert_eq!(keys(|_| {}), Vec::<String>::new());
        type Spoil = fn(&mut GatewayConfig);
        let cases: &[(&str, Spoil)] = &[
            ("gateway.look_seconds", |c| c.look_seconds = 0),
            ("gateway.deadline_ms", |c| c.deadline_ms = 1),
            ("gateway.deadline_ms", |c| c.deadline_ms = 60_000),
            ("gateway.retrieve_deadline_ms", |c| c.retrieve_deadline_ms = 60_000),
            ("gateway.communities", |c| c.communities = Some("/no/such".into())),
        ];
        for (key, spoil) in cases {
            assert_eq!(keys(spoil), [*key]);
        }
    }

    #[test]
    fn a_file_that_is_no_list_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("communities.toml");
        std::fs::write(&path, "[[communities]]\n").unwrap();
        assert_eq!(keys(|c| c.communities = Some(path)), ["gateway.communities"]);
    }
}
