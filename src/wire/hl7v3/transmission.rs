//! The transmission wrapper: who sends what to whom (ITI TF-2 O.1; `MCCI_MT000100/200/300UV01`).

use roxmltree::Node;

use super::datatypes::{CS, II, Ii, TS, is_uid, write_code};
use super::problem::{Problem, code};
use super::shape::{self, MESSAGE};
use super::{Findings, INTERACTIONS, attr, child, descend};
use crate::model::error::clip;
use crate::model::hl7tables::Condition;
use crate::model::identity::Source;
use crate::model::namespace::NS_HL7V3;
use crate::wire::xml::XmlWriter;

/// A `device`, and the organization it acts for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Device {
    pub id: Ii,
    pub organization: Option<Ii>,
}

/// The wrapper of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// `PRPA_IN201301UV02`: the message's element.
    pub interaction: String,
    pub id: Ii,
    pub creation_time: String,
    /// `P`, `T` or `D`.
    pub processing: String,
    pub sender: Device,
    pub receiver: Device,
}

/// What a message of ours says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// A fresh UUID.
    pub id: String,
    /// As TS.
    pub time: String,
}

impl Header {
    /// Who sent it, as the MPI knows senders: devices and organizations by their OIDs.
    pub fn source(&self) -> Source {
        let organization = self.sender.organization.as_ref().and_then(|o| o.root.clone());
        Source {
            application: self.sender.id.root.clone().unwrap_or_default(),
            facility: organization.clone().unwrap_or_default(),
            facility_oid: organization,
            default_authority: None,
        }
    }

    /// Who answers: the organization asked, or its device.
    pub fn custodian(&self) -> &Ii {
        self.receiver.organization.as_ref().unwrap_or(&self.receiver.id)
    }
}

/// Reads the wrapper. Without an id the message has no name an acknowledgement could call it by.
pub(super) fn read<'a, 'i>(findings: &mut Findings<'a, 'i>) -> Result<Header, String> {
    let message = findings.message;
    let name = message.tag_name();
    let id = child(message, "id").map(Ii::read).unwrap_or_default();
    if id.root.as_ref().is_none_or(|root| !is_uid(root)) {
        return Err(format!(
            "{} has no id with a root that is an OID or a UUID, so no acknowledgement can name it \
             (ITI TF-2 O.1, MCCI_MT000100UV01)",
            clip(name.name())
        ));
    }
    shape::check(findings, message, MESSAGE);
    let version = attr(message, "ITSVersion");
    if version != Some("XML_1.0") {
        let text = format!("ITSVersion is '{}', not XML_1.0", clip(version.unwrap_or_default()));
        findings.problem(code::DATA_TYPE, message, text);
    }
    if let Some(node) = child(message, "id") {
        findings.typed(node, II);
    }
    let mut creation_time = String::new();
    if let Some(node) = child(message, "creationTime") {
        creation_time = findings.time(node, TS, false).unwrap_or_default();
        if creation_time.is_empty() && attr(node, "value").is_none() {
            findings.problem(code::REQUIRED, node, "creationTime has no value");
        }
    }
    if let Some(node) = child(message, "interactionId") {
        findings.typed(node, II);
        let said = attr(node, "extension").unwrap_or_default();
        // The element of a cancel is named apart, its interaction is not.
        let own = name.name().trim_end_matches("_Cancel");
        if said != own {
            let text = format!("interactionId is '{}', but the message is {own}", clip(said));
            findings.problem(code::MESSAGE_TYPE, node, text);
        }
    }
    let mut processing = String::new();
    if let Some(node) = child(message, "processingCode") {
        findings.typed(node, CS);
        processing = attr(node, "code").unwrap_or_default().to_owned();
        if !matches!(processing.as_str(), "P" | "T" | "D") {
            let text = format!("processingCode '{}' is not P, T or D", clip(&processing));
            findings.problem(code::PROCESSING, node, text);
            processing = "P".to_owned();
        }
    }
    if let Some(node) = child(message, "processingModeCode") {
        let said = attr(node, "code").unwrap_or_default();
        if said != "T" {
            let text = format!("processingModeCode '{}': only T (current processing) is done", clip(said));
            findings.problem(code::PROCESSING, node, text);
        }
    }
    let sender = device(findings, "sender");
    let receiver = device(findings, "receiver");
    Ok(Header { interaction: name.name().to_owned(), id, creation_time, processing, sender, receiver })
}

