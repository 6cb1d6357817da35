//! Assertions brought to us: whose they may be, how often they serve, what a sender is told, and what is counted.

use chiren::config::{MessageIds, TlsMode, TlsProfile, XuaMode};
use chiren::model::assertion::{Assertion, name};
use chiren::model::audit::SECURITY_ALERT;
use chiren::model::transaction::Transaction;
use chiren::wire::soap::{SoapResponse, read_response};
use chiren::wire::xml::tree;
use jiff::SignedDuration;

use super::{subcode, wanting};
use crate::support::Gateway;
use crate::support::community::{community, home, network};
use crate::support::idp::{self, Idp};
use crate::support::raw::post;
use crate::support::samples::*;
use crate::support::soap::{SIMPLE, adhoc_query, envelope_with};
use crate::support::tls::{Pki, fingerprint};

async fn gateway(idp: &Idp) -> Gateway {
    Gateway::start_with(|c| wanting(c, idp)).await
}

async fn asked(gateway: &Gateway, headers: &str) -> Option<String> {
    subcode(&gateway.ask_with("/xds/iti18", headers).await)
}

#[tokio::test]
async fn each_spoiling_of_an_assertion_has_its_fault() {
    let idp = Idp::new();
    let gateway = gateway(&idp).await;
    let now = gateway.clock.now();
    type Spoil = fn(&mut Assertion);
    let (failed, invalid) = (Some("wsse:FailedAuthentication"), Some("wsse:InvalidSecurityToken"));
    let seconds = SignedDuration::from_secs;
    assert_eq!(asked(&gateway, &idp::headers(&idp.assertion(now, |_| {}))).await, None);
    let cases: &[(&str, Option<&str>, Spoil)] = &[
        ("several audiences, one of them ours", None, |a| {
            let ours = a.conditions.as_ref().unwrap().audiences[0][0].clone();
            a.conditions.as_mut().unwrap().audiences = vec![vec!["urn:x".into(), ours.clone()], vec![ours]];
        }),
        ("several restrictions, one of them another's", failed, |a| {
            a.conditions.as_mut().unwrap().audiences.push(vec!["urn:x".into()]);
        }),
        ("an audience with a letter more", failed, |a| {
            a.conditions.as_mut().unwrap().audiences[0][0].push('0');
        }),
        ("a role that stands twice", None, |a| {
            let role = a.attributes.iter().find(|x| x.name == name::ROLE).unwrap().clone();
            a.attributes.push(role);
        }),
        ("patients that stand twice", invalid, |a| {
            a.attributes.push(idp::text(name::PATIENT, PATIENT));
            a.attributes.push(idp::text(name::PATIENT, OTHER_PATIENT));
        }),
        ("a huge id", None, |a| a.id = format!("_{}", "a".repeat(20_000))),
        ("an issuer like ours", failed, |a| a.issuer.push('/')),
        ("a name that is long", None, |a| a.name_id = "n".repeat(20_000)),
    ];
    for (what, expected, spoil) in cases {
        let assertion = idp.assertion(now, spoil);
        assert_eq!(asked(&gateway, &idp::headers(&assertion)).await.as_deref(), *expected, "{what}");
    }
    // The edges of the clock, to the second.
    for (from, to, expected) in
        [(180, 3600, None), (181, 3600, failed), (-3600, -179, None), (-3600, -180, failed)]
    {
        let assertion = idp.assertion(now, |a| {
            let conditions = a.conditions.as_mut().unwrap();
            (conditions.not_before, conditions.not_on_or_after) =
                (Some(now + seconds(from)), Some(now + seconds(to)));
        });
        assert_eq!(asked(&gateway, &idp::headers(&assertion)).await.as_deref(), expected, "{from} to {to}");
    }
}

