//! Who a patient of ours is in other communities. ITI TF-1 18.3.3 leaves the way open; ours are PIX, XCPD and ids
//! that both networks share.
//!
//! A link is kept as a row with its history ([`store::mpi::correlation`](crate::store::mpi::correlation)): questions
//! follow it while it is 確定 and its time is not over. What a machine learns is never more than it is certain of, and
//! what a person said no machine changes.

mod ask;
mod heard;
mod learn;
mod links;

use std::sync::Arc;

use futures_util::future::join_all;
use jiff::Timestamp;

use crate::model::community::{Community, CorrelateBy};
use crate::model::error::Error;
use crate::model::hl7types::Cx;
use crate::model::identity::{DomainId, TimeToLive, Way};
use crate::model::ids::HomeCommunityId;
use crate::service::audit::Audit;
use crate::service::context::Context;
use crate::service::database;
use crate::service::mpi::Mpi;
use crate::store::db::{Db, DbError, Tx};
use crate::store::mpi::correlation::{self as kept, Link};
use crate::store::mpi::identity;
use crate::store::mpi::review::State;
use crate::store::patient;

use super::directory::Directory;
use super::people::People;
use super::respond::Place;
use super::trouble::Trouble;
use learn::{Keep, Lesson, Theirs};

pub use heard::Unheard;
pub use links::{LinkShown, Refused, Verdict};

/// A patient's id in another community.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correlation {
    pub home: HomeCommunityId,
    pub patient: Cx<'static>,
}

/// A community that could not be asked who the patient is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub home: HomeCommunityId,
    /// The operator's short name.
    pub community: String,
    pub trouble: Trouble,
}

/// Where a patient is known, where that is not certain, and who did not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Correlated {
    pub found: Vec<Correlation>,
    /// Communities with ids that somebody has to look at first.
    pub undecided: Vec<HomeCommunityId>,
    pub failed: Vec<Failure>,
}

/// Finds correlations. Clones share what is behind.
#[derive(Clone)]
pub struct Correlations {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    audit: Audit,
    /// None: this gateway keeps no index of patients, and only shared ids lead elsewhere.
    mpi: Option<Mpi>,
    directory: Directory,
    people: People,
    settings: Settings,
}

/// What finding correlations was configured to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `network.patient_id_authority`.
    pub authority: String,
    pub home: HomeCommunityId,
    /// How long others may keep what we tell, and we ask them to keep.
    pub time_to_live: Option<TimeToLive>,
    /// How long an answer to ITI-45 is kept, in microseconds.
    pub pix_valid: i64,
    /// Whether what is certain waits for a person's word all the same.
    pub by_hand: bool,
}

/// What is known of a patient before anybody is asked.
pub struct Known {
    /// None: our registry knows no such patient. An id that both networks share may be one there all the same.
    patient: Option<i64>,
    /// The id was merged away: it is nobody's any more.
    gone: bool,
    links: Vec<Link>,
    /// In domains of the index: among them those of neighbours who feed us.
    ids: Vec<DomainId>,
}

impl Correlations {
    pub fn new(
        db: Db,
        audit: Audit,
        mpi: Option<Mpi>,
        directory: Directory,
        people: People,
        settings: Settings,
    ) -> Self {
        Self { inner: Arc::new(Inner { db, audit, mpi, directory, people, settings }) }
    }

    pub fn people(&self) -> &People {
        &self.inner.people
    }

    /// The communities as they are listed now.
    pub fn communities(&self) -> Vec<Arc<Community>> {
        self.inner.directory.now().members.iter().map(|m| m.community.clone()).collect()
    }

    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The patient's ids in these communities as they stand when the request came (`context.received_at`), and what
    /// there is to say of communities that are absent. Several ids in one are several correlations. What is not known or no longer holds is asked
    /// for, of all at the same time, of each within its budget.
    pub async fn correlate(
        &self,
        context: &Context,
        patient: &Cx<'_>,
        communities: &[Arc<Community>],
    ) -> Result<Correlated, Error> {
        let known = self.look(patient).await?;
        let one = communities.iter().map(|community| self.resolve(context, patient, &known, community));
        let mut all = Correlated::default();
        for one in join_all(one).await {
            let one = one?;
            all.found.extend(one.found);
            all.undecided.extend(one.undecided);
            all.failed.extend(one.failed);
        }
        Ok(all)
    }

    /// The links that hold, without asking anybody; none if nobody knows the patient.
    pub async fn places(
        &self,
        context: &Context,
        patient: &Cx<'_>,
        communities: &[Arc<Community>],
    ) -> Result<Option<Vec<Place>>, Error> {
        let known = self.look(patient).await?;
        if known.patient.is_none() {
            return Ok(None);
        }
        let authority = &self.inner.settings.authority;
        let at = |c: &Arc<Community>| here(&known, authority, patient, c, context.micros());
        let places = communities.iter().flat_map(at);
        Ok(Some(places.map(|c| Place { home: c.home, patient: c.patient }).collect()))
    }

