//! `chiren consent`: what patients and the office say of documents, and why somebody sees one or does not. Works beside a
//! running gateway, which heeds a change with the next request.

mod bring;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::civil::Date;

use super::operator::{Desk, failure};
use super::{ConfigFile, print};
use crate::app;
use crate::config::{Config, Language};
use crate::model::caller::Caller;
use crate::model::consent::network::Function;
use crate::model::consent::record::{
    Attestation, BreakGlass, Consent, Effect, Kind, Pattern, Relation, Reservation, Rule,
};
use crate::model::consent::terms::plain_oid;
use crate::model::consent::{Audience, Data};
use crate::model::transaction::Transaction;
use crate::model::user::{Coded, User};
use crate::service::consent::{Change, Consents, Refused, Sight, Word, after, end_of_day};
use crate::service::context::Context;

pub const EXAMPLES: &str = "A patient is written 'ID^^^&OID&ISO'. Audiences are *, members, facility:OID, group:NAME, community:urn:oid:…,
person:ID, role:SYSTEM|CODE and patient; kinds of data *, @NAME and typeCode=CODE|SCHEME and their like (docs/consent.md).
A rule is a list such as 'source=facility:1.2.3,viewer=group:pharmacy,data=@psychiatry,from=2025-01-01'. Every change and
every look leaves an audit record.

