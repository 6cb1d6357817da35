//! Old generations go, and with them the documents only they referred to.

use std::iter::Peekable;

use anyhow::Context as _;

use super::copy::Listing;
use super::metadata::DOCUMENTS;
use super::{Place, sync_dir};
use crate::store::blob::{BlobKey, Blobs, Stored};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pruned {
    pub generations: Vec<String>,
    pub documents: u64,
}

/// Keeps the latest `keep` generations. Lists of documents and folders are both in order of key, so they are
/// walked together and none is held in memory whole.
pub(super) async fn prune(place: &Place, documents: &Blobs, keep: usize) -> anyhow::Result<Pruned> {
    let mut pruned = Pruned::default();
    let mut complete: Vec<String> =
        place.generations()?.into_iter().filter(|(_, complete)| *complete).map(|(name, _)| name).collect();
    let kept = complete.split_off(complete.len().saturating_sub(keep.max(1)));
    if complete.is_empty() {
        return Ok(pruned);
    }
    for name in complete {
        let path = place.generation(&name);
        std::fs::remove_dir_all(&path).with_context(|| format!("{}", path.display()))?;
        pruned.generations.push(name);
    }
    // Gone for good before the first document is.
    sync_dir(&place.metadata())?;
    let mut needed = vec![];
    for name in &kept {
        needed.push(Listing::open(&place.generation(name).join(DOCUMENTS))?.peekable());
    }
    for begin in 0..=u8::MAX {
        for Stored { key, .. } in documents.list(begin).await? {
            let mut stays = false;
            for list in &mut needed {
                stays |= reaches(list, &key)?;
            }
            if !stays && documents.delete(&key).await? {
                pruned.documents += 1;
            }
        }
    }
    Ok(pruned)
}

/// Goes on in a list up to `key`; whether it is there.
pub(super) fn reaches(list: &mut Peekable<Listing>, key: &BlobKey) -> anyhow::Result<bool> {
    loop {
        match list.peek() {
            Some(Ok((other, _))) if other < key => drop(list.next()),
            Some(Ok((other, _))) => return Ok(other == key),
            Some(Err(_)) => {
                if let Some(Err(e)) = list.next() {
                    return Err(e);
                }
            }
            None => return Ok(false),
        }
    }
}
