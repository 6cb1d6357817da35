//! The grammar of one tag, of the XML declaration and of a reference (XML 1.0 2.8, 3.1, 4.1).
//!
//! The guard hands over a tag once its closing `>` is known, so these functions see it whole.
//! They accept no more than the tree's parser does: what passes here cannot be cut differently there.

use super::limits::{XmlFault, XmlLimits};
use std::ops::Range;

/// A start tag's outline; ranges count from the tag's `<`.
#[derive(Debug)]
pub(super) struct StartTag {
    pub name: Range<usize>,
    /// `<a/>`.
    pub empty: bool,
    pub declarations: Vec<Declaration>,
}

/// `xmlns="uri"` or `xmlns:prefix="uri"`.
#[derive(Debug)]
pub(super) struct Declaration {
    /// Empty for the default namespace.
    pub prefix: Range<usize>,
    /// Whether the URI is the one asked about.
    pub wanted: bool,
}

/// Reads a start tag from `<` to `>`, both included. `offset` is the tag's place in the message,
/// `wanted` the namespace URI to recognise in declarations.
pub(super) fn start_tag(
    tag: &[u8],
    offset: u64,
    limits: &XmlLimits,
    wanted: &str,
) -> Result<StartTag, XmlFault> {
    let mut cursor = Cursor { bytes: tag, at: 1, offset };
    let name = cursor.name(limits)?;
    let mut start = StartTag { name, empty: false, declarations: Vec::new() };
    let mut attributes = 0;
    loop {
        let spaced = cursor.spaces();
        match cursor.peek() {
            Some(b'>') => break,
            Some(b'/') => {
                cursor.at += 1;
                start.empty = true;
                break;
            }
            _ if !spaced => return Err(cursor.malformed("attributes are separated by white space")),
            _ => {}
        }
        let name = cursor.name(limits)?;
        let value = cursor.equals_value()?;
        let value_offset = offset + value.start as u64;
        if value.len() > limits.attribute_bytes {
            return Err(XmlFault::AttributeTooLong { limit: limits.attribute_bytes, offset: value_offset });
        }
        let name_bytes = cursor.slice(&name);
        let value_bytes = cursor.slice(&value);
        check_references(value_bytes, value_offset)?;
        if let Some(prefix) = declared_prefix(name_bytes, &name) {
            if start.declarations.len() == limits.namespaces {
                return Err(XmlFault::TooManyNamespaces { limit: limits.namespaces, offset });
            }
            // Namespaces in XML 1.0, 5: only XML 1.1 has that, and what is in no namespace would keep its prefix.
            if !prefix.is_empty() && value_bytes.is_empty() {
                let reason = "a namespace prefix is declared without a namespace";
                return Err(XmlFault::Malformed { offset: value_offset, reason });
            }
            start.declarations.push(Declaration { prefix, wanted: value_is(value_bytes, wanted) });
            continue;
        }
        attributes += 1;
        if attributes > limits.attributes {
            return Err(XmlFault::TooManyAttributes { limit: limits.attributes, offset });
        }
        if local_name(name_bytes) == b"href" && is_inline_href(value_bytes) {
            return Err(XmlFault::InlineHref { offset: value_offset });
        }
    }
    cursor.end()?;
    Ok(start)
}

/// Reads an end tag from `</` to `>`; gives the name's range.
pub(super) fn end_tag(tag: &[u8], offset: u64, limits: &XmlLimits) -> Result<Range<usize>, XmlFault> {
    let mut cursor = Cursor { bytes: tag, at: 2, offset };
    let name = cursor.name(limits)?;
    cursor.spaces();
    cursor.end()?;
    Ok(name)
}

/// Checks an XML declaration from `<?xml` to `?>`, both included (XML 1.0 2.8).
pub(super) fn declaration(text: &[u8], offset: u64, limits: &XmlLimits) -> Result<(), XmlFault> {
    let inside = text.strip_suffix(b"?>").unwrap_or(text);
    let mut cursor = Cursor { bytes: inside, at: "<?xml".len(), offset };
    let mut allowed: &[&[u8]] = &[b"version", b"encoding", b"standalone"];
    let mut first = true;
    while cursor.spaces() && cursor.peek().is_some() {
        let name = cursor.name(limits)?;
        let value = cursor.equals_value()?;
        let (name, value) = (cursor.slice(&name), cursor.slice(&value));
        let Some(place) = allowed.iter().position(|a| *a == name) else {
            return Err(
                cursor.malformed("the XML declaration has version, encoding, standalone, in this order")
            );
        };
        if first && name != b"version" {
            return Err(cursor.malformed("the XML declaration begins with version"));
        }
        first = false;
        allowed = allowed.get(place + 1..).unwrap_or_default();
        let declared = || String::from_utf8_lossy(value).into_owned();
        if name == b"version" && value != b"1.0" {
            return Err(XmlFault::Version { declared: declared() });
        }
        if name == b"encoding" && !value.eq_ignore_ascii_case(b"UTF-8") {
            return Err(XmlFault::Encoding { declared: declared() });
        }
    }
    match cursor.peek() {
        None if !first => Ok(()),
        _ => Err(cursor.malformed("the XML declaration is not complete")),
    }
}

