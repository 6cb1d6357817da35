//! Who of this network is meant by what another community says of a patient (ITI-55): only somebody certain is told,
//! and of those who only come near nobody learns.

use std::sync::Arc;

use super::admit;
use super::rank::{candidates, near, percent, persons_of, stored};
use super::search::load;
use super::seen::{Telling, seen};
use super::{FoundPatient, Mpi, Refusal, number};
use crate::matching::levels::is_same;
use crate::matching::{Candidate, Features, Field, Judgement, Level, Model, Outcome, Ranked, Subject};
use crate::model::identity::{Demographics, Discovery, DomainId, Sent, Source, Trouble, Update, Wanted};
use crate::service::context::Context;
use crate::service::database;
use crate::store::db::{DbError, Tx};
use crate::store::mpi::{identity, person};

/// What is known of somebody described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Discovered {
    /// Each of them as certain as a link must be; none: nobody.
    Found(Vec<FoundPatient>),
    /// Somebody has the name and the birth date; with this it would be certain, or not.
    Wanted(Vec<Wanted>),
    /// Neither name and birth date nor an id of a domain that is known here.
    NotAvailable,
}

/// What is looked for, made before the transaction begins.
struct Search {
    features: Features,
    /// In domains known here.
    ids: Vec<DomainId>,
    described: bool,
    least: u8,
    model: Arc<Model>,
    population: u64,
    cap: usize,
    network: String,
    missing: Vec<Wanted>,
    telling: Telling,
}

impl Mpi {
    /// Who is meant. Leaves no audit record: the gateway that asks this does.
    pub async fn discover(&self, context: &Context, discovery: &Discovery) -> Result<Discovered, Refusal> {
        let ids = self.known_ids(discovery)?;
        if !discovery.describes() && ids.is_empty() {
            return Ok(Discovered::NotAvailable);
        }
        let described = &discovery.described;
        let missing = [
            (Wanted::Address, described.addresses.is_none()),
            (Wanted::Telecom, described.phones.is_none()),
            (Wanted::Gender, described.sex.is_none()),
        ];
        let search = Arc::new(Search {
            features: Features::of(described),
            ids,
            described: discovery.describes(),
            least: discovery.least,
            model: self.model(),
            population: self.population().await.map_err(|e| Refusal::Error(database(e)))?,
            cap: usize::try_from(self.settings.config.block_limit).unwrap_or(usize::MAX),
            network: self.settings.domains.network().oid.clone(),
            telling: self.telling(context),
            missing: missing.into_iter().filter(|(_, missing)| *missing).map(|(wanted, _)| wanted).collect(),
        });
        // Weighed and loaded in one state of the index, so that nobody is joined to another in between.
        self.db
            .snapshot(move |tx| {
                let search = search.clone();
                Box::pin(async move { look(tx, &search).await })
            })
            .await
            .map_err(|e: DbError| Refusal::Error(database(e)))
    }

    /// The ids of domains known here; those of other domains tell nothing. What may not be said at all is refused.
    fn known_ids(&self, discovery: &Discovery) -> Result<Vec<DomainId>, Refusal> {
        let (mut known, mut refused) = (vec![], vec![]);
        for id in &discovery.ids {
            match admit::resolve(&self.settings.domains, &Source::default(), id) {
                Ok(resolved) => known.push(resolved.id),
                Err(e) if e.trouble == Trouble::UnknownAuthority => {}
                Err(e) => refused.push(e),
            }
        }
        // Of dates, an impossible one speaks for nobody; the rest is what a feed would be refused for.
        let said = admit::sent(&sent(&discovery.described));
        refused.extend(said.into_iter().filter(|e| e.trouble != Trouble::BadValue));
        if refused.is_empty() { Ok(known) } else { Err(Refusal::Identity(refused)) }
    }

    /// Who has an id of the network, with what is known of them; none if it is nobody's (any more).
    pub async fn known(&self, value: &str) -> Result<Option<FoundPatient>, Refusal> {
        let (value, network) = (value.to_owned(), self.settings.domains.network().oid.clone());
        self.db
            .snapshot(move |tx| {
                let (value, network) = (value.clone(), network.clone());
                Box::pin(async move {
                    let person = person::by_value(tx, &value).await?.filter(|p| p.replaced_by.is_none());
                    let Some(person) = person else { return Ok(None) };
                    let found = load(tx, &[(person.key, 100)], &[], &network).await?;
                    Ok(found.into_iter().next().map(|(_, patient)| patient))
                })
            })
            .await
            .map_err(|e: DbError| Refusal::Error(database(e)))
    }

