//! From a transaction to its file, and back with a reply.

use roxmltree::Node;

use super::intake::Documents;
use super::reply::Reply;
use super::{
    Endpoint, SoapFace, initiating, iti18, iti38, iti39, iti41, iti42, iti43, iti44, iti45, iti46, iti47,
    iti55, iti56, iti57, iti61, iti62, iti86,
};
use crate::model::error::Fault;
use crate::model::identity::FeedMessage;
use crate::model::transaction::Transaction;
use crate::service::context::Context;
use crate::wire::soap::SoapRequest;

/// A request in model values: nothing of the XML is left.
pub enum Asked {
    Query(iti18::Asked),
    CrossQuery(initiating::Query),
    CrossRetrieve(iti43::Asked),
    QueryAll(initiating::Query),
    RetrieveAll(iti43::Asked),
    Provide(iti41::Asked),
    Register(iti42::Asked),
    Retrieve(iti43::Asked),
    Feed(Box<iti44::Asked>),
    Pix(Box<iti45::Asked>),
    Notice(Box<iti46::Asked>),
    Demographics(Box<iti47::Asked>),
    Discovery(Box<iti55::Asked>),
    Location(iti56::Asked),
    Update(iti57::Asked),
    Remove(iti62::Asked),
    RemoveDocuments(iti86::Asked),
}

impl Asked {
    /// The feed it is, if it is one that could be read.
    pub fn fed(&self) -> Option<&FeedMessage> {
        match self {
            Asked::Feed(asked) => asked.0.as_ref().ok().map(|read| &read.message),
            _ => None,
        }
    }

    /// SubmissionSet.sourceId of a submission or an update.
    pub fn source_id(&self) -> Option<&str> {
        match self {
            Asked::Provide(asked) => Some(asked.source_id()),
            Asked::Register(asked) => Some(asked.source_id()),
            Asked::Update(asked) => Some(asked.source_id()),
            _ => None,
        }
    }
}

/// Reads the body of a transaction. What breaks a rule is kept for the answer; what cannot be a
/// message of the transaction at all is a fault.
pub fn read(
    face: &SoapFace,
    endpoint: Endpoint,
    transaction: Transaction,
    envelope: &SoapRequest<'_, '_>,
    documents: Documents,
) -> Result<Asked, Fault> {
    let (body, action): (Node<'_, '_>, &str) = (envelope.body, &envelope.action);
    Ok(match transaction {
        Transaction::Iti18 if matches!(endpoint, Endpoint::Initiating(_)) => {
            Asked::QueryAll(initiating::read(body))
        }
        Transaction::Iti43 if matches!(endpoint, Endpoint::Initiating(_)) => {
            Asked::RetrieveAll(iti43::read(face, body))
        }
        Transaction::Iti38 => Asked::CrossQuery(initiating::read(body)),
        Transaction::Iti39 => Asked::CrossRetrieve(iti43::read(face, body)),
        Transaction::Iti18 => Asked::Query(iti18::read(body, false)),
        Transaction::Iti51 => Asked::Query(iti18::read(body, true)),
        Transaction::Iti41 => Asked::Provide(iti41::read(face, body, documents)?),
        Transaction::Iti42 => Asked::Register(iti42::read(face, body)),
        Transaction::Iti43 => Asked::Retrieve(iti43::read(face, body)),
        Transaction::Iti44 => Asked::Feed(Box::new(iti44::read(body)?)),
        Transaction::Iti45 => Asked::Pix(Box::new(iti45::read(body)?)),
        Transaction::Iti47 => Asked::Demographics(Box::new(iti47::read(body, action)?)),
        Transaction::Iti46 => Asked::Notice(Box::new(iti46::read(body)?)),
        Transaction::Iti55 => Asked::Discovery(Box::new(iti55::read(body, action)?)),
        Transaction::Iti56 => Asked::Location(iti56::read(body)?),
        Transaction::Iti57 => Asked::Update(iti57::read(face, body, false)),
        Transaction::Iti61 => Asked::Register(iti61::read(face, body)),
        Transaction::Iti62 => Asked::Remove(iti62::read(body)),
        Transaction::Iti86 => Asked::RemoveDocuments(iti86::read(face, body)),
        Transaction::Iti92 => Asked::Update(iti57::read(face, body, true)),
        other => {
            let why = format!("{} is not served at this address", other.code());
            return Err(Fault::sender(why).subcode("wsa:ActionNotSupported"));
        }
    })
}

/// Answers. `message_id` is what the answer relates to; `mtom` how its documents travel. Each transaction in a box of its
/// own: what a request leads to is moved several times before it begins, and would be as large as the largest of them.
pub async fn answer(
    face: &SoapFace,
    context: &Context,
    asked: Asked,
    message_id: Option<&str>,
    mtom: bool,
) -> Result<Reply, Fault> {
    match asked {
        Asked::CrossQuery(asked) => Box::pin(iti38::answer(face, context, asked, message_id)).await,
        Asked::CrossRetrieve(asked) => Box::pin(iti39::answer(face, context, asked, message_id, mtom)).await,
        Asked::QueryAll(asked) => Box::pin(initiating::query(face, context, asked, message_id)).await,
        Asked::RetrieveAll(asked) => {
            Box::pin(initiating::retrieve(face, context, asked, message_id, mtom)).await
        }
        Asked::Query(asked) => Box::pin(iti18::answer(face, context, asked, message_id)).await,
        Asked::Provide(asked) => Box::pin(iti41::answer(face, context, asked, message_id)).await,
        Asked::Register(asked) => Box::pin(iti42::answer(face, context, asked, message_id)).await,
        Asked::Retrieve(asked) => Box::pin(iti43::answer(face, context, asked, message_id, mtom)).await,
        Asked::Feed(asked) => Box::pin(iti44::answer(face, context, *asked, message_id)).await,
        Asked::Pix(asked) => Box::pin(iti45::answer(face, context, *asked, message_id)).await,
        Asked::Notice(asked) => Box::pin(iti46::answer(face, context, *asked, message_id)).await,
        Asked::Discovery(asked) => Box::pin(iti55::answer(face, context, *asked, message_id)).await,
        Asked::Location(asked) => Box::pin(iti56::answer(face, context, asked, message_id)).await,
        Asked::Demographics(asked) => Box::pin(iti47::answer(face, context, *asked, message_id)).await,
        Asked::Update(asked) => Box::pin(iti57::answer(face, context, asked, message_id)).await,
        Asked::Remove(asked) => Box::pin(iti62::answer(face, context, asked, message_id)).await,
        Asked::RemoveDocuments(asked) => Box::pin(iti86::answer(face, context, asked, message_id)).await,
    }
}
