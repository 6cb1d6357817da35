//! The insurance of a person, as the index of patients knows it.

use crate::model::identity::Insurance;
use crate::store::db::{DbError, Tx};
use crate::store::mpi::{identity, person};

/// How often a person may have been joined to another.
const JOINS: usize = 16;

/// Insurances of the person with an id of the network: those said last by any source that says some.
pub async fn insurances(tx: &mut Tx<'_>, value: &str) -> Result<Vec<Insurance>, DbError> {
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
    let said = keys.iter().find_map(|key| {
        let (_, demographics) = known.iter().find(|(k, _)| k == key)?;
        demographics.insurances.clone().filter(|list| !list.is_empty())
    });
    Ok(said.unwrap_or_default())
}
