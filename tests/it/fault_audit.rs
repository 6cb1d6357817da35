//! Requests that end as SOAP faults, as the audit trail tells them: what kind, by whom, how often, and nothing of
//! what they said.

use chiren::app::Rooms;
use chiren::model::audit::{AuditEvent, Outcome, SECURITY_ALERT};
use chiren::model::transaction::Transaction;
use chiren::store::db::DbError;
use jiff::SignedDuration;

use crate::support::Gateway;
use crate::support::raw::{connect, post};
use crate::support::samples::{PATIENT, find_documents, of_patient, submission};
use crate::support::soap::{SIMPLE, adhoc_query, envelope, include, mtom, provide_and_register};

/// Stands for a patient in every message, and may stand in no record.
const MARK: &str = "MARK-7731";

fn marked() -> String {
    PATIENT.replace("1001", MARK)
}

/// An ITI-18 request with one thing replaced.
fn query(from: &str, to: &str) -> Vec<u8> {
    let body = adhoc_query(&find_documents(&marked()));
    let good = envelope(Transaction::Iti18.row().request_action, &body);
    assert!(good.contains(from) && good.contains(MARK));
    post("/xds/iti18", SIMPLE, good.replacen(from, to, 1).as_bytes())
}

fn garbage() -> Vec<u8> {
    post("/xds/iti18", SIMPLE, MARK.as_bytes())
}

/// An ITI-41 request whose one Include names `href`.
fn provide(href: &str) -> (String, Vec<u8>) {
    let body = provide_and_register(&of_patient(submission(), &marked()), &include("DE", href));
    mtom(&envelope(Transaction::Iti41.row().request_action, &body), &[("doc@test", MARK.as_bytes())])
}

/// A request with one more line in its head.
fn with_line(request: &[u8], line: &str) -> Vec<u8> {
    let text = String::from_utf8(request.to_vec()).unwrap();
    text.replacen("\r\n", &format!("\r\n{line}\r\n"), 1).into_bytes()
}

/// Sends bytes on a connection of their own; status and request id of the fault they earn.
async fn faulted(gateway: &Gateway, request: &[u8]) -> (u16, String) {
    let answer = connect(gateway.address).await.exchange(request).await.expect("an answer").soap();
    answer.fault();
    (answer.status.as_u16(), answer.headers["x-request-id"].to_str().unwrap().to_owned())
}

/// How many requests these records stand for.
fn requests(records: &[AuditEvent]) -> u64 {
    records.iter().map(|r| r.repeated.map_or(1, |r| r.times)).sum()
}

#[tokio::test]
async fn each_kind_leaves_a_record_without_the_message() {
    let gateway = Gateway::start_with(|c| c.limits.request_mib = 1).await;
    let not_ours = "<z:Z xmlns:z=\"urn:z\" s:mustUnderstand=\"1\"/><a:MessageID>";
    let (multipart, whole) = provide("doc@test");
    let (other, misnamed) = provide(MARK);
    let unsupported = "wsa:ActionNotSupported";
    let query_action = Transaction::Iti18.row().request_action;
    let elsewhere =
        post("/xds/iti18", SIMPLE, envelope(query_action, &format!("<x xmlns=\"{MARK}\"/>")).as_bytes());
    // What, request, HTTP status, transaction, code, subcode or kind.
    type Row<'a> = (&'a str, Vec<u8>, u16, &'a str, &'a str, &'a str);
    let cases: Vec<Row<'_>> = vec![
        ("not XML", garbage(), 400, SECURITY_ALERT, "Sender", "xml"),
        ("unknown Action", query(query_action, MARK), 400, SECURITY_ALERT, "Sender", unsupported),
        ("body of elsewhere", elsewhere, 400, "ITI-18", "Sender", unsupported),
        (
            "not understood",
            query("<a:MessageID>", not_ours),
            500,
            SECURITY_ALERT,
            "MustUnderstand",
            "message",
        ),
        ("no such part", post("/xds/iti41", &other, &misnamed), 400, "ITI-41", "Sender", "include"),
        (
            "cut short",
            post("/xds/iti41", &multipart, &whole[..whole.len() - 9]),
            400,
            SECURITY_ALERT,
            "Sender",
            "mime",
        ),
        (
            "other packaging",
            post("/xds/iti18", &multipart, &whole),
            415,
            SECURITY_ALERT,
            "Sender",
            "content-type",
        ),
        (
            "two lengths",
            with_line(&garbage(), "Transfer-Encoding: chunked"),
            400,
            SECURITY_ALERT,
            "Sender",
            "http",
        ),
        (
            "too large",
            post("/xds/iti41", &multipart, &vec![b'x'; 2 << 20]),
            413,
            SECURITY_ALERT,
            "Sender",
            "body",
        ),
    ];
    for (n, (what, request, status, transaction, code, about)) in cases.into_iter().enumerate() {
        let (found, id) = faulted(&gateway, &request).await;
        assert_eq!(found, status, "{what}");
        let records = gateway.audit().await;
        assert_eq!(records.len(), n + 1, "{what}: {records:#?}");
        let record = records.into_iter().find(|r| r.request_id == id).expect(what);
        assert_eq!(record.transaction, transaction, "{what}");
        assert_eq!(record.errors, [code, about], "{what}");
        assert_eq!(record.outcome, Outcome::SeriousFailure, "{what}");
        assert_eq!((&*record.caller.address, &*record.caller.listener), ("127.0.0.1", "soap"), "{what}");
        let at_rest = serde_json::to_string(&record).unwrap();
        assert!(!at_rest.contains(MARK) && !at_rest.contains("patients"), "{what}: {at_rest}");
        gateway.tick();
    }
    // What is no SOAP fault leaves none.
    for request in ["GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", "PUT /xds/iti18 HTTP/1.1\r\nHost: x\r\n\r\n"]
    {
        let before = gateway.audit().await.len();
        connect(gateway.address).await.exchange(request.as_bytes()).await.expect("an answer");
        assert_eq!(gateway.audit().await.len(), before);
    }
}

