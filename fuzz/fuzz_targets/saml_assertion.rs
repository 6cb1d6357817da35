//! Whatever stands in a message, at most one assertion is found, the finding is in its one place, and what the reader
//! takes out of it is canonical: canonicalized again it is the same.
#![no_main]

use chiren_fuzz::model::namespace::NS_WSSE;
use chiren_fuzz::wire::saml;
use chiren_fuzz::wire::xml::guard::{Guard, XmlLimits};
use chiren_fuzz::wire::xml::{c14n, tree};
use libfuzzer_sys::fuzz_target;

const ENVELOPE: &str = "<soap:Envelope xmlns:soap=\"http://www.w3.org/2003/05/soap-envelope\" xmlns=\"urn:x\">\
                        <soap:Header></soap:Header><soap:Body/></soap:Envelope>";

fuzz_target!(|data: &[u8]| {
    let limits = XmlLimits { envelope_bytes: 16 << 10, elements: 200, attributes: 16, depth: 16, ..XmlLimits::default() };
    let (mut guard, mut events) = (Guard::new(limits), Vec::new());
    let Ok(envelope) = guard.push(data, &mut events).and_then(|()| guard.finish()) else { return };
    let Ok(doc) = tree::parse(&envelope) else { return };
    let form = c14n::exclusive(doc.root_element(), None, &[]);
    let again = tree::parse(&form).expect("a canonical form is well-formed");
    assert_eq!(c14n::exclusive(again.root_element(), None, &[]), form);
    let Ok(Some(located)) = saml::locate(doc.root_element()) else { return };
    let parent = located.assertion.parent().expect("an assertion has a parent");
    assert!(tree::is(parent, NS_WSSE, "Security"));
    assert_eq!(located.signature.parent(), Some(located.assertion));
    let (signed, said) = (saml::take_apart(located), saml::read(located.assertion));
    // Cut out to be passed on, it is the same, and as well signed.
    let cut = saml::original(located.assertion).expect("its bytes");
    let envelope = saml::secured(ENVELOPE, &cut);
    let doc = tree::parse(&envelope).expect("well-formed");
    let again = saml::locate(doc.root_element()).expect("sound").expect("there");
    assert_eq!(saml::read(again.assertion), said);
    assert_eq!(saml::take_apart(again).is_ok(), signed.is_ok());
});
