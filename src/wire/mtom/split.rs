//! The streaming splitter: bytes of a multipart body in any split, parts out (RFC 2046 5.1.1).
//!
//! No I/O and no copies: content is handed out as slices of the chunks that came in. A delimiter
//! counts only at the start of a line and only if followed by blanks and CRLF, or by `--`, blanks
//! and CRLF or the end; `CR LF "--" boundary` followed by anything else is content. Nested
//! multiparts are content too. At most the delimiter and one header block are held.

use super::content_type::{Related, is_boundary};
use super::head;
use crate::wire::base64::{self, Base64Fault};
use bytes::{Bytes, BytesMut};
use memchr::memmem;
use std::collections::HashSet;

pub use super::head::{PartHead, TransferEncoding};

/// Limits on one multipart message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MtomLimits {
    /// Parts, the root included.
    pub parts: usize,
    /// Bytes of one part's header block.
    pub head_bytes: usize,
    /// Lines of one part's header block, continuation lines counted.
    pub head_lines: usize,
    /// Octets of one part after transfer decoding. The root part is not meant: it may carry
    /// documents inline, and the XML guard has limits for both.
    pub document_bytes: u64,
    /// Bytes of the whole body.
    pub total_bytes: u64,
    /// Bytes before the first delimiter, and again after the last.
    pub outside_bytes: u64,
}

impl Default for MtomLimits {
    fn default() -> Self {
        Self {
            parts: 1 + 256,
            head_bytes: 8 << 10,
            head_lines: 16,
            document_bytes: 256 << 20,
            total_bytes: 1 << 30,
            outside_bytes: 8 << 10,
        }
    }
}

/// One step through the parts: `Start`, any number of `Data`, `End`, and so on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartEvent {
    Start(PartHead),
    /// Content after transfer decoding, never empty.
    Data(Bytes),
    End,
}

/// Why a multipart body was refused. Parts count from 1, the order of the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MtomFault {
    #[error("the multipart message is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("part {part} is larger than {limit} bytes")]
    PartTooLarge { part: usize, limit: u64 },
    #[error("the multipart message has more than {limit} parts")]
    TooManyParts { limit: usize },
    #[error("the headers of part {part} are longer than {limit} bytes")]
    HeadTooLarge { part: usize, limit: usize },
    #[error("part {part} has more than {limit} header lines")]
    TooManyHeaderLines { part: usize, limit: usize },
    #[error("the headers of part {part} are malformed: {reason}")]
    Head { part: usize, reason: &'static str },
    #[error("part {part} has the Content-Transfer-Encoding {encoding:?}; send binary, 8bit, 7bit or base64")]
    TransferEncoding { part: usize, encoding: String },
    #[error("part {part} is not base64 as its Content-Transfer-Encoding says: {fault} (byte {} of the part)", fault.at())]
    Base64 { part: usize, fault: Base64Fault },
    #[error("two parts have the Content-ID <{content_id}>; the second is part {part}")]
    DuplicateContentId { part: usize, content_id: String },
    #[error("there are more than {limit} bytes outside the parts")]
    Outside { limit: u64 },
    #[error("a delimiter line of the multipart message has more than {limit} blanks")]
    DelimiterLine { limit: usize },
    #[error("the multipart message ends without its closing delimiter; it was cut off")]
    Truncated,
    #[error("the multipart message has no parts")]
    NoParts,
    #[error("no part has the Content-ID <{start}> that the start parameter names")]
    NoRoot { start: String },
    #[error("the boundary is not one of RFC 2046")]
    Boundary,
}

/// Blanks after a delimiter at most.
const PADDING: usize = 256;

/// Cuts one multipart body. After an error the body is lost.
#[derive(Debug)]
pub struct Splitter {
    limits: MtomLimits,
    /// `CR LF "--" boundary`.
    delimiter: Bytes,
    finder: memmem::Finder<'static>,
    /// Content-ID of the root part; the first part if `None`.
    start: Option<String>,
    state: State,
    /// Whether content goes to a part, or is preamble.
    part: Option<Part>,
    /// Bytes withheld that are part of `delimiter` but stood in the message as the end of a header
    /// block, or were only imagined before its first byte: never content.
    phantom: usize,
    parts: usize,
    content_ids: HashSet<String>,
    root_seen: bool,
    total: u64,
    outside: u64,
}

#[derive(Debug)]
enum State {
    /// In content, with this many bytes of the delimiter matched at the end of what came so far.
    Content(usize),
    /// After the delimiter, with the bytes seen since: blanks, `--`, CR.
    Line(BytesMut),
    /// In a header block, seeded with the CRLF before it.
    Head(BytesMut),
    Epilogue,
}

#[derive(Debug)]
struct Part {
    size: u64,
    limit: u64,
    base64: Option<base64::Decoder>,
}

/// What the bytes after `--boundary` mean.
enum LineVerdict {
    Undecided,
    Delimiter,
    Closing,
    Content,
}

