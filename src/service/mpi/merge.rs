//! Merges, renames, links and unlinks: what a sender or an operator says of two ids.

use serde_json::{Value, json};

use super::admit::{Resolved, error};
use super::feed::{About, Stop, Work, finish, is_network, person_id};
use super::ownership;
use super::settle::{self, Action, Settled, Step};
use super::{Fed, review};
use crate::model::identity::{DomainId, Field, IdentityError, Place, Trouble, Warning};
use crate::service::patients::new_key;
use crate::store::db::{DbError, Tx};
use crate::store::mpi::events::{self, Event, Kind, Two};
use crate::store::mpi::identity::{self, Identity, Status};
use crate::store::mpi::person::{self, Person};
use crate::store::mpi::search;

/// Exactly one pair of ids of one authority (ITI TF-2 3.8.4.2, 3.30.4.9; PID-3 may bring the patient's other ids
/// too).
pub(super) fn pair(
    surviving: Vec<Resolved>,
    subsumed: Vec<Resolved>,
) -> Result<(Resolved, Resolved), IdentityError> {
    let mut prior = subsumed.into_iter();
    let (Some(subsumed), None) = (prior.next(), prior.next()) else {
        return Err(error(
            Trouble::TooMany,
            Place::nth(Field::PriorIdentifier, 2),
            "one message merges one pair of ids",
        ));
    };
    let mut same: Vec<Resolved> =
        surviving.iter().filter(|r| r.id.domain == subsumed.id.domain).cloned().collect();
    let surviving = match (same.pop(), same.is_empty()) {
        (Some(one), true) => one,
        (Some(_), false) => {
            return Err(error(
                Trouble::TooMany,
                Place::nth(Field::Identifier, 2),
                "several surviving ids of one authority",
            ));
        }
        (None, _) => {
            return Err(error(
                Trouble::OtherAuthority,
                subsumed.place.component(4),
                "the surviving and the subsumed id are of different authorities; ids of two are linked, not merged",
            ));
        }
    };
    checked(&surviving, &subsumed)?;
    Ok((surviving, subsumed))
}

pub(super) fn checked(to: &Resolved, from: &Resolved) -> Result<(), IdentityError> {
    different(to, from)?;
    if to.id.domain != from.id.domain {
        return Err(error(
            Trouble::OtherAuthority,
            from.place.component(4),
            "the two ids are of different authorities",
        ));
    }
    Ok(())
}

pub(super) fn different(one: &Resolved, other: &Resolved) -> Result<(), IdentityError> {
    match one.id == other.id {
        true => Err(error(Trouble::SameId, other.place, "both ids are the same")),
        false => Ok(()),
    }
}

fn unknown(resolved: &Resolved) -> IdentityError {
    error(Trouble::UnknownId, resolved.place.component(1), "no such id is known in this domain")
}

fn gone(resolved: &Resolved) -> IdentityError {
    error(Trouble::Subsumed, resolved.place.component(1), "this id was merged into another already")
}

