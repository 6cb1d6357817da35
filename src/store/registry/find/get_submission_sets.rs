//! GetSubmissionSets: the SubmissionSets that hold the named objects, and the HasMember
//! associations that say so. ITI TF-2 3.18.4.1.2.3.7.9.

use super::FindError;
use super::contents::{has_member, holders};
use super::reading::{Hit, Reading, ids};
use super::statement::Roots;
use crate::model::ebrim::ObjectKind;

pub(super) async fn run(reading: &mut Reading<'_, '_>, uuids: &[String]) -> Result<Vec<Hit>, FindError> {
    let named = Roots::uuids(uuids);
    let mut s = reading.select(ObjectKind::SubmissionSet);
    let roots = s.roots(None, &named);
    s.push("(s.patient_key, s.id) IN ");
    s.push(&holders(&roots, ObjectKind::SubmissionSet));
    let mut hits = reading.hits(ObjectKind::SubmissionSet, s).await?;
    if hits.is_empty() {
        return Ok(hits);
    }
    let sets = ids(&hits);
    let mut s = reading.select_links();
    let roots = s.roots(None, &named);
    s.push(&has_member(&roots, "target_id"));
    hits.extend(reading.links(s, |source, _| sets.contains(source)).await?);
    Ok(hits)
}
