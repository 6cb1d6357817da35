//! TLS as configuration knows it: the profiles, and certificates and keys read from files.
//! Listeners and peers build their rustls configurations from these.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, RootCertStore, SupportedProtocolVersion};
use serde::{Deserialize, Serialize};

use super::fault::{Faults, unreadable};

/// Which TLS versions and suites are spoken.
///
/// | profile | versions | suites |
/// | --- | --- | --- |
/// | `jp-high` | 1.3 | AES-256-GCM, ChaCha20-Poly1305, AES-128-GCM |
/// | `jp-high-12` | 1.3, 1.2 | and ECDHE with AES-256-GCM or ChaCha20-Poly1305 |
/// | `atna-bcp195` | 1.3, 1.2 | and ECDHE with AES-128-GCM |
///
/// Key exchange is X25519, P-256 or P-384 in all of them. The DHE suites that ITI-19 lists too do
/// not exist in rustls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsProfile {
    JpHigh,
    #[serde(rename = "jp-high-12")]
    JpHigh12,
    AtnaBcp195,
}

/// The suites in the order of preference; a profile takes those up to its own row.
const SUITES: &[(TlsProfile, CipherSuite)] = &[
    (TlsProfile::JpHigh, CipherSuite::TLS13_AES_256_GCM_SHA384),
    (TlsProfile::JpHigh, CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
    (TlsProfile::JpHigh, CipherSuite::TLS13_AES_128_GCM_SHA256),
    (TlsProfile::JpHigh12, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    (TlsProfile::JpHigh12, CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    (TlsProfile::JpHigh12, CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    (TlsProfile::JpHigh12, CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
    (TlsProfile::AtnaBcp195, CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    (TlsProfile::AtnaBcp195, CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
];

impl TlsProfile {
    /// The crypto provider reduced to this profile.
    pub fn provider(self) -> Arc<CryptoProvider> {
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites = SUITES
            .iter()
            .filter(|(from, _)| *from as u8 <= self as u8)
            .filter_map(|(_, wanted)| {
                aws_lc_rs::ALL_CIPHER_SUITES.iter().find(|suite| suite.suite() == *wanted).copied()
            })
            .collect();
        provider.kx_groups =
            vec![aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1, aws_lc_rs::kx_group::SECP384R1];
        Arc::new(provider)
    }

    pub fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
        static TLS12_TOO: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
        match self {
            TlsProfile::JpHigh => TLS13,
            TlsProfile::JpHigh12 | TlsProfile::AtnaBcp195 => TLS12_TOO,
        }
    }
}

/// Makes aws-lc-rs the provider of this process for libraries that ask for a default one. Calling
/// it again changes nothing.
pub fn install_provider() {
    // An error only says that a provider is in place, and there is but one in this program.
    let _ = aws_lc_rs::default_provider().install_default();
}

/// Why certificates or keys cannot be used; the key of the setting is known to the caller.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    #[error("file {path} cannot be read: {cause}")]
    Unreadable { path: PathBuf, cause: rustls::pki_types::pem::Error },
    #[error("file {path} holds no certificate in PEM form")]
    NoCertificate { path: PathBuf },
    #[error("file {path} holds a certificate that cannot be used: {cause}")]
    BadCertificate { path: PathBuf, cause: rustls::Error },
    #[error("file {path} holds a private key that cannot be used: {cause}")]
    BadKey { path: PathBuf, cause: rustls::Error },
    #[error("the private key {key} does not belong to the certificate {certificate}")]
    Mismatch { certificate: PathBuf, key: PathBuf },
}

/// The certificates of a PEM file, at least one.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let list = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|cause| PemError::Unreadable { path: path.to_owned(), cause })?;
    if list.is_empty() {
        return Err(PemError::NoCertificate { path: path.to_owned() });
    }
    Ok(list)
}

/// A certificate with its chain and its key, proven to belong together.
pub fn identity(certificate: &Path, key: &Path) -> Result<CertifiedKey, PemError> {
    let chain = certificates(certificate)?;
    let der = PrivateKeyDer::from_pem_file(key)
        .map_err(|cause| PemError::Unreadable { path: key.to_owned(), cause })?;
    CertifiedKey::from_der(chain, der, &aws_lc_rs::default_provider()).map_err(|cause| match cause {
        rustls::Error::InconsistentKeys(_) => {
            PemError::Mismatch { certificate: certificate.to_owned(), key: key.to_owned() }
        }
        cause @ rustls::Error::InvalidCertificate(_) => {
            PemError::BadCertificate { path: certificate.to_owned(), cause }
        }
        cause => PemError::BadKey { path: key.to_owned(), cause },
    })
}

/// The trust anchors of several PEM files.
pub fn anchors(paths: &[PathBuf]) -> Result<RootCertStore, PemError> {
    let mut store = RootCertStore::empty();
    for path in paths {
        for certificate in certificates(path)? {
            store.add(certificate).map_err(|cause| PemError::BadCertificate { path: path.clone(), cause })?;
        }
    }
    Ok(store)
}

/// Faults of `certificate` and `private_key`: unreadable, not a pair, out of date.
pub(super) fn check_identity(certificate: &Path, key: &Path, faults: &mut Faults<'_>) {
    for (name, path) in [("certificate", certificate), ("private_key", key)] {
        if let Err(e) = std::fs::File::open(path) {
            let fault = unreadable(&faults.key(name), path, e);
            faults.push(fault);
        }
    }
    if !certificate.exists() || !key.exists() {
        return;
    }
    match identity(certificate, key) {
        Err(e) => {
            let name = match &e {
                PemError::BadKey { .. } | PemError::Mismatch { .. } => "private_key",
                PemError::Unreadable { path, .. } if path == key => "private_key",
                _ => "certificate",
            };
            faults.add(name, e.to_string(), ja(&e));
        }
        Ok(identity) => check_validity(&identity, certificate, faults),
    }
}

fn check_validity(identity: &CertifiedKey, path: &Path, faults: &mut Faults<'_>) {
    let Some(validity) = identity.cert.first().and_then(|leaf| super::x509::validity(leaf)) else { return };
    let now = jiff::Timestamp::now();
    let path = path.display();
    let until = validity.not_after;
    if now > validity.not_after {
        faults.add(
            "certificate",
            format!("{path} expired on {until}"),
            format!("{path} は {until} に有効期限が切れました"),
        );
    } else if now < validity.not_before {
        let from = validity.not_before;
        faults.add(
            "certificate",
            format!("{path} is not valid before {from}"),
            format!("{path} は {from} まで有効になりません"),
        );
    } else if until.duration_since(now) < jiff::SignedDuration::from_hours(60 * 24) {
        let days = until.duration_since(now).as_hours() / 24;
        faults.warn(
            "certificate",
            format!("{path} expires on {until}, in {days} days"),
            format!("{path} の有効期限は {until} です（あと {days} 日）"),
        );
    }
}

/// Faults of a list of trust anchor files.
pub(super) fn check_anchors(key: &str, paths: &[PathBuf], faults: &mut Faults<'_>) {
    for (i, path) in paths.iter().enumerate() {
        let key = format!("{key}[{i}]");
        if let Err(e) = std::fs::File::open(path) {
            let fault = unreadable(&faults.key(&key), path, e);
            faults.push(fault);
        } else if let Err(e) = anchors(std::slice::from_ref(path)) {
            faults.add(&key, e.to_string(), ja(&e));
        }
    }
}

fn ja(error: &PemError) -> String {
    match error {
        PemError::Unreadable { path, cause } => {
            format!("ファイル {} を読み込めません: {cause}", path.display())
        }
        PemError::NoCertificate { path } => {
            format!("ファイル {} に PEM 形式の証明書がありません", path.display())
        }
        PemError::BadCertificate { path, cause } => {
            format!("ファイル {} の証明書を使用できません: {cause}", path.display())
        }
        PemError::BadKey { path, cause } => {
            format!("ファイル {} の秘密鍵を使用できません: {cause}", path.display())
        }
        PemError::Mismatch { certificate, key } => {
            format!("秘密鍵 {} は証明書 {} と対になっていません", key.display(), certificate.display())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fault::{Fault, Weight};

    #[test]
    fn every_suite_of_a_profile_exists() {
        assert_eq!(TlsProfile::JpHigh.provider().cipher_suites.len(), 3);
        assert_eq!(TlsProfile::JpHigh12.provider().cipher_suites.len(), 7);
        assert_eq!(TlsProfile::AtnaBcp195.provider().cipher_suites.len(), SUITES.len());
        assert_eq!(TlsProfile::JpHigh.versions().len(), 1);
    }

    fn checked(certificate: &str, key: &str) -> Vec<Fault> {
        let dir = tempfile::tempdir().unwrap();
        let (c, k) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
        std::fs::write(&c, certificate).unwrap();
        std::fs::write(&k, key).unwrap();
        let mut list = vec![];
        check_identity(&c, &k, &mut Faults::of("listener[0]", &mut list));
        list
    }

    fn pair(not_after: (i32, u8, u8)) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        params.not_after = rcgen::date_time_ymd(not_after.0, not_after.1, not_after.2);
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn a_pair_in_date_is_fine_and_each_spoiling_is_named() {
        let (certificate, key) = pair((2999, 1, 1));
        let (expired, its_key) = pair((2001, 1, 1));
        assert_eq!(checked(&certificate, &key), vec![]);
        let keys = |list: Vec<Fault>| list.into_iter().map(|f| f.key).collect::<Vec<_>>();
        assert_eq!(keys(checked(&certificate, &its_key)), ["listener[0].private_key"]);
        assert_eq!(keys(checked("nothing", &key)), ["listener[0].certificate"]);
        assert_eq!(keys(checked(&certificate, "nothing")), ["listener[0].private_key"]);
        let faults = checked(&expired, &its_key);
        assert!(faults[0].weight == Weight::Refuse && faults[0].en.contains("2001-01-01"), "{faults:?}");
    }
}
