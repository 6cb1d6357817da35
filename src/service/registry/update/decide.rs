//! The decision about an update: pure, over the plan and the facts. Each operation has its file; what they
//! share is here.

use std::collections::{HashMap, HashSet};

use super::decode::{NewVersion, Plan, Version};
use super::facts::Facts;
use crate::model::ebrim::ObjectKind;
use crate::model::error::{ErrorCode, Problem, RegistryError};
use crate::model::metadata::{Association, AssociationType, AvailabilityStatus, DocumentEntry, Folder};
use crate::service::registry::Settings;
use crate::store::registry::State;

/// What an update does to the registry.
#[derive(Debug, Default)]
pub struct Effects {
    pub entries: Vec<DocumentEntry>,
    pub folders: Vec<Folder>,
    pub statuses: Vec<Transition>,
    /// New associations with the patients whose objects they join; the first owns the id.
    pub associations: Vec<(Association, Vec<i64>)>,
    /// Folders already registered whose membership changes, and their patients.
    pub touched_folders: HashSet<(i64, String)>,
}

/// An object's step from one state to another.
#[derive(Debug, PartialEq, Eq)]
pub struct Transition {
    pub kind: ObjectKind,
    pub patient_key: i64,
    pub id: String,
    pub from: State,
    pub to: State,
}

/// The end of an association as it will be once the update is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    pub kind: ObjectKind,
    pub patient_key: i64,
    pub state: State,
}

/// An association that will be Approved, with its ends; for the reconciliation of patients.
#[derive(Debug)]
pub struct Link {
    /// Whose operation is to blame if the patients differ.
    pub trigger: String,
    pub source: End,
    pub target: End,
}

pub struct Decision<'a> {
    pub plan: &'a Plan,
    pub facts: &'a Facts,
    pub settings: &'a Settings,
    pub problems: Vec<RegistryError>,
    /// Versions that are not current: said only if nothing else is wrong (3.57.4.1.3.3.1.3).
    pub stale: Vec<RegistryError>,
    pub effects: Effects,
    /// entryUUIDs of versions that are superseded, with the new ones'.
    pub superseded: HashMap<String, String>,
    /// States that objects of the registry and new versions will have.
    pub states: HashMap<String, State>,
    pub links: Vec<Link>,
    /// Associations there will be, so that none is made twice.
    pub joined: HashSet<(AssociationType, String, String)>,
}

/// Judges an update; without problems the effects may be applied.
pub fn decide(plan: &Plan, facts: &Facts, settings: &Settings) -> (Effects, Vec<RegistryError>) {
    let mut d = Decision {
        plan,
        facts,
        settings,
        problems: vec![],
        stale: vec![],
        effects: Effects::default(),
        superseded: HashMap::new(),
        states: HashMap::new(),
        links: vec![],
        joined: HashSet::new(),
    };
    for v in &plan.versions {
        match &v.new {
            NewVersion::Entry(entry) => d.entry_metadata(v, entry),
            NewVersion::Folder(folder) => d.folder_metadata(v, folder),
        }
    }
    d.availability_statuses();
    d.submitted_associations();
    d.set_members();
    d.propagate();
    d.reconcile();
    if d.problems.is_empty() {
        d.problems.append(&mut d.stale);
    }
    (d.effects, d.problems)
}

