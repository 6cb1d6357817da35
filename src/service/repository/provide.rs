//! Provide and Register Document Set: documents paired with their entries, made durable, then
//! registered. ITI TF-2 3.41.4.1.3.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use crate::model::audit::Outcome;
use crate::model::error::{Error, ErrorCode, Problem, RegistryError};
use crate::model::metadata::{DocumentEntry, Submission};
use crate::model::transaction::Transaction;
use crate::peer::soap;
use crate::service::audit::Audited;
use crate::service::consent::forms::{self, Forms};
use crate::service::context::{Context, Subject};
use crate::service::registry::{StoreAgain, swept};
use crate::service::repository::{RegisterAt, Repository};
use crate::service::{database, storage};
use crate::store::blob::Spooled;
use crate::store::db::DbError;
use crate::store::documents::{self, Put, StoredDocument};

const CLAUSE: &str = "ITI TF-2 3.41.4.1.3";

/// One `xds:Document` of the message, its bytes spooled.
pub struct ProvidedDocument {
    /// `Document/@id`: the id of its DocumentEntry.
    pub id: String,
    pub content: Spooled,
}

/// A submission stored and registered.
#[derive(Debug)]
pub struct Provided {
    pub warnings: Vec<RegistryError>,
    pub audited: Audited,
}

impl Repository {
    /// Stores the documents and registers the submission, or leaves nothing behind but spooled
    /// bytes, which fall with this call.
    pub async fn provide(
        &self,
        context: &Context,
        mut submission: Submission,
        documents: Vec<ProvidedDocument>,
        mut problems: Vec<RegistryError>,
    ) -> Result<Provided, Error> {
        let paired = self.pair(&mut submission, documents, &mut problems);
        let forms = self.forms(&submission, &paired, &mut problems);
        if problems.iter().any(RegistryError::is_error) {
            // The registry is asked all the same: one answer names everything that is wrong.
            return match &self.register_at {
                RegisterAt::Here(registry) => {
                    let stored = paired.into_iter().map(|(stored, _)| stored).collect();
                    match registry.register(context, submission, stored, problems).await {
                        Err(e) => Err(e),
                        Ok(_) => Err(Error::Internal(anyhow::anyhow!("a refused submission was registered"))),
                    }
                }
                RegisterAt::There(_) => Err(Error::Rejected(problems)),
            };
        }
        let (stored, contents): (Vec<_>, Vec<_>) = paired.into_iter().unzip();
        let contents = self.blobs.commit_all(contents).await.map_err(storage)?;
        let mut again = Again { repository: self, contents, forms };
        match &self.register_at {
            RegisterAt::Here(registry) => {
                let done =
                    registry.register_stored(context, submission, stored, problems, &mut again).await?;
                Ok(Provided { warnings: done.warnings, audited: Audited::Written })
            }
            RegisterAt::There(_) => {
                self.register_there(context, submission, stored, problems, &mut again).await
            }
        }
    }

    /// Pairs documents with DocumentEntries, verifies what the source claims of them, and fills in
    /// what the repository owes: repositoryUniqueId, hash and size (ITI TF-2 3.41.4.1.3).
    fn pair(
        &self,
        submission: &mut Submission,
        documents: Vec<ProvidedDocument>,
        problems: &mut Vec<RegistryError>,
    ) -> Vec<(StoredDocument, Spooled)> {
        let mut by_id: HashMap<String, Spooled> = HashMap::new();
        for d in documents {
            let known = submission.document_entry(&d.id).is_some();
            match by_id.entry(d.id) {
                Entry::Occupied(taken) => problems.push(problem(
                    ErrorCode::XDSRepositoryMetadataError,
                    taken.key(),
                    "Document/@id",
                    Some(taken.key()),
                    "stands on two Documents of the message",
                )),
                Entry::Vacant(free) if !known => problems.push(problem(
                    ErrorCode::XDSMissingDocumentMetadata,
                    free.key(),
                    "Document/@id",
                    Some(free.key()),
                    "no DocumentEntry of the submission has this id",
                )),
                Entry::Vacant(free) => {
                    free.insert(d.content);
                }
            }
        }
        let patient_id = submission.submission_set.patient_id.clone();
        let mut paired = vec![];
        for entry in &mut submission.document_entries {
            let Some(content) = by_id.remove(&entry.entry_uuid) else {
                problems.push(problem(
                    ErrorCode::XDSMissingDocument,
                    &entry.entry_uuid,
                    "DocumentEntry",
                    None,
                    "the message holds no Document with this id",
                ));
                continue;
            };
            verify(entry, &content, problems);
            entry.repository_unique_id = Some(self.settings.unique_id.clone());
            entry.hash = Some(content.sha1_hex.clone());
            entry.size = Some(content.size.to_string());
            let stored = StoredDocument {
                unique_id: entry.unique_id.clone(),
                blob_key: content.sha256_hex.clone(),
                mime_type: entry.mime_type.clone(),
                size: i64::try_from(content.size).unwrap_or(i64::MAX),
                hash: content.sha1_hex.clone(),
                patient_id: patient_id.clone(),
            };
            paired.push((stored, content));
        }
        paired
    }

