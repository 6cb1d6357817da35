//! Stored queries as tables: which parameters each takes, and how. ITI TF-2 3.18.4.1.2.3.7 and
//! 3.51.4.1.2.3. A new query is a row here, a variant in [`super::StoredQuery`], and a file in
//! `store/registry/find`.

use super::QueryId;

/// What the values of a parameter are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// Any text.
    Text,
    /// `code^^scheme`, both parts there.
    Code,
    /// DTM, bare (quoted is accepted).
    Time,
    /// An availabilityStatus URN; unknown ones are dropped.
    Status,
    /// An objectType UUID of a DocumentEntry.
    EntryType,
    /// A documentAvailability URN; unknown ones are dropped.
    Availability,
    /// A number, bare (quoted is accepted).
    Number,
}

/// One parameter of one query.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    pub name: &'static str,
    pub kind: ValueKind,
    pub required: bool,
    /// A list `('a','b')`; otherwise exactly one value.
    pub list: bool,
    /// May be given in several slots, which are ANDed.
    pub and: bool,
}

/// One stored query.
pub struct QueryRow {
    pub id: QueryId,
    pub name: &'static str,
    /// `AdhocQuery/@id`.
    pub urn: &'static str,
    /// Belongs to ITI-51, not ITI-18.
    pub multi_patient: bool,
    pub params: &'static [Param],
    /// Exactly one of these must be given.
    pub one_of: &'static [&'static str],
    /// At least one of these must be given.
    pub any_of: &'static [&'static str],
    pub clause: &'static str,
}

const fn p(name: &'static str, kind: ValueKind) -> Param {
    Param { name, kind, required: false, list: false, and: false }
}
const fn required(mut param: Param) -> Param {
    param.required = true;
    param
}
const fn list(mut param: Param) -> Param {
    param.list = true;
    param
}
const fn and(mut param: Param) -> Param {
    param.list = true;
    param.and = true;
    param
}

use ValueKind::{Availability, Code, EntryType, Number, Status, Text, Time};

/// `$XDSDocumentEntryType`: absent means stable entries only.
const DE_TYPE: Param = list(p("$XDSDocumentEntryType", EntryType));
const DE_FORMAT: Param = list(p("$XDSDocumentEntryFormatCode", Code));
const DE_CONFIDENTIALITY: Param = and(p("$XDSDocumentEntryConfidentialityCode", Code));
const DE_UUIDS: Param = list(p("$XDSDocumentEntryEntryUUID", Text));
const DE_UNIQUE_IDS: Param = list(p("$XDSDocumentEntryUniqueId", Text));
const DE_UUID: Param = p("$XDSDocumentEntryEntryUUID", Text);
const DE_UNIQUE_ID: Param = p("$XDSDocumentEntryUniqueId", Text);
const UUIDS: Param = required(list(p("$uuid", Text)));

/// Of the Document Metadata Update Option (3.18.4.1.2.3.5.1).
const LEVEL: Param = p("$MetadataLevel", Number);
const ASSOCIATION_STATUS: Param = list(p("$XDSAssociationStatus", Status));
const DE_AVAILABILITY: Param = list(p("$XDSDocumentEntryDocumentAvailability", Availability));
const DE_LOGICAL_IDS: Param = list(p("$XDSDocumentEntryLogicalID", Text));

const DE_PATIENT: Param = p("$XDSDocumentEntryPatientId", Text);
const DE_STATUS: Param = required(list(p("$XDSDocumentEntryStatus", Status)));

/// What FindDocuments takes beside patient and reference ids.
macro_rules! find_documents_params {
    ($($first:expr),+) => {
        &[
            $($first,)+
            DE_STATUS,
            list(p("$XDSDocumentEntryClassCode", Code)),
            list(p("$XDSDocumentEntryTypeCode", Code)),
            list(p("$XDSDocumentEntryPracticeSettingCode", Code)),
            list(p("$XDSDocumentEntryHealthcareFacilityTypeCode", Code)),
            and(p("$XDSDocumentEntryEventCodeList", Code)),
            DE_CONFIDENTIALITY,
            DE_FORMAT,
            p("$XDSDocumentEntryCreationTimeFrom", Time),
            p("$XDSDocumentEntryCreationTimeTo", Time),
            p("$XDSDocumentEntryServiceStartTimeFrom", Time),
            p("$XDSDocumentEntryServiceStartTimeTo", Time),
            p("$XDSDocumentEntryServiceStopTimeFrom", Time),
            p("$XDSDocumentEntryServiceStopTimeTo", Time),
            list(p("$XDSDocumentEntryAuthorPerson", Text)),
            DE_TYPE,
        ]
    };
}

