//! A private authority in a folder: its certificate and key, a register of what it issued, and its revocation list.
//!
//! ```text
//! authority.pem authority.key     the certificate, and its key (0600)
//! issued.jsonl                    a line for every certificate issued, and for every revocation
//! crl/authority.crl               the list that listeners read (DER)
//! ```

use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use jiff::{SignedDuration, Timestamp};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertificateSigningRequestParams,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, RevocationReason, RevokedCertParams, SanType,
    SerialNumber,
};
use serde::{Deserialize, Serialize};

use crate::config::x509;

/// Longest life of a node's certificate (ITI TF-2 3.19.6.1.4 advises two years).
pub const MOST_DAYS: u32 = 731;

/// The curve of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Curve {
    P256,
    P384,
}

impl Curve {
    pub fn key(self) -> anyhow::Result<KeyPair> {
        let algorithm = match self {
            Curve::P256 => &PKCS_ECDSA_P256_SHA256,
            Curve::P384 => &PKCS_ECDSA_P384_SHA384,
        };
        Ok(KeyPair::generate_for(algorithm)?)
    }
}

/// Why a certificate is revoked (RFC 5280 5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    Unspecified,
    KeyCompromise,
    AffiliationChanged,
    Superseded,
    CessationOfOperation,
    PrivilegeWithdrawn,
}

impl Reason {
    fn code(self) -> RevocationReason {
        match self {
            Reason::Unspecified => RevocationReason::Unspecified,
            Reason::KeyCompromise => RevocationReason::KeyCompromise,
            Reason::AffiliationChanged => RevocationReason::AffiliationChanged,
            Reason::Superseded => RevocationReason::Superseded,
            Reason::CessationOfOperation => RevocationReason::CessationOfOperation,
            Reason::PrivilegeWithdrawn => RevocationReason::PrivilegeWithdrawn,
        }
    }
}

/// Whom a certificate is for.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    pub name: String,
    pub organization: Option<String>,
    pub uris: Vec<String>,
    /// DNS names, and addresses.
    pub hosts: Vec<String>,
}

/// A line of the register.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "event")]
pub enum Line {
    #[serde(rename_all = "camelCase")]
    Issued { at: Timestamp, serial: String, name: String, names: Vec<String>, not_after: Timestamp },
    #[serde(rename_all = "camelCase")]
    Revoked { at: Timestamp, serial: String, reason: Reason },
}

/// What the register says of a certificate.
#[derive(Debug, Clone)]
pub struct Issued {
    pub serial: String,
    pub name: String,
    pub names: Vec<String>,
    pub not_after: Timestamp,
    pub revoked: Option<(Timestamp, Reason)>,
}

/// An authority, opened.
pub struct Authority {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    not_after: Timestamp,
}

macro_rules! instant {
    ($at:expr) => {{
        let seconds = u64::try_from($at.as_second()).unwrap_or_default();
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
    }};
}

fn random_serial() -> SerialNumber {
    // 122 bits of chance, positive (RFC 5280 4.1.2.2).
    let mut bytes = uuid::Uuid::new_v4().into_bytes();
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    SerialNumber::from_slice(&bytes)
}

fn distinguished(name: &str, organization: Option<&str>) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CountryName, "JP");
    if let Some(organization) = organization {
        distinguished.push(DnType::OrganizationName, organization);
    }
    distinguished.push(DnType::CommonName, name);
    distinguished
}

impl Subject {
    /// A certificate for both sides of TLS: a gateway is server and client.
    pub fn params(&self) -> anyhow::Result<CertificateParams> {
        let mut params = CertificateParams::default();
        params.distinguished_name = distinguished(&self.name, self.organization.as_deref());
        params.subject_alt_names = self.alternatives()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }

    fn alternatives(&self) -> anyhow::Result<Vec<SanType>> {
        let ascii = |text: &String| {
            Ia5String::try_from(text.clone()).map_err(|_| anyhow!("{text:?} may hold ASCII characters only"))
        };
        let mut all = vec![];
        for uri in &self.uris {
            all.push(SanType::URI(ascii(uri)?));
        }
        for host in &self.hosts {
            all.push(match host.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(ascii(host)?),
            });
        }
        if all.is_empty() {
            bail!("a node is known by a --uri or a --dns name; name at least one");
        }
        Ok(all)
    }
}

