//! One patient: the chain against itself, the rows against the chain.

use std::collections::{HashMap, HashSet};

use super::{Counts, Fault, Finding};
use crate::store::db::{DbError, Tx};
use crate::store::documents;
use crate::store::registry::change::{DOCUMENT, Operation};
use crate::store::registry::history::{self, Held, LinkRow, Proven};
use crate::store::registry::kind;
use crate::store::registry::state::{self, Digest};

pub(super) struct Proof {
    pub patient_key: i64,
    pub counts: Counts,
    /// Seq and hash of the last link at each moment asked for.
    pub heads: Vec<Option<(i64, String)>>,
    pub findings: Vec<Finding>,
}

/// What the chain says of an object: its changes, oldest first.
#[derive(Default)]
struct Told(Vec<Event>);

struct Event {
    seq: i64,
    at: i64,
    operation: Operation,
    /// The state it left; none for a removal.
    state: Option<Digest>,
}

impl Told {
    /// The state after the last change before `seq`; `None` if nothing is told of that time.
    fn before(&self, seq: i64) -> Option<Option<Digest>> {
        self.0.iter().rev().find(|event| event.seq < seq).map(|event| event.state)
    }
}

type Tale = HashMap<(i64, String), Told>;

struct Prover {
    patient_key: i64,
    began: i64,
    counts: Counts,
    findings: Vec<Finding>,
}

/// Everything kept of a patient, in one state of the database.
pub(super) async fn prove(
    tx: &mut Tx<'_>,
    patient_key: i64,
    repository: Option<&str>,
    moments: &[i64],
    began: i64,
) -> Result<Proof, DbError> {
    let mut prover = Prover { patient_key, began, counts: Counts::default(), findings: vec![] };
    let chain = history::chain(tx, patient_key).await?;
    let tale = prover.chain(&chain);
    for kept in state::all() {
        let rows = history::proven(tx, kept, patient_key).await?;
        prover.rows(tx, kind::of(kept.kind), &rows, &tale).await?;
    }
    prover.documents(tx, &tale).await?;
    if let Some(repository) = repository {
        for held in history::documents(tx, patient_key, repository).await? {
            prover.held(&held);
        }
    }
    let head = |moment: &i64| {
        let last = chain.iter().rev().find(|link| link.at <= *moment)?;
        Some((last.seq, last.hash.clone()))
    };
    let heads = moments.iter().map(head).collect();
    Ok(Proof { patient_key, counts: prover.counts, heads, findings: prover.findings })
}

impl Prover {
    fn found(&mut self, fault: Fault, object: Option<(i64, &str)>, seq: Option<i64>, detail: Option<String>) {
        self.findings.push(Finding {
            patient_key: Some(self.patient_key),
            kind: object.map(|(of, _)| name(of)),
            id: object.map(|(_, id)| id.to_owned()),
            seq,
            detail,
            ..Finding::new(fault)
        });
    }

    fn chain(&mut self, chain: &[LinkRow]) -> Tale {
        let mut tale = Tale::new();
        let (mut expected, mut latest, mut previous) = (1, i64::MIN, None);
        for link in chain {
            self.counts.changes += 1;
            if link.seq != expected {
                self.found(Fault::ChainGap, None, Some(link.seq), Some(format!("{expected} expected")));
            }
            if link.at <= latest {
                self.found(Fault::ChainTime, None, Some(link.seq), None);
            }
            let stored = Digest::parse(&link.hash);
            // After a gap there is nothing to hash against; one finding is enough.
            let follows = link.seq == expected;
            if stored.is_none() || (follows && stored != Some(link.link().hash(previous.as_ref()))) {
                self.found(Fault::ChainHash, None, Some(link.seq), None);
            }
            match link.items() {
                None => self.found(Fault::ChainContents, None, Some(link.seq), None),
                Some(items) => {
                    for item in items {
                        let state = match item.2 {
                            Operation::Removed => None,
                            // A state that is no hash fits no row.
                            _ => Some(item.3.as_deref().and_then(Digest::parse).unwrap_or(Digest([0; 32]))),
                        };
                        let event = Event { seq: link.seq, at: link.at, operation: item.2, state };
                        tale.entry((item.0, item.1)).or_default().0.push(event);
                    }
                }
            }
            (expected, latest, previous) = (link.seq.saturating_add(1), link.at, stored);
        }
        tale
    }

