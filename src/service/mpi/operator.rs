//! What operators ask and do: see persons and their history, why two ids are linked or not, link, unlink, join,
//! part, and take back. Every change leaves its events and its audit record with who and why; nothing is
//! overwritten, undoing is another event.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::admit::{Resolved, error};
use super::feed::{Stop, Work, finish, is_network, lock_of, person_id};
use super::settle::{self, Settled, Step};
use super::weigh::{self, Weighed};
use super::{Mpi, Refusal, cx, merge, review, view};
use crate::matching::{Candidate, Known, Subject as Weighing};
use crate::model::error::Error;
use crate::model::hl7types::Cx;
use crate::model::identity::{Demographics, DomainId, Field, Place, Trouble};
use crate::service::context::Context;
use crate::service::database;
use crate::store::db::{DbError, Tx};
use crate::store::mpi as store;
use crate::store::mpi::events::{self, Event, Kind, Two};
use crate::store::mpi::identity::{self, Identity, Status};
use crate::store::mpi::person::{self, Person};

/// What a change came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// The persons concerned, by the network's id: how many ids each has now.
    pub persons: Vec<(String, usize)>,
    /// Objects of the registry, and documents of the repository, that changed their patient.
    pub objects: usize,
    pub documents: usize,
    /// The name of the action in the history.
    pub action: String,
}

/// An identity as an operator sees it.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityShown {
    /// CX.
    pub id: String,
    pub versions: i64,
    /// Microseconds since 1970.
    pub updated_at: i64,
    pub demographics: Demographics,
}

/// A person as an operator sees it.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PersonShown {
    /// CX of the network's id.
    pub person: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
    pub created_at: i64,
    pub documents: bool,
    pub view: Demographics,
    pub identities: Vec<IdentityShown>,
}

/// An event as an operator sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventShown {
    pub id: String,
    pub action: String,
    pub at: i64,
    pub kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    pub manual: bool,
    pub cause: Value,
}

/// Why ids are linked or not.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyShown {
    /// Pairs as they were weighed when a decision was taken: with whom, class, fields.
    pub pairs: Vec<Value>,
    /// What somebody said.
    pub verdicts: Vec<Value>,
    /// Weighed now, where two ids were named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<Value>,
}

/// A version of what was known.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionShown {
    pub version: i64,
    pub valid_from: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occurred: Option<String>,
    pub source: Value,
    pub demographics: Demographics,
}

impl Mpi {
    /// The id an operator names: CX, `NAMESPACE:id`, or an id of the network's own.
    pub fn named(&self, text: &str) -> Result<DomainId, String> {
        let domains = &self.settings.domains;
        if let Ok(cx) = Cx::parse(text) {
            let domain = domains
                .by_name(&cx.authority)
                .ok_or_else(|| format!("the assigning authority '{}' is not configured", cx.authority))?;
            return Ok(DomainId { domain: domain.oid.clone(), value: domain.canonical(&cx.id) });
        }
        if let Some((name, value)) = text.split_once(':')
            && let Some(domain) = domains.by_name(name)
        {
            return Ok(DomainId { domain: domain.oid.clone(), value: domain.canonical(value) });
        }
        match text.is_empty() || text.contains(['^', '&', ':']) {
            true => Err("write an id as ID^^^&OID&ISO, NAMESPACE:ID, or as an id of the network".into()),
            false => Ok(DomainId { domain: domains.network().oid.clone(), value: text.to_owned() }),
        }
    }

    fn resolved(&self, id: &DomainId) -> Resolved {
        let kind =
            self.settings.domains.by_name(&id.domain).map_or(crate::config::DomainKind::Facility, |d| d.kind);
        Resolved { id: id.clone(), kind, place: Place::of(Field::Identifier) }
    }

    pub(super) async fn operator_work(
        &self,
        context: &Context,
        by: &str,
        reason: &str,
    ) -> Result<Work, Refusal> {
        Ok(Work {
            context: context.clone(),
            settings: self.settings.clone(),
            model: self.model(),
            population: self.population().await.map_err(|e| Refusal::Error(database(e)))?,
            told: json!({ "by": by, "reason": reason }),
            source: String::new(),
            occurred: None,
            raw: vec![],
        })
    }

    /// Says that ids are of one person.
    pub async fn link(
        &self,
        context: &Context,
        one: &DomainId,
        other: &DomainId,
        by: &str,
        reason: &str,
    ) -> Result<Changed, Refusal> {
        self.change(context, by, reason, Change::Say(self.resolved(one), self.resolved(other), true)).await
    }

