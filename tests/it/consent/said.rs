//! What is said takes effect at once: withdrawal, reservations, attestations, emergencies, VIPs, ties, consent documents.

use chiren::model::consent::Audience;
use chiren::model::consent::record::{Attestation, BreakGlass, Consent, Effect, Reservation, Rule};
use chiren::model::metadata::AssociationType;
use chiren::service::consent::{Change, Refused, after};
use chiren::store::consent::record::{Tie, tie};
use chiren::store::db::DbError;
use chiren::store::patient;

use super::*;

#[tokio::test]
async fn a_consent_opens_and_its_withdrawal_closes_at_once() {
    let world = world().await;
    world.publish(&submission()).await;
    assert!(world.sees(&world.doctor()).await.is_empty());
    let own = world.sees(&Person::doctor("owner", HERE)).await;
    assert_eq!(own.len(), 1, "a facility sees its own");
    let id = world.grant(vec![]).await;
    assert_eq!(world.sees(&world.doctor()).await, own);
    world.retrieve(&world.doctor(), &own[0]).await.assert_success();
    assert_eq!(world.said(Change::Withdraw(None)).await, id);
    assert!(world.sees(&world.doctor()).await.is_empty());
    world.retrieve(&world.doctor(), &own[0]).await.assert_failure(&["XDSDocumentUniqueIdError"]);
    assert_eq!(world.sees(&Person::doctor("owner", HERE)).await, own);
    // History and audit have both, with who and why.
    let shown = world.gateway.rooms().consents.show(&world.context(), PATIENT, true).await.unwrap();
    let told: Vec<&str> = shown.history.iter().map(|c| c.operation.as_str()).collect();
    assert_eq!(told, ["grant", "withdraw"]);
    assert!(shown.history.iter().all(|c| c.who == "yamada" && c.reason == "test" && c.body.is_some()));
    let alerts = world.gateway.audit().await.into_iter().filter(|e| e.transaction == "110135");
    assert!(alerts.map(|e| e.patients).eq([[PATIENT.to_owned()], [PATIENT.to_owned()]]));
}

#[tokio::test]
async fn facilities_are_told_apart_by_lists_exclusions_and_reservations() {
    let world = world().await;
    world.publish(&submission()).await;
    let pharmacist = Person { role: "Pharmacist".into(), ..Person::doctor("suzuki", PHARMACY) };
    let sees = async || (world.sees(&world.doctor()).await.len(), world.sees(&pharmacist).await.len());
    let list = |viewer: &str| Consent {
        policy: POLICY.into(),
        pattern: chiren::model::consent::record::Pattern::List,
        rules: vec![Rule { viewer: viewer.parse().unwrap(), ..Rule::new(Effect::Permit) }],
        ..Consent::default()
    };
    world.said(Change::Grant(list("facility:2.999.1.2"))).await;
    assert_eq!(sees().await, (1, 0));
    world.said(Change::Grant(list("group:pharmacy"))).await;
    assert_eq!(sees().await, (0, 1), "the form signed last is the one that counts");
    let id = world.grant(vec![]).await;
    assert_eq!(sees().await, (1, 1));
    let not = Rule { viewer: Audience::Group("pharmacy".into()), ..Rule::new(Effect::Deny) };
    world.said(Change::Restrict(id, not)).await;
    assert_eq!(sees().await, (1, 0), "withdrawn in part");
    let reserved =
        Reservation { source: format!("facility:{HERE}").parse().unwrap(), ..Reservation::default() };
    let reserved = world.said(Change::Reserve(reserved)).await;
    assert_eq!(sees().await, (0, 0));
    world.said(Change::End(reserved)).await;
    assert_eq!(sees().await, (1, 0));
    let unique_id = world.sees(&world.doctor()).await.remove(0);
    world.said(Change::Hold(unique_id.clone())).await;
    assert_eq!(sees().await, (0, 0));
    assert!(world.sees(&Person::doctor("owner", HERE)).await.is_empty(), "not even its own facility");
    world.said(Change::Unhold(unique_id)).await;
    world.said(Change::Vip(vec![Audience::Person("tanaka".into())])).await;
    assert_eq!(sees().await, (0, 0));
    world.said(Change::Vip(vec![Audience::Person("sato".into())])).await;
    assert_eq!(sees().await, (1, 0));
}

