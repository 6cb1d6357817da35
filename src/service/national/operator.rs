//! What operators and facilities ask and say: why a document went or not, what waits, what failed; pause, retry, drop,
//! undo; facts. Every change is recorded.

use std::sync::Arc;

use super::deciding::{Body, Why, delivery_key};
use super::{FACTS, National, store};
use crate::model::audit::{AuditEvent, Outcome};
use crate::model::error::Error;
use crate::model::national::decide::{Decision, Outcome as Decided};
use crate::model::national::{Kind, Op, Verb};
use crate::peer::national::Call;
use crate::service::context::{Context, Subject};
use crate::service::database;
use crate::store::db::{DbError, Tx};
use crate::store::national::decision::{self, Kept, Kind as Kept_};
use crate::store::national::delivery::{self, Delivery, State};
use crate::store::national::entry;
use crate::store::national::fact::{self, Fact};
use crate::store::national::lane::{self, Lane};
use crate::store::national::lineage::{self, Lineage};
use crate::store::patient;

pub use super::deciding::Body as DecisionBody;
pub use crate::store::national::decision::{Kept as KeptDecision, Kind as DecisionKind};
pub use crate::store::national::delivery::{Delivery as KeptDelivery, State as DeliveryState};
pub use crate::store::national::fact::Fact as KeptFact;
pub use crate::store::national::lane::Lane as KeptLane;
pub use crate::store::national::lineage::{Lineage as KeptLineage, State as LineageState};

/// All that is known of one document.
#[derive(Debug, Clone)]
pub struct Story {
    pub lid: String,
    /// Oldest first.
    pub decisions: Vec<Kept>,
    pub lineage: Option<Lineage>,
    pub deliveries: Vec<Delivery>,
}

/// A lane at a glance.
#[derive(Debug, Clone)]
pub struct LaneShown {
    pub institution: String,
    pub way: &'static str,
    pub lane: Lane,
    /// State, how many, since when the oldest.
    pub deliveries: Vec<(State, i64, i64)>,
    pub decisions: Vec<(Kept_, i64)>,
    pub lineages: Vec<(lineage::State, i64)>,
}

/// Why an operator's word did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nothing {
    /// No such document, delivery or lane.
    NotThere,
    /// It is over, or under way right now.
    NotNow,
}

impl National {
    /// The logicalID of what somebody names: an entryUUID, a uniqueId or a lineage's document.
    async fn lid(tx: &mut Tx<'_>, name: &str) -> Result<Option<String>, DbError> {
        let urn = match name.starts_with("urn:") {
            true => name.to_owned(),
            false => format!("urn:uuid:{name}"),
        };
        if let Some(placed) = entry::get(tx, &urn).await? {
            return Ok(Some(placed.lid));
        }
        if let Some(id) = entry::of_unique_id(tx, name).await?.into_iter().next()
            && let Some(placed) = entry::get(tx, &id).await?
        {
            return Ok(Some(placed.lid));
        }
        decision::lid_of(tx, &urn).await
    }

    /// Everything about a document by its entryUUID or uniqueId.
    pub async fn story(&self, name: &str) -> Result<Option<Story>, Error> {
        let name: Arc<str> = name.into();
        self.0
            .db
            .snapshot(move |tx| {
                let name = name.clone();
                Box::pin(async move {
                    let Some(lid) = Self::lid(tx, &name).await? else { return Ok(None) };
                    let decisions = decision::of_lid(tx, &lid).await?;
                    let lineage = match lineage::of_lid(tx, &lid).await? {
                        Some(id) => lineage::get(tx, &id).await?,
                        None => None,
                    };
                    let deliveries = match &lineage {
                        Some(l) => delivery::of_lineage(tx, &l.id).await?,
                        None => vec![],
                    };
                    Ok(Some(Story { lid, decisions, lineage, deliveries }))
                })
            })
            .await
            .map_err(|e: DbError| database(e))
    }

