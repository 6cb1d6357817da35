//! `[audit]`: which access leaves a record (ITI-20), who is sent it, who may read it, how long it is kept.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::encryption::{EncryptionConfig, KeyFileError, SecretKey};
use super::fault::{Fault, Faults};
use super::section::section;
use super::tls::{self, TlsProfile};

section! {
    /// Audit records (ITI-20). Submissions, retrievals and SOAP faults always leave one.
    pub struct AuditConfig {
        /// Whether queries leave one too.
        queries: bool = true,
        /// What this gateway is called in its records (AuditSourceID): an OID or a host name that stays. Empty: the
        /// OID of the community.
        source_id: String = String::new(),
        /// Our network access point in records, and HOSTNAME of syslog. Empty: the name of the machine.
        host: String = String::new(),
        /// A file of keys, closed to others, kept outside the database: one a line, 32 octets in base64 or
        /// hexadecimal. The first vouches for the chain over the records, all verify.
        key_file: Option<PathBuf> = None; commented "\"/etc/chiren/audit.keys\"",
        /// A file that checkpoints of the chain are added to every 10,000 records or 10 minutes, best on another
        /// machine's disk: without it, nobody sees that the end of the trail was cut off.
        checkpoints: Option<PathBuf> = None; commented "\"/mnt/worm/chiren-audit.checkpoints\"",
        /// Milliseconds between two looks for records that wait for the chain, and to be sent on.
        chain_milliseconds: u64 = 250,
        /// Years that records are kept before `chiren audit purge` may take them out.
        keep_years: u64 = 10,
        /// Failures within a minute, of faults and handshakes, that are an alarm: one record and a metric. 0: none.
        alarm_failures: u64 = 300,
        /// Address at which datagrams (RFC 5426) of other systems are taken, for relays that cannot do better.
        udp: Option<SocketAddr> = None; commented "\"127.0.0.1:514\"",
        /// Who may search the records at `/fhir/AuditEvent` (ITI-81), each list by itself sufficient; all empty: nobody.
        /// Names of listeners of role fhir: whoever reaches one.
        search_listeners: Vec<String> = vec![],
        /// Nodes, by their name in the directory or SHA-256 of their certificate, in hexadecimal.
        search_nodes: Vec<String> = vec![],
        /// Roles of users, as `codeSystem|code`.
        search_roles: Vec<String> = vec![],
        /// Repositories that our records are sent to, an `[[audit.repository]]` each.
        repository: Vec<AuditRepositoryConfig> = vec![]; table,
    }
}

section! {
    /// An audit repository. Records wait in the database until it has them, in their order.
    pub struct AuditRepositoryConfig {
        /// A short name, used in logs and metrics, and for the place it has come to: a new name begins anew.
        name: String = String::new(); example "\"arr\"",
        /// `tls://host:port` (RFC 5425); on the same machine only `tcp://…`, or `udp://…`, which may lose records and
        /// must not be the only one.
        url: String = String::new(); example "\"tls://arr.example.jp:6514\"",
        /// PEM files of the authorities that vouch for its certificate.
        server_ca: Vec<PathBuf> = vec![]; example "[\"/etc/chiren/tls/nodes-ca.pem\"]",
        /// PEM file of the certificate we present, with its chain.
        certificate: Option<PathBuf> = None; commented "\"/etc/chiren/tls/gateway.pem\"",
        /// PEM file of its private key.
        private_key: Option<PathBuf> = None; commented "\"/etc/chiren/tls/gateway.key\"",
        /// TLS versions and suites, as for a listener.
        tls_profile: TlsProfile = TlsProfile::JpHigh,
        /// Seconds to connect, the TLS handshake included.
        connect_seconds: u64 = 10,
        /// Seconds in which what we write must be taken.
        write_seconds: u64 = 30,
        /// Seconds the connection must stand after a record was written before it counts as delivered.
        confirm_seconds: u64 = 5,
    }
}

