//! Backups taken while serving, restored into empty stores, and proven without touching those in use.
//!
//! ```text
//! DIR/metadata/<time>/<table>.jsonl          a generation: every table at one moment
//! DIR/metadata/<time>/documents.jsonl        the documents these rows refer to: key and size
//! DIR/metadata/<time>/missing.jsonl          those of them that could not be had
//! DIR/metadata/<time>/manifest.json          what the generation holds, with the hash of each file
//! DIR/metadata/<time>/manifest.json.sha256   written last: without it the generation is not complete
//! DIR/objects/ab/cd/<sha256>                 documents, each once for all generations
//! DIR/backup.lock                            held by whoever writes into DIR
//! ```
//!
//! The rows are read first and the documents after, so whatever the rows refer to is there to be copied: a
//! document outlives its last row by `repository.sweep_age_hours`.

mod check;
mod copy;
mod manifest;
mod metadata;
mod prune;
mod restore;
mod take;
mod transfer;

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use crate::config::Language;
use crate::store::blob::{BlobOptions, Blobs};

pub use check::{Checked, Fault, FaultKind, check};
pub use copy::{Losses, Trouble, bring};
pub use manifest::{FileSum, Manifest, Rows};
pub use metadata::Origin;
pub use restore::{Restored, restore};
pub use take::{Taken, take};
pub use transfer::{Transferred, carry, transfer};

/// How far something is: what is at work, how many rows or documents are done, their octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub what: String,
    pub done: u64,
    pub octets: u64,
}

/// Hears of progress, often.
pub type Hear = Arc<dyn Fn(Progress) + Send + Sync>;

/// Why nothing is done, in an operator's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Another command writes into the folder.
    Locked(PathBuf),
    NoGeneration(PathBuf),
    /// The backup was cut short before it was complete.
    Incomplete(String),
    /// A file of the backup is not what was written.
    Spoiled(String),
    DatabaseNotEmpty(String),
    DocumentsNotEmpty(String),
    /// The backup holds documents, and the configuration has no repository.
    NoRepository,
    /// The folder is that of the documents themselves.
    OwnDocuments(PathBuf),
    SamePlace,
    OpenElsewhere,
    /// The source was written to while it was read.
    ChangedMeanwhile(String),
    /// A table at the target is not what the source has.
    Differs(String),
}

impl Refusal {
    pub fn in_language(&self, language: Language) -> String {
        match (self, language) {
            (Self::Locked(dir), Language::En) => {
                format!("{}: another backup or restore is at work there", dir.display())
            }
            (Self::Locked(dir), Language::Ja) => {
                format!("{}: 別のバックアップまたは復元が実行中です", dir.display())
            }
            (Self::NoGeneration(path), Language::En) => {
                format!("{}: no complete backup there", path.display())
            }
            (Self::NoGeneration(path), Language::Ja) => {
                format!("{}: 完了したバックアップがありません", path.display())
            }
            (Self::Incomplete(name), Language::En) => {
                format!("the backup {name} was cut short and is not complete")
            }
            (Self::Incomplete(name), Language::Ja) => {
                format!("バックアップ {name} は途中で中断されており、完了していません")
            }
            (Self::Spoiled(what), Language::En) => format!("{what}; nothing was restored"),
            (Self::Spoiled(what), Language::Ja) => format!("{what}。何も復元していません"),
            (Self::DatabaseNotEmpty(table), Language::En) => {
                format!("the database is not empty (table {table}); nothing was changed")
            }
            (Self::DatabaseNotEmpty(table), Language::Ja) => {
                format!("データベースが空ではありません（テーブル {table}）。何も変更していません")
            }
            (Self::DocumentsNotEmpty(key), Language::En) => {
                format!("the document store holds {key}, which is not of this backup; nothing was changed")
            }
            (Self::DocumentsNotEmpty(key), Language::Ja) => {
                format!("文書の保存先にこのバックアップのものではない {key} があります。何も変更していません")
            }
            (Self::NoRepository, Language::En) => {
                "the backup holds documents, and repository.enabled is false in this configuration".into()
            }
            (Self::NoRepository, Language::Ja) => {
                "バックアップには文書がありますが、この設定では repository.enabled が false です".into()
            }
            (Self::OwnDocuments(dir), Language::En) => {
                format!("{} is the folder of the documents themselves", dir.display())
            }
            (Self::OwnDocuments(dir), Language::Ja) => {
                format!("{} は文書の保存先そのものです", dir.display())
            }
            (Self::SamePlace, Language::En) => "source and target are the same".into(),
            (Self::SamePlace, Language::Ja) => "移行元と移行先が同じです".into(),
            (Self::OpenElsewhere, Language::En) => {
                "a gateway or another command has the source open; stop it first".into()
            }
            (Self::OpenElsewhere, Language::Ja) => {
                "移行元を使用中のゲートウェイまたはコマンドがあります。先に停止してください".into()
            }
            (Self::ChangedMeanwhile(table), Language::En) => format!(
                "somebody wrote into the source meanwhile (table {table}); empty the target, stop every gateway, and \
                 move again"
            ),
            (Self::ChangedMeanwhile(table), Language::Ja) => format!(
                "移行中に移行元が変更されました（テーブル {table}）。移行先を空にし、すべてのゲートウェイを停止してから再実行してください"
            ),
            (Self::Differs(what), Language::En) => format!("{what} at the target is not what the source has"),
            (Self::Differs(what), Language::Ja) => format!("移行先の {what} が移行元と一致しません"),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.in_language(Language::En))
    }
}

