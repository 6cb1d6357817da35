//! Exclusive XML Canonicalization 1.0 without comments (W3C REC-xml-exc-c14n-20020718) of one element, as
//! signatures are made over it.

use std::fmt::Write as _;

use roxmltree::Node;

use crate::model::namespace::NS_XML;

/// The canonical form of `node` with all it holds but `without`. `inclusive`: the prefixes of an
/// `InclusiveNamespaces/@PrefixList`, `#default` for the default namespace.
pub fn exclusive(node: Node<'_, '_>, without: Option<Node<'_, '_>>, inclusive: &[&str]) -> String {
    let mut c = Canonical { out: String::new(), rendered: vec![], without, inclusive };
    c.element(node);
    c.out
}

struct Canonical<'a, 'i, 'p> {
    out: String,
    /// Namespace declarations in force in what is written: prefix, URI; the innermost last.
    rendered: Vec<(&'a str, &'a str)>,
    without: Option<Node<'a, 'i>>,
    inclusive: &'p [&'p str],
}

/// The qualified name of an element, which the tree keeps only as it stands in the text.
fn qualified<'a>(node: Node<'a, '_>) -> &'a str {
    let text = node.document().input_text().get(node.range()).unwrap_or_default();
    let name = text.strip_prefix('<').unwrap_or_default();
    let end = name.find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>')).unwrap_or(name.len());
    name.get(..end).unwrap_or_default()
}

fn prefix(qualified: &str) -> &str {
    qualified.split_once(':').map_or("", |(prefix, _)| prefix)
}

impl<'a> Canonical<'a, '_, '_> {
    fn element(&mut self, node: Node<'a, '_>) {
        let name = qualified(node);
        let outer = self.rendered.len();
        let input = node.document().input_text();
        let mut attributes: Vec<_> = node
            .attributes()
            .map(|a| {
                let qname = input.get(a.range_qname()).unwrap_or_default();
                (a.namespace().unwrap_or_default(), a.name(), qname, a.value())
            })
            .collect();
        attributes.sort_unstable();
        // Only what is visibly used has its namespace declared.
        let mut used = vec![prefix(name)];
        used.extend(
            attributes.iter().filter(|(ns, ..)| !ns.is_empty() && *ns != NS_XML).map(|a| prefix(a.2)),
        );
        for listed in self.inclusive {
            let listed = if *listed == "#default" { "" } else { listed };
            if let Some(known) = node.namespaces().find(|n| n.name().unwrap_or_default() == listed) {
                used.push(known.name().unwrap_or_default());
            }
        }
        used.sort_unstable();
        used.dedup();
        self.out.push('<');
        self.out.push_str(name);
        for prefix in used.into_iter().filter(|p| *p != "xml") {
            self.declare(node, prefix);
        }
        for (_, _, qname, value) in attributes {
            let _ = write!(self.out, " {qname}=\"");
            self.escape(value, true);
            self.out.push('"');
        }
        self.out.push('>');
        for child in node.children() {
            if self.without == Some(child) {
                continue;
            }
            if child.is_element() {
                self.element(child);
            } else if child.is_text() {
                self.escape(child.text().unwrap_or_default(), false);
            } else if let Some(pi) = child.pi() {
                let _ = match pi.value {
                    Some(value) => write!(self.out, "<?{} {value}?>", pi.target),
                    None => write!(self.out, "<?{}?>", pi.target),
                };
            }
        }
        let _ = write!(self.out, "</{name}>");
        self.rendered.truncate(outer);
    }

    fn declare(&mut self, node: Node<'a, '_>, prefix: &'a str) {
        let named = if prefix.is_empty() { None } else { Some(prefix) };
        let uri = node.lookup_namespace_uri(named).unwrap_or_default();
        let before = self.rendered.iter().rev().find(|(p, _)| *p == prefix).map_or("", |(_, uri)| uri);
        if before == uri {
            return;
        }
        match prefix {
            "" => self.out.push_str(" xmlns=\""),
            prefix => {
                let _ = write!(self.out, " xmlns:{prefix}=\"");
            }
        }
        self.escape(uri, true);
        self.out.push('"');
        self.rendered.push((prefix, uri));
    }

