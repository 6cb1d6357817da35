//! Documents at rest: spool, content-addressed objects, sweeper.
//!
//! A document is spooled while it arrives (hashed and counted as it goes), then committed under the
//! SHA-256 of its bytes. `commit` returns only when file and directories are synced, so the order
//! is: blob durable, then metadata committed, then answered. What a failed request leaves behind is
//! an object nobody refers to, which `sweep` removes later.
//!
//! ```text
//! DIR/spool/<random>             documents still arriving
//! DIR/objects/ab/cd/<sha256>     documents, never changed once there
//! DIR/lock                       shared by commits, exclusive to each removal
//! ```

mod fingerprint;
mod fs;
mod read;
mod spool;
mod sweep;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

pub use fingerprint::Fingerprint;
pub use read::BlobReader;
pub use spool::{Spool, Spooled};
pub use sweep::{SweepAges, Swept};

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
    /// The disk or quota is full; nothing was kept.
    #[error("no room left for documents")]
    NoSpace,
    /// A file is not what was written into it.
    #[error("blob {key} is damaged: {message}")]
    Damaged { key: BlobKey, message: String },
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
}

impl BlobError {
    pub fn is_no_space(&self) -> bool {
        matches!(self, BlobError::NoSpace)
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

/// A place for documents. Clones share it.
#[derive(Clone)]
pub struct Blobs(Inner);

#[derive(Clone)]
enum Inner {
    Fs(Arc<fs::Fs>),
}

impl Blobs {
    /// Opens or makes a store in a local directory. Blocking; call it at start.
    pub fn open(dir: &Path, options: BlobOptions) -> Result<Self, BlobError> {
        Ok(Self(Inner::Fs(Arc::new(fs::Fs::open(dir, options)?))))
    }

    fn fs(&self) -> &Arc<fs::Fs> {
        match &self.0 {
            Inner::Fs(fs) => fs,
        }
    }

    /// Begins a document.
    pub fn spool(&self) -> Spool {
        Spool::new(self.fs().clone())
    }

    /// Makes a document durable under its key.
    pub async fn commit(&self, document: Spooled) -> Result<BlobKey, BlobError> {
        let key = document.key();
        self.commit_all(vec![document]).await?;
        Ok(key)
    }

    /// Makes several documents durable together, with one sync for each directory touched. On an
    /// error some may have been kept; they are unreferenced and the sweeper's.
    pub async fn commit_all(&self, documents: Vec<Spooled>) -> Result<Vec<BlobKey>, BlobError> {
        let fs = self.fs().clone();
        tokio::task::spawn_blocking(move || fs.commit_all(documents)).await.map_err(task_lost)?
    }

    /// Opens a document for reading. Small ones are read whole at once.
    pub async fn read(&self, key: &BlobKey) -> Result<BlobReader, BlobError> {
        let path = self.fs().object(key);
        BlobReader::open(path, key.clone()).await
    }

    pub async fn exists(&self, key: &BlobKey) -> Result<bool, BlobError> {
        let path = self.fs().object(key);
        tokio::task::spawn_blocking(move || path.try_exists().map_err(doing("look for a document")))
            .await
            .map_err(task_lost)?
    }

    /// The keys that begin with these two hexadecimal digits, in order: 256 calls list everything.
    pub async fn keys(&self, begin: u8) -> Result<Vec<BlobKey>, BlobError> {
        let fs = self.fs().clone();
        tokio::task::spawn_blocking(move || sweep::keys(&fs, begin)).await.map_err(task_lost)?
    }

    /// Removes a document at once; false if there was none. The caller vouches that nobody refers to it.
    pub async fn delete(&self, key: &BlobKey) -> Result<bool, BlobError> {
        let (fs, key) = (self.fs().clone(), key.clone());
        tokio::task::spawn_blocking(move || fs.delete(&key)).await.map_err(task_lost)?
    }

    /// Removes spool leftovers and old objects nobody refers to; see [`SweepAges`].
    ///
    /// `referenced` is given some keys and returns those the database refers to.
    pub async fn sweep<F, Fut, E>(
        &self,
        now: std::time::SystemTime,
        ages: SweepAges,
        referenced: F,
    ) -> Result<Swept, E>
    where
        F: FnMut(Vec<BlobKey>) -> Fut,
        Fut: Future<Output = Result<Vec<BlobKey>, E>>,
        E: From<BlobError>,
    {
        sweep::sweep(self.fs().clone(), now, ages, referenced).await
    }
}

#[cfg(test)]
mod tests;