    /// The lanes of all institutions that send, or of one.
    pub async fn lanes(&self, only: Option<&str>) -> Result<Vec<LaneShown>, Error> {
        let mut shown = vec![];
        for (institution, egress) in self.institutions() {
            if only.is_some_and(|o| o != institution) {
                continue;
            }
            let asked: Arc<str> = institution.as_str().into();
            let way = super::way(egress);
            let lane = self.0.db.snapshot(move |tx| {
                let asked = asked.clone();
                Box::pin(async move {
                    let lane = lane::get(tx, &asked).await?;
                    Ok(LaneShown {
                        institution: asked.to_string(),
                        way,
                        lane: lane.unwrap_or_default(),
                        deliveries: delivery::counts(tx, &asked).await?,
                        decisions: decision::counts(tx, &asked).await?,
                        lineages: lineage::counts(tx, &asked).await?,
                    })
                })
            });
            shown.push(lane.await.map_err(|e: DbError| database(e))?);
        }
        Ok(shown)
    }

    /// Deliveries in a state.
    pub async fn deliveries(&self, state: State, institution: Option<&str>) -> Result<Vec<Delivery>, Error> {
        const PAGE: i64 = 500;
        let institution: Arc<Option<String>> = Arc::new(institution.map(str::to_owned));
        let mut all: Vec<Delivery> = vec![];
        loop {
            let after: Arc<str> = all.last().map_or("", |d| d.id.as_str()).into();
            let institution = institution.clone();
            let page = self.0.db.read(move |tx| {
                let (after, institution) = (after.clone(), institution.clone());
                Box::pin(async move { delivery::page(tx, state, institution.as_deref(), &after, PAGE).await })
            });
            let page = page.await.map_err(|e: DbError| database(e))?;
            let more = page.len() == PAGE as usize;
            all.extend(page);
            if !more {
                return Ok(all);
            }
        }
    }

    /// Open decisions of an outcome: holds and failures are the facilities' worklists.
    pub async fn decisions(&self, outcome: Kept_, institution: Option<&str>) -> Result<Vec<Kept>, Error> {
        const PAGE: i64 = 500;
        let institution: Arc<Option<String>> = Arc::new(institution.map(str::to_owned));
        let mut all: Vec<Kept> = vec![];
        loop {
            let after: Arc<str> = all.last().map_or("", |d| d.id.as_str()).into();
            let institution = institution.clone();
            let page = self.0.db.read(move |tx| {
                let (after, institution) = (after.clone(), institution.clone());
                Box::pin(
                    async move { decision::open(tx, outcome, institution.as_deref(), &after, PAGE).await },
                )
            });
            let page = page.await.map_err(|e: DbError| database(e))?;
            let more = page.len() == PAGE as usize;
            all.extend(page);
            if !more {
                return Ok(all);
            }
        }
    }

    /// Stops or starts a lane; false if it was so already.
    pub async fn pause(&self, context: &Context, institution: &str, by: Option<&str>) -> Result<bool, Error> {
        let what = if by.is_some() { "pause" } else { "resume" };
        let event = said(context, what, vec![format!("institution:{institution}")]);
        let asked: Arc<(String, Option<String>, AuditEvent)> =
            Arc::new((institution.to_owned(), by.map(str::to_owned), event));
        let now = self.now();
        let done = self.0.db.write(move |tx| {
            let asked = asked.clone();
            Box::pin(async move {
                let (institution, by, event) = &*asked;
                let done = lane::pause(tx, institution, by.as_deref().map(|by| (by, now))).await?;
                if done {
                    Self::record(tx, event.clone()).await?;
                }
                Ok(done)
            })
        });
        let done = done.await.map_err(|e: DbError| database(e))?;
        self.wake();
        Ok(done)
    }

    /// Tries a delivery now, or decides on a document anew whatever was decided before.
    pub async fn retry(&self, context: &Context, name: &str) -> Result<Result<(), Nothing>, Error> {
        match self.retry_delivery(context, name).await? {
            Err(Nothing::NotThere) => {}
            done => return Ok(done),
        }
        let Some(story) = self.story(name).await? else { return Ok(Err(Nothing::NotThere)) };
        // What is parked goes again; what was decided against is decided anew.
        if let Some(parked) = story.deliveries.iter().find(|d| d.state == State::Parked) {
            return self.retry_delivery(context, &parked.id).await;
        }
        let lid: Arc<str> = story.lid.as_str().into();
        let latest = self.0.db.read(move |tx| {
            let lid = lid.clone();
            Box::pin(async move { entry::latest(tx, &lid).await })
        });
        let latest = latest.await.map_err(|e: DbError| database(e))?.map(|(id, _)| id);
        let Some(entry) = latest.or_else(|| story.decisions.last().map(|k| k.entry_id.clone())) else {
            return Ok(Err(Nothing::NotThere));
        };
        self.note(said(context, "retry", vec![entry.clone()])).await?;
        self.consider(&entry, Why::Hand).await?;
        self.wake();
        Ok(Ok(()))
    }

