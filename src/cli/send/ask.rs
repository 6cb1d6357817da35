//! Stored queries that a command needs before it can ask for a change.

use super::endpoint::{Endpoint, Failure, Messages, Session};
use super::refusals;
use crate::config::Language;
use crate::model::ebrim::Slot;
use crate::model::metadata::MetadataObject;
use crate::model::query::values::quote_list;
use crate::model::query::{QUERIES, QueryId, QueryResult, ReturnType};
use crate::model::transaction::Transaction;
use crate::peer::soap::{Call, Discard};
use crate::wire::ebxml::query::{AdhocQueryRequest, read_response, write_request};

/// The registry beside an endpoint, asked by ITI-18 at `$MetadataLevel` 2.
pub struct Registry<'a> {
    endpoint: Endpoint,
    messages: &'a Messages,
    language: Language,
}

impl<'a> Registry<'a> {
    /// `query_url`: where its ITI-18 is, if the endpoint does not tell.
    pub fn beside(
        endpoint: &Endpoint,
        query_url: Option<&String>,
        messages: &'a Messages,
        language: Language,
    ) -> Self {
        let mut endpoint = endpoint.beside(Transaction::Iti18);
        if let Some(url) = query_url {
            endpoint.url.clone_from(url);
        }
        Self { endpoint, messages, language }
    }

    /// The objects a query finds by one parameter.
    pub async fn find(
        &self,
        id: QueryId,
        parameter: &str,
        values: &[&str],
    ) -> Result<Vec<MetadataObject>, Failure> {
        let plain = Messages { verbose: self.messages.verbose, save: None, raw: None };
        let session = Session::new(&self.endpoint, Transaction::Iti18, &plain)?;
        let row = QUERIES.iter().find(|q| q.id == id);
        let one = row.is_some_and(|r| r.params.iter().any(|p| p.name == parameter && !p.list));
        let value = quote_list(values);
        let value = if one { value.trim_matches(['(', ')']).to_owned() } else { value };
        let slot =
            |name: &str, value: String| Slot { name: name.to_owned(), slot_type: None, values: vec![value] };
        let request = AdhocQueryRequest {
            return_type: ReturnType::LeafClass,
            id: row.map_or("", |r| r.urn).to_owned(),
            home: None,
            slots: vec![slot(parameter, value), slot("$MetadataLevel", "2".to_owned())],
        };
        let call = Call::new(&session.client, Transaction::Iti18, vec![], |w| write_request(w, &request));
        let (_, found, errors) = session.exchange(call, &mut Discard).await?.body(read_response)?;
        match found {
            QueryResult::Objects(objects) if errors.is_empty() => Ok(objects),
            _ => {
                let said = match self.language {
                    Language::En => "the registry does not answer ITI-18",
                    Language::Ja => "レジストリーが ITI-18 に応答しません",
                };
                Err(Failure::Usage(format!("{said}\n{}", refusals(&errors, self.language))))
            }
        }
    }
}
