//! Identities and persons in memory: for bulk loads, trials and the evaluation. The service does the same over SQL.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::decide::{Candidate, Judgement, Known, Outcome, Subject};
use super::features::Features;
use super::keys::BLOCK_CAP;
use super::model::Model;

/// Keys are hashes already.
#[derive(Default)]
struct Taken(u64);

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_i64(&mut self, value: i64) {
        self.0 = value.cast_unsigned();
    }
}

/// The last posting of a block, and how many there are.
#[derive(Clone, Copy)]
struct Block {
    last: u32,
    size: u32,
}

/// An identity in a block, and the posting before it.
#[derive(Clone, Copy)]
struct Posting {
    identity: u32,
    before: u32,
}

const NONE: u32 = u32::MAX;

struct Entry {
    key: i64,
    domain: u32,
    person: u32,
    features: Features,
}

/// Identities by their keys, persons by their identities.
#[derive(Default)]
pub struct Index {
    entries: Vec<Entry>,
    domains: Vec<String>,
    domain_numbers: HashMap<String, u32>,
    /// Identities of each person.
    persons: Vec<Vec<u32>>,
    blocks: HashMap<i64, Block, BuildHasherDefault<Taken>>,
    postings: Vec<Posting>,
    skipped: u64,
}

impl Index {
    pub fn new() -> Self {
        Self::default()
    }

    /// How many identities there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many persons there are.
    pub fn persons(&self) -> usize {
        self.persons.len()
    }

    /// Look-ups that a block answered with nothing, because it holds more than [`BLOCK_CAP`].
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Identities that share a key with `features`, each once, in the order they came.
    pub fn sharing(&mut self, features: &Features) -> Vec<u32> {
        let population = self.entries.len() as u64;
        let mut found = vec![];
        for key in features.keys().iter().filter(|k| k.kind.asked(population)) {
            let Some(block) = self.blocks.get(&key.hash()) else { continue };
            if block.size as usize > BLOCK_CAP {
                self.skipped += 1;
                continue;
            }
            let mut at = block.last;
            while let Some(posting) = self.postings.get(at as usize) {
                found.push(posting.identity);
                at = posting.before;
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    pub fn features(&self, identity: u32) -> Option<&Features> {
        self.entries.get(identity as usize).map(|e| &e.features)
    }

    pub fn person(&self, identity: u32) -> Option<u32> {
        self.entries.get(identity as usize).map(|e| e.person)
    }

    /// What `model` says of an identity that is not here yet.
    pub fn judge(&mut self, model: &Model, domain: &str, features: &Features) -> Judgement {
        let mut persons: Vec<u32> =
            self.sharing(features).into_iter().filter_map(|i| self.person(i)).collect();
        persons.sort_unstable();
        persons.dedup();
        let candidates: Vec<Candidate<'_>> = persons.into_iter().map(|p| self.candidate(p)).collect();
        model.decide(self.entries.len() as u64, &Subject { domain, features }, &candidates)
    }

    fn candidate(&self, person: u32) -> Candidate<'_> {
        let identities = self.persons.get(person as usize).into_iter().flatten();
        let known = identities.filter_map(|i| self.entries.get(*i as usize)).map(|entry| Known {
            key: entry.key,
            domain: self.domains.get(entry.domain as usize).map_or("", String::as_str),
            features: &entry.features,
            do_not_link: false,
        });
        Candidate { person: i64::from(person), identities: known.collect() }
    }

    /// Adds an identity to the person its judgement names, or to a new one; returns that person.
    pub fn add(&mut self, key: i64, domain: &str, features: Features, outcome: Outcome) -> u32 {
        let identity = self.entries.len() as u32;
        let person = match outcome {
            Outcome::Link(person) if usize::try_from(person).is_ok_and(|p| p < self.persons.len()) => {
                person as u32
            }
            _ => {
                self.persons.push(vec![]);
                (self.persons.len() - 1) as u32
            }
        };
        if let Some(identities) = self.persons.get_mut(person as usize) {
            identities.push(identity);
        }
        for key in features.keys() {
            let at = self.postings.len() as u32;
            let block = self.blocks.entry(key.hash()).or_insert(Block { last: NONE, size: 0 });
            self.postings.push(Posting { identity, before: block.last });
            *block = Block { last: at, size: block.size + 1 };
        }
        let domain = match self.domain_numbers.get(domain) {
            Some(number) => *number,
            None => {
                let number = self.domains.len() as u32;
                self.domains.push(domain.to_owned());
                self.domain_numbers.insert(domain.to_owned(), number);
                number
            }
        };
        self.entries.push(Entry { key, domain, person, features });
        person
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::identity::{Address, Demographics, PersonName};

    fn sample(family: &str, given: &str, birth: &str, town: &str) -> Features {
        let name = PersonName { family: family.into(), given: given.into(), ..PersonName::default() };
        let address = Address { text: town.into(), postal_code: "9001234".into(), ..Address::default() };
        Features::of(&Demographics {
            names: Some(vec![name]),
            birth_date: Some(birth.into()),
            sex: Some("M".into()),
            addresses: Some(vec![address]),
            ..Demographics::default()
        })
    }

    #[test]
    fn an_identity_finds_its_person_and_another_does_not() {
        let model = Model::shipped();
        let mut index = Index::new();
        let first = sample("髙橋", "健一", "19800302", "東川市本町1-2-3");
        let judged = index.judge(&model, "1.2.3", &first);
        assert_eq!((judged.outcome, judged.ranked.len()), (Outcome::New, 0));
        let person = index.add(10, "1.2.3", first, judged.outcome);
        let same = sample("高橋", "健一", "昭和55年3月2日", "東川市本町一丁目2番3号");
        let judged = index.judge(&model, "1.2.4", &same);
        assert_eq!(judged.outcome, Outcome::Link(i64::from(person)));
        assert_eq!(judged.ranked[0].identity, 10);
        assert_eq!(index.add(11, "1.2.4", same, judged.outcome), person);
        let other = sample("高橋", "健二", "19820405", "東川市本町1-2-3");
        let judged = index.judge(&model, "1.2.4", &other);
        assert_eq!(judged.outcome, Outcome::New);
        assert_ne!(index.add(12, "1.2.4", other, judged.outcome), person);
        assert_eq!((index.len(), index.persons()), (3, 2));
    }

    #[test]
    fn a_block_that_is_too_large_is_skipped_and_counted() {
        let mut index = Index::new();
        for n in 0..=BLOCK_CAP as i64 {
            let birth = format!("{}0101", 1900 + n % 90);
            index.add(n, "1.2.3", sample("山田", "太郎", &birth, ""), Outcome::New);
        }
        assert!(index.sharing(&sample("山田", "太郎", "", "")).is_empty());
        assert_eq!(index.skipped(), 1);
    }
}
