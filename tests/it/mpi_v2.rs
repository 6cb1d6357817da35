//! HL7 v2 end to end: the public corpus over a real socket, and the life of patients told over it.

use std::path::Path;

use chiren::wire::hl7v2::answer::Answer;
use chiren::wire::hl7v2::charset::{CharacterSet, encode};
use serde_json::Value;

use crate::support::Gateway;
use crate::support::mllp::{CORPUS, HOSPA, HOSPB, Mllp, file, gateway, gateway_with, said};
use crate::support::process;

fn entries() -> Vec<Value> {
    let index = std::fs::read_to_string(format!("{CORPUS}/index.json")).unwrap();
    let index: Value = serde_json::from_str(&index).unwrap();
    index["entries"].as_array().unwrap().clone()
}

fn jis(text: &str) -> Vec<u8> {
    encode(text, CharacterSet::Iso2022Jp).bytes
}

/// A feed of hospital A or B, in ISO-2022-JP.
fn feed(event: &str, id: &str, hospital: &str, rest: &str) -> Vec<u8> {
    let oid = if hospital == "HOSPA" { HOSPA } else { HOSPB };
    jis(&format!(
        "MSH|^~\\&|HIS|X|MPI|N|20250401101500+0900||ADT^{event}|F{event}{id}|P|2.5||||||~ISO IR87||ISO 2022-1994\r\
         EVN||20250401101500+0900\rPID|1||{id}^^^{hospital}&{oid}&ISO^PI||{rest}\rPV1|1|N\r"
    ))
}

const YAMAMOTO: &str = "山本^美咲^^^^^L^I~ヤマモト^ミサキ^^^^^L^P||19880302|F|||^^^^424-0815^JPN^H^静岡県静岡市清水区宮加三本町１丁目２番３号\
                        ||^PRN^PH^^^^^^^^^054-000-1234";

fn pix(id: &str, wanted: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|V|C|MPI|N|20250401||QBP^Q23^QBP_Q21|Q1|P|2.5\rQPD|IHE PIX Query|T1|{id}|{wanted}\rRCP|I\r"
    )
    .into_bytes()
}

fn pdq(parameters: &str, more: &str) -> Vec<u8> {
    jis(&format!(
        "MSH|^~\\&|V|C|MPI|N|20250401||QBP^Q22^QBP_Q21|Q1|P|2.5||||||~ISO IR87||ISO 2022-1994\r\
         QPD|IHE PDQ Query|T1|{parameters}{more}"
    ))
}

fn accepted(answer: &Answer) {
    assert_eq!(answer.code, "AA", "{}", answer.text);
}

/// Values of PID-3 in an answer, all patients together.
fn ids(answer: &Answer) -> Vec<String> {
    let pids = answer.text.split('\r').filter(|line| line.starts_with("PID|"));
    pids.flat_map(|pid| pid.split('|').nth(3).unwrap_or_default().split('~'))
        .map(|cx| cx.split('^').next().unwrap_or_default().to_owned())
        .collect()
}

/// Ids that a message of the corpus presumes: both of a link, the prior one of a change.
async fn prepare(mllp: &mut Mllp, name: &str) {
    let known: &[(&str, &str)] = match name {
        "ja/accept/jis-a24-link.hl7" | "ja/accept/jis-a37-unlink.hl7" => {
            &[("00012345", "HOSPA"), ("0000067890", "HOSPB")]
        }
        "ja/accept/jis-a40-merge.hl7" => &[("00012345", "HOSPA"), ("00098765", "HOSPA")],
        "ja/accept/jis-a47-change-id.hl7" | "ja/accept/jis-pix-query.hl7" => &[("00012345", "HOSPA")],
        _ => &[],
    };
    for (id, hospital) in known {
        accepted(&mllp.ask(feed("A28", id, hospital, YAMAMOTO)).await);
    }
    if name == "iti-9/accept/qbp-oid-authority.hl7" {
        accepted(&mllp.ask(file("iti-8/accept/a01-ohie-9-structure.hl7")).await);
    }
}

