//! `[xua]`: who asks, by assertions (ITI-40).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::fault::{Fault, Faults};
use super::section::section;
use super::tls;

/// Whether a request must name its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum XuaMode {
    /// Assertions are not looked at.
    #[default]
    Off,
    /// One that is there must hold.
    Optional,
    Required,
}

section! {
    /// User assertions (XUA, ITI-40): SAML 2.0 in the `wsse:Security` header of SOAP requests. One that is checked
    /// must hold in every respect, or the request is refused with a WS-Security fault.
    pub struct XuaConfig {
        /// `off`: the header is treated as `soap.security_header` says. `optional`: an assertion that is there must
        /// hold. `required`: each request has one.
        mode: XuaMode = XuaMode::Off,
        /// Transactions for which it is otherwise, such as ITI-41, each with its mode.
        transactions: BTreeMap<String, XuaMode> = BTreeMap::new(),
        /// What this service is called: one of these must stand in every AudienceRestriction. URIs.
        audiences: Vec<String> = vec![]; example "[\"urn:oid:2.999.392.1.1\"]",
        /// Seconds by which the issuer's clock and ours may differ; at most 300.
        skew_seconds: u64 = 180,
        /// Hours for which an assertion may be valid at most.
        lifetime_hours: u64 = 12,
        /// Roles (urn:oasis:names:tc:xacml:2.0:subject:role) that may ask: `codeSystem` for all of it, or
        /// `codeSystem|code`. Of the roles of an assertion one must be among them. The default is HPKI's hcRole.
        /// Empty: no role is asked for.
        roles: Vec<String> = vec!["1.2.392.100495.1.6.1.1".into()],
        /// Whether the organization-id of an assertion must be the URI in the certificate of the node that sends
        /// it (subjectAltName), where the certificate has one.
        bind_organization: bool = true,
        /// Communities beside ours whose users may ask (homeCommunityId, `urn:oid:…`).
        communities: Vec<String> = vec![],
        /// Who makes assertions that are trusted, a `[[xua.issuer]]` each.
        issuer: Vec<XuaIssuerConfig> = vec![]; table,
    }
}

section! {
    /// An issuer of assertions (X-Assertion Provider).
    pub struct XuaIssuerConfig {
        /// `Assertion/Issuer`, exactly.
        name: String = String::new(); example "\"https://idp.example.jp/saml\"",
        /// PEM files of the certificates it signs with; two while one follows another. RSA of 2048 bits and more,
        /// or P-256 or P-384.
        certificates: Vec<PathBuf> = vec![]; example "[\"/etc/chiren/xua/idp.pem\"]",
    }
}

impl XuaConfig {
    /// Whether some request's user is looked at.
    pub fn is_on(&self) -> bool {
        self.mode != XuaMode::Off || self.transactions.values().any(|m| *m != XuaMode::Off)
    }

    pub fn mode_of(&self, transaction: &str) -> XuaMode {
        self.transactions.get(transaction).copied().unwrap_or(self.mode)
    }

    pub(super) fn check(&self, known: &dyn Fn(&str) -> bool, list: &mut Vec<Fault>) {
        let mut faults = Faults::of("xua", list);
        faults.range("skew_seconds", self.skew_seconds, 0, 300);
        faults.range("lifetime_hours", self.lifetime_hours, 1, 24);
        for name in self.transactions.keys().filter(|name| !known(name)) {
            list.push(Fault::new(
                format!("xua.transactions.{name}"),
                "is no SOAP transaction of this gateway, such as \"ITI-18\"",
                "この装置の SOAP トランザクション（例: \"ITI-18\"）ではありません",
            ));
        }
        if !self.is_on() {
            return;
        }
        if self.audiences.is_empty() {
            list.push(Fault::new(
                "xua.audiences",
                "is needed where assertions are checked: what they are for must be this service",
                "アサーションを検査する場合は必要です（本サービス宛であることを確認するため）",
            ));
        }
        if self.issuer.is_empty() {
            list.push(Fault::new(
                "xua.issuer",
                "no [[xua.issuer]] is there, so no assertion could be trusted",
                "[[xua.issuer]] がないため、どのアサーションも信頼できません",
            ));
        }
        for (i, issuer) in self.issuer.iter().enumerate() {
            let key = format!("xua.issuer[{i}]");
            if issuer.name.is_empty() {
                list.push(Fault::new(
                    format!("{key}.name"),
                    "is empty; it is what Assertion/Issuer must be",
                    "空です。Assertion/Issuer と一致する名前を指定してください",
                ));
            }
            if issuer.certificates.is_empty() {
                list.push(Fault::new(
                    format!("{key}.certificates"),
                    "names no certificate",
                    "証明書が指定されていません",
                ));
            }
            for (n, path) in issuer.certificates.iter().enumerate() {
                if let Err(e) = tls::certificates(path) {
                    list.push(Fault::new(
                        format!("{key}.certificates[{n}]"),
                        e.to_string(),
                        format!("証明書を読み込めません: {e}"),
                    ));
                }
            }
        }
    }
}
