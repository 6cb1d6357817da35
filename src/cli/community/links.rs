//! `chiren community links` and what follows: who our patients are in other networks, as a person sees and decides it.

use anyhow::{anyhow, bail};
use clap::{Args, ValueEnum};

use crate::app;
use crate::cli::operator::{Desk, failure};
use crate::cli::send::table;
use crate::config::{Config, Language};
use crate::model::hl7types::Cx;
use crate::model::transaction::Transaction;
use crate::server::clock::Clock;
use crate::service::context::Context;
use crate::service::gateway::Correlations;
use crate::service::gateway::correlate::{LinkShown, Refused, Verdict};
use crate::service::mpi::{Mpi, ReviewState};
use crate::store::db::Db;

#[derive(Debug, Args)]
pub struct Links {
    /// The patient, 'ID^^^&OID&ISO' or an id of the network alone; none: the worklist
    patient: Option<String>,

    /// Links in this state, of the worklist
    #[arg(long, value_enum, default_value = "candidate", conflicts_with = "patient")]
    state: State,

    /// How many, of the worklist
    #[arg(long, default_value_t = 50)]
    limit: i64,

    /// Print JSON, with the history of each
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    /// 候補
    Candidate,
    /// 確認待ち
    Waiting,
    /// 確定
    Confirmed,
    /// 却下
    Rejected,
    /// 解除
    Released,
    /// Nobody says so any more
    Obsolete,
}

impl From<State> for ReviewState {
    fn from(state: State) -> Self {
        match state {
            State::Candidate => ReviewState::Candidate,
            State::Waiting => ReviewState::Waiting,
            State::Confirmed => ReviewState::Confirmed,
            State::Rejected => ReviewState::Refused,
            State::Released => ReviewState::Released,
            State::Obsolete => ReviewState::Obsolete,
        }
    }
}

/// A link, and what is said of it.
#[derive(Debug, Args)]
pub struct Said {
    /// The patient, 'ID^^^&OID&ISO' or an id of the network alone
    patient: String,

    /// The other network, by its id in the directory
    community: String,

    /// The patient's id there, 'ID^^^&OID&ISO' or an id of its authority alone
    theirs: String,

    /// Why, for the history
    #[arg(long, default_value = "")]
    reason: String,

    /// Who says so
    #[arg(long)]
    by: Option<String>,
}

/// Correlations over the configured database.
struct Opened {
    correlations: Correlations,
    context: Context,
    db: Db,
    authority: String,
    by: String,
}

impl Opened {
    async fn open(config: &Config) -> anyhow::Result<Self> {
        if !config.gateway.enabled {
            bail!("gateway.enabled is false: this program is no gateway to other networks");
        }
        let desk = Desk::open(config).await?;
        let (db, audit) = (&desk.db, &desk.audit);
        let mpi: Option<Mpi> = match config.mpi.enabled {
            true => Some(app::index(config, db, audit, &Clock::System).await?),
            false => None,
        };
        let directory = app::directory(config)?;
        let correlations = app::correlations(config, db, audit, mpi.as_ref(), &directory)?;
        let context = desk.context("community", Transaction::Iti55);
        let authority = config.network.patient_id_authority.clone();
        Ok(Self { correlations, context, authority, by: desk.by(), db: desk.db })
    }
}

/// A whole CX, or the id alone.
fn id(text: &str, authority: &str) -> anyhow::Result<Cx<'static>> {
    if let Ok(cx) = Cx::parse(text) {
        return Ok(cx.into_owned());
    }
    if text.contains(['^', '&']) {
        bail!("'{text}' is not of the form ID^^^&OID&ISO");
    }
    Cx::new(text.to_owned(), authority.to_owned()).ok_or_else(|| anyhow!("'{text}' is no id"))
}

fn nobody(language: Language) -> anyhow::Error {
    match language {
        Language::En => anyhow!("no such patient is known here"),
        Language::Ja => anyhow!("この患者 ID は登録されていません"),
    }
}

pub async fn links(config: &Config, links: &Links, language: Language) -> anyhow::Result<String> {
    let opened = Opened::open(config).await?;
    let Opened { correlations, context, authority, .. } = &opened;
    let found = match &links.patient {
        Some(patient) => {
            let patient = id(patient, authority)?;
            let found = correlations.links(context, &patient).await.map_err(failure)?;
            found.ok_or_else(|| nobody(language))?
        }
        None => {
            let state = links.state.into();
            correlations.worklist(context, state, "", links.limit).await.map_err(failure)?
        }
    };
    opened.db.close().await;
    match links.json {
        true => Ok(format!("{}\n", serde_json::to_string_pretty(&found)?)),
        false => Ok(rendered(&found, language)),
    }
}

fn rendered(links: &[LinkShown], language: Language) -> String {
    let headings = match language {
        Language::En => ["patient", "community", "id there", "state", "learnt by", "followed", "until"],
        Language::Ja => ["患者", "相手ネットワーク", "相手の ID", "状態", "取得方法", "参照", "有効期限"],
    };
    let rows: Vec<Vec<String>> = links
        .iter()
        .map(|l| {
            let followed = match (l.holds, language) {
                (true, Language::En) => "yes",
                (false, Language::En) => "no",
                (true, Language::Ja) => "する",
                (false, Language::Ja) => "しない",
            };
            vec![
                l.patient.clone(),
                l.home.clone(),
                l.theirs.clone(),
                l.state_name.to_owned(),
                match language {
                    Language::En => l.way.as_str().to_owned(),
                    Language::Ja => l.way.japanese().to_owned(),
                },
                followed.to_owned(),
                l.valid_until.clone().unwrap_or_default(),
            ]
        })
        .collect();
    table::render(&headings, &rows)
}

pub async fn decide(
    config: &Config,
    said: &Said,
    verdict: Verdict,
    language: Language,
) -> anyhow::Result<String> {
    let opened = Opened::open(config).await?;
    let Opened { correlations, context, authority, by, .. } = &opened;
    let patient = id(&said.patient, authority)?;
    let communities = correlations.communities();
    let community = communities.iter().find(|c| c.id == said.community).ok_or_else(|| match language {
        Language::En => anyhow!("no community '{}' is in the directory", said.community),
        Language::Ja => anyhow!("コミュニティ '{}' は登録されていません", said.community),
    })?;
    let their_authority = community.patient_id_authority.as_deref().unwrap_or(authority);
    let theirs = id(&said.theirs, their_authority)?;
    let home = community.home.to_string();
    let by = said.by.as_deref().unwrap_or(by);
    let done = correlations.decide(context, &patient, &home, &theirs, verdict, by, &said.reason).await;
    opened.db.close().await;
    let link = done.map_err(|refused| match (refused, language) {
        (Refused::Patient, language) => nobody(language),
        (Refused::Error(error), _) => failure(error),
        (Refused::Reason, Language::Ja) => anyhow!("--reason に理由を指定してください（履歴に残ります）"),
        (refused, _) => anyhow!("{refused}"),
    })?;
    Ok(format!("{}\n", serde_json::to_string_pretty(&link)?))
}
