//! Links between patients of two networks as a person sees and decides them: 候補 → 確認待ち → 確定 / 却下, and 解除.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::learn::said;
use super::{Correlations, here, known};
use crate::model::audit::Outcome;
use crate::model::community::CorrelateBy;
use crate::model::error::Error;
use crate::model::hl7types::Cx;
use crate::model::identity::Way;
use crate::service::audit::Audited;
use crate::service::context::{Context, Subject};
use crate::service::database;
use crate::service::traces::Traces;
use crate::store::db::{DbError, Tx};
use crate::store::mpi::correlation::{self as kept, Link};
use crate::store::mpi::person::Secret;
use crate::store::mpi::review::State;
use crate::store::patient;

/// What a person says of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// 確認待ち: somebody has taken it up.
    Hold,
    /// 確定: one person, until it is released.
    Confirm,
    /// 却下: two.
    Reject,
    /// 解除: was one person, and is no longer said to be. Questions go there no more, from now on.
    Release,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("no such patient is known here")]
    Patient,
    #[error("the link is {0}: {1}")]
    State(&'static str, &'static str),
    #[error("a reason is needed, for the history")]
    Reason,
    #[error("{0:?}")]
    Error(Error),
}

impl From<Error> for Refused {
    fn from(e: Error) -> Self {
        Refused::Error(e)
    }
}

/// A link as it is shown.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkShown {
    /// None: it follows from the index or from an id that both networks share, and is not kept by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub patient: String,
    /// homeCommunityId.
    pub home: String,
    /// Their id.
    pub theirs: String,
    pub way: Way,
    pub state: State,
    pub state_name: &'static str,
    /// Whether questions go there now.
    pub holds: bool,
    pub manual: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<SaidShown>,
}

/// What was said of it once.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SaidShown {
    pub at: String,
    pub state_name: &'static str,
    pub who: String,
    pub reason: String,
    pub request: String,
}

fn moment(at: i64) -> String {
    Timestamp::from_microsecond(at).unwrap_or_default().to_string()
}

fn cx(domain: &str, value: &str) -> String {
    Cx::new(value, domain).map(|cx| cx.to_string()).unwrap_or_default()
}

fn shown(link: &Link, patient: &str, history: Vec<kept::Said>, now: i64) -> LinkShown {
    LinkShown {
        id: Some(link.id.clone()),
        patient: patient.to_owned(),
        home: link.home.clone(),
        theirs: cx(&link.domain, &link.value.0),
        way: link.way,
        state: link.state,
        state_name: link.state.japanese(),
        holds: link.holds(now),
        manual: link.manual,
        valid_until: link.valid_until.map(moment),
        score: link.score,
        history: history
            .into_iter()
            .map(|s| SaidShown {
                at: moment(s.at),
                state_name: s.state.japanese(),
                who: s.who,
                reason: s.reason,
                request: s.request_id,
            })
            .collect(),
    }
}

impl Correlations {
    /// Every link of a patient, with its history; none if nobody knows the patient. Leaves an audit record.
    pub async fn links(&self, context: &Context, patient: &Cx<'_>) -> Result<Option<Vec<LinkShown>>, Error> {
        let communities = self.communities();
        let known = self.look(patient).await?;
        if known.patient.is_none() {
            return Ok(None);
        }
        let pid = patient.to_string();
        let now = context.micros();
        let mut all = vec![];
        for link in &known.links {
            let id = link.id.clone();
            let history = self.inner.db.read(move |tx| {
                let id = id.clone();
                Box::pin(async move { kept::history(tx, &id).await })
            });
            let history = history.await.map_err(|e: DbError| database(e))?;
            all.push(shown(link, &pid, history, now));
        }
        // And what leads there without a row of its own.
        for community in &communities {
            for found in here(&known, &self.inner.settings.authority, patient, community, now) {
                let (home, theirs) = (found.home.to_string(), found.patient.to_string());
                if all.iter().any(|l| l.home == home && l.theirs == theirs) {
                    continue;
                }
                let way = match community.correlate {
                    CorrelateBy::SharedId => Way::SharedId,
                    CorrelateBy::Pix | CorrelateBy::Xcpd => Way::Pix,
                };
                all.push(LinkShown {
                    id: None,
                    patient: pid.clone(),
                    home,
                    theirs,
                    way,
                    state: State::Confirmed,
                    state_name: State::Confirmed.japanese(),
                    holds: true,
                    manual: false,
                    valid_until: None,
                    score: None,
                    history: vec![],
                });
            }
        }
        let query = Some("links to other communities".to_owned());
        let subject = Subject { patients: vec![pid], query, ..Subject::default() };
        let event = context.audit(Outcome::Success, subject);
        self.inner.audit.settle(Audited::Due(Box::new(event))).await?;
        Ok(Some(all))
    }