fn told(alternatives: &[SanType]) -> Vec<String> {
    let one = |name: &SanType| match name {
        SanType::URI(text) => format!("URI:{text}"),
        SanType::DnsName(text) => format!("DNS:{text}"),
        SanType::IpAddress(address) => format!("IP:{address}"),
        _ => "?".to_owned(),
    };
    alternatives.iter().map(one).collect()
}

impl Authority {
    /// Makes an authority in a folder that has none.
    pub fn make(
        dir: &Path,
        name: &str,
        organization: Option<&str>,
        curve: Curve,
        years: u32,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        let (certificate, key_file) = (dir.join("authority.pem"), dir.join("authority.key"));
        if certificate.exists() || key_file.exists() {
            bail!("{} holds an authority already", dir.display());
        }
        std::fs::create_dir_all(dir.join("crl"))
            .with_context(|| format!("{} cannot be made", dir.display()))?;
        let key = curve.key()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = distinguished(name, organization);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(random_serial());
        params.not_before = instant!(now - SignedDuration::from_hours(1));
        params.not_after = instant!(now + SignedDuration::from_hours(i64::from(years.min(30)) * 365 * 24));
        let own = params.self_signed(&key)?;
        write(&key_file, key.serialize_pem().as_bytes(), 0o600)?;
        write(&certificate, own.pem().as_bytes(), 0o644)?;
        Self::open(dir)
    }

