//! Whether a user assertion holds: for whom it is, by whom and when it was made, and who brings it (ITI-40;
//! SAML 2.0 Core 2.5; WS-Security SAML Token Profile 1.1). Nothing here believes what it has not checked.

mod key;
mod seen;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use self::key::Key;
use self::seen::Seen;
use crate::config::{XuaConfig, XuaMode, tls, x509};
use crate::model::assertion::{Assertion, Confirmation, Kind, Signed, Trouble, Value};
use crate::model::error::clip;
use crate::model::transaction::Transaction;
use crate::model::user::{Coded, User};

const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
const HOLDER_OF_KEY: &str = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key";

/// Names of attributes (ITI TF-2 3.40.4.1.2; XSPA 1.0).
mod name {
    pub const SUBJECT: &str = "urn:oasis:names:tc:xspa:1.0:subject:subject-id";
    pub const ORGANIZATION: &str = "urn:oasis:names:tc:xspa:1.0:subject:organization";
    pub const ORGANIZATION_ID: &str = "urn:oasis:names:tc:xspa:1.0:subject:organization-id";
    pub const HOME: [&str; 2] =
        ["urn:ihe:iti:xca:2010:homeCommunityId", "urn:nhin:names:saml:homeCommunityId"];
    pub const ROLE: &str = "urn:oasis:names:tc:xacml:2.0:subject:role";
    pub const PURPOSE: &str = "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse";
    pub const PATIENT: &str = "urn:oasis:names:tc:xacml:2.0:resource:resource-id";
}

/// The node that brings an assertion, as TLS proved it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node<'n> {
    /// Address, and certificate if it showed one (DER).
    pub address: &'n str,
    pub certificate: Option<&'n [u8]>,
    /// The node as the directory of nodes has it, where one is kept.
    pub listed: Option<&'n crate::model::node::Node>,
}

/// The examiner of assertions.
#[derive(Clone)]
pub struct Xua(Arc<Inner>);

struct Inner {
    config: XuaConfig,
    /// Our homeCommunityId.
    home: String,
    /// Issuer and keys.
    issuers: Vec<(String, Vec<Key>)>,
    seen: Seen,
}

fn refused(text: impl Into<String>) -> Trouble {
    Trouble::new(Kind::FailedAuthentication, text)
}

fn malformed(text: impl Into<String>) -> Trouble {
    Trouble::new(Kind::InvalidSecurityToken, text)
}

impl Xua {
    /// Reads the issuers' certificates. The error is a sentence that names the key.
    pub fn new(config: XuaConfig, home: &str) -> anyhow::Result<Self> {
        let mut issuers = vec![];
        for issuer in &config.issuer {
            let mut keys = vec![];
            for path in &issuer.certificates {
                for certificate in tls::certificates(path)? {
                    let key = Key::of(&certificate).ok_or_else(|| {
                        anyhow::anyhow!(
                            "xua.issuer.certificates: {} holds a certificate whose key cannot be read",
                            path.display()
                        )
                    })?;
                    keys.push(key);
                }
            }
            issuers.push((issuer.name.clone(), keys));
        }
        Ok(Self(Arc::new(Inner { config, home: home.to_owned(), issuers, seen: Seen::default() })))
    }

    pub fn mode(&self, transaction: Transaction) -> XuaMode {
        self.0.config.mode_of(transaction.code())
    }

    /// What a request without an assertion earns.
    pub fn absent(&self, transaction: Transaction) -> Result<(), Trouble> {
        match self.mode(transaction) {
            XuaMode::Required => Err(Trouble::new(
                Kind::SecurityTokenUnavailable,
                format!(
                    "{} wants a user assertion: wsse:Security with a saml:Assertion (ITI TF-2 3.40)",
                    transaction.code()
                ),
            )),
            XuaMode::Off | XuaMode::Optional => Ok(()),
        }
    }

    /// Judges an assertion whose digest fits it.
    pub fn examine(
        &self,
        assertion: &Assertion,
        signed: &Signed,
        node: Node<'_>,
        now: Timestamp,
    ) -> Result<User, Trouble> {
        self.trusted(assertion, signed, now)?;
        self.timely(assertion, now)?;
        self.for_us(assertion)?;
        self.confirmed(assertion, node, now)?;
        let user = self.user(assertion)?;
        self.at_home(&user, node)?;
        self.first_there(assertion, node, now)?;
        Ok(user)
    }

