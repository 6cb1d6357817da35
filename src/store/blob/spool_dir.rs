//! The local folder in which documents arrive, whatever store they go to.

use std::fs::{DirBuilder, DirEntry, File, OpenOptions, read_dir};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::keys::KeyRing;
use super::spool::TempFile;
use super::{BlobError, BlobOptions, doing};

pub(super) struct SpoolDir {
    dir: PathBuf,
    pub(super) options: BlobOptions,
    /// With keys, documents are written encrypted, here already.
    pub(super) keys: Option<KeyRing>,
}

impl SpoolDir {
    pub(super) fn open(root: &Path, options: BlobOptions, keys: Option<KeyRing>) -> Result<Self, BlobError> {
        let dir = root.join("spool");
        make_dirs(&dir).map_err(doing("make the spool directory"))?;
        sync_dir(root).map_err(doing("sync the document directory"))?;
        Ok(Self { dir, options, keys })
    }

    /// A new file, readable by us alone, removed when the guard drops.
    pub(super) fn temp_file(&self) -> Result<(File, TempFile), BlobError> {
        let path = self.dir.join(uuid::Uuid::new_v4().simple().to_string());
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(doing("make a spool file"))?;
        Ok((file, TempFile::new(path)))
    }

    /// Removes files nobody has written since `cutoff`: what a crash left. How many.
    pub(super) fn sweep(&self, cutoff: SystemTime) -> Result<u64, BlobError> {
        let mut removed = 0;
        for entry in entries(&self.dir)? {
            if remove_if_old(&entry.path(), cutoff)? == Removal::Gone {
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// What became of something that should go if it is old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removal {
    Gone,
    /// It was not there.
    Absent,
    /// It has been touched, and stays.
    Young,
}

pub(super) fn remove_if_old(path: &Path, cutoff: SystemTime) -> Result<Removal, BlobError> {
    match path.metadata().and_then(|m| m.modified()) {
        Ok(modified) if modified < cutoff => remove(path),
        Ok(_) => Ok(Removal::Young),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Removal::Absent),
        Err(e) => Err(doing("look at a document")(e)),
    }
}

pub(super) fn remove(path: &Path) -> Result<Removal, BlobError> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(Removal::Gone),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Removal::Absent),
        Err(e) => Err(doing("remove a document")(e)),
    }
}

/// What a directory holds; nothing if there is none.
pub(super) fn entries(dir: &Path) -> Result<Vec<DirEntry>, BlobError> {
    match read_dir(dir).and_then(Iterator::collect) {
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(vec![]),
        listed => listed.map_err(doing("list documents")),
    }
}

pub(super) fn make_dirs(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
