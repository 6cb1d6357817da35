//! A request's envelope: what document-sharing needs of it, or the fault it earns.

use roxmltree::{Document, Node};

use crate::model::error::{Fault, FaultCode, clip};
use crate::model::namespace::{NS_SOAP11, NS_SOAP12, NS_WSA, WSA_ANONYMOUS, WSA_NONE};
use crate::wire::xml::tree;

/// Roles this node plays (SOAP 1.2 Part 1, 2.2); headers for other roles are not ours.
const OUR_ROLES: [&str; 2] = [
    "http://www.w3.org/2003/05/soap-envelope/role/next",
    "http://www.w3.org/2003/05/soap-envelope/role/ultimateReceiver",
];

/// WS-Addressing headers; all of them are understood.
const ADDRESSING: [&str; 7] = ["Action", "MessageID", "RelatesTo", "To", "From", "ReplyTo", "FaultTo"];

/// An envelope taken apart.
#[derive(Debug)]
pub struct SoapRequest<'a, 'i> {
    pub action: String,
    pub message_id: Option<String>,
    /// `wsa:ReplyTo`; absent means anonymous.
    pub reply_to: Address,
    /// `wsa:FaultTo`, if it is there.
    pub fault_to: Option<Address>,
    /// The one child of Body.
    pub body: Node<'a, 'i>,
}

/// The address of a `wsa:ReplyTo` or `wsa:FaultTo` (WS-Addressing 1.0 Core, 2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// The way the request came.
    Anonymous,
    /// Messages for it are thrown away.
    None,
    Elsewhere(String),
}

/// What went wrong, with the MessageID to relate the fault to, if it could be read.
pub type RequestFault = Box<(Fault, Option<String>)>;

/// Reads the envelope. ITI TF-2 V.3.2; WS-Addressing 1.0 SOAP Binding 6.4. `understood` says which
/// header blocks the caller deals with, beside addressing.
pub fn read<'a, 'i>(
    doc: &'a Document<'i>,
    understood: &dyn Fn(Node<'_, '_>) -> bool,
) -> Result<SoapRequest<'a, 'i>, RequestFault> {
    let root = doc.root_element();
    envelope(root).map_err(|f| Box::new((f, None)))?;
    let header = tree::child(root, NS_SOAP12, "Header");
    let message_id = header
        .and_then(|h| tree::child(h, NS_WSA, "MessageID"))
        .map(|m| tree::text_of(m).trim().to_owned())
        .filter(|m| !m.is_empty());
    match parts(root, header, understood) {
        Ok((Addressing { action, reply_to, fault_to }, body)) => {
            Ok(SoapRequest { action, message_id, reply_to, fault_to, body })
        }
        Err(fault) => Err(Box::new((fault, message_id))),
    }
}

fn envelope(root: Node<'_, '_>) -> Result<(), Fault> {
    if tree::is(root, NS_SOAP12, "Envelope") {
        return Ok(());
    }
    let name = root.tag_name();
    if name.name() == "Envelope" {
        let found = name.namespace().unwrap_or("no namespace");
        let version = if found == NS_SOAP11 { "SOAP 1.1 " } else { "" };
        return Err(Fault {
            code: FaultCode::VersionMismatch,
            ..Fault::sender(format!(
                "the envelope is in namespace '{}' ({version}not supported); SOAP 1.2 is '{NS_SOAP12}'",
                clip(found)
            ))
        });
    }
    Err(Fault::sender(format!(
        "the root element is '{}'; a SOAP 1.2 Envelope is required (ITI TF-2 V.3)",
        clip(name.name())
    )))
}

fn parts<'a, 'i>(
    root: Node<'a, 'i>,
    header: Option<Node<'a, 'i>>,
    understood: &dyn Fn(Node<'_, '_>) -> bool,
) -> Result<(Addressing, Node<'a, 'i>), Fault> {
    let mut bodies = tree::children(root, NS_SOAP12, "Body");
    let body = bodies.next().ok_or_else(|| Fault::sender("the envelope has no soap:Body"))?;
    if bodies.next().is_some() || tree::children(root, NS_SOAP12, "Header").count() > 1 {
        return Err(Fault::sender("the envelope has more than one soap:Header or soap:Body"));
    }
    let addressing = match header {
        Some(header) => {
            must_understand(header, understood)?;
            addressing(header)?
        }
        None => return Err(action_missing()),
    };
    let mut payload = tree::elements(body);
    match (payload.next(), payload.next()) {
        (Some(only), None) => Ok((addressing, only)),
        (None, _) => Err(Fault::sender("soap:Body is empty; it holds the request element")),
        (Some(_), Some(second)) => Err(Fault::sender(format!(
            "soap:Body holds more than one element ('{}' is the second); exactly one is required",
            clip(second.tag_name().name())
        ))),
    }
}

