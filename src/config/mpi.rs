//! `[mpi]`: the index of patients (統合MPI), its domains, and who is told of changes.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::fault::{Fault, Faults, is_oid};
use super::section::section;
use super::tls::{self, TlsProfile};

/// What kind of assigning authority a domain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DomainKind {
    /// A hospital, clinic, pharmacy …: its patients are ours.
    Facility,
    /// The network's own ids (地連患者ID).
    Network,
    /// Another network's ids.
    Neighbour,
}

/// In front of a 10-digit facility code, it gives the OID of the facility's patient ids (JP Core).
pub const FACILITY_ARC: &str = "1.2.392.100495.20.3.51.1";

section! {
    /// The master patient index (統合MPI): feeds, links, identifier and demographics queries.
    pub struct MpiConfig {
        /// Whether this program is the network's patient index. It then issues the network's patient ids
        /// (地連患者ID), and makes them known to its registry.
        enabled: bool = false,
        /// Digits of an id issued, its check digit included; ids are at most 15 characters (CX.1).
        id_length: u64 = 10,
        /// Whether the last digit of an id issued is a check digit (Luhn).
        id_check_digit: bool = true,
        /// Letters or digits that every id issued begins with, beside the digits counted above.
        id_prefix: String = String::new(),
        /// Whether feeds may bring ids of the network's own domain that were not issued here: where another
        /// system is the network's source of patient ids. Else such an id is refused.
        accept_network_ids: bool = false,
        /// Whether health insurance numbers (被保険者番号) are kept and compared. Whether a network may is a
        /// question of law (告知要求制限); off: they are not even stored.
        insurance: bool = true,
        /// Identities (patients of all facilities together) to be expected. Weights never assume fewer, so that
        /// what is decided on the first day is what would be decided on the last.
        expected_identities: u64 = 200_000,
        /// File of the matching model: weights and thresholds, as `chiren mpi train` writes it. None: the one
        /// last accepted (`chiren mpi accept`), or else the one shipped.
        model: Option<PathBuf> = None; commented "\"/etc/chiren/mpi-model.json\"",
        /// Identities looked at under one blocking key at most; what more there are is counted and skipped.
        block_limit: u64 = 400,
        /// Patients in an answer, where the question does not say.
        page_size: u64 = 50,
        /// Patients that a demographics query may find; with more it is answered with the first of them.
        query_results: u64 = 1000,
        /// Minutes for which the rest of an answer may be asked for.
        continuation_minutes: u64 = 10,
        /// What this index calls itself where it speaks first (MSH-3 and MSH-4 of ITI-10).
        application: String = "CHIREN".into(),
        facility: String = String::new(),
        /// Whether listeners of role ops answer `/mpi/reviews`: the worklist of what the machine cannot decide,
        /// and decisions. That is patients' data, so such a listener must be on loopback or its `tls` `mutual`.
        reviews: bool = false,
        /// Authorities (namespace or OID) whose ids are refused by law: those of 個人番号.
        forbidden_authorities: Vec<String> = vec![],
        /// The assigning authorities, a `[[mpi.domain]]` each.
        domain: Vec<MpiDomainConfig> = vec![]; table,
        /// Who is told when the ids of a patient change, a `[[mpi.consumer]]` each.
        consumer: Vec<MpiConsumerConfig> = vec![]; table,
    }
}

section! {
    /// An assigning authority of patient ids. The network's own, `network.patient_id_authority`, is there
    /// without being listed; a table of kind `network` gives it a namespace.
    pub struct MpiDomainConfig {
        /// The name people know it by.
        name: String = String::new(); example "\"中央病院\"",
        /// `facility`, `network` (the network's own ids) or `neighbour` (another network's).
        kind: DomainKind = DomainKind::Facility,
        /// The facility's 10-digit code (都道府県, 点数表, 医療機関コード): gives the OID where `oid` says none.
        facility: Option<String> = None; example "\"1312345670\"",
        /// The OID of the authority.
        oid: Option<String> = None; commented "\"1.2.392.100495.20.3.51.11312345670\"",
        /// Its namespace in HL7 v2 (CX.4.1), at most 20 characters.
        namespace: String = String::new(); example "\"CHUO\"",
        /// Other OIDs and namespaces that mean the same: former names, a facility taken over.
        aliases: Vec<String> = vec![],
        /// Senders whose ids without an authority are this domain's: `MSH-3|MSH-4`, either may be `*`.
        senders: Vec<String> = vec![]; example "[\"HIS|CHUO\"]",
        /// Digits that shorter all-digit ids are padded to with zeros, where the facility sends both forms.
        /// 0: ids stay as sent.
        pad_to: u64 = 0,
        /// Whether leading zeros are taken off, where the facility sends both forms.
        strip: bool = false,
    }
}

