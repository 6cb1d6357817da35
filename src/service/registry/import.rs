//! Submissions of another registry of ours, taken in as they are: ids, versions, statuses and times are kept,
//! and nobody's rules are applied a second time.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::audit::Outcome;
use crate::model::ebrim::ObjectKind;
use crate::model::error::{Error, ErrorCode, RegistryError};
use crate::model::metadata::{Association, Submission};
use crate::service::context::{Context, Subject};
use crate::service::database;
use crate::service::registry::Registry;
use crate::service::registry::changes::{Changes, HeldPatients};
use crate::service::registry::register::{Stop, swept};
use crate::store::audit::{self, AuditRow};
use crate::store::db::{DbError, Tx};
use crate::store::documents::{Put, StoredDocument};
use crate::store::patient;
use crate::store::registry::change::Cause;
use crate::store::registry::put::{self, AssociationRow, EntryRow, FolderRow, SetRow};
use crate::store::registry::{State, kind, refs, versions};

/// A submission as another registry kept it.
#[derive(Debug, Clone)]
pub struct Imported {
    pub transaction: String,
    /// Microseconds since 1970.
    pub registered_at: i64,
    pub submission: Submission,
    /// Documents whose bytes are in our store already.
    pub documents: Vec<StoredDocument>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    New,
    /// Its SubmissionSet is registered: an earlier import brought it.
    Before,
}

struct Rows {
    set: SetRow,
    entries: Vec<EntryRow>,
    folders: Vec<FolderRow>,
    associations: Vec<AssociationRow>,
    documents: Vec<StoredDocument>,
    registered_at: i64,
    /// CX of everybody concerned.
    patients: BTreeSet<String>,
    cause: Cause,
    audit: AuditRow,
}

impl Registry {
    /// Takes in a submission whole or not at all. What happened to its objects later is in their state, and
    /// not in their history here; that begins with the import, at the time they were registered.
    pub async fn import(&self, context: &Context, imported: Imported) -> Result<Arrival, Error> {
        let rows = Arc::new(Rows::new(context, imported).map_err(database)?);
        let done = self
            .db
            .write(move |tx| {
                let rows = rows.clone();
                Box::pin(async move { take_in(tx, &rows).await })
            })
            .await;
        done.map_err(|stop| match stop {
            Stop::Rejected(errors) => Error::Rejected(errors),
            Stop::Condemned => swept(),
            Stop::Database(e) => database(e),
        })
    }
}

impl Rows {
    fn new(context: &Context, imported: Imported) -> Result<Self, DbError> {
        let Imported { transaction, registered_at, submission, documents } = imported;
        let set_id = submission.submission_set.entry_uuid.clone();
        let mut cause = Cause::new(&transaction, &context.request_id, &context.caller)?;
        cause.submission_set = Some(set_id);
        cause.reason = Some("import".to_owned());
        let mut patients = BTreeSet::from([submission.submission_set.patient_id.clone()]);
        patients.extend(submission.document_entries.iter().map(|e| e.patient_id.clone()));
        patients.extend(submission.folders.iter().map(|f| f.patient_id.clone()));
        let subject = Subject {
            patients: patients.iter().cloned().collect(),
            submission_set: Some(submission.submission_set.unique_id.clone()),
            documents: submission.document_entries.iter().map(|d| d.unique_id.clone()).collect(),
            ..Subject::default()
        };
        let mut event = context.audit(Outcome::Success, subject);
        event.transaction = transaction;
        Ok(Self {
            set: SetRow::new(submission.submission_set)?,
            entries: submission.document_entries.into_iter().map(EntryRow::new).collect::<Result<_, _>>()?,
            folders: submission.folders.into_iter().map(FolderRow::new).collect::<Result<_, _>>()?,
            associations: submission
                .associations
                .into_iter()
                .map(AssociationRow::new)
                .collect::<Result<_, _>>()?,
            documents,
            registered_at,
            patients,
            cause,
            audit: AuditRow::new(event)?,
        })
    }
}

