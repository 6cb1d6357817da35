//! The MLLP door itself: framing, limits, TLS, an orderly end. Whatever stands in a message, the connection survives.

use chiren::config::{TlsMode, TlsProfile};
use chiren::wire::hl7v2::mllp::frame;

use crate::support::mllp::{Mllp, file, gateway, gateway_with, said};
use crate::support::process;
use crate::support::tls::Pki;

/// A message that is refused by its header: it needs nothing from the index.
fn refused(control_id: &str) -> String {
    format!("MSH|^~\\&|HIS|F|M|N|20250401||ADT^A10|{control_id}|P|2.5\r")
}

fn is(answer: &chiren::wire::hl7v2::answer::Answer, ack: &str, code: &str, location: &str) {
    assert_eq!(said(answer), (ack.into(), code.into(), location.into()), "{}", answer.text);
}

#[tokio::test]
async fn answers_come_in_order_on_the_connection_of_the_messages() {
    let (_gateway, address) = gateway().await;
    let mut mllp = Mllp::connect(address).await;
    let many: Vec<u8> = (0..50).flat_map(|n| frame(refused(&format!("M{n}")).as_bytes())).collect();
    // In pieces that respect no frame.
    for piece in many.chunks(97) {
        mllp.raw(piece).await;
    }
    for n in 0..50 {
        let answer = mllp.next().await.unwrap();
        assert_eq!(answer.control_id, format!("M{n}"));
        is(&answer, "AR", "201", "MSH^1^9^1^2");
    }
}

#[tokio::test]
async fn broken_framing_is_survived() {
    let (_gateway, address) = gateway().await;
    let mut mllp = Mllp::connect(address).await;
    // Noise before the frame, and after the block.
    mllp.raw(b"GET / HTTP/1.1\r\n\r\n").await;
    mllp.raw(&frame(refused("A").as_bytes())).await;
    mllp.raw(b"bytes after the block\r\n").await;
    assert_eq!(mllp.next().await.unwrap().control_id, "A");
    // A sender that begins anew.
    mllp.raw(b"\x0bMSH|^~\\&|HIS|F").await;
    mllp.raw(&frame(refused("B").as_bytes())).await;
    assert_eq!(mllp.next().await.unwrap().control_id, "B");
    // No final CR: silence ends the frame.
    let mut bare = frame(refused("C").as_bytes());
    bare.pop();
    mllp.raw(&bare).await;
    assert_eq!(mllp.next().await.unwrap().control_id, "C");
    // A block that ends early: the message is whole only at its real end, and refused for the byte within.
    let spoiled = refused("D").replace("A10", "A08").replace("|P|", "|P\u{1c}|");
    is(&mllp.ask(&spoiled).await, "AR", "202", "MSH^1^11");
    is(&mllp.ask(refused("E")).await, "AR", "201", "MSH^1^9^1^2");
}

