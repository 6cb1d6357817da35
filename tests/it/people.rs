//! Who asks: assertions given to other communities, assertions and tokens brought to us, and what is remembered of them.

mod incoming;
mod outgoing;
mod tokens;

use chiren::config::{Config, XuaMode};
use chiren::model::transaction::Transaction;

use crate::support::idp::{AUDIENCE, Idp};
use crate::support::samples::*;
use crate::support::soap::{SIMPLE, adhoc_query, envelope_with};
use crate::support::{Answer, Gateway};

/// Assertions of this issuer are wanted.
fn wanting(config: &mut Config, idp: &Idp) {
    config.xua.mode = XuaMode::Required;
    config.xua.audiences = vec![AUDIENCE.into()];
    config.xua.issuer = vec![idp.trusted()];
}

impl Gateway {
    /// FindDocuments of the usual patient at this address, with these headers beside the Action.
    async fn ask_with(&self, path: &str, headers: &str) -> Answer {
        let action = match path {
            "/xca/iti38" => Transaction::Iti38,
            _ => Transaction::Iti18,
        };
        let body = adhoc_query(&find_documents(PATIENT));
        let envelope = envelope_with(action.row().request_action, headers, &body);
        self.soap().post(path, SIMPLE, envelope).await
    }
}

/// The subcode of a fault, or nothing of an answer.
fn subcode(answer: &Answer) -> Option<String> {
    answer.envelope.contains("soap:Fault").then(|| answer.fault().1.unwrap_or_default())
}