impl AuditConfig {
    /// The keys, the one that signs first; none without a file.
    pub fn keys(&self) -> Result<Vec<SecretKey>, KeyFileError> {
        match &self.key_file {
            None => Ok(vec![]),
            Some(key_file) => EncryptionConfig { key_file: key_file.clone() }.keys(),
        }
    }

    /// Whether anybody may search.
    pub fn is_searched(&self) -> bool {
        !(self.search_listeners.is_empty() && self.search_nodes.is_empty() && self.search_roles.is_empty())
    }

    /// Our network access point.
    pub fn host(&self) -> String {
        match self.host.trim() {
            "" => {
                let name = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
                Some(name.trim().to_owned()).filter(|n| !n.is_empty()).unwrap_or_else(|| "localhost".into())
            }
            host => host.to_owned(),
        }
    }

    pub(super) fn check(&self, listeners: &[super::ListenerConfig], list: &mut Vec<Fault>) {
        let mut faults = Faults::of("audit", list);
        if let Err(e) = self.keys() {
            faults.add("key_file", e.to_string(), format!("鍵ファイルを使用できません: {e}"));
        }
        faults.range("chain_milliseconds", self.chain_milliseconds, 50, 3_600_000);
        faults.range("keep_years", self.keep_years, 1, 200);
        for (i, name) in self.search_listeners.iter().enumerate() {
            if !listeners.iter().any(|l| l.name == *name && l.role == super::Role::Fhir) {
                faults.add(
                    &format!("search_listeners[{i}]"),
                    format!("{name:?} is no listener of role fhir"),
                    format!("{name:?} は role が fhir のリスナーではありません"),
                );
            }
        }
        for (i, repository) in self.repository.iter().enumerate() {
            let same = self.repository.iter().take(i).any(|other| other.name == repository.name);
            repository.check(&format!("audit.repository[{i}]"), same, list);
        }
        if !self.repository.is_empty() && self.repository.iter().all(|r| r.url.starts_with("udp://")) {
            Faults::of("audit", list).warn(
                "repository",
                "records go by datagrams only, which may be lost",
                "監査記録の送信先が UDP だけです。記録が失われる可能性があります",
            );
        }
    }
}

impl AuditRepositoryConfig {
    fn check(&self, section: &str, same_name: bool, list: &mut Vec<Fault>) {
        let mut faults = Faults::of(section, list);
        if self.name.is_empty() {
            faults.missing("name");
        } else if same_name {
            faults.add(
                "name",
                format!("{:?} is there twice", self.name),
                format!("{:?} が重複しています", self.name),
            );
        }
        let address =
            self.url.split_once("://").map(|(scheme, rest)| (scheme, rest.parse::<http::uri::Authority>()));
        match address {
            _ if self.url.is_empty() => faults.missing("url"),
            Some(("tls", Ok(_))) => {
                if self.server_ca.is_empty() {
                    faults.missing("server_ca");
                }
                tls::check_anchors("server_ca", &self.server_ca, &mut faults);
                match (&self.certificate, &self.private_key) {
                    (None, None) => {}
                    (Some(certificate), Some(key)) => tls::check_identity(certificate, key, &mut faults),
                    (None, Some(_)) => faults.missing("certificate"),
                    (Some(_), None) => faults.missing("private_key"),
                }
            }
            Some(("tcp" | "udp", Ok(authority))) => {
                let host = authority.host().trim_start_matches('[').trim_end_matches(']');
                let near =
                    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
                if !near {
                    faults.warn(
                        "url",
                        "is not encrypted; records name patients and would travel in the clear",
                        "暗号化されていません。患者を特定できる監査記録が平文で送信されます",
                    );
                }
            }
            _ => faults.add(
                "url",
                format!("{:?} is not tls://host:port, tcp://host:port or udp://host:port", self.url),
                format!("{:?} は tls://、tcp://、udp:// のいずれかのアドレスではありません", self.url),
            ),
        }
        faults.range("connect_seconds", self.connect_seconds, 1, 600);
        faults.range("write_seconds", self.write_seconds, 1, 600);
        faults.range("confirm_seconds", self.confirm_seconds, 1, 600);
    }
}
