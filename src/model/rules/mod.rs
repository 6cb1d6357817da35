//! The metadata rules: how many of each attribute, which type, which code. ITI TF-3 4.2 and 4.3.1.1.
//!
//! [`table`] holds the rules as rows; [`check_object`] walks the rows of one object and then looks at what
//! no row can say (structure of ebRIM, attributes that must agree, the domain profile). It reports every
//! problem it finds and stops at none. What concerns several objects at once, or the registry's content,
//! is decided in [`submission`] and by the registry service.
//!
//! Every problem is raised as `XDSRegistryMetadataError`. A receiver that must answer
//! `XDSRepositoryMetadataError` (an XDR recipient) maps the code.

mod association;
mod author;
mod datatype;
mod structure;
pub mod submission;
pub mod table;

#[cfg(test)]
pub mod samples;

pub use table::{AttributeRule, Column, DataType, Place, Presence, rules};

use crate::model::codes::{CodeCheck, CodedAttribute, Membership, Vocabulary, coding_scheme};
use crate::model::ebrim::{Classification, ObjectKind, RegistryObject, first_text};
use crate::model::error::{ErrorCode, Problem, RegistryError, Severity};
use crate::model::hl7types::Dtm;
use crate::model::uuids::{document_entry, folder, slot, submission_set};
use serde::{Deserialize, Serialize};
use table::XmlAttribute;

/// Which domain's additions to the framework apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// The framework alone.
    Ihe,
    /// The framework and JAHIS技術文書17-107: a DocumentEntry names its author's institution.
    #[default]
    Jahis,
}

/// Everything that decides what a submitted object must look like.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    pub column: Column,
    pub profile: Profile,
    pub vocabulary: &'a Vocabulary,
    /// Objects marked limitedMetadata are taken, and owe what a Metadata-Limited Document Source owes
    /// (ITI TF-3 4.3.1.1); else the mark is an error.
    pub limited_metadata: bool,
}

/// What even a limited object owes a registry: whose it is, and where and what its document is.
const ALWAYS_OWED: [&str; 6] = [
    "DocumentEntry.patientId",
    "DocumentEntry.repositoryUniqueId",
    "DocumentEntry.hash",
    "DocumentEntry.size",
    "SubmissionSet.patientId",
    "Folder.patientId",
];

/// Checks one submitted object on its own against every rule and appends all problems to `out`.
pub fn check_object(object: &RegistryObject, rules_in_force: &Rules<'_>, out: &mut Vec<RegistryError>) {
    let Rules { column: sender, profile, vocabulary, limited_metadata } = *rules_in_force;
    // An On-Demand Document Source has no such option (ITI TF-3 Table 4.3.1.1-3).
    let limited = limited_metadata && sender != Column::OnDemand && is_marked_limited(object);
    let column = if limited { Column::MetadataLimited } else { sender };
    let mut checker = Checker { object, column, sender, vocabulary, out };
    for rule in rules(object.kind) {
        checker.check_rule(rule);
    }
    checker.check_structure();
    match object.kind {
        ObjectKind::DocumentEntry => {
            checker.check_service_times();
            checker.check_class_of_type();
            checker.check_author_institution(if limited { Profile::Ihe } else { profile });
        }
        ObjectKind::Association => checker.check_association(),
        ObjectKind::SubmissionSet | ObjectKind::Folder => {}
    }
}

fn is_marked_limited(object: &RegistryObject) -> bool {
    let marks =
        [document_entry::LIMITED_METADATA, submission_set::LIMITED_METADATA, folder::LIMITED_METADATA];
    object.classifications.iter().any(|c| c.node.as_deref().is_some_and(|node| marks.contains(&node)))
}

/// What a problem is reported with when the object carries no id.
const NO_ID: &str = "(object without id)";

struct Checker<'a> {
    object: &'a RegistryObject,
    column: Column,
    /// The column of who really sends: another than `column` for limited objects.
    sender: Column,
    vocabulary: &'a Vocabulary,
    out: &'a mut Vec<RegistryError>,
}

