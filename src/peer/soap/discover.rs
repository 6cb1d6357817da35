//! Questions to other communities about who a patient is: ITI-55 Cross Gateway Patient Discovery, ITI-45 PIXV3 Query;
//! and what they are told: ITI-44 Patient Identity Feed HL7 V3.

use std::fmt;

use uuid::Uuid;

use super::{Call, Discard, SoapError};
use crate::model::hl7types::Cx;
use crate::model::identity::{Demographics, Discovery, DomainId, TimeToLive, Unable, Wanted};
use crate::model::ids::HomeCommunityId;
use crate::model::transaction::Transaction;
use crate::peer::http::Client;
use crate::wire::hl7v3::xcpd::{self, Outgoing};
use crate::wire::hl7v3::xcpd_answer;
use crate::wire::hl7v3::{Device, Ii, Own, QueryAck, ack, feed, pix};
use crate::wire::xml::XmlWriter;

pub use crate::wire::hl7v3::ack::{Ack, Acknowledgement};

/// Who speaks to whom.
#[derive(Debug, Clone)]
pub struct Between<'b> {
    /// We.
    pub home: &'b HomeCommunityId,
    /// They.
    pub other: &'b HomeCommunityId,
    /// OID of their device; none: their community's.
    pub device: Option<&'b str>,
    /// The present, as TS (`YYYYMMDDHHMMSS+0000`).
    pub time: &'b str,
}

impl Between<'_> {
    fn devices(&self) -> (Device, Device) {
        (xcpd::device(self.home, None), xcpd::device(self.other, self.device))
    }

    fn own(&self) -> Own {
        Own { id: Uuid::new_v4().to_string(), time: self.time.to_owned() }
    }
}

/// A question, written and not yet sent. `Debug` prints nothing of it.
pub struct Question {
    transaction: Transaction,
    body: String,
    time_to_live: Option<TimeToLive>,
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Question({})", self.transaction.code())
    }
}

impl Question {
    /// ITI-55. `authority`: that of our id among those said; `time_to_live`: how long they may keep whom they find it
    /// to be.
    pub fn discovery(
        between: &Between<'_>,
        discovery: &Discovery,
        authority: Option<&str>,
        time_to_live: Option<TimeToLive>,
    ) -> Self {
        let (sender, receiver) = between.devices();
        let query_id = Uuid::new_v4().to_string();
        let out = Outgoing {
            sender: &sender,
            receiver: &receiver,
            query_id: &query_id,
            discovery,
            authority,
            respond_to: None,
        };
        let mut w = XmlWriter::with_capacity(4096);
        xcpd::write_query(&mut w, &between.own(), &out);
        Self { transaction: Transaction::Iti55, body: w.finish(), time_to_live }
    }

    /// ITI-45: the ids of a patient in one domain of theirs.
    pub fn cross_reference(between: &Between<'_>, id: &DomainId, wanted: &str) -> Self {
        let (sender, receiver) = between.devices();
        let (query_id, wanted) = (Uuid::new_v4().to_string(), [wanted.to_owned()]);
        let id = Ii::with(id.domain.clone(), id.value.clone());
        let out = pix::Outgoing {
            sender: &sender,
            receiver: &receiver,
            query_id: &query_id,
            id: &id,
            wanted: &wanted,
        };
        let mut w = XmlWriter::with_capacity(2048);
        pix::write_query(&mut w, &between.own(), &out);
        Self { transaction: Transaction::Iti45, body: w.finish(), time_to_live: None }
    }

    /// `queryByParameter`: what an audit record tells of it.
    pub fn query(&self) -> &str {
        let (begin, end) = ("<queryByParameter>", "</queryByParameter>");
        let from = self.body.find(begin).unwrap_or_default();
        let to = self.body.find(end).map_or(self.body.len(), |at| at + end.len());
        self.body.get(from..to).unwrap_or_default()
    }

    fn call(&self, client: &Client) -> Call {
        let header = |w: &mut XmlWriter<'static>| {
            if let Some(time) = &self.time_to_live {
                xcpd::write_time_to_live(w, time);
            }
        };
        let row = self.transaction.row();
        let actions = (row.request_action, row.response_action);
        Call::with_header(client, self.transaction, actions, header, |w| {
            w.raw(&self.body);
        })
    }

    /// Asks, and says who it is there. `assertion` says for whom.
    pub async fn discover(&self, client: &Client, assertion: Option<&str>) -> Result<Discovered, SoapError> {
        let call = self.call(client).secured(assertion);
        let answered = call.send(client, &mut Discard).await?.body(xcpd_answer::read)?;
        let time_to_live = answered.time_to_live.clone();
        let failed = answered.acknowledgement.ack != Ack::Accept
            || matches!(answered.query_ack, QueryAck::Error | QueryAck::QueryError);
        let codes = codes(&answered.acknowledgement);
        let said = match () {
            () if failed || answered.unable.is_some() => Said::Unable(answered.unable, codes),
            () if answered.query_ack == QueryAck::NothingFound => Said::Found(vec![]),
            () if answered.found.is_empty() && !answered.wanted.is_empty() => Said::Wanted(answered.wanted),
            () => Said::Found(answered.found.into_iter().filter_map(found).collect()),
        };
        Ok(Discovered { said, time_to_live })
    }

    /// Asks, and says which ids it has there; none: the patient is known, but has none, or is not known at all.
    pub async fn ids(&self, client: &Client, assertion: Option<&str>) -> Result<Ids, SoapError> {
        let call = self.call(client).secured(assertion);
        let answered = call.send(client, &mut Discard).await?.body(pix::read_answer)?;
        let accepted = answered.acknowledgement.ack == Ack::Accept
            && matches!(answered.query_ack, QueryAck::Found | QueryAck::NothingFound);
        if !accepted {
            // That nobody there knows the id is an answer (ITI TF-2 3.45.4.2.3, case 3).
            let unknown = answered.acknowledgement.details.iter().any(|d| {
                d.code == crate::wire::hl7v3::code::UNKNOWN_KEY
                    && d.location.as_deref().is_none_or(|l| l.contains("patientIdentifier"))
            });
            return Ok(match unknown {
                true => Ids::Of(vec![]),
                false => Ids::Refused(codes(&answered.acknowledgement)),
            });
        }
        let cx = |ii: Ii| Cx::new(ii.extension?, ii.root?).map(Cx::into_owned);
        Ok(Ids::Of(answered.ids.into_iter().filter_map(cx).collect()))
    }
}

