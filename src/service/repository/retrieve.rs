//! Retrieve Document Set. ITI TF-2 3.43.4.1.3.

use std::sync::Arc;

use crate::model::consent::{Action, Permit};
use crate::model::error::{Error, ErrorCode, RegistryError, clip};
use crate::service::context::Context;
use crate::service::repository::{RegisterAt, Repository};
use crate::service::{access, database, storage};
use crate::store::blob::{BlobKey, BlobReader};
use crate::store::consent::Gate;
use crate::store::db::{DbError, Tx, TxFuture};
use crate::store::documents::{self, StoredDocument};

const CLAUSE: &str = "ITI TF-2 3.43.4.1.3";

/// One document asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentRequest {
    pub home_community_id: Option<String>,
    pub repository_unique_id: String,
    pub document_unique_id: String,
}

/// One document on its way out.
pub struct Retrieved {
    pub request: DocumentRequest,
    pub mime_type: String,
    pub patient_id: String,
    pub content: BlobReader,
    /// Of a document made for this retrieval.
    pub made: Option<MadeAs>,
}

/// What a document made for an on-demand entry is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeAs {
    pub unique_id: String,
    /// repositoryUniqueId of its snapshot, if there is one.
    pub kept_at: Option<String>,
}

/// What could be given, and why the rest could not.
pub struct Retrieval {
    pub documents: Vec<Retrieved>,
    pub errors: Vec<RegistryError>,
}

impl Repository {
    pub async fn retrieve(
        &self,
        context: &Context,
        requests: Vec<DocumentRequest>,
    ) -> Result<Retrieval, Error> {
        let mut errors = vec![];
        let mut ours = vec![];
        for request in requests {
            match self.is_ours(&request, CLAUSE) {
                Ok(()) => ours.push(request),
                Err(e) => errors.push(e),
            }
        }
        let found =
            self.look_up(context, ours.iter().map(|r| r.document_unique_id.clone()).collect()).await?;
        let mut documents = vec![];
        for (request, stored) in ours.into_iter().zip(found) {
            let stored = match stored {
                Looked::There(stored) => stored,
                Looked::Offline => {
                    errors.push(absent(
                        request,
                        "is Offline: it cannot be retrieved at present (documentAvailability)",
                    ));
                    continue;
                }
                Looked::Missing => {
                    match self.make(context, &request).await {
                        Ok(Some(made)) => match bound(context, &made.request, &made.patient_id) {
                            Ok(()) => documents.push(made),
                            Err(e) => errors.push(e),
                        },
                        Ok(None) => errors.push(absent(request, "this repository holds no such document")),
                        Err(Error::Rejected(found)) => errors.extend(found),
                        Err(e) => return Err(e),
                    }
                    continue;
                }
            };
            if let Err(e) = bound(context, &request, &stored.patient_id) {
                errors.push(e);
                continue;
            }
            let key = BlobKey::parse(&stored.blob_key)
                .ok_or_else(|| Error::Internal(anyhow::anyhow!("the index names an impossible blob key")))?;
            let content = self.blobs.read(&key).await.map_err(storage)?;
            documents.push(Retrieved {
                request,
                mime_type: stored.mime_type,
                patient_id: stored.patient_id,
                content,
                made: None,
            });
        }
        Ok(Retrieval { documents, errors })
    }

    /// Whether a document would be here; `clause` demands the look.
    pub(super) fn is_ours(&self, request: &DocumentRequest, clause: &str) -> Result<(), RegistryError> {
        let document = clip(&request.document_unique_id);
        if let Some(home) = &request.home_community_id
            && home != &self.settings.home_community_id
        {
            return Err(RegistryError::new(
                ErrorCode::XDSUnknownCommunity,
                format!(
                    "HomeCommunityId '{}' of DocumentUniqueId '{document}' is not this community, which is '{}' ({clause})",
                    clip(home),
                    self.settings.home_community_id
                ),
            )
            .at(request.document_unique_id.clone()));
        }
        if request.repository_unique_id != self.settings.unique_id {
            return Err(RegistryError::new(
                ErrorCode::XDSUnknownRepositoryId,
                format!(
                    "RepositoryUniqueId '{}' of DocumentUniqueId '{document}' is not this repository, which is '{}' ({clause})",
                    clip(&request.repository_unique_id),
                    self.settings.unique_id
                ),
            )
            .at(request.document_unique_id.clone()));
        }
        Ok(())
    }

    async fn look_up(&self, context: &Context, unique_ids: Vec<String>) -> Result<Vec<Looked>, Error> {
        let registered_here = matches!(self.register_at, RegisterAt::Here(_));
        let ours = registered_here.then(|| self.settings.unique_id.clone());
        let permit = self.settings.access.permit(context, Action::Retrieve);
        let question = Arc::new((unique_ids, permit.clone(), ours));
        let several = permit.is_narrow();
        let look = closure(move |tx| {
            let question = question.clone();
            Box::pin(async move {
                let (unique_ids, permit, ours) = &*question;
                looked(tx, unique_ids, permit, ours.as_deref()).await
            })
        });
        // What the patient said and what there is must be of one state.
        let found = if several { self.db.snapshot(look).await } else { self.db.read(look).await };
        access::note(context, &permit);
        found.map_err(|e: DbError| database(e))
    }
}

/// Tells the compiler what kind of closure it is.
fn closure<F>(f: F) -> F
where
    F: for<'t, 'c> Fn(&'t mut Tx<'c>) -> TxFuture<'t, Vec<Looked>, DbError>,
{
    f
}

async fn looked(
    tx: &mut Tx<'_>,
    unique_ids: &[String],
    permit: &Permit,
    ours: Option<&str>,
) -> Result<Vec<Looked>, DbError> {
    let (mut gate, mut found) = (Gate::new(permit), vec![]);
    for id in unique_ids {
        found.push(match (documents::get(tx, id, &mut gate).await?, ours) {
            (None, _) => Looked::Missing,
            (Some(_), Some(ours)) if documents::is_offline(tx, id, ours).await? => Looked::Offline,
            (Some(stored), _) => Looked::There(stored),
        });
    }
    Ok(found)
}

/// Whether it is about the patient of the user's assertion.
fn bound(context: &Context, request: &DocumentRequest, patient: &String) -> Result<(), RegistryError> {
    access::bound(&context.caller, [patient], ErrorCode::XDSRepositoryError)
        .map_err(|e| e.at(request.document_unique_id.clone()))
}

fn absent(request: DocumentRequest, why: &str) -> RegistryError {
    let context = format!("DocumentUniqueId '{}': {why} ({CLAUSE})", clip(&request.document_unique_id));
    RegistryError::new(ErrorCode::XDSDocumentUniqueIdError, context).at(request.document_unique_id)
}

/// What the index has of a document, and our registry of its availability.
enum Looked {
    There(StoredDocument),
    Offline,
    Missing,
}
