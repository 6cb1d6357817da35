//! Documents at rest, beside plain files in the same directory.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chiren::config::encryption::SecretKey;
use chiren::store::blob::{BlobKey, BlobOptions, Blobs, KeyRing};
use futures_util::StreamExt as _;
use tokio::runtime::Runtime;

use super::{compare, each, noise};

const SIZE: usize = 64 << 20;
/// What a socket gives at a time.
const CHUNK: usize = 64 << 10;

pub fn run(runtime: &Runtime) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let blobs = Blobs::open(&dir.path().join("documents"), BlobOptions::default())?;
    let document = Bytes::from(noise(SIZE));
    let plain = dir.path().join("plain");

    // The store keeps the same octets once, so each document differs in its first ones.
    let mut number = 0_u64;
    let mut store = || {
        number += 1;
        let first = [&number.to_le_bytes()[..], &document[8..CHUNK]].concat();
        let mut chunks = vec![Bytes::from(first)];
        chunks.extend((CHUNK..SIZE).step_by(CHUNK).map(|at| document.slice(at..at + CHUNK)));
        let begun = Instant::now();
        let key = runtime.block_on(spool_and_commit(&blobs, chunks)).expect("a document stored");
        (key, begun.elapsed())
    };
    let remove = |key: BlobKey| assert!(runtime.block_on(blobs.delete(&key)).expect("removed"));
    compare(
        "64 MiB into the document store: spool, SHA-1, SHA-256, commit; durable",
        |times: usize| {
            let documents: Vec<(BlobKey, Duration)> = (0..times).map(|_| store()).collect();
            documents
                .into_iter()
                .map(|(key, took)| {
                    remove(key);
                    took
                })
                .sum()
        },
        "file write and sync_all; durable, no hash",
        |times: usize| (0..times).map(|_| write_file(&plain, &document)).sum(),
        SIZE,
    );

    let (key, _) = store();
    write_file(&plain, &document);
    let mut buffer = vec![0; 256 << 10];
    compare(
        "64 MiB out of the document store, from the file cache",
        each(|| assert_eq!(runtime.block_on(read_all(&blobs, &key)).expect("a document"), SIZE)),
        "file read, 256 KiB at a time",
        each(|| {
            let mut file = File::open(&plain).expect("the file");
            let mut size = 0;
            while let octets @ 1.. = file.read(&mut buffer).expect("a read") {
                size += octets;
            }
            assert_eq!(size, SIZE);
        }),
        SIZE,
    );
    encrypted(runtime, &document)
}

/// The same store with a key, beside itself without.
fn encrypted(runtime: &Runtime, document: &Bytes) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let keys = KeyRing::new(&[SecretKey([7; 32])])?;
    let plain = Blobs::open(&dir.path().join("plain"), BlobOptions::default())?;
    let sealed = Blobs::in_folder(&dir.path().join("sealed"), BlobOptions::default(), Some(keys))?;
    let chunks = || (0..SIZE).step_by(CHUNK).map(|at| document.slice(at..at + CHUNK)).collect::<Vec<_>>();
    let once = |blobs: &Blobs| {
        let chunks = chunks();
        let begun = Instant::now();
        let key = runtime.block_on(spool_and_commit(blobs, chunks)).expect("a document stored");
        let took = begun.elapsed();
        assert!(runtime.block_on(blobs.delete(&key)).expect("removed"));
        took
    };
    compare(
        "64 MiB into the document store, encrypted",
        |times: usize| (0..times).map(|_| once(&sealed)).sum(),
        "the same, not encrypted",
        |times: usize| (0..times).map(|_| once(&plain)).sum(),
        SIZE,
    );
    let key = runtime.block_on(spool_and_commit(&plain, chunks()))?;
    runtime.block_on(spool_and_commit(&sealed, chunks()))?;
    let read = |blobs: &Blobs| assert_eq!(runtime.block_on(read_all(blobs, &key)).expect("a document"), SIZE);
    compare(
        "64 MiB out of the document store, encrypted, from the file cache",
        each(|| read(&sealed)),
        "the same, not encrypted",
        each(|| read(&plain)),
        SIZE,
    );
    Ok(())
}

async fn spool_and_commit(blobs: &Blobs, chunks: Vec<Bytes>) -> anyhow::Result<BlobKey> {
    let mut spool = blobs.spool();
    for chunk in chunks {
        spool.write(chunk).await?;
    }
    Ok(blobs.commit(spool.finish().await?).await?)
}

async fn read_all(blobs: &Blobs, key: &BlobKey) -> anyhow::Result<usize> {
    let mut reader = blobs.read(key).await?;
    let mut size = 0;
    while let Some(chunk) = reader.next().await {
        size += chunk?.len();
    }
    Ok(size)
}

/// A file of its own each time, as every document is.
fn write_file(path: &Path, document: &[u8]) -> Duration {
    let _ = std::fs::remove_file(path);
    let begun = Instant::now();
    let mut file = File::create(path).expect("a file");
    for chunk in document.chunks(CHUNK) {
        file.write_all(chunk).expect("a write");
    }
    file.sync_all().expect("a sync");
    begun.elapsed()
}
