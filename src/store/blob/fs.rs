//! Documents in a folder: on a local disk, or on a network file system that several gateways share.

use std::collections::BTreeSet;
use std::fs::{File, FileTimes, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::envelope::{self, HEAD, SLOTS};
use super::keys::KeyRing;
use super::spool::{Body, Spooled, TempFile};
use super::spool_dir::{Removal, SpoolDir, entries, make_dirs, remove, remove_if_old, sync_dir};
use super::{BlobError, BlobKey, Rekeyed, Stored, doing};

/// What a commit may write over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// What is there in its full size stays.
    Nothing,
    /// What is there is put in another form.
    Anything,
}

pub(super) struct Fs {
    objects: PathBuf,
    spool: Arc<SpoolDir>,
    /// A bit for each `ab/cd` whose entries on the way down are known to be on disk.
    synced: Box<[AtomicU64]>,
}

impl Fs {
    pub(super) fn open(root: &Path, spool: Arc<SpoolDir>) -> Result<Self, BlobError> {
        let objects = root.join("objects");
        make_dirs(&objects).map_err(doing("make the document directory"))?;
        sync_dir(root).map_err(doing("sync the document directory"))?;
        Ok(Self { objects, spool, synced: (0..65_536 / 64).map(|_| AtomicU64::new(0)).collect() })
    }

    fn dir_of(&self, key: &BlobKey) -> PathBuf {
        let hex = key.as_str();
        self.objects.join(&hex[..2]).join(&hex[2..4])
    }

    pub(super) fn object(&self, key: &BlobKey) -> PathBuf {
        self.dir_of(key).join(key.as_str())
    }

    /// Is the folder there, and ours? Where a disk is not mounted there are no objects.
    pub(super) fn reach(&self) -> Result<(), BlobError> {
        self.objects.read_dir().map(drop).map_err(doing("open the document directory"))
    }

    pub(super) fn commit_all(&self, documents: &mut [Spooled], over: Over) -> Result<(), BlobError> {
        // Before a directory is made: where a disk is not mounted, none of its directories may come to be.
        self.reach()?;
        let mut dirs = BTreeSet::new();
        for document in documents {
            let key = document.key();
            dirs.insert(self.dir_of(&key));
            self.place(&key, document, over)?;
        }
        for dir in dirs {
            sync_dir(&dir).map_err(doing("sync a document directory"))?;
        }
        Ok(())
    }

    /// Puts a document in its place, its bytes synced; the directory is not yet.
    fn place(&self, key: &BlobKey, document: &mut Spooled, over: Over) -> Result<(), BlobError> {
        self.make_dir_of(key)?;
        // What stands there was synced before it was renamed into place.
        if over == Over::Nothing && self.reuse(key, document.size)? {
            return Ok(());
        }
        let temp = match &mut document.body {
            Body::Memory(bytes) => {
                let (mut file, temp) = self.spool.temp_file()?;
                let write =
                    |file: &mut File, bytes: &[u8]| file.write_all(bytes).map_err(doing("write a document"));
                match &self.spool.keys {
                    Some(ring) => write(&mut file, &envelope::seal(bytes, key, ring)?)?,
                    None => write(&mut file, bytes)?,
                }
                file.sync_data().map_err(doing("sync a document"))?;
                temp
            }
            Body::File(file, temp) => {
                file.sync_data().map_err(doing("sync a document"))?;
                match temp.take() {
                    Some(temp) => temp,
                    // It was put in its place before, and swept from there.
                    None => self.copy(file)?,
                }
            }
        };
        temp.rename(&self.object(key)).map_err(doing("put a document in its place"))
    }

    fn copy(&self, from: &File) -> Result<TempFile, BlobError> {
        let (mut file, temp) = self.spool.temp_file()?;
        let mut block = vec![0; 256 * 1024];
        let mut at = 0;
        loop {
            let read = from.read_at(&mut block, at).map_err(doing("read a spool file"))?;
            let Some(octets) = block.get(..read).filter(|o| !o.is_empty()) else { break };
            file.write_all(octets).map_err(doing("write a document"))?;
            at += read as u64;
        }
        file.sync_data().map_err(doing("sync a document"))?;
        Ok(temp)
    }

    /// Is the document here already? Then it is made young, so that a sweeper that has not condemned
    /// it yet lets it be.
    fn reuse(&self, key: &BlobKey, size: u64) -> Result<bool, BlobError> {
        let file = match File::open(self.object(key)) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(doing("open a document")(e)),
        };
        let there = file.metadata().map_err(doing("open a document"))?.len();
        if !super::fits(there, size) {
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
        for lower in entries(&self.objects.join(format!("{prefix:02x}")))? {
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
        Ok(remove(&self.object(key))? == Removal::Gone)
    }

    pub(super) fn delete_if_old(&self, key: &BlobKey, cutoff: SystemTime) -> Result<Removal, BlobError> {
        remove_if_old(&self.object(key), cutoff)
    }

    /// Wraps a document's key under the first key. Its octets stay where they are: the two places in
    /// the head are written one after the other, each synced.
    pub(super) fn rekey(&self, key: &BlobKey, ring: &KeyRing) -> Result<Rekeyed, BlobError> {
        let mut file = match OpenOptions::new().read(true).write(true).open(self.object(key)) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Rekeyed::Absent),
            Err(e) => return Err(doing("open a document")(e)),
        };
        let mut head = Vec::with_capacity(HEAD);
        (&file).take(HEAD as u64).read_to_end(&mut head).map_err(doing("read a document"))?;
        if !envelope::is_sealed(&head) {
            return Ok(Rekeyed::Clear);
        }
        match envelope::rewrapped(&head, key, ring) {
            Ok(None) => Ok(Rekeyed::Current),
            Ok(Some(wrapped)) => {
                for at in SLOTS.into_iter().rev() {
                    file.write_all_at(&wrapped, at as u64)
                        .and_then(|()| file.sync_data())
                        .map_err(doing("wrap a document's key"))?;
                }
                Ok(Rekeyed::Wrapped)
            }
            Err(_) if is_clear(&mut file, key).map_err(doing("read a document"))? => Ok(Rekeyed::Clear),
            Err(locked) => Err(envelope::locked(key, locked)),
        }
    }

    /// Writes and removes a file beside the objects.
    pub(super) fn probe(&self) -> Result<(), BlobError> {
        let (mut file, temp) = self.spool.temp_file()?;
        file.write_all(b"probe").and_then(|()| file.sync_data()).map_err(doing("write a document"))?;
        let place = self.objects.join(format!("probe-{}", uuid::Uuid::new_v4().simple()));
        temp.rename(&place).map_err(doing("put a document in its place"))?;
        remove(&place).map(|_| ())
    }
}

/// Whether a file's octets are those its name says, as they lie there.
pub(super) fn is_clear(file: &mut File, key: &BlobKey) -> io::Result<bool> {
    use std::io::Seek as _;

    use sha2::{Digest as _, Sha256};
    file.seek(io::SeekFrom::Start(0))?;
    let mut hash = Sha256::new();
    let mut block = vec![0; 256 * 1024];
    loop {
        let read = file.read(&mut block)?;
        match block.get(..read) {
            Some(octets) if !octets.is_empty() => hash.update(octets),
            _ => return Ok(super::spool::hex(&hash.finalize()) == key.as_str()),
        }
    }
}
