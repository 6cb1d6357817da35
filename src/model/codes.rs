//! Codes and the value sets an affinity domain draws them from.
//!
//! A [`Vocabulary`] is read from TOML texts (`config/vocabulary/`), which merge; `japan.toml` is built in.
//! It answers three questions: is this code in the domain, what is it called, and which classCode does a
//! typeCode belong to. ITI TF-3 4.2.3.1.2.

use crate::model::ebrim::{Classification, first_text};
use crate::model::uuids;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// LOINC.
pub const LOINC: &str = "2.16.840.1.113883.6.1";
/// SS-MIX2 標準文書コード表 as JP Core names it; for its codes outside LOINC.
pub const JP_DOCUMENT_CODES: &str = "http://jpfhir.jp/fhir/core/CodeSystem/JP_DocumentCodes_CS";
/// SS-MIX2 データ種別 used as typeCode: a name of the network's own.
pub const SSMIX2_DATA_KIND: &str = "jp:ssmix2:datakind";
/// IHE format codes.
pub const IHE_FORMAT_CODES: &str = "1.3.6.1.4.1.19376.1.2.3";
/// Format codes of Japanese documents: a name of the network's own.
pub const JP_FORMAT_CODES: &str = "jp:formatcode";
/// SS-MIX2 診療科コード表.
pub const SSMIX2_DEPARTMENT: &str = "1.2.392.200250.2.2.2";
/// 点数表番号, used as healthcareFacilityTypeCode.
pub const FACILITY_CLASS: &str = "1.2.392.100495.20.3.22";
/// HL7 Confidentiality.
pub const CONFIDENTIALITY: &str = "2.16.840.1.113883.5.25";

/// One coded value: code, coding scheme and display name. ITI TF-3 4.2.3.1.2.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Code {
    pub code: String,
    pub scheme: String,
    pub display: String,
}

impl Code {
    pub fn new(code: impl Into<String>, scheme: impl Into<String>, display: impl Into<String>) -> Self {
        Self { code: code.into(), scheme: scheme.into(), display: display.into() }
    }

    /// Reads a code Classification; `None` if code or scheme is absent.
    pub fn from_classification(classification: &Classification) -> Option<Self> {
        let code = classification.node_representation.as_deref().filter(|c| !c.is_empty())?;
        let scheme = coding_scheme(classification)?;
        Some(Self::new(code, scheme, first_text(&classification.name).unwrap_or_default()))
    }
}

/// First value of the codingScheme slot of a code Classification that is not blank.
pub fn coding_scheme(classification: &Classification) -> Option<&str> {
    let slots = classification.slots.iter().filter(|s| s.name == uuids::slot::CODING_SCHEME);
    slots.flat_map(|s| &s.values).map(String::as_str).find(|v| !v.trim().is_empty())
}

/// What to do with a code the vocabulary does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CodeCheck {
    /// Refuse the submission.
    Strict,
    /// Accept and warn the sender.
    #[default]
    Warn,
    /// Do not look.
    Off,
}

/// An attribute whose values a domain may restrict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum CodedAttribute {
    #[serde(rename = "DocumentEntry.classCode")]
    ClassCode,
    #[serde(rename = "DocumentEntry.typeCode")]
    TypeCode,
    #[serde(rename = "DocumentEntry.formatCode")]
    FormatCode,
    #[serde(rename = "DocumentEntry.confidentialityCode")]
    ConfidentialityCode,
    #[serde(rename = "DocumentEntry.practiceSettingCode")]
    PracticeSettingCode,
    #[serde(rename = "DocumentEntry.healthcareFacilityTypeCode")]
    HealthcareFacilityTypeCode,
    #[serde(rename = "DocumentEntry.eventCodeList")]
    EventCodeList,
    #[serde(rename = "DocumentEntry.languageCode")]
    LanguageCode,
    #[serde(rename = "DocumentEntry.mimeType")]
    MimeType,
    #[serde(rename = "SubmissionSet.contentTypeCode")]
    ContentTypeCode,
    #[serde(rename = "Folder.codeList")]
    FolderCodeList,
    #[serde(rename = "Association.documentation")]
    AssociationDocumentation,
}

/// Whether a code is in the domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    Known,
    Unknown,
    /// No value set serves the attribute.
    Unrestricted,
}

/// One code of a value set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub code: String,
    /// Coding schemes under which the code is known, the preferred one first; empty if the attribute
    /// carries none (mimeType, languageCode).
    pub schemes: Vec<String>,
    pub display: String,
    /// For a typeCode: the classCode it belongs to.
    pub parent: Option<String>,
}

