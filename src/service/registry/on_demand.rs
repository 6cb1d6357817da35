//! What a repository needs of the registry to make an on-demand document: the entry, what there is to tell
//! of its patient, and a place for the snapshot. ITI TF-2 3.43.4.2.3, 3.61.

use std::sync::Arc;

use jiff::Timestamp;

use super::query::failure;
use super::register::{Stop, store, swept};
use crate::model::audit::Outcome;
use crate::model::consent::{Action, Permit};
use crate::model::error::{Error, ErrorCode, RegistryError, clip};
use crate::model::metadata::{
    AvailabilityStatus, CorruptBody, DocumentEntry, EntryType, MetadataObject, Submission,
};
use crate::model::patient::Patient;
use crate::model::query::{FindDocuments, Found, QueryResult, ReturnType, StoredQuery, View};
use crate::model::transaction::Transaction;
use crate::service::context::{Context, Subject};
use crate::service::database;
use crate::service::registry::Registry;
use crate::service::registry::plan::Plan;
use crate::service::traces::Traces;
use crate::store::consent::Gate;
use crate::store::db::{DbError, Tx};
use crate::store::documents::StoredDocument;
use crate::store::patient;
use crate::store::registry::find::{self, FindError, FindOptions, FindOutcome};
use crate::store::registry::on_demand;

pub use crate::store::registry::on_demand::Snapshot;

/// Snapshots are registered by the retrieval that made them; what they change is not told by the next one.
const SNAPSHOTS_BY: Transaction = Transaction::Iti43;

/// An on-demand entry in force, and the state of its patient's registry.
#[derive(Debug, Clone)]
pub struct OnDemand {
    pub entry: DocumentEntry,
    pub patient: Patient,
    /// The Approved stable documents, without the repository's own snapshots: they repeat the others.
    pub documents: Vec<DocumentEntry>,
    /// When that state began: the registry's last change of the patient but for snapshots, which would
    /// otherwise make each other new for ever.
    pub at: Timestamp,
    /// The entry's own snapshots that are Approved: at most one, unless others registered some.
    pub snapshots: Vec<Snapshot>,
    /// `documents` are those one viewer may see: what is made of them is for nobody else, and is not kept.
    pub narrowed: bool,
}

/// What became of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Snapped {
    Registered,
    /// Another retrieval was faster; look again.
    Outrun,
}

/// What is looked for.
struct Question {
    repository: String,
    unique_id: String,
    options: FindOptions,
    permit: Permit,
}

/// How looking ends without an answer.
enum Unanswered {
    Find(FindError),
    /// Several patients' entries have the uniqueId.
    Ambiguous,
}

impl From<FindError> for Unanswered {
    fn from(e: FindError) -> Self {
        Self::Find(e)
    }
}

impl From<DbError> for Unanswered {
    fn from(e: DbError) -> Self {
        Self::Find(e.into())
    }
}

impl Registry {
    /// The on-demand entry with this uniqueId at a repository, if one is in force, in one state of the
    /// registry.
    pub async fn on_demand(
        &self,
        context: &Context,
        repository: &str,
        unique_id: &str,
    ) -> Result<Option<OnDemand>, Error> {
        let question = Arc::new(Question {
            repository: repository.to_owned(),
            unique_id: unique_id.to_owned(),
            options: FindOptions {
                return_type: ReturnType::LeafClass,
                limit: self.settings.query_results,
                as_of: None,
                view: View::default(),
            },
            permit: self.settings.access.permit(context, Action::Retrieve),
        });
        let found = self
            .db
            .snapshot(move |tx| {
                let question = question.clone();
                Box::pin(async move { look(tx, &question).await })
            })
            .await;
        match found {
            Ok(found) => Ok(found),
            // The limit is the registry's, the answer a repository's.
            Err(Unanswered::Find(FindError::TooManyResults(limit))) => Err(RegistryError::new(
                ErrorCode::XDSRepositoryError,
                format!(
                    "DocumentUniqueId '{}': the patient has more than {limit} documents, too many for a document \
                     made of them (ITI TF-2 3.43.4.1.3)",
                    clip(unique_id)
                ),
            )
            .at(unique_id)
            .into()),
            Err(Unanswered::Find(e)) => Err(failure(e)),
            Err(Unanswered::Ambiguous) => Err(RegistryError::new(
                ErrorCode::XDSDocumentUniqueIdError,
                format!(
                    "DocumentUniqueId '{}': on-demand entries of several patients have this uniqueId, so it does \
                     not tell whose document is meant (ITI TF-2 3.43.4.1.3)",
                    clip(unique_id)
                ),
            )
            .at(unique_id)
            .into()),
        }
    }

