//! `chiren send iti55` and `iti56`: what a community says of who, and where, a patient is.

use clap::Args;
use uuid::Uuid;

use super::endpoint::{Endpoint, Failure, Messages, Session};
use super::table;
use super::v3::{cx, details, ending, ii, own};
use super::who::Who;
use super::{Ending, write_out};
use crate::config::Language;
use crate::model::identity::{Authority, Demographics, Discovery, SentId, TimeToLive};
use crate::model::ids::{HomeCommunityId, Oid};
use crate::model::transaction::Transaction;
use crate::peer::soap::{Call, Discard};
use crate::wire::hl7v3::xcpd::{self, Outgoing};
use crate::wire::hl7v3::xcpd_answer::{self, Found};
use crate::wire::hl7v3::{Ii, ack, xcpd_location};

#[derive(Debug, Args)]
pub struct Discover {
    #[command(flatten)]
    who: Who,

    /// M, F or UN
    #[arg(long, value_parser = ["M", "F", "UN"])]
    sex: Option<String>,

    /// An id of the patient, 'ID^^^&OID&ISO'; may be repeated
    #[arg(long, value_name = "CX")]
    id: Vec<String>,

    /// minimumDegreeMatch, in percent
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    least: u8,

    /// homeCommunityId of who asks
    #[arg(long, value_name = "URN", default_value = "urn:oid:2.999.392.9")]
    home: String,

    /// homeCommunityId of who is asked
    #[arg(long, value_name = "URN", default_value = "urn:oid:2.999.392.1")]
    to: String,

    /// The authority of our id among --id: who is asked may ask us by it
    #[arg(long, value_name = "OID")]
    authority: Option<String>,

    /// How long who is asked may keep that, an xs:duration such as P7D
    #[arg(long, value_name = "DURATION")]
    keep: Option<String>,

    /// Want the answer later, at this address (Deferred Response)
    #[arg(long, value_name = "URL")]
    respond_to: Option<String>,

    #[command(flatten)]
    endpoint: Endpoint,

    #[command(flatten)]
    messages: Messages,
}

#[derive(Debug, Args)]
pub struct Locate {
    /// The patient as the community that is asked knows them, 'ID^^^&OID&ISO'
    #[arg(long, value_name = "CX", required_unless_present = "raw")]
    id: Option<String>,

    #[command(flatten)]
    endpoint: Endpoint,

    #[command(flatten)]
    messages: Messages,
}

fn home(option: &str, text: &str) -> Result<HomeCommunityId, Failure> {
    let bare = || Oid::parse(text).map(HomeCommunityId::from);
    HomeCommunityId::parse(text)
        .or_else(bare)
        .ok_or_else(|| Failure::Usage(format!("--{option}: '{text}' is not of the form urn:oid:OID")))
}

pub async fn discover(arguments: &Discover, language: Language) -> Result<Ending, Failure> {
    let transaction = Transaction::Iti55;
    let session = Session::new(&arguments.endpoint, transaction, &arguments.messages)?;
    let answer = match session.raw(&mut Discard).await? {
        Some(answer) => answer,
        None => {
            let call = call(&session, arguments)?;
            session.exchange(call, &mut Discard).await?
        }
    };
    if arguments.respond_to.is_some() {
        let acknowledgement = answer.body(ack::read)?;
        let done = ending(&acknowledgement);
        let said = match (done, language) {
            (Ending::Success, Language::En) => "the answer will come",
            (Ending::Success, Language::Ja) => "回答は後から送信されます",
            (Ending::Refused, Language::En) => "no answer will come",
            (Ending::Refused, Language::Ja) => "回答は送信されません",
        };
        write_out(&format!(
            "{} {}: {said}\n{}",
            transaction.code(),
            acknowledgement.code,
            details(&acknowledgement)
        ));
        return Ok(done);
    }
    let answered = answer.body(xcpd_answer::read)?;
    let unit = match language {
        Language::En => "match(es)",
        Language::Ja => "件",
    };
    write_out(&format!(
        "{} {} {}: {} {unit}\n{}",
        transaction.code(),
        answered.acknowledgement.code,
        answered.query_ack.code(),
        answered.found.len(),
        details(&answered.acknowledgement)
    ));
    for found in &answered.found {
        write_out(&(table::line(&format!("  {}", one(found))) + "\n"));
    }
    let codes = answered.wanted.iter().map(|w| w.code()).chain(answered.unable.iter().map(|u| u.code()));
    for code in codes {
        write_out(&format!("  {code}\n"));
    }
    if let Some(time) = &answered.time_to_live {
        let said = match language {
            Language::En => "may be kept for",
            Language::Ja => "保持可能期間",
        };
        write_out(&table::line(&format!("  {said} {time}")));
        write_out("\n");
    }
    Ok(ending(&answered.acknowledgement))
}

