//! Who is let in: a chain to an authority, not revoked by a list that is in force, of a node of the directory. What
//! is refused ends the handshake with an alert, and nothing else is said.

use std::cell::RefCell;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use crate::config::crl::Loaded;
use crate::config::x509;
use crate::model::node::Stranger;
use crate::service::nodes::{Nodes, shown};

tokio::task_local! {
    /// What the handshake of this task showed; the verifier has no other way to tell.
    static SEEN: RefCell<Seen>;
}

/// What a handshake showed before it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// SHA-256 of the leaf, and its commonName.
    pub certificate: Option<(String, String)>,
    pub stranger: Option<Stranger>,
}

/// Runs a handshake and gives what it showed beside what came of it.
pub async fn watched<T>(handshake: impl Future<Output = T>) -> (T, Seen) {
    SEEN.scope(RefCell::default(), async move {
        let done = handshake.await;
        (done, SEEN.with(|seen| seen.take()))
    })
    .await
}

fn note(change: impl FnOnce(&mut Seen)) {
    // Elsewhere than in `watched` there is nobody to tell.
    let _ = SEEN.try_with(|seen| change(&mut seen.borrow_mut()));
}

/// See the module.
#[derive(Debug)]
pub struct Guard {
    pub chains: Arc<dyn ClientCertVerifier>,
    pub lists: Vec<Loaded>,
    pub grace: SignedDuration,
    pub nodes: Nodes,
    /// A listener of role ops.
    pub ops: bool,
}

fn at(now: UnixTime) -> Timestamp {
    i64::try_from(now.as_secs()).ok().and_then(|s| Timestamp::from_second(s).ok()).unwrap_or(Timestamp::MAX)
}

fn stranger(why: Stranger) -> Error {
    note(|seen| seen.stranger = Some(why));
    Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
}

impl Guard {
    /// The time of a list is over when its nextUpdate and the grace are. rustls knows no grace, so it is told to
    /// take lists of any age and their age is looked at here.
    fn in_time(&self, certificate: &CertificateDer<'_>, now: Timestamp) -> Result<(), Error> {
        let Some((issuer, _)) = x509::names(certificate) else {
            return Err(Error::InvalidCertificate(CertificateError::BadEncoding));
        };
        // No list of the issuer: rustls has refused already.
        let list = self.lists.iter().find(|list| list.facts.issuer == issuer);
        match list.and_then(|list| list.facts.next_update) {
            Some(next) if now > next.saturating_add(self.grace).unwrap_or(Timestamp::MAX) => {
                Err(Error::InvalidCertificate(CertificateError::ExpiredRevocationList))
            }
            _ => Ok(()),
        }
    }

    /// A certificate trusted as it is: in date, of a node that says so.
    fn direct(&self, leaf: &CertificateDer<'_>, now: Timestamp) -> Option<Result<(), Error>> {
        let shown = shown(leaf);
        let entry = self.nodes.now().find(&shown).filter(|entry| entry.direct_trust)?;
        if !entry.marks.certificates.contains(&shown.fingerprint) {
            return None;
        }
        Some(match x509::validity(leaf) {
            Some(v) if now < v.not_before => Err(Error::InvalidCertificate(CertificateError::NotValidYet)),
            Some(v) if now > v.not_after => Err(Error::InvalidCertificate(CertificateError::Expired)),
            Some(_) => Ok(()),
            None => Err(Error::InvalidCertificate(CertificateError::BadEncoding)),
        })
    }

    /// Chain and lists, or direct trust.
    fn trusted(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        if let Some(direct) = self.direct(leaf, at(now)) {
            return direct;
        }
        self.chains.verify_client_cert(leaf, others, now)?;
        if self.lists.is_empty() {
            return Ok(());
        }
        std::iter::once(leaf).chain(others).try_for_each(|certificate| self.in_time(certificate, at(now)))
    }

    /// Whether a chain that was let in would be let in now.
    pub fn still(&self, chain: &[Vec<u8>], now: UnixTime) -> bool {
        let certificates: Vec<CertificateDer<'_>> =
            chain.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        match certificates.split_first() {
            Some((leaf, others)) => self.trusted(leaf, others, now).is_ok(),
            None => true,
        }
    }
}

