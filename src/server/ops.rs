//! Health and metrics: `GET /health/live`, `/health/ready`, `/metrics`; where the configuration allows it,
//! questions as of a moment ([`as_of`](super::as_of)) and the reviewers' worklist ([`reviews`](super::reviews)).
//! Where there is a gateway, `GET /communities`: the scoreboard of `chiren community status`.

use std::borrow::Cow;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, Response, StatusCode, header};
use tokio_util::sync::CancellationToken;

use super::as_of::{self, AsOfFace};
use super::consents::ConsentFace;
use super::http::{Handler, Refused, Request, RespBody, Transacted, text};
use super::metrics::{Metrics, Outcome};
use super::reviews::ReviewFace;
use crate::service::audit::clock::Offsets;
use crate::service::gateway::Directory;

/// Asks the parts of the program whether they can work; answers a short phrase for each that
/// cannot, such as `database: no connection`.
pub type Readiness = Arc<dyn Fn() -> BoxFuture<'static, Vec<String>> + Send + Sync>;

/// A program with nothing to wait for.
pub fn always_ready() -> Readiness {
    Arc::new(|| Box::pin(std::future::ready(vec![])))
}

/// The health endpoints, and on ops listeners the metrics.
#[derive(Clone)]
pub struct Ops {
    readiness: Readiness,
    stop: CancellationToken,
    metrics: Option<Metrics>,
    as_of: Option<AsOfFace>,
    reviews: Option<ReviewFace>,
    consents: Option<ConsentFace>,
    communities: Option<Directory>,
    offsets: Option<Offsets>,
}

/// Where the scoreboard of communities is.
pub const COMMUNITIES: &str = "/communities";

impl Ops {
    /// Ready until `stop`, as far as `readiness` finds no fault.
    pub fn new(readiness: Readiness, stop: CancellationToken, metrics: Option<Metrics>) -> Self {
        Self {
            readiness,
            stop,
            metrics,
            as_of: None,
            reviews: None,
            consents: None,
            communities: None,
            offsets: None,
        }
    }

    /// The same with `/registry/as-of`.
    pub fn with_as_of(self, as_of: Option<AsOfFace>) -> Self {
        Self { as_of, ..self }
    }

    /// The same with `/consent`.
    pub fn with_consents(self, consents: Option<ConsentFace>) -> Self {
        Self { consents, ..self }
    }

    /// The same with `/mpi/reviews`.
    pub fn with_reviews(self, reviews: Option<ReviewFace>) -> Self {
        Self { reviews, ..self }
    }

    /// The same with `/communities`.
    pub fn with_communities(self, communities: Option<Directory>) -> Self {
        Self { communities, ..self }
    }

    /// The same with `/health/time`.
    pub fn with_offsets(self, offsets: Option<Offsets>) -> Self {
        Self { offsets, ..self }
    }

    /// The same without `/metrics` and patients' data, for listeners others can reach.
    pub fn health_only(&self) -> Self {
        Self { metrics: None, as_of: None, reviews: None, consents: None, communities: None, ..self.clone() }
    }

    /// Whether `path` is ours.
    pub fn serves(&self, path: &str) -> bool {
        path.starts_with("/health/") || (path == "/metrics" && self.metrics.is_some())
    }

