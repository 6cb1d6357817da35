//! Answers made to harm: each is its community's error, in time, and never ours.

use bytes::Bytes;
use chiren::model::error::ErrorCode;
use chiren::model::transaction::Transaction;
use chiren::wire::ebxml::response::ResponseStatus;

use super::{of, ours};
use crate::support::community::{Neighbour, Way, community};
use crate::support::samples::*;

const SOAP: &str = "application/soap+xml; charset=UTF-8";
const MTOM: &str = "multipart/related; boundary=\"b\"; type=\"application/xop+xml\"; start=\"<r>\"; \
                    start-info=\"application/soap+xml\"";

fn envelope(transaction: Transaction, body: &str) -> String {
    let action = transaction.row().response_action;
    format!(
        "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:a=\"http://www.w3.org/2005/08/addressing\"><s:Header><a:Action>{action}</a:Action></s:Header>\
         <s:Body>{body}</s:Body></s:Envelope>"
    )
}

fn answers(transaction: Transaction) -> Vec<(&'static str, &'static str, String)> {
    let deep = format!("{}{}", "<a>".repeat(5000), "</a>".repeat(5000));
    let wide = format!("<a {}/>", (0..5000).map(|n| format!("b{n}=\"\" ")).collect::<String>());
    let good = envelope(transaction, "<x/>");
    vec![
        ("nothing", SOAP, String::new()),
        ("a byte", SOAP, "<".into()),
        ("NUL", SOAP, format!("\0{good}")),
        ("no end", SOAP, good[..good.len() - 9].to_owned()),
        ("something behind it", SOAP, format!("{good}<x/>")),
        ("a DOCTYPE", SOAP, format!("<!DOCTYPE x [<!ENTITY a \"aaaa\">]>{good}")),
        ("an entity", SOAP, envelope(transaction, "&a;")),
        ("depth", SOAP, envelope(transaction, &deep)),
        ("width", SOAP, envelope(transaction, &wide)),
        ("another body", SOAP, good.clone()),
        ("two bodies", SOAP, good.replace("</s:Body>", "</s:Body><s:Body/>")),
        ("no body", SOAP, good.replace("<x/>", "")),
        ("UTF-16", SOAP, format!("<?xml version='1.0' encoding='UTF-16'?>{good}")),
        ("another Action", SOAP, good.replace(transaction.row().response_action, "urn:x")),
        ("no boundary", "multipart/related", good.clone()),
        ("no parts", MTOM, String::new()),
        ("no root", MTOM, "--b\r\nContent-ID: <x>\r\n\r\n\r\n--b--\r\n".into()),
        ("an endless head", MTOM, format!("--b\r\nX: {}", "x".repeat(100_000))),
        ("a root without end", MTOM, format!("--b\r\nContent-ID: <r>\r\n\r\n{good}")),
        ("a text", "text/plain", good),
    ]
}

#[tokio::test]
async fn hostile_answers_are_their_communitys_errors() {
    for transaction in [Transaction::Iti38, Transaction::Iti39] {
        let (bad, good) = (Neighbour::start(2, Way::Good).await, Neighbour::start(3, Way::Good).await);
        let mut members = vec![community(2, bad.address), community(3, good.address)];
        members[0].breaker_failures = 1000;
        let first = ours(members).await;
        for (what, content_type, bytes) in answers(transaction) {
            bad.answer(Way::Raw(content_type, Bytes::from(bytes)));
            let answer = match transaction {
                Transaction::Iti38 => first.ask_all(&find_documents(PATIENT)).await,
                _ => {
                    let repository = "2.999.392.77.3";
                    first.fetch(&[of(2, repository, &new_oid()), of(3, repository, &new_oid())]).await
                }
            };
            let (status, errors) = answer.registry();
            assert_eq!(status, ResponseStatus::PartialSuccess, "{what}");
            assert_eq!(errors.len(), 1, "{what}: {errors:?}");
            assert_eq!(errors[0].0, ErrorCode::XDSUnavailableCommunity.as_str(), "{what}");
            let given = match transaction {
                Transaction::Iti38 => answer.entries().len(),
                _ => answer.documents().len(),
            };
            assert_eq!(given, 1, "{what}: what the other gave");
        }
    }
}

/// A good answer with a few octets changed, by a sequence that is the same each time.
#[tokio::test]
async fn answers_with_octets_changed_end_somehow_and_in_order() {
    let neighbour = Neighbour::start(2, Way::Good).await;
    let mut member = community(2, neighbour.address);
    member.breaker_failures = 1_000_000;
    let first = ours(vec![member]).await;
    let good = {
        let body = "<q:AdhocQueryResponse xmlns:q=\"urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0\" \
                    xmlns:r=\"urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0\" \
                    status=\"urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success\"><r:RegistryObjectList>\
                    <r:ObjectRef id=\"urn:uuid:00000000-0000-4000-8000-000000000001\" home=\"urn:oid:2.999.392.2\"/>\
                    </r:RegistryObjectList></q:AdhocQueryResponse>";
        envelope(Transaction::Iti38, body)
    };
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed >> 33).expect("a number")
    };
    for _ in 0..300 {
        let mut bytes = good.clone().into_bytes();
        for _ in 0..1 + next() % 3 {
            let at = next() % bytes.len();
            match next() % 3 {
                0 => bytes[at] = u8::try_from(next() % 256).expect("an octet"),
                1 => drop(bytes.remove(at)),
                _ => bytes.truncate(at.max(1)),
            }
        }
        neighbour.answer(Way::Raw(SOAP, Bytes::from(bytes)));
        // Our own answer is well-formed and schema-valid whatever comes: the client has judged it.
        let mut query = find_documents(PATIENT);
        query.return_type = chiren::model::query::ReturnType::ObjectRef;
        let (status, _) = first.ask_all(&query).await.registry();
        assert_ne!(status, ResponseStatus::Failure, "our own registry has answered");
    }
}
