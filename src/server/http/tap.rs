//! The tap between socket and hyper. It sees request heads as they were sent, which hyper does not
//! show: Content-Length beside Transfer-Encoding (hyper drops one), lines ended by a bare LF, a
//! second request sent before the first was answered. It also keeps the time a head may take, the
//! rest between requests, and the pace of a reader of our answers.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_rustls::server::TlsStream;

use super::rate::Rate;

/// What the head of the present request showed, for the service to read.
#[derive(Debug, Default)]
pub struct Shared {
    /// A request is being answered: what comes in belongs to its body.
    in_flight: AtomicBool,
    facts: AtomicU8,
}

const SEEN: u8 = 1;
const BARE_LF: u8 = 2;
const CONTENT_LENGTH: u8 = 4;
const TRANSFER_ENCODING: u8 = 8;

/// What is wrong with a head, if anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadFault {
    /// The head came along with the request before it.
    Pipelined,
    BareLineFeed,
    /// Content-Length and Transfer-Encoding (RFC 9112 6.1).
    TwoLengths,
}

impl Shared {
    /// A request has come out of hyper: looks at the head the tap saw go by.
    pub fn begin(&self) -> Result<(), HeadFault> {
        self.in_flight.store(true, Ordering::Release);
        let facts = self.facts.swap(0, Ordering::AcqRel);
        if facts & SEEN == 0 {
            Err(HeadFault::Pipelined)
        } else if facts & BARE_LF != 0 {
            Err(HeadFault::BareLineFeed)
        } else if facts & (CONTENT_LENGTH | TRANSFER_ENCODING) == CONTENT_LENGTH | TRANSFER_ENCODING {
            Err(HeadFault::TwoLengths)
        } else {
            Ok(())
        }
    }

    /// The answer is out; what comes in next is a head.
    pub fn end(&self) {
        self.in_flight.store(false, Ordering::Release);
    }
}

/// A connection, with or without TLS.
pub enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    fn read_half(&mut self) -> Pin<&mut (dyn AsyncRead + Unpin + Send)> {
        match self {
            Wire::Plain(s) => Pin::new(s),
            Wire::Tls(s) => Pin::new(s.as_mut()),
        }
    }

    fn write_half(&mut self) -> Pin<&mut (dyn AsyncWrite + Unpin + Send)> {
        match self {
            Wire::Plain(s) => Pin::new(s),
            Wire::Tls(s) => Pin::new(s.as_mut()),
        }
    }

    /// Says goodbye and reads on for a moment, so that a peer still sending gets to see our answer
    /// instead of a reset (RFC 9112 9.6).
    pub async fn close(mut self) {
        const PATIENCE: Duration = Duration::from_secs(2);
        const MOST: usize = 4 << 20;
        let goodbye = async {
            std::future::poll_fn(|cx| self.write_half().poll_shutdown(cx)).await?;
            let mut scratch = [0u8; 8192];
            let mut total = 0;
            while total < MOST {
                let mut buf = ReadBuf::new(&mut scratch);
                std::future::poll_fn(|cx| self.read_half().poll_read(cx, &mut buf)).await?;
                match buf.filled().len() {
                    0 => break,
                    n => total += n,
                }
            }
            io::Result::Ok(())
        };
        // Whether it worked makes no difference to a connection that ends anyway.
        let _ = tokio::time::timeout(PATIENCE, goodbye).await;
    }
}

/// Times the tap keeps.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    pub head: Duration,
    pub idle: Duration,
    /// Bytes per second a reader of answers takes, averaged over `idle`.
    pub min_rate: u64,
}

/// See the module.
pub struct Tap {
    wire: Wire,
    shared: Arc<Shared>,
    times: Times,
    head: Option<Head>,
    timer: Pin<Box<Sleep>>,
    written: Rate,
}

impl Tap {
    pub fn new(wire: Wire, shared: Arc<Shared>, times: Times) -> Self {
        Self {
            wire,
            shared,
            times,
            head: Some(Head::default()),
            // A connection that says nothing at all gets no more than a head's time.
            timer: Box::pin(sleep_until(Instant::now() + times.head)),
            written: Rate::new(times.min_rate, times.idle),
        }
    }

    pub fn into_wire(self) -> Wire {
        self.wire
    }

    fn saw(&mut self, bytes: &[u8]) {
        let Some(head) = &mut self.head else { return };
        let begun = head.begun;
        let complete = head.feed(bytes);
        if head.begun && !begun {
            self.timer.as_mut().reset(Instant::now() + self.times.head);
        }
        if complete {
            self.shared.facts.store(head.facts | SEEN, Ordering::Release);
            self.head = None;
        }
    }

