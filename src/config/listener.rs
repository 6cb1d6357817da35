//! `[[listener]]`: the doors.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::fault::{Fault, Faults};
use super::section::section;
use super::tls::{self, TlsProfile};

/// What a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The SOAP transactions, and `/health/live` and `/health/ready`.
    Soap,
    /// HL7 v2 over MLLP: feeds and questions of the index of patients.
    Mllp,
    /// FHIR R4 for the index of patients, and the health endpoints.
    Fhir,
    /// `/metrics` and the health endpoints, for the operator's own network.
    Ops,
    /// Audit records of other systems: syslog over TLS (ITI-20).
    Audit,
}

/// Whether a listener speaks TLS, and what it asks of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    None,
    Server,
    Optional,
    Mutual,
}

section! {
    /// A listening address. The table may be repeated.
    pub struct ListenerConfig {
        /// A short name, used in logs and metrics.
        name: String = String::new(); example "\"soap\"",
        /// Address and port.
        address: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8443)); example "\"0.0.0.0:8443\"",
        /// `soap`: the transactions; `mllp`: HL7 v2 for the index of patients; `fhir`: FHIR for it, and the search
        /// for audit records; `audit`: takes audit records of others; `ops`: metrics and health.
        role: Role = Role::Soap,
        /// `mutual`: clients must present a certificate; `optional`: they may; `server`: only ours
        /// is shown; `none`: plain HTTP, for loopback or behind a TLS-terminating neighbour.
        tls: TlsMode = TlsMode::Mutual,
        /// PEM file of our certificate, followed by its chain.
        certificate: Option<PathBuf> = None; example "\"/etc/chiren/tls/gateway.pem\"",
        /// PEM file of its private key (PKCS#8, SEC1 or PKCS#1).
        private_key: Option<PathBuf> = None; example "\"/etc/chiren/tls/gateway.key\"",
        /// PEM files of the authorities of the clients we trust.
        client_ca: Vec<PathBuf> = vec![]; example "[\"/etc/chiren/tls/nodes-ca.pem\"]",
        /// Revocation lists (CRL) of those authorities, DER or PEM: files, or folders of `*.crl`, `*.der` and
        /// `*.pem`. Of each issuer the newest counts. Where there is one, every authority needs one.
        crl: Vec<PathBuf> = vec![]; commented "[\"/etc/chiren/tls/crl\"]",
        /// Hours for which a list is used after its time (nextUpdate) is over, 0 to 72. Then its authority's nodes
        /// are refused.
        crl_grace_hours: u64 = 0,
        /// An OCSP answer about our certificate (DER), shown to clients that ask for it.
        ocsp_staple: Option<PathBuf> = None; commented "\"/etc/chiren/tls/gateway.ocsp\"",
        /// `jp-high`: TLS 1.3 only (CRYPTREC 高セキュリティ型); `jp-high-12`: TLS 1.2 too, for
        /// systems that cannot yet; `atna-bcp195`: TLS 1.2 with the suites of ITI-19's BCP195 option.
        tls_profile: TlsProfile = TlsProfile::JpHigh,
        /// Host names this listener answers to, with or without port. None: any.
        hosts: Vec<String> = vec![],
        /// Connections in all.
        max_connections: usize = 2000,
        /// Connections from one address.
        max_connections_per_address: usize = 100,
    }
}

