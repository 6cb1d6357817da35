//! What a feed tells the MPI to do, the same from ITI-8, ITI-30, ITI-44 and ITI-104.

use super::demographics::{Address, Demographics, Insurance, PersonName, Phone, Update};
use super::error::Place;
use super::{Authority, SentId};

/// Demographics of one message, field by field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sent {
    pub names: Update<Vec<PersonName>>,
    pub birth_date: Update<String>,
    pub sex: Update<String>,
    pub addresses: Update<Vec<Address>>,
    pub phones: Update<Vec<Phone>>,
    pub insurances: Update<Vec<Insurance>>,
    pub mother_maiden_name: Update<PersonName>,
    pub mother_id: Update<String>,
    pub multiple_birth: Update<bool>,
    pub birth_order: Update<i64>,
    pub account: Update<String>,
    pub deceased: Update<String>,
    pub unknown: Update<bool>,
    pub updated: Update<String>,
}

impl Sent {
    /// What is known once this is heard.
    pub fn over(&self, known: &mut Demographics) {
        self.names.over(&mut known.names);
        self.birth_date.over(&mut known.birth_date);
        self.sex.over(&mut known.sex);
        self.addresses.over(&mut known.addresses);
        self.phones.over(&mut known.phones);
        self.insurances.over(&mut known.insurances);
        self.mother_maiden_name.over(&mut known.mother_maiden_name);
        self.mother_id.over(&mut known.mother_id);
        self.multiple_birth.over(&mut known.multiple_birth);
        self.birth_order.over(&mut known.birth_order);
        self.account.over(&mut known.account);
        self.deceased.over(&mut known.deceased);
        self.unknown.over(&mut known.unknown);
        self.updated.over(&mut known.updated);
    }
}

/// What is to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feed {
    /// A01 A04 A05 A08 A28 A31, 201301, 201302, PUT: these ids are of one patient, of whom this is said. Ids of
    /// several domains in one message belong to one person, by the sender's word.
    Upsert { ids: Vec<SentId>, sent: Box<Sent> },
    /// A40, 201304, `replaced-by`: the subsumed id belongs to the surviving one from now on.
    Merge { surviving: Vec<SentId>, subsumed: Vec<SentId> },
    /// A47: the id changed.
    Rename { from: SentId, to: SentId },
    /// A24, with what it says of either: it counts where the id is new here.
    Link { one: SentId, other: SentId, sent: Box<[Sent; 2]> },
    /// A37.
    Unlink { one: SentId, other: SentId },
    /// Acknowledged without any change of identity (A03 and the like, where configured).
    Nothing { ids: Vec<SentId> },
}

/// Who sent it, by its own words (MSH-3, MSH-4; `sender/device`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// MSH-3.1.
    pub application: String,
    /// MSH-4.1.
    pub facility: String,
    /// MSH-4.2, an OID where it is one.
    pub facility_oid: Option<String>,
    /// Fills in for ids without an authority, where configured for this sender.
    pub default_authority: Option<Authority>,
}

/// Something odd that stopped nothing: kept, reported to the operator, never with the patient's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub place: Place,
    pub text: String,
}

/// A feed as it came, whatever the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedMessage {
    pub source: Source,
    /// MSH-10, the v3 message id, the request id of a FHIR call.
    pub control_id: String,
    /// `ADT^A08`, `PRPA_IN201301UV02`, `PUT Patient`.
    pub event: String,
    /// EVN-6 or EVN-2, as sent: when it happened.
    pub occurred: Option<String>,
    pub feed: Feed,
    pub warnings: Vec<Warning>,
    /// The message as its bytes came, kept with the version it made.
    pub raw: Vec<u8>,
}
