//! What somebody has to look at: identities near a person and not near enough, disputed links, patients whose
//! data have changed since somebody spoke of them. States: 候補 → 確認待ち → 確定 / 却下 / 解除.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::feed::{Work, json_of};
use super::settle::Settled;
use crate::model::identity::DomainId;
use crate::store::db::{DbError, Tx};
use crate::store::mpi::events::{self, Class, Pair, Two};
use crate::store::mpi::identity::{self};
use crate::store::mpi::person;
use crate::store::mpi::review::{self, State, Task};

/// What a task holds.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Body {
    pub candidates: Vec<Nominated>,
    /// Identities of whom somebody spoke before the data changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub again: Vec<i64>,
    /// What was said, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<Said>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Nominated {
    pub identity: i64,
    /// Thousandths of a bit.
    pub score: i64,
    /// Heavy enough to link, had nothing disputed it.
    pub links: bool,
    /// The pair field by field, as it was weighed.
    pub pair: Value,
}

/// A reviewer's word.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Said {
    pub by: String,
    pub at: i64,
    pub verdict: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<i64>,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub reason: String,
}

/// What a reviewer may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Same,
    Different,
    Unsure,
    /// The facility is asked.
    Ask,
}

/// Why an identity is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    New,
    /// Its data have changed.
    Changed,
    /// Somebody said something of it.
    Said,
}

/// What is known of an identity that may have to be looked at.
pub(super) struct Ground<'g> {
    /// Its pairs with their reasons.
    pub pairs: Vec<&'g Pair>,
    /// What was said of it.
    pub verdicts: Vec<events::Verdict>,
    pub open: Option<Task>,
    /// Active identities, itself and those of the pairs, and the person each was of.
    pub here: &'g HashMap<i64, (DomainId, i64)>,
}

/// Looks whether an identity must be looked at, once its person is settled.
pub(super) async fn look(
    tx: &mut Tx<'_>,
    work: &Work,
    at: i64,
    key: i64,
    why: Why,
    settled: &Settled,
) -> Result<(), DbError> {
    let pairs = events::reasons(tx, &[key]).await?;
    let verdicts = events::verdicts(tx, &[key]).await?;
    let open = match why {
        Why::New => None,
        _ => open(tx, key).await?,
    };
    let mut keys: Vec<i64> = pairs.iter().flat_map(|p| [p.two.0, p.two.1]).collect();
    keys.push(key);
    let rows = identity::active(tx, &keys, false).await?;
    let here = rows.into_iter().map(|i| (i.key, (i.id, i.person_key))).collect();
    let ground = Ground { pairs: pairs.iter().collect(), verdicts, open, here: &here };
    judge(tx, work, at, key, why, settled, ground).await
}

/// The task that is open about an identity.
pub(super) async fn open(tx: &mut Tx<'_>, key: i64) -> Result<Option<Task>, DbError> {
    Ok(review::of_identity(tx, key).await?.into_iter().find(|t| t.state.is_open()))
}

/// The same, of what is known already.
pub(super) async fn judge(
    tx: &mut Tx<'_>,
    work: &Work,
    at: i64,
    key: i64,
    why: Why,
    settled: &Settled,
    ground: Ground<'_>,
) -> Result<(), DbError> {
    let Ground { pairs, verdicts, open, here } = ground;
    let apart = |two: Two| verdicts.iter().any(|v| v.two == two && !v.same);
    let other = |two: Two| if two.0 == key { two.1 } else { two.0 };
    let person_of =
        |k: i64| settled.person_of.get(&k).copied().or_else(|| here.get(&k).map(|(_, person)| *person));
    let own = person_of(key);
    let mut candidates: Vec<Nominated> = pairs
        .iter()
        .filter(|p| !apart(p.two))
        .filter(|p| here.contains_key(&other(p.two)) && person_of(other(p.two)) != own)
        .map(|p| Nominated {
            identity: other(p.two),
            score: p.score,
            links: p.class == Class::Links,
            pair: serde_json::from_str(&p.body).unwrap_or_default(),
        })
        .collect();
    candidates.sort_by_key(|c| (std::cmp::Reverse(c.score), c.identity));
    // A manual word stands; but what it rested on has changed.
    let again: Vec<i64> = match why {
        Why::New | Why::Said => vec![],
        Why::Changed => verdicts.iter().map(|v| other(v.two)).collect(),
    };
    if candidates.is_empty() && again.is_empty() {
        if let Some(mut task) = open {
            task.state = State::Obsolete;
            task.updated_at = at;
            review::update(tx, &task).await?;
        }
        return Ok(());
    }
    let across = candidates.iter().any(|c| match (here.get(&key), here.get(&c.identity)) {
        (Some((one, _)), Some((other, _))) => work.scales().across(one, other),
        (_, Some((other, _))) => work.scales().across(other, other),
        _ => false,
    });
    let persons: Vec<i64> = candidates.iter().filter_map(|c| person_of(c.identity)).chain(own).collect();
    let owners = person::owners(tx, &persons).await?;
    let priority = i64::try_from(owners.len()).unwrap_or(i64::MAX).saturating_mul(10)
        + i64::from(candidates.iter().any(|c| c.links));
    let mut body = Body { candidates, again, said: vec![] };
    match open {
        Some(mut task) => {
            body.said = serde_json::from_str::<Body>(&task.body).unwrap_or_default().said;
            task.body = json_of(&body)?;
            task.priority = priority;
            task.updated_at = at;
            review::update(tx, &task).await
        }
        None => {
            let task = Task {
                id: work.context.uuid().to_string(),
                identity: key,
                across,
                state: State::Candidate,
                priority,
                assignee: None,
                created_at: at,
                updated_at: at,
                body: json_of(&body)?,
            };
            work.noted.reviewed();
            review::insert(tx, &task).await
        }
    }
}

/// Ends what is open about an identity that is no more.
pub(super) async fn close(tx: &mut Tx<'_>, at: i64, key: i64) -> Result<(), DbError> {
    for mut task in review::of_identity(tx, key).await?.into_iter().filter(|t| t.state.is_open()) {
        task.state = State::Obsolete;
        task.updated_at = at;
        review::update(tx, &task).await?;
    }
    Ok(())
}

/// 解除: what was confirmed is no longer said.
pub(super) async fn release(tx: &mut Tx<'_>, at: i64, key: i64) -> Result<(), DbError> {
    let confirmed = review::of_identity(tx, key).await?.into_iter().filter(|t| t.state == State::Confirmed);
    for mut task in confirmed {
        task.state = State::Released;
        task.updated_at = at;
        review::update(tx, &task).await?;
    }
    Ok(())
}