#[tokio::test]
async fn the_corpus_is_answered_as_its_index_says() {
    let mut seen = 0;
    // What one message did must not decide about another: an id that A47 changed is not used again.
    for group in ["reject", "accept", "A47"] {
        let (_gateway, address) = gateway().await;
        let mut mllp = Mllp::connect(address).await;
        for entry in entries() {
            let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            let expected = |key: &str| entry["expected"][key].as_str().unwrap_or_default().to_owned();
            let name = text("file");
            let of = match text("verdict").as_str() {
                "reject" => "reject",
                _ if text("message").starts_with("ADT^A47") => "A47",
                _ => "accept",
            };
            if !name.ends_with(".hl7") || text("role") != "request" || of != group {
                continue;
            }
            seen += 1;
            prepare(&mut mllp, &name).await;
            let answer = mllp.ask(file(&name)).await;
            let (code, condition, location) = said(&answer);
            assert!(expected("ack").split(" or ").any(|ack| ack == code), "{name}: {}", answer.text);
            if !expected("err_code").is_empty() {
                assert_eq!(condition, expected("err_code"), "{name}: {}", answer.text);
            }
            if !expected("err_location").is_empty() {
                // ERR-1 of 2.3.1 stops at the field.
                let old = matches!(text("version").as_str(), "2.3.1" | "2.3");
                let whole: Vec<String> = expected("err_location").split('^').map(str::to_owned).collect();
                let said = if old { whole[..whole.len().min(3)].join("^") } else { whole.join("^") };
                assert_eq!(location, said, "{name}: {}", answer.text);
            }
            if !expected("query_status").is_empty() {
                let status = answer.query_status.clone().unwrap_or_default();
                assert!(
                    expected("query_status").split(" or ").any(|s| s == status),
                    "{name}: {}",
                    answer.text
                );
            }
            assert!(answer.text.split('\r').next().unwrap().is_ascii(), "{name}");
        }
    }
    assert!(seen >= 60, "{seen}");
}

#[tokio::test]
async fn streams_of_the_corpus_are_acknowledged() {
    let (_gateway, address) = gateway().await;
    for (name, acks) in [
        ("two-frames-one-read", 2),
        ("noise-between-frames", 2),
        ("no-final-cr", 1),
        ("start-inside-frame", 1),
    ] {
        let mut mllp = Mllp::connect(address).await;
        mllp.raw(&file(&format!("ja/mllp/{name}.mllp"))).await;
        for _ in 0..acks {
            accepted(&mllp.next().await.expect(name));
        }
    }
}

#[tokio::test]
async fn one_person_of_two_hospitals_is_found_under_both_ids() {
    let (_gateway, address) = gateway().await;
    let mut mllp = Mllp::connect(address).await;
    accepted(&mllp.ask(feed("A28", "00012345", "HOSPA", YAMAMOTO)).await);
    let alone = mllp.ask(pix(&format!("00012345^^^&{HOSPA}&ISO"), &format!("^^^&{HOSPB}&ISO"))).await;
    assert_eq!((alone.code.as_str(), alone.query_status.as_deref()), ("AA", Some("NF")), "case 2");
    assert!(ids(&alone).is_empty());
    accepted(&mllp.ask(feed("A28", "0000067890", "HOSPB", YAMAMOTO)).await);
    let found = mllp.ask(pix("00012345^^^HOSPA", &format!("^^^&{HOSPB}&ISO"))).await;
    assert_eq!(
        (found.query_status.as_deref(), ids(&found)),
        (Some("OK"), vec!["0000067890".to_owned()]),
        "case 1"
    );
    assert!(
        found.text.contains(&format!("|||0000067890^^^HOSPB&{HOSPB}&ISO^PI||~^^^^^^S")),
        "{}",
        found.text
    );
    let unknown = mllp.ask(pix("nobody^^^HOSPA", "")).await;
    assert_eq!(said(&unknown), ("AE".into(), "204".into(), "QPD^1^3^1^1".into()), "case 3");
    let unknown = mllp.ask(pix("00012345^^^NOWHERE", "")).await;
    assert_eq!(said(&unknown), ("AE".into(), "204".into(), "QPD^1^3^1^4".into()), "case 4");
    let unknown = mllp.ask(pix("00012345^^^HOSPA", "^^^HOSPB~^^^NO1~^^^NO2")).await;
    assert_eq!(unknown.query_status.as_deref(), Some("AE"), "case 5");
    let places: Vec<&str> = unknown.errors.iter().map(|e| e.location.as_str()).collect();
    assert_eq!(places, ["QPD^1^4^2", "QPD^1^4^3"]);
    assert_eq!(unknown.text.matches("\rERR|").count(), 1);

    // The facility's own duplicate, joined by its word: all of one domain side by side.
    accepted(&mllp.ask(feed("A28", "0000067891", "HOSPB", YAMAMOTO)).await);
    let link = format!(
        "MSH|^~\\&|HIS|X|MPI|N|20250401||ADT^A24^ADT_A24|L1|P|2.5\rEVN||20250401\r\
         PID|1||00012345^^^&{HOSPA}&ISO\rPID|2||0000067891^^^&{HOSPB}&ISO\r"
    );
    accepted(&mllp.ask(link.replace("0000067891", "0000067890")).await);
    accepted(&mllp.ask(&link).await);
    let all = mllp.ask(pix("00012345^^^HOSPA", "^^^HOSPB")).await;
    assert_eq!(ids(&all), ["0000067890", "0000067891"], "case 6");
    // And parted again.
    accepted(&mllp.ask(link.replace("A24", "A37")).await);
    assert_eq!(ids(&mllp.ask(pix("00012345^^^HOSPA", "^^^HOSPB")).await), ["0000067890"]);
}

