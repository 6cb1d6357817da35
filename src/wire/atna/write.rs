//! `AuditMessage` as XML, in the order of the schema (DICOM PS3.15 A.5.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::audit::message::{AuditMessage, Coded, Object, Participant};
use crate::wire::xml::XmlWriter;

/// The message without a declaration of its encoding, which is UTF-8: what follows a syslog header needs none, and a
/// byte order mark is discouraged (RFC 5424 6.4).
pub fn write(message: &AuditMessage) -> String {
    let mut w = XmlWriter::with_capacity(2048);
    w.open("AuditMessage");
    event(&mut w, message);
    message.participants.iter().for_each(|p| participant(&mut w, p));
    w.open("AuditSourceIdentification");
    w.attr_opt("AuditEnterpriseSiteID", message.source.site.as_deref());
    w.attr("AuditSourceID", &message.source.id);
    for kind in &message.source.types {
        w.empty("AuditSourceTypeCode", &[("csd-code", kind)]);
    }
    w.close();
    message.objects.iter().for_each(|o| object(&mut w, o));
    w.finish()
}

/// UTC, to the millisecond.
fn instant(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros).map(|t| format!("{t:.3}")).unwrap_or_default()
}

fn coded(w: &mut XmlWriter<'_>, name: &'static str, code: &Coded) {
    w.empty(
        name,
        &[("csd-code", &code.code), ("codeSystemName", &code.system), ("originalText", &code.text)],
    );
}

fn event(w: &mut XmlWriter<'_>, message: &AuditMessage) {
    w.open("EventIdentification");
    w.attr_opt("EventActionCode", message.action.as_deref());
    w.attr("EventDateTime", &instant(message.at));
    w.attr("EventOutcomeIndicator", &message.outcome.to_string());
    coded(w, "EventID", &message.id);
    message.types.iter().for_each(|c| coded(w, "EventTypeCode", c));
    if let Some(text) = &message.description {
        w.leaf("EventOutcomeDescription", text);
    }
    message.purposes.iter().for_each(|c| coded(w, "PurposeOfUse", c));
    w.close();
}

fn participant(w: &mut XmlWriter<'_>, participant: &Participant) {
    w.open("ActiveParticipant");
    w.attr("UserID", &participant.user_id);
    w.attr_opt("AlternativeUserID", participant.alternative_user_id.as_deref());
    w.attr_opt("UserName", participant.user_name.as_deref());
    w.attr("UserIsRequestor", if participant.requestor { "true" } else { "false" });
    if let Some((point, kind)) = &participant.network {
        w.attr("NetworkAccessPointID", point);
        w.attr("NetworkAccessPointTypeCode", &kind.to_string());
    }
    participant.roles.iter().for_each(|c| coded(w, "RoleIDCode", c));
    w.close();
}

fn object(w: &mut XmlWriter<'_>, object: &Object) {
    w.open("ParticipantObjectIdentification");
    w.attr("ParticipantObjectID", &object.id);
    for (name, number) in [
        ("ParticipantObjectTypeCode", object.kind),
        ("ParticipantObjectTypeCodeRole", object.role),
        ("ParticipantObjectDataLifeCycle", object.lifecycle),
    ] {
        w.attr_opt(name, number.map(|n| n.to_string()).as_deref());
    }
    w.attr_opt("ParticipantObjectSensitivity", object.sensitivity.as_deref());
    coded(w, "ParticipantObjectIDTypeCode", &object.id_type);
    // One of the two (DICOM PS3.15 A.5.1).
    match (&object.query, &object.name) {
        (Some(query), _) => drop(w.leaf("ParticipantObjectQuery", &STANDARD.encode(query))),
        (None, Some(name)) => drop(w.leaf("ParticipantObjectName", name)),
        (None, None) => {}
    }
    for (name, value) in &object.details {
        w.empty("ParticipantObjectDetail", &[("type", name), ("value", &STANDARD.encode(value))]);
    }
    w.close();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::audit::message::Source;
    use crate::wire::atna::read;

    pub(crate) fn message() -> AuditMessage {
        let code = |n: &str| Coded::new(n, "DCM", format!("text of {n}"));
        AuditMessage {
            action: Some("E".into()),
            at: 1_700_000_000_123_000,
            outcome: 8,
            id: code("110112"),
            types: vec![code("ITI-18")],
            description: Some("a <b> & \"c\"".into()),
            purposes: vec![code("TREATMENT")],
            participants: vec![Participant {
                user_id: "u<1>".into(),
                alternative_user_id: Some("42".into()),
                user_name: Some("<dr@idp>".into()),
                requestor: true,
                network: Some(("10.0.0.1".into(), 2)),
                roles: vec![code("110153")],
            }],
            source: Source { id: "gw".into(), site: Some("1.2".into()), types: vec!["4".into()] },
            objects: vec![
                Object {
                    id: "1^^^&1.2&ISO".into(),
                    kind: Some(1),
                    role: Some(1),
                    lifecycle: Some(15),
                    sensitivity: Some("R".into()),
                    id_type: code("2"),
                    name: Some("試験".into()),
                    details: vec![("MSH-10".into(), b"M\x00\r1".to_vec())],
                    ..Object::default()
                },
                Object { query: Some(b"<q/>".to_vec()), id_type: code("9"), ..Object::default() },
            ],
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = write(&message());
        assert!(text.starts_with("<AuditMessage><EventIdentification EventActionCode=\"E\" EventDateTime=\"2023-11-14T22:13:20.123Z\" EventOutcomeIndicator=\"8\"><EventID csd-code="), "{text}");
        assert_eq!(read(text.as_bytes()).unwrap(), message());
    }

    #[test]
    fn nothing_in_a_value_leaves_it() {
        let mut hostile = message();
        hostile.participants[0].user_id = "\"/><ActiveParticipant UserID=\"x\r\n<85>1 \u{0}".into();
        let text = write(&hostile);
        assert!(!text.contains('\n') && !text.contains('\r') && !text.contains('\0'));
        let back = read(text.as_bytes()).unwrap();
        assert_eq!(back.participants.len(), 1);
        assert_eq!(back.participants[0].user_id, "\"/><ActiveParticipant UserID=\"x\r\n<85>1 \u{fffd}");
    }
}
