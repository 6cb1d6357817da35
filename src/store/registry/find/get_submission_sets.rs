//! GetSubmissionSets: the SubmissionSets that hold the named objects, and the HasMember
//! associations that say so. ITI TF-2 3.18.4.1.2.3.7.9.

use super::FindError;
use super::contents::{End, has_member, holders};
use super::reading::{Hit, Reading, ids};
use super::statement::{Roots, Statement};
use crate::model::ebrim::ObjectKind;

pub(super) async fn run(reading: &mut Reading<'_, '_>, uuids: &[String]) -> Result<Vec<Hit>, FindError> {
    let named = Roots::uuids(uuids);
    let mut s = Statement::default();
    let roots = s.roots(None, &named);
    let holders = holders(&roots, ObjectKind::SubmissionSet, reading.view);
    reading.select_among(&mut s, ObjectKind::SubmissionSet, &holders);
    let mut hits = reading.hits(ObjectKind::SubmissionSet, s).await?;
    if hits.is_empty() {
        return Ok(hits);
    }
    let sets = ids(&hits);
    let mut s = Statement::default();
    let roots = s.roots(None, &named);
    reading.select_links(&mut s, &has_member(&roots, End::Target));
    hits.extend(reading.links(s, |source, _| sets.contains(source)).await?);
    Ok(hits)
}
