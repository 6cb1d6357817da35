//! Files of public keys that verify tokens: a JWK Set, or PEM with certificates or bare public keys.

use std::path::Path;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};

use crate::config::x509;
use crate::model::token::{Jwk, Material};
use crate::wire::jwt;

/// The keys of a file, at least one. The error is a sentence that names the file.
pub fn read(path: &Path) -> Result<Vec<Jwk>, String> {
    let named = |why: &str| format!("file {} {why}", path.display());
    let text = std::fs::read_to_string(path).map_err(|e| named(&format!("cannot be read: {e}")))?;
    let keys = match text.trim_start().starts_with('{') {
        true => jwt::key_set(&text).map_err(|why| named(&why))?,
        false => pem(text.as_bytes()).map_err(|why| named(&why))?,
    };
    match keys.is_empty() {
        true => Err(named("holds no public key that signatures can be verified with")),
        false => Ok(keys),
    }
}

fn pem(text: &[u8]) -> Result<Vec<Jwk>, String> {
    let unread = |e: rustls::pki_types::pem::Error| format!("is neither a JWK Set nor PEM: {e}");
    let key = |info: Option<(Vec<u8>, Vec<u8>)>| {
        let (algorithm, key) = info.ok_or("holds a key that cannot be read")?;
        Ok(Jwk { key_id: None, algorithm: None, material: Material::Info { algorithm, key } })
    };
    let mut keys: Vec<Jwk> = vec![];
    for certificate in CertificateDer::pem_slice_iter(text) {
        keys.push(key(x509::public_key(&certificate.map_err(unread)?)).map_err(str::to_owned)?);
    }
    for info in SubjectPublicKeyInfoDer::pem_slice_iter(text) {
        keys.push(key(x509::public_key_info(&info.map_err(unread)?)).map_err(str::to_owned)?);
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_public_keys_and_sets_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap().pem();
        let read_as = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read(&path)
        };
        let of_certificate = read_as(&certificate).unwrap();
        assert_eq!(
            read_as(&rcgen::PublicKeyData::subject_public_key_info(&key).to_pem()).unwrap(),
            of_certificate
        );
        let set = r#" {"keys":[{"kty":"EC","crv":"P-256","x":"AQ","y":"Ag"}]}"#;
        assert_eq!(read_as(set).unwrap().len(), 1);
        for bad in ["", "{", r#"{"keys":[]}"#, "nothing"] {
            assert!(read_as(bad).is_err(), "{bad}");
        }
        assert!(read(Path::new("/no/such")).is_err());
    }

    trait ToPem {
        fn to_pem(&self) -> String;
    }

    impl ToPem for Vec<u8> {
        fn to_pem(&self) -> String {
            use base64::Engine as _;
            let text = base64::engine::general_purpose::STANDARD.encode(self);
            format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
        }
    }
}