fn call(session: &Session<'_>, arguments: &Discover) -> Result<Call, Failure> {
    let (from, to) = (home("home", &arguments.home)?, home("to", &arguments.to)?);
    let keep = arguments.keep.as_deref().map(|text| {
        TimeToLive::parse(text).ok_or_else(|| Failure::Usage(format!("--keep: '{text}' is no xs:duration")))
    });
    let keep = keep.transpose()?;
    let discovery = described(arguments)?;
    let query_id = Uuid::new_v4().to_string();
    let out = Outgoing {
        sender: &xcpd::device(&from, None),
        receiver: &xcpd::device(&to, None),
        query_id: &query_id,
        discovery: &discovery,
        authority: arguments.authority.as_deref(),
        respond_to: arguments.respond_to.as_deref(),
    };
    let (action, answered_by) = match arguments.respond_to {
        Some(_) => (xcpd::DEFERRED_ACTION, "urn:hl7-org:v3:MCCI_IN000002UV01"),
        None => (xcpd::ACTION, xcpd::ANSWER_ACTION),
    };
    let header = |w: &mut crate::wire::xml::XmlWriter<'static>| {
        if let Some(time) = &keep {
            xcpd::write_time_to_live(w, time);
        }
    };
    let actions = (action, answered_by);
    Ok(Call::with_header(&session.client, session.transaction, actions, header, |w| {
        xcpd::write_query(w, &own(), &out);
    }))
}

fn described(arguments: &Discover) -> Result<Discovery, Failure> {
    let mut ids = vec![];
    for id in &arguments.id {
        let Ii { root, extension, .. } = ii(id)?;
        ids.push(SentId {
            value: extension.unwrap_or_default(),
            authority: Authority::oid(root.unwrap_or_default()),
            ..SentId::default()
        });
    }
    let described = Demographics {
        sex: arguments.sex.as_deref().map(|s| if s == "UN" { "O" } else { s }.to_owned()),
        ..arguments.who.demographics()
    };
    Ok(Discovery { described, ids, least: arguments.least })
}

/// A match in one line.
fn one(found: &Found) -> String {
    let names: Vec<String> = found
        .demographics
        .names
        .iter()
        .flatten()
        .map(|n| format!("{} {}", n.family, n.given).trim().to_owned())
        .collect();
    [
        found.home.as_ref().map(ToString::to_string).unwrap_or_default(),
        cx(&found.id),
        names.join(" / "),
        found.demographics.birth_date.clone().unwrap_or_default(),
        found.demographics.sex.clone().unwrap_or_default(),
        found.score.map(|s| format!("{s}%")).unwrap_or_default(),
    ]
    .join("  ")
}

pub async fn locate(arguments: &Locate, language: Language) -> Result<Ending, Failure> {
    let transaction = Transaction::Iti56;
    let session = Session::new(&arguments.endpoint, transaction, &arguments.messages)?;
    let answer = match session.raw(&mut Discard).await? {
        Some(answer) => answer,
        None => {
            let id = ii(arguments.id.as_deref().unwrap_or_default())?;
            let call = Call::new(&session.client, transaction, vec![], |w| {
                xcpd_location::write_request(w, &id);
            });
            session.exchange(call, &mut Discard).await?
        }
    };
    let places = answer.body(xcpd_location::read_answer)?;
    let unit = match language {
        Language::En => "place(s)",
        Language::Ja => "件",
    };
    write_out(&format!("{}: {} {unit}\n", transaction.code(), places.len()));
    for place in &places {
        write_out(&(table::line(&format!("  {}  {}", place.home, cx(&place.corresponding))) + "\n"));
    }
    Ok(Ending::Success)
}
