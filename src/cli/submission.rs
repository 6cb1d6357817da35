//! From a file, or a synthetic document, to the `Submission` that publishes it: one DocumentEntry,
//! its SubmissionSet, and the associations that hold them together. ITI TF-3 4.2.1, 4.2.2.

pub mod metadata;

use uuid::Uuid;

use crate::model::ebrim::{LocalizedString, Slot, first_text};
use crate::model::ids::is_entry_uuid;
use crate::model::metadata::{
    Association, AssociationType, Author, Code, DocumentEntry, Submission, SubmissionSet, SubmissionSetStatus,
};
use crate::synthetic::{self, SyntheticDocument};

pub use metadata::{Facts, Metadata};

/// A fresh OID under 2.25: a UUID in decimal (ITU-T X.667).
pub fn fresh_oid() -> String {
    format!("2.25.{}", Uuid::new_v4().as_u128())
}

pub fn fresh_id() -> String {
    format!("urn:uuid:{}", Uuid::new_v4())
}

/// A SubmissionSet with this one document.
pub fn publish(entry: DocumentEntry, set: SubmissionSet) -> Submission {
    publish_all(vec![entry], set)
}

/// A SubmissionSet with these documents, each its Original member.
pub fn publish_all(entries: Vec<DocumentEntry>, set: SubmissionSet) -> Submission {
    let associations = entries
        .iter()
        .enumerate()
        .map(|(n, entry)| {
            let id = match is_entry_uuid(&entry.entry_uuid) {
                true => fresh_id(),
                false => format!("Member{:02}", n + 1),
            };
            let kind = AssociationType::HasMember;
            Association {
                submission_set_status: Some(SubmissionSetStatus::Original),
                ..Association::new(kind, id, &set.entry_uuid, &entry.entry_uuid)
            }
        })
        .collect();
    Submission { submission_set: set, document_entries: entries, folders: vec![], associations }
}

/// Relates each document of the submission to one that is registered.
pub fn relate(submission: &mut Submission, kind: AssociationType, target: &str) {
    for entry in &submission.document_entries {
        submission.associations.push(Association::new(kind, fresh_id(), &entry.entry_uuid, target));
    }
}

/// DocumentEntry and SubmissionSet of a synthetic document, under symbolic ids: the same document
/// gives the same objects, for [`publish`] or [`publish_all`] to put together.
pub fn synthetic_objects(document: &SyntheticDocument) -> (DocumentEntry, SubmissionSet) {
    let author = Author {
        author_person: vec![document.author_person.clone()],
        author_institution: vec![document.author_institution.clone()],
        author_role: vec![document.author_role.to_owned()],
        ..Author::default()
    };
    let coded = |code: &synthetic::Code| Code {
        code: code.code.to_owned(),
        scheme: code.scheme.to_owned(),
        display: localized(Some(code.display), document.language),
        extra_slots: vec![],
    };
    let mut entry = DocumentEntry {
        entry_uuid: "Document01".to_owned(),
        unique_id: document.unique_id.clone(),
        patient_id: document.patient_id.clone(),
        mime_type: document.mime_type.to_owned(),
        title: localized(Some(&document.title), document.language),
        author: vec![author.clone()],
        class_code: Some(coded(&document.class_code)),
        type_code: Some(coded(&document.type_code)),
        format_code: Some(coded(&document.format_code)),
        healthcare_facility_type_code: Some(coded(&document.facility_type)),
        practice_setting_code: Some(coded(&document.practice_setting)),
        confidentiality_code: vec![coded(&document.confidentiality_code)],
        event_code_list: document.event_codes.iter().map(coded).collect(),
        creation_time: Some(document.creation_time.clone()),
        service_start_time: Some(document.service_start.clone()),
        service_stop_time: Some(document.service_stop.clone()),
        language_code: Some(document.language.to_owned()),
        legal_authenticator: document.legal_authenticator.clone(),
        source_patient_id: Some(document.source_patient_id.clone()),
        source_patient_info: document.source_patient_info.clone(),
        reference_id_list: document.reference_ids.clone(),
        ..DocumentEntry::default()
    };
    if let Some(kind) = document.data_kind {
        entry.extra.slots.push(Slot {
            name: "urn:jp:ssmix2:dataKind".to_owned(),
            slot_type: None,
            values: vec![kind.to_owned()],
        });
    }
    let set = SubmissionSet {
        entry_uuid: "SubmissionSet01".to_owned(),
        // An arc of the document's own, which nothing else has.
        unique_id: format!("{}.1", document.unique_id),
        patient_id: document.patient_id.clone(),
        source_id: document.source_id.clone(),
        content_type_code: Some(coded(&document.type_code)),
        submission_time: Some(document.creation_time.clone()),
        author: vec![author],
        title: localized(Some(&document.title), document.language),
        ..SubmissionSet::default()
    };
    (entry, set)
}