    async fn retry_delivery(&self, context: &Context, id: &str) -> Result<Result<(), Nothing>, Error> {
        let event = said(context, "retry", vec![id.to_owned()]);
        let asked: Arc<(String, AuditEvent)> = Arc::new((id.to_owned(), event));
        let now = self.now();
        let done = self.0.db.write(move |tx| {
            let asked = asked.clone();
            Box::pin(async move {
                let (id, event) = &*asked;
                let Some(found) = delivery::get(tx, id).await? else { return Ok(Err(Nothing::NotThere)) };
                // Under its old key the service would give the answer it gave.
                let key = match &found.code {
                    Some(_) => {
                        let op = Op::parse(&found.operation).unwrap_or(Op::Result);
                        delivery_key(&found.key, &found.entry_id, op, &found.institution, 1)
                    }
                    None => found.key.clone(),
                };
                if !delivery::retry(tx, id, &key, now).await? {
                    return Ok(Err(Nothing::NotNow));
                }
                Self::record(tx, event.clone()).await?;
                Ok(Ok(()))
            })
        });
        let done = done.await.map_err(|e: DbError| database(e))?;
        self.wake();
        Ok(done)
    }

    /// Somebody decides that something is not sent: a delivery, or a document that waits or failed.
    pub async fn drop(&self, context: &Context, name: &str, by: &str) -> Result<Result<(), Nothing>, Error> {
        let story = self.story(name).await?;
        let event = said(context, "drop", vec![name.to_owned()]);
        let asked: Arc<(String, String, Option<Story>, AuditEvent)> =
            Arc::new((name.to_owned(), by.to_owned(), story, event));
        let (now, national) = (self.now(), self.clone());
        let done = self.0.db.write(move |tx| {
            let (asked, national) = (asked.clone(), national.clone());
            Box::pin(async move {
                let (name, by, story, event) = &*asked;
                let mut found = vec![];
                match delivery::get(tx, name).await? {
                    Some(one) => found.push(one),
                    None => {
                        let own = story.iter().flat_map(|s| &s.deliveries);
                        found.extend(own.filter(|d| d.state.is_open()).cloned());
                    }
                }
                let mut dropped = false;
                for one in &found {
                    if !delivery::discard(tx, &one.id, now).await? {
                        return Ok(Err(Nothing::NotNow));
                    }
                    dropped = true;
                    if let Some(mut lineage) = lineage::hold(tx, &one.lineage).await? {
                        lineage.updated_at = now;
                        lineage::put(tx, &lineage).await?;
                        Self::decide_dropped(tx, &one.lid, by, now).await?;
                        national.go_on(tx, &lineage, one, now).await?;
                    }
                }
                if let Some(story) = story.as_ref().filter(|_| found.is_empty()) {
                    dropped = Self::decide_dropped(tx, &story.lid, by, now).await?;
                }
                if !dropped {
                    return Ok(Err(Nothing::NotThere));
                }
                Self::record(tx, event.clone()).await?;
                Ok(Ok(()))
            })
        });
        done.await.map_err(|e: DbError| database(e))
    }

    /// The decision that a document is not sent, at somebody's word.
    async fn decide_dropped(tx: &mut Tx<'_>, lid: &str, by: &str, now: i64) -> Result<bool, DbError> {
        let Some(last) = decision::current(tx, lid).await? else { return Ok(false) };
        let Ok(mut body) = serde_json::from_str::<Body>(&last.body) else { return Ok(false) };
        let rule_set = body.decision.rule_set;
        let outcome = Decided::Skip { reason: "dropped".into() };
        body.decision = Decision { outcome, gate: 0, rule_set, warnings: vec![] };
        let kept = Kept {
            id: uuid::Uuid::now_v7().to_string(),
            at: now,
            outcome: Kept_::Skip,
            gate: 0,
            reason: Some("dropped".into()),
            operation: None,
            body: serde_json::to_string(&body).unwrap_or_default(),
            expires_at: None,
            closed_at: Some(now),
            closed_by: Some(by.to_owned()),
            ..last
        };
        decision::add(tx, &kept).await?;
        Ok(true)
    }