/// The part of a name after the prefix.
pub(super) fn local_name(name: &[u8]) -> &[u8] {
    match memchr::memchr(b':', name) {
        Some(colon) => name.get(colon + 1..).unwrap_or_default(),
        None => name,
    }
}

/// The prefix of a name; empty without one.
pub(super) fn prefix(name: &[u8]) -> &[u8] {
    match memchr::memchr(b':', name) {
        Some(colon) => name.get(..colon).unwrap_or_default(),
        None => b"",
    }
}

/// The character a reference stands for; `inner` is what stands between `&` and `;`.
pub(super) fn resolve_reference(inner: &[u8]) -> Option<char> {
    let number = match inner {
        b"amp" => return Some('&'),
        b"lt" => return Some('<'),
        b"gt" => return Some('>'),
        b"apos" => return Some('\''),
        b"quot" => return Some('"'),
        [b'#', b'x', digits @ ..] if !digits.is_empty() => {
            digits.iter().try_fold(0u32, |n, d| n.checked_mul(16)?.checked_add((*d as char).to_digit(16)?))?
        }
        [b'#', digits @ ..] if !digits.is_empty() => {
            digits.iter().try_fold(0u32, |n, d| n.checked_mul(10)?.checked_add((*d as char).to_digit(10)?))?
        }
        _ => return None,
    };
    char::from_u32(number).filter(|c| is_xml_char(*c))
}

/// `Char` of XML 1.0 2.2.
fn is_xml_char(c: char) -> bool {
    !matches!(c, '\0'..='\x08' | '\x0B' | '\x0C' | '\x0E'..='\x1F' | '\u{FFFE}' | '\u{FFFF}')
}

pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// `xmlns` or `xmlns:p`: the range of the declared prefix.
fn declared_prefix(bytes: &[u8], range: &Range<usize>) -> Option<Range<usize>> {
    match bytes {
        b"xmlns" => Some(range.end..range.end),
        _ if bytes.starts_with(b"xmlns:") => Some(range.start + "xmlns:".len()..range.end),
        _ => None,
    }
}

fn check_references(value: &[u8], offset: u64) -> Result<(), XmlFault> {
    let mut rest = value;
    while let Some(at) = memchr::memchr(b'&', rest) {
        let offset = offset + (value.len() - rest.len() + at) as u64;
        let inner = rest.get(at + 1..).unwrap_or_default();
        let end = memchr::memchr(b';', inner).ok_or(XmlFault::Reference { offset })?;
        let (inner, tail) = inner.split_at(end);
        resolve_reference(inner).ok_or(XmlFault::Reference { offset })?;
        rest = tail;
    }
    Ok(())
}

/// The characters of a value whose references were checked.
fn characters(value: &[u8]) -> impl Iterator<Item = char> {
    let mut rest = value;
    std::iter::from_fn(move || {
        let (&byte, tail) = rest.split_first()?;
        rest = tail;
        if byte != b'&' {
            // Only ASCII is ever looked for; other bytes stand for "something else".
            return Some(if byte.is_ascii() { byte as char } else { char::REPLACEMENT_CHARACTER });
        }
        let end = memchr::memchr(b';', tail)?;
        rest = tail.get(end + 1..).unwrap_or_default();
        tail.get(..end).and_then(resolve_reference)
    })
}

fn value_is(value: &[u8], ascii: &str) -> bool {
    value == ascii.as_bytes()
        || (memchr::memchr(b'&', value).is_some() && characters(value).eq(ascii.chars()))
}

fn is_inline_href(value: &[u8]) -> bool {
    let mut start = characters(value).skip_while(|c| c.is_ascii_whitespace()).map(|c| c.to_ascii_lowercase());
    "inline:".chars().all(|c| start.next() == Some(c))
}

struct Cursor<'t> {
    bytes: &'t [u8],
    at: usize,
    /// Place of `bytes` in the message.
    offset: u64,
}

