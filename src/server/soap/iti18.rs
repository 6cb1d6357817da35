//! ITI-18 Registry Stored Query and ITI-51 Multi-Patient Stored Query. ITI TF-2 3.18, 3.51.

use roxmltree::Node;

use super::SoapFace;
use super::fault::{self, failure};
use super::reply::{Body, Reply, Write};
use crate::model::audit::Outcome as AuditOutcome;
use crate::model::error::{Error, Fault, RegistryError};
use crate::model::metadata::CorruptBody;
use crate::model::query::{Found, QueryRequest, QueryResult};
use crate::model::transaction::Transaction;
use crate::server::metrics::Outcome;
use crate::service::context::{Context, Subject};
use crate::wire::ebxml::query;
use crate::wire::soap::write_answer;
use crate::wire::xml::XmlWriter;

/// A query as read, and its text for the audit record (security of the record, not of the answer:
/// what was asked is kept, what was found is not).
pub struct Asked {
    pub request: Result<QueryRequest, Vec<RegistryError>>,
    pub text: String,
}

/// Bytes of an answer to reserve for one object.
const OBJECT: usize = 8 * 1024;
const REF: usize = 100;

pub fn read(body: Node<'_, '_>, multi_patient: bool) -> Asked {
    let text = body.document().input_text()[body.range()].to_owned();
    Asked { request: query::read_request(body, multi_patient), text }
}

pub async fn answer(
    face: &SoapFace,
    context: &Context,
    asked: Asked,
    message_id: Option<&str>,
) -> Result<Reply, Fault> {
    answer_as(face, context, asked, message_id, None).await
}

/// The same, for another community where `home` is ours: every object and every error bears it
/// (ITI TF-2 3.38.4.1.3). The gateway asks our registry for it, and records that as its consumer (ITI TF-2 3.38.5.1).
pub async fn answer_as(
    face: &SoapFace,
    context: &Context,
    asked: Asked,
    message_id: Option<&str>,
    home: Option<&str>,
) -> Result<Reply, Fault> {
    let mut subject = Subject { query: Some(asked.text), ..Subject::default() };
    let within = home.is_some() && asked.request.is_ok() && face.registry.is_some();
    let found = match asked.request {
        Err(problems) => Err(Error::Rejected(problems)),
        Ok(request) => {
            subject.patients = request.query.patient_ids().to_vec();
            match &face.registry {
                Some(registry) => registry.query(context, request).await,
                None => Err(Error::Internal(anyhow::anyhow!("the registry is switched off"))),
            }
        }
    };
    let action = context.transaction.row().response_action;
    let (body, outcome, recorded) = match found {
        Ok(answer) => {
            subject.show(answer.patients);
            let (found, home) = (answer.found, home.map(str::to_owned));
            let body = unwritten(context, message_id, room(&found), move |w| {
                query::write_found(w, &found, home.as_deref())
            });
            (Body::Unwritten(body), Outcome::Success, AuditOutcome::Success)
        }
        Err(error) => {
            subject = subject.with_failure(&error);
            let (mut errors, outcome) = failure(error, context.transaction, &context.request_id)?;
            if let Some(home) = home {
                errors = errors.into_iter().map(|e| e.at(home)).collect();
            }
            let nothing = QueryResult::Objects(vec![]);
            let envelope =
                write_answer(action, message_id, context.elsewhere.as_deref(), REF * errors.len(), |w| {
                    query::write_response(w, &nothing, &errors);
                });
            (Body::Envelope(envelope), outcome, AuditOutcome::SeriousFailure)
        }
    };
    let asked_within = within.then(|| context.audit_within(Transaction::Iti18, recorded, subject.clone()));
    let event = context.audit(recorded, subject);
    let audited = match asked_within {
        None => face.audit.of_query(event),
        Some(consumer) => face.audit.of_queries(vec![event, consumer]),
    };
    Ok(Reply { body, audited, outcome })
}

/// An answer of what was found, to be written.
pub fn unwritten(
    context: &Context,
    message_id: Option<&str>,
    capacity: usize,
    write: impl FnOnce(&mut XmlWriter<'static>) -> Result<(), CorruptBody> + Send + 'static,
) -> Write {
    let (transaction, request_id) = (context.transaction, context.request_id.clone());
    let (message_id, elsewhere) = (message_id.map(str::to_owned), context.elsewhere.clone());
    Box::new(move || {
        let action = transaction.row().response_action;
        let mut written = Ok(());
        let envelope = write_answer(action, message_id.as_deref(), elsewhere.as_deref(), capacity, |w| {
            written = write(w);
        });
        match written {
            Ok(()) => Ok(envelope),
            Err(corrupt) => Err(fault::of(Error::Internal(corrupt.into()), transaction, &request_id)),
        }
    })
}

/// Bytes of an answer to reserve.
pub fn room(found: &Found) -> usize {
    match found {
        Found::Objects(o) => o.len() * OBJECT,
        Found::Refs(r) => r.len() * REF,
    }
}
