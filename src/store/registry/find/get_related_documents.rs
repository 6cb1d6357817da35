//! GetRelatedDocuments. ITI TF-2 3.18.4.1.2.3.7.13.

use std::collections::HashSet;

use super::contents::End;
use super::reading::{Hit, Reading, ids};
use super::statement::{Roots, Statement};
use super::{FindError, get_documents};
use crate::model::ebrim::ObjectKind;
use crate::model::metadata::{AssociationType, EntryType};
use crate::model::query::View;

/// Associations of the given types between the named entry and others, either way, with both their
/// ends. The others are of the given entry types; the named entry is shown whatever its type, and only
/// beside a relative. (A document and its relatives are one patient's, so this stays inside one.)
pub(super) async fn run(
    reading: &mut Reading<'_, '_>,
    id: &Roots,
    types: &[AssociationType],
    others: &[EntryType],
) -> Result<Vec<Hit>, FindError> {
    let mut s = Statement::default();
    let related = following(&mut s, id, types, ["target_id", "source_id"], reading.view);
    reading.select_among(&mut s, ObjectKind::DocumentEntry, &related);
    s.push(reading.view.entries());
    reading.view.entry_types(&mut s, others, &[]);
    let others = reading.hits(ObjectKind::DocumentEntry, s).await?;
    if others.is_empty() {
        return Ok(others);
    }
    let named = get_documents::run(reading, id).await?;

    let (others_ids, named_ids) = (ids(&others), ids(&named));
    let mut ends = HashSet::new();
    let mut s = Statement::default();
    let related = following(&mut s, id, types, ["id", "id"], reading.view);
    reading.select_links(&mut s, &related);
    let links = reading
        .links(s, |source, target| {
            let kept = (named_ids.contains(source) && others_ids.contains(target))
                || (named_ids.contains(target) && others_ids.contains(source));
            if kept {
                ends.extend([source.to_owned(), target.to_owned()]);
            }
            kept
        })
        .await?;

    let mut hits: Vec<Hit> = named.into_iter().filter(|hit| ends.remove(hit.id())).collect();
    hits.extend(others.into_iter().filter(|hit| ends.remove(hit.id())));
    hits.extend(links);
    Ok(hits)
}

/// The associations of `types` out of and into the named entries: `patient_key` and one column of each,
/// the first for those that go out.
fn following<'q>(
    s: &mut Statement<'q>,
    id: &'q Roots,
    types: &[AssociationType],
    [out, into]: [&str; 2],
    view: View,
) -> String {
    let roots = s.roots(Some(ObjectKind::DocumentEntry), id);
    let types = s.apart(|s| s.bind_list("", types.iter().map(|t| t.urn().into())));
    let half = |end: End, column: &str| {
        format!(
            "SELECT h.patient_key, h.{column} AS id FROM {roots} r CROSS JOIN association h \
             WHERE h.patient_key = r.patient_key AND h.{} = r.id{} AND h.assoc_type IN {types}",
            end.column(),
            view.associations("h")
        )
    };
    format!("({} UNION {})", half(End::Source, out), half(End::Target, into))
}
