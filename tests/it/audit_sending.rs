//! ITI-20, the sender's side: what each transaction leaves on the wire, valid by the schema; and a repository that
//! dies and comes back under load misses nothing.

use std::collections::{BTreeMap, HashMap};

use chiren::config::Role;
use chiren::model::audit::message::AuditMessage;
use chiren::model::metadata::MetadataObject;
use chiren::service::audit::reading::{Kept, Period, Place};
use chiren::wire::hl7v3::{Ii, feed};

use crate::mpi_v3::{fed, gateway_with, message, misaki};
use crate::support::Gateway;
use crate::support::arr::{Arr, Arrived};
use crate::support::mllp::{HOSPA, Mllp};
use crate::support::raw::connect;
use crate::support::samples::*;
use crate::support::tls::Pki;

/// EventID, EventTypeCode, action, outcome.
fn kind(m: &AuditMessage) -> String {
    let of_type = m.types.first().map(|c| c.code.clone()).unwrap_or_default();
    format!("{} {of_type} {} {}", m.id.code, m.action.clone().unwrap_or_default(), m.outcome)
}

fn detail(m: &AuditMessage, name: &str) -> Option<String> {
    let mut details = m.objects.iter().flat_map(|o| &o.details);
    details.find(|(n, _)| n == name).map(|(_, v)| String::from_utf8_lossy(v).into_owned())
}

async fn get(gateway: &Gateway, path: &str) -> u16 {
    let running = gateway.running.as_ref().expect("running");
    let address = running.listening.address(Role::Fhir).expect("a FHIR listener");
    let request = format!("GET {path} HTTP/1.1\r\nHost: gw.example\r\nAccept: application/fhir+json\r\n\r\n");
    let answer = connect(address).await.exchange(request.as_bytes()).await.expect("an answer");
    answer.status.as_u16()
}

