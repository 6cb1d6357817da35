//! Who our patients are in another network: two real gateways, with a door between them that misbehaves as it is told.

mod cli;

use std::net::SocketAddr;
use std::sync::Arc;

use chiren::cli::simulate::fault::{Fault, Kind};
use chiren::cli::simulate::front::Front;
use chiren::config::{CommunityConfig, Config, DomainKind, MpiConsumerConfig, MpiDomainConfig};
use chiren::model::community::{CorrelateBy, Step};
use chiren::model::hl7types::Cx;
use chiren::model::identity::DomainId;
use chiren::peer::http::Client;
use chiren::peer::soap::notify;
use chiren::service::context::Context;
use chiren::service::gateway::Correlated;
use chiren::service::gateway::correlate::{LinkShown, Refused, Verdict};
use chiren::service::mpi::ReviewState;
use chiren::wire::hl7v3::feed::ADDED;
use chiren::wire::hl7v3::{Ii, xcpd_location};
use chiren::wire::xml::XmlWriter;

use crate::mpi_v3::{fed, message, misaki};
use crate::support::Gateway;
use crate::support::mllp::{self, HOSPA, HOSPB};
use crate::support::samples::{AUTHORITY, HOME};
use crate::support::tls::Pki;
use crate::xcpd::{body, home, network_id};

/// The other network.
const B_HOME: &str = "urn:oid:2.999.8";
const B_AUTHORITY: &str = "2.999.8.2";

/// Another network, its door on the way to it.
struct Other {
    gateway: Gateway,
    front: Front,
}

async fn other_with(change: impl FnOnce(&mut Config)) -> Other {
    let gateway = Gateway::start_with(|config| {
        mllp::configure(config);
        config.gateway.enabled = true;
        config.network.home_community_id = B_HOME.into();
        config.network.patient_id_authority = B_AUTHORITY.into();
        config.mpi.domain.push(neighbour(AUTHORITY));
        change(config);
    })
    .await;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let front = Front::open(any, gateway.address, "2.999.8").await.expect("a door");
    Other { gateway, front }
}

fn neighbour(authority: &str) -> MpiDomainConfig {
    MpiDomainConfig {
        name: "neighbour".into(),
        oid: Some(authority.into()),
        kind: DomainKind::Neighbour,
        ..MpiDomainConfig::default()
    }
}

/// The other network in our directory.
fn community(correlate: CorrelateBy, at: SocketAddr) -> CommunityConfig {
    let mut community = CommunityConfig {
        id: "b".into(),
        name: "b".into(),
        home_community_id: B_HOME.into(),
        patient_id_authority: Some(B_AUTHORITY.into()),
        correlate,
        budget_ms: 20_000,
        ..CommunityConfig::default()
    };
    community.endpoint.iti45 = Some(format!("http://{at}/mpi/iti45"));
    community.endpoint.iti55 = Some(format!("http://{at}/xca/iti55"));
    community
}

/// Our network, which knows the other by this table.
async fn ours_with(community: CommunityConfig, change: impl FnOnce(&mut Config)) -> Gateway {
    Gateway::start_with(|config| {
        mllp::configure(config);
        config.gateway.enabled = true;
        config.community = vec![community];
        change(config);
    })
    .await
}

async fn ours(community: CommunityConfig) -> Gateway {
    ours_with(community, |_| {}).await
}

/// Feeds misaki, and gives her id in the network's domain.
async fn admitted(gateway: &Gateway, hospital: &str, value: &str) -> Cx<'static> {
    let ids = [Ii::with(hospital, value)];
    assert_eq!(fed(gateway, &message(ADDED, &ids, &misaki(), None)).await.code, "AA");
    let authority = gateway.config.network.patient_id_authority.clone();
    Cx::new(network_id(gateway, hospital, value).await, authority).expect("an id")
}

fn context(gateway: &Gateway) -> Context {
    Context::of_operator("test", None, gateway.clock.now())
}

