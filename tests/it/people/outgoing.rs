//! Assertions that go out on what a gateway asks of others, by the policy of each community.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chiren::config::{CommunityConfig, Config, XuaMode};
use chiren::model::assertion::name;
use chiren::model::community::{AssertionPolicy, Step, WithoutUser};
use chiren::model::error::ErrorCode;
use chiren::model::transaction::Transaction;
use chiren::wire::ebxml::retrieve::{self, DocumentRequest};
use chiren::wire::saml;
use chiren::wire::xml::{XmlWriter, tree};
use sha2::{Digest as _, Sha256};

use super::wanting;
use crate::support::Gateway;
use crate::support::community::{Neighbour, Way, community, home, network, repository};
use crate::support::idp::{self, AUDIENCE, IDP, Idp};
use crate::support::samples::*;
use crate::support::schema::validate_saml;
use crate::support::soap::{envelope_with, mtom};

const OWN: &str = "https://chiren.test.invalid/xua";

/// Network 1, whose users come from `idp` and whose own issuer is `own`.
async fn ours(idp: &Idp, own: &Idp, others: Vec<CommunityConfig>) -> Gateway {
    network(1, |c| {
        wanting(c, idp);
        // The documents of tests are put in by nobody in particular.
        c.xua.transactions =
            [("ITI-41".to_owned(), XuaMode::Off), ("ITI-38".to_owned(), XuaMode::Off)].into();
        c.xua.endpoints = [("/xca/iti18".to_owned(), XuaMode::Optional)].into();
        c.xua.own = own.own();
        c.community = others;
    })
    .await
}

/// Network 2, which wants assertions of network 1's issuer, and of `more`.
async fn theirs(own: &Idp, more: &[&Idp], change: impl FnOnce(&mut Config)) -> Gateway {
    network(2, |c| {
        wanting(c, own);
        c.xua.audiences = vec![home(2)];
        c.xua.communities = vec![home(1)];
        c.xua.issuer.extend(more.iter().map(|idp| idp.trusted()));
        c.xua.transactions = [("ITI-41".to_owned(), XuaMode::Off)].into();
        change(c);
    })
    .await
}

async fn published(gateway: &Gateway, bytes: &[u8]) -> String {
    let mut s = submission();
    (s.document_entries[0].hash, s.document_entries[0].size) = (None, None);
    gateway.soap().provide(&s, &[("DE", bytes)]).await.assert_success();
    s.document_entries[0].unique_id.clone()
}

fn demanding(n: usize, address: std::net::SocketAddr, assertion: AssertionPolicy) -> CommunityConfig {
    CommunityConfig { assertion, ..community(n, address) }
}

#[tokio::test]
async fn our_own_assertion_opens_what_another_network_keeps_from_strangers() {
    let idp = Idp::new();
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_RSA_SHA256]
    {
        let own = Idp::named(OWN, algorithm);
        let other = theirs(&own, &[], |_| {}).await;
        let unique_id = published(&other, b"theirs").await;
        let first = ours(&idp, &own, vec![demanding(2, other.address, AssertionPolicy::Issue)]).await;
        let assertion = idp.assertion(first.clock.now(), |a| {
            a.attributes.push(idp::coded(name::PURPOSE, "EMERGENCY", "2.16.840.1.113883.3.18.7.1"));
        });
        let answer = first.ask_with("/xca/iti18", &idp::headers(&assertion)).await;
        assert_eq!(answer.registry(), (chiren::wire::ebxml::response::ResponseStatus::Success, vec![]));
        assert_eq!(answer.entries().len(), 1);
        // ITI-43 likewise.
        let request = DocumentRequest {
            home_community_id: Some(home(2)),
            repository_unique_id: repository(2),
            document_unique_id: unique_id,
        };
        let mut w = XmlWriter::new();
        retrieve::write_request(&mut w, &[request]);
        let headers = idp::headers(&assertion);
        let envelope = envelope_with(Transaction::Iti43.row().request_action, &headers, &w.finish());
        let (content_type, body) = mtom(&envelope, &[]);
        let answer = first.soap().post("/xca/iti43", &content_type, body).await;
        assert_eq!(answer.documents()[0].1.as_ref(), b"theirs");
        // Both ends know who asked; theirs by our word.
        let user = |record: &chiren::model::audit::AuditEvent| record.caller.user.clone().map(|u| *u);
        for (gateway, transaction, issuer) in [
            (&first, "ITI-38", IDP),
            (&first, "ITI-39", IDP),
            (&other, "ITI-38", OWN),
            (&other, "ITI-39", OWN),
        ] {
            let records = gateway.audit().await;
            let record = records.iter().find(|r| r.transaction == transaction).expect("a record");
            let user = user(record).expect("a user");
            assert_eq!((user.name_id.as_str(), user.issuer.as_str()), ("dr-yamada", issuer), "{transaction}");
            assert_eq!(user.name.as_deref(), Some("山田 太郎"));
            assert_eq!((user.roles.len(), user.purposes.len(), user.emergency), (1, 2, true));
            assert!(user.signed_in.is_some_and(|class| class.ends_with("SmartcardPKI")));
        }
    }
}

