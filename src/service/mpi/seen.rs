//! Whom of the index a caller may know of: a facility its own patients, everybody else those whose consent reaches them
//! (security.md §4.4); a user whose assertion or token names one patient (resource-id), that one alone. Who may not be
//! told is as absent.

use std::collections::HashSet;

use super::Mpi;
use super::rank::persons_of;
use crate::model::consent::Permit;
use crate::model::error::Error;
use crate::model::hl7types::Cx;
use crate::model::identity::DomainId;
use crate::service::context::Context;
use crate::service::database;
use crate::store::consent::Gate;
use crate::store::db::{DbError, Tx};
use crate::store::mpi::identity;

/// Whom one request may be told of.
pub(super) struct Telling {
    permit: Permit,
    /// The one patient of the user's assertion (ITI TF-2 3.40.4.1.2); an id that is none is nobody's.
    only: Option<Vec<DomainId>>,
    network: String,
}

impl Telling {
    /// Whether anybody may have to be left out.
    pub fn is_narrow(&self) -> bool {
        self.permit.is_narrow() || self.only.is_some()
    }
}

impl Mpi {
    /// Whom a request may be told of.
    pub(super) fn telling(&self, context: &Context) -> Telling {
        let bound = context.caller.user.as_ref().and_then(|user| user.patient.as_deref());
        let only = bound.map(|text| match Cx::parse(text) {
            Ok(cx) => vec![DomainId { domain: cx.authority.into_owned(), value: cx.id.into_owned() }],
            Err(_) => vec![],
        });
        Telling {
            permit: self.settings.access.permit_discovery(context),
            only,
            network: self.settings.domains.network().oid.clone(),
        }
    }

    /// Whether a request may be told of whoever has an id; of who is nobody, it may.
    pub async fn may_tell(&self, context: &Context, id: &DomainId) -> Result<bool, Error> {
        let work = std::sync::Arc::new((self.telling(context), vec![id.clone()]));
        if !work.0.is_narrow() {
            return Ok(true);
        }
        self.db
            .snapshot(move |tx| {
                let work = work.clone();
                Box::pin(async move {
                    let (telling, ids) = &*work;
                    match persons_of(tx, ids, &telling.network).await?.first() {
                        Some(person) => is_seen(tx, telling, *person).await,
                        None => Ok(true),
                    }
                })
            })
            .await
            .map_err(|e: DbError| database(e))
    }
}

/// Of these persons those that may be told, in a few statements for all of them.
pub(super) async fn seen(
    tx: &mut Tx<'_>,
    telling: &Telling,
    persons: &[i64],
) -> Result<HashSet<i64>, DbError> {
    let mut shown = consented(tx, &telling.permit, persons).await?;
    if let Some(only) = &telling.only {
        let meant = persons_of(tx, only, &telling.network).await?;
        shown.retain(|person| meant.contains(person));
    }
    Ok(shown)
}

async fn consented(tx: &mut Tx<'_>, permit: &Permit, persons: &[i64]) -> Result<HashSet<i64>, DbError> {
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
pub(super) async fn is_seen(tx: &mut Tx<'_>, telling: &Telling, person: i64) -> Result<bool, DbError> {
    Ok(seen(tx, telling, &[person]).await?.contains(&person))
}
