//! Good submissions and queries. Tests spoil one thing each.

use std::sync::atomic::{AtomicU64, Ordering};

use chiren::model::ebrim::{LocalizedString, Slot};
use chiren::model::metadata::{
    Association, AssociationType, Author, Code, DocumentEntry, Folder, Submission, SubmissionSet,
    SubmissionSetStatus,
};
use chiren::model::query::ReturnType;
use chiren::model::query::values::{quote, quote_list};
use chiren::model::uuids::status;
use chiren::wire::ebxml::query::AdhocQueryRequest;

pub const HOME: &str = "urn:oid:2.999.392.1";
pub const AUTHORITY: &str = "2.999.392.1.2";
pub const REPOSITORY: &str = "2.999.392.1.3";
pub const PATIENT: &str = "1001^^^&2.999.392.1.2&ISO";
pub const OTHER_PATIENT: &str = "1002^^^&2.999.392.1.2&ISO";

static NEXT: AtomicU64 = AtomicU64::new(1);

/// An OID nobody used before in this run.
pub fn new_oid() -> String {
    format!("2.999.392.77.{}.{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub fn code(code: &str, scheme: &str, display: &str) -> Code {
    Code {
        code: code.into(),
        scheme: scheme.into(),
        display: vec![LocalizedString { value: display.into(), lang: Some("ja-JP".into()), charset: None }],
        extra_slots: vec![],
    }
}

pub fn text(value: &str) -> Vec<LocalizedString> {
    vec![LocalizedString { value: value.into(), lang: Some("ja-JP".into()), charset: None }]
}

pub fn author() -> Author {
    Author {
        author_person: vec!["110^医師^一郎^^^^^^&1.2.392.100495.20.3.41.11312345670&ISO".into()],
        author_institution: vec!["登呂病院^^^^^&1.2.392.200119.6.102&ISO^^^^1312345670".into()],
        author_role: vec!["医師".into()],
        author_specialty: vec![],
        author_telecommunication: vec![],
        extra_slots: vec![],
    }
}

/// A stable DocumentEntry as ITI-42 wants it: hash, size and repositoryUniqueId are there. Codes
/// are of the built-in Japanese vocabulary.
pub fn document_entry(id: &str) -> DocumentEntry {
    DocumentEntry {
        entry_uuid: id.into(),
        unique_id: new_oid(),
        patient_id: PATIENT.into(),
        mime_type: "application/pdf".into(),
        repository_unique_id: Some(REPOSITORY.into()),
        hash: Some("a94a8fe5ccb19ba61c4c0873d391e987982fbbd3".into()),
        size: Some("4".into()),
        title: text("診療情報提供書"),
        author: vec![author()],
        class_code: Some(code("57133-1", LOINC, "診療情報提供書")),
        type_code: Some(code("57133-1", LOINC, "診療情報提供書")),
        format_code: Some(code("urn:ihe:iti:xds-sd:pdf:2008", "1.3.6.1.4.1.19376.1.2.3", "PDF")),
        healthcare_facility_type_code: Some(code("1", "1.2.392.100495.20.3.22", "医科")),
        practice_setting_code: Some(code("01", "1.2.392.200250.2.2.2", "内科")),
        confidentiality_code: vec![code("N", "2.16.840.1.113883.5.25", "通常")],
        creation_time: Some("20250401".into()),
        language_code: Some("ja-JP".into()),
        source_patient_id: Some("00012^^^&1.2.392.100495.20.3.51.11312345670&ISO".into()),
        source_patient_info: vec!["PID-3|00012^^^&1.2.392.100495.20.3.51.11312345670&ISO".into()],
        ..DocumentEntry::default()
    }
}

const LOINC: &str = "2.16.840.1.113883.6.1";

pub fn submission_set() -> SubmissionSet {
    SubmissionSet {
        entry_uuid: "SS".into(),
        unique_id: new_oid(),
        patient_id: PATIENT.into(),
        source_id: "2.999.392.1.9".into(),
        content_type_code: Some(code("57133-1", LOINC, "診療情報提供書")),
        submission_time: Some("20250401013000".into()),
        author: vec![author()],
        title: text("紹介状"),
        ..SubmissionSet::default()
    }
}

pub fn folder(id: &str) -> Folder {
    Folder {
        entry_uuid: id.into(),
        unique_id: new_oid(),
        patient_id: PATIENT.into(),
        code_list: vec![code("57133-1", LOINC, "診療情報提供書")],
        title: text("紹介"),
        ..Folder::default()
    }
}

pub fn has_member(id: &str, source: &str, target: &str) -> Association {
    Association::new(AssociationType::HasMember, id.into(), source, target)
}

/// SubmissionSet → DocumentEntry of the same submission.
pub fn original(id: &str, target: &str) -> Association {
    Association { submission_set_status: Some(SubmissionSetStatus::Original), ..has_member(id, "SS", target) }
}

/// One SubmissionSet, one DocumentEntry `DE`.
pub fn submission() -> Submission {
    Submission {
        submission_set: submission_set(),
        document_entries: vec![document_entry("DE")],
        folders: vec![],
        associations: vec![original("A-DE", "DE")],
    }
}

/// The same with a Folder `FD` that holds the document.
pub fn submission_with_folder() -> Submission {
    let mut s = submission();
    s.folders.push(folder("FD"));
    s.associations.push(has_member("A-FD", "SS", "FD"));
    s.associations.push(has_member("A-FD-DE", "FD", "DE"));
    s.associations.push(has_member("A-SS-HM", "SS", "A-FD-DE"));
    s
}

/// A submission whose document relates to `target` in the registry.
pub fn related(kind: AssociationType, target: &str) -> Submission {
    let mut s = submission();
    s.associations.push(Association::new(kind, "A-REL".into(), "DE", target));
    s
}

/// Another patient everywhere.
pub fn of_patient(mut s: Submission, patient: &str) -> Submission {
    s.submission_set.patient_id = patient.into();
    s.document_entries.iter_mut().for_each(|d| d.patient_id = patient.into());
    s.folders.iter_mut().for_each(|f| f.patient_id = patient.into());
    s
}

/// A slot holding these texts as a quoted list, or one quoted value.
pub fn list(name: &str, values: &[&str]) -> Slot {
    Slot { name: name.into(), slot_type: None, values: vec![quote_list(values)] }
}

pub fn single(name: &str, value: &str) -> Slot {
    Slot { name: name.into(), slot_type: None, values: vec![quote(value)] }
}

/// Query `urn` for LeafClass with these slots.
pub fn query(urn: &str, slots: Vec<Slot>) -> AdhocQueryRequest {
    AdhocQueryRequest { return_type: ReturnType::LeafClass, id: urn.into(), home: None, slots }
}

pub const FIND_DOCUMENTS: &str = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d";
pub const GET_DOCUMENTS: &str = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4";
pub const GET_ALL: &str = "urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3";

/// Approved documents of a patient.
pub fn find_documents(patient: &str) -> AdhocQueryRequest {
    query(
        FIND_DOCUMENTS,
        vec![
            single("$XDSDocumentEntryPatientId", patient),
            list("$XDSDocumentEntryStatus", &[status::APPROVED]),
        ],
    )
}

/// Everything of a patient, whatever its status.
pub fn get_all(patient: &str) -> AdhocQueryRequest {
    let both = [status::APPROVED, status::DEPRECATED];
    query(
        GET_ALL,
        vec![
            single("$patientId", patient),
            list("$XDSDocumentEntryStatus", &both),
            list("$XDSSubmissionSetStatus", &both),
            list("$XDSFolderStatus", &both),
        ],
    )
}
