//! FHIR R4 of the MPI (ITI PIXm 3.1: ITI-83, ITI-104; ITI PDQm 3.2: ITI-78, ITI-119), both ways. A Patient is written in
//! the shape of JP Core. Readers and writers speak of JSON values; what is XML on the wire is turned into them, and
//! out of them, by one table (`elements`).
//!
//! What a resource holds beyond what the index keeps is not looked at; what it keeps is held against its type, and
//! every problem is named with its FHIRPath.

pub mod audit_event;
mod bundle;
mod capability;
mod elements;
mod outcome;
mod parameters;
mod patient;
mod search;
#[cfg(test)]
mod tests;
mod xml;

pub use bundle::{Entry, MatchGrade, searchset};
pub use capability::{search_parameters, statement};
pub use outcome::{Issue, IssueCode, Severity, of_error, operation_outcome};
pub use parameters::{Match, PixFound, read_match, read_pix, read_pix_query, write_pix};
pub use patient::{Link, Read, read, write};
pub use search::{Search, decoded, encoded, identifier_of, pairs, read as read_search};

use crate::model::identity::Authority;

/// How a resource is written: a manager takes and gives both (ITI PIXm 3.104.4.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    #[default]
    Json,
    Xml,
}

impl Format {
    /// The format of a media type or of a value of `_format` (FHIR R4 3.1.0.1.11).
    pub fn of(media: &str) -> Option<Self> {
        match media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "application/fhir+json" | "application/json" | "text/json" | "json" => Some(Format::Json),
            "application/fhir+xml" | "application/xml" | "text/xml" | "xml" => Some(Format::Xml),
            _ => None,
        }
    }

    /// What answers are.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Json => "application/fhir+json; charset=utf-8",
            Format::Xml => "application/fhir+xml; charset=utf-8",
        }
    }

    pub fn write(self, resource: &serde_json::Value) -> Vec<u8> {
        match self {
            Format::Json => {
                let mut out = serde_json::to_vec(resource).unwrap_or_default();
                out.push(b'\n');
                out
            }
            Format::Xml => xml::write(resource).into_bytes(),
        }
    }

    /// The content of a request as a value.
    pub fn read(self, bytes: &[u8]) -> Result<serde_json::Value, Issue> {
        match self {
            Format::Xml => xml::read(bytes),
            Format::Json => serde_json::from_slice(bytes).map_err(|e| {
                // Its own words may quote the content.
                let text = format!("the content is not JSON (line {}, column {})", e.line(), e.column());
                Issue::error(IssueCode::Structure, text)
            }),
        }
    }
}

/// The system of ids of a domain.
pub fn system_of(oid: &str) -> String {
    format!("{OID}{oid}")
}

const OID: &str = "urn:oid:";

/// The authority a system means: an OID, or a URI that a domain may have for an alias.
pub fn authority_of(system: &str) -> Authority {
    match system.strip_prefix(OID) {
        Some(oid) => Authority::oid(oid),
        None => Authority {
            namespace: None,
            universal_id: Some(system.to_owned()),
            universal_id_type: Some("URI".to_owned()),
        },
    }
}
