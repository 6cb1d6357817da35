//! ITI-46 PIXV3 Update Notification, as the consumer: another network's index says which ids a patient has. ITI TF-2
//! 3.46.

use super::hl7v3::{Ended, heard, unheard, unread};
use super::reply::Reply;
use super::{SoapFace, iti44, responder};
use crate::model::error::Fault;
use crate::model::identity::{DomainId, Feed};
use crate::server::metrics::Outcome;
use crate::service::audit::Audited;
use crate::service::context::Context;
use crate::service::gateway::correlate::Unheard;
use crate::service::mpi::Refusal;
use crate::wire::hl7v3::ack::Ack;
use crate::wire::hl7v3::feed::Read;
use crate::wire::hl7v3::{Problem, Refused, code};

/// A notice is a feed to whoever reads it.
pub use super::iti44::{Asked, read};

pub async fn answer(
    face: &SoapFace,
    context: &Context,
    asked: Asked,
    message_id: Option<&str>,
) -> Result<Reply, Fault> {
    let responder = responder(face)?;
    let Read { header, message, paths } = match asked.0 {
        Ok(read) => read,
        Err(refused) => {
            let Refused { header, problems, .. } = *refused;
            let context = &heard(context, &header, None);
            let (ended, audited) = unread(context, problems);
            return Ok(iti44::reply(context, message_id, &header, ended, audited));
        }
    };
    let context = &heard(context, &header, None);
    // Ids without the OID of an authority are nobody's that we know.
    let ids: Vec<DomainId> = match message.feed {
        Feed::Upsert { ids, .. } => ids
            .into_iter()
            .filter_map(|id| Some(DomainId { domain: id.authority.universal_id?, value: id.value }))
            .collect(),
        _ => vec![],
    };
    let organization = header.sender.organization.as_ref().and_then(|o| o.root.as_deref());
    let sender: Vec<&str> = header.sender.id.root.as_deref().into_iter().chain(organization).collect();
    let (ended, audited) = match responder.correlations().heard(context, &sender, ids).await {
        Ok(()) => {
            let ended = Ended { ack: Ack::Accept, details: vec![], outcome: Outcome::Success };
            (ended, Audited::Apart)
        }
        Err(Unheard::Stranger) => {
            let text =
                "no community of the directory has this device, and none other may say who a patient is";
            let location = "/PRPA_IN201302UV02/sender/device/id";
            let details = vec![Problem::error(code::UNKNOWN_KEY, text, location)];
            unread(context, details)
        }
        Err(Unheard::Error(error)) => {
            let ended = super::hl7v3::refusal(context, Refusal::Error(error), &paths)?;
            let audited = Audited::Due(Box::new(unheard(context, &ended.details)));
            (ended, audited)
        }
    };
    Ok(iti44::reply(context, message_id, &header, ended, audited))
}
