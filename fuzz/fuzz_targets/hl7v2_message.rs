//! Whatever a message is, the answer to it reads back with the same verdict and for the same message. What is
//! accepted, written by our own client and read again, says the same. The input is a message without its frame.
#![no_main]

use std::sync::LazyLock;

use chiren_fuzz::model::identity::{Authority, Demographics, Feed, SentId};
use chiren_fuzz::wire::hl7v2::answer::{self, Verdict};
use chiren_fuzz::wire::hl7v2::charset::{CharacterSet, Label, decode, encode};
use chiren_fuzz::wire::hl7v2::compose::{self, Envelope, Party};
use chiren_fuzz::wire::hl7v2::reply::{self, Answering};
use chiren_fuzz::wire::hl7v2::{Ack, Body, Identifier, Request, Sender, Settings, read, too_long};
use libfuzzer_sys::fuzz_target;

const ANSWERING: Answering<'static> = Answering { time: "20260401120000+0900", control_id: "A1" };

/// As delivered; and with everything allowed that can be.
static SETTINGS: LazyLock<[Settings; 2]> = LazyLock::new(|| {
    let any = Sender { application: None, facility: None, shift_jis: true };
    [Settings::default(), Settings { require_name: true, senders: vec![any], ..Settings::default() }]
});

fuzz_target!(|data: &[u8]| {
    for set in [CharacterSet::Iso2022Jp, CharacterSet::Utf8, CharacterSet::Ascii, CharacterSet::Cp932] {
        travels(&decode(data, set, false).text);
    }
    answered(data);
    for settings in SETTINGS.iter() {
        match read(data, settings) {
            Ok(request) => accepted(request),
            Err(refused) => {
                assert!(!refused.errors.is_empty() && refused.ack != Ack::Accept);
                let control_id = refused.header.as_ref().map(|h| h.control_id.clone()).unwrap_or_default();
                let bytes = match (&refused.header, &refused.echo) {
                    (Some(header), Some(echo)) => {
                        reply::refuse_question(header, ANSWERING, echo, refused.ack, &refused.errors)
                    }
                    (header, _) => {
                        reply::acknowledge(header.as_ref(), ANSWERING, refused.ack, &refused.errors)
                    }
                };
                says(&bytes.bytes, refused.ack, &control_id);
            }
        }
    }
});

/// Text without control characters comes back from UTF-8 as it was, and from the others without a fault.
fn travels(text: &str) {
    let text: String = text.chars().filter(|c| !c.is_control() || *c == '\r').collect();
    let utf8 = encode(&text, CharacterSet::Utf8);
    let back = decode(&utf8.bytes, CharacterSet::Utf8, false);
    assert_eq!(back.text, text.strip_prefix('\u{feff}').unwrap_or(&text));
    for set in [CharacterSet::Iso2022Jp, CharacterSet::Ascii] {
        let encoded = encode(&text, set);
        let back = decode(&encoded.bytes, set, false);
        assert!(back.faults.is_empty(), "{:?}", back.faults);
        assert_eq!(back.text.matches('\r').count(), text.matches('\r').count());
    }
}

/// Even the beginning of a giant is answered.
fn answered(data: &[u8]) {
    let refused = too_long(data, 10);
    let control_id = refused.header.as_ref().map(|h| h.control_id.clone()).unwrap_or_default();
    let bytes = reply::acknowledge(refused.header.as_ref(), ANSWERING, refused.ack, &refused.errors);
    says(&bytes.bytes, refused.ack, &control_id);
}

fn says(bytes: &[u8], ack: Ack, control_id: &str) {
    let answer = answer::read(bytes).expect("an answer of ours is one");
    let verdict = match ack {
        Ack::Accept => Verdict::Accepted,
        Ack::Error => Verdict::Error,
        Ack::Reject => Verdict::Rejected,
    };
    assert_eq!(answer.verdict, verdict);
    assert_eq!(answer.errors.is_empty(), ack == Ack::Accept);
    if control_id.is_ascii() {
        assert_eq!(answer.control_id, control_id);
    }
}

fn accepted(request: Request) {
    let Request { header, body, .. } = request;
    let ack = reply::acknowledge(Some(&header), ANSWERING, Ack::Accept, &[]);
    says(&ack.bytes, Ack::Accept, &header.control_id);
    let (party, label) = (Party::default(), Label::utf8());
    let envelope = Envelope {
        from: &party,
        to: &party,
        time: "20260401120000+0900",
        control_id: "M1",
        processing: "P",
        label: &label,
    };
    match body {
        Body::Feed(message) => {
            let Feed::Upsert { ids, sent } = message.feed else { return };
            assert!(!ids.is_empty() && ids.iter().all(|id| !id.value.is_empty() && id.value != "\"\""));
            let mut known = Demographics::default();
            sent.over(&mut known);
            let written: Vec<Identifier> = ids.iter().map(identifier).collect();
            let bytes = compose::feed(&envelope, "A08", &written, None, &known).bytes;
            let again = read(&bytes, &Settings::default()).expect("accepted, then refused");
            let Body::Feed(message) = again.body else { panic!("a feed is a feed") };
            let Feed::Upsert { ids: again, sent } = message.feed else { panic!("of the same kind") };
            assert!(again.iter().map(identifier).eq(written));
            let mut told = Demographics::default();
            sent.over(&mut told);
            // PID-13 and PID-14 may have been told apart otherwise.
            known.phones.iter_mut().chain(&mut told.phones).for_each(|phones| phones.sort());
            assert!(told == known, "{} became {}", json(&known), json(&told));
        }
        Body::Pix(_, query) => {
            let wanted: Vec<Identifier> = query.wanted.iter().map(domain).collect();
            let bytes = compose::pix(&envelope, "T", &identifier(&query.id), &wanted).bytes;
            let Ok(Request { body: Body::Pix(_, again), .. }) = read(&bytes, &Settings::default()) else {
                panic!("a question is a question")
            };
            assert!(identifier(&again.id) == identifier(&query.id));
            assert!(again.wanted.iter().map(domain).eq(wanted));
        }
        Body::Demographics(echo, query, page) => {
            assert!(!echo.tag.is_empty() && page.size != Some(0));
            assert!(query.ids.iter().all(|id| !id.authority.is_empty()));
            assert!(query.family.iter().chain(&query.given).all(|(name, _)| !name.is_empty()));
        }
        Body::Cancel(tag) => assert!(!tag.is_empty()),
    }
}

fn json(of: &Demographics) -> String {
    serde_json::to_string(of).unwrap_or_default()
}

fn identifier(id: &SentId) -> Identifier {
    Identifier { value: id.value.clone(), ..domain(&id.authority) }
}

fn domain(of: &Authority) -> Identifier {
    Identifier {
        value: String::new(),
        namespace: of.namespace.clone().unwrap_or_default(),
        oid: of.universal_id.clone().unwrap_or_default(),
    }
}