    /// Links in one state, oldest first, after one already seen: the worklist of what must be looked at.
    pub async fn worklist(
        &self,
        context: &Context,
        state: State,
        after: &str,
        limit: i64,
    ) -> Result<Vec<LinkShown>, Error> {
        let after = after.to_owned();
        let found: Vec<(Link, String)> = self
            .inner
            .db
            .snapshot(move |tx| {
                let after = after.clone();
                Box::pin(async move {
                    let mut found = vec![];
                    for link in kept::page(tx, state, &after, limit).await? {
                        let pid = patient::merged(tx, link.patient).await?.map(|(pid, _)| pid);
                        found.push((link, pid.unwrap_or_default()));
                    }
                    Ok(found)
                })
            })
            .await
            .map_err(|e: DbError| database(e))?;
        let patients: Vec<String> = found.iter().map(|(_, pid)| pid.clone()).collect();
        let query = Some("worklist of links to other communities".to_owned());
        let event = context.audit(Outcome::Success, Subject { patients, query, ..Subject::default() });
        self.inner.audit.settle(Audited::Due(Box::new(event))).await?;
        Ok(found.iter().map(|(link, pid)| shown(link, pid, vec![], context.micros())).collect())
    }

    /// Says that a patient is, or is not, who has this id in a community. In one transaction with its history and its
    /// audit record; the next question finds it done.
    #[allow(clippy::too_many_arguments)]
    pub async fn decide(
        &self,
        context: &Context,
        patient: &Cx<'_>,
        home: &str,
        theirs: &Cx<'_>,
        verdict: Verdict,
        by: &str,
        reason: &str,
    ) -> Result<LinkShown, Refused> {
        if reason.trim().is_empty() && verdict != Verdict::Hold {
            return Err(Refused::Reason);
        }
        let work = Arc::new(Decision {
            context: context.clone(),
            pid: patient.to_string(),
            home: home.to_owned(),
            theirs: theirs.clone().into_owned(),
            verdict,
            by: by.to_owned(),
            reason: reason.trim().to_owned(),
            index: self.inner.mpi.is_some(),
        });
        let done = self
            .inner
            .db
            .write(move |tx| {
                let work = work.clone();
                Box::pin(async move { decide(tx, &work).await })
            })
            .await;
        let (link, history) = done.map_err(|stop: Stop| match stop {
            Stop::Refused(refused) => refused,
            Stop::Database(e) => Refused::Error(database(e)),
        })?;
        Ok(shown(&link, &patient.to_string(), history, context.micros()))
    }
}

struct Decision {
    context: Context,
    pid: String,
    home: String,
    theirs: Cx<'static>,
    verdict: Verdict,
    by: String,
    reason: String,
    index: bool,
}

enum Stop {
    Refused(Refused),
    Database(DbError),
}

impl From<DbError> for Stop {
    fn from(e: DbError) -> Self {
        Stop::Database(e)
    }
}

