//! What a feed does: ITI-8, ITI-30, ITI-31, ITI-44, ITI-104. One transaction from what was said to the notices.

use std::sync::Arc;

use serde_json::{Value, json};

use super::admit::{self, Resolved};
use super::meter::Noted;
use super::settle::{Action, Settled};
use super::together::Feeding;
use super::upsert::upsert;
use super::weigh::Scales;
use super::{Fed, Mpi, Refusal, Settings, cx, merge, neighbours, notices, number};
use crate::config::DomainKind;
use crate::matching::Model;
use crate::model::audit::{Act, Facts, Outcome};
use crate::model::identity::{DomainId, Feed, FeedMessage, Field, IdentityError, Sent, Update};
use crate::service::audit::Audited;
use crate::service::context::{Context, Subject};
use crate::service::database;
use crate::service::traces::Traces;
use crate::store::db::{DbError, Tx};
use crate::store::mpi::correlation::{self, Link, Said};
use crate::store::mpi::events;
use crate::store::mpi::identity;
use crate::store::mpi::person;
use crate::store::mpi::review::State;

/// How a transaction ends without changing anything.
pub(super) enum Stop {
    Refused(Vec<IdentityError>),
    Database(DbError),
}

impl From<DbError> for Stop {
    fn from(e: DbError) -> Self {
        Stop::Database(e)
    }
}

impl From<IdentityError> for Stop {
    fn from(e: IdentityError) -> Self {
        Stop::Refused(vec![e])
    }
}

impl From<Stop> for Refusal {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Refused(errors) => Refusal::Identity(errors),
            Stop::Database(e) => Refusal::Error(database(e)),
        }
    }
}

/// Everything a transaction needs, made before it begins.
pub(super) struct Work {
    pub context: Context,
    pub settings: Arc<Settings>,
    pub model: Arc<Model>,
    pub population: u64,
    /// What events tell of the message.
    pub told: Value,
    pub source: String,
    pub occurred: Option<String>,
    pub raw: Vec<u8>,
    pub noted: Noted,
}

impl Work {
    pub fn scales(&self) -> Scales<'_> {
        Scales { model: &self.model, population: self.population, domains: &self.settings.domains }
    }

    pub fn action(&self, at: i64, manual: bool, rule: &'static str) -> Action<'_> {
        Action { context: &self.context, at, manual, rule, told: self.told.clone() }
    }
}

/// What is to be done, its ids resolved.
pub(super) enum Task {
    Upsert { ids: Vec<Resolved>, sent: Box<Sent>, own: Option<String> },
    Merge { surviving: Resolved, subsumed: Resolved },
    Rename { from: Resolved, to: Resolved },
    Verdict { one: Resolved, other: Resolved, same: bool },
    Link { one: Resolved, other: Resolved, sent: Box<[Sent; 2]> },
    Nothing { ids: Vec<Resolved> },
}

impl Task {
    pub fn is_upsert(&self) -> bool {
        matches!(self, Task::Upsert { .. })
    }

    fn ids(&self) -> Vec<&DomainId> {
        self.resolved().into_iter().map(|r| &r.id).collect()
    }

    fn resolved(&self) -> Vec<&Resolved> {
        match self {
            Task::Upsert { ids, .. } | Task::Nothing { ids } => ids.iter().collect(),
            Task::Merge { surviving: a, subsumed: b }
            | Task::Rename { to: a, from: b }
            | Task::Verdict { one: a, other: b, .. }
            | Task::Link { one: a, other: b, .. } => vec![a, b],
        }
    }
}

impl Mpi {
    pub(super) async fn take(&self, context: &Context, message: FeedMessage) -> Result<Fed, Refusal> {
        let named = named(self, &message);
        let done = self.do_take(context, message).await;
        if let Err(refusal) = &done {
            Noted::default().count(&done);
            self.record_refusal(context, Subject { patients: named, ..Subject::default() }, refusal).await;
        }
        done
    }