    fn escape(&mut self, text: &str, in_attribute: bool) {
        let mut from = 0;
        for (at, byte) in text.bytes().enumerate() {
            let reference = match (byte, in_attribute) {
                (b'&', _) => "&amp;",
                (b'<', _) => "&lt;",
                (b'\r', _) => "&#xD;",
                (b'>', false) => "&gt;",
                (b'"', true) => "&quot;",
                (b'\t', true) => "&#x9;",
                (b'\n', true) => "&#xA;",
                _ => continue,
            };
            self.out.push_str(text.get(from..at).unwrap_or_default());
            self.out.push_str(reference);
            from = at + 1;
        }
        self.out.push_str(text.get(from..).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::xml::tree;

    fn whole(xml: &str) -> String {
        exclusive(tree::parse(xml).unwrap().root_element(), None, &[])
    }

    #[test]
    fn only_namespaces_in_use_are_declared() {
        // W3C REC-xml-exc-c14n, 2.2: the same element out of two contexts.
        for outer in [
            r#"<n0:local xmlns:n0="foo:bar" xmlns:n3="ftp://example.org">X</n0:local>"#,
            r#"<n2:pdu xmlns:n1="http://example.com" xmlns:n2="http://foo.example" xmlns:n4="http://foo.example">X</n2:pdu>"#,
        ] {
            let inner = r#"<n1:elem2 xmlns:n1="http://example.net" xml:lang="en"><n3:stuff xmlns:n3="ftp://example.org"/></n1:elem2>"#;
            let xml = outer.replace('X', inner);
            let doc = tree::parse(&xml).unwrap();
            let node = doc.descendants().find(|n| n.tag_name().name() == "elem2").unwrap();
            assert_eq!(
                exclusive(node, None, &[]),
                r#"<n1:elem2 xmlns:n1="http://example.net" xml:lang="en"><n3:stuff xmlns:n3="ftp://example.org"></n3:stuff></n1:elem2>"#
            );
        }
    }

    #[test]
    fn attributes_are_sorted_by_namespace_and_name() {
        assert_eq!(
            whole(r#"<e xmlns:b="urn:a" xmlns:a="urn:b" a:x="3" b:x="2" z='1' y = "0"/>"#),
            r#"<e xmlns:a="urn:b" xmlns:b="urn:a" y="0" z="1" b:x="2" a:x="3"></e>"#
        );
    }

    #[test]
    fn text_and_values_are_escaped_as_the_form_wants() {
        assert_eq!(
            whole("<e a=\"&lt;&gt;&quot;'&#9;&#10;&#13;&amp;\">&lt;&gt;\"&#13;\n<![CDATA[<&]]>髙</e>"),
            "<e a=\"&lt;>&quot;'&#x9;&#xA;&#xD;&amp;\">&lt;&gt;\"&#xD;\n&lt;&amp;髙</e>"
        );
    }

    #[test]
    fn comments_go_and_instructions_stay() {
        assert_eq!(whole("<e><!-- a -->b<?p  q?><?r?></e>"), "<e>b<?p q?><?r?></e>");
    }

    #[test]
    fn a_default_namespace_is_taken_back_where_nothing_is_left_of_it() {
        assert_eq!(
            whole(r#"<a xmlns="urn:a"><b xmlns=""><c/></b><d/></a>"#),
            r#"<a xmlns="urn:a"><b xmlns=""><c></c></b><d></d></a>"#
        );
        assert_eq!(
            whole(r#"<p:a xmlns:p="urn:p"><b xmlns=""/></p:a>"#),
            r#"<p:a xmlns:p="urn:p"><b></b></p:a>"#
        );
    }

    #[test]
    fn a_child_is_left_out_and_listed_prefixes_are_kept() {
        let xml = r#"<o xmlns:x="urn:x" xmlns="urn:d"><p:a xmlns:p="urn:p"><s/>t<p:b/></p:a></o>"#;
        let doc = tree::parse(xml).unwrap();
        let node = doc.root_element().first_element_child().unwrap();
        let without = node.first_element_child();
        assert_eq!(
            exclusive(node, without, &["x", "#default", "nowhere"]),
            r#"<p:a xmlns="urn:d" xmlns:p="urn:p" xmlns:x="urn:x">t<p:b></p:b></p:a>"#
        );
    }
}
