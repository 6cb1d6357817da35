//! What a generation says of itself.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{create, sync_dir};
use crate::store::registry::state::Digest;
use crate::store::tables::{Applied, Table, Tallied, Tally};

const FORMAT: u32 = 1;
const NAME: &str = "manifest.json";
const SEALED: &str = "manifest.json.sha256";

/// `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub format: u32,
    /// Version of the program that wrote it.
    pub program: String,
    pub taken_at: Timestamp,
    /// `network.name`, for whoever finds the folder.
    pub network: String,
    /// `sqlite` or `postgresql`; the rows are of neither.
    pub engine: String,
    /// `repository.unique_id`, where there is one.
    pub repository_unique_id: Option<String>,
    /// Of the history a minute before, as `chiren verify` prints it.
    pub seal: String,
    pub migrations: Vec<Applied>,
    pub tables: Vec<Rows>,
    /// Tables not kept, with the reason.
    pub left_out: Vec<(String, String)>,
    pub documents: FileSum,
    pub missing: FileSum,
}

/// A table and its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    #[serde(flatten)]
    pub table: Table,
    #[serde(flatten)]
    pub sum: FileSum,
}

/// A file of lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSum {
    pub file: String,
    pub rows: u64,
    pub octets: u64,
    pub sha256: String,
}

impl FileSum {
    pub fn of(file: impl Into<String>, rows: u64, tallied: Tallied) -> Self {
        Self { file: file.into(), rows, octets: tallied.octets, sha256: tallied.sha256.to_string() }
    }

    /// What is wrong with the file in `dir`; none if it is what was written.
    pub fn fault(&self, dir: &Path) -> anyhow::Result<Option<String>> {
        let path = dir.join(&self.file);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Some("is missing".into())),
            Err(e) => return Err(e).with_context(|| format!("{}", path.display())),
        };
        let (mut tally, mut rows) = (Tally::new(std::io::sink()), 0);
        let mut reader = BufReader::with_capacity(1 << 16, file);
        loop {
            let chunk = reader.fill_buf().with_context(|| format!("{}", path.display()))?;
            if chunk.is_empty() {
                break;
            }
            let n = chunk.len();
            rows += memchr::memchr_iter(b'\n', chunk).count() as u64;
            tally.write_all(chunk)?;
            reader.consume(n);
        }
        let (found, _) = tally.finish();
        Ok(if found.octets != self.octets {
            Some(format!("{} octets, {} expected", found.octets, self.octets))
        } else if found.sha256.to_string() != self.sha256 {
            Some(format!("SHA-256 is {}", found.sha256))
        } else if rows != self.rows {
            Some(format!("{rows} rows, {} expected", self.rows))
        } else {
            None
        })
    }
}

impl Manifest {
    pub const FORMAT: u32 = FORMAT;

    /// Every file the manifest vouches for.
    pub fn files(&self) -> impl Iterator<Item = &FileSum> {
        self.tables.iter().map(|t| &t.sum).chain([&self.documents, &self.missing])
    }

    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|t| t.sum.rows).sum()
    }

    pub fn is_complete(dir: &Path) -> bool {
        dir.join(SEALED).is_file()
    }

    /// Makes the generation in `dir` complete: everything else in it is durable.
    pub fn write(&self, dir: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        let mut tally = Tally::new(create(&dir.join(NAME))?);
        tally.write_all(text.as_bytes())?;
        let (tallied, file) = tally.finish();
        file.sync_all()?;
        let temporary = dir.join("manifest.tmp");
        let mut file = create(&temporary)?;
        // As sha256sum writes and checks it.
        writeln!(file, "{}  {NAME}", tallied.sha256)?;
        file.sync_all()?;
        sync_dir(dir)?;
        std::fs::rename(&temporary, dir.join(SEALED))?;
        sync_dir(dir)
    }

    /// Reads the manifest of a complete generation; a sentence if it is not what was written.
    pub fn read(dir: &Path) -> anyhow::Result<Result<Self, String>> {
        let (mut text, mut sealed) = (vec![], String::new());
        let path = dir.join(NAME);
        match File::open(&path) {
            Ok(mut file) => file.read_to_end(&mut text).with_context(|| format!("{}", path.display()))?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Err(format!("{NAME} is missing")));
            }
            Err(e) => return Err(e).with_context(|| format!("{}", path.display())),
        };
        let path = dir.join(SEALED);
        let readable = File::open(&path).and_then(|mut file| file.read_to_string(&mut sealed));
        let Some(expected) = readable.ok().and_then(|_| {
            let (digest, name) = sealed.split_once("  ")?;
            Digest::parse(digest).filter(|_| name.trim_end() == NAME)
        }) else {
            return Ok(Err(format!("{SEALED} cannot be read")));
        };
        let mut tally = Tally::new(std::io::sink());
        tally.write_all(&text)?;
        if tally.finish().0.sha256 != expected {
            return Ok(Err(format!("{NAME} is not what {SEALED} vouches for")));
        }
        let manifest: Self =
            serde_json::from_slice(&text).with_context(|| format!("{NAME} cannot be read"))?;
        anyhow::ensure!(
            manifest.format == FORMAT,
            "{NAME} is of format {}, which this program does not know",
            manifest.format
        );
        Ok(Ok(manifest))
    }
}
