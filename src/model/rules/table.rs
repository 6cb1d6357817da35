//! The metadata rules as tables: for each kind of object one row per attribute, saying where ebRIM keeps
//! it, how often it may occur, who must send it, what it looks like and which clause says so.
//!
//! To change a rule, change its row. To add an attribute, add a row; the test at the foot of this file
//! lists every attribute there must be.

use crate::model::codes::CodedAttribute;
use crate::model::ebrim::ObjectKind;
use crate::model::uuids::{
    association, document_entry as de, folder as fd, identifier_name as name, slot, submission_set as ss,
};

/// Whose obligations apply: a column of ITI TF-3 Table 4.3.1.1-3, chosen by transaction and sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Document Source, ITI-41.
    DocumentSource,
    /// Document Repository, ITI-42; also what the registry stores.
    DocumentRepository,
    /// Document Source of XDR, ITI-41.
    XdrSource,
    /// Metadata-Limited Document Source, ITI-41.
    MetadataLimited,
    /// On-Demand Document Source, ITI-61.
    OnDemand,
}

impl Column {
    /// The column in words, for messages.
    pub fn label(self) -> &'static str {
        match self {
            Column::DocumentSource => "a Document Source (ITI-41)",
            Column::DocumentRepository => "a Document Repository (ITI-42)",
            Column::XdrSource => "an XDR Document Source (ITI-41)",
            Column::MetadataLimited => "a Metadata-Limited Document Source (ITI-41)",
            Column::OnDemand => "an On-Demand Document Source (ITI-61)",
        }
    }
}

/// How strongly an attribute is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Required.
    R,
    /// Required if known: a receiver cannot tell.
    R2,
    /// Optional.
    O,
    /// Forbidden.
    X,
}

/// The obligations of all columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Obligations {
    pub source: Presence,
    pub repository: Presence,
    pub xdr: Presence,
    pub limited: Presence,
    pub on_demand: Presence,
}

impl Obligations {
    pub fn of(&self, column: Column) -> Presence {
        match column {
            Column::DocumentSource => self.source,
            Column::DocumentRepository => self.repository,
            Column::XdrSource => self.xdr,
            Column::MetadataLimited => self.limited,
            Column::OnDemand => self.on_demand,
        }
    }
}

use Presence::{O, R, R2, X};

const fn columns(
    source: Presence,
    repository: Presence,
    xdr: Presence,
    limited: Presence,
    on_demand: Presence,
) -> Obligations {
    Obligations { source, repository, xdr, limited, on_demand }
}

const ALWAYS: Obligations = columns(R, R, R, R, R);
/// Required of everybody but the metadata-limited source.
const FULL: Obligations = columns(R, R, R, R2, R);
const IF_KNOWN: Obligations = columns(R2, R2, R2, R2, R2);
const OPTIONAL: Obligations = columns(O, O, O, O, O);
const HASH_AND_SIZE: Obligations = columns(O, R, O, O, X);
const LIMITED_MARKER: Obligations = columns(X, X, X, R, X);

/// An XML attribute of the object's element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XmlAttribute {
    Id,
    LogicalId,
    Home,
    Status,
    ObjectType,
    MimeType,
    AssociationType,
    SourceObject,
    TargetObject,
}

