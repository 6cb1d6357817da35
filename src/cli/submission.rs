//! From a file, or a synthetic document, to the `Submission` that publishes it: one DocumentEntry,
//! its SubmissionSet, and the associations that hold them together. ITI TF-3 4.2.1, 4.2.2.

use clap::Args;
use jiff::Timestamp;
use uuid::Uuid;

use crate::model::codes::{CodeCheck, CodedAttribute, Vocabulary};
use crate::model::ebrim::{LocalizedString, Slot, first_text};
use crate::model::hl7types::Dtm;
use crate::model::ids::is_entry_uuid;
use crate::model::metadata::{
    Association, AssociationType, Author, Code, DocumentEntry, Folder, Submission, SubmissionSet,
    SubmissionSetStatus,
};
use crate::synthetic::{self, NETWORK_OID, SyntheticDocument};

/// The metadata of a document as the command line gives it. Codes are `code`, when the built-in
/// vocabulary knows it, `code^^scheme`, or `code^display^scheme`.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Metadata")]
pub struct Metadata {
    /// The patient's identifier in the affinity domain, 'ID^^^&OID&ISO'
    #[arg(long, value_name = "CX", required_unless_present = "raw")]
    pub patient: Option<String>,

    /// Title; else the file's name
    #[arg(long)]
    pub title: Option<String>,

    /// Media type; else told by the file's name
    #[arg(long, value_name = "TYPE/SUBTYPE")]
    pub mime: Option<String>,

    /// typeCode [default: 51852-2, その他書類]
    #[arg(long, value_name = "CODE")]
    pub type_code: Option<String>,

    /// classCode; else the class the vocabulary has for the typeCode
    #[arg(long, value_name = "CODE")]
    pub class_code: Option<String>,

    /// formatCode [default: urn:ihe:iti:xds:2017:mimeTypeSufficient]
    #[arg(long, value_name = "CODE")]
    pub format: Option<String>,

    /// confidentialityCode [default: N]
    #[arg(long, value_name = "CODE")]
    pub confidentiality: Vec<String>,

    /// healthcareFacilityTypeCode [default: 1, 医科]
    #[arg(long, value_name = "CODE")]
    pub facility_type: Option<String>,

    /// practiceSettingCode [default: 01, 内科]
    #[arg(long, value_name = "CODE")]
    pub practice_setting: Option<String>,

    /// eventCodeList; may be repeated
    #[arg(long, value_name = "CODE")]
    pub event_code: Vec<String>,

    /// authorInstitution; else that of an invented hospital
    #[arg(long, value_name = "XON")]
    pub author_institution: Option<String>,

    /// authorPerson
    #[arg(long, value_name = "XCN")]
    pub author_person: Option<String>,

    /// sourcePatientId, the patient's identifier at the source; else that of --patient
    #[arg(long, value_name = "CX")]
    pub source_patient_id: Option<String>,

    /// languageCode
    #[arg(long, default_value = "ja-JP")]
    pub language: String,

    /// creationTime; else when the file was last changed
    #[arg(long, value_name = "DTM")]
    pub creation_time: Option<String>,

    /// serviceStartTime
    #[arg(long, value_name = "DTM")]
    pub service_start: Option<String>,

    /// serviceStopTime
    #[arg(long, value_name = "DTM")]
    pub service_stop: Option<String>,

    /// uniqueId of the document; else a fresh 2.25.…
    #[arg(long, value_name = "OID")]
    pub unique_id: Option<String>,

    /// sourceId of the SubmissionSet; else an example's
    #[arg(long, value_name = "OID")]
    pub source_id: Option<String>,

    /// Put the document into this Folder: its entryUUID, or the title of a new one
    #[arg(long, value_name = "UUID|TITLE")]
    pub folder: Option<String>,

    /// Replace this DocumentEntry (RPLC)
    #[arg(long, value_name = "ENTRY-UUID")]
    pub replace: Option<String>,
}

/// What is known of the bytes themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The file's name without folder, if there is a file.
    pub file_name: Option<String>,
    pub changed: Option<Timestamp>,
    /// For ITI-42, where the repository has them already.
    pub repository_unique_id: Option<String>,
    /// SHA-1, hexadecimal.
    pub hash: Option<String>,
    pub size: Option<u64>,
}

