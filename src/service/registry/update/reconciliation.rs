//! Patient ID Reconciliation: what is in force and joined is one patient's, once the update is made.
//! ITI Metadata Update 3.57.4.1.3.4.

use super::decide::Decision;
use crate::model::error::ErrorCode;
use crate::store::registry::State;

const CLAUSE: &str = "ITI Metadata Update 3.57.4.1.3.4";

impl Decision<'_> {
    pub fn reconcile(&mut self) {
        let plan = self.plan;
        for v in plan.versions.iter().filter(|v| v.patient_id() != plan.patient_id) {
            let attribute = format!("{}.patientId", v.kind().as_str());
            let message = format!("differs from SubmissionSet.patientId '{}'", plan.patient_id);
            let code = ErrorCode::XDSPatientIDReconciliationError;
            self.problem(code, v.id(), &attribute, Some(v.patient_id()), &message, CLAUSE);
        }
        self.reapproved();
        let links = std::mem::take(&mut self.links);
        let apart = links.iter().filter(|l| {
            let in_force = l.source.state == State::Approved && l.target.state == State::Approved;
            in_force && l.source.patient_key != l.target.patient_key
        });
        for link in apart {
            let message = "would be joined to an object of another patient; deprecate the association, or submit \
                           the new versions without AssociationPropagation and then the associations";
            let code = ErrorCode::XDSPatientIDReconciliationError;
            self.problem(code, &link.trigger, "Association", None, message, CLAUSE);
        }
    }
}
