//! One good object of each kind, for tests that spoil one thing.

use crate::model::ebrim::{
    Classification, ExternalIdentifier, LocalizedString, ObjectKind, RegistryObject, Slot,
};
use crate::model::uuids::{
    association_type, document_entry, folder, identifier_name, object_type, slot as slots, submission_set,
};

pub const PATIENT_ID: &str = "1001^^^&1.2.392.9.4&ISO";

pub fn slot(name: &str, values: &[&str]) -> Slot {
    Slot { name: name.to_owned(), slot_type: None, values: values.iter().map(|v| (*v).to_owned()).collect() }
}

pub fn text(value: &str) -> Vec<LocalizedString> {
    vec![LocalizedString { value: value.to_owned(), lang: Some("ja-JP".to_owned()), charset: None }]
}

pub fn code(object: &str, scheme: &str, code: &str, coding_scheme: &str, display: &str) -> Classification {
    Classification {
        id: format!("{object}-{code}"),
        scheme: Some(scheme.to_owned()),
        classified_object: object.to_owned(),
        node_representation: Some(code.to_owned()),
        slots: vec![slot(slots::CODING_SCHEME, &[coding_scheme])],
        name: text(display),
        ..Classification::default()
    }
}

pub fn marker(object: &str, node: &str) -> Classification {
    Classification {
        id: format!("{object}-marker"),
        node: Some(node.to_owned()),
        classified_object: object.to_owned(),
        ..Classification::default()
    }
}

pub fn author(object: &str, scheme: &str) -> Classification {
    Classification {
        id: format!("{object}-author"),
        scheme: Some(scheme.to_owned()),
        classified_object: object.to_owned(),
        node_representation: Some(String::new()),
        slots: vec![
            slot(slots::AUTHOR_PERSON, &["110^医師^一郎^^^^^^&1.2.392.100495.20.3.41.11312345670&ISO"]),
            slot(slots::AUTHOR_INSTITUTION, &["登呂病院^^^^^&1.2.392.200119.6.102&ISO^^^^1312345670"]),
            slot(slots::AUTHOR_ROLE, &["主治医"]),
            slot(slots::AUTHOR_TELECOMMUNICATION, &["^^Internet^renkei@example.jp"]),
        ],
        ..Classification::default()
    }
}

pub fn identifier(object: &str, scheme: &str, value: &str, name: &str) -> ExternalIdentifier {
    ExternalIdentifier {
        id: format!("{object}-{name}"),
        scheme: scheme.to_owned(),
        registry_object: object.to_owned(),
        value: value.to_owned(),
        name: text(name),
    }
}

/// A referral letter as a repository registers it (ITI-42); also good for ITI-41.
pub fn document_entry() -> RegistryObject {
    use document_entry as de;
    let id = "DE1";
    let loinc = crate::model::codes::LOINC;
    let mut entry = RegistryObject::new(ObjectKind::DocumentEntry, id);
    entry.object_type = Some(object_type::STABLE.to_owned());
    entry.mime_type = Some("application/pdf".to_owned());
    entry.name = text("診療情報提供書");
    entry.slots = vec![
        slot(slots::CREATION_TIME, &["20250401"]),
        slot(slots::LANGUAGE_CODE, &["ja-JP"]),
        slot(slots::SERVICE_START_TIME, &["202503310100"]),
        slot(slots::SERVICE_STOP_TIME, &["202503310130"]),
        slot(slots::SOURCE_PATIENT_ID, &["12^^^&1.2.392.9.1&ISO"]),
        slot(
            slots::SOURCE_PATIENT_INFO,
            &["PID-3|12^^^&1.2.392.9.1&ISO", "PID-5|患者^太郎^^^^^L^I", "PID-8|M"],
        ),
        slot(slots::REPOSITORY_UNIQUE_ID, &["1.2.392.9.2"]),
        slot(slots::SIZE, &["4"]),
        slot(slots::HASH, &["a94a8fe5ccb19ba61c4c0873d391e987982fbbd3"]),
    ];
    entry.classifications = vec![
        author(id, de::AUTHOR),
        code(id, de::CLASS_CODE, "57133-1", loinc, "診療情報提供書"),
        code(id, de::TYPE_CODE, "57133-1", loinc, "診療情報提供書"),
        code(id, de::CONFIDENTIALITY_CODE, "N", crate::model::codes::CONFIDENTIALITY, "通常"),
        code(
            id,
            de::FORMAT_CODE,
            "urn:ihe:iti:xds:2017:mimeTypeSufficient",
            "1.3.6.1.4.1.19376.1.2.3",
            "PDF",
        ),
        code(id, de::HEALTHCARE_FACILITY_TYPE_CODE, "1", crate::model::codes::FACILITY_CLASS, "医科"),
        code(id, de::PRACTICE_SETTING_CODE, "01", crate::model::codes::SSMIX2_DEPARTMENT, "内科"),
    ];
    entry.external_identifiers = vec![
        identifier(id, de::PATIENT_ID, PATIENT_ID, identifier_name::DOCUMENT_ENTRY_PATIENT_ID),
        identifier(id, de::UNIQUE_ID, "1.2.392.9.5.1", identifier_name::DOCUMENT_ENTRY_UNIQUE_ID),
    ];
    entry
}

