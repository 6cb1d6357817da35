//! The streaming guard: one pass over the bytes of a SOAP part before any tree is built.
//!
//! It enforces [`XmlLimits`] in constant memory (the envelope itself aside), refuses what SOAP
//! forbids — DOCTYPE, processing instructions, entities of one's own, encodings other than UTF-8 —
//! and takes documents sent as inline base64 out of the envelope. A tree parser given 60 000
//! attributes on one element works for seconds; the guard says no at the sixty-fifth.
//!
//! # Inline documents
//!
//! Base64 text directly inside `{urn:ihe:iti:xds-b:2007}Document` is decoded as it arrives and
//! handed out as [`GuardEvent`]s; the envelope shows
//! `<xop:Include href="inline:N"/>` in its place, N counting from 0. So inline and XOP look alike
//! to the reader above, and a document of any size costs no memory. No `href` from outside may
//! begin with `inline:`. A Document that holds only white space is left as it is.
//!
//! # Agreement with the tree
//!
//! Tags are matched by name here as well, and comments, CDATA and quotes are cut exactly where
//! roxmltree cuts them, so nothing can hide a tag from one and show it to the other.

mod inline;
mod markup;
#[cfg(test)]
mod tests;

use std::ops::Range;

use bytes::Bytes;

pub use super::limits::{XmlFault, XmlLimits};
use super::tag;
use inline::Document;

/// Namespace of the `Document` element (ITI TF-2 3.41.4.1.2, 3.43.4.2.2).
const XDSB: &str = "urn:ihe:iti:xds-b:2007";

/// Bytes between `&` and `;` at most: `#x10FFFF`, and some leading zeros.
const REFERENCE_BYTES: usize = 16;

/// A document found inline in the envelope. Starts and ends pair up and never nest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuardEvent {
    /// The document the envelope names as `inline:N`.
    InlineStart(usize),
    /// Decoded octets, never empty.
    InlineData(Bytes),
    InlineEnd,
}

/// Reads one XML message in chunks of any size.
///
/// After an error the message is lost: further calls give nothing of worth.
#[derive(Debug)]
pub struct Guard {
    limits: XmlLimits,
    /// What the reader will see.
    envelope: Vec<u8>,
    /// Bytes of the message scanned.
    offset: u64,
    /// A UTF-8 sequence cut by the end of a chunk.
    cut: Vec<u8>,
    state: State,
    /// Where the markup under way begins: in the envelope, and in the message.
    mark: usize,
    mark_offset: u64,
    open: Vec<Open>,
    /// Namespace declarations in scope, innermost last.
    declarations: Vec<Scoped>,
    elements: usize,
    /// The root element has ended.
    closed: bool,
    /// Character data since the last tag.
    text_bytes: usize,
    document: Option<Document>,
    /// Inline documents so far.
    documents: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Character data; also the space before and after the root element.
    Text,
    /// Between `&` and `;` of character data.
    Reference,
    /// After `<`.
    Markup,
    /// After `<!`.
    Bang,
    /// Inside `<?xml`.
    Declaration,
    /// With the number of `-` just seen, at most two.
    Comment(u8),
    /// With the number of `]` just seen and not yet passed on, at most two.
    CData(u8),
    /// With the quote of the attribute value under way.
    StartTag(Option<u8>),
    EndTag,
}

#[derive(Debug)]
struct Open {
    /// The name's place in the envelope.
    name: Range<usize>,
    /// Declarations in scope outside this element.
    outer_declarations: usize,
}

#[derive(Debug)]
struct Scoped {
    /// The prefix's place in the envelope.
    prefix: Range<usize>,
    xdsb: bool,
}

impl Guard {
    pub fn new(limits: XmlLimits) -> Self {
        Self {
            limits,
            envelope: Vec::with_capacity(8 << 10),
            offset: 0,
            cut: Vec::with_capacity(4),
            state: State::Text,
            mark: 0,
            mark_offset: 0,
            open: Vec::new(),
            declarations: Vec::new(),
            elements: 0,
            closed: false,
            text_bytes: 0,
            document: None,
            documents: 0,
        }
    }

    /// Takes the next bytes of the message. What the events hold when an error is returned is to
    /// be thrown away with the message.
    pub fn push(&mut self, chunk: &[u8], events: &mut Vec<GuardEvent>) -> Result<(), XmlFault> {
        let mut rest = chunk;
        while !self.cut.is_empty() {
            let Some((&byte, tail)) = rest.split_first() else { return Ok(()) };
            rest = tail;
            self.cut.push(byte);
            match std::str::from_utf8(&self.cut) {
                Ok(_) => {
                    let whole = std::mem::take(&mut self.cut);
                    self.scan(&whole, events)?;
                }
                Err(e) if e.error_len().is_some() => return Err(self.invalid_utf8(0)),
                Err(_) => {}
            }
        }
        let (valid, broken) = match std::str::from_utf8(rest) {
            Ok(_) => (rest, None),
            Err(e) => {
                let (valid, tail) = rest.split_at(e.valid_up_to());
                (valid, Some((tail, e.error_len().is_some())))
            }
        };
        let nul = memchr::memchr(0, valid);
        self.scan(nul.map_or(valid, |at| &valid[..at]), events)?;
        if nul.is_some() {
            return Err(XmlFault::Nul { offset: self.offset });
        }
        match broken {
            Some((tail, true)) => return Err(self.invalid_utf8(tail.first().copied().unwrap_or(0))),
            Some((tail, false)) => self.cut.extend_from_slice(tail),
            None => {}
        }
        if let Some(inline) = self.document.as_mut().and_then(|d| d.inline.as_mut()) {
            inline.hand_out(events);
        }
        Ok(())
    }

