//! The client side of TLS (ITI-19): whom we trust, and who we say we are. Both are read again when their files
//! change, so that a renewed certificate or authority needs no restart; a faulty file leaves the one before.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::config::tls::{PemError, anchors, identity};
use crate::config::{PeerConfig, TlsProfile};

/// Why a peer cannot be spoken to over TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(transparent)]
    Pem(#[from] PemError),
    #[error("certificate and private_key belong together; one is absent")]
    HalfIdentity,
    #[error("TLS cannot be configured: {0}")]
    Tls(#[from] rustls::Error),
    #[error("server_ca cannot be used: {0}")]
    Authorities(#[from] rustls::client::VerifierBuilderError),
}

/// Trusts the peer's `server_ca` and nothing else, checks the server's name, and presents our
/// certificate where there is one. No session is resumed: the peer shall see our certificate, and we its.
pub fn client_config(peer: &PeerConfig) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(peer.tls_profile.provider())
        .with_protocol_versions(peer.tls_profile.versions())?;
    let (paths, profile) = (peer.server_ca.clone(), peer.tls_profile);
    let files = paths.clone();
    let authorities = Fresh::new(files, move || authorities(&paths, profile))?;
    let builder = match authorities.now().is_empty {
        // Nobody is trusted; rustls has a verifier for that, too.
        true => builder.with_root_certificates(rustls::RootCertStore::empty()),
        false => builder.dangerous().with_custom_certificate_verifier(Arc::new(Authorities(authorities))),
    };
    let mut config = match (&peer.certificate, &peer.private_key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => {
            let (certificate, key) = (certificate.clone(), key.clone());
            let files = vec![certificate.clone(), key.clone()];
            let own = Fresh::new(files, move || Ok(Arc::new(identity(&certificate, &key)?)))?;
            builder.with_client_cert_resolver(Arc::new(Own(own)))
        }
        _ => return Err(TlsError::HalfIdentity),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// The verifier of some authorities.
struct Anchored {
    verifier: Option<Arc<WebPkiServerVerifier>>,
    is_empty: bool,
}

fn authorities(paths: &[PathBuf], profile: TlsProfile) -> Result<Arc<Anchored>, TlsError> {
    let roots = anchors(paths)?;
    if roots.is_empty() {
        return Ok(Arc::new(Anchored { verifier: None, is_empty: true }));
    }
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), profile.provider()).build()?;
    Ok(Arc::new(Anchored { verifier: Some(verifier), is_empty: false }))
}

/// How long files are taken to be as they were.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A file's age and size.
type Stamp = Vec<Option<(SystemTime, u64)>>;

/// Something read from files, read again when they have changed.
struct Fresh<T> {
    files: Vec<PathBuf>,
    read: Box<dyn Fn() -> Result<Arc<T>, TlsError> + Send + Sync>,
    held: Mutex<Held<T>>,
}

struct Held<T> {
    value: Arc<T>,
    stamp: Stamp,
    looked: Instant,
}

fn stamp(files: &[PathBuf]) -> Stamp {
    let of = |path: &Path| {
        let data = std::fs::metadata(path).ok()?;
        Some((data.modified().ok()?, data.len()))
    };
    files.iter().map(|path| of(path)).collect()
}

impl<T> Fresh<T> {
    fn new(
        files: Vec<PathBuf>,
        read: impl Fn() -> Result<Arc<T>, TlsError> + Send + Sync + 'static,
    ) -> Result<Self, TlsError> {
        let stamp = stamp(&files);
        let held = Held { value: read()?, stamp, looked: Instant::now() };
        Ok(Self { files, read: Box::new(read), held: Mutex::new(held) })
    }

    fn now(&self) -> Arc<T> {
        self.at(Instant::now())
    }

    fn at(&self, now: Instant) -> Arc<T> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(held.looked) >= LOOK_EVERY {
            held.looked = now;
            let stamp = stamp(&self.files);
            if stamp != held.stamp {
                held.stamp = stamp;
                match (self.read)() {
                    Ok(value) => held.value = value,
                    Err(cause) => {
                        tracing::warn!(%cause, "TLS files of a peer not read; the ones before stay in force");
                    }
                }
            }
        }
        held.value.clone()
    }
}

impl<T> fmt::Debug for Fresh<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.files).finish()
    }
}

/// Our certificate.
#[derive(Debug)]
struct Own(Fresh<CertifiedKey>);

impl ResolvesClientCert for Own {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.now())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Whom we trust.
#[derive(Debug)]
struct Authorities(Fresh<Anchored>);

impl Authorities {
    fn verifier(&self) -> Result<Arc<WebPkiServerVerifier>, Error> {
        let unknown = || Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        self.0.now().verifier.clone().ok_or_else(unknown)
    }
}

impl ServerCertVerifier for Authorities {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        staple: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verifier()?.verify_server_cert(leaf, others, name, staple, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier()?.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier()?.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier().map(|verifier| verifier.supported_verify_schemes()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path) -> (PathBuf, PathBuf) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        let (certificate, key_file) = (dir.join("c.pem"), dir.join("k.pem"));
        std::fs::write(&certificate, params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        (certificate, key_file)
    }

    #[test]
    fn a_renewed_certificate_is_shown_and_a_faulty_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (certificate, key) = write(dir.path());
        let files = vec![certificate.clone(), key.clone()];
        let own = Fresh::new(files, move || Ok(Arc::new(identity(&certificate, &key)?))).unwrap();
        let first = own.now().cert.clone();
        write(dir.path());
        assert_eq!(own.now().cert, first, "not looked at again yet");
        let later = Instant::now() + LOOK_EVERY;
        let second = own.at(later).cert.clone();
        assert_ne!(second, first);
        std::fs::write(dir.path().join("k.pem"), "no key").unwrap();
        assert_eq!(own.at(later + LOOK_EVERY).cert, second);
    }
}
