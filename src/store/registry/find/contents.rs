//! Sub-selects that follow associations from the objects a query names. All yield `patient_key` and
//! `id`, each pair once; members and holders are those by associations that the query shows.
//!
//! CROSS JOIN is SQLite's way to fix the order of a join: from the named objects (`r`) through
//! their associations (`h`) to the other end (`o`, which knows its own patient: an entry that
//! a SubmissionSet holds by reference may be another patient's, ITI TF-3 4.2.2.1.1).

use crate::model::ebrim::ObjectKind;
use crate::model::metadata::AssociationType;
use crate::model::query::View;
use crate::store::registry::kind;

/// One end of an association.
#[derive(Clone, Copy)]
pub(super) enum End {
    Source,
    Target,
}

impl End {
    pub fn column(self) -> &'static str {
        match self {
            End::Source => "source_id",
            End::Target => "target_id",
        }
    }

    fn other(self) -> End {
        match self {
            End::Source => End::Target,
            End::Target => End::Source,
        }
    }
}

/// Associations with one of `roots` at either end.
pub(super) fn touching(roots: &str) -> String {
    let half = |end: End| {
        format!(
            "SELECT h.patient_key, h.id FROM {roots} r CROSS JOIN association h \
             WHERE h.patient_key = r.patient_key AND h.{} = r.id",
            end.column()
        )
    };
    format!("({} UNION {})", half(End::Source), half(End::Target))
}

/// What `roots` have as members, of one kind.
pub(super) fn members(roots: &str, of: ObjectKind, view: View) -> String {
    across(roots, End::Source, of, view)
}

/// What `roots` are members of, of one kind.
pub(super) fn holders(roots: &str, of: ObjectKind, view: View) -> String {
    across(roots, End::Target, of, view)
}

/// From `roots` at one end of HasMember associations to the objects at the other.
fn across(roots: &str, near: End, of: ObjectKind, view: View) -> String {
    format!(
        "(SELECT DISTINCT o.patient_key, o.id FROM {roots} r CROSS JOIN association h CROSS JOIN object_id o \
         WHERE h.patient_key = r.patient_key AND h.{} = r.id AND h.assoc_type = '{}' \
        {} AND o.id = h.{} AND o.kind = {})",
        near.column(),
        AssociationType::HasMember.urn(),
        view.associations("h"),
        near.other().column(),
        kind::of(of)
    )
}

/// HasMember associations with one of `roots` at one end.
pub(super) fn has_member(roots: &str, end: End) -> String {
    format!(
        "(SELECT h.patient_key, h.id FROM {roots} r CROSS JOIN association h \
         WHERE h.patient_key = r.patient_key AND h.{} = r.id AND h.assoc_type = '{}')",
        end.column(),
        AssociationType::HasMember.urn()
    )
}
