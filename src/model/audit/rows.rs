//! The tables of ITI-20: what each transaction's record is (security.md 2.3; ITI TF-2, "Security Audit
//! Considerations" of each transaction), and the coded values they are made of (DICOM PS3.16, RFC 3881, ITI TF).

use super::facts::Act;

/// Code, code system, text.
pub type Ev = (&'static str, &'static str, &'static str);

pub const DCM: &str = "DCM";
pub const IHE_TRANSACTIONS: &str = "IHE Transactions";
const RFC_3881: &str = "RFC-3881";
const XDS: &str = "IHE XDS Metadata";

pub const EXPORT: Ev = ("110106", DCM, "Export");
pub const IMPORT: Ev = ("110107", DCM, "Import");
pub const PATIENT_RECORD: Ev = ("110110", DCM, "Patient Record");
pub const QUERY: Ev = ("110112", DCM, "Query");

pub const SOURCE_ROLE: Ev = ("110153", DCM, "Source Role ID");
pub const DESTINATION_ROLE: Ev = ("110152", DCM, "Destination Role ID");
pub const APPLICATION: Ev = ("110150", DCM, "Application");
pub const APPLICATION_LAUNCHER: Ev = ("110151", DCM, "Application Launcher");

pub const PATIENT_NUMBER: Ev = ("2", RFC_3881, "Patient Number");
pub const REPORT_NUMBER: Ev = ("9", RFC_3881, "Report Number");
pub const URI: Ev = ("12", RFC_3881, "URI");
pub const NODE_ID: Ev = ("110182", DCM, "Node ID");
pub const SUBMISSION_SET: Ev =
    ("urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd", XDS, "submission set classificationNode");
/// An object nobody knows.
pub const OBJECT_REF: Ev = ("urn:ihe:iti:2017:ObjectRef", XDS, "registry object reference");

/// What objects that are removed are (ITI RMD 3.62.5.1), by the word of [`Facts::kinds`](super::Facts).
pub const OBJECTS: &[(&str, Ev)] = &[
    ("DocumentEntry", ("urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1", XDS, "document entry object type")),
    (
        "OnDemandDocumentEntry",
        ("urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248", XDS, "on-demand document entry object type"),
    ),
    (
        "SubmissionSet",
        ("urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd", XDS, "submission set classification node"),
    ),
    ("Folder", ("urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2", XDS, "folder classification node")),
];

/// What else there is in the objects of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Patients, and the id of the message under this name.
    Feed(&'static str),
    /// The patients that are named, and the question. Of messages, their id under this name.
    Question(Option<&'static str>),
    /// The same, the question being a stored query: its UUID, encoding and community.
    StoredQuery,
    /// XCPD: our question names no patient; whom an answer shows has a record each.
    Discovery,
    /// The SubmissionSet.
    Submission,
    Documents,
    /// The same, for good.
    DocumentsRemoved,
    ObjectsRemoved,
}

/// Whether a record is about one patient, or about all ids of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patients {
    /// A record each.
    Each,
    /// One record: the message names ids of one patient.
    Together,
}

/// What one side writes: EventID and what was done; `None`: as the message says (C, U or D).
pub type Side = (Ev, Option<Act>);

/// A transaction's records.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// `ITI-41`.
    pub code: &'static str,
    pub name: &'static str,
    pub sender: Side,
    pub receiver: Side,
    pub about: About,
    pub patients: Patients,
    /// The documents flow against the request: Source is who answers.
    pub retrieve: bool,
    /// PartialSuccess is a success and a failure.
    pub partial: bool,
}

const ASKS: Side = (QUERY, Some(Act::Execute));
const FEEDS: Side = (PATIENT_RECORD, None);

const fn row(code: &'static str, name: &'static str, sender: Side, receiver: Side, about: About) -> Row {
    Row { code, name, sender, receiver, about, patients: Patients::Each, retrieve: false, partial: false }
}

const fn question(code: &'static str, name: &'static str, about: About) -> Row {
    row(code, name, ASKS, ASKS, about)
}

const fn feed(code: &'static str, name: &'static str, id: &'static str) -> Row {
    Row { patients: Patients::Together, ..row(code, name, FEEDS, FEEDS, About::Feed(id)) }
}

const fn notice(code: &'static str, name: &'static str, id: &'static str) -> Row {
    let (reads, updates) = ((PATIENT_RECORD, Some(Act::Read)), (PATIENT_RECORD, Some(Act::Update)));
    Row { patients: Patients::Together, ..row(code, name, reads, updates, About::Feed(id)) }
}

