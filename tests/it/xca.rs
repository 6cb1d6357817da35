//! Between communities (XCA): ours asked by others, ours asking others, real gateways and bad neighbours.

mod bound;
mod cells;
mod directory;
mod documents;
mod hostile;
mod many;
mod processes;
mod queries;
mod responding;

use chiren::config::{CommunityConfig, Config};
use chiren::model::community::Step;
use chiren::model::query::AdhocQueryRequest;
use chiren::model::transaction::Transaction;
use chiren::service::gateway::Standing;
use chiren::wire::ebxml::retrieve::{self, DocumentRequest};
use chiren::wire::xml::XmlWriter;

use crate::support::community::{home, network};
use crate::support::samples::*;
use crate::support::soap::{SIMPLE, adhoc_query, envelope, mtom};
use crate::support::{Answer, Gateway};

/// Our own gateway, network 1, with these others in its directory.
pub async fn ours(others: Vec<CommunityConfig>) -> Gateway {
    ours_with(others, |_| {}).await
}

pub async fn ours_with(others: Vec<CommunityConfig>, change: impl FnOnce(&mut Config)) -> Gateway {
    network(1, |c| {
        c.community = others;
        change(c);
    })
    .await
}

impl Gateway {
    /// ITI-18 at the Initiating Gateway.
    pub async fn ask_all(&self, request: &AdhocQueryRequest) -> Answer {
        let action = Transaction::Iti18.row().request_action;
        self.soap().post("/xca/iti18", SIMPLE, envelope(action, &adhoc_query(request))).await
    }

    /// ITI-43 at the Initiating Gateway.
    pub async fn fetch(&self, requests: &[DocumentRequest]) -> Answer {
        let envelope = envelope(Transaction::Iti43.row().request_action, &retrieval(requests));
        let (content_type, body) = mtom(&envelope, &[]);
        self.soap().post("/xca/iti43", &content_type, body).await
    }

    /// ITI-38, as another community's gateway asks.
    pub async fn ask_as_gateway(&self, request: &AdhocQueryRequest) -> Answer {
        self.soap().send(Transaction::Iti38, &adhoc_query(request), &[]).await
    }

    /// ITI-39, likewise.
    pub async fn fetch_as_gateway(&self, requests: &[DocumentRequest]) -> Answer {
        self.soap().send(Transaction::Iti39, &retrieval(requests), &[]).await
    }

    /// Registers one document, `bytes`; its uniqueId.
    pub async fn publish(&self, bytes: &[u8]) -> String {
        let mut s = submission();
        (s.document_entries[0].hash, s.document_entries[0].size) = (None, None);
        self.soap().provide(&s, &[("DE", bytes)]).await.assert_success();
        s.document_entries[0].unique_id.clone()
    }

    fn standing(&self, n: usize) -> Standing {
        let gateway = self.rooms().gateway.as_ref().expect("a gateway");
        let board = gateway.directory().scoreboard();
        board.communities.into_iter().find(|s| s.home == home(n)).expect("its row")
    }

    fn failed_at(&self, n: usize) -> Option<Step> {
        self.standing(n).last_failure.map(|f| f.step)
    }
}

fn retrieval(requests: &[DocumentRequest]) -> String {
    let mut w = XmlWriter::new();
    retrieve::write_request(&mut w, requests);
    w.finish()
}

/// A document of network `n`.
pub fn of(n: usize, repository: &str, unique_id: &str) -> DocumentRequest {
    DocumentRequest {
        home_community_id: Some(home(n)),
        repository_unique_id: repository.into(),
        document_unique_id: unique_id.into(),
    }
}

pub fn at_home(n: usize, request: AdhocQueryRequest) -> AdhocQueryRequest {
    AdhocQueryRequest { home: Some(home(n)), ..request }
}

/// GetDocuments, for the whole objects.
pub fn get_documents(uuids: &[&str]) -> AdhocQueryRequest {
    query(GET_DOCUMENTS, vec![list("$XDSDocumentEntryEntryUUID", uuids)])
}
