//! ITI-44: a record added, revised, or two of them joined (`PRPA_IN201301UV02`, `…302…`, `…304…`; ITI TF-2
//! 3.44.4.1). ITI-46 is a revision with ids and names alone.

use std::fmt;

use roxmltree::Node;

use super::datatypes::{CS, IVL_TS, Ii};
use super::person::{self, Extent, MOST_IDS};
use super::problem::{Paths, code};
use super::shape::{
    self, EVENT_ACT, PATIENT, PRIOR_REGISTRATION, PRIOR_SUBJECT, REGISTRATION_EVENT, REPLACEMENT, SUBJECT,
    SUBJECT1,
};
use super::transmission::{self, Device, Header, Own};
use super::{Findings, INTERACTIONS, Reading, Refused, attr, child, children, descend};
use crate::model::error::clip;
use crate::model::identity::{Demographics, Feed, FeedMessage, Field, SentId, Update};
use crate::wire::xml::XmlWriter;

pub const ADDED: &str = "PRPA_IN201301UV02";
pub const REVISED: &str = "PRPA_IN201302UV02";
pub const RESOLVED: &str = "PRPA_IN201304UV02";

/// A feed as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Read {
    pub header: Header,
    pub message: FeedMessage,
    pub paths: Paths,
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Read({})", self.header.interaction)
    }
}

/// Reads a feed.
pub fn read(node: Node<'_, '_>) -> Reading<Read> {
    let mut findings = Findings::new(node);
    let header = transmission::read(&mut findings)?;
    let act = child(node, "controlActProcess");
    let event = act.and_then(|act| registration_event(&mut findings, act));
    let mut occurred = None;
    if let Some(time) = act.and_then(|act| child(act, "effectiveTime")) {
        occurred = findings.time(time, IVL_TS, false);
    }
    let feed = event.and_then(|event| match header.interaction.as_str() {
        RESOLVED => merge(&mut findings, event),
        _ => upsert(&mut findings, event),
    });
    let Findings { problems, warnings, paths, .. } = findings;
    let feed = match feed {
        Some(feed) if problems.is_empty() => feed,
        _ => return Ok(Err(Box::new(Refused { header, problems, query: None }))),
    };
    let raw = node.document().input_text().get(node.range()).unwrap_or_default();
    let message = FeedMessage {
        source: header.source(),
        control_id: header.id.key(),
        event: header.interaction.clone(),
        occurred: occurred.or_else(|| Some(header.creation_time.clone()).filter(|t| !t.is_empty())),
        feed,
        warnings,
        raw: raw.as_bytes().to_vec(),
    };
    Ok(Ok(Read { header, message, paths }))
}

/// `registrationEvent` of the one patient a message is about.
fn registration_event<'a, 'i>(findings: &mut Findings<'a, 'i>, act: Node<'a, 'i>) -> Option<Node<'a, 'i>> {
    shape::check(findings, act, EVENT_ACT);
    let subject = child(act, "subject")?;
    shape::check(findings, subject, SUBJECT);
    let event = child(subject, "registrationEvent")?;
    shape::check(findings, event, REGISTRATION_EVENT);
    if let Some(status) = child(event, "statusCode") {
        findings.typed(status, CS);
        let said = attr(status, "code").unwrap_or_default();
        if said != "active" {
            let text = format!("statusCode of the registrationEvent is '{}', not active", clip(said));
            findings.problem(code::TABLE_VALUE, status, text);
        }
    }
    Some(event)
}

fn patient<'a, 'i>(findings: &mut Findings<'a, 'i>, event: Node<'a, 'i>) -> Option<Node<'a, 'i>> {
    let subject = child(event, "subject1")?;
    shape::check(findings, subject, SUBJECT1);
    let patient = child(subject, "patient")?;
    shape::check(findings, patient, PATIENT);
    Some(patient)
}

fn upsert<'a, 'i>(findings: &mut Findings<'a, 'i>, event: Node<'a, 'i>) -> Option<Feed> {
    let patient = patient(findings, event)?;
    // Optional in the schema, required by the profile (ITI TF-2 3.44.4.1.2).
    if child(patient, "providerOrganization").is_none() {
        let text = "providerOrganization is missing: whose ids these are";
        findings.problem(code::REQUIRED, patient, text);
    }
    if let Some(replacement) = child(event, "replacementOf") {
        let text = format!("replacementOf belongs into {RESOLVED} (ITI TF-2 3.44.4.1.2)");
        findings.problem(code::SEQUENCE, replacement, text);
    }
    let ids = person::ids(findings, patient);
    if ids.is_empty() && child(patient, "id").is_some() {
        findings.problem(code::REQUIRED, patient, "no id of the patient has an extension");
    }
    let mut sent = person::sent(findings, child(patient, "patientPerson")?);
    // Addresses and telephones may stand at the patient's role, too.
    let addresses: Vec<_> =
        children(patient, "addr").take(MOST_IDS).filter_map(|n| findings.address(n)).collect();
    let phones: Vec<_> =
        children(patient, "telecom").take(MOST_IDS).filter_map(|n| findings.phone(n)).collect();
    if sent.addresses == Update::Keep && !addresses.is_empty() {
        sent.addresses = Update::Set(addresses);
    }
    if sent.phones == Update::Keep && !phones.is_empty() {
        sent.phones = Update::Set(phones);
    }
    (!ids.is_empty()).then(|| Feed::Upsert { ids, sent: Box::new(sent) })
}

