//! What goes, and what follows from it: replacement, withdrawal, facts, faults of the line, letters, differences.

use chiren::cli::simulate::national::fault::{Fault, Mode};
use chiren::config::national::Agreement;
use chiren::model::audit::Outcome;
use chiren::model::metadata::AvailabilityStatus::{Approved, Deprecated};
use chiren::model::metadata::MetadataObject;
use chiren::model::transaction::Transaction;
use chiren::service::consent::{Change, Word};
use chiren::service::context::Context;
use chiren::service::national::operator::{DecisionKind, DeliveryState, LineageState, Nothing};
use chiren::service::national::{Difference, Month, slots};
use jiff::SignedDuration;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::support::national::{SYSTEM, case, named, text};
use crate::support::updates::{next_entry, status_of, update};

const LETTER: &str = "cases/good/g05-ereferral-structured.json";

pub fn operator() -> Context {
    let now = "2026-11-22T03:00:00Z".parse().unwrap();
    Context { transaction: Transaction::Iti18, ..Context::of_operator("national", Some("test"), now) }
}

pub fn sent(operation: &str) -> (DecisionKind, String) {
    (DecisionKind::Send, operation.into())
}

pub fn held(reason: &str) -> (DecisionKind, String) {
    (DecisionKind::Hold, reason.into())
}