fn refused(code: ErrorCode, id: &str, why: &str) -> Stop {
    Stop::Rejected(vec![RegistryError::new(code, format!("'{id}' {why}")).at(id)])
}

async fn take_in(tx: &mut Tx<'_>, rows: &Rows) -> Result<Arrival, Stop> {
    let set = &rows.set.set;
    if refs::is_taken(tx, &set.entry_uuid).await? {
        return match refs::unique_id(tx, &set.unique_id).await? {
            Some(first) if first.kind == ObjectKind::SubmissionSet => Ok(Arrival::Before),
            _ => Err(refused(
                ErrorCode::XDSRegistryMetadataError,
                &set.entry_uuid,
                "is already in use in the registry",
            )),
        };
    }
    let (held, set_key) = hold(tx, rows).await?;
    let mut changes = Changes::new(held, rows.registered_at);
    claim(tx, &set.entry_uuid, kind::SUBMISSION_SET, set_key).await?;
    if !put::claim_unique_id(tx, &set.unique_id, kind::SUBMISSION_SET, set_key, &set.entry_uuid, None, None)
        .await?
    {
        let why = "is already the uniqueId of an object in the registry";
        return Err(refused(ErrorCode::XDSDuplicateUniqueIdInRegistry, &set.unique_id, why));
    }
    changes.of(tx, set_key).await?.register_set(tx, &rows.set).await?;
    for row in &rows.entries {
        let key = key_of(tx, &row.entry.patient_id).await?;
        entry(tx, &mut changes, key, row).await?;
    }
    for row in &rows.folders {
        let key = key_of(tx, &row.folder.patient_id).await?;
        folder(tx, &mut changes, key, row).await?;
    }
    associations(tx, &mut changes, rows).await?;
    for document in &rows.documents {
        if changes.of(tx, set_key).await?.store_document(tx, document).await? == Put::Condemned {
            return Err(Stop::Condemned);
        }
    }
    changes.finish(tx, &rows.cause).await?;
    audit::append(tx, &rows.audit).await?;
    Ok(Arrival::New)
}

/// Holds everybody concerned in the order of their keys, whoever is at an association's end among them; with
/// the key of the SubmissionSet's patient.
async fn hold(tx: &mut Tx<'_>, rows: &Rows) -> Result<(HeldPatients, i64), Stop> {
    let mut keys = BTreeSet::new();
    for id in &rows.patients {
        keys.insert(key_of(tx, id).await?);
    }
    for row in &rows.associations {
        for end in [&row.association.source_object, &row.association.target_object] {
            keys.extend(refs::object(tx, end).await?.map(|known| known.patient_key));
        }
    }
    let mut held = HeldPatients::new();
    for key in keys {
        held.insert(key, patient::hold_key(tx, key).await?.ok_or(DbError::NoRow)?);
    }
    Ok((held, key_of(tx, &rows.set.set.patient_id).await?))
}

async fn key_of(tx: &mut Tx<'_>, patient_id: &str) -> Result<i64, Stop> {
    let unknown = || refused(ErrorCode::XDSUnknownPatientId, patient_id, "is not known to this registry");
    patient::key(tx, patient_id).await?.ok_or_else(unknown)
}

async fn claim(tx: &mut Tx<'_>, id: &str, kind: i64, key: i64) -> Result<(), Stop> {
    match put::claim_id(tx, id, kind, key).await? {
        true => Ok(()),
        false => Err(refused(ErrorCode::XDSRegistryMetadataError, id, "is already in use in the registry")),
    }
}

