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

/// What the messages of a transaction are written in, and what carries them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wire {
    /// ebRIM in SOAP.
    Ebxml,
    /// HL7 v3 in SOAP.
    Hl7v3,
    /// HL7 v2 over MLLP.
    Hl7v2,
    /// FHIR R4 over HTTP.
    Fhir,
}

/// A transaction this program answers, or sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transaction {
    Iti8,
    Iti9,
    Iti10,
    Iti18,
    Iti21,
    Iti30,
    Iti31,
    Iti38,
    Iti39,
    Iti41,
    Iti42,
    Iti43,
    Iti44,
    Iti45,
    Iti46,
    Iti47,
    Iti51,
    Iti55,
    Iti56,
    Iti57,
    Iti61,
    Iti62,
    Iti78,
    Iti83,
    Iti86,
    Iti92,
    Iti104,
    Iti119,
}

/// What the framework says of a transaction.
pub struct TransactionRow {
    pub transaction: Transaction,
    /// `ITI-18`.
    pub code: &'static str,
    pub name: &'static str,
    pub wire: Wire,
    /// Path it is served under, and base name of its WSDL. Empty where it is not SOAP, or only sent.
    pub path: &'static str,
    /// Empty where it is not SOAP.
    pub request_action: &'static str,
    /// Actions and body elements of requests beside [`request_action`](Self::request_action).
    pub more_requests: &'static [(&'static str, (&'static str, &'static str))],
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
    /// With the Patient Identity Source's feeds, the index behind them.
    PatientIdentityManager,
    PatientDemographicsSupplier,
    /// Ours when we send ITI-10 and ITI-46, and when another network's index tells us (ITI-46).
    PatientIdentityConsumer,
    /// Answers the gateways of other communities.
    RespondingGateway,
}

use super::namespace::{NS_HL7V3, NS_LCM, NS_QUERY, NS_RMD, NS_XCPD, NS_XDS};

/// A row of the MPI, whose messages are not ebRIM.
const fn identity(
    transaction: Transaction,
    code: &'static str,
    name: &'static str,
    wire: Wire,
    actor: Actor,
    clause: &'static str,
) -> TransactionRow {
    TransactionRow {
        transaction,
        code,
        name,
        wire,
        path: "",
        request_action: "",
        more_requests: &[],
        response_action: "",
        packaging: Packaging::Simple,
        request_element: ("", ""),
        actor,
        clause,
        asynchronous: None,
        action_in_content_type: false,
    }
}

