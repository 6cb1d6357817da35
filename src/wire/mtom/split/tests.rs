use super::*;
use proptest::prelude::*;

const GOOD: &str = "preamble\r\n--b1\r\nContent-Type: application/xop+xml\r\nContent-ID: <root@gw>\r\n\r\n\
                    <e/>\r\n--b1 \t\r\nContent-ID: <doc1@gw>\r\nContent-Transfer-Encoding: base64\r\n\r\n\
                    Zm9v\r\nYmE=\r\n\r\n--b1\r\nContent-ID: <doc2@gw>\r\n\r\n\r\n--b1x\r\n--b1-\r\n--b1--x\r\n--b1 \r-\
                    \r\n\r\n--b1--\r\nepilogue";

/// A part in short: Content-ID, root, content.
type Seen = (Option<String>, bool, Vec<u8>);

fn split_with(splitter: Splitter, pieces: &[&[u8]]) -> Result<Vec<Seen>, MtomFault> {
    let (mut splitter, mut events) = (splitter, Vec::new());
    for piece in pieces {
        splitter.push(Bytes::copy_from_slice(piece), &mut events)?;
    }
    splitter.finish(&mut events)?;
    let (mut parts, mut open) = (Vec::new(), false);
    for event in events {
        match event {
            PartEvent::Start(head) => {
                assert!(!open, "parts do not nest");
                open = true;
                parts.push((head.content_id, head.root, Vec::new()));
            }
            PartEvent::Data(bytes) => {
                assert!(open && !bytes.is_empty());
                parts.last_mut().unwrap().2.extend_from_slice(&bytes);
            }
            PartEvent::End => open = false,
        }
    }
    assert!(!open, "the last part has ended");
    Ok(parts)
}

fn limits() -> MtomLimits {
    MtomLimits { document_bytes: 100, parts: 4, ..MtomLimits::default() }
}

fn split(text: &str) -> Result<Vec<Seen>, MtomFault> {
    split_with(Splitter::new("b1", limits()), &[text.as_bytes()])
}

fn seen(id: &str, root: bool, content: &str) -> Seen {
    (Some(id.to_owned()), root, content.as_bytes().to_vec())
}

#[test]
fn parts_of_a_good_message() {
    let parts = split(GOOD).unwrap();
    assert_eq!(parts[0], seen("root@gw", true, "<e/>"));
    assert_eq!(parts[1], seen("doc1@gw", false, "fooba"));
    assert_eq!(parts[2], seen("doc2@gw", false, "\r\n--b1x\r\n--b1-\r\n--b1--x\r\n--b1 \r-\r\n"));
    assert_eq!(parts.len(), 3);
}

#[test]
fn empty_parts_of_both_kinds() {
    for text in [
        "--b1\r\nContent-ID: <a>\r\n\r\n\r\n--b1--",
        "--b1\r\nContent-ID: <a>\r\n\r\n--b1--",
        "--b1\r\nContent-ID: <a>\r\n\r\n\r\n--b1-- \t",
    ] {
        assert_eq!(split(text).unwrap(), [seen("a", true, "")], "{text:?}");
    }
    assert_eq!(split("--b1\r\n\r\nx\r\n--b1--").unwrap(), [(None, true, b"x".to_vec())]);
}

#[test]
fn content_is_not_copied() {
    let body = Bytes::from(GOOD.to_owned());
    let mut events = Vec::new();
    Splitter::new("b1", limits()).push(body.clone(), &mut events).unwrap();
    let data = events.iter().find_map(|e| if let PartEvent::Data(d) = e { Some(d) } else { None }).unwrap();
    assert!(body.as_ptr_range().contains(&data.as_ptr()));
}

#[test]
fn start_names_the_root() {
    let related = Related {
        boundary: "b1".into(),
        start: Some("doc2@gw".into()),
        root_type: None,
        start_info: None,
        action: None,
    };
    let parts = split_with(Splitter::for_related(&related, limits()), &[GOOD.as_bytes()]).unwrap();
    assert_eq!(parts.iter().map(|p| p.1).collect::<Vec<_>>(), [false, false, true]);
    let related = Related { start: Some("nobody".into()), ..related };
    let fault = split_with(Splitter::for_related(&related, limits()), &[GOOD.as_bytes()]).unwrap_err();
    assert_eq!(fault, MtomFault::NoRoot { start: "nobody".into() });
}

