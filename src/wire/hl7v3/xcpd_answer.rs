//! What ITI-55 answers (`PRPA_IN201306UV02` under the constraints of ITI TF-2 3.55.4.2.2), both ways: those who match,
//! what else would tell them apart, nobody, or why there is no answer.

use std::fmt;

use roxmltree::Node;

use super::ack::{self, Ack, Acknowledgement};
use super::datatypes::{INT, Ii, is_uid};
use super::feed::open_event;
use super::person::{self, Extent};
use super::problem::Problem;
use super::query::{self, Asked, QueryAck};
use super::transmission::{self, Header, Own};
use super::xcpd::{ANSWER, time_to_live};
use super::{Findings, INTERACTIONS, attr, child, children, descend};
use crate::model::identity::{Demographics, TimeToLive, Unable, Wanted};
use crate::model::ids::{HomeCommunityId, Oid};
use crate::model::namespace::NS_HL7V3;
use crate::wire::xml::{XmlWriter, tree};

/// Whether a community says where else its patients are (ITI-56): code system and codes.
const LOCATOR_SYSTEM: &str = "1.3.6.1.4.1.19376.1.2.27.2";
const LOCATOR: &str = "SupportsHealthDataLocator";
const NO_LOCATOR: &str = "NotHealthDataLocator";

/// Patients of an answer that are read, at most.
const MOST: usize = 100;

/// A patient that matches.
pub struct Match<'a> {
    /// The id to ask for its documents by.
    pub id: &'a Ii,
    pub demographics: &'a Demographics,
    /// 0 to 100.
    pub score: u8,
}

/// What is answered.
pub enum Said<'a> {
    /// Those who match; none: nobody does.
    Matches(&'a [Match<'a>]),
    /// With this the answer may be another.
    Wanted(&'a [Wanted]),
    /// No answer.
    Unable(Unable, &'a [Problem]),
    /// The question is not one.
    Refused(&'a [Problem]),
}

/// Writes the answer of the community `home` to `header`.
pub fn write(
    w: &mut XmlWriter<'static>,
    header: &Header,
    asked: &Asked,
    own: &Own,
    home: &HomeCommunityId,
    said: &Said<'_>,
) {
    let (ack, query_ack, details) = match said {
        Said::Matches([]) => (Ack::Accept, QueryAck::NothingFound, &[][..]),
        Said::Matches(_) | Said::Wanted(_) => (Ack::Accept, QueryAck::Found, &[][..]),
        Said::Unable(_, details) => (Ack::Error, QueryAck::Error, *details),
        Said::Refused(details) => (Ack::Error, QueryAck::QueryError, *details),
    };
    transmission::open_answer(w, ANSWER, header, own);
    transmission::acknowledge(w, ack.code(), header, details);
    w.open("controlActProcess").attr("classCode", "CACT").attr("moodCode", "EVN");
    w.empty("code", &[("code", "PRPA_TE201306UV02"), ("codeSystem", INTERACTIONS)]);
    match said {
        Said::Matches(matches) => matches.iter().for_each(|m| subject(w, home, m)),
        Said::Wanted(wanted) => {
            issue(w);
            for one in *wanted {
                w.open("triggerFor").attr("typeCode", "TRIG");
                w.open("actOrderRequired").attr("classCode", "ACT").attr("moodCode", "RQO");
                w.empty("code", &[("code", one.code()), ("codeSystem", Wanted::SYSTEM)]);
                w.close().close();
            }
            w.close().close();
        }
        Said::Unable(..) | Said::Refused(_) => {
            let why = match said {
                Said::Unable(why, _) => *why,
                _ => Unable::NotAvailable,
            };
            issue(w);
            w.open("mitigatedBy").attr("typeCode", "MITGT");
            w.open("detectedIssueManagement").attr("classCode", "ACT").attr("moodCode", "EVN");
            w.empty("code", &[("code", why.code()), ("codeSystem", Unable::SYSTEM)]);
            w.close().close();
            w.close().close();
        }
    }
    // Quantities must not be told (ITI TF-2 3.55.4.2.2.5).
    query::write(w, asked, query_ack, None);
    w.close().close();
}

/// `reasonOf` up to where the issue says what follows from it.
fn issue(w: &mut XmlWriter<'static>) {
    w.open("reasonOf").attr("typeCode", "RSON");
    w.open("detectedIssueEvent").attr("classCode", "ALRT").attr("moodCode", "EVN");
    w.empty(
        "code",
        &[("code", "_ActAdministrativeDetectedIssueManagementCode"), ("codeSystem", "2.16.840.1.113883.5.4")],
    );
}

fn subject(w: &mut XmlWriter<'static>, home: &HomeCommunityId, one: &Match<'_>) {
    w.open("subject").attr("typeCode", "SUBJ");
    open_event(w);
    person::open_patient(w, std::slice::from_ref(one.id), &[], one.demographics, Extent::Whole);
    person::write_score(w, one.score);
    w.close().close();
    w.open("custodian").attr("typeCode", "CST");
    w.open("assignedEntity").attr("classCode", "ASSIGNED");
    w.empty("id", &[("root", home.oid().as_str())]);
    w.empty("code", &[("code", NO_LOCATOR), ("codeSystem", LOCATOR_SYSTEM)]);
    w.close().close().close().close();
}

/// A patient of an answer, as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    /// Whose it is; a community that does not say is the one that was asked.
    pub home: Option<HomeCommunityId>,
    pub id: Ii,
    pub demographics: Demographics,
    pub score: Option<u8>,
    /// It can be asked where else the patient is (ITI-56).
    pub locator: bool,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Found({:?}, {:?}, …)", self.home, self.id)
    }
}

