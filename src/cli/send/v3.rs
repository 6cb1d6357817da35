//! `chiren send iti44`, `iti45`, `iti47`: feeds of patients and questions to their index, HL7 v3 over SOAP.

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::endpoint::{Endpoint, Failure, Messages, Session};
use super::who::{Sought, Who};
use super::{Ending, table, write_out};
use crate::config::Language;
use crate::model::identity::{Authority, Demographics, DemographicsQuery, Representation, SentId};
use crate::model::ids::is_oid;
use crate::model::transaction::Transaction;
use crate::peer::soap::{Call, Discard};
use crate::wire::hl7v3::ack::{self, Ack, Acknowledgement};
use crate::wire::hl7v3::{Device, Ii, Own, feed, pdq, pix};

/// Who speaks to whom.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Devices")]
pub struct Devices {
    /// OID of the sending device
    #[arg(long, value_name = "OID", default_value = "2.999.392.1.9")]
    sender: String,

    /// OID of the receiving device
    #[arg(long, value_name = "OID", default_value = "2.999.392.1.1")]
    receiver: String,
}

impl Devices {
    fn both(&self) -> Result<(Device, Device), Failure> {
        let device = |name: &str, oid: &str| match is_oid(oid) {
            true => Ok(Device { id: Ii::of(oid), organization: None }),
            false => Err(Failure::Usage(format!("--{name}: '{oid}' is not an OID"))),
        };
        Ok((device("sender", &self.sender)?, device("receiver", &self.receiver)?))
    }
}

/// What happened to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Event {
    /// PRPA_IN201301UV02
    Add,
    /// PRPA_IN201302UV02
    Revise,
    /// PRPA_IN201304UV02: --subsumed belongs to --id from now on
    Merge,
}

#[derive(Debug, Args)]
pub struct Feed {
    /// What happened to the record
    #[arg(long, value_enum, default_value_t = Event::Add)]
    event: Event,

    /// The patient's id, 'ID^^^&OID&ISO'; may be repeated
    #[arg(long, value_name = "CX", required_unless_present = "raw")]
    id: Vec<String>,

    /// The id that is given up, of a merge
    #[arg(long, value_name = "CX", required_if_eq("event", "merge"))]
    subsumed: Option<String>,

    #[command(flatten)]
    who: Who,

    /// M, F or UN
    #[arg(long, value_parser = ["M", "F", "UN"])]
    sex: Option<String>,

    #[command(flatten)]
    devices: Devices,

    #[command(flatten)]
    endpoint: Endpoint,

    #[command(flatten)]
    messages: Messages,
}

#[derive(Debug, Args)]
pub struct Pix {
    /// The id asked about, 'ID^^^&OID&ISO'
    #[arg(long, value_name = "CX", required_unless_present = "raw")]
    id: Option<String>,

    /// A domain whose ids are wanted, its OID; may be repeated [default: all]
    #[arg(long, value_name = "OID")]
    domain: Vec<String>,

    #[command(flatten)]
    devices: Devices,

    #[command(flatten)]
    endpoint: Endpoint,

    #[command(flatten)]
    messages: Messages,
}

#[derive(Debug, Args)]
pub struct Demographic {
    #[command(flatten)]
    sought: Sought,

    /// Names that sound alike are welcome, too
    #[arg(long)]
    fuzzy: bool,

    /// M, F or UN
    #[arg(long, value_parser = ["M", "F", "UN"])]
    sex: Option<String>,

    /// An id of the patient, 'ID^^^&OID&ISO'; may be repeated
    #[arg(long, value_name = "CX")]
    id: Vec<String>,

    /// A domain whose ids are wanted, its OID; may be repeated [default: all]
    #[arg(long, value_name = "OID")]
    domain: Vec<String>,

    /// Patients wanted at once; the rest is asked for until there is none
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    quantity: Option<u64>,

    #[command(flatten)]
    devices: Devices,

    #[command(flatten)]
    endpoint: Endpoint,

    #[command(flatten)]
    messages: Messages,
}

fn own() -> Own {
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    Own { id: Uuid::new_v4().to_string(), time: now.strftime("%Y%m%d%H%M%S+0000").to_string() }
}

/// `ID^^^&OID&ISO`.
fn ii(text: &str) -> Result<Ii, Failure> {
    let parts: Vec<&str> = text.split('^').collect();
    let authority: Vec<&str> = parts.get(3).map(|a| a.split('&').collect()).unwrap_or_default();
    let oid = authority.get(1).or(authority.first()).copied().unwrap_or_default();
    match parts.first() {
        Some(id) if !id.is_empty() && is_oid(oid) => Ok(Ii::with(oid, *id)),
        _ => Err(Failure::Usage(format!("'{text}' is not of the form 'ID^^^&OID&ISO'"))),
    }
}