    /// Says that ids are of two persons.
    pub async fn unlink(
        &self,
        context: &Context,
        one: &DomainId,
        other: &DomainId,
        by: &str,
        reason: &str,
    ) -> Result<Changed, Refusal> {
        self.change(context, by, reason, Change::Say(self.resolved(one), self.resolved(other), false)).await
    }

    /// Joins one person to another, which keeps its id.
    pub async fn merge(
        &self,
        context: &Context,
        from: &DomainId,
        into: &DomainId,
        by: &str,
        reason: &str,
    ) -> Result<Changed, Refusal> {
        self.change(context, by, reason, Change::Merge(self.resolved(from), self.resolved(into))).await
    }

    /// Takes a merge back, of an id or of a person.
    pub async fn unmerge(
        &self,
        context: &Context,
        id: &DomainId,
        by: &str,
        reason: &str,
    ) -> Result<Changed, Refusal> {
        self.change(context, by, reason, Change::Unmerge(self.resolved(id))).await
    }

    /// Takes ids out of their person: together they are another.
    pub async fn split(
        &self,
        context: &Context,
        ids: &[DomainId],
        by: &str,
        reason: &str,
    ) -> Result<Changed, Refusal> {
        let ids = ids.iter().map(|id| self.resolved(id)).collect();
        self.change(context, by, reason, Change::Split(ids)).await
    }

    async fn change(
        &self,
        context: &Context,
        by: &str,
        reason: &str,
        change: Change,
    ) -> Result<Changed, Refusal> {
        let work = Arc::new(self.operator_work(context, by, reason).await?);
        let change = Arc::new(change);
        self.db
            .write(move |tx| {
                let (work, change) = (work.clone(), change.clone());
                Box::pin(async move { perform(tx, &work, &change).await })
            })
            .await
            .map_err(Refusal::from)
    }

    /// Persons in order of their ids, after one.
    pub async fn persons(&self, after: &str, limit: i64) -> Result<Vec<PersonShown>, Error> {
        let (after, network) = (after.to_owned(), self.settings.domains.network().oid.clone());
        self.db
            .snapshot(move |tx| {
                let (after, network) = (after.clone(), network.clone());
                Box::pin(async move {
                    let page = person::page(tx, &after, limit).await?;
                    shown(tx, &network, page).await
                })
            })
            .await
            .map_err(|e: DbError| database(e))
    }

    /// The person an id is of; its sight is recorded.
    pub async fn show(&self, context: &Context, id: &DomainId) -> Result<Option<PersonShown>, Error> {
        let (id, network) = (id.clone(), self.settings.domains.network().oid.clone());
        let found = self
            .db
            .snapshot(move |tx| {
                let (id, network) = (id.clone(), network.clone());
                Box::pin(async move {
                    let Some(key) = person_of(tx, &id, &network).await? else { return Ok(None) };
                    let page = person::several(tx, &[key]).await?;
                    Ok(shown(tx, &network, page).await?.pop())
                })
            })
            .await
            .map_err(|e: DbError| database(e))?;
        if let Some(found) = &found {
            self.record_sight(context, vec![found.person.clone()], "mpi show".into()).await?;
        }
        Ok(found)
    }

    /// What happened to an id and to its person, oldest first.
    pub async fn history(&self, context: &Context, id: &DomainId) -> Result<Vec<EventShown>, Error> {
        let (key, network) = (id.clone(), self.settings.domains.network().oid.clone());
        let found = self
            .db
            .snapshot(move |tx| {
                let (id, network) = (key.clone(), network.clone());
                Box::pin(async move {
                    let mut all = vec![];
                    if let Some(i) = identity::by_id(tx, &id).await? {
                        all.extend(events::of_identity(tx, i.key).await?);
                    }
                    if let Some(person) = person_of(tx, &id, &network).await? {
                        all.extend(events::of_person(tx, person).await?);
                    }
                    all.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
                    all.dedup_by(|a, b| a.id == b.id);
                    named_events(tx, &network, all).await
                })
            })
            .await
            .map_err(|e: DbError| database(e))?;
        self.record_sight(context, vec![cx(id)], "mpi history".into()).await?;
        Ok(found)
    }

