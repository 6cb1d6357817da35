//! A document on its way out.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
#[cfg(feature = "s3")]
use futures_util::stream::BoxStream;
use sha2::{Digest as _, Sha256};
use tokio::task::{JoinHandle, spawn_blocking};

use super::envelope::{self, FRAME, HEAD, Opener};
use super::fs::is_clear;
use super::keys::{KeyRing, TAG};
use super::{BlobError, BlobKey, doing, task_lost};
use crate::store::in_place::in_place;

/// Bytes in one item of the stream: some whole frames.
pub(super) const CHUNK: u64 = 2 * FRAME as u64;

/// A stored document: its size, and its bytes as a stream of chunks.
///
/// The next chunk is read while the last one is being sent, so two are in memory at a time. One that
/// turns out shorter than its size, or altered where that can be told, ends the stream with
/// [`BlobError::Damaged`].
pub struct BlobReader {
    size: u64,
    key: BlobKey,
    state: State,
}

enum State {
    Ready(Bytes, Option<(Source, u64)>),
    Reading(JoinHandle<Result<(Bytes, Source), BlobError>>, u64),
    /// From elsewhere than a file.
    #[cfg(feature = "s3")]
    Coming(BoxStream<'static, Result<Bytes, BlobError>>),
    End,
}

/// The file, and buffers that were sent and serve again: a large document passes through two or
/// three of them.
struct Source {
    file: File,
    opener: Option<Opener>,
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
    pub(super) async fn open(path: PathBuf, key: BlobKey, keys: Option<KeyRing>) -> Result<Self, BlobError> {
        // Open and first read are usually served from the file cache in a few microseconds: less
        // than handing them to another thread costs.
        in_place(move || {
            let file = File::open(&path).map_err(|e| match e.kind() {
                ErrorKind::NotFound => BlobError::NotFound(key.clone()),
                _ => doing("open a document")(e),
            })?;
            let stored = file.metadata().map_err(doing("open a document"))?.len();
            let source = Source { file, opener: None, spare: Arc::default() };
            let (bytes, source) = chunk(source, stored.min(CHUNK), &key)?;
            if !envelope::is_sealed(&bytes) {
                return Ok(Self::reading(stored, key, bytes, source));
            }
            match opener(&bytes, stored, &key, keys.as_ref())? {
                Ok(opener) => {
                    let Source { mut file, spare, .. } = source;
                    file.seek(SeekFrom::Start(HEAD as u64)).map_err(doing("read a document"))?;
                    let size = opener.size;
                    let source = Source { file, opener: Some(opener), spare };
                    let (bytes, source) = chunk(source, size.min(CHUNK), &key)?;
                    Ok(Self::reading(size, key, bytes, source))
                }
                Err(why) => Self::clear_after_all(source, stored, key, why),
            }
        })
    }

    fn reading(size: u64, key: BlobKey, bytes: Bytes, source: Source) -> Self {
        let rest = (size > CHUNK).then(|| (source, size - CHUNK));
        Self { size, key, state: State::Ready(bytes, rest) }
    }

    /// No key fits: a document that begins like an encrypted one, or one that cannot be read.
    fn clear_after_all(source: Source, size: u64, key: BlobKey, why: BlobError) -> Result<Self, BlobError> {
        let Source { mut file, spare, .. } = source;
        if !is_clear(&mut file, &key).map_err(doing("read a document"))? {
            return Err(why);
        }
        file.seek(SeekFrom::Start(0)).map_err(doing("read a document"))?;
        let (bytes, source) = chunk(Source { file, opener: None, spare }, size.min(CHUNK), &key)?;
        Ok(Self::reading(size, key, bytes, source))
    }

    /// A document at hand.
    #[cfg(feature = "s3")]
    pub(super) fn at_hand(key: BlobKey, bytes: Bytes) -> Self {
        Self { size: bytes.len() as u64, key, state: State::Ready(bytes, None) }
    }

    /// A document that comes from elsewhere; the stream ends with an error unless it was whole.
    #[cfg(feature = "s3")]
    pub(super) fn coming(
        key: BlobKey,
        size: u64,
        stream: BoxStream<'static, Result<Bytes, BlobError>>,
    ) -> Self {
        Self { size, key, state: State::Coming(stream) }
    }

    /// A document that is kept nowhere.
    pub fn of_bytes(bytes: Bytes) -> Self {
        let key = BlobKey(super::spool::hex(&Sha256::digest(&bytes)));
        Self { size: bytes.len() as u64, key, state: State::Ready(bytes, None) }
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

/// What decrypts an object that begins so, or why it cannot be decrypted.
pub(super) fn opener(
    beginning: &[u8],
    stored: u64,
    key: &BlobKey,
    keys: Option<&KeyRing>,
) -> Result<Result<Opener, BlobError>, BlobError> {
    let head = beginning.get(..HEAD).unwrap_or(beginning);
    let Some(ring) = keys else { return Ok(Err(BlobError::NoKeys(key.clone()))) };
    let opened = Opener::new(head, stored, key, ring)?;
    Ok(opened.map_err(|why| envelope::locked(key, why)))
}

/// Reads exactly `len` bytes of the document; all that follow its head, or some whole frames.
fn chunk(source: Source, len: u64, key: &BlobKey) -> Result<(Bytes, Source), BlobError> {
    let Source { file, mut opener, spare } = source;
    let mut bytes = spare.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
    let stored = match opener {
        Some(_) => len + len.div_ceil(FRAME as u64).max(1) * TAG as u64,
        None => len,
    };
    bytes.clear();
    bytes.reserve_exact(stored as usize);
    (&file).take(stored).read_to_end(&mut bytes).map_err(doing("read a document"))?;
    if bytes.len() as u64 != stored {
        return Err(envelope::damaged(key, "it became shorter".into()));
    }
    if let Some(opener) = &mut opener {
        opener.open_all(&mut bytes)?;
    }
    let chunk = Chunk { bytes, spare: spare.clone() };
    Ok((Bytes::from_owner(chunk), Source { file, opener, spare }))
}

impl Stream for BlobReader {
    type Item = Result<Bytes, BlobError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (bytes, rest) = match &mut self.state {
            State::End => return Poll::Ready(None),
            State::Ready(bytes, rest) => (std::mem::take(bytes), rest.take()),
            #[cfg(feature = "s3")]
            State::Coming(stream) => {
                let next = ready!(stream.as_mut().poll_next(cx));
                if !matches!(next, Some(Ok(_))) {
                    self.state = State::End;
                }
                return Poll::Ready(next);
            }
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