impl ClientCertVerifier for Guard {
    fn offer_client_auth(&self) -> bool {
        self.chains.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.chains.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chains.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        note(|seen| {
            let subject = x509::subject(leaf).unwrap_or_default();
            seen.certificate = Some((x509::fingerprint(leaf), subject));
        });
        self.trusted(leaf, others, now)?;
        if self.nodes.kept() {
            let entry = self.nodes.identify(&shown(leaf), at(now)).map_err(stranger)?;
            if self.ops && !entry.grants.ops {
                return Err(stranger(Stranger::NotOps));
            }
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

/// The second label of the audit record of a handshake that failed (the first is 110126), or nothing where no
/// certificate was at fault: a peer that hung up or did not speak TLS has authenticated nobody.
pub fn label(error: &std::io::Error, seen: &Seen) -> Option<&'static str> {
    use CertificateError as C;
    if let Some(stranger) = seen.stranger {
        return Some(stranger.label());
    }
    let error = error.get_ref().and_then(|e| e.downcast_ref::<Error>())?;
    Some(match error {
        Error::NoCertificatesPresented => "no-certificate",
        Error::InvalidCertificate(cause) => match cause {
            C::Expired | C::ExpiredContext { .. } => "expired",
            C::NotValidYet | C::NotValidYetContext { .. } => "not-yet-valid",
            C::Revoked => "revoked",
            C::UnknownIssuer => "unknown-authority",
            C::UnknownRevocationStatus => "no-revocation-list",
            C::ExpiredRevocationList | C::ExpiredRevocationListContext { .. } => "stale-revocation-list",
            C::InvalidPurpose | C::InvalidPurposeContext { .. } => "not-a-client-certificate",
            C::BadSignature => "bad-signature",
            _ => "bad-certificate",
        },
        Error::PeerIncompatible(_) => "no-common-version-or-suite",
        Error::AlertReceived(_) => return None,
        _ if seen.certificate.is_some() => "bad-signature",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
        ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, SerialNumber, date_time_ymd,
    };
    use rustls::server::WebPkiClientVerifier;

    use super::*;
    use crate::config::{TlsProfile, crl};

    /// A node's certificate, and a guard with a list of its authority that ends on 21 November 2026.
    fn guarded(grace: i64) -> (Vec<u8>, Guard) {
        let named = |name: &str| {
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, name);
            params
        };
        let mut params = named("nodes");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let mut params = named("a");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let node = params.signed_by(&KeyPair::generate().unwrap(), &authority).unwrap();
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 11, 14),
            next_update: date_time_ymd(2026, 11, 21),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: vec![],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("list.crl"), list.signed_by(&authority).unwrap().der()).unwrap();
        let lists = crl::load(&[dir.path().to_owned()]).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let chains = WebPkiClientVerifier::builder_with_provider(roots.into(), TlsProfile::JpHigh.provider())
            .with_crls(lists.iter().map(|list| list.der.clone()))
            .build()
            .unwrap();
        let grace = SignedDuration::from_hours(grace);
        (node.der().to_vec(), Guard { chains, lists, grace, nodes: Nodes::none(), ops: false })
    }

    #[test]
    fn a_list_holds_for_its_grace_and_no_longer() {
        let day = |text: &str| {
            let at: Timestamp = text.parse().unwrap();
            UnixTime::since_unix_epoch(std::time::Duration::from_secs(at.as_second().unsigned_abs()))
        };
        for (grace, at, taken) in [
            (0, "2026-11-20T23:59:59Z", true),
            (0, "2026-11-21T00:00:01Z", false),
            (48, "2026-11-21T00:00:01Z", true),
            (48, "2026-11-23T00:00:00Z", true),
            (48, "2026-11-23T00:00:01Z", false),
        ] {
            let (node, guard) = guarded(grace);
            assert_eq!(guard.still(&[node], day(at)), taken, "{grace} h of grace at {at}");
        }
    }
}
