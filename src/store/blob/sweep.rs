//! Removes what nobody refers to.
//!
//! A request that fails between its blob and its metadata leaves an object behind; a crash leaves
//! spool files. An object goes when the database does not know it and nothing has touched it for
//! the grace time, which must be longer than any request may take. A commit that finds its bytes
//! already here makes the file young again under a shared lock; the sweeper looks at the age once
//! more under the exclusive lock before it removes anything, so one of the two always sees the other.

use std::fs::{DirEntry, read_dir};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::spawn_blocking;

use super::fs::Fs;
use super::{BlobError, BlobKey, doing, task_lost};

/// Keys the database is asked about at a time.
const BATCH: usize = 500;

/// How old things must be before they are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SweepAges {
    /// Since the last byte of a spool file was written.
    pub spool: Duration,
    /// Since an object was put in its place or found there again.
    pub object: Duration,
}

impl Default for SweepAges {
    fn default() -> Self {
        Self { spool: Duration::from_secs(24 * 3600), object: Duration::from_secs(24 * 3600) }
    }
}

/// What a sweep found and removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    pub spool_files: u64,
    pub objects: u64,
    pub object_bytes: u64,
    /// Old objects looked at, referenced ones included.
    pub examined: u64,
}

struct Old {
    key: BlobKey,
    path: PathBuf,
    size: u64,
}

pub(super) async fn sweep<F, Fut, E>(
    fs: Arc<Fs>,
    now: SystemTime,
    ages: SweepAges,
    mut referenced: F,
) -> Result<Swept, E>
where
    F: FnMut(Vec<BlobKey>) -> Fut,
    Fut: Future<Output = Result<Vec<BlobKey>, E>>,
    E: From<BlobError>,
{
    let mut swept = Swept::default();
    let Some(cutoff) = now.checked_sub(ages.object) else { return Ok(swept) };
    if let Some(cutoff) = now.checked_sub(ages.spool) {
        let fs = fs.clone();
        swept.spool_files = blocking(move || sweep_spool(&fs, cutoff)).await?;
    }
    let root = fs.objects_dir();
    for upper in blocking(move || subdirs(&root)).await? {
        let old = blocking(move || old_objects(&upper, cutoff)).await?;
        swept.examined += old.len() as u64;
        let mut old = old.into_iter().peekable();
        while old.peek().is_some() {
            let batch: Vec<Old> = old.by_ref().take(BATCH).collect();
            let known = referenced(batch.iter().map(|o| o.key.clone()).collect()).await?;
            let known: std::collections::HashSet<_> = known.into_iter().collect();
            let fs = fs.clone();
            let (objects, bytes) = blocking(move || {
                let mut removed = (0, 0);
                for o in batch.iter().filter(|o| !known.contains(&o.key)) {
                    if fs.delete_if_old(&o.path, cutoff)? {
                        removed = (removed.0 + 1, removed.1 + o.size);
                    }
                }
                Ok(removed)
            })
            .await?;
            swept.objects += objects;
            swept.object_bytes += bytes;
        }
    }
    Ok(swept)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    spawn_blocking(work).await.map_err(task_lost)?
}

fn sweep_spool(fs: &Fs, cutoff: SystemTime) -> Result<u64, BlobError> {
    let mut removed = 0;
    for entry in entries(&fs.spool_dir())? {
        if fs.delete_if_old(&entry.path(), cutoff)? {
            removed += 1;
        }
    }
    Ok(removed)
}

fn entries(dir: &Path) -> Result<Vec<DirEntry>, BlobError> {
    read_dir(dir).and_then(Iterator::collect).map_err(doing("list documents"))
}

fn subdirs(dir: &Path) -> Result<Vec<PathBuf>, BlobError> {
    let mut dirs: Vec<_> = entries(dir)?.iter().map(DirEntry::path).filter(|p| p.is_dir()).collect();
    dirs.sort();
    Ok(dirs)
}

/// Keys under one `objects/ab`, in order.
pub(super) fn keys(fs: &Fs, begin: u8) -> Result<Vec<BlobKey>, BlobError> {
    let upper = fs.objects_dir().join(format!("{begin:02x}"));
    if !upper.is_dir() {
        return Ok(vec![]);
    }
    let mut keys = Vec::new();
    for lower in subdirs(&upper)? {
        let names = entries(&lower)?;
        keys.extend(names.iter().filter_map(|e| e.file_name().to_str().and_then(BlobKey::parse)));
    }
    keys.sort_unstable();
    Ok(keys)
}

/// Objects under `objects/ab` not touched since `cutoff`; strange files are left alone.
fn old_objects(upper: &Path, cutoff: SystemTime) -> Result<Vec<Old>, BlobError> {
    let mut old = Vec::new();
    for lower in subdirs(upper)? {
        for entry in entries(&lower)? {
            let Some(key) = entry.file_name().to_str().and_then(BlobKey::parse) else { continue };
            let meta = match entry.metadata() {
                Ok(meta) => meta,
                // Removed since the directory was listed.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(doing("look at a document")(e)),
            };
            if meta.modified().map_err(doing("look at a document"))? < cutoff {
                old.push(Old { key, path: entry.path(), size: meta.len() });
            }
        }
    }
    Ok(old)
}
