//! Which institution a client's certificate is of. The profile of the real certificates is not public (unverified), so
//! where its code stands can be chosen.

use clap::ValueEnum;

use super::directory::institution_code;
use crate::config::x509;

/// Where the ten digits stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Naming {
    /// serialNumber of the subject, else its commonName, else a URI of subjectAltName
    #[default]
    Any,
    /// serialNumber of the subject (OID 2.5.4.5)
    SerialNumber,
    /// commonName of the subject
    CommonName,
    /// The end of a URI of subjectAltName: urn:…:1319900018
    SanUri,
}

impl Naming {
    pub fn institution(self, certificate: &[u8]) -> Option<String> {
        let serial = || x509::subject_serial_number(certificate).filter(|code| institution_code(code));
        let common = || x509::subject(certificate).filter(|code| institution_code(code));
        let uri = || {
            let ends = x509::alternative_uris(certificate).into_iter();
            let mut codes = ends.filter_map(|uri| uri.rsplit([':', '/', '#', '=']).next().map(str::to_owned));
            codes.find(|code| institution_code(code))
        };
        match self {
            Naming::Any => serial().or_else(common).or_else(uri),
            Naming::SerialNumber => serial(),
            Naming::CommonName => common(),
            Naming::SanUri => uri(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(common: &str, serial: &str, uri: &str) -> Vec<u8> {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common);
        params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 5]), serial);
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_code_is_found_where_it_is_looked_for() {
        let each = certificate("1111111111", "1211111111", "urn:x:1311111111");
        for (naming, code) in [
            (Naming::SerialNumber, "1211111111"),
            (Naming::CommonName, "1111111111"),
            (Naming::SanUri, "1311111111"),
            (Naming::Any, "1211111111"),
        ] {
            assert_eq!(naming.institution(&each).as_deref(), Some(code), "{naming:?}");
        }
        let only_uri = certificate("hospital", "7", "https://example.org/institution/1311111111");
        assert_eq!(Naming::Any.institution(&only_uri).as_deref(), Some("1311111111"));
        assert_eq!(Naming::CommonName.institution(&only_uri), None);
        assert_eq!(Naming::Any.institution(b"no certificate"), None);
    }
}
