//! A message means the same to the guard in every split, and what the guard lets pass holds no
//! surprise for the tree: no DTD, no processing instruction, no inline document left behind, the
//! limits kept as the tree counts them.
#![no_main]

use chiren_fuzz::chunks;
use chiren_fuzz::wire::mtom::cid::Reference;
use chiren_fuzz::wire::xml::guard::{Guard, GuardEvent, XmlFault, XmlLimits};
use chiren_fuzz::wire::xml::tree;
use libfuzzer_sys::fuzz_target;

const XDSB: &str = "urn:ihe:iti:xds-b:2007";

fuzz_target!(|data: &[u8]| {
    let whole = read(std::iter::once(data));
    assert_eq!(whole, read(chunks(data)));
    let Ok((envelope, documents)) = whole else { return };
    let Ok(doc) = tree::parse(&envelope) else { return };
    let limits = limits();
    let mut numbers = Vec::new();
    for node in doc.descendants() {
        assert!(!node.is_pi());
        assert!(node.ancestors().filter(|n| n.is_element()).count() <= limits.depth);
        assert!(node.attributes().len() <= limits.attributes);
        if tree::is(node, XDSB, "Document") {
            assert_eq!(tree::text_of(node).trim_matches([' ', '\t', '\r', '\n']), "");
        }
        for href in node.attributes().filter(|a| a.name() == "href") {
            if let Ok(Reference::Inline(number)) = Reference::parse(href.value()) {
                numbers.push(number);
            }
        }
    }
    assert!(doc.descendants().filter(|n| n.is_element()).count() <= limits.elements + documents.len());
    assert_eq!(numbers, (0..documents.len()).collect::<Vec<_>>(), "one Include for each document");
});

fn limits() -> XmlLimits {
    XmlLimits {
        envelope_bytes: 8 << 10,
        depth: 8,
        elements: 40,
        attributes: 6,
        namespaces: 4,
        namespaces_in_scope: 12,
        name_bytes: 64,
        attribute_bytes: 256,
        text_bytes: 512,
        document_bytes: 256,
    }
}

fn read<'d>(pieces: impl Iterator<Item = &'d [u8]>) -> Result<(String, Vec<Vec<u8>>), XmlFault> {
    let (mut guard, mut events) = (Guard::new(limits()), Vec::new());
    for piece in pieces {
        guard.push(piece, &mut events)?;
    }
    let envelope = guard.finish()?;
    let (mut documents, mut open) = (Vec::<Vec<u8>>::new(), false);
    for event in events {
        match event {
            GuardEvent::InlineStart(number) => {
                assert!(!open && number == documents.len());
                open = true;
                documents.push(Vec::new());
            }
            GuardEvent::InlineData(octets) => {
                assert!(open && !octets.is_empty());
                documents.last_mut().expect("a document is open").extend_from_slice(&octets);
            }
            GuardEvent::InlineEnd => {
                assert!(open);
                open = false;
            }
        }
    }
    assert!(!open, "the last document never ends");
    Ok((envelope, documents))
}