/// Merges one id into another of its domain.
pub(super) async fn merge(
    tx: &mut Tx<'_>,
    work: &Work,
    at: i64,
    surviving: &Resolved,
    subsumed: &Resolved,
) -> Result<Fed, Stop> {
    if is_network(surviving) {
        return merge_persons(tx, work, at, surviving, subsumed).await;
    }
    let ids = vec![surviving.id.clone(), subsumed.id.clone()];
    let old = identity::by_id(tx, &subsumed.id).await?;
    let new = identity::by_id(tx, &surviving.id).await?;
    let (old, new) = match (old, new) {
        // ITI TF-2 3.30.4.9.3: an unknown source is no error, an unknown target makes it a change of id.
        (None, _) => {
            let text = "the subsumed id is not known here; nothing was merged";
            let warning = Warning { place: subsumed.place, text: text.into() };
            finish(tx, work, vec![], &Settled::default(), About::Told(ids.clone())).await?;
            return Ok(Fed { ids, person: None, created: false, warnings: vec![warning] });
        }
        (Some(old), Some(new)) if old.subsumed_into == Some(new.key) && old.status == Status::Subsumed => {
            // Said again.
            let settled = Settled::default();
            let person = person_id(tx, work, &settled, new.person_key).await?;
            finish(tx, work, vec![], &settled, About::Told(ids.clone())).await?;
            return Ok(Fed { ids, person: Some(person), created: false, warnings: vec![] });
        }
        (Some(old), _) if old.status == Status::Subsumed => return Err(gone(subsumed).into()),
        (Some(_), None) => return rename(tx, work, at, subsumed, surviving).await,
        (Some(_), Some(new)) if new.status == Status::Subsumed => return Err(gone(surviving).into()),
        (Some(old), Some(new)) => (old, new),
    };
    let action = work.action(at, true, "merge");
    let mut said = vec![action.event(
        Kind::Merged,
        Some(old.key),
        Some(new.key),
        (Some(old.person_key), Some(new.person_key)),
        Value::Null,
    )];
    let before = members(tx, &[old.person_key, new.person_key]).await?;
    retire(tx, &old, new.key, at).await?;
    // What was said of the one is true of the other.
    let known = events::verdicts(tx, &[old.key, new.key]).await?;
    let about = |key: i64, other: i64| known.iter().find(|v| v.two == Two::of(key, other));
    for verdict in known.iter().filter(|v| v.two.0 == old.key || v.two.1 == old.key) {
        let third = if verdict.two.0 == old.key { verdict.two.1 } else { verdict.two.0 };
        if third != new.key && about(new.key, third).is_none() {
            events::say(tx, Two::of(new.key, third), verdict.same, &verdict.event).await?;
        }
    }
    let mut step = Step { seeds: vec![new.key], ..Step::default() };
    let others: Vec<&Identity> = before
        .iter()
        .filter(|i| i.person_key == old.person_key && i.key != old.key && i.key != new.key)
        .collect();
    let other_person = old.person_key != new.person_key;
    if other_person {
        // The rest of that person is this one, too, unless somebody said otherwise.
        for other in &others {
            if about(new.key, other.key).is_none_or(|v| v.same) {
                let two = Two::of(new.key, other.key);
                let told = json!({ "word": "ids merged by their facility" });
                let event = action.event(Kind::Confirmed, Some(two.0), Some(two.1), (None, None), told);
                events::say(tx, two, true, &event.id).await?;
                said.push(event);
                step.seeds.push(other.key);
            }
        }
        if others.is_empty() {
            elder_survives(tx, &before, &old, &new, &mut step).await?;
        }
    }
    let mut settled = settle::settle(tx, &work.settings, &work.scales(), &action, &step).await?;
    for i in &before {
        settled.ids.entry(i.person_key).or_default().0.insert(i.id.clone());
    }
    let person = settled.person_of.get(&new.key).copied().unwrap_or(new.person_key);
    if other_person && others.is_empty() {
        empty_into(tx, &action, old.person_key, person, &mut settled).await?;
    }
    identity::set_person(tx, &[old.key], person).await?;
    review::look(tx, work, at, new.key, review::Why::Said, &settled).await?;
    review::close(tx, at, old.key).await?;
    let id = person_id(tx, work, &settled, person).await?;
    finish(tx, work, said, &settled, About::Merged(subsumed.id.clone(), surviving.id.clone())).await?;
    Ok(Fed { ids, person: Some(id), created: false, warnings: vec![] })
}

async fn members(tx: &mut Tx<'_>, persons: &[i64]) -> Result<Vec<Identity>, DbError> {
    identity::of_persons(tx, persons, true).await
}

