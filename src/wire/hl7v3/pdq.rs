//! ITI-47: who has these demographics (`PRPA_IN201305UV02`, answered by `PRPA_IN201306UV02`), the rest of an answer
//! and its cancel (`QUQI_IN000003UV01`). ITI TF-2 3.47.4.

use std::fmt;

use roxmltree::Node;

use super::ack::{self, Ack, Acknowledgement};
use super::datatypes::{CE, CS, INT, IVL_TS, Ii, is_uid, write_name};
use super::feed::{open_event, write_custodian};
use super::person::{self, Extent, MOST_IDS};
use super::problem::{Paths, Problem, code};
use super::query::{self, Asked, QueryAck, Totals};
use super::shape::{
    self, CONTINUATION_ACT, MATCH_CRITERIA, PARAMETER, PDQ_PARAMETERS, PDQ_QUERY, QUERY_ACT,
    QUERY_CONTINUATION,
};
use super::transmission::{self, Device, Header, Own};
use super::{Findings, INTERACTIONS, Reading, Refused, attr, child, children, descend, echo};
use crate::model::error::clip;
use crate::model::identity::{Demographics, DemographicsQuery, Field, PersonName, Representation, Sent};
use crate::model::namespace::NS_HL7V3;
use crate::wire::xml::{XmlWriter, tree};

pub const QUERY: &str = "PRPA_IN201305UV02";
pub const ANSWER: &str = "PRPA_IN201306UV02";
pub const CONTINUE: &str = "QUQI_IN000003UV01";
/// The element of a cancel where the WSDL's operations must differ by their elements (NE2008).
pub const CANCEL: &str = "QUQI_IN000003UV01_Cancel";

/// A question as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Read {
    pub header: Header,
    pub query: DemographicsQuery,
    pub asked: Asked,
    /// `initialQuantity`: patients wanted at first.
    pub size: Option<u64>,
    /// `minimumDegreeMatch`, 0 to 100.
    pub least: u8,
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
    let (mut asked, mut query, mut size, mut least) =
        (Asked::default(), DemographicsQuery::default(), None, 0);
    if let Some(act) = child(node, "controlActProcess") {
        shape::check(&mut findings, act, QUERY_ACT);
        if let Some(by) = child(act, "queryByParameter") {
            shape::check(&mut findings, by, PDQ_QUERY);
            asked.id = query::asked(&mut findings, by, false);
            size = quantity(&mut findings, by, "initialQuantity");
            least = minimum(&mut findings, by);
            if let Some(list) = child(by, "parameterList") {
                query = parameters(&mut findings, list);
            }
            if findings.problems.is_empty() {
                asked.echo = echo::copy(by, PDQ_QUERY, PDQ_PARAMETERS, MATCH_CRITERIA);
            }
        }
    }
    let Findings { problems, paths, .. } = findings;
    match problems.is_empty() {
        true => Ok(Ok(Read { header, query, asked, size, least, paths })),
        false => Ok(Err(Box::new(Refused { header, problems, query: Some(asked) }))),
    }
}

/// How many; patients are what is counted (`RD`, records).
fn quantity<'a, 'i>(findings: &mut Findings<'a, 'i>, query: Node<'a, 'i>, name: &str) -> Option<u64> {
    if let Some(unit) = child(query, "initialQuantityCode") {
        let said = attr(unit, "code").unwrap_or_default();
        if said != "RD" {
            let text =
                format!("initialQuantityCode '{}': quantities are counted in records (RD)", clip(said));
            findings.problem(code::TABLE_VALUE, unit, text);
        }
    }
    let node = child(query, name)?;
    let number = findings.number(node)?;
    if number == 0 {
        findings.problem(code::DATA_TYPE, node, format!("{name} 0 asks for nothing"));
        return None;
    }
    Some(number)
}

/// `minimumDegreeMatch/value`, an INT in percent (ITI TF-2 3.47.4.1.2.4).
pub(super) fn minimum<'a, 'i>(findings: &mut Findings<'a, 'i>, query: Node<'a, 'i>) -> u8 {
    let Some(list) = child(query, "matchCriterionList") else { return 0 };
    shape::check(findings, list, MATCH_CRITERIA);
    let Some(value) = descend(list, &["minimumDegreeMatch", "value"]) else { return 0 };
    match findings.number(value).map(|n| u8::try_from(n).ok().filter(|n| *n <= 100)) {
        Some(Some(percent)) => percent,
        Some(None) => {
            findings.problem(code::DATA_TYPE, value, "minimumDegreeMatch is a percentage from 0 to 100");
            0
        }
        None => 0,
    }
}

