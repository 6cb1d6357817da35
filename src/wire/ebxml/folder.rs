//! Folder as `rim:RegistryPackage`. ITI TF-3 Table 4.2.3.4-2.

use super::{Form, ObjectWriter, Taker};
use crate::model::ebrim::RegistryObject;
use crate::model::metadata::{AvailabilityStatus, Folder};
use crate::model::uuids;
use crate::wire::xml::XmlWriter;

pub fn from_object(object: RegistryObject) -> Folder {
    let mut t = Taker(object);
    t.marker(uuids::folder::MARKER);
    Folder {
        entry_uuid: std::mem::take(&mut t.0.id),
        logical_id: t.0.lid.take(),
        version: t.0.version_name.take().and_then(|v| v.parse().ok()).unwrap_or(1),
        availability_status: t
            .0
            .status
            .take()
            .and_then(|s| AvailabilityStatus::from_urn(&s))
            .unwrap_or_default(),
        home_community_id: t.0.home.take(),
        unique_id: t.identifier(uuids::folder::UNIQUE_ID),
        patient_id: t.identifier(uuids::folder::PATIENT_ID),
        code_list: t.codes(uuids::folder::CODE_LIST),
        last_update_time: t.value("lastUpdateTime"),
        title: std::mem::take(&mut t.0.name),
        comments: std::mem::take(&mut t.0.description),
        limited_metadata: t.marker(uuids::folder::LIMITED_METADATA),
        extra: t.extra(),
    }
}

pub fn write(w: &mut XmlWriter<'static>, f: &Folder, form: Form) {
    w.open("rim:RegistryPackage")
        .attr("id", &f.entry_uuid)
        .attr("objectType", uuids::object_type::REGISTRY_PACKAGE)
        .attr_opt("home", f.home_community_id.as_deref());
    if form == Form::Result {
        w.attr("lid", f.logical_id.as_deref().unwrap_or(&f.entry_uuid))
            .attr("status", f.availability_status.urn());
    } else {
        w.attr_opt("lid", f.logical_id.as_deref());
    }
    let mut o = ObjectWriter::new(w, &f.entry_uuid);
    if form == Form::Result {
        o.slot_opt("lastUpdateTime", f.last_update_time.as_deref());
    }
    o.extra_slots(&f.extra.slots);
    o.names(&f.title, &f.comments);
    if form == Form::Result {
        o.version(f.version);
    }
    o.marker(uuids::folder::MARKER);
    for code in &f.code_list {
        o.code(uuids::folder::CODE_LIST, code);
    }
    if f.limited_metadata {
        o.marker(uuids::folder::LIMITED_METADATA);
    }
    o.extra_classifications(&f.extra);
    o.identifier(uuids::folder::PATIENT_ID, "XDSFolder.patientId", &f.patient_id);
    o.identifier(uuids::folder::UNIQUE_ID, "XDSFolder.uniqueId", &f.unique_id);
    o.extra_identifiers(&f.extra.external_identifiers);
    w.close();
}
