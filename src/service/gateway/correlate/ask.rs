//! Asking a community who a patient is there: ITI-45 or ITI-55, within its budget. Each question leaves its audit record
//! (no patient's id in that of ITI-55, ITI TF-2 3.55.5.1).

use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use super::learn::{Keep, Lesson, Theirs};
use super::{Correlated, Correlation, Correlations, Failure, Known, Trouble};
use crate::model::audit::Outcome;
use crate::model::community::{Community, CorrelateBy, Step};
use crate::model::error::Error;
use crate::model::hl7types::Cx;
use crate::model::identity::{Authority, Discovery, DomainId, SentId, Way};
use crate::model::transaction::Transaction;
use crate::peer::soap::discover::{Between, Found, Ids, Question, Said};
use crate::service::context::{Context, Subject};
use crate::service::mpi::{Mpi, Refusal};

/// What it answered: whom it knows, and until when that may be kept.
type Answered = (Vec<Theirs>, Option<Timestamp>);

impl Correlations {
    /// Asks the community, learns from the answer, and says what follows for this request.
    pub(super) async fn ask(
        &self,
        context: &Context,
        patient: &Cx<'_>,
        known: &Known,
        community: &Arc<Community>,
    ) -> Result<Correlated, Error> {
        let (key, transaction, way) = match community.correlate {
            CorrelateBy::Xcpd => ("iti55", Transaction::Iti55, Way::Xcpd),
            _ => ("iti45", Transaction::Iti45, Way::Pix),
        };
        let failed = |trouble| Correlated {
            failed: vec![Failure { home: community.home.clone(), community: community.id.clone(), trouble }],
            ..Correlated::default()
        };
        let (Some(mpi), Some(key_of_ours)) = (&self.inner.mpi, known.patient) else {
            return Ok(Correlated::default());
        };
        // Without an address it feeds us, and what it has not told is not known.
        if community.endpoint(key).is_none() {
            return Ok(Correlated::default());
        }
        let listed = self.inner.directory.now();
        let Some((member, client)) = listed.by_id(&community.id).and_then(|m| Some((m, m.client(key)?)))
        else {
            let why = format!("the directory has no address for {}", transaction.code());
            return Ok(failed(Trouble::new(Step::Endpoint, why)));
        };
        let time = context.received_at.strftime("%Y%m%d%H%M%S+0000").to_string();
        let between = Between {
            home: &self.inner.settings.home,
            other: &community.home,
            device: community.device.as_deref(),
            time: &time,
        };
        let ours = DomainId { domain: patient.authority.to_string(), value: patient.id.to_string() };
        let (question, described) = match way {
            Way::Xcpd => {
                let Some(person) = mpi.known(&ours.value).await.map_err(refused)? else {
                    return Ok(Correlated::default());
                };
                let discovery = Discovery {
                    described: person.demographics,
                    ids: vec![SentId {
                        value: ours.value.clone(),
                        authority: Authority::oid(&ours.domain),
                        ..SentId::default()
                    }],
                    least: 0,
                };
                // Without name and birth date nobody can be discovered, and none is asked.
                if !discovery.describes() {
                    return Ok(Correlated::default());
                }
                let lifetime = self.inner.settings.time_to_live.clone();
                let question = Question::discovery(&between, &discovery, Some(&ours.domain), lifetime);
                (question, Some(discovery.described))
            }
            _ => {
                let wanted = community.patient_id_authority.as_deref().unwrap_or_default();
                (Question::cross_reference(&between, &ours, wanted), None)
            }
        };
        let about = match way {
            Way::Xcpd => None,
            _ => Some(patient.to_string()),
        };
        let assertion = match self.inner.people.assertion(context, community, about.as_deref()) {
            Ok(assertion) => assertion,
            Err(trouble) => return Ok(failed(trouble)),
        };
        let assertion = assertion.as_deref();
        let asking = async {
            match &described {
                Some(described) => {
                    let answered = question.discover(client, assertion).await?;
                    let until = answered.time_to_live.map(|t| t.until(context.received_at));
                    let found = match answered.said {
                        Said::Found(found) => found,
                        // There is no more that we could tell.
                        Said::Wanted(_) => vec![],
                        Said::Unable(why, codes) => {
                            let why = why.map_or("no reason", |why| why.code());
                            return Err(Trouble::new(
                                Step::Fault,
                                format!("it cannot answer: {why} {codes}"),
                            ));
                        }
                    };
                    let theirs = judged(mpi, community, described, found).await?;
                    Ok((theirs, until))
                }
                None => {
                    let ids = match question.ids(client, assertion).await? {
                        Ids::Of(ids) => ids,
                        Ids::Refused(codes) => {
                            return Err(Trouble::new(
                                Step::Fault,
                                format!("it refuses the question: {codes}"),
                            ));
                        }
                    };
                    let wanted = community.patient_id_authority.as_deref();
                    let of_theirs = ids.into_iter().filter(|cx| Some(cx.authority.as_ref()) == wanted);
                    let theirs = of_theirs.map(|patient| Theirs { patient, certain: true, score: None });
                    let valid = jiff::SignedDuration::from_micros(self.inner.settings.pix_valid);
                    Ok((theirs.collect(), context.received_at.checked_add(valid).ok()))
                }
            }
        };
        // The line is held to the community's budget.
        let deadline = Instant::now() + community.budget;
        let answer: Result<(Answered, _), Trouble> = member.line.ask(deadline, asking).await;
        let asked = Context { transaction, elsewhere: None, ..context.clone() };
        let subject = Subject {
            patients: match way {
                Way::Xcpd => vec![],
                _ => vec![patient.to_string()],
            },
            home_community_id: Some(community.home.to_string()),
            query: Some(question.query().to_owned()),
            ..Subject::default()
        };
        let (theirs, until) = match answer {
            Ok((answered, _)) => answered,
            Err(trouble) => {
                let subject = Subject { errors: vec![trouble.step.as_str().to_owned()], ..subject };
                let event = asked.audit_sent(transaction, client.url(), Outcome::SeriousFailure, subject);
                self.inner.audit.settle(self.inner.audit.of_query(event)).await?;
                return Ok(failed(trouble));
            }
        };
        let event = asked.audit_sent(transaction, client.url(), Outcome::Success, subject);
        self.inner.audit.settle(self.inner.audit.of_query(event)).await?;
        let several = theirs.len() > 1;
        let lesson = Lesson {
            context: asked,
            patient: key_of_ours,
            community: community.clone(),
            way,
            theirs,
            keep: until.map_or(Keep::No, |at| Keep::Until(at.as_microsecond())),
            by_hand: self.inner.settings.by_hand,
        };
        let learnt = self.learn(lesson).await?;
        let undecided = learnt.is_empty() && several || learnt.iter().any(|l| !l.usable);
        let usable = learnt.into_iter().filter(|l| l.usable);
        Ok(Correlated {
            found: usable.map(|l| Correlation { home: community.home.clone(), patient: l.patient }).collect(),
            undecided: if undecided { vec![community.home.clone()] } else { vec![] },
            failed: vec![],
        })
    }
}

/// Whom it says the patient is, held against what we know: its word alone makes no link.
async fn judged(
    mpi: &Mpi,
    community: &Community,
    described: &crate::model::identity::Demographics,
    found: Vec<Found>,
) -> Result<Vec<Theirs>, Trouble> {
    let mut theirs = vec![];
    for one in found {
        if let Some(home) = &one.home
            && !community.speaks_for(&home.to_string())
        {
            let why = "it answers for a community that it does not stand for".to_owned();
            return Err(Trouble::bad_answer(why));
        }
        if community.patient_id_authority.as_deref().is_some_and(|own| own != one.patient.authority) {
            let why = "it answers with an id of another authority than its own".to_owned();
            return Err(Trouble::bad_answer(why));
        }
        let lost = |_| Trouble::new(Step::Request, "our own index could not be asked");
        let certain = mpi.is_certainly(described, &one.demographics).await.map_err(lost)?;
        theirs.push(Theirs { patient: one.patient, certain, score: one.score });
    }
    Ok(theirs)
}

fn refused(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Error(error) => error,
        Refusal::Identity(_) => Error::Internal(anyhow::anyhow!("an id of ours is refused by our own index")),
    }
}
