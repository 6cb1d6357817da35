//! An access token (IUA, ITI-72: a JWT in `Authorization: Bearer`) as values, and why one is refused. Reading it says
//! nothing of whether it holds. ITI TF-2 3.71.4.2.2; RFC 7519; RFC 9068.

use jiff::Timestamp;

use super::user::Coded;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// `iss`
    pub issuer: String,
    /// `sub`: the user, or the client where nobody stands behind it.
    pub subject: String,
    /// `aud`
    pub audiences: Vec<String>,
    /// `jti`
    pub id: Option<String>,
    /// `exp`
    pub expires: Timestamp,
    /// `nbf`
    pub not_before: Option<Timestamp>,
    /// `iat`
    pub issued: Option<Timestamp>,
    /// `scope`; `None` where the claim is absent.
    pub scopes: Option<Vec<String>>,
    /// `client_id` (RFC 9068 2.2)
    pub client: Option<String>,
    /// `acr`: how the user signed in.
    pub signed_in: Option<String>,
    pub claims: Claims,
}

/// The extensions `ihe_iua` and `ihe_bppc` (ITI TF-2 3.71.4.2.2.1, 3.71.4.2.2.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claims {
    pub name: Option<String>,
    pub organization: Option<String>,
    pub organization_id: Option<String>,
    pub roles: Vec<Coded>,
    pub purposes: Vec<Coded>,
    pub home_community_id: Option<String>,
    /// `ihe_bppc.patient_id`: the one patient it is about.
    pub patient: Option<String>,
}

/// What a token may be signed with (RFC 7518 3.1). There is neither `none` nor a shared secret, so neither can be
/// mistaken for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JwsAlgorithm {
    Rs256,
    Rs384,
    Rs512,
    Es256,
    Es384,
    Es512,
}

impl JwsAlgorithm {
    pub const ALL: [JwsAlgorithm; 6] =
        [Self::Rs256, Self::Rs384, Self::Rs512, Self::Es256, Self::Es384, Self::Es512];

    /// `alg`
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
        }
    }

    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.name() == name)
    }
}

/// A token's signature; what is left is to verify it with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedToken {
    pub algorithm: JwsAlgorithm,
    /// `kid`
    pub key_id: Option<String>,
    /// Header and claims as they were signed.
    pub message: Vec<u8>,
    /// Of ECDSA: r and s, each as long as the curve's order.
    pub value: Vec<u8>,
}

/// A public key, of a JWK Set (RFC 7517) or of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwk {
    pub key_id: Option<String>,
    /// What alone it is for (`alg`).
    pub algorithm: Option<JwsAlgorithm>,
    pub material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Material {
    /// Modulus and exponent, big-endian.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// Curve (`P-256`) and coordinates.
    Ec { curve: String, x: Vec<u8>, y: Vec<u8> },
    /// AlgorithmIdentifier (its inside) and subjectPublicKey, as a certificate has them.
    Info { algorithm: Vec<u8>, key: Vec<u8> },
}

/// What is wrong with a token (RFC 6750 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// There is none, where one is required.
    Absent,
    /// The header is not built as it must be.
    InvalidRequest,
    /// Expired, not trusted, not for us, not a token at all.
    InvalidToken,
    /// It is good, and not for this.
    InsufficientScope,
}

impl TokenKind {
    /// `error` of WWW-Authenticate; a challenge to who brought none has none (RFC 6750 3.1).
    pub fn code(self) -> Option<&'static str> {
        match self {
            Self::Absent => None,
            Self::InvalidRequest => Some("invalid_request"),
            Self::InvalidToken => Some("invalid_token"),
            Self::InsufficientScope => Some("insufficient_scope"),
        }
    }
}

/// Why a token is refused: the rule, the claim and the value, but nothing of a patient.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct TokenTrouble {
    pub kind: TokenKind,
    pub text: String,
}

impl TokenTrouble {
    pub fn new(kind: TokenKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}
