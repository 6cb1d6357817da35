//! The user a driver asks for: one assertion, signed at the start and brought in every request, as a hospital's gateway
//! brings that of a doctor who looks at one thing after another.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::config::XuaOwnConfig;
use crate::model::assertion::{
    Assertion, Attribute, Authenticated, BEARER, Conditions, Confirmation, UNSPECIFIED, Value, name,
};
use crate::peer::assertion::Issuer;

/// Who vouches for whom, and to whom.
#[derive(Debug, Clone, Args)]
pub struct User {
    /// Bring an assertion (XUA) of this issuer in every request: the name in `xua.issuer`
    #[arg(
        long,
        value_name = "NAME",
        requires = "assertion_certificate",
        requires = "assertion_key",
        requires = "audience"
    )]
    assertion_issuer: Option<String>,

    /// PEM file of the issuer's certificate
    #[arg(long, value_name = "FILE", requires = "assertion_issuer")]
    assertion_certificate: Option<PathBuf>,

    /// PEM file of its private key
    #[arg(long, value_name = "FILE", requires = "assertion_issuer")]
    assertion_key: Option<PathBuf>,

    /// Whom the assertion is for: one of `xua.audiences`
    #[arg(long, value_name = "URI", requires = "assertion_issuer")]
    audience: Option<String>,

    /// The user's organization, as a URI
    #[arg(long, value_name = "URI", requires = "assertion_issuer")]
    organization: Option<String>,

    /// The homeCommunityId the user belongs to
    #[arg(long, value_name = "URN", requires = "assertion_issuer")]
    home: Option<String>,
}

impl User {
    /// The assertion, signed; nothing where no issuer is named.
    pub fn assertion(&self) -> anyhow::Result<Option<String>> {
        let Some(issuer) = &self.assertion_issuer else { return Ok(None) };
        let own = XuaOwnConfig {
            issuer: issuer.clone(),
            certificate: self.assertion_certificate.clone(),
            private_key: self.assertion_key.clone(),
            ..XuaOwnConfig::default()
        };
        let Some(issuer) = Issuer::open(&own)? else { bail!("--assertion-certificate and --assertion-key") };
        let signed = issuer.sign(&self.of(issuer.name(), Timestamp::now())?);
        signed.map(Some).context("the assertion")
    }

    fn of(&self, issuer: &str, now: Timestamp) -> anyhow::Result<Assertion> {
        let text = |name: &str, value: &str| Attribute {
            name: name.to_owned(),
            values: vec![Value::Text(value.to_owned())],
        };
        let coded = |name: &str, code: &str, system: &str| Attribute {
            name: name.to_owned(),
            values: vec![Value::Coded { code: code.into(), system: system.into(), display: None }],
        };
        let mut attributes = vec![
            text(name::SUBJECT, "負荷 太郎"),
            coded(name::ROLE, "112247003", "2.16.840.1.113883.6.96"),
            coded(name::PURPOSE, "TREATMENT", "2.16.840.1.113883.3.18.7.1"),
        ];
        attributes.extend(self.organization.as_ref().map(|uri| text(name::ORGANIZATION_ID, uri)));
        attributes.extend(self.home.as_ref().map(|urn| text(name::HOME[0], urn)));
        Ok(Assertion {
            id: format!("_{}", Uuid::new_v4().simple()),
            issued: now,
            issuer: issuer.to_owned(),
            name_id: "bench".to_owned(),
            provided_id: None,
            confirmations: vec![Confirmation { method: BEARER.to_owned(), ..Confirmation::default() }],
            conditions: Some(Conditions {
                not_before: Some(now),
                not_on_or_after: Some(now.checked_add(SignedDuration::from_hours(4))?),
                audiences: vec![self.audience.iter().cloned().collect()],
                one_time_use: false,
            }),
            authenticated: vec![Authenticated { at: now, class: UNSPECIFIED.to_owned() }],
            attributes,
        })
    }
}
