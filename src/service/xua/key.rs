//! A key that verifies signatures: of a certificate or a file that was configured, by the provider that TLS uses.

use jiff::Timestamp;
use rustls::SignatureScheme;

use crate::config::x509::{self, Validity};
use crate::model::assertion::{Algorithm, Signed};
use crate::model::token::{Jwk, JwsAlgorithm, Material, SignedToken};

pub struct Key {
    /// AlgorithmIdentifier and subjectPublicKey, DER.
    public: (Vec<u8>, Vec<u8>),
    /// Of a certificate.
    pub validity: Option<Validity>,
    /// Of a JWK Set: its name, and what alone it verifies.
    id: Option<String>,
    only: Option<JwsAlgorithm>,
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

/// Scheme, the one kind of key it is for, and the octets of an ECDSA value (RFC 7518 3.3, 3.4).
fn jws(algorithm: JwsAlgorithm) -> (SignatureScheme, &'static [u8], Option<usize>) {
    match algorithm {
        JwsAlgorithm::Rs256 => (SignatureScheme::RSA_PKCS1_SHA256, RSA, None),
        JwsAlgorithm::Rs384 => (SignatureScheme::RSA_PKCS1_SHA384, RSA, None),
        JwsAlgorithm::Rs512 => (SignatureScheme::RSA_PKCS1_SHA512, RSA, None),
        JwsAlgorithm::Es256 => (SignatureScheme::ECDSA_NISTP256_SHA256, P256, Some(64)),
        JwsAlgorithm::Es384 => (SignatureScheme::ECDSA_NISTP384_SHA384, P384, Some(96)),
        JwsAlgorithm::Es512 => (SignatureScheme::ECDSA_NISTP521_SHA512, P521, Some(132)),
    }
}

/// AlgorithmIdentifiers, their inside: rsaEncryption with NULL; id-ecPublicKey with its curve (RFC 5480 2.1.1).
const RSA: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
const P256: &[u8] = &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384: &[u8] = &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x22];
const P521: &[u8] = &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x23];

/// Curves by name, with the octets of a coordinate.
const CURVES: [(&str, &[u8], usize); 3] = [("P-256", P256, 32), ("P-384", P384, 48), ("P-521", P521, 66)];

impl Key {
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let public = x509::public_key(certificate)?;
        Some(Self { public, validity: Some(x509::validity(certificate)?), id: None, only: None })
    }

    /// Of a JWK; `None` if it is of no kind that verifies here.
    pub fn of_jwk(jwk: Jwk) -> Option<Self> {
        let public = match jwk.material {
            Material::Info { algorithm, key } => (algorithm, key),
            Material::Rsa { n, e } => (RSA.to_vec(), sequence(&[integer(&n)?, integer(&e)?].concat())?),
            Material::Ec { curve, x, y } => {
                let (_, id, size) = CURVES.iter().find(|(name, ..)| *name == curve)?;
                (x.len() == *size && y.len() == *size).then_some(())?;
                (id.to_vec(), [vec![4], x, y].concat())
            }
        };
        Some(Self { public, validity: None, id: jwk.key_id, only: jwk.algorithm })
    }

    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.validity.is_none_or(|v| v.not_before <= now && now <= v.not_after)
    }

    /// RSA of fewer than 2048 bits and curves but P-256 and P-384 verify nothing: the provider has no algorithm
    /// for them.
    pub fn verifies(&self, signed: &Signed) -> bool {
        let value = match signed.algorithm {
            Algorithm::EcdsaSha256 | Algorithm::EcdsaSha384 => match as_der(&signed.value) {
                Some(der) => der,
                None => return false,
            },
            _ => signed.value.clone(),
        };
        self.fits(scheme(signed.algorithm), &signed.message, &value)
    }

    /// The algorithm decides which kind of key may be meant, never the other way about.
    pub fn verifies_token(&self, signed: &SignedToken) -> bool {
        let (scheme, kind, octets) = jws(signed.algorithm);
        let named = |id: &String| signed.key_id.as_ref().is_none_or(|wanted| wanted == id);
        if self.public.0 != kind
            || self.only.is_some_and(|only| only != signed.algorithm)
            || !self.id.as_ref().is_none_or(named)
            || octets.is_some_and(|octets| signed.value.len() != octets)
        {
            return false;
        }
        let value = match octets {
            None => Some(signed.value.clone()),
            Some(_) => as_der(&signed.value),
        };
        value.is_some_and(|value| self.fits(scheme, &signed.message, &value))
    }

    fn fits(&self, wanted: SignatureScheme, message: &[u8], value: &[u8]) -> bool {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let all = provider.signature_verification_algorithms.mapping;
        let fitting = all.iter().filter(|(s, _)| *s == wanted).flat_map(|(_, algorithms)| *algorithms);
        let mut fitting = fitting.filter(|a| a.public_key_alg_id().as_ref() == self.public.0.as_slice());
        fitting.any(|a| a.verify_signature(&self.public.1, message, value).is_ok())
    }
}