const fn submission(code: &'static str, name: &'static str) -> Row {
    row(code, name, (EXPORT, Some(Act::Read)), (IMPORT, Some(Act::Create)), About::Submission)
}

const fn update(code: &'static str, name: &'static str) -> Row {
    row(code, name, (EXPORT, Some(Act::Update)), (IMPORT, Some(Act::Update)), About::Submission)
}

const fn retrieve(code: &'static str, name: &'static str) -> Row {
    Row {
        retrieve: true,
        partial: true,
        ..row(code, name, (IMPORT, Some(Act::Create)), (EXPORT, Some(Act::Read)), About::Documents)
    }
}

const fn removal(code: &'static str, name: &'static str, about: About) -> Row {
    let deletes = (PATIENT_RECORD, Some(Act::Delete));
    row(code, name, deletes, deletes, about)
}

const MSH_10: &str = "MSH-10";
const II: &str = "II";

/// Every transaction that is recorded, in number order.
pub const ROWS: &[Row] = &[
    feed("ITI-8", "Patient Identity Feed", MSH_10),
    Row { patients: Patients::Together, ..question("ITI-9", "PIX Query", About::Question(Some(MSH_10))) },
    notice("ITI-10", "PIX Update Notification", MSH_10),
    Row { partial: true, ..question("ITI-18", "Registry Stored Query", About::StoredQuery) },
    question("ITI-21", "Patient Demographics Query", About::Question(Some(MSH_10))),
    feed("ITI-30", "Patient Identity Management", MSH_10),
    feed("ITI-31", "Patient Encounter Management", MSH_10),
    Row { partial: true, ..question("ITI-38", "Cross Gateway Query", About::StoredQuery) },
    retrieve("ITI-39", "Cross Gateway Retrieve"),
    submission("ITI-41", "Provide and Register Document Set-b"),
    submission("ITI-42", "Register Document Set-b"),
    retrieve("ITI-43", "Retrieve Document Set"),
    feed("ITI-44", "Patient Identity Feed HL7 V3", II),
    Row { patients: Patients::Together, ..question("ITI-45", "PIXV3 Query", About::Question(Some(II))) },
    notice("ITI-46", "PIXV3 Update Notification", II),
    question("ITI-47", "Patient Demographics Query HL7 V3", About::Question(Some(II))),
    question("ITI-51", "Multi-Patient Stored Query", About::StoredQuery),
    question("ITI-55", "Cross Gateway Patient Discovery", About::Discovery),
    question("ITI-56", "Patient Location Query", About::Question(None)),
    update("ITI-57", "Update Document Set"),
    submission("ITI-61", "Register On-Demand Document Entry"),
    removal("ITI-62", "Remove Metadata", About::ObjectsRemoved),
    submission("ITI-65", "Provide Document Bundle"),
    question("ITI-66", "Find Document Lists", About::Question(None)),
    question("ITI-67", "Find Document References", About::Question(None)),
    retrieve("ITI-68", "Retrieve Document"),
    question("ITI-78", "Mobile Patient Demographics Query", About::Question(None)),
    Row {
        patients: Patients::Together,
        ..question("ITI-83", "Mobile Patient Identifier Cross-reference Query", About::Question(None))
    },
    removal("ITI-86", "Remove Documents", About::DocumentsRemoved),
    update("ITI-92", "Restricted Update Document Set"),
    feed("ITI-104", "Patient Identity Feed FHIR", "Bundle.id"),
    question("ITI-119", "Patient Demographics Match", About::Question(None)),
];

/// The row of a transaction.
pub fn find(code: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.code == code)
}

impl Row {
    /// `EventTypeCode`.
    pub fn event_type(&self) -> Ev {
        (self.code, IHE_TRANSACTIONS, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of security.md 2.3 and every transaction of the catalogue.
    #[test]
    fn every_transaction_has_a_row() {
        let named = [
            "8", "9", "10", "18", "21", "30", "31", "38", "39", "41", "42", "43", "44", "45", "46", "47",
            "51", "55", "56", "57", "61", "62", "65", "66", "67", "68", "78", "83", "86", "92", "104", "119",
        ];
        for number in named {
            let code = format!("ITI-{number}");
            assert!(find(&code).is_some(), "{code} has no row: add it to model/audit/rows.rs");
        }
        assert_eq!(ROWS.len(), named.len(), "a row is not tested");
        let mut numbers: Vec<u32> = ROWS.iter().filter_map(|r| r.code[4..].parse().ok()).collect();
        numbers.sort_unstable();
        assert!(ROWS.iter().filter_map(|r| r.code[4..].parse::<u32>().ok()).eq(numbers), "in number order");
    }
}
