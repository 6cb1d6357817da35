//! The public corpus, at the level of the wire: what needs no database is answered as its index says.

use serde_json::Value;

use super::*;
use crate::model::identity::{Feed, NameUse, Update};

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/identity");

fn entries() -> Vec<Value> {
    let index = std::fs::read_to_string(format!("{CORPUS}/index.json")).unwrap();
    let index: Value = serde_json::from_str(&index).unwrap();
    index["entries"].as_array().unwrap().clone()
}

fn bytes(file: &str) -> Vec<u8> {
    std::fs::read(format!("{CORPUS}/{file}")).unwrap()
}

fn text(entry: &Value, key: &str) -> String {
    entry[key].as_str().or(entry["expected"][key].as_str()).unwrap_or_default().to_owned()
}

/// Refused by what the index knows, not by what stands in the message.
const BELOW: &[&str] = &[
    "iti-8/reject/AE-a40-different-authorities.hl7",
    "iti-8/reject/AE-unknown-domain-ohie-03-10.hl7",
    "iti-9/reject/AE-204-unknown-id.hl7",
    "iti-9/reject/AE-204-unknown-domain.hl7",
    "iti-21/reject/AE-204-unknown-qpd8.hl7",
    "ja/reject/AE-a40-same-id.hl7",
    "ja/reject/AE-individual-number.hl7",
];

fn read_file(file: &str) -> Result<Request, Box<Refused>> {
    read(&bytes(file), &Settings::default())
}

fn feed_of(file: &str) -> crate::model::identity::FeedMessage {
    match read_file(file).unwrap().body {
        Body::Feed(message) => *message,
        _ => panic!("{file} is no feed"),
    }
}

fn sent(file: &str) -> crate::model::identity::Sent {
    match feed_of(file).feed {
        Feed::Upsert { sent, .. } => *sent,
        _ => panic!("{file} brings no demographics"),
    }
}

#[test]
fn messages_are_taken_and_refused_as_the_index_says() {
    let mut seen = 0;
    for entry in entries() {
        let file = text(&entry, "file");
        let is_message = file.ends_with(".hl7") && text(&entry, "role") == "request";
        if !is_message {
            continue;
        }
        seen += 1;
        let result = read_file(&file);
        if text(&entry, "verdict") != "reject" || BELOW.contains(&file.as_str()) {
            assert!(result.is_ok(), "{file}: {:?}", result.err());
            continue;
        }
        let refused = result.expect_err(&file);
        assert_eq!(refused.ack.code(), text(&entry, "ack"), "{file}");
        let error = &refused.errors[0];
        if let Some(code) = entry["expected"]["err_code"].as_str() {
            assert_eq!(error.condition.code(), code, "{file}");
        }
        if let Some(location) = entry["expected"]["err_location"].as_str() {
            let at = error.location.as_ref().map(ToString::to_string).unwrap_or_default();
            assert_eq!(at, location, "{file}");
        }
    }
    assert!(seen >= 60, "{seen}");
}