/// Codes of what an acknowledgement says is wrong: its text may quote the patient.
fn codes(acknowledgement: &Acknowledgement) -> String {
    let codes: Vec<&str> = acknowledgement.details.iter().map(|d| d.code).filter(|c| !c.is_empty()).collect();
    codes.join(", ")
}

fn found(found: xcpd_answer::Found) -> Option<Found> {
    let patient = Cx::new(found.id.extension?, found.id.root?)?.into_owned();
    Some(Found { home: found.home, patient, demographics: found.demographics, score: found.score })
}

/// Who a patient is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Whose it is, if they say.
    pub home: Option<HomeCommunityId>,
    pub patient: Cx<'static>,
    pub demographics: Demographics,
    pub score: Option<u8>,
}

/// What a community says to ITI-55.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// None: nobody.
    Found(Vec<Found>),
    /// With this it might know.
    Wanted(Vec<Wanted>),
    /// It cannot answer: why, if it says, and codes.
    Unable(Option<Unable>, String),
}

/// The same, and how long it may be kept.
#[derive(Debug, Clone)]
pub struct Discovered {
    pub said: Said,
    pub time_to_live: Option<TimeToLive>,
}

/// What a community says to ITI-45.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ids {
    Of(Vec<Cx<'static>>),
    /// By these codes.
    Refused(String),
}

/// What a neighbour is told of a patient (ITI-44).
pub struct Told<'t> {
    /// A UUID that stays when it is sent again.
    pub id: &'t str,
    pub patient: &'t DomainId,
    pub demographics: &'t Demographics,
    /// The id that belongs to this patient from now on.
    pub subsumed: Option<&'t DomainId>,
    /// Whether the patient is new there.
    pub new: bool,
}

/// A feed about nobody: its patient has no id and no name. Who takes it takes anything.
pub async fn nothing_told(
    client: &Client,
    between: &Between<'_>,
    id: &str,
    assertion: Option<&str>,
) -> Result<Acknowledgement, SoapError> {
    let (sender, receiver) = between.devices();
    let own = Own { id: id.to_owned(), time: between.time.to_owned() };
    let out = feed::Outgoing {
        interaction: feed::REVISED,
        sender: &sender,
        receiver: &receiver,
        ids: &[],
        demographics: &Demographics::default(),
        subsumed: None,
    };
    let row = Transaction::Iti44.row();
    let action = format!("urn:hl7-org:v3:{}", feed::REVISED);
    let call = Call::with_action(client, Transaction::Iti44, &action, row.response_action, |w| {
        feed::write(w, &own, &out);
    });
    call.secured(assertion).send(client, &mut Discard).await?.body(ack::read)
}

/// Tells a neighbour of a patient; `assertion` says for whom. What it made of it is in the answer.
pub async fn tell(
    client: &Client,
    between: &Between<'_>,
    told: &Told<'_>,
    assertion: Option<&str>,
) -> Result<Acknowledgement, SoapError> {
    let (sender, receiver) = between.devices();
    let ii = |id: &DomainId| Ii::with(id.domain.clone(), id.value.clone());
    let (ids, subsumed) = ([ii(told.patient)], told.subsumed.map(ii));
    let interaction = match (told.subsumed, told.new) {
        (Some(_), _) => feed::RESOLVED,
        (None, true) => feed::ADDED,
        (None, false) => feed::REVISED,
    };
    let own = Own { id: told.id.to_owned(), time: between.time.to_owned() };
    let out = feed::Outgoing {
        interaction,
        sender: &sender,
        receiver: &receiver,
        ids: &ids,
        demographics: told.demographics,
        subsumed: subsumed.as_ref(),
    };
    let row = Transaction::Iti44.row();
    let action = format!("urn:hl7-org:v3:{interaction}");
    let call = Call::with_action(client, Transaction::Iti44, &action, row.response_action, |w| {
        feed::write(w, &own, &out);
    });
    call.secured(assertion).send(client, &mut Discard).await?.body(ack::read)
}
