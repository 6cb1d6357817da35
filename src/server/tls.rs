//! The server side of TLS (ITI-19): a rustls configuration per listener, replaceable while it
//! serves.

mod rehearsal;
mod verify;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};
use rustls::ServerConfig;
use rustls::pki_types::UnixTime;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::crl::{self, CrlError};
use crate::config::tls::{PemError, anchors, identity};
use crate::config::{ListenerConfig, Role, TlsMode, x509};
use crate::service::nodes::Nodes;
use verify::Guard;

pub use verify::{Seen, label, watched};

/// Why a listener has no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(transparent)]
    Pem(#[from] PemError),
    #[error(transparent)]
    Crl(#[from] CrlError),
    #[error("certificate and private_key are required")]
    NoIdentity,
    #[error("the client authorities cannot be used: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    #[error("TLS cannot be configured: {0}")]
    Tls(#[from] rustls::Error),
    #[error("file {path} cannot be read: {cause}")]
    Staple { path: PathBuf, cause: io::Error },
    #[error("certificate {path} is valid from {from} to {to} only")]
    NotInDate { path: PathBuf, from: Timestamp, to: Timestamp },
    #[error("certificate {path}: the certificates after the first are not the chain of its issuers")]
    Chain { path: PathBuf },
}

/// What a listener's files say of their times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dated {
    pub path: PathBuf,
    pub kind: DatedKind,
    /// notBefore, or thisUpdate.
    pub from: Timestamp,
    /// notAfter, or nextUpdate.
    pub to: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatedKind {
    Certificate,
    Authority,
    RevocationList,
}

/// What is in force.
struct Current {
    server: Arc<ServerConfig>,
    guard: Option<Arc<Guard>>,
    dated: Vec<Dated>,
}

/// A file's age and size.
type Stamp = Vec<(PathBuf, Option<(SystemTime, u64)>)>;

/// Accepts TLS on a listener. Clones share what [`reload`](Self::reload) replaces.
#[derive(Clone)]
pub struct Acceptor {
    listener: Arc<ListenerConfig>,
    nodes: Nodes,
    current: Arc<RwLock<Current>>,
    seen: Arc<Mutex<Stamp>>,
}

impl Acceptor {
    /// `None` where the listener is plain.
    pub fn new(listener: &ListenerConfig) -> Result<Option<Acceptor>, TlsError> {
        Self::guarded(listener, Nodes::none())
    }

    /// The same, letting in only nodes of a directory.
    pub fn guarded(listener: &ListenerConfig, nodes: Nodes) -> Result<Option<Acceptor>, TlsError> {
        if listener.tls == TlsMode::None {
            return Ok(None);
        }
        let seen = stamp(listener);
        let current = Arc::new(RwLock::new(read(listener, &nodes)?));
        let listener = Arc::new(listener.clone());
        Ok(Some(Acceptor { listener, nodes, current, seen: Arc::new(Mutex::new(seen)) }))
    }

    /// Reads the files anew. New connections use them, and those whose certificates are no longer good are closed;
    /// on error the present ones stay in force. Gives how many connections were closed.
    pub fn reload(&self) -> Result<usize, TlsError> {
        // Before reading: what changes meanwhile is seen by the next look.
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = stamp(&self.listener);
        let fresh = read(&self.listener, &self.nodes)?;
        let now = Timestamp::now();
        let own = fresh.dated.iter().find(|d| d.kind == DatedKind::Certificate);
        if let Some(Dated { path, from, to, .. }) = own.filter(|d| now < d.from || now > d.to) {
            return Err(TlsError::NotInDate { path: path.clone(), from: *from, to: *to });
        }
        rehearsal::rehearse(&fresh.server, self.listener.tls_profile)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(self.review())
    }

    /// Reads the files anew if they have changed; `None`: they have not.
    pub fn look(&self) -> Option<Result<usize, TlsError>> {
        let changed = *self.seen.lock().unwrap_or_else(PoisonError::into_inner) != stamp(&self.listener);
        changed.then(|| self.reload())
    }

    /// Closes connections whose certificates are not good any more. How many.
    pub fn review(&self) -> usize {
        let guard = self.current.read().unwrap_or_else(PoisonError::into_inner).guard.clone();
        let Some(guard) = guard else { return 0 };
        let now = UnixTime::now();
        self.nodes.close_unless(&self.listener.name, |chain| guard.still(chain, now))
    }

    pub fn name(&self) -> &str {
        &self.listener.name
    }

    /// Files in force, and how long they are.
    pub fn dated(&self) -> Vec<Dated> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).dated.clone()
    }

    /// The grace of revocation lists.
    pub fn grace(&self) -> SignedDuration {
        grace(&self.listener)
    }

    pub async fn accept(&self, socket: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = self.current.read().unwrap_or_else(PoisonError::into_inner).server.clone();
        TlsAcceptor::from(config).accept(socket).await
    }
}

