//! The other ways to the service: a relay in the facility, and the folders of the qualification terminal.

use std::net::SocketAddr;

use chiren::cli::relay::Relay;
use chiren::config::relay::{RelayConfig, RelaySection};
use chiren::config::{ListenerConfig, TlsMode, TlsProfile};
use chiren::model::national::Op;
use chiren::peer::national::seal::{Job, Seal};
use chiren::peer::national::{Answer, Call, Port};
use chiren::service::national::operator::DeliveryState;

use super::*;
use crate::support::tls::Pki;

/// A relay of the sender, and the gateway's way to it.
async fn relayed(service: &simulated::National, nodes: &Pki, dir: &Path) -> (Relay, EgressConfig) {
    use std::os::unix::fs::PermissionsExt as _;
    let key = dir.join("relay.key");
    std::fs::write(&key, "ab".repeat(32)).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut listener = ListenerConfig {
        name: "relay".into(),
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        ..ListenerConfig::default()
    };
    nodes.secure(&mut listener, TlsMode::Mutual, TlsProfile::JpHigh);
    let config = RelayConfig {
        relay: RelaySection { institution: SENDER.into(), seal_key: key.clone(), ..RelaySection::default() },
        listener,
        egress: EgressConfig {
            via: Via::Direct,
            peer: Some(peer(&service.pki(), service.address().port(), SENDER)),
            ..EgressConfig::default()
        },
    };
    assert_eq!(config.check().into_iter().map(|f| f.key).collect::<Vec<_>>(), [""; 0]);
    let clock = chiren::server::clock::Clock::at("2026-11-22T03:00:00Z".parse().unwrap());
    let relay = Relay::start(&config, clock).await.expect("a relay");
    let egress = EgressConfig {
        via: Via::Relay,
        seal_key: Some(key),
        peer: Some(PeerConfig {
            url: format!("https://localhost:{}/", relay.address.port()),
            server_ca: vec![nodes.path("ca")],
            certificate: Some(nodes.path("node")),
            private_key: Some(nodes.path("node-key")),
            connect_seconds: 2,
            answer_seconds: 5,
            ..PeerConfig::default()
        }),
        ..EgressConfig::default()
    };
    (relay, egress)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_sends_what_is_sealed_and_only_its_own() {
    let (service, nodes, dir) =
        (simulated::National::start().await, Pki::new(), tempfile::tempdir().unwrap());
    let (relay, egress) = relayed(&service, &nodes, dir.path()).await;
    let gateway = Gateway::start_with(|c| {
        adapter(c);
        c.national.egress.insert(SENDER.into(), egress.clone());
    })
    .await;
    publish(&gateway, &lab(SENDER), &results(SENDER, "LAB-1")).await;
    settle(&gateway).await;
    assert_eq!(service.running.state()["Counts"]["Units"], 1);
    // What the service holds comes through it too.
    let context = chiren::service::context::Context::of_operator("national", None, gateway.clock.now());
    let national = gateway.rooms().national.clone().unwrap();
    let report = national.reconcile(&context, SENDER, false).await.unwrap();
    assert_eq!((report.listed, report.differences.len()), (Some(1), 0), "{report:#?}");

    // Another institution's job, though sealed with its key.
    let mappings = chiren::config::NationalConfig::default().load_mappings().unwrap();
    let port = Port::open(&egress, &mappings).expect("a way");
    let now = gateway.clock.now().as_microsecond();
    let call = Call::new(Op::parse("info.cancel").unwrap(), DESTINATION, "k");
    assert!(matches!(port.call(&call, now).await, Answer::Failed { why, .. } if why.contains(SENDER)));
    // An old one, a foreign key, and no certificate.
    assert!(matches!(port.call(&call, now - 3_600_000_000).await, Answer::Failed { unsure: false, .. }));
    let foreign = Seal::new(&[7; 32]).unwrap();
    let (sealed, _) = foreign.job(&Job::Holdings { institution: SENDER.into() }, now).unwrap();
    let client = chiren::peer::http::Client::new(egress.peer.as_ref().unwrap()).unwrap();
    let answer = client.post_bytes(Default::default(), sealed.into()).await.unwrap();
    assert_eq!(answer.status.as_u16(), 403);
    let nobody = PeerConfig { certificate: None, private_key: None, ..egress.peer.clone().unwrap() };
    let client = chiren::peer::http::Client::new(&nobody).unwrap();
    assert!(client.post_bytes(Default::default(), "x".into()).await.is_err());

    // The relay goes away and comes back.
    relay.stop().await;
    publish(&gateway, &lab(SENDER), &results(SENDER, "LAB-2")).await;
    settle(&gateway).await;
    let waiting = national.deliveries(DeliveryState::Waiting, None).await.unwrap();
    assert_eq!(waiting.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_laid_for_the_terminal_and_results_found_by_their_key() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().to_owned();
    let service = simulated::National::with(|o| o.folder = Some(at.clone())).await;
    let gateway = Gateway::start_with(|c| {
        adapter(c);
        let egress = EgressConfig {
            via: Via::Folder,
            request_folder: Some(at.join("req")),
            result_folder: Some(at.join("res")),
            folder_poll_ms: 20,
            folder_timeout_seconds: 20,
            ..EgressConfig::default()
        };
        c.national.egress.insert(SENDER.into(), egress);
    })
    .await;
    let first = publish(&gateway, &lab(SENDER), &results(SENDER, "LAB-1")).await;
    settle(&gateway).await;
    publish(&gateway, &replacing(lab(SENDER), &first), &results(SENDER, "LAB-1")).await;
    settle(&gateway).await;
    let state = service.running.state();
    assert_eq!(
        (state["Counts"]["Units"].as_u64(), state["Units"][0]["Version"].as_u64()),
        (Some(1), Some(2))
    );
    // Nothing half written is ever seen.
    let left = std::fs::read_dir(at.join("req")).unwrap().count();
    assert_eq!(left, 0);
}
