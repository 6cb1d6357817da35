//! Patients by demographics: ITI-21, ITI-47, ITI-78, and ITI-119.
//!
//! Names, birth date, postcode, telephone and account lead through indexes; sex, the text of addresses and exact
//! writing are looked at among what these find. An answer with more patients than asked for is kept, as a list of
//! persons, until its rest is asked for.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::admit::{self, error};
use super::rank::persons_of;
use super::seen::seen;
use super::sieve::{described, fit, read, sieved};
use super::{Found, FoundPatient, Mpi, Page, Refusal, cx, view};
use crate::model::audit::Outcome;
use crate::model::error::Error;
use crate::model::identity::{
    Demographics, DemographicsQuery, DomainId, Field, IdentityError, Place, Source, Trouble,
};
use crate::service::context::{Context, Subject};
use crate::service::database;
use crate::store::db::{DbError, Tx};
use crate::store::mpi::identity::{self, Identity};
use crate::store::mpi::person;
use crate::store::mpi::question::{self, Open};
use crate::store::mpi::search::{self, Question};

/// How many times more persons are looked at where some are not told.
const UNTOLD: usize = 20;

/// What marks names folded by sound in the index, where they differ from the name.
pub(super) const SOUND: char = '~';

/// What is kept of a question.
#[derive(Clone, Serialize, Deserialize)]
struct Kept {
    /// Persons, and how well they fit, best first.
    found: Vec<(i64, u8)>,
    /// Domains whose ids are wanted.
    returned: Vec<String>,
}

impl Mpi {
    pub(super) async fn demographics(
        &self,
        context: &Context,
        query: DemographicsQuery,
        page: Page,
    ) -> Result<Found, Refusal> {
        let mut asked = described(&query);
        let result = match &page.pointer {
            Some(pointer) => {
                let (place, query_id) = match pointer.split_once('.') {
                    Some((place, id)) if page.query_id.is_empty() || page.query_id == id => {
                        (place.parse::<u64>().ok(), id.to_owned())
                    }
                    _ => (None, String::new()),
                };
                asked = format!("the rest of {query_id}");
                match place {
                    Some(place) => self.rest(context, &query_id, Some(place), page.size).await,
                    None => Err(expired()),
                }
            }
            None => self.ask(context, query, page).await,
        };
        self.recorded(context, asked, result).await
    }

    pub(super) async fn rest_of(
        &self,
        context: &Context,
        query_id: &str,
        from: Option<u64>,
        size: Option<u64>,
    ) -> Result<Found, Refusal> {
        let place = from.map(|n| n.saturating_sub(1));
        let result = self.rest(context, query_id, place, size).await;
        self.recorded(context, format!("the rest of {query_id}"), result).await
    }

    async fn recorded(
        &self,
        context: &Context,
        asked: String,
        result: Result<Found, Refusal>,
    ) -> Result<Found, Refusal> {
        let mut subject = Subject { query: Some(asked), ..Subject::default() };
        match result {
            Ok(found) => {
                subject.patients = found.patients.iter().map(|p| cx(&p.person)).collect();
                self.record_query(context, Outcome::Success, subject).await?;
                Ok(found)
            }
            Err(refusal) => {
                self.record_refusal(context, subject, &refusal).await;
                Err(refusal)
            }
        }
    }

    pub(super) async fn forget(&self, context: &Context, query_id: &str) -> Result<bool, Refusal> {
        let (asker, query_id) = (asker(context), query_id.to_owned());
        self.db
            .write(move |tx| {
                let (asker, query_id) = (asker.clone(), query_id.clone());
                Box::pin(async move { question::drop(tx, &asker, &query_id).await })
            })
            .await
            .map_err(|e: DbError| Refusal::Error(database(e)))
    }

