//! A message is taken or every reason it is not is told with the place of an element; whatever is answered reads back
//! as it was meant, and a question repeated in its answer asks the same.
#![no_main]

use chiren_fuzz::model::identity::{Feed, Unable, Wanted};
use chiren_fuzz::model::namespace::NS_HL7V3;
use chiren_fuzz::wire::hl7v3::ack::{self, Ack};
use chiren_fuzz::wire::hl7v3::xcpd_answer::Said;
use chiren_fuzz::wire::hl7v3::{xcpd, xcpd_answer, xcpd_location};
use chiren_fuzz::wire::hl7v3::{Asked, Header, Own, Problem, QueryAck, Reading, feed, pdq, pix};
use chiren_fuzz::wire::xml::guard::{Guard, XmlLimits};
use chiren_fuzz::wire::xml::{XmlWriter, tree};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (mut guard, mut events) = (Guard::new(limits()), Vec::new());
    let Ok(envelope) = guard.push(data, &mut events).and_then(|()| guard.finish()) else { return };
    let Ok(doc) = tree::parse(&envelope) else { return };
    // The message stands alone, or in an envelope.
    let ours = |n: &roxmltree::Node<'_, '_>| n.tag_name().namespace() == Some(NS_HL7V3);
    let Some(node) = doc.descendants().find(ours) else { return };

    if let Some(read) = taken(feed::read(node)) {
        assert!(!read.message.raw.is_empty() && !read.header.id.is_empty());
        match &read.message.feed {
            Feed::Upsert { ids, .. } => assert!(!ids.is_empty() && ids.iter().all(|id| !id.value.is_empty())),
            Feed::Merge { surviving, subsumed } => assert!(!surviving.is_empty() && subsumed.len() == 1),
            other => panic!("{other:?}"),
        }
        acknowledged(&read.header, Ack::Accept, &[]);
    }
    if let Some(read) = taken(pix::read(node)) {
        let again = repeated(&read.asked, pix::QUERY, pix::read);
        let again = taken(again).expect("the question repeated is one");
        assert!(again.query == read.query, "the question repeated asks something else");
    }
    if let Some(read) = taken(pdq::read(node)) {
        let again = repeated(&read.asked, pdq::QUERY, pdq::read);
        let again = taken(again).expect("the question repeated is one");
        assert!(again.query == read.query && again.size == read.size && again.least == read.least);
    }
    for cancel in [false, true] {
        if let Some(read) = taken(pdq::read_continuation(node, cancel)) {
            assert!(read.query_id.root.is_some());
        }
    }
    if let Some(read) = taken(xcpd::read(node)) {
        for said in [Said::Matches(&[]), Said::Wanted(&Wanted::ALL), Said::Unable(Unable::Busy, &[])] {
            discovered(&read, &said);
        }
    }
    let _ = (ack::read(node), pix::read_answer(node), pdq::read_answer(node), xcpd_answer::read(node));
    let _ = (xcpd_location::read(node), xcpd_location::read_answer(node), xcpd::time_to_live(node));
});

fn limits() -> XmlLimits {
    XmlLimits { envelope_bytes: 32 << 10, elements: 400, attributes: 16, depth: 24, ..XmlLimits::default() }
}

/// What is taken; of what is refused, the answers are held against their reading.
fn taken<T>(reading: Reading<T>) -> Option<T> {
    match reading {
        Err(why) => {
            assert!(!why.is_empty());
            None
        }
        Ok(Ok(read)) => Some(read),
        Ok(Err(refused)) => {
            assert!(!refused.problems.is_empty(), "refused for nothing");
            for problem in &refused.problems {
                assert!(problem.location.as_ref().is_some_and(|l| l.starts_with('/')), "{problem:?}");
            }
            acknowledged(&refused.header, Ack::Error, &refused.problems);
            if let Some(asked) = &refused.query {
                answered(&refused.header, asked, &refused.problems);
            }
            None
        }
    }
}

fn own() -> Own {
    Own { id: "0193a2f0-0000-7000-8000-000000000001".into(), time: "20261122030000+0000".into() }
}

/// What was told reads back: trimmed, with characters that XML cannot carry replaced.
fn same(read: &[Problem], written: &[Problem]) {
    assert_eq!(read.len(), written.len());
    for (read, written) in read.iter().zip(written) {
        assert_eq!((read.code, read.severity), (written.code, written.severity));
    }
}

fn acknowledged(header: &Header, verdict: Ack, problems: &[Problem]) {
    let mut w = XmlWriter::new();
    ack::write(&mut w, header, &own(), verdict, problems);
    let written = w.finish();
    let doc = tree::parse(&written).expect("an answer is well-formed");
    let read = ack::read(doc.root_element()).expect("an acknowledgement");
    assert_eq!((read.ack, read.target.root.as_ref()), (verdict, header.id.root.as_ref()));
    same(&read.details, problems);
}

fn answered(header: &Header, asked: &Asked, problems: &[Problem]) {
    let mut w = XmlWriter::new();
    let answer = pix::Answer { ack: Ack::Error, query_ack: QueryAck::Error, details: problems, ids: &[] };
    pix::write(&mut w, header, asked, &own(), &answer);
    let written = w.finish();
    let doc = tree::parse(&written).expect("an answer is well-formed");
    let read = pix::read_answer(doc.root_element()).expect("an answer");
    assert_eq!(read.query_ack, QueryAck::Error);
    same(&read.acknowledgement.details, problems);
}

/// What another community is answered reads back as it was meant.
fn discovered(read: &xcpd::Read, said: &Said<'_>) {
    let mut w = XmlWriter::new();
    xcpd_answer::write(&mut w, &read.header, &read.asked, &own(), &read.home, said);
    let written = w.finish();
    let doc = tree::parse(&written).expect("an answer is well-formed");
    let answered = xcpd_answer::read(doc.root_element()).expect("an answer");
    assert!(answered.found.is_empty());
    match said {
        Said::Wanted(wanted) => assert_eq!(answered.wanted, *wanted),
        Said::Unable(why, _) => assert_eq!(answered.unable, Some(*why)),
        _ => assert_eq!(answered.query_ack, QueryAck::NothingFound),
    }
}

/// The question of an answer, asked.
fn repeated<T>(
    asked: &Asked,
    interaction: &str,
    read: impl FnOnce(roxmltree::Node<'_, '_>) -> Reading<T>,
) -> Reading<T> {
    let device = "<device classCode=\"DEV\" determinerCode=\"INSTANCE\"><id root=\"1.2.3\"/></device>";
    let message = format!(
        "<{interaction} xmlns=\"{NS_HL7V3}\" ITSVersion=\"XML_1.0\"><id root=\"1.2.3\"/>\
         <creationTime value=\"20261122\"/><interactionId root=\"1.2.3\" extension=\"{interaction}\"/>\
         <processingCode code=\"P\"/><processingModeCode code=\"T\"/><acceptAckCode code=\"AL\"/>\
         <receiver typeCode=\"RCV\">{device}</receiver><sender typeCode=\"SND\">{device}</sender>\
         <controlActProcess classCode=\"CACT\" moodCode=\"EVN\">{}</controlActProcess></{interaction}>",
        asked.echo
    );
    let doc = tree::parse(&message).expect("the question repeated is well-formed");
    read(doc.root_element())
}
