//! The door in front of a real gateway: it hands requests on and answers back, unless a fault is switched on.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::fault::{Fault, Faults, Kind};

/// The community that a lying answer says it is from.
pub const STRANGER: &str = "2.999.392.99";

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// What a door needs to know.
struct Inside {
    to: SocketAddr,
    /// OID of the community behind it.
    home: String,
    faults: Faults,
}

/// The door. It closes when this is dropped.
pub struct Front {
    pub address: SocketAddr,
    pub faults: Faults,
    stop: CancellationToken,
    _task: AbortOnDropHandle<()>,
}

impl Drop for Front {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Front {
    /// Opens it at `listen`, before the community `home` (an OID) at `to`.
    pub async fn open(listen: SocketAddr, to: SocketAddr, home: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let faults = Faults::default();
        let inside = Arc::new(Inside { to, home: home.to_owned(), faults: faults.clone() });
        let stop = CancellationToken::new();
        let task = tokio::spawn(accept(listener, inside, stop.clone()));
        Ok(Self { address, faults, stop, _task: AbortOnDropHandle::new(task) })
    }
}

async fn accept(listener: TcpListener, inside: Arc<Inside>, stop: CancellationToken) {
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let Ok((socket, _)) = accepted else { continue };
        let _ = socket.set_nodelay(true);
        let (inside, stop) = (inside.clone(), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let inside = inside.clone();
                async move { inside.answer(request).await }
            });
            let serving = server::Builder::new().serve_connection(TokioIo::new(socket), service);
            stop.run_until_cancelled(serving).await
        });
    }
}

impl Inside {
    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let path = request.uri().path().to_owned();
        let Some(fault) = self.faults.strike(&path) else {
            let (response, body) = self.hand_on(request).await?;
            return Ok(response.map(|()| whole(body)));
        };
        match fault.kind {
            Kind::Hang => std::future::pending().await,
            Kind::Drop => Err(io::Error::other("dropped, as it was told")),
            Kind::Fault => {
                // Who is refused has said all it had to say.
                request.into_body().collect().await.map_err(io::Error::other)?;
                Ok(soap_fault())
            }
            Kind::Delay => {
                tokio::time::sleep(Duration::from_millis(fault.number())).await;
                let (response, body) = self.hand_on(request).await?;
                Ok(response.map(|()| whole(body)))
            }
            Kind::Malformed | Kind::WrongHome | Kind::Several | Kind::Drip | Kind::Huge => {
                let (response, body) = self.hand_on(request).await?;
                Ok(self.spoiled(&fault, response, body))
            }
        }
    }

    /// The real answer.
    async fn hand_on(&self, request: Request<Incoming>) -> io::Result<(Response<()>, Bytes)> {
        let (mut head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let socket = TcpStream::connect(self.to).await?;
        socket.set_nodelay(true)?;
        let (mut sender, connection) =
            client::handshake(TokioIo::new(socket)).await.map_err(io::Error::other)?;
        let connection = AbortOnDropHandle::new(tokio::spawn(connection));
        for hop in [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::EXPECT] {
            head.headers.remove(hop);
        }
        let path = head.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        head.uri = path.parse().map_err(io::Error::other)?;
        let request = Request::from_parts(head, Full::new(body));
        let answer = sender.send_request(request).await.map_err(io::Error::other)?;
        let (mut head, body) = answer.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        drop(connection);
        for hop in [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH] {
            head.headers.remove(hop);
        }
        Ok((Response::from_parts(head, ()), body))
    }

    fn spoiled(&self, fault: &Fault, response: Response<()>, body: Bytes) -> Response<Body> {
        let every = Duration::from_millis(fault.number());
        match fault.kind {
            Kind::Malformed => {
                let half = body.slice(..body.len() / 2);
                response.map(|()| whole(half))
            }
            Kind::WrongHome => {
                let text = String::from_utf8_lossy(&body).replace(&self.home, STRANGER);
                response.map(|()| whole(text.into()))
            }
            Kind::Several => {
                let text = String::from_utf8_lossy(&body);
                response.map(|()| whole(twice(&text).into()))
            }
            Kind::Drip => {
                let bytes = stream::unfold((body, 0_usize), move |(body, at)| async move {
                    if at >= body.len() {
                        return None;
                    }
                    tokio::time::sleep(every).await;
                    Some((Ok(Frame::data(body.slice(at..at + 1))), (body, at + 1)))
                });
                response.map(|()| StreamBody::new(bytes).boxed_unsync())
            }
            // Blanks where the message ends: well-formed as far as it goes.
            _ => {
                let filler = Bytes::from_static(&[b' '; 64 * 1024]);
                let head = body.slice(..body.len().saturating_sub(BEFORE_END));
                let chunks = fault.number().saturating_mul(16);
                let bytes = stream::unfold((Some(head), 0_u64), move |(head, sent)| {
                    let filler = filler.clone();
                    async move {
                        if let Some(head) = head {
                            return Some((Ok(Frame::data(head)), (None, 0)));
                        }
                        (sent < chunks).then(|| (Ok(Frame::data(filler)), (None, sent + 1)))
                    }
                });
                response.map(|()| StreamBody::new(bytes).boxed_unsync())
            }
        }
    }
}

/// Octets of an envelope's end: `</soap:Body></soap:Envelope>`.
const BEFORE_END: usize = 28;

fn whole(body: Bytes) -> Body {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

fn soap_fault() -> Response<Body> {
    let fault = "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
                 xmlns:a=\"http://www.w3.org/2005/08/addressing\"><s:Header>\
                 <a:Action s:mustUnderstand=\"1\">http://www.w3.org/2005/08/addressing/soap/fault</a:Action>\
                 </s:Header><s:Body><s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code><s:Reason>\
                 <s:Text xml:lang=\"en\">simulated</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>";
    let mut response = Response::new(whole(Bytes::from_static(fault.as_bytes())));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    let kind = HeaderValue::from_static("application/soap+xml; charset=UTF-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// An answer of ITI-55 or ITI-45 in which a patient is found twice.
fn twice(text: &str) -> String {
    let (begin, end) = ("<subject typeCode=\"SUBJ\">", "</subject>");
    let found = text.find(begin).zip(text.find(end).map(|at| at + end.len()));
    let Some(subject) = found.and_then(|(from, to)| text.get(from..to)) else { return text.to_owned() };
    text.replacen(end, &format!("{end}{}", other_id(subject)), 1)
}

/// The same patient under another id.
fn other_id(subject: &str) -> String {
    subject.replacen(" extension=\"", " extension=\"0", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patient_is_found_twice_under_two_ids() {
        let answer =
            "<x><subject typeCode=\"SUBJ\"><id root=\"1.2\" extension=\"7\"/></subject><queryAck/></x>";
        let doubled = twice(answer);
        assert_eq!(doubled.matches("<subject ").count(), 2);
        assert!(doubled.contains("extension=\"7\"") && doubled.contains("extension=\"07\""));
        assert_eq!(twice("<x/>"), "<x/>");
    }
}
