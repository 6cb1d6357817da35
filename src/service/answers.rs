//! Asynchronous answers (WS-Addressing): each is a row of the outbox from the moment it is certain, and is
//! sent to its request's `wsa:ReplyTo` until it arrives, under one `wsa:MessageID`.
//!
//! An answer to a change commits with the change; one to a question, and every refusal, with its audit record.
//! A request that was accepted and had no answer yet when the program died has changed nothing, and gets none.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};

use crate::config::PeerConfig;
use crate::model::error::RegistryError;
use crate::model::transaction::Transaction;
use crate::peer::http::{Client, ClientError, PeerError};
use crate::peer::soap::Outgoing;
use crate::peer::soap::elsewhere;
use crate::service::context::Context;
use crate::service::outbox::{Delivery, Kind};
use crate::service::repository::{BlobError, Repository};
use crate::store::db::DbError;
use crate::store::outbox::OutboxRow;

/// An answer at rest.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    to: String,
    /// `ITI-43`
    transaction: String,
    request_id: String,
    envelope: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    documents: Vec<Document>,
}

/// A document that goes with an answer: its bytes stay where they are until then.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// As the envelope calls it, without `<>`.
    pub content_id: String,
    pub mime_type: String,
    /// SHA-256 in hex: the key of the bytes.
    pub key: String,
}

/// The row of an answer to `context`'s request, addressed to `to`.
pub fn row(
    context: &Context,
    to: &str,
    envelope: String,
    documents: Vec<Document>,
) -> Result<OutboxRow, DbError> {
    let answer = Answer {
        to: to.to_owned(),
        transaction: context.transaction.code().to_owned(),
        request_id: context.request_id.clone(),
        envelope,
        documents,
    };
    let payload = serde_json::to_string(&answer)
        .map_err(|e| DbError::Sql(format!("an answer cannot be written as JSON: {e}")))?;
    Ok(OutboxRow {
        id: context.uuid().to_string(),
        kind: Kind::Answer.as_str(),
        stream: stream(to),
        payload,
        ordered: false,
        created_at: context.micros(),
    })
}

/// The row of the answer to a change that is made; none if that goes back on its connection.
pub fn of_change(context: &Context, said: &[RegistryError]) -> Result<Option<OutboxRow>, DbError> {
    let Some(to) = &context.elsewhere else { return Ok(None) };
    let envelope = elsewhere::registry_response(context.transaction, to, said);
    row(context, &to.to, envelope, vec![]).map(Some)
}

/// Answers to one server wait together: its scheme, host and port.
pub fn stream(address: &str) -> String {
    let after_scheme = address.find("://").map_or(0, |at| at + 3);
    let end = address[after_scheme..].find(['/', '?', '#']).map_or(address.len(), |at| after_scheme + at);
    address[..end].to_ascii_lowercase()
}

/// Sends answers to the addresses the configuration allows.
#[derive(Clone)]
pub struct Answers {
    peers: Arc<[Client]>,
    repository: Option<Repository>,
}

impl Answers {
    /// `None` if no address is allowed.
    pub fn new(allowed: &[PeerConfig], repository: Option<Repository>) -> Result<Option<Self>, ClientError> {
        let peers: Arc<[Client]> = allowed.iter().map(Client::new).collect::<Result<_, _>>()?;
        Ok((!peers.is_empty()).then_some(Self { peers, repository }))
    }

    /// Whether answers may be sent to this address.
    pub fn may_reach(&self, address: &str) -> bool {
        self.client(address).is_some()
    }

    fn client(&self, address: &str) -> Option<Client> {
        self.peers.iter().find_map(|peer| peer.at(address))
    }

    pub(super) async fn deliver(&self, payload: &str) -> Delivery {
        let answer: Answer = match serde_json::from_str(payload) {
            Ok(answer) => answer,
            Err(e) => return Delivery::Never(format!("the row cannot be read: {e}")),
        };
        let transaction = Transaction::ALL.into_iter().find(|t| t.code() == answer.transaction);
        let (Some(transaction), Some(client)) = (transaction, self.client(&answer.to)) else {
            return Delivery::Never("its address is not allowed (any more)".into());
        };
        let documents = match self.open(answer.documents).await {
            Ok(documents) => documents,
            Err(e @ BlobError::NotFound(_)) => return Delivery::Never(e.to_string()),
            Err(e) => return Delivery::later(e.to_string()),
        };
        match elsewhere::deliver(&client, transaction, answer.envelope, documents).await {
            Ok(()) => Delivery::Done,
            Err(e) => {
                let away = matches!(
                    e,
                    PeerError::Resolve { .. }
                        | PeerError::Connect { .. }
                        | PeerError::Tls { .. }
                        | PeerError::Timeout { .. }
                );
                Delivery::Later { why: e.to_string(), away }
            }
        }
    }

    async fn open(&self, documents: Vec<Document>) -> Result<Vec<Outgoing>, BlobError> {
        let mut opened = vec![];
        for document in documents {
            let Some(repository) = &self.repository else { continue };
            let reader = repository.open(&document.key).await?;
            let size = reader.size();
            let bytes = reader.map_err(Into::into).boxed();
            opened.push(Outgoing {
                content_id: document.content_id,
                ..Outgoing::new(document.mime_type, size, bytes)
            });
        }
        Ok(opened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_a_server() {
        for (address, server) in [
            ("https://H.example:8443/replies/1?x", "https://h.example:8443"),
            ("http://h.example", "http://h.example"),
            ("http://h.example?x=/", "http://h.example"),
            ("odd", "odd"),
        ] {
            assert_eq!(stream(address), server);
        }
    }
}
