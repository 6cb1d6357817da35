//! The FHIR face of the index, at [`BASE`] on listeners of role fhir: ITI-78 (search and read), ITI-83 `$ihe-pix`,
//! ITI-104 (conditional update, join), ITI-119 `$match`, and `/metadata`, in JSON and XML.
//!
//! | request | file |
//! | --- | --- |
//! | `GET [base]/Patient?…`, `POST [base]/Patient/_search`, `GET [base]/Patient/[id]` | [`search`] |
//! | `GET`, `POST [base]/Patient/$ihe-pix` | [`pix`] |
//! | `PUT [base]/Patient?identifier=system\|value` | [`feed`] |
//! | `POST [base]/Patient/$match` | [`matching`] |
//! | `GET [base]/AuditEvent?…` (ITI-81) | [`trail`] |

mod answer;
mod bearer;
mod feed;
mod matching;
mod negotiate;
mod pix;
mod search;
pub mod trail;

use std::borrow::Cow;

use http::{Method, Response, StatusCode};

use crate::model::audit::Exchange;
use crate::model::transaction::Transaction;
use crate::server::http::{Handler, Refusal, Refused, Request, RespBody};
use crate::server::metrics::Outcome;
use crate::service::audit::Audit;
use crate::service::context::Context;
use crate::service::mpi::Mpi;
use crate::service::xua::Iua;
use crate::wire::fhir::{self, Format, Issue, IssueCode};
use answer::{Answer, Denied};

/// Where it is served.
pub const BASE: &str = "/fhir";

/// Bytes of a resource, or of a search's form, that are read.
const BODY: u64 = 1 << 20;

/// What the face hands requests to.
#[derive(Clone)]
pub struct FhirFace {
    pub mpi: Mpi,
    pub audit: Audit,
    /// Who asks is looked at.
    pub iua: Option<Iua>,
    /// Audit records can be searched beside.
    pub trail: bool,
}

/// What a path and a method ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Route {
    Metadata,
    Search,
    SearchByPost,
    Read(String),
    PixByGet,
    PixByPost,
    Match,
    Update,
}

/// The methods of a path that is served, or nothing.
fn allowed(path: &str) -> Option<&'static str> {
    Some(match path {
        "metadata" => "GET, HEAD",
        "Patient" => "GET, HEAD, PUT",
        "Patient/_search" | "Patient/$match" => "POST",
        "Patient/$ihe-pix" => "GET, HEAD, POST",
        path => match path.strip_prefix("Patient/") {
            Some(id) if is_plain(id) => "GET, HEAD",
            _ => return None,
        },
    })
}