/// Every transaction, in number order. ITI TF-2 and its Appendix V.
pub const CATALOGUE: &[TransactionRow] = &[
    identity(
        Transaction::Iti8,
        "ITI-8",
        "Patient Identity Feed",
        Wire::Hl7v2,
        Actor::PatientIdentityManager,
        "ITI TF-2 3.8",
    ),
    identity(
        Transaction::Iti9,
        "ITI-9",
        "PIX Query",
        Wire::Hl7v2,
        Actor::PatientIdentityManager,
        "ITI TF-2 3.9",
    ),
    identity(
        Transaction::Iti10,
        "ITI-10",
        "PIX Update Notification",
        Wire::Hl7v2,
        Actor::PatientIdentityConsumer,
        "ITI TF-2 3.10",
    ),
    TransactionRow {
        transaction: Transaction::Iti18,
        code: "ITI-18",
        name: "Registry Stored Query",
        wire: Wire::Ebxml,
        path: "/xds/iti18",
        request_action: "urn:ihe:iti:2007:RegistryStoredQuery",
        more_requests: &[],
        response_action: "urn:ihe:iti:2007:RegistryStoredQueryResponse",
        packaging: Packaging::Simple,
        request_element: (NS_QUERY, "AdhocQueryRequest"),
        actor: Actor::DocumentRegistry,
        clause: "ITI TF-2 3.18",
        asynchronous: ASYNCHRONOUS,
        action_in_content_type: false,
    },
    identity(
        Transaction::Iti21,
        "ITI-21",
        "Patient Demographics Query",
        Wire::Hl7v2,
        Actor::PatientDemographicsSupplier,
        "ITI TF-2 3.21",
    ),
    identity(
        Transaction::Iti30,
        "ITI-30",
        "Patient Identity Management",
        Wire::Hl7v2,
        Actor::PatientIdentityManager,
        "ITI TF-2 3.30",
    ),
    identity(
        Transaction::Iti31,
        "ITI-31",
        "Patient Encounter Management",
        Wire::Hl7v2,
        Actor::PatientIdentityManager,
        "ITI TF-2 3.31",
    ),
    TransactionRow {
        transaction: Transaction::Iti38,
        code: "ITI-38",
        name: "Cross Gateway Query",
        wire: Wire::Ebxml,
        path: "/xca/iti38",
        request_action: "urn:ihe:iti:2007:CrossGatewayQuery",
        more_requests: &[],
        response_action: "urn:ihe:iti:2007:CrossGatewayQueryResponse",
        packaging: Packaging::Simple,
        request_element: (NS_QUERY, "AdhocQueryRequest"),
        actor: Actor::RespondingGateway,
        clause: "ITI TF-2 3.38",
        asynchronous: Some("ITI TF-1 18.2.2"),
        action_in_content_type: false,
    },
    TransactionRow {
        transaction: Transaction::Iti39,
        code: "ITI-39",
        name: "Cross Gateway Retrieve",
        wire: Wire::Ebxml,
        path: "/xca/iti39",
        request_action: "urn:ihe:iti:2007:CrossGatewayRetrieve",
        more_requests: &[],
        response_action: "urn:ihe:iti:2007:CrossGatewayRetrieveResponse",
        packaging: Packaging::Mtom,
        request_element: (NS_XDS, "RetrieveDocumentSetRequest"),
        actor: Actor::RespondingGateway,
        clause: "ITI TF-2 3.39",
        asynchronous: Some("ITI TF-1 18.2.2"),
        action_in_content_type: false,
    },
    TransactionRow {
        transaction: Transaction::Iti41,
        code: "ITI-41",
        name: "Provide and Register Document Set-b",
        wire: Wire::Ebxml,
        path: "/xds/iti41",
        request_action: "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b",
        more_requests: &[],
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
        wire: Wire::Ebxml,
        path: "/xds/iti42",
        request_action: "urn:ihe:iti:2007:RegisterDocumentSet-b",
        more_requests: &[],
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
        wire: Wire::Ebxml,
        path: "/xds/iti43",
        request_action: "urn:ihe:iti:2007:RetrieveDocumentSet",
        more_requests: &[],
        response_action: "urn:ihe:iti:2007:RetrieveDocumentSetResponse",
        packaging: Packaging::Mtom,
        request_element: (NS_XDS, "RetrieveDocumentSetRequest"),
        actor: Actor::DocumentRepository,
        clause: "ITI TF-2 3.43",
        asynchronous: ASYNCHRONOUS,
        action_in_content_type: false,
    },
    TransactionRow {
        path: "/mpi/iti44",
        request_action: "urn:hl7-org:v3:PRPA_IN201301UV02",
        more_requests: &[
            ("urn:hl7-org:v3:PRPA_IN201302UV02", (NS_HL7V3, "PRPA_IN201302UV02")),
            ("urn:hl7-org:v3:PRPA_IN201304UV02", (NS_HL7V3, "PRPA_IN201304UV02")),
        ],
        response_action: "urn:hl7-org:v3:MCCI_IN000002UV01",
        request_element: (NS_HL7V3, "PRPA_IN201301UV02"),
        ..identity(
            Transaction::Iti44,
            "ITI-44",
            "Patient Identity Feed HL7 V3",
            Wire::Hl7v3,
            Actor::PatientIdentityManager,
            "ITI TF-2 3.44",
        )
    },
    TransactionRow {
        path: "/mpi/iti45",
        request_action: "urn:hl7-org:v3:PRPA_IN201309UV02",
        more_requests: &[],
        response_action: "urn:hl7-org:v3:PRPA_IN201310UV02",
        request_element: (NS_HL7V3, "PRPA_IN201309UV02"),
        ..identity(
            Transaction::Iti45,
            "ITI-45",
            "PIXV3 Query",
            Wire::Hl7v3,
            Actor::PatientIdentityManager,
            "ITI TF-2 3.45",
        )
    },
    TransactionRow {
        path: "/mpi/iti46",
        request_action: "urn:hl7-org:v3:PRPA_IN201302UV02",
        more_requests: &[],
        response_action: "urn:hl7-org:v3:MCCI_IN000002UV01",
        request_element: (NS_HL7V3, "PRPA_IN201302UV02"),
        ..identity(
            Transaction::Iti46,
            "ITI-46",
            "PIXV3 Update Notification",
            Wire::Hl7v3,
            Actor::PatientIdentityConsumer,
            "ITI TF-2 3.46",
        )
    },
    TransactionRow {
        path: "/mpi/iti47",
        request_action: "urn:hl7-org:v3:PRPA_IN201305UV02",
        more_requests: &[
            ("urn:hl7-org:v3:QUQI_IN000003UV01_Continue", (NS_HL7V3, "QUQI_IN000003UV01")),
            ("urn:hl7-org:v3:QUQI_IN000003UV01_Cancel", (NS_HL7V3, "QUQI_IN000003UV01_Cancel")),
            // Senders that know the interaction, and not the WSDL.
            ("urn:hl7-org:v3:QUQI_IN000003UV01_Cancel", (NS_HL7V3, "QUQI_IN000003UV01")),
        ],
        response_action: "urn:hl7-org:v3:PRPA_IN201306UV02",
        request_element: (NS_HL7V3, "PRPA_IN201305UV02"),
        ..identity(
            Transaction::Iti47,
            "ITI-47",
            "Patient Demographics Query HL7 V3",
            Wire::Hl7v3,
            Actor::PatientDemographicsSupplier,
            "ITI TF-2 3.47",
        )
    },
    TransactionRow {
        transaction: Transaction::Iti51,
        code: "ITI-51",
        name: "Multi-Patient Stored Query",
        wire: Wire::Ebxml,
        path: "/xds/iti51",
        request_action: "urn:ihe:iti:2009:MultiPatientStoredQuery",
        more_requests: &[],
        response_action: "urn:ihe:iti:2009:MultiPatientStoredQueryResponse",
        packaging: Packaging::Simple,
        request_element: (NS_QUERY, "AdhocQueryRequest"),
        actor: Actor::DocumentRegistry,
        clause: "ITI TF-2 3.51",
        asynchronous: Some("ITI TF-2 3.51.4.1.2"),
        action_in_content_type: false,
    },
    TransactionRow {
        path: "/xca/iti55",
        request_action: "urn:hl7-org:v3:PRPA_IN201305UV02:CrossGatewayPatientDiscovery",
        more_requests: &[(
            "urn:hl7-org:v3:PRPA_IN201305UV02:Deferred:CrossGatewayPatientDiscovery",
            (NS_HL7V3, "PRPA_IN201305UV02"),
        )],
        response_action: "urn:hl7-org:v3:PRPA_IN201306UV02:CrossGatewayPatientDiscovery",
        request_element: (NS_HL7V3, "PRPA_IN201305UV02"),
        asynchronous: Some("ITI TF-1 27.2"),
        ..identity(
            Transaction::Iti55,
            "ITI-55",
            "Cross Gateway Patient Discovery",
            Wire::Hl7v3,
            Actor::RespondingGateway,
            "ITI TF-2 3.55",
        )
    },
    TransactionRow {
        path: "/xca/iti56",
        request_action: "urn:ihe:iti:2009:PatientLocationQuery",
        more_requests: &[],
        response_action: "urn:ihe:iti:2009:PatientLocationQueryResponse",
        request_element: (NS_XCPD, "PatientLocationQueryRequest"),
        ..identity(
            Transaction::Iti56,
            "ITI-56",
            "Patient Location Query",
            Wire::Hl7v3,
            Actor::RespondingGateway,
            "ITI XCPD Health Data Locator 3.56",
        )
    },
    TransactionRow {
        transaction: Transaction::Iti57,
        code: "ITI-57",
        name: "Update Document Set",
        wire: Wire::Ebxml,
        path: "/xds/iti57",
        request_action: "urn:ihe:iti:2010:UpdateDocumentSet",
        more_requests: &[],
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
        wire: Wire::Ebxml,
        path: "/xds/iti61",
        request_action: "urn:ihe:iti:2010:RegisterOnDemandDocumentEntry",
        more_requests: &[],
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
        wire: Wire::Ebxml,
        path: "/xds/iti62",
        // The names of the transaction's first years.
        request_action: "urn:ihe:iti:2010:DeleteDocumentSet",
        more_requests: &[],
        response_action: "urn:ihe:iti:2010:DeleteDocumentSetResponse",
        packaging: Packaging::Simple,
        request_element: (NS_LCM, "RemoveObjectsRequest"),
        actor: Actor::DocumentRegistry,
        clause: "ITI RMD 3.62",
        asynchronous: None,
        action_in_content_type: false,
    },
    identity(
        Transaction::Iti78,
        "ITI-78",
        "Mobile Patient Demographics Query",
        Wire::Fhir,
        Actor::PatientDemographicsSupplier,
        "ITI PDQm 3.78",
    ),
    identity(
        Transaction::Iti83,
        "ITI-83",
        "Mobile Patient Identifier Cross-reference Query",
        Wire::Fhir,
        Actor::PatientIdentityManager,
        "ITI PIXm 3.83",
    ),
    TransactionRow {
        transaction: Transaction::Iti86,
        code: "ITI-86",
        name: "Remove Documents",
        wire: Wire::Ebxml,
        path: "/xds/iti86",
        request_action: "urn:ihe:iti:2017:RemoveDocuments",
        more_requests: &[],
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
        wire: Wire::Ebxml,
        path: "/xds/iti92",
        request_action: "urn:ihe:iti:2018:RestrictedUpdateDocumentSet",
        more_requests: &[],
        response_action: "urn:ihe:iti:2018:RestrictedUpdateDocumentSetResponse",
        packaging: Packaging::Simple,
        request_element: (NS_LCM, "SubmitObjectsRequest"),
        actor: Actor::DocumentRegistry,
        clause: "ITI RMU 3.92",
        asynchronous: None,
        action_in_content_type: false,
    },
    identity(
        Transaction::Iti104,
        "ITI-104",
        "Patient Identity Feed FHIR",
        Wire::Fhir,
        Actor::PatientIdentityManager,
        "ITI PIXm 3.104",
    ),
    identity(
        Transaction::Iti119,
        "ITI-119",
        "Patient Demographics Match",
        Wire::Fhir,
        Actor::PatientDemographicsSupplier,
        "ITI PDQm 3.119",
    ),
];