#[tokio::test]
async fn every_refusal_is_earned_and_the_connection_survives() {
    let (gateway, address) = gateway().await;
    let mut mllp = Mllp::connect(address).await;
    let good = "MSH|^~\\&|HIS|FAC2219999991|M|N|20250401||ADT^A08^ADT_A01|M1|P|2.5\r\
                EVN||20250401\rPID|1||5^^^HOSPA||A^B|||||\rPV1|1|N\r";
    let query = "MSH|^~\\&|V|C|M|N|20250401||QBP^Q22^QBP_Q21|M1|P|2.5\rQPD|IHE PDQ Query|T1|@PID.5.1.1^A\rRCP|I|5^RD\r";
    let long = "x".repeat(65);
    let cases: Vec<(&str, String, &str, &str, &str)> = vec![
        ("no MSH", "PID|1||5\r".into(), "AR", "100", "MSH"),
        ("nothing", String::new(), "AR", "100", "MSH"),
        ("half an MSH", "MSH|".into(), "AR", "100", "MSH"),
        ("version", good.replace("|2.5", "|2.6"), "AR", "203", "MSH^1^12"),
        ("message type", good.replace("ADT^A08^ADT_A01", "ORU^R01"), "AR", "200", "MSH^1^9^1^1"),
        ("structure", good.replace("ADT_A01", "ADT_A39"), "AR", "200", "MSH^1^9^1^3"),
        ("event", good.replace("ADT^A08^ADT_A01", "ADT^A02"), "AR", "201", "MSH^1^9^1^2"),
        ("pdq visit", query.replace("QBP^Q22^QBP_Q21", "QBP^ZV1^QBP_Q21"), "AR", "201", "MSH^1^9^1^2"),
        ("processing id", good.replace("|P|", "|Q|"), "AR", "202", "MSH^1^11"),
        ("question in training", query.replace("|P|", "|T|"), "AR", "202", "MSH^1^11"),
        ("no control id", good.replace("|M1|", "||"), "AE", "101", "MSH^1^10"),
        (
            "control id too long",
            good.replace("|M1|", &format!("|{}|", "x".repeat(200))),
            "AE",
            "102",
            "MSH^1^10",
        ),
        ("no EVN", good.replace("EVN||20250401\r", ""), "AE", "100", "EVN"),
        ("no time of event", good.replace("EVN||20250401", "EVN||"), "AE", "101", "EVN^1^2"),
        ("EVN-1", good.replace("EVN||", "EVN|A01|"), "AE", "103", "EVN^1^1"),
        ("no PID", good.replace("PID|", "ZID|"), "AE", "100", "PID"),
        ("two PIDs", good.replace("PV1|1|N", "PID|2||6^^^HOSPA"), "AE", "100", "PID^2"),
        ("wrapped", good.replace("||A^B", "||A^B\rC D"), "AE", "100", "PID^1"),
        ("no id", good.replace("5^^^HOSPA", ""), "AE", "101", "PID^1^3"),
        ("null id", good.replace("5^^^HOSPA", "\"\"^^^HOSPA"), "AE", "101", "PID^1^3"),
        ("empty authority", good.replace("^^^HOSPA", "^^^&&"), "AE", "204", "PID^1^3^1^4"),
        ("id too long", good.replace("5^^^", &format!("{long}^^^")), "AE", "102", "PID^1^3^1^1"),
        (
            "namespace too long",
            good.replace("HOSPA", "HOSPITALOFTHEVERYLONGNAME"),
            "AE",
            "102",
            "PID^1^3^1^4",
        ),
        ("impossible date", good.replace("A^B||", "A^B||19990230"), "AE", "102", "PID^1^7"),
        ("sex", good.replace("A^B|||", "A^B|||X"), "AE", "103", "PID^1^8"),
        ("control character", good.replace("A^B", "A\u{1}B"), "AE", "102", "PID^1^5"),
        ("latin-1", good.replace("A^B", "Ä^B"), "AE", "102", "PID^1^5"),
        ("merge without MRG", good.replace("ADT^A08^ADT_A01", "ADT^A40"), "AE", "100", "MRG"),
        ("link with one PID", good.replace("ADT^A08^ADT_A01", "ADT^A24"), "AE", "100", "PID^2"),
        ("no QPD", query.replace("QPD|", "QZD|"), "AE", "100", "QPD"),
        ("no tag", query.replace("|T1|", "||"), "AE", "101", "QPD^1^2"),
        ("parameter", query.replace("@PID.5.1.1", "@PID.99"), "AE", "103", "QPD^1^3^1"),
        ("no parameter", query.replace("@PID.5.1.1^A", ""), "AE", "101", "QPD^1^3"),
        ("page unit", query.replace("5^RD", "5^LI"), "AE", "103", "RCP^1^2"),
        ("deferred", query.replace("RCP|I", "RCP|D"), "AE", "103", "RCP^1^1"),
        ("cancel of nothing", query.replace("QBP^Q22^QBP_Q21", "QCN^J01^QCN_J01"), "AE", "100", "QID"),
    ];
    for (what, message, ack, code, location) in &cases {
        let answer = mllp.ask(message).await;
        assert_eq!(
            said(&answer),
            ((*ack).into(), (*code).into(), (*location).into()),
            "{what}: {}",
            answer.text
        );
        let echoed = message.contains("|M1|") && message.starts_with("MSH|^");
        assert_eq!(answer.control_id == "M1", echoed, "{what}");
        let question = message.contains("QBP^Q22") && message.contains("QPD|") && message.contains("|T1|");
        let status = (question && *code != "201").then(|| (*ack).to_owned());
        assert_eq!(answer.query_status, status, "{what}");
    }
    // The trail has what was refused, by kind.
    let trail = gateway.audit().await;
    for (_, _, ack, code, _) in &cases {
        assert!(trail.iter().any(|e| e.errors == [*ack, *code]), "{ack} {code} is not in the trail");
    }
}