    async fn ask(&self, context: &Context, query: DemographicsQuery, page: Page) -> Result<Found, Refusal> {
        let mut errors = vec![];
        let returned = self.wanted(&query.returned, Field::ReturnedDomain, &mut errors);
        let domains = &self.settings.domains;
        let mut ids = vec![];
        for id in &query.ids {
            match admit::resolve(domains, &Source::default(), id) {
                Ok(resolved) => ids.push(resolved.id),
                Err(mut e) => {
                    e.place.field = Field::QueryParameter;
                    errors.push(e);
                }
            }
        }
        let (mut question, sieve) = read(&query);
        if ids.is_empty() && !question.is_narrow() && errors.is_empty() {
            errors.push(error(
                Trouble::NotSupported,
                Place::of(Field::QueryParameter),
                "ask by an id, a name, a birth date, a postcode, a telephone or an account: sex and the text of an \
                 address alone select too many",
            ));
        }
        if !errors.is_empty() {
            return Err(Refusal::Identity(errors));
        }
        let limit = usize::try_from(self.settings.config.query_results).unwrap_or(usize::MAX);
        let telling = Arc::new(self.telling(context));
        // Who is not told takes nobody's place among the first.
        let sought = if telling.is_narrow() { limit.saturating_mul(UNTOLD) } else { limit };
        let network = domains.network().oid.clone();
        let score = fit(&query);
        let keys: Vec<i64> = {
            let ids = Arc::new(ids);
            let sieve = Arc::new(sieve);
            question.persons = None;
            let question = Arc::new(question);
            self.db
                .read(move |tx| {
                    let (ids, sieve, question, network) =
                        (ids.clone(), sieve.clone(), question.clone(), network.clone());
                    let telling = telling.clone();
                    Box::pin(async move {
                        let mut question = Question::clone(&question);
                        if !ids.is_empty() {
                            question.persons = Some(persons_of(tx, &ids, &network).await?);
                        }
                        let found = search::persons(tx, &question, sought).await?;
                        let told = seen(tx, &telling, &found).await?;
                        let mut found: Vec<i64> = found.into_iter().filter(|p| told.contains(p)).collect();
                        found.truncate(limit);
                        match sieve.is_open() {
                            true => Ok(found),
                            false => sieved(tx, found, &sieve).await,
                        }
                    })
                })
                .await
                .map_err(|e: DbError| Refusal::Error(database(e)))?
        };
        let found: Vec<(i64, u8)> = keys.into_iter().map(|k| (k, score)).collect();
        let kept = Kept { found, returned };
        let size = self.size(page.size);
        let total = kept.found.len() as u64;
        let query_id = match page.query_id.is_empty() {
            true => context.request_id.clone(),
            false => page.query_id,
        };
        if total > size {
            let open = Open {
                place: i64::try_from(size).unwrap_or(i64::MAX),
                body: super::feed::json_of(&kept).map_err(|e| Refusal::Error(database(e)))?,
            };
            let (asker, id, now) = (asker(context), query_id.clone(), context.micros());
            let minutes = i64::try_from(self.settings.config.continuation_minutes).unwrap_or(i64::MAX);
            let expires = now.saturating_add(minutes.saturating_mul(60_000_000));
            self.db
                .write(move |tx| {
                    let (asker, id, open) = (asker.clone(), id.clone(), open.clone());
                    Box::pin(async move { question::put(tx, &asker, &id, &open, now, expires).await })
                })
                .await
                .map_err(|e: DbError| Refusal::Error(database(e)))?;
        }
        self.page_of(context, kept, 0, size, &query_id).await
    }

    fn size(&self, asked: Option<u64>) -> u64 {
        asked.unwrap_or(self.settings.config.page_size).clamp(1, self.settings.config.query_results.max(1))
    }

    async fn rest(
        &self,
        context: &Context,
        query_id: &str,
        from: Option<u64>,
        size: Option<u64>,
    ) -> Result<Found, Refusal> {
        let (asker, id, now) = (asker(context), query_id.to_owned(), context.micros());
        let key = (asker.clone(), id.clone());
        let open = self
            .db
            .read(move |tx| {
                let (asker, id) = key.clone();
                Box::pin(async move { question::get(tx, &asker, &id, now).await })
            })
            .await
            .map_err(|e: DbError| Refusal::Error(database(e)))?
            .ok_or_else(expired)?;
        let kept: Kept = serde_json::from_str(&open.body)
            .map_err(|e| Refusal::Error(Error::Internal(anyhow::Error::new(e))))?;
        let place = from.unwrap_or_else(|| u64::try_from(open.place).unwrap_or_default());
        if place > kept.found.len() as u64 {
            return Err(expired());
        }
        let size = self.size(size);
        let next = i64::try_from(place.saturating_add(size)).unwrap_or(i64::MAX);
        self.db
            .write(move |tx| {
                let (asker, id) = (asker.clone(), id.clone());
                Box::pin(async move { question::set_place(tx, &asker, &id, next).await })
            })
            .await
            .map_err(|e: DbError| Refusal::Error(database(e)))?;
        self.page_of(context, kept, place, size, query_id).await
    }

