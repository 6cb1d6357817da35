//! Association as `rim:Association`. ITI TF-3 4.2.2 and 4.2.3.1.3.

use super::{Form, ObjectWriter, Taker};
use crate::model::ebrim::RegistryObject;
use crate::model::metadata::{Association, AssociationType, AvailabilityStatus, SubmissionSetStatus};
use crate::model::uuids;
use crate::wire::xml::XmlWriter;

const SUBMISSION_SET_STATUS: &str = "SubmissionSetStatus";

/// `None` when the type is not one of the framework's; `model::rules` has reported it then.
pub fn from_object(object: RegistryObject) -> Option<Association> {
    let kind = AssociationType::from_urn(object.association_type.as_deref().unwrap_or_default())?;
    let mut t = Taker(object);
    Some(Association {
        entry_uuid: std::mem::take(&mut t.0.id),
        association_type: kind,
        source_object: t.0.source_object.take().unwrap_or_default(),
        target_object: t.0.target_object.take().unwrap_or_default(),
        availability_status: t
            .0
            .status
            .take()
            .and_then(|s| AvailabilityStatus::from_urn(&s))
            .unwrap_or_default(),
        home_community_id: t.0.home.take(),
        submission_set_status: t.value(SUBMISSION_SET_STATUS).and_then(|v| match v.as_str() {
            "Original" => Some(SubmissionSetStatus::Original),
            "Reference" => Some(SubmissionSetStatus::Reference),
            _ => None,
        }),
        documentation: t.codes(uuids::association::DOCUMENTATION),
        title: std::mem::take(&mut t.0.name),
        comments: std::mem::take(&mut t.0.description),
        extra: t.extra(),
    })
}

pub fn write(w: &mut XmlWriter<'static>, a: &Association, form: Form) {
    w.open("rim:Association")
        .attr("id", &a.entry_uuid)
        .attr("objectType", uuids::object_type::ASSOCIATION)
        .attr_opt("home", a.home_community_id.as_deref());
    if form == Form::Result {
        w.attr("lid", &a.entry_uuid).attr("status", a.availability_status.urn());
    }
    w.attr("associationType", a.association_type.urn())
        .attr("sourceObject", &a.source_object)
        .attr("targetObject", &a.target_object);
    let mut o = ObjectWriter::new(w, &a.entry_uuid);
    let status = a.submission_set_status.map(|s| match s {
        SubmissionSetStatus::Original => "Original",
        SubmissionSetStatus::Reference => "Reference",
    });
    o.slot_opt(SUBMISSION_SET_STATUS, status);
    o.extra_slots(&a.extra.slots);
    o.names(&a.title, &a.comments);
    for code in &a.documentation {
        o.code(uuids::association::DOCUMENTATION, code);
    }
    o.extra_classifications(&a.extra);
    o.extra_identifiers(&a.extra.external_identifiers);
    w.close();
}
