//! Resources in XML (FHIR R4 2.6.1): the same values as in JSON, by the table of [`elements`](super::elements).

use roxmltree::Node;
use serde_json::{Map, Value};

use super::elements::{Element, Is, find};
use super::outcome::{Issue, IssueCode};
use crate::model::error::clip;
use crate::wire::xml::guard::Guard;
use crate::wire::xml::{XmlLimits, XmlWriter, tree};

const NS: &str = "http://hl7.org/fhir";

/// A resource is small: what is more is no patient.
const ELEMENTS: usize = 20_000;
const DEPTH: usize = 32;

/// Reads a resource. What the table does not know is left out, as readers do not look at it in JSON either.
pub fn read(bytes: &[u8]) -> Result<Value, Issue> {
    let wrong = |text: String| Issue::error(IssueCode::Structure, text);
    let limits =
        XmlLimits { envelope_bytes: bytes.len(), depth: DEPTH, elements: ELEMENTS, ..XmlLimits::default() };
    let mut guard = Guard::new(limits);
    let bounded = guard.push(bytes, &mut vec![]).and_then(|()| guard.finish());
    // Of the fault its place is told, not its words: they may quote the content.
    let text =
        bounded.map_err(|_| wrong("the content is not XML, or XML that FHIR does not allow".into()))?;
    let doc = tree::parse(&text)
        .map_err(|e| wrong(format!("the content is not XML (line {}, column {})", e.line, e.column)))?;
    resource(doc.root_element())
}

fn resource(node: Node<'_, '_>) -> Result<Value, Issue> {
    let name = node.tag_name().name();
    if node.tag_name().namespace() != Some(NS) {
        let text = format!("'{}' is not of the namespace {NS}", clip(name));
        return Err(Issue::error(IssueCode::Structure, text));
    }
    let elements = find(name).map(|(_, elements)| elements).unwrap_or_default();
    let mut out = object(node, elements, name)?;
    // A resource that is not known is named, for its reader to refuse.
    out.insert("resourceType".into(), name.into());
    Ok(Value::Object(out))
}

fn object(node: Node<'_, '_>, elements: &[Element], at: &str) -> Result<Map<String, Value>, Issue> {
    let mut out = Map::new();
    for element in elements.iter().filter(|e| e.is == Is::Attribute) {
        if let Some(value) = tree::attr(node, element.name) {
            out.insert(element.name.to_owned(), value.into());
        }
    }
    for child in tree::elements(node).filter(|c| c.tag_name().namespace() == Some(NS)) {
        let name = child.tag_name().name();
        let Some(element) = elements.iter().find(|e| e.name == name && e.is != Is::Attribute) else {
            continue;
        };
        let at = format!("{at}.{name}");
        let Some(value) = value(child, element.is, &at)? else { continue };
        match (element.repeats, out.get_mut(name)) {
            (true, Some(Value::Array(list))) => list.push(value),
            (true, _) => {
                out.insert(name.to_owned(), Value::Array(vec![value]));
            }
            (false, None) => {
                out.insert(name.to_owned(), value);
            }
            (false, Some(_)) => {
                return Err(Issue::error(IssueCode::Structure, "the element stands twice").at(at));
            }
        }
    }
    Ok(out)
}

/// The value of an element; none where it holds nothing but extensions.
fn value(node: Node<'_, '_>, is: Is, at: &str) -> Result<Option<Value>, Issue> {
    let said = tree::attr(node, "value");
    Ok(match is {
        Is::Of(name) => {
            let elements = find(name).map(|(_, elements)| elements).unwrap_or_default();
            Some(Value::Object(object(node, elements, at)?))
        }
        Is::Resource => tree::elements(node).next().map(resource).transpose()?,
        // What is no boolean and no number stays a string, for the reader to refuse.
        Is::Flag => said.map(|text| match text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            other => other.into(),
        }),
        Is::Number => said.map(|text| match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(whole), _) => whole.into(),
            (_, Ok(number)) => number.into(),
            _ => text.into(),
        }),
        Is::Text | Is::Attribute => said.map(Value::from),
    })
}

/// Writes a resource.
pub fn write(resource: &Value) -> String {
    let mut w = XmlWriter::new();
    write_resource(&mut w, resource, true);
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", w.finish())
}

fn write_resource(w: &mut XmlWriter<'static>, resource: &Value, root: bool) {
    let name = resource.get("resourceType").and_then(Value::as_str).unwrap_or_default();
    let Some((name, elements)) = find(name) else { return };
    w.open(name);
    if root {
        w.attr("xmlns", NS);
    }
    write_elements(w, resource, elements);
    w.close();
}

fn write_elements(w: &mut XmlWriter<'static>, of: &Value, elements: &'static [Element]) {
    for element in elements {
        let values = match of.get(element.name) {
            None | Some(Value::Null) => continue,
            Some(Value::Array(list)) => list.as_slice(),
            Some(one) => std::slice::from_ref(one),
        };
        for value in values {
            match element.is {
                Is::Attribute => {
                    w.attr(element.name, &plain(value));
                }
                Is::Of(name) => {
                    let elements = find(name).map(|(_, elements)| elements).unwrap_or_default();
                    w.open(element.name);
                    write_elements(w, value, elements);
                    w.close();
                }
                Is::Resource => {
                    w.open(element.name);
                    write_resource(w, value, false);
                    w.close();
                }
                Is::Text | Is::Flag | Is::Number => {
                    w.open(element.name);
                    w.attr("value", &plain(value));
                    w.close();
                }
            }
        }
    }
}

/// A primitive as an attribute has it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
