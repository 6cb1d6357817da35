//! A handshake in memory with a configuration that is to be used: whether the key signs for the certificate with
//! the suites of the profile. Before files replace those in force.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, ServerConfig, ServerConnection,
    SignatureScheme,
};

use crate::config::TlsProfile;

/// Whether a client of the profile comes to the end of a handshake. That it shows no certificate comes after.
pub fn rehearse(server: &Arc<ServerConfig>, profile: TlsProfile) -> Result<(), Error> {
    let provider = profile.provider();
    let any = Any(provider.signature_verification_algorithms);
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(any))
        .with_no_client_auth();
    client.alpn_protocols = server.alpn_protocols.clone();
    let name = ServerName::try_from("rehearsal.invalid").map_err(|e| Error::General(e.to_string()))?;
    let mut client = ClientConnection::new(Arc::new(client), name)?;
    let mut server = ServerConnection::new(server.clone())?;
    for _ in 0..8 {
        if !client.is_handshaking() {
            return Ok(());
        }
        let mut bytes = vec![];
        pass(client.write_tls(&mut bytes), &mut bytes, |b| server.read_tls(b))?;
        server.process_new_packets()?;
        let mut bytes = vec![];
        pass(server.write_tls(&mut bytes), &mut bytes, |b| client.read_tls(b))?;
        client.process_new_packets()?;
    }
    Err(Error::General("the handshake came to no end".into()))
}

fn pass(
    written: std::io::Result<usize>,
    bytes: &mut Vec<u8>,
    mut read: impl FnMut(&mut &[u8]) -> std::io::Result<usize>,
) -> Result<(), Error> {
    let general = |e: std::io::Error| Error::General(e.to_string());
    written.map_err(general)?;
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        if read(&mut rest).map_err(general)? == 0 {
            break;
        }
    }
    Ok(())
}

/// Takes any certificate, but no signature that does not fit it.
#[derive(Debug)]
struct Any(rustls::crypto::WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
