//! A person behind a request, as an assertion that was checked names them (ITI TF-2 3.40.4.1.2).

use serde::{Deserialize, Serialize};

use super::assertion::Brought;

/// Role or purpose.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Coded {
    pub code: String,
    pub system: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
}

/// Made by `service/xua` alone, of an assertion that held.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    pub name_id: String,
    /// `NameID/@SPProvidedID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    pub issuer: String,
    /// The name people know them by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home_community_id: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Coded>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub purposes: Vec<Coded>,
    /// A purpose is one of those that break the glass (`xua.emergency_purposes`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub emergency: bool,
    /// How they signed in: `AuthnContextClassRef`, or `acr` of a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_in: Option<String>,
    /// The one patient it is about, as CX.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient: Option<String>,
    /// `Assertion/@ID`, or `jti` of a token.
    pub assertion: String,
    /// The assertion itself, while the request lasts.
    #[serde(skip)]
    pub brought: Brought,
}

impl User {
    /// As audit records name users of assertions: `alias<user@issuer>` (ITI TF-2 3.40.4.2).
    pub fn audited(&self) -> String {
        format!("{}<{}@{}>", self.alias.as_deref().unwrap_or_default(), self.name_id, self.issuer)
    }
}
