//! `chiren restore`: a backup into an empty database and an empty document store.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;

use super::ConfigFile;
use super::keep::{documents, hear, report};
use crate::config::{Config, Language};
use crate::service::backup::{self, Place, Refusal, Restored};

pub const EXAMPLES: &str = "The configuration names where to: a database without rows, of either engine, and a document store that holds
nothing else. Nothing is ever overwritten. A restore that was cut short is begun again by the same command.

Exit status: 0 restored, 1 not restored, 4 restored, but for documents the backup does not have.

Examples:
  chiren restore --from /backup/chiren
  chiren restore --config new.toml --from /backup/chiren --generation 20261129T030000.000000Z
  chiren verify --config new.toml --expect 2026-11-29T02:59:00Z/5c0a3f…";

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: ConfigFile,

    /// Folder of backups
    #[arg(long, value_name = "DIR")]
    from: PathBuf,

    /// Which backup [default: the latest complete one]
    #[arg(long, value_name = "TIME")]
    generation: Option<String>,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments, lang: Option<Language>) -> ExitCode {
    let work = async |config: &_, language| restore(config, &arguments, language).await;
    match arguments.file.work(lang, work) {
        Ok((restored, language)) => {
            let faults = restored.lost.count > 0;
            report(arguments.json, &restored, || lines(&restored, language), faults)
        }
        Err(code) => code,
    }
}

async fn restore(config: &Config, arguments: &Arguments, language: Language) -> anyhow::Result<Restored> {
    if config.repository.enabled && Place::at(&arguments.from).holds(&config.repository.documents) {
        return Err(Refusal::OwnDocuments(arguments.from.clone()).into());
    }
    let blobs = documents(config)?;
    let (from, generation) = (&arguments.from, arguments.generation.as_deref());
    let (database, now) = (config.database.unhurried(), Timestamp::now());
    backup::restore(from, generation, &database, blobs.as_ref(), now, &hear(language)).await
}

fn lines(restored: &Restored, language: Language) -> String {
    let mut out = String::new();
    for (key, how) in &restored.lost.first {
        out.push_str(&match language {
            Language::En => format!("document {key}: {how}\n"),
            Language::Ja => format!("文書 {key}: {how}\n"),
        });
    }
    let Restored { generation, rows, documents, new_documents, seal, lost } = restored;
    let lost = lost.count;
    out.push_str(&match language {
        Language::En => format!(
            "restored {generation}: {rows} rows, {documents} documents, {new_documents} of them copied now\n\
             {lost} document(s) are not in the backup\nnext: chiren verify --expect {seal}\n"
        ),
        Language::Ja => format!(
            "{generation} を復元しました: {rows} 行、文書 {documents} 件、うち今回コピー {new_documents} 件\n\
             バックアップにない文書 {lost} 件\n次に実行: chiren verify --expect {seal}\n"
        ),
    });
    out
}
