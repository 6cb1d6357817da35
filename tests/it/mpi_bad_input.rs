//! Bad input, sentence by sentence as issue lists have it: each earns the acknowledgement or fault of the reference, the
//! connection goes on, and nothing is half stored: every table of the index is as it was.

use std::collections::BTreeMap;

use chiren::config::Role;
use chiren::store::db::DbError;
use chiren::wire::hl7v2::mllp::frame;
use chiren::wire::hl7v3::{Ii, ack, feed};
use chiren::wire::soap::{SoapResponse, read_response};
use chiren::wire::xml::tree;

use crate::mpi_v3::{gateway, gateway_with, message, person};
use crate::support::Gateway;
use crate::support::mllp::{HOSPA, Mllp, said};
use crate::support::soap::{SIMPLE, envelope};

/// Rows of everything a feed may touch.
async fn rows(gateway: &Gateway) -> BTreeMap<&'static str, i64> {
    const TABLES: [&str; 12] = [
        "identity",
        "demographic_version",
        "person",
        "patient",
        "link_event",
        "verdict",
        "pair",
        "mpi_key",
        "mpi_name",
        "mpi_term",
        "review_task",
        "outbox",
    ];
    let counted = gateway.rooms().db.snapshot(|tx| {
        Box::pin(async move {
            let mut all = BTreeMap::new();
            for table in TABLES {
                let sql = format!("SELECT COUNT(*) FROM {table}");
                all.insert(table, tx.fetch_one(sql, &[], |row| row.get::<i64>(0)).await?);
            }
            Ok(all)
        })
    });
    counted.await.unwrap_or_else(|e: DbError| panic!("{e}"))
}

fn mllp_of(gateway: &Gateway) -> std::net::SocketAddr {
    gateway.running.as_ref().expect("running").listening.address(Role::Mllp).expect("an MLLP listener")
}

const GOOD: &str = "MSH|^~\\&|HIS|FAC2219999991|M|N|20250401||ADT^A08^ADT_A01|M1|P|2.5\r\
                    EVN||20250401\rPID|1||5^^^HOSPA||A^B||19500101|M\rPV1|1|N\r";

/// An answer that shows that the connection goes on: to a question, so that nothing changes by it.
async fn goes_on(mllp: &mut Mllp, what: &str) {
    let question =
        "MSH|^~\\&|V|C|M|N|20250401||QBP^Q23^QBP_Q21|ALIVE|P|2.5\rQPD|IHE PIX Query|T1|1^^^HOSPA|\rRCP|I\r";
    let answer = mllp.ask(question).await;
    assert_eq!((answer.code.as_str(), answer.control_id.as_str()), ("AA", "ALIVE"), "after {what}");
}

async fn known(mllp: &mut Mllp, ids: &[&str]) {
    for id in ids {
        let answer = mllp.ask(GOOD.replace("5^^^HOSPA", &format!("{id}^^^HOSPA"))).await;
        assert_eq!(answer.code, "AA", "{}", answer.text);
    }
}

#[tokio::test]
async fn framing_may_break_and_nothing_is_half_stored() {
    let gateway = gateway_with(|c| c.hl7v2.message_kib = 64).await;
    let mut mllp = Mllp::connect(mllp_of(&gateway)).await;
    known(&mut mllp, &["1"]).await;
    let before = rows(&gateway).await;
    let one = GOOD.replace("5^^^", "77^^^");
    // A sender that begins anew: the half of the message before is dropped with its patient.
    mllp.raw(&frame(one.as_bytes())[..100]).await;
    goes_on(&mut mllp, "a frame begun anew").await;
    // Bytes before and after the block, a whole message without a frame among them.
    mllp.raw(one.as_bytes()).await;
    mllp.raw(b"\x1c\r\r\n\0\xff garbage").await;
    goes_on(&mut mllp, "bytes after the block").await;
    // A giant: refused by its name, read to its end.
    let giant = one.replace("A^B", &"x".repeat(200 << 10));
    assert_eq!(said(&mllp.ask(&giant).await), ("AE".into(), "102".into(), String::new()));
    goes_on(&mut mllp, "a giant").await;
    assert_eq!(rows(&gateway).await, before);
    // A connection that dies within a message leaves nothing.
    let mut dying = Mllp::connect(mllp_of(&gateway)).await;
    dying.raw(&frame(one.as_bytes())[..110]).await;
    drop(dying);
    goes_on(&mut mllp, "another's death").await;
    assert_eq!(rows(&gateway).await, before);
}

