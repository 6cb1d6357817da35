//! SubmissionSet as `rim:RegistryPackage`. ITI TF-3 Table 4.2.3.3-2.

use super::{Form, ObjectWriter, Taker};
use crate::model::ebrim::RegistryObject;
use crate::model::metadata::{AvailabilityStatus, SubmissionSet};
use crate::model::uuids;
use crate::wire::xml::XmlWriter;

pub fn from_object(object: RegistryObject) -> SubmissionSet {
    let mut t = Taker(object);
    t.marker(uuids::submission_set::MARKER);
    SubmissionSet {
        entry_uuid: std::mem::take(&mut t.0.id),
        availability_status: AvailabilityStatus::Approved,
        home_community_id: t.0.home.take(),
        unique_id: t.identifier(uuids::submission_set::UNIQUE_ID),
        patient_id: t.identifier(uuids::submission_set::PATIENT_ID),
        source_id: t.identifier(uuids::submission_set::SOURCE_ID),
        content_type_code: t.code(uuids::submission_set::CONTENT_TYPE_CODE),
        submission_time: t.value("submissionTime"),
        intended_recipient: t.values("intendedRecipient"),
        author: t.authors(uuids::submission_set::AUTHOR),
        title: std::mem::take(&mut t.0.name),
        comments: std::mem::take(&mut t.0.description),
        limited_metadata: t.marker(uuids::submission_set::LIMITED_METADATA),
        extra: t.extra(),
    }
}

pub fn write(w: &mut XmlWriter<'static>, s: &SubmissionSet, form: Form) {
    w.open("rim:RegistryPackage")
        .attr("id", &s.entry_uuid)
        .attr("objectType", uuids::object_type::REGISTRY_PACKAGE)
        .attr_opt("home", s.home_community_id.as_deref());
    if form == Form::Result {
        w.attr("lid", &s.entry_uuid).attr("status", s.availability_status.urn());
    }
    let mut o = ObjectWriter::new(w, &s.entry_uuid);
    o.slot_opt("submissionTime", s.submission_time.as_deref());
    o.slot("intendedRecipient", &s.intended_recipient);
    o.extra_slots(&s.extra.slots);
    o.names(&s.title, &s.comments);
    if form == Form::Result {
        o.version(1);
    }
    o.marker(uuids::submission_set::MARKER);
    for author in &s.author {
        o.author(uuids::submission_set::AUTHOR, author);
    }
    if let Some(code) = &s.content_type_code {
        o.code(uuids::submission_set::CONTENT_TYPE_CODE, code);
    }
    if s.limited_metadata {
        o.marker(uuids::submission_set::LIMITED_METADATA);
    }
    o.extra_classifications(&s.extra);
    o.identifier(uuids::submission_set::PATIENT_ID, "XDSSubmissionSet.patientId", &s.patient_id);
    o.identifier(uuids::submission_set::UNIQUE_ID, "XDSSubmissionSet.uniqueId", &s.unique_id);
    o.identifier(uuids::submission_set::SOURCE_ID, "XDSSubmissionSet.sourceId", &s.source_id);
    o.extra_identifiers(&s.extra.external_identifiers);
    w.close();
}
