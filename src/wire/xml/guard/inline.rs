//! Character data, and the documents that are taken out of it.

use bytes::BytesMut;

use super::{Guard, GuardEvent};
use crate::wire::base64;
use crate::wire::xml::limits::XmlFault;
use crate::wire::xml::tag::is_space;

/// The `Document` element under way.
#[derive(Debug)]
pub(super) struct Document {
    /// Elements open, this one included.
    pub(super) depth: usize,
    pub(super) offset: u64,
    pub(super) has_child: bool,
    pub(super) inline: Option<Inline>,
}

#[derive(Debug, Default)]
pub(super) struct Inline {
    pub(super) decoder: base64::Decoder,
    octets: BytesMut,
    size: u64,
    /// Bytes given to the decoder before the present run; its faults count from there.
    fed: u64,
}

impl Guard {
    /// Character data, as written: kept, or decoded where it is an inline document.
    pub(super) fn characters(
        &mut self,
        run: &[u8],
        offset: u64,
        events: &mut Vec<GuardEvent>,
    ) -> Result<(), XmlFault> {
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
}

impl Inline {
    pub(super) fn hand_out(&mut self, events: &mut Vec<GuardEvent>) {
        if !self.octets.is_empty() {
            events.push(GuardEvent::InlineData(self.octets.split().freeze()));
        }
    }
}
