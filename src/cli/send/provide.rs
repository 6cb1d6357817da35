//! ITI-41 and ITI-42: publish a document, or register one that a repository has.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use jiff::Timestamp;
use sha1::{Digest, Sha1};

use super::endpoint::{Endpoint, Failure, Messages, Session, read_file};
use super::{Ending, refusals, table, write_out};
use crate::cli::submission::{self, Facts, Metadata};
use crate::config::Language;
use crate::model::metadata::{EntryType, Submission};
use crate::model::transaction::Transaction;
use crate::peer::soap::{Call, Discard, Outgoing, SoapAnswer, write_provide};
use crate::wire::ebxml::response::ResponseStatus;
use crate::wire::ebxml::retrieve::Content;
use crate::wire::ebxml::submit;

#[derive(Debug, Args)]
pub struct Iti41 {
    /// The document
    #[arg(long, value_name = "FILE", required_unless_present = "raw")]
    file: Option<PathBuf>,

    /// Send the document as base64 text in the envelope rather than as a part behind it
    #[arg(long)]
    inline: bool,

    #[command(flatten)]
    metadata: Metadata,

    #[command(flatten)]
    endpoint: Endpoint,

    #[command(flatten)]
    messages: Messages,
}

#[derive(Debug, Args)]
pub struct Iti42 {
    /// repositoryUniqueId of the repository that has the document
    #[arg(long, value_name = "OID", required_unless_present = "raw")]
    repository: Option<String>,

    /// The document, to take name, hash and size from; it is not sent
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// SHA-1 of the document
    #[arg(long, value_name = "HEX", required_unless_present_any = ["raw", "file"])]
    hash: Option<String>,

    /// Size of the document in octets
    #[arg(long, value_name = "OCTETS", required_unless_present_any = ["raw", "file"])]
    size: Option<u64>,

    #[command(flatten)]
    metadata: Metadata,

    #[command(flatten)]
    endpoint: Endpoint,

    #[command(flatten)]
    messages: Messages,
}

pub async fn iti41(arguments: &Iti41, language: Language) -> Result<Ending, Failure> {
    let session = Session::new(&arguments.endpoint, Transaction::Iti41, &arguments.messages)?;
    if let Some(answer) = session.raw(&mut Discard).await? {
        return outcome(&session, &answer, language);
    }
    // clap asks for one of --raw and --file.
    let path = arguments.file.as_deref().unwrap_or(Path::new(""));
    let facts = facts_of(path)?;
    let submission = arguments.metadata.submission(&facts, Timestamp::now()).map_err(Failure::Usage)?;
    show(&submission);
    let mime = submission.document_entries.first().map_or("", |e| &e.mime_type);
    let (documents, content) = if arguments.inline {
        (vec![], Content::Base64(STANDARD.encode(read_file(path)?)))
    } else {
        let document = Outgoing::of_file(mime, path).await.map_err(|e| Failure::file(path, &e))?;
        let content = Content::Include(document.content_id.clone());
        (vec![document], content)
    };
    let call = Call::new(&session.client, Transaction::Iti41, documents, |w| {
        let id = submission.document_entries.first().map_or("", |e| &e.entry_uuid);
        write_provide(w, &submission, &[(id, content)]);
    });
    let answer = session.exchange(call, &mut Discard).await?;
    let ending = outcome(&session, &answer, language)?;
    next(&arguments.endpoint, &submission, ending, language);
    Ok(ending)
}

pub async fn iti42(arguments: &Iti42, language: Language) -> Result<Ending, Failure> {
    let session = Session::new(&arguments.endpoint, Transaction::Iti42, &arguments.messages)?;
    if let Some(answer) = session.raw(&mut Discard).await? {
        return outcome(&session, &answer, language);
    }
    let mut facts = Facts::default();
    if let Some(path) = &arguments.file {
        facts = facts_of(path)?;
        let bytes = read_file(path)?;
        facts.hash = Some(super::hex(&Sha1::digest(&bytes)));
        facts.size = Some(bytes.len() as u64);
    }
    facts.repository_unique_id = arguments.repository.clone();
    facts.hash = arguments.hash.clone().or(facts.hash);
    facts.size = arguments.size.or(facts.size);
    let submission = arguments.metadata.submission(&facts, Timestamp::now()).map_err(Failure::Usage)?;
    show(&submission);
    let call = Call::new(&session.client, Transaction::Iti42, vec![], |w| submit::write(w, &submission));
    let answer = session.exchange(call, &mut Discard).await?;
    let ending = outcome(&session, &answer, language)?;
    next(&arguments.endpoint, &submission, ending, language);
    Ok(ending)
}

/// Name and time of a file.
fn facts_of(path: &Path) -> Result<Facts, Failure> {
    let metadata = std::fs::metadata(path).map_err(|e| Failure::file(path, &e))?;
    Ok(Facts {
        file_name: path.file_name().map(|n| n.to_string_lossy().into_owned()),
        changed: metadata.modified().ok().and_then(|at| Timestamp::try_from(at).ok()),
        ..Facts::default()
    })
}

pub(super) fn show(submission: &Submission) {
    for (name, value) in submission::summary(submission) {
        write_out(&format!("  {name:<28}{}\n", table::line(&value)));
    }
}

pub(super) fn outcome(
    session: &Session<'_>,
    answer: &SoapAnswer,
    language: Language,
) -> Result<Ending, Failure> {
    let (status, errors) = answer.registry_response()?;
    let code = session.transaction.code();
    let ending = match status {
        ResponseStatus::Success => Ending::Success,
        _ => Ending::Refused,
    };
    let sentence = match (ending, language) {
        (Ending::Success, Language::En) => "the submission is registered",
        (Ending::Success, Language::Ja) => "登録されました",
        (Ending::Refused, Language::En) => "the submission was refused",
        (Ending::Refused, Language::Ja) => "登録は拒否されました",
    };
    write_out(&format!("{code} {status:?}: {sentence}\n"));
    write_out(&refusals(&errors, language));
    Ok(ending)
}

/// The ids of what was registered, and how to find it.
pub(super) fn next(endpoint: &Endpoint, submission: &Submission, ending: Ending, language: Language) {
    if ending != Ending::Success {
        return;
    }
    let line = |name: &str, value: &str| write_out(&format!("  {name:<28}{value}\n"));
    for entry in &submission.document_entries {
        line("DocumentEntry.entryUUID", &entry.entry_uuid);
        line("DocumentEntry.uniqueId", &entry.unique_id);
    }
    for folder in &submission.folders {
        line("Folder.entryUUID", &folder.entry_uuid);
    }
    line("SubmissionSet.uniqueId", &submission.submission_set.unique_id);
    let mut patient = vec!["--patient", submission.submission_set.patient_id.as_str()];
    if submission.document_entries.iter().any(|e| e.object_type == EntryType::OnDemand) {
        // Without it a query finds stable entries only.
        patient.extend(["--param", "XDSDocumentEntryType=OnDemand"]);
    }
    let find = match language {
        Language::En => "Find it with:",
        Language::Ja => "検索するには:",
    };
    write_out(&format!("\n{find}\n  {}\n", endpoint.command(Transaction::Iti18, &patient)));
}
