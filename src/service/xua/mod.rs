//! Whether a user assertion holds: for whom it is, by whom and when it was made, and who brings it (ITI-40;
//! SAML 2.0 Core 2.5; WS-Security SAML Token Profile 1.1). Nothing here believes what it has not checked.

pub mod alarm;
mod key;
mod known;
mod node;
mod seen;
#[cfg(test)]
mod tests;
mod token;
mod trusted;

use std::sync::{Arc, PoisonError, RwLock};

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use self::alarm::Alarm;
use self::seen::Of;
use self::trusted::{Signature, Trusted};
use crate::config::{MessageIds, XuaConfig, XuaMode, x509};
use crate::model::assertion::{
    Assertion, BEARER, Brought, Confirmation, HOLDER_OF_KEY, Kind, Original, Signed, Trouble, Value, name,
};
use crate::model::audit::{AuditEvent, Outcome, SECURITY_ALERT};
use crate::model::caller::Caller;
use crate::model::error::{Error, Fault, clip};
use crate::model::transaction::Transaction;
use crate::model::user::{Coded, User};
use crate::service::audit::{Audit, Audited};
use crate::service::context::time_uuid;

pub use crate::store::seen::Seen;
pub use node::Node;
pub use seen::{Memory, Note};
pub use token::{Admitted, Iua};

/// The examiner of assertions.
#[derive(Clone)]
pub struct Xua(Arc<Inner>);

struct Inner {
    config: XuaConfig,
    /// Our homeCommunityId.
    home: String,
    /// As they were read last.
    trusted: RwLock<Arc<Trusted>>,
    memory: Arc<Memory>,
    alarm: Alarm,
}

/// Microseconds for which a `wsa:MessageID` is remembered (security guidance of WS-Addressing 1.0 Core, 4).
const MESSAGES: i64 = 15 * 60 * 1_000_000;

/// An assertion that holds, if nobody else brought it before.
#[derive(Debug)]
pub struct Examined {
    pub user: User,
    pub note: Note,
}

fn refused(text: impl Into<String>) -> Trouble {
    Trouble::new(Kind::FailedAuthentication, text)
}

fn malformed(text: impl Into<String>) -> Trouble {
    Trouble::new(Kind::InvalidSecurityToken, text)
}

impl Xua {
    /// Reads the issuers' certificates. The error is a sentence that names the key.
    pub fn new(config: XuaConfig, home: &str, memory: Arc<Memory>) -> anyhow::Result<Self> {
        let trusted = RwLock::new(Arc::new(Trusted::read(&config)?));
        let alarm = Alarm::new(config.alarm_failures, config.alarm_minutes);
        Ok(Self(Arc::new(Inner { config, home: home.to_owned(), trusted, memory, alarm })))
    }

    /// Reads the certificates anew; with an error those before stay in force.
    pub fn reload(&self) -> anyhow::Result<usize> {
        let read = Trusted::read(&self.0.config)?;
        let count = read.keys();
        *self.0.trusted.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
        Ok(count)
    }

    /// Of a transaction at an address; `asked` is what the community is asked for whose gateway brings it.
    pub fn mode(&self, transaction: Transaction, path: &str, asked: Option<XuaMode>) -> XuaMode {
        asked.unwrap_or_else(|| self.0.config.mode_of(transaction.code(), path))
    }

