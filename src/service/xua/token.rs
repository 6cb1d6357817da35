//! Whether an access token holds (IUA, ITI-72): by whom, for whom and until when it was made, and who brings it.
//! RFC 9068 4, RFC 8725, ITI TF-2 3.72.7.

use std::sync::{Arc, PoisonError, RwLock};

use jiff::{SignedDuration, Timestamp};

use super::alarm::{self, Alarm};
use super::key::Key;
use super::node::Node;
use super::seen::{Memory, Note, Of};
use super::{is_emergency, sound, usable};
use crate::config::{IuaConfig, XuaConfig, XuaMode};
use crate::model::assertion::Brought;
use crate::model::caller::Caller;
use crate::model::error::{Error, clip};
use crate::model::token::{SignedToken, Token, TokenKind, TokenTrouble};
use crate::model::transaction::Transaction;
use crate::model::user::User;
use crate::peer::keys;
use crate::service::audit::Audit;

/// The examiner of tokens. Clones share it.
#[derive(Clone)]
pub struct Iua(Arc<Inner>);

struct Inner {
    config: IuaConfig,
    /// `xua.emergency_purposes`
    emergency: Vec<String>,
    /// `xua.terse_faults`
    terse: bool,
    /// Our homeCommunityId.
    home: String,
    issuers: RwLock<Arc<Vec<Issuer>>>,
    memory: Arc<Memory>,
    alarm: Alarm,
}

struct Issuer {
    name: String,
    keys: Vec<Key>,
    nodes: Vec<String>,
}

/// A token that holds, if nobody else brought it before.
#[derive(Debug)]
pub struct Admitted {
    pub user: User,
    pub note: Option<Note>,
}

fn invalid(text: impl Into<String>) -> TokenTrouble {
    TokenTrouble::new(TokenKind::InvalidToken, text)
}

impl Iua {
    /// Reads the issuers' keys. The error is a sentence that names the file.
    pub fn new(config: IuaConfig, xua: &XuaConfig, home: &str, memory: Arc<Memory>) -> anyhow::Result<Self> {
        let issuers = RwLock::new(Arc::new(issuers(&config)?));
        let alarm = Alarm::new(xua.alarm_failures, xua.alarm_minutes);
        let (emergency, home) = (xua.emergency_purposes.clone(), home.to_owned());
        Ok(Self(Arc::new(Inner { config, emergency, terse: xua.terse_faults, home, issuers, memory, alarm })))
    }

    /// Reads the keys anew; with an error those before stay in force.
    pub fn reload(&self) -> anyhow::Result<usize> {
        let read = issuers(&self.0.config)?;
        let count = read.iter().map(|issuer| issuer.keys.len()).sum();
        *self.0.issuers.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
        Ok(count)
    }

    pub fn mode(&self, transaction: Transaction) -> XuaMode {
        self.0.config.mode_of(transaction.code())
    }

    /// What a request without a token earns.
    pub fn absent(&self, transaction: Transaction) -> Result<(), TokenTrouble> {
        match self.mode(transaction) {
            XuaMode::Required => Err(TokenTrouble::new(
                TokenKind::Absent,
                format!(
                    "{} wants an access token: Authorization: Bearer (ITI TF-2 3.72)",
                    transaction.code()
                ),
            )),
            XuaMode::Off | XuaMode::Optional => Ok(()),
        }
    }

    /// Judges a token for a transaction. What is left is to ask [`bring`](Self::bring) whose it is.
    pub fn examine(
        &self,
        token: &Token,
        signed: &SignedToken,
        transaction: Transaction,
        node: Node<'_>,
        now: Timestamp,
    ) -> Result<Admitted, TokenTrouble> {
        self.trusted(token, signed, node, now)?;
        self.timely(token, now)?;
        let config = &self.0.config;
        let audience = token.audiences.iter().find(|a| config.audiences.contains(a)).ok_or_else(|| {
            let said: Vec<String> = token.audiences.iter().map(|a| clip(a).to_string()).collect();
            invalid(format!("aud names '{}', not this service", said.join("', '")))
        })?;
        let Some(id) = &token.id else { return Err(invalid("jti is absent (ITI TF-2 3.71.4.2.2)")) };
        if token.subject.is_empty() {
            return Err(invalid("sub is empty"));
        }
        self.in_scope(token, transaction)?;
        let claims = &token.claims;
        let roles = usable(claims.roles.clone(), &config.roles)
            .map_err(|said| invalid(format!("the token has no role of iua.roles; it has '{said}'")))?;
        if let Some(home) = &claims.home_community_id
            && !node.speaks_for(home, &self.0.home, &config.communities)
        {
            let home = clip(home);
            return Err(invalid(format!(
                "home_community_id '{home}' is no community whose users may ask here"
            )));
        }
        if let (true, Some(said)) = (config.bind_organization, &claims.organization_id)
            && !node.acts_for(said)
        {
            let said = clip(said);
            return Err(invalid(format!(
                "subject_organization_id '{said}' is not the organization of the node"
            )));
        }
        let user = User {
            name_id: token.subject.clone(),
            // What audit records call the alias (ITI TF-2 3.72.9.1).
            alias: Some(audience.clone()),
            issuer: token.issuer.clone(),
            name: claims.name.clone(),
            organization: claims.organization.clone(),
            organization_id: claims.organization_id.clone(),
            home_community_id: claims.home_community_id.clone(),
            roles,
            purposes: claims.purposes.clone(),
            emergency: is_emergency(&claims.purposes, &self.0.emergency),
            signed_in: token.signed_in.clone(),
            patient: claims.patient.clone(),
            assertion: id.clone(),
            brought: Brought::default(),
        };
        let until = token.expires.as_microsecond().saturating_add(self.skew().as_micros() as i64);
        let bound = config.bind_node && node.certificate.is_some();
        let note = bound.then(|| Note::new(Of::Token, &[&token.issuer, id], node.name(), until));
        Ok(Admitted { user, note })
    }

