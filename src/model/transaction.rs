//! The catalogue: one row per ITI transaction. Dispatch, WSDL, audit, metrics and the
//! conformance table of the README all read it; `tests/it/catalogue.rs` keeps them agreeing.

/// How a transaction's messages are packed (ITI TF-2 Appendix V).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packaging {
    /// One XML envelope, `application/soap+xml`.
    Simple,
    /// multipart/related, in both directions even without documents.
    Mtom,
}

/// A transaction this program answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transaction {
    Iti18,
    Iti41,
    Iti42,
    Iti43,
    Iti51,
    Iti57,
    Iti61,
    Iti62,
    Iti86,
    Iti92,
}

/// What the framework says of a transaction.
pub struct TransactionRow {
    pub transaction: Transaction,
    /// `ITI-18`.
    pub code: &'static str,
    pub name: &'static str,
    /// Path it is served under, and base name of its WSDL.
    pub path: &'static str,
    pub request_action: &'static str,
    pub response_action: &'static str,
    pub packaging: Packaging,
    /// Namespace and local name of the request's body element.
    pub request_element: (&'static str, &'static str),
    pub actor: Actor,
    pub clause: &'static str,
    /// The clause of its Asynchronous Web Services Exchange option. `None`: the framework names none (RMD
    /// says there was no demand); it is answered asynchronously all the same where that is configured.
    pub asynchronous: Option<&'static str>,
    /// Both messages carry their action in Content-Type too.
    pub action_in_content_type: bool,
}

/// The option of XDS.b: an actor that has it has it for all its transactions.
const ASYNCHRONOUS: Option<&str> = Some("ITI TF-1 10.2.5");

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    DocumentRegistry,
    DocumentRepository,
}

use super::namespace::{NS_LCM, NS_QUERY, NS_RMD, NS_XDS};

