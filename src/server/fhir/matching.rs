//! ITI-119 `$match`: who may be the patient described. ITI PDQm 3.119.

use serde_json::Value;

use super::answer::{Answer, Denied, refused};
use super::{FhirFace, search, wrong};
use crate::model::identity::Demographics;
use crate::service::context::Context;
use crate::service::mpi::{Grade, Likely};
use crate::wire::fhir::{self, Match, MatchGrade};

/// Candidates told where no `count` is said.
const COUNT: u64 = 20;

pub async fn answer(
    face: &FhirFace,
    context: &Context,
    base: &str,
    resource: &Value,
) -> Result<Answer, Denied> {
    let Match { patient, only_certain, count } = fhir::read_match(resource).map_err(wrong)?;
    let mut described = Demographics::default();
    patient.sent.over(&mut described);
    let most = count.unwrap_or(COUNT);
    // One more than asked tells whether the first is alone.
    let looked_at = if only_certain { most.max(2) } else { most };
    let mut likely = match face.mpi.likely(context, described, patient.ids, looked_at).await {
        Ok(likely) => likely,
        Err(refusal) => return Ok(refused(context, refusal)),
    };
    if only_certain && !matches!(likely.as_slice(), [Likely { grade: Grade::Certain, .. }]) {
        // With several candidates, none is told (FHIR R4 Patient-match).
        likely.clear();
    }
    let entries: Vec<fhir::Entry> = likely
        .iter()
        .map(|l| fhir::Entry { grade: Some(grade(l.grade)), ..search::entry(base, &l.patient) })
        .collect();
    let total = entries.len() as u64;
    Ok(Answer::of(context, fhir::searchset(total, &[], entries, &[])))
}

fn grade(grade: Grade) -> MatchGrade {
    match grade {
        Grade::Certain => MatchGrade::Certain,
        Grade::Probable => MatchGrade::Probable,
        Grade::Possible => MatchGrade::Possible,
        Grade::CertainlyNot => MatchGrade::CertainlyNot,
    }
}
