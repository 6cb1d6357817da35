//! What happens after a document went: a consent or an objection, a summary that follows its letter, the letter's way to
//! its destination and its end, and what a lane looks like meanwhile.

use chiren::cli::simulate::national::fault::{Fault, Mode};
use chiren::cli::simulate::national::world::RuleSet as Theirs;
use chiren::model::metadata::AvailabilityStatus::{Approved, Deprecated};
use chiren::model::national::decide::RuleSet;
use chiren::service::consent::{Change, Word};
use chiren::service::context::Context;
use chiren::service::national::operator::{DecisionKind, LineageState};
use chiren::service::national::{Difference, LaneStanding, LaneState, Month};
use jiff::SignedDuration;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::flow::{held, operator, sent, skipped};
use super::*;
use crate::support::national::{SYSTEM, identifiers, named, text};
use crate::support::updates::{status_of, update};

pub const LETTER: &str = "cases/good/g05-ereferral-structured.json";

impl Scene {
    async fn fact(&self, kind: &str, subject: &str, name: &str, value: &str) {
        self.gateway.tick();
        let done = self.national().say(&operator(), kind, subject, name, Some(value), "test").await;
        assert_eq!(done.unwrap(), Ok(()));
    }

    pub async fn participates(&self) {
        self.fact("institution", DESTINATION, "participates", "yes").await;
    }

    /// Both clocks move.
    fn pass(&self, hours: i64) {
        self.gateway.clock.advance(SignedDuration::from_hours(hours));
        self.service.running.advance(SignedDuration::from_hours(hours)).expect("moved");
    }

    pub async fn tend(&self) {
        self.national().tend(&CancellationToken::new()).await.unwrap();
        self.settle().await;
    }
}

