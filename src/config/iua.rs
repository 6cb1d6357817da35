//! `[iua]`: who asks on FHIR endpoints, by access tokens (ITI-72).

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::fault::{Fault, Faults, unreadable};
use super::section::section;
use super::xua::XuaMode;

section! {
    /// Access tokens on FHIR endpoints (IUA, ITI-72): JWT in `Authorization: Bearer`, signed with RS256, RS384, RS512,
    /// ES256, ES384 or ES512. One that is checked must hold in every respect, or the answer is 401.
    pub struct IuaConfig {
        /// `off`: no token is looked at. `optional`: one that is there must hold. `required`: each request has one.
        mode: XuaMode = XuaMode::Off,
        /// Transactions for which it is otherwise, such as ITI-78, each with its mode.
        transactions: BTreeMap<String, XuaMode> = BTreeMap::new(),
        /// What this service is called: one of these must stand in `aud`.
        audiences: Vec<String> = vec![]; example "[\"https://gateway.example.jp/fhir\"]",
        /// Seconds by which the issuer's clock and ours may differ; at most 300.
        skew_seconds: u64 = 60,
        /// Minutes for which a token may be valid at most (`iat`, or the present, to `exp`).
        lifetime_minutes: u64 = 60,
        /// Scopes of which a token must have one, by transaction; a transaction that is not named asks for none.
        scopes: BTreeMap<String, Vec<String>> = BTreeMap::new(),
        /// Roles (`subject_role`) that may ask, as in `xua.roles`. Empty: no role is asked for.
        roles: Vec<String> = vec!["1.2.392.100495.1.6.1.1".into()],
        /// Communities beside ours whose users may ask (homeCommunityId, `urn:oid:…`).
        communities: Vec<String> = vec![],
        /// Whether `subject_organization_id` must be that of the node, as in `xua.bind_organization`.
        bind_organization: bool = true,
        /// Whether a token (`jti`) is one node's: of the first certificate that brings it.
        bind_node: bool = true,
        /// Who makes tokens that are trusted, an `[[iua.issuer]]` each.
        issuer: Vec<IuaIssuerConfig> = vec![]; table,
    }
}

section! {
    /// An issuer of tokens (Authorization Server).
    pub struct IuaIssuerConfig {
        /// `iss`, exactly.
        name: String = String::new(); example "\"https://as.example.jp\"",
        /// Files of its public keys: JWK Sets, or PEM with certificates or public keys. RSA of 2048 bits and more, P-256,
        /// P-384, P-521.
        keys: Vec<PathBuf> = vec![]; example "[\"/etc/chiren/iua/as.jwks.json\"]",
        /// Nodes that may bring its tokens, as in `[[xua.issuer]]`. Empty: any node.
        nodes: Vec<String> = vec![],
    }
}

impl IuaConfig {
    /// Whether some request's token is looked at.
    pub fn is_on(&self) -> bool {
        self.mode != XuaMode::Off || self.transactions.values().any(|m| *m != XuaMode::Off)
    }

    pub fn mode_of(&self, transaction: &str) -> XuaMode {
        self.transactions.get(transaction).copied().unwrap_or(self.mode)
    }

    /// `known`: whether a code is that of a FHIR transaction.
    pub(super) fn check(&self, known: &dyn Fn(&str) -> bool, list: &mut Vec<Fault>) {
        let mut faults = Faults::of("iua", list);
        faults.range("skew_seconds", self.skew_seconds, 0, 300);
        faults.range("lifetime_minutes", self.lifetime_minutes, 1, 1440);
        let named = self.transactions.keys().map(|code| ("transactions", code));
        for (key, code) in named.chain(self.scopes.keys().map(|code| ("scopes", code))) {
            if !known(code) {
                faults.add(
                    &format!("{key}.{code}"),
                    "is no FHIR transaction of this gateway, such as \"ITI-78\"",
                    "この装置の FHIR トランザクション（例: \"ITI-78\"）ではありません",
                );
            }
        }
        if !self.is_on() {
            return;
        }
        if self.audiences.is_empty() {
            faults.missing("audiences");
        }
        if self.issuer.is_empty() {
            faults.missing("issuer");
        }
        for (i, issuer) in self.issuer.iter().enumerate() {
            let mut faults = Faults::of(format!("iua.issuer[{i}]"), list);
            if issuer.name.is_empty() {
                faults.missing("name");
            }
            if issuer.keys.is_empty() {
                faults.missing("keys");
            }
            for (n, path) in issuer.keys.iter().enumerate() {
                if let Err(e) = std::fs::File::open(path) {
                    let fault = unreadable(&faults.key(&format!("keys[{n}]")), path, e);
                    faults.push(fault);
                }
            }
        }
    }
}
