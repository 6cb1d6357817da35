//! One step of the index: identities that are new or have changed, and what was said of them, are looked at
//! together with all they hang together with ([`link`](super::link)); then everything that follows is done.
//!
//! Under PostgreSQL several steps go on at once. Who adds or changes an identity has locked its blocking keys
//! before ([`Tx::lock`]), so of two that could see each other the second sees the
//! first; and here every identity that is looked at is held, and looked at again until nothing is added, so of two
//! that touch one person the second sees what the first has made of it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::{Value, json};

use super::Settings;
use super::gather::{Component, gather, witnesses};
use super::link::{self, Edge, Facts, Member, Standing};
use super::ownership;
use super::weigh::{self, Scales, Weighed};
use crate::matching::Features;
use crate::model::hl7types::Cx;
use crate::model::identity::{Demographics, DomainId};
use crate::model::patient::{Knowledge, Patient};
use crate::service::context::Context;
use crate::service::patients::new_key;
use crate::store::db::{DbError, Tx};
use crate::store::mpi::events::{self, Class, Event, Kind, Pair, Two};
use crate::store::mpi::identity;
use crate::store::mpi::person::{self, Person};
use crate::store::patient;
use crate::store::registry::change::Cause;

/// Why a step is taken, for every event it leaves.
pub(super) struct Action<'a> {
    pub context: &'a Context,
    pub at: i64,
    /// A person or a sender said so.
    pub manual: bool,
    /// `feed`, `link`, `unmerge` …
    pub rule: &'static str,
    /// What else the events shall tell: who, why, which message.
    pub told: Value,
}

impl Action<'_> {
    pub fn event(
        &self,
        kind: Kind,
        identity: Option<i64>,
        other: Option<i64>,
        persons: (Option<i64>, Option<i64>),
        more: Value,
    ) -> Event {
        let mut cause = json!({ "rule": self.rule });
        if let Some(object) = cause.as_object_mut() {
            for part in [&self.told, &more] {
                if let Some(part) = part.as_object() {
                    object.extend(part.clone());
                }
            }
        }
        Event {
            id: self.context.uuid().to_string(),
            action: self.context.request_id.clone(),
            at: self.at,
            kind,
            identity,
            other,
            from: persons.0,
            to: persons.1,
            manual: self.manual,
            cause: cause.to_string(),
        }
    }

    /// For the registry's history.
    pub fn registry_cause(&self, reason: &str) -> Result<Cause, DbError> {
        let mut cause = self.context.cause(None)?;
        cause.reason = Some(reason.to_owned());
        Ok(cause)
    }
}

/// An identity that is not in the database yet.
pub(super) struct Newcomer<'n> {
    pub key: i64,
    pub id: &'n DomainId,
    pub features: &'n Features,
    pub demographics: &'n Demographics,
}

/// An identity of which something else is known than the database has yet.
pub(super) struct Revised<'n> {
    pub key: i64,
    pub features: &'n Features,
    pub demographics: &'n Demographics,
}

/// What to settle.
#[derive(Default)]
pub(super) struct Step<'n> {
    pub newcomers: Vec<Newcomer<'n>>,
    /// Identities there already that changed, or of whom something was said.
    pub seeds: Vec<i64>,
    /// Those of them that changed. Their pairs in the database count no more.
    pub revised: Vec<Revised<'n>>,
    /// Pairs of newcomers and revised ones, not in the database yet.
    pub pairs: &'n [Pair],
    /// Persons that seeds were seen with: to be looked at, too, which saves asking again.
    pub seen_with: Vec<i64>,
    /// Persons that identities shall have, if they have one alone: brought back, or named by the network's id.
    pub prefer: HashMap<i64, i64>,
    /// Persons made for it, under an id that was fed.
    pub given: Option<i64>,
    /// Persons to be brought back, which were joined to another.
    pub revive: Vec<i64>,
}

impl Step<'_> {
    /// Whether it is one new identity that nothing known hangs together with.
    pub(super) fn is_of_a_stranger(&self) -> bool {
        self.newcomers.len() == 1
            && self.seeds.is_empty()
            && self.prefer.is_empty()
            && self.given.is_none()
            && self.revive.is_empty()
    }
}

