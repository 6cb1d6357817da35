//! MSH (HL7 v2.5 2.15.9; ITI TF-2 C.2.2): who sends what to whom, and what of it this program takes.

use super::charset::Label;
use super::error::{Ack, Condition, ErrorSegment, Location, said};
use super::message::{Delimiters, Segment};
use crate::model::identity::Source;
use crate::model::ids::is_oid;
use crate::model::transaction::Transaction;

/// Which of the two forms of acknowledgement a sender reads (ERR-1, or ERR-2 and after).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V231,
    V25,
}

impl Version {
    pub fn as_str(self) -> &'static str {
        match self {
            Version::V231 => "2.3.1",
            Version::V25 => "2.5",
        }
    }
}

/// What a message does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Upsert,
    Merge,
    Rename,
    Link,
    Unlink,
    /// Acknowledged, and no more.
    Nothing,
    Pix,
    Demographics,
    Cancel,
}

/// A message this program takes.
struct Row {
    message_type: &'static str,
    event: &'static str,
    structures: &'static [&'static str],
    kind: Kind,
    transaction: Transaction,
}

const fn row(
    message_type: &'static str,
    event: &'static str,
    structures: &'static [&'static str],
    kind: Kind,
    transaction: Transaction,
) -> Row {
    Row { message_type, event, structures, kind, transaction }
}

/// ITI TF-2 3.8, 3.9, 3.21, 3.30. The structures are those of 2.3.1 and of 2.5.
const MESSAGES: &[Row] = &[
    row("ADT", "A01", &["ADT_A01"], Kind::Upsert, Transaction::Iti8),
    row("ADT", "A04", &["ADT_A01"], Kind::Upsert, Transaction::Iti8),
    row("ADT", "A05", &["ADT_A01", "ADT_A05"], Kind::Upsert, Transaction::Iti8),
    row("ADT", "A08", &["ADT_A01"], Kind::Upsert, Transaction::Iti8),
    row("ADT", "A40", &["ADT_A39"], Kind::Merge, Transaction::Iti8),
    row("ADT", "A28", &["ADT_A05"], Kind::Upsert, Transaction::Iti30),
    row("ADT", "A31", &["ADT_A05"], Kind::Upsert, Transaction::Iti30),
    row("ADT", "A47", &["ADT_A30"], Kind::Rename, Transaction::Iti30),
    row("ADT", "A24", &["ADT_A24"], Kind::Link, Transaction::Iti30),
    row("ADT", "A37", &["ADT_A37"], Kind::Unlink, Transaction::Iti30),
    row("QBP", "Q23", &["QBP_Q21"], Kind::Pix, Transaction::Iti9),
    row("QBP", "Q22", &["QBP_Q21"], Kind::Demographics, Transaction::Iti21),
    row("QCN", "J01", &["QCN_J01"], Kind::Cancel, Transaction::Iti21),
];

/// The header as sent. Fields that an answer gives back stay as they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub delimiters: Delimiters,
    /// MSH-3 to MSH-6, raw.
    pub sending_application: String,
    pub sending_facility: String,
    pub receiving_application: String,
    pub receiving_facility: String,
    /// MSH-9.
    pub message_type: String,
    pub event: String,
    pub structure: String,
    /// MSH-10, raw, blanks included: it is echoed exactly.
    pub control_id: String,
    /// MSH-11.1.
    pub processing: String,
    /// MSH-12.1.
    pub version_id: String,
    pub has_time: bool,
    pub label: Label,
    pub source: Source,
}

/// Longest MSH-10 taken: 20 by the standard of the time, which senders with UUIDs exceed; 199 since 2.7.
const CONTROL_ID: usize = 199;
/// Its standard length; more is a warning.
pub const CONTROL_ID_STANDARD: usize = 20;

