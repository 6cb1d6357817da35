//! FHIR R4 of the MPI, in JSON (ITI PIXm 3.1: ITI-83, ITI-104; ITI PDQm 3.2: ITI-78, ITI-119), both ways. A Patient
//! is written in the shape of JP Core.
//!
//! What a resource holds beyond what the index keeps is not looked at; what it keeps is held against its type, and
//! every problem is named with its FHIRPath.

mod bundle;
mod capability;
mod outcome;
mod parameters;
mod patient;
mod search;
#[cfg(test)]
mod tests;

pub use bundle::{Entry, MatchGrade, searchset};
pub use capability::{search_parameters, statement};
pub use outcome::{Issue, IssueCode, Severity, of_error, operation_outcome};
pub use parameters::{Match, PixFound, read_match, read_pix, read_pix_query, write_pix};
pub use patient::{Link, Read, read, write};
pub use search::{Search, decoded, encoded, identifier_of, pairs, read as read_search};

use crate::model::identity::Authority;

/// What answers are.
pub const MEDIA_TYPE: &str = "application/fhir+json; charset=utf-8";

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