/// `parameterList`: everything said must agree.
fn parameters<'a, 'i>(findings: &mut Findings<'a, 'i>, list: Node<'a, 'i>) -> DemographicsQuery {
    shape::check(findings, list, PDQ_PARAMETERS);
    let mut query = DemographicsQuery {
        returned: super::pix::domains(findings, list, "otherIDsScopingOrganization", Field::ReturnedDomain),
        ..DemographicsQuery::default()
    };
    let mut count = 0_usize;
    for parameter in tree::elements(list) {
        let name = parameter.tag_name().name();
        if matches!(name, "id" | "otherIDsScopingOrganization") {
            continue;
        }
        count += 1;
        if count > MOST_IDS {
            findings.problem(code::SEQUENCE, parameter, format!("more than {MOST_IDS} parameters"));
            break;
        }
        shape::check(findings, parameter, PARAMETER);
        let values: Vec<Node<'a, 'i>> = children(parameter, "value").take(MOST_IDS).collect();
        // Values of one parameter are alternatives; of ids all are meant (ITI TF-2 3.47.4.1.2.2).
        if values.len() > 1 && name != "livingSubjectId" {
            let text = format!("{name} has several values; one is supported");
            findings.problem(code::TABLE_VALUE, parameter, text);
        }
        let one = if name == "livingSubjectId" { MOST_IDS } else { 1 };
        for value in values.into_iter().take(one) {
            self::parameter(findings, &mut query, parameter, value);
        }
    }
    if count == 0 {
        findings.problem(code::REQUIRED, list, "parameterList says nothing of whom is asked for");
    }
    query
}

fn parameter<'a, 'i>(
    findings: &mut Findings<'a, 'i>,
    query: &mut DemographicsQuery,
    parameter: Node<'a, 'i>,
    value: Node<'a, 'i>,
) {
    let name = parameter.tag_name().name();
    let before = findings.problems.len();
    let said = match name {
        "livingSubjectAdministrativeGender" => {
            findings.typed(value, CE);
            once(&mut query.sex, person::sex(findings, value))
        }
        "livingSubjectBirthTime" => once(&mut query.birth_date, birth(findings, value)),
        "livingSubjectId" => match person::id(findings, value, Field::QueryParameter, None) {
            Some(id) => {
                if id.authority.is_empty() {
                    findings.problem(code::REQUIRED, value, "the id names no assigning authority (root)");
                }
                query.ids.push(id);
                Said::Taken
            }
            None => Said::Nothing,
        },
        "livingSubjectName" => match findings.name(value) {
            Some(sought) => {
                query.fuzzy |=
                    attr(value, "use").unwrap_or_default().split_ascii_whitespace().any(|u| u == "SRCH");
                names(findings, query, value, &sought);
                Said::Taken
            }
            None => Said::Nothing,
        },
        "mothersMaidenName" => {
            let sought = findings.name(value).map(|n| if n.family.is_empty() { n.given } else { n.family });
            once(&mut query.mother_maiden_name, sought.and_then(|n| pattern(findings, value, &n)))
        }
        "patientAddress" => match findings.address(value) {
            Some(address) => {
                let text = Some(address.text).filter(|t| !t.is_empty());
                let postal_code = Some(address.postal_code).filter(|t| !t.is_empty());
                let first = query.address.is_none() && query.postal_code.is_none();
                query.address = text;
                query.postal_code = postal_code;
                if first { Said::Taken } else { Said::Again }
            }
            None => Said::Nothing,
        },
        "patientTelecom" => once(&mut query.phone, findings.phone(value).map(|p| p.number)),
        _ => Said::Unsupported,
    };
    if findings.problems.len() > before {
        return;
    }
    match said {
        Said::Taken => {}
        Said::Nothing => findings.problem(code::REQUIRED, value, format!("{name} says nothing")),
        Said::Again => {
            findings.problem(code::TABLE_VALUE, parameter, format!("{name} stands twice; once is supported"));
        }
        // To leave out what somebody asks for would show people they did not ask for.
        Said::Unsupported => {
            findings.problem(code::TABLE_VALUE, parameter, format!("{name} is not supported"));
        }
    }
}

enum Said {
    Taken,
    Nothing,
    Again,
    Unsupported,
}

fn once<T>(place: &mut Option<T>, value: Option<T>) -> Said {
    match value {
        None => Said::Nothing,
        Some(_) if place.is_some() => Said::Again,
        Some(value) => {
            *place = Some(value);
            Said::Taken
        }
    }
}