    /// Signed by a key that is known to be the issuer's; what KeyInfo says is nothing to go by.
    fn trusted(&self, assertion: &Assertion, signed: &Signed, now: Timestamp) -> Result<(), Trouble> {
        let known = self.0.issuers.iter().find(|(name, _)| *name == assertion.issuer);
        let (_, keys) = known.ok_or_else(|| {
            refused(format!("Assertion/Issuer '{}' is not trusted here", clip(&assertion.issuer)))
        })?;
        let key = keys.iter().find(|key| key.verifies(signed)).ok_or_else(|| {
            Trouble::new(
                Kind::FailedCheck,
                format!(
                    "ds:SignatureValue is of none of the {} certificates known of issuer '{}'",
                    keys.len(),
                    clip(&assertion.issuer)
                ),
            )
        })?;
        if !key.is_valid(now) {
            return Err(refused(format!(
                "the certificate the assertion is signed with is valid from {} to {}",
                key.validity.not_before, key.validity.not_after
            )));
        }
        Ok(())
    }

    fn skew(&self) -> SignedDuration {
        SignedDuration::from_secs(i64::try_from(self.0.config.skew_seconds).unwrap_or(300))
    }

    fn timely(&self, assertion: &Assertion, now: Timestamp) -> Result<(), Trouble> {
        let skew = self.skew();
        let conditions =
            assertion.conditions.as_ref().ok_or_else(|| malformed("Assertion holds no Conditions"))?;
        let (Some(from), Some(to)) = (conditions.not_before, conditions.not_on_or_after) else {
            return Err(malformed("Conditions lacks NotBefore or NotOnOrAfter (ITI TF-2 3.40.4.1.2)"));
        };
        if from >= to {
            return Err(malformed(format!("Conditions ends ({to}) before it begins ({from})")));
        }
        let longest = i64::try_from(self.0.config.lifetime_hours).unwrap_or(12);
        if to.duration_since(from) > SignedDuration::from_hours(longest) {
            return Err(refused(format!(
                "the assertion is valid from {from} to {to}, longer than {longest} hours (xua.lifetime_hours)"
            )));
        }
        // What an assertion says may stand at the end of time; only our own clock is added to and taken from.
        if now + skew < from {
            return Err(refused(format!("the assertion is not valid before {from}; it is {now} here")));
        }
        if now - skew >= to {
            return Err(refused(format!("the assertion was valid until {to}; it is {now} here")));
        }
        if assertion.authenticated.is_empty() {
            return Err(malformed("Assertion holds no AuthnStatement with an AuthnContextClassRef"));
        }
        let made = assertion.authenticated.iter().chain([&assertion.issued]);
        if let Some(ahead) = made.copied().find(|at| *at > now + skew) {
            return Err(refused(format!("the assertion was made at {ahead}; it is {now} here")));
        }
        Ok(())
    }

    fn for_us(&self, assertion: &Assertion) -> Result<(), Trouble> {
        let restrictions = assertion.conditions.as_ref().map(|c| c.audiences.as_slice()).unwrap_or_default();
        if restrictions.is_empty() {
            return Err(malformed("Conditions holds no AudienceRestriction (ITI TF-2 3.40.4.1.2)"));
        }
        for restriction in restrictions {
            if !restriction.iter().any(|a| self.0.config.audiences.contains(a)) {
                let said: Vec<String> = restriction.iter().map(|a| clip(a).to_string()).collect();
                return Err(refused(format!(
                    "AudienceRestriction names '{}', not this service",
                    said.join("', '")
                )));
            }
        }
        Ok(())
    }

    /// One of the confirmations holds.
    fn confirmed(&self, assertion: &Assertion, node: Node<'_>, now: Timestamp) -> Result<(), Trouble> {
        let skew = self.skew();
        let in_time = |c: &Confirmation| {
            c.not_before.is_none_or(|from| now + skew >= from)
                && c.not_on_or_after.is_none_or(|to| now - skew < to)
        };
        let held = |c: &Confirmation| match c.method.as_str() {
            BEARER => true,
            HOLDER_OF_KEY => node.certificate.is_some_and(|own| {
                let own = x509::public_key(own);
                own.is_some() && c.certificates.iter().any(|held| x509::public_key(held) == own)
            }),
            _ => false,
        };
        if assertion.confirmations.iter().any(|c| held(c) && in_time(c)) {
            return Ok(());
        }
        let said: Vec<String> = assertion.confirmations.iter().map(|c| clip(&c.method).to_string()).collect();
        Err(refused(match said.is_empty() {
            true => "Subject holds no SubjectConfirmation".to_owned(),
            false => format!(
                "no SubjectConfirmation holds here and now ({}); bearer is, and holder-of-key where its KeyInfo has \
                 the key of the node's certificate",
                said.join(", ")
            ),
        }))
    }