/// Where ebRIM keeps an attribute. ITI TF-3 4.2.3.1.8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Attribute(XmlAttribute),
    /// `VersionInfo/@versionName`.
    VersionInfo,
    /// The values of the slot of this name.
    Slot(&'static str),
    /// Classifications of this scheme.
    Classification(&'static str),
    /// Classifications by this node, carrying no code.
    Marker(&'static str),
    /// ExternalIdentifiers of this scheme; the framework fixes their Name.
    ExternalIdentifier {
        scheme: &'static str,
        name: &'static str,
    },
    Name,
    Description,
}

/// What a value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataType {
    /// Any text of at most so many characters.
    Text(usize),
    /// The object's own id, a UUID URN or symbolic.
    EntryId,
    /// What the registry overwrites or ignores: not judged.
    Ignored,
    /// Stable or on-demand, as the column demands.
    DocumentEntryType,
    Oid,
    /// `urn:oid:` and an OID.
    OidUrn,
    /// DocumentEntry.uniqueId; see [`crate::model::ids::check_unique_id`].
    UniqueId,
    Cx,
    Cxi,
    Xcn,
    Dtm,
    /// 40 hexadecimal digits, either case.
    Sha1Hex,
    /// Octets, decimal; leading zeros occur and are accepted.
    Size,
    /// RFC 5646 in form; subtags are not looked up and case does not matter.
    Language,
    /// A media type, parameters allowed.
    MimeType,
    /// A URI or relative reference without blanks.
    Uri,
    /// A version number, 1 or more.
    Version,
    /// A code Classification, its value set given.
    Code(CodedAttribute),
    /// An author Classification.
    Author,
    /// `PID-n|…`, read leniently.
    SourcePatientInfo,
    /// `XON|XCN|XTN`.
    IntendedRecipient,
    DocumentAvailability,
    /// One of [`crate::model::uuids::association_type`].
    AssociationType,
    /// `Original` or `Reference`.
    SubmissionSetStatus,
    /// Nothing but its presence.
    Flag,
}

/// No limit on how often an attribute occurs.
pub const MANY: usize = usize::MAX;

/// One attribute of one kind of object.
#[derive(Debug, Clone, Copy)]
pub struct AttributeRule {
    /// By its IHE name, e.g. `DocumentEntry.classCode`.
    pub name: &'static str,
    pub place: Place,
    pub obligations: Obligations,
    /// How many values at most (slots) or how many occurrences (all else).
    pub max: usize,
    pub data_type: DataType,
    /// Where the rule is written.
    pub clause: &'static str,
}

const fn row(
    name: &'static str,
    place: Place,
    obligations: Obligations,
    max: usize,
    data_type: DataType,
    clause: &'static str,
) -> AttributeRule {
    AttributeRule { name, place, obligations, max, data_type, clause }
}

const fn identifier(scheme: &'static str, name: &'static str) -> Place {
    Place::ExternalIdentifier { scheme, name }
}

/// A `LocalizedString` holds at most this many characters (ebRIM 3.0).
pub const LOCALIZED_STRING_MAX: usize = 1024;
/// A slot value, node representation or identifier value holds at most this many (ebRIM 3.0).
pub const VALUE_MAX: usize = 256;

const METADATA_UPDATE: &str = "ITI Metadata Update supplement";

use CodedAttribute as Set;
use DataType as T;
use Place::{Attribute, Classification, Description, Marker, Name, Slot, VersionInfo};
use XmlAttribute as A;

/// DocumentEntry. ITI TF-3 4.2.3.2 and Table 4.3.1.1-3.
#[rustfmt::skip]
pub const DOCUMENT_ENTRY: &[AttributeRule] = &[
    row("DocumentEntry.author", Classification(de::AUTHOR), IF_KNOWN, MANY, T::Author, "ITI TF-3 4.2.3.2.1"),
    row("DocumentEntry.availabilityStatus", Attribute(A::Status), OPTIONAL, 1, T::Ignored, "ITI TF-3 4.2.3.2.2"),
    row("DocumentEntry.classCode", Classification(de::CLASS_CODE), FULL, 1, T::Code(Set::ClassCode), "ITI TF-3 4.2.3.2.3"),
    row("DocumentEntry.comments", Description, OPTIONAL, MANY, T::Text(LOCALIZED_STRING_MAX), "ITI TF-3 4.2.3.2.4"),
    row("DocumentEntry.confidentialityCode", Classification(de::CONFIDENTIALITY_CODE), FULL, MANY, T::Code(Set::ConfidentialityCode), "ITI TF-3 4.2.3.2.5"),
    row("DocumentEntry.creationTime", Slot(slot::CREATION_TIME), columns(R, R, R, R2, X), 1, T::Dtm, "ITI TF-3 4.2.3.2.6"),
    row("DocumentEntry.entryUUID", Attribute(A::Id), ALWAYS, 1, T::EntryId, "ITI TF-3 4.2.3.2.7"),
    row("DocumentEntry.eventCodeList", Classification(de::EVENT_CODE_LIST), OPTIONAL, MANY, T::Code(Set::EventCodeList), "ITI TF-3 4.2.3.2.8"),
    row("DocumentEntry.formatCode", Classification(de::FORMAT_CODE), FULL, 1, T::Code(Set::FormatCode), "ITI TF-3 4.2.3.2.9"),
    row("DocumentEntry.hash", Slot(slot::HASH), HASH_AND_SIZE, 1, T::Sha1Hex, "ITI TF-3 4.2.3.2.10"),
    row("DocumentEntry.healthcareFacilityTypeCode", Classification(de::HEALTHCARE_FACILITY_TYPE_CODE), FULL, 1, T::Code(Set::HealthcareFacilityTypeCode), "ITI TF-3 4.2.3.2.11"),
    row("DocumentEntry.homeCommunityId", Attribute(A::Home), OPTIONAL, 1, T::OidUrn, "ITI TF-3 4.2.3.2.12"),
    row("DocumentEntry.languageCode", Slot(slot::LANGUAGE_CODE), FULL, 1, T::Language, "ITI TF-3 4.2.3.2.13"),
    row("DocumentEntry.legalAuthenticator", Slot(slot::LEGAL_AUTHENTICATOR), OPTIONAL, 1, T::Xcn, "ITI TF-3 4.2.3.2.14"),
    row("DocumentEntry.mimeType", Attribute(A::MimeType), ALWAYS, 1, T::MimeType, "ITI TF-3 4.2.3.2.15"),
    row("DocumentEntry.patientId", identifier(de::PATIENT_ID, name::DOCUMENT_ENTRY_PATIENT_ID), FULL, 1, T::Cx, "ITI TF-3 4.2.3.2.16"),
    row("DocumentEntry.practiceSettingCode", Classification(de::PRACTICE_SETTING_CODE), FULL, 1, T::Code(Set::PracticeSettingCode), "ITI TF-3 4.2.3.2.17"),
    row("DocumentEntry.repositoryUniqueId", Slot(slot::REPOSITORY_UNIQUE_ID), columns(O, R, O, O, R), 1, T::Oid, "ITI TF-3 4.2.3.2.18"),
    row("DocumentEntry.serviceStartTime", Slot(slot::SERVICE_START_TIME), columns(R2, R2, R2, R2, O), 1, T::Dtm, "ITI TF-3 4.2.3.2.19"),
    row("DocumentEntry.serviceStopTime", Slot(slot::SERVICE_STOP_TIME), columns(R2, R2, R2, R2, O), 1, T::Dtm, "ITI TF-3 4.2.3.2.20"),
    row("DocumentEntry.size", Slot(slot::SIZE), HASH_AND_SIZE, 1, T::Size, "ITI TF-3 4.2.3.2.21"),
    row("DocumentEntry.sourcePatientId", Slot(slot::SOURCE_PATIENT_ID), FULL, 1, T::Cx, "ITI TF-3 4.2.3.2.22"),
    row("DocumentEntry.sourcePatientInfo", Slot(slot::SOURCE_PATIENT_INFO), columns(O, O, O, R2, O), MANY, T::SourcePatientInfo, "ITI TF-3 4.2.3.2.23"),
    row("DocumentEntry.title", Name, OPTIONAL, MANY, T::Text(128), "ITI TF-3 4.2.3.2.24"),
    row("DocumentEntry.typeCode", Classification(de::TYPE_CODE), FULL, 1, T::Code(Set::TypeCode), "ITI TF-3 4.2.3.2.25"),
    row("DocumentEntry.uniqueId", identifier(de::UNIQUE_ID, name::DOCUMENT_ENTRY_UNIQUE_ID), ALWAYS, 1, T::UniqueId, "ITI TF-3 4.2.3.2.26"),
    row("DocumentEntry.URI", Slot(slot::URI), OPTIONAL, 1, T::Uri, "ITI TF-3 4.2.3.2.27"),
    row("DocumentEntry.referenceIdList", Slot(slot::REFERENCE_ID_LIST), OPTIONAL, MANY, T::Cxi, "ITI TF-3 4.2.3.2.28"),
    row("DocumentEntry.limitedMetadata", Marker(de::LIMITED_METADATA), LIMITED_MARKER, 1, T::Flag, "ITI TF-3 4.2.3.2.29"),
    row("DocumentEntry.objectType", Attribute(A::ObjectType), ALWAYS, 1, T::DocumentEntryType, "ITI TF-3 4.2.3.2.30"),
    row("DocumentEntry.logicalID", Attribute(A::LogicalId), OPTIONAL, 1, T::Text(VALUE_MAX), METADATA_UPDATE),
    row("DocumentEntry.version", VersionInfo, OPTIONAL, 1, T::Version, METADATA_UPDATE),
    row("DocumentEntry.documentAvailability", Slot(slot::DOCUMENT_AVAILABILITY), OPTIONAL, 1, T::DocumentAvailability, METADATA_UPDATE),
];

/// SubmissionSet. ITI TF-3 4.2.3.3 and Table 4.3.1.1-3.
#[rustfmt::skip]
pub const SUBMISSION_SET: &[AttributeRule] = &[
    row("SubmissionSet.author", Classification(ss::AUTHOR), IF_KNOWN, MANY, T::Author, "ITI TF-3 4.2.3.3.1"),
    row("SubmissionSet.availabilityStatus", Attribute(A::Status), OPTIONAL, 1, T::Ignored, "ITI TF-3 4.2.3.3.2"),
    row("SubmissionSet.comments", Description, OPTIONAL, MANY, T::Text(LOCALIZED_STRING_MAX), "ITI TF-3 4.2.3.3.3"),
    row("SubmissionSet.contentTypeCode", Classification(ss::CONTENT_TYPE_CODE), FULL, 1, T::Code(Set::ContentTypeCode), "ITI TF-3 4.2.3.3.4"),
    row("SubmissionSet.entryUUID", Attribute(A::Id), ALWAYS, 1, T::EntryId, "ITI TF-3 4.2.3.3.5"),
    row("SubmissionSet.homeCommunityId", Attribute(A::Home), OPTIONAL, 1, T::OidUrn, "ITI TF-3 4.2.3.3.6"),
    row("SubmissionSet.intendedRecipient", Slot(slot::INTENDED_RECIPIENT), columns(O, O, R2, R2, O), MANY, T::IntendedRecipient, "ITI TF-3 4.2.3.3.7"),
    row("SubmissionSet.patientId", identifier(ss::PATIENT_ID, name::SUBMISSION_SET_PATIENT_ID), FULL, 1, T::Cx, "ITI TF-3 4.2.3.3.8"),
    row("SubmissionSet.sourceId", identifier(ss::SOURCE_ID, name::SUBMISSION_SET_SOURCE_ID), ALWAYS, 1, T::Oid, "ITI TF-3 4.2.3.3.9"),
    row("SubmissionSet.submissionTime", Slot(slot::SUBMISSION_TIME), ALWAYS, 1, T::Dtm, "ITI TF-3 4.2.3.3.10"),
    row("SubmissionSet.title", Name, OPTIONAL, MANY, T::Text(256), "ITI TF-3 4.2.3.3.11"),
    row("SubmissionSet.uniqueId", identifier(ss::UNIQUE_ID, name::SUBMISSION_SET_UNIQUE_ID), ALWAYS, 1, T::Oid, "ITI TF-3 4.2.3.3.12"),
    row("SubmissionSet.limitedMetadata", Marker(ss::LIMITED_METADATA), LIMITED_MARKER, 1, T::Flag, "ITI TF-3 4.2.3.3.13"),
    row("SubmissionSet.marker", Marker(ss::MARKER), OPTIONAL, 1, T::Flag, "ITI TF-3 4.2.1.2.1"),
];

/// Folder. ITI TF-3 4.2.3.4 and Table 4.3.1.1-3.
#[rustfmt::skip]
pub const FOLDER: &[AttributeRule] = &[
    row("Folder.availabilityStatus", Attribute(A::Status), OPTIONAL, 1, T::Ignored, "ITI TF-3 4.2.3.4.1"),
    row("Folder.codeList", Classification(fd::CODE_LIST), FULL, MANY, T::Code(Set::FolderCodeList), "ITI TF-3 4.2.3.4.2"),
    row("Folder.comments", Description, OPTIONAL, MANY, T::Text(LOCALIZED_STRING_MAX), "ITI TF-3 4.2.3.4.3"),
    row("Folder.entryUUID", Attribute(A::Id), ALWAYS, 1, T::EntryId, "ITI TF-3 4.2.3.4.4"),
    row("Folder.homeCommunityId", Attribute(A::Home), OPTIONAL, 1, T::OidUrn, "ITI TF-3 4.2.3.4.5"),
    row("Folder.lastUpdateTime", Slot(slot::LAST_UPDATE_TIME), OPTIONAL, 1, T::Dtm, "ITI TF-3 4.2.3.4.6"),
    row("Folder.patientId", identifier(fd::PATIENT_ID, name::FOLDER_PATIENT_ID), FULL, 1, T::Cx, "ITI TF-3 4.2.3.4.7"),
    row("Folder.title", Name, columns(R, R, R, O, R), MANY, T::Text(256), "ITI TF-3 4.2.3.4.8"),
    row("Folder.uniqueId", identifier(fd::UNIQUE_ID, name::FOLDER_UNIQUE_ID), ALWAYS, 1, T::Oid, "ITI TF-3 4.2.3.4.9"),
    row("Folder.limitedMetadata", Marker(fd::LIMITED_METADATA), LIMITED_MARKER, 1, T::Flag, "ITI TF-3 4.2.3.4.10"),
    row("Folder.marker", Marker(fd::MARKER), OPTIONAL, 1, T::Flag, "ITI TF-3 4.2.1.3.1"),
    row("Folder.logicalID", Attribute(A::LogicalId), OPTIONAL, 1, T::Text(VALUE_MAX), METADATA_UPDATE),
    row("Folder.version", VersionInfo, OPTIONAL, 1, T::Version, METADATA_UPDATE),
];

/// Association. ITI TF-3 4.2.2.
#[rustfmt::skip]
pub const ASSOCIATION: &[AttributeRule] = &[
    row("Association.entryUUID", Attribute(A::Id), ALWAYS, 1, T::EntryId, "ITI TF-3 4.2.2"),
    row("Association.associationType", Attribute(A::AssociationType), ALWAYS, 1, T::AssociationType, "ITI TF-3 4.2.2"),
    row("Association.sourceObject", Attribute(A::SourceObject), ALWAYS, 1, T::Text(VALUE_MAX), "ITI TF-3 4.2.2"),
    row("Association.targetObject", Attribute(A::TargetObject), ALWAYS, 1, T::Text(VALUE_MAX), "ITI TF-3 4.2.2"),
    row("Association.availabilityStatus", Attribute(A::Status), OPTIONAL, 1, T::Ignored, "ITI TF-3 4.2.2"),
    row("Association.homeCommunityId", Attribute(A::Home), OPTIONAL, 1, T::OidUrn, "ITI TF-3 4.2.2"),
    row("Association.SubmissionSetStatus", Slot(slot::SUBMISSION_SET_STATUS), OPTIONAL, 1, T::SubmissionSetStatus, "ITI TF-3 4.2.2.1.1"),
    row("Association.documentation", Classification(association::DOCUMENTATION), OPTIONAL, 1, T::Code(Set::AssociationDocumentation), "ITI TF-3 4.2.2.2"),
    row("Association.PreviousVersion", Slot(slot::PREVIOUS_VERSION), OPTIONAL, 1, T::Version, METADATA_UPDATE),
    row("Association.OriginalStatus", Slot(slot::ORIGINAL_STATUS), OPTIONAL, 1, T::Text(VALUE_MAX), METADATA_UPDATE),
    row("Association.NewStatus", Slot(slot::NEW_STATUS), OPTIONAL, 1, T::Text(VALUE_MAX), METADATA_UPDATE),
    row("Association.AssociationPropagation", Slot(slot::ASSOCIATION_PROPAGATION), OPTIONAL, 1, T::Text(VALUE_MAX), METADATA_UPDATE),
];

/// The table of one kind of object.
pub fn rules(kind: ObjectKind) -> &'static [AttributeRule] {
    match kind {
        ObjectKind::DocumentEntry => DOCUMENT_ENTRY,
        ObjectKind::SubmissionSet => SUBMISSION_SET,
        ObjectKind::Folder => FOLDER,
        ObjectKind::Association => ASSOCIATION,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [ObjectKind; 4] =
        [ObjectKind::DocumentEntry, ObjectKind::SubmissionSet, ObjectKind::Folder, ObjectKind::Association];

    /// The attributes of ITI TF-3 Tables 4.2.3.2-1, 4.2.3.3-1 and 4.2.3.4-1, of 4.2.2, and of Metadata Update.
    const ATTRIBUTES: &[(ObjectKind, &str)] = &[
        (
            ObjectKind::DocumentEntry,
            "author availabilityStatus classCode comments confidentialityCode creationTime entryUUID \
             eventCodeList formatCode hash healthcareFacilityTypeCode homeCommunityId languageCode \
             legalAuthenticator limitedMetadata mimeType objectType patientId practiceSettingCode \
             referenceIdList repositoryUniqueId serviceStartTime serviceStopTime size sourcePatientId \
             sourcePatientInfo title typeCode uniqueId URI logicalID version documentAvailability",
        ),
        (
            ObjectKind::SubmissionSet,
            "author availabilityStatus comments contentTypeCode entryUUID homeCommunityId intendedRecipient \
             limitedMetadata patientId sourceId submissionTime title uniqueId marker",
        ),
        (
            ObjectKind::Folder,
            "availabilityStatus codeList comments entryUUID homeCommunityId lastUpdateTime limitedMetadata \
             patientId title uniqueId marker logicalID version",
        ),
        (
            ObjectKind::Association,
            "entryUUID associationType sourceObject targetObject availabilityStatus homeCommunityId \
             SubmissionSetStatus documentation PreviousVersion OriginalStatus NewStatus AssociationPropagation",
        ),
    ];

    #[test]
    fn every_attribute_has_exactly_one_row() {
        for (kind, attributes) in ATTRIBUTES {
            let mut rows = 0;
            for attribute in attributes.split_whitespace() {
                let name = format!("{}.{attribute}", kind.as_str());
                let found = rules(*kind).iter().filter(|r| r.name == name).count();
                assert_eq!(
                    found,
                    1,
                    "{name}: add (or remove) its row in the table of {} in model/rules/table.rs",
                    kind.as_str()
                );
                rows += 1;
            }
            assert_eq!(
                rules(*kind).len(),
                rows,
                "{}: list the new attribute in ATTRIBUTES of this test too",
                kind.as_str()
            );
        }
    }

    #[test]
    fn no_two_rows_share_a_place_and_every_clause_is_cited() {
        for kind in KINDS {
            for (i, a) in rules(kind).iter().enumerate() {
                assert!(a.clause.starts_with("ITI "), "{}", a.name);
                for b in &rules(kind)[i + 1..] {
                    assert_ne!(a.place, b.place, "{} and {}", a.name, b.name);
                }
            }
        }
    }
}