impl Header {
    /// Reads MSH; nothing is judged yet.
    pub fn read(msh: Segment<'_>, delimiters: Delimiters, label: Label) -> Self {
        let raw = |n: usize| msh.field(n).raw.to_owned();
        let kind = msh.field(9);
        let facility = msh.field(4);
        Self {
            delimiters,
            sending_application: raw(3),
            sending_facility: raw(4),
            receiving_application: raw(5),
            receiving_facility: raw(6),
            message_type: kind.component(1).text(),
            event: kind.component(2).text(),
            structure: kind.component(3).text(),
            control_id: raw(10),
            processing: msh.field(11).component(1).text(),
            version_id: msh.field(12).component(1).text(),
            has_time: !msh.field(7).is_empty(),
            label,
            source: Source {
                application: msh.field(3).component(1).text(),
                facility: facility.component(1).text(),
                facility_oid: facility.component(2).filled().filter(|oid| is_oid(oid)),
                default_authority: None,
            },
        }
    }

    /// The form its sender reads; 2.5 for versions nobody knows.
    pub fn version(&self) -> Version {
        match self.version_id.as_str() {
            "2.1" | "2.2" | "2.3" | "2.3.1" | "2.4" => Version::V231,
            _ => Version::V25,
        }
    }

    /// Production (MSH-11 `P`); otherwise the message must not touch what production has.
    pub fn is_production(&self) -> bool {
        self.processing == "P"
    }

