//! The assigning authorities this gateway knows, under every name senders have for them.

use std::collections::HashMap;

use crate::config::{DomainKind, MpiConfig};
use crate::model::identity::{Authority, Source};

/// An assigning authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// What stands in `identity.domain`.
    pub oid: String,
    /// For CX.4.1; may be empty.
    pub namespace: String,
    pub name: String,
    pub kind: DomainKind,
    pad_to: usize,
    strip: bool,
}

impl Domain {
    /// As answers name it: namespace, OID and type, all three (ITI TF-2 Appendix E).
    pub fn authority(&self) -> Authority {
        Authority {
            namespace: Some(self.namespace.clone()).filter(|n| !n.is_empty()),
            ..Authority::oid(&self.oid)
        }
    }

    /// An id of this domain as it is kept: leading zeros count, unless the facility sends it both with and
    /// without.
    pub fn canonical(&self, value: &str) -> String {
        let digits = value.bytes().all(|b| b.is_ascii_digit());
        if digits && self.strip {
            let short = value.trim_start_matches('0');
            return if short.is_empty() { "0".to_owned() } else { short.to_owned() };
        }
        if digits && value.len() < self.pad_to {
            return format!("{value:0>width$}", width = self.pad_to);
        }
        value.to_owned()
    }
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub struct Domains {
    list: Vec<Domain>,
    /// OIDs, namespaces and aliases.
    names: HashMap<String, usize>,
    /// MSH-3 and MSH-4; `*` stands for any.
    senders: Vec<(String, String, usize)>,
    network: usize,
    forbidden: Vec<String>,
}

impl Domains {
    /// Those of the configuration, the network's own (`network.patient_id_authority`) among them.
    pub fn new(config: &MpiConfig, network: &str) -> Self {
        let mut all = Self { forbidden: config.forbidden_authorities.clone(), ..Self::default() };
        for row in &config.domain {
            let Some(oid) = row.oid(network) else { continue };
            let at = all.list.len();
            all.list.push(Domain {
                oid: oid.clone(),
                namespace: row.namespace.clone(),
                name: row.name.clone(),
                kind: row.kind,
                pad_to: usize::try_from(row.pad_to).unwrap_or_default(),
                strip: row.strip,
            });
            for name in [&oid, &row.namespace].into_iter().chain(&row.aliases).filter(|n| !n.is_empty()) {
                all.names.entry(name.clone()).or_insert(at);
            }
            for sender in &row.senders {
                if let Some((application, facility)) = sender.split_once('|') {
                    all.senders.push((application.to_owned(), facility.to_owned(), at));
                }
            }
        }
        all.network = match all.list.iter().position(|d| d.oid == network) {
            Some(at) => at,
            None => {
                let at = all.list.len();
                all.list.push(Domain {
                    oid: network.to_owned(),
                    namespace: String::new(),
                    name: String::new(),
                    kind: DomainKind::Network,
                    pad_to: 0,
                    strip: false,
                });
                all.names.insert(network.to_owned(), at);
                at
            }
        };
        all
    }

    /// The domain an authority means. The OID decides where there is one; a namespace else.
    pub fn resolve(&self, authority: &Authority) -> Option<&Domain> {
        let names = [&authority.universal_id, &authority.namespace];
        let name = names.into_iter().flatten().find(|name| !name.is_empty())?;
        self.by_name(name)
    }

    /// The domain of an OID, a namespace or an alias.
    pub fn by_name(&self, name: &str) -> Option<&Domain> {
        self.names.get(name).and_then(|at| self.list.get(*at))
    }

    /// Whose ids a sender's are where it names no authority: what the wire knows of the connection, the
    /// configured senders, or the facility's OID in MSH-4.2.
    pub fn of_sender(&self, source: &Source) -> Option<&Domain> {
        if let Some(authority) = &source.default_authority {
            return self.resolve(authority);
        }
        let fits = |rule: &str, said: &str| rule == "*" || rule == said;
        let configured = self
            .senders
            .iter()
            .find(|(a, f, _)| fits(a, &source.application) && fits(f, &source.facility))
            .and_then(|(_, _, at)| self.list.get(*at));
        configured.or_else(|| source.facility_oid.as_ref().and_then(|oid| self.by_name(oid)))
    }

