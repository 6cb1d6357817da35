//! Assertions made here, each with one thing spoiled.

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::config::XuaIssuerConfig;
use crate::model::assertion::{Algorithm, Attribute, Authenticated, Conditions, UNSPECIFIED};
use crate::model::community::{AssertionPolicy, Community, CorrelateBy, WithoutUser};
use crate::model::ids::HomeCommunityId;
use crate::store::testing;

fn now() -> Timestamp {
    "2026-06-15T03:00:00Z".parse().unwrap()
}

struct Idp {
    _dir: tempfile::TempDir,
    key: rcgen::KeyPair,
    xua: Xua,
}

fn caller(address: &str) -> Caller {
    Caller { address: address.into(), ..Caller::default() }
}

fn idp(change: impl FnOnce(&mut XuaConfig)) -> Idp {
    idp_with(Arc::new(Memory::new(None)), change)
}

fn idp_with(memory: Arc<Memory>, change: impl FnOnce(&mut XuaConfig)) -> Idp {
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
        issuer: vec![XuaIssuerConfig {
            name: "urn:idp".into(),
            certificates: vec![path],
            ..XuaIssuerConfig::default()
        }],
        ..XuaConfig::default()
    };
    change(&mut config);
    Idp { _dir: dir, key, xua: Xua::new(config, "urn:oid:1.2.3", memory).unwrap() }
}

pub(super) fn good() -> Assertion {
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
        authenticated: vec![Authenticated { at: now(), class: UNSPECIFIED.into() }],
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
        self.examine_by(&caller("10.0.0.1"), None, change).map(|examined| examined.user)
    }

    fn examine_by(
        &self,
        caller: &Caller,
        community: Option<&Community>,
        change: impl FnOnce(&mut Assertion),
    ) -> Result<Examined, Kind> {
        let mut assertion = good();
        change(&mut assertion);
        let node = Node { caller, certificate: None, community };
        let signature = self.xua.verify(None, || Ok((assertion, self.signed())));
        signature.and_then(|s| self.xua.examine(&s, None, node, now())).map_err(|t| t.kind)
    }

    /// Brought by a node of this address; `true`: it may.
    async fn brought(&self, address: &str, change: impl FnOnce(&mut Assertion)) -> bool {
        let examined = self.examine_by(&caller(address), None, change).unwrap();
        self.xua.bring(vec![examined.note], now()).await.unwrap().is_ok()
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
    let signature = one.xua.verify(None, || Ok((good(), other.signed())));
    assert_eq!(signature.map_err(|t| t.kind).map(|_| ()), Err(Kind::FailedCheck));
    let signature = one.xua.verify(None, || Ok((good(), one.signed()))).unwrap();
    let caller = caller("10.0.0.1");
    let node = Node { caller: &caller, certificate: None, community: None };
    let late = "2027-01-02T00:00:00Z".parse().unwrap();
    let judged = one.xua.examine(&signature, None, node, late);
    assert_eq!(judged.map_err(|t| t.kind).map(|_| ()), Err(Kind::FailedAuthentication));
}

#[test]
fn a_text_is_verified_once_and_judged_each_time() {
    let idp = idp(|_| {});
    let never = || panic!("read again");
    let wrong = || Ok((good(), Signed { value: vec![1; 64], ..idp.signed() }));
    let refused = |signature: Result<Signature, Trouble>| signature.map(|_| ()).unwrap_err().kind;
    assert_eq!(refused(idp.xua.verify(Some("a"), wrong)), Kind::FailedCheck);
    assert_eq!(refused(idp.xua.verify(Some("a"), wrong)), Kind::FailedCheck, "a failure is not remembered");
    assert!(idp.xua.verify(Some("a"), || Ok((good(), idp.signed()))).is_ok());
    let again = idp.xua.verify(Some("a"), never).unwrap();
    assert_eq!(refused(idp.xua.verify(Some("a "), wrong)), Kind::FailedCheck, "another text is another");
    let caller = caller("10.0.0.1");
    let node = Node { caller: &caller, certificate: None, community: None };
    let at = |minutes| idp.xua.examine(&again, None, node, now() + SignedDuration::from_mins(minutes));
    assert_eq!(at(0).unwrap().user.name_id, "dr");
    assert_eq!(at(90).map(|_| ()).map_err(|t| t.kind), Err(Kind::FailedAuthentication), "it is over");
    // With its keys read anew nobody is trusted for what the old ones verified.
    idp.xua.reload().unwrap();
    assert_eq!(refused(idp.xua.verify(Some("a"), wrong)), Kind::FailedCheck);
}

#[tokio::test]
async fn an_assertion_is_one_nodes() {
    let idp = idp(|_| {});
    assert!(idp.brought("10.0.0.1", |_| {}).await);
    assert!(idp.brought("10.0.0.1", |_| {}).await);
    assert!(!idp.brought("10.0.0.2", |_| {}).await);
}

