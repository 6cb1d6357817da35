//! Sub-selects that follow associations from the objects a query names. All yield `patient_key` and
//! `id`; all follow Approved associations only.
//!
//! CROSS JOIN is SQLite's way to fix the order of a join: from the named objects (`r`) through
//! their associations (`h`) to the other end (`o`, which knows its own patient: an entry that
//! a SubmissionSet holds by reference may be another patient's, ITI TF-3 4.2.2.1.1).

use crate::model::ebrim::ObjectKind;
use crate::model::metadata::AssociationType;
use crate::store::registry::kind;

/// Associations with one of `roots` at either end, as a condition on `a`.
pub(super) fn touching(roots: &str) -> String {
    let half = |end: &str| {
        format!(
            "SELECT h.patient_key, h.id FROM {roots} r CROSS JOIN association h \
             WHERE h.patient_key = r.patient_key AND h.{end} = r.id"
        )
    };
    format!("(a.patient_key, a.id) IN ({} UNION {})", half("source_id"), half("target_id"))
}

/// What `roots` have as members, of one kind.
pub(super) fn members(roots: &str, of: ObjectKind) -> String {
    format!(
        "(SELECT o.patient_key, o.id FROM {roots} r CROSS JOIN association h CROSS JOIN object_id o \
         WHERE h.patient_key = r.patient_key AND h.source_id = r.id AND h.assoc_type = '{}' \
         AND h.status = 1 AND o.id = h.target_id AND o.kind = {})",
        AssociationType::HasMember.urn(),
        kind::of(of)
    )
}

/// What `roots` are members of, of one kind.
pub(super) fn holders(roots: &str, of: ObjectKind) -> String {
    format!(
        "(SELECT o.patient_key, o.id FROM {roots} r CROSS JOIN association h CROSS JOIN object_id o \
         WHERE h.patient_key = r.patient_key AND h.target_id = r.id AND h.assoc_type = '{}' \
         AND h.status = 1 AND o.id = h.source_id AND o.kind = {})",
        AssociationType::HasMember.urn(),
        kind::of(of)
    )
}

/// HasMember associations out of (`source_id`) or into (`target_id`) `roots`, as a condition on `a`.
pub(super) fn has_member(roots: &str, end: &str) -> String {
    format!(
        "(a.patient_key, a.id) IN (SELECT h.patient_key, h.id FROM {roots} r CROSS JOIN association h \
         WHERE h.patient_key = r.patient_key AND h.{end} = r.id AND h.assoc_type = '{}')",
        AssociationType::HasMember.urn()
    )
}