#[tokio::test]
async fn an_attestation_opens_for_one_until_it_ends() {
    let world = world().await;
    world.publish(&submission()).await;
    let now = world.gateway.clock.now();
    let attest = |user: &str| {
        Change::Attest(Attestation {
            viewer: Audience::Person(user.into()),
            from: now.as_microsecond(),
            until: after(now, 60),
            ..Attestation::default()
        })
    };
    world.said(attest("sato@https://idp.example.jp/saml")).await;
    assert_eq!(world.sees(&world.doctor()).await.len(), 1);
    assert!(world.sees(&Person::doctor("tanaka", CLINIC)).await.is_empty(), "it is one person's");
    world.gateway.clock.advance(jiff::SignedDuration::from_mins(61));
    assert!(world.sees(&world.doctor()).await.is_empty(), "it ended");
    // Of a facility that posted nothing none opens anything.
    let mut unposted = submission();
    unposted.document_entries[0].author[0].author_institution = vec![format!("診療所^^^^^^^^^{CLINIC}")];
    world.publish(&unposted).await;
    let later = world.gateway.clock.now();
    let viewer = Audience::Facility(PHARMACY.into());
    let from = later.as_microsecond();
    let until = after(later, 60);
    world.said(Change::Attest(Attestation { viewer, from, until, ..Attestation::default() })).await;
    assert_eq!(world.sees(&Person::doctor("suzuki", PHARMACY)).await.len(), 1);
}

#[tokio::test]
async fn emergency_access_is_one_doctors_for_an_hour_with_its_purpose_and_leaves_its_records() {
    let world = world().await;
    world.publish(&submission()).await;
    let mut secret = submission();
    secret.document_entries[0].confidentiality_code = vec![code("V", "2.16.840.1.113883.5.25", "極秘")];
    world.publish(&secret).await;
    let now = world.gateway.clock.now();
    let open = BreakGlass {
        user: "sato".into(),
        from: now.as_microsecond(),
        until: after(now, 60),
        ..BreakGlass::default()
    };
    let id = world.said(Change::BreakGlass(open.clone())).await;
    let emergency = world.doctor().with("ETREAT");
    assert_eq!(world.sees(&emergency).await.len(), 1, "not what is V");
    let unique_id = world.sees(&emergency).await.remove(0);
    world.retrieve(&emergency, &unique_id).await.assert_success();
    assert!(world.sees(&world.doctor()).await.is_empty(), "without the purpose it is no emergency");
    assert!(world.sees(&Person::nurse("sato", CLINIC).with("ETREAT")).await.is_empty(), "a doctor's");
    assert!(world.sees(&Person::doctor("tanaka", CLINIC).with("ETREAT")).await.is_empty());
    // Each use has its purpose on record.
    let used = world.gateway.audit().await.into_iter().filter(|e| e.transaction == "ITI-43");
    let purposes: Vec<String> =
        used.filter_map(|e| e.caller.user.map(|u| u.purposes[0].code.clone())).collect();
    assert_eq!(purposes, ["ETREAT"]);
    let waiting = async || {
        let kind = chiren::model::consent::record::Kind::BreakGlass;
        let list = world.gateway.rooms().consents.list(&world.context(), kind, "", 10).await.unwrap();
        list.into_iter().filter(|(_, kept)| kept.reviewed_at.is_none()).count()
    };
    assert_eq!(waiting().await, 1);
    world.said(Change::End(id.clone())).await;
    assert!(world.sees(&emergency).await.is_empty(), "stopped");
    world.said(Change::Review(id)).await;
    assert_eq!(waiting().await, 0);
    let alerts: Vec<String> = world
        .gateway
        .audit()
        .await
        .into_iter()
        .filter(|e| e.transaction.starts_with("1101"))
        .map(|e| e.transaction)
        .collect();
    assert_eq!(alerts, ["110127", "110138", "110135"]);
    // A patient may exclude it.
    world.said(Change::BreakGlass(BreakGlass { until: after(now, 600), ..open })).await;
    assert_eq!(world.sees(&emergency).await.len(), 1);
    let none = Consent {
        policy: POLICY.into(),
        no_break_glass: true,
        pattern: chiren::model::consent::record::Pattern::List,
        ..Consent::default()
    };
    world.said(Change::Grant(none)).await;
    assert!(world.sees(&emergency).await.is_empty());
}

