//! `[consent]`: whether what patients allow is asked for, and by which rules.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::fault::{Fault, unreadable};
use super::section::section;
use crate::model::consent::{Mode, Network};

section! {
    /// Consent: what patients, facilities and the network permit (docs/consent.md).
    pub struct ConsentConfig {
        /// `off`: whoever a listener admits may read what the network holds. `opt-in`: other facilities are shown
        /// nothing without the patient's consent. `opt-out`: they are shown what is released until the patient refuses.
        mode: Mode = Mode::Off,
        /// The network's rules: facilities and groups, kinds of data, releases, roles, consent policies. It is read again
        /// on SIGHUP; with a fault in it the rules before stay in force. None: everything is released to everybody,
        /// HPKI's doctors see what is restricted, other roles what is normal.
        rules: Option<PathBuf> = None; commented "\"/etc/chiren/consent.toml\"",
        /// Transactions that tell nobody of a patient whose consent does not reach them; a facility's own patients
        /// are always told.
        patients: Vec<String> = ["ITI-9", "ITI-21", "ITI-45", "ITI-47", "ITI-55", "ITI-56", "ITI-78", "ITI-83", "ITI-119"]
            .map(String::from).into(),
        /// Whether listeners of role ops take attestations and break-glass at `/consent` (docs/consent.md). Such a
        /// listener must be on loopback or its `tls` `mutual`.
        face: bool = false,
    }
}

impl ConsentConfig {
    /// The rules of the file, or those built in.
    pub fn network(&self, home: &str) -> Result<Network, Vec<Fault>> {
        match &self.rules {
            None => ready(Network::default(), self.mode, home, "", Path::new("")),
            Some(path) => {
                let text =
                    std::fs::read_to_string(path).map_err(|e| vec![unreadable("consent.rules", path, e)])?;
                let network: Network = toml::from_str(&text).map_err(|e| {
                    vec![Fault::new(
                        "consent.rules",
                        format!("file {} cannot be understood: {e}", path.display()),
                        format!("ファイル {} に誤りがあります: {e}", path.display()),
                    )]
                })?;
                let digest: String =
                    Sha256::digest(text.as_bytes()).iter().take(4).map(|b| format!("{b:02x}")).collect();
                ready(network, self.mode, home, &digest, path)
            }
        }
    }

    pub(super) fn check(
        &self,
        home: &str,
        known: &dyn Fn(&str) -> bool,
        registry: bool,
        list: &mut Vec<Fault>,
    ) {
        if let Err(faults) = self.network(home) {
            list.extend(faults);
        }
        for name in self.patients.iter().filter(|name| !known(name)) {
            list.push(Fault::new(
                "consent.patients",
                format!("'{name}' is no transaction that tells of patients, such as \"ITI-47\""),
                format!("'{name}' は患者照会のトランザクション（例: \"ITI-47\"）ではありません"),
            ));
        }
        if self.mode != Mode::Off && !registry {
            list.push(Fault::new(
                "consent.mode",
                "consent is decided where documents are registered: the registry must be enabled here",
                "同意の判定は登録情報に基づくため、本装置のレジストリを有効にしてください",
            ));
        }
    }
}

fn ready(network: Network, mode: Mode, home: &str, digest: &str, path: &Path) -> Result<Network, Vec<Fault>> {
    network.ready(mode, home, digest).map_err(|faults| {
        let told = |fault: crate::model::consent::network::PolicyFault| {
            let place = path.display();
            Fault::new(
                "consent.rules",
                format!("file {place}: {fault}"),
                format!("ファイル {place} に誤りがあります: {fault}"),
            )
        };
        faults.into_iter().map(told).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_from_their_file_and_every_fault_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("consent.toml");
        let config = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let config =
                ConsentConfig { mode: Mode::OptIn, rules: Some(path.clone()), ..ConsentConfig::default() };
            config.network("urn:oid:2.999.1")
        };
        let network = config(
            "version = '3'\n[[facility]]\noid = 'urn:oid:1.2.3'\naliases = ['1312345670']\ngroups = ['薬局']\n\
             [[kind]]\nname = '精神科'\ncodes = ['typeCode=1|1.2']\nlevel = 'R'\n\
             [[release]]\nsource = 'facility:1.2.3'\ndata = ['@精神科']\naudience = ['group:薬局']\n",
        )
        .unwrap();
        assert!(network.version.starts_with("3/") && network.version.len() == 10, "{}", network.version);
        assert_eq!(network.listed("1312345670").map(|f| &*f.oid), Some("1.2.3"));
        assert_eq!((network.mode, network.release.len()), (Mode::OptIn, 1));
        let faults = config(
            "[[release]]\ndata = ['@x']\naudience = ['group:y']\n[[facility]]\n[[kind]]\nname = 'z'\n[[policy]]\n",
        )
        .unwrap_err();
        let said: Vec<&str> = faults.iter().map(|f| f.key.as_str()).collect();
        assert_eq!(said, ["consent.rules"; 5], "{faults:?}");
        assert!(config("[[release]]\naudience = ['nobody']\n").is_err());
        assert!(ConsentConfig { rules: Some("/no/such".into()), ..Default::default() }.network("").is_err());
    }
}
