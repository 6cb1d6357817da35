//! Answers of ours that go by themselves: to the address a request's `wsa:ReplyTo` names.

use http::{HeaderMap, HeaderValue, header};

use super::{Call, Outgoing};
use crate::model::addressing::Elsewhere;
use crate::model::error::RegistryError;
use crate::model::transaction::Transaction;
use crate::peer::http::{Client, PeerError};
use crate::wire::ebxml::response;
use crate::wire::soap::write_answer;

/// The answer to a change that was made, with what there is to say of it: warnings, or errors of the part
/// that was not (ITI TF-3 4.2.4).
pub fn registry_response(transaction: Transaction, to: &Elsewhere, said: &[RegistryError]) -> String {
    let status = response::status(said, true);
    let action = transaction.row().response_action;
    write_answer(action, Some(&to.relates_to), Some(to), 512 * (said.len() + 1), |w| {
        response::write(w, status, said);
    })
}

/// Sends an answer, packed as its transaction demands. Any status of success will do; what else the other
/// side says is nobody's.
pub async fn deliver(
    client: &Client,
    transaction: Transaction,
    envelope: String,
    documents: Vec<Outgoing>,
) -> Result<(), PeerError> {
    let answered_by = transaction.row().response_action;
    let call = Call { transaction, answered_by, message_id: None, envelope, documents };
    let (content_type, length, body) = call.pack(transaction.row().response_action);
    let content_type = HeaderValue::from_str(&content_type)
        .map_err(|e| PeerError::Request { peer: client.name().to_owned(), cause: e.to_string() })?;
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type)]);
    client.post(headers, Some(length), body).await?.success().map(drop)
}
