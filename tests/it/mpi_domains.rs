//! `chiren mpi domain`: an assigning authority that an operator adds is known to a running gateway, on every wire and
//! without a restart; one that is retired takes no more ids; and each change is in the trail.

use serde_json::Value;

use crate::mpi_v3::gateway;
use crate::support::mllp::{Mllp, said};
use crate::support::process;

const OID: &str = "1.2.392.100495.20.3.51.11312345670";

fn feed(id: &str, authority: &str) -> String {
    format!(
        "MSH|^~\\&|HIS|KITA|MPI|N|20250401||ADT^A28|D1|P|2.5\rEVN||20250401\rPID|1||{id}^^^{authority}||A^B\rPV1||N\r"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_is_added_and_retired_under_a_running_gateway() {
    let gateway = gateway().await;
    let running = gateway.running.as_ref().expect("running");
    let address = running.listening.address(chiren::config::Role::Mllp).expect("an MLLP listener");
    let mut mllp = Mllp::connect(address).await;
    let config = process::write_config(gateway.dir.path(), &gateway.config);
    let config = config.to_str().unwrap().to_owned();
    let domain = |words: &[&str]| {
        let output = process::run(&[&["mpi", "--config", &config, "domain"], words].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), format!("{text}{}", String::from_utf8_lossy(&output.stderr)))
    };
    let unknown = ("AE".to_owned(), "204".to_owned(), "PID^1^3^1^4".to_owned());
    assert_eq!(said(&mllp.ask(feed("1", "KITA")).await), unknown);
    let words = ["add", "--facility", "1312345670", "--namespace", "KITA", "--name", "北病院"];
    let more = ["--alias", "OLDKITA", "--sender", "HIS|KITA", "--pad-to", "8"];
    let (done, text) = domain(&[&words[..], &more].concat());
    assert!(done && text.contains(OID), "{text}");
    // A gateway looks once a second by its clock.
    gateway.tick();
    for (id, authority) in [("1", "KITA"), ("2", "OLDKITA"), ("3", ""), ("4", &format!("&{OID}&ISO"))] {
        let answer = mllp.ask(feed(id, authority)).await;
        assert_eq!(answer.code, "AA", "{authority}: {}", answer.text);
    }
    // Known on every wire, by all of its names, in the form it was told.
    let pix = format!(
        "MSH|^~\\&|V|C|MPI|N|20250401||QBP^Q23^QBP_Q21|Q1|P|2.5\rQPD|IHE PIX Query|T1|00000003^^^&{OID}&ISO|\rRCP|I\r"
    );
    assert_eq!(mllp.ask(&pix).await.code, "AA");
    let fhir = running.listening.address(chiren::config::Role::Fhir).unwrap();
    let mut http = crate::support::raw::connect(fhir).await;
    let path = format!("/fhir/Patient?identifier=urn:oid:{OID}%7C00000001");
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let found = http.exchange(request.as_bytes()).await.expect("an answer");
    let found: Value = serde_json::from_slice(&found.body).unwrap();
    assert_eq!(found["total"], 1, "{found}");

    // Names that are somebody's are refused, and so is what is no domain.
    for words in [
        &["add", "--oid", "2.999.60", "--namespace", "HOSPA"][..],
        &["add", "--oid", "2.999.60", "--namespace", "OLDKITA"],
        &["add", "--oid", OID, "--namespace", "KITA2"],
        &["add", "--facility", "9912345670", "--namespace", "NO"],
        &["add", "--oid", "2.999.60", "--namespace", "A^B"],
        &["add", "--namespace", "NOTHING"],
        &["retire", "HOSPA"],
        &["retire", "NOBODY"],
    ] {
        let (done, text) = domain(words);
        assert!(!done, "{words:?}: {text}");
    }
    let listed = |words: &[&str]| -> Vec<Value> {
        let (done, text) = domain(words);
        assert!(done, "{text}");
        serde_json::from_str(&text).unwrap()
    };
    let of = |all: &[Value], oid: &str| all.iter().find(|d| d["oid"] == oid).cloned().expect("listed");
    let all = listed(&["list", "--json"]);
    let kita = of(&all, OID);
    assert_eq!((&kita["configured"], &kita["name"]), (&false.into(), &"北病院".into()));
    assert!(of(&all, crate::support::mllp::HOSPA)["configured"].as_bool().unwrap());
    assert!(domain(&["list"]).1.contains("北病院"));

    // Retired: nothing new, and what is there stays known.
    let (done, text) = domain(&["retire", "KITA"]);
    assert!(done, "{text}");
    gateway.tick();
    let refused = mllp.ask(feed("9", "KITA")).await;
    assert_eq!(said(&refused), unknown, "{}", refused.text);
    assert_eq!(mllp.ask(&pix).await.code, "AA", "those there are still found");
    assert!(!domain(&["retire", "KITA"]).0, "once is enough");
    assert!(of(&listed(&["list", "--json"]), OID)["retired"].is_array());
    // And taken up again.
    assert!(domain(&[&words[..], &more].concat()).0);
    gateway.tick();
    assert_eq!(mllp.ask(feed("9", "KITA")).await.code, "AA");

    let trail = gateway.audit().await;
    let changes: Vec<&str> =
        trail.iter().filter_map(|e| e.query.as_deref()).filter(|q| q.starts_with("mpi domain")).collect();
    assert_eq!(changes.len(), 3, "{changes:?}");
    // A restart, and another gateway of the database, know it from the start.
    drop((mllp, http));
    let (dir, config) = gateway.stop().await;
    let again = crate::support::Gateway::start_in(dir, config).await;
    let running = again.running.as_ref().expect("running");
    let mut mllp = Mllp::connect(running.listening.address(chiren::config::Role::Mllp).unwrap()).await;
    assert_eq!(mllp.ask(feed("10", "KITA")).await.code, "AA");
}