Examples:
  chiren consent grant '1001^^^&2.999.3&ISO' --policy 2.999.9.1 --signed-on 2026-04-01 --reason '同意書受領'
  chiren consent grant '1001^^^&2.999.3&ISO' --policy 2.999.9.1 --deny 'viewer=facility:1.2.3' --reason '除外届'
  chiren consent withdraw '1001^^^&2.999.3&ISO' --reason '撤回届'
  chiren consent reserve '1001^^^&2.999.3&ISO' --source facility:1.2.3 --data @psychiatry --reason '留保の申出'
  chiren consent attest '1001^^^&2.999.3&ISO' --user yamada@https://idp.example.jp --reason '受診時に口頭で同意'
  chiren consent break-glass '1001^^^&2.999.3&ISO' --user yamada --reason '意識障害で救急搬送'
  chiren consent explain --user yamada --facility 1.2.3 --document 2.999.1.2.3
  chiren consent today --user yamada --facility 1.2.3 --patient '1001^^^&2.999.3&ISO'
  chiren consent import consents.csv --check
  chiren consent export --bppc /tmp/consents --patient '1001^^^&2.999.3&ISO'";

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: ConfigFile,

    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PatternName {
    /// 一括: everybody the policy covers
    Bulk,
    /// A list of facilities, each a --permit
    List,
    /// One facility at a visit
    PerFacility,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KindName {
    Consent,
    Reservation,
    Attestation,
    BreakGlass,
    Vip,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Json,
    Csv,
    Appc,
}

/// Why, and who says so.
#[derive(Debug, Args)]
struct Said {
    /// Why, for the history
    #[arg(long)]
    reason: String,

    /// Who says so; the user of this machine
    #[arg(long)]
    by: Option<String>,
}

/// Who would look.
#[derive(Debug, Args)]
struct Viewing {
    /// The user: NameID, or NameID@issuer
    #[arg(long)]
    user: String,

    /// OID of their facility
    #[arg(long)]
    facility: Vec<String>,

    /// SYSTEM|CODE of their role [default: HPKI's Medical Doctor]
    #[arg(long)]
    role: Vec<String>,

    /// SYSTEM|CODE of the purpose
    #[arg(long)]
    purpose: Vec<String>,

    /// Of another network: urn:oid:…
    #[arg(long)]
    community: Option<String>,

    /// A moment other than now
    #[arg(long)]
    at: Option<Timestamp>,

    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Write down a consent; the one to the same policy before it is ended
    Grant {
        patient: String,
        /// OID of the policy it acknowledges
        #[arg(long, default_value = "")]
        policy: String,
        #[arg(long, value_enum, default_value = "bulk")]
        pattern: PatternName,
        /// The day it was signed [default: today]
        #[arg(long)]
        signed_on: Option<Date>,
        #[arg(long)]
        valid_from: Option<Date>,
        /// The last day
        #[arg(long)]
        valid_to: Option<Date>,
        #[arg(long)]
        signer: Option<String>,
        /// Signed by somebody else for the patient (代理)
        #[arg(long)]
        proxy: bool,
        /// OID of the facility it was obtained at
        #[arg(long)]
        obtained_at: Option<String>,
        /// uniqueId of the document that shows it
        #[arg(long)]
        document: Option<String>,
        /// The patient wants no emergency access either
        #[arg(long)]
        no_break_glass: bool,
        /// A rule that permits
        #[arg(long, value_name = "RULE")]
        permit: Vec<String>,
        /// A rule that denies
        #[arg(long, value_name = "RULE")]
        deny: Vec<String>,
        #[command(flatten)]
        said: Said,
    },
    /// Withdraw a consent, or all: from the next request on nothing is shown by it
    Withdraw {
        patient: String,
        /// One consent
        #[arg(long)]
        id: Option<String>,
        /// Only this: a rule that denies (一部撤回); needs --id
        #[arg(long, value_name = "RULE", requires = "id")]
        part: Option<String>,
        #[command(flatten)]
        said: Said,
    },
    /// Everybody's records of a kind in force
    List {
        #[arg(value_enum, default_value = "consent")]
        kind: KindName,
        /// Begin after this record
        #[arg(long, default_value = "")]
        after: String,
        #[arg(long, default_value_t = 100)]
        limit: i64,
        /// Of break-glass: only what nobody reviewed yet
        #[arg(long)]
        unreviewed: bool,
        /// Of consents: only 一括同意 signed before this facility (OID) joined
        #[arg(long, value_name = "FACILITY")]
        before_joining: Option<String>,
        #[arg(long)]
        json: bool,
    },
    /// A patient's records
    Show {
        patient: String,
        /// What ended too, and the history
        #[arg(long)]
        all: bool,
        #[arg(long)]
        json: bool,
    },
    /// 留保: keep back what a facility would provide
    Reserve {
        patient: String,
        /// Whose documents
        #[arg(long, default_value = "*")]
        source: Audience,
        #[arg(long, default_value = "*")]
        data: Data,
        /// From whom
        #[arg(long, default_value = "*")]
        viewer: Audience,
        #[arg(long)]
        valid_from: Option<Date>,
        #[arg(long)]
        valid_to: Option<Date>,
        #[command(flatten)]
        said: Said,
    },
    /// End a reservation, an attestation, an emergency access, a VIP's record
    Release {
        patient: String,
        id: String,
        #[command(flatten)]
        said: Said,
    },
    /// The viewing facility says that the patient consented explicitly at the visit
    Attest {
        patient: String,
        /// The user it is for: NameID, or NameID@issuer
        #[arg(long, required_unless_present = "facility", conflicts_with = "facility")]
        user: Option<String>,
        /// The facility (OID) it is for
        #[arg(long)]
        facility: Option<String>,
        /// SYSTEM|CODE
        #[arg(long)]
        purpose: Option<String>,
        /// Until when [default: the end of the day in Japan]
        #[arg(long)]
        until: Option<Timestamp>,
        #[command(flatten)]
        said: Said,
    },
    /// Open emergency access for a user, who uses it with an emergency purpose
    BreakGlass {
        patient: String,
        /// The user: NameID, or NameID@issuer
        #[arg(long)]
        user: String,
        /// Only from this facility (OID)
        #[arg(long)]
        facility: Option<String>,
        /// [default: as the network's rules say]
        #[arg(long)]
        minutes: Option<u32>,
        #[command(flatten)]
        said: Said,
    },
    /// Note that an emergency access was looked into
    Review {
        id: String,
        #[command(flatten)]
        said: Said,
    },
    /// Show a patient's documents to a care team alone (要配慮患者)
    Vip {
        patient: String,
        #[arg(long, required = true)]
        team: Vec<Audience>,
        #[command(flatten)]
        said: Said,
    },
    /// Show a document (uniqueId) to nobody
    Hold {
        document: String,
        #[command(flatten)]
        said: Said,
    },
    /// Let a document on hold be shown again
    Unhold {
        document: String,
        #[command(flatten)]
        said: Said,
    },
    /// After patients were joined or parted: the patient's own records are what holds
    Confirm {
        patient: String,
        #[command(flatten)]
        said: Said,
    },
    /// Why somebody sees a document, or does not
    Explain {
        #[command(flatten)]
        viewing: Viewing,
        /// uniqueId
        #[arg(long)]
        document: String,
        /// [default: the document's]
        #[arg(long)]
        patient: Option<String>,
    },
    /// What somebody would see of a patient now
    Today {
        #[command(flatten)]
        viewing: Viewing,
        #[arg(long)]
        patient: String,
        /// What they would not see too, each with why
        #[arg(long)]
        all: bool,
    },
    /// Take consents from a file: JSON lines as exported, CSV, or APPC
    Import {
        file: PathBuf,
        /// [default: by the file's name: .json, .csv, .xml]
        #[arg(long, value_enum)]
        format: Option<Format>,
        /// Of APPC that names no patient
        #[arg(long)]
        patient: Option<String>,
        /// Only say what would be taken
        #[arg(long)]
        check: bool,
        #[arg(long, default_value = "import")]
        reason: String,
    },
    /// Write consents in force as JSON lines, or as BPPC or APPC documents
    Export {
        #[arg(long)]
        patient: Option<String>,
        /// Write a BPPC document each into this folder
        #[arg(long, value_name = "DIR")]
        bppc: Option<PathBuf>,
        /// Write an APPC document each into this folder
        #[arg(long, value_name = "DIR")]
        appc: Option<PathBuf>,
    },
}

/// The consents of the configured database.
struct Opened<'c> {
    config: &'c Config,
    desk: Desk,
    consents: Consents,
    context: Context,
    language: Language,
}

