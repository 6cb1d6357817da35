//! What cannot be a message of a transaction is a SOAP fault: document by document what spoils an envelope, its
//! addressing or its packaging, and with which code, subcode and HTTP status it comes back (ITI TF-2 Appendix V,
//! SOAP 1.2, WS-Addressing 1.0 SOAP Binding).

use chiren::model::transaction::Transaction;
use chiren::wire::xml::tree;

use crate::support::raw::{Raw, connect};
use crate::support::samples::{FIND_DOCUMENTS, PATIENT, find_documents, query, submission};
use crate::support::soap::{
    SIMPLE, adhoc_query, envelope, include, inline, mtom, provide_and_register, submit_objects,
};
use crate::support::{Answer, Gateway};

const ADDRESSING: &str = "http://www.w3.org/2005/08/addressing/fault";
const SOAP: &str = "http://www.w3.org/2005/08/addressing/soap/fault";
const ANONYMOUS: &str = "http://www.w3.org/2005/08/addressing/anonymous";

/// The message a good ITI-18 request is, with a MessageID known.
fn good() -> String {
    let text = envelope(Transaction::Iti18.row().request_action, &adhoc_query(&find_documents(PATIENT)));
    let start = text.find("urn:uuid:").unwrap();
    format!("{}{MESSAGE_ID}{}", &text[..start], &text[start + MESSAGE_ID.len()..])
}

const MESSAGE_ID: &str = "urn:uuid:6d296e90-e5dc-43d0-b455-7c1f3eb35d83";

#[track_caller]
fn spoiled(from: &str, to: &str) -> String {
    let good = good();
    assert!(good.contains(from), "{from} is not in {good}");
    good.replacen(from, to, 1)
}

/// Holds a fault against what was wanted: status, code, subcode, Action, RelatesTo, and the request id that header
/// and Detail share.
#[track_caller]
fn judge(what: &str, answer: &Answer, status: u16, code: &str, subcode: Option<&str>, related: bool) {
    assert_eq!(answer.status, status, "{what}: {}", answer.envelope);
    assert!(!answer.mtom, "{what}: a fault is plain SOAP");
    let kind = answer.headers[http::header::CONTENT_TYPE].to_str().unwrap();
    assert_eq!(kind, "application/soap+xml; charset=UTF-8", "{what}");
    let (found, found_sub) = answer.fault();
    let local = |q: &str| q.rsplit(':').next().unwrap().to_owned();
    assert_eq!(local(&found), code, "{what}: {}", answer.envelope);
    assert_eq!(found_sub.as_deref(), subcode, "{what}: {}", answer.envelope);
    let doc = tree::parse(&answer.envelope).unwrap();
    let text = |name: &str| {
        doc.descendants().find(|n| n.tag_name().name() == name).map(|n| tree::text_of(n).trim().to_owned())
    };
    let action = if subcode.is_some_and(|s| s.starts_with("wsa:")) { ADDRESSING } else { SOAP };
    assert_eq!(text("Action").as_deref(), Some(action), "{what}");
    assert_eq!(text("RelatesTo").as_deref(), related.then_some(MESSAGE_ID), "{what}: {}", answer.envelope);
    let id = answer.headers["x-request-id"].to_str().unwrap();
    assert_eq!(text("RequestId").as_deref(), Some(id), "{what}");
    assert!(text("Text").is_some_and(|reason| reason.len() > 10), "{what}: no reason");
}

