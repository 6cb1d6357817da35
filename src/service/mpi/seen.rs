//! Whom of the index a caller may know of: a facility its own patients, everybody else those whose consent reaches them
//! (security.md §4.4). Who may not be told is as absent.

use std::collections::HashSet;

use crate::model::consent::Permit;
use crate::store::consent::Gate;
use crate::store::db::{DbError, Tx};
use crate::store::mpi::identity;

/// Of these persons those that may be told, in one or two statements for all of them.
pub(super) async fn seen(tx: &mut Tx<'_>, permit: &Permit, persons: &[i64]) -> Result<HashSet<i64>, DbError> {
    if !permit.is_narrow() || persons.is_empty() {
        return Ok(persons.iter().copied().collect());
    }
    let mut gate = Gate::new(permit);
    gate.meet(tx, persons).await?;
    let mut shown: HashSet<i64> = persons.iter().copied().filter(|key| gate.shows_patient(*key)).collect();
    let rest: Vec<i64> = persons.iter().copied().filter(|key| !shown.contains(key)).collect();
    if !rest.is_empty() {
        let identities = identity::of_persons(tx, &rest, false).await?;
        shown.extend(identities.iter().filter(|i| permit.owns_domain(&i.id.domain)).map(|i| i.person_key));
    }
    Ok(shown)
}

/// Whether one person may be told.
pub(super) async fn is_seen(tx: &mut Tx<'_>, permit: &Permit, person: i64) -> Result<bool, DbError> {
    Ok(seen(tx, permit, &[person]).await?.contains(&person))
}