pub fn run(arguments: Arguments, lang: Option<Language>) -> ExitCode {
    let done = arguments.file.work(lang, async |config: &_, language| {
        let desk = Desk::open(config).await?;
        let consents = Consents::new(desk.db.clone(), desk.audit.clone(), app::access(config)?);
        let context = desk.context("consent", Transaction::Iti18);
        let opened = Opened { config, desk, consents, context, language };
        let done = work(&opened, arguments.what).await;
        opened.desk.db.close().await;
        done
    });
    match done {
        Ok((text, _)) => print(&text),
        Err(code) => code,
    }
}

/// A refusal in the words of a terminal.
fn refused(refusal: Refused, language: Language) -> anyhow::Error {
    match (refusal, language) {
        (Refused::Error(error), _) => failure(error),
        (Refused::UnknownPatient, Language::Ja) => {
            anyhow!("この患者は登録されていないか、他の患者に統合されています")
        }
        (Refused::NoRecord(id), Language::Ja) => anyhow!("この患者に有効な記録 {id} はありません"),
        (refusal, _) => anyhow!("{refusal}"),
    }
}

impl Opened<'_> {
    fn word(&self, said: Said) -> Word {
        Word { who: said.by.unwrap_or_else(|| self.desk.by()), reason: said.reason }
    }

    async fn change(&self, patient: &str, change: Change, said: Said) -> anyhow::Result<String> {
        let word = self.word(said);
        let ids = self.consents.change(&self.context, patient, change, word).await;
        let ids = ids.map_err(|e| refused(e, self.language))?;
        Ok(ids.iter().map(|id| format!("{id}\n")).collect())
    }

    fn caller(&self, viewing: &Viewing) -> anyhow::Result<(Caller, Context)> {
        let roles = match viewing.role.is_empty() {
            true => vec![format!("{}|Medical Doctor", crate::model::consent::network::HPKI_ROLES)],
            false => viewing.role.clone(),
        };
        let (name_id, issuer) = viewing.user.split_once('@').unwrap_or((&viewing.user, ""));
        let user = User {
            name_id: name_id.to_owned(),
            issuer: issuer.to_owned(),
            organization_id: viewing.facility.first().cloned(),
            home_community_id: viewing.community.clone(),
            roles: coded(&roles)?,
            purposes: coded(&viewing.purpose)?,
            ..User::default()
        };
        let mut context = self.context.clone();
        context.received_at = viewing.at.unwrap_or(context.received_at);
        Ok((Caller { user: Some(Box::new(user)), ..Caller::default() }, context))
    }
}

fn coded(texts: &[String]) -> anyhow::Result<Vec<Coded>> {
    texts
        .iter()
        .map(|text| match text.split_once('|') {
            Some((system, code)) => {
                Ok(Coded { code: code.to_owned(), system: system.to_owned(), display: None })
            }
            None => Err(anyhow!("'{text}' is not of the form SYSTEM|CODE")),
        })
        .collect()
}

