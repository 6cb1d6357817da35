//! The verbs of `chiren national` that look into the ledger, and those that change it.

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Condition, FactWhat, What, show, words};
use crate::app;
use crate::cli::keep;
use crate::cli::operator::{Desk, failure};
use crate::config::{Config, Language};
use crate::model::transaction::Transaction;
use crate::server::clock::Clock;
use crate::service::national::operator::{DecisionKind, DeliveryState, Nothing};
use crate::service::national::{FACTS, Month, National};

pub async fn work(config: &Config, what: &What, language: Language) -> anyhow::Result<String> {
    if !config.national.enabled {
        bail!(match language {
            Language::En => "national.enabled is false: nothing is decided or sent",
            Language::Ja => "national.enabled が false のため、全国サービスへの送信は行われていません",
        });
    }
    let desk = Desk::open(config).await?;
    // Documents are read where something is decided anew.
    let access = app::access(config)?;
    let registry = app::registry(config, &desk.db, &access, &Clock::System)?;
    let repository = match keep::documents(config)? {
        Some(_) => Some(app::repository(config, &desk.db, Some(registry), &access, &Clock::System)?),
        None => None,
    };
    let national = app::national_service(config, &desk.db, repository, &access, &Clock::System)?;
    let done = asked(&desk, &national, what, language).await;
    desk.db.close().await;
    done
}

async fn asked(desk: &Desk, national: &National, what: &What, language: Language) -> anyhow::Result<String> {
    let context = desk.context("national", Transaction::Iti18);
    let by = desk.by();
    match what {
        What::Status { institution, json } => {
            let lanes = national.lanes(institution.as_deref()).await.map_err(failure)?;
            let now = Timestamp::now().as_microsecond();
            Ok(if *json { pretty(&show::lanes_json(&lanes))? } else { show::lanes(&lanes, now, language) })
        }
        What::Why { entry, json } => {
            let story = national.story(entry).await.map_err(failure)?;
            let Some(story) = story else { return not_there(language) };
            Ok(if *json { pretty(&show::story_json(&story))? } else { show::story(&story, language) })
        }
        What::List { what, institution, json } => {
            list(national, *what, institution.as_deref(), *json, language).await
        }
        What::Pause { institution } => {
            let done = national.pause(&context, institution, Some(&by)).await.map_err(failure)?;
            Ok(words::paused(institution, true, done, language))
        }
        What::Resume { institution } => {
            let done = national.pause(&context, institution, None).await.map_err(failure)?;
            Ok(words::paused(institution, false, done, language))
        }
        What::Retry { name } => {
            told(national.retry(&context, name).await.map_err(failure)?, words::RETRIED, language)
        }
        What::Drop { name } => {
            told(national.drop(&context, name, &by).await.map_err(failure)?, words::DROPPED, language)
        }
        What::Undo { entry } => {
            told(national.undo(&context, entry).await.map_err(failure)?, words::UNDONE, language)
        }
        What::Reconcile { institution, mend, json } => {
            let mut reports = vec![];
            for (number, _) in national.institutions() {
                if institution.as_ref().is_none_or(|i| i == number) {
                    reports.push(national.reconcile(&context, number, *mend).await.map_err(failure)?);
                }
            }
            Ok(if *json { pretty(&json!(reports))? } else { show::reconciled(&reports, language) })
        }
        What::Referrals { expiring, ask, json } => {
            if *ask {
                national.tend(&CancellationToken::new()).await.map_err(failure)?;
            }
            let mut letters = national.letters().await.map_err(failure)?;
            if let Some(days) = expiring {
                let soon = Timestamp::now().as_microsecond() + days * 86_400_000_000;
                letters.retain(|l| l.state.is_there() && l.expires_at.is_some_and(|at| at <= soon));
            }
            Ok(if *json { pretty(&show::letters_json(&letters))? } else { show::letters(&letters, language) })
        }
        What::Coverage { month, json } => {
            let parsed = Month::parse(month).with_context(|| format!("{month:?} is no month (YYYY-MM)"))?;
            let tally = national.views(parsed).await.map_err(failure)?;
            Ok(if *json { pretty(&json!(tally))? } else { words::coverage(month, &tally, language) })
        }
        // Done before, without a configuration.
        What::Make(_) | What::Check(_) => Ok(String::new()),
        What::Fact { what } => fact(&context, national, what, &by, language).await,
    }
}

async fn list(
    national: &National,
    what: Condition,
    institution: Option<&str>,
    json: bool,
    language: Language,
) -> anyhow::Result<String> {
    let decided = |kind| async move { national.decisions(kind, institution).await.map_err(failure) };
    let delivered = |state| async move { national.deliveries(state, institution).await.map_err(failure) };
    match what {
        Condition::Failed | Condition::Held | Condition::Skipped => {
            let rows = decided(match what {
                Condition::Failed => DecisionKind::Fail,
                Condition::Held => DecisionKind::Hold,
                _ => DecisionKind::Skip,
            })
            .await?;
            Ok(if json { pretty(&show::decisions_json(&rows))? } else { show::decisions(&rows, language) })
        }
        Condition::Parked | Condition::Waiting | Condition::Processing | Condition::Done => {
            let rows = delivered(match what {
                Condition::Parked => DeliveryState::Parked,
                Condition::Waiting => DeliveryState::Waiting,
                Condition::Processing => DeliveryState::Processing,
                _ => DeliveryState::Done,
            })
            .await?;
            Ok(if json { pretty(&show::deliveries_json(&rows))? } else { show::deliveries(&rows, language) })
        }
    }
}

async fn fact(
    context: &crate::service::context::Context,
    national: &National,
    what: &FactWhat,
    by: &str,
    language: Language,
) -> anyhow::Result<String> {
    match what {
        FactWhat::Set { kind, subject, name, value } => {
            let done = national.say(context, kind, subject, name, Some(value), by).await.map_err(failure)?;
            told(done, words::SAID, language)
        }
        FactWhat::Clear { kind, subject, name } => {
            let done = national.say(context, kind, subject, name, None, by).await.map_err(failure)?;
            told(done, words::SAID, language)
        }
        FactWhat::Show { kind, subject } => {
            let facts = national.said_of(kind, subject).await.map_err(failure)?;
            Ok(show::facts(&facts, language))
        }
        FactWhat::Names => Ok(FACTS
            .iter()
            .map(|(kind, name, values)| format!("{kind} {name} {}\n", values.join("|")))
            .collect()),
    }
}

fn told(done: Result<(), Nothing>, said: (&str, &str), language: Language) -> anyhow::Result<String> {
    match (done, language) {
        (Ok(()), Language::En) => Ok(format!("{}\n", said.0)),
        (Ok(()), Language::Ja) => Ok(format!("{}\n", said.1)),
        (Err(Nothing::NotThere), _) => not_there(language),
        (Err(Nothing::NotNow), Language::En) => bail!("it is over already, or under way right now"),
        (Err(Nothing::NotNow), Language::Ja) => bail!("既に終了しているか、現在処理中です"),
    }
}

fn not_there(language: Language) -> anyhow::Result<String> {
    match language {
        Language::En => bail!("nothing of that name is known here"),
        Language::Ja => bail!("該当するものがありません"),
    }
}

fn pretty(value: &serde_json::Value) -> anyhow::Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(value)?))
}