async fn correlated(gateway: &Gateway, patient: &Cx<'_>) -> Correlated {
    let correlations = gateway.rooms().correlations.as_ref().expect("a gateway");
    let communities = correlations.communities();
    correlations.correlate(&context(gateway), patient, &communities).await.expect("an answer")
}

async fn links(gateway: &Gateway, patient: &Cx<'_>) -> Vec<LinkShown> {
    let correlations = gateway.rooms().correlations.as_ref().expect("a gateway");
    correlations.links(&context(gateway), patient).await.expect("links").expect("a patient")
}

async fn decided(
    gateway: &Gateway,
    patient: &Cx<'_>,
    theirs: &Cx<'_>,
    verdict: Verdict,
) -> Result<LinkShown, Refused> {
    let correlations = gateway.rooms().correlations.as_ref().expect("a gateway");
    gateway.tick();
    correlations.decide(&context(gateway), patient, B_HOME, theirs, verdict, "yamada", "card seen").await
}

fn ids(correlated: &Correlated) -> Vec<String> {
    correlated.found.iter().map(|c| c.patient.to_string()).collect()
}

fn steps(correlated: &Correlated) -> Vec<Step> {
    correlated.failed.iter().map(|f| f.trouble.step).collect()
}

fn states(links: &[LinkShown]) -> Vec<ReviewState> {
    links.iter().map(|l| l.state).collect()
}

/// What a cell comes to.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Found,
    Nobody,
    Undecided,
    Fails(Step),
}

