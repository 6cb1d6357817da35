//! ITI-55 Cross Gateway Patient Discovery: the question (`PRPA_IN201305UV02` under the constraints of ITI TF-2
//! 3.55.4.1.2), and how long what it brings may be kept. What is answered: [`xcpd_answer`](super::xcpd_answer).
//!
//! Values of one parameter are alternatives, which is what tells it from ITI-47: nobody is searched for, somebody is
//! described.

use std::fmt;

use roxmltree::Node;

use super::datatypes::{CE, IVL_TS, Ii, is_uid, write_address, write_name, write_phone};
use super::person::{self, MOST_IDS};
use super::problem::{Paths, code};
use super::query::{self, Asked};
use super::shape::{self, MATCH_CRITERIA, PARAMETER, PDQ_PARAMETERS, PDQ_QUERY, QUERY_ACT};
use super::transmission::{self, Device, Header, Own, Wrapper};
use super::{Findings, INTERACTIONS, Reading, Refused, attr, child, children, descend, echo, pdq};
use crate::model::identity::text::is_time;
use crate::model::identity::{Discovery, Field, Place, TimeToLive, Warning};
use crate::model::ids::{HomeCommunityId, Oid};
use crate::model::namespace::{NS_SOAP12, NS_XCPD};
use crate::wire::xml::{XmlWriter, tree};

pub const QUERY: &str = pdq::QUERY;
pub const ANSWER: &str = pdq::ANSWER;

/// The Action of the question that is answered at once.
pub const ACTION: &str = "urn:hl7-org:v3:PRPA_IN201305UV02:CrossGatewayPatientDiscovery";
/// The Action of its answer.
pub const ANSWER_ACTION: &str = "urn:hl7-org:v3:PRPA_IN201306UV02:CrossGatewayPatientDiscovery";
/// The Action of the question whose answer comes later, which is acknowledged at once.
pub const DEFERRED_ACTION: &str = "urn:hl7-org:v3:PRPA_IN201305UV02:Deferred:CrossGatewayPatientDiscovery";
/// The Action of that later answer.
pub const DEFERRED_ANSWER_ACTION: &str =
    "urn:hl7-org:v3:PRPA_IN201306UV02:Deferred:CrossGatewayPatientDiscovery";

/// The name of the header [`time_to_live`] reads.
const HEADER: &str = "CorrelationTimeToLive";

/// A question as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Read {
    pub header: Header,
    pub discovery: Discovery,
    pub asked: Asked,
    /// Who asks.
    pub home: HomeCommunityId,
    /// The asker's assigning authority: its id among those of the question is the one to ask it by
    /// (ITI TF-2 3.55.4.1.2.4).
    pub authority: Option<String>,
    /// The answer is wanted later, at this address.
    pub respond_to: Option<String>,
    pub warnings: Vec<Warning>,
    pub paths: Paths,
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Read({}, {})", self.header.interaction, self.home)
    }
}

