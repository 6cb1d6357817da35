//! `chiren migrate`: brings the database to the schema of this program, or says what that would take.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;

use super::{ConfigFile, failed, print, runtime};
use crate::config::Language;
use crate::store::migrate::{self, Migration, Report};

pub const EXAMPLES: &str = "`chiren serve` does the same when it starts. Several instances may start at once: one migrates, the others
wait. A database made by a newer program is refused.

Examples:
  chiren migrate --config /etc/chiren/chiren.toml --dry-run
  chiren migrate --config /etc/chiren/chiren.toml";

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: ConfigFile,

    /// Change nothing, only say what is missing
    #[arg(long)]
    dry_run: bool,
}

pub fn run(arguments: Arguments, lang: Option<Language>) -> ExitCode {
    let config = match arguments.file.load(lang) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let work = async {
        match arguments.dry_run {
            true => migrate::pending(&config.database).await,
            false => migrate::apply(&config.database, Timestamp::now().as_microsecond()).await,
        }
    };
    let done = runtime()
        .context("the runtime cannot start")
        .and_then(|runtime| runtime.block_on(work).context("the database cannot be migrated"));
    match done {
        Ok(report) => print(&lines(&report, arguments.dry_run, lang.unwrap_or(config.log.language))),
        Err(error) => failed(&error),
    }
}

/// A line for each migration, then one for the whole.
fn lines(report: &Report, dry_run: bool, language: Language) -> String {
    let mut out = String::new();
    for Migration { name, applied_at, .. } in &report.migrations {
        let state = match (applied_at.map(Timestamp::from_microsecond), language) {
            (Some(Ok(at)), Language::En) => format!("applied {at:.0}"),
            (Some(Ok(at)), Language::Ja) => format!("適用済み {at:.0}"),
            (Some(Err(_)), Language::En) => "applied".to_owned(),
            (Some(Err(_)), Language::Ja) => "適用済み".to_owned(),
            (None, Language::En) => "pending".to_owned(),
            (None, Language::Ja) => "未適用".to_owned(),
        };
        out.push_str(&format!("{name}  {state}\n"));
    }
    let (pending, now) = (report.pending().count(), report.applied_now);
    out.push_str(&match (dry_run, language) {
        (true, Language::En) => format!("{pending} pending; nothing was changed\n"),
        (true, Language::Ja) => format!("未適用 {pending} 件。変更はしていません\n"),
        (false, Language::En) => format!("{now} applied now; the database is up to date\n"),
        (false, Language::Ja) => format!("{now} 件を適用しました。データベースは最新です\n"),
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DatabaseConfig;

    #[tokio::test]
    async fn what_is_missing_is_shown_and_then_applied() {
        let dir = tempfile::tempdir().unwrap();
        let config = DatabaseConfig::at(format!("sqlite:{}", dir.path().join("x.db").display()));
        let before = migrate::pending(&config).await.unwrap();
        let text = lines(&before, true, Language::En);
        assert!(text.contains("0001_registry  pending"), "{text}");
        let after = migrate::apply(&config, 1_700_000_000_000_000).await.unwrap();
        let text = lines(&after, false, Language::Ja);
        assert!(text.contains("0001_registry  適用済み 2023-11-14T22:13:20Z"), "{text}");
        assert_eq!(migrate::pending(&config).await.unwrap().pending().count(), 0);
    }
}
