//! What is held, kept in a file: each change one line, on the disk before its answer leaves.
//!
//! A line is the SHA-256 of its JSON, a space, and the JSON. A last line that is not whole was never answered for, and is
//! cut off at the next start; a damaged line before it stops the start.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use super::json::sha256;
use super::world::Effect;

/// The file, open at its end.
#[derive(Debug)]
pub struct Journal {
    file: File,
    /// Where the last whole line ends.
    end: u64,
}

impl Journal {
    /// Opens the file, and reads what it holds.
    pub fn open(path: &Path) -> io::Result<(Journal, Vec<Effect>)> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = vec![];
        file.read_to_end(&mut bytes)?;
        let mut effects = vec![];
        let mut good = 0;
        let mut lines = bytes.split_inclusive(|b| *b == b'\n').enumerate().peekable();
        while let Some((number, line)) = lines.next() {
            match read(line) {
                Some(more) => {
                    effects.extend(more);
                    good += line.len();
                }
                None if lines.peek().is_none() => break,
                None => {
                    let what = format!("{}: line {} is damaged", path.display(), number + 1);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                }
            }
        }
        let end = u64::try_from(good).map_err(io::Error::other)?;
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        file.sync_all()?;
        if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            File::open(folder)?.sync_all()?;
        }
        Ok((Journal { file, end }, effects))
    }

    /// All of it or nothing, on the disk when this returns.
    pub fn append(&mut self, effects: &[Effect]) -> io::Result<()> {
        let json = serde_json::to_string(effects).map_err(io::Error::other)?;
        let line = format!("{} {json}\n", sha256(json.as_bytes()));
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => self.end += u64::try_from(line.len()).map_err(io::Error::other)?,
            Err(_) => {
                // Half a line must not stand before the next one.
                self.file.set_len(self.end)?;
                self.file.seek(SeekFrom::Start(self.end))?;
            }
        }
        written
    }
}

fn read(line: &[u8]) -> Option<Vec<Effect>> {
    let text = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (sum, json) = text.split_once(' ')?;
    (sha256(json.as_bytes()) == sum).then(|| serde_json::from_str(json).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_end_is_cut_off_and_damage_before_it_is_told() {
        let dir = std::env::temp_dir().join(format!("chiren-journal-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("journal");
        let _ = std::fs::remove_file(&path);
        let (mut journal, none) = Journal::open(&path).unwrap();
        assert!(none.is_empty());
        for micros in [1, 2] {
            journal.append(&[Effect::Clock(micros)]).unwrap();
        }
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for cut in [1, 10, whole.len() / 2 - 1] {
            std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            assert_eq!(Journal::open(&path).unwrap().1, [Effect::Clock(1)], "{cut} bytes short");
            assert_eq!(std::fs::read(&path).unwrap(), &whole[..whole.len() / 2]);
        }
        let mut damaged = whole.clone();
        damaged[70] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        assert_eq!(Journal::open(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
