//! Is a generation what was written, are its documents, and does a database made from it hold together?

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::copy::{Listing, Trouble, trouble};
use super::manifest::Manifest;
use super::metadata::DOCUMENTS;
use super::restore::{filling, refusal};
use super::{Hear, Place, Progress, Scratch};
use crate::config::database::DatabaseConfig;
use crate::service::verify::{self, Scope, Seal, Verify};
use crate::store::blob::{BlobKey, Blobs};
use crate::store::db::Db;
use crate::store::tables;

/// What is wrong with a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// A file of a generation is missing or not what was written.
    File,
    DocumentMissing,
    DocumentAltered,
    /// The backup itself says that it could not have the document.
    DocumentLost,
    /// The database restored from it does not hold together.
    Verify,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    pub fault: FaultKind,
    /// Path below the folder of the backup; of the database, the object.
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A generation looked at.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    pub generation: String,
    pub files: u64,
    pub rows: u64,
    pub documents: u64,
    pub octets: u64,
    /// What `chiren verify` found in the database restored from it; none if it came not so far.
    pub verified: Option<verify::Report>,
    /// How many faults there are; [`faults`](Self::faults) has the first of them.
    pub count: u64,
    pub faults: Vec<Fault>,
}

/// Faults named in a report.
const NAMED: usize = 1000;

impl Checked {
    fn found(&mut self, fault: FaultKind, name: impl Into<String>, detail: Option<String>) {
        self.count += 1;
        if self.faults.len() < NAMED {
            self.faults.push(Fault { fault, name: name.into(), detail });
        }
    }
}

/// Looks at one generation, the latest complete one unless named. `scratch` is where a database is made
/// meanwhile; it holds patients' data as the backup does.
pub async fn check(
    dir: &Path,
    generation: Option<&str>,
    documents: bool,
    scratch: Option<&Path>,
    now: Timestamp,
    hear: &Hear,
) -> anyhow::Result<Checked> {
    let place = Place::at(dir);
    let name = place.choose(generation)?;
    let path = place.generation(&name);
    let mut checked = Checked { generation: name.clone(), ..Checked::default() };
    let below = |file: &str| format!("metadata/{name}/{file}");
    let manifest = match Manifest::read(&path)? {
        Ok(manifest) => manifest,
        Err(fault) => {
            let (file, detail) = fault.split_once(' ').unwrap_or((&fault, ""));
            checked.found(FaultKind::File, below(file), Some(detail.to_owned()));
            return Ok(checked);
        }
    };
    for file in manifest.files() {
        checked.files += 1;
        checked.rows += file.rows;
        if let Some(detail) = file.fault(&path)? {
            checked.found(FaultKind::File, below(&file.file), Some(detail));
        }
        hear(Progress { what: file.file.clone(), done: file.rows, octets: file.octets });
    }
    // What cannot be read as it was written tells nothing about documents and chains.
    if checked.count > 0 {
        return Ok(checked);
    }
    let store = place.documents()?;
    if documents && manifest.repository_unique_id.is_some() {
        each_document(&store, &path, &manifest, &mut checked, hear).await?;
    }
    let scratch = Scratch::make(scratch.unwrap_or(dir))?;
    let report = restored(&manifest, &path, &store, scratch.path(), now, hear).await?;
    for finding in &report.findings {
        let name = serde_json::to_value(finding.fault)?.as_str().unwrap_or_default().to_owned();
        let object = [finding.kind.map(str::to_owned), finding.id.clone()];
        let object = object.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let detail =
            [Some(object), finding.patient_key.map(|k| format!("patient_key {k}")), finding.detail.clone()];
        let detail: Vec<String> = detail.into_iter().flatten().filter(|d| !d.is_empty()).collect();
        checked.found(FaultKind::Verify, name, Some(detail.join(", ")));
    }
    checked.verified = Some(report);
    Ok(checked)
}

async fn each_document(
    store: &Blobs,
    generation: &Path,
    manifest: &Manifest,
    checked: &mut Checked,
    hear: &Hear,
) -> anyhow::Result<()> {
    let mut lost = Listing::open(&generation.join(&manifest.missing.file))?.peekable();
    for entry in Listing::open(&generation.join(DOCUMENTS))? {
        let (key, size) = entry?;
        checked.documents += 1;
        let name = object(&key);
        match store.fingerprint(&key).await {
            Ok(found) => {
                checked.octets += found.size;
                if found.sha256 != key.as_str() {
                    let detail = Some(format!("SHA-256 is {}", found.sha256));
                    checked.found(FaultKind::DocumentAltered, name, detail);
                } else if found.size != size {
                    let detail = Some(format!("{} octets, {size} expected", found.size));
                    checked.found(FaultKind::DocumentAltered, name, detail);
                }
            }
            Err(e) => match trouble(e)? {
                // A later backup may have found it again: then it is there, whatever the list says.
                Trouble::Missing if super::prune::reaches(&mut lost, &key)? => {
                    checked.found(FaultKind::DocumentLost, name, None);
                }
                Trouble::Missing => checked.found(FaultKind::DocumentMissing, name, None),
                Trouble::Altered(detail) => checked.found(FaultKind::DocumentAltered, name, Some(detail)),
            },
        }
        hear(Progress { what: "documents".into(), done: checked.documents, octets: checked.octets });
    }
    Ok(())
}

/// Where a document lies in the backup.
fn object(key: &BlobKey) -> String {
    let hex = key.as_str();
    format!("objects/{}/{}/{hex}", &hex[..2], &hex[2..4])
}

/// Makes a database of the generation, and has it verified; documents were read already.
async fn restored(
    manifest: &Manifest,
    generation: &Path,
    store: &Blobs,
    scratch: &Path,
    now: Timestamp,
    hear: &Hear,
) -> anyhow::Result<verify::Report> {
    let config = DatabaseConfig::at(format!("sqlite:{}", scratch.join("scratch.db").display()));
    let filling = filling(manifest, generation, hear.clone());
    tables::fill(&config, filling, now.as_microsecond()).await.map_err(refusal)?;
    let db = Db::open(&config).await?;
    let seal: Seal = manifest.seal.parse().map_err(|why| anyhow::anyhow!("the manifest's seal {why}"))?;
    let repository = manifest.repository_unique_id.clone().map(|id| (store.clone(), id));
    let scope = Scope { moment: seal.moment, expect: Some(seal), documents: false, limit: 1000 };
    let progress = |counts: &verify::Counts| {
        hear(Progress { what: "verify".into(), done: counts.patients, octets: 0 });
    };
    let report = Verify::new(db.clone(), repository).run(&scope, &progress).await;
    db.close().await;
    report.map_err(|e| anyhow::anyhow!("the restored database cannot be verified: {e:?}"))
}
