//! The decision: a new identity joins one person, or somebody looks at it, or it is a new person
//! (patient-identity.md §6.5).
//!
//! There is no transitive closure: an identity joins one person, against all of whose identities it was held. Two
//! persons are never joined here.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use super::features::Features;
use super::levels;
use super::model::Model;
use super::score::{Comparison, Field, Level, Score, Veto, Vetoes};

/// Persons a judgement names, at most: a reviewer reads no more.
const NAMED: usize = 10;

/// The identity that looks for its person.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The assigning authority (OID).
    pub domain: &'a str,
    pub features: &'a Features,
}

/// An identity that is there already.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Its row.
    pub key: i64,
    pub domain: &'a str,
    pub features: &'a Features,
    /// Somebody said that it is not the subject.
    pub do_not_link: bool,
}

/// A person with all its active identities, of which at least one shares a key with the subject.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    pub person: i64,
    pub identities: Vec<Known<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    Link(i64),
    /// A new person, until somebody has looked at those in `ranked`.
    Review,
    New,
}

/// Why the outcome is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// Nobody shares a key.
    NoCandidate,
    /// Nobody reaches the threshold of review.
    Below,
    /// Weight, corroboration, nothing against it.
    Certain,
    /// 保険者番号, 記号, 番号, 枝番 and birth date are the same.
    StrongIdentifier,
    /// Between the thresholds.
    Between,
    Vetoed(Veto),
    /// Heavy enough, but name and birth date alone may be a namesake's.
    Uncorroborated,
    /// Another person is as near.
    TwoPersons,
}

/// A person as it was weighed: by its best identity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    pub person: i64,
    pub identity: i64,
    pub score: Score,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    pub outcome: Outcome,
    pub reason: Reason,
    /// Persons worth looking at, best first; where there are none, the best one all the same.
    pub ranked: Vec<Ranked>,
}

/// A person held against the subject.
struct Held {
    /// Which candidate, and which of its identities is best.
    person: usize,
    identity: usize,
    best: Comparison,
    /// Of the best identity, and conflicts with any.
    vetoes: Vetoes,
    /// Address, telephone or insurance agrees with any identity's.
    agrees: bool,
    corroborated: bool,
    strong: bool,
}

impl Held {
    /// Told apart by what is known of them, not only in doubt.
    fn is_another(&self) -> bool {
        [
            Veto::GivenName,
            Veto::Sex,
            Veto::Branch,
            Veto::BirthDate,
            Veto::BirthOrder,
            Veto::DoNotLink,
            Veto::Deceased,
        ]
        .into_iter()
        .any(|v| self.vetoes.has(v))
    }
}