const DEFAULT_TYPE: &str = "51852-2";
const DEFAULT_FORMAT: &str = "urn:ihe:iti:xds:2017:mimeTypeSufficient";

/// Media types by the ending of a name.
const MEDIA_TYPES: &[(&str, &str)] = &[
    ("pdf", "application/pdf"),
    ("xml", "text/xml"),
    ("cda", "text/xml"),
    ("json", "application/fhir+json"),
    ("hl7", "application/hl7-v2"),
    ("txt", "text/plain"),
    ("html", "text/html"),
    ("dcm", "application/dicom"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("png", "image/png"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
];

/// A fresh OID under 2.25: a UUID in decimal (ITU-T X.667).
pub fn fresh_oid() -> String {
    format!("2.25.{}", Uuid::new_v4().as_u128())
}

fn fresh_id() -> String {
    format!("urn:uuid:{}", Uuid::new_v4())
}

impl Metadata {
    /// The submission, its objects under real UUIDs so that the next request can name them. The
    /// error is a sentence about the option that cannot be used.
    pub fn submission(&self, facts: &Facts, now: Timestamp) -> Result<Submission, String> {
        let vocabulary = Vocabulary::japan(CodeCheck::Off).map_err(|e| e.to_string())?;
        let code = |option: &str, attribute, given: Option<&str>, default: &str| {
            code(&vocabulary, option, attribute, given.unwrap_or(default))
        };
        let type_code = code("type-code", CodedAttribute::TypeCode, self.type_code.as_deref(), DEFAULT_TYPE)?;
        let class = vocabulary.class_of(&type_code.code, &type_code.scheme);
        let class_code = match (&self.class_code, class) {
            (None, None) => type_code.clone(),
            (given, class) => {
                code("class-code", CodedAttribute::ClassCode, given.as_deref(), class.unwrap_or_default())?
            }
        };
        let many = |option: &str, attribute, given: &[String]| {
            given.iter().map(|g| code(option, attribute, Some(g), "")).collect::<Result<Vec<_>, _>>()
        };
        let mut confidentiality =
            many("confidentiality", CodedAttribute::ConfidentialityCode, &self.confidentiality)?;
        if confidentiality.is_empty() {
            confidentiality.push(code("confidentiality", CodedAttribute::ConfidentialityCode, None, "N")?);
        }
        let patient = self.patient.clone().unwrap_or_default();
        let name = facts.file_name.as_deref().unwrap_or_default();
        let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
        let guessed = MEDIA_TYPES.iter().find(|(e, _)| ending.eq_ignore_ascii_case(e)).map(|(_, mime)| *mime);
        let mime_type = match self.mime.as_deref().or(guessed) {
            Some(mime) => mime.to_owned(),
            None => return Err(format!("--mime is needed: the name '{name}' does not tell the media type")),
        };
        let title = self.title.as_deref().unwrap_or(stem);
        let institution = self.author_institution.clone().unwrap_or_else(default_institution);
        let author = Author {
            author_person: self.author_person.iter().cloned().collect(),
            author_institution: vec![institution],
            ..Author::default()
        };
        let created = facts.changed.unwrap_or(now);
        let entry = DocumentEntry {
            entry_uuid: fresh_id(),
            unique_id: self.unique_id.clone().unwrap_or_else(fresh_oid),
            patient_id: patient.clone(),
            mime_type,
            repository_unique_id: facts.repository_unique_id.clone(),
            hash: facts.hash.clone(),
            size: facts.size.map(|s| s.to_string()),
            title: localized(Some(title).filter(|t| !t.is_empty()), &self.language),
            author: vec![author.clone()],
            class_code: Some(class_code),
            type_code: Some(type_code.clone()),
            format_code: Some(code(
                "format",
                CodedAttribute::FormatCode,
                self.format.as_deref(),
                DEFAULT_FORMAT,
            )?),
            healthcare_facility_type_code: Some(code(
                "facility-type",
                CodedAttribute::HealthcareFacilityTypeCode,
                self.facility_type.as_deref(),
                "1",
            )?),
            practice_setting_code: Some(code(
                "practice-setting",
                CodedAttribute::PracticeSettingCode,
                self.practice_setting.as_deref(),
                "01",
            )?),
            confidentiality_code: confidentiality,
            event_code_list: many("event-code", CodedAttribute::EventCodeList, &self.event_code)?,
            creation_time: Some(
                self.creation_time.clone().unwrap_or_else(|| Dtm::from_timestamp(created).to_string()),
            ),
            service_start_time: self.service_start.clone(),
            service_stop_time: self.service_stop.clone(),
            language_code: Some(self.language.clone()),
            source_patient_id: Some(self.source_patient_id.clone().unwrap_or_else(|| patient.clone())),
            ..DocumentEntry::default()
        };
        let set = SubmissionSet {
            entry_uuid: fresh_id(),
            unique_id: fresh_oid(),
            patient_id: patient,
            source_id: self.source_id.clone().unwrap_or_else(|| format!("{NETWORK_OID}.3.1")),
            content_type_code: Some(type_code),
            submission_time: Some(Dtm::from_timestamp(now).to_string()),
            author: vec![author],
            ..SubmissionSet::default()
        };
        let mut submission = publish(entry, set);
        if let Some(replaced) = &self.replace {
            relate(&mut submission, AssociationType::Replace, replaced);
        }
        if let Some(folder) = &self.folder {
            self.file(&mut submission, folder);
        }
        Ok(submission)
    }

    /// Puts the document into a Folder; the SubmissionSet then also holds the membership itself
    /// (ITI TF-3 4.2.1.3).
    fn file(&self, submission: &mut Submission, folder: &str) {
        let set = submission.submission_set.entry_uuid.clone();
        let folder_id = if is_entry_uuid(folder) { folder.to_owned() } else { fresh_id() };
        let has_member = |source: &str, target: &str| {
            Association::new(AssociationType::HasMember, fresh_id(), source, target)
        };
        if !is_entry_uuid(folder) {
            submission.folders.push(Folder {
                entry_uuid: folder_id.clone(),
                unique_id: fresh_oid(),
                patient_id: submission.submission_set.patient_id.clone(),
                code_list: submission.submission_set.content_type_code.iter().cloned().collect(),
                title: localized(Some(folder), &self.language),
                ..Folder::default()
            });
            submission.associations.push(has_member(&set, &folder_id));
        }
        let documents: Vec<String> =
            submission.document_entries.iter().map(|d| d.entry_uuid.clone()).collect();
        for document in documents {
            let filed = has_member(&folder_id, &document);
            submission.associations.push(has_member(&set, &filed.entry_uuid));
            submission.associations.push(filed);
        }
    }
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

/// The submission that publishes a synthetic document, under symbolic ids: the same document gives
/// the same submission.
pub fn of_synthetic(document: &SyntheticDocument) -> Submission {
    let (entry, set) = synthetic_objects(document);
    publish(entry, set)
}

/// DocumentEntry and SubmissionSet of a synthetic document, apart.
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

/// The institution of an invented hospital; 医療機関コード and name belong to nobody.
fn default_institution() -> String {
    "知連試験病院^^^^^&1.2.392.200119.6.102&ISO^^^^1319999999".to_owned()
}

fn localized(text: Option<&str>, lang: &str) -> Vec<LocalizedString> {
    text.map(|value| LocalizedString { value: value.to_owned(), lang: Some(lang.to_owned()), charset: None })
        .into_iter()
        .collect()
}

/// Reads a code of the command line.
fn code(
    vocabulary: &Vocabulary,
    option: &str,
    attribute: CodedAttribute,
    given: &str,
) -> Result<Code, String> {
    let parts: Vec<&str> = given.split('^').collect();
    let (code, display, scheme) = match parts.as_slice() {
        [code] => match vocabulary.code(attribute, code) {
            Some(known) => (*code, known.display, known.scheme),
            None => {
                return Err(format!(
                    "--{option}: the built-in vocabulary does not know '{code}'; write code^^scheme"
                ));
            }
        },
        [code, display, scheme] => {
            let known = || vocabulary.display(attribute, code, scheme).unwrap_or(code).to_owned();
            let display = if display.is_empty() { known() } else { (*display).to_owned() };
            (*code, display, (*scheme).to_owned())
        }
        _ => return Err(format!("--{option}: '{given}' is not code, code^^scheme or code^display^scheme")),
    };
    Ok(Code {
        code: code.to_owned(),
        scheme,
        display: localized(Some(&display), "ja-JP"),
        extra_slots: vec![],
    })
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
    lines
}

fn shown(code: &Code) -> String {
    format!("{} {}", code.code, first_text(&code.display).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::error::{ErrorCode, RegistryError};
    use crate::model::rules::{self, Column, Profile, Rules};
    use crate::synthetic::{KINDS, Network};
    use crate::wire::ebxml::submit;
    use crate::wire::xml::{XmlWriter, tree};

    fn metadata() -> Metadata {
        Metadata {
            patient: Some("1001^^^&2.999.392.1.1&ISO".into()),
            language: "ja-JP".into(),
            ..Metadata::default()
        }
    }

    fn facts() -> Facts {
        Facts { file_name: Some("紹介状.pdf".into()), ..Facts::default() }
    }

    /// What a strict JAHIS registry would say, over the wire.
    fn problems(submission: &Submission, column: Column) -> Vec<RegistryError> {
        let mut w = XmlWriter::new();
        submit::write(&mut w, submission);
        let xml = w.finish();
        let vocabulary = Vocabulary::japan(CodeCheck::Strict).unwrap();
        let rules = Rules { column, profile: Profile::Jahis, vocabulary: &vocabulary };
        let draft = submit::read(tree::parse(&xml).unwrap().root_element(), Some(&rules));
        let mut problems = draft.problems;
        let duplicate = ErrorCode::XDSRegistryDuplicateUniqueIdInMessage;
        rules::submission::check(&draft.submission, duplicate, &mut problems);
        problems
    }

    #[test]
    fn a_file_and_a_patient_are_enough() {
        let submission = metadata().submission(&facts(), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(problems(&submission, Column::DocumentSource), []);
        let entry = &submission.document_entries[0];
        assert_eq!((entry.mime_type.as_str(), first_text(&entry.title)), ("application/pdf", Some("紹介状")));
        assert_eq!(entry.creation_time.as_deref(), Some("19700101000000"));
    }

    #[test]
    fn folders_and_replacement_are_well_formed() {
        let uuid = "urn:uuid:0c5d1d3a-5c3d-4b0e-8b7e-2f6d2f0a9f11";
        for folder in ["新しいフォルダ", uuid] {
            let metadata = Metadata { folder: Some(folder.into()), replace: Some(uuid.into()), ..metadata() };
            let submission = metadata.submission(&facts(), Timestamp::UNIX_EPOCH).unwrap();
            assert_eq!(problems(&submission, Column::DocumentSource), []);
            assert_eq!(submission.folders.len(), usize::from(folder != uuid));
        }
    }

    #[test]
    fn codes_are_read_in_three_forms() {
        let v = Vocabulary::japan(CodeCheck::Off).unwrap();
        let read = |given: &str| code(&v, "type-code", CodedAttribute::TypeCode, given);
        let known = read("57133-1").unwrap();
        assert_eq!(first_text(&known.display), Some("診療情報提供書"));
        assert_eq!(read(&known.query_form()).unwrap(), known);
        assert_eq!(first_text(&read("x^y^1.2").unwrap().display), Some("y"));
        assert!(read("x").is_err() && read("x^y").is_err());
    }

    #[test]
    fn a_name_that_tells_nothing_needs_a_media_type() {
        let facts = Facts { file_name: Some("x.bin".into()), ..Facts::default() };
        assert!(metadata().submission(&facts, Timestamp::UNIX_EPOCH).is_err());
    }

    #[test]
    fn every_kind_of_synthetic_document_keeps_the_rules() {
        let network = Network::generate(1, 20, jiff::civil::date(2026, 4, 1));
        let mut seen = std::collections::HashSet::new();
        for document in network.documents(200) {
            seen.insert(document.kind);
            assert_eq!(problems(&of_synthetic(&document), Column::DocumentSource), [], "{:?}", document.kind);
        }
        assert_eq!(seen.len(), KINDS.len());
    }
}
