//! `chiren history`: what happened to an object, when, by whom and why.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use super::operator::{Operator, failure};
use super::send::table;
use super::{ConfigFile, print};
use crate::config::{Config, Language};
use crate::service::registry::{History, Operation, Step};

pub const EXAMPLES: &str = "Shows removed objects too, and of a document or folder every version. Whoever asks leaves an audit record.

Examples:
  chiren history 2.25.329800735698586629295641978511506172918
  chiren history urn:uuid:0c5d1d3a-5c3d-4b0e-8b7e-2f6d2f0a9f11
  chiren history 2.25.1 --json | jq '.[].steps[] | {at, operation, transaction}'";

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: ConfigFile,

    /// entryUUID or uniqueId
    name: String,

    /// Print as JSON, with the whole object at each step
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments, lang: Option<Language>) -> ExitCode {
    match arguments.file.work(lang, async |config: &_, language| look(config, &arguments, language).await) {
        Ok((text, _)) => print(&text),
        Err(code) => code,
    }
}

async fn look(config: &Config, arguments: &Arguments, language: Language) -> anyhow::Result<String> {
    let operator = Operator::open(config, "history").await?;
    let (audit, context) = (&operator.audit, &operator.context);
    let found = operator.registry.history_for_operator(audit, context, &arguments.name).await;
    operator.close().await;
    let found = found.map_err(failure)?;
    if found.is_empty() {
        match language {
            Language::En => bail!("nothing is or was registered under this name"),
            Language::Ja => bail!("この名前で登録されたものはありません"),
        }
    }
    if arguments.json {
        return Ok(format!("{}\n", serde_json::to_string_pretty(&found)?));
    }
    Ok(found.iter().map(|history| tables(history, language)).collect::<Vec<_>>().join("\n"))
}

fn tables(history: &History, language: Language) -> String {
    let mut head = format!("{} {}", history.kind, history.id);
    if let Some(version) = history.version {
        head.push_str(&format!(" version {version}"));
    }
    for (name, value) in [("uniqueId", &history.unique_id), ("patientId", &history.patient_id)] {
        if let Some(value) = value {
            head.push_str(&format!("\n  {name} {value}"));
        }
    }
    let headings = match language {
        Language::En => ["when", "what", "status", "transaction", "who", "why", "request", "change"],
        Language::Ja => ["日時", "操作", "状態", "トランザクション", "実施者", "理由", "要求", "変更番号"],
    };
    let rows: Vec<_> = history.steps.iter().map(|step| row(step, language)).collect();
    format!("{}\n{}", table::printable(&head), table::render(&headings, &rows))
}

fn row(step: &Step, language: Language) -> Vec<String> {
    let what = match (step.operation, language) {
        (Operation::Registered, Language::En) => "registered",
        (Operation::Registered, Language::Ja) => "登録",
        (Operation::Status, Language::En) => "status",
        (Operation::Status, Language::Ja) => "状態変更",
        (Operation::Touched, Language::En) => "lastUpdateTime",
        (Operation::Touched, Language::Ja) => "更新日時",
        (Operation::Removed, Language::En) => "removed",
        (Operation::Removed, Language::Ja) => "削除",
    };
    let none = || "-".to_owned();
    let status = match (&step.availability_status, &step.last_update_time) {
        (Some(status), Some(time)) => format!("{status:?} {time}"),
        (Some(status), None) => format!("{status:?}"),
        (None, _) => none(),
    };
    let who = step.caller.as_ref().map_or_else(none, |caller| {
        let certificate = caller.certificate.as_deref().map(|c| format!(" {}", c.get(..16).unwrap_or(c)));
        format!("{} {}{}", caller.listener, caller.address, certificate.unwrap_or_default())
    });
    vec![
        step.at.to_string(),
        what.to_owned(),
        status,
        step.transaction.clone().unwrap_or_else(none),
        who,
        step.reason.clone().or_else(|| step.submission_set.clone()).unwrap_or_else(none),
        step.request_id.clone().unwrap_or_else(none),
        step.seq.map_or_else(none, |seq| seq.to_string()),
    ]
}
