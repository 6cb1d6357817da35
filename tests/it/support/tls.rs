//! Certificates made for a test, and clients that present them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chiren::config::tls::{anchors, identity};
use chiren::config::{ListenerConfig, TlsMode, TlsProfile};
use rcgen::{CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::SupportedProtocolVersion;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::raw::Raw;

/// An authority with a server certificate and a node's, in files.
pub struct Pki {
    dir: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "nodes");
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let pki = Self { dir: tempfile::tempdir().expect("a directory"), authority };
        std::fs::write(pki.path("ca"), pki.authority.pem()).expect("written");
        pki.issue("server", ExtendedKeyUsagePurpose::ServerAuth);
        pki.issue("node", ExtendedKeyUsagePurpose::ClientAuth);
        pki
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.pem"))
    }

    /// A certificate in `<name>.pem`, its key in `<name>-key.pem`.
    pub fn issue(&self, name: &str, usage: ExtendedKeyUsagePurpose) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["localhost".into()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &self.authority).expect("a certificate");
        std::fs::write(self.path(name), certificate.pem()).expect("written");
        std::fs::write(self.path(&format!("{name}-key")), key.serialize_pem()).expect("written");
    }

    /// A revocation list without entries in `<name>.pem`, in force between two days.
    pub fn list(&self, name: &str, from: (i32, u8, u8), to: (i32, u8, u8)) {
        let list = rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(from.0, from.1, from.2),
            next_update: rcgen::date_time_ymd(to.0, to.1, to.2),
            crl_number: rcgen::SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: vec![],
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.authority).expect("a list");
        std::fs::write(self.path(name), list.pem().expect("PEM")).expect("written");
    }

    /// Makes a listener speak TLS with our server certificate, trusting our nodes.
    pub fn secure(&self, listener: &mut ListenerConfig, tls: TlsMode, profile: TlsProfile) {
        listener.tls = tls;
        listener.tls_profile = profile;
        listener.certificate = Some(self.path("server"));
        listener.private_key = Some(self.path("server-key"));
        listener.client_ca = vec![self.path("ca")];
    }

    /// A client that trusts our server, presenting `certificate`.
    pub fn client(&self, certificate: Option<&str>) -> Client {
        Client {
            ca: self.path("ca"),
            identity: certificate.map(|name| (self.path(name), self.path(&format!("{name}-key")))),
            versions: BOTH,
            name: "localhost",
            alpn: &["http/1.1"],
        }
    }
}

pub static TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
pub static TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
pub static BOTH: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// How a client connects.
#[derive(Clone)]
pub struct Client {
    pub ca: PathBuf,
    pub identity: Option<(PathBuf, PathBuf)>,
    pub versions: &'static [&'static SupportedProtocolVersion],
    pub name: &'static str,
    pub alpn: &'static [&'static str],
}

/// A connection of ours.
pub type Secured = Raw<TlsStream<TcpStream>>;

impl Client {
    /// What several connections share: sessions to resume are kept in it.
    pub fn connector(&self) -> tokio_rustls::TlsConnector {
        let roots = anchors(std::slice::from_ref(&self.ca)).expect("the authority");
        let builder = rustls::ClientConfig::builder_with_provider(TlsProfile::AtnaBcp195.provider())
            .with_protocol_versions(self.versions)
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let identity = identity(certificate, key).expect("a certificate with its key");
                builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(identity)))
            }
        };
        config.alpn_protocols = self.alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
        Arc::new(config).into()
    }

    /// Connects. With TLS 1.3 a refusal of our certificate shows only when we read.
    pub async fn connect(&self, address: SocketAddr) -> std::io::Result<Secured> {
        connect(&self.connector(), self.name, address).await
    }

    /// The same, for what does not speak HTTP.
    pub async fn stream(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        let name = rustls::pki_types::ServerName::try_from(self.name).expect("a name");
        self.connector().connect(name, TcpStream::connect(address).await?).await
    }
}

pub async fn connect(
    connector: &tokio_rustls::TlsConnector,
    name: &'static str,
    address: SocketAddr,
) -> std::io::Result<Secured> {
    let name = rustls::pki_types::ServerName::try_from(name).expect("a name");
    let stream = TcpStream::connect(address).await?;
    Ok(Raw::new(connector.connect(name, stream).await?))
}

/// SHA-256 of the first certificate of a PEM file, lower-case hex.
pub fn fingerprint(path: &Path) -> String {
    use sha2::Digest as _;
    let chain = chiren::config::tls::certificates(path).expect("a certificate");
    sha2::Sha256::digest(&chain[0]).iter().map(|byte| format!("{byte:02x}")).collect()
}
