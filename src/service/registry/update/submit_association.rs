//! Submit Associations. ITI Metadata Update 3.57.4.1.3.3.6.

use super::decide::{Decision, End};
use crate::model::ebrim::ObjectKind;
use crate::model::error::ErrorCode;
use crate::model::metadata::{Association, AssociationType, EntryType, MetadataObject};
use crate::service::registry::update::decode::NewVersion;
use crate::store::registry::State;

const PRECONDITIONS: &str = "ITI Metadata Update 3.57.4.1.3.3.6.3";

impl Decision<'_> {
    pub fn submitted_associations(&mut self) {
        let plan = self.plan;
        for a in &plan.submitted {
            let source = self.submitted_end(a, "sourceObject", &a.source_object);
            let target = self.submitted_end(a, "targetObject", &a.target_object);
            let (Some(source), Some(target)) = (source, target) else { continue };
            if !self.appropriate(a, source, target) {
                continue;
            }
            let mut association = a.clone();
            association.home_community_id = None;
            let state = self.states.get(&a.entry_uuid).copied().unwrap_or(State::Approved);
            association.availability_status = state.availability();
            for end in [source, target] {
                if end.patient_key != self.set_key() {
                    let message = "joins an object of another patient than the SubmissionSet's";
                    let code = ErrorCode::XDSPatientIDReconciliationError;
                    let clause = "ITI Metadata Update 3.57.4.1.3.4";
                    self.problem(code, &a.entry_uuid, "Association", None, message, clause);
                    break;
                }
            }
            self.join(association, &a.entry_uuid, source, target);
        }
    }

    fn submitted_end(&mut self, a: &Association, end: &str, id: &str) -> Option<End> {
        match self.end_in_force(id) {
            Ok(end) => Some(end),
            Err((code, message)) => {
                let attribute = format!("Association.{end}");
                self.problem(code, &a.entry_uuid, &attribute, Some(id), message, PRECONDITIONS);
                None
            }
        }
    }

    /// An end must be in force: Approved in the registry, or a new version that the registry does not link
    /// by itself.
    fn end_in_force(&self, id: &str) -> Result<End, (ErrorCode, &'static str)> {
        if id == self.plan.set.set.entry_uuid {
            return Err((ErrorCode::XDSMetadataUpdateError, "is the SubmissionSet of this update"));
        }
        if self.plan.version(id).is_some_and(|v| v.propagate) {
            let message = "is a new version that the registry is asked to link; submit either the associations \
                           or the version with AssociationPropagation, not both";
            return Err((ErrorCode::XDSMetadataUpdateOperationError, message));
        }
        let Some(end) = self.end(id) else {
            let message = "is neither a new version of this message nor in the registry";
            return Err((ErrorCode::UnresolvedReferenceException, message));
        };
        if end.kind == ObjectKind::SubmissionSet {
            return Err((
                ErrorCode::XDSMetadataUpdateError,
                "is a SubmissionSet; nothing is added to it later",
            ));
        }
        if end.state != State::Approved {
            let message = "is Deprecated; an association joins objects in force";
            return Err((ErrorCode::XDSMetadataUpdateError, message));
        }
        Ok(end)
    }

    fn appropriate(&mut self, a: &Association, source: End, target: End) -> bool {
        use AssociationType as T;
        use ObjectKind::{DocumentEntry, Folder};
        let entry_type = |id: &str| self.entry_type(id).unwrap_or_default();
        let fault = match (a.association_type, source.kind, target.kind) {
            (T::HasMember, Folder, DocumentEntry) => None,
            (T::HasMember, ..) => Some("HasMember is added from a Folder to a DocumentEntry"),
            (kind, DocumentEntry, DocumentEntry) => {
                let joined = kind.joins(entry_type(&a.source_object), entry_type(&a.target_object));
                (!joined).then_some(
                    "IsSnapshotOf, and nothing else, leads from a stable entry to an on-demand one",
                )
            }
            _ => Some("a relationship joins two DocumentEntries"),
        };
        if let Some(message) = fault {
            let value = Some(a.association_type.urn());
            let code = ErrorCode::XDSMetadataUpdateError;
            self.problem(code, &a.entry_uuid, "Association.associationType", value, message, PRECONDITIONS);
        }
        fault.is_none()
    }

    fn entry_type(&self, id: &str) -> Option<EntryType> {
        if let Some(NewVersion::Entry(e)) = self.plan.version(id).map(|v| &v.new) {
            return Some(e.object_type);
        }
        match &self.facts.stored(id)?.object {
            MetadataObject::DocumentEntry(e) => Some(e.object_type),
            _ => None,
        }
    }
}
