//! The bytes of every document against what the repository's index says of them.

use super::{Counts, Fault, Finding, Work};
use crate::model::error::Error;
use crate::service::{database, storage};
use crate::store::blob::{BlobError, BlobKey, Blobs};
use crate::store::db::{Db, DbError};
use crate::store::documents::{self, StoredDocument};

/// Documents looked up at a time.
const PAGE: i64 = 200;

pub(super) async fn verify(
    db: &Db,
    blobs: &Blobs,
    work: &mut Work,
    progress: &(dyn Fn(&Counts) + Sync),
) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let from = after.clone();
        let page = db
            .read(move |tx| {
                let from = from.clone();
                Box::pin(async move { documents::list(tx, &from, PAGE).await })
            })
            .await
            .map_err(|e: DbError| database(e))?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(&last.unique_id);
        for document in &page {
            let checked = check(blobs, document).await?;
            // It may have been removed since the page was read.
            if checked.as_ref().is_err_and(|(fault, _)| *fault == Fault::DocumentMissing)
                && !is_indexed(db, document).await?
            {
                continue;
            }
            work.counts.documents += 1;
            match checked {
                Ok(octets) => work.counts.octets += octets,
                Err((fault, detail)) => work.found(Finding {
                    kind: Some("Document"),
                    id: Some(document.unique_id.clone()),
                    detail,
                    ..Finding::new(fault)
                }),
            }
        }
        progress(&work.counts);
    }
}

/// Size of a document that is what it should be, or what is wrong.
async fn check(
    blobs: &Blobs,
    document: &StoredDocument,
) -> Result<Result<u64, (Fault, Option<String>)>, Error> {
    let Some(key) = BlobKey::parse(&document.blob_key) else {
        return Ok(Err((Fault::DocumentIndex, Some("no SHA-256".into()))));
    };
    let found = match blobs.fingerprint(&key).await {
        Ok(found) => found,
        Err(BlobError::NotFound(_)) => return Ok(Err((Fault::DocumentMissing, None))),
        Err(e @ (BlobError::Damaged { .. } | BlobError::Io { .. })) => {
            return Ok(Err((Fault::DocumentAltered, Some(e.to_string()))));
        }
        Err(e @ (BlobError::NoKey { .. } | BlobError::NoKeys(_))) => {
            return Ok(Err((Fault::DocumentLocked, Some(e.to_string()))));
        }
        Err(e) => return Err(storage(e)),
    };
    let what = if found.size != u64::try_from(document.size).unwrap_or(u64::MAX) {
        format!("{} octets, {} expected", found.size, document.size)
    } else if found.sha256 != document.blob_key {
        format!("SHA-256 is {}", found.sha256)
    } else if !found.sha1.eq_ignore_ascii_case(&document.hash) {
        format!("SHA-1 is {}", found.sha1)
    } else {
        return Ok(Ok(found.size));
    };
    Ok(Err((Fault::DocumentAltered, Some(what))))
}

async fn is_indexed(db: &Db, document: &StoredDocument) -> Result<bool, Error> {
    let id = document.unique_id.clone();
    let found = db
        .read(move |tx| {
            let id = id.clone();
            Box::pin(async move { documents::content(tx, &id).await })
        })
        .await
        .map_err(|e: DbError| database(e))?;
    Ok(found.is_some())
}
