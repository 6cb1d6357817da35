//! The door: what is refused before it is SOAP, how connections are kept and limited, and how a stop treats what is
//! under way.

use chiren::model::transaction::Transaction;

use crate::support::Gateway;
use crate::support::raw::{Raw, RawAnswer, connect, post};
use crate::support::samples::{PATIENT, find_documents, get_all, submission};
use crate::support::soap::{SIMPLE, adhoc_query, envelope, include, mtom, provide_and_register};

fn question() -> Vec<u8> {
    let row = Transaction::Iti18.row();
    let message = envelope(row.request_action, &adhoc_query(&find_documents(PATIENT)));
    post(row.path, SIMPLE, message.as_bytes())
}

/// An ITI-41 with a document of so many octets.
fn upload(octets: usize) -> Vec<u8> {
    let mut s = submission();
    (s.document_entries[0].hash, s.document_entries[0].size) = (None, None);
    let row = Transaction::Iti41.row();
    let body = provide_and_register(&s, &include("DE", "doc@test"));
    let document = vec![b'x'; octets];
    let (kind, bytes) = mtom(&envelope(row.request_action, &body), &[("doc@test", &document)]);
    post(row.path, &kind, &bytes)
}

/// The question with lines added to its head.
fn with_lines(lines: &str) -> Vec<u8> {
    let question = question();
    let at = memchr::memmem::find(&question, b"\r\n").unwrap() + 2;
    [&question[..at], lines.as_bytes(), &question[at..]].concat()
}

async fn asked(gateway: &Gateway, bytes: &[u8]) -> RawAnswer {
    connect(gateway.address).await.exchange(bytes).await.expect("an answer")
}

#[tokio::test]
async fn heads_that_break_http_are_refused_in_soap_and_closed() {
    let gateway = Gateway::start().await;
    let chunked = "POST /xds/iti18 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n";
    let cases: Vec<(&str, Vec<u8>, &[u16])> = vec![
        ("two Hosts", with_lines("Host: other\r\n"), &[400]),
        ("length and chunks", chunked.into(), &[400]),
        ("two lengths", with_lines("Content-Length: 1\r\n"), &[400]),
        ("compressed", with_lines("Content-Encoding: gzip\r\n"), &[415]),
        ("strange expectation", with_lines("Expect: gold\r\n"), &[417]),
        (
            "strange coding",
            "POST /xds/iti18 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".into(),
            &[501, 400],
        ),
        ("long head", with_lines(&format!("X-Long: {}\r\n", "x".repeat(70_000))), &[431, 400]),
        ("many fields", with_lines(&"X-A: 1\r\n".repeat(200)), &[431, 400]),
        ("bare line feeds", b"POST /xds/iti18 HTTP/1.1\nHost: x\n\n".to_vec(), &[400]),
        (
            "too long",
            format!(
                "POST /xds/iti41 HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
                1u64 << 40
            )
            .into_bytes(),
            &[413],
        ),
        ("not HTTP", b"hello\r\n\r\n".to_vec(), &[400]),
    ];
    for (what, bytes, statuses) in cases {
        let mut connection = connect(gateway.address).await;
        let answer = connection.exchange(&bytes).await.unwrap_or_else(|| panic!("{what}: no answer"));
        assert!(statuses.contains(&answer.status.as_u16()), "{what}: {}", answer.status);
        // What hyper refuses before there is a request has no envelope.
        if !answer.body.is_empty() {
            let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
            assert!(answer.text().contains(&id), "{what}");
            assert!(answer.soap().fault().0.ends_with("Sender"), "{what}");
        }
        assert!(connection.ended().await, "{what}: the connection goes on");
    }
}

#[tokio::test]
async fn answers_carry_the_headers_of_every_answer() {
    let gateway = Gateway::start().await;
    let answer = asked(&gateway, &with_lines("X-Request-Id: mine\r\nX-Forwarded-For: 192.0.2.1\r\n")).await;
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers["cache-control"], "no-store");
    let id = answer.headers["x-request-id"].to_str().unwrap();
    assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 7);
    let record = gateway.audit().await.pop().unwrap();
    assert_eq!((record.request_id.as_str(), record.caller.address.as_str()), (id, "127.0.0.1"));
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let gateway = Gateway::start().await;
    let mut connection = connect(gateway.address).await;
    let mut ids = std::collections::BTreeSet::new();
    for n in 0..6 {
        let request = if n % 2 == 0 { question() } else { upload(3000) };
        let answer = connection.exchange(&request).await.expect("an answer");
        assert!(!answer.closes());
        ids.insert(answer.headers["x-request-id"].to_str().unwrap().to_owned());
        answer.soap().assert_success();
    }
    assert_eq!(ids.len(), 6);
}

#[tokio::test]
async fn hosts_may_be_restricted() {
    let gateway = Gateway::start_with(|c| c.listener[0].hosts = vec!["gw.example".into()]).await;
    assert_eq!(asked(&gateway, &question()).await.status, 400);
    let ours = String::from_utf8(question()).unwrap().replace("Host: localhost", "Host: GW.example:8443");
    assert_eq!(asked(&gateway, ours.as_bytes()).await.status, 200);
}

