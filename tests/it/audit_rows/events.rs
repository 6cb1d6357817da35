//! What is recorded that is no transaction: each kind on the wire, and those that something of ours leaves, left by it.

use std::collections::BTreeSet;

use chiren::config::{Role, XuaMode};
use chiren::model::audit::{AuditEvent, kinds};
use chiren::model::consent::record::BreakGlass;
use chiren::service::audit::Audited;
use chiren::service::consent::{Change, after};

use super::*;
use crate::consent::world_with;
use crate::national::{Scene, lab, results};
use crate::support::Gateway;
use crate::support::gateway::listener;
use crate::support::national::SENDER;
use crate::support::raw::connect;
use crate::support::samples::*;

/// Key, EventID, EventTypeCode, action: security.md 2.4.
const KINDS: &[(&str, &str, &str, &str)] = &[
    ("110120", "110100", "110120", "E"),
    ("110121", "110100", "110121", "E"),
    ("110122", "110114", "110122", "E"),
    ("110123", "110114", "110123", "E"),
    ("110126", "110113", "110126", "E"),
    ("110127", "110113", "110127", "E"),
    ("110128", "110113", "110128", "E"),
    ("110129", "110113", "110129", "E"),
    ("110131", "110113", "110131", "E"),
    ("110132", "110113", "110132", "E"),
    ("110133", "110113", "110133", "E"),
    ("110134", "110113", "110134", "E"),
    ("110135", "110113", "110135", "E"),
    ("110136", "110113", "110136", "E"),
    ("110137", "110113", "110137", "E"),
    ("110138", "110113", "110138", "E"),
    ("ITI-81", "110101", "ITI-81", "R"),
    ("national", "110106", "national", "R"),
    ("operator", "110113", "110131", "E"),
];

#[tokio::test]
async fn every_kind_is_on_the_wire_as_its_row_says() {
    let ours: BTreeSet<&str> = kinds::KINDS.iter().map(|k| k.key).collect();
    let tested: BTreeSet<&str> = KINDS.iter().map(|(key, ..)| *key).collect();
    assert_eq!(ours, tested, "a kind is not tested: add it to tests/it/audit_rows/events.rs");
    let arr = Arr::start().await;
    let gateway = Gateway::start_with(|c| c.audit.repository = vec![arr.config("arr", None)]).await;
    // Told apart by the patient each is about, or by their place: the records of start come first.
    for (n, (key, ..)) in (0_u32..).zip(KINDS) {
        gateway.tick();
        let at = gateway.clock.now();
        let event = AuditEvent {
            id: chiren::service::context::time_uuid(at).to_string(),
            at: at.as_microsecond(),
            transaction: (*key).into(),
            request_id: format!("request {n}"),
            patients: vec![format!("k{n}^^^&{AUTHORITY}&ISO")],
            ..AuditEvent::default()
        };
        gateway.rooms().audit.settle(Audited::Due(Box::new(event))).await.expect("written");
    }
    let arrived = arr.until("one of each", |a| a.len() >= KINDS.len() + 2).await;
    let messages: Vec<AuditMessage> = arrived.iter().skip(2).map(Arrived::message).collect();
    for ((key, id, of_type, action), m) in KINDS.iter().zip(&messages) {
        let found = (m.id.code.as_str(), event_type(m), m.action.as_deref().unwrap_or_default());
        assert_eq!(found, (*id, *of_type, *action), "{key}");
        assert!(!m.participants.is_empty(), "{key}");
    }
}

