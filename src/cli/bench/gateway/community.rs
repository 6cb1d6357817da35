//! A community that is nothing but its answers: one entry to every query; or one that does not answer as it should.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::model::metadata::{DocumentEntry, MetadataObject};
use crate::model::query::QueryResult;
use crate::model::transaction::Transaction;
use crate::wire::ebxml::query;
use crate::wire::mtom::write::SOAP_TYPE;
use crate::wire::soap::write_answer;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Well,
    /// It takes the request, and no more is heard.
    Hangs,
    /// It breaks the connection off where an answer should be.
    Resets,
    /// An octet every 100 ms.
    Drips,
}

struct Inside {
    way: Way,
    /// Its answer to ITI-38.
    found: Bytes,
    state: Mutex<State>,
}

struct State {
    think: Duration,
    slowest: Duration,
}

pub struct Community {
    pub address: SocketAddr,
    inside: Arc<Inside>,
    _server: AbortOnDropHandle<()>,
}

impl Community {
    /// `think`: what passes before an answer.
    pub async fn open(home: &str, way: Way, think: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = listener.local_addr()?;
        let state = Mutex::new(State { think, slowest: Duration::ZERO });
        let inside = Arc::new(Inside { way, found: found(home), state });
        let server = tokio::spawn(serve(listener, inside.clone()));
        Ok(Self { address, inside, _server: AbortOnDropHandle::new(server) })
    }

    /// From now on.
    pub fn think(&self, time: Duration) {
        self.inside.state().think = time;
    }

    /// A measurement begins.
    pub fn begin(&self) {
        self.inside.state().slowest = Duration::ZERO;
    }

    /// What it took at most since, from the head of a request to its answer.
    pub fn slowest(&self) -> Duration {
        self.inside.state().slowest
    }
}

impl Inside {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let begun = Instant::now();
        request.into_body().collect().await.map_err(io::Error::other)?;
        match self.way {
            Way::Well => {}
            Way::Hangs => std::future::pending().await,
            Way::Resets => return Err(io::ErrorKind::ConnectionReset.into()),
            Way::Drips => return Ok(Response::new(dripping(self.found.clone()))),
        }
        let think = self.state().think;
        if !think.is_zero() {
            tokio::time::sleep(think).await;
        }
        let mut response = Response::new(Full::new(self.found.clone()).boxed_unsync());
        response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static(SOAP_TYPE));
        let mut state = self.state();
        state.slowest = state.slowest.max(begun.elapsed());
        drop(state);
        Ok(response)
    }
}

async fn serve(listener: TcpListener, inside: Arc<Inside>) {
    while let Ok((socket, _)) = listener.accept().await {
        let _ = socket.set_nodelay(true);
        let inside = inside.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| inside.clone().answer(request));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

fn dripping(text: Bytes) -> Body {
    let steps = stream::unfold(0, move |at| {
        let octet = (at < text.len()).then(|| text.slice(at..=at));
        async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            octet.map(|octet| (Ok(Frame::data(octet)), at + 1))
        }
    });
    StreamBody::new(steps).boxed_unsync()
}

fn found(home: &str) -> Bytes {
    let entry = DocumentEntry {
        entry_uuid: format!("urn:uuid:{}", Uuid::new_v4()),
        home_community_id: Some(home.to_owned()),
        unique_id: format!("2.25.{}", Uuid::new_v4().as_u128()),
        patient_id: "77^^^&2.999.392.77&ISO".into(),
        mime_type: "text/plain".into(),
        ..DocumentEntry::default()
    };
    let result = QueryResult::Objects(vec![MetadataObject::DocumentEntry(Box::new(entry))]);
    let action = Transaction::Iti38.row().response_action;
    // HTTP pairs the messages: an absent RelatesTo is let pass.
    write_answer(action, None, None, 4096, |w| query::write_response(w, &result, &[])).into()
}
