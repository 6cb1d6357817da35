//! What clients do while death waits: a row for each kind of request.

use chiren::model::metadata::{AssociationType, AvailabilityStatus, DocumentEntry, Submission};
use chiren::model::transaction::{Packaging, Transaction};
use chiren::synthetic::SplitMix64;
use chiren::wire::ebxml::{remove, remove_documents};
use chiren::wire::xml::XmlWriter;
use sha1::Digest as _;

use super::model::{Deed, Desk, Octets, State};
use crate::support::raw::post;
use crate::support::samples::{REPOSITORY, of_patient, submission, text};
use crate::support::soap::{
    SIMPLE, documents, envelope, include, mtom, provide_and_register, submit_objects, update_objects,
};
use crate::support::updates::{next_entry, propagation, status_of, update};

/// One kind of request.
pub struct Act {
    pub name: &'static str,
    /// Of the sum of all weights, how often.
    weight: u64,
    /// `None` where nothing of this kind can be done now.
    prepare: fn(&Desk, &mut SplitMix64) -> Option<Deed>,
}

/// A further transaction is a row here and a function below; what it leaves is told by [`Deed::after`].
pub const ACTS: &[Act] = &[
    Act { name: "ITI-41 a document", weight: 8, prepare: |d, r| Some(publish(d, r, true, None)) },
    Act { name: "ITI-42 an entry", weight: 6, prepare: |d, r| Some(publish(d, r, false, None)) },
    Act { name: "ITI-41 replaces", weight: 3, prepare: |d, r| replace(d, r, true) },
    Act { name: "ITI-42 replaces", weight: 3, prepare: |d, r| replace(d, r, false) },
    Act { name: "ITI-57 a version", weight: 8, prepare: revise },
    Act { name: "ITI-57 a status", weight: 4, prepare: change_status },
    Act { name: "ITI-62", weight: 3, prepare: withdraw },
    Act { name: "ITI-86", weight: 2, prepare: discard },
];

/// Something this client can do now.
pub fn next(desk: &Desk, random: &mut SplitMix64) -> Deed {
    loop {
        let mut n = random.below(ACTS.iter().map(|a| a.weight).sum());
        for act in ACTS {
            if n < act.weight {
                if let Some(deed) = (act.prepare)(desk, random) {
                    return deed;
                }
                break;
            }
            n -= act.weight;
        }
    }
}

fn urn(random: &mut SplitMix64) -> String {
    format!("urn:uuid:{}", random.uuid())
}

/// A new lineage, alone or in the place of another.
fn publish(desk: &Desk, random: &mut SplitMix64, provided: bool, replaces: Option<usize>) -> Deed {
    let mut s = of_patient(submission(), &desk.patient);
    // Long enough that no two are the same: those would share one object.
    let octets = Octets { seed: random.next_u64(), size: 16 + random.skewed(100_000) as usize };
    let bytes = octets.bytes();
    let entry = &mut s.document_entries[0];
    entry.hash = Some(sha1::Sha1::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect());
    entry.size = Some(octets.size.to_string());
    entry.title = text("初版");
    let set = s.submission_set.unique_id.clone();
    let old = replaces.and_then(|n| desk.lineages[n].as_ref().map(|state| (n, state.clone())));
    if let Some((_, old)) = &old {
        let replaces = AssociationType::Replace;
        let target = &old.entry.entry_uuid;
        s.associations.push(chiren::model::metadata::Association::new(
            replaces,
            "A-REL".into(),
            "DE",
            target,
        ));
    }
    let objects = name(&mut s, random);
    let entry = s.document_entries[0].clone();
    let mut after = vec![(
        desk.lineages.len(),
        Some(State {
            entry: DocumentEntry { logical_id: Some(entry.entry_uuid.clone()), version: 1, ..entry.clone() },
            approved: true,
            objects,
            related: old.is_some(),
        }),
    )];
    if let Some((n, old)) = old {
        after.push((n, Some(State { approved: false, related: true, ..old })));
    }
    if !provided {
        let request = simple(Transaction::Iti42, &submit_objects(&s));
        return Deed {
            transaction: Transaction::Iti42,
            request,
            mark: set,
            after,
            document: None,
            removes: None,
        };
    }
    s.document_entries[0].repository_unique_id = None;
    let row = Transaction::Iti41.row();
    let body = provide_and_register(&s, &include(&entry.entry_uuid, "doc@test"));
    let (content_type, message) = mtom(&envelope(row.request_action, &body), &[("doc@test", &bytes)]);
    Deed {
        transaction: Transaction::Iti41,
        request: post(row.path, &content_type, &message),
        mark: set,
        after,
        document: Some((entry.unique_id, octets)),
        removes: None,
    }
}

fn replace(desk: &Desk, random: &mut SplitMix64, provided: bool) -> Option<Deed> {
    let n = pick(desk, random, |state| state.approved)?;
    Some(publish(desk, random, provided, Some(n)))
}

