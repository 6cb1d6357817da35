//! Another network: one that does as it should, and one that misbehaves as it is told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use chiren::config::{CommunityConfig, Config, EndpointConfig};
use chiren::model::community::CorrelateBy;
use chiren::model::error::{ErrorCode, RegistryError};
use chiren::model::metadata::{DocumentEntry, MetadataObject};
use chiren::model::query::{ObjectRef, QueryResult};
use chiren::model::transaction::Transaction;
use chiren::wire::ebxml::query;
use chiren::wire::ebxml::response::{ResponseStatus, status};
use chiren::wire::ebxml::retrieve::{self, Content, DocumentRequest, DocumentResponse};
use chiren::wire::soap::{SoapResponse, read_response, write_answer};
use chiren::wire::xml::tree;
use futures_util::{StreamExt as _, stream};
use http::{Response, StatusCode, header};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::gateway::Gateway;
use super::samples::{AUTHORITY, document_entry, new_oid};
use super::soap::{Answer, SIMPLE, mtom};

/// The homeCommunityId of network `n`.
pub fn home(n: usize) -> String {
    format!("urn:oid:2.999.392.{n}")
}

pub fn repository(n: usize) -> String {
    format!("2.999.392.{n}.3")
}

/// Network `n`: a gateway of its own, whose patients bear the same ids as ours.
pub async fn network(n: usize, change: impl FnOnce(&mut Config)) -> Gateway {
    Gateway::start_with(|c| {
        c.network.home_community_id = home(n);
        c.repository.unique_id = repository(n);
        c.gateway.enabled = true;
        change(c);
    })
    .await
}

/// Network `n` at this address, as a directory has it.
pub fn community(n: usize, address: SocketAddr) -> CommunityConfig {
    let base = format!("http://{address}");
    CommunityConfig {
        id: format!("n{n}"),
        name: format!("network {n}"),
        home_community_id: home(n),
        patient_id_authority: Some(AUTHORITY.into()),
        correlate: CorrelateBy::SharedId,
        endpoint: EndpointConfig {
            iti38: Some(format!("{base}/xca/iti38")),
            iti39: Some(format!("{base}/xca/iti39")),
            ..EndpointConfig::default()
        },
        budget_ms: 10_000,
        ..CommunityConfig::default()
    }
}

/// How a neighbour answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Way {
    /// One entry, or the documents asked for.
    Good,
    /// Nothing found.
    Nothing,
    /// As [`Good`](Self::Good), after this.
    Slow(Duration),
    /// Never.
    Hang,
    /// A byte now and then, without end.
    Drip,
    /// The connection ends before there is an answer.
    Reset,
    /// A SOAP fault.
    Fault,
    /// XML that breaks off.
    Malformed,
    /// A web page, with this status.
    Page(u16),
    /// Its objects are another's.
    WrongHome(String),
    /// Its objects are nobody's.
    NoHome,
    /// One thing, and an error.
    Partial,
    /// It fails and does not say why.
    Wordless,
    /// So many entries.
    Many(usize),
    /// These entries, whoever asks for what.
    Entries(Vec<DocumentEntry>),
    /// Documents nobody asked for.
    Unasked,
    /// Documents as base64 text.
    Inline,
    /// The connection ends in the middle of a document.
    Cut,
    /// Documents of `size` octets, which break off after so many octets of the message in its first `times` answers.
    Breaks { size: usize, after: usize, times: usize },
    /// These bytes of this Content-Type, whoever asks for what.
    Raw(&'static str, Bytes),
}

/// A network that is nothing but its answers.
pub struct Neighbour {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    way: Arc<Mutex<Way>>,
    server: JoinHandle<()>,
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Neighbour {
    /// Network `n`.
    pub async fn start(n: usize, way: Way) -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)), n, way).await
    }

    pub async fn at(address: SocketAddr, n: usize, way: Way) -> Self {
        let listener = super::port::again(address);
        let address = listener.local_addr().expect("an address");
        let (asked, way) = (Arc::new(Mutex::new(vec![])), Arc::new(Mutex::new(way)));
        let server = tokio::spawn(serve(listener, home(n), way.clone(), asked.clone()));
        Self { address, asked, way, server }
    }

    /// From now on.
    pub fn answer(&self, way: Way) {
        *self.way.lock().expect("a way") = way;
    }

    /// Envelopes received.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("requests").clone()
    }
}