impl Splitter {
    /// A splitter whose root is the first part.
    ///
    /// A boundary that is not one of RFC 2046 fails with the first bytes pushed.
    pub fn new(boundary: &str, limits: MtomLimits) -> Self {
        Self::build(boundary, None, limits)
    }

    /// A splitter that knows the root by `start`.
    pub fn for_related(related: &Related, limits: MtomLimits) -> Self {
        Self::build(&related.boundary, related.start.clone(), limits)
    }

    fn build(boundary: &str, start: Option<String>, limits: MtomLimits) -> Self {
        // An illegal boundary leaves the delimiter empty, which `push` and `finish` report.
        let delimiter = if is_boundary(boundary) { format!("\r\n--{boundary}") } else { String::new() };
        Self {
            limits,
            finder: memmem::Finder::new(delimiter.as_bytes()).into_owned(),
            delimiter: Bytes::from(delimiter),
            start,
            // The start of the body is the start of a line, as if CRLF stood before it.
            state: State::Content(2),
            part: None,
            phantom: 2,
            parts: 0,
            content_ids: HashSet::new(),
            root_seen: false,
            total: 0,
            outside: 0,
        }
    }

    /// Takes the next bytes of the body.
    pub fn push(&mut self, mut chunk: Bytes, events: &mut Vec<PartEvent>) -> Result<(), MtomFault> {
        if self.delimiter.is_empty() {
            return Err(MtomFault::Boundary);
        }
        let room = usize::try_from(self.limits.total_bytes - self.total).unwrap_or(usize::MAX);
        let too_large = chunk.len() > room;
        chunk.truncate(room);
        self.total += chunk.len() as u64;
        while !chunk.is_empty() {
            match &self.state {
                State::Content(matched) => {
                    let matched = *matched;
                    self.content(matched, &mut chunk, events)?;
                }
                State::Line(_) => self.line(&mut chunk, events)?,
                State::Head(_) => self.head(&mut chunk, events)?,
                State::Epilogue => self.count_outside(chunk.split_to(chunk.len()).len())?,
            }
        }
        match too_large {
            true => Err(MtomFault::TooLarge { limit: self.limits.total_bytes }),
            false => Ok(()),
        }
    }

    /// Ends the body: it must have been closed, and the root found.
    pub fn finish(mut self, events: &mut Vec<PartEvent>) -> Result<(), MtomFault> {
        match &self.state {
            _ if self.delimiter.is_empty() => return Err(MtomFault::Boundary),
            State::Epilogue => {}
            State::Line(seen) if seen.starts_with(b"--") && !seen.ends_with(b"\r") => {
                self.end_part(events)?;
            }
            _ => return Err(MtomFault::Truncated),
        }
        match self.start {
            _ if self.parts == 0 => Err(MtomFault::NoParts),
            Some(start) if !self.root_seen => Err(MtomFault::NoRoot { start }),
            _ => Ok(()),
        }
    }

    /// Content up to the next delimiter or the end of the chunk.
    fn content(
        &mut self,
        matched: usize,
        chunk: &mut Bytes,
        events: &mut Vec<PartEvent>,
    ) -> Result<(), MtomFault> {
        if matched > 0 {
            // CR stands only at the delimiter's start, so a failed match can begin anew only at
            // the byte that failed it.
            let wanted = self.delimiter.get(matched..).unwrap_or_default();
            let same = wanted.iter().zip(chunk.iter()).take_while(|(a, b)| a == b).count();
            let (all, chunk_done) = (same == wanted.len(), same == chunk.len());
            let _ = chunk.split_to(same);
            let matched = matched + same;
            if all {
                self.state = State::Line(BytesMut::new());
            } else if chunk_done {
                self.state = State::Content(matched);
            } else {
                self.state = State::Content(0);
                self.release(matched, events)?;
            }
            return Ok(());
        }
        if let Some(at) = self.finder.find(chunk) {
            let content = chunk.split_to(at);
            let _ = chunk.split_to(self.delimiter.len());
            self.state = State::Line(BytesMut::new());
            return self.emit(content, events);
        }
        let tail_start = chunk.len().saturating_sub(self.delimiter.len() - 1);
        let tail = chunk.get(tail_start..).unwrap_or_default();
        let matched = match memchr::memrchr(b'\r', tail) {
            Some(at) if self.delimiter.starts_with(tail.get(at..).unwrap_or_default()) => tail.len() - at,
            _ => 0,
        };
        self.state = State::Content(matched);
        let content = chunk.split_to(chunk.len() - matched);
        chunk.clear();
        self.emit(content, events)
    }

    /// Gives out the first `matched` bytes of the delimiter, which turned out to be content.
    fn release(&mut self, matched: usize, events: &mut Vec<PartEvent>) -> Result<(), MtomFault> {
        let content = self.delimiter.slice(self.phantom.min(matched)..matched);
        self.phantom = 0;
        self.emit(content, events)
    }

