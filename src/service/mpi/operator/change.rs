//! What operators change: each change locks the ids it names, says its events, settles who is who anew, and leaves
//! its audit record and notices, in one transaction.

use std::collections::HashSet;

use serde_json::Value;

use super::Changed;
use crate::model::identity::{Field, Place, Trouble};
use crate::service::mpi::admit::{Resolved, error};
use crate::service::mpi::feed::{About, Stop, Work, finish, is_network, lock_of, person_id};
use crate::service::mpi::settle::{self, Settled, Step};
use crate::service::mpi::{merge, review};
use crate::store::db::{DbError, Tx};

use crate::store::mpi::events::{self, Event, Kind, Two};
use crate::store::mpi::identity::{self, Identity, Status};
use crate::store::mpi::person::{self, Person};

pub(super) enum Change {
    Say(Resolved, Resolved, bool),
    Merge(Resolved, Resolved),
    Unmerge(Resolved),
    Split(Vec<Resolved>),
}

pub(super) async fn perform(tx: &mut Tx<'_>, work: &Work, change: &Change) -> Result<Changed, Stop> {
    let at = (work.settings.now)();
    let ids: Vec<&Resolved> = match change {
        Change::Say(a, b, _) | Change::Merge(a, b) => vec![a, b],
        Change::Unmerge(id) => vec![id],
        Change::Split(ids) => ids.iter().collect(),
    };
    tx.lock(ids.iter().map(|r| lock_of(&r.id)).collect()).await?;
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
    finish(tx, work, said, &settled, About::Told(about)).await?;
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
            said.push(confirm(tx, &action, two).await?);
        }
    }
    let settled = settle::settle(tx, &work.settings, &work.scales(), &action, &step).await?;
    Ok((said, settled))
}

/// Says that two identities are of one person.
async fn confirm(tx: &mut Tx<'_>, action: &settle::Action<'_>, two: Two) -> Result<Event, DbError> {
    let event = action.event(Kind::Confirmed, Some(two.0), Some(two.1), (None, None), Value::Null);
    events::say(tx, two, true, &event.id).await?;
    Ok(event)
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
            said.push(confirm(tx, &action, two).await?);
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
