//! Each transaction of a community tried once, with a question that finds nothing, or a message that cannot be taken.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::directory::Member;
use super::people::People;
use super::trouble::Trouble;
use crate::model::community::{AssertionPolicy, Step, WithoutUser};
use crate::model::ebrim::Slot;
use crate::model::error::{ErrorCode, RegistryError};
use crate::model::identity::{Demographics, Discovery, DomainId, PersonName};
use crate::model::ids::HomeCommunityId;
use crate::model::query::{AdhocQueryRequest, QUERIES, QueryId, ReturnType, values};
use crate::model::transaction::Transaction;
use crate::peer::http::Client;
use crate::peer::soap::SoapError;
use crate::peer::soap::discover::{Ack, Between, Ids, Question, Said, nothing_told};
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
    /// Somebody speaks HTTP there. The transaction itself was not tried.
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
    Refuses(Vec<String>),
    /// It found what cannot be there.
    FindsAnything,
    /// It took a feed that names no patient.
    TakesAnything,
}

/// Who tries.
pub struct Prober<'p> {
    pub people: &'p People,
    /// Our community.
    pub home: &'p HomeCommunityId,
    /// The authority of our patient ids.
    pub authority: &'p str,
    pub now: Timestamp,
}

/// A uniqueId that no document has: below UUID-derived OIDs (ITU-T X.667), of this moment.
fn nowhere() -> String {
    format!("2.25.{}", Uuid::new_v4().as_u128())
}

/// Tries every address of a community, one after another. Its breaker is neither asked nor told. Where it wants to know
/// who asks, it is this gateway itself (`xua.own.system_user`).
pub async fn probe(member: &Member, prober: &Prober<'_>) -> Vec<Probe> {
    let mut probes = vec![];
    for (key, url) in &member.community.endpoints {
        let begun = Instant::now();
        let budget = member.community.budget;
        let tried = match member.client(key) {
            None => Err(Trouble::new(Step::Endpoint, "no client could be made for it")),
            Some(client) => timeout(budget, one(member, key, client, prober)).await.unwrap_or_else(|_| {
                let waited = budget.as_millis();
                Err(Trouble::new(Step::Timeout, format!("no answer within {waited} ms")))
            }),
        };
        let verdict = tried.unwrap_or_else(Verdict::Fails);
        probes.push(Probe { key, url: url.clone(), took: begun.elapsed(), verdict });
    }
    probes
}

async fn one(member: &Member, key: &str, client: &Client, prober: &Prober<'_>) -> Result<Verdict, Trouble> {
    let home = Some(member.home());
    let community = &member.community;
    let assertion = match community.assertion {
        AssertionPolicy::None => None,
        AssertionPolicy::Issue | AssertionPolicy::Pass => match prober.people.system(community, prober.now) {
            Ok(assertion) => Some(assertion),
            // Without a key of ours it is tried as a request without a user would be.
            Err(_) if community.without_user == WithoutUser::Send => None,
            Err(trouble) => return Err(trouble),
        },
    };
    let assertion = assertion.as_deref();
    let time = prober.now.strftime("%Y%m%d%H%M%S+0000").to_string();
    let between = Between {
        home: prober.home,
        other: &community.home,
        device: community.device.as_deref(),
        time: &time,
    };
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
            let found = xca::query(client, &request, assertion).await?;
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
            let given = xca::retrieve(client, Transaction::Iti39, &[request], assertion).await?;
            let expected = [ErrorCode::XDSUnknownRepositoryId, ErrorCode::XDSDocumentUniqueIdError];
            Ok(match (given.responses.is_empty(), given.errors.is_empty()) {
                (true, false) => judged(&given.errors, &expected),
                _ => Verdict::Odd(Oddity::FindsAnything),
            })
        }
        "iti45" => {
            let id = DomainId { domain: prober.authority.to_owned(), value: nobody() };
            let wanted = community.patient_id_authority.as_deref().unwrap_or(prober.authority);
            let question = Question::cross_reference(&between, &id, wanted);
            Ok(match question.ids(client, assertion).await? {
                Ids::Of(ids) if ids.is_empty() => Verdict::Works,
                Ids::Of(_) => Verdict::Odd(Oddity::FindsAnything),
                Ids::Refused(codes) => Verdict::Odd(Oddity::Refuses(vec![codes])),
            })
        }
        "iti55" => {
            let discovery = Discovery { described: stranger(), ids: vec![], least: 0 };
            let question = Question::discovery(&between, &discovery, None, None);
            Ok(match question.discover(client, assertion).await?.said {
                // That more is wanted is an answer too.
                Said::Wanted(_) => Verdict::Works,
                Said::Found(found) if found.is_empty() => Verdict::Works,
                Said::Found(_) => Verdict::Odd(Oddity::FindsAnything),
                Said::Unable(why, codes) => {
                    let why = why.map(|why| why.code().to_owned()).into_iter();
                    let codes = why.chain(std::iter::once(codes)).filter(|code| !code.is_empty());
                    Verdict::Odd(Oddity::Refuses(codes.collect()))
                }
            })
        }
        // A feed whose patient has no id: there is nobody to make, so it must be refused (ITI TF-2 3.44.4.1.2).
        "iti44" => {
            let id = Uuid::new_v4().to_string();
            match nothing_told(client, &between, &id, assertion).await {
                Ok(answer) if answer.ack == Ack::Accept => Ok(Verdict::Odd(Oddity::TakesAnything)),
                Ok(_) => Ok(Verdict::Works),
                // The schema may have been asked before the message was read.
                Err(SoapError::Fault { code, subcode, .. })
                    if code.ends_with("Sender") && subcode.is_none() =>
                {
                    Ok(Verdict::Works)
                }
                Err(e) => Err(e.into()),
            }
        }
        _ => {
            let answer =
                client.get().await.map_err(|e| Trouble::from(crate::peer::soap::SoapError::from(e)))?;
            Ok(Verdict::Reached { status: answer.status.as_u16() })
        }
    }
}

/// An id that nobody has.
fn nobody() -> String {
    format!("CHIREN-TEST-{}", Uuid::new_v4().simple())
}

/// Somebody whom nobody knows: a name that is none, born on a day that is over for everybody.
fn stranger() -> Demographics {
    let name = PersonName { family: nobody(), given: "TEST".into(), ..PersonName::default() };
    Demographics { names: Some(vec![name]), birth_date: Some("18000101".into()), ..Demographics::default() }
}

fn judged(errors: &[RegistryError], expected: &[ErrorCode]) -> Verdict {
    let wrong: Vec<ErrorCode> =
        errors.iter().filter(|e| e.is_error()).map(|e| e.code).filter(|c| !expected.contains(c)).collect();
    if wrong.is_empty() {
        Verdict::Works
    } else if wrong.contains(&ErrorCode::XDSUnknownCommunity) {
        Verdict::Odd(Oddity::OtherHome)
    } else {
        Verdict::Odd(Oddity::Refuses(wrong.into_iter().map(|code| code.as_str().to_owned()).collect()))
    }
}
