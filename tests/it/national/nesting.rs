//! Discharge summaries that go inside a letter, where the operator wants that (rule set 1.2.0).

use chiren::model::metadata::AvailabilityStatus::{Approved, Deprecated};
use chiren::model::metadata::Submission;
use chiren::service::national::{Month, slots};

use super::flow::{held, operator, sent, skipped};
use super::later::{LETTER, summary, summary_text};
use super::*;
use crate::preflight::packages;
use crate::support::national::text;
use crate::support::updates::{status_of, update};

async fn nesting() -> Scene {
    let scene = Scene::with(|c| {
        c.national.nest_summaries = true;
        c.national.coverage_slot = true;
    })
    .await;
    scene.participates().await;
    scene
}

impl Scene {
    async fn withdraw(&self, entry: &str) {
        self.gateway.tick();
        self.gateway.soap().update(&status_of(update(), entry, Approved, Deprecated)).await.assert_success();
        self.settle().await;
    }

    async fn go(&self, submission: &Submission, text: &str) -> String {
        let entry = self.publish(submission, text).await;
        self.settle().await;
        entry
    }

    /// Whether the one unit that the service holds is a letter with a summary inside.
    fn carries(&self) -> bool {
        let units = self.units();
        assert_eq!((units.len(), &units[0]["Kind"]), (1, &"referral".into()), "{units:#?}");
        let octets = units[0]["BundleBytes"].as_u64().expect("a number");
        // Without the blanks, as the service keeps it.
        let packed = |text: &str| serde_json::from_str::<Value>(text).expect("JSON").to_string().len() as u64;
        octets > packed(&text(LETTER)) + packed(&summary_text()) / 2
    }

