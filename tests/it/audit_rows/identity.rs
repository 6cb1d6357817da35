//! Patients: feeds, questions and notices, over every wire, and between two networks.

use std::net::SocketAddr;
use std::sync::Arc;

use chiren::config::{CommunityConfig, DomainKind, MpiConsumerConfig, MpiDomainConfig, Role};
use chiren::model::community::CorrelateBy;
use chiren::model::hl7types::Cx;
use chiren::model::identity::{DemographicsQuery, DomainId, Representation};
use chiren::model::transaction::Transaction;
use chiren::peer::http::Client;
use chiren::peer::soap::notify;
use chiren::service::context::Context;
use chiren::wire::hl7v3::{Ii, feed, xcpd_location};
use chiren::wire::xml::XmlWriter;

use super::*;
use crate::mpi_v3::{asked_pdq, fed, message, misaki};
use crate::support::Gateway;
use crate::support::consumer::Consumer;
use crate::support::gateway::listener;
use crate::support::mllp::{self, HOSPA, HOSPB, Mllp};
use crate::support::raw::connect;
use crate::support::samples::AUTHORITY;
use crate::xcpd::network_id;

const B_HOME: &str = "urn:oid:2.999.8";
const B_AUTHORITY: &str = "2.999.8.2";

/// Another network, which knows misaki.
async fn other(arr: &Arr) -> Gateway {
    let b = Gateway::start_with(|c| {
        mllp::configure(c);
        c.gateway.enabled = true;
        c.network.home_community_id = B_HOME.into();
        c.network.patient_id_authority = B_AUTHORITY.into();
        c.mpi.domain.push(MpiDomainConfig {
            name: "neighbour".into(),
            oid: Some(AUTHORITY.into()),
            kind: DomainKind::Neighbour,
            ..MpiDomainConfig::default()
        });
        c.audit.repository = vec![arr.config("arr", None)];
    })
    .await;
    let add = message(feed::ADDED, &[Ii::with(HOSPB, "B1")], &misaki(), None);
    assert_eq!(fed(&b, &add).await.code, "AA");
    b
}

/// Ours, which knows the other by this way.
async fn ours(arr: &Arr, correlate: CorrelateBy, b: SocketAddr, told: [SocketAddr; 2]) -> Gateway {
    Gateway::start_with(|c| {
        mllp::configure(c);
        c.listener.push(listener("fhir", Role::Fhir));
        c.gateway.enabled = true;
        c.outbox.poll_seconds = 3600;
        let mut table = CommunityConfig {
            id: "b".into(),
            name: "b".into(),
            home_community_id: B_HOME.into(),
            patient_id_authority: Some(B_AUTHORITY.into()),
            correlate,
            budget_ms: 20_000,
            ..CommunityConfig::default()
        };
        table.endpoint.iti44 = Some(format!("http://{b}/mpi/iti44"));
        table.endpoint.iti45 = Some(format!("http://{b}/mpi/iti45"));
        table.endpoint.iti55 = Some(format!("http://{b}/xca/iti55"));
        c.community = vec![table];
        let urls = [format!("mllp://{}", told[0]), format!("http://{}/pixv3", told[1])];
        c.mpi.consumer = urls
            .into_iter()
            .enumerate()
            .map(|(n, url)| MpiConsumerConfig {
                name: format!("emr{n}"),
                url,
                domains: vec![HOSPA.into(), HOSPB.into()],
                application: "EMR".into(),
                facility: "CHUO".into(),
                device: Some("2.999.5".into()),
                connect_seconds: 5,
                answer_seconds: 5,
                ..MpiConsumerConfig::default()
            })
            .collect();
        c.audit.repository = vec![arr.config("arr", None)];
    })
    .await
}

