//! Each row of the tables in both roles: a good record, and the message that must come of it.

use super::*;
use crate::model::audit::{Act, Exchange, Facts};
use crate::model::caller::Caller;
use crate::model::user::{Coded as Role, User};

const PATIENT: &str = "1^^^&1.2.3&ISO";
const OTHER: &str = "2^^^&1.2.3&ISO";

fn reporter() -> Reporter {
    Reporter { source_id: "gw.example.jp".into(), site: Some("1.2.392".into()), host: "gw.example.jp".into() }
}

fn event(transaction: &str) -> AuditEvent {
    AuditEvent {
        id: "019ac0de-5e2f-7cc1-9a5e-3f6c6c1f0a11".into(),
        at: 1_700_000_000_000_000,
        transaction: transaction.into(),
        request_id: "r1".into(),
        caller: Caller { address: "10.0.0.1".into(), listener: "soap".into(), ..Caller::default() },
        patients: vec![PATIENT.into()],
        facts: Facts {
            process: Some(42),
            exchange: Exchange {
                endpoint: Some("https://gw.example.jp:8443/xds".into()),
                local: Some("10.0.0.9".into()),
                ..Exchange::default()
            },
            ..Facts::default()
        },
        ..AuditEvent::default()
    }
}

fn sent(event: AuditEvent) -> AuditEvent {
    AuditEvent { sent_to: Some("https://other.example.jp/xca".into()), ..event }
}