    async fn coverage(&self, entry: &str) -> String {
        let entries = self.gateway.soap().query(&find_documents(PATIENT)).await.entries();
        let entry = entries.iter().find(|e| e.entry_uuid == entry).expect("found");
        let slot = entry.extra.slots.iter().find(|s| s.name == slots::COVERAGE).expect("a slot");
        slot.values[0].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_that_waits_goes_inside_the_next_letter_and_stays_with_it() {
    let scene = nesting().await;
    let waits = scene.go(&summary(), &summary_text()).await;
    assert_eq!(scene.word(&waits).await, held("waiting-for-referral"));
    assert_eq!(scene.coverage(&waits).await, "regional");
    let first = scene.go(&letter(), &text(LETTER)).await;
    assert_eq!(scene.word(&first).await, sent("referral.register"));
    assert_eq!(scene.word(&waits).await, skipped("nested-in-letter"));
    assert!(scene.carries());
    assert_eq!(scene.coverage(&waits).await, "both");
    // Who looks at it meanwhile could have seen it there.
    let entries = scene.gateway.soap().query(&find_documents(PATIENT)).await.entries();
    let unique = &entries.iter().find(|e| e.entry_uuid == waits).expect("found").unique_id;
    scene.gateway.tick();
    scene.gateway.soap().retrieve(REPOSITORY, &[unique]).await;
    let tally = scene.national().views(Month::parse("2026-11").unwrap()).await.unwrap();
    assert_eq!((tally.both, tally.regional_only), (1, 0));

    // Another letter has it not; another version of the first has.
    let other = scene.go(&letter(), &text(LETTER).replace("REF-0001", "REF-0002")).await;
    assert_eq!(scene.word(&other).await, sent("referral.register"));
    scene.withdraw(&other).await;
    let corrected = text(LETTER).replacen("\"timestamp\"", " \"timestamp\"", 1);
    let second = scene.go(&replacing(letter(), &first), &corrected).await;
    assert_eq!(scene.word(&second).await, sent("referral.change"));
    assert!(scene.carries());
    assert_eq!(scene.units()[0]["Version"], 2);
    assert_eq!(scene.word(&waits).await, skipped("nested-in-letter"));

    // What is withdrawn is inside all the same, until the letter is there no more.
    scene.withdraw(&waits).await;
    assert_eq!(scene.word(&waits).await, held("inside-letter"));
    scene.withdraw(&second).await;
    assert_eq!(scene.word(&second).await, sent("referral.cancel"));
    assert_eq!(scene.word(&waits).await, skipped("withdrawn-before-send"));
    assert_eq!(scene.units().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_whose_letter_was_taken_back_waits_for_another() {
    let scene = nesting().await;
    let waits = scene.go(&summary(), &summary_text()).await;
    let first = scene.go(&letter(), &text(LETTER)).await;
    assert_eq!(scene.word(&waits).await, skipped("nested-in-letter"));
    scene.withdraw(&first).await;
    assert_eq!(scene.word(&waits).await, held("waiting-for-referral"));
    assert_eq!(scene.coverage(&waits).await, "regional");
    // The letter comes back by hand, and the summary with it.
    assert_eq!(scene.national().undo(&operator(), &first).await.unwrap(), Ok(()));
    scene.settle().await;
    assert!(scene.carries());
    assert_eq!(scene.word(&waits).await, skipped("nested-in-letter"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_whose_letter_never_left_waits_for_another() {
    let scene = nesting().await;
    let waits = scene.go(&summary(), &summary_text()).await;
    assert!(scene.national().pause(&operator(), SENDER, Some("test")).await.unwrap());
    let first = scene.go(&letter(), &text(LETTER)).await;
    assert_eq!(scene.word(&waits).await, skipped("nested-in-letter"));
    // On its way, it has what it has, however often one looks.
    scene.tend().await;
    assert_eq!(scene.word(&waits).await, skipped("nested-in-letter"));
    scene.withdraw(&first).await;
    assert_eq!(scene.word(&first).await, skipped("withdrawn-before-send"));
    scene.tend().await;
    assert_eq!(scene.word(&waits).await, held("waiting-for-referral"));
    assert!(scene.national().pause(&operator(), SENDER, None).await.unwrap());
    let other = scene.go(&letter(), &text(LETTER).replace("REF-0001", "REF-0002")).await;
    assert_eq!(scene.word(&other).await, sent("referral.register"));
    assert_eq!(scene.word(&waits).await, skipped("nested-in-letter"));
    assert!(scene.carries());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_go_inside_goes_on_waiting() {
    // By the published rules, where they are at hand.
    let rules = packages();
    let scene = Scene::with(|c| {
        c.national.nest_summaries = true;
        if let Some(folder) = rules.clone() {
            (c.national.validation, c.national.packages) = (Validation::Intended, vec![folder]);
        }
    })
    .await;
    scene.participates().await;
    // Of a person with another insurance, and one that breaks a rule.
    let stranger = scene.go(&summary(), &text("cases/good/g09-discharge.json")).await;
    let wrong = summary_text().replacen("\"DISCHARGE\"", "\"REFERRAL\"", 1).replace("DIS-0002", "DIS-0003");
    assert_ne!(wrong, summary_text());
    let spoiled = scene.go(&summary(), &wrong).await;
    let way = scene.go(&letter(), &text(LETTER)).await;
    assert_eq!(scene.word(&way).await, sent("referral.register"));
    assert_eq!(scene.word(&stranger).await, held("waiting-for-referral"));
    if rules.is_some() {
        assert!(!scene.carries());
        assert_eq!(scene.word(&spoiled).await, held("waiting-for-referral"));
    }
    // By the same rules a good one does, and the letter holds with it.
    let good = scene.go(&summary(), &summary_text()).await;
    let other = scene.go(&letter(), &text(LETTER).replace("REF-0001", "REF-0002")).await;
    assert_eq!(scene.word(&other).await, sent("referral.register"));
    assert_eq!(scene.word(&good).await, skipped("nested-in-letter"));
}

#[tokio::test(flavor = "multi_thread")]
async fn unless_the_operator_wants_it_nobody_adds_to_a_letter() {
    let scene = Scene::start().await;
    scene.participates().await;
    let waits = scene.go(&summary(), &summary_text()).await;
    let way = scene.go(&letter(), &text(LETTER)).await;
    assert_eq!(scene.word(&way).await, sent("referral.register"));
    assert_eq!(scene.word(&waits).await, held("waiting-for-referral"));
    assert!(!scene.carries());
}
