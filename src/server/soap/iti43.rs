//! ITI-43 Retrieve Document Set. ITI TF-2 3.43.

use roxmltree::Node;

use super::SoapFace;
use super::fault::failure;
use super::reply::{Body, Included, Passing, Reply, placeholder};
use crate::model::audit::{Held, Outcome as AuditOutcome};
use crate::model::error::{Error, Fault, RegistryError};
use crate::server::metrics::Outcome;
use crate::service::audit::Audited;
use crate::service::context::{Context, Subject};
use crate::service::gateway::Delivery;
use crate::service::repository::{DocumentRequest, Retrieval};
use crate::wire::ebxml::response::{ResponseStatus, status};
use crate::wire::ebxml::retrieve::{self, Content, DocumentResponse};
use crate::wire::mtom::write::Multipart;
use crate::wire::soap::write_answer;

pub struct Asked {
    requests: Result<Vec<DocumentRequest>, Vec<RegistryError>>,
}

pub fn read(face: &SoapFace, body: Node<'_, '_>) -> Asked {
    Asked { requests: retrieve::read_request(body, face.limits.retrieve_documents).map(asked_for) }
}

/// The documents of a list, in the service's terms.
pub fn asked_for(list: Vec<retrieve::DocumentRequest>) -> Vec<DocumentRequest> {
    let item = |r: retrieve::DocumentRequest| DocumentRequest {
        home_community_id: r.home_community_id,
        repository_unique_id: r.repository_unique_id,
        document_unique_id: r.document_unique_id,
    };
    list.into_iter().map(item).collect()
}

pub async fn answer(
    face: &SoapFace,
    context: &Context,
    asked: Asked,
    message_id: Option<&str>,
    mtom: bool,
) -> Result<Reply, Fault> {
    let (asked_for, requests) = asked.split();
    let retrieval = match (requests, &face.repository) {
        (Err(problems), _) => Err(Error::Rejected(problems)),
        (Ok(requests), Some(repository)) => repository.retrieve(context, requests).await,
        (Ok(_), None) => Err(Error::Internal(anyhow::anyhow!("the repository is switched off"))),
    };
    let delivery = retrieval.map(|here| Delivery { here, incoming: vec![], errors: vec![], records: vec![] });
    respond(context, asked_for, delivery, message_id, mtom)
}

/// Documents asked for, or every problem of the request.
type Requests = Result<Vec<DocumentRequest>, Vec<RegistryError>>;

impl Asked {
    /// The documents asked for, for the audit record; and the requests.
    pub fn split(self) -> (Vec<Held>, Requests) {
        let held = self.requests.iter().flatten().map(|r| held(r, None)).collect();
        (held, self.requests)
    }
}

/// Where a document is, as audit records tell it.
fn held(request: &DocumentRequest, patient: Option<String>) -> Held {
    Held {
        document: request.document_unique_id.clone(),
        repository: request.repository_unique_id.clone(),
        home: request.home_community_id.clone(),
        patient,
    }
}

/// Answers with what could be had: documents of ours, and those of others as they come in.
pub fn respond(
    context: &Context,
    asked_for: Vec<Held>,
    delivery: Result<Delivery, Error>,
    message_id: Option<&str>,
    mtom: bool,
) -> Result<Reply, Fault> {
    let documents = asked_for.iter().map(|held| held.document.clone()).collect();
    let mut subject = Subject { documents, ..Subject::default() };
    let (delivery, failed) = match delivery {
        Ok(delivery) => (delivery, None),
        Err(error) => {
            subject = subject.with_failure(&error);
            let (errors, outcome) = failure(error, context.transaction, &context.request_id)?;
            let here = Retrieval { documents: vec![], errors };
            (Delivery { here, incoming: vec![], errors: vec![], records: vec![] }, Some(outcome))
        }
    };
    let Delivery { here: Retrieval { documents, mut errors }, incoming, errors: theirs, records } = delivery;
    errors.extend(theirs);
    let promised = || incoming.iter().flat_map(|i| &i.documents);
    let status = status(&errors, !documents.is_empty() || !incoming.is_empty());
    let (audit_outcome, outcome) = match status {
        ResponseStatus::Success => (AuditOutcome::Success, Outcome::Success),
        ResponseStatus::PartialSuccess => (AuditOutcome::MinorFailure, Outcome::Partial),
        ResponseStatus::Failure => (AuditOutcome::SeriousFailure, failed.unwrap_or(Outcome::Failure)),
    };
    if failed.is_none() {
        subject = subject.with_errors(&errors);
    }
    let made = documents.iter().filter_map(|d| d.made.as_ref());
    let made = made.chain(promised().filter_map(|d| d.made.as_ref()));
    subject.documents.extend(made.map(|m| m.unique_id.clone()));
    subject.show(documents.iter().map(|d| d.patient_id.clone()).collect());
    subject.facts.held = asked_for;
    for given in &documents {
        let known =
            subject.facts.held.iter_mut().filter(|held| held.document == given.request.document_unique_id);
        known.for_each(|held| held.patient = Some(given.patient_id.clone()));
    }
    if status == ResponseStatus::PartialSuccess {
        let given = documents.iter().map(|d| &d.request).chain(promised().map(|d| &d.request));
        let given: Vec<&str> = given.map(|r| r.document_unique_id.as_str()).collect();
        let asked = subject.facts.held.iter().map(|held| held.document.clone());
        subject.facts.missing = asked.filter(|id| !given.contains(&id.as_str())).collect();
    }
    let event = context.audit(audit_outcome, subject);
    let multipart = Multipart::fresh();
    // What passes through is never base64 text: it would have to be held until its turn.
    let parts = mtom || !incoming.is_empty();
    let ours = documents.iter().map(|d| (&d.request, &d.made, &d.mime_type));
    let all = ours.chain(promised().map(|d| (&d.request, &d.made, &d.mime_type)));
    let responses: Vec<DocumentResponse> = all
        .enumerate()
        .map(|(n, (request, made, mime_type))| DocumentResponse {
            home_community_id: request.home_community_id.clone(),
            repository_unique_id: request.repository_unique_id.clone(),
            document_unique_id: request.document_unique_id.clone(),
            new_repository_unique_id: made.as_ref().and_then(|m| m.kept_at.clone()),
            new_document_unique_id: made.as_ref().map(|m| m.unique_id.clone()),
            mime_type: mime_type.clone(),
            content: if parts {
                Content::Include(multipart.document_id(n))
            } else {
                Content::Base64(placeholder(&multipart, n))
            },
        })
        .collect();
    let action = context.transaction.row().response_action;
    let capacity = 700 * (responses.len() + errors.len());
    let envelope = write_answer(action, message_id, context.elsewhere.as_deref(), capacity, |w| {
        retrieve::write_response(w, status, &errors, &responses);
    });
    let documents = documents.into_iter().map(|d| (d.mime_type, d.content)).collect();
    let included = Included { envelope, multipart, documents };
    let body = match incoming.is_empty() {
        true => Body::WithDocuments(included),
        false => Body::Passing(Passing { included, incoming }),
    };
    let audited = match records.is_empty() {
        true => Audited::Due(Box::new(event)),
        false => Audited::AllDue(std::iter::once(event).chain(records).collect()),
    };
    Ok(Reply { body, audited, outcome })
}