fn action_missing() -> Fault {
    Fault::sender("the header wsa:Action is required (ITI TF-2 V.3.2.2)")
        .subcode("wsa:MessageAddressingHeaderRequired")
}

/// The addressing headers that say how a request is answered.
struct Addressing {
    action: String,
    reply_to: Address,
    fault_to: Option<Address>,
}

/// Action exactly once, the others at most once.
fn addressing(header: Node<'_, '_>) -> Result<Addressing, Fault> {
    for name in ADDRESSING {
        let count = tree::children(header, NS_WSA, name).count();
        // RelatesTo may repeat (WS-Addressing 1.0 Core 3.1).
        if count > 1 && name != "RelatesTo" {
            return Err(Fault::sender(format!(
                "the header wsa:{name} stands {count} times; once is allowed"
            ))
            .subcode("wsa:InvalidAddressingHeader"));
        }
    }
    let reply_to = endpoint(header, "ReplyTo")?.unwrap_or(Address::Anonymous);
    let fault_to = endpoint(header, "FaultTo")?;
    let action = tree::child(header, NS_WSA, "Action").ok_or_else(action_missing)?;
    let action = tree::text_of(action).trim().to_owned();
    if action.is_empty() { Err(action_missing()) } else { Ok(Addressing { action, reply_to, fault_to }) }
}

/// An endpoint reference. What it wants repeated in the answer (ReferenceParameters) is not supported away
/// from the connection, and an answer without it would not be understood.
fn endpoint(header: Node<'_, '_>, name: &str) -> Result<Option<Address>, Fault> {
    let Some(endpoint) = tree::child(header, NS_WSA, name) else { return Ok(None) };
    let invalid =
        |what: &str| Fault::sender(format!("wsa:{name} {what}")).subcode("wsa:InvalidAddressingHeader");
    let address = tree::child(endpoint, NS_WSA, "Address").ok_or_else(|| invalid("holds no wsa:Address"))?;
    let address = match tree::text_of(address).trim() {
        WSA_ANONYMOUS => Address::Anonymous,
        WSA_NONE => Address::None,
        other => Address::Elsewhere(other.to_owned()),
    };
    let parameters = tree::child(endpoint, NS_WSA, "ReferenceParameters");
    if parameters.is_some_and(|p| tree::elements(p).next().is_some())
        && matches!(address, Address::Elsewhere(_))
    {
        return Err(invalid("has wsa:ReferenceParameters, which are not supported"));
    }
    Ok(Some(address))
}