    /// Takes a cancellation back: by hand only (national-service, 9).
    pub async fn undo(&self, context: &Context, name: &str) -> Result<Result<(), Nothing>, Error> {
        let Some(story) = self.story(name).await? else { return Ok(Err(Nothing::NotThere)) };
        let Some(lineage) = story.lineage.clone() else { return Ok(Err(Nothing::NotThere)) };
        if lineage.state != lineage::State::Cancelled || story.deliveries.iter().any(|d| d.state.is_open()) {
            return Ok(Err(Nothing::NotNow));
        }
        // What was there when it was cancelled: the last that arrived before.
        let arrived =
            |d: &&Delivery| d.state == State::Done && Op::parse(&d.operation).is_some_and(Op::carries);
        let Some(last) = story.deliveries.iter().rev().find(arrived).cloned() else {
            return Ok(Err(Nothing::NotThere));
        };
        let family = Kind::parse(&lineage.kind).unwrap_or(Kind::Info).family();
        let op = Op::Of(family, Verb::Undo);
        let before = story.deliveries.iter().filter(|d| d.operation == op.to_string()).count();
        let now = self.now();
        let call = Call {
            insured_id: lineage.insured_id.clone(),
            bundle_system: lineage.bundle_system.clone(),
            bundle_value: lineage.bundle_value.clone(),
            destination: lineage.destination.clone(),
            ..Call::new(
                op,
                &lineage.institution,
                &delivery_key(&lineage.id, &last.entry_id, op, &lineage.institution, before),
            )
        };
        let undo = Delivery {
            id: uuid::Uuid::now_v7().to_string(),
            key: call.key.clone(),
            operation: op.to_string(),
            call: serde_json::to_string(&call).map_err(|e| Error::Internal(e.into()))?,
            bundle_hash: None,
            state: State::Waiting,
            unsure: false,
            attempts: 0,
            polls: 0,
            not_before: now,
            created_at: now,
            first_attempt_at: None,
            settled_at: None,
            lease_until: 0,
            code: None,
            failure: None,
            problems: None,
            ..last
        };
        let event = said(context, "undo", vec![undo.entry_id.clone()]);
        let asked = Arc::new((undo, event, lineage));
        let done = self.0.db.write(move |tx| {
            let asked = asked.clone();
            Box::pin(async move {
                let (undo, event, seen) = &*asked;
                lane::add(tx, &undo.institution).await?;
                lane::hold(tx, &undo.institution).await?;
                let Some(lineage) = lineage::hold(tx, &undo.lineage).await? else {
                    return Ok(Err(Nothing::NotThere));
                };
                if lineage.revision != seen.revision {
                    return Ok(Err(Nothing::NotNow));
                }
                delivery::enqueue(tx, undo, None).await?;
                lineage::put(tx, &lineage).await?;
                Self::record(tx, event.clone()).await?;
                Ok(Ok(()))
            })
        });
        let done = done.await.map_err(|e: DbError| database(e))?;
        self.wake();
        Ok(done)
    }

