//! What faces a socket or a document, spoiled at random from the corpus: the same relations as the targets of `fuzz/`
//! hold, in every run of the tests. The numbers are drawn from a seed, so that a finding repeats.

use std::path::Path;

use chiren::clins::bundle;
use chiren::clins::normalise::{EntryProfiles, normalise};
use chiren::fhirpath::{Expression, Json};
use chiren::model::namespace::NS_WSSE;
use chiren::wire::atna::frames::{Broken, LONGEST, Splitter, frame};
use chiren::wire::atna::{self, syslog};
use chiren::wire::xml::guard::{Guard, XmlLimits};
use chiren::wire::xml::{c14n, tree};
use chiren::wire::{jwt, saml};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Pieces that readers stumble over.
const ODD: &[&[u8]] = &[
    b"",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"<",
    b">",
    b"&",
    b"\"",
    b"'",
    b"]]>",
    b"<!--",
    b"<?x?>",
    b"<!DOCTYPE x>",
    b"\r\n",
    b"\n",
    b" ",
    b"0",
    b"99999999999999999999",
    b"-1",
    b"{",
    b"[",
    b"\\ud800",
    b".",
    b"=",
    b"ID",
    b"Id",
    b"xmlns=\"\"",
    b"#",
];

/// Numbers that look random.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % most.max(1)
    }

    /// One to three changes: a piece cut out, doubled, moved, or in the place of another.
    fn spoil(&mut self, good: &[u8]) -> Vec<u8> {
        let mut bytes = good.to_vec();
        for _ in 0..=self.below(3) {
            let from = self.below(bytes.len() + 1);
            let to = (from + self.below(40)).min(bytes.len());
            let piece = bytes[from..to].to_vec();
            match self.below(4) {
                0 => drop(bytes.splice(from..to, [])),
                1 => drop(bytes.splice(from..from, piece)),
                2 => {
                    drop(bytes.splice(from..to, []));
                    let at = self.below(bytes.len() + 1);
                    drop(bytes.splice(at..at, piece));
                }
                _ => drop(bytes.splice(from..to, ODD[self.below(ODD.len())].iter().copied())),
            }
        }
        bytes
    }
}

/// Files of a folder whose names end so; of an HTTP request the body.
fn files(folder: &str, ends: &[&str]) -> Vec<Vec<u8>> {
    let mut names: Vec<_> = std::fs::read_dir(Path::new(ROOT).join(folder))
        .expect(folder)
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| ends.iter().any(|end| path.to_string_lossy().ends_with(end)))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "{folder}");
    names.into_iter().map(|path| std::fs::read(path).expect("a file")).collect()
}

/// Each good input as it is, and spoiled so many times.
fn each(good: &[Vec<u8>], times: usize, mut hold: impl FnMut(&[u8])) {
    let mut dice = Dice(7);
    for one in good.iter().filter(|one| one.len() < 64 * 1024) {
        hold(one);
        for _ in 0..times {
            hold(&dice.spoil(one));
        }
    }
}

#[test]
fn whatever_stands_in_a_header_one_assertion_is_found_at_most() {
    const ENVELOPE: &str = "<soap:Envelope xmlns:soap=\"http://www.w3.org/2003/05/soap-envelope\" xmlns=\"urn:x\">\
                            <soap:Header></soap:Header><soap:Body/></soap:Envelope>";
    let mut found = 0;
    each(&files("tests/corpus/security/saml", &[".xml"]), 60, |data| {
        let (mut guard, mut events) = (Guard::new(XmlLimits::default()), vec![]);
        let Ok(envelope) = guard.push(data, &mut events).and_then(|()| guard.finish()) else { return };
        let Ok(doc) = tree::parse(&envelope) else { return };
        let form = c14n::exclusive(doc.root_element(), None, &[]);
        let again = tree::parse(&form).expect("a canonical form is well-formed");
        assert_eq!(c14n::exclusive(again.root_element(), None, &[]), form);
        let Ok(Some(located)) = saml::locate(doc.root_element()) else { return };
        found += 1;
        let parent = located.assertion.parent().expect("an assertion has a parent");
        assert!(tree::is(parent, NS_WSSE, "Security"));
        let (signed, said) = (saml::take_apart(located), saml::read(located.assertion));
        let cut = saml::original(located.assertion).expect("its bytes");
        let envelope = saml::secured(ENVELOPE, &cut);
        let doc = tree::parse(&envelope).expect("well-formed");
        let again = saml::locate(doc.root_element()).expect("sound").expect("there");
        assert_eq!(saml::read(again.assertion), said);
        assert_eq!(saml::take_apart(again).is_ok(), signed.is_ok());
    });
    assert!(found > 100, "{found}");
}