/// Takes an id out of everything that finds identities; its versions stay.
async fn retire(tx: &mut Tx<'_>, old: &Identity, into: i64, at: i64) -> Result<(), DbError> {
    identity::set_status(tx, old.key, Status::Subsumed, Some(into), at).await?;
    let keys: Vec<i64> =
        super::weigh::features(&old.features)?.keys().into_iter().map(|k| k.hash()).collect();
    identity::set_keys(tx, old.key, &keys, &[]).await?;
    // Its pairs stay: they count for nothing while it is no more, and again when it is brought back.
    search::put(tx, old.key, None, &search::Terms::default()).await
}

/// The opposite: an id that was merged away is one again, and is found.
pub(super) async fn bring_back(tx: &mut Tx<'_>, old: &Identity, at: i64) -> Result<(), DbError> {
    identity::set_status(tx, old.key, Status::Active, None, at).await?;
    let keys: Vec<i64> =
        super::weigh::features(&old.features)?.keys().into_iter().map(|k| k.hash()).collect();
    identity::set_keys(tx, old.key, &[], &keys).await?;
    if let Some((_, known)) = identity::known(tx, &[old.key]).await?.pop() {
        search::put(tx, old.key, None, &super::terms::of(&known)).await?;
    }
    Ok(())
}

/// Of two persons of whom one has no identity left, the older keeps its id (patient-identity, 6.1).
async fn elder_survives(
    tx: &mut Tx<'_>,
    before: &[Identity],
    old: &Identity,
    new: &Identity,
    step: &mut Step<'_>,
) -> Result<(), DbError> {
    let persons = person::several(tx, &[old.person_key, new.person_key]).await?;
    let age = |key: i64| persons.iter().find(|p| p.key == key).map(|p| p.created_at);
    let owners = person::owners(tx, &[old.person_key, new.person_key]).await?;
    let rank = |key: i64| (!owners.contains(&key), age(key));
    if rank(old.person_key) < rank(new.person_key) {
        let of_new = before.iter().filter(|i| i.person_key == new.person_key);
        step.prefer.extend(of_new.map(|i| (i.key, old.person_key)));
    }
    Ok(())
}

/// A person without identities is joined to another.
async fn empty_into(
    tx: &mut Tx<'_>,
    action: &Action<'_>,
    from: i64,
    into: i64,
    settled: &mut Settled,
) -> Result<(), DbError> {
    let still = person::get(tx, from).await?.is_some_and(|p| p.replaced_by.is_none());
    if !still || from == into {
        return Ok(());
    }
    person::replace(tx, from, Some(into)).await?;
    let cause = action.registry_cause("patients joined")?;
    let moved = ownership::merge(tx, from, into, action.at, &cause).await?;
    let told = json!({ "objects": moved.objects, "documents": moved.documents });
    settled.moved = moved;
    settled.events.push(action.event(Kind::PersonMerged, None, None, (Some(from), Some(into)), told));
    Ok(())
}

/// Joins one person to another: a merge in the affinity domain.
async fn merge_persons(
    tx: &mut Tx<'_>,
    work: &Work,
    at: i64,
    surviving: &Resolved,
    subsumed: &Resolved,
) -> Result<Fed, Stop> {
    let ids = vec![surviving.id.clone(), subsumed.id.clone()];
    let into = person::by_value(tx, &surviving.id.value).await?.ok_or_else(|| unknown(surviving))?;
    if into.replaced_by.is_some() {
        return Err(gone(surviving).into());
    }
    let Some(from) = person::by_value(tx, &subsumed.id.value).await? else {
        let text = "the subsumed id is not known here; nothing was merged";
        let warning = Warning { place: subsumed.place, text: text.into() };
        finish(tx, work, vec![], &Settled::default(), About::Told(ids.clone())).await?;
        return Ok(Fed { ids, person: None, created: false, warnings: vec![warning] });
    };
    match from.replaced_by {
        Some(by) if by == into.key => {
            finish(tx, work, vec![], &Settled::default(), About::Told(ids.clone())).await?;
            return Ok(Fed { ids, person: Some(surviving.id.clone()), created: false, warnings: vec![] });
        }
        Some(_) => return Err(gone(subsumed).into()),
        None => {}
    }
    let mut retired = vec![];
    // Ids that another source issued are identities, too.
    if let Some(old) = identity::by_id(tx, &subsumed.id).await?.filter(|i| i.status == Status::Active)
        && let Some(new) = identity::by_id(tx, &surviving.id).await?
    {
        retire(tx, &old, new.key, at).await?;
        let action = work.action(at, true, "merge");
        let persons = (Some(from.key), Some(into.key));
        retired.push(action.event(Kind::Merged, Some(old.key), Some(new.key), persons, Value::Null));
    }
    let (mut said, settled) = join(tx, work, at, &from, &into).await?;
    said.splice(0..0, retired);
    finish(tx, work, said, &settled, About::Merged(subsumed.id.clone(), surviving.id.clone())).await?;
    Ok(Fed { ids, person: Some(surviving.id.clone()), created: false, warnings: vec![] })
}

