//! Registry stored queries as values: what was asked, with nothing left to parse.
//!
//! [`StoredQuery::from_slots`] turns the slots of an `AdhocQuery` into a variant, reporting every
//! problem with its IHE code. ITI-18, ITI-51, ITI-38 and the FHIR faces build the same values, so
//! there is one query engine.

mod params;
pub mod plain;
mod read;
pub mod values;
mod view;

pub use params::{Param, QUERIES, QueryRow, ValueKind};
pub use read::QueryProblems;
pub use view::{DocumentAvailability, MetadataLevel, View};

use super::ebrim::Slot;
use super::error::{ErrorCode, RegistryError, clip};
use super::hl7types::Cx;
use super::metadata::{AssociationType, AtRest, AvailabilityStatus, CorruptBody, EntryType, MetadataObject};

/// Names of the stored queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueryId {
    FindDocuments,
    FindSubmissionSets,
    FindFolders,
    GetAll,
    GetDocuments,
    GetFolders,
    GetAssociations,
    GetDocumentsAndAssociations,
    GetSubmissionSets,
    GetSubmissionSetAndContents,
    GetFolderAndContents,
    GetFoldersForDocument,
    GetRelatedDocuments,
    FindDocumentsByReferenceId,
    FindDocumentsForMultiplePatients,
    FindFoldersForMultiplePatients,
}

impl QueryId {
    pub const ALL: [QueryId; 16] = [
        Self::FindDocuments,
        Self::FindSubmissionSets,
        Self::FindFolders,
        Self::GetAll,
        Self::GetDocuments,
        Self::GetFolders,
        Self::GetAssociations,
        Self::GetDocumentsAndAssociations,
        Self::GetSubmissionSets,
        Self::GetSubmissionSetAndContents,
        Self::GetFolderAndContents,
        Self::GetFoldersForDocument,
        Self::GetRelatedDocuments,
        Self::FindDocumentsByReferenceId,
        Self::FindDocumentsForMultiplePatients,
        Self::FindFoldersForMultiplePatients,
    ];

    /// Its row; every query has one.
    pub fn row(self) -> Option<&'static QueryRow> {
        QUERIES.iter().find(|q| q.id == self)
    }

    pub fn by_urn(urn: &str) -> Option<&'static QueryRow> {
        QUERIES.iter().find(|q| q.urn.eq_ignore_ascii_case(urn))
    }
}

/// `ResponseOption/@returnType` (ITI TF-2 3.18.4.1.2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReturnType {
    #[default]
    LeafClass,
    ObjectRef,
}

impl ReturnType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LeafClass => "LeafClass",
            Self::ObjectRef => "ObjectRef",
        }
    }
}

/// A half-open range of times, `from <= value < to`, each padded to `YYYYMMDDhhmmss` so that text
/// compares as time does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TimeRange {
    pub from: Option<String>,
    pub to: Option<String>,
}

impl TimeRange {
    pub fn is_open(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }
}

/// Lists that are ORed inside and ANDed with each other.
pub type AndOfOr = Vec<Vec<String>>;