#[tokio::test]
async fn a_flood_shares_records_and_every_fault_counts() {
    let gateway = Gateway::start().await;
    for _ in 0..200 {
        assert_eq!(faulted(&gateway, &garbage()).await.0, 400);
    }
    let records = gateway.audit().await;
    assert_eq!((records.len(), records[0].repeated), (1, None));
    // Another kind is not hidden by the flood.
    let (_, id) = faulted(&gateway, &query("urn:ihe:iti:2007:", "urn:x:")).await;
    assert!(gateway.audit().await.iter().any(|r| r.request_id == id));

    gateway.clock.advance(SignedDuration::from_mins(61));
    let (_, id) = faulted(&gateway, &garbage()).await;
    let records = gateway.audit().await;
    let last = records.last().unwrap();
    assert_eq!((records.len(), requests(&records), &last.request_id), (3, 202, &id));
    let repeated = last.repeated.expect("several requests");
    assert_eq!((repeated.times, repeated.last), (200, last.at));
    assert!(repeated.first < last.at);

    // Nobody comes any more: the count is written in its time, and at the end.
    faulted(&gateway, &garbage()).await;
    let audit = &gateway.rooms().audit;
    audit.write_due_faults(gateway.clock.now()).await;
    assert_eq!(gateway.audit().await.len(), 3);
    gateway.clock.advance(SignedDuration::from_mins(61));
    audit.write_due_faults(gateway.clock.now()).await;
    let records = gateway.audit().await;
    assert_eq!((records.len(), requests(&records)), (4, 203));
    for _ in 0..5 {
        faulted(&gateway, &garbage()).await;
    }
    let clock = gateway.clock.clone();
    let (_dir, config) = gateway.stop().await;
    let rooms = Rooms::open(&config, &clock).await.unwrap();
    let mut records = rooms.audit.since(0, 100).await.unwrap();
    // Start and stop have records of their own.
    records.retain(|r| !r.errors.is_empty());
    assert_eq!((records.len(), requests(&records)), (5, 208));
}

/// Runs SQL that both engines know.
async fn sql(gateway: &Gateway, text: &'static str) {
    let changed =
        gateway.rooms().db.write(move |tx| Box::pin(async move { tx.exec(text, &[]).await.map(|_| ()) }));
    changed.await.unwrap_or_else(|e: DbError| panic!("{text}: {e}"));
}

#[tokio::test]
async fn a_fault_is_answered_without_its_record() {
    let gateway = Gateway::start().await;
    sql(&gateway, "ALTER TABLE audit_event RENAME TO elsewhere").await;
    for _ in 0..3 {
        assert_eq!(faulted(&gateway, &garbage()).await.0, 400);
    }
    // A good request that cannot be recorded ends as a fault as well, of another kind.
    assert_eq!(faulted(&gateway, &query("urn:uuid:", "urn:uuid:")).await.0, 503);
    sql(&gateway, "ALTER TABLE elsewhere RENAME TO audit_event").await;
    assert_eq!(gateway.audit().await, []);

    gateway.clock.advance(SignedDuration::from_mins(1));
    gateway.rooms().audit.write_due_faults(gateway.clock.now()).await;
    let records = gateway.audit().await;
    assert_eq!((records.len(), requests(&records)), (2, 4));
    let ours = records.iter().find(|r| r.transaction == "ITI-18").expect("the query");
    assert_eq!(
        (ours.outcome, &*ours.errors),
        (Outcome::MinorFailure, &["Receiver", "ours"].map(String::from)[..])
    );
}

#[tokio::test]
async fn a_request_without_a_turn_may_come_again() {
    let gateway = Gateway::start_with(|c| {
        c.limits.concurrent_requests = 1;
        c.limits.queue_milliseconds = 1;
    })
    .await;
    let (multipart, whole) = provide("doc@test");
    let upload = with_line(&post("/xds/iti41", &multipart, &whole), "Expect: 100-continue");
    let head = memchr::memmem::find(&upload, b"\r\n\r\n").unwrap() + 4;
    let mut slow = connect(gateway.address).await;
    // Asked for its body, the upload has the only turn.
    assert_eq!(slow.exchange(&upload[..head]).await.expect("an answer").status, 100);
    let (status, id) = faulted(&gateway, &post("/xds/iti41", &multipart, &whole)).await;
    assert_eq!(status, 503);
    let records = gateway.audit().await;
    let record = records.first().expect("a record");
    assert_eq!((&record.request_id, record.outcome), (&id, Outcome::MinorFailure));
    assert_eq!(
        (&*record.transaction, &*record.errors),
        (SECURITY_ALERT, &["Receiver", "ours"].map(String::from)[..])
    );
}
