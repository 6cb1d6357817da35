use super::appc::{read, write};
use crate::model::consent::record::{Consent, Effect, Rule};

fn rule(effect: Effect, source: &str, viewer: &str, data: &str, purpose: Option<&str>) -> Rule {
    Rule {
        source: source.parse().unwrap(),
        viewer: viewer.parse().unwrap(),
        data: data.parse().unwrap(),
        purpose: purpose.map(str::to_owned),
        ..Rule::new(effect)
    }
}

fn consent() -> Consent {
    Consent {
        id: "01a204df-9d9c-75dc-b182-a01389ea6912".into(),
        policy: "1.2.392.9.1".into(),
        rules: vec![
            rule(Effect::Permit, "*", "facility:1.2.3", "*", None),
            rule(Effect::Deny, "facility:1.2.4", "*", "typeCode=1|1.2", None),
            rule(Effect::Deny, "*", "role:1.2.392.100495.1.6.1.1|General Nurse", "*", Some("1.5|TREAT")),
            rule(Effect::Deny, "*", "community:urn:oid:2.999.7", "*", None),
            rule(Effect::Deny, "*", "person:yamada@idp", "eventCodeList=x|1.9", None),
        ],
        ..Consent::default()
    }
}

const PATIENT: &str = "1001^^^&2.999.3&ISO";

#[test]
fn what_is_written_is_read() {
    let consent = consent();
    let text = write(&consent, PATIENT).unwrap();
    let read = read(&text).unwrap();
    assert_eq!(read.rules, consent.rules, "{text}");
    assert_eq!((read.patient.as_deref(), read.policy.as_deref()), (Some(PATIENT), Some("1.2.392.9.1")));
}

#[test]
fn what_cannot_be_said_is_refused_and_not_dropped() {
    let text = write(&consent(), PATIENT).unwrap();
    for (from, to) in [
        ("deny-overrides", "first-applicable"),
        ("II-equal", "II-regexp"),
        ("document-entry:type-code", "document-entry:title"),
        ("<Rule RuleId", "<Obligations/><Rule RuleId"),
        ("Effect=\"Deny\"", "Effect=\"Indeterminate\""),
        ("hl7:CodedValue code", "hl7:CodedValue kode"),
        ("<PolicySetIdReference>", "<PolicySetIdReference>x</PolicySetIdReference><PolicySetIdReference>"),
    ] {
        assert!(text.contains(from), "{from}");
        assert!(read(&text.replacen(from, to, 1)).is_err(), "{from} → {to}");
    }
    for unsaid in [
        rule(Effect::Deny, "group:x", "*", "*", None),
        rule(Effect::Deny, "*", "members", "*", None),
        rule(Effect::Deny, "*", "*", "@x", None),
        Rule { valid_to: Some(jiff::civil::date(2026, 1, 1)), ..Rule::new(Effect::Deny) },
    ] {
        assert!(write(&Consent { rules: vec![unsaid], ..consent() }, PATIENT).is_err());
    }
    assert!(read("<a/>").is_err() && read("x").is_err());
}
