//! SOAP 1.2 faults with their WS-Addressing action. SOAP 1.2 Part 1, 5.4.

use super::response::open;
use crate::model::error::{Fault, FaultCode};
use crate::model::namespace::{NS_WSSE, SOAP_FAULT_ACTION, WSA_FAULT_ACTION};
use crate::wire::xml::XmlWriter;

/// Writes the fault. `request_id` stands in Detail, so that a vendor can quote it and an operator
/// can find it in the log.
pub fn write_fault(fault: &Fault, relates_to: Option<&str>, request_id: &str) -> String {
    let mut w = XmlWriter::with_capacity(1500);
    let addressing = fault.subcode.is_some_and(|s| s.starts_with("wsa:"));
    open(&mut w, if addressing { WSA_FAULT_ACTION } else { SOAP_FAULT_ACTION });
    if let Some(id) = relates_to {
        w.leaf("wsa:RelatesTo", id);
    }
    for (ns, name) in &fault.not_understood {
        let qname = format!("n:{name}");
        w.empty("soap:NotUnderstood", &[("qname", &qname), ("xmlns:n", ns)]);
    }
    if fault.code == FaultCode::VersionMismatch {
        w.open("soap:Upgrade").empty("soap:SupportedEnvelope", &[("qname", "soap:Envelope")]).close();
    }
    w.close().open("soap:Body").open("soap:Fault");
    w.open("soap:Code").leaf(
        "soap:Value",
        match fault.code {
            FaultCode::VersionMismatch => "soap:VersionMismatch",
            FaultCode::MustUnderstand => "soap:MustUnderstand",
            FaultCode::Sender => "soap:Sender",
            FaultCode::Receiver => "soap:Receiver",
        },
    );
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
