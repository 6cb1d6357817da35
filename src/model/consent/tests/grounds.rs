//! Each row of docs/consent.md's table: a case it decides, and the same with one thing changed, decided otherwise; for every
//! way to ask.

use crate::model::consent::facts::Institution;
use crate::model::consent::network::{
    CONFIDENTIALITY, Facility, Function, HPKI_ROLES, Level, Network, Release, Role,
};
use crate::model::consent::record::{
    BreakGlass, Consent, Effect, Policy, Reservation, Rule, Standing, Status,
};
use crate::model::consent::{Attribute, Audience, Data, Facts, Ground, Mode, Tongue, Viewer, decide};
use crate::model::user::Coded;

const PATIENT: &str = "1001^^^&2.999.3&ISO";
const NOW: i64 = 1_775_185_200_000_000;

/// One question that is answered with yes by rule 12.
#[derive(Clone)]
struct Case {
    network: Network,
    viewer: Viewer,
    standing: Standing,
    facts: Facts,
}

fn good() -> Case {
    let network = Network {
        facility: ["1.1.1", "1.1.2"]
            .map(|oid| Facility { oid: oid.into(), name: oid.into(), ..Facility::default() })
            .into(),
        ..Network::default()
    };
    Case {
        network,
        viewer: Viewer {
            facilities: vec!["1.1.2".into()],
            user: Some(("yamada".into(), "idp".into())),
            roles: vec![Coded { code: "Medical Doctor".into(), system: HPKI_ROLES.into(), display: None }],
            ..Viewer::default()
        },
        standing: Standing {
            own: Policy { consents: vec![consent()], ..Policy::default() },
            ..Standing::default()
        },
        facts: Facts {
            unique_id: "2.999.8".into(),
            sources: vec![Institution { id: Some("1.1.1".into()), ..Institution::default() }],
            codes: vec![
                (Attribute::TypeCode, "1".into(), "1.2".into()),
                (Attribute::ConfidentialityCode, "N".into(), CONFIDENTIALITY.into()),
            ],
            ..Facts::default()
        },
    }
}

fn consent() -> Consent {
    Consent { id: "c1".into(), ..Consent::default() }
}

fn emergency(case: &mut Case) {
    case.viewer.purposes =
        vec![Coded { code: "ETREAT".into(), system: "2.16.840.1.113883.5.8".into(), display: None }];
    case.standing.own.break_glass = vec![BreakGlass {
        id: "b1".into(),
        user: "yamada@idp".into(),
        facility: None,
        from: NOW - 1,
        until: NOW + 1,
    }];
}

fn confidential(case: &mut Case, code: &str) {
    case.facts.codes.retain(|(a, ..)| *a != Attribute::ConfidentialityCode);
    case.facts.codes.push((Attribute::ConfidentialityCode, code.into(), CONFIDENTIALITY.into()));
}

type Change = fn(&mut Case);

/// What makes a ground decide, and what of that, undone or done besides, makes another decide.
const ROWS: [(Ground, Change, Change, Ground); 13] = [
    (
        Ground::OtherPatient,
        |c| c.viewer.bound_to = Some("1002^^^&2.999.3&ISO".into()),
        |c| c.viewer.bound_to = Some(PATIENT.into()),
        Ground::Permitted,
    ),
    (
        Ground::NotAllowed,
        |c| c.network.role = vec![Role { functions: vec![], system: HPKI_ROLES.into(), ..Role::default() }],
        |c| c.network = Network { facility: c.network.facility.clone(), ..Network::default() },
        Ground::Permitted,
    ),
    (
        Ground::NotAllowed,
        |c| (c.viewer.user, c.viewer.facilities) = (None, vec![]),
        |c| c.viewer.facilities = vec!["1.1.2".into()],
        Ground::Permitted,
    ),
    (Ground::Held, |c| c.facts.held = true, |c| c.facts.held = false, Ground::Permitted),
    (
        Ground::BreakGlass,
        |c| {
            c.standing.own.consents.clear();
            emergency(c);
        },
        |c| confidential(c, "V"),
        Ground::NoConsent,
    ),
    (
        Ground::Own,
        |c| {
            c.standing.own.consents.clear();
            c.viewer.facilities = vec!["1.1.1".into()];
        },
        |c| c.viewer.facilities = vec!["1.1.2".into()],
        Ground::NoConsent,
    ),
    (
        Ground::Vip,
        |c| c.standing.own.vip = Some(("v".into(), vec![Audience::Person("sato".into())])),
        |c| c.standing.own.vip = Some(("v".into(), vec![Audience::Person("yamada".into())])),
        Ground::Permitted,
    ),
    (
        Ground::Denied,
        |c| c.standing.own.consents[0].rules = vec![Rule::new(Effect::Deny)],
        |c| {
            let day = Some(jiff::civil::date(2026, 4, 2));
            c.standing.own.consents[0].rules[0].valid_to = day;
        },
        Ground::Permitted,
    ),
    (
        Ground::Denied,
        |c| {
            let source = Audience::Facility("1.1.1".into());
            c.standing.own.reservations = vec![Reservation { source, ..Reservation::default() }];
        },
        |c| c.standing.own.reservations[0].source = Audience::Facility("1.1.2".into()),
        Ground::Permitted,
    ),
    (
        Ground::NoConsent,
        |c| c.standing.own.consents[0].status = Status::Withdrawn,
        |c| c.standing.own.consents[0].status = Status::PartlyWithdrawn,
        Ground::Permitted,
    ),
    (
        Ground::NotReleased,
        |c| c.network.release.clear(),
        |c| {
            c.network.release = vec![Release {
                source: Audience::Facility("1.1.1".into()),
                data: vec![Data::All],
                audience: vec![Audience::Facility("1.1.2".into())],
                ..Release::default()
            }];
        },
        Ground::Permitted,
    ),
    (Ground::Confidential, |c| confidential(c, "V"), |c| confidential(c, "R"), Ground::Permitted),
    (
        Ground::Purpose,
        |c| c.network.purpose_required = true,
        |c| c.viewer.purposes = vec![Coded { code: "TREAT".into(), system: "1.5".into(), display: None }],
        Ground::Permitted,
    ),
];

