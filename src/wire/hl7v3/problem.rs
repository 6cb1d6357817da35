//! What is wrong with a message, as `acknowledgementDetail` says it: a code of HL7 table 0357, a sentence, an XPath.

use std::fmt;

use roxmltree::Node;

use crate::model::hl7tables::Condition;
use crate::model::identity::{Field, IdentityError, Place, Warning};
use crate::wire::xml::tree;

/// Codes of HL7 table 0357 by what they mean of an element.
pub mod code {
    use crate::model::hl7tables::Condition;

    /// An element stands where it may not, or too often.
    pub const SEQUENCE: &str = Condition::SegmentSequence.code();
    pub const REQUIRED: &str = Condition::Required.code();
    pub const DATA_TYPE: &str = Condition::DataType.code();
    pub const TABLE_VALUE: &str = Condition::TableValue.code();
    pub const MESSAGE_TYPE: &str = Condition::MessageType.code();
    pub const PROCESSING: &str = Condition::Processing.code();
    pub const UNKNOWN_KEY: &str = Condition::UnknownKey.code();
    pub const DUPLICATE_KEY: &str = Condition::DuplicateKey.code();
    pub const INTERNAL: &str = Condition::Internal.code();
}

/// One `acknowledgementDetail`. The text is for the sender and may name what they sent; `Debug` leaves it out.
#[derive(Clone, PartialEq, Eq)]
pub struct Problem {
    /// `E`, or `W` for what stopped nothing.
    pub severity: &'static str,
    pub code: &'static str,
    pub text: String,
    /// XPath from the message element on.
    pub location: Option<String>,
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{} at {}", self.severity, self.code, self.location.as_deref().unwrap_or("-"))
    }
}

impl Problem {
    pub fn error(code: &'static str, text: impl Into<String>, location: impl Into<String>) -> Self {
        Self { severity: "E", code, text: text.into(), location: Some(location.into()) }
    }

    /// A failure of ours, nothing of the message's.
    pub fn ours(text: impl Into<String>) -> Self {
        Self { severity: "E", code: code::INTERNAL, text: text.into(), location: None }
    }
}

/// Where what was read stood in the message, for what is found wrong with it later.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Paths {
    message: String,
    /// Field, repetition, XPath.
    known: Vec<(Field, u32, String)>,
}

const PATIENT: &str = "controlActProcess/subject/registrationEvent/subject1/patient";
const QUERY: &str = "controlActProcess/queryByParameter";

impl Paths {
    pub fn new(message: &str) -> Self {
        Self { message: message.to_owned(), known: vec![] }
    }

    /// The next repetition of a field stands at `path`.
    pub(super) fn note(&mut self, field: Field, path: String) -> Place {
        let before = self.known.iter().filter(|(f, ..)| *f == field).count();
        let repetition = u32::try_from(before + 1).unwrap_or(u32::MAX);
        self.known.push((field, repetition, path));
        Place::nth(field, repetition)
    }