impl<'a> Checker<'a> {
    fn report(
        &mut self,
        severity: Severity,
        attribute: &str,
        value: Option<&str>,
        message: &str,
        clause: &str,
    ) {
        let id = self.object.id.as_str();
        let problem = Problem {
            code: ErrorCode::XDSRegistryMetadataError,
            object: if id.is_empty() { NO_ID } else { id },
            attribute,
            value,
            message,
            clause,
        };
        self.out.push(match severity {
            Severity::Error => problem.error(),
            Severity::Warning => problem.warning(),
        });
    }

    fn error(&mut self, attribute: &str, value: Option<&str>, message: &str, clause: &str) {
        self.report(Severity::Error, attribute, value, message, clause);
    }

    fn warning(&mut self, attribute: &str, value: Option<&str>, message: &str, clause: &str) {
        self.report(Severity::Warning, attribute, value, message, clause);
    }

    /// Presence, number and type of one attribute.
    fn check_rule(&mut self, rule: &AttributeRule) {
        let object = self.object;
        match rule.place {
            Place::Classification(scheme) => {
                let found: Vec<&Classification> = object.classified_by(scheme).collect();
                self.check_count(rule, found.len());
                for classification in found {
                    match rule.data_type {
                        DataType::Author => self.check_author(rule, classification),
                        DataType::Code(attribute) => self.check_code(rule, attribute, classification),
                        _ => {}
                    }
                }
            }
            Place::Marker(node) => {
                let count = object.classifications.iter().filter(|c| c.node.as_deref() == Some(node)).count();
                self.check_count(rule, count);
            }
            _ => {
                let values = values_of(object, rule.place);
                self.check_count(rule, values.len());
                if rule.data_type == DataType::SourcePatientInfo {
                    for (value, oddity) in datatype::source_patient_info(&values) {
                        self.warning(rule.name, Some(value), oddity, rule.clause);
                    }
                }
                for value in values {
                    if let Err(fault) = datatype::check(rule.data_type, value, self.column) {
                        self.error(rule.name, Some(value), &fault, rule.clause);
                        continue;
                    }
                    match rule.data_type {
                        DataType::MimeType => {
                            let essence = datatype::mime_essence(value).to_ascii_lowercase();
                            self.check_membership(rule, CodedAttribute::MimeType, &essence, "");
                        }
                        DataType::Language => {
                            self.check_membership(rule, CodedAttribute::LanguageCode, value, "")
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    fn check_count(&mut self, rule: &AttributeRule, count: usize) {
        let sender = self.column.label();
        if count == 0 {
            let column = if ALWAYS_OWED.contains(&rule.name) { self.sender } else { self.column };
            if rule.obligations.of(column) == Presence::R {
                self.error(
                    rule.name,
                    None,
                    &format!("is missing or empty; {sender} must send it"),
                    rule.clause,
                );
            }
        } else if rule.obligations.of(self.column) == Presence::X {
            self.error(rule.name, None, &format!("is present; {sender} must not send it"), rule.clause);
        } else if count > rule.max {
            let message = format!("occurs {count} times; at most {} allowed", rule.max);
            self.error(rule.name, None, &message, rule.clause);
        }
    }

    /// Code, coding scheme and display name, then membership in the value set. ITI TF-3 4.2.3.1.2.
    fn check_code(
        &mut self,
        rule: &AttributeRule,
        attribute: CodedAttribute,
        classification: &Classification,
    ) {
        let code = classification.node_representation.as_deref().unwrap_or_default();
        if code.trim().is_empty() {
            self.error(rule.name, None, "has no code in nodeRepresentation", CODES);
        }
        let schemes = classification.slots.iter().filter(|s| s.name == slot::CODING_SCHEME);
        let count = schemes.flat_map(|s| &s.values).filter(|v| !v.trim().is_empty()).count();
        if count != 1 {
            let message = format!("has {count} values of codingScheme; exactly one is required");
            self.error(rule.name, Some(code), &message, CODES);
        }
        if first_text(&classification.name).is_none_or(|name| name.trim().is_empty()) {
            self.error(rule.name, Some(code), "has no display name; its Name must not be empty", CODES);
        }
        if let Some(scheme) = coding_scheme(classification).filter(|_| !code.is_empty()) {
            self.check_membership(rule, attribute, code, scheme);
        }
    }

    fn check_membership(
        &mut self,
        rule: &AttributeRule,
        attribute: CodedAttribute,
        code: &str,
        scheme: &str,
    ) {
        let severity = match self.vocabulary.check() {
            CodeCheck::Strict => Severity::Error,
            CodeCheck::Warn => Severity::Warning,
            CodeCheck::Off => return,
        };
        if self.vocabulary.membership(attribute, code, scheme) == Membership::Unknown {
            let message = if scheme.is_empty() {
                "is not in this domain's value set for the attribute".to_owned()
            } else {
                format!("of coding scheme {scheme} is not in this domain's value set for the attribute")
            };
            self.report(severity, rule.name, Some(code), &message, rule.clause);
        }
    }

    /// serviceStartTime must not be later than serviceStopTime, as far as both are known.
    fn check_service_times(&mut self) {
        let object = self.object;
        let time = |name| object.slot_value(name).and_then(|v| Dtm::parse(v).ok());
        if let (Some(start), Some(stop)) = (time(slot::SERVICE_START_TIME), time(slot::SERVICE_STOP_TIME))
            && start.is_after(stop)
        {
            let value = format!("{start}-{stop}");
            let message = "starts after it stops; serviceStartTime must not be later than serviceStopTime";
            self.error("DocumentEntry.serviceStartTime", Some(&value), message, "ITI TF-3 4.2.3.2.19");
        }
    }

    /// The vocabulary may know which classCode a typeCode belongs to; a sender who disagrees is told so.
    fn check_class_of_type(&mut self) {
        if self.vocabulary.check() == CodeCheck::Off {
            return;
        }
        let (object, vocabulary) = (self.object, self.vocabulary);
        let code = |scheme| {
            let classification = object.classified_by(scheme).next()?;
            Some((classification.node_representation.as_deref()?, coding_scheme(classification)?))
        };
        let (Some((class, _)), Some((type_code, scheme))) =
            (code(document_entry::CLASS_CODE), code(document_entry::TYPE_CODE))
        else {
            return;
        };
        if let Some(parent) = vocabulary.class_of(type_code, scheme)
            && parent != class
        {
            let message = format!("belongs to classCode {parent} in this domain, not to {class}");
            self.warning("DocumentEntry.typeCode", Some(type_code), &message, "ITI TF-3 4.2.3.2.25");
        }
    }
}

const CODES: &str = "ITI TF-3 4.2.3.1.2";

/// The values an attribute has in its object. Present but empty counts as absent (ITI TF-3 4.3.1.1).
fn values_of(object: &RegistryObject, place: Place) -> Vec<&str> {
    fn one(value: Option<&str>) -> Vec<&str> {
        value.into_iter().collect()
    }
    let mut values: Vec<&str> = match place {
        Place::Attribute(attribute) => one(match attribute {
            XmlAttribute::Id => Some(&object.id),
            XmlAttribute::LogicalId => object.lid.as_deref(),
            XmlAttribute::Home => object.home.as_deref(),
            XmlAttribute::Status => object.status.as_deref(),
            XmlAttribute::ObjectType => object.object_type.as_deref(),
            XmlAttribute::MimeType => object.mime_type.as_deref(),
            XmlAttribute::AssociationType => object.association_type.as_deref(),
            XmlAttribute::SourceObject => object.source_object.as_deref(),
            XmlAttribute::TargetObject => object.target_object.as_deref(),
        }),
        Place::VersionInfo => one(object.version_name.as_deref()),
        Place::Slot(name) => {
            object.slot(name).into_iter().flat_map(|s| &s.values).map(String::as_str).collect()
        }
        Place::ExternalIdentifier { scheme, .. } => object
            .external_identifiers
            .iter()
            .filter(|e| e.scheme == scheme)
            .map(|e| e.value.as_str())
            .collect(),
        Place::Name => object.name.iter().map(|s| s.value.as_str()).collect(),
        Place::Description => object.description.iter().map(|s| s.value.as_str()).collect(),
        Place::Classification(_) | Place::Marker(_) => vec![],
    };
    values.retain(|v| !v.trim().is_empty());
    values
}

#[cfg(test)]
mod tests;
