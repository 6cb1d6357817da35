//! A generation into an empty database and an empty document store, of whichever engine.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::copy::{Copied, Listing, Losses, Trouble, copy};
use super::manifest::Manifest;
use super::metadata::DOCUMENTS;
use super::prune::reaches;
use super::{Hear, Place, Progress, Refusal};
use crate::config::database::DatabaseConfig;
use crate::store::blob::{BlobKey, Blobs, Stored};
use crate::store::tables::{self, Filling, Refused, Table, TableError};

/// What was restored.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Restored {
    pub generation: String,
    pub rows: u64,
    pub documents: u64,
    /// Copied now; those of an earlier attempt were there.
    pub new_documents: u64,
    pub seal: String,
    /// Documents the backup does not have.
    pub lost: Losses,
}

/// Restores. Documents come first, then all rows in one transaction: what is cut short in between leaves an
/// empty database and documents of this backup alone, and is simply begun again.
pub async fn restore(
    dir: &Path,
    generation: Option<&str>,
    database: &DatabaseConfig,
    blobs: Option<&Blobs>,
    now: Timestamp,
    hear: &Hear,
) -> anyhow::Result<Restored> {
    let place = Place::at(dir);
    let name = place.choose(generation)?;
    let _lock = place.lock()?;
    let path = place.generation(&name);
    let manifest = whole(&path)?;
    tables::is_empty(database).await.map_err(refusal)?;
    let mut lost = Losses::default();
    let copied = match blobs {
        Some(to) => {
            only_ours(to, &path).await?;
            let from = place.documents()?;
            let note = |key: &BlobKey, _: u64, trouble: Trouble| {
                lost.add(key, trouble);
                Ok(())
            };
            copy(Listing::open(&path.join(DOCUMENTS))?, &from, to, hear, note).await?
        }
        None if manifest.documents.rows > 0 => return Err(Refusal::NoRepository.into()),
        None => Copied::default(),
    };
    let filling = filling(&manifest, &path, hear.clone());
    tables::fill(database, filling, now.as_microsecond()).await.map_err(refusal)?;
    Ok(Restored {
        generation: name,
        rows: manifest.rows(),
        documents: copied.documents,
        new_documents: copied.new,
        seal: manifest.seal,
        lost,
    })
}

/// The manifest of a generation whose files are all what was written.
fn whole(dir: &Path) -> anyhow::Result<Manifest> {
    let manifest = Manifest::read(dir)?.map_err(Refusal::Spoiled)?;
    for file in manifest.files() {
        if let Some(fault) = file.fault(dir)? {
            return Err(Refusal::Spoiled(format!("{}: {fault}", file.file)).into());
        }
    }
    Ok(manifest)
}

/// The store holds nothing, or what an earlier attempt to restore this generation put there.
async fn only_ours(store: &Blobs, generation: &Path) -> anyhow::Result<()> {
    let mut ours = Listing::open(&generation.join(DOCUMENTS))?.peekable();
    for begin in 0..=u8::MAX {
        for Stored { key, .. } in store.list(begin).await? {
            if !reaches(&mut ours, &key)? {
                return Err(Refusal::DocumentsNotEmpty(key.to_string()).into());
            }
        }
    }
    Ok(())
}

/// The rows of a generation, ready to be put into a database.
pub(super) fn filling(manifest: &Manifest, dir: &Path, hear: Hear) -> Filling {
    let dir = dir.to_owned();
    let source = move |table: &Table| -> Result<Box<dyn BufRead + Send>, TableError> {
        let file = table.file();
        let opened = File::open(dir.join(&file)).map_err(|source| TableError::Io { file, source })?;
        Ok(Box::new(BufReader::with_capacity(1 << 18, opened)))
    };
    Filling {
        migrations: manifest.migrations.clone(),
        tables: manifest.tables.iter().map(|t| t.table.clone()).collect(),
        source: Box::new(source),
        progress: Box::new(move |table, rows| {
            hear(Progress { what: table.to_owned(), done: rows, octets: 0 });
        }),
    }
}

/// In the words of a terminal, where there are any.
pub(super) fn refusal(e: Refused) -> anyhow::Error {
    match e {
        Refused::Table(TableError::NotEmpty(table)) => Refusal::DatabaseNotEmpty(table).into(),
        e => e.into(),
    }
}