async fn serve(listener: TcpListener, home: String, way: Arc<Mutex<Way>>, asked: Arc<Mutex<Vec<String>>>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (home, way, asked) = (home.clone(), way.clone(), asked.clone());
        connections.spawn(async move {
            let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
                let (home, way, asked) = (home.clone(), way.clone(), asked.clone());
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.expect("a whole request").to_bytes();
                    let request = Answer::unjudged(StatusCode::OK, head.headers, body);
                    let nth = {
                        let mut asked = asked.lock().expect("requests");
                        asked.push(request.envelope.clone());
                        asked.len()
                    };
                    let way = match way.lock().expect("a way").clone() {
                        Way::Breaks { size, times, .. } if nth > times => {
                            Way::Breaks { size, after: usize::MAX, times }
                        }
                        way => way,
                    };
                    match way {
                        Way::Reset => Err(std::io::Error::other("reset")),
                        way => Ok(answered(&home, way, &request.envelope).await),
                    }
                }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, std::io::Error>;

fn whole(status: u16, content_type: &str, body: impl Into<Bytes>) -> Response<Body> {
    let chunk = Ok(Frame::data(body.into()));
    response(status, content_type, vec![chunk])
}

fn response(
    status: u16,
    content_type: &str,
    chunks: Vec<Result<Frame<Bytes>, std::io::Error>>,
) -> Response<Body> {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, content_type)
        .body(StreamBody::new(stream::iter(chunks).boxed()).boxed_unsync())
        .expect("a response")
}

async fn answered(home: &str, way: Way, envelope: &str) -> Response<Body> {
    match way {
        Way::Hang => return std::future::pending().await,
        Way::Slow(pause) => tokio::time::sleep(pause).await,
        Way::Drip => {
            let drops = stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Some((Ok(Frame::data(Bytes::from_static(b" "))), ()))
            });
            return Response::builder()
                .header(header::CONTENT_TYPE, SIMPLE)
                .body(StreamBody::new(drops.boxed()).boxed_unsync())
                .expect("a response");
        }
        Way::Raw(content_type, bytes) => return whole(200, content_type, bytes),
        Way::Page(status) => return whole(status, "text/html", "<html>proxy</html>"),
        Way::Malformed => return whole(200, SIMPLE, "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-"),
        Way::Fault => {
            let fault = "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\"><s:Body><s:Fault><s:Code>\
                <s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text xml:lang=\"en\">山本 太郎 is not well\
                </s:Text></s:Reason></s:Fault></s:Body></s:Envelope>";
            return whole(500, SIMPLE, fault);
        }
        _ => {}
    }
    if envelope.is_empty() {
        return whole(404, "text/plain", "nothing to get");
    }
    let doc = tree::parse(envelope).expect("a request");
    let Ok(SoapResponse::Body { action, body, .. }) = read_response(&doc) else { panic!("no request") };
    let message_id = doc
        .descendants()
        .find(|n| n.tag_name().name() == "MessageID")
        .and_then(|n| n.text())
        .expect("a MessageID");
    let t = Transaction::ALL.into_iter().find(|t| t.row().request_action == action).expect("a transaction");
    let answer = |write: &mut dyn FnMut(&mut chiren::wire::xml::XmlWriter<'static>)| {
        write_answer(t.row().response_action, Some(message_id), None, 0, |w| write(w))
    };
    if t == Transaction::Iti38 {
        let refs = envelope.contains("returnType=\"ObjectRef\"");
        let (result, errors) = found(home, &way, refs);
        let errors = match way {
            Way::Wordless => {
                let failed = answer(&mut |w| query::write_response(w, &result, &errors));
                return whole(200, SIMPLE, failed.replace(":Success\"", ":Failure\""));
            }
            _ => errors,
        };
        return whole(200, SIMPLE, answer(&mut |w| query::write_response(w, &result, &errors)));
    }
    let requests = retrieve::read_request(body, 100).expect("a retrieval");
    given(home, &way, &requests, &answer)
}

/// An entry of a neighbour.
pub fn entry(home: Option<&str>) -> DocumentEntry {
    DocumentEntry {
        entry_uuid: format!("urn:uuid:{}", uuid::Uuid::new_v4()),
        home_community_id: home.map(str::to_owned),
        unique_id: new_oid(),
        patient_id: "77^^^&2.999.392.77&ISO".into(),
        repository_unique_id: Some("2.999.392.77.3".into()),
        ..document_entry("DE")
    }
}

