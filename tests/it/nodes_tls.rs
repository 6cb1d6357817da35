//! The TLS matrix (ITI-19, T8): versions and suites by profile, and certificates rolled over while everybody works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use chiren::config::tls::{anchors, identity};
use chiren::config::{TlsMode, TlsProfile};
use chiren::model::transaction::Transaction;
use rcgen::ExtendedKeyUsagePurpose;
use rustls::CipherSuite;
use rustls::crypto::aws_lc_rs;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::Gateway;
use crate::support::nodes::{DirectoryFile, node};
use crate::support::raw::post;
use crate::support::samples::{PATIENT, find_documents};
use crate::support::soap::{SIMPLE, adhoc_query, envelope};
use crate::support::tls::{Client, Pki, TLS12, TLS13, connect, fingerprint};

const PROFILES: [TlsProfile; 3] = [TlsProfile::JpHigh, TlsProfile::JpHigh12, TlsProfile::AtnaBcp195];

fn question() -> Vec<u8> {
    let row = Transaction::Iti18.row();
    post(row.path, SIMPLE, envelope(row.request_action, &adhoc_query(&find_documents(PATIENT))).as_bytes())
}

/// A client that offers one suite.
fn offering(pki: &Pki, suite: CipherSuite) -> tokio_rustls::TlsConnector {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|s| s.suite() == suite);
    let own = identity(&pki.path("node"), &pki.path("node-key")).unwrap();
    let versions = match provider.cipher_suites[0].tls13() {
        Some(_) => TLS13,
        None => TLS12,
    };
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(anchors(&[pki.path("ca")]).unwrap())
        .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(own)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config).into()
}

#[tokio::test]
async fn each_profile_speaks_its_suites_and_no_other() {
    // The certificates are EC, so suites of RSA find no match with any profile.
    let table: &[(CipherSuite, [bool; 3])] = &[
        (CipherSuite::TLS13_AES_256_GCM_SHA384, [true, true, true]),
        (CipherSuite::TLS13_AES_128_GCM_SHA256, [true, true, true]),
        (CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, [true, true, true]),
        (CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, [false, true, true]),
        (CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, [false, true, true]),
        (CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, [false, false, true]),
        (CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, [false, false, false]),
    ];
    let pki = Pki::new();
    for (column, profile) in PROFILES.into_iter().enumerate() {
        let gateway = Gateway::start_with(|c| pki.secure(&mut c.listener[0], TlsMode::Mutual, profile)).await;
        for (suite, spoken) in table {
            let connected = connect(&offering(&pki, *suite), "localhost", gateway.address).await;
            let answered = match connected {
                Ok(mut connection) => connection.exchange(&question()).await.is_some(),
                Err(_) => false,
            };
            assert_eq!(answered, spoken[column], "{suite:?} under {profile:?}");
        }
    }
}

/// A ClientHello of a version that has no name among supported_versions, with suites of its time.
fn old_hello(version: u8) -> Vec<u8> {
    let suites: [u16; 6] = [0xc02c, 0xc030, 0xc00a, 0xc014, 0x0035, 0x002f];
    let mut body = vec![3, version];
    body.extend([7; 32]);
    body.push(0);
    body.extend((suites.len() as u16 * 2).to_be_bytes());
    body.extend(suites.iter().flat_map(|s| s.to_be_bytes()));
    body.extend([1, 0]);
    // supported_groups: P-256; ec_point_formats: uncompressed.
    let extensions = [0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0];
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let mut handshake = vec![1, 0];
    handshake.extend((body.len() as u16).to_be_bytes());
    handshake.extend(body);
    let mut record = vec![22, 3, 1];
    record.extend((handshake.len() as u16).to_be_bytes());
    record.extend(handshake);
    record
}

#[tokio::test]
async fn versions_before_1_2_are_ended_by_an_alert() {
    let pki = Pki::new();
    let gateway =
        Gateway::start_with(|c| pki.secure(&mut c.listener[0], TlsMode::Mutual, TlsProfile::AtnaBcp195))
            .await;
    for version in [1, 2] {
        let mut stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
        stream.write_all(&old_hello(version)).await.unwrap();
        let mut answer = vec![];
        stream.read_to_end(&mut answer).await.unwrap();
        // A fatal alert: protocol_version (70) or handshake_failure (40); and nothing else.
        assert!(answer.len() == 7 && answer[0] == 21 && answer[5] == 2, "{answer:?}");
        assert!([70, 40].contains(&answer[6]), "{answer:?}");
    }
}

