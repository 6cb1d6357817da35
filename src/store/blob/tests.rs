use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use tempfile::TempDir;

use super::*;
use crate::config::encryption::SecretKey;

#[cfg(feature = "s3")]
#[path = "../../../tests/it/support/s3.rs"]
mod s3_server;

fn store() -> (Blobs, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Blobs::open(dir.path(), BlobOptions::default()).unwrap(), dir)
}

/// Keys of these octets, the one that writes first.
fn ring(keys: &[u8]) -> KeyRing {
    KeyRing::new(&keys.iter().map(|k| SecretKey([*k; 32])).collect::<Vec<_>>()).unwrap()
}

fn encrypted(dir: &TempDir, keys: &[u8]) -> Blobs {
    Blobs::in_folder(dir.path(), BlobOptions::default(), Some(ring(keys))).unwrap()
}

#[cfg(feature = "s3")]
fn in_bucket(place: &s3_server::Place, dir: &TempDir, keys: Option<KeyRing>) -> Blobs {
    let config = crate::config::S3Config {
        endpoint: Some(place.endpoint.clone()),
        bucket: place.bucket.clone(),
        prefix: place.prefix.clone(),
        credentials: Some(place.credentials(dir.path())),
        part_mib: 5,
        region: "us-east-1".into(),
        answer_seconds: 30,
        ..Default::default()
    };
    let spool = Arc::new(SpoolDir::open(dir.path(), BlobOptions::default(), keys).unwrap());
    let s3 = Arc::new(s3::S3::open(&config, spool.clone()).unwrap());
    Blobs { spool, objects: Objects::S3(s3) }
}

/// A store of each kind: in a folder and in a bucket, clear and encrypted.
fn stores() -> Vec<(&'static str, Blobs, TempDir)> {
    let mut all = vec![];
    for (name, keys) in [("folder", None), ("folder, encrypted", Some(ring(&[1])))] {
        let dir = tempfile::tempdir().unwrap();
        all.push((name, Blobs::in_folder(dir.path(), BlobOptions::default(), keys).unwrap(), dir));
    }
    #[cfg(feature = "s3")]
    for (name, keys) in [("bucket", None), ("bucket, encrypted", Some(ring(&[1])))] {
        let dir = tempfile::tempdir().unwrap();
        all.push((name, in_bucket(&s3_server::Place::fresh(), &dir, keys), dir));
    }
    all
}

/// Every object of a store.
async fn listed(blobs: &Blobs) -> Vec<BlobKey> {
    let mut all = vec![];
    for prefix in 0..=u8::MAX {
        all.extend(blobs.list(prefix).await.unwrap().into_iter().map(|o| o.key));
    }
    all
}

fn object(dir: &TempDir, key: &BlobKey) -> PathBuf {
    let hex = key.as_str();
    dir.path().join("objects").join(&hex[..2]).join(&hex[2..4]).join(hex)
}

/// Bytes that differ from block to block.
fn sample(len: usize) -> Bytes {
    (0..len).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect::<Vec<_>>().into()
}

async fn spooled(blobs: &Blobs, bytes: &Bytes, chunk: usize) -> Spooled {
    let mut spool = blobs.spool();
    let mut rest = bytes.clone();
    while !rest.is_empty() {
        spool.write(rest.split_to(chunk.min(rest.len()))).await.unwrap();
    }
    assert_eq!(spool.size(), bytes.len() as u64);
    spool.finish().await.unwrap()
}

async fn content(blobs: &Blobs, key: &BlobKey) -> Vec<u8> {
    let reader = blobs.read(key).await.unwrap();
    let size = reader.size();
    let chunks: Vec<Bytes> = reader.try_collect().await.unwrap();
    assert!(chunks.iter().all(|c| c.len() <= 1 << 20 && !c.is_empty()));
    let all = chunks.concat();
    assert_eq!(all.len() as u64, size);
    all
}

fn files(dir: PathBuf) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(path)) } else { found.push(path) }
    }
    found
}

