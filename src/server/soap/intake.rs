//! A request's body, as it arrives: the envelope to memory, documents to the spool.
//!
//! Nothing the size of a document is held: MTOM parts and inline base64 alike are hashed and
//! spooled chunk by chunk, and wait in [`Documents`] until the envelope says which is which.

use std::collections::HashMap;

use bytes::Bytes;

use crate::config::LimitsConfig;
use crate::model::error::{Error, Fault, FaultCode, FaultKind, clip};
use crate::server::http::{BodyError, GuardedBody};
use crate::service::repository::{Repository, Spool, Spooled};
use crate::service::storage;
use crate::wire::mtom::cid::{HrefFault, Reference};
use crate::wire::mtom::content_type::{ContentType, ContentTypeFault, Packaging, check_root};
use crate::wire::mtom::split::{MtomFault, MtomLimits, PartEvent, PartHead, Splitter};
use crate::wire::xml::guard::{Guard, GuardEvent};
use crate::wire::xml::{XmlFault, XmlLimits};

/// A message taken in.
pub struct Intake {
    pub envelope: String,
    pub documents: Documents,
    /// It came as multipart/related.
    pub multipart: bool,
}

/// Documents of a message, by the name the envelope will call them.
#[derive(Default)]
pub struct Documents {
    inline: HashMap<usize, Spooled>,
    parts: HashMap<String, Spooled>,
}

impl Documents {
    /// The bytes behind an `xop:Include`; each may be asked for once.
    pub fn take(&mut self, href: &str) -> Result<Spooled, Fault> {
        let missing = || {
            Fault::sender(format!(
                "xop:Include href '{}' names no part of this message, or one already used (XOP 1.0, 3.1)",
                clip(href)
            ))
            .kind(FaultKind::Include)
        };
        let refused = |e: HrefFault| Fault::sender(e.to_string()).kind(FaultKind::Include);
        match Reference::parse(href).map_err(refused)? {
            Reference::Inline(n) => self.inline.remove(&n).ok_or_else(missing),
            Reference::Cid(cid) => {
                let key = cid.resolve(|id| self.parts.contains_key(id).then(|| id.to_owned()));
                key.and_then(|k| self.parts.remove(&k)).ok_or_else(missing)
            }
        }
    }
}

/// How the request says it is packed.
pub fn packaging(content_type: Option<&str>) -> Result<Packaging, Fault> {
    let header = content_type.ok_or_else(|| {
        Fault::sender(
            "the Content-Type header is required: application/soap+xml, or multipart/related for MTOM",
        )
        .kind(FaultKind::ContentType)
        .status(415)
    })?;
    ContentType::parse(header).and_then(|c| c.packaging()).map_err(wrong_type)
}

fn wrong_type(e: ContentTypeFault) -> Fault {
    let fault = Fault::sender(e.to_string()).kind(FaultKind::ContentType);
    match e {
        ContentTypeFault::Soap11 { .. } => Fault { code: FaultCode::VersionMismatch, ..fault },
        ContentTypeFault::Unsupported { .. } | ContentTypeFault::Charset { .. } => fault.status(415),
        _ => fault,
    }
}

/// Reads the body to its end.
pub async fn take_in(
    mut body: GuardedBody,
    packaging: &Packaging,
    limits: &LimitsConfig,
    repository: Option<&Repository>,
) -> Result<Intake, Error> {
    let mut sink = Sink {
        guard: Guard::new(xml_limits(limits)),
        guard_events: vec![],
        repository,
        spool: None,
        documents: Documents::default(),
    };
    let multipart = match packaging {
        Packaging::Simple => {
            while let Some(chunk) = body.chunk().await {
                sink.xml(&chunk.map_err(broken_body)?).await?;
            }
            false
        }
        Packaging::Mtom(related) => {
            let mut splitter = Splitter::for_related(related, mtom_limits(limits));
            let mut events = vec![];
            let mut part = Part::Before;
            while let Some(chunk) = body.chunk().await {
                splitter.push(chunk.map_err(broken_body)?, &mut events).map_err(broken_mtom)?;
                for event in events.drain(..) {
                    sink.part(&mut part, event).await?;
                }
            }
            splitter.finish(&mut events).map_err(broken_mtom)?;
            for event in events.drain(..) {
                sink.part(&mut part, event).await?;
            }
            true
        }
    };
    let envelope = sink.guard.finish().map_err(broken_xml)?;
    Ok(Intake { envelope, documents: sink.documents, multipart })
}