    async fn do_take(&self, context: &Context, message: FeedMessage) -> Result<Fed, Refusal> {
        let FeedMessage { source, control_id, event, occurred, feed, warnings, raw } = message;
        let task = self.read(&source, feed).map_err(Refusal::Identity)?;
        let retired: Vec<IdentityError> = task.resolved().into_iter().filter_map(admit::retired).collect();
        if !retired.is_empty() {
            return Err(Refusal::Identity(retired));
        }
        let ids: Vec<DomainId> = task.ids().into_iter().cloned().collect();
        if let Task::Nothing { .. } = task {
            // Nothing is changed by it; that it came is recorded all the same.
            let patients = ids.iter().map(cx).collect();
            let event = context.audit(Outcome::Success, Subject { patients, ..Subject::default() });
            self.audit.settle(Audited::Due(Box::new(event))).await.map_err(Refusal::Error)?;
            return Ok(Fed { ids, person: None, created: false, warnings });
        }
        let allowed: Vec<&str> = ids.iter().map(|id| id.value.as_str()).collect();
        let keeps_insurance = self.settings.config.insurance || !says_insurance(&task);
        let raw = if keeps_insurance { number::struck(&raw, &allowed) } else { vec![] };
        self.follow_model(context).await;
        let source_told = json!({
            "application": source.application,
            "facility": source.facility,
            "event": event,
            "controlId": control_id,
            "request": context.request_id,
            "warnings": warnings.iter().map(|w| w.text.clone()).collect::<Vec<_>>(),
        });
        let work = Arc::new(Work {
            context: context.clone(),
            settings: self.settings.clone(),
            model: self.model(),
            population: self.population().await.map_err(|e| Refusal::Error(database(e)))?,
            told: json!({ "event": event, "message": control_id, "sender": source.application,
                          "facility": source.facility }),
            source: source_told.to_string(),
            occurred,
            raw,
            noted: Noted::default(),
        });
        // Who says something of the same ids waits.
        let locks = ids.iter().map(lock_of).collect();
        let feed = Feeding { locks, work: work.clone(), task: Arc::new(task) };
        let done = self.together.write(feed).await.map_err(Refusal::from);
        if done.is_ok() {
            work.noted.count(&done);
        }
        let mut fed = done?;
        let mut all = warnings;
        all.append(&mut fed.warnings);
        Ok(Fed { warnings: all, ..fed })
    }

    /// Brings a feed's ids to known domains and looks at what it says: everything that is wrong, at once.
    fn read(&self, source: &crate::model::identity::Source, feed: Feed) -> Result<Task, Vec<IdentityError>> {
        let domains = &self.settings.domains;
        let one = |id| admit::resolve(domains, source, id).map_err(|e| vec![e]);
        Ok(match feed {
            Feed::Upsert { ids, mut sent } => {
                let found = admit::ids(domains, source, &ids, Field::Identifier);
                let mut errors = admit::sent(&sent);
                if !self.settings.config.insurance {
                    sent.insurances = Update::Keep;
                }
                match found {
                    Err(wrong) => {
                        errors.splice(0..0, wrong);
                        return Err(errors);
                    }
                    Ok(_) if !errors.is_empty() => return Err(errors),
                    Ok(ids) => {
                        let own = domains.of_sender(source).map(|d| d.oid.clone());
                        Task::Upsert { ids, sent, own }
                    }
                }
            }
            Feed::Merge { surviving, subsumed } => {
                let surviving = admit::ids(domains, source, &surviving, Field::Identifier);
                let subsumed = admit::ids(domains, source, &subsumed, Field::PriorIdentifier);
                let (surviving, subsumed) = both(surviving, subsumed)?;
                merge::pair(surviving, subsumed)
                    .map(|(surviving, subsumed)| Task::Merge { surviving, subsumed })
                    .map_err(|e| vec![e])?
            }
            Feed::Rename { from, to } => {
                let (from, to) = both(one(&from), one(&to))?;
                merge::checked(&to, &from).map_err(|e| vec![e])?;
                Task::Rename { from, to }
            }
            Feed::Link { one: a, other: b, mut sent } => {
                let (one, other) = both(one(&a), one(&b))?;
                merge::different(&one, &other).map_err(|e| vec![e])?;
                let errors: Vec<IdentityError> = sent.iter().flat_map(admit::sent).collect();
                if !errors.is_empty() {
                    return Err(errors);
                }
                if !self.settings.config.insurance {
                    sent.iter_mut().for_each(|s| s.insurances = Update::Keep);
                }
                Task::Link { one, other, sent }
            }
            Feed::Unlink { one: a, other: b } => {
                let (one, other) = both(one(&a), one(&b))?;
                merge::different(&one, &other).map_err(|e| vec![e])?;
                Task::Verdict { one, other, same: false }
            }
            Feed::Nothing { ids } => {
                Task::Nothing { ids: admit::ids(domains, source, &ids, Field::Identifier)? }
            }
        })
    }
}

