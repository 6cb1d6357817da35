//! `chiren export`: the whole registry as the submissions that made it, with their documents.

pub mod folder;
pub mod provide;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::Timestamp;

use self::folder::{Book, Writer};
use super::ConfigFile;
use super::keep::{documents, hear, report, unhurried};
use super::operator::{Operator, failure};
use crate::config::{Config, Language};
use crate::model::audit::Outcome;
use crate::service::audit::Audited;
use crate::service::backup::{Place, Progress, bring};
use crate::service::context::Subject;
use crate::service::patients::Patients;
use crate::store::db::Db;

pub const EXAMPLES: &str = "Works beside a running gateway, into a new folder. Whoever exports leaves an audit record. The folder holds
patients' data in the clear. See docs/moving.md for what is in it.

Exit status: 0 everything is there, 1 not exported, 4 exported, but for documents or objects named in the report.

Examples:
  chiren export --to /backup/export
  chiren export --to /backup/export --mtom
  chiren export --to /backup/export --no-documents
  chiren export --to /tmp/one --patient '1001^^^&2.999.392.1.1&ISO'";

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: ConfigFile,

    /// A folder that is empty or not there yet
    #[arg(long, value_name = "DIR")]
    to: PathBuf,

    /// One patient only
    #[arg(long, value_name = "ID^^^&OID&ISO")]
    patient: Option<String>,

    /// Metadata only
    #[arg(long)]
    no_documents: bool,

    /// Write each submission of first versions as a whole ITI-41 message (MTOM) too, in provide/
    #[arg(long, conflicts_with = "no_documents")]
    mtom: bool,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments, lang: Option<Language>) -> ExitCode {
    let work = async |config: &_, language| export(config, &arguments, language).await;
    match arguments.file.work(lang, work) {
        Ok(((book, lost), language)) => {
            let faults = !lost.is_empty() || book.counts.left_behind > 0;
            report(arguments.json, &book, || lines(&book, &lost, language), faults)
        }
        Err(code) => code,
    }
}

async fn export(
    config: &Config,
    arguments: &Arguments,
    language: Language,
) -> anyhow::Result<(Book, Vec<String>)> {
    if std::fs::read_dir(&arguments.to).is_ok_and(|mut entries| entries.next().is_some()) {
        match language {
            Language::En => bail!("{} is not empty; nothing was exported", arguments.to.display()),
            Language::Ja => bail!("{} は空ではありません。何も書き出していません", arguments.to.display()),
        }
    }
    let config = &unhurried(config);
    let operator = Operator::open(config, "export").await?;
    let done = write(config, arguments, &operator, language).await;
    operator.close().await;
    done
}

async fn write(
    config: &Config,
    arguments: &Arguments,
    operator: &Operator,
    language: Language,
) -> anyhow::Result<(Book, Vec<String>)> {
    let subject = Subject {
        patients: arguments.patient.clone().into_iter().collect(),
        query: Some("export".into()),
        ..Subject::default()
    };
    // Who wants everything is written down before the first line is.
    let event = operator.context.audit(Outcome::Success, subject);
    operator.audit.settle(Audited::Due(Box::new(event))).await.map_err(failure)?;

    let writer = Arc::new(Mutex::new(Writer::new(&arguments.to)?));
    let patients = patients(config, arguments.patient.as_deref(), &writer).await?;
    let taking = writer.clone();
    let take = move |exported| taking.lock().unwrap_or_else(PoisonError::into_inner).submission(&exported);
    let scratch = arguments.to.join("order.tmp");
    let (registry, patient) = (&operator.registry, arguments.patient.as_deref());
    let counts =
        registry.export(&operator.context, patient, &scratch, Box::new(take)).await.map_err(failure)?;
    std::fs::remove_file(&scratch)?;
    let keys = writer.lock().unwrap_or_else(PoisonError::into_inner).listed()?;

    let mut lost = vec![];
    if let Some(from) = documents(config)?.filter(|_| !arguments.no_documents) {
        let to = Place::at(&arguments.to).documents()?;
        let (hear, mut done) = (hear(language), 0);
        for key in keys {
            let key = key?;
            if !to.exists(&key).await?
                && let Err(trouble) = bring(&from, &to, &key).await?
            {
                lost.push(format!("{key}: {trouble:?}"));
            }
            done += 1;
            hear(Progress { what: "documents".into(), done, octets: 0 });
        }
    }
    if arguments.mtom {
        provide::write_messages(&arguments.to).await?;
    }
    let book = Book {
        format: Book::FORMAT,
        program: env!("CARGO_PKG_VERSION").into(),
        exported_at: Timestamp::now(),
        network: config.network.name.clone(),
        home_community_id: config.network.home_community_id.clone(),
        repository_unique_id: config.repository.enabled.then(|| config.repository.unique_id.clone()),
        patients,
        counts,
    };
    book.write(&arguments.to)?;
    Ok((book, lost))
}

/// Everybody the registry knows, or the one asked for.
async fn patients(config: &Config, only: Option<&str>, writer: &Mutex<Writer>) -> anyhow::Result<u64> {
    const PAGE: i64 = 500;
    let db = Db::open(&config.database).await.context("the database cannot be opened")?;
    let (all, mut after, mut count) = (Patients::new(db.clone()), String::new(), 0);
    loop {
        let page = all.list(after.clone(), PAGE).await.map_err(failure)?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.patient_id);
        for patient in page.iter().filter(|p| only.is_none_or(|only| only == p.patient_id)) {
            count += 1;
            writer.lock().unwrap_or_else(PoisonError::into_inner).patient(patient)?;
        }
    }
    db.close().await;
    Ok(count)
}

fn lines(book: &Book, lost: &[String], language: Language) -> String {
    let mut out: String = lost.iter().map(|line| format!("document {line}\n")).collect();
    let (patients, counts) = (book.patients, &book.counts);
    let (submissions, objects, left) = (counts.submissions, counts.objects, counts.left_behind);
    out.push_str(&match language {
        Language::En => {
            format!("{patients} patients, {submissions} submissions with {objects} objects are exported\n")
        }
        Language::Ja => {
            format!(
                "患者 {patients} 人、提出 {submissions} 件（オブジェクト {objects} 件）を書き出しました\n"
            )
        }
    });
    if left > 0 {
        out.push_str(&match language {
            Language::En => format!("{left} objects stay behind: their SubmissionSet was removed\n"),
            Language::Ja => format!("{left} 件は SubmissionSet が削除されているため書き出せません\n"),
        });
    }
    out
}
