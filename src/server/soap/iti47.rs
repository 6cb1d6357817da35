//! ITI-47 Patient Demographics Query HL7 V3, its continuation and its cancel. ITI TF-2 3.47.

use roxmltree::Node;

use super::hl7v3::{Ended, heard, ii, index, own, refusal, unheard};
use super::reply::{Body, Reply};
use super::{SoapFace, iti44};
use crate::model::error::Fault;
use crate::server::metrics::Outcome;
use crate::service::audit::Audited;
use crate::service::context::Context;
use crate::service::mpi::{Found, FoundPatient, Mpi, Page};
use crate::wire::hl7v3::ack::Ack;
use crate::wire::hl7v3::pdq::{self, Answer, Continuation, Read, Subject};
use crate::wire::hl7v3::{Header, Ii, QueryAck, Refused, Totals};
use crate::wire::soap::write_answer;

/// What is asked, or why it cannot be answered.
pub enum Asked {
    Question(Result<Box<Read>, Box<Refused>>),
    Continuation(Result<Continuation, Box<Refused>>),
    Cancel(Result<Continuation, Box<Refused>>),
}

/// The Action tells them apart, for continuation and cancel may have one element.
pub fn read(body: Node<'_, '_>, action: &str) -> Result<Asked, Fault> {
    let cancel = action.ends_with("_Cancel");
    match body.tag_name().name() {
        pdq::CONTINUE | pdq::CANCEL => {
            let read = pdq::read_continuation(body, cancel).map_err(Fault::sender)?;
            Ok(if cancel { Asked::Cancel(read) } else { Asked::Continuation(read) })
        }
        _ => {
            let read = pdq::read(body).map_err(Fault::sender)?;
            Ok(Asked::Question(read.map(Box::new)))
        }
    }
}

pub async fn answer(
    face: &SoapFace,
    context: &Context,
    asked: Asked,
    message_id: Option<&str>,
) -> Result<Reply, Fault> {
    let mpi = index(face)?;
    let asked = match asked {
        Asked::Question(Ok(read)) => {
            let Read { header, mut query, asked, size, least, paths } = *read;
            // Without a quantity, all of them.
            let page = Page { query_id: asked.id.key(), size: Some(size.unwrap_or(ALL)), pointer: None };
            let domains: Vec<String> = query
                .returned
                .iter()
                .filter_map(|authority| mpi.domains().resolve(authority).map(|d| d.oid.clone()))
                .collect();
            query.fuzzy |= least > 0 && least < 100;
            let context = &heard(context, &header, Some(mpi.recordable(&asked.echo)));
            return match mpi.find(context, query, page).await {
                Ok(found) => {
                    Ok(found_reply(context, message_id, mpi, &header, &asked, found, &domains, least))
                }
                Err(refused) => {
                    let ended = refusal(context, refused, &paths)?;
                    Ok(failed(context, message_id, &header, &asked, ended, Audited::Apart))
                }
            };
        }
        Asked::Continuation(Ok(Continuation { header, query_id, from, size, paths, .. })) => {
            let asked = crate::wire::hl7v3::Asked { id: query_id.clone(), echo: String::new() };
            return match mpi.go_on(context, &query_id.key(), from, size).await {
                Ok(found) => Ok(found_reply(context, message_id, mpi, &header, &asked, found, &[], 0)),
                Err(refused) => {
                    let ended = refusal(context, refused, &paths)?;
                    Ok(failed(context, message_id, &header, &asked, ended, Audited::Apart))
                }
            };
        }
        Asked::Cancel(Ok(Continuation { header, query_id, paths, .. })) => {
            // A question that is not known (any more) is as good as cancelled.
            let ended = match mpi.cancel(context, &query_id.key()).await {
                Ok(_known) => Ended { ack: Ack::Accept, details: vec![], outcome: Outcome::Success },
                Err(refused) => refusal(context, refused, &paths)?,
            };
            return Ok(iti44::reply(context, message_id, &header, ended, Audited::Apart));
        }
        other => other,
    };
    let (refused, cancel) = match asked {
        Asked::Question(Err(refused)) | Asked::Continuation(Err(refused)) => (refused, false),
        Asked::Cancel(Err(refused)) => (refused, true),
        _ => return Err(Fault::sender("a message is neither taken nor refused").status(500)),
    };
    let Refused { header, problems, query } = *refused;
    let audited = face.audit.of_query(unheard(context, &problems));
    let ended = Ended { ack: Ack::Error, details: problems, outcome: Outcome::Failure };
    Ok(match cancel {
        true => iti44::reply(context, message_id, &header, ended, audited),
        false => failed(context, message_id, &header, &query.unwrap_or_default(), ended, audited),
    })
}

/// As many as there are: the index has a limit of its own (`mpi.query_results`).
const ALL: u64 = i64::MAX as u64;

/// Bytes of an answer to reserve for one patient.
const PATIENT: usize = 3072;

#[allow(clippy::too_many_arguments)]
fn found_reply(
    context: &Context,
    message_id: Option<&str>,
    mpi: &Mpi,
    header: &Header,
    asked: &crate::wire::hl7v3::Asked,
    found: Found,
    domains: &[String],
    least: u8,
) -> Reply {
    let Found { patients, total, remaining, .. } = found;
    let before = patients.len();
    let patients: Vec<FoundPatient> = patients.into_iter().filter(|p| p.score >= least).collect();
    let left_out = (before - patients.len()) as u64;
    let ids: Vec<Vec<Ii>> = patients.iter().map(|p| p.ids.iter().map(|id| ii(mpi, id)).collect()).collect();
    let without: Vec<Vec<String>> = patients
        .iter()
        .map(|p| domains.iter().filter(|d| !p.ids.iter().any(|id| id.domain == **d)).cloned().collect())
        .collect();
    let subjects: Vec<Subject<'_>> = patients
        .iter()
        .zip(&ids)
        .zip(&without)
        .map(|((p, ids), without)| Subject {
            ids,
            without,
            demographics: &p.demographics,
            score: p.score.min(100),
        })
        .collect();
    let totals = Totals { total: total.saturating_sub(left_out), current: subjects.len() as u64, remaining };
    let query_ack = if subjects.is_empty() { QueryAck::NothingFound } else { QueryAck::Found };
    let answer =
        Answer { ack: Ack::Accept, query_ack, details: &[], subjects: &subjects, totals: Some(totals) };
    write(context, message_id, header, asked, &answer, Audited::Apart, Outcome::Success)
}

fn failed(
    context: &Context,
    message_id: Option<&str>,
    header: &Header,
    asked: &crate::wire::hl7v3::Asked,
    ended: Ended,
    audited: Audited,
) -> Reply {
    let answer = Answer {
        ack: ended.ack,
        query_ack: QueryAck::Error,
        details: &ended.details,
        subjects: &[],
        totals: None,
    };
    write(context, message_id, header, asked, &answer, audited, ended.outcome)
}

fn write(
    context: &Context,
    message_id: Option<&str>,
    header: &Header,
    asked: &crate::wire::hl7v3::Asked,
    answer: &Answer<'_>,
    audited: Audited,
    outcome: Outcome,
) -> Reply {
    let action = context.transaction.row().response_action;
    let capacity = 4096 + PATIENT * answer.subjects.len() + 512 * answer.details.len();
    let envelope = write_answer(action, message_id, context.elsewhere.as_deref(), capacity, |w| {
        pdq::write(w, header, asked, &own(context), answer);
    });
    Reply { body: Body::Envelope(envelope), audited, outcome }
}
