//! Revocation lists (RFC 5280 5): files and folders of them, the newest of each issuer.

use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;

use super::fault::Faults;
use super::x509::{self, Crl};

/// Why there are no lists.
#[derive(Debug, thiserror::Error)]
pub enum CrlError {
    #[error("{path} cannot be read: {cause}")]
    Unreadable { path: PathBuf, cause: std::io::Error },
    #[error("{path} holds no revocation list, in DER or PEM")]
    NoList { path: PathBuf },
}

/// A list, and what it says of itself.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub path: PathBuf,
    pub der: CertificateRevocationListDer<'static>,
    pub facts: Crl,
}

/// Largest file taken for a list.
const MOST: u64 = 64 << 20;

/// The newest list of each issuer among `paths`: files, and folders of files named `*.crl`, `*.der` or `*.pem`.
pub fn load(paths: &[PathBuf]) -> Result<Vec<Loaded>, CrlError> {
    let mut newest: Vec<Loaded> = vec![];
    for path in paths {
        let mut found = 0;
        for file in files(path)? {
            for list in read(&file)? {
                found += 1;
                match newest.iter_mut().find(|other| other.facts.issuer == list.facts.issuer) {
                    Some(other) if other.facts.this_update < list.facts.this_update => *other = list,
                    Some(_) => {}
                    None => newest.push(list),
                }
            }
        }
        if found == 0 {
            return Err(CrlError::NoList { path: path.clone() });
        }
    }
    Ok(newest)
}

/// The files meant by a path, in order.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, CrlError> {
    let unreadable = |cause| CrlError::Unreadable { path: path.to_owned(), cause };
    if !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = vec![];
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        let named = file.extension().is_some_and(|e| ["crl", "der", "pem"].iter().any(|known| e == *known));
        if named && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<Vec<Loaded>, CrlError> {
    let unreadable = |cause| CrlError::Unreadable { path: path.to_owned(), cause };
    if std::fs::metadata(path).map_err(unreadable)?.len() > MOST {
        return Err(CrlError::NoList { path: path.to_owned() });
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let lists: Vec<CertificateRevocationListDer<'static>> = match x509::crl(&bytes) {
        Some(_) => vec![bytes.into()],
        None => CertificateRevocationListDer::pem_slice_iter(&bytes).filter_map(Result::ok).collect(),
    };
    let loaded: Vec<Loaded> = lists
        .into_iter()
        .filter_map(|der| Some(Loaded { path: path.to_owned(), facts: x509::crl(&der)?, der }))
        .collect();
    if loaded.is_empty() { Err(CrlError::NoList { path: path.to_owned() }) } else { Ok(loaded) }
}

/// Faults of a listener's lists: none to be read, one that is too old, an authority without one.
pub(super) fn check(paths: &[PathBuf], grace_hours: u64, anchors: &[PathBuf], faults: &mut Faults<'_>) {
    let lists = match load(paths) {
        Ok(lists) => lists,
        Err(e) => {
            let ja = match &e {
                CrlError::Unreadable { path, cause } => {
                    format!("{} を読み込めません: {cause}", path.display())
                }
                CrlError::NoList { path } => format!("{} に失効リストがありません", path.display()),
            };
            return faults.add("crl", e.to_string(), ja);
        }
    };
    let now = jiff::Timestamp::now();
    let grace = jiff::SignedDuration::from_hours(i64::try_from(grace_hours).unwrap_or_default());
    for list in &lists {
        let path = list.path.display();
        match list.facts.next_update {
            Some(next) if now.duration_since(next) > grace => faults.warn(
                "crl",
                format!("{path} should have been replaced by {next}; nodes of its authority are refused"),
                format!("{path} は {next} までに更新されるべきでした。その認証局のノードは拒否されます"),
            ),
            Some(next) if next < now => faults.warn(
                "crl",
                format!("{path} should have been replaced by {next}; it is used for crl_grace_hours"),
                format!("{path} は {next} までに更新されるべきでした。crl_grace_hours の間だけ使用します"),
            ),
            Some(next) if now.duration_since(list.facts.this_update) > next.duration_since(now) => faults
                .warn(
                    "crl",
                    format!("more than half of the time of {path} is over; the next is due by {next}"),
                    format!("{path} の有効期間の半分を過ぎました。次は {next} までに必要です"),
                ),
            _ => {}
        }
    }
    for path in anchors {
        for anchor in super::tls::certificates(path).unwrap_or_default() {
            let Some((_, subject)) = x509::names(&anchor) else { continue };
            if !lists.iter().any(|list| list.facts.issuer == subject) {
                let named = x509::subject(&anchor).unwrap_or_default();
                faults.warn(
                    "crl",
                    format!("there is no list of authority {named:?}; its nodes are refused"),
                    format!("認証局 {named:?} の失効リストがないため、そのノードは拒否されます"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(authority: &rcgen::CertifiedIssuer<'_, rcgen::KeyPair>, year: i32) -> Vec<u8> {
        rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(year, 1, 1),
            next_update: rcgen::date_time_ymd(2999, 1, 1),
            crl_number: rcgen::SerialNumber::from_slice(&[1]),
            issuing_distribution_point: None,
            revoked_certs: vec![],
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        }
        .signed_by(authority)
        .unwrap()
        .der()
        .to_vec()
    }

    fn authority(name: &str) -> rcgen::CertifiedIssuer<'static, rcgen::KeyPair> {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::OrganizationName, name);
        rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap()
    }

    #[test]
    fn the_newest_list_of_each_issuer_counts() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (authority("one"), authority("other"));
        std::fs::write(dir.path().join("a.crl"), list(&one, 2026)).unwrap();
        std::fs::write(dir.path().join("b.crl"), list(&one, 2025)).unwrap();
        std::fs::write(dir.path().join("c.der"), list(&other, 2024)).unwrap();
        std::fs::write(dir.path().join("notes.txt"), "no list").unwrap();
        let loaded = load(&[dir.path().to_owned()]).unwrap();
        let years: Vec<String> = loaded.iter().map(|l| l.facts.this_update.to_string()).collect();
        assert_eq!(years, ["2026-01-01T00:00:00Z", "2024-01-01T00:00:00Z"]);
        std::fs::write(dir.path().join("d.pem"), "no list").unwrap();
        assert!(matches!(load(&[dir.path().to_owned()]), Err(CrlError::NoList { .. })));
    }

    #[test]
    fn an_empty_folder_is_a_fault() {
        let dir = tempfile::tempdir().unwrap();
        let mut list = vec![];
        check(&[dir.path().to_owned()], 0, &[], &mut Faults::of("listener[0]", &mut list));
        assert!(list[0].refuses() && list[0].key == "listener[0].crl");
    }
}