/// An answer as it was read.
#[derive(Debug, Clone)]
pub struct Answered {
    pub acknowledgement: Acknowledgement,
    pub query_ack: QueryAck,
    pub query_id: Option<Ii>,
    pub found: Vec<Found>,
    pub wanted: Vec<Wanted>,
    pub unable: Option<Unable>,
    /// How long what it says may be kept; none: not beyond the question.
    pub time_to_live: Option<TimeToLive>,
}

/// Reads an answer; the error is a sentence about what is not as it should be. What is said of a patient beside the id
/// is taken as far as it can be: it only speaks for or against the match.
pub fn read(node: Node<'_, '_>) -> Result<Answered, String> {
    if !tree::is(node, NS_HL7V3, ANSWER) {
        return Err(format!("the answer is '{}', not {ANSWER}", node.tag_name().name()));
    }
    let acknowledgement = ack::of(node)?;
    let (query_ack, _) = query::read(node)?;
    let act = child(node, "controlActProcess").ok_or("the answer holds no controlActProcess")?;
    let query_id = descend(act, &["queryAck", "queryId"])
        .map(Ii::read)
        .filter(|id| id.root.as_ref().is_some_and(|root| is_uid(root)));
    let mut found = vec![];
    for subject in children(act, "subject") {
        if found.len() == MOST {
            return Err(format!("more than {MOST} patients in one answer"));
        }
        found.push(one(node, subject)?);
    }
    let codes = |path: &'static [&'static str; 2]| {
        children(act, "reasonOf")
            .flat_map(|reason| children(reason, "detectedIssueEvent"))
            .flat_map(move |issue| children(issue, path[0]))
            .filter_map(move |of| attr(descend(of, &[path[1], "code"])?, "code"))
    };
    Ok(Answered {
        acknowledgement,
        query_ack,
        query_id,
        found,
        wanted: codes(&["triggerFor", "actOrderRequired"]).filter_map(Wanted::of).collect(),
        unable: codes(&["mitigatedBy", "detectedIssueManagement"]).find_map(Unable::of),
        time_to_live: time_to_live(node),
    })
}

fn one(message: Node<'_, '_>, subject: Node<'_, '_>) -> Result<Found, String> {
    let event = child(subject, "registrationEvent").ok_or("a subject holds no registrationEvent")?;
    let patient = descend(event, &["subject1", "patient"]).ok_or("a registrationEvent holds no patient")?;
    let mut ids = children(patient, "id").map(Ii::read).filter(|id| id.extension.is_some());
    let id = ids
        .next()
        .filter(|id| id.root.as_deref().is_some_and(|root| Oid::parse(root).is_some()))
        .ok_or("a patient has no id with the OID of an assigning authority")?;
    if ids.next().is_some() {
        return Err("a patient has several ids; one is the one to ask by (ITI TF-2 3.55.4.2.2.4)".into());
    }
    let custodian = descend(event, &["custodian", "assignedEntity"]);
    let home = match custodian.and_then(|c| child(c, "id")).and_then(|id| attr(id, "root")) {
        Some(root) => Some(
            Oid::parse(root)
                .map(HomeCommunityId::from)
                .ok_or("the custodian of a patient is no community: its id is no OID")?,
        ),
        None => None,
    };
    let locator = custodian.and_then(|c| child(c, "code")).and_then(|c| attr(c, "code")) == Some(LOCATOR);
    let mut findings = Findings::new(message);
    let mut demographics = Demographics::default();
    if let Some(person) = child(patient, "patientPerson") {
        person::sent(&mut findings, person).over(&mut demographics);
    }
    let score = descend(patient, &["subjectOf1", "queryMatchObservation", "value"]).and_then(|value| {
        findings.typed(value, INT);
        attr(value, "value")?.parse::<u8>().ok().filter(|score| *score <= 100)
    });
    Ok(Found { home, id, demographics, score, locator })
}