    /// Registers a snapshot of what was `seen`, with its audit record and its place in the history, unless
    /// the entry's snapshots are others by now.
    pub async fn register_snapshot(
        &self,
        context: &Context,
        repository: &str,
        seen: &OnDemand,
        submission: Submission,
        document: StoredDocument,
    ) -> Result<Snapped, Error> {
        let subject = Subject {
            patients: vec![submission.submission_set.patient_id.clone()],
            submission_set: Some(submission.submission_set.unique_id.clone()),
            documents: vec![document.unique_id.clone()],
            ..Subject::default()
        };
        // What is answered, wherever to, is the retrieval's.
        let traces = Traces::new(vec![context.audit(Outcome::Success, subject)], None).map_err(database)?;
        let plan = Plan::new(context, submission, vec![document], traces).map_err(database)?;
        let given =
            Arc::new((plan, repository.to_owned(), lineage(&seen.entry).to_owned(), seen.snapshots.clone()));
        let settings = self.settings.clone();
        let done = self
            .db
            .write(move |tx| {
                let (given, settings) = (given.clone(), settings.clone());
                Box::pin(async move {
                    let (plan, repository, of, seen) = &*given;
                    // Held first: what is read after it stays true to the commit.
                    let held = patient::hold(tx, &plan.patient_id).await?.ok_or(DbError::NoRow)?;
                    let snapshots = on_demand::snapshots(tx, held.key(), repository).await?;
                    if approved_of(of, snapshots) != *seen {
                        return Ok(Snapped::Outrun);
                    }
                    store(tx, plan, &settings).await?;
                    Ok(Snapped::Registered)
                })
            })
            .await;
        match done {
            Ok(snapped) => Ok(snapped),
            Err(Stop::Rejected(errors)) => Err(Error::Rejected(errors)),
            Err(Stop::Condemned) => Err(swept()),
            Err(Stop::Database(e)) => Err(database(e)),
        }
    }
}

async fn look(tx: &mut Tx<'_>, q: &Question) -> Result<Option<OnDemand>, Unanswered> {
    let mut gate = Gate::new(&q.permit);
    let entries =
        on_demand::entries(tx, &q.repository, &q.unique_id, &mut gate).await.map_err(FindError::from)?;
    let Some((patient_key, entry)) = entries.first() else { return Ok(None) };
    if entries.iter().any(|(key, _)| key != patient_key) {
        return Err(Unanswered::Ambiguous);
    }
    let MetadataObject::DocumentEntry(entry) = entry.read().map_err(FindError::Corrupt)? else {
        return Ok(None);
    };
    let (patient, known_since) = patient::get(tx, *patient_key, &gate).await?.ok_or(DbError::NoRow)?;
    let snapshots = on_demand::snapshots(tx, *patient_key, &q.repository).await?;
    let query = StoredQuery::FindDocuments(FindDocuments {
        patient_ids: vec![patient.patient_id.clone()],
        status: vec![AvailabilityStatus::Approved],
        entry_types: vec![EntryType::Stable],
        ..FindDocuments::default()
    });
    let FindOutcome { found, .. } = find::run(tx, &query, &q.options, &q.permit).await?;
    let mut documents = entries_of(found).map_err(FindError::Corrupt)?;
    documents.retain(|d| !snapshots.iter().any(|s| s.logical_id == lineage(d)));
    let changed = on_demand::last_change(tx, *patient_key, SNAPSHOTS_BY.code()).await?;
    // A registry may be older than its history.
    let at = Timestamp::from_microsecond(changed.unwrap_or(known_since)).unwrap_or_default();
    let snapshots = approved_of(lineage(&entry), snapshots);
    let narrowed = q.permit.is_narrow();
    Ok(Some(OnDemand { entry: *entry, patient, documents, at, snapshots, narrowed }))
}

fn approved_of(lineage: &str, snapshots: Vec<Snapshot>) -> Vec<Snapshot> {
    snapshots.into_iter().filter(|s| s.approved && s.of == lineage).collect()
}

fn lineage(entry: &DocumentEntry) -> &str {
    entry.logical_id.as_deref().unwrap_or(&entry.entry_uuid)
}

fn entries_of(found: Found) -> Result<Vec<DocumentEntry>, CorruptBody> {
    let QueryResult::Objects(objects) = found.read()? else { return Ok(vec![]) };
    Ok(objects
        .into_iter()
        .filter_map(|object| match object {
            MetadataObject::DocumentEntry(entry) => Some(*entry),
            _ => None,
        })
        .collect())
}
