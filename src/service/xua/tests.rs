//! Assertions made here, each with one thing spoiled.

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::config::XuaIssuerConfig;
use crate::model::assertion::{Algorithm, Attribute, Conditions};

fn now() -> Timestamp {
    "2026-06-15T03:00:00Z".parse().unwrap()
}

struct Idp {
    _dir: tempfile::TempDir,
    key: rcgen::KeyPair,
    xua: Xua,
}

const NODE: Node<'static> = Node { address: "10.0.0.1", certificate: None, listed: None };

fn idp(change: impl FnOnce(&mut XuaConfig)) -> Idp {
    crate::config::tls::install_provider();
    let dir = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    let path = dir.path().join("idp.pem");
    std::fs::write(&path, params.self_signed(&key).unwrap().pem()).unwrap();
    let mut config = XuaConfig {
        mode: XuaMode::Required,
        audiences: vec!["urn:us".into()],
        issuer: vec![XuaIssuerConfig { name: "urn:idp".into(), certificates: vec![path] }],
        ..XuaConfig::default()
    };
    change(&mut config);
    Idp { _dir: dir, key, xua: Xua::new(config, "urn:oid:1.2.3").unwrap() }
}

fn good() -> Assertion {
    let text =
        |name: &str, value: &str| Attribute { name: name.into(), values: vec![Value::Text(value.into())] };
    let hour = SignedDuration::from_hours(1);
    Assertion {
        id: "_1".into(),
        issued: now(),
        issuer: "urn:idp".into(),
        name_id: "dr".into(),
        provided_id: None,
        confirmations: vec![Confirmation { method: BEARER.into(), ..Confirmation::default() }],
        conditions: Some(Conditions {
            not_before: Some(now()),
            not_on_or_after: Some(now() + hour),
            audiences: vec![vec!["urn:other".into(), "urn:us".into()]],
            one_time_use: false,
        }),
        authenticated: vec![now()],
        attributes: vec![
            text(name::HOME[0], "urn:oid:1.2.3"),
            text(name::ORGANIZATION_ID, "urn:oid:1.2.3.4"),
            Attribute {
                name: name::ROLE.into(),
                values: vec![Value::Coded {
                    code: "Medical Doctor".into(),
                    system: "1.2.392.100495.1.6.1.1".into(),
                    display: None,
                }],
            },
        ],
    }
}

impl Idp {
    /// An ECDSA value of the provider is DER; assertions have r and s in a row.
    fn signed(&self) -> Signed {
        let message = b"<ds:SignedInfo/>".to_vec();
        let der = rcgen::SigningKey::sign(&self.key, &message).unwrap();
        let mut rest = &der[2..];
        let mut value = vec![];
        for _ in 0..2 {
            let length = usize::from(rest[1]);
            let integer = &rest[2..2 + length];
            let bytes: Vec<u8> = integer.iter().copied().skip_while(|b| *b == 0).collect();
            value.extend(std::iter::repeat_n(0, 32 - bytes.len()).chain(bytes));
            rest = &rest[2 + length..];
        }
        Signed { algorithm: Algorithm::EcdsaSha256, message, value }
    }

    fn examine(&self, change: impl FnOnce(&mut Assertion)) -> Result<User, Kind> {
        let mut assertion = good();
        change(&mut assertion);
        self.xua.examine(&assertion, &self.signed(), NODE, now()).map_err(|t| t.kind)
    }
}

#[test]
fn a_good_assertion_names_its_user() {
    let user = idp(|_| {}).examine(|_| {}).unwrap();
    assert_eq!(user.audited(), "<dr@urn:idp>");
    assert_eq!((user.roles.len(), user.assertion.as_str()), (1, "_1"));
}

