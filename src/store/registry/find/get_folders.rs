//! GetFolders. ITI TF-2 3.18.4.1.2.3.7.6.

use super::FindError;
use super::reading::{Hit, Reading};
use super::statement::Roots;
use crate::model::ebrim::ObjectKind;

pub(super) async fn run(reading: &mut Reading<'_, '_>, ids: &Roots) -> Result<Vec<Hit>, FindError> {
    let mut s = reading.select(ObjectKind::Folder);
    let roots = s.roots(Some(ObjectKind::Folder), ids);
    s.push("f.status = 1 AND (f.patient_key, f.id) IN ");
    s.push(&roots);
    reading.hits(ObjectKind::Folder, s).await
}
