//! A remote system we send to: its address, and how both sides prove who they are.

use std::path::PathBuf;

use super::fault::{Fault, Faults};
use super::section::section;
use super::tls::{self, TlsProfile};

section! {
    /// A remote system.
    pub struct PeerConfig {
        /// Its SOAP endpoint, `https://…` or, on a protected network only, `http://…`.
        url: String = String::new(); example "\"https://registry.example.jp:8443/iti42\"",
        /// PEM files of the authorities (or the very certificate) that vouch for its certificate.
        /// Public web authorities are not trusted.
        server_ca: Vec<PathBuf> = vec![]; example "[\"/etc/chiren/tls/nodes-ca.pem\"]",
        /// PEM file of the certificate we present, with its chain.
        certificate: Option<PathBuf> = None; commented "\"/etc/chiren/tls/gateway.pem\"",
        /// PEM file of its private key.
        private_key: Option<PathBuf> = None; commented "\"/etc/chiren/tls/gateway.key\"",
        /// TLS versions and suites, as for a listener.
        tls_profile: TlsProfile = TlsProfile::JpHigh,
        /// Seconds to connect, the TLS handshake included.
        connect_seconds: u64 = 10,
        /// Seconds its answer may take to begin, and the longest silence within it.
        answer_seconds: u64 = 60,
        /// Size of an answer, in MiB.
        answer_mib: u64 = 64,
        /// A proxy to go through, `http://host:port`. The environment's proxy settings are ignored.
        proxy: Option<String> = None; commented "\"http://proxy.example.jp:3128\"",
    }
}

impl PeerConfig {
    /// Checks the table that stands under `section`.
    pub fn check(&self, section: &str, list: &mut Vec<Fault>) {
        let mut faults = Faults::of(section, list);
        let uri = self.url.parse::<http::Uri>().ok();
        let scheme =
            uri.as_ref().filter(|uri| uri.host().is_some_and(|h| !h.is_empty())).and_then(|u| u.scheme_str());
        match scheme {
            _ if self.url.is_empty() => faults.missing("url"),
            Some("https") => {
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
            Some("http") => faults.warn(
                "url",
                "is not encrypted; patient data would travel in the clear",
                "暗号化されていません。患者情報が平文で送信されます",
            ),
            _ => faults.add(
                "url",
                format!("{:?} is not an http or https address", self.url),
                format!("{:?} は http または https のアドレスではありません", self.url),
            ),
        }
        if let Some(proxy) = &self.proxy
            && !proxy.starts_with("http://")
        {
            faults.add("proxy", "must be http://host:port", "http://ホスト:ポート の形式にしてください");
        }
        faults.range("connect_seconds", self.connect_seconds, 1, 600);
        faults.range("answer_seconds", self.answer_seconds, 1, 3600);
        faults.range("answer_mib", self.answer_mib, 1, 1 << 20);
    }
}