impl TransactionRow {
    /// Whether its requests may have this action.
    pub fn has(&self, action: &str) -> bool {
        self.request_action == action || self.more_requests.iter().any(|(more, _)| *more == action)
    }

    /// The body elements that a request with this action may have.
    pub fn elements(&self, action: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
        let all = std::iter::once((self.request_action, self.request_element));
        all.chain(self.more_requests.iter().copied()).filter(move |(of, _)| *of == action).map(|(_, e)| e)
    }
}

impl Transaction {
    pub const ALL: [Transaction; 28] = [
        Self::Iti8,
        Self::Iti9,
        Self::Iti10,
        Self::Iti18,
        Self::Iti21,
        Self::Iti30,
        Self::Iti31,
        Self::Iti38,
        Self::Iti39,
        Self::Iti41,
        Self::Iti42,
        Self::Iti43,
        Self::Iti44,
        Self::Iti45,
        Self::Iti46,
        Self::Iti47,
        Self::Iti51,
        Self::Iti55,
        Self::Iti56,
        Self::Iti57,
        Self::Iti61,
        Self::Iti62,
        Self::Iti78,
        Self::Iti83,
        Self::Iti86,
        Self::Iti92,
        Self::Iti104,
        Self::Iti119,
    ];

    /// The row; the catalogue is complete, as its test shows.
    pub fn row(self) -> &'static TransactionRow {
        let index = match self {
            Self::Iti8 => 0,
            Self::Iti9 => 1,
            Self::Iti10 => 2,
            Self::Iti18 => 3,
            Self::Iti21 => 4,
            Self::Iti30 => 5,
            Self::Iti31 => 6,
            Self::Iti38 => 7,
            Self::Iti39 => 8,
            Self::Iti41 => 9,
            Self::Iti42 => 10,
            Self::Iti43 => 11,
            Self::Iti44 => 12,
            Self::Iti45 => 13,
            Self::Iti46 => 14,
            Self::Iti47 => 15,
            Self::Iti51 => 16,
            Self::Iti55 => 17,
            Self::Iti56 => 18,
            Self::Iti57 => 19,
            Self::Iti61 => 20,
            Self::Iti62 => 21,
            Self::Iti78 => 22,
            Self::Iti83 => 23,
            Self::Iti86 => 24,
            Self::Iti92 => 25,
            Self::Iti104 => 26,
            Self::Iti119 => 27,
        };
        &CATALOGUE[index]
    }

    /// The transaction we answer to this action. What we only send has no path. Of two with one Action, the first of
    /// the catalogue: what ITI-46 says is what ITI-44 revises.
    pub fn by_action(action: &str) -> Option<Self> {
        CATALOGUE.iter().filter(|r| !r.path.is_empty()).find(|r| r.has(action)).map(|r| r.transaction)
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
            if !t.row().path.is_empty() && t != Transaction::Iti46 {
                assert_eq!(Transaction::by_action(t.row().request_action), Some(t));
            }
        }
        assert_eq!(CATALOGUE.len(), Transaction::ALL.len());
        assert_eq!(Transaction::by_action(""), None);
    }
}
