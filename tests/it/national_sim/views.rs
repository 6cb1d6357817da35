//! What is kept how long, what the person and other institutions see, and the page.

use chiren::cli::simulate::national::show::{Query, state};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::national::{DESTINATION, National, SENDER, case, client, named, text};

fn days(n: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * n)
}

fn texts(view: &Value) -> Vec<&str> {
    view["Resources"].as_array().unwrap().iter().filter_map(|r| r["Text"].as_str()).collect()
}

#[tokio::test]
async fn person_and_institution_see_what_the_flags_let_them() {
    let national = National::start().await;
    let sender = national.caller(SENDER);
    assert_eq!(sender.bring("info.register", "cases/good/g01-condition.json", "k").await.code(), "OK");
    let (insured, _) = crate::support::national::identifiers(&case("cases/good/g01-condition.json"));
    let view = |who: &str| {
        let query = Query { view: Some(who.into()), insured: Some(insured.clone()), ..Query::default() };
        state(&national.running.engine, &query)
    };
    let (person, institution) = (view("person"), view("institution"));
    // Four diagnoses: one untold, one for nobody.
    assert_eq!((texts(&person).len(), texts(&institution).len()), (2, 3));
    assert!(!texts(&person).contains(&"胃癌") && texts(&institution).contains(&"胃癌"));
}

#[tokio::test]
async fn each_information_is_kept_as_long_as_it_is() {
    let national = National::start().await;
    let sender = national.caller(SENDER);
    for (op, file) in [
        ("info.register", "g01-condition"),
        ("info.register", "g02-allergy"),
        ("info.register", "g03-lab"),
        ("info.register", "g04-infection"),
        ("summary.register", "g10-epcs"),
    ] {
        assert_eq!(sender.bring(op, &format!("cases/good/{file}.json"), file).await.code(), "OK", "{file}");
    }
    let kept = || {
        let state = national.running.state();
        let all = state["Units"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|u| u["Resources"].as_array().unwrap().clone());
        let mut kept: Vec<String> = all
            .filter(|r| r["Retained"] == true)
            .map(|r| r["Information"].as_str().unwrap().to_owned())
            .collect();
        kept.sort();
        kept.dedup();
        kept
    };
    let everything = ["diagnosis", "drug-allergy", "infection", "lab", "other-allergy"];
    assert_eq!(kept(), everything);
    national.running.advance(days(5 * 366)).unwrap();
    // Long-term flags: a diagnosis, an allergy to medicines, an infection; results are the last three of their items.
    assert_eq!(kept(), ["diagnosis", "drug-allergy", "infection", "lab"]);
    let state = national.running.state();
    let summaries = state["Counts"]["Summaries"].clone();
    assert_eq!(summaries, 0);
}

#[tokio::test]
async fn of_results_older_than_a_year_the_last_three_stay() {
    let national = National::start().await;
    let sender = national.caller(SENDER);
    for n in 1..=5 {
        let mut bundle = case("cases/good/g03-lab.json");
        bundle["identifier"]["value"] = json!(format!("{SENDER}^2025^L-{n}"));
        for entry in bundle["entry"].as_array_mut().unwrap().iter_mut().skip(1) {
            entry["resource"]["effectiveDateTime"] = json!(format!("2025-0{n}-01T09:00:00+09:00"));
        }
        let heard =
            sender.call("info.register", &format!("k{n}"), named(&bundle), Some(&bundle.to_string())).await;
        assert_eq!(heard.code(), "OK");
    }
    let held = || national.running.state()["Counts"]["Units"].as_u64().unwrap();
    assert_eq!(held(), 5);
    national.running.advance(days(366)).unwrap();
    assert_eq!(held(), 3);
    let state = national.running.state();
    let names: Vec<&str> = state["Units"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|u| u["BundleIdentifierValue"].as_str())
        .collect();
    assert!(names.iter().all(|n| !n.ends_with("L-1") && !n.ends_with("L-2")), "{names:?}");
}

#[tokio::test]
async fn prescriptions_come_out_of_letters_and_go_with_a_cancelled_one() {
    let national = National::start().await;
    let sender = national.caller(SENDER);
    let letter = "cases/good/g05-ereferral-structured.json";
    assert_eq!(sender.bring("referral.register", letter, "k").await.code(), "OK");
    let prescriptions = || national.running.state()["Counts"]["Prescriptions"].as_u64().unwrap();
    assert_eq!(prescriptions(), 3);
    assert_eq!(sender.call("referral.cancel", "c", named(&case(letter)), None).await.code(), "OK");
    assert_eq!(prescriptions(), 0);
    assert_eq!(sender.call("referral.undo", "u", named(&case(letter)), None).await.code(), "OK");
    assert_eq!(prescriptions(), 3);
    // The letter goes after six months; of the prescriptions the last three stay.
    national.running.advance(days(200)).unwrap();
    assert_eq!((national.running.state()["Counts"]["Referrals"].as_u64(), prescriptions()), (Some(0), 3));
}

