//! The few fields of an X.509 certificate (RFC 5280 4.1) that people read: subject and validity.
//! Trust is decided by rustls; nothing here is.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// When a certificate may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

/// The validity of a DER certificate; `None` if it is not one.
pub fn validity(der: &[u8]) -> Option<Validity> {
    let mut tbs = to_validity(der)?;
    let mut validity = tbs.expect(SEQUENCE)?;
    Some(Validity { not_before: validity.time()?, not_after: validity.time()? })
}

/// The commonName of the subject, else its organizationName; empty if there is neither.
pub fn subject(der: &[u8]) -> Option<String> {
    const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
    const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
    let mut tbs = to_validity(der)?;
    tbs.expect(SEQUENCE)?;
    let mut name = tbs.expect(SEQUENCE)?;
    let (mut common, mut organization) = (None, None);
    while let Some((_, mut set)) = name.next() {
        while let Some((_, mut attribute)) = set.next() {
            let oid = attribute.expect(OBJECT_IDENTIFIER)?.0;
            let value = attribute.next().map(|(_, v)| String::from_utf8_lossy(v.0).into_owned());
            match oid {
                COMMON_NAME => common = common.or(value),
                ORGANIZATION => organization = organization.or(value),
                _ => {}
            }
        }
    }
    Some(common.or(organization).unwrap_or_default())
}

/// The serialNumber of the subject (X.520 6.2.9), which is not the certificate's own.
pub fn subject_serial_number(der: &[u8]) -> Option<String> {
    const SERIAL_NUMBER: &[u8] = &[0x55, 0x04, 0x05];
    let mut tbs = to_validity(der)?;
    tbs.expect(SEQUENCE)?;
    let mut name = tbs.expect(SEQUENCE)?;
    while let Some((_, mut set)) = name.next() {
        while let Some((_, mut attribute)) = set.next() {
            if attribute.expect(OBJECT_IDENTIFIER)?.0 == SERIAL_NUMBER {
                return attribute.next().map(|(_, v)| String::from_utf8_lossy(v.0).into_owned());
            }
        }
    }
    None
}

/// The subject's public key: the inside of its AlgorithmIdentifier, and the bits of the key.
pub fn public_key(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut info = to_key(der)?.expect(SEQUENCE)?;
    let algorithm = info.expect(SEQUENCE)?;
    let (unused, bits) = info.expect(BIT_STRING)?.0.split_first()?;
    (*unused == 0).then(|| (algorithm.0.to_vec(), bits.to_vec()))
}

/// The URIs of subjectAltName (RFC 5280 4.2.1.6).
pub fn alternative_uris(der: &[u8]) -> Vec<String> {
    const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
    let find = || {
        let mut tbs = to_key(der)?;
        tbs.expect(SEQUENCE)?;
        let mut extensions = loop {
            match tbs.next()? {
                (EXTENSIONS, mut explicit) => break explicit.expect(SEQUENCE)?,
                _ => continue,
            }
        };
        while let Some(mut extension) = extensions.expect(SEQUENCE) {
            if extension.expect(OBJECT_IDENTIFIER)?.0 != SUBJECT_ALT_NAME {
                continue;
            }
            let value = loop {
                match extension.next()? {
                    (OCTET_STRING, value) => break value,
                    _ => continue,
                }
            };
            let mut value = value;
            let mut names = value.expect(SEQUENCE)?;
            let mut found = vec![];
            while let Some((tag, name)) = names.next() {
                if tag == URI {
                    found.push(String::from_utf8_lossy(name.0).into_owned());
                }
            }
            return Some(found);
        }
        None
    };
    find().unwrap_or_default()
}

/// The TBSCertificate read up to its subjectPublicKeyInfo.
fn to_key(der: &[u8]) -> Option<Der<'_>> {
    let mut tbs = to_validity(der)?;
    tbs.next()?;
    tbs.next()?;
    Some(tbs)
}

const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
/// `[6]`: uniformResourceIdentifier of GeneralName.
const URI: u8 = 0x86;
/// `[3]` of TBSCertificate.
const EXTENSIONS: u8 = 0xa3;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// The TBSCertificate read up to its validity.
fn to_validity(der: &[u8]) -> Option<Der<'_>> {
    let mut tbs = Der(der).expect(SEQUENCE)?.expect(SEQUENCE)?;
    // version is optional; serialNumber, signature and issuer are not.
    let (tag, _) = tbs.next()?;
    if tag == VERSION {
        tbs.next()?;
    }
    tbs.next()?;
    tbs.next()?;
    Some(tbs)
}

/// Bytes holding DER values one after another.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn next(&mut self) -> Option<(u8, Der<'a>)> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let mut length = usize::from(first);
        if first & 0x80 != 0 {
            let count = usize::from(first & 0x7f);
            if count == 0 || count > 4 {
                return None;
            }
            let (bytes, after) = rest.split_at_checked(count)?;
            length = bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            rest = after;
        }
        let (value, after) = rest.split_at_checked(length)?;
        self.0 = after;
        Some((tag, Der(value)))
    }

    fn expect(&mut self, wanted: u8) -> Option<Der<'a>> {
        self.next().filter(|(tag, _)| *tag == wanted).map(|(_, value)| value)
    }

    /// UTCTime `YYMMDDHHMMSSZ` (years 1950 to 2049) or GeneralizedTime `YYYYMMDDHHMMSSZ`.
    fn time(&mut self) -> Option<Timestamp> {
        let (tag, value) = self.next()?;
        let text = std::str::from_utf8(value.0).ok()?;
        let text = match tag {
            GENERALIZED_TIME => text.to_owned(),
            UTC_TIME if text < "50" => format!("20{text}"),
            UTC_TIME => format!("19{text}"),
            _ => return None,
        };
        let civil = DateTime::strptime("%Y%m%d%H%M%SZ", &text).ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> Vec<u8> {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.not_before = rcgen::date_time_ymd(2026, 4, 1);
        params.not_after = rcgen::date_time_ymd(2099, 1, 31);
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "Network");
        params.distinguished_name.push(rcgen::DnType::CommonName, "病院A");
        let uri = rcgen::string::Ia5String::try_from("urn:oid:2.999.10.1").unwrap();
        params.subject_alt_names = vec![rcgen::SanType::URI(uri)];
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn key_and_uris_are_read() {
        let der = certificate();
        // An uncompressed point of P-256.
        assert_eq!(public_key(&der).unwrap().1.len(), 65);
        assert_eq!(alternative_uris(&der), ["urn:oid:2.999.10.1"]);
    }

    #[test]
    fn subject_and_validity_are_read() {
        let der = certificate();
        let validity = validity(&der).unwrap();
        assert_eq!(validity.not_before.to_string(), "2026-04-01T00:00:00Z");
        assert_eq!(validity.not_after.to_string(), "2099-01-31T00:00:00Z");
        assert_eq!(subject(&der).unwrap(), "病院A");
    }

    #[test]
    fn no_cut_of_a_certificate_panics() {
        let der = certificate();
        for end in 0..der.len() {
            assert_eq!(validity(&der[..end]), None);
            assert_eq!(subject(&der[..end]), None);
            assert_eq!(public_key(&der[..end]), None);
            assert_eq!(alternative_uris(&der[..end]), Vec::<String>::new());
        }
    }
}
