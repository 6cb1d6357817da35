//! DocumentEntry as `rim:ExtrinsicObject`. ITI TF-3 Table 4.2.3.2-2.

use super::{Form, ObjectWriter, Taker};
use crate::model::ebrim::RegistryObject;
use crate::model::metadata::{AvailabilityStatus, DocumentEntry, EntryType};
use crate::model::uuids;
use crate::wire::xml::XmlWriter;

pub fn from_object(object: RegistryObject) -> DocumentEntry {
    let mut t = Taker(object);
    DocumentEntry {
        entry_uuid: std::mem::take(&mut t.0.id),
        logical_id: t.0.lid.take(),
        version: t.0.version_name.take().and_then(|v| v.parse().ok()).unwrap_or(1),
        availability_status: t
            .0
            .status
            .take()
            .and_then(|s| AvailabilityStatus::from_urn(&s))
            .unwrap_or_default(),
        object_type: t.0.object_type.take().and_then(|o| EntryType::from_urn(&o)).unwrap_or_default(),
        home_community_id: t.0.home.take(),
        unique_id: t.identifier(uuids::document_entry::UNIQUE_ID),
        patient_id: t.identifier(uuids::document_entry::PATIENT_ID),
        mime_type: t.0.mime_type.take().unwrap_or_default(),
        repository_unique_id: t.value("repositoryUniqueId"),
        hash: t.value("hash"),
        size: t.value("size"),
        title: std::mem::take(&mut t.0.name),
        comments: std::mem::take(&mut t.0.description),
        author: t.authors(uuids::document_entry::AUTHOR),
        class_code: t.code(uuids::document_entry::CLASS_CODE),
        type_code: t.code(uuids::document_entry::TYPE_CODE),
        format_code: t.code(uuids::document_entry::FORMAT_CODE),
        healthcare_facility_type_code: t.code(uuids::document_entry::HEALTHCARE_FACILITY_TYPE_CODE),
        practice_setting_code: t.code(uuids::document_entry::PRACTICE_SETTING_CODE),
        confidentiality_code: t.codes(uuids::document_entry::CONFIDENTIALITY_CODE),
        event_code_list: t.codes(uuids::document_entry::EVENT_CODE_LIST),
        creation_time: t.value("creationTime"),
        service_start_time: t.value("serviceStartTime"),
        service_stop_time: t.value("serviceStopTime"),
        language_code: t.value("languageCode"),
        legal_authenticator: t.value("legalAuthenticator"),
        source_patient_id: t.value("sourcePatientId"),
        source_patient_info: t.values("sourcePatientInfo"),
        uri: t.values("URI"),
        reference_id_list: t.values(uuids::slot::REFERENCE_ID_LIST),
        document_availability: t.value("documentAvailability"),
        limited_metadata: t.marker(uuids::document_entry::LIMITED_METADATA),
        extra: t.extra(),
    }
}

pub fn write(w: &mut XmlWriter<'static>, e: &DocumentEntry, form: Form) {
    w.open("rim:ExtrinsicObject")
        .attr("id", &e.entry_uuid)
        .attr("mimeType", &e.mime_type)
        .attr("objectType", e.object_type.urn())
        .attr_opt("home", e.home_community_id.as_deref());
    if form == Form::Result {
        w.attr("lid", e.logical_id.as_deref().unwrap_or(&e.entry_uuid))
            .attr("status", e.availability_status.urn());
    } else {
        w.attr_opt("lid", e.logical_id.as_deref());
    }
    let mut o = ObjectWriter::new(w, &e.entry_uuid);
    o.slot_opt("creationTime", e.creation_time.as_deref());
    o.slot_opt("languageCode", e.language_code.as_deref());
    o.slot_opt("serviceStartTime", e.service_start_time.as_deref());
    o.slot_opt("serviceStopTime", e.service_stop_time.as_deref());
    o.slot_opt("sourcePatientId", e.source_patient_id.as_deref());
    o.slot("sourcePatientInfo", &e.source_patient_info);
    o.slot_opt("legalAuthenticator", e.legal_authenticator.as_deref());
    o.slot("URI", &e.uri);
    o.slot_opt("repositoryUniqueId", e.repository_unique_id.as_deref());
    o.slot_opt("hash", e.hash.as_deref());
    o.slot_opt("size", e.size.as_deref());
    o.slot(uuids::slot::REFERENCE_ID_LIST, &e.reference_id_list);
    o.slot_opt("documentAvailability", e.document_availability.as_deref());
    o.extra_slots(&e.extra.slots);
    o.names(&e.title, &e.comments);
    if form == Form::Result {
        o.version(e.version);
    }
    for author in &e.author {
        o.author(uuids::document_entry::AUTHOR, author);
    }
    let codes = [
        (uuids::document_entry::CLASS_CODE, &e.class_code),
        (uuids::document_entry::TYPE_CODE, &e.type_code),
        (uuids::document_entry::FORMAT_CODE, &e.format_code),
        (uuids::document_entry::HEALTHCARE_FACILITY_TYPE_CODE, &e.healthcare_facility_type_code),
        (uuids::document_entry::PRACTICE_SETTING_CODE, &e.practice_setting_code),
    ];
    for (scheme, code) in codes {
        if let Some(code) = code {
            o.code(scheme, code);
        }
    }
    for code in &e.confidentiality_code {
        o.code(uuids::document_entry::CONFIDENTIALITY_CODE, code);
    }
    for code in &e.event_code_list {
        o.code(uuids::document_entry::EVENT_CODE_LIST, code);
    }
    if e.limited_metadata {
        o.marker(uuids::document_entry::LIMITED_METADATA);
    }
    o.extra_classifications(&e.extra);
    o.identifier(uuids::document_entry::PATIENT_ID, "XDSDocumentEntry.patientId", &e.patient_id);
    o.identifier(uuids::document_entry::UNIQUE_ID, "XDSDocumentEntry.uniqueId", &e.unique_id);
    o.extra_identifiers(&e.extra.external_identifiers);
    w.close();
}
