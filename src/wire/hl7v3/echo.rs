//! `queryByParameter` copied into its answer (ITI TF-2 3.45.4.2.2, 3.47.4.2.2): every parameter in the order of the
//! schema, whatever order it came in, under the answer's own namespace declarations.

use roxmltree::Node;

use super::children;
use super::datatypes::NS_XSI;
use super::shape::Shape;
use crate::model::namespace::NS_HL7V3;
use crate::wire::xml::tree;
use crate::wire::xml::write::{push_attr, push_text};

/// Levels of a parameter's value copied; the schema has three.
const DEPTH: usize = 16;

/// The text of a copy, for [`XmlWriter::raw`](crate::wire::xml::XmlWriter::raw) below an element whose default
/// namespace is HL7's. `shapes`: of the query, of its parameters and their values.
pub fn copy(query: Node<'_, '_>, query_shape: Shape, parameters: Shape, criteria: Shape) -> String {
    let mut out = String::with_capacity(query.range().len() + 64);
    out.push_str("<queryByParameter>");
    for child in ordered(query, query_shape) {
        let inner = match child.tag_name().name() {
            "parameterList" => parameters,
            "matchCriterionList" => criteria,
            _ => {
                element(&mut out, child, 0);
                continue;
            }
        };
        let name = child.tag_name().name();
        out.push('<');
        out.push_str(name);
        out.push('>');
        for parameter in ordered(child, inner) {
            match parameter.tag_name().name() {
                "id" => element(&mut out, parameter, 0),
                _ => with_semantics(&mut out, parameter),
            }
        }
        out.push_str("</");
        out.push_str(name);
        out.push('>');
    }
    out.push_str("</queryByParameter>");
    out
}

/// The children that a shape knows, in its order.
fn ordered<'a, 'i: 'a>(node: Node<'a, 'i>, shape: Shape) -> impl Iterator<Item = Node<'a, 'i>> + 'a {
    shape.iter().flat_map(move |(name, ..)| children(node, name))
}

/// A parameter: its values, then `semanticsText`, which the schema demands.
fn with_semantics(out: &mut String, parameter: Node<'_, '_>) {
    let name = parameter.tag_name().name();
    out.push('<');
    out.push_str(name);
    out.push('>');
    for value in children(parameter, "value") {
        element(out, value, 0);
    }
    let said = children(parameter, "semanticsText").next();
    let text = said.map(|s| tree::text_of(s).into_owned()).filter(|t| !t.is_empty());
    out.push_str("<semanticsText>");
    push_text(out, text.as_deref().unwrap_or(name));
    out.push_str("</semanticsText></");
    out.push_str(name);
    out.push('>');
}

/// An element and what is in it, as far as it is HL7's.
fn element(out: &mut String, node: Node<'_, '_>, depth: usize) {
    if node.tag_name().namespace() != Some(NS_HL7V3) || depth > DEPTH {
        return;
    }
    let name = node.tag_name().name();
    out.push('<');
    out.push_str(name);
    for attribute in node.attributes().filter(|a| a.namespace().is_none()) {
        out.push(' ');
        out.push_str(attribute.name());
        out.push_str("=\"");
        push_attr(out, attribute.value());
        out.push('"');
    }
    if let Some(said) = tree::attr_ns(node, NS_XSI, "type") {
        let local = said.trim().rsplit(':').next().unwrap_or_default();
        out.push_str(" xmlns:xsi=\"");
        out.push_str(NS_XSI);
        out.push_str("\" xsi:type=\"");
        push_attr(out, local);
        out.push('"');
    }
    out.push('>');
    for child in node.children() {
        if let Some(text) = child.text().filter(|_| child.is_text()) {
            push_text(out, text);
        } else if child.is_element() {
            element(out, child, depth + 1);
        }
    }
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}
