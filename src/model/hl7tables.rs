//! Tables of HL7 that every version of its messages answers by: acknowledgement codes (table 0008) and what is wrong
//! (table 0357).

use super::identity::Trouble;

/// Table 0008, as we write it: MSA-1, `acknowledgement/typeCode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// Done, and on disk.
    Accept,
    /// The content is at fault: not to be sent again unchanged.
    Error,
    /// A value of the header is not supported; or not now, and the same may be sent again.
    Reject,
}

impl Ack {
    pub fn code(self) -> &'static str {
        match self {
            Ack::Accept => "AA",
            Ack::Error => "AE",
            Ack::Reject => "AR",
        }
    }

    /// As it is read. IHE asks for the application's codes; peers answer the commit codes too.
    pub fn of(code: &str) -> Option<Self> {
        match code {
            "AA" | "CA" => Some(Ack::Accept),
            "AE" | "CE" => Some(Ack::Error),
            "AR" | "CR" => Some(Ack::Reject),
            _ => None,
        }
    }
}

/// Table 0357: ERR-3, `acknowledgementDetail/code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    Accepted,
    /// A segment or an element stands where it may not, too often, or not where it must.
    SegmentSequence,
    Required,
    DataType,
    TableValue,
    MessageType,
    Event,
    Processing,
    Version,
    UnknownKey,
    DuplicateKey,
    Locked,
    Internal,
}

impl Condition {
    /// The OID of the table.
    pub const SYSTEM: &str = "2.16.840.1.113883.12.357";

    pub const ALL: [Condition; 13] = [
        Condition::Accepted,
        Condition::SegmentSequence,
        Condition::Required,
        Condition::DataType,
        Condition::TableValue,
        Condition::MessageType,
        Condition::Event,
        Condition::Processing,
        Condition::Version,
        Condition::UnknownKey,
        Condition::DuplicateKey,
        Condition::Locked,
        Condition::Internal,
    ];

    const fn row(self) -> (&'static str, &'static str) {
        match self {
            Condition::Accepted => ("0", "Message accepted"),
            Condition::SegmentSequence => ("100", "Segment sequence error"),
            Condition::Required => ("101", "Required field missing"),
            Condition::DataType => ("102", "Data type error"),
            Condition::TableValue => ("103", "Table value not found"),
            Condition::MessageType => ("200", "Unsupported message type"),
            Condition::Event => ("201", "Unsupported event code"),
            Condition::Processing => ("202", "Unsupported processing id"),
            Condition::Version => ("203", "Unsupported version id"),
            Condition::UnknownKey => ("204", "Unknown key identifier"),
            Condition::DuplicateKey => ("205", "Duplicate key identifier"),
            Condition::Locked => ("206", "Application record locked"),
            Condition::Internal => ("207", "Application internal error"),
        }
    }

    pub const fn code(self) -> &'static str {
        self.row().0
    }

    pub const fn meaning(self) -> &'static str {
        self.row().1
    }

    /// What the index found wrong.
    pub fn of(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Missing => Condition::Required,
            Trouble::BadValue | Trouble::TooLong | Trouble::TooMany | Trouble::IndividualNumber => {
                Condition::DataType
            }
            Trouble::BadCode | Trouble::NotSupported => Condition::TableValue,
            Trouble::UnknownAuthority
            | Trouble::NoAuthority
            | Trouble::OtherAuthority
            | Trouble::UnknownId
            | Trouble::Subsumed
            | Trouble::Expired => Condition::UnknownKey,
            Trouble::Taken | Trouble::SameId => Condition::DuplicateKey,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart_and_read_as_they_are_written() {
        let mut codes: Vec<&str> = Condition::ALL.iter().map(|c| c.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Condition::ALL.len());
        for ack in [Ack::Accept, Ack::Error, Ack::Reject] {
            assert_eq!(Ack::of(ack.code()), Some(ack));
        }
        assert_eq!((Ack::of("CE"), Ack::of("")), (Some(Ack::Error), None));
    }
}