/// Why a vocabulary text cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VocabularyError {
    #[error("{file}: {message}")]
    Syntax { file: String, message: String },
    #[error("{file}: a [[set]] serves no attribute; name at least one in `attributes`")]
    NoAttribute { file: String },
    #[error("{file}: a code of the set \"{set}\" is empty")]
    EmptyCode { file: String, set: String },
    #[error("{file}: code {code} has no display name")]
    EmptyDisplay { file: String, code: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Where the codes come from; required, for whoever maintains them.
    source: String,
    #[serde(default)]
    set: Vec<Set>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    attributes: Vec<CodedAttribute>,
    source: Option<String>,
    schemes: Vec<String>,
    parent: Option<String>,
    codes: Vec<SetCode>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetCode {
    code: String,
    display: String,
    parent: Option<String>,
}

/// The codes of an affinity domain.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    check: CodeCheck,
    sets: HashMap<CodedAttribute, HashMap<String, Vec<Entry>>>,
}

impl Vocabulary {
    /// No value sets: every code is allowed.
    pub fn unrestricted() -> Self {
        Self { check: CodeCheck::Off, sets: HashMap::new() }
    }

    /// The built-in Japanese vocabulary, `config/vocabulary/japan.toml`.
    pub fn japan(check: CodeCheck) -> Result<Self, VocabularyError> {
        Self::parse(check, [("japan.toml", JAPAN)])
    }

    /// Merges vocabulary texts, each given with the name to use in error messages.
    pub fn parse<'t>(
        check: CodeCheck,
        texts: impl IntoIterator<Item = (&'t str, &'t str)>,
    ) -> Result<Self, VocabularyError> {
        let mut vocabulary = Self { check, sets: HashMap::new() };
        for (name, text) in texts {
            vocabulary.add(name, text)?;
        }
        Ok(vocabulary)
    }

    fn add(&mut self, name: &str, text: &str) -> Result<(), VocabularyError> {
        let file = name.to_owned();
        let parsed: File = toml::from_str(text)
            .map_err(|e| VocabularyError::Syntax { file: file.clone(), message: e.to_string() })?;
        for set in parsed.set {
            if set.attributes.is_empty() {
                return Err(VocabularyError::NoAttribute { file });
            }
            for code in set.codes {
                if code.code.is_empty() {
                    let set = set.source.unwrap_or(parsed.source);
                    return Err(VocabularyError::EmptyCode { file, set });
                }
                if code.display.trim().is_empty() {
                    return Err(VocabularyError::EmptyDisplay { file, code: code.code });
                }
                let entry = Entry {
                    code: code.code,
                    schemes: set.schemes.clone(),
                    display: code.display,
                    parent: code.parent.or_else(|| set.parent.clone()),
                };
                for attribute in &set.attributes {
                    let known =
                        self.sets.entry(*attribute).or_default().entry(entry.code.clone()).or_default();
                    // A later file wins, so that a network can rename or re-parent a built-in code.
                    known.retain(|e| e.schemes != entry.schemes);
                    known.insert(0, entry.clone());
                }
            }
        }
        Ok(())
    }

    /// What to do with unknown codes.
    pub fn check(&self) -> CodeCheck {
        self.check
    }

    /// Code and scheme must both match; the display name is never compared.
    pub fn membership(&self, attribute: CodedAttribute, code: &str, scheme: &str) -> Membership {
        match self.sets.get(&attribute) {
            None => Membership::Unrestricted,
            Some(_) if self.entry(attribute, code, scheme).is_some() => Membership::Known,
            Some(_) => Membership::Unknown,
        }
    }

    pub fn entry(&self, attribute: CodedAttribute, code: &str, scheme: &str) -> Option<&Entry> {
        let entries = self.sets.get(&attribute)?.get(code)?;
        entries.iter().find(|e| e.schemes.is_empty() || e.schemes.iter().any(|s| s == scheme))
    }

    /// The domain's display name of a code.
    pub fn display(&self, attribute: CodedAttribute, code: &str, scheme: &str) -> Option<&str> {
        self.entry(attribute, code, scheme).map(|e| e.display.as_str())
    }

    /// The whole [`Code`], with its preferred scheme, for one known by its code alone.
    pub fn code(&self, attribute: CodedAttribute, code: &str) -> Option<Code> {
        let entry = self.sets.get(&attribute)?.get(code)?.first()?;
        Some(Code::new(&entry.code, entry.schemes.first().map_or("", String::as_str), &entry.display))
    }

    /// Every code of an attribute, in order of code.
    pub fn entries(&self, attribute: CodedAttribute) -> Vec<&Entry> {
        let mut entries: Vec<&Entry> =
            self.sets.get(&attribute).into_iter().flat_map(|s| s.values().flatten()).collect();
        entries.sort_by(|a, b| (&a.code, &a.schemes).cmp(&(&b.code, &b.schemes)));
        entries
    }

    /// The classCode a typeCode belongs to: its parent, or itself where the code is a class too. `None` if
    /// the vocabulary does not say.
    pub fn class_of(&self, type_code: &str, scheme: &str) -> Option<&str> {
        let entry = self.entry(CodedAttribute::TypeCode, type_code, scheme)?;
        match &entry.parent {
            Some(parent) => Some(parent),
            None => self.entry(CodedAttribute::ClassCode, type_code, scheme).map(|e| e.code.as_str()),
        }
    }
}

