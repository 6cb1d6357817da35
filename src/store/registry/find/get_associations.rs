//! GetAssociations: those with a named object at either end. ITI TF-2 3.18.4.1.2.3.7.7.

use super::FindError;
use super::contents::touching;
use super::reading::{Hit, Reading};
use super::statement::{Roots, Statement};
use crate::model::ebrim::ObjectKind;

pub(super) async fn run(reading: &mut Reading<'_, '_>, uuids: &[String]) -> Result<Vec<Hit>, FindError> {
    let ids = Roots::uuids(uuids);
    let mut s = Statement::default();
    let roots = s.roots(None, &ids);
    reading.select_among(&mut s, ObjectKind::Association, &touching(&roots));
    s.push(&reading.view.associations("a"));
    reading.hits(ObjectKind::Association, s).await
}