#[tokio::test]
async fn what_we_sign_is_valid_and_verifies_without_our_own_verifier() {
    let (idp, own) = (Idp::new(), Idp::named(OWN, &rcgen::PKCS_RSA_SHA256));
    let neighbour = Neighbour::start(2, Way::Good).await;
    let first = ours(&idp, &own, vec![demanding(2, neighbour.address, AssertionPolicy::Issue)]).await;
    let assertion = idp.assertion(first.clock.now(), |a| {
        a.attributes.push(idp::text(name::PATIENT, PATIENT));
    });
    first.ask_with("/xca/iti18", &idp::headers(&assertion)).await.assert_success();
    let asked = neighbour.asked();
    let [envelope] = asked.as_slice() else { panic!("{} questions", asked.len()) };
    let doc = tree::parse(envelope).unwrap();
    let located = saml::locate(doc.root_element()).unwrap().unwrap();
    let xml = saml::original(located.assertion).unwrap();
    validate_saml(&xml).unwrap_or_else(|e| panic!("{e:#?}\n{xml}"));
    let said = saml::read(located.assertion).unwrap();
    assert_eq!(said.conditions.unwrap().audiences, [[home(2)]]);
    assert!(
        said.attributes.iter().any(|a| a.name == name::PATIENT),
        "who may see one patient alone may see no other there either"
    );
    // A second opinion: what we write is canonical but for empty elements and the signature, which is cut out.
    let written = &envelope[located.assertion.range()];
    let signature = &envelope[located.signature.range()];
    let by_hand = open_empty(&written.replace(signature, ""));
    let digest = STANDARD.encode(Sha256::digest(sorted_attributes(&by_hand).as_bytes()));
    let value = |name: &str| {
        let (_, rest) = signature.split_once(&format!("<ds:{name}>")).unwrap();
        rest.split_once('<').unwrap().0.to_owned()
    };
    assert_eq!(value("DigestValue"), digest);
    let info = signature.split_once("<ds:SignedInfo").unwrap().1.split_once("</ds:SignedInfo>").unwrap().0;
    let info = open_empty(&format!("<ds:SignedInfo{info}</ds:SignedInfo>"));
    let certificate = STANDARD.decode(value("X509Certificate")).unwrap();
    let (_, key) = chiren::config::x509::public_key(&certificate).unwrap();
    aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256, key)
        .verify(info.as_bytes(), &STANDARD.decode(value("SignatureValue")).unwrap())
        .expect("the signature of SignedInfo");
}

/// `<a b="c"/>` as `<a b="c"></a>`.
fn open_empty(xml: &str) -> String {
    let mut out = String::new();
    let mut rest = xml;
    while let Some((before, after)) = rest.split_once("/>") {
        let name = before.rsplit_once('<').unwrap().1.split(' ').next().unwrap();
        out.push_str(&format!("{before}></{name}>"));
        rest = after;
    }
    out + rest
}