impl<'t> Cursor<'t> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn slice(&self, range: &Range<usize>) -> &'t [u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }

    fn malformed(&self, reason: &'static str) -> XmlFault {
        XmlFault::Malformed { offset: self.offset + self.at as u64, reason }
    }

    /// Skips white space; whether there was any.
    fn spaces(&mut self) -> bool {
        let from = self.at;
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
        self.at > from
    }

    /// A name in the loosest sense: the tree's parser knows which characters it may have.
    fn name(&mut self, limits: &XmlLimits) -> Result<Range<usize>, XmlFault> {
        let from = self.at;
        while self.peek().is_some_and(|b| {
            !is_space(b) && !matches!(b, b'<' | b'>' | b'/' | b'=' | b'"' | b'\'' | b'&' | b'?' | b'!')
        }) {
            self.at += 1;
        }
        if self.at == from {
            return Err(self.malformed("a name is expected"));
        }
        if self.at - from > limits.name_bytes {
            let offset = self.offset + from as u64;
            return Err(XmlFault::NameTooLong { limit: limits.name_bytes, offset });
        }
        Ok(from..self.at)
    }

    /// `= "value"`; the range is the value's inside.
    fn equals_value(&mut self) -> Result<Range<usize>, XmlFault> {
        self.spaces();
        if self.peek() != Some(b'=') {
            return Err(self.malformed("an attribute needs a value"));
        }
        self.at += 1;
        self.spaces();
        let quote = match self.peek() {
            Some(q @ (b'"' | b'\'')) => q,
            _ => return Err(self.malformed("an attribute value stands in quotes")),
        };
        let from = self.at + 1;
        let length = memchr::memchr(quote, self.bytes.get(from..).unwrap_or_default())
            .ok_or_else(|| self.malformed("an attribute value is not closed"))?;
        self.at = from + length + 1;
        Ok(from..from + length)
    }

    /// `>` and nothing more.
    fn end(&self) -> Result<(), XmlFault> {
        match self.bytes.get(self.at..) {
            Some(b">") => Ok(()),
            _ => Err(self.malformed("the tag does not end as a tag ends")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        for (inner, c) in [
            ("amp", Some('&')),
            ("lt", Some('<')),
            ("gt", Some('>')),
            ("apos", Some('\'')),
            ("quot", Some('"')),
            ("#65", Some('A')),
            ("#x8A3A", Some('診')),
            ("#x10FFFF", Some('\u{10FFFF}')),
            ("#13", Some('\r')),
            ("#0", None),
            ("#x1F", None),
            ("#xFFFE", None),
            ("#xD800", None),
            ("#x110000", None),
            ("#99999999999", None),
            ("#", None),
            ("#x", None),
            ("#X41", None),
            ("#+65", None),
            ("nbsp", None),
            ("", None),
        ] {
            assert_eq!(resolve_reference(inner.as_bytes()), c, "{inner}");
        }
    }

    #[test]
    fn declared_namespaces_are_compared_after_references() {
        let limits = XmlLimits::default();
        let tag = br#"<p:a xmlns="urn:x" xmlns:p = 'urn&#58;y' b='1' xmlns:q="urn:y " >"#;
        let start = start_tag(tag, 0, &limits, "urn:y").unwrap();
        assert_eq!(&tag[start.name], b"p:a");
        let found: Vec<_> = start.declarations.iter().map(|d| (&tag[d.prefix.clone()], d.wanted)).collect();
        assert_eq!(found, [(&b""[..], false), (b"p", true), (b"q", false)]);
    }

    #[test]
    fn a_prefix_has_a_namespace() {
        let limits = XmlLimits::default();
        let read = |tag: &[u8]| start_tag(tag, 0, &limits, "urn:y").map(|start| start.declarations.len());
        assert_eq!(read(br#"<a xmlns="">"#), Ok(1), "the default may have none");
        let Err(XmlFault::Malformed { offset, .. }) = read(br#"<p:a xmlns:p="">"#) else { panic!("taken") };
        assert_eq!(offset, 14);
    }

    #[test]
    fn xml_declarations() {
        let check = |text: &str| declaration(text.as_bytes(), 0, &XmlLimits::default());
        for good in [
            "<?xml version='1.0'?>",
            r#"<?xml version="1.0" encoding="utf-8" ?>"#,
            r#"<?xml version = "1.0" encoding="UTF-8" standalone="yes"?>"#,
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        assert!(matches!(check("<?xml version='1.1'?>"), Err(XmlFault::Version { .. })));
        for encoding in ["Shift_JIS", "UTF-16", "UTF-7", "ISO-8859-1", ""] {
            let text = format!("<?xml version='1.0' encoding='{encoding}'?>");
            assert_eq!(check(&text), Err(XmlFault::Encoding { declared: encoding.into() }));
        }
        for bad in [
            "<?xml?>",
            "<?xml encoding='UTF-8'?>",
            "<?xml version='1.0'encoding='UTF-8'?>",
            "<?xml version='1.0' version='1.0'?>",
            "<?xml version='1.0' standalone='no' encoding='UTF-8'?>",
            "<?xml version=1.0?>",
        ] {
            assert!(matches!(check(bad), Err(XmlFault::Malformed { .. })), "{bad}");
        }
    }
}
