//! `chiren mpi`: the index of patients as an operator sees and corrects it. Works beside a running gateway.

mod domain;
pub(in crate::cli) mod import;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;

use super::operator::{Desk, failure};
use super::send::table;
use super::{ConfigFile, print};
use crate::app;
use crate::config::{Config, Language};
use crate::matching::{Model, Thresholds};
use crate::model::identity::{DomainId, NameScript};
use crate::model::transaction::Transaction;
use crate::server::clock::Clock;
use crate::service::context::Context;
use crate::service::mpi::operator::PersonShown;
use crate::service::mpi::{Mpi, Refusal, ReviewState, Verdict};
use crate::store::db::Db;

pub const EXAMPLES: &str = "An id is written 'ID^^^&OID&ISO', NAMESPACE:ID, or as an id of the network alone. Every look at a patient and
every change leaves an audit record; nothing is overwritten, and what was joined can be parted again.

Examples:
  chiren mpi show CHUO:0012345
  chiren mpi why CHUO:0012345 NISHI:777
  chiren mpi history 4711081590
  chiren mpi link CHUO:0012345 NISHI:777 --reason 'card seen'
  chiren mpi unmerge CHUO:0012346 --reason 'merged by mistake'
  chiren mpi review list
  chiren mpi review decide 019ac0de-5e2f-7cc1-9a5e-3f6c6c1f0a11 same --reason 'same address'
  chiren mpi train --out model.json && chiren mpi trial model.json && chiren mpi accept model.json
  chiren mpi import patients.csv --domain CHUO
  chiren mpi import adt.hl7
  chiren mpi domain add --facility 1312345670 --namespace KITA --name 北病院 --sender 'HIS|KITA'";

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: ConfigFile,

    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List persons in order of the network's id
    List {
        /// Begin after this id of the network
        #[arg(long, default_value = "")]
        after: String,

        /// How many
        #[arg(long, default_value_t = 50)]
        limit: i64,

        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the person an id is of, and all their ids
    Show { id: String },
    /// Show what happened to an id and to its person, by whom and why
    History { id: String },
    /// Show what was known of an id, version by version
    Versions { id: String },
    /// Show why an id is where it is, or why two are together or not: field by field
    Why { id: String, other: Option<String> },
    /// Say that two ids are of one person
    Link {
        one: String,
        other: String,
        /// Why, for the history
        #[arg(long)]
        reason: String,
    },
    /// Say that two ids are of two persons; the machine does not link them again
    Unlink {
        one: String,
        other: String,
        /// Why, for the history
        #[arg(long)]
        reason: String,
    },
    /// Join a person to another, which keeps its id; documents follow
    Merge {
        /// The network's id that goes
        from: String,
        /// The network's id that stays
        into: String,
        /// Why, for the history
        #[arg(long)]
        reason: String,
    },
    /// Take back what merged an id or a person away, with all it brought about
    Unmerge {
        id: String,
        /// Why, for the history
        #[arg(long)]
        reason: String,
    },
    /// Take ids out of their person: together they are another
    Split {
        #[arg(required = true)]
        ids: Vec<String>,
        /// Why, for the history
        #[arg(long)]
        reason: String,
    },
    /// Work on what the machine cannot decide
    Review {
        #[command(subcommand)]
        what: Review,
    },
    /// Estimate weights from the network's own identities; nothing changes until the model is accepted
    Train {
        /// Write the model to a file, too
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// See what another model, or other thresholds, would do; nothing is changed
    Trial {
        /// A model file, or the id of one trained here; none: the one in force
        model: Option<String>,

        /// Try another threshold of links, in bits
        #[arg(long)]
        link: Option<f64>,

        /// Try another threshold of reviews, in bits
        #[arg(long)]
        review: Option<f64>,

        /// Look at one identity in so many
        #[arg(long, default_value_t = 1)]
        sample: u64,
    },
    /// Decide by a model from now on
    Accept {
        /// A model file, or the id of one trained here
        model: String,

        /// With another threshold of links, in bits
        #[arg(long)]
        link: Option<f64>,

        /// With another threshold of reviews, in bits
        #[arg(long)]
        review: Option<f64>,
    },
    /// Assigning authorities that become known without a restart
    Domain {
        #[command(subcommand)]
        what: domain::What,
    },
    /// Feed a file: CSV, or HL7 v2 messages
    #[command(after_help = import::EXAMPLES)]
    Import(import::Arguments),
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
    Refused,
    /// 解除
    Released,
    /// Nothing to look at any more
    Obsolete,
}

impl From<State> for ReviewState {
    fn from(state: State) -> Self {
        match state {
            State::Candidate => ReviewState::Candidate,
            State::Waiting => ReviewState::Waiting,
            State::Confirmed => ReviewState::Confirmed,
            State::Refused => ReviewState::Refused,
            State::Released => ReviewState::Released,
            State::Obsolete => ReviewState::Obsolete,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Word {
    Same,
    Different,
    Unsure,
    Ask,
}

#[derive(Debug, Subcommand)]
enum Review {
    /// The worklist: the most urgent first
    List {
        #[arg(long, value_enum, default_value = "candidate")]
        state: State,

        /// Only what was assigned to somebody
        #[arg(long)]
        assignee: Option<String>,

        /// How many
        #[arg(long, default_value_t = 50)]
        limit: i64,

        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// A task side by side, field by field
    Show { task: String },
    /// Give a task to somebody
    Assign {
        task: String,
        /// To whom; nobody: back to the worklist
        to: Option<String>,
    },
    /// Say what it is
    Decide {
        task: String,
        #[arg(value_enum)]
        verdict: Word,
        /// Which candidate, by its id or its person's, where there are several
        #[arg(long)]
        candidate: Option<String>,
        /// Why, for the history
        #[arg(long, default_value = "")]
        reason: String,
        /// Who says so
        #[arg(long)]
        by: Option<String>,
    },
}

/// The index of the configured database.
pub(in crate::cli) struct Opened {
    mpi: Mpi,
    context: Context,
    db: Db,
    by: String,
}

impl Opened {
    async fn open(config: &Config) -> anyhow::Result<Self> {
        if !config.mpi.enabled {
            bail!("mpi.enabled is false: this gateway keeps no index of patients");
        }
        let desk = Desk::open(config).await?;
        let mpi = app::index(config, &desk.db, &desk.audit, &Clock::System).await?;
        let context = desk.context("mpi", Transaction::Iti30);
        Ok(Self { mpi, context, by: desk.by(), db: desk.db })
    }

    fn id(&self, text: &str) -> anyhow::Result<DomainId> {
        self.mpi.named(text).map_err(|why| anyhow!("{text}: {why}"))
    }
}

pub fn run(arguments: Arguments, lang: Option<Language>) -> ExitCode {
    match arguments
        .file
        .work(lang, async |config: &_, language| work(config, &arguments.what, language).await)
    {
        Ok((text, _)) => print(&text),
        Err(code) => code,
    }
}

async fn work(config: &Config, what: &What, language: Language) -> anyhow::Result<String> {
    let opened = Opened::open(config).await?;
    let done = match what {
        What::Import(arguments) => import::run(config, &opened, arguments, language).await,
        What::Domain { what } => domain::run(config, &opened, what, language).await,
        what => asked(&opened, what, language).await,
    };
    opened.db.close().await;
    done
}

fn json(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(value)?))
}

fn nobody(language: Language) -> anyhow::Error {
    match language {
        Language::En => anyhow!("this id is not known here"),
        Language::Ja => anyhow!("この ID は登録されていません"),
    }
}

/// A refusal in the words of a terminal.
fn refused(refusal: Refusal) -> anyhow::Error {
    match refusal {
        Refusal::Identity(errors) => {
            anyhow!("{}", errors.into_iter().map(|e| e.text).collect::<Vec<_>>().join("\n"))
        }
        Refusal::Error(error) => failure(error),
    }
}

async fn asked(opened: &Opened, what: &What, language: Language) -> anyhow::Result<String> {
    let Opened { mpi, context, by, .. } = opened;
    let id = |text: &str| opened.id(text);
    match what {
        What::List { after, limit, json: as_json } => {
            let persons = mpi.persons(after, *limit).await.map_err(failure)?;
            if *as_json { json(&persons) } else { Ok(listed(&persons, language)) }
        }
        What::Show { id: text } => {
            let found = mpi.show(context, &id(text)?).await.map_err(failure)?;
            json(&found.ok_or_else(|| nobody(language))?)
        }
        What::History { id: text } => {
            let found = mpi.history(context, &id(text)?).await.map_err(failure)?;
            if found.is_empty() { Err(nobody(language)) } else { json(&found) }
        }
        What::Versions { id: text } => {
            let found = mpi.versions(context, &id(text)?).await.map_err(failure)?;
            if found.is_empty() { Err(nobody(language)) } else { json(&found) }
        }
        What::Why { id: text, other } => {
            let other = other.as_deref().map(id).transpose()?;
            let found = mpi.why(context, &id(text)?, other.as_ref()).await.map_err(refused)?;
            json(&found.ok_or_else(|| nobody(language))?)
        }
        What::Link { one, other, reason } => {
            json(&mpi.link(context, &id(one)?, &id(other)?, by, reason).await.map_err(refused)?)
        }
        What::Unlink { one, other, reason } => {
            json(&mpi.unlink(context, &id(one)?, &id(other)?, by, reason).await.map_err(refused)?)
        }
        What::Merge { from, into, reason } => {
            json(&mpi.merge(context, &id(from)?, &id(into)?, by, reason).await.map_err(refused)?)
        }
        What::Unmerge { id: text, reason } => {
            json(&mpi.unmerge(context, &id(text)?, by, reason).await.map_err(refused)?)
        }
        What::Split { ids, reason } => {
            let ids = ids.iter().map(|text| id(text)).collect::<anyhow::Result<Vec<_>>>()?;
            json(&mpi.split(context, &ids, by, reason).await.map_err(refused)?)
        }
        What::Review { what } => review(opened, what, language).await,
        What::Train { out } => {
            let origin = format!("trained by {by} at {:.0}", context.received_at);
            let hear = |seen: u64| {
                if seen.is_multiple_of(100_000) {
                    eprintln!("{seen}");
                }
            };
            let learned = mpi.train(context, &origin, &hear).await.map_err(failure)?;
            if let Some(path) = out {
                let text = serde_json::to_string_pretty(&learned.model)?;
                std::fs::write(path, text + "\n").with_context(|| path.display().to_string())?;
            }
            json(&serde_json::json!({ "id": learned.id, "identities": learned.identities }))
        }
        What::Trial { model, link, review, sample } => {
            let other = match model {
                Some(name) => model_of(opened, name).await?,
                None => (*mpi.model()).clone(),
            };
            let other = with_thresholds(&other, *link, *review);
            let hear = |seen: u64| {
                if seen.is_multiple_of(100_000) {
                    eprintln!("{seen}");
                }
            };
            json(&mpi.try_model(&other, *sample, &hear).await.map_err(failure)?)
        }
        What::Accept { model, link, review } => {
            let model = with_thresholds(&model_of(opened, model).await?, *link, *review);
            mpi.accept_model(context, &model, by).await.map_err(failure)?;
            json(&serde_json::json!({ "accepted": model.id(), "thresholds": model.thresholds() }))
        }
        What::Import(_) | What::Domain { .. } => bail!("this is no question about patients"),
    }
}

/// The model of a file, or one trained here.
async fn model_of(opened: &Opened, name: &str) -> anyhow::Result<Model> {
    if let Some(model) = opened.mpi.kept_model(name).await.map_err(failure)? {
        return Ok(model);
    }
    let text = std::fs::read_to_string(name)
        .with_context(|| format!("{name} is neither a model trained here nor a file that can be read"))?;
    serde_json::from_str(&text).with_context(|| format!("{name} is no matching model"))
}

fn with_thresholds(model: &Model, link: Option<f64>, review: Option<f64>) -> Model {
    let own = model.thresholds();
    match (link, review) {
        (None, None) => model.clone(),
        _ => model.with_thresholds(Thresholds {
            link: link.unwrap_or(own.link),
            review: review.unwrap_or(own.review),
            ..own
        }),
    }
}

async fn review(opened: &Opened, what: &Review, language: Language) -> anyhow::Result<String> {
    let Opened { mpi, context, by, .. } = opened;
    let undecided = |e: crate::service::mpi::Undecided| match e {
        crate::service::mpi::Undecided::Index(refusal) => refused(refusal),
        other => anyhow!("{other}"),
    };
    match what {
        Review::List { state, assignee, limit, json: as_json } => {
            let tasks =
                mpi.reviews((*state).into(), assignee.clone(), None, *limit).await.map_err(failure)?;
            if *as_json {
                return json(&tasks);
            }
            let headings = match language {
                Language::En => ["task", "state", "since", "priority", "candidates", "networks", "assignee"],
                Language::Ja => ["タスク", "状態", "登録日時", "優先度", "候補数", "網", "担当"],
            };
            let rows: Vec<Vec<String>> = tasks
                .iter()
                .map(|t| {
                    let since = Timestamp::from_microsecond(t.created_at).map(|t| format!("{t:.0}"));
                    vec![
                        t.id.clone(),
                        t.state_name.to_owned(),
                        since.unwrap_or_default(),
                        t.priority.to_string(),
                        t.candidates.to_string(),
                        if t.across_networks { "2" } else { "1" }.to_owned(),
                        t.assignee.clone().unwrap_or_default(),
                    ]
                })
                .collect();
            Ok(table::render(&headings, &rows))
        }
        Review::Show { task } => match mpi.review(context, task).await.map_err(failure)? {
            Some(shown) => json(&shown),
            None => bail!("there is no such review task"),
        },
        Review::Assign { task, to } => {
            mpi.assign(context, task, to.as_deref()).await.map_err(undecided)?;
            Ok(match language {
                Language::En => "assigned\n".to_owned(),
                Language::Ja => "担当を設定しました\n".to_owned(),
            })
        }
        Review::Decide { task, verdict, candidate, reason, by: who } => {
            let verdict = match verdict {
                Word::Same => Verdict::Same,
                Word::Different => Verdict::Different,
                Word::Unsure => Verdict::Unsure,
                Word::Ask => Verdict::Ask,
            };
            let who = who.as_deref().unwrap_or(by);
            let done = mpi
                .decide(context, task, verdict, candidate.as_deref(), who, reason)
                .await
                .map_err(undecided)?;
            json(&done)
        }
    }
}

fn listed(persons: &[PersonShown], language: Language) -> String {
    let headings = match language {
        Language::En => ["person", "name", "birth", "ids"],
        Language::Ja => ["地連患者ID", "氏名", "生年月日", "ID"],
    };
    let rows: Vec<Vec<String>> = persons
        .iter()
        .map(|p| {
            let names = p.view.names.as_deref().unwrap_or_default();
            let name = names.iter().find(|n| n.script == Some(NameScript::Ideographic)).or(names.first());
            let name = name.map(|n| format!("{} {}", n.family, n.given)).unwrap_or_default();
            let ids: Vec<&str> = p.identities.iter().map(|i| i.id.as_str()).collect();
            vec![
                p.person.clone(),
                name.trim().to_owned(),
                p.view.birth_date.clone().unwrap_or_default(),
                ids.join(" "),
            ]
        })
        .collect();
    table::render(&headings, &rows)
}
