//! The assigning authorities this gateway knows, under every name senders have for them: those of the configuration,
//! and those that operators added while it runs ([`authorities`](super::authorities)).

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::config::{DomainKind, MpiConfig, MpiDomainConfig};
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
    /// Its ids are known and found, but no feed brings any more.
    pub retired: bool,
    pad_to: usize,
    strip: bool,
}

impl Domain {
    fn of(row: &MpiDomainConfig, oid: String, retired: bool) -> Self {
        Self {
            oid,
            namespace: row.namespace.clone(),
            name: row.name.clone(),
            kind: row.kind,
            retired,
            pad_to: usize::try_from(row.pad_to).unwrap_or_default(),
            strip: row.strip,
        }
    }

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

/// All of them. Clones share what is added.
#[derive(Debug, Clone)]
pub struct Domains(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    network: Arc<Domain>,
    forbidden: Vec<String>,
    configured: Table,
    now: RwLock<Arc<Table>>,
}

#[derive(Debug, Clone, Default)]
struct Table {
    list: Vec<Arc<Domain>>,
    /// OIDs, namespaces and aliases.
    names: HashMap<String, usize>,
    /// MSH-3 and MSH-4; `*` stands for any.
    senders: Vec<(String, String, usize)>,
}

/// Every name of a domain.
pub(super) fn names_of<'r>(row: &'r MpiDomainConfig, oid: &'r str) -> impl Iterator<Item = &'r str> {
    let aliases = row.aliases.iter().map(String::as_str);
    [oid, row.namespace.as_str()].into_iter().chain(aliases).filter(|name| !name.is_empty())
}

impl Table {
    fn add(&mut self, row: &MpiDomainConfig, oid: &str, retired: bool) -> Arc<Domain> {
        let at = self.list.len();
        let domain = Arc::new(Domain::of(row, oid.to_owned(), retired));
        self.list.push(domain.clone());
        for name in names_of(row, oid) {
            self.names.entry(name.to_owned()).or_insert(at);
        }
        for sender in &row.senders {
            if let Some((application, facility)) = sender.split_once('|') {
                self.senders.push((application.to_owned(), facility.to_owned(), at));
            }
        }
        domain
    }

    fn by_name(&self, name: &str) -> Option<Arc<Domain>> {
        self.names.get(name).and_then(|at| self.list.get(*at)).cloned()
    }
}

impl Domains {
    /// Those of the configuration, the network's own (`network.patient_id_authority`) among them.
    pub fn new(config: &MpiConfig, network: &str) -> Self {
        let mut table = Table::default();
        for row in &config.domain {
            if let Some(oid) = row.oid(network) {
                table.add(row, &oid, false);
            }
        }
        let own = match table.list.iter().find(|d| d.oid == network) {
            Some(own) => own.clone(),
            None => {
                let row = MpiDomainConfig { kind: DomainKind::Network, ..MpiDomainConfig::default() };
                table.add(&row, network, false)
            }
        };
        Self(Arc::new(Shared {
            network: own,
            forbidden: config.forbidden_authorities.clone(),
            now: RwLock::new(Arc::new(table.clone())),
            configured: table,
        }))
    }

    /// From now on these are known too: OID, row, whether it is retired. Where one has a name that the configuration
    /// gives to another, the configuration's word counts; those are told.
    pub(super) fn follow(&self, stored: &[(String, MpiDomainConfig, bool)]) -> Vec<String> {
        let mut table = self.0.configured.clone();
        let mut hidden = vec![];
        for (oid, row, retired) in stored {
            match names_of(row, oid).any(|name| table.names.contains_key(name)) {
                true => hidden.push(oid.clone()),
                false => {
                    table.add(row, oid, *retired);
                }
            }
        }
        *self.0.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
        hidden
    }

    fn now(&self) -> Arc<Table> {
        self.0.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the configuration has a domain of this name.
    pub(super) fn is_configured(&self, name: &str) -> bool {
        self.0.configured.names.contains_key(name)
    }

    /// The domain an authority means. The OID decides where there is one; a namespace else.
    pub fn resolve(&self, authority: &Authority) -> Option<Arc<Domain>> {
        let names = [&authority.universal_id, &authority.namespace];
        let name = names.into_iter().flatten().find(|name| !name.is_empty())?;
        self.by_name(name)
    }

    /// The domain of an OID, a namespace or an alias.
    pub fn by_name(&self, name: &str) -> Option<Arc<Domain>> {
        self.now().by_name(name)
    }

    /// Whose ids a sender's are where it names no authority: what the wire knows of the connection, the
    /// configured senders, or the facility's OID in MSH-4.2.
    pub fn of_sender(&self, source: &Source) -> Option<Arc<Domain>> {
        if let Some(authority) = &source.default_authority {
            return self.resolve(authority);
        }
        let table = self.now();
        let fits = |rule: &str, said: &str| rule == "*" || rule == said;
        let configured = table
            .senders
            .iter()
            .find(|(a, f, _)| fits(a, &source.application) && fits(f, &source.facility))
            .and_then(|(_, _, at)| table.list.get(*at))
            .cloned();
        configured.or_else(|| source.facility_oid.as_ref().and_then(|oid| table.by_name(oid)))
    }

    /// The network's own (地連患者ID).
    pub fn network(&self) -> &Domain {
        &self.0.network
    }

    /// Whether ids of this authority are refused by law, whatever they look like.
    pub fn is_forbidden(&self, authority: &Authority) -> bool {
        [&authority.universal_id, &authority.namespace]
            .into_iter()
            .flatten()
            .any(|name| self.0.forbidden.contains(name))
    }

    /// In order: the configured ones, then those added.
    pub fn list(&self) -> Vec<Arc<Domain>> {
        self.now().list.clone()
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
        assert_eq!(*d.by_name("1.2.1").unwrap(), *d.network());
        assert!(d.is_forbidden(&Authority::oid("1.2.3.12")));
        assert_eq!(d.list().len(), 4);
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

    #[test]
    fn what_is_added_is_known_at_once_and_the_configuration_counts_first() {
        let d = domains();
        let shared = d.clone();
        let row = |namespace: &str, senders: &[&str]| MpiDomainConfig {
            namespace: namespace.into(),
            senders: senders.iter().map(|s| (*s).to_owned()).collect(),
            ..MpiDomainConfig::default()
        };
        let added = [
            ("1.2.6".to_owned(), row("KITA", &["HIS|KITA"]), false),
            ("1.2.7".to_owned(), row("CHUO", &[]), false),
            ("1.2.8".to_owned(), row("MINAMI", &[]), true),
        ];
        assert_eq!(d.follow(&added), ["1.2.7"]);
        assert_eq!(shared.by_name("KITA").unwrap().oid, "1.2.6");
        let source = Source { application: "HIS".into(), facility: "KITA".into(), ..Source::default() };
        assert_eq!(shared.of_sender(&source).unwrap().oid, "1.2.6");
        assert!(
            shared.by_name("1.2.7").is_none() && shared.by_name("CHUO").unwrap().oid.ends_with("11312345670")
        );
        assert!(shared.by_name("MINAMI").unwrap().retired && !shared.by_name("KITA").unwrap().retired);
        assert!(d.follow(&[]).is_empty() && shared.by_name("KITA").is_none());
    }
}