async fn decide(tx: &mut Tx<'_>, work: &Decision) -> Result<(Link, Vec<kept::Said>), Stop> {
    let Some(held) = patient::hold(tx, &work.pid).await? else { return Err(Stop::Refused(Refused::Patient)) };
    let known = known(tx, held.key(), work.index).await?;
    let id = (work.theirs.authority.as_ref(), work.theirs.id.as_ref());
    let old =
        known.links.iter().find(|l| l.home == work.home && (l.domain.as_str(), l.value.0.as_str()) == id);
    let now = work.context.micros();
    let state = next(old.map(|l| l.state), work.verdict).map_err(Stop::Refused)?;
    let link = Link {
        id: old.map_or_else(|| work.context.uuid().to_string(), |l| l.id.clone()),
        patient: old.map_or(held.key(), |l| l.patient),
        home: work.home.clone(),
        domain: id.0.to_owned(),
        value: Secret(id.1.to_owned()),
        way: match (work.verdict, old) {
            (Verdict::Hold | Verdict::Reject | Verdict::Release, Some(old)) => old.way,
            _ => Way::Hand,
        },
        state,
        // Taken up, it may still be learnt that nobody says so any more.
        manual: work.verdict != Verdict::Hold,
        valid_until: None,
        score: old.and_then(|l| l.score),
        created_at: old.map_or(now, |l| l.created_at),
        updated_at: now,
    };
    kept::put(tx, &link).await?;
    kept::say(tx, &link.id, &said(&work.context, &link, &work.by, &work.reason)).await?;
    let subject = Subject {
        patients: vec![work.pid.clone()],
        home_community_id: Some(work.home.clone()),
        query: Some(format!("link to another community: {}", state.japanese())),
        ..Subject::default()
    };
    let event = work.context.audit(Outcome::Success, subject);
    Traces::new(vec![event], None)?.leave(tx).await?;
    Ok((link.clone(), kept::history(tx, &link.id).await?))
}

/// What a link becomes. Without a row it may follow from the index or a shared id, and be released; or be made by hand.
fn next(state: Option<State>, verdict: Verdict) -> Result<State, Refused> {
    let refuse = |state: State, why| Err(Refused::State(state.japanese(), why));
    match (state, verdict) {
        (_, Verdict::Confirm) => Ok(State::Confirmed),
        (None | Some(State::Candidate | State::Waiting), Verdict::Hold) => Ok(State::Waiting),
        (Some(state), Verdict::Hold) => refuse(state, "there is nothing to be looked at"),
        (Some(state @ State::Confirmed), Verdict::Reject) => {
            refuse(state, "what is confirmed is not rejected but released")
        }
        (Some(state @ State::Released), Verdict::Reject) => refuse(state, "it leads nowhere already"),
        (_, Verdict::Reject) => Ok(State::Refused),
        (None | Some(State::Confirmed), Verdict::Release) => Ok(State::Released),
        (Some(state), Verdict::Release) => refuse(state, "only what is confirmed can be released"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_allows_what_follows_from_it() {
        use State::{Candidate, Confirmed, Obsolete, Refused as Rejected, Released, Waiting};
        use Verdict::{Confirm, Hold, Reject, Release};
        let allowed = |state, verdict| next(state, verdict).ok();
        for state in State::ALL.into_iter().map(Some).chain([None]) {
            assert_eq!(allowed(state, Confirm), Some(Confirmed), "a person may always say so");
        }
        let table = [
            (None, [Some(Waiting), Some(Rejected), Some(Released)]),
            (Some(Candidate), [Some(Waiting), Some(Rejected), None]),
            (Some(Waiting), [Some(Waiting), Some(Rejected), None]),
            (Some(Confirmed), [None, None, Some(Released)]),
            (Some(Rejected), [None, Some(Rejected), None]),
            (Some(Released), [None, None, None]),
            (Some(Obsolete), [None, Some(Rejected), None]),
        ];
        for (state, [hold, reject, release]) in table {
            assert_eq!(allowed(state, Hold), hold, "{state:?}");
            assert_eq!(allowed(state, Reject), reject, "{state:?}");
            assert_eq!(allowed(state, Release), release, "{state:?}");
        }
    }
}