#[tokio::test]
async fn merges_and_changes_of_ids_are_obeyed() {
    let (_gateway, address) = gateway().await;
    let mut mllp = Mllp::connect(address).await;
    for id in ["1", "2", "3"] {
        accepted(&mllp.ask(feed("A28", id, "HOSPA", YAMAMOTO)).await);
    }
    let change = |event: &str, to: &str, from: &str| {
        format!(
            "MSH|^~\\&|HIS|X|MPI|N|20250401||ADT^{event}|C{to}{from}|P|2.5\rEVN||20250401\r\
             PID|1||{to}^^^HOSPA||A\rMRG|{from}^^^HOSPA\r"
        )
    };
    accepted(&mllp.ask(change("A40", "1", "2")).await);
    let itself = mllp.ask(change("A40", "1", "1")).await;
    assert_eq!(said(&itself).0, "AE", "{}", itself.text);
    let taken = mllp.ask(change("A47", "3", "1")).await;
    assert_eq!(said(&taken).0, "AE", "{}", taken.text);
    accepted(&mllp.ask(change("A47", "9", "3")).await);
    let renamed = mllp.ask(pix("9^^^HOSPA", "")).await;
    assert_eq!(renamed.code, "AA", "{}", renamed.text);
    let old = mllp.ask(pix("3^^^HOSPA", "")).await;
    assert_eq!(
        (old.code.as_str(), old.query_status.as_deref()),
        ("AA", Some("NF")),
        "the old id has no others"
    );
    assert!(ids(&old).is_empty());
}

