//! A search by demographics taken apart: what an index finds, and what is looked at among what it found.

use std::collections::HashMap;

use super::{number, terms};
use crate::matching::fold;
use crate::model::identity::{Demographics, DemographicsQuery, PersonName, Representation};
use crate::store::db::{DbError, Tx};
use crate::store::mpi::identity;
use crate::store::mpi::search::{Question, TermKind, Wanted};

/// What is looked at among what an index found.
#[derive(Clone, Default)]
pub(super) struct Sieve {
    sex: Option<String>,
    address: Option<String>,
    families: Vec<String>,
    givens: Vec<String>,
}

impl Sieve {
    pub fn is_open(&self) -> bool {
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

/// Those of the persons found whom the sieve lets pass.
pub(super) async fn sieved(tx: &mut Tx<'_>, found: Vec<i64>, sieve: &Sieve) -> Result<Vec<i64>, DbError> {
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

/// Index and sieve of a query.
pub(super) fn read(query: &DemographicsQuery) -> (Question, Sieve) {
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
pub(super) fn fit(query: &DemographicsQuery) -> u8 {
    let part = |list: &[(String, Representation)]| {
        list.iter().any(|(v, how)| *how == Representation::Prefix || v.ends_with('*'))
    };
    match (query.fuzzy, part(&query.family) || part(&query.given)) {
        (true, _) => 80,
        (false, true) => 90,
        (false, false) => 100,
    }
}

/// The question as the audit record keeps it.
pub(super) fn described(query: &DemographicsQuery) -> String {
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