    /// Notes whose the token is: the node's that brought it first.
    pub async fn bring(&self, note: Option<Note>, now: Timestamp) -> Result<Result<(), TokenTrouble>, Error> {
        let Some(note) = note else { return Ok(Ok(())) };
        let noted = self.0.memory.bring(vec![note], now.as_microsecond()).await?;
        Ok(noted.map_err(|_| invalid("the token was brought by another node before")))
    }

    /// What the sender is told: the reason, or, with `xua.terse_faults`, that there is one.
    pub fn shown(&self, trouble: &TokenTrouble, request_id: &str) -> String {
        let secret = matches!(trouble.kind, TokenKind::InvalidToken | TokenKind::InsufficientScope);
        match self.0.terse && secret {
            true => format!("the access token is not accepted (reference {request_id})"),
            false => trouble.text.clone(),
        }
    }

    /// Counts a refusal and tells the log; enough of them by one node are a security alert.
    pub async fn refused(
        &self,
        audit: &Audit,
        trouble: &TokenTrouble,
        caller: &Caller,
        request_id: &str,
        now: Timestamp,
    ) {
        let code = trouble.kind.code().unwrap_or("absent");
        alarm::examined("jwt", code);
        let Caller { address, certificate, .. } = caller;
        tracing::warn!(request_id, code, address, certificate, reason = trouble.text, "access token refused");
        if trouble.kind != TokenKind::Absent {
            sound(&self.0.alarm, "jwt", audit, caller, request_id, now).await;
        }
    }

    /// Signed by a key known to be the issuer's. What the header says of keys is a hint which of them to try.
    fn trusted(
        &self,
        token: &Token,
        signed: &SignedToken,
        node: Node<'_>,
        now: Timestamp,
    ) -> Result<(), TokenTrouble> {
        let issuers = self.0.issuers.read().unwrap_or_else(PoisonError::into_inner).clone();
        let issuer = issuers
            .iter()
            .find(|issuer| issuer.name == token.issuer)
            .ok_or_else(|| invalid(format!("iss '{}' is not trusted here", clip(&token.issuer))))?;
        let key = issuer.keys.iter().find(|key| key.verifies_token(signed)).ok_or_else(|| {
            invalid(format!(
                "the {} signature is of none of the {} keys known of issuer '{}'",
                signed.algorithm.name(),
                issuer.keys.len(),
                clip(&token.issuer)
            ))
        })?;
        if !key.is_valid(now) {
            return Err(invalid("the certificate the token is signed with is not valid now"));
        }
        match node.is_among(&issuer.nodes) {
            true => Ok(()),
            false => Err(invalid(format!(
                "issuer '{}' does not serve the node that brings its token (iua.issuer.nodes)",
                clip(&token.issuer)
            ))),
        }
    }

    fn skew(&self) -> SignedDuration {
        SignedDuration::from_secs(i64::try_from(self.0.config.skew_seconds).unwrap_or(60))
    }

    fn timely(&self, token: &Token, now: Timestamp) -> Result<(), TokenTrouble> {
        let skew = self.skew();
        if now - skew >= token.expires {
            return Err(invalid(format!(
                "the token was valid until {} (exp); it is {now} here",
                token.expires
            )));
        }
        if let Some(from) = token.not_before.filter(|from| now + skew < *from) {
            return Err(invalid(format!("the token is not valid before {from} (nbf); it is {now} here")));
        }
        if let Some(issued) = token.issued.filter(|at| *at > now + skew) {
            return Err(invalid(format!("the token was made at {issued} (iat); it is {now} here")));
        }
        let longest = i64::try_from(self.0.config.lifetime_minutes).unwrap_or(60);
        let from = token.issued.or(token.not_before).unwrap_or(now);
        if token.expires.duration_since(from) > SignedDuration::from_mins(longest) + skew {
            return Err(invalid(format!(
                "the token is valid from {from} to {}, longer than {longest} minutes (iua.lifetime_minutes)",
                token.expires
            )));
        }
        Ok(())
    }

    fn in_scope(&self, token: &Token, transaction: Transaction) -> Result<(), TokenTrouble> {
        let Some(wanted) = self.0.config.scopes.get(transaction.code()) else { return Ok(()) };
        let held = token.scopes.as_deref().unwrap_or_default();
        match wanted.is_empty() || held.iter().any(|scope| wanted.contains(scope)) {
            true => Ok(()),
            false => Err(TokenTrouble::new(
                TokenKind::InsufficientScope,
                format!("{} wants one of the scopes '{}'", transaction.code(), wanted.join("', '")),
            )),
        }
    }
}

/// The issuers of a configuration, their keys read.
fn issuers(config: &IuaConfig) -> anyhow::Result<Vec<Issuer>> {
    let mut issuers = vec![];
    for issuer in &config.issuer {
        let mut own = vec![];
        for path in &issuer.keys {
            let read = keys::read(path).map_err(|e| anyhow::anyhow!("iua.issuer.keys: {e}"))?;
            own.extend(read.into_iter().filter_map(Key::of_jwk));
        }
        if own.is_empty() {
            anyhow::bail!("iua.issuer.keys: no key of issuer {:?} can verify anything", issuer.name);
        }
        issuers.push(Issuer { name: issuer.name.clone(), keys: own, nodes: issuer.nodes.clone() });
    }
    Ok(issuers)
}
