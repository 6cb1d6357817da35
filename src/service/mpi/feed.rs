//! What a feed does: ITI-8, ITI-30, ITI-31, ITI-44, ITI-104. One transaction from what was said to the notices.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::admit::{self, Resolved, error};
use super::meter::Noted;
use super::settle::{self, Action, Newcomer, Settled, Step};
use super::weigh::{Scales, Weighed};
use super::{Fed, Mpi, Refusal, Settings, cx, merge, neighbours, notices, number, review, terms, weigh};
use crate::config::DomainKind;
use crate::matching::{Features, Model};
use crate::model::audit::{Act, Facts, Outcome};
use crate::model::identity::{
    Demographics, DomainId, Feed, FeedMessage, Field, IdentityError, Place, Sent, Trouble, Update, Warning,
};
use crate::service::context::{Context, Subject};
use crate::service::database;
use crate::service::patients::new_key;
use crate::service::traces::Traces;
use crate::store::db::{DbError, Tx};
use crate::store::mpi::correlation::{self, Link, Said};
use crate::store::mpi::events::{self, Kind, Two};
use crate::store::mpi::identity::{self, Identity, Status, Version};
use crate::store::mpi::person;
use crate::store::mpi::review::State;
use crate::store::{mpi as store, patient};

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
enum Task {
    Upsert { ids: Vec<Resolved>, sent: Box<Sent>, own: Option<String> },
    Merge { surviving: Resolved, subsumed: Resolved },
    Rename { from: Resolved, to: Resolved },
    Verdict { one: Resolved, other: Resolved, same: bool },
    Link { one: Resolved, other: Resolved, sent: Box<[Sent; 2]> },
    Nothing { ids: Vec<Resolved> },
}

