//! `chiren verify-backup`: would this backup restore, and to what it was made from?

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;

use super::keep::{FAULTS, ended, hear};
use super::{print, runtime};
use crate::config::Language;
use crate::service::backup::{self, Checked, Place};

pub const EXAMPLES: &str = "Reads every file and document of the backup, restores its rows into a database of its own in a scratch folder,
and verifies the history there. Needs no configuration; touches no store in use.

Exit status: 0 all is well, 1 not verified, 4 faults found.

Examples:
  chiren verify-backup --from /backup/chiren
  chiren verify-backup --from /backup/chiren --all
  chiren verify-backup --from /backup/chiren --no-documents --scratch /fast/disk";

#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder of backups
    #[arg(long, value_name = "DIR")]
    from: PathBuf,

    /// Which backup [default: the latest complete one]
    #[arg(long, value_name = "TIME", conflicts_with = "all")]
    generation: Option<String>,

    /// Every complete backup in the folder
    #[arg(long)]
    all: bool,

    /// Do not read the documents
    #[arg(long)]
    no_documents: bool,

    /// Where the scratch database is made and removed again [default: the folder of backups]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,

    /// Print the reports as JSON, one a line
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments, language: Language) -> ExitCode {
    let done = runtime()
        .context("the runtime cannot start")
        .and_then(|runtime| runtime.block_on(check(arguments, language)));
    let all = match done {
        Ok(all) => all,
        Err(error) => return ended(&error, language),
    };
    let text: String = match arguments.json {
        true => all.iter().map(|c| serde_json::to_string(c).unwrap_or_default() + "\n").collect(),
        false => all.iter().map(|c| lines(c, language)).collect(),
    };
    match print(&text) {
        ExitCode::SUCCESS if all.iter().any(|c| c.count > 0) => ExitCode::from(FAULTS),
        code => code,
    }
}

async fn check(arguments: &Arguments, language: Language) -> anyhow::Result<Vec<Checked>> {
    let place = Place::at(&arguments.from);
    let names = match arguments.all {
        true => place.generations()?.into_iter().filter(|(_, whole)| *whole).map(|(name, _)| name).collect(),
        false => vec![place.choose(arguments.generation.as_deref())?],
    };
    let (documents, scratch, hear) = (!arguments.no_documents, arguments.scratch.as_deref(), hear(language));
    let mut all = vec![];
    for name in names {
        let now = Timestamp::now();
        all.push(backup::check(&arguments.from, Some(&name), documents, scratch, now, &hear).await?);
    }
    Ok(all)
}

fn lines(checked: &Checked, language: Language) -> String {
    let mut out = String::new();
    for fault in &checked.faults {
        let kind = serde_json::to_value(fault.fault).ok();
        let kind = kind.as_ref().and_then(|k| k.as_str()).unwrap_or("fault");
        let detail = fault.detail.as_deref().map(|d| format!(": {d}")).unwrap_or_default();
        out.push_str(&(super::send::table::line(&format!("{kind} {}{detail}", fault.name)) + "\n"));
    }
    let Checked { generation, files, rows, documents, octets, verified, count, .. } = checked;
    let patients = verified.as_ref().map_or(0, |report| report.counts.patients);
    let changes = verified.as_ref().map_or(0, |report| report.counts.changes);
    out.push_str(&match language {
        Language::En => format!(
            "{generation}: {files} files, {rows} rows, {documents} documents ({octets} octets); {patients} patients \
             and {changes} changes verified in a scratch database\n"
        ),
        Language::Ja => format!(
            "{generation}: ファイル {files}、{rows} 行、文書 {documents} 件（{octets} バイト）。一時データベースで患者 \
             {patients} 人、変更 {changes} 件を検証しました\n"
        ),
    });
    out.push_str(&match (count, language) {
        (0, Language::En) => "no faults\n".to_owned(),
        (0, Language::Ja) => "異常はありません\n".to_owned(),
        (_, Language::En) => format!("{count} fault(s)\n"),
        (_, Language::Ja) => format!("異常が {count} 件あります\n"),
    });
    out
}