/// What came of it.
#[derive(Default)]
pub(super) struct Settled {
    /// Of every identity looked at.
    pub person_of: HashMap<i64, i64>,
    /// Of every person concerned: ids before and after. A person that is no more has none after.
    pub ids: BTreeMap<i64, (BTreeSet<DomainId>, BTreeSet<DomainId>)>,
    /// The network's ids of those persons.
    pub values: HashMap<i64, String>,
    pub events: Vec<Event>,
    pub moved: ownership::Moved,
    /// All that was said of the identities looked at; none if there were too many.
    pub verdicts: Option<Vec<events::Verdict>>,
    /// Persons that were not there before.
    pub made: HashSet<i64>,
}

impl Settled {
    fn before(&mut self, person: i64) -> &mut BTreeSet<DomainId> {
        &mut self.ids.entry(person).or_default().0
    }
}

pub(super) async fn settle(
    tx: &mut Tx<'_>,
    settings: &Settings,
    scales: &Scales<'_>,
    action: &Action<'_>,
    step: &Step<'_>,
) -> Result<Settled, DbError> {
    let c = gather(tx, step).await?;
    let mut ids: Vec<(i64, &DomainId)> = c.known.values().map(|i| (i.key, &i.id)).collect();
    ids.extend(step.newcomers.iter().map(|n| (n.key, n.id)));
    ids.sort_by(|a, b| a.1.cmp(b.1));
    let features = |key: i64| {
        let said = step.newcomers.iter().map(|n| (n.key, n.features));
        let mut said = said.chain(step.revised.iter().map(|r| (r.key, r.features)));
        said.find(|(k, _)| *k == key).map(|(_, f)| f).or_else(|| c.features.get(&key))
    };
    let witnesses = witnesses(tx, &c, step).await?;
    let mut facts = Facts {
        members: ids
            .iter()
            .enumerate()
            .map(|(rank, (key, _))| Member {
                key: *key,
                rank,
                person: c.known.get(key).map(|i| i.person_key),
            })
            .collect(),
        margin: weigh::milli(scales.model.thresholds().margin),
        ..Facts::default()
    };
    for pair in &c.pairs {
        let edge = Edge { two: pair.two, score: pair.score };
        match pair.class {
            Class::Links => facts.edges.push(edge),
            Class::Rivals => facts.rivals.push(edge),
            Class::Doubt => {}
        }
    }
    // What was said last is what counts; of what does not contradict, the order does not matter.
    let mut said: Vec<&events::Verdict> = c.verdicts.iter().collect();
    said.sort_by(|a, b| a.event.cmp(&b.event));
    for verdict in said {
        if verdict.same {
            facts.same.push(verdict.two);
        } else {
            facts.apart.insert(verdict.two);
        }
    }
    let weighed: Vec<Weighed<'_>> = ids
        .iter()
        .filter_map(|(key, id)| Some(Weighed { key: *key, id, features: features(*key)? }))
        .collect();
    for (i, one) in weighed.iter().enumerate() {
        for other in weighed.iter().skip(i + 1) {
            if scales.are_against(one, other) {
                facts.vetoed.insert(Two::of(one.key, other.key));
            }
        }
        for witness in &witnesses {
            let other = Weighed { key: witness.0.key, id: &witness.0.id, features: &witness.1 };
            if scales.are_against(one, &other) {
                facts.vetoed.insert(Two::of(one.key, other.key));
            }
        }
    }

    let mut persons: Vec<i64> = c.known.values().map(|i| i.person_key).collect();
    persons.extend(&step.revive);
    persons.extend(step.given);
    persons.extend(step.prefer.values());
    persons.sort_unstable();
    persons.dedup();
    let mut rows: Vec<Person> = c.persons.iter().filter(|p| persons.contains(&p.key)).cloned().collect();
    let missing: Vec<i64> =
        persons.iter().copied().filter(|key| !rows.iter().any(|p| p.key == *key)).collect();
    if !missing.is_empty() {
        rows.extend(person::several(tx, &missing).await?);
    }
    let mut outcome = link::partition(&facts);
    let person_of: HashMap<i64, (i64, i64)> =
        c.known.values().map(|i| (i.key, (i.person_key, i.created_at))).collect();
    if disturbs(&outcome.groups, &person_of) {
        facts.settled = person::owners(tx, &persons).await?.into_iter().collect();
        if !facts.settled.is_empty() {
            outcome = link::partition(&facts);
        }
    }
    let standing: Vec<Standing> = rows
        .iter()
        .map(|p| Standing { key: p.key, created_at: p.created_at, settled: facts.settled.contains(&p.key) })
        .collect();
    let assigned = link::assign(&outcome.groups, &person_of, &standing, &step.prefer);

    let mut settled = Settled::default();
    for p in &rows {
        settled.values.insert(p.key, p.value.0.clone());
        settled.before(p.key);
    }
    for i in c.known.values() {
        settled.before(i.person_key).insert(i.id.clone());
    }
    apply(tx, settings, action, step, &c, &outcome.groups, &assigned, &rows, &mut settled).await?;
    settled.verdicts = Some(c.verdicts).filter(|_| !c.cut);
    Ok(settled)
}

