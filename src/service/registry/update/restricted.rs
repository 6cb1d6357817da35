//! What ITI-92 allows of what ITI-57 can do: new versions of DocumentEntries, in which some attributes stay
//! as they are. ITI RMU 3.92.4.1.3, 48.4.1.

use super::decide::Decision;
use super::decode::Version;
use crate::model::error::{ErrorCode, Problem, RegistryError};
use crate::model::metadata::{DocumentEntry, Trigger, Update};
use crate::model::uuids::document_availability;

const CLAUSE: &str = "ITI RMU 3.92.4.1.3";

type Attribute = fn(&DocumentEntry) -> &str;

/// The attributes in which a new version must agree with the current one. uniqueId, logicalID and
/// objectType are checked for every update.
const UNMODIFIABLE: &[(&str, ErrorCode, Attribute)] = &[
    ("DocumentEntry.patientId", ErrorCode::XDSPatientIDReconciliationError, |e| &e.patient_id),
    ("DocumentEntry.sourcePatientId", ErrorCode::UnmodifiableMetadataError, |e| {
        e.source_patient_id.as_deref().unwrap_or_default()
    }),
    ("DocumentEntry.repositoryUniqueId", ErrorCode::UnmodifiableMetadataError, |e| {
        e.repository_unique_id.as_deref().unwrap_or_default()
    }),
    ("DocumentEntry.documentAvailability", ErrorCode::UnmodifiableMetadataError, |e| {
        e.document_availability.as_deref().unwrap_or(document_availability::ONLINE)
    }),
];

/// What the message may not hold.
pub fn message(update: &Update, problems: &mut Vec<RegistryError>) {
    let mut refuse = |code, object: &str, attribute: &str, message: &str| {
        let problem = Problem { code, object, attribute, value: None, message, clause: CLAUSE };
        problems.push(problem.error().at(object));
    };
    for f in &update.submission.folders {
        let message = "a restricted update changes DocumentEntries only";
        refuse(ErrorCode::XDSMetadataUpdateError, &f.entry_uuid, "Folder", message);
    }
    for t in &update.triggers {
        match t.trigger {
            Trigger::UpdateAvailabilityStatus => {
                let message = "availabilityStatus cannot be changed by a restricted update";
                let code = ErrorCode::UnmodifiableMetadataError;
                refuse(code, &t.entry_uuid, "Association.associationType", message);
            }
            Trigger::SubmitAssociation => {
                let message = "a restricted update adds no associations";
                let code = ErrorCode::XDSMetadataUpdateError;
                refuse(code, &t.entry_uuid, "Association.associationType", message);
            }
        }
    }
}

/// The same entry, but for what may change.
pub fn compare(decision: &mut Decision<'_>, v: &Version, old: &DocumentEntry, new: &DocumentEntry) {
    for (attribute, code, value) in UNMODIFIABLE {
        if value(new) != value(old) {
            let message = format!("cannot be changed by a restricted update; registered is '{}'", value(old));
            decision.problem(*code, v.id(), attribute, Some(value(new)), &message, CLAUSE);
        }
    }
    let local = &decision.settings.config.restricted_update_keeps;
    let kept: Vec<String> = local.iter().filter(|name| differs(name, old, new)).cloned().collect();
    for name in kept {
        let message =
            "is not changed by a restricted update in this network (registry.restricted_update_keeps)";
        let attribute = format!("DocumentEntry.{name}");
        let code = ErrorCode::LocalPolicyRestrictionError;
        decision.problem(code, v.id(), &attribute, None, message, CLAUSE);
    }
}

/// Whether an attribute, by its name in the JSON at rest, has another value in one than in the other.
fn differs(name: &str, old: &DocumentEntry, new: &DocumentEntry) -> bool {
    let of =
        |e: &DocumentEntry| serde_json::to_value(e).ok().and_then(|mut v| v.get_mut(name).map(|v| v.take()));
    of(old) != of(new)
}