#[tokio::test]
async fn patients_joined_or_parted_are_shown_by_what_both_permit_until_somebody_confirms() {
    let world = world().await;
    world.publish(&submission()).await;
    world.grant(vec![]).await;
    assert_eq!(world.sees(&world.doctor()).await.len(), 1);
    world
        .gateway
        .rooms()
        .db
        .write::<_, DbError, _>(|tx| {
            Box::pin(async move {
                let one = patient::key(tx, PATIENT).await?.ok_or(DbError::NoRow)?;
                let other = patient::key(tx, OTHER_PATIENT).await?.ok_or(DbError::NoRow)?;
                tie(tx, one, other, Tie::Joined, 1).await
            })
        })
        .await
        .unwrap();
    assert!(world.sees(&world.doctor()).await.is_empty());
    world.say(OTHER_PATIENT, Change::Grant(Consent::default())).await.unwrap();
    assert_eq!(world.sees(&world.doctor()).await.len(), 1, "both permit it");
    world.say(OTHER_PATIENT, Change::Withdraw(None)).await.unwrap();
    assert!(world.sees(&world.doctor()).await.is_empty());
    world.said(Change::Confirm).await;
    assert_eq!(world.sees(&world.doctor()).await.len(), 1);
}

#[tokio::test]
async fn a_consent_document_is_a_consent_while_it_is_approved() {
    let world = world().await;
    world.publish(&submission()).await;
    let mut form = submission();
    form.document_entries[0].event_code_list = vec![code(POLICY, "2.999.9", "一括同意")];
    form.document_entries[0].creation_time = Some("20261101".into());
    world.publish(&form).await;
    assert_eq!(world.sees(&world.doctor()).await.len(), 2, "registered and in force in one step");
    let shown = world.gateway.rooms().consents.show(&world.context(), PATIENT, true).await.unwrap();
    assert_eq!(shown.records.len(), 1);
    assert_eq!(shown.records[0].evidence.as_deref(), Some(form.document_entries[0].unique_id.as_str()));
    assert_eq!(shown.history[0].operation, "document");
    // Replaced by a document that says nothing of consent, it has lapsed.
    let owner = Person::doctor("owner", HERE);
    let entries = world.query(&owner, &find(PATIENT)).await.entries();
    let there = entries.iter().find(|e| e.unique_id == form.document_entries[0].unique_id).unwrap();
    world.publish(&related(AssociationType::Replace, &there.entry_uuid)).await;
    assert!(world.sees(&world.doctor()).await.is_empty());
    // Again, and then one that refuses.
    let mut again = submission();
    again.document_entries[0].event_code_list = vec![code(POLICY, "2.999.9", "一括同意")];
    again.document_entries[0].creation_time = Some("20261102".into());
    world.publish(&again).await;
    assert!(!world.sees(&world.doctor()).await.is_empty());
    let mut refusal = submission();
    refusal.document_entries[0].event_code_list = vec![code(REFUSAL, "2.999.9", "撤回")];
    refusal.document_entries[0].creation_time = Some("20261103".into());
    world.publish(&refusal).await;
    assert!(world.sees(&world.doctor()).await.is_empty());
}

