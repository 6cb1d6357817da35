//! GetFolders. ITI TF-2 3.18.4.1.2.3.7.6.

use super::FindError;
use super::reading::{Hit, Reading};
use super::statement::{Roots, Statement};
use crate::model::ebrim::ObjectKind;

pub(super) async fn run(reading: &mut Reading<'_, '_>, ids: &Roots) -> Result<Vec<Hit>, FindError> {
    let mut s = Statement::default();
    let roots = s.roots(Some(ObjectKind::Folder), ids);
    reading.select_among(&mut s, ObjectKind::Folder, &roots);
    s.push(reading.view.folders());
    reading.hits(ObjectKind::Folder, s).await
}
