//! Documents at rest: spool, content-addressed objects, sweeper.
//!
//! A document is spooled while it arrives (hashed and counted as it goes), then committed under the
//! SHA-256 of its bytes. `commit` returns only when the store has it durable (file and directories
//! synced, or the bucket's acknowledgement), so the order is: blob durable, then metadata committed,
//! then answered. What a failed request leaves behind is an object nobody refers to, which `sweep`
//! removes later.
//!
//! ```text
//! DIR/spool/<random>             documents still arriving, always local
//! DIR/objects/ab/cd/<sha256>     documents, never changed once there; or in a bucket
//! BUCKET/PREFIXobjects/ab/cd/<sha256>
//! ```
//!
//! With keys (`repository.encryption`), what is written is encrypted (`envelope.rs`), in the spool
//! already; names stay those of the clear bytes. Older clear objects stay readable.

mod envelope;
mod fingerprint;
mod fs;
mod keys;
pub mod meter;
mod read;
mod rekey;
#[cfg(feature = "s3")]
mod s3;
#[cfg(feature = "s3")]
mod s3_fault;
mod spool;
mod spool_dir;
mod sweep;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::task::spawn_blocking;

use crate::config::RepositoryConfig;
use fs::Over;
use meter::metered;
use spool_dir::{Removal, SpoolDir};

pub use fingerprint::Fingerprint;
pub use keys::{KeyId, KeyRing};
pub use read::BlobReader;
pub use rekey::Rekeyed;
pub use spool::{Spool, Spooled};
pub use sweep::{Condemned, Ledger, SweepAges, Swept};

/// Name of a blob: SHA-256 of its bytes, 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobKey(String);

impl BlobKey {
    /// `None` unless `text` is 64 lower-case hexadecimal digits; keys become file names.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        (text.len() == 64 && text.bytes().all(hex)).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a blob could not be kept, found or removed.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("no blob {0}")]
    NotFound(BlobKey),
    /// The disk, bucket or quota is full; nothing was kept.
    #[error("no room left for documents")]
    NoSpace,
    /// An object is not what was written into it.
    #[error("blob {key} is damaged: {message}")]
    Damaged { key: BlobKey, message: String },
    /// It is encrypted under a key that the key file does not hold.
    #[error("blob {key} is encrypted under key {id}, which is not in repository.encryption.key_file")]
    NoKey { key: BlobKey, id: KeyId },
    #[error("blob {0} is encrypted, and there is no [repository.encryption]")]
    NoKeys(BlobKey),
    #[error("repository.encryption: {0}")]
    Keys(#[from] crate::config::encryption::KeyFileError),
    /// The store is slow or says that it has too much to do. It may pass.
    #[error("{what}: the document store is too slow or overloaded: {cause}")]
    Busy { what: &'static str, cause: String },
    /// The store does not answer, or answers that it has failed. It may pass.
    #[error("{what}: the document store does not answer as it should: {cause}")]
    Away { what: &'static str, cause: String },
    /// The store will not do it: no such bucket, no right, no valid key. It does not pass by itself.
    #[error("{what}: the document store refuses: {cause}")]
    Refused { what: &'static str, cause: String },
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
}

impl BlobError {
    pub fn is_no_space(&self) -> bool {
        matches!(self, BlobError::NoSpace)
    }

    /// As metrics name it.
    fn outcome(&self) -> &'static str {
        match self {
            BlobError::NotFound(_) => "not-found",
            BlobError::NoSpace => "no-room",
            BlobError::Damaged { .. } => "damaged",
            BlobError::NoKey { .. } | BlobError::NoKeys(_) | BlobError::Keys(_) => "no-key",
            BlobError::Busy { .. } => "busy",
            BlobError::Away { .. } => "away",
            BlobError::Refused { .. } => "refused",
            BlobError::Io { .. } => "failed",
        }
    }
}

/// Turns an `io::Error` into a [`BlobError`] that says what was being done.
fn doing(what: &'static str) -> impl FnOnce(io::Error) -> BlobError {
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            BlobError::NoSpace
        }
        _ => BlobError::Io { what, source },
    }
}

/// A task of ours that was cancelled by the runtime ending, or panicked.
fn task_lost(_: tokio::task::JoinError) -> BlobError {
    BlobError::Io { what: "document storage", source: io::Error::other("its thread ended early") }
}

/// How documents are spooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobOptions {
    /// Documents up to this many bytes wait in memory and touch the disk once, at commit.
    pub memory_limit: usize,
}