#[tokio::test]
async fn what_is_done_to_signed_bytes_is_found() {
    let idp = Idp::new();
    let gateway = gateway(&idp).await;
    let good = idp.assertion(gateway.clock.now(), |_| {});
    let evil = good.replace("dr-yamada", "dr-evil");
    let unsigned = {
        let (head, rest) = good.split_once("<ds:Signature").unwrap();
        let (signature, tail) = rest.split_once("</ds:Signature>").unwrap();
        (format!("{head}{tail}"), format!("<ds:Signature{signature}</ds:Signature>"))
    };
    let named = |text: &str| good.replacen("dr-yamada", text, 1);
    let check = Some("wsse:FailedCheck");
    let (token, security) = (Some("wsse:InvalidSecurityToken"), Some("wsse:InvalidSecurity"));
    let cases: Vec<(&str, String, Option<&str>)> = vec![
        ("another name", evil.clone(), check),
        ("a comment in the name", named("dr-<!-- x -->yamada"), token),
        ("an instruction in the name", named("dr-<?x y?>yamada"), Some("")),
        // The same text in other clothes is the same text.
        ("a character reference", named("dr&#45;yamada"), None),
        ("CDATA", named("<![CDATA[dr-yamada]]>"), None),
        ("white space", named("dr-yamada "), check),
        ("an element in the name", named("dr-<b xmlns=''>x</b>yamada"), check),
        ("no signature", unsigned.0.clone(), token),
        (
            "the good one within the evil one's signature",
            { evil.replacen("</ds:Signature>", &format!("<ds:Object>{good}</ds:Object></ds:Signature>"), 1) },
            security,
        ),
        ("the good one behind the evil one", format!("{evil}{good}"), security),
        (
            "the good one within another's advice",
            {
                evil.replacen(
                    "<saml:Subject>",
                    &format!("<saml:Advice>{good}</saml:Advice><saml:Subject>"),
                    1,
                )
            },
            security,
        ),
        (
            "two signatures",
            good.replacen("</ds:Signature>", &format!("</ds:Signature>{}", unsigned.1), 1),
            token,
        ),
        (
            "the signature elsewhere in it",
            { unsigned.0.replacen("<saml:Subject>", &format!("<saml:Subject>{}", unsigned.1), 1) },
            token,
        ),
        (
            "an attribute that stands twice",
            good.replacen(" Version=\"2.0\"", " Version=\"2.0\" Version=\"2.0\"", 1),
            Some(""),
        ),
        ("an id beside the ID", good.replacen(" ID=", " Id=\"x\" ID=", 1), check),
        ("another ID", good.replacen("ID=\"_", "ID=\"_x", 1), token),
        ("an entity", named("&who;"), Some("")),
        ("another version", good.replacen("Version=\"2.0\"", "Version=\"1.1\"", 1), check),
        (
            "encrypted",
            "<saml:EncryptedAssertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"/>".into(),
            Some("wsse:UnsupportedSecurityToken"),
        ),
    ];
    let mut wrong = vec![];
    for (what, assertion, expected) in &cases {
        let found = asked(&gateway, &idp::headers(assertion)).await;
        if found.as_deref() != *expected {
            wrong.push(format!("{what}: {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // In another place of the message.
    let beside = format!("{}{}", idp::message_id(), good);
    assert_eq!(asked(&gateway, &beside).await.as_deref(), security);
    let twice = format!("{}{}{}", idp::message_id(), idp::security(&good), idp::security(&good));
    assert_eq!(asked(&gateway, &twice).await.as_deref(), security);
    let evil_first = format!("{}{}{}", idp::message_id(), idp::security(&evil), good);
    assert_eq!(asked(&gateway, &evil_first).await.as_deref(), security);
    let none: Vec<_> = gateway.audit().await.into_iter().filter_map(|r| r.caller.user).collect();
    assert!(none.iter().all(|user| user.name_id == "dr-yamada"), "{none:?}");
}

#[tokio::test]
async fn one_use_and_one_message_survive_a_restart() {
    let idp = Idp::new();
    let gateway = gateway(&idp).await;
    let once = idp.assertion(gateway.clock.now(), |a| a.conditions.as_mut().unwrap().one_time_use = true);
    let message = idp::message_id();
    let good = idp.assertion(gateway.clock.now(), |_| {});
    let recorded = format!("{message}{}", idp::security(&good));
    assert_eq!(asked(&gateway, &idp::headers(&once)).await, None);
    assert_eq!(asked(&gateway, &recorded).await, None);
    assert_eq!(asked(&gateway, &idp::headers(&once)).await.as_deref(), Some("wsse:FailedAuthentication"));
    assert_eq!(asked(&gateway, &recorded).await.as_deref(), Some("wsa:InvalidAddressingHeader"));
    let (dir, config) = gateway.stop().await;
    let gateway = Gateway::start_in(dir, config).await;
    assert_eq!(asked(&gateway, &idp::headers(&once)).await.as_deref(), Some("wsse:FailedAuthentication"));
    assert_eq!(asked(&gateway, &recorded).await.as_deref(), Some("wsa:InvalidAddressingHeader"));
    assert_eq!(
        asked(&gateway, &idp::headers(&good)).await,
        None,
        "another message with it is another matter"
    );
    let nameless = idp::security(&good);
    let absent = Some("wsa:MessageAddressingHeaderRequired");
    assert_eq!(asked(&gateway, &nameless).await.as_deref(), absent);
}

#[tokio::test]
async fn two_gateways_over_one_database_share_what_was_brought() {
    let idp = Idp::new();
    let first = gateway(&idp).await;
    let mut config = first.config.clone();
    config.xua.message_ids = MessageIds::Database;
    let second = Gateway::start_in(tempfile::tempdir().unwrap(), config).await;
    let once = idp.assertion(first.clock.now(), |a| a.conditions.as_mut().unwrap().one_time_use = true);
    assert_eq!(asked(&first, &idp::headers(&once)).await, None);
    assert_eq!(asked(&second, &idp::headers(&once)).await.as_deref(), Some("wsse:FailedAuthentication"));
    let good = idp.assertion(first.clock.now(), |_| {});
    let recorded = idp::headers(&good);
    assert_eq!(asked(&second, &recorded).await, None);
    assert_eq!(asked(&first, &recorded).await.as_deref(), Some("wsa:InvalidAddressingHeader"));
}

#[tokio::test]
async fn terse_faults_are_one_fault_and_the_record_has_the_reason() {
    let idp = Idp::new();
    let gateway = Gateway::start_with(|c| {
        wanting(c, &idp);
        c.xua.terse_faults = true;
        c.xua.alarm_failures = 3;
    })
    .await;
    let now = gateway.clock.now();
    let good = idp.assertion(now, |_| {});
    let spoiled = [
        good.replace("dr-yamada", "dr-evil"),
        idp.assertion(now, |a| a.issuer.push('/')),
        "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"/>".into(),
    ];
    let mut told = vec![];
    for assertion in &spoiled {
        let answer = gateway.ask_with("/xds/iti18", &idp::headers(assertion)).await;
        let doc = tree::parse(&answer.envelope).unwrap();
        let Ok(SoapResponse::Fault { code, subcode, reason }) = read_response(&doc) else {
            panic!("no fault")
        };
        // The reference is each one's own.
        let reason = reason.split_once("(reference").expect("a reference").0.to_owned();
        told.push((answer.status, code, subcode, reason));
    }
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
    assert_eq!(told[0].2.as_deref(), Some("wsse:FailedAuthentication"));
    let records = gateway.audit().await;
    let errors: Vec<String> = records.iter().flat_map(|r| r.errors.clone()).collect();
    for subcode in ["wsse:FailedCheck", "wsse:FailedAuthentication", "wsse:InvalidSecurityToken"] {
        assert!(errors.iter().any(|e| e == subcode), "{subcode} in {errors:?}");
    }
    // Three are an alarm.
    let alarm = |r: &&chiren::model::audit::AuditEvent| {
        r.transaction == SECURITY_ALERT && r.errors.iter().any(|e| e.contains("3 user assertions refused"))
    };
    assert_eq!(records.iter().filter(alarm).count(), 1);
    // That one is wanted is no secret.
    assert_eq!(asked(&gateway, &idp::message_id()).await.as_deref(), Some("wsse:SecurityTokenUnavailable"));
}

#[tokio::test]
async fn addresses_and_communities_have_modes_of_their_own() {
    let idp = Idp::new();
    let pki = Pki::new();
    let gateway = network(1, |c| {
        wanting(c, &idp);
        c.xua.mode = XuaMode::Off;
        c.xua.endpoints = [("/xds/iti18".to_owned(), XuaMode::Required)].into();
        let mut tls = c.listener[0].clone();
        tls.name = "tls".into();
        pki.secure(&mut tls, TlsMode::Mutual, TlsProfile::JpHigh);
        c.listener.push(tls);
        let mut neighbour = community(2, std::net::SocketAddr::from(([127, 0, 0, 1], 9)));
        neighbour.incoming_assertion = Some(XuaMode::Required);
        neighbour.client_certificates = vec![fingerprint(&pki.path("node")).to_ascii_uppercase()];
        c.community = vec![neighbour];
        c.xua.communities = vec![home(2), home(3)];
    })
    .await;
    pki.issue("another", rcgen::ExtendedKeyUsagePurpose::ClientAuth);
    let unavailable = Some("wsse:SecurityTokenUnavailable");
    let plain = idp::message_id();
    assert_eq!(subcode(&gateway.ask_with("/xds/iti18", &plain).await).as_deref(), unavailable);
    assert_eq!(subcode(&gateway.ask_with("/xds/registry", &idp::message_id()).await), None);
    let secure = gateway.running.as_ref().unwrap().listening.listeners[2].2;
    let of = async |node: &str, headers: &str| {
        let envelope = envelope_with(
            Transaction::Iti38.row().request_action,
            headers,
            &adhoc_query(&find_documents(PATIENT)),
        );
        let mut connection = pki.client(Some(node)).connect(secure).await.expect("TLS");
        let request = post("/xca/iti38", SIMPLE, envelope.as_bytes());
        subcode(&connection.exchange(&request).await.expect("an answer").soap())
    };
    assert_eq!(of("another", &plain).await, None, "nobody is asked for by the address");
    assert_eq!(of("node", &idp::message_id()).await.as_deref(), unavailable, "the community is");
    let now = gateway.clock.now();
    let of_home = |n: usize| idp.assertion(now, |a| a.attributes.push(idp::text(name::HOME[0], &home(n))));
    assert_eq!(of("node", &idp::headers(&of_home(2))).await, None);
    let failed = Some("wsse:FailedAuthentication");
    assert_eq!(of("node", &idp::headers(&of_home(3))).await.as_deref(), failed, "it speaks for itself alone");
    assert_eq!(of("node", &idp::headers(&of_home(1))).await.as_deref(), failed);
}

#[tokio::test]
async fn hl7_v3_asks_who_asks_too() {
    let idp = Idp::new();
    let gateway = crate::mpi_v3::gateway_with(|c| wanting(c, &idp)).await;
    for path in ["/mpi/iti44", "/mpi/iti45", "/mpi/iti47"] {
        let t = Transaction::ALL.into_iter().find(|t| t.row().path == path).unwrap();
        let envelope = envelope_with(t.row().request_action, &idp::message_id(), "<x/>");
        let answer = gateway.soap().post(path, SIMPLE, envelope).await;
        assert_eq!(subcode(&answer).as_deref(), Some("wsse:SecurityTokenUnavailable"), "{path}");
    }
}