/// Reads a question.
pub fn read(node: Node<'_, '_>) -> Reading<Read> {
    let mut findings = Findings::new(node);
    // Initial load: of a question it says nothing, and senders copy it.
    let header = transmission::read_in(&mut findings, &["T", "I"])?;
    let home = community(&mut findings);
    let mut asked = Asked::default();
    let mut discovery = Discovery::default();
    let (mut authority, mut respond_to) = (None, None);
    if let Some(act) = child(node, "controlActProcess") {
        shape::check(&mut findings, act, QUERY_ACT);
        authority = children(act, "authorOrPerformer")
            .filter(|a| attr(*a, "typeCode") == Some("AUT"))
            .find_map(|a| descend(a, &["assignedDevice", "id"]))
            .and_then(|id| Ii::read(id).root)
            .filter(|root| is_uid(root));
        if let Some(by) = child(act, "queryByParameter") {
            shape::check(&mut findings, by, PDQ_QUERY);
            asked.id = query::asked(&mut findings, by, true);
            if query::is_deferred(by) {
                respond_to = address_of_answer(&mut findings, by);
            }
            if let Some(quantity) = child(by, "initialQuantity") {
                let text = "initialQuantity is not supported: whoever matches is told at once (ITI TF-2 3.55.4.1.2.1)";
                findings.problem(code::TABLE_VALUE, quantity, text);
            }
            if let Some(list) = child(by, "parameterList") {
                discovery = parameters(&mut findings, list);
            }
            discovery.least = pdq::minimum(&mut findings, by);
            if findings.problems.is_empty() {
                asked.echo = echo::copy(by, PDQ_QUERY, PDQ_PARAMETERS, MATCH_CRITERIA);
            }
        }
    }
    let Findings { problems, paths, warnings, .. } = findings;
    match home {
        Some(home) if problems.is_empty() => {
            Ok(Ok(Read { header, discovery, asked, home, authority, respond_to, warnings, paths }))
        }
        _ => Ok(Err(Box::new(Refused { header, problems, query: Some(asked) }))),
    }
}

/// Who asks: an OID without `urn:oid:` (ITI TF-2 3.55.4.1.2.4).
fn community(findings: &mut Findings<'_, '_>) -> Option<HomeCommunityId> {
    let device = descend(findings.message, &["sender", "device"])?;
    let Some(id) = descend(device, &["asAgent", "representedOrganization", "id"]) else {
        let text = "sender/device/asAgent/representedOrganization/id is missing: which community asks?";
        findings.problem(code::REQUIRED, device, text);
        return None;
    };
    let root = attr(id, "root").unwrap_or_default();
    let oid = Oid::parse(root);
    if oid.is_none() {
        let text = "the root of the asking community is no OID (homeCommunityId without 'urn:oid:')";
        findings.problem(code::DATA_TYPE, id, text);
    }
    oid.map(HomeCommunityId::from)
}

fn address_of_answer<'a, 'i>(findings: &mut Findings<'a, 'i>, by: Node<'a, 'i>) -> Option<String> {
    let address = descend(findings.message, &["respondTo", "telecom"]).and_then(|t| attr(t, "value"));
    if address.is_none() {
        let text =
            "responsePriorityCode D asks for the answer later, but respondTo/telecom does not say where";
        findings.problem(code::REQUIRED, by, text);
    }
    address.map(str::to_owned)
}

/// `parameterList`: whom it describes.
fn parameters<'a, 'i>(findings: &mut Findings<'a, 'i>, list: Node<'a, 'i>) -> Discovery {
    shape::check(findings, list, PDQ_PARAMETERS);
    let mut discovery = Discovery::default();
    let mut seen: Vec<&str> = vec![];
    let mut count = 0_usize;
    for parameter in tree::elements(list) {
        let name = parameter.tag_name().name();
        if name == "id" {
            continue;
        }
        count += 1;
        if count > MOST_IDS {
            findings.problem(code::SEQUENCE, parameter, format!("more than {MOST_IDS} parameters"));
            break;
        }
        shape::check(findings, parameter, PARAMETER);
        if seen.contains(&name) && !REPEATED.contains(&name) {
            findings.problem(code::TABLE_VALUE, parameter, format!("{name} stands twice; once is allowed"));
            continue;
        }
        seen.push(name);
        for value in children(parameter, "value").take(MOST_IDS) {
            self::parameter(findings, &mut discovery, parameter, value);
        }
    }
    if count == 0 {
        findings.problem(code::REQUIRED, list, "parameterList says nothing of whom is meant");
    }
    discovery
}

/// Parameters that may repeat: several names are alternatives, of ids all are meant.
const REPEATED: [&str; 2] = ["livingSubjectName", "livingSubjectId"];

