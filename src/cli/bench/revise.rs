//! ITI-57: the next version of an entry, each after the one before.

use bytes::BytesMut;

use super::checks::Registered;
use super::connection::Pieces;
use super::drive::{Ask, Scenario};
use super::scenarios::{NUMBER, Run, UUID, VERSION, WRITTEN, simple};
use super::template::{Template, mark};
use crate::model::ebrim::Slot;
use crate::model::metadata::{DocumentEntry, Submission, Update};
use crate::model::transaction::Transaction;
use crate::model::uuids::slot;
use crate::synthetic::NETWORK_OID;
use crate::wire::ebxml::{submit, update};

/// Updates of documents that [`Originals`] registered, in turn: by the time one comes round again, its last
/// update has long been answered, if there are many more documents than clients.
pub struct Revise {
    run: Run,
    original: Submission,
    template: Template,
    patients: u64,
    documents: u64,
}

/// ITI-42 of the documents to be updated, one each.
pub struct Originals {
    run: Run,
    template: Template,
    patients: u64,
    documents: u64,
}

impl Revise {
    pub fn new(run: Run, patients: u64, documents: u64) -> Self {
        // The document's number is its own for ever; an update's is the request's.
        let document = format!("{NETWORK_OID}.8.{}.{}.", run.id, mark(UUID));
        let mut original = run.submission(1, &run.patient(WRITTEN), &document);
        let uuid = format!("urn:uuid:{:08x}-0000-4000-8001-{}", run.id, mark(UUID));
        let mut next = Update { submission: original.clone(), submission_sets: 1, ..Update::default() };
        next.submission.submission_set.unique_id = format!("{NETWORK_OID}.9.{}.{}", run.id, mark(NUMBER));
        for entry in &mut next.submission.document_entries {
            entry.logical_id = Some(uuid.clone());
        }
        for member in &mut next.submission.associations {
            member.extra.slots.push(Slot {
                name: slot::PREVIOUS_VERSION.to_owned(),
                slot_type: None,
                values: vec![mark(VERSION)],
            });
        }
        let template = run.template(Transaction::Iti57, |w| update::write(w, &next));
        name(&mut original, &uuid);
        Self { run, original, template, patients: patients.max(1), documents: documents.max(1) }
    }

    /// What must be there before.
    pub fn originals(&self) -> Originals {
        Originals {
            run: self.run.clone(),
            template: self.run.template(Transaction::Iti42, |w| submit::write(w, &self.original)),
            patients: self.patients,
            documents: self.documents,
        }
    }
}

/// Gives the entry its UUID, in its membership too.
fn name(submission: &mut Submission, uuid: &str) {
    for DocumentEntry { entry_uuid, .. } in &mut submission.document_entries {
        for member in &mut submission.associations {
            if member.target_object == *entry_uuid {
                member.target_object = uuid.to_owned();
            }
        }
        *entry_uuid = uuid.to_owned();
    }
}

/// Decimal digits, so that the same text serves in a UUID and in an OID.
fn digits(document: u64) -> String {
    format!("{:012}", document + 100_000_000_000)
}

impl Scenario for Originals {
    type Check = Registered;

    fn ask(&self, n: u64) -> Option<(Ask, Registered)> {
        if n >= self.documents {
            return None;
        }
        let common = self.run.common(Transaction::Iti42, n);
        let patient = (n % self.patients).to_string();
        let body = self.template.fill(b"", &[&common.message_id, &patient, "", &digits(n)], b"");
        let ask = Ask::Post { content_type: simple(), body: Pieces::new([body]) };
        Some((ask, Registered { common, content_type: String::new(), body: BytesMut::with_capacity(1024) }))
    }
}

impl Scenario for Revise {
    type Check = Registered;

    fn ask(&self, n: u64) -> Option<(Ask, Registered)> {
        let common = self.run.common(Transaction::Iti57, n);
        let document = n % self.documents;
        let patient = (document % self.patients).to_string();
        let (number, version) = (n.to_string(), (n / self.documents + 1).to_string());
        let values = [&common.message_id, &patient, &number, &digits(document), &version];
        let body = self.template.fill(b"", &values.map(String::as_str), b"");
        let ask = Ask::Post { content_type: simple(), body: Pieces::new([body]) };
        Some((ask, Registered { common, content_type: String::new(), body: BytesMut::with_capacity(1024) }))
    }
}
