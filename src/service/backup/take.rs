//! A new generation.

use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::Serialize;

use super::copy::{Copied, Listing, Losses, Trouble, copy};
use super::manifest::{FileSum, Manifest};
use super::metadata::{self, DOCUMENTS, Metadata, Origin};
use super::{Hear, Place, create, make_dirs, prune, sync_dir};
use crate::store::blob::{BlobKey, Blobs};
use crate::store::tables::{LEFT_OUT, Tally};

const MISSING: &str = "missing.jsonl";

/// A backup taken.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    pub generation: String,
    pub tables: usize,
    pub rows: u64,
    pub documents: u64,
    pub new_documents: u64,
    pub new_octets: u64,
    pub seal: String,
    /// Documents the rows refer to that could not be had.
    pub lost: Losses,
    pub generations_removed: Vec<String>,
    pub documents_removed: u64,
}

/// Takes a backup into `dir`, beside a gateway that serves. Of older generations the latest `keep`, this one
/// among them, stay; all, if it is not said.
pub async fn take(
    origin: &Origin,
    blobs: Option<&Blobs>,
    dir: &Path,
    keep: Option<usize>,
    now: Timestamp,
    hear: &Hear,
) -> anyhow::Result<Taken> {
    let place = Place::at(dir);
    place.make()?;
    let _lock = place.lock()?;
    for (name, complete) in place.generations()? {
        if !complete {
            let cut = place.generation(&name);
            std::fs::remove_dir_all(&cut).with_context(|| format!("{}", cut.display()))?;
        }
    }
    // Sorts by time, and two never share one.
    let name = now.strftime("%Y%m%dT%H%M%S.%6fZ").to_string();
    let generation = place.generation(&name);
    make_dirs(&generation)?;
    sync_dir(&place.metadata())?;
    let moment = metadata::sealed_moment(now);
    let metadata = metadata::write(&origin.db, Some(&generation), moment, hear).await?;

    let to = place.documents()?;
    let mut lost = Losses::default();
    let mut missing = Tally::new(BufWriter::new(create(&generation.join(MISSING))?));
    let mut note = |key: &BlobKey, size: u64, trouble: Trouble| -> anyhow::Result<()> {
        serde_json::to_writer(&mut missing, &(key.as_str(), size))?;
        missing.write_all(b"\n")?;
        lost.add(key, trouble);
        Ok(())
    };
    let copied = match blobs {
        Some(from) => copy(Listing::open(&generation.join(DOCUMENTS))?, from, &to, hear, &mut note).await?,
        None => Copied::default(),
    };
    let (tallied, out) = missing.finish();
    out.into_inner().map_err(|e| e.into_error())?.sync_all()?;
    let missing = FileSum::of(MISSING, lost.count, tallied);
    sync_dir(&generation)?;
    let manifest = manifest(origin, metadata, missing, now);
    manifest.write(&generation)?;
    let pruned = match keep {
        Some(keep) => prune::prune(&place, &to, keep).await?,
        None => prune::Pruned::default(),
    };
    Ok(Taken {
        generation: name,
        tables: manifest.tables.len(),
        rows: manifest.rows(),
        documents: copied.documents,
        new_documents: copied.new,
        new_octets: copied.octets,
        seal: manifest.seal,
        lost,
        generations_removed: pruned.generations,
        documents_removed: pruned.documents,
    })
}

pub(super) fn manifest(origin: &Origin, metadata: Metadata, missing: FileSum, now: Timestamp) -> Manifest {
    let Metadata { migrations, tables, documents, seal } = metadata;
    Manifest {
        format: Manifest::FORMAT,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        taken_at: now,
        network: origin.network.clone(),
        engine: origin.engine.clone(),
        repository_unique_id: origin.repository_unique_id.clone(),
        seal: seal.to_string(),
        migrations,
        tables,
        left_out: LEFT_OUT.iter().map(|(t, why)| ((*t).to_owned(), (*why).to_owned())).collect(),
        documents,
        missing,
    }
}