#[tokio::test]
async fn refusals_and_readings_of_the_trail_leave_their_own() {
    let arr = Arr::start().await;
    let gateway = Gateway::start_with(|c| {
        c.audit.repository = vec![arr.config("arr", None)];
        c.listener.push(listener("fhir", Role::Fhir));
        c.audit.search_listeners = vec!["fhir".into()];
        c.xua.mode = XuaMode::Required;
        c.xua.audiences = vec!["urn:oid:2.999.392.1.1".into()];
    })
    .await;
    gateway.soap().query(&find_documents(PATIENT)).await;
    gateway.soap().post("/xds/registry", "application/soap+xml", "<no/>").await;
    let running = gateway.running.as_ref().expect("running");
    let fhir = running.listening.address(Role::Fhir).expect("a FHIR listener");
    let search = "GET /fhir/AuditEvent?date=ge2026-11-01 HTTP/1.1\r\nHost: gw.example\r\n\r\n";
    let answer = connect(fhir).await.exchange(search.as_bytes()).await.expect("an answer");
    assert_eq!(answer.status.as_u16(), 200);
    for (code_of, event) in [("110126", "110113"), ("110132", "110113"), ("ITI-81", "110101")] {
        let fits = |m: &AuditMessage| event_type(m) == code_of && m.id.code == event;
        let arrived = arr.until(code_of, |a| a.iter().any(|a| fits(&a.message()))).await;
        let m = arrived.iter().map(Arrived::message).find(fits).expect("it came");
        let object = &m.objects[0];
        assert_eq!((object.kind, object.role), (Some(2), Some(13)), "{code_of}");
        match code_of {
            "ITI-81" => assert_eq!(object.name.as_deref(), Some("Security Audit Log")),
            _ => {
                assert_eq!((object.id_type.code.as_str(), m.outcome), ("110182", 8), "{code_of}");
                assert_eq!(object.details[0].0, "Alert Description");
            }
        }
    }
}

#[tokio::test]
async fn consents_and_emergencies_leave_who_and_why() {
    let arr = Arr::start().await;
    let world = world_with(|c| c.audit.repository = vec![arr.config("arr", None)]).await;
    world.grant(vec![]).await;
    let now = world.gateway.clock.now();
    let open = BreakGlass {
        user: "sato".into(),
        from: now.as_microsecond(),
        until: after(now, 60),
        ..BreakGlass::default()
    };
    let id = world.said(Change::BreakGlass(open)).await;
    world.said(Change::End(id)).await;
    for (code_of, operation) in
        [("110135", "consent grant"), ("110127", "consent break-glass"), ("110138", "consent end")]
    {
        let arrived = arr.until(code_of, |a| a.iter().any(|a| event_type(&a.message()) == code_of)).await;
        let m = arrived.iter().map(Arrived::message).find(|m| event_type(m) == code_of).expect("it came");
        assert_eq!(m.patients().collect::<Vec<_>>(), [PATIENT], "{code_of}");
        let said: Vec<(&str, &str)> = m.objects[0]
            .details
            .iter()
            .map(|(name, value)| (name.as_str(), std::str::from_utf8(value).expect("UTF-8")))
            .collect();
        assert_eq!(said, [("operation", operation), ("by", "yamada"), ("reason", "test")], "{code_of}");
        assert!(m.objects.iter().all(|o| !o.id.contains("yamada")), "a reason is no name of an object");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_for_the_national_service_is_an_export() {
    let arr = Arr::start().await;
    let scene = Scene::with(|c| c.audit.repository = vec![arr.config("arr", None)]).await;
    let entry = scene.publish(&lab(SENDER), &results(SENDER, "LAB-1")).await;
    scene.settle().await;
    let fits = |m: &AuditMessage| event_type(m) == "national";
    let arrived = arr.until("a delivery", |a| a.iter().any(|a| fits(&a.message()))).await;
    let m = arrived.iter().map(Arrived::message).find(fits).expect("it came");
    assert_eq!((m.id.code.as_str(), m.action.as_deref(), m.outcome), ("110106", Some("R"), 0));
    assert_eq!(m.patients().collect::<Vec<_>>(), [PATIENT]);
    let document = m.objects.iter().find(|o| o.id == entry).expect("the document");
    assert_eq!((document.role, document.lifecycle), (Some(3), Some(11)));
    assert!(m.objects[0].details.contains(&("operation".into(), b"national info.register".to_vec())));
    let service = m.participants.iter().find(|p| p.roles.iter().any(|r| r.code == "110152"));
    assert!(service.is_some_and(|p| p.user_id.starts_with("https://")), "{:?}", m.participants);
}
