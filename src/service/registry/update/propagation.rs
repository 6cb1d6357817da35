//! Association Propagation: memberships and relationships of a superseded version are carried over to the
//! new one. ITI Metadata Update 3.57.4.1.3.1.1, 3.57.4.1.3.3.1.5 and .3.5.

use super::decide::{Decision, End};
use super::decode::Version;
use crate::model::ebrim::ObjectKind;
use crate::model::error::ErrorCode;
use crate::model::metadata::{AssociationType, AvailabilityStatus};
use crate::store::registry::State;
use crate::store::registry::versions::Neighbour;

const PLANNING: &str = "ITI Metadata Update 3.57.4.1.3.1.1";

impl Decision<'_> {
    /// All new versions stand before the first association is carried over, so that of two related ones
    /// each finds the other's new version.
    pub fn propagate(&mut self) {
        let plan = self.plan;
        for v in plan.versions.iter().filter(|v| v.propagate) {
            let Some(latest) = self.facts.latest.get(&v.logical_id) else { continue };
            for n in self.facts.around(latest.id()) {
                if self.carries(v, n) {
                    self.carry_over(v, n);
                }
            }
        }
    }

    /// In force, between the kinds in question, and not to a version that is history already.
    fn carries(&self, v: &Version, n: &Neighbour) -> bool {
        let member = n.association.association_type == AssociationType::HasMember;
        let now = n.association.availability_status.into();
        let kinds = match (v.kind(), member) {
            (ObjectKind::DocumentEntry, true) => n.kind == ObjectKind::Folder,
            (ObjectKind::DocumentEntry, false) | (ObjectKind::Folder, true) => {
                n.kind == ObjectKind::DocumentEntry
            }
            _ => false,
        };
        kinds && n.state != State::Superseded && self.state(&n.association.entry_uuid, now) == State::Approved
    }

    fn carry_over(&mut self, v: &Version, n: &Neighbour) {
        let other_id = self.superseded.get(&n.id).cloned().unwrap_or_else(|| n.id.clone());
        let other = match self.plan.version(&other_id) {
            Some(w) if !w.propagate => {
                let message = format!(
                    "is related to {}, which is updated with AssociationPropagation 'no'; related updates \
                     must agree",
                    self.plan.submitted(w.id())
                );
                let code = ErrorCode::XDSMetadataUpdateError;
                self.problem(code, v.id(), "Association.AssociationPropagation", None, &message, PLANNING);
                return;
            }
            Some(_) => match self.end(&other_id) {
                Some(end) => end,
                None => return,
            },
            None => {
                let state = self.state(&n.id, n.state);
                End { kind: n.kind, patient_key: n.patient_key, state }
            }
        };
        // A Folder keeps the members that are in force.
        if v.kind() == ObjectKind::Folder && other.state != State::Approved {
            return;
        }
        let Some(own) = self.end(v.id()) else { return };
        let mut association = n.association.clone();
        association.entry_uuid = self.plan.context.uuid().urn().to_string();
        association.availability_status = AvailabilityStatus::Approved;
        let from_other = association.source_object == n.id;
        let (source, target) = if from_other { (other, own) } else { (own, other) };
        let (source_id, target_id) =
            if from_other { (other_id, v.id().to_owned()) } else { (v.id().to_owned(), other_id) };
        association.source_object = source_id;
        association.target_object = target_id;
        self.join(association, v.id(), source, target);
    }
}