/// Whether a group parts a person, or joins two.
fn disturbs(groups: &[Vec<i64>], person_of: &HashMap<i64, (i64, i64)>) -> bool {
    let mut seen: HashSet<i64> = HashSet::new();
    groups.iter().any(|group| {
        let here: HashSet<i64> = group.iter().filter_map(|k| person_of.get(k)).map(|(p, _)| *p).collect();
        here.len() > 1 || here.into_iter().any(|p| !seen.insert(p))
    })
}

#[allow(clippy::too_many_arguments)]
async fn apply(
    tx: &mut Tx<'_>,
    settings: &Settings,
    action: &Action<'_>,
    step: &Step<'_>,
    c: &Component,
    groups: &[Vec<i64>],
    assigned: &link::Assigned,
    rows: &[Person],
    settled: &mut Settled,
) -> Result<(), DbError> {
    // Those brought back first: a person that stands is one that may be given.
    for key in &step.revive {
        person::replace(tx, *key, None).await?;
        let moved = Box::pin(ownership::unmerge(
            tx,
            *key,
            action.at,
            &action.registry_cause("patients parted again")?,
        ))
        .await?;
        settled.moved.objects += moved.objects;
        settled.moved.documents += moved.documents;
        let was = rows.iter().find(|p| p.key == *key).and_then(|p| p.replaced_by);
        settled.events.push(action.event(Kind::PersonUnmerged, None, None, (was, Some(*key)), Value::Null));
    }
    let mut people: Vec<i64> = vec![];
    for (group, person) in groups.iter().zip(&assigned.persons) {
        let key = match person {
            Some(key) => *key,
            None => {
                let newcomer = step.newcomers.iter().find(|n| group.contains(&n.key));
                let revised = || group.first().and_then(|key| step.revised.iter().find(|r| r.key == *key));
                let said = newcomer.map(|n| n.demographics).or_else(|| revised().map(|r| r.demographics));
                let fallback;
                let demographics = match (said, group.first()) {
                    (Some(demographics), _) => demographics,
                    (None, first) => {
                        let first: Vec<i64> = first.copied().into_iter().collect();
                        fallback =
                            identity::known(tx, &first).await?.pop().map(|(_, d)| d).unwrap_or_default();
                        &fallback
                    }
                };
                let (key, value) = make(tx, settings, demographics, action.at).await?;
                settled.values.insert(key, value);
                settled.made.insert(key);
                key
            }
        };
        people.push(key);
    }
    for (group, person) in groups.iter().zip(&people) {
        let mut arriving = vec![];
        for key in group {
            let from = c.known.get(key).map(|i| i.person_key);
            settled.person_of.insert(*key, *person);
            let id = c
                .known
                .get(key)
                .map(|i| &i.id)
                .or_else(|| step.newcomers.iter().find(|n| n.key == *key).map(|n| n.id));
            if let Some(id) = id {
                settled.ids.entry(*person).or_default().1.insert(id.clone());
            }
            if from == Some(*person) {
                continue;
            }
            let why = best_pair(c, group, *key);
            let kind = match (from, group.len()) {
                (None, 1) => Kind::Created,
                _ => Kind::Linked,
            };
            settled.events.push(action.event(kind, Some(*key), why.1, (from, Some(*person)), why.0));
            if from.is_some() {
                arriving.push(*key);
                arriving.extend(identity::followers(tx, *key).await?);
            }
        }
        if !arriving.is_empty() {
            identity::set_person(tx, &arriving, *person).await?;
        }
    }
    // What was published under an id that somebody took out of its person goes with it.
    for (group, person) in groups.iter().zip(&people) {
        for key in group {
            let Some(known) = c.known.get(key) else { continue };
            let from = known.person_key;
            let leaves = from != *person && !assigned.joined.iter().any(|(p, _)| *p == from);
            if leaves && action.manual && !person::owners(tx, &[from]).await?.is_empty() {
                let cause = action.registry_cause("an id left its patient")?;
                let id = super::cx(&known.id);
                let moved = Box::pin(ownership::follow(tx, &id, from, *person, action.at, &cause)).await?;
                settled.moved.objects += moved.objects;
                settled.moved.documents += moved.documents;
            }
        }
    }
    for (from, into) in &assigned.joined {
        person::replace(tx, *from, Some(*into)).await?;
        let moved = Box::pin(ownership::merge(
            tx,
            *from,
            *into,
            action.at,
            &action.registry_cause("patients joined")?,
        ))
        .await?;
        settled.moved.objects += moved.objects;
        settled.moved.documents += moved.documents;
        let told = json!({ "objects": moved.objects, "documents": moved.documents });
        settled.events.push(action.event(Kind::PersonMerged, None, None, (Some(*from), Some(*into)), told));
    }
    Ok(())
}

