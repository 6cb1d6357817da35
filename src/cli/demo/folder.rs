//! Where a demonstration keeps what it has: a temporary folder, or one that stays.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// What [`Network::generate`](crate::synthetic::Network::generate) was told, so that the same folder
/// shows the same people the next time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub seed: u64,
    pub until: Date,
    pub patients: usize,
    pub documents: u64,
    /// Everything was registered.
    pub complete: bool,
}

const STATE: &str = "demo.json";

/// A temporary folder goes when this is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    pub temporary: bool,
}

impl Folder {
    /// Opens `kept`, or makes a temporary folder. Returns what an earlier demonstration left in it.
    pub fn open(kept: Option<&Path>) -> anyhow::Result<(Self, Option<State>)> {
        let Some(kept) = kept else {
            let path = std::env::temp_dir().join(format!("chiren-demo-{}", uuid::Uuid::new_v4().simple()));
            make(&path)?;
            return Ok((Self { path, temporary: true }, None));
        };
        let path = std::path::absolute(kept).with_context(|| format!("{} is no path", kept.display()))?;
        make(&path)?;
        let folder = Self { path, temporary: false };
        let shown = folder.path.display();
        let state = match std::fs::read(folder.file(STATE)) {
            Ok(bytes) => Some(
                serde_json::from_slice::<State>(&bytes)
                    .with_context(|| format!("{shown}: {STATE} is not of a demonstration"))?,
            ),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(e).with_context(|| format!("{shown} cannot be read")),
        };
        match &state {
            Some(state) if !state.complete => {
                bail!(
                    "{shown} holds a demonstration that was stopped while it was made: remove the folder and start again"
                )
            }
            None if std::fs::read_dir(&folder.path)?.next().is_some() => {
                bail!("{shown} holds something else than a demonstration: name an empty or a new folder")
            }
            _ => Ok((folder, state)),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> anyhow::Result<PathBuf> {
        let path = self.file(name);
        std::fs::write(&path, contents).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(path)
    }

    pub fn remember(&self, state: &State) -> anyhow::Result<()> {
        self.write(STATE, serde_json::to_vec_pretty(state)?).map(drop)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary
            && let Err(cause) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %cause, "the temporary folder could not be removed");
        }
    }
}

/// A folder for us alone.
pub fn make(path: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("folder {} cannot be made", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(complete: bool) -> State {
        State { seed: 1, until: jiff::civil::date(2026, 4, 1), patients: 2, documents: 3, complete }
    }

    #[test]
    fn a_temporary_folder_goes() {
        let (folder, state) = Folder::open(None).unwrap();
        let path = folder.path().to_owned();
        folder.write("x", "y").unwrap();
        assert!(path.exists() && state.is_none());
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn a_kept_folder_is_new_or_a_whole_demonstration() {
        let dir = tempfile::tempdir().unwrap();
        let kept = dir.path().join("a/b");
        let (folder, none) = Folder::open(Some(&kept)).unwrap();
        assert_eq!(none, None);
        folder.remember(&state(true)).unwrap();
        drop(folder);
        let (folder, found) = Folder::open(Some(&kept)).unwrap();
        assert_eq!(found, Some(state(true)));
        folder.remember(&state(false)).unwrap();
        assert!(Folder::open(Some(&kept)).is_err(), "stopped half-way");
        assert!(Folder::open(Some(dir.path())).is_err(), "something else");
    }
}