section! {
    /// A system that is told when the ids of a patient change: ITI-10 over MLLP or ITI-46 over SOAP.
    pub struct MpiConsumerConfig {
        /// A short name, used in the outbox, logs and metrics.
        name: String = String::new(); example "\"emr-chuo\"",
        /// Where: `mllp://host:port`, `mllps://host:port` (ITI-10), `https://…` or `http://…` (ITI-46).
        url: String = String::new(); example "\"mllps://emr.example.jp:2575\"",
        /// Domains (OIDs) it wants to hear of. None: all.
        domains: Vec<String> = vec![],
        /// Its application and facility: MSH-5 and MSH-6 of ITI-10.
        application: String = String::new(); example "\"EMR\"",
        facility: String = String::new(); example "\"CHUO\"",
        /// The OID of its device: receiver of ITI-46.
        device: Option<String> = None; commented "\"2.999.392.5\"",
        /// PEM files of the authorities (or the very certificate) that vouch for its certificate.
        server_ca: Vec<PathBuf> = vec![]; example "[\"/etc/chiren/tls/nodes-ca.pem\"]",
        /// PEM file of the certificate we present, with its chain.
        certificate: Option<PathBuf> = None; commented "\"/etc/chiren/tls/gateway.pem\"",
        /// PEM file of its private key.
        private_key: Option<PathBuf> = None; commented "\"/etc/chiren/tls/gateway.key\"",
        /// TLS versions and suites, as for a listener.
        tls_profile: TlsProfile = TlsProfile::JpHigh,
        /// Seconds to connect, the TLS handshake included.
        connect_seconds: u64 = 10,
        /// Seconds its answer may take.
        answer_seconds: u64 = 30,
    }
}

impl MpiDomainConfig {
    /// What is wrong with it by itself.
    pub fn faults(&self, network: &str, examples: bool) -> Vec<Fault> {
        let mut list = vec![];
        self.check(network, examples, &mut Faults::of("domain", &mut list));
        list
    }

    /// The OID: as said, or told by the facility code, or the network's.
    pub fn oid(&self, network: &str) -> Option<String> {
        match (&self.oid, &self.facility, self.kind) {
            (Some(oid), _, _) => Some(oid.clone()),
            (None, Some(code), _) => Some(format!("{FACILITY_ARC}{code}")),
            (None, None, DomainKind::Network) => Some(network.to_owned()),
            (None, None, _) => None,
        }
    }
}

/// Whether text is a 10-digit facility code: prefecture 01 to 47, 点数表, and seven digits.
pub fn is_facility_code(code: &str) -> bool {
    let prefecture = code.get(..2).and_then(|p| p.parse::<u8>().ok());
    code.len() == 10
        && code.bytes().all(|b| b.is_ascii_digit())
        && prefecture.is_some_and(|p| (1..=47).contains(&p))
}

impl MpiConfig {
    pub(super) fn check(&self, network: &str, examples: bool, list: &mut Vec<Fault>) {
        if !self.enabled {
            return;
        }
        let mut faults = Faults::of("mpi", list);
        faults.range("id_length", self.id_length, 6, 15);
        faults.range("expected_identities", self.expected_identities, 1, 1_000_000_000);
        faults.range("block_limit", self.block_limit, 10, 100_000);
        faults.range("page_size", self.page_size, 1, 1000);
        faults.range("query_results", self.query_results, 1, 100_000);
        faults.range("continuation_minutes", self.continuation_minutes, 1, 1440);
        let prefix = &self.id_prefix;
        if !prefix.bytes().all(|b| b.is_ascii_alphanumeric())
            || prefix.len() as u64 + self.id_length.min(15) > 15
        {
            faults.add(
                "id_prefix",
                "must be letters and digits, and with the digits of id_length at most 15 characters",
                "英数字とし、id_length の桁数と合わせて 15 文字以内にしてください",
            );
        }
        let mut taken: Vec<(String, usize)> = vec![];
        for (i, domain) in self.domain.iter().enumerate() {
            let mut faults = Faults::of(format!("mpi.domain[{i}]"), list);
            domain.check(network, examples, &mut faults);
            let names = domain
                .oid(network)
                .into_iter()
                .chain([domain.namespace.clone()])
                .chain(domain.aliases.iter().cloned())
                .filter(|name| !name.is_empty());
            for name in names {
                match taken.iter().find(|(other, _)| *other == name) {
                    Some((_, j)) if *j != i => faults.add(
                        "aliases",
                        format!("{name:?} names mpi.domain[{j}] too"),
                        format!("{name:?} は mpi.domain[{j}] の名前と重複しています"),
                    ),
                    _ => taken.push((name, i)),
                }
            }
        }
        let mut names: Vec<&str> = vec![];
        for (i, consumer) in self.consumer.iter().enumerate() {
            let mut faults = Faults::of(format!("mpi.consumer[{i}]"), list);
            if names.contains(&consumer.name.as_str()) {
                faults.add("name", "is another consumer's too", "ほかの通知先の名前と重複しています");
            }
            names.push(&consumer.name);
            consumer.check(&taken, network, &mut faults);
        }
    }
}

