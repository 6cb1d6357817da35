//! 傷病名 from PPR^ZD1.

use chiren::model::identity::{Address, Demographics, NameScript, PersonName};

use super::sources::{self, PID, PV1, message};
use super::{Site, codes, left_out, resources, unmapped, warned};

#[test]
fn a_list_of_diagnoses_becomes_a_unit() {
    let (bundle, made) = Site::new().bundle(&sources::problems());
    let all = resources(&bundle, "Condition");
    assert_eq!(all.len(), 3);
    let main = all[0];
    assert_eq!(codes(&main["code"])[0].1, "20061593");
    assert!(
        codes(&main["code"]).contains(&("http://jpfhir.jp/fhir/core/mhlw/CodeSystem/ICD10-2013-full", "I10"))
    );
    assert_eq!(main["identifier"][0]["value"], "1319900018-COND-0000123-P1");
    assert_eq!((&main["onsetDateTime"], &main["recordedDate"]), (&"2019-05-01".into(), &"2019-05-01".into()));
    assert_eq!(codes(&main["clinicalStatus"])[0].1, "active");
    assert!(main["contained"][1]["name"][0]["text"] == "灰原 梓" && main["recorder"]["reference"] == "#dr1");
    let ended = all[1];
    assert_eq!(
        (codes(&ended["clinicalStatus"])[0].1, &ended["abatementDateTime"]),
        ("resolved", &"2024-07-01".into())
    );
    let modifiers: Vec<(&str, &str)> = ended["code"]["extension"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| {
            (
                e["url"].as_str().unwrap().rsplit('_').next().unwrap(),
                e["valueCodeableConcept"]["coding"][1]["display"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(modifiers, [("DiseasePrefixModifier", "左"), ("DiseasePostfixModifier", "術後")]);
    assert_eq!(
        (&ended["code"]["text"], &ended["code"]["coding"][0]["display"]),
        (&"左前腕骨折術後".into(), &"前腕骨折".into())
    );
    assert_eq!(ended["note"][0]["text"], "ギプス固定");
    // By its exchange code, and the day it was set down stands for the onset.
    assert_eq!((codes(&all[2]["code"])[0].1, &all[2]["onsetDateTime"]), ("20054178", &"2025-09-15".into()));
    assert!(warned(&made).contains(&"key-looked-up"));
    assert_eq!(
        left_out(&made),
        [("ended-long-ago", "腸炎"), ("deleted", "誤記"), ("unconfirmed", "胃癌の疑い")]
    );
    assert!(made.lineage == "conditions:0000123" && made.bundle_id.starts_with("1319900018^2025^C"));
    assert_eq!(bundle["timestamp"], "2025-10-01T09:00:05.120+09:00");
    assert_eq!(main["meta"]["lastUpdated"], "2025-09-30T12:00:00+09:00");
}

#[test]
fn every_character_set_makes_the_same_bundle() {
    let site = Site::new();
    let text = sources::problems();
    let utf8 = site.make(text.as_bytes()).unwrap().bundle;
    assert_eq!(site.make(&sources::iso_2022_jp(&text)).unwrap().bundle, utf8);
    let shift_jis = Site::with("shift_jis = true");
    assert_eq!(shift_jis.make(&sources::shift_jis(&text)).unwrap().bundle, utf8);
    // Line feeds where files were moved about.
    assert_eq!(site.make(text.replace('\r', "\r\n").as_bytes()).unwrap().bundle, utf8);
}

#[test]
fn flags_are_copied_from_the_configured_field_and_from_nowhere_else() {
    let text = message(
        "PPR^ZD1",
        &[
            PID,
            PV1,
            "PRB|AD||^胃癌|P1|||20250901",
            "ZPR||20054178^胃癌||||||1~2",
            "PRB|AD||^高血圧症|P2|||20190501",
            "ZPR||20061593^高血圧症||||||9",
        ],
    );
    let (bundle, made) = Site::new().bundle(&text);
    assert!(resources(&bundle, "Condition").iter().all(|c| c["meta"]["tag"].is_null()));
    assert!(unmapped(&made).contains(&("no-row", "ZPR[1]-8[1].1")));
    let rules = "flags = [{ field = \"ZPR-8\", value = \"1\", flag = \"UNINFORMED\" }, { field = \"ZPR-8\", value = \"2\", flag = \"UNDELIVERED\" }]\n";
    let (bundle, made) = Site::with(rules).bundle(&text);
    let tags: Vec<&str> = resources(&bundle, "Condition")[0]["meta"]["tag"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["code"].as_str().unwrap())
        .collect();
    assert_eq!(tags, ["UNINFORMED", "UNDELIVERED"]);
    assert!(resources(&bundle, "Condition")[1]["meta"]["tag"].is_null());
    assert!(!unmapped(&made).iter().any(|(key, _)| *key == "no-row"));
    let (bundle, made) = Site::with(&format!("undelivered = \"drop\"\n{rules}")).bundle(&text);
    assert_eq!((resources(&bundle, "Condition").len(), left_out(&made)), (1, vec![("undelivered", "胃癌")]));
}

#[test]
fn site_rules_decide_principal_and_suspicion() {
    let text = message(
        "PPR^ZD1",
        &[
            PID,
            PV1,
            "PRB|AD||^狭心症|P1|||20250901|||1",
            "ZPR||20058911",
            "PRB|AD||^胃癌|P2|||20250901||||||P",
            "ZPR||20054178",
            "PRB|AD||^胃癌|P3|||20250901||||||Q9",
            "ZPR||20054178",
        ],
    );
    let (bundle, made) = Site::new().bundle(&text);
    assert_eq!(resources(&bundle, "Condition").len(), 1);
    assert_eq!(left_out(&made), [("unconfirmed", "胃癌"), ("verification-unknown", "胃癌")]);
    assert!(unmapped(&made).contains(&("unknown-code", "PRB[1]-10[1].1")));
    let site = Site::with("keep_unconfirmed = true\nprincipal = { field = \"PRB-10\", values = [\"1\"] }");
    let (bundle, _) = site.bundle(&text);
    let all = resources(&bundle, "Condition");
    assert_eq!(all[0]["extension"][2]["valueCodeableConcept"]["coding"][0]["code"], "principal");
    assert_eq!(codes(&all[1]["verificationStatus"])[0].1, "unconfirmed");
}

#[test]
fn what_is_missing_is_refused_by_its_key() {
    let site = Site::new();
    let good = ["PRB|AD||^高血圧症|P1|||20190501", "ZPR||20061593^高血圧症"];
    let with = |pid: &str, pv1: &str, prb: &str, zpr: &str| message("PPR^ZD1", &[pid, pv1, prb, zpr]);
    let cases = [
        (with(PID, PV1, good[0], "ZPR|"), "no-disease-key", "ZPR[1]-2"),
        // Two diseases have this exchange code: neither is chosen.
        (with(PID, PV1, "PRB|AD||TWIN^腹痛|P1|||20190501", "ZPR|||||TWIN"), "no-disease-key", "ZPR[1]-2"),
        (with(PID, PV1, "PRB|AD||^高血圧症|P1", good[1]), "no-onset", "PRB[1]-16"),
        (
            with(PID, PV1, "PRB|AD||^x|P1|||2019", "ZPR|27009999|20061593"),
            "no-modifier-name",
            "ZPR[1]-1[1].2",
        ),
        (with(PID, PV1, "PRB|AD|||P1|||2019", "ZPR||20000000"), "no-disease-name", "PRB[1]-3"),
        (with(PID, "PV1|1|||||||||01", good[0], good[1]), "no-encounter-class", "PV1[1]-2"),
        (with(PID, "PV1|1|O", good[0], good[1]), "no-department", "PRB[1]-3"),
        (with("PID|1||", PV1, good[0], good[1]), "no-patient-id", "PID[1]"),
        (with("PID|1||1||青井", PV1, good[0], good[1]), "no-name", "PID[1]"),
        (with("PID|1||1||青井^湊", PV1, good[0], good[1]), "no-birth-date", "PID[1]"),
        (with("PID|1||1||青井^湊||1958", PV1, good[0], good[1]), "no-address", "PID[1]"),
        (message("PPR^ZD1", &[PID, PV1]), "nothing-to-send", "MSH[1]"),
        (message("ORU^R01", &[PID]), "unknown-source", "MSH[1]-9[1].1"),
        (message("PPR^ZD1", &[PID, "これは区切り"]), "unreadable", "segment 3"),
        (message("PPR^ZD1", &[PID, &PID.replace("0000123", "9")]), "several-patients", "PID[2]-3"),
    ];
    for (text, key, place) in cases {
        assert_eq!(site.refused(&text), (key, place.to_owned()));
    }
}

#[test]
fn who_is_insured_is_said_and_checked() {
    let text = |in1: &str| {
        message("PPR^ZD1", &[PID, PV1, in1, "PRB|AD||^高血圧症|P1|||20190501", "ZPR||20061593^高血圧症"])
    };
    let mut site = Site { insured: None, ..Site::with("insurance_branch_component = 2") };
    let card = text("IN1|1|06^組合管掌健康保険^JHSD0001|990011|||||||１２３^01|４５６７");
    let (_, made) = site.bundle(&card);
    assert_eq!(made.insured_id.0, "00990011:１２３:４５６７:01");
    assert!(warned(&made).contains(&"insured-from-message"));
    // What pays for the poor is no insurance.
    assert_eq!(site.refused(&text("IN1|1|12^生活保護^JHSD0001|12345678|||||||1|2")).0, "no-insured-id");
    site.insured = Some("06990011:123:4567:");
    assert!(warned(&site.bundle(&card).1).contains(&"insured-branch-missing"));
    site.insured = Some("6990011:123:4567:01");
    assert_eq!(site.refused(&card).0, "insured-id");
    let mut site = Site::new();
    site.institution.number = "131990001".into();
    assert_eq!(site.refused(&card).0, "institution-number");
}

#[test]
fn the_same_lineage_keeps_its_id() {
    let site = Site::new();
    let text = sources::problems();
    let first = site.make(text.as_bytes()).unwrap();
    let next_year = chiren::clins::make::Context {
        now: "2026-01-05T00:00:00Z".parse().unwrap(),
        bundle_id: Some(&first.bundle_id),
        ..site.context(&[])
    };
    let again = chiren::clins::make::from_v2(text.as_bytes(), &next_year).unwrap();
    assert_eq!(again.bundle_id, first.bundle_id);
    let anew = chiren::clins::make::Context { bundle_id: None, ..next_year };
    let anew = chiren::clins::make::from_v2(text.as_bytes(), &anew).unwrap();
    assert_eq!(anew.bundle_id, first.bundle_id.replace("^2025^", "^2026^"));
}

#[test]
fn the_patient_is_completed_from_what_is_known_and_never_corrected() {
    let mut known = Demographics::default();
    let name = |family: &str, given: &str, script| PersonName {
        family: family.into(),
        given: given.into(),
        script: Some(script),
        ..PersonName::default()
    };
    known.names = Some(vec![
        name("別人", "太郎", NameScript::Ideographic),
        name("アオイ", "ミナト", NameScript::Phonetic),
    ]);
    known.birth_date = Some("19000101".into());
    known.addresses = Some(vec![Address {
        text: "大阪府仮市緑町2番2号".into(),
        postal_code: "530-9999".into(),
        ..Address::default()
    }]);
    let site = Site::new();
    let context = chiren::clins::make::Context { patient: Some(&known), ..site.context(&[]) };
    let text = message(
        "PPR^ZD1",
        &["PID|1||1||青井　みなと||19581103", PV1, "PRB|AD||^高血圧症|P1|||20190501", "ZPR||20061593"],
    );
    let made = chiren::clins::make::from_v2(text.as_bytes(), &context).unwrap();
    super::holds::check(&made);
    let bundle = super::json(&made);
    let patient = resources(&bundle, "Patient")[0];
    let names: Vec<&str> =
        patient["name"].as_array().unwrap().iter().map(|n| n["text"].as_str().unwrap()).collect();
    assert_eq!(names, ["青井 みなと", "アオイ ミナト"]);
    assert_eq!(
        (&patient["birthDate"], &patient["address"][0]["text"], &patient["gender"]),
        (&"1958-11-03".into(), &"大阪府仮市緑町2番2号".into(), &"unknown".into())
    );
    assert!(warned(&made).contains(&"gender-unknown"));
}

#[test]
fn a_hostile_list_costs_no_more_than_its_length() {
    let filled: String = (1..60).map(|i| format!("|x{i}")).collect();
    let mut segments = vec![
        PID.to_owned(),
        PV1.to_owned(),
        "PRB|AD||^高血圧症|P1|||20190501".to_owned(),
        "ZPR||20061593".to_owned(),
    ];
    segments.extend((0..1900).map(|_| format!("ZPR{filled}")));
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let begun = std::time::Instant::now();
    let made = Site::new().make(message("PPR^ZD1", &segments).as_bytes()).unwrap();
    assert!(made.unmapped.len() > 90_000 && begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    let more: Vec<&str> = segments.iter().copied().chain((0..200).map(|_| "NTE|1")).collect();
    assert_eq!(Site::new().refused(&message("PPR^ZD1", &more)).0, "unreadable");
}
