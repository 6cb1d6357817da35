//! Bodies: the request's, watched while it comes in; the answer's, counted while it goes out.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Body, Frame, SizeHint};

use super::rate::Rate;

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer: whole, or a stream of chunks.
pub type RespBody = UnsyncBoxBody<Bytes, BoxError>;

/// No body.
pub fn empty() -> RespBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body at hand.
pub fn full(bytes: impl Into<Bytes>) -> RespBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body produced while it is sent. An error cuts the connection, so that no reader takes what
/// came so far for the whole.
pub fn stream<S, E>(chunks: S) -> RespBody
where
    S: Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: Into<BoxError>,
{
    StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data).map_err(Into::into))).boxed_unsync()
}

/// Why a request body ended early.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// More than so many bytes.
    #[error("the request is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("the request came in too slowly")]
    TooSlow,
    /// The connection ended, or the chunks were malformed.
    #[error("the request ended before it was complete: {0}")]
    Cut(String),
}

/// What the body showed, readable while a handler owns it.
#[derive(Debug, Default)]
pub struct Seen {
    bytes: AtomicU64,
    complete: AtomicBool,
    failure: std::sync::OnceLock<BodyError>,
}

impl Seen {
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether it was read to its end.
    pub fn complete(&self) -> bool {
        self.complete.load(Ordering::Relaxed)
    }

    pub fn failure(&self) -> Option<&BodyError> {
        self.failure.get()
    }
}

/// A request body that keeps size and pace. Read it with [`chunk`](Self::chunk) or as a stream;
/// trailers are dropped.
pub struct GuardedBody {
    inner: RespBody,
    limit: u64,
    rate: Rate,
    seen: Arc<Seen>,
    /// Read already, and not yet given out.
    held: std::collections::VecDeque<Bytes>,
}

impl GuardedBody {
    pub fn new<B>(body: B, limit: u64, min_rate: u64, window: Duration) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let seen = Arc::new(Seen::default());
        seen.complete.store(body.is_end_stream(), Ordering::Relaxed);
        let inner = body.map_err(Into::into).boxed_unsync();
        Self { inner, limit, rate: Rate::new(min_rate, window), seen, held: Default::default() }
    }

    /// A body at hand, for handlers called without a socket.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        Self::new(Full::new(bytes.into()), u64::MAX, 0, Duration::from_secs(10))
    }

    /// The next bytes; `None` at the end.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, BodyError>> {
        self.next().await
    }

    /// Reads it to its end or beyond `most` bytes, and keeps what came for its reader. A failure is the reader's.
    pub async fn prefetch(&mut self, most: usize) {
        if self.inner.size_hint().lower() > most as u64 {
            return;
        }
        let (mut ahead, mut total) = (std::collections::VecDeque::new(), 0);
        while total <= most && !self.inner.is_end_stream() {
            match self.chunk().await {
                Some(Ok(bytes)) => {
                    total += bytes.len();
                    ahead.push_back(bytes);
                }
                Some(Err(_)) | None => break,
            }
        }
        self.held = ahead;
    }

    /// All of it, if it is no more than `limit` bytes.
    pub async fn whole(mut self, limit: u64) -> Result<Bytes, BodyError> {
        let mut all = bytes::BytesMut::new();
        while let Some(chunk) = self.chunk().await {
            let chunk = chunk?;
            if (all.len() + chunk.len()) as u64 > limit {
                return Err(self.fail(BodyError::TooLarge { limit }));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }

    pub fn seen(&self) -> Arc<Seen> {
        self.seen.clone()
    }

    fn fail(&self, error: BodyError) -> BodyError {
        self.seen.failure.get_or_init(|| error).clone()
    }
}

impl Stream for GuardedBody {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let me = self.get_mut();
        if let Some(bytes) = me.held.pop_front() {
            return Poll::Ready(Some(Ok(bytes)));
        }
        if let Some(error) = me.seen.failure.get() {
            return Poll::Ready(Some(Err(error.clone())));
        }
        loop {
            match Pin::new(&mut me.inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    let Ok(data) = frame.into_data() else { continue };
                    me.rate.moved(data.len());
                    let total =
                        me.seen.bytes.fetch_add(data.len() as u64, Ordering::Relaxed) + data.len() as u64;
                    if total > me.limit {
                        return Poll::Ready(Some(Err(me.fail(BodyError::TooLarge { limit: me.limit }))));
                    }
                    if me.inner.is_end_stream() {
                        me.seen.complete.store(true, Ordering::Relaxed);
                    }
                    return Poll::Ready(Some(Ok(data)));
                }
                Poll::Ready(Some(Err(cause))) => {
                    return Poll::Ready(Some(Err(me.fail(BodyError::Cut(cause.to_string())))));
                }
                Poll::Ready(None) => {
                    me.seen.complete.store(true, Ordering::Relaxed);
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    ready!(me.rate.poll_too_slow(cx));
                    return Poll::Ready(Some(Err(me.fail(BodyError::TooSlow))));
                }
            }
        }
    }
}

/// Told how an answer went out.
pub trait Sent: Send + 'static {
    /// Called once, when the body is out or given up.
    fn sent(&mut self, bytes: u64, complete: bool);
}

/// An answer's body that counts and reports.
pub struct CountedBody<S: Sent> {
    inner: RespBody,
    bytes: u64,
    ended: bool,
    sent: S,
}

impl<S: Sent> CountedBody<S> {
    pub fn new(inner: RespBody, sent: S) -> Self {
        Self { inner, bytes: 0, ended: false, sent }
    }
}

impl<S: Sent + Unpin> Body for CountedBody<S> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let me = self.get_mut();
        let frame = ready!(Pin::new(&mut me.inner).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => me.bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(_)) => {}
            None => me.ended = true,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<S: Sent> Drop for CountedBody<S> {
    fn drop(&mut self) {
        let complete = self.ended || self.inner.is_end_stream();
        self.sent.sent(self.bytes, complete);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guarded(chunks: Vec<&'static str>, limit: u64) -> GuardedBody {
        let chunks = chunks.into_iter().map(|c| Ok::<_, BoxError>(Bytes::from(c)));
        GuardedBody::new(stream(futures_util::stream::iter(chunks)), limit, 1024, Duration::from_secs(10))
    }

    #[tokio::test]
    async fn size_is_kept_and_the_end_is_seen() {
        let body = guarded(vec!["ab", "cd"], 4);
        let seen = body.seen();
        assert_eq!(body.whole(4).await.unwrap(), "abcd");
        assert!(seen.complete() && seen.bytes() == 4);
        let body = guarded(vec!["ab", "cd"], 3);
        let seen = body.seen();
        assert_eq!(body.whole(10).await, Err(BodyError::TooLarge { limit: 3 }));
        assert_eq!(seen.failure(), Some(&BodyError::TooLarge { limit: 3 }));
        assert!(!seen.complete());
        assert_eq!(guarded(vec!["ab", "cd"], 9).whole(3).await, Err(BodyError::TooLarge { limit: 3 }));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_sender_is_too_slow() {
        let first = futures_util::stream::iter([Ok::<_, BoxError>(Bytes::from("a"))]);
        let body = stream(first.chain(futures_util::stream::pending()));
        let body = GuardedBody::new(body, 100, 1024, Duration::from_secs(10));
        assert_eq!(body.whole(100).await, Err(BodyError::TooSlow));
    }
}
