//! The worklist of those who look: tasks side by side with their reasons, whose they are, what is said of them.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::feed::{About, Stop, Work, finish, json_of};
use super::review::{Body, Said, Verdict};
use super::{Mpi, Refusal, cx, merge};
use crate::model::error::Error;
use crate::model::identity::{Demographics, DomainId};
use crate::service::context::Context;
use crate::service::database;
use crate::store::db::{DbError, Tx};
use crate::store::mpi::identity::{self, Identity};
use crate::store::mpi::person;
use crate::store::mpi::review::{self, State, Task};

/// An identity as a reviewer sees it.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Side {
    /// CX.
    pub id: String,
    /// The network's id of its person.
    pub person: String,
    pub demographics: Demographics,
    /// Whether its person owns documents.
    pub documents: bool,
}

#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SideBySide {
    pub candidate: Side,
    /// Bits.
    pub score: f64,
    /// Heavy enough to link, had nothing disputed it.
    pub links: bool,
    /// Reason, thresholds, and the fields one by one: values as normalised, level, weight.
    pub pair: Value,
}

/// A task with all that is to be looked at.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    pub id: String,
    pub state: State,
    /// 候補 …
    pub state_name: &'static str,
    pub across_networks: bool,
    pub priority: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    /// Microseconds since 1970.
    pub created_at: i64,
    pub updated_at: i64,
    pub subject: Option<Side>,
    pub candidates: Vec<SideBySide>,
    /// Ids of whom somebody spoke before the data changed.
    pub again: Vec<String>,
    pub said: Value,
}

/// A task in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    pub id: String,
    pub state: State,
    pub state_name: &'static str,
    pub across_networks: bool,
    pub priority: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    pub created_at: i64,
    pub candidates: usize,
}

impl Listed {
    fn of(task: &Task) -> Self {
        let body: Body = serde_json::from_str(&task.body).unwrap_or_default();
        Self {
            id: task.id.clone(),
            state: task.state,
            state_name: task.state.japanese(),
            across_networks: task.across,
            priority: task.priority,
            assignee: task.assignee.clone(),
            created_at: task.created_at,
            candidates: body.candidates.len(),
        }
    }
}

/// What a decision came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Decided {
    Done,
    /// Both persons own documents: a second reviewer must say the same.
    SecondReviewer,
    /// Kept for later.
    Noted,
}

/// Why a decision was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Undecided {
    #[error("there is no such review task")]
    NoTask,
    #[error("the review task is not open any more")]
    Closed,
    #[error("the task has no such candidate; name one by its id (CX) or its person")]
    NoCandidate,
    #[error("the task has several candidates; name the one meant")]
    Several,
    #[error("the index could not be changed")]
    Index(Refusal),
}

impl From<Stop> for Undecided {
    fn from(stop: Stop) -> Self {
        Undecided::Index(stop.into())
    }
}

impl From<DbError> for Undecided {
    fn from(e: DbError) -> Self {
        Undecided::Index(Refusal::Error(database(e)))
    }
}

impl Mpi {
    /// A page of the worklist: the most urgent first.
    pub async fn reviews(
        &self,
        state: State,
        assignee: Option<String>,
        after: Option<(i64, String)>,
        limit: i64,
    ) -> Result<Vec<Listed>, Error> {
        self.db
            .read(move |tx| {
                let (assignee, after) = (assignee.clone(), after.clone());
                Box::pin(async move {
                    let after = after.as_ref().map(|(priority, id)| (*priority, id.as_str()));
                    let tasks = review::page(tx, state, assignee.as_deref(), after, limit).await?;
                    Ok(tasks.iter().map(Listed::of).collect())
                })
            })
            .await
            .map_err(|e: DbError| database(e))
    }

    /// How many tasks there are in each state.
    pub async fn review_counts(&self) -> Result<Vec<(State, i64)>, Error> {
        self.db.read(|tx| Box::pin(review::counts(tx))).await.map_err(|e: DbError| database(e))
    }

