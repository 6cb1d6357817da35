//! An answer as it arrives: the envelope through the guard into memory, documents out as events.
//! No I/O here, so that whoever reads a socket in a way of its own reads answers the same.

use bytes::Bytes;

use crate::wire::mtom::content_type::{ContentType, ContentTypeFault, Packaging, check_root};
use crate::wire::mtom::split::{MtomFault, MtomLimits, PartEvent, Splitter};
use crate::wire::xml::guard::{Guard, GuardEvent};
use crate::wire::xml::{XmlFault, XmlLimits};

/// An answer's envelope may be as large as a query's result; documents are limited by the peer's
/// `answer_mib` alone, since they are not held.
const XML_LIMITS: XmlLimits = XmlLimits {
    envelope_bytes: 256 << 20,
    depth: 64,
    elements: 5_000_000,
    attributes: 64,
    namespaces: 64,
    namespaces_in_scope: 256,
    name_bytes: 256,
    attribute_bytes: 1 << 20,
    text_bytes: 1 << 20,
    document_bytes: u64::MAX,
};

/// Nodes of an answer's tree at most: elements and the text around them.
pub(super) const NODES: u32 = 16_000_000;

/// A document of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentHead {
    /// Content-ID of its part without `<>`, or `inline:N` for the Nth sent as base64 text.
    pub key: String,
    /// Content-Type of its part; what the metadata says is authoritative.
    pub content_type: Option<String>,
}

/// One step through the documents of an answer: `Start`, any number of `Data`, `End`, and so on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerEvent {
    Start(DocumentHead),
    /// Octets, decoded, never empty.
    Data(Bytes),
    End,
}

