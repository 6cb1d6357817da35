//! ITI-55 Cross Gateway Patient Discovery, Responding Gateway: answered at once, or acknowledged and answered at the
//! address that `respondTo` names. ITI TF-2 3.55.

use roxmltree::Node;
use uuid::Uuid;

use super::hl7v3::{ii, own, unheard};
use super::iti44;
use super::reply::{Body, Reply};
use super::{SoapFace, responder};
use crate::model::addressing::{Elsewhere, FaultsTo};
use crate::model::audit::Outcome as AuditOutcome;
use crate::model::error::Fault;
use crate::model::identity::{TimeToLive, Unable};
use crate::server::metrics::Outcome;
use crate::service::answers;
use crate::service::audit::Audited;
use crate::service::context::{Context, Subject};
use crate::service::gateway::Responder;
use crate::service::gateway::respond::{Answer, Asker, Told};
use crate::wire::hl7v3::ack::Ack;
use crate::wire::hl7v3::xcpd::{self, Read};
use crate::wire::hl7v3::xcpd_answer::{self, Match, Said};
use crate::wire::hl7v3::{Header, Ii, Problem, Refused, code};
use crate::wire::soap::write_answer_with;

/// A question as read, with how long the asker lets us keep it; or why it cannot be answered.
pub struct Asked {
    read: Result<Box<Read>, Box<Refused>>,
    time_to_live: Option<TimeToLive>,
    deferred: bool,
}

pub fn read(body: Node<'_, '_>, action: &str) -> Result<Asked, Fault> {
    Ok(Asked {
        read: xcpd::read(body).map_err(Fault::sender)?.map(Box::new),
        time_to_live: xcpd::time_to_live(body),
        deferred: action == xcpd::DEFERRED_ACTION,
    })
}

pub async fn answer(
    face: &SoapFace,
    context: &Context,
    asked: Asked,
    message_id: Option<&str>,
) -> Result<Reply, Fault> {
    let responder = responder(face)?;
    let Asked { read, time_to_live, deferred } = asked;
    let read = match read {
        Ok(read) => read,
        Err(refused) => {
            let Refused { header, problems, query } = *refused;
            let audited = face.audit.of_query(unheard(context, &problems));
            if deferred {
                return Ok(acknowledged(context, message_id, &header, Ack::Error, problems, audited));
            }
            let said = Said::Refused(&problems);
            let query = query.unwrap_or_default();
            let envelope = written(context, message_id, responder, &header, &query, &said, None);
            return Ok(Reply { body: Body::Envelope(envelope), audited, outcome: Outcome::Failure });
        }
    };
    // Who is known to be one community's node asks, and announces patients, for no other.
    let member = face.gateway.as_ref().and_then(|gateway| gateway.directory().whose(&context.caller));
    if let Some(member) = member.filter(|member| !member.community.speaks_for(&read.home.to_string())) {
        return Err(Fault::sender(format!(
            "the sender is community '{}', but this node is the gateway of '{}' (ITI TF-2 3.55.4.1.2)",
            read.home,
            member.home()
        )));
    }
    match read.respond_to.clone() {
        None if deferred => {
            let text = "the Action asks for an answer later, but responsePriorityCode is I";
            let location = "/PRPA_IN201305UV02/controlActProcess/queryByParameter/responsePriorityCode";
            let problems = vec![Problem::error(code::TABLE_VALUE, text, location)];
            let audited = face.audit.of_query(unheard(context, &problems));
            Ok(acknowledged(context, message_id, &read.header, Ack::Error, problems, audited))
        }
        None => {
            let answer = told(context, responder, &read, time_to_live.as_ref()).await?;
            let (envelope, outcome) = put(context, message_id, responder, &read, &answer, None);
            Ok(Reply { body: Body::Envelope(envelope), audited: Audited::Apart, outcome })
        }
        Some(to) => later(face, context, responder, &read, time_to_live.as_ref(), message_id, to).await,
    }
}

/// Who is meant.
async fn told(
    context: &Context,
    responder: &Responder,
    read: &Read,
    time_to_live: Option<&TimeToLive>,
) -> Result<Answer, Fault> {
    let asker = Asker { home: &read.home, authority: read.authority.as_deref(), time_to_live };
    let query = responder.mpi().recordable(&read.asked.echo);
    let unrecorded = |e| super::pipeline::unrecorded(e, &context.request_id);
    let answer = responder.discover(context, &read.discovery, &asker, &query).await.map_err(unrecorded)?;
    responder
        .announced(context, &read.discovery, &asker, &answer)
        .await
        .map_err(|e| super::pipeline::unrecorded(e, &context.request_id))?;
    Ok(answer)
}

