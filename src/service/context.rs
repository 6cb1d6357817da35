//! What every decision knows of the request behind it.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::model::addressing::Elsewhere;
use crate::model::audit::{Act, AuditEvent, Exchange, Facts, Outcome};
use crate::model::caller::Caller;
use crate::model::error::{Error, RegistryError};
use crate::model::transaction::Transaction;
use crate::store::db::DbError;
use crate::store::registry::change::Cause;

/// One request. `received_at` was read once, at the door; nothing below asks a clock.
#[derive(Debug, Clone)]
pub struct Context {
    pub transaction: Transaction,
    pub caller: Caller,
    pub request_id: String,
    pub received_at: Timestamp,
    /// Where the answer goes, if not back on the connection: a change then leaves its answer in the outbox.
    pub elsewhere: Option<Arc<Elsewhere>>,
    /// What audit records tell of the messages.
    pub exchange: Arc<Exchange>,
}

impl Context {
    /// A question asked at the command line by `user` of the machine.
    pub fn of_operator(command: &str, user: Option<&str>, now: Timestamp) -> Self {
        let by = user.map(|user| format!(" by {user}")).unwrap_or_default();
        Self {
            transaction: Transaction::Iti18,
            caller: Caller {
                address: "local".into(),
                listener: format!("chiren {command}{by}"),
                certificate: None,
                ..Caller::default()
            },
            request_id: time_uuid(now).to_string(),
            received_at: now,
            elsewhere: None,
            exchange: Arc::default(),
        }
    }

    /// Microseconds since 1970, as the database keeps time.
    pub fn micros(&self) -> i64 {
        self.received_at.as_microsecond()
    }

    /// A fresh UUID that sorts by the request's time.
    pub fn uuid(&self) -> Uuid {
        time_uuid(self.received_at)
    }

    /// Who changes the registry by this request, and why: `submission_set` (entryUUID), where one brings
    /// the change.
    pub fn cause(&self, submission_set: Option<&str>) -> Result<Cause, DbError> {
        let mut cause = Cause::new(self.transaction.code(), &self.request_id, &self.caller)?;
        cause.submission_set = submission_set.map(str::to_owned);
        Ok(cause)
    }

    /// An audit record of this request about `subject`.
    pub fn audit(&self, outcome: Outcome, subject: Subject) -> AuditEvent {
        AuditEvent {
            id: self.uuid().to_string(),
            at: self.micros(),
            transaction: self.transaction.code().to_owned(),
            outcome,
            request_id: self.request_id.clone(),
            caller: self.caller.clone(),
            patients: subject.patients,
            home_community_id: subject.home_community_id,
            submission_set: subject.submission_set,
            documents: subject.documents,
            objects: subject.objects,
            query: subject.query,
            errors: subject.errors,
            facts: self.facts(subject.facts),
            ..AuditEvent::default()
        }
    }

    /// The facts of a record: those of its subject, and of the exchange it stands in.
    fn facts(&self, of_subject: Facts) -> Facts {
        let exchange = Exchange::clone(&self.exchange);
        let reply_to = self.elsewhere.as_ref().map(|to| to.to.clone());
        let act = exchange.event.as_deref().and_then(Act::of_event);
        of_subject.or(&Facts {
            exchange: Exchange { reply_to: exchange.reply_to.clone().or(reply_to), ..exchange },
            process: Some(std::process::id()),
            act,
            ..Facts::default()
        })
    }

    /// The same request with what is known of its message now.
    pub fn with_exchange(&self, change: impl FnOnce(&mut Exchange)) -> Self {
        let mut exchange = Exchange::clone(&self.exchange);
        change(&mut exchange);
        Self { exchange: Arc::new(exchange), ..self.clone() }
    }

    /// The same of a transaction that we sent to `address` on behalf of this request.
    pub fn audit_sent(
        &self,
        transaction: Transaction,
        address: &str,
        outcome: Outcome,
        subject: Subject,
    ) -> AuditEvent {
        let own = AuditEvent {
            transaction: transaction.code().to_owned(),
            sent_to: Some(address.to_owned()),
            ..self.audit(outcome, subject.clone())
        };
        // The messages are ours, and not those of the request.
        let exchange = Exchange { local: self.exchange.local.clone(), ..subject.facts.exchange.clone() };
        let facts = Facts { exchange, act: subject.facts.act, ..own.facts };
        AuditEvent { facts, ..own }
    }

    /// The same of a transaction that one actor of ours asked of another, within this program: at the address we were
    /// asked at, under the transaction's own path.
    pub fn audit_within(&self, transaction: Transaction, outcome: Outcome, subject: Subject) -> AuditEvent {
        let endpoint = self.exchange.endpoint.as_deref().unwrap_or_default();
        let path = transaction.row().path;
        let address = match endpoint.split_once("://") {
            Some((scheme, rest)) => {
                let host = rest.split('/').next().unwrap_or_default();
                format!("{scheme}://{host}{path}")
            }
            None => path.to_owned(),
        };
        self.audit_sent(transaction, &address, outcome, subject)
    }
}

/// UUIDv7 of an instant.
pub fn time_uuid(at: Timestamp) -> Uuid {
    let seconds = u64::try_from(at.as_second()).unwrap_or_default();
    let nanos = u32::try_from(at.subsec_nanosecond()).unwrap_or_default();
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos))
}

/// What a request was about, for the audit record. Filled in as far as it got.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    pub patients: Vec<String>,
    /// The other community.
    pub home_community_id: Option<String>,
    pub submission_set: Option<String>,
    pub documents: Vec<String>,
    /// entryUUIDs.
    pub objects: Vec<String>,
    pub query: Option<String>,
    /// Codes of errors, never their contexts.
    pub errors: Vec<String>,
    /// What the audit message tells beside.
    pub facts: Facts,
}

impl Subject {
    /// Patients that an answer shows, each once.
    pub fn show(&mut self, patients: Vec<String>) {
        for patient in patients {
            if !self.patients.contains(&patient) {
                self.patients.push(patient);
            }
        }
    }

    pub fn with_errors(mut self, errors: &[RegistryError]) -> Self {
        self.errors = errors.iter().filter(|e| e.is_error()).map(|e| e.code.as_str().to_owned()).collect();
        self
    }

    pub fn with_failure(self, error: &Error) -> Self {
        match error {
            Error::Rejected(errors) => self.with_errors(errors),
            Error::Fault(fault) => Self { errors: fault.labels().map(str::to_owned).into(), ..self },
            Error::Busy(_) => Self { errors: vec!["busy".to_owned()], ..self },
            Error::NoRoom(_) => Self { errors: vec!["no room".to_owned()], ..self },
            Error::Away { peer, .. } => Self { errors: vec![format!("away: {peer}")], ..self },
            Error::Unavailable { peer, .. } => Self { errors: vec![format!("unavailable: {peer}")], ..self },
            Error::Internal(_) => Self { errors: vec!["internal".to_owned()], ..self },
        }
    }
}
