//! Messages of our own making: feeds and questions as a client sends them, and ITI-10 to consumers
//! (ITI TF-2 3.8, 3.9, 3.10, 3.21).

use super::charset::{CharacterSet, Encoded, Label, encode};
use super::escape::escaped;
use super::message::Delimiters;
use super::pid;
use super::types::{Identifier, components, repetitions, write_cx};
use crate::model::identity::Demographics;

const D: Delimiters = Delimiters::STANDARD;

/// Application and facility.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Party {
    pub application: String,
    pub facility: String,
}

/// What every message of ours begins with.
#[derive(Debug, Clone)]
pub struct Envelope<'a> {
    /// MSH-3 and MSH-4.
    pub from: &'a Party,
    /// MSH-5 and MSH-6.
    pub to: &'a Party,
    /// MSH-7, and EVN-2.
    pub time: &'a str,
    pub control_id: &'a str,
    /// `P`, `T` or `D`.
    pub processing: &'a str,
    /// The character set, and how it is written.
    pub label: &'a Label,
}

impl Envelope<'_> {
    fn write(&self, kind: &[&str], segments: &[String]) -> Encoded {
        let text = |s: &str| escaped(s, D);
        let mut fields = vec![
            "MSH".to_owned(),
            D.encoding_characters(),
            text(&self.from.application),
            text(&self.from.facility),
            text(&self.to.application),
            text(&self.to.facility),
            self.time.to_owned(),
            String::new(),
            components(kind, D),
            text(self.control_id),
            self.processing.to_owned(),
            "2.5".to_owned(),
        ];
        if self.label.set != CharacterSet::Ascii {
            fields.resize(17, String::new());
            fields.extend([self.label.msh_18.clone(), String::new(), self.label.msh_20.clone()]);
        }
        while fields.last().is_some_and(String::is_empty) {
            fields.pop();
        }
        let mut message = fields.join("|");
        for segment in segments {
            message.push('\r');
            message.push_str(segment);
        }
        message.push('\r');
        encode(&message, self.label.set)
    }
}

/// Trigger events a feed of ours can have, and their structures in 2.5.
pub const EVENTS: &[(&str, &str)] = &[
    ("A01", "ADT_A01"),
    ("A04", "ADT_A01"),
    ("A05", "ADT_A05"),
    ("A08", "ADT_A01"),
    ("A28", "ADT_A05"),
    ("A31", "ADT_A05"),
    ("A40", "ADT_A39"),
    ("A47", "ADT_A30"),
    ("A24", "ADT_A24"),
    ("A37", "ADT_A37"),
];

/// A feed. `other` is the prior id of A40 and A47, the second of A24 and A37.
pub fn feed(
    envelope: &Envelope<'_>,
    event: &str,
    ids: &[Identifier],
    other: Option<&Identifier>,
    of: &Demographics,
) -> Encoded {
    let structure = EVENTS.iter().find(|(known, _)| *known == event).map(|(_, s)| *s).unwrap_or_default();
    let mut segments = vec![format!("EVN||{}", envelope.time), pid::write(1, ids, of, D)];
    let other = other.map(|id| write_cx(id, D)).unwrap_or_default();
    match event {
        "A40" | "A47" => segments.push(format!("MRG|{other}")),
        "A24" | "A37" => segments.push(format!("PID|2||{other}")),
        "A01" => segments.push("PV1|1|I".into()),
        "A04" | "A05" => segments.push("PV1|1|O".into()),
        _ => segments.push("PV1|1|N".into()),
    }
    segments.extend(pid::write_insurances(of, 8, D));
    envelope.write(&["ADT", event, structure], &segments)
}

/// ITI-9. `wanted`: namespaces or OIDs.
pub fn pix(envelope: &Envelope<'_>, tag: &str, id: &Identifier, wanted: &[Identifier]) -> Encoded {
    let wanted = repetitions(wanted.iter().map(domain), D);
    let qpd = format!("QPD|IHE PIX Query|{}|{}|{wanted}", escaped(tag, D), write_cx(id, D));
    let segments = [qpd.trim_end_matches('|').to_owned(), "RCP|I".to_owned()];
    envelope.write(&["QBP", "Q23", "QBP_Q21"], &segments)
}

/// ITI-21. `parameters`: `@PID.5.1.1` and its value.
pub fn demographics(
    envelope: &Envelope<'_>,
    tag: &str,
    parameters: &[(String, String)],
    wanted: &[Identifier],
    size: Option<u64>,
    pointer: Option<&str>,
) -> Encoded {
    let parameters = repetitions(parameters.iter().map(|(name, value)| components(&[name, value], D)), D);
    let wanted = repetitions(wanted.iter().map(domain), D);
    let qpd = format!("QPD|IHE PDQ Query|{}|{parameters}|||||{wanted}", escaped(tag, D));
    let rcp = size.map_or("RCP|I".to_owned(), |size| format!("RCP|I|{size}^RD"));
    let mut segments = vec![qpd.trim_end_matches('|').to_owned(), rcp];
    segments.extend(pointer.map(|pointer| format!("DSC|{}|I", escaped(pointer, D))));
    envelope.write(&["QBP", "Q22", "QBP_Q21"], &segments)
}

