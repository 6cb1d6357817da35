//! Remove Documents (ITI-86): documents leave the repository's index, each by itself; the sweeper takes
//! their bytes once nothing else stands on them. ITI RMD 3.86.4.1.3.
//!
//! The index goes first and the bytes later, as they came in the other order: whatever moment a crash
//! chooses, no row names bytes that are gone. Who reads a document meanwhile reads it to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::audit::{Facts, Held as Kept, Outcome};
use crate::model::error::{Error, ErrorCode, RegistryError, clip};
use crate::service::context::{Context, Subject};
use crate::service::database;
use crate::service::repository::retrieve::DocumentRequest;
use crate::service::repository::{RegisterAt, Repository};
use crate::service::traces::Traces;
use crate::store::db::{DbError, Tx};
use crate::store::documents::{self, Hold, StoredDocument};
use crate::store::patient::{self, Held};
use crate::store::registry::change::{Cause, Change};

const CLAUSE: &str = "ITI RMD 3.86.4.1.3";

/// Some documents are removed; why the others were not.
#[derive(Debug)]
pub struct Removed {
    pub errors: Vec<RegistryError>,
}

struct Request {
    context: Context,
    cause: Cause,
    /// uniqueIds, each once.
    unique_ids: BTreeSet<String>,
    /// What is wrong with the rest of the message.
    refused: Vec<RegistryError>,
    /// repositoryUniqueId: ours.
    ours: String,
    /// The same, if our own registry's entries keep their documents.
    kept_by: Option<String>,
}

enum Stop {
    Rejected(Vec<RegistryError>),
    Database(DbError),
}

impl From<DbError> for Stop {
    fn from(e: DbError) -> Self {
        Stop::Database(e)
    }
}

impl Repository {
    /// Removes what can be removed; refused if that is nothing. The audit records commit with it: one of what
    /// was removed and one of what was not.
    pub async fn remove(&self, context: &Context, requests: Vec<DocumentRequest>) -> Result<Removed, Error> {
        let mut refused = vec![];
        let mut unique_ids = BTreeSet::new();
        for request in requests {
            match self.is_ours(&request, CLAUSE) {
                Ok(()) => drop(unique_ids.insert(request.document_unique_id)),
                Err(e) => refused.push(e),
            }
        }
        let registered_here = matches!(self.register_at, RegisterAt::Here(_));
        let request = Arc::new(Request {
            cause: context.cause(None).map_err(database)?,
            context: context.clone(),
            unique_ids,
            refused,
            ours: self.settings.unique_id.clone(),
            kept_by: (registered_here && !self.settings.remove_registered)
                .then(|| self.settings.unique_id.clone()),
        });
        let now = self.now.clone();
        let done = self
            .db
            .write(move |tx| {
                let (request, now) = (request.clone(), now.clone());
                Box::pin(async move { remove(tx, &request, now()).await })
            })
            .await;
        done.map_err(|stop| match stop {
            Stop::Rejected(errors) => Error::Rejected(errors),
            Stop::Database(e) => database(e),
        })
    }
}

async fn remove(tx: &mut Tx<'_>, request: &Request, now: i64) -> Result<Removed, Stop> {
    let held = hold(tx, &request.unique_ids).await?;
    let mut changes: BTreeMap<i64, Change> = BTreeMap::new();
    let mut errors = request.refused.clone();
    let (mut patients, mut removed) = (BTreeSet::new(), vec![]);
    for unique_id in &request.unique_ids {
        let document = match judge(tx, request, unique_id).await? {
            Ok(document) => document,
            Err(e) => {
                errors.push(e);
                continue;
            }
        };
        match held.get(&document.patient_id) {
            Some(held) => {
                let change = match changes.remove(&held.key()) {
                    Some(change) => change,
                    None => Change::begin(tx, *held, now).await?,
                };
                let change = changes.entry(held.key()).or_insert(change);
                change.remove_document(tx, unique_id).await?;
            }
            // Registered elsewhere, for a patient our registry does not know: no history of ours.
            None => drop(documents::forget(tx, unique_id).await?),
        }
        patients.insert(document.patient_id);
        removed.push(unique_id.clone());
    }
    if removed.is_empty() {
        return Err(Stop::Rejected(errors));
    }
    for change in changes.into_values() {
        change.finish(tx, &request.cause).await?;
    }
    let left: Vec<String> = request.unique_ids.iter().filter(|id| !removed.contains(id)).cloned().collect();
    let facts = |documents: &[String]| {
        let held = |id: &String| Kept {
            document: id.clone(),
            repository: request.ours.clone(),
            home: None,
            patient: None,
        };
        Facts { held: documents.iter().map(held).collect(), ..Facts::default() }
    };
    let done = Subject {
        patients: patients.into_iter().collect(),
        facts: facts(&removed),
        documents: removed,
        ..Subject::default()
    };
    let mut events = vec![request.context.audit(Outcome::Success, done)];
    if !errors.is_empty() {
        let left =
            Subject { facts: facts(&left), documents: left, ..Subject::default() }.with_errors(&errors);
        events.push(request.context.audit(Outcome::SeriousFailure, left));
    }
    Traces::of(&request.context, events, &errors)?.leave(tx).await?;
    Ok(Removed { errors })
}

/// Holds the patients the documents are kept under, in the order of their keys: whoever registers an entry
/// of theirs waits.
async fn hold(tx: &mut Tx<'_>, unique_ids: &BTreeSet<String>) -> Result<BTreeMap<String, Held>, DbError> {
    let mut keys = BTreeMap::new();
    for unique_id in unique_ids {
        if let Some(document) = documents::find(tx, unique_id).await?
            && let Some(key) = patient::key(tx, &document.patient_id).await?
        {
            keys.insert(key, document.patient_id);
        }
    }
    let mut held = BTreeMap::new();
    for (key, pid) in keys {
        held.insert(pid, patient::hold_key(tx, key).await?.ok_or(DbError::NoRow)?);
    }
    Ok(held)
}

/// The document, held for removal, or why it stays. Every context names the DocumentUniqueId
/// (ITI RMD 3.86.4.2.2).
async fn judge(
    tx: &mut Tx<'_>,
    request: &Request,
    unique_id: &str,
) -> Result<Result<StoredDocument, RegistryError>, DbError> {
    let problem = |code, message: String| {
        let context = format!("DocumentUniqueId '{}': {message} ({CLAUSE})", clip(unique_id));
        Ok(Err(RegistryError::new(code, context).at(unique_id)))
    };
    documents::hold(tx, unique_id, Hold::Remove).await?;
    let Some(document) = documents::find(tx, unique_id).await? else {
        let message = "this repository holds no such document".to_owned();
        return problem(ErrorCode::XDSDocumentUniqueIdError, message);
    };
    if let Some(repository) = &request.kept_by
        && let Some(entry) = documents::entry_of(tx, unique_id, repository).await?
    {
        let message =
            format!("DocumentEntry '{entry}' is still registered here; remove the metadata first (ITI-62)");
        return problem(ErrorCode::XDSRemoveDocumentsError, message);
    }
    Ok(Ok(document))
}
