//! Envelopes we write, and the answers our client reads.

use roxmltree::{Document, Node};

use crate::model::addressing::Elsewhere;
use crate::model::namespace::{NS_SOAP12, NS_WSA, WSA_ANONYMOUS};
use crate::wire::xml::{XmlWriter, tree};

/// Opens envelope and body, runs `body`, closes them. A synchronous answer carries Action and
/// RelatesTo and nothing more (ITI TF-2 V.3.2.2).
pub fn write_response(
    action: &str,
    relates_to: Option<&str>,
    capacity: usize,
    body: impl FnOnce(&mut XmlWriter<'static>),
) -> String {
    write_answer(action, relates_to, None, capacity, body)
}

/// The same; an answer that goes elsewhere has a MessageID of its own and says where it goes.
pub fn write_answer(
    action: &str,
    relates_to: Option<&str>,
    elsewhere: Option<&Elsewhere>,
    capacity: usize,
    body: impl FnOnce(&mut XmlWriter<'static>),
) -> String {
    write_answer_with(action, relates_to, elsewhere, capacity, |_| {}, body)
}

/// The same, with header blocks beside addressing.
pub fn write_answer_with(
    action: &str,
    relates_to: Option<&str>,
    elsewhere: Option<&Elsewhere>,
    capacity: usize,
    headers: impl FnOnce(&mut XmlWriter<'static>),
    body: impl FnOnce(&mut XmlWriter<'static>),
) -> String {
    let mut w = XmlWriter::with_capacity(capacity + 600);
    open(&mut w, action);
    related(&mut w, relates_to, elsewhere.map(|e| (e.message_id.as_str(), e.to.as_str())));
    headers(&mut w);
    w.close().open("soap:Body");
    body(&mut w);
    w.finish()
}

/// What of addressing follows the Action of an answer; `own` its MessageID and To, if it goes by itself.
pub(super) fn related(w: &mut XmlWriter<'static>, relates_to: Option<&str>, own: Option<(&str, &str)>) {
    if let Some((message_id, _)) = own {
        w.leaf("wsa:MessageID", message_id);
    }
    if let Some(id) = relates_to {
        w.leaf("wsa:RelatesTo", id);
    }
    if let Some((_, to)) = own {
        w.leaf("wsa:To", to);
    }
}

/// An initiating message: Action, MessageID, ReplyTo anonymous, To.
pub fn write_request(
    action: &str,
    message_id: &str,
    to: &str,
    body: impl FnOnce(&mut XmlWriter<'static>),
) -> String {
    write_request_with(action, message_id, to, |_| {}, body)
}

/// The same, with header blocks beside addressing.
pub fn write_request_with(
    action: &str,
    message_id: &str,
    to: &str,
    headers: impl FnOnce(&mut XmlWriter<'static>),
    body: impl FnOnce(&mut XmlWriter<'static>),
) -> String {
    let mut w = XmlWriter::with_capacity(8192);
    open(&mut w, action);
    w.leaf("wsa:MessageID", message_id);
    w.open("wsa:ReplyTo").leaf("wsa:Address", WSA_ANONYMOUS).close();
    w.leaf("wsa:To", to);
    headers(&mut w);
    w.close().open("soap:Body");
    body(&mut w);
    w.finish()
}

/// Envelope and Header, open, with the Action in it.
pub(super) fn open(w: &mut XmlWriter<'static>, action: &str) {
    w.raw(r#"<?xml version="1.0" encoding="UTF-8"?>"#);
    w.open("soap:Envelope").attr("xmlns:soap", NS_SOAP12).attr("xmlns:wsa", NS_WSA);
    w.open("soap:Header");
    w.open("wsa:Action").attr("soap:mustUnderstand", "1").text(action).close();
}

/// An answer as our client sees it.
#[derive(Debug)]
pub enum SoapResponse<'a, 'i> {
    Body { action: String, relates_to: Option<String>, body: Node<'a, 'i> },
    Fault { code: String, subcode: Option<String>, reason: String },
}

/// Reads an answer; the error is a sentence about what is not as it should be.
pub fn read_response<'a, 'i>(doc: &'a Document<'i>) -> Result<SoapResponse<'a, 'i>, String> {
    let root = doc.root_element();
    if !tree::is(root, NS_SOAP12, "Envelope") {
        return Err(format!("the answer's root is '{}', not a SOAP 1.2 Envelope", root.tag_name().name()));
    }
    let header = tree::child(root, NS_SOAP12, "Header");
    let text = |name: &str| {
        header.and_then(|h| tree::child(h, NS_WSA, name)).map(|n| tree::text_of(n).trim().to_owned())
    };
    let body = tree::child(root, NS_SOAP12, "Body").ok_or("the answer has no soap:Body")?;
    let payload = tree::elements(body).next().ok_or("the answer's soap:Body is empty")?;
    if !tree::is(payload, NS_SOAP12, "Fault") {
        return Ok(SoapResponse::Body {
            action: text("Action").unwrap_or_default(),
            relates_to: text("RelatesTo"),
            body: payload,
        });
    }
    let value = |node: Option<Node<'_, '_>>| {
        node.and_then(|n| tree::child(n, NS_SOAP12, "Value")).map(|v| tree::text_of(v).trim().to_owned())
    };
    let code = tree::child(payload, NS_SOAP12, "Code");
    Ok(SoapResponse::Fault {
        code: value(code).unwrap_or_default(),
        subcode: value(code.and_then(|c| tree::child(c, NS_SOAP12, "Subcode"))),
        reason: tree::child(payload, NS_SOAP12, "Reason")
            .and_then(|r| tree::child(r, NS_SOAP12, "Text"))
            .map(|t| tree::text_of(t).into_owned())
            .unwrap_or_default(),
    })
}
