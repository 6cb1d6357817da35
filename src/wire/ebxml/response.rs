//! `rs:RegistryResponse` and `rs:RegistryErrorList`. ITI TF-3 4.2.4.

use roxmltree::Node;

use crate::model::error::{ErrorCode, RegistryError, Severity};
use crate::model::namespace::NS_RS;
use crate::model::uuids::{error_severity, response_status};
use crate::wire::xml::{XmlWriter, tree};

/// `@status` of a response (ITI TF-3 4.2.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseStatus {
    Success,
    PartialSuccess,
    Failure,
}

impl ResponseStatus {
    pub fn urn(self) -> &'static str {
        match self {
            Self::Success => response_status::SUCCESS,
            Self::PartialSuccess => response_status::PARTIAL_SUCCESS,
            Self::Failure => response_status::FAILURE,
        }
    }

    pub fn from_urn(urn: &str) -> Option<Self> {
        match urn {
            response_status::SUCCESS => Some(Self::Success),
            response_status::PARTIAL_SUCCESS => Some(Self::PartialSuccess),
            response_status::FAILURE => Some(Self::Failure),
            _ => None,
        }
    }
}

/// Success unless an error is listed; with an error, partial if something was still delivered.
pub fn status(errors: &[RegistryError], delivered: bool) -> ResponseStatus {
    match (errors.iter().any(RegistryError::is_error), delivered) {
        (false, _) => ResponseStatus::Success,
        (true, true) => ResponseStatus::PartialSuccess,
        (true, false) => ResponseStatus::Failure,
    }
}

/// Writes a whole `rs:RegistryResponse`.
pub fn write(w: &mut XmlWriter<'static>, status: ResponseStatus, errors: &[RegistryError]) {
    w.open("rs:RegistryResponse").attr("xmlns:rs", NS_RS).attr("status", status.urn());
    write_errors(w, errors);
    w.close();
}

/// Writes the error list, or nothing: an empty list is not allowed.
pub fn write_errors(w: &mut XmlWriter<'static>, errors: &[RegistryError]) {
    let Some(highest) = errors.iter().map(|e| e.severity).max() else { return };
    w.open("rs:RegistryErrorList").attr("highestSeverity", severity_urn(highest));
    for e in errors {
        w.open("rs:RegistryError")
            .attr("codeContext", &e.context)
            .attr("errorCode", e.code.as_str())
            .attr_opt("location", e.location.as_deref())
            .attr("severity", severity_urn(e.severity))
            .close();
    }
    w.close();
}

fn severity_urn(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => error_severity::ERROR,
        Severity::Warning => error_severity::WARNING,
    }
}

/// Reads status and errors of any response element. Codes not ours become the general one, with
/// the peer's spelling kept in the context (ITI TF-3 4.2.4.1: treat unknown codes by severity).
pub fn read(node: Node<'_, '_>) -> Result<(ResponseStatus, Vec<RegistryError>), String> {
    let text = tree::attr(node, "status").unwrap_or_default();
    let status =
        ResponseStatus::from_urn(text).ok_or_else(|| format!("response status '{text}' is unknown"))?;
    let mut errors = vec![];
    if let Some(list) = tree::child(node, NS_RS, "RegistryErrorList") {
        for e in tree::children(list, NS_RS, "RegistryError") {
            let spelled = tree::attr(e, "errorCode").unwrap_or_default();
            let context = tree::attr(e, "codeContext").unwrap_or_default();
            let known = ErrorCode::ALL.iter().copied().find(|c| c.as_str() == spelled);
            let mut error = match known {
                Some(code) => RegistryError::new(code, context),
                None => RegistryError::new(ErrorCode::XDSRegistryError, format!("{spelled}: {context}")),
            };
            error.severity = match tree::attr(e, "severity") {
                Some(error_severity::WARNING) => Severity::Warning,
                _ => Severity::Error,
            };
            error.location = tree::attr(e, "location").filter(|l| !l.is_empty()).map(str::to_owned);
            errors.push(error);
        }
    }
    Ok((status, errors))
}
