use super::*;
use crate::wire::base64::Base64Fault;
use proptest::prelude::*;

/// Envelope and documents in short.
type Seen = (String, Vec<Vec<u8>>);

fn read(limits: XmlLimits, pieces: &[&[u8]]) -> Result<Seen, XmlFault> {
    let (mut guard, mut events) = (Guard::new(limits), Vec::new());
    for piece in pieces {
        guard.push(piece, &mut events)?;
    }
    let envelope = guard.finish()?;
    let (mut documents, mut open) = (Vec::<Vec<u8>>::new(), false);
    for event in events {
        match event {
            GuardEvent::InlineStart(n) => {
                assert!(!open && n == documents.len());
                open = true;
                documents.push(Vec::new());
            }
            GuardEvent::InlineData(data) => {
                assert!(open && !data.is_empty());
                documents.last_mut().unwrap().extend_from_slice(&data);
            }
            GuardEvent::InlineEnd => open = false,
        }
    }
    assert!(!open);
    Ok((envelope, documents))
}

fn small() -> XmlLimits {
    XmlLimits {
        envelope_bytes: 2000,
        depth: 5,
        elements: 20,
        attributes: 3,
        namespaces: 2,
        namespaces_in_scope: 5,
        name_bytes: 12,
        attribute_bytes: 60,
        text_bytes: 50,
        document_bytes: 40,
    }
}

fn guard(text: &str) -> Result<Seen, XmlFault> {
    read(small(), &[text.as_bytes()])
}

/// A request with one Document of this content.
fn with_document(content: &str) -> String {
    format!("<P xmlns=\"urn:ihe:iti:xds-b:2007\"><Document id=\"D\">{content}</Document></P>")
}

const INCLUDE: &str = r#"<xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="inline:0"/>"#;

#[test]
fn harmless_messages_pass_unchanged() {
    for text in [
        "<a/>",
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<!-- c --><a b='>' c=\"'\">x&amp;&#x8A3A;診療<b/>\n</a >\n<!---->",
        "<a><![CDATA[<!DOCTYPE a> ]] ]]]><b/>]]></a>".replace("]]]><b/>]]>", "]]]>").as_str(),
        "<a><!-- <Document xmlns='urn:ihe:iti:xds-b:2007'>*</Document> --></a>",
        "<Document>*</Document>",
        "<Document xmlns='urn:ihe:iti:xds-b:2006'>*</Document>",
        "<a xmlns='urn:ihe:iti:xds-b:2007'><Document xmlns=''>*</Document></a>",
        "<a xmlns:x='urn:ihe:iti:xds-b:2007'><Document>*</Document></a>",
        "<a><b xmlns='urn:ihe:iti:xds-b:2007'/><Document>*</Document></a>",
    ] {
        assert_eq!(guard(text).unwrap(), (text.to_owned(), vec![]), "{text}");
        crate::wire::xml::tree::parse(text).unwrap();
    }
    assert_eq!(guard("\u{FEFF}<a/>").unwrap().0, "<a/>");
}

#[test]
fn inline_base64_is_taken_out() {
    for content in [
        "Zm9vYmE=",
        " \r\n\tZm9v\r\nYm E=\n",
        "<![CDATA[Zm9vYmE=]]>",
        " <![CDATA[ Zm9v]]>YmE=",
        "Zm9v&#13;\n&#xA;YmE=",
        "&#x5A;m9vYmE=",
        "Zm9v<!-- half -->YmE=",
    ] {
        let (envelope, documents) = guard(&with_document(content)).unwrap();
        assert_eq!(documents, [b"fooba"], "{content}");
        assert!(envelope.contains(INCLUDE), "{envelope}");
        assert!(!envelope.contains("Zm9") && !envelope.contains("CDATA"), "{envelope}");
        crate::wire::xml::tree::parse(&envelope).unwrap();
    }
    let (envelope, _) = guard(&with_document("Zm9v")).unwrap();
    assert_eq!(envelope, with_document(INCLUDE));
}

