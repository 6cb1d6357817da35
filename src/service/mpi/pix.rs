//! Which ids a person has elsewhere: ITI-9, ITI-45, ITI-83.

use std::sync::Arc;

use super::admit::{self, error};
use super::seen::{Telling, is_seen};
use super::{Mpi, PixAnswer, Refusal, cx};
use crate::model::audit::Outcome;
use crate::model::identity::{Authority, DomainId, Field, IdentityError, PixQuery, Place, Source, Trouble};
use crate::service::context::{Context, Subject};
use crate::service::database;
use crate::store::db::{DbError, Tx};
use crate::store::mpi::identity::Status;
use crate::store::mpi::near;

struct Question {
    asked: DomainId,
    network: String,
    /// In the order asked; none: all.
    wanted: Vec<String>,
    telling: Telling,
}

impl Mpi {
    pub(super) async fn cross_reference(
        &self,
        context: &Context,
        query: PixQuery,
    ) -> Result<PixAnswer, Refusal> {
        let mut subject = Subject::default();
        let domains = &self.settings.domains;
        let read = self.read_question(&query);
        let done = match read {
            Err(errors) => Err(Refusal::Identity(errors)),
            Ok((asked, wanted)) => {
                subject.patients.push(cx(&asked));
                self.answer(
                    Question {
                        asked,
                        network: domains.network().oid.clone(),
                        wanted,
                        telling: self.telling(context),
                    },
                    query.id.place,
                )
                .await
            }
        };
        match done {
            Ok(answer) => {
                self.record_query(context, Outcome::Success, subject).await?;
                Ok(answer)
            }
            Err(refusal) => {
                self.record_refusal(context, subject, &refusal).await;
                Err(refusal)
            }
        }
    }

    /// The id asked and the domains wanted, or everything that is wrong with either.
    fn read_question(&self, query: &PixQuery) -> Result<(DomainId, Vec<String>), Vec<IdentityError>> {
        let mut errors: Vec<IdentityError> = vec![];
        let asked = admit::resolve(&self.settings.domains, &Source::default(), &query.id)
            .map_err(|mut e| {
                e.place.field = Field::QueriedIdentifier;
                errors.push(e);
            })
            .ok();
        let wanted = self.wanted(&query.wanted, Field::WantedDomain, &mut errors);
        match asked {
            Some(asked) if errors.is_empty() => Ok((asked.id, wanted)),
            _ => Err(errors),
        }
    }

    /// The OIDs of domains asked for, each once; every one that is not known is an error at its place.
    pub(super) fn wanted(
        &self,
        wanted: &[Authority],
        field: Field,
        errors: &mut Vec<IdentityError>,
    ) -> Vec<String> {
        let mut oids: Vec<String> = vec![];
        for (n, authority) in (1..).zip(wanted) {
            match self.settings.domains.resolve(authority) {
                Some(domain) if oids.contains(&domain.oid) => {}
                Some(domain) => oids.push(domain.oid.clone()),
                None => errors.push(error(
                    Trouble::UnknownAuthority,
                    Place::nth(field, n),
                    "this domain is not known here",
                )),
            }
        }
        oids
    }

    async fn answer(&self, question: Question, place: Place) -> Result<PixAnswer, Refusal> {
        let question = Arc::new(question);
        let asked = question.asked.clone();
        let found = self
            .db
            .read(move |tx| {
                let question = question.clone();
                Box::pin(async move { ids(tx, &question).await })
            })
            .await
            .map_err(|e: DbError| Refusal::Error(database(e)))?;
        match found {
            Some(ids) => Ok(PixAnswer { asked, ids }),
            None => {
                let place = Place { field: Field::QueriedIdentifier, component: Some(1), ..place };
                let text = "the patient id is not known in its domain";
                Err(Refusal::Identity(vec![error(Trouble::UnknownId, place, text)]))
            }
        }
    }
}

/// None if the id is nobody's, or no longer, or of somebody who is not to be told. One that was exchanged for another
/// (A47) is known, and has no others: its facility may give it to somebody else, so the ids of the patient who had it are
/// not told.
async fn ids(tx: &mut Tx<'_>, q: &Question) -> Result<Option<Vec<DomainId>>, DbError> {
    let network = q.asked.domain == q.network;
    let Some(found) = near::references(tx, &q.asked, network).await? else { return Ok(None) };
    match found.identity {
        None if !network => return Ok(None),
        None if found.value.is_none() => return Ok(None),
        // Buried.
        Some((Status::Subsumed, 0)) => return Ok(Some(vec![])),
        Some((Status::Subsumed, _)) => return Ok(None),
        _ => {}
    }
    if !is_seen(tx, &q.telling, found.person).await? {
        return Ok(None);
    }
    let wants = |oid: &str| q.wanted.is_empty() || q.wanted.iter().any(|w| w == oid);
    let network = found.value.map(|value| DomainId { domain: q.network.clone(), value });
    let mut found: Vec<DomainId> = found.ids.into_iter().chain(network).collect();
    found.retain(|id| wants(&id.domain));
    found.retain(|id| *id != q.asked);
    let order = |id: &DomainId| q.wanted.iter().position(|w| *w == id.domain);
    found.sort_by(|a, b| (order(a), a).cmp(&(order(b), b)));
    found.dedup();
    Ok(Some(found))
}
