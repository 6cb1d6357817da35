//! `?wsdl` at every address, and every file it leads to, over HTTP as a toolkit asks.

use std::collections::BTreeSet;

use chiren::model::transaction::CATALOGUE;

use crate::support::Gateway;
use crate::support::raw::connect;

/// Addresses that take all transactions of an actor, and those of the Initiating Gateway.
const ACTORS: [&str; 6] =
    ["/xds/registry", "/xds/repository", "/mpi/pixv3", "/mpi/pdqv3", "/xca/iti18", "/xca/iti43"];

async fn get(gateway: &Gateway, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: gw.example:8443\r\n\r\n");
    let answer = connect(gateway.address).await.exchange(request.as_bytes()).await.expect("an answer");
    if answer.status == 200 {
        assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/xml"), "{path}");
    }
    (answer.status.as_u16(), answer.text())
}

/// The locations a description refers to.
fn locations(path: &str, text: &str) -> Vec<String> {
    let doc = roxmltree::Document::parse(text).unwrap_or_else(|e| panic!("{path}: {e}"));
    doc.descendants()
        .filter(|n| matches!(n.tag_name().name(), "import" | "include"))
        .filter_map(|n| n.attribute("schemaLocation").or(n.attribute("location")))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn every_address_describes_itself_and_every_import_resolves() {
    let gateway = Gateway::start().await;
    let addresses =
        CATALOGUE.iter().map(|r| r.path).filter(|p| !p.is_empty()).chain(ACTORS).collect::<Vec<_>>();
    for address in addresses {
        let mut seen = BTreeSet::new();
        let mut todo = vec![format!("{address}?wsdl")];
        while let Some(path) = todo.pop() {
            if !seen.insert(path.clone()) {
                continue;
            }
            let (status, text) = get(&gateway, &path).await;
            assert_eq!(status, 200, "{path}, on the way from {address}");
            let doc = roxmltree::Document::parse(&text).unwrap();
            if path.ends_with("?wsdl") {
                let services: Vec<_> = doc
                    .descendants()
                    .filter(|n| n.tag_name().name() == "address")
                    .filter_map(|n| n.attribute("location"))
                    .collect();
                assert!(!services.is_empty(), "{path} has no address");
                for service in services {
                    assert_eq!(service, format!("http://gw.example:8443{address}"));
                }
            }
            for location in locations(&path, &text) {
                if let Some(absolute) = location.strip_prefix("http://gw.example:8443") {
                    todo.push(absolute.into());
                } else if location.starts_with('/') {
                    todo.push(location);
                } else {
                    assert!(location.starts_with("http://www.w3.org/"), "{path} refers to {location}");
                }
            }
        }
        // Of HL7 v3 one schema names the elements.
        let least = if address.starts_with("/xds/") { 3 } else { 2 };
        assert!(seen.len() >= least, "{address} leads only to {seen:?}");
    }
}

#[tokio::test]
async fn the_actions_are_the_catalogues() {
    let gateway = Gateway::start().await;
    for row in CATALOGUE.iter().filter(|row| !row.path.is_empty()) {
        let (_, text) = get(&gateway, &format!("{}?WSDL", row.path)).await;
        let more = row.more_requests.iter().map(|(action, _)| *action);
        for action in [row.request_action, row.response_action].into_iter().chain(more) {
            assert!(text.contains(&format!("\"{action}\"")), "{} does not name {action}", row.code);
        }
    }
}

#[tokio::test]
async fn what_is_not_described_is_not_found() {
    let gateway = Gateway::start().await;
    for path in ["/wsdl/nothing.wsdl", "/wsdl/../Cargo.toml", "/wsdl/%2e%2e/Cargo.toml", "/nowhere?wsdl"] {
        assert_eq!(get(&gateway, path).await.0, 404, "{path}");
    }
    assert_eq!(get(&gateway, "/xds/iti18").await.0, 405);
}