    pub fn open(dir: &Path) -> anyhow::Result<Self> {
        let read = |name: &str| {
            let path = dir.join(name);
            std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))
        };
        let (pem, key) = (read("authority.pem")?, read("authority.key")?);
        let key = KeyPair::from_pem(&key).context("authority.key")?;
        let certificate = crate::config::tls::certificates(&dir.join("authority.pem"))?;
        let leaf = certificate.first().context("authority.pem")?;
        let not_after = x509::validity(leaf).context("authority.pem has no validity")?.not_after;
        let issuer = Issuer::from_ca_cert_pem(&pem, key).context("authority.pem")?;
        Ok(Self { dir: dir.to_owned(), issuer, pem, not_after })
    }

    /// A certificate and its key, in PEM; the certificate is followed by the authority's.
    pub fn issue(
        &self,
        subject: &Subject,
        curve: Curve,
        days: u32,
        now: Timestamp,
    ) -> anyhow::Result<(String, String)> {
        let key = curve.key()?;
        let mut params = subject.params()?;
        self.date(&mut params, days, now)?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        self.register(&params, certificate.der(), now)?;
        Ok((certificate.pem() + &self.pem, key.serialize_pem()))
    }

    /// The certificate of a request: its key, with names given here, or its own where none are given. What else
    /// it asks for (being an authority, other usages) is not granted.
    pub fn sign(
        &self,
        request: &str,
        subject: Option<&Subject>,
        days: u32,
        now: Timestamp,
    ) -> anyhow::Result<String> {
        let mut request = CertificateSigningRequestParams::from_pem(request)
            .context("the request cannot be read, or its signature is not of its key")?;
        let params = match subject {
            Some(subject) => subject.params()?,
            None => {
                let asked = &request.params;
                if asked.subject_alt_names.is_empty() {
                    bail!("the request names no URI and no DNS name; give them by --uri or --dns");
                }
                let mut params = Subject { uris: vec!["urn:x".into()], ..Subject::default() }.params()?;
                params.distinguished_name = asked.distinguished_name.clone();
                params.subject_alt_names = asked.subject_alt_names.clone();
                params
            }
        };
        request.params = params;
        self.date(&mut request.params, days, now)?;
        let certificate = request.signed_by(&self.issuer)?;
        self.register(&request.params, certificate.der(), now)?;
        Ok(certificate.pem() + &self.pem)
    }

    fn date(&self, params: &mut CertificateParams, days: u32, now: Timestamp) -> anyhow::Result<()> {
        if days == 0 || days > MOST_DAYS {
            bail!("a node's certificate lives 1 to {MOST_DAYS} days, not {days}");
        }
        let end = now + SignedDuration::from_hours(i64::from(days) * 24);
        if end > self.not_after {
            bail!("the authority itself ends on {}, before the certificate would", self.not_after);
        }
        params.serial_number = Some(random_serial());
        // For clocks that disagree.
        params.not_before = instant!(now - SignedDuration::from_hours(1));
        params.not_after = instant!(end);
        Ok(())
    }

    fn register(&self, params: &CertificateParams, der: &[u8], now: Timestamp) -> anyhow::Result<()> {
        let not_after = x509::validity(der).context("the certificate has no validity")?.not_after;
        let serial = x509::serial(der).context("the certificate has no serial number")?;
        let name = x509::subject(der).unwrap_or_default();
        let names = told(&params.subject_alt_names);
        self.append(&Line::Issued { at: now, serial, name, names, not_after })
    }

    fn append(&self, line: &Line) -> anyhow::Result<()> {
        let path = self.dir.join("issued.jsonl");
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        file.write_all((serde_json::to_string(line)? + "\n").as_bytes())?;
        file.sync_all()?;
        Ok(())
    }

    /// Everything issued, oldest first.
    pub fn issued(&self) -> anyhow::Result<Vec<Issued>> {
        let path = self.dir.join("issued.jsonl");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(e).with_context(|| format!("{} cannot be read", path.display())),
        };
        let mut all: Vec<Issued> = vec![];
        for (n, line) in text.lines().enumerate() {
            let line: Line = serde_json::from_str(line)
                .with_context(|| format!("{} line {} cannot be understood", path.display(), n + 1))?;
            match line {
                Line::Issued { serial, name, names, not_after, .. } => {
                    all.push(Issued { serial, name, names, not_after, revoked: None });
                }
                Line::Revoked { at, serial, reason } => {
                    for issued in all.iter_mut().filter(|i| i.serial == serial) {
                        issued.revoked = issued.revoked.or(Some((at, reason)));
                    }
                }
            }
        }
        Ok(all)
    }

    /// Notes a revocation; the list is to be written then.
    pub fn revoke(&self, serial: &str, reason: Reason, now: Timestamp) -> anyhow::Result<Issued> {
        let serial = serial.replace(':', "").to_ascii_lowercase();
        let serial = serial.trim_start_matches('0');
        let all = self.issued()?;
        let found = all.into_iter().find(|i| i.serial == serial);
        let found =
            found.ok_or_else(|| anyhow!("no certificate of serial number {serial} was issued here"))?;
        if found.revoked.is_some() {
            bail!("{} ({serial}) is revoked already", found.name);
        }
        self.append(&Line::Revoked { at: now, serial: serial.to_owned(), reason })?;
        Ok(found)
    }

    /// Writes the list, good for so many days. Gives where it is, and how many certificates are on it.
    pub fn list(&self, days: u32, now: Timestamp) -> anyhow::Result<(PathBuf, usize)> {
        let mut revoked_certs = vec![];
        for issued in self.issued()? {
            let Some((at, reason)) = issued.revoked else { continue };
            revoked_certs.push(RevokedCertParams {
                serial_number: SerialNumber::from_slice(&bytes_of(&issued.serial)),
                revocation_time: instant!(at),
                reason_code: Some(reason.code()).filter(|_| reason != Reason::Unspecified),
                invalidity_date: None,
            });
        }
        let count = revoked_certs.len();
        let number = u64::try_from(now.as_millisecond()).unwrap_or_default();
        let list = CertificateRevocationListParams {
            this_update: instant!(now),
            next_update: instant!(now + SignedDuration::from_hours(i64::from(days.clamp(1, 400)) * 24)),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer)?;
        let path = self.dir.join("crl").join("authority.crl");
        std::fs::create_dir_all(self.dir.join("crl"))?;
        replace(&path, list.der(), 0o644)?;
        Ok((path, count))
    }
}

/// A request for a certificate, and the key it is for.
pub fn request(subject: &Subject, curve: Curve) -> anyhow::Result<(String, String)> {
    let key = curve.key()?;
    let mut params = subject.params()?;
    params.use_authority_key_identifier_extension = false;
    Ok((params.serialize_request(&key)?.pem()?, key.serialize_pem()))
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let even = if hex.len().is_multiple_of(2) { hex.to_owned() } else { format!("0{hex}") };
    even.as_bytes()
        .chunks(2)
        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// Writes a new file, with its mode from the first byte on; one that is there stays.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    let written = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    written().with_context(|| format!("{} cannot be written", path.display()))
}