#[tokio::test]
async fn spoiled_envelopes() {
    let gateway = Gateway::start().await;
    let soap = gateway.soap();
    soap.post("/xds/iti18", SIMPLE, good()).await.assert_success();
    let action = "<a:Action s:mustUnderstand=\"1\">urn:ihe:iti:2007:RegistryStoredQuery</a:Action>";
    let query = "urn:ihe:iti:2007:RegistryStoredQuery";
    let required = Some("wsa:MessageAddressingHeaderRequired");
    let invalid = Some("wsa:InvalidAddressingHeader");
    let unsupported = Some("wsa:ActionNotSupported");
    let anonymous_only = Some("wsa:OnlyAnonymousAddressSupported");
    let doctype = |internal: &str| format!("<!DOCTYPE x [{internal}]>{}", good());
    let body = adhoc_query(&find_documents(PATIENT));
    let deep = format!("{}{}", "<x>".repeat(70), "</x>".repeat(70));
    let attributes: String = (0..70).map(|n| format!(" a{n}=\"\"")).collect();
    let soap11 = "http://schemas.xmlsoap.org/soap/envelope/";
    let soap12 = "http://www.w3.org/2003/05/soap-envelope";
    // What, message, status, code, subcode, whether the MessageID is known by then.
    type Row<'a> = (&'a str, String, u16, &'a str, Option<&'a str>, bool);
    let cases: Vec<Row<'_>> = vec![
        ("nothing", String::new(), 400, "Sender", None, false),
        ("not XML", "patient=1001".into(), 400, "Sender", None, false),
        ("cut short", good()[..good().len() - 20].into(), 400, "Sender", None, false),
        (
            "tags crossed",
            spoiled("</s:Body></s:Envelope>", "</s:Envelope></s:Body>"),
            400,
            "Sender",
            None,
            false,
        ),
        ("two roots", good() + "<x/>", 400, "Sender", None, false),
        ("DTD", doctype(""), 400, "Sender", None, false),
        (
            "internal entity",
            doctype("<!ENTITY e \"x\">").replace("urn:uuid:", "&e;"),
            400,
            "Sender",
            None,
            false,
        ),
        ("external entity", doctype("<!ENTITY e SYSTEM \"file:///etc/passwd\">"), 400, "Sender", None, false),
        ("undeclared entity", spoiled("urn:uuid:", "&nbsp;"), 400, "Sender", None, false),
        (
            "prefix without a namespace",
            spoiled("<a:MessageID>", "<z:Z xmlns:z=\"\"/><a:MessageID>"),
            400,
            "Sender",
            None,
            false,
        ),
        ("control character", spoiled("urn:uuid:", "&#1;"), 400, "Sender", None, false),
        ("depth", spoiled(&body, &deep), 400, "Sender", None, false),
        ("attributes", spoiled(&body, &format!("<x{attributes}/>")), 400, "Sender", None, false),
        (
            "other encoding",
            format!("<?xml version=\"1.0\" encoding=\"Shift_JIS\"?>{}", good()),
            400,
            "Sender",
            None,
            false,
        ),
        ("SOAP 1.1 namespace", good().replace(soap12, soap11), 500, "VersionMismatch", None, false),
        ("other envelope", good().replace(soap12, "urn:x"), 500, "VersionMismatch", None, false),
        ("no envelope", body.clone(), 400, "Sender", None, false),
        ("no body", spoiled(&format!("<s:Body>{body}</s:Body>"), ""), 400, "Sender", None, true),
        ("empty body", spoiled(&body, " "), 400, "Sender", None, true),
        ("two in the body", spoiled(&body, &format!("{body}{body}")), 400, "Sender", None, true),
        ("two bodies", spoiled("</s:Body>", "</s:Body><s:Body/>"), 400, "Sender", None, true),
        ("no Action", spoiled(action, ""), 400, "Sender", required, true),
        ("empty Action", spoiled(query, " "), 400, "Sender", required, true),
        ("two Actions", spoiled(action, &action.repeat(2)), 400, "Sender", invalid, true),
        ("unknown Action", spoiled(query, "urn:ihe:iti:2007:Nonsense"), 400, "Sender", unsupported, true),
        (
            "Action of elsewhere",
            spoiled(query, "urn:ihe:iti:2007:RegisterDocumentSet-b"),
            400,
            "Sender",
            unsupported,
            true,
        ),
        (
            "body of elsewhere",
            spoiled(&body, &submit_objects(&submission())),
            400,
            "Sender",
            unsupported,
            true,
        ),
        ("unknown body", spoiled(&body, "<x xmlns=\"urn:x\"/>"), 400, "Sender", unsupported, true),
        (
            "header not understood",
            spoiled("<a:MessageID>", "<z:Z xmlns:z=\"urn:z\" s:mustUnderstand=\"true\"/><a:MessageID>"),
            500,
            "MustUnderstand",
            None,
            true,
        ),
        (
            "reply elsewhere",
            spoiled(ANONYMOUS, "http://10.0.0.1:9/hook"),
            400,
            "Sender",
            anonymous_only,
            true,
        ),
        (
            "reply to nowhere",
            spoiled(&format!("<a:Address>{ANONYMOUS}</a:Address>"), ""),
            400,
            "Sender",
            invalid,
            true,
        ),
        (
            "two MessageIDs",
            spoiled("<a:ReplyTo>", "<a:MessageID>urn:x</a:MessageID><a:ReplyTo>"),
            400,
            "Sender",
            invalid,
            true,
        ),
    ];
    for (what, message, status, code, subcode, related) in cases {
        let answer = soap.post("/xds/iti18", SIMPLE, message).await;
        judge(what, &answer, status, code, subcode, related);
    }
}