    /// What was known of an id, version by version.
    pub async fn versions(&self, context: &Context, id: &DomainId) -> Result<Vec<VersionShown>, Error> {
        let key = id.clone();
        let found = self
            .db
            .snapshot(move |tx| {
                let id = key.clone();
                Box::pin(async move {
                    let Some(i) = identity::by_id(tx, &id).await? else { return Ok(vec![]) };
                    let told = identity::versions(tx, i.key).await?;
                    Ok(told
                        .into_iter()
                        .map(|t| VersionShown {
                            version: t.version,
                            valid_from: t.valid_from,
                            occurred: t.occurred,
                            source: serde_json::from_str(&t.source).unwrap_or_default(),
                            demographics: t.demographics,
                        })
                        .collect())
                })
            })
            .await
            .map_err(|e: DbError| database(e))?;
        self.record_sight(context, vec![cx(id)], "mpi versions".into()).await?;
        Ok(found)
    }

    /// Why an id is where it is, or why two are together or not.
    pub async fn why(
        &self,
        context: &Context,
        one: &DomainId,
        other: Option<&DomainId>,
    ) -> Result<Option<WhyShown>, Refusal> {
        let work = Arc::new(self.operator_work(context, "", "").await?);
        let ids = Arc::new((one.clone(), other.cloned()));
        let asked = ids.clone();
        let found = self
            .db
            .snapshot(move |tx| {
                let (work, ids) = (work.clone(), ids.clone());
                Box::pin(async move { why(tx, &work, &ids.0, ids.1.as_ref()).await })
            })
            .await
            .map_err(|e: DbError| Refusal::Error(database(e)))?;
        let patients = std::iter::once(&asked.0).chain(&asked.1).map(cx).collect();
        self.record_sight(context, patients, "mpi why".into()).await?;
        Ok(found)
    }
}

enum Change {
    Say(Resolved, Resolved, bool),
    Merge(Resolved, Resolved),
    Unmerge(Resolved),
    Split(Vec<Resolved>),
}

async fn perform(tx: &mut Tx<'_>, work: &Work, change: &Change) -> Result<Changed, Stop> {
    let at = (work.settings.now)();
    let ids: Vec<&Resolved> = match change {
        Change::Say(a, b, _) | Change::Merge(a, b) => vec![a, b],
        Change::Unmerge(id) => vec![id],
        Change::Split(ids) => ids.iter().collect(),
    };
    store::lock(tx, ids.iter().map(|r| lock_of(&r.id)).collect()).await?;
    let about = ids.iter().map(|r| r.id.clone()).collect();
    let (said, settled) = match change {
        Change::Say(one, other, same) => {
            let (ones, others) = (merge::meant(tx, one).await?, merge::meant(tx, other).await?);
            if ones.iter().any(|a| others.iter().any(|b| a.key == b.key)) {
                return Err(error(Trouble::SameId, one.place, "both ids are of one identity").into());
            }
            let done = merge::say(tx, work, at, &ones, &others, *same).await?;
            if !same {
                for i in ones.iter().chain(&others) {
                    review::release(tx, at, i.key).await?;
                }
            }
            done
        }
        Change::Merge(from, into) => {
            let (from, into) = (person(tx, from).await?, person(tx, into).await?);
            if from.key == into.key {
                return Err(error(
                    Trouble::SameId,
                    Place::of(Field::Identifier),
                    "both ids are of one person already",
                )
                .into());
            }
            merge::join(tx, work, at, &from, &into).await?
        }
        Change::Unmerge(id) => unmerge(tx, work, at, id).await?,
        Change::Split(ids) => split(tx, work, at, ids).await?,
    };
    finish(tx, work, said, &settled, vec![about]).await?;
    let mut persons = vec![];
    for (key, (_, after)) in &settled.ids {
        persons.push((person_id(tx, work, &settled, *key).await?.value, after.len()));
    }
    Ok(Changed {
        persons,
        objects: settled.moved.objects,
        documents: settled.moved.documents,
        action: work.context.request_id.clone(),
    })
}

/// The active person an id is of.
async fn person(tx: &mut Tx<'_>, resolved: &Resolved) -> Result<Person, Stop> {
    let key = match is_network(resolved) {
        true => person::by_value(tx, &resolved.id.value).await?.map(|p| p.key),
        false => merge::meant(tx, resolved).await?.first().map(|i| i.person_key),
    };
    let person = match key {
        Some(key) => person::get(tx, key).await?.filter(|p| p.replaced_by.is_none()),
        None => None,
    };
    let text = "no such person is known, or it was joined to another";
    person.ok_or_else(|| error(Trouble::UnknownId, resolved.place, text).into())
}