#[tokio::test]
async fn patients_are_searched_in_kanji_and_kana_and_answered_in_the_set_of_the_question() {
    let (_gateway, address) = gateway().await;
    let mut mllp = Mllp::connect(address).await;
    accepted(&mllp.ask(feed("A28", "00012345", "HOSPA", YAMAMOTO)).await);
    accepted(
        &mllp
            .ask(feed("A28", "00000002", "HOSPA", "髙橋^愛^^^^^L^I~タカハシ^アイ^^^^^L^P||19700101|F"))
            .await,
    );
    let kanji = mllp.ask(file("ja/accept/jis-pdq-kanji.hl7")).await;
    assert_eq!(kanji.query_status.as_deref(), Some("OK"), "{}", kanji.text);
    assert!(ids(&kanji).contains(&"00012345".to_owned()));
    assert!(kanji.text.contains("山本^美咲^^^^^L^I~ヤマモト^ミサキ^^^^^L^P"), "{}", kanji.text);
    assert!(kanji.text.contains("|@PID.5.1.1^山本~@PID.5.2^美咲~@PID.7^19880302\r"));
    assert!(kanji.text.split('\r').next().unwrap().contains("|~ISO IR87||ISO 2022-1994"));
    let kana = mllp.ask(file("ja/accept/jis-pdq-kana.hl7")).await;
    assert_eq!(ids(&kana), ["00012345"], "QPD-8 names HOSPA alone: {}", kana.text);
    // In UTF-8 the answer is UTF-8.
    let utf8 = "MSH|^~\\&|V|C|MPI|N|20250401||QBP^Q22^QBP_Q21|Q9|P|2.5||||||UNICODE UTF-8\r\
                QPD|IHE PDQ Query|T9|@PID.5.1.1^山*\rRCP|I\r";
    let answer = mllp.ask(utf8).await;
    assert!(ids(&answer).contains(&"00012345".to_owned()), "{}", answer.text);
    assert!(answer.text.split('\r').next().unwrap().ends_with("|UNICODE UTF-8"));
    let nobody = mllp.ask(pdq("@PID.5.1.1^誰", "\r")).await;
    assert_eq!((nobody.code.as_str(), nobody.query_status.as_deref()), ("AA", Some("NF")));
    let unknown = mllp.ask(pdq("@PID.5.1.1^山本", "|||||^^^HOSPA~^^^NO1~^^^NO2\r")).await;
    let places: Vec<&str> = unknown.errors.iter().map(|e| e.location.as_str()).collect();
    assert_eq!((unknown.code.as_str(), places), ("AE", vec!["QPD^1^8^2", "QPD^1^8^3"]));
    assert_eq!(unknown.text.matches("\rERR|").count(), 2, "one each");
}

#[tokio::test]
async fn long_answers_come_in_pages_until_cancelled() {
    let (_gateway, address) = gateway().await;
    let mut mllp = Mllp::connect(address).await;
    for n in 0..5 {
        let who = format!("佐藤^{}^^^^^L^I||196{n}0101|M", ["一郎", "二郎", "三郎", "四郎", "五郎"][n]);
        accepted(&mllp.ask(feed("A28", &format!("{n}"), "HOSPA", &who)).await);
    }
    let ask = |pointer: &str| {
        let more = match pointer {
            "" => "|||||^^^HOSPA\rRCP|I|2^RD\r".to_owned(),
            pointer => format!("|||||^^^HOSPA\rRCP|I|2^RD\rDSC|{pointer}|I\r"),
        };
        pdq("@PID.5.1.1^佐藤", &more)
    };
    let (mut found, mut pointer) = (vec![], String::new());
    for page in 0..3 {
        let answer = mllp.ask(ask(&pointer)).await;
        assert!(answer.text.contains("QAK|T1|OK|IHE PDQ Query|5|"), "{}", answer.text);
        found.extend(ids(&answer));
        assert_eq!(answer.next.is_some(), page < 2);
        pointer = answer.next.unwrap_or_default();
    }
    found.sort();
    assert_eq!(found, ["0", "1", "2", "3", "4"]);
    let first = mllp.ask(ask("")).await;
    let pointer = first.next.expect("more to come");
    let cancel = "MSH|^~\\&|V|C|MPI|N|20250401||QCN^J01^QCN_J01|X1|P|2.5\rQID|T1|IHE PDQ Query\r";
    accepted(&mllp.ask(cancel).await);
    let gone = mllp.ask(ask(&pointer)).await;
    assert_eq!(said(&gone), ("AE".into(), "204".into(), "DSC^1^1".into()), "{}", gone.text);
}

#[tokio::test]
async fn training_never_touches_production() {
    let (gateway, address) = gateway().await;
    let mut mllp = Mllp::connect(address).await;
    let training = |message: Vec<u8>| String::from_utf8(message).unwrap().replace("|P|2.5", "|T|2.5");
    let answer = mllp.ask(training(feed("A28", "777", "HOSPA", "A^B"))).await;
    assert_eq!((answer.code.as_str(), answer.errors[0].code.as_str()), ("AA", "0"), "{}", answer.text);
    assert_eq!(said(&mllp.ask(pix("777^^^HOSPA", "")).await).1, "204", "nothing was kept");
    let wrong = mllp.ask(training(feed("A28", "777", "HOSPX", "A^B")).replace(HOSPB, "9.9")).await;
    assert_eq!(said(&wrong), ("AE".into(), "204".into(), "PID^1^3^1^4".into()));
    drop(gateway);
    // A gateway for training keeps it.
    let (_gateway, address) = gateway_with(|c| c.hl7v2.processing_id = chiren::config::ProcessingId::T).await;
    let mut mllp = Mllp::connect(address).await;
    accepted(&mllp.ask(training(feed("A28", "777", "HOSPA", "A^B"))).await);
    let found = mllp.ask(training(pix("777^^^HOSPA", ""))).await;
    assert_eq!(found.code, "AA", "{}", found.text);
}