#[tokio::test]
async fn a_header_not_understood_is_named() {
    let gateway = Gateway::start().await;
    let wsse = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
    let header = format!("<w:Security xmlns:w=\"{wsse}\" s:mustUnderstand=\"1\"/><a:MessageID>");
    let message = spoiled("<a:MessageID>", &header);
    let answer = gateway.soap().post("/xds/iti18", SIMPLE, message.clone()).await;
    judge("Security", &answer, 500, "MustUnderstand", None, true);
    let doc = tree::parse(&answer.envelope).unwrap();
    let named = doc.descendants().find(|n| n.tag_name().name() == "NotUnderstood").expect("NotUnderstood");
    let (prefix, local) = named.attribute("qname").unwrap().split_once(':').unwrap();
    assert_eq!((named.lookup_namespace_uri(Some(prefix)), local), (Some(wsse), "Security"));

    let lenient =
        Gateway::start_with(|c| c.soap.security_header = chiren::config::SecurityHeader::Ignore).await;
    lenient.soap().post("/xds/iti18", SIMPLE, message).await.assert_success();
}

#[tokio::test]
async fn lenient_where_the_framework_is() {
    let gateway = Gateway::start().await;
    let reply = format!("<a:ReplyTo><a:Address>{ANONYMOUS}</a:Address></a:ReplyTo>");
    for (what, message) in [
        ("no ReplyTo", spoiled(&reply, "")),
        (
            "blanks around Action",
            spoiled("\">urn:ihe", "\">\n  urn:ihe").replace("Query</a:Action>", "Query </a:Action>"),
        ),
        ("a To of another name", spoiled(&reply, &format!("{reply}<a:To>https://proxy.example/x</a:To>"))),
        ("unknown header, not demanded", spoiled(&reply, &format!("{reply}<z xmlns=\"urn:z\"/>"))),
        ("byte order mark", format!("\u{feff}{}", good())),
    ] {
        let answer = gateway.soap().post("/xds/iti18", SIMPLE, message).await;
        assert_eq!(answer.status, 200, "{what}: {}", answer.envelope);
        answer.assert_success();
    }
    for kind in [
        "application/soap+xml",
        "Application/SOAP+XML;charset=\"utf-8\"",
        "application/soap+xml; charset=UTF-8; action=\"urn:whatever\"",
    ] {
        gateway.soap().post("/xds/iti18", kind, good()).await.assert_success();
    }
}