/// Takes back what merged an id or a person away: the whole action, with all it brought about.
async fn unmerge(
    tx: &mut Tx<'_>,
    work: &Work,
    at: i64,
    resolved: &Resolved,
) -> Result<(Vec<Event>, Settled), Stop> {
    let not_merged = || {
        Stop::from(error(
            Trouble::UnknownId,
            resolved.place,
            "this id was not merged into another, so there is nothing to take back",
        ))
    };
    let told = match is_network(resolved) {
        true => {
            let person = person::by_value(tx, &resolved.id.value)
                .await?
                .filter(|p| p.replaced_by.is_some())
                .ok_or_else(not_merged)?;
            let all = events::of_person(tx, person.key).await?;
            all.into_iter().rev().find(|e| e.kind == Kind::PersonMerged && e.from == Some(person.key))
        }
        false => {
            let old = identity::by_id(tx, &resolved.id)
                .await?
                .filter(|i| i.status == Status::Subsumed)
                .ok_or_else(not_merged)?;
            let all = events::of_identity(tx, old.key).await?;
            all.into_iter().rev().find(|e| e.kind == Kind::Merged && e.identity == Some(old.key))
        }
    };
    let told = told.ok_or_else(not_merged)?;
    let events = events::of_action(tx, &told.action).await?;
    let action = work.action(at, true, "unmerge");
    let mut said = vec![];
    let mut step = Step::default();
    let mut part: HashSet<i64> = HashSet::new();
    let mut revived: Vec<(i64, i64)> = vec![];
    for e in &events {
        match (e.kind, e.from, e.to) {
            (Kind::PersonMerged, Some(from), Some(to)) => {
                let still = person::get(tx, from).await?.is_some_and(|p| p.replaced_by.is_some());
                if still {
                    step.revive.push(from);
                    revived.push((from, to));
                }
            }
            (Kind::Confirmed, ..) => {
                if let (Some(a), Some(b)) = (e.identity, e.other)
                    && events::withdraw(tx, Two::of(a, b)).await?
                {
                    said.push(action.event(Kind::Withdrawn, Some(a), Some(b), (None, None), Value::Null));
                }
            }
            _ => {}
        }
    }
    for e in &events {
        let Some(key) = e.identity else { continue };
        let back = e.from.filter(|from| revived.iter().any(|(p, _)| p == from));
        match e.kind {
            Kind::Merged => {
                let Some(old) = identity::by_key(tx, key).await? else { continue };
                if old.status == Status::Subsumed && old.subsumed_into == e.other {
                    merge::bring_back(tx, &old, at).await?;
                    said.push(action.event(
                        Kind::Unmerged,
                        Some(key),
                        e.other,
                        (Some(old.person_key), back),
                        Value::Null,
                    ));
                    step.seeds.push(key);
                    step.seeds.extend(e.other);
                    if let Some(back) = back {
                        part.insert(key);
                        step.prefer.insert(key, back);
                    }
                }
            }
            // Who has gone elsewhere meanwhile stays there.
            Kind::Linked => {
                let now = identity::by_key(tx, key).await?.map(|i| i.person_key);
                if let Some(back) = back
                    && now == e.to
                {
                    part.insert(key);
                    step.prefer.insert(key, back);
                    step.seeds.push(key);
                }
            }
            _ => {}
        }
    }
    // Nobody, and no machine, joins them again without a new word.
    let parted: Vec<i64> = part.iter().copied().collect();
    let mine = identity::active(tx, &parted, true).await?;
    let persons: Vec<i64> = mine.iter().map(|i| i.person_key).collect();
    let rest: Vec<Identity> = identity::of_persons(tx, &persons, true)
        .await?
        .into_iter()
        .filter(|i| !part.contains(&i.key))
        .collect();
    said.extend(part_from(tx, &action, &mine, &rest).await?);
    step.seeds.extend(rest.iter().map(|i| i.key));
    // They were together before, whatever brought them together.
    for (i, one) in mine.iter().enumerate() {
        let back = step.prefer.get(&one.key);
        if let Some(other) = mine.iter().skip(i + 1).find(|o| step.prefer.get(&o.key) == back) {
            let two = Two::of(one.key, other.key);
            let event = action.event(Kind::Confirmed, Some(two.0), Some(two.1), (None, None), Value::Null);
            events::say(tx, two, true, &event.id).await?;
            said.push(event);
        }
    }
    let settled = settle::settle(tx, &work.settings, &work.scales(), &action, &step).await?;
    Ok((said, settled))
}

