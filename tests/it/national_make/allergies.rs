//! アレルギー from ADT^A60.

use serde_json::Value;

use super::sources::{self, PID, PV1, message};
use super::{Site, codes, left_out, resources, warned};

#[test]
fn a_list_of_allergies_becomes_a_unit() {
    let (bundle, made) = Site::new().bundle(&sources::allergies());
    let all = resources(&bundle, "AllergyIntolerance");
    let seen: Vec<(&str, &Value, &str, Option<&str>)> = all
        .iter()
        .map(|a| {
            (
                codes(&a["code"])[0].1,
                &a["category"][0],
                a["code"]["text"].as_str().unwrap(),
                a["criticality"].as_str(),
            )
        })
        .collect();
    let (food, medication, environment) = ("food".into(), "medication".into(), "environment".into());
    assert_eq!(
        seen,
        [
            ("J9FC11310000", &food, "サバ", None),
            ("GCM2260701F1ZZZ", &medication, "ポビドンヨード", Some("high")),
            ("YCM1141007F1063", &medication, "カロナール錠300", Some("high")),
            ("D9N000000000", &environment, "ラテックス様の手袋でかぶれる", Some("high")),
            ("YCM1141007F1063", &medication, "カロナール", Some("high")),
            ("D9F000000000", &food, "えび", None),
        ]
    );
    let mackerel = all[0];
    assert_eq!(mackerel["code"]["coding"][0]["display"], "さば");
    assert_eq!(codes(&mackerel["verificationStatus"])[0].1, "confirmed");
    assert_eq!(mackerel["reaction"][0]["manifestation"][1]["text"], "嘔吐");
    assert_eq!(
        (&mackerel["type"], &mackerel["onsetDateTime"], &mackerel["recordedDate"]),
        (&"allergy".into(), &"2001-04-01".into(), &"2025-09-30".into())
    );
    assert!(all[2]["verificationStatus"].is_null());
    assert_eq!(
        left_out(&made),
        [
            ("no-allergy-stated", "薬剤アレルギーなし"),
            ("deleted", "キウイ"),
            ("asserted-by-patient", "そば"),
            ("entered-in-error", "ねこ")
        ]
    );
    assert!(made.bundle_id.contains("^A"));
}

#[test]
fn what_the_patient_says_may_stay() {
    let (bundle, made) = Site::with("keep_patient_asserted = true").bundle(&sources::allergies());
    assert_eq!(resources(&bundle, "AllergyIntolerance").len(), 7);
    assert!(!left_out(&made).iter().any(|(reason, _)| *reason == "asserted-by-patient"));
}

#[test]
fn a_list_without_visit_and_keys_is_made_all_the_same() {
    let text = message("ADT^A60", &[PID, "IAM||FA|^たまご", "IAM||FA|^たまご", "IAM||FA|^えび"]);
    let (bundle, made) = Site::new().bundle(&text);
    let all = resources(&bundle, "AllergyIntolerance");
    assert!(all.len() == 2 && all.iter().all(|a| a["encounter"].is_null() && a["contained"].is_null()));
    assert_eq!(left_out(&made), [("duplicate", "たまご")]);
    assert!(warned(&made).contains(&"no-local-key"));
    assert_ne!(all[0]["identifier"], all[1]["identifier"]);
}

#[test]
fn an_allergy_takes_no_flag_but_one() {
    let text =
        message("ADT^A60", &[PID, PV1, "IAM||FA|^たまご||||K1", "ZAL|H", "IAM||FA|^えび||||K2", "ZAL|L"]);
    let site = Site::with(
        "flags = [{ field = \"ZAL-1\", value = \"H\", flag = \"UNDELIVERED\" }, { field = \"ZAL-1\", value = \"L\", flag = \"LTS\" }]",
    );
    let (bundle, made) = site.bundle(&text);
    assert_eq!(resources(&bundle, "AllergyIntolerance")[0]["meta"]["tag"][0]["code"], "LTS");
    assert_eq!(left_out(&made), [("flag-not-allowed", "たまご")]);
}

#[test]
fn codes_and_kinds_that_disagree_are_said() {
    let text = message(
        "ADT^A60",
        &[PID, PV1, "IAM||DA|J9FC11310000^サバ^JFAGY|||A|K1", "IAM||FA|11410^x^YJ|||A|K2", "IAM||FA|||A|K3"],
    );
    assert_eq!(Site::new().refused(&text), ("no-allergen", "IAM[3]-3".to_owned()));
    let text = text.replace("IAM||FA|||A|K3\r", "");
    let (bundle, made) = Site::new().bundle(&text);
    assert!(warned(&made).contains(&"category-differs"));
    assert_eq!(super::unmapped(&made), [("bad-form", "IAM[2]-3[1].1")]);
    assert_eq!(codes(&resources(&bundle, "AllergyIntolerance")[1]["code"])[0].1, "D9F000000000");
}