    /// A task, side by side; its sight is recorded.
    pub async fn review(&self, context: &Context, id: &str) -> Result<Option<Shown>, Error> {
        let (id, network) = (id.to_owned(), self.settings.domains.network().oid.clone());
        let shown = self
            .db
            .snapshot(move |tx| {
                let (id, network) = (id.clone(), network.clone());
                Box::pin(async move {
                    match review::get(tx, &id, false).await? {
                        Some(task) => show(tx, &network, task).await.map(Some),
                        None => Ok(None),
                    }
                })
            })
            .await
            .map_err(|e: DbError| database(e))?;
        if let Some(shown) = &shown {
            let patients = shown
                .subject
                .iter()
                .chain(shown.candidates.iter().map(|c| &c.candidate))
                .map(|s| s.id.clone())
                .collect();
            self.record_sight(context, patients, format!("review task {}", shown.id)).await?;
        }
        Ok(shown)
    }

    /// Gives a task to somebody (確認待ち), or back.
    pub async fn assign(&self, context: &Context, id: &str, to: Option<&str>) -> Result<(), Undecided> {
        let (id, to, at) = (id.to_owned(), to.map(str::to_owned), context.micros());
        self.db
            .write(move |tx| {
                let (id, to) = (id.clone(), to.clone());
                Box::pin(async move {
                    let mut task = review::get(tx, &id, true).await?.ok_or(Undecided::NoTask)?;
                    if !task.state.is_open() {
                        return Err(Undecided::Closed);
                    }
                    task.state = if to.is_some() { State::Waiting } else { State::Candidate };
                    task.assignee = to;
                    task.updated_at = at;
                    review::update(tx, &task).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Takes a reviewer's word. `candidate`: the id (CX) or the person meant; none: the only one, or for
    /// "different" all of them.
    pub async fn decide(
        &self,
        context: &Context,
        id: &str,
        verdict: Verdict,
        candidate: Option<&str>,
        by: &str,
        reason: &str,
    ) -> Result<Decided, Undecided> {
        let work = self.operator_work(context, by, reason).await.map_err(Undecided::Index)?;
        let work = Arc::new(work);
        let (id, candidate) = (id.to_owned(), candidate.map(str::to_owned));
        let (by, reason) = (by.to_owned(), reason.to_owned());
        self.db
            .write(move |tx| {
                let work = work.clone();
                let (id, candidate) = (id.clone(), candidate.clone());
                let (by, reason) = (by.clone(), reason.clone());
                Box::pin(
                    async move { decide(tx, &work, &id, verdict, candidate.as_deref(), &by, &reason).await },
                )
            })
            .await
    }
}

async fn decide(
    tx: &mut Tx<'_>,
    work: &Work,
    id: &str,
    verdict: Verdict,
    candidate: Option<&str>,
    by: &str,
    reason: &str,
) -> Result<Decided, Undecided> {
    let at = (work.settings.now)();
    let mut task = review::get(tx, id, true).await?.ok_or(Undecided::NoTask)?;
    if !task.state.is_open() {
        return Err(Undecided::Closed);
    }
    let mut body: Body = serde_json::from_str(&task.body).unwrap_or_default();
    let subject = identity::active(tx, &[task.identity], true).await?;
    let mut keys: Vec<i64> = body.candidates.iter().map(|c| c.identity).collect();
    keys.extend(&body.again);
    let rows = identity::active(tx, &keys, true).await?;
    let values = values_of(tx, &rows).await?;
    let meant: Vec<Identity> = rows
        .into_iter()
        .filter(|i| {
            candidate.is_none_or(|c| {
                cx(&i.id) == c || i.id.value == c || values.get(&i.person_key).is_some_and(|v| v == c)
            })
        })
        .collect();
    if meant.is_empty() && matches!(verdict, Verdict::Same | Verdict::Different) {
        return Err(Undecided::NoCandidate);
    }
    let mut said = Said { by: by.to_owned(), at, verdict, identity: None, reason: reason.to_owned() };
    let outcome = match verdict {
        Verdict::Unsure | Verdict::Ask => {
            task.state = State::Waiting;
            Decided::Noted
        }
        Verdict::Same => {
            let [other] = meant.as_slice() else { return Err(Undecided::Several) };
            said.identity = Some(other.key);
            let own = subject.first().map(|i| i.person_key);
            let persons: Vec<i64> = own.into_iter().chain([other.person_key]).collect();
            let owners = person::owners(tx, &persons).await?;
            let seconds = body
                .said
                .iter()
                .any(|s| s.verdict == Verdict::Same && s.identity == Some(other.key) && s.by != by);
            if owners.len() > 1 && !seconds {
                task.state = State::Waiting;
                Decided::SecondReviewer
            } else {
                let (events, settled) =
                    merge::say(tx, work, at, &subject, std::slice::from_ref(other), true).await?;
                let about = subject.iter().chain([other]).map(|i| i.id.clone()).collect();
                finish(tx, work, events, &settled, About::Told(about)).await?;
                task.state = State::Confirmed;
                Decided::Done
            }
        }
        Verdict::Different => {
            let (events, settled) = merge::say(tx, work, at, &subject, &meant, false).await?;
            let about = subject.iter().chain(&meant).map(|i| i.id.clone()).collect();
            finish(tx, work, events, &settled, About::Told(about)).await?;
            let gone: Vec<i64> = meant.iter().map(|i| i.key).collect();
            body.again.retain(|k| !gone.contains(k));
            let left = body.candidates.iter().any(|c| !gone.contains(&c.identity));
            if !left && body.again.is_empty() {
                task.state = State::Refused;
            }
            Decided::Done
        }
    };
    body.said.push(said);
    task.body = json_of(&body)?;
    task.updated_at = at;
    review::update(tx, &task).await?;
    Ok(outcome)
}

/// The network's ids of the persons of identities.
async fn values_of(tx: &mut Tx<'_>, rows: &[Identity]) -> Result<HashMap<i64, String>, DbError> {
    let mut keys: Vec<i64> = rows.iter().map(|i| i.person_key).collect();
    keys.sort_unstable();
    keys.dedup();
    Ok(person::several(tx, &keys).await?.into_iter().map(|p| (p.key, p.value.0)).collect())
}

async fn show(tx: &mut Tx<'_>, network: &str, task: Task) -> Result<Shown, DbError> {
    let body: Body = serde_json::from_str(&task.body).unwrap_or_default();
    let mut keys: Vec<i64> = body.candidates.iter().map(|c| c.identity).collect();
    keys.extend(&body.again);
    keys.push(task.identity);
    let rows = identity::active(tx, &keys, false).await?;
    let known: HashMap<i64, Demographics> = identity::known(tx, &keys).await?.into_iter().collect();
    let values = values_of(tx, &rows).await?;
    let persons: Vec<i64> = values.keys().copied().collect();
    let owners = person::owners(tx, &persons).await?;
    let side = |key: i64| {
        let row = rows.iter().find(|i| i.key == key)?;
        let value = values.get(&row.person_key).cloned().unwrap_or_default();
        Some(Side {
            id: cx(&row.id),
            person: cx(&DomainId { domain: network.to_owned(), value }),
            demographics: known.get(&key).cloned().unwrap_or_default(),
            documents: owners.contains(&row.person_key),
        })
    };
    Ok(Shown {
        id: task.id,
        state: task.state,
        state_name: task.state.japanese(),
        across_networks: task.across,
        priority: task.priority,
        assignee: task.assignee,
        created_at: task.created_at,
        updated_at: task.updated_at,
        subject: side(task.identity),
        candidates: body
            .candidates
            .iter()
            .filter_map(|c| {
                Some(SideBySide {
                    candidate: side(c.identity)?,
                    #[allow(clippy::cast_precision_loss)]
                    score: c.score as f64 / 1000.0,
                    links: c.links,
                    pair: c.pair.clone(),
                })
            })
            .collect(),
        again: body.again.iter().filter_map(|k| Some(cx(&rows.iter().find(|i| i.key == *k)?.id))).collect(),
        said: serde_json::to_value(&body.said).unwrap_or_default(),
    })
}
