//! Patients by demographics: ITI-21, ITI-47, ITI-78, and ITI-119.
//!
//! Names, birth date, postcode, telephone and account lead through indexes; sex, the text of addresses and exact
//! writing are looked at among what these find. An answer with more patients than asked for is kept, as a list of
//! persons, until its rest is asked for.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::admit::{self, error};
use super::seen::seen;
use super::{Found, FoundPatient, Grade, Likely, Mpi, Page, Refusal, cx, number, terms, view, weigh};
use crate::matching::{Candidate, Features, Known, Outcome as Judged, Subject as Weighed, fold};
use crate::model::audit::Outcome;
use crate::model::error::Error;
use crate::model::identity::{
    Demographics, DemographicsQuery, DomainId, Field, IdentityError, PersonName, Place, Representation,
    SentId, Source, Trouble,
};
use crate::service::context::{Context, Subject};
use crate::service::database;
use crate::store::db::{DbError, Tx};
use crate::store::mpi::identity::{self, Identity};
use crate::store::mpi::person;
use crate::store::mpi::question::{self, Open};
use crate::store::mpi::search::{self, Question, TermKind, Wanted};

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

/// What is looked at among what an index found.
#[derive(Clone, Default)]
struct Sieve {
    sex: Option<String>,
    address: Option<String>,
    families: Vec<String>,
    givens: Vec<String>,
}

impl Sieve {
    fn is_open(&self) -> bool {
        self.sex.is_none() && self.address.is_none() && self.families.is_empty() && self.givens.is_empty()
    }

    fn lets_pass(&self, known: &[Demographics]) -> bool {
        let any = |f: &dyn Fn(&Demographics) -> bool| known.iter().any(f);
        let named = |part: fn(&PersonName) -> &str, wanted: &String| {
            any(&|d| d.names.iter().flatten().any(|n| part(n) == wanted))
        };
        self.sex.as_ref().is_none_or(|s| any(&|d| d.sex.as_ref() == Some(s)))
            && self.address.as_ref().is_none_or(|wanted| {
                any(&|d| d.addresses.iter().flatten().any(|a| folded_address(&a.text).contains(wanted)))
            })
            && self.families.iter().all(|w| named(|n| terms::parts(&n.family, &n.given).0, w))
            && self.givens.iter().all(|w| named(|n| terms::parts(&n.family, &n.given).1, w))
    }
}

fn folded_address(text: &str) -> String {
    fold::search(text)
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

    pub(super) async fn rank(
        &self,
        context: &Context,
        described: Demographics,
        ids: Vec<SentId>,
        count: u64,
    ) -> Result<Vec<Likely>, Refusal> {
        let population = self.population().await.map_err(|e| Refusal::Error(database(e)))?;
        let (model, network) = (self.model(), self.settings.domains.network().oid.clone());
        let cap = usize::try_from(self.settings.config.block_limit).unwrap_or(usize::MAX);
        let known: Vec<DomainId> = ids
            .iter()
            .filter_map(|id| admit::resolve(&self.settings.domains, &Source::default(), id).ok())
            .map(|r| r.id)
            .collect();
        let most = usize::try_from(count).unwrap_or(usize::MAX);
        let telling = self.telling(context);
        let work = Arc::new((Features::of(&described), known, model, network, telling));
        // Weighed and loaded in one state of the index, so that nobody is joined to another in between.
        let likely = self
            .db
            .snapshot(move |tx| {
                let work = work.clone();
                Box::pin(async move {
                    let (features, known, model, network, telling) = &*work;
                    let mut all = near(tx, features, population, cap).await?;
                    let named = persons_of(tx, known, network).await?;
                    all.extend(&named);
                    let told = seen(tx, telling, &all).await?;
                    all.retain(|person| told.contains(person));
                    let named: Vec<i64> = named.into_iter().filter(|p| told.contains(p)).collect();
                    let rows = identity::of_persons(tx, &all, false).await?;
                    let mut best = ranked(model, population, features, &rows, &named)?;
                    best.truncate(most);
                    let wanted: Vec<(i64, u8)> = best.iter().map(|(k, score, _)| (*k, *score)).collect();
                    let grades: HashMap<i64, Grade> =
                        best.into_iter().map(|(k, _, grade)| (k, grade)).collect();
                    let patients = load(tx, &wanted, &[], network).await?;
                    let graded = |(key, patient)| Some(Likely { grade: *grades.get(&key)?, patient });
                    Ok(patients.into_iter().filter_map(graded).collect::<Vec<_>>())
                })
            })
            .await
            .map_err(|e: DbError| Refusal::Error(database(e)))?;
        let subject = Subject {
            patients: likely.iter().map(|l| cx(&l.patient.person)).collect(),
            query: Some("$match".into()),
            ..Subject::default()
        };
        self.record_query(context, Outcome::Success, subject).await?;
        Ok(likely)
    }
}