/// Acknowledges the question, its answer being in the outbox by then. Where it may not be sent, deferred answers are
/// not offered.
async fn later(
    face: &SoapFace,
    context: &Context,
    responder: &Responder,
    read: &Read,
    time_to_live: Option<&TimeToLive>,
    message_id: Option<&str>,
    to: String,
) -> Result<Reply, Fault> {
    let offered = face.asynchronous.as_ref().filter(|a| a.may_reach(&to));
    let (Some(asynchronous), Some(relates_to)) = (offered, message_id) else {
        let text = "deferred answers are not offered at this address (asynchronous.reply_to)";
        let location = "/PRPA_IN201305UV02/respondTo/telecom";
        let problems = vec![Problem::error(code::MODE, text, location)];
        let audited = face.audit.of_query(unheard(context, &problems));
        return Ok(acknowledged(context, message_id, &read.header, Ack::Error, problems, audited));
    };
    let answer = told(context, responder, read, time_to_live).await?;
    let elsewhere = Elsewhere {
        to: to.clone(),
        faults_to: FaultsTo::Nowhere,
        message_id: format!("urn:uuid:{}", Uuid::new_v4()),
        relates_to: relates_to.to_owned(),
    };
    let (envelope, _) = put(context, message_id, responder, read, &answer, Some(&elsewhere));
    let row = answers::row(context, &to, envelope, vec![])
        .map_err(|e| crate::model::error::Error::Internal(e.into()));
    // The question was recorded when it was answered; this is about its answer being on its way.
    let event = context.audit(
        AuditOutcome::Success,
        Subject {
            home_community_id: Some(read.home.to_string()),
            query: Some("the answer is deferred".to_owned()),
            ..Subject::default()
        },
    );
    let unrecorded = |e| super::pipeline::unrecorded(e, &context.request_id);
    let row = row.map_err(unrecorded)?;
    face.audit
        .settle_with(face.audit.of_query(event), Some(row))
        .await
        .map_err(|e| super::pipeline::unrecorded(e, &context.request_id))?;
    asynchronous.wake();
    Ok(acknowledged(context, message_id, &read.header, Ack::Accept, vec![], Audited::Apart))
}

/// `MCCI_IN000002UV01`.
fn acknowledged(
    context: &Context,
    message_id: Option<&str>,
    header: &Header,
    ack: Ack,
    details: Vec<Problem>,
    audited: Audited,
) -> Reply {
    let outcome = if ack == Ack::Accept { Outcome::Success } else { Outcome::Failure };
    iti44::reply(context, message_id, header, super::hl7v3::Ended { ack, details, outcome }, audited)
}

/// The envelope of an answer, and how the request is counted. `elsewhere`: it goes by itself.
fn put(
    context: &Context,
    message_id: Option<&str>,
    responder: &Responder,
    read: &Read,
    answer: &Answer,
    elsewhere: Option<&Elsewhere>,
) -> (String, Outcome) {
    let write =
        |said: &Said<'_>| written(context, message_id, responder, &read.header, &read.asked, said, elsewhere);
    match answer {
        Answer::Matches(told) => {
            let ids: Vec<Ii> = told.iter().map(|t| ii(responder.mpi(), &t.id)).collect();
            let one = |(told, id): (&Told, &'_ Ii)| (told.demographics.clone(), id.clone(), told.score);
            let all: Vec<_> = told.iter().zip(&ids).map(one).collect();
            let matches: Vec<Match<'_>> = all
                .iter()
                .map(|(demographics, id, score)| Match { id, demographics, score: *score })
                .collect();
            (write(&Said::Matches(&matches)), Outcome::Success)
        }
        Answer::Wanted(wanted) => (write(&Said::Wanted(wanted)), Outcome::Success),
        Answer::Unable(unable, errors) => {
            let mut details: Vec<Problem> = errors.iter().map(|e| read.paths.problem(e)).collect();
            if errors.is_empty() && *unable == Unable::NotAvailable {
                details.push(Problem::error(
                    code::REQUIRED,
                    "say name and birth date, or an id of a domain that is known here (ITI TF-2 3.55.4.1.2)",
                    "/PRPA_IN201305UV02/controlActProcess/queryByParameter/parameterList",
                ));
            } else if errors.is_empty() {
                details.push(Problem::ours(format!("no answer now (reference {})", context.request_id)));
            }
            let outcome = if *unable == Unable::Busy { Outcome::Busy } else { Outcome::Failure };
            (write(&Said::Unable(*unable, &details)), outcome)
        }
    }
}

fn written(
    context: &Context,
    message_id: Option<&str>,
    responder: &Responder,
    header: &Header,
    asked: &crate::wire::hl7v3::Asked,
    said: &Said<'_>,
    elsewhere: Option<&Elsewhere>,
) -> String {
    let action = match elsewhere {
        Some(_) => xcpd::DEFERRED_ANSWER_ACTION,
        None => xcpd::ANSWER_ACTION,
    };
    let matched = match said {
        Said::Matches(matches) => matches.len(),
        _ => 0,
    };
    let home = responder.home();
    // We answer for our community, whatever the question called us.
    let mut header = header.clone();
    header.receiver = xcpd::device(home, header.receiver.id.root.as_deref());
    let lifetime = responder.time_to_live().filter(|_| matched > 0);
    write_answer_with(
        action,
        message_id,
        elsewhere.or(context.elsewhere.as_deref()),
        4096 + 3072 * matched,
        |w| {
            if let Some(time) = lifetime {
                xcpd::write_time_to_live(w, time);
            }
        },
        |w| xcpd_answer::write(w, &header, asked, &own(context), home, said),
    )
}