/// Says that no identity of the one set is of a person with one of the other.
async fn part_from(
    tx: &mut Tx<'_>,
    action: &settle::Action<'_>,
    part: &[Identity],
    rest: &[Identity],
) -> Result<Vec<Event>, DbError> {
    let mut said = vec![];
    for one in part {
        for other in rest {
            let two = Two::of(one.key, other.key);
            let persons = (Some(one.person_key), Some(other.person_key));
            let event = action.event(Kind::DoNotLink, Some(two.0), Some(two.1), persons, Value::Null);
            events::say(tx, two, false, &event.id).await?;
            said.push(event);
        }
    }
    Ok(said)
}

async fn split(
    tx: &mut Tx<'_>,
    work: &Work,
    at: i64,
    ids: &[Resolved],
) -> Result<(Vec<Event>, Settled), Stop> {
    let action = work.action(at, true, "split");
    let mut part: Vec<Identity> = vec![];
    for resolved in ids {
        for found in merge::meant(tx, resolved).await? {
            if !part.iter().any(|i| i.key == found.key) {
                part.push(found);
            }
        }
    }
    let persons: HashSet<i64> = part.iter().map(|i| i.person_key).collect();
    let Some(person) = persons.iter().next().copied().filter(|_| persons.len() == 1) else {
        let text = "the ids to be taken out are not of one person";
        return Err(error(Trouble::OtherAuthority, Place::of(Field::Identifier), text).into());
    };
    let rest: Vec<Identity> = identity::of_persons(tx, &[person], true)
        .await?
        .into_iter()
        .filter(|i| !part.iter().any(|p| p.key == i.key))
        .collect();
    if rest.is_empty() {
        let text = "these are all the ids of the person; nothing would be left";
        return Err(error(Trouble::BadValue, Place::of(Field::Identifier), text).into());
    }
    let mut said = part_from(tx, &action, &part, &rest).await?;
    // What is taken out together stays together.
    for other in part.iter().skip(1) {
        if let Some(first) = part.first() {
            let two = Two::of(first.key, other.key);
            let event = action.event(Kind::Confirmed, Some(two.0), Some(two.1), (None, None), Value::Null);
            events::say(tx, two, true, &event.id).await?;
            said.push(event);
        }
    }
    let mut step = Step { seeds: part.iter().chain(&rest).map(|i| i.key).collect(), ..Step::default() };
    // The person keeps its id, however many leave.
    step.prefer = rest.iter().map(|i| (i.key, person)).collect();
    let settled = settle::settle(tx, &work.settings, &work.scales(), &action, &step).await?;
    for i in &part {
        review::release(tx, at, i.key).await?;
    }
    Ok((said, settled))
}

async fn person_of(tx: &mut Tx<'_>, id: &DomainId, network: &str) -> Result<Option<i64>, DbError> {
    if let Some(i) = identity::by_id(tx, id).await? {
        return Ok(Some(i.person_key));
    }
    match id.domain == network {
        true => Ok(person::by_value(tx, &id.value).await?.map(|p| p.key)),
        false => Ok(None),
    }
}

async fn shown(tx: &mut Tx<'_>, network: &str, page: Vec<Person>) -> Result<Vec<PersonShown>, DbError> {
    let keys: Vec<i64> = page.iter().map(|p| p.key).collect();
    let rows = identity::of_persons(tx, &keys, false).await?;
    let identities: Vec<i64> = rows.iter().map(|i| i.key).collect();
    let known: HashMap<i64, Demographics> = identity::known(tx, &identities).await?.into_iter().collect();
    let owners = person::owners(tx, &keys).await?;
    let by: Vec<i64> = page.iter().filter_map(|p| p.replaced_by).collect();
    let survivors: HashMap<i64, String> =
        person::several(tx, &by).await?.into_iter().map(|p| (p.key, p.value.0)).collect();
    let cx_of = |value: &str| cx(&DomainId { domain: network.to_owned(), value: value.to_owned() });
    Ok(page
        .into_iter()
        .map(|p| {
            let own: Vec<&Identity> = rows.iter().filter(|i| i.person_key == p.key).collect();
            let told = |i: &Identity| known.get(&i.key).cloned().unwrap_or_default();
            PersonShown {
                person: cx_of(&p.value.0),
                replaced_by: p.replaced_by.and_then(|k| survivors.get(&k)).map(|v| cx_of(v)),
                created_at: p.created_at,
                documents: owners.contains(&p.key),
                view: view::of(own.iter().map(|i| (i.updated_at, told(i))).collect()),
                identities: own
                    .iter()
                    .map(|i| IdentityShown {
                        id: cx(&i.id),
                        versions: i.version,
                        updated_at: i.updated_at,
                        demographics: told(i),
                    })
                    .collect(),
            }
        })
        .collect())
}

