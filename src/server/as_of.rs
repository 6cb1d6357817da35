//! `GET /registry/as-of` on listeners of role ops, where `registry.as_of` allows it: a stored query answered
//! as it would have been at a moment, in JSON.
//!
//! `time` is the moment and `query` the stored query (default FindDocuments); `patient` may be repeated;
//! `return=ObjectRef` asks for ids alone. Every other name is a parameter of the query, its `$` left out or
//! not: `?time=2026-03-31T12:00&patient=1001%5E%5E%5E%262.999.392.1.1%26ISO&XDSDocumentEntryStatus=Deprecated`.

use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Value, json};

use super::http::{Request, RespBody, Transacted, text};
use super::metrics::Outcome;
use crate::model::caller::Caller;
use crate::model::error::Error;
use crate::model::query::{ReturnType, plain};
use crate::model::transaction::Transaction;
use crate::service::audit::Audit;
use crate::service::context::Context;
use crate::service::registry::{AsOf, AsOfAnswer, Registry, moment};

pub const PATH: &str = "/registry/as-of";

/// The operator's endpoint.
#[derive(Clone)]
pub struct AsOfFace {
    pub registry: Registry,
    pub audit: Audit,
}

impl AsOfFace {
    pub async fn handle(&self, request: Request) -> Response<RespBody> {
        let (status, body, outcome) = self.answer(request).await;
        let mut response = text(status, format!("{body:#}\n"));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET"));
        }
        response.extensions_mut().insert(Transacted { transaction: "as-of", outcome });
        response
    }

    async fn answer(&self, request: Request) -> (StatusCode, Value, Outcome) {
        let refused = |status, why: String| (status, json!({ "error": why }), Outcome::Refused);
        if request.method != Method::GET {
            return refused(StatusCode::METHOD_NOT_ALLOWED, "GET only".into());
        }
        let asked = match read(request.uri.query().unwrap_or_default()) {
            Ok(asked) => asked,
            Err(why) => return refused(StatusCode::BAD_REQUEST, why),
        };
        let context = Context {
            transaction: Transaction::Iti18,
            caller: Caller {
                address: request.conn.peer_addr.ip().to_string(),
                listener: request.conn.listener.to_string(),
                certificate: request.conn.tls.as_ref().map(|t| t.fingerprint.clone()),
                ..Caller::default()
            },
            request_id: request.id.clone(),
            received_at: request.received_at,
            elsewhere: None,
            exchange: std::sync::Arc::default(),
        };
        let as_of = asked.moment;
        match self.registry.as_of(&self.audit, &context, asked).await {
            Ok(AsOfAnswer { result, history_began }) => {
                let mut out = plain::grouped(&result);
                out.insert("asOf".into(), as_of.to_string().into());
                out.insert("historyBegan".into(), history_began.to_string().into());
                (StatusCode::OK, out.into(), Outcome::Success)
            }
            Err(Error::Rejected(errors)) => {
                let errors: Vec<_> = errors
                    .iter()
                    .map(|e| json!({ "errorCode": e.code.as_str(), "codeContext": e.context }))
                    .collect();
                (StatusCode::BAD_REQUEST, json!({ "errors": errors }), Outcome::Refused)
            }
            Err(Error::Busy(why)) => refused(StatusCode::SERVICE_UNAVAILABLE, why.into()),
            Err(Error::Away { peer, cause }) => {
                tracing::error!(request_id = context.request_id, peer, cause, "not available");
                refused(StatusCode::SERVICE_UNAVAILABLE, format!("the {peer} is away"))
            }
            Err(error) => {
                tracing::error!(request_id = context.request_id, cause = ?error, "a question as of a moment failed");
                let why = format!("failed; the log has the cause under {}", context.request_id);
                (StatusCode::INTERNAL_SERVER_ERROR, json!({ "error": why }), Outcome::Internal)
            }
        }
    }
}

/// The question of a URL's query.
fn read(query: &str) -> Result<AsOf, String> {
    let (mut when, mut asked) = (None, None);
    let (mut patients, mut params, mut return_type) = (vec![], vec![], ReturnType::LeafClass);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(|| format!("'{pair}' is not NAME=VALUE"))?;
        let (name, value) = (decoded(name)?, decoded(value)?);
        match name.as_str() {
            "time" => when = Some(moment(&value)?),
            "query" => asked = Some(value),
            "patient" => patients.push(value),
            "return" if value == "ObjectRef" => return_type = ReturnType::ObjectRef,
            "return" if value == "LeafClass" => return_type = ReturnType::LeafClass,
            "return" => return Err("return is ObjectRef or LeafClass".into()),
            _ => params.push(format!("{name}={value}")),
        }
    }
    Ok(AsOf {
        moment: when.ok_or("time is missing")?,
        query: asked.unwrap_or_else(|| "FindDocuments".into()),
        patients,
        params,
        return_type,
    })
}

/// Percent-decoded; `+` stands for itself, as in offsets of times.
pub(super) fn decoded(text: &str) -> Result<String, String> {
    let mut out = vec![];
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        if octet != b'%' {
            out.push(octet);
            continue;
        }
        let digit = |octet: Option<u8>| char::from(octet?).to_digit(16);
        match (digit(octets.next()), digit(octets.next())) {
            (Some(high), Some(low)) => out.extend(u8::try_from(high * 16 + low)),
            _ => return Err("% is not followed by two hexadecimal digits".into()),
        }
    }
    String::from_utf8(out).map_err(|_| "a value is not UTF-8".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_from_a_url() {
        let url = "time=2026-03-31T12:00:00+09:00&patient=1%5E%5E%5E%262.999%26ISO&query=GetAll\
                   &%24XDSDocumentEntryStatus=Deprecated&return=ObjectRef";
        let asked = read(url).unwrap();
        assert_eq!(asked.moment.to_string(), "2026-03-31T03:00:00Z");
        assert_eq!((asked.query.as_str(), asked.patients), ("GetAll", vec!["1^^^&2.999&ISO".to_owned()]));
        assert_eq!(asked.params, ["$XDSDocumentEntryStatus=Deprecated"]);
        assert_eq!(asked.return_type, ReturnType::ObjectRef);
        for wrong in ["", "patient=1", "time=now", "time", "time=2026-03-31&x=%4", "time=2026-03-31&x=%ff"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