impl Task {
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
        let task = Arc::new(task);
        let doing = work.clone();
        let done = self
            .db
            .write(move |tx| {
                let (work, task) = (doing.clone(), task.clone());
                Box::pin(async move { perform(tx, &work, &task).await })
            })
            .await;
        let done = done.map_err(Refusal::from);
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

async fn perform(tx: &mut Tx<'_>, work: &Work, task: &Task) -> Result<Fed, Stop> {
    work.noted.begin();
    // Who says something of the same ids waits.
    store::lock(tx, task.ids().into_iter().map(lock_of).collect()).await?;
    let at = (work.settings.now)();
    match task {
        Task::Upsert { ids, sent, own } => upsert(tx, work, at, ids, sent, own.as_deref()).await,
        Task::Merge { surviving, subsumed } => merge::merge(tx, work, at, surviving, subsumed).await,
        Task::Rename { from, to } => merge::rename(tx, work, at, from, to).await,
        Task::Verdict { one, other, same } => merge::verdict(tx, work, at, one, other, *same).await,
        Task::Link { one, other, sent } => {
            let mut created = false;
            for (resolved, sent) in [one, other].into_iter().zip(sent.iter()) {
                // Who links two ids says that both are patients, whether they were fed before or not.
                if !is_network(resolved) && is_new(tx, &resolved.id).await? {
                    upsert(tx, work, at, std::slice::from_ref(resolved), sent, None).await?;
                    created = true;
                }
            }
            let fed = merge::verdict(tx, work, at, one, other, true).await?;
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

/// An identity of the message.
struct Named {
    resolved: Resolved,
    known: Option<Identity>,
    /// What is known of it after the message; none if the message is not the one to say.
    after: Option<(Demographics, Features)>,
    before: Option<Demographics>,
    key: i64,
}

async fn upsert(
    tx: &mut Tx<'_>,
    work: &Work,
    at: i64,
    ids: &[Resolved],
    sent: &Sent,
    own: Option<&str>,
) -> Result<Fed, Stop> {
    let config = &work.settings.config;
    let network = &work.settings.domains.network().oid;
    let speaks_for_own = own.is_some_and(|own| ids.iter().any(|r| r.id.domain == own));
    let mut subjects: Vec<Named> = vec![];
    let mut given: Option<i64> = None;
    let mut new_person: Option<&str> = None;
    for resolved in ids {
        let mut known = identity::by_id(tx, &resolved.id).await?;
        // An id that was exchanged for another (A47) is free again, if its facility uses it again.
        if let Some(buried) = known.take_if(|i| i.is_buried()) {
            identity::unbury(tx, buried.key).await?;
        }
        if known.as_ref().is_some_and(|i| i.status == Status::Subsumed) {
            return Err(subsumed(resolved).into());
        }
        if resolved.id.domain == *network {
            match person::by_value(tx, &resolved.id.value).await? {
                Some(p) if p.replaced_by.is_some() => return Err(subsumed(resolved).into()),
                Some(p) => given = Some(p.key),
                None if config.accept_network_ids => new_person = Some(&resolved.id.value),
                None => {
                    return Err(error(
                        Trouble::UnknownId,
                        resolved.place.component(1),
                        "no such id was issued by this network, and feeds may not bring new ones \
                         (mpi.accept_network_ids)",
                    )
                    .into());
                }
            }
            // Issued here, it names a person and is no identity of its own.
            if !config.accept_network_ids {
                continue;
            }
        }
        let is_ours_to_say = !speaks_for_own || Some(resolved.id.domain.as_str()) == own;
        let before = match &known {
            Some(i) => identity::known(tx, &[i.key]).await?.pop().map(|(_, d)| d),
            None => None,
        };
        let after = (known.is_none() || is_ours_to_say).then(|| {
            let mut after = before.clone().unwrap_or_default();
            sent.over(&mut after);
            let features = Features::of(&after);
            (after, features)
        });
        let key = known.as_ref().map_or_else(|| new_key(at), |i| i.key);
        subjects.push(Named { resolved: resolved.clone(), known, after, before, key });
    }
    if subjects.is_empty() && given.is_none() {
        return Err(error(Trouble::Missing, Place::of(Field::Identifier), "no patient id is there").into());
    }
    // Whoever could see what is said here waits for its commit.
    let hashes = |features: &Features| -> Vec<i64> {
        let keys = features.keys().into_iter();
        keys.map(|k| k.hash()).collect()
    };
    let asked = |features: &Features| -> Vec<i64> {
        let keys = features.keys().into_iter().filter(|k| k.kind.asked(work.population));
        keys.map(|k| k.hash()).collect()
    };
    let locks = subjects.iter().filter_map(|s| s.after.as_ref()).flat_map(|(_, f)| asked(f)).collect();
    store::lock(tx, locks).await?;

    let scales = work.scales();
    let action = work.action(at, false, "feed");
    let mut events = vec![];
    let mut step = Step::default();
    if let Some(value) = new_person {
        let nothing = Demographics::default();
        let described = subjects.iter().find_map(|s| s.after.as_ref()).map_or(&nothing, |(d, _)| d);
        given = Some(settle::make_with(tx, &work.settings, described, value, at).await?);
        step.given = given;
    }
    let mut pairs = vec![];
    let mut changed: HashMap<i64, bool> = HashMap::new();
    let mut skipped = 0;
    for (n, s) in subjects.iter().enumerate() {
        let Some((after, features)) = &s.after else {
            step.seeds.push(s.key);
            continue;
        };
        let stored = features.store();
        let same_features = s.known.as_ref().is_some_and(|i| i.features.0 == stored);
        changed.insert(s.key, !same_features);
        if let (Some(known), true) = (&s.known, s.before.as_ref() != Some(after)) {
            let sent = json_of(after)?;
            let version = Version {
                number: known.version.saturating_add(1),
                at,
                occurred: work.occurred.as_deref(),
                source: &work.source,
                sent: &sent,
                raw: &work.raw,
                features: stored,
            };
            identity::revise(tx, s.key, &version).await?;
            store::search::put(tx, s.key, &terms::of(after), false).await?;
            let old = weigh::features(&known.features)?;
            identity::set_keys(tx, s.key, &hashes(&old), &hashes(features)).await?;
        }
        if same_features {
            // Nothing to weigh: what was decided stands.
            continue;
        }
        if s.known.is_some() {
            events::drop_pairs(tx, s.key).await?;
            step.seeds.push(s.key);
        }
        let cap = usize::try_from(config.block_limit).unwrap_or(usize::MAX);
        let (candidates, too_large) = identity::sharing(tx, &asked(features), cap, s.key).await?;
        skipped += too_large;
        work.noted.weighed(candidates.len());
        let subject = Weighed { key: s.key, id: &s.resolved.id, features };
        for candidate in identity::active(tx, &candidates, false).await? {
            let other = weigh::features(&candidate.features)?;
            let weighed = Weighed { key: candidate.key, id: &candidate.id, features: &other };
            pairs.extend(scales.pair(&subject, &weighed)?);
        }
        for other in subjects.iter().take(n) {
            if let Some((_, f)) = &other.after {
                let weighed = Weighed { key: other.key, id: &other.resolved.id, features: f };
                pairs.extend(scales.pair(&subject, &weighed)?);
            }
        }
    }
    if !pairs.is_empty() {
        events::put_pairs(tx, &pairs).await?;
    }
    // Ids of one message are one patient's, by the sender's word.
    let said = verdicts_of_message(&subjects, &action);
    for (two, event) in said {
        let known = events::verdicts(tx, &[two.0, two.1]).await?;
        if !known.iter().any(|v| v.two == two && v.same) {
            events::say(tx, two, true, &event.id).await?;
            events.push(event);
        }
        step.seeds.extend([two.0, two.1]);
    }
    if let Some(person) = given {
        join_given(tx, &subjects, person, &action, &mut step, &mut events).await?;
    }
    for s in &subjects {
        if s.known.is_none()
            && let Some((after, features)) = &s.after
        {
            step.newcomers.push(Newcomer { key: s.key, id: &s.resolved.id, features, demographics: after });
        }
    }
    for pair in &pairs {
        if matches!(pair.class, events::Class::Links | events::Class::Rivals) {
            step.seeds.extend([pair.two.0, pair.two.1]);
        }
    }
    let newcomers: Vec<i64> = step.newcomers.iter().map(|n| n.key).collect();
    step.seeds.retain(|k| !newcomers.contains(k));
    step.seeds.sort_unstable();
    step.seeds.dedup();

    let settled = if step.newcomers.is_empty() && step.seeds.is_empty() && given.is_none() {
        // The same as before.
        let mut settled = Settled::default();
        for s in &subjects {
            if let Some(known) = &s.known {
                settled.person_of.insert(s.key, known.person_key);
            }
        }
        settled
    } else {
        settle::settle(tx, &work.settings, &scales, &action, &step).await?
    };
    for s in &subjects {
        let (None, Some((after, features))) = (&s.known, &s.after) else { continue };
        let sent = json_of(after)?;
        let stored = features.store();
        let version = Version {
            number: 1,
            at,
            occurred: work.occurred.as_deref(),
            source: &work.source,
            sent: &sent,
            raw: &work.raw,
            features: stored,
        };
        let person = settled.person_of.get(&s.key).copied().ok_or(DbError::NoRow)?;
        identity::insert(tx, s.key, &s.resolved.id, person, &version).await?;
        identity::set_keys(tx, s.key, &[], &hashes(features)).await?;
        store::search::put(tx, s.key, &terms::of(after), true).await?;
    }
    let mut warnings = vec![];
    if skipped > 0 {
        warnings.push(Warning {
            place: Place::default(),
            text: format!("{skipped} blocking keys are shared by too many identities and were skipped"),
        });
    }
    let main = subjects.iter().find(|s| s.after.is_some()).or(subjects.first());
    let person = match main {
        Some(s) => settled.person_of.get(&s.key).copied(),
        None => given,
    };
    if person.and_then(|key| settled.ids.get(&key)).is_some_and(|(_, after)| after.len() > subjects.len()) {
        work.noted.linked();
    }
    let person_id = match person {
        None => None,
        Some(key) => Some(person_id(tx, work, &settled, key).await?),
    };
    // Who the patient is to the registry: as the newest word has it.
    for s in &subjects {
        let (Some(_), Some((after, _)), Some(person)) = (&s.known, &s.after, person) else { continue };
        if s.before.as_ref() != Some(after)
            && let Some(id) = &person_id
        {
            patient::describe(tx, person, &settle::patient_row(network, &id.value, after)).await?;
        }
    }
    for s in &subjects {
        let why = if s.known.is_none() { review::Why::New } else { review::Why::Changed };
        // Who is new and near nobody need not be looked at.
        let near = pairs.iter().any(|p| p.two.0 == s.key || p.two.1 == s.key);
        if changed.get(&s.key).copied().unwrap_or_default() && (near || s.known.is_some()) {
            review::look(tx, work, at, s.key, why, &settled).await?;
        }
    }
    let created = subjects.iter().any(|s| s.known.is_none()) || new_person.is_some();
    let ids: Vec<DomainId> = ids.iter().map(|r| r.id.clone()).collect();
    finish(tx, work, events, &settled, vec![ids.clone()]).await?;
    Ok(Fed { ids, person: person_id, created, warnings })
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

fn subsumed(resolved: &Resolved) -> IdentityError {
    error(
        Trouble::Subsumed,
        resolved.place.component(1),
        "this id was merged into another, which is to be used instead",
    )
}

fn verdicts_of_message(subjects: &[Named], action: &Action<'_>) -> Vec<(Two, events::Event)> {
    let Some((first, rest)) = subjects.split_first() else { return vec![] };
    let told = json!({ "word": "ids of one message" });
    rest.iter()
        .map(|other| {
            let two = Two::of(first.key, other.key);
            let by_sender = Action { manual: true, told: action.told.clone(), ..*action };
            let event =
                by_sender.event(Kind::Confirmed, Some(two.0), Some(two.1), (None, None), told.clone());
            (two, event)
        })
        .collect()
}

/// The network's own id in a message names the person outright.
async fn join_given(
    tx: &mut Tx<'_>,
    subjects: &[Named],
    person: i64,
    action: &Action<'_>,
    step: &mut Step<'_>,
    said: &mut Vec<events::Event>,
) -> Result<(), DbError> {
    let members = identity::of_persons(tx, &[person], false).await?;
    for s in subjects {
        step.prefer.insert(s.key, person);
        let other = members.iter().find(|m| m.key != s.key);
        let (Some(other), false) = (other, members.iter().any(|m| m.key == s.key)) else { continue };
        let two = Two::of(s.key, other.key);
        let by_sender = Action { manual: true, told: action.told.clone(), ..*action };
        let told = json!({ "word": "the network's id" });
        let event = by_sender.event(Kind::Confirmed, Some(two.0), Some(two.1), (None, None), told);
        events::say(tx, two, true, &event.id).await?;
        said.push(event);
        step.seeds.extend([two.0, two.1]);
    }
    Ok(())
}

/// Events, audit records (one for each of `about`), notices.
pub(super) async fn finish(
    tx: &mut Tx<'_>,
    work: &Work,
    mut said: Vec<events::Event>,
    settled: &Settled,
    about: Vec<Vec<DomainId>>,
) -> Result<(), DbError> {
    said.extend(settled.events.iter().cloned());
    events::append(tx, &said).await?;
    // Of two, the first went into the second (ITI TF-2 3.8.5.1: D for the one, U for the other).
    let merged = about.len() == 2;
    let records = about
        .into_iter()
        .enumerate()
        .map(|(n, ids)| {
            let patients = ids.iter().map(cx).collect();
            let act = merged.then_some(if n == 0 { Act::Delete } else { Act::Update });
            let facts = Facts { act, ..Facts::default() };
            work.context.audit(Outcome::Success, Subject { patients, facts, ..Subject::default() })
        })
        .collect();
    Traces::new(records, None)?.leave(tx).await?;
    doubt(tx, work, settled).await?;
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