    /// Keeps the id that a community says it knows a patient of ours by, whom it was told by its own question.
    pub(super) async fn announced(
        &self,
        context: &Context,
        ours: &Cx<'_>,
        community: &Arc<Community>,
        theirs: Cx<'static>,
        until: Timestamp,
    ) -> Result<(), Error> {
        let Some(key) = self.look(ours).await?.patient else { return Ok(()) };
        let lesson = Lesson {
            context: context.clone(),
            patient: key,
            community: community.clone(),
            way: Way::Xcpd,
            theirs: vec![Theirs { patient: theirs, certain: true, score: None }],
            keep: Keep::Until(until.as_microsecond()),
            by_hand: self.inner.settings.by_hand,
        };
        self.learn(lesson).await.map(drop)
    }

    /// The patient's ids in one community.
    pub async fn resolve(
        &self,
        context: &Context,
        patient: &Cx<'_>,
        known: &Known,
        community: &Arc<Community>,
    ) -> Result<Correlated, Error> {
        if known.gone {
            return Ok(Correlated::default());
        }
        let mut here = here(known, &self.inner.settings.authority, patient, community, context.micros());
        if !here.is_empty() {
            return Ok(Correlated { found: here, ..Correlated::default() });
        }
        let asked = match community.correlate {
            CorrelateBy::SharedId => return Ok(Correlated::default()),
            // In a box: each community's question would be as large as this, and few come so far.
            CorrelateBy::Pix | CorrelateBy::Xcpd => {
                Box::pin(self.ask(context, patient, known, community)).await?
            }
        };
        here.extend(asked.found);
        Ok(Correlated { found: here, ..asked })
    }

    /// What is kept of a patient.
    pub async fn look(&self, patient: &Cx<'_>) -> Result<Known, Error> {
        let (pid, index) = (patient.to_string(), self.inner.mpi.is_some());
        self.inner
            .db
            .snapshot(move |tx| {
                let pid = pid.clone();
                Box::pin(async move {
                    match patient::key(tx, &pid).await? {
                        Some(key) => known(tx, key, index).await,
                        None => {
                            let gone = patient::is_subsumed(tx, &pid).await?;
                            Ok(Known { patient: None, gone, links: vec![], ids: vec![] })
                        }
                    }
                })
            })
            .await
            .map_err(|e: DbError| database(e))
    }
}

async fn known(tx: &mut Tx<'_>, key: i64, index: bool) -> Result<Known, DbError> {
    let keys = kept::keys(tx, key).await?;
    let links = kept::of_patients(tx, &keys).await?;
    let ids = if index { identity::ids_of(tx, key).await? } else { vec![] };
    Ok(Known { patient: Some(key), gone: false, links, ids })
}

/// What leads to a community without asking it: links that hold, ids of the index, the id that both share. What a
/// person has refused or released leads nowhere.
fn here(
    known: &Known,
    authority: &str,
    patient: &Cx<'_>,
    community: &Community,
    now: i64,
) -> Vec<Correlation> {
    let home = community.home.to_string();
    let links: Vec<&Link> = known.links.iter().filter(|l| l.home == home).collect();
    let barred = |cx: &Cx<'_>| {
        links.iter().any(|l| {
            matches!(l.state, State::Refused | State::Released)
                && (l.domain.as_str(), l.value.0.as_str()) == (cx.authority.as_ref(), cx.id.as_ref())
        })
    };
    let mut ids: Vec<Cx<'static>> = links
        .iter()
        .filter(|l| l.holds(now))
        .filter_map(|l| Cx::new(l.value.0.clone(), l.domain.clone()))
        .collect();
    let own = community.patient_id_authority.as_deref();
    match community.correlate {
        CorrelateBy::SharedId => {
            let shared = own.unwrap_or(authority);
            let of_index = known.ids.iter().filter(|id| id.domain == shared);
            ids.extend(of_index.filter_map(|id| Cx::new(id.value.clone(), id.domain.clone())));
            if patient.authority == shared {
                ids.push(patient.clone().into_owned());
            }
        }
        CorrelateBy::Pix | CorrelateBy::Xcpd => {
            let fed = known.ids.iter().filter(|id| Some(id.domain.as_str()) == own);
            ids.extend(fed.filter_map(|id| Cx::new(id.value.clone(), id.domain.clone())));
        }
    }
    ids.retain(|id| !barred(id));
    let mut once: Vec<Cx<'static>> = vec![];
    for id in ids {
        if !once.contains(&id) {
            once.push(id);
        }
    }
    once.into_iter().map(|patient| Correlation { home: community.home.clone(), patient }).collect()
}