#[tokio::test]
async fn each_transaction_is_on_the_wire_as_its_row_says() {
    let pki = Pki::new();
    let arr = Arr::secure(&pki).await;
    let gateway = gateway_with(|c| {
        c.audit.repository = vec![arr.config("arr", Some(&pki))];
        c.audit.host = "gw.example.jp".into();
        c.repository.remove_registered = true;
    })
    .await;
    let soap = gateway.soap();
    // ITI-41, 42, 61, 18, 43 (whole, in part, not at all), 62, 86.
    let mut provided = submission();
    (provided.document_entries[0].hash, provided.document_entries[0].size) = (None, None);
    soap.provide(&provided, &[("DE", b"a document")]).await.assert_success();
    let document = provided.document_entries[0].unique_id.clone();
    soap.register(&submission()).await.assert_success();
    soap.query(&find_documents(PATIENT)).await.assert_success();
    soap.query_multi_patient(&get_all(PATIENT)).await;
    soap.retrieve(REPOSITORY, &[&document]).await.assert_success();
    soap.retrieve(REPOSITORY, &[&document, "2.25.404"]).await;
    soap.retrieve(REPOSITORY, &["2.25.405"]).await;
    let all = gateway.all(PATIENT).await;
    let ids: Vec<&str> = all.iter().map(MetadataObject::id).collect();
    soap.remove(&ids).await.assert_success();
    soap.remove_documents(REPOSITORY, &[&document, "2.25.406"]).await;
    // ITI-8 (add, update, merge), 9, 21 over MLLP.
    let running = gateway.running.as_ref().expect("running");
    let mut mllp = Mllp::connect(running.listening.address(Role::Mllp).expect("MLLP")).await;
    let adt = |event: &str, n: &str, rest: &str| {
        format!("MSH|^~\\&|HIS|FAC|MPI|CHIIKI|20250401||ADT^{event}|{n}|P|2.3.1\rEVN||20250401\r{rest}")
    };
    let pid = |id: &str| format!("PID|1||{id}^^^&{HOSPA}&ISO||SATO^TARO||19700101|M\r");
    for (event, n, rest) in [
        ("A04", "N1", pid("p1")),
        ("A04", "N2", pid("p2")),
        ("A08", "N3", pid("p1")),
        ("A40", "N4", format!("{}MRG|p2^^^&{HOSPA}&ISO\r", pid("p1"))),
    ] {
        assert_eq!(mllp.ask(adt(event, n, &format!("{rest}PV1||N\r"))).await.code, "AA", "{event}");
    }
    let ask = |message_type: &str, n: &str, qpd: &str| {
        format!("MSH|^~\\&|HIS|FAC|MPI|CHIIKI|20250401||{message_type}|{n}|P|2.5\rQPD|{qpd}\rRCP|I\r")
    };
    let pix = ask("QBP^Q23^QBP_Q21", "N5", &format!("IHE PIX Query|T1|p1^^^&{HOSPA}&ISO"));
    mllp.ask(pix).await;
    let pdq = ask("QBP^Q22^QBP_Q21", "N6", "IHE PDQ Query|T2|@PID.5.1.1^SATO~@PID.7^19700101");
    mllp.ask(pdq).await;
    // ITI-44, then FHIR: ITI-78, ITI-83.
    let added = message(feed::ADDED, &[Ii::with(HOSPA, "v1")], &misaki(), None);
    assert_eq!(fed(&gateway, &added).await.code, "AA");
    assert_eq!(get(&gateway, "/fhir/Patient?family=SATO&birthdate=1970-01-01").await, 200);
    assert_eq!(
        get(&gateway, &format!("/fhir/Patient/$ihe-pix?sourceIdentifier=urn:oid:{HOSPA}%7Cp1")).await,
        200
    );
    // A request that nobody understands.
    gateway.tick();
    soap.post("/xds/registry", "application/soap+xml", "<no/>").await;

    let arrived = arr.until("the last record", |a| a.iter().any(|a| a.xml().contains("\"110132\""))).await;
    let messages: Vec<AuditMessage> = arrived.iter().map(Arrived::message).collect();
    let mut by_kind: BTreeMap<String, Vec<&AuditMessage>> = BTreeMap::new();
    messages.iter().for_each(|m| by_kind.entry(kind(m)).or_default().push(m));
    let wanted = [
        ("110100 110120 E 0", 1),
        ("110113 110134 E 0", 1),
        ("110107 ITI-41 C 0", 1),
        ("110107 ITI-42 C 0", 1),
        ("110106 ITI-43 R 0", 2),
        ("110106 ITI-43 R 8", 2),
        ("110110 ITI-62 D 0", 1),
        ("110110 ITI-86 D 0", 1),
        ("110110 ITI-86 D 8", 1),
        ("110112 ITI-9 E 0", 1),
        ("110112 ITI-21 E 0", 1),
        ("110110 ITI-44 C 0", 1),
        ("110112 ITI-78 E 0", 1),
        ("110112 ITI-83 E 0", 1),
        ("110113 110132 E 8", 1),
    ];
    for (kind, count) in wanted {
        let found = by_kind.get(kind).map_or(0, Vec::len);
        assert_eq!(found, count, "{kind} of {:?}", by_kind.keys().collect::<Vec<_>>());
    }
    assert!(by_kind.contains_key("110112 ITI-18 E 0"));
    let one = |kind: &str| by_kind[kind][0];
    for m in messages.iter().filter(|m| m.types.iter().any(|t| t.code.starts_with("ITI-"))) {
        assert_eq!(m.participants.iter().filter(|p| p.requestor).count(), 1, "{}", kind(m));
        let own = m.participants.iter().filter(|p| p.alternative_user_id.is_some()).count();
        assert_eq!(own, 1, "{}: the process that wrote it", kind(m));
        assert!(m.participants.iter().all(|p| p.network.is_some()), "{}", kind(m));
        assert_eq!(m.source.types, ["4"]);
    }
    let provide = one("110107 ITI-41 C 0");
    assert_eq!(provide.patients().collect::<Vec<_>>(), [PATIENT]);
    assert_eq!(provide.objects[1].id, provided.submission_set.unique_id);
    assert!(provide.participants[1].user_id.ends_with("/xds/iti41"), "{:?}", provide.participants);
    let query = one("110112 ITI-18 E 0");
    let asked = query.objects.iter().find(|o| o.role == Some(24)).expect("the query");
    assert!(asked.id.starts_with("urn:uuid:"), "{}", asked.id);
    assert_eq!(detail(query, "QueryEncoding").as_deref(), Some("UTF-8"));
    assert!(
        String::from_utf8_lossy(asked.query.as_deref().unwrap_or_default()).contains("AdhocQueryRequest")
    );
    let given = one("110106 ITI-43 R 0");
    assert_eq!(detail(given, "Repository Unique ID").as_deref(), Some(REPOSITORY));
    assert!(given.objects.iter().any(|o| o.id == document));
    let halves = &by_kind["110106 ITI-43 R 8"];
    assert!(
        halves
            .iter()
            .any(|m| m.objects.iter().any(|o| o.id == "2.25.404")
                && !m.objects.iter().any(|o| o.id == document))
    );
    assert_eq!(
        detail(one("110110 ITI-86 D 0"), "urn:ihe:iti:xds:2007:repositoryUniqueId").as_deref(),
        Some(REPOSITORY)
    );
    assert!(one("110110 ITI-62 D 0").objects.iter().skip(1).all(|o| o.lifecycle == Some(15)));
    // A40: the one that went and the one that stays.
    let of = |id: &str| -> Vec<&AuditMessage> {
        messages.iter().filter(|m| detail(m, "MSH-10").as_deref() == Some(id)).collect()
    };
    let actions: HashMap<String, String> = of("N4")
        .into_iter()
        .map(|m| (m.patients().next().unwrap_or_default().to_owned(), m.action.clone().unwrap_or_default()))
        .collect();
    let cx = |id: &str| format!("{id}^^^&{HOSPA}&ISO");
    assert_eq!(actions, HashMap::from([(cx("p2"), "D".into()), (cx("p1"), "U".into())]));
    assert_eq!(of("N1").iter().map(|m| m.action.as_deref()).collect::<Vec<_>>(), [Some("C")]);
    assert_eq!(of("N3").iter().map(|m| m.action.as_deref()).collect::<Vec<_>>(), [Some("U")]);
    let pix = of("N5")[0];
    assert_eq!(
        (pix.participants[0].user_id.as_str(), pix.participants[1].user_id.as_str()),
        ("FAC|HIS", "CHIIKI|MPI")
    );
    let asked =
        pix.objects.iter().find(|o| o.role == Some(24)).and_then(|o| o.query.clone()).expect("a question");
    assert!(asked.starts_with(b"MSH|") && String::from_utf8_lossy(&asked).contains("\rQPD|"));
    assert!(detail(one("110110 ITI-44 C 0"), "II").is_some());
    let url =
        one("110112 ITI-78 E 0").objects.iter().find(|o| o.role == Some(24)).and_then(|o| o.query.clone());
    assert!(String::from_utf8_lossy(&url.expect("a URL")).contains("/Patient?family=SATO"));

    // The end is told too, before the connection is closed.
    let before = arr.arrived().len();
    gateway.stop().await;
    let arrived = arr.until("the stop", |a| a.iter().any(|a| a.xml().contains("\"110121\""))).await;
    let last: Vec<String> = arrived[before..].iter().map(|a| kind(&a.message())).collect();
    assert!(last.contains(&"110113 110133 E 0".to_owned()), "{last:?}");
}