/// A network in which what patients say counts.
async fn with_consent(dir: &Path) -> Scene {
    let rules = dir.join("consent.toml");
    let text = "version = \"test\"\nexport_needs_consent = true\n\n[[release]]\ndata = [\"*\"]\naudience = [\"*\"]\n";
    std::fs::write(&rules, text).unwrap();
    Scene::with(|c| {
        c.consent.mode = chiren::model::consent::Mode::OptOut;
        c.consent.rules = Some(rules);
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_network_permits_no_more_is_taken_back_and_comes_again() {
    let dir = tempfile::tempdir().unwrap();
    let scene = with_consent(dir.path()).await;
    let publish = async |s: &Submission, text: &str| {
        scene.gateway.soap().provide(s, &[("DE", text.as_bytes())]).await.assert_success();
        s.document_entries[0].unique_id.clone()
    };
    let first = publish(&lab(SENDER), &results(SENDER, "LAB-1")).await;
    let second = publish(&lab(SENDER), &results(SENDER, "LAB-2")).await;
    scene.settle().await;
    assert_eq!(scene.units().len(), 2);
    let say = async |change| {
        let word = Word { who: "yamada".into(), reason: "test".into() };
        scene.gateway.tick();
        let context = Context::of_operator("test", Some("yamada"), scene.gateway.clock.now());
        scene.gateway.rooms().consents.change(&context, PATIENT, change, word).await.unwrap();
        scene.settle().await;
    };
    // One document is held: at once, and nothing else of the patient.
    say(Change::Hold(first.clone())).await;
    assert_eq!(scene.word(&first).await, sent("info.cancel"));
    let story = scene.story(&first).await;
    assert!(story.decisions.last().unwrap().body.contains("\"warnings\":[\"regional-deny\"]"));
    assert_eq!((scene.units().len(), scene.word(&second).await), (1, sent("info.register")));
    // What changes nothing of it leaves no trace.
    let decisions = scene.story(&second).await.decisions.len();
    assert_eq!(decisions, 1);
    say(Change::Unhold(first.clone())).await;
    assert_eq!(scene.word(&first).await, sent("info.register"));
    assert_eq!(scene.units().len(), 2);
    // The patient withdraws all: with immediate effect.
    say(Change::Withdraw(None)).await;
    for document in [&first, &second] {
        assert_eq!(scene.word(document).await, sent("info.cancel"));
    }
    assert_eq!(scene.units().len(), 0);
    let third = publish(&lab(SENDER), &results(SENDER, "LAB-3")).await;
    scene.settle().await;
    assert_eq!(scene.word(&third).await, skipped("regional-deny"));
    let report = scene.national().reconcile(&operator(), SENDER, false).await.unwrap();
    assert_eq!(report.differences.len(), 0, "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_objection_stops_what_goes_and_takes_back_what_went() {
    let scene = Scene::start().await;
    scene.participates().await;
    let there = scene.publish(&lab(SENDER), &results(SENDER, "LAB-1")).await;
    let letter_there = scene.publish(&letter(), &text(LETTER)).await;
    scene.settle().await;
    assert_eq!(scene.units().len(), 2);
    // The destination has the letter: it is theirs.
    let (insured, value) = identifiers(&crate::support::national::case(LETTER));
    let body = json!({
        "InsuredIdentifier": insured, "BundleIdentifierSystem": SYSTEM, "BundleIdentifierValue": value
    });
    let fetched = scene.service.caller(DESTINATION).call("referral.fetch", "f", body, None).await;
    assert_eq!(fetched.code(), "OK");
    scene.pass(13);
    scene.tend().await;
    // Waiting, and nobody has begun.
    assert!(scene.national().pause(&operator(), SENDER, Some("test")).await.unwrap());
    let waiting = scene.publish(&lab(SENDER), &results(SENDER, "LAB-2")).await;
    scene.settle().await;
    assert_eq!(scene.word(&waiting).await, sent("info.register"));
    scene.fact("patient", PATIENT, "objection", "yes").await;
    scene.settle().await;
    assert_eq!(scene.word(&waiting).await, skipped("patient-objection"));
    assert_eq!(scene.word(&letter_there).await, held("already-received"));
    assert!(scene.national().pause(&operator(), SENDER, None).await.unwrap());
    scene.settle().await;
    assert_eq!(scene.word(&there).await, sent("info.cancel"));
    let left: Vec<Value> = scene.units().iter().map(|u| u["Service"].clone()).collect();
    assert_eq!(left, ["referral"]);
    // Taken back, all of it goes again, each thing once.
    scene.fact("patient", PATIENT, "objection", "no").await;
    scene.settle().await;
    for entry in [&there, &waiting] {
        assert_eq!(scene.word(entry).await, sent("info.register"));
    }
    assert_eq!(scene.word(&letter_there).await, skipped("no-content-change"));
    assert_eq!(scene.units().len(), 3);
    let report = scene.national().reconcile(&operator(), SENDER, false).await.unwrap();
    assert_eq!(report.differences.len(), 0, "{report:#?}");
}

/// Nobody says when a consent ends by itself: the comparison finds what it left behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_denial_that_nobody_announced_is_found_by_comparison() {
    let scene = Scene::start().await;
    let entry = scene.publish(&lab(SENDER), &results(SENDER, "LAB-1")).await;
    scene.settle().await;
    // The fact is there, and no row to have it looked at.
    let fact = chiren::store::national::fact::Fact {
        subject_kind: "patient".into(),
        subject: PATIENT.into(),
        name: "objection".into(),
        value: "yes".into(),
        at: 0,
        said_by: "test".into(),
    };
    let fact = std::sync::Arc::new(fact);
    let done = scene.gateway.rooms().db.write::<_, chiren::store::db::DbError, _>(move |tx| {
        let fact = fact.clone();
        Box::pin(async move { chiren::store::national::fact::put(tx, &fact).await })
    });
    done.await.unwrap();
    let found = scene.national().reconcile(&operator(), SENDER, true).await.unwrap();
    let kinds: Vec<_> = found.differences.iter().map(|d| (d.difference, d.mended)).collect();
    assert_eq!(kinds, [(Difference::Denied, true)], "{found:#?}");
    scene.settle().await;
    assert_eq!(scene.word(&entry).await, sent("info.cancel"));
    assert_eq!(scene.units().len(), 0);
}

pub fn summary() -> Submission {
    document("jp:fhir:hs039", "18842-5", SENDER)
}

/// Of the letter's patient.
pub fn summary_text() -> String {
    text("cases/good/g09-discharge.json").replace("39990019::90012345:", "06990011:１２３:４５６７:01")
}

/// Receipt of the letter, and what the summary is attached to.
fn attachment(units: &[Value]) -> (Value, Value) {
    let of = |kind: &str| units.iter().find(|u| u["Kind"] == kind).cloned().unwrap_or_default();
    (of("referral")["ReceiptNumber"].clone(), of("discharge")["AttachedTo"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_follows_its_letter_and_goes_with_it() {
    let service = simulated::National::with(|o| o.settings.rule_set = Theirs::V2_0_0).await;
    let (pki, port) = (service.pki(), service.address().port());
    let gateway = Gateway::start_with(|c| {
        direct(c, &pki, port, &[SENDER, DESTINATION]);
        c.national.rule_set = RuleSet::V2_0_0;
    })
    .await;
    let scene = Scene { gateway, service };
    scene.participates().await;
    // The summary comes first, and waits for its letter.
    let first = scene.publish(&summary(), &summary_text()).await;
    scene.settle().await;
    assert_eq!(scene.word(&first).await, held("waiting-for-referral"));
    let way = scene.publish(&letter(), &text(LETTER)).await;
    scene.settle().await;
    assert_eq!(scene.word(&first).await, sent("referral.attach-later"));
    let units = scene.units();
    let (letter_there, attached) = attachment(&units);
    assert!(units.len() == 2 && letter_there.is_string() && letter_there == attached, "{units:#?}");

    // Another version stays attached, whatever letters came since.
    let other = text(LETTER).replace("REF-0001", "REF-0002");
    let later = scene.publish(&letter(), &other).await;
    scene.settle().await;
    let corrected = summary_text().replacen("\"timestamp\"", " \"timestamp\"", 1);
    let second = scene.publish(&replacing(summary(), &first), &corrected).await;
    scene.settle().await;
    assert_eq!(scene.word(&second).await, sent("referral.change"));
    let units = scene.units();
    let kept = units.iter().find(|u| u["Kind"] == "discharge").expect("the summary");
    assert_eq!((units.len(), &kept["AttachedTo"], &kept["Version"]), (3, &letter_there, &json!(2)));
    let look = async || {
        let entries = scene.gateway.soap().query(&find_documents(PATIENT)).await.entries();
        let unique =
            entries.iter().find(|e| e.entry_uuid == second).map(|e| e.unique_id.clone()).expect("found");
        scene.gateway.tick();
        scene.gateway.soap().retrieve(REPOSITORY, &[&unique]).await;
        scene.gateway.tick();
        let tally = scene.national().views(Month::parse("2026-11").unwrap()).await.unwrap();
        (tally.both, tally.regional_only)
    };
    assert_eq!(look().await, (1, 0));

    // The letter is taken back, and what is attached with it; then it goes with the letter that is left.
    scene.gateway.soap().update(&status_of(update(), &way, Approved, Deprecated)).await.assert_success();
    scene.settle().await;
    assert_eq!(scene.word(&way).await, sent("referral.cancel"));
    assert_eq!(scene.word(&second).await, sent("referral.attach-later"));
    let units = scene.units();
    let (left, attached) = attachment(&units);
    assert_eq!((units.len(), left == attached), (2, true), "{units:#?}");
    scene.gateway.soap().update(&status_of(update(), &later, Approved, Deprecated)).await.assert_success();
    scene.settle().await;
    assert_eq!(scene.word(&second).await, held("waiting-for-referral"));
    assert_eq!(scene.units().len(), 0);
    // It had no cancellation of its own: it went with its letter.
    assert_eq!(look().await, (1, 1));
    let report = scene.national().reconcile(&operator(), SENDER, false).await.unwrap();
    assert_eq!((report.believed, report.differences.len()), (0, 0), "{report:#?}");
    // A cancellation taken back by hand brings both back, though the letter is Deprecated here: that is said.
    assert_eq!(scene.national().undo(&operator(), &later).await.unwrap(), Ok(()));
    scene.settle().await;
    let report = scene.national().reconcile(&operator(), SENDER, false).await.unwrap();
    let kinds: Vec<Difference> = report.differences.iter().map(|d| d.difference).collect();
    assert_eq!((report.believed, scene.units().len()), (2, 2), "{report:#?}");
    assert_eq!(kinds, [Difference::Withdrawn]);
}

/// A letter published, and its lineage.
async fn sent_letter(scene: &Scene) -> String {
    scene.participates().await;
    let entry = scene.publish(&letter(), &text(LETTER)).await;
    scene.settle().await;
    assert_eq!(scene.word(&entry).await, sent("referral.register"));
    entry
}

/// How our ledger has the only letter: state, the service's word, whether its end was warned of.
async fn followed(scene: &Scene) -> (LineageState, String, bool) {
    let letters = scene.national().letters().await.unwrap();
    assert_eq!(letters.len(), 1);
    let one = &letters[0];
    (one.state, one.said_state.clone().unwrap_or_default(), one.warned_at.is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_nobody_fetches_is_warned_of_and_ends_after_six_months() {
    let scene = Scene::with(|c| c.national.view_consent = ConsentStatus::Pending).await;
    sent_letter(&scene).await;
    let state = |state, word: &str, warned| (state, word.to_owned(), warned);
    assert_eq!(followed(&scene).await, state(LineageState::Accepted, "pending", false));
    // The patient agrees, and the service says so when it is asked.
    let (insured, _) = identifiers(&crate::support::national::case(LETTER));
    assert_eq!(scene.service.running.engine.consent(&insured, None).unwrap(), 1);
    scene.pass(13);
    scene.tend().await;
    assert_eq!(followed(&scene).await, state(LineageState::Accepted, "viewable", false));
    // 22 November to 22 May: fifteen days before nothing is said, thirteen before it is.
    scene.pass(24 * (181 - 15) - 13);
    scene.tend().await;
    assert_eq!(followed(&scene).await, state(LineageState::Accepted, "viewable", false));
    scene.pass(24 * 2);
    scene.tend().await;
    assert_eq!(followed(&scene).await, state(LineageState::Accepted, "viewable", true));
    // The service's clock alone goes on: its word counts.
    scene.service.running.advance(SignedDuration::from_hours(24 * 20)).unwrap();
    scene.pass(13);
    scene.tend().await;
    assert_eq!(followed(&scene).await, state(LineageState::Expired, "expired", true));
    assert_eq!((scene.units().len(), scene.gateway.entries(PATIENT).await.len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_was_fetched_is_said_so_and_ends_a_week_later() {
    let scene = Scene::start().await;
    let entry = sent_letter(&scene).await;
    let body = named(&crate::support::national::case(LETTER));
    let fetched = scene.service.caller(DESTINATION).call("referral.fetch", "f", body.clone(), None).await;
    assert_eq!(fetched.code(), "OK");
    scene.pass(13);
    scene.tend().await;
    let state = |state, word: &str, warned| (state, word.to_owned(), warned);
    assert_eq!(followed(&scene).await, state(LineageState::Received, "received", false));
    // Said when less than two days are left, which is no news before.
    scene.pass(24 * 4);
    scene.tend().await;
    assert_eq!(followed(&scene).await, state(LineageState::Received, "received", false));
    scene.pass(24 + 12);
    scene.tend().await;
    assert_eq!(followed(&scene).await, state(LineageState::Received, "received", true));
    scene.pass(24 * 2);
    scene.tend().await;
    assert_eq!(followed(&scene).await, state(LineageState::Expired, "expired", true));
    let theirs = scene.service.caller(SENDER).call("referral.status", "s", body, None).await;
    assert_eq!(theirs.body["MessageBody"]["State"], "expired");
    assert_eq!(scene.units().len(), 0);
    // The regional document stays, and is not sent again by itself.
    scene.tend().await;
    assert_eq!(scene.gateway.entry(PATIENT).await.entry_uuid, entry);
    assert_eq!(scene.story(&entry).await.deliveries.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_shows_how_it_stands() {
    let scene = Scene::with(|c| c.national.poll_seconds = 1).await;
    let standing = async |wanted: &dyn Fn(&LaneStanding) -> bool| {
        let begun = std::time::Instant::now();
        loop {
            // A look is made every five seconds of the gateway's clock.
            scene.gateway.clock.advance(SignedDuration::from_secs(6));
            let all = scene.national().standing();
            if let Some(found) = all.iter().find(|l| l.institution == SENDER).filter(|l| wanted(l)) {
                return found.clone();
            }
            assert!(begun.elapsed().as_secs() < 60, "{all:#?}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    scene.service.running.fault(Fault::of(Mode::DropRequest));
    scene.publish(&lab(SENDER), &results(SENDER, "LAB-1")).await;
    let mut restricted = lab(SENDER);
    restricted.document_entries[0].confidentiality_code = vec![code("R", "2.16.840.1.113883.5.25", "制限")];
    scene.publish(&restricted, &results(SENDER, "LAB-2")).await;
    scene.publish(&lab(SENDER), "{\"resourceType\": ").await;
    scene.settle().await;
    let down = standing(&|l| l.waiting == 1 && l.oldest_seconds > 60 && l.failed > 0).await;
    assert_eq!((down.parked, down.held, down.worklist, down.delivered), (0, 1, 1, 0));
    assert_ne!(down.state, LaneState::Open);
    scene.service.running.faults().clear();
    let up = standing(&|l| l.waiting == 0 && l.delivered == 1).await;
    assert_eq!((up.state, up.oldest_seconds), (LaneState::Open, 0));
    assert!(scene.national().pause(&operator(), SENDER, Some("test")).await.unwrap());
    standing(&|l| l.state == LaneState::Paused).await;
    let decisions = scene.national().decisions(DecisionKind::Fail, Some(SENDER)).await.unwrap();
    assert_eq!(decisions.len(), 1);
}