#[tokio::test]
async fn content_types() {
    let gateway = Gateway::start().await;
    for (kind, status, code) in [
        ("text/xml; charset=UTF-8", 500, "VersionMismatch"),
        ("application/soap+xml; charset=Shift_JIS", 415, "Sender"),
        ("application/json", 415, "Sender"),
        ("application/soap+xml; charset", 400, "Sender"),
        ("multipart/related; type=\"application/xop+xml\"; boundary=\"b\"", 415, "Sender"),
        ("multipart/form-data; boundary=\"b\"", 415, "Sender"),
    ] {
        let answer = gateway.soap().post("/xds/iti18", kind, good()).await;
        judge(kind, &answer, status, code, None, false);
    }
    let mut raw: Raw<_> = connect(gateway.address).await;
    let good = good();
    let request =
        format!("POST /xds/iti18 HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{good}", good.len());
    let answer = raw.exchange(request.as_bytes()).await.unwrap().soap();
    judge("no Content-Type", &answer, 415, "Sender", None, false);
}

#[tokio::test]
async fn simple_soap_where_mtom_is_usual() {
    let gateway = Gateway::start().await;
    let row = Transaction::Iti41.row();
    let s = submission();
    let mut s = s;
    (s.document_entries[0].hash, s.document_entries[0].size) = (None, None);
    let body = provide_and_register(&s, &inline("DE", b"%PDF-1.7"));
    let answer = gateway.soap().post(row.path, SIMPLE, envelope(row.request_action, &body)).await;
    answer.assert_success();
    assert!(!answer.mtom);
    let id = s.document_entries[0].unique_id.as_str();
    let row = Transaction::Iti43.row();
    let body = format!(
        "<RetrieveDocumentSetRequest xmlns=\"urn:ihe:iti:xds-b:2007\"><DocumentRequest><RepositoryUniqueId>\
         {}</RepositoryUniqueId><DocumentUniqueId>{id}</DocumentUniqueId></DocumentRequest>\
         </RetrieveDocumentSetRequest>",
        crate::support::samples::REPOSITORY
    );
    let answer = gateway.soap().post(row.path, SIMPLE, envelope(row.request_action, &body)).await;
    assert!(!answer.mtom);
    assert_eq!(answer.documents(), [(id.to_owned(), bytes::Bytes::from_static(b"%PDF-1.7"))]);
}

/// Content-Type and bytes of an ITI-41 with these `xds:Document` elements and parts.
fn provide(documents: &str, parts: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    let mut s = submission();
    (s.document_entries[0].hash, s.document_entries[0].size) = (None, None);
    mtom(&envelope(Transaction::Iti41.row().request_action, &provide_and_register(&s, documents)), parts)
}

