//! A document on its way out.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{BlobError, BlobKey, doing, task_lost};
use crate::store::in_place::in_place;

/// Bytes in one item of the stream.
const CHUNK: u64 = 128 * 1024;

/// A stored document: its size, and its bytes as a stream of chunks.
///
/// The next chunk is read while the last one is being sent, so two are in memory at a time. A file
/// shorter than it was when opened ends the stream with [`BlobError::Damaged`].
pub struct BlobReader {
    size: u64,
    key: BlobKey,
    state: State,
}

enum State {
    Ready(Bytes, Option<(Source, u64)>),
    Reading(JoinHandle<Result<(Bytes, Source), BlobError>>, u64),
    End,
}

/// The file, and buffers that were sent and serve again: a large document passes through two or
/// three of them.
struct Source {
    file: File,
    spare: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// A chunk being sent; its memory goes back when the last reference is dropped.
struct Chunk {
    bytes: Vec<u8>,
    spare: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

impl BlobReader {
    pub(super) async fn open(path: PathBuf, key: BlobKey) -> Result<Self, BlobError> {
        let open = move || {
            let file = File::open(&path).map_err(|e| match e.kind() {
                ErrorKind::NotFound => BlobError::NotFound(key.clone()),
                _ => doing("open a document")(e),
            })?;
            let size = file.metadata().map_err(doing("open a document"))?.len();
            let first = size.min(CHUNK);
            let source = Source { file, spare: Arc::default() };
            let (bytes, source) = chunk(source, first, &key)?;
            let rest = (size > first).then_some((source, size - first));
            Ok(Self { size, key, state: State::Ready(bytes, rest) })
        };
        // Open and first read are usually served from the file cache in a few microseconds: less
        // than handing them to another thread costs.
        in_place(open)
    }

    pub fn key(&self) -> &BlobKey {
        &self.key
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// The whole document if it came in one read: no stream needed.
    pub fn whole(&self) -> Option<&Bytes> {
        match &self.state {
            State::Ready(bytes, None) if bytes.len() as u64 == self.size => Some(bytes),
            _ => None,
        }
    }
}

/// Reads exactly `len` bytes.
fn chunk(source: Source, len: u64, key: &BlobKey) -> Result<(Bytes, Source), BlobError> {
    let spare = source.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut bytes = spare.unwrap_or_default();
    bytes.clear();
    bytes.reserve_exact(len as usize);
    (&source.file).take(len).read_to_end(&mut bytes).map_err(doing("read a document"))?;
    if bytes.len() as u64 != len {
        return Err(BlobError::Damaged { key: key.clone(), message: "it became shorter".into() });
    }
    Ok((Bytes::from_owner(Chunk { bytes, spare: source.spare.clone() }), source))
}

impl Stream for BlobReader {
    type Item = Result<Bytes, BlobError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (bytes, rest) = match &mut self.state {
            State::End => return Poll::Ready(None),
            State::Ready(bytes, rest) => (std::mem::take(bytes), rest.take()),
            State::Reading(task, left) => {
                let left = *left;
                match ready!(Pin::new(task).poll(cx)).map_err(task_lost).and_then(|r| r) {
                    Ok((bytes, source)) => (bytes, (left > 0).then_some((source, left))),
                    Err(e) => {
                        self.state = State::End;
                        return Poll::Ready(Some(Err(e)));
                    }
                }
            }
        };
        self.state = match rest {
            None => State::End,
            Some((source, left)) => {
                let (len, key) = (left.min(CHUNK), self.key.clone());
                State::Reading(spawn_blocking(move || chunk(source, len, &key)), left - len)
            }
        };
        match bytes.is_empty() {
            true => Poll::Ready(None),
            false => Poll::Ready(Some(Ok(bytes))),
        }
    }
}
