//! SOAP to one peer: a request in the packaging its transaction asks for, documents streamed both
//! ways, and an answer checked before anybody reads it. ITI TF-2 Appendix V.

mod answer;
pub mod discover;
pub mod elsewhere;
pub mod notify;
pub mod xca;

use std::error::Error as StdError;
use std::io;
use std::path::Path;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use roxmltree::Node;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use uuid::Uuid;

use super::http::{Answer, Client, PeerError};
use crate::model::error::{ErrorCode, RegistryError};
use crate::model::metadata::Submission;
use crate::model::namespace::{NS_XDS, NS_XOP};
use crate::model::transaction::{Packaging, Transaction};
use crate::wire::ebxml::response::ResponseStatus;
use crate::wire::ebxml::retrieve::Content;
use crate::wire::ebxml::{response, submit};
use crate::wire::mtom::cid::{self, Reference};
use crate::wire::mtom::write::{Multipart, soap_type};
use crate::wire::saml;
use crate::wire::soap::{SoapResponse, read_response, write_request, write_request_with};
use crate::wire::xml::{XmlWriter, tree};

pub use crate::wire::mtom::write::SOAP_TYPE;
pub use answer::{AnswerEvent, AnswerFault, AnswerReader, DocumentHead};

pub type BoxError = Box<dyn StdError + Send + Sync>;
/// Bytes on their way out.
pub type ByteStream = BoxStream<'static, Result<Bytes, BoxError>>;

