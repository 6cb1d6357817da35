//! `chiren query`: a stored query against the configured database, now or as of a moment.

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;

use super::operator::{Operator, failure};
use super::send::shown;
use super::{ConfigFile, print};
use crate::config::{Config, Language};
use crate::model::query::{ReturnType, plain};
use crate::service::registry::{AsOf, moment};

pub const EXAMPLES: &str =
    "The answer is the one the registry would have given at that moment. Whoever asks leaves an audit record.

Examples:
  chiren query --as-of 2026-03-31T12:00 --patient '1001^^^&2.999.392.1.1&ISO'
  chiren query --as-of 2026-03-31T12:00:00+09:00 --query GetAll --patient '1001^^^&2.999.392.1.1&ISO' --json
  chiren query --as-of 2026-03-31 --query GetDocuments --param XDSDocumentEntryUniqueId=2.25.1";

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: ConfigFile,

    /// The moment: RFC 3339, or a date with or without a time, which is Japan's [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    as_of: Option<Timestamp>,

    /// The patient, 'ID^^^&OID&ISO', for queries by patient
    #[arg(long, value_name = "CX")]
    patient: Vec<String>,

    /// The stored query, by name or URN
    #[arg(long, value_name = "NAME|URN", default_value = "FindDocuments")]
    query: String,

    /// A parameter of the query, as in `chiren send iti18`. Status parameters are Approved unless given
    #[arg(long, value_name = "NAME=VALUE")]
    param: Vec<String>,

    /// Show ObjectRefs instead of whole objects
    #[arg(long)]
    object_ref: bool,

    /// Print the objects as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments, lang: Option<Language>) -> ExitCode {
    match arguments.file.work(lang, async |config: &_, language| ask(config, &arguments, language).await) {
        Ok((text, _)) => print(&text),
        Err(code) => code,
    }
}

async fn ask(config: &Config, arguments: &Arguments, language: Language) -> anyhow::Result<String> {
    let operator = Operator::open(config, "query").await?;
    let moment = arguments.as_of.unwrap_or(operator.context.received_at);
    let asked = AsOf {
        moment,
        query: arguments.query.clone(),
        patients: arguments.patient.clone(),
        params: arguments.param.clone(),
        return_type: if arguments.object_ref { ReturnType::ObjectRef } else { ReturnType::LeafClass },
    };
    let answer = operator.registry.as_of(&operator.audit, &operator.context, asked).await;
    operator.close().await;
    let answer = answer.map_err(failure)?;
    if moment < answer.history_began {
        let began = answer.history_began;
        eprintln!(
            "{}",
            match language {
                Language::En =>
                    format!("note: the history began at {began}; statuses before it are as they were then"),
                Language::Ja => format!(
                    "注意: 履歴の記録開始は {began} です。それより前の状態は記録開始時点のものを表示します"
                ),
            }
        );
    }
    if arguments.json {
        let mut out = plain::grouped(&answer.result);
        out.insert("asOf".into(), moment.to_string().into());
        out.insert("historyBegan".into(), answer.history_began.to_string().into());
        return Ok(format!("{:#}\n", serde_json::Value::from(out)));
    }
    Ok(match language {
        Language::En => format!("as of {moment}: {} object(s)\n", answer.result.len()),
        Language::Ja => format!("{moment} 時点: {} 件\n", answer.result.len()),
    } + &shown(&answer.result))
}
