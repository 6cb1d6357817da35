//! Audit messages of others. What is stored is what came; this reading is for finding it again, so it is lenient in
//! what DICOM changed over the years (`code` for `csd-code`, RFC 3881) and strict in what may harm: limits, no DTD.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use roxmltree::Node;

use crate::model::audit::message::{AuditMessage, Coded, Object, Participant, Source};
use crate::wire::xml::guard::Guard;
use crate::wire::xml::{XmlLimits, tree};

/// Why a message cannot be read. Its words say nothing of the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("no XML within the limits, or with a DTD")]
    Xml,
    #[error("the element is not AuditMessage")]
    NoAuditMessage,
    #[error("EventIdentification, its EventID or EventDateTime is missing")]
    NoEvent,
}

const ELEMENTS: usize = 10_000;
const DEPTH: usize = 16;
const BOM: &[u8] = b"\xef\xbb\xbf";
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads a message; a byte order mark before it is let pass (security.md 2.5).
pub fn read(bytes: &[u8]) -> Result<AuditMessage, Unreadable> {
    let bytes = bytes.strip_prefix(BOM).unwrap_or(bytes).trim_ascii();
    let limits = XmlLimits {
        envelope_bytes: bytes.len(),
        depth: DEPTH,
        elements: ELEMENTS,
        attribute_bytes: 1 << 20,
        ..XmlLimits::default()
    };
    let mut guard = Guard::new(limits);
    let text = guard.push(bytes, &mut vec![]).and_then(|()| guard.finish()).map_err(|_| Unreadable::Xml)?;
    let doc = tree::parse(&text).map_err(|_| Unreadable::Xml)?;
    let root = doc.root_element();
    if root.tag_name().name() != "AuditMessage" {
        return Err(Unreadable::NoAuditMessage);
    }
    let event = first(root, "EventIdentification").ok_or(Unreadable::NoEvent)?;
    let at = tree::attr(event, "EventDateTime").and_then(instant).ok_or(Unreadable::NoEvent)?;
    let source = first(root, "AuditSourceIdentification");
    Ok(AuditMessage {
        action: attr(event, "EventActionCode"),
        at,
        outcome: number(event, "EventOutcomeIndicator").unwrap_or_default(),
        id: first(event, "EventID").map(coded).ok_or(Unreadable::NoEvent)?,
        types: every(event, "EventTypeCode").map(coded).collect(),
        description: first(event, "EventOutcomeDescription").map(|n| tree::text_of(n).into_owned()),
        purposes: every(event, "PurposeOfUse").map(coded).collect(),
        participants: every(root, "ActiveParticipant").map(participant).collect(),
        source: source.map(of_source).unwrap_or_default(),
        objects: every(root, "ParticipantObjectIdentification").map(object).collect(),
    })
}

