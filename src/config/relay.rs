//! The configuration of `chiren relay`: the gateway's hand inside a facility, where the institution's certificate is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::fault::{self, Fault};
use super::listener::ListenerConfig;
use super::mapping::{self, Mapping};
use super::national::{EgressConfig, Via};
use super::section::{self, section};
use super::{LoadError, PeerConfig};
use crate::model::national::is_institution;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelayConfig {
    pub relay: RelaySection,
    /// Where the gateway connects to; `mutual` TLS.
    pub listener: ListenerConfig,
    /// How the national service is reached from here: `direct` or `folder`.
    pub egress: EgressConfig,
}

section! {
    /// The relay of one institution: takes sealed jobs of the gateway and does nothing else.
    pub struct RelaySection {
        /// The institution's ten digits. Jobs of another are refused.
        institution: String = String::new(); example "\"1319900018\"",
        /// File of the key that jobs and answers are sealed with, 64 hexadecimal digits, as the gateway has it.
        seal_key: PathBuf = PathBuf::new(); example "\"/etc/chiren/relay.key\"",
        /// Seconds a job may be old. The clocks of relay and gateway must agree to well within it.
        job_seconds: u64 = 300,
        /// Files of mappings beside the built-in one.
        mappings: Vec<PathBuf> = vec![],
    }
}

impl RelayConfig {
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let text = std::fs::read_to_string(path)
            .map_err(|cause| LoadError::Unreadable { path: path.to_owned(), cause })?;
        toml::from_str(&text).map_err(|cause| LoadError::File { path: path.to_owned(), cause })
    }

    pub fn load_mappings(&self) -> Result<BTreeMap<String, Mapping>, Fault> {
        mapping::load("relay.mappings", &self.relay.mappings)
    }

    /// Every fault.
    pub fn check(&self) -> Vec<Fault> {
        let mut list = vec![];
        if !is_institution(&self.relay.institution) {
            list.push(Fault::new(
                "relay.institution",
                "is no institution number of ten digits",
                "10 桁の医療機関コードではありません",
            ));
        }
        if self.relay.seal_key.as_os_str().is_empty() {
            list.push(fault::missing("relay.seal_key"));
        }
        let mappings = self.load_mappings().unwrap_or_else(|fault| {
            list.push(fault);
            BTreeMap::new()
        });
        if self.egress.via == Via::Relay {
            list.push(Fault::new(
                "egress.via",
                "must be direct or folder",
                "direct または folder にしてください",
            ));
        } else {
            self.egress.check_way("egress", &mappings, &mut list);
        }
        list
    }
}

/// The example file, printed by `chiren relay --example`.
pub fn example() -> String {
    let mut out = String::from("# Chiren Gateway: example configuration of a relay (chiren relay).\n\n");
    section::print::<RelaySection>(&mut out, "[relay]");
    section::print::<ListenerConfig>(&mut out, "[listener]");
    section::print::<EgressConfig>(&mut out, "[egress]");
    section::print_commented::<PeerConfig>(&mut out, "[egress.peer]");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_reads_back() {
        let config: RelayConfig = toml::from_str(&example()).unwrap();
        let keys: Vec<String> = config.check().into_iter().map(|f| f.key).collect();
        assert_eq!(keys, ["egress.via"]);
    }
}
