//! An identity provider and an authorization server: assertions and tokens with one thing spoiled where a test wants it.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chiren::config::{XuaIssuerConfig, XuaOwnConfig};
use chiren::model::assertion::{
    Assertion, Attribute, Authenticated, BEARER, Conditions, Confirmation, Value, name,
};
use chiren::peer::assertion::Issuer;
use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm, SigningKey as _};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

pub const IDP: &str = "https://idp.test.invalid/saml";
pub const AUDIENCE: &str = "urn:oid:2.999.392.1.1";
pub const HC_ROLE: &str = "1.2.392.100495.1.6.1.1";

/// One key, with the name it signs by.
pub struct Idp {
    pub dir: TempDir,
    pub key: KeyPair,
    issuer: Issuer,
    name: String,
}

impl Idp {
    /// Of P-256.
    pub fn new() -> Self {
        Self::named(IDP, &rcgen::PKCS_ECDSA_P256_SHA256)
    }

    pub fn named(name: &str, algorithm: &'static SignatureAlgorithm) -> Self {
        chiren::config::tls::install_provider();
        let dir = tempfile::tempdir().expect("a directory");
        let key = KeyPair::generate_for(algorithm).expect("a key");
        let mut params = CertificateParams::default();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2099, 1, 1);
        let certificate = params.self_signed(&key).expect("a certificate");
        std::fs::write(dir.path().join("cert.pem"), certificate.pem()).expect("written");
        std::fs::write(dir.path().join("key.pem"), key.serialize_pem()).expect("written");
        let own = own(name, dir.path());
        let issuer = Issuer::open(&own).expect("a key").expect("an issuer");
        Self { dir, key, issuer, name: name.into() }
    }

    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    /// As a gateway's own issuer.
    pub fn own(&self) -> XuaOwnConfig {
        own(&self.name, self.dir.path())
    }

    /// As one that a gateway trusts.
    pub fn trusted(&self) -> XuaIssuerConfig {
        XuaIssuerConfig {
            name: self.name.clone(),
            certificates: vec![self.certificate()],
            ..XuaIssuerConfig::default()
        }
    }

    /// A doctor's assertion, changed before it is signed.
    pub fn assertion(&self, now: Timestamp, change: impl FnOnce(&mut Assertion)) -> String {
        let mut assertion = assertion(&self.name, now);
        change(&mut assertion);
        self.issuer.sign(&assertion).expect("signed")
    }

    /// A JWT of these claims.
    pub fn token(&self, header: &Json, claims: &Json) -> String {
        let part = |json: &Json| URL_SAFE_NO_PAD.encode(json.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let made = self.key.sign(message.as_bytes()).expect("signed");
        let algorithm = header["alg"].as_str().unwrap_or_default();
        let value = if algorithm.starts_with("ES") { in_a_row(&made, self.size()) } else { made };
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(value))
    }

    fn size(&self) -> usize {
        if self.key.is_compatible(&rcgen::PKCS_ECDSA_P384_SHA384) { 48 } else { 32 }
    }
}

fn own(name: &str, dir: &std::path::Path) -> XuaOwnConfig {
    XuaOwnConfig {
        issuer: name.into(),
        certificate: Some(dir.join("cert.pem")),
        private_key: Some(dir.join("key.pem")),
        ..XuaOwnConfig::default()
    }
}

/// r and s of an ECDSA-Sig-Value, each of `size` octets.
fn in_a_row(der: &[u8], size: usize) -> Vec<u8> {
    let mut rest = if der[1] & 0x80 != 0 { &der[3..] } else { &der[2..] };
    let mut out = vec![];
    for _ in 0..2 {
        let length = usize::from(rest[1]);
        let integer: Vec<u8> = rest[2..2 + length].iter().copied().skip_while(|b| *b == 0).collect();
        out.extend(std::iter::repeat_n(0, size - integer.len()).chain(integer));
        rest = &rest[2 + length..];
    }
    out
}

/// `wsse:Security` with an assertion, and a MessageID.
pub fn headers(assertion: &str) -> String {
    format!("{}{}", message_id(), security(assertion))
}

pub fn message_id() -> String {
    format!("<a:MessageID>urn:uuid:{}</a:MessageID>", uuid::Uuid::new_v4())
}

pub fn security(assertion: &str) -> String {
    let ns = chiren::model::namespace::NS_WSSE;
    format!("<wsse:Security xmlns:wsse=\"{ns}\">{assertion}</wsse:Security>")
}

pub fn text(name: &str, value: &str) -> Attribute {
    Attribute { name: name.into(), values: vec![Value::Text(value.into())] }
}

pub fn coded(name: &str, code: &str, system: &str) -> Attribute {
    let value = Value::Coded { code: code.into(), system: system.into(), display: None };
    Attribute { name: name.into(), values: vec![value] }
}

/// Of a doctor, valid for an hour from now on.
fn assertion(issuer: &str, now: Timestamp) -> Assertion {
    Assertion {
        id: format!("_{}", uuid::Uuid::new_v4().simple()),
        issued: now,
        issuer: issuer.into(),
        name_id: "dr-yamada".into(),
        provided_id: Some("yamada".into()),
        confirmations: vec![Confirmation { method: BEARER.into(), ..Confirmation::default() }],
        conditions: Some(Conditions {
            not_before: Some(now),
            not_on_or_after: Some(now + SignedDuration::from_hours(1)),
            audiences: vec![vec![AUDIENCE.into()]],
            one_time_use: false,
        }),
        authenticated: vec![Authenticated {
            at: now,
            class: "urn:oasis:names:tc:SAML:2.0:ac:classes:SmartcardPKI".into(),
        }],
        attributes: vec![
            text(name::SUBJECT, "山田 太郎"),
            text(name::ORGANIZATION, "地域病院"),
            coded(name::ROLE, "Medical Doctor", HC_ROLE),
            coded(name::PURPOSE, "TREATMENT", "2.16.840.1.113883.3.18.7.1"),
        ],
    }
}

/// Claims of a doctor's token, valid for five minutes from now on.
pub fn claims(issuer: &str, now: Timestamp) -> Json {
    let now = now.as_second();
    json!({
        "iss": issuer, "sub": "dr-yamada", "aud": [AUDIENCE], "jti": uuid::Uuid::new_v4().to_string(),
        "iat": now, "nbf": now, "exp": now + 300, "scope": "patient.read", "client_id": "viewer",
        "extensions": { "ihe_iua": {
            "subject_name": "山田 太郎", "subject_organization": "地域病院",
            "subject_organization_id": "urn:oid:2.999.10.1",
            "subject_role": [{ "system": format!("urn:oid:{HC_ROLE}"), "code": "Medical Doctor" }],
            "purpose_of_use": [{ "system": "urn:oid:2.16.840.1.113883.5.8", "code": "BTG" }],
        } }
    })
}