impl std::error::Error for Refusal {}

/// A folder of backups, or of an export.
#[derive(Debug, Clone)]
pub struct Place(PathBuf);

impl Place {
    pub fn at(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    /// Makes what is missing, for us alone.
    fn make(&self) -> anyhow::Result<()> {
        make_dirs(&self.metadata())
    }

    pub fn metadata(&self) -> PathBuf {
        self.0.join("metadata")
    }

    pub fn generation(&self, name: &str) -> PathBuf {
        self.metadata().join(name)
    }

    /// The documents in the folder, in the clear, each once.
    pub fn documents(&self) -> anyhow::Result<Blobs> {
        Blobs::open(&self.0, BlobOptions::default()).with_context(|| format!("{}", self.0.display()))
    }

    /// Whether documents lie in this very folder.
    pub fn holds(&self, documents: &Path) -> bool {
        match (self.0.canonicalize(), documents.canonicalize()) {
            (Ok(ours), Ok(theirs)) => ours == theirs,
            _ => false,
        }
    }

    /// Ends with the file, also when the process dies.
    fn lock(&self) -> anyhow::Result<File> {
        let path = self.0.join("backup.lock");
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("{}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(Refusal::Locked(self.0.clone()).into()),
            Err(TryLockError::Error(e)) => Err(e).with_context(|| format!("{}", path.display())),
        }
    }

    /// Names of generations, oldest first, with whether each is complete.
    pub fn generations(&self) -> anyhow::Result<Vec<(String, bool)>> {
        let dir = self.metadata();
        let mut found = vec![];
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(found),
            Err(e) => return Err(e).with_context(|| format!("{}", dir.display())),
        };
        for entry in entries {
            let entry = entry.with_context(|| format!("{}", dir.display()))?;
            if let (Some(name), true) = (entry.file_name().to_str(), entry.path().is_dir()) {
                found.push((name.to_owned(), Manifest::is_complete(&entry.path())));
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The generation of that name, or else the latest complete one.
    pub fn choose(&self, name: Option<&str>) -> anyhow::Result<String> {
        let all = self.generations()?;
        match name {
            None => match all.into_iter().rfind(|(_, complete)| *complete) {
                Some((name, _)) => Ok(name),
                None => Err(Refusal::NoGeneration(self.0.clone()).into()),
            },
            Some(name) => match all.into_iter().find(|(other, _)| other == name) {
                Some((name, true)) => Ok(name),
                Some((name, false)) => Err(Refusal::Incomplete(name).into()),
                None => Err(Refusal::NoGeneration(self.generation(name)).into()),
            },
        }
    }
}

/// Patient data: for us alone.
pub fn make_dirs(dir: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("{} cannot be made", dir.display()))
}

/// A new file that only we can read.
pub fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

pub fn sync_dir(dir: &Path) -> anyhow::Result<()> {
    File::open(dir).and_then(|d| d.sync_all()).with_context(|| format!("{}", dir.display()))
}

/// A folder for what is needed only meanwhile, removed when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn make(parent: &Path) -> anyhow::Result<Self> {
        let dir = parent.join(format!("scratch-{}", uuid::Uuid::new_v4().simple()));
        make_dirs(&dir)?;
        Ok(Self(dir))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