#[test]
fn answers_of_others_are_read_as_the_index_says() {
    for entry in entries() {
        let file = text(&entry, "file");
        if !file.ends_with(".hl7")
            || text(&entry, "role") != "response" && !file.ends_with("pdq-response.hl7")
        {
            continue;
        }
        let answer = answer::read(&bytes(&file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert_eq!(answer.code, text(&entry, "ack"), "{file}");
        let status = answer.query_status.unwrap_or_default();
        assert_eq!(status, text(&entry, "query_status"), "{file}");
        if let Some(code) = entry["expected"]["err_code"].as_str() {
            assert_eq!(answer.errors[0].code, code, "{file}");
        }
        if let Some(location) = entry["expected"]["err_location"].as_str() {
            assert_eq!(answer.errors[0].location, location, "{file}");
        }
    }
}

#[test]
fn streams_split_as_the_index_says() {
    let split = |file: &str| {
        let (mut splitter, mut events) = (mllp::Splitter::new(1 << 20), vec![]);
        bytes(file).chunks(7).for_each(|chunk| splitter.push(chunk, &mut events));
        splitter.settle(&mut events);
        let mut ids = vec![];
        for event in events {
            match event {
                mllp::Event::Message(message) => {
                    ids.push(read(&message, &Settings::default()).unwrap().header.control_id);
                }
                mllp::Event::Restarted { .. } => ids.push("restarted".into()),
                other => panic!("{file}: {other:?}"),
            }
        }
        ids
    };
    assert_eq!(split("ja/mllp/two-frames-one-read.mllp"), ["JA0301", "JA0302"]);
    assert_eq!(split("ja/mllp/noise-between-frames.mllp"), ["JA0301", "JA0302"]);
    assert_eq!(split("ja/mllp/no-final-cr.mllp"), ["JA0301"]);
    assert_eq!(split("ja/mllp/start-inside-frame.mllp"), ["restarted", "JA0302"]);
}

#[test]
fn japanese_patients_are_read_as_composed() {
    let names = |file: &str| {
        let Update::Set(names) = sent(file).names else { panic!("{file}") };
        names.iter().map(|n| format!("{} {}", n.family, n.given)).collect::<Vec<_>>()
    };
    assert_eq!(names("ja/accept/jis-a28-yamamoto-5c-7e.hl7"), ["山本 美咲", "ヤマモト ミサキ"]);
    assert_eq!(names("ja/accept/jis-a08-hino-7c.hl7"), ["日野 万里", "ヒノ マリ", "HINO MARI"]);
    assert_eq!(names("ja/accept/jis-a28-first-byte-5c-5e.hl7"), ["渕上 榮樂", "フチガミ エイラク"]);
    assert_eq!(names("ja/accept/jis-a08-old-escapes.hl7"), ["橋本 朋美", "ハシモト トモミ"]);
    assert_eq!(names("ja/accept/jis-a08-halfwidth-kana-esc-i.hl7"), ["渡部 光", "ﾜﾀﾅﾍﾞ ﾋｶﾙ"]);
    assert_eq!(names("ja/accept/jis-a08-gaiji-and-nec-row13.hl7")[0], "〓田 太郎");
    assert_eq!(names("ja/accept/jis-a08-jisx0212.hl7")[0], "鄧 琪");
    assert_eq!(names("ja/accept/utf8-a28-plane2-ivs.hl7")[0], "𠮷田 葛\u{e0100}子");
    assert_eq!(names("ja/accept/utf8-a28-joined-name.hl7"), ["カンジャ　ハナコ ", "患者　花子 "]);
    let gaiji = feed_of("ja/accept/jis-a08-gaiji-and-nec-row13.hl7");
    assert!(gaiji.warnings.iter().any(|w| w.text.contains("7521")), "{:?}", gaiji.warnings);
    let Update::Set(addresses) = sent("ja/accept/jis-a08-gaiji-and-nec-row13.hl7").addresses else {
        panic!()
    };
    assert_eq!(addresses[0].text, "静岡市葵区①番地");
    let Update::Set(insurances) = sent("ja/accept/jis-a31-marriage-insurance.hl7").insurances else {
        panic!()
    };
    assert_eq!((insurances[0].number.as_str(), insurances[0].branch.as_deref()), ("901", Some("02")));
    let Update::Set(former) = sent("iti-8/accept/a01-birth-name.hl7").names else { panic!() };
    assert_eq!((former[1].family.as_str(), former[1].usage), ("Smith", NameUse::Birth));
}

#[test]
fn warnings_and_debug_tell_nothing_of_patients() {
    for entry in entries().iter().filter(|e| text(e, "file").ends_with(".hl7")) {
        let told = match read_file(&text(entry, "file")) {
            Ok(request) => {
                let warned = match &request.body {
                    Body::Feed(message) => format!("{:?}", message.warnings),
                    _ => String::new(),
                };
                format!("{:?}{warned}", request.body.summary())
            }
            Err(refused) => format!("{:?}", refused.errors),
        };
        for secret in ["山本", "ヤマモト", "00012345", "123456789018", "9999013", "WASHINGTON"] {
            assert!(!told.contains(secret), "{}: {told}", text(entry, "file"));
        }
    }
}

#[test]
fn japanese_in_msh_does_not_hide_the_label() {
    for (set, label) in
        [(charset::CharacterSet::Iso2022Jp, "~ISO IR87"), (charset::CharacterSet::Utf8, "UNICODE UTF-8")]
    {
        let text =
            format!("MSH|^~\\&|電子|日本病院|M|N|2025||ADT^A03|1|P|2.5||||||{label}\rEVN||2025\rPID|||1\r");
        let request = read(&charset::encode(&text, set).bytes, &Settings::default()).unwrap();
        assert_eq!((request.header.label.set, request.header.source.facility.as_str()), (set, "日本病院"));
    }
}

#[test]
fn a_message_that_is_not_what_it_says_is_read_with_a_warning() {
    let warned = |file: &str| feed_of(file).warnings.iter().any(|w| w.text.contains("MSH-18"));
    assert!(warned("ja/accept/jis-a08-no-msh18.hl7") && warned("ja/accept/jis-a08-msh18-single-ir87.hl7"));
    assert!(!warned("ja/accept/jis-a08-hino-7c.hl7") && !warned("ja/accept/utf8-bom.hl7"));
}

#[test]
fn a_sender_known_for_shift_jis_is_read_as_it_means_it() {
    let sender = Sender { application: Some("HIS".into()), facility: None, shift_jis: true };
    let settings = Settings { senders: vec![sender], ..Settings::default() };
    for (file, name) in [
        ("ja/reject/AE-102-shift-jis-labelled-ir87.hl7", "表"),
        ("ja/reject/AE-102-halfwidth-kana-8bit.hl7", "渡部"),
    ] {
        let request = read(&bytes(file), &settings).unwrap();
        let Body::Feed(message) = request.body else { panic!("{file}") };
        let Feed::Upsert { sent, .. } = message.feed else { panic!("{file}") };
        let Update::Set(names) = sent.names else { panic!("{file}") };
        assert_eq!(names[0].family, name);
    }
}

#[test]
fn a_giant_is_named_in_its_answer() {
    let refused = too_long(b"MSH|^~\\&|HIS|F|M|N|2025||ADT^A08|X1|P|2.5\rPID|||", 1000);
    assert_eq!((refused.ack, refused.header.unwrap().control_id.as_str()), (Ack::Error, "X1"));
    assert!(too_long(b"xxxx", 1000).header.is_none());
}