/// Both, or all that is wrong with either.
fn both<A, B>(
    one: Result<A, Vec<IdentityError>>,
    other: Result<B, Vec<IdentityError>>,
) -> Result<(A, B), Vec<IdentityError>> {
    match (one, other) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(mut a), Err(b)) => {
            a.extend(b);
            Err(a)
        }
        (Err(e), Ok(_)) | (Ok(_), Err(e)) => Err(e),
    }
}

fn says_insurance(task: &Task) -> bool {
    matches!(task, Task::Upsert { .. } | Task::Link { .. })
}

/// Ids of known domains that a message names, for the record of its refusal.
fn named(mpi: &Mpi, message: &FeedMessage) -> Vec<String> {
    let domains = &mpi.settings.domains;
    let sent: Vec<_> = match &message.feed {
        Feed::Upsert { ids, .. } | Feed::Nothing { ids } => ids.iter().collect(),
        Feed::Merge { surviving, subsumed } => surviving.iter().chain(subsumed).collect(),
        Feed::Rename { from: a, to: b }
        | Feed::Link { one: a, other: b, .. }
        | Feed::Unlink { one: a, other: b } => {
            vec![a, b]
        }
    };
    sent.into_iter()
        .filter_map(|id| admit::resolve(domains, &message.source, id).ok())
        .map(|r| cx(&r.id))
        .collect()
}

pub(super) async fn perform(tx: &mut Tx<'_>, work: &Work, task: &Task) -> Result<Fed, Stop> {
    work.noted.begin();
    let at = (work.settings.now)();
    match task {
        Task::Upsert { ids, sent, own } => upsert(tx, work, at, ids, sent, own.as_deref()).await,
        // What is rare is in boxes: every feed is as large as the largest otherwise, and moved.
        Task::Merge { surviving, subsumed } => {
            Box::pin(merge::merge(tx, work, at, surviving, subsumed)).await
        }
        Task::Rename { from, to } => Box::pin(merge::rename(tx, work, at, from, to)).await,
        Task::Verdict { one, other, same } => Box::pin(merge::verdict(tx, work, at, one, other, *same)).await,
        Task::Link { one, other, sent } => {
            let mut created = false;
            for (resolved, sent) in [one, other].into_iter().zip(sent.iter()) {
                // Who links two ids says that both are patients, whether they were fed before or not.
                if !is_network(resolved) && is_new(tx, &resolved.id).await? {
                    Box::pin(upsert(tx, work, at, std::slice::from_ref(resolved), sent, None)).await?;
                    created = true;
                }
            }
            let fed = Box::pin(merge::verdict(tx, work, at, one, other, true)).await?;
            Ok(Fed { created, ..fed })
        }
        Task::Nothing { .. } => Ok(Fed { ids: vec![], person: None, created: false, warnings: vec![] }),
    }
}

/// Whether an id is no identity, or one exchanged for another (A47).
async fn is_new(tx: &mut Tx<'_>, id: &DomainId) -> Result<bool, DbError> {
    Ok(identity::by_id(tx, id).await?.is_none_or(|i| i.is_buried()))
}

/// A number for an id: the same for who means the same.
pub(super) fn lock_of(id: &DomainId) -> i64 {
    use sha2::{Digest as _, Sha256};
    let mut hasher = Sha256::new();
    hasher.update(id.domain.as_bytes());
    hasher.update([0]);
    hasher.update(id.value.as_bytes());
    let digest = hasher.finalize();
    i64::from_be_bytes(std::array::from_fn(|i| digest[i]))
}

