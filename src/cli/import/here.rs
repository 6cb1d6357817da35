//! Into our own registry: an export as it was, or anybody's ITI-42 messages by all rules.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use jiff::Timestamp;

use super::{Arguments, Report};
use crate::cli::export::folder::{self, Book, Listed};
use crate::cli::keep::{documents, hear, unhurried};
use crate::cli::operator::{Operator, failure};
use crate::config::{Config, Language};
use crate::model::error::{Error, ErrorCode, RegistryError};
use crate::model::metadata::Submission;
use crate::model::namespace::NS_LCM;
use crate::model::rules::{Column, submission};
use crate::model::transaction::Transaction;
use crate::service::backup::{Place, Progress, bring};
use crate::service::patients::Patients;
use crate::service::registry::{Arrival, Imported};
use crate::store::blob::Blobs;
use crate::store::db::Db;
use crate::store::documents::StoredDocument;
use crate::wire::ebxml::submit::{self, Draft};
use crate::wire::xml::tree;

/// Patients added at a time.
const PATIENTS: usize = 500;

pub async fn import(config: &Config, arguments: &Arguments, language: Language) -> anyhow::Result<Report> {
    let config = &unhurried(config);
    let operator = Operator::open(config, "import").await?;
    let done = match Book::read(&arguments.from)? {
        Some(book) => of_ours(config, arguments, &book, &operator, language).await,
        None => of_others(arguments, &operator).await,
    };
    operator.close().await;
    done
}

async fn of_ours(
    config: &Config,
    arguments: &Arguments,
    book: &Book,
    operator: &Operator,
    language: Language,
) -> anyhow::Result<Report> {
    let ours = config.repository.enabled.then_some(config.repository.unique_id.as_str());
    let theirs = book.repository_unique_id.as_deref();
    if theirs.is_some() && theirs != ours && !arguments.rehome {
        let theirs = theirs.unwrap_or_default();
        match language {
            Language::En => bail!(
                "the documents are those of repository {theirs}, which this configuration is not; set \
                 repository.unique_id, or say --rehome"
            ),
            Language::Ja => bail!(
                "文書はリポジトリー {theirs} のものですが、この設定と異なります。repository.unique_id を合わせるか --rehome を指定してください"
            ),
        }
    }
    let stores = match documents(config)? {
        Some(to) => Some((Place::at(&arguments.from).documents()?, to)),
        None => None,
    };
    let mut report = Report { patients: patients(config, &arguments.from).await?, ..Report::default() };
    let hear = hear(language);
    for listed in folder::listed(&arguments.from)? {
        let listed = listed?;
        let mut submission = listed.message(&arguments.from)?;
        if let (true, Some(theirs), Some(ours)) = (arguments.rehome, theirs, ours) {
            rehome(&mut submission, theirs, ours);
        }
        let stored = match &stores {
            Some((from, to)) => store(&listed, from, to, &mut report).await?,
            None => vec![],
        };
        let count = stored.len() as u64;
        let imported = Imported {
            transaction: listed.transaction.clone(),
            registered_at: listed.registered_at,
            submission,
            documents: stored,
        };
        let mut context = operator.context.clone();
        context.received_at = Timestamp::now();
        match operator.registry.import(&context, imported).await {
            Ok(Arrival::New) => {
                report.registered += 1;
                report.documents += count;
            }
            Ok(Arrival::Before) => report.before += 1,
            Err(Error::Rejected(errors)) => report.refuse(&listed.file, &errors),
            Err(e) => return Err(failure(e).context(listed.file)),
        }
        hear(Progress { what: "submissions".into(), done: report.registered + report.before, octets: 0 });
    }
    Ok(report)
}

async fn patients(config: &Config, dir: &Path) -> anyhow::Result<u64> {
    let db = Db::open(&config.database).await.context("the database cannot be opened")?;
    let (all, mut count) = (Patients::new(db.clone()), 0);
    let mut listed = folder::patients(dir)?;
    loop {
        let page = listed.by_ref().take(PATIENTS).collect::<anyhow::Result<Vec<_>>>()?;
        if page.is_empty() {
            break;
        }
        count += page.len() as u64;
        all.add(page, Timestamp::now()).await?;
    }
    db.close().await;
    Ok(count)
}

fn rehome(submission: &mut Submission, theirs: &str, ours: &str) {
    for entry in &mut submission.document_entries {
        if entry.repository_unique_id.as_deref() == Some(theirs) {
            entry.repository_unique_id = Some(ours.to_owned());
        }
    }
}

/// Puts the documents of a message into our store, before anything refers to them.
async fn store(
    listed: &Listed,
    from: &Blobs,
    to: &Blobs,
    report: &mut Report,
) -> anyhow::Result<Vec<StoredDocument>> {
    let mut stored = vec![];
    for document in &listed.documents {
        let key = folder::key(document)?;
        match bring(from, to, &key).await? {
            Ok(content) => stored.push(StoredDocument {
                unique_id: document.unique_id.clone(),
                blob_key: document.key.clone(),
                mime_type: document.mime_type.clone(),
                size: i64::try_from(content.size).unwrap_or(i64::MAX),
                hash: content.sha1,
                patient_id: listed.patient_id.clone(),
            }),
            Err(trouble) => {
                report
                    .left_out
                    .push(format!("{}: document {}: {trouble:?}", listed.file, document.unique_id));
            }
        }
    }
    Ok(stored)
}

/// Messages of another program, registered as if it had sent them.
async fn of_others(arguments: &Arguments, operator: &Operator) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let mut journal = super::journal::Journal::open(&arguments.journal(), "registry")?;
    for path in messages(&arguments.from)? {
        let name = path.display().to_string();
        if journal.has(&name) {
            report.before += 1;
            continue;
        }
        let text = std::fs::read_to_string(&path).with_context(|| name.clone())?;
        let draft = match draft(&text, operator) {
            Ok(draft) => draft,
            Err(why) => {
                report.refuse(
                    &name,
                    &[RegistryError::new(ErrorCode::XDSRegistryMetadataError, why.to_string())],
                );
                continue;
            }
        };
        let mut context = operator.context.clone();
        context.transaction = Transaction::Iti42;
        context.received_at = Timestamp::now();
        match operator.registry.register(&context, draft.submission, vec![], draft.problems).await {
            Ok(_) => {
                report.registered += 1;
                journal.took(&name)?;
            }
            Err(Error::Rejected(errors)) => report.refuse(&name, &errors),
            Err(e) => return Err(failure(e).context(name)),
        }
    }
    Ok(report)
}

fn draft(text: &str, operator: &Operator) -> anyhow::Result<Draft> {
    let doc = tree::parse(text.trim_start_matches('\u{feff}')).map_err(|e| anyhow!("{e}"))?;
    // Alone, in an envelope, or in an ITI-41 message.
    let request = doc.descendants().find(|n| tree::is(*n, NS_LCM, "SubmitObjectsRequest"));
    let request = request.context("holds no lcm:SubmitObjectsRequest")?;
    let mut draft = submit::read(request, Some(&operator.registry.rules(Column::DocumentRepository)));
    let duplicate = ErrorCode::XDSRegistryDuplicateUniqueIdInMessage;
    submission::check(&draft.submission, duplicate, &mut draft.problems);
    Ok(draft)
}

/// Every *.xml below a folder, in order of name.
fn messages(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = vec![];
    let entries = std::fs::read_dir(dir).with_context(|| format!("{}", dir.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(messages(&path)?);
        } else if path.extension().is_some_and(|e| e == "xml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
