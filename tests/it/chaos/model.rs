//! What clients were told, and what must therefore be found.
//!
//! A [`Lineage`] is a logical document: every version of its DocumentEntry, with the SubmissionSets and
//! Associations that brought them. Each belongs to one client, so that the order of its changes is known. A
//! [`Deed`] is one request with what becomes of lineages if it is done.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chiren::model::metadata::{AvailabilityStatus, DocumentEntry, MetadataObject};
use chiren::model::transaction::Transaction;
use chiren::synthetic::SplitMix64;

/// A logical document as it stands; all that is known of it is what a client sent.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The current version as sent, with its version number, logicalID and entryUUID.
    pub entry: DocumentEntry,
    pub approved: bool,
    /// entryUUIDs of everything that came with it.
    pub objects: BTreeSet<String>,
    /// A relationship hangs on it, so it cannot be removed alone.
    pub related: bool,
}

/// What a request would change, and how it is recognised in the audit trail.
pub struct Deed {
    pub transaction: Transaction,
    pub request: Vec<u8>,
    /// SubmissionSet.uniqueId, the entryUUID that stands first among those removed, or the document's uniqueId.
    pub mark: String,
    /// Lineages by number, and their state once it is done; `None`: gone.
    pub after: Vec<(usize, Option<State>)>,
    /// A document that is stored with it: uniqueId, and the seed and size of its octets.
    pub document: Option<(String, Octets)>,
    /// A document that leaves with it: its uniqueId.
    pub removes: Option<String>,
}

/// What a client knows of a deed once its connection has ended or answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Done,
    /// Refused with the promise that nothing was changed.
    NotDone,
    /// No answer, or one that says it must be looked up.
    Nothing,
}

/// Random octets that need no memory between their making and their comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Octets {
    pub seed: u64,
    pub size: usize,
}

impl Octets {
    pub fn bytes(self) -> Vec<u8> {
        let mut random = SplitMix64::new(self.seed);
        let mut bytes: Vec<u8> =
            (0..self.size.div_ceil(8)).flat_map(|_| random.next_u64().to_le_bytes()).collect();
        bytes.truncate(self.size);
        bytes
    }
}

/// One client's patient, and all that is known of it.
#[derive(Default)]
pub struct Desk {
    pub patient: String,
    /// By number; `None` was never there or is gone.
    pub lineages: Vec<Option<State>>,
    /// Documents stored, by uniqueId.
    pub documents: BTreeMap<String, Octets>,
    /// Those stored since the last look.
    pub fresh: Vec<String>,
    /// Documents removed, by uniqueId.
    pub gone: Vec<String>,
    /// Deeds that are done, by mark: for the audit trail.
    pub done: HashMap<String, Transaction>,
    /// The one deed under way when the connection ended.
    pub open: Option<Deed>,
    /// What the present round tells.
    pub acknowledged: usize,
}

impl Desk {
    pub fn of(patient: String) -> Self {
        Self { patient, ..Self::default() }
    }

    /// What a client heard of its deed.
    pub fn hear(&mut self, deed: Deed, told: Told) {
        match told {
            Told::Done => {
                self.acknowledged += 1;
                self.settle(deed);
            }
            Told::NotDone => {}
            Told::Nothing => self.open = Some(deed),
        }
    }

    fn settle(&mut self, deed: Deed) {
        for (n, state) in deed.after {
            if self.lineages.len() <= n {
                self.lineages.resize(n + 1, None);
            }
            self.lineages[n] = state;
        }
        if let Some((unique_id, octets)) = deed.document {
            self.fresh.push(unique_id.clone());
            self.documents.insert(unique_id, octets);
        }
        if let Some(unique_id) = deed.removes {
            self.documents.remove(&unique_id);
            self.fresh.retain(|id| *id != unique_id);
            self.gone.push(unique_id);
        }
        assert_eq!(self.done.insert(deed.mark, deed.transaction), None);
    }

    /// Documents that no entry names any more.
    pub fn loose(&self) -> Vec<&String> {
        let named: BTreeSet<&String> = self.lineages.iter().flatten().map(|s| &s.entry.unique_id).collect();
        self.documents.keys().filter(|id| !named.contains(id)).collect()
    }

    /// Holds what was found of the patient against what is known. A deed nobody was told about may be done
    /// or not, whole: which, is decided here and stays so. `kept`: whether the document it would remove is there.
    pub fn compare(&mut self, found: Vec<MetadataObject>, kept: bool, round: usize) {
        let mut entries: HashMap<String, DocumentEntry> = HashMap::new();
        let mut ids = BTreeSet::new();
        for object in found {
            let id = match object {
                MetadataObject::DocumentEntry(e) => {
                    let id = e.entry_uuid.clone();
                    entries.insert(id.clone(), *e);
                    id
                }
                MetadataObject::SubmissionSet(s) => s.entry_uuid.clone(),
                MetadataObject::Folder(f) => f.entry_uuid.clone(),
                MetadataObject::Association(a) => a.entry_uuid.clone(),
            };
            assert!(ids.insert(id.clone()), "round {round}: {id} of {} stands twice", self.patient);
        }
        if let Some(deed) = self.open.take()
            && self.is_done(&deed, &ids, kept)
        {
            self.settle(deed);
        }
        let mut wanted: BTreeSet<&String> = BTreeSet::new();
        for state in self.lineages.iter().flatten() {
            wanted.extend(&state.objects);
        }
        let missing: Vec<_> = wanted.iter().filter(|id| !ids.contains(**id)).collect();
        let strange: Vec<_> = ids.iter().filter(|id| !wanted.contains(id)).collect();
        assert!(missing.is_empty(), "round {round}: acknowledged and lost of {}: {missing:?}", self.patient);
        assert!(strange.is_empty(), "round {round}: half there, or back, of {}: {strange:?}", self.patient);
        for state in self.lineages.iter().flatten() {
            let id = &state.entry.entry_uuid;
            let entry = entries.get(id).unwrap_or_else(|| panic!("round {round}: {id} is no entry"));
            let status = match state.approved {
                true => AvailabilityStatus::Approved,
                false => AvailabilityStatus::Deprecated,
            };
            assert_eq!(
                (&entry.unique_id, entry.version, &entry.title, entry.availability_status),
                (&state.entry.unique_id, state.entry.version, &state.entry.title, status),
                "round {round}: {id} is not in the state that was acknowledged"
            );
        }
    }

    /// Whether any trace says that it is done; that the traces are whole is judged afterwards.
    fn is_done(&self, deed: &Deed, ids: &BTreeSet<String>, kept: bool) -> bool {
        if deed.removes.is_some() {
            return !kept;
        }
        deed.after.iter().any(|(n, after)| {
            let before = self.lineages.get(*n).and_then(Option::as_ref).map(|s| &s.objects);
            match (before, after) {
                (Some(before), None) => before.iter().any(|id| !ids.contains(id)),
                (before, Some(after)) => after
                    .objects
                    .iter()
                    .any(|id| ids.contains(id) && before.is_none_or(|before| !before.contains(id))),
                (None, None) => false,
            }
        })
    }
}