    /// Whether this program takes the message: what it does and as which transaction, or why not (ITI TF-2 C.2.3:
    /// unsupported values of MSH are rejected). `acknowledged`: ADT events that change nothing here.
    pub fn check(&self, acknowledged: &[String]) -> Result<(Kind, Transaction), (Ack, ErrorSegment)> {
        let at = |field: u32| Location::field("MSH", 1, field);
        let part = |component: u32| at(9).repetition(1).component(component);
        let missing = |location: Location, what: &str| {
            (Ack::Error, ErrorSegment::new(location, Condition::Required, what))
        };
        let reject =
            |location, condition, text: String| (Ack::Reject, ErrorSegment::new(location, condition, text));
        if self.version_id.is_empty() {
            return Err(missing(at(12), "MSH-12 names no version; 2.3.1 and 2.5 are taken"));
        }
        let query = self.message_type != "ADT";
        if !(self.version_id == "2.5" || self.version_id == "2.3.1" && !query) {
            let text = format!(
                "version {} is not taken: feeds are 2.3.1 or 2.5, queries 2.5",
                said(&self.version_id)
            );
            return Err(reject(at(12), Condition::Version, text));
        }
        if self.message_type.is_empty() {
            return Err(missing(part(1), "MSH-9 names no message type"));
        }
        let known_type = MESSAGES.iter().any(|row| row.message_type == self.message_type);
        if !known_type {
            let text =
                format!("message type {} is not taken; ADT, QBP and QCN are", said(&self.message_type));
            return Err(reject(part(1), Condition::MessageType, text));
        }
        if self.event.is_empty() {
            return Err(missing(part(2), "MSH-9 names no trigger event"));
        }
        let row = MESSAGES.iter().find(|r| r.message_type == self.message_type && r.event == self.event);
        let known = match row {
            Some(row) => {
                if !self.structure.is_empty() && !row.structures.contains(&self.structure.as_str()) {
                    let text = format!(
                        "{} is not the structure of {}^{}",
                        self.structure, row.message_type, row.event
                    );
                    return Err(reject(part(3), Condition::MessageType, text));
                }
                let merge_of_pam = row.kind == Kind::Merge && self.version() == Version::V25;
                (row.kind, if merge_of_pam { Transaction::Iti30 } else { row.transaction })
            }
            None if !query && acknowledged.contains(&self.event) => (Kind::Nothing, Transaction::Iti31),
            None => {
                let text =
                    format!("trigger event {} of {} is not taken", said(&self.event), self.message_type);
                return Err(reject(part(2), Condition::Event, text));
            }
        };
        match self.processing.as_str() {
            "" => return Err(missing(at(11), "MSH-11 is empty; P, T or D is needed")),
            "P" | "T" | "D" => {}
            other => {
                let text = format!("processing id {} is not P, T or D", said(other));
                return Err(reject(at(11), Condition::Processing, text));
            }
        }
        let id = self.control_id.trim_matches(' ');
        if id.is_empty() || id == "\"\"" {
            return Err(missing(at(10), "MSH-10 is empty; without it no answer can name the message"));
        }
        if self.control_id.chars().count() > CONTROL_ID {
            let text = format!("MSH-10 is longer than {CONTROL_ID} characters");
            return Err((Ack::Error, ErrorSegment::new(at(10), Condition::DataType, text)));
        }
        Ok(known)
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::Message;
    use super::*;

    const GOOD: &str = "MSH|^~\\&|HIS|F^1.2.392.1^ISO|MPI|N|20250401||ADT^A08^ADT_A01| M1|P|2.5";

    fn header(text: &str) -> Header {
        let message = Message::read(text).unwrap();
        Header::read(message.header().unwrap(), message.delimiters, Label::ASCII)
    }

    #[test]
    fn a_good_header_is_read_and_its_id_kept_exactly() {
        let h = header(GOOD);
        assert_eq!((h.control_id.as_str(), h.version(), h.is_production()), (" M1", Version::V25, true));
        assert_eq!(
            (h.source.application.as_str(), h.source.facility_oid.as_deref()),
            ("HIS", Some("1.2.392.1"))
        );
        assert_eq!(h.check(&[]).unwrap(), (Kind::Upsert, Transaction::Iti8));
    }

    #[test]
    fn each_value_of_msh_earns_its_refusal() {
        let cases = [
            ("|2.5", "|2.3", Ack::Reject, "203", "MSH^1^12"),
            ("|2.5", "|", Ack::Error, "101", "MSH^1^12"),
            ("ADT^A08^ADT_A01", "ORU^R01", Ack::Reject, "200", "MSH^1^9^1^1"),
            ("ADT^A08^ADT_A01", "ADT^A10", Ack::Reject, "201", "MSH^1^9^1^2"),
            ("ADT^A08^ADT_A01", "ADT^A43^ADT_A43", Ack::Reject, "201", "MSH^1^9^1^2"),
            ("ADT^A08^ADT_A01", "QBP^ZV1^QBP_Q21", Ack::Reject, "201", "MSH^1^9^1^2"),
            ("ADT^A08^ADT_A01", "ADT^A08^ADT_A39", Ack::Reject, "200", "MSH^1^9^1^3"),
            ("ADT^A08^ADT_A01", "ADT", Ack::Error, "101", "MSH^1^9^1^2"),
            ("ADT^A08^ADT_A01", "", Ack::Reject, "200", "MSH^1^9^1^1"),
            ("|P|", "|X|", Ack::Reject, "202", "MSH^1^11"),
            ("|P|", "||", Ack::Error, "101", "MSH^1^11"),
            ("| M1|", "| |", Ack::Error, "101", "MSH^1^10"),
        ];
        for (old, new, ack, code, location) in cases {
            let refused = header(&GOOD.replace(old, new)).check(&[]);
            if new.is_empty() {
                assert_eq!(refused.unwrap_err().1.condition.code(), "101");
                continue;
            }
            let (given, error) = refused.unwrap_err();
            let at = error.location.as_ref().map(ToString::to_string).unwrap_or_default();
            assert_eq!((given, error.condition.code(), at.as_str()), (ack, code, location), "{new}");
        }
        let long = format!("|{}|", "x".repeat(200));
        assert_eq!(header(&GOOD.replace("| M1|", &long)).check(&[]).unwrap_err().1.condition.code(), "102");
        let query = GOOD.replace("ADT^A08^ADT_A01", "QBP^Q23").replace("|2.5", "|2.3.1");
        assert_eq!(header(&query).check(&[]).unwrap_err().1.condition.code(), "203");
    }

    #[test]
    fn events_that_change_nothing_are_taken_where_configured() {
        let leave = header(&GOOD.replace("ADT^A08^ADT_A01", "ADT^A03^ADT_A03"));
        assert_eq!(leave.check(&["A03".into()]).unwrap(), (Kind::Nothing, Transaction::Iti31));
        assert!(leave.check(&[]).is_err());
    }
}
