//! `chiren community`: links as a person sees and decides them, and each address of a community really tried.

use std::path::Path;

use chiren::cli::simulate::fault::{Fault, Kind};
use chiren::config::{CommunityConfig, Config};
use chiren::model::community::CorrelateBy;
use serde_json::Value;

use super::{admitted, community, correlated, other_with, ours_with};
use crate::support::Gateway;
use crate::support::mllp::{HOSPA, HOSPB};
use crate::support::process::{run, write_config};

/// Runs `chiren community …`; exit status and what it printed.
async fn told(config: &Path, arguments: &[&str]) -> (i32, String) {
    let mut all: Vec<String> = vec!["--lang".into(), "en".into(), "community".into()];
    all.extend(arguments.iter().map(|a| (*a).to_owned()));
    all.extend(["--config".into(), config.display().to_string()]);
    let ran = tokio::task::spawn_blocking(move || run(&all.iter().map(String::as_str).collect::<Vec<_>>()));
    let output = ran.await.expect("it runs");
    let own = output.status.success() || arguments.contains(&"--json");
    let said = if own { output.stdout.clone() } else { output.stderr.clone() };
    let said = if said.is_empty() { output.stdout } else { said };
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
}

async fn json(config: &Path, arguments: &[&str]) -> Value {
    let (code, said) = told(config, arguments).await;
    assert_eq!(code, 0, "{arguments:?}: {said}");
    serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"))
}

fn written(gateway: &Gateway) -> std::path::PathBuf {
    write_config(gateway.dir.path(), &gateway.config)
}

async fn ours(community: CommunityConfig) -> Gateway {
    ours_with(community, |c: &mut Config| c.log.level = "warn".into()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_are_shown_held_confirmed_rejected_and_released() {
    let b = other_with(|_| {}).await;
    let theirs = admitted(&b.gateway, HOSPB, "B1").await;
    let a = ours(community(CorrelateBy::Xcpd, b.front.address)).await;
    let patient = admitted(&a, HOSPA, "A1").await;
    b.front.faults.add(Fault::at(Kind::Several, "/xca/iti55"));
    correlated(&a, &patient).await;
    let config = written(&a);
    let (patient, theirs) = (patient.to_string(), theirs.to_string());
    let worklist = json(&config, &["links", "--state", "candidate", "--json"]).await;
    assert_eq!(worklist.as_array().map(Vec::len), Some(2));
    let found = json(&config, &["links", &patient, "--json"]).await;
    let other = found.as_array().unwrap().iter().map(|l| l["theirs"].as_str().unwrap());
    let other = other.filter(|id| *id != theirs).map(str::to_owned).next().expect("the other");
    let (code, table) = told(&config, &["links", &patient]).await;
    assert!(code == 0 && table.contains("urn:oid:2.999.8"), "{table}");
    let decided = async |verb: &str, id: &str, reason: &str| {
        told(&config, &[verb, &patient, "b", id, "--by", "yamada", "--reason", reason]).await
    };
    assert_eq!(decided("hold", &theirs, "").await.0, 0);
    let waiting = json(&config, &["links", "--state", "waiting", "--json"]).await;
    assert_eq!(waiting.as_array().map(Vec::len), Some(1));
    let (code, said) = decided("confirm", &theirs, "card seen").await;
    let link: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, link["holds"].as_bool(), link["manual"].as_bool()), (0, Some(true), Some(true)));
    let last = link["history"].as_array().unwrap().last().unwrap();
    assert_eq!((last["who"].as_str(), last["reason"].as_str()), (Some("yamada"), Some("card seen")));
    assert_eq!(decided("reject", &other, "another of that name").await.0, 0);
    // The running gateway follows what was said at once.
    assert_eq!(super::ids(&correlated(&a, &parsed(&patient)).await), std::slice::from_ref(&theirs));
    assert_ne!(decided("reject", &theirs, "no").await.0, 0, "what is confirmed is released first");
    assert_ne!(decided("release", &theirs, " ").await.0, 0, "a reason is owed");
    assert_eq!(decided("release", &theirs, "mistaken").await.0, 0);
    assert_eq!(correlated(&a, &parsed(&patient)).await.found.len(), 0);
    for wrong in [
        ["confirm", "999^^^&2.999.392.1.2&ISO", "b", theirs.as_str()],
        ["confirm", patient.as_str(), "nobody", theirs.as_str()],
        ["confirm", patient.as_str(), "b", "1^2"],
    ] {
        assert_ne!(told(&config, &wrong).await.0, 0, "{wrong:?}");
    }
}

fn parsed(text: &str) -> chiren::model::hl7types::Cx<'static> {
    chiren::model::hl7types::Cx::parse(text).expect("a CX").into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_address_of_a_community_is_really_tried() {
    let b = other_with(|_| {}).await;
    let at = b.front.address;
    let mut member = community(CorrelateBy::Xcpd, at);
    member.endpoint.iti38 = Some(format!("http://{at}/xca/iti38"));
    member.endpoint.iti39 = Some(format!("http://{at}/xca/iti39"));
    member.endpoint.iti44 = Some(format!("http://{at}/mpi/iti44"));
    let a = ours(member.clone()).await;
    let config = written(&a);
    let verdicts = async || {
        let (code, said) = told(&config, &["test", "b", "--json"]).await;
        let said: Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"));
        let probes = said["probes"].as_array().unwrap().clone();
        let of = |p: &Value| {
            let text = |key: &str| p[key].as_str().unwrap_or_default().to_owned();
            (text("transaction"), text("verdict"), text("step"))
        };
        (code, probes.iter().map(of).collect::<Vec<_>>())
    };
    let (code, well) = verdicts().await;
    assert_eq!(code, 0, "{well:?}");
    assert_eq!(well.len(), 5);
    assert!(well.iter().all(|(_, verdict, _)| verdict == "works"), "{well:?}");
    // Nobody was made by it.
    assert!(b.gateway.rooms().mpi.is_some());
    for (path, transaction) in [
        ("/xca/iti38", "iti38"),
        ("/xca/iti39", "iti39"),
        ("/mpi/iti44", "iti44"),
        ("/mpi/iti45", "iti45"),
        ("/xca/iti55", "iti55"),
    ] {
        b.front.faults.clear();
        b.front.faults.add(Fault::at(Kind::Fault, path));
        let (code, found) = verdicts().await;
        assert_eq!(code, 1);
        for (name, verdict, step) in found {
            let expected = if name == transaction { ("fails", "fault") } else { ("works", "") };
            assert_eq!((verdict.as_str(), step.as_str()), expected, "{name}");
        }
    }
    assert_eq!(told(&config, &["test", "nobody"]).await.0, 2);
}