    /// The rest of a line that begins with the delimiter.
    fn line(&mut self, chunk: &mut Bytes, events: &mut Vec<PartEvent>) -> Result<(), MtomFault> {
        let State::Line(seen) = &mut self.state else { return Ok(()) };
        let Some(&byte) = chunk.first() else { return Ok(()) };
        let verdict = match (seen.as_ref(), byte) {
            ([.., b'\r'], b'\n') if seen.starts_with(b"--") => LineVerdict::Closing,
            ([.., b'\r'], b'\n') => LineVerdict::Delimiter,
            ([.., b'\r'], _) => LineVerdict::Content,
            (_, b'\r' | b' ' | b'\t') if *seen != b"-"[..] => LineVerdict::Undecided,
            ([] | [b'-'], b'-') => LineVerdict::Undecided,
            _ => LineVerdict::Content,
        };
        if !matches!(verdict, LineVerdict::Content) {
            let _ = chunk.split_to(1);
        }
        match verdict {
            LineVerdict::Undecided if seen.len() > PADDING => {
                return Err(MtomFault::DelimiterLine { limit: PADDING });
            }
            LineVerdict::Undecided => seen.extend_from_slice(&[byte]),
            LineVerdict::Delimiter => {
                self.state = State::Head(BytesMut::from(&b"\r\n"[..]));
                self.phantom = 0;
                self.end_part(events)?;
                if self.parts == self.limits.parts {
                    return Err(MtomFault::TooManyParts { limit: self.limits.parts });
                }
                self.parts += 1;
            }
            LineVerdict::Closing => {
                self.state = State::Epilogue;
                self.outside = 0;
                self.end_part(events)?;
            }
            LineVerdict::Content => {
                let seen = std::mem::take(seen).freeze();
                self.state = State::Content(0);
                self.release(self.delimiter.len(), events)?;
                self.emit(seen, events)?;
            }
        }
        Ok(())
    }

    /// The header block, up to and with its empty line.
    fn head(&mut self, chunk: &mut Bytes, events: &mut Vec<PartEvent>) -> Result<(), MtomFault> {
        let part = self.parts;
        let State::Head(block) = &mut self.state else { return Ok(()) };
        let before = block.len();
        // The seed's CRLF before the block and the empty line after it are not counted.
        let room = (self.limits.head_bytes + 4).saturating_sub(before);
        block.extend_from_slice(chunk.get(..room).unwrap_or(chunk));
        let from = before.saturating_sub(3);
        let Some(at) = memmem::find(block.get(from..).unwrap_or_default(), b"\r\n\r\n") else {
            if chunk.len() > room {
                return Err(MtomFault::HeadTooLarge { part, limit: self.limits.head_bytes });
            }
            chunk.clear();
            return Ok(());
        };
        let end = from + at;
        let _ = chunk.split_to((end + 4).saturating_sub(before));
        let mut head = head::parse(block.get(2..end).unwrap_or_default(), part, self.limits.head_lines)?;
        head.root = match (&self.start, &head.content_id) {
            (None, _) => part == 1,
            (Some(start), Some(id)) => start == id,
            (Some(_), None) => false,
        };
        self.root_seen |= head.root;
        if let Some(id) = &head.content_id
            && !self.content_ids.insert(id.clone())
        {
            return Err(MtomFault::DuplicateContentId { part, content_id: id.clone() });
        }
        self.part = Some(Part {
            size: 0,
            limit: if head.root { u64::MAX } else { self.limits.document_bytes },
            base64: (head.transfer_encoding == TransferEncoding::Base64).then(base64::Decoder::new),
        });
        // The CRLF of the empty line may be the one of the delimiter: a part without content.
        self.state = State::Content(2);
        self.phantom = 2;
        events.push(PartEvent::Start(head));
        Ok(())
    }

    fn emit(&mut self, content: Bytes, events: &mut Vec<PartEvent>) -> Result<(), MtomFault> {
        let Some(part) = &mut self.part else { return self.count_outside(content.len()) };
        let (content, fault) = match &mut part.base64 {
            None => (content, None),
            Some(decoder) => {
                let mut octets = BytesMut::new();
                let fault = decoder.feed(&content, &mut octets).err();
                (octets.freeze(), fault)
            }
        };
        part.size += content.len() as u64;
        if part.size > part.limit {
            return Err(MtomFault::PartTooLarge { part: self.parts, limit: part.limit });
        }
        if let Some(fault) = fault {
            return Err(MtomFault::Base64 { part: self.parts, fault });
        }
        if !content.is_empty() {
            events.push(PartEvent::Data(content));
        }
        Ok(())
    }

    fn end_part(&mut self, events: &mut Vec<PartEvent>) -> Result<(), MtomFault> {
        if let Some(part) = self.part.take() {
            if let Some(decoder) = part.base64 {
                decoder.finish().map_err(|fault| MtomFault::Base64 { part: self.parts, fault })?;
            }
            events.push(PartEvent::End);
        }
        Ok(())
    }

    fn count_outside(&mut self, bytes: usize) -> Result<(), MtomFault> {
        self.outside += bytes as u64;
        match self.outside > self.limits.outside_bytes {
            true => Err(MtomFault::Outside { limit: self.limits.outside_bytes }),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