pub fn localized(text: Option<&str>, lang: &str) -> Vec<LocalizedString> {
    text.map(|value| LocalizedString { value: value.to_owned(), lang: Some(lang.to_owned()), charset: None })
        .into_iter()
        .collect()
}

/// What a submission says, a line per attribute: the sender sees which defaults were taken.
pub fn summary(submission: &Submission) -> Vec<(&'static str, String)> {
    let coded = |code: &Option<Code>| code.iter().map(shown).collect::<Vec<_>>().join(", ");
    let mut lines = vec![];
    for e in &submission.document_entries {
        lines.extend([
            ("patientId", e.patient_id.clone()),
            ("sourcePatientId", e.source_patient_id.clone().unwrap_or_default()),
            ("title", first_text(&e.title).unwrap_or_default().to_owned()),
            ("mimeType", e.mime_type.clone()),
            ("classCode", coded(&e.class_code)),
            ("typeCode", coded(&e.type_code)),
            ("formatCode", coded(&e.format_code)),
            ("healthcareFacilityTypeCode", coded(&e.healthcare_facility_type_code)),
            ("practiceSettingCode", coded(&e.practice_setting_code)),
            ("confidentialityCode", e.confidentiality_code.iter().map(shown).collect::<Vec<_>>().join(", ")),
            ("creationTime", e.creation_time.clone().unwrap_or_default()),
            ("languageCode", e.language_code.clone().unwrap_or_default()),
        ]);
        for author in &e.author {
            lines.push(("authorInstitution", author.author_institution.join(", ")));
            if !author.author_person.is_empty() {
                lines.push(("authorPerson", author.author_person.join(", ")));
            }
        }
    }
    lines.push(("sourceId", submission.submission_set.source_id.clone()));
    lines.retain(|(_, value)| !value.is_empty());
    lines
}

fn shown(code: &Code) -> String {
    format!("{} {}", code.code, first_text(&code.display).unwrap_or_default())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::codes::{CodeCheck, Vocabulary};
    use crate::model::error::{ErrorCode, RegistryError};
    use crate::model::rules::{self, Column, Profile, Rules};
    use crate::synthetic::{KINDS, Network};
    use crate::wire::ebxml::submit;
    use crate::wire::xml::{XmlWriter, tree};

    /// What a strict JAHIS registry would say, over the wire.
    pub fn problems(submission: &Submission, column: Column) -> Vec<RegistryError> {
        let mut w = XmlWriter::new();
        submit::write(&mut w, submission);
        let xml = w.finish();
        let vocabulary = Vocabulary::japan(CodeCheck::Strict).unwrap();
        let rules =
            Rules { column, profile: Profile::Jahis, vocabulary: &vocabulary, limited_metadata: false };
        let draft = submit::read(tree::parse(&xml).unwrap().root_element(), Some(&rules));
        let mut problems = draft.problems;
        let duplicate = ErrorCode::XDSRegistryDuplicateUniqueIdInMessage;
        rules::submission::check(&draft.submission, duplicate, &mut problems);
        problems
    }

    #[test]
    fn every_kind_of_synthetic_document_keeps_the_rules() {
        let network = Network::generate(1, 20, jiff::civil::date(2026, 4, 1));
        let mut seen = std::collections::HashSet::new();
        for document in network.documents(200) {
            seen.insert(document.kind);
            let (entry, set) = synthetic_objects(&document);
            assert_eq!(problems(&publish(entry, set), Column::DocumentSource), [], "{:?}", document.kind);
        }
        assert_eq!(seen.len(), KINDS.len());
    }
}
