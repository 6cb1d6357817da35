//! `chiren backup`: everything the gateway holds, into a folder, while it serves.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;

use super::ConfigFile;
use super::keep::{documents, hear, origin, report};
use crate::config::{Config, Language};
use crate::service::backup::{self, Place, Refusal, Taken};
use crate::store::db::Db;

pub const EXAMPLES: &str = "Works beside a running gateway. Documents are copied once for all backups in the folder; rows are written
anew each time. The folder holds patients' data in the clear: protect it as the gateway's own.

Exit status: 0 complete, 1 no backup was made, 4 complete, but documents named by the rows could not be had.

Examples:
  chiren backup --to /backup/chiren
  chiren backup --to /backup/chiren --keep 30
  chiren backup --to /backup/chiren --json | jq .seal";

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: ConfigFile,

    /// Folder of backups; made if missing
    #[arg(long, value_name = "DIR")]
    to: PathBuf,

    /// Keep so many of the latest backups, this one included, and remove older ones [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments, lang: Option<Language>) -> ExitCode {
    let work = async |config: &_, language| take(config, &arguments, language).await;
    match arguments.file.work(lang, work) {
        Ok((taken, language)) => {
            let faults = taken.lost.count > 0;
            report(arguments.json, &taken, || lines(&taken, language), faults)
        }
        Err(code) => code,
    }
}

async fn take(config: &Config, arguments: &Arguments, language: Language) -> anyhow::Result<Taken> {
    if config.repository.enabled && Place::at(&arguments.to).holds(&config.repository.documents) {
        return Err(Refusal::OwnDocuments(arguments.to.clone()).into());
    }
    let blobs = documents(config)?;
    let db = Db::open(&config.database.unhurried()).await.context("the database cannot be opened")?;
    let origin = origin(config, &db);
    let keep = arguments.keep.map(|n| n as usize);
    let hear = hear(language);
    let taken = backup::take(&origin, blobs.as_ref(), &arguments.to, keep, Timestamp::now(), &hear).await;
    db.close().await;
    taken
}

fn lines(taken: &Taken, language: Language) -> String {
    let mut out = String::new();
    for (key, how) in &taken.lost.first {
        out.push_str(&match language {
            Language::En => format!("document {key}: {how}\n"),
            Language::Ja => format!("文書 {key}: {how}\n"),
        });
    }
    let Taken { generation, tables, rows, documents, new_documents, new_octets, seal, .. } = taken;
    let removed = (taken.generations_removed.len(), taken.documents_removed);
    out.push_str(&match language {
        Language::En => format!(
            "backup {generation}: {rows} rows of {tables} tables, {documents} documents, {new_documents} of them new \
             ({new_octets} octets)\n"
        ),
        Language::Ja => format!(
            "バックアップ {generation}: {tables} テーブル {rows} 行、文書 {documents} 件、うち新規 {new_documents} 件（{new_octets} バイト）\n"
        ),
    });
    if removed.0 > 0 {
        let (generations, documents) = removed;
        out.push_str(&match language {
            Language::En => format!("removed {generations} older backup(s) and {documents} document(s)\n"),
            Language::Ja => format!("古いバックアップ {generations} 件と文書 {documents} 件を削除しました\n"),
        });
    }
    let lost = taken.lost.count;
    out.push_str(&match (lost, language) {
        (0, Language::En) => format!("seal {seal}\n"),
        (0, Language::Ja) => format!("封印 {seal}\n"),
        (_, Language::En) => format!("{lost} document(s) could not be had; run chiren verify\nseal {seal}\n"),
        (_, Language::Ja) => {
            format!("取得できない文書が {lost} 件あります。chiren verify を実行してください\n封印 {seal}\n")
        }
    });
    out
}
