//! The guard's states inside markup: tags, comments, CDATA sections, the XML declaration.

use super::inline::Document;
use super::{Guard, GuardEvent, Open, Scoped, State, XDSB};
use crate::wire::xml::limits::XmlFault;
use crate::wire::xml::tag::{self, is_space};

/// Bytes of an XML declaration at most.
const DECLARATION_BYTES: usize = 256;

impl Guard {
    /// The byte after `<` tells which markup it is.
    pub(super) fn markup(&mut self, first: u8) -> Result<usize, XmlFault> {
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

    pub(super) fn bang(&mut self, first: u8) -> Result<usize, XmlFault> {
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

    pub(super) fn xml_declaration(&mut self, first: u8) -> Result<usize, XmlFault> {
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

    pub(super) fn comment(&mut self, dashes: u8, first: u8, rest: &[u8]) -> Result<usize, XmlFault> {
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

    pub(super) fn cdata(
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

    pub(super) fn start_tag(&mut self, quote: Option<u8>, rest: &[u8]) -> Result<usize, XmlFault> {
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

    pub(super) fn end_tag(&mut self, rest: &[u8], events: &mut Vec<GuardEvent>) -> Result<usize, XmlFault> {
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
}
