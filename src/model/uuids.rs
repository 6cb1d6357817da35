//! Every UUID, URN and slot name the framework fixes (ITI TF-3 4.2.5 and the tables of 4.2.3), grouped by
//! the object that uses it. Stored-query ids live with their parameter tables in `model/query`.

/// Declares string constants of one group and, from the same rows, `ALL`, so that the uniqueness test
/// cannot miss one.
macro_rules! constants {
    ($(#[$group:meta])* $module:ident { $($(#[$doc:meta])* $name:ident = $value:expr;)+ }) => {
        $(#[$group])*
        pub mod $module {
            $($(#[$doc])* pub const $name: &str = $value;)+

            /// Every constant of the group, in the order declared.
            pub const ALL: &[&str] = &[$($name),+];
        }
    };
}

constants! {
    /// DocumentEntry: classification schemes, marker node and external identifier schemes. ITI TF-3 4.2.3.2.
    document_entry {
        AUTHOR = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d";
        CLASS_CODE = "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a";
        CONFIDENTIALITY_CODE = "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f";
        EVENT_CODE_LIST = "urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4";
        FORMAT_CODE = "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d";
        HEALTHCARE_FACILITY_TYPE_CODE = "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1";
        PRACTICE_SETTING_CODE = "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead";
        TYPE_CODE = "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983";
        /// Marker node of metadata-limited entries.
        LIMITED_METADATA = "urn:uuid:ab9b591b-83ab-4d03-8f5d-f93b1fb92e85";
        PATIENT_ID = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427";
        UNIQUE_ID = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab";
    }
}

constants! {
    /// SubmissionSet: marker nodes, classification schemes and external identifier schemes. ITI TF-3 4.2.3.3.
    submission_set {
        /// Marker node that makes a RegistryPackage a SubmissionSet. ITI TF-3 4.2.1.2.1.
        MARKER = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd";
        LIMITED_METADATA = "urn:uuid:5003a9db-8d8d-49e6-bf0c-990e34ac7707";
        AUTHOR = "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d";
        CONTENT_TYPE_CODE = "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500";
        PATIENT_ID = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446";
        SOURCE_ID = "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832";
        UNIQUE_ID = "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8";
    }
}

constants! {
    /// Folder: marker nodes, classification scheme and external identifier schemes. ITI TF-3 4.2.3.4.
    folder {
        /// Marker node that makes a RegistryPackage a Folder. ITI TF-3 4.2.1.3.1.
        MARKER = "urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2";
        LIMITED_METADATA = "urn:uuid:2c144a76-29a9-4b7c-af54-b25409fe7d03";
        CODE_LIST = "urn:uuid:1ba97051-7806-41a8-a48b-8fce7af683c5";
        PATIENT_ID = "urn:uuid:f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a";
        UNIQUE_ID = "urn:uuid:75df8f67-9973-4fbe-a900-df66cefecc5a";
    }
}

constants! {
    /// Association: classification scheme of the code that may document a relationship. ITI TF-3 4.2.2.2.
    association {
        DOCUMENTATION = "urn:uuid:abd807a3-4432-4053-87b4-fd82c643d1f3";
    }
}

constants! {
    /// `Association/@associationType`. ITI TF-3 4.2.2; Metadata Update for the last two.
    association_type {
        HAS_MEMBER = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember";
        APND = "urn:ihe:iti:2007:AssociationType:APND";
        XFRM = "urn:ihe:iti:2007:AssociationType:XFRM";
        RPLC = "urn:ihe:iti:2007:AssociationType:RPLC";
        XFRM_RPLC = "urn:ihe:iti:2007:AssociationType:XFRM_RPLC";
        /// Lower case, unlike its siblings.
        SIGNS = "urn:ihe:iti:2007:AssociationType:signs";
        IS_SNAPSHOT_OF = "urn:ihe:iti:2010:AssociationType:IsSnapshotOf";
        UPDATE_AVAILABILITY_STATUS = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus";
        SUBMIT_ASSOCIATION = "urn:ihe:iti:2010:AssociationType:SubmitAssociation";
    }
}

constants! {
    /// `@objectType`. The first two tell stable from on-demand DocumentEntries (ITI TF-3 4.2.3.2.30).
    object_type {
        STABLE = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1";
        ON_DEMAND = "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248";
        REGISTRY_PACKAGE = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:RegistryPackage";
        ASSOCIATION = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:Association";
        CLASSIFICATION = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:Classification";
        EXTERNAL_IDENTIFIER = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:ExternalIdentifier";
    }
}

constants! {
    /// `@status` (availabilityStatus). ITI TF-3 4.2.3.2.2.
    status {
        APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved";
        DEPRECATED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated";
    }
}

constants! {
    /// `RegistryResponse/@status`. PartialSuccess lives in another namespace than its siblings. ITI TF-3 4.2.4.
    response_status {
        SUCCESS = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success";
        FAILURE = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure";
        PARTIAL_SUCCESS = "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess";
    }
}

constants! {
    /// `RegistryError/@severity`. ITI TF-3 4.2.4.1.
    error_severity {
        ERROR = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error";
        WARNING = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Warning";
    }
}

constants! {
    /// Values of the documentAvailability slot (Metadata Update).
    document_availability {
        ONLINE = "urn:ihe:iti:2010:DocumentAvailability:Online";
        OFFLINE = "urn:ihe:iti:2010:DocumentAvailability:Offline";
    }
}

constants! {
    /// Identifier type codes of referenceIdList (CXi component 5). ITI TF-3 Table 4.2.3.1.7-2.
    reference_id_type {
        UNIQUE_ID = "urn:ihe:iti:xds:2013:uniqueId";
        ACCESSION = "urn:ihe:iti:xds:2013:accession";
        REFERRAL = "urn:ihe:iti:xds:2013:referral";
        ORDER = "urn:ihe:iti:xds:2013:order";
        WORKFLOW_INSTANCE_ID = "urn:ihe:iti:xdw:2013:workflowInstanceId";
        STUDY_INSTANCE_UID = "urn:ihe:iti:xds:2016:studyInstanceUID";
        ENCOUNTER_ID = "urn:ihe:iti:xds:2015:encounterId";
    }
}

constants! {
    /// `ExternalIdentifier/Name` as the framework fixes it. ITI TF-3 4.2.3.1.3.
    identifier_name {
        DOCUMENT_ENTRY_PATIENT_ID = "XDSDocumentEntry.patientId";
        DOCUMENT_ENTRY_UNIQUE_ID = "XDSDocumentEntry.uniqueId";
        SUBMISSION_SET_PATIENT_ID = "XDSSubmissionSet.patientId";
        SUBMISSION_SET_SOURCE_ID = "XDSSubmissionSet.sourceId";
        SUBMISSION_SET_UNIQUE_ID = "XDSSubmissionSet.uniqueId";
        FOLDER_PATIENT_ID = "XDSFolder.patientId";
        FOLDER_UNIQUE_ID = "XDSFolder.uniqueId";
    }
}

constants! {
    /// `Slot/@name`.
    slot {
        CODING_SCHEME = "codingScheme";
        AUTHOR_PERSON = "authorPerson";
        AUTHOR_INSTITUTION = "authorInstitution";
        AUTHOR_ROLE = "authorRole";
        AUTHOR_SPECIALTY = "authorSpecialty";
        AUTHOR_TELECOMMUNICATION = "authorTelecommunication";
        CREATION_TIME = "creationTime";
        SERVICE_START_TIME = "serviceStartTime";
        SERVICE_STOP_TIME = "serviceStopTime";
        LANGUAGE_CODE = "languageCode";
        LEGAL_AUTHENTICATOR = "legalAuthenticator";
        REPOSITORY_UNIQUE_ID = "repositoryUniqueId";
        HASH = "hash";
        SIZE = "size";
        SOURCE_PATIENT_ID = "sourcePatientId";
        SOURCE_PATIENT_INFO = "sourcePatientInfo";
        URI = "URI";
        REFERENCE_ID_LIST = "urn:ihe:iti:xds:2013:referenceIdList";
        DOCUMENT_AVAILABILITY = "documentAvailability";
        SUBMISSION_TIME = "submissionTime";
        INTENDED_RECIPIENT = "intendedRecipient";
        LAST_UPDATE_TIME = "lastUpdateTime";
        /// On the HasMember from a SubmissionSet to a DocumentEntry: `Original` or `Reference`.
        SUBMISSION_SET_STATUS = "SubmissionSetStatus";
        PREVIOUS_VERSION = "PreviousVersion";
        ORIGINAL_STATUS = "OriginalStatus";
        NEW_STATUS = "NewStatus";
        ASSOCIATION_PROPAGATION = "AssociationPropagation";
        /// In `RequestSlotList` of ITI-80.
        HOME_COMMUNITY_ID = "homeCommunityId";
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_constants_are_equal() {
        let groups = [
            document_entry::ALL,
            submission_set::ALL,
            folder::ALL,
            association::ALL,
            association_type::ALL,
            object_type::ALL,
            status::ALL,
            response_status::ALL,
            error_severity::ALL,
            document_availability::ALL,
            reference_id_type::ALL,
            identifier_name::ALL,
            slot::ALL,
        ];
        let mut seen = HashSet::new();
        for value in groups.into_iter().flatten() {
            assert!(seen.insert(*value), "{value} stands twice in uuids.rs");
        }
    }

    #[test]
    fn uuids_are_lower_case_and_whole() {
        let all = [document_entry::ALL, submission_set::ALL, folder::ALL, association::ALL];
        for value in all.into_iter().flatten() {
            let uuid = crate::model::ids::EntryUuid::parse(value).map(|uuid| uuid.to_string());
            assert_eq!(uuid.as_deref(), Some(*value));
        }
    }
}
