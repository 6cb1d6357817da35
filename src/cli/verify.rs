//! `chiren verify`: is the database what was written into it, and are the documents what was sent?

use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use jiff::{SignedDuration, Timestamp};

use super::ConfigFile;
use super::keep::report;
use super::operator::failure;
use crate::app;
use crate::config::{Config, Language};
use crate::service::registry::moment;
use crate::service::verify::{Counts, Finding, Report, Scope, Seal, Verify};
use crate::store::blob::Blobs;
use crate::store::db::Db;

pub const EXAMPLES: &str = "Works beside a running gateway. Note the seal it prints, away from this machine: given later with --expect, it
shows whether any change made until then has been taken away or rewritten.

Exit status: 0 all is well, 1 not verified, 4 faults found.

Examples:
  chiren verify
  chiren verify --expect 2026-11-22T03:00:00Z/5c0a3f…
  chiren verify --no-documents --json";

/// What is written in this time may still be on its way into the database.
const MARGIN: SignedDuration = SignedDuration::from_secs(60);

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: ConfigFile,

    /// A seal from before, to be compared
    #[arg(long, value_name = "SEAL")]
    expect: Option<Seal>,

    /// The moment of the seal that is printed [default: a minute ago]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    as_of: Option<Timestamp>,

    /// Do not read the documents
    #[arg(long)]
    no_documents: bool,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,

    /// Findings shown; all are counted
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

pub fn run(arguments: Arguments, lang: Option<Language>) -> ExitCode {
    let work = async |config: &_, language| verify(config, &arguments, language).await;
    match arguments.file.work(lang, work) {
        Ok((found, language)) => {
            let faults = found.faults > 0;
            report(arguments.json, &found, || lines(&found, language), faults)
        }
        Err(code) => code,
    }
}

async fn verify(config: &Config, arguments: &Arguments, language: Language) -> anyhow::Result<Report> {
    let db = Db::open(&config.database.unhurried()).await.context("the database cannot be opened")?;
    let repository = match config.repository.enabled {
        true => {
            app::documents_are_there(config, &db).await?;
            let blobs = Blobs::of(&config.repository).context("the document store cannot be opened")?;
            Some((blobs, config.repository.unique_id.clone()))
        }
        false => None,
    };
    let moment = arguments.as_of.unwrap_or(Timestamp::now() - MARGIN);
    let scope = Scope {
        moment: moment.as_microsecond(),
        expect: arguments.expect,
        documents: !arguments.no_documents,
        limit: arguments.limit,
    };
    let spoken = Mutex::new(Instant::now());
    let progress = |counts: &Counts| {
        if let Ok(mut last) = spoken.lock()
            && last.elapsed() >= Duration::from_secs(5)
        {
            *last = Instant::now();
            eprintln!("{}", so_far(counts, language));
        }
    };
    let report = Verify::new(db.clone(), repository).run(&scope, &progress).await;
    db.close().await;
    report.map_err(failure)
}

fn so_far(counts: &Counts, language: Language) -> String {
    let Counts { patients, changes, objects, past_states, documents, octets, .. } = counts;
    match language {
        Language::En => format!(
            "{patients} patients, {changes} changes, {objects} objects, {past_states} past states, \
             {documents} documents ({octets} octets)"
        ),
        Language::Ja => format!(
            "患者 {patients}、変更 {changes}、オブジェクト {objects}、過去の状態 {past_states}、\
             文書 {documents}({octets} バイト)"
        ),
    }
}

fn lines(report: &Report, language: Language) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        out.push_str(&line(finding));
    }
    let shown = report.findings.len() as u64;
    if report.faults > shown {
        let more = report.faults - shown;
        out.push_str(&match language {
            Language::En => format!("and {more} more\n"),
            Language::Ja => format!("ほか {more} 件\n"),
        });
    }
    out.push_str(&so_far(&report.counts, language));
    let before = report.counts.before_history;
    out.push_str(&match (before, language) {
        (0, _) => "\n".to_owned(),
        (_, Language::En) => format!("; {before} from before the history, unproven\n"),
        (_, Language::Ja) => format!("。うち {before} 件は履歴の記録開始前のもので、検証できません\n"),
    });
    let (faults, seal) = (report.faults, report.seal);
    out.push_str(&match (faults, language) {
        (0, Language::En) => format!("no faults\nseal {seal}\n"),
        (0, Language::Ja) => format!("異常はありません\n封印 {seal}\n"),
        (_, Language::En) => format!("{faults} fault(s)\nseal {seal}\n"),
        (_, Language::Ja) => format!("異常が {faults} 件あります\n封印 {seal}\n"),
    });
    out
}

fn line(finding: &Finding) -> String {
    let fault = serde_json::to_value(finding.fault).ok();
    let mut out = fault.as_ref().and_then(|f| f.as_str()).unwrap_or("fault").to_owned();
    for word in [finding.kind, finding.id.as_deref()].into_iter().flatten() {
        out.push(' ');
        out.push_str(word);
    }
    if let Some(key) = finding.patient_key {
        out.push_str(&format!(" patient_key {key}"));
    }
    if let Some(seq) = finding.seq {
        out.push_str(&format!(" change {seq}"));
    }
    if let Some(detail) = &finding.detail {
        out.push_str(&format!(": {detail}"));
    }
    super::send::table::line(&out) + "\n"
}
