//! What is wrong with a feed or a question, without any wire's words: each face says it in its own (ERR-2 and
//! table 0357, `acknowledgementDetail`, OperationOutcome).

use std::fmt;

/// The field something is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Field {
    /// The message as a whole.
    #[default]
    Message,
    /// PID-3, `Patient/id`, `Patient.identifier`.
    Identifier,
    /// MRG-1, `priorRegisteredRole/id`, `replaced-by`.
    PriorIdentifier,
    Name,
    BirthDate,
    Sex,
    Address,
    Phone,
    Insurance,
    MotherId,
    MotherName,
    BirthOrder,
    Account,
    Death,
    EventTime,
    /// QPD-3 of a PIX query, `patientIdentifier`, `sourceIdentifier`.
    QueriedIdentifier,
    /// QPD-4 of a PIX query, `dataSource`, `targetSystem`.
    WantedDomain,
    /// QPD-3 of a demographics query: the parameter in `repetition`.
    QueryParameter,
    /// QPD-8, `otherIDsScopingOrganization`.
    ReturnedDomain,
    /// DSC-1, `queryId`.
    Continuation,
}

/// Where something stands: field, which repetition (from 1) and which component, where it is of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Place {
    pub field: Field,
    pub repetition: u32,
    pub component: Option<u32>,
}

impl Place {
    pub fn of(field: Field) -> Self {
        Self { field, repetition: 1, component: None }
    }

    pub fn nth(field: Field, repetition: u32) -> Self {
        Self { field, repetition, component: None }
    }

    #[must_use]
    pub fn component(self, component: u32) -> Self {
        Self { component: Some(component), ..self }
    }
}

/// What the trouble is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// Nothing where something must be.
    Missing,
    /// Not of its type, or no such date.
    BadValue,
    /// Too long.
    TooLong,
    /// Not in its table.
    BadCode,
    /// The authority is none of ours.
    UnknownAuthority,
    /// No authority said, and none configured for the sender.
    NoAuthority,
    /// The id is not known in its domain.
    UnknownId,
    /// The id belongs to another already.
    Taken,
    /// Merge or link of an id with itself.
    SameId,
    /// Merge of ids of two authorities.
    OtherAuthority,
    /// More than may stand there.
    TooMany,
    /// Already merged away.
    Subsumed,
    /// A 個人番号 (マイナンバー) or something that is very likely one. The value is told nobody.
    IndividualNumber,
    /// A parameter that is not supported.
    NotSupported,
    /// A pointer or query that is not known, or no longer.
    Expired,
}

/// A refusal. `text` is for the sender: it names the rule and, except for 個人番号, the value they sent.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityError {
    pub trouble: Trouble,
    pub place: Place,
    pub text: String,
}

impl fmt::Debug for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityError({:?}, {:?})", self.trouble, self.place)
    }
}
