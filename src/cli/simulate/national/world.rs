//! What the service holds, and the effects that alone may change it. An effect is what the journal keeps.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::contract::Service;
use super::directory::{Directory, Entry};
use super::envelope::{Answer, Request, Triple};
use super::unit::{Gone, LAST, State, Unit};
use super::validate::Mode;

/// Which guide's rules hold: "1.2.0" knows no discharge summary after its letter, "2.0.0" does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum RuleSet {
    #[default]
    #[serde(rename = "1.2.0")]
    V1_2_0,
    #[serde(rename = "2.0.0")]
    V2_0_0,
}

impl RuleSet {
    pub fn as_str(self) -> &'static str {
        match self {
            RuleSet::V1_2_0 => "1.2.0",
            RuleSet::V2_0_0 => "2.0.0",
        }
    }
}

/// How the service behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Settings {
    pub validation: Mode,
    pub rule_set: RuleSet,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    Registered(Box<Unit>),
    Gone {
        receipt: u64,
        at: Timestamp,
        how: Gone,
    },
    Restored {
        receipt: u64,
    },
    Received {
        receipt: u64,
        at: Timestamp,
    },
    Consented {
        receipt: u64,
    },
    /// The last answer under a key.
    Answered {
        institution: String,
        key: String,
        digest: String,
        answer: Box<Answer>,
    },
    /// Taken, and not worked on yet: what the caller sent, to be done when it is asked for.
    Waiting {
        institution: String,
        key: String,
        digest: String,
        op: String,
        body: String,
    },
    Directory(Entry),
    Settings(Settings),
    /// The clock goes ahead of the machine's by so many microseconds.
    Clock(i64),
}

/// What is known under a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Known {
    Answered { digest: String, answer: Answer },
    Waiting { digest: String, op: String, body: String },
}

impl Known {
    pub fn digest(&self) -> &str {
        match self {
            Known::Answered { digest, .. } | Known::Waiting { digest, .. } => digest,
        }
    }
}

/// Everything held.
#[derive(Debug, Default)]
pub struct World {
    units: BTreeMap<u64, Unit>,
    /// The newest unit under each name.
    named: HashMap<Triple, u64>,
    /// By institution and key.
    known: HashMap<(String, String), Known>,
    pub directory: Directory,
    pub settings: Settings,
    ahead: i64,
}