/// Joins persons by somebody's word.
pub(super) async fn join(
    tx: &mut Tx<'_>,
    work: &Work,
    at: i64,
    from: &Person,
    into: &Person,
) -> Result<(Vec<Event>, Settled), DbError> {
    let action = work.action(at, true, "mergePersons");
    let all = members(tx, &[from.key, into.key]).await?;
    let of = |key: i64| all.iter().filter(move |i| i.person_key == key);
    let mut said = vec![];
    let mut step = Step::default();
    if let Some(anchor) = of(into.key).next() {
        for other in of(from.key) {
            let two = Two::of(anchor.key, other.key);
            let told = json!({ "word": "persons merged" });
            let event = action.event(Kind::Confirmed, Some(two.0), Some(two.1), (None, None), told);
            events::say(tx, two, true, &event.id).await?;
            said.push(event);
        }
        // All of the survivor stays together with what comes.
        for other in of(into.key).skip(1) {
            let two = Two::of(anchor.key, other.key);
            let told = json!({ "word": "persons merged" });
            let event = action.event(Kind::Confirmed, Some(two.0), Some(two.1), (None, None), told);
            events::say(tx, two, true, &event.id).await?;
            said.push(event);
        }
    }
    // Apart no longer, whoever said so before.
    for a in of(into.key) {
        for b in of(from.key) {
            let two = Two::of(a.key, b.key);
            let known = events::verdicts(tx, &[a.key]).await?;
            if known.iter().any(|v| v.two == two && !v.same) {
                events::withdraw(tx, two).await?;
                said.push(action.event(Kind::Withdrawn, Some(two.0), Some(two.1), (None, None), Value::Null));
            }
        }
    }
    step.seeds = all.iter().map(|i| i.key).collect();
    step.prefer = all.iter().map(|i| (i.key, into.key)).collect();
    let mut settled = match step.seeds.is_empty() {
        true => Settled::default(),
        false => settle::settle(tx, &work.settings, &work.scales(), &action, &step).await?,
    };
    settled.values.insert(into.key, into.value.0.clone());
    empty_into(tx, &action, from.key, into.key, &mut settled).await?;
    Ok((said, settled))
}

