//! A document on its way in: hashed and counted while it is written.
//!
//! Bytes are gathered into blocks; each full block goes to three short tasks, one for each hash and
//! one writing, while the next block fills: each hash alone runs at about the rate of a disk. No thread is held
//! while a slow sender thinks, and memory is two blocks for each document. Every [`WRITEBACK`] bytes another task syncs what is
//! there, so that the sync at commit finds little left. With keys, what is written is encrypted.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use tokio::task::{JoinHandle, spawn_blocking};

use super::envelope::{HEAD, Sealer};
use super::spool_dir::SpoolDir;
use super::{BlobError, BlobKey, doing, task_lost};

const BLOCK: usize = 256 * 1024;
const WRITEBACK: u64 = 32 * 1024 * 1024;

/// A document being written. Dropping it removes what it left on disk.
pub struct Spool {
    dir: Arc<SpoolDir>,
    block: Vec<u8>,
    /// The block sent last, whose memory serves again: a large document fills two blocks in turn.
    sent: Option<Arc<Vec<u8>>>,
    size: u64,
    sha1: Lane<Sha1>,
    sha256: Lane<Sha256>,
    file: Option<(Lane<Writing>, TempFile)>,
}

/// Work that is either here or with a blocking task.
enum Lane<T> {
    Here(T),
    Away(JoinHandle<Result<T, BlobError>>),
    /// The task failed; its error was given out.
    Gone,
}

impl<T: Send + 'static> Lane<T> {
    /// Waits for the task and takes the state out.
    async fn take(&mut self) -> Result<T, BlobError> {
        match std::mem::replace(self, Lane::Gone) {
            Lane::Here(state) => Ok(state),
            Lane::Away(task) => task.await.map_err(task_lost)?,
            Lane::Gone => {
                Err(BlobError::Io { what: "write a document", source: io::Error::other("it failed before") })
            }
        }
    }

    /// Sends the state on its next errand.
    async fn send(
        &mut self,
        work: impl FnOnce(&mut T) -> Result<(), BlobError> + Send + 'static,
    ) -> Result<(), BlobError> {
        let mut state = self.take().await?;
        *self = Lane::Away(spawn_blocking(move || work(&mut state).map(|()| state)));
        Ok(())
    }
}

struct Writing {
    file: Arc<File>,
    /// Bytes written since the last sync was started.
    unsynced: u64,
    sync: Option<JoinHandle<io::Result<()>>>,
    sealing: Option<Sealing>,
}

/// Encryption on the way to the file; the head is written last, when it is known whose it is.
struct Sealing {
    sealer: Sealer,
    frames: Vec<u8>,
}

impl Writing {
    fn new(file: File, dir: &SpoolDir) -> Result<Self, BlobError> {
        let sealing = match &dir.keys {
            Some(_) => {
                (&file).write_all(&[0; HEAD]).map_err(doing("write a document"))?;
                Some(Sealing { sealer: Sealer::new()?, frames: Vec::new() })
            }
            None => None,
        };
        Ok(Self { file: Arc::new(file), unsynced: 0, sync: None, sealing })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        let written = match &mut self.sealing {
            Some(Sealing { sealer, frames }) => {
                frames.clear();
                sealer.push(bytes, frames)?;
                frames
            }
            None => bytes,
        };
        (&*self.file).write_all(written).map_err(doing("write a document"))?;
        self.unsynced += bytes.len() as u64;
        if self.unsynced >= WRITEBACK && self.sync.as_ref().is_none_or(JoinHandle::is_finished) {
            self.unsynced = 0;
            let file = self.file.clone();
            self.sync = Some(spawn_blocking(move || file.sync_data()));
        }
        Ok(())
    }

    /// The last frame and the head, where there are any.
    fn finish(&mut self, key: &BlobKey, dir: &SpoolDir) -> Result<(), BlobError> {
        let (Some(Sealing { sealer, mut frames }), Some(ring)) = (self.sealing.take(), &dir.keys) else {
            return Ok(());
        };
        frames.clear();
        let head = sealer.finish(key, ring, &mut frames)?;
        let mut file = &*self.file;
        file.write_all(&frames).and_then(|()| file.write_all_at(&head, 0)).map_err(doing("write a document"))
    }
}

impl Spool {
    pub(super) fn new(dir: Arc<SpoolDir>) -> Self {
        Self {
            dir,
            block: Vec::new(),
            sent: None,
            size: 0,
            sha1: Lane::Here(Sha1::new()),
            sha256: Lane::Here(Sha256::new()),
            file: None,
        }
    }