impl World {
    pub fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Registered(unit) => {
                self.named.insert(unit.triple.clone(), unit.receipt);
                self.units.insert(unit.receipt, *unit);
            }
            Effect::Gone { receipt, at, how } => self.change(receipt, |u| u.gone = Some((at, how))),
            Effect::Restored { receipt } => self.change(receipt, |u| u.gone = None),
            Effect::Received { receipt, at } => {
                self.change(receipt, |u| u.received = u.received.or(Some(at)))
            }
            Effect::Consented { receipt } => self.change(receipt, |u| u.consented = true),
            Effect::Answered { institution, key, digest, answer } => {
                self.known.insert((institution, key), Known::Answered { digest, answer: *answer });
            }
            Effect::Waiting { institution, key, digest, op, body } => {
                self.known.insert((institution, key), Known::Waiting { digest, op, body });
            }
            Effect::Directory(entry) => self.directory.set(&entry),
            Effect::Settings(settings) => self.settings = settings,
            Effect::Clock(micros) => self.ahead = micros,
        }
    }

    fn change(&mut self, receipt: u64, how: impl FnOnce(&mut Unit)) {
        if let Some(unit) = self.units.get_mut(&receipt) {
            how(unit);
        }
    }

    /// The time of the service.
    pub fn now(&self, machine: Timestamp) -> Timestamp {
        machine.saturating_add(SignedDuration::from_micros(self.ahead)).unwrap_or(Timestamp::MAX)
    }

    pub fn ahead(&self) -> i64 {
        self.ahead
    }

    pub fn units(&self) -> impl Iterator<Item = &Unit> {
        self.units.values()
    }

    pub fn unit(&self, receipt: u64) -> Option<&Unit> {
        self.units.get(&receipt)
    }

    /// The newest unit under a name, whether held or gone.
    pub fn named(&self, triple: &Triple) -> Option<&Unit> {
        self.units.get(self.named.get(triple)?)
    }

    /// The unit held under a name.
    pub fn held(&self, triple: &Triple, now: Timestamp) -> Option<&Unit> {
        self.named(triple).filter(|u| self.state(u, now).live())
    }

    pub fn known(&self, institution: &str, key: &str) -> Option<&Known> {
        self.known.get(&(institution.to_owned(), key.to_owned()))
    }

    pub fn keys(&self) -> usize {
        self.known.len()
    }

    /// Calls taken and not worked on yet: institution, key.
    pub fn waiting(&self) -> Vec<(String, String)> {
        let waits = self.known.iter().filter(|(_, known)| matches!(known, Known::Waiting { .. }));
        let mut waits: Vec<_> = waits.map(|(at, _)| at.clone()).collect();
        waits.sort();
        waits
    }

    pub fn next_receipt(&self) -> u64 {
        self.units.last_key_value().map_or(1, |(last, _)| last.saturating_add(1))
    }

    /// Where a unit stands now.
    pub fn state(&self, unit: &Unit, now: Timestamp) -> State {
        match unit.gone {
            Some((_, Gone::Cancelled)) => return State::Cancelled,
            Some((_, Gone::Replaced(_))) => return State::Replaced,
            None => {}
        }
        // A summary is kept as long as the letter it is attached to (national-service.md §1.2).
        let letter = unit.attached.and_then(|_| self.units().filter(|u| unit.is_attached_to(u)).last());
        let over = match letter.unwrap_or(unit).ends() {
            Some(end) => now >= end,
            None => self.retained(unit, now).is_empty(),
        };
        match (unit.service, unit.received, unit.consented) {
            _ if over => State::Expired,
            (Service::Referral, Some(_), _) => State::Received,
            (Service::Referral, None, true) => State::Viewable,
            (Service::Referral, None, false) => State::Pending,
            _ => State::Registered,
        }
    }

    /// Which of a unit's resources are still kept, as places in its list (national-service.md §1.3). Of a letter these
    /// are its prescriptions, which outlive it; what was cancelled or replaced keeps none.
    pub fn retained(&self, unit: &Unit, now: Timestamp) -> Vec<usize> {
        if unit.gone.is_some() {
            return vec![];
        }
        let kept = unit.resources.iter().enumerate().filter(|(at, resource)| {
            resource.long_term
                || now < resource.information.kept().until(unit.registered)
                || (resource.information.keeps_last() && self.among_last(unit, *at))
        });
        kept.map(|(at, _)| at).collect()
    }

    /// Whether fewer than [`LAST`] later ones of the same person's same item are held.
    fn among_last(&self, unit: &Unit, at: usize) -> bool {
        let Some(one) = unit.resources.get(at) else { return false };
        let rank = |u: &Unit, at: usize, when: &str| (when.to_owned(), u.receipt, at);
        let mine = rank(unit, at, &one.when);
        let later = self
            .units
            .values()
            .filter(|u| u.gone.is_none() && u.triple.insured == unit.triple.insured)
            .flat_map(|u| u.resources.iter().enumerate().map(move |(at, r)| (u, at, r)))
            .filter(|(_, _, r)| r.information == one.information && r.item == one.item)
            .filter(|(u, at, r)| rank(u, *at, &r.when) > mine);
        later.take(LAST).count() < LAST
    }
}

/// A call that waited, as a request again.
pub fn wake(op: &str, body: &str) -> Option<Request> {
    Request::read(super::contract::Op::named(op)?, body.as_bytes()).ok()
}
