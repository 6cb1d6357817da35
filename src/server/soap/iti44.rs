//! ITI-44 Patient Identity Feed HL7 V3. ITI TF-2 3.44.

use roxmltree::Node;

use super::SoapFace;
use super::hl7v3::{Ended, heard, index, own, refusal, rehearsed, unheard, unread};
use super::reply::{Body, Reply};
use crate::model::error::Fault;
use crate::model::identity::{Feed, Place, SentId, Warning};
use crate::server::metrics::Outcome;
use crate::server::mllp::rehearse;
use crate::service::audit::Audited;
use crate::service::context::Context;
use crate::service::mpi::{Mpi, Refusal};
use crate::wire::hl7v3::ack::{self, Ack};
use crate::wire::hl7v3::feed::{self, Read};
use crate::wire::hl7v3::{Header, Problem, Refused};
use crate::wire::soap::write_answer;

/// A feed as read, or why it cannot be taken.
pub struct Asked(pub(super) Result<Read, Box<Refused>>);

pub fn read(body: Node<'_, '_>) -> Result<Asked, Fault> {
    feed::read(body).map(Asked).map_err(Fault::sender)
}

pub async fn answer(
    face: &SoapFace,
    context: &Context,
    asked: Asked,
    message_id: Option<&str>,
) -> Result<Reply, Fault> {
    let mpi = index(face)?;
    let (header, ended, audited) = match asked.0 {
        Err(refused) => {
            let Refused { header, problems, .. } = *refused;
            let (ended, audited) = unread(context, problems);
            (header, ended, audited)
        }
        Ok(read) if read.header.processing != face.processing_id => {
            let (ended, audited) = rehearse_it(face, mpi, context, &read)?;
            (read.header, ended, audited)
        }
        Ok(Read { header, message, paths }) => {
            let context = &heard(context, &header, None);
            let ended = match mpi.feed(context, message).await {
                Ok(fed) => taken(fed.warnings.iter().map(|w| paths.warning(w)).collect()),
                Err(refused) => refusal(context, refused, &paths)?,
            };
            (header, ended, Audited::Apart)
        }
    };
    Ok(reply(context, message_id, &header, ended, audited))
}

fn taken(details: Vec<Problem>) -> Ended {
    let outcome = if details.is_empty() { Outcome::Success } else { Outcome::Warning };
    Ended { ack: Ack::Accept, details, outcome }
}

/// A feed for another kind of gateway than this one: checked as far as that needs no change, acknowledged, and
/// forgotten.
fn rehearse_it(
    face: &SoapFace,
    mpi: &Mpi,
    context: &Context,
    read: &Read,
) -> Result<(Ended, Audited), Fault> {
    let errors = rehearse::check(mpi.domains(), &read.message);
    if !errors.is_empty() {
        let ended = refusal(context, Refusal::Identity(errors), &read.paths)?;
        let audited = Audited::Due(Box::new(unheard(context, &ended.details)));
        return Ok((ended, audited));
    }
    let text = format!("checked only: this gateway keeps messages of kind {}", face.processing_id);
    let mut details: Vec<Problem> = read.message.warnings.iter().map(|w| read.paths.warning(w)).collect();
    details.push(read.paths.warning(&Warning { place: Place::default(), text }));
    let known = |id: &SentId| {
        let domain = mpi.domains().resolve(&id.authority)?;
        Some(crate::model::identity::DomainId {
            domain: domain.oid.clone(),
            value: domain.canonical(&id.value),
        })
    };
    let ids: Vec<_> = match &read.message.feed {
        Feed::Upsert { ids, .. } | Feed::Nothing { ids } => ids.iter().filter_map(known).collect(),
        Feed::Merge { surviving, subsumed } => surviving.iter().chain(subsumed).filter_map(known).collect(),
        Feed::Rename { .. } | Feed::Link { .. } | Feed::Unlink { .. } => vec![],
    };
    Ok((taken(details), rehearsed(context, &ids)))
}

/// `MCCI_IN000002UV01`.
pub(super) fn reply(
    context: &Context,
    message_id: Option<&str>,
    header: &Header,
    ended: Ended,
    audited: Audited,
) -> Reply {
    let Ended { ack, details, outcome } = ended;
    let capacity = 2048 + 512 * details.len();
    let envelope = write_answer(ACTION, message_id, context.elsewhere.as_deref(), capacity, |w| {
        ack::write(w, header, &own(context), ack, &details);
    });
    Reply { body: Body::Envelope(envelope), audited, outcome }
}

/// The Action of every acknowledgement.
const ACTION: &str = "urn:hl7-org:v3:MCCI_IN000002UV01";