fn device<'a, 'i>(findings: &mut Findings<'a, 'i>, role: &'static str) -> Device {
    let Some(party) = child(findings.message, role) else { return Device::default() };
    let Some(device) = child(party, "device") else {
        findings.problem(code::REQUIRED, party, format!("device is missing from {role}"));
        return Device::default();
    };
    let read = known(device);
    // Whom it is for we are in any case.
    if role == "sender" && read.id.root.is_none() {
        findings.problem(code::REQUIRED, device, format!("the device of {role} has no id/@root"));
    }
    read
}

/// A device as far as it can be told, its ids such as an answer of ours may repeat.
fn known(device: Node<'_, '_>) -> Device {
    let valid = |ii: Ii| Some(ii).filter(|ii| ii.root.as_ref().is_some_and(|root| is_uid(root)));
    Device {
        id: child(device, "id").map(Ii::read).and_then(valid).unwrap_or_default(),
        organization: descend(device, &["asAgent", "representedOrganization", "id"])
            .map(Ii::read)
            .and_then(valid),
    }
}

/// What to write into a wrapper.
pub struct Wrapper<'w> {
    pub interaction: &'static str,
    pub own: &'w Own,
    pub processing: &'w str,
    /// `AL` in requests and feeds, `NE` in answers.
    pub accept_ack: &'static str,
    pub receiver: &'w Device,
    pub sender: &'w Device,
}

/// Opens the message's element and writes its wrapper; what follows is the caller's.
pub fn open(w: &mut XmlWriter<'static>, wrapper: &Wrapper<'_>) {
    w.open(wrapper.interaction).attr("xmlns", NS_HL7V3).attr("ITSVersion", "XML_1.0");
    w.empty("id", &[("root", &wrapper.own.id)]);
    w.empty("creationTime", &[("value", &wrapper.own.time)]);
    w.empty(
        "interactionId",
        &[("root", INTERACTIONS), ("extension", wrapper.interaction.trim_end_matches("_Cancel"))],
    );
    write_code(w, "processingCode", wrapper.processing);
    write_code(w, "processingModeCode", "T");
    write_code(w, "acceptAckCode", wrapper.accept_ack);
    party(w, "receiver", "RCV", wrapper.receiver);
    party(w, "sender", "SND", wrapper.sender);
}

fn party(w: &mut XmlWriter<'static>, name: &'static str, type_code: &str, device: &Device) {
    w.open(name).attr("typeCode", type_code);
    w.open("device").attr("classCode", "DEV").attr("determinerCode", "INSTANCE");
    device.id.write(w, "id");
    if let Some(organization) = &device.organization {
        w.open("asAgent").attr("classCode", "AGNT");
        w.open("representedOrganization").attr("classCode", "ORG").attr("determinerCode", "INSTANCE");
        organization.write(w, "id");
        w.close().close();
    }
    w.close().close();
}

/// The wrapper of an answer to `header`: sender and receiver change places.
pub fn open_answer(w: &mut XmlWriter<'static>, interaction: &'static str, header: &Header, own: &Own) {
    let wrapper = Wrapper {
        interaction,
        own,
        processing: if header.processing.is_empty() { "P" } else { &header.processing },
        accept_ack: "NE",
        receiver: &header.sender,
        sender: &header.receiver,
    };
    open(w, &wrapper);
}

/// `acknowledgement` of the message that `header` is of.
pub fn acknowledge(w: &mut XmlWriter<'static>, type_code: &str, header: &Header, details: &[Problem]) {
    w.open("acknowledgement");
    write_code(w, "typeCode", type_code);
    w.open("targetMessage");
    header.id.write(w, "id");
    w.close();
    for detail in details {
        w.open("acknowledgementDetail").attr("typeCode", detail.severity);
        if !detail.code.is_empty() {
            w.empty("code", &[("code", detail.code), ("codeSystem", Condition::SYSTEM)]);
        }
        w.leaf("text", &detail.text);
        if let Some(location) = detail.location.as_deref().filter(|l| !l.is_empty()) {
            w.leaf("location", location);
        }
        w.close();
    }
    w.close();
}

/// The wrapper of a message that a client sends for a device to another, both by their OIDs.
pub fn open_request(
    w: &mut XmlWriter<'static>,
    interaction: &'static str,
    own: &Own,
    processing: &str,
    sender: &Device,
    receiver: &Device,
) {
    open(w, &Wrapper { interaction, own, processing, accept_ack: "AL", receiver, sender });
}
