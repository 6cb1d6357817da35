//! Whose the documents are: when persons are joined, the registry's objects of one become the other's, each under
//! its entryUUID and with the surviving id in it; whose they were is kept, so that an operator can take the join
//! back. All of it goes through the history ([`Change`]): the old owner's chain says that the objects left, the
//! new one's that they came.

use std::collections::HashSet;

use crate::model::ebrim::ObjectKind;
use crate::model::metadata::DocumentEntry;
use crate::store::consent::record::{self as consent, Tie};
use crate::store::db::{DbError, Tx};
use crate::store::documents;
use crate::store::patient::{self, Held};
use crate::store::registry::change::{Cause, Change};
use crate::store::registry::{owned, refs};

/// What moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moved {
    pub objects: usize,
    pub documents: usize,
}

/// Two patients, each with its id (CX), held in the order of their keys.
async fn hold(tx: &mut Tx<'_>, one: i64, other: i64) -> Result<(Held, Held), DbError> {
    let (low, high) = (one.min(other), one.max(other));
    let low = patient::hold_key(tx, low).await?.ok_or(DbError::NoRow)?;
    let high = patient::hold_key(tx, high).await?.ok_or(DbError::NoRow)?;
    Ok(if one < other { (low, high) } else { (high, low) })
}

async fn pid(tx: &mut Tx<'_>, key: i64) -> Result<String, DbError> {
    Ok(patient::merged(tx, key).await?.ok_or(DbError::NoRow)?.0)
}

/// Makes everything of one patient another's, and the id subsumed: submissions for it are refused, queries for it
/// find nothing (patient-identity, 5).
pub(super) async fn merge(
    tx: &mut Tx<'_>,
    from: i64,
    into: i64,
    now: i64,
    cause: &Cause,
) -> Result<Moved, DbError> {
    let (leaving, staying) = hold(tx, from, into).await?;
    let (from_pid, into_pid) = (pid(tx, from).await?, pid(tx, into).await?);
    let mut gone = Change::begin(tx, leaving, now).await?;
    let mut come = Change::begin(tx, staying, now).await?;
    let mut moved = Moved::default();
    // Before the entries leave, for they tell which documents are whose.
    for unique_id in documents::of_patient(tx, from, &from_pid).await? {
        come.take_document(tx, &mut gone, &unique_id, &into_pid).await?;
        moved.documents += 1;
    }
    for (of, id) in owned::all(tx, from).await? {
        moved.objects += usize::from(come.take_over(tx, &mut gone, of, &id, &into_pid, false).await?);
    }
    let at = gone.at().max(come.at());
    gone.finish(tx, cause).await?;
    come.finish(tx, cause).await?;
    patient::set_merged(tx, from, Some(into), at).await?;
    // Nothing is permitted that either does not permit, until the office has confirmed (security.md 4.1).
    consent::tie(tx, into, from, Tie::Joined, at).await?;
    Ok(moved)
}

/// Takes a merge back: what was `patient`'s, or of those merged into it before, leaves whoever has it now.
pub(super) async fn unmerge(
    tx: &mut Tx<'_>,
    patient: i64,
    now: i64,
    cause: &Cause,
) -> Result<Moved, DbError> {
    let Some((own_pid, Some(into))) = patient::merged(tx, patient).await? else {
        return Ok(Moved::default());
    };
    // The survivor may have been merged away itself.
    let holder = patient::survivor(tx, into).await?;
    let mut family = vec![patient];
    let mut at = 0;
    while let Some(member) = family.get(at).copied() {
        family.extend(patient::subsumed_by(tx, member).await?);
        at += 1;
        if at > patient::MOST_MERGES {
            break;
        }
    }
    let (staying, leaving) = hold(tx, patient, holder).await?;
    let holder_pid = pid(tx, holder).await?;
    let mut gone = Change::begin(tx, leaving, now).await?;
    let mut come = Change::begin(tx, staying, now).await?;
    let mut moved = Moved::default();
    for member in &family {
        let origin = pid(tx, *member).await?;
        for unique_id in documents::first_of(tx, &origin, &holder_pid).await? {
            come.take_document(tx, &mut gone, &unique_id, &own_pid).await?;
            moved.documents += 1;
        }
        for (of, id) in owned::first_of(tx, *member, holder).await? {
            let keep = of == ObjectKind::Association && reaches(tx, holder, &id).await?;
            moved.objects += usize::from(come.take_over(tx, &mut gone, of, &id, &own_pid, keep).await?);
        }
    }
    // Memberships by reference stood beside what they name.
    for id in owned::by_reference(tx, holder, patient).await? {
        let keep = reaches(tx, holder, &id).await?;
        come.take_over(tx, &mut gone, ObjectKind::Association, &id, &own_pid, keep).await?;
    }
    gone.finish(tx, cause).await?;
    come.finish(tx, cause).await?;
    patient::set_merged(tx, patient, None, 0).await?;
    consent::untie(tx, patient).await?;
    Ok(moved)
}