impl Default for BlobOptions {
    fn default() -> Self {
        Self { memory_limit: 64 * 1024 }
    }
}

/// One object as it lies in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub key: BlobKey,
    /// Octets it takes there; of an encrypted object more than the document's.
    pub size: u64,
    /// When it was put in its place or found there again.
    pub modified: SystemTime,
}

/// Whether an object of `stored` octets may be a document of `size`, clear or encrypted.
fn fits(stored: u64, size: u64) -> bool {
    stored == size || stored == envelope::sealed_size(size)
}

/// A place for documents. Clones share it.
#[derive(Clone)]
pub struct Blobs {
    spool: Arc<SpoolDir>,
    objects: Objects,
}

#[derive(Clone)]
enum Objects {
    Fs(Arc<fs::Fs>),
    #[cfg(feature = "s3")]
    S3(Arc<s3::S3>),
}

impl Blobs {
    /// Opens the store the configuration names. Blocking; call it at start. A bucket is not asked
    /// anything yet: it may come up after us.
    pub fn of(config: &RepositoryConfig) -> Result<Self, BlobError> {
        let keys = match &config.encryption {
            Some(encryption) => Some(KeyRing::new(&encryption.keys()?)?),
            None => None,
        };
        match &config.s3 {
            None => Self::in_folder(&config.documents, BlobOptions::default(), keys),
            #[cfg(feature = "s3")]
            Some(s3) => {
                let spool = Arc::new(SpoolDir::open(&config.documents, BlobOptions::default(), keys)?);
                let objects = Objects::S3(Arc::new(s3::S3::open(s3, spool.clone())?));
                Ok(Self { spool, objects })
            }
            #[cfg(not(feature = "s3"))]
            Some(_) => Err(BlobError::Refused {
                what: "open the document store",
                cause: "this program was built without S3".into(),
            }),
        }
    }

    /// Opens or makes a store in a folder, without encryption. Blocking; call it at start.
    pub fn open(dir: &Path, options: BlobOptions) -> Result<Self, BlobError> {
        Self::in_folder(dir, options, None)
    }

    /// The same, with encryption where there are keys.
    pub fn in_folder(dir: &Path, options: BlobOptions, keys: Option<KeyRing>) -> Result<Self, BlobError> {
        let spool = Arc::new(SpoolDir::open(dir, options, keys)?);
        Ok(Self { objects: Objects::Fs(Arc::new(fs::Fs::open(dir, spool.clone())?)), spool })
    }

    /// Begins a document.
    pub fn spool(&self) -> Spool {
        Spool::new(self.spool.clone())
    }

    /// Makes a document durable under its key.
    pub async fn commit(&self, document: Spooled) -> Result<BlobKey, BlobError> {
        let key = document.key();
        self.commit_all(vec![document]).await?;
        Ok(key)
    }

    /// Makes several documents durable together; in a folder with one sync for each directory touched.
    /// Gives them back, for a second time if they are swept away before something refers to them. On an
    /// error some may have been kept; they are unreferenced and the sweeper's.
    pub async fn commit_all(&self, documents: Vec<Spooled>) -> Result<Vec<Spooled>, BlobError> {
        metered("store", self.put_all(documents, Over::Nothing)).await
    }

    async fn put_all(&self, mut documents: Vec<Spooled>, over: Over) -> Result<Vec<Spooled>, BlobError> {
        match &self.objects {
            Objects::Fs(fs) => {
                let fs = fs.clone();
                spawn_blocking(move || fs.commit_all(&mut documents, over).map(|()| documents))
                    .await
                    .map_err(task_lost)?
            }
            #[cfg(feature = "s3")]
            Objects::S3(s3) => s3.commit_all(&documents, over).await.map(|()| documents),
        }
    }

    /// Opens a document for reading. Small ones are read whole at once.
    pub async fn read(&self, key: &BlobKey) -> Result<BlobReader, BlobError> {
        let read = async {
            match &self.objects {
                Objects::Fs(fs) => {
                    let opened = BlobReader::open(fs.object(key), key.clone(), self.spool.keys.clone()).await;
                    match opened {
                        // One document missing is another fault than all of them.
                        Err(BlobError::NotFound(key)) => {
                            Err(self.reach().await.err().unwrap_or(BlobError::NotFound(key)))
                        }
                        done => done,
                    }
                }
                #[cfg(feature = "s3")]
                Objects::S3(s3) => s3.read(key).await,
            }
        };
        metered("open", read).await
    }

