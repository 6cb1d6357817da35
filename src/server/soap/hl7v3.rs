//! What ITI-44, ITI-45, ITI-46 and ITI-47 share: an answer's own name, what the index says in the words of HL7 v3, and the
//! audit record of a message that never reached it.

use super::fault::failure;
use crate::model::audit::Outcome as AuditOutcome;
use crate::model::error::{Error, Fault, RegistryError};
use crate::model::identity::DomainId;
use crate::server::metrics::Outcome;
use crate::service::audit::Audited;
use crate::service::context::{Context, Subject};
use crate::service::mpi::{Mpi, Refusal};
use crate::wire::hl7v3::ack::Ack;
use crate::wire::hl7v3::{Ii, Own, Paths, Problem};

/// How a request ended that the index did not grant.
pub struct Ended {
    pub ack: Ack,
    pub details: Vec<Problem>,
    pub outcome: Outcome,
}

/// The name and time of an answer.
pub fn own(context: &Context) -> Own {
    Own {
        id: context.uuid().to_string(),
        time: context.received_at.strftime("%Y%m%d%H%M%S+0000").to_string(),
    }
}

/// What the index refused, or could not do. The sender's fault is AE; what may be sent again is AR.
pub fn refusal(context: &Context, refusal: Refusal, paths: &Paths) -> Result<Ended, Fault> {
    let error = match refusal {
        Refusal::Identity(errors) => {
            let details = errors.iter().map(|e| paths.problem(e)).collect();
            return Ok(Ended { ack: Ack::Error, details, outcome: Outcome::Failure });
        }
        Refusal::Error(error) => error,
    };
    let ack = match &error {
        // A feed whose outcome is not known may be sent again: said twice it is the same.
        Error::Busy(_) | Error::NoRoom(_) | Error::Away { .. } | Error::Unavailable { .. } => Ack::Reject,
        _ => Ack::Error,
    };
    let (errors, outcome) = failure(error, context.transaction, &context.request_id)?;
    let details = errors.into_iter().map(|e: RegistryError| Problem::ours(e.context)).collect();
    Ok(Ended { ack, details, outcome })
}

/// The record of a message refused before the index heard of it.
pub fn unheard(context: &Context, problems: &[Problem]) -> crate::model::audit::AuditEvent {
    let mut errors: Vec<String> = problems.iter().map(|p| p.code.to_owned()).collect();
    errors.dedup();
    context.audit(AuditOutcome::SeriousFailure, Subject { errors, ..Subject::default() })
}

/// How a feed or a notice ends that nobody here is to hear of.
pub fn unread(context: &Context, details: Vec<Problem>) -> (Ended, Audited) {
    let audited = Audited::Due(Box::new(unheard(context, &details)));
    (Ended { ack: Ack::Error, details, outcome: Outcome::Failure }, audited)
}

/// The context with what the message says of itself, and its question where it asks one.
pub fn heard(context: &Context, header: &crate::wire::hl7v3::Header, question: Option<String>) -> Context {
    let id = match (&header.id.root, &header.id.extension) {
        (Some(root), Some(extension)) => Some(format!("{root}^{extension}")),
        (root, _) => root.clone(),
    };
    context.with_exchange(|exchange| {
        exchange.message_id = id;
        exchange.event = Some(header.interaction.clone());
        exchange.question = question.filter(|q| !q.is_empty());
    })
}

/// The record of a feed that was checked and not kept.
pub fn rehearsed(context: &Context, ids: &[DomainId]) -> Audited {
    let patients = ids.iter().map(|id| format!("{}^^^&{}&ISO", id.value, id.domain)).collect();
    let subject = Subject { patients, ..Subject::default() };
    Audited::Due(Box::new(context.audit(AuditOutcome::Success, subject)))
}

/// An id as answers have it: root, extension, and the name people know the authority by.
pub fn ii(mpi: &Mpi, id: &DomainId) -> Ii {
    let namespace = mpi.domains().by_name(&id.domain).map(|d| d.namespace.clone());
    Ii {
        authority_name: namespace.filter(|n| !n.is_empty()),
        ..Ii::with(id.domain.clone(), id.value.clone())
    }
}

/// The index, of which a face without one has no addresses.
pub fn index(face: &super::SoapFace) -> Result<&Mpi, Fault> {
    face.mpi.as_ref().ok_or_else(|| {
        Fault::sender("the index of patients is switched off in this gateway")
            .subcode("wsa:ActionNotSupported")
    })
}
