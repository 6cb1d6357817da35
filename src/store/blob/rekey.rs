//! Documents brought under the key that writes now.

use futures_util::StreamExt as _;
use tokio::task::spawn_blocking;

use super::fs::Over;
use super::meter::metered;
use super::{BlobError, BlobKey, Blobs, Objects, task_lost};

/// What was found of a document, and done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rekeyed {
    /// There is none.
    Absent,
    /// It is not encrypted.
    Clear,
    /// It was under the first key already.
    Current,
    /// Its key is now under the first.
    Wrapped,
}

impl Blobs {
    /// Wraps a document's key under the first key of the file. In a folder its octets stay where they
    /// are; in a bucket the object is written anew.
    pub async fn rekey(&self, key: &BlobKey) -> Result<Rekeyed, BlobError> {
        let Some(ring) = self.spool.keys.clone() else { return Err(BlobError::NoKeys(key.clone())) };
        let rekey = async {
            match &self.objects {
                Objects::Fs(fs) => {
                    let (fs, key) = (fs.clone(), key.clone());
                    spawn_blocking(move || fs.rekey(&key, &ring)).await.map_err(task_lost)?
                }
                #[cfg(feature = "s3")]
                Objects::S3(s3) => s3.rekey(key, &ring).await,
            }
        };
        metered("rekey", rekey).await
    }

    /// Encrypts a document that lies there as it came. Its octets are read and compared with its name.
    pub async fn encrypt(&self, key: &BlobKey) -> Result<(), BlobError> {
        let mut reader = self.read(key).await?;
        let mut spool = self.spool();
        while let Some(octets) = reader.next().await {
            spool.write(octets?).await?;
        }
        let document = spool.finish().await?;
        if document.key() != *key {
            return Err(super::envelope::damaged(key, "its SHA-256 is another".into()));
        }
        metered("rekey", self.put_all(vec![document], Over::Anything)).await.map(|_| ())
    }
}
