//! The insurance of a person, and who they are, as the index of patients knows it.

use super::view;
use crate::model::identity::{Demographics, Insurance};
use crate::store::db::{DbError, Tx};
use crate::store::mpi::{identity, person};

/// How often a person may have been joined to another.
const JOINS: usize = 16;

/// Insurances of the person with an id of the network: those said last by any source that says some.
pub async fn insurances(tx: &mut Tx<'_>, value: &str) -> Result<Vec<Insurance>, DbError> {
    let said = known(tx, value).await?.into_iter().find_map(|(_, d)| d.insurances.filter(|i| !i.is_empty()));
    Ok(said.unwrap_or_default())
}

/// The survivor view of the person with an id of the network; none of whom the index knows nothing.
pub async fn demographics(tx: &mut Tx<'_>, value: &str) -> Result<Option<Demographics>, DbError> {
    let known = known(tx, value).await?;
    Ok((!known.is_empty()).then(|| view::of(known)))
}

/// What each identity of a person says, and when it was said; the newest first.
async fn known(tx: &mut Tx<'_>, value: &str) -> Result<Vec<view::Known>, DbError> {
    let Some(mut found) = person::by_value(tx, value).await? else { return Ok(vec![]) };
    for _ in 0..JOINS {
        let Some(by) = found.replaced_by else { break };
        match person::get(tx, by).await? {
            Some(next) => found = next,
            None => break,
        }
    }
    let mut identities = identity::of_persons(tx, &[found.key], false).await?;
    identities.sort_by_key(|i| std::cmp::Reverse(i.updated_at));
    let keys: Vec<i64> = identities.iter().map(|i| i.key).collect();
    let known = identity::known(tx, &keys).await?;
    let of = |i: &identity::Identity| {
        let (_, demographics) = known.iter().find(|(key, _)| *key == i.key)?;
        Some((i.updated_at, demographics.clone()))
    };
    Ok(identities.iter().filter_map(of).collect())
}