    /// Is the place of the documents there?
    pub async fn reach(&self) -> Result<(), BlobError> {
        match &self.objects {
            Objects::Fs(fs) => {
                let fs = fs.clone();
                spawn_blocking(move || fs.reach()).await.map_err(task_lost)?
            }
            #[cfg(feature = "s3")]
            Objects::S3(s3) => s3.reach().await,
        }
    }

    /// Was a store ever in this directory? Blocking.
    pub fn is_there(dir: &Path) -> bool {
        dir.join("objects").is_dir()
    }

    pub async fn exists(&self, key: &BlobKey) -> Result<bool, BlobError> {
        match &self.objects {
            Objects::Fs(fs) => {
                let path = fs.object(key);
                spawn_blocking(move || path.try_exists().map_err(doing("look for a document")))
                    .await
                    .map_err(task_lost)?
            }
            #[cfg(feature = "s3")]
            Objects::S3(s3) => s3.exists(key).await,
        }
    }

    /// The objects whose keys begin with this octet, in order of key.
    pub async fn list(&self, prefix: u8) -> Result<Vec<Stored>, BlobError> {
        let list = async {
            match &self.objects {
                Objects::Fs(fs) => {
                    let fs = fs.clone();
                    spawn_blocking(move || fs.list(prefix)).await.map_err(task_lost)?
                }
                #[cfg(feature = "s3")]
                Objects::S3(s3) => s3.list(prefix).await,
            }
        };
        metered("list", list).await
    }

    /// Removes a document at once; false if there was none. The caller vouches that nobody refers to it
    /// nor is about to: beside a running gateway, only [`sweep`](Self::sweep) can.
    pub async fn delete(&self, key: &BlobKey) -> Result<bool, BlobError> {
        let delete = async {
            match &self.objects {
                Objects::Fs(fs) => {
                    let (fs, key) = (fs.clone(), key.clone());
                    spawn_blocking(move || fs.delete(&key)).await.map_err(task_lost)?
                }
                #[cfg(feature = "s3")]
                Objects::S3(s3) => s3.delete(key).await,
            }
        };
        metered("remove", delete).await
    }

    async fn delete_if_old(&self, key: &BlobKey, cutoff: SystemTime) -> Result<Removal, BlobError> {
        let delete = async {
            match &self.objects {
                Objects::Fs(fs) => {
                    let (fs, key) = (fs.clone(), key.clone());
                    spawn_blocking(move || fs.delete_if_old(&key, cutoff)).await.map_err(task_lost)?
                }
                #[cfg(feature = "s3")]
                Objects::S3(s3) => s3.delete_if_old(key, cutoff).await,
            }
        };
        metered("remove", delete).await
    }

    /// Removes old objects that nothing refers to, in the word of the [`Ledger`], and spool leftovers;
    /// see [`SweepAges`]. One at a time over a store: whoever calls it holds a lease.
    pub async fn sweep<L: Ledger>(
        &self,
        now: SystemTime,
        ages: SweepAges,
        ledger: &mut L,
    ) -> Result<Swept, L::Error> {
        sweep::sweep(self, now, ages, ledger).await
    }

    /// Removes what an earlier sweep condemned and did not come to remove.
    pub async fn remove_condemned<L: Ledger>(
        &self,
        condemned: Condemned,
        cutoff: SystemTime,
        ledger: &mut L,
    ) -> Result<Vec<BlobKey>, L::Error> {
        sweep::remove(self, condemned, cutoff, ledger).await
    }

    /// Removes spool files nobody has written since `cutoff`; how many. The folder is this gateway's
    /// own where documents are in a bucket, so each sweeps it.
    pub async fn sweep_spool(&self, cutoff: SystemTime) -> Result<u64, BlobError> {
        let spool = self.spool.clone();
        spawn_blocking(move || spool.sweep(cutoff)).await.map_err(task_lost)?
    }

    /// Tries whether documents can be written, read and removed.
    pub async fn probe(&self) -> Result<(), BlobError> {
        match &self.objects {
            Objects::Fs(fs) => {
                let fs = fs.clone();
                spawn_blocking(move || fs.probe()).await.map_err(task_lost)?
            }
            #[cfg(feature = "s3")]
            Objects::S3(s3) => s3.probe().await,
        }
    }
}

#[cfg(test)]
mod tests;