#[tokio::test]
async fn spoiled_multiparts_leave_nothing() {
    let gateway = Gateway::start().await;
    let soap = gateway.soap();
    let parts: &[(&str, &[u8])] = &[("doc@test", b"%PDF-1.7")];
    let good = || provide(&include("DE", "doc@test"), parts);
    let parameter = |from: &str, to: &str| {
        let (kind, bytes) = good();
        assert!(kind.contains(from), "{from} is not in {kind}");
        (kind.replace(from, to), bytes)
    };
    let within = |from: &str, to: &str| {
        let (kind, bytes) = good();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        (kind, text.replace(from, to).into_bytes())
    };
    let href = |href: &str| within("cid:doc@test", href);
    let both = "<xds:Document id=\"DE\">JVBERg==<xop:Include \
                xmlns:xop=\"http://www.w3.org/2004/08/xop/include\" href=\"cid:doc@test\"/></xds:Document>";
    let cut = |by: usize| {
        let (kind, bytes) = good();
        let end = bytes.len() - by;
        (kind, bytes[..end].to_vec())
    };
    let many: Vec<String> = (0..300).map(|n| format!("d{n}@test")).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|id| (id.as_str(), &b"x"[..])).collect();
    let no_boundary = {
        let (kind, bytes) = good();
        let kept: Vec<&str> = kind.split(';').filter(|p| !p.trim_start().starts_with("boundary")).collect();
        (kept.join(";"), bytes)
    };
    let cases = [
        ("no boundary", no_boundary),
        ("another boundary", parameter("boundary=\"", "boundary=\"x")),
        ("not XOP", parameter("application/xop+xml", "application/xml")),
        ("start names no part", parameter("start=\"<", "start=\"<x")),
        ("href of no part", href("cid:other@test")),
        ("href over HTTP", href("http://127.0.0.1:9/doc")),
        ("href of a file", href("file:///etc/passwd")),
        ("href of an inline document", href("inline:0")),
        ("Content-ID twice", provide(&include("DE", "doc@test"), &[parts[0], parts[0]])),
        ("inline and Include", provide(both, parts)),
        ("one part for two", provide(&include("DE", "doc@test").repeat(2), parts)),
        ("bad base64", provide("<xds:Document id=\"DE\">%%%%</xds:Document>", &[])),
        ("closing delimiter cut", cut(6)),
        ("cut in the document", cut(60)),
        ("too many parts", provide(&include("DE", "d0@test"), &many)),
        (
            "long part header",
            within("Content-Type: application/octet-stream", &format!("X-A: {}", "a".repeat(9000))),
        ),
        ("no parts", (good().0, b"just text".to_vec())),
        ("empty", (good().0, vec![])),
        ("SOAP 1.1 in the root", within("type=\"application/soap+xml\"", "type=\"text/xml\"")),
    ];
    for (what, (kind, bytes)) in cases {
        let answer = soap.post("/xds/iti41", &kind, bytes).await;
        let (code, _) = answer.fault();
        assert!(code.ends_with("Sender") || code.ends_with("VersionMismatch"), "{what}: {}", answer.envelope);
        let allowed: &[u16] = if code.ends_with("Sender") { &[400, 415] } else { &[500] };
        assert!(allowed.contains(&answer.status.as_u16()), "{what}: {}", answer.status);
        assert_eq!(gateway.files(), (0, 0), "{what} left files");
    }
    let (kind, bytes) = good();
    soap.post("/xds/iti41", &kind, bytes).await.assert_success();
    assert_eq!(gateway.files(), (1, 0));
}

#[tokio::test]
async fn a_surplus_part_is_ignored_and_forgotten() {
    let gateway = Gateway::start().await;
    let (kind, bytes) =
        provide(&include("DE", "doc@test"), &[("extra@test", b"who am I"), ("doc@test", b"%PDF-1.7")]);
    gateway.soap().post("/xds/iti41", &kind, bytes).await.assert_success();
    assert_eq!(gateway.files(), (1, 0));
}

#[tokio::test]
async fn roles_switched_off_are_not_served() {
    let off = |registry: bool, repository: bool| {
        Gateway::start_with(move |c| {
            c.registry.enabled = registry;
            c.repository.enabled = repository;
        })
    };
    let no_repository = off(true, false).await;
    no_repository.soap().post("/xds/iti18", SIMPLE, good()).await.assert_success();
    let (kind, bytes) = provide(&include("DE", "doc@test"), &[("doc@test", b"%PDF-1.7")]);
    for path in ["/xds/iti41", "/xds/repository"] {
        let answer = no_repository.soap().post(path, &kind, bytes.clone()).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.fault().1.as_deref(), Some("wsa:ActionNotSupported"));
    }
}

#[tokio::test]
async fn an_actor_takes_its_own_transactions_only() {
    let gateway = Gateway::start().await;
    gateway.soap().post("/xds/registry", SIMPLE, good()).await.assert_success();
    gateway.soap().post("/xds/registry/", SIMPLE, good()).await.assert_success();
    let answer = gateway.soap().post("/xds/repository", SIMPLE, good()).await;
    judge("ITI-18 at the repository", &answer, 400, "Sender", Some("wsa:ActionNotSupported"), true);
    let multi = query(FIND_DOCUMENTS, vec![]);
    let message = envelope(Transaction::Iti51.row().request_action, &adhoc_query(&multi));
    let answer = gateway.soap().post("/xds/iti18", SIMPLE, message).await;
    assert_eq!(answer.fault().1.as_deref(), Some("wsa:ActionNotSupported"));
    let answer = gateway.soap().post("/xds/nothing", SIMPLE, good()).await;
    assert_eq!(answer.status, 404);
}