/// Whether any file of the gateway holds `needle`.
fn kept(dir: &Path, needle: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().flatten().any(|entry| {
        let path = entry.path();
        match path.is_dir() {
            true => kept(&path, needle),
            false => std::fs::read(&path).unwrap_or_default().windows(needle.len()).any(|w| w == needle),
        }
    })
}

#[tokio::test]
async fn individual_numbers_are_refused_and_kept_nowhere() {
    let (gateway, address) = gateway().await;
    let mut mllp = Mllp::connect(address).await;
    let number = "123456789018";
    let in_fields = [
        format!("A^B||{number}"),
        format!("A^B|||{number}"),
        format!("{number}^B||19800808"),
        format!("A^B||19800808|M|||^^^^^^^{number}"),
    ];
    let mut answers = vec![mllp.ask(file("ja/reject/AE-individual-number.hl7")).await];
    for rest in &in_fields {
        answers.push(mllp.ask(feed("A28", "1", "HOSPA", rest)).await);
    }
    for answer in answers {
        assert_eq!(answer.code, "AE", "{}", answer.text);
        let said: String = answer.errors.iter().map(|e| e.text.as_str()).collect();
        assert!(!said.contains(number), "{said}");
    }
    let (dir, config) = gateway.stop().await;
    if config.database.url.starts_with("sqlite:") {
        assert!(!kept(dir.path(), number.as_bytes()));
    }
}

#[tokio::test]
async fn what_is_asked_and_told_is_in_the_trail() {
    let (gateway, address) = gateway().await;
    let mut mllp = Mllp::connect(address).await;
    accepted(&mllp.ask(feed("A04", "5", "HOSPA", YAMAMOTO)).await);
    accepted(&mllp.ask(pix("5^^^HOSPA", "")).await);
    accepted(&mllp.ask(pdq("@PID.5.1.1^山本", "\r")).await);
    let trail = gateway.audit().await;
    for transaction in ["ITI-8", "ITI-9", "ITI-21"] {
        assert!(
            trail.iter().any(|e| e.transaction == transaction && e.caller.listener == "mllp"),
            "{transaction}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_can_try_it_from_the_command_line() {
    let (_gateway, address): (Gateway, _) = gateway().await;
    let url = format!("mllp://{address}");
    let send = |words: &[&str]| {
        let output = process::run(&[&["send"], words, &["--url", &url]].concat());
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let told =
        ["iti8", "--event", "A04", "--id", "42^^^HOSPA", "--name", "山本 美咲", "--kana", "ヤマモト ミサキ"];
    let (code, out, said) = send(&[&told[..], &["--birth", "19880302", "--sex", "F"]].concat());
    assert_eq!(code, Some(0), "{out}{said}");
    assert!(out.contains("MSA|AA|"), "{out}");
    let (code, out, _) = send(&["iti21", "--family", "山本", "--birth", "1988"]);
    assert!(code == Some(0) && out.contains("山本^美咲") && out.contains("42^^^HOSPA"), "{out}");
    let (code, out, _) = send(&["iti9", "--id", "42^^^HOSPA"]);
    assert!(code == Some(0) && out.contains("QAK|"), "{out}");
    let (code, out, _) = send(&["iti9", "--id", "43^^^HOSPA"]);
    assert!(code == Some(1) && out.contains("204^"), "{out}");
    let raw = format!("{CORPUS}/ja/mllp/two-frames-one-read.mllp");
    let (code, out, _) = send(&["adt", "--raw", &raw]);
    assert!(code == Some(0) && out.matches("MSA|AA|").count() == 2, "{out}");
    let output = process::run(&["send", "pix", "--id", "1", "--url", "mllp://127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(3));
}