fn only(event: &AuditEvent) -> AuditMessage {
    let mut all = compose(event, &reporter());
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// EventID, action, and ids of the objects.
fn gist(event: &AuditEvent) -> (String, String, Vec<String>) {
    let m = only(event);
    (m.id.code, m.action.unwrap_or_default(), m.objects.into_iter().map(|o| o.id).collect())
}

#[test]
fn every_row_says_what_its_two_sides_do() {
    // Of security.md 2.3: EventID and action of the sender, then of the receiver. `-`: as the message says.
    let table = [
        ("ITI-8", "110110 -", "110110 -"),
        ("ITI-9", "110112 E", "110112 E"),
        ("ITI-10", "110110 R", "110110 U"),
        ("ITI-18", "110112 E", "110112 E"),
        ("ITI-21", "110112 E", "110112 E"),
        ("ITI-30", "110110 -", "110110 -"),
        ("ITI-31", "110110 -", "110110 -"),
        ("ITI-38", "110112 E", "110112 E"),
        ("ITI-39", "110107 C", "110106 R"),
        ("ITI-41", "110106 R", "110107 C"),
        ("ITI-42", "110106 R", "110107 C"),
        ("ITI-43", "110107 C", "110106 R"),
        ("ITI-44", "110110 -", "110110 -"),
        ("ITI-45", "110112 E", "110112 E"),
        ("ITI-46", "110110 R", "110110 U"),
        ("ITI-47", "110112 E", "110112 E"),
        ("ITI-51", "110112 E", "110112 E"),
        ("ITI-55", "110112 E", "110112 E"),
        ("ITI-56", "110112 E", "110112 E"),
        ("ITI-57", "110106 U", "110107 U"),
        ("ITI-61", "110106 R", "110107 C"),
        ("ITI-62", "110110 D", "110110 D"),
        ("ITI-65", "110106 R", "110107 C"),
        ("ITI-66", "110112 E", "110112 E"),
        ("ITI-67", "110112 E", "110112 E"),
        ("ITI-68", "110107 C", "110106 R"),
        ("ITI-78", "110112 E", "110112 E"),
        ("ITI-83", "110112 E", "110112 E"),
        ("ITI-86", "110110 D", "110110 D"),
        ("ITI-92", "110106 U", "110107 U"),
        ("ITI-104", "110110 -", "110110 -"),
        ("ITI-119", "110112 E", "110112 E"),
    ];
    assert_eq!(table.len(), rows::ROWS.len(), "a row is not tested");
    for (code, sender, receiver) in table {
        for (event, want) in [(sent(event(code)), sender), (event(code), receiver)] {
            for act in [Act::Create, Act::Update, Act::Delete] {
                let facts = Facts { act: Some(act), ..event.facts.clone() };
                let m = only(&AuditEvent { facts, ..event.clone() });
                let want = want.replace('-', act.code());
                assert_eq!(format!("{} {}", m.id.code, m.action.unwrap_or_default()), want, "{code}");
                assert_eq!(
                    (m.types[0].code.as_str(), m.types[0].system.as_str()),
                    (code, "IHE Transactions")
                );
                assert_eq!(m.participants.iter().filter(|p| p.requestor).count(), 1, "{code}");
                let ours = m.participants.iter().find(|p| p.alternative_user_id.as_deref() == Some("42"));
                assert!(ours.is_some(), "{code}: our side bears the process");
                assert!(m.participants.iter().all(|p| p.network.is_some()), "{code}: network points");
            }
        }
    }
}

#[test]
fn source_and_destination_by_the_flow_of_the_data() {
    type Role = (String, String, Option<(String, u8)>, bool);
    let roles = |m: &AuditMessage| -> Vec<Role> {
        let of =
            |p: &Participant| (p.roles[0].code.clone(), p.user_id.clone(), p.network.clone(), p.requestor);
        m.participants.iter().map(of).collect()
    };
    let endpoint = "https://gw.example.jp:8443/xds".to_owned();
    let (at_us, at_them) = (Some(("gw.example.jp".to_owned(), 1)), Some(("10.0.0.1".to_owned(), 2)));
    assert_eq!(
        roles(&only(&event("ITI-18"))),
        [
            ("110153".into(), "10.0.0.1".into(), at_them.clone(), true),
            ("110152".into(), endpoint.clone(), at_us.clone(), false)
        ]
    );
    assert_eq!(
        roles(&only(&event("ITI-43"))),
        [("110153".into(), endpoint, at_us, false), ("110152".into(), "10.0.0.1".into(), at_them, true)]
    );
    let there = Some(("other.example.jp".to_owned(), 1));
    let (to, us) = ("https://other.example.jp/xca".to_owned(), Some(("10.0.0.9".to_owned(), 2)));
    assert_eq!(
        roles(&only(&sent(event("ITI-38")))),
        [
            ("110153".into(), "gw.example.jp".into(), us.clone(), true),
            ("110152".into(), to.clone(), there.clone(), false)
        ]
    );
    assert_eq!(
        roles(&only(&sent(event("ITI-39")))),
        [("110153".into(), to, there, false), ("110152".into(), "gw.example.jp".into(), us, true)]
    );
}

#[test]
fn messages_and_answers_elsewhere_name_their_sides() {
    let mut hl7 = event("ITI-9");
    hl7.facts.exchange = Exchange {
        sender: Some("HOSP|HIS".into()),
        receiver: Some("CHIIKI|MPI".into()),
        message_id: Some("M1".into()),
        question: Some("MSH|^~\\&|".into()),
        ..Exchange::default()
    };
    let m = only(&hl7);
    assert_eq!(
        (m.participants[0].user_id.as_str(), m.participants[1].user_id.as_str()),
        ("HOSP|HIS", "CHIIKI|MPI")
    );
    let asked = &m.objects[1];
    assert_eq!((asked.role, asked.query.as_deref()), (Some(24), Some(b"MSH|^~\\&|".as_slice())));
    assert_eq!(asked.details, [("MSH-10".to_owned(), b"M1".to_vec())]);
    let mut later = event("ITI-18");
    later.facts.exchange.reply_to = Some("https://their.example.jp/reply".into());
    assert_eq!(only(&later).participants[0].user_id, "https://their.example.jp/reply");
}

#[test]
fn the_person_asks_and_the_purpose_is_theirs() {
    let role =
        |code: &str| Role { code: code.into(), system: "1.2.840".into(), display: Some("医師".into()) };
    let user = User {
        name_id: "dr1".into(),
        issuer: "https://idp".into(),
        roles: vec![role("doctor")],
        purposes: vec![role("TREATMENT")],
        ..User::default()
    };
    let mut asked = event("ITI-18");
    asked.caller.user = Some(Box::new(user));
    let m = only(&asked);
    assert_eq!(m.participants.len(), 3);
    let person = &m.participants[1];
    assert_eq!((person.user_id.as_str(), person.user_name.as_deref()), ("dr1", Some("<dr1@https://idp>")));
    assert_eq!((person.requestor, person.roles[0].text.as_str()), (true, "医師"));
    assert!(!m.participants[0].requestor && !m.participants[2].requestor);
    assert_eq!(m.purposes[0].code, "TREATMENT");
}

#[test]
fn a_record_for_each_patient_and_both_halves_of_a_partial_success() {
    let mut asked = event("ITI-18");
    asked.patients.push(OTHER.into());
    let all = compose(&asked, &reporter());
    assert_eq!(all.iter().map(|m| m.patients().next().unwrap()).collect::<Vec<_>>(), [PATIENT, OTHER]);
    // Ids of one patient share a record.
    asked.transaction = "ITI-8".into();
    assert_eq!(only(&asked).patients().count(), 2);
    for code in ["ITI-18", "ITI-38", "ITI-39", "ITI-43"] {
        let mut partial = event(code);
        partial.outcome = Outcome::MinorFailure;
        partial.errors = vec!["XDSDocumentUniqueIdError".into()];
        partial.documents = vec!["1.1".into(), "1.2".into()];
        partial.facts.missing = vec!["1.2".into()];
        let halves = compose(&partial, &reporter());
        assert_eq!(halves.iter().map(|m| m.outcome).collect::<Vec<_>>(), [0, 8], "{code}");
        assert_eq!(halves[0].description, None);
        assert_eq!(halves[1].description.as_deref(), Some("XDSDocumentUniqueIdError"));
        if matches!(code, "ITI-39" | "ITI-43") {
            let ids = |m: &AuditMessage| m.objects.iter().skip(1).map(|o| o.id.clone()).collect::<Vec<_>>();
            assert_eq!((ids(&halves[0]), ids(&halves[1])), (vec!["1.1".to_owned()], vec!["1.2".to_owned()]));
        }
    }
}

#[test]
fn a_stored_query_is_named_by_its_uuid() {
    let mut asked = event("ITI-38");
    let uuid = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d";
    let text = format!(
        "<query:AdhocQueryRequest><query:ResponseOption/><rim:AdhocQuery home='urn:oid:1.2' id=\"{uuid}\"/></query:AdhocQueryRequest>"
    );
    asked.query = Some(text.clone());
    let asked = only(&asked);
    let query = &asked.objects[1];
    assert_eq!((query.id.as_str(), query.query.as_deref()), (uuid, Some(text.as_bytes())));
    assert_eq!((query.kind, query.role, query.id_type.code.as_str()), (Some(2), Some(24), "ITI-38"));
    let details = [
        ("QueryEncoding".to_owned(), b"UTF-8".to_vec()),
        (HOME_OF_QUERY.to_owned(), b"urn:oid:1.2".to_vec()),
    ];
    assert_eq!(query.details, details);
}

#[test]
fn objects_of_submissions_documents_and_removals() {
    let mut submitted = event("ITI-41");
    submitted.submission_set = Some("1.9".into());
    let m = only(&submitted);
    assert_eq!((m.objects[1].role, m.objects[1].id.as_str()), (Some(20), "1.9"));
    assert!(m.objects[1].id_type.is(rows::SUBMISSION_SET));

    let mut given = event("ITI-43");
    given.documents = vec!["1.1".into()];
    let held = Held {
        document: "1.1".into(),
        repository: "1.5".into(),
        home: Some("urn:oid:1".into()),
        patient: None,
    };
    given.facts.held = vec![held];
    let details = &only(&given).objects[1].details;
    let want =
        [("Repository Unique ID".to_owned(), b"1.5".to_vec()), (HOME.to_owned(), b"urn:oid:1".to_vec())];
    assert_eq!(details[..], want);
    given.transaction = "ITI-86".into();
    let removed = &only(&given).objects[1];
    assert_eq!((removed.lifecycle, removed.role), (Some(15), Some(3)));
    assert_eq!(removed.details[0].0, "urn:ihe:iti:xds:2007:repositoryUniqueId");

    let mut removed = event("ITI-62");
    let kinds = [
        ("a", "DocumentEntry"),
        ("b", "OnDemandDocumentEntry"),
        ("c", "SubmissionSet"),
        ("d", "Folder"),
        ("e", "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"),
    ];
    removed.objects = ["a", "b", "c", "d", "e", "f"].map(str::to_owned).into();
    removed.facts.kinds = kinds.map(|(id, kind)| (id.to_owned(), kind.to_owned())).into();
    let m = only(&removed);
    let types: Vec<&str> = m.objects.iter().skip(1).map(|o| o.id_type.code.as_str()).collect();
    assert_eq!(
        types,
        [
            "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1",
            "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248",
            "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd",
            "urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2",
            "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember",
            "urn:ihe:iti:2017:ObjectRef",
        ]
    );
    assert!(m.objects.iter().skip(1).all(|o| o.lifecycle == Some(15)));
}

#[test]
fn discovery_names_patients_on_one_side_only() {
    let mut asked = event("ITI-55");
    asked.home_community_id = Some("urn:oid:1.7".into());
    asked.patients.push(OTHER.into());
    assert_eq!(compose(&asked, &reporter()).len(), 2, "one for each patient that was told");
    let asking = only(&sent(asked));
    assert_eq!((asking.patients().count(), asking.objects.len()), (0, 1));
    assert_eq!(asking.objects[0].details, [(HOME.to_owned(), b"urn:oid:1.7".to_vec())]);
}

#[test]
fn every_other_event_has_its_code_and_shape() {
    for kind in kinds::KINDS {
        let mut happened = event(kind.key);
        happened.facts.details = vec![("reason".into(), "意識不明".into())];
        let m = only(&happened);
        assert_eq!(
            (m.id.code.as_str(), m.types[0].code.as_str()),
            (kind.id.0, kind.event_type.0),
            "{}",
            kind.key
        );
        assert_eq!(m.action.as_deref(), Some(kind.action));
        match kind.shape {
            Shape::Life => {
                assert_eq!((m.participants.len(), m.objects.len()), (1, 0), "{}", kind.key);
                assert!(m.participants[0].roles[0].is(rows::APPLICATION));
            }
            Shape::Login => assert!(m.objects.is_empty()),
            Shape::Alert => {
                assert!(m.objects[0].id_type.is(rows::NODE_ID));
                assert_eq!((m.objects[0].role, m.objects[0].id.as_str()), (Some(13), "10.0.0.1"));
            }
            Shape::Emergency | Shape::Change | Shape::Disclosure => {
                assert_eq!(m.patients().next(), Some(PATIENT), "{}", kind.key);
                assert!(m.objects[0].details.iter().any(|(name, _)| name == "reason"), "{}", kind.key);
            }
            Shape::Trail => {
                assert!(m.objects[0].id_type.is(rows::URI));
                assert_eq!(m.objects[0].name.as_deref(), Some("Security Audit Log"));
            }
        }
    }
}

#[test]
fn refusals_are_of_nodes_or_of_requests() {
    let refused = |labels: [&str; 2]| {
        let errors = labels.map(str::to_owned).into();
        let event = AuditEvent { errors, outcome: Outcome::SeriousFailure, ..event(SECURITY_ALERT) };
        let m = only(&event);
        assert_eq!((m.id.code.as_str(), m.outcome), ("110113", 8));
        m.types[0].code.clone()
    };
    assert_eq!(refused(["Sender", "wsse:FailedAuthentication"]), "110126");
    assert_eq!(refused(["TLS", "UnknownIssuer"]), "110126");
    assert_eq!(refused(["110126", "revoked"]), "110126");
    assert_eq!(refused(["110129", "crl stale"]), "110129");
    assert_eq!(refused(["Sender", "xml"]), "110132");
}

#[test]
fn what_an_old_program_wrote_still_comes_out() {
    // A row without facts, and one of an operator's own.
    let json = r#"{"id":"x","at":1,"transaction":"outbox drop","outcome":"Success","requestId":"r",
        "caller":{"address":"local","listener":"chiren outbox by root"},"objects":["row1"]}"#;
    let old: AuditEvent = serde_json::from_str(json).unwrap();
    let m = only(&old);
    assert_eq!((m.participants[0].user_id.as_str(), m.participants[0].requestor), ("root", true));
    assert_eq!(m.objects[0].details[0], ("operation".to_owned(), b"outbox drop".to_vec()));
    let (id, action, objects) = gist(&AuditEvent { facts: Facts::default(), ..event("ITI-8") });
    assert_eq!((id.as_str(), action.as_str(), objects.len()), ("110110", "U", 1));
}

#[test]
fn network_points_are_names_or_addresses() {
    for (uri, want) in [
        ("https://gw.example.jp:8443/x", Some(("gw.example.jp", 1))),
        ("mllps://[2001:db8::1]:2575", Some(("2001:db8::1", 2))),
        ("10.0.0.1:8443", Some(("10.0.0.1", 2))),
        ("2001:db8::1", Some(("2001:db8::1", 2))),
        ("gw", Some(("gw", 1))),
        ("", None),
    ] {
        assert_eq!(network_point(uri), want.map(|(host, kind)| (host.to_owned(), kind)), "{uri}");
    }
}
