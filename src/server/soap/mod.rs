//! The SOAP face: one address per transaction and one per actor, WSDLs behind `?wsdl`.
//!
//! [`pipeline`] tells the whole story of a request; a transaction's own part is in `itiNN.rs`.

mod asynchronous;
mod dispatch;
mod fault;
mod granted;
mod hl7v3;
mod initiating;
mod intake;
mod iti18;
mod iti38;
mod iti39;
mod iti41;
mod iti42;
mod iti43;
mod iti44;
mod iti45;
mod iti46;
mod iti47;
mod iti55;
mod iti56;
mod iti57;
mod iti61;
mod iti62;
mod iti86;
mod pipeline;
mod reply;

pub use asynchronous::Asynchronous;

use std::sync::Arc;

use http::{Method, Response, StatusCode};

use crate::config::{LimitsConfig, SoapConfig};
use crate::model::transaction::{Actor, CATALOGUE, Transaction};
use crate::server::http::{Handler, Refusal, Refused, Request, RespBody, full, text};
use crate::server::wsdl;
use crate::service::audit::Audit;
use crate::service::gateway::{Gateway, Responder};
use crate::service::mpi::Mpi;
use crate::service::registry::Registry;
use crate::service::repository::Repository;
use crate::service::xua::Xua;

/// Address that takes every transaction of the registry.
pub const REGISTRY_PATH: &str = "/xds/registry";
/// Address that takes every transaction of the repository.
pub const REPOSITORY_PATH: &str = "/xds/repository";
/// Address that takes the feeds and questions of PIX V3: ITI-44 and ITI-45.
pub const PIX_PATH: &str = "/mpi/pixv3";
/// Address that takes the questions of PDQ V3: ITI-47.
pub const PDQ_PATH: &str = "/mpi/pdqv3";

/// Address where our own consumers ask all communities: ITI-18 of the Initiating Gateway.
pub const INITIATING_QUERY_PATH: &str = "/xca/iti18";
/// The same for documents: ITI-43.
pub const INITIATING_RETRIEVE_PATH: &str = "/xca/iti43";

/// What the face hands requests to. A role that is switched off is `None`.
#[derive(Clone)]
pub struct SoapFace {
    pub registry: Option<Registry>,
    pub repository: Option<Repository>,
    pub mpi: Option<Mpi>,
    /// What other communities ask of patients, and tell.
    pub discovery: Option<Responder>,
    /// Towards other communities.
    pub gateway: Option<Gateway>,
    /// What this gateway is: `P`, `T` or `D` (`hl7v2.processing_id`). Feeds of another kind change nothing.
    pub processing_id: &'static str,
    pub audit: Audit,
    pub limits: Arc<LimitsConfig>,
    pub soap: SoapConfig,
    /// Who asks is looked at.
    pub xua: Option<Xua>,
    /// `None`: answers go back on their connections only.
    pub asynchronous: Option<Asynchronous>,
}

/// The gateway, of which a face without one has no addresses.
fn responder(face: &SoapFace) -> Result<&Responder, crate::model::error::Fault> {
    face.discovery.as_ref().ok_or_else(|| {
        crate::model::error::Fault::sender("discovery of patients is switched off in this gateway")
            .subcode("wsa:ActionNotSupported")
    })
}

/// Which transactions an address takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoint {
    One(Transaction),
    All(Actor),
    /// ITI-18 or ITI-43, asked of all communities (ITI TF-1 18.2.1, XDS Affinity Domain option).
    Initiating(Transaction),
}

impl Endpoint {
    fn at(path: &str) -> Option<Self> {
        match path.trim_end_matches('/') {
            REGISTRY_PATH => Some(Self::All(Actor::DocumentRegistry)),
            REPOSITORY_PATH => Some(Self::All(Actor::DocumentRepository)),
            PIX_PATH => Some(Self::All(Actor::PatientIdentityManager)),
            INITIATING_QUERY_PATH => Some(Self::Initiating(Transaction::Iti18)),
            INITIATING_RETRIEVE_PATH => Some(Self::Initiating(Transaction::Iti43)),
            PDQ_PATH => Some(Self::All(Actor::PatientDemographicsSupplier)),
            path => CATALOGUE
                .iter()
                .find(|r| r.path == path && !path.is_empty())
                .map(|r| Self::One(r.transaction)),
        }
    }

