//! What operators are shown, read in one state of the index.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{EventShown, IdentityShown, PersonShown, WhyShown};
use crate::matching::{Candidate, Known, Subject as Weighing};
use crate::model::identity::{Demographics, DomainId};
use crate::service::mpi::feed::Work;
use crate::service::mpi::weigh::{self, Weighed};
use crate::service::mpi::{cx, view};
use crate::store::db::{DbError, Tx};
use crate::store::mpi::events::{self, Event, Two};
use crate::store::mpi::identity::{self, Identity};
use crate::store::mpi::person::{self, Person};

pub(super) async fn person_of(tx: &mut Tx<'_>, id: &DomainId, network: &str) -> Result<Option<i64>, DbError> {
    if let Some(i) = identity::by_id(tx, id).await? {
        return Ok(Some(i.person_key));
    }
    match id.domain == network {
        true => Ok(person::by_value(tx, &id.value).await?.map(|p| p.key)),
        false => Ok(None),
    }
}

pub(super) async fn shown(
    tx: &mut Tx<'_>,
    network: &str,
    page: Vec<Person>,
) -> Result<Vec<PersonShown>, DbError> {
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
pub(super) async fn named_events(
    tx: &mut Tx<'_>,
    network: &str,
    all: Vec<Event>,
) -> Result<Vec<EventShown>, DbError> {
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

pub(super) async fn why(
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
