//! Systems that are told when the ids of a patient change: over MLLP (ITI-10) and over SOAP (ITI-46). They keep what
//! they hear in the order they hear it, and may go away and come back at the same address.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use chiren::model::identity::{Feed, FeedMessage};
use chiren::wire::hl7v2::mllp::{Event, Splitter, frame};
use chiren::wire::hl7v2::{Body, Settings, read};
use chiren::wire::hl7v3::ack::Ack;
use chiren::wire::hl7v3::{Own, ack, feed};
use chiren::wire::soap::{SoapResponse, read_response};
use chiren::wire::xml::{XmlWriter, tree};
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::mllp::PATIENCE;
use super::port::again;
use super::schema::validate_hl7v3;
use super::soap::envelope;

/// A notice as its consumer understood it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// MSH-10, or the id of the message.
    pub id: String,
    /// `OID:value`, in the order they stood.
    pub ids: Vec<String>,
    /// Whether a name was said with them.
    pub named: bool,
    /// MSH-3 to MSH-6, joined; the OIDs of the devices.
    pub from_to: String,
}

#[derive(Clone)]
struct Ear {
    heard: UnboundedSender<Heard>,
    /// How many of the next messages are refused for their content.
    refusals: Arc<AtomicUsize>,
}

pub struct Consumer {
    pub address: SocketAddr,
    heard: UnboundedReceiver<Heard>,
    refusals: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Consumer {
    /// One that speaks HL7 v2.
    pub async fn v2(address: SocketAddr) -> Self {
        Self::start(address, |listener, ear| tokio::spawn(over_mllp(listener, ear))).await
    }

    /// One that speaks HL7 v3.
    pub async fn v3(address: SocketAddr) -> Self {
        Self::start(address, |listener, ear| tokio::spawn(over_soap(listener, ear))).await
    }

    async fn start(address: SocketAddr, serve: impl Fn(TcpListener, Ear) -> JoinHandle<()>) -> Self {
        let listener = again(address);
        let address = listener.local_addr().expect("an address");
        let (send, heard) = unbounded_channel();
        let refusals = Arc::new(AtomicUsize::new(0));
        let server = serve(listener, Ear { heard: send, refusals: refusals.clone() });
        Self { address, heard, refusals, server }
    }

    /// The next notice.
    pub async fn next(&mut self) -> Heard {
        let next = tokio::time::timeout(PATIENCE, self.heard.recv()).await;
        next.expect("a notice in time").expect("the consumer is up")
    }

    /// What came and was not asked for.
    pub fn more(&mut self) -> Vec<Heard> {
        std::iter::from_fn(|| self.heard.try_recv().ok()).collect()
    }

    /// Refuses the next so many for their content.
    pub fn refuse(&self, count: usize) {
        self.refusals.store(count, Ordering::Release);
    }
}

impl Ear {
    /// Hears a notice; whether it is accepted.
    fn hear(&self, message: &FeedMessage, from_to: String) -> bool {
        let Feed::Upsert { ids, sent } = &message.feed else { panic!("{}", message.event) };
        let ids = ids
            .iter()
            .map(|id| format!("{}:{}", id.authority.universal_id.as_deref().unwrap_or_default(), id.value));
        let named = matches!(&sent.names, chiren::model::identity::Update::Set(_));
        let _ = self.heard.send(Heard { id: message.control_id.clone(), ids: ids.collect(), named, from_to });
        let less = |n: usize| n.checked_sub(1);
        self.refusals.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).is_err()
    }
}

async fn over_mllp(listener: TcpListener, ear: Ear) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(conversation(stream, ear.clone()));
    }
}

async fn conversation(mut stream: TcpStream, ear: Ear) {
    let mut splitter = Splitter::new(1 << 20);
    let mut buffer = [0; 8192];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let mut events = vec![];
        splitter.push(&buffer[..count], &mut events);
        for event in events {
            let Event::Message(message) = event else { panic!("{event:?}") };
            let request = read(&message, &Settings::default()).expect("a notice that we would take");
            let Body::Feed(feed) = request.body else { panic!("no feed") };
            let text = String::from_utf8_lossy(&message);
            let msh: Vec<&str> = text.split(['|', '\r']).collect();
            assert_eq!((msh[8], msh[11]), ("ADT^A31^ADT_A05", "2.5"));
            let taken = ear.hear(&feed, msh[2..6].join("|"));
            let code = if taken { "AA" } else { "AE" };
            let answer = format!(
                "MSH|^~\\&|EMR|CHUO|CHIREN||20261122||ACK^A31^ACK|{}A|P|2.5\rMSA|{code}|{}\r",
                &feed.control_id[1..],
                feed.control_id
            );
            stream.write_all(&frame(answer.as_bytes())).await.expect("answered");
        }
    }
}

async fn over_soap(listener: TcpListener, ear: Ear) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let ear = ear.clone();
        connections.spawn(async move {
            let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
                let ear = ear.clone();
                async move {
                    let body = request.into_body().collect().await.expect("a whole message").to_bytes();
                    let answer = acknowledged(std::str::from_utf8(&body).expect("UTF-8"), &ear);
                    let mut response = hyper::Response::new(Full::new(Bytes::from(answer)));
                    let kind = http::HeaderValue::from_static("application/soap+xml; charset=utf-8");
                    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
                    Ok::<_, Infallible>(response)
                }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn acknowledged(text: &str, ear: &Ear) -> String {
    let doc = tree::parse(text).expect("XML");
    let SoapResponse::Body { action, body, .. } = read_response(&doc).expect("SOAP") else {
        panic!("a fault")
    };
    assert_eq!(action, "urn:hl7-org:v3:PRPA_IN201302UV02");
    let message = &text[body.range()];
    assert_eq!(validate_hl7v3(message), Ok(()), "{message}");
    let heard = feed::read(body).expect("a notice").expect("a notice that we would take");
    let device = |d: &chiren::wire::hl7v3::Device| d.id.root.clone().unwrap_or_default();
    let from_to = format!("{}|{}", device(&heard.header.sender), device(&heard.header.receiver));
    let verdict = if ear.hear(&heard.message, from_to) { Ack::Accept } else { Ack::Error };
    let mut w = XmlWriter::new();
    let own = Own { id: uuid::Uuid::new_v4().to_string(), time: "20261122030000+0000".into() };
    ack::write(&mut w, &heard.header, &own, verdict, &[]);
    envelope("urn:hl7-org:v3:MCCI_IN000002UV01", &w.finish())
}