impl MpiDomainConfig {
    fn check(&self, network: &str, examples: bool, faults: &mut Faults<'_>) {
        if let Some(code) = &self.facility
            && !is_facility_code(code)
        {
            faults.add(
                "facility",
                format!("{code:?} is no facility code: ten digits, the first two from 01 to 47"),
                format!("{code:?} は医療機関コードではありません（10 桁、先頭 2 桁は 01〜47）"),
            );
        }
        match (self.kind, self.oid(network)) {
            (_, None) => faults.missing("oid"),
            (DomainKind::Network, Some(oid)) if oid != network => faults.add(
                "oid",
                "the network's own domain is network.patient_id_authority",
                "自ネットワークのドメインは network.patient_id_authority と同じにしてください",
            ),
            (DomainKind::Facility | DomainKind::Neighbour, Some(oid)) if oid == network => faults.add(
                "kind",
                "network.patient_id_authority is of kind network",
                "network.patient_id_authority の kind は network にしてください",
            ),
            (_, Some(oid)) => faults.oid("oid", &oid, examples),
        }
        if self.namespace.chars().count() > 20
            || self.namespace.contains(['^', '&', '~', '|', '\\'])
            || is_oid(&self.namespace)
        {
            faults.add(
                "namespace",
                "must be at most 20 characters, none of ^ & ~ | \\, and no OID",
                "20 文字以内で ^ & ~ | \\ を含まず、OID でない名前にしてください",
            );
        }
        for sender in &self.senders {
            if sender.split('|').count() != 2 || sender.as_str() == "*|*" {
                faults.add(
                    "senders",
                    format!("{sender:?} is not of the form MSH-3|MSH-4"),
                    format!("{sender:?} は MSH-3|MSH-4 の形式ではありません"),
                );
            }
        }
        if self.pad_to > 15 {
            faults.range("pad_to", self.pad_to, 0, 15);
        }
        if self.strip && self.pad_to > 0 {
            faults.add(
                "strip",
                "ids cannot be both padded and stripped",
                "pad_to と strip は同時に指定できません",
            );
        }
    }
}

impl MpiConsumerConfig {
    /// Whether it speaks HL7 v2 (ITI-10); HL7 v3 (ITI-46) else.
    pub fn is_mllp(&self) -> bool {
        self.url.starts_with("mllp://") || self.url.starts_with("mllps://")
    }

