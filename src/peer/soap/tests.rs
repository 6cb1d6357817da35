//! Against a peer that answers one request over a real socket, each test spoiling one thing.

use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::*;
use crate::config::PeerConfig;
use crate::wire::soap::{write_fault, write_response};

type Seen = Arc<Mutex<Vec<u8>>>;

/// A peer that keeps what it is sent and answers with what `answer` makes of the MessageID.
async fn peer(head: &'static str, answer: impl Fn(&str) -> String + Send + 'static) -> (Client, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    let seen = Seen::default();
    let kept = seen.clone();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut all = vec![];
        let text = loop {
            socket.read_buf(&mut all).await.unwrap();
            let text = String::from_utf8_lossy(&all).into_owned();
            let length = between(&text.to_lowercase(), "content-length: ", "\r\n").parse().unwrap_or(0);
            if text.split_once("\r\n\r\n").is_some_and(|(head, _)| all.len() >= head.len() + 4 + length) {
                break text;
            }
        };
        *kept.lock().unwrap() = all;
        let body = answer(between(&text, "<wsa:MessageID>", "<"));
        let head = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len());
        socket.write_all((head + &body).as_bytes()).await.unwrap();
        let _ = socket.read_buf(&mut vec![]).await;
    });
    (Client::new(&PeerConfig { url, answer_seconds: 5, ..Default::default() }).unwrap(), seen)
}

fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    text.split_once(from).and_then(|(_, rest)| rest.split_once(to)).map_or("", |(found, _)| found)
}

const GOOD: &str = "200 OK\r\nContent-Type: application/soap+xml; charset=UTF-8";

fn registered(id: &str) -> String {
    refused(id, ResponseStatus::Success, &[])
}

fn refused(id: &str, status: ResponseStatus, errors: &[RegistryError]) -> String {
    let action = Transaction::Iti42.row().response_action;
    write_response(action, Some(id), 0, |w| response::write(w, status, errors))
}

async fn asked(
    head: &'static str,
    answer: impl Fn(&str) -> String + Send + 'static,
) -> Result<Vec<RegistryError>, SoapError> {
    register(&peer(head, answer).await.0, &Submission::default()).await
}

#[tokio::test]
async fn a_registration_is_simple_soap() {
    let (client, seen) = peer(GOOD, registered).await;
    assert_eq!(register(&client, &Submission::default()).await.unwrap(), []);
    let sent = String::from_utf8(seen.lock().unwrap().clone()).unwrap();
    assert!(sent.to_lowercase().contains("content-type: application/soap+xml; charset=utf-8"));
    assert!(sent.contains(&format!("<wsa:To>{}</wsa:To>", client.url())));
    assert!(sent.contains("lcm:SubmitObjectsRequest"));
}

#[tokio::test]
async fn errors_are_handed_on_and_a_failure_is_never_silent() {
    let errors = [RegistryError::new(ErrorCode::XDSUnknownPatientId, "x").at("DE1")];
    let kept = errors.clone();
    let got = asked(GOOD, move |id| refused(id, ResponseStatus::Failure, &kept)).await.unwrap();
    assert_eq!(got, errors);
    let got = asked(GOOD, |id| refused(id, ResponseStatus::Failure, &[])).await.unwrap();
    assert!(got.iter().any(RegistryError::is_error));
}

#[tokio::test]
async fn the_wrong_answer_is_not_taken() {
    let other = |id: &str| registered(id).replace("RegisterDocumentSet-bResponse", "Other");
    assert!(matches!(asked(GOOD, other).await, Err(SoapError::Action { .. })));
    let stray = |_: &str| registered("urn:uuid:stray");
    assert!(matches!(asked(GOOD, stray).await, Err(SoapError::RelatesTo { .. })));
    let unrelated = |id: &str| registered(id).replace("RelatesTo", "RelatesNot");
    assert!(asked(GOOD, unrelated).await.is_ok());
    let odd = |id: &str| registered(id).replace("ResponseStatusType:Success", "x");
    assert!(matches!(asked(GOOD, odd).await, Err(SoapError::Body(_))));
}