fn end(correlated: &Correlated) -> End {
    match (correlated.found.len(), steps(correlated).first(), correlated.undecided.len()) {
        (1, None, 0) => End::Found,
        (0, None, 0) => End::Nobody,
        (0, None, 1) => End::Undecided,
        (0, Some(step), 0) => End::Fails(*step),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_cell_has_its_end() {
    type Change = fn(&mut CommunityConfig);
    let plain: Change = |_| {};
    let brief: Change = |c| c.budget_ms = 300;
    let small: Change = |c| c.answer_mib = 1;
    let fails = End::Fails;
    for (correlate, path) in [(CorrelateBy::Xcpd, "/xca/iti55"), (CorrelateBy::Pix, "/mpi/iti45")] {
        let of = |kind| Some(Fault::at(kind, path));
        let with = |kind, n| Some(Fault { n: Some(n), ..Fault::at(kind, path) });
        // Of PIX, ids of another authority than the community's are none of its.
        let wrong = if correlate == CorrelateBy::Xcpd { fails(Step::BadAnswer) } else { End::Nobody };
        let cells = [
            ("ok", plain, None, End::Found),
            ("slow", plain, with(Kind::Delay, 200), End::Found),
            ("hang", brief, of(Kind::Hang), fails(Step::Timeout)),
            ("drip", brief, of(Kind::Drip), fails(Step::Timeout)),
            ("fault", plain, of(Kind::Fault), fails(Step::Fault)),
            ("drop", plain, of(Kind::Drop), fails(Step::BadAnswer)),
            ("malformed", plain, of(Kind::Malformed), fails(Step::BadAnswer)),
            ("huge", small, with(Kind::Huge, 4), fails(Step::BadAnswer)),
            ("wrong home", plain, of(Kind::WrongHome), wrong),
            ("several", plain, of(Kind::Several), End::Undecided),
        ];
        for (name, change, fault, expected) in cells {
            let b = other_with(|_| {}).await;
            let mut table = community(correlate, b.front.address);
            change(&mut table);
            let a = ours(table).await;
            let patient = admitted(&a, HOSPA, "A1").await;
            // The other network knows her by an id of its own, and as ours.
            let mut known = vec![Ii::with(HOSPB, "B1")];
            if correlate == CorrelateBy::Pix {
                known.push(Ii::with(AUTHORITY, patient.id.to_string()));
            }
            assert_eq!(fed(&b.gateway, &message(ADDED, &known, &misaki(), None)).await.code, "AA");
            fault.into_iter().for_each(|fault| b.front.faults.add(fault));
            assert_eq!(end(&correlated(&a, &patient).await), expected, "{correlate:?} {name}");
        }
    }
}

#[tokio::test]
async fn where_nobody_listens_speaks_tls_or_knows_the_patient() {
    let b = other_with(|_| {}).await;
    let pki = Pki::new();
    for correlate in [CorrelateBy::Xcpd, CorrelateBy::Pix] {
        let a = ours(community(correlate, crate::support::sink::Sink::nowhere())).await;
        let patient = admitted(&a, HOSPA, "A1").await;
        assert_eq!(end(&correlated(&a, &patient).await), End::Fails(Step::Connect), "{correlate:?}");
        let mut secure = community(correlate, b.front.address);
        let https = |url: &Option<String>| url.as_ref().map(|url| url.replacen("http:", "https:", 1));
        (secure.endpoint.iti45, secure.endpoint.iti55) =
            (https(&secure.endpoint.iti45), https(&secure.endpoint.iti55));
        secure.server_ca = vec![pki.path("ca")];
        let a = ours(secure).await;
        let patient = admitted(&a, HOSPA, "A1").await;
        assert_eq!(end(&correlated(&a, &patient).await), End::Fails(Step::Tls), "{correlate:?}");
        let a = ours(community(correlate, b.front.address)).await;
        let patient = admitted(&a, HOSPA, "A1").await;
        assert_eq!(end(&correlated(&a, &patient).await), End::Nobody, "{correlate:?}");
    }
}

#[tokio::test]
async fn what_was_discovered_is_kept_for_its_time() {
    let b = other_with(|config| config.discovery.time_to_live_hours = 24).await;
    let theirs = admitted(&b.gateway, HOSPB, "B1").await;
    let a = ours(community(CorrelateBy::Xcpd, b.front.address)).await;
    let patient = admitted(&a, HOSPA, "A1").await;
    assert_eq!(ids(&correlated(&a, &patient).await), [theirs.to_string()]);
    // Nobody answers any more, and nobody need.
    b.front.faults.add(Fault::of(Kind::Drop));
    a.clock.advance(jiff::SignedDuration::from_hours(23));
    assert_eq!(ids(&correlated(&a, &patient).await), [theirs.to_string()]);
    a.clock.advance(jiff::SignedDuration::from_hours(2));
    assert_eq!(steps(&correlated(&a, &patient).await), [Step::BadAnswer]);
    b.front.faults.clear();
    assert_eq!(ids(&correlated(&a, &patient).await), [theirs.to_string()], "and is learnt anew");
    // The initiator's record names no patient (security, ITI-55).
    let audit = a.audit().await;
    let asked: Vec<_> = audit.iter().filter(|e| e.transaction == "ITI-55").collect();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|e| e.patients.is_empty() && e.home_community_id.as_deref() == Some(B_HOME)));
    assert!(asked.iter().all(|e| e.sent_to.is_some()));
}

#[tokio::test]
async fn what_may_not_be_kept_is_asked_for_every_time() {
    let b = other_with(|config| config.discovery.time_to_live_hours = 0).await;
    admitted(&b.gateway, HOSPB, "B1").await;
    let a = ours(community(CorrelateBy::Xcpd, b.front.address)).await;
    let patient = admitted(&a, HOSPA, "A1").await;
    assert_eq!(end(&correlated(&a, &patient).await), End::Found);
    assert!(links(&a, &patient).await.is_empty());
    b.front.faults.add(Fault::of(Kind::Drop));
    assert_eq!(end(&correlated(&a, &patient).await), End::Fails(Step::BadAnswer));
}