const FD_STATUS: Param = required(list(p("$XDSFolderStatus", Status)));
const FD_CODES: Param = and(p("$XDSFolderCodeList", Code));
const FD_FROM: Param = p("$XDSFolderLastUpdateTimeFrom", Time);
const FD_TO: Param = p("$XDSFolderLastUpdateTimeTo", Time);

const NONE: &[&str] = &[];

/// Every stored query of ITI-18 and ITI-51.
pub const QUERIES: &[QueryRow] = &[
    QueryRow {
        id: QueryId::FindDocuments,
        name: "FindDocuments",
        urn: "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d",
        multi_patient: false,
        params: find_documents_params!(required(DE_PATIENT), DE_AVAILABILITY, LEVEL),
        one_of: NONE,
        any_of: NONE,
        clause: "ITI TF-2 3.18.4.1.2.3.7.1",
    },
    QueryRow {
        id: QueryId::FindSubmissionSets,
        name: "FindSubmissionSets",
        urn: "urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9",
        multi_patient: false,
        params: &[
            required(p("$XDSSubmissionSetPatientId", Text)),
            list(p("$XDSSubmissionSetSourceId", Text)),
            p("$XDSSubmissionSetSubmissionTimeFrom", Time),
            p("$XDSSubmissionSetSubmissionTimeTo", Time),
            p("$XDSSubmissionSetAuthorPerson", Text),
            list(p("$XDSSubmissionSetContentType", Code)),
            required(list(p("$XDSSubmissionSetStatus", Status))),
        ],
        one_of: NONE,
        any_of: NONE,
        clause: "ITI TF-2 3.18.4.1.2.3.7.2",
    },
    QueryRow {
        id: QueryId::FindFolders,
        name: "FindFolders",
        urn: "urn:uuid:958f3006-baad-4929-a4de-ff1114824431",
        multi_patient: false,
        params: &[required(p("$XDSFolderPatientId", Text)), FD_FROM, FD_TO, FD_CODES, FD_STATUS, LEVEL],
        one_of: NONE,
        any_of: NONE,
        clause: "ITI TF-2 3.18.4.1.2.3.7.3",
    },
    QueryRow {
        id: QueryId::GetAll,
        name: "GetAll",
        urn: "urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3",
        multi_patient: false,
        params: &[
            required(p("$patientId", Text)),
            DE_STATUS,
            required(list(p("$XDSSubmissionSetStatus", Status))),
            FD_STATUS,
            DE_FORMAT,
            DE_CONFIDENTIALITY,
            DE_TYPE,
            ASSOCIATION_STATUS,
            LEVEL,
        ],
        one_of: NONE,
        any_of: NONE,
        clause: "ITI TF-2 3.18.4.1.2.3.7.4",
    },
    QueryRow {
        id: QueryId::GetDocuments,
        name: "GetDocuments",
        urn: "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4",
        multi_patient: false,
        params: &[DE_UUIDS, DE_UNIQUE_IDS, DE_LOGICAL_IDS, LEVEL],
        one_of: &["$XDSDocumentEntryEntryUUID", "$XDSDocumentEntryUniqueId", "$XDSDocumentEntryLogicalID"],
        any_of: NONE,
        clause: "ITI TF-2 3.18.4.1.2.3.7.5",
    },
    QueryRow {
        id: QueryId::GetFolders,
        name: "GetFolders",
        urn: "urn:uuid:5737b14c-8a1a-4539-b659-e03a34a5e1e4",
        multi_patient: false,
        params: &[
            list(p("$XDSFolderEntryUUID", Text)),
            list(p("$XDSFolderUniqueId", Text)),
            list(p("$XDSFolderLogicalID", Text)),
            LEVEL,
        ],
        one_of: &["$XDSFolderEntryUUID", "$XDSFolderUniqueId", "$XDSFolderLogicalID"],
        any_of: NONE,
        clause: "ITI TF-2 3.18.4.1.2.3.7.6",
    },
    QueryRow {
        id: QueryId::GetAssociations,
        name: "GetAssociations",
        urn: "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155",
        multi_patient: false,
        params: &[UUIDS, ASSOCIATION_STATUS, LEVEL],
        one_of: NONE,
        any_of: NONE,
        clause: "ITI TF-2 3.18.4.1.2.3.7.7",
    },
    QueryRow {
        id: QueryId::GetDocumentsAndAssociations,
        name: "GetDocumentsAndAssociations",
        urn: "urn:uuid:bab9529a-4a10-40b3-a01f-f68a615d247a",
        multi_patient: false,
        params: &[DE_UUIDS, DE_UNIQUE_IDS, ASSOCIATION_STATUS, LEVEL],
        one_of: &["$XDSDocumentEntryEntryUUID", "$XDSDocumentEntryUniqueId"],
        any_of: NONE,
        clause: "ITI TF-2 3.18.4.1.2.3.7.8",
    },
    QueryRow {
        id: QueryId::GetSubmissionSets,
        name: "GetSubmissionSets",
        urn: "urn:uuid:51224314-5390-4169-9b91-b1980040715a",
        multi_patient: false,
        params: &[UUIDS, LEVEL],
        one_of: NONE,
        any_of: NONE,
        clause: "ITI TF-2 3.18.4.1.2.3.7.9",
    },
    QueryRow {
        id: QueryId::GetSubmissionSetAndContents,
        name: "GetSubmissionSetAndContents",
        urn: "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83",
        multi_patient: false,
        params: &[
            p("$XDSSubmissionSetEntryUUID", Text),
            p("$XDSSubmissionSetUniqueId", Text),
            DE_FORMAT,
            DE_CONFIDENTIALITY,
            DE_TYPE,
            LEVEL,
        ],
        one_of: &["$XDSSubmissionSetEntryUUID", "$XDSSubmissionSetUniqueId"],
        any_of: NONE,
        clause: "ITI TF-2 3.18.4.1.2.3.7.10",
    },
    QueryRow {
        id: QueryId::GetFolderAndContents,
        name: "GetFolderAndContents",
        urn: "urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7",
        multi_patient: false,
        params: &[
            p("$XDSFolderEntryUUID", Text),
            p("$XDSFolderUniqueId", Text),
            DE_FORMAT,
            DE_CONFIDENTIALITY,
            DE_TYPE,
            ASSOCIATION_STATUS,
            LEVEL,
        ],
        one_of: &["$XDSFolderEntryUUID", "$XDSFolderUniqueId"],
        any_of: NONE,
        clause: "ITI TF-2 3.18.4.1.2.3.7.11",
    },
    QueryRow {
        id: QueryId::GetFoldersForDocument,
        name: "GetFoldersForDocument",
        urn: "urn:uuid:10cae35a-c7f9-4cf5-b61e-fc3278ffb578",
        multi_patient: false,
        params: &[DE_UUID, DE_UNIQUE_ID, ASSOCIATION_STATUS, LEVEL],
        one_of: &["$XDSDocumentEntryEntryUUID", "$XDSDocumentEntryUniqueId"],
        any_of: NONE,
        clause: "ITI TF-2 3.18.4.1.2.3.7.12",
    },
    QueryRow {
        id: QueryId::GetRelatedDocuments,
        name: "GetRelatedDocuments",
        urn: "urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6",
        multi_patient: false,
        params: &[
            DE_UUID,
            DE_UNIQUE_ID,
            required(list(p("$AssociationTypes", Text))),
            DE_TYPE,
            ASSOCIATION_STATUS,
            LEVEL,
        ],
        one_of: &["$XDSDocumentEntryEntryUUID", "$XDSDocumentEntryUniqueId"],
        any_of: NONE,
        clause: "ITI TF-2 3.18.4.1.2.3.7.13",
    },
    QueryRow {
        id: QueryId::FindDocumentsByReferenceId,
        name: "FindDocumentsByReferenceId",
        urn: "urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492",
        multi_patient: false,
        params: find_documents_params!(
            required(DE_PATIENT),
            required(and(p("$XDSDocumentEntryReferenceIdList", Text))),
            DE_AVAILABILITY,
            LEVEL
        ),
        one_of: NONE,
        any_of: NONE,
        clause: "ITI TF-2 3.18.4.1.2.3.7.14",
    },
    QueryRow {
        id: QueryId::FindDocumentsForMultiplePatients,
        name: "FindDocumentsForMultiplePatients",
        urn: "urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f",
        multi_patient: true,
        params: find_documents_params!(list(DE_PATIENT)),
        one_of: NONE,
        any_of: &[
            "$XDSDocumentEntryPatientId",
            "$XDSDocumentEntryClassCode",
            "$XDSDocumentEntryEventCodeList",
            "$XDSDocumentEntryHealthcareFacilityTypeCode",
        ],
        clause: "ITI TF-2 3.51.4.1.2.3",
    },
    QueryRow {
        id: QueryId::FindFoldersForMultiplePatients,
        name: "FindFoldersForMultiplePatients",
        urn: "urn:uuid:50d3f5ac-39a2-11de-a1ca-b366239e58df",
        multi_patient: true,
        params: &[list(p("$XDSFolderPatientId", Text)), FD_FROM, FD_TO, FD_CODES, FD_STATUS],
        one_of: NONE,
        any_of: &["$XDSFolderPatientId", "$XDSFolderCodeList"],
        clause: "ITI TF-2 3.51.4.1.2.3",
    },
];
