//! `OperationOutcome`: what is wrong, in FHIR's words.

use std::fmt;

use serde_json::{Value, json};

use crate::model::identity::{Field, IdentityError, Place, Trouble, Warning};

/// `OperationOutcome.issue.severity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
    Information,
}

/// `OperationOutcome.issue.code`, as far as we say it (value set `issue-type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueCode {
    /// The content is not what its type demands.
    Structure,
    Required,
    Value,
    CodeInvalid,
    TooLong,
    NotSupported,
    NotFound,
    /// Not granted to who asks.
    Forbidden,
    /// More than may be asked in a time.
    Throttled,
    BusinessRule,
    Duplicate,
    Expired,
    /// Who asks is not known, or not well enough.
    Login,
    Transient,
    Exception,
    Informational,
}

impl IssueCode {
    pub fn as_str(self) -> &'static str {
        match self {
            IssueCode::Structure => "structure",
            IssueCode::Required => "required",
            IssueCode::Value => "value",
            IssueCode::CodeInvalid => "code-invalid",
            IssueCode::TooLong => "too-long",
            IssueCode::NotSupported => "not-supported",
            IssueCode::NotFound => "not-found",
            IssueCode::Forbidden => "forbidden",
            IssueCode::Throttled => "throttled",
            IssueCode::BusinessRule => "business-rule",
            IssueCode::Duplicate => "duplicate",
            IssueCode::Expired => "expired",
            IssueCode::Login => "login",
            IssueCode::Transient => "transient",
            IssueCode::Exception => "exception",
            IssueCode::Informational => "informational",
        }
    }
}

/// One issue. The text is for the sender and may name what they sent; `Debug` leaves it out.
#[derive(Clone, PartialEq, Eq)]
pub struct Issue {
    pub severity: Severity,
    pub code: IssueCode,
    pub text: String,
    /// FHIRPath, or the name of a parameter.
    pub expression: Option<String>,
}

impl fmt::Debug for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.code.as_str(), self.expression.as_deref().unwrap_or("-"))
    }
}

impl Issue {
    pub fn error(code: IssueCode, text: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code, text: text.into(), expression: None }
    }

    pub fn information(text: impl Into<String>) -> Self {
        Self { severity: Severity::Information, ..Self::error(IssueCode::Informational, text) }
    }

    #[must_use]
    pub fn at(self, expression: impl Into<String>) -> Self {
        Self { expression: Some(expression.into()), ..self }
    }

    /// What the index found odd and took all the same.
    pub fn warning(warning: &Warning) -> Self {
        let issue =
            Self { severity: Severity::Warning, ..Self::error(IssueCode::Value, warning.text.clone()) };
        match expression(warning.place) {
            Some(expression) => issue.at(expression),
            None => issue,
        }
    }
}

/// The resource.
pub fn operation_outcome(issues: &[Issue]) -> Value {
    let issues: Vec<Value> = issues
        .iter()
        .map(|issue| {
            let severity = match issue.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Information => "information",
            };
            let mut out = json!({
                "severity": severity,
                "code": issue.code.as_str(),
                "diagnostics": issue.text,
            });
            if let (Some(expression), Some(out)) = (&issue.expression, out.as_object_mut()) {
                out.insert("expression".into(), json!([expression]));
            }
            out
        })
        .collect();
    json!({ "resourceType": "OperationOutcome", "issue": issues })
}

/// Where a place of the index is in a Patient, or among parameters.
fn expression(place: Place) -> Option<String> {
    let n = place.repetition.saturating_sub(1);
    Some(match place.field {
        Field::Message => return None,
        Field::Identifier => format!("Patient.identifier[{n}]"),
        Field::PriorIdentifier => "Patient.link.other".into(),
        Field::Name => "Patient.name".into(),
        Field::BirthDate => "Patient.birthDate".into(),
        Field::Sex => "Patient.gender".into(),
        Field::Address => "Patient.address".into(),
        Field::Phone => "Patient.telecom".into(),
        Field::Insurance => "Patient.identifier".into(),
        Field::MotherId => "Patient.contact".into(),
        Field::MotherName => "Patient.extension".into(),
        Field::BirthOrder => "Patient.multipleBirth".into(),
        Field::Account => "Patient.identifier".into(),
        Field::Death => "Patient.deceased".into(),
        Field::EventTime => "Patient.meta.lastUpdated".into(),
        Field::QueriedIdentifier => "sourceIdentifier".into(),
        Field::WantedDomain => format!("targetSystem[{n}]"),
        Field::QueryParameter | Field::ReturnedDomain => "identifier".into(),
        Field::Continuation => "_page".into(),
    })
}

/// What the index found wrong.
pub fn of_error(error: &IdentityError) -> Issue {
    let code = match error.trouble {
        Trouble::Missing => IssueCode::Required,
        Trouble::BadValue | Trouble::TooMany => IssueCode::Value,
        Trouble::TooLong => IssueCode::TooLong,
        Trouble::BadCode | Trouble::UnknownAuthority | Trouble::NoAuthority => IssueCode::CodeInvalid,
        Trouble::UnknownId => IssueCode::NotFound,
        Trouble::Taken => IssueCode::Duplicate,
        Trouble::SameId | Trouble::OtherAuthority | Trouble::Subsumed | Trouble::IndividualNumber => {
            IssueCode::BusinessRule
        }
        Trouble::NotSupported => IssueCode::NotSupported,
        Trouble::Expired => IssueCode::Expired,
    };
    let issue = Issue::error(code, error.text.clone());
    match expression(error.place) {
        Some(expression) => issue.at(expression),
        None => issue,
    }
}