#[tokio::test]
async fn bodies_beyond_the_limits_leave_nothing() {
    let gateway = Gateway::start_with(|c| {
        c.limits.request_mib = 2;
        c.limits.document_mib = 1;
    })
    .await;
    // Announced: refused before a byte of the body is asked for.
    let big = upload(3 << 20);
    let head = memchr::memmem::find(&big, b"\r\n\r\n").unwrap();
    let waiting = [&big[..head], b"\r\nExpect: 100-continue\r\n\r\n"].concat();
    assert_eq!(asked(&gateway, &waiting).await.status, 413);
    assert_eq!(asked(&gateway, &big).await.status, 413);
    // Not announced.
    let text = String::from_utf8_lossy(&big[..head]).into_owned();
    let text: String =
        text.lines().filter(|l| !l.starts_with("Content-Length")).map(|l| format!("{l}\r\n")).collect();
    let mut chunked = format!("{text}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for chunk in big[head + 4..].chunks(60_000) {
        chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let answer = asked(&gateway, &chunked).await;
    assert!([400, 413].contains(&answer.status.as_u16()), "{}", answer.status);
    // One document over its own limit.
    let answer = asked(&gateway, &upload((1 << 20) + 1)).await;
    assert!([400, 413].contains(&answer.status.as_u16()), "{}: {}", answer.status, answer.text());
    assert!(answer.soap().fault().0.ends_with("Sender"));
    assert_eq!(gateway.files(), (0, 0));
    asked(&gateway, &upload(1 << 20)).await.soap().assert_success();
}

#[tokio::test]
async fn senders_that_stall_are_cut() {
    let gateway = Gateway::start_with(|c| {
        c.limits.header_seconds = 1;
        c.limits.rate_window_seconds = 1;
    })
    .await;
    let request = upload(100_000);
    let mut connection = connect(gateway.address).await;
    connection.send(&request[..50_000]).await;
    if let Some(answer) = connection.answer().await {
        assert_eq!(answer.status, 408);
        assert!(answer.soap().fault().0.ends_with("Sender"));
    }
    assert!(connection.ended().await);
    let mut connection = connect(gateway.address).await;
    connection.send(&request[..20]).await;
    if let Some(answer) = connection.answer().await {
        assert_eq!(answer.status, 408);
    }
    assert!(connection.ended().await);
    assert_eq!(gateway.files(), (0, 0));
}

#[tokio::test]
async fn connections_beyond_the_limit_are_turned_away() {
    let gateway = Gateway::start_with(|c| c.listener[0].max_connections = 2).await;
    let mut first = connect(gateway.address).await;
    let mut second = connect(gateway.address).await;
    for connection in [&mut first, &mut second] {
        connection.exchange(&question()).await.expect("within the limit").soap().assert_success();
    }
    assert!(connect(gateway.address).await.exchange(&question()).await.is_none());
    first.exchange(&question()).await.expect("still open").soap().assert_success();
}

/// Waits until nothing is left in the spool; a runtime that never gets there is stopped by the test's own limit.
async fn spool_empty(gateway: &Gateway) {
    let emptied = async {
        while gateway.files().1 > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), emptied).await.expect("the spool is emptied");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_broken_off_leaves_nothing() {
    let gateway = Gateway::start().await;
    let request = upload(3 << 20);
    for part in [2, 3, 4] {
        let mut connection = connect(gateway.address).await;
        connection.send(&request[..request.len() / part]).await;
        drop(connection);
    }
    // The server has read them all once a later request is answered and its tasks have ended.
    asked(&gateway, &question()).await.soap().assert_success();
    spool_empty(&gateway).await;
    let (soap, files) = (gateway.soap(), gateway.files());
    assert_eq!(soap.query(&get_all(PATIENT)).await.objects().len(), 0);
    assert_eq!(files, (0, 0));
    let documents = gateway.config.repository.documents.clone();
    let (_dir, _) = gateway.stop().await;
    let left = crate::support::gateway::count(&documents.join("spool"));
    assert_eq!(left, 0, "files in the spool after the stop");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_finishes_the_upload_under_way_and_takes_no_more() {
    let mut gateway = Gateway::start().await;
    let request = upload(2 << 20);
    let half = request.len() / 2;
    let mut uploading = connect(gateway.address).await;
    // An answered request first, so that the connection is certainly accepted.
    uploading.exchange(&question()).await.expect("an answer").soap().assert_success();
    uploading.send(&request[..half]).await;
    while gateway.files().1 == 0 {
        tokio::task::yield_now().await;
    }
    let mut idle: Raw<_> = connect(gateway.address).await;
    idle.exchange(&question()).await.expect("an answer").soap().assert_success();

    let address = gateway.address;
    let running = gateway.running.take().unwrap();
    let audit = running.rooms.audit.clone();
    let before = audit.since(0, 100).await.unwrap().len();
    let stopping = tokio::spawn(running.drain());
    assert!(idle.ended().await, "an idle connection ends with the stop");
    let refused = match tokio::net::TcpStream::connect(address).await {
        Err(_) => true,
        Ok(stream) => Raw::new(stream).exchange(&question()).await.is_none(),
    };
    assert!(refused, "a new connection was served");
    assert!(!stopping.is_finished());
    assert_eq!(audit.since(0, 100).await.unwrap().len(), before);
    let answer = uploading.exchange(&request[half..]).await.expect("the upload is answered");
    assert!(answer.closes());
    answer.soap().assert_success();
    assert_eq!(stopping.await.unwrap(), 0, "connections were cut off");
    assert_eq!(gateway.files(), (1, 0));
}