/// An IVL_TS that is one day, or has the same low and high.
pub(super) fn birth<'a, 'i>(findings: &mut Findings<'a, 'i>, value: Node<'a, 'i>) -> Option<String> {
    if attr(value, "value").is_some() {
        return findings.time(value, IVL_TS, true);
    }
    findings.typed(value, IVL_TS);
    let bound = |name| child(value, name).and_then(|b| attr(b, "value"));
    match (bound("low"), bound("high"), bound("center")) {
        (None, None, Some(_)) => findings.time(child(value, "center")?, super::datatypes::TS, true),
        (Some(low), Some(high), _) if low == high => {
            findings.time(child(value, "low")?, &["IVXB_TS", "TS"], true)
        }
        (None, None, None) => None,
        _ => {
            let text = "a range of birth times is not supported; say one day, month or year";
            findings.problem(code::TABLE_VALUE, value, text);
            None
        }
    }
}

/// Every part of a name asked for: alternatives cannot be, so all must agree (ITI TF-2 3.47.4.1.2.2).
fn names<'a, 'i>(
    findings: &mut Findings<'a, 'i>,
    query: &mut DemographicsQuery,
    value: Node<'a, 'i>,
    sought: &PersonName,
) {
    // Maiden and acquired parts say how a name came to be, not what it is: the part that says nothing is meant.
    let parts = |name: &'static str| -> Vec<String> {
        let said: Vec<(bool, String)> = children(value, name)
            .map(|p| (attr(p, "qualifier").is_none(), tree::text_of(p).trim().to_owned()))
            .filter(|(_, text)| !text.is_empty())
            .collect();
        let plain: Vec<String> = said.iter().filter(|(plain, _)| *plain).map(|(_, t)| t.clone()).collect();
        if plain.is_empty() { said.into_iter().map(|(_, text)| text).collect() } else { plain }
    };
    let (mut family, given) = (parts("family"), parts("given"));
    if family.is_empty() && given.is_empty() {
        family.push(sought.family.clone());
    }
    for part in family {
        if let Some(pattern) = pattern(findings, value, &part)
            && !query.family.contains(&pattern)
        {
            query.family.push(pattern);
        }
    }
    for part in given {
        if let Some(pattern) = pattern(findings, value, &part)
            && !query.given.contains(&pattern)
        {
            query.given.push(pattern);
        }
    }
}

/// `*` at the end stands for what follows.
fn pattern<'a, 'i>(
    findings: &mut Findings<'a, 'i>,
    value: Node<'a, 'i>,
    text: &str,
) -> Option<(String, Representation)> {
    let beginning = text.trim_end_matches('*');
    if beginning.is_empty() || beginning.contains('*') {
        findings.problem(code::DATA_TYPE, value, "* is supported at the end of a name only");
        return None;
    }
    let how = if beginning.len() == text.len() { Representation::Folded } else { Representation::Prefix };
    Some((beginning.to_owned(), how))
}

/// What is asked of an earlier answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continuation {
    pub header: Header,
    pub query_id: Ii,
    /// From this result on, from 1.
    pub from: Option<u64>,
    pub size: Option<u64>,
    pub cancel: bool,
    pub paths: Paths,
}

/// Reads a continuation, or where the Action says so a cancel. Either says by its `statusCode` which it is.
pub fn read_continuation(node: Node<'_, '_>, cancel: bool) -> Reading<Continuation> {
    let mut findings = Findings::new(node);
    let header = transmission::read(&mut findings)?;
    let mut read = Continuation {
        header: header.clone(),
        query_id: Ii::default(),
        from: None,
        size: None,
        cancel,
        paths: Paths::default(),
    };
    if let Some(act) = child(node, "controlActProcess") {
        shape::check(&mut findings, act, CONTINUATION_ACT);
        if let Some(go_on) = child(act, "queryContinuation") {
            shape::check(&mut findings, go_on, QUERY_CONTINUATION);
            if let Some(id) = child(go_on, "queryId") {
                read.query_id = findings.ii(id);
                if read.query_id.root.is_none() {
                    findings.problem(code::REQUIRED, id, "queryId has no root: which question?");
                }
            }
            let mut count = |name: &str| {
                let node = child(go_on, name)?;
                let number = findings.number(node)?;
                if number == 0 {
                    findings.problem(code::DATA_TYPE, node, format!("{name} is counted from 1"));
                }
                Some(number)
            };
            read.from = count("startResultNumber");
            read.size = count("continuationQuantity");
            if let Some(status) = child(go_on, "statusCode") {
                findings.typed(status, CS);
                let said = attr(status, "code").unwrap_or_default();
                let wanted = if cancel { "aborted" } else { "waitContinuedQueryResponse" };
                if said != wanted {
                    let text = format!("statusCode '{}' is not {wanted}, which the Action means", clip(said));
                    findings.problem(code::TABLE_VALUE, status, text);
                }
            }
        }
    }
    let Findings { problems, paths, .. } = findings;
    let asked = Asked { id: read.query_id.clone(), echo: String::new() };
    match problems.is_empty() {
        true => Ok(Ok(Continuation { paths, ..read })),
        false => Ok(Err(Box::new(Refused { header, problems, query: Some(asked) }))),
    }
}