/// One segment that may be a logical id.
fn is_plain(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= 64
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

/// The path below [`BASE`].
fn below(path: &str) -> Option<String> {
    let rest = path.strip_prefix(BASE)?.strip_prefix('/')?.trim_end_matches('/');
    // Clients encode the `$` of an operation.
    Some(rest.replace("%24", "$"))
}

fn route(method: &Method, path: &str) -> Result<Route, Denied> {
    let unknown =
        || Denied::new(StatusCode::NOT_FOUND, IssueCode::NotFound, "nothing is served at this path");
    let path = below(path).ok_or_else(unknown)?;
    let methods = allowed(&path).ok_or_else(unknown)?;
    let get = matches!(*method, Method::GET | Method::HEAD);
    let post = *method == Method::POST;
    let id = path.strip_prefix("Patient/").filter(|id| get && is_plain(id));
    if let Some(id) = id {
        return Ok(Route::Read(id.to_owned()));
    }
    match path.as_str() {
        "metadata" if get => Ok(Route::Metadata),
        "Patient" if get => Ok(Route::Search),
        "Patient" if *method == Method::PUT => Ok(Route::Update),
        "Patient/_search" if post => Ok(Route::SearchByPost),
        "Patient/$ihe-pix" if get => Ok(Route::PixByGet),
        "Patient/$ihe-pix" if post => Ok(Route::PixByPost),
        "Patient/$match" if post => Ok(Route::Match),
        // ITI PIXm 3.104.4.3.4: who does not offer the Remove Patient option says so by these words.
        "Patient" if *method == Method::DELETE => Err(Denied::new(
            StatusCode::BAD_REQUEST,
            IssueCode::NotSupported,
            "Remove Patient is not supported",
        )),
        _ => {
            let text = match (method, path.as_str()) {
                (&Method::POST, "Patient") | (&Method::PUT, _) => {
                    "a patient is fed by PUT Patient?identifier=system|value (ITI-104), since sources know their \
                     identifiers, not our ids"
                }
                _ => "this method is not served here",
            };
            Err(Denied::new(StatusCode::METHOD_NOT_ALLOWED, IssueCode::NotSupported, text).allow(methods))
        }
    }
}

impl Route {
    fn transaction(&self) -> Option<Transaction> {
        match self {
            Route::Metadata => None,
            Route::Search | Route::SearchByPost | Route::Read(_) => Some(Transaction::Iti78),
            Route::PixByGet | Route::PixByPost => Some(Transaction::Iti83),
            Route::Match => Some(Transaction::Iti119),
            Route::Update => Some(Transaction::Iti104),
        }
    }
}

impl FhirFace {
    async fn answer(&self, request: Request) -> Answer {
        let (method, path) = (request.method.clone(), request.uri.path().to_owned());
        let (id, caller, at) = (request.id.clone(), request.conn.caller(), request.received_at);
        let route = match route(&method, &path) {
            Ok(route) => route,
            Err(denied) => return self.denied(denied, None, caller, &id, at).await,
        };
        let transaction = route.transaction();
        if let (Some(entry), Some(transaction)) = (request.conn.entry(), transaction)
            && let Err(trespass) = entry.grants.transaction(transaction)
        {
            return self.trespassed(&trespass, Some(transaction), caller, &id, at).await;
        }
        match self.routed(route, request).await {
            Ok(answer) => answer,
            Err(denied) => self.denied(denied, transaction, caller, &id, at).await,
        }
    }

    async fn routed(&self, route: Route, request: Request) -> Result<Answer, Denied> {
        negotiate::format(&request)?;
        let base = base(&request);
        let Some(transaction) = route.transaction() else {
            let date = request.received_at.strftime("%Y-%m-%d").to_string();
            let statement = fhir::statement(&date, &base, env!("CARGO_PKG_VERSION"), self.trail);
            return Ok(Answer::new("metadata", StatusCode::OK, statement, Outcome::Success));
        };
        let searched = matches!(route, Route::Search | Route::SearchByPost | Route::PixByGet);
        let mut exchange = Exchange { endpoint: Some(endpoint_of(&request)), ..request.exchange() };
        if let (true, Some(query)) = (searched, request.uri.query()) {
            // A number that may not be kept is struck out.
            let asked = format!("{}?{query}", endpoint_of(&request));
            exchange.question = Some(self.mpi.recordable(&asked));
        }
        exchange.headers = [http::header::ACCEPT, http::header::CONTENT_TYPE]
            .iter()
            .filter_map(|name| Some(format!("{name}: {}", request.header(name)?)))
            .collect();
        let entry = request.conn.entry();
        let presented = self.presented(transaction, &request);
        let caller = self.who(presented).await?;
        let context = Context {
            transaction,
            caller,
            request_id: request.id.clone(),
            received_at: request.received_at,
            elsewhere: None,
            exchange: exchange.into(),
        };
        let lenient = negotiate::is_lenient(&request);
        let query = request.uri.query().unwrap_or_default().to_owned();
        match route {
            Route::Metadata | Route::Search => search::by_query(self, &context, &base, &query, lenient).await,
            Route::SearchByPost => {
                let form = negotiate::form(request).await?;
                // Parameters may stand in the URL too (FHIR R4 3.1.1.1).
                let both = [query, form].join("&");
                search::by_query(self, &context, &base, &both, lenient).await
            }
            Route::Read(id) => search::read(self, &context, &id).await,
            Route::PixByGet => pix::by_query(self, &context, &query).await,
            Route::PixByPost => {
                pix::by_resource(self, &context, &negotiate::resource(request).await?.0).await
            }
            Route::Match => {
                let (resource, _) = negotiate::resource(request).await?;
                matching::answer(self, &context, &base, &resource).await
            }
            Route::Update => {
                let (resource, raw) = negotiate::resource(request).await?;
                let grants = entry.as_ref().map(|entry| &entry.grants);
                feed::answer(self, &context, grants, &base, &query, &resource, raw).await
            }
        }
    }
}

/// The address that was asked, without ids of patients in it.
fn endpoint_of(request: &Request) -> String {
    let below = below(request.uri.path()).unwrap_or_default();
    let kind = below.split('/').next().unwrap_or_default();
    format!("{}/{kind}", base(request))
}

/// The address of the service, as it was asked at.
fn base(request: &Request) -> String {
    let scheme = if request.conn.encrypted { "https" } else { "http" };
    let host = request.header(http::header::HOST).unwrap_or("localhost");
    format!("{scheme}://{host}{BASE}")
}

/// Issues of a request that is not as it should be.
fn wrong(issues: Vec<Issue>) -> Denied {
    Denied { issues, ..Denied::new(StatusCode::BAD_REQUEST, IssueCode::Value, "") }
}

impl Handler for FhirFace {
    async fn handle(&self, request: Request) -> Response<RespBody> {
        // One that asks for neither is refused in JSON.
        let format = negotiate::format(&request).unwrap_or_default();
        self.answer(request).await.respond(format)
    }

    async fn refuse(&self, refused: Refused<'_>) -> Response<RespBody> {
        let Refused { refusal, request_id, received_at, conn, .. } = refused;
        let (status, code) = match refusal {
            Refusal::Limited(_) => (StatusCode::TOO_MANY_REQUESTS, IssueCode::Throttled),
            refusal if refusal.status().is_server_error() => (refusal.status(), IssueCode::Transient),
            refusal => (refusal.status(), IssueCode::Structure),
        };
        let denied = Denied::new(status, code, refusal.reason());
        self.denied(denied, None, conn.caller(), request_id, received_at).await.respond(Format::default())
    }

    /// Logical ids are ids of patients.
    fn shown<'p>(&self, path: &'p str) -> Cow<'p, str> {
        match below(path) {
            Some(rest) if matches!(allowed(&rest), Some("GET, HEAD")) && rest != "metadata" => {
                Cow::Owned(format!("{BASE}/Patient/[id]"))
            }
            Some(rest) if allowed(&rest).is_some() => Cow::Borrowed(path),
            _ => Cow::Borrowed("[not served]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods_lead_where_they_should() {
        let to = |method: Method, path: &str| route(&method, path).map_err(|d| d.status.as_u16());
        assert_eq!(to(Method::GET, "/fhir/metadata"), Ok(Route::Metadata));
        assert_eq!(to(Method::GET, "/fhir/Patient"), Ok(Route::Search));
        assert_eq!(to(Method::GET, "/fhir/Patient/"), Ok(Route::Search));
        assert_eq!(to(Method::POST, "/fhir/Patient/_search"), Ok(Route::SearchByPost));
        assert_eq!(to(Method::GET, "/fhir/Patient/%24ihe-pix"), Ok(Route::PixByGet));
        assert_eq!(to(Method::POST, "/fhir/Patient/$match"), Ok(Route::Match));
        assert_eq!(to(Method::PUT, "/fhir/Patient"), Ok(Route::Update));
        assert_eq!(to(Method::GET, "/fhir/Patient/P1"), Ok(Route::Read("P1".into())));
        for (method, path, status) in [
            (Method::DELETE, "/fhir/Patient", 400),
            (Method::DELETE, "/fhir/Patient/P1", 405),
            (Method::POST, "/fhir/Patient", 405),
            (Method::PUT, "/fhir/Patient/P1", 405),
            (Method::GET, "/fhir/Patient/_search", 405),
            (Method::GET, "/fhir/Patient/$match", 405),
            (Method::GET, "/fhir/Observation", 404),
            (Method::GET, "/fhir/Patient/a/b", 404),
            (Method::GET, "/", 404),
            (Method::GET, "/fhirx", 404),
        ] {
            assert_eq!(to(method, path), Err(status), "{path}");
        }
    }
}