    /// XPath of a place: where it was read, or where such a field stands.
    pub fn locate(&self, place: Place) -> String {
        let noted = |(f, r, _): &&(Field, u32, String)| *f == place.field && *r == place.repetition.max(1);
        if let Some((.., path)) = self.known.iter().find(noted) {
            return path.clone();
        }
        let (base, rest) = match place.field {
            Field::Message => ("", ""),
            Field::Identifier => (PATIENT, "/id"),
            Field::PriorIdentifier => (
                "controlActProcess/subject/registrationEvent/replacementOf/priorRegistration/subject1",
                "/priorRegisteredRole/id",
            ),
            Field::Name => (PATIENT, "/patientPerson/name"),
            Field::BirthDate => (PATIENT, "/patientPerson/birthTime"),
            Field::Sex => (PATIENT, "/patientPerson/administrativeGenderCode"),
            Field::Address => (PATIENT, "/patientPerson/addr"),
            Field::Phone => (PATIENT, "/patientPerson/telecom"),
            Field::Insurance => (PATIENT, "/coveredPartyOf"),
            Field::MotherId | Field::MotherName => (PATIENT, "/patientPerson/personalRelationship"),
            Field::BirthOrder => (PATIENT, "/patientPerson/multipleBirthOrderNumber"),
            Field::Account => (PATIENT, ""),
            Field::Death => (PATIENT, "/patientPerson/deceasedTime"),
            Field::EventTime => ("controlActProcess", "/effectiveTime"),
            Field::QueriedIdentifier => (QUERY, "/parameterList/patientIdentifier/value"),
            Field::WantedDomain => (QUERY, "/parameterList/dataSource/value"),
            Field::QueryParameter => (QUERY, "/parameterList"),
            Field::ReturnedDomain => (QUERY, "/parameterList/otherIDsScopingOrganization/value"),
            Field::Continuation => ("controlActProcess/queryContinuation", "/queryId"),
        };
        let slash = if base.is_empty() { "" } else { "/" };
        format!("/{}{slash}{base}{rest}", self.message)
    }

    /// What the MPI found wrong.
    pub fn problem(&self, error: &IdentityError) -> Problem {
        Problem::error(Condition::of(error.trouble).code(), error.text.clone(), self.locate(error.place))
    }

    /// What it found odd.
    pub fn warning(&self, warning: &Warning) -> Problem {
        let problem = Problem::error(code::DATA_TYPE, warning.text.clone(), self.locate(warning.place));
        Problem { severity: "W", ..problem }
    }
}

/// Elements whose number is told even where they stand alone: domains asked for (ITI TF-2 3.45.4.2.3).
const NUMBERED: [&str; 2] = ["dataSource", "otherIDsScopingOrganization"];

/// XPath of `node` from `message` on, numbered where a name stands several times.
pub(super) fn path(message: Node<'_, '_>, node: Node<'_, '_>) -> String {
    let mut steps: Vec<String> = vec![];
    for element in node.ancestors().filter(|n| n.is_element()) {
        let name = element.tag_name().name();
        if element == message {
            steps.push(name.to_owned());
            break;
        }
        let alike = |n: &Node<'_, '_>| n.is_element() && n.tag_name() == element.tag_name();
        let before = element.prev_siblings().skip(1).filter(alike).count();
        let alone = before == 0 && !element.next_siblings().skip(1).any(|n| alike(&n));
        match alone && !NUMBERED.contains(&name) {
            true => steps.push(name.to_owned()),
            false => steps.push(format!("{name}[{}]", before + 1)),
        }
    }
    steps.iter().rev().fold(String::new(), |path, step| path + "/" + step)
}

/// Reads the details of an acknowledgement.
pub(super) fn read(acknowledgement: Node<'_, '_>) -> Vec<Problem> {
    super::children(acknowledgement, "acknowledgementDetail")
        .map(|detail| {
            let said = super::child(detail, "code").and_then(|c| super::attr(c, "code")).unwrap_or_default();
            let text = super::child(detail, "text").map(|t| tree::text_of(t).trim().to_owned());
            let known = [
                code::SEQUENCE,
                code::REQUIRED,
                code::DATA_TYPE,
                code::TABLE_VALUE,
                code::MESSAGE_TYPE,
                code::PROCESSING,
                code::UNKNOWN_KEY,
                code::DUPLICATE_KEY,
                code::INTERNAL,
            ];
            let (code, text) = match known.into_iter().find(|c| *c == said) {
                Some(code) => (code, text.unwrap_or_default()),
                None if said.is_empty() => ("", text.unwrap_or_default()),
                None => ("", format!("{said}: {}", text.unwrap_or_default())),
            };
            let severity = match super::attr(detail, "typeCode") {
                Some("W") => "W",
                Some("I") => "I",
                _ => "E",
            };
            let location = super::child(detail, "location").map(|l| tree::text_of(l).trim().to_owned());
            Problem { severity, code, text, location }
        })
        .collect()
}
