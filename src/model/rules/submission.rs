//! Rules between the objects of one submission: membership, references, ids, one patient.
//! What needs the registry's own content is judged in `service/registry/register`.
//! ITI TF-2 3.42.4.1.2, 3.42.4.1.3; ITI TF-3 4.2.1, 4.2.2.

use std::collections::{HashMap, HashSet};

use crate::model::ebrim::ObjectKind;
use crate::model::error::{ErrorCode, Problem, RegistryError};
use crate::model::ids::{EntryUuid, is_entry_uuid};
use crate::model::metadata::{Association, AssociationType, Submission, SubmissionSetStatus};

const STRUCTURE: &str = "ITI TF-2 3.42.4.1.2.2";
const MEMBERSHIP: &str = "ITI TF-3 4.2.2.1";
const RELATIONSHIP: &str = "ITI TF-3 4.2.2.2";
const ONE_PATIENT: &str = "ITI TF-2 3.42.4.1.3.3.1";
const UNIQUE_ID: &str = "ITI TF-3 4.2.3.2.26";

/// Checks a whole submission; `duplicate` is the code for one uniqueId on two objects, which names
/// the actor that found it.
pub fn check(s: &Submission, duplicate: ErrorCode, out: &mut Vec<RegistryError>) {
    let mut check = Check { s, out };
    check.not_empty();
    check.ids();
    check.unique_ids(duplicate);
    check.one_patient();
    check.memberships();
    for association in &s.associations {
        check.association(association);
    }
}

struct Check<'a> {
    s: &'a Submission,
    out: &'a mut Vec<RegistryError>,
}

