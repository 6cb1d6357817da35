//! ITI-45: which ids a patient has elsewhere (`PRPA_IN201309UV02`, answered by `PRPA_IN201310UV02`; ITI TF-2
//! 3.45.4).

use std::fmt;

use roxmltree::Node;

use super::ack::{self, Ack, Acknowledgement};
use super::datatypes::Ii;
use super::feed::{open_event, write_custodian};
use super::person::{self, Extent, MOST_IDS};
use super::problem::{Paths, Problem, code};
use super::query::{self, Asked, QueryAck};
use super::shape::{self, PARAMETER, PIX_PARAMETERS, PIX_QUERY, QUERY_ACT};
use super::transmission::{self, Device, Header, Own};
use super::{Findings, INTERACTIONS, Reading, Refused, child, children, descend, echo};
use crate::model::identity::{Authority, Demographics, Field, PixQuery, SentId};
use crate::model::namespace::NS_HL7V3;
use crate::wire::xml::{XmlWriter, tree};

pub const QUERY: &str = "PRPA_IN201309UV02";
pub const ANSWER: &str = "PRPA_IN201310UV02";

/// A question as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Read {
    pub header: Header,
    pub query: PixQuery,
    pub asked: Asked,
    pub paths: Paths,
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Read({})", self.header.interaction)
    }
}

/// Reads a question.
pub fn read(node: Node<'_, '_>) -> Reading<Read> {
    let mut findings = Findings::new(node);
    let header = transmission::read(&mut findings)?;
    let mut asked = Asked::default();
    let mut wanted = vec![];
    let mut id = None;
    if let Some(act) = child(node, "controlActProcess") {
        shape::check(&mut findings, act, QUERY_ACT);
        if let Some(by) = child(act, "queryByParameter") {
            shape::check(&mut findings, by, PIX_QUERY);
            asked.id = query::asked(&mut findings, by, false);
            if let Some(list) = child(by, "parameterList") {
                shape::check(&mut findings, list, PIX_PARAMETERS);
                wanted = domains(&mut findings, list, "dataSource", Field::WantedDomain);
                id = identifier(&mut findings, list);
            }
            if findings.problems.is_empty() {
                asked.echo = echo::copy(by, PIX_QUERY, PIX_PARAMETERS, &[]);
            }
        }
    }
    let Findings { problems, paths, .. } = findings;
    match id {
        Some(id) if problems.is_empty() => {
            Ok(Ok(Read { header, query: PixQuery { id, wanted }, asked, paths }))
        }
        _ => Ok(Err(Box::new(Refused { header, problems, query: Some(asked) }))),
    }
}

fn identifier<'a, 'i>(findings: &mut Findings<'a, 'i>, list: Node<'a, 'i>) -> Option<SentId> {
    let parameter = child(list, "patientIdentifier")?;
    shape::check(findings, parameter, PARAMETER);
    let values: Vec<Node<'a, 'i>> = children(parameter, "value").take(2).collect();
    if let Some(second) = values.get(1) {
        findings.problem(code::SEQUENCE, *second, "one id is asked about at a time (ITI TF-2 3.45.4.1.2)");
    }
    let value = *values.first()?;
    let id = person::id(findings, value, Field::QueriedIdentifier, None);
    match &id {
        None => findings.problem(code::REQUIRED, value, "the patient's id has no extension"),
        Some(id) if id.authority.is_empty() => {
            findings.problem(code::REQUIRED, value, "the patient's id names no assigning authority (root)");
        }
        Some(_) => {}
    }
    id
}

/// Parameters that name domains by their roots; of each, every value counts.
pub(super) fn domains<'a, 'i>(
    findings: &mut Findings<'a, 'i>,
    list: Node<'a, 'i>,
    name: &'static str,
    field: Field,
) -> Vec<Authority> {
    let mut found = vec![];
    for parameter in children(list, name) {
        shape::check(findings, parameter, PARAMETER);
        for value in children(parameter, "value") {
            if found.len() == MOST_IDS {
                findings.problem(
                    code::SEQUENCE,
                    value,
                    format!("more than {MOST_IDS} domains are asked for"),
                );
                return found;
            }
            let ii = findings.ii(value);
            let path = findings.path(value);
            findings.paths.note(field, path);
            let authority = ii.authority();
            if authority.is_empty() {
                findings.problem(code::REQUIRED, value, format!("{name} names no domain (root)"));
            }
            found.push(authority);
        }
    }
    found
}

