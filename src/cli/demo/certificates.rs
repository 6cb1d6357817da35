//! Certificates made on the spot: an authority, the gateway's, and one for a client.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use crate::config::{tls, x509};

/// Where the PEM files are.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The authority of both.
    pub authority: PathBuf,
    pub server: PathBuf,
    pub server_key: PathBuf,
    pub client: PathBuf,
    pub client_key: PathBuf,
}

impl Certificates {
    /// The certificates in `dir`, made anew unless they are all there and good for another day.
    pub fn prepare(dir: &Path, now: Timestamp) -> anyhow::Result<Self> {
        let at = |name: &str| dir.join(name);
        let here = Self {
            authority: at("authority.pem"),
            server: at("gateway.pem"),
            server_key: at("gateway.key"),
            client: at("client.pem"),
            client_key: at("client.key"),
        };
        if !here.usable(now) {
            here.make(dir, now).context("the certificates cannot be made")?;
        }
        Ok(here)
    }

    fn usable(&self, now: Timestamp) -> bool {
        let tomorrow = now.saturating_add(Span::new().hours(24)).unwrap_or(now);
        let pairs = [(&self.server, &self.server_key), (&self.client, &self.client_key)];
        self.authority.exists()
            && pairs.iter().all(|(certificate, key)| {
                let leaf = tls::identity(certificate, key).ok().and_then(|i| i.cert.first().cloned());
                leaf.and_then(|leaf| x509::validity(&leaf)).is_some_and(|v| v.not_after > tomorrow)
            })
    }

    /// The authority's own key is not kept: nothing else can be issued in its name.
    fn make(&self, dir: &Path, now: Timestamp) -> anyhow::Result<()> {
        super::folder::make(dir)?;
        let mut params = parameters(vec![], "Chiren demonstration authority", now)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        write(&self.authority, &authority.pem())?;
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        for (certificate, key_file, name, names, usage) in [
            (&self.server, &self.server_key, "localhost", names, ExtendedKeyUsagePurpose::ServerAuth),
            (&self.client, &self.client_key, "hospital-1", vec![], ExtendedKeyUsagePurpose::ClientAuth),
        ] {
            let mut params = parameters(names, name, now)?;
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![usage];
            let key = KeyPair::generate()?;
            write(certificate, &params.signed_by(&key, &authority)?.pem())?;
            write(key_file, &key.serialize_pem())?;
        }
        Ok(())
    }
}

/// Valid from yesterday, for clocks that disagree, to a year from now.
fn parameters(names: Vec<String>, common_name: &str, now: Timestamp) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let today = now.to_zoned(TimeZone::UTC).date();
    let midnight = |days| {
        let day = today.saturating_add(Span::new().days(days));
        rcgen::date_time_ymd(day.year().into(), day.month().unsigned_abs(), day.day().unsigned_abs())
    };
    params.not_before = midnight(-1);
    params.not_after = midnight(365);
    params.use_authority_key_identifier_extension = true;
    Ok(params)
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn they_are_usable_private_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let now: Timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        let made = Certificates::prepare(dir.path(), now).unwrap();
        assert!(made.usable(now));
        for key in [&made.server_key, &made.client_key] {
            assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        let pem = std::fs::read(&made.client).unwrap();
        Certificates::prepare(dir.path(), now).unwrap();
        assert_eq!(std::fs::read(&made.client).unwrap(), pem, "kept while they are good");
        let later = now + jiff::SignedDuration::from_hours(24 * 365);
        Certificates::prepare(dir.path(), later).unwrap();
        assert_ne!(std::fs::read(&made.client).unwrap(), pem, "made anew once they are not");
    }
}
