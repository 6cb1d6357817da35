//! ITI-83 `$ihe-pix`: the ids of a patient in other domains. ITI PIXm 3.83.

use serde_json::Value;

use super::answer::{Answer, Denied, refused};
use super::{FhirFace, wrong};
use crate::model::identity::PixQuery;
use crate::service::context::Context;
use crate::wire::fhir::{self, PixFound};

pub async fn by_query(face: &FhirFace, context: &Context, query: &str) -> Result<Answer, Denied> {
    let pairs = fhir::pairs(query).map_err(|issue| wrong(vec![issue]))?;
    answer(face, context, fhir::read_pix_query(&pairs).map_err(wrong)?).await
}

pub async fn by_resource(face: &FhirFace, context: &Context, resource: &Value) -> Result<Answer, Denied> {
    answer(face, context, fhir::read_pix(resource).map_err(wrong)?).await
}

async fn answer(face: &FhirFace, context: &Context, query: PixQuery) -> Result<Answer, Denied> {
    match face.mpi.pix(context, query).await {
        Ok(found) => {
            let network = &face.mpi.domains().network().oid;
            // Our Patients bear the network's ids.
            let patients: Vec<String> =
                found.ids.iter().filter(|id| id.domain == *network).map(|id| id.value.clone()).collect();
            Ok(Answer::of(context, fhir::write_pix(&PixFound { ids: &found.ids, patients: &patients })))
        }
        Err(refusal) => Ok(refused(context, refusal)),
    }
}
