//! `/mpi/reviews` on listeners of role ops, where `mpi.reviews` allows it: the worklist of the index of patients,
//! in JSON, for the people who decide what the machine cannot.
//!
//! | request | what |
//! | --- | --- |
//! | `GET /mpi/reviews?state=waiting&assignee=…&limit=…&after=PRIORITY,ID` | a page of tasks, the most urgent first |
//! | `GET /mpi/reviews/ID` | a task side by side, field by field; the look is recorded |
//! | `POST /mpi/reviews/ID/assign` `{"to": "yamada"}` | 確認待ち; without `to`: back to the worklist |
//! | `POST /mpi/reviews/ID/decide` `{"verdict": "same", "candidate": "…", "by": "yamada", "reason": "…"}` | 確定 or 却下 |

use http::{HeaderValue, Method, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::http::{Request, RespBody, Transacted, text};
use super::metrics::Outcome;
use crate::model::error::Error;
use crate::model::transaction::Transaction;
use crate::service::context::Context;
use crate::service::mpi::{Mpi, Refusal, ReviewState, Undecided, Verdict};

pub const PATH: &str = "/mpi/reviews";

/// Octets of a body that says what to do.
const BODY: u64 = 64 * 1024;
/// Tasks in a page at most.
const PAGE: i64 = 500;

/// The reviewers' endpoint.
#[derive(Clone)]
pub struct ReviewFace {
    pub mpi: Mpi,
}

type Answer = (StatusCode, Value, Outcome);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Assign {
    to: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decide {
    verdict: Verdict,
    candidate: Option<String>,
    by: String,
    #[serde(default)]
    reason: String,
}

/// What a path and a method ask for.
enum Asked<'p> {
    List,
    Show(&'p str),
    Assign(&'p str),
    Decide(&'p str),
}

impl ReviewFace {
    /// Whether `path` is ours.
    pub fn serves(path: &str) -> bool {
        path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    pub async fn handle(&self, request: Request) -> Response<RespBody> {
        let (status, body, outcome) = self.answer(request).await;
        let mut response = text(status, format!("{body:#}\n"));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
        }
        response.extensions_mut().insert(Transacted { transaction: "review", outcome });
        response
    }

    async fn answer(&self, request: Request) -> Answer {
        let context = Context {
            transaction: Transaction::Iti30,
            caller: request.conn.caller(),
            request_id: request.id.clone(),
            received_at: request.received_at,
            elsewhere: None,
            exchange: std::sync::Arc::default(),
        };
        let path = request.uri.path().to_owned();
        let asked = match read(&request.method, &path) {
            Ok(asked) => asked,
            Err((status, why)) => return refused(status, why),
        };
        match asked {
            Asked::List => self.list(request.uri.query().unwrap_or_default(), &context).await,
            Asked::Show(id) => match self.mpi.review(&context, id).await {
                Ok(Some(shown)) => found(&shown),
                Ok(None) => refused(StatusCode::NOT_FOUND, "there is no such review task"),
                Err(e) => failed(e, &context),
            },
            Asked::Assign(id) => match said::<Assign>(request).await {
                Err(why) => refused(StatusCode::BAD_REQUEST, why),
                Ok(Assign { to }) => match self.mpi.assign(&context, id, to.as_deref()).await {
                    Ok(()) => found(&json!({ "assignee": to })),
                    Err(e) => undecided(e, &context),
                },
            },
            Asked::Decide(id) => match said::<Decide>(request).await {
                Err(why) => refused(StatusCode::BAD_REQUEST, why),
                Ok(Decide { by, .. }) if by.trim().is_empty() => {
                    refused(StatusCode::BAD_REQUEST, "by: say who decides")
                }
                Ok(Decide { verdict, candidate, by, reason }) => {
                    let done =
                        self.mpi.decide(&context, id, verdict, candidate.as_deref(), &by, &reason).await;
                    match done {
                        Ok(decided) => found(&json!({ "decided": decided })),
                        Err(e) => undecided(e, &context),
                    }
                }
            },
        }
    }

    async fn list(&self, query: &str, context: &Context) -> Answer {
        let (mut state, mut assignee, mut after, mut limit) = (ReviewState::Candidate, None, None, 50);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = match super::as_of::decoded(value) {
                Ok(value) => value,
                Err(why) => return refused(StatusCode::BAD_REQUEST, why),
            };
            let understood = match name {
                "state" => match serde_json::from_value(json!(value)) {
                    Ok(said) => {
                        state = said;
                        true
                    }
                    Err(_) => false,
                },
                "assignee" => {
                    assignee = Some(value);
                    true
                }
                "limit" => match value.parse::<i64>() {
                    Ok(n) if (1..=PAGE).contains(&n) => {
                        limit = n;
                        true
                    }
                    _ => false,
                },
                "after" => match value.split_once(',').map(|(p, id)| (p.parse::<i64>(), id)) {
                    Some((Ok(priority), id)) => {
                        after = Some((priority, id.to_owned()));
                        true
                    }
                    _ => false,
                },
                _ => false,
            };
            if !understood {
                let why = format!(
                    "{name}: there are state (candidate, waiting, confirmed, refused, released, obsolete), assignee, \
                     limit (1 to {PAGE}) and after (PRIORITY,ID)"
                );
                return refused(StatusCode::BAD_REQUEST, why);
            }
        }
        let counts = match self.mpi.review_counts().await {
            Ok(counts) => counts,
            Err(e) => return failed(e, context),
        };
        match self.mpi.reviews(state, assignee, after, limit).await {
            Ok(tasks) => {
                let counts: serde_json::Map<String, Value> =
                    counts.into_iter().map(|(s, n)| (s.japanese().to_owned(), n.into())).collect();
                found(&json!({ "counts": counts, "tasks": tasks }))
            }
            Err(e) => failed(e, context),
        }
    }
}

fn read<'p>(method: &Method, path: &'p str) -> Result<Asked<'p>, (StatusCode, &'static str)> {
    let rest = path.strip_prefix(PATH).unwrap_or_default().trim_matches('/');
    let asked = match (rest, rest.split_once('/')) {
        ("", _) => Asked::List,
        (id, None) => Asked::Show(id),
        (_, Some((id, "assign"))) => Asked::Assign(id),
        (_, Some((id, "decide"))) => Asked::Decide(id),
        _ => return Err((StatusCode::NOT_FOUND, "no such page")),
    };
    let wanted = match asked {
        Asked::List | Asked::Show(_) => Method::GET,
        Asked::Assign(_) | Asked::Decide(_) => Method::POST,
    };
    match *method == wanted {
        true => Ok(asked),
        false => Err((StatusCode::METHOD_NOT_ALLOWED, "GET to look, POST to assign or decide")),
    }
}

async fn said<T: serde::de::DeserializeOwned>(request: Request) -> Result<T, String> {
    let body = request.body.whole(BODY).await.map_err(|e| e.to_string())?;
    serde_json::from_slice(&body).map_err(|e| format!("the body is not as it should be: {e}"))
}

fn found(value: &impl serde::Serialize) -> Answer {
    (StatusCode::OK, serde_json::to_value(value).unwrap_or_default(), Outcome::Success)
}

fn refused(status: StatusCode, why: impl Into<String>) -> Answer {
    (status, json!({ "error": why.into() }), Outcome::Refused)
}

fn undecided(e: Undecided, context: &Context) -> Answer {
    match e {
        Undecided::NoTask => refused(StatusCode::NOT_FOUND, e.to_string()),
        Undecided::Closed => refused(StatusCode::CONFLICT, e.to_string()),
        Undecided::NoCandidate | Undecided::Several => refused(StatusCode::BAD_REQUEST, e.to_string()),
        Undecided::Index(Refusal::Identity(errors)) => {
            let why: Vec<String> = errors.into_iter().map(|e| e.text).collect();
            refused(StatusCode::CONFLICT, why.join("; "))
        }
        Undecided::Index(Refusal::Error(e)) => failed(e, context),
    }
}

fn failed(error: Error, context: &Context) -> Answer {
    match error {
        Error::Busy(why) => refused(StatusCode::SERVICE_UNAVAILABLE, why),
        Error::Away { peer, cause } => {
            tracing::error!(request_id = context.request_id, peer, cause, "not available");
            refused(StatusCode::SERVICE_UNAVAILABLE, format!("the {peer} is away"))
        }
        error => {
            tracing::error!(request_id = context.request_id, cause = ?error, "a review failed");
            let why = format!("failed; the log has the cause under {}", context.request_id);
            (StatusCode::INTERNAL_SERVER_ERROR, json!({ "error": why }), Outcome::Internal)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods_are_told_apart() {
        assert!(ReviewFace::serves("/mpi/reviews") && ReviewFace::serves("/mpi/reviews/1/decide"));
        assert!(!ReviewFace::serves("/mpi/reviewsx") && !ReviewFace::serves("/metrics"));
        let status = |method: Method, path: &str| read(&method, path).err().map(|(s, _)| s.as_u16());
        assert_eq!(status(Method::GET, "/mpi/reviews"), None);
        assert_eq!(status(Method::GET, "/mpi/reviews/1"), None);
        assert_eq!(status(Method::POST, "/mpi/reviews/1/assign"), None);
        assert_eq!(status(Method::POST, "/mpi/reviews/1"), Some(405));
        assert_eq!(status(Method::GET, "/mpi/reviews/1/decide"), Some(405));
        assert_eq!(status(Method::POST, "/mpi/reviews/1/burn"), Some(404));
    }
}
