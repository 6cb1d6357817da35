//! `/consent` on listeners of role ops, where `consent.face` allows it: what is said at a visit or in an emergency, in JSON,
//! for systems that vouch for who says it.
//!
//! | request | what |
//! | --- | --- |
//! | `POST /consent/attest` `{"patient": "ID^^^&OID&ISO", "user": "…" or "facility": "OID", "minutes": 60, "by": "…", "reason": "…"}` | the patient consented explicitly at the visit; without `minutes` until the end of the day in Japan |
//! | `POST /consent/break-glass` `{"patient": "…", "user": "…", "facility": "OID", "minutes": 60, "by": "…", "reason": "…"}` | emergency access; without `minutes` as the network's rules say |

use http::{HeaderValue, Method, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{Request, RespBody, Transacted, text};
use super::metrics::Outcome;
use crate::model::consent::Audience;
use crate::model::consent::record::{Attestation, BreakGlass};
use crate::model::consent::terms::plain_oid;
use crate::model::transaction::Transaction;
use crate::service::consent::{Change, Consents, Refused, Word, after, end_of_day};
use crate::service::context::Context;

pub const PATH: &str = "/consent/";

/// Octets of a body.
const BODY: u64 = 64 * 1024;

#[derive(Clone)]
pub struct ConsentFace {
    pub consents: Consents,
}

type Answer = (StatusCode, Value, Outcome);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    patient: String,
    user: Option<String>,
    facility: Option<String>,
    /// `SYSTEM|CODE`, of an attestation.
    purpose: Option<String>,
    minutes: Option<u32>,
    by: String,
    reason: String,
}

impl ConsentFace {
    /// Whether `path` is ours.
    pub fn serves(path: &str) -> bool {
        path.starts_with(PATH)
    }

    pub async fn handle(&self, request: Request) -> Response<RespBody> {
        let (status, body, outcome) = self.answer(request).await;
        let mut response = text(status, format!("{body:#}\n"));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        response.extensions_mut().insert(Transacted { transaction: "consent", outcome });
        response
    }

    async fn answer(&self, request: Request) -> Answer {
        let what = request.uri.path().strip_prefix(PATH).unwrap_or_default().to_owned();
        if !matches!(what.as_str(), "attest" | "break-glass") {
            return refused(StatusCode::NOT_FOUND, "no such page");
        }
        if request.method != Method::POST {
            return refused(StatusCode::METHOD_NOT_ALLOWED, "POST only");
        }
        let context = Context {
            transaction: Transaction::Iti18,
            caller: request.conn.caller(),
            request_id: request.id.clone(),
            received_at: request.received_at,
            elsewhere: None,
            exchange: Default::default(),
        };
        let body = match request.body.whole(BODY).await {
            Ok(body) => body,
            Err(e) => return refused(StatusCode::BAD_REQUEST, e.to_string()),
        };
        let said: Said = match serde_json::from_slice(&body) {
            Ok(said) => said,
            Err(e) => {
                return refused(StatusCode::BAD_REQUEST, format!("the body is not as it should be: {e}"));
            }
        };
        let change = match self.change(&what, &said, &context) {
            Ok(change) => change,
            Err(why) => return refused(StatusCode::BAD_REQUEST, why),
        };
        let word = Word { who: said.by, reason: said.reason };
        match self.consents.change(&context, &said.patient, change, word).await {
            Ok(ids) => (StatusCode::CREATED, json!({ "records": ids }), Outcome::Success),
            Err(Refused::Error(error)) => {
                tracing::error!(request_id = context.request_id, cause = ?error, "a consent failed");
                let why = format!("failed; the log has the cause under {}", context.request_id);
                (StatusCode::INTERNAL_SERVER_ERROR, json!({ "error": why }), Outcome::Internal)
            }
            Err(e @ Refused::UnknownPatient) => refused(StatusCode::NOT_FOUND, e.to_string()),
            Err(e) => refused(StatusCode::CONFLICT, e.to_string()),
        }
    }

    fn change(&self, what: &str, said: &Said, context: &Context) -> Result<Change, &'static str> {
        let now = context.received_at;
        let from = now.as_microsecond();
        let facility = said.facility.as_deref().map(|oid| plain_oid(oid).to_owned());
        if what == "attest" {
            let viewer = match (&said.user, facility) {
                (Some(user), None) => Audience::Person(user.clone()),
                (None, Some(facility)) => Audience::Facility(facility),
                _ => return Err("say user or facility"),
            };
            let until = match said.minutes {
                Some(minutes) => after(now, minutes),
                None => end_of_day(now).as_microsecond(),
            };
            let purpose = said.purpose.clone();
            return Ok(Change::Attest(Attestation { id: String::new(), viewer, purpose, from, until }));
        }
        let Some(user) = said.user.clone() else { return Err("say user") };
        let minutes = said.minutes.unwrap_or(self.consents.access().network().break_glass_minutes);
        let until = after(now, minutes);
        Ok(Change::BreakGlass(BreakGlass { id: String::new(), user, facility, from, until }))
    }
}

fn refused(status: StatusCode, why: impl Into<String>) -> Answer {
    (status, json!({ "error": why.into() }), Outcome::Refused)
}