    /// What a request without an assertion earns.
    pub fn absent(&self, transaction: Transaction, mode: XuaMode) -> Result<(), Trouble> {
        match mode {
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

    /// Verifies a signature, or remembers that it was: `read` gives the assertion and what was signed, its digest
    /// compared. `xml` is all that this depends on.
    pub fn verify(
        &self,
        xml: Option<&str>,
        read: impl FnOnce() -> Result<(Assertion, Signed), Trouble>,
    ) -> Result<Signature, Trouble> {
        let trusted = self.0.trusted.read().unwrap_or_else(PoisonError::into_inner).clone();
        trusted.signature(xml, read)
    }

    /// Judges an assertion. `xml` is the assertion, for those it may be passed on to. What is left is to ask
    /// [`bring`](Self::bring) whether it was another's before.
    pub fn examine(
        &self,
        signature: &Signature,
        xml: Option<String>,
        node: Node<'_>,
        now: Timestamp,
    ) -> Result<Examined, Trouble> {
        let assertion = signature.assertion();
        signature.is_usable(node, now)?;
        self.timely(assertion, now)?;
        self.for_us(assertion)?;
        self.confirmed(assertion, node, now)?;
        let mut user = self.user(assertion)?;
        self.at_home(&user, node)?;
        let conditions = assertion.conditions.as_ref();
        let until = conditions.and_then(|c| c.not_on_or_after).unwrap_or(now);
        let once = conditions.is_some_and(|c| c.one_time_use);
        if let (Some(xml), Some(conditions)) = (xml, conditions) {
            let audiences = conditions.audiences.clone();
            user.brought = Brought::new(Original { xml, audiences, until, one_time_use: once });
        }
        let of = if once { Of::Once } else { Of::Assertion };
        // Until nobody would take it any more.
        let until = until.as_microsecond().saturating_add(self.skew().as_micros() as i64);
        let note = Note::new(of, &[&assertion.issuer, &assertion.id], node.name(), until);
        Ok(Examined { user, note })
    }

    /// The note of a message, where messages are remembered: one that comes again within 15 minutes was recorded by
    /// somebody.
    pub fn message(&self, id: Option<&str>, node: Node<'_>, now: Timestamp) -> Result<Option<Note>, Fault> {
        let here = match self.0.config.message_ids {
            MessageIds::Off => return Ok(None),
            MessageIds::Database => false,
            MessageIds::Memory => true,
        };
        let Some(id) = id else {
            return Err(Fault::sender(
                "the header wsa:MessageID is required where a user assertion is (ITI TF-2 V.3.2.2)",
            )
            .subcode("wsa:MessageAddressingHeaderRequired"));
        };
        let until = now.as_microsecond().saturating_add(MESSAGES);
        // Whoever sends it, it is the second.
        let node_name: String = node.name().iter().map(|b| format!("{b:02x}")).collect();
        // What serves once belongs to no node, but to this request: written twice by mistake, it knows itself.
        let bearer = Uuid::new_v4();
        Ok(Some(Note::new(Of::Message, &[&node_name, id], bearer.as_bytes(), until).here(here)))
    }

    /// Takes out of what a request brings the note of its message, so that it can be written with the record of the
    /// answer: [`Audit::settle_noting`] tells whether it was the first.
    pub fn with_record(&self, brings: &mut Vec<Note>, now: Timestamp) -> Result<Option<Seen>, Fault> {
        let Some(at) = brings.iter().position(|note| note.of == Of::Message) else { return Ok(None) };
        let note = brings.swap_remove(at);
        self.0.memory.reserve(&note, now.as_microsecond()).ok_or_else(|| again(Of::Message))
    }

    /// Notes what a request brings: one assertion serves many requests, but of one node, unless it is for one alone; a
    /// message serves once.
    pub async fn bring(&self, notes: Vec<Note>, now: Timestamp) -> Result<Result<(), Fault>, Error> {
        if notes.is_empty() {
            return Ok(Ok(()));
        }
        let refused = match self.0.memory.bring(notes, now.as_microsecond()).await? {
            Ok(()) => return Ok(Ok(())),
            Err(note) => note,
        };
        Ok(Err(again(refused.of)))
    }

    /// What the sender is told of a fault: all of it, or, with `xua.terse_faults`, that there is one. Nothing of the
    /// kind of failure can be learned from it.
    pub fn shown(&self, fault: &Fault, request_id: &str) -> Option<Fault> {
        let told = fault.subcode == Some(Kind::SecurityTokenUnavailable.subcode());
        let of_ours = fault.subcode.is_some_and(|s| s.starts_with("wsse:"));
        if !self.0.config.terse_faults || told || !of_ours {
            return None;
        }
        let text = format!("the user assertion is not accepted (reference {request_id})");
        Some(Trouble::new(Kind::FailedAuthentication, text).fault())
    }

    /// Counts a refusal and tells the log; enough of them by one node are a security alert.
    pub async fn refused(
        &self,
        audit: &Audit,
        fault: &Fault,
        caller: &Caller,
        request_id: &str,
        now: Timestamp,
    ) {
        let subcode = fault.subcode.unwrap_or("wsse:InvalidSecurity");
        alarm::examined("saml", subcode);
        let Caller { address, certificate, .. } = caller;
        tracing::warn!(
            request_id,
            subcode,
            address,
            certificate,
            reason = fault.reason,
            "user assertion refused"
        );
        // Who brings none has not failed to.
        if fault.subcode != Some(Kind::SecurityTokenUnavailable.subcode()) {
            sound(&self.0.alarm, "saml", audit, caller, request_id, now).await;
        }
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
        let made = assertion.authenticated.iter().map(|a| &a.at).chain([&assertion.issued]);
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
        let roles = usable(coded(name::ROLE), &self.0.config.roles)
            .map_err(|said| refused(format!("the assertion has no role of xua.roles; it has '{said}'")))?;
        let purposes = coded(name::PURPOSE);
        Ok(User {
            name_id: a.name_id.clone(),
            alias: a.provided_id.clone(),
            issuer: a.issuer.clone(),
            name: first(name::SUBJECT),
            organization: first(name::ORGANIZATION),
            organization_id: first(name::ORGANIZATION_ID),
            home_community_id: name::HOME.iter().find_map(|n| first(n)),
            roles,
            emergency: is_emergency(&purposes, &self.0.config.emergency_purposes),
            purposes,
            signed_in: a.authenticated.first().map(|a| a.class.clone()).filter(|class| !class.is_empty()),
            patient: one_patient(a)?,
            assertion: a.id.clone(),
            brought: Brought::default(),
        })
    }

    /// Of a community that the node may speak for, and of its organization.
    fn at_home(&self, user: &User, node: Node<'_>) -> Result<(), Trouble> {
        if let Some(home) = &user.home_community_id
            && !node.speaks_for(home, &self.0.home, &self.0.config.communities)
        {
            return Err(refused(format!(
                "homeCommunityId '{}' is no community whose users may ask here by this node",
                clip(home)
            )));
        }
        if let (true, Some(said)) = (self.0.config.bind_organization, &user.organization_id)
            && !node.acts_for(said)
        {
            return Err(refused(format!(
                "organization-id '{}' is not the organization of the node",
                clip(said)
            )));
        }
        Ok(())
    }
}

/// What was brought by another before, or before at all.
fn again(of: Of) -> Fault {
    match of {
        Of::Once => refused("the assertion is for one use (OneTimeUse) and was used").fault(),
        Of::Assertion | Of::Token => refused("the assertion was brought by another node before").fault(),
        Of::Message => duplicate(),
    }
}

/// Of a message that came before.
pub fn duplicate() -> Fault {
    Fault::sender(
        "a message with this wsa:MessageID came within the last 15 minutes (wsa:DuplicateMessageID); each request has \
         a MessageID of its own",
    )
    .subcode("wsa:InvalidAddressingHeader")
}

/// The roles that may ask, at least one; or what there was instead.
fn usable(roles: Vec<Coded>, known: &[String]) -> Result<Vec<Coded>, String> {
    if known.is_empty() {
        return Ok(roles);
    }
    let allowed = |role: &Coded| {
        known.iter().any(|known| match known.split_once('|') {
            Some((system, code)) => role.system == system && role.code == code,
            None => role.system == *known && !role.code.is_empty(),
        })
    };
    let usable: Vec<Coded> = roles.iter().filter(|r| allowed(r)).cloned().collect();
    if !usable.is_empty() {
        return Ok(usable);
    }
    let said: Vec<String> = roles.iter().map(|r| format!("{}|{}", clip(&r.system), clip(&r.code))).collect();
    Err(said.join("', '"))
}

fn is_emergency(purposes: &[Coded], known: &[String]) -> bool {
    purposes.iter().any(|purpose| {
        known.iter().any(|known| match known.split_once('|') {
            Some((system, code)) => purpose.system == system && purpose.code == code,
            None => purpose.code == *known,
        })
    })
}

/// The patient it is about: of two, nobody could say which is meant.
fn one_patient(assertion: &Assertion) -> Result<Option<String>, Trouble> {
    let mut named = assertion.texts(name::PATIENT);
    let first = named.next();
    match named.any(|other| Some(other) != first) {
        true => Err(malformed("the assertion names several patients (resource-id)")),
        false => Ok(first.map(str::to_owned)),
    }
}

/// Counts a failure of a node, and sounds the alarm when there are enough.
async fn sound(
    alarm: &Alarm,
    token: &'static str,
    audit: &Audit,
    caller: &Caller,
    request_id: &str,
    now: Timestamp,
) {
    let node = caller.certificate.as_deref().unwrap_or(&caller.address);
    let Some(failures) = alarm.failed(node, now.as_microsecond()) else { return };
    alarm::alarmed(token);
    tracing::error!(
        request_id,
        failures,
        address = caller.address,
        "many assertions of one node were refused"
    );
    let event = AuditEvent {
        id: time_uuid(now).to_string(),
        at: now.as_microsecond(),
        transaction: SECURITY_ALERT.to_owned(),
        outcome: Outcome::SeriousFailure,
        request_id: request_id.to_owned(),
        caller: caller.clone(),
        errors: vec![format!("{failures} user assertions refused"), token.to_owned()],
        ..AuditEvent::default()
    };
    if let Err(e) = audit.settle(Audited::Due(Box::new(event))).await {
        tracing::error!(request_id, cause = format!("{e:?}"), "the alarm could not be recorded");
    }
}
