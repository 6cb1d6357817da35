//! GetSubmissionSetAndContents. ITI TF-2 3.18.4.1.2.3.7.10.

use super::FindError;
use super::contents::{has_member, members};
use super::find_documents::content_filter;
use super::reading::{Hit, Reading, ids};
use super::statement::Roots;
use crate::model::ebrim::ObjectKind;
use crate::model::query::ContentFilter;

/// The set; its entries, filtered; its Folders; and associations with both ends in the answer. An
/// association is itself an end where the set holds it (SS-HM), hence two rounds.
pub(super) async fn run(
    reading: &mut Reading<'_, '_>,
    id: &Roots,
    filter: &ContentFilter,
) -> Result<Vec<Hit>, FindError> {
    let mut s = reading.select(ObjectKind::SubmissionSet);
    let roots = s.roots(Some(ObjectKind::SubmissionSet), id);
    s.push("(s.patient_key, s.id) IN ");
    s.push(&roots);
    let mut hits = reading.hits(ObjectKind::SubmissionSet, s).await?;
    if hits.is_empty() {
        return Ok(hits);
    }

    let mut s = reading.select(ObjectKind::DocumentEntry);
    let roots = s.roots(Some(ObjectKind::SubmissionSet), id);
    s.push("(d.patient_key, d.id) IN ");
    s.push(&members(&roots, ObjectKind::DocumentEntry));
    content_filter(&mut s, filter);
    hits.extend(reading.hits(ObjectKind::DocumentEntry, s).await?);

    let mut s = reading.select(ObjectKind::Folder);
    let roots = s.roots(Some(ObjectKind::SubmissionSet), id);
    s.push("f.status = 1 AND (f.patient_key, f.id) IN ");
    s.push(&members(&roots, ObjectKind::Folder));
    hits.extend(reading.hits(ObjectKind::Folder, s).await?);

    let mut shown = ids(&hits);
    let mut s = reading.select_links();
    let roots = s.roots(Some(ObjectKind::SubmissionSet), id);
    s.push("((a.patient_key, a.id) IN ");
    s.push(&members(&roots, ObjectKind::Association));
    s.push(" OR ");
    s.push(&has_member(&members(&roots, ObjectKind::Folder), "source_id"));
    s.push(")");
    let inner = reading.links(s, |source, target| shown.contains(source) && shown.contains(target)).await?;
    shown.extend(ids(&inner));

    let mut s = reading.select_links();
    let roots = s.roots(Some(ObjectKind::SubmissionSet), id);
    s.push(&has_member(&roots, "source_id"));
    hits.extend(reading.links(s, |_, target| shown.contains(target)).await?);
    hits.extend(inner);
    Ok(hits)
}