    /// What consent forms among the documents say; one that cannot be taken whole is refused.
    fn forms(
        &self,
        submission: &Submission,
        paired: &[(StoredDocument, Spooled)],
        problems: &mut Vec<RegistryError>,
    ) -> Forms {
        let mut said = Forms::new();
        for (stored, content) in paired {
            let mut entries = submission.document_entries.iter();
            let Some(entry) = entries.find(|entry| entry.unique_id == stored.unique_id) else { continue };
            match forms::read(&self.settings.access, entry, &stored.patient_id, content.small()) {
                Ok(form) => said.extend(form.map(|form| (stored.unique_id.clone(), form))),
                Err(why) => problems.push(problem(
                    ErrorCode::XDSRepositoryMetadataError,
                    &entry.entry_uuid,
                    "Document",
                    None,
                    &format!("this APPC document cannot be taken as a consent: {why} (docs/consent.md)"),
                )),
            }
        }
        said
    }

    /// Documents become retrievable, then the other registry is told, then we answer. If it refuses
    /// or cannot be reached, the documents that are new here are forgotten again.
    async fn register_there(
        &self,
        context: &Context,
        submission: Submission,
        stored: Vec<StoredDocument>,
        mut problems: Vec<RegistryError>,
        again: &mut Again<'_>,
    ) -> Result<Provided, Error> {
        let RegisterAt::There(client) = &self.register_at else {
            return Err(Error::Internal(anyhow::anyhow!("no remote registry")));
        };
        let new = self.index(context.micros(), Arc::new(stored), again).await?;
        let answer = soap::register(client, &submission).await;
        let failure = match answer {
            Ok(errors) if errors.iter().any(RegistryError::is_error) => {
                problems.extend(errors);
                Error::Rejected(problems)
            }
            Ok(warnings) => {
                problems.extend(warnings);
                let subject = Subject {
                    patients: vec![submission.submission_set.patient_id.clone()],
                    submission_set: Some(submission.submission_set.unique_id.clone()),
                    documents: submission.document_entries.iter().map(|d| d.unique_id.clone()).collect(),
                    ..Subject::default()
                };
                let event = context.audit(Outcome::Success, subject.clone());
                let sent = context.audit_sent(Transaction::Iti42, client.url(), Outcome::Success, subject);
                return Ok(Provided { warnings: problems, audited: Audited::AllDue(vec![event, sent]) });
            }
            Err(e) => {
                tracing::warn!(request_id = context.request_id, peer = client.name(), cause = %e, "the registry did not answer");
                problems.push(RegistryError::new(
                    ErrorCode::XDSRegistryNotAvailable,
                    format!(
                        "the registry behind this repository did not answer as it should; nothing was registered \
                         (reference {}) ({CLAUSE})",
                        context.request_id
                    ),
                ));
                Error::Rejected(problems)
            }
        };
        self.forget(new).await?;
        Err(failure)
    }

