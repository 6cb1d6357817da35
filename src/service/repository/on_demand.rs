//! Documents made at retrieval for on-demand entries, and their snapshots. ITI TF-2 3.43.4.2.3, ITI TF-1 10.
//!
//! A document's id follows from its content, so two gateways that make one at the same time make the same.
//! With `repository.on_demand.persist` it is durable and registered before it is given out: a stable entry,
//! IsSnapshotOf the on-demand one, and RPLC of the snapshot before it. A retrieval that finds its document
//! registered gives that out; one that is outrun while it registers looks again.

use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::retrieve::{DocumentRequest, MadeAs, Retrieved};
use super::{RegisterAt, Repository};
use crate::content::{self, About, Custodian, Made};
use crate::model::error::{Error, ErrorCode, RegistryError, clip};
use crate::model::hl7types::Dtm;
use crate::model::metadata::{
    Association, AssociationType, DocumentEntry, EntryType, Submission, SubmissionSet, SubmissionSetStatus,
};
use crate::service::context::Context;
use crate::service::registry::{OnDemand, Snapped};
use crate::service::storage;
use crate::store::blob::{BlobReader, Spooled};
use crate::store::documents::StoredDocument;

/// How often a retrieval looks again after another was faster. It loses twice only if the registry changed
/// between two others.
const ROUNDS: usize = 16;

impl Repository {
    /// The document of an on-demand entry; none if there is no such entry in force here.
    pub(super) async fn make(
        &self,
        context: &Context,
        request: &DocumentRequest,
    ) -> Result<Option<Retrieved>, Error> {
        // Made from our own registry; another's holds what we cannot read.
        let RegisterAt::Here(registry) = &self.register_at else { return Ok(None) };
        let ours = &self.settings.unique_id;
        for _ in 0..ROUNDS {
            let found = registry.on_demand(context, ours, &request.document_unique_id).await?;
            let Some(found) = found else { return Ok(None) };
            let generator = content::generator_for(&found.entry).ok_or_else(|| no_generator(&found.entry))?;
            let settings = self.settings.clone();
            // A long list takes a while to write.
            let (found, made) = spawn_blocking(move || {
                let custodian = Custodian { name: &settings.network, oid: &settings.unique_id };
                let OnDemand { entry, patient, documents, at, .. } = &found;
                let about = About { id: "", entry, patient, documents, at: *at, custodian };
                let made = content::make(generator, &about);
                (found, made)
            })
            .await
            .map_err(|e| Error::Internal(e.into()))?;
            let kept = self.settings.on_demand.persist && !found.narrowed;
            // One whose document was removed is no longer what it says.
            if kept && !found.snapshots.iter().any(|s| s.kept && s.unique_id == made.unique_id) {
                let spooled = self.spooled(&made).await?;
                let document = stored(&found, &made, &spooled);
                let submission = snapshot(context, &found, &document);
                self.blobs.commit_all(vec![spooled]).await.map_err(storage)?;
                let done = registry.register_snapshot(context, ours, &found, submission, document).await;
                match done {
                    Ok(Snapped::Registered) => {}
                    Ok(Snapped::Outrun) => continue,
                    // The entry was replaced or withdrawn since it was read; the next look will tell.
                    Err(Error::Rejected(errors)) if deprecated(&errors) => continue,
                    Err(Error::Rejected(errors)) => return Err(not_registered(request, &errors)),
                    Err(e) => return Err(e),
                }
            }
            if !kept && context.elsewhere.is_some() {
                // An answer elsewhere is sent later, from the store; the sweeper takes what nothing refers to.
                let spooled = self.spooled(&made).await?;
                self.blobs.commit_all(vec![spooled]).await.map_err(storage)?;
            }
            return Ok(Some(Retrieved {
                request: request.clone(),
                mime_type: found.entry.mime_type,
                patient_id: found.patient.patient_id,
                content: BlobReader::of_bytes(Bytes::from(made.bytes)),
                made: Some(MadeAs {
                    unique_id: made.unique_id,
                    kept_at: kept.then(|| self.settings.unique_id.clone()),
                }),
            }));
        }
        Err(Error::Busy("the patient's registry changes faster than a document of it can be made"))
    }

