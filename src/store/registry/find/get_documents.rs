//! GetDocuments. ITI TF-2 3.18.4.1.2.3.7.5.

use super::FindError;
use super::reading::{Hit, Reading};
use super::statement::{Roots, Statement};
use crate::model::ebrim::ObjectKind;

/// Of any status and type. A uniqueId or logicalID may select several entries.
pub(super) async fn run(reading: &mut Reading<'_, '_>, ids: &Roots) -> Result<Vec<Hit>, FindError> {
    let mut s = Statement::default();
    match ids {
        Roots::UniqueId(ids) => {
            reading.select(&mut s, ObjectKind::DocumentEntry);
            s.bind_texts("d.unique_id IN ", ids);
        }
        Roots::LogicalId(ids) => {
            reading.select(&mut s, ObjectKind::DocumentEntry);
            s.bind_texts("d.lid IN ", ids);
        }
        Roots::Uuid(_) => {
            let roots = s.roots(Some(ObjectKind::DocumentEntry), ids);
            reading.select_among(&mut s, ObjectKind::DocumentEntry, &roots);
        }
    }
    s.push(reading.view.entries());
    reading.hits(ObjectKind::DocumentEntry, s).await
}