/// What ours writes is in canonical order but for two elements: namespaces first, then attributes by name.
fn sorted_attributes(xml: &str) -> String {
    let mut out = String::new();
    for (n, piece) in xml.split('<').enumerate() {
        if n == 0 {
            continue;
        }
        let (tag, text) = piece.split_once('>').unwrap();
        let mut parts = tag.splitn(2, ' ');
        let element = parts.next().unwrap();
        let mut attributes: Vec<String> = vec![];
        let mut rest = parts.next().unwrap_or_default();
        while let Some((key, after)) = rest.split_once("=\"") {
            let (value, after) = after.split_once('"').unwrap();
            attributes.push(format!("{}=\"{value}\"", key.trim()));
            rest = after;
        }
        // Those with a namespace stand last.
        let name = |a: &String| a.split('=').next().unwrap_or_default().to_owned();
        attributes.sort_by_key(|a| (!a.starts_with("xmlns"), a.starts_with("xsi:"), name(a)));
        let attributes: String = attributes.iter().map(|a| format!(" {a}")).collect();
        out.push_str(&format!("<{element}{attributes}>{text}"));
    }
    out
}

#[tokio::test]
async fn the_callers_own_assertion_is_passed_on_where_it_is_for_both() {
    let (idp, own) = (Idp::new(), Idp::named(OWN, &rcgen::PKCS_ECDSA_P256_SHA256));
    let other = theirs(&own, &[&idp], |c| c.xua.issuer.remove(0).nodes.clear()).await;
    published(&other, b"theirs").await;
    let first = ours(&idp, &own, vec![demanding(2, other.address, AssertionPolicy::Pass)]).await;
    let now = first.clock.now();
    let both = |a: &mut chiren::model::assertion::Assertion| {
        a.conditions.as_mut().unwrap().audiences = vec![vec![AUDIENCE.into(), home(2)]];
    };
    let answer = first.ask_with("/xca/iti18", &idp::headers(&idp.assertion(now, both))).await;
    assert_eq!(answer.entries().len(), 1, "{}", answer.envelope);
    let records = other.audit().await;
    let user = records.iter().find_map(|r| r.caller.user.clone()).expect("a user");
    assert_eq!(user.issuer, IDP);
    // It is for us alone: passed on, it could be used against us.
    let answer = first.ask_with("/xca/iti18", &idp::headers(&idp.assertion(now, |_| {}))).await;
    let (_, errors) = answer.registry();
    assert_eq!(errors[0].0, ErrorCode::XDSUnavailableCommunity.as_str());
    assert!(errors[0].1.is_empty() || !errors[0].1.contains("dr-yamada"));
    let board = first.rooms().gateway.as_ref().unwrap().directory().scoreboard();
    let failed = board.communities[0].last_failure.as_ref().map(|f| f.step);
    assert!(failed.is_none() || failed == Some(Step::Assertion), "nobody there was asked");
}

#[tokio::test]
async fn without_a_user_the_policy_of_the_community_holds() {
    let (idp, own) = (Idp::new(), Idp::named(OWN, &rcgen::PKCS_ECDSA_P256_SHA256));
    for (without_user, asked, assertions) in
        [(WithoutUser::Refuse, 0, 0), (WithoutUser::Send, 1, 0), (WithoutUser::System, 1, 1)]
    {
        let neighbour = Neighbour::start(2, Way::Good).await;
        let member =
            CommunityConfig { without_user, ..demanding(2, neighbour.address, AssertionPolicy::Issue) };
        let first = ours(&idp, &own, vec![member]).await;
        let answer = first.ask_with("/xca/iti18", &idp::message_id()).await;
        let (_, errors) = answer.registry();
        assert_eq!(errors.len(), 1 - asked, "{without_user:?}");
        let seen = neighbour.asked();
        assert_eq!(seen.len(), asked, "{without_user:?}");
        let with = seen.iter().filter(|envelope| envelope.contains("<saml:NameID>chiren-gateway<"));
        assert_eq!(with.count(), assertions, "{without_user:?}");
    }
}

#[tokio::test]
async fn a_community_without_a_policy_gets_no_assertion() {
    let (idp, own) = (Idp::new(), Idp::named(OWN, &rcgen::PKCS_ECDSA_P256_SHA256));
    let neighbour = Neighbour::start(2, Way::Good).await;
    let first = ours(&idp, &own, vec![community(2, neighbour.address)]).await;
    let assertion = idp.assertion(first.clock.now(), |_| {});
    first.ask_with("/xca/iti18", &idp::headers(&assertion)).await.assert_success();
    assert!(neighbour.asked().iter().all(|envelope| !envelope.contains("Assertion")));
}