#[tokio::test]
async fn a_giant_is_refused_by_name_and_the_next_message_answered() {
    let (_gateway, address) = gateway_with(|c| c.hl7v2.message_kib = 16).await;
    let mut mllp = Mllp::connect(address).await;
    let giant = format!("{}ZZZ|{}\r", refused("G"), "x".repeat(40_000));
    let answer = mllp.ask(&giant).await;
    assert_eq!(
        (answer.code.as_str(), answer.errors[0].code.as_str(), answer.control_id.as_str()),
        ("AE", "102", "G")
    );
    is(&mllp.ask(refused("H")).await, "AR", "201", "MSH^1^9^1^2");
    // One that never ends is not listened to for ever.
    let mut endless = Mllp::connect(address).await;
    endless.raw(&frame(&vec![b'x'; 16 * 16 * 1024 + 10])[..16 * 16 * 1024 + 8]).await;
    assert!(endless.next().await.is_none());
}

#[tokio::test]
async fn silence_within_a_message_ends_the_connection() {
    let (_gateway, address) = gateway_with(|c| c.hl7v2.message_seconds = 1).await;
    let mut mllp = Mllp::connect(address).await;
    is(&mllp.ask(refused("A")).await, "AR", "201", "MSH^1^9^1^2");
    mllp.raw(b"\x0bMSH|^~\\&|HIS").await;
    assert!(mllp.next().await.is_none());
}

#[tokio::test]
async fn connections_are_limited_by_address() {
    let (_gateway, address) = gateway_with(|c| {
        let listener = c.listener.iter_mut().find(|l| l.name == "mllp").unwrap();
        listener.max_connections_per_address = 2;
    })
    .await;
    let (mut one, mut two) = (Mllp::connect(address).await, Mllp::connect(address).await);
    one.ask(refused("A")).await;
    two.ask(refused("B")).await;
    let mut three = Mllp::connect(address).await;
    assert!(three.next().await.is_none());
    one.ask(refused("C")).await;
}

#[tokio::test]
async fn tls_lets_known_nodes_in() {
    let pki = Pki::new();
    let (gateway, address) = gateway_with(|c| {
        let listener = c.listener.iter_mut().find(|l| l.name == "mllp").unwrap();
        pki.secure(listener, TlsMode::Mutual, TlsProfile::JpHigh);
    })
    .await;
    let mut client = pki.client(Some("node"));
    client.alpn = &[];
    let mut mllp = Mllp::over(client.stream(address).await.expect("a known node"));
    is(&mllp.ask(refused("A")).await, "AR", "201", "MSH^1^9^1^2");
    let record = gateway.audit().await.pop().expect("a record");
    assert!(record.caller.certificate.is_some() && record.caller.listener == "mllp");
    let mut plain = Mllp::connect(address).await;
    plain.raw(&frame(refused("B").as_bytes())).await;
    assert!(plain.closed().await, "plain bytes are not answered in the clear");
}