    fn takes(self, transaction: Transaction) -> bool {
        match self {
            Self::One(only) | Self::Initiating(only) => only == transaction,
            // A registry is told of patients by the same feed (ITI TF-2 3.44.3).
            Self::All(Actor::DocumentRegistry) if transaction == Transaction::Iti44 => true,
            Self::All(actor) => transaction.row().actor == actor,
        }
    }

    fn wsdl(self) -> String {
        match self {
            Self::One(t) | Self::Initiating(t) => {
                format!("{}.wsdl", t.row().path.rsplit('/').next().unwrap_or_default())
            }
            Self::All(Actor::DocumentRegistry) => "registry.wsdl".into(),
            Self::All(Actor::PatientIdentityManager) => "pixv3.wsdl".into(),
            Self::All(Actor::PatientDemographicsSupplier) => "pdqv3.wsdl".into(),
            Self::All(_) => "repository.wsdl".into(),
        }
    }
}

impl Handler for SoapFace {
    /// An Initiating Gateway waits for other communities.
    fn waits(&self, path: &str) -> bool {
        matches!(Endpoint::at(path), Some(Endpoint::Initiating(_)))
    }

    async fn handle(&self, request: Request) -> Response<RespBody> {
        let path = request.uri.path().to_owned();
        if let Some(name) = path.strip_prefix(wsdl::PATH) {
            return description(&request, name);
        }
        let Some(endpoint) = Endpoint::at(&path) else {
            return text(
                StatusCode::NOT_FOUND,
                format!("nothing is served at this path\nrequest id {}\n", request.id),
            );
        };
        match request.method {
            Method::POST => self.transact(endpoint, request).await,
            Method::GET | Method::HEAD
                if request.uri.query().is_some_and(|q| q.eq_ignore_ascii_case("wsdl")) =>
            {
                description(&request, &endpoint.wsdl())
            }
            _ => {
                let mut response = Refusal::MethodNotAllowed.plain(&request.id);
                let allow = http::HeaderValue::from_static("POST, GET");
                response.headers_mut().insert(http::header::ALLOW, allow);
                response
            }
        }
    }

    /// Refusals by the HTTP layer, in SOAP's words where a SOAP client waits.
    async fn refuse(&self, refused: Refused<'_>) -> Response<RespBody> {
        let Refused { refusal, path, request_id, received_at, conn } = refused;
        if Endpoint::at(path).is_none() || refusal == Refusal::MethodNotAllowed {
            return refusal.plain(request_id);
        }
        let fault = fault::of_refusal(refusal);
        self.record(&fault, None, conn.caller(), request_id, received_at).await;
        fault::refusal(refusal, &fault, request_id)
    }
}

/// A WSDL or one of its schemas, its address being the one it was asked at.
fn description(request: &Request, name: &str) -> Response<RespBody> {
    let scheme = if request.conn.encrypted { "https" } else { "http" };
    let host = request.header(http::header::HOST).unwrap_or("localhost");
    let path = if request.uri.path().starts_with(wsdl::PATH) {
        match name.strip_suffix(".wsdl") {
            Some("registry") => REGISTRY_PATH.to_owned(),
            Some("repository") => REPOSITORY_PATH.to_owned(),
            Some("pixv3") => PIX_PATH.to_owned(),
            Some("pdqv3") => PDQ_PATH.to_owned(),
            Some(transaction) => CATALOGUE
                .iter()
                .map(|row| row.path)
                .find(|path| path.rsplit('/').next() == Some(transaction))
                .unwrap_or_default()
                .to_owned(),
            None => String::new(),
        }
    } else {
        request.uri.path().to_owned()
    };
    match wsdl::served(name, &format!("{scheme}://{host}{path}")) {
        Some(xml) => {
            let mut response = Response::new(full(xml));
            let kind = http::HeaderValue::from_static("text/xml; charset=UTF-8");
            response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
            response
        }
        None => text(StatusCode::NOT_FOUND, format!("no such description\nrequest id {}\n", request.id)),
    }
}
