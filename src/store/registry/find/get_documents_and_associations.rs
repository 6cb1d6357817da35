//! GetDocumentsAndAssociations: entries, and all associations with one of them at either end.
//! ITI TF-2 3.18.4.1.2.3.7.8.

use super::contents::touching;
use super::reading::{Hit, Reading};
use super::statement::{Roots, Statement};
use super::{FindError, get_documents};
use crate::model::ebrim::ObjectKind;

pub(super) async fn run(reading: &mut Reading<'_, '_>, ids: &Roots) -> Result<Vec<Hit>, FindError> {
    let mut hits = get_documents::run(reading, ids).await?;
    if hits.is_empty() {
        return Ok(hits);
    }
    let mut s = Statement::default();
    let roots = s.roots(Some(ObjectKind::DocumentEntry), ids);
    reading.select_among(&mut s, ObjectKind::Association, &touching(&roots));
    s.push(&reading.view.associations("a"));
    hits.extend(reading.hits(ObjectKind::Association, s).await?);
    Ok(hits)
}
