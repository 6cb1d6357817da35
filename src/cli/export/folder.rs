//! The folder of an export.
//!
//! ```text
//! export.json                     the book: whose it is, written last
//! patients.jsonl                  everybody, a JSON object a line
//! submissions.jsonl               the messages in order of registration, with hash, time and documents
//! submissions/000000/000000001.xml   lcm:SubmitObjectsRequest of one SubmissionSet
//! objects/ab/cd/<sha256>          documents by content
//! provide/000000/000000001.mtom   the same message by ITI-41, its documents in it, if asked for
//! ```

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::cli::send::hex;
use crate::model::metadata::Submission;
use crate::model::patient::Patient;
use crate::service::backup::{create, make_dirs, sync_dir};
use crate::service::registry::{ExportCounts, Exported};
use crate::store::blob::BlobKey;
use crate::wire::ebxml::submit;
use crate::wire::xml::{XmlWriter, tree};

const BOOK: &str = "export.json";
const PATIENTS: &str = "patients.jsonl";
const SUBMISSIONS: &str = "submissions.jsonl";
/// Messages in one folder.
const A_FOLDER: u64 = 1000;

/// `export.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Book {
    pub format: u32,
    pub program: String,
    pub exported_at: Timestamp,
    pub network: String,
    pub home_community_id: String,
    pub repository_unique_id: Option<String>,
    pub patients: u64,
    #[serde(flatten)]
    pub counts: ExportCounts,
}

impl Book {
    pub const FORMAT: u32 = 1;

    /// Ends an export: what has no book was cut short.
    pub fn write(&self, dir: &Path) -> anyhow::Result<()> {
        let mut file = create(&dir.join(BOOK))?;
        file.write_all((serde_json::to_string_pretty(self)? + "\n").as_bytes())?;
        file.sync_all()?;
        sync_dir(dir)
    }

    /// The book of an export of ours; none if the folder is somebody else's.
    pub fn read(dir: &Path) -> anyhow::Result<Option<Self>> {
        let path = dir.join(BOOK);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                // Its messages alone look like anybody's.
                let ours = dir.join(SUBMISSIONS).exists();
                anyhow::ensure!(!ours, "{}: the export was cut short; export again", dir.display());
                return Ok(None);
            }
            Err(e) => return Err(e).with_context(|| format!("{}", path.display())),
        };
        let book: Self = serde_json::from_slice(&text).with_context(|| format!("{}", path.display()))?;
        anyhow::ensure!(book.format == Self::FORMAT, "{} is of a newer format", path.display());
        Ok(Some(book))
    }
}

/// One message, as `submissions.jsonl` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    pub file: String,
    pub sha256: String,
    /// What brought it: `ITI-42`, `ITI-57` ….
    pub transaction: String,
    /// Microseconds since 1970.
    pub registered_at: i64,
    /// entryUUID.
    pub submission_set: String,
    pub patient_id: String,
    pub documents: Vec<ListedDocument>,
}

/// A document of a message in the exporting repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedDocument {
    pub unique_id: String,
    /// SHA-256: where it lies below `objects/`.
    pub key: String,
    pub mime_type: String,
}

impl Listed {
    /// Reads the message itself, which must be the one that was written.
    pub fn message(&self, dir: &Path) -> anyhow::Result<Submission> {
        let path = dir.join(&self.file);
        let text = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        let found = hex(&Sha256::digest(text.as_bytes()));
        anyhow::ensure!(found == self.sha256, "{}: SHA-256 is {found}", self.file);
        let doc = tree::parse(&text).map_err(|e| anyhow!("{}: {e}", self.file))?;
        let draft = submit::read(doc.root_element(), None);
        match draft.problems.first() {
            Some(problem) => Err(anyhow!("{}: {}: {}", self.file, problem.code, problem.context)),
            None => Ok(draft.submission),
        }
    }
}

/// Writes an export.
pub struct Writer {
    dir: PathBuf,
    patients: BufWriter<File>,
    submissions: BufWriter<File>,
    written: u64,
}

impl Writer {
    pub fn new(dir: &Path) -> anyhow::Result<Self> {
        make_dirs(dir)?;
        let open = |name: &str| create(&dir.join(name)).map(BufWriter::new);
        Ok(Self {
            dir: dir.to_owned(),
            patients: open(PATIENTS)?,
            submissions: open(SUBMISSIONS)?,
            written: 0,
        })
    }

    pub fn patient(&mut self, patient: &Patient) -> io::Result<()> {
        serde_json::to_writer(&mut self.patients, patient)?;
        self.patients.write_all(b"\n")
    }

    pub fn submission(&mut self, exported: &Exported) -> io::Result<()> {
        self.written += 1;
        let folder = format!("submissions/{:06}", (self.written - 1) / A_FOLDER);
        let file = format!("{folder}/{:09}.xml", self.written);
        make_dirs(&self.dir.join(&folder)).map_err(io::Error::other)?;
        let mut w = XmlWriter::new();
        submit::write_kept(&mut w, &exported.submission);
        let text = w.finish();
        create(&self.dir.join(&file))?.write_all(text.as_bytes())?;
        let set = &exported.submission.submission_set;
        let documents = exported.documents.iter().map(|d| ListedDocument {
            unique_id: d.unique_id.clone(),
            key: d.blob_key.clone(),
            mime_type: d.mime_type.clone(),
        });
        let listed = Listed {
            file,
            sha256: hex(&Sha256::digest(text.as_bytes())),
            transaction: exported.transaction.clone(),
            registered_at: exported.registered_at,
            submission_set: set.entry_uuid.clone(),
            patient_id: set.patient_id.clone(),
            documents: documents.collect(),
        };
        serde_json::to_writer(&mut self.submissions, &listed)?;
        self.submissions.write_all(b"\n")
    }

    /// The documents of all messages, once everything is written; one may come twice.
    pub fn listed(&mut self) -> anyhow::Result<impl Iterator<Item = anyhow::Result<BlobKey>> + use<>> {
        for out in [&mut self.patients, &mut self.submissions] {
            out.flush()?;
            out.get_ref().sync_all()?;
        }
        let all = listed(&self.dir)?;
        Ok(all.flat_map(|listed| match listed {
            Ok(listed) => listed.documents.into_iter().map(|d| key(&d)).collect(),
            Err(e) => vec![Err(e)],
        }))
    }
}

pub fn key(document: &ListedDocument) -> anyhow::Result<BlobKey> {
    BlobKey::parse(&document.key).ok_or_else(|| anyhow!("document {}: no SHA-256", document.unique_id))
}

/// The messages of an export, in order.
pub fn listed(dir: &Path) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Listed>> + use<>> {
    lines(dir, SUBMISSIONS)
}

pub fn patients(dir: &Path) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Patient>> + use<>> {
    lines(dir, PATIENTS)
}

fn lines<T: serde::de::DeserializeOwned>(
    dir: &Path,
    name: &'static str,
) -> anyhow::Result<impl Iterator<Item = anyhow::Result<T>> + use<T>> {
    let path = dir.join(name);
    let file = File::open(&path).with_context(|| format!("{}", path.display()))?;
    Ok(BufReader::new(file).lines().zip(1..).map(move |(line, n): (_, u64)| {
        let line = line.with_context(|| name.to_owned())?;
        serde_json::from_str(&line).map_err(|_| anyhow!("{name} line {n} cannot be read"))
    }))
}