pub async fn feed(arguments: &Feed, language: Language) -> Result<Ending, Failure> {
    let transaction = Transaction::Iti44;
    let session = Session::new(&arguments.endpoint, transaction, &arguments.messages)?;
    let answer = match session.raw(&mut Discard).await? {
        Some(answer) => answer,
        None => {
            let call = feed_call(&session, arguments)?;
            session.exchange(call, &mut Discard).await?
        }
    };
    let acknowledgement = answer.body(ack::read)?;
    let ending = ending(&acknowledgement);
    let said = match (ending, language) {
        (Ending::Success, Language::En) => "the index has taken it",
        (Ending::Success, Language::Ja) => "受け付けられました",
        (Ending::Refused, Language::En) => "nothing was changed",
        (Ending::Refused, Language::Ja) => "何も変更されませんでした",
    };
    write_out(&format!(
        "{} {}: {said}\n{}",
        transaction.code(),
        acknowledgement.code,
        details(&acknowledgement)
    ));
    Ok(ending)
}

fn feed_call(session: &Session<'_>, arguments: &Feed) -> Result<Call, Failure> {
    let (sender, receiver) = arguments.devices.both()?;
    let ids: Vec<Ii> = arguments.id.iter().map(|id| ii(id)).collect::<Result<_, _>>()?;
    let subsumed = arguments.subsumed.as_deref().map(ii).transpose()?;
    let interaction = match arguments.event {
        Event::Add => feed::ADDED,
        Event::Revise => feed::REVISED,
        Event::Merge => feed::RESOLVED,
    };
    let sex = arguments.sex.as_deref().map(|s| if s == "UN" { "O" } else { s }.to_owned());
    let demographics = Demographics { sex, ..arguments.who.demographics() };
    let out = feed::Outgoing {
        interaction,
        sender: &sender,
        receiver: &receiver,
        ids: &ids,
        demographics: &demographics,
        subsumed: subsumed.as_ref(),
    };
    let row = session.transaction.row();
    let action = format!("urn:hl7-org:v3:{interaction}");
    Ok(Call::with_action(&session.client, session.transaction, &action, row.response_action, |w| {
        feed::write(w, &own(), &out);
    }))
}

fn ending(acknowledgement: &Acknowledgement) -> Ending {
    match acknowledgement.ack {
        Ack::Accept => Ending::Success,
        Ack::Error | Ack::Reject => Ending::Refused,
    }
}

/// Details of an acknowledgement, one to a line.
fn details(acknowledgement: &Acknowledgement) -> String {
    acknowledgement
        .details
        .iter()
        .map(|d| {
            let location = d.location.as_deref().map(|l| format!(" [{l}]")).unwrap_or_default();
            table::line(&format!("  {} {}: {}{location}", d.severity, d.code, d.text)) + "\n"
        })
        .collect()
}

fn cx(id: &Ii) -> String {
    format!(
        "{}^^^&{}&ISO",
        id.extension.as_deref().unwrap_or_default(),
        id.root.as_deref().unwrap_or_default()
    )
}

pub async fn pix(arguments: &Pix, language: Language) -> Result<Ending, Failure> {
    let transaction = Transaction::Iti45;
    let session = Session::new(&arguments.endpoint, transaction, &arguments.messages)?;
    let answer = match session.raw(&mut Discard).await? {
        Some(answer) => answer,
        None => {
            let (sender, receiver) = arguments.devices.both()?;
            let id = ii(arguments.id.as_deref().unwrap_or_default())?;
            let query_id = Uuid::new_v4().to_string();
            let out = pix::Outgoing {
                sender: &sender,
                receiver: &receiver,
                query_id: &query_id,
                id: &id,
                wanted: &arguments.domain,
            };
            let call = Call::new(&session.client, transaction, vec![], |w| pix::write_query(w, &own(), &out));
            session.exchange(call, &mut Discard).await?
        }
    };
    let answered = answer.body(pix::read_answer)?;
    let unit = match language {
        Language::En => "id(s)",
        Language::Ja => "件",
    };
    write_out(&format!(
        "{} {} {}: {} {unit}\n{}",
        transaction.code(),
        answered.acknowledgement.code,
        answered.query_ack.code(),
        answered.ids.len(),
        details(&answered.acknowledgement)
    ));
    for id in &answered.ids {
        write_out(&(table::line(&format!("  {}", cx(id))) + "\n"));
    }
    Ok(ending(&answered.acknowledgement))
}