    fn check(&self, domains: &[(String, usize)], network: &str, faults: &mut Faults<'_>) {
        if self.name.is_empty() {
            faults.missing("name");
        }
        let scheme = self.url.split_once("://").map(|(scheme, _)| scheme);
        let host = self.url.parse::<http::Uri>().is_ok_and(|u| u.host().is_some_and(|h| !h.is_empty()));
        match scheme {
            _ if self.url.is_empty() => faults.missing("url"),
            Some("mllps" | "https") if host => {
                if self.server_ca.is_empty() {
                    faults.missing("server_ca");
                }
                tls::check_anchors("server_ca", &self.server_ca, faults);
                match (&self.certificate, &self.private_key) {
                    (None, None) => {}
                    (Some(certificate), Some(key)) => tls::check_identity(certificate, key, faults),
                    (None, Some(_)) => faults.missing("certificate"),
                    (Some(_), None) => faults.missing("private_key"),
                }
            }
            Some("mllp" | "http") if host => faults.warn(
                "url",
                "is not encrypted; patient data would travel in the clear",
                "暗号化されていません。患者情報が平文で送信されます",
            ),
            _ => faults.add(
                "url",
                format!("{:?} is not an mllp, mllps, http or https address", self.url),
                format!("{:?} は mllp、mllps、http、https のアドレスではありません", self.url),
            ),
        }
        for domain in &self.domains {
            if domain != network && !domains.iter().any(|(name, _)| name == domain) {
                faults.add(
                    "domains",
                    format!("{domain:?} is none of the configured domains"),
                    format!("{domain:?} は設定されたドメインではありません"),
                );
            }
        }
        faults.range("connect_seconds", self.connect_seconds, 1, 600);
        faults.range("answer_seconds", self.answer_seconds, 1, 3600);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
        enabled = true
        [[domain]]
        name = '中央病院'
        facility = '1312345670'
        namespace = 'CHUO'
        senders = ['HIS|CHUO']
        [[consumer]]
        name = 'emr'
        url = 'mllp://127.0.0.1:2575'
        domains = ['CHUO']
    ";

    fn keys(config: &MpiConfig) -> Vec<String> {
        let mut list = vec![];
        config.check("1.2.392.9.2", false, &mut list);
        list.into_iter().filter(Fault::refuses).map(|f| f.key).collect()
    }

    #[test]
    fn a_good_section_has_no_faults_and_each_spoiling_is_named() {
        let good: MpiConfig = toml::from_str(GOOD).unwrap();
        assert_eq!(keys(&good), Vec::<String>::new());
        assert_eq!(
            good.domain[0].oid("").as_deref(),
            Some("1.2.392.100495.20.3.51.11312345670"),
            "the ten digits follow the arc's literal 1 immediately"
        );
        type Spoil = fn(&mut MpiConfig);
        let cases: &[(&str, Spoil)] = &[
            ("mpi.id_length", |c| c.id_length = 16),
            ("mpi.id_prefix", |c| c.id_prefix = "ABCDEF".into()),
            ("mpi.id_prefix", |c| c.id_prefix = "^".into()),
            ("mpi.expected_identities", |c| c.expected_identities = 0),
            ("mpi.block_limit", |c| c.block_limit = 0),
            ("mpi.page_size", |c| c.page_size = 0),
            ("mpi.query_results", |c| c.query_results = 0),
            ("mpi.continuation_minutes", |c| c.continuation_minutes = 0),
            ("mpi.domain[0].facility", |c| c.domain[0].facility = Some("4812345670".into())),
            ("mpi.domain[0].oid", |c| c.domain[0].facility = None),
            ("mpi.domain[0].oid", |c| c.domain[0].oid = Some("2.999.1".into())),
            ("mpi.domain[0].kind", |c| c.domain[0].oid = Some("1.2.392.9.2".into())),
            ("mpi.domain[0].oid", |c| c.domain[0].kind = DomainKind::Network),
            ("mpi.domain[0].namespace", |c| {
                c.domain[0].namespace = "1.2.3".into();
                c.consumer[0].domains.clear();
            }),
            ("mpi.domain[0].senders", |c| c.domain[0].senders = vec!["HIS".into()]),
            ("mpi.domain[0].pad_to", |c| c.domain[0].pad_to = 16),
            ("mpi.domain[0].strip", |c| {
                c.domain[0].pad_to = 8;
                c.domain[0].strip = true;
            }),
            ("mpi.domain[1].aliases", |c| {
                let mut other = c.domain[0].clone();
                other.facility = Some("1312345671".into());
                c.domain.push(other);
            }),
            ("mpi.consumer[0].name", |c| c.consumer[0].name = String::new()),
            ("mpi.consumer[0].url", |c| c.consumer[0].url = "ftp://x".into()),
            ("mpi.consumer[0].server_ca", |c| c.consumer[0].url = "mllps://x:1".into()),
            ("mpi.consumer[0].domains", |c| c.consumer[0].domains = vec!["1.2.3".into()]),
            ("mpi.consumer[0].connect_seconds", |c| c.consumer[0].connect_seconds = 0),
        ];
        for (i, (key, spoil)) in cases.iter().enumerate() {
            let mut config = good.clone();
            spoil(&mut config);
            assert_eq!(keys(&config), [*key], "case {i}");
        }
    }
}