    fn paced<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
        bytes: impl Fn(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        match result {
            Poll::Ready(Ok(value)) => {
                self.written.moved(bytes(&value));
                Poll::Ready(Ok(value))
            }
            Poll::Pending => {
                ready!(self.written.poll_too_slow(cx));
                Poll::Ready(Err(timed_out("the answer was read too slowly")))
            }
            failed => failed,
        }
    }
}

fn timed_out(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

impl AsyncRead for Tap {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        let waiting = me.head.is_none()
            && !me.shared.in_flight.load(Ordering::Acquire)
            && me.shared.facts.load(Ordering::Acquire) == 0;
        if waiting {
            me.head = Some(Head::default());
            me.timer.as_mut().reset(Instant::now() + me.times.idle);
        }
        let before = buf.filled().len();
        match me.wire.read_half().poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                me.saw(buf.filled().get(before..).unwrap_or_default());
                Poll::Ready(Ok(()))
            }
            Poll::Pending if me.head.is_some() => {
                ready!(me.timer.as_mut().poll(cx));
                Poll::Ready(Err(timed_out("no request came in time")))
            }
            other => other,
        }
    }
}

impl AsyncWrite for Tap {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let result = me.wire.write_half().poll_write(cx, buf);
        me.paced(cx, result, |n| *n)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        let result = me.wire.write_half().poll_flush(cx);
        me.paced(cx, result, |_| 0)
    }

    /// The connection's task closes the wire itself ([`Wire::close`]).
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.wire {
            Wire::Plain(s) => s.is_write_vectored(),
            Wire::Tls(s) => s.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let result = me.wire.write_half().poll_write_vectored(cx, bufs);
        me.paced(cx, result, |n| *n)
    }
}

/// Reads a head as it goes by, one byte at a time, keeping nothing but what it asks for.
#[derive(Default)]
struct Head {
    facts: u8,
    /// A first byte other than the empty lines allowed before a request (RFC 9112 2.2).
    begun: bool,
    previous: u8,
    /// Length of the line under way without its CR, and its first bytes in lower case.
    length: usize,
    start: [u8; 18],
}

impl Head {
    /// Whether the head is complete; what follows it in `bytes` is left alone.
    fn feed(&mut self, bytes: &[u8]) -> bool {
        for &byte in bytes {
            if !self.begun && (byte == b'\r' || byte == b'\n') {
                continue;
            }
            self.begun = true;
            if byte == b'\n' {
                let bare = self.previous != b'\r';
                if bare {
                    self.facts |= BARE_LF;
                }
                let length = if bare { self.length } else { self.length - 1 };
                if length == 0 {
                    return true;
                }
                self.note();
                self.length = 0;
            } else {
                if let Some(slot) = self.start.get_mut(self.length) {
                    *slot = byte.to_ascii_lowercase();
                }
                self.length += 1;
            }
            self.previous = byte;
        }
        false
    }

    fn note(&mut self) {
        let line = self.start.get(..self.length.min(self.start.len())).unwrap_or_default();
        if line.starts_with(b"content-length:") {
            self.facts |= CONTENT_LENGTH;
        } else if line.starts_with(b"transfer-encoding:") {
            self.facts |= TRANSFER_ENCODING;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(head: &[u8]) -> Option<u8> {
        let whole = {
            let mut reader = Head::default();
            reader.feed(head).then_some(reader.facts)
        };
        let mut reader = Head::default();
        let split = head.iter().any(|b| reader.feed(&[*b])).then_some(reader.facts);
        assert_eq!(whole, split);
        whole
    }

    #[test]
    fn heads_are_seen_as_sent() {
        assert_eq!(facts(b"\r\nPOST / HTTP/1.1\r\nHost: a\r\n\r\nbody\n"), Some(0));
        assert_eq!(facts(b"POST / HTTP/1.1\r\nHost: a\r\n"), None);
        assert_eq!(facts(b"GET / HTTP/1.1\nHost: a\n\n"), Some(BARE_LF));
        assert_eq!(facts(b"GET / HTTP/1.1\r\nHost: a\n\r\n"), Some(BARE_LF));
        assert_eq!(
            facts(b"P / HTTP/1.1\r\nCONTENT-length:3\r\ntransfer-Encoding: chunked\r\nX: y\r\n\r\n"),
            Some(CONTENT_LENGTH | TRANSFER_ENCODING)
        );
        assert_eq!(facts(b"P / HTTP/1.1\r\nX-Content-Length: 3\r\n\r\n"), Some(0));
    }

    #[test]
    fn a_head_is_judged_once() {
        let shared = Shared::default();
        assert_eq!(shared.begin(), Err(HeadFault::Pipelined));
        shared.facts.store(SEEN, Ordering::Relaxed);
        assert_eq!(shared.begin(), Ok(()));
        shared.facts.store(SEEN | CONTENT_LENGTH | TRANSFER_ENCODING, Ordering::Relaxed);
        assert_eq!(shared.begin(), Err(HeadFault::TwoLengths));
    }
}