/// FindDocuments and its relatives. Codes are in `code^^scheme` form.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FindDocuments {
    /// Affinity-domain patient ids as CX text; empty only in multi-patient queries.
    pub patient_ids: Vec<String>,
    pub status: Vec<AvailabilityStatus>,
    pub entry_types: Vec<EntryType>,
    pub class_code: Vec<String>,
    pub type_code: Vec<String>,
    pub practice_setting_code: Vec<String>,
    pub healthcare_facility_type_code: Vec<String>,
    pub format_code: Vec<String>,
    pub event_code_list: AndOfOr,
    pub confidentiality_code: AndOfOr,
    pub reference_id_list: AndOfOr,
    /// LIKE patterns over the whole authorPerson.
    pub author_person: Vec<String>,
    pub creation_time: TimeRange,
    pub service_start_time: TimeRange,
    pub service_stop_time: TimeRange,
    /// None given: any.
    pub document_availability: Vec<DocumentAvailability>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FindSubmissionSets {
    pub patient_id: String,
    pub status: Vec<AvailabilityStatus>,
    pub source_id: Vec<String>,
    pub submission_time: TimeRange,
    pub author_person: Option<String>,
    pub content_type: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FindFolders {
    pub patient_ids: Vec<String>,
    pub status: Vec<AvailabilityStatus>,
    pub last_update_time: TimeRange,
    pub code_list: AndOfOr,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GetAll {
    pub patient_id: String,
    pub document_status: Vec<AvailabilityStatus>,
    pub submission_set_status: Vec<AvailabilityStatus>,
    pub folder_status: Vec<AvailabilityStatus>,
    pub contents: ContentFilter,
}

/// Objects named by entryUUID, by uniqueId or by logicalID, one way only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ids {
    EntryUuid(Vec<String>),
    UniqueId(Vec<String>),
    /// All versions (GetDocuments, GetFolders).
    LogicalId(Vec<String>),
}

/// Which DocumentEntries of a set or folder to give.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContentFilter {
    pub format_code: Vec<String>,
    pub confidentiality_code: AndOfOr,
    pub entry_types: Vec<EntryType>,
}

/// One stored query, ready to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredQuery {
    FindDocuments(FindDocuments),
    FindDocumentsByReferenceId(FindDocuments),
    FindDocumentsForMultiplePatients(FindDocuments),
    FindSubmissionSets(FindSubmissionSets),
    FindFolders(FindFolders),
    FindFoldersForMultiplePatients(FindFolders),
    GetAll(GetAll),
    GetDocuments(Ids),
    GetFolders(Ids),
    GetAssociations { uuids: Vec<String> },
    GetDocumentsAndAssociations(Ids),
    GetSubmissionSets { uuids: Vec<String> },
    GetSubmissionSetAndContents { id: Ids, contents: ContentFilter },
    GetFolderAndContents { id: Ids, contents: ContentFilter },
    GetFoldersForDocument(Ids),
    GetRelatedDocuments { id: Ids, types: Vec<AssociationType>, entry_types: Vec<EntryType> },
}

impl StoredQuery {
    pub fn id(&self) -> QueryId {
        match self {
            Self::FindDocuments(_) => QueryId::FindDocuments,
            Self::FindDocumentsByReferenceId(_) => QueryId::FindDocumentsByReferenceId,
            Self::FindDocumentsForMultiplePatients(_) => QueryId::FindDocumentsForMultiplePatients,
            Self::FindSubmissionSets(_) => QueryId::FindSubmissionSets,
            Self::FindFolders(_) => QueryId::FindFolders,
            Self::FindFoldersForMultiplePatients(_) => QueryId::FindFoldersForMultiplePatients,
            Self::GetAll(_) => QueryId::GetAll,
            Self::GetDocuments(_) => QueryId::GetDocuments,
            Self::GetFolders(_) => QueryId::GetFolders,
            Self::GetAssociations { .. } => QueryId::GetAssociations,
            Self::GetDocumentsAndAssociations(_) => QueryId::GetDocumentsAndAssociations,
            Self::GetSubmissionSets { .. } => QueryId::GetSubmissionSets,
            Self::GetSubmissionSetAndContents { .. } => QueryId::GetSubmissionSetAndContents,
            Self::GetFolderAndContents { .. } => QueryId::GetFolderAndContents,
            Self::GetFoldersForDocument(_) => QueryId::GetFoldersForDocument,
            Self::GetRelatedDocuments { .. } => QueryId::GetRelatedDocuments,
        }
    }