    /// Rows of one kind, current and past.
    async fn rows(&mut self, tx: &mut Tx<'_>, of: i64, rows: &[Proven], tale: &Tale) -> Result<(), DbError> {
        let mut seen: HashSet<(&str, Option<i64>)> = HashSet::new();
        for row in rows {
            let object = Some((of, row.id.as_str()));
            let told = tale.get(&(of, row.id.clone()));
            let ended_by = row.ended.map(|(_, seq)| seq);
            seen.insert((&row.id, ended_by));
            let expected = told.and_then(|told| told.before(ended_by.unwrap_or(i64::MAX)));
            match row.ended {
                None => self.counts.objects += 1,
                Some((valid_to, seq)) => {
                    self.counts.past_states += 1;
                    // The change that ended it knows of it and has its time.
                    let ends = told.is_some_and(|t| t.0.iter().any(|e| e.seq == seq && e.at == valid_to));
                    if !ends {
                        self.found(Fault::Unrecorded, object, Some(seq), None);
                        continue;
                    }
                }
            }
            match expected {
                Some(Some(state)) if state == row.state => {}
                Some(Some(_)) => self.found(Fault::Altered, object, ended_by, None),
                None if row.registered_at < self.began => self.counts.before_history += 1,
                None | Some(None) => self.found(Fault::Unrecorded, object, ended_by, None),
            }
            if row.ended.is_none() {
                self.identity(tx, of, &row.id).await?;
            }
        }
        for ((kind, id), told) in tale.iter().filter(|((kind, _), _)| *kind == of) {
            let object = Some((*kind, id.as_str()));
            let lives = told.0.last().is_some_and(|event| event.state.is_some());
            if lives && !seen.contains(&(id.as_str(), None)) {
                self.found(Fault::Missing, object, None, None);
            }
            for event in &told.0 {
                let ended_one = match told.before(event.seq) {
                    Some(state) => state.is_some(),
                    // What it changed is older than the history.
                    None => matches!(event.operation, Operation::Status | Operation::Touched),
                };
                if ended_one && !seen.contains(&(id.as_str(), Some(event.seq))) {
                    self.found(Fault::Missing, object, Some(event.seq), None);
                }
            }
        }
        Ok(())
    }

    async fn identity(&mut self, tx: &mut Tx<'_>, of: i64, id: &str) -> Result<(), DbError> {
        let known = history::identity(tx, id).await?;
        // An association may be kept under a second patient.
        let fits = known.is_some_and(|(kind, key, removed)| {
            kind == of && !removed && (key == self.patient_key || of == kind::ASSOCIATION)
        });
        if !fits {
            self.found(Fault::Identity, Some((of, id)), None, None);
        }
        Ok(())
    }

    /// Documents the chain tells of, against the repository's index.
    async fn documents(&mut self, tx: &mut Tx<'_>, tale: &Tale) -> Result<(), DbError> {
        for ((_, id), told) in tale.iter().filter(|((kind, _), _)| *kind == DOCUMENT) {
            let indexed = documents::find(tx, id).await?.map(|d| state::of_document(&d));
            let object = Some((DOCUMENT, id.as_str()));
            match (told.0.last().and_then(|event| event.state), indexed) {
                (Some(told), Some(indexed)) if told == indexed => {}
                // Removed here, it may have been stored again for another patient.
                (None, _) => {}
                (Some(_), None) => self.found(Fault::Missing, object, None, None),
                (Some(_), Some(_)) => self.found(Fault::DocumentIndex, object, None, None),
            }
        }
        Ok(())
    }

    /// An entry whose document is here, against the repository's index. One whose document never came here
    /// (ITI-42 may say so) is no alteration.
    fn held(&mut self, held: &Held) {
        let Some((stored_hash, stored_size)) = &held.stored else { return };
        let (hash, size) = &held.entry;
        let fits = hash.as_ref().is_none_or(|hash| hash.trim().eq_ignore_ascii_case(stored_hash))
            && size.is_none_or(|size| size == *stored_size);
        if !fits {
            self.found(Fault::DocumentIndex, Some((kind::DOCUMENT_ENTRY, &held.id)), None, None);
        }
    }
}

fn name(of: i64) -> &'static str {
    if of == DOCUMENT { "Document" } else { kind::from_i64(of).as_str() }
}