#[tokio::test]
async fn of_several_none_is_picked_until_somebody_says() {
    let b = other_with(|_| {}).await;
    let theirs = admitted(&b.gateway, HOSPB, "B1").await;
    let a = ours(community(CorrelateBy::Xcpd, b.front.address)).await;
    let patient = admitted(&a, HOSPA, "A1").await;
    b.front.faults.add(Fault::at(Kind::Several, "/xca/iti55"));
    let undecided = correlated(&a, &patient).await;
    assert_eq!((undecided.found.len(), undecided.undecided), (0, vec![home(B_HOME)]));
    let found = links(&a, &patient).await;
    assert_eq!(states(&found), [ReviewState::Candidate; 2]);
    assert!(found.iter().all(|l| !l.holds && l.history.len() == 1));
    let other = found.iter().find(|l| l.theirs != theirs.to_string()).expect("the other").theirs.clone();
    let other = Cx::parse(&other).unwrap();
    assert_eq!(decided(&a, &patient, &theirs, Verdict::Hold).await.unwrap().state, ReviewState::Waiting);
    assert_eq!(correlated(&a, &patient).await.found.len(), 0, "確認待ち leads nowhere");
    let confirmed = decided(&a, &patient, &theirs, Verdict::Confirm).await.unwrap();
    assert!(confirmed.holds && confirmed.manual);
    assert_eq!(confirmed.history.last().map(|h| h.who.as_str()), Some("yamada"));
    assert_eq!(decided(&a, &patient, &other, Verdict::Reject).await.unwrap().state, ReviewState::Refused);
    assert_eq!(ids(&correlated(&a, &patient).await), [theirs.to_string()]);
    // What is confirmed is not rejected, and a reason is owed.
    let refused = decided(&a, &patient, &theirs, Verdict::Reject).await;
    assert!(matches!(refused, Err(Refused::State(..))), "{refused:?}");
    let correlations = a.rooms().correlations.as_ref().unwrap();
    let silent =
        correlations.decide(&context(&a), &patient, B_HOME, &theirs, Verdict::Release, "x", " ").await;
    assert!(matches!(silent, Err(Refused::Reason)), "{silent:?}");
    // Released, the very next question does not go there, whatever the community says.
    b.front.faults.clear();
    assert_eq!(decided(&a, &patient, &theirs, Verdict::Release).await.unwrap().state, ReviewState::Released);
    assert_eq!(correlated(&a, &patient).await.found.len(), 0);
    assert_eq!(correlated(&a, &patient).await.found.len(), 0, "no machine overturns it");
    let audit = a.audit().await;
    assert!(audit.iter().any(|e| e.query.as_deref().is_some_and(|q| q.contains("解除"))));
    assert_eq!(decided(&a, &patient, &theirs, Verdict::Confirm).await.unwrap().state, ReviewState::Confirmed);
    assert_eq!(ids(&correlated(&a, &patient).await), [theirs.to_string()]);
}

#[tokio::test]
async fn a_link_may_wait_for_a_person_however_certain() {
    let b = other_with(|_| {}).await;
    let theirs = admitted(&b.gateway, HOSPB, "B1").await;
    let by_hand = |config: &mut Config| config.discovery.confirm_by_hand = true;
    let a = ours_with(community(CorrelateBy::Xcpd, b.front.address), by_hand).await;
    let patient = admitted(&a, HOSPA, "A1").await;
    assert_eq!(end(&correlated(&a, &patient).await), End::Undecided);
    decided(&a, &patient, &theirs, Verdict::Confirm).await.unwrap();
    assert_eq!(end(&correlated(&a, &patient).await), End::Found);
}

#[tokio::test]
async fn links_of_a_person_whose_ids_are_parted_wait() {
    let b = other_with(|_| {}).await;
    admitted(&b.gateway, HOSPB, "B1").await;
    let a = ours(community(CorrelateBy::Xcpd, b.front.address)).await;
    let both = [Ii::with(HOSPA, "A1"), Ii::with(HOSPB, "A2")];
    assert_eq!(fed(&a, &message(ADDED, &both, &misaki(), None)).await.code, "AA");
    let patient = Cx::new(network_id(&a, HOSPA, "A1").await, AUTHORITY.to_owned()).unwrap();
    assert_eq!(end(&correlated(&a, &patient).await), End::Found);
    let mpi = a.rooms().mpi.as_ref().unwrap();
    let id = |domain: &str, value: &str| DomainId { domain: domain.into(), value: value.into() };
    a.tick();
    mpi.unlink(&context(&a), &id(HOSPA, "A1"), &id(HOSPB, "A2"), "yamada", "two sisters").await.unwrap();
    let kept = network_id(&a, HOSPA, "A1").await;
    let other = network_id(&a, HOSPB, "A2").await;
    assert_ne!(kept, other);
    assert_eq!(states(&links(&a, &patient).await), [ReviewState::Waiting]);
    assert_eq!(correlated(&a, &patient).await.found.len(), 0);
}