    async fn page_of(
        &self,
        context: &Context,
        kept: Kept,
        place: u64,
        size: u64,
        query_id: &str,
    ) -> Result<Found, Refusal> {
        let total = kept.found.len() as u64;
        let (start, end) = (place.min(total), place.saturating_add(size).min(total));
        let range = usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
        let persons: Vec<(i64, u8)> = kept.found.get(range).unwrap_or_default().to_vec();
        let patients = self.load(context, persons, kept.returned).await?;
        let remaining = total - end;
        Ok(Found { patients, total, remaining, next: (remaining > 0).then(|| format!("{end}.{query_id}")) })
    }

    /// Persons with their ids in the domains asked for (none: all), and what is known of them.
    async fn load(
        &self,
        context: &Context,
        persons: Vec<(i64, u8)>,
        returned: Vec<String>,
    ) -> Result<Vec<FoundPatient>, Refusal> {
        let network = self.settings.domains.network().oid.clone();
        let asked = Arc::new((persons, returned, self.telling(context)));
        self.db
            .snapshot(move |tx| {
                let (asked, network) = (asked.clone(), network.clone());
                Box::pin(async move {
                    // Since the first page somebody may have withdrawn.
                    let (persons, returned, telling) = &*asked;
                    let keys: Vec<i64> = persons.iter().map(|(key, _)| *key).collect();
                    let told = seen(tx, telling, &keys).await?;
                    let persons: Vec<(i64, u8)> =
                        persons.iter().copied().filter(|(key, _)| told.contains(key)).collect();
                    load(tx, &persons, returned, &network).await
                })
            })
            .await
            .map(|found| found.into_iter().map(|(_, patient)| patient).collect())
            .map_err(|e: DbError| Refusal::Error(database(e)))
    }
}

/// Keys of persons and what is shown of them, in the order asked; who was joined to another is left out.
pub(super) async fn load(
    tx: &mut Tx<'_>,
    wanted: &[(i64, u8)],
    returned: &[String],
    network: &str,
) -> Result<Vec<(i64, FoundPatient)>, DbError> {
    let keys: Vec<i64> = wanted.iter().map(|(k, _)| *k).collect();
    let persons: HashMap<i64, String> =
        person::several(tx, &keys).await?.into_iter().map(|p| (p.key, p.value.0)).collect();
    let rows = identity::of_persons(tx, &keys, false).await?;
    let identities: Vec<i64> = rows.iter().map(|i| i.key).collect();
    let mut known: HashMap<i64, Demographics> = identity::known(tx, &identities).await?.into_iter().collect();
    let wants = |oid: &str| returned.is_empty() || returned.iter().any(|r| r == oid);
    let mut out = vec![];
    for (key, score) in wanted {
        // Joined to another since it was found.
        let Some(value) = persons.get(key) else { continue };
        let own: Vec<&Identity> = rows.iter().filter(|i| i.person_key == *key).collect();
        if own.is_empty() {
            continue;
        }
        let person = DomainId { domain: network.to_owned(), value: value.clone() };
        let mut ids: Vec<DomainId> =
            own.iter().map(|i| i.id.clone()).filter(|id| wants(&id.domain)).collect();
        if wants(network) {
            ids.push(person.clone());
        }
        let order = |id: &DomainId| (returned.iter().position(|r| *r == id.domain), id.domain != network);
        ids.sort_by(|a, b| (order(a), a).cmp(&(order(b), b)));
        ids.dedup();
        let known = own.iter().filter_map(|i| Some((i.updated_at, known.remove(&i.key)?))).collect();
        out.push((*key, FoundPatient { person, ids, demographics: view::of(known), score: *score }));
    }
    Ok(out)
}

/// Who may go on with a question: who asked it.
fn asker(context: &Context) -> String {
    context.caller.certificate.clone().unwrap_or_else(|| context.caller.address.clone())
}

fn expired() -> Refusal {
    Refusal::Identity(vec![IdentityError {
        trouble: Trouble::Expired,
        place: Place::of(Field::Continuation),
        text: "no such question is open, or its time is over; ask it again".into(),
    }])
}
