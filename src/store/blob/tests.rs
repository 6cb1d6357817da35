use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use tempfile::TempDir;

use super::*;

fn store() -> (Blobs, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Blobs::open(dir.path(), BlobOptions::default()).unwrap(), dir)
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
    assert!(chunks.iter().all(|c| c.len() <= 256 * 1024 && !c.is_empty()));
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

async fn sweep(blobs: &Blobs, now: SystemTime, known: &[BlobKey]) -> Swept {
    let done: Result<Swept, BlobError> = blobs
        .sweep(now, SweepAges::default(), async |keys: Vec<BlobKey>| {
            Ok(keys.into_iter().filter(|k| known.contains(k)).collect())
        })
        .await;
    done.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_every_size_come_back() {
    let (blobs, dir) = store();
    let k64 = 64 * 1024;
    for len in [0, 1, 20_000, k64 - 1, k64, k64 + 1, 8 * k64, 8 * k64 + 1, 4 * k64, 40 * k64 + 7] {
        for chunk in [1000, 8192, 3 * k64] {
            let bytes = sample(len);
            let document = spooled(&blobs, &bytes, chunk).await;
            assert_eq!(document.size, len as u64);
            assert_eq!(document.sha1_hex, hex(&sha1(&bytes)));
            assert_eq!(matches!(document.body, spool::Body::Memory(_)), len <= k64, "{len}");
            let key = blobs.commit(document).await.unwrap();
            assert_eq!(content(&blobs, &key).await, bytes, "{len} in {chunk}");
            assert!(blobs.exists(&key).await.unwrap());
        }
    }
    assert!(spool_is_empty(&dir).await);
    assert_eq!(files(dir.path().join("objects")).len(), 10);
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
    let (blobs, dir) = store();
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
    assert_eq!(files(dir.path().join("objects")).len(), 2);
    assert!(spool_is_empty(&dir).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_documents_are_committed_together() {
    let (blobs, _dir) = store();
    let mut documents = vec![];
    for len in [10, 100_000, 10] {
        documents.push(spooled(&blobs, &sample(len), 4096).await);
    }
    let keys = blobs.commit_all(documents).await.unwrap();
    assert_eq!(keys[0], keys[2]);
    assert_eq!(content(&blobs, &keys[1]).await, sample(100_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_noticed_and_mended_by_the_next_copy() {
    let (blobs, _dir) = store();
    let bytes = sample(1_000_000);
    let key = blobs.commit(spooled(&blobs, &bytes, 65_536).await).await.unwrap();
    let reader = blobs.read(&key).await.unwrap();
    fs::File::options().write(true).open(blobs.fs().object(&key)).unwrap().set_len(300_000).unwrap();
    let read: Result<Vec<Bytes>, _> = reader.try_collect().await;
    assert!(matches!(read, Err(BlobError::Damaged { .. })));
    blobs.commit(spooled(&blobs, &bytes, 65_536).await).await.unwrap();
    assert_eq!(content(&blobs, &key).await, bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_found() {
    let (blobs, _dir) = store();
    let key = BlobKey::parse(&"0".repeat(64)).unwrap();
    assert!(matches!(blobs.read(&key).await, Err(BlobError::NotFound(k)) if k == key));
    assert!(!blobs.exists(&key).await.unwrap());
    assert!(!blobs.delete(&key).await.unwrap());
    let there = blobs.commit(spooled(&blobs, &sample(9), 9).await).await.unwrap();
    assert!(blobs.delete(&there).await.unwrap());
    assert!(matches!(blobs.read(&there).await, Err(BlobError::NotFound(_))));
}

#[test]
fn a_full_disk_is_told_apart() {
    assert!(doing("x")(io::ErrorKind::StorageFull.into()).is_no_space());
    assert!(doing("x")(io::ErrorKind::QuotaExceeded.into()).is_no_space());
    assert!(!doing("x")(io::ErrorKind::PermissionDenied.into()).is_no_space());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweeper_takes_old_orphans_only() {
    let (blobs, dir) = store();
    let known = blobs.commit(spooled(&blobs, &sample(10), 10).await).await.unwrap();
    let orphan = blobs.commit(spooled(&blobs, &sample(2_000_000), 100_000).await).await.unwrap();
    fs::write(dir.path().join("spool/left-by-a-crash"), b"x").unwrap();
    let now = SystemTime::now();

    assert_eq!(sweep(&blobs, now, &[]).await, Swept::default());
    let swept = sweep(&blobs, now + DAYS_2, std::slice::from_ref(&known)).await;
    assert_eq!(swept, Swept { spool_files: 1, objects: 1, object_bytes: 2_000_000, examined: 2 });
    assert!(blobs.exists(&known).await.unwrap());
    assert!(!blobs.exists(&orphan).await.unwrap());
    assert!(files(dir.path().join("spool")).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_found_again_is_young_again() {
    let (blobs, _dir) = store();
    let bytes = sample(10);
    let key = blobs.commit(spooled(&blobs, &bytes, 10).await).await.unwrap();
    let now = SystemTime::now();
    let file = fs::File::open(blobs.fs().object(&key)).unwrap();
    file.set_modified(now - DAYS_2).unwrap();
    // The commit falls between the sweeper's question and its removal.
    let done: Result<Swept, BlobError> = blobs
        .sweep(now, SweepAges::default(), async |keys: Vec<BlobKey>| {
            assert_eq!(keys, std::slice::from_ref(&key));
            blobs.commit(spooled(&blobs, &bytes, 10).await).await?;
            Ok(vec![])
        })
        .await;
    assert_eq!(done.unwrap(), Swept { examined: 1, ..Swept::default() });
    assert_eq!(content(&blobs, &key).await, bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_question_removes_nothing() {
    let (blobs, _dir) = store();
    let key = blobs.commit(spooled(&blobs, &sample(10), 10).await).await.unwrap();
    let done: Result<Swept, BlobError> = blobs
        .sweep(SystemTime::now() + DAYS_2, SweepAges::default(), async |_| Err(BlobError::NoSpace))
        .await;
    assert!(done.is_err());
    assert!(blobs.exists(&key).await.unwrap());
}
