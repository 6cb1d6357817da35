//! Documents in a local directory.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, DirEntry, File, FileTimes, OpenOptions, read_dir};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::spool::{Body, Spooled, TempFile};
use super::{BlobError, BlobKey, BlobOptions, Stored, doing};

pub(super) struct Fs {
    root: PathBuf,
    pub(super) options: BlobOptions,
    /// A bit for each `ab/cd` whose entries on the way down are known to be on disk.
    synced: Box<[AtomicU64]>,
}

impl Fs {
    pub(super) fn open(root: &Path, options: BlobOptions) -> Result<Self, BlobError> {
        let fs = Self {
            root: root.to_owned(),
            options,
            synced: (0..65_536 / 64).map(|_| AtomicU64::new(0)).collect(),
        };
        make_dirs(&fs.spool_dir()).map_err(doing("make the spool directory"))?;
        make_dirs(&fs.objects_dir()).map_err(doing("make the document directory"))?;
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(fs.lock_path())
            .map_err(doing("make the lock file"))?;
        sync_dir(&fs.root).map_err(doing("sync the document directory"))?;
        Ok(fs)
    }

    pub(super) fn spool_dir(&self) -> PathBuf {
        self.root.join("spool")
    }

    pub(super) fn objects_dir(&self) -> PathBuf {
        self.root.join("objects")
    }

    fn lock_path(&self) -> PathBuf {
        self.root.join("lock")
    }

    fn dir_of(&self, key: &BlobKey) -> PathBuf {
        let hex = key.as_str();
        self.objects_dir().join(&hex[..2]).join(&hex[2..4])
    }

    pub(super) fn object(&self, key: &BlobKey) -> PathBuf {
        self.dir_of(key).join(key.as_str())
    }

    /// A new file in the spool, readable by us alone, removed when the guard drops.
    pub(super) fn temp_file(&self) -> Result<(File, TempFile), BlobError> {
        let path = self.spool_dir().join(uuid::Uuid::new_v4().simple().to_string());
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(doing("make a spool file"))?;
        Ok((file, TempFile::new(path)))
    }

    pub(super) fn commit_all(&self, documents: Vec<Spooled>) -> Result<Vec<BlobKey>, BlobError> {
        let mut keys = Vec::with_capacity(documents.len());
        let mut dirs = BTreeSet::new();
        for document in documents {
            let key = document.key();
            dirs.insert(self.dir_of(&key));
            self.place(&key, document)?;
            keys.push(key);
        }
        for dir in dirs {
            sync_dir(&dir).map_err(doing("sync a document directory"))?;
        }
        Ok(keys)
    }

    /// Puts a document in its place, its bytes synced; the directory is not yet.
    fn place(&self, key: &BlobKey, document: Spooled) -> Result<(), BlobError> {
        self.make_dir_of(key)?;
        // What stands there was synced before it was renamed into place.
        if self.reuse(key, document.size)? {
            return Ok(());
        }
        let temp = match document.body {
            Body::Memory(bytes) => {
                let (mut file, temp) = self.temp_file()?;
                file.write_all(&bytes).map_err(doing("write a document"))?;
                file.sync_data().map_err(doing("sync a document"))?;
                temp
            }
            Body::File(file, temp) => {
                file.sync_data().map_err(doing("sync a document"))?;
                temp
            }
        };
        let _lock = self.lock_shared()?;
        temp.rename(&self.object(key)).map_err(doing("put a document in its place"))
    }

    /// Is the document here already? Then it is made young, so that a sweep running now lets it be:
    /// it checks the age again under the exclusive lock.
    fn reuse(&self, key: &BlobKey, size: u64) -> Result<bool, BlobError> {
        let _lock = self.lock_shared()?;
        let file = match File::open(self.object(key)) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(doing("open a document")(e)),
        };
        let there = file.metadata().map_err(doing("open a document"))?.len();
        if there != size {
            tracing::error!(key = %key, there, size, "a stored document was damaged and is replaced by a new copy");
            return Ok(false);
        }
        file.set_times(FileTimes::new().set_modified(SystemTime::now()))
            .map_err(doing("touch a document"))?;
        Ok(true)
    }

    /// Makes `objects/ab/cd` with every entry on the way synced; once per directory and start.
    fn make_dir_of(&self, key: &BlobKey) -> Result<(), BlobError> {
        let prefix = usize::from_str_radix(&key.as_str()[..4], 16).unwrap_or_default();
        let Some(word) = self.synced.get(prefix / 64) else { return Ok(()) };
        let bit = 1_u64 << (prefix % 64);
        let dir = self.dir_of(key);
        if word.load(Ordering::Acquire) & bit != 0 {
            return Ok(());
        }
        make_dirs(&dir).map_err(doing("make a document directory"))?;
        for parent in dir.ancestors().skip(1).take(2) {
            sync_dir(parent).map_err(doing("sync a document directory"))?;
        }
        word.fetch_or(bit, Ordering::Release);
        Ok(())
    }

    /// Objects under `objects/ab`; strange files are left out.
    pub(super) fn list(&self, prefix: u8) -> Result<Vec<Stored>, BlobError> {
        let mut found = Vec::new();
        for lower in entries(&self.objects_dir().join(format!("{prefix:02x}")))? {
            for entry in entries(&lower.path())? {
                let Some(key) = entry.file_name().to_str().and_then(BlobKey::parse) else { continue };
                let meta = match entry.metadata() {
                    Ok(meta) => meta,
                    // Removed since the directory was listed.
                    Err(e) if e.kind() == ErrorKind::NotFound => continue,
                    Err(e) => return Err(doing("look at a document")(e)),
                };
                let modified = meta.modified().map_err(doing("look at a document"))?;
                found.push(Stored { key, size: meta.len(), modified });
            }
        }
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    pub(super) fn delete(&self, key: &BlobKey) -> Result<bool, BlobError> {
        let _lock = self.lock_exclusive()?;
        remove(&self.object(key))
    }

    /// Removes an object if it is still older than `cutoff`.
    pub(super) fn delete_if_old(&self, path: &Path, cutoff: SystemTime) -> Result<bool, BlobError> {
        let _lock = self.lock_exclusive()?;
        match path.metadata().and_then(|m| m.modified()) {
            Ok(modified) if modified < cutoff => remove(path),
            Ok(_) => Ok(false),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(doing("look at a document")(e)),
        }
    }

    // A lock belongs to an open file, so each holder opens its own; it ends with the file, also when
    // the process dies, and holds between processes that share the directory.

    fn lock_shared(&self) -> Result<File, BlobError> {
        let file = File::open(self.lock_path()).map_err(doing("open the lock file"))?;
        file.lock_shared().map_err(doing("lock the document store"))?;
        Ok(file)
    }

    fn lock_exclusive(&self) -> Result<File, BlobError> {
        let file = File::open(self.lock_path()).map_err(doing("open the lock file"))?;
        file.lock().map_err(doing("lock the document store"))?;
        Ok(file)
    }
}

/// What a directory holds; nothing if there is none.
fn entries(dir: &Path) -> Result<Vec<DirEntry>, BlobError> {
    match read_dir(dir).and_then(Iterator::collect) {
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(vec![]),
        listed => listed.map_err(doing("list documents")),
    }
}

fn remove(path: &Path) -> Result<bool, BlobError> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(doing("remove a document")(e)),
    }
}

fn make_dirs(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
