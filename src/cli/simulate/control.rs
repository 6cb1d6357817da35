//! The door for faults, HTTP and JSON:
//!
//! | request | what |
//! | --- | --- |
//! | `GET /faults` | those switched on |
//! | `POST /faults` `{"kind": "delay", "n": 3000, "path": "/xca/iti55", "times": 2}` | one more |
//! | `DELETE /faults` | none |

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::fault::{Fault, Faults};

/// Octets of a fault at most.
const BODY: usize = 16 * 1024;

/// The door. It closes when this is dropped.
pub struct Control {
    pub address: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

impl Control {
    pub async fn open(listen: SocketAddr, faults: Faults) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            loop {
                let Ok((socket, _)) = listener.accept().await else { continue };
                let faults = faults.clone();
                tokio::spawn(async move {
                    let service = service_fn(|request| {
                        let faults = faults.clone();
                        async move { Ok::<_, Infallible>(answer(&faults, request).await) }
                    });
                    http1::Builder::new().serve_connection(TokioIo::new(socket), service).await
                });
            }
        });
        Ok(Self { address, _task: AbortOnDropHandle::new(task) })
    }
}

async fn answer(faults: &Faults, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if request.uri().path() != "/faults" {
        return said(StatusCode::NOT_FOUND, &json!({ "error": "only /faults is here" }));
    }
    match *request.method() {
        Method::GET => {}
        Method::DELETE => faults.clear(),
        Method::POST => {
            let body = match Limited::new(request.into_body(), BODY).collect().await {
                Ok(body) => body.to_bytes(),
                Err(e) => return said(StatusCode::BAD_REQUEST, &json!({ "error": e.to_string() })),
            };
            match serde_json::from_slice::<Fault>(&body) {
                Ok(fault) => faults.add(fault),
                Err(e) => return said(StatusCode::BAD_REQUEST, &json!({ "error": e.to_string() })),
            }
        }
        _ => return said(StatusCode::METHOD_NOT_ALLOWED, &json!({ "error": "GET, POST or DELETE" })),
    }
    said(StatusCode::OK, &json!({ "faults": faults.all() }))
}

fn said(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{value:#}\n"))));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
