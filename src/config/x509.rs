//! The few fields of an X.509 certificate (RFC 5280 4.1) that people read or nodes are known by, and of a revocation
//! list. Trust is decided by rustls; nothing here is.

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
    key_of(to_key(der)?.expect(SEQUENCE)?)
}

/// The same of a SubjectPublicKeyInfo alone (`PUBLIC KEY` in PEM).
pub fn public_key_info(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    key_of(Der(der).expect(SEQUENCE)?)
}

fn key_of(mut info: Der<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    let algorithm = info.expect(SEQUENCE)?;
    let (unused, bits) = info.expect(BIT_STRING)?.0.split_first()?;
    (*unused == 0).then(|| (algorithm.0.to_vec(), bits.to_vec()))
}

/// The URIs of subjectAltName (RFC 5280 4.2.1.6).
pub fn alternative_uris(der: &[u8]) -> Vec<String> {
    alternative_names(der, URI)
}

/// The DNS names of subjectAltName, in lower case.
pub fn alternative_dns_names(der: &[u8]) -> Vec<String> {
    alternative_names(der, DNS_NAME).into_iter().map(|name| name.to_ascii_lowercase()).collect()
}

fn alternative_names(der: &[u8], wanted: u8) -> Vec<String> {
    const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
    let find = || {
        let mut value = extension(to_key(der)?, SUBJECT_ALT_NAME)?;
        let mut names = value.expect(SEQUENCE)?;
        let mut found = vec![];
        while let Some((tag, name)) = names.next() {
            if tag == wanted {
                found.push(String::from_utf8_lossy(name.0).into_owned());
            }
        }
        Some(found)
    };
    find().unwrap_or_default()
}

/// The extnValue of an extension (RFC 5280 4.1) in what is left of a TBSCertificate.
fn extension<'a>(mut tbs: Der<'a>, oid: &[u8]) -> Option<Der<'a>> {
    let mut extensions = loop {
        match tbs.next()? {
            (EXTENSIONS, mut explicit) => break explicit.expect(SEQUENCE)?,
            _ => continue,
        }
    };
    while let Some(mut extension) = extensions.expect(SEQUENCE) {
        if extension.expect(OBJECT_IDENTIFIER)?.0 != oid {
            continue;
        }
        loop {
            match extension.next()? {
                (OCTET_STRING, value) => return Some(value),
                _ => continue,
            }
        }
    }
    None
}

/// The issuer and the subject as they stand, in DER: to be compared.
pub fn names(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut tbs = to_issuer(der)?;
    let issuer = tbs.expect(SEQUENCE)?.0.to_vec();
    tbs.next()?;
    Some((issuer, tbs.expect(SEQUENCE)?.0.to_vec()))
}

/// The issuer's name as people write it, `CN=…,O=…,C=…`, the last attribute first (RFC 4514 2.1).
pub fn issuer_text(der: &[u8]) -> Option<String> {
    let mut name = to_issuer(der)?.expect(SEQUENCE)?;
    let mut parts = vec![];
    while let Some((_, mut set)) = name.next() {
        while let Some((_, mut attribute)) = set.next() {
            let oid = attribute.expect(OBJECT_IDENTIFIER)?.0;
            let key = match oid {
                [0x55, 0x04, 0x03] => "CN",
                [0x55, 0x04, 0x06] => "C",
                [0x55, 0x04, 0x07] => "L",
                [0x55, 0x04, 0x08] => "ST",
                [0x55, 0x04, 0x0a] => "O",
                [0x55, 0x04, 0x0b] => "OU",
                [0x55, 0x04, 0x05] => "SERIALNUMBER",
                _ => "?",
            };
            let value = attribute.next().map(|(_, v)| String::from_utf8_lossy(v.0).into_owned());
            parts.push(format!("{key}={}", value.unwrap_or_default()));
        }
    }
    parts.reverse();
    Some(parts.join(","))
}

/// serialNumber, lower-case hex without leading zeros.
pub fn serial(der: &[u8]) -> Option<String> {
    let mut tbs = Der(der).expect(SEQUENCE)?.expect(SEQUENCE)?;
    let (mut tag, mut value) = tbs.next()?;
    if tag == VERSION {
        (tag, value) = tbs.next()?;
    }
    (tag == INTEGER).then(|| hex(value.0))
}

fn hex(integer: &[u8]) -> String {
    let text: String = integer.iter().map(|byte| format!("{byte:02x}")).collect();
    text.trim_start_matches('0').to_owned()
}

