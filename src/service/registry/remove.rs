//! Remove Metadata (ITI-62): objects leave the registry together, or not at all; what is left must hang
//! together. ITI RMD 3.62.4.1.3.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::model::audit::Outcome;
use crate::model::ebrim::ObjectKind;
use crate::model::error::{Error, ErrorCode, RegistryError};
use crate::model::metadata::{AssociationType, EntryType, MetadataObject};
use crate::service::context::{Context, Subject};
use crate::service::database;
use crate::service::registry::changes::{Changes, HeldPatients, ROUNDS};
use crate::service::registry::register::{Stop, swept};
use crate::service::registry::{Registry, Settings};
use crate::service::traces::Traces;
use crate::store::db::{DbError, Tx};
use crate::store::patient;
use crate::store::registry::change::Cause;
use crate::store::registry::versions::{self, Lineage, Neighbour, Stored};
use crate::store::registry::{State, refs};

const CLAUSE: &str = "ITI RMD 3.62.4.1.3";

impl Registry {
    /// Removes the objects with these entryUUIDs; the audit record commits with it.
    pub async fn remove(&self, context: &Context, ids: Vec<String>) -> Result<(), Error> {
        let request = Arc::new(Request {
            cause: context.cause(None).map_err(database)?,
            context: context.clone(),
            ids,
            settings: self.settings.clone(),
        });
        let mut attempts = 0;
        let done = loop {
            let request = request.clone();
            let done = self
                .db
                .write(move |tx| {
                    let request = request.clone();
                    Box::pin(async move { remove(tx, &request).await })
                })
                .await;
            attempts += 1;
            match done {
                Err(Stop::Database(DbError::Conflict)) if attempts < 3 => {}
                done => break done,
            }
        };
        done.map_err(|stop| match stop {
            Stop::Rejected(errors) => Error::Rejected(errors),
            Stop::Condemned => swept(),
            Stop::Database(e) => database(e),
        })
    }
}

struct Request {
    context: Context,
    cause: Cause,
    ids: Vec<String>,
    settings: Arc<Settings>,
}

/// What the registry knows about the objects to be removed and their surroundings.
#[derive(Debug, Default)]
struct Facts {
    unknown: Vec<String>,
    objects: BTreeMap<String, Stored>,
    /// Associations of these objects, and of what associations among them leave behind.
    around: HashMap<String, Vec<Neighbour>>,
    /// The kept ends of associations that go.
    left: BTreeMap<String, ObjectKind>,
    /// All versions of what is removed of a logical object, by logicalID, latest first.
    lineages: BTreeMap<String, Vec<Lineage>>,
    /// The patients each association is kept under.
    keepers: HashMap<String, Vec<i64>>,
    patients: BTreeSet<i64>,
}

async fn remove(tx: &mut Tx<'_>, request: &Request) -> Result<(), Stop> {
    let (facts, held) = gather(tx, &request.ids).await?;
    let problems = judge(&facts);
    if !problems.is_empty() {
        return Err(Stop::Rejected(problems));
    }
    let mut changes = Changes::new(held, (request.settings.now)());
    let (associations, others): (Vec<_>, Vec<_>) =
        facts.objects.values().partition(|o| o.kind == ObjectKind::Association);
    for o in associations {
        for key in facts.keepers.get(o.id()).into_iter().flatten() {
            changes.of(tx, *key).await?.remove(tx, o.kind, o.id()).await?;
        }
    }
    for o in others {
        changes.of(tx, o.patient_key).await?.remove(tx, o.kind, o.id()).await?;
    }
    for (kind, heir) in heirs(&facts) {
        changes.of(tx, heir.patient_key).await?.set_status(tx, kind, &heir.id, State::Deprecated).await?;
    }
    changes.finish(tx, &request.cause).await?;
    let event = request.context.audit(Outcome::Success, subject(&facts, &request.ids));
    Traces::of(&request.context, vec![event], &[])?.leave(tx).await?;
    Ok(())
}

/// Holds every patient the decision rests on, in the order of their keys, and reads the facts.
async fn gather(tx: &mut Tx<'_>, ids: &[String]) -> Result<(Facts, HeldPatients), DbError> {
    let mut held = HeldPatients::new();
    for _ in 0..ROUNDS {
        let facts = read(tx, ids).await?;
        let wanted: Vec<i64> = facts.patients.iter().copied().filter(|key| !held.contains_key(key)).collect();
        if wanted.is_empty() {
            return Ok((facts, held));
        }
        for key in wanted {
            held.insert(key, patient::hold_key(tx, key).await?.ok_or(DbError::NoRow)?);
        }
    }
    Err(DbError::Conflict)
}

