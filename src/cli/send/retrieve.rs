//! ITI-43 and ITI-39: fetch documents, and say what came: size and SHA-1 of the very bytes.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Args;
use sha1::{Digest, Sha1};

use super::endpoint::{Endpoint, Failure, Messages, Session};
use super::{Ending, hex, refusals, table};
use crate::config::Language;
use crate::model::transaction::Transaction;
use crate::peer::soap::{Call, DocumentHead, DocumentSink, SoapAnswer};
use crate::wire::ebxml::response::ResponseStatus;
use crate::wire::ebxml::retrieve::{
    Content, DocumentRequest, DocumentResponse, read_response, write_request,
};

#[derive(Debug, Args)]
pub struct Arguments {
    /// uniqueId of a document; may be repeated
    #[arg(long, value_name = "UNIQUE-ID", required_unless_present = "raw")]
    document: Vec<String>,

    /// repositoryUniqueId of its repository
    #[arg(long, value_name = "OID", required_unless_present = "raw")]
    repository: Option<String>,

    /// homeCommunityId, for gateways
    #[arg(long, value_name = "URN:OID")]
    home: Option<String>,

    /// Where to write the document, - for standard output; with several, use --save
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    endpoint: Endpoint,

    #[command(flatten)]
    messages: Messages,
}

pub async fn run(
    arguments: &Arguments,
    transaction: Transaction,
    language: Language,
) -> Result<Ending, Failure> {
    if arguments.output.is_some() && arguments.document.len() > 1 {
        return Err(Failure::Usage("--output takes one document; keep several with --save DIR".into()));
    }
    let session = Session::new(&arguments.endpoint, transaction, &arguments.messages)?;
    let mut sink = Received { to: target(arguments), documents: vec![], writer: None };
    let answer = match session.raw(&mut sink).await? {
        Some(answer) => answer,
        None => {
            let requests: Vec<DocumentRequest> = arguments
                .document
                .iter()
                .map(|document| DocumentRequest {
                    home_community_id: arguments.home.clone(),
                    repository_unique_id: arguments.repository.clone().unwrap_or_default(),
                    document_unique_id: document.clone(),
                })
                .collect();
            let call = Call::new(&session.client, transaction, vec![], |w| write_request(w, &requests));
            session.exchange(call, &mut sink).await?
        }
    };
    let (status, errors, documents) = answer.body(read_response)?;
    // Standard output may be the document's.
    match language {
        Language::En => eprintln!("{} {status:?}: {} document(s)", transaction.code(), documents.len()),
        Language::Ja => eprintln!("{} {status:?}: 文書 {} 件", transaction.code(), documents.len()),
    }
    eprint!("{}", refusals(&errors, language));
    let mut whole = true;
    for document in &documents {
        whole &= describe(document, &answer, &sink, language)?;
    }
    for asked in &arguments.document {
        if !documents.iter().any(|d| d.document_unique_id == *asked) && errors.is_empty() {
            match language {
                Language::En => eprintln!("error: {asked} was asked for and neither delivered nor refused"),
                Language::Ja => eprintln!("エラー: 要求した {asked} が、届きも拒否もされませんでした"),
            }
            whole = false;
        }
    }
    sink.settle(whole && !documents.is_empty())?;
    Ok(if status == ResponseStatus::Success && whole { Ending::Success } else { Ending::Refused })
}

/// One document, in a line; `false` if its bytes are not there.
fn describe(
    document: &DocumentResponse,
    answer: &SoapAnswer,
    sink: &Received,
    language: Language,
) -> Result<bool, Failure> {
    let id = table::line(&document.document_unique_id);
    let empty = Kept { key: String::new(), size: 0, sha1: hex(&Sha1::digest(b"")), path: None };
    let kept = match &document.content {
        Content::Base64(_) => Some(&empty),
        Content::Include(href) => {
            let key = answer.document(href).map(|d| d.key.as_str());
            sink.documents.iter().find(|d| Some(d.key.as_str()) == key)
        }
    };
    let Some(kept) = kept else {
        match language {
            Language::En => eprintln!("error: {id} was announced, but its bytes did not come"),
            Language::Ja => eprintln!("エラー: {id} の内容が届きませんでした"),
        }
        return Ok(false);
    };
    let (octets, mime) = (kept.size, table::line(&document.mime_type));
    match language {
        Language::En => eprintln!("  {id}  {mime}  {octets} octets  SHA-1 {}", kept.sha1),
        Language::Ja => eprintln!("  {id}  {mime}  {octets} バイト  SHA-1 {}", kept.sha1),
    }
    if let Some(made) = &document.new_document_unique_id {
        let made = table::line(made);
        let at = document.new_repository_unique_id.as_deref().map(table::line);
        match (at, language) {
            (Some(at), Language::En) => eprintln!("  made for this retrieval, kept as {made} in {at}"),
            (Some(at), Language::Ja) => eprintln!("  オンデマンドで作成し、{at} に {made} として保存済み"),
            (None, Language::En) => eprintln!("  made for this retrieval as {made}, not kept"),
            (None, Language::Ja) => eprintln!("  オンデマンドで作成（{made}、保存なし）"),
        }
    }
    match (&kept.path, language) {
        (Some(path), Language::En) => eprintln!("  written to {}", path.display()),
        (Some(path), Language::Ja) => eprintln!("  {} に保存しました", path.display()),
        (None, _) => {}
    }
    Ok(true)
}