fn parameter<'a, 'i>(
    findings: &mut Findings<'a, 'i>,
    discovery: &mut Discovery,
    parameter: Node<'a, 'i>,
    value: Node<'a, 'i>,
) {
    let name = parameter.tag_name().name();
    let of = &mut discovery.described;
    match name {
        "livingSubjectAdministrativeGender" => {
            findings.typed(value, CE);
            of.sex = person::sex(findings, value).or(of.sex.take());
        }
        "livingSubjectBirthTime" => of.birth_date = birth(findings, value).or(of.birth_date.take()),
        "livingSubjectId" => {
            if let Some(id) = person::id(findings, value, Field::QueryParameter, None) {
                if id.authority.is_empty() {
                    findings.problem(code::REQUIRED, value, "the id names no assigning authority (root)");
                }
                discovery.ids.push(id);
            }
        }
        "livingSubjectName" => {
            let uses = attr(value, "use").unwrap_or_default();
            if uses.split_ascii_whitespace().any(|u| u == "SRCH") {
                let text = "use=\"SRCH\" is not allowed: a patient is discovered by their names, not by parts of \
                            them (ITI TF-2 3.55.4.1.2.2)";
                findings.problem(code::TABLE_VALUE, value, text);
            }
            if let Some(name) = findings.name(value) {
                of.names.get_or_insert_default().push(name);
            }
        }
        "mothersMaidenName" => of.mother_maiden_name = findings.name(value).or(of.mother_maiden_name.take()),
        "patientAddress" => {
            if let Some(address) = findings.address(value) {
                of.addresses.get_or_insert_default().push(address);
            }
        }
        "patientTelecom" => {
            if let Some(phone) = findings.phone(value) {
                of.phones.get_or_insert_default().push(phone);
            }
        }
        // Nothing here is compared with it, and nobody is told for want of it.
        "livingSubjectBirthPlaceAddress" | "livingSubjectBirthPlaceName" => {}
        // To leave out what somebody asks for would tell of people they did not ask for.
        _ => findings.problem(code::TABLE_VALUE, parameter, format!("{name} is not supported")),
    }
}

/// A day; one that no calendar has is kept as it was said: it may be one digit off.
fn birth<'a, 'i>(findings: &mut Findings<'a, 'i>, value: Node<'a, 'i>) -> Option<String> {
    let said = attr(value, "value").filter(|said| said.len() <= 26 && !is_time(said, true));
    let Some(said) = said else { return pdq::birth(findings, value) };
    if !said.bytes().all(|b| b.is_ascii_digit()) {
        return pdq::birth(findings, value);
    }
    findings.typed(value, IVL_TS);
    let text = "livingSubjectBirthTime is no day of the calendar".to_owned();
    findings.warnings.push(Warning { place: Place::of(Field::BirthDate), text });
    Some(said.to_owned())
}

/// `xcpd:CorrelationTimeToLive` of the envelope that a body element stands in. What is no duration is as good as
/// none: nothing is kept then.
pub fn time_to_live(body: Node<'_, '_>) -> Option<TimeToLive> {
    let envelope = body.document().root_element();
    let header = tree::child(envelope, NS_SOAP12, "Header")?;
    TimeToLive::parse(&tree::text_of(tree::child(header, NS_XCPD, HEADER)?))
}

/// Whether a header block is ours to understand.
pub fn understands(header: Node<'_, '_>) -> bool {
    tree::is(header, NS_XCPD, HEADER)
}

/// Writes the header.
pub fn write_time_to_live(w: &mut XmlWriter<'static>, time: &TimeToLive) {
    w.open("xcpd:CorrelationTimeToLive").attr("xmlns:xcpd", NS_XCPD).text(&time.to_string()).close();
}

/// A question to send.
pub struct Outgoing<'o> {
    /// With our community as its organization.
    pub sender: &'o Device,
    pub receiver: &'o Device,
    /// A fresh UUID.
    pub query_id: &'o str,
    pub discovery: &'o Discovery,
    /// Our assigning authority, an id of which is among those of the question.
    pub authority: Option<&'o str>,
    /// Where the answer is wanted, if later.
    pub respond_to: Option<&'o str>,
}

