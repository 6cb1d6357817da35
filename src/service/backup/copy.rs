//! Documents from one store into another: those it has not yet, a few at a time.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use futures_util::StreamExt as _;
use serde::Serialize;

use super::{Hear, Progress};
use crate::store::blob::{BlobError, BlobKey, Blobs, Spooled};

/// Documents made durable together: one sync for a folder, and small ones wait in memory.
const TOGETHER: usize = 32;

/// A list of documents in order of key, as a generation holds it.
pub(super) struct Listing {
    lines: Lines<BufReader<File>>,
    file: String,
}

impl Listing {
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("{}", path.display()))?;
        Ok(Self { lines: BufReader::with_capacity(1 << 16, file).lines(), file: path.display().to_string() })
    }
}

impl Iterator for Listing {
    type Item = anyhow::Result<(BlobKey, u64)>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = match self.lines.next()? {
            Ok(line) => line,
            Err(e) => return Some(Err(anyhow!("{}: {e}", self.file))),
        };
        let read = serde_json::from_str::<(String, u64)>(&line)
            .ok()
            .and_then(|(key, size)| Some((BlobKey::parse(&key)?, size)));
        Some(read.ok_or_else(|| anyhow!("{}: a line is no key and size", self.file)))
    }
}

/// What became of a list of documents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    /// All on the list.
    pub documents: u64,
    /// Copied now, and their octets.
    pub new: u64,
    pub octets: u64,
}

/// Documents that could not be had.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Losses {
    pub count: u64,
    /// Key and reason of the first of them.
    pub first: Vec<(String, String)>,
}

/// Losses named in a report; all are counted.
const NAMED: usize = 1000;

impl Losses {
    pub(super) fn add(&mut self, key: &BlobKey, trouble: Trouble) {
        self.count += 1;
        if self.first.len() < NAMED {
            let how = match trouble {
                Trouble::Missing => "missing".to_owned(),
                Trouble::Altered(how) => how,
            };
            self.first.push((key.to_string(), how));
        }
    }
}

/// Why one document could not be had; others can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    Missing,
    /// The bytes are not what their key says.
    Altered(String),
}

/// Copies what `to` lacks. `lost` hears of each document `from` cannot give.
pub(super) async fn copy(
    list: Listing,
    from: &Blobs,
    to: &Blobs,
    hear: &Hear,
    mut lost: impl FnMut(&BlobKey, u64, Trouble) -> anyhow::Result<()>,
) -> anyhow::Result<Copied> {
    let mut copied = Copied::default();
    let mut waiting: Vec<Spooled> = vec![];
    for entry in list {
        let (key, size) = entry?;
        copied.documents += 1;
        if !to.exists(&key).await? {
            match fetch(from, to, &key).await? {
                Ok(document) => {
                    copied.new += 1;
                    copied.octets += document.size;
                    waiting.push(document);
                }
                Err(trouble) => lost(&key, size, trouble)?,
            }
        }
        if waiting.len() >= TOGETHER {
            to.commit_all(std::mem::take(&mut waiting)).await?;
        }
        hear(Progress { what: "documents".into(), done: copied.documents, octets: copied.octets });
    }
    to.commit_all(waiting).await?;
    Ok(copied)
}

/// Copies one document, made young if it is there; what it is, unless `from` cannot give it.
pub async fn bring(from: &Blobs, to: &Blobs, key: &BlobKey) -> anyhow::Result<Result<Content, Trouble>> {
    let document = match fetch(from, to, key).await? {
        Ok(document) => document,
        Err(trouble) => return Ok(Err(trouble)),
    };
    let content = Content { sha1: document.sha1_hex.clone(), size: document.size };
    to.commit(document).await?;
    Ok(Ok(content))
}

/// What the bytes of a document are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// As in DocumentEntry.hash.
    pub sha1: String,
    pub size: u64,
}

async fn fetch(from: &Blobs, to: &Blobs, key: &BlobKey) -> anyhow::Result<Result<Spooled, Trouble>> {
    let mut reader = match from.read(key).await {
        Ok(reader) => reader,
        Err(e) => return trouble(e).map(Err),
    };
    let mut spool = to.spool();
    while let Some(bytes) = reader.next().await {
        match bytes {
            Ok(bytes) => spool.write(bytes).await?,
            Err(e) => return trouble(e).map(Err),
        }
    }
    let document = spool.finish().await?;
    Ok(match document.key() == *key {
        true => Ok(document),
        false => Err(Trouble::Altered(format!("SHA-256 is {}", document.sha256_hex))),
    })
}

/// Of one document; a store that fails altogether is an error.
pub(super) fn trouble(e: BlobError) -> anyhow::Result<Trouble> {
    match e {
        BlobError::NotFound(_) => Ok(Trouble::Missing),
        BlobError::Damaged { message, .. } => Ok(Trouble::Altered(message)),
        e => Err(e.into()),
    }
}
