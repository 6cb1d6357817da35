//! ITI-57 Update Document Set and ITI-92 Restricted Update Document Set.
//! ITI Metadata Update 3.57, ITI RMU 3.92.

use roxmltree::Node;

use super::SoapFace;
use super::iti42::registry_response;
use super::reply::Reply;
use crate::model::error::{Error, Fault, RegistryError};
use crate::model::rules::Column;
use crate::service::audit::Audited;
use crate::service::context::Context;
use crate::service::registry::subject_of_update;
use crate::wire::ebxml::update::{self, UpdateDraft};

/// An update as read.
pub struct Asked {
    draft: UpdateDraft,
    restricted: bool,
}

impl Asked {
    pub fn source_id(&self) -> &str {
        &self.draft.update.submission.submission_set.source_id
    }
}

pub fn read(face: &SoapFace, body: Node<'_, '_>, restricted: bool) -> Asked {
    let rules = face.registry.as_ref().map(|r| r.rules(Column::DocumentRepository));
    let mut draft = update::read(body, rules.as_ref());
    for problem in &mut draft.problems {
        locate(problem, &draft.update);
    }
    Asked { draft, restricted }
}

/// An error of an update is located at the object that triggered it, and nothing finer (3.57.4.2.2).
fn locate(problem: &mut RegistryError, update: &crate::model::metadata::Update) {
    let Some(location) = problem.location.as_deref() else { return };
    let of =
        |id: &&str| !id.is_empty() && location.strip_prefix(*id).is_some_and(|rest| rest.starts_with('/'));
    if let Some(id) = update.ids().filter(of).max_by_key(|id| id.len()) {
        problem.location = Some(id.to_owned());
    }
}

pub async fn answer(
    face: &SoapFace,
    context: &Context,
    asked: Asked,
    message_id: Option<&str>,
) -> Result<Reply, Fault> {
    let UpdateDraft { update, problems } = asked.draft;
    let subject = subject_of_update(&update);
    let done = match &face.registry {
        Some(registry) => registry.update(context, update, asked.restricted, problems).await,
        None => Err(Error::Internal(anyhow::anyhow!("the registry is switched off"))),
    };
    registry_response(context, done.map(|d| (d.warnings, Audited::Written)), subject, message_id)
}