/// A name asked for; `*` at its end stands for what follows.
fn pattern(text: &Option<String>) -> Vec<(String, Representation)> {
    text.iter()
        .map(|text| match text.strip_suffix('*') {
            Some(beginning) => (beginning.to_owned(), Representation::Prefix),
            None => (text.clone(), Representation::Folded),
        })
        .collect()
}

pub async fn demographics(arguments: &Demographic, language: Language) -> Result<Ending, Failure> {
    let transaction = Transaction::Iti47;
    let session = Session::new(&arguments.endpoint, transaction, &arguments.messages)?;
    let (sender, receiver) = arguments.devices.both()?;
    let raw = session.raw(&mut Discard).await?;
    let paged = raw.is_none();
    let mut answer = match raw {
        Some(answer) => answer,
        None => {
            let query = asked(arguments)?;
            let query_id = Uuid::new_v4().to_string();
            let out = pdq::Outgoing {
                sender: &sender,
                receiver: &receiver,
                query_id: &query_id,
                size: arguments.quantity,
                query: &query,
            };
            let call = Call::new(&session.client, transaction, vec![], |w| pdq::write_query(w, &own(), &out));
            session.exchange(call, &mut Discard).await?
        }
    };
    loop {
        let answered = answer.body(pdq::read_answer)?;
        let total = answered.totals.map_or(answered.candidates.len() as u64, |t| t.total);
        let unit = match language {
            Language::En => "patient(s)",
            Language::Ja => "件",
        };
        write_out(&format!(
            "{} {} {}: {total} {unit}\n{}",
            transaction.code(),
            answered.acknowledgement.code,
            answered.query_ack.code(),
            details(&answered.acknowledgement)
        ));
        for candidate in &answered.candidates {
            write_out(&(table::line(&format!("  {}", one(candidate))) + "\n"));
        }
        let remaining = answered.totals.map_or(0, |t| t.remaining);
        let done = ending(&answered.acknowledgement);
        let (Some(query_id), true) = (&answered.query_id, paged && remaining > 0 && done == Ending::Success)
        else {
            return Ok(done);
        };
        if answered.candidates.is_empty() {
            return Ok(done);
        }
        let go_on = pdq::GoOn {
            query_id,
            from: Some(total.saturating_sub(remaining) + 1),
            size: arguments.quantity,
            cancel: false,
        };
        let action = "urn:hl7-org:v3:QUQI_IN000003UV01_Continue";
        let row = transaction.row();
        let call = Call::with_action(&session.client, transaction, action, row.response_action, |w| {
            pdq::write_continuation(w, &own(), &sender, &receiver, &go_on);
        });
        answer = session.exchange(call, &mut Discard).await?;
    }
}

fn asked(arguments: &Demographic) -> Result<DemographicsQuery, Failure> {
    let mut ids = vec![];
    for id in &arguments.id {
        let Ii { root, extension, .. } = ii(id)?;
        ids.push(SentId {
            value: extension.unwrap_or_default(),
            authority: Authority::oid(root.unwrap_or_default()),
            ..SentId::default()
        });
    }
    Ok(DemographicsQuery {
        ids,
        family: pattern(&arguments.sought.family),
        given: pattern(&arguments.sought.given),
        birth_date: arguments.sought.birth.clone(),
        sex: arguments.sex.clone(),
        postal_code: arguments.sought.postcode.clone(),
        address: arguments.sought.address.clone(),
        phone: arguments.sought.phone.clone(),
        fuzzy: arguments.fuzzy,
        returned: arguments.domain.iter().map(Authority::oid).collect(),
        ..DemographicsQuery::default()
    })
}

/// A patient in one line: names, birth date, sex, ids.
fn one(candidate: &pdq::Candidate) -> String {
    let mut known = Demographics::default();
    candidate.sent.over(&mut known);
    let names: Vec<String> =
        known.names.iter().flatten().map(|n| format!("{} {}", n.family, n.given).trim().to_owned()).collect();
    let ids: Vec<String> = candidate.ids.iter().map(cx).collect();
    let score = candidate.score.map(|s| format!("{s}%")).unwrap_or_default();
    [
        names.join(" / "),
        known.birth_date.unwrap_or_default(),
        known.sex.unwrap_or_default(),
        score,
        ids.join(" "),
    ]
    .join("  ")
}