fn found(home: &str, way: &Way, refs: bool) -> (QueryResult, Vec<RegistryError>) {
    let entries = match way {
        Way::Nothing | Way::Wordless => vec![],
        Way::WrongHome(other) => vec![entry(Some(other))],
        Way::NoHome => vec![entry(None), entry(Some(home))],
        Way::Many(count) => (0..*count).map(|_| entry(Some(home))).collect(),
        Way::Entries(entries) => entries.clone(),
        _ => vec![entry(Some(home))],
    };
    let errors = match way {
        Way::Partial => {
            vec![RegistryError::new(ErrorCode::XDSRegistryError, "half of it is away").at("here")]
        }
        _ => vec![],
    };
    let result = match refs {
        true => QueryResult::Refs(
            entries
                .into_iter()
                .map(|e| ObjectRef { id: e.entry_uuid, home_community_id: e.home_community_id })
                .collect(),
        ),
        false => QueryResult::Objects(
            entries.into_iter().map(|e| MetadataObject::DocumentEntry(Box::new(e))).collect(),
        ),
    };
    (result, errors)
}

/// What a document of this size holds.
pub fn large(unique_id: &str, size: usize) -> Vec<u8> {
    let seed: usize = unique_id.bytes().map(usize::from).sum();
    (0..size).map(|n| u8::try_from((n * 31 + n / 251 + seed) % 251).expect("an octet")).collect()
}

/// What a document of a neighbour holds.
pub fn content(unique_id: &str) -> Vec<u8> {
    format!("the bytes of {unique_id}").into_bytes()
}

type Write<'w> = dyn Fn(&mut dyn FnMut(&mut chiren::wire::xml::XmlWriter<'static>)) -> String + 'w;

fn given(home: &str, way: &Way, requests: &[DocumentRequest], answer: &Write<'_>) -> Response<Body> {
    let missing = |r: &DocumentRequest| {
        RegistryError::new(
            ErrorCode::XDSDocumentUniqueIdError,
            format!("{} is not here", r.document_unique_id),
        )
        .at(home)
    };
    let (given, errors): (&[DocumentRequest], Vec<RegistryError>) = match way {
        Way::Nothing => (&[], requests.iter().map(missing).collect()),
        Way::Wordless => (&[], vec![]),
        Way::Partial => {
            let (first, rest) = requests.split_at(1);
            (first, rest.iter().map(missing).collect())
        }
        _ => (requests, vec![]),
    };
    let mut parts: Vec<(String, Vec<u8>)> = vec![];
    let documents: Vec<DocumentResponse> = given
        .iter()
        .enumerate()
        .map(|(n, r)| {
            let bytes = match way {
                Way::Breaks { size, .. } => large(&r.document_unique_id, *size),
                _ => content(&r.document_unique_id),
            };
            let content = match way {
                Way::Inline => Content::Base64(base64::Engine::encode(
                    &base64::engine::general_purpose::STANDARD,
                    &bytes,
                )),
                _ => {
                    parts.push((format!("doc{n}@neighbour"), bytes));
                    Content::Include(format!("doc{n}@neighbour"))
                }
            };
            DocumentResponse {
                home_community_id: match way {
                    Way::WrongHome(other) => Some(other.clone()),
                    Way::NoHome => None,
                    _ => r.home_community_id.clone(),
                },
                repository_unique_id: r.repository_unique_id.clone(),
                document_unique_id: match way {
                    Way::Unasked => new_oid(),
                    _ => r.document_unique_id.clone(),
                },
                mime_type: "text/plain".into(),
                content,
                ..DocumentResponse::default()
            }
        })
        .collect();
    let state = match way {
        Way::Wordless => ResponseStatus::Failure,
        _ => status(&errors, !documents.is_empty()),
    };
    let envelope = answer(&mut |w| retrieve::write_response(w, state, &errors, &documents));
    // The last document first: nobody promised an order.
    parts.reverse();
    let parts: Vec<(&str, &[u8])> = parts.iter().map(|(id, bytes)| (id.as_str(), &bytes[..])).collect();
    let (content_type, body) = mtom(&envelope, &parts);
    match way {
        Way::Cut | Way::Breaks { .. } => {
            // Into the content of the last part: its tail is a line break, a boundary.
            let body = Bytes::from(body);
            let end = match way {
                Way::Breaks { after, .. } => *after,
                _ => body.len() - 60,
            };
            if end >= body.len() {
                return whole(200, &content_type, body);
            }
            let half = body.slice(..end);
            // What was written goes out first: an error at once would take it along.
            let cut = async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Err(std::io::Error::other("cut"))
            };
            let body = stream::iter([Ok(Frame::data(half))]).chain(stream::once(cut));
            Response::builder()
                .header(header::CONTENT_TYPE, content_type)
                .body(StreamBody::new(body.boxed()).boxed_unsync())
                .expect("a response")
        }
        _ => whole(200, &content_type, body),
    }
}
