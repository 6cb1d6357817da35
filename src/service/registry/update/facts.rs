//! What the registry knows about the objects of an update, held until the transaction ends.

use std::collections::{BTreeSet, HashMap};

use super::decode::Plan;
use crate::model::ebrim::ObjectKind;
use crate::model::metadata::{AvailabilityStatus, MetadataObject};
use crate::service::registry::changes::{HeldPatients, ROUNDS};
use crate::store::db::{DbError, Tx};
use crate::store::patient;
use crate::store::registry::versions::{self, Neighbour, Stored};
use crate::store::registry::{State, refs};

/// The state of the registry as far as an update concerns it.
#[derive(Debug, Default)]
pub struct Facts {
    /// Of the SubmissionSet's patient; `None` while they are not known.
    pub patient_key: Option<i64>,
    /// Whether that patient's id was merged into another.
    pub subsumed: bool,
    /// The current version of each logicalID that is to be updated.
    pub latest: HashMap<String, Stored>,
    /// What carries a logicalID's UUID where no version does: another kind of object, or a later version.
    pub strangers: HashMap<String, ObjectKind>,
    /// Objects the message names by UUID.
    pub named: HashMap<String, Stored>,
    /// Associations of objects that will be superseded, or may be Approved again.
    pub around: HashMap<String, Vec<Neighbour>>,
}

impl Facts {
    pub fn stored(&self, id: &str) -> Option<&Stored> {
        self.named.get(id).or_else(|| self.latest.values().find(|s| s.id() == id))
    }

    pub fn around(&self, id: &str) -> &[Neighbour] {
        self.around.get(id).map_or(&[], Vec::as_slice)
    }

    /// Every patient whose registry the decision rests on or changes.
    fn patients(&self) -> BTreeSet<i64> {
        let objects = self.latest.values().chain(self.named.values()).map(|s| s.patient_key);
        let around = self.around.values().flatten().map(|n| n.patient_key);
        self.patient_key.into_iter().chain(objects).chain(around).collect()
    }
}

/// Reads the facts, without holding anybody.
pub async fn look(tx: &mut Tx<'_>, plan: &Plan) -> Result<Facts, DbError> {
    read(tx, plan).await
}

/// Holds the patients concerned, always in the order of their keys, and reads the facts.
pub async fn gather(tx: &mut Tx<'_>, plan: &Plan) -> Result<(Facts, HeldPatients), DbError> {
    let mut held = HeldPatients::new();
    for _ in 0..ROUNDS {
        let facts = read(tx, plan).await?;
        let wanted: Vec<i64> = facts.patients().into_iter().filter(|key| !held.contains_key(key)).collect();
        if wanted.is_empty() {
            return Ok((facts, held));
        }
        for key in wanted {
            held.insert(key, patient::hold_key(tx, key).await?.ok_or(DbError::NoRow)?);
        }
    }
    Err(DbError::Conflict)
}

async fn read(tx: &mut Tx<'_>, plan: &Plan) -> Result<Facts, DbError> {
    let mut facts = Facts {
        patient_key: match plan.patient_id.is_empty() {
            true => None,
            false => patient::key(tx, &plan.patient_id).await?,
        },
        subsumed: patient::is_subsumed(tx, &plan.patient_id).await?,
        ..Facts::default()
    };
    for v in &plan.versions {
        let lid = &v.logical_id;
        match versions::latest(tx, v.kind(), lid).await? {
            Some(latest) => {
                if v.propagate {
                    let around = versions::around(tx, latest.patient_key, latest.id()).await?;
                    facts.around.insert(latest.id().to_owned(), around);
                }
                facts.latest.insert(lid.clone(), latest);
            }
            None => {
                if let Some(known) = refs::object(tx, lid).await? {
                    facts.strangers.insert(lid.clone(), known.kind);
                }
            }
        }
    }
    let targets = plan.statuses.iter().map(|s| &s.target);
    let ends = plan.submitted.iter().flat_map(|a| [&a.source_object, &a.target_object]);
    let members = plan.members.iter().map(|a| &a.target_object);
    for id in targets.chain(ends).chain(members) {
        if !facts.named.contains_key(id)
            && !plan.submitted_ids.contains_key(id)
            && let Some(stored) = versions::by_id(tx, id).await?
        {
            facts.named.insert(id.clone(), stored);
        }
    }
    for s in plan.statuses.iter().filter(|s| s.new == AvailabilityStatus::Approved) {
        let Some(target) = facts.named.get(&s.target) else { continue };
        if target.state == State::Deprecated && !facts.around.contains_key(&s.target) {
            let around = versions::around(tx, target.patient_key, &s.target).await?;
            facts.around.insert(s.target.clone(), around);
        }
    }
    // An association's own ends.
    for s in &plan.statuses {
        let Some(MetadataObject::Association(a)) = facts.named.get(&s.target).map(|t| &t.object) else {
            continue;
        };
        for id in [a.source_object.clone(), a.target_object.clone()] {
            if !facts.named.contains_key(&id)
                && let Some(stored) = versions::by_id(tx, &id).await?
            {
                facts.named.insert(id, stored);
            }
        }
    }
    Ok(facts)
}