    /// The patients the query names, if it names any.
    pub fn patient_ids(&self) -> &[String] {
        match self {
            Self::FindDocuments(q)
            | Self::FindDocumentsByReferenceId(q)
            | Self::FindDocumentsForMultiplePatients(q) => &q.patient_ids,
            Self::FindFolders(q) | Self::FindFoldersForMultiplePatients(q) => &q.patient_ids,
            Self::FindSubmissionSets(q) => std::slice::from_ref(&q.patient_id),
            Self::GetAll(q) => std::slice::from_ref(&q.patient_id),
            _ => &[],
        }
    }

    /// LeafClass answers of these may show one patient only (ITI TF-2 3.18.4.1.2.3.7, error
    /// XDSResultNotSinglePatient).
    pub fn single_patient_results(&self) -> bool {
        matches!(
            self.id(),
            QueryId::GetDocuments
                | QueryId::GetFolders
                | QueryId::GetDocumentsAndAssociations
                | QueryId::GetSubmissionSets
                | QueryId::GetSubmissionSetAndContents
                | QueryId::GetFolderAndContents
        )
    }
}

/// A stored query with the options of its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryRequest {
    pub query: StoredQuery,
    pub return_type: ReturnType,
    /// `AdhocQuery/@home`.
    pub home: Option<String>,
    pub view: View,
}

/// An `AdhocQueryRequest` as it stands on the wire: what a gateway passes on, parameters it does not know included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdhocQueryRequest {
    pub return_type: ReturnType,
    /// `AdhocQuery/@id`.
    pub id: String,
    pub home: Option<String>,
    pub slots: Vec<Slot>,
}

/// The parameters that name the patient of a query (ITI TF-2 3.18.4.1.2.3.7).
const PATIENT: [&str; 4] =
    ["$XDSDocumentEntryPatientId", "$XDSSubmissionSetPatientId", "$XDSFolderPatientId", "$patientId"];

/// The communities a consumer wants to be asked (ITI TF-1 18.2.6).
const TARGETS: &str = "$targetCommunityIdList";

impl AdhocQueryRequest {
    /// The homeCommunityIds of the communities that are meant, where the consumer says so; `None`: all. What is no
    /// list is a problem.
    pub fn targets(&self) -> Result<Option<Vec<String>>, RegistryError> {
        let mut named = None;
        for value in self.slots.iter().filter(|s| s.name == TARGETS).flat_map(|s| &s.values) {
            let list = values::parse(value).map_err(|e| {
                RegistryError::new(
                    ErrorCode::XDSRegistryError,
                    format!("{TARGETS}: '{}': {e} (ITI TF-1 18.2.6)", clip(value)),
                )
                .at(TARGETS)
            })?;
            named.get_or_insert_with(Vec::new).extend(list.items.into_iter().filter(|i| !i.is_empty()));
        }
        Ok(named)
    }

    /// The same about `patient`, whose id in another community this is (ITI TF-2 3.38.4.1.2).
    pub fn about(&self, patient: &Cx<'_>) -> Self {
        let mut other = self.clone();
        for slot in other.slots.iter_mut().filter(|s| PATIENT.contains(&s.name.as_str())) {
            slot.values = vec![values::quote(&patient.to_string())];
        }
        other
    }
}

/// An object named and not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRef {
    pub id: String,
    pub home_community_id: Option<String>,
}

/// What a registry found, in the form asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    Objects(Vec<AtRest>),
    Refs(Vec<ObjectRef>),
}

impl Found {
    /// The same with every object read.
    pub fn read(self) -> Result<QueryResult, CorruptBody> {
        Ok(match self {
            Self::Objects(objects) => {
                QueryResult::Objects(objects.iter().map(AtRest::read).collect::<Result<_, _>>()?)
            }
            Self::Refs(refs) => QueryResult::Refs(refs),
        })
    }
}

/// What an answer shows, in the form asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryResult {
    Objects(Vec<MetadataObject>),
    Refs(Vec<ObjectRef>),
}

impl QueryResult {
    pub fn len(&self) -> usize {
        match self {
            Self::Objects(o) => o.len(),
            Self::Refs(r) => r.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
