//! How requests end: a resource, or an OperationOutcome with the status that the profiles name.

use http::{HeaderValue, Response, StatusCode, header};
use jiff::Timestamp;
use serde_json::Value;

use super::FhirFace;
use crate::model::audit::Outcome as AuditOutcome;
use crate::model::caller::Caller;
use crate::model::error::Error;
use crate::model::identity::{Field, IdentityError, Trouble};
use crate::model::node::{Trespass, alert};
use crate::model::transaction::Transaction;
use crate::server::http::{RespBody, Transacted, full};
use crate::server::metrics::Outcome;
use crate::service::audit::{Audit, Faulted};
use crate::service::context::Context;
use crate::service::mpi::Refusal;
use crate::wire::fhir::{Format, Issue, IssueCode, of_error, operation_outcome};

/// An answer.
pub struct Answer {
    transaction: &'static str,
    status: StatusCode,
    resource: Value,
    outcome: Outcome,
    /// `Location`.
    location: Option<String>,
    /// `Allow`.
    allow: Option<&'static str>,
    /// `WWW-Authenticate`.
    challenge: Option<String>,
}

impl Answer {
    pub fn new(transaction: &'static str, status: StatusCode, resource: Value, outcome: Outcome) -> Self {
        Self { transaction, status, resource, outcome, location: None, allow: None, challenge: None }
    }

    /// What was asked for.
    pub fn of(context: &Context, resource: Value) -> Self {
        Self::new(context.transaction.code(), StatusCode::OK, resource, Outcome::Success)
    }

    pub fn at(self, location: String) -> Self {
        Self { location: Some(location), ..self }
    }

