//! ITI-56 Patient Location Query (trial), Responding Gateway. ITI XCPD Health Data Locator 3.56.

use roxmltree::Node;

use super::reply::{Body, Reply};
use super::{SoapFace, responder};
use crate::model::error::Fault;
use crate::model::identity::SentId;
use crate::server::metrics::Outcome;
use crate::service::audit::Audited;
use crate::service::context::Context;
use crate::wire::hl7v3::Ii;
use crate::wire::hl7v3::xcpd_location::{self, Location};
use crate::wire::soap::write_answer;
use crate::wire::xml::XmlWriter;

/// The patient asked about.
pub struct Asked(SentId);

pub fn read(body: Node<'_, '_>) -> Result<Asked, Fault> {
    xcpd_location::read(body).map(Asked).map_err(Fault::sender)
}

pub async fn answer(
    face: &SoapFace,
    context: &Context,
    asked: Asked,
    message_id: Option<&str>,
) -> Result<Reply, Fault> {
    let responder = responder(face)?;
    let requested =
        Ii::with(asked.0.authority.universal_id.clone().unwrap_or_default(), asked.0.value.clone());
    let mut query = XmlWriter::new();
    xcpd_location::write_request(&mut query, &requested);
    let query = responder.mpi().recordable(&query.finish());
    let found = responder.locate(context, &asked.0, &query).await;
    let places = found.map_err(|e| super::pipeline::unrecorded(e, &context.request_id))?;
    // The answer has no way to say so: its schema wants a place.
    let places = places.ok_or_else(|| {
        Fault::sender("RequestedPatientId is no patient of this community (ITI TF-2 3.56.4.1.2)")
    })?;
    let locations: Vec<Location> = places
        .into_iter()
        .map(|place| Location {
            home: place.home,
            corresponding: Ii::with(place.patient.authority.to_string(), place.patient.id.to_string()),
            requested: requested.clone(),
        })
        .collect();
    let action = context.transaction.row().response_action;
    let capacity = 512 + 512 * locations.len();
    let envelope = write_answer(action, message_id, context.elsewhere.as_deref(), capacity, |w| {
        xcpd_location::write(w, &locations);
    });
    Ok(Reply { body: Body::Envelope(envelope), audited: Audited::Apart, outcome: Outcome::Success })
}
