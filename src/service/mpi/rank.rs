//! Persons weighed against what is described, best first: ITI-119, and the parts of it that others ask by.

use std::collections::HashMap;
use std::sync::Arc;

use super::search::load;
use super::seen::seen;
use super::{Grade, Likely, Mpi, Refusal, admit, cx, weigh};
use crate::matching::{Candidate, Features, Known, Outcome as Judged, Subject as Weighed};
use crate::model::audit::Outcome;
use crate::model::identity::{Demographics, DomainId, SentId, Source};
use crate::service::context::{Context, Subject};
use crate::service::database;
use crate::store::db::{DbError, Tx};
use crate::store::mpi::identity::{self, Identity};
use crate::store::mpi::person;

impl Mpi {
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