/// Patients of the records that arrived, which name each query.
fn patient_of(arrived: &Arrived) -> Option<String> {
    arrived.message().patients().next().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_killed_under_load_misses_nothing() {
    const QUERIES: usize = 240;
    let mut arr = Arr::start().await;
    let other = Arr::start().await;
    let gateway = Gateway::start_with(|c| {
        c.audit.repository = vec![arr.config("arr", None), other.config("other", None)];
    })
    .await;
    let patient = |n: usize| format!("q{n}^^^&{AUTHORITY}&ISO");
    let load = async {
        for n in 0..QUERIES {
            gateway.soap().query(&find_documents(&patient(n))).await;
            gateway.tick();
        }
    };
    let killing = async {
        for n in 1..=4 {
            let have = arr.arrived().len();
            for _ in 0..200 {
                if arr.arrived().len() > have + 15 {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            arr.kill().await;
            tokio::time::sleep(std::time::Duration::from_millis(100 * n)).await;
            arr.restart().await;
        }
        arr
    };
    let ((), arr) = tokio::join!(load, killing);
    let all = |arrived: &[Arrived]| {
        let mut seen: Vec<String> = arrived.iter().filter_map(patient_of).collect();
        seen.sort_unstable();
        seen.dedup();
        seen.iter().filter(|p| p.starts_with('q')).count() == QUERIES
    };
    let arrived = arr.until("every record", all).await;
    other.until("every record at the other", all).await;
    // The order is the chain's, on each connection; what is repeated is what had not been confirmed.
    let mut chained = vec![];
    let trail = gateway.rooms().trail.clone();
    let mut place = Some(Place::start(Period::ALL));
    while let Some(from) = place.take() {
        let (kept, next) = trail.read(Period::ALL, from, 1000).await.expect("the trail");
        chained.extend(kept.into_iter().filter_map(|k| match k {
            Kept::Own(event) => event.patients.first().cloned(),
            Kept::Received { .. } => None,
        }));
        place = next;
    }
    let place_of: HashMap<&str, usize> = chained.iter().enumerate().map(|(n, p)| (p.as_str(), n)).collect();
    let mut by_connection: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for a in &arrived {
        if let Some(at) = patient_of(a).and_then(|p| place_of.get(p.as_str()).copied()) {
            by_connection.entry(a.connection).or_default().push(at);
        }
    }
    assert!(by_connection.len() > 1, "it was killed");
    let mut reached = 0;
    for places in by_connection.values() {
        assert!(places.windows(2).all(|w| w[0] < w[1]), "in order: {places:?}");
        assert!(places[0] <= reached + 1, "nothing was passed over");
        reached = reached.max(*places.last().expect("some"));
    }
    // The other one stood all the while: each record once.
    let once: Vec<String> =
        other.arrived().iter().filter_map(patient_of).filter(|p| p.starts_with('q')).collect();
    assert_eq!(once.len(), QUERIES);
    // Begun anew, nothing is sent twice that was confirmed.
    let (dir, config) = gateway.stop().await;
    let before = other.arrived().len();
    let gateway = Gateway::start_in(dir, config).await;
    gateway.soap().query(&find_documents(&patient(9999))).await;
    let arrived =
        other.until("the new one", |a| a.iter().any(|a| patient_of(a) == Some(patient(9999)))).await;
    let again: Vec<String> = arrived[before..].iter().filter_map(patient_of).collect();
    assert_eq!(again, [patient(9999)]);
}