#[tokio::test]
async fn one_use_is_one_use() {
    let idp = idp(|_| {});
    let once = |a: &mut Assertion| a.conditions.as_mut().unwrap().one_time_use = true;
    assert!(idp.brought("10.0.0.1", once).await);
    assert!(!idp.brought("10.0.0.1", once).await);
    assert!(!idp.brought("10.0.0.2", |_| {}).await, "that it says nothing of once changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_over_one_database_know_what_the_others_saw() {
    for t in testing::databases().await {
        let gateway = || idp_with(Arc::new(Memory::new(Some(t.db.clone()))), |_| {});
        let (one, two) = (gateway(), gateway());
        assert!(one.brought("10.0.0.1", |_| {}).await);
        assert!(two.brought("10.0.0.1", |_| {}).await);
        assert!(!two.brought("10.0.0.2", |_| {}).await);
        assert!(!gateway().brought("10.0.0.2", |_| {}).await, "a restart forgets nothing");
        let once = |a: &mut Assertion| {
            a.id = "_once".into();
            a.conditions.as_mut().unwrap().one_time_use = true;
        };
        let uses = [one.brought("10.0.0.1", once), two.brought("10.0.0.1", once)];
        let uses = futures_util::future::join_all(uses).await;
        assert_eq!(uses.iter().filter(|used| **used).count(), 1, "of two at once one is first");
        // What is over is forgotten, and only that.
        let memory = Memory::new(Some(t.db.clone()));
        let end = (now() + SignedDuration::from_hours(1)).as_microsecond() + 180_000_000;
        assert_eq!(memory.forget(end - 1).await.unwrap(), 0);
        assert_eq!(memory.forget(end).await.unwrap(), 2);
    }
}

#[tokio::test]
async fn a_message_serves_once_within_its_time() {
    let idp = idp(|c| c.message_ids = MessageIds::Memory);
    let (a, b) = (caller("10.0.0.1"), caller("10.0.0.2"));
    let sent = async |caller: &Caller, id: &str, at: Timestamp| {
        let node = Node { caller, certificate: None, community: None };
        let note = idp.xua.message(Some(id), node, at).unwrap().unwrap();
        idp.xua.bring(vec![note], at).await.unwrap().map_err(|f| f.subcode)
    };
    assert_eq!(sent(&a, "urn:1", now()).await, Ok(()));
    assert_eq!(sent(&a, "urn:1", now()).await, Err(Some("wsa:InvalidAddressingHeader")));
    assert_eq!(sent(&a, "urn:2", now()).await, Ok(()));
    assert_eq!(sent(&b, "urn:1", now()).await, Ok(()), "ids are each node's own");
    let node = Node { caller: &a, certificate: None, community: None };
    let absent = idp.xua.message(None, node, now()).unwrap_err();
    assert_eq!(absent.subcode, Some("wsa:MessageAddressingHeaderRequired"));
    let later = now() + SignedDuration::from_mins(15);
    idp.xua.0.memory.forget(later.as_microsecond()).await.unwrap();
    assert_eq!(sent(&a, "urn:1", later).await, Ok(()));
}

#[test]
fn the_mode_is_the_communitys_the_addresss_the_transactions() {
    let idp = idp(|c| {
        c.transactions =
            [("ITI-41".to_owned(), XuaMode::Off), ("ITI-18".to_owned(), XuaMode::Optional)].into();
        c.endpoints = [("/xca/iti18".to_owned(), XuaMode::Off)].into();
    });
    let mode = |t, path, asked| idp.xua.mode(t, path, asked);
    assert_eq!(mode(Transaction::Iti41, "/xds/iti41", None), XuaMode::Off);
    assert_eq!(mode(Transaction::Iti18, "/xds/iti18", None), XuaMode::Optional);
    assert_eq!(mode(Transaction::Iti18, "/xca/iti18", None), XuaMode::Off);
    assert_eq!(mode(Transaction::Iti18, "/xca/iti18", Some(XuaMode::Required)), XuaMode::Required);
    assert_eq!(mode(Transaction::Iti43, "/xds/iti43", None), XuaMode::Required);
    assert!(idp.xua.absent(Transaction::Iti41, XuaMode::Off).is_ok());
    assert!(idp.xua.absent(Transaction::Iti41, XuaMode::Optional).is_ok());
    let absent = idp.xua.absent(Transaction::Iti43, XuaMode::Required).unwrap_err();
    assert_eq!(absent.kind, Kind::SecurityTokenUnavailable);
}

#[test]
fn an_issuer_serves_its_nodes_alone() {
    let idp = idp(|c| {
        c.issuer[0].nodes = vec!["hospital-a".into(), "urn:oid:1.2.3.4".into(), "AB:CD".into()];
    });
    let node = |id: &str, organization: &str| {
        let organizations = vec![organization.to_owned()];
        let node = crate::model::node::Node { id: id.into(), organizations, home_community_id: None };
        Caller { node: Some(Box::new(node)), ..caller("10.0.0.1") }
    };
    let judged = |caller: &Caller| {
        idp.examine_by(caller, None, |a| {
            // Of the organization, the first test of nodes is another.
            a.attributes.remove(1);
        })
    };
    assert!(judged(&node("hospital-a", "urn:oid:1")).is_ok());
    assert!(judged(&node("x", "urn:oid:1.2.3.4")).is_ok());
    assert!(judged(&Caller { certificate: Some("abcd".into()), ..caller("10.0.0.1") }).is_ok());
    for other in [node("hospital-b", "urn:oid:1"), caller("10.0.0.1")] {
        assert_eq!(judged(&other).map(|_| ()), Err(Kind::FailedAuthentication));
    }
}

#[test]
fn a_communitys_gateway_brings_users_of_that_community_alone() {
    let idp = idp(|c| c.communities = vec!["urn:oid:1.2.9".into()]);
    let community = Community {
        id: "n9".into(),
        name: "9".into(),
        home: HomeCommunityId::parse("urn:oid:1.2.9").unwrap(),
        stands_for: vec![],
        patient_id_authority: None,
        correlate: CorrelateBy::SharedId,
        endpoints: vec![],
        device: None,
        budget: std::time::Duration::from_secs(1),
        assertion: AssertionPolicy::None,
        without_user: WithoutUser::Refuse,
        audience: "urn:x".into(),
    };
    let judged = |community: Option<&Community>, home: &str| {
        let home = home.to_owned();
        let caller = caller("10.0.0.1");
        let change = |a: &mut Assertion| a.attributes[0].values = vec![Value::Text(home)];
        idp.examine_by(&caller, community, change).map(|_| ())
    };
    assert_eq!(judged(Some(&community), "urn:oid:1.2.9"), Ok(()));
    assert_eq!(
        judged(Some(&community), "urn:oid:1.2.3"),
        Err(Kind::FailedAuthentication),
        "ours is not theirs"
    );
    assert_eq!(judged(None, "urn:oid:1.2.9"), Ok(()));
    assert_eq!(judged(None, "urn:oid:1.2.8"), Err(Kind::FailedAuthentication));
}

#[test]
fn an_emergency_is_told_by_its_purpose() {
    let idp = idp(|_| {});
    let purpose = |code: &str, system: &str| {
        let value = Value::Coded { code: code.into(), system: system.into(), display: None };
        let attribute = Attribute { name: name::PURPOSE.into(), values: vec![value] };
        idp.examine(|a| a.attributes.push(attribute)).unwrap().emergency
    };
    assert!(purpose("EMERGENCY", "2.16.840.1.113883.3.18.7.1") && purpose("BTG", "2.16.840.1.113883.5.8"));
    assert!(!purpose("TREATMENT", "2.16.840.1.113883.3.18.7.1") && !purpose("BTG", "1.2.3"));
    assert!(!idp.examine(|_| {}).unwrap().emergency);
}

#[test]
fn two_patients_are_none() {
    let idp = idp(|_| {});
    let about = |patients: &[&str]| {
        let values = patients.iter().map(|p| Value::Text((*p).into())).collect();
        let attribute = Attribute { name: name::PATIENT.into(), values };
        idp.examine(|a| a.attributes.push(attribute)).map(|user| user.patient)
    };
    assert_eq!(about(&["1^^^&2&ISO", "1^^^&2&ISO"]), Ok(Some("1^^^&2&ISO".into())));
    assert_eq!(about(&["1^^^&2&ISO", "2^^^&2&ISO"]), Err(Kind::InvalidSecurityToken));
}

#[test]
fn certificates_are_read_anew() {
    let idp = idp(|_| {});
    let path = idp.xua.0.config.issuer[0].certificates[0].clone();
    let old = std::fs::read_to_string(&path).unwrap();
    let next = rcgen::KeyPair::generate().unwrap();
    let next = rcgen::CertificateParams::default().self_signed(&next).unwrap().pem();
    std::fs::write(&path, format!("{old}{next}")).unwrap();
    assert_eq!(idp.xua.reload().unwrap(), 2);
    std::fs::write(&path, "nothing").unwrap();
    assert!(idp.xua.reload().is_err());
    assert!(idp.examine(|_| {}).is_ok(), "what was before stays in force");
    std::fs::write(&path, next).unwrap();
    assert_eq!(idp.xua.reload().unwrap(), 1);
    assert_eq!(idp.examine(|_| {}), Err(Kind::FailedCheck));
}

#[test]
fn terse_faults_tell_one_thing() {
    let told = |terse: bool, kind: Kind| {
        let idp = idp(|c| c.terse_faults = terse);
        let fault = Trouble::new(kind, "why").fault();
        idp.xua.shown(&fault, "7").map(|shown| (shown.subcode, shown.reason.contains("why")))
    };
    for kind in Kind::ALL {
        assert_eq!(told(false, kind), None);
        let expected = match kind {
            Kind::SecurityTokenUnavailable => None,
            _ => Some((Some("wsse:FailedAuthentication"), false)),
        };
        assert_eq!(told(true, kind), expected, "{kind:?}");
    }
}
