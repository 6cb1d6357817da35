//! Each transaction of a community tried once, with a question that finds nothing.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::directory::Member;
use super::trouble::Trouble;
use crate::model::community::Step;
use crate::model::ebrim::Slot;
use crate::model::error::{ErrorCode, RegistryError};
use crate::model::query::{AdhocQueryRequest, QUERIES, QueryId, ReturnType, values};
use crate::model::transaction::Transaction;
use crate::peer::http::Client;
use crate::peer::soap::xca::{self, DocumentRequest};

/// What came of trying one transaction.
#[derive(Debug, Clone)]
pub struct Probe {
    /// `iti38`.
    pub key: &'static str,
    pub url: String,
    pub took: Duration,
    pub verdict: Verdict,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It answered as it should.
    Works,
    /// Somebody speaks HTTP there. The transaction itself has no harmless question.
    Reached {
        status: u16,
    },
    /// It answered, and something is wrong with the directory or there.
    Odd(Oddity),
    Fails(Trouble),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Oddity {
    /// It does not take itself for the homeCommunityId of the directory.
    OtherHome,
    /// It wants no such question, for another reason.
    Refuses(Vec<&'static str>),
    /// It found what cannot be there.
    FindsAnything,
}

/// A uniqueId that no document has: below UUID-derived OIDs (ITU-T X.667), of this moment.
fn nowhere() -> String {
    format!("2.25.{}", Uuid::new_v4().as_u128())
}

/// Tries every address of a community, one after another. Its breaker is neither asked nor told.
pub async fn probe(member: &Member) -> Vec<Probe> {
    let mut probes = vec![];
    for (key, url) in &member.community.endpoints {
        let begun = Instant::now();
        let budget = member.community.budget;
        let tried = match member.client(key) {
            None => Err(Trouble::new(Step::Endpoint, "no client could be made for it")),
            Some(client) => timeout(budget, one(member, key, client)).await.unwrap_or_else(|_| {
                let waited = budget.as_millis();
                Err(Trouble::new(Step::Timeout, format!("no answer within {waited} ms")))
            }),
        };
        let verdict = tried.unwrap_or_else(Verdict::Fails);
        probes.push(Probe { key, url: url.clone(), took: begun.elapsed(), verdict });
    }
    probes
}

async fn one(member: &Member, key: &str, client: &Client) -> Result<Verdict, Trouble> {
    let home = Some(member.home());
    match key {
        "iti38" => {
            let urn = QUERIES.iter().find(|q| q.id == QueryId::GetDocuments).map_or("", |q| q.urn);
            let id = format!("urn:uuid:{}", Uuid::new_v4());
            let slot = Slot {
                name: "$XDSDocumentEntryEntryUUID".into(),
                slot_type: None,
                values: vec![values::quote_list(&[id.as_str()])],
            };
            let request = AdhocQueryRequest {
                return_type: ReturnType::ObjectRef,
                id: urn.to_owned(),
                home,
                slots: vec![slot],
            };
            let found = xca::query(client, &request).await?;
            Ok(match found.result.is_empty() {
                true => judged(&found.errors, &[]),
                false => Verdict::Odd(Oddity::FindsAnything),
            })
        }
        "iti39" => {
            let request = DocumentRequest {
                home_community_id: home,
                repository_unique_id: nowhere(),
                document_unique_id: nowhere(),
            };
            let given = xca::retrieve(client, Transaction::Iti39, &[request]).await?;
            let expected = [ErrorCode::XDSUnknownRepositoryId, ErrorCode::XDSDocumentUniqueIdError];
            Ok(match (given.responses.is_empty(), given.errors.is_empty()) {
                (true, false) => judged(&given.errors, &expected),
                _ => Verdict::Odd(Oddity::FindsAnything),
            })
        }
        _ => {
            let answer =
                client.get().await.map_err(|e| Trouble::from(crate::peer::soap::SoapError::from(e)))?;
            Ok(Verdict::Reached { status: answer.status.as_u16() })
        }
    }
}

fn judged(errors: &[RegistryError], expected: &[ErrorCode]) -> Verdict {
    let wrong: Vec<ErrorCode> =
        errors.iter().filter(|e| e.is_error()).map(|e| e.code).filter(|c| !expected.contains(c)).collect();
    if wrong.is_empty() {
        Verdict::Works
    } else if wrong.contains(&ErrorCode::XDSUnknownCommunity) {
        Verdict::Odd(Oddity::OtherHome)
    } else {
        Verdict::Odd(Oddity::Refuses(wrong.into_iter().map(ErrorCode::as_str).collect()))
    }
}
