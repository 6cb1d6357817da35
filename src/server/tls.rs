//! The server side of TLS (ITI-19): a rustls configuration per listener, replaceable while it
//! serves.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::tls::{PemError, anchors, identity};
use crate::config::{ListenerConfig, Role, TlsMode};

/// Why a listener has no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(transparent)]
    Pem(#[from] PemError),
    #[error("certificate and private_key are required")]
    NoIdentity,
    #[error("the client authorities cannot be used: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    #[error("TLS cannot be configured: {0}")]
    Tls(#[from] rustls::Error),
}

/// Accepts TLS on a listener. Clones share what [`reload`](Self::reload) replaces.
#[derive(Clone)]
pub struct Acceptor {
    listener: Arc<ListenerConfig>,
    current: Arc<RwLock<Arc<ServerConfig>>>,
}

impl Acceptor {
    /// `None` where the listener is plain.
    pub fn new(listener: &ListenerConfig) -> Result<Option<Acceptor>, TlsError> {
        if listener.tls == TlsMode::None {
            return Ok(None);
        }
        let current = Arc::new(RwLock::new(Arc::new(server_config(listener)?)));
        Ok(Some(Acceptor { listener: Arc::new(listener.clone()), current }))
    }

    /// Reads the files anew. New connections use them; on error the present ones stay in force.
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = Arc::new(server_config(&self.listener)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    pub fn name(&self) -> &str {
        &self.listener.name
    }

    pub async fn accept(&self, socket: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        TlsAcceptor::from(config).accept(socket).await
    }
}

/// No session can be resumed: a resumed one would skip the client's certificate, and with it a
/// revocation since the first handshake.
fn server_config(listener: &ListenerConfig) -> Result<ServerConfig, TlsError> {
    let (Some(certificate), Some(key)) = (&listener.certificate, &listener.private_key) else {
        return Err(TlsError::NoIdentity);
    };
    let identity = identity(certificate, key)?;
    let provider = listener.tls_profile.provider();
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(listener.tls_profile.versions())?;
    let builder = match listener.tls {
        TlsMode::None | TlsMode::Server => builder.with_no_client_auth(),
        asked @ (TlsMode::Optional | TlsMode::Mutual) => {
            let roots = Arc::new(anchors(&listener.client_ca)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            let verifier =
                if asked == TlsMode::Optional { verifier.allow_unauthenticated() } else { verifier };
            builder.with_client_cert_verifier(verifier.build()?)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
    if listener.role != Role::Mllp {
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
    }
    config.ignore_client_order = true;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    Ok(config)
}