/// QCN^J01.
pub fn cancel(envelope: &Envelope<'_>, tag: &str) -> Encoded {
    let qid = format!("QID|{}|IHE PDQ Query", escaped(tag, D));
    envelope.write(&["QCN", "J01", "QCN_J01"], &[qid])
}

/// ITI-10: ADT^A31 with all ids of one person; PID-5 is one blank (ITI TF-2 3.10.4.1.2.3).
pub fn notification(envelope: &Envelope<'_>, ids: &[Identifier]) -> Encoded {
    let ids = repetitions(ids.iter().map(|id| write_cx(id, D)), D);
    let segments = [format!("EVN||{}", envelope.time), format!("PID|||{ids}|| "), "PV1||N".to_owned()];
    envelope.write(&["ADT", "A31", "ADT_A05"], &segments)
}

/// A CX of which only the authority counts.
fn domain(of: &Identifier) -> String {
    let text = |part: &str| escaped(part, D);
    match (of.namespace.as_str(), of.oid.as_str()) {
        (namespace, "") => format!("^^^{}", text(namespace)),
        (namespace, oid) => format!("^^^{}&{}&ISO", text(namespace), text(oid)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::{Body, Settings, read};
    use super::*;
    use crate::model::identity::{Feed, NameScript, PersonName};

    fn id(value: &str) -> Identifier {
        Identifier { value: value.into(), namespace: "N".into(), oid: "1.2.3".into() }
    }

    fn envelope<'a>(party: &'a Party, label: &'a Label) -> Envelope<'a> {
        Envelope { from: party, to: party, time: "20250401", control_id: "1", processing: "P", label }
    }

    #[test]
    fn every_feed_of_ours_is_one_we_take() {
        let party = Party { application: "HIS".into(), facility: "山本病院".into() };
        let name = PersonName {
            family: "山本".into(),
            given: "美咲".into(),
            script: Some(NameScript::Ideographic),
            ..PersonName::default()
        };
        let of = Demographics { names: Some(vec![name]), sex: Some("F".into()), ..Demographics::default() };
        for label in [Label::japanese(), Label::utf8()] {
            for (event, _) in EVENTS {
                let bytes = feed(&envelope(&party, &label), event, &[id("1")], Some(&id("2")), &of).bytes;
                let request = read(&bytes, &Settings::default()).unwrap();
                let Body::Feed(message) = request.body else { panic!("{event}") };
                assert_eq!(message.source.facility, "山本病院");
                match (*event, message.feed) {
                    ("A40", Feed::Merge { surviving, subsumed }) => {
                        assert_eq!((surviving[0].value.as_str(), subsumed[0].value.as_str()), ("1", "2"));
                    }
                    ("A47", Feed::Rename { from, to }) => {
                        assert_eq!((from.value, to.value), ("2".into(), "1".into()))
                    }
                    ("A24", Feed::Link { other, .. }) | ("A37", Feed::Unlink { other, .. }) => {
                        assert_eq!(other.value, "2");
                    }
                    (_, Feed::Upsert { sent, .. }) => {
                        let mut known = Demographics::default();
                        sent.over(&mut known);
                        known.updated = None;
                        assert!(known == of, "{event}");
                    }
                    _ => panic!("{event}"),
                }
            }
        }
    }

    #[test]
    fn questions_of_ours_are_read() {
        let (party, label) = (Party::default(), Label::ASCII);
        let e = envelope(&party, &label);
        let asked = read(&pix(&e, "T", &id("5"), &[id("")]).bytes, &Settings::default()).unwrap();
        assert!(matches!(asked.body, Body::Pix(_, query) if query.wanted.len() == 1));
        let parameters = [("@PID.5.1.1".to_owned(), "A".to_owned())];
        let asked = demographics(&e, "T", &parameters, &[id("")], Some(5), Some("p")).bytes;
        let Body::Demographics(_, query, page) = read(&asked, &Settings::default()).unwrap().body else {
            panic!()
        };
        assert_eq!((query.family.len(), query.returned.len(), page.size), (1, 1, Some(5)));
        let asked = read(&cancel(&e, "T").bytes, &Settings::default()).unwrap();
        assert!(matches!(asked.body, Body::Cancel(tag) if tag == "T"));
    }

    #[test]
    fn a_notification_has_a_blank_for_a_name() {
        let (party, label) = (Party::default(), Label::ASCII);
        let bytes = notification(&envelope(&party, &label), &[id("1"), id("2")]).bytes;
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "MSH|^~\\&|||||20250401||ADT^A31^ADT_A05|1|P|2.5\rEVN||20250401\r\
             PID|||1^^^N&1.2.3&ISO^PI~2^^^N&1.2.3&ISO^PI|| \rPV1||N\r"
        );
    }
}
