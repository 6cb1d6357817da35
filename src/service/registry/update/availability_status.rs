//! Update availabilityStatus of DocumentEntries, Folders and Associations.
//! ITI Metadata Update 3.57.4.1.3.3.2, .4 and .5.

use std::collections::HashSet;

use super::decide::{Decision, Link, Transition};
use super::decode::StatusChange;
use crate::model::ebrim::ObjectKind;
use crate::model::error::ErrorCode;
use crate::model::metadata::{Association, AssociationType, AvailabilityStatus, MetadataObject};
use crate::store::registry::State;
use crate::store::registry::versions::Stored;

const COMMON: &str = "ITI Metadata Update 3.57.4.1.3.1";
const PRECONDITIONS: &str = "ITI Metadata Update 3.57.4.1.3.3.2.3";
const OF_ASSOCIATIONS: &str = "ITI Metadata Update 3.57.4.1.3.3.5.3";
const TARGET: &str = "Association.targetObject";

impl Decision<'_> {
    pub fn availability_statuses(&mut self) {
        let plan = self.plan;
        let mut seen = HashSet::new();
        for s in &plan.statuses {
            // A new version in the same request is what a change of its predecessor means.
            let target = self.superseded.get(&s.target).unwrap_or(&s.target).clone();
            if !seen.insert(target.clone()) {
                let message = "has its status changed twice in this message";
                let code = ErrorCode::XDSMetadataUpdateError;
                self.problem(code, &s.trigger, TARGET, Some(&s.target), message, COMMON);
                continue;
            }
            if plan.version(&target).is_some() {
                if let Some(now) = self.states.get(&target).copied()
                    && self.original(s, now)
                {
                    self.states.insert(target, s.new.into());
                }
            } else if plan.submitted.iter().any(|a| a.entry_uuid == target) {
                if self.original(s, State::Approved) {
                    self.states.insert(target, s.new.into());
                }
            } else {
                self.registered_status(s);
            }
        }
        for entry in &mut self.effects.entries {
            if let Some(state) = self.states.get(&entry.entry_uuid) {
                entry.availability_status = state.availability();
            }
        }
        for folder in &mut self.effects.folders {
            if let Some(state) = self.states.get(&folder.entry_uuid) {
                folder.availability_status = state.availability();
            }
        }
    }

    /// OriginalStatus must be what the status is: so two administrators notice each other.
    fn original(&mut self, s: &StatusChange, now: State) -> bool {
        if s.original == now.availability() {
            return true;
        }
        let message = format!("is not the current status, which is {}", now.availability().urn());
        let code = ErrorCode::XDSMetadataUpdateError;
        let value = Some(s.original.urn());
        self.problem(code, &s.trigger, "Association.OriginalStatus", value, &message, PRECONDITIONS);
        false
    }

    fn registered_status(&mut self, s: &StatusChange) {
        let facts = self.facts;
        let Some(stored) = facts.named.get(&s.target) else {
            let message = "is no object of the registry";
            let code = ErrorCode::UnresolvedReferenceException;
            self.problem(code, &s.trigger, TARGET, Some(&s.target), message, PRECONDITIONS);
            return;
        };
        let fault = match &stored.object {
            MetadataObject::SubmissionSet(_) => Some("is a SubmissionSet, whose status never changes"),
            MetadataObject::Association(a) if self.is_of_a_set(a) => {
                Some("is an association of a SubmissionSet, whose status never changes")
            }
            _ if stored.state == State::Superseded => {
                Some("is not the latest version; the status of that one can be changed")
            }
            _ => None,
        };
        if let Some(message) = fault {
            let clause = match stored.kind {
                ObjectKind::Association => OF_ASSOCIATIONS,
                _ => PRECONDITIONS,
            };
            let code = ErrorCode::XDSMetadataUpdateError;
            self.problem(code, &s.trigger, TARGET, Some(&s.target), message, clause);
            return;
        }
        if !self.original(s, stored.state) || s.original == s.new {
            return;
        }
        self.states.insert(s.target.clone(), s.new.into());
        self.effects.statuses.push(Transition {
            kind: stored.kind,
            patient_key: stored.patient_key,
            id: s.target.clone(),
            from: stored.state,
            to: s.new.into(),
        });
        if let MetadataObject::Association(a) = &stored.object
            && a.association_type == AssociationType::HasMember
        {
            self.effects.touched_folders.insert((stored.patient_key, a.source_object.clone()));
        }
    }

    fn is_of_a_set(&self, a: &Association) -> bool {
        let source = self.facts.stored(&a.source_object).map(|s| s.kind);
        a.association_type == AssociationType::HasMember && source != Some(ObjectKind::Folder)
    }

    /// What comes back into force, and therefore must agree on its patient.
    pub fn reapproved(&mut self) {
        let plan = self.plan;
        for s in plan.statuses.iter().filter(|s| s.new == AvailabilityStatus::Approved) {
            let Some(stored) = self.facts.named.get(&s.target) else { continue };
            if self.state(&s.target, stored.state) != State::Approved {
                continue;
            }
            match &stored.object {
                MetadataObject::Association(a) => {
                    if let (Some(source), Some(target)) =
                        (self.end(&a.source_object), self.end(&a.target_object))
                    {
                        self.links.push(Link { trigger: s.trigger.clone(), source, target });
                    }
                }
                _ => self.links_of(&s.trigger, stored),
            }
        }
    }

    fn links_of(&mut self, trigger: &str, stored: &Stored) {
        let Some(own) = self.end(stored.id()) else { return };
        for n in self.facts.around(stored.id()) {
            let now = n.association.availability_status.into();
            let joined = matches!(n.kind, ObjectKind::DocumentEntry | ObjectKind::Folder);
            if joined && self.state(&n.association.entry_uuid, now) == State::Approved {
                let mut other =
                    super::decide::End { kind: n.kind, patient_key: n.patient_key, state: n.state };
                other.state = self.state(&n.id, n.state);
                self.links.push(Link { trigger: trigger.to_owned(), source: own, target: other });
            }
        }
    }
}
