//! What a handler gives back, and how it becomes bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, stream};
use http::{HeaderValue, Response, header};

use crate::model::error::Fault;
use crate::model::transaction::TransactionRow;
use crate::server::http::{BoxError, RespBody, Transacted, full, stream as streamed};
use crate::server::metrics::Outcome;
use crate::service::audit::Audited;
use crate::service::gateway::{Incoming, Piece as Passed};
use crate::service::repository::{BlobError, BlobReader};
use crate::wire::mtom::write::{Multipart, SOAP_TYPE, soap_type};

/// An answer ready to be sent. It cannot be made without the state of its audit record, so an
/// unaudited answer does not compile.
pub struct Reply {
    pub body: Body,
    pub audited: Audited,
    pub outcome: Outcome,
}

/// The answer's content.
pub enum Body {
    /// An envelope alone.
    Envelope(String),
    /// The same, to be written while its audit record is.
    Unwritten(Write),
    /// An envelope and the documents it includes, in order.
    WithDocuments(Included),
    /// The same, and documents of others behind them, passed on as they come.
    Passing(Passing),
}

/// Writes an envelope of what was found.
pub type Write = Box<dyn FnOnce() -> Result<String, Fault> + Send>;

/// Documents behind an envelope. `multipart` also names the placeholders of a simple answer.
pub struct Included {
    pub envelope: String,
    pub multipart: Multipart,
    pub documents: Vec<(String, BlobReader)>,
}

/// Documents of ours, then those of each other system in the order it sends them. The envelope counts them through.
pub struct Passing {
    pub included: Included,
    pub incoming: Vec<Incoming>,
}

/// Answers up to this size are put together and sent in one write.
const WHOLE: u64 = 512 * 1024;

