//! Who is told that the ids of a patient changed: ITI-10 over MLLP and ITI-46 over SOAP, through the outbox. Consumers go
//! away and come back, refuse, speak TLS; what they hear comes in the order in which it became so.

use chiren::config::{Config, MpiConsumerConfig, TlsMode, TlsProfile};
use chiren::service::outbox::{Now, Report};

use crate::mpi_v3::gateway_with;
use crate::support::Gateway;
use crate::support::consumer::{Consumer, Heard};
use crate::support::mllp::{HOSPA, HOSPB, Mllp, gateway_with as mllp_gateway};
use crate::support::port::lasting;
use crate::support::samples::AUTHORITY;
use crate::support::tls::Pki;

/// A consumer of `url`, interested in the two hospitals.
fn consumer(name: &str, url: String) -> MpiConsumerConfig {
    MpiConsumerConfig {
        name: name.into(),
        url,
        domains: vec![HOSPA.into(), HOSPB.into()],
        application: "EMR".into(),
        facility: "CHUO".into(),
        device: Some("2.999.5".into()),
        connect_seconds: 5,
        answer_seconds: 5,
        ..MpiConsumerConfig::default()
    }
}

/// Feeds a patient of both hospitals: their ids are one person's by the sender's word.
async fn feed(mllp: &mut Mllp, n: usize, birth: &str) {
    let message = format!(
        "MSH|^~\\&|HIS|X|MPI|N|20250401||ADT^A28|N{n}|P|2.5\rEVN||20250401\r\
         PID|1||a{n}^^^&{HOSPA}&ISO~b{n}^^^&{HOSPB}&ISO||SATO{n}^TARO||{birth}|M\rPV1||N\r"
    );
    assert_eq!(mllp.ask(message).await.code, "AA");
}

async fn said(mllp: &mut Mllp, event: &str, rest: &str) {
    let message = format!("MSH|^~\\&|HIS|X|MPI|N|20250401||ADT^{event}|S1|P|2.5\rEVN||20250401\r{rest}");
    let answer = mllp.ask(message).await;
    assert_eq!(answer.code, "AA", "{}", answer.text);
}

/// One look at the outbox, at a moment when all that was postponed is due.
async fn run(gateway: &Gateway) -> Report {
    gateway.clock.advance(jiff::SignedDuration::from_secs(3600));
    let clock = gateway.clock.clone();
    let now: Now = std::sync::Arc::new(move || clock.now().as_microsecond());
    let rooms = gateway.rooms();
    rooms.outbox.run(&rooms.couriers, &now, &Default::default()).await.expect("the outbox runs")
}

fn ids(n: usize) -> Vec<String> {
    vec![format!("{HOSPB}:b{n}"), format!("{HOSPA}:a{n}")]
}

fn mllp_of(gateway: &Gateway) -> std::net::SocketAddr {
    let running = gateway.running.as_ref().expect("running");
    running.listening.address(chiren::config::Role::Mllp).expect("an MLLP listener")
}

fn quiet(config: &mut Config) {
    // Only our own looks deliver.
    config.outbox.poll_seconds = 3600;
}

