//! ITI-42 Register Document Set-b; the answer is that of ITI-41 and ITI-61 too. ITI TF-2 3.42.

use roxmltree::Node;

use super::SoapFace;
use super::fault::failure;
use super::reply::{Body, Reply};
use crate::model::audit::Outcome as AuditOutcome;
use crate::model::error::{Error, ErrorCode, Fault, RegistryError};
use crate::model::rules::Column;
use crate::model::rules::submission;
use crate::server::metrics::Outcome;
use crate::service::audit::Audited;
use crate::service::context::{Context, Subject};
use crate::wire::ebxml::response::{self, ResponseStatus};
use crate::wire::ebxml::submit::{self, Draft};
use crate::wire::soap::write_answer;

/// A submission as read.
pub struct Asked {
    draft: Draft,
}

impl Asked {
    pub fn source_id(&self) -> &str {
        &self.draft.submission.submission_set.source_id
    }
}

pub fn read(face: &SoapFace, body: Node<'_, '_>) -> Asked {
    read_from(face, body, Column::DocumentRepository)
}

/// A submission to the registry by the sender of a column.
pub(super) fn read_from(face: &SoapFace, body: Node<'_, '_>, sender: Column) -> Asked {
    let rules = face.registry.as_ref().map(|r| r.rules(sender));
    let mut draft = submit::read(body, rules.as_ref());
    submission::check(
        &draft.submission,
        ErrorCode::XDSRegistryDuplicateUniqueIdInMessage,
        &mut draft.problems,
    );
    Asked { draft }
}

pub async fn answer(
    face: &SoapFace,
    context: &Context,
    asked: Asked,
    message_id: Option<&str>,
) -> Result<Reply, Fault> {
    let Draft { submission, problems } = asked.draft;
    let subject = subject_of(&submission);
    let done = match &face.registry {
        Some(registry) => registry.register(context, submission, vec![], problems).await,
        None => Err(Error::Internal(anyhow::anyhow!("the registry is switched off"))),
    };
    registry_response(context, done.map(|d| (d.warnings, Audited::Written)), subject, message_id)
}

/// What the audit record says of a submission, however it ends.
pub fn subject_of(submission: &crate::model::metadata::Submission) -> Subject {
    let filled = |text: &String| Some(text.clone()).filter(|t| !t.is_empty());
    Subject {
        patients: filled(&submission.submission_set.patient_id).into_iter().collect(),
        submission_set: filled(&submission.submission_set.unique_id),
        documents: submission.document_entries.iter().map(|d| d.unique_id.clone()).collect(),
        ..Subject::default()
    }
}

/// `rs:RegistryResponse` (ITI TF-3 4.2.4) of what was done, and what is said of it: warnings, or errors of
/// the part that was not done.
pub fn registry_response(
    context: &Context,
    done: Result<(Vec<RegistryError>, Audited), Error>,
    subject: Subject,
    message_id: Option<&str>,
) -> Result<Reply, Fault> {
    let (status, errors, audited, outcome) = match done {
        Ok((said, audited)) => {
            let status = response::status(&said, true);
            let outcome = match status {
                ResponseStatus::PartialSuccess => Outcome::Partial,
                _ if said.is_empty() => Outcome::Success,
                _ => Outcome::Warning,
            };
            (status, said, audited, outcome)
        }
        Err(error) => {
            let subject = subject.with_failure(&error);
            let (errors, outcome) = failure(error, context.transaction, &context.request_id)?;
            let event = context.audit(AuditOutcome::SeriousFailure, subject);
            (ResponseStatus::Failure, errors, Audited::Due(Box::new(event)), outcome)
        }
    };
    let action = context.transaction.row().response_action;
    let envelope =
        write_answer(action, message_id, context.elsewhere.as_deref(), 512 * (errors.len() + 1), |w| {
            response::write(w, status, &errors)
        });
    Ok(Reply { body: Body::Envelope(envelope), audited, outcome })
}
