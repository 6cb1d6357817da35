//! Reading and writing messages: no disk, no socket, no audit.

use bytes::Bytes;
use chiren::model::codes::{CodeCheck, Vocabulary};
use chiren::model::ebrim::ObjectKind;
use chiren::model::metadata::{AtRest, AvailabilityStatus};
use chiren::model::query::Found;
use chiren::model::rules::{Column, Profile, Rules};
use chiren::model::transaction::Transaction;
use chiren::wire::ebxml::{query, submit};
use chiren::wire::mtom::content_type::ContentType;
use chiren::wire::mtom::split::{MtomLimits, Splitter};
use chiren::wire::mtom::write::Multipart;
use chiren::wire::soap;
use chiren::wire::xml::guard::Guard;
use chiren::wire::xml::{XmlLimits, tree};

use super::{compare, each, noise, samples, submission};

pub const MESSAGE_ID: &str = "urn:uuid:6d296e90-e5dc-43d0-b455-7c1f3eb35d83";

pub fn run() {
    write_answer();
    read_envelope(1);
    read_envelope(25);
    split();
}

fn write_answer() {
    let objects = submission(samples::PATIENT, 25).document_entries.into_iter().map(|mut entry| {
        entry.entry_uuid = uuid::Uuid::new_v4().urn().to_string();
        AtRest {
            kind: ObjectKind::DocumentEntry,
            id: entry.entry_uuid.clone(),
            body: serde_json::to_string(&entry).expect("JSON"),
            availability_status: AvailabilityStatus::Approved,
            version: 1,
            last_update_time: None,
        }
    });
    let found = Found::Objects(objects.collect());
    let action = Transaction::Iti18.row().response_action;
    let write = || {
        soap::write_response(action, Some(MESSAGE_ID), 25 * 8192, |w| {
            query::write_found(w, &found, None).expect("bodies that can be read");
        })
    };
    let answer = write();
    compare(
        "write an ITI-18 answer of 25 DocumentEntries from their bodies",
        each(write),
        "copy of its octets",
        each(|| answer.as_bytes().to_vec()),
        answer.len(),
    );
}

fn read_envelope(entries: usize) {
    let sent = submission(samples::PATIENT, entries);
    let action = Transaction::Iti42.row().request_action;
    let text = soap::write_request(action, MESSAGE_ID, "http://localhost/", |w| submit::write(w, &sent));
    let vocabulary = Vocabulary::japan(CodeCheck::Strict).expect("the built-in vocabulary");
    let rules = Rules {
        column: Column::DocumentRepository,
        profile: Profile::Jahis,
        vocabulary: &vocabulary,
        limited_metadata: false,
    };
    let read = || {
        let mut guard = Guard::new(XmlLimits::default());
        let mut events = vec![];
        for chunk in text.as_bytes().chunks(16 << 10) {
            guard.push(chunk, &mut events).expect("XML within the limits");
        }
        let envelope = guard.finish().expect("a whole envelope");
        let document = tree::parse(&envelope).expect("XML");
        let body = soap::read(&document, &|_| false).expect("SOAP").body;
        submit::read(body, Some(&rules))
    };
    let problems = read().problems;
    assert!(problems.is_empty(), "{:?}", problems.iter().map(|p| &p.context).collect::<Vec<_>>());
    compare(
        &format!("read an ITI-42 envelope of {entries}: guard, tree, rules (jahis, strict), submission"),
        each(read),
        "roxmltree alone",
        each(|| roxmltree::Document::parse(&text).expect("XML").root_element().range()),
        text.len(),
    );
}

fn split() {
    let multipart = Multipart::fresh();
    let id = multipart.document_id(1);
    let message = Bytes::from(
        [
            &multipart.root_head()[..],
            b"<envelope/>",
            &multipart.part_end(),
            &multipart.part_head(&id, "application/pdf"),
            &noise(16 << 20),
            &multipart.part_end(),
            &multipart.closing(),
        ]
        .concat(),
    );
    let related = ContentType::parse(&multipart.content_type(None)).expect("a media type").related();
    let related = related.expect("multipart/related");
    let split = || {
        let mut splitter = Splitter::for_related(&related, MtomLimits::default());
        let mut events = vec![];
        let mut pieces = 0;
        for at in (0..message.len()).step_by(CHUNK) {
            let chunk = message.slice(at..message.len().min(at + CHUNK));
            splitter.push(chunk, &mut events).expect("a multipart message");
            pieces += events.drain(..).count();
        }
        splitter.finish(&mut events).expect("a whole message");
        pieces + events.len()
    };
    let path = "split an MTOM message of 16 MiB, random octets in chunks of 64 KiB";
    let scan = || memchr::memchr(0, &message);
    assert_eq!(scan(), None);
    compare(path, each(split), "memchr of an octet that is not there", each(scan), message.len());
    let mut copy = vec![0; message.len()];
    let copy = || {
        copy.copy_from_slice(&message);
        copy.last().copied()
    };
    compare(path, each(split), "memcpy", each(copy), message.len());
}

const CHUNK: usize = 64 << 10;
