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

pub use super::limits::{XmlFault, XmlLimits};
use super::tag::{self, is_space};
use crate::wire::base64;
use bytes::{Bytes, BytesMut};
use std::ops::Range;

/// Namespace of the `Document` element (ITI TF-2 3.41.4.1.2, 3.43.4.2.2).
const XDSB: &str = "urn:ihe:iti:xds-b:2007";

/// Bytes of an XML declaration at most.
const DECLARATION_BYTES: usize = 256;

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

/// The `Document` element under way.
#[derive(Debug)]
struct Document {
    /// Elements open, this one included.
    depth: usize,
    offset: u64,
    has_child: bool,
    inline: Option<Inline>,
}

#[derive(Debug, Default)]
struct Inline {
    decoder: base64::Decoder,
    octets: BytesMut,
    size: u64,
    /// Bytes given to the decoder before the present run; its faults count from there.
    fed: u64,
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

    /// Character data, as written: kept, or decoded where it is an inline document.
    fn characters(&mut self, run: &[u8], offset: u64, events: &mut Vec<GuardEvent>) -> Result<(), XmlFault> {
        let in_document = self.document.as_ref().is_some_and(|d| d.depth == self.open.len());
        let kept = if in_document && self.has_inline() {
            0
        } else if in_document || self.open.is_empty() {
            run.iter().position(|b| !is_space(*b)).unwrap_or(run.len())
        } else {
            run.len()
        };
        let (kept, diverted) = run.split_at(kept);
        let text_room = self.limits.text_bytes.saturating_sub(self.text_bytes);
        let envelope_room = self.limits.envelope_bytes.saturating_sub(self.envelope.len());
        if kept.len() > text_room && text_room <= envelope_room {
            // The place where the limit is passed, not where this chunk happens to begin.
            let offset = offset + text_room as u64;
            return Err(XmlFault::TextTooLong { limit: self.limits.text_bytes, offset });
        }
        self.text_bytes += kept.len();
        self.keep(kept)?;
        if diverted.is_empty() {
            return Ok(());
        }
        let offset = offset + kept.len() as u64;
        if !in_document {
            return Err(XmlFault::Malformed { offset, reason: "there is text outside the root element" });
        }
        self.divert(diverted, offset, events)
    }

    fn has_inline(&self) -> bool {
        self.document.as_ref().is_some_and(|d| d.inline.is_some())
    }