/// What both wires must show. The consumer is away at first.
async fn away_and_back(scheme: &str, path: &str, start: impl AsyncFn(std::net::SocketAddr) -> Consumer) {
    let place = lasting();
    let address = place.local_addr().unwrap();
    drop(place);
    let url = format!("{scheme}://{address}{path}");
    let gateway = gateway_with(|c| {
        quiet(c);
        c.mpi.consumer = vec![consumer("emr", url)];
    })
    .await;
    let mut mllp = Mllp::connect(mllp_of(&gateway)).await;
    for n in 0..12 {
        feed(&mut mllp, n, &format!("195001{:02}", n + 1)).await;
    }
    // Nobody is there: nothing is lost, and what waits behind the first is not tried one by one.
    let report = run(&gateway).await;
    assert_eq!((report.delivered, report.parked), (0, 0), "{report:?}");
    assert!(report.postponed >= 1);
    assert_eq!(gateway.rooms().outbox.status().waiting, 12);
    // Back: everything, in order, each once, whole sets with nothing else.
    let mut emr = start(address).await;
    assert_eq!(run(&gateway).await.delivered, 12);
    for n in 0..12 {
        let Heard { ids: told, named, from_to, .. } = emr.next().await;
        assert_eq!((told, named), (ids(n), false), "notice {n}");
        assert!(
            from_to.starts_with("CHIREN||EMR|CHUO") || from_to == format!("{AUTHORITY}|2.999.5"),
            "{from_to}"
        );
    }
    // An id leaves one patient before it is another's: parted, a set each; joined again, the whole.
    let pids = format!("PID|1||a0^^^&{HOSPA}&ISO\rPID|2||b0^^^&{HOSPB}&ISO\r");
    said(&mut mllp, "A37", &pids).await;
    said(&mut mllp, "A24", &pids).await;
    said(&mut mllp, "A40", &format!("PID|1||a1^^^&{HOSPA}&ISO||A\rMRG|a2^^^&{HOSPA}&ISO\r")).await;
    run(&gateway).await;
    let mut story = vec![emr.next().await.ids, emr.next().await.ids];
    story.sort();
    assert_eq!(story, [vec![format!("{HOSPB}:b0")], vec![format!("{HOSPA}:a0")]]);
    assert_eq!(emr.next().await.ids, ids(0));
    let joined = [format!("{HOSPB}:b1"), format!("{HOSPB}:b2"), format!("{HOSPA}:a1")];
    assert_eq!(emr.next().await.ids, joined);
    assert!(emr.more().is_empty());
    // One that is refused for its content is parked, and holds nobody up.
    emr.refuse(1);
    for n in 20..23 {
        feed(&mut mllp, n, &format!("196001{:02}", n - 19)).await;
    }
    let report = run(&gateway).await;
    assert_eq!((report.delivered, report.parked), (2, 1), "{report:?}");
    for n in 20..23 {
        assert_eq!(emr.next().await.ids, ids(n));
    }
    let parked = gateway.rooms().outbox.list().await.unwrap();
    assert_eq!(parked.len(), 1);
    let failure = parked[0].failure.as_deref().unwrap_or_default();
    assert!(failure.contains("refused") && !failure.contains("a20"), "{failure}");
    // Away again in the middle, and back under the same address: the rest, nothing twice.
    drop(emr);
    feed(&mut mllp, 30, "19700101").await;
    feed(&mut mllp, 31, "19700102").await;
    assert_eq!(run(&gateway).await.delivered, 0);
    let mut emr = start(address).await;
    assert_eq!(run(&gateway).await.delivered, 2);
    assert_eq!((emr.next().await.ids, emr.next().await.ids), (ids(30), ids(31)));
    assert!(emr.more().is_empty());
    let list = gateway.rooms().outbox.list().await.unwrap();
    assert_eq!(list.len(), 1, "only what is parked");
    let trail = gateway.audit().await;
    assert!(trail.iter().all(|e| !format!("{e:?}").contains("SATO")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_of_hl7_v2_goes_away_and_comes_back() {
    away_and_back("mllp", "", Consumer::v2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_of_hl7_v3_goes_away_and_comes_back() {
    away_and_back("http", "/pixv3", Consumer::v3).await;
}

/// What waits is told after a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_forgets_no_notice() {
    let place = lasting();
    let address = place.local_addr().unwrap();
    drop(place);
    let gateway = gateway_with(|c| {
        quiet(c);
        c.mpi.consumer = vec![consumer("emr", format!("mllp://{address}"))];
    })
    .await;
    let mut mllp = Mllp::connect(mllp_of(&gateway)).await;
    feed(&mut mllp, 1, "19500101").await;
    feed(&mut mllp, 2, "19500102").await;
    drop(mllp);
    let (dir, config) = gateway.stop().await;
    let mut emr = Consumer::v2(address).await;
    let gateway = Gateway::start_in(dir, config).await;
    run(&gateway).await;
    assert_eq!((emr.next().await.ids, emr.next().await.ids), (ids(1), ids(2)));
}

/// Each consumer hears of its domains alone, and in its own order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_hear_of_their_domains() {
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let (mut all, mut one) = (Consumer::v2(any).await, Consumer::v3(any).await);
    let (first, second) = (all.address, one.address);
    let gateway = gateway_with(|c| {
        quiet(c);
        let everything = MpiConsumerConfig { domains: vec![], ..consumer("all", format!("mllp://{first}")) };
        let hospital = MpiConsumerConfig {
            domains: vec![HOSPA.into(), AUTHORITY.into()],
            ..consumer("one", format!("http://{second}/"))
        };
        c.mpi.consumer = vec![everything, hospital];
    })
    .await;
    let mut mllp = Mllp::connect(mllp_of(&gateway)).await;
    feed(&mut mllp, 1, "19500101").await;
    run(&gateway).await;
    let (everything, hospital) = (all.next().await.ids, one.next().await.ids);
    assert!(everything.len() == 3 && ids(1).iter().all(|id| everything.contains(id)), "{everything:?}");
    assert!(hospital.len() == 2 && hospital.iter().any(|id| id.starts_with(&format!("{AUTHORITY}:"))));
    // What changes no set tells nobody.
    feed(&mut mllp, 1, "19500101").await;
    run(&gateway).await;
    assert!(all.more().is_empty() && one.more().is_empty());
}

/// Over TLS, where the consumer asks for our certificate: another gateway, whose feeds take notices as revisions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_go_over_tls_with_our_certificate() {
    let pki = Pki::new();
    let (emr, address) = mllp_gateway(|c| {
        for listener in c.listener.iter_mut().filter(|l| l.name != "ops") {
            pki.secure(listener, TlsMode::Mutual, TlsProfile::JpHigh);
        }
    })
    .await;
    for (url, known) in [
        (format!("mllps://localhost:{}", address.port()), true),
        (format!("https://localhost:{}/mpi/iti44", emr.address.port()), true),
        (format!("mllps://localhost:{}", address.port()), false),
        (format!("https://localhost:{}/mpi/iti44", emr.address.port()), false),
    ] {
        let gateway = gateway_with(|c| {
            quiet(c);
            c.mpi.consumer = vec![MpiConsumerConfig {
                server_ca: vec![pki.path("ca")],
                certificate: known.then(|| pki.path("node")),
                private_key: known.then(|| pki.path("node-key")),
                ..consumer("emr", url.clone())
            }];
        })
        .await;
        let before = told(&emr).await;
        let mut mllp = Mllp::connect(mllp_of(&gateway)).await;
        feed(&mut mllp, 1, "19500101").await;
        let report = run(&gateway).await;
        assert_eq!(
            (report.delivered, report.postponed),
            (u64::from(known), u64::from(!known)),
            "{url} {known}"
        );
        assert_eq!(told(&emr).await, before + usize::from(known), "{url} {known}");
    }
}

/// Feeds that a gateway took under a certificate.
async fn told(gateway: &Gateway) -> usize {
    let trail = gateway.audit().await;
    let feeds = trail.iter().filter(|e| matches!(e.transaction.as_str(), "ITI-30" | "ITI-44"));
    feeds.filter(|e| e.caller.certificate.is_some()).count()
}