async fn read(tx: &mut Tx<'_>, ids: &[String]) -> Result<Facts, DbError> {
    let mut facts = Facts::default();
    for id in ids {
        match versions::by_id(tx, id).await? {
            Some(stored) => drop(facts.objects.insert(id.clone(), stored)),
            None => facts.unknown.push(id.clone()),
        }
    }
    let mut ends = BTreeMap::new();
    for stored in facts.objects.values() {
        let id = stored.id();
        facts.around.insert(id.to_owned(), versions::around(tx, stored.patient_key, id).await?);
        match &stored.object {
            MetadataObject::Association(a) => {
                facts.keepers.insert(id.to_owned(), refs::keepers(tx, id).await?);
                for end in [&a.source_object, &a.target_object] {
                    if !facts.objects.contains_key(end)
                        && let Some(known) = refs::object(tx, end).await?
                    {
                        ends.insert(end.clone(), known);
                    }
                }
            }
            MetadataObject::DocumentEntry(_) | MetadataObject::Folder(_) => {
                let lid = stored.logical_id();
                if !facts.lineages.contains_key(lid) {
                    facts.lineages.insert(lid.to_owned(), versions::lineage(tx, stored.kind, lid).await?);
                }
            }
            MetadataObject::SubmissionSet(_) => {}
        }
    }
    for (end, known) in &ends {
        facts.around.insert(end.clone(), versions::around(tx, known.patient_key, end).await?);
        facts.left.insert(end.clone(), known.kind);
    }
    facts.patients = facts.objects.values().map(|o| o.patient_key).collect();
    facts.patients.extend(ends.values().map(|known| known.patient_key));
    facts.patients.extend(facts.keepers.values().flatten());
    facts.patients.extend(facts.lineages.values().flatten().map(|v| v.patient_key));
    Ok(facts)
}

/// Judges the end state (3.62.4.1.3): nothing that stays may refer to what goes, and nothing may stay
/// outside every SubmissionSet.
fn judge(facts: &Facts) -> Vec<RegistryError> {
    let mut problems = vec![];
    let mut problem = |code, id: &str, message: String| {
        problems.push(RegistryError::new(code, format!("'{id}' {message} ({CLAUSE})")).at(id));
    };
    for id in &facts.unknown {
        let message = "is no object of this registry".to_owned();
        problem(ErrorCode::UnresolvedReferenceException, id, message);
    }
    let goes = |id: &str| facts.objects.contains_key(id);
    let around = |id: &str| facts.around.get(id).into_iter().flatten();
    for (id, stored) in &facts.objects {
        let association = around(id).map(|n| n.association.entry_uuid.as_str()).find(|a| !goes(a));
        // A logicalID is the entryUUID of the first version.
        let version = facts.lineages.get(id).into_iter().flatten().map(|v| v.id.as_str()).find(|v| !goes(v));
        let kind = stored.kind.as_str();
        if let Some(by) = association {
            let message = format!("is a {kind} that association '{by}' refers to; remove that too");
            problem(ErrorCode::ReferencesExistException, id, message);
        } else if let Some(by) = version {
            let message =
                format!("is the first version of a {kind} whose version '{by}' stays; remove that too");
            problem(ErrorCode::ReferencesExistException, id, message);
        }
    }
    for (id, kind) in &facts.left {
        let mut stays = around(id).filter(|n| !goes(&n.association.entry_uuid));
        let held = match kind {
            ObjectKind::SubmissionSet => stays.next().is_some(),
            _ => stays.any(|n| {
                n.kind == ObjectKind::SubmissionSet
                    && n.association.association_type == AssociationType::HasMember
                    && n.association.target_object == *id
            }),
        };
        if !held {
            let message = match kind {
                ObjectKind::SubmissionSet => "would be left a SubmissionSet without members".to_owned(),
                kind => format!("would be left a {} outside every SubmissionSet", kind.as_str()),
            };
            problem(ErrorCode::XDSUnreferencedObjectException, id, format!("{message}; remove it too"));
        }
    }
    problems
}

/// Of each logical object that loses its latest version, the one that becomes the latest: it stays
/// Deprecated, and can be updated again.
fn heirs(facts: &Facts) -> Vec<(ObjectKind, Lineage)> {
    let mut heirs = vec![];
    for versions in facts.lineages.values() {
        let stays = versions.iter().find(|v| !facts.objects.contains_key(&v.id));
        let kind = versions.iter().find_map(|v| facts.objects.get(&v.id)).map(|o| o.kind);
        if let (Some(v), Some(kind)) = (stays, kind)
            && v.state == State::Superseded
        {
            heirs.push((kind, v.clone()));
        }
    }
    heirs
}

fn subject(facts: &Facts, ids: &[String]) -> Subject {
    let mut patients = HashSet::new();
    let mut documents = vec![];
    let kind = |stored: &Stored| match &stored.object {
        MetadataObject::DocumentEntry(e) if e.object_type == EntryType::OnDemand => {
            "OnDemandDocumentEntry".into()
        }
        MetadataObject::Association(a) => a.association_type.urn().to_owned(),
        _ => stored.kind.as_str().to_owned(),
    };
    let kinds = facts.objects.values().map(|stored| (stored.id().to_owned(), kind(stored))).collect();
    for stored in facts.objects.values() {
        match &stored.object {
            MetadataObject::DocumentEntry(e) => {
                patients.insert(e.patient_id.clone());
                documents.push(e.unique_id.clone());
            }
            MetadataObject::SubmissionSet(s) => drop(patients.insert(s.patient_id.clone())),
            MetadataObject::Folder(f) => drop(patients.insert(f.patient_id.clone())),
            MetadataObject::Association(_) => {}
        }
    }
    let mut patients: Vec<String> = patients.into_iter().collect();
    patients.sort_unstable();
    let facts = crate::model::audit::Facts { kinds, ..Default::default() };
    Subject { patients, documents, objects: ids.to_vec(), facts, ..Subject::default() }
}