pub fn skipped(reason: &str) -> (DecisionKind, String) {
    (DecisionKind::Skip, reason.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_goes_is_changed_and_is_taken_back() {
    let scene = Scene::start().await;
    let first = scene.publish(&lab(SENDER), &text("cases/good/g03-lab.json")).await;
    scene.settle().await;
    assert_eq!(scene.word(&first).await, sent("info.register"));
    let units = scene.units();
    assert_eq!((units.len(), units[0]["Version"].as_u64()), (1, Some(1)));

    // Replaced: the same unit, under the same id.
    let second =
        scene.publish(&replacing(lab(SENDER), &first), &text("cases/good/g13-lab-update.json")).await;
    scene.settle().await;
    assert_eq!(scene.word(&second).await, sent("info.change"));
    assert_eq!(scene.word(&first).await, skipped("replaced"));
    let units = scene.units();
    assert_eq!((units.len(), units[0]["Version"].as_u64()), (1, Some(2)));
    assert_eq!(units[0]["BundleIdentifierValue"], "1319900018^2025^ORDLAB-20250930-0001");

    // Deprecated: cancelled. Rows that come again change nothing.
    scene.gateway.soap().update(&status_of(update(), &second, Approved, Deprecated)).await.assert_success();
    scene.settle().await;
    assert_eq!(scene.word(&second).await, sent("info.cancel"));
    assert_eq!(scene.units().len(), 0);
    assert_eq!(scene.settle().await, LaneReport::default());

    // By hand only: the cancellation is taken back.
    assert_eq!(scene.national().undo(&operator(), &second).await.unwrap(), Ok(()));
    scene.settle().await;
    assert_eq!(scene.units().len(), 1);
    assert_eq!(scene.national().undo(&operator(), &second).await.unwrap(), Err(Nothing::NotNow));

    // Every call has its record, without the document.
    let calls: Vec<_> = scene
        .gateway
        .audit()
        .await
        .into_iter()
        .filter(|e| e.transaction.starts_with("national info."))
        .collect();
    let mut names: Vec<&str> = calls.iter().map(|e| e.transaction.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["national info.cancel", "national info.change", "national info.register", "national info.undo"]
    );
    assert!(calls.iter().all(|e| e.outcome == Outcome::Success && e.sent_to.is_some()), "{calls:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_document_is_taken_back_and_one_never_sent_is_not_sent() {
    let scene = Scene::start().await;
    let entry = scene.publish(&lab(SENDER), &results(SENDER, "LAB-1")).await;
    scene.settle().await;
    assert_eq!(scene.units().len(), 1);
    let ids: Vec<String> =
        scene.gateway.all(PATIENT).await.iter().map(|o: &MetadataObject| o.id().to_owned()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    scene.gateway.soap().remove(&ids).await.assert_success();
    scene.settle().await;
    assert_eq!(scene.word(&entry).await, sent("info.cancel"));
    assert_eq!(scene.units().len(), 0);

    // Held, and withdrawn before anything went.
    let mut restricted = lab(SENDER);
    restricted.document_entries[0].confidentiality_code = vec![code("R", "2.16.840.1.113883.5.25", "制限")];
    let entry = scene.publish(&restricted, &results(SENDER, "LAB-2")).await;
    scene.settle().await;
    assert_eq!(scene.word(&entry).await, held("restricted"));
    scene.gateway.soap().update(&status_of(update(), &entry, Approved, Deprecated)).await.assert_success();
    scene.settle().await;
    assert_eq!(scene.word(&entry).await, skipped("withdrawn-before-send"));

    // Waiting on a lane that is paused, and withdrawn before anybody began.
    assert!(scene.national().pause(&operator(), SENDER, Some("test")).await.unwrap());
    let entry = scene.publish(&lab(SENDER), &results(SENDER, "LAB-3")).await;
    scene.settle().await;
    assert_eq!(scene.word(&entry).await, sent("info.register"));
    scene.gateway.soap().update(&status_of(update(), &entry, Approved, Deprecated)).await.assert_success();
    scene.settle().await;
    assert_eq!(scene.word(&entry).await, skipped("withdrawn-before-send"));
    assert!(scene.national().pause(&operator(), SENDER, None).await.unwrap());
    scene.settle().await;
    assert_eq!(scene.units().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_of_metadata_lets_go_what_waited_and_sends_nothing_twice() {
    let scene = Scene::start().await;
    let mut restricted = lab(SENDER);
    restricted.document_entries[0].confidentiality_code = vec![code("R", "2.16.840.1.113883.5.25", "制限")];
    let entry = scene.publish(&restricted, &results(SENDER, "LAB-1")).await;
    scene.settle().await;
    assert_eq!(scene.word(&entry).await, held("restricted"));
    let mut now = scene.gateway.entry(PATIENT).await;
    now.confidentiality_code = vec![code("N", "2.16.840.1.113883.5.25", "通常")];
    scene.gateway.soap().update(&next_entry(update(), "V2", &now)).await.assert_success();
    scene.settle().await;
    assert_eq!(scene.units().len(), 1);
    // A title is no content.
    let mut now = scene.gateway.entry(PATIENT).await;
    now.title = text_of("別の題");
    scene.gateway.soap().update(&next_entry(update(), "V3", &now)).await.assert_success();
    scene.settle().await;
    let units = scene.units();
    assert_eq!((units.len(), units[0]["Version"].as_u64()), (1, Some(1)));
    let latest = scene.gateway.entry(PATIENT).await;
    assert_eq!(scene.word(&latest.entry_uuid).await, skipped("no-content-change"));
}

fn text_of(value: &str) -> Vec<chiren::model::ebrim::LocalizedString> {
    crate::support::samples::text(value)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_fact_goes_when_somebody_says_it() {
    let scene = Scene::with(|c| c.national.send_agreement = Agreement::Unknown).await;
    let entry = scene.publish(&letter(), &text(LETTER)).await;
    scene.settle().await;
    assert_eq!(scene.word(&entry).await, held("send-agreement-unknown"));
    let national = scene.national();
    let say = async |kind: &str, subject: &str, name: &str, value: &str| {
        national.say(&operator(), kind, subject, name, Some(value), "test").await.unwrap()
    };
    assert_eq!(say("entry", &entry, "send-agreement", "perhaps").await, Err(Nothing::NotThere));
    assert_eq!(say("entry", &entry, "send-agreement", "yes").await, Ok(()));
    scene.settle().await;
    assert_eq!(scene.word(&entry).await, held("destination-unknown"));
    // The service is asked, and then it goes.
    national.tend(&CancellationToken::new()).await.unwrap();
    scene.settle().await;
    assert_eq!(scene.word(&entry).await, sent("referral.register"));
    let units = scene.units();
    assert_eq!((units.len(), units[0]["DestinationInstitutionCode"].as_str()), (1, Some(DESTINATION)));

    // An objection, said before another document comes.
    assert_eq!(say("patient", PATIENT, "objection", "yes").await, Ok(()));
    let entry = scene.publish(&lab(SENDER), &results(SENDER, "LAB-1")).await;
    scene.settle().await;
    assert_eq!(scene.word(&entry).await, skipped("patient-objection"));
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_may_say_what_the_patient_agreed_to() {
    let scene = Scene::with(|c| c.national.send_agreement = Agreement::Unknown).await;
    let slot = |name: &str, value: &str| chiren::model::ebrim::Slot {
        name: name.into(),
        slot_type: None,
        values: vec![value.into()],
    };
    let mut refused = letter();
    refused.document_entries[0].extra.slots = vec![slot(slots::SEND_AGREEMENT, "no")];
    let refused = scene.publish(&refused, &text(LETTER)).await;
    let mut later = letter();
    later.document_entries[0].extra.slots =
        vec![slot(slots::SEND_AGREEMENT, "yes"), slot(slots::VIEW_CONSENT, "later")];
    let later = scene.publish(&later, &text("cases/good/g06-ereferral-text.json")).await;
    let mut fetched = lab(SENDER);
    fetched.document_entries[0].extra.slots = vec![slot(slots::ORIGIN, "national")];
    let fetched = scene.publish(&fetched, &results(SENDER, "LAB-1")).await;
    let outsider = scene.publish(&lab("0119900034"), &results("0119900034", "LAB-2")).await;
    let mut reply = letter();
    reply.document_entries[0].event_code_list = vec![code("reply-letter", "2.999.3", "返書")];
    let reply = scene.publish(&reply, &text(LETTER)).await;
    let mut paper = letter();
    paper.document_entries[0].mime_type = "application/pdf".into();
    paper.document_entries[0].format_code =
        Some(code("urn:ihe:iti:xds-sd:pdf:2008", "1.3.6.1.4.1.19376.1.2.3", "PDF"));
    let paper = scene.publish(&paper, "%PDF-1.7").await;
    let broken = scene.publish(&lab(SENDER), "{\"resourceType\": ").await;
    scene.settle().await;
    scene.national().tend(&CancellationToken::new()).await.unwrap();
    scene.settle().await;
    for (entry, word) in [
        (&refused, skipped("send-not-agreed")),
        (&later, sent("referral.register")),
        (&fetched, skipped("foreign-origin")),
        (&outsider, skipped("not-enabled")),
        (&reply, skipped("reply-letter")),
        (&paper, skipped("pdf-only")),
        (&broken, (DecisionKind::Fail, "bundle-unreadable".into())),
    ] {
        assert_eq!(scene.word(entry).await, word);
    }
    let units = scene.units();
    assert_eq!((units.len(), units[0]["State"].as_str()), (1, Some("pending")));
    // The facility's worklist has the broken one alone.
    let failed = scene.national().decisions(DecisionKind::Fail, Some(SENDER)).await.unwrap();
    assert_eq!(failed.iter().map(|k| k.entry_id.as_str()).collect::<Vec<_>>(), [broken.as_str()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replacement_that_does_not_go_withdraws_what_it_replaces() {
    let scene = Scene::start().await;
    let first = scene.publish(&lab(SENDER), &results(SENDER, "LAB-1")).await;
    scene.settle().await;
    assert_eq!(scene.units().len(), 1);
    let mut paper = replacing(lab(SENDER), &first);
    paper.document_entries[0].mime_type = "application/pdf".into();
    paper.document_entries[0].format_code =
        Some(code("urn:ihe:iti:xds-sd:pdf:2008", "1.3.6.1.4.1.19376.1.2.3", "PDF"));
    scene.publish(&paper, "%PDF-1.7").await;
    scene.settle().await;
    assert_eq!(scene.units().len(), 0, "what is no longer Approved here is not left there");
    assert_eq!(scene.word(&first).await, sent("info.cancel"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lineage_keeps_its_id_and_another_insurance_begins_anew() {
    let scene = Scene::start().await;
    let first = scene.publish(&lab(SENDER), &results(SENDER, "LAB-1")).await;
    scene.settle().await;
    // The hospital gives its correction another number: the unit keeps the one it has.
    let second = scene.publish(&replacing(lab(SENDER), &first), &results(SENDER, "LAB-2")).await;
    scene.settle().await;
    assert_eq!(scene.word(&second).await, sent("info.change"));
    let units = scene.units();
    assert_eq!(units.len(), 1);
    assert_eq!(units[0]["BundleIdentifierValue"], format!("{SENDER}^2025^LAB-1"));
    // Another number of the insured: the key of the unit contains it.
    let moved = results(SENDER, "LAB-1").replace("06990011:", "06990029:");
    let third = scene.publish(&replacing(lab(SENDER), &second), &moved).await;
    scene.settle().await;
    let units = scene.units();
    assert_eq!(units.len(), 1, "{units:#?}");
    assert!(units[0]["InsuredIdentifier"].as_str().unwrap().starts_with("06990029:"));
    let story = scene.story(&third).await;
    let operations: Vec<&str> = story.deliveries.iter().map(|d| d.operation.as_str()).collect();
    assert_eq!(operations, ["info.register", "info.change", "info.cancel", "info.register"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_the_line_passes_and_nothing_is_there_twice() {
    let scene = Scene::start().await;
    let modes = [
        Mode::DropResponse,
        Mode::DropRequest,
        Mode::Http429,
        Mode::Http503,
        Mode::CorruptJson,
        Mode::Duplicate,
        Mode::Processing,
        Mode::Busy,
        Mode::Internal,
        Mode::CertExpired,
    ];
    for (n, mode) in modes.into_iter().enumerate() {
        scene.service.running.fault(Fault::times(mode, 1));
        let entry = scene.publish(&lab(SENDER), &results(SENDER, &format!("LAB-{n}"))).await;
        scene.settle().await;
        for _ in 0..20 {
            if scene.units().len() == n + 1
                && scene.national().deliveries(DeliveryState::Done, None).await.unwrap().len() == n + 1
            {
                break;
            }
            scene.gateway.clock.advance(SignedDuration::from_mins(31));
            scene.settle().await;
        }
        assert_eq!(scene.units().len(), n + 1, "{mode:?}");
        let story = scene.story(&entry).await;
        assert_eq!(story.lineage.map(|l| l.state), Some(LineageState::Accepted), "{mode:?}");
    }
    assert_eq!(scene.parked().await, 0);
    let versions: Vec<_> = scene.units().iter().map(|u| u["Version"].as_u64()).collect();
    assert!(versions.iter().all(|v| *v == Some(1)), "{versions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_go_is_parked_for_people_and_goes_when_they_have_mended_it() {
    let scene = Scene::start().await;
    // Refused by its content: parked with what the service found.
    let bad = text("cases/bad/b08.json");
    let refused = scene.publish(&lab(SENDER), &bad).await;
    scene.settle().await;
    let parked = scene.national().deliveries(DeliveryState::Parked, Some(SENDER)).await.unwrap();
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0].code.as_deref(), Some("VALIDATION"));
    assert!(parked[0].problems.as_deref().unwrap().contains("R9011"), "{:?}", parked[0].problems);
    // What replaces it waits behind it until somebody drops it.
    let mended = scene.publish(&replacing(lab(SENDER), &refused), &results(SENDER, "LAB-1")).await;
    scene.settle().await;
    assert_eq!(scene.word(&mended).await, held("behind-predecessor"));
    assert_eq!(scene.national().drop(&operator(), &parked[0].id, "test").await.unwrap(), Ok(()));
    scene.settle().await;
    assert_eq!(scene.word(&mended).await, sent("info.register"));
    assert_eq!(scene.units().len(), 1);

    // A line that is down for longer than anybody has patience.
    scene.service.running.fault(Fault::of(Mode::DropRequest));
    let late = scene.publish(&lab(SENDER), &results(SENDER, "LAB-9")).await;
    for _ in 0..60 {
        scene.settle().await;
        scene.gateway.clock.advance(SignedDuration::from_mins(31));
    }
    let parked = scene.national().deliveries(DeliveryState::Parked, Some(SENDER)).await.unwrap();
    assert_eq!(parked.iter().map(|d| d.entry_id.as_str()).collect::<Vec<_>>(), [late.as_str()]);
    scene.service.running.faults().clear();
    scene.gateway.clock.advance(SignedDuration::from_hours(1));
    assert_eq!(scene.national().retry(&operator(), &late).await.unwrap(), Ok(()));
    scene.settle().await;
    assert_eq!(scene.units().len(), 2);
    let lanes = scene.national().lanes(Some(SENDER)).await.unwrap();
    assert_eq!(lanes[0].lane.failures, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_may_want_a_fact_changed_first() {
    let scene = Scene::start().await;
    let insured = crate::support::national::identifiers(&case("cases/good/g03-lab.json")).0;
    let directory = async |body: Value| {
        let url = format!("http://{}/_directory", scene.service.running.control.unwrap());
        let sent =
            reqwest::Client::builder().no_proxy().build().unwrap().post(url).body(body.to_string()).send();
        assert!(sent.await.unwrap().status().is_success());
    };
    directory(json!({ "insured_id": insured, "valid": false })).await;
    let entry = scene.publish(&lab(SENDER), &text("cases/good/g03-lab.json")).await;
    scene.settle().await;
    assert_eq!(scene.word(&entry).await, held("qualification-not-valid"));
    // Nothing has changed: a review leaves it alone.
    scene.national().tend(&CancellationToken::new()).await.unwrap();
    scene.settle().await;
    assert_eq!(scene.word(&entry).await, held("qualification-not-valid"));
    directory(json!({ "insured_id": insured, "valid": true })).await;
    let said =
        scene.national().say(&operator(), "patient", PATIENT, "qualification", Some("valid"), "test").await;
    assert_eq!(said.unwrap(), Ok(()));
    scene.settle().await;
    assert_eq!(scene.units().len(), 1);
    assert_eq!(scene.word(&entry).await, sent("info.register"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_has_an_end() {
    let scene = Scene::with(|c| c.national.send_agreement = Agreement::Unknown).await;
    let entry = scene.publish(&letter(), &text(LETTER)).await;
    scene.settle().await;
    assert_eq!(scene.word(&entry).await, held("send-agreement-unknown"));
    scene.gateway.clock.advance(SignedDuration::from_hours(24 * 31));
    scene.national().tend(&CancellationToken::new()).await.unwrap();
    assert_eq!(scene.word(&entry).await, skipped("hold-expired"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_followed_until_it_is_fetched_and_then_stays_as_it_is() {
    let scene = Scene::start().await;
    let facts = scene
        .national()
        .say(&operator(), "institution", DESTINATION, "participates", Some("yes"), "test")
        .await;
    assert_eq!(facts.unwrap(), Ok(()));
    let entry = scene.publish(&letter(), &text(LETTER)).await;
    scene.settle().await;
    assert_eq!(scene.word(&entry).await, sent("referral.register"));
    let fetched = scene.service.caller(DESTINATION).call("referral.fetch", "f1", {
        let (insured, value) = crate::support::national::identifiers(&case(LETTER));
        json!({ "InsuredIdentifier": insured, "BundleIdentifierSystem": SYSTEM, "BundleIdentifierValue": value })
    }, None).await;
    assert_eq!(fetched.code(), "OK", "{}", fetched.text);
    scene.gateway.clock.advance(SignedDuration::from_hours(13));
    scene.national().tend(&CancellationToken::new()).await.unwrap();
    let letters = scene.national().letters().await.unwrap();
    assert_eq!(letters[0].state, LineageState::Received);
    // A week is left to it, and this is said when two days are.
    let week = letters[0].expires_at.unwrap() - letters[0].received_at.unwrap();
    assert_eq!((week, letters[0].warned_at), (7 * 86_400_000_000, None));
    scene.gateway.clock.advance(SignedDuration::from_hours(24 * 6));
    scene.national().tend(&CancellationToken::new()).await.unwrap();
    assert!(scene.national().letters().await.unwrap()[0].warned_at.is_some());
    // Neither changed nor taken back.
    let second = scene.publish(&replacing(letter(), &entry), &text(LETTER)).await;
    scene.settle().await;
    assert_eq!(scene.word(&second).await, held("already-received"));
    scene.gateway.clock.advance(SignedDuration::from_hours(24 * 2));
    scene.national().tend(&CancellationToken::new()).await.unwrap();
    assert_eq!(scene.national().letters().await.unwrap()[0].state, LineageState::Expired);
    assert_eq!(scene.gateway.entries(PATIENT).await.len(), 2, "the regional copies stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_are_found_and_mended() {
    let scene = Scene::start().await;
    let mut entries = vec![];
    for n in 0..3 {
        entries.push(scene.publish(&lab(SENDER), &results(SENDER, &format!("LAB-{n}"))).await);
    }
    scene.settle().await;
    let clean = scene.national().reconcile(&operator(), SENDER, false).await.unwrap();
    assert_eq!((clean.believed, clean.listed, clean.differences.len()), (3, Some(3), 0), "{clean:#?}");
    // One is lost there, one comes from another system of the hospital's.
    let hospital = scene.service.caller(SENDER);
    let lost = serde_json::from_str(&results(SENDER, "LAB-0")).unwrap();
    assert_eq!(hospital.call("info.cancel", "x1", named(&lost), None).await.code(), "OK");
    let other = results(SENDER, "LAB-X");
    let of_other = named(&serde_json::from_str(&other).unwrap());
    assert_eq!(hospital.call("info.register", "x2", of_other, Some(&other)).await.code(), "OK");
    let found = scene.national().reconcile(&operator(), SENDER, false).await.unwrap();
    let kinds: Vec<Difference> = found.differences.iter().map(|d| d.difference).collect();
    assert_eq!(kinds, [Difference::MissingThere, Difference::NotOurs], "{found:#?}");
    assert!(found.differences.iter().all(|d| !d.mended));
    let mended = scene.national().reconcile(&operator(), SENDER, true).await.unwrap();
    assert!(
        mended.differences.iter().any(|d| d.difference == Difference::MissingThere && d.mended),
        "{mended:#?}"
    );
    scene.settle().await;
    assert_eq!(scene.units().len(), 4);
    let after = scene.national().reconcile(&operator(), SENDER, true).await.unwrap();
    assert_eq!(after.differences.len(), 1, "only the other system's is left: {after:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_say_what_is_national_and_the_month_is_counted() {
    let scene = Scene::with(|c| c.national.coverage_slot = true).await;
    let national = scene.publish(&lab(SENDER), &results(SENDER, "LAB-1")).await;
    let regional = scene.publish(&lab("0119900034"), &results("0119900034", "LAB-2")).await;
    scene.settle().await;
    let entries = scene.gateway.soap().query(&find_documents(PATIENT)).await.entries();
    let coverage = |id: &str| {
        let entry = entries.iter().find(|e| e.entry_uuid == id).expect("found");
        let slot = entry.extra.slots.iter().find(|s| s.name == slots::COVERAGE).expect("a slot");
        slot.values[0].clone()
    };
    assert_eq!((coverage(&national), coverage(&regional)), ("both".to_owned(), "regional".to_owned()));
    for (id, times) in [(&national, 1), (&regional, 3)] {
        let unique =
            entries.iter().find(|e| e.entry_uuid == *id).map(|e| e.unique_id.clone()).expect("found");
        for _ in 0..times {
            scene.gateway.soap().retrieve(REPOSITORY, &[&unique]).await;
        }
    }
    let tally = scene.national().views(Month::parse("2026-11").unwrap()).await.unwrap();
    assert_eq!((tally.views, tally.both, tally.regional_only), (4, 1, 3));
    // As it was at the moment of the view, whatever became of it since; viewers see what is so now.
    scene.gateway.tick();
    let withdrawn = status_of(update(), &national, Approved, Deprecated);
    scene.gateway.soap().update(&withdrawn).await.assert_success();
    scene.settle().await;
    let tally = scene.national().views(Month::parse("2026-11").unwrap()).await.unwrap();
    assert_eq!((tally.views, tally.both, tally.regional_only), (4, 1, 3));
    let none = scene.national().views(Month::parse("2026-10").unwrap()).await.unwrap();
    assert_eq!(none.views, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_line_delays_nobody_who_publishes() {
    let scene = Scene::start().await;
    // Nobody listens at the service, and the lanes try all the time.
    let gateway = Gateway::start_with(|c| {
        let pki = scene.service.pki();
        let closed = crate::support::port::lasting();
        direct(c, &pki, closed.local_addr().unwrap().port(), &[SENDER]);
        c.national.poll_seconds = 1;
        c.outbox.poll_seconds = 1;
    })
    .await;
    let mut ids = vec![];
    for n in 0..20 {
        ids.push(publish(&gateway, &lab(SENDER), &results(SENDER, &format!("LAB-{n}"))).await);
    }
    settle(&gateway).await;
    let national = gateway.rooms().national.clone().unwrap();
    let waiting = national.deliveries(DeliveryState::Waiting, None).await.unwrap();
    assert_eq!(waiting.len(), 20, "all wait, none is lost");
    // The breaker: after a few failures one call at a time finds out whether the line is back.
    let tried: i64 = waiting.iter().map(|d| d.attempts).sum();
    assert!(tried <= 10, "{tried} calls to a line that is down");
    let lanes = national.lanes(None).await.unwrap();
    assert!(lanes[0].lane.failures >= 1 && lanes[0].lane.last_failure.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_on_one_database_send_once() {
    let scene = Scene::start().await;
    let mut config = scene.gateway.config.clone();
    config.listener.iter_mut().for_each(|l| l.address.set_port(0));
    let second = chiren::app::Running::start(&config, scene.gateway.clock.clone(), None)
        .await
        .expect("a second gateway");
    for n in 0..24 {
        let institution = if n % 2 == 0 { SENDER } else { DESTINATION };
        scene.publish(&lab(institution), &results(institution, &format!("LAB-{n}"))).await;
    }
    let other = second.rooms.clone();
    let clock = scene.gateway.clock.clone();
    let now: Now = std::sync::Arc::new(move || clock.now().as_microsecond());
    let stop = CancellationToken::new();
    let both = async {
        let theirs = async {
            for _ in 0..4 {
                other.outbox.run(&other.couriers, &now, &stop).await.expect("the outbox runs");
                other.national.as_ref().unwrap().run(&stop).await.expect("the lanes run");
            }
        };
        tokio::join!(scene.settle(), theirs);
        scene.settle().await
    };
    both.await;
    assert_eq!(scene.units().len(), 24);
    let done = scene.national().deliveries(DeliveryState::Done, None).await.unwrap();
    assert_eq!(done.len(), 24);
    let counts = scene.service.running.state()["Counts"]["Keys"].as_u64();
    assert_eq!(counts, Some(24), "no key but these was ever used");
    second.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_of_patients_says_who_is_insured() {
    use crate::support::mllp::{HOSPA, Mllp, gateway_with};
    let service = simulated::National::start().await;
    let (gateway, address) = gateway_with(|c| {
        direct(c, &service.pki(), service.address().port(), &[SENDER]);
        c.national.insured_id = InsuredSource::Index;
    })
    .await;
    let mut mllp = Mllp::connect(address).await;
    let mut feed = async |event: &str, id: &str, insurance: &str| {
        let message = format!(
            "MSH|^~\\&|HIS|X|MPI|N|20250401||ADT^{event}|{id}|P|2.5\rEVN||20250401\r\
             PID|1||a1^^^&{HOSPA}&ISO||SATO^TARO||19600101|M\rPV1||N\r{insurance}"
        );
        assert_eq!(mllp.ask(message).await.code, "AA");
    };
    feed("A28", "N1", "").await;
    let persons = gateway.rooms().mpi.as_ref().unwrap().persons("", 10).await.unwrap();
    let patient = persons[0].person.clone();
    let entry = publish(&gateway, &of_patient(lab(SENDER), &patient), &results(SENDER, "LAB-1")).await;
    settle(&gateway).await;
    let national = gateway.rooms().national.clone().unwrap();
    let said = async || word(national.story(&entry).await.unwrap().unwrap().decisions.last().unwrap());
    assert_eq!(said().await, held("no-insured-id"));
    feed("A31", "N2", "IN1|1|01|06990011|||||||4567^^^^^^^|123\r").await;
    national.tend(&CancellationToken::new()).await.unwrap();
    settle(&gateway).await;
    assert_eq!(said().await, sent("info.register"));
    // Without 枝番, and another than the Bundle's: said, and sent under the Bundle's own.
    let story = national.story(&entry).await.unwrap().unwrap();
    let body = &story.decisions.last().unwrap().body;
    assert!(body.contains("insured-branch-missing") && body.contains("insured-id-differs"), "{body}");
    assert_eq!(service.running.state()["Counts"]["Units"], 1);

    // What is no FHIR is converted, under the insurance that the index knows.
    let mut message = document("jp:ssmix2:OML-11", "OML-11", SENDER);
    message.document_entries[0].mime_type = "application/edi-hl7".into();
    let report = crate::national_make::sources::report();
    let entry = publish(&gateway, &of_patient(message, &patient), &report).await;
    settle(&gateway).await;
    let story = national.story(&entry).await.unwrap().unwrap();
    let last = story.decisions.last().unwrap();
    assert_eq!(word(last), sent("info.register"), "{}", last.body);
    assert!(last.body.contains("\"convertedFrom\":\"jp:ssmix2:OML-11\""));
    assert_eq!(
        service.running.state()["Counts"]["Units"],
        2,
        "{:#?}",
        story.deliveries.last().unwrap().problems
    );
}

/// What the consent engine keeps in the network stays there (gate 7), and goes when it no longer does.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_in_the_network_does_not_go() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("consent.toml");
    let text_of_rules = "version = \"test\"\n\n[[release]]\ndata = [\"*\"]\naudience = [\"*\"]\n";
    std::fs::write(&rules, text_of_rules).unwrap();
    let scene = Scene::with(|c| {
        c.consent.mode = chiren::model::consent::Mode::OptIn;
        c.consent.rules = Some(rules);
    })
    .await;
    // By uniqueId: of whom nothing is known nobody is shown an entry, this test's client neither.
    let publish = async |s: &Submission, file: &str| {
        scene.gateway.soap().provide(s, &[("DE", text(file).as_bytes())]).await.assert_success();
        s.document_entries[0].unique_id.clone()
    };
    let lab = lab(SENDER);
    let held = publish(&lab, "cases/good/g03-lab.json").await;
    let patient = lab.document_entries[0].patient_id.clone();
    let say = async |change| {
        let word = Word { who: "yamada".into(), reason: "test".into() };
        scene.gateway.tick();
        let context = Context::of_operator("test", Some("yamada"), scene.gateway.clock.now());
        scene.gateway.rooms().consents.change(&context, &patient, change, word).await.unwrap();
    };
    say(Change::Hold(held.clone())).await;
    let free = publish(&super::lab(SENDER), "cases/good/g01-condition.json").await;
    scene.settle().await;
    assert_eq!(scene.word(&held).await, skipped("regional-deny"));
    assert_eq!(scene.word(&free).await, sent("info.register"));
    assert_eq!(scene.units().len(), 1);

    say(Change::Unhold(held.clone())).await;
    scene.national().retry(&operator(), &held).await.unwrap().unwrap();
    scene.settle().await;
    assert_eq!(scene.word(&held).await, sent("info.register"));
    assert_eq!(scene.units().len(), 2);
}