/// r and s in a row (XML Signature 1.1, 6.4.3; RFC 7518 3.4) as an ECDSA-Sig-Value (RFC 3279).
fn as_der(value: &[u8]) -> Option<Vec<u8>> {
    if value.is_empty() || !value.len().is_multiple_of(2) || value.len() > 132 {
        return None;
    }
    let (r, s) = value.split_at(value.len() / 2);
    sequence(&[integer(r)?, integer(s)?].concat())
}

/// A DER INTEGER of an unsigned number.
fn integer(bytes: &[u8]) -> Option<Vec<u8>> {
    let bytes: Vec<u8> = bytes.iter().copied().skip_while(|b| *b == 0).collect();
    let mut value = vec![];
    if bytes.first().is_none_or(|b| b & 0x80 != 0) {
        value.push(0);
    }
    value.extend(bytes);
    tagged(2, &value)
}

fn sequence(inside: &[u8]) -> Option<Vec<u8>> {
    tagged(0x30, inside)
}

fn tagged(tag: u8, inside: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(inside.len()).ok()?;
    let [high, low] = length.to_be_bytes();
    let head = match length {
        0..0x80 => vec![tag, low],
        0x80..0x100 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    Some([head, inside.to_vec()].concat())
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::alg_id;

    use super::*;

    #[test]
    fn raw_signatures_become_der() {
        assert_eq!(as_der(&[0x80, 0x01]), Some(vec![0x30, 7, 2, 2, 0, 0x80, 2, 1, 1]));
        assert_eq!(as_der(&[0, 0, 0, 5]), Some(vec![0x30, 6, 2, 1, 0, 2, 1, 5]));
        assert_eq!(as_der(&[0xff; 132]).unwrap()[..3], [0x30, 0x81, 138]);
        for bad in [&[][..], &[1], &[1; 134]] {
            assert_eq!(as_der(bad), None);
        }
    }

    #[test]
    fn identifiers_are_those_of_the_library() {
        assert_eq!(alg_id::RSA_ENCRYPTION.as_ref(), RSA);
        assert_eq!(alg_id::ECDSA_P256.as_ref(), P256);
        assert_eq!(alg_id::ECDSA_P384.as_ref(), P384);
        assert_eq!(alg_id::ECDSA_P521.as_ref(), P521);
    }

    #[test]
    fn a_curve_has_coordinates_of_its_size() {
        let key = |curve: &str, size: usize| {
            let material = Material::Ec { curve: curve.into(), x: vec![1; size], y: vec![1; size] };
            Key::of_jwk(Jwk { key_id: None, algorithm: None, material }).is_some()
        };
        assert!(key("P-256", 32) && key("P-384", 48) && key("P-521", 66));
        assert!(!key("P-256", 48) && !key("secp256k1", 32));
    }
}
