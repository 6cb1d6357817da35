//! GetDocuments. ITI TF-2 3.18.4.1.2.3.7.5.

use super::FindError;
use super::reading::{Hit, Reading};
use super::statement::Roots;
use crate::model::ebrim::ObjectKind;

/// Of any status and type. A uniqueId may select several entries.
pub(super) async fn run(reading: &mut Reading<'_, '_>, ids: &Roots) -> Result<Vec<Hit>, FindError> {
    let mut s = reading.select(ObjectKind::DocumentEntry);
    match ids {
        Roots::UniqueId(ids) => s.bind_texts("d.unique_id IN ", ids),
        Roots::Uuid(_) => {
            let roots = s.roots(Some(ObjectKind::DocumentEntry), ids);
            s.push("(d.patient_key, d.id) IN ");
            s.push(&roots);
        }
    }
    reading.hits(ObjectKind::DocumentEntry, s).await
}
