//! Node authentication (ITI-19): who gets in, in which version, and whose name the record then bears.

use chiren::config::{TlsMode, TlsProfile};
use chiren::model::transaction::Transaction;
use rcgen::ExtendedKeyUsagePurpose;

use crate::support::Gateway;
use crate::support::raw::post;
use crate::support::samples::{PATIENT, find_documents};
use crate::support::soap::{SIMPLE, adhoc_query, envelope};
use crate::support::tls::{Client, Pki, TLS12, TLS13, connect, fingerprint};

async fn gateway(pki: &Pki, tls: TlsMode, profile: TlsProfile) -> Gateway {
    Gateway::start_with(|c| pki.secure(&mut c.listener[0], tls, profile)).await
}

fn question() -> Vec<u8> {
    let row = Transaction::Iti18.row();
    let message = envelope(row.request_action, &adhoc_query(&find_documents(PATIENT)));
    post(row.path, SIMPLE, message.as_bytes())
}

/// Connects, asks twice on the connection; whether we were answered.
async fn served(gateway: &Gateway, client: &Client) -> Result<(), std::io::Error> {
    let mut connection = client.connect(gateway.address).await?;
    for _ in 0..2 {
        let refused = || std::io::Error::other("no answer");
        connection.exchange(&question()).await.ok_or_else(refused)?.soap().assert_success();
    }
    Ok(())
}

#[tokio::test]
async fn mutual_tls_lets_known_nodes_in_and_records_them() {
    let pki = Pki::new();
    let gateway = gateway(&pki, TlsMode::Mutual, TlsProfile::JpHigh).await;
    served(&gateway, &pki.client(Some("node"))).await.expect("a known node");
    let record = gateway.audit().await.pop().expect("a record");
    assert_eq!(record.caller.certificate.as_deref(), Some(fingerprint(&pki.path("node")).as_str()));
    assert_eq!(record.caller.listener, "soap");

    let before = gateway.audit().await;
    assert!(served(&gateway, &pki.client(None)).await.is_err(), "no certificate");
    let stranger = Pki::new();
    let theirs = Client { ca: pki.path("ca"), ..stranger.client(Some("node")) };
    assert!(served(&gateway, &theirs).await.is_err(), "another authority");
    pki.issue("server-only", ExtendedKeyUsagePurpose::ServerAuth);
    assert!(served(&gateway, &pki.client(Some("server-only"))).await.is_err(), "not a client's");
    // Nothing but alerts about who was refused (tests/it/nodes_corpus.rs).
    let mut more = gateway.audit().await;
    more.retain(|event| !before.contains(event));
    assert!(more.iter().all(|e| e.errors.first().is_some_and(|code| code == "110126")), "{more:?}");
}

#[tokio::test]
async fn without_a_certificate_the_refusal_is_an_alert() {
    let pki = Pki::new();
    let gateway = gateway(&pki, TlsMode::Mutual, TlsProfile::JpHigh12).await;
    let client = Client { versions: TLS12, ..pki.client(None) };
    // With TLS 1.2 the alert ends the handshake itself.
    let refusal = client.connect(gateway.address).await.err().expect("refused");
    let cause = refusal.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    assert!(matches!(cause, Some(rustls::Error::AlertReceived(_))), "{refusal:?}");
}

#[tokio::test]
async fn optional_and_server_tls_let_everybody_in() {
    let pki = Pki::new();
    let optional = gateway(&pki, TlsMode::Optional, TlsProfile::JpHigh).await;
    served(&optional, &pki.client(None)).await.expect("no certificate");
    assert!(optional.audit().await.iter().all(|e| e.caller.certificate.is_none()));
    served(&optional, &pki.client(Some("node"))).await.expect("a node");
    assert!(optional.audit().await.iter().any(|e| e.caller.certificate.is_some()));
    let stranger = Client { ca: pki.path("ca"), ..Pki::new().client(None) };
    served(&optional, &stranger).await.expect("nobody in particular");

    let server = gateway(&pki, TlsMode::Server, TlsProfile::JpHigh).await;
    served(&server, &pki.client(None)).await.expect("anybody");
}

#[tokio::test]
async fn versions_are_the_profiles() {
    let pki = Pki::new();
    for (profile, old) in
        [(TlsProfile::JpHigh, false), (TlsProfile::JpHigh12, true), (TlsProfile::AtnaBcp195, true)]
    {
        let gateway = gateway(&pki, TlsMode::Mutual, profile).await;
        let client = |versions| Client { versions, ..pki.client(Some("node")) };
        served(&gateway, &client(TLS13)).await.expect("TLS 1.3");
        let spoken = served(&gateway, &client(TLS12)).await.is_ok();
        assert_eq!(spoken, old, "TLS 1.2 under {profile:?}");
    }
}

#[tokio::test]
async fn sessions_are_never_resumed_and_h2_never_spoken() {
    let pki = Pki::new();
    let gateway = gateway(&pki, TlsMode::Mutual, TlsProfile::JpHigh12).await;
    for versions in [TLS13, TLS12] {
        let client = Client { versions, alpn: &["h2", "http/1.1"], ..pki.client(Some("node")) };
        // One connector: it would keep tickets if it were given any.
        let connector = client.connector();
        for _ in 0..2 {
            let mut connection = connect(&connector, "localhost", gateway.address).await.unwrap();
            connection.exchange(&question()).await.unwrap().soap().assert_success();
            let session = connection.stream.get_ref().1;
            assert_eq!(session.handshake_kind(), Some(rustls::HandshakeKind::Full));
            assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
        }
    }
    let h2_only = Client { alpn: &["h2"], ..pki.client(Some("node")) };
    assert!(served(&gateway, &h2_only).await.is_err());
}

#[tokio::test]
async fn certificates_are_replaced_under_open_connections() {
    let pki = Pki::new();
    let gateway = gateway(&pki, TlsMode::Mutual, TlsProfile::JpHigh).await;
    let client = pki.client(Some("node"));
    let mut open = client.connect(gateway.address).await.unwrap();
    open.exchange(&question()).await.unwrap().soap().assert_success();
    let shown =
        |c: &crate::support::tls::Secured| c.stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    let old = shown(&open);

    std::fs::write(pki.path("server-key"), "no key").unwrap();
    let listening = &gateway.running.as_ref().unwrap().listening;
    listening.reload_certificates();
    assert_eq!(shown(&client.connect(gateway.address).await.unwrap()), old, "a bad set leaves the old");

    pki.issue("server", ExtendedKeyUsagePurpose::ServerAuth);
    listening.reload_certificates();
    let fresh = client.connect(gateway.address).await.unwrap();
    assert_ne!(shown(&fresh), old);
    open.exchange(&question()).await.expect("the open connection goes on").soap().assert_success();
}