    /// Adds documents to our index; returns the uniqueIds that were not there before.
    async fn index(
        &self,
        at: i64,
        stored: Arc<Vec<StoredDocument>>,
        again: &mut Again<'_>,
    ) -> Result<Vec<String>, Error> {
        match self.try_index(at, stored.clone()).await {
            Err(Stop::Condemned) => again.store_again().await?,
            done => return done.map_err(Stop::error),
        }
        self.try_index(at, stored).await.map_err(Stop::error)
    }

    async fn try_index(&self, at: i64, stored: Arc<Vec<StoredDocument>>) -> Result<Vec<String>, Stop> {
        self.db
            .write(move |tx| {
                let stored = stored.clone();
                Box::pin(async move {
                    let mut new = vec![];
                    for d in stored.iter() {
                        match documents::put(tx, d, at).await? {
                            Put::New => {
                                new.push(d.unique_id.clone());
                                continue;
                            }
                            Put::Taken => {}
                            Put::Condemned => return Err(Stop::Condemned),
                        }
                        let kept = documents::content(tx, &d.unique_id).await?;
                        if kept.is_some_and(|(hash, _)| hash != d.hash) {
                            return Err(Stop::Contradiction(problem(
                                ErrorCode::XDSNonIdenticalHash,
                                &d.unique_id,
                                "DocumentEntry.uniqueId",
                                Some(&d.unique_id),
                                "this repository holds other bytes under it",
                            )));
                        }
                    }
                    Ok(new)
                })
            })
            .await
    }

    async fn forget(&self, unique_ids: Vec<String>) -> Result<(), Error> {
        let unique_ids = Arc::new(unique_ids);
        self.db
            .write(move |tx| {
                let unique_ids = unique_ids.clone();
                Box::pin(async move {
                    for id in unique_ids.iter() {
                        documents::forget(tx, id).await?;
                    }
                    Ok(())
                })
            })
            .await
            .map_err(|e: DbError| database(e))
    }
}

/// Why documents were not added to our index.
enum Stop {
    Contradiction(RegistryError),
    Condemned,
    Database(DbError),
}

impl From<DbError> for Stop {
    fn from(e: DbError) -> Self {
        Stop::Database(e)
    }
}

impl Stop {
    fn error(self) -> Error {
        match self {
            Stop::Contradiction(e) => e.into(),
            Stop::Condemned => swept(),
            Stop::Database(e) => database(e),
        }
    }
}

/// The documents of a submission, still at hand.
struct Again<'a> {
    repository: &'a Repository,
    contents: Vec<Spooled>,
    forms: Forms,
}

impl StoreAgain for Again<'_> {
    async fn store_again(&mut self) -> Result<(), Error> {
        let contents = std::mem::take(&mut self.contents);
        self.contents = self.repository.store_again(contents).await?;
        Ok(())
    }

    fn take_forms(&mut self) -> Forms {
        std::mem::take(&mut self.forms)
    }
}

fn problem(
    code: ErrorCode,
    object: &str,
    attribute: &str,
    value: Option<&str>,
    message: &str,
) -> RegistryError {
    Problem { code, object, attribute, value, message, clause: CLAUSE }.error()
}

/// Hash and size, where the source gave them, are those of the bytes received.
fn verify(entry: &DocumentEntry, content: &Spooled, problems: &mut Vec<RegistryError>) {
    if let Some(hash) = &entry.hash
        && !hash.trim().eq_ignore_ascii_case(&content.sha1_hex)
    {
        let message = format!("the document received has SHA-1 {}", content.sha1_hex);
        problems.push(problem(
            ErrorCode::XDSRepositoryMetadataError,
            &entry.entry_uuid,
            "DocumentEntry.hash",
            Some(hash),
            &message,
        ));
    }
    if let Some(size) = &entry.size
        && size.trim().parse::<u64>() != Ok(content.size)
    {
        let message = format!("the document received has {} octets", content.size);
        problems.push(problem(
            ErrorCode::XDSRepositoryMetadataError,
            &entry.entry_uuid,
            "DocumentEntry.size",
            Some(size),
            &message,
        ));
    }
}
