//! What the reader of envelopes accepts has one Body with one element and an Action; what it
//! refuses earns a fault that our own client reads back: same code, subcode, reason and headers.
//! The readers behind it take any payload.
#![no_main]

use chiren_fuzz::model::error::{Fault, FaultCode};
use chiren_fuzz::model::namespace::{NS_SOAP12, NS_WSA};
use chiren_fuzz::wire::ebxml::{query, retrieve};
use chiren_fuzz::wire::soap::{self, SoapResponse};
use chiren_fuzz::wire::xml::guard::{Guard, XmlLimits};
use chiren_fuzz::wire::xml::tree;
use libfuzzer_sys::fuzz_target;

const REQUEST_ID: &str = "019a0000-0000-7000-8000-000000000000";

/// Documents of a retrieve request, values of a query's parameter.
const MOST: usize = 4;

fuzz_target!(|data: &[u8]| {
    let (mut guard, mut events) = (Guard::new(limits()), Vec::new());
    let envelope = match guard.push(data, &mut events).and_then(|()| guard.finish()) {
        Ok(envelope) => envelope,
        Err(fault) => return refused(&Fault::sender(fault.to_string()), None),
    };
    let doc = match tree::parse(&envelope) {
        Ok(doc) => doc,
        Err(fault) => return refused(&Fault::sender(fault.to_string()), None),
    };
    let request = match soap::read(&doc, &|_| false) {
        Ok(request) => request,
        Err(fault) => return refused(&fault.0, fault.1.as_deref()),
    };
    let bodies: Vec<_> = tree::children(doc.root_element(), NS_SOAP12, "Body").collect();
    assert_eq!(bodies.len(), 1);
    assert_eq!(tree::elements(bodies[0]).collect::<Vec<_>>(), [request.body]);
    assert!(!request.action.trim().is_empty());
    assert!(request.message_id.as_ref().is_none_or(|id| !id.trim().is_empty()));
    if let Ok(documents) = retrieve::read_request(request.body, MOST) {
        assert!(!documents.is_empty() && documents.len() <= MOST);
        assert!(documents.iter().all(|d| !d.document_unique_id.is_empty()));
    }
    for multi_patient in [false, true] {
        let _ = query::read_request(request.body, multi_patient);
    }
    answered(&request.action, request.message_id.as_deref());
});

fn limits() -> XmlLimits {
    XmlLimits { envelope_bytes: 16 << 10, elements: 200, attributes: 16, depth: 16, ..XmlLimits::default() }
}

/// The fault for a message refused says the same to whoever reads it.
fn refused(fault: &Fault, relates_to: Option<&str>) {
    let written = soap::write_fault(fault, relates_to, REQUEST_ID);
    let doc = tree::parse(&written).expect("a fault is well-formed");
    let header = tree::child(doc.root_element(), NS_SOAP12, "Header").expect("a fault has a header");
    let related = tree::child(header, NS_WSA, "RelatesTo").map(tree::text_of);
    assert_eq!(related.as_deref(), relates_to);
    let named: Vec<(String, String)> = tree::children(header, NS_SOAP12, "NotUnderstood")
        .map(|n| {
            let qname = tree::attr(n, "qname").expect("NotUnderstood names a header");
            let (ns, local) = match qname.split_once(':') {
                Some((prefix, local)) => (n.lookup_namespace_uri(Some(prefix)).expect("declared"), local),
                None => ("", qname),
            };
            (ns.to_owned(), local.to_owned())
        })
        .collect();
    assert_eq!(named, fault.not_understood);
    let Ok(SoapResponse::Fault { code, subcode, reason }) = soap::read_response(&doc) else {
        panic!("a fault reads as a fault");
    };
    let right = match fault.code {
        FaultCode::VersionMismatch => "soap:VersionMismatch",
        FaultCode::MustUnderstand => "soap:MustUnderstand",
        FaultCode::Sender => "soap:Sender",
        FaultCode::Receiver => "soap:Receiver",
    };
    assert_eq!((code.as_str(), subcode.as_deref()), (right, fault.subcode));
    assert_eq!(reason, carried(&fault.reason));
}

/// The text as XML can carry it: a reason may quote a byte of the message refused.
fn carried(text: &str) -> String {
    text.replace(
        |c| matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}'),
        "\u{fffd}",
    )
}

/// An answer names the message it answers, whatever its id is made of.
fn answered(action: &str, message_id: Option<&str>) {
    let written = soap::write_response(action, message_id, 0, |w| {
        w.open("r").close();
    });
    let doc = tree::parse(&written).expect("an answer is well-formed");
    let Ok(SoapResponse::Body { action: given, relates_to, body }) = soap::read_response(&doc) else {
        panic!("an answer reads as an answer");
    };
    assert_eq!((given.as_str(), relates_to.as_deref()), (action, message_id));
    assert_eq!(body.tag_name().name(), "r");
}