    pub fn respond(self, format: Format) -> Response<RespBody> {
        let mut response = Response::new(full(format.write(&self.resource)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
        if let Some(Ok(location)) = self.location.map(|l| HeaderValue::from_str(&l)) {
            headers.insert(header::LOCATION, location);
        }
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(Ok(challenge)) = self.challenge.map(|c| HeaderValue::from_str(&c)) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        let transacted = Transacted { transaction: self.transaction, outcome: self.outcome };
        response.extensions_mut().insert(transacted);
        response
    }
}

/// A request that is refused before the index hears of it.
#[derive(Debug)]
pub struct Denied {
    pub status: StatusCode,
    pub issues: Vec<Issue>,
    pub allow: Option<&'static str>,
    /// `WWW-Authenticate`.
    pub challenge: Option<String>,
}

impl Denied {
    pub fn new(status: StatusCode, code: IssueCode, text: impl Into<String>) -> Self {
        Self { status, issues: vec![Issue::error(code, text)], allow: None, challenge: None }
    }

    pub fn at(mut self, expression: &str) -> Self {
        self.issues = self.issues.into_iter().map(|issue| issue.at(expression)).collect();
        self
    }

    pub fn allow(self, methods: &'static str) -> Self {
        Self { allow: Some(methods), ..self }
    }
}

impl FhirFace {
    pub(super) async fn denied(
        &self,
        refused: Denied,
        transaction: Option<Transaction>,
        caller: Caller,
        request_id: &str,
        at: Timestamp,
    ) -> Answer {
        denied(&self.audit, refused, transaction, caller, request_id, at).await
    }

    /// Answers what a node is not granted, leaving the record that names it.
    pub(super) async fn trespassed(
        &self,
        trespass: &Trespass,
        transaction: Option<Transaction>,
        caller: Caller,
        request_id: &str,
        at: Timestamp,
    ) -> Answer {
        let own = matches!(trespass, Trespass::Transaction(_));
        self.audit
            .fault(Faulted {
                transaction: transaction.filter(|_| own),
                labels: [alert::RESTRICTED_FUNCTION, trespass.label()],
                outcome: AuditOutcome::SeriousFailure,
                caller,
                request_id: request_id.to_owned(),
                at,
            })
            .await;
        let issue = Issue::error(IssueCode::Forbidden, trespass.sentence());
        let named = transaction.map_or("fhir", Transaction::code);
        Answer::new(named, StatusCode::FORBIDDEN, operation_outcome(&[issue]), Outcome::Refused)
    }
}

/// Answers it, leaving its record: refusals of one kind by one peer share records, as SOAP faults do.
pub(super) async fn denied(
    audit: &Audit,
    denied: Denied,
    transaction: Option<Transaction>,
    caller: Caller,
    request_id: &str,
    at: Timestamp,
) -> Answer {
    let busy = denied.status == StatusCode::SERVICE_UNAVAILABLE;
    let code = denied.issues.first().map_or("exception", |issue| issue.code.as_str());
    audit
        .fault(Faulted {
            transaction,
            labels: ["OperationOutcome", code],
            outcome: if busy { AuditOutcome::MinorFailure } else { AuditOutcome::SeriousFailure },
            caller,
            request_id: request_id.to_owned(),
            at,
        })
        .await;
    let outcome = if busy { Outcome::Busy } else { Outcome::Refused };
    let named = transaction.map_or("fhir", Transaction::code);
    let resource = operation_outcome(&denied.issues);
    Answer {
        allow: denied.allow,
        challenge: denied.challenge,
        ..Answer::new(named, denied.status, resource, outcome)
    }
}

/// What the index refused, or could not do; it has left its record.
pub fn refused(context: &Context, refusal: Refusal) -> Answer {
    let name = context.transaction.code();
    let (status, issues, outcome) = match refusal {
        Refusal::Identity(errors) => {
            let status =
                errors.first().map_or(StatusCode::BAD_REQUEST, |e| status_of(context.transaction, e));
            (status, errors.iter().map(of_error).collect(), Outcome::Failure)
        }
        Refusal::Error(error) => {
            let (status, issue, outcome) = inability(context, error);
            (status, vec![issue], outcome)
        }
    };
    Answer::new(name, status, operation_outcome(&issues), outcome)
}

/// ITI PIXm 3.83.4.2.2, 3.104.4.1.3; ITI PDQm 3.78.4.1.3; FHIR R4 3.1.0.
fn status_of(transaction: Transaction, error: &IdentityError) -> StatusCode {
    use Trouble::{
        Expired, IndividualNumber, NoAuthority, OtherAuthority, SameId, Subsumed, Taken, UnknownAuthority,
        UnknownId,
    };
    match (transaction, error.trouble, error.place.field) {
        (Transaction::Iti83, UnknownAuthority, Field::WantedDomain) => StatusCode::FORBIDDEN,
        (Transaction::Iti78, UnknownAuthority | NoAuthority, _) => StatusCode::NOT_FOUND,
        (_, Expired, _) => StatusCode::GONE,
        (Transaction::Iti104, UnknownId, _) => StatusCode::UNPROCESSABLE_ENTITY,
        (_, UnknownId, _) => StatusCode::NOT_FOUND,
        (_, Taken, _) => StatusCode::CONFLICT,
        (_, SameId | OtherAuthority | Subsumed | IndividualNumber, _) => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// The cause goes to the log, once, and only there.
fn inability(context: &Context, error: Error) -> (StatusCode, Issue, Outcome) {
    let request_id = context.request_id.as_str();
    let reference = format!("(reference {request_id})");
    let later = |text: String, outcome| {
        (StatusCode::SERVICE_UNAVAILABLE, Issue::error(IssueCode::Transient, text), outcome)
    };
    let ours = |text: String| {
        (StatusCode::INTERNAL_SERVER_ERROR, Issue::error(IssueCode::Exception, text), Outcome::Internal)
    };
    match error {
        Error::Busy(what) => {
            later(format!("{what}; nothing was changed, send the request again later"), Outcome::Busy)
        }
        Error::NoRoom(cause) => {
            tracing::error!(request_id, cause, "no room left");
            later(format!("no room left here; nothing was stored {reference}"), Outcome::Unavailable)
        }
        Error::Away { peer, cause } => {
            tracing::error!(request_id, peer, cause, "not available");
            later(
                format!("the {peer} behind this gateway is away; nothing was changed {reference}"),
                Outcome::Unavailable,
            )
        }
        Error::Unavailable { peer, cause } => {
            tracing::error!(request_id, peer, cause, "the outcome is not known");
            // Said twice it is the same.
            later(
                format!(
                    "the {peer} behind this gateway does not answer; the outcome is not known, send the request again {reference}"
                ),
                Outcome::Unavailable,
            )
        }
        Error::Internal(cause) => {
            tracing::error!(request_id, cause = format!("{cause:#}"), "internal failure");
            ours(format!("internal failure; nothing was stored {reference}"))
        }
        Error::Rejected(_) | Error::Fault(_) => {
            tracing::error!(request_id, cause = ?error, "the index answered in another face's words");
            ours(format!("internal failure {reference}"))
        }
    }
}
