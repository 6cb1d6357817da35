//! A user assertion (ITI-40, SAML 2.0) as values, and why one is refused. Reading it says nothing of whether it holds.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::error::Fault;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    pub id: String,
    pub issued: Timestamp,
    pub issuer: String,
    pub name_id: String,
    /// `NameID/@SPProvidedID`.
    pub provided_id: Option<String>,
    pub confirmations: Vec<Confirmation>,
    pub conditions: Option<Conditions>,
    /// Each AuthnStatement that has an AuthnContextClassRef.
    pub authenticated: Vec<Authenticated>,
    pub attributes: Vec<Attribute>,
}

/// An AuthnStatement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    /// `AuthnInstant`.
    pub at: Timestamp,
    /// `AuthnContextClassRef`: how the user signed in.
    pub class: String,
}

/// A SubjectConfirmation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Confirmation {
    /// `urn:oasis:names:tc:SAML:2.0:cm:bearer` …
    pub method: String,
    pub not_before: Option<Timestamp>,
    pub not_on_or_after: Option<Timestamp>,
    /// Certificates (DER) of a holder's KeyInfo.
    pub certificates: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conditions {
    pub not_before: Option<Timestamp>,
    pub not_on_or_after: Option<Timestamp>,
    /// Each restriction must be met, by any audience of it (SAML 2.0 Errata E46).
    pub audiences: Vec<Vec<String>>,
    pub one_time_use: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    pub name: String,
    pub values: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Text(String),
    /// An HL7 v3 CE: Role, PurposeOfUse.
    Coded {
        code: String,
        system: String,
        display: Option<String>,
    },
    /// An HL7 v3 II.
    Id {
        root: String,
        extension: Option<String>,
    },
}

impl Assertion {
    /// All values of an attribute, however often it stands.
    pub fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Value> {
        self.attributes.iter().filter(move |a| a.name == name).flat_map(|a| &a.values)
    }

    /// Those that are text.
    pub fn texts<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        self.values(name).filter_map(|v| match v {
            Value::Text(text) if !text.is_empty() => Some(text.as_str()),
            _ => None,
        })
    }
}

/// Names of attributes (ITI TF-2 3.40.4.1.2; XSPA 1.0).
pub mod name {
    pub const SUBJECT: &str = "urn:oasis:names:tc:xspa:1.0:subject:subject-id";
    pub const ORGANIZATION: &str = "urn:oasis:names:tc:xspa:1.0:subject:organization";
    pub const ORGANIZATION_ID: &str = "urn:oasis:names:tc:xspa:1.0:subject:organization-id";
    /// The second is older, and read alone.
    pub const HOME: [&str; 2] =
        ["urn:ihe:iti:xca:2010:homeCommunityId", "urn:nhin:names:saml:homeCommunityId"];
    pub const ROLE: &str = "urn:oasis:names:tc:xacml:2.0:subject:role";
    pub const PURPOSE: &str = "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse";
    pub const PATIENT: &str = "urn:oasis:names:tc:xacml:2.0:resource:resource-id";
}

/// Confirmation methods (SAML 2.0 Profiles 3).
pub const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
pub const HOLDER_OF_KEY: &str = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key";
/// Of a user whose way of signing in is not told (SAML 2.0 Authentication Context 3.4.25).
pub const UNSPECIFIED: &str = "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified";

/// An assertion as it was brought, to be passed on to those it is for. It is kept nowhere, and `Debug` prints nothing
/// of it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Brought(Option<Arc<Original>>);

#[derive(Debug, PartialEq, Eq)]
pub struct Original {
    /// The element, with every namespace it uses declared in it.
    pub xml: String,
    /// As in [`Conditions`].
    pub audiences: Vec<Vec<String>>,
    pub until: Timestamp,
    /// Whom it is for may use it once.
    pub one_time_use: bool,
}

impl Brought {
    pub fn new(original: Original) -> Self {
        Self(Some(Arc::new(original)))
    }

    pub fn original(&self) -> Option<&Original> {
        self.0.as_deref()
    }
}

impl fmt::Debug for Brought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Brought(…)" } else { "Brought(nothing)" })
    }
}

/// What signatures may be made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    RsaSha256,
    RsaSha384,
    RsaSha512,
    EcdsaSha256,
    EcdsaSha384,
}

impl Algorithm {
    pub const ALL: [Algorithm; 5] = [
        Algorithm::RsaSha256,
        Algorithm::RsaSha384,
        Algorithm::RsaSha512,
        Algorithm::EcdsaSha256,
        Algorithm::EcdsaSha384,
    ];

    /// RFC 6931.
    pub fn uri(self) -> &'static str {
        match self {
            Algorithm::RsaSha256 => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            Algorithm::RsaSha384 => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
            Algorithm::RsaSha512 => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
            Algorithm::EcdsaSha256 => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
            Algorithm::EcdsaSha384 => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
        }
    }
}

/// A signature whose digest fits the assertion; what is left is to verify the value with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    pub algorithm: Algorithm,
    /// The canonical SignedInfo: what the key signed.
    pub message: Vec<u8>,
    /// Of ECDSA: r and s, each as long as the curve's order.
    pub value: Vec<u8>,
}

/// What is wrong with a security header, by WS-Security's own kinds (Web Services Security: SOAP Message Security
/// 1.1, 12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The header is not built as it must be.
    InvalidSecurity,
    UnsupportedSecurityToken,
    UnsupportedAlgorithm,
    /// The assertion is not built as it must be.
    InvalidSecurityToken,
    /// The signature does not fit.
    FailedCheck,
    /// Not trusted, not valid now, not for us, not theirs.
    FailedAuthentication,
    SecurityTokenUnavailable,
}

impl Kind {
    pub const ALL: [Kind; 7] = [
        Kind::InvalidSecurity,
        Kind::UnsupportedSecurityToken,
        Kind::UnsupportedAlgorithm,
        Kind::InvalidSecurityToken,
        Kind::FailedCheck,
        Kind::FailedAuthentication,
        Kind::SecurityTokenUnavailable,
    ];

    pub fn subcode(self) -> &'static str {
        match self {
            Kind::InvalidSecurity => "wsse:InvalidSecurity",
            Kind::UnsupportedSecurityToken => "wsse:UnsupportedSecurityToken",
            Kind::UnsupportedAlgorithm => "wsse:UnsupportedAlgorithm",
            Kind::InvalidSecurityToken => "wsse:InvalidSecurityToken",
            Kind::FailedCheck => "wsse:FailedCheck",
            Kind::FailedAuthentication => "wsse:FailedAuthentication",
            Kind::SecurityTokenUnavailable => "wsse:SecurityTokenUnavailable",
        }
    }
}

/// Why an assertion is refused: the rule, the element and the value, but nothing of a patient.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Trouble {
    pub kind: Kind,
    pub text: String,
}

impl Trouble {
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// HTTP 500, as WS-Security 1.1 has it for all its faults.
    pub fn fault(&self) -> Fault {
        Fault::sender(self.text.clone()).subcode(self.kind.subcode()).status(500)
    }
}
