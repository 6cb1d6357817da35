//! ITI-62 Remove Metadata. ITI RMD 3.62.

use roxmltree::Node;

use super::SoapFace;
use super::iti42::registry_response;
use super::reply::Reply;
use crate::model::error::{Error, Fault, RegistryError};
use crate::service::audit::Audited;
use crate::service::context::{Context, Subject};
use crate::wire::ebxml::remove;

/// A removal as read.
pub struct Asked {
    ids: Vec<String>,
    problems: Vec<RegistryError>,
}

pub fn read(body: Node<'_, '_>) -> Asked {
    let (ids, problems) = remove::read(body);
    Asked { ids, problems }
}

pub async fn answer(
    face: &SoapFace,
    context: &Context,
    asked: Asked,
    message_id: Option<&str>,
) -> Result<Reply, Fault> {
    let subject = Subject { objects: asked.ids.clone(), ..Subject::default() };
    let done = match &face.registry {
        _ if !asked.problems.is_empty() => Err(Error::Rejected(asked.problems)),
        Some(registry) => registry.remove(context, asked.ids).await,
        None => Err(Error::Internal(anyhow::anyhow!("the registry is switched off"))),
    };
    registry_response(context, done.map(|()| (vec![], Audited::Written)), subject, message_id)
}