    /// Ends the message and gives out the envelope.
    pub fn finish(self) -> Result<String, XmlFault> {
        let reason = match self.state {
            _ if !self.cut.is_empty() => return Err(XmlFault::InvalidUtf8 { offset: self.offset }),
            State::Text if self.closed => {
                return String::from_utf8(self.envelope)
                    .map_err(|e| XmlFault::InvalidUtf8 { offset: e.utf8_error().valid_up_to() as u64 });
            }
            State::Text if self.open.is_empty() => "there is no element",
            State::Text | State::Reference => "an element is not closed",
            State::Comment(_) => "a comment is not closed",
            State::CData(_) => "a CDATA section is not closed",
            _ => "a tag is not closed",
        };
        Err(XmlFault::Unfinished { reason })
    }

    fn invalid_utf8(&self, first: u8) -> XmlFault {
        match first {
            0xFE | 0xFF if self.offset == 0 => XmlFault::Utf16,
            _ => XmlFault::InvalidUtf8 { offset: self.offset },
        }
    }

    /// Runs the states over bytes that are whole UTF-8 sequences without NUL.
    fn scan(&mut self, bytes: &[u8], events: &mut Vec<GuardEvent>) -> Result<(), XmlFault> {
        let mut rest = bytes;
        if self.offset == 0 && rest.starts_with(b"\xEF\xBB\xBF") {
            self.offset = 3;
            rest = rest.get(3..).unwrap_or_default();
        }
        while let Some(&first) = rest.first() {
            let used = match self.state {
                State::Text => self.text(first, rest, events)?,
                State::Reference => self.reference(first, events)?,
                State::Markup => self.markup(first)?,
                State::Bang => self.bang(first)?,
                State::Declaration => self.xml_declaration(first)?,
                State::Comment(dashes) => self.comment(dashes, first, rest)?,
                State::CData(brackets) => self.cdata(brackets, first, rest, events)?,
                State::StartTag(quote) => self.start_tag(quote, rest)?,
                State::EndTag => self.end_tag(rest, events)?,
            };
            self.offset += used as u64;
            rest = rest.get(used..).unwrap_or_default();
        }
        Ok(())
    }

    fn text(&mut self, first: u8, rest: &[u8], events: &mut Vec<GuardEvent>) -> Result<usize, XmlFault> {
        if first == b'<' || first == b'&' {
            self.mark = self.envelope.len();
            self.mark_offset = self.offset;
            self.keep(&[first])?;
            self.state = if first == b'<' { State::Markup } else { State::Reference };
            return Ok(1);
        }
        let length = memchr::memchr2(b'<', b'&', rest).unwrap_or(rest.len());
        self.characters(&rest[..length], self.offset, events)?;
        Ok(length)
    }

    fn reference(&mut self, first: u8, events: &mut Vec<GuardEvent>) -> Result<usize, XmlFault> {
        let fault = XmlFault::Reference { offset: self.mark_offset };
        if self.open.is_empty() {
            return Err(fault);
        }
        if first != b';' {
            let legal = first.is_ascii_alphanumeric() || first == b'#';
            if !legal || self.envelope.len() - self.mark > REFERENCE_BYTES {
                return Err(fault);
            }
            self.keep(&[first])?;
            return Ok(1);
        }
        let written = self.envelope.split_off(self.mark);
        let character = written.get(1..).and_then(tag::resolve_reference).ok_or(fault)?;
        self.state = State::Text;
        if self.document.as_ref().is_some_and(|d| d.depth == self.open.len()) {
            let mut utf8 = [0; 4];
            let utf8 = character.encode_utf8(&mut utf8).as_bytes();
            self.characters(utf8, self.mark_offset, events)?;
        } else {
            self.characters(&written, self.mark_offset, events)?;
            self.characters(b";", self.offset, events)?;
        }
        Ok(1)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), XmlFault> {
        if self.envelope.len() + bytes.len() > self.limits.envelope_bytes {
            return Err(XmlFault::EnvelopeTooLarge { limit: self.limits.envelope_bytes });
        }
        self.envelope.extend_from_slice(bytes);
        Ok(())
    }
}