/// SHA-256 of a certificate, lower-case hex: how a node's certificate is named.
pub fn fingerprint(der: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A revocation list (RFC 5280 5.1), as far as it says whose and of when it is. Its signature is checked by rustls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crl {
    /// The issuer as it stands, in DER.
    pub issuer: Vec<u8>,
    pub this_update: Timestamp,
    /// Absent only where RFC 5280 is not kept.
    pub next_update: Option<Timestamp>,
    /// Serial numbers of certificates revoked, as [`serial`] writes them.
    pub revoked: Vec<String>,
}

/// Reads a DER revocation list; `None` if it is not one.
pub fn crl(der: &[u8]) -> Option<Crl> {
    let mut list = Der(der).expect(SEQUENCE)?.expect(SEQUENCE)?;
    let (tag, _) = list.next()?;
    // version is optional in form; the AlgorithmIdentifier is not.
    if tag == INTEGER {
        list.expect(SEQUENCE)?;
    }
    let issuer = list.expect(SEQUENCE)?.0.to_vec();
    let this_update = list.time()?;
    let mut rest = list.peek();
    let next_update = match rest.next() {
        Some((UTC_TIME | GENERALIZED_TIME, _)) => Some(list.time()?),
        _ => None,
    };
    let mut revoked = vec![];
    if let Some((SEQUENCE, mut entries)) = list.next() {
        while let Some(mut entry) = entries.expect(SEQUENCE) {
            revoked.push(hex(entry.expect(INTEGER)?.0));
        }
    }
    Some(Crl { issuer, this_update, next_update, revoked })
}

/// The TBSCertificate read up to its subjectPublicKeyInfo.
fn to_key(der: &[u8]) -> Option<Der<'_>> {
    let mut tbs = to_validity(der)?;
    tbs.next()?;
    tbs.next()?;
    Some(tbs)
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
/// `[6]`: uniformResourceIdentifier of GeneralName.
const URI: u8 = 0x86;
/// `[2]`: dNSName of GeneralName.
const DNS_NAME: u8 = 0x82;
/// `[3]` of TBSCertificate.
const EXTENSIONS: u8 = 0xa3;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// The TBSCertificate read up to its issuer.
fn to_issuer(der: &[u8]) -> Option<Der<'_>> {
    let mut tbs = Der(der).expect(SEQUENCE)?.expect(SEQUENCE)?;
    // version is optional; serialNumber and signature are not.
    let (tag, _) = tbs.next()?;
    if tag == VERSION {
        tbs.next()?;
    }
    tbs.next()?;
    Some(tbs)
}

/// The TBSCertificate read up to its validity.
fn to_validity(der: &[u8]) -> Option<Der<'_>> {
    let mut tbs = to_issuer(der)?;
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

    /// The same bytes, to look ahead in.
    fn peek(&self) -> Der<'a> {
        Der(self.0)
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
        // 9999-12-31, the end that is none (RFC 5280 4.1.2.5), is beyond the last instant there is.
        Some(civil.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |at| at.timestamp()))
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
    fn names_serials_and_lists_are_read() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CountryName, "JP");
        params.distinguished_name.push(rcgen::DnType::CommonName, "authority");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = rcgen::CertifiedIssuer::self_signed(params, key).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["GW.example".into()]).unwrap();
        params.serial_number = Some(rcgen::SerialNumber::from_slice(&[0x0a, 0xff]));
        let leaf = params.signed_by(&key, &authority).unwrap();
        assert_eq!(serial(leaf.der()).as_deref(), Some("aff"));
        assert_eq!(alternative_dns_names(leaf.der()), ["gw.example"]);
        let text = issuer_text(leaf.der()).unwrap();
        assert!(text.contains("CN=authority") && text.contains("C=JP"), "{text}");
        assert_eq!(names(leaf.der()).unwrap().0, names(authority.der()).unwrap().1);

        let list = rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2026, 11, 1),
            next_update: rcgen::date_time_ymd(2026, 12, 1),
            crl_number: rcgen::SerialNumber::from_slice(&[1]),
            issuing_distribution_point: None,
            revoked_certs: vec![rcgen::RevokedCertParams {
                serial_number: rcgen::SerialNumber::from_slice(&[0x0a, 0xff]),
                revocation_time: rcgen::date_time_ymd(2026, 11, 1),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&authority).unwrap();
        let read = crl(list.der()).unwrap();
        assert_eq!(read.revoked, ["aff"]);
        assert_eq!(read.next_update.unwrap().to_string(), "2026-12-01T00:00:00Z");
        assert_eq!(read.issuer, names(authority.der()).unwrap().1);
        for end in 0..list.der().len() {
            assert_eq!(crl(&list.der()[..end]), None);
        }
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
