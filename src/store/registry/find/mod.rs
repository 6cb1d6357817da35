//! Stored queries over the rows: a file for each query, under the framework's name for it.
//! ITI TF-2 3.18.4.1.2.3.7 and 3.51.4.1.2.3.
//!
//! Every statement begins at a patient or at named objects. Answers are ordered by time and id, kind
//! after kind: SubmissionSets, DocumentEntries, Folders, Associations. At `$MetadataLevel` 1 old versions,
//! Offline documents, Deprecated Folders (unless a status list asks for them) and Deprecated Associations
//! stay hidden; see [`visible`].
//!
//! Some queries take several statements that must agree; [`needs_snapshot`] tells which.

mod as_of;
mod contents;
mod find_documents;
mod find_folders;
mod find_submission_sets;
mod get_all;
mod get_associations;
mod get_documents;
mod get_documents_and_associations;
mod get_folder_and_contents;
mod get_folders;
mod get_folders_for_document;
mod get_related_documents;
mod get_submission_set_and_contents;
mod get_submission_sets;
mod like;
mod reading;
mod statement;
mod visible;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::model::consent::Permit;
use crate::model::ebrim::ObjectKind;
use crate::model::metadata::CorruptBody;
use crate::model::query::{Found, ObjectRef, ReturnType, StoredQuery, View};
use crate::store::db::{DbError, Tx, Val};
use crate::store::registry::row::RowError;

use reading::{Hit, Reading};
use statement::{LIST_MAX, Statement};

/// How a query is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FindOptions {
    pub return_type: ReturnType,
    /// Most objects in an answer, of all kinds together.
    pub limit: usize,
    /// Answered as it would have been at this moment (microseconds since 1970); `None`: now.
    pub as_of: Option<i64>,
    pub view: View,
}

/// An answer and whom it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindOutcome {
    pub found: Found,
    /// Patient ids (CX) of the DocumentEntries, SubmissionSets and Folders in the answer, each once,
    /// sorted: for the audit record.
    pub patients: Vec<String>,
}

/// Why a query has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    #[error(transparent)]
    Db(DbError),
    /// XDSTooManyResults: more objects than the limit, which is given.
    #[error("the query selects more than {0} objects")]
    TooManyResults(usize),
    /// XDSResultNotSinglePatient (ITI TF-2 3.18.4.1.2.3.7).
    #[error("the query selects objects of several patients")]
    SeveralPatients,
    /// An object at rest cannot be read.
    #[error(transparent)]
    Corrupt(CorruptBody),
}

impl From<DbError> for FindError {
    fn from(e: DbError) -> Self {
        Self::Db(e)
    }
}

impl From<RowError> for FindError {
    fn from(e: RowError) -> Self {
        match e {
            RowError::Db(e) => Self::Db(e),
            RowError::Corrupt(e) => Self::Corrupt(e),
        }
    }
}

/// Runs a stored query. Objects and patients nobody knows are no errors: the answer is then empty. What the permit does
/// not let pass is left out before anything is counted, and so is what would show that it is there.
/// `homeCommunityId` is given as stored; whoever answers for a community stamps its own.
pub async fn run(
    tx: &mut Tx<'_>,
    query: &StoredQuery,
    options: &FindOptions,
    permit: &Permit,
) -> Result<FindOutcome, FindError> {
    let mut reading = Reading::new(tx, options, permit);
    // Whose records decide is known before the first row, where patients are named.
    reading.meet(query.patient_ids()).await?;
    let hits = hits(&mut reading, query).await?;
    let patients = patients(tx, query, options, &hits).await?;
    let found = match options.return_type {
        ReturnType::LeafClass => Found::Objects(hits.into_iter().filter_map(Hit::object).collect()),
        ReturnType::ObjectRef => Found::Refs(
            hits.into_iter().map(|hit| ObjectRef { id: hit.into_id(), home_community_id: None }).collect(),
        ),
    };
    Ok(FindOutcome { found, patients })
}

/// Does the query take several statements, to be run in `Db::snapshot`? For the others `Db::read`
/// does, which saves the round trips of a transaction.
///
/// What a LIKE pattern stands for is read a moment before the rest: at worst an entry registered in
/// between is missed. Keys and ids of patients do not change. A permit that leaves something out reads the patient's
/// records first, and must see one state of both.
pub fn needs_snapshot(query: &StoredQuery, permit: &Permit) -> bool {
    permit.is_narrow() || takes_several(query)
}

