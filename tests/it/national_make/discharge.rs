//! 退院時サマリー from HS032.

use super::sources::{self, section};
use super::{Site, codes, json, resources, warned};

#[test]
fn a_summary_becomes_a_document() {
    let (bundle, made) = Site::new().bundle(&sources::summary());
    let composition = &bundle["entry"][0]["resource"];
    assert_eq!(
        (&composition["event"][0]["period"]["start"], &composition["event"][0]["period"]["end"]),
        (&"2025-09-01".into(), &"2025-09-14".into())
    );
    let structured = &composition["section"][0];
    let inside: Vec<(&str, &str)> = structured["section"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| (codes(&s["code"])[0].1, s["text"]["div"].as_str().unwrap_or_default()))
        .collect();
    let order: Vec<&str> = inside.iter().map(|(code, _)| *code).collect();
    assert_eq!(order, ["322", "342", "352", "312", "362", "333", "324", "344", "444", "424"]);
    assert!(inside[0].1.contains("2025-09-01 入院") && inside[6].1.contains("2025-09-14 退院"));
    assert!(inside[5].1.contains("冠動脈造影施行。<br/>合併症なし。"));
    let encounter = resources(&bundle, "Encounter")[0];
    assert_eq!((&encounter["class"]["code"], &encounter["status"]), (&"IMP".into(), &"finished".into()));
    let condition = resources(&bundle, "Condition")[0];
    assert_eq!(codes(&condition["code"])[0].1, "20058911");
    // The hospital course as the document the profile wants, and what has no section as an attachment.
    let documents = resources(&bundle, "DocumentReference");
    assert_eq!(documents.len(), 2);
    assert!(composition["section"].as_array().unwrap().iter().any(|s| codes(&s["code"])[0].1 == "210"));
    assert!(warned(&made).contains(&"section-unknown") && made.bundle_id.contains("^D"));
}

#[test]
fn course_and_diagnosis_are_not_made_up() {
    let site = Site::new();
    let text = sources::summary();
    assert_eq!(
        site.refused(&text.replace("<title>入院経過</title>", "<title>x</title>")),
        ("section-missing", "333".to_owned())
    );
    assert_eq!(
        site.refused(&text.replace("<title>退院時診断</title>", "<title>x</title>")),
        ("no-discharge-diagnosis", "344".to_owned())
    );
    assert_eq!(
        site.refused(&text.replace(sources::DIAGNOSIS, "")),
        ("no-discharge-diagnosis", "344".to_owned())
    );
    assert_eq!(site.refused(&text.replace(r#"<high value="20250914"/>"#, "")).0, "no-stay");
    // A list of diagnoses beside it gives what the document has in words only.
    let made = site
        .make_with(text.replace(sources::DIAGNOSIS, "").as_bytes(), &[sources::problems().as_bytes()])
        .unwrap();
    assert_eq!(resources(&json(&made), "Condition").len(), 3);
}

#[test]
fn what_a_summary_must_have_and_its_source_has_not_is_said() {
    let body =
        [section("入院経過", "経過良好", ""), section("退院時診断", "狭心症", sources::DIAGNOSIS)].concat();
    let (bundle, made) = Site::new().bundle(&sources::summary_of(&body));
    let said: Vec<&str> = made
        .warnings
        .iter()
        .filter(|w| w.key.code() == "section-not-in-source")
        .map(|w| w.source.as_str())
        .collect();
    assert_eq!(said, ["342", "352", "312", "362", "444", "424"]);
    assert_eq!(bundle["entry"][0]["resource"]["section"][0]["section"].as_array().unwrap().len(), 10);
}
