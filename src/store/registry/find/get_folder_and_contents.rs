//! GetFolderAndContents. ITI TF-2 3.18.4.1.2.3.7.11.

use super::contents::{has_member, members};
use super::find_documents::content_filter;
use super::reading::{Hit, Reading, ids};
use super::statement::Roots;
use super::{FindError, get_folders};
use crate::model::ebrim::ObjectKind;
use crate::model::query::ContentFilter;

/// The Folder; its entries, filtered; and the HasMember associations to those.
pub(super) async fn run(
    reading: &mut Reading<'_, '_>,
    id: &Roots,
    filter: &ContentFilter,
) -> Result<Vec<Hit>, FindError> {
    let mut hits = get_folders::run(reading, id).await?;
    if hits.is_empty() {
        return Ok(hits);
    }
    let mut s = reading.select(ObjectKind::DocumentEntry);
    let roots = s.roots(Some(ObjectKind::Folder), id);
    s.push("(d.patient_key, d.id) IN ");
    s.push(&members(&roots, ObjectKind::DocumentEntry));
    content_filter(&mut s, filter);
    hits.extend(reading.hits(ObjectKind::DocumentEntry, s).await?);

    let shown = ids(&hits);
    let mut s = reading.select_links();
    let roots = s.roots(Some(ObjectKind::Folder), id);
    s.push(&has_member(&roots, "source_id"));
    hits.extend(reading.links(s, |_, target| shown.contains(target)).await?);
    Ok(hits)
}
