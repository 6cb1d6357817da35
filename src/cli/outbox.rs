//! `chiren outbox`: what waits to be delivered elsewhere, and what has been given up.

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use super::operator::{Operator, failure};
use super::send::table;
use super::{ConfigFile, print};
use crate::config::{Config, Language};
use crate::service::outbox::{Outbox, Waiting};

pub const EXAMPLES: &str = "Works beside a running gateway. Whoever drops a row leaves an audit record.

Examples:
  chiren outbox list
  chiren outbox list --json | jq '.[] | select(.parkedAt)'
  chiren outbox retry --parked
  chiren outbox drop 019ac0de-5e2f-7cc1-9a5e-3f6c6c1f0a11";

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: ConfigFile,

    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show every row: where it goes, how often it was tried, why it failed
    List {
        /// Print as JSON
        #[arg(long)]
        json: bool,
    },
    /// Try a row at once, or all that are parked
    Retry {
        /// The row
        #[arg(required_unless_present = "parked")]
        id: Option<String>,

        /// All that are parked
        #[arg(long, conflicts_with = "id")]
        parked: bool,
    },
    /// Take a row out undelivered
    Drop {
        /// The row
        id: String,
    },
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
    let operator = Operator::open(config, "outbox").await?;
    let outbox = operator.outbox(config);
    let done = asked(&operator, &outbox, what, language).await;
    operator.close().await;
    done
}

async fn asked(
    operator: &Operator,
    outbox: &Outbox,
    what: &What,
    language: Language,
) -> anyhow::Result<String> {
    let now = operator.context.micros();
    match what {
        What::List { json } => {
            let rows = outbox.list().await.map_err(failure)?;
            if *json {
                let rows: Vec<_> = rows.iter().map(as_json).collect();
                return Ok(format!("{}\n", serde_json::to_string_pretty(&rows)?));
            }
            Ok(listed(&rows, now, language))
        }
        What::Retry { id, .. } => {
            let made_due = outbox.retry(id.as_deref(), now).await.map_err(failure)?;
            if made_due == 0 && id.is_some() {
                return not_there(language);
            }
            Ok(match language {
                Language::En => format!("{made_due} row(s) will be tried at the gateway's next look\n"),
                Language::Ja => format!("{made_due} 件を、ゲートウェイが次に確認するときに再送します\n"),
            })
        }
        What::Drop { id } => {
            if !outbox.discard(&operator.context, id).await.map_err(failure)? {
                return not_there(language);
            }
            Ok(match language {
                Language::En => "the row is dropped; nobody will receive it\n".to_owned(),
                Language::Ja => "破棄しました。相手には届きません\n".to_owned(),
            })
        }
    }
}

fn not_there(language: Language) -> anyhow::Result<String> {
    match language {
        Language::En => bail!("there is no such row, or it is being delivered right now"),
        Language::Ja => bail!("該当する行がないか、現在送信中です"),
    }
}

fn time(micros: i64) -> String {
    Timestamp::from_microsecond(micros).map(|t| format!("{t:.0}")).unwrap_or_default()
}

fn listed(rows: &[Waiting], now: i64, language: Language) -> String {
    if rows.is_empty() {
        return match language {
            Language::En => "nothing waits\n".to_owned(),
            Language::Ja => "待機中の送信はありません\n".to_owned(),
        };
    }
    let headings = match language {
        Language::En => ["id", "kind", "to", "since", "attempts", "next", "why"],
        Language::Ja => ["id", "種類", "宛先", "登録日時", "試行回数", "次回", "理由"],
    };
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let next = match (row.next_attempt, language) {
                (None, Language::En) => "parked".to_owned(),
                (None, Language::Ja) => "保留".to_owned(),
                (Some(_), Language::En) if row.lease_until > now => "under way".to_owned(),
                (Some(_), Language::Ja) if row.lease_until > now => "送信中".to_owned(),
                (Some(at), _) => time(at),
            };
            let why = row.failure.clone().unwrap_or_default();
            let (since, attempts) = (time(row.created_at), row.attempts.to_string());
            vec![row.id.clone(), row.kind.clone(), row.stream.clone(), since, attempts, next, why]
        })
        .collect();
    table::render(&headings, &rows)
}

fn as_json(row: &Waiting) -> serde_json::Value {
    json!({
        "id": row.id,
        "kind": row.kind,
        "to": row.stream,
        "since": time(row.created_at),
        "attempts": row.attempts,
        "nextAttempt": row.next_attempt.map(time),
        "parkedAt": row.parked_at.map(time),
        "failure": row.failure,
    })
}
