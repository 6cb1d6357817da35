//! The client side of TLS (ITI-19): whom we trust, and who we say we are.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::sign::SingleCertAndKey;

use crate::config::PeerConfig;
use crate::config::tls::{PemError, anchors, identity};

/// Why a peer cannot be spoken to over TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(transparent)]
    Pem(#[from] PemError),
    #[error("certificate and private_key belong together; one is absent")]
    HalfIdentity,
    #[error("TLS cannot be configured: {0}")]
    Tls(#[from] rustls::Error),
}

/// Trusts the peer's `server_ca` and nothing else, checks the server's name, and presents our
/// certificate where there is one.
pub fn client_config(peer: &PeerConfig) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(peer.tls_profile.provider())
        .with_protocol_versions(peer.tls_profile.versions())?
        .with_root_certificates(anchors(&peer.server_ca)?);
    let mut config = match (&peer.certificate, &peer.private_key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => {
            let identity = identity(certificate, key)?;
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity)))
        }
        _ => return Err(TlsError::HalfIdentity),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
