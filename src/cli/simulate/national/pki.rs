//! Certificates for the simulator: an authority, the server, one for each institution. The authority's key stays in the
//! folder, so that institutions can be added; nobody should trust it with anything real.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};

use super::directory::institution_code;

/// A folder of certificates.
#[derive(Debug, Clone)]
pub struct Pki {
    dir: PathBuf,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// serialNumber (X.520 6.2.9).
const SERIAL_NUMBER: &[u64] = &[2, 5, 4, 5];

impl Pki {
    /// The certificates in this folder; those that are missing are made.
    pub fn prepare(dir: &Path, institutions: &[String], now: Timestamp) -> anyhow::Result<Pki> {
        std::fs::create_dir_all(dir).with_context(|| format!("{} cannot be made", dir.display()))?;
        let pki = Pki { dir: dir.to_owned() };
        let key_file = dir.join("authority.key");
        let key = match key_file.exists() {
            true => KeyPair::from_pem(&std::fs::read_to_string(&key_file)?)?,
            false => {
                let key = KeyPair::generate()?;
                write(&key_file, &key.serialize_pem())?;
                key
            }
        };
        let mut params = parameters("Simulated national service authority", None, now, -1, 3650)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        if !pki.authority().exists() {
            write(&pki.authority(), &params.self_signed(&key)?.pem())?;
        }
        let issuer = Issuer::new(params, key);
        let server = || -> anyhow::Result<CertificateParams> {
            let mut params = parameters("localhost", None, now, -1, 365)?;
            params.subject_alt_names =
                CertificateParams::new(["localhost", "127.0.0.1", "::1"].map(str::to_owned))?
                    .subject_alt_names;
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            Ok(params)
        };
        pki.issue("server", server()?, &issuer)?;
        let mut old = server()?;
        valid(&mut old, now, -30, -1);
        pki.issue("server-expired", old, &issuer)?;
        for code in institutions {
            anyhow::ensure!(
                institution_code(code),
                "'{code}' is no institution code: ten digits, as 1319900018"
            );
            let mut params = parameters(code, Some(code), now, -1, 365)?;
            let uri = format!("urn:jp:insurance-medical-institution-no:{code}");
            params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            pki.issue(code, params, &issuer)?;
        }
        Ok(pki)
    }

    pub fn authority(&self) -> PathBuf {
        self.dir.join("authority.pem")
    }

    pub fn server(&self) -> Pair {
        self.pair("server")
    }

    pub fn expired_server(&self) -> Pair {
        self.pair("server-expired")
    }

    /// An institution's.
    pub fn pair(&self, name: &str) -> Pair {
        Pair { certificate: self.dir.join(format!("{name}.pem")), key: self.dir.join(format!("{name}.key")) }
    }

    fn issue(
        &self,
        name: &str,
        mut params: CertificateParams,
        issuer: &Issuer<'_, KeyPair>,
    ) -> anyhow::Result<()> {
        let Pair { certificate, key } = self.pair(name);
        if certificate.exists() && key.exists() {
            return Ok(());
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let pair = KeyPair::generate()?;
        write(&certificate, &params.signed_by(&pair, issuer)?.pem())?;
        write(&key, &pair.serialize_pem())
    }
}

fn parameters(
    name: &str,
    serial: Option<&str>,
    now: Timestamp,
    from: i64,
    to: i64,
) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(vec![])?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(serial) = serial {
        params.distinguished_name.push(DnType::CustomDnType(SERIAL_NUMBER.to_vec()), serial);
    }
    valid(&mut params, now, from, to);
    Ok(params)
}

/// Valid from and to the midnight so many days from now.
fn valid(params: &mut CertificateParams, now: Timestamp, from: i64, to: i64) {
    let midnight = |days| {
        let day = now.to_zoned(TimeZone::UTC).date().saturating_add(Span::new().days(days));
        rcgen::date_time_ymd(day.year().into(), day.month().unsigned_abs(), day.day().unsigned_abs())
    };
    (params.not_before, params.not_after) = (midnight(from), midnight(to));
}

/// Readable by us alone from the first byte on.
fn write(path: &Path, pem: &str) -> anyhow::Result<()> {
    let written = || -> std::io::Result<()> {
        if path.exists() {
            std::fs::remove_file(path)?;
        }
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(pem.as_bytes())
    };
    written().with_context(|| format!("{} cannot be written", path.display()))
}