#[test]
fn documents_are_numbered_and_prefixes_resolved() {
    let text = "<p:P xmlns:p='urn:ihe:iti:xds-b:&#50;007'><p:Document>Zg==</p:Document><p:Document/>\
                <Document xmlns='urn:ihe:iti:xds-b:2007'>Zm8=</Document></p:P>";
    let (envelope, documents) = guard(text).unwrap();
    assert_eq!(documents, [&b"f"[..], b"fo"]);
    assert!(envelope.contains("inline:0") && envelope.contains("inline:1"));
}

#[test]
fn documents_without_text_stay_as_they_are() {
    for content in ["", " \n ", "<x:Include xmlns:x='u' href='cid:a'/>", "\n<I/> \n", "<!-- x -->"] {
        let text = with_document(content);
        assert_eq!(guard(&text).unwrap(), (text, vec![]));
    }
    let (envelope, documents) = guard(&with_document("<![CDATA[ ]]>&#32;")).unwrap();
    assert_eq!((envelope, documents), (with_document("  "), vec![]));
}

#[test]
fn an_inline_document_may_exceed_text_and_envelope() {
    let limits = XmlLimits { document_bytes: 1 << 20, ..small() };
    let text = with_document(&"QUJD\r\n".repeat(10_000));
    assert_eq!(read(limits, &[text.as_bytes()]).unwrap().1[0].len(), 30_000);
}

#[test]
fn each_limit_is_enforced() {
    use XmlFault::*;
    let attributes = |n: usize| (0..n).map(|i| format!(" a{i}=''")).collect::<String>();
    let namespaces = |n: usize| (0..n).map(|i| format!(" xmlns:n{i}='u'")).collect::<String>();
    let x = |n: usize| "x".repeat(n);
    for (good, bad, fault) in [
        (
            "<a><b><c><d><e/></d></c></b></a>".into(),
            "<a><b><c><d><e><f/>".into(),
            TooDeep { limit: 5, offset: 15 },
        ),
        (
            format!("<a>{}</a>", "<b/>".repeat(19)),
            format!("<a>{}</a>", "<b/>".repeat(20)),
            TooManyElements { limit: 20, offset: 79 },
        ),
        (
            format!("<a{}/>", attributes(3)),
            format!("<a{}/>", attributes(4)),
            TooManyAttributes { limit: 3, offset: 0 },
        ),
        (
            format!("<a{}/>", namespaces(2)),
            format!("<a{}/>", namespaces(3)),
            TooManyNamespaces { limit: 2, offset: 0 },
        ),
        (
            format!("<a{0}><b{0}/><b{0}><c{1}/></b></a>", namespaces(2), namespaces(1)),
            format!("<a{0}><b{0}><c{0}/></b></a>", namespaces(2)),
            TooManyNamespacesInScope { limit: 5, offset: 58 },
        ),
        (format!("<{}/>", x(12)), format!("<{}/>", x(13)), NameTooLong { limit: 12, offset: 1 }),
        (format!("<a {}=''/>", x(12)), format!("<a {}=''/>", x(13)), NameTooLong { limit: 12, offset: 3 }),
        (
            format!("<a b='{}'/>", x(60)),
            format!("<a b='{}'/>", x(61)),
            AttributeTooLong { limit: 60, offset: 6 },
        ),
        (format!("<a>{}</a>", x(50)), format!("<a>{}</a>", x(51)), TextTooLong { limit: 50, offset: 53 }),
        (
            format!("<a>{0}<b/>{0}</a>", x(50)),
            format!("<a>{}<!-- --><![CDATA[{}]]>&lt;</a>", x(20), x(30)),
            TextTooLong { limit: 50, offset: 73 },
        ),
        (
            with_document(&"QUJD".repeat(13)),
            with_document(&"QUJD".repeat(14)),
            DocumentTooLarge { limit: 40, offset: 34 },
        ),
        (
            format!("<a><!--{}--></a>", x(1986)),
            format!("<a><!--{}--></a>", x(1987)),
            EnvelopeTooLarge { limit: 2000 },
        ),
    ] {
        assert!(guard(&good).is_ok(), "{good}: {:?}", guard(&good));
        assert_eq!(guard(&bad), Err(fault), "{bad}");
    }
}