    /// Bytes written so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends bytes. After an error the spool is of no more use.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), BlobError> {
        self.size += bytes.len() as u64;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let limit = if self.file.is_some() { BLOCK } else { self.dir.options.memory_limit };
            if self.block.len() >= limit {
                if self.file.is_none() && self.block.len() < BLOCK {
                    self.open_file().await?;
                } else {
                    self.flush().await?;
                }
                continue;
            }
            let (now, later) = rest.split_at(rest.len().min(limit - self.block.len()));
            self.block.extend_from_slice(now);
            rest = later;
        }
        Ok(())
    }

    async fn open_file(&mut self) -> Result<(), BlobError> {
        let dir = self.dir.clone();
        let open = move || -> Result<_, BlobError> {
            let (file, temp) = dir.temp_file()?;
            Ok((Writing::new(file, &dir)?, temp))
        };
        let (writing, temp) = spawn_blocking(open).await.map_err(task_lost)??;
        self.file = Some((Lane::Here(writing), temp));
        Ok(())
    }

    /// Sends the block to be hashed and written.
    async fn flush(&mut self) -> Result<(), BlobError> {
        if self.file.is_none() {
            self.open_file().await?;
        }
        let block = Arc::new(std::mem::take(&mut self.block));
        let bytes = block.clone();
        self.sha256.send(move |hash| hashed(hash, &bytes)).await?;
        let bytes = block.clone();
        self.sha1.send(move |hash| hashed(hash, &bytes)).await?;
        if let Some((lane, _)) = &mut self.file {
            let bytes = block.clone();
            lane.send(move |writing| writing.write(&bytes)).await?;
        }
        // Each lane has waited for its last errand, so nobody reads the block before this one.
        self.block = self.sent.replace(block).and_then(Arc::into_inner).unwrap_or_default();
        self.block.clear();
        self.block.reserve_exact(BLOCK);
        Ok(())
    }

    /// Ends the document. Not durable before it is committed.
    pub async fn finish(mut self) -> Result<Spooled, BlobError> {
        if self.file.is_some() {
            self.flush().await?;
        }
        let (mut sha1, mut sha256) = (self.sha1.take().await?, self.sha256.take().await?);
        if self.file.is_none() {
            sha1.update(&self.block);
            sha256.update(&self.block);
        }
        let sha256_hex = hex(&sha256.finalize());
        let body = match self.file.take() {
            None => Body::Memory(std::mem::take(&mut self.block)),
            Some((mut lane, temp)) => {
                if self.dir.keys.is_some() {
                    let (key, dir) = (BlobKey(sha256_hex.clone()), self.dir.clone());
                    lane.send(move |writing| writing.finish(&key, &dir)).await?;
                }
                let writing = lane.take().await?;
                if let Some(sync) = writing.sync {
                    // A failed write-back is reported here; a later sync may claim success.
                    sync.await.map_err(task_lost)?.map_err(doing("sync a document"))?;
                }
                Body::File(writing.file, Some(temp))
            }
        };
        Ok(Spooled { sha1_hex: hex(&sha1.finalize()), sha256_hex, size: self.size, body })
    }
}

fn hashed(hash: &mut impl sha1::Digest, bytes: &[u8]) -> Result<(), BlobError> {
    hash.update(bytes);
    Ok(())
}

/// A complete document, not yet kept. Dropping it removes what it left on disk.
pub struct Spooled {
    /// As in `DocumentEntry.hash` (ITI TF-3 4.2.3.2.10), lower case.
    pub sha1_hex: String,
    pub sha256_hex: String,
    pub size: u64,
    pub(super) body: Body,
}

pub(super) enum Body {
    /// As it came.
    Memory(Vec<u8>),
    /// As it is to lie in the store. The file's name, until it is renamed into its place there.
    File(Arc<File>, Option<TempFile>),
}

impl Spooled {
    /// The bytes of a document that fits into a block: 256 KiB.
    pub fn small(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Memory(bytes) => Some(bytes),
            Body::File(..) => None,
        }
    }

    /// Where the document will be kept.
    pub fn key(&self) -> BlobKey {
        BlobKey(self.sha256_hex.clone())
    }
}

/// Removes its file when dropped, unless renamed away.
pub(super) struct TempFile(Option<PathBuf>);

impl TempFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(Some(path))
    }

    pub(super) fn rename(mut self, to: &Path) -> io::Result<()> {
        if let Some(from) = &self.0 {
            std::fs::rename(from, to)?;
        }
        self.0 = None;
        Ok(())
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            // What cannot be removed now is left to the sweeper. Freeing a large file takes the disk
            // a while, so it is not done on a runtime thread.
            let remove = move || {
                let _ = std::fs::remove_file(path);
            };
            match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn_blocking(remove)),
                Err(_) => remove(),
            }
        }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]).collect()
}