/// A patient of an answer.
pub struct Subject<'a> {
    pub ids: &'a [Ii],
    /// Domains asked for in which it has none.
    pub without: &'a [String],
    pub demographics: &'a Demographics,
    /// 0 to 100.
    pub score: u8,
}

/// The answer to a question or a continuation.
pub struct Answer<'a> {
    pub ack: Ack,
    pub query_ack: QueryAck,
    pub details: &'a [Problem],
    pub subjects: &'a [Subject<'a>],
    pub totals: Option<Totals>,
}

/// Writes the answer to `header`.
pub fn write(w: &mut XmlWriter<'static>, header: &Header, asked: &Asked, own: &Own, answer: &Answer<'_>) {
    transmission::open_answer(w, ANSWER, header, own);
    transmission::acknowledge(w, answer.ack.code(), header, answer.details);
    w.open("controlActProcess").attr("classCode", "CACT").attr("moodCode", "EVN");
    w.empty("code", &[("code", "PRPA_TE201306UV02"), ("codeSystem", INTERACTIONS)]);
    for subject in answer.subjects {
        w.open("subject").attr("typeCode", "SUBJ");
        open_event(w);
        person::open_patient(w, subject.ids, subject.without, subject.demographics, Extent::Whole);
        person::write_score(w, subject.score);
        w.close().close();
        write_custodian(w, header.custodian());
        w.close().close();
    }
    query::write(w, asked, answer.query_ack, answer.totals);
    w.close().close();
}

/// A question to send.
pub struct Outgoing<'o> {
    pub sender: &'o Device,
    pub receiver: &'o Device,
    /// A fresh UUID.
    pub query_id: &'o str,
    pub size: Option<u64>,
    pub query: &'o DemographicsQuery,
}

pub fn write_query(w: &mut XmlWriter<'static>, own: &Own, out: &Outgoing<'_>) {
    let query = out.query;
    transmission::open_request(w, QUERY, own, "P", out.sender, out.receiver);
    w.open("controlActProcess").attr("classCode", "CACT").attr("moodCode", "EVN");
    w.empty("code", &[("code", "PRPA_TE201305UV02"), ("codeSystem", INTERACTIONS)]);
    w.open("queryByParameter");
    w.empty("queryId", &[("root", out.query_id)]);
    for (name, code) in [("statusCode", "new"), ("responseModalityCode", "R"), ("responsePriorityCode", "I")]
    {
        w.empty(name, &[("code", code)]);
    }
    if let Some(size) = out.size {
        w.empty("initialQuantity", &[("value", &size.to_string())]);
        w.empty("initialQuantityCode", &[("code", "RD")]);
    }
    w.open("parameterList");
    let semantics = |w: &mut XmlWriter<'static>, text: &str| {
        w.leaf("semanticsText", text).close();
    };
    if let Some(sex) = &query.sex {
        w.open("livingSubjectAdministrativeGender").empty("value", &[("code", sex)]);
        semantics(w, "LivingSubject.administrativeGender");
    }
    if let Some(date) = &query.birth_date {
        w.open("livingSubjectBirthTime").empty("value", &[("value", date)]);
        semantics(w, "LivingSubject.birthTime");
    }
    for id in &query.ids {
        let ii = Ii {
            root: id.authority.universal_id.clone(),
            extension: Some(id.value.clone()),
            authority_name: id.authority.namespace.clone(),
        };
        w.open("livingSubjectId");
        ii.write(w, "value");
        semantics(w, "LivingSubject.id");
    }
    if !query.family.is_empty() || !query.given.is_empty() {
        w.open("livingSubjectName").open("value");
        if query.fuzzy {
            w.attr("use", "SRCH");
        }
        for (name, texts) in [("family", &query.family), ("given", &query.given)] {
            for (text, how) in texts {
                let star = if *how == Representation::Prefix { "*" } else { "" };
                w.leaf(name, &format!("{text}{star}"));
            }
        }
        w.close();
        semantics(w, "LivingSubject.name");
    }
    if let Some((name, _)) = &query.mother_maiden_name {
        w.open("mothersMaidenName");
        write_name(w, "value", &PersonName { family: name.clone(), ..PersonName::default() });
        semantics(w, "Person.MothersMaidenName");
    }
    for domain in &query.returned {
        let root = domain.universal_id.as_deref().unwrap_or_default();
        w.open("otherIDsScopingOrganization").empty("value", &[("root", root)]);
        semantics(w, "OtherIDs.scopingOrganization.id");
    }
    if query.address.is_some() || query.postal_code.is_some() {
        w.open("patientAddress").open("value");
        for (name, text) in [("streetAddressLine", &query.address), ("postalCode", &query.postal_code)] {
            if let Some(text) = text {
                w.leaf(name, text);
            }
        }
        w.close();
        semantics(w, "Patient.addr");
    }
    if let Some(phone) = &query.phone {
        w.open("patientTelecom").empty("value", &[("value", &format!("tel:{phone}"))]);
        semantics(w, "Patient.telecom");
    }
    w.close().close().close().close();
}

