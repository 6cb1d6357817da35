//! The assertions of the security corpus, as far as no key and no clock is needed.

use super::*;
use crate::model::assertion::{Algorithm, Assertion, Kind, Signed, Value};
use crate::wire::xml::tree;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/security/saml");

fn examine(file: &str) -> Result<(Signed, Assertion), Option<Kind>> {
    let xml = std::fs::read_to_string(format!("{CORPUS}/saml-{file}.xml")).unwrap();
    let doc = tree::parse(&xml).unwrap();
    let located = locate(doc.root_element()).map_err(|t| Some(t.kind))?.ok_or(None)?;
    let signed = take_apart(located).map_err(|t| Some(t.kind))?;
    Ok((signed, read(located.assertion).map_err(|t| Some(t.kind))?))
}

#[test]
fn good_assertions_fit_their_digests() {
    for (file, algorithm) in [
        ("valid-rsa", Algorithm::RsaSha256),
        ("valid-p256", Algorithm::EcdsaSha256),
        ("valid-p384", Algorithm::EcdsaSha384),
        ("valid-rollover", Algorithm::RsaSha256),
        ("valid-multi-aud", Algorithm::RsaSha256),
        ("valid-skew", Algorithm::RsaSha256),
    ] {
        let (signed, assertion) = examine(file).unwrap();
        assert_eq!(signed.algorithm, algorithm, "{file}");
        assert_eq!(assertion.issuer, "https://xua-idp.test.invalid/saml", "{file}");
    }
}

#[test]
fn what_is_said_is_read() {
    let (_, a) = examine("valid-p256").unwrap();
    assert_eq!((a.name_id.as_str(), a.provided_id.as_deref()), ("dr-yamada", Some("yamada")));
    assert_eq!(a.texts("urn:oasis:names:tc:xspa:1.0:subject:subject-id").collect::<Vec<_>>(), ["山田 太郎"]);
    let roles: Vec<&Value> = a.values("urn:oasis:names:tc:xacml:2.0:subject:role").collect();
    assert!(matches!(roles.as_slice(), [Value::Coded { code, system, .. }]
        if code == "Medical Doctor" && system == "1.2.392.100495.1.6.1.1"));
    assert_eq!(a.conditions.unwrap().audiences, [["urn:oid:2.999.392.1.1"]]);
    assert_eq!((a.authenticated.len(), a.confirmations.len()), (1, 1));
}

#[test]
fn what_is_built_otherwise_is_refused() {
    for (file, kind) in [
        ("no-security-header", None),
        ("empty-security", Some(Kind::InvalidSecurity)),
        ("unsigned", Some(Kind::InvalidSecurityToken)),
        ("encrypted-unsupported", Some(Kind::UnsupportedSecurityToken)),
        ("sha1", Some(Kind::UnsupportedAlgorithm)),
        ("sha1-digest", Some(Kind::UnsupportedAlgorithm)),
        ("hmac-confusion", Some(Kind::UnsupportedAlgorithm)),
        ("xslt-transform", Some(Kind::UnsupportedAlgorithm)),
        ("xpath-transform", Some(Kind::UnsupportedAlgorithm)),
        ("empty-uri", Some(Kind::InvalidSecurityToken)),
        ("external-reference", Some(Kind::InvalidSecurityToken)),
        ("no-reference", Some(Kind::InvalidSecurityToken)),
        ("two-references", Some(Kind::InvalidSecurityToken)),
        ("tampered-role", Some(Kind::FailedCheck)),
        ("xsw1", Some(Kind::InvalidSecurity)),
        ("xsw2", Some(Kind::InvalidSecurity)),
        ("xsw3", Some(Kind::InvalidSecurity)),
        ("xsw4", Some(Kind::InvalidSecurity)),
        ("xsw5", Some(Kind::InvalidSecurity)),
        ("xsw6", Some(Kind::InvalidSecurity)),
        ("xsw7", Some(Kind::InvalidSecurity)),
        ("xsw8", Some(Kind::InvalidSecurity)),
    ] {
        assert_eq!(examine(file).map(|_| ()), Err(kind), "{file}");
    }
}

#[test]
fn every_kind_has_a_subcode_of_its_own() {
    let codes: std::collections::HashSet<&str> = Kind::ALL.into_iter().map(Kind::subcode).collect();
    assert_eq!(codes.len(), Kind::ALL.len());
}
