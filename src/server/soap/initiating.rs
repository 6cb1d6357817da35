//! The Initiating Gateway for our own consumers: ITI-18 and ITI-43 asked of every community that matters, and
//! answered as a registry and a repository would (ITI TF-1 18.2.1, XDS Affinity Domain option).

use roxmltree::Node;

use super::SoapFace;
use super::fault::failure;
use super::iti18::{room, unwritten};
use super::iti43::{self, Asked};
use super::reply::{Body, Reply};
use crate::model::audit::Outcome as AuditOutcome;
use crate::model::error::{Error, ErrorCode, Fault, RegistryError};
use crate::model::query::{AdhocQueryRequest, QueryRequest, QueryResult};
use crate::server::metrics::Outcome;
use crate::service::context::{Context, Subject};
use crate::service::gateway::{Gateway, Gathered};
use crate::wire::ebxml::query;
use crate::wire::ebxml::response::ResponseStatus;

/// A query as read and as it stood, for it is passed on as it stood.
pub struct Query {
    pub request: Result<(AdhocQueryRequest, QueryRequest), Vec<RegistryError>>,
    pub text: String,
}

/// Bytes of an answer to reserve for one object of others.
const OBJECT: usize = 8 * 1024;

pub fn gateway(face: &SoapFace) -> Result<&Gateway, Fault> {
    face.gateway
        .as_ref()
        .ok_or_else(|| Fault::sender("the gateway is switched off").subcode("wsa:ActionNotSupported"))
}

pub fn read(body: Node<'_, '_>) -> Query {
    let text = body.document().input_text()[body.range()].to_owned();
    Query { request: query::read_both(body, false), text }
}

pub async fn query(
    face: &SoapFace,
    context: &Context,
    asked: Query,
    message_id: Option<&str>,
) -> Result<Reply, Fault> {
    let gateway = gateway(face)?;
    let mut subject = Subject { query: Some(asked.text), ..Subject::default() };
    let gathered = match asked.request {
        Err(problems) => Err(Error::Rejected(problems)),
        Ok((raw, request)) => {
            subject.patients = request.query.patient_ids().to_vec();
            gateway.query(context, raw, request).await
        }
    };
    let gathered = gathered.unwrap_or_else(|error| Gathered {
        ours: Some(Err(error)),
        theirs: vec![],
        errors: vec![],
        answered: false,
        records: vec![],
    });
    let Gathered { ours, theirs, mut errors, answered, records } = gathered;
    let mut failed = None;
    let ours = match ours {
        Some(Ok(answer)) => {
            subject.show(answer.patients);
            Some(answer.found)
        }
        Some(Err(error)) => {
            subject = subject.with_failure(&error);
            let (said, outcome) = failure(error, context.transaction, &context.request_id)?;
            failed = Some(outcome);
            // A patient not known here may be known elsewhere, and is no error (ITI TF-2 3.18.4.1.3).
            let said = said.into_iter().filter(|e| e.code != ErrorCode::XDSUnknownPatientId);
            errors.splice(0..0, said.map(|e| located(e, gateway.home())));
            None
        }
        None => None,
    };
    let someone = answered || ours.is_some();
    let status = match (errors.iter().any(RegistryError::is_error), someone) {
        (false, _) => ResponseStatus::Success,
        (true, true) => ResponseStatus::PartialSuccess,
        (true, false) => ResponseStatus::Failure,
    };
    let (audit_outcome, outcome) = match status {
        ResponseStatus::Success => (AuditOutcome::Success, Outcome::Success),
        ResponseStatus::PartialSuccess => (AuditOutcome::MinorFailure, Outcome::Partial),
        ResponseStatus::Failure => (AuditOutcome::SeriousFailure, failed.unwrap_or(Outcome::Failure)),
    };
    let named: Vec<String> = subject.errors.clone();
    subject = subject.with_errors(&errors);
    for error in named {
        if !subject.errors.contains(&error) && status != ResponseStatus::Success {
            subject.errors.push(error);
        }
    }
    let capacity =
        ours.as_ref().map_or(0, room) + OBJECT * theirs.iter().map(QueryResult::len).sum::<usize>();
    let home = gateway.home().to_owned();
    let body = unwritten(context, message_id, capacity, move |w| {
        let ours = ours.as_ref().map(|found| (found, home.as_str()));
        query::write_gathered(w, status, &errors, ours, &theirs)
    });
    let event = context.audit(audit_outcome, subject);
    let audited = match records.is_empty() {
        true => face.audit.of_query(event),
        false => face.audit.of_queries(std::iter::once(event).chain(records).collect()),
    };
    Ok(Reply { body: Body::Unwritten(body), audited, outcome })
}

/// Errors about the request keep their place; those of a community have its id.
fn located(error: RegistryError, home: &str) -> RegistryError {
    match error.location {
        Some(_) => error,
        None => error.at(home),
    }
}

pub async fn retrieve(
    face: &SoapFace,
    context: &Context,
    asked: Asked,
    message_id: Option<&str>,
    mtom: bool,
) -> Result<Reply, Fault> {
    let gateway = gateway(face)?;
    let (asked_for, requests) = asked.split();
    let delivery = match requests {
        Err(problems) => Err(Error::Rejected(problems)),
        Ok(requests) => gateway.retrieve(context, requests).await,
    };
    iti43::respond(context, asked_for, delivery, message_id, mtom)
}
