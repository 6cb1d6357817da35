//! ITI-18 Registry Stored Query and ITI-51 Multi-Patient Stored Query. ITI TF-2 3.18, 3.51.

use roxmltree::Node;

use super::SoapFace;
use super::fault::failure;
use super::reply::{Body, Reply};
use crate::model::audit::Outcome as AuditOutcome;
use crate::model::error::{Error, Fault, RegistryError};
use crate::model::query::{Found, QueryRequest, QueryResult};
use crate::server::metrics::Outcome;
use crate::service::context::{Context, Subject};
use crate::wire::ebxml::query;
use crate::wire::soap::write_answer;

/// A query as read, and its text for the audit record (security of the record, not of the answer:
/// what was asked is kept, what was found is not).
pub struct Asked {
    request: Result<QueryRequest, Vec<RegistryError>>,
    text: String,
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
    let mut subject = Subject { query: Some(asked.text), ..Subject::default() };
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
    let answered = found.and_then(|answer| {
        for patient in answer.patients {
            if !subject.patients.contains(&patient) {
                subject.patients.push(patient);
            }
        }
        let capacity = match &answer.found {
            Found::Objects(o) => o.len() * OBJECT,
            Found::Refs(r) => r.len() * REF,
        };
        let mut written = Ok(());
        let envelope = write_answer(action, message_id, context.elsewhere.as_deref(), capacity, |w| {
            written = query::write_found(w, &answer.found);
        });
        written.map(|()| envelope).map_err(|e| Error::Internal(e.into()))
    });
    let (envelope, outcome, event) = match answered {
        Ok(envelope) => (envelope, Outcome::Success, context.audit(AuditOutcome::Success, subject)),
        Err(error) => {
            let subject = subject.with_failure(&error);
            let (errors, outcome) = failure(error, context.transaction, &context.request_id)?;
            let event = context.audit(AuditOutcome::SeriousFailure, subject);
            let nothing = QueryResult::Objects(vec![]);
            let envelope =
                write_answer(action, message_id, context.elsewhere.as_deref(), REF * errors.len(), |w| {
                    query::write_response(w, &nothing, &errors);
                });
            (envelope, outcome, event)
        }
    };
    Ok(Reply { body: Body::Envelope(envelope), audited: face.audit.of_query(event), outcome })
}