/// Puts a file in another's place at once: whoever reads sees one or the other.
fn replace(path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    let fresh = path.with_extension("new");
    let _ = std::fs::remove_file(&fresh);
    write(&fresh, bytes, mode)?;
    std::fs::rename(&fresh, path).with_context(|| format!("{} cannot be written", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T00:00:00Z".parse().unwrap()
    }

    fn subject() -> Subject {
        Subject {
            name: "hospital-a".into(),
            uris: vec!["urn:oid:2.999.1".into()],
            hosts: vec!["gw.example".into(), "127.0.0.1".into()],
            ..Subject::default()
        }
    }

    fn made(dir: &Path) -> Authority {
        Authority::make(dir, "nodes", Some("Network"), Curve::P384, 10, now()).unwrap()
    }

    fn leaf(pem: &str) -> Vec<u8> {
        use rustls::pki_types::pem::PemObject as _;
        rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
    }

    #[test]
    fn what_is_issued_is_named_dated_and_registered() {
        let dir = tempfile::tempdir().unwrap();
        let authority = made(dir.path());
        let mode = std::fs::metadata(dir.path().join("authority.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(Authority::make(dir.path(), "x", None, Curve::P256, 1, now()).is_err());
        let (pem, _) = authority.issue(&subject(), Curve::P256, 365, now()).unwrap();
        let der = leaf(&pem);
        assert_eq!(x509::alternative_uris(&der), ["urn:oid:2.999.1"]);
        assert_eq!(x509::alternative_dns_names(&der), ["gw.example"]);
        assert_eq!(x509::validity(&der).unwrap().not_after.to_string(), "2027-11-22T00:00:00Z");
        assert!(authority.issue(&subject(), Curve::P256, MOST_DAYS + 1, now()).is_err());
        let nobody = Subject { name: "x".into(), ..Subject::default() };
        assert!(authority.issue(&nobody, Curve::P256, 1, now()).is_err());
        let all = Authority::open(dir.path()).unwrap().issued().unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!(Some(&all[0].serial), x509::serial(&der).as_ref());
    }

    /// The bits of the extension 2.5.29.15.
    fn key_usage(der: &[u8]) -> Vec<u8> {
        let at = der.windows(3).position(|w| w == [0x55, 0x1d, 0x0f]).unwrap();
        let bits = at + der[at..].windows(2).position(|w| w == [0x03, 0x02]).unwrap();
        der[bits..bits + 4].to_vec()
    }

    #[test]
    fn a_request_is_signed_with_its_names_or_ours_and_nothing_else_it_wants() {
        let dir = tempfile::tempdir().unwrap();
        let authority = made(dir.path());
        let (csr, _) = request(&subject(), Curve::P256).unwrap();
        let own = leaf(&authority.sign(&csr, None, 30, now()).unwrap());
        assert_eq!(x509::alternative_uris(&own), ["urn:oid:2.999.1"]);
        let other = Subject { name: "b".into(), uris: vec!["urn:oid:2.999.2".into()], ..Subject::default() };
        let given = leaf(&authority.sign(&csr, Some(&other), 30, now()).unwrap());
        assert_eq!(x509::alternative_uris(&given), ["urn:oid:2.999.2"]);
        assert_eq!(x509::public_key(&own), x509::public_key(&given));
        let mut greedy = CertificateParams::new(vec!["gw.example".to_owned()]).unwrap();
        greedy.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let csr = greedy.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap();
        // Whether it is read at all or not, no authority comes of it.
        if let Ok(pem) = authority.sign(&csr, Some(&other), 30, now()) {
            assert_eq!(key_usage(&leaf(&pem)), key_usage(&own));
        }
    }

    #[test]
    fn revoked_certificates_are_on_the_list() {
        let dir = tempfile::tempdir().unwrap();
        let authority = made(dir.path());
        let (pem, _) = authority.issue(&subject(), Curve::P256, 365, now()).unwrap();
        let serial = x509::serial(&leaf(&pem)).unwrap();
        assert_eq!(authority.list(7, now()).unwrap().1, 0);
        authority.revoke(&serial, Reason::KeyCompromise, now()).unwrap();
        assert!(authority.revoke(&serial, Reason::KeyCompromise, now()).is_err());
        assert!(authority.revoke("01", Reason::KeyCompromise, now()).is_err());
        let (path, count) = authority.list(7, now()).unwrap();
        let list = x509::crl(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!((count, list.revoked), (1, vec![serial]));
        assert_eq!(list.next_update.unwrap().to_string(), "2026-11-29T00:00:00Z");
    }
}
