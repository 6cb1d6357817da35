//! A thin layer over roxmltree for readers: parse with limits, walk by expanded name.

use roxmltree::{Document, Node, ParsingOptions};
use std::borrow::Cow;

/// Nodes of a tree at most: the guard's elements, each with text before and after, and room for
/// comments.
pub const NODES_LIMIT: u32 = 1_000_000;

/// A message that is not well-formed, or larger than a tree may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the message is not well-formed XML at line {line}, column {column}: {reason}")]
pub struct TreeFault {
    /// Counted from 1, in the envelope as the guard gave it out.
    pub line: u32,
    /// Counted from 1, in characters.
    pub column: u32,
    pub reason: String,
}

/// Parses an envelope that passed the guard. A DTD is refused here too.
pub fn parse(text: &str) -> Result<Document<'_>, TreeFault> {
    parse_with(text, NODES_LIMIT)
}

/// As [`parse`], with a limit of one's own.
pub fn parse_with(text: &str, nodes_limit: u32) -> Result<Document<'_>, TreeFault> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|e| TreeFault {
        line: e.pos().row,
        column: e.pos().col,
        reason: e.to_string(),
    })
}

/// Whether `node` is the element `{ns}name`.
pub fn is(node: Node<'_, '_>, ns: &str, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name && node.tag_name().namespace().unwrap_or("") == ns
}

/// The first child element `{ns}name`.
pub fn child<'a, 'i>(node: Node<'a, 'i>, ns: &str, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|n| is(*n, ns, name))
}

/// The child elements `{ns}name`, in order.
pub fn children<'a, 'i>(
    node: Node<'a, 'i>,
    ns: &'a str,
    name: &'a str,
) -> impl Iterator<Item = Node<'a, 'i>> + 'a
where
    'i: 'a,
{
    node.children().filter(move |n| is(*n, ns, name))
}

/// All child elements, in order.
pub fn elements<'a, 'i>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(Node::is_element)
}

/// The attribute without namespace.
pub fn attr<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.attributes().find(|a| a.namespace().is_none() && a.name() == name).map(|a| a.value())
}

/// The attribute `{ns}name`.
pub fn attr_ns<'a>(node: Node<'a, '_>, ns: &str, name: &str) -> Option<&'a str> {
    node.attribute((ns, name))
}

/// The element's own character data: text and CDATA joined, comments left out, children not
/// entered. A reader of the first text node alone would be fooled by `a<!-- -->b`.
pub fn text_of<'a>(node: Node<'a, '_>) -> Cow<'a, str> {
    let mut texts = node.children().filter(Node::is_text).filter_map(|n| n.text());
    match (texts.next(), texts.next()) {
        (None, _) => Cow::Borrowed(""),
        (Some(only), None) => Cow::Borrowed(only),
        (Some(first), Some(second)) => {
            let mut joined = format!("{first}{second}");
            texts.for_each(|t| joined.push_str(t));
            Cow::Owned(joined)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const XML: &str = "<a xmlns='u:a' xmlns:b='u:b' x='1' b:x='2'><c>1</c><b:c>2</b:c>\
                       <c>p<!-- q --><![CDATA[<r>]]>s<d>t</d></c></a>";

    #[test]
    fn walks_by_expanded_name() {
        let doc = parse(XML).unwrap();
        let a = doc.root_element();
        assert!(is(a, "u:a", "a") && !is(a, "", "a"));
        assert_eq!(text_of(child(a, "u:b", "c").unwrap()), "2");
        assert_eq!(children(a, "u:a", "c").count(), 2);
        assert_eq!(elements(a).count(), 3);
        assert!(child(a, "u:a", "d").is_none());
        assert_eq!(attr(a, "x"), Some("1"));
        assert_eq!(attr_ns(a, "u:b", "x"), Some("2"));
        assert_eq!(attr(a, "y"), None);
    }

    #[test]
    fn text_is_joined_over_comments_and_cdata() {
        let doc = parse(XML).unwrap();
        let last = children(doc.root_element(), "u:a", "c").last().unwrap();
        assert_eq!(text_of(last), "p<r>s");
        assert_eq!(text_of(doc.root_element()), "");
    }

    #[test]
    fn faults_have_a_place() {
        let fault = parse("<a>\n  <b></a>").unwrap_err();
        assert_eq!((fault.line, fault.column), (2, 6));
        assert!(parse("<!DOCTYPE a><a/>").is_err());
        assert!(parse_with("<a><b/><b/></a>", 3).is_err());
        assert!(parse_with("<a><b/><b/></a>", 4).is_ok());
    }
}