/// A continuation to send, or a cancel.
pub struct GoOn<'o> {
    pub query_id: &'o Ii,
    /// From this result on, from 1.
    pub from: Option<u64>,
    pub size: Option<u64>,
    pub cancel: bool,
}

pub fn write_continuation(
    w: &mut XmlWriter<'static>,
    own: &Own,
    sender: &Device,
    receiver: &Device,
    go_on: &GoOn<'_>,
) {
    let GoOn { query_id, from, size, cancel } = *go_on;
    transmission::open_request(w, if cancel { CANCEL } else { CONTINUE }, own, "P", sender, receiver);
    w.open("controlActProcess").attr("classCode", "CACT").attr("moodCode", "EVN");
    w.open("queryContinuation");
    query_id.write(w, "queryId");
    for (name, number) in [("startResultNumber", from), ("continuationQuantity", size)] {
        if let Some(number) = number {
            w.empty(name, &[("value", &number.to_string())]);
        }
    }
    w.empty("statusCode", &[("code", if cancel { "aborted" } else { "waitContinuedQueryResponse" })]);
    w.close().close().close();
}

/// A patient as a client reads it.
#[derive(Clone, PartialEq, Eq)]
pub struct Candidate {
    pub ids: Vec<Ii>,
    pub sent: Sent,
    pub score: Option<u8>,
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Candidate(…)")
    }
}

/// An answer as a client reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub acknowledgement: Acknowledgement,
    pub query_ack: QueryAck,
    pub query_id: Option<Ii>,
    pub totals: Option<Totals>,
    pub candidates: Vec<Candidate>,
}

/// Reads an answer; the error is a sentence about what is not as it should be.
pub fn read_answer(node: Node<'_, '_>) -> Result<Answered, String> {
    if !tree::is(node, NS_HL7V3, ANSWER) {
        return Err(format!("the answer is '{}', not {ANSWER}", node.tag_name().name()));
    }
    let acknowledgement = ack::of(node)?;
    let (query_ack, totals) = query::read(node)?;
    let act = child(node, "controlActProcess").ok_or("the answer holds no controlActProcess")?;
    let query_id = descend(act, &["queryAck", "queryId"])
        .map(Ii::read)
        .filter(|id| id.root.as_ref().is_some_and(|root| is_uid(root)));
    let mut findings = Findings::new(node);
    let mut candidates = vec![];
    for subject in children(act, "subject") {
        let Some(patient) = descend(subject, &["registrationEvent", "subject1", "patient"]) else { continue };
        let sent = match child(patient, "patientPerson") {
            Some(person) => person::sent(&mut findings, person),
            None => Sent::default(),
        };
        let score = descend(patient, &["subjectOf1", "queryMatchObservation", "value"]);
        let score = score.and_then(|value| {
            findings.typed(value, INT);
            attr(value, "value")?.parse::<u8>().ok()
        });
        candidates.push(Candidate { ids: super::pix::read_ids(patient), sent, score });
    }
    match findings.problems.first() {
        Some(problem) => {
            Err(format!("{} at {}", problem.text, problem.location.as_deref().unwrap_or_default()))
        }
        None => Ok(Answered { acknowledgement, query_ack, query_id, totals, candidates }),
    }
}