/// A header we must understand and do not stops the message (SOAP 1.2 Part 1, 2.4).
fn must_understand(header: Node<'_, '_>, understood: &dyn Fn(Node<'_, '_>) -> bool) -> Result<(), Fault> {
    let unknown: Vec<(String, String)> = tree::elements(header)
        .filter(|block| {
            let demanded = matches!(
                tree::attr_ns(*block, NS_SOAP12, "mustUnderstand").map(str::trim),
                Some("1" | "true")
            );
            let role = tree::attr_ns(*block, NS_SOAP12, "role").map(str::trim).filter(|r| !r.is_empty());
            let ours = role.is_none_or(|r| OUR_ROLES.contains(&r));
            let name = block.tag_name();
            let known = name.namespace() == Some(NS_WSA) && ADDRESSING.contains(&name.name());
            demanded && ours && !known && !understood(*block)
        })
        .map(|block| {
            let name = block.tag_name();
            (name.namespace().unwrap_or_default().to_owned(), name.name().to_owned())
        })
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let names: Vec<String> =
        unknown.iter().map(|(ns, name)| format!("{{{}}}{}", clip(ns), clip(name))).collect();
    Err(Fault {
        code: FaultCode::MustUnderstand,
        not_understood: unknown,
        ..Fault::sender(format!("header not understood: {}", names.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing"><s:Header><a:Action s:mustUnderstand="1"> urn:x </a:Action><a:MessageID>urn:uuid:1</a:MessageID><a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo></s:Header><s:Body><r xmlns="urn:r"/></s:Body></s:Envelope>"#;

    fn fault(xml: &str) -> (Fault, Option<String>) {
        let doc = tree::parse(xml).unwrap();
        *read(&doc, &|_| false).unwrap_err()
    }

    #[track_caller]
    fn spoiled(from: &str, to: &str) -> Fault {
        assert!(GOOD.contains(from));
        fault(&GOOD.replace(from, to)).0
    }

    #[test]
    fn a_good_envelope() {
        let doc = tree::parse(GOOD).unwrap();
        let r = read(&doc, &|_| false).unwrap();
        assert_eq!((r.action.as_str(), r.message_id.as_deref()), ("urn:x", Some("urn:uuid:1")));
        assert_eq!(r.body.tag_name().name(), "r");
    }

    #[test]
    fn soap_11_is_a_version_mismatch() {
        let f = spoiled("http://www.w3.org/2003/05/soap-envelope", NS_SOAP11);
        assert_eq!(f.code, FaultCode::VersionMismatch);
    }

    #[test]
    fn no_envelope_at_all() {
        assert_eq!(fault("<x/>").0.code, FaultCode::Sender);
    }

    #[test]
    fn action_absent() {
        let f = spoiled(r#"<a:Action s:mustUnderstand="1"> urn:x </a:Action>"#, "");
        assert_eq!(f.subcode, Some("wsa:MessageAddressingHeaderRequired"));
    }

    #[test]
    fn action_twice() {
        let f = spoiled("<a:MessageID>", "<a:Action>urn:y</a:Action><a:MessageID>");
        assert_eq!(f.subcode, Some("wsa:InvalidAddressingHeader"));
    }

    #[test]
    fn a_header_nobody_understands() {
        let f = spoiled("<a:MessageID>", r#"<z s:mustUnderstand="true" xmlns="urn:z"/><a:MessageID>"#);
        assert_eq!(f.code, FaultCode::MustUnderstand);
        assert_eq!(f.not_understood, [("urn:z".to_owned(), "z".to_owned())]);
    }

    #[test]
    fn a_header_for_another_role_is_not_ours() {
        let xml = GOOD.replace(
            "<a:MessageID>",
            r#"<z s:mustUnderstand="1" s:role="urn:other" xmlns="urn:z"/><a:MessageID>"#,
        );
        assert!(read(&tree::parse(&xml).unwrap(), &|_| false).is_ok());
    }

    #[test]
    fn where_the_answer_goes() {
        for (address, read_as) in [
            (WSA_ANONYMOUS, Address::Anonymous),
            (WSA_NONE, Address::None),
            (" http://10.0.0.1/hook ", Address::Elsewhere("http://10.0.0.1/hook".into())),
        ] {
            let xml = GOOD.replace(WSA_ANONYMOUS, address);
            assert_eq!(read(&tree::parse(&xml).unwrap(), &|_| false).unwrap().reply_to, read_as);
            let xml = GOOD.replace("a:ReplyTo>", "a:FaultTo>").replace(WSA_ANONYMOUS, address);
            let doc = tree::parse(&xml).unwrap();
            let r = read(&doc, &|_| false).unwrap();
            assert_eq!((r.reply_to, r.fault_to), (Address::Anonymous, Some(read_as)));
        }
    }

    #[test]
    fn an_endpoint_that_is_none() {
        let address = format!("<a:Address>{WSA_ANONYMOUS}</a:Address>");
        let parameters =
            "<a:Address>http://x/</a:Address><a:ReferenceParameters><z/></a:ReferenceParameters>";
        for other in ["", parameters] {
            assert_eq!(spoiled(&address, other).subcode, Some("wsa:InvalidAddressingHeader"));
        }
    }

    #[test]
    fn two_payloads() {
        assert_eq!(spoiled(r#"<r xmlns="urn:r"/>"#, r#"<r xmlns="urn:r"/><q/>"#).code, FaultCode::Sender);
    }

    #[test]
    fn an_empty_body() {
        assert_eq!(spoiled(r#"<r xmlns="urn:r"/>"#, "").code, FaultCode::Sender);
    }

    #[test]
    fn the_fault_knows_the_message_it_answers() {
        let xml = GOOD.replace(r#"<r xmlns="urn:r"/>"#, "");
        assert_eq!(fault(&xml).1.as_deref(), Some("urn:uuid:1"));
    }
}
