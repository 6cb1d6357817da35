//! `[repository.encryption]`: documents at rest under keys of our own.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::fault::{Fault, Faults, unreadable};
use super::secret;
use super::section::section;

section! {
    /// Encryption of documents by this program, in a folder or a bucket. Without this table they lie
    /// as they came, and those that were written under keys cannot be read.
    pub struct EncryptionConfig {
        /// A file of keys, closed to others: one a line, 32 octets in base64 or hexadecimal
        /// (`openssl rand -base64 32`), `#` begins a comment. The first writes, all read.
        /// Whoever loses it loses the documents: it belongs into a backup, elsewhere than they.
        key_file: PathBuf = PathBuf::new(); example "\"/etc/chiren/documents.keys\"",
    }
}

/// A key that wraps the keys of documents. Not to be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(pub [u8; 32]);

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("file {path} cannot be read: {cause}")]
    Unreadable { path: PathBuf, cause: std::io::Error },
    #[error("file {path} is open to others (mode {mode:04o})")]
    Open { path: PathBuf, mode: u32 },
    /// The line itself is not shown.
    #[error("file {path}, line {line}: not 32 octets in base64 or hexadecimal")]
    Line { path: PathBuf, line: usize },
    #[error("file {path}, line {line}: the key stands there twice")]
    Twice { path: PathBuf, line: usize },
    #[error("file {path} holds no key")]
    Empty { path: PathBuf },
}

impl EncryptionConfig {
    /// The keys, the one that writes first.
    pub fn keys(&self) -> Result<Vec<SecretKey>, KeyFileError> {
        let path = self.key_file.clone();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(cause) => return Err(KeyFileError::Unreadable { path, cause }),
        };
        match secret::too_open(&path) {
            Some(mode) => Err(KeyFileError::Open { path, mode }),
            None => parse(&path, &text),
        }
    }

    pub(super) fn check(&self, list: &mut Vec<Fault>) {
        let mut faults = Faults::of("repository.encryption", list);
        if self.key_file.as_os_str().is_empty() {
            faults.missing("key_file");
            return;
        }
        let shown = self.key_file.display();
        match self.keys() {
            Ok(_) => {}
            Err(KeyFileError::Unreadable { path, cause }) => {
                let fault = unreadable(&faults.key("key_file"), &path, cause);
                faults.push(fault);
            }
            Err(KeyFileError::Open { path, .. }) => secret::check_mode("key_file", &path, &mut faults),
            Err(e @ KeyFileError::Line { line, .. }) => faults.add(
                "key_file",
                e.to_string(),
                format!("ファイル {shown} の {line} 行目は base64 または 16 進数の 32 バイトではありません"),
            ),
            Err(e @ KeyFileError::Twice { line, .. }) => faults.add(
                "key_file",
                e.to_string(),
                format!("ファイル {shown} の {line} 行目の鍵が重複しています"),
            ),
            Err(e @ KeyFileError::Empty { .. }) => {
                faults.add("key_file", e.to_string(), format!("ファイル {shown} に鍵がありません"));
            }
        }
    }
}

fn parse(path: &Path, text: &str) -> Result<Vec<SecretKey>, KeyFileError> {
    let mut keys: Vec<SecretKey> = vec![];
    for (n, line) in text.lines().enumerate() {
        let word = line.split('#').next().unwrap_or_default().trim();
        if word.is_empty() {
            continue;
        }
        let (path, line) = (path.to_owned(), n + 1);
        match key(word) {
            Some(key) if keys.contains(&key) => return Err(KeyFileError::Twice { path, line }),
            Some(key) => keys.push(key),
            None => return Err(KeyFileError::Line { path, line }),
        }
    }
    if keys.is_empty() {
        return Err(KeyFileError::Empty { path: path.to_owned() });
    }
    Ok(keys)
}

fn key(word: &str) -> Option<SecretKey> {
    let octets = match word.len() {
        64 => (0..64).step_by(2).map(|i| u8::from_str_radix(word.get(i..i + 2)?, 16).ok()).collect(),
        _ => STANDARD.decode(word).ok(),
    };
    octets?.try_into().ok().map(SecretKey)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn file(text: &str, mode: u32) -> (EncryptionConfig, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let key_file = dir.path().join("keys");
        std::fs::write(&key_file, text).unwrap();
        std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(mode)).unwrap();
        (EncryptionConfig { key_file }, dir)
    }

    #[test]
    fn keys_are_read_in_both_forms_and_in_order() {
        let hex = "00".repeat(31) + "ff";
        let base64 = STANDARD.encode([7; 32]);
        let (config, _dir) = file(&format!("# ours\n{base64}  # of 2026\n\n{hex}\n"), 0o640);
        let keys = config.keys().ok().unwrap();
        assert_eq!((keys.len(), keys[0].0, keys[1].0[31]), (2, [7; 32], 255));
        let mut list = vec![];
        config.check(&mut list);
        assert_eq!(list, vec![]);
    }

    #[test]
    fn each_fault_is_one_sentence_and_shows_no_key() {
        let good = STANDARD.encode([7; 32]);
        let short = STANDARD.encode([7; 16]);
        let cases: &[(&str, u32)] = &[
            ("", 0o600),
            (&short, 0o600),
            ("no key", 0o600),
            (&format!("{good}\n{good}"), 0o600),
            (&good, 0o644),
            (&good, 0o660),
        ];
        for (text, mode) in cases {
            let (config, _dir) = file(text, *mode);
            let mut list = vec![];
            config.check(&mut list);
            assert_eq!(list.len(), 1, "{text} {mode:o}");
            assert_eq!(list[0].key, "repository.encryption.key_file");
            assert!(!list[0].en.contains(&good) && !list[0].en.contains(&short));
        }
        let absent = EncryptionConfig { key_file: "/no/such/file".into() };
        assert!(matches!(absent.keys(), Err(KeyFileError::Unreadable { .. })));
    }
}