pub fn submission_set() -> RegistryObject {
    use submission_set as ss;
    let id = "SS1";
    let mut set = RegistryObject::new(ObjectKind::SubmissionSet, id);
    set.object_type = Some(object_type::REGISTRY_PACKAGE.to_owned());
    set.slots = vec![slot(slots::SUBMISSION_TIME, &["20250401013000"])];
    set.classifications = vec![
        marker(id, ss::MARKER),
        author(id, ss::AUTHOR),
        code(id, ss::CONTENT_TYPE_CODE, "57133-1", crate::model::codes::LOINC, "診療情報提供書"),
    ];
    set.external_identifiers = vec![
        identifier(id, ss::PATIENT_ID, PATIENT_ID, identifier_name::SUBMISSION_SET_PATIENT_ID),
        identifier(id, ss::SOURCE_ID, "1.2.392.9.3", identifier_name::SUBMISSION_SET_SOURCE_ID),
        identifier(id, ss::UNIQUE_ID, "1.2.392.9.6.1", identifier_name::SUBMISSION_SET_UNIQUE_ID),
    ];
    set
}

pub fn folder() -> RegistryObject {
    use folder as fd;
    let id = "FD1";
    let mut folder = RegistryObject::new(ObjectKind::Folder, id);
    folder.name = text("糖尿病地域連携パス");
    folder.classifications =
        vec![marker(id, fd::MARKER), code(id, fd::CODE_LIST, "78454-6", crate::model::codes::LOINC, "パス")];
    folder.external_identifiers = vec![
        identifier(id, fd::PATIENT_ID, PATIENT_ID, identifier_name::FOLDER_PATIENT_ID),
        identifier(id, fd::UNIQUE_ID, "1.2.392.9.7.1", identifier_name::FOLDER_UNIQUE_ID),
    ];
    folder
}

/// The SubmissionSet's membership of the DocumentEntry.
pub fn association() -> RegistryObject {
    let mut association = RegistryObject::new(ObjectKind::Association, "A1");
    association.association_type = Some(association_type::HAS_MEMBER.to_owned());
    association.source_object = Some("SS1".to_owned());
    association.target_object = Some("DE1".to_owned());
    association.slots = vec![slot(slots::SUBMISSION_SET_STATUS, &["Original"])];
    association
}

/// The good object of a kind.
pub fn of(kind: ObjectKind) -> RegistryObject {
    match kind {
        ObjectKind::DocumentEntry => document_entry(),
        ObjectKind::SubmissionSet => submission_set(),
        ObjectKind::Folder => folder(),
        ObjectKind::Association => association(),
    }
}