fn decided(case: &Case, function: Function) -> Ground {
    let network = case.network.clone().ready(Mode::OptIn, "urn:oid:2.999.1", "").unwrap();
    decide(&network, &case.viewer, function, NOW, PATIENT, &case.standing, &case.facts).ground
}

#[test]
fn each_rule_with_both_outcomes_for_every_way_to_look() {
    for function in [Function::Query, Function::Retrieve, Function::Discover] {
        assert_eq!(decided(&good(), function), Ground::Permitted);
        for (n, (ground, make, undo, otherwise)) in ROWS.iter().enumerate() {
            let mut case = good();
            make(&mut case);
            assert_eq!(decided(&case, function), *ground, "row {n} {function:?}");
            undo(&mut case);
            assert_eq!(decided(&case, function), *otherwise, "row {n} undone {function:?}");
        }
    }
    // A ground without a row: Unasked, Permitted and Error are below.
    let rows: std::collections::BTreeSet<u8> = ROWS.iter().map(|(g, ..)| g.number()).collect();
    assert_eq!(rows.into_iter().collect::<Vec<_>>(), (1..=11).collect::<Vec<u8>>());
}

#[test]
fn without_consent_rules_nothing_is_asked_and_what_cannot_be_read_is_no() {
    let case = good();
    let off = case.network.clone().ready(Mode::Off, "", "").unwrap();
    let standing = Standing::default();
    let ground = |n: &Network, s: &Standing| {
        decide(n, &Viewer::default(), Function::Query, NOW, PATIENT, s, &case.facts).ground
    };
    assert_eq!(ground(&off, &standing), Ground::Unasked);
    let on = case.network.clone().ready(Mode::OptIn, "", "").unwrap();
    let broken = Standing { own: Policy { broken: true, ..Policy::default() }, ..Standing::default() };
    assert_eq!(ground(&on, &broken), Ground::Error);
    let never = decide(&on, &case.viewer, Function::Query, i64::MAX, PATIENT, &case.standing, &case.facts);
    assert_eq!(never.ground, Ground::Error);
}

#[test]
fn a_patient_who_was_joined_to_another_is_shown_by_what_both_permit() {
    let mut case = good();
    case.standing.tied = vec![Policy::default()];
    assert_eq!(decided(&case, Function::Query), Ground::NoConsent);
    case.standing.tied = vec![Policy { consents: vec![consent()], ..Policy::default() }];
    assert_eq!(decided(&case, Function::Query), Ground::Permitted);
    case.standing.tied[0].consents[0].rules = vec![Rule::new(Effect::Deny)];
    assert_eq!(decided(&case, Function::Query), Ground::Denied);
}

#[test]
fn an_unknown_confidentiality_code_is_no() {
    let mut case = good();
    confidential(&mut case, "X");
    assert_eq!(decided(&case, Function::Retrieve), Ground::Confidential);
    case.network.role[0].clearance = Level::V;
    assert_eq!(decided(&case, Function::Retrieve), Ground::Confidential);
}

#[test]
fn every_ground_has_its_number_and_its_words() {
    for (n, ground) in (0..).zip(Ground::ALL) {
        assert_eq!(ground.number(), n);
        let words = [Tongue::English, Tongue::Japanese].map(|t| ground.sentence(t));
        assert!(words.iter().all(|w| !w.is_empty()) && words[0] != words[1]);
    }
}

#[test]
fn the_documented_table_has_every_ground() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/consent.md");
    let text = std::fs::read_to_string(path).unwrap();
    for ground in Ground::ALL {
        let row = format!("| {} | ", ground.number());
        let rows = text.lines().filter(|l| l.starts_with(&row)).count();
        assert_eq!(rows, 1, "docs/consent.md: rule {}", ground.number());
    }
}