/// Every transaction, in number order. ITI TF-2 and its Appendix V.
pub const CATALOGUE: &[TransactionRow] = &[
    TransactionRow {
        transaction: Transaction::Iti18,
        code: "ITI-18",
        name: "Registry Stored Query",
        path: "/xds/iti18",
        request_action: "urn:ihe:iti:2007:RegistryStoredQuery",
        response_action: "urn:ihe:iti:2007:RegistryStoredQueryResponse",
        packaging: Packaging::Simple,
        request_element: (NS_QUERY, "AdhocQueryRequest"),
        actor: Actor::DocumentRegistry,
        clause: "ITI TF-2 3.18",
        asynchronous: ASYNCHRONOUS,
        action_in_content_type: false,
    },
    TransactionRow {
        transaction: Transaction::Iti41,
        code: "ITI-41",
        name: "Provide and Register Document Set-b",
        path: "/xds/iti41",
        request_action: "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b",
        response_action: "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-bResponse",
        packaging: Packaging::Mtom,
        request_element: (NS_XDS, "ProvideAndRegisterDocumentSetRequest"),
        actor: Actor::DocumentRepository,
        clause: "ITI TF-2 3.41",
        asynchronous: ASYNCHRONOUS,
        action_in_content_type: false,
    },
    TransactionRow {
        transaction: Transaction::Iti42,
        code: "ITI-42",
        name: "Register Document Set-b",
        path: "/xds/iti42",
        request_action: "urn:ihe:iti:2007:RegisterDocumentSet-b",
        response_action: "urn:ihe:iti:2007:RegisterDocumentSet-bResponse",
        packaging: Packaging::Simple,
        request_element: (NS_LCM, "SubmitObjectsRequest"),
        actor: Actor::DocumentRegistry,
        clause: "ITI TF-2 3.42",
        asynchronous: ASYNCHRONOUS,
        action_in_content_type: false,
    },
    TransactionRow {
        transaction: Transaction::Iti43,
        code: "ITI-43",
        name: "Retrieve Document Set",
        path: "/xds/iti43",
        request_action: "urn:ihe:iti:2007:RetrieveDocumentSet",
        response_action: "urn:ihe:iti:2007:RetrieveDocumentSetResponse",
        packaging: Packaging::Mtom,
        request_element: (NS_XDS, "RetrieveDocumentSetRequest"),
        actor: Actor::DocumentRepository,
        clause: "ITI TF-2 3.43",
        asynchronous: ASYNCHRONOUS,
        action_in_content_type: false,
    },
    TransactionRow {
        transaction: Transaction::Iti51,
        code: "ITI-51",
        name: "Multi-Patient Stored Query",
        path: "/xds/iti51",
        request_action: "urn:ihe:iti:2009:MultiPatientStoredQuery",
        response_action: "urn:ihe:iti:2009:MultiPatientStoredQueryResponse",
        packaging: Packaging::Simple,
        request_element: (NS_QUERY, "AdhocQueryRequest"),
        actor: Actor::DocumentRegistry,
        clause: "ITI TF-2 3.51",
        asynchronous: Some("ITI TF-2 3.51.4.1.2"),
        action_in_content_type: false,
    },
    TransactionRow {
        transaction: Transaction::Iti57,
        code: "ITI-57",
        name: "Update Document Set",
        path: "/xds/iti57",
        request_action: "urn:ihe:iti:2010:UpdateDocumentSet",
        response_action: "urn:ihe:iti:2010:UpdateDocumentSetResponse",
        packaging: Packaging::Simple,
        request_element: (NS_LCM, "SubmitObjectsRequest"),
        actor: Actor::DocumentRegistry,
        clause: "ITI Metadata Update 3.57",
        asynchronous: ASYNCHRONOUS,
        action_in_content_type: false,
    },
    TransactionRow {
        transaction: Transaction::Iti61,
        code: "ITI-61",
        name: "Register On-Demand Document Entry",
        path: "/xds/iti61",
        request_action: "urn:ihe:iti:2010:RegisterOnDemandDocumentEntry",
        // Without "Entry": the framework, and every implementation, has it so.
        response_action: "urn:ihe:iti:2010:RegisterOnDemandDocumentResponse",
        packaging: Packaging::Simple,
        request_element: (NS_LCM, "SubmitObjectsRequest"),
        actor: Actor::DocumentRegistry,
        clause: "ITI TF-2 3.61",
        asynchronous: ASYNCHRONOUS,
        action_in_content_type: false,
    },
    TransactionRow {
        transaction: Transaction::Iti62,
        code: "ITI-62",
        name: "Remove Metadata",
        path: "/xds/iti62",
        // The names of the transaction's first years.
        request_action: "urn:ihe:iti:2010:DeleteDocumentSet",
        response_action: "urn:ihe:iti:2010:DeleteDocumentSetResponse",
        packaging: Packaging::Simple,
        request_element: (NS_LCM, "RemoveObjectsRequest"),
        actor: Actor::DocumentRegistry,
        clause: "ITI RMD 3.62",
        asynchronous: None,
        action_in_content_type: false,
    },
    TransactionRow {
        transaction: Transaction::Iti86,
        code: "ITI-86",
        name: "Remove Documents",
        path: "/xds/iti86",
        request_action: "urn:ihe:iti:2017:RemoveDocuments",
        response_action: "urn:ihe:iti:2017:RemoveDocumentsResponse",
        packaging: Packaging::Simple,
        request_element: (NS_RMD, "RemoveDocumentsRequest"),
        actor: Actor::DocumentRepository,
        clause: "ITI RMD 3.86",
        asynchronous: None,
        action_in_content_type: true,
    },
    TransactionRow {
        transaction: Transaction::Iti92,
        code: "ITI-92",
        name: "Restricted Update Document Set",
        path: "/xds/iti92",
        request_action: "urn:ihe:iti:2018:RestrictedUpdateDocumentSet",
        response_action: "urn:ihe:iti:2018:RestrictedUpdateDocumentSetResponse",
        packaging: Packaging::Simple,
        request_element: (NS_LCM, "SubmitObjectsRequest"),
        actor: Actor::DocumentRegistry,
        clause: "ITI RMU 3.92",
        asynchronous: None,
        action_in_content_type: false,
    },
];

impl Transaction {
    pub const ALL: [Transaction; 10] = [
        Self::Iti18,
        Self::Iti41,
        Self::Iti42,
        Self::Iti43,
        Self::Iti51,
        Self::Iti57,
        Self::Iti61,
        Self::Iti62,
        Self::Iti86,
        Self::Iti92,
    ];

    /// The row; the catalogue is complete, as its test shows.
    pub fn row(self) -> &'static TransactionRow {
        let index = match self {
            Self::Iti18 => 0,
            Self::Iti41 => 1,
            Self::Iti42 => 2,
            Self::Iti43 => 3,
            Self::Iti51 => 4,
            Self::Iti57 => 5,
            Self::Iti61 => 6,
            Self::Iti62 => 7,
            Self::Iti86 => 8,
            Self::Iti92 => 9,
        };
        &CATALOGUE[index]
    }

    pub fn by_action(action: &str) -> Option<Self> {
        CATALOGUE.iter().find(|r| r.request_action == action).map(|r| r.transaction)
    }

    pub fn code(self) -> &'static str {
        self.row().code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transaction_has_its_own_row() {
        for t in Transaction::ALL {
            assert_eq!(t.row().transaction, t, "add a row to CATALOGUE for {t:?}, in the order of `row()`");
            assert_eq!(Transaction::by_action(t.row().request_action), Some(t));
        }
        assert_eq!(CATALOGUE.len(), Transaction::ALL.len());
    }
}
