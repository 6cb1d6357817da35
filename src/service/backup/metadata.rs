//! Every table at one moment, into files or into nothing but their hashes.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{FileSum, Hear, Progress, Rows, create};
use crate::service::verify::{self, Seal};
use crate::store::db::{Db, Tx};
use crate::store::documents;
use crate::store::tables::{self, Applied, TableError, Tally};

pub(super) const DOCUMENTS: &str = "documents.jsonl";

/// What is written in this time may still be on its way into the database, with a time from before.
const MARGIN: SignedDuration = SignedDuration::from_secs(60);

/// Whose rows they are.
#[derive(Clone)]
pub struct Origin {
    pub db: Db,
    /// `sqlite` or `postgresql`.
    pub engine: String,
    pub network: String,
    pub repository_unique_id: Option<String>,
}

/// Everything a database held at one moment.
#[derive(Debug, Clone)]
pub(super) struct Metadata {
    pub migrations: Vec<Applied>,
    pub tables: Vec<Rows>,
    pub documents: FileSum,
    pub seal: Seal,
}

/// The moment whose seal is taken along.
pub(super) fn sealed_moment(now: Timestamp) -> i64 {
    (now - MARGIN).as_microsecond()
}

/// Writes every table into a file of `into`, durable; without one, only hashes are made.
pub(super) async fn write(
    db: &Db,
    into: Option<&Path>,
    moment: i64,
    hear: &Hear,
) -> Result<Metadata, TableError> {
    let into: Option<Arc<Path>> = into.map(Arc::from);
    let hear = hear.clone();
    db.snapshot(move |tx| {
        let (into, hear) = (into.clone(), hear.clone());
        Box::pin(async move { all(tx, into.as_deref(), moment, &hear).await })
    })
    .await
}

/// The list of documents alone, in `into`; where it is.
pub(super) async fn list_documents(db: &Db, into: &Path) -> Result<PathBuf, TableError> {
    let into: Arc<Path> = into.into();
    let path = into.join(DOCUMENTS);
    db.read(move |tx| {
        let into = into.clone();
        Box::pin(async move {
            let mut out = Out::open(Some(&into), DOCUMENTS)?;
            let rows = documents::contents(tx, DOCUMENTS, &mut out.tally).await?;
            out.close(rows)
        })
    })
    .await
    .map(|_: FileSum| path)
}

async fn all(tx: &mut Tx<'_>, into: Option<&Path>, moment: i64, hear: &Hear) -> Result<Metadata, TableError> {
    let mut written = vec![];
    for table in tables::catalogue(tx).await? {
        let name = table.file();
        let mut out = Out::open(into, &name)?;
        let rows = table.dump(tx, &mut out.tally).await?;
        let sum = out.close(rows)?;
        hear(Progress { what: table.name.clone(), done: rows, octets: sum.octets });
        written.push(Rows { table, sum });
    }
    let mut out = Out::open(into, DOCUMENTS)?;
    let rows = documents::contents(tx, DOCUMENTS, &mut out.tally).await?;
    let documents = out.close(rows)?;
    let migrations = tables::applied(tx).await?;
    let seal = verify::seal(tx, moment).await?;
    Ok(Metadata { migrations, tables: written, documents, seal })
}

/// A file on its way.
struct Out {
    name: String,
    path: Option<PathBuf>,
    tally: Tally<Box<dyn Write + Send>>,
}

impl Out {
    fn open(into: Option<&Path>, name: &str) -> Result<Self, TableError> {
        let path = into.map(|dir| dir.join(name));
        let inner: Box<dyn Write + Send> = match &path {
            Some(path) => {
                let file = create(path).map_err(|source| TableError::Io { file: name.to_owned(), source })?;
                Box::new(BufWriter::with_capacity(1 << 18, file))
            }
            None => Box::new(std::io::sink()),
        };
        Ok(Self { name: name.to_owned(), path, tally: Tally::new(inner) })
    }

    fn close(mut self, rows: u64) -> Result<FileSum, TableError> {
        let failed = |source| TableError::Io { file: self.name.clone(), source };
        self.tally.flush().map_err(failed)?;
        let (tallied, inner) = self.tally.finish();
        drop(inner);
        if let Some(path) = &self.path {
            let synced = std::fs::File::open(path).and_then(|file| file.sync_all());
            synced.map_err(|source| TableError::Io { file: self.name.clone(), source })?;
        }
        Ok(FileSum::of(self.name, rows, tallied))
    }
}
