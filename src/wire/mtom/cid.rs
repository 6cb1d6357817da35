//! From `xop:Include/@href` to the part it means (RFC 2392; XOP 3).
//!
//! Senders differ in what they escape: some percent-encode only the URL, as RFC 2392 asks, some the
//! header as well. So the decoded id is tried first, then the id as written.

use std::borrow::Cow;

/// What an `href` points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference<'h> {
    /// A document the guard (`wire::xml::guard`) took out of the envelope, by its number.
    Inline(usize),
    /// A part of the multipart message.
    Cid(Cid<'h>),
}

/// The id of a `cid:` URL, in both readings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cid<'h> {
    /// Percent-decoded; `None` if the escapes are not escapes.
    decoded: Option<Cow<'h, str>>,
    raw: &'h str,
}

/// Why an `href` is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HrefFault {
    /// Following it would be request forgery: only parts of the message itself are documents.
    #[error("the Include's href {href:?} is not a cid: URL")]
    Scheme { href: String },
    #[error("the Include's href names no part")]
    Empty,
    #[error("the Include's href {href:?} contains a control character")]
    Control { href: String },
}

impl<'h> Reference<'h> {
    /// Reads an `href` as the tree gives it out.
    pub fn parse(href: &'h str) -> Result<Self, HrefFault> {
        let href = href.trim_matches([' ', '\t', '\r', '\n']);
        let clipped = || href.chars().take(200).collect();
        let (scheme, rest) = href.split_once(':').ok_or_else(|| HrefFault::Scheme { href: clipped() })?;
        if scheme == "inline"
            && let Ok(number) = rest.parse()
        {
            return Ok(Self::Inline(number));
        }
        if !scheme.eq_ignore_ascii_case("cid") {
            return Err(HrefFault::Scheme { href: clipped() });
        }
        let decoded = percent_decode(rest);
        if rest.is_empty() {
            return Err(HrefFault::Empty);
        }
        if rest.chars().chain(decoded.iter().flat_map(|d| d.chars())).any(char::is_control) {
            return Err(HrefFault::Control { href: clipped() });
        }
        Ok(Self::Cid(Cid { decoded, raw: rest }))
    }
}

impl<'h> Cid<'h> {
    /// The id for messages to people.
    pub fn as_str(&self) -> &str {
        self.decoded.as_deref().unwrap_or(self.raw)
    }

    /// Asks `find` for the decoded Content-ID, then for the one as written.
    pub fn resolve<T>(&self, mut find: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let decoded = self.decoded.as_deref().and_then(&mut find);
        match decoded {
            Some(found) => Some(found),
            None if self.decoded.as_deref() != Some(self.raw) => find(self.raw),
            None => None,
        }
    }
}

/// The `href` for a Content-ID of ours, given without `<>`.
pub fn href(content_id: &str) -> String {
    let mut out = String::with_capacity(content_id.len() + 4);
    out.push_str("cid:");
    for byte in content_id.bytes() {
        match byte {
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'-'
            | b'.'
            | b'_'
            | b'~'
            | b'@'
            | b'!'
            | b'$'
            | b'*'
            | b'\''
            | b'('
            | b')'
            | b','
            | b'=' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn percent_decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut octets = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            octets.push(byte);
            continue;
        }
        let mut digit = || (bytes.next()? as char).to_digit(16);
        octets.push((digit()? << 4 | digit()?) as u8);
    }
    String::from_utf8(octets).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn find(href: &str, ids: &[&str]) -> Option<String> {
        match Reference::parse(href).unwrap() {
            Reference::Cid(cid) => cid.resolve(|id| ids.iter().find(|i| **i == id).map(|i| i.to_string())),
            Reference::Inline(_) => None,
        }
    }

    #[test]
    fn decoded_first_then_as_written() {
        assert_eq!(find("cid:doc1@gw", &["root@gw", "doc1@gw"]).as_deref(), Some("doc1@gw"));
        assert_eq!(find(" CID:a%40b\n", &["a@b", "a%40b"]).as_deref(), Some("a@b"));
        assert_eq!(find("cid:a%40b", &["a%40b"]).as_deref(), Some("a%40b"));
        assert_eq!(find("cid:100%", &["100%"]).as_deref(), Some("100%"));
        assert_eq!(find("cid:%FF", &["%FF"]).as_deref(), Some("%FF"));
        assert_eq!(find("cid:a+b", &["a b"]), None, "plus is plus in a cid");
        assert_eq!(find("cid:A@gw", &["a@gw"]), None, "ids differ by case");
    }

    #[test]
    fn inline_numbers() {
        assert_eq!(Reference::parse("inline:3"), Ok(Reference::Inline(3)));
        assert!(matches!(Reference::parse("inline:x"), Err(HrefFault::Scheme { .. })));
    }

    #[test]
    fn other_schemes_are_refused() {
        for bad in ["http://a/b", "file:///etc/passwd", "doc1", "", "mid:1", "#a"] {
            assert!(matches!(Reference::parse(bad), Err(HrefFault::Scheme { .. })), "{bad}");
        }
        assert_eq!(Reference::parse("cid:"), Err(HrefFault::Empty));
        assert!(matches!(Reference::parse("cid:a%00b"), Err(HrefFault::Control { .. })));
        assert!(matches!(Reference::parse("cid:a\u{7}"), Err(HrefFault::Control { .. })));
    }

    proptest! {
        #[test]
        fn our_hrefs_lead_back(id in "[^\\p{Cc} ][^\\p{Cc}]{0,30}") {
            prop_assert_eq!(find(&href(&id), &[&id]), Some(id));
        }
    }
}
