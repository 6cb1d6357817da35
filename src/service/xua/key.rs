//! A key that verifies signatures: of a certificate that was configured, by the provider that TLS uses.

use jiff::Timestamp;
use rustls::SignatureScheme;

use crate::config::x509::{self, Validity};
use crate::model::assertion::{Algorithm, Signed};

pub struct Key {
    /// AlgorithmIdentifier and subjectPublicKey, DER.
    public: (Vec<u8>, Vec<u8>),
    pub validity: Validity,
}

fn scheme(algorithm: Algorithm) -> SignatureScheme {
    match algorithm {
        Algorithm::RsaSha256 => SignatureScheme::RSA_PKCS1_SHA256,
        Algorithm::RsaSha384 => SignatureScheme::RSA_PKCS1_SHA384,
        Algorithm::RsaSha512 => SignatureScheme::RSA_PKCS1_SHA512,
        Algorithm::EcdsaSha256 => SignatureScheme::ECDSA_NISTP256_SHA256,
        Algorithm::EcdsaSha384 => SignatureScheme::ECDSA_NISTP384_SHA384,
    }
}

impl Key {
    pub fn of(certificate: &[u8]) -> Option<Self> {
        Some(Self { public: x509::public_key(certificate)?, validity: x509::validity(certificate)? })
    }

    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.validity.not_before <= now && now <= self.validity.not_after
    }

    /// RSA of fewer than 2048 bits and curves but P-256 and P-384 verify nothing: the provider has no algorithm
    /// for them.
    pub fn verifies(&self, signed: &Signed) -> bool {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let wanted = scheme(signed.algorithm);
        let all = provider.signature_verification_algorithms.mapping;
        let fitting = all.iter().filter(|(s, _)| *s == wanted).flat_map(|(_, algorithms)| *algorithms);
        let mut fitting = fitting.filter(|a| a.public_key_alg_id().as_ref() == self.public.0.as_slice());
        let value = match signed.algorithm {
            Algorithm::EcdsaSha256 | Algorithm::EcdsaSha384 => match as_der(&signed.value) {
                Some(der) => der,
                None => return false,
            },
            _ => signed.value.clone(),
        };
        fitting.any(|a| a.verify_signature(&self.public.1, &signed.message, &value).is_ok())
    }
}

/// r and s in a row (XML Signature 1.1, 6.4.3) as an ECDSA-Sig-Value (RFC 3279).
fn as_der(value: &[u8]) -> Option<Vec<u8>> {
    if value.is_empty() || !value.len().is_multiple_of(2) || value.len() > 132 {
        return None;
    }
    let (r, s) = value.split_at(value.len() / 2);
    let integer = |bytes: &[u8]| {
        let bytes: Vec<u8> = bytes.iter().copied().skip_while(|b| *b == 0).collect();
        let mut out = vec![];
        if bytes.first().is_none_or(|b| b & 0x80 != 0) {
            out.push(0);
        }
        out.extend(bytes);
        [vec![2, u8::try_from(out.len()).unwrap_or(0)], out].concat()
    };
    let both = [integer(r), integer(s)].concat();
    let length = u8::try_from(both.len()).ok()?;
    let head = if length < 0x80 { vec![0x30, length] } else { vec![0x30, 0x81, length] };
    Some([head, both].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_signatures_become_der() {
        assert_eq!(as_der(&[0x80, 0x01]), Some(vec![0x30, 7, 2, 2, 0, 0x80, 2, 1, 1]));
        assert_eq!(as_der(&[0, 0, 0, 5]), Some(vec![0x30, 6, 2, 1, 0, 2, 1, 5]));
        for bad in [&[][..], &[1], &[1; 134]] {
            assert_eq!(as_der(bad), None);
        }
    }
}