/// Asks on ever new connections until told to stop; what failed.
async fn hammer(
    client: Client,
    address: std::net::SocketAddr,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
) -> Vec<String> {
    let mut failed = vec![];
    while !stop.load(Ordering::Relaxed) {
        match client.connect(address).await {
            Ok(mut connection) => match connection.exchange(&question()).await {
                Some(answer) if answer.status == 200 => _ = done.fetch_add(1, Ordering::Relaxed),
                Some(answer) => failed.push(format!("status {}", answer.status)),
                None => failed.push("no answer".to_owned()),
            },
            Err(e) => failed.push(e.to_string()),
        }
    }
    failed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_roll_over_under_load_has_no_failed_handshake() {
    let pki = Pki::new();
    pki.issue("renewed", ExtendedKeyUsagePurpose::ClientAuth);
    let both = |old: &str, new: &str| {
        format!("[[node]]\nid = 'a'\ncertificates = ['{old}', '{new}']\ntransactions = ['*']\n")
    };
    let (old, new) = (fingerprint(&pki.path("node")), fingerprint(&pki.path("renewed")));
    let directory = DirectoryFile::new(&node("a", &old, "transactions = ['*']"));
    let gateway = Gateway::start_with(|c| {
        directory.configure(c);
        pki.secure(&mut c.listener[0], TlsMode::Mutual, TlsProfile::JpHigh);
    })
    .await;
    let trust = gateway.running.as_ref().unwrap().trust().clone();
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    // A connection that lives through it all.
    let mut steady = pki.client(Some("node")).connect(gateway.address).await.unwrap();
    let mut tasks = vec![];
    for name in ["node", "node", "renewed"] {
        // The renewed certificate is used as soon as the directory has it beside the old.
        if name == "renewed" {
            directory.rewrite(&both(&old, &new));
            trust.look().await;
        }
        let client = pki.client(Some(name));
        tasks.push(tokio::spawn(hammer(client, gateway.address, stop.clone(), done.clone())));
    }
    for _ in 0..5 {
        let before = done.load(Ordering::Relaxed);
        while done.load(Ordering::Relaxed) < before + 20 {
            tokio::task::yield_now().await;
        }
        // The key is replaced first, as a careless script does: the pair does not fit until both are there.
        pki.issue("server", ExtendedKeyUsagePurpose::ServerAuth);
        trust.look().await;
        steady.exchange(&question()).await.expect("the open connection goes on").soap().assert_success();
    }
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        assert_eq!(task.await.unwrap(), Vec::<String>::new());
    }
    assert!(done.load(Ordering::Relaxed) >= 100);
    // The old one is taken out; who still shows it is shut out.
    directory.rewrite(&node("a", &new, "transactions = ['*']"));
    trust.look().await;
    assert!(steady.ended().await);
}

/// Takes any certificate, and keeps the staple that came with it.
#[derive(Debug, Default)]
struct Staple(std::sync::Mutex<Vec<u8>>);

impl rustls::client::danger::ServerCertVerifier for Staple {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        staple: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        *self.0.lock().unwrap() = staple.to_vec();
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[tokio::test]
async fn our_staple_is_shown_and_a_new_one_after_it_was_put_there() {
    let pki = Pki::new();
    let file = pki.path("staple");
    std::fs::write(&file, b"the first answer").unwrap();
    let gateway = Gateway::start_with(|c| {
        pki.secure(&mut c.listener[0], TlsMode::Mutual, TlsProfile::JpHigh);
        c.listener[0].ocsp_staple = Some(file.clone());
    })
    .await;
    let shown = async || {
        let staple = Arc::new(Staple::default());
        let own = identity(&pki.path("node"), &pki.path("node-key")).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(TLS13)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(staple.clone())
            .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(own)));
        connect(&Arc::new(config).into(), "localhost", gateway.address).await.expect("TLS");
        staple.0.lock().unwrap().clone()
    };
    assert_eq!(shown().await, b"the first answer");
    std::fs::write(&file, b"the answer of the next day").unwrap();
    gateway.running.as_ref().unwrap().trust().look().await;
    assert_eq!(shown().await, b"the answer of the next day");
}

#[tokio::test]
async fn a_list_in_its_grace_is_an_alert_on_the_day_of_the_gateways_clock() {
    use crate::support::nodes::alert;
    // The clock of the gateway stands at 22 November 2026.
    for (to, hours, label) in
        [((2026, 11, 21), 48, "revocation-list-in-grace"), ((2026, 11, 21), 12, "revocation-list-over")]
    {
        let pki = Pki::new();
        pki.list("list", (2026, 11, 14), to);
        let gateway = Gateway::start_with(|c| {
            pki.secure(&mut c.listener[0], TlsMode::Mutual, TlsProfile::JpHigh);
            c.listener[0].crl = vec![pki.path("list")];
            c.listener[0].crl_grace_hours = hours;
        })
        .await;
        alert(&gateway, ["110129", label]).await;
    }
}