/// Why an identity is in its group: the heaviest pair there, and with whom.
fn best_pair(c: &Component, group: &[i64], key: i64) -> (Value, Option<i64>) {
    let best = c
        .pairs
        .iter()
        .filter(|p| p.class == Class::Links && (p.two.0 == key || p.two.1 == key))
        .filter(|p| group.contains(&p.two.0) && group.contains(&p.two.1))
        .max_by_key(|p| p.score);
    match best {
        Some(pair) => {
            let other = if pair.two.0 == key { pair.two.1 } else { pair.two.0 };
            (json!({ "score": pair.score, "model": pair.model }), Some(other))
        }
        None => (Value::Null, None),
    }
}

/// A new person under a new id, known to the registry from now on.
pub(super) async fn make(
    tx: &mut Tx<'_>,
    settings: &Settings,
    demographics: &Demographics,
    at: i64,
) -> Result<(i64, String), DbError> {
    let network = &settings.domains.network().oid;
    // Where ids are many, a taken one is rare enough to begin the whole write anew.
    if tx.is_postgres() && settings.config.id_length > 8 {
        let value = super::mint(&settings.config);
        let (key, row) = (new_key(at), patient_row(network, &value, demographics));
        patient::add_later(tx, &row, network, Knowledge::Fed, key, at).await?;
        person::insert_later(tx, key, &value, at).await?;
        return Ok((key, value));
    }
    for _ in 0..MINTED {
        let value = super::mint(&settings.config);
        let (key, row) = (new_key(at), patient_row(network, &value, demographics));
        if patient::add(tx, &row, network, Knowledge::Fed, key, at).await? {
            if !person::insert(tx, key, &value, at).await? {
                return Err(DbError::Conflict);
            }
            return Ok((key, value));
        }
    }
    Err(DbError::Sql("no free patient id was found; mpi.id_length is too short for so many patients".into()))
}

/// Ids tried. With half of them taken, one in a thousand million million persons is refused.
const MINTED: usize = 50;

/// A new person under an id that was issued elsewhere. A patient that an operator added is the same.
pub(super) async fn make_with(
    tx: &mut Tx<'_>,
    settings: &Settings,
    demographics: &Demographics,
    value: &str,
    at: i64,
) -> Result<i64, DbError> {
    let network = &settings.domains.network().oid;
    let row = patient_row(network, value, demographics);
    let (key, _) = patient::upsert(tx, &row, network, Knowledge::Fed, new_key(at), at).await?;
    match person::insert(tx, key, value, at).await? {
        true => Ok(key),
        // Somebody else is making the same person.
        false => Err(DbError::Conflict),
    }
}

/// The registry's patient, as far as people recognise them.
pub(super) fn patient_row(network: &str, value: &str, known: &Demographics) -> Patient {
    use crate::model::identity::NameScript;
    let name = |script: NameScript| {
        let names = known.names.as_deref().unwrap_or_default();
        names.iter().find(|n| n.script == Some(script)).map(|n| {
            let parts: Vec<&str> =
                [n.family.as_str(), n.given.as_str()].into_iter().filter(|p| !p.is_empty()).collect();
            parts.join(" ")
        })
    };
    Patient {
        patient_id: cx_of(network, value),
        name_kanji: name(NameScript::Ideographic),
        name_kana: name(NameScript::Phonetic),
        name_romaji: name(NameScript::Alphabetic),
        birth_date: known.birth_date.clone(),
        sex: known.sex.clone(),
    }
}

/// `id^^^&oid&ISO`.
pub(super) fn cx_of(oid: &str, value: &str) -> String {
    Cx::new(value, oid).map_or_else(|| format!("{value}^^^&{oid}&ISO"), |cx| cx.to_string())
}