fn takes_several(query: &StoredQuery) -> bool {
    match query {
        StoredQuery::FindDocuments(_)
        | StoredQuery::FindDocumentsByReferenceId(_)
        | StoredQuery::FindDocumentsForMultiplePatients(_)
        | StoredQuery::FindSubmissionSets(_)
        | StoredQuery::FindFolders(_)
        | StoredQuery::FindFoldersForMultiplePatients(_)
        | StoredQuery::GetDocuments(_)
        | StoredQuery::GetFolders(_)
        | StoredQuery::GetAssociations { .. }
        | StoredQuery::GetFoldersForDocument(_) => false,
        StoredQuery::GetAll(_)
        | StoredQuery::GetDocumentsAndAssociations(_)
        | StoredQuery::GetSubmissionSets { .. }
        | StoredQuery::GetSubmissionSetAndContents { .. }
        | StoredQuery::GetFolderAndContents { .. }
        | StoredQuery::GetRelatedDocuments { .. } => true,
    }
}

/// A new stored query is a file and an arm.
async fn hits(reading: &mut Reading<'_, '_>, query: &StoredQuery) -> Result<Vec<Hit>, FindError> {
    match query {
        StoredQuery::FindDocuments(q)
        | StoredQuery::FindDocumentsByReferenceId(q)
        | StoredQuery::FindDocumentsForMultiplePatients(q) => find_documents::run(reading, q).await,
        StoredQuery::FindSubmissionSets(q) => find_submission_sets::run(reading, q).await,
        StoredQuery::FindFolders(q) | StoredQuery::FindFoldersForMultiplePatients(q) => {
            find_folders::run(reading, q).await
        }
        StoredQuery::GetAll(q) => get_all::run(reading, q).await,
        StoredQuery::GetDocuments(ids) => get_documents::run(reading, &ids.into()).await,
        StoredQuery::GetFolders(ids) => get_folders::run(reading, &ids.into()).await,
        StoredQuery::GetAssociations { uuids } => get_associations::run(reading, uuids).await,
        StoredQuery::GetDocumentsAndAssociations(ids) => {
            get_documents_and_associations::run(reading, &ids.into()).await
        }
        StoredQuery::GetSubmissionSets { uuids } => get_submission_sets::run(reading, uuids).await,
        StoredQuery::GetSubmissionSetAndContents { id, contents } => {
            get_submission_set_and_contents::run(reading, &id.into(), contents).await
        }
        StoredQuery::GetFolderAndContents { id, contents } => {
            get_folder_and_contents::run(reading, &id.into(), contents).await
        }
        StoredQuery::GetFoldersForDocument(ids) => get_folders_for_document::run(reading, &ids.into()).await,
        StoredQuery::GetRelatedDocuments { id, types, entry_types } => {
            get_related_documents::run(reading, &id.into(), types, entry_types).await
        }
    }
}

/// Whom the answer is about; refused if it may be about one only and is not.
async fn patients(
    tx: &mut Tx<'_>,
    query: &StoredQuery,
    options: &FindOptions,
    hits: &[Hit],
) -> Result<Vec<String>, FindError> {
    let keys: BTreeSet<i64> =
        hits.iter().filter(|h| h.kind != ObjectKind::Association).map(|h| h.patient_key).collect();
    if keys.len() > 1 && options.return_type == ReturnType::LeafClass && query.single_patient_results() {
        return Err(FindError::SeveralPatients);
    }
    // A query over one patient needs no look-up: the commonest one stays a single statement.
    if let ([pid], false) = (query.patient_ids(), keys.is_empty()) {
        return Ok(vec![pid.clone()]);
    }
    let keys: Vec<i64> = keys.into_iter().collect();
    let mut pids = Vec::with_capacity(keys.len());
    for some in keys.chunks(LIST_MAX) {
        let mut s = Statement::new("SELECT p.pid FROM patient p WHERE p.patient_key IN ");
        s.bind_list("", some.iter().map(|key| Val::I64(*key)));
        pids.extend(tx.fetch(s.sql, &s.args, |row| row.get::<String>(0)).await?);
    }
    pids.sort_unstable();
    Ok(pids)
}