async fn entry(tx: &mut Tx<'_>, changes: &mut Changes, key: i64, row: &EntryRow) -> Result<(), Stop> {
    let e = &row.entry;
    claim(tx, &e.entry_uuid, kind::DOCUMENT_ENTRY, key).await?;
    let (id, hash) = (&e.unique_id, e.hash.as_deref());
    let free = put::claim_unique_id(tx, id, kind::DOCUMENT_ENTRY, key, &e.entry_uuid, hash, row.size).await?;
    let first = refs::unique_id(tx, id).await?.filter(|_| !free);
    if let Some(first) = first {
        if first.kind != ObjectKind::DocumentEntry {
            let why = "is already the uniqueId of another kind of object in the registry";
            return Err(refused(ErrorCode::XDSRegistryMetadataError, id, why));
        }
        let other = hash.zip(first.hash.as_deref()).is_some_and(|(a, b)| !a.eq_ignore_ascii_case(b));
        if other && e.version == 1 {
            return Err(refused(ErrorCode::XDSNonIdenticalHash, id, "is registered with another hash"));
        }
    }
    let lid = e.logical_id.as_deref().unwrap_or(&e.entry_uuid);
    supersede(tx, changes, ObjectKind::DocumentEntry, lid, e.version).await?;
    changes.of(tx, key).await?.register_entry(tx, row).await?;
    if e.version > 1 {
        put::set_content(tx, id, hash, row.size).await?;
    }
    Ok(())
}

async fn folder(tx: &mut Tx<'_>, changes: &mut Changes, key: i64, row: &FolderRow) -> Result<(), Stop> {
    let f = &row.folder;
    claim(tx, &f.entry_uuid, kind::FOLDER, key).await?;
    let free = put::claim_unique_id(tx, &f.unique_id, kind::FOLDER, key, &f.entry_uuid, None, None).await?;
    let lid = f.logical_id.as_deref().unwrap_or(&f.entry_uuid);
    if !free && versions::latest(tx, ObjectKind::Folder, lid).await?.is_none() {
        let why = "is already the uniqueId of an object in the registry";
        return Err(refused(ErrorCode::XDSDuplicateUniqueIdInRegistry, &f.unique_id, why));
    }
    supersede(tx, changes, ObjectKind::Folder, lid, f.version).await?;
    changes.of(tx, key).await?.register_folder(tx, row).await?;
    Ok(())
}

/// The version before is no longer the latest, as at the registry it comes from.
async fn supersede(
    tx: &mut Tx<'_>,
    changes: &mut Changes,
    of: ObjectKind,
    lid: &str,
    version: u32,
) -> Result<(), Stop> {
    if let Some(latest) = versions::latest(tx, of, lid).await?
        && latest.version() < version
    {
        let change = changes.of(tx, latest.patient_key).await?;
        change.set_status(tx, of, latest.id(), State::Superseded).await?;
    }
    Ok(())
}

/// Each stands under the patient of its source and, where that is another, under that of its target.
async fn associations(tx: &mut Tx<'_>, changes: &mut Changes, rows: &Rows) -> Result<(), Stop> {
    // One that holds an association comes after it.
    let is_one = |id: &str| rows.associations.iter().any(|r| r.association.entry_uuid == id);
    let (last, first): (Vec<_>, Vec<_>) =
        rows.associations.iter().partition(|r| is_one(&r.association.target_object));
    for row in first.into_iter().chain(last) {
        let a: &Association = &row.association;
        let mut keys = vec![];
        for end in [&a.source_object, &a.target_object] {
            let known = refs::object(tx, end).await?.ok_or_else(|| {
                let why = format!("is an end of association '{}' and not registered", a.entry_uuid);
                refused(ErrorCode::UnresolvedReferenceException, end, &why)
            })?;
            if !keys.contains(&known.patient_key) {
                keys.push(known.patient_key);
            }
        }
        let owner = keys.first().copied().ok_or(DbError::NoRow)?;
        claim(tx, &a.entry_uuid, kind::ASSOCIATION, owner).await?;
        for key in keys {
            changes.of(tx, key).await?.register_association(tx, row).await?;
        }
    }
    Ok(())
}