/// Whether an association's target is one of the patient's own objects.
async fn reaches(tx: &mut Tx<'_>, patient: i64, association: &str) -> Result<bool, DbError> {
    let Some(target) = owned::target(tx, patient, association).await? else { return Ok(false) };
    Ok(refs::object(tx, &target).await?.is_some_and(|known| known.patient_key == patient))
}

/// Moves what was published under an identity that leaves its person: the entries with its id as
/// sourcePatientId, the SubmissionSets and Folders that hold nothing else, and what joins them.
pub(super) async fn follow(
    tx: &mut Tx<'_>,
    source_patient_id: &str,
    from: i64,
    into: i64,
    now: i64,
    cause: &Cause,
) -> Result<Moved, DbError> {
    let mut leaving: HashSet<String> = HashSet::new();
    let mut entries = vec![];
    for (id, body) in owned::bodies(tx, ObjectKind::DocumentEntry, from).await? {
        let entry: DocumentEntry = read(&body)?;
        if entry.source_patient_id.as_deref() == Some(source_patient_id) {
            leaving.insert(id.clone());
            entries.push((id, entry.unique_id));
        }
    }
    if entries.is_empty() {
        return Ok(Moved::default());
    }
    let associations = owned::associations(tx, from).await?;
    let mut objects: Vec<(ObjectKind, String)> =
        entries.iter().map(|(id, _)| (ObjectKind::DocumentEntry, id.clone())).collect();
    let mut holders: Vec<(ObjectKind, String)> = vec![];
    for (id, _) in owned::bodies(tx, ObjectKind::SubmissionSet, from).await? {
        holders.push((ObjectKind::SubmissionSet, id));
    }
    for (id, _) in owned::bodies(tx, ObjectKind::Folder, from).await? {
        holders.push((ObjectKind::Folder, id));
    }
    // Folders before the sets that hold them.
    holders.sort_by_key(|(of, _)| *of == ObjectKind::SubmissionSet);
    let is_association: HashSet<&str> = associations.iter().map(|a| a.id.as_str()).collect();
    for (of, id) in holders {
        let members: Vec<&str> = associations
            .iter()
            .filter(|a| a.is_member && a.source == id && !is_association.contains(a.target.as_str()))
            .map(|a| a.target.as_str())
            .collect();
        if !members.is_empty() && members.iter().all(|m| leaving.contains(*m)) {
            leaving.insert(id.clone());
            objects.push((of, id));
        }
    }
    // What joins what leaves, and what sets hold of that.
    for _ in 0..2 {
        for a in &associations {
            if leaving.contains(&a.source) && leaving.contains(&a.target) && leaving.insert(a.id.clone()) {
                objects.push((ObjectKind::Association, a.id.clone()));
            }
        }
    }
    let (old, new) = hold(tx, from, into).await?;
    let (from_pid, into_pid) = (pid(tx, from).await?, pid(tx, into).await?);
    let mut gone = Change::begin(tx, old, now).await?;
    let mut come = Change::begin(tx, new, now).await?;
    let mut moved = Moved::default();
    let here = documents::of_patient(tx, from, &from_pid).await?;
    for (_, unique_id) in &entries {
        if here.contains(unique_id) {
            come.take_document(tx, &mut gone, unique_id, &into_pid).await?;
            moved.documents += 1;
        }
    }
    for (of, id) in objects {
        moved.objects += usize::from(come.take_over(tx, &mut gone, of, &id, &into_pid, false).await?);
    }
    gone.finish(tx, cause).await?;
    come.finish(tx, cause).await?;
    // What the patient kept back is kept back wherever the documents went.
    consent::tie(tx, into, from, Tie::Parted, now).await?;
    Ok(moved)
}

fn read<T: serde::de::DeserializeOwned>(body: &str) -> Result<T, DbError> {
    serde_json::from_str(body).map_err(|e| DbError::Decode { column: 0, message: e.to_string() })
}
