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
