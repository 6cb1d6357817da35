//! Identities and persons (統合MPI): what feeds say and what questions ask, whichever wire brought them.
//!
//! An *Identity* is a patient in one assigning authority; a *Person* is the individual linked to one or more of
//! them. HL7 v2, HL7 v3 and FHIR all become the values of this room; nothing below knows a wire.

mod correlation;
mod demographics;
mod discovery;
mod error;
mod feed;
mod question;
pub mod text;

pub use correlation::Way;
pub use demographics::{
    Address, Demographics, Insurance, NameScript, NameUse, PersonName, Phone, PhoneUse, Update,
};
pub use discovery::{Discovery, TimeToLive, Unable, Wanted};
pub use error::{Field, IdentityError, Place, Trouble};
pub use feed::{Feed, FeedMessage, Sent, Source, Warning};
pub use question::{DemographicsQuery, PixQuery, Representation};

use std::fmt;

/// An assigning authority as a sender names it: by namespace, by OID, by both, or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Authority {
    pub namespace: Option<String>,
    pub universal_id: Option<String>,
    pub universal_id_type: Option<String>,
}

impl Authority {
    /// The authority an OID names.
    pub fn oid(oid: impl Into<String>) -> Self {
        Self { universal_id: Some(oid.into()), universal_id_type: Some("ISO".into()), ..Self::default() }
    }

    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}

/// An identifier as sent. `Debug` prints its authority only: ids of patients stay out of logs.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct SentId {
    pub value: String,
    pub authority: Authority,
    /// CX.5, HL7 table 0203.
    pub type_code: Option<String>,
    /// Where it stood, for answers.
    pub place: Place,
}

impl fmt::Debug for SentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SentId(…, {:?}, {:?})", self.authority, self.place)
    }
}

/// An identifier in a domain this gateway knows: the OID of the assigning authority and the id, compared exactly
/// (leading zeros count).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainId {
    pub domain: String,
    pub value: String,
}

impl fmt::Debug for DomainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DomainId(…, {})", self.domain)
    }
}
