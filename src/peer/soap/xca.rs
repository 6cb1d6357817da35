//! What a gateway asks of others: stored queries and documents of another community (ITI-38, ITI-39), and documents
//! of another repository (ITI-43). ITI TF-2 3.38, 3.39, 3.43.

use std::collections::VecDeque;

use super::answer::{AnswerEvent, AnswerFault, AnswerReader};
use super::{Call, Discard, SoapAnswer, SoapError, not_soap, open};
use crate::model::error::RegistryError;
use crate::model::query::{AdhocQueryRequest, QueryResult};
use crate::model::transaction::Transaction;
use crate::peer::http::{Answer, Client};
use crate::wire::ebxml::{query, retrieve};
use crate::wire::mtom::cid::Reference;
use crate::wire::xml::XmlWriter;

pub use crate::wire::ebxml::response::ResponseStatus;
pub use crate::wire::ebxml::retrieve::{Content, DocumentRequest, DocumentResponse};

/// What a community found.
#[derive(Debug)]
pub struct Found {
    pub status: ResponseStatus,
    pub result: QueryResult,
    pub errors: Vec<RegistryError>,
}

/// A query as it goes out, for the audit record.
pub fn query_text(request: &AdhocQueryRequest) -> String {
    let mut w = XmlWriter::new();
    query::write_request(&mut w, request);
    w.finish()
}

/// Asks a community; `assertion` says for whom.
pub async fn query(
    client: &Client,
    request: &AdhocQueryRequest,
    assertion: Option<&str>,
) -> Result<Found, SoapError> {
    let call = Call::new(client, Transaction::Iti38, vec![], |w| query::write_request(w, request));
    let answer = call.secured(assertion).send(client, &mut Discard).await?;
    let (status, result, errors) = answer.body(query::read_response)?;
    Ok(Found { status, result, errors })
}

/// Octets of documents that come before the envelope has ended, and so must be held: inline base64.
const EARLY: usize = 16 << 20;

/// Documents on their way, their envelope read.
pub struct Retrieving {
    pub status: ResponseStatus,
    pub errors: Vec<RegistryError>,
    pub responses: Vec<DocumentResponse>,
    events: VecDeque<AnswerEvent>,
    /// `None` once the answer has ended.
    rest: Option<(Answer, AnswerReader)>,
    client: Client,
}

/// Asks for documents, and reads as far as the envelope's end.
pub async fn retrieve(
    client: &Client,
    transaction: Transaction,
    requests: &[DocumentRequest],
    assertion: Option<&str>,
) -> Result<Retrieving, SoapError> {
    let call = Call::new(client, transaction, vec![], |w| retrieve::write_request(w, requests));
    let call = call.secured(assertion);
    let expected = Some((call.answered_by, call.message_id.clone()));
    let (content_type, length, body) = call.pack(transaction.row().request_action);
    let (mut answer, mut reader) = open(client, &content_type, length, body).await?;
    let (status, mtom) = (answer.status, reader.is_mtom());
    let unsound = |fault: AnswerFault| not_soap(client, status, &fault);
    let (mut events, mut held) = (vec![], 0);
    let (envelope, rest) = loop {
        if let Some(envelope) = reader.take_envelope().map_err(unsound)? {
            break (envelope, Some((answer, reader)));
        }
        let before = events.len();
        match answer.chunk().await? {
            Some(chunk) => reader.push(chunk, &mut events).map_err(unsound)?,
            None => break (reader.finish(&mut events).map_err(unsound)?, None),
        }
        held += events.iter().skip(before).map(size).sum::<usize>();
        if held > EARLY {
            let why = format!("more than {EARLY} octets of documents come before the envelope's end");
            return Err(SoapError::Body(why));
        }
    };
    let peer = client.name().to_owned();
    let whole = SoapAnswer { peer, status, mtom, envelope, documents: vec![], expected };
    let (status, errors, responses) = whole.body(retrieve::read_response)?;
    Ok(Retrieving { status, errors, responses, events: events.into(), rest, client: client.clone() })
}

fn size(event: &AnswerEvent) -> usize {
    match event {
        AnswerEvent::Data(bytes) => bytes.len(),
        AnswerEvent::Start(_) | AnswerEvent::End => 0,
    }
}

impl Retrieving {
    /// The next step through the documents; `None` at the answer's end. Who stops waiting loses nothing.
    pub async fn next(&mut self) -> Result<Option<AnswerEvent>, SoapError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            let Some((answer, _)) = &mut self.rest else { return Ok(None) };
            let status = answer.status;
            let chunk = answer.chunk().await;
            let Some((answer, mut reader)) = self.rest.take() else { return Ok(None) };
            let unsound = |fault: AnswerFault| not_soap(&self.client, status, &fault);
            let mut events = vec![];
            match chunk? {
                Some(chunk) => {
                    reader.push(chunk, &mut events).map_err(unsound)?;
                    self.events.extend(events);
                    self.rest = Some((answer, reader));
                }
                None => {
                    reader.finish(&mut events).map_err(unsound)?;
                    self.events.extend(events);
                }
            }
        }
    }
}

/// Whether an `xop:Include/@href` means the document that came under `key`.
pub fn means(href: &str, key: &str) -> bool {
    match Reference::parse(href) {
        Ok(Reference::Inline(n)) => key == format!("inline:{n}"),
        Ok(Reference::Cid(cid)) => cid.resolve(|id| (id == key).then_some(())).is_some(),
        Err(_) => false,
    }
}
