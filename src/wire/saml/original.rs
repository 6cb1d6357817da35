//! An assertion cut out of its message so that it can stand in another: its bytes as they are, and on the element
//! itself every namespace that was in scope. Exclusive canonicalization does not see declarations that nothing uses,
//! so the signature goes on fitting (W3C REC-xml-exc-c14n-20020718, 1).

use roxmltree::Node;

use crate::model::namespace::NS_XML;
use crate::wire::xml::push_attr;

/// The text of `assertion`, complete by itself; `None` where the tree has lost its bytes.
pub fn original(assertion: Node<'_, '_>) -> Option<String> {
    let text = assertion.document().input_text().get(assertion.range())?;
    let inside = text.strip_prefix('<')?;
    let name = inside.find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>'))?;
    let (name, rest) = inside.split_at_checked(name)?;
    // The tag ends at the first '>' outside quotes.
    let mut quote = None;
    let end = rest.char_indices().find_map(|(at, c)| match (quote, c) {
        (None, '>') => Some(at),
        (None, '"' | '\'') => {
            quote = Some(c);
            None
        }
        (Some(open), c) if open == c => {
            quote = None;
            None
        }
        _ => None,
    })?;
    let tag = rest.get(..end)?;
    let mut out = String::with_capacity(text.len() + 256);
    out.push('<');
    out.push_str(name);
    for namespace in assertion.namespaces().filter(|n| n.uri() != NS_XML) {
        let prefix = namespace.name();
        if declares(tag, prefix) {
            continue;
        }
        match prefix {
            Some(prefix) => {
                out.push_str(" xmlns:");
                out.push_str(prefix);
            }
            None => out.push_str(" xmlns"),
        }
        out.push_str("=\"");
        push_attr(&mut out, namespace.uri());
        out.push('"');
    }
    out.push_str(rest);
    Some(out)
}

/// Whether a tag, its name cut off, declares this prefix itself.
fn declares(tag: &str, prefix: Option<&str>) -> bool {
    let wanted = prefix.map_or_else(|| "xmlns".to_owned(), |prefix| format!("xmlns:{prefix}"));
    let mut rest = tag;
    loop {
        rest = rest.trim_start();
        let Some((name, after)) = rest.split_once('=') else { return false };
        if name.trim_end() == wanted {
            return true;
        }
        let after = after.trim_start();
        let Some(quote) = after.chars().next().filter(|c| matches!(c, '"' | '\'')) else { return false };
        let Some((_, behind)) = after[1..].split_once(quote) else { return false };
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::saml::{NS_SAML, locate, read, take_apart};
    use crate::wire::xml::tree;

    #[test]
    fn what_is_cut_out_is_signed_as_before() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/security/saml/saml-");
        for file in ["valid-rsa", "valid-p256", "valid-p384", "valid-multi-aud"] {
            let xml = std::fs::read_to_string(format!("{corpus}{file}.xml")).unwrap();
            let doc = tree::parse(&xml).unwrap();
            let located = locate(doc.root_element()).unwrap().unwrap();
            let before = (take_apart(located).unwrap(), read(located.assertion).unwrap());
            let cut = original(located.assertion).unwrap();
            let alone = tree::parse(&cut).unwrap();
            assert!(tree::is(alone.root_element(), NS_SAML, "Assertion"), "{file}");
            let envelope = "<e:Envelope xmlns:e='http://www.w3.org/2003/05/soap-envelope' xmlns='urn:q' \
                            xmlns:ds='urn:x'><e:Header/><e:Body/></e:Envelope>";
            let envelope = crate::wire::saml::secured(
                &envelope
                    .replace("<e:Header/>", "<e:Header></e:Header>")
                    .replace("e:", "soap:")
                    .replace("xmlns:e=", "xmlns:soap="),
                &cut,
            );
            let doc = tree::parse(&envelope).unwrap();
            let located = locate(doc.root_element()).unwrap().unwrap();
            assert_eq!((take_apart(located).unwrap(), read(located.assertion).unwrap()), before, "{file}");
        }
    }

    #[test]
    fn declarations_are_told_from_what_looks_like_them() {
        assert!(declares(" a='xmlns:b=\"x\"' xmlns:c = 'y'", Some("c")));
        assert!(!declares(" a='xmlns:b=\"x\"' xmlns:c='y'", Some("b")));
        assert!(declares(" xmlns='u'", None) && !declares(" xmlns:x='u'", None));
        let xml = "<o xmlns='urn:d' xmlns:p='urn:p&amp;q'><p:a x='>' xmlns:r='urn:r'><b/></p:a></o>";
        let doc = tree::parse(xml).unwrap();
        let cut = original(doc.root_element().first_element_child().unwrap()).unwrap();
        let again = tree::parse(&cut).unwrap();
        assert_eq!(again.root_element().tag_name().namespace(), Some("urn:p&q"));
        assert_eq!(again.root_element().first_element_child().unwrap().tag_name().namespace(), Some("urn:d"));
    }
}