/// An envelope as one simple message.
pub fn simple(envelope: String) -> Response<RespBody> {
    let mut response = Response::new(full(envelope));
    let kind = HeaderValue::from_static(SOAP_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Encodes an answer as its request was packed.
pub fn encode(
    body: Body,
    outcome: Outcome,
    mtom: bool,
    row: &'static TransactionRow,
) -> Result<Response<RespBody>, Fault> {
    let action = row.response_action;
    let envelope = |envelope: String| {
        if mtom {
            let included = Included { envelope, multipart: Multipart::fresh(), documents: vec![] };
            return multipart(included, action);
        }
        let mut response = simple(envelope);
        if row.action_in_content_type
            && let Ok(kind) = HeaderValue::from_str(&soap_type(Some(action)))
        {
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        response
    };
    let mut response = match body {
        Body::Envelope(written) => envelope(written),
        Body::Unwritten(write) => envelope(write()?),
        Body::WithDocuments(included) if mtom => multipart(included, action),
        Body::WithDocuments(included) => inline(included),
        Body::Passing(passing) => passing_on(passing, action),
    };
    response.extensions_mut().insert(Transacted { transaction: row.code, outcome });
    Ok(response)
}

/// One piece of a streamed answer.
enum Piece {
    Bytes(Bytes),
    Document(BlobReader),
    Base64(BlobReader),
}

fn multipart(included: Included, action: &str) -> Response<RespBody> {
    let (mut pieces, multipart) = parts(included);
    pieces.push(Piece::Bytes(multipart.closing()));
    respond(pieces, &multipart.content_type(Some(action)))
}

/// Root and documents, without the end.
fn parts(included: Included) -> (Vec<Piece>, Multipart) {
    let Included { envelope, multipart, documents } = included;
    let mut pieces = vec![
        Piece::Bytes(multipart.root_head()),
        Piece::Bytes(envelope.into()),
        Piece::Bytes(multipart.part_end()),
    ];
    for (n, (mime_type, reader)) in documents.into_iter().enumerate() {
        pieces.push(Piece::Bytes(multipart.part_head(&multipart.document_id(n), &mime_type)));
        pieces.push(Piece::Document(reader));
        pieces.push(Piece::Bytes(multipart.part_end()));
    }
    (pieces, multipart)
}

/// A multipart answer of unknown length: when a document breaks off, so does the answer.
fn passing_on(passing: Passing, action: &str) -> Response<RespBody> {
    let Passing { included, incoming } = passing;
    let mut first = included.documents.len();
    let (pieces, multipart) = parts(included);
    let content_type = multipart.content_type(Some(action));
    let own = stream::iter(pieces).flat_map(|piece| match piece {
        Piece::Bytes(bytes) => stream::iter([Ok(bytes)]).boxed(),
        Piece::Document(reader) | Piece::Base64(reader) => reader.map_err(BoxError::from).boxed(),
    });
    let theirs: Vec<_> = incoming
        .into_iter()
        .map(|incoming| {
            let from = first;
            first += incoming.documents.len();
            passed(incoming, multipart.clone(), from)
        })
        .collect();
    let end = stream::iter([Ok(multipart.closing())]);
    let mut response = Response::new(streamed(own.chain(stream::iter(theirs).flatten()).chain(end)));
    if let Ok(kind) = HeaderValue::from_str(&content_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

/// The parts of one other system's documents, which the envelope counts from `from`.
fn passed(
    incoming: Incoming,
    multipart: Multipart,
    from: usize,
) -> impl futures_util::Stream<Item = Result<Bytes, BoxError>> + Send {
    stream::try_unfold((incoming, multipart), move |(mut incoming, multipart)| async move {
        let piece = incoming.next().await.map_err(|t| BoxError::from(format!("{}: {}", t.step, t.detail)))?;
        let bytes = match piece {
            None => return Ok(None),
            Some(Passed::Start(n)) => {
                let mime_type = incoming.documents.get(n).map_or("", |d| d.mime_type.as_str());
                multipart.part_head(&multipart.document_id(from + n), mime_type)
            }
            Some(Passed::Data(bytes)) => bytes,
            Some(Passed::End) => multipart.part_end(),
        };
        Ok(Some((bytes, (incoming, multipart))))
    })
}

/// Documents as base64 text where the envelope holds their placeholders.
fn inline(included: Included) -> Response<RespBody> {
    let Included { envelope, multipart, documents } = included;
    let mut pieces = vec![];
    let mut rest = envelope.as_str();
    for (n, (_, reader)) in documents.into_iter().enumerate() {
        let placeholder = placeholder(&multipart, n);
        let Some((before, after)) = rest.split_once(&placeholder) else { continue };
        pieces.push(Piece::Bytes(Bytes::copy_from_slice(before.as_bytes())));
        pieces.push(Piece::Base64(reader));
        rest = after;
    }
    pieces.push(Piece::Bytes(Bytes::copy_from_slice(rest.as_bytes())));
    respond(pieces, SOAP_TYPE)
}

/// Text that stands for document `n` in a simple answer; random, so no content repeats it.
pub fn placeholder(multipart: &Multipart, n: usize) -> String {
    format!("[{}]", multipart.document_id(n))
}

fn respond(pieces: Vec<Piece>, content_type: &str) -> Response<RespBody> {
    let length: u64 = pieces
        .iter()
        .map(|p| match p {
            Piece::Bytes(b) => b.len() as u64,
            Piece::Document(r) => r.size(),
            Piece::Base64(r) => r.size().div_ceil(3) * 4,
        })
        .sum();
    let at_hand = length <= WHOLE
        && pieces.iter().all(|p| match p {
            Piece::Bytes(_) => true,
            Piece::Document(r) | Piece::Base64(r) => r.whole().is_some(),
        });
    let body = if at_hand {
        full(together(&pieces, length))
    } else {
        streamed(stream::iter(pieces).flat_map(|piece| match piece {
            Piece::Bytes(bytes) => stream::iter([Ok::<Bytes, BlobError>(bytes)]).boxed(),
            Piece::Document(reader) => reader.boxed(),
            Piece::Base64(reader) => encoded(reader).boxed(),
        }))
    };
    let mut response = Response::new(body);
    if let Ok(kind) = HeaderValue::from_str(content_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}

fn together(pieces: &[Piece], length: u64) -> Bytes {
    let mut out = BytesMut::with_capacity(usize::try_from(length).unwrap_or_default());
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => out.extend_from_slice(bytes),
            Piece::Document(r) => out.extend_from_slice(r.whole().map_or(&[], |b| b)),
            Piece::Base64(r) => {
                out.extend_from_slice(STANDARD.encode(r.whole().map_or(&[][..], |b| b)).as_bytes());
            }
        }
    }
    out.freeze()
}

/// Base64 of a stream: three octets at a time, the last with padding.
fn encoded(reader: BlobReader) -> impl futures_util::Stream<Item = Result<Bytes, BlobError>> + Send {
    stream::unfold((reader, BytesMut::new(), false), |(mut reader, mut held, done)| async move {
        if done {
            return None;
        }
        match reader.next().await {
            Some(Ok(chunk)) => {
                held.extend_from_slice(&chunk);
                let whole = held.split_to(held.len() / 3 * 3);
                Some((Ok(Bytes::from(STANDARD.encode(&whole))), (reader, held, false)))
            }
            Some(Err(e)) => Some((Err(e), (reader, held, true))),
            None if held.is_empty() => None,
            None => {
                let last = Bytes::from(STANDARD.encode(&held));
                Some((Ok(last), (reader, held, true)))
            }
        }
    })
}