    pub async fn answer(&self, method: &Method, path: &str) -> Response<RespBody> {
        let mut response = if !matches!(*method, Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "GET only\n");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        } else {
            match (path, &self.metrics) {
                (COMMUNITIES, _) if self.communities.is_some() => self.scoreboard(),
                ("/health/live", _) => text(StatusCode::OK, "live\n"),
                ("/health/ready", _) => self.ready().await,
                ("/health/time", _) if self.offsets.is_some() => self.time(),
                ("/metrics", Some(metrics)) => {
                    let mut response = text(StatusCode::OK, metrics.render());
                    let version = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                    response.headers_mut().insert(header::CONTENT_TYPE, version);
                    response
                }
                _ => text(StatusCode::NOT_FOUND, "no such page\n"),
            }
        };
        let outcome = if response.status().is_success() { Outcome::Success } else { Outcome::Refused };
        response.extensions_mut().insert(Transacted { transaction: "ops", outcome });
        response
    }

    fn scoreboard(&self) -> Response<RespBody> {
        let board = self.communities.as_ref().map(Directory::scoreboard);
        let mut response = match serde_json::to_string_pretty(&board) {
            Ok(json) => text(StatusCode::OK, json + "\n"),
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the scoreboard cannot be written\n"),
        };
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    /// How far the time servers are ahead of our clock; 503 above the limit.
    fn time(&self) -> Response<RespBody> {
        match self.offsets.as_ref().and_then(Offsets::latest) {
            None => text(StatusCode::OK, "not compared\n"),
            Some(latest) => {
                let status = if latest.alarm { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
                text(status, format!("{:+.3} s {}\n", latest.micros as f64 / 1e6, latest.server))
            }
        }
    }

    async fn ready(&self) -> Response<RespBody> {
        let mut missing = (self.readiness)().await;
        if self.stop.is_cancelled() {
            missing.insert(0, "stopping".into());
        }
        if missing.is_empty() {
            text(StatusCode::OK, "ready\n")
        } else {
            text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready\n{}\n", missing.join("\n")))
        }
    }
}

impl Handler for Ops {
    async fn handle(&self, request: Request) -> Response<RespBody> {
        let path = request.uri.path();
        if let Some(face) = self.consents.as_ref().filter(|_| ConsentFace::serves(path)) {
            return face.handle(request).await;
        }
        match (&self.as_of, &self.reviews) {
            (Some(face), _) if path == as_of::PATH => face.handle(request).await,
            (_, Some(face)) if ReviewFace::serves(path) => face.handle(request).await,
            _ => self.answer(&request.method, request.uri.path()).await,
        }
    }
}

/// A handler with the health endpoints beside it.
pub struct WithHealth<H> {
    pub inner: Arc<H>,
    pub ops: Ops,
}

impl<H: Handler> Handler for WithHealth<H> {
    async fn handle(&self, request: Request) -> Response<RespBody> {
        if self.ops.serves(request.uri.path()) {
            self.ops.handle(request).await
        } else {
            self.inner.handle(request).await
        }
    }

    async fn refuse(&self, refused: Refused<'_>) -> Response<RespBody> {
        self.inner.refuse(refused).await
    }

    fn waits(&self, path: &str) -> bool {
        !self.ops.serves(path) && self.inner.waits(path)
    }

    fn shown<'p>(&self, path: &'p str) -> Cow<'p, str> {
        if self.ops.serves(path) { Cow::Borrowed(path) } else { self.inner.shown(path) }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn asked(ops: &Ops, path: &str) -> (u16, String) {
        let response = ops.answer(&Method::GET, path).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readiness_says_which_part_is_missing() {
        let stop = CancellationToken::new();
        let readiness: Readiness =
            Arc::new(|| Box::pin(std::future::ready(vec!["database: no connection".to_string()])));
        let ops = Ops::new(readiness, stop.clone(), None);
        assert_eq!(asked(&ops, "/health/live").await.0, 200);
        assert_eq!(asked(&ops, "/health/ready").await, (503, "not ready\ndatabase: no connection\n".into()));
        let ops = Ops::new(always_ready(), stop.clone(), None);
        assert_eq!(asked(&ops, "/health/ready").await.0, 200);
        stop.cancel();
        assert_eq!(asked(&ops, "/health/ready").await, (503, "not ready\nstopping\n".into()));
        assert_eq!(asked(&ops, "/health/live").await.0, 200);
    }

    #[tokio::test]
    async fn metrics_are_for_ops_listeners_only() {
        let ops = Ops::new(always_ready(), CancellationToken::new(), None);
        assert!(!ops.serves("/metrics") && ops.serves("/health/live"));
        assert_eq!(asked(&ops, "/metrics").await.0, 404);
    }
}