/// Identities of these persons, with their features.
pub(super) fn stored(rows: &[Identity]) -> Result<Vec<(&Identity, Features)>, DbError> {
    rows.iter().map(|i| Ok((i, weigh::features(&i.features)?))).collect()
}

/// The same by person.
pub(super) fn candidates<'s>(stored: &'s [(&'s Identity, Features)]) -> Vec<Candidate<'s>> {
    let mut by_person: HashMap<i64, Candidate<'_>> = HashMap::new();
    for (row, features) in stored {
        let known = Known { key: row.key, domain: &row.id.domain, features, do_not_link: false };
        by_person
            .entry(row.person_key)
            .or_insert_with(|| Candidate { person: row.person_key, identities: vec![] })
            .identities
            .push(known);
    }
    let mut candidates: Vec<Candidate<'_>> = by_person.into_values().collect();
    candidates.sort_by_key(|c| c.person);
    candidates
}

/// The persons who share a blocking key with what is described.
pub(super) async fn near(
    tx: &mut Tx<'_>,
    features: &Features,
    population: u64,
    cap: usize,
) -> Result<Vec<i64>, DbError> {
    let hashes: Vec<i64> =
        features.keys().into_iter().filter(|k| k.kind.asked(population)).map(|k| k.hash()).collect();
    let (near, _) = identity::sharing(tx, &hashes, cap, 0).await?;
    Ok(identity::active(tx, &near, false).await?.iter().map(|i| i.person_key).collect())
}

/// Persons by weight, best first: key, percent, grade.
fn ranked(
    model: &crate::matching::Model,
    population: u64,
    features: &Features,
    rows: &[Identity],
    named: &[i64],
) -> Result<Vec<(i64, u8, Grade)>, DbError> {
    let stored = stored(rows)?;
    let candidates = candidates(&stored);
    let judgement = model.decide(population, &Weighed { domain: "", features }, &candidates);
    let thresholds = model.thresholds();
    let mut out: Vec<(i64, u8, Grade)> = vec![];
    for ranked in &judgement.ranked {
        let total = ranked.score.total;
        let grade = match judgement.outcome {
            Judged::Link(person) if person == ranked.person => Grade::Certain,
            _ if total >= thresholds.link && ranked.score.vetoes.is_empty() => Grade::Probable,
            _ if total >= thresholds.review => Grade::Possible,
            _ => continue,
        };
        out.push((ranked.person, percent(total), grade));
    }
    // Whose id is known is that patient, unless what is described is somebody else.
    for person in named {
        match out.iter_mut().find(|(p, ..)| p == person) {
            Some(found) => {
                found.1 = 100;
                found.2 = Grade::Certain;
            }
            None => out.push((*person, 50, Grade::Possible)),
        }
    }
    out.sort_by_key(|(person, score, grade)| (std::cmp::Reverse(*grade), std::cmp::Reverse(*score), *person));
    Ok(out)
}

/// The probability behind a weight in bits.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) fn percent(bits: f64) -> u8 {
    (100.0 / (1.0 + (-bits).exp2())).round().clamp(0.0, 100.0) as u8
}

/// The persons whom all the ids are of; none if one is nobody's.
pub(super) async fn persons_of(
    tx: &mut Tx<'_>,
    ids: &[DomainId],
    network: &str,
) -> Result<Vec<i64>, DbError> {
    let mut all: Option<i64> = None;
    for id in ids {
        let person = match id.domain == network {
            true => person::by_value(tx, &id.value).await?.filter(|p| p.replaced_by.is_none()).map(|p| p.key),
            false => identity::by_id(tx, id)
                .await?
                .filter(|i| i.status == identity::Status::Active)
                .map(|i| i.person_key),
        };
        match (person, all) {
            (Some(person), None) => all = Some(person),
            (Some(person), Some(other)) if person == other => {}
            _ => return Ok(vec![]),
        }
    }
    Ok(all.into_iter().collect())
}

async fn sieved(tx: &mut Tx<'_>, found: Vec<i64>, sieve: &Sieve) -> Result<Vec<i64>, DbError> {
    let rows = identity::of_persons(tx, &found, false).await?;
    let keys: Vec<i64> = rows.iter().map(|i| i.key).collect();
    let mut known: HashMap<i64, Demographics> = identity::known(tx, &keys).await?.into_iter().collect();
    let mut by_person: HashMap<i64, Vec<Demographics>> = HashMap::new();
    for row in rows {
        if let Some(d) = known.remove(&row.key) {
            by_person.entry(row.person_key).or_default().push(d);
        }
    }
    Ok(found.into_iter().filter(|p| by_person.get(p).is_some_and(|known| sieve.lets_pass(known))).collect())
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

/// Index and sieve of a query.
fn read(query: &DemographicsQuery) -> (Question, Sieve) {
    let mut sieve = Sieve { sex: query.sex.clone(), ..Sieve::default() };
    sieve.address = query.address.as_deref().map(folded_address).filter(|a| !a.is_empty());
    let name = |(value, how): &(String, Representation)| -> Option<Wanted> {
        let (value, starred) = match value.trim().strip_suffix('*') {
            Some(rest) => (rest, true),
            None => (value.trim(), false),
        };
        let prefix = starred || *how == Representation::Prefix;
        let value = match query.fuzzy {
            true => terms::sound(value),
            false => fold::search(value),
        };
        (!value.is_empty()).then_some(Wanted { value, prefix })
    };
    let exact = |list: &[(String, Representation)]| -> Vec<String> {
        list.iter().filter(|(_, how)| *how == Representation::Exact).map(|(value, _)| value.clone()).collect()
    };
    sieve.families = exact(&query.family);
    sieve.givens = exact(&query.given);
    let mut question = Question {
        families: query.family.iter().filter_map(name).collect(),
        givens: query.given.iter().filter_map(name).collect(),
        birth: query.birth_date.as_deref().map(terms::day).filter(|d| !d.is_empty()),
        ..Question::default()
    };
    let whole = |value: String| Wanted { value, prefix: false };
    let mut term = |kind: TermKind, value: Option<String>, prefix: bool| {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            question.terms.push((kind, Wanted { prefix, ..whole(value) }));
        }
    };
    term(TermKind::Account, query.account.as_deref().map(terms::account), false);
    term(TermKind::Phone, query.phone.as_deref().map(terms::phone), false);
    let postal = query.postal_code.as_deref().map(terms::postal);
    let part = postal.as_ref().is_some_and(|p| p.len() < 7);
    term(TermKind::Postal, postal, part);
    if let Some((value, how)) = &query.mother_maiden_name {
        let (value, starred) = match value.trim().strip_suffix('*') {
            Some(rest) => (rest, true),
            None => (value.trim(), false),
        };
        term(TermKind::Mother, Some(fold::search(value)), starred || *how == Representation::Prefix);
    }
    (question, sieve)
}

/// How well what is found fits: all of it was asked for, to the letter or nearly.
fn fit(query: &DemographicsQuery) -> u8 {
    let part = |list: &[(String, Representation)]| {
        list.iter().any(|(v, how)| *how == Representation::Prefix || v.ends_with('*'))
    };
    match (query.fuzzy, part(&query.family) || part(&query.given)) {
        (true, _) => 80,
        (false, true) => 90,
        (false, false) => 100,
    }
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

/// The question as the audit record keeps it.
fn described(query: &DemographicsQuery) -> String {
    let mut said: Vec<String> = vec![];
    let mut say = |name: &str, value: &str| {
        // Ids and telephones may have twelve digits of their own; an id that may not be asked for is refused.
        let free = !matches!(name, "id" | "phone");
        let value = if free && number::holds_individual(value) { "(struck out)" } else { value };
        said.push(format!("{name}={value}"));
    };
    query.ids.iter().for_each(|id| say("id", &id.value));
    query.family.iter().for_each(|(v, _)| say("family", v));
    query.given.iter().for_each(|(v, _)| say("given", v));
    for (name, value) in [
        ("birthDate", &query.birth_date),
        ("sex", &query.sex),
        ("postalCode", &query.postal_code),
        ("address", &query.address),
        ("phone", &query.phone),
        ("account", &query.account),
    ] {
        if let Some(value) = value {
            say(name, value);
        }
    }
    if let Some((value, _)) = &query.mother_maiden_name {
        say("mothersMaidenName", value);
    }
    said.join("&")
}
