//! What whoever runs the simulator asks and tells it:
//!
//! | request | what |
//! | --- | --- |
//! | `GET /` | the page |
//! | `GET /_state?view=person\|institution&insured=…&institution=…&bundles=1` | what is held |
//! | `GET /_unit/N0000000001` | a Bundle, byte for byte |
//! | `GET /_calls` | the last calls |
//! | `GET`, `POST`, `DELETE /_fault` | what goes wrong |
//! | `GET`, `POST /_directory` | insured persons and institutions |
//! | `GET`, `POST /_clock` `{"days": 8}` | the service's time |
//! | `GET`, `POST /_config` `{"validation": "published", "rule_set": "2.0.0"}` | how it behaves |
//! | `POST /_consent` `{"InsuredIdentifier": …, "BundleIdentifierValue": …}` | the patient agrees |

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::directory::Entry;
use super::door::said;
use super::engine::Engine;
use super::fault::Fault;
use super::page;
use super::show::{self, Query};
use super::validate::Mode;
use super::world::RuleSet;

type Said = Response<Full<Bytes>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    #[serde(default)]
    days: i64,
    #[serde(default)]
    seconds: i64,
    /// This moment instead.
    set: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Configure {
    validation: Option<Mode>,
    rule_set: Option<RuleSet>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Consent {
    #[serde(rename = "InsuredIdentifier")]
    insured: String,
    #[serde(rename = "BundleIdentifierValue")]
    value: Option<String>,
}

pub fn answer(
    engine: &Engine,
    method: &Method,
    path: &str,
    query: &str,
    body: &[u8],
    japanese: bool,
) -> Said {
    let get = *method == Method::GET;
    let post = *method == Method::POST;
    let done = match path {
        "/" if get => return html(&page::render(engine, japanese)),
        "/_state" if get => Ok(show::state(engine, &Query::read(query))),
        "/_calls" if get => Ok(json!({ "Calls": engine.calls() })),
        "/_fault" if get => Ok(json!({ "faults": engine.faults.all() })),
        "/_fault" if post => several::<Fault>(body).map(|faults| {
            faults.into_iter().for_each(|fault| engine.faults.add(fault, engine.now()));
            json!({ "faults": engine.faults.all() })
        }),
        "/_fault" if *method == Method::DELETE => {
            engine.faults.clear();
            Ok(json!({ "faults": [] }))
        }
        "/_directory" if get => Ok(directory(engine)),
        "/_directory" if post => several::<Entry>(body)
            .and_then(|entries| engine.enter(entries).map_err(|e| e.to_string()))
            .map(|()| directory(engine)),
        "/_clock" if get => Ok(clock(engine)),
        "/_clock" if post => {
            read::<Advance>(body).and_then(|by| advance(engine, &by)).map(|()| clock(engine))
        }
        "/_config" if get => Ok(config(engine)),
        "/_config" if post => read::<Configure>(body)
            .and_then(|wanted| {
                let change = |mut settings: super::world::Settings| {
                    settings.validation = wanted.validation.unwrap_or(settings.validation);
                    settings.rule_set = wanted.rule_set.unwrap_or(settings.rule_set);
                    settings
                };
                engine.configure(change).map_err(|e| e.to_string())
            })
            .map(|()| config(engine)),
        "/_consent" if post => read::<Consent>(body)
            .and_then(|c| engine.consent(&c.insured, c.value.as_deref()).map_err(|e| e.to_string()))
            .map(|letters| json!({ "letters": letters })),
        _ if get && path.starts_with("/_unit/") => return unit(engine, path),
        _ => return said(StatusCode::NOT_FOUND, &json!({ "error": format!("{method} {path} is not here") })),
    };
    match done {
        Ok(value) => said(StatusCode::OK, &value),
        Err(what) => said(StatusCode::BAD_REQUEST, &json!({ "error": what })),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|e| e.to_string())
}

/// One, or a list of them.
fn several<T: DeserializeOwned>(body: &[u8]) -> Result<Vec<T>, String> {
    match read(body)? {
        Value::Array(all) => {
            all.into_iter().map(|one| serde_json::from_value(one).map_err(|e| e.to_string())).collect()
        }
        one => serde_json::from_value(one).map(|one| vec![one]).map_err(|e| e.to_string()),
    }
}

fn advance(engine: &Engine, by: &Advance) -> Result<(), String> {
    let micros = match by.set {
        Some(at) => at.as_microsecond().saturating_sub(engine.now().as_microsecond()),
        None => by.days.saturating_mul(86_400).saturating_add(by.seconds).saturating_mul(1_000_000),
    };
    engine.advance(micros).map_err(|e| e.to_string())
}

fn clock(engine: &Engine) -> Value {
    json!({ "now": engine.now().to_string() })
}

fn config(engine: &Engine) -> Value {
    engine.look(|world, _| json!(world.settings))
}

fn directory(engine: &Engine) -> Value {
    engine.look(|world, _| json!(world.directory))
}

fn unit(engine: &Engine, path: &str) -> Said {
    let receipt =
        path.rsplit('/').next().and_then(|n| n.strip_prefix('N')).and_then(|n| n.parse::<u64>().ok());
    let bundle =
        receipt.and_then(|receipt| engine.look(|world, _| world.unit(receipt).map(|u| u.bundle.clone())));
    match bundle {
        None => said(StatusCode::NOT_FOUND, &json!({ "error": "no such receipt" })),
        Some(bundle) => {
            let mut response = Response::new(Full::new(Bytes::from(bundle)));
            let kind = HeaderValue::from_static("application/fhir+json; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        }
    }
}

fn html(text: &str) -> Said {
    let mut response = Response::new(Full::new(Bytes::from(text.to_owned())));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// `?lang=ja`, else the first language of the browser.
pub fn prefers_japanese(headers: &HeaderMap, query: &str) -> bool {
    match query.split('&').find_map(|pair| pair.strip_prefix("lang=")) {
        Some(wanted) => wanted == "ja",
        None => {
            let said = headers.get(header::ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok());
            said.is_some_and(|s| s.trim_start().starts_with("ja"))
        }
    }
}