    /// The network's own (地連患者ID).
    pub fn network(&self) -> &Domain {
        &self.list[self.network]
    }

    /// Whether ids of this authority are refused by law, whatever they look like.
    pub fn is_forbidden(&self, authority: &Authority) -> bool {
        [&authority.universal_id, &authority.namespace]
            .into_iter()
            .flatten()
            .any(|name| self.forbidden.contains(name))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Domain> {
        self.list.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domains() -> Domains {
        let config: MpiConfig = toml::from_str(
            "
            forbidden_authorities = ['1.2.3.12']
            [[domain]]
            facility = '1312345670'
            namespace = 'CHUO'
            aliases = ['1.2.9', 'OLD']
            senders = ['HIS|CHUO', '*|NISHI']
            pad_to = 10
            [[domain]]
            oid = '1.2.4'
            strip = true
            [[domain]]
            kind = 'neighbour'
            oid = '1.2.5'
            ",
        )
        .unwrap();
        Domains::new(&config, "1.2.1")
    }

    #[test]
    fn a_domain_is_found_under_all_its_names() {
        let d = domains();
        let facility = "1.2.392.100495.20.3.51.11312345670";
        for name in [facility, "CHUO", "1.2.9", "OLD"] {
            assert_eq!(d.by_name(name).unwrap().oid, facility);
        }
        assert_eq!(d.resolve(&Authority::oid(facility)).unwrap().namespace, "CHUO");
        let both = Authority { namespace: Some("CHUO".into()), ..Authority::oid("1.2.4") };
        assert_eq!(d.resolve(&both).unwrap().oid, "1.2.4", "the OID decides");
        let wrong = Authority { namespace: Some("CHUO".into()), ..Authority::oid("9.9") };
        assert_eq!(d.resolve(&wrong), None);
        assert_eq!(d.resolve(&Authority::default()), None);
        assert_eq!(d.network().kind, DomainKind::Network);
        assert_eq!(d.by_name("1.2.1").unwrap(), d.network());
        assert!(d.is_forbidden(&Authority::oid("1.2.3.12")));
        assert_eq!(d.iter().count(), 4);
    }

    #[test]
    fn senders_imply_a_domain() {
        let d = domains();
        let source = |application: &str, facility: &str| Source {
            application: application.into(),
            facility: facility.into(),
            ..Source::default()
        };
        assert_eq!(d.of_sender(&source("HIS", "CHUO")).unwrap().namespace, "CHUO");
        assert_eq!(d.of_sender(&source("ANY", "NISHI")).unwrap().namespace, "CHUO");
        assert_eq!(d.of_sender(&source("HIS", "HIGASHI")), None);
        let by_oid = Source { facility_oid: Some("1.2.4".into()), ..source("X", "Y") };
        assert_eq!(d.of_sender(&by_oid).unwrap().oid, "1.2.4");
        let told = Source { default_authority: Some(Authority::oid("1.2.5")), ..source("HIS", "CHUO") };
        assert_eq!(d.of_sender(&told).unwrap().oid, "1.2.5");
    }

    #[test]
    fn zeros_count_unless_the_facility_is_careless() {
        let d = domains();
        assert_eq!(d.by_name("CHUO").unwrap().canonical("123"), "0000000123");
        assert_eq!(d.by_name("CHUO").unwrap().canonical("A123"), "A123");
        assert_eq!(d.by_name("1.2.4").unwrap().canonical("000123"), "123");
        assert_eq!(d.by_name("1.2.4").unwrap().canonical("000"), "0");
        assert_eq!(d.by_name("1.2.5").unwrap().canonical("000123"), "000123");
    }
}
