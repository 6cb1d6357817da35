//! ITI-18, LeafClass, for a random patient of a [`DataSet`].

use bytes::BytesMut;
use clap::ValueEnum;

use super::checks::Found;
use super::connection::Pieces;
use super::drive::{Ask, Scenario};
use super::scenarios::{DataSet, NUMBER, ORDER, PATIENT, Run, simple};
use super::template::{Template, mark};
use crate::model::ebrim::Slot;
use crate::model::metadata::AvailabilityStatus;
use crate::model::query::{QUERIES, QueryId, ReturnType};
use crate::model::transaction::Transaction;
use crate::synthetic::SplitMix64;
use crate::wire::ebxml::query::{AdhocQueryRequest, write_request};

/// Documents a GetDocuments names.
const NAMED: u32 = 10;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum Query {
    /// A patient's Approved documents
    FindDocuments,
    /// Everything of a patient, with SubmissionSet and Associations
    GetAll,
    /// Ten of a patient's documents by uniqueId
    GetDocuments,
    /// A patient's five documents of one order
    FindDocumentsByReferenceId,
}

impl Query {
    fn id(self) -> QueryId {
        match self {
            Self::FindDocuments => QueryId::FindDocuments,
            Self::GetAll => QueryId::GetAll,
            Self::GetDocuments => QueryId::GetDocuments,
            Self::FindDocumentsByReferenceId => QueryId::FindDocumentsByReferenceId,
        }
    }

    fn slots(self, patient: &str, set: DataSet) -> Vec<Slot> {
        let slot =
            |name: &str, value: String| Slot { name: name.to_owned(), slot_type: None, values: vec![value] };
        let approved = |name: &str| slot(name, format!("('{}')", AvailabilityStatus::Approved.urn()));
        let of_patient = |name: &str| slot(name, format!("'{patient}'"));
        let find = || vec![of_patient("$XDSDocumentEntryPatientId"), approved("$XDSDocumentEntryStatus")];
        match self {
            Self::FindDocuments => find(),
            Self::FindDocumentsByReferenceId => {
                let order = DataSet::order(&mark(PATIENT), &mark(NUMBER));
                [find(), vec![slot("$XDSDocumentEntryReferenceIdList", format!("('{order}')"))]].concat()
            }
            Self::GetAll => vec![
                of_patient("$patientId"),
                approved("$XDSDocumentEntryStatus"),
                approved("$XDSSubmissionSetStatus"),
                approved("$XDSFolderStatus"),
            ],
            Self::GetDocuments => {
                let stem = set.stem(&mark(PATIENT));
                let ids: Vec<String> =
                    (1..=set.per_patient.min(NAMED)).map(|n| format!("'{stem}{n}'")).collect();
                vec![slot("$XDSDocumentEntryUniqueId", format!("({})", ids.join(",")))]
            }
        }
    }

    /// The documents of a patient that are found: the first, and how many.
    fn hits(self, set: DataSet, order: u64) -> (u32, u32) {
        match self {
            Self::FindDocuments | Self::GetAll => (1, set.per_patient),
            Self::GetDocuments => (1, set.per_patient.min(NAMED)),
            Self::FindDocumentsByReferenceId => {
                let before = u32::try_from(order).unwrap_or(u32::MAX).saturating_mul(ORDER);
                (before + 1, ORDER.min(set.per_patient.saturating_sub(before)))
            }
        }
    }
}

pub struct Find {
    run: Run,
    template: Template,
    set: DataSet,
    query: Query,
}

impl Find {
    pub fn new(run: Run, set: DataSet, query: Query) -> Self {
        let patient = run.patient(&set.patient_name());
        let request = AdhocQueryRequest {
            return_type: ReturnType::LeafClass,
            id: QUERIES.iter().find(|q| q.id == query.id()).map_or("", |q| q.urn).to_owned(),
            home: None,
            slots: query.slots(&patient, set),
        };
        let template = run.template(Transaction::Iti18, |w| write_request(w, &request));
        Self { run, template, set, query }
    }
}

impl Scenario for Find {
    type Check = Found;

    fn ask(&self, n: u64) -> Option<(Ask, Found)> {
        let common = self.run.common(Transaction::Iti18, n);
        let mut random = SplitMix64::derived(self.run.seed, 2, n);
        let patient = random.below(self.set.patients).to_string();
        let order = random.below(self.set.orders());
        let body = self.template.fill(b"", &[&common.message_id, &patient, &order.to_string()], b"");
        let ask = Ask::Post { content_type: simple(), body: Pieces::new([body]) };
        let (first, hits) = self.query.hits(self.set, order);
        let check = Found {
            common,
            body: BytesMut::with_capacity(hits as usize * 9000),
            unique_id_stem: self.set.stem(&patient),
            first,
            hits,
            whole: self.query == Query::GetAll,
        };
        Some((ask, check))
    }
}