#[tokio::test]
async fn a_shared_id_is_the_same_there() {
    let b = other_with(|_| {}).await;
    for (authority, found) in [(None, 1), (Some(AUTHORITY), 1), (Some("2.999.8.3"), 0)] {
        let mut table = community(CorrelateBy::SharedId, b.front.address);
        table.patient_id_authority = authority.map(str::to_owned);
        let a = ours(table).await;
        let patient = admitted(&a, HOSPA, "A1").await;
        let shared = correlated(&a, &patient).await;
        assert_eq!(shared.found.len(), found, "{authority:?}");
        assert!(ids(&shared).iter().all(|id| *id == patient.to_string()));
        if found == 1 {
            decided(&a, &patient, &patient, Verdict::Release).await.unwrap();
            assert_eq!(correlated(&a, &patient).await.found.len(), 0, "released at once");
        }
    }
}

#[tokio::test]
async fn a_neighbour_is_told_and_knows_our_patient_by_both_ids() {
    let b = other_with(|_| {}).await;
    let theirs = admitted(&b.gateway, HOSPB, "B1").await;
    let mut table = community(CorrelateBy::Pix, b.front.address);
    table.endpoint.iti44 = Some(format!("http://{}/mpi/iti44", b.front.address));
    let a = ours(table).await;
    let patient = admitted(&a, HOSPA, "A1").await;
    assert_eq!(end(&correlated(&a, &patient).await), End::Nobody, "nobody has told them");
    let now = a.clock.clone();
    let now: chiren::service::outbox::Now = Arc::new(move || now.now().as_microsecond());
    let rooms = a.rooms();
    rooms.outbox.run(&rooms.couriers, &now, &Default::default()).await.expect("the outbox runs");
    // Their index knows our id now, and links it with theirs when somebody says so: demographics alone do not join
    // patients of two networks there.
    let mpi = b.gateway.rooms().mpi.as_ref().unwrap();
    let id = |domain: &str, value: &str| DomainId { domain: domain.into(), value: value.into() };
    let (one, other) = (id(HOSPB, "B1"), id(AUTHORITY, &patient.id));
    b.gateway.tick();
    mpi.link(&context(&b.gateway), &one, &other, "yamada", "card seen").await.expect("linked");
    assert_eq!(ids(&correlated(&a, &patient).await), [theirs.to_string()]);
}