const JAPAN: &str = include_str!("../../config/vocabulary/japan.toml");

#[cfg(test)]
mod tests {
    use super::*;

    fn japan() -> Vocabulary {
        Vocabulary::japan(CodeCheck::Strict).unwrap()
    }

    #[test]
    fn the_built_in_vocabulary_knows_the_document_table() {
        let v = japan();
        assert_eq!(v.display(CodedAttribute::TypeCode, "57133-1", LOINC), Some("診療情報提供書"));
        assert_eq!(v.membership(CodedAttribute::TypeCode, "57133-1", "1.2.3"), Membership::Unknown);
        assert_eq!(v.membership(CodedAttribute::TypeCode, "57133-1", JP_DOCUMENT_CODES), Membership::Known);
        assert_eq!(v.membership(CodedAttribute::EventCodeList, "x", "y"), Membership::Unrestricted);
        assert_eq!(v.membership(CodedAttribute::MimeType, "application/pdf", ""), Membership::Known);
        assert_eq!(v.code(CodedAttribute::FormatCode, "jp:fhir:hs038").unwrap().scheme, JP_FORMAT_CODES);
        assert_eq!(v.code(CodedAttribute::PracticeSettingCode, "01").unwrap().display, "内科");
    }

    #[test]
    fn type_codes_know_their_class() {
        let v = japan();
        assert_eq!(v.class_of("11506-3", LOINC), Some("34109-9"));
        assert_eq!(v.class_of("18842-5", LOINC), Some("Z0002"));
        assert_eq!(v.class_of("57133-1", LOINC), Some("57133-1"));
        assert_eq!(v.class_of("OMP-02", SSMIX2_DATA_KIND), Some("69730-0"));
        assert_eq!(v.class_of("nonsense", LOINC), None);
    }

    #[test]
    fn every_parent_is_a_class() {
        let v = japan();
        let classes: Vec<&str> =
            v.entries(CodedAttribute::ClassCode).iter().map(|e| e.code.as_str()).collect();
        for entry in v.entries(CodedAttribute::TypeCode) {
            let parent = entry.parent.as_deref().unwrap_or(&entry.code);
            assert!(classes.contains(&parent), "typeCode {} has the unknown class {parent}", entry.code);
        }
    }

    #[test]
    fn files_merge_and_the_later_wins() {
        let own = r#"
            source = "test"
            [[set]]
            attributes = ["DocumentEntry.typeCode"]
            schemes = ["1.2.392.9"]
            parent = "51852-2"
            codes = [{ code = "MEMO", display = "メモ" }]
            [[set]]
            attributes = ["DocumentEntry.mimeType"]
            schemes = []
            codes = [{ code = "application/pdf", display = "PDF文書" }]
        "#;
        let v = Vocabulary::parse(CodeCheck::Warn, [("japan.toml", JAPAN), ("own.toml", own)]).unwrap();
        assert_eq!(v.class_of("MEMO", "1.2.392.9"), Some("51852-2"));
        assert_eq!(v.display(CodedAttribute::MimeType, "application/pdf", ""), Some("PDF文書"));
        assert!(v.entry(CodedAttribute::TypeCode, "57133-1", LOINC).is_some());
    }

    #[test]
    fn faults_name_the_file() {
        let parse = |text: &str| Vocabulary::parse(CodeCheck::Warn, [("x.toml", text)]).unwrap_err();
        assert!(matches!(parse("[[set]]"), VocabularyError::Syntax { file, .. } if file == "x.toml"));
        let set = |body: &str| format!("source = 's'\n[[set]]\nschemes = []\n{body}");
        assert!(matches!(parse(&set("attributes = []\ncodes = []")), VocabularyError::NoAttribute { .. }));
        assert!(matches!(
            parse(&set("attributes = ['Folder.codeList']\ncodes = [{ code = 'a', display = ' ' }]")),
            VocabularyError::EmptyDisplay { .. }
        ));
        assert!(matches!(
            parse(&set("attributes = ['Folder.codeList']\ncodes = [{ code = '', display = 'a' }]")),
            VocabularyError::EmptyCode { .. }
        ));
        assert!(matches!(
            parse(&set("attributes = ['Folder.colour']\ncodes = []")),
            VocabularyError::Syntax { .. }
        ));
    }
}
