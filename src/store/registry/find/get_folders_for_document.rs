//! GetFoldersForDocument. ITI TF-2 3.18.4.1.2.3.7.12.

use super::FindError;
use super::contents::holders;
use super::reading::{Hit, Reading};
use super::statement::{Roots, Statement};
use crate::model::ebrim::ObjectKind;

pub(super) async fn run(reading: &mut Reading<'_, '_>, ids: &Roots) -> Result<Vec<Hit>, FindError> {
    let mut s = Statement::default();
    let roots = s.roots(Some(ObjectKind::DocumentEntry), ids);
    let holders = holders(&roots, ObjectKind::Folder, reading.view);
    reading.select_among(&mut s, ObjectKind::Folder, &holders);
    s.push(reading.view.folders());
    reading.hits(ObjectKind::Folder, s).await
}