/// Why an answer is no SOAP 1.2 message, or one too costly to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerFault {
    #[error(transparent)]
    ContentType(#[from] ContentTypeFault),
    #[error(transparent)]
    Mtom(#[from] MtomFault),
    #[error(transparent)]
    Xml(#[from] XmlFault),
}

/// Takes the bytes of one answer, in chunks of any size.
#[derive(Debug)]
pub struct AnswerReader {
    /// `None` when the body is the envelope.
    splitter: Option<Splitter>,
    /// `None` once the envelope was taken.
    guard: Option<Guard>,
    /// The part under way is the envelope.
    in_root: bool,
    /// The envelope has come whole.
    root_done: bool,
    parts: Vec<PartEvent>,
    inline: Vec<GuardEvent>,
}

impl AnswerReader {
    pub fn new(content_type: Option<&str>) -> Result<Self, AnswerFault> {
        let header = content_type.ok_or(ContentTypeFault::Missing)?;
        let splitter = match ContentType::parse(header)?.packaging()? {
            Packaging::Simple => None,
            Packaging::Mtom(related) => {
                let limits =
                    MtomLimits { document_bytes: u64::MAX, total_bytes: u64::MAX, ..MtomLimits::default() };
                Some(Splitter::for_related(&related, limits))
            }
        };
        let in_root = splitter.is_none();
        Ok(Self {
            splitter,
            guard: Some(Guard::new(XML_LIMITS)),
            in_root,
            root_done: false,
            parts: vec![],
            inline: vec![],
        })
    }

    /// Whether the answer came as multipart/related.
    pub fn is_mtom(&self) -> bool {
        self.splitter.is_some()
    }

    pub fn push(&mut self, chunk: Bytes, out: &mut Vec<AnswerEvent>) -> Result<(), AnswerFault> {
        let Some(splitter) = &mut self.splitter else { return self.root(&chunk, out) };
        let mut parts = std::mem::take(&mut self.parts);
        splitter.push(chunk, &mut parts)?;
        for part in parts.drain(..) {
            self.part(part, out)?;
        }
        self.parts = parts;
        Ok(())
    }

    /// Ends the answer and gives its envelope, with `inline:N` where documents were.
    pub fn finish(mut self, out: &mut Vec<AnswerEvent>) -> Result<String, AnswerFault> {
        if let Some(splitter) = self.splitter.take() {
            let mut parts = vec![];
            splitter.finish(&mut parts)?;
            for part in parts {
                self.part(part, out)?;
            }
        }
        Ok(self.guard.take().map_or(Ok(String::new()), Guard::finish)?)
    }

    /// The envelope, once, as soon as it has come whole: before the documents, where they are parts of their own.
    /// [`finish`](Self::finish) then gives an empty text.
    pub fn take_envelope(&mut self) -> Result<Option<String>, AnswerFault> {
        match self.root_done {
            true => Ok(self.guard.take().map(Guard::finish).transpose()?),
            false => Ok(None),
        }
    }

    fn part(&mut self, part: PartEvent, out: &mut Vec<AnswerEvent>) -> Result<(), AnswerFault> {
        match part {
            PartEvent::Start(head) if head.root => {
                check_root(head.content_type.as_deref())?;
                self.in_root = true;
            }
            PartEvent::Start(head) => out.push(AnswerEvent::Start(DocumentHead {
                key: head.content_id.unwrap_or_default(),
                content_type: head.content_type,
            })),
            PartEvent::Data(bytes) if self.in_root => self.root(&bytes, out)?,
            PartEvent::Data(bytes) => out.push(AnswerEvent::Data(bytes)),
            PartEvent::End if self.in_root => {
                self.in_root = false;
                self.root_done = true;
            }
            PartEvent::End => out.push(AnswerEvent::End),
        }
        Ok(())
    }

    fn root(&mut self, bytes: &[u8], out: &mut Vec<AnswerEvent>) -> Result<(), AnswerFault> {
        if let Some(guard) = &mut self.guard {
            guard.push(bytes, &mut self.inline)?;
        }
        out.extend(self.inline.drain(..).map(|event| match event {
            GuardEvent::InlineStart(n) => {
                AnswerEvent::Start(DocumentHead { key: format!("inline:{n}"), content_type: None })
            }
            GuardEvent::InlineData(bytes) => AnswerEvent::Data(bytes),
            GuardEvent::InlineEnd => AnswerEvent::End,
        }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::mtom::write::Multipart;

    fn read(content_type: &str, pieces: &[Bytes]) -> Result<(String, Vec<AnswerEvent>), AnswerFault> {
        let mut events = vec![];
        let mut reader = AnswerReader::new(Some(content_type))?;
        for piece in pieces {
            reader.push(piece.clone(), &mut events)?;
        }
        Ok((reader.finish(&mut events)?, events))
    }

    #[test]
    fn parts_come_out_and_the_root_stays() {
        let m = Multipart::fresh();
        let pieces = [
            m.root_head(),
            "<e/>".into(),
            m.part_end(),
            m.part_head("d@x", "a/b"),
            "doc".into(),
            m.part_end(),
            m.closing(),
        ];
        let (envelope, events) = read(&m.content_type(None), &pieces).unwrap();
        assert_eq!(envelope, "<e/>");
        let head = DocumentHead { key: "d@x".into(), content_type: Some("a/b".into()) };
        assert_eq!(events, [AnswerEvent::Start(head), AnswerEvent::Data("doc".into()), AnswerEvent::End]);
        assert!(matches!(
            read(&m.content_type(None), &pieces[..4]),
            Err(AnswerFault::Mtom(MtomFault::Truncated))
        ));
    }

    #[test]
    fn inline_documents_come_out_too() {
        let xml = r#"<Document xmlns="urn:ihe:iti:xds-b:2007">ZG9j</Document>"#;
        let (envelope, events) = read("application/soap+xml", &[xml.into()]).unwrap();
        assert!(envelope.contains("inline:0"));
        assert_eq!(events.get(1), Some(&AnswerEvent::Data("doc".into())));
    }

    #[test]
    fn what_is_not_soap_is_refused() {
        assert!(matches!(AnswerReader::new(None), Err(AnswerFault::ContentType(_))));
        for other in ["text/html", "text/xml", "application/json"] {
            assert!(matches!(AnswerReader::new(Some(other)), Err(AnswerFault::ContentType(_))));
        }
        assert!(matches!(
            read("application/soap+xml", &["<!DOCTYPE e><e/>".into()]),
            Err(AnswerFault::Xml(XmlFault::Doctype { .. }))
        ));
    }
}