impl ListenerConfig {
    pub(super) fn check(&self, index: usize, list: &mut Vec<Fault>) {
        let mut faults = Faults::of(format!("listener[{index}]"), list);
        if self.name.is_empty() {
            faults.missing("name");
        }
        faults.range("max_connections", self.max_connections as u64, 1, 100_000);
        faults.range("max_connections_per_address", self.max_connections_per_address as u64, 1, 100_000);
        if self.tls == TlsMode::None {
            if matches!(self.role, Role::Soap | Role::Mllp | Role::Fhir | Role::Audit)
                && !self.address.ip().is_loopback()
            {
                faults.warn(
                    "tls",
                    "is \"none\" on an address others can reach; patient data would travel in the clear",
                    "外部から到達できるアドレスで \"none\" です。患者情報が平文で送受信されます",
                );
            }
            return;
        }
        match (&self.certificate, &self.private_key) {
            (Some(certificate), Some(key)) => tls::check_identity(certificate, key, &mut faults),
            (certificate, key) => {
                if certificate.is_none() {
                    faults.missing("certificate");
                }
                if key.is_none() {
                    faults.missing("private_key");
                }
            }
        }
        if let Some(path) = &self.ocsp_staple
            && let Err(e) = std::fs::File::open(path)
        {
            let fault = super::fault::unreadable(&faults.key("ocsp_staple"), path, e);
            faults.push(fault);
        }
        if matches!(self.tls, TlsMode::Optional | TlsMode::Mutual) {
            if self.client_ca.is_empty() {
                faults.missing("client_ca");
            }
            tls::check_anchors("client_ca", &self.client_ca, &mut faults);
            if !self.crl.is_empty() {
                super::crl::check(&self.crl, self.crl_grace_hours, &self.client_ca, &mut faults);
            }
            faults.range("crl_grace_hours", self.crl_grace_hours, 0, 72);
        }
    }
}

/// `key` shows patients' data on listeners of role ops: nobody unknown may reach one.
pub(super) fn check_private(listeners: &[ListenerConfig], key: &str, list: &mut Vec<Fault>) {
    for (i, listener) in listeners.iter().enumerate() {
        let private = listener.address.ip().is_loopback() || listener.tls == TlsMode::Mutual;
        if listener.role == Role::Ops && !private {
            Faults::of(format!("listener[{i}]"), list).add(
                "tls",
                format!("must be \"mutual\", or the address loopback, where {key} is true"),
                format!("{key} が true の場合は \"mutual\" にするか、アドレスをループバックにしてください"),
            );
        }
    }
}

/// Doors that nobody of the directory of nodes has to show a certificate at.
pub(super) fn check_nodes(listeners: &[ListenerConfig], list: &mut Vec<Fault>) {
    for (i, listener) in listeners.iter().enumerate() {
        let private = listener.address.ip().is_loopback() || listener.tls == TlsMode::Mutual;
        if listener.role != Role::Ops && !private {
            Faults::of(format!("listener[{i}]"), list).warn(
                "tls",
                "is not \"mutual\": who shows no certificate is bound by nothing of nodes.directory",
                "\"mutual\" ではないため、証明書を示さない相手には nodes.directory の制限が適用されません",
            );
        }
    }
}

/// A door to an index that is not there. `searched`: FHIR has the audit trail to show all the same.
pub(super) fn check_index(listeners: &[ListenerConfig], searched: bool, list: &mut Vec<Fault>) {
    for (i, listener) in listeners.iter().enumerate() {
        let name = match listener.role {
            Role::Mllp => "mllp",
            Role::Fhir if !searched => "fhir",
            Role::Fhir | Role::Soap | Role::Ops | Role::Audit => continue,
        };
        Faults::of(format!("listener[{i}]"), list).add(
            "role",
            format!("{name:?} needs mpi.enabled"),
            format!("{name:?} には mpi.enabled が必要です"),
        );
    }
}

/// Faults between listeners: the same name or address twice, no door for SOAP.
pub(super) fn check_all(listeners: &[ListenerConfig], list: &mut Vec<Fault>) {
    if !listeners.iter().any(|l| l.role == Role::Soap) {
        list.push(Fault::new(
            "listener",
            "no listener has role \"soap\"",
            "role が \"soap\" のリスナーがありません",
        ));
    }
    for (i, listener) in listeners.iter().enumerate() {
        listener.check(i, list);
        let mut faults = Faults::of(format!("listener[{i}]"), list);
        for (j, other) in listeners.iter().enumerate().take(i) {
            let same_ip = listener.address.ip() == other.address.ip()
                || listener.address.ip().is_unspecified()
                || other.address.ip().is_unspecified();
            if same_ip && listener.address.port() == other.address.port() && listener.address.port() != 0 {
                faults.add(
                    "address",
                    format!("{} is taken by listener[{j}]", listener.address),
                    format!("{} は listener[{j}] が使用しています", listener.address),
                );
            }
            if !listener.name.is_empty() && listener.name == other.name {
                faults.add(
                    "name",
                    format!("{:?} is the name of listener[{j}] too", listener.name),
                    format!("{:?} は listener[{j}] の名前と重複しています", listener.name),
                );
            }
        }
    }
}