/// The surviving ids in `Patient/id`, the one subsumed in `priorRegisteredRole/id`; what else is said of the
/// patient is not taken (ITI TF-2 3.44.4.1.2).
fn merge<'a, 'i>(findings: &mut Findings<'a, 'i>, event: Node<'a, 'i>) -> Option<Feed> {
    let patient = patient(findings, event)?;
    if let Some(person) = child(patient, "patientPerson") {
        shape::check(findings, person, shape::PERSON);
    }
    let provider = descend(patient, &["providerOrganization", "id"]).map(Ii::read);
    let surviving: Vec<SentId> = children(patient, "id")
        .take(MOST_IDS)
        .filter_map(|node| person::id(findings, node, Field::Identifier, provider.as_ref()))
        .collect();
    if surviving.is_empty() && child(patient, "id").is_some() {
        findings.problem(code::REQUIRED, patient, "no id of the surviving patient has an extension");
    }
    let replacements: Vec<Node<'a, 'i>> = children(event, "replacementOf").take(2).collect();
    let Some(replacement) = replacements.first() else {
        let text = format!("replacementOf is missing: {RESOLVED} names the id that is subsumed");
        findings.problem(code::REQUIRED, event, text);
        return None;
    };
    if let Some(second) = replacements.get(1) {
        findings.problem(code::SEQUENCE, *second, "one message joins one pair; replacementOf stands twice");
    }
    shape::check(findings, *replacement, REPLACEMENT);
    let prior = child(*replacement, "priorRegistration")?;
    shape::check(findings, prior, PRIOR_REGISTRATION);
    if let Some(status) = child(prior, "statusCode")
        && let said = attr(status, "code").unwrap_or_default()
        && said != "obsolete"
    {
        let text = format!("statusCode of the priorRegistration is '{}', not obsolete", clip(said));
        findings.problem(code::TABLE_VALUE, status, text);
    }
    let subject = child(prior, "subject1")?;
    shape::check(findings, subject, PRIOR_SUBJECT);
    let role = child(subject, "priorRegisteredRole")?;
    let nodes: Vec<Node<'a, 'i>> = children(role, "id").take(2).collect();
    if let Some(second) = nodes.get(1) {
        findings.problem(code::SEQUENCE, *second, "priorRegisteredRole names more than one id");
    }
    let subsumed =
        nodes.first().and_then(|node| person::id(findings, *node, Field::PriorIdentifier, provider.as_ref()));
    let Some(subsumed) = subsumed else {
        findings.problem(code::REQUIRED, role, "priorRegisteredRole has no id with an extension");
        return None;
    };
    (!surviving.is_empty()).then(|| Feed::Merge { surviving, subsumed: vec![subsumed] })
}

/// A feed to send: [`ADDED`], [`REVISED`], or with a subsumed id [`RESOLVED`].
pub struct Outgoing<'o> {
    pub interaction: &'static str,
    pub sender: &'o Device,
    pub receiver: &'o Device,
    pub ids: &'o [Ii],
    pub demographics: &'o Demographics,
    pub subsumed: Option<&'o Ii>,
}

/// Writes an ITI-44 message.
pub fn write(w: &mut XmlWriter<'static>, own: &Own, feed: &Outgoing<'_>) {
    event(w, own, feed, Extent::Whole);
}

/// Writes an ITI-46 message: the ids of a patient, and names (ITI TF-2 3.46.4.1.2).
pub fn write_notification(
    w: &mut XmlWriter<'static>,
    own: &Own,
    sender: &Device,
    receiver: &Device,
    ids: &[Ii],
    demographics: &Demographics,
) {
    let feed = Outgoing { interaction: REVISED, sender, receiver, ids, demographics, subsumed: None };
    event(w, own, &feed, Extent::Ids);
}

fn event(w: &mut XmlWriter<'static>, own: &Own, feed: &Outgoing<'_>, extent: Extent) {
    transmission::open_request(w, feed.interaction, own, "P", feed.sender, feed.receiver);
    let trigger = feed.interaction.replacen("_IN", "_TE", 1);
    w.open("controlActProcess").attr("classCode", "CACT").attr("moodCode", "EVN");
    w.empty("code", &[("code", &trigger), ("codeSystem", INTERACTIONS)]);
    w.open("subject").attr("typeCode", "SUBJ");
    open_event(w);
    person::open_patient(w, feed.ids, &[], feed.demographics, extent);
    w.close().close();
    write_custodian(w, feed.sender.organization.as_ref().unwrap_or(&feed.sender.id));
    if let Some(subsumed) = feed.subsumed {
        w.open("replacementOf").attr("typeCode", "RPLC");
        w.open("priorRegistration").attr("classCode", "REG").attr("moodCode", "EVN");
        w.empty("statusCode", &[("code", "obsolete")]);
        w.open("subject1").attr("typeCode", "SBJ");
        w.open("priorRegisteredRole").attr("classCode", "PAT");
        subsumed.write(w, "id");
        w.close().close().close().close();
    }
    w.close().close().close().close();
}

/// `registrationEvent` up to where its `patient` begins.
pub(super) fn open_event(w: &mut XmlWriter<'static>) {
    w.open("registrationEvent").attr("classCode", "REG").attr("moodCode", "EVN");
    w.empty("id", &[("nullFlavor", "NA")]);
    w.empty("statusCode", &[("code", "active")]);
    w.open("subject1").attr("typeCode", "SBJ");
}

/// Who keeps the record.
pub(super) fn write_custodian(w: &mut XmlWriter<'static>, id: &Ii) {
    w.open("custodian").attr("typeCode", "CST");
    w.open("assignedEntity").attr("classCode", "ASSIGNED");
    id.write(w, "id");
    w.close().close();
}