/// `source=…,viewer=…,data=…,from=…,to=…,valid-from=…,valid-to=…,purpose=…`
fn rule(effect: Effect, text: &str) -> anyhow::Result<Rule> {
    let mut rule = Rule::new(effect);
    for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let (name, value) = part
            .split_once('=')
            .ok_or_else(|| anyhow!("'{part}' of a rule is not of the form NAME=VALUE"))?;
        match name.trim() {
            "source" => rule.source = value.parse()?,
            "viewer" => rule.viewer = value.parse()?,
            "data" => rule.data = value.parse()?,
            "from" => rule.documents_from = Some(value.parse()?),
            "to" => rule.documents_to = Some(value.parse()?),
            "valid-from" => rule.valid_from = Some(value.parse()?),
            "valid-to" => rule.valid_to = Some(value.parse()?),
            "purpose" => rule.purpose = Some(value.to_owned()),
            name => bail!(
                "a rule has no '{name}': there are source, viewer, data, from, to, valid-from, valid-to, purpose"
            ),
        }
    }
    Ok(rule)
}

fn rules(permit: &[String], deny: &[String]) -> anyhow::Result<Vec<Rule>> {
    let permits = permit.iter().map(|text| rule(Effect::Permit, text));
    permits.chain(deny.iter().map(|text| rule(Effect::Deny, text))).collect()
}

impl From<KindName> for Kind {
    fn from(name: KindName) -> Self {
        match name {
            KindName::Consent => Self::Consent,
            KindName::Reservation => Self::Reservation,
            KindName::Attestation => Self::Attestation,
            KindName::BreakGlass => Self::BreakGlass,
            KindName::Vip => Self::Vip,
        }
    }
}

impl From<PatternName> for Pattern {
    fn from(name: PatternName) -> Self {
        match name {
            PatternName::Bulk => Self::Bulk,
            PatternName::List => Self::List,
            PatternName::PerFacility => Self::PerFacility,
        }
    }
}