    fn divert(&mut self, run: &[u8], offset: u64, events: &mut Vec<GuardEvent>) -> Result<(), XmlFault> {
        if let Some(document) = &self.document
            && document.has_child
        {
            return Err(XmlFault::MixedDocument { offset: document.offset });
        }
        if !self.has_inline() {
            let include = format!(
                r#"<xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="inline:{}"/>"#,
                self.documents
            );
            self.keep(include.as_bytes())?;
        }
        let limit = self.limits.document_bytes;
        let Some(document) = &mut self.document else { return Ok(()) };
        let inline = document.inline.get_or_insert_with(|| {
            events.push(GuardEvent::InlineStart(self.documents));
            self.documents += 1;
            Inline::default()
        });
        let before = inline.octets.len();
        let decoded = inline.decoder.feed(run, &mut inline.octets);
        inline.size += (inline.octets.len() - before) as u64;
        if inline.size > limit {
            return Err(XmlFault::DocumentTooLarge { limit, offset: document.offset });
        }
        decoded.map_err(|fault| XmlFault::Base64 {
            document: document.offset,
            offset: offset + fault.at().saturating_sub(inline.fed),
            fault,
        })?;
        inline.fed += run.len() as u64;
        Ok(())
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

    /// The byte after `<` tells which markup it is.
    fn markup(&mut self, first: u8) -> Result<usize, XmlFault> {
        self.state = match first {
            b'!' => State::Bang,
            b'/' => State::EndTag,
            // Only at the very start, a byte order mark aside, stands the XML declaration.
            b'?' if self.mark == 0 && self.open.is_empty() => State::Declaration,
            b'?' => return Err(XmlFault::ProcessingInstruction { offset: self.mark_offset }),
            _ => {
                self.state = State::StartTag(None);
                return Ok(0);
            }
        };
        self.keep(&[first])?;
        Ok(1)
    }

    fn bang(&mut self, first: u8) -> Result<usize, XmlFault> {
        self.keep(&[first])?;
        let so_far = self.envelope.get(self.mark..).unwrap_or_default();
        if so_far == b"<!--" {
            self.state = State::Comment(0);
        } else if so_far == b"<![CDATA[" {
            if self.open.is_empty() {
                return Err(self.malformed("there is a CDATA section outside the root element"));
            }
            if self.document.as_ref().is_some_and(|d| d.depth == self.open.len()) {
                // Base64 may come as CDATA; its brackets go the way of the text.
                self.envelope.truncate(self.mark);
            }
            self.state = State::CData(0);
        } else if so_far.eq_ignore_ascii_case(b"<!D") {
            return Err(XmlFault::Doctype { offset: self.mark_offset });
        } else if !b"<!--".starts_with(so_far) && !b"<![CDATA[".starts_with(so_far) {
            return Err(self.malformed("after <! comes -- or [CDATA["));
        }
        Ok(1)
    }

    fn xml_declaration(&mut self, first: u8) -> Result<usize, XmlFault> {
        self.keep(&[first])?;
        let so_far = self.envelope.get(self.mark..).unwrap_or_default();
        let (target, sixth) = (so_far.get(..5), so_far.get(5));
        if sixth.is_some_and(|b| !is_space(*b)) || target.is_some_and(|t| t != b"<?xml") {
            return Err(XmlFault::ProcessingInstruction { offset: self.mark_offset });
        }
        if so_far.ends_with(b"?>") {
            tag::declaration(so_far, self.mark_offset, &self.limits)?;
            self.state = State::Text;
        } else if so_far.len() > DECLARATION_BYTES {
            return Err(self.malformed("the XML declaration does not end"));
        }
        Ok(1)
    }

    fn comment(&mut self, dashes: u8, first: u8, rest: &[u8]) -> Result<usize, XmlFault> {
        let used = match (dashes, first) {
            (2, b'>') => {
                self.state = State::Text;
                1
            }
            (_, b'-') => {
                self.state = State::Comment((dashes + 1).min(2));
                1
            }
            _ => {
                self.state = State::Comment(0);
                memchr::memchr(b'-', rest).unwrap_or(rest.len())
            }
        };
        self.keep(&rest[..used])?;
        Ok(used)
    }

    fn cdata(
        &mut self,
        brackets: u8,
        first: u8,
        rest: &[u8],
        events: &mut Vec<GuardEvent>,
    ) -> Result<usize, XmlFault> {
        let withheld = u64::from(brackets);
        match (brackets, first) {
            (2, b'>') => {
                self.state = State::Text;
                if self.document.as_ref().is_none_or(|d| d.depth != self.open.len()) {
                    self.keep(b"]]>")?;
                }
                Ok(1)
            }
            (2, b']') => {
                self.characters(b"]", self.offset - withheld, events)?;
                Ok(1)
            }
            (_, b']') => {
                self.state = State::CData(brackets + 1);
                Ok(1)
            }
            (0, _) => {
                let length = memchr::memchr(b']', rest).unwrap_or(rest.len());
                self.characters(&rest[..length], self.offset, events)?;
                Ok(length)
            }
            _ => {
                let run: &[u8] = if brackets == 1 { b"]" } else { b"]]" };
                self.characters(run, self.offset - withheld, events)?;
                self.state = State::CData(0);
                Ok(0)
            }
        }
    }

    fn start_tag(&mut self, quote: Option<u8>, rest: &[u8]) -> Result<usize, XmlFault> {
        let stop = match quote {
            Some(q) => memchr::memchr2(q, b'<', rest),
            None => memchr::memchr3(b'"', b'\'', b'>', rest),
        };
        let Some(at) = stop else {
            self.keep(rest)?;
            return Ok(rest.len());
        };
        self.keep(&rest[..=at])?;
        match (quote, rest[at]) {
            (Some(_), b'<') => {
                let offset = self.offset + at as u64;
                return Err(XmlFault::Malformed { offset, reason: "there is a < in an attribute value" });
            }
            (Some(_), _) => self.state = State::StartTag(None),
            (None, b'>') => {
                self.started()?;
                self.state = State::Text;
            }
            (None, q) => self.state = State::StartTag(Some(q)),
        }
        Ok(at + 1)
    }

    /// A start tag is complete in the envelope, from `mark` to its end.
    fn started(&mut self) -> Result<(), XmlFault> {
        let offset = self.mark_offset;
        let mark = self.mark;
        let text = self.envelope.get(mark..).unwrap_or_default();
        let tag = tag::start_tag(text, offset, &self.limits, XDSB)?;
        if self.closed {
            return Err(self.malformed("there is a second root element"));
        }
        self.elements += 1;
        if self.elements > self.limits.elements {
            return Err(XmlFault::TooManyElements { limit: self.limits.elements, offset });
        }
        let depth = self.open.len() + 1;
        if depth > self.limits.depth {
            return Err(XmlFault::TooDeep { limit: self.limits.depth, offset });
        }
        if let Some(document) = &mut self.document
            && document.depth + 1 == depth
        {
            if document.inline.is_some() {
                return Err(XmlFault::MixedDocument { offset: document.offset });
            }
            document.has_child = true;
        }
        self.text_bytes = 0;
        let outer_declarations = self.declarations.len();
        self.declarations.extend(
            tag.declarations
                .into_iter()
                .map(|d| Scoped { prefix: mark + d.prefix.start..mark + d.prefix.end, xdsb: d.wanted }),
        );
        if self.declarations.len() > self.limits.namespaces_in_scope {
            let limit = self.limits.namespaces_in_scope;
            return Err(XmlFault::TooManyNamespacesInScope { limit, offset });
        }
        let is_document = self.is_document(text.get(tag.name.clone()).unwrap_or_default());
        if is_document && self.document.is_some() {
            return Err(XmlFault::NestedDocument { offset });
        }
        if tag.empty {
            self.declarations.truncate(outer_declarations);
            self.closed = self.open.is_empty();
            return Ok(());
        }
        let name = mark + tag.name.start..mark + tag.name.end;
        self.open.push(Open { name, outer_declarations });
        if is_document {
            self.document = Some(Document { depth, offset, has_child: false, inline: None });
        }
        Ok(())
    }

    /// Whether an element of this name is `{urn:ihe:iti:xds-b:2007}Document` in the present scope.
    fn is_document(&self, name: &[u8]) -> bool {
        if tag::local_name(name) != b"Document" {
            return false;
        }
        let prefix = tag::prefix(name);
        let bound = |s: &&Scoped| self.envelope.get(s.prefix.clone()) == Some(prefix);
        self.declarations.iter().rev().find(bound).is_some_and(|s| s.xdsb)
    }

    fn end_tag(&mut self, rest: &[u8], events: &mut Vec<GuardEvent>) -> Result<usize, XmlFault> {
        let Some(at) = memchr::memchr(b'>', rest) else {
            self.keep(rest)?;
            return Ok(rest.len());
        };
        self.keep(&rest[..=at])?;
        let text = self.envelope.get(self.mark..).unwrap_or_default();
        let name = tag::end_tag(text, self.mark_offset, &self.limits)?;
        let depth = self.open.len();
        match self.open.pop() {
            Some(ref open) if self.envelope.get(open.name.clone()) == text.get(name) => {
                self.declarations.truncate(open.outer_declarations);
            }
            Some(_) => return Err(self.malformed("the end tag does not match its start tag")),
            None => return Err(self.malformed("there is an end tag without a start tag")),
        }
        self.closed = self.open.is_empty();
        self.text_bytes = 0;
        self.state = State::Text;
        if let Some(document) = self.document.take_if(|d| d.depth == depth)
            && let Some(mut inline) = document.inline
        {
            inline.decoder.finish().map_err(|fault| XmlFault::Base64 {
                document: document.offset,
                offset: self.mark_offset,
                fault,
            })?;
            inline.hand_out(events);
            events.push(GuardEvent::InlineEnd);
        }
        Ok(at + 1)
    }

    fn malformed(&self, reason: &'static str) -> XmlFault {
        XmlFault::Malformed { offset: self.mark_offset, reason }
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), XmlFault> {
        if self.envelope.len() + bytes.len() > self.limits.envelope_bytes {
            return Err(XmlFault::EnvelopeTooLarge { limit: self.limits.envelope_bytes });
        }
        self.envelope.extend_from_slice(bytes);
        Ok(())
    }
}

impl Inline {
    fn hand_out(&mut self, events: &mut Vec<GuardEvent>) {
        if !self.octets.is_empty() {
            events.push(GuardEvent::InlineData(self.octets.split().freeze()));
        }
    }
}

#[cfg(test)]
mod tests;
