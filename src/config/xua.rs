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

/// Where `wsa:MessageID`s are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageIds {
    #[default]
    Database,
    Memory,
    Off,
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
        /// Addresses at which it is otherwise, such as `/xca/iti18`, each with its mode; stronger than `transactions`.
        /// What a community is asked for (`incoming_assertion` in its table) is stronger still.
        endpoints: BTreeMap<String, XuaMode> = BTreeMap::new(),
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
        /// Purposes of use that break the glass: `codeSystem|code`, or a code of any system. Who says so is marked as
        /// in an emergency; what that opens, consent rules decide.
        emergency_purposes: Vec<String> = vec![
            "EMERGENCY".into(),
            "2.16.840.1.113883.5.8|ETREAT".into(),
            "2.16.840.1.113883.5.8|BTG".into(),
        ],
        /// Whether senders are told no more of a refused assertion than that it is refused, and a reference number;
        /// the log has the reason, the audit trail its code. Otherwise the fault names rule, element and value.
        terse_faults: bool = false,
        /// Whether a `wsa:MessageID` is remembered per node for 15 minutes, where an assertion is required, so that a
        /// recorded request cannot be sent again: `database` (by all gateways, and across restarts), `memory` (by this
        /// one), `off`.
        message_ids: MessageIds = MessageIds::Database,
        /// Refused assertions of one node within `alarm_minutes` that make a security alert (110113) of their own.
        alarm_failures: u64 = 10,
        /// Minutes within which they count together.
        alarm_minutes: u64 = 10,
        /// Our own assertions, for communities whose `assertion` is `issue`.
        own: XuaOwnConfig = XuaOwnConfig::default(); table,
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
        /// Nodes that may bring its assertions: names in the directory of nodes, SHA-256 fingerprints of certificates,
        /// or URIs (organization of the node, subjectAltName). Empty: any node.
        nodes: Vec<String> = vec![],
    }
}

section! {
    /// The assertions this gateway makes of its own users (X-Assertion Provider), for communities whose `assertion`
    /// is `issue`.
    pub struct XuaOwnConfig {
        /// `Assertion/Issuer`: what the communities know us by as an issuer.
        issuer: String = String::new(); commented "\"https://gateway.example.jp/xua\"",
        /// PEM file of the certificate they verify with.
        certificate: Option<PathBuf> = None; commented "\"/etc/chiren/xua/own.pem\"",
        /// PEM file of its private key: RSA, P-256 or P-384.
        private_key: Option<PathBuf> = None; commented "\"/etc/chiren/xua/own.key\"",
        /// Seconds for which an assertion is valid.
        lifetime_seconds: u64 = 300,
        /// NameID of the user whom requests without a person behind them are attributed to, where a community's
        /// `without_user` is `system`.
        system_user: String = "chiren-gateway".into(),
        /// Its role, `codeSystem|code`; none if empty.
        system_role: String = String::new(); commented "\"1.2.392.200000.1.8|system\"",
        /// Purpose of use, `codeSystem|code`, of an assertion whose user named none; none if empty.
        default_purpose: String = String::new(); commented "\"2.16.840.1.113883.5.8|TREAT\"",
    }
}

impl XuaConfig {
    /// Whether some request's user is looked at.
    pub fn is_on(&self) -> bool {
        let modes = self.transactions.values().chain(self.endpoints.values());
        self.mode != XuaMode::Off || modes.into_iter().any(|m| *m != XuaMode::Off)
    }

    /// The mode of a transaction at an address.
    pub fn mode_of(&self, transaction: &str, path: &str) -> XuaMode {
        let at = self.endpoints.get(path).or_else(|| self.transactions.get(transaction));
        at.copied().unwrap_or(self.mode)
    }

    /// `asked`: some community is asked for assertions.
    pub(super) fn check(
        &self,
        known: &dyn Fn(&str) -> bool,
        served: &dyn Fn(&str) -> bool,
        asked: bool,
        list: &mut Vec<Fault>,
    ) {
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
        for path in self.endpoints.keys().filter(|path| !served(path)) {
            list.push(Fault::new(
                format!("xua.endpoints.{path}"),
                "is no address of a SOAP transaction here, such as \"/xca/iti18\"",
                "この装置の SOAP アドレス（例: \"/xca/iti18\"）ではありません",
            ));
        }
        let mut faults = Faults::of("xua", list);
        faults.range("alarm_failures", self.alarm_failures, 1, 1_000_000);
        faults.range("alarm_minutes", self.alarm_minutes, 1, 1440);
        self.own.check(list);
        if !self.is_on() && !asked {
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

impl XuaOwnConfig {
    fn check(&self, list: &mut Vec<Fault>) {
        let mut faults = Faults::of("xua.own", list);
        faults.range("lifetime_seconds", self.lifetime_seconds, 10, 43_200);
        match (&self.certificate, &self.private_key) {
            (None, None) => {}
            (Some(certificate), Some(key)) => {
                tls::check_identity(certificate, key, &mut faults);
                if self.issuer.is_empty() {
                    faults.missing("issuer");
                }
            }
            (None, _) => faults.missing("certificate"),
            (_, None) => faults.missing("private_key"),
        }
    }
}
