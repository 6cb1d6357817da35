//! What lasts: through a merge, through rules read anew; and what is said over HTTP.

use chiren::config::Role;
use chiren::model::consent::record::Effect;
use chiren::wire::hl7v3::{Ii, feed};

use super::*;
use crate::mpi_v3::{fed, message, misaki, person};
use crate::support::mllp::{self, HOSPA};
use crate::support::raw::connect;
use crate::xcpd::network_id;

#[tokio::test]
async fn a_merge_opens_nothing() {
    let world = world_with(mllp::configure).await;
    let other = person(("山本", "ヤマモト"), ("花子", "ハナコ"), "19500101");
    for (id, of) in [("a1", misaki()), ("a2", other)] {
        let add = message(feed::ADDED, &[Ii::with(HOSPA, id)], &of, None);
        assert_eq!(fed(&world.gateway, &add).await.code, "AA");
    }
    let cx = async |id: &str| format!("{}^^^&{AUTHORITY}&ISO", network_id(&world.gateway, HOSPA, id).await);
    let (stays, goes) = (cx("a1").await, cx("a2").await);
    // Both have documents, so the older id stays.
    let own = of_patient(submission(), &stays);
    world.publish(&own).await;
    // Of who goes: an open document, one on hold, one of psychiatry, which is denied. Who stays permits everything.
    let mut unique_ids = vec![];
    for of in ["open", "held", "psychiatry"] {
        let mut s = of_patient(submission(), &goes);
        if of == "psychiatry" {
            let code = code("18842-5", "2.16.840.1.113883.6.1", "退院時サマリ");
            s.document_entries[0].type_code = Some(code);
        }
        world.publish(&s).await;
        unique_ids.push(s.document_entries[0].unique_id.clone());
    }
    let grant =
        |rules: Vec<Rule>| Change::Grant(Consent { policy: POLICY.into(), rules, ..Consent::default() });
    world.say(&stays, grant(vec![])).await.unwrap();
    let deny = Rule { data: "@psychiatry".parse().unwrap(), ..Rule::new(Effect::Deny) };
    world.say(&goes, grant(vec![deny])).await.unwrap();
    world.say(&goes, Change::Hold(unique_ids[1].clone())).await.unwrap();
    let sees = async |patient: &str| -> Vec<String> {
        let found = world.query(&world.doctor(), &find(patient)).await;
        found.assert_success();
        found.entries().into_iter().map(|e| e.unique_id).collect()
    };
    assert_eq!(sees(&goes).await, unique_ids[..1]);
    // Both ids of one hospital: PRPA_IN201304UV02, as A40.
    world.gateway.tick();
    let merge = message(feed::RESOLVED, &[Ii::with(HOSPA, "a1")], &misaki(), Some(&Ii::with(HOSPA, "a2")));
    assert_eq!(fed(&world.gateway, &merge).await.code, "AA");
    assert!(sees(&goes).await.is_empty());
    let mut shown = sees(&stays).await;
    let mut both = vec![own.document_entries[0].unique_id.clone(), unique_ids[0].clone()];
    shown.sort();
    both.sort();
    assert_eq!(shown, both, "what both permit is shown");
    for hidden in &unique_ids[1..] {
        world.retrieve(&world.doctor(), hidden).await.assert_failure(&["XDSDocumentUniqueIdError"]);
    }
}

#[tokio::test]
async fn rules_read_anew_hold_for_the_next_request_and_faulty_ones_change_nothing() {
    let world = world().await;
    world.publish(&submission()).await;
    world.grant(vec![]).await;
    let running = world.gateway.running.as_ref().unwrap();
    let file = world.gateway.config.consent.rules.clone().unwrap();
    let sees = async || world.sees(&world.doctor()).await.len();
    assert_eq!(sees().await, 1);
    // Nobody but the pharmacy is shown anything any more.
    let closed = RULES.replace("audience = [\"*\"]", &format!("audience = [\"facility:{PHARMACY}\"]"));
    assert_ne!(closed, RULES);
    std::fs::write(&file, &closed).unwrap();
    assert_eq!(sees().await, 1, "not before it is told to read them");
    running.reload().await;
    assert_eq!(sees().await, 0);
    std::fs::write(&file, RULES.replace("[[release]]", "[[relaese]]")).unwrap();
    running.reload().await;
    assert_eq!(sees().await, 0, "with a fault the rules before stay in force");
    std::fs::write(&file, RULES).unwrap();
    running.reload().await;
    assert_eq!(sees().await, 1);
}

async fn post(world: &World, path: &str, body: &str) -> (u16, String) {
    let running = world.gateway.running.as_ref().unwrap();
    let address = running.listening.address(Role::Ops).unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: gw.example\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = connect(address).await.exchange(request.as_bytes()).await.expect("an answer");
    (answer.status.as_u16(), answer.text())
}

#[tokio::test]
async fn visits_and_emergencies_are_said_over_http() {
    let world = world_with(|c| c.consent.face = true).await;
    world.publish(&submission()).await;
    let said = |more: &str| {
        format!("{{\"patient\":\"{PATIENT}\",{more},\"by\":\"reception\",\"reason\":\"visit\"}}")
    };
    let suzuki = Person::doctor("suzuki", PHARMACY);
    assert!(world.sees(&suzuki).await.is_empty());
    let (status, answer) = post(&world, "/consent/attest", &said("\"user\":\"suzuki\",\"minutes\":30")).await;
    assert_eq!(status, 201, "{answer}");
    assert!(answer.contains("\"records\""));
    assert_eq!(world.sees(&suzuki).await.len(), 1);
    world.gateway.clock.advance(jiff::SignedDuration::from_mins(31));
    assert!(world.sees(&suzuki).await.is_empty(), "over");
    let facility = format!("\"user\":\"sato\",\"facility\":\"{CLINIC}\"");
    assert_eq!(post(&world, "/consent/break-glass", &said(&facility)).await.0, 201);
    assert_eq!(world.sees(&world.doctor().with("ETREAT")).await.len(), 1);
    assert!(world.sees(&world.doctor()).await.is_empty());
    let audit = world.gateway.audit().await;
    let of = |kind: &str| audit.iter().filter(|e| e.transaction == kind).count();
    assert_eq!((of("110127"), of("110135")), (1, 1));
    // One thing wrong each.
    let nobody = said("\"user\":\"x\"").replace(PATIENT, "9^^^&2.999.392.1.2&ISO");
    for (path, body, status) in [
        ("/consent/attest", said("\"user\":\"x\",\"facility\":\"1.2\""), 400),
        ("/consent/attest", said("\"usr\":\"x\""), 400),
        ("/consent/attest", "{".into(), 400),
        ("/consent/break-glass", said("\"facility\":\"1.2\""), 400),
        ("/consent/attest", nobody, 404),
        ("/consent/grant", said("\"user\":\"x\""), 404),
    ] {
        assert_eq!(post(&world, path, &body).await.0, status, "{path} {body}");
    }
}

#[tokio::test]
async fn over_http_nothing_is_said_unless_it_may_be() {
    let world = world().await;
    let body = format!("{{\"patient\":\"{PATIENT}\",\"user\":\"x\",\"by\":\"y\",\"reason\":\"z\"}}");
    assert_eq!(post(&world, "/consent/attest", &body).await.0, 405);
}