    /// A question as a record may keep it: without what could be a 個人番号.
    pub fn recordable(&self, query: &str) -> String {
        String::from_utf8_lossy(&number::struck(query.as_bytes(), &[])).into_owned()
    }

    /// Whether two descriptions are certainly of one person, by the index's own measure.
    pub async fn is_certainly(&self, ours: &Demographics, theirs: &Demographics) -> Result<bool, Refusal> {
        let population = self.population().await.map_err(|e| Refusal::Error(database(e)))?;
        let (ours, theirs) = (Features::of(ours), Features::of(theirs));
        let known =
            crate::matching::Known { key: 1, domain: "theirs", features: &theirs, do_not_link: false };
        let candidate = Candidate { person: 1, identities: vec![known] };
        let subject = Subject { domain: "ours", features: &ours };
        Ok(self.model().decide(population, &subject, &[candidate]).outcome == Outcome::Link(1))
    }
}

/// What is described, as a feed would say it.
fn sent(of: &Demographics) -> Sent {
    fn said<T: Clone>(value: &Option<T>) -> Update<T> {
        value.clone().map_or(Update::Keep, Update::Set)
    }
    Sent {
        names: said(&of.names),
        birth_date: said(&of.birth_date),
        sex: said(&of.sex),
        addresses: said(&of.addresses),
        phones: said(&of.phones),
        mother_maiden_name: said(&of.mother_maiden_name),
        ..Sent::default()
    }
}

async fn look(tx: &mut Tx<'_>, search: &Search) -> Result<Discovered, DbError> {
    let named = persons_of(tx, &search.ids, &search.network).await?;
    let mut all = match search.described {
        true => near(tx, &search.features, search.population, search.cap).await?,
        false => vec![],
    };
    all.extend(&named);
    // Who is not to be told is nobody: not even that somebody comes near is said.
    let told = seen(tx, &search.telling, &all).await?;
    all.retain(|person| told.contains(person));
    let named: Vec<i64> = named.into_iter().filter(|person| told.contains(person)).collect();
    let rows = identity::of_persons(tx, &all, false).await?;
    let stored = stored(&rows)?;
    let candidates = candidates(&stored);
    let subject = Subject { domain: "", features: &search.features };
    let (model, population) = (&search.model, search.population);
    let judgement = model.decide(population, &subject, &candidates);
    let mut persons: Vec<(i64, u8)> = match (judgement.outcome, search.described) {
        (_, false) => vec![],
        (Outcome::Link(person), true) => {
            judgement.ranked.iter().filter(|r| r.person == person).map(scored).collect()
        }
        // One alone whom another comes near is not certain; several who are, nobody can tell apart.
        (Outcome::Review | Outcome::New, true) => {
            let certain = model.certain(population, &subject, &candidates);
            if certain.len() > 1 { certain.iter().map(scored).collect() } else { vec![] }
        }
    };
    for person in named {
        // Whose id is known is that patient, unless what else is said is somebody else's.
        let own: Vec<Candidate<'_>> = candidates.iter().filter(|c| c.person == person).cloned().collect();
        let alone = model.decide(population, &subject, &own);
        let review = model.thresholds().review;
        let fits = alone.ranked.iter().all(|r| {
            !r.score.vetoes.iter().any(|v| v.is_conflict()) && (!search.described || r.score.total >= review)
        });
        persons = if fits { vec![(person, 100)] } else { vec![] };
    }
    persons.retain(|(_, score)| *score >= search.least);
    let in_doubt = persons.is_empty() && search.described && search.ids.is_empty() && is_close(&judgement);
    if in_doubt && !search.missing.is_empty() {
        return Ok(Discovered::Wanted(search.missing.clone()));
    }
    let found = load(tx, &persons, &[], &search.network).await?;
    Ok(Discovered::Found(found.into_iter().map(|(_, patient)| patient).collect()))
}

fn scored(ranked: &Ranked) -> (i64, u8) {
    (ranked.person, percent(ranked.score.total))
}

/// Whether somebody is in doubt whose name and birth date are those described, and nothing speaks against it.
fn is_close(judgement: &Judgement) -> bool {
    judgement.outcome == Outcome::Review
        && judgement.ranked.first().is_some_and(|first| {
            let level = |field| first.score.fields.iter().find(|f| f.field == field).map(|f| f.level);
            let same = |kana, kanji| [kana, kanji].into_iter().filter_map(level).any(is_same);
            same(Field::FamilyKana, Field::FamilyKanji)
                && same(Field::GivenKana, Field::GivenKanji)
                && level(Field::BirthDate) == Some(Level::Equal)
                && first.score.vetoes.is_empty()
        })
}
