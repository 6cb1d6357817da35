//! ITI-43 Retrieve Document Set. ITI TF-2 3.43.

use roxmltree::Node;

use super::SoapFace;
use super::fault::failure;
use super::reply::{Body, Included, Reply, placeholder};
use crate::model::audit::Outcome as AuditOutcome;
use crate::model::error::{Error, Fault, RegistryError};
use crate::server::metrics::Outcome;
use crate::service::audit::Audited;
use crate::service::context::{Context, Subject};
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
    let mut subject = Subject::default();
    let retrieval = match asked.requests {
        Err(problems) => Err(Error::Rejected(problems)),
        Ok(requests) => {
            subject.documents = requests.iter().map(|r| r.document_unique_id.clone()).collect();
            match &face.repository {
                Some(repository) => repository.retrieve(context, requests).await,
                None => Err(Error::Internal(anyhow::anyhow!("the repository is switched off"))),
            }
        }
    };
    let (Retrieval { documents, errors }, failed) = match retrieval {
        Ok(retrieval) => (retrieval, None),
        Err(error) => {
            subject = subject.with_failure(&error);
            let (errors, outcome) = failure(error, context.transaction, &context.request_id)?;
            (Retrieval { documents: vec![], errors }, Some(outcome))
        }
    };
    let status = status(&errors, !documents.is_empty());
    let (audit_outcome, outcome) = match status {
        ResponseStatus::Success => (AuditOutcome::Success, Outcome::Success),
        ResponseStatus::PartialSuccess => (AuditOutcome::MinorFailure, Outcome::Partial),
        ResponseStatus::Failure => (AuditOutcome::SeriousFailure, failed.unwrap_or(Outcome::Failure)),
    };
    if failed.is_none() {
        subject = subject.with_errors(&errors);
    }
    for d in &documents {
        subject.documents.extend(d.made.iter().map(|m| m.unique_id.clone()));
        if !subject.patients.contains(&d.patient_id) {
            subject.patients.push(d.patient_id.clone());
        }
    }
    let event = context.audit(audit_outcome, subject);
    let multipart = Multipart::fresh();
    let responses: Vec<DocumentResponse> = documents
        .iter()
        .enumerate()
        .map(|(n, d)| DocumentResponse {
            home_community_id: d.request.home_community_id.clone(),
            repository_unique_id: d.request.repository_unique_id.clone(),
            document_unique_id: d.request.document_unique_id.clone(),
            new_repository_unique_id: d.made.as_ref().and_then(|m| m.kept_at.clone()),
            new_document_unique_id: d.made.as_ref().map(|m| m.unique_id.clone()),
            mime_type: d.mime_type.clone(),
            content: if mtom {
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
    Ok(Reply {
        body: Body::WithDocuments(Included { envelope, multipart, documents }),
        audited: Audited::Due(Box::new(event)),
        outcome,
    })
}