/// The answer to a question.
pub struct Answer<'a> {
    pub ack: Ack,
    pub query_ack: QueryAck,
    pub details: &'a [Problem],
    /// Those found, those of one domain beside each other.
    pub ids: &'a [Ii],
}

/// Writes the answer to `header`.
pub fn write(w: &mut XmlWriter<'static>, header: &Header, asked: &Asked, own: &Own, answer: &Answer<'_>) {
    transmission::open_answer(w, ANSWER, header, own);
    transmission::acknowledge(w, answer.ack.code(), header, answer.details);
    w.open("controlActProcess").attr("classCode", "CACT").attr("moodCode", "EVN");
    w.empty("code", &[("code", "PRPA_TE201310UV02"), ("codeSystem", INTERACTIONS)]);
    if !answer.ids.is_empty() {
        w.open("subject").attr("typeCode", "SUBJ");
        open_event(w);
        person::open_patient(w, answer.ids, &[], &Demographics::default(), Extent::Ids);
        w.close().close();
        write_custodian(w, header.custodian());
        w.close().close();
    }
    query::write(w, asked, answer.query_ack, None);
    w.close().close();
}

/// A question to send.
pub struct Outgoing<'o> {
    pub sender: &'o Device,
    pub receiver: &'o Device,
    /// A fresh UUID.
    pub query_id: &'o str,
    pub id: &'o Ii,
    /// OIDs of domains.
    pub wanted: &'o [String],
}

pub fn write_query(w: &mut XmlWriter<'static>, own: &Own, query: &Outgoing<'_>) {
    transmission::open_request(w, QUERY, own, "P", query.sender, query.receiver);
    w.open("controlActProcess").attr("classCode", "CACT").attr("moodCode", "EVN");
    w.empty("code", &[("code", "PRPA_TE201309UV02"), ("codeSystem", INTERACTIONS)]);
    w.open("queryByParameter");
    w.empty("queryId", &[("root", query.query_id)]);
    w.empty("statusCode", &[("code", "new")]);
    w.empty("responsePriorityCode", &[("code", "I")]);
    w.open("parameterList");
    for domain in query.wanted {
        w.open("dataSource").empty("value", &[("root", domain)]);
        w.leaf("semanticsText", "DataSource.id").close();
    }
    w.open("patientIdentifier");
    query.id.write(w, "value");
    w.leaf("semanticsText", "Patient.id").close();
    w.close().close().close().close();
}

/// An answer as a client reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub acknowledgement: Acknowledgement,
    pub query_ack: QueryAck,
    pub ids: Vec<Ii>,
}

/// Reads an answer; the error is a sentence about what is not as it should be.
pub fn read_answer(node: Node<'_, '_>) -> Result<Answered, String> {
    if !tree::is(node, NS_HL7V3, ANSWER) {
        return Err(format!("the answer is '{}', not {ANSWER}", node.tag_name().name()));
    }
    let acknowledgement = ack::of(node)?;
    let (query_ack, _) = query::read(node)?;
    let act = child(node, "controlActProcess").ok_or("the answer holds no controlActProcess")?;
    let mut ids = vec![];
    for subject in children(act, "subject") {
        if let Some(patient) = descend(subject, &["registrationEvent", "subject1", "patient"]) {
            ids.extend(read_ids(patient));
        }
    }
    Ok(Answered { acknowledgement, query_ack, ids })
}

/// The ids of a patient in an answer.
pub(super) fn read_ids(patient: Node<'_, '_>) -> Vec<Ii> {
    let others = children(patient, "patientPerson")
        .flat_map(|p| children(p, "asOtherIDs"))
        .flat_map(|o| children(o, "id"));
    children(patient, "id").chain(others).map(Ii::read).filter(|id| id.extension.is_some()).collect()
}