#[test]
fn forbidden_constructs() {
    use XmlFault::*;
    for (text, fault) in [
        ("<!DOCTYPE a><a/>", Doctype { offset: 0 }),
        ("<?xml version='1.0'?>\n<!doctype a>", Doctype { offset: 22 }),
        ("<a><!D", Doctype { offset: 3 }),
        ("<?xml-stylesheet href='x'?><a/>", ProcessingInstruction { offset: 0 }),
        ("<?php ?><a/>", ProcessingInstruction { offset: 0 }),
        (" <?xml version='1.0'?><a/>", ProcessingInstruction { offset: 1 }),
        ("<a><?x?></a>", ProcessingInstruction { offset: 3 }),
        ("<a/><?x?>", ProcessingInstruction { offset: 4 }),
        ("<?xml version='1.0' encoding='Shift_JIS'?><a/>", Encoding { declared: "Shift_JIS".into() }),
        ("<?xml version='1.1'?><a/>", Version { declared: "1.1".into() }),
        ("<a>&nbsp;</a>", Reference { offset: 3 }),
        ("<a b='x&e;'/>", Reference { offset: 7 }),
        ("<a b='&amp'/>", Reference { offset: 6 }),
        ("<a>&#0;</a>", Reference { offset: 3 }),
        ("<a>&#xFFFF;</a>", Reference { offset: 3 }),
        ("<a>&#00000000000000000000065;</a>", Reference { offset: 3 }),
        ("<a>& b</a>", Reference { offset: 3 }),
        ("&#32;<a/>", Reference { offset: 0 }),
        ("<a>\0</a>", Nul { offset: 3 }),
        ("<a href='inline:0'/>", InlineHref { offset: 9 }),
        ("<a x:href=' &#x49;NLINE:0'/>", InlineHref { offset: 11 }),
    ] {
        assert_eq!(guard(text), Err(fault), "{text}");
    }
    let bytes = |b: &[u8]| read(small(), &[b]);
    assert_eq!(bytes(b"\xFF\xFE<\0a\0"), Err(Utf16));
    assert_eq!(bytes(b"\xFE\xFF\0<\0a"), Err(Utf16));
    assert_eq!(bytes(b"<\0a\0/\0>\0"), Err(Nul { offset: 1 }));
    assert_eq!(bytes(b"<a>\xC0\x80</a>"), Err(InvalidUtf8 { offset: 3 }));
    assert_eq!(bytes(b"<a>\xE8\xA8</a>"), Err(InvalidUtf8 { offset: 3 }));
    assert_eq!(bytes(b"<a>\xED\xA0\x80</a>"), Err(InvalidUtf8 { offset: 3 }));
    assert_eq!(bytes(b"<a/>\xE8\xA8"), Err(InvalidUtf8 { offset: 4 }));
}

#[test]
fn malformed_and_unfinished() {
    for text in [
        "{\"json\": 1}",
        "x<a/>",
        "<a/>x",
        "<a/><b/>",
        "<a></b>",
        "</a>",
        "<a><b></a></b>",
        "<a b></a>",
        "<a b=c/>",
        "<a b='1'c='2'/>",
        "<a b='<'/>",
        "<a / >",
        "<a></a b>",
        "< a/>",
        "<>",
        "<a><!x></a>",
        "<a><![CDAT[x]]></a>",
        "<![CDATA[ ]]><a/>",
        "<a<b/>",
        "<?xml version='1.0'>",
        "<?xml encoding='UTF-8'?><a/>",
        "\u{FEFF}\u{FEFF}<a/>",
    ] {
        let text = match text {
            "<?xml version='1.0'>" => format!("{text}{}", " ".repeat(300)),
            _ => text.to_owned(),
        };
        assert!(matches!(guard(&text), Err(XmlFault::Malformed { .. })), "{text}: {:?}", guard(&text));
    }
    for text in [
        "",
        "  ",
        "<",
        "<a",
        "<a b='",
        "<a>",
        "<a><b/>",
        "<a>&am",
        "<!--",
        "<a><![CDATA[]]",
        "</",
        "<?xm",
        "<!",
    ] {
        assert!(matches!(guard(text), Err(XmlFault::Unfinished { .. })), "{text}: {:?}", guard(text));
    }
}