    async fn spooled(&self, made: &Made) -> Result<Spooled, Error> {
        let mut spool = self.spool();
        spool.write(Bytes::copy_from_slice(&made.bytes)).await.map_err(storage)?;
        spool.finish().await.map_err(storage)
    }
}

fn stored(of: &OnDemand, made: &Made, spooled: &Spooled) -> StoredDocument {
    StoredDocument {
        unique_id: made.unique_id.clone(),
        blob_key: spooled.sha256_hex.clone(),
        mime_type: of.entry.mime_type.clone(),
        size: i64::try_from(spooled.size).unwrap_or(i64::MAX),
        hash: spooled.sha1_hex.clone(),
        patient_id: of.patient.patient_id.clone(),
    }
}

/// The submission that registers a snapshot: the on-demand entry's metadata with what a stable one has.
fn snapshot(context: &Context, of: &OnDemand, document: &StoredDocument) -> Submission {
    let fresh = || context.uuid().urn().to_string();
    let entry = DocumentEntry {
        entry_uuid: fresh(),
        object_type: EntryType::Stable,
        unique_id: document.unique_id.clone(),
        hash: Some(document.hash.clone()),
        size: Some(document.size.to_string()),
        creation_time: Some(Dtm::from_timestamp(of.at).to_string()),
        patient_id: of.patient.patient_id.clone(),
        ..of.entry.clone()
    };
    let set = SubmissionSet {
        entry_uuid: fresh(),
        unique_id: format!("2.25.{}", context.uuid().as_u128()),
        patient_id: of.patient.patient_id.clone(),
        // Repositories and sources are named from one arc of OIDs; here they are one.
        source_id: entry.repository_unique_id.clone().unwrap_or_default(),
        content_type_code: entry.type_code.clone(),
        submission_time: Some(Dtm::from_timestamp(context.received_at).to_string()),
        author: entry.author.clone(),
        title: entry.title.clone(),
        ..SubmissionSet::default()
    };
    let relate = |kind, target: &str| Association::new(kind, fresh(), &entry.entry_uuid, target);
    let member = Association {
        submission_set_status: Some(SubmissionSetStatus::Original),
        ..Association::new(AssociationType::HasMember, fresh(), &set.entry_uuid, &entry.entry_uuid)
    };
    let mut associations = vec![member, relate(AssociationType::IsSnapshotOf, &of.entry.entry_uuid)];
    associations.extend(of.snapshots.iter().map(|s| relate(AssociationType::Replace, &s.entry_uuid)));
    Submission { submission_set: set, document_entries: vec![entry], folders: vec![], associations }
}

fn no_generator(entry: &DocumentEntry) -> Error {
    let code = entry.format_code.as_ref().map(|c| c.query_form()).unwrap_or_default();
    RegistryError::new(
        ErrorCode::XDSRepositoryError,
        format!(
            "DocumentUniqueId '{}': this repository makes no documents of formatCode '{}' and mimeType '{}' \
             (ITI TF-2 3.43.4.1.3)",
            clip(&entry.unique_id),
            clip(&code),
            clip(&entry.mime_type)
        ),
    )
    .at(entry.unique_id.clone())
    .into()
}

fn deprecated(errors: &[RegistryError]) -> bool {
    errors.iter().any(|e| {
        matches!(
            e.code,
            ErrorCode::XDSRegistryDeprecatedDocumentError | ErrorCode::UnresolvedReferenceException
        )
    })
}

/// The registry's own codes are not a repository's to answer with.
fn not_registered(request: &DocumentRequest, errors: &[RegistryError]) -> Error {
    let why: Vec<String> = errors.iter().map(|e| format!("{}: {}", e.code, e.context)).collect();
    RegistryError::new(
        ErrorCode::XDSRepositoryError,
        format!(
            "DocumentUniqueId '{}': the snapshot was refused, so it is not given out: {}",
            clip(&request.document_unique_id),
            why.join("; ")
        ),
    )
    .at(request.document_unique_id.clone())
    .into()
}
