//! ITI-86 Remove Documents. ITI RMD 3.86.

use roxmltree::Node;

use super::SoapFace;
use super::iti42::registry_response;
use super::iti43::asked_for;
use super::reply::Reply;
use crate::model::error::{Error, Fault, RegistryError};
use crate::service::audit::Audited;
use crate::service::context::{Context, Subject};
use crate::service::repository::DocumentRequest;
use crate::wire::ebxml::remove_documents;

/// A removal as read.
pub struct Asked {
    requests: Result<Vec<DocumentRequest>, Vec<RegistryError>>,
}

/// Of the action that Content-Type owes here (3.86.4.1.2) nothing is asked: it says what wsa:Action says, and
/// some stacks cannot send it.
pub fn read(face: &SoapFace, body: Node<'_, '_>) -> Asked {
    Asked { requests: remove_documents::read(body, face.limits.retrieve_documents).map(asked_for) }
}

pub async fn answer(
    face: &SoapFace,
    context: &Context,
    asked: Asked,
    message_id: Option<&str>,
) -> Result<Reply, Fault> {
    let mut subject = Subject::default();
    let done = match asked.requests {
        Err(problems) => Err(Error::Rejected(problems)),
        Ok(requests) => {
            subject.documents = requests.iter().map(|r| r.document_unique_id.clone()).collect();
            match &face.repository {
                Some(repository) => repository.remove(context, requests).await,
                None => Err(Error::Internal(anyhow::anyhow!("the repository is switched off"))),
            }
        }
    };
    registry_response(context, done.map(|d| (d.errors, Audited::Written)), subject, message_id)
}