fn every<'a, 'i>(node: Node<'a, 'i>, name: &'a str) -> impl Iterator<Item = Node<'a, 'i>> + 'a
where
    'i: 'a,
{
    node.children().filter(move |n| n.is_element() && n.tag_name().name() == name)
}

fn first<'a, 'i>(node: Node<'a, 'i>, name: &'a str) -> Option<Node<'a, 'i>> {
    node.children().find(|n| n.is_element() && n.tag_name().name() == name)
}

fn attr(node: Node<'_, '_>, name: &str) -> Option<String> {
    tree::attr(node, name).map(str::to_owned)
}

fn number(node: Node<'_, '_>, name: &str) -> Option<u8> {
    tree::attr(node, name)?.trim().parse().ok()
}

/// `xs:dateTime`; without a zone it is taken for UTC.
fn instant(text: &str) -> Option<i64> {
    let text = text.trim();
    let zoned = text.parse::<jiff::Timestamp>().ok();
    let plain = || text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    zoned.or_else(|| plain().map(|z| z.timestamp())).map(jiff::Timestamp::as_microsecond)
}

fn coded(node: Node<'_, '_>) -> Coded {
    let either = |a: &str, b: &str| attr(node, a).or_else(|| attr(node, b)).unwrap_or_default();
    Coded {
        code: either("csd-code", "code"),
        system: either("codeSystemName", "codeSystem"),
        text: either("originalText", "displayName"),
    }
}

fn participant(node: Node<'_, '_>) -> Participant {
    let point = attr(node, "NetworkAccessPointID");
    Participant {
        user_id: attr(node, "UserID").unwrap_or_default(),
        alternative_user_id: attr(node, "AlternativeUserID"),
        user_name: attr(node, "UserName"),
        requestor: matches!(tree::attr(node, "UserIsRequestor"), Some("true" | "1")),
        network: point.map(|id| (id, number(node, "NetworkAccessPointTypeCode").unwrap_or(1))),
        roles: every(node, "RoleIDCode").map(coded).collect(),
    }
}

fn of_source(node: Node<'_, '_>) -> Source {
    let of_type = |n| attr(n, "csd-code").or_else(|| attr(n, "code"));
    // RFC 3881 and early DICOM have the type as an attribute, or as bare `code`.
    let typed = attr(node, "code").into_iter();
    Source {
        id: attr(node, "AuditSourceID").unwrap_or_default(),
        site: attr(node, "AuditEnterpriseSiteID"),
        types: typed.chain(every(node, "AuditSourceTypeCode").filter_map(of_type)).collect(),
    }
}

fn object(node: Node<'_, '_>) -> Object {
    let decoded = |text: &str| BASE64.decode(text.split_whitespace().collect::<String>()).ok();
    let detail = |n: Node<'_, '_>| {
        let value = tree::attr(n, "value").unwrap_or_default();
        // Some write the text itself.
        let value = decoded(value).unwrap_or_else(|| value.as_bytes().to_vec());
        (attr(n, "type").unwrap_or_default(), value)
    };
    Object {
        id: attr(node, "ParticipantObjectID").unwrap_or_default(),
        kind: number(node, "ParticipantObjectTypeCode"),
        role: number(node, "ParticipantObjectTypeCodeRole"),
        lifecycle: number(node, "ParticipantObjectDataLifeCycle"),
        sensitivity: attr(node, "ParticipantObjectSensitivity"),
        id_type: first(node, "ParticipantObjectIDTypeCode").map(coded).unwrap_or_default(),
        name: first(node, "ParticipantObjectName").map(|n| tree::text_of(n).into_owned()),
        query: first(node, "ParticipantObjectQuery").and_then(|n| decoded(&tree::text_of(n))),
        details: every(node, "ParticipantObjectDetail").map(detail).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "<AuditMessage><EventIdentification EventActionCode='E' EventDateTime='2026-06-15T12:00:00+09:00' \
        EventOutcomeIndicator='0'><EventID code='110100' codeSystemName='DCM' displayName='Application Activity'/>\
        </EventIdentification><ActiveParticipant UserID='gw' UserIsRequestor='false'/>\
        <AuditSourceIdentification AuditSourceID='gw'/></AuditMessage>";

    #[test]
    fn older_spellings_are_read() {
        let m = read(GOOD.as_bytes()).unwrap();
        assert_eq!((m.id.code.as_str(), m.id.text.as_str()), ("110100", "Application Activity"));
        assert_eq!(jiff::Timestamp::from_microsecond(m.at).unwrap().to_string(), "2026-06-15T03:00:00Z");
        let with_bom = [BOM, b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>", GOOD.as_bytes()].concat();
        assert_eq!(read(&with_bom), Ok(m));
        let zoneless = GOOD.replace("+09:00", "");
        assert!(read(zoneless.as_bytes()).is_ok());
    }

    #[test]
    fn what_may_harm_or_says_nothing_is_not_read() {
        let dtd = format!("<!DOCTYPE AuditMessage [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>{GOOD}");
        assert_eq!(read(dtd.as_bytes()), Err(Unreadable::Xml));
        assert_eq!(read(b"<a"), Err(Unreadable::Xml));
        assert_eq!(read(b""), Err(Unreadable::Xml));
        assert_eq!(read(b"\xff"), Err(Unreadable::Xml));
        assert_eq!(read(b"<AuditMessages/>"), Err(Unreadable::NoAuditMessage));
        assert_eq!(read(b"<AuditMessage/>"), Err(Unreadable::NoEvent));
        let timeless = GOOD.replace("2026-06-15", "yesterday");
        assert_eq!(read(timeless.as_bytes()), Err(Unreadable::NoEvent));
    }
}
