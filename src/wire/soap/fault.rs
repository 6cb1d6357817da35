//! SOAP 1.2 faults with their WS-Addressing action. SOAP 1.2 Part 1, 5.4.

use super::response::{open, related};
use crate::model::error::{Fault, FaultCode};
use crate::model::namespace::{NS_WSSE, NS_XML, SOAP_FAULT_ACTION, WSA_FAULT_ACTION};
use crate::wire::xml::XmlWriter;

/// Writes the fault. `request_id` stands in Detail, so that a vendor can quote it and an operator
/// can find it in the log.
pub fn write_fault(fault: &Fault, relates_to: Option<&str>, request_id: &str) -> String {
    write_fault_to(fault, relates_to, None, request_id)
}

/// The same, sent by itself: `own` are its MessageID and the address it goes to.
pub fn write_fault_to(
    fault: &Fault,
    relates_to: Option<&str>,
    own: Option<(&str, &str)>,
    request_id: &str,
) -> String {
    let mut w = XmlWriter::with_capacity(1500);
    let addressing = fault.subcode.is_some_and(|s| s.starts_with("wsa:"));
    open(&mut w, if addressing { WSA_FAULT_ACTION } else { SOAP_FAULT_ACTION });
    related(&mut w, relates_to, own);
    for (ns, name) in &fault.not_understood {
        // No prefix can stand for no namespace, and only `xml` for its own (Namespaces in XML 1.0, 3).
        match ns.as_str() {
            "" => w.empty("soap:NotUnderstood", &[("qname", name)]),
            NS_XML => w.empty("soap:NotUnderstood", &[("qname", &format!("xml:{name}"))]),
            _ => w.empty("soap:NotUnderstood", &[("qname", &format!("n:{name}")), ("xmlns:n", ns)]),
        };
    }
    if fault.code == FaultCode::VersionMismatch {
        w.open("soap:Upgrade").empty("soap:SupportedEnvelope", &[("qname", "soap:Envelope")]).close();
    }
    w.close().open("soap:Body").open("soap:Fault");
    w.open("soap:Code").leaf("soap:Value", &format!("soap:{}", fault.code.as_str()));
    if let Some(subcode) = fault.subcode {
        w.open("soap:Subcode").open("soap:Value");
        if subcode.starts_with("wsse:") {
            w.attr("xmlns:wsse", NS_WSSE);
        }
        w.text(subcode).close().close();
    }
    w.close();
    w.open("soap:Reason").open("soap:Text").attr("xml:lang", "en").text(&fault.reason).close().close();
    w.open("soap:Detail").open("RequestId").attr("xmlns", "urn:chiren:fault").text(request_id);
    w.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::namespace::NS_SOAP12;
    use crate::wire::xml::tree;

    #[track_caller]
    fn not_understood(ns: &str, qname: &str, declared: Option<&str>) {
        let fault = Fault {
            code: FaultCode::MustUnderstand,
            not_understood: vec![(ns.to_owned(), "h".to_owned())],
            ..Fault::sender("header not understood")
        };
        let written = write_fault(&fault, None, "1");
        let doc = tree::parse(&written).unwrap();
        let header = tree::child(doc.root_element(), NS_SOAP12, "Header").unwrap();
        let named = tree::child(header, NS_SOAP12, "NotUnderstood").unwrap();
        assert_eq!(tree::attr(named, "qname"), Some(qname));
        assert_eq!(named.lookup_namespace_uri(Some("n")), declared);
    }

    #[test]
    fn a_header_not_understood_is_named_with_its_namespace() {
        not_understood("urn:z", "n:h", Some("urn:z"));
    }

    #[test]
    fn no_prefix_is_declared_for_no_namespace() {
        not_understood("", "h", None);
    }

    #[test]
    fn no_prefix_is_declared_for_the_namespace_of_xml() {
        not_understood(NS_XML, "xml:h", None);
    }
}