impl Decision<'_> {
    pub fn problem(
        &mut self,
        code: ErrorCode,
        id: &str,
        attribute: &str,
        value: Option<&str>,
        message: &str,
        clause: &str,
    ) {
        let object = self.plan.submitted(id);
        self.problems.push(Problem { code, object, attribute, value, message, clause }.error().at(object));
    }

    /// The key of the SubmissionSet's patient, which new versions share.
    pub fn set_key(&self) -> i64 {
        self.facts.patient_key.unwrap_or(self.plan.new_patient_key)
    }

    /// What an association points at, as it will be; `None` if there is no such object.
    pub fn end(&self, id: &str) -> Option<End> {
        if let Some(v) = self.plan.version(id) {
            let state = self.states.get(id).copied().unwrap_or(State::Approved);
            return Some(End { kind: v.kind(), patient_key: self.set_key(), state });
        }
        let stored = self.facts.stored(id)?;
        Some(End { kind: stored.kind, patient_key: stored.patient_key, state: self.state(id, stored.state) })
    }

    /// The state an object of the registry will have, given the one it has.
    pub fn state(&self, id: &str, now: State) -> State {
        match self.superseded.contains_key(id) {
            true => State::Superseded,
            false => self.states.get(id).copied().unwrap_or(now),
        }
    }

    /// What the lineages of both kinds share: the current version, the version named, the new one's state.
    pub fn succeed(&mut self, v: &Version) {
        let Some(latest) = self.facts.latest.get(&v.logical_id) else { return };
        if v.previous != latest.version() {
            let value = v.previous.to_string();
            let message = format!("is not the current version, which is {}", latest.version());
            let object = self.plan.submitted(v.id());
            let problem = Problem {
                code: ErrorCode::XDSMetadataVersionError,
                object,
                attribute: "Association.PreviousVersion",
                value: Some(&value),
                message: &message,
                clause: "ITI Metadata Update 3.57.4.1.3.3.1.3",
            };
            self.stale.push(problem.error().at(object));
        }
        self.superseded.insert(latest.id().to_owned(), v.id().to_owned());
        self.states.insert(v.id().to_owned(), latest.state);
        self.effects.statuses.push(Transition {
            kind: latest.kind,
            patient_key: latest.patient_key,
            id: latest.id().to_owned(),
            from: latest.state,
            to: State::Superseded,
        });
    }

    /// The lineage of a new version; without one the operation ends here.
    pub fn lineage_missing(&mut self, v: &Version) {
        const CLAUSE: &str = "ITI Metadata Update 3.57.4.1.3.3.1.3, 4.1.5";
        let attribute = format!("{}.logicalID", v.kind().as_str());
        let lid = Some(v.logical_id.as_str());
        match self.facts.strangers.get(&v.logical_id) {
            Some(kind) if *kind != v.kind() => {
                let message = format!("is a {} in the registry", kind.as_str());
                let code = ErrorCode::XDSMetadataIdentifierError;
                self.problem(code, v.id(), &attribute, lid, &message, CLAUSE);
            }
            Some(_) => {
                let message = "is the entryUUID of a version and no logicalID; name the object's logicalID";
                let code = ErrorCode::UnresolvedReferenceException;
                self.problem(code, v.id(), &attribute, lid, message, CLAUSE);
            }
            None => {
                let message = "is not the logicalID of an object in the registry";
                let code = ErrorCode::UnresolvedReferenceException;
                self.problem(code, v.id(), &attribute, lid, message, CLAUSE);
            }
        }
    }

    /// Adds an association to those that will be, unless it is there.
    pub fn join(&mut self, association: Association, trigger: &str, source: End, target: End) -> bool {
        let key = (
            association.association_type,
            association.source_object.clone(),
            association.target_object.clone(),
        );
        if !self.joined.insert(key) {
            return false;
        }
        let approved = association.availability_status == AvailabilityStatus::Approved;
        let in_folder =
            association.association_type == AssociationType::HasMember && source.kind == ObjectKind::Folder;
        if in_folder && self.plan.version(&association.source_object).is_none() {
            self.effects.touched_folders.insert((source.patient_key, association.source_object.clone()));
        }
        if approved {
            self.links.push(Link { trigger: trigger.to_owned(), source, target });
        }
        let keys = both(source.patient_key, target.patient_key);
        // The SubmissionSet holds every membership of a Folder (ITI TF-3 4.2.1.3).
        let id = association.entry_uuid.clone();
        self.effects.associations.push((association, keys.clone()));
        if in_folder && !self.plan.members.iter().any(|m| m.target_object == id) {
            let context = &self.plan.context;
            let held = Association::new(
                AssociationType::HasMember,
                context.uuid().urn().to_string(),
                &self.plan.set.set.entry_uuid,
                &id,
            );
            let owner = keys.first().copied().unwrap_or(source.patient_key);
            self.effects.associations.push((held, both(self.set_key(), owner)));
        }
        true
    }

    /// The SubmissionSet's own associations as submitted.
    fn set_members(&mut self) {
        for member in &self.plan.members {
            let target = &member.target_object;
            let key = if self.plan.submitted_ids.contains_key(target) {
                let own = self.effects.associations.iter().find(|(a, _)| &a.entry_uuid == target);
                own.and_then(|(_, keys)| keys.first().copied()).unwrap_or_else(|| self.set_key())
            } else {
                match self.facts.named.get(target) {
                    Some(stored) if stored.kind == ObjectKind::DocumentEntry => stored.patient_key,
                    Some(stored) => {
                        let message = format!(
                            "is a {}; only a DocumentEntry is held by Reference",
                            stored.kind.as_str()
                        );
                        let (code, id) = (ErrorCode::XDSMetadataUpdateError, &member.entry_uuid);
                        self.problem(
                            code,
                            id,
                            "Association.targetObject",
                            Some(target),
                            &message,
                            MEMBERSHIP,
                        );
                        continue;
                    }
                    None => {
                        let message = "is neither in this submission nor in the registry";
                        let (code, id) = (ErrorCode::UnresolvedReferenceException, &member.entry_uuid);
                        self.problem(code, id, "Association.targetObject", Some(target), message, MEMBERSHIP);
                        continue;
                    }
                }
            };
            self.effects.associations.push((member.clone(), both(self.set_key(), key)));
        }
    }
}

const MEMBERSHIP: &str = "ITI TF-3 4.2.2.1";

fn both(first: i64, second: i64) -> Vec<i64> {
    if first == second { vec![first] } else { vec![first, second] }
}