#[tokio::test]
async fn every_bad_message_of_hl7_v2_earns_its_acknowledgement() {
    let gateway = gateway().await;
    let mut mllp = Mllp::connect(mllp_of(&gateway)).await;
    known(&mut mllp, &["1", "2", "3"]).await;
    let merge = |to: &str, from: &str| {
        GOOD.replace("ADT^A08^ADT_A01", "ADT^A40^ADT_A39")
            .replace("5^^^HOSPA", &format!("{to}^^^HOSPA"))
            .replace("PV1|1|N", &format!("MRG|{from}^^^HOSPA"))
    };
    let pix = |id: &str, wanted: &str| {
        format!(
            "MSH|^~\\&|V|C|M|N|20250401||QBP^Q23^QBP_Q21|M1|P|2.5\rQPD|IHE PIX Query|T1|{id}|{wanted}\rRCP|I\r"
        )
    };
    let pdq = |parameters: &str| {
        format!(
            "MSH|^~\\&|V|C|M|N|20250401||QBP^Q22^QBP_Q21|M1|P|2.5\rQPD|IHE PDQ Query|T1|{parameters}\rRCP|I\r"
        )
    };
    assert_eq!(mllp.ask(merge("1", "2")).await.code, "AA");
    let before = rows(&gateway).await;
    let long = "長".repeat(301);
    let cases: Vec<(&str, String, &str, &str, &str)> = vec![
        ("missing MSH", GOOD.replacen("MSH|", "MSX|", 1), "AR", "100", "MSH"),
        ("wrong version", GOOD.replace("|2.5\r", "|2.8\r"), "AR", "203", "MSH^1^12"),
        ("no version", GOOD.replace("|2.5\r", "|\r"), "AE", "101", "MSH^1^12"),
        ("unknown event", GOOD.replace("ADT^A08^ADT_A01", "ADT^A99"), "AR", "201", "MSH^1^9^1^2"),
        ("unknown message", GOOD.replace("ADT^A08^ADT_A01", "ORM^O01"), "AR", "200", "MSH^1^9^1^1"),
        ("wrong processing id", GOOD.replace("|P|", "|X|"), "AR", "202", "MSH^1^11"),
        ("no processing id", GOOD.replace("|P|", "||"), "AE", "101", "MSH^1^11"),
        (
            "name too long",
            GOOD.replace("A^B", &long).replace("2.5\r", "2.5||||||UNICODE UTF-8\r"),
            "AE",
            "102",
            "PID^1^5",
        ),
        ("id too long", GOOD.replace("5^^^", &format!("{}^^^", "9".repeat(65))), "AE", "102", "PID^1^3^1^1"),
        (
            "control id too long",
            GOOD.replace("|M1|", &format!("|{}|", "M".repeat(200))),
            "AE",
            "102",
            "MSH^1^10",
        ),
        ("day that is none", GOOD.replace("19500101", "19500230"), "AE", "102", "PID^1^7"),
        ("month that is none", GOOD.replace("19500101", "19849711"), "AE", "102", "PID^1^7"),
        ("era date", GOOD.replace("19500101", "S25.1.1"), "AE", "102", "PID^1^7"),
        ("event that never was", GOOD.replace("EVN||20250401", "EVN||20251301"), "AE", "102", "EVN^1^2"),
        (
            "id without authority, of nobody we know",
            GOOD.replace("^^^HOSPA", "").replace("HIS|FAC2219999991", "X|Y"),
            "AE",
            "204",
            "PID^1^3^1^4",
        ),
        ("empty authority", GOOD.replace("^^^HOSPA", "^^^&&"), "AE", "204", "PID^1^3^1^4"),
        ("unknown authority", GOOD.replace("^^^HOSPA", "^^^NOWHERE"), "AE", "204", "PID^1^3^1^4"),
        (
            "a good id beside one of an unknown authority",
            GOOD.replace("5^^^HOSPA", "5^^^HOSPA~6^^^NOWHERE"),
            "AE",
            "204",
            "PID^1^3^2^4",
        ),
        ("merge into itself", merge("1", "1"), "AE", "205", "MRG^1^1^1^1"),
        ("merge loop: the survivor was merged into the other", merge("2", "1"), "AE", "204", "PID^1^3^1^1"),
        ("merge of what was merged away", merge("3", "2"), "AE", "204", "MRG^1^1^1^1"),
        (
            "merge across authorities",
            merge("1", "3").replace("3^^^HOSPA", "3^^^HOSPB"),
            "AE",
            "204",
            "MRG^1^1^1^4",
        ),
        ("feed of what was merged away", GOOD.replace("5^^^", "2^^^"), "AE", "204", "PID^1^3^1^1"),
        ("PIX: unknown domain asked", pix("1^^^NOWHERE", ""), "AE", "204", "QPD^1^3^1^4"),
        ("PIX: unknown domain wanted", pix("1^^^HOSPA", "^^^HOSPB~^^^NOWHERE"), "AE", "204", "QPD^1^4^2"),
        ("PIX: unknown id", pix("404^^^HOSPA", ""), "AE", "204", "QPD^1^3^1^1"),
        ("PDQ: unknown domain", pdq("@PID.5.1.1^A|||||^^^NOWHERE"), "AE", "204", "QPD^1^8^1"),
        ("PDQ: unsupported parameter", pdq("@PID.5.1.1^A~@PID.16^M"), "AE", "103", "QPD^1^3^2"),
        ("PDQ: no parameter", pdq(""), "AE", "101", "QPD^1^3"),
        ("PDQ: pattern in the middle", pdq("@PID.5.1.1^A*B"), "AE", "103", "QPD^1^3^1"),
    ];
    let mut otherwise = vec![];
    for (what, message, ack, code, location) in &cases {
        let answer = mllp.ask(message).await;
        let earned = said(&answer);
        if earned != ((*ack).into(), (*code).into(), (*location).into()) {
            otherwise.push(format!("{what}: {earned:?}"));
        }
        goes_on(&mut mllp, what).await;
        assert_eq!(rows(&gateway).await, before, "{what}");
    }
    assert!(otherwise.is_empty(), "{otherwise:#?}");
}

