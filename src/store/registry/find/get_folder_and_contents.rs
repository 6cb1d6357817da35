//! GetFolderAndContents. ITI TF-2 3.18.4.1.2.3.7.11.

use super::contents::{End, has_member, members};
use super::find_documents::content_filter;
use super::reading::{Hit, Reading, ids};
use super::statement::{Roots, Statement};
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
    let mut s = Statement::default();
    let roots = s.roots(Some(ObjectKind::Folder), id);
    let members = members(&roots, ObjectKind::DocumentEntry, reading.view);
    reading.select_among(&mut s, ObjectKind::DocumentEntry, &members);
    content_filter(&mut s, filter, reading.view);
    hits.extend(reading.hits(ObjectKind::DocumentEntry, s).await?);

    let shown = ids(&hits);
    let mut s = Statement::default();
    let roots = s.roots(Some(ObjectKind::Folder), id);
    reading.select_links(&mut s, &has_member(&roots, End::Source));
    hits.extend(reading.links(s, |_, target| shown.contains(target)).await?);
    Ok(hits)
}
