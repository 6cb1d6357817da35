//! `[repository.s3]`: documents in a bucket.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::fault::{Fault, Faults, unreadable};
use super::secret;
use super::section::section;
use super::tls::{self, TlsProfile};

/// What the server is asked to encrypt its disks' content with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerEncryption {
    /// Not asked for; the bucket may have a default of its own.
    None,
    /// Keys the server keeps (`AES256`).
    SseS3,
    /// A key of its key management service (`aws:kms`).
    SseKms,
}

section! {
    /// Documents in a bucket of an S3-compatible store. Without this table they lie in the folder
    /// `repository.documents`; with it, that folder holds only what is still arriving.
    pub struct S3Config {
        /// Where the store answers, `https://…` or, on a protected network only, `http://…`.
        /// Absent: Amazon's address for the region.
        endpoint: Option<String> = None; commented "\"https://s3.example.jp:9000\"",
        /// The region the store says it is in.
        region: String = "ap-northeast-1".into(),
        /// The bucket. It is not made; its lifecycle should end incomplete uploads after some days.
        bucket: String = String::new(); example "\"chiren-documents\"",
        /// What the names of our objects begin with, such as `chiren/`.
        prefix: String = String::new(),
        /// Whether the bucket's name is part of the path rather than of the host's name.
        path_style: bool = true,
        /// A file with `aws_access_key_id = …` and `aws_secret_access_key = …`, closed to others.
        /// Absent: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the environment.
        credentials: Option<PathBuf> = None; commented "\"/etc/chiren/s3-credentials\"",
        /// PEM files of the authorities that vouch for the store's certificate. Public web
        /// authorities are not trusted unless named, on Debian by
        /// `/etc/ssl/certs/ca-certificates.crt`.
        server_ca: Vec<PathBuf> = vec![]; example "[\"/etc/chiren/tls/store-ca.pem\"]",
        /// TLS versions and suites, as for a listener.
        tls_profile: TlsProfile = TlsProfile::JpHigh12,
        /// What the store is asked to encrypt with: `none`, `sse-s3` or `sse-kms`. Encryption of our
        /// own is `[repository.encryption]`; both can be on.
        server_encryption: ServerEncryption = ServerEncryption::None,
        /// The key for `sse-kms`. Absent: the bucket's.
        kms_key: Option<String> = None; commented "\"arn:aws:kms:ap-northeast-1:111122223333:key/…\"",
        /// Whether objects are put with `If-None-Match: *`, so that one that is there is not written
        /// again. Off for a store that refuses the header.
        conditional_put: bool = true,
        /// Larger documents go in parts of this many MiB; three parts of each are in memory.
        part_mib: u64 = 8,
        /// Seconds to connect, the TLS handshake included.
        connect_seconds: u64 = 5,
        /// Seconds until an answer begins, a part's upload included, and the longest silence within it.
        answer_seconds: u64 = 20,
        /// How often a request that failed for a reason that may pass is sent again …
        retries: usize = 3,
        /// … and for how many seconds after the first.
        retry_seconds: u64 = 20,
    }
}

