//! From CDA R2: HS008 診療情報提供書 and HS032 退院時サマリー (national-service.md §11); HL7 messages wrapped in a
//! CDA document (jahis-profile.md §3.1) are taken out and read as what they are.

mod composition;
mod document;
mod entries;
mod header;
mod narrative;
pub mod sections;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roxmltree::{Document, Node};

use super::said::{NotMade, NotMadeKey, Notes, Step};
use super::{Context, Kind, Made, v2};
use crate::wire::xml::tree;

const HL7: &str = "urn:hl7-org:v3";

/// Makes the Bundle of a document.
pub fn from_cda(bytes: &[u8], context: &Context<'_>) -> Result<Made, Box<NotMade>> {
    let text = text_of(bytes)?;
    let parsed = parse(text)?;
    let root = root(&parsed)?;
    if let Some(message) = wrapped(root)? {
        return v2::from_v2(&message, context);
    }
    let mut notes = Notes::default();
    match document::read(root, bytes, kind_of(root)?, context, &mut notes) {
        Ok(made) => {
            Ok(Made { unmapped: notes.unmapped, left_out: notes.left_out, warnings: notes.warnings, ..made })
        }
        Err(mut refused) => {
            refused.notes.append(notes);
            Err(refused)
        }
    }
}

/// The message a CDA document wraps, its bytes as they were stored.
pub fn unwrap(bytes: &[u8]) -> Result<Option<Vec<u8>>, Box<NotMade>> {
    let text = text_of(bytes)?;
    let parsed = parse(text)?;
    wrapped(root(&parsed)?)
}

fn text_of(bytes: &[u8]) -> Step<&str> {
    let unreadable = |_| NotMade::new(NotMadeKey::Unreadable, "/", "");
    let text = std::str::from_utf8(bytes).map_err(unreadable)?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

fn parse(text: &str) -> Step<Document<'_>> {
    tree::parse(text).map_err(|fault| {
        NotMade::new(NotMadeKey::Unreadable, format!("line {}, column {}", fault.line, fault.column), "")
    })
}

fn root<'a, 'i>(parsed: &'a Document<'i>) -> Step<Node<'a, 'i>> {
    let root = parsed.root_element();
    match tree::is(root, HL7, "ClinicalDocument") {
        true => Ok(root),
        false => Err(NotMade::new(NotMadeKey::UnknownSource, "/", root.tag_name().name())),
    }
}

/// `code`: JMIX and LOINC name the same documents.
fn kind_of(root: Node<'_, '_>) -> Step<Kind> {
    let code = attr(root, &["code"], "code").unwrap_or_default();
    match code.as_str() {
        "MD0020730" | "57133-1" => Ok(Kind::Referral),
        "18842-5" => Ok(Kind::Discharge),
        _ => Err(NotMade::new(NotMadeKey::UnknownSource, "/ClinicalDocument/code/@code", code)),
    }
}

/// `component/nonXMLBody/text` that is an HL7 message, whatever its mediaType says.
fn wrapped(root: Node<'_, '_>) -> Step<Option<Vec<u8>>> {
    let Some(text) = find(root, &["component", "nonXMLBody", "text"]) else { return Ok(None) };
    let written = tree::text_of(text);
    let bytes = match tree::attr(text, "representation") {
        Some("B64") => decoded(&written).ok_or_else(|| {
            NotMade::new(NotMadeKey::Unreadable, "/ClinicalDocument/component/nonXMLBody/text", "")
        })?,
        _ => written.into_owned().into_bytes(),
    };
    Ok(v2::is_message(&bytes).then_some(bytes))
}

/// Base64 with the white space documents put into it.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(compact).ok()
}

fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The first element along a path of HL7's own names.
fn find<'a, 'i>(node: Node<'a, 'i>, path: &[&str]) -> Option<Node<'a, 'i>> {
    path.iter().try_fold(node, |node, name| tree::child(node, HL7, name))
}

fn attr(node: Node<'_, '_>, path: &[&str], name: &str) -> Option<String> {
    let value = tree::attr(find(node, path)?, name)?.trim();
    Some(value.to_owned()).filter(|v| !v.is_empty())
}

/// All text below a node, as one line.
fn flat(node: Node<'_, '_>) -> String {
    let texts: Vec<&str> = node.descendants().filter(|n| n.is_text()).filter_map(|n| n.text()).collect();
    super::text::line(&texts.join(" "))
}