/// Temporary files are removed on another thread; gives it its turn.
async fn spool_is_empty(dir: &TempDir) -> bool {
    for _ in 0..100_000 {
        if files(dir.path().join("spool")).is_empty() {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

const DAYS_2: Duration = Duration::from_secs(48 * 3600);

/// A ledger of keys that are referred to.
#[derive(Default)]
struct Known {
    keys: Vec<BlobKey>,
    settled: (Vec<BlobKey>, Vec<BlobKey>),
}

impl Ledger for Known {
    type Error = BlobError;

    async fn condemn(&mut self, objects: Vec<Stored>) -> Result<Condemned, BlobError> {
        let keys = objects.into_iter().map(|o| o.key).filter(|k| !self.keys.contains(k)).collect();
        Ok(Condemned { keys, until: std::time::Instant::now() + DAYS_2 })
    }

    async fn settle(&mut self, gone: Vec<BlobKey>, spared: Vec<BlobKey>) -> Result<(), BlobError> {
        self.settled.0.extend(gone);
        self.settled.1.extend(spared);
        Ok(())
    }
}

async fn sweep(blobs: &Blobs, now: SystemTime, known: &[BlobKey]) -> Swept {
    let mut ledger = Known { keys: known.to_vec(), ..Known::default() };
    let swept = blobs.sweep(now, SweepAges::default(), &mut ledger).await.unwrap();
    assert_eq!(ledger.settled.0.len() as u64, swept.objects);
    swept
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_every_size_come_back() {
    let k64 = 64 * 1024;
    for (name, blobs, dir) in stores() {
        for len in
            [0, 1, 20_000, k64 - 1, k64, k64 + 1, 2 * k64, 2 * k64 + 1, 8 * k64, 8 * k64 + 1, 40 * k64 + 7]
        {
            for chunk in [1000, 3 * k64] {
                let bytes = sample(len);
                let document = spooled(&blobs, &bytes, chunk).await;
                assert_eq!(document.size, len as u64);
                assert_eq!(document.sha1_hex, hex(&sha1(&bytes)));
                assert_eq!(matches!(document.body, spool::Body::Memory(_)), len <= k64, "{len}");
                let key = blobs.commit(document).await.unwrap();
                assert_eq!(content(&blobs, &key).await, bytes, "{name}: {len} in {chunk}");
                assert!(blobs.exists(&key).await.unwrap());
            }
        }
        assert!(spool_is_empty(&dir).await, "{name}");
        assert_eq!(listed(&blobs).await.len(), 11, "{name}");
    }
}

fn sha1(bytes: &[u8]) -> Vec<u8> {
    use sha1::Digest as _;
    sha1::Sha1::digest(bytes).to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn known_hashes() {
    let (blobs, _dir) = store();
    let document = spooled(&blobs, &Bytes::from_static(b"abc"), 1).await;
    assert_eq!(document.sha1_hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_eq!(document.sha256_hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert!(BlobKey::parse(&document.sha256_hex).is_some());
    for bad in ["", "../../etc/passwd", &document.sha256_hex.to_uppercase(), &document.sha256_hex[1..]] {
        assert_eq!(BlobKey::parse(bad), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_leaves_nothing() {
    let (blobs, dir) = store();
    let big = sample(3_000_000);
    let mut spool = blobs.spool();
    spool.write(big.clone()).await.unwrap();
    assert!(!files(dir.path().join("spool")).is_empty());
    drop(spool);
    drop(spooled(&blobs, &big, 100_000).await);
    assert!(spool_is_empty(&dir).await);
    assert!(files(dir.path().join("objects")).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_document_many_times_at_once() {
    for (_, blobs, dir) in stores() {
        for len in [5_000, 500_000] {
            let bytes = sample(len);
            let tasks: Vec<_> = (0..32)
                .map(|_| {
                    let (blobs, bytes) = (blobs.clone(), bytes.clone());
                    tokio::spawn(async move {
                        let document = spooled(&blobs, &bytes, 70_000).await;
                        blobs.commit(document).await.unwrap()
                    })
                })
                .collect();
            for task in tasks {
                assert_eq!(content(&blobs, &task.await.unwrap()).await, bytes);
            }
        }
        assert_eq!(listed(&blobs).await.len(), 2);
        assert!(spool_is_empty(&dir).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_documents_are_committed_together() {
    for (name, blobs, _dir) in stores() {
        let mut documents = vec![];
        for len in [10, 100_000, 10] {
            documents.push(spooled(&blobs, &sample(len), 4096).await);
        }
        let documents = blobs.commit_all(documents).await.unwrap();
        let keys: Vec<BlobKey> = documents.iter().map(Spooled::key).collect();
        assert_eq!(keys[0], keys[2]);
        assert_eq!(content(&blobs, &keys[1]).await, sample(100_000));
        // A second time, as after a sweep.
        for key in [&keys[0], &keys[1]] {
            assert!(blobs.delete(key).await.unwrap(), "{name}");
        }
        blobs.commit_all(documents).await.unwrap();
        assert_eq!(content(&blobs, &keys[0]).await, sample(10), "{name}");
        assert_eq!(content(&blobs, &keys[1]).await, sample(100_000), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_noticed_and_mended_by_the_next_copy() {
    let (blobs, dir) = store();
    let bytes = sample(1_000_000);
    let key = blobs.commit(spooled(&blobs, &bytes, 65_536).await).await.unwrap();
    let reader = blobs.read(&key).await.unwrap();
    fs::File::options().write(true).open(object(&dir, &key)).unwrap().set_len(300_000).unwrap();
    let read: Result<Vec<Bytes>, _> = reader.try_collect().await;
    assert!(matches!(read, Err(BlobError::Damaged { .. })));
    blobs.commit(spooled(&blobs, &bytes, 65_536).await).await.unwrap();
    assert_eq!(content(&blobs, &key).await, bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_found() {
    for (name, blobs, _dir) in stores() {
        let key = BlobKey::parse(&"0".repeat(64)).unwrap();
        assert!(matches!(blobs.read(&key).await, Err(BlobError::NotFound(k)) if k == key), "{name}");
        assert!(!blobs.exists(&key).await.unwrap());
        assert!(!blobs.delete(&key).await.unwrap());
        let there = blobs.commit(spooled(&blobs, &sample(9), 9).await).await.unwrap();
        assert!(blobs.delete(&there).await.unwrap());
        assert!(matches!(blobs.read(&there).await, Err(BlobError::NotFound(_))));
    }
}

#[test]
fn a_full_disk_is_told_apart() {
    assert!(doing("x")(io::ErrorKind::StorageFull.into()).is_no_space());
    assert!(doing("x")(io::ErrorKind::QuotaExceeded.into()).is_no_space());
    assert!(!doing("x")(io::ErrorKind::PermissionDenied.into()).is_no_space());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweeper_takes_old_orphans_only() {
    for (name, blobs, dir) in stores() {
        let known = blobs.commit(spooled(&blobs, &sample(10), 10).await).await.unwrap();
        let orphan = blobs.commit(spooled(&blobs, &sample(2_000_000), 100_000).await).await.unwrap();
        assert!(spool_is_empty(&dir).await);
        fs::write(dir.path().join("spool/left-by-a-crash"), b"x").unwrap();
        let now = SystemTime::now();

        assert_eq!(sweep(&blobs, now, &[]).await, Swept::default());
        let swept = sweep(&blobs, now + DAYS_2, std::slice::from_ref(&known)).await;
        assert_eq!((swept.spool_files, swept.objects, swept.examined), (1, 1, 2), "{name}");
        assert!(fits(swept.object_bytes, 2_000_000));
        assert!(blobs.exists(&known).await.unwrap());
        assert!(!blobs.exists(&orphan).await.unwrap());
        assert!(files(dir.path().join("spool")).is_empty());
    }
}

/// Commits a document again when its key is condemned, between that and the removal.
struct Late<'a> {
    blobs: &'a Blobs,
    bytes: Bytes,
    spared: Vec<BlobKey>,
}

impl Ledger for Late<'_> {
    type Error = BlobError;

    async fn condemn(&mut self, objects: Vec<Stored>) -> Result<Condemned, BlobError> {
        self.blobs.commit(spooled(self.blobs, &self.bytes, 10).await).await?;
        let keys = objects.into_iter().map(|o| o.key).collect();
        Ok(Condemned { keys, until: std::time::Instant::now() + DAYS_2 })
    }

    async fn settle(&mut self, gone: Vec<BlobKey>, spared: Vec<BlobKey>) -> Result<(), BlobError> {
        assert_eq!(gone, []);
        self.spared.extend(spared);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_found_again_is_young_again() {
    let (blobs, dir) = store();
    let bytes = sample(10);
    let key = blobs.commit(spooled(&blobs, &bytes, 10).await).await.unwrap();
    let now = SystemTime::now();
    fs::File::open(object(&dir, &key)).unwrap().set_modified(now - DAYS_2).unwrap();
    let mut late = Late { blobs: &blobs, bytes: bytes.clone(), spared: vec![] };
    let swept = blobs.sweep(now, SweepAges::default(), &mut late).await.unwrap();
    assert_eq!(swept, Swept { examined: 1, ..Swept::default() });
    assert_eq!(late.spared, std::slice::from_ref(&key));
    assert_eq!(content(&blobs, &key).await, bytes);
}

/// Condemns everything, and has no more time to remove it.
struct OutOfTime;

impl Ledger for OutOfTime {
    type Error = BlobError;

    async fn condemn(&mut self, objects: Vec<Stored>) -> Result<Condemned, BlobError> {
        let keys = objects.into_iter().map(|o| o.key).collect();
        Ok(Condemned { keys, until: std::time::Instant::now() })
    }

    async fn settle(&mut self, _: Vec<BlobKey>, _: Vec<BlobKey>) -> Result<(), BlobError> {
        panic!("nothing became of anything")
    }
}

/// Does not know.
struct Failing;

impl Ledger for Failing {
    type Error = BlobError;

    async fn condemn(&mut self, _: Vec<Stored>) -> Result<Condemned, BlobError> {
        Err(BlobError::NoSpace)
    }

    async fn settle(&mut self, _: Vec<BlobKey>, _: Vec<BlobKey>) -> Result<(), BlobError> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_question_and_a_lease_that_ends_remove_nothing() {
    let (blobs, _dir) = store();
    let key = blobs.commit(spooled(&blobs, &sample(10), 10).await).await.unwrap();
    let later = SystemTime::now() + DAYS_2;
    assert!(blobs.sweep(later, SweepAges::default(), &mut Failing).await.is_err());
    assert!(blobs.exists(&key).await.unwrap());
    let swept = blobs.sweep(later, SweepAges::default(), &mut OutOfTime).await.unwrap();
    assert_eq!(swept, Swept { examined: 1, ..Swept::default() });
    assert!(blobs.exists(&key).await.unwrap());
}

// === encryption ===

/// Whether a needle lies in clear in any file of a store, the spool included.
fn lies_in_clear(dir: &TempDir, needle: &[u8]) -> bool {
    files(dir.path().to_owned())
        .iter()
        .any(|path| memchr::memmem::find(&fs::read(path).unwrap(), needle).is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_lies_in_clear_not_even_while_it_comes() {
    let needle = b"A patient's name, five times over";
    let mut bytes = needle.repeat(30_000);
    bytes.truncate(900_000);
    for (keys, seen) in [(None, true), (Some(ring(&[1])), false)] {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::in_folder(dir.path(), BlobOptions::default(), keys).unwrap();
        let mut spool = blobs.spool();
        spool.write(Bytes::from(bytes.clone())).await.unwrap();
        let document = spool.finish().await.unwrap();
        assert_eq!(lies_in_clear(&dir, needle), seen);
        let key = blobs.commit(document).await.unwrap();
        blobs.commit(spooled(&blobs, &Bytes::from_static(needle), 10).await).await.unwrap();
        assert_eq!(lies_in_clear(&dir, needle), seen);
        assert_eq!(content(&blobs, &key).await, bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clear_documents_stay_readable_and_are_encrypted_on_request() {
    let (clear, dir) = store();
    let bytes = sample(200_000);
    let key = clear.commit(spooled(&clear, &bytes, 4096).await).await.unwrap();
    let sealed = encrypted(&dir, &[1]);
    assert_eq!(content(&sealed, &key).await, bytes);
    // The same document again is not kept twice.
    sealed.commit(spooled(&sealed, &bytes, 4096).await).await.unwrap();
    assert_eq!(sealed.rekey(&key).await.unwrap(), Rekeyed::Clear);
    sealed.encrypt(&key).await.unwrap();
    assert_eq!(sealed.rekey(&key).await.unwrap(), Rekeyed::Current);
    assert_eq!(content(&sealed, &key).await, bytes);
    assert_eq!(sealed.fingerprint(&key).await.unwrap().sha256, key.as_str());
    assert!(matches!(clear.read(&key).await, Err(BlobError::NoKeys(k)) if k == key));
    assert!(matches!(clear.rekey(&key).await, Err(BlobError::NoKeys(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_changed_and_the_old_one_opens_nothing_more() {
    let mut all: Vec<(TempDir, Vec<Blobs>)> = vec![];
    let folder = tempfile::tempdir().unwrap();
    all.push({
        let stores = [&[1][..], &[2, 1], &[2], &[3]].map(|keys| encrypted(&folder, keys)).into();
        (folder, stores)
    });
    #[cfg(feature = "s3")]
    {
        let (place, dir) = (s3_server::Place::fresh(), tempfile::tempdir().unwrap());
        let stores =
            [&[1][..], &[2, 1], &[2], &[3]].map(|keys| in_bucket(&place, &dir, Some(ring(keys)))).into();
        all.push((dir, stores));
    }
    for (dir, stores) in &all {
        let [before, both, after, other] = &stores[..] else { unreachable!() };
        // Within one part, and in several.
        for len in [10, 300_000, 12_000_000] {
            let bytes = sample(len);
            let key = before.commit(spooled(before, &bytes, 1 << 20).await).await.unwrap();
            assert_eq!(content(both, &key).await, bytes);
            assert!(matches!(after.read(&key).await, Err(BlobError::NoKey { .. })));
            assert!(matches!(other.rekey(&key).await, Err(BlobError::NoKey { .. })));
            assert_eq!(both.rekey(&key).await.unwrap(), Rekeyed::Wrapped);
            assert_eq!(both.rekey(&key).await.unwrap(), Rekeyed::Current);
            assert_eq!(content(after, &key).await, bytes);
            assert!(matches!(before.read(&key).await, Err(BlobError::NoKey { .. })));
        }
        let absent = BlobKey::parse(&"0".repeat(64)).unwrap();
        assert_eq!(both.rekey(&absent).await.unwrap(), Rekeyed::Absent);
        assert!(spool_is_empty(dir).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_encrypted_document_never_looks_whole() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = encrypted(&dir, &[1]);
    for len in [100, 1_000_000] {
        let bytes = sample(len);
        let key = blobs.commit(spooled(&blobs, &bytes, 65_536).await).await.unwrap();
        let path = object(&dir, &key);
        let good = fs::read(&path).unwrap();
        let spoilt: [fn(&mut Vec<u8>); 5] = [
            |f| f[20] ^= 1,
            |f| f[1024] ^= 1,
            |f| *f.last_mut().unwrap() ^= 1,
            |f| f.truncate(f.len() - 1),
            |f| f.push(0),
        ];
        for (n, spoil) in spoilt.iter().enumerate() {
            let mut file = good.clone();
            spoil(&mut file);
            fs::write(&path, file).unwrap();
            let read = match blobs.read(&key).await {
                Ok(reader) => reader.try_collect::<Vec<Bytes>>().await.map(|_| ()),
                Err(e) => Err(e),
            };
            assert!(matches!(read, Err(BlobError::Damaged { .. } | BlobError::NoKey { .. })), "{len} {n}");
        }
        fs::write(&path, good).unwrap();
        assert_eq!(content(&blobs, &key).await, bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_begins_like_an_encrypted_one_is_a_document() {
    // One that somebody provides, who has an encrypted file from elsewhere.
    let foreign = tempfile::tempdir().unwrap();
    let theirs = encrypted(&foreign, &[9]);
    let key = theirs.commit(spooled(&theirs, &sample(200_000), 4096).await).await.unwrap();
    let bytes = Bytes::from(fs::read(object(&foreign, &key)).unwrap());
    for (name, blobs, _dir) in stores() {
        let key = blobs.commit(spooled(&blobs, &bytes, 4096).await).await.unwrap();
        assert_eq!(content(&blobs, &key).await, bytes, "{name}");
    }
    let (clear, dir) = store();
    let key = clear.commit(spooled(&clear, &bytes, 4096).await).await.unwrap();
    let sealed = encrypted(&dir, &[1]);
    assert_eq!(content(&sealed, &key).await, bytes);
    assert_eq!(sealed.rekey(&key).await.unwrap(), Rekeyed::Clear);
}

// === a bucket's faults ===

#[cfg(feature = "s3")]
#[tokio::test(flavor = "multi_thread")]
async fn what_a_bucket_cuts_or_alters_is_an_error() {
    use s3_server::{Fault, Server};
    let server = Server::start();
    let place = server.place();
    let dir = tempfile::tempdir().unwrap();
    for keys in [None, Some(ring(&[1]))] {
        let blobs = in_bucket(&place, &dir, keys);
        for len in [90_000, 3_000_001] {
            let bytes = sample(len + usize::from(blobs.spool.keys.is_some()));
            let key = blobs.commit(spooled(&blobs, &bytes, 65_536).await).await.unwrap();
            for fault in [Fault::Cut(0), Fault::Cut(80_000), Fault::Alter(60_000), Fault::Alter(2_999_999)] {
                if matches!(fault, Fault::Cut(at) | Fault::Alter(at) if at >= len) {
                    continue;
                }
                server.set(fault);
                let read = match blobs.read(&key).await {
                    Ok(reader) => reader.try_collect::<Vec<Bytes>>().await.map(|all| all.concat()),
                    Err(e) => Err(e),
                };
                server.set(Fault::None);
                // What broke off once goes on; what breaks off again and again does not.
                match read {
                    Ok(all) => assert!(fault == Fault::Cut(80_000) && len == 90_000 && all == bytes),
                    Err(e) => assert!(!matches!(e, BlobError::NotFound(_)), "{len} {fault:?}: {e}"),
                }
            }
            assert_eq!(content(&blobs, &key).await, bytes);
        }
    }
}

#[cfg(feature = "s3")]
#[tokio::test(flavor = "multi_thread")]
async fn a_large_document_goes_in_parts_and_is_asked_to_be_encrypted() {
    use crate::config::s3::ServerEncryption;
    let server = s3_server::Server::start();
    let place = server.place();
    let dir = tempfile::tempdir().unwrap();
    let config = crate::config::S3Config {
        endpoint: Some(place.endpoint.clone()),
        bucket: place.bucket.clone(),
        credentials: Some(place.credentials(dir.path())),
        server_encryption: ServerEncryption::SseS3,
        part_mib: 5,
        ..Default::default()
    };
    let repository =
        RepositoryConfig { documents: dir.path().to_owned(), s3: Some(config), ..Default::default() };
    let blobs = Blobs::of(&repository).unwrap();
    let bytes = sample(11 << 20);
    let key = blobs.commit(spooled(&blobs, &bytes, 1 << 20).await).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests.iter().filter(|r| r.contains("partNumber=")).count(), 3, "{requests:?}");
    let begun = requests.iter().find(|r| r.starts_with("POST") && r.contains("uploads")).unwrap();
    assert!(begun.ends_with(" AES256"), "{begun}");
    assert_eq!(content(&blobs, &key).await, bytes);
    // Again: it is there, and no part of it goes up.
    blobs.commit(spooled(&blobs, &bytes, 1 << 20).await).await.unwrap();
    assert_eq!(server.requests().iter().filter(|r| r.contains("partNumber=")).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_store_can_be_tried() {
    for (name, blobs, _dir) in stores() {
        blobs.probe().await.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(listed(&blobs).await, [], "{name}");
    }
}
