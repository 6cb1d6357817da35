//! What is kept of an answer: one transaction from the links as they were to the links as they are.

use std::sync::Arc;

use super::Correlations;
use crate::model::community::Community;
use crate::model::error::Error;
use crate::model::hl7types::Cx;
use crate::model::identity::Way;
use crate::service::context::Context;
use crate::service::database;
use crate::store::db::{DbError, Tx};
use crate::store::mpi::correlation::{self as kept, Link, Said};
use crate::store::mpi::person::Secret;
use crate::store::mpi::review::State;
use crate::store::patient;

/// An id that another community knows the patient by.
#[derive(Debug, Clone)]
pub(super) struct Theirs {
    pub patient: Cx<'static>,
    /// As certain as a link must be.
    pub certain: bool,
    pub score: Option<u8>,
}

/// Until when what was said may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Not beyond the request.
    No,
    /// Microseconds since 1970.
    Until(i64),
    /// Until something else is said.
    On,
}

/// What a community said of a patient.
pub(super) struct Lesson {
    pub context: Context,
    /// Key of ours.
    pub patient: i64,
    pub community: Arc<Community>,
    pub way: Way,
    /// All of them: what it said before and does not say now holds no longer.
    pub theirs: Vec<Theirs>,
    pub keep: Keep,
    pub by_hand: bool,
}

/// What became of an id.
#[derive(Debug, Clone)]
pub(super) struct Learnt {
    pub patient: Cx<'static>,
    /// Whether this request may go by it.
    pub usable: bool,
}

impl Correlations {
    pub(super) async fn learn(&self, lesson: Lesson) -> Result<Vec<Learnt>, Error> {
        let lesson = Arc::new(lesson);
        self.inner
            .db
            .write(move |tx| {
                let lesson = lesson.clone();
                Box::pin(async move { learn(tx, &lesson).await })
            })
            .await
            .map_err(|e: DbError| database(e))
    }
}

pub(super) async fn learn(tx: &mut Tx<'_>, lesson: &Lesson) -> Result<Vec<Learnt>, DbError> {
    // Who learns of one patient waits for each other.
    patient::hold_key(tx, lesson.patient).await?;
    let home = lesson.community.home.to_string();
    let keys = kept::keys(tx, lesson.patient).await?;
    let mut links = kept::of_patients(tx, &keys).await?;
    links.retain(|l| l.home == home);
    let now = lesson.context.micros();
    let mut learnt = vec![];
    // Of several, none is picked.
    let alone = lesson.theirs.len() == 1;
    for theirs in &lesson.theirs {
        let id = (theirs.patient.authority.as_ref(), theirs.patient.id.as_ref());
        let old = links.iter().find(|l| (l.domain.as_str(), l.value.0.as_str()) == id);
        if let Some(old) = old.filter(|l| l.manual || l.state == State::Waiting) {
            learnt.push(Learnt { patient: theirs.patient.clone(), usable: old.holds(now) });
            continue;
        }
        let certain = alone && theirs.certain && !lesson.by_hand;
        let state = if certain { State::Confirmed } else { State::Candidate };
        learnt.push(Learnt { patient: theirs.patient.clone(), usable: certain });
        // Not to be kept: this request may go by it, the next asks again. Who must be looked at first is kept.
        if certain && lesson.keep == Keep::No {
            if let Some(old) = old.filter(|l| l.holds(now)) {
                change(tx, lesson, old, State::Obsolete, None, "no longer to be kept").await?;
            }
            continue;
        }
        let until = match lesson.keep {
            Keep::Until(at) if certain => Some(at),
            _ => None,
        };
        let link = Link {
            id: old.map_or_else(|| lesson.context.uuid().to_string(), |l| l.id.clone()),
            patient: old.map_or(lesson.patient, |l| l.patient),
            home: home.clone(),
            domain: theirs.patient.authority.to_string(),
            value: Secret(theirs.patient.id.to_string()),
            way: lesson.way,
            state,
            manual: false,
            valid_until: until,
            score: theirs.score.map(i64::from),
            created_at: old.map_or(now, |l| l.created_at),
            updated_at: now,
        };
        let reason = match (certain, alone, theirs.certain) {
            (true, ..) => "certain",
            (false, false, _) => "several ids in one community",
            (false, true, false) => "what is known of both does not make it certain",
            (false, true, true) => "links between networks wait for a person's word",
        };
        kept::put(tx, &link).await?;
        say(tx, lesson, &link, reason).await?;
    }
    let gone = links.iter().filter(|l| {
        !l.manual
            && l.way == lesson.way
            && matches!(l.state, State::Confirmed | State::Candidate)
            && !lesson.theirs.iter().any(|t| {
                (t.patient.authority.as_ref(), t.patient.id.as_ref())
                    == (l.domain.as_str(), l.value.0.as_str())
            })
    });
    for link in gone {
        change(tx, lesson, link, State::Obsolete, None, "the community says otherwise now").await?;
    }
    Ok(learnt)
}

async fn change(
    tx: &mut Tx<'_>,
    lesson: &Lesson,
    link: &Link,
    state: State,
    valid_until: Option<i64>,
    reason: &str,
) -> Result<(), DbError> {
    let link = Link { state, valid_until, updated_at: lesson.context.micros(), ..link.clone() };
    kept::put(tx, &link).await?;
    say(tx, lesson, &link, reason).await
}

async fn say(tx: &mut Tx<'_>, lesson: &Lesson, link: &Link, reason: &str) -> Result<(), DbError> {
    kept::say(tx, &link.id, &said(&lesson.context, link, &lesson.community.id, reason)).await
}

/// What is said of a link as it is now.
pub(super) fn said(context: &Context, link: &Link, who: &str, reason: &str) -> Said {
    Said {
        id: context.uuid().to_string(),
        at: context.micros(),
        state: link.state,
        way: link.way,
        valid_until: link.valid_until,
        who: who.to_owned(),
        reason: reason.to_owned(),
        request_id: context.request_id.clone(),
    }
}
