//! A document's metadata as the command line gives it, and what is taken where it gives none.

use clap::Args;
use jiff::Timestamp;

use super::{fresh_id, fresh_oid, localized, publish, relate};
use crate::model::codes::{CodeCheck, CodedAttribute, Vocabulary};
use crate::model::hl7types::Dtm;
use crate::model::ids::is_entry_uuid;
use crate::model::metadata::{
    Association, AssociationType, Author, Code, DocumentEntry, Folder, Submission, SubmissionSet,
};
use crate::synthetic::NETWORK_OID;

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
    /// formatCode, where it is known without being told.
    pub format: Option<&'static str>,
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
                self.format.as_deref().or(facts.format),
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
            source_id: self.source_id.clone().unwrap_or_else(default_source),
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

/// The institution of an invented hospital; 医療機関コード and name belong to nobody.
pub fn default_institution() -> String {
    "知連試験病院^^^^^&1.2.392.200119.6.102&ISO^^^^1319999999".to_owned()
}

/// The sourceId of an example.
pub fn default_source() -> String {
    format!("{NETWORK_OID}.3.1")
}

/// Reads a code of the command line by the built-in vocabulary.
pub fn coded(option: &str, attribute: CodedAttribute, given: &str) -> Result<Code, String> {
    let vocabulary = Vocabulary::japan(CodeCheck::Off).map_err(|e| e.to_string())?;
    code(&vocabulary, option, attribute, given)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::submission::tests::problems;
    use crate::model::ebrim::first_text;
    use crate::model::rules::Column;

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
}