async fn http(gateway: &Gateway, request: &str, body: &str) -> u16 {
    let running = gateway.running.as_ref().expect("running");
    let address = running.listening.address(Role::Fhir).expect("a FHIR listener");
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let request = format!(
        "{request} HTTP/1.1\r\nHost: gw.example\r\nAccept: application/fhir+json\r\n\
         Content-Type: application/fhir+json\r\n{length}\r\n{body}"
    );
    connect(address).await.exchange(request.as_bytes()).await.expect("an answer").status.as_u16()
}

/// Everything but what the two networks say to each other.
async fn at_home(a: &Gateway) {
    let v3 = |interaction, id: &str, subsumed: Option<&Ii>| {
        message(interaction, &[Ii::with(HOSPA, id)], &misaki(), subsumed)
    };
    for text in [
        v3(feed::REVISED, "A1", None),
        v3(feed::ADDED, "A2", None),
        v3(feed::RESOLVED, "A1", Some(&Ii::with(HOSPA, "A2"))),
    ] {
        assert_eq!(fed(a, &text).await.code, "AA", "{text}");
    }
    let named = DemographicsQuery {
        family: vec![("髙橋".into(), Representation::Folded)],
        ..DemographicsQuery::default()
    };
    assert_eq!(asked_pdq(a, &named).await.candidates.len(), 1);
    let running = a.running.as_ref().expect("running");
    let mut mllp = Mllp::connect(running.listening.address(Role::Mllp).expect("MLLP")).await;
    let adt = |event: &str, n: &str, version: &str, rest: &str| {
        format!("MSH|^~\\&|HIS|FAC|MPI|CHIIKI|20250401||ADT^{event}|{n}|P|{version}\rEVN||20250401\r{rest}")
    };
    let pid = |id: &str| format!("PID|1||{id}^^^&{HOSPA}&ISO||SATO^TARO||19700101|M\r");
    for (event, n, version, rest) in [
        ("A04", "N1", "2.3.1", format!("{}PV1||N\r", pid("p1"))),
        ("A04", "N2", "2.3.1", format!("{}PV1||N\r", pid("p2"))),
        ("A08", "N3", "2.3.1", format!("{}PV1||N\r", pid("p1"))),
        ("A40", "N4", "2.3.1", format!("{}MRG|p2^^^&{HOSPA}&ISO\r", pid("p1"))),
        ("A28", "N5", "2.5", format!("{}PV1||N\r", pid("p3"))),
        ("A03", "N6", "2.5", format!("{}PV1||N\r", pid("p3"))),
    ] {
        let answer = mllp.ask(adt(event, n, version, &rest)).await;
        assert_eq!(answer.code, "AA", "{event}: {}", answer.text);
    }
    let ask = |message_type: &str, n: &str, qpd: &str| {
        format!("MSH|^~\\&|HIS|FAC|MPI|CHIIKI|20250401||{message_type}|{n}|P|2.5\rQPD|{qpd}\rRCP|I\r")
    };
    mllp.ask(ask("QBP^Q23^QBP_Q21", "N7", &format!("IHE PIX Query|T1|p1^^^&{HOSPA}&ISO"))).await;
    mllp.ask(ask("QBP^Q22^QBP_Q21", "N8", "IHE PDQ Query|T2|@PID.5.1.1^SATO~@PID.7^19700101")).await;
    assert_eq!(http(a, "GET /fhir/Patient?family=SATO&birthdate=1970-01-01", "").await, 200);
    let pix = format!("GET /fhir/Patient/$ihe-pix?sourceIdentifier=urn:oid:{HOSPA}%7Cp1");
    assert_eq!(http(a, &pix, "").await, 200);
    let patient = format!(
        "{{\"resourceType\":\"Patient\",\"identifier\":[{{\"system\":\"urn:oid:{HOSPA}\",\"value\":\"f1\"}}],\
         \"name\":[{{\"family\":\"SUZUKI\",\"given\":[\"JIRO\"]}}],\"gender\":\"male\",\"birthDate\":\"1960-02-03\"}}"
    );
    let put = format!("PUT /fhir/Patient?identifier=urn:oid:{HOSPA}%7Cf1");
    assert_eq!(http(a, &put, &patient).await, 201);
    let matching = format!(
        "{{\"resourceType\":\"Parameters\",\"parameter\":[{{\"name\":\"resource\",\"resource\":{patient}}}]}}"
    );
    assert_eq!(http(a, "POST /fhir/Patient/$match", &matching).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patients_are_on_the_wire_as_their_rows_say() {
    let arr = Arr::start().await;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let (v2, v3) = (Consumer::v2(any).await, Consumer::v3(any).await);
    let mut kept = vec![];
    for correlate in [CorrelateBy::Xcpd, CorrelateBy::Pix] {
        let b = other(&arr).await;
        let a = ours(&arr, correlate, b.address, [v2.address, v3.address]).await;
        let add = message(feed::ADDED, &[Ii::with(HOSPA, "A1"), Ii::with(HOSPB, "A9")], &misaki(), None);
        assert_eq!(fed(&a, &add).await.code, "AA");
        let patient = Cx::new(network_id(&a, HOSPA, "A1").await, AUTHORITY).expect("an id").into_owned();
        // ITI-10, 44, 46 by the outbox; then the other can be asked by the id it was told.
        let clock = a.clock.clone();
        let now: chiren::service::outbox::Now = Arc::new(move || clock.now().as_microsecond());
        let rooms = a.rooms();
        rooms.outbox.run(&rooms.couriers, &now, &Default::default()).await.expect("the outbox runs");
        let correlations = rooms.correlations.as_ref().expect("a gateway");
        let context = Context::of_operator("test", None, a.clock.now());
        correlations.correlate(&context, &patient, &correlations.communities()).await.expect("an answer");
        if correlate == CorrelateBy::Pix {
            let notice = MpiConsumerConfig {
                name: "a".into(),
                url: format!("http://{}/mpi/iti46", a.address),
                ..MpiConsumerConfig::default()
            };
            let client = Client::new(&notify::peer(&notice)).expect("a client");
            let id = |domain: &str, value: &str| DomainId { domain: domain.into(), value: value.into() };
            let ids = [id(AUTHORITY, &patient.id), id(B_AUTHORITY, "88")];
            let notice = notify::Notice {
                id: "0193a2f0-0000-7000-8000-000000000001",
                time: "20261122030000+0000",
                ids: &ids,
                sender: B_AUTHORITY,
                receiver: None,
            };
            assert_eq!(notify::notify(&client, &notice).await.expect("an answer").code, "AA");
        } else {
            let mut w = XmlWriter::new();
            xcpd_location::write_request(&mut w, &Ii::with(AUTHORITY, patient.id.to_string()));
            let places = a.soap().send(Transaction::Iti56, &w.finish(), &[]).await;
            assert!(places.envelope.contains(AUTHORITY), "{}", places.envelope);
            a.tick();
            at_home(&a).await;
        }
        kept.push((a, b));
    }
    let messages = held_against(&arr, IDENTITY).await;
    for (code, side_of, name) in [
        ("ITI-8", Receiver, "MSH-10"),
        ("ITI-9", Receiver, "MSH-10"),
        ("ITI-10", Sender, "MSH-10"),
        ("ITI-21", Receiver, "MSH-10"),
        ("ITI-44", Receiver, "II"),
        ("ITI-44", Sender, "II"),
        ("ITI-46", Receiver, "II"),
        ("ITI-46", Sender, "II"),
        ("ITI-55", Receiver, "ihe:homeCommunityID"),
        ("ITI-55", Sender, "ihe:homeCommunityID"),
    ] {
        assert!(details(&messages, code, side_of).contains(name), "{code} {side_of:?}: {name}");
    }
    // A merge is a record of the id that went and one of that which stays (D and U).
    for code in ["ITI-8", "ITI-44"] {
        let merges = messages.iter().filter(|m| event_type(m) == code && m.action.as_deref() == Some("D"));
        assert_eq!(merges.count(), 1, "{code}");
    }
}