/// The next version of an entry.
fn revise(desk: &Desk, random: &mut SplitMix64) -> Option<Deed> {
    let n = pick(desk, random, |state| state.approved)?;
    let old = desk.lineages[n].clone()?;
    let mut entry = old.entry.clone();
    entry.title = text(&format!("第{}版", entry.version + 1));
    entry.repository_unique_id = Some(REPOSITORY.into());
    // Relationships stay with the version they were made for: what is there is then known.
    let mut u = propagation(next_entry(update(), "DE", &entry), "DE", "no");
    u.submission.submission_set.patient_id.clone_from(&desk.patient);
    let mark = u.submission.submission_set.unique_id.clone();
    let mut objects = name(&mut u.submission, random);
    let version = entry.version + 1;
    let entry = DocumentEntry { version, ..u.submission.document_entries[0].clone() };
    objects.extend(old.objects.iter().cloned());
    let request = simple(Transaction::Iti57, &update_objects(&u));
    let after = vec![(n, Some(State { entry, objects, ..old }))];
    Some(Deed { transaction: Transaction::Iti57, request, mark, after, document: None, removes: None })
}

/// Approved becomes Deprecated, or the other way round.
fn change_status(desk: &Desk, random: &mut SplitMix64) -> Option<Deed> {
    // What was replaced stays replaced.
    let n = pick(desk, random, |state| state.approved || !state.related)?;
    let old = desk.lineages[n].clone()?;
    let (approved, deprecated) = (AvailabilityStatus::Approved, AvailabilityStatus::Deprecated);
    let (from, to) = if old.approved { (approved, deprecated) } else { (deprecated, approved) };
    let mut u = status_of(update(), &old.entry.entry_uuid, from, to);
    u.submission.submission_set.patient_id.clone_from(&desk.patient);
    let mark = u.submission.submission_set.unique_id.clone();
    let set = urn(random);
    u.submission.submission_set.entry_uuid.clone_from(&set);
    u.triggers[0].source_object.clone_from(&set);
    u.triggers[0].entry_uuid = urn(random);
    let request = simple(Transaction::Iti57, &update_objects(&u));
    let mut state = State { approved: !old.approved, ..old };
    state.objects.insert(set);
    Some(Deed {
        transaction: Transaction::Iti57,
        request,
        mark,
        after: vec![(n, Some(state))],
        document: None,
        removes: None,
    })
}

/// A lineage leaves the registry with all that came with it; its documents stay.
fn withdraw(desk: &Desk, random: &mut SplitMix64) -> Option<Deed> {
    let n = pick(desk, random, |state| !state.related)?;
    let ids: Vec<String> = desk.lineages[n].as_ref()?.objects.iter().cloned().collect();
    let mut w = XmlWriter::new();
    remove::write(&mut w, &ids);
    let request = simple(Transaction::Iti62, &w.finish());
    let mark = ids.first()?.clone();
    Some(Deed {
        transaction: Transaction::Iti62,
        request,
        mark,
        after: vec![(n, None)],
        document: None,
        removes: None,
    })
}

/// A document whose entry has left goes too.
fn discard(desk: &Desk, random: &mut SplitMix64) -> Option<Deed> {
    let loose = desk.loose();
    if loose.is_empty() {
        return None;
    }
    let id = random.pick(&loose).to_string();
    let mut w = XmlWriter::new();
    remove_documents::write(&mut w, &documents(REPOSITORY, &[&id]));
    let request = simple(Transaction::Iti86, &w.finish());
    let removes = Some(id.clone());
    Some(Deed { transaction: Transaction::Iti86, request, mark: id, after: vec![], document: None, removes })
}

fn pick(desk: &Desk, random: &mut SplitMix64, may: impl Fn(&State) -> bool) -> Option<usize> {
    let can: Vec<usize> =
        (0..desk.lineages.len()).filter(|n| desk.lineages[*n].as_ref().is_some_and(&may)).collect();
    if can.is_empty() { None } else { Some(*random.pick(&can)) }
}

/// Gives every object of a submission a UUID of ours, so that each is known again; returns them.
fn name(s: &mut Submission, random: &mut SplitMix64) -> std::collections::BTreeSet<String> {
    let (set, entry) = (urn(random), urn(random));
    let known = |id: &mut String| match id.as_str() {
        "SS" => id.clone_from(&set),
        "DE" => id.clone_from(&entry),
        _ => {}
    };
    known(&mut s.submission_set.entry_uuid);
    s.document_entries.iter_mut().for_each(|e| known(&mut e.entry_uuid));
    let mut ids: std::collections::BTreeSet<String> = [set.clone(), entry.clone()].into();
    for a in &mut s.associations {
        known(&mut a.source_object);
        known(&mut a.target_object);
        a.entry_uuid = urn(random);
        ids.insert(a.entry_uuid.clone());
    }
    ids
}

fn simple(t: Transaction, body: &str) -> Vec<u8> {
    let row = t.row();
    assert_eq!(row.packaging, Packaging::Simple);
    post(row.path, SIMPLE, envelope(row.request_action, body).as_bytes())
}