#[tokio::test]
async fn a_discharge_summary_may_follow_its_letter_under_2_0_0() {
    use chiren::cli::simulate::national::world::RuleSet;
    let national = National::with(|o| o.settings.rule_set = RuleSet::V2_0_0).await;
    let sender = national.caller(SENDER);
    let (summary, letter) = ("cases/good/g09-discharge.json", "cases/good/g07-ereferral-cda.json");
    let later = |key: &'static str| {
        let sender = sender.clone();
        async move { sender.call("referral.attach-later", key, named(&case(summary)), Some(&text(summary))).await }
    };
    assert_eq!(later("a").await.code(), "NOT_FOUND", "no letter yet");
    let mut body = named(&case(letter));
    body["ConsentStatus"] = json!("1");
    let heard = sender.call("referral.register", "l", body.clone(), Some(&text(letter))).await;
    assert_eq!(heard.code(), "OK", "{}", heard.text);
    assert_eq!(later("b").await.code(), "OK");
    let listed = national.caller(DESTINATION).call("referral.list", "x", json!({}), None).await;
    assert_eq!(listed.body["MessageBody"]["Count"], 2, "both are for the destination");
    assert_eq!(sender.call("referral.cancel", "c", body.clone(), None).await.code(), "OK");
    assert_eq!(national.running.state()["Counts"]["Units"], 0, "it goes with its letter");
    assert_eq!(sender.call("referral.undo", "u", body, None).await.code(), "OK");
    assert_eq!(national.running.state()["Counts"]["Units"], 2);
}

#[tokio::test]
async fn consent_once_given_stays_when_a_letter_is_changed() {
    let national = National::start().await;
    let sender = national.caller(SENDER);
    let letter = "cases/good/g06-ereferral-text.json";
    assert_eq!(sender.bring("referral.register", letter, "k").await.code(), "OK");
    national.running.engine.consent(&crate::support::national::identifiers(&case(letter)).0, None).unwrap();
    assert_eq!(sender.bring("referral.change", letter, "k2").await.code(), "OK");
    let status = sender.call("referral.status", "s", named(&case(letter)), None).await;
    assert_eq!(status.body["MessageBody"]["State"], "viewable");
    assert_eq!(status.body["MessageBody"]["Version"], 2);
    let state = national.running.state();
    assert_eq!(state["Past"][0]["State"], "replaced");
    assert_eq!(state["Units"][0]["Lineage"][0], state["Past"][0]["ReceiptNumber"]);
}

#[tokio::test]
async fn the_page_shows_what_is_held_in_both_languages_and_nothing_unescaped() {
    let national = National::start().await;
    let sender = national.caller(SENDER);
    assert_eq!(sender.bring("info.register", "cases/good/g01-condition.json", "<b>k</b>").await.code(), "OK");
    let web = client(&national.pki(), Some(SENDER));
    let page = |lang: &'static str| {
        let request = web.get(format!("https://localhost:{}/?lang={lang}", national.address().port()));
        async move { request.send().await.unwrap().text().await.unwrap() }
    };
    let (english, japanese) = (page("en").await, page("ja").await);
    assert!(
        english.contains("What it holds")
            && english.contains("UNINFORMED")
            && english.contains("info.register")
    );
    assert!(
        japanese.contains("登録内容")
            && japanese.contains("傷病名: 胃癌")
            && japanese.contains("lang=\"ja\"")
    );
    assert!(english.contains("&lt;b&gt;k&lt;/b&gt;") && !english.contains("<b>k</b>"));
    let unit = web
        .get(format!("https://localhost:{}/_unit/N0000000001", national.address().port()))
        .send()
        .await
        .unwrap();
    assert_eq!(unit.text().await.unwrap(), text("cases/good/g01-condition.json").trim());
    let nobody = client(&national.pki(), None)
        .get(format!("https://localhost:{}/", national.address().port()))
        .send()
        .await;
    assert_eq!(nobody.unwrap().status().as_u16(), 401);
}