/// Where documents go.
enum Target {
    Nowhere,
    Stdout,
    File(PathBuf),
    Folder(PathBuf),
}

fn target(arguments: &Arguments) -> Target {
    match (&arguments.output, &arguments.messages.save) {
        (Some(path), _) if path == Path::new("-") => Target::Stdout,
        (Some(path), _) => Target::File(path.clone()),
        (None, Some(dir)) => Target::Folder(dir.clone()),
        (None, None) => Target::Nowhere,
    }
}

struct Kept {
    key: String,
    size: u64,
    sha1: String,
    path: Option<PathBuf>,
}

/// Hashes and writes documents as they come; a file bears its name only once it is whole.
struct Received {
    to: Target,
    documents: Vec<Kept>,
    writer: Option<(Box<dyn Write + Send>, Sha1)>,
}

impl Received {
    fn part(path: &Path) -> PathBuf {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        path.with_file_name(name)
    }

    /// Gives files their names, or removes them if the answer was not whole.
    fn settle(&self, whole: bool) -> Result<(), Failure> {
        for path in self.documents.iter().filter_map(|d| d.path.as_ref()) {
            let part = Self::part(path);
            let done = if whole { std::fs::rename(&part, path) } else { std::fs::remove_file(&part) };
            done.map_err(|e| Failure::file(path, &e))?;
        }
        Ok(())
    }
}

impl DocumentSink for Received {
    async fn start(&mut self, head: &DocumentHead) -> io::Result<()> {
        let path = match &self.to {
            Target::Nowhere | Target::Stdout => None,
            Target::File(path) => Some(path.clone()),
            Target::Folder(dir) => Some(dir.join(format!("document-{}", self.documents.len() + 1))),
        };
        let writer: Box<dyn Write + Send> = match (&self.to, &path) {
            (Target::Stdout, _) => Box::new(io::stdout()),
            (_, Some(path)) => {
                let part = Self::part(path);
                let file = File::create(&part)
                    .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", part.display())))?;
                Box::new(BufWriter::with_capacity(256 << 10, file))
            }
            (_, None) => Box::new(io::sink()),
        };
        self.documents.push(Kept { key: head.key.clone(), size: 0, sha1: String::new(), path });
        self.writer = Some((writer, Sha1::new()));
        Ok(())
    }

    async fn data(&mut self, bytes: Bytes) -> io::Result<()> {
        if let (Some((writer, sha1)), Some(document)) = (&mut self.writer, self.documents.last_mut()) {
            writer.write_all(&bytes)?;
            sha1.update(&bytes);
            document.size += bytes.len() as u64;
        }
        Ok(())
    }

    async fn end(&mut self) -> io::Result<()> {
        if let (Some((mut writer, sha1)), Some(document)) = (self.writer.take(), self.documents.last_mut()) {
            writer.flush()?;
            document.sha1 = hex(&sha1.finalize());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_bears_its_name_only_when_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.pdf");
        for whole in [false, true] {
            let mut sink = Received { to: Target::File(path.clone()), documents: vec![], writer: None };
            sink.start(&DocumentHead { key: "k".into(), content_type: None }).await.unwrap();
            sink.data("abc".into()).await.unwrap();
            sink.end().await.unwrap();
            assert!(!path.exists());
            sink.settle(whole).unwrap();
            assert_eq!(path.exists(), whole);
            assert_eq!(sink.documents[0].size, 3);
            assert_eq!(sink.documents[0].sha1, "a9993e364706816aba3e25717850c26c9cd0d89d");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
