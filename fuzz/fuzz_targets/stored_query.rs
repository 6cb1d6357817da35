//! A parameter value that was read prints as a strict peer reads it, with the same items; and
//! slots mean the same query, or the same errors, before and after they travel in a request.
//! The input is a value, or slots: a line `$Name=value` for each, a line `=value` for one more
//! value of the slot above.
#![no_main]

use chiren_fuzz::model::ebrim::Slot;
use chiren_fuzz::model::query::values::{self, Values};
use chiren_fuzz::model::query::{
    QUERIES, QueryId, QueryProblems, QueryRow, ReturnType, StoredQuery, TimeRange,
};
use chiren_fuzz::wire::ebxml::query::{AdhocQueryRequest, read_request, write_request};
use chiren_fuzz::wire::xml::{XmlWriter, tree};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(Values { items, .. }) = values::parse(text) {
        printed(&items);
    }
    let slots = slots(text);
    if slots.is_empty() {
        return;
    }
    for slot in &slots {
        slot.values.iter().filter_map(|v| values::parse(v).ok()).for_each(|v| printed(&v.items));
    }
    for row in QUERIES {
        let asked = StoredQuery::from_slots(row.urn, row.multi_patient, &slots);
        assert!(StoredQuery::from_slots(row.urn, !row.multi_patient, &slots).is_err());
        // Refusals travel alike for all queries; one is enough.
        if asked.is_ok() || row.id == QueryId::FindDocuments {
            travels(row, &slots, &asked);
        }
        match asked {
            Ok(query) => {
                assert_eq!(query.id(), row.id);
                accepted(&query);
            }
            Err(problems) => assert!(!problems.is_empty()),
        }
    }
});

fn printed(items: &[String]) {
    assert!(!items.is_empty());
    let list = values::parse(&values::quote_list(items));
    assert_eq!(list, Ok(Values { items: items.to_vec(), parenthesised: true }));
    for item in items {
        let one = values::parse(&values::quote(item));
        assert_eq!(one, Ok(Values { items: vec![item.clone()], parenthesised: false }));
    }
}

/// The query reads the same from a request written.
fn travels(row: &QueryRow, slots: &[Slot], asked: &Result<StoredQuery, QueryProblems>) {
    let request = AdhocQueryRequest {
        return_type: ReturnType::LeafClass,
        id: row.urn.to_owned(),
        home: None,
        slots: slots.to_vec(),
    };
    let mut w = XmlWriter::new();
    write_request(&mut w, &request);
    let written = w.finish();
    let doc = tree::parse(&written).expect("a request is well-formed");
    let travelled = read_request(doc.root_element(), row.multi_patient).map(|r| r.query);
    assert_eq!(&travelled, asked);
}

/// Slots as XML delivers them: names and values trimmed, no character that XML cannot carry.
fn slots(text: &str) -> Vec<Slot> {
    let carried =
        |c: &char| !matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}');
    let mut slots = Vec::<Slot>::new();
    for line in text.split('\n') {
        let line: String = line.chars().filter(carried).collect();
        let Some((name, value)) = line.split_once('=') else { continue };
        let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
        match slots.last_mut() {
            Some(last) if name.is_empty() => last.values.push(value),
            _ if name.is_empty() => {}
            _ => slots.push(Slot { name, slot_type: None, values: vec![value] }),
        }
    }
    slots
}

/// What every accepted query keeps: patients are named if at all, times are padded.
fn accepted(query: &StoredQuery) {
    assert!(query.patient_ids().iter().all(|p| !p.is_empty()), "a patient without a name");
    match query {
        StoredQuery::FindDocuments(q) | StoredQuery::FindDocumentsByReferenceId(q) => {
            assert!(!q.status.is_empty());
            assert_eq!(q.patient_ids.len(), 1);
            [&q.creation_time, &q.service_start_time, &q.service_stop_time].into_iter().for_each(padded);
        }
        StoredQuery::FindDocumentsForMultiplePatients(q) => {
            [&q.creation_time, &q.service_start_time, &q.service_stop_time].into_iter().for_each(padded);
        }
        StoredQuery::FindFolders(q) | StoredQuery::FindFoldersForMultiplePatients(q) => {
            padded(&q.last_update_time);
        }
        StoredQuery::FindSubmissionSets(q) => padded(&q.submission_time),
        _ => {}
    }
}

fn padded(range: &TimeRange) {
    for time in [&range.from, &range.to].into_iter().flatten() {
        assert!(time.len() == 14 && time.bytes().all(|b| b.is_ascii_digit()), "{time}");
    }
}