fn grace(listener: &ListenerConfig) -> SignedDuration {
    SignedDuration::from_hours(i64::try_from(listener.crl_grace_hours.min(72)).unwrap_or_default())
}

fn stamp(listener: &ListenerConfig) -> Stamp {
    let own = [&listener.certificate, &listener.private_key, &listener.ocsp_staple];
    let mut files: Vec<PathBuf> = own.into_iter().flatten().cloned().collect();
    files.extend(listener.client_ca.iter().cloned());
    for path in &listener.crl {
        files.extend(crl::files(path).unwrap_or_else(|_| vec![path.clone()]));
    }
    let of = |path: &Path| {
        let data = std::fs::metadata(path).ok()?;
        Some((data.modified().ok()?, data.len()))
    };
    files.into_iter().map(|path| (path.clone(), of(&path))).collect()
}

/// No session can be resumed: a resumed one would skip the client's certificate, and with it a
/// revocation since the first handshake.
fn read(listener: &ListenerConfig, nodes: &Nodes) -> Result<Current, TlsError> {
    let (Some(certificate), Some(key)) = (&listener.certificate, &listener.private_key) else {
        return Err(TlsError::NoIdentity);
    };
    let mut identity = identity(certificate, key)?;
    let mut dated = vec![];
    for (i, own) in identity.cert.iter().enumerate() {
        let kind = if i == 0 { DatedKind::Certificate } else { DatedKind::Authority };
        note(&mut dated, certificate, kind, own);
    }
    let linked = |pair: &[rustls::pki_types::CertificateDer<'_>]| match pair {
        [lower, upper] => x509::names(lower).map(|n| n.0) == x509::names(upper).map(|n| n.1),
        _ => true,
    };
    if !identity.cert.windows(2).all(linked) {
        return Err(TlsError::Chain { path: certificate.clone() });
    }
    if let Some(path) = &listener.ocsp_staple {
        let staple = std::fs::read(path).map_err(|cause| TlsError::Staple { path: path.clone(), cause })?;
        identity.ocsp = Some(staple);
    }
    let provider = listener.tls_profile.provider();
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(listener.tls_profile.versions())?;
    let mut guard = None;
    let builder = match listener.tls {
        TlsMode::None | TlsMode::Server => builder.with_no_client_auth(),
        asked @ (TlsMode::Optional | TlsMode::Mutual) => {
            let roots = Arc::new(anchors(&listener.client_ca)?);
            for path in &listener.client_ca {
                for anchor in crate::config::tls::certificates(path)? {
                    note(&mut dated, path, DatedKind::Authority, &anchor);
                }
            }
            let lists = if listener.crl.is_empty() { vec![] } else { crl::load(&listener.crl)? };
            for list in &lists {
                dated.push(Dated {
                    path: list.path.clone(),
                    kind: DatedKind::RevocationList,
                    from: list.facts.this_update,
                    to: list.facts.next_update.unwrap_or(Timestamp::MAX),
                });
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                .with_crls(lists.iter().map(|list| list.der.clone()));
            let verifier =
                if asked == TlsMode::Optional { verifier.allow_unauthenticated() } else { verifier };
            let guarding = Arc::new(Guard {
                chains: verifier.build()?,
                lists,
                grace: grace(listener),
                nodes: nodes.clone(),
                ops: listener.role == Role::Ops,
            });
            guard = Some(guarding.clone());
            builder.with_client_cert_verifier(guarding)
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
    Ok(Current { server: Arc::new(config), guard, dated })
}

fn note(dated: &mut Vec<Dated>, path: &Path, kind: DatedKind, der: &[u8]) {
    if let Some(validity) = x509::validity(der) {
        let (from, to) = (validity.not_before, validity.not_after);
        dated.push(Dated { path: path.to_owned(), kind, from, to });
    }
}
