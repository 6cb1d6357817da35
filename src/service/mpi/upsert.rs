//! A patient is new or says something new: known, weighed, settled, written. All that can be read is read before
//! anything is written, so that what is written is one round trip.

use std::collections::HashMap;

use serde_json::json;

use super::admit::{Resolved, error};
use super::feed::{About, Stop, Work, finish, json_of, person_id};
use super::settle::{self, Action, Newcomer, Revised, Settled, Step};
use super::weigh::{self, Weighed};
use super::{Fed, review, terms};
use crate::matching::Features;
use crate::model::identity::{Demographics, DomainId, Field, IdentityError, Place, Sent, Trouble, Warning};
use crate::service::patients::new_key;
use crate::store::db::{DbError, Tx};
use crate::store::mpi::events::{self, Class, Kind, Pair, Two};
use crate::store::mpi::identity::{self, Identity, Status, Version};
use crate::store::mpi::search::{self, Terms};
use crate::store::mpi::{near, person};
use crate::store::patient;

/// An identity of the message.
struct Named {
    resolved: Resolved,
    known: Option<Identity>,
    /// Whether a review of it is open.
    reviewed: bool,
    before: Option<Demographics>,
    /// What is known of it after the message; none if the message is not the one to say.
    after: Option<After>,
    key: i64,
}

struct After {
    demographics: Demographics,
    features: Features,
    /// Whether matching sees nothing new.
    same_features: bool,
}

impl Named {
    /// What it is to be weighed by, if that is new.
    fn changed(&self) -> Option<&After> {
        self.after.as_ref().filter(|a| !a.same_features)
    }

    /// What is to be written of it.
    fn said(&self) -> Option<&After> {
        self.after.as_ref().filter(|a| self.known.is_none() || self.before.as_ref() != Some(&a.demographics))
    }
}

/// Whom a message names.
struct Subjects {
    all: Vec<Named>,
    /// The person whose id of the network it tells.
    given: Option<i64>,
    /// An id of the network that is to be.
    new_person: Option<String>,
}

/// Who is near them.
#[derive(Default)]
struct Near {
    pairs: Vec<Pair>,
    /// Identities looked at, themselves included, and the person each was of.
    here: HashMap<i64, (DomainId, i64)>,
    skipped: u64,
}

pub(super) async fn upsert(
    tx: &mut Tx<'_>,
    work: &Work,
    at: i64,
    ids: &[Resolved],
    sent: &Sent,
    own: Option<&str>,
) -> Result<Fed, Stop> {
    let subjects = known(tx, work, at, ids, sent, own).await?;
    let Near { pairs, mut here, skipped } = near(tx, work, &subjects.all).await?;
    let Subjects { all: subjects, mut given, new_person } = subjects;
    let scales = work.scales();
    let action = work.action(at, false, "feed");
    let mut events = vec![];
    let mut step = Step { pairs: &pairs, ..Step::default() };
    if let Some(value) = &new_person {
        let nothing = Demographics::default();
        let described = subjects.iter().find_map(|s| s.after.as_ref()).map_or(&nothing, |a| &a.demographics);
        given = Some(Box::pin(settle::make_with(tx, &work.settings, described, value, at)).await?);
        step.given = given;
    }
    for s in &subjects {
        match (&s.known, s.changed()) {
            (Some(_), Some(After { demographics, features, .. })) => {
                step.seeds.push(s.key);
                step.revised.push(Revised { key: s.key, features, demographics });
            }
            (None, Some(After { demographics, features, .. })) => {
                step.newcomers.push(Newcomer { key: s.key, id: &s.resolved.id, features, demographics });
            }
            (_, None) if s.after.is_none() => step.seeds.push(s.key),
            (_, None) => {}
        }
    }
    // Ids of one message are one patient's, by the sender's word.
    for (two, event) in verdicts_of_message(&subjects, &action) {
        let known = events::verdicts(tx, &[two.0, two.1]).await?;
        if !known.iter().any(|v| v.two == two && v.same) {
            events::say(tx, two, true, &event.id).await?;
            events.push(event);
        }
        step.seeds.extend([two.0, two.1]);
    }
    if let Some(person) = given {
        Box::pin(join_given(tx, &subjects, person, &action, &mut step, &mut events)).await?;
    }
    for pair in pairs.iter().filter(|p| matches!(p.class, Class::Links | Class::Rivals)) {
        step.seeds.extend([pair.two.0, pair.two.1]);
    }
    let newcomers: Vec<i64> = step.newcomers.iter().map(|n| n.key).collect();
    step.seeds.retain(|k| !newcomers.contains(k));
    step.seeds.sort_unstable();
    step.seeds.dedup();
    step.seen_with = step.seeds.iter().filter_map(|key| here.get(key)).map(|(_, person)| *person).collect();

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
    for s in &subjects {
        if let Some(person) = settled.person_of.get(&s.key) {
            here.insert(s.key, (s.resolved.id.clone(), *person));
        }
    }
    let grounds = grounds(tx, &subjects, &pairs, &settled, &here).await?;
    write(tx, work, at, &subjects, &pairs, &settled).await?;
    // Who the patient is to the registry: as the newest word has it.
    let newest = subjects.iter().rev().filter(|s| s.known.is_some()).find_map(Named::said);
    if let (Some(after), Some(person), Some(id)) = (newest, person, &person_id)
        && !settled.made.contains(&person)
    {
        let network = &work.settings.domains.network().oid;
        let row = settle::patient_row(network, &id.value, &after.demographics);
        patient::describe(tx, person, &row).await?;
    }
    for (key, why, ground) in grounds {
        review::judge(tx, work, at, key, why, &settled, ground).await?;
    }
    let created = subjects.iter().any(|s| s.known.is_none()) || new_person.is_some();
    let ids: Vec<DomainId> = ids.iter().map(|r| r.id.clone()).collect();
    finish(tx, work, events, &settled, About::Put { ids: ids.clone(), created }).await?;
    Ok(Fed { ids, person: person_id, created, warnings })
}

