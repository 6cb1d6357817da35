//! An identity provider: assertions written in canonical form, signed with ECDSA on P-256.

use std::fmt::Write as _;
use std::path::PathBuf;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

pub const HPKI: &str = "1.2.392.100495.1.6.1.1";
const ISSUER: &str = "https://idp.example.jp/saml";
const PURPOSES: &str = "2.16.840.1.113883.5.8";

pub struct Idp {
    pub dir: TempDir,
    key: EcdsaKeyPair,
}

/// Who asks.
#[derive(Clone)]
pub struct Person {
    pub name: String,
    pub facility: String,
    pub role: String,
    pub purpose: Option<String>,
    pub patient: Option<String>,
    pub home: Option<String>,
}

impl Person {
    pub fn doctor(name: &str, facility: &str) -> Self {
        Self {
            name: name.into(),
            facility: facility.into(),
            role: "Medical Doctor".into(),
            purpose: None,
            patient: None,
            home: None,
        }
    }

    pub fn nurse(name: &str, facility: &str) -> Self {
        Self { role: "General Nurse".into(), ..Self::doctor(name, facility) }
    }

    pub fn with(self, purpose: &str) -> Self {
        Self { purpose: Some(purpose.into()), ..self }
    }
}

impl Idp {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate =
            rcgen::CertificateParams::new(vec!["idp".into()]).unwrap().self_signed(&pair).unwrap();
        std::fs::write(dir.path().join("idp.pem"), certificate.pem()).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pair.serialize_der()).unwrap();
        Self { dir, key }
    }

    pub fn name(&self) -> &'static str {
        ISSUER
    }

    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("idp.pem")
    }

    /// `wsse:Security` with an assertion about somebody.
    pub fn security(&self, who: &Person, now: Timestamp) -> String {
        let id = format!("_{}", uuid::Uuid::new_v4().simple());
        let until = now + SignedDuration::from_hours(1);
        let head = format!(
            "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"{id}\" \
             IssueInstant=\"{now}\" Version=\"2.0\"><saml:Issuer>{ISSUER}</saml:Issuer>"
        );
        let mut rest = format!(
            "<saml:Subject><saml:NameID>{}</saml:NameID><saml:SubjectConfirmation \
             Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\"></saml:SubjectConfirmation></saml:Subject>\
             <saml:Conditions NotBefore=\"{now}\" NotOnOrAfter=\"{until}\"><saml:AudienceRestriction>\
             <saml:Audience>urn:oid:2.999.392.1.1</saml:Audience></saml:AudienceRestriction></saml:Conditions>\
             <saml:AuthnStatement AuthnInstant=\"{now}\"><saml:AuthnContext><saml:AuthnContextClassRef>\
             urn:oasis:names:tc:SAML:2.0:ac:classes:X509</saml:AuthnContextClassRef></saml:AuthnContext>\
             </saml:AuthnStatement><saml:AttributeStatement>",
            who.name
        );
        let mut attribute = |name: &str, value: &str| {
            let _ = write!(
                rest,
                "<saml:Attribute Name=\"{name}\"><saml:AttributeValue>{value}</saml:AttributeValue></saml:Attribute>"
            );
        };
        let coded = |element: &str, code: &str, system: &str| {
            format!(
                "<{element} xmlns=\"urn:hl7-org:v3\" code=\"{code}\" codeSystem=\"{system}\"></{element}>"
            )
        };
        attribute(
            "urn:oasis:names:tc:xspa:1.0:subject:organization-id",
            &format!("urn:oid:{}", who.facility),
        );
        attribute("urn:oasis:names:tc:xacml:2.0:subject:role", &coded("Role", &who.role, HPKI));
        if let Some(purpose) = &who.purpose {
            let value = coded("PurposeOfUse", purpose, PURPOSES);
            attribute("urn:oasis:names:tc:xspa:1.0:subject:purposeofuse", &value);
        }
        if let Some(patient) = &who.patient {
            let value = patient.replace('&', "&amp;");
            attribute("urn:oasis:names:tc:xacml:2.0:resource:resource-id", &value);
        }
        if let Some(home) = &who.home {
            attribute("urn:ihe:iti:xca:2010:homeCommunityId", home);
        }
        rest.push_str("</saml:AttributeStatement></saml:Assertion>");
        let digest = STANDARD.encode(Sha256::digest(format!("{head}{rest}")));
        let signed = |namespace: &str| {
            format!(
                "<ds:SignedInfo{namespace}><ds:CanonicalizationMethod \
                 Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:CanonicalizationMethod>\
                 <ds:SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256\">\
                 </ds:SignatureMethod><ds:Reference URI=\"#{id}\"><ds:Transforms><ds:Transform \
                 Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"></ds:Transform><ds:Transform \
                 Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:Transform></ds:Transforms>\
                 <ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></ds:DigestMethod>\
                 <ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
            )
        };
        let canonical = signed(" xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"");
        let signature = self.key.sign(&SystemRandom::new(), canonical.as_bytes()).unwrap();
        let signature = STANDARD.encode(signature.as_ref());
        format!(
            "<wsse:Security xmlns:wsse=\"http://docs.oasis-open.org/wss/2004/01/\
             oasis-200401-wss-wssecurity-secext-1.0.xsd\" s:mustUnderstand=\"1\">{head}\
             <ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">{}<ds:SignatureValue>{signature}\
             </ds:SignatureValue></ds:Signature>{rest}</wsse:Security>",
            signed("")
        )
    }
}