    fn user(&self, a: &Assertion) -> Result<User, Trouble> {
        let coded = |name: &str| -> Vec<Coded> {
            a.values(name)
                .filter_map(|v| match v {
                    Value::Coded { code, system, display } => {
                        Some(Coded { code: code.clone(), system: system.clone(), display: display.clone() })
                    }
                    _ => None,
                })
                .collect()
        };
        let first = |name: &str| a.texts(name).next().map(str::to_owned);
        let roles = coded(name::ROLE);
        let allowed = |role: &Coded| {
            self.0.config.roles.iter().any(|known| match known.split_once('|') {
                Some((system, code)) => role.system == system && role.code == code,
                None => role.system == *known && !role.code.is_empty(),
            })
        };
        let roles = match self.0.config.roles.is_empty() {
            true => roles,
            false => {
                let usable: Vec<Coded> = roles.iter().filter(|r| allowed(r)).cloned().collect();
                if usable.is_empty() {
                    let said: Vec<String> =
                        roles.iter().map(|r| format!("{}|{}", clip(&r.system), clip(&r.code))).collect();
                    return Err(refused(format!(
                        "the assertion has no role of xua.roles; it has '{}'",
                        said.join("', '")
                    )));
                }
                usable
            }
        };
        Ok(User {
            name_id: a.name_id.clone(),
            alias: a.provided_id.clone(),
            issuer: a.issuer.clone(),
            name: first(name::SUBJECT),
            organization: first(name::ORGANIZATION),
            organization_id: first(name::ORGANIZATION_ID),
            home_community_id: name::HOME.iter().find_map(|n| first(n)),
            roles,
            purposes: coded(name::PURPOSE),
            patient: first(name::PATIENT),
            assertion: a.id.clone(),
        })
    }

    /// Of our community or one that may ask, and of the node's organization.
    fn at_home(&self, user: &User, node: Node<'_>) -> Result<(), Trouble> {
        if let Some(home) = &user.home_community_id
            && *home != self.0.home
            && !self.0.config.communities.contains(home)
        {
            return Err(refused(format!(
                "homeCommunityId '{}' is no community whose users may ask here",
                clip(home)
            )));
        }
        if let Some(listed) = node.listed {
            return self.of_node(user, listed);
        }
        if let (true, Some(said), Some(certificate)) =
            (self.0.config.bind_organization, &user.organization_id, node.certificate)
        {
            let uris = x509::alternative_uris(certificate);
            if !uris.is_empty() && !uris.contains(said) {
                return Err(refused(format!(
                    "organization-id '{}' is not the organization of the node's certificate",
                    clip(said)
                )));
            }
        }
        Ok(())
    }

    /// The directory says whose users a node may bring: of its organizations, and of its network or ours.
    fn of_node(&self, user: &User, listed: &crate::model::node::Node) -> Result<(), Trouble> {
        let home = listed.home_community_id.as_deref().unwrap_or(&self.0.home);
        if let Some(said) = user.home_community_id.as_deref().filter(|said| *said != home) {
            return Err(refused(format!("homeCommunityId '{}' is not that of the node", clip(said))));
        }
        if let (true, Some(said)) = (self.0.config.bind_organization, &user.organization_id)
            && !listed.organizations.contains(said)
        {
            return Err(refused(format!("organization-id '{}' is no organization of the node", clip(said))));
        }
        Ok(())
    }

    /// One assertion serves many requests, but of one node; unless it is for one alone.
    fn first_there(&self, assertion: &Assertion, node: Node<'_>, now: Timestamp) -> Result<(), Trouble> {
        let conditions = assertion.conditions.as_ref();
        let until = conditions.and_then(|c| c.not_on_or_after).unwrap_or(now);
        let once = conditions.is_some_and(|c| c.one_time_use);
        let mut hasher = Sha256::new();
        match node.certificate {
            Some(certificate) => hasher.update(certificate),
            None => hasher.update(node.address),
        }
        let bearer: [u8; 32] = hasher.finalize().into();
        match self.0.seen.note(&assertion.issuer, &assertion.id, bearer, once, until, now - self.skew()) {
            true => Ok(()),
            false if once => Err(refused("the assertion is for one use (OneTimeUse) and was used")),
            false => Err(refused("the assertion was brought by another node before")),
        }
    }
}