/// The network's id of a person.
pub(super) async fn person_id(
    tx: &mut Tx<'_>,
    work: &Work,
    settled: &Settled,
    key: i64,
) -> Result<DomainId, DbError> {
    let value = match settled.values.get(&key) {
        Some(value) => value.clone(),
        None => person::get(tx, key).await?.ok_or(DbError::NoRow)?.value.0,
    };
    Ok(DomainId { domain: work.settings.domains.network().oid.clone(), value })
}

/// What the audit trail is to tell of a change.
pub(super) enum About {
    /// The ids of one patient; what was done to it, the event's name says.
    Told(Vec<DomainId>),
    /// The same, and whether it is new: the name of a FHIR interaction says neither create nor update.
    Put { ids: Vec<DomainId>, created: bool },
    /// The first went into the second: a record of each (ITI TF-2 3.8.5.1: D and U).
    Merged(DomainId, DomainId),
}

impl About {
    /// The ids of each record, and what was done where no name of an event says it.
    fn records(self, event: Option<Act>) -> Vec<(Vec<DomainId>, Option<Act>)> {
        match self {
            About::Told(ids) => vec![(ids, None)],
            About::Put { ids, created } => {
                let done = if created { Act::Create } else { Act::Update };
                vec![(ids, event.or(Some(done)))]
            }
            About::Merged(gone, stays) => {
                vec![(vec![gone], Some(Act::Delete)), (vec![stays], Some(Act::Update))]
            }
        }
    }
}

/// Events, audit records, notices.
pub(super) async fn finish(
    tx: &mut Tx<'_>,
    work: &Work,
    mut said: Vec<events::Event>,
    settled: &Settled,
    about: About,
) -> Result<(), DbError> {
    said.extend(settled.events.iter().cloned());
    events::append(tx, &said).await?;
    let event = work.context.exchange.event.as_deref().and_then(Act::of_event);
    let records = about
        .records(event)
        .into_iter()
        .map(|(ids, act)| {
            let patients = ids.iter().map(cx).collect();
            let facts = Facts { act, ..Facts::default() };
            work.context.audit(Outcome::Success, Subject { patients, facts, ..Subject::default() })
        })
        .collect();
    Traces::new(records, None)?.leave(tx).await?;
    Box::pin(doubt(tx, work, settled)).await?;
    neighbours::enqueue(tx, work, settled).await?;
    notices::enqueue(tx, work, settled).await
}

/// Whose ids were parted may be somebody else in other communities: links that a machine made wait for a person's word.
async fn doubt(tx: &mut Tx<'_>, work: &Work, settled: &Settled) -> Result<(), DbError> {
    let parted = settled.ids.iter().filter(|(_, (before, after))| !before.is_subset(after));
    for (person, _) in parted.filter(|(_, (_, after))| !after.is_empty()) {
        let keys = correlation::keys(tx, *person).await?;
        for link in correlation::of_patients(tx, &keys).await? {
            if link.manual || link.state != State::Confirmed {
                continue;
            }
            let at = work.context.micros();
            let link = Link { state: State::Waiting, valid_until: None, updated_at: at, ..link };
            correlation::put(tx, &link).await?;
            let said = Said {
                id: work.context.uuid().to_string(),
                at,
                state: link.state,
                way: link.way,
                valid_until: None,
                who: "chiren".into(),
                reason: "ids of the patient were parted".into(),
                request_id: work.context.request_id.clone(),
            };
            correlation::say(tx, &link.id, &said).await?;
        }
    }
    Ok(())
}

pub(super) fn json_of<T: serde::Serialize>(value: &T) -> Result<String, DbError> {
    serde_json::to_string(value).map_err(|e| DbError::Sql(format!("cannot be written as JSON: {e}")))
}

/// Whether an id names the network's own domain.
pub(super) fn is_network(resolved: &Resolved) -> bool {
    resolved.kind == DomainKind::Network
}