/// The message without the first element of this name below the path, or `None` if there is none.
fn without(message: &str, path: &[&str]) -> Option<String> {
    let doc = roxmltree::Document::parse(message).expect("a message");
    let mut node = doc.root_element();
    for name in path {
        node = node.children().find(|n| n.is_element() && n.tag_name().name() == *name)?;
    }
    let range = node.range();
    Some(format!("{}{}", &message[..range.start], &message[range.end..]))
}

#[tokio::test]
async fn every_required_element_of_hl7_v3_is_missed() {
    let gateway = gateway().await;
    let mut mllp = Mllp::connect(mllp_of(&gateway)).await;
    known(&mut mllp, &["1"]).await;
    let who = person(("山本", "ヤマモト"), ("花子", "ハナコ"), "19500101");
    let good = message(feed::ADDED, &[Ii::with(HOSPA, "R1")], &who, None);
    let merge = message(feed::RESOLVED, &[Ii::with(HOSPA, "1")], &who, Some(&Ii::with(HOSPA, "R9")));
    let act: &[&str] = &["controlActProcess"];
    let event: &[&str] = &["controlActProcess", "subject", "registrationEvent"];
    let patient: &[&str] = &["controlActProcess", "subject", "registrationEvent", "subject1", "patient"];
    let cases: Vec<(&str, Vec<&str>)> = vec![
        ("creationTime", vec!["creationTime"]),
        ("interactionId", vec!["interactionId"]),
        ("processingCode", vec!["processingCode"]),
        ("processingModeCode", vec!["processingModeCode"]),
        ("acceptAckCode", vec!["acceptAckCode"]),
        ("receiver", vec!["receiver"]),
        ("sender", vec!["sender"]),
        ("device", vec!["sender", "device"]),
        ("act", act.to_vec()),
        ("subject", [act, &["subject"]].concat()),
        ("event", event.to_vec()),
        ("status", [event, &["statusCode"]].concat()),
        ("subject1", [event, &["subject1"]].concat()),
        ("patient", patient.to_vec()),
        ("patient id", [patient, &["id"]].concat()),
        ("patient status", [patient, &["statusCode"]].concat()),
        ("person", [patient, &["patientPerson"]].concat()),
        ("name", [patient, &["patientPerson", "name"]].concat()),
        ("provider", [patient, &["providerOrganization"]].concat()),
        ("custodian", [event, &["custodian"]].concat()),
    ];
    let before = rows(&gateway).await;
    let mut answers = vec![];
    for (base, name) in [(&good, feed::ADDED), (&merge, feed::RESOLVED)] {
        // Whose ids they are a merge need not say again.
        for (what, path) in cases.iter().filter(|(what, _)| *what != "provider" || name == feed::ADDED) {
            // The reading of names twice, kanji and kana: both must go.
            let mut spoiled = without(base, path).unwrap_or_else(|| panic!("{name} has no {what}"));
            while let (Some(less), "name") = (without(&spoiled, path), *what) {
                spoiled = less;
            }
            let action = format!("urn:hl7-org:v3:{name}");
            let answer = gateway.soap().post("/mpi/iti44", SIMPLE, envelope(&action, &spoiled)).await;
            let doc = tree::parse(&answer.envelope).expect("XML");
            let earned = match read_response(&doc).expect("SOAP") {
                SoapResponse::Body { body, .. } => {
                    let acknowledgement = ack::read(body).expect("an acknowledgement");
                    let first = acknowledgement.details.first().map_or("", |d| d.code);
                    format!("{} {first}", acknowledgement.code)
                }
                SoapResponse::Fault { .. } => "fault".to_owned(),
            };
            answers.push(format!("{name} {what}: {earned}"));
            assert_eq!(rows(&gateway).await, before, "{name} {what}: {earned}");
        }
        // Without an id nothing can be acknowledged: a fault.
        let spoiled = without(base, &["id"]).expect("an id");
        let action = format!("urn:hl7-org:v3:{name}");
        let answer = gateway.soap().post("/mpi/iti44", SIMPLE, envelope(&action, &spoiled)).await;
        assert_eq!(answer.fault().0, "soap:Sender");
    }
    let earned: Vec<&String> =
        answers.iter().filter(|a| !a.ends_with("AE 101") && !a.ends_with("AE 100")).collect();
    assert!(earned.is_empty(), "{answers:#?}");
    assert_eq!(rows(&gateway).await, before);
}