#[tokio::test]
async fn a_notice_makes_and_unmakes_links_at_once() {
    let b = other_with(|_| {}).await;
    let a = ours(community(CorrelateBy::Pix, b.front.address)).await;
    let patient = admitted(&a, HOSPA, "A1").await;
    let consumer = MpiConsumerConfig {
        name: "a".into(),
        url: format!("http://{}/mpi/iti46", a.address),
        ..MpiConsumerConfig::default()
    };
    let client = Client::new(&notify::peer(&consumer)).expect("a client");
    let id = |domain: &str, value: &str| DomainId { domain: domain.into(), value: value.into() };
    let told = |sender: &'static str, ids: Vec<DomainId>| {
        let client = client.clone();
        async move {
            let notice = notify::Notice {
                id: "0193a2f0-0000-7000-8000-000000000001",
                time: "20261122030000+0000",
                ids: &ids,
                sender,
                receiver: None,
            };
            notify::notify(&client, &notice).await.expect("an answer").code
        }
    };
    let ours = id(AUTHORITY, &patient.id);
    assert_eq!(told("2.999.77", vec![ours.clone(), id(B_AUTHORITY, "88")]).await, "AE", "a stranger");
    b.front.faults.add(Fault::of(Kind::Drop));
    assert!(correlated(&a, &patient).await.found.is_empty());
    assert_eq!(told(B_AUTHORITY, vec![ours.clone(), id(B_AUTHORITY, "88")]).await, "AA");
    let linked = correlated(&a, &patient).await;
    assert_eq!(ids(&linked), [format!("88^^^&{B_AUTHORITY}&ISO")], "without asking anybody");
    // The id is somebody else's now.
    a.tick();
    assert_eq!(told(B_AUTHORITY, vec![id(B_AUTHORITY, "88"), id("2.999.8.9", "1")]).await, "AA");
    assert!(correlated(&a, &patient).await.found.is_empty());
    assert_eq!(states(&links(&a, &patient).await), [ReviewState::Obsolete]);
    // Two ids there for one here: nobody picks.
    a.tick();
    assert_eq!(told(B_AUTHORITY, vec![ours, id(B_AUTHORITY, "88"), id(B_AUTHORITY, "89")]).await, "AA");
    assert!(correlated(&a, &patient).await.found.is_empty());
    assert_eq!(states(&links(&a, &patient).await), [ReviewState::Candidate; 2]);
    // Our own feed is at another address, and goes on.
    let add = message(ADDED, &[Ii::with(HOSPA, "A9")], &misaki(), None);
    assert_eq!(fed(&a, &add).await.code, "AA");
    let audit = a.audit().await;
    assert!(audit.iter().any(|e| e.transaction == "ITI-46" && !e.patients.is_empty()));
}

#[tokio::test]
async fn who_asks_announces_and_is_found_in_return() {
    let mut table = community(CorrelateBy::Xcpd, crate::support::sink::Sink::nowhere());
    table.home_community_id = HOME.into();
    table.patient_id_authority = Some(AUTHORITY.into());
    let b = other_with(|config| {
        config.community = vec![table];
        config.mpi.domain.retain(|d| d.oid.as_deref() != Some(AUTHORITY));
    })
    .await;
    let theirs = admitted(&b.gateway, HOSPB, "B1").await;
    let a = ours(community(CorrelateBy::Xcpd, b.front.address)).await;
    let patient = admitted(&a, HOSPA, "A1").await;
    assert_eq!(ids(&correlated(&a, &patient).await), [theirs.to_string()]);
    let back = correlated(&b.gateway, &theirs).await;
    assert_eq!(ids(&back), [patient.to_string()], "by the question that was asked");
    let mut w = XmlWriter::new();
    let asked = Ii::with(B_AUTHORITY, theirs.id.to_string());
    xcpd_location::write_request(&mut w, &asked);
    let answer =
        b.gateway.soap().send(chiren::model::transaction::Transaction::Iti56, &w.finish(), &[]).await;
    let places = body(&answer, xcpd_location::read_answer);
    let homes: Vec<_> = places.iter().map(|p| p.home.clone()).collect();
    assert_eq!(homes, [home(B_HOME), home(HOME)]);
    assert_eq!(places[1].corresponding, Ii::with(AUTHORITY, patient.id.to_string()));
}

#[tokio::test]
async fn one_slow_community_costs_the_others_nothing() {
    let (b, c) = (other_with(|_| {}).await, other_with(|_| {}).await);
    let theirs = admitted(&b.gateway, HOSPB, "B1").await;
    let mut slow = community(CorrelateBy::Xcpd, c.front.address);
    (slow.id, slow.home_community_id, slow.budget_ms) = ("c".into(), "urn:oid:2.999.9".into(), 300);
    let quick = community(CorrelateBy::Xcpd, b.front.address);
    let a = ours_with(quick, |config| config.community.push(slow)).await;
    let patient = admitted(&a, HOSPA, "A1").await;
    c.front.faults.add(Fault::of(Kind::Hang));
    let found = correlated(&a, &patient).await;
    assert_eq!((ids(&found), steps(&found)), (vec![theirs.to_string()], vec![Step::Timeout]));
    assert_eq!(found.failed[0].community, "c");
}
