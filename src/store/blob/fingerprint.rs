//! A document's bytes read again, for who doubts them.

use futures_util::StreamExt as _;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::spool::hex;
use super::{BlobError, BlobKey, Blobs};

/// What a document's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    pub size: u64,
    /// SHA-1 in hex, as in DocumentEntry.hash.
    pub sha1: String,
    /// SHA-256 in hex: what the key must be.
    pub sha256: String,
}

impl Blobs {
    /// Reads a document whole and hashes it.
    pub async fn fingerprint(&self, key: &BlobKey) -> Result<Fingerprint, BlobError> {
        let mut reader = self.read(key).await?;
        let (mut sha1, mut sha256, mut size) = (Sha1::new(), Sha256::new(), 0);
        while let Some(bytes) = reader.next().await {
            let bytes = bytes?;
            sha1.update(&bytes);
            sha256.update(&bytes);
            size += bytes.len() as u64;
        }
        Ok(Fingerprint { size, sha1: hex(&sha1.finalize()), sha256: hex(&sha256.finalize()) })
    }
}