#[test]
fn a_connection_of_syslog_means_the_same_in_every_split() {
    fn split<'d>(pieces: impl Iterator<Item = &'d [u8]>) -> (Vec<Vec<u8>>, Option<Broken>) {
        let (mut splitter, mut messages) = (Splitter::default(), vec![]);
        for piece in pieces {
            if let Err(broken) = splitter.push(piece, &mut messages) {
                return (messages, Some(broken));
            }
        }
        (messages, None)
    }
    each(&files("tests/corpus/security/syslog", &[".bin"]), 300, |data| {
        let (whole, end) = split(std::iter::once(data));
        for size in [1, 7, 64] {
            assert_eq!((whole.clone(), end), split(data.chunks(size)));
        }
        for message in whole {
            assert!(message.len() <= LONGEST);
            if let Ok(read) = syslog::read(&message) {
                assert!(message.ends_with(read.body));
                // Its body, if it is an audit message, stays one.
                if let Ok(audit) = atna::read(read.body) {
                    let written = atna::write(&audit);
                    assert_eq!(atna::write(&atna::read(written.as_bytes()).expect("readable")), written);
                }
            }
            assert_eq!(split(std::iter::once(frame(&message).as_slice())), (vec![message], None));
        }
    });
}

#[test]
fn an_audit_message_is_refused_or_stays_the_same() {
    let mut taken = 0;
    each(&files("fuzz/seeds/audit_message", &[".xml"]), 3000, |data| {
        let Ok(message) = atna::read(data) else { return };
        taken += 1;
        let written = atna::write(&message);
        let again = atna::read(written.as_bytes()).expect("what we write can be read");
        assert_eq!(atna::write(&again), written);
    });
    assert!(taken > 100, "{taken}");
}

#[test]
fn what_is_read_of_a_token_was_signed_as_it_stands() {
    each(&files("fuzz/seeds/jwt", &[".json", ".txt"]), 3000, |data| {
        let Ok(text) = std::str::from_utf8(data) else { return };
        let _ = jwt::key_set(text);
        let token = jwt::bearer(text).unwrap_or(text);
        let Ok((read, signed)) = jwt::read(token) else { return };
        assert!(token.as_bytes().starts_with(&signed.message));
        assert_eq!(token.as_bytes()[signed.message.len()], b'.');
        assert!(read.id.is_none_or(|id| !id.is_empty()));
        assert_eq!(jwt::read(token).map(|(_, signed)| signed), Ok(signed));
    });
}

#[test]
fn json_of_the_national_service_is_written_as_it_was_read() {
    let mut good = files("fuzz/seeds/national_json", &[".json", ".txt"]);
    good.extend(files("tests/corpus/jp-clins/cases/good", &[".json"]).into_iter().take(6));
    let mut taken = 0;
    each(&good, 150, |data| {
        if let Ok(text) = std::str::from_utf8(data) {
            let _ = Expression::parse(text);
        }
        let Ok(mut json) = Json::parse(data) else { return };
        taken += 1;
        let written = json.to_bytes();
        assert_eq!(Json::parse(&written).as_ref(), Ok(&json), "what is written reads the same");
        let _ = bundle::facts(&json);
        normalise(&mut json, EntryProfiles::Unversioned);
        assert!(normalise(&mut json, EntryProfiles::Unversioned).is_empty(), "normalising once is enough");
    });
    assert!(taken > 50, "{taken}");
}