    /// Says a fact of a patient (CX), a document (entryUUID or uniqueId) or an institution; without a value it is taken
    /// back. What waits for it is decided anew, and of a patient what has gone, too.
    pub async fn say(
        &self,
        context: &Context,
        kind: &str,
        subject: &str,
        name: &str,
        value: Option<&str>,
        by: &str,
    ) -> Result<Result<(), Nothing>, Error> {
        let known = FACTS.iter().find(|(k, n, _)| *k == kind && *n == name);
        let fits = known.is_some_and(|(_, _, values)| value.is_none_or(|v| values.contains(&v)));
        if !fits {
            return Ok(Err(Nothing::NotThere));
        }
        let subject = match kind {
            "entry" => match self.story(subject).await? {
                Some(story) => story.lid,
                None => return Ok(Err(Nothing::NotThere)),
            },
            _ => subject.to_owned(),
        };
        let now = self.now();
        let mut event = said(context, "fact", vec![format!("{name}={}", value.unwrap_or("-"))]);
        match kind {
            "patient" => event.patients.push(subject.clone()),
            _ => event.objects.push(subject.clone()),
        }
        let fact = Fact {
            subject_kind: kind.to_owned(),
            subject,
            name: name.to_owned(),
            value: value.unwrap_or_default().to_owned(),
            at: now,
            said_by: by.to_owned(),
        };
        let asked = Arc::new((fact, value.is_some(), event));
        let done = self.0.db.write(move |tx| {
            let asked = asked.clone();
            Box::pin(async move {
                let (fact, set, event) = &*asked;
                match set {
                    true => fact::put(tx, fact).await?,
                    false => {
                        fact::clear(tx, &fact.subject_kind, &fact.subject, &fact.name).await?;
                    }
                }
                Self::record(tx, event.clone()).await?;
                // Those it concerns are looked at by the outbox of whoever serves.
                let key = match fact.subject_kind.as_str() {
                    "patient" => patient::key(tx, &fact.subject).await?,
                    _ => None,
                };
                if let Some(key) = key {
                    store::reconsider(tx, key, now).await?;
                }
                let mut after = String::new();
                loop {
                    let page = decision::open(tx, Kept_::Hold, None, &after, 200).await?;
                    let Some(last) = page.last() else { break };
                    after.clone_from(&last.id);
                    for kept in &page {
                        if concerns(kept, fact, key) {
                            let entries = vec![kept.entry_id.clone()];
                            let changed =
                                store::Changed { patient_key: kept.patient_key, entries, again: false };
                            store::changed(tx, &changed, now).await?;
                        }
                    }
                }
                Ok(())
            })
        });
        done.await.map_err(|e: DbError| database(e))?;
        Ok(Ok(()))
    }

    /// What was said of a subject.
    pub async fn said_of(&self, kind: &str, subject: &str) -> Result<Vec<Fact>, Error> {
        let subject = match kind {
            "entry" => self.story(subject).await?.map(|s| s.lid).unwrap_or_default(),
            _ => subject.to_owned(),
        };
        let asked: Arc<(String, String)> = Arc::new((kind.to_owned(), subject));
        let facts = self.0.db.read(move |tx| {
            let asked = asked.clone();
            Box::pin(async move { fact::of(tx, &asked.0, &asked.1).await })
        });
        facts.await.map_err(|e: DbError| database(e))
    }

    /// Letters that are or were there, in order of lineage.
    pub async fn letters(&self) -> Result<Vec<Lineage>, Error> {
        const PAGE: i64 = 500;
        let mut all: Vec<Lineage> = vec![];
        loop {
            let after: Arc<str> = all.last().map_or("", |l| l.id.as_str()).into();
            let page = self.0.db.read(move |tx| {
                let after = after.clone();
                Box::pin(async move { lineage::letters(tx, &after, PAGE).await })
            });
            let page = page.await.map_err(|e: DbError| database(e))?;
            let more = page.len() == PAGE as usize;
            all.extend(page);
            if !more {
                return Ok(all);
            }
        }
    }

    async fn note(&self, event: AuditEvent) -> Result<(), Error> {
        let event = Arc::new(event);
        let done = self.0.db.write(move |tx| {
            let event = event.clone();
            Box::pin(async move { Self::record(tx, (*event).clone()).await })
        });
        done.await.map_err(|e: DbError| database(e))
    }
}

/// Whether a hold may be about a fact.
fn concerns(kept: &Kept, fact: &Fact, patient_key: Option<i64>) -> bool {
    match fact.subject_kind.as_str() {
        "patient" => patient_key == Some(kept.patient_key),
        "entry" => kept.lid == fact.subject,
        _ => kept.body.contains(&fact.subject),
    }
}

/// An operator's record.
fn said(context: &Context, what: &str, objects: Vec<String>) -> AuditEvent {
    let event = context.audit(Outcome::Success, Subject { objects, ..Subject::default() });
    AuditEvent { transaction: format!("national {what}"), ..event }
}