/// What proves who we are to the store. Not to be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub access_key: String,
    pub secret: String,
    pub session: Option<String>,
}

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error("the environment has no {0}")]
    Variable(&'static str),
    #[error("file {path} has no line {name}")]
    Line { path: PathBuf, name: &'static str },
    #[error("file {path} cannot be read: {cause}")]
    Unreadable { path: PathBuf, cause: std::io::Error },
}

impl CredentialsError {
    fn ja(&self) -> String {
        match self {
            Self::Variable(name) => format!("環境変数 {name} がありません"),
            Self::Line { path, name } => format!("ファイル {} に {name} の行がありません", path.display()),
            Self::Unreadable { path, cause } => {
                format!("ファイル {} を読み込めません: {cause}", path.display())
            }
        }
    }
}

impl S3Config {
    /// The credentials, from the file or from this process's environment.
    pub fn credentials(&self) -> Result<Credentials, CredentialsError> {
        match &self.credentials {
            Some(path) => from_file(path),
            None => from_environment(|name| std::env::var(name).ok()),
        }
    }

    /// Whether bytes travel encrypted.
    pub fn is_tls(&self) -> bool {
        self.endpoint.as_deref().is_none_or(|endpoint| endpoint.starts_with("https://"))
    }

    pub(super) fn check(&self, list: &mut Vec<Fault>) {
        let mut faults = Faults::of("repository.s3", list);
        if !cfg!(feature = "s3") {
            faults.add(
                "bucket",
                "this program was built without S3",
                "このプログラムは S3 なしで構築されています",
            );
            return;
        }
        if let Some(endpoint) = &self.endpoint {
            let uri = endpoint.parse::<http::Uri>().ok();
            let host = uri.as_ref().filter(|uri| uri.host().is_some_and(|h| !h.is_empty()));
            match host.and_then(http::Uri::scheme_str) {
                Some("https") => {}
                Some("http") => faults.warn(
                    "endpoint",
                    "is not encrypted; patient data would travel in the clear",
                    "暗号化されていません。患者情報が平文で送信されます",
                ),
                _ => faults.add(
                    "endpoint",
                    format!("{endpoint:?} is not an http or https address"),
                    format!("{endpoint:?} は http または https のアドレスではありません"),
                ),
            }
        }
        if self.is_tls() {
            if self.server_ca.is_empty() {
                faults.missing("server_ca");
            }
            tls::check_anchors("server_ca", &self.server_ca, &mut faults);
        }
        for (key, value) in [("bucket", &self.bucket), ("region", &self.region)] {
            if value.is_empty() {
                faults.missing(key);
            }
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        if !self.prefix.chars().all(plain) || self.prefix.starts_with('/') || self.prefix.contains("..") {
            faults.add(
                "prefix",
                "may hold letters, digits and -_./ and not begin with /",
                "英数字と -_./ のみ使用でき、/ で始めることはできません",
            );
        }
        if self.kms_key.is_some() && self.server_encryption != ServerEncryption::SseKms {
            faults.add(
                "kms_key",
                "is only for server_encryption = \"sse-kms\"",
                "server_encryption = \"sse-kms\" の場合にのみ指定できます",
            );
        }
        match self.credentials() {
            Ok(_) => {}
            Err(CredentialsError::Unreadable { path, cause }) => {
                let fault = unreadable(&faults.key("credentials"), &path, cause);
                faults.push(fault);
            }
            Err(e) => faults.add("credentials", e.to_string(), e.ja()),
        }
        if let Some(path) = &self.credentials {
            secret::check_mode("credentials", path, &mut faults);
        }
        // A part is at least 5 MiB by the protocol, and 10,000 of them must hold a document.
        faults.range("part_mib", self.part_mib, 5, 512);
        faults.range("connect_seconds", self.connect_seconds, 1, 60);
        faults.range("answer_seconds", self.answer_seconds, 1, 60);
        faults.range("retries", self.retries as u64, 0, 10);
        faults.range("retry_seconds", self.retry_seconds, 0, 60);
    }
}

const ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";
const SESSION: &str = "AWS_SESSION_TOKEN";

fn from_environment(var: impl Fn(&str) -> Option<String>) -> Result<Credentials, CredentialsError> {
    let get =
        |name: &'static str| var(name).filter(|v| !v.is_empty()).ok_or(CredentialsError::Variable(name));
    Ok(Credentials { access_key: get(ID)?, secret: get(SECRET)?, session: get(SESSION).ok() })
}

/// The lines of Amazon's credentials file; a heading such as `[default]` is passed over.
fn from_file(path: &Path) -> Result<Credentials, CredentialsError> {
    let text = std::fs::read_to_string(path)
        .map_err(|cause| CredentialsError::Unreadable { path: path.to_owned(), cause })?;
    let find = |name: &'static str| {
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        let mut values = pairs.filter(|(k, _)| k.trim().eq_ignore_ascii_case(name)).map(|(_, v)| v.trim());
        values.find(|v| !v.is_empty()).map(str::to_owned)
    };
    let get = |name: &'static str| find(name).ok_or(CredentialsError::Line { path: path.to_owned(), name });
    Ok(Credentials {
        access_key: get("aws_access_key_id")?,
        secret: get("aws_secret_access_key")?,
        session: find("aws_session_token"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_come_from_the_environment_or_a_file_and_what_is_missing_is_named() {
        let all = |name: &str| Some(format!("<{name}>"));
        let c = from_environment(all).ok().unwrap();
        assert_eq!((&*c.access_key, &*c.secret), ("<AWS_ACCESS_KEY_ID>", "<AWS_SECRET_ACCESS_KEY>"));
        let none = |name: &str| Some(String::new()).filter(|_| name != ID);
        assert!(matches!(from_environment(none), Err(CredentialsError::Variable(ID))));
        let half = |name: &str| (name == ID).then(|| "x".to_owned());
        assert!(matches!(from_environment(half), Err(CredentialsError::Variable(SECRET))));

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials");
        assert!(matches!(from_file(&path), Err(CredentialsError::Unreadable { .. })));
        std::fs::write(&path, "[default]\naws_access_key_id = A\nAWS_SECRET_ACCESS_KEY=b/c+d=\n").unwrap();
        let c = from_file(&path).ok().unwrap();
        assert_eq!((&*c.access_key, &*c.secret, c.session), ("A", "b/c+d=", None));
        std::fs::write(&path, "aws_access_key_id = A\n").unwrap();
        let e = from_file(&path).err().unwrap();
        assert!(matches!(e, CredentialsError::Line { name: "aws_secret_access_key", .. }));
    }
}