impl Model {
    /// Decides about `subject`. Candidates are the persons that share a key with it.
    pub fn decide(&self, population: u64, subject: &Subject<'_>, candidates: &[Candidate<'_>]) -> Judgement {
        let limits = self.thresholds();
        let held = self.held(population, subject, candidates);
        let (outcome, reason) = self.choose(limits.link, limits.review, limits.margin, &held, candidates);
        let shown = held.iter().take_while(|h| h.best.total >= limits.review && h.is_worth_a_look());
        let shown = shown.count().clamp(1, NAMED);
        let ranked = held.iter().take(shown).filter_map(|h| h.ranked(subject, candidates));
        Judgement { outcome, reason, ranked: ranked.collect() }
    }

    /// Every person that would be linked if it were the only one near, best first. Where [`decide`](Self::decide) links,
    /// the one linked is among them; several are persons that nobody could tell apart.
    pub fn certain(
        &self,
        population: u64,
        subject: &Subject<'_>,
        candidates: &[Candidate<'_>],
    ) -> Vec<Ranked> {
        let link = self.thresholds().link;
        let held = self.held(population, subject, candidates);
        held.iter().filter(|h| h.is_certain(link)).filter_map(|h| h.ranked(subject, candidates)).collect()
    }

    /// The candidates as they were weighed, best first.
    fn held(&self, population: u64, subject: &Subject<'_>, candidates: &[Candidate<'_>]) -> Vec<Held> {
        let mut held: Vec<Held> = candidates
            .iter()
            .enumerate()
            .filter_map(|(at, candidate)| self.hold(population, subject, at, candidate))
            .collect();
        held.sort_by(|a, b| b.best.total.total_cmp(&a.best.total));
        let namesakes = self.namesakes_met(&held);
        for h in &mut held {
            let others = namesakes / self.data().birth_dates;
            h.corroborated = h.corroborated || self.is_rare(&h.best, h.best.namesakes.max(others));
        }
        held
    }

    /// Holds the subject against every identity of a person. None for a person without any.
    fn hold(
        &self,
        population: u64,
        subject: &Subject<'_>,
        at: usize,
        candidate: &Candidate<'_>,
    ) -> Option<Held> {
        let mut held: Option<Held> = None;
        let mut conflicts = Vetoes::default();
        let (mut agrees, mut strong) = (false, false);
        for (identity, known) in candidate.identities.iter().enumerate() {
            let mut c = self.compare(population, subject.features, known.features);
            if known.do_not_link {
                c.vetoes.add(Veto::DoNotLink);
            }
            if known.domain == subject.domain {
                c.vetoes.add(Veto::SameDomain);
            }
            conflicts = conflicts.all(c.vetoes.conflicts());
            agrees |= c.agrees;
            strong |= c.level(Field::Insurance) == Level::Equal && c.level(Field::BirthDate) == Level::Equal;
            if held.as_ref().is_none_or(|h| c.total > h.best.total) {
                let vetoes = c.vetoes;
                held =
                    Some(Held { person: at, identity, best: c, vetoes, agrees, corroborated: false, strong });
            }
        }
        let mut held = held?;
        held.vetoes = held.vetoes.all(conflicts);
        (held.agrees, held.corroborated, held.strong) = (agrees, agrees, strong);
        Some(held)
    }

    fn choose(
        &self,
        link: f64,
        review: f64,
        margin: f64,
        held: &[Held],
        candidates: &[Candidate<'_>],
    ) -> (Outcome, Reason) {
        let Some(first) = held.first() else { return (Outcome::New, Reason::NoCandidate) };
        if let Some((at, best)) = held.iter().enumerate().find(|(_, h)| h.is_certain(link)) {
            let near = |h: &Held| {
                h.best.total >= review && h.best.total > best.best.total - margin && !h.is_another()
            };
            if held.iter().enumerate().any(|(other, h)| other != at && near(h)) {
                return (Outcome::Review, Reason::TwoPersons);
            }
            let reason = if best.is_strong() { Reason::StrongIdentifier } else { Reason::Certain };
            return match candidates.get(best.person) {
                Some(candidate) => (Outcome::Link(candidate.person), reason),
                None => (Outcome::New, Reason::NoCandidate),
            };
        }
        let Some(first_worth) = held.iter().find(|h| h.best.total >= review && h.is_worth_a_look()) else {
            let reason = match first.vetoes.list().first() {
                Some(veto) if first.best.total >= review => Reason::Vetoed(*veto),
                _ => Reason::Below,
            };
            return (Outcome::New, reason);
        };
        let reason = match first_worth.vetoes.list().first() {
            Some(veto) => Reason::Vetoed(*veto),
            None if first_worth.best.total < link => Reason::Between,
            None => Reason::Uncorroborated,
        };
        (Outcome::Review, reason)
    }

    /// How many of the persons held bear the subject's name and have another birth date: where there are such, there
    /// may be one with the same.
    fn namesakes_met(&self, held: &[Held]) -> f64 {
        let namesake = |h: &&Held| {
            let level = |field: Field| h.best.level(field);
            let family =
                levels::is_same(level(Field::FamilyKana)) || levels::is_same(level(Field::FamilyKanji));
            let given = levels::is_same(level(Field::GivenKana)) || levels::is_same(level(Field::GivenKanji));
            family && given && matches!(level(Field::BirthDate), Level::Differs | Level::Partly)
        };
        held.iter().filter(namesake).count() as f64
    }
}

impl Held {
    /// Weight, corroboration and nothing against it; or a strong identifier.
    fn is_certain(&self, link: f64) -> bool {
        (self.best.total >= link && self.vetoes.is_empty() && self.corroborated) || self.is_strong()
    }

    /// With its reasons.
    fn ranked(&self, subject: &Subject<'_>, candidates: &[Candidate<'_>]) -> Option<Ranked> {
        let candidate = candidates.get(self.person)?;
        let known = candidate.identities.get(self.identity)?;
        let mut score = self.best.explain(subject.features, known.features, self.corroborated);
        score.vetoes = self.vetoes.list();
        Some(Ranked { person: candidate.person, identity: known.key, score })
    }

    /// The number of the insured person and the birth date: enough, unless something known speaks against it.
    fn is_strong(&self) -> bool {
        self.strong && self.vetoes.is_empty()
    }

    /// Whether a reviewer should see it: there is a doubt. Siblings, spouses and twins whose names are known are none.
    fn is_worth_a_look(&self) -> bool {
        let level = |field: Field| self.best.level(field);
        let given = self.vetoes.has(Veto::GivenName);
        let family = levels::is_same(level(Field::FamilyKana)) || levels::is_same(level(Field::FamilyKanji));
        // Twins: one family name, two given names in either script. A 通称名 has another family name too.
        let both = level(Field::GivenKana) == Level::Differs
            && matches!(level(Field::GivenKanji), Level::Differs | Level::Partly);
        let more = level(Field::BirthDate) == Level::Differs
            || [Veto::Sex, Veto::Branch, Veto::BirthOrder].into_iter().any(|v| self.vetoes.has(v));
        // A namesake born on another day, unless the house is the same: parent and child, or a date gone wrong.
        let namesake = self.vetoes.has(Veto::BirthDate) && !self.agrees;
        !(self.vetoes.has(Veto::DoNotLink) || namesake || given && (more || family && both))
    }
}
