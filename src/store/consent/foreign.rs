//! What of another community's answer our own people may be shown: each entry is decided on like one of ours, and
//! what else the answer holds is shown as far as it leads to no entry that is not. Of other communities no more is
//! known than the answer says, so an association is shown only with both its ends.

use std::collections::{HashMap, HashSet};

use super::Gate;
use super::gate::{Link, spread};
use crate::model::consent::Facts;
use crate::model::metadata::{AssociationType, MetadataObject};

/// entryUUIDs of what may be shown. `whose`: keys of the patients known here, by the ids (CX) the answer has for them;
/// the gate has met them.
pub fn shown(gate: &Gate<'_>, objects: &[MetadataObject], whose: &HashMap<String, i64>) -> HashSet<String> {
    let key = |patient: &str| whose.get(patient).copied();
    let mut documents: HashMap<String, bool> = HashMap::new();
    let (mut links, mut containers, mut bare) = (vec![], vec![], true);
    for object in objects {
        match object {
            MetadataObject::DocumentEntry(entry) => {
                let shown = gate.shows_foreign(key(&entry.patient_id), &entry.patient_id, &Facts::of(entry));
                documents.insert(entry.entry_uuid.clone(), shown);
            }
            MetadataObject::SubmissionSet(set) => {
                containers.push(set.entry_uuid.clone());
                bare &= gate.shows_foreign_patient(key(&set.patient_id), &set.patient_id);
            }
            MetadataObject::Folder(folder) => {
                containers.push(folder.entry_uuid.clone());
                bare &= gate.shows_foreign_patient(key(&folder.patient_id), &folder.patient_id);
            }
            MetadataObject::Association(link) => links.push(Link {
                id: link.entry_uuid.clone(),
                source: link.source_object.clone(),
                target: link.target_object.clone(),
                member: link.association_type == AssociationType::HasMember,
            }),
        }
    }
    let named: HashSet<&str> = objects.iter().map(MetadataObject::id).collect();
    links.retain(|link| named.contains(link.source.as_str()) && named.contains(link.target.as_str()));
    let mut shown = spread(&documents, &links, &containers, bare);
    shown.extend(documents.into_iter().filter(|(_, shown)| *shown).map(|(id, _)| id));
    shown
}
