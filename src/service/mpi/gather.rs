//! All that identities hang together with, loaded and held before anything is decided ([`settle`](super::settle)).

use std::collections::{BTreeMap, HashMap, HashSet};

use super::settle::Step;
use super::weigh;
use crate::matching::Features;
use crate::store::db::{DbError, Tx};
use crate::store::mpi::events::{self, Class, Pair, Two};
use crate::store::mpi::identity::{self, Identity};
use crate::store::mpi::near;
use crate::store::mpi::person::Person;

/// Identities looked at together at most. More hang together only where something is wrong with the data.
const MOST: usize = 200;

/// All that hangs together.
#[derive(Default)]
pub(super) struct Component {
    pub known: BTreeMap<i64, Identity>,
    pub features: HashMap<i64, Features>,
    pub pairs: Vec<Pair>,
    pub verdicts: Vec<events::Verdict>,
    pub persons: Vec<Person>,
    /// More hangs together than is looked at.
    pub cut: bool,
}

/// Loads and holds all that hangs together: co-members, edges, verdicts; again until nothing is added.
pub(super) async fn gather(tx: &mut Tx<'_>, step: &Step<'_>) -> Result<Component, DbError> {
    let mut c = Component::default();
    if step.is_of_a_stranger() {
        return Ok(c);
    }
    let is_revised = |key: i64| step.revised.iter().any(|r| r.key == key);
    // Of a pair that was weighed from both sides, the last counts.
    let fresh: HashMap<Two, &Pair> = step.pairs.iter().map(|p| (p.two, p)).collect();
    c.pairs = fresh.into_values().cloned().collect();
    c.pairs.sort_by_key(|p| p.two);
    let mut unread: Vec<i64> = step.newcomers.iter().map(|n| n.key).collect();
    let mut seen: HashSet<i64> = unread.iter().copied().collect();
    let mut todo: Vec<i64> = step.seeds.clone();
    seen.extend(&todo);
    let mut persons: Vec<i64> =
        step.revive.iter().chain(step.prefer.values()).chain(&step.given).copied().collect();
    persons.extend(&step.seen_with);
    let mut known_persons: HashSet<i64> = HashSet::new();
    let mut unread_persons: Vec<i64> = vec![];
    loop {
        persons.retain(|p| known_persons.insert(*p));
        if !todo.is_empty() || !persons.is_empty() {
            let rows = near::held(tx, &todo, &persons).await?;
            todo.clear();
            unread_persons.append(&mut persons);
            for row in rows {
                if c.known.contains_key(&row.key) {
                    continue;
                }
                seen.insert(row.key);
                unread.push(row.key);
                persons.push(row.person_key);
                if !is_revised(row.key) {
                    c.features.insert(row.key, weigh::features(&row.features)?);
                }
                c.known.insert(row.key, row);
            }
            if persons.iter().any(|p| !known_persons.contains(p)) {
                continue;
            }
            persons.clear();
        }
        c.cut = c.known.len() > MOST;
        if unread.is_empty() && unread_persons.is_empty() || c.cut {
            return Ok(c);
        }
        let told = near::told(tx, &unread, &unread_persons).await?;
        unread.clear();
        unread_persons.clear();
        c.persons.extend(told.persons);
        for pair in told.pairs {
            let outdated = is_revised(pair.two.0) || is_revised(pair.two.1);
            if !outdated && !c.pairs.iter().any(|p| p.two == pair.two) {
                c.pairs.push(pair);
            }
        }
        for verdict in told.verdicts {
            if !c.verdicts.iter().any(|v| v.two == verdict.two) {
                c.verdicts.push(verdict);
            }
        }
        let links = c.pairs.iter().filter(|p| p.class == Class::Links).map(|p| p.two);
        let ends = links.chain(c.verdicts.iter().filter(|v| v.same).map(|v| v.two));
        let ends = ends.flat_map(|two| [two.0, two.1]).chain(told.members);
        todo = ends.filter(|key| seen.insert(*key)).collect();
        todo.sort_unstable();
        if todo.is_empty() {
            return Ok(c);
        }
    }
}

/// Identities that rival a link and hang together with nothing here themselves.
pub(super) async fn witnesses(
    tx: &mut Tx<'_>,
    c: &Component,
    step: &Step<'_>,
) -> Result<Vec<(Identity, Features)>, DbError> {
    if !c.pairs.iter().any(|p| p.class == Class::Links) {
        return Ok(vec![]);
    }
    let here = |key: &i64| c.known.contains_key(key) || step.newcomers.iter().any(|n| n.key == *key);
    let mut keys: Vec<i64> = c
        .pairs
        .iter()
        .filter(|p| p.class == Class::Rivals)
        .flat_map(|p| [p.two.0, p.two.1])
        .filter(|k| !here(k))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.is_empty() {
        return Ok(vec![]);
    }
    identity::active(tx, &keys, false)
        .await?
        .into_iter()
        .map(|i| {
            let features = weigh::features(&i.features)?;
            Ok((i, features))
        })
        .collect()
}