/// What is known of each id, and what will be.
async fn known(
    tx: &mut Tx<'_>,
    work: &Work,
    at: i64,
    ids: &[Resolved],
    sent: &Sent,
    own: Option<&str>,
) -> Result<Subjects, Stop> {
    let config = &work.settings.config;
    let network = &work.settings.domains.network().oid;
    let speaks_for_own = own.is_some_and(|own| ids.iter().any(|r| r.id.domain == own));
    let mut subjects = Subjects { all: vec![], given: None, new_person: None };
    for resolved in ids {
        let mut named = identity::named(tx, &resolved.id).await?;
        // An id that was exchanged for another (A47) is free again, if its facility uses it again.
        if let Some(buried) = named.take_if(|n| n.identity.is_buried()) {
            identity::unbury(tx, buried.identity.key).await?;
        }
        if named.as_ref().is_some_and(|n| n.identity.status == Status::Subsumed) {
            return Err(subsumed(resolved).into());
        }
        if resolved.id.domain == *network {
            match person::by_value(tx, &resolved.id.value).await? {
                Some(p) if p.replaced_by.is_some() => return Err(subsumed(resolved).into()),
                Some(p) => subjects.given = Some(p.key),
                None if config.accept_network_ids => {
                    subjects.new_person = Some(resolved.id.value.clone());
                }
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
        if let Some(n) = &named {
            tx.claim(&[n.identity.key, n.identity.person_key])?;
        }
        let is_ours_to_say = !speaks_for_own || Some(resolved.id.domain.as_str()) == own;
        let (identity, before, reviewed) = match named {
            Some(n) => (Some(n.identity), n.known, n.reviewed),
            None => (None, None, false),
        };
        let after = (identity.is_none() || is_ours_to_say).then(|| {
            let mut demographics = before.clone().unwrap_or_default();
            sent.over(&mut demographics);
            let features = Features::of(&demographics);
            let same_features = identity.as_ref().is_some_and(|i| i.features.0 == features.store());
            After { demographics, features, same_features }
        });
        let key = identity.as_ref().map_or_else(|| new_key(at), |i| i.key);
        subjects.all.push(Named {
            resolved: resolved.clone(),
            known: identity,
            reviewed,
            before,
            after,
            key,
        });
    }
    if subjects.all.is_empty() && subjects.given.is_none() {
        return Err(error(Trouble::Missing, Place::of(Field::Identifier), "no patient id is there").into());
    }
    Ok(subjects)
}

fn hashes(features: &Features) -> Vec<i64> {
    features.keys().into_iter().map(|k| k.hash()).collect()
}

/// Weighs whoever has something new for matching against all that share a blocking key, and against each other.
async fn near(tx: &mut Tx<'_>, work: &Work, subjects: &[Named]) -> Result<Near, DbError> {
    let asked = |features: &Features| -> Vec<i64> {
        let keys = features.keys().into_iter().filter(|k| k.kind.asked(work.population));
        keys.map(|k| k.hash()).collect()
    };
    // Whoever could see what is said here waits for its commit.
    let locks = subjects.iter().filter_map(Named::changed).flat_map(|a| asked(&a.features)).collect();
    tx.lock(locks).await?;
    let scales = work.scales();
    let cap = usize::try_from(work.settings.config.block_limit).unwrap_or(usize::MAX);
    let mut found = Near::default();
    for known in subjects.iter().filter_map(|s| s.known.as_ref()) {
        found.here.insert(known.key, (known.id.clone(), known.person_key));
    }
    for (n, s) in subjects.iter().enumerate() {
        let Some(after) = s.changed() else { continue };
        let (candidates, too_large) = near::near(tx, &asked(&after.features), cap, s.key).await?;
        found.skipped += too_large;
        work.noted.weighed(candidates.len());
        let subject = Weighed { key: s.key, id: &s.resolved.id, features: &after.features };
        for candidate in candidates {
            // Of those named here something else may be known now than the database has.
            if subjects.iter().any(|o| o.key == candidate.key && o.after.is_some()) {
                continue;
            }
            let other = weigh::features(&candidate.features)?;
            let weighed = Weighed { key: candidate.key, id: &candidate.id, features: &other };
            if let Some(pair) = scales.pair(&subject, &weighed)? {
                found.pairs.push(pair);
                found.here.insert(candidate.key, (candidate.id, candidate.person_key));
            }
        }
        for (m, other) in subjects.iter().enumerate() {
            // Of two that changed, the later weighs both.
            let Some(o) = other.after.as_ref().filter(|o| m < n || (m > n && o.same_features)) else {
                continue;
            };
            let weighed = Weighed { key: other.key, id: &other.resolved.id, features: &o.features };
            found.pairs.extend(scales.pair(&subject, &weighed)?);
        }
    }
    Ok(found)
}

/// What reviewers would go by, of each that is to be looked at.
async fn grounds<'g>(
    tx: &mut Tx<'_>,
    subjects: &[Named],
    pairs: &'g [Pair],
    settled: &Settled,
    here: &'g HashMap<i64, (DomainId, i64)>,
) -> Result<Vec<(i64, review::Why, review::Ground<'g>)>, DbError> {
    let mut grounds = vec![];
    for s in subjects.iter().filter(|s| s.changed().is_some()) {
        let is_of = |two: &Two| two.0 == s.key || two.1 == s.key;
        let pairs: Vec<&Pair> = pairs.iter().filter(|p| is_of(&p.two)).collect();
        // Who is new and near nobody need not be looked at.
        if pairs.is_empty() && s.known.is_none() {
            continue;
        }
        let why = if s.known.is_none() { review::Why::New } else { review::Why::Changed };
        let verdicts = match &settled.verdicts {
            Some(all) => all.iter().filter(|v| is_of(&v.two)).cloned().collect(),
            None => events::verdicts(tx, &[s.key]).await?,
        };
        let open = if s.reviewed { review::open(tx, s.key).await? } else { None };
        grounds.push((s.key, why, review::Ground { pairs, verdicts, open, here }));
    }
    Ok(grounds)
}

/// Writes what is said, what it is found by, and how near it is to whom.
async fn write(
    tx: &mut Tx<'_>,
    work: &Work,
    at: i64,
    subjects: &[Named],
    pairs: &[Pair],
    settled: &Settled,
) -> Result<(), DbError> {
    for s in subjects {
        if s.known.is_some() && s.changed().is_some() {
            let of = pairs.iter().filter(|p| p.two.0 == s.key || p.two.1 == s.key);
            let kept: Vec<i64> = of.map(|p| if p.two.0 == s.key { p.two.1 } else { p.two.0 }).collect();
            events::drop_pairs(tx, s.key, &kept).await?;
        }
        let Some(after) = s.said() else { continue };
        let sent = json_of(&after.demographics)?;
        let version = Version {
            number: s.known.as_ref().map_or(0, |i| i.version).saturating_add(1),
            at,
            occurred: work.occurred.as_deref(),
            source: &work.source,
            sent: &sent,
            raw: &work.raw,
            features: after.features.store(),
        };
        let new = hashes(&after.features);
        let found_by = terms::of(&after.demographics);
        match &s.known {
            Some(known) => {
                identity::revise(tx, s.key, &version).await?;
                let old = weigh::features(&known.features)?;
                identity::set_keys(tx, s.key, &hashes(&old), &new).await?;
                let before = s.before.as_ref().map(terms::of);
                search::put(tx, s.key, before.as_ref(), &found_by).await?;
            }
            None => {
                let person = settled.person_of.get(&s.key).copied().ok_or(DbError::NoRow)?;
                identity::insert(tx, s.key, &s.resolved.id, person, &version).await?;
                identity::set_keys(tx, s.key, &[], &new).await?;
                search::put(tx, s.key, Some(&Terms::default()), &found_by).await?;
            }
        }
    }
    match pairs.is_empty() {
        true => Ok(()),
        false => events::put_pairs(tx, pairs).await,
    }
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
