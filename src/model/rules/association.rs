//! Associations: what one can be judged by itself, and what takes knowing the objects at its ends.
//! ITI TF-3 4.2.2.

use super::Checker;
use crate::model::ebrim::{ObjectKind, RegistryObject};
use crate::model::error::{ErrorCode, Problem, RegistryError};
use crate::model::uuids::{RELATIONSHIPS, association_type, slot};

const HAS_MEMBER: &str = "ITI TF-3 4.2.2.1";
const MEMBER_STATUS: &str = "ITI TF-3 4.2.2.1.1";
const RELATIONSHIP: &str = "ITI TF-3 4.2.2.2";

impl Checker<'_> {
    pub(super) fn check_association(&mut self) {
        let object = self.object;
        if let (Some(source), Some(target)) = (&object.source_object, &object.target_object)
            && source == target
            && !source.is_empty()
        {
            let message = "is source and target at once; an association joins two objects";
            self.error("Association.targetObject", Some(target), message, "ITI TF-3 4.2.2");
        }
    }
}

/// What stands at the target end of an association.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// An object of the same request.
    InRequest(ObjectKind),
    /// An object already in the registry.
    Registered(ObjectKind),
    /// Neither: reported as unresolved elsewhere, so nothing more is said here.
    Unknown,
}

impl Target {
    fn kind(self) -> Option<ObjectKind> {
        match self {
            Target::InRequest(kind) | Target::Registered(kind) => Some(kind),
            Target::Unknown => None,
        }
    }
}

/// Checks that an association joins kinds it may join, and the SubmissionSetStatus of a SubmissionSet's
/// membership of a document: `Original` exactly if the document is in this request. `source` is `None` if
/// it does not resolve.
pub fn check_ends(
    association: &RegistryObject,
    source: Option<ObjectKind>,
    target: Target,
    out: &mut Vec<RegistryError>,
) {
    use ObjectKind::{Association, DocumentEntry, Folder, SubmissionSet};
    let (Some(source), Some(kind)) = (source, target.kind()) else { return };
    let association_type = association.association_type.as_deref().unwrap_or_default();
    let mut error = |attribute: &str, value: Option<&str>, message: &str, clause: &str| {
        let code = ErrorCode::XDSRegistryMetadataError;
        out.push(Problem { code, object: &association.id, attribute, value, message, clause }.error());
    };
    if association_type == association_type::HAS_MEMBER {
        match (source, kind) {
            (SubmissionSet, DocumentEntry) => {
                let status =
                    association.slot_value(slot::SUBMISSION_SET_STATUS).filter(|s| !s.trim().is_empty());
                let right = match target {
                    Target::InRequest(_) => "Original",
                    _ => "Reference",
                };
                match status {
                    None => {
                        let message = "is missing; a SubmissionSet's document is Original or Reference";
                        error("Association.SubmissionSetStatus", None, message, MEMBER_STATUS);
                    }
                    // Other values have been reported by the row of the attribute.
                    Some(given) if given != right && matches!(given, "Original" | "Reference") => {
                        let message = match target {
                            Target::InRequest(_) => "is wrong for a document of this request; write Original",
                            _ => "is wrong for a document already registered; write Reference",
                        };
                        error("Association.SubmissionSetStatus", Some(given), message, MEMBER_STATUS);
                    }
                    Some(_) => {}
                }
            }
            (SubmissionSet, Folder | Association) | (Folder, DocumentEntry) => {}
            (from, to) => {
                let message = format!("cannot join a {} to a {}", from.as_str(), to.as_str());
                error("Association.associationType", Some(association_type), &message, HAS_MEMBER);
            }
        }
    } else if RELATIONSHIPS.contains(&association_type) && (source, kind) != (DocumentEntry, DocumentEntry) {
        let message = format!("joins two DocumentEntries, not a {} to a {}", source.as_str(), kind.as_str());
        error("Association.associationType", Some(association_type), &message, RELATIONSHIP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::rules::samples;
    use ObjectKind::{DocumentEntry, Folder, SubmissionSet};

    fn locations(association: &RegistryObject, source: ObjectKind, target: Target) -> Vec<String> {
        let mut out = vec![];
        check_ends(association, Some(source), target, &mut out);
        assert!(out.iter().all(|e| e.code == ErrorCode::XDSRegistryMetadataError && e.is_error()));
        out.into_iter().filter_map(|e| e.location).collect()
    }

    #[test]
    fn membership_of_a_document_needs_the_right_status() {
        let status = |value: &str| {
            let mut a = samples::association();
            a.slots = vec![samples::slot(slot::SUBMISSION_SET_STATUS, &[value])];
            a
        };
        let here = Target::InRequest(DocumentEntry);
        let there = Target::Registered(DocumentEntry);
        let fault = vec!["A1/Association.SubmissionSetStatus".to_owned()];
        assert!(locations(&status("Original"), SubmissionSet, here).is_empty());
        assert!(locations(&status("Reference"), SubmissionSet, there).is_empty());
        assert_eq!(locations(&status("Reference"), SubmissionSet, here), fault);
        assert_eq!(locations(&status("Original"), SubmissionSet, there), fault);
        assert_eq!(locations(&status(""), SubmissionSet, here), fault);
        // The row reports a value that is neither.
        assert!(locations(&status("other"), SubmissionSet, here).is_empty());
        assert!(locations(&status(""), SubmissionSet, Target::Unknown).is_empty());
    }

    #[test]
    fn only_fitting_kinds_are_joined() {
        let mut a = samples::association();
        a.slots.clear();
        let fault = vec!["A1/Association.associationType".to_owned()];
        assert!(locations(&a, Folder, Target::InRequest(DocumentEntry)).is_empty());
        assert!(locations(&a, SubmissionSet, Target::InRequest(ObjectKind::Association)).is_empty());
        assert_eq!(locations(&a, Folder, Target::Registered(Folder)), fault);
        assert_eq!(locations(&a, SubmissionSet, Target::InRequest(SubmissionSet)), fault);
        assert_eq!(locations(&a, DocumentEntry, Target::Registered(DocumentEntry)), fault);
        a.association_type = Some(association_type::RPLC.to_owned());
        assert!(locations(&a, DocumentEntry, Target::Registered(DocumentEntry)).is_empty());
        assert_eq!(locations(&a, SubmissionSet, Target::Registered(DocumentEntry)), fault);
    }
}