#[test]
fn each_fault_is_earned() {
    use MtomFault::*;
    let part = |head: &str, content: &str| format!("--b1\r\n{head}\r\n\r\n{content}\r\n");
    let root = part("Content-ID: <r>", "x");
    let long = "y".repeat(101);
    for (text, fault) in [
        ("--b1--\r\n".into(), NoParts),
        ("".into(), Truncated),
        ("no delimiter at all".into(), Truncated),
        ("--b1\r\nContent-ID: <a>\r\n".into(), Truncated),
        (root.clone(), Truncated),
        (format!("{root}--b1"), Truncated),
        (format!("{root}--b1-"), Truncated),
        (format!("{root}--b1 --\r\n"), Truncated),
        (format!("{root}{root}--b1--"), DuplicateContentId { part: 2, content_id: "r".into() }),
        (format!("{root}{}--b1--", part("Content-ID: <d>", &long)), PartTooLarge { part: 2, limit: 100 }),
        (format!("{root}{}", part("Content-ID <d>", "")), Head { part: 2, reason: "a line has no colon" }),
        (
            format!("{root}{}", part("Content-Transfer-Encoding: quoted-printable", "")),
            TransferEncoding { part: 2, encoding: "quoted-printable".into() },
        ),
        (
            format!("{root}{}", part("Content-Transfer-Encoding: base64", "Zm9*")),
            Base64 { part: 2, fault: Base64Fault::Character { at: 3, byte: b'*' } },
        ),
        (
            format!("{root}{}--b1--", part("Content-Transfer-Encoding: base64", "Zm9")),
            Base64 { part: 2, fault: Base64Fault::Truncated { at: 3 } },
        ),
        (format!("--b1\r\nX: {}", "y".repeat(9000)), HeadTooLarge { part: 1, limit: 8192 }),
        (part(&["X: y"; 17].join("\r\n"), ""), TooManyHeaderLines { part: 1, limit: 16 }),
        (part("X: y", "").repeat(5), TooManyParts { limit: 4 }),
        (format!("{}\r\n--b1\r\n", "p".repeat(9000)), Outside { limit: 8192 }),
        (format!("{root}--b1--\r\n{}", "p".repeat(9000)), Outside { limit: 8192 }),
        (format!("{root}--b1{}", " ".repeat(300)), DelimiterLine { limit: 256 }),
    ] {
        assert_eq!(split(&text).unwrap_err(), fault, "{text:?}");
    }
    let small = MtomLimits { total_bytes: 50, ..limits() };
    let fault = split_with(Splitter::new("b1", small.clone()), &[GOOD.as_bytes()]).unwrap_err();
    assert_eq!(fault, TooLarge { limit: 50 });
    for bad in ["", "b ", "b\r\n", &"b".repeat(71)] {
        assert_eq!(split_with(Splitter::new(bad, limits()), &[b"x"]), Err(Boundary));
        assert_eq!(split_with(Splitter::new(bad, limits()), &[]), Err(Boundary));
    }
}

#[test]
fn the_root_may_be_larger_than_a_document() {
    let text = format!("--b1\r\n\r\n{}\r\n--b1--", "x".repeat(1000));
    assert_eq!(split(&text).unwrap()[0].2.len(), 1000);
}

/// Cuts `bytes` at the given places.
fn pieces<'b>(bytes: &'b [u8], cuts: &[prop::sample::Index]) -> Vec<&'b [u8]> {
    let mut at: Vec<_> = cuts.iter().map(|c| c.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
    at.sort_unstable();
    at.windows(2).map(|w| &bytes[w[0]..w[1]]).collect()
}

#[test]
fn every_single_cut_and_every_chunk_size() {
    let whole = split(GOOD).unwrap();
    for at in 0..=GOOD.len() {
        let (a, b) = GOOD.as_bytes().split_at(at);
        assert_eq!(split_with(Splitter::new("b1", limits()), &[a, b]).unwrap(), whole, "cut at {at}");
    }
    for size in 1..GOOD.len() {
        let chunks: Vec<_> = GOOD.as_bytes().chunks(size).collect();
        assert_eq!(split_with(Splitter::new("b1", limits()), &chunks).unwrap(), whole, "chunks of {size}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Bodies of shreds of delimiters: whatever they mean, they mean it in every split.
    #[test]
    fn shreds_split_alike(
        shreds in prop::collection::vec(prop::sample::select(vec![
            "\r\n--b", "--b", "\r\n", "\r", "\n", "-", "--", " ", "\t", "x", "Content-ID: <a>\r\n", "Content-ID: <c>\r\n",
            "Content-Transfer-Encoding: base64\r\n", "Zm9v", "Zg==", "\r\n--b\r\n", "\r\n--b--", "\r\n\r\n",
        ]), 0..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let body = format!("--b\r\n{}", shreds.concat());
        let whole = split_with(Splitter::new("b", limits()), &[body.as_bytes()]);
        let cut = split_with(Splitter::new("b", limits()), &pieces(body.as_bytes(), &cuts));
        prop_assert_eq!(whole, cut);
    }

    /// Any octets survive as long as no line of theirs begins with the delimiter.
    #[test]
    fn octets_survive(
        content in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), any::<u8>()], 0..90),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut body = b"--boundary\r\nContent-ID: <a>\r\n\r\n".to_vec();
        body.extend_from_slice(&content);
        body.extend_from_slice(b"\r\n--boundary--\r\n");
        let parts = split_with(Splitter::new("boundary", limits()), &pieces(&body, &cuts)).unwrap();
        prop_assert_eq!(parts, vec![(Some("a".to_owned()), true, content)]);
    }
}
