//! The pace of answers to one node: no more bytes a second than its rate class allows, all its connections together.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::body::{BoxError, RespBody};
use crate::service::nodes::Seat;

/// A body that rests when its node has had its share.
pub struct Paced {
    inner: RespBody,
    seat: Arc<Seat>,
    rest: Option<Pin<Box<Sleep>>>,
}

/// Answers up to this size count, but never rest.
const SMALL: u64 = 64 * 1024;

impl Paced {
    /// `inner` at the pace of a seat.
    pub fn over(inner: RespBody, seat: &Arc<Seat>) -> RespBody {
        use http_body_util::BodyExt as _;
        match inner.size_hint().exact() {
            Some(bytes) if bytes <= SMALL => {
                seat.sent(bytes);
                inner
            }
            _ => Self { inner, seat: seat.clone(), rest: None }.boxed_unsync(),
        }
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let me = self.get_mut();
        if let Some(rest) = &mut me.rest {
            ready!(rest.as_mut().poll(cx));
            me.rest = None;
        }
        let frame = ready!(Pin::new(&mut me.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            let wait = me.seat.sent(data.len() as u64);
            if !wait.is_zero() {
                me.rest = Some(Box::pin(sleep(wait)));
            }
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