/// Which part of a multipart message is being read.
enum Part {
    Before,
    Root,
    Document(String),
    /// Without Content-ID, so nothing can name it.
    Nameless,
}

struct Sink<'a> {
    guard: Guard,
    guard_events: Vec<GuardEvent>,
    repository: Option<&'a Repository>,
    /// The document being received: at most one at a time.
    spool: Option<Spool>,
    documents: Documents,
}

impl Sink<'_> {
    async fn xml(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut events = std::mem::take(&mut self.guard_events);
        self.guard.push(bytes, &mut events).map_err(broken_xml)?;
        let mut number = self.documents.inline.len();
        for event in events.drain(..) {
            match event {
                GuardEvent::InlineStart(n) => {
                    number = n;
                    self.open();
                }
                GuardEvent::InlineData(bytes) => self.write(bytes).await?,
                GuardEvent::InlineEnd => {
                    if let Some(done) = self.close().await? {
                        self.documents.inline.insert(number, done);
                    }
                }
            }
        }
        self.guard_events = events;
        Ok(())
    }

    async fn part(&mut self, part: &mut Part, event: PartEvent) -> Result<(), Error> {
        match event {
            PartEvent::Start(head) => *part = self.begin(head)?,
            PartEvent::Data(bytes) => match part {
                Part::Root => self.xml(&bytes).await?,
                Part::Document(_) => self.write(bytes).await?,
                Part::Before | Part::Nameless => {}
            },
            PartEvent::End => {
                if let Part::Document(id) = std::mem::replace(part, Part::Before)
                    && let Some(done) = self.close().await?
                {
                    self.documents.parts.insert(id, done);
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, head: PartHead) -> Result<Part, Error> {
        if head.root {
            check_root(head.content_type.as_deref()).map_err(wrong_type)?;
            return Ok(Part::Root);
        }
        self.open();
        Ok(head.content_id.map_or(Part::Nameless, Part::Document))
    }

    /// Without a repository there is no place for documents: their bytes are read and dropped.
    fn open(&mut self) {
        self.spool = self.repository.map(Repository::spool);
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        match &mut self.spool {
            Some(spool) => spool.write(bytes).await.map_err(storage),
            None => Ok(()),
        }
    }

    async fn close(&mut self) -> Result<Option<Spooled>, Error> {
        match self.spool.take() {
            Some(spool) => spool.finish().await.map(Some).map_err(storage),
            None => Ok(None),
        }
    }
}

fn broken_body(e: BodyError) -> Error {
    let status = match e {
        BodyError::TooLarge { .. } => 413,
        BodyError::TooSlow => 408,
        _ => 400,
    };
    Fault::sender(e.to_string()).kind(FaultKind::Body).status(status).into()
}

fn broken_mtom(e: MtomFault) -> Error {
    Fault::sender(e.to_string()).kind(FaultKind::Mime).into()
}

fn broken_xml(e: XmlFault) -> Error {
    Fault::sender(e.to_string()).kind(FaultKind::Xml).into()
}

fn mtom_limits(l: &LimitsConfig) -> MtomLimits {
    MtomLimits {
        parts: l.parts,
        head_bytes: l.part_header_kib << 10,
        head_lines: l.part_headers,
        document_bytes: l.document_bytes(),
        total_bytes: l.request_bytes(),
        ..MtomLimits::default()
    }
}

fn xml_limits(l: &LimitsConfig) -> XmlLimits {
    XmlLimits {
        envelope_bytes: usize::try_from(l.envelope_bytes()).unwrap_or(usize::MAX),
        depth: l.xml_depth,
        elements: l.xml_elements,
        attributes: l.xml_attributes,
        namespaces: l.xml_namespaces,
        name_bytes: l.xml_name_bytes,
        attribute_bytes: l.xml_attribute_kib << 10,
        text_bytes: l.xml_text_kib << 10,
        document_bytes: l.document_bytes(),
        ..XmlLimits::default()
    }
}