impl Check<'_> {
    fn problem(
        &mut self,
        code: ErrorCode,
        object: &str,
        attribute: &str,
        value: Option<&str>,
        message: &str,
        clause: &str,
    ) {
        self.out.push(Problem { code, object, attribute, value, message, clause }.error());
    }

    fn metadata(&mut self, object: &str, attribute: &str, value: Option<&str>, message: &str, clause: &str) {
        self.problem(ErrorCode::XDSRegistryMetadataError, object, attribute, value, message, clause);
    }

    fn not_empty(&mut self) {
        let s = self.s;
        if s.document_entries.is_empty() && s.folders.is_empty() && s.associations.is_empty() {
            self.metadata(
                &s.submission_set.entry_uuid,
                "SubmissionSet",
                None,
                "the submission holds no DocumentEntry, Folder or Association",
                STRUCTURE,
            );
        }
    }

    /// Two objects with one id cannot be told apart by the associations that name them.
    fn ids(&mut self) {
        let s = self.s;
        let ids = std::iter::once(&s.submission_set.entry_uuid)
            .chain(s.document_entries.iter().map(|d| &d.entry_uuid))
            .chain(s.folders.iter().map(|f| &f.entry_uuid))
            .chain(s.associations.iter().map(|a| &a.entry_uuid));
        let mut seen = HashSet::new();
        for id in ids {
            let name = EntryUuid::parse(id).map_or_else(|| id.clone(), |uuid| uuid.to_string());
            if !id.is_empty() && !seen.insert(name) {
                self.metadata(
                    id,
                    "id",
                    Some(id),
                    "stands on two objects of the message",
                    "ITI TF-3 4.2.3.1.1",
                );
            }
        }
    }

    fn unique_ids(&mut self, duplicate: ErrorCode) {
        let s = self.s;
        let ids = std::iter::once((
            &s.submission_set.unique_id,
            &s.submission_set.entry_uuid,
            "SubmissionSet.uniqueId",
        ))
        .chain(s.document_entries.iter().map(|d| (&d.unique_id, &d.entry_uuid, "DocumentEntry.uniqueId")))
        .chain(s.folders.iter().map(|f| (&f.unique_id, &f.entry_uuid, "Folder.uniqueId")));
        let mut seen: HashMap<&String, &String> = HashMap::new();
        for (unique_id, object, attribute) in ids {
            if unique_id.is_empty() {
                continue;
            }
            if let Some(other) = seen.insert(unique_id, object) {
                let message = format!("is also the uniqueId of {other} in this message");
                self.problem(duplicate, object, attribute, Some(unique_id), &message, UNIQUE_ID);
            }
        }
    }

    fn one_patient(&mut self) {
        let s = self.s;
        let expected = &s.submission_set.patient_id;
        if expected.is_empty() {
            return;
        }
        let others = s
            .document_entries
            .iter()
            .map(|d| (&d.patient_id, &d.entry_uuid, "DocumentEntry.patientId"))
            .chain(s.folders.iter().map(|f| (&f.patient_id, &f.entry_uuid, "Folder.patientId")));
        for (patient, object, attribute) in others {
            if !patient.is_empty() && patient != expected {
                let message = format!("differs from SubmissionSet.patientId '{expected}'");
                self.problem(
                    ErrorCode::XDSPatientIdDoesNotMatch,
                    object,
                    attribute,
                    Some(patient),
                    &message,
                    ONE_PATIENT,
                );
            }
        }
    }

    /// Every DocumentEntry, Folder and Folder–DocumentEntry association belongs to the SubmissionSet.
    fn memberships(&mut self) {
        let s = self.s;
        let set = &s.submission_set.entry_uuid;
        let members: HashSet<&String> = s
            .associations
            .iter()
            .filter(|a| a.association_type == AssociationType::HasMember && &a.source_object == set)
            .map(|a| &a.target_object)
            .collect();
        let folder_members = s
            .associations
            .iter()
            .filter(|a| a.association_type == AssociationType::HasMember && &a.source_object != set)
            .map(|a| (&a.entry_uuid, "Folder-DocumentEntry HasMember"));
        let owed = s
            .document_entries
            .iter()
            .map(|d| (&d.entry_uuid, "DocumentEntry"))
            .chain(s.folders.iter().map(|f| (&f.entry_uuid, "Folder")))
            .chain(folder_members);
        for (id, what) in owed {
            if !members.contains(id) {
                self.metadata(
                    id,
                    what,
                    None,
                    "no HasMember association links the SubmissionSet to it",
                    MEMBERSHIP,
                );
            }
        }
    }

    fn association(&mut self, a: &Association) {
        if a.source_object.is_empty() || a.target_object.is_empty() {
            return; // reported by the attribute rules
        }
        match a.association_type {
            AssociationType::HasMember if a.source_object == self.s.submission_set.entry_uuid => {
                self.set_member(a);
            }
            AssociationType::HasMember => self.folder_member(a),
            _ => self.relationship(a),
        }
    }

    fn set_member(&mut self, a: &Association) {
        let target = &a.target_object;
        let kind = self.s.kind_of(target);
        match kind {
            Some(ObjectKind::DocumentEntry)
                if a.submission_set_status != Some(SubmissionSetStatus::Original) =>
            {
                self.metadata(
                    &a.entry_uuid,
                    "Association.SubmissionSetStatus",
                    None,
                    "must be Original for a DocumentEntry of this submission",
                    "ITI TF-3 4.2.2.1.1",
                );
            }
            Some(ObjectKind::SubmissionSet) => self.metadata(
                &a.entry_uuid,
                "Association.targetObject",
                Some(target),
                "a SubmissionSet is no member of itself",
                MEMBERSHIP,
            ),
            None if !is_entry_uuid(target) => self.unresolved(a, "targetObject", target),
            // An object not in this message: an existing DocumentEntry, named by UUID.
            None if a.submission_set_status != Some(SubmissionSetStatus::Reference) => self.metadata(
                &a.entry_uuid,
                "Association.SubmissionSetStatus",
                None,
                "must be Reference for a DocumentEntry that is already in the registry",
                "ITI TF-3 4.2.2.1.1",
            ),
            _ => {}
        }
    }

    fn folder_member(&mut self, a: &Association) {
        match self.s.kind_of(&a.source_object) {
            Some(ObjectKind::Folder) => {}
            None if is_entry_uuid(&a.source_object) => {}
            None => self.unresolved(a, "sourceObject", &a.source_object),
            Some(_) => self.metadata(
                &a.entry_uuid,
                "Association.sourceObject",
                Some(&a.source_object),
                "the source of HasMember is a SubmissionSet or a Folder",
                MEMBERSHIP,
            ),
        }
        match self.s.kind_of(&a.target_object) {
            Some(ObjectKind::DocumentEntry) => {}
            None if is_entry_uuid(&a.target_object) => {}
            None => self.unresolved(a, "targetObject", &a.target_object),
            Some(_) => self.metadata(
                &a.entry_uuid,
                "Association.targetObject",
                Some(&a.target_object),
                "a Folder holds DocumentEntries only",
                MEMBERSHIP,
            ),
        }
    }

    fn relationship(&mut self, a: &Association) {
        match self.s.kind_of(&a.source_object) {
            Some(ObjectKind::DocumentEntry) => {}
            Some(_) => self.metadata(
                &a.entry_uuid,
                "Association.sourceObject",
                Some(&a.source_object),
                "the source of a relationship is a DocumentEntry",
                RELATIONSHIP,
            ),
            None => self.unresolved(a, "sourceObject", &a.source_object),
        }
        let in_registry_only =
            a.association_type.replaces() || a.association_type == AssociationType::IsSnapshotOf;
        match self.s.kind_of(&a.target_object) {
            Some(ObjectKind::DocumentEntry) if !in_registry_only => {}
            Some(ObjectKind::DocumentEntry) => self.problem(
                ErrorCode::UnresolvedReferenceException,
                &a.entry_uuid,
                "Association.targetObject",
                Some(&a.target_object),
                "must be a DocumentEntry already in the registry, not one of this submission",
                RELATIONSHIP,
            ),
            Some(_) => self.metadata(
                &a.entry_uuid,
                "Association.targetObject",
                Some(&a.target_object),
                "the target of a relationship is a DocumentEntry",
                RELATIONSHIP,
            ),
            None if is_entry_uuid(&a.target_object) => {}
            None => self.unresolved(a, "targetObject", &a.target_object),
        }
    }

    fn unresolved(&mut self, a: &Association, end: &str, id: &str) {
        self.problem(
            ErrorCode::UnresolvedReferenceException,
            &a.entry_uuid,
            &format!("Association.{end}"),
            Some(id),
            "is no object of this submission and no UUID of the registry",
            "ITI TF-2 3.42.4.1.3.3.1",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::metadata::{DocumentEntry, Folder};

    fn hm(id: &str, source: &str, target: &str, status: Option<SubmissionSetStatus>) -> Association {
        let mut a = Association::new(AssociationType::HasMember, id.into(), source, target);
        a.submission_set_status = status;
        a
    }

    /// One set, one document in one folder, all memberships there.
    fn good() -> Submission {
        let mut s = Submission::default();
        s.submission_set.entry_uuid = "SS".into();
        s.submission_set.unique_id = "1.1".into();
        s.submission_set.patient_id = "p".into();
        s.document_entries.push(DocumentEntry {
            entry_uuid: "DE".into(),
            unique_id: "1.2".into(),
            patient_id: "p".into(),
            ..Default::default()
        });
        s.folders.push(Folder {
            entry_uuid: "FD".into(),
            unique_id: "1.3".into(),
            patient_id: "p".into(),
            ..Default::default()
        });
        s.associations = vec![
            hm("A1", "SS", "DE", Some(SubmissionSetStatus::Original)),
            hm("A2", "SS", "FD", None),
            hm("A3", "FD", "DE", None),
            hm("A4", "SS", "A3", None),
        ];
        s
    }

    fn codes(s: &Submission) -> Vec<(ErrorCode, String)> {
        let mut out = vec![];
        check(s, ErrorCode::XDSRegistryDuplicateUniqueIdInMessage, &mut out);
        out.into_iter().map(|e| (e.code, e.location.unwrap_or_default())).collect()
    }

    #[track_caller]
    fn one(s: &Submission, code: ErrorCode, location: &str) {
        assert_eq!(codes(s), [(code, location.to_owned())]);
    }

    #[test]
    fn the_good_one_passes() {
        assert_eq!(codes(&good()), []);
    }

    #[test]
    fn another_patient_on_the_document() {
        let mut s = good();
        s.document_entries[0].patient_id = "q".into();
        one(&s, ErrorCode::XDSPatientIdDoesNotMatch, "DE/DocumentEntry.patientId");
    }

    #[test]
    fn one_unique_id_twice() {
        let mut s = good();
        s.folders[0].unique_id = "1.2".into();
        one(&s, ErrorCode::XDSRegistryDuplicateUniqueIdInMessage, "FD/Folder.uniqueId");
    }

    #[test]
    fn one_id_twice() {
        let mut s = good();
        s.associations[1].entry_uuid = "A1".into();
        one(&s, ErrorCode::XDSRegistryMetadataError, "A1/id");
        let mut s = good();
        s.associations[0].entry_uuid = "urn:uuid:08a15a6f-5b4a-42de-8f95-89474f83abdf".into();
        s.associations[1].entry_uuid = "urn:uuid:08A15A6F-5B4A-42DE-8F95-89474F83ABDF".into();
        one(&s, ErrorCode::XDSRegistryMetadataError, &format!("{}/id", s.associations[1].entry_uuid));
    }

    #[test]
    fn a_document_outside_the_set() {
        let mut s = good();
        s.associations.remove(0);
        one(&s, ErrorCode::XDSRegistryMetadataError, "DE/DocumentEntry");
    }

    #[test]
    fn a_folder_membership_outside_the_set() {
        let mut s = good();
        s.associations.remove(3);
        one(&s, ErrorCode::XDSRegistryMetadataError, "A3/Folder-DocumentEntry HasMember");
    }

    #[test]
    fn submission_set_status_absent() {
        let mut s = good();
        s.associations[0].submission_set_status = None;
        one(&s, ErrorCode::XDSRegistryMetadataError, "A1/Association.SubmissionSetStatus");
    }

    #[test]
    fn a_folder_in_a_folder() {
        let mut s = good();
        s.associations[2].target_object = "FD".into();
        one(&s, ErrorCode::XDSRegistryMetadataError, "A3/Association.targetObject");
    }

    #[test]
    fn a_symbolic_reference_to_nothing() {
        let mut s = good();
        s.associations.push(Association::new(AssociationType::Append, "A5".into(), "DE", "gone"));
        one(&s, ErrorCode::UnresolvedReferenceException, "A5/Association.targetObject");
    }

    #[test]
    fn replacing_a_document_of_the_same_submission() {
        let mut s = good();
        let mut second = s.document_entries[0].clone();
        second.entry_uuid = "DE2".into();
        second.unique_id = "1.4".into();
        s.document_entries.push(second);
        s.associations.push(hm("A6", "SS", "DE2", Some(SubmissionSetStatus::Original)));
        s.associations.push(Association::new(AssociationType::Replace, "A5".into(), "DE2", "DE"));
        one(&s, ErrorCode::UnresolvedReferenceException, "A5/Association.targetObject");
    }

    #[test]
    fn nothing_submitted() {
        let mut s = good();
        s.document_entries.clear();
        s.folders.clear();
        s.associations.clear();
        one(&s, ErrorCode::XDSRegistryMetadataError, "SS/SubmissionSet");
    }
}