/// Exchanges an id for another that was not there (A47).
pub(super) async fn rename(
    tx: &mut Tx<'_>,
    work: &Work,
    at: i64,
    from: &Resolved,
    to: &Resolved,
) -> Result<Fed, Stop> {
    if is_network(from) {
        return Err(error(
            Trouble::NotSupported,
            from.place,
            "ids of the network are issued once and never changed; merge them",
        )
        .into());
    }
    let old = identity::by_id(tx, &from.id).await?.ok_or_else(|| unknown(from))?;
    if old.status == Status::Subsumed {
        return Err(gone(from).into());
    }
    if identity::by_id(tx, &to.id).await?.is_some() {
        return Err(
            error(Trouble::Taken, to.place.component(1), "the new id belongs to a patient already").into()
        );
    }
    let before = members(tx, &[old.person_key]).await?;
    let buried = new_key(at);
    identity::rename(tx, old.key, &to.id.value, at).await?;
    identity::bury(tx, buried, &from.id, &old, at).await?;
    let action = work.action(at, true, "rename");
    let persons = (Some(old.person_key), Some(old.person_key));
    let said = vec![action.event(Kind::Renamed, Some(old.key), Some(buried), persons, Value::Null)];
    let mut settled = Settled::default();
    let ids: std::collections::BTreeSet<DomainId> = before.iter().map(|i| i.id.clone()).collect();
    let mut after = ids.clone();
    after.remove(&from.id);
    after.insert(to.id.clone());
    settled.ids.insert(old.person_key, (ids, after));
    let person = person_id(tx, work, &settled, old.person_key).await?;
    settled.values.insert(old.person_key, person.value.clone());
    finish(tx, work, said, &settled, About::Told(vec![from.id.clone(), to.id.clone()])).await?;
    Ok(Fed {
        ids: vec![to.id.clone(), from.id.clone()],
        person: Some(person),
        created: false,
        warnings: vec![],
    })
}

/// The identities an id means: one, or all of a person where it is the network's.
pub(super) async fn meant(tx: &mut Tx<'_>, resolved: &Resolved) -> Result<Vec<Identity>, Stop> {
    if let Some(found) = identity::by_id(tx, &resolved.id).await? {
        if found.status == Status::Subsumed {
            return Err(gone(resolved).into());
        }
        return Ok(vec![found]);
    }
    if is_network(resolved) {
        let person = person::by_value(tx, &resolved.id.value).await?.ok_or_else(|| unknown(resolved))?;
        if person.replaced_by.is_some() {
            return Err(gone(resolved).into());
        }
        let found = identity::of_persons(tx, &[person.key], false).await?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Err(unknown(resolved).into())
}

/// Links two ids, or says that they are two patients (A24, A37).
pub(super) async fn verdict(
    tx: &mut Tx<'_>,
    work: &Work,
    at: i64,
    one: &Resolved,
    other: &Resolved,
    same: bool,
) -> Result<Fed, Stop> {
    let (ones, others) = (meant(tx, one).await?, meant(tx, other).await?);
    let (said, settled) = say(tx, work, at, &ones, &others, same).await?;
    let ids = vec![one.id.clone(), other.id.clone()];
    let person = match ones.first().and_then(|i| settled.person_of.get(&i.key)) {
        Some(key) => Some(person_id(tx, work, &settled, *key).await?),
        None => None,
    };
    finish(tx, work, said, &settled, About::Told(ids.clone())).await?;
    Ok(Fed { ids, person, created: false, warnings: vec![] })
}

/// Says of every pair across two sets of identities that it is one person, or two; and does what follows.
pub(super) async fn say(
    tx: &mut Tx<'_>,
    work: &Work,
    at: i64,
    ones: &[Identity],
    others: &[Identity],
    same: bool,
) -> Result<(Vec<Event>, Settled), DbError> {
    let action = work.action(at, true, if same { "link" } else { "unlink" });
    let mut said = vec![];
    for one in ones {
        for other in others.iter().filter(|o| o.key != one.key) {
            let two = Two::of(one.key, other.key);
            let kind = if same { Kind::Confirmed } else { Kind::DoNotLink };
            let persons = (Some(one.person_key), Some(other.person_key));
            let event = action.event(kind, Some(two.0), Some(two.1), persons, Value::Null);
            events::say(tx, two, same, &event.id).await?;
            said.push(event);
        }
    }
    let seeds = ones.iter().chain(others).map(|i| i.key).collect();
    let step = Step { seeds, ..Step::default() };
    let settled = settle::settle(tx, &work.settings, &work.scales(), &action, &step).await?;
    for key in ones.iter().chain(others).map(|i| i.key) {
        review::look(tx, work, at, key, review::Why::Said, &settled).await?;
    }
    Ok((said, settled))
}