#[tokio::test]
async fn faults_and_what_is_not_soap() {
    let fault = |id: &str| {
        let fault = crate::model::error::Fault::sender("no").subcode("wsa:ActionNotSupported");
        write_fault(&fault, Some(id), "r")
    };
    let head = "400 Bad Request\r\nContent-Type: application/soap+xml";
    match asked(head, fault).await {
        Err(SoapError::Fault { code, subcode, reason }) => {
            assert_eq!(code, "soap:Sender");
            assert_eq!((subcode.as_deref(), reason.as_str()), (Some("wsa:ActionNotSupported"), "no"));
        }
        other => panic!("{other:?}"),
    }
    let page = |_: &str| "<html/>".to_owned();
    let result = asked("200 OK\r\nContent-Type: text/html", page).await;
    assert!(matches!(result, Err(SoapError::NotSoap { .. })));
    let result = asked("502 Bad Gateway\r\nContent-Type: text/html", page).await;
    assert!(matches!(result, Err(SoapError::Peer(PeerError::Status { .. }))));
    assert!(matches!(asked(GOOD, page).await, Err(SoapError::NotSoap { .. })));
    assert!(matches!(asked(GOOD, |_| "<a>".to_owned()).await, Err(SoapError::NotSoap { .. })));
}

/// Keeps every document whole.
#[derive(Default)]
struct Kept(Vec<(String, Vec<u8>)>);

impl DocumentSink for Kept {
    async fn start(&mut self, head: &DocumentHead) -> io::Result<()> {
        self.0.push((head.key.clone(), vec![]));
        Ok(())
    }
    async fn data(&mut self, bytes: Bytes) -> io::Result<()> {
        self.0.last_mut().unwrap().1.extend_from_slice(&bytes);
        Ok(())
    }
    async fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn documents_stream_both_ways() {
    let head = "200 OK\r\nContent-Type: multipart/related; boundary=b; type=\"application/xop+xml\"";
    let (client, seen) = peer(head, |id| {
        let envelope = registered(id).replace("RegisterDocumentSet", "ProvideAndRegisterDocumentSet");
        format!(
            "--b\r\nContent-ID: <r>\r\n\r\n{envelope}\r\n--b\r\nContent-ID: <d@y>\r\n\r\nback\r\n--b--\r\n"
        )
    })
    .await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![b'z'; CHUNK + 7]).unwrap();
    let document = Outgoing::of_file("text/plain", file.path()).await.unwrap();
    let id = document.content_id.clone();
    let call = Call::new(&client, Transaction::Iti41, vec![document], |w| {
        write_provide(w, &Submission::default(), &[("DE1", Content::Include(id.clone()))]);
    });
    let mut kept = Kept::default();
    let answer = call.send(&client, &mut kept).await.unwrap();
    assert!(answer.registry_response().is_ok() && answer.mtom);
    assert_eq!(kept.0, [("d@y".to_owned(), b"back".to_vec())]);
    assert_eq!(answer.document("cid:d%40y"), Some(&Received { key: "d@y".into(), size: 4 }));
    assert_eq!(answer.document("http://d@y/"), None);

    let sent = String::from_utf8(seen.lock().unwrap().clone()).unwrap();
    assert!(sent.contains(&format!(
        "<xds:Document id=\"DE1\"><xop:Include xmlns:xop=\"{NS_XOP}\" href=\"cid:{id}\"/>"
    )));
    assert!(sent.contains(&format!("Content-ID: <{id}>\r\n\r\nzzz")) && sent.contains("zz\r\n--chiren-"));
}

#[tokio::test]
async fn a_file_that_becomes_shorter_is_noticed() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![b'z'; CHUNK * 2]).unwrap();
    let mut document = Outgoing::of_file("text/plain", file.path()).await.unwrap();
    assert!(document.bytes.next().await.unwrap().is_ok());
    file.as_file().set_len(CHUNK as u64).unwrap();
    assert!(document.bytes.next().await.unwrap().is_err());
}
