//! GetSubmissionSetAndContents. ITI TF-2 3.18.4.1.2.3.7.10.

use super::FindError;
use super::contents::{End, has_member, members};
use super::find_documents::content_filter;
use super::reading::{Hit, Reading, ids};
use super::statement::{Roots, Statement};
use crate::model::ebrim::ObjectKind;
use crate::model::query::ContentFilter;

/// The set; its entries, filtered; its Folders; and associations with both ends in the answer. An
/// association is itself an end where the set holds it (SS-HM), hence two rounds.
pub(super) async fn run(
    reading: &mut Reading<'_, '_>,
    id: &Roots,
    filter: &ContentFilter,
) -> Result<Vec<Hit>, FindError> {
    let mut s = Statement::default();
    let roots = s.roots(Some(ObjectKind::SubmissionSet), id);
    reading.select_among(&mut s, ObjectKind::SubmissionSet, &roots);
    let mut hits = reading.hits(ObjectKind::SubmissionSet, s).await?;
    if hits.is_empty() {
        return Ok(hits);
    }

    let mut s = Statement::default();
    let roots = s.roots(Some(ObjectKind::SubmissionSet), id);
    let view = reading.view;
    let documents = members(&roots, ObjectKind::DocumentEntry, view);
    reading.select_among(&mut s, ObjectKind::DocumentEntry, &documents);
    content_filter(&mut s, filter, view);
    hits.extend(reading.hits(ObjectKind::DocumentEntry, s).await?);

    let mut s = Statement::default();
    let roots = s.roots(Some(ObjectKind::SubmissionSet), id);
    reading.select_among(&mut s, ObjectKind::Folder, &members(&roots, ObjectKind::Folder, view));
    s.push(view.folders());
    hits.extend(reading.hits(ObjectKind::Folder, s).await?);

    let mut shown = ids(&hits);
    let mut s = Statement::default();
    let roots = s.roots(Some(ObjectKind::SubmissionSet), id);
    let held = members(&roots, ObjectKind::Association, view);
    let foldered = has_member(&members(&roots, ObjectKind::Folder, view), End::Source);
    reading.select_links(
        &mut s,
        &format!(
            "(SELECT m.patient_key, m.id FROM {held} m UNION SELECT n.patient_key, n.id FROM {foldered} n)"
        ),
    );
    let inner = reading.links(s, |source, target| shown.contains(source) && shown.contains(target)).await?;
    shown.extend(ids(&inner));

    let mut s = Statement::default();
    let roots = s.roots(Some(ObjectKind::SubmissionSet), id);
    reading.select_links(&mut s, &has_member(&roots, End::Source));
    hits.extend(reading.links(s, |_, target| shown.contains(target)).await?);
    hits.extend(inner);
    Ok(hits)
}