#[test]
fn bad_documents() {
    use XmlFault::*;
    let at = 50;
    for (content, fault) in [
        ("Zm9v<I/>", MixedDocument { offset: 34 }),
        ("<I/>Zm9v", MixedDocument { offset: 34 }),
        ("<I/><![CDATA[Zm9v]]>", MixedDocument { offset: 34 }),
        ("<I/>&#65;", MixedDocument { offset: 34 }),
        ("<Document/>", NestedDocument { offset: at + 1 }),
        ("<I><Document/></I>", NestedDocument { offset: at + 4 }),
    ] {
        assert_eq!(guard(&with_document(content)), Err(fault), "{content}");
    }
    for (content, offset) in [("Zm9*", 3), ("\n\nZm\n9*", 6), ("Zm<!-- -->9*", 11), ("Zm&#13;9&#42;", 8)] {
        let found = guard(&with_document(content)).unwrap_err();
        let Base64 { document: 34, offset: found, fault: Base64Fault::Character { byte: b'*', .. } } = found
        else {
            panic!("{content}: {found:?}")
        };
        assert_eq!(found, at + 1 + offset, "{content}");
    }
    let Err(Base64 { offset, fault: Base64Fault::Truncated { .. }, .. }) = guard(&with_document("Zm9"))
    else {
        panic!("not truncated")
    };
    assert_eq!(offset, at + 4);
}

#[test]
fn the_defaults_are_those_of_the_reference() {
    let limits = XmlLimits::default();
    assert_eq!((limits.envelope_bytes, limits.depth, limits.elements), (4_194_304, 64, 200_000));
    let text = format!("<a{}/>", (0..60_000).map(|i| format!(" a{i}='1'")).collect::<String>());
    assert!(matches!(read(limits, &[text.as_bytes()]), Err(XmlFault::TooManyAttributes { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// Shreds of markup in any split: same envelope, same documents, same fault; and what the guard
    /// lets pass holds no inline document the tree would still see as text.
    #[test]
    fn shreds_read_alike(
        shreds in prop::collection::vec(prop::sample::select(vec![
            "<Document>", "</Document>", "<Document id='x'>", "<Document/>", "<a>", "</a>", "<a b=\"'>\"/>", "<![CDATA[",
            "]]>", "]", "<!--", "-->", "-", ">", "<", "&#10;", "&amp;", "&", ";", "Zm9v", "Zg==", " ", "\r\n", "診", "=",
            "<a xmlns=''>", "<p:Document xmlns:p='urn:ihe:iti:xds-b:2007'>", "</p:Document>", "'", "\"", "?", "!",
        ]), 0..20),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let text = format!("<r xmlns='urn:ihe:iti:xds-b:2007'>{}</r>", shreds.concat());
        let bytes = text.as_bytes();
        let mut at: Vec<_> = cuts.iter().map(|c| c.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
        at.sort_unstable();
        let pieces: Vec<_> = at.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
        let limits = XmlLimits { document_bytes: 6, text_bytes: 30, ..XmlLimits::default() };
        let whole = read(limits.clone(), &[bytes]);
        prop_assert_eq!(&whole, &read(limits, &pieces));
        if let Ok((envelope, _)) = whole
            && let Ok(doc) = crate::wire::xml::tree::parse(&envelope)
        {
            for document in doc.descendants().filter(|n| crate::wire::xml::tree::is(*n, XDSB, "Document")) {
                let text = crate::wire::xml::tree::text_of(document);
                prop_assert_eq!(text.trim(), "");
            }
        }
    }
}