#[tokio::test]
async fn a_consent_document_past_its_period_counts_no_longer() {
    let world = world().await;
    let mut form = submission();
    form.document_entries[0].event_code_list = vec![code(POLICY, "2.999.9", "一括同意")];
    form.document_entries[0].service_start_time = Some("20261101".into());
    form.document_entries[0].service_stop_time = Some("20261122".into());
    world.publish(&form).await;
    assert_eq!(world.sees(&world.doctor()).await.len(), 1, "the last day counts");
    world.gateway.clock.advance(jiff::SignedDuration::from_hours(24));
    assert!(world.sees(&world.doctor()).await.is_empty());
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_changes_nothing() {
    let world = world().await;
    let refused = async |patient: &str, change: Change| {
        let done = world.say(patient, change).await;
        done.expect_err("refused")
    };
    let unknown = refused("9^^^&2.999.392.1.2&ISO", Change::Withdraw(None)).await;
    assert!(matches!(unknown, Refused::UnknownPatient));
    let none = refused(PATIENT, Change::End("nothing".into())).await;
    assert!(matches!(none, Refused::NoRecord(_)));
    for change in [
        Change::Grant(Consent {
            rules: vec![Rule { viewer: Audience::Group("x".into()), ..Rule::new(Effect::Deny) }],
            ..Consent::default()
        }),
        Change::Grant(Consent {
            valid_from: Some(jiff::civil::date(2026, 2, 1)),
            valid_to: Some(jiff::civil::date(2026, 1, 1)),
            ..Consent::default()
        }),
        Change::Attest(Attestation { from: 0, until: 1, ..Attestation::default() }),
        Change::BreakGlass(BreakGlass { user: "x".into(), from: 1, until: 1, ..BreakGlass::default() }),
        Change::Confirm,
    ] {
        assert!(matches!(refused(PATIENT, change).await, Refused::Invalid(_)));
    }
    let shown = world.gateway.rooms().consents.show(&world.context(), PATIENT, true).await.unwrap();
    assert!(shown.records.is_empty() && shown.history.is_empty());
    // A patient who never signed may refuse; in a network of opting out that is what closes.
    world.said(Change::Withdraw(None)).await;
    let shown = world.gateway.rooms().consents.show(&world.context(), PATIENT, false).await.unwrap();
    assert_eq!(shown.records.len(), 2, "one for each policy of the network");
}

/// ITI-41 of an APPC document; its entry names no policy unless `policy` does.
async fn provided(world: &World, text: &str, policy: Option<&str>) -> crate::support::Answer {
    let mut s = submission();
    let entry = &mut s.document_entries[0];
    (entry.hash, entry.size) = (None, None);
    entry.mime_type = "text/xml".into();
    entry.creation_time = Some("20261101".into());
    entry.format_code = Some(code("urn:ihe:iti:appc:2016:consent", "1.3.6.1.4.1.19376.1.2.3", "APPC"));
    entry.event_code_list = policy.map(|oid| code(oid, "2.999.9", "同意")).into_iter().collect();
    world.gateway.tick();
    world.gateway.soap().provide(&s, &[("DE", text.as_bytes())]).await
}

#[tokio::test]
async fn an_appc_document_is_a_consent_with_its_rules_and_what_cannot_be_said_is_refused() {
    use chiren::content::consent::appc;
    let world = world().await;
    world.publish(&submission()).await;
    let rules = |effect| Rule { viewer: Audience::Facility(CLINIC.into()), ..Rule::new(effect) };
    let form = |rules: Vec<Rule>| {
        let consent = Consent { policy: POLICY.into(), rules, ..Consent::default() };
        appc::write(&consent, PATIENT).expect("an APPC document")
    };
    let suzuki = Person::doctor("suzuki", PHARMACY);
    let denying = form(vec![rules(Effect::Deny)]);
    provided(&world, &denying, None).await.assert_success();
    assert!(world.sees(&world.doctor()).await.is_empty(), "whom a rule denies");
    assert!(!world.sees(&suzuki).await.is_empty(), "and the policy acknowledged covers the others");
    let shown = world.gateway.rooms().consents.show(&world.context(), PATIENT, false).await.unwrap();
    assert_eq!((shown.records.len(), shown.records[0].evidence.is_some()), (1, true));
    // One thing wrong each: nothing of it is stored.
    let before = world.gateway.files();
    for (text, policy) in [
        (denying.replace("deny-overrides", "permit-overrides"), None),
        (denying.replace("\"1001\"", "\"1002\""), None),
        (denying.replace("</PolicySet>", ""), None),
        (denying.clone(), Some(REFUSAL)),
    ] {
        let answer = provided(&world, &text, policy).await;
        answer.assert_failure(&["XDSRepositoryMetadataError"]);
    }
    assert_eq!(world.gateway.files(), before);
    // Of bytes that lie elsewhere (ITI-42) nothing is known, and half a form is none.
    let mut registered = submission();
    registered.document_entries[0].format_code =
        Some(code("urn:ihe:iti:appc:2016:consent", "1.3.6.1.4.1.19376.1.2.3", "APPC"));
    registered.document_entries[0].event_code_list = vec![code(POLICY, "2.999.9", "一括同意")];
    registered.document_entries[0].creation_time = Some("20261102".into());
    world.gateway.tick();
    world.gateway.soap().register(&registered).await.assert_success();
    assert!(
        world.sees(&world.doctor()).await.is_empty(),
        "the form that was read is still the one that counts"
    );
}