#[tokio::test]
async fn a_stop_lets_the_message_under_way_be_answered() {
    let (gateway, address) = gateway().await;
    let mut idle = Mllp::connect(address).await;
    idle.ask(refused("A")).await;
    let mut under_way = Mllp::connect(address).await;
    let whole = frame(refused("B").as_bytes());
    let (first, rest) = whole.split_at(20);
    // What is answered was read, and with it what was sent in the same breath.
    under_way.raw(&[frame(refused("C").as_bytes()).as_slice(), first].concat()).await;
    assert_eq!(under_way.next().await.expect("answered").control_id, "C");
    let stopping = tokio::spawn(gateway.stop());
    assert!(idle.next().await.is_none(), "a connection at rest is closed");
    under_way.raw(rest).await;
    assert_eq!(under_way.next().await.expect("answered").control_id, "B");
    assert!(under_way.next().await.is_none());
    stopping.await.expect("stopped");
}

#[tokio::test]
async fn streams_of_the_corpus_are_split_as_they_should() {
    let (_gateway, address) = gateway().await;
    for (name, ids) in [
        ("two-frames-one-read", &["JA0301", "JA0302"][..]),
        ("noise-between-frames", &["JA0301", "JA0302"]),
        ("no-final-cr", &["JA0301"]),
        ("start-inside-frame", &["JA0302"]),
    ] {
        let mut mllp = Mllp::connect(address).await;
        mllp.raw(&file(&format!("ja/mllp/{name}.mllp"))).await;
        for id in ids {
            assert_eq!(mllp.next().await.expect(name).control_id, *id, "{name}");
        }
    }
}

/// What a sender says of itself stands in the log: short, and on its line, whatever it holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_senders_say_forges_no_line_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = crate::support::gateway::config(&dir).await;
    crate::support::mllp::configure(&mut config);
    let process = process::Process::start(&process::write_config(dir.path(), &config), &[]);
    let mut mllp = Mllp::connect(process.listening("Mllp")).await;
    let long = "L".repeat(150);
    for (application, control_id) in [
        ("HIS\u{202e}\u{2028}x", "C1\u{85}ERROR forged"),
        ("HIS\\X0A\\ERROR forged", "C2\\X1B\\[2J"),
        (long.as_str(), long.as_str()),
    ] {
        let message = format!(
            "MSH|^~\\&|{application}|F|M|N|20250401||ADT^A10|{control_id}|P|2.5||||||UNICODE UTF-8\r"
        );
        assert!(mllp.ask(&message).await.code.starts_with('A'));
    }
    // What feeds come to is counted.
    let feed =
        "MSH|^~\\&|HIS|F|M|N|20250401||ADT^A28|K1|P|2.5\rEVN||20250401\rPID|1||1^^^HOSPA||A^B\rPV1||N\r";
    assert_eq!(mllp.ask(feed).await.code, "AA");
    assert_eq!(mllp.ask(feed.replace("HOSPA", "NOWHERE")).await.code, "AE");
    let mut ops = crate::support::raw::connect(process.ops).await;
    let mut metrics = String::new();
    // The worklist is counted beside the feeds, perhaps not yet when they are answered.
    while !metrics.contains("chiren_mpi_reviews{") {
        let asked = ops.exchange(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        metrics = asked.expect("metrics").text();
    }
    for line in [
        "chiren_mpi_feeds_total{outcome=\"new\"} 1",
        "chiren_mpi_feeds_total{outcome=\"refused\"} 1",
        "chiren_mpi_candidates_count 1",
        "chiren_mpi_reviews{state=\"candidate\"} 0",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    drop((mllp, ops));
    let (status, log) = process.stop();
    assert!(status.success());
    let log: Vec<String> = log.into_iter().filter(|l| !l.contains("ADT^A28")).collect();
    let about: Vec<&String> = log.iter().filter(|line| line.contains("message answered")).collect();
    assert_eq!(about.len(), 3, "{log:#?}");
    for line in &log {
        let forged = line.starts_with("ERROR") || line.trim_start().starts_with("forged");
        let hidden =
            |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!forged && !line.contains(hidden) && !line.contains(&long), "{line}");
    }
}
