//! ITI-45 PIXV3 Query. ITI TF-2 3.45.

use roxmltree::Node;

use super::SoapFace;
use super::hl7v3::{Ended, heard, ii, index, own, refusal, unheard};
use super::reply::{Body, Reply};
use crate::model::error::Fault;
use crate::server::metrics::Outcome;
use crate::service::audit::Audited;
use crate::service::context::Context;
use crate::wire::hl7v3::ack::Ack;
use crate::wire::hl7v3::pix::{self, Answer, Read};
use crate::wire::hl7v3::{QueryAck, Refused};
use crate::wire::soap::write_answer;

/// A question as read, or why it cannot be answered.
pub struct Asked(Result<Read, Box<Refused>>);

pub fn read(body: Node<'_, '_>) -> Result<Asked, Fault> {
    pix::read(body).map(Asked).map_err(Fault::sender)
}

pub async fn answer(
    face: &SoapFace,
    context: &Context,
    asked: Asked,
    message_id: Option<&str>,
) -> Result<Reply, Fault> {
    let mpi = index(face)?;
    let mut ids = vec![];
    let (header, question, ended, audited) = match asked.0 {
        Err(refused) => {
            let Refused { header, problems, query } = *refused;
            let audited = face.audit.of_query(unheard(context, &problems));
            let ended = Ended { ack: Ack::Error, details: problems, outcome: Outcome::Failure };
            (header, query.unwrap_or_default(), ended, audited)
        }
        Ok(Read { header, query, asked, paths }) => {
            let context = &heard(context, &header, Some(mpi.recordable(&asked.echo)));
            let ended = match mpi.pix(context, query).await {
                Ok(found) => {
                    ids = found.ids.iter().map(|id| ii(mpi, id)).collect();
                    Ended { ack: Ack::Accept, details: vec![], outcome: Outcome::Success }
                }
                Err(refused) => refusal(context, refused, &paths)?,
            };
            (header, asked, ended, Audited::Apart)
        }
    };
    let query_ack = match (ended.ack, ids.is_empty()) {
        (Ack::Accept, false) => QueryAck::Found,
        (Ack::Accept, true) => QueryAck::NothingFound,
        _ => QueryAck::Error,
    };
    let answer = Answer { ack: ended.ack, query_ack, details: &ended.details, ids: &ids };
    let action = context.transaction.row().response_action;
    let capacity = 4096 + 512 * (ids.len() + ended.details.len());
    let envelope = write_answer(action, message_id, context.elsewhere.as_deref(), capacity, |w| {
        pix::write(w, &header, &question, &own(context), &answer);
    });
    Ok(Reply { body: Body::Envelope(envelope), audited, outcome: ended.outcome })
}