/// Events with ids in the place of keys.
async fn named_events(tx: &mut Tx<'_>, network: &str, all: Vec<Event>) -> Result<Vec<EventShown>, DbError> {
    let mut ids: HashMap<i64, String> = HashMap::new();
    let mut keys: Vec<i64> = vec![];
    for e in &all {
        keys.extend(e.identity);
        keys.extend(e.other);
    }
    for key in keys {
        if !ids.contains_key(&key)
            && let Some(i) = identity::by_key(tx, key).await?
        {
            ids.insert(key, cx(&i.id));
        }
    }
    let mut persons: Vec<i64> = all.iter().flat_map(|e| [e.from, e.to]).flatten().collect();
    persons.sort_unstable();
    persons.dedup();
    let values: HashMap<i64, String> = person::several(tx, &persons)
        .await?
        .into_iter()
        .map(|p| (p.key, cx(&DomainId { domain: network.to_owned(), value: p.value.0 })))
        .collect();
    let identity = |key: Option<i64>| key.and_then(|k| ids.get(&k)).cloned();
    let person = |key: Option<i64>| key.and_then(|k| values.get(&k)).cloned();
    Ok(all
        .into_iter()
        .map(|e| EventShown {
            identity: identity(e.identity),
            other: identity(e.other),
            from: person(e.from),
            to: person(e.to),
            cause: serde_json::from_str(&e.cause).unwrap_or_default(),
            id: e.id,
            action: e.action,
            at: e.at,
            kind: e.kind,
            manual: e.manual,
        })
        .collect())
}

async fn why(
    tx: &mut Tx<'_>,
    work: &Work,
    one: &DomainId,
    other: Option<&DomainId>,
) -> Result<Option<WhyShown>, DbError> {
    let Some(a) = identity::by_id(tx, one).await? else { return Ok(None) };
    let b = match other {
        Some(other) => match identity::by_id(tx, other).await? {
            Some(b) => Some(b),
            None => return Ok(None),
        },
        None => None,
    };
    let concerned = |two: Two| b.as_ref().is_none_or(|b| two == Two::of(a.key, b.key));
    let mut pairs = vec![];
    for pair in events::reasons(tx, &[a.key]).await?.into_iter().filter(|p| concerned(p.two)) {
        pairs.push(json!({
            "class": pair.class,
            "score": pair.score,
            "model": pair.model,
            "pair": serde_json::from_str::<Value>(&pair.body).unwrap_or_default(),
        }));
    }
    let mut verdicts = vec![];
    for verdict in events::verdicts(tx, &[a.key]).await?.into_iter().filter(|v| concerned(v.two)) {
        let key = if verdict.two.0 == a.key { verdict.two.1 } else { verdict.two.0 };
        let with = identity::by_key(tx, key).await?.map(|i| cx(&i.id));
        let event = events::get(tx, &verdict.event).await?;
        verdicts.push(json!({
            "with": with,
            "same": verdict.same,
            "at": event.as_ref().map(|e| e.at),
            "cause": event.and_then(|e| serde_json::from_str::<Value>(&e.cause).ok()),
        }));
    }
    let now = match &b {
        Some(b) => {
            let (fa, fb) = (weigh::features(&a.features)?, weigh::features(&b.features)?);
            let left = Weighed { key: a.key, id: &a.id, features: &fa };
            let right = Weighed { key: b.key, id: &b.id, features: &fb };
            let (left, right) = if a.id <= b.id { (left, right) } else { (right, left) };
            let known = Known {
                key: right.key,
                domain: &right.id.domain,
                features: right.features,
                do_not_link: verdicts.iter().any(|v| v["same"] == json!(false)),
            };
            let subject = Weighing { domain: &left.id.domain, features: left.features };
            let candidates = [Candidate { person: 0, identities: vec![known] }];
            let judgement = work.model.decide(work.population, &subject, &candidates);
            Some(json!({
                "left": cx(left.id),
                "right": cx(right.id),
                "reason": judgement.reason,
                "thresholds": work.model.thresholds(),
                "population": work.population,
                "model": work.model.id(),
                "score": judgement.ranked.first().map(|r| &r.score),
                "together": a.person_key == b.person_key,
            }))
        }
        None => None,
    };
    Ok(Some(WhyShown { pairs, verdicts, now }))
}
