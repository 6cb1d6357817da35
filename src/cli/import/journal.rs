//! What was sent already, so that an import that was cut short goes on where it stopped.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, ensure};

/// A line for the target, then one for each message it took.
pub struct Journal {
    file: File,
    taken: HashSet<String>,
}

impl Journal {
    /// Opens or begins the journal for a target; one of another target is refused.
    pub fn open(path: &Path, target: &str) -> anyhow::Result<Self> {
        let named = || format!("{}", path.display());
        let mut taken = HashSet::new();
        let mut begun = false;
        match File::open(path) {
            Ok(file) => {
                for line in BufReader::new(file).lines() {
                    let line = line.with_context(named)?;
                    // The last line of a run that was cut short may be half a line.
                    let Ok(text) = serde_json::from_str::<String>(&line) else { continue };
                    if !begun {
                        ensure!(text == target, "{} is the journal of {text}; name another", path.display());
                        begun = true;
                    } else {
                        taken.insert(text);
                    }
                }
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(e).with_context(named),
        }
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path).with_context(named)?;
        let mut journal = Self { file, taken };
        if !begun {
            journal.write(target)?;
        }
        Ok(journal)
    }

    pub fn has(&self, file: &str) -> bool {
        self.taken.contains(file)
    }

    pub fn took(&mut self, file: &str) -> anyhow::Result<()> {
        self.write(file)
    }

    fn write(&mut self, text: &str) -> anyhow::Result<()> {
        // Begun with an end of line, so that half a line before it stays by itself.
        self.file.write_all(format!("\n{}\n", serde_json::to_string(text)?).as_bytes())?;
        self.file.sync_data().context("the journal cannot be written")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_after_half_a_line_and_belongs_to_one_target() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sent.jsonl");
        let mut journal = Journal::open(&path, "http://a").unwrap();
        journal.took("1.xml").unwrap();
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"\"2.x").unwrap();
        let mut journal = Journal::open(&path, "http://a").unwrap();
        assert!(journal.has("1.xml") && !journal.has("2.xml"));
        journal.took("2.xml").unwrap();
        let journal = Journal::open(&path, "http://a").unwrap();
        assert!(journal.has("1.xml") && journal.has("2.xml"));
        assert!(Journal::open(&path, "http://b").is_err());
    }
}