#[test]
fn each_spoiling_is_refused() {
    type Spoil = fn(&mut Assertion);
    let invalid = Kind::InvalidSecurityToken;
    let failed = Kind::FailedAuthentication;
    let cases: &[(&str, Kind, Spoil)] = &[
        ("issuer", failed, |a| a.issuer = "urn:idp/".into()),
        ("no conditions", invalid, |a| a.conditions = None),
        ("no begin", invalid, |a| a.conditions.as_mut().unwrap().not_before = None),
        ("no end", invalid, |a| a.conditions.as_mut().unwrap().not_on_or_after = None),
        ("end before begin", invalid, |a| {
            a.conditions.as_mut().unwrap().not_on_or_after = Some(now() - SignedDuration::from_secs(1));
        }),
        ("long", failed, |a| {
            a.conditions.as_mut().unwrap().not_on_or_after = Some(now() + SignedDuration::from_hours(13));
        }),
        ("to come", failed, |a| {
            a.conditions.as_mut().unwrap().not_before = Some(now() + SignedDuration::from_secs(181));
        }),
        ("over", failed, |a| {
            let conditions = a.conditions.as_mut().unwrap();
            conditions.not_before = Some(now() - SignedDuration::from_hours(1));
            conditions.not_on_or_after = Some(now() - SignedDuration::from_secs(180));
        }),
        ("made ahead", failed, |a| a.issued = now() + SignedDuration::from_secs(181)),
        ("nobody signed in", invalid, |a| a.authenticated.clear()),
        ("no audience", invalid, |a| a.conditions.as_mut().unwrap().audiences.clear()),
        ("audience like ours", failed, |a| {
            a.conditions.as_mut().unwrap().audiences = vec![vec!["urn:us/".into()]];
        }),
        ("a second restriction", failed, |a| {
            a.conditions.as_mut().unwrap().audiences.push(vec!["urn:other".into()]);
        }),
        ("no confirmation", failed, |a| a.confirmations.clear()),
        ("sender vouches", failed, |a| {
            a.confirmations[0].method = "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches".into();
        }),
        ("confirmed too late", failed, |a| {
            a.confirmations[0].not_on_or_after = Some(now() - SignedDuration::from_secs(180));
        }),
        ("holder of a key not shown", failed, |a| a.confirmations[0].method = HOLDER_OF_KEY.into()),
        ("no role", failed, |a| a.attributes.retain(|x| x.name != name::ROLE)),
        ("another community", failed, |a| {
            a.attributes[0].values = vec![Value::Text("urn:oid:1.2.9".into())];
        }),
    ];
    for (what, kind, spoil) in cases {
        assert_eq!(idp(|_| {}).examine(spoil).map(|_| ()), Err(*kind), "{what}");
    }
}

#[test]
fn the_clocks_may_differ_a_little() {
    let idp = idp(|_| {});
    let at = |seconds: i64| {
        move |a: &mut Assertion| {
            let conditions = a.conditions.as_mut().unwrap();
            conditions.not_before = Some(now() + SignedDuration::from_secs(seconds));
        }
    };
    assert!(idp.examine(at(180)).is_ok());
    assert_eq!(idp.examine(at(181)), Err(Kind::FailedAuthentication));
}

#[test]
fn the_end_of_time_may_be_named() {
    let idp = idp(|_| {});
    assert!(idp.examine(|a| a.confirmations[0].not_on_or_after = Some(Timestamp::MAX)).is_ok());
    assert!(idp.examine(|a| a.confirmations[0].not_before = Some(Timestamp::MIN)).is_ok());
    let without_end = |a: &mut Assertion| {
        a.conditions.as_mut().unwrap().not_on_or_after = Some(Timestamp::MAX);
    };
    assert_eq!(idp.examine(without_end), Err(Kind::FailedAuthentication));
    let at_the_end = |a: &mut Assertion| {
        let conditions = a.conditions.as_mut().unwrap();
        (conditions.not_before, conditions.not_on_or_after) =
            (Some(Timestamp::MAX - SignedDuration::from_secs(1)), Some(Timestamp::MAX));
    };
    assert_eq!(idp.examine(at_the_end), Err(Kind::FailedAuthentication));
}

#[test]
fn another_key_is_no_key() {
    let (one, other) = (idp(|_| {}), idp(|_| {}));
    let judged = one.xua.examine(&good(), &other.signed(), NODE, now());
    assert_eq!(judged.map_err(|t| t.kind).map(|_| ()), Err(Kind::FailedCheck));
    let late = "2027-01-02T00:00:00Z".parse().unwrap();
    let judged = one.xua.examine(&good(), &one.signed(), NODE, late);
    assert_eq!(judged.map_err(|t| t.kind).map(|_| ()), Err(Kind::FailedAuthentication));
}

#[test]
fn an_assertion_is_one_nodes() {
    let idp = idp(|_| {});
    let brought = |address: &'static str| {
        let node = Node { address, certificate: None, listed: None };
        idp.xua.examine(&good(), &idp.signed(), node, now()).map(|_| ()).map_err(|t| t.kind)
    };
    assert_eq!(brought("10.0.0.1"), Ok(()));
    assert_eq!(brought("10.0.0.1"), Ok(()));
    assert_eq!(brought("10.0.0.2"), Err(Kind::FailedAuthentication));
}

#[test]
fn one_use_is_one_use() {
    let idp = idp(|_| {});
    let once = |a: &mut Assertion| a.conditions.as_mut().unwrap().one_time_use = true;
    assert!(idp.examine(once).is_ok());
    assert_eq!(idp.examine(once), Err(Kind::FailedAuthentication));
}

#[test]
fn the_mode_is_the_transactions() {
    let idp = idp(|c| {
        c.transactions =
            [("ITI-41".to_owned(), XuaMode::Off), ("ITI-18".to_owned(), XuaMode::Optional)].into();
    });
    assert!(idp.xua.absent(Transaction::Iti41).is_ok() && idp.xua.absent(Transaction::Iti18).is_ok());
    let absent = idp.xua.absent(Transaction::Iti43).unwrap_err();
    assert_eq!(absent.kind, Kind::SecurityTokenUnavailable);
}