async fn work(opened: &Opened<'_>, what: What) -> anyhow::Result<String> {
    let now = opened.context.received_at;
    let micros = opened.context.micros();
    match what {
        What::Grant {
            patient,
            policy,
            pattern,
            signed_on,
            valid_from,
            valid_to,
            signer,
            proxy,
            obtained_at,
            document,
            no_break_glass,
            permit,
            deny,
            said,
        } => {
            let consent = Consent {
                policy: plain_oid(&policy).to_owned(),
                pattern: pattern.into(),
                signer,
                relation: if proxy { Relation::Proxy } else { Relation::Oneself },
                obtained_at: obtained_at.map(|oid| plain_oid(&oid).to_owned()),
                signed_on: signed_on.or_else(|| crate::model::consent::facts::today(micros)),
                valid_from,
                valid_to,
                document,
                no_break_glass,
                rules: rules(&permit, &deny)?,
                ..Consent::default()
            };
            opened.change(&patient, Change::Grant(consent), said).await
        }
        What::Withdraw { patient, id: Some(id), part: Some(part), said } => {
            let rule = rule(Effect::Deny, &part)?;
            opened.change(&patient, Change::Restrict(id, rule), said).await
        }
        What::Withdraw { patient, id, said, .. } => opened.change(&patient, Change::Withdraw(id), said).await,
        What::Reserve { patient, source, data, viewer, valid_from, valid_to, said } => {
            let id = String::new();
            let reservation = Reservation { id, source, data, viewer, valid_from, valid_to };
            opened.change(&patient, Change::Reserve(reservation), said).await
        }
        What::Release { patient, id, said } => opened.change(&patient, Change::End(id), said).await,
        What::Attest { patient, user, facility, purpose, until, said } => {
            let viewer = match (user, facility) {
                (Some(user), _) => Audience::Person(user),
                (None, Some(facility)) => Audience::Facility(plain_oid(&facility).to_owned()),
                (None, None) => bail!("--user or --facility"),
            };
            let until = until.unwrap_or_else(|| end_of_day(now));
            let attestation = Attestation {
                viewer,
                purpose,
                from: micros,
                until: until.as_microsecond(),
                ..Attestation::default()
            };
            opened.change(&patient, Change::Attest(attestation), said).await
        }
        What::BreakGlass { patient, user, facility, minutes, said } => {
            let minutes = minutes.unwrap_or(opened.consents.access().network().break_glass_minutes);
            let access = BreakGlass {
                user,
                facility: facility.map(|oid| plain_oid(&oid).to_owned()),
                from: micros,
                until: after(now, minutes),
                ..BreakGlass::default()
            };
            opened.change(&patient, Change::BreakGlass(access), said).await
        }
        What::Review { id, said } => {
            let found = opened.consents.record(&id).await.map_err(|e| refused(e, opened.language))?;
            let missing = || refused(Refused::NoRecord(id.clone()), opened.language);
            let (patient, _) = found.ok_or_else(missing)?;
            opened.change(&patient, Change::Review(id), said).await
        }
        What::Vip { patient, team, said } => opened.change(&patient, Change::Vip(team), said).await,
        What::Hold { document, said } => {
            let patient = patient_of(opened, &document).await?;
            opened.change(&patient, Change::Hold(document), said).await
        }
        What::Unhold { document, said } => {
            let patient = patient_of(opened, &document).await?;
            opened.change(&patient, Change::Unhold(document), said).await
        }
        What::Confirm { patient, said } => opened.change(&patient, Change::Confirm, said).await,
        What::Explain { viewing, document, patient } => {
            let patient = match patient {
                Some(patient) => patient,
                None => patient_of(opened, &document).await?,
            };
            let (caller, context) = opened.caller(&viewing)?;
            let function = Function::Retrieve;
            let sight = Sight { caller, function, patient, document: Some(document), seen_only: false };
            let explained = opened.consents.explain(&context, sight).await;
            let explained = explained.map_err(|e| refused(e, opened.language))?;
            show::explained(&explained, viewing.json, opened.language)
        }
        What::Today { viewing, patient, all } => {
            let (caller, context) = opened.caller(&viewing)?;
            let function = Function::Query;
            let sight = Sight { caller, function, patient, document: None, seen_only: !all };
            let explained = opened.consents.explain(&context, sight).await;
            let explained = explained.map_err(|e| refused(e, opened.language))?;
            show::explained(&explained, viewing.json, opened.language)
        }
        What::List { kind, after, limit, unreviewed, before_joining, json } => {
            let found = opened.consents.list(&opened.context, kind.into(), &after, limit).await;
            let mut found = found.map_err(|e| refused(e, opened.language))?;
            if unreviewed {
                found.retain(|(_, kept)| kept.reviewed_at.is_none());
            }
            if let Some(facility) = before_joining {
                let network = opened.consents.access().network();
                let joined = network.listed(&facility).and_then(|f| f.joined);
                let joined = joined.ok_or_else(|| {
                    anyhow!("{facility}: the network's rules (consent.rules) do not say when it joined")
                })?;
                show::signed_before(&mut found, joined);
            }
            show::listed(&found, json, opened.language)
        }
        What::Show { patient, all, json } => {
            let shown = opened.consents.show(&opened.context, &patient, all).await;
            show::shown(&shown.map_err(|e| refused(e, opened.language))?, json, opened.language)
        }
        What::Import { file, format, patient, check, reason } => {
            bring::import(opened, &file, format, patient.as_deref(), check, &reason).await
        }
        What::Export { patient, bppc, appc } => {
            bring::export(opened, patient.as_deref(), bppc.as_deref(), appc.as_deref()).await
        }
    }
}

async fn patient_of(opened: &Opened<'_>, document: &str) -> anyhow::Result<String> {
    let found = opened.consents.patient_of(document).await.map_err(|e| refused(e, opened.language))?;
    found.ok_or_else(|| match opened.language {
        Language::En => anyhow!("no registered document has the uniqueId {document}"),
        Language::Ja => anyhow!("uniqueId {document} の文書は登録されていません"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read() {
        let read = rule(
            Effect::Deny,
            "source=facility:1.2.3, viewer=group:薬局,data=typeCode=1|1.2,from=2025-01-01,valid-to=2026-12-31",
        )
        .unwrap();
        assert_eq!(read.source, Audience::Facility("1.2.3".into()));
        assert_eq!(read.data.to_string(), "typeCode=1|1.2");
        assert_eq!(read.documents_from.map(|d| d.to_string()).as_deref(), Some("2025-01-01"));
        for wrong in ["source", "colour=red", "from=yesterday", "viewer=nobody"] {
            assert!(rule(Effect::Deny, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_day_ends_in_japan() {
        let at: Timestamp = "2026-11-22T14:59:00Z".parse().unwrap();
        assert_eq!(end_of_day(at).to_string(), "2026-11-22T15:00:00Z");
        let at: Timestamp = "2026-11-22T15:00:00Z".parse().unwrap();
        assert_eq!(end_of_day(at).to_string(), "2026-11-23T15:00:00Z");
    }
}
