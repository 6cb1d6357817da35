//! A registry as the submissions that made it, oldest first.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::model::consent::{Action, Permit};
use crate::model::error::Error;
use crate::model::metadata::{MetadataObject, Submission};
use crate::service::context::Context;
use crate::service::database;
use crate::service::registry::Registry;
use crate::store::consent::Gate;
use crate::store::db::{DbError, Tx};
use crate::store::documents::{self, StoredDocument};
use crate::store::patient;
use crate::store::registry::row::RowError;
use crate::store::registry::submissions::{self, Brought};

/// One SubmissionSet with everything it brought that is still there, each object in its present state.
#[derive(Debug, Clone)]
pub struct Exported {
    /// `ITI-42`, `ITI-57` …; `ITI-42` where the history does not know.
    pub transaction: String,
    /// Microseconds since 1970.
    pub registered_at: i64,
    pub submission: Submission,
    /// Those of our repository.
    pub documents: Vec<StoredDocument>,
}

/// What an export held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportCounts {
    pub submissions: u64,
    pub objects: u64,
    /// Objects whose SubmissionSet was removed: no submission can bring them.
    pub left_behind: u64,
}

/// Takes each submission as it comes.
pub type Take = dyn FnMut(Exported) -> std::io::Result<()> + Send;

/// A change of a set, as a line of the scratch file.
#[derive(Serialize, Deserialize)]
struct Line(String, i64, i64, Option<(i64, i64)>, Option<String>);

enum Stop {
    Row(RowError),
    Io(std::io::Error),
}

impl From<DbError> for Stop {
    fn from(e: DbError) -> Self {
        Stop::Row(e.into())
    }
}

impl From<RowError> for Stop {
    fn from(e: RowError) -> Self {
        Stop::Row(e)
    }
}

impl From<std::io::Error> for Stop {
    fn from(e: std::io::Error) -> Self {
        Stop::Io(e)
    }
}

impl Registry {
    /// Hands over the submissions of everybody, or of one patient, in one state of the database. Their order
    /// waits in the file `scratch` meanwhile.
    pub async fn export(
        &self,
        context: &Context,
        patient_id: Option<&str>,
        scratch: &Path,
        take: Box<Take>,
    ) -> Result<ExportCounts, Error> {
        let permit = Arc::new(self.settings.access.permit(context, Action::Upkeep));
        let (patient_id, scratch): (Option<Arc<str>>, Arc<Path>) =
            (patient_id.map(Arc::from), scratch.into());
        let (take, begun) = (Arc::new(Mutex::new(take)), AtomicBool::new(false));
        let done = self
            .db
            .snapshot(move |tx| {
                // A lost connection has the closure run again, but what was taken is taken.
                let again = begun.swap(true, Ordering::Relaxed);
                let (permit, patient_id) = (permit.clone(), patient_id.clone());
                let (scratch, take) = (scratch.clone(), take.clone());
                Box::pin(async move {
                    if again {
                        return Err(std::io::Error::other("the connection to the database was lost").into());
                    }
                    let only = match patient_id.as_deref() {
                        // No key is negative: an unknown patient has nothing.
                        Some(id) => Some(patient::key(tx, id).await?.unwrap_or(-1)),
                        None => None,
                    };
                    order(tx, only, &scratch).await?;
                    each(tx, only, &scratch, &permit, &take).await
                })
            })
            .await;
        done.map_err(|stop| match stop {
            Stop::Row(RowError::Db(e)) => database(e),
            Stop::Row(e) => Error::Internal(anyhow::Error::new(e)),
            Stop::Io(e) => Error::Internal(anyhow::Error::new(e)),
        })
    }
}

async fn order(tx: &mut Tx<'_>, only: Option<i64>, scratch: &Path) -> Result<(), Stop> {
    let mut out = BufWriter::new(File::create(scratch)?);
    let mut failed = None;
    submissions::in_order(tx, only, |b| {
        let line = Line(b.set, b.patient_key, b.registered_at, b.change, b.transaction);
        let written = serde_json::to_writer(&mut out, &line).map_err(std::io::Error::from);
        if let Err(e) = written.and_then(|()| out.write_all(b"\n")) {
            failed = Some(e);
        }
        Ok(())
    })
    .await?;
    match failed {
        Some(e) => Err(e.into()),
        None => Ok(out.flush()?),
    }
}

async fn each(
    tx: &mut Tx<'_>,
    only: Option<i64>,
    scratch: &Path,
    permit: &Permit,
    take: &Mutex<Box<Take>>,
) -> Result<ExportCounts, Stop> {
    let mut counts = ExportCounts::default();
    let mut of_one: Vec<Brought> = vec![];
    let mut lines = BufReader::new(File::open(scratch)?).lines();
    loop {
        let next = match lines.next() {
            Some(line) => {
                let Line(set, patient_key, registered_at, change, transaction) =
                    serde_json::from_str(&line?).map_err(std::io::Error::from)?;
                Some(Brought { set, patient_key, registered_at, change, transaction })
            }
            None => None,
        };
        let same = of_one.last().zip(next.as_ref()).is_some_and(|(a, b)| a.set == b.set);
        if !same && !of_one.is_empty() {
            if let Some((exported, objects)) = submission(tx, &of_one, permit).await? {
                counts.submissions += 1;
                counts.objects += objects;
                let mut take = take.lock().unwrap_or_else(PoisonError::into_inner);
                (take)(exported)?;
            }
            of_one.clear();
        }
        match next {
            Some(next) => of_one.push(next),
            None => break,
        }
    }
    let all = submissions::count(tx, only).await?;
    counts.left_behind = u64::try_from(all).unwrap_or_default().saturating_sub(counts.objects);
    Ok(counts)
}

/// Everything of one SubmissionSet, with how many objects that is.
async fn submission(
    tx: &mut Tx<'_>,
    changes: &[Brought],
    permit: &Permit,
) -> Result<Option<(Exported, u64)>, Stop> {
    let Some(first) = changes.first() else { return Ok(None) };
    let mut submission = Submission::default();
    let mut objects = 0;
    for change in changes {
        for named in submissions::objects(tx, change).await? {
            let Some(object) = submissions::current(tx, &named, permit).await? else { continue };
            objects += 1;
            match object {
                MetadataObject::DocumentEntry(o) => submission.document_entries.push(*o),
                MetadataObject::SubmissionSet(o) => submission.submission_set = *o,
                MetadataObject::Folder(o) => submission.folders.push(*o),
                MetadataObject::Association(o) => submission.associations.push(*o),
            }
        }
    }
    let mut found = vec![];
    let mut gate = Gate::new(permit);
    for entry in &submission.document_entries {
        if let Some(document) = documents::get(tx, &entry.unique_id, &mut gate).await? {
            found.push(document);
        }
    }
    let transaction =
        changes.iter().find_map(|c| c.transaction.clone()).unwrap_or_else(|| "ITI-42".to_owned());
    let exported = Exported { transaction, registered_at: first.registered_at, submission, documents: found };
    Ok(Some((exported, objects)))
}
