//! Assertions that we make: of a user who is known here, for a community that wants to know who asks (ITI TF-2 3.40).

use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::sign::SigningKey;

use crate::config::XuaOwnConfig;
use crate::config::tls::{self, PemError};
use crate::model::assertion::{Algorithm, Assertion};
use crate::wire::saml::Unsigned;

/// Our own key and name as an issuer of assertions.
pub struct Issuer {
    name: String,
    /// DER, for KeyInfo.
    certificate: Vec<u8>,
    key: Arc<dyn SigningKey>,
    algorithm: Algorithm,
}

/// Why there is no issuer, or no assertion.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    #[error(transparent)]
    Pem(#[from] PemError),
    #[error("certificate and private_key belong together; one is absent")]
    HalfIdentity,
    #[error("the key is neither RSA nor P-256 nor P-384")]
    Key,
    #[error("the assertion cannot be written as XML")]
    Xml,
    #[error("the assertion cannot be signed: {0}")]
    Sign(#[from] rustls::Error),
    #[error("the signature made is none: {0} octets")]
    Signature(usize),
}

/// What our keys sign with, the first that a key can.
const SCHEMES: [(SignatureScheme, Algorithm); 3] = [
    (SignatureScheme::RSA_PKCS1_SHA256, Algorithm::RsaSha256),
    (SignatureScheme::ECDSA_NISTP256_SHA256, Algorithm::EcdsaSha256),
    (SignatureScheme::ECDSA_NISTP384_SHA384, Algorithm::EcdsaSha384),
];

impl Issuer {
    /// The issuer of a configuration; `None` if it names none.
    pub fn open(config: &XuaOwnConfig) -> Result<Option<Self>, IssueError> {
        let (certificate, key) = match (&config.certificate, &config.private_key) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => (certificate, key),
            _ => return Err(IssueError::HalfIdentity),
        };
        let identity = tls::identity(certificate, key)?;
        let usable = |(scheme, _): &&(SignatureScheme, _)| identity.key.choose_scheme(&[*scheme]).is_some();
        let (_, algorithm) = SCHEMES.iter().find(usable).ok_or(IssueError::Key)?;
        Ok(Some(Self {
            name: config.issuer.clone(),
            certificate: identity.cert.first().map(|c| c.to_vec()).unwrap_or_default(),
            key: identity.key.clone(),
            algorithm: *algorithm,
        }))
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The assertion as XML, signed.
    pub fn sign(&self, assertion: &Assertion) -> Result<String, IssueError> {
        let unsigned = Unsigned::new(assertion, self.algorithm).ok_or(IssueError::Xml)?;
        let message = unsigned.message().ok_or(IssueError::Xml)?;
        let scheme = SCHEMES.iter().find(|(_, a)| *a == self.algorithm).map(|(scheme, _)| *scheme);
        let signer = scheme.and_then(|scheme| self.key.choose_scheme(&[scheme])).ok_or(IssueError::Key)?;
        let made = signer.sign(&message)?;
        let value = match self.algorithm {
            Algorithm::EcdsaSha256 => in_a_row(&made, 32),
            Algorithm::EcdsaSha384 => in_a_row(&made, 48),
            _ => Some(made.clone()),
        };
        let value = value.ok_or(IssueError::Signature(made.len()))?;
        Ok(unsigned.signed(&value, &self.certificate))
    }
}

/// An ECDSA-Sig-Value (RFC 3279) as r and s in a row, each of `size` octets (XML Signature 1.1, 6.4.3).
fn in_a_row(der: &[u8], size: usize) -> Option<Vec<u8>> {
    let (tag, rest) = der.split_first()?;
    let mut rest = match (tag, rest) {
        (0x30, [0x81, length, rest @ ..]) if usize::from(*length) == rest.len() => rest,
        (0x30, [length, rest @ ..]) if *length < 0x80 && usize::from(*length) == rest.len() => rest,
        _ => return None,
    };
    let mut out = Vec::with_capacity(2 * size);
    for _ in 0..2 {
        let [0x02, length, after @ ..] = rest else { return None };
        let (integer, after) = after.split_at_checked(usize::from(*length))?;
        let start = integer.iter().position(|b| *b != 0).unwrap_or(integer.len());
        let integer = integer.get(start..)?;
        out.extend(std::iter::repeat_n(0, size.checked_sub(integer.len())?));
        out.extend_from_slice(integer);
        rest = after;
    }
    rest.is_empty().then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn der_becomes_two_numbers_in_a_row() {
        assert_eq!(in_a_row(&[0x30, 7, 2, 2, 0, 0x80, 2, 1, 1], 2), Some(vec![0, 0x80, 0, 1]));
        assert_eq!(in_a_row(&[0x30, 6, 2, 1, 0, 2, 1, 5], 1), Some(vec![0, 5]));
        for bad in [
            &[][..],
            &[0x30],
            &[0x30, 6, 2, 1, 0, 2, 1],
            &[0x30, 7, 2, 1, 0, 2, 1, 5, 0],
            &[0x30, 6, 3, 1, 0, 2, 1, 5],
            &[0x30, 7, 2, 2, 1, 1, 2, 1, 1],
        ] {
            assert_eq!(in_a_row(bad, 1), None, "{bad:?}");
        }
    }
}