/// Why a peer's answer is not the one asked for.
#[derive(Debug, thiserror::Error)]
pub enum SoapError {
    #[error(transparent)]
    Peer(#[from] PeerError),
    #[error("{peer} answered HTTP {status} with something that is not SOAP 1.2: {reason}")]
    NotSoap { peer: String, status: StatusCode, reason: String },
    #[error("fault {code}{}: {reason}", subcode.as_deref().map(|s| format!(" ({s})")).unwrap_or_default())]
    Fault { code: String, subcode: Option<String>, reason: String },
    #[error("the answer's wsa:Action is '{found}', not '{expected}'")]
    Action { expected: &'static str, found: String },
    #[error("the answer's wsa:RelatesTo is '{found}', but the request was '{sent}'")]
    RelatesTo { sent: String, found: String },
    /// SOAP, but not what the transaction answers.
    #[error("the answer cannot be used: {0}")]
    Body(String),
    #[error("a document of the answer cannot be kept: {0}")]
    Sink(#[from] io::Error),
}

/// A document to send, its bytes read when they are needed.
pub struct Outgoing {
    /// Content-ID without `<>`; [`write_provide`] refers to it.
    pub content_id: String,
    pub mime_type: String,
    pub size: u64,
    pub bytes: ByteStream,
}

/// Bytes of a file read at once.
const CHUNK: usize = 256 << 10;

impl Outgoing {
    /// A document of `size` octets under a fresh Content-ID. A stream of another size makes the
    /// request fail.
    pub fn new(mime_type: impl Into<String>, size: u64, bytes: ByteStream) -> Self {
        let content_id = format!("doc.{}@chiren", Uuid::new_v4().simple());
        Self { content_id, mime_type: mime_type.into(), size, bytes }
    }

    pub fn of_bytes(mime_type: impl Into<String>, bytes: Bytes) -> Self {
        Self::new(mime_type, bytes.len() as u64, stream::iter([Ok(bytes)]).boxed())
    }

    /// A file, read as it is sent.
    pub async fn of_file(mime_type: impl Into<String>, path: &Path) -> io::Result<Self> {
        let (size, bytes) = file_stream(path).await?;
        Ok(Self::new(mime_type, size, bytes))
    }
}

/// A file's size and its bytes; fails if the file becomes shorter meanwhile.
pub async fn file_stream(path: &Path) -> io::Result<(u64, ByteStream)> {
    let file = File::open(path).await?;
    let size = file.metadata().await?.len();
    let bytes = stream::try_unfold((file, size), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let mut chunk = Vec::with_capacity(left.min(CHUNK as u64) as usize);
        (&mut file).take(left.min(CHUNK as u64)).read_to_end(&mut chunk).await?;
        if chunk.is_empty() {
            return Err(BoxError::from("the file became shorter while it was read"));
        }
        let left = left - chunk.len() as u64;
        Ok(Some((Bytes::from(chunk), (file, left))))
    });
    Ok((size, bytes.boxed()))
}

/// Takes the documents of an answer, one after another.
pub trait DocumentSink: Send {
    fn start(&mut self, head: &DocumentHead) -> impl Future<Output = io::Result<()>> + Send;
    fn data(&mut self, bytes: Bytes) -> impl Future<Output = io::Result<()>> + Send;
    fn end(&mut self) -> impl Future<Output = io::Result<()>> + Send;
}

/// Lets documents go by: for transactions whose answers have none.
pub struct Discard;

impl DocumentSink for Discard {
    async fn start(&mut self, _: &DocumentHead) -> io::Result<()> {
        Ok(())
    }
    async fn data(&mut self, _: Bytes) -> io::Result<()> {
        Ok(())
    }
    async fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A request ready to be sent.
pub struct Call {
    pub transaction: Transaction,
    /// The Action its answer must have.
    pub answered_by: &'static str,
    /// What the answer must relate to, if it is known.
    pub message_id: Option<String>,
    pub envelope: String,
    pub documents: Vec<Outgoing>,
}

impl Call {
    /// An envelope around what `body` writes, addressed to the client's peer.
    pub fn new(
        client: &Client,
        transaction: Transaction,
        documents: Vec<Outgoing>,
        body: impl FnOnce(&mut XmlWriter<'static>),
    ) -> Self {
        let row = transaction.row();
        let call = Self::with_action(client, transaction, row.request_action, row.response_action, body);
        Self { documents, ..call }
    }

    /// The same for one of several requests of a transaction, by its Action and that of its answer.
    pub fn with_action(
        client: &Client,
        transaction: Transaction,
        action: &str,
        answered_by: &'static str,
        body: impl FnOnce(&mut XmlWriter<'static>),
    ) -> Self {
        let message_id = format!("urn:uuid:{}", Uuid::new_v4());
        let envelope = write_request(action, &message_id, client.url(), body);
        Self { transaction, answered_by, message_id: Some(message_id), envelope, documents: vec![] }
    }

    /// The same, with a header block of its own. `actions`: its own, and that of its answer.
    pub fn with_header(
        client: &Client,
        transaction: Transaction,
        actions: (&str, &'static str),
        header: impl FnOnce(&mut XmlWriter<'static>),
        body: impl FnOnce(&mut XmlWriter<'static>),
    ) -> Self {
        let (action, answered_by) = actions;
        let message_id = format!("urn:uuid:{}", Uuid::new_v4());
        let envelope = write_request_with(action, &message_id, client.url(), header, body);
        Self { transaction, answered_by, message_id: Some(message_id), envelope, documents: vec![] }
    }

    /// With an assertion of who asks in its `wsse:Security` header (ITI TF-2 3.40.4.1).
    pub fn secured(self, assertion: Option<&str>) -> Self {
        match assertion {
            Some(assertion) => Self { envelope: saml::secured(&self.envelope, assertion), ..self },
            None => self,
        }
    }

    /// Sends the request and reads the answer whole, its documents into `sink`. A fault is an
    /// answer too: [`SoapAnswer::body`] tells.
    pub async fn send(self, client: &Client, sink: &mut impl DocumentSink) -> Result<SoapAnswer, SoapError> {
        let (transaction, answered_by, sent) = (self.transaction, self.answered_by, self.message_id.clone());
        let (content_type, length, body) = self.pack(transaction.row().request_action);
        let mut answer = post(client, &content_type, length, body, sink).await?;
        answer.expected = Some((answered_by, sent));
        Ok(answer)
    }

    /// Content-Type, length and bytes of the message. MTOM transactions are multipart even
    /// without documents. `action` stands in Content-Type where the transaction wants it there.
    fn pack(self, action: &str) -> (String, u64, ByteStream) {
        let envelope = Bytes::from(self.envelope);
        let row = self.transaction.row();
        if row.packaging == Packaging::Simple && self.documents.is_empty() {
            let length = envelope.len() as u64;
            let action = row.action_in_content_type.then_some(action);
            return (soap_type(action), length, stream::iter([Ok(envelope)]).boxed());
        }
        let multipart = Multipart::fresh();
        let fixed = |pieces: Vec<Bytes>| stream::iter(pieces.into_iter().map(Ok)).boxed();
        let mut length = 0;
        let mut count = |pieces: Vec<Bytes>| {
            length += pieces.iter().map(|p| p.len() as u64).sum::<u64>();
            fixed(pieces)
        };
        let mut streams = vec![count(vec![multipart.root_head(), envelope, multipart.part_end()])];
        let mut sizes = 0;
        for document in self.documents {
            streams.push(count(vec![multipart.part_head(&document.content_id, &document.mime_type)]));
            streams.push(document.bytes);
            sizes += document.size;
            streams.push(count(vec![multipart.part_end()]));
        }
        streams.push(count(vec![multipart.closing()]));
        (multipart.content_type(None), length + sizes, stream::iter(streams).flatten().boxed())
    }
}

/// Sends a message as it is and reads the answer, its documents into `sink`.
pub async fn post(
    client: &Client,
    content_type: &str,
    length: u64,
    body: ByteStream,
    sink: &mut impl DocumentSink,
) -> Result<SoapAnswer, SoapError> {
    let (mut answer, mut reader) = open(client, content_type, length, body).await?;
    let status = answer.status;
    let not_soap = |fault: AnswerFault| not_soap(client, status, &fault);
    let mtom = reader.is_mtom();
    let (mut events, mut documents) = (vec![], vec![]);
    while let Some(chunk) = answer.chunk().await? {
        reader.push(chunk, &mut events).map_err(not_soap)?;
        keep(&mut events, &mut documents, sink).await?;
    }
    let envelope = reader.finish(&mut events).map_err(not_soap)?;
    keep(&mut events, &mut documents, sink).await?;
    Ok(SoapAnswer { peer: client.name().to_owned(), status, mtom, envelope, documents, expected: None })
}

/// Sends a message and sees how the answer begins.
async fn open(
    client: &Client,
    content_type: &str,
    length: u64,
    body: ByteStream,
) -> Result<(Answer, AnswerReader), SoapError> {
    let mut headers = HeaderMap::new();
    let content_type = HeaderValue::from_str(content_type)
        .map_err(|e| PeerError::Request { peer: client.name().to_owned(), cause: e.to_string() })?;
    headers.insert(header::CONTENT_TYPE, content_type);
    let answer = client.post(headers, Some(length), body).await?;
    match AnswerReader::new(answer.content_type()) {
        Ok(reader) => Ok((answer, reader)),
        Err(fault) => {
            let status = answer.status;
            // A proxy's error page says more by its status than by its media type.
            answer.success()?;
            Err(not_soap(client, status, &fault))
        }
    }
}

fn not_soap(client: &Client, status: StatusCode, fault: &AnswerFault) -> SoapError {
    SoapError::NotSoap { peer: client.name().to_owned(), status, reason: fault.to_string() }
}

async fn keep(
    events: &mut Vec<AnswerEvent>,
    documents: &mut Vec<Received>,
    sink: &mut impl DocumentSink,
) -> io::Result<()> {
    for event in events.drain(..) {
        match event {
            AnswerEvent::Start(head) => {
                sink.start(&head).await?;
                documents.push(Received { key: head.key, size: 0 });
            }
            AnswerEvent::Data(bytes) => {
                if let Some(document) = documents.last_mut() {
                    document.size += bytes.len() as u64;
                }
                sink.data(bytes).await?;
            }
            AnswerEvent::End => sink.end().await?,
        }
    }
    Ok(())
}

/// A document that came with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// As in [`DocumentHead`].
    pub key: String,
    pub size: u64,
}

/// An answer read whole; whether it is the one asked for, [`body`](Self::body) tells.
#[derive(Debug)]
pub struct SoapAnswer {
    peer: String,
    pub status: StatusCode,
    /// It came as multipart/related.
    pub mtom: bool,
    /// With `inline:N` where base64 text was.
    pub envelope: String,
    pub documents: Vec<Received>,
    /// The Action, and what the answer must relate to, if it is known.
    expected: Option<(&'static str, Option<String>)>,
}

impl SoapAnswer {
    /// The answer must be one of `transaction`, and relate to `message_id` if that is known.
    /// [`Call::send`] has said so already.
    pub fn expect(&mut self, transaction: Transaction, message_id: Option<String>) {
        self.expected = Some((transaction.row().response_action, message_id));
    }

    /// Reads the one child of Body, unless it is a fault or the answer to something else. An
    /// absent RelatesTo is let pass, for HTTP pairs the messages already.
    pub fn body<T>(&self, read: impl FnOnce(Node<'_, '_>) -> Result<T, String>) -> Result<T, SoapError> {
        let not_soap =
            |reason: String| SoapError::NotSoap { peer: self.peer.clone(), status: self.status, reason };
        let doc = tree::parse_with(&self.envelope, answer::NODES).map_err(|e| not_soap(e.to_string()))?;
        let (action, relates_to, body) = match read_response(&doc).map_err(not_soap)? {
            SoapResponse::Fault { code, subcode, reason } => {
                return Err(SoapError::Fault { code, subcode, reason });
            }
            SoapResponse::Body { action, relates_to, body } => (action, relates_to, body),
        };
        if let Some((expected, sent)) = &self.expected {
            let expected = *expected;
            if action != expected {
                return Err(SoapError::Action { expected, found: action });
            }
            if let (Some(sent), Some(found)) = (sent, relates_to)
                && *sent != found
            {
                return Err(SoapError::RelatesTo { sent: sent.clone(), found });
            }
        }
        read(body).map_err(SoapError::Body)
    }

    /// Status and errors of an `rs:RegistryResponse`.
    pub fn registry_response(&self) -> Result<(ResponseStatus, Vec<RegistryError>), SoapError> {
        self.body(response::read)
    }

    /// The document an `xop:Include/@href` of the envelope means.
    pub fn document(&self, href: &str) -> Option<&Received> {
        let by_key = |key: &str| self.documents.iter().find(|d| d.key == key);
        match Reference::parse(href).ok()? {
            Reference::Inline(n) => by_key(&format!("inline:{n}")),
            Reference::Cid(cid) => cid.resolve(by_key),
        }
    }
}

/// Writes `xds:ProvideAndRegisterDocumentSetRequest`: the submission, then for each document the
/// id of its DocumentEntry and where its bytes are. ITI TF-2 3.41.4.1.2.
pub fn write_provide(w: &mut XmlWriter<'static>, submission: &Submission, documents: &[(&str, Content)]) {
    w.open("xds:ProvideAndRegisterDocumentSetRequest").attr("xmlns:xds", NS_XDS);
    submit::write(w, submission);
    for (entry, content) in documents {
        w.open("xds:Document").attr("id", entry);
        match content {
            Content::Include(content_id) => {
                let href = cid::href(content_id);
                w.empty("xop:Include", &[("xmlns:xop", NS_XOP), ("href", &href)]).close();
            }
            Content::Base64(text) => {
                w.text(text).close();
            }
        }
    }
    w.close();
}

/// Registers a submission at a foreign registry (ITI-42) and gives its errors and warnings: with
/// an error among them nothing was registered.
pub async fn register(client: &Client, submission: &Submission) -> Result<Vec<RegistryError>, SoapError> {
    let call = Call::new(client, Transaction::Iti42, vec![], |w| submit::write(w, submission));
    let (status, mut errors) = call.send(client, &mut Discard).await?.registry_response()?;
    if status != ResponseStatus::Success && !errors.iter().any(RegistryError::is_error) {
        let context = format!("the registry answered {status:?} and named no error");
        errors.push(RegistryError::new(ErrorCode::XDSRegistryError, context));
    }
    Ok(errors)
}

#[cfg(test)]
mod tests;