/// The device of a community: its OID as the organization it acts for, and as its own where it has no other.
pub fn device(home: &HomeCommunityId, device: Option<&str>) -> Device {
    let oid = home.oid().as_str();
    Device { id: Ii::of(device.unwrap_or(oid)), organization: Some(Ii::of(oid)) }
}

pub fn write_query(w: &mut XmlWriter<'static>, own: &Own, out: &Outgoing<'_>) {
    let Discovery { described, ids, least } = out.discovery;
    let wrapper = Wrapper {
        interaction: QUERY,
        own,
        processing: "P",
        accept_ack: "AL",
        receiver: out.receiver,
        respond_to: out.respond_to,
        sender: out.sender,
    };
    transmission::open(w, &wrapper);
    w.open("controlActProcess").attr("classCode", "CACT").attr("moodCode", "EVN");
    w.empty("code", &[("code", "PRPA_TE201305UV02"), ("codeSystem", INTERACTIONS)]);
    if let Some(authority) = out.authority {
        w.open("authorOrPerformer").attr("typeCode", "AUT");
        w.open("assignedDevice").attr("classCode", "ASSIGNED").empty("id", &[("root", authority)]);
        w.close().close();
    }
    w.open("queryByParameter");
    w.empty("queryId", &[("root", out.query_id)]);
    let priority = if out.respond_to.is_some() { "D" } else { "I" };
    for (name, code) in
        [("statusCode", "new"), ("responseModalityCode", "R"), ("responsePriorityCode", priority)]
    {
        w.empty(name, &[("code", code)]);
    }
    if *least > 0 {
        w.open("matchCriterionList").open("minimumDegreeMatch");
        w.open("value").attr("xmlns:xsi", super::datatypes::NS_XSI).attr("xsi:type", "INT");
        w.attr("value", &least.to_string()).close();
        semantics(w, "MatchCriterionList.minimumDegreeMatch").close();
    }
    w.open("parameterList");
    if let Some(sex) = &described.sex {
        let code = if matches!(sex.as_str(), "M" | "F") { sex.as_str() } else { "UN" };
        w.open("livingSubjectAdministrativeGender").empty("value", &[("code", code)]);
        semantics(w, "LivingSubject.administrativeGender");
    }
    if let Some(date) = &described.birth_date {
        w.open("livingSubjectBirthTime").empty("value", &[("value", date)]);
        semantics(w, "LivingSubject.birthTime");
    }
    for id in ids {
        let ii = Ii {
            root: id.authority.universal_id.clone(),
            extension: Some(id.value.clone()),
            authority_name: id.authority.namespace.clone(),
        };
        w.open("livingSubjectId");
        ii.write(w, "value");
        semantics(w, "LivingSubject.id");
    }
    for name in described.names.iter().flatten() {
        w.open("livingSubjectName");
        write_name(w, "value", name);
        semantics(w, "LivingSubject.name");
    }
    if let Some(name) = &described.mother_maiden_name {
        w.open("mothersMaidenName");
        write_name(w, "value", name);
        semantics(w, "Person.MothersMaidenName");
    }
    if let Some(addresses) = described.addresses.as_ref().filter(|a| !a.is_empty()) {
        w.open("patientAddress");
        addresses.iter().for_each(|address| write_address(w, "value", address));
        semantics(w, "Patient.addr");
    }
    if let Some(phones) = described.phones.as_ref().filter(|p| !p.is_empty()) {
        w.open("patientTelecom");
        phones.iter().for_each(|phone| write_phone(w, "value", phone));
        semantics(w, "Patient.telecom");
    }
    w.close().close().close().close();
}

/// Ends a parameter.
fn semantics<'w>(w: &'w mut XmlWriter<'static>, text: &str) -> &'w mut XmlWriter<'static> {
    w.leaf("semanticsText", text).close()
}
